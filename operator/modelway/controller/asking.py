"""Questions to pods, and what holds of every answer. `Asker` is for those of our model server.

What comes is checked before anything is concluded from it: a pod's address may belong to another pod by now, and a
model server may be of another version than the operator.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp

from modelway.api.observations import AnswerError
from modelway.controller.measuring import UnreachableError


class Asker:
    """Asks pods, one question at a time.

    Args:
        session: makes the requests.
        port: on which the servers listen.
        within: seconds that an answer may take.
        most: bytes that it may have.
    """

    def __init__(self, session: aiohttp.ClientSession, *, port: int, within: float, most: int) -> None:
        self._session = session
        self._port = port
        self._within = within
        self._timeout = aiohttp.ClientTimeout(total=within)
        self._most = most

    @contextmanager
    def reaching(self, pod: str) -> Iterator[None]:
        """Ask the pod of this name in this block: whatever goes wrong becomes UnreachableError, with the name."""
        try:
            yield
        except TimeoutError:
            raise UnreachableError(f"pod {pod}: no answer within {self._within:g} s") from None
        except (aiohttp.ClientError, OSError, AnswerError) as error:
            raise UnreachableError(f"pod {pod}: {str(error) or type(error).__name__}") from error

    async def get(self, address: str, path: str) -> bytes:
        """What is answered at a path, with status 200.

        Args:
            address: of the pod, IPv4 or IPv6.
            path: with its query.

        Raises:
            AnswerError: it is larger than it may be, or has another status.
            aiohttp.ClientError, OSError, TimeoutError: there is none.
        """
        url = url_of(address, self._port, path)
        async with self._session.get(url, timeout=self._timeout, allow_redirects=False) as answer:
            body = await body_of(answer, most=self._most)
        if body is None:
            raise AnswerError(f"{path} is larger than {self._most} bytes")
        if answer.status == 404:
            raise AnswerError(
                f"it has no {path}: it is of another version than the operator, or runs with --no-observe"
            )
        if answer.status != 200:
            raise AnswerError(f"{path} was answered with status {answer.status}")
        return body


def url_of(address: str, port: int, path: str) -> str:
    """Where a pod is asked; its address may be of IPv6."""
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}:{port}{path}"


async def body_of(answer: aiohttp.ClientResponse, *, most: int) -> bytes | None:
    """All that is answered, or None where that is more than so many bytes: whoever answers may be hostile."""
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > most:
            return None
    return bytes(body)
