"""Against a real S3 server."""

import hashlib
import os

import pytest

from modelway.artifacts import digest
from modelway.artifacts.errors import ArtifactError
from modelway.artifacts.fetch import fetch
from modelway.artifacts.reasons import Reason
from support.cutting_proxy import cutting_proxy
from support.https_server import File
from support.s3 import ACCESS_KEY, SECRET_KEY

BIG = os.urandom(3_000_000)


@pytest.fixture(scope="module", autouse=True)
def objects(s3):
    s3.put("models", "iris/model.onnx", b"onnx")
    s3.put("models", "iris/sub/a b+c%20ü (1)?#.json", b"{}")
    s3.put("models", "iris-2/model.onnx", b"other")
    s3.put("models", "big.bin", BIG)
    s3.put("models", "empty.bin", b"")


def test_a_key_is_a_file(s3, tmp_path, retries):
    fetched = fetch("s3://models/iris/model.onnx", tmp_path / "to", environ=s3.environ(), retries=retries)
    assert fetched.digest == "sha256:" + hashlib.sha256(b"onnx").hexdigest()
    assert fetched.size == 4
    assert [path.name for path in (tmp_path / "to").iterdir()] == ["model.onnx"]


@pytest.mark.parametrize("uri", ["s3://models/iris/", "s3://models/iris"])
def test_a_prefix_is_a_folder_with_and_without_slash(s3, tmp_path, retries, uri):
    fetched = fetch(uri, tmp_path / "to", environ=s3.environ(), retries=retries)
    assert (tmp_path / "to" / "model.onnx").read_bytes() == b"onnx"
    assert (tmp_path / "to" / "sub" / "a b+c%20ü (1)?#.json").read_bytes() == b"{}"
    assert fetched.digest == digest.of_path(tmp_path / "to").value


def test_an_empty_object_is_a_file(s3, tmp_path, retries):
    assert fetch("s3://models/empty.bin", tmp_path / "to", environ=s3.environ(), retries=retries).size == 0


def test_credentials_may_end_in_a_line_break(s3, tmp_path, retries):
    environ = {name: value + "\n" for name, value in s3.environ().items()}
    fetch("s3://models/iris/", tmp_path / "to", environ=environ, retries=retries)


def test_the_endpoint_of_s3_alone_wins_over_the_general_one(s3, tmp_path, retries):
    environ = s3.environ(AWS_ENDPOINT_URL="http://127.0.0.1:1", AWS_ENDPOINT_URL_S3=s3.endpoint)
    fetch("s3://models/iris/", tmp_path / "to", environ=environ, retries=retries)


@pytest.mark.parametrize(
    ("uri", "environ", "reason", "said"),
    [
        pytest.param("s3://nobucket/a", {}, Reason.BUCKET_NOT_FOUND, "no bucket nobucket", id="no such bucket, key"),
        pytest.param(
            "s3://nobucket/a/", {}, Reason.BUCKET_NOT_FOUND, "no bucket nobucket", id="no such bucket, prefix"
        ),
        pytest.param("s3://models/no", {}, Reason.ARTIFACT_NOT_FOUND, "check the key", id="no such key"),
        pytest.param("s3://models/no/", {}, Reason.ARTIFACT_NOT_FOUND, "check the prefix", id="empty prefix"),
        pytest.param("s3://models/iri", {}, Reason.ARTIFACT_NOT_FOUND, "check the key", id="half a name is no prefix"),
        pytest.param(
            "s3://models/big.bin",
            {"AWS_SECRET_ACCESS_KEY": "wrong"},
            Reason.ACCESS_DENIED,
            "the secret key is wrong",
            id="wrong secret, key",
        ),
        pytest.param(
            "s3://models/iris/",
            {"AWS_SECRET_ACCESS_KEY": "wrong"},
            Reason.ACCESS_DENIED,
            "the secret key is wrong",
            id="wrong secret, prefix",
        ),
        pytest.param(
            "s3://models/iris/",
            {"AWS_ACCESS_KEY_ID": "nobody"},
            Reason.ACCESS_DENIED,
            "the access key is not known there",
            id="unknown key",
        ),
        pytest.param(
            "s3://models/iris/",
            {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
            Reason.CREDENTIALS_MISSING,
            "none are given",
            id="no credentials",
        ),
        pytest.param(
            "s3://models/iris/",
            {"AWS_REGION": "eu-west-1"},
            Reason.WRONG_REGION,
            "it is in us-east-1; set AWS_REGION",
            id="wrong region",
        ),
        pytest.param(
            "s3://models/iris/",
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"},
            Reason.DOWNLOAD_FAILED,
            "Connection refused; gave up after 6 tries",
            id="nobody there",
        ),
        pytest.param(
            "s3://models/iris/",
            {"AWS_ENDPOINT_URL": "http://no-such-host.invalid"},
            Reason.DOWNLOAD_FAILED,
            "cannot be reached",
            id="no such host",
        ),
        pytest.param(
            "s3://models/iris/",
            {"AWS_ENDPOINT_URL": "localhost"},
            Reason.INVALID_URI,
            "AWS_ENDPOINT_URL is no URL",
            id="an endpoint that is no URL",
        ),
    ],
)
def test_what_is_wrong_is_said_by_its_cause(s3, tmp_path, retries, uri, environ, reason, said):
    with pytest.raises(ArtifactError) as caught:
        fetch(uri, tmp_path / "to", environ=s3.environ(**environ), retries=retries)
    assert caught.value.reason is reason
    assert said in caught.value.message
    assert "test-secret-key" not in caught.value.message
    assert list((tmp_path / "to").iterdir()) == []


def test_a_download_that_is_cut_goes_on_by_range(s3, tmp_path, retries):
    budgets = [-1, 1_000_000, 700_000, 0, 500_000]  # the first connection is the HEAD
    with cutting_proxy(s3.port, budgets) as proxy:
        environ = s3.environ(AWS_ENDPOINT_URL=f"http://127.0.0.1:{proxy.port}")
        fetched = fetch("s3://models/big.bin", tmp_path / "to", environ=environ, retries=retries)
    assert (tmp_path / "to" / "big.bin").read_bytes() == BIG
    assert fetched.digest == "sha256:" + hashlib.sha256(BIG).hexdigest()
    # Resumed, not begun anew: what crossed the wire is the file once, and what a chunk under way was.
    assert sum(proxy.answered) < len(BIG) + 4 * (1 << 16) + 10_000


def test_a_download_that_is_always_cut_at_once_is_given_up_as_truncated(s3, tmp_path, retries, pauses):
    with cutting_proxy(s3.port, [-1, *[2_000] * 50]) as proxy:
        environ = s3.environ(AWS_ENDPOINT_URL=f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(ArtifactError, match="the connection was cut; gave up after") as caught:
            fetch("s3://models/big.bin", tmp_path / "to", environ=environ, retries=retries)
    assert caught.value.reason is Reason.TRUNCATED
    assert list((tmp_path / "to").iterdir()) == []
    assert max(pauses) == 8


def test_a_certificate_of_an_unknown_authority_is_refused_and_taken_with_its_bundle(web, tmp_path, retries, s3):
    environ = s3.environ(AWS_ENDPOINT_URL=f"https://localhost:{web.port}")
    with pytest.raises(ArtifactError, match="CA_BUNDLE") as caught:
        fetch("s3://models/iris/", tmp_path / "to", environ=environ, retries=retries)
    assert caught.value.reason is Reason.CERTIFICATE_REFUSED
    # With it the server is asked, and as it is no S3 server knows nothing.
    with pytest.raises(ArtifactError) as caught:
        fetch("s3://models/iris/", tmp_path / "to", environ=environ | {"CA_BUNDLE": web.ca_pem}, retries=retries)
    assert caught.value.reason is Reason.ARTIFACT_NOT_FOUND


STS_ANSWER = """<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>
<SessionToken></SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>
</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""
POD_ANSWER = (
    """{{"AccessKeyId": "{key}", "SecretAccessKey": "{secret}", "Token": "", "Expiration": "2099-01-01T00:00:00Z"}}"""
)


def federated(web, s3, path, answer, secret=SECRET_KEY):
    """A token service that answers with keys, and the environment of a client without any."""
    web.files[path] = File(answer.format(key=ACCESS_KEY, secret=secret).encode())
    keyless = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "CA_BUNDLE": web.ca_pem}
    return s3.environ(**keyless)


@pytest.mark.parametrize(("secret", "works"), [(SECRET_KEY, True), ("wrong", False)], ids=["right keys", "wrong keys"])
def test_a_service_accounts_role_is_assumed(web, s3, tmp_path, retries, secret, works):
    (tmp_path / "token").write_text("a-projected-token")
    environ = federated(web, s3, "/", STS_ANSWER, secret) | {
        "AWS_ROLE_ARN": "arn:aws:iam::1:role/models",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
        "AWS_ENDPOINT_URL_STS": web.url("").rstrip("/"),
    }
    if works:
        assert fetch("s3://models/iris/", tmp_path / "to", environ=environ, retries=retries).size == 6
    else:
        with pytest.raises(ArtifactError, match="the secret key is wrong"):
            fetch("s3://models/iris/", tmp_path / "to", environ=environ, retries=retries)


def test_pod_identity_is_asked(web, s3, tmp_path, retries):
    (tmp_path / "token").write_text("a-pod-token")
    environ = federated(web, s3, "/v1/credentials", POD_ANSWER) | {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": web.url("/v1/credentials"),
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(tmp_path / "token"),
    }
    assert fetch("s3://models/iris/", tmp_path / "to", environ=environ, retries=retries).size == 6
    assert web.files["/v1/credentials"].authorizations == ["a-pod-token"]


def test_a_token_service_that_refuses_is_told(web, s3, tmp_path, retries):
    (tmp_path / "token").write_text("a-projected-token")
    environ = federated(web, s3, "/", STS_ANSWER) | {
        "AWS_ROLE_ARN": "arn:aws:iam::1:role/models",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
        "AWS_ENDPOINT_URL_STS": web.url("").rstrip("/"),
    }
    web.files["/"].statuses.append(403)
    with pytest.raises(ArtifactError) as caught:
        fetch("s3://models/iris/", tmp_path / "to", environ=environ, retries=retries)
    assert caught.value.reason is Reason.ACCESS_DENIED


def test_a_token_service_without_tls_is_not_told_the_token(s3, tmp_path, retries):
    (tmp_path / "token").write_text("a-projected-token")
    environ = s3.environ(
        AWS_ACCESS_KEY_ID="",
        AWS_SECRET_ACCESS_KEY="",
        AWS_ROLE_ARN="arn:aws:iam::1:role/models",
        AWS_WEB_IDENTITY_TOKEN_FILE=str(tmp_path / "token"),
        AWS_ENDPOINT_URL_STS="http://127.0.0.1:1",
    )
    with pytest.raises(ArtifactError, match="the token service's must be https"):
        fetch("s3://models/iris/", tmp_path / "to", environ=environ, retries=retries)
