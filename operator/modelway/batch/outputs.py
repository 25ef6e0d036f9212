"""What a run writes its rows to: parts in a folder, or a table. The seam between shards and what readers see."""

from dataclasses import dataclass
from typing import Any, Final, Protocol

from modelway.batch.parts import SUFFIXES, PartSink, Sink
from modelway.batch.plan import Plan
from modelway.batch.settings import Format
from modelway.batch.store import Place

SUCCESS: Final = "_SUCCESS"


class Parts(Protocol):
    """The rows of a run, shard by shard."""

    @property
    def suffix(self) -> str:
        """What the name of a part ends with."""

    def check(self, schema: Any, *, is_new: bool) -> None:
        """See, before anything is scored, whether such rows can be written; `is_new`: no plan is there. BatchError."""

    def sink(self, plan: Plan, number: int, schema: Any) -> Sink:
        """What takes the answers of a shard."""

    def publish(self, plan: Plan, rows: int, seal: bytes, schema: Any) -> None:
        """Write `_SUCCESS`, which holds `seal`, and let readers see the `rows` rows of all shards, if they do not yet.

        May be called again, and by several at once. Raises BatchError.
        """


@dataclass(frozen=True, slots=True)
class FileParts:
    """A part for each shard, in the output's folder, where readers see it at once.

    Args:
        output: the folder.
        format: of the parts.
    """

    output: Place
    format: Format

    @property
    def suffix(self) -> str:
        return SUFFIXES[self.format]

    def check(self, schema: Any, *, is_new: bool) -> None:
        del schema, is_new  # whatever can be scored can be written, and parts of others are found by the plan

    def sink(self, plan: Plan, number: int, schema: Any) -> Sink:
        key = self.output.key(plan.part(number, self.suffix))
        return PartSink(self.output.store, key, self.format, schema)

    def publish(self, plan: Plan, rows: int, seal: bytes, schema: Any) -> None:
        del plan, rows, schema
        self.output.store.put(self.output.key(SUCCESS), seal)
