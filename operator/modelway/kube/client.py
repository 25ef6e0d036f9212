"""A small client of the Kubernetes API: server-side apply, lists, watches, over aiohttp and orjson.

Used by the reflectors, the lease and `controller.apply`. It knows objects as JSON and nothing of ModelDeployments.
Every write asks the fence first, so that a process which lost its lease writes nothing more.
Why not a library: docs/adr/0002-own-kubernetes-client.md.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import orjson

from modelway.api.kinds import Kind
from modelway.kube.connection import Connection
from modelway.kube.errors import ApiError, Gone, Unauthorized, error_of

Object = dict[str, Any]

_APPLY: Final = "application/apply-patch+yaml"
_MERGE: Final = "application/merge-patch+json"
_JSON: Final = "application/json"

_NEVER: Final = "1"
"""A resourceVersion that no object has: etcd's first revision precedes every write. An apply that names it creates a
missing object and conflicts with an existing one, so it can create and never take over (docs/adr/0003)."""

_PAGE: Final = 500
_WATCH_SILENCE: Final = 90.0
"""Seconds without a byte after which a watch counts as dead; the server sends a bookmark every minute."""
_REQUEST_SECONDS: Final = 30.0


def open_to_all() -> None:
    """A fence that lets every write pass."""


class Client:
    """One API server, for one event loop. Close it when done.

    Args:
        connection: where the server is and who we are.
        fence: called before every write; raises `Deposed` when this process may not write.
        on_request: told the verb and the HTTP code of every request, for metrics.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        fence: Callable[[], None] = open_to_all,
        on_request: Callable[[str, int], None] = lambda _verb, _code: None,
    ) -> None:
        self._connection = connection
        self._fence = fence
        self._on_request = on_request
        self._session = aiohttp.ClientSession(
            base_url=connection.server,
            # No limit: each watch holds a connection for ever, and the workers bound the rest.
            connector=aiohttp.TCPConnector(ssl=connection.tls, limit=0, keepalive_timeout=60),
            # Not compressed: the server is near, and of a list its gzip costs more than all the rest.
            headers={"User-Agent": "modelway-operator", "Accept": _JSON, "Accept-Encoding": "identity"},
            timeout=aiohttp.ClientTimeout(total=_REQUEST_SECONDS),
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """One object.

        Raises:
            NotFound: there is none.
        """
        return await self._ask("GET", kind.path(namespace, name))

    async def pages(self, kind: Kind, namespace: str | None, selector: str) -> AsyncIterator[Object]:
        """The list of `kind`, page by page; the last page's resourceVersion is where a watch goes on."""
        params = {"limit": str(_PAGE), "labelSelector": selector}
        while True:
            page = await self._ask("GET", kind.path(namespace), params=params)
            yield page
            if not (more := page["metadata"].get("continue")):
                return
            params["continue"] = more

    @asynccontextmanager
    async def watch(
        self, kind: Kind, namespace: str | None, selector: str, *, version: str, seconds: int
    ) -> AsyncIterator[AsyncIterator[tuple[str, Object]]]:
        """A watch from `version` on, as (event type, object), bookmarks included. Ends after about `seconds`.

        Raises:
            Gone: `version` is too old.
        """
        params = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "labelSelector": selector,
            "resourceVersion": version,
            "timeoutSeconds": str(seconds),
        }
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=_WATCH_SILENCE)
        headers = self._connection.credentials.headers()
        async with self._session.get(kind.path(namespace), params=params, headers=headers, timeout=timeout) as answer:
            self._on_request("WATCH", answer.status)
            if answer.status >= 400:
                raise await self._error(answer)
            yield _events(answer.content)

    async def create(self, kind: Kind, body: Object, *, manager: str) -> Object:
        """Create an object by server-side apply, and never touch one that exists.

        Raises:
            Conflict: an object of that name exists.
        """
        fenced = body | {"metadata": body["metadata"] | {"resourceVersion": _NEVER}}
        return await self.apply(kind, fenced, manager=manager)

    async def apply(self, kind: Kind, body: Object, *, manager: str) -> Object:
        """Server-side apply of all fields that `manager` owns; those it owned before and does not name are dropped."""
        metadata = body["metadata"]
        path = kind.path(metadata["namespace"], metadata["name"])
        params = {"fieldManager": manager, "force": "true"}
        return await self._write("PATCH", path, body, params=params, content_type=_APPLY, verb="APPLY")

    async def replace(self, kind: Kind, body: Object, *, manager: str, subresource: str = "") -> Object:
        """Put `body` in the place of the object whose resourceVersion it carries.

        Raises:
            Conflict: the object has changed since.
        """
        metadata = body["metadata"]
        path = kind.path(metadata["namespace"], metadata["name"]) + (f"/{subresource}" if subresource else "")
        return await self._write("PUT", path, body, params={"fieldManager": manager})

    async def post(self, kind: Kind, body: Object) -> Object:
        """Create an object of which nobody else knows the name: an Event, a Lease."""
        return await self._write("POST", kind.path(body["metadata"]["namespace"]), body)

    async def merge(self, kind: Kind, body: Object) -> Object:
        """Merge `body` into an object."""
        metadata = body["metadata"]
        path = kind.path(metadata["namespace"], metadata["name"])
        return await self._write("PATCH", path, body, content_type=_MERGE)

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str) -> None:
        """Delete an object, if it is still the one with `uid`; what it owns follows in the background.

        Raises:
            Conflict: another object has that name now.
            NotFound: there is none.
        """
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": uid}}
        await self._write("DELETE", kind.path(namespace, name), options | {"propagationPolicy": "Background"})

    async def _write(
        self,
        method: str,
        path: str,
        body: Object,
        *,
        params: Mapping[str, str] | None = None,
        content_type: str = _JSON,
        verb: str | None = None,
    ) -> Object:
        self._fence()
        return await self._ask(method, path, params=params, body=body, content_type=content_type, verb=verb)

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Object | None = None,
        content_type: str = _JSON,
        verb: str | None = None,
    ) -> Object:
        headers = {**self._connection.credentials.headers()}
        data = None
        if body is not None:
            headers["Content-Type"] = content_type
            data = orjson.dumps(body)
        async with self._session.request(method, path, params=params, data=data, headers=headers) as answer:
            self._on_request(verb or method, answer.status)
            if answer.status >= 400:
                raise await self._error(answer)
            result: Object = orjson.loads(await answer.read())
            return result

    async def _error(self, answer: aiohttp.ClientResponse) -> ApiError:
        text = await answer.read()
        try:
            status = orjson.loads(text)
        except orjson.JSONDecodeError:
            status = {"message": text[:500].decode(errors="replace")}
        error = error_of(answer.status, status, retry_after=answer.headers.get("Retry-After"))
        if isinstance(error, Unauthorized):
            self._connection.credentials.forget()
        return error


async def _events(stream: aiohttp.StreamReader) -> AsyncIterator[tuple[str, Object]]:
    rest = b""
    async for chunk in stream.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if not line.strip():
                continue
            event = orjson.loads(line)
            if event["type"] == "ERROR":
                status = event["object"]
                code = int(status.get("code", 500))
                raise Gone(code, "Expired", str(status.get("message"))) if code == 410 else error_of(code, status)
            yield event["type"], event["object"]
