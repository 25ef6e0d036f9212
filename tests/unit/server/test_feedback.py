"""From a prediction's id to a count: labels are taken by whichever server has the keys, and each counts once."""

import asyncio
import time
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode

import jsonschema
import numpy as np
import orjson
import pytest
from openapi_spec_validator import validate

from modelway.artifacts.errors import ModelError
from modelway.server.app import App
from modelway.server.feedback import MOST_LABELS, Feedback
from modelway.server.feedback_memory import FeedbackMemory
from modelway.server.options import ServerOptions
from modelway.server.receipt import HEADER, MOST_ROWS
from modelway.server.rpc import inference_pb2 as pb
from modelway.server.tally import Tally
from modelway.server.tensors import TensorSpec
from modelway.stats.quality_counts import HORIZON, KEPT, Labelled, QualityCounts
from modelway.stats.quality_figures import metric
from support.asked import answer_to
from support.fake_model import FakeModel, loaded

PREDICT, INFER, FEEDBACK = "/v1/models/m:predict", "/v2/models/m/infer", "/v1/models/m/feedback"


def compute(batch):
    """The likelier of two classes and their odds, from the first column."""
    share = next(iter(batch.tensors.values()))[:, 0]
    odds = np.stack([1 - share, share], axis=1)
    outputs = {"odds": odds, "label": np.where(share > 0.5, "yes", "no").astype(object)}
    return {name: outputs[name] for name in batch.wanted}


BINARY = FakeModel(
    outputs=(TensorSpec("label", "BYTES", (-1,)), TensorSpec("odds", "FP32", (-1, 2))),
    classes=("no", "yes"),
    compute=compute,
)
REGRESSION = FakeModel()


@pytest.fixture
def keys(tmp_path):
    file = tmp_path / "keys"
    file.write_bytes(b64encode(b"k" * 32))
    return file


def served(keys, model=BINARY, *, tally=None, worker=0, revision="6f1c2a9b", clock=time.time, **options):
    settings = ServerOptions(keys.parent, "m", revision=revision, feedback_keys=keys, timeout=60.0, **options)
    app = App(settings, tally=tally, worker=worker)
    app.feedback = Feedback(settings, (tally and tally.feedback) or FeedbackMemory(), worker, clock=clock)
    app.serve(loaded(model))
    return app


@pytest.fixture
def app(keys):
    return served(keys)


async def ask(app, path, body=b"", **headers):
    path, _, query = path.partition("?")
    return await answer_to(app, "POST" if body else "GET", path, body, query=query.encode(), **headers)


async def answered(app, path, body):
    answer = await ask(app, path, orjson.dumps(body))
    assert answer.status == 200
    return answer


async def predicted(app, *shares):
    answer = await answered(app, PREDICT, {"instances": [[share, 0, 0] for share in shares]})
    return (answer.headers or {}).get(HEADER)


async def send(app, body, **headers):
    answer = await ask(app, FEEDBACK, body if isinstance(body, bytes) else orjson.dumps(body), **headers)
    return answer.status, orjson.loads(answer.body)


def outcomes(told):
    return {name: times for name, times in told.items() if times and name != "problems"}


async def quality(app):
    answer = await ask(app, "/v1/observations?of=quality")
    assert answer.status == 200
    return orjson.loads(answer.body)


async def counted(app):
    """All labels, whatever their age."""
    return sum(QualityCounts.of(await quality(app)).labelled.values(), Labelled())


async def test_a_prediction_is_labelled_by_its_id(app):
    identity = await predicted(app, 0.75)
    status, told = await send(app, {"id": identity, "label": "no"})
    assert (status, outcomes(told)) == (200, {"accepted": 1})
    (place,) = QualityCounts.of(await quality(app)).labelled
    assert place.revision == "6f1c2a9b"
    assert abs(place.window - time.time() / 3600) <= 1
    found = await counted(app)
    assert (found.rows, found.right, found.pairs) == (1, 0, {("no", "yes"): 1})
    assert found.bins == {(0, 75): 1}
    assert metric(found, "logLoss").value == pytest.approx(-np.log(0.25))


async def test_v2_and_its_clients_own_ids(app):
    tensor = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [0.25, 2, 3]}]}
    answer = await answered(app, INFER, tensor)
    identity = orjson.loads(answer.body)["id"]
    assert answer.headers[HEADER] == identity
    assert outcomes((await send(app, {"id": identity, "label": "no"}))[1]) == {"accepted": 1}
    answer = await answered(app, INFER, tensor | {"id": "mine"})
    assert orjson.loads(answer.body)["id"] == "mine"
    assert outcomes((await send(app, {"id": answer.headers[HEADER], "label": "no"}))[1]) == {"accepted": 1}
    assert (await counted(app)).right == 2


@pytest.mark.parametrize("own", ["", "mine"])
async def test_grpc_has_the_id_in_the_answer_and_in_the_trailing_metadata(keys, own):
    import grpc

    from modelway.server.rpc.server import listening

    app = served(keys, host="127.0.0.1")
    message = pb.ModelInferRequest(model_name="m", id=own)
    tensor = message.inputs.add(name="x", datatype="FP32", shape=[1, 3])
    tensor.contents.fp32_contents.extend([0.25, 2, 3])
    async with (
        listening(app, app.options) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        call = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            request_serializer=pb.ModelInferRequest.SerializeToString,
            response_deserializer=pb.ModelInferResponse.FromString,
        )(message)
        answer = await call
        identity = dict(await call.trailing_metadata())[HEADER]
    assert answer.id == (own or identity)
    assert outcomes((await send(app, {"id": identity, "label": "no"}))[1]) == {"accepted": 1}


async def test_rows_of_one_request_are_labelled_by_their_number_or_all_at_once(app):
    identity = await predicted(app, 0.75, 0.25, 0.9)
    told = (await send(app, [{"id": identity, "row": 1, "label": "no"}]))[1]
    assert outcomes(told) == {"accepted": 1}
    told = (await send(app, {"id": identity, "label": ["yes", "yes", None]}))[1]
    assert outcomes(told) == {"accepted": 1, "duplicate": 1}
    assert (await counted(app)).pairs == {("yes", "yes"): 1, ("no", "no"): 1}


async def test_csv_and_json_lines_are_taken(app):
    one, two = await predicted(app, 0.75), await predicted(app, 0.25)
    told = await send(app, f"id,label\n{one},yes\n".encode(), content_type="text/csv")
    assert (told[0], outcomes(told[1])) == (200, {"accepted": 1})
    told = await send(app, b'{"id": "%b", "label": "no"}\n' % two.encode(), content_type="application/x-ndjson")
    assert (told[0], outcomes(told[1])) == (200, {"accepted": 1})


async def test_a_regression_is_compared_with_values(keys):
    app = served(keys, REGRESSION)
    told = (
        await send(
            app, [{"id": await predicted(app, 3.0), "value": 5}, {"id": await predicted(app, 1.0), "value": 0.0}]
        )
    )[1]
    assert outcomes(told) == {"accepted": 2}
    found = await counted(app)
    assert metric(found, "mae").value == pytest.approx(1.5)
    assert metric(found, "rmse").value == pytest.approx(np.sqrt(2.5))
    assert metric(found, "accuracy") is None


async def test_a_lone_probability_is_compared_with_labels_of_0_and_1(keys):
    app = served(keys, REGRESSION)
    sent = [(0.75, 1), (0.25, True), (0.125, 0), (0.5, False)]
    told = (await send(app, [{"id": await predicted(app, share), "label": label} for share, label in sent]))[1]
    assert outcomes(told) == {"accepted": 4}
    found = await counted(app)
    assert (metric(found, "accuracy").value, metric(found, "auc").value) == (0.5, 0.75)
    assert found.pairs == {("1", "1"): 1, ("1", "0"): 1, ("0", "0"): 1, ("0", "1"): 1}


@pytest.mark.parametrize(
    ("model", "share", "sent", "says"),
    [
        (BINARY, 0.75, {"value": 1}, 'send "label" instead of "value"'),
        (REGRESSION, 3.0, {"label": "many"}, 'send "value", or a label of 0 or 1 for a probability'),
        (REGRESSION, 3.0, {"label": 1}, 'a number and no probability: send "value" instead of "label"'),
        (REGRESSION, 3.0, {"value": 1e300}, "absurdly large"),
        (BINARY, 0.75, {"row": 1, "label": "no"}, "row 1, where the prediction had 1 rows"),
        (BINARY, 0.75, {"label": ["no", "no"]}, "2 labels, where the prediction had 1 rows"),
    ],
)
async def test_a_label_that_cannot_be_compared_is_told_and_not_counted(keys, model, share, sent, says):
    app = served(keys, model)
    status, told = await send(app, [{"id": await predicted(app, share)} | sent])
    assert (status, set(outcomes(told))) == (200, {"unfit"})
    assert told["problems"][0]["where"] == "[0]"
    assert says in told["problems"][0]["problem"]
    assert (await quality(app))["outcomes"] == outcomes(told)
    assert not (await quality(app))["labelled"]


async def test_which_row_has_to_be_said_where_there_were_several(app):
    told = (await send(app, {"id": await predicted(app, 0.1, 0.2), "label": "no"}))[1]
    assert "say which by row, or send an array" in told["problems"][0]["problem"]


async def test_what_is_no_id_or_is_forged_is_counted_as_such_and_changes_nothing(app):
    raw = bytearray(urlsafe_b64decode(await predicted(app, 0.75) + "=="))
    raw[-20] ^= 1
    forged = urlsafe_b64encode(raw).rstrip(b"=").decode()
    told = (await send(app, [{"id": "nonsense", "label": 1}, {"id": forged, "label": 1}]))[1]
    assert outcomes(told) == {"unknown": 1, "forged": 1}
    assert [one["where"] for one in told["problems"]] == ["[0]", "[1]"]
    assert (await counted(app)).rows == 0


async def test_a_body_with_a_fault_counts_nothing_of_it(app):
    body = [{"id": await predicted(app, 0.75), "label": "yes"}] * 300 + [{"id": "x"}]
    status, told = await send(app, body)
    assert (status, told["error"]) == (400, '[300]: has neither of "label" and "value"; give one of them')
    assert (await counted(app)).rows == 0


async def test_a_label_counts_once_however_often_it_is_sent(app):
    body = [{"id": await predicted(app, 0.75), "label": "yes"}]
    await send(app, body)
    assert outcomes((await send(app, body * 3))[1]) == {"duplicate": 3}
    assert (await counted(app)).rows == 1
    assert (await quality(app))["outcomes"] == {"accepted": 1, "duplicate": 3}


async def test_a_label_counts_once_among_the_workers_of_a_server_and_all_tell_the_same(keys):
    tally = Tally(2, feedback=True)
    one, two = (served(keys, tally=tally, worker=worker) for worker in (0, 1))
    body = [{"id": await predicted(one, 0.75), "label": "yes"}]
    assert outcomes((await send(two, body))[1]) == {"accepted": 1}
    assert outcomes((await send(one, body))[1]) == {"duplicate": 1}
    for app in (one, two):
        app.settle()
    told = [await quality(app) for app in (one, two)]
    assert told[0] == told[1]
    assert told[0]["outcomes"] == {"accepted": 1, "duplicate": 1}
    assert sum(answered["rows"] for answered in told[0]["answered"]) == 1


async def test_answers_are_counted_some_at_a_time_and_each_once(keys):
    app = served(keys)
    waiting = []
    for _ in range(150):
        await predicted(app, 0.75)
        waiting.append(app.feedback._issuer.waiting)
    assert max(waiting) < 64 <= waiting.index(0) + 1
    assert sum(answered["rows"] for answered in (await quality(app))["answered"]) == 150


async def test_a_worker_that_replaces_another_counts_on(keys):
    tally = Tally(2, feedback=True)
    gone = served(keys, tally=tally)
    body = [{"id": await predicted(gone, share), "label": "yes"} for share in (0.75, 0.25)]
    await send(gone, body[:1])
    gone.settle()
    before = await quality(gone)
    follower = served(keys, tally=tally)
    assert await quality(follower) == before
    assert outcomes((await send(follower, body))[1]) == {"accepted": 1, "duplicate": 1}
    assert (await counted(follower)).pairs == {("yes", "yes"): 1, ("yes", "no"): 1}


async def test_another_server_with_the_keys_takes_labels_of_another_revisions_predictions(keys):
    old, new = served(keys, revision="aaaaaaaa"), served(keys, revision="bbbbbbbb")
    assert outcomes((await send(new, {"id": await predicted(old, 0.75), "label": "yes"}))[1]) == {"accepted": 1}
    assert {place.revision for place in QualityCounts.of(await quality(new)).labelled} == {"aaaaaaaa"}


async def test_a_classs_name_is_learnt_from_its_labels(keys):
    nameless = FakeModel(outputs=(TensorSpec("label", "BYTES", (-1,)),), compute=lambda batch: {"label": names(batch)})

    def names(batch):
        return np.array([f"c{int(one)}" for one in batch.tensors["x"][:, 0]], dtype=object)

    app = served(keys, nameless)
    await send(app, {"id": await predicted(app, 2), "label": "c1"})
    assert metric(await counted(app), "recall", "c1").value == 0.0
    assert metric(await counted(app), "precision", "c2").value == 0.0  # though nobody has sent its name yet
    await send(app, {"id": await predicted(app, 2), "label": "c2"})
    assert metric(await counted(app), "precision", "c2").value == 0.5


async def test_answers_are_counted_with_how_sure_the_model_was(app):
    await predicted(app, 0.75, 0.25)
    await predicted(app, 0.5)
    (answered,) = QualityCounts.of(await quality(app)).answered.values()
    assert answered.rows == answered.confidence.rows == 3
    assert answered.confidence.sure == round((0.75 + 0.75 + 0.5) * 2**32)


async def test_labels_come_too_late_after_256_windows_and_what_is_too_old_is_dropped(keys):
    now = [1_000_020.0]
    app = served(keys, feedback_window=60.0, clock=lambda: now[0])
    first, second = await predicted(app, 0.75), await predicted(app, 0.75)
    await send(app, {"id": first, "label": "yes"})
    now[0] += 60 * (HORIZON - 1)
    assert outcomes((await send(app, {"id": second, "label": "yes"}))[1]) == {"accepted": 1}
    assert [one["age"] for one in (await quality(app))["labelled"]] == [0, 8]
    now[0] += 60
    told = (await send(app, {"id": second, "label": "yes"}))[1]
    assert outcomes(told) == {"late": 1}
    assert "more than 4.26667 h old" in told["problems"][0]["problem"]
    assert (await quality(app))["labelled"] == (await quality(app))["answered"] == []


@pytest.mark.parametrize("workers", [1, 2])
async def test_windows_that_have_ended_can_be_left_out(keys, workers):
    now = [600.0]
    tally = Tally(workers=workers, feedback=True)
    app, *others = [
        served(keys, tally=tally, worker=one, feedback_window=60.0, clock=lambda: now[0]) for one in range(workers)
    ]
    for now[0] in (600.0, 660.0):
        for one in (app, *others):
            await send(one, {"id": await predicted(one, 0.75), "label": "no"})
            one.settle()
    for since, windows in ((0, {10, 11}), (659, {10, 11}), (660, {11}), (720, set())):
        told = orjson.loads((await ask(app, f"/v1/observations?of=quality&since={since}")).body)
        assert {one["window"] for one in told["labelled"]} == {one["window"] for one in told["answered"]} == windows
        assert sum(one["rows"] for one in told["labelled"]) == workers * len(windows)


@pytest.mark.parametrize("since", ["", "-1", "1.5", "soon", "9" * 13, "٣"])
async def test_a_time_that_is_none_is_refused(app, since):
    answer = await ask(app, f"/v1/observations?of=quality&since={since}")
    assert (answer.status, "since: expected Unix time in whole seconds" in answer.body.decode()) == (400, True)


async def test_a_request_of_more_rows_has_no_id(app):
    assert await predicted(app, *[0.5] * MOST_ROWS)
    assert await predicted(app, *[0.5] * (MOST_ROWS + 1)) is None


async def test_without_keys_nothing_is_different(tmp_path):
    app = App(ServerOptions(tmp_path, "m", timeout=60.0))
    app.serve(loaded(BINARY))
    assert await predicted(app, 0.75) is None
    answer = await ask(app, FEEDBACK, b"{}")
    assert (answer.status, "without --feedback-keys" in answer.body.decode()) == (404, True)
    assert (await ask(app, "/v1/observations?of=quality")).status == 404


async def test_no_other_counts_are_told_where_only_labels_are(keys):
    app = served(keys, observe=False)
    assert (await ask(app, "/v1/observations")).status == 404
    assert (await quality(app))["keys"] == 1


async def test_a_folder_of_keys_that_is_empty_yet_gives_no_ids_until_there_is_one(tmp_path):
    folder = tmp_path / "keys"
    folder.mkdir()
    app = served(folder)
    assert await predicted(app, 0.75) is None
    status, told = await send(app, b"{}")
    assert (status, told["error"]) == (503, "this server has no keys for feedback yet; try again")
    (folder / "a").write_bytes(b64encode(b"k" * 32))
    app.settle()
    assert outcomes((await send(app, {"id": await predicted(app, 0.75), "label": "yes"}))[1]) == {"accepted": 1}


def test_keys_that_cannot_be_read_end_the_start(tmp_path):
    with pytest.raises(ModelError, match=r"keys for feedback: .*cannot be read"):
        App(ServerOptions(tmp_path, "m", feedback_keys=tmp_path / "missing"))


async def test_the_servers_own_description_has_the_path_and_what_is_told(app):
    described = orjson.loads((await ask(app, "/openapi.json")).body)
    validate(described)
    post = described["paths"][FEEDBACK]["post"]
    sent = [{"id": await predicted(app, 0.75), "label": "yes"}]
    jsonschema.validate(sent, post["requestBody"]["content"]["application/json"]["schema"])
    told = (await send(app, sent))[1]
    jsonschema.validate(told, post["responses"]["200"]["content"]["application/json"]["schema"])
    parts = {"components": described["components"], "$ref": "#/components/schemas/QualityDocument"}
    jsonschema.Draft202012Validator(parts).validate(await quality(app))


async def test_the_path_says_what_it_takes(app):
    answer = await ask(app, FEEDBACK)
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


async def test_while_labels_are_counted_others_are_answered(app):
    """Everybody else has a turn of the event loop between two slices of a large request."""
    identity = await predicted(app, 0.75)
    body = orjson.dumps([{"id": identity, "label": "yes"}] * 2000)
    labels = asyncio.ensure_future(send(app, body))
    turns = 0
    while not labels.done():
        turns += 1
        await asyncio.sleep(0)
    assert outcomes((await labels)[1]) == {"accepted": 1, "duplicate": 1999}
    assert turns > 2 * (2000 // 128)  # reading and counting, each in slices


async def test_more_requests_than_can_wait_are_refused(app):
    body = orjson.dumps([{"id": await predicted(app, 0.75), "label": "yes"}] * 500)
    answers = await asyncio.gather(*(send(app, body) for _ in range(12)))
    assert [status for status, _ in answers].count(503) == 4


async def test_large_requests_are_refused_before_they_are_read(app):
    assert (await send(app, b" " * (2 * 2**20 + 1)))[0] == 413
    body = [{"id": "a", "label": 1}] * (MOST_LABELS + 1)
    assert (await send(app, body))[0] == 413


def test_the_set_of_labels_forgets_the_oldest_of_a_bucket():
    memory = FeedbackMemory()
    with memory.locked() as seen:
        marks = [number * 2**16 + 5 for number in range(20)]
        for mark in marks:
            seen.add(mark)
        assert [mark in seen for mark in marks] == [False] * 4 + [True] * 16


def test_what_a_worker_was_publishing_when_it_died_is_not_seen():
    memory = FeedbackMemory()
    memory.publish(0, b"one")
    memory.publish(0, b"two")
    assert memory.published(0) == b"two"
    assert not memory.publish(0, b"x" * (16 * 2**20 + 1))
    assert memory.published(0) == b"two"


async def in_slices(app):
    """Rows by slice, whatever their age."""
    found = {}
    for place, labelled in QualityCounts.of(await quality(app)).sliced.items():
        found[place.name, place.value] = found.get((place.name, place.value), 0) + labelled.rows
    return found


SLICES = {"country": ("DE", "FR"), "new": ("true",)}


async def test_labels_count_in_their_slices(keys):
    app = served(keys, feedback_slices=SLICES)
    for country in ("DE", "DE", "FR", "IT"):
        row = {"id": await predicted(app, 0.75), "label": "no", "slices": {"country": country, "new": True}}
        status, told = await send(app, row)
        assert (status, outcomes(told)) == (200, {"accepted": 1})
    assert await in_slices(app) == {
        ("country", "DE"): 2,
        ("country", "FR"): 1,
        ("country", "OTHER"): 1,
        ("new", "true"): 4,
    }
    assert (await counted(app)).rows == 4


async def test_a_column_of_csv_is_a_slice(keys):
    app = served(keys, feedback_slices=SLICES)
    ids = [await predicted(app, 0.75) for _ in range(2)]
    body = f"id,label,country\n{ids[0]},no,DE\n{ids[1]},no,\n".encode()
    assert (await send(app, body, content_type="text/csv"))[0] == 200
    assert await in_slices(app) == {("country", "DE"): 1}


async def test_a_slice_that_nobody_asked_for_is_told_and_its_label_counts(keys):
    app = served(keys)
    status, told = await send(app, {"id": await predicted(app, 0.75), "label": "no", "slices": {"country": "DE"}})
    assert (status, outcomes(told)) == (200, {"accepted": 1, "unsliced": 1})
    assert ((await counted(app)).rows, await in_slices(app)) == (1, {})


async def test_slices_of_all_workers_are_told_together(keys):
    tally = Tally(2, feedback=True)
    workers = [served(keys, tally=tally, worker=place, feedback_slices=SLICES) for place in range(2)]
    for app in workers:
        await send(app, {"id": await predicted(app, 0.75), "label": "no", "slices": {"country": "DE"}})
        app.feedback.settle()
    assert await in_slices(workers[0]) == await in_slices(workers[1]) == {("country", "DE"): 2}


async def test_a_worker_that_follows_another_goes_on_with_its_slices(keys):
    tally = Tally(2, feedback=True)
    app = served(keys, tally=tally, feedback_slices=SLICES)
    await send(app, {"id": await predicted(app, 0.75), "label": "no", "slices": {"country": "DE"}})
    app.feedback.settle()
    assert await in_slices(served(keys, tally=tally, feedback_slices=SLICES)) == {("country", "DE"): 1}


async def test_without_room_for_slices_labels_still_count(keys, monkeypatch):
    monkeypatch.setattr("modelway.server.feedback_counts.MOST_SLICED", 12)
    app = served(keys, feedback_slices=SLICES)
    told = [
        outcomes((await send(app, {"id": await predicted(app, 0.75), "label": "no", "slices": {"country": one}}))[1])
        for one in ("DE", "FR")
    ]
    assert told == [{"accepted": 1}, {"accepted": 1, "unsliced": 1}]
    assert ((await counted(app)).rows, await in_slices(app)) == (2, {("country", "DE"): 1})


async def test_slices_are_counted_of_the_windows_that_are_judged(keys):
    now = [float(10**9)]
    app = served(keys, feedback_slices=SLICES, clock=lambda: now[0])
    await send(app, {"id": await predicted(app, 0.75), "label": "no", "slices": {"country": "DE"}})
    now[0] += 3600 * (KEPT - 1)
    assert await in_slices(app) == {("country", "DE"): 1}
    now[0] += 3600
    assert ((await counted(app)).rows, await in_slices(app)) == (1, {})
