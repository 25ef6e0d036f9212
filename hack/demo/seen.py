"""What a demo sees of a rollout while it lasts: what was told, and how much of the traffic a candidate may have had."""

import math
from dataclasses import dataclass, field
from typing import Final

from modelway.cli.rollout.picture import Picture
from modelway.cli.rollout.render import line

LUCK: Final = 4.0
"""Standard deviations: by chance alone one demo in some ten thousand fails, and what is wrong still shows."""


@dataclass(slots=True)
class Exposure:
    """How much of the traffic a candidate may have had: its weight over time, look by look.

    Attributes:
        at: the last look.
        weight: the most that a router might give it then, in percent.
        seconds: in which it would have had as many requests, had it had all of them.
    """

    at: float
    weight: int = 0
    seconds: float = 0.0

    def note(self, weight: int, at: float) -> None:
        """At the moment `at` a router may give it so many percent; until then it was this, or as at the last look."""
        self.seconds += (at - self.at) * max(self.weight, weight) / 100
        self.at, self.weight = at, weight

    def most(self, rate: float) -> int:
        """Requests that it can have had at so many a second, but for luck."""
        mean = rate * self.seconds
        return math.ceil(mean + LUCK * math.sqrt(mean))


@dataclass(slots=True)
class Seen:
    """What was seen of one rollout while it lasted."""

    exposure: Exposure
    harmful: set[str] = field(default_factory=set)
    highest_weight: int = 0
    held: bool = False
    steps: list[str] = field(default_factory=list)
    last: str = ""

    def note(self, picture: Picture, at: float) -> None:
        """Take a look at the moment `at` into account, and tell it when it says something new."""
        told = line(picture)
        if told != self.last:
            print(f"  {told}", flush=True)
            self.last = told
        self.harmful |= {check.name for check in picture.checks if check.verdict == "Harmful"}
        live = picture.live[1] if picture.live else 0
        weight = max(picture.weight or 0, live) if picture.candidate is not None else 0
        self.exposure.note(weight, at)
        self.highest_weight = max(self.highest_weight, weight)
        if picture.step and picture.step not in self.steps:
            self.steps.append(picture.step)
        self.held |= picture.state == "Holding" and picture.reason == "CheckFailed"
