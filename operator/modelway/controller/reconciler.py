"""One look at one ModelDeployment: observe, plan, apply.

Called by the workers with a key from the queue. Reads from the store only; a look with nothing to do costs no request.
A decision is written to status before anything is done about it, under the resourceVersion that it was made from: if
somebody else has written meanwhile, nothing is touched and the key is looked at again.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog
from pydantic import ValidationError

from modelway.api.base import first_problem
from modelway.api.kinds import CONTROLLER_REVISION, JOB, MODEL_DEPLOYMENT, POD
from modelway.api.names import COMPONENT_BATCH, FIELD_MANAGER, LABEL_COMPONENT
from modelway.api.resource import ModelDeployment
from modelway.api.status import Status
from modelway.controller.apply import Applier, is_controlled_by
from modelway.controller.measuring import Measurer
from modelway.controller.monitoring import Collector
from modelway.controller.monitoring_metrics import MonitoringMetrics
from modelway.controller.retraining import PAUSE, Retrainer
from modelway.controller.rollout_metrics import RolloutMetrics
from modelway.kube.client import Client
from modelway.kube.errors import NotFound
from modelway.kube.recorder import Recorder
from modelway.kube.store import Owner, Store, packed
from modelway.plan import ChildKey, Object, Observed, Plan, Refusal, Settings, plan
from modelway.plan.monitoring.watch import Watch
from modelway.plan.rollout.ledger import Ledger
from modelway.plan.status import invalid
from modelway.plan.types import Notice

_log = structlog.get_logger(__name__)

_COUNT_SECONDS = 3.0
"""Counts alone (ready pods) are written at most this often; everything else at once. Pods come one by one, and a write
for each helps nobody."""
_COUNTS = ("replicas", "readyReplicas", "succeededShards")
_FIRST_REFUSAL_PAUSE, _LONGEST_REFUSAL_PAUSE = 2.0, 300.0


@dataclass(slots=True)
class _Memory:
    """What is remembered of one ModelDeployment between looks; losing it costs at most a few writes."""

    uid: str
    refusals: dict[ChildKey, Refusal]
    records: tuple[bytes, ...] = ()  # as JSON, which is a fifth of the size
    ledger: Ledger | None = None
    watch: Watch | None = None
    job_refusal: Refusal | None = None
    refused_looks: int = 0
    status_written_at: float = float("-inf")


class _DeletedError(Exception):
    """The ModelDeployment is no longer there: nothing is to be made for it."""


class Reconciler:
    """Looks at ModelDeployments and makes the cluster as they should be."""

    def __init__(
        self,
        client: Client,
        store: Store,
        recorder: Recorder,
        settings: Settings,
        measurer: Measurer,
        metrics: RolloutMetrics,
        collector: Collector,
        monitoring: MonitoringMetrics,
        *,
        clock: Callable[[], float],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        notify: Callable[[Object, Notice], None] = lambda _resource, _notice: None,
    ) -> None:
        self._client = client
        self._store = store
        self._recorder = recorder
        self._settings = settings
        self._measurer = measurer
        self._metrics = metrics
        self._collector = collector
        self._monitoring = monitoring
        self._clock = clock
        self._now = now
        self._notify = notify
        self._applier = Applier(client, store, now=now)
        self._retrainer = Retrainer(client, store, now=now)
        self._memories: dict[Owner, _Memory] = {}

    async def reconcile(self, owner: Owner) -> float | None:
        """Look at `owner` once.

        Returns:
            Seconds until it should be looked at again though nothing changes; None: never.

        Raises:
            ApiError: something passing went wrong; look again later.
            Deposed: this process may not write any more.
        """
        raw = self._store.resource(owner)
        if raw is None or raw["metadata"].get("deletionTimestamp"):
            self._forget(owner)
            return None
        memory = self._memory_of(owner, raw["metadata"]["uid"])
        try:
            resource = ModelDeployment.parse(raw)
        except ValidationError as error:
            await self._refuse(raw, memory, error)
            return None
        try:
            return await self._look(owner, raw, resource, memory)
        except _DeletedError:
            return None  # the watch will tell

    def _memory_of(self, owner: Owner, uid: str) -> _Memory:
        """What is remembered of the resource with `uid`; of an earlier one of its name nothing is."""
        known = self._memories.get(owner)
        if known is None or known.uid != uid:
            self._forget(owner)
            known = self._memories[owner] = _Memory(uid=uid, refusals={})
        return known

    async def _look(self, owner: Owner, raw: Object, resource: ModelDeployment, memory: _Memory) -> float | None:
        decision = plan(self._observe(owner, resource, memory), settings=self._settings, now=self._now())
        if decision.decides:
            raw = await self._write_status(raw, decision, memory)
            self._count_decisions(resource.status, decision.status)
        memory.ledger = decision.ledger
        self._measurer.follow(owner, decision.measuring)
        self._metrics.saw(owner, decision.status.rollout, decision.ledger)
        memory.watch = decision.watch
        self._collector.follow(owner, decision.watching)
        # What is to be written, and not what was: a status that is written is no reason for another look.
        self._monitoring.saw(owner, resource.spec, decision.status, decision.watch, self._collector.collected(owner))
        refusals = await self._applier.carry_out(owner, resource.metadata.uid, decision)
        memory.records = tuple(packed(child.body) for child in decision.children if child.kind == CONTROLLER_REVISION)
        job_refusal = await self._retrainer.carry_out(owner, resource.metadata.uid, decision.job_order)
        is_made = job_refusal is None and decision.job_order is not None and decision.job_order.name is not None
        if is_made or (refusals, job_refusal) != (memory.refusals, memory.job_refusal):
            memory.refusals, memory.job_refusal = refusals, job_refusal
            resource = ModelDeployment.parse(raw)
            decision = plan(self._observe(owner, resource, memory), settings=self._settings, now=self._now())
        pauses = [decision.look_again_after, await self._tell(raw, decision, memory), self._refusal_pause(memory)]
        if job_refusal is not None:
            pauses.append(PAUSE.total_seconds())
        return min((pause for pause in pauses if pause is not None), default=None)

    def _observe(self, owner: Owner, resource: ModelDeployment, memory: _Memory) -> Observed:
        children: dict[ChildKey, Object] = {}
        pods: list[Object] = []
        jobs: list[Object] = []
        batch_pods: list[Object] = []
        for key, obj in self._store.belongings(owner).items():
            if key.kind == POD:
                (batch_pods if _scores(obj) else pods).append(obj)
            elif key.kind == JOB:
                jobs.append(obj)
            elif is_controlled_by(obj, resource.metadata.uid):
                children[ChildKey(*key)] = obj
        return Observed(
            resource=resource,
            children=children,
            pods=tuple(pods),
            jobs=tuple(jobs),
            batch_pods=tuple(batch_pods),
            refusals=memory.refusals,
            records=tuple(map(orjson.loads, memory.records)),
            measured=self._measurer.measured(owner),
            ledger=memory.ledger,
            collected=self._collector.collected(owner),
            watch=memory.watch,
            unserved=self._store.unserved(owner.namespace),
            job_refusal=memory.job_refusal,
        )

    def _count_decisions(self, before: Status, after: Status) -> None:
        began = before.rollout.started_at if before.rollout is not None else None
        for entry in after.history:
            if entry not in before.history:
                self._metrics.decided(entry, began)

    async def _tell(self, raw: Object, decision: Plan, memory: _Memory) -> float | None:
        """Write the status if it says something new; counts alone may wait. Gives the seconds that they have to."""
        new, old = _dumped(decision.status), raw.get("status", {})
        if new == old:
            return None
        since = self._clock() - memory.status_written_at
        if since < _COUNT_SECONDS and _without_counts(new) == _without_counts(old):
            return _COUNT_SECONDS - since
        await self._write_status(raw, decision, memory)
        return None

    async def _write_status(self, raw: Object, decision: Plan, memory: _Memory) -> Object:
        written = await self._put_status(raw, _dumped(decision.status), memory)
        for happening in decision.happenings:
            await self._recorder.tell(
                raw,
                type=happening.type,
                reason=happening.reason,
                message=happening.message,
                action=happening.action,
            )
        for notice in decision.notices:
            self._notify(raw, notice)
        return written

    async def _put_status(self, raw: Object, status: Object, memory: _Memory) -> Object:
        metadata = raw["metadata"]
        body = {
            "apiVersion": MODEL_DEPLOYMENT.api_version,
            "kind": MODEL_DEPLOYMENT.name,
            "metadata": {key: metadata[key] for key in ("name", "namespace", "uid", "resourceVersion")},
            "spec": raw["spec"],
            "status": status,
        }
        try:
            written = await self._client.replace(MODEL_DEPLOYMENT, body, manager=FIELD_MANAGER, subresource="status")
        except NotFound:
            raise _DeletedError from None
        written["metadata"].pop("managedFields", None)
        self._store.put(MODEL_DEPLOYMENT, written)
        memory.status_written_at = self._clock()
        _log.info(
            "status_written",
            namespace=metadata["namespace"],
            name=metadata["name"],
            **{c["type"].lower(): c["reason"] for c in status.get("conditions", ()) if c["status"] == "True"},
        )
        return written

    async def _refuse(self, raw: Object, memory: _Memory, error: ValidationError) -> None:
        before = Status.model_validate(raw.get("status", {}))
        message = f"{first_problem(error)}; the CRD on this cluster is not this operator's"
        status = _dumped(invalid(raw["metadata"]["generation"], before, message, now=self._now()))
        if status != raw.get("status", {}):
            with contextlib.suppress(_DeletedError):
                await self._put_status(raw, status, memory)

    def _refusal_pause(self, memory: _Memory) -> float | None:
        if not memory.refusals:
            memory.refused_looks = 0
            return None
        memory.refused_looks += 1
        return float(min(_FIRST_REFUSAL_PAUSE * 2.0 ** min(memory.refused_looks, 16), _LONGEST_REFUSAL_PAUSE))

    def _forget(self, owner: Owner) -> None:
        self._memories.pop(owner, None)
        self._applier.forget(owner)
        self._measurer.forget(owner)
        self._metrics.forget(owner)
        self._collector.forget(owner)
        self._retrainer.forget(owner)
        self._monitoring.forget(owner)


def _scores(pod: Object) -> bool:
    """Whether a pod is of a batch run, and none that serves."""
    return bool(pod["metadata"].get("labels", {}).get(LABEL_COMPONENT) == COMPONENT_BATCH)


def _dumped(status: Status) -> Object:
    return status.model_dump(mode="json", by_alias=True, exclude_none=True)


def _without_counts(status: Any) -> Any:
    if isinstance(status, list):
        return [_without_counts(item) for item in status]
    if not isinstance(status, dict):
        return status
    return {key: _without_counts(value) for key, value in status.items() if key not in _COUNTS}
