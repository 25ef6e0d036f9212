"""Against a real TLS server with a private authority."""

import hashlib
import os

import pytest
from structlog.testing import capture_logs

from modelway.artifacts.errors import ArtifactError
from modelway.artifacts.fetch import fetch
from modelway.artifacts.reasons import Reason
from support.https_server import File

CONTENT = os.urandom(300_000)


@pytest.fixture
def get(web, tmp_path, retries):
    """Serve a file and fetch it."""

    def run(file: File, path: str = "/models/m.onnx", query: str = "", **environ: str):
        web.files[path] = file
        trusted = {"CA_BUNDLE": web.ca_pem} | environ
        return fetch(web.url(path) + query, tmp_path / "to", environ=trusted, retries=retries)

    return run


def test_a_file_comes_under_its_own_name(get, tmp_path):
    fetched = get(File(CONTENT), "/models/my%20model.onnx")
    assert (tmp_path / "to" / "my model.onnx").read_bytes() == CONTENT
    assert fetched.digest == "sha256:" + hashlib.sha256(CONTENT).hexdigest()


def test_an_unknown_authority_is_refused(web, tmp_path, retries, pauses):
    with pytest.raises(ArtifactError, match="put the authority's PEM into CA_BUNDLE") as caught:
        fetch(web.url("/m"), tmp_path / "to", environ={}, retries=retries)
    assert caught.value.reason is Reason.CERTIFICATE_REFUSED
    assert pauses == []


def test_a_bundle_that_is_no_pem_is_refused(web, tmp_path, retries):
    with pytest.raises(ArtifactError, match="no certificate in PEM form"):
        fetch(web.url("/m"), tmp_path / "to", environ={"CA_BUNDLE": "nonsense"}, retries=retries)


def test_a_cut_download_goes_on_by_range(get):
    file = File(CONTENT, cuts=[100_000, 50_000], headers={"etag": '"v1"'})
    assert get(file).size == len(CONTENT)
    assert file.asked == [None, "bytes=100000-", "bytes=150000-"]


def test_a_cut_download_begins_anew_where_there_are_no_ranges(get):
    file = File(CONTENT, cuts=[100_000], ranges=False)
    assert get(file).size == len(CONTENT)
    assert len(file.asked) == 2


def test_a_file_that_always_ends_early_is_truncated(get):
    with pytest.raises(ArtifactError) as caught:
        get(File(CONTENT, cuts=[1000] * 20, ranges=False))
    assert caught.value.reason is Reason.TRUNCATED


def test_passing_trouble_is_tried_again(get, pauses):
    assert get(File(CONTENT, statuses=[503, 429, 500, 200])).size == len(CONTENT)
    assert pauses == [0.5, 1, 2]


@pytest.mark.parametrize(
    ("environ", "sent"),
    [
        ({"HTTPS_TOKEN": "top-secret\n"}, "Bearer top-secret"),
        ({"HTTPS_USERNAME": "me", "HTTPS_PASSWORD": "top-secret"}, "Basic bWU6dG9wLXNlY3JldA=="),
    ],
    ids=["token", "password"],
)
def test_credentials_come_from_the_environment(get, environ, sent):
    assert get(File(CONTENT, authorization=sent), **environ).size == len(CONTENT)


@pytest.mark.parametrize(
    ("file", "environ", "reason", "said"),
    [
        (File(statuses=[404]), {}, Reason.ARTIFACT_NOT_FOUND, "check the path"),
        (File(statuses=[410]), {}, Reason.ARTIFACT_NOT_FOUND, "check the path"),
        (File(authorization="x"), {}, Reason.CREDENTIALS_MISSING, "HTTPS_TOKEN"),
        (File(authorization="x"), {"HTTPS_TOKEN": "wrong-secret"}, Reason.ACCESS_DENIED, "check the credentials"),
        (File(statuses=[403]), {"HTTPS_TOKEN": "wrong-secret"}, Reason.ACCESS_DENIED, "403"),
        (File(statuses=[400]), {}, Reason.DOWNLOAD_FAILED, "answers 400"),
        (File(b"<html>", headers={"content-type": "text/html"}), {}, Reason.DOWNLOAD_FAILED, "a web page"),
        (File(b"x", headers={"content-encoding": "gzip"}), {}, Reason.DOWNLOAD_FAILED, "Content-Encoding gzip"),
        (File(redirect="http://localhost:1/m"), {}, Reason.DOWNLOAD_FAILED, "redirects to plain http"),
        (File(redirect="/models/m.onnx"), {}, Reason.DOWNLOAD_FAILED, "redirects without end"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_no_retry_mends_is_said_at_once(get, pauses, file, environ, reason, said):
    with pytest.raises(ArtifactError) as caught:
        get(file, query="?X-Amz-Signature=query-secret", **environ)
    assert caught.value.reason is reason
    assert said in caught.value.message
    assert "secret" not in caught.value.message
    assert pauses == []


def test_credentials_stay_with_the_host_that_was_named(web, get):
    elsewhere = web.files["/elsewhere"] = File(CONTENT)
    other_name = web.url("/elsewhere").replace("localhost", "127.0.0.1")
    with pytest.raises(ArtifactError):  # the certificate is for localhost only: it is enough that it was not asked
        get(File(redirect=other_name), HTTPS_TOKEN="top-secret")
    get(File(redirect="/elsewhere"), HTTPS_TOKEN="top-secret")
    assert elsewhere.authorizations == ["Bearer top-secret"]


def test_no_log_line_holds_a_query(get):
    with capture_logs() as logs:
        get(File(CONTENT, statuses=[503, 200]), query="?X-Amz-Signature=query-secret")
    assert logs
    assert "query-secret" not in str(logs)


def test_nobody_there_is_told_with_the_host(tmp_path, retries):
    with pytest.raises(ArtifactError, match=r"127\.0\.0\.1 cannot be reached: Connection refused") as caught:
        fetch("https://127.0.0.1:1/m", tmp_path / "to", environ={}, retries=retries)
    assert caught.value.reason is Reason.DOWNLOAD_FAILED
