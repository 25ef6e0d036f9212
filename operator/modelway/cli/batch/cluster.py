"""What the commands about batch jobs ask of the cluster, through the user's own kubectl."""

import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import orjson

from modelway.api.names import LABEL_BATCH_JOB, LABEL_NAME
from modelway.cli.errors import KubectlError
from modelway.cli.kubectl import Kubectl
from modelway.plan.batch.pods import METRICS_PORT
from modelway.plan.jobs import LABEL_JOB

_ASKED_AT_ONCE: Final = 8
_MOST_ASKED: Final = 64


@dataclass(frozen=True, slots=True)
class Cluster(Kubectl):
    """kubectl, and what of it batch jobs need. Raises KubectlError, and NotFound and Conflict among them."""

    def cron_job(self, name: str) -> dict[str, Any]:
        """A CronJob."""
        return self._one("cronjobs.batch", name)

    def job(self, name: str) -> dict[str, Any]:
        """A Job."""
        return self._one("jobs.batch", name)

    def jobs(self, name: str, entry: str) -> list[dict[str, Any]]:
        """The Jobs of an entry, oldest first."""
        found = self._all("jobs.batch", {LABEL_NAME: name, LABEL_BATCH_JOB: entry})
        return sorted(found, key=lambda job: (job["metadata"]["creationTimestamp"], job["metadata"]["name"]))

    def pods(self, job: str) -> list[dict[str, Any]]:
        """The pods of a Job that are still there."""
        return self._all("pods", {LABEL_JOB: job})

    def metrics(self, pods: Iterable[dict[str, Any]]) -> list[str]:
        """What pods that are at work say of themselves; nothing of those that do not answer, or may not be asked."""
        asked = [pod for pod in pods if pod.get("status", {}).get("phase") == "Running"][:_MOST_ASKED]
        with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
            return list(filter(None, pool.map(self._metrics, asked)))

    def _metrics(self, pod: dict[str, Any]) -> str:
        try:
            return self._answered(pod, METRICS_PORT, "/metrics")
        except KubectlError:
            return ""

    def create(self, manifest: dict[str, Any]) -> None:
        """Make an object. Raises KubectlError where one of its name is there."""
        with tempfile.NamedTemporaryFile(suffix=".json") as file:
            file.write(orjson.dumps(manifest))
            file.flush()
            self._run("create", f"--filename={file.name}")

    def delete_job(self, name: str) -> None:
        """Delete a Job and its pods."""
        self._run("delete", "jobs.batch", name, "--cascade=background", "--wait=false")

    def show_logs(self, arguments: Sequence[str]) -> int:
        """Let kubectl print logs; gives its exit code."""
        command = [self.binary, "logs", *arguments, *self._options()]
        return subprocess.run(command, check=False).returncode  # noqa: S603 - no shell
