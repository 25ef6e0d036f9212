"""`s3://`: Amazon's and everybody else's object stores, through obstore (the Rust crate object_store).

What was tried against a real gateway and holds here:
  - obstore's own retries are switched off: they do not resume a broken body, and two layers of retries hide each other.
    `transfer` does both, with ranged reads.
  - Its errors are told apart by the S3 error code, which stands in their text; the answer to a HEAD has none, so what
    a HEAD did not explain is asked again as a list.
  - Without credentials it would ask the cloud's metadata address, which most clusters block: a hang of minutes. So
    without any the request is anonymous, which is right for public buckets and says 403 at once for the others.
"""

import os
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Any, Final

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from modelway.artifacts.errors import ArtifactError, SourceChangedError, TransientError
from modelway.artifacts.reasons import Reason
from modelway.artifacts.source import Entry, Listing, Opened
from modelway.artifacts.uri import Location, redact

# Small: when the connection is cut, what was gathered for the next chunk is lost.
CHUNK: Final = 1 << 16
_STALL: Final = timedelta(seconds=30)
_CONNECT: Final = timedelta(seconds=5)
# The timeout of a whole request would end every long download; a stall ends by _STALL.
_NEVER: Final = timedelta(days=365)
# Any of these says that the environment is meant to authenticate: keys, IRSA and EKS Pod Identity, or a metadata
# service that somebody asked for by name.
_CREDENTIALS: Final = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_METADATA_ENDPOINT",
)
_KEYS: Final = {
    "AWS_ACCESS_KEY_ID": "access_key_id",
    "AWS_SECRET_ACCESS_KEY": "secret_access_key",
    "AWS_SESSION_TOKEN": "session_token",
    "AWS_REGION": "region",
    "AWS_METADATA_ENDPOINT": "metadata_endpoint",
    "AWS_ROLE_ARN": "role_arn",
    "AWS_ROLE_SESSION_NAME": "role_session_name",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "web_identity_token_file",
    "AWS_ENDPOINT_URL_STS": "endpoint_url_sts",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "container_credentials_relative_uri",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "container_credentials_full_uri",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "container_authorization_token_file",
}
# Error codes, whatever status they come with.
_ELSEWHERE: Final = {"AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException"}
_WRONG_CREDENTIALS: Final = {
    "SignatureDoesNotMatch": "the secret key is wrong",
    "InvalidAccessKeyId": "the access key is not known there",
    "XAdminUserNotFound": "the access key is not known there",  # versitygw
    "ExpiredToken": "the session token has expired",
    "InvalidToken": "the session token is wrong",
}


class S3Source:
    """One bucket."""

    def __init__(self, location: Location, environ: Mapping[str, str] = os.environ) -> None:
        self._location = location
        self._anonymous = is_anonymous(environ)
        self._store = connect(location.host, environ)

    def list(self) -> Listing:
        """The object of that key, else every object below it."""
        location = self._location
        if not location.is_folder:
            try:
                meta = obstore.head(self._store, location.path)
            except (BaseError, FileNotFoundError, ValueError) as error:
                problem = error
            else:
                return Listing((_entry(meta, PurePosixPath(location.path).name),), is_folder=False)
        prefix = location.path.removesuffix("/") + "/"
        try:
            found = [meta for page in obstore.list(self._store, prefix) for meta in page]
        except (BaseError, FileNotFoundError, ValueError) as error:
            raise self._translated(error) from error
        entries = _files(found, prefix)
        if entries:
            return Listing(entries, is_folder=True)
        if not location.is_folder and not isinstance(problem, FileNotFoundError):
            raise self._translated(problem)
        raise ArtifactError(
            Reason.ARTIFACT_NOT_FOUND,
            f"the bucket {location.host} holds nothing at {location}; check the key"
            if not location.is_folder
            else f"the bucket {location.host} holds no object below {location}; check the prefix",
        )

    def open(self, entry: Entry, start: int) -> Opened:
        """Read one object."""
        options: dict[str, Any] = {}
        if start:
            options["range"] = {"offset": start}
        if entry.version:
            options["if_match"] = entry.version
        try:
            result = obstore.get(self._store, entry.key, options=options)  # type: ignore[arg-type]
        except (BaseError, FileNotFoundError, ValueError) as error:
            raise self._translated(error) from error
        meta = result.meta
        chunks = self._chunks(result.stream(min_chunk_size=CHUNK))
        return Opened(chunks, start=result.range[0], size=meta["size"], version=meta["e_tag"] or "")

    def _chunks(self, stream: Iterator[bytes]) -> Iterator[bytes]:
        try:
            for chunk in stream:
                yield bytes(chunk)
        except BaseError as error:
            raise self._translated(error) from error

    def _translated(self, error: Exception) -> Exception:
        """What obstore said, as ArtifactError or TransientError."""
        return translate(str(error), self._location, anonymous=self._anonymous)


def is_anonymous(environ: Mapping[str, str]) -> bool:
    """Whether nothing in the environment is there to authenticate with."""
    return not any(environ.get(name) for name in _CREDENTIALS)


def connect(bucket: str, environ: Mapping[str, str], *, retries: int = 0) -> S3Store:
    """A client for one bucket. `retries` are obstore's own, for whole requests. Raises ArtifactError."""
    # Secrets made with `echo` end in a line break, which no key contains.
    values = {key: environ[name].strip() for name, key in _KEYS.items() if environ.get(name, "").strip()}
    endpoint = (environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL") or "").strip().rstrip("/")
    if endpoint:
        # obstore does not refuse what is no URL: it panics, in Rust.
        if not re.fullmatch(r"https?://[^\s/@?#]+(/[^\s?#]*)?", endpoint):
            raise ArtifactError(
                Reason.INVALID_URI, f"AWS_ENDPOINT_URL is no URL: {redact(endpoint)}; write https://host"
            )
        values["endpoint"] = endpoint
    options: dict[str, Any] = {
        "connect_timeout": _CONNECT,
        "read_timeout": _STALL,
        "timeout": _NEVER,
        # Whoever writes http:// into the endpoint means it; a redirect from https to http is still refused.
        "allow_http": endpoint.startswith("http://"),
    }
    if environ.get("CA_BUNDLE", "").strip():
        options["root_certificate"] = environ["CA_BUNDLE"]
    try:
        return S3Store(
            bucket,
            client_options=options,  # type: ignore[arg-type]
            retry_config={"max_retries": retries},
            skip_signature=is_anonymous(environ),
            **values,  # type: ignore[arg-type]
        )
    except (BaseError, ValueError) as error:
        raise ArtifactError(
            Reason.DOWNLOAD_FAILED, f"the S3 settings are not usable: {_first_line(str(error))}"
        ) from error


def _files(found: list[Any], prefix: str) -> tuple[Entry, ...]:
    """The objects as files; the empty objects with which some tools mark folders are none."""
    relative = {meta["path"].removeprefix(prefix): meta for meta in found if meta["path"].startswith(prefix)}
    folders = {str(parent) for path in relative for parent in PurePosixPath(path).parents}
    clashing = sorted(path for path in folders & relative.keys() if relative[path]["size"])
    if clashing:
        raise ArtifactError(
            Reason.UNSAFE_PATH, f"{prefix}{clashing[0]} is an object and a folder at once; a disk cannot hold both"
        )
    return tuple(_entry(meta, path) for path, meta in relative.items() if path not in folders)


def _entry(meta: Any, path: str) -> Entry:
    return Entry(PurePosixPath(path), meta["path"], meta["size"], meta["e_tag"] or "")


def translate(text: str, location: Location, *, anonymous: bool) -> ArtifactError | TransientError:
    """Turn the text of an obstore error into an error of ours. Pure."""
    code = _found(r"<Code>(\w+)</Code>", text)
    status = int(_found(r"status code: (\d{3})", text) or 0)
    if status or code or "redirect without LOCATION" in text:
        return _answered(status, code, text, location, anonymous=anonymous)
    if "parsing Path" in text or "empty path segment" in text:
        return ArtifactError(Reason.UNSAFE_PATH, f"{location}: a key has an empty, . or .. part in it")
    if "InvalidCertificate" in text or "invalid peer certificate" in text:
        return ArtifactError(
            Reason.CERTIFICATE_REFUSED,
            "the certificate of the S3 endpoint is not trusted; put the authority's PEM into CA_BUNDLE",
        )
    if "builder error" in text:
        return ArtifactError(
            Reason.INVALID_URI, "an endpoint in the S3 settings cannot be used; the token service's must be https"
        )
    if "UnexpectedEof" in text or "IncompleteBody" in text:
        return TransientError("the connection was cut", reason=Reason.TRUNCATED)
    cause = _found(r'message: "([^"]+)"', text) or _found(r'error: "([^"]+)"', text) or _first_line(text)
    return TransientError(f"the store cannot be reached: {cause}")


def _answered(
    status: int, code: str, text: str, location: Location, *, anonymous: bool
) -> ArtifactError | TransientError:
    """The store answered, with an error."""
    named = f"{status} {code}".rstrip()
    if code == "NoSuchBucket":
        return ArtifactError(Reason.BUCKET_NOT_FOUND, f"there is no bucket {location.host}; check {location}")
    if code in _ELSEWHERE or status in {0, 301, 307}:
        region = _found(r"<Region>([\w-]+)</Region>", text)
        hint = f"it is in {region}; set AWS_REGION to that" if region else "set AWS_REGION to the bucket's"
        return ArtifactError(Reason.WRONG_REGION, f"the bucket {location.host} is in another region: {hint}")
    if status in {401, 403} or code in _WRONG_CREDENTIALS:
        return _denied(code, location, anonymous=anonymous)
    if status == 404:
        return ArtifactError(Reason.ARTIFACT_NOT_FOUND, f"the bucket {location.host} holds nothing at {location}")
    if status in {412, 416}:
        return SourceChangedError("was replaced while it was being read")
    is_passing = status in {408, 425, 429} or status >= 500
    problem = f"the store answers {named} for {location}"
    return TransientError(problem) if is_passing else ArtifactError(Reason.DOWNLOAD_FAILED, problem)


def _denied(code: str, location: Location, *, anonymous: bool) -> ArtifactError:
    if anonymous:
        return ArtifactError(
            Reason.CREDENTIALS_MISSING,
            f"the store asks for credentials for {location} and none are given; set credentialsSecretRef, "
            "or a service account with a role",
        )
    because = _WRONG_CREDENTIALS.get(code, "the credentials lack the right to read it, or to list the bucket")
    return ArtifactError(Reason.ACCESS_DENIED, f"access to {location} is denied: {because}")


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match[1] if match else ""


def _first_line(text: str) -> str:
    return text.partition("\n")[0].rpartition(" - ")[2][:300]
