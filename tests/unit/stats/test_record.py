"""Evidence survives a restart exactly, and a record that is not understood is refused."""

import json
from typing import Any

import numpy as np
import orjson
import pytest

from modelway.stats import (
    Counts,
    Evidence,
    PairedEvidence,
    RecordError,
    Tick,
    from_paired_record,
    from_record,
    tick_of,
    to_paired_record,
    to_record,
    update,
    update_pairs,
)


def of_one_stream() -> Evidence:
    rng = np.random.default_rng(8)
    evidence = Evidence.begin(0.01)
    for _ in range(7):
        evidence = update(
            evidence, Tick(Counts(20, int(rng.binomial(20, 0.1))), Counts(381, int(rng.binomial(381, 0.07))))
        )
    return evidence


def of_bins() -> Evidence:
    return update(
        update(Evidence.begin(0.1, (2, 3)), tick_of([1, 2, 3], [10, 20, 30])), tick_of([3, 1, 3], [20, 20, 1])
    )


def of_pairs() -> PairedEvidence:
    return update_pairs(PairedEvidence.begin(0.02, lowest=0.0), [0.0, 1.0, 0.0, 0.25])


@pytest.mark.parametrize("library", [json, orjson], ids=["json", "orjson"])
@pytest.mark.parametrize(
    "evidence", [Evidence.begin(0.3), of_one_stream(), of_bins()], ids=["new", "one stream", "bins"]
)
def test_what_is_read_is_what_was_written_to_the_last_bit(evidence, library):
    read = from_record(library.loads(library.dumps(to_record(evidence))))
    assert to_record(read) == to_record(evidence)
    assert (read.harm == evidence.harm).all()


def test_evidence_goes_on_after_a_restart_as_if_there_had_been_none():
    tick = tick_of([5, 0, 1], [40, 20, 10])
    assert to_record(update(from_record(to_record(of_bins())), tick)) == to_record(update(of_bins(), tick))


def test_pairs_survive_too():
    read = from_paired_record(json.loads(json.dumps(to_paired_record(of_pairs()))))
    assert to_paired_record(update_pairs(read, [1.0])) == to_paired_record(update_pairs(of_pairs(), [1.0]))


def test_the_record_of_one_stream_is_small():
    assert len(orjson.dumps(to_record(of_one_stream()))) < 400


def changed(record: dict[str, Any], **fields: object) -> dict[str, Any]:
    return {key: value for key, value in (record | fields).items() if value is not None}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        pytest.param({"format": 2}, "format 2, this version reads 1", id="another format"),
        pytest.param({"format": None}, "format None", id="no format"),
        pytest.param({"harm": None}, "harm is missing", id="no harm"),
        pytest.param({"harm": [1.0, 2.0]}, "shape", id="other alternatives"),
        pytest.param({"harm": ["a"] * 6}, "harm is missing or no list of numbers", id="words"),
        pytest.param({"safe": float("nan")}, "safe has a number that is not finite", id="not a number"),
        pytest.param({"safe": [0.0, 0.0]}, "shape", id="more streams in one than in the other"),
        pytest.param({"margin": 1.5}, "margin is not between 0 and 1", id="margin"),
        pytest.param({"candidate": None}, "candidate is missing", id="no counts"),
        pytest.param({"candidate": {"requests": 5, "bad": 6}}, "candidate: 6 bad among 5", id="impossible counts"),
        pytest.param({"stable": {"requests": 5.5, "bad": 1}}, "whole numbers", id="half a request"),
        pytest.param({"stable": {"requests": [5], "bad": [1]}}, "whole numbers of the shape", id="shape of the counts"),
    ],
)
def test_a_damaged_record_is_refused(fields, told):
    with pytest.raises(RecordError, match=told):
        from_record(changed(to_record(of_one_stream()), **fields))


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        pytest.param({"format": 99}, "format 99", id="another format"),
        pytest.param({"safe": [0.0]}, "shape", id="another grid"),
        pytest.param({"pairs": -0.5}, "whole numbers", id="half a pair"),
        pytest.param({"lowest": "x"}, "lowest", id="words"),
        pytest.param({"lowest": -3.0}, "lowest is not between -1 and 0", id="out of range"),
    ],
)
def test_a_damaged_record_of_pairs_is_refused(fields, told):
    with pytest.raises(RecordError, match=told):
        from_paired_record(changed(to_paired_record(of_pairs()), **fields))
