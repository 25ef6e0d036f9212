"""The store is what the API server holds, whatever becomes of the watch."""

import asyncio
import itertools
import random
from contextlib import asynccontextmanager

import pytest

from modelway.api.kinds import DEPLOYMENT, MODEL_DEPLOYMENT, POD, Unserved
from modelway.kube import client as client_module
from modelway.kube import reflector as module
from modelway.kube.errors import Forbidden, Gone, NotFound, Unavailable
from modelway.kube.reflector import Reflector
from modelway.kube.store import Owner, Store
from support import virtual_time
from support.fake_api import FakeApi, client_of, event, failure, listing, says, streams

FRAUD = Owner("ml", "fraud")


def child(version, *, name="fraud-1", **more):
    return {
        "metadata": {
            "name": name,
            "namespace": "ml",
            "uid": f"uid-of-{name}",
            "resourceVersion": str(version),
            "labels": {"modelway.dev/name": "fraud"},
            "managedFields": [{}],
        },
        **more,
    }


def bookmark(version):
    return event("BOOKMARK", {"metadata": {"resourceVersion": str(version)}})


class Watched:
    """A reflector at work on a fake server, and what it has told."""

    def __init__(self, client, kind=DEPLOYMENT, *, optional=False) -> None:
        self.store = Store()
        self.told = []
        self.reflector = Reflector(
            client,
            self.store,
            kind,
            namespace=None,
            selector="a=b",
            on_change=lambda owner, initial: self.told.append((owner, initial)),
            seed=random.Random(1),
            optional=optional,
        )

    def versions(self):
        return {key.name: int(obj["metadata"]["resourceVersion"]) for key, obj in self.store.belongings(FRAUD).items()}


@asynccontextmanager
async def watching(api, **more):
    async with client_of(api) as client:
        watched = Watched(client, **more)
        task = asyncio.create_task(watched.reflector.run())
        try:
            yield watched
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(module, "_FIRST_PAUSE", 0.01)


class TestListAndWatch:
    async def test_the_first_list_is_told_as_such_and_the_rest_is_not(self):
        api = FakeApi(listing(child(3), version=5), streams(event("MODIFIED", child(6)), then="hangs"))
        async with watching(api) as watched:
            await api.has_been_asked(2)
            await until(lambda: watched.versions() == {"fraud-1": 6})
            assert watched.told == [(FRAUD, True), (FRAUD, False)]
            assert watched.reflector.synced.is_set()
            assert api.kinds == ["list", "watch 5"]

    async def test_a_watch_goes_on_from_the_last_that_it_heard(self):
        api = FakeApi(listing(version=5), streams(bookmark(9)), streams(then="hangs"))
        async with watching(api):
            await api.has_been_asked(3)
            assert api.kinds == ["list", "watch 5", "watch 9"]

    async def test_field_managers_are_not_kept(self):
        api = FakeApi(listing(child(3), version=5), streams(event("MODIFIED", child(6)), then="hangs"))
        async with watching(api) as watched:
            await until(lambda: watched.versions() == {"fraud-1": 6})
            assert "managedFields" not in str(watched.store.belongings(FRAUD))

    async def test_of_a_pod_only_what_is_read_is_kept(self):
        pod = child(3, spec={"containers": []}, status={"phase": "Running", "podIP": "10.0.0.1", "hostIP": "10.1.0.1"})
        pod["metadata"]["annotations"] = {"modelway.dev/routing": "c.r@moment", "theirs": "long"}
        async with watching(FakeApi(listing(pod, version=5), streams(then="hangs")), kind=POD) as watched:
            await until(watched.reflector.synced.is_set)
            (kept,) = watched.store.belongings(FRAUD).values()
            assert kept["status"] == {"phase": "Running", "podIP": "10.0.0.1"}
            assert kept["metadata"]["annotations"] == {"modelway.dev/routing": "c.r@moment"}
            assert "spec" not in kept

    async def test_of_a_pod_of_a_batch_run_still_less_is_kept_for_there_are_many(self):
        said = {"name": "batch", "state": {"terminated": {"exitCode": 43, "message": "{}"}}, "ready": False}
        pod = child(1, spec={"containers": []})
        pod["metadata"]["labels"]["app.kubernetes.io/component"] = "model-batch"
        pod["status"] = {
            "phase": "Failed",
            "conditions": [{"type": "Ready", "status": "False"}, {"type": "PodScheduled", "reason": "Unschedulable"}],
            "containerStatuses": [said | {"imageID": "sha256:1", "volumeMounts": [{"name": "tmp"}]}],
        }
        assert module.slim(POD, pod)["status"] == {
            "phase": "Failed",
            "conditions": [{"type": "PodScheduled", "reason": "Unschedulable"}],
            "containerStatuses": [said],
        }


class TestNastyStreams:
    async def test_an_expired_version_is_followed_by_a_new_list(self):
        api = FakeApi(
            listing(child(3), child(4, name="fraud-2"), version=5),
            streams(event("ERROR", failure(410, "Expired"))),
            listing(child(4, name="fraud-2"), version=9),
            streams(then="hangs"),
        )
        async with watching(api) as watched:
            await api.has_been_asked(4)
            assert api.kinds == ["list", "watch 5", "list", "watch 9"]
            await until(lambda: watched.versions() == {"fraud-2": 4})
            assert watched.told[-1] == (FRAUD, False), "the deletion that no watch told of"

    async def test_half_a_line_is_taken_up_again(self):
        api = FakeApi(
            listing(version=5),
            streams(bookmark(6), event("ADDED", child(7))[:25]),
            streams(event("ADDED", child(7)), then="hangs"),
        )
        async with watching(api) as watched:
            await until(lambda: watched.versions() == {"fraud-1": 7})
            assert api.kinds == ["list", "watch 5", "watch 6"]

    async def test_a_reset_is_followed_by_a_new_list(self):
        api = FakeApi(
            listing(version=5),
            streams(event("ADDED", child(6)), then="reset"),
            listing(child(8), version=9),
            streams(then="hangs"),
        )
        async with watching(api) as watched:
            await until(lambda: watched.versions() == {"fraud-1": 8})
            assert api.kinds[2] == "list"

    async def test_a_line_that_is_no_json_is_followed_by_a_new_list(self):
        api = FakeApi(listing(version=5), streams(b"not json\n"), listing(child(8), version=9), streams(then="hangs"))
        async with watching(api) as watched:
            await until(lambda: watched.versions() == {"fraud-1": 8})

    async def test_a_silent_watch_is_given_up(self, monkeypatch):
        monkeypatch.setattr(client_module, "_WATCH_SILENCE", 0.05)
        api = FakeApi(listing(version=5), streams(then="hangs"), listing(child(8), version=9), streams(then="hangs"))
        async with watching(api) as watched:
            await until(lambda: watched.versions() == {"fraud-1": 8})

    async def test_duplicates_and_older_events_change_nothing(self):
        newer, older = event("MODIFIED", child(8)), event("MODIFIED", child(7))
        last = event("ADDED", child(9, name="last"))
        api = FakeApi(listing(child(3), version=5), streams(newer, newer, older, last, then="hangs"))
        async with watching(api) as watched:
            await until(lambda: "last" in watched.versions())
            assert watched.versions()["fraud-1"] == 8
            assert watched.told == [(FRAUD, True), (FRAUD, False), (FRAUD, False)]

    async def test_a_deletion_that_is_told_again_later_does_not_hit_the_successor(self):
        gone = child(6)
        successor = child(7) | {"metadata": child(7)["metadata"] | {"uid": "successor"}}
        told = [event("DELETED", gone), event("ADDED", successor), event("DELETED", gone)]
        last = event("ADDED", child(9, name="last"))
        api = FakeApi(listing(child(3), version=5), streams(*told, last, then="hangs"))
        async with watching(api) as watched:
            await until(lambda: "last" in watched.versions())
            assert watched.versions()["fraud-1"] == 7

    @pytest.mark.parametrize("code", [401, 403, 404, 429, 500, 503])
    async def test_no_refusal_ends_it(self, code):
        api = FakeApi(says(failure(code), code=code), listing(child(8), version=9), streams(then="hangs"))
        async with watching(api) as watched:
            await until(lambda: watched.versions() == {"fraud-1": 8})

    async def test_a_list_that_breaks_off_between_pages_is_begun_again(self):
        api = FakeApi(
            listing(child(3), version=5, more="token"),
            says(failure(410), code=410),
            listing(child(8), version=9),
            streams(then="hangs"),
        )
        async with watching(api) as watched:
            await until(lambda: watched.versions() == {"fraud-1": 8})
            assert watched.told == [(FRAUD, True)]

    async def test_what_a_list_has_told_before_it_broke_off_is_not_kept_quiet(self):
        """In the list that follows it is no news any more."""
        api = FakeApi(
            listing(child(3), version=5, more="token"),
            says(failure(503), code=503),
            listing(child(3), version=9),
            streams(then="hangs"),
        )
        async with watching(api) as watched:
            await api.has_been_asked(4)
            assert watched.versions() == {"fraud-1": 3}
            assert watched.told == [(FRAUD, True)]


class TestOptionalKinds:
    @pytest.fixture(autouse=True)
    def _soon(self, monkeypatch):
        monkeypatch.setattr(module, "_UNSERVED_PAUSE", 0.01)

    @pytest.mark.parametrize(("code", "why"), [(404, Unserved.NOT_INSTALLED), (403, Unserved.FORBIDDEN)])
    async def test_one_that_is_missing_keeps_nobody_waiting_and_is_found_when_it_comes(self, code, why):
        api = FakeApi(
            says(failure(code), code=code),
            says(failure(code), code=code),
            listing(child(8), version=9),
            streams(then="hangs"),
        )
        async with watching(api, optional=True) as watched:
            watched.store.put(MODEL_DEPLOYMENT, child(1, name="fraud"))
            await until(watched.reflector.synced.is_set)
            assert watched.store.unserved("ml") == {DEPLOYMENT: why}
            await api.has_been_asked(4)
            await until(lambda: watched.versions() == {"fraud-1": 8})
            assert watched.store.unserved("ml") == {}
            assert watched.told == [(FRAUD, True), (FRAUD, False)]

    async def test_one_that_goes_away_takes_its_objects_with_it(self):
        gone = says(failure(404), code=404)
        api = FakeApi(listing(child(3), version=5), gone, listing(version=9), streams(then="hangs"))
        async with watching(api, optional=True) as watched:
            watched.store.put(MODEL_DEPLOYMENT, child(1, name="fraud"))
            await api.has_been_asked(4)
            assert watched.told == [(FRAUD, True), (FRAUD, False), (FRAUD, False)], "there, gone, served again"
            assert watched.versions() == {}

    @pytest.mark.parametrize("error", [NotFound(404, "", ""), Forbidden(403, "", "")], ids=["missing", "forbidden"])
    def test_one_that_stays_away_is_asked_for_a_few_times_a_minute(self, error, monkeypatch):
        monkeypatch.setattr(module, "_UNSERVED_PAUSE", 30.0)
        monkeypatch.setattr(module, "monotonic", virtual_time.now)
        listed = virtual_time.run(listed_within(600, Scripted(lists=error), optional=True))
        assert 20 <= len(listed) <= 41
        assert max(late - early for early, late in itertools.pairwise(listed)) <= 30


class Scripted:
    """A client whose watches and lists do as they are told, in virtual time."""

    def __init__(self, *, lists=None, watches=None) -> None:
        self.lists_fail, self.watches = lists, watches
        self.listed = []

    async def pages(self, _kind, _namespace, _selector):
        self.listed.append(virtual_time.now())
        if self.lists_fail:
            raise self.lists_fail
        yield {"metadata": {"resourceVersion": "5"}, "items": []}

    @asynccontextmanager
    async def watch(self, *_args, **_more):
        if isinstance(self.watches, Exception):
            raise self.watches
        yield self.watches()


async def ends_at_once():
    for nothing in ():
        yield nothing


async def ends_after_a_minute():
    await asyncio.sleep(60)
    yield "BOOKMARK", {"metadata": {"resourceVersion": "6"}}


PATIENT = {
    "lists fail": {"lists": Unavailable(503, "", "")},
    "watches fail": {"watches": Unavailable(500, "", "")},
    "versions are always too old": {"watches": Gone(410, "Expired", "")},
    "watches end as soon as they begin": {"watches": ends_at_once},
}


class TestPatience:
    @pytest.mark.parametrize("script", PATIENT.values(), ids=PATIENT)
    def test_a_server_in_trouble_is_asked_less_and_less(self, script, monkeypatch):
        monkeypatch.setattr(module, "_FIRST_PAUSE", 0.2)
        monkeypatch.setattr(module, "monotonic", virtual_time.now)
        listed = virtual_time.run(listed_within(600, Scripted(**script)))
        pauses = [late - early for early, late in itertools.pairwise(listed)]
        assert pauses[0] <= 0.2
        assert len(listed) < 80
        assert 7 <= pauses[-1] <= 15

    def test_a_watch_that_has_told_something_makes_good(self, monkeypatch):
        monkeypatch.setattr(module, "_FIRST_PAUSE", 0.2)
        monkeypatch.setattr(module, "monotonic", virtual_time.now)

        async def story():
            client = Scripted(watches=Unavailable(500, "", ""))
            watched = Watched(client)
            task = asyncio.create_task(watched.reflector.run())
            await asyncio.sleep(300)
            client.watches = ends_after_a_minute
            await asyncio.sleep(100)
            client.watches = Unavailable(500, "", "")
            client.listed.clear()
            await asyncio.sleep(61)
            task.cancel()
            return client.listed

        listed = virtual_time.run(story())
        assert len(listed) > 4, "the first pauses are short again"

    def test_while_the_server_is_away_the_task_counts_as_alive(self, monkeypatch):
        monkeypatch.setattr(module, "monotonic", virtual_time.now)

        async def story():
            watched = Watched(Scripted(lists=ConnectionError("refused")))
            task = asyncio.create_task(watched.reflector.run())
            await asyncio.sleep(1000)
            task.cancel()
            return watched.reflector.alive_at

        assert virtual_time.run(story()) > 980


async def listed_within(seconds, client, *, optional=False):
    task = asyncio.create_task(Watched(client, optional=optional).reflector.run())
    await asyncio.sleep(seconds)
    task.cancel()
    return client.listed


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - it is somebody else's state
            await asyncio.sleep(0.005)
