"""`make demo-rollout`: five new versions of a fraud model, good and bad, each under constant load until it is decided.

Each must end as it should, for the right reason, and no request may fail besides those that a bad version caused. Such
a one may not have had more requests than its weights allowed, look by look, nor have failed more of them than it is
known to. The versions are made by examples/fraud/train.py, which tells what they are.
"""

import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hack.demo.load import ClusterLoad
from hack.demo.seen import LUCK, Exposure, Seen
from hack.demo.stage import NAMESPACE, Stage, must, perform

from modelway.cli.rollout.picture import Picture, read
from modelway.cli.rollout.render import table

_NAME: Final = "fraud"
_RATE: Final = 60
_LEAST_RATE: Final = 50
_CONNECTIONS: Final = 64
"""Enough for the rate while a slow version keeps some of them waiting."""
_ROWS: Final = 500
_DEADLINE: Final = 420.0
"""Seconds for one version, from `kubectl patch` to its end."""
_COUNTRY, _UNKNOWN_COUNTRY = 2, 17

Counts = dict[str, Any]
"""What the load has counted."""


@dataclass(frozen=True, slots=True)
class Version:
    """A version and how its rollout must end.

    Attributes:
        caught_by: checks that may find a bad one.
        fails: kinds of answers that it may give in place of 200.
        held: whether a human has to decide about it.
    """

    number: str
    what: str
    caught_by: tuple[str, ...] = ()
    fails: tuple[str, ...] = ()
    held: bool = False

    @property
    def is_bad(self) -> bool:
        return bool(self.caught_by)


VERSIONS: Final = (
    Version("2", "is better"),
    Version("3", "answers 500 for 5 % of the requests", caught_by=("errors",), fails=("500",)),
    Version("4", "asks a slow service", caught_by=("slow", "errors"), fails=("503", "504")),
    Version("5", "answers nonsense with HTTP 200", caught_by=("answers",), held=True),
    Version("6", "is version 2, built again"),
)
SHORT: Final = VERSIONS[:2]


class Rollouts:
    """The rollouts, one after the other, under one load. Each part notes what came out."""

    def __init__(
        self, stage: Stage, versions: Sequence[Version], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stage = stage
        self._clock = clock
        self._kubectl = stage.kubectl
        self._versions = versions
        self._rows: list[list[float]] = []
        self._load: ClusterLoad | None = None
        self._table = [("version", "which", "outcome", "caught by", "weight", "after", "requests", "failed")]

    def play(self) -> None:
        """All of it, as steps of the stage."""
        self._stage.step("train six versions of a fraud model and upload them to S3", self._train)
        self._stage.step("deploy version 1, with steps and checks for what follows it", self._deploy)
        self._stage.step(f"begin a load of {_RATE} requests/s that lasts until the end", self._begin_load)
        for version in self._versions:
            self._stage.step(
                f"version {version.number} {version.what}", lambda version=version: self._roll_out(version)
            )
        self._stage.step("end the load", self._end_load)

    def report(self) -> None:
        """What became of each version."""
        print(f"\n{table(self._table)}")

    def _train(self) -> str:
        models = self._stage.train(_NAME, ["1", *(version.number for version in self._versions)])
        self._rows = json.loads((models / "rows.json").read_text())[:_ROWS]
        return f"in s3://models/{_NAME}/"

    def _deploy(self) -> str:
        began = time.monotonic()
        self._stage.apply_example(_NAME)
        self._kubectl.wait(
            "version 1 serves",
            lambda: (seen := self._look()).candidate is None and seen.stable and _is_ready(seen),
            seconds=240,
            show=self._everything,
        )
        print(self._kubectl.run("get", "mdep", _NAME), end="")
        print(self._kubectl.run("get", "deployment,pods", f"--selector=modelway.dev/name={_NAME}"), end="")
        return f"Ready {time.monotonic() - began:.0f} s after kubectl apply"

    def _begin_load(self) -> str:
        bodies = [
            {"inputs": [{"name": "X", "shape": [1, len(row)], "datatype": "FP32", "data": row}]} for row in self._rows
        ]
        self._load = ClusterLoad(
            self._kubectl,
            name="demo-rollouts",
            image=self._stage.environment["SERVER_IMAGE"],
            url=f"http://{_NAME}.{NAMESPACE}/v2/models/{_NAME}/infer",
            bodies=bodies,
            connections=_CONNECTIONS,
            rate=_RATE,
            seconds=len(self._versions) * _DEADLINE + 120,
            count_by="model_version",
        )
        counts = self._load.started()
        must(counts["failed"] == 0, f"requests to version 1 failed: {counts}")
        return f"{len(bodies)} different requests in turn, over {_CONNECTIONS} connections"

    def _roll_out(self, version: Version) -> str:
        before, began = self._counts(), self._clock()
        self._stage.set_version(_NAME, version.number)
        seen = self._follow(version)
        seconds = self._clock() - began
        print(self._modelway("status"))
        self._check_outcome(version, seen)
        requests, failed = self._check_requests(version, seen, before, began)
        outcome = "held, then aborted" if seen.held else "rolled back" if version.is_bad else "promoted"
        caught = ", ".join(sorted(seen.harmful)) if version.is_bad else ""
        weight, took = f"{seen.highest_weight} %", f"{seconds:.0f} s"
        self._table.append(
            (version.number, version.what, outcome, caught, weight, took, f"{requests:,}", f"{failed:,}")
        )
        found = f" ({caught} at weight {weight})" if caught else ""
        return f"{outcome}{found} after {took}; {requests:,} requests, {failed:,} failed"

    def _follow(self, version: Version) -> Seen:
        """Look until the rollout has ended; where it is held for a human, be that human."""
        seen = Seen(Exposure(self._clock()))
        asked: str | None = None
        revision = self._kubectl.wait(
            f"version {version.number} is the candidate",
            lambda: _candidate(self._look(), version.number),
            seconds=60,
            show=self._everything,
        )

        def has_ended() -> bool:
            nonlocal asked
            picture = self._look()
            seen.note(picture, self._clock())
            if seen.held and asked is None:
                must(picture.weight == 0, f"held at weight {picture.weight}, not 0")
                asked = self._modelway("abort")
                print(f"  $ modelway rollout abort {_NAME}\n  {asked}", flush=True)
            candidate = picture.candidate.revision if picture.candidate else None
            return candidate != revision and picture.state in {"Stable", "Rejected"}

        self._kubectl.wait(
            f"the rollout of version {version.number} ends", has_ended, seconds=_DEADLINE, show=self._everything
        )
        return seen

    def _check_outcome(self, version: Version, seen: Seen) -> None:
        picture = self._look()
        entry = next((entry for entry in picture.history if entry.version == version.number), None)
        told = f"version {version.number}: {entry.result}: {entry.reason}" if entry else f"no word in {picture.history}"
        must(entry is not None and entry.result == ("Rejected" if version.is_bad else "Promoted"), told)
        serves = picture.stable.version if picture.stable else None
        must((serves == version.number) is not version.is_bad, f"version {serves} serves; {told}")
        if version.is_bad:
            must(bool(seen.harmful & set(version.caught_by)), f"Harmful: {seen.harmful or 'no check'}; {told}")
            must(seen.held is version.held, f"held: {seen.held}; {told}")

    def _check_requests(self, version: Version, seen: Seen, before: Counts, began: float) -> tuple[int, int]:
        """Whether enough were sent, and none failed that should not have; gives requests and failed ones."""
        after, seconds = self._counts(), self._clock() - began
        requests = after["requests"] - before["requests"]
        failed = {
            code: count - before["codes"].get(code, 0)
            for code, count in after["codes"].items()
            if code != "200" and count > before["codes"].get(code, 0)
        }
        must(
            requests >= _LEAST_RATE * seconds, f"{requests} requests in {seconds:.0f} s are fewer than {_LEAST_RATE}/s"
        )
        strangers = {code: count for code, count in failed.items() if code not in version.fails}
        must(not strangers, f"requests failed that version {version.number} does not explain: {strangers}")
        self._check_exposure(version, seen, sum(failed.values()), before, after, rate=requests / seconds)
        return requests, sum(failed.values())

    def _check_exposure(
        self, version: Version, seen: Seen, failed: int, before: Counts, after: Counts, *, rate: float
    ) -> None:
        """Whether a bad version had no more requests than its weights allowed, and failed no more than it does."""
        if not version.is_bad:
            return
        answered = after["answers"].get(version.number, 0) - before["answers"].get(version.number, 0)
        had, allowed = answered + failed, seen.exposure.most(rate)
        must(had <= allowed, f"it had {had} requests, more than {allowed} that its weights allowed")
        share = _share_of_unknown_countries(self._rows) if version.number == "3" else 1.0
        mean = had * share
        most = math.ceil(mean + LUCK * math.sqrt(mean * (1.0 - share)))
        must(failed <= most, f"{failed} of its {had} requests failed, more than {most}: {share:.0%} are known to")

    def _end_load(self) -> str:
        counts = self._counts()
        if self._load is not None:
            self._load.stop()
        return f"{counts['requests']:,} requests, {counts['failed']:,} failed; p99 {counts['p99_ms']} ms"

    def _counts(self) -> Counts:
        counts: Counts = self._load.started() if self._load is not None else {}
        must(counts.get("done") is False, f"there is no load any more: {counts}")
        return counts

    def _look(self) -> Picture:
        return read(self._kubectl.get("mdep", _NAME))

    def _modelway(self, *arguments: str) -> str:
        """What `modelway rollout` says."""
        return self._stage.modelway("rollout", *arguments, _NAME)

    @property
    def _everything(self) -> tuple[str, ...]:
        return "get", "mdep", _NAME, "--output=yaml"


def _candidate(picture: Picture, version: str) -> str | None:
    candidate = picture.candidate
    return candidate.revision if candidate and candidate.version == version else None


def _is_ready(picture: Picture) -> bool:
    return any(one.type == "Ready" and one.status == "True" for one in picture.conditions)


def _share_of_unknown_countries(rows: list[list[float]]) -> float:
    return sum(int(row[_COUNTRY]) == _UNKNOWN_COUNTRY for row in rows) / len(rows)


def play(stage: Stage) -> None:
    stage.step("make an empty namespace", stage.fresh_namespace)
    rollouts = Rollouts(stage, VERSIONS)
    rollouts.play()
    rollouts.report()
    stage.report(COMMANDS)


COMMANDS: Final = (
    f"modelway rollout status {_NAME} -n {NAMESPACE}",
    f"kubectl modelway rollout undo {_NAME} -n {NAMESPACE} --dry-run",
    f"kubectl -n {NAMESPACE} get events --field-selector involvedObject.name={_NAME}",
    "make cluster-down",
)

if __name__ == "__main__":
    sys.exit(perform("demo-rollout", __doc__, play))
