"""What the API server can answer that is no success.

ApiError                 any answer of 400 and above
├── BadRequest           400: the request makes no sense to the server
├── Unauthorized         401: the credentials are not accepted
├── Forbidden            403: not allowed, or over a quota
├── NotFound             404
├── Conflict             409: another resourceVersion, or the object exists already
├── Gone                 410: the resourceVersion is too old; list again
├── Invalid              422: the object breaks a rule of its kind
└── Unavailable          429, 5xx: try again later
Deposed                  this process may not write: it does not hold the lease (any more)
"""

from typing import Any, Final


class ApiError(Exception):
    """An answer of the API server that is no success. `message` is the server's own."""

    def __init__(self, code: int, reason: str, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(f"{code} {reason}: {message}")
        self.code = code
        self.reason = reason
        self.message = message
        self.retry_after = retry_after


class BadRequest(ApiError):
    """400."""


class Unauthorized(ApiError):
    """401."""


class Forbidden(ApiError):
    """403."""


class NotFound(ApiError):
    """404."""


class Conflict(ApiError):
    """409."""


class Gone(ApiError):
    """410."""


class Invalid(ApiError):
    """422."""


class Unavailable(ApiError):
    """429 and 5xx."""


class Deposed(Exception):
    """A write was asked for while another process holds the lease, or nobody is known to."""


_BY_CODE: dict[int, type[ApiError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: Unavailable,
}


_NOT_OF_ITS_KIND: Final = "failed to create typed patch object"
"""What server-side apply says of a field that its kind does not have, or that is of another type: with 500, though it
is the request that is wrong and will not get better."""


def error_of(code: int, status: Any, *, retry_after: str | None = None) -> ApiError:
    """The error for an answer with `code` whose body is `status` (a `metav1.Status`, or anything else)."""
    body = status if isinstance(status, dict) else {}
    if code == 500 and str(body.get("message", "")).startswith(_NOT_OF_ITS_KIND):
        code = 400
    kind = _BY_CODE.get(code, Unavailable if code >= 500 else ApiError)
    wait = float(retry_after) if retry_after and retry_after.isdigit() else None
    return kind(code, str(body.get("reason", "Unknown")), str(body.get("message", "")), retry_after=wait)
