"""Carries a plan out: the only place that writes children.

Called by `reconciler` with the plan of one ModelDeployment at a time. Writes nothing that is as it should be; gives
back what the API server refused, so that the next plan can say so. Anything else that goes wrong is raised and tried
again with the whole plan: each write is idempotent.

A child is repaired even where server-side apply cannot: what somebody added beside our fields is taken out by putting
the whole child in its place.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from modelway.api.conditions import Reason
from modelway.api.kinds import CONTROLLER_REVISION, DEPLOYMENT, POD, SERVICE
from modelway.api.names import ANNOTATION_APPLIED, ANNOTATION_ROUTING, FIELD_MANAGER, KIND, REPLICAS_MANAGER
from modelway.controller.difference import content, marker, says, says_child
from modelway.controller.feedback_keys import KeyMaker
from modelway.kube.client import Client
from modelway.kube.errors import ApiError, BadRequest, Conflict, Forbidden, Invalid, NotFound
from modelway.kube.reflector import slim
from modelway.kube.store import ObjectKey, Owner, Store
from modelway.plan import Child, ChildKey, Object, Plan, Refusal, Touch
from modelway.plan.canonical import digest_of
from modelway.plan.routing.live import annotation

_log = structlog.get_logger(__name__)

_GOING = "create not allowed while custom resource definition is terminating"
"""What the API server says of an object whose CRD is being removed; of CRDs only the Gateway API's are used."""
_ALLOCATED = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")
"""Fields of a Service that the API server fills in once."""


@dataclass(frozen=True, slots=True)
class _Left:
    """How we left a child: its marker, and its content as the API server completed it."""

    marker: tuple[str, str]
    content: str


class Applier:
    """Writes children through `client` and keeps `store` at what was written.

    Args:
        client: writes.
        store: of what the cluster holds.
        now: the moment, in UTC, that is written beside what routers are told to have.
    """

    def __init__(
        self, client: Client, store: Store, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._client = client
        self._store = store
        self._now = now
        self._left: defaultdict[Owner, dict[ChildKey, _Left]] = defaultdict(dict)
        self._keys = KeyMaker(client, now=now)

    def forget(self, owner: Owner) -> None:
        """The owner is gone."""
        self._left.pop(owner, None)
        self._keys.forget(owner)

    async def carry_out(self, owner: Owner, owner_uid: str, plan: Plan) -> dict[ChildKey, Refusal]:
        """Make the cluster as `plan` says.

        Args:
            owner: of all children.
            owner_uid: tells the owner's children from those of an earlier object of its name.
            plan: what should be.

        Returns:
            The children that the API server refused for good reason, with the reason.

        Raises:
            ApiError: something passing went wrong; the plan is to be made and carried out again.
            Outdated: likewise, and at once: the store knows now what the plan did not.
            Deposed: this process may not write any more.
        """
        refusals: dict[ChildKey, Refusal] = {}
        for child in plan.children:
            live = self._store.belonging(owner, ObjectKey(*child.key))
            if live is not None and not is_controlled_by(live, owner_uid):
                live = None
            try:
                await self._child(owner, owner_uid, child, live)
            except (BadRequest, Forbidden, Invalid) as error:
                refusals[child.key] = refusal_of(error)
            except _ForeignError as foreign:
                refusals[child.key] = Refusal(Reason.NAME_CONFLICT, str(foreign))
        await self._keys.make(owner, plan.keys)
        for key in plan.removals:
            await self._remove(owner, key)
        for pod in plan.evictions:
            _log.info("pod_evicted", namespace=owner.namespace, name=owner.name, pod=pod.name)
            await self._delete(owner, ObjectKey(POD, pod.name), pod.uid)
        for touch in plan.touches:
            await self._touch(owner, touch)
        return refusals

    async def _touch(self, owner: Owner, touch: Touch) -> None:
        """Tell the kubelet to look at a router's files. Where that is refused, it does so by itself, only later."""
        live = self._store.belonging(owner, ObjectKey(POD, touch.pod.name))
        if live is None or live["metadata"]["uid"] != touch.pod.uid:
            return
        metadata = {"name": touch.pod.name, "namespace": owner.namespace, "uid": touch.pod.uid}
        annotations = {ANNOTATION_ROUTING: annotation(touch, self._now())}
        try:
            told = await self._client.merge(POD, {"metadata": metadata | {"annotations": annotations}})
        except (NotFound, Conflict):
            return  # it is gone
        except (Forbidden, Invalid) as error:
            _log.warning("router_not_told", namespace=owner.namespace, pod=touch.pod.name, error=str(error))
            return
        self._store.put(POD, slim(POD, told))

    async def _child(self, owner: Owner, owner_uid: str, child: Child, live: Object | None) -> None:
        mark = digest_of(child.body)[:16]
        metadata = child.body["metadata"]
        annotations = metadata.get("annotations", {}) | {ANNOTATION_APPLIED: mark}
        body = child.body | {"metadata": metadata | {"annotations": annotations}}
        if live is not None and child.kind == CONTROLLER_REVISION and live.get("data") != body["data"]:
            # What a ControllerRevision holds can never be changed: another one takes its place.
            await self._delete(owner, ObjectKey(*child.key), live["metadata"]["uid"])
            live = None
        if live is None:
            await self._create(owner, owner_uid, child, body)
            return
        left = self._left[owner].get(child.key)
        asked_before = live["metadata"].get("annotations", {}).get(ANNOTATION_APPLIED) == mark
        if not asked_before or not self._is_as_left(child, body, live, left):
            live = await (self._repair(child, body, live, left) if asked_before else self._apply(child, body, live))
            self._written(owner, child, live, "child_repaired" if asked_before else "child_changed")
        elif left is None or left.marker != marker(child.kind, live):
            self._left[owner][child.key] = _Left(marker(child.kind, live), content(child.kind, live))
        if child.replicas is not None and live["spec"].get("replicas", 1) != child.replicas:
            live = await self._client.apply(child.kind, _only_replicas(child), manager=REPLICAS_MANAGER)
            self._written(owner, child, live, "replicas_changed", replicas=child.replicas)

    async def _apply(self, child: Child, body: Object, live: Object) -> Object:
        """Our fields of `live`, and of no other object that has come to stand under its name."""
        same = body | {"metadata": body["metadata"] | {"uid": live["metadata"]["uid"]}}
        return await self._client.apply(child.kind, same, manager=FIELD_MANAGER)

    async def _repair(self, child: Child, body: Object, live: Object, left: _Left | None) -> Object:
        """Our fields again; where that does not bring the child back, or is not allowed beside what was added, all."""
        try:
            applied = await self._apply(child, body, live)
            if self._is_as_left(child, body, applied, left):
                return applied
        except Invalid:
            applied = live
        return await self._client.replace(child.kind, _in_place_of(applied, body), manager=FIELD_MANAGER)

    def _is_as_left(self, child: Child, body: Object, live: Object, left: _Left | None) -> bool:
        if not says(body["metadata"], live["metadata"]):
            return False
        if left is None or left.marker[0] != live["metadata"]["uid"]:
            return says_child(body, live)
        return left.marker == marker(child.kind, live) or left.content == content(child.kind, live)

    async def _create(self, owner: Owner, owner_uid: str, child: Child, body: Object) -> None:
        whole, manager = body, FIELD_MANAGER
        if child.replicas not in {None, 1}:
            # The number of replicas has a manager of its own, and there must never be another number in between. The
            # mark is left out: if this is the last write before the process is killed, the next look goes on here.
            replicas = {"spec": body["spec"] | {"replicas": child.replicas}}
            whole, manager = child.body | replicas, REPLICAS_MANAGER
        try:
            live = await self._client.create(child.kind, whole, manager=manager)
        except Conflict as conflict:
            if await self._learns(owner, owner_uid, child):
                raise Outdated(f"{child.kind.name} {child.key.name} was not known") from conflict
            raise
        if manager != FIELD_MANAGER:
            live = await self._apply(child, body, live)
        self._written(owner, child, live, "child_created")

    async def _learns(self, owner: Owner, owner_uid: str, child: Child) -> bool:
        """Take in what stands where a child should be though the store did not know it, for the next look to go by.

        It is new; or it has lost the label by which it is watched; or it belonged to an earlier resource of this name
        and is about to be collected. A plan that did not know of it must not be carried out on it.

        Returns:
            Whether the store knows more than before.

        Raises:
            _ForeignError: it belongs to somebody else.
        """
        found = await self._client.get(child.kind, owner.namespace, child.key.name)
        if is_controlled_by(found, owner_uid):
            found["metadata"].pop("managedFields", None)
            return self._store.put(child.kind, found) is not None
        if not _is_of_namesake(found, owner):
            raise _ForeignError(_owner_named(found))
        return False

    async def _remove(self, owner: Owner, key: ChildKey) -> None:
        live = self._store.belonging(owner, ObjectKey(*key))
        if live is None:
            return
        await self._delete(owner, ObjectKey(*key), live["metadata"]["uid"])
        self._left[owner].pop(key, None)
        _log.info("child_removed", namespace=owner.namespace, name=owner.name, kind=key.kind.name, child=key.name)

    async def _delete(self, owner: Owner, key: ObjectKey, uid: str) -> None:
        try:
            await self._client.delete(key.kind, owner.namespace, key.name, uid=uid)
        except (NotFound, Conflict):
            return  # it is gone, or another one stands there by now
        if (live := self._store.belonging(owner, key)) is not None:
            self._store.discard(key.kind, live)

    def _written(self, owner: Owner, child: Child, live: Object, event: str, **fields: int) -> None:
        live["metadata"].pop("managedFields", None)
        self._store.put(child.kind, live)
        self._left[owner][child.key] = _Left(marker(child.kind, live), content(child.kind, live))
        _log.info(
            event, namespace=owner.namespace, name=owner.name, kind=child.kind.name, child=child.key.name, **fields
        )


class Outdated(Exception):
    """A plan was made without an object that the store knows by now."""


class _ForeignError(Exception):
    """An object of a needed name belongs to somebody else."""


def is_controlled_by(obj: Object, uid: str) -> bool:
    """Whether the object with `uid` is the controller of `obj`."""
    references = obj["metadata"].get("ownerReferences", ())
    return any(reference["uid"] == uid and reference.get("controller") for reference in references)


def _is_of_namesake(obj: Object, owner: Owner) -> bool:
    references = obj["metadata"].get("ownerReferences", ())
    return any(one["kind"] == KIND and one["name"] == owner.name and one.get("controller") for one in references)


def refusal_of(error: ApiError) -> Refusal:
    """Why the API server did not take an object, for the next plan."""
    if isinstance(error, Forbidden) and _GOING in error.message:
        return Refusal(Reason.GATEWAY_API_MISSING, error.message)
    quota = isinstance(error, Forbidden) and "exceeded quota" in error.message
    return Refusal(Reason.QUOTA_EXCEEDED if quota else Reason.CHILD_REFUSED, error.message)


def _owner_named(found: Mapping[str, object]) -> str:
    metadata = found["metadata"]
    references = metadata.get("ownerReferences", ()) if isinstance(metadata, dict) else ()
    owners = ", ".join(f"{reference['kind']} {reference['name']}" for reference in references)
    whose = f"belongs to {owners}" if owners else "was not made by modelway"
    return f"exists already and {whose}; delete it, or give the ModelDeployment another name"


def _only_replicas(child: Child) -> Object:
    metadata = child.body["metadata"]
    return {
        "apiVersion": child.kind.api_version,
        "kind": child.kind.name,
        "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]},
        "spec": {"replicas": child.replicas},
    }


def _in_place_of(live: Object, body: Object) -> Object:
    """`body`, complete, in the place of `live`: with its identity and what is allocated once, without additions."""
    ours = {field: body["metadata"][field] for field in ("labels", "ownerReferences")}
    whole = body | {"metadata": live["metadata"] | ours}
    if body["kind"] == SERVICE.name:
        kept = {field: live["spec"][field] for field in _ALLOCATED if field in live["spec"]}
        return whole | {"spec": body["spec"] | kept}
    if body["kind"] == DEPLOYMENT.name:
        return whole | {"spec": body["spec"] | {"replicas": live["spec"].get("replicas", 1)}}
    return whole
