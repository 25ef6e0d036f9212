"""One shard: its rows in, its part out, and the record that it is done.

The order of writes is what makes a kill at any point harmless: the list of bad rows, then the part, then the record.
A shard is done when its record is there and the part is the one that the record tells; else it is scored anew, to the
same names.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from modelway.batch.counting import Counts, Sample
from modelway.batch.inputs import Inputs
from modelway.batch.metrics import Meter
from modelway.batch.outputs import Parts
from modelway.batch.parts import ErrorSink, Sink
from modelway.batch.pipeline import ordered
from modelway.batch.plan import Plan
from modelway.batch.progress import Progress
from modelway.batch.scoring import Scorer
from modelway.batch.source import Block, Source
from modelway.batch.store import Place, Stored


@dataclass(frozen=True, slots=True)
class Record:
    """That a shard is done.

    Args:
        shard: its number.
        part: what it wrote.
        sha256: of the part, in hex.
        rows: rows of the input, those that failed among them.
        failed_rows: rows that have no answer.
        seconds: how long it took.
        cpu_seconds: on all cores.
        inputs: what its rows count; None where nothing says what is usual.

    """

    shard: int
    part: Stored
    sha256: str
    rows: int
    failed_rows: int
    seconds: float
    cpu_seconds: float
    inputs: Counts | None = None

    def encoded(self) -> bytes:
        """As JSON."""
        inputs = {"inputs": self.inputs.record()} if self.inputs is not None else {}
        return orjson.dumps(
            inputs
            | {
                "shard": self.shard,
                "part": [self.part.key, self.part.size, self.part.mark],
                "sha256": self.sha256,
                "rows": self.rows,
                "failedRows": self.failed_rows,
                "seconds": self.seconds,
                "cpuSeconds": self.cpu_seconds,
            }
        )


def decode(content: bytes) -> Record:
    """Read a record. Only we write them, each by one atomic put."""
    found: Any = orjson.loads(content)
    return Record(
        shard=found["shard"],
        part=Stored(*found["part"]),
        sha256=found["sha256"],
        rows=found["rows"],
        failed_rows=found["failedRows"],
        seconds=found["seconds"],
        cpu_seconds=found["cpuSeconds"],
        inputs=Counts.of(found["inputs"]) if "inputs" in found else None,
    )


def done(output: Place, plan: Plan, number: int) -> Record | None:
    """The record of a shard whose part is there."""
    content = output.store.get(output.key(plan.record(number)))
    if content is None:
        return None
    record = decode(content)
    # By itself: a listing would be of all parts, for each of as many pods as there are shards.
    there = output.store.find(record.part.key)
    return record if there is not None and there.size == record.part.size else None


@dataclass(frozen=True, slots=True)
class Run:
    """What all shards of a process share.

    Args:
        plan: the plan.
        output: the folder.
        parts: where the answers go.
        source: reads them.
        scorer: the model.
        threads: how many blocks are scored at once.
        inputs: how the model's inputs are counted; None where nothing says what is usual for them.
        meter: where progress is shown beside the log.
        clock: seconds that pass.
        cpu_clock: seconds of all cores.

    """

    plan: Plan
    output: Place
    parts: Parts
    source: Source
    scorer: Scorer
    threads: int
    inputs: Inputs | None = None
    meter: Meter | None = None
    clock: Callable[[], float] = time.monotonic
    cpu_clock: Callable[[], float] = time.process_time

    def score(self, number: int) -> Record:
        """Score a shard. Raises BatchError, ChangedError."""
        started, cpu_started = self.clock(), self.cpu_clock()
        store = self.output.store
        errors = ErrorSink(store, self.output.key(self.plan.errors(number)))
        part = self.parts.sink(self.plan, number, self.scorer.schema())
        sample = self.inputs.sample() if self.inputs is not None else None
        try:
            progress = self._write(number, part, errors, sample)
            if errors.commit() is None:
                store.delete(self.output.key(self.plan.errors(number)))
            written = part.commit()
        finally:
            errors.abort()
            part.abort()
        counts = sample.counts() if sample is not None else None
        record = Record(
            number,
            written.stored,
            written.sha256,
            progress.rows,
            progress.failed,
            round(self.clock() - started, 3),
            round(self.cpu_clock() - cpu_started, 3),
            counts,
        )
        store.put(self.output.key(self.plan.record(number)), record.encoded())
        progress.say()
        return record

    def _write(self, number: int, part: Sink, errors: ErrorSink, sample: Sample | None) -> Progress:
        progress = Progress(
            number, sum(piece.weight for piece in self.plan.shards[number]), self.clock, meter=self.meter
        )
        answers = ordered(self._blocks(number), self.scorer.score, threads=self.threads)
        try:
            for scored in answers:
                part.write(scored.answers)
                if sample is not None:
                    sample.add(scored.tensors, scored.answers.num_rows)
                errors.write(scored.file, scored.after, scored.failures)
                progress.add(scored.rows, len(scored.failures), scored.done)
        finally:
            answers.close()  # type: ignore[attr-defined]
        return progress

    def _blocks(self, number: int) -> Iterator[Block]:
        for piece in self.plan.shards[number]:
            file = self.plan.files[piece.file]
            yield from self.source.blocks(file, piece)
