"""A model that is monitored, with a CronJob that can train another, for tests of `plan`.

Whether it is stale, or has drifted, is at the test's word.
"""

from datetime import timedelta
from typing import Any

import numpy as np

from modelway.plan import Object
from support.builders import DIGEST, NAMESPACE, spec, stamp
from support.monitored import Server, collected, layout_of_model, pod, usual_rows
from support.simulation import Simulation

CRON_JOB = "train"
LAYOUT = layout_of_model()
WINDOW = timedelta(minutes=5)
HOUR = timedelta(hours=1)


def cron_job(name: str = CRON_JOB, *, suspend: bool = True, **template: Any) -> Object:
    """A CronJob as a user would write it; `template` is more of its Jobs' spec."""
    container = {
        "name": "train",
        "image": "example.com/train:1",
        "env": [{"name": "AWS_REGION", "value": "eu"}, {"name": "MODELWAY_REASON", "value": "by hand"}],
    }
    pods = {"metadata": {"labels": {"app": "train"}}, "spec": {"restartPolicy": "Never", "containers": [container]}}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name, "namespace": NAMESPACE, "uid": f"uid-of-{name}"},
        "spec": {
            "schedule": "0 0 31 2 *",
            "suspend": suspend,
            "jobTemplate": {
                "metadata": {"labels": {"team": "risk"}, "annotations": {"note": "hello"}},
                "spec": {"backoffLimit": 1, "template": pods} | template,
            },
        },
    }


class Upkeep:
    """A model that serves, with `monitoring.onDegraded`, and the operator that looks at it."""

    def __init__(self, *, monitoring: Object | None = None, **on_degraded: Any) -> None:
        asked = {"jobFrom": CRON_JOB} | on_degraded
        given = {"minRows": 500, "maxModelAge": "720h", "onDegraded": asked} | (monitoring or {})
        trained_at = "2026-11-20T12:00:00Z"
        self.world = Simulation(spec(monitoring=given, model__version="1", model__trainingTime=trained_at))
        self.world.cron_jobs[CRON_JOB] = cron_job()
        self.settle()
        self._rng = np.random.default_rng(1)
        self._serve()

    def _serve(self) -> None:
        """The model that is stable has one pod, which counts from nothing."""
        label = self.world.stable
        assert label is not None
        some = self.world.pods[self.world.pods_of(label)[0]]
        made_at = self.world.now - HOUR
        name = f"pod-of-{label}"
        self.server = Server(pod(name, label, made_at), LAYOUT)
        metadata = some["metadata"] | {"name": name, "uid": self.server.pod.pod.uid}
        self.world.pods[name] = some | {"metadata": metadata}
        self.window(rows=0)

    def window(self, rows: int = 1000, *, shift: float = 0.0, times: int = 1) -> None:
        """Windows of rows as usual, but for the age; the operator looks twice after each."""
        for _ in range(times):
            if rows:
                columns = usual_rows(self._rng, rows)
                columns["age"] = columns["age"] + shift
                self.server.ask(columns, self._rng.beta(2, 5, rows))
            self.world.now += WINDOW
            self.world.collected = collected(self.world.now, self.server)
            self.look()

    def drift(self) -> None:
        """DataDrift turns true."""
        self.window(shift=8.0, times=3)
        assert self.said("DataDrift")[0] == "True"

    def calm(self) -> None:
        """DataDrift is over."""
        self.window(times=3)
        assert self.said("DataDrift")[0] == "False"

    def age(self, *, days: int) -> None:
        """A minute later, the spec says that the model was trained so many days ago."""
        self.world.now += timedelta(minutes=1)
        moment = self.world.now - timedelta(days=days)
        self.world.edit(model__trainingTime=stamp(moment))
        self.look()

    def replace(self) -> None:
        """Another model takes over."""
        self.world.artifacts["s3://models/fraud/2/"] = other = f"sha256:{'3' * 64}"
        assert other != DIGEST
        self.world.edit(model__uri="s3://models/fraud/2/", model__version="2", model__digest=other)
        self.settle()
        self._serve()

    def settle(self) -> None:
        """Everything that is on its way arrives; of the days that it takes a model to grow old, minutes pass."""
        for _ in range(12):
            self.world.run()
            self.world.tick(20)

    def look(self, times: int = 3) -> None:
        """As the watches and `look_again_after` have it: until all is told."""
        for _ in range(times):
            self.world.look()

    def wait(self, time: timedelta) -> None:
        """Time passes, and nobody asks anything."""
        self.world.now += time
        self.look()

    def end(self, result: str = "Complete") -> None:
        """The Job that was made last ends: `Complete` or `Failed`."""
        ended = {"status": {"conditions": [{"type": result, "status": "True"}]}}
        self.world.jobs[-1] = self.world.jobs[-1] | ended
        self.look()

    @property
    def made(self) -> list[str]:
        """Jobs that were made, deleted ones among them."""
        return [one.removeprefix("create Job ") for one in self.world.writes if one.startswith("create Job ")]

    def said(self, kind: str = "RetrainingFailed") -> tuple[str, str]:
        """Status and reason of a condition."""
        condition = self.world.condition(kind)
        return condition.status, condition.reason

    def told(self) -> list[str]:
        """Reasons of the Events about Jobs."""
        return [one.reason for one in self.world.happenings if one.action == "Retrain"]
