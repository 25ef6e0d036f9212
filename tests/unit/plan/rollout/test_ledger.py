"""The written form of what was counted: exact, and refused as a whole when it is not what was written."""

from datetime import timedelta

import orjson
import pytest

from modelway.api.rollout import Rollout
from modelway.plan.rollout.answers import Bins
from modelway.plan.rollout.ledger import FORMAT, Ledger, Mark, Traffic, content_of, ledger_from
from modelway.stats import Counts, Evidence, Tick, Verdict, update
from modelway.stats.bins import streams
from support.builders import NOW

RULES = Rollout.model_validate(
    {
        "steps": [{"name": "five", "weight": 5}],
        "checks": [
            {"name": "errors", "errorRate": {"maxIncrease": "1%"}},
            {"name": "answers", "predictions": {"maxShift": "10%"}},
        ],
    }
)
BINS = Bins(classes=("fine", "fraud"), edges=())
EVIDENCE = update(
    update(Evidence.begin(0.01), Tick(Counts(50, 1), Counts(900, 9))), Tick(Counts(50, 9), Counts(900, 8))
)
LEDGER = Ledger(
    stable="6f1c2a9b",
    candidate="0b77d1ce",
    rollout=RULES,
    floor=4,
    seen_at=NOW,
    step="five",
    weight=5,
    era=3,
    counted=12.5,
    live_at=NOW - timedelta(seconds=40),
    exposed=True,
    step_requests=99,
    traffic=Traffic(5.0, 95.0),
    routers={"uid-1": Mark("epoch", 3, NOW, {"0b77d1ce": (5, 1, 0)}), "uid-2": Mark("epoch", None, NOW, {})},
    bins=BINS,
    evidence={"errors": EVIDENCE, "answers": Evidence.begin(0.1, streams(BINS.size))},
    verdicts={"errors": Verdict.CONTINUE},
    exits={"uid-3": 2},
    crashes=1,
)


def test_it_is_read_back_as_it_was_written():
    written = content_of(LEDGER)
    found = ledger_from(written)
    assert content_of(found) == written
    assert found.evidence["errors"].log_harm == EVIDENCE.log_harm
    assert (found.written.content, found.written.at) == (written, NOW)


@pytest.mark.parametrize(
    "damage",
    [
        {"format": FORMAT + 1},
        {"evidence": {"errors": {}}},
        {"evidence": {"unknown": None}},
        {"bins": None},
        {"bins": {"classes": [], "edges": []}},
        {"rollout": {"steps": [{"weight": 5}]}},
        {"routers": {"uid": ["epoch"]}},
        {"times": {}},
        {"times": {"seen_at": "yesterday"}},
        {"verdicts": {"errors": "Fine"}},
        {"floor": "many"},
    ],
    ids=str,
)
def test_what_is_damaged_is_no_ledger_at_all(damage):
    assert ledger_from(orjson.dumps(orjson.loads(content_of(LEDGER)) | damage).decode()) is None


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "{", '"ledger"', "12"])
def test_other_text_is_no_ledger(text):
    assert ledger_from(text) is None


def test_a_large_one_has_room_in_a_configmap():
    """200 routers and 16 checks of latency are more than anybody has; a ConfigMap ends at 1 MiB."""
    counts = {name: tuple([10**9] * 19) for name in ("0b77d1ce", "6f1c2a9b", "0b77d1ce-shadow")}
    routers = {f"11111111-2222-4333-8444-{number:012d}": Mark("e" * 36, 3, NOW, counts) for number in range(200)}
    large = Ledger(stable="6f1c2a9b", candidate="0b77d1ce", rollout=RULES, floor=4, seen_at=NOW, routers=routers)
    assert len(content_of(large)) < 300_000
