"""The simulated cluster with routers, requests and counters: what Envoy and the kubelet would do, at the test's word.

Routers take their files from the ConfigMap when their annotation tells the kubelet to look; requests go where the files
that a router has taken say; each request is counted where it went. Nothing here knows what the plan intends.
"""

from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, NamedTuple

import orjson

from modelway.api.kinds import CONFIG_MAP, SERVICE
from modelway.api.names import ANNOTATION_ROUTING, LABEL_REVISION, child_name
from modelway.plan import ChildKey, Object, PodKey
from modelway.plan.measured import (
    ArmCounters,
    LabelReading,
    Measured,
    MetricsReading,
    MetricsTarget,
    RouterReading,
    ServerReading,
)
from modelway.plan.routing.envoy import THRESHOLDS
from modelway.stats.quality_counts import Labelled, Place, age_of
from support.builders import NAME, spec
from support.simulation import Simulation, is_ready, is_router

LOOK_SECONDS = 10.0
STEPS: list[Object] = [{"name": "five", "weight": 5}, {"name": "quarter", "weight": 25}, {"name": "half", "weight": 50}]
ERRORS: Object = {"name": "errors", "errorRate": {"maxIncrease": "1%"}}


@dataclass
class Behaviour:
    """How a revision answers: shares of its requests, and classes by their shares.

    `differs` is of copies: how often its class is another than that which the user hears; None: by chance. `unhappy` is
    what the model's own counters do not count as good. `wrong` is how many labels say that the answer was; None: no
    label ever comes.
    """

    errors: float = 0.0
    slow: float = 0.0
    classes: dict[str, float] = field(default_factory=dict)
    differs: float | None = None
    unhappy: float = 0.0
    wrong: float | None = None


class Answer(NamedTuple):
    """Which pod has answered, and the class."""

    pod: str
    label: str


@dataclass
class Router:
    """What one router's process has taken and counted."""

    epoch: str
    versions: tuple[str, str] = ("", "")
    weights: tuple[tuple[str, int], ...] = ()
    shadow: tuple[str, float] | None = None
    counted: dict[str, list[int]] = field(default_factory=dict)
    found: dict[str, int] = field(default_factory=dict)
    """Pods of each revision that it knows of, and sends requests to."""
    named: dict[str, int] = field(default_factory=dict)
    """The same as DNS tells by now; known when it is asked the next time."""


class RoutedSimulation(Simulation):
    """The cluster of a ModelDeployment whose requests go through routers."""

    def __init__(self, given: Object | None = None, *, seed: int = 1, **more: Any) -> None:
        super().__init__(given or rollout_spec(), **more)
        self.random = Random(seed)
        self.routers: dict[str, Router] = {}
        self.past: list[dict[str, list[int]]] = []
        """What routers had counted that are gone."""
        self.behaviours: dict[str, Behaviour] = {}
        self.usual = Behaviour()
        """How revisions answer of which nothing else was said."""
        self.answered: dict[str, dict[str, int]] = {}
        self.rings: dict[str, list[tuple[str, str, None]]] = {}
        """Of each pod: what it has answered to requests that were mirrored."""
        self.own_counters: dict[str, list[int]] = {}
        """Of each pod: what it counts itself, all and good."""
        self.is_scraped = True
        """Whether Prometheus knows the pods."""
        self.metrics_failure = ""
        """Why Prometheus does not answer."""
        self.labels: dict[str, Counter[tuple[Place, bool]]] = {}
        """Of each pod: labels that it was sent, by place and whether they were right."""
        self.label_window = 60.0
        self.labels_take = 0.0
        """Seconds from a prediction to its label."""
        self.labels_failure = ""
        """Why no pod tells of its labels."""
        self._to_come: deque[tuple[datetime, datetime, str, bool]] = deque()
        self._labelling = Random(seed)
        self.mirrored = 0
        """Requests of which the candidate got a copy."""
        self._apart = Random(seed)
        self.served: dict[str, int] = {}
        """Users' requests that each revision has answered, ever; what the rollout may have cost."""
        self.lost = 0
        """Users' requests that nobody could answer."""
        self.dns_lags = False
        """Routers hear nothing of pods that come or go."""
        self._epochs = 0
        self._ready: dict[str, list[str]] = {}

    # What happens

    def take_files(self) -> None:
        """The kubelets of routers that were told to look bring the files; the routers take them."""
        live = self.children.get(ChildKey(CONFIG_MAP, child_name(NAME, "router")))
        for name in [name for name in self.routers if name not in self.pods]:
            self.past.append(self.routers.pop(name).counted)
        if live is None:
            return
        versions = versions_in(live)
        for name, pod in self.pods.items():
            if not is_router(pod) or pod["status"].get("phase") != "Running":
                continue
            is_new = name not in self.routers  # it has started with the files as they are
            told = pod["metadata"].get("annotations", {}).get(ANNOTATION_ROUTING, "").startswith(".".join(versions))
            router = self.routers.setdefault(name, Router(self._next_epoch()))
            if is_new or told:
                router.versions = versions
                router.weights, router.shadow = read_routes(live)
            if is_new:
                router.found = router.named = self._ready_pods()

    def call_unready(self, name: str) -> None:
        """Kubernetes calls a router unready that goes on working: its node could not report."""
        self._set_status(name, conditions=[{"type": "Ready", "status": "False"}])

    def requests(self, number: int) -> None:
        """So many users' requests, through whatever the Service leads to, by chance."""
        service = self.children.get(ChildKey(SERVICE, NAME))
        if service is None:
            self.lost += number
            return
        direct = service["spec"]["selector"].get(LABEL_REVISION)
        self._ready = {}
        working = [name for name in self.pods if name in self.routers]
        for index in range(number):
            if direct is not None:
                self._answer(direct, None)
            elif not working:
                self.lost += 1
            else:
                self._through(self.routers[working[index % len(working)]])

    def read(self, *, without: str | None = None) -> None:
        """The operator asks all routers and servers; the pod `without` does not answer."""
        routers, servers, unreachable = [], [], []
        for name, pod in self.pods.items():
            key = PodKey(name, pod["metadata"]["uid"])
            if name == without and is_ready(pod):
                unreachable.append(f"{name}: no answer within 2 s")
            elif name in self.routers:
                router = self.routers[name]
                arms = {arm: _counters(counted) for arm, counted in router.counted.items()}
                if not self.dns_lags:
                    router.found, router.named = router.named, self._ready_pods()
                routers.append(RouterReading(key, self.now, router.epoch, *router.versions, arms, router.found))
            elif not is_router(pod) and is_ready(pod):
                revision = pod["metadata"]["labels"][LABEL_REVISION]
                answers = dict(self.answered.get(name, {}))
                ring = self.rings.get(name, [])
                before = max(0, len(ring) - 200)
                pairs = tuple(ring[before:])
                servers.append(ServerReading(key, self.now, f"epoch-of-{name}", revision, answers, pairs, before))
        metrics, labels = self._metrics(), self._labels_read()
        self.measured = Measured(tuple(routers), tuple(servers), tuple(unreachable), metrics, labels)

    def deliver_labels(self) -> None:
        """Labels whose time has come are sent to some pod, whichever revision it serves."""
        ready = [name for name, pod in self.pods.items() if not is_router(pod) and is_ready(pod)]
        while ready and self._to_come and self._to_come[0][0] <= self.now:
            _, when, revision, is_right = self._to_come.popleft()
            age = age_of((self.now - when).total_seconds(), self.label_window)
            place = Place(revision, int(when.timestamp() // self.label_window), age)
            self.labels.setdefault(self._labelling.choice(ready), Counter())[place, is_right] += 1

    def labels_of(self, revision: str) -> int:
        """Labels of its predictions that any pod was ever sent."""
        return sum(n for sent in self.labels.values() for (place, _), n in sent.items() if place.revision == revision)

    def _labels_read(self) -> tuple[LabelReading, ...]:
        """What the pods tell that the last look wanted to be asked."""
        self.deliver_labels()
        measuring = self.last.measuring if self.last is not None else None
        found = []
        for name, pod in self.pods.items():
            if measuring is None or measuring.labelling is None or is_router(pod) or not is_ready(pod):
                continue
            key = PodKey(name, pod["metadata"]["uid"])
            if self.labels_failure:
                found.append(LabelReading(key, self.now, failure=f"pod {name}: {self.labels_failure}"))
                continue
            told: dict[Place, Labelled] = {}
            for (place, is_right), rows in self.labels.get(name, Counter()).items():
                told[place] = told.get(place, Labelled()) + Labelled(rows, rows if is_right else 0)
            found.append(LabelReading(key, self.now, f"epoch-of-{name}", self.label_window, told))
        return tuple(found)

    def _metrics(self) -> tuple[MetricsReading, ...]:
        """What Prometheus tells of each question of the last look: it has just scraped all pods."""
        measuring = self.last.measuring if self.last is not None else None
        found = []
        for question in sorted(measuring.questions) if measuring is not None else ():
            counted = {name: self.own_counters.get(name) for name in self.pods_of(question.revision)}
            targets = tuple(
                MetricsTarget(name, self.now, {"good": one[1]}, {"total": one[0]})
                for name, one in counted.items()
                if one is not None and self.is_scraped
            )
            failure = self.metrics_failure
            found.append(MetricsReading(question, self.now, () if failure else targets, failure))
        return tuple(found)

    def restart_router(self, name: str) -> None:
        """The process of a router starts again: it takes the files as they are, and counts from 0."""
        if name in self.routers:
            self.past.append(self.routers.pop(name).counted)
        self.take_files()

    def crash(self, name: str, *, reason: str = "Error") -> None:
        """The server in the pod `name` ends and is started again."""
        status = self.pods[name]["status"]
        container = dict(status["containerStatuses"][0])
        container["restartCount"] = container.get("restartCount", 0) + 1
        container["lastState"] = {"terminated": {"exitCode": 1, "reason": reason}}
        self._set_status(name, containerStatuses=[container])

    def restart_operator(self) -> None:
        """Another process of the operator takes over, and remembers nothing."""
        self.records, self.ledger, self.measured = (), None, Measured()

    def settle_routed(self, *, rounds: int = 40) -> None:
        """Let pods, files and readings follow until nothing changes; little time passes and no request comes."""
        calm = 0
        for _ in range(rounds):
            before = (
                dict(self.children),
                dict(self.pods),
                self.resource.get("status", {}),
            )
            self.run()
            self.take_files()
            self.read()
            calm = calm + 1 if before == (self.children, self.pods, self.resource.get("status", {})) else 0
            if calm == 2:  # what was read last has been looked at
                return
            self.tick(0.5)
        raise AssertionError(f"still restless after {rounds} rounds; last writes: {self.writes[-12:]}")

    def period(self, requests: int = 100, *, seconds: float = LOOK_SECONDS) -> None:
        """Time passes with requests, and the operator reads and looks as it does."""
        self.requests(requests)
        self.tick(seconds)
        self.read()
        self.run()
        for _ in range(6):  # what is on its way is read more often
            if self._is_live() and self.last is not None and not self.last.touches and not self.last.decides:
                break
            self.tick(0.5)
            self.take_files()
            self.read()
            self.run()

    def behave(self, revision: str | None, **shares: Any) -> None:
        """How `revision` answers from now on."""
        assert revision is not None
        self.behaviours[revision] = Behaviour(**shares)

    def pass_until(self, state: str, *, requests: int = 200, periods: int = 300) -> None:
        """Periods until the rollout is in `state`."""
        for _ in range(periods):
            if self.state == state:
                return
            self.period(requests)
        raise AssertionError(f"{self.status.rollout} after {periods} periods, not {state}")

    # What tests ask

    @property
    def state(self) -> str | None:
        return self.status.rollout.state if self.status.rollout else None

    @property
    def reason(self) -> str | None:
        return self.status.rollout.reason if self.status.rollout else None

    @property
    def step(self) -> str | None:
        return self.status.rollout.step if self.status.rollout else None

    @property
    def weight(self) -> int | None:
        return self.status.rollout.weight if self.status.rollout else None

    def weight_of(self, revision: str | None) -> int:
        """The most that any router sends to `revision`."""
        return max((dict(router.weights).get(revision or "", 0) for router in self.routers.values()), default=0)

    def annotate(self, **given: str | None) -> None:
        """Set annotations of modelway.dev, as a human does; None takes one away."""
        metadata = self.resource["metadata"]
        old = metadata.get("annotations", {})
        fresh = {f"modelway.dev/{name}": value for name, value in given.items()}
        annotations = {name: value for name, value in (old | fresh).items() if value is not None}
        self.resource = self.resource | {"metadata": metadata | {"annotations": annotations}}
        self._touch()

    # Inside

    def _is_live(self) -> bool:
        live = self.children.get(ChildKey(CONFIG_MAP, child_name(NAME, "router")))
        if live is None:
            return True
        versions = versions_in(live)
        running = [name for name, pod in self.pods.items() if is_router(pod) and is_ready(pod)]
        return self.routers.keys() >= {*running} and all(one.versions == versions for one in self.routers.values())

    def _ready_pods(self) -> dict[str, int]:
        ready = (pod for pod in self.pods.values() if not is_router(pod) and is_ready(pod))
        return dict(Counter(pod["metadata"]["labels"][LABEL_REVISION] for pod in ready))

    def _through(self, router: Router) -> None:
        draw, chosen = self.random.random() * 100, ""
        for chosen, weight in router.weights:  # noqa: B007 - the last one takes what is left
            if draw < weight:
                break
            draw -= weight
        if not chosen:
            self.lost += 1
            return
        arm = router.counted.setdefault(chosen, [0] * (4 + len(THRESHOLDS)))
        answer = self._answer(chosen, arm, is_found=router.found.get(chosen, 0) > 0)
        if router.shadow is not None and self.random.random() < router.shadow[1]:
            name = router.shadow[0]
            arm = router.counted.setdefault(f"{name}-shadow", [0] * (4 + len(THRESHOLDS)))
            self._pair(answer, self._answer(name, arm, is_copy=True, told=answer))

    def _pair(self, answer: Answer | None, copy: Answer | None) -> None:
        """Both servers remember what they have answered to a mirrored request."""
        self.mirrored += 1
        for one in (answer, copy):
            if one is not None:
                self.rings.setdefault(one.pod, []).append((f"id{self.mirrored}", one.label, None))

    def _answer(
        self,
        revision: str,
        counted: list[int] | None,
        *,
        is_copy: bool = False,
        is_found: bool = True,
        told: Answer | None = None,
    ) -> Answer | None:
        """One request is answered; `told` is what the user hears where this is a copy."""
        behaviour = self.behaviours.get(revision, self.usual)
        if revision not in self._ready:
            self._ready[revision] = [name for name in self.pods_of(revision) if is_ready(self.pods[name])]
        pods = self._ready[revision] if is_found else []
        failed = not pods or self.random.random() < behaviour.errors
        if not is_copy:
            self.served[revision] = self.served.get(revision, 0) + 1
            self.lost += not pods
        answer = None
        if pods and not failed and behaviour.classes:
            answer = self._classified(behaviour, pods, told)
            answered = self.answered.setdefault(answer.pod, {})
            answered[f"class:{answer.label}"] = answered.get(f"class:{answer.label}", 0) + 1
        if pods:
            own = self.own_counters.setdefault(self._apart.choice(pods), [0, 0])
            own[0] += 1
            own[1] += not failed and self._apart.random() >= behaviour.unhappy
        if pods and not failed and not is_copy and behaviour.wrong is not None:
            is_right = self._labelling.random() >= behaviour.wrong
            self._to_come.append((self.now + timedelta(seconds=self.labels_take), self.now, revision, is_right))
        if counted is None:
            return answer
        took = 20_000 if self.random.random() < behaviour.slow else 20
        counted[0] += 1
        counted[1] += failed
        for index, bound in enumerate(THRESHOLDS):
            counted[3 + index] += took <= bound
        counted[-1] += not pods
        return answer

    def _classified(self, behaviour: Behaviour, pods: list[str], told: Answer | None) -> Answer:
        label = self.random.choices(list(behaviour.classes), list(behaviour.classes.values()))[0]
        if told is not None and behaviour.differs is not None:
            others = [name for name in behaviour.classes if name != told.label]
            label = self._apart.choice(others) if self._apart.random() < behaviour.differs else told.label
        return Answer(self.random.choice(pods), label)

    def _next_epoch(self) -> str:
        self._epochs += 1
        return f"epoch-{self._epochs}"


def rollout_spec(**fields: Any) -> Object:
    """A spec with three weights and a check of errors; `fields` as of `builders.spec`."""
    return spec(**({"model__version": "1", "rollout": {"steps": STEPS, "checks": [ERRORS]}} | fields))


def begun(given: Object | None = None, *, seed: int = 1) -> RoutedSimulation:
    """Version 1 serves through routers, version 2 is asked for and has its first weight."""
    world = RoutedSimulation(given, seed=seed)
    world.settle_routed()
    world.behave(world.stable)
    world.period(500)
    world.edit(model__version="2")
    world.settle_routed()
    return world


def versions_in(config_map: Object) -> tuple[str, str]:
    """The versions of the two files that routers watch."""
    clusters, routes = (orjson.loads(config_map["data"][file]) for file in ("clusters.json", "routes.json"))
    return clusters["version_info"], routes["version_info"]


def read_routes(config_map: Object) -> tuple[tuple[tuple[str, int], ...], tuple[str, float] | None]:
    """Weights of the last route, which is that of plain HTTP, and who gets which share of copies."""
    routes = orjson.loads(config_map["data"]["routes.json"])
    found = routes["resources"][0]["virtual_hosts"][0]["routes"]
    action = found[-1]["route"]
    weights = tuple((one["name"], one["weight"]) for one in action.get("weighted_clusters", {}).get("clusters", ()))
    shadow = None
    for route in found:
        for mirror in route.get("route", {}).get("request_mirror_policies", ()):
            if not mirror["cluster"].endswith("-grpc"):
                share = route["match"]["runtime_fraction"]["default_value"]["numerator"] / 1_000_000
                shadow = mirror["cluster"].removesuffix("-shadow"), share
    return weights or ((action["cluster"], 100),), shadow


def _counters(counted: list[int]) -> ArmCounters:
    return ArmCounters(
        counted[0], counted[1], counted[2], tuple(zip(THRESHOLDS, counted[3:-1], strict=True)), counted[-1]
    )
