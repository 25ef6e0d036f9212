"""Revisions: what makes pods what they are, hashed, and kept for as long as it may be needed again.

A revision is a ControllerRevision that holds the resolved part of the spec **and the pod template as it was rendered**.
The template is used verbatim for the revision's whole life: an operator upgrade that renders pods differently restarts
nothing. Called by `plan.plan`, first of all. Pure.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from modelway.api.kinds import CONFIG_MAP, CONTROLLER_REVISION, DEPLOYMENT
from modelway.api.monitoring_quality import DEFAULT_QUALITY_WINDOW
from modelway.api.names import (
    ANNOTATION_DIGEST,
    ANNOTATION_TEMPLATE,
    ANNOTATION_VERDICT,
    CONTAINER_FETCH,
    LABEL_REVISION,
    PIN_KEY,
)
from modelway.api.observing import Observe
from modelway.api.resource import ModelDeployment
from modelway.api.spec import Spec
from modelway.plan.canonical import digest_of, without_empty
from modelway.plan.types import Object, Observed

_HASH_VERSION: Final = "1"
"""Part of every revision's hash; a new value gives every resource a new revision, so it never changes lightly."""

_OUTSIDE_MODEL: Final = {"training_time"}
_OUTSIDE_SERVING: Final = {"replicas", "autoscaling", "revision_history_limit"}


_VERDICT: Final = re.compile(r"Rejected#([0-9]{1,9}) (.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a revision is not to serve.

    Attributes:
        attempt: number of the retry that it was.
        reason: a word and a sentence, as they stand in the history.
    """

    attempt: int
    reason: str

    @property
    def text(self) -> str:
        """The verdict as it stands on the record."""
        return f"Rejected#{self.attempt} {self.reason}"


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision of a ModelDeployment.

    Attributes:
        hash: 8 hexadecimal digits; part of the children's names.
        spec: the resolved part of the spec that entered the hash.
        template: the pod template, as rendered when the revision was first seen.
        number: grows with use; the highest is the latest.
        pinned: the digest that the operator has found and recorded, if any.
        rejection: set when it was tried and is not to be tried again.
    """

    hash: str
    spec: Mapping[str, Any]
    template: Mapping[str, Any]
    number: int
    pinned: str | None = None
    rejection: Rejection | None = None

    @property
    def version(self) -> str | None:
        """`spec.model.version`, for people."""
        return self._model.get("version")

    @property
    def digest(self) -> str | None:
        """The digest that the model must have: the spec's, else the recorded one; None until it is known."""
        return self._model.get("digest") or self.pinned

    @property
    def has_model(self) -> bool:
        """Whether a model is fetched at all; an image may bring its own."""
        containers = self.template.get("spec", {}).get("initContainers", ())
        return any(container["name"] == CONTAINER_FETCH for container in containers)

    @property
    def has_own_server(self) -> bool:
        """Whether its pods run modelway's model server, which tells what it answers."""
        return bool(self.spec) and "container" not in self.spec.get("serving", {})

    @property
    def is_pinned(self) -> bool:
        """Whether it is certain which bytes the pods hold; before that they must not answer anybody."""
        return not self.has_model or self.digest is not None

    @property
    def _model(self) -> Mapping[str, Any]:
        model: Mapping[str, Any] = self.spec.get("model", {})
        return model


def observe_of(resource: ModelDeployment, revision: Revision) -> Observe | None:
    """How `revision` is observed; None where it is not. Our own server counts by itself, whatever the spec asks for by
    now of the revision that is to follow.
    """
    return None if revision.has_own_server else resource.spec.observe


def resolved_spec(spec: Spec) -> dict[str, Any]:
    """The part of `spec` that changes what a pod serves, as plain data without empty fields."""
    serving = spec.serving.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=_OUTSIDE_SERVING)
    resolved: dict[str, Any] = {"serving": serving}
    if spec.model is not None:
        resolved["model"] = spec.model.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=_OUTSIDE_MODEL)
    if (quality := spec.quality) is not None:
        slices = {one.name: sorted(one.values) for one in quality.slices}
        resolved["feedback"] = {"window": quality.window or DEFAULT_QUALITY_WINDOW, "slices": slices}
    cleaned: dict[str, Any] = without_empty(resolved)
    return cleaned or {"container": "brings its own model"}  # of batch jobs alone; an empty record would be a lost one


def revision_hash(resolved: Mapping[str, Any]) -> str:
    """The revision's name: the first 8 hexadecimal digits of the SHA-256 of its canonical JSON."""
    return digest_of({"version": _HASH_VERSION, "spec": resolved})[:8]


def from_record(obj: Object) -> Revision:
    """The revision that a ControllerRevision holds."""
    data, metadata = obj.get("data") or {}, obj["metadata"]
    return Revision(
        hash=metadata["labels"][LABEL_REVISION],
        spec=data.get("spec", {}),
        template=data.get("template", {}),
        number=obj.get("revision", 0),
        pinned=metadata.get("annotations", {}).get(ANNOTATION_DIGEST),
        rejection=_verdict_in(metadata.get("annotations", {}).get(ANNOTATION_VERDICT, "")),
    )


def known_revisions(observed: Observed) -> dict[str, Revision]:
    """All revisions that can be used as they were, by hash.

    What the last plan has recorded counts before what stands in the cluster, where somebody may have changed or deleted
    it. A ControllerRevision that no plan of this process knows and that is gone is read back from its Deployment, so
    that losing the record changes no pod.
    """
    live = (obj for key, obj in observed.children.items() if key.kind == CONTROLLER_REVISION)
    found = {revision.hash: revision for revision in map(from_record, (*live, *observed.records))}
    for key, obj in observed.children.items():
        lost = obj["metadata"]["labels"].get(LABEL_REVISION) if key.kind == DEPLOYMENT else None
        if lost is not None and lost not in found:
            found[lost] = Revision(hash=lost, spec={}, template=obj["spec"]["template"], number=0)
    return {name: _with_verdict(observed, _with_pin(observed, revision)) for name, revision in found.items()}


def wanted_revision(
    observed: Observed, known: Mapping[str, Revision], render: Callable[[str], Mapping[str, Any]]
) -> Revision:
    """The revision that the spec asks for: an old one found again, or a new one whose template `render` makes."""
    resolved = resolved_spec(observed.resource.spec)
    name = revision_hash(resolved)
    latest = max((revision.number for revision in known.values()), default=0)
    old = known.get(name)
    if old is None:
        fresh = Revision(hash=name, spec=resolved, template=render(name), number=latest + 1)
        return _with_verdict(observed, _with_pin(observed, fresh))
    if not old.spec:  # read back from its Deployment
        rendered = render(name)
        same = _template_mark(observed, name) == digest_of(rendered)
        template = rendered if same else old.template
        found = Revision(hash=name, spec=resolved, template=template, number=latest + 1)
        return _with_verdict(observed, _with_pin(observed, found))
    if old.number == latest:
        return old
    return replace(old, number=latest + 1)


def expendable(known: Iterable[Revision], *, in_use: set[str], limit: int) -> list[Revision]:
    """Revisions to forget: all but the latest `limit` of those that nothing uses."""
    idle = sorted((revision for revision in known if revision.hash not in in_use), key=lambda r: r.number, reverse=True)
    return idle[limit:]


def _verdict_in(text: str) -> Rejection | None:
    match = _VERDICT.fullmatch(text)
    return Rejection(int(match[1]), match[2]) if match else None


def _with_verdict(observed: Observed, revision: Revision) -> Revision:
    """`revision` with what the history says became of it last: it is written first, the record afterwards."""
    for entry in observed.resource.status.history:
        if entry.revision != revision.hash or entry.result == "Superseded":
            continue
        rejected = Rejection(entry.attempt or 0, entry.reason) if entry.result == "Rejected" else None
        return replace(revision, rejection=rejected)
    return revision


def _with_pin(observed: Observed, revision: Revision) -> Revision:
    """`revision` with the digest that was found for it, when its record does not say so (any more).

    A process may have been killed after the status was written and before the record was, or somebody has deleted the
    record: the pin outlives both.
    """
    if revision.digest is not None:
        return revision
    status = observed.resource.status
    for role in (status.stable, status.candidate):
        if role is not None and role.revision == revision.hash and role.digest:
            return replace(revision, pinned=role.digest)
    for key, obj in observed.children.items():
        if key.kind == CONFIG_MAP and obj["metadata"]["labels"].get(LABEL_REVISION) == revision.hash:
            return replace(revision, pinned=(obj.get("data") or {}).get(PIN_KEY))
    return revision


def _template_mark(observed: Observed, revision: str) -> str | None:
    for key, obj in observed.children.items():
        if key.kind == DEPLOYMENT and obj["metadata"]["labels"].get(LABEL_REVISION) == revision:
            mark: str | None = obj["metadata"].get("annotations", {}).get(ANNOTATION_TEMPLATE)
            return mark
    return None
