"""The cluster, reached through the user's own `kubectl`.

It knows every way to log in that the user has set up (exec plugins, OIDC, cloud credentials, proxies), reads the same
kubeconfig and context as everything else the user types, and is there wherever `kubectl modelway` is.
"""

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import orjson

from modelway.api.names import GROUP, LABEL_NAME, PLURAL
from modelway.cli.errors import Conflict, Forbidden, KubectlError, NotFound

_RESOURCE: Final = f"{PLURAL}.{GROUP}"
_MANAGER: Final = "--field-manager=kubectl-modelway"
_SECONDS: Final = 30

_MISSING: Final = (
    "kubectl is not in PATH. modelway reaches the cluster through it, because it knows every way to log in. "
    "Install it: https://kubernetes.io/docs/tasks/tools/"
)
_NOT_INSTALLED: Final = (
    "this cluster knows no ModelDeployments: modelway is not installed there, or another --context is meant"
)

Where = Mapping[str, str | None]
"""Namespace, context and kubeconfig, by these names, as the user gave them."""


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl with the options that the user gave; what is None is left to kubectl."""

    binary: str
    namespace: str | None = None
    context: str | None = None
    kubeconfig: str | None = None

    @classmethod
    def find(cls, where: Where) -> Self:
        """The kubectl in PATH.

        Raises:
            KubectlError: there is none.
        """
        binary = shutil.which("kubectl")
        if binary is None:
            raise KubectlError(_MISSING)
        return cls(binary, where["namespace"], where["context"], where["kubeconfig"])

    def get(self, name: str) -> dict[str, Any]:
        """A ModelDeployment as JSON.

        Raises:
            NotFound: there is none of that name.
            KubectlError: the cluster cannot be reached, or says no.
        """
        return self._one(_RESOURCE, name)

    def config_map(self, name: str) -> dict[str, Any]:
        """A ConfigMap as JSON.

        Raises:
            NotFound: there is none of that name.
            Forbidden: the user may not see ConfigMaps.
            KubectlError: the cluster cannot be reached.
        """
        return self._one("configmaps", name)

    def revisions(self, name: str) -> list[dict[str, Any]]:
        """The ControllerRevisions of a ModelDeployment."""
        return self._all("controllerrevisions.apps", {LABEL_NAME: name})

    def annotate(
        self,
        name: str,
        annotation: str,
        value: str,
        *,
        removes: Sequence[str] = (),
        resource_version: str | None = None,
    ) -> None:
        """Set an annotation and remove others; with a resource version, only if the object has not changed since.

        Raises:
            Conflict: it has.
        """
        since = [f"--resource-version={resource_version}"] if resource_version else []
        removed = [f"{one}-" for one in removes]
        self._run("annotate", _RESOURCE, name, f"{annotation}={value}", *removed, "--overwrite", _MANAGER, *since)

    def patch(self, name: str, operations: Sequence[dict[str, Any]]) -> None:
        """Apply a JSON patch. One that sets the resource version is refused when the object has changed since.

        Raises:
            Conflict: it has.
        """
        self._run("patch", _RESOURCE, name, "--type=json", f"--patch={json.dumps(list(operations))}", _MANAGER)

    def _one(self, kind: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = orjson.loads(self._run("get", kind, name, "--output=json"))
        return found

    def _all(self, kind: str, labels: Mapping[str, str]) -> list[dict[str, Any]]:
        selector = ",".join(f"{label}={value}" for label, value in labels.items())
        told = self._run("get", kind, f"--selector={selector}", "--output=json")
        found: list[dict[str, Any]] = orjson.loads(told)["items"]
        return found

    def _answered(self, pod: Mapping[str, Any], port: int, path: str) -> str:
        """What a pod answers, by way of the API server."""
        of = pod["metadata"]
        return self._run("get", f"--raw=/api/v1/namespaces/{of['namespace']}/pods/{of['name']}:{port}/proxy{path}")

    def _options(self) -> list[str]:
        given = {"namespace": self.namespace, "context": self.context, "kubeconfig": self.kubeconfig}
        return [f"--{option}={value}" for option, value in given.items() if value is not None]

    def _run(self, *arguments: str) -> str:
        try:
            done = subprocess.run(  # noqa: S603 - no shell, and the options are kubectl's own
                [self.binary, *arguments, *self._options(), f"--request-timeout={_SECONDS}s"],
                capture_output=True,
                text=True,
                check=False,
                timeout=4 * _SECONDS,  # logging in may take a browser
            )
        except OSError as error:
            raise KubectlError(f"{self.binary} cannot be run: {error.strerror}") from error
        except subprocess.TimeoutExpired as error:
            raise KubectlError(f"kubectl {arguments[0]} has not ended after {4 * _SECONDS} s") from error
        if done.returncode != 0:
            raise _error(done.stderr.strip().removeprefix("error: "))
        return done.stdout


def _error(said: str) -> KubectlError:
    if "(NotFound)" in said:
        return NotFound(said)
    if "(Forbidden)" in said:
        return Forbidden(said)
    if "(Conflict)" in said:
        return Conflict(said)
    if "doesn't have a resource type" in said:
        return KubectlError(f"{said}\n{_NOT_INSTALLED}")
    return KubectlError(said or "kubectl ended with an error and did not say why")
