"""The few requests that this package itself sends to an API server; not a client for anyone else."""

import http.client
import json
import ssl
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import LocalClusterError


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; `status` 0 means that nobody answered."""

    status: int
    body: bytes

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> Any:
        return json.loads(self.body)


class Api:
    """Requests to one server as one user, each on its own connection: a server that restarts is no special case."""

    def __init__(self, *, server: str, authority: Path, token: str) -> None:
        self._server = server
        self._authority = authority
        self._token = token

    def request(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Answer:
        url = urllib.parse.urlsplit(self._server)
        tls = ssl.create_default_context(cafile=str(self._authority))
        connection = http.client.HTTPSConnection(url.hostname or "", url.port, timeout=10, context=tls)
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": content_type, "Accept": "application/json"}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            return Answer(response.status, response.read())
        except (OSError, http.client.HTTPException) as error:
            return Answer(0, str(error).encode())
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        """The object at `path`, or None where there is none."""
        answer = self.request("GET", path)
        if answer.status == 404:
            return None
        return self._checked("GET", path, answer).json()

    def create(self, path: str, item: Any) -> bool:
        """Posts the object. False when one of that name is there already."""
        answer = self.request("POST", path, item)
        if answer.status == 409:
            return False
        self._checked("POST", path, answer)
        return True

    def merge(self, path: str, patch: Any) -> Any:
        answer = self.request("PATCH", path, patch, "application/merge-patch+json")
        return self._checked("PATCH", path, answer).json()

    def delete(self, path: str) -> None:
        """Deletes the object, or all of a collection. Nothing there is fine."""
        answer = self.request("DELETE", path)
        if answer.status != 404:
            self._checked("DELETE", path, answer)

    def is_ready(self) -> bool:
        return self.request("GET", "/readyz").ok

    @staticmethod
    def _checked(method: str, path: str, answer: Answer) -> Answer:
        if not answer.ok:
            raise LocalClusterError(f"{method} {path}: {answer.status} {answer.body[:500].decode(errors='replace')}")
        return answer
