"""`https://`: one file from a web server, through httpx.

Redirects are followed as long as they stay on https; credentials go to the host that was named and, as httpx has it, to
no other. The body is taken as it is stored (`Accept-Encoding: identity`): lengths, ranges, digests are of those bytes.
"""

import base64
import os
import re
import ssl
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote

import httpx

from modelway.artifacts.errors import ArtifactError, SourceChangedError, TransientError
from modelway.artifacts.reasons import Reason
from modelway.artifacts.source import Entry, Listing, Opened
from modelway.artifacts.uri import Location

_TIMEOUT: Final = httpx.Timeout(30.0, connect=5.0)
_PASSING: Final = {408, 425, 429}


class HttpsSource:
    """One file on a web server."""

    def __init__(self, location: Location, environ: Mapping[str, str] = os.environ) -> None:
        self._location = location
        self._authorization = _authorization(environ)
        self._client = httpx.Client(
            verify=_tls(environ),
            timeout=_TIMEOUT,
            follow_redirects=True,
            headers={"accept-encoding": "identity", "user-agent": "modelway"} | self._authorization,
            event_hooks={"request": [self._refuse_plain_http]},
        )

    def list(self) -> Listing:
        """The file; its size is known when it is opened, since not every server answers HEAD."""
        name = PurePosixPath(unquote(self._location.path)).name
        if name in {"", ".", ".."}:
            raise ArtifactError(Reason.INVALID_URI, f"the URI {self._location} names no file")
        return Listing((Entry(PurePosixPath(name), str(self._location), size=None),), is_folder=False)

    def open(self, entry: Entry, start: int) -> Opened:
        """Read the file; from its beginning where the server knows no ranges."""
        headers = {"range": f"bytes={start}-"} if start else {}
        if start and entry.version:
            headers["if-range"] = entry.version
        try:
            request = self._client.build_request("GET", self._location.uri, headers=headers)
            response = self._client.send(request, stream=True)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._translated(error) from error
        try:
            self._check(response)
            first, size = _extent(response)
        except BaseException:
            response.close()
            raise
        return Opened(self._chunks(response), start=first, size=size, version=_version(response))

    def _chunks(self, response: httpx.Response) -> Iterator[bytes]:
        try:
            # In whatever pieces the network brings: gathered into blocks, a cut would lose what a block had so far.
            yield from response.iter_raw()
        except httpx.HTTPError as error:
            raise self._translated(error) from error
        finally:
            response.close()

    def _check(self, response: httpx.Response) -> None:
        status, location = response.status_code, self._location
        if status in {200, 206}:
            if response.headers.get("content-type", "").startswith("text/html"):
                raise ArtifactError(
                    Reason.DOWNLOAD_FAILED, f"{location} answers with a web page instead of a file; perhaps a login"
                )
            if response.headers.get("content-encoding", "identity") != "identity":
                raise ArtifactError(
                    Reason.DOWNLOAD_FAILED,
                    f"{location} sends the file in Content-Encoding {response.headers['content-encoding']}, unasked",
                )
            return
        if status in {401, 403} and self._authorization:
            raise ArtifactError(
                Reason.ACCESS_DENIED, f"access to {location} is denied ({status}); check the credentials"
            )
        if status in {401, 403}:
            raise ArtifactError(
                Reason.CREDENTIALS_MISSING,
                f"{location} asks for credentials ({status}) and none are given; set credentialsSecretRef "
                "with HTTPS_TOKEN, or HTTPS_USERNAME and HTTPS_PASSWORD",
            )
        if status in {404, 410}:
            raise ArtifactError(Reason.ARTIFACT_NOT_FOUND, f"there is nothing at {location} ({status}); check the path")
        if status in {412, 416}:
            raise SourceChangedError("was replaced while it was being read")
        if status in _PASSING or status >= 500:
            raise TransientError(f"the server answers {status}")
        raise ArtifactError(Reason.DOWNLOAD_FAILED, f"{location} answers {status}")

    def _refuse_plain_http(self, request: httpx.Request) -> None:
        if request.url.scheme != "https":
            raise ArtifactError(
                Reason.DOWNLOAD_FAILED, f"{self._location} redirects to plain http at {request.url.host}; refused"
            )

    def _translated(self, error: Exception) -> Exception:
        """What httpx said, as ArtifactError or TransientError. Never with its text: that can hold the URL."""
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return ArtifactError(
                    Reason.CERTIFICATE_REFUSED,
                    f"the certificate of {self._location.host} is not trusted: {cause.verify_message}; "
                    "put the authority's PEM into CA_BUNDLE",
                )
            cause = cause.__cause__ or cause.__context__
        if isinstance(error, httpx.TooManyRedirects):
            return ArtifactError(Reason.DOWNLOAD_FAILED, f"{self._location} redirects without end")
        if isinstance(error, (httpx.InvalidURL, httpx.UnsupportedProtocol)):
            return ArtifactError(Reason.INVALID_URI, f"the URI {self._location} cannot be requested")
        if isinstance(error, httpx.RemoteProtocolError | httpx.ReadError):
            return TransientError("the connection was cut", reason=Reason.TRUNCATED)
        if isinstance(error, httpx.TimeoutException):
            return TransientError(f"{self._location.host} does not answer in time")
        return TransientError(f"{self._location.host} cannot be reached: {_os_error(error)}")


def _authorization(environ: Mapping[str, str]) -> dict[str, str]:
    token = environ.get("HTTPS_TOKEN", "").strip()
    if token:
        return {"authorization": f"Bearer {token}"}
    user = environ.get("HTTPS_USERNAME", "").strip()
    if user:
        pair = f"{user}:{environ.get('HTTPS_PASSWORD', '').strip()}".encode()
        return {"authorization": f"Basic {base64.b64encode(pair).decode()}"}
    return {}


def _tls(environ: Mapping[str, str]) -> ssl.SSLContext:
    context = httpx.create_ssl_context()
    bundle = environ.get("CA_BUNDLE", "").strip()
    if bundle:
        try:
            context.load_verify_locations(cadata=bundle)
        except ssl.SSLError as error:
            raise ArtifactError(Reason.CERTIFICATE_REFUSED, "CA_BUNDLE holds no certificate in PEM form") from error
    return context


def _extent(response: httpx.Response) -> tuple[int, int | None]:
    """The first byte's position, and the size of the whole file."""
    if response.status_code == 206:
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("content-range", ""))
        if match is None:
            raise TransientError("the server answers a range without saying which")
        return int(match[1]), int(match[2]) if match[2] != "*" else None
    length = response.headers.get("content-length", "")
    return 0, int(length) if length.isdigit() else None


def _version(response: httpx.Response) -> str:
    """What `If-Range` may name: a strong ETag, else the time of the last change."""
    etag: str = response.headers.get("etag", "")
    return etag if etag and not etag.startswith("W/") else response.headers.get("last-modified", "")


def _os_error(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__
