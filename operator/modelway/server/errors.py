"""How one request fails.

Raised anywhere between the first byte of a request and the last of its answer; `server.app` turns it into a JSON error.
A failure of the process is a `ModelwayError` instead (see `artifacts.errors`, where the whole tree is drawn).
"""

from collections.abc import Mapping


class RequestError(Exception):
    """A request that is answered with an error status.

    Args:
        status: the HTTP status.
        message: one sentence for the caller: where in the request, what is wrong, what was expected.
        headers: response headers that belong to the status, such as Allow or Retry-After.

    """

    def __init__(self, status: int, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})


class InvalidInputError(RequestError):
    """400: the request does not say what the model can read. The message names the exact position."""

    def __init__(self, message: str) -> None:
        super().__init__(400, message)
