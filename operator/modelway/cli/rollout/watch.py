"""`modelway rollout status --watch`: looks until the rollout has ended, and shows what changes.

On a terminal the picture is redrawn in place; elsewhere each change is a line. The cluster may be away for a while:
that is shown, and only a long time of it ends the watch.
"""

import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import click
import orjson

from modelway.cli.errors import CommandError, KubectlError, NotFound
from modelway.cli.rollout.outcome import Outcome, outcome_of
from modelway.cli.rollout.picture import Picture, read
from modelway.cli.rollout.render import as_json, line, render

INTERVAL: Final = 2.0
PATIENCE: Final = 120.0
"""Seconds without an answer of the cluster after which the watch gives up."""

_COLOURS: Final = {
    "red": ("Harmful", "Rejected", "RollingBack", "Stalled"),
    "green": ("Safe", "Promoted", "Promoting", "Stable"),
    "yellow": ("Holding", "Paused", "SourceDown", "NoData"),
}
_WORDS: Final = {word: colour for colour, words in _COLOURS.items() for word in words}
_WORD: Final = re.compile(rf"\b({'|'.join(_WORDS)})\b")


class Screen(Protocol):
    """Where a watch is shown."""

    def show(self, obj: dict[str, Any], picture: Picture) -> None:
        """Show this; called at every look, whether or not something has changed."""

    def trouble(self, message: str) -> None:
        """Say that the cluster does not answer at present."""


class Terminal:
    """Redraws in place: the cursor goes up, each line is written over the old one and cut at the right edge.

    Nothing is cleared before it is written, so nothing flickers. What does not fit the height is left out.
    """

    def __init__(self, command: str, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._command = command
        self._clock = clock
        self._drawn = 0
        self._last = ""

    def show(self, _obj: dict[str, Any], picture: Picture) -> None:
        self._last = render(picture, self._clock(), command=self._command)
        self._draw(self._last)

    def trouble(self, message: str) -> None:
        self._draw(f"{self._last}\n\n{message}".strip())

    def _draw(self, text: str) -> None:
        columns, rows = shutil.get_terminal_size()
        lines = [one[: columns - 1] for one in text.splitlines()[: rows - 1]]
        if "NO_COLOR" not in os.environ:  # https://no-color.org
            lines = [_WORD.sub(_coloured, one) for one in lines]
        up = f"\x1b[{self._drawn}F" if self._drawn else ""
        # in one write; click takes escapes for colours and drops them unless told
        click.echo(up + "".join(f"{one}\x1b[K\n" for one in lines) + "\x1b[J", nl=False, color=True)
        self._drawn = len(lines)


class Lines:
    """A line whenever something has changed, with the time."""

    def __init__(self, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock
        self._last = ""

    def show(self, _obj: dict[str, Any], picture: Picture) -> None:
        self._say(line(picture))

    def trouble(self, message: str) -> None:
        self._say(message.replace("\n", " "))

    def _say(self, text: str) -> None:
        if text != self._last:
            self._last = text
            click.echo(f"{self._clock():%Y-%m-%dT%H:%M:%SZ} {text}")


class Json:
    """A JSON object a line whenever something has changed; trouble goes to standard error."""

    def __init__(self) -> None:
        self._last = b""

    def show(self, obj: dict[str, Any], picture: Picture) -> None:
        text = orjson.dumps(as_json(obj, picture))
        if text != self._last:
            self._last = text
            click.echo(text.decode())

    def trouble(self, message: str) -> None:
        click.echo(message, err=True)


@dataclass(frozen=True, slots=True)
class Watch:
    """A watch over one ModelDeployment.

    Attributes:
        look: gives the object as it is; raises KubectlError.
        picture: reads it; raises KubectlError where that takes more of the cluster.
        clock: monotonic seconds.
        wait: waits so many seconds.
    """

    look: Callable[[], dict[str, Any]]
    screen: Screen
    picture: Callable[[dict[str, Any]], Picture] = read
    clock: Callable[[], float] = time.monotonic
    wait: Callable[[float], None] = time.sleep

    def until_ended(self, *, timeout: float | None) -> Outcome:
        """Watch the revision that the spec asks for, until it serves or does not.

        Raises:
            NotFound: there is none, or not any more.
            CommandError: not within `timeout` seconds, or the cluster has been away for too long.
        """
        began = answered = self.clock()
        revision = None
        while True:
            try:
                obj = self.look()
                picture = self.picture(obj)
            except NotFound:
                raise
            except KubectlError as error:
                if revision is None or self.clock() - answered > PATIENCE:
                    raise
                self.screen.trouble(f"the cluster does not answer: {error.message}")
            else:
                answered = self.clock()
                self.screen.show(obj, picture)
                if picture.is_current:
                    revision = revision or picture.revision
                if outcome := outcome_of(picture, revision):
                    return outcome
            if timeout is not None and self.clock() - began + INTERVAL > timeout:
                raise CommandError(f"not decided within {timeout:g} s")
            self.wait(INTERVAL)


def _coloured(found: re.Match[str]) -> str:
    return click.style(found[0], fg=_WORDS[found[0]])
