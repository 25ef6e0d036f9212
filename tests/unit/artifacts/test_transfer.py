"""One file over a bad line, with a source that fails as the test says."""

import hashlib
from collections.abc import Iterator
from pathlib import PurePosixPath

import pytest
from structlog.testing import capture_logs

from modelway.artifacts.errors import ArtifactError, SourceChangedError, TransientError
from modelway.artifacts.reasons import Reason
from modelway.artifacts.source import Entry, Opened
from modelway.artifacts.transfer import Progress, Retries, copy

CONTENT = bytes(range(256)) * 40
SIZE = len(CONTENT)
ENTRY = Entry(PurePosixPath("m"), "m", len(CONTENT), "v1")


class Scripted:
    """A source whose n-th try goes as the n-th step says.

    A step is the number of bytes to give before the line breaks, None for all of them, or an exception to raise at once.
    """

    def __init__(self, *steps, ranges=True, size=SIZE, content=CONTENT) -> None:
        self.steps = list(steps)
        self.ranges = ranges
        self.size = size
        self.content = content
        self.asked: list[tuple[int, str]] = []

    def open(self, entry: Entry, start: int) -> Opened:
        self.asked.append((start, entry.version))
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        begin = start if self.ranges else 0
        return Opened(self._chunks(begin, step), start=begin, size=self.size)

    def _chunks(self, start: int, step: int | None) -> Iterator[bytes]:
        end = len(self.content) if step is None else start + step
        for position in range(start, min(end, len(self.content)), 1000):
            yield self.content[position : min(position + 1000, end)]
        if step is not None:
            raise TransientError("the connection was cut", reason=Reason.TRUNCATED)


@pytest.fixture
def fetch(tmp_path, retries):
    def run(source, entry=ENTRY, progress=None):
        target = tmp_path / "m"
        copied = copy(source, entry, target, retries=retries, progress=progress or Progress(None))
        assert copied.sha256 == hashlib.sha256(target.read_bytes()).hexdigest()
        assert copied.size == target.stat().st_size
        return target.read_bytes()

    return run


def test_a_broken_line_is_taken_up_where_it_broke(fetch):
    source = Scripted(3000, 10, 0, None)
    assert fetch(source) == CONTENT
    assert [start for start, _ in source.asked] == [0, 3000, 3010, 3010]


def test_a_source_without_ranges_begins_anew(fetch):
    source = Scripted(3000, None, ranges=False)
    assert fetch(source) == CONTENT
    assert [start for start, _ in source.asked] == [0, 3000]


def test_a_file_that_changed_begins_anew_and_forgets_its_version(fetch):
    source = Scripted(3000, SourceChangedError("was replaced"), None)
    assert fetch(source) == CONTENT
    assert source.asked == [(0, "v1"), (3000, "v1"), (0, "")]


def test_progress_renews_the_tries(fetch, pauses):
    assert fetch(Scripted(*[1000] * 10, None)) == CONTENT
    assert pauses == [0.5] * 10


def test_no_progress_gives_up_with_the_last_reason(fetch, pauses):
    with pytest.raises(ArtifactError, match="gave up after 6 tries") as caught:
        fetch(Scripted(1000, *[TransientError("the server answers 503")] * 6))
    assert caught.value.reason is Reason.DOWNLOAD_FAILED
    assert pauses == [0.5, 1, 2, 4, 8]


def test_the_same_first_half_again_and_again_is_no_progress(fetch):
    with pytest.raises(ArtifactError, match="the connection was cut") as caught:
        fetch(Scripted(*[3000] * 20, ranges=False))
    assert caught.value.reason is Reason.TRUNCATED


def test_an_end_before_the_announced_length_is_truncated(fetch):
    with pytest.raises(ArtifactError, match="ended after 10240 of 10241 bytes") as caught:
        fetch(Scripted(*[None] * 10, size=len(CONTENT) + 1))
    assert caught.value.reason is Reason.TRUNCATED


def test_more_than_the_announced_length_is_another_file(fetch):
    with pytest.raises(ArtifactError) as caught:
        fetch(Scripted(*[None] * 10, size=len(CONTENT) - 1))
    assert caught.value.reason is Reason.CHANGED_WHILE_READING


def test_what_no_retry_mends_ends_at_once(fetch, pauses):
    denied = ArtifactError(Reason.ACCESS_DENIED, "no")
    with pytest.raises(ArtifactError, match="no"):
        fetch(Scripted(denied))
    assert pauses == []


def test_pauses_are_jittered_down_by_at_most_half():
    waits: list[float] = []
    tried = Retries(jitter=lambda: 0.999, sleep=waits.append, longest=3)
    for failures in range(1, 6):
        tried.wait_or_raise(TransientError("x"), failures, "m")
    assert waits == pytest.approx([0.25, 0.5, 1, 1.5, 1.5], rel=0.01)


def test_long_downloads_tell_how_far_they_are(fetch):
    seconds = iter(range(0, 1000, 2))
    with capture_logs() as logs:
        fetch(Scripted(None), progress=Progress(len(CONTENT), clock=lambda: next(seconds)))
    lines = [line for line in logs if line["event"] == "downloading"]
    assert [line["percent"] for line in lines] == sorted(line["percent"] for line in lines)
    assert 2 <= len(lines) <= 6
    assert lines[0]["mib_per_second"] >= 0
