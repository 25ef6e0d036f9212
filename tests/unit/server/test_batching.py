import numpy as np
import pytest

from modelway.server.batching import Batching, pays, rows_are_independent
from modelway.server.pace import UNKNOWN, Cost
from modelway.server.tensors import Batch, TensorSpec
from support.fake_model import FakeModel, first_column

SPEC = TensorSpec("x", "FP32", (-1, 3))


def batch(*rows, wanted=("y",)):
    return Batch({"x": np.array(rows, dtype=np.float32)}, rows=len(rows), wanted=wanted)


def labels(outputs):
    return outputs["y"].tolist()


def job(batching, asked, model):
    return batching.job(lambda: labels(model.predict(asked)), asked, labels)


@pytest.mark.parametrize(
    ("cost", "worth"),
    [
        (Cost(call=4e-3, row=1e-6), True),
        (Cost(call=4e-3, row=5e-3), False),
        (Cost(call=5e-6, row=1e-7), False),
        (UNKNOWN, False),
    ],
    ids=["a forest in Python", "rows cost as much as calls", "so fast that it runs on the loop", "never timed"],
)
def test_batching_pays_for_slow_calls_with_cheap_rows(cost, worth):
    assert pays(cost) is worth


def test_each_request_gets_its_own_rows_in_one_call():
    calls = []

    def compute(asked):
        calls.append(asked.rows)
        return first_column(asked)

    model = FakeModel(compute=compute)
    batching = Batching(model, max_rows=64)
    jobs = [job(batching, batch(*rows), model) for rows in ([[1, 0, 0]], [[2, 0, 0], [3, 0, 0]], [[4, 0, 0]])]
    assert [result.value for result in batching.predict(jobs)] == [[1], [2, 3], [4]]
    assert calls == [4]


def test_a_request_that_breaks_the_model_harms_no_other():
    def compute(asked):
        if (asked.tensors["x"] == 666).any():
            raise ValueError("666")
        return first_column(asked)

    model = FakeModel(compute=compute)
    batching = Batching(model, max_rows=64)
    good, evil, fine = batching.predict([job(batching, batch([value, 0, 0]), model) for value in (1, 666, 2)])
    assert (good.value, fine.value) == ([1], [2])
    assert str(evil.error) == "666"


def test_an_answer_that_cannot_be_written_harms_no_other():
    model = FakeModel()
    batching = Batching(model, max_rows=64)
    jobs = [job(batching, batch([value, 0, 0]), model) for value in (1, 0, 2)]
    jobs[1].content = (jobs[1].content[0], lambda outputs: 1 / outputs["y"].item() if outputs["y"].item() else 1 / 0)
    one, broken, two = batching.predict(jobs)
    assert (one.value, two.value) == ([1], [2])
    assert isinstance(broken.error, ZeroDivisionError)


def test_outputs_without_a_row_for_each_are_asked_for_again_one_by_one():
    model = FakeModel(compute=lambda asked: {"y": asked.tensors["x"].sum(axis=(0, 1)).reshape(1)})
    batching = Batching(model, max_rows=64)
    results = batching.predict([job(batching, batch([value, 0, 0]), model) for value in (1, 2)])
    assert [result.value for result in results] == [[1], [2]]


def test_only_requests_of_the_same_outputs_and_widths_go_together():
    batching = Batching(FakeModel(), max_rows=64)

    def key(asked):
        return batching.job(lambda: None, asked, lambda _: None).key

    assert key(batch([1, 2, 3])) == key(batch([1, 2, 3], [4, 5, 6]))
    assert key(batch([1, 2, 3])) != key(batch([1, 2, 3], wanted=("z",)))
    assert key(batch([1, 2, 3])) != key(batch([1, 2]))


def test_large_requests_go_alone():
    batching = Batching(FakeModel(), max_rows=4)
    assert batching.job(lambda: None, batch(*[[1, 2, 3]] * 2), lambda _: None).key is not None
    assert batching.job(lambda: None, batch(*[[1, 2, 3]] * 3), lambda _: None).key is None
    assert Batching(FakeModel(), max_rows=1).job(lambda: None, batch([1, 2, 3]), lambda _: None).key is None


def test_a_model_that_mixes_rows_is_found_out():
    def normalised(asked):
        x = asked.tensors["x"]
        return {"y": (x - x.mean(axis=0))[:, 0] / (x.std() + 1)}

    assert rows_are_independent(FakeModel(), batch([1, 2, 3]))
    assert rows_are_independent(FakeModel(), batch([0, 0, 0]))
    assert not rows_are_independent(FakeModel(compute=normalised), batch([1, 2, 3]))


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        ((TensorSpec("x", "FP32", (1, 3)),), (TensorSpec("y", "FP32", (-1,)),)),
        ((SPEC,), (TensorSpec("y", "FP32", (1,)),)),
        ((SPEC,), (TensorSpec("y", "FP32", ()),)),
    ],
    ids=["one row only", "a fixed output", "a scalar output"],
)
def test_models_without_open_rows_are_never_batched(inputs, outputs):
    assert not rows_are_independent(FakeModel(inputs=inputs, outputs=outputs), batch([1, 2, 3]))


def test_texts_are_asked_for_with_other_texts():
    seen = []

    def compute(asked):
        seen.append(asked.tensors["t"].ravel().tolist())
        return {"y": np.array([len(text) for text in asked.tensors["t"].ravel()])}

    model = FakeModel(inputs=(TensorSpec("t", "BYTES", (-1, 1)),), compute=compute)
    sample = Batch({"t": np.array([["word"]], dtype=object)}, rows=1, wanted=("y",))
    assert rows_are_independent(model, sample)
    assert seen == [["word"], [""], ["word", ""]]
