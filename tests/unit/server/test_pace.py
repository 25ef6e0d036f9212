import numpy as np
import pytest

from modelway.server.pace import BUDGET, FAR, FORGIVEN_AFTER, SAMPLE_ROWS, STRIKES, UNKNOWN, Cost, Pace, measure
from modelway.server.tensors import Batch, TensorSpec
from support.fake_model import FakeModel, first_column

SLOW = 2 * FAR * BUDGET


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


def test_a_slow_models_rows_are_timed_too_the_cheap_ones_exactly():
    (cost, _), clock = measured(4e-3, 1e-6)
    assert cost.row == pytest.approx(1e-6)
    (cost, _), clock = measured(4e-3, 4e-3)
    assert cost.row == pytest.approx(4e-3)
    assert clock.now < 1  # 64 rows were never tried


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


@pytest.fixture
def clock():
    return Clock(0, 0)


def strike_out(pace):
    for _ in range(STRIKES):
        pace.note(SLOW)


def test_strikes_in_a_row_send_everything_to_threads(clock):
    pace = Pace(Cost(1e-6, 0), clock=clock)
    for seconds in (*[SLOW] * (STRIKES - 1), 0.0, *[SLOW] * (STRIKES - 1)):
        pace.note(seconds)
        assert pace.allows_inline(1)
    pace.note(SLOW)
    assert not pace.allows_inline(1)


def test_runs_somewhat_over_the_budget_are_forgiven(clock):
    pace = Pace(Cost(1e-6, 0), clock=clock)
    for _ in range(100):
        pace.note(3 * BUDGET)
    assert pace.allows_inline(1)


def test_trust_comes_back_and_is_lost_for_twice_as_long_each_time(clock):
    pace = Pace(Cost(1e-6, 0), clock=clock)
    waited = []
    for _ in range(12):
        strike_out(pace)
        start = clock.now
        while not pace.allows_inline(1):
            clock.now += 0.5
        waited.append(clock.now - start)
    assert waited == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]


def test_good_behaviour_is_rewarded(clock):
    pace = Pace(Cost(1e-6, 0), clock=clock)
    for _ in range(5):
        strike_out(pace)
        clock.now += 50
    clock.now += FORGIVEN_AFTER + 20
    strike_out(pace)
    clock.now += 1
    assert pace.allows_inline(1)
