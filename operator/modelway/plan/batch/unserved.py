"""The plan of a ModelDeployment that only scores batch jobs: no `spec.serving`, so no pods but those of runs. Pure.

There is nothing to compare a new revision with and nobody to be answered by it, so the revision of the spec is the one
that scores, from the next run on. Its digest is the one that the first run finds, unless the spec says one.
"""

from dataclasses import replace
from datetime import datetime

from modelway.api.resource import ModelDeployment
from modelway.api.status import Status
from modelway.plan.batch.scoring import scoring
from modelway.plan.children import controller_revision, pin
from modelway.plan.failures import digests
from modelway.plan.monitoring.notices import notices
from modelway.plan.pods import pod_template
from modelway.plan.revisions import Revision, expendable, known_revisions, wanted_revision
from modelway.plan.status import describe_unserved, is_unserved
from modelway.plan.types import Child, Happening, Observed, Plan, Settings

_DEFAULT_HISTORY_LIMIT = 10


def plan_unserved(observed: Observed, *, settings: Settings, now: datetime) -> Plan:
    """What should be, given what is seen."""
    resource = observed.resource
    known = known_revisions(observed)
    name, spec, before = resource.metadata.name, resource.spec, resource.status.stable
    revision = known.get(before.revision) if before is not None and spec.paused else None
    if revision is None:
        revision = wanted_revision(observed, known, lambda hash_: pod_template(name, hash_, spec, settings))
    revision = _pinned(observed, revision)
    known = known | {revision.hash: revision}

    batch = scoring(observed, revision, settings=settings, now=now)
    forgotten = {one.hash for one in expendable(known.values(), in_use={revision.hash}, limit=_limit(resource))}
    kept = [one for one in known.values() if one.hash not in forgotten]
    children = (*(child for one in kept for child in _record(resource, one)), *batch.children)
    keys = {child.key for child in children}
    status = describe_unserved(observed, revision, batch, now=now)
    return Plan(
        children=children,
        removals=tuple(key for key in observed.children if key not in keys),
        evictions=(),
        status=status,
        decides=before is None or before.revision != revision.hash,
        happenings=(*_taken(resource.status, revision), *batch.happenings),
        look_again_after=batch.look_again_after,
        notices=notices(resource, status),
    )


def never_served(observed: Observed) -> Observed:
    """The picture, without a stable revision that has only scored: where serving is asked for, it begins as new."""
    resource = observed.resource
    if not is_unserved(resource.status):
        return observed
    status = resource.status.model_copy(update={"stable": None})
    return replace(observed, resource=resource.model_copy(update={"status": status}))


def _pinned(observed: Observed, revision: Revision) -> Revision:
    """`revision` with the digest that the first run has found; its pods agree, by the plan that they follow."""
    told = digests(observed.batch_pods, revision.hash)
    if revision.is_pinned or not told:
        return revision
    first = min(told.values(), key=lambda entry: (entry[1], entry[0]))
    return replace(revision, pinned=first[0])


def _record(resource: ModelDeployment, revision: Revision) -> list[Child]:
    record = [controller_revision(resource, revision)]
    return [*record, pin(resource, revision)] if revision.has_model and revision.digest else record


def _limit(resource: ModelDeployment) -> int:
    limit = resource.spec.serving.revision_history_limit
    return _DEFAULT_HISTORY_LIMIT if limit is None else limit


def _taken(before: Status, revision: Revision) -> tuple[Happening, ...]:
    if before.stable is not None and before.stable.revision == revision.hash:
        return ()
    version = f" (version {revision.version})" if revision.version else ""
    message = f"batch runs score with revision {revision.hash}{version} from now on"
    return (Happening(type="Normal", reason="BatchRevision", message=message, action="Score"),)
