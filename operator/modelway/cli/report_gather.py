"""Asks the cluster what a report is made of, through the user's own kubectl.

Only the ModelDeployment itself must be there and readable. Whatever else cannot be read is told in the page: a report
of half a model is worth having.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError

from modelway.api.base import first_problem
from modelway.api.names import (
    LABEL_OBSERVES,
    LABEL_REVISION,
    MONITORING_KEY,
    MONITORING_SUFFIX,
    child_name,
    observer_selector,
    pod_selector,
)
from modelway.api.observations import INPUTS, PATH, REFERENCE, AnswerError, check_key
from modelway.api.resource import ModelDeployment
from modelway.cli.errors import CommandError, KubectlError, NotFound
from modelway.cli.kubectl import Kubectl
from modelway.plan.measured import Target
from modelway.plan.monitoring.documents import Document, answers_in, inputs_in, layout_in, reading_of
from modelway.plan.monitoring.keeping import watch_from
from modelway.plan.monitoring.readings import Layout, PodReading
from modelway.plan.monitoring.watch import Watch
from modelway.plan.pods import HTTP_PORT
from modelway.plan.revisions import from_record
from modelway.plan.routing.live import is_ready
from modelway.report.facts import Facts

_MOST_PODS: Final = 16
"""That are read: what they were asked is much alike, and each costs a few requests to the API server."""
_AT_ONCE: Final = 8
_MOST_FAILURES: Final = 3
"""That are told one by one; the others have mostly the same reason."""


@dataclass(frozen=True, slots=True)
class Cluster(Kubectl):
    """kubectl, and what of it a report needs. Raises KubectlError, and NotFound and Forbidden among them."""

    def pods(self, selector: Mapping[str, str]) -> list[dict[str, Any]]:
        """The pods with these labels."""
        return self._all("pods", selector)

    def asked(self, pod: Mapping[str, Any], path: str) -> bytes:
        """What a pod of the model server, or of an observer, answers."""
        return self._answered(pod, HTTP_PORT, path).encode()


@dataclass(frozen=True, slots=True)
class _Said:
    """What one pod has told, before it is known what it means."""

    pod: Target
    answers: Document
    inputs: Document


def gather(cluster: Cluster, name: str, *, at: datetime, made_by: str) -> Facts:
    """All there is to know.

    Args:
        cluster: to be asked.
        name: of the ModelDeployment.
        at: the moment, UTC.
        made_by: the version of modelway, for the page.

    Raises:
        KubectlError: the cluster cannot be reached, or there is no such ModelDeployment, or the user may not see it.
        CommandError: it cannot be understood.
    """
    resource = _resource(cluster.get(name))
    missing: list[str] = []
    watch = _watch(cluster, resource, missing)
    pods = _pods(cluster, resource, missing)
    readings, layouts = _readings(cluster, pods[:_MOST_PODS], at, missing)
    if len(pods) > _MOST_PODS:
        missing.append(f"Of {len(pods)} pods {_MOST_PODS} were read.")
    return Facts(resource, at, made_by, watch, readings, layouts, len(pods), tuple(missing))


def _resource(obj: dict[str, Any]) -> ModelDeployment:
    try:
        return ModelDeployment.parse(obj)
    except ValidationError as error:
        raise CommandError(
            f"the ModelDeployment is of another version of modelway than this command: {first_problem(error)}; "
            "install the version that runs in the cluster"
        ) from error


def _watch(cluster: Cluster, resource: ModelDeployment, missing: list[str]) -> Watch | None:
    """What the operator remembers; none where nobody has asked it to watch."""
    if resource.spec.monitoring is None or not resource.spec.serves:
        return None
    config_map = child_name(resource.metadata.name, MONITORING_SUFFIX)
    try:
        content = (cluster.config_map(config_map).get("data") or {}).get(MONITORING_KEY)
    except NotFound:
        missing.append("The operator has written nothing yet of what it watches: the first window is not over.")
        return None
    except KubectlError as error:
        missing.append(
            f"What the operator has found in the windows up to now, in the ConfigMap {config_map}: {error.message}"
        )
        return None
    watch = watch_from(content) if content is not None else None
    if watch is None:
        missing.append(f"The ConfigMap {config_map} cannot be read: it is of another version of modelway, or damaged.")
    return watch


def _pods(cluster: Cluster, resource: ModelDeployment, missing: list[str]) -> list[dict[str, Any]]:
    """The ready pods that tell what the revision that serves was asked: its own, or who observes it."""
    name, stable = resource.metadata.name, resource.status.stable
    if stable is None:
        missing.append("No revision serves: there are no inputs and answers to count.")
        return []
    try:
        is_foreign = _is_foreign(cluster, name, stable.revision)
        if is_foreign and resource.spec.observe is None:
            missing.append("Nobody counts what an image of your own is asked and answers: give monitoring.observe.")
            return []
        pods = cluster.pods((observer_selector if is_foreign else pod_selector)(name, stable.revision))
    except KubectlError as error:
        missing.append(f"What the pods were asked and answered: {error.message}")
        return []
    ready = [pod for pod in pods if is_ready(pod) and not pod["metadata"].get("deletionTimestamp")]
    if not ready:
        whose = "that observes the revision" if is_foreign else "of the revision"
        missing.append(f"No pod {whose} that serves is ready: nobody tells what was asked and answered.")
    return sorted(ready, key=lambda pod: pod["metadata"]["name"])


def _is_foreign(cluster: Cluster, name: str, revision: str) -> bool:
    """Whether its pods run an image of the user's own: by its record, as the spec may ask for another one by now."""
    records = map(from_record, cluster.revisions(name))
    return any(one.hash == revision and not one.has_own_server for one in records)


def _readings(
    cluster: Cluster, pods: Sequence[dict[str, Any]], at: datetime, missing: list[str]
) -> tuple[tuple[PodReading, ...], dict[str, Layout]]:
    """What the pods have counted, and what that means. A pod that does not answer is told once, with the reason."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        said = list(pool.map(lambda pod: _said(cluster, pod), pods))
    layouts: dict[str, Layout] = {}
    readings, failures = [], []
    for pod, one in zip(pods, said, strict=True):
        try:
            readings.append(_reading(cluster, pod, one, layouts, at))
        except AnswerError as error:
            failures.append(f"Pod {pod['metadata']['name']} could not be read: {error}")
    missing += failures[:_MOST_FAILURES]
    if len(failures) > _MOST_FAILURES:
        missing.append(f"{len(failures) - _MOST_FAILURES} more pods could not be read.")
    return tuple(readings), layouts


def _reading(
    cluster: Cluster, pod: Mapping[str, Any], said: _Said | AnswerError, layouts: dict[str, Layout], at: datetime
) -> PodReading:
    """What a pod has said, understood; a layout that is new is asked for and added to those that are known."""
    if isinstance(said, AnswerError):
        raise said
    layout = layouts.get(str(said.inputs["layout"]))
    if layout is None:
        layout = layout_in(_answered(cluster, pod, REFERENCE))
        layouts[layout.id] = layout
    reading = reading_of(said.pod, said.answers, said.inputs, layout, taken_at=at)
    try:
        for key in (*reading.answers, *reading.usual_answers):
            check_key(key)
    except ValueError as error:
        raise AnswerError(str(error)) from None
    return reading


def _said(cluster: Cluster, pod: Mapping[str, Any]) -> _Said | AnswerError:
    """What a pod has counted, or why that is not known."""
    try:
        labels = pod["metadata"]["labels"]
        target = Target.of(pod, labels.get(LABEL_OBSERVES) or labels[LABEL_REVISION])
        answers = answers_in(_answered(cluster, pod, PATH), target.revision)
        inputs = inputs_in(_answered(cluster, pod, INPUTS), target.revision)
    except AnswerError as error:
        return error
    return _Said(target, answers, inputs)


def _answered(cluster: Cluster, pod: Mapping[str, Any], path: str) -> bytes:
    try:
        return cluster.asked(pod, path)
    except KubectlError as error:
        raise AnswerError(error.message) from error
