"""The client: what it sends, and what it makes of what an API server answers."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from modelway.api.kinds import DEPLOYMENT, LEASE
from modelway.kube.errors import (
    ApiError,
    BadRequest,
    Conflict,
    Deposed,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    Unauthorized,
    Unavailable,
)
from support.fake_api import FakeApi, client_of, event, failure, listing, says, streams

BODY = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "fraud-1", "namespace": "ml", "resourceVersion": "7"},
    "spec": {},
}
CODES = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    418: ApiError,
    422: Invalid,
    429: Unavailable,
    500: Unavailable,
    503: Unavailable,
}


class TestErrors:
    @pytest.mark.parametrize(("code", "kind"), CODES.items())
    async def test_each_answer_has_its_own(self, code, kind):
        async with client_of(FakeApi(says(failure(code, "Because", "of this"), code=code))) as client:
            with pytest.raises(kind) as caught:
                await client.get(DEPLOYMENT, "ml", "fraud")
        assert type(caught.value) is kind
        assert (caught.value.code, caught.value.reason, caught.value.message) == (code, "Because", "of this")

    async def test_a_field_that_the_kind_does_not_have_is_the_requests_fault(self):
        """Server-side apply says so with 500, and saying it again would not help."""
        told = "failed to create typed patch object (ml/fraud-1; apps/v1, Kind=Deployment): .spec.x: field not declared"
        async with client_of(FakeApi(says(failure(500, "", told), code=500))) as client:
            with pytest.raises(BadRequest, match="field not declared"):
                await client.apply(DEPLOYMENT, BODY, manager="modelway")

    @pytest.mark.parametrize(
        "body", [b"<html>bad gateway</html>", b"", b"[]"], ids=["a proxy's page", "nothing", "a list"]
    )
    async def test_an_answer_of_somebody_else_is_one_too(self, body):
        async with client_of(FakeApi(says(body, code=502))) as client:
            with pytest.raises(Unavailable):
                await client.get(DEPLOYMENT, "ml", "fraud")

    @pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("soon", None), (None, None)])
    async def test_it_tells_how_long_the_server_wants_to_be_left_alone(self, header, seconds):
        answer = says(failure(429), code=429, headers={"Retry-After": header} if header else None)
        async with client_of(FakeApi(answer)) as client:
            with pytest.raises(Unavailable) as caught:
                await client.get(DEPLOYMENT, "ml", "fraud")
        assert caught.value.retry_after == seconds


class TestFence:
    @pytest.mark.parametrize("verb", ["create", "apply", "replace", "post", "merge", "delete"])
    async def test_no_write_passes_a_closed_one(self, verb):
        def closed():
            raise Deposed("not ours")

        api = FakeApi(says({}))
        async with client_of(api, fence=closed) as client:
            with pytest.raises(Deposed):
                await write(client, verb)
        assert api.requests == []

    async def test_reading_is_free(self):
        def closed():
            raise Deposed("not ours")

        async with client_of(FakeApi(says({"kind": "Deployment"})), fence=closed) as client:
            assert await client.get(DEPLOYMENT, "ml", "fraud") == {"kind": "Deployment"}


async def write(client, verb):
    match verb:
        case "create" | "apply" | "replace":
            return await getattr(client, verb)(DEPLOYMENT, BODY, manager="modelway")
        case "delete":
            return await client.delete(DEPLOYMENT, "ml", "fraud-1", uid="u1")
        case _:
            return await getattr(client, verb)(DEPLOYMENT, BODY)


REQUESTS = {
    "create": ("PATCH", "/fraud-1?fieldManager=modelway&force=true", "application/apply-patch+yaml"),
    "apply": ("PATCH", "/fraud-1?fieldManager=modelway&force=true", "application/apply-patch+yaml"),
    "replace": ("PUT", "/fraud-1?fieldManager=modelway", "application/json"),
    "post": ("POST", "", "application/json"),
    "merge": ("PATCH", "/fraud-1", "application/merge-patch+json"),
    "delete": ("DELETE", "/fraud-1", "application/json"),
}


class TestWrites:
    @pytest.mark.parametrize(("verb", "expected"), REQUESTS.items(), ids=REQUESTS)
    async def test_each_is_the_request_that_kubernetes_knows(self, verb, expected):
        api = FakeApi(says({}))
        async with client_of(api) as client:
            await write(client, verb)
        (request,) = api.requests
        method, path, content_type = expected
        assert request.method == method
        assert str(request.rel_url) == f"/apis/apps/v1/namespaces/ml/deployments{path}"
        assert request.headers["Content-Type"] == content_type
        assert request.headers["Authorization"] == "me"

    async def test_a_create_can_never_take_over_what_exists(self):
        """It names a resourceVersion that no object has; an API server answers Conflict."""
        sent = []

        async def answer(request):
            sent.append(await request.json())
            return await says({})(request)

        async with client_of(FakeApi(answer)) as client:
            await client.create(DEPLOYMENT, BODY, manager="modelway")
        assert sent[0]["metadata"]["resourceVersion"] == "1"
        assert BODY["metadata"]["resourceVersion"] == "7", "the caller's object is left alone"

    async def test_a_delete_is_meant_for_one_object_only(self):
        sent = []

        async def answer(request):
            sent.append(await request.json())
            return await says({})(request)

        async with client_of(FakeApi(answer)) as client:
            await client.delete(DEPLOYMENT, "ml", "fraud-1", uid="u1")
        assert sent[0]["preconditions"] == {"uid": "u1"}

    async def test_every_request_is_counted(self):
        counted = []
        api = FakeApi(says({}), says(failure(409), code=409))
        async with client_of(api, on_request=lambda verb, code: counted.append((verb, code))) as client:
            await client.apply(DEPLOYMENT, BODY, manager="modelway")
            with pytest.raises(Conflict):
                await client.post(LEASE, BODY)
        assert counted == [("APPLY", 200), ("POST", 409)]


class TestLists:
    async def test_pages_are_read_to_the_end(self):
        api = FakeApi(listing({"n": 1}, version=5, more="token"), listing({"n": 2}, version=5))
        async with client_of(api) as client:
            pages = [page async for page in client.pages(DEPLOYMENT, None, "a=b")]
        assert [item["n"] for page in pages for item in page["items"]] == [1, 2]
        assert api.requests[1].query["continue"] == "token"
        assert api.requests[0].query["labelSelector"] == "a=b"


@asynccontextmanager
async def watch(api):
    """The events of a watch on `api`."""
    async with client_of(api) as client, client.watch(DEPLOYMENT, None, "", version="5", seconds=300) as events:
        yield events


class TestWatches:
    async def test_events_may_come_in_any_pieces(self):
        lines = event("ADDED", {"n": 1}) + b"\n" + event("MODIFIED", {"n": 2})
        pieces = [lines[i : i + 7] for i in range(0, len(lines), 7)]
        async with watch(FakeApi(streams(*pieces))) as events:
            seen = [(kind, obj["n"]) async for kind, obj in events]
        assert seen == [("ADDED", 1), ("MODIFIED", 2)]

    async def test_half_a_line_at_the_end_is_no_event(self):
        async with watch(FakeApi(streams(event("ADDED", {"n": 1}), event("ADDED", {"n": 2})[:10]))) as events:
            assert [obj["n"] async for _, obj in events] == [1]

    @pytest.mark.parametrize(("code", "kind"), [(410, Gone), (500, Unavailable), (403, Forbidden)])
    async def test_an_error_in_the_stream_is_an_error(self, code, kind):
        async with watch(FakeApi(streams(event("ERROR", failure(code))))) as events:
            with pytest.raises(kind):
                await anext(events)

    async def test_a_refused_watch_is_an_error(self):
        with pytest.raises(Gone):
            async with watch(FakeApi(says(failure(410), code=410))):
                pass

    async def test_many_watches_leave_room_for_requests(self):
        """Nine kinds in a dozen namespaces hold more connections than a pool usually has."""

        async def answer(request):
            if "watch" in request.query:
                return await streams(then="hangs")(request)
            return await says({"kind": "Deployment"})(request)

        async def hold(client):
            async with client.watch(DEPLOYMENT, None, "", version="5", seconds=300) as events:
                await anext(events)

        api = FakeApi(answer)
        async with client_of(api) as client:
            watches = [asyncio.create_task(hold(client)) for _ in range(108)]
            await api.has_been_asked(108)
            async with asyncio.timeout(5):
                assert await client.get(DEPLOYMENT, "ml", "fraud") == {"kind": "Deployment"}
            for task in watches:
                task.cancel()
            await asyncio.gather(*watches, return_exceptions=True)
