"""Whatever happens, in whatever order: what must always hold, and that it always ends well.

A hypothesis state machine drives a simulated cluster: users edit the spec and delete children, pods fetch, get ready
and break, autoscalers scale, the artefact changes at its source, the operator looks late, looks at old pictures, is
killed between any two writes and is upgraded. After every step the invariants are checked, and in the end, left alone,
everything has to come to rest where the spec says.
"""

from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from modelway.api.kinds import AUTOSCALER, CONFIG_MAP, CONTROLLER_REVISION, DEPLOYMENT
from modelway.api.names import child_name
from modelway.plan import ChildKey, Observed, Plan
from modelway.plan.pods import DRAIN_SECONDS
from support.builders import DIGEST, NAME, OTHER_DIGEST, SETTINGS, spec
from support.simulation import Simulation, deployment_key, dumped, is_ready

_KEPT_HISTORY = 10
_UPGRADED = replace(SETTINGS, server_image="modelway.dev/server:2")
_REPLICAS = st.sampled_from([None, 0, 1, 2, 3])
_AUTOSCALING = st.sampled_from([{"maxReplicas": 3}, {"minReplicas": 2, "maxReplicas": 4}])
_KILLED_AFTER = st.none() | st.integers(0, 7)


class Life(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = Simulation(spec(model__digest=None))
        self.picture = self.world.observed()
        self.templates: dict[str, Any] = {}
        self.pins: dict[str, str] = {}

    # What users do

    @rule(version=st.sampled_from(["1", "2", "3"]))
    def edits_the_version(self, version: str) -> None:
        self.world.edit(model__version=version)

    @rule(replicas=_REPLICAS)
    def asks_for_replicas(self, replicas: int | None) -> None:
        self.world.edit(serving__autoscaling=None, serving__replicas=replicas)

    @rule(autoscaling=_AUTOSCALING)
    def asks_for_autoscaling(self, autoscaling: Any) -> None:
        self.world.edit(serving__autoscaling=autoscaling, serving__replicas=None)

    @rule(paused=st.sampled_from([True, None]))
    def pauses_or_goes_on(self, paused: bool | None) -> None:
        self.world.edit(paused=paused)

    @rule(limit=st.sampled_from([None, 0, 1]))
    def limits_the_history(self, limit: int | None) -> None:
        self.world.edit(serving__revisionHistoryLimit=limit)

    @precondition(lambda self: self.world.children)
    @rule(data=st.data())
    def deletes_a_child(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.world.children, key=_by_name)), label="child")
        self.world.delete(key)

    @precondition(lambda self: self.world.names(DEPLOYMENT))
    @rule(data=st.data(), replicas=st.integers(0, 4))
    def scales_a_deployment(self, data: st.DataObject, replicas: int) -> None:
        name = data.draw(st.sampled_from(self.world.names(DEPLOYMENT)), label="deployment")
        if name in self.world.names(AUTOSCALER):
            replicas = max(replicas, 1)  # with 0 a user switches an autoscaler off, and that stays
        self.world.scale(name, replicas)

    @rule(digest=st.sampled_from([DIGEST, OTHER_DIGEST]))
    def overwrites_the_artefact(self, digest: str) -> None:
        self.world.artifacts["s3://models/fraud/1/"] = digest

    # What Kubernetes does

    @rule()
    def deployments_run(self) -> None:
        self.world.run_deployments()

    @rule(wanted=st.integers(1, 5))
    def autoscalers_run(self, wanted: int) -> None:
        self.world.autoscale(wanted)

    @precondition(lambda self: self.world.pods)
    @rule(data=st.data(), what=st.sampled_from(["fetch", "make_ready", "break_down"]))
    def a_pod_goes_on(self, data: st.DataObject, what: str) -> None:
        getattr(self.world, what)(data.draw(st.sampled_from(sorted(self.world.pods)), label="pod"))
        self.world.run_deployments()

    @rule()
    def all_pods_get_ready(self) -> None:
        self.world.run_deployments()
        for name in self.world.pods:
            self.world.fetch(name)
            self.world.make_ready(name)
        self.world.run_deployments()

    @rule(seconds=st.sampled_from([0.4, 3, DRAIN_SECONDS, 600]))
    def time_passes(self, seconds: float) -> None:
        self.world.tick(seconds)

    # What the operator does

    @rule(writes=_KILLED_AFTER)
    def looks(self, writes: int | None) -> None:
        self._look(self.world.observed(), writes)

    @rule()
    def takes_a_picture(self) -> None:
        self.picture = self.world.observed()

    @rule(writes=_KILLED_AFTER)
    def looks_at_the_old_picture(self, writes: int | None) -> None:
        """Watches lag, but the operator knows what it has said itself: the status is never old, the rest may be."""
        now = self.world.observed()
        current = self.picture.resource.status == now.resource.status
        self._look(replace(self.picture, resource=self.picture.resource if current else now.resource), writes)

    @rule(image=st.sampled_from([SETTINGS, _UPGRADED]))
    def is_restarted_or_upgraded(self, image: Any) -> None:
        """It lists everything before it looks, and remembers nothing."""
        self.world.settings = image
        self.world.records = ()
        self.picture = self.world.observed()

    # What always holds

    def _look(self, seen: Observed, writes: int | None) -> None:
        world, before = self.world, dumped(self.world.status)
        front, already, when = world.front, len(world.writes), world.now
        fleet = {key.name: obj["spec"]["replicas"] for key, obj in world.children.items() if key.kind == DEPLOYMENT}
        plan = world.look(observed=seen, writes=writes)
        assert plan == world_plan(world, seen, when), "the same picture gives the same plan"
        self._check_decision(before, seen)
        self._check_front(front)
        self._check_drain(seen, plan, fleet, world.writes[already:])

    def _check_decision(self, before: Any, seen: Observed) -> None:
        """A revision takes over when all its pods are ready; every decision stands in the history, once."""
        world, old_stable, old_candidate = self.world, _revision(before, "stable"), _revision(before, "candidate")
        told = list(before.get("history", []))  # two decisions of one second may look the same, and are two
        fresh = [entry for entry in world.status.history if not _taken_from(told, dumped_entry(entry))]
        assert len(world.status.history) <= _KEPT_HISTORY
        expected = []
        if old_candidate not in {None, world.candidate, world.stable} and _is_left(seen, old_candidate):
            is_late = any((entry.revision, entry.result) == (old_candidate, "Rejected") for entry in fresh)
            expected.append((old_candidate, "Rejected" if is_late else "Superseded"))
            assert not is_late or (old_stable is not None and _has_broken_pod(seen, old_candidate))
        if world.stable not in {None, old_stable}:
            expected.append((world.stable, "Promoted"))
            live = seen.children[deployment_key(world.stable)]
            needed = _needed(seen, old_stable)
            assert live["status"]["readyReplicas"] >= needed, "the candidate took over without its pods"
            assert live["spec"]["replicas"] >= needed
        assert sorted((entry.revision, entry.result) for entry in fresh) == sorted(expected)

    def _check_front(self, before: str | None) -> None:
        """The Service leads to the stable revision, or to the first candidate, and only where the bytes are certain."""
        world = self.world
        if world.front in {None, before}:
            return
        assert world.front == (world.stable or world.candidate)
        assert world.recorded_digest(world.front) is not None, "the Service leads to pods of unknown content"

    def _check_drain(self, seen: Observed, plan: Plan, fleet: dict[str, int], writes: list[str]) -> None:
        """Nobody takes pods from the revision that served until nobody can be sent to it any more."""
        promoted = [entry for entry in plan.status.history if entry.result == "Promoted"]
        if len(promoted) < 2 or (self.world.now - promoted[0].time).total_seconds() >= DRAIN_SECONDS - 1:
            return  # times in status are to the second
        name = child_name(NAME, promoted[1].revision)
        if promoted[1].revision in {promoted[0].revision, self.world.stable, self.world.candidate}:
            return
        if fleet.get(name, 0) == 0 or seen.children.get(deployment_key(promoted[1].revision)) is None:
            return
        taken = [write for write in writes if write.startswith((f"scale {name} ", f"remove Deployment {name}"))]
        assert not taken, f"{taken} before the drain time was over"

    @invariant()
    def a_revision_never_changes(self) -> None:
        """Neither its template nor its digest, as long as anything is left of it."""
        world = self.world
        known = {key.name for key in world.children if key.kind in {DEPLOYMENT, CONTROLLER_REVISION}}
        pinned = {key.name for key in world.children if key.kind == CONFIG_MAP}
        roles = {world.stable, world.candidate}
        for revision in [one for one in self.templates if child_name(NAME, one) not in known]:
            del self.templates[revision]
        for revision in [one for one in self.pins if child_name(NAME, one) not in known | pinned]:
            if revision not in roles:
                del self.pins[revision]
        for key, obj in world.children.items():
            if key.kind not in {DEPLOYMENT, CONTROLLER_REVISION}:
                continue
            revision = obj["metadata"]["labels"]["modelway.dev/revision"]
            template = obj["spec"]["template"] if key.kind == DEPLOYMENT else obj["data"]["template"]
            assert self.templates.setdefault(revision, template) == template, f"{revision} has another template"
            for digest in filter(None, (world.recorded_digest(revision), world.pin_of(revision))):
                assert self.pins.setdefault(revision, digest) == digest, f"{revision} is pinned to another digest"

    def teardown(self) -> None:
        """Left alone, and with the artefact that it is pinned to, everything comes to rest where the spec says."""
        world = self.world
        world.edit(paused=None)
        world.settle()  # by now the pin is decided, by whichever bytes the first pods found
        for revision in filter(None, (world.candidate, world.stable)):
            world.artifacts["s3://models/fraud/1/"] = world.pin_of(revision) or DIGEST
            break
        world.settle()
        _check_rest(world)


def _check_rest(world: Simulation) -> None:
    written = len(world.writes)
    plan = world.look()
    assert world.writes[written:] == [], "at rest there is nothing to write"
    assert not plan.decides
    assert not plan.removals
    assert not plan.evictions
    wanted = world.candidate or world.stable
    waits = world.candidate is not None
    assert not waits or world.replicas(wanted) == 0, "a candidate with pods stays for ever"
    serving = world.resource["spec"]["serving"]
    if "replicas" in serving:
        assert world.replicas(wanted) == serving["replicas"]
    if "autoscaling" in serving and not waits:
        assert world.replicas(wanted) >= serving["autoscaling"].get("minReplicas", 1), "no autoscaler acts on 0"
    assert waits or world.front == world.stable
    retired = [name for name in world.names(CONTROLLER_REVISION) if name != child_name(NAME, wanted or "")]
    if not waits:
        assert len(retired) <= serving.get("revisionHistoryLimit", 10)
        running = {
            key.name for key, obj in world.children.items() if key.kind == DEPLOYMENT and obj["spec"]["replicas"]
        }
        assert running <= {child_name(NAME, wanted or "")}, "a retired revision keeps its pods for ever"
    assert {key.name for key in world.children if key.kind == CONFIG_MAP} <= set(world.names(CONTROLLER_REVISION))


def _taken_from(entries: list[Any], entry: Any) -> bool:
    """Whether `entry` was among `entries`; it is not any more."""
    if entry not in entries:
        return False
    entries.remove(entry)
    return True


def world_plan(world: Simulation, seen: Observed, when: Any) -> Plan:
    """The plan of another process that sees the same."""
    again, world.now = world.now, when
    try:
        return world.plan(seen)
    finally:
        world.now = again


def _by_name(key: ChildKey) -> tuple[str, str]:
    return key.kind.name, key.name


def dumped_entry(entry: Any) -> Any:
    return entry.model_dump(mode="json", by_alias=True, exclude_none=True)


def _has_broken_pod(seen: Observed, revision: str) -> bool:
    """Whether a pod says what is wrong with it."""
    mine = [pod for pod in seen.pods if pod["metadata"]["labels"].get("modelway.dev/revision") == revision]
    return any(not is_ready(pod) for pod in mine)


def _revision(status: Any, role: str) -> str | None:
    return status.get(role, {}).get("revision")


def _is_left(seen: Observed, revision: str) -> bool:
    """Whether anything is left by which a revision can be known."""
    name = child_name(NAME, revision)
    recorded = any(record["metadata"]["name"] == name for record in seen.records)
    return recorded or bool({ChildKey(DEPLOYMENT, name), ChildKey(CONTROLLER_REVISION, name)} & seen.children.keys())


def _needed(seen: Observed, stable: str | None) -> int:
    """Pods that a candidate must have, by the rules that docs give: as many as serve, within what is asked for."""
    serving = seen.resource.spec.serving
    if serving.replicas is not None:
        return serving.replicas
    live = seen.children.get(deployment_key(stable)) if stable else None
    count = live["spec"]["replicas"] if live else 0
    if serving.autoscaling is not None:
        return max(serving.autoscaling.min_replicas or 1, min(count, serving.autoscaling.max_replicas))
    return count if stable else 1


TestLife = Life.TestCase
TestLife.settings = settings(stateful_step_count=30)
