"""What the demos share: numbered steps that are told as they happen, a place on the cluster, models in S3."""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import obstore
from hack.demo.kubectl import Kubectl, KubectlError, NotInTimeError
from obstore.store import S3Store

ROOT = Path(__file__).resolve().parent.parent.parent
NAMESPACE = "modelway-demo"


class Stage:
    """Where a demo plays: its environment, its namespace and its clock. Tells each step and keeps what came out."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.kubectl = Kubectl(NAMESPACE)
        self._results: list[tuple[str, str]] = []
        self._began = time.monotonic()

    def step(self, title: str, work: Callable[[], str]) -> None:
        """Do `work`; what it gives is what came out, for the report."""
        number, seconds = len(self._results) + 1, self.seconds
        print(f"\n\033[1m{number}. {title}\033[0m  [{seconds:.0f} s]", flush=True)
        self._results.append((title, work()))

    @property
    def seconds(self) -> float:
        """Since the demo began."""
        return time.monotonic() - self._began

    def report(self, commands: Iterable[str]) -> None:
        """A table of what happened, and commands to play on with."""
        width = max(len(title) for title, _ in self._results)
        print("\n\033[1mWhat happened\033[0m")
        for title, result in self._results:
            print(f"  {title:<{width}}  {result}")
        print(f"\nDone in {self.seconds:.0f} s. The cluster stays; try:\n")
        print(f"  export KUBECONFIG={self.kubectl.kubeconfig} PATH=$PWD/.venv/bin:$PWD/.local/bin:$PATH")
        for command in commands:
            print(f"  {command}")

    def fresh_namespace(self) -> str:
        """Make an empty namespace with the Secret that models are fetched with; gives its name."""
        self.kubectl.run("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait")
        self.kubectl.run("create", "namespace", NAMESPACE)
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")
        values = {name: self.environment[name] for name in names}
        values["AWS_ENDPOINT_URL"] = self.environment["S3_ENDPOINT_IN_CLUSTER"]
        self.kubectl.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s3"}, "stringData": values})
        return NAMESPACE

    def store(self) -> S3Store:
        """The bucket `models`."""
        return S3Store(
            "models",
            endpoint=self.environment["AWS_ENDPOINT_URL"],
            access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
            region=self.environment["AWS_REGION"],
            client_options={"allow_http": True},
        )

    def train(self, name: str, versions: Iterable[str]) -> Path:
        """Run `examples/<name>/train.py` and upload the versions to `s3://models/<name>/`; gives their folder."""
        models = ROOT / ".local" / "demo" / name
        subprocess.run([sys.executable, ROOT / "examples" / name / "train.py", "--out", models], check=True)
        store = self.store()
        for version in versions:
            for file in sorted((models / version).iterdir()):
                obstore.put(store, f"{name}/{version}/{file.name}", file.read_bytes())
        return models

    def modelway(self, *arguments: str) -> str:
        """Run the `modelway` command of this checkout in the namespace; gives what it prints."""
        done = subprocess.run(
            [sys.executable, "-m", "modelway.cli", *arguments, f"--namespace={NAMESPACE}"],
            env=self.kubectl.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        must(done.returncode == 0, f"modelway {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def apply_example(self, name: str) -> None:
        """Apply `examples/<name>/modeldeployment.yaml`."""
        manifest = ROOT / "examples" / name / "modeldeployment.yaml"
        print(self.kubectl.run("apply", "--filename", str(manifest)), end="")

    def set_version(self, name: str, version: str) -> None:
        """Point the ModelDeployment to another version."""
        uri = f"s3://models/{name}/{version}/"
        print(f"  kubectl patch mdep {name}: spec.model.uri = {uri}", flush=True)
        patch = f'{{"spec": {{"model": {{"uri": "{uri}", "version": "{version}"}}}}}}'
        self.kubectl.run("patch", "mdep", name, "--type=merge", f"--patch={patch}")


def perform(target: str, story: str | None, play: Callable[[Stage], None]) -> int:
    """What `make <target>` does: play a demo on the running cluster; gives the exit code.

    Args:
        target: of the Makefile.
        story: what --help tells of it.
        play: the demo. What does not hold ends it with an error.
    """
    argparse.ArgumentParser(prog=f"make {target}", description=story).parse_args()
    try:
        play(Stage(read_environment()))
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    except (KubectlError, NotInTimeError) as error:
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        return 1
    return 0


def read_environment() -> dict[str, str]:
    """What the local cluster has written for its users: the images, and how to reach S3.

    Raises:
        FileNotFoundError: it has not been set up.
    """
    environment: dict[str, str] = {}
    for name in ("images.env", "s3.env"):
        file = ROOT / ".local" / name
        if not file.exists():
            raise FileNotFoundError(f"{file} is missing: run `make cluster images install` first")
        environment |= dict(line.split("=", 1) for line in file.read_text().splitlines() if "=" in line)
    return environment


def must(holds: bool, message: str) -> None:
    """End the demo unless it holds."""
    if not holds:
        raise NotInTimeError(message)
