"""What the commands about batch jobs ask of the cluster, through the user's own kubectl."""

import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import orjson

from modelway.api.names import LABEL_BATCH_JOB, LABEL_NAME
from modelway.cli.rollout.errors import KubectlError
from modelway.cli.rollout.kubectl import Kubectl
from modelway.plan.batch.pods import METRICS_PORT

LABEL_JOB = "batch.kubernetes.io/job-name"
LABEL_INDEX = "batch.kubernetes.io/job-completion-index"
_ASKED_AT_ONCE: Final = 8
_MOST_ASKED: Final = 64


@dataclass(frozen=True, slots=True)
class Cluster(Kubectl):
    """kubectl, and what of it batch jobs need. Raises KubectlError, and NotFound and Conflict among them."""

    def cron_job(self, name: str) -> dict[str, Any]:
        """A CronJob."""
        found: dict[str, Any] = orjson.loads(self._run("get", "cronjobs.batch", name, "--output=json"))
        return found

    def job(self, name: str) -> dict[str, Any]:
        """A Job."""
        found: dict[str, Any] = orjson.loads(self._run("get", "jobs.batch", name, "--output=json"))
        return found

    def jobs(self, name: str, entry: str) -> list[dict[str, Any]]:
        """The Jobs of an entry, oldest first."""
        selector = f"--selector={LABEL_NAME}={name},{LABEL_BATCH_JOB}={entry}"
        found: list[dict[str, Any]] = orjson.loads(self._run("get", "jobs.batch", selector, "--output=json"))["items"]
        return sorted(found, key=lambda job: (job["metadata"]["creationTimestamp"], job["metadata"]["name"]))

    def pods(self, job: str) -> list[dict[str, Any]]:
        """The pods of a Job that are still there."""
        selector = f"--selector={LABEL_JOB}={job}"
        found: list[dict[str, Any]] = orjson.loads(self._run("get", "pods", selector, "--output=json"))["items"]
        return found

    def metrics(self, pods: Iterable[dict[str, Any]]) -> list[str]:
        """What pods that are at work say of themselves; nothing of those that do not answer, or may not be asked."""
        asked = [pod["metadata"] for pod in pods if pod.get("status", {}).get("phase") == "Running"][:_MOST_ASKED]
        paths = [
            f"/api/v1/namespaces/{one['namespace']}/pods/{one['name']}:{METRICS_PORT}/proxy/metrics" for one in asked
        ]
        with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
            return list(filter(None, pool.map(self._asked, paths)))

    def _asked(self, path: str) -> str:
        try:
            return self._run("get", f"--raw={path}")
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
        given = {"namespace": self.namespace, "context": self.context, "kubeconfig": self.kubeconfig}
        options = [f"--{option}={value}" for option, value in given.items() if value is not None]
        return subprocess.run([self.binary, "logs", *arguments, *options], check=False).returncode  # noqa: S603 no shell
