"""A rollout on the real cluster under load, while something is broken on purpose, and the books that are kept of it.

The load counts which version has answered each of its requests; the operator counts the same requests by the routers'
counters and writes that down as evidence. Both are followed from outside, each with its times. Between any two readings
of the routers the two must agree: a request that the operator counted and nobody sent was counted twice, one that was
sent and not counted was lost.
"""

import json
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from hack.demo.kubectl import Kubectl
from hack.demo.load import ClusterLoad

from support.deployments import Bucket, Object, model_deployment, status_of, wait_until_serving

RATE = 60
CONNECTIONS = 8
NAME = "faulted"
SELECTOR = f"modelway.dev/name={NAME}"
ROUTERS = f"{SELECTOR},app.kubernetes.io/component=model-router"
OPERATORS = "modelway-system"
_BODY = {"inputs": [{"name": "X", "shape": [1, 4], "datatype": "FP32", "data": [5.1, 3.5, 1.4, 0.2]}]}
_METADATA = {
    "format": "onnx",
    "transform": {"module": "transform.py"},
    "inputs": [{"name": "X", "datatype": "FP32", "shape": [-1, 4]}],
}
_CHECK = "errors"


@dataclass(frozen=True)
class Sent:
    """What the load had counted at a moment."""

    at: float
    requests: int
    failed: int
    by_version: Mapping[str, int]
    failures: tuple[Object, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """What the operator had written down; `at` is when the routers were read whose counts stand in it."""

    at: float
    candidate_revision: str
    weight: int
    is_live: bool
    era: int
    candidate: int
    stable: int
    candidate_bad: int
    stable_bad: int


class _Lines:
    """Lines of a command that is started again whenever it ends, in a thread of its own."""

    def __init__(self, command: list[str], environment: Mapping[str, str], see: Callable[[str], None]) -> None:
        self._command, self._environment, self._see = command, dict(environment), see
        self._going = True
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        while self._going:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
            assert self._process.stdout is not None
            for line in self._process.stdout:
                self._see(line)
            self._process.wait()
            time.sleep(0.2)

    def stop(self) -> None:
        self._going = False
        if self._process is not None:
            self._process.terminate()
        self._thread.join(10)


class Load:
    """The load, and what it has counted since the beginning; goes on counting when it is stopped and begun again."""

    def __init__(self, kubectl: Kubectl, image: str) -> None:
        self._kubectl, self._image = kubectl, image
        self.history: list[Sent] = [Sent(time.time(), 0, 0, {})]
        self._base = self.history[0]
        self._load: ClusterLoad | None = None
        self._lines: _Lines | None = None

    def begin(self, *, seconds: float = 3000) -> None:
        """Send requests until stopped."""
        self._base = self.history[-1]
        self._load = ClusterLoad(
            self._kubectl,
            name="load",
            image=self._image,
            url=f"http://{NAME}.{self._kubectl.namespace}/v2/models/{NAME}/infer",
            body=_BODY,
            connections=CONNECTIONS,
            rate=RATE,
            seconds=seconds,
            count_by="model_version",
        )
        self._load.started()
        self._lines = _Lines(
            [self._kubectl._binary, "--namespace", self._kubectl.namespace, "logs", "load", "--follow", "--tail=1"],
            self._kubectl.environment,
            self._see,
        )

    def stop(self) -> None:
        """Send nothing any more."""
        if self._lines is not None:
            self._lines.stop()
        if self._load is not None:
            self._load.stop()
        self._lines = self._load = None

    @property
    def is_going(self) -> bool:
        return self._load is not None

    def now(self) -> Sent:
        """What was counted, told after this call began."""
        asked, deadline = time.time(), time.monotonic() + 20
        while self.history[-1].at <= asked:
            assert time.monotonic() < deadline, f"the load tells nothing any more; its last word: {self.history[-1]}"
            time.sleep(0.1)
        return self.history[-1]

    def by(self, version: str, at: float) -> float:
        """Requests that `version` had answered at `at`, between two words of the load by interpolation."""
        before = after = self.history[0]
        for sent in self.history:
            before, after = after, sent
            if sent.at >= at:
                break
        low, high = before.by_version.get(version, 0), after.by_version.get(version, 0)
        if after.at <= before.at:
            return high
        return low + (high - low) * min(1.0, max(0.0, (at - before.at) / (after.at - before.at)))

    def _see(self, line: str) -> None:
        try:
            told = json.loads(line)
        except ValueError:
            return
        base = self._base
        by_version = Counter(base.by_version) + Counter(told.get("answers", {}))
        self.history.append(
            Sent(
                time.time(),
                base.requests + told["requests"],
                base.failed + told["failed"],
                dict(by_version),
                (*base.failures, *told.get("failures", ())),
            )
        )


@dataclass
class Trial:
    """One ModelDeployment behind routers under load, whose versions are rolled out one after the other."""

    kubectl: Kubectl
    bucket: Bucket
    load: Load
    onnx: bytes
    written: list[Evidence] = field(default_factory=list)
    version: int = 1

    @contextmanager
    def followed(self) -> Iterator[None]:
        """With version 1 serving behind routers, the load going and its evidence followed."""
        self._upload(1, None)
        resource = model_deployment(NAME, self.bucket.uri("1/"), version="1", code="Trust", replicas=2)
        resource["spec"] |= {"traffic": {"router": "Envoy"}}
        # A share of the CPU that is enough on a busy machine: a server that is starved refuses requests by itself.
        resource["spec"]["serving"]["resources"] = {"requests": {"cpu": "250m", "memory": "96Mi"}}
        self.kubectl.apply(resource)
        wait_until_serving(self.kubectl, NAME, version="1")
        self.until("the Service leads to the routers", self._is_routed)
        command = [self.kubectl._binary, "--namespace", self.kubectl.namespace, "get", "configmaps", "--watch"]
        command += [f"--selector={SELECTOR}", '--output=jsonpath={.data.ledger}{"\\n"}']
        lines = _Lines(command, self.kubectl.environment, self._see)
        try:
            self.load.begin()
            yield
        finally:
            lines.stop()
            self.load.stop()

    # What is asked of it

    def begin(self, transform: str | None = None, *, min_duration: str = "40s", workers: int | None = None,
              margin: str = "5%", weight: int = 40) -> str:  # fmt: skip
        """Ask for another version, which has one step; gives its revision."""
        self.version += 1
        self._upload(self.version, transform)
        step = {"name": "some", "weight": weight, "minDuration": min_duration}
        rollout = {"steps": [step], "checks": [{"name": _CHECK, "errorRate": {"maxIncrease": margin}}]}
        self.patch(model=self._model(self.version), rollout=rollout, serving={"workers": workers})
        return self.candidate_of(self.version)

    def candidate_of(self, version: int) -> str:
        """Wait until `version` is the candidate; gives its revision."""
        found: Object = self.until(
            f"version {version} is the candidate",
            lambda: (one := self.status.get("candidate", {})).get("version") == str(version) and one,
        )
        revision: str = found["revision"]
        return revision

    def go_back(self) -> None:
        """Ask for the version that is stable."""
        self.patch(model=self._model(int(self.status["stable"]["version"])))

    def patch(self, **spec: Any) -> None:
        """Change the spec."""
        self.kubectl.run("patch", "mdep", NAME, "--type=merge", f"--patch={json.dumps({'spec': spec})}")

    def edit_route(self, fields: Mapping[str, Any]) -> None:
        """Change the HTTPRoute by hand."""
        self.kubectl.run("patch", "httproute", NAME, "--type=merge", f"--patch={json.dumps({'spec': fields})}")

    def until(self, what: str, holds: Callable[[], Any], *, seconds: float = 120) -> Any:
        """Wait until `holds`; gives what it gives."""
        return self.kubectl.wait(what, holds, seconds=seconds, show=("get", "mdep", NAME, "--output=yaml"))

    def until_at_rest(self) -> None:
        """Wait until nothing is rolled out, whatever was before; what is held or paused is given up."""
        status = self.status
        if (candidate := status.get("candidate")) and status["rollout"]["state"] != "RollingBack":
            abort = f"modelway.dev/abort={candidate['revision']}"
            self.kubectl.run("annotate", "mdep", NAME, abort, "--overwrite")
        self.until("nothing is rolled out", lambda: "candidate" not in self.status, seconds=240)
        if not self.load.is_going:
            self.load.begin()
        self.until_calm(self.version_at_rest)

    @property
    def version_at_rest(self) -> int:
        """The version that serves."""
        return int(self.status["stable"]["version"])

    def until_live(self, revision: str, *, counted: int = 1) -> Evidence:
        """Wait until the candidate has its weight and the load has had so many answers of it; gives the first evidence."""
        self.until("the evidence has begun", lambda: self._counted(revision), seconds=180)
        first = self._counted(revision)[0]
        version = str(self.version)
        before = self.load.by(version, first.at)
        self.until("requests are answered", lambda: self.load.history[-1].by_version.get(version, 0) > before + counted)
        return first

    def until_rollout(self, *, seconds: float = 120, **wanted: str) -> Object:
        """Wait until `status.rollout` says so; gives it."""
        found: Object = self.until(
            f"the rollout is {wanted}",
            lambda: (told := self.status.get("rollout", {})) and wanted.items() <= told.items() and told,
            seconds=seconds,
        )
        return found

    def until_ended(self, revision: str, *, seconds: float = 300) -> Object:
        """Wait until something became of `revision`; gives the entry of the history."""
        found: Object = self.until(
            f"it is decided about {revision}",
            lambda: next((one for one in self.status.get("history", ()) if one["revision"] == revision), None),
            seconds=seconds,
        )
        return found

    def until_calm(self, version: int) -> None:
        """Wait until `version` serves alone, with all its pods ready and all the weight."""
        self.until(
            f"version {version} serves alone",
            lambda: (
                (status := self.status).get("stable", {}).get("version") == str(version)
                and "candidate" not in status
                and status["stable"].get("readyReplicas") == 2
            ),
            seconds=180,
        )
        answered = str(version)
        asked = self.load.now()

        def all_from_one() -> bool:
            last = self.load.now()
            gained = Counter(last.by_version) - Counter(asked.by_version)
            return gained[answered] >= RATE and set(gained) == {answered}

        if asked.requests:
            self.until(f"only version {version} answers", all_from_one)

    @property
    def status(self) -> Object:
        return status_of(self.kubectl, NAME)

    def pods(self, revision: str) -> list[Object]:
        """Pods of `revision` that are not on their way out."""
        found = self.kubectl.list("pods", f"{SELECTOR},modelway.dev/revision={revision}")
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def routers(self) -> list[Object]:
        return self.kubectl.list("pods", ROUTERS)

    # The books

    def failed_since(self, before: Sent, *, allowed: int = 0) -> int:
        """How many requests have failed; more than `allowed` are a failure of the test, with what was answered to them."""
        after = self.load.now()
        failed = after.failed - before.failed
        assert failed <= allowed, f"{failed} requests failed: {after.failures}; {self.status.get('rollout')}"
        return failed

    def balance(self, revision: str, stable_version: int, before: Sent, *, seconds: float) -> str:
        """Compare what was sent with what was counted, between the first and the last reading; says both in words.

        Args:
            revision: the candidate's.
            stable_version: what the stable pods served.
            before: what was sent when the rollout began.
            seconds: of requests, of each arm, that may be lost.
        """
        self.load.now()
        found = self._counted(revision)
        first, last = found[0], found[-1]
        assert last.at > first.at, f"there is one reading only: {found}"
        ever, failed = self.load.now(), self.load.history[-1].failed - before.failed
        lost = {}
        for arm, version in (("candidate", self.version), ("stable", stable_version)):
            answered = ever.by_version.get(str(version), 0) - before.by_version.get(str(version), 0)
            assert getattr(last, arm) <= answered + failed, f"{arm}: more counted than ever sent: {last}; {ever}"
            sent = self.load.by(str(version), last.at) - self.load.by(str(version), first.at)
            # Nobody tells which version a request was for that was answered without content: its arm counts it as bad.
            sent += getattr(last, f"{arm}_bad") - getattr(first, f"{arm}_bad")
            counted = getattr(last, arm) - getattr(first, arm)
            lost[arm] = (sent - counted) / max(1.0, sent) * (last.at - first.at), sent, counted
        words = "; ".join(f"{arm}: {sent:.0f} sent, {counted} counted" for arm, (_, sent, counted) in lost.items())
        for arm, (missing, *_) in lost.items():
            assert missing >= -_CLOCKS, f"{arm} was counted twice: {words}; {found}"
            assert missing <= seconds + _CLOCKS, f"{arm}: {missing:.1f} s of requests were lost: {words}; {found}"
        apart = abs(lost["candidate"][0] - lost["stable"][0])
        assert apart <= 2 * _CLOCKS + 0.25 * seconds, f"one arm has lost more than the other: {words}; {found}"
        return words

    def _counted(self, revision: str) -> list[Evidence]:
        """What was written of `revision` while it had its one weight and all routers had it."""
        return [one for one in self.written if one.candidate_revision == revision and one.is_live and one.weight < 100]

    # Inside

    def _see(self, line: str) -> None:
        if not line.strip():
            return
        ledger = json.loads(line)
        if "routers" not in ledger:
            return  # somebody has edited it by hand
        marks = [datetime.fromisoformat(mark[2]).timestamp() for mark in ledger["routers"].values()]
        counts = ledger["evidence"].get(_CHECK, {"candidate": [0, 0], "stable": [0, 0]})
        candidate, stable = _pair(counts["candidate"]), _pair(counts["stable"])
        self.written.append(
            Evidence(
                at=max(marks, default=0.0),
                candidate_revision=ledger["candidate"],
                weight=ledger["weight"],
                is_live="live_at" in ledger["times"] and bool(marks) and ledger["weight"] > 0,
                era=ledger["era"],
                candidate=candidate[0],
                stable=stable[0],
                candidate_bad=candidate[1],
                stable_bad=stable[1],
            )
        )

    def _is_routed(self) -> bool:
        selector = self.kubectl.get("service", NAME)["spec"]["selector"]
        return bool(selector.get("app.kubernetes.io/component") == "model-router")

    def _upload(self, version: int, transform: str | None) -> None:
        self.bucket.put(f"{version}/model.onnx", self.onnx)
        if transform is not None:
            self.bucket.put(f"{version}/transform.py", transform.encode())
            self.bucket.put(f"{version}/modelway.json", json.dumps(_METADATA).encode())

    def _model(self, version: int) -> Object:
        return {"uri": self.bucket.uri(f"{version}/"), "version": str(version)}


_CLOCKS = 2.5
"""Seconds by which the load's word may be late: it speaks once a second, and its log takes its time."""


def _pair(counts: Any) -> tuple[int, int]:
    requests, bad = (counts["requests"], counts["bad"]) if isinstance(counts, dict) else counts
    return int(requests), int(bad)


# What is broken


def kill(pod: Object) -> None:
    """End the pod's processes as the kernel does when memory runs out: without a word."""
    found = processes_of(pod)
    assert found, f"no process of pod {pod['metadata']['name']} runs on this machine: is this the local cluster?"
    for pid in found:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def processes_of(pod: Object) -> list[int]:
    """Processes of the pod's containers on this machine, but the one that keeps its network."""
    uid = pod["metadata"]["uid"]
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            groups, command = (entry / "cgroup").read_text(), (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if command and b"pause" not in command and (uid in groups or uid.replace("-", "_") in groups):
            found.append(int(entry.name))
    return sorted(found)


def leader() -> Object | None:
    """The pod of the operator that leads."""
    kubectl = Kubectl(OPERATORS)
    leases = json.loads(kubectl.run("get", "lease", "--output=json"))["items"]
    held = [lease["spec"].get("holderIdentity") or "" for lease in leases if lease["metadata"]["name"] == "modelway"]
    holder = held[0] if held else ""
    found = kubectl.list("pods", "app.kubernetes.io/name=modelway")
    return next((pod for pod in found if pod["metadata"]["name"] == holder.partition("_")[0]), None)


def kill_leader() -> None:
    """The operator that leads is gone without a word, and its lease is not waited for: how that goes is another test."""
    kubectl = Kubectl(OPERATORS)
    show = ("get", "pods,leases")
    found: Object = kubectl.wait("an operator leads", leader, seconds=90, show=show)
    kill(found)
    kubectl.run("delete", "lease", "modelway")
    kubectl.run("delete", "pod", found["metadata"]["name"], "--grace-period=0", "--force", "--wait=false")
    mine = found["metadata"]["uid"]
    kubectl.wait(
        "another operator leads", lambda: (now := leader()) and now["metadata"]["uid"] != mine, seconds=90, show=show
    )


class Silence:
    """Routers that serve, and whose answers do not find their way to any operator. Use it as a context manager."""

    def __init__(self, routers: Sequence[Object]) -> None:
        self._pids = [processes_of(router)[0] for router in routers]
        self._silenced: set[str] = set()

    def __enter__(self) -> Self:
        self.keep()
        return self

    def __exit__(self, *_: object) -> None:
        for address in self._silenced:
            for pid in self._pids:
                _in_network_of(pid, "del", address)

    def keep(self) -> bool:
        """Silence them to operators that have come since, too; gives True."""
        operators = Kubectl(OPERATORS).list("pods", "app.kubernetes.io/name=modelway")
        addresses = {address for pod in operators if (address := pod["status"].get("podIP"))}
        for address in addresses - self._silenced:
            for pid in self._pids:
                _in_network_of(pid, "add", address)
        self._silenced |= addresses
        return True


def _in_network_of(pid: int, verb: str, address: str) -> None:
    command = ["nsenter", f"--target={pid}", "--net", "ip", "route", verb, "blackhole", f"{address}/32"]
    subprocess.run(command, check=True, capture_output=True)
