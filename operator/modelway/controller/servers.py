"""Asks a pod of our model server what it has answered (`api.observations`). Called by `measuring`, which bounds how
many are asked at once.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Final

import aiohttp
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from modelway.api.base import first_problem
from modelway.api.observations import PATH, AnswerError, check_origin
from modelway.controller.asking import Asker
from modelway.plan.measured import ServerReading, Target
from modelway.plan.pods import HTTP_PORT

_SECONDS: Final = 2.0
"""For one pod; it answers in milliseconds."""
_MOST_BYTES: Final = 2**20
"""Of an answer: 4,096 pairs and 2,000 counts are a quarter of it."""

_Count = Annotated[int, Field(ge=0)]


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)

    format: int
    epoch: Annotated[str, Field(min_length=1)]
    revision: str
    answers: dict[str, _Count]
    reference: dict[str, _Count] = Field(default_factory=dict)
    pairs_before: _Count
    pairs: list[tuple[str, str, float | None]]


class Servers:
    """Reads the model servers of one cluster.

    Args:
        session: makes the requests.
        clock: gives the time in UTC.
        port: on which the servers listen.

    """

    def __init__(self, session: aiohttp.ClientSession, *, clock: Callable[[], datetime], port: int = HTTP_PORT) -> None:
        self._asker = Asker(session, port=port, within=_SECONDS, most=_MOST_BYTES)
        self._clock = clock

    async def ask(self, target: Target) -> ServerReading:
        """Read one pod.

        Raises:
            UnreachableError: it did not answer, or not what a model server of its revision answers.
        """
        with self._asker.reaching(target.pod.name):
            said = _understood(await self._asker.get(target.address, PATH), target.revision)
        return ServerReading(
            pod=target.pod,
            taken_at=self._clock(),
            epoch=said.epoch,
            revision=said.revision,
            answers=said.answers,
            pairs=tuple(said.pairs),
            pairs_before=said.pairs_before,
            reference=said.reference,
        )


def _understood(body: bytes, revision: str) -> _Said:
    try:
        said = _Said.model_validate_json(body)
    except ValidationError as error:
        raise AnswerError(f"{PATH}: {first_problem(error)}") from None
    check_origin(said.format, said.revision, wanted=revision)
    return said
