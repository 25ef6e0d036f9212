"""Credentials that the kubelet renews while the process lives."""

from modelway.kube import connection
from modelway.kube.connection import Credentials
from support.fake_api import FakeApi, failure, says, serving


def test_fixed_headers_stay():
    assert Credentials({"Authorization": "Basic x"}).headers() == {"Authorization": "Basic x"}


def test_a_token_file_is_read_again_after_a_minute(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(connection, "monotonic", lambda: clock[0])
    file = tmp_path / "token"
    file.write_text("old\n")
    credentials = Credentials(token_file=file)
    assert credentials.headers() == {"Authorization": "Bearer old"}
    file.write_text("new\n")
    assert credentials.headers() == {"Authorization": "Bearer old"}
    clock[0] = 61
    assert credentials.headers() == {"Authorization": "Bearer new"}


async def test_a_token_that_is_refused_is_read_again_at_once(tmp_path):
    from modelway.api.kinds import DEPLOYMENT
    from modelway.kube.client import Client
    from modelway.kube.errors import Unauthorized

    file = tmp_path / "token"
    file.write_text("old")
    api = FakeApi(says(failure(401), code=401), says({"kind": "Deployment"}))
    async with serving(api) as there:
        client = Client(connection.Connection(there.server, there.tls, Credentials(token_file=file)))
        try:
            await client.get(DEPLOYMENT, "ml", "fraud")
        except Unauthorized:
            file.write_text("new")
        await client.get(DEPLOYMENT, "ml", "fraud")
        await client.close()
    assert [request.headers["Authorization"] for request in api.requests] == ["Bearer old", "Bearer new"]


def test_secrets_are_not_told():
    assert "secret" not in repr(Credentials({"Authorization": "Bearer secret"}))
