"""The end of a run: the shard that completes the set proves it, and says so.

Whoever writes a record looks whether all are there; stores list what was written before, so the last one sees them
all. If it is killed now, its next try finds its part done and comes here again. Several may come here at once: they
find the same.

`_manifest.json` is what the run is: every part with its size and digest. `_SUCCESS` is written after it and holds the
manifest's digest, so it stands for exactly these bytes.
"""

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson
import structlog

from modelway.batch import plan as planning
from modelway.batch.counting import Total
from modelway.batch.errors import BatchError, ChangedError, Reason
from modelway.batch.inputs import Compared
from modelway.batch.outputs import SUCCESS
from modelway.batch.plan import Plan
from modelway.batch.shard import Record, Run, decode
from modelway.batch.source import Input
from modelway.batch.store import Place, Store, Stored

MANIFEST: Final = "_manifest.json"
FORMAT: Final = "modelway.dev/batch-manifest/1"
_AT_ONCE: Final = 16
_RECORDS: Final = 256
"""That are held with their counts at once."""
_BLOCK: Final = 8 << 20
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Finished:
    """How far a run is.

    Args:
        shards: that are done.
        complete: whether `_SUCCESS` is there, written by whomever.
        rows: of the input, when it is complete.
        failed_rows: of these, when it is complete.
        rows_per_core_second: of CPU time of all shards, when it is complete and took any.
        inputs: how its inputs differ from what is usual, when it is complete and all shards have counted them.

    """

    shards: int
    complete: bool = False
    rows: int = 0
    failed_rows: int = 0
    rows_per_core_second: int | None = None
    inputs: Compared | None = None


def finish(run: Run, input_: Input, *, max_failed_per_million: int) -> Finished:
    """Write manifest and `_SUCCESS` if all shards are done. Raises BatchError where they must not be written."""
    output, plan, store = run.output, run.plan, run.output.store
    found = store.list(output.key(plan.record(0).rpartition("/")[0] + "/"))
    if len(found) < len(plan.shards):
        return Finished(len(found))
    total = run.inputs.total() if run.inputs is not None else None
    records = _records(store, found, total)
    _check_plan(output, plan)
    _check_parts(output, plan, records)
    rows, failed = sum(record.rows for record in records), sum(record.failed_rows for record in records)
    if failed * 1_000_000 > max_failed_per_million * rows:
        raise BatchError(
            Reason.TOO_MANY_FAILED_ROWS,
            f"{failed} of {rows} rows failed, where {max_failed_per_million} of a million may; they are listed in "
            f"{output}_errors/{plan.hash}/. Mend the input, or raise the limit and run again: no row is scored twice",
        )
    late = check_input(input_, plan)
    compared = None
    if run.inputs is not None and total is not None and total.shards == len(records):
        compared = run.inputs.compared(total)
    manifest = _settled(output, _manifest(output, plan, records, rows, failed, late, compared))
    run.parts.publish(plan, rows - failed, _seal(manifest), run.scorer.schema())
    if late:
        _log.warning("files_came_late", files=len(late), first=late[0], remedy="score them into another output")
    return Finished(len(found), True, rows, failed, _rate(records), compared)


def begun(output: Place) -> Mapping[str, Any] | None:
    """The manifest of a complete run, where there is one."""
    seal = output.store.get(output.key(SUCCESS))
    manifest = output.store.get(output.key(MANIFEST))
    if seal is None or manifest is None or seal != _seal(manifest):
        return None
    document: Mapping[str, Any] = orjson.loads(manifest)
    return document


def check_input(input_: Input, plan: Plan) -> list[str]:
    """Files that have come since the plan was made. Raises BatchError(INPUT_CHANGED) where a planned one is another."""
    changed, late = input_.since(plan.files)
    if changed:
        raise BatchError(
            Reason.INPUT_CHANGED,
            f"{len(changed)} files of the input were replaced or removed since the run was planned, "
            f"{input_.shown(changed[0])} for one; name another output folder and run again",
        )
    return late


def _records(store: Store, found: Sequence[Stored], total: Total | None) -> list[Record]:
    """The records, in order. What they count is added to `total` as they come: of many it would not fit in memory."""
    records = []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for first in range(0, len(found), _RECORDS):
            for content in pool.map(store.get, (one.key for one in found[first : first + _RECORDS])):
                if content is None:
                    continue
                record = decode(content)
                if total is not None:
                    total.add(record.inputs)
                records.append(replace(record, inputs=None))
    return records


def _check_plan(output: Place, plan: Plan) -> None:
    """Where the store lets two create the same object, they may have followed two plans."""
    there = planning.read(output)
    if there is None or there.hash != plan.hash:
        raise BatchError(
            Reason.PLAN_DIFFERS,
            f"{output}{planning.NAME} is not the plan that this run followed; remove {output} and run again",
        )


def _check_parts(output: Place, plan: Plan, records: Sequence[Record]) -> None:
    """Raise BatchError unless each shard has its part, as its record tells it, and there is nothing else."""
    store = output.store
    there = {one.key: one for one in store.list(output.prefix + "part-")}
    if [record.shard for record in records] != list(range(len(plan.shards))):
        raise BatchError(
            Reason.INTERNAL_ERROR, f"the records in {output}_shards/{plan.hash}/ are not one for each shard"
        )
    for record in records:
        found = there.pop(record.part.key, None)
        if found is None or not _is_same(store, found, record):
            # So that the next try scores it again.
            store.delete(output.key(SUCCESS))
            store.delete(output.key(plan.record(record.shard)))
            raise BatchError(
                Reason.PART_CHANGED,
                f"{store.shown(record.part.key)} is {'not what its shard wrote' if found else 'gone'}; run again",
            )
    if there:
        raise BatchError(
            Reason.OUTPUT_NOT_EMPTY,
            f"{output} holds {len(there)} parts of other runs, {store.shown(min(there))} for one; a reader would "
            "take them for this run's. Remove them and run again: no row is scored twice",
        )


def _is_same(store: Store, found: Stored, record: Record) -> bool:
    if found.size != record.part.size:
        return False
    # Another mark may stand for the same bytes: two pods have written them. Then they are read.
    try:
        return found.mark == record.part.mark or _sha256(store, found) == record.sha256
    except ChangedError:  # right now
        return False


def _sha256(store: Store, stored: Stored) -> str:
    sha = hashlib.sha256()
    for start in range(0, stored.size, _BLOCK):
        sha.update(store.read(stored, start, start + _BLOCK))
    return sha.hexdigest()


def _manifest(
    output: Place,
    plan: Plan,
    records: Sequence[Record],
    rows: int,
    failed: int,
    late: Sequence[str],
    compared: Compared | None,
) -> bytes:
    document = {
        "format": FORMAT,
        "plan": plan.hash,
        "model": dict(plan.model),
        "settings": dict(plan.settings),
        "rows": rows,
        "failedRows": failed,
        "rowsPerCoreSecond": _rate(records),
        "inputs": {"files": len(plan.files), "bytes": sum(one.size for one in plan.files)},
        "lateFiles": list(late),
        "drift": compared.record() if compared is not None else None,
        "parts": [
            {
                "path": record.part.key.removeprefix(output.prefix),
                "bytes": record.part.size,
                "sha256": record.sha256,
                "rows": record.rows - record.failed_rows,
                "failedRows": record.failed_rows,
                "errors": plan.errors(record.shard) if record.failed_rows else None,
            }
            for record in records
        ],
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2)


def _rate(records: Sequence[Record]) -> int | None:
    cpu = sum(record.cpu_seconds for record in records)
    return round(sum(record.rows for record in records) / cpu) if cpu else None


def _settled(output: Place, manifest: bytes) -> bytes:
    """The manifest that counts: one that is there and tells of the same parts, so that no seal of it is ever broken."""
    there = output.store.get(output.key(MANIFEST))
    if there is not None:
        document, ours = orjson.loads(there), orjson.loads(manifest)
        if document["plan"] == ours["plan"] and document["parts"] == ours["parts"]:
            return there
    output.store.put(output.key(MANIFEST), manifest)
    return manifest


def _seal(manifest: bytes) -> bytes:
    return f"sha256:{hashlib.sha256(manifest).hexdigest()}\n".encode()
