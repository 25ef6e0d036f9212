"""What the runner says, and that the documentation tells it."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from modelway.batch.errors import BatchError, Reason
from modelway.batch.pipeline import ordered
from modelway.batch.progress import Progress
from modelway.cli import main

DOCS = Path(__file__).parents[3] / "docs" / "batch.md"


def test_every_reason_is_told_with_its_exit_code():
    told = dict(re.findall(r"^\| `(\w+)` \| (\d+) \|", DOCS.read_text(), re.MULTILINE))
    assert told == {str(reason): str(int(BatchError(reason, "").code)) for reason in Reason}


def test_every_option_is_told():
    text = DOCS.read_text()
    options = {name for option in main.commands["batch"].commands["score"].params for name in option.opts}
    shared = {"--format", "--code", "--allow-global", "--output-format", "--version"}  # as in docs/packing.md, or plain
    assert {name for name in options - shared if f"{name} " not in text and f"{name}`" not in text} == set()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--map", "age"], '"age" is not of the form INPUT=COLUMN'),
        (["--input-format", "xlsx"], "'xlsx' is not one of"),
        (["--threads", "0"], "0 is not in the range"),
    ],
)
def test_wrong_options_are_told_by_the_command_line(arguments, said):
    given = ["batch", "score", "--model", "m", "--input", "i", "--output", "o", *arguments]
    result = CliRunner().invoke(main, given)
    assert (result.exit_code, said in result.output) == (2, True)


def test_progress_is_told_every_few_seconds(capsys):
    now = iter(range(0, 1000, 4))
    progress = Progress(3, total=100, clock=lambda: float(next(now)))
    for _ in range(5):
        progress.add(rows=1000, failed=1, done=10)
    lines = [line for line in capsys.readouterr().out.splitlines() if "scoring" in line]
    assert lines
    assert all("rows_per_second" in line and "remaining_seconds" in line and "percent" in line for line in lines)
    assert len(lines) < 5


def test_blocks_come_out_in_order_and_their_number_is_bounded():
    taken, most = [], 0

    def blocks():
        for number in range(200):
            taken.append(number)
            yield number

    for number, block in enumerate(ordered(blocks(), lambda one: one * 2, threads=3)):
        assert block == number * 2
        most = max(most, len(taken) - number)
    assert most <= 3 + 2 + 3


@pytest.mark.parametrize("where", ["read", "work"])
def test_the_first_cause_comes_through_and_everything_ends(where):
    def blocks():
        for number in range(100):
            if where == "read" and number == 5:
                raise OSError("broken")
            yield number

    def work(number):
        if where == "work" and number == 5:
            raise OSError("broken")
        return number

    found = []
    with pytest.raises(OSError, match="broken"):
        found.extend(ordered(blocks(), work, threads=2))
    assert found == list(range(len(found)))
    assert len(found) <= 5
