"""Asks a pod of our model server what it has answered (`api.observations`). Called by `measuring`, which bounds how
many are asked at once.

What comes is checked before anything is concluded from it: a pod's address may belong to another pod by now, and a
model server may be of another version than the operator.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Final

import aiohttp
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from modelway.api.observations import FORMAT, PATH
from modelway.controller.measuring import UnreachableError
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
        self._session = session
        self._clock = clock
        self._port = port
        self._timeout = aiohttp.ClientTimeout(total=_SECONDS)

    async def ask(self, target: Target) -> ServerReading:
        """Read one pod.

        Raises:
            UnreachableError: it did not answer, or not what a model server of its revision answers.
        """
        try:
            status, body = await self._get(target.address)
            said = _understood(status, body, target.revision)
        except TimeoutError:
            raise _unreachable(target, f"no answer within {_SECONDS:g} s") from None
        except (aiohttp.ClientError, OSError, _AnswerError) as error:
            raise _unreachable(target, str(error) or type(error).__name__) from error
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

    async def _get(self, address: str) -> tuple[int, bytes]:
        host = f"[{address}]" if ":" in address else address
        url = f"http://{host}:{self._port}{PATH}"
        async with self._session.get(url, timeout=self._timeout, allow_redirects=False) as answer:
            body = bytearray()
            async for chunk in answer.content.iter_any():
                body += chunk
                if len(body) > _MOST_BYTES:
                    raise _AnswerError(f"{PATH} is larger than {_MOST_BYTES} bytes")
            return answer.status, bytes(body)


class _AnswerError(Exception):
    """What was answered is of no use."""


def _understood(status: int, body: bytes, revision: str) -> _Said:
    if status == 404:
        raise _AnswerError(f"it has no {PATH}: it is of another version than the operator, or runs with --no-observe")
    if status != 200:
        raise _AnswerError(f"{PATH} was answered with status {status}")
    try:
        said = _Said.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the answer"
        raise _AnswerError(f"{PATH}: {where}: {first['msg']}") from None
    if said.format != FORMAT:
        raise _AnswerError(f"it counts in format {said.format}, the operator in {FORMAT}; bring both to one version")
    if said.revision != revision:
        raise _AnswerError(f"revision {said.revision or 'unknown'} answered at its address, not {revision}")
    return said


def _unreachable(target: Target, reason: str) -> UnreachableError:
    return UnreachableError(f"pod {target.pod.name}: {reason}")
