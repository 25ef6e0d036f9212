"""The plan: what a run does, in one object that the first shard to come writes and all obey.

`_plan.json` holds the input's files with their sizes and marks, which shard reads what of them, the model's digest
and the settings that decide what the parts hold. It is written with a conditional put, so two that come at once
follow one of them, and files that come later move nothing. Its hash is in the name of every part, so parts of two
plans never mix unseen.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from modelway.batch.errors import BatchError, Reason
from modelway.batch.splits import Piece
from modelway.batch.store import Place, Stored

NAME: Final = "_plan.json"
FORMAT: Final = "modelway.dev/batch-plan/1"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run does.

    Args:
        model: digest and version of the model.
        settings: see `Settings.deciding`.
        files: the input.
        shards: the pieces of each shard.
        hash: 12 hex digits that stand for the whole plan; made once, as it is in every name.

    """

    model: Mapping[str, str]
    settings: Mapping[str, object]
    files: tuple[Stored, ...]
    shards: tuple[tuple[Piece, ...], ...]
    hash: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "hash", hashlib.sha256(self.encoded()).hexdigest()[:12])

    def encoded(self) -> bytes:
        """As JSON; the same bytes for the same plan."""
        document = {
            "format": FORMAT,
            "model": dict(self.model),
            "settings": dict(self.settings),
            "files": [[one.key, one.size, one.mark] for one in self.files],
            "shards": [
                [[piece.file, piece.start, piece.stop, piece.weight] for piece in shard] for shard in self.shards
            ],
        }
        return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)

    def part(self, shard: int, suffix: str) -> str:
        """The name of a shard's part."""
        return f"part-{self.hash}-{shard:05d}{suffix}"

    def record(self, shard: int) -> str:
        """The name of the record that a shard is done."""
        return f"_shards/{self.hash}/{shard:05d}.json"

    def errors(self, shard: int) -> str:
        """The name of the list of a shard's bad rows."""
        return f"_errors/{self.hash}/{shard:05d}.jsonl"


def decode(content: bytes, where: str) -> Plan:
    """Read a plan. Raises BatchError(PLAN_DIFFERS) where it is none of ours."""
    try:
        document: Any = orjson.loads(content)
        if document["format"] != FORMAT:
            raise BatchError(
                Reason.PLAN_DIFFERS, f"{where} is of the format {document['format']}; run the modelway that began it"
            )
        return Plan(
            model=document["model"],
            settings=document["settings"],
            files=tuple(Stored(*one) for one in document["files"]),
            shards=tuple(tuple(Piece(*piece) for piece in shard) for shard in document["shards"]),
        )
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise BatchError(
            Reason.PLAN_DIFFERS, f"{where} is no plan of modelway's; name another output folder"
        ) from error


def read(output: Place) -> Plan | None:
    """The plan of an output folder, if it has one."""
    content = output.store.get(output.key(NAME))
    return None if content is None else decode(content, output.store.shown(output.key(NAME)))


def settle(output: Place, plan: Plan) -> Plan:
    """Write the plan, or follow the one that somebody else was first to write."""
    if output.store.create(output.key(NAME), plan.encoded()):
        return plan
    there = read(output)
    if there is None:
        raise BatchError(Reason.STORE_FAILED, f"{output}{NAME} was there and is gone; somebody is removing the output")
    return there


def check(plan: Plan, *, model: Mapping[str, str], settings: Mapping[str, object], shards: int, output: Place) -> None:
    """Raise BatchError(PLAN_DIFFERS) unless the plan is one for this model, these settings, so many shards."""
    differing = []
    if plan.model != model:
        differing.append(f"the model {_model(plan.model)}, where it is {_model(model)} now")
    if len(plan.shards) != shards:
        differing.append(f"{len(plan.shards)} shards, where {shards} are asked for now")
    for name, value in settings.items():
        if plan.settings.get(name) != value:
            differing.append(f"{name} {_shown(plan.settings.get(name))}, where it is {_shown(value)} now")
    if differing:
        raise BatchError(
            Reason.PLAN_DIFFERS,
            f"{output} was begun with {'; and '.join(differing)}; ask for the same again, name another output folder, "
            "or remove that one",
        )


def _model(model: Mapping[str, str]) -> str:
    return f"{model['digest'][:19]}… (version {model['version'] or 'not said'})"


def _shown(value: object) -> str:
    return orjson.dumps(value).decode()
