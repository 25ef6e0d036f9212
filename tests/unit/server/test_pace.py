import numpy as np
import pytest

from modelway.server.pace import BUDGET, SAMPLE_ROWS, STRIKES, UNKNOWN, Cost, Pace, measure
from modelway.server.tensors import Batch, TensorSpec
from support.fake_model import FakeModel, first_column


class Clock:
    """Time that passes only in predictions: so much for a call and so much for a row."""

    def __init__(self, call: float, row: float) -> None:
        self.now, self.call, self.row, self.runs = 0.0, call, row, 0

    def __call__(self) -> float:
        return self.now

    def predict(self, batch: Batch):
        self.runs += 1
        self.now += self.call + self.row * batch.rows
        return first_column(batch)


def measured(call, row, shape=(-1, 3), datatype="FP32"):
    clock = Clock(call, row)
    model = FakeModel(inputs=(TensorSpec("x", datatype, shape),), compute=clock.predict)
    return measure(model, clock=clock), clock


def test_call_and_row_are_told_apart():
    (cost, problem), _ = measured(1e-5, 1e-6)
    assert problem is None
    assert cost.call == pytest.approx(1e-5)
    assert cost.row == pytest.approx(1e-6)


@pytest.mark.parametrize(
    ("call", "row", "rows", "inline"),
    [
        (5e-6, 1e-7, 1, True),
        (5e-6, 1e-7, 5_000, True),
        (5e-6, 1e-7, 20_000, False),
        (2e-3, 0, 1, False),
    ],
)
def test_what_fits_the_budget_runs_inline(call, row, rows, inline):
    (cost, _), _ = measured(call, row)
    assert Pace(cost).allows_inline(rows) is inline


def test_a_slow_model_is_not_timed_again_and_again():
    _, clock = measured(10.0, 0.0)
    assert clock.runs == 2


def test_a_fixed_number_of_rows_is_kept():
    (cost, _), clock = measured(1e-5, 1e-6, shape=(8, 3))
    assert cost == Cost(call=pytest.approx(1.8e-5), row=0.0)
    assert clock.runs == 6


@pytest.mark.parametrize("datatype", ["BYTES", "BOOL", "INT8", "FP16"])
def test_rows_can_be_made_up_for_any_type(datatype):
    (_, problem), _ = measured(1e-5, 0, datatype=datatype)
    assert problem is None


def test_the_sample_is_used_where_there_is_one():
    seen = []

    def spy(batch):
        seen.append(batch.rows)
        return first_column(batch)

    model = FakeModel(compute=spy)
    sample = Batch({"x": np.ones((2, 3), dtype="f4")}, rows=2, wanted=("y",))
    measure(model, sample)
    assert set(seen) == {2, 2 * SAMPLE_ROWS}


def test_a_model_that_refuses_zeros_goes_to_threads():
    def refuse(_batch):
        raise ValueError("unknown category 0")

    cost, problem = measure(FakeModel(compute=refuse))
    assert cost == UNKNOWN
    assert str(problem) == "unknown category 0"
    assert not Pace(cost).allows_inline(1)


def test_strikes_in_a_row_send_everything_to_threads_for_good():
    pace = Pace(Cost(1e-6, 0))
    for seconds in (*[2 * BUDGET] * (STRIKES - 1), 0.0, *[2 * BUDGET] * (STRIKES - 1)):
        pace.note(seconds)
        assert pace.allows_inline(1)
    pace.note(2 * BUDGET)
    assert pace.demoted
    assert not pace.allows_inline(1)
    pace.note(0.0)
    assert pace.demoted


def test_one_run_far_over_the_budget_is_enough():
    pace = Pace(Cost(1e-6, 0))
    pace.note(6 * BUDGET)
    assert pace.demoted
