"""What the routers and the servers said when they were last asked. Plain, frozen data.

Filled by the controller, which asks every pod; read by `plan.rollout`, which makes evidence of differences between
readings. All counts are cumulative since the process that gave them started: a smaller one is never a loss of
requests but another process, which `epoch` tells.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple, Self

from modelway.api.units import time_of
from modelway.stats.quality_counts import Labelled, Place


class PodKey(NamedTuple):
    """A pod, told apart from a later one of the same name."""

    name: str
    uid: str

    @classmethod
    def of(cls, pod: Mapping[str, Any]) -> Self:
        """The key of a pod as the API server tells it."""
        return cls(pod["metadata"]["name"], pod["metadata"]["uid"])


SHADOW: Final = "-shadow"
"""Ending of the name of the arm that counts copies of requests, and of the Envoy cluster that takes them."""


@dataclass(frozen=True, slots=True)
class ArmCounters:
    """Of one Envoy cluster (an arm of the rollout) in one router pod, since its process started.

    Attributes:
        requests: completed and aborted ones: a client that gave up is among them.
        server_errors: answers of 5xx; timeouts and resets are among them, tries that were retried are not.
        client_errors: answers of 4xx.
        at_most: (bound in milliseconds, answers that took at most so long), rising. What was never answered is in
            none of them, so slow = requests - count(at most the threshold).
        orphans: requests for which the router knew no pod at all, and which it answered itself, by 503. They are among
            `requests` and `server_errors`.
    """

    requests: int
    server_errors: int
    client_errors: int
    at_most: tuple[tuple[int, int], ...]
    orphans: int = 0


@dataclass(frozen=True, slots=True)
class RouterReading:
    """One router pod.

    Attributes:
        pod: whose reading it is.
        taken_at: when, UTC.
        epoch: changes when the process starts again; its counters begin at 0 then.
        clusters_version: the clusters that are live, as Envoy's `cds.version_text` tells.
        routes_version: the routes that are live, as its `rds.<name>.version_text` tells.
        arms: by name of the Envoy cluster: the revision's hash, or `<hash>-shadow` for mirrored copies.
        healthy: by the same names, pods that the router has found and holds for well; where an arm has clusters for
            more than one protocol, the fewest of them.
    """

    pod: PodKey
    taken_at: datetime
    epoch: str
    clusters_version: str
    routes_version: str
    arms: Mapping[str, ArmCounters]
    healthy: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServerReading:
    """One pod of our model server.

    Attributes:
        pod: whose reading it is.
        taken_at: when, UTC.
        epoch: changes when the process starts again.
        revision: hash of the revision that the pod serves.
        answers: requests by bin of their answer, one row a request: `class:<label>` or `value:<bucket index>`.
        pairs: the last sampled answers for the comparison of shadowed requests, newest last: hash of the request's
            id, label or empty, score or None.
        pairs_before: pairs of this process before the first of these, so that each has a number of its own.
        reference: counts as `answers`, of rows that the artefact's maker asked; empty where the artefact has none.
    """

    pod: PodKey
    taken_at: datetime
    epoch: str
    revision: str
    answers: Mapping[str, int]
    pairs: tuple[tuple[str, str, float | None], ...]
    pairs_before: int = 0
    reference: Mapping[str, int] = field(default_factory=dict)


class Question(NamedTuple):
    """What Prometheus is asked for one check and one revision.

    Attributes:
        check: name of the check.
        revision: hash of the revision.
        good: selector of the counters of what was good, complete as it is sent.
        total: the same of all.
    """

    check: str
    revision: str
    good: str
    total: str


@dataclass(frozen=True, slots=True)
class MetricsTarget:
    """The counters of one scraped process, as they stood at one and the same scrape.

    Attributes:
        name: the same as long as it is scraped under the same address.
        taken_at: when it was scraped, UTC.
        good: counters of what was good, by series.
        total: counters of all, by series.
    """

    name: str
    taken_at: datetime
    good: Mapping[str, int]
    total: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class MetricsReading:
    """What Prometheus answered to one question.

    Attributes:
        question: what it was asked.
        taken_at: when it was asked, UTC.
        targets: whatever it has of the revision.
        failure: why it could not be asked, for people; empty when it could.
    """

    question: Question
    taken_at: datetime
    targets: tuple[MetricsTarget, ...] = ()
    failure: str = ""


@dataclass(frozen=True, slots=True)
class LabelReading:
    """What one pod of our model server has counted of labels, of whichever revision.

    Attributes:
        pod: whose reading it is.
        taken_at: when, UTC.
        epoch: changes when the process starts again.
        window: seconds of predictions that are counted together.
        labelled: rows whose labels came, by revision, window and the labels' age.
        failure: why it could not be asked, for people; empty when it could.
    """

    pod: PodKey
    taken_at: datetime
    epoch: str = ""
    window: float = 0.0
    labelled: Mapping[Place, Labelled] = field(default_factory=dict)
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """The last reading of every pod that answered.

    Attributes:
        routers: of every router pod.
        servers: of every pod of our server.
        unreachable: pods that should have answered and did not, with the reason, for the message.
        metrics: of every question to Prometheus.
        labels: of every pod that was asked for labels.
    """

    routers: tuple[RouterReading, ...] = ()
    servers: tuple[ServerReading, ...] = ()
    unreachable: tuple[str, ...] = ()
    metrics: tuple[MetricsReading, ...] = ()
    labels: tuple[LabelReading, ...] = ()

    @property
    def by_router(self) -> dict[PodKey, RouterReading]:
        """The routers' readings by their pods."""
        return {reading.pod: reading for reading in self.routers}


class Target(NamedTuple):
    """A pod that is to be asked.

    Attributes:
        pod: which one.
        address: its IP address.
        revision: that it serves or observes; empty for a router.
        created_at: when it was made, UTC.
        is_ending: whether it is about to end.
        is_ready: whether Kubernetes calls it ready; that another one does not answer is no trouble.
    """

    pod: PodKey
    address: str
    revision: str
    created_at: datetime
    is_ending: bool = False
    is_ready: bool = True

    @classmethod
    def of(cls, pod: Mapping[str, Any], revision: str = "") -> Self:
        """A pod as the API server tells it."""
        metadata, address = pod["metadata"], pod["status"].get("podIP", "")
        is_ending = bool(metadata.get("deletionTimestamp"))
        return cls(PodKey.of(pod), address, revision, time_of(metadata["creationTimestamp"]), is_ending)

    @property
    def is_router(self) -> bool:
        """Whether it is a router; else it is a server."""
        return not self.revision


@dataclass(frozen=True, slots=True)
class Labelling:
    """Whom to ask what labels say.

    Attributes:
        targets: pods of our model server.
        since: Unix time; windows of predictions that begin earlier are of no interest.
    """

    targets: frozenset[Target]
    since: float


@dataclass(frozen=True, slots=True)
class Measuring:
    """What a plan wants to be measured.

    Attributes:
        targets: pods that are asked.
        every: how often, in seconds.
        questions: what Prometheus is asked, as often as it is worth it.
        labelling: who is asked for labels, likewise; None: nobody.
    """

    targets: frozenset[Target]
    every: float
    questions: frozenset[Question] = frozenset()
    labelling: Labelling | None = None
