"""Whatever happens in a rollout, in whatever order: what must always hold, and that it always ends.

A hypothesis state machine drives a simulated cluster with routers, requests and counters: versions come and fail,
kubelets and readings are late, pods break, crash and come back, humans approve, promote, abort and retry, children are
deleted, the operator is killed between any two writes and starts again with nothing but what it has written. Left
alone in the end, the spec's revision serves, or is rejected.
"""

from dataclasses import replace
from typing import Any, ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from modelway.api.kinds import CONFIG_MAP, CONTROLLER_REVISION, DEPLOYMENT
from modelway.api.names import child_name
from modelway.plan import ChildKey, Object, Observed, Plan, PodKey
from modelway.plan.rollout.decide import position
from modelway.plan.rollout.ledger import content_of, ledger_from
from modelway.plan.routing import ready_routers
from support.builders import NAME
from support.routed import ERRORS, Behaviour, RoutedSimulation, read_routes, rollout_spec, versions_in
from support.simulation import deployment_key

STEPS = [
    {"name": "copies", "shadow": {"percent": "30%"}},
    {"name": "ten", "weight": 10, "minRequests": 20},
    {"name": "rest", "pause": {"duration": "30s"}},
    {"name": "half", "weight": 50},
]
_SPEC = rollout_spec(rollout={"steps": STEPS, "checks": [ERRORS], "watchAfter": "2m"}, serving__startupTimeout="30s")
_KILLED_AFTER = st.none() | st.integers(0, 8)


class RolloutLife(RuleBasedStateMachine):
    spec: ClassVar[Object] = _SPEC
    usual: ClassVar[Behaviour] = Behaviour()
    simulation: ClassVar[type[RoutedSimulation]] = RoutedSimulation

    def __init__(self) -> None:
        super().__init__()
        self.world = self.simulation(self.spec)
        self.world.usual = self.usual
        self.world.settle_routed()
        self.rejected: dict[str, int] = {}

    # What users do

    @rule(version=st.sampled_from(["1", "2", "3"]))
    def edits_the_version(self, version: str) -> None:
        self.world.edit(model__version=version)

    @rule(paused=st.sampled_from([True, None]))
    def pauses_or_goes_on(self, paused: bool | None) -> None:
        self.world.edit(paused=paused)

    @rule(word=st.sampled_from(["promote", "abort", "approve"]), role=st.sampled_from(["candidate", "stable", None]))
    def says_a_word(self, word: str, role: str | None) -> None:
        self.world.annotate(**{word: getattr(self.world, role) if role else None})

    @precondition(lambda self: self.world.status.rollout is not None)
    @rule(number=st.integers(1, 3))
    def retries(self, number: int) -> None:
        if revision := self.world.status.rollout.revision:
            self.world.annotate(retry=f"{revision}#{number}")

    @precondition(lambda self: self.world.children)
    @rule(data=st.data())
    def deletes_a_child(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.world.children, key=_by_name)), label="child")
        self.world.delete(key)

    @rule(number=st.integers(1, 80))
    def sends_requests(self, number: int) -> None:
        self.world.requests(number)

    # What Kubernetes, models and routers do

    @rule(role=st.sampled_from(["candidate", "stable"]), errors=st.sampled_from([0.0, 0.0, 0.6]))
    def answers_well_or_badly(self, role: str, errors: float) -> None:
        if (revision := getattr(self.world, role)) is not None:
            self.world.behaviours[revision] = replace(self.usual, errors=errors)

    @rule()
    def pods_get_ready(self) -> None:
        self.world.run_deployments()
        for name in list(self.world.pods):
            self.world.fetch(name)
            self.world.make_ready(name)
        self.world.run_deployments()

    @precondition(lambda self: self.world.candidate and self.world.pods_of(self.world.candidate))
    @rule(what=st.sampled_from(["break_down", "crash"]))
    def a_pod_of_the_candidate_has_trouble(self, what: str) -> None:
        name = self.world.pods_of(self.world.candidate)[0]
        if self.world.pods[name]["status"]["containerStatuses"]:
            getattr(self.world, what)(name)
            self.world.run_deployments()

    @rule()
    def files_reach_the_routers(self) -> None:
        self.world.take_files()

    @precondition(lambda self: self.world.routers)
    @rule()
    def a_router_starts_again(self) -> None:
        self.world.restart_router(min(self.world.routers))

    @precondition(lambda self: self.world.routers.keys() & self.world.pods.keys())
    @rule()
    def kubernetes_calls_a_router_unready(self) -> None:
        self.world.call_unready(min(self.world.routers.keys() & self.world.pods.keys()))

    @rule(seconds=st.sampled_from([0.5, 10, 45, 100]))
    def time_passes(self, seconds: float) -> None:
        self.world.tick(seconds)

    # What the operator does

    @rule(one_is_silent=st.booleans())
    def reads(self, one_is_silent: bool) -> None:
        silent = min(self.world.routers, default=None) if one_is_silent else None
        self.world.read(without=silent)

    @rule(writes=_KILLED_AFTER)
    def looks(self, writes: int | None) -> None:
        self._look(writes)

    @rule(periods=st.integers(1, 4), number=st.integers(0, 120))
    def goes_on_for_a_while(self, periods: int, number: int) -> None:
        for _ in range(periods):
            self.world.requests(number)
            self.world.tick(10)
            self.pods_get_ready()
            self.world.take_files()
            self.world.read()
            self._look(None)
            self.world.tick(0.5)
            self.world.take_files()
            self.world.read()
            self._look(None)

    @rule()
    def is_restarted(self) -> None:
        self.world.restart_operator()

    # What always holds

    def _look(self, writes: int | None) -> None:
        world, seen, before = self.world, self.world.observed(), self.world.status
        known = _counted(seen)
        weights = self._weights()
        already = len(world.writes)
        plan = world.look(writes=writes)
        self._check_order(before, plan, world.writes[already:])
        self._check_weights(weights, seen)
        self._check_candidate(before)
        self._check_capacity(plan)
        self._check_evidence(known, seen, plan)
        self._check_rejected(seen)

    def _weights(self) -> dict[str, int]:
        """What the files say that routers are to take."""
        world, asked = self.world, {}
        live_map = world.children.get(ChildKey(CONFIG_MAP, child_name(NAME, "router")))
        if live_map is not None:
            asked = dict(read_routes(live_map)[0])
        return asked

    def _check_order(self, before: Any, plan: Plan, writes: list[str]) -> None:
        """A decision is written before anything is done about it."""
        roles = (before.stable and before.stable.revision, before.candidate and before.candidate.revision)
        now = plan.status
        after = (now.stable and now.stable.revision, now.candidate and now.candidate.revision)
        if writes and (roles, position(before.rollout)) != (after, position(now.rollout)):
            assert writes[0] == "status"

    def _check_weights(self, before: dict[str, int], seen: Observed) -> None:
        """Pods before weight: files give a revision more requests only when its pods were ready.

        Unless nobody is left to wait behind: of who had them neither pods nor record are there.
        """
        world = self.world
        if not any({deployment_key(one), _record_key(one)} & seen.children.keys() for one in before):
            return
        for revision, weight in self._weights().items():
            if weight <= before.get(revision, 0) or revision == world.stable:
                continue
            deployment = seen.children.get(deployment_key(revision))
            assert deployment is not None, f"{revision} has {weight} % and no Deployment"
            assert deployment["status"]["readyReplicas"] >= 2, f"{revision} has {weight} % and no pods"

    def _check_candidate(self, before: Any) -> None:
        """Weight 0 before the candidate changes, and weight before pods."""
        world = self.world
        old = before.candidate.revision if before.candidate else None
        if old not in {None, world.candidate, world.stable}:
            assert self._sent_to(old) == 0, f"{old} was taken off while routers sent it requests"
        for pod in {revision for router in world.routers.values() for revision, _ in router.weights}:
            if self._sent_to(pod) and deployment_key(pod) in world.children and pod in {old, world.candidate}:
                assert world.replicas(pod) > 0, f"{pod} lost its pods while routers sent it requests"

    def _sent_to(self, revision: str | None) -> int:
        found = [dict(router.weights) for name, router in self.world.routers.items() if name in self.world.pods]
        return max((weights.get(revision or "", 0) for weights in found), default=0)

    def _check_capacity(self, plan: Plan) -> None:
        """While there is a candidate the stable revision is asked to have all its pods."""
        world = self.world
        if world.stable is None or world.candidate is None:
            return
        for child in plan.children:
            if child.kind == DEPLOYMENT and child.key.name == child_name(NAME, world.stable):
                assert child.replicas is None or child.replicas >= 2

    def _check_evidence(self, before: int, seen: Observed, plan: Plan) -> None:
        """Nothing is counted twice, nor while it is uncertain what the routers do; and what is written can be read."""
        world, ledger = self.world, plan.ledger
        if ledger is None:
            return
        written = ledger_from(content_of(ledger))
        assert written is not None
        assert content_of(written) == content_of(ledger)
        counted = ledger.evidence["errors"].candidate.requests if "errors" in ledger.evidence else 0
        ever = sum(
            arm[0] for router in _ever(world) for name, arm in router.items() if name.startswith(ledger.candidate)
        )
        assert counted <= ever, "more was counted than there was"
        if counted > before and seen.ledger is not None and seen.ledger.is_of(ledger.stable, ledger.candidate):
            found = seen.children[ChildKey(CONFIG_MAP, child_name(NAME, "router"))]
            taken = {(one.clusters_version, one.routes_version) for one in seen.measured.routers}
            assert taken == {versions_in(found)}, "counted while some router had something else"
            asked = {one.pod for one in seen.measured.routers}
            assert asked >= {PodKey.of(pod) for pod in ready_routers(seen.pods)}

    def _check_rejected(self, seen: Observed) -> None:
        """A rejected revision stays rejected until a human wants it tried again."""
        world, annotations = self.world, seen.resource.metadata.annotations
        candidate = world.candidate
        is_leaving = world.state == "RollingBack"
        if candidate in self.rejected and not is_leaving:
            retry = annotations.get("modelway.dev/retry", "")
            is_asked = retry.startswith(f"{candidate}#") and int(retry.split("#")[1]) > self.rejected[candidate]
            is_asked = is_asked or annotations.get("modelway.dev/promote") == candidate
            assert is_asked, f"{candidate} was rejected and is tried again"
        for entry in reversed(world.status.history):
            if entry.result == "Rejected":
                self.rejected[entry.revision] = entry.attempt or 0
            elif entry.result == "Promoted":
                self.rejected.pop(entry.revision, None)

    def teardown(self) -> None:
        """Left alone, and with models that answer well, it ends: the spec's revision serves, or it was rejected."""
        world = self.world
        world.edit(paused=None)
        world.annotate(abort=None, promote=None, approve=None, retry=None)
        world.behaviours.clear()
        for _ in range(400):  # what it did badly before takes a while to outweigh
            world.period(120)
            if world.state in {"Stable", "Rejected"} and world.candidate is None:
                break
        assert world.candidate is None, f"{world.status.rollout} never ends; last writes {world.writes[-10:]}"
        world.tick(200)
        world.settle_routed()
        written = len(world.writes)
        world.look()
        assert world.writes[written:] == [], "at rest there is nothing to write"
        assert self._sent_to(world.stable) == 100
        lost = world.lost
        world.requests(20)
        assert world.lost == lost


def _record_key(revision: str) -> ChildKey:
    return ChildKey(CONTROLLER_REVISION, child_name(NAME, revision))


def _by_name(key: ChildKey) -> tuple[str, str]:
    return key.kind.name, key.name


def _counted(seen: Observed) -> int:
    ledger = seen.ledger
    return (
        int(ledger.evidence["errors"].candidate.requests) if ledger is not None and "errors" in ledger.evidence else 0
    )


def _ever(world: RoutedSimulation) -> list[dict[str, list[int]]]:
    """All that routers have ever counted, those that are gone among them."""
    return [*world.past, *(router.counted for router in world.routers.values())]


TestRolloutLife = RolloutLife.TestCase
TestRolloutLife.settings = settings(stateful_step_count=25)
