"""Texts of obstore errors that a test server does not give, as they were seen or are documented."""

import pytest

from modelway.artifacts import uri
from modelway.artifacts.errors import ArtifactError, SourceChangedError, TransientError
from modelway.artifacts.reasons import Reason
from modelway.artifacts.s3 import _files, translate

LOCATION = uri.parse("s3://bucket/a/")


def answered(status: str, code: str = "", more: str = "") -> str:
    body = f"<Error><Code>{code}</Code><Message>m</Message>{more}</Error>" if code else ""
    return f"Generic S3 error: Error performing GET http://s3/bucket - Server returned non-2xx status code: {status}: {body}"


@pytest.mark.parametrize(
    ("text", "reason", "said"),
    [
        (answered("403 Forbidden", "ExpiredToken"), Reason.ACCESS_DENIED, "the session token has expired"),
        (answered("400 Bad Request", "ExpiredToken"), Reason.ACCESS_DENIED, "the session token has expired"),
        (answered("400 Bad Request", "InvalidToken"), Reason.ACCESS_DENIED, "the session token is wrong"),
        (answered("403 Forbidden", "AccessDenied"), Reason.ACCESS_DENIED, "lack the right to read it"),
        (answered("403 Forbidden"), Reason.ACCESS_DENIED, "lack the right to read it"),
        (answered("401 Unauthorized"), Reason.ACCESS_DENIED, "lack the right to read it"),
        (
            answered("301 Moved Permanently", "PermanentRedirect"),
            Reason.WRONG_REGION,
            "set AWS_REGION to the bucket's",
        ),
        (
            "Received redirect without LOCATION, this normally indicates an incorrectly configured region",
            Reason.WRONG_REGION,
            "set AWS_REGION",
        ),
        (answered("404 Not Found", "NoSuchKey"), Reason.ARTIFACT_NOT_FOUND, "holds nothing at s3://bucket/a/"),
        (answered("405 Method Not Allowed", "MethodNotAllowed"), Reason.DOWNLOAD_FAILED, "405 MethodNotAllowed"),
        ('Error parsing Path "a/../b": Encountered illegal', Reason.UNSAFE_PATH, "empty, . or .. part"),
        ('Path "a//b" contained empty path segment', Reason.UNSAFE_PATH, "empty, . or .. part"),
        ("InvalidCertificate(UnknownIssuer)", Reason.CERTIFICATE_REFUSED, "CA_BUNDLE"),
        ("HTTP error: builder error", Reason.INVALID_URI, "the token service's must be https"),
    ],
)
def test_what_no_retry_mends(text, reason, said):
    error = translate(text, LOCATION, anonymous=False)
    assert isinstance(error, ArtifactError)
    assert error.reason is reason
    assert said in error.message


@pytest.mark.parametrize(
    "text",
    [
        answered("500 Internal Server Error", "InternalError"),
        answered("503 Service Unavailable", "SlowDown"),
        answered("429 Too Many Requests"),
        "Generic S3 error: HTTP error: error sending request",
        "operation timed out",
    ],
)
def test_what_a_retry_may_mend(text):
    assert isinstance(translate(text, LOCATION, anonymous=False), TransientError)


@pytest.mark.parametrize("text", [answered("412 Precondition Failed"), answered("416 Range", "InvalidRange")])
def test_a_file_that_was_replaced(text):
    assert isinstance(translate(text, LOCATION, anonymous=False), SourceChangedError)


def listed(**sizes: int) -> list[dict[str, object]]:
    return [{"path": path, "size": size, "e_tag": None} for path, size in sizes.items()]


def test_empty_objects_that_mark_folders_are_no_files():
    found = [*listed(**{"p/sub": 0, "p/sub/a": 1, "p/b": 0})]
    assert [str(entry.path) for entry in _files(found, "p/")] == ["sub/a", "b"]


def test_an_object_that_is_a_folder_as_well_is_refused():
    with pytest.raises(ArtifactError, match="an object and a folder at once"):
        _files(listed(**{"p/sub": 5, "p/sub/a": 1}), "p/")
