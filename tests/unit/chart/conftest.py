"""Helm, as the tests of the chart use it. A render takes a tenth of a second, so equal ones are made once."""

import functools
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from hack import install
from hack.local.progress import silent

Object = dict[str, Any]


@dataclass(frozen=True)
class Helm:
    """The chart of this tree, rendered."""

    program: str

    def objects(self, namespace: str = "modelway-system", /, **values: Any) -> list[Object]:
        """Everything that the chart makes with `values`, by kind and name."""
        return self._objects(namespace, json.dumps(values))

    def one(self, kind: str, name: str = "", /, **values: Any) -> Object:
        """The only object of `kind` (and of `name`, where one is given)."""
        (found,) = [
            obj for obj in self.objects(**values) if obj["kind"] == kind and name in {"", obj["metadata"]["name"]}
        ]
        return found

    def kinds(self, **values: Any) -> set[str]:
        """The kinds that the chart makes with `values`."""
        return {obj["kind"] for obj in self.objects(**values)}

    def refusal(self, **values: Any) -> str:
        """What Helm says of `values` that the chart does not take."""
        done = self._template("modelway-system", json.dumps(values))
        assert done.returncode != 0, "these values are taken"
        return done.stderr

    @functools.cache  # noqa: B019 - one for the session
    def _objects(self, namespace: str, values: str) -> list[Object]:
        done = self._template(namespace, values)
        assert done.returncode == 0, done.stderr
        return [obj for obj in yaml.load_all(done.stdout, yaml.CSafeLoader) if obj]

    @functools.cache  # noqa: B019
    def _template(self, namespace: str, values: str) -> subprocess.CompletedProcess[str]:
        command = [self.program, "template", "modelway", str(install.CHART), f"--namespace={namespace}", "--values=-"]
        return subprocess.run(command, input=values, capture_output=True, text=True, check=False)

    def lint(self) -> str:
        command = [self.program, "lint", "--strict", str(install.CHART)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
        return done.stdout


@pytest.fixture(scope="session")
def helm() -> Helm:
    return Helm(install.find_helm(os.environ, silent))


@pytest.fixture(scope="session")
def everything() -> Object:
    """Values of which none is the default."""
    values: Object = yaml.safe_load((Path(__file__).parent / "everything.yaml").read_text())
    return values
