"""Makes Jobs from CronJobs of the users': the only place that does.

Called by the reconciler after each look. A CronJob is looked at when a Job is to be made from it, and once an hour
before that, so that a wrong name is told on a quiet day and not on the day on which it matters. What is in the way is
given back for the next plan to tell, and tried again after a minute.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from modelway.api.conditions import Reason
from modelway.api.kinds import CRON_JOB, JOB
from modelway.controller.apply import refusal_of
from modelway.kube.client import Client
from modelway.kube.errors import BadRequest, Conflict, Forbidden, Invalid, NotFound
from modelway.kube.reflector import slim
from modelway.kube.store import Owner, Store
from modelway.plan import Object, Refusal
from modelway.plan.monitoring.retraining_job import job_of, missing, unfitness
from modelway.plan.types import JobOrder

PAUSE: Final = timedelta(minutes=1)
"""After which what was refused is tried again."""
LATE: Final = timedelta(seconds=10)
"""After which a Job that was made, though the answer was lost, is known by the watch."""
_TRUSTED: Final = timedelta(hours=1)
"""For which a CronJob is supposed to be as it was seen."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Tried:
    order: JobOrder
    until: datetime
    refusal: Refusal | None


class Retrainer:
    """Makes Jobs through `client`.

    Args:
        client: reads CronJobs and writes Jobs.
        store: is told of the Jobs.
        now: the moment, in UTC.
    """

    def __init__(self, client: Client, store: Store, *, now: Callable[[], datetime]) -> None:
        self._client = client
        self._store = store
        self._now = now
        self._tried: dict[Owner, _Tried] = {}
        self._clashed: dict[Owner, datetime] = {}
        """Since when a Job of the name has been there."""

    def forget(self, owner: Owner) -> None:
        """The owner is gone."""
        self._tried.pop(owner, None)
        self._clashed.pop(owner, None)

    async def carry_out(self, owner: Owner, owner_uid: str, order: JobOrder | None) -> Refusal | None:
        """Make the Job that is asked for, if any; afterwards the store knows it.

        Returns:
            Why none can be made, as far as is known; None where nothing is in the way.

        Raises:
            ApiError: something passing went wrong, such as a Job that is there and not known yet.
            Deposed: this process may not write any more.
        """
        if order is None:
            self.forget(owner)
            return None
        now, tried = self._now(), self._tried.get(owner)
        if tried is not None and now < tried.until and _says_enough(tried, order):
            return tried.refusal
        refusal = await self._try(owner, owner_uid, order)
        if refusal is not None and (tried is None or tried.refusal != refusal):
            _log.warning(
                "retraining_refused",
                namespace=owner.namespace,
                name=owner.name,
                cron_job=order.cron_job,
                reason=str(refusal.reason),
                error=refusal.message,
            )
        if refusal is None:
            self._clashed.pop(owner, None)
        self._tried[owner] = _Tried(order, now + (_TRUSTED if refusal is None else PAUSE), refusal)
        return refusal

    async def _try(self, owner: Owner, owner_uid: str, order: JobOrder) -> Refusal | None:
        try:
            cron_job = await self._client.get(CRON_JOB, owner.namespace, order.cron_job)
        except NotFound:
            return missing(order.cron_job)
        except Forbidden as error:
            return refusal_of(error)
        if (unfit := unfitness(cron_job)) is not None or order.name is None:
            return unfit
        return await self._make(owner, job_of(cron_job, order, owner=owner.name, owner_uid=owner_uid))

    async def _make(self, owner: Owner, job: Object) -> Refusal | None:
        name = job["metadata"]["name"]
        try:
            made = await self._client.post(JOB, job)
        except Conflict:
            since = self._clashed.setdefault(owner, self._now())
            if self._now() - since < LATE:
                raise
            # One of ours would be known by now, for its name is made of the model and of its number.
            message = f"Job {name} is there without modelway's labels: delete it"
            return Refusal(Reason.NAME_CONFLICT, message)
        except (BadRequest, Forbidden, Invalid) as error:
            return refusal_of(error)
        self._store.put(JOB, slim(JOB, made))
        _log.info("retraining_started", namespace=owner.namespace, name=owner.name, job=name)
        return None


def _says_enough(tried: _Tried, order: JobOrder) -> bool:
    """Whether what was found out for one order goes for another too."""
    if tried.order.cron_job != order.cron_job:
        return False
    return order.name is None if tried.refusal is None else tried.order.name == order.name
