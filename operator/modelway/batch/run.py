"""A whole run, or one shard of it: what `modelway batch score` does, in a pod of an Indexed Job or by hand.

Every process goes the same way: load the model, follow the plan or make it, score what is not done, see whether all is.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import structlog

from modelway.artifacts import digest
from modelway.batch import finish as finishing
from modelway.batch import plan as planning
from modelway.batch import shard as sharding
from modelway.batch.columns import Binding, bind
from modelway.batch.errors import BatchError, ChangedError, Reason
from modelway.batch.files import FileInput
from modelway.batch.finish import Finished
from modelway.batch.inputs import Inputs
from modelway.batch.metrics import Meter
from modelway.batch.outputs import SUCCESS, FileParts, Parts
from modelway.batch.parquet import ParquetSource
from modelway.batch.plan import Plan
from modelway.batch.scoring import Scorer
from modelway.batch.settings import Format, Settings
from modelway.batch.shard import Run
from modelway.batch.source import Input, Source
from modelway.batch.splits import cut
from modelway.batch.sql import location
from modelway.batch.sql.database import Database
from modelway.batch.sql.source import SqlInput, SqlSource
from modelway.batch.store import Place, open_place
from modelway.batch.text import TextSource
from modelway.server.code import Code
from modelway.server.loading import Loaded, load
from modelway.server.options import ServerOptions

_log = structlog.get_logger()

# Rows that are read and passed on together: enough that passing them costs nothing, few enough that many fit in memory.
BLOCK_ROWS: Final = 1 << 15


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """Which model, and how it may be loaded; as the server takes them."""

    folder: Path
    version: str | None = None
    format: str | None = None
    code: Code = Code.REFUSE
    allowed_globals: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a process did.

    Args:
        rows: of the shards that it scored.
        failed_rows: of these.
        scored: shards that it scored.
        skipped: shards that were done.
        shards: of the run.
        finished: how far the run is.

    """

    rows: int
    failed_rows: int
    scored: int
    skipped: int
    shards: int
    finished: Finished


def run(
    settings: Settings,
    model: ModelOptions,
    *,
    only: int | None = None,
    threads: int = 1,
    meter: Meter | None = None,
) -> Outcome:
    """Score all shards, or one, and finish the run if that was the last.

    Args:
        settings: what to do.
        model: with what.
        only: the number of the one shard to score.
        threads: how many blocks are scored at once.
        meter: where progress is shown beside the log.

    Raises BatchError, and ModelError or ArtifactError of the model.

    """
    if only is not None and not 0 <= only < settings.shards:
        raise BatchError(Reason.SETTINGS_INVALID, f"there is no shard {only} of {settings.shards}; they count from 0")
    input_, output = _input(settings), open_place(settings.output, folder=True)
    try:
        return _run(settings, model, input_, output, only, threads, meter)
    except ChangedError as error:
        raise BatchError(
            Reason.INPUT_CHANGED,
            f"{input_.shown(str(error))} is not the file that was planned: it was replaced or removed; "
            "name another output folder and run again",
        ) from error


def _run(
    settings: Settings,
    model: ModelOptions,
    input_: Input,
    output: Place,
    only: int | None,
    threads: int,
    meter: Meter | None,
) -> Outcome:
    prepared = _prepared(settings, model, input_, output, threads, meter)
    plan = prepared.plan
    rows = failed = scored = skipped = 0
    for number in range(len(plan.shards)) if only is None else [only]:
        there = sharding.done(output, plan, number)
        if there is None:
            output.store.delete(output.key(SUCCESS))
            try:
                record = prepared.score(number)
            except BatchError:
                # A run beside this one may have done it, and by now have taken away what both were writing to.
                there = sharding.done(output, plan, number)
                if there is None:
                    raise
        if there is not None:
            skipped += 1
            _log.info("shard_done_already", shard=number, rows=there.rows)
            continue
        rows, failed, scored = rows + record.rows, failed + record.failed_rows, scored + 1
    finished = finishing.finish(prepared, input_, max_failed_per_million=settings.max_failed_rows_per_million)
    return Outcome(rows, failed, scored, skipped, len(plan.shards), finished)


def _prepared(
    settings: Settings, model: ModelOptions, input_: Input, output: Place, threads: int, meter: Meter | None
) -> Run:
    setup = _Setup.of(settings, model, input_, output)
    plan = setup.plan()
    planning.check(plan, model=setup.identity, settings=settings.deciding(), shards=settings.shards, output=output)
    _check_since(input_, output, plan)
    scorer, inputs = setup.scorer(plan), Inputs.of(setup.loaded, setup.binding, settings.rule)
    setup.parts.check(scorer.schema(), is_new=False)
    return Run(plan, output, setup.parts, setup.source, scorer, threads, inputs, meter)


@dataclass(frozen=True, slots=True)
class _Setup:
    """What a process works with, whichever plan it follows.

    Args:
        settings: what is asked for.
        input_: what is read.
        output: the folder.
        identity: digest and version of the model.
        loaded: the model.
        binding: which column is which input of it.
        source: reads the input.
        parts: where the answers go.

    """

    settings: Settings
    input_: Input
    output: Place
    identity: dict[str, str]
    loaded: Loaded
    binding: Binding
    source: Source
    parts: Parts

    @classmethod
    def of(cls, settings: Settings, model: ModelOptions, input_: Input, output: Place) -> Self:
        identity = {"digest": digest.of_path(model.folder).value}
        loaded = load(
            ServerOptions(
                model_dir=model.folder,
                name="batch",
                version=model.version,
                format=model.format,
                code=model.code,
                allowed_globals=model.allowed_globals,
                max_rows=max(BLOCK_ROWS, settings.rows_per_batch),
            )
        )
        identity["version"] = loaded.version or ""
        binding = bind(loaded.signature, settings)
        source, parts = source_of(settings, input_, binding), _parts(settings, output)
        return cls(settings, input_, output, identity, loaded, binding, source, parts)

    def plan(self) -> Plan:
        """The plan that is there, or a new one. Of two that begin at once both follow one."""
        if (there := planning.read(self.output)) is not None:
            return there
        try:
            return self._begun()
        except BatchError as error:
            # What is there may be of a run that began a moment ago: then its plan is there as well.
            if error.reason is Reason.OUTPUT_NOT_EMPTY and (there := planning.read(self.output)) is not None:
                return there
            raise

    def scorer(self, plan: Plan) -> Scorer:
        """The model, given the columns that the first file has. Raises BatchError."""
        read = self.source.schema(plan.files[0])
        form, rows = self.settings.output_format, self.settings.rows_per_batch
        return Scorer.of(self.loaded, self.binding, rows=rows, model=self.identity, form=form, read=read)

    def _begun(self) -> Plan:
        """A new plan, or that of whoever was quicker; written only when it is known that it can be done."""
        made = self._made()
        self.parts.check(self.scorer(made).schema(), is_new=True)
        plan = planning.settle(self.output, made)
        if not self.output.store.exclusive:
            _log.warning("store_has_no_conditional_put", consequence="two runs that begin at once may both fail")
        _log.info("planned", plan=plan.hash, files=len(plan.files), shards=len(plan.shards))
        return plan

    def _made(self) -> Plan:
        parts = self.output.store.list(self.output.prefix + "part-")
        if parts:
            raise BatchError(
                Reason.OUTPUT_NOT_EMPTY,
                f"{self.output} holds {len(parts)} parts and no {planning.NAME}; name another output folder, or remove "
                "that one",
            )
        shards = self.settings.shards
        files = tuple(self.input_.find(shards))
        pieces = cut(self.source.units(files, shards), shards)
        return Plan(self.identity, self.settings.deciding(), files, pieces)


def _input(settings: Settings) -> Input:
    """What is read. Raises BatchError."""
    if not location.is_table(settings.input):
        return FileInput(open_place(settings.input))
    table = location.parse(settings.input)
    return SqlInput(Database(table), table, settings.key)


def _parts(settings: Settings, output: Place) -> Parts:
    if not location.is_table(settings.output):
        return FileParts(output, settings.output_format)
    from modelway.batch.sql.target import SqlParts  # noqa: PLC0415 for those who need it

    return SqlParts(output, location.parse(settings.output))


def source_of(settings: Settings, input_: Input, binding: Binding) -> Source:
    """What reads the input."""
    rows = max(BLOCK_ROWS // settings.rows_per_batch, 1) * settings.rows_per_batch
    if isinstance(input_, SqlInput):
        return SqlSource(input_, binding, rows)
    assert isinstance(input_, FileInput)  # noqa: S101 there are two kinds
    if settings.input_format is Format.PARQUET:
        return ParquetSource(input_.place.store, binding, rows)
    return TextSource(input_.place.store, binding, settings.input_format, settings.split_lines)


def _check_since(input_: Input, output: Place, plan: Plan) -> None:
    """Raise BatchError(INPUT_CHANGED) where what was planned is not there, or has more beside it when all is done."""
    manifest = finishing.begun(output)
    if manifest is None and not input_.is_cheap:
        return
    late = finishing.check_input(input_, plan)
    if manifest is not None and (new := _unknown(late, manifest["lateFiles"])):
        raise BatchError(
            Reason.INPUT_CHANGED,
            f"{len(new)} files have come since {output} was completed, {new[0]} for one; name another output folder",
        )


def _unknown(names: Iterable[str], known: Iterable[str]) -> list[str]:
    return sorted(set(names) - set(known))
