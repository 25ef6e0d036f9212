"""One question to a pod of our model server, and what holds of every answer. Called by `servers` and `observed`.

What comes is checked before anything is concluded from it: a pod's address may belong to another pod by now, and a
model server may be of another version than the operator.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp

from modelway.api.observations import AnswerError
from modelway.controller.measuring import UnreachableError


@contextmanager
def reaching(pod: str, *, within: float) -> Iterator[None]:
    """Reach a pod in this block: whatever goes wrong on the way becomes UnreachableError, with the pod's name.

    Args:
        pod: its name.
        within: seconds that an answer may take, for the message.
    """
    try:
        yield
    except TimeoutError:
        raise UnreachableError(f"pod {pod}: no answer within {within:g} s") from None
    except (aiohttp.ClientError, OSError, AnswerError) as error:
        raise UnreachableError(f"pod {pod}: {str(error) or type(error).__name__}") from error


async def asked(
    session: aiohttp.ClientSession, address: str, path: str, *, port: int, within: aiohttp.ClientTimeout, most: int
) -> bytes:
    """What is answered at a path, with status 200.

    Args:
        session: makes the request.
        address: of the pod, IPv4 or IPv6.
        path: with its query.
        port: on which the server listens.
        within: how long it may take.
        most: bytes that an answer may have.

    Raises:
        AnswerError: it is larger, or has another status.
        aiohttp.ClientError, OSError, TimeoutError: there is none.
    """
    host = f"[{address}]" if ":" in address else address
    async with session.get(f"http://{host}:{port}{path}", timeout=within, allow_redirects=False) as answer:
        body = bytearray()
        async for chunk in answer.content.iter_any():
            body += chunk
            if len(body) > most:
                raise AnswerError(f"{path} is larger than {most} bytes")
    if answer.status == 404:
        raise AnswerError(f"it has no {path}: it is of another version than the operator, or runs with --no-observe")
    if answer.status != 200:
        raise AnswerError(f"{path} was answered with status {answer.status}")
    return bytes(body)
