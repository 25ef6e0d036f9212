import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.artifacts import uri
from modelway.artifacts.errors import ArtifactError
from modelway.artifacts.reasons import Reason
from modelway.artifacts.uri import Scheme


@pytest.mark.parametrize(
    ("text", "scheme", "host", "path", "is_folder"),
    [
        ("s3://bucket/a/b/", Scheme.S3, "bucket", "a/b/", True),
        ("s3://bucket/a/b.onnx", Scheme.S3, "bucket", "a/b.onnx", False),
        ("S3://bucket/a", Scheme.S3, "bucket", "a", False),
        ("s3://bucket/50%20?x#y", Scheme.S3, "bucket", "50%20?x#y", False),
        ("https://host:8443/a/m.onnx?sig=1", Scheme.HTTPS, "host", "/a/m.onnx", False),
        ("file:///models/m.onnx", Scheme.FILE, "", "/models/m.onnx", False),
        ("file://localhost/models/", Scheme.FILE, "", "/models", True),
        ("file:///a/../models//m", Scheme.FILE, "", "/models/m", False),
        ("file:///a%20b", Scheme.FILE, "", "/a b", False),
        ("pvc://claim/sub/path", Scheme.PVC, "claim", "sub/path", False),
        ("pvc://claim", Scheme.PVC, "claim", "", True),
    ],
)
def test_places_are_read(text, scheme, host, path, is_folder):
    location = uri.parse(text)
    assert (location.scheme, location.host, location.path, location.is_folder) == (scheme, host, path, is_folder)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models/iris", "has no scheme"),
        (" s3://bucket/a", "has spaces around it"),
        ("s3://bucket/a\n", "has spaces around it"),
        ("s3://bucket", "a whole bucket is no model"),
        ("s3://bucket/", "a whole bucket is no model"),
        ("s3://BUCKET/a", "no name of a bucket"),
        ("s3:///a", "no name of a bucket"),
        ("s3://bucket/a/../b", "empty, . or .. part"),
        ("s3://bucket/a//b", "empty, . or .. part"),
        ("s3://key:secret@bucket/a", "has credentials in it"),
        ("https://user:secret@host/a", "has credentials in it"),
        ("https://host", "names no file"),
        ("https://host/", "names no file"),
        ("https://host/folder/", "https has no folders"),
        ("https:///a", "names no host"),
        ("https://[::1/a", "cannot be read"),
        ("https://host:port/a", "cannot be read"),
        ("file://models/a", "three slashes"),
        ("file:///", "names no path"),
        ("file:///proc/self/environ", "the container's own system"),
        ("file:///models/../../proc/1/environ", "the container's own system"),
        ("file:///%70roc/self/environ", "the container's own system"),
        ("pvc://Claim/a", "no name of a PersistentVolumeClaim"),
        ("pvc://claim/../a", "has .. in its path"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_connected_to(text, said):
    with pytest.raises(ArtifactError) as caught:
        uri.parse(text)
    assert caught.value.reason is Reason.INVALID_URI
    assert said in caught.value.message
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("text", ["gs://bucket/a", "http://host/a", "ftp://host/a", "://a", "a b://c"])
def test_other_schemes_are_refused_by_name(text):
    with pytest.raises(ArtifactError) as caught:
        uri.parse(text)
    assert caught.value.reason is Reason.UNSUPPORTED_SCHEME
    assert "file, pvc, https, s3" in caught.value.message


def test_plain_http_is_told_what_to_use():
    with pytest.raises(ArtifactError, match="use https"):
        uri.parse("http://host/a")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://host/a?X-Amz-Signature=secret", "https://host/a?…"),
        ("https://user:secret@host/a#secret", "https://host/a?…"),
        ("https://host?secret", "https://host?…"),
        ("https://a:secret/with/slash@host/a", "https://a:secret/with/slash@host/a"),
        ("s3://bucket/a", "s3://bucket/a"),
        ("no scheme?secret", "no scheme"),
    ],
)
def test_what_is_shown_holds_no_secret(text, shown):
    assert uri.redact(text) == shown


@given(
    st.sampled_from(["https", "s3", "gs", "file"]),
    st.text(alphabet="aZ9:%é.", min_size=1, max_size=8),
    st.text(alphabet="abc/", max_size=10),
    st.text(alphabet="aZ9=&é", max_size=8),
)
def test_userinfo_and_query_never_survive(scheme, userinfo, path, query):
    shown = uri.redact(f"{scheme}://{userinfo}-user@host/{path}?{query}-query")
    assert "-user" not in shown
    assert "-query" not in shown
    assert shown.startswith(f"{scheme}://host/{path}")
