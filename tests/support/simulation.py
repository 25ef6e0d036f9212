"""A cluster of one ModelDeployment, in plain Python: what the API server, the Deployment controller, the kubelet and an
autoscaler would do to the children, step by step, at the test's word.

Tests of `plan` tell a story with it: look, let pods fetch and become ready, edit the spec, let time pass. A look can be
cut short after any write, as by a process that is killed, and can be made on an old picture, as by a watch that lags.
Objects are replaced, never changed, so a picture that was taken stays as it was.
"""

import itertools
from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from modelway.api.kinds import AUTOSCALER, CONTROLLER_REVISION, DEPLOYMENT, SERVICE, Kind, Unserved
from modelway.api.names import ANNOTATION_DIGEST, ANNOTATION_ROUTING, LABEL_REVISION, PIN_KEY, child_name
from modelway.api.resource import ModelDeployment
from modelway.api.status import Status
from modelway.plan import Child, ChildKey, Happening, Object, Observed, Plan, Refusal, Settings, plan
from modelway.plan.measured import Measured
from modelway.plan.monitoring.readings import Collected
from modelway.plan.monitoring.retraining_job import job_of, missing, unfitness
from modelway.plan.monitoring.watch import Watch
from modelway.plan.rollout.ledger import Ledger
from modelway.plan.routing.live import annotation
from modelway.plan.types import JobOrder, Notice, Touch
from support import builders
from support.builders import DIGEST, NAME, NOW, SETTINGS, changed, stamp


class Killed(Exception):
    """The operator was killed in the middle of a look."""


class Conflicted(Exception):
    """The look was made on an old picture, and the API server says so."""


class Simulation:
    """The cluster. Everything that tests read is public; everything that happens is a method."""

    def __init__(self, given: Object | None = None, *, settings: Settings = SETTINGS) -> None:
        self.now = NOW
        self.settings = settings
        self.resource = builders.model_deployment(given)
        self.children: dict[ChildKey, Object] = {}
        self.pods: dict[str, Object] = {}
        self.jobs: list[Object] = []
        self.batch_pods: list[Object] = []
        self.cron_jobs: dict[str, Object] = {}
        """Those that users have made."""
        self.job_refusal: Refusal | None = None
        self.refusals: dict[ChildKey, Refusal] = {}
        self.records: tuple[Object, ...] = ()
        self.ledger: Ledger | None = None
        self.measured = Measured()
        self.watch: Watch | None = None
        self.collected = Collected()
        self.unserved: dict[Kind, Unserved] = {}
        """Optional kinds that this cluster does not have."""
        self.artifacts: defaultdict[str, str] = defaultdict(lambda: DIGEST)
        """What each URI holds."""
        self.happenings: list[Happening] = []
        self.notices: list[Notice] = []
        self.writes: list[str] = []
        """What was written so far: `status`, or what was done to which child."""
        self.last: Plan | None = None
        """What was planned at the last look."""
        self._serial = itertools.count(1)
        self._allowed: int | None = None

    # What the operator does

    def observed(self) -> Observed:
        """The picture as it is now."""
        return Observed(
            resource=ModelDeployment.parse(self.resource),
            children=dict(self.children),
            pods=tuple(self.pods.values()),
            jobs=tuple(self.jobs),
            batch_pods=tuple(self.batch_pods),
            refusals=dict(self.refusals),
            records=self.records,
            measured=self.measured,
            ledger=self.ledger,
            collected=self.collected,
            watch=self.watch,
            unserved=dict(self.unserved),
            job_refusal=self.job_refusal,
        )

    def plan(self, observed: Observed | None = None) -> Plan:
        return plan(observed or self.observed(), settings=self.settings, now=self.now)

    def look(self, *, observed: Observed | None = None, writes: int | None = None) -> Plan:
        """One look as the reconciler makes it.

        Args:
            observed: the picture to decide by, when it is an old one.
            writes: after so many writes the operator is killed.
        """
        self._allowed = writes
        seen = observed or self.observed()
        decision = self.last = self.plan(seen)
        try:
            self._carry_out(seen, decision)
        except Killed:
            self.forget()
        except Conflicted:
            pass
        finally:
            self._allowed = None
        return decision

    def forget(self) -> None:
        """The operator starts again, and remembers nothing."""
        self.records, self.ledger, self.watch, self.collected = (), None, None, Collected()
        self.job_refusal = None

    def _carry_out(self, seen: Observed, decision: Plan) -> None:
        version = seen.resource.metadata.resource_version
        if decision.decides:
            version = self._write_status(decision, version)
        self.ledger, self.watch = decision.ledger, decision.watch
        for child in decision.children:
            if child.key in self.children and child.key not in seen.children:
                raise Conflicted  # it was to be created and is there: the picture is too old to go on with
            self._apply(child)
        self.records = tuple(child.body for child in decision.children if child.kind == CONTROLLER_REVISION)
        for key in decision.removals:
            if key in self.children:
                self._write(f"remove {key.kind.name} {key.name}")
                self._forget(key)
        for evicted in decision.evictions:
            if evicted.name in self.pods:
                self._write(f"evict {evicted.name}")
                del self.pods[evicted.name]
        for touch in decision.touches:
            self._touch_pod(touch)
        self.job_refusal = self._order(decision.job_order)
        if dumped(decision.status) != self.resource.get("status", {}):
            self._write_status(decision, version)

    def _order(self, order: JobOrder | None) -> Refusal | None:
        if order is None:
            return None
        if (cron_job := self.cron_jobs.get(order.cron_job)) is None:
            return missing(order.cron_job)
        if (unfit := unfitness(cron_job)) is not None or order.name is None:
            return unfit
        metadata = self.resource["metadata"]
        job = job_of(cron_job, order, owner=metadata["name"], owner_uid=metadata["uid"])
        if any(one["metadata"]["name"] == order.name for one in self.jobs):
            raise Conflicted
        self._write(f"create Job {order.name}")
        self.jobs.append(job)
        return None

    def _touch_pod(self, touch: Touch) -> None:
        pod = self.pods.get(touch.pod.name)
        if pod is not None and pod["metadata"]["uid"] == touch.pod.uid:
            self._write(f"touch {touch.pod.name}")
            told = {ANNOTATION_ROUTING: annotation(touch, self.now)}
            annotations = pod["metadata"].get("annotations", {}) | told
            self.pods[touch.pod.name] = pod | {"metadata": pod["metadata"] | {"annotations": annotations}}

    def _write_status(self, decision: Plan, version: str) -> str:
        if version != self.resource["metadata"]["resourceVersion"]:
            raise Conflicted
        self._write("status")
        self.resource = changed(self.resource, {"status": dumped(decision.status)})
        self._touch()
        self.happenings += decision.happenings
        self.notices += decision.notices
        return str(self.resource["metadata"]["resourceVersion"])

    def _apply(self, child: Child) -> None:
        live = self.children.get(child.key)
        wanted = child.body | {"metadata": dict(child.body["metadata"])}
        if live is None:
            self._write(f"create {child.kind.name} {child.key.name}")
            made = stamp(self.now)
            wanted["metadata"] |= {"uid": f"uid-{next(self._serial)}", "generation": 1, "creationTimestamp": made}
            if child.kind == DEPLOYMENT:
                wanted["spec"] = wanted["spec"] | {"replicas": 1 if child.replicas is None else child.replicas}
            self.children[child.key] = wanted
            return
        if not _is_as_asked(child, live):
            self._write(f"change {child.kind.name} {child.key.name}")
            self._put(child.key, live, wanted)
            live = self.children[child.key]
        if child.replicas is not None and live["spec"]["replicas"] != child.replicas:
            self._write(f"scale {child.key.name} to {child.replicas}")
            self.scale(child.key.name, child.replicas)

    def _put(self, key: ChildKey, live: Object, wanted: Object) -> None:
        kept = {name: live["metadata"][name] for name in ("uid", "generation", "creationTimestamp")}
        wanted["metadata"] |= kept | {"generation": kept["generation"] + 1}
        if key.kind == DEPLOYMENT:
            wanted["spec"] = wanted["spec"] | {"replicas": live["spec"]["replicas"]}
            wanted["status"] = live.get("status", {})
        self.children[key] = wanted

    def _write(self, what: str) -> None:
        if self._allowed is not None:
            if self._allowed == 0:
                raise Killed
            self._allowed -= 1
        self.writes.append(what)

    # What users do

    def edit(self, **fields: Any) -> None:
        """Change the spec: `edit(model__version="2")`; None takes a field out."""
        paths = {f"spec.{path.replace('__', '.')}": value for path, value in fields.items()}
        edited = changed(self.resource, paths)
        if edited["spec"] != self.resource["spec"]:
            self.resource = changed(edited, {"metadata.generation": edited["metadata"]["generation"] + 1})
            self._touch()

    def delete(self, key: ChildKey) -> None:
        """Delete a child by hand."""
        self._forget(key)

    def meddle(self, key: ChildKey, **fields: Any) -> None:
        """Edit a child by hand."""
        live = self.children[key]
        paths = {path.replace("__", "."): value for path, value in fields.items()}
        self.children[key] = changed(live, paths | {"metadata.generation": live["metadata"]["generation"] + 1})

    def scale(self, name: str, replicas: int) -> None:
        """Set the number of replicas of a Deployment, as an autoscaler or `kubectl scale` does."""
        self.meddle(ChildKey(DEPLOYMENT, name), spec__replicas=replicas)

    def autoscale(self, wanted: int | None = None) -> None:
        """What the autoscalers do when the load asks for `wanted` pods, or for as many as there are.

        They leave a Deployment with 0 replicas alone.
        """
        for key, obj in list(self.children.items()):
            target = ChildKey(DEPLOYMENT, obj["spec"]["scaleTargetRef"]["name"]) if key.kind == AUTOSCALER else None
            if target is None or target not in self.children:
                continue
            live = self.children[target]["spec"]["replicas"]
            replicas = min(max(wanted or live, obj["spec"]["minReplicas"]), obj["spec"]["maxReplicas"])
            if live not in {0, replicas}:
                self.scale(target.name, replicas)

    # What Kubernetes does

    def run_deployments(self) -> None:
        """Make pods, take pods away, and count them."""
        for key, obj in list(self.children.items()):
            if key.kind != DEPLOYMENT:
                continue
            mine = [name for name in self.pods if name.startswith(f"{key.name}-")]
            for name in mine[obj["spec"]["replicas"] :]:
                del self.pods[name]
            for _ in range(len(mine), obj["spec"]["replicas"]):
                name = f"{key.name}-{next(self._serial)}"
                revision = obj["metadata"]["labels"].get(LABEL_REVISION)
                labels = obj["spec"]["template"]["metadata"]["labels"]
                self.pods[name] = builders.pod(revision, name=name) if revision else builders.router_pod(name, labels)
            status = {
                "observedGeneration": obj["metadata"]["generation"],
                "replicas": obj["spec"]["replicas"],
                "readyReplicas": sum(name.startswith(f"{key.name}-") and is_ready(p) for name, p in self.pods.items()),
            }
            if obj.get("status") != status:
                self.children[key] = changed(obj, {"status": status})

    def fetch(self, name: str) -> None:
        """The pod `name` fetches its model, and stops where it finds other bytes than the pin's."""
        pod = self.pods[name]
        if is_router(pod):
            return
        template = self._template_of(pod)
        done = any(status["ready"] for status in pod["status"]["initContainerStatuses"])
        if done or not template["spec"].get("initContainers"):
            return
        arguments = template["spec"]["initContainers"][0]["args"]
        found = self.artifacts[next(one for one in arguments if one.startswith("--uri=")).removeprefix("--uri=")]
        pin = self.pin_of(pod["metadata"]["labels"][LABEL_REVISION])
        if pin in {None, found}:
            status = builders.fetched(found, at=stamp(self.now))
        else:
            told = builders.words(reason="DigestMismatch", message=f"found {found}, pinned to {pin}")
            status = builders.fetching(builders.ended(1, message=told))
        self._set_status(name, initContainerStatuses=[status])

    def make_ready(self, name: str) -> None:
        """The pod `name` becomes ready, if its model is there."""
        if is_router(self.pods[name]):
            self._set_status(name, phase="Running", conditions=[{"type": "Ready", "status": "True"}])
            return
        fetched = self.pods[name]["status"]["initContainerStatuses"]
        needs = bool(self._template_of(self.pods[name])["spec"].get("initContainers"))
        if needs and not (fetched and fetched[0]["ready"]):
            return
        ready = [{"type": "Ready", "status": "True"}]
        before = next(iter(self.pods[name]["status"]["containerStatuses"]), {})
        kept = {field: before[field] for field in ("restartCount", "lastState") if field in before}
        server = [builders.serving(builders.running(), ready=True) | kept]
        self._set_status(name, conditions=ready, containerStatuses=server)

    def break_down(self, name: str) -> None:
        """The server in the pod `name` ends, with words."""
        if is_router(self.pods[name]):
            self._set_status(name, conditions=[{"type": "Ready", "status": "False"}])
            return
        told = builders.words(reason="ModelLoadFailed", message="no such operator")
        server = builders.serving(builders.waiting("CrashLoopBackOff"), last=builders.ended(1, message=told))
        self._set_status(name, conditions=[{"type": "Ready", "status": "False"}], containerStatuses=[server])

    def tick(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def run(self, *, ready: bool = True) -> None:
        """One round of everything: the operator looks, pods come, fetch and, with `ready`, become ready."""
        self.look()
        self.autoscale()
        self.run_deployments()
        for name in list(self.pods):
            self.fetch(name)
            if ready:
                self.make_ready(name)
        self.run_deployments()

    def settle(self, *, rounds: int = 60) -> None:
        """Let everything happen, time included, until nothing more does."""
        for _ in range(rounds):
            before = (dict(self.children), dict(self.pods), self.resource)
            self.run()
            if before != (self.children, self.pods, self.resource):
                self.tick(0.2)
                continue
            if (pause := self.plan().look_again_after) is None:
                return
            self.tick(pause)
        raise AssertionError(f"still restless after {rounds} rounds; last writes: {self.writes[-12:]}")

    # What tests ask

    @property
    def status(self) -> Status:
        return ModelDeployment.parse(self.resource).status

    def condition(self, kind: str) -> Any:
        """The condition of that type, or None."""
        return next((condition for condition in self.status.conditions if condition.type == kind), None)

    @property
    def stable(self) -> str | None:
        return self.status.stable.revision if self.status.stable else None

    @property
    def candidate(self) -> str | None:
        return self.status.candidate.revision if self.status.candidate else None

    @property
    def front(self) -> str | None:
        """The revision that the Service leads to."""
        service = self.children.get(ChildKey(SERVICE, NAME))
        return service["spec"]["selector"].get(LABEL_REVISION) if service else None

    def deployment(self, revision: str | None) -> Object:
        assert revision is not None
        return self.children[deployment_key(revision)]

    def replicas(self, revision: str | None) -> int:
        return int(self.deployment(revision)["spec"]["replicas"])

    def names(self, kind: Any) -> list[str]:
        """Names of the children of `kind`."""
        return sorted(key.name for key in self.children if key.kind == kind)

    def pods_of(self, revision: str | None) -> list[str]:
        return [name for name, pod in self.pods.items() if pod["metadata"]["labels"].get(LABEL_REVISION) == revision]

    def pin_of(self, revision: str) -> str | None:
        """The digest in the ConfigMap that pods of `revision` mount."""
        found = next((obj for key, obj in self.children.items() if _is_pin(key, revision)), None)
        return found["data"][PIN_KEY] if found else None

    def recorded_digest(self, revision: str) -> str | None:
        """The digest that the record of `revision` holds, found or asked for."""
        record = self.children.get(ChildKey(CONTROLLER_REVISION, child_name(NAME, revision)))
        if record is None:
            return None
        asked: str | None = record["data"]["spec"].get("model", {}).get("digest")
        return asked or record["metadata"].get("annotations", {}).get(ANNOTATION_DIGEST)

    # Inside

    def _template_of(self, pod: Object) -> Object:
        revision = pod["metadata"]["labels"][LABEL_REVISION]
        template: Object = self.deployment(revision)["spec"]["template"]
        return template

    def _set_status(self, name: str, **fields: Any) -> None:
        pod = self.pods[name]
        self.pods[name] = pod | {"status": pod["status"] | fields}

    def _forget(self, key: ChildKey) -> None:
        self.children.pop(key, None)
        if key.kind == DEPLOYMENT:
            for name in [name for name in self.pods if name.startswith(f"{key.name}-")]:
                del self.pods[name]

    def _touch(self) -> None:
        metadata = self.resource["metadata"]
        version = str(int(metadata["resourceVersion"]) + 1)
        self.resource = self.resource | {"metadata": metadata | {"resourceVersion": version}}


def story(given: Object | None = None, *steps: Callable[[Simulation], None]) -> Simulation:
    """A settled simulation of `given`, after `steps`."""
    simulation = Simulation(given)
    simulation.settle()
    for step in steps:
        step(simulation)
    return simulation


def deployment_key(revision: str) -> ChildKey:
    return ChildKey(DEPLOYMENT, child_name(NAME, revision))


def dumped(status: Status) -> Object:
    """A status as it is written."""
    return status.model_dump(mode="json", by_alias=True, exclude_none=True)


def is_router(pod: Object) -> bool:
    return LABEL_REVISION not in pod["metadata"]["labels"]


def is_ready(pod: Object) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"]["conditions"])


def _is_as_asked(child: Child, live: Object) -> bool:
    """Whether `live` holds what was asked for; here nobody adds defaults, so there is no more to it."""
    metadata = ("labels", "annotations", "ownerReferences")
    if any(child.body["metadata"].get(name) != live["metadata"].get(name) for name in metadata):
        return False
    bare = {key: value for key, value in live.items() if key not in {"metadata", "status"}}
    if child.kind == DEPLOYMENT:
        bare["spec"] = {key: value for key, value in live["spec"].items() if key != "replicas"}
    return bare == {key: value for key, value in child.body.items() if key != "metadata"}


def _is_pin(key: ChildKey, revision: str) -> bool:
    return key.kind.name == "ConfigMap" and key.name == child_name(NAME, revision)
