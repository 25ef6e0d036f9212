"""A storm: users create, change and delete ModelDeployments while the operator is killed again and again.

The operator kills itself around one of its writes: before it is sent, while the server works on it, or after it was
answered and before anything was made of the answer. In the end, left alone, everything has to be as if nothing had
happened.
"""

import json
import random
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from modelway.api.kinds import CHILD_KINDS, DEPLOYMENT, LEASE, MODEL_DEPLOYMENT, POD
from modelway.api.names import LABEL_NAME
from modelway.plan import Object
from support.cluster import KINDS, Cluster, Deployed, Namespace, content, spec_of
from support.operator import OperatorProcess

USUAL_LEASE = {
    "MODELWAY_LEASE_DURATION": "15",
    "MODELWAY_LEASE_RENEW_DEADLINE": "10",
    "MODELWAY_LEASE_RETRY_PERIOD": "2",
}
_NAMES = ("ant", "bee", "cat", "dog")
_KILLS_ITSELF = """
import asyncio, os, signal
from modelway.kube.client import Client
ask, left, how = Client._ask, [int(os.environ["KILL_AFTER"])], os.environ["KILL_HOW"]

async def counted(self, method, path, **more):
    if method == "GET" or "/leases" in path:
        return await ask(self, method, path, **more)
    left[0] -= 1
    if left[0] == 0 and how == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    asked = asyncio.ensure_future(ask(self, method, path, **more))
    if left[0] == 0 and how == "while":
        await asyncio.sleep(0.002)
        os.kill(os.getpid(), signal.SIGKILL)
    answer = await asked
    if left[0] == 0 and how == "after":
        os.kill(os.getpid(), signal.SIGKILL)
    return answer

Client._ask = counted
"""


@dataclass
class Storm:
    """What users want, what they did, and how the operator died.

    Args:
        namespace: where it rages.
        chance: decides everything; the same seed is the same storm, as far as clocks allow.
    """

    namespace: Namespace
    chance: random.Random
    wanted: dict[str, Object] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)

    def blow(self, log: Path, *, kills: int) -> None:
        """Users at work, and the operator killed `kills` times."""
        for _ in range(kills):
            how, after = self.chance.choice(["before", "while", "after"]), self.chance.randint(1, 14)
            operator = OperatorProcess(
                self.namespace.cluster,
                log,
                environment=USUAL_LEASE | {"KILL_AFTER": str(after), "KILL_HOW": how},
                prelude=_KILLS_ITSELF,
            )
            operator.start()
            for _ in range(self.chance.randint(1, 3)):
                self._act()
            killed = _ends(operator, seconds=self.chance.uniform(3, 6))
            self.done.append(f"-- killed {how} write {after}" if killed else "-- killed at some moment")
            operator.kill()
            # The next need not wait until the lease of the dead has run out: how that goes is another test.
            self.namespace.cluster.delete(LEASE, "default", "modelway-operator")

    def _act(self) -> None:
        """A user does something."""
        name = self.chance.choice(_NAMES)
        if name not in self.wanted:
            self._create(name)
            return
        act = self.chance.choice(
            [self._edit, self._edit, self._edit, self._meddle, self._delete, self._delete_and_create]
        )
        act(name)

    def _create(self, name: str) -> None:
        self.wanted[name] = spec_of(serving__revisionHistoryLimit=0, **self._choices())
        self.done.append(f"create {name}")
        self.namespace.deploy(self.wanted[name], name=name)

    def _edit(self, name: str) -> None:
        self.wanted[name] = spec_of(serving__revisionHistoryLimit=0, **self._choices())
        self.done.append(f"edit {name}")
        replacement = [{"op": "replace", "path": "/spec", "value": self.wanted[name]}]
        self.namespace.patch(MODEL_DEPLOYMENT, name, replacement)

    def _delete(self, name: str) -> None:
        del self.wanted[name]
        self.done.append(f"delete {name}")
        self.namespace.delete(MODEL_DEPLOYMENT, name)

    def _delete_and_create(self, name: str) -> None:
        self._delete(name)
        self._create(name)

    def _meddle(self, name: str) -> None:
        """Delete a child by hand."""
        mine = [key for key in self.namespace.children() if key[1].startswith(name)]
        if mine:
            kind, child = self.chance.choice(mine)
            self.done.append(f"delete {kind} {child}")
            self.namespace.delete(KINDS[kind], child)

    def _choices(self) -> Any:
        scaling = self.chance.choice(
            [
                {"serving__replicas": 1},
                {"serving__replicas": 3},
                {"serving__replicas": None, "serving__autoscaling": {"minReplicas": 2, "maxReplicas": 4}},
            ]
        )
        return scaling | {"model__version": str(self.chance.randint(1, 3))}

    def wait_until_calm(self) -> None:
        """Everything serves as it is wanted, and nothing else is there."""
        for name in self.wanted:
            Deployed(self.namespace, name).wait_until_served(seconds=180)
        expected = {name for name, spec in self.wanted.items()}

        def is_calm() -> bool:
            live = {obj["metadata"]["name"] for obj in self.namespace.find(MODEL_DEPLOYMENT)}
            return live == expected and not _retired(self.namespace, self.wanted)

        self.namespace.wait_for(is_calm, what="only what is wanted is left", seconds=120)
        self.namespace.rest()


def state(namespace: Namespace) -> dict[str, Object]:
    """What there is, without what depends on when and how often something happened.

    How many pods an autoscaler has found, for instance: it goes on from the count before it. Within its bounds any is right.
    """
    found = {}
    bounds = {
        obj["metadata"]["name"]: scaling
        for obj in namespace.find(MODEL_DEPLOYMENT)
        if (scaling := obj["spec"]["serving"].get("autoscaling"))
    }
    for kind in (*CHILD_KINDS, MODEL_DEPLOYMENT):
        for obj in namespace.find(kind):
            if obj["metadata"]["name"] == "kube-root-ca.crt":
                continue
            bare = content(obj)
            bare.pop("revision", None)
            bare["metadata"] = {key: bare["metadata"].get(key) for key in ("labels", "annotations")}
            bare["metadata"]["annotations"] = _timeless(bare["metadata"]["annotations"] or {})
            scaling = bounds.get(_owner(obj))
            if kind == MODEL_DEPLOYMENT:
                bare["conditions"] = {one["type"]: one["status"] for one in obj["status"]["conditions"][:3]}
                stable = obj["status"]["stable"]
                counts = {key: _count(stable[key], scaling) for key in ("replicas", "readyReplicas")}
                bare["stable"] = stable | counts
            if kind == DEPLOYMENT:
                bare["spec"] = bare["spec"] | {"replicas": _count(bare["spec"]["replicas"], scaling)}
            text = json.dumps(bare, sort_keys=True).replace(namespace.name, "NAMESPACE")
            found[f"{kind.name} {obj['metadata']['name']}"] = json.loads(text)
    for deployment in namespace.find(KINDS["Deployment"]):
        pods = [
            pod for pod in namespace.find(POD) if pod["metadata"]["name"].startswith(deployment["metadata"]["name"])
        ]
        count = _count(len(pods), bounds.get(_owner(deployment)))
        found[f"pods of {deployment['metadata']['name']}"] = {"count": count}
    return found


def _owner(obj: Object) -> str:
    """The ModelDeployment that an object is, or belongs to."""
    return obj["metadata"].get("labels", {}).get(LABEL_NAME, obj["metadata"]["name"])


def _count(pods: int, autoscaling: Object | None) -> int | str:
    if autoscaling and autoscaling["minReplicas"] <= pods <= autoscaling["maxReplicas"]:
        return "within the autoscaler's bounds"
    return pods


def undisturbed(cluster: Cluster, wanted: dict[str, Object]) -> dict[str, Object]:
    """What a calm operator makes of `wanted`."""
    with cluster.namespace() as namespace:
        calm = Storm(namespace, random.Random(0), dict(wanted))
        for name, spec in wanted.items():
            namespace.deploy(spec, name=name)
        calm.wait_until_calm()
        return state(namespace)


def difference(one: dict[str, Object], other: dict[str, Object]) -> str:
    """What differs, as YAML."""
    names = [name for name in sorted(one.keys() | other.keys()) if one.get(name) != other.get(name)]
    return yaml.safe_dump({name: {"after the storm": one.get(name), "undisturbed": other.get(name)} for name in names})


def _timeless(annotations: Object) -> Object:
    """The mark of what was applied covers owner and namespace, which differ between any two runs."""
    return {key: value for key, value in annotations.items() if key != "modelway.dev/applied"}


def _retired(namespace: Namespace, wanted: dict[str, Object]) -> list[str]:
    """Deployments and pods beyond the one of each resource."""
    deployments = [obj["metadata"]["name"] for obj in namespace.find(KINDS["Deployment"])]
    pods = [pod for pod in namespace.find(POD) if "deletionTimestamp" in pod["metadata"]]
    return [*deployments[len(wanted) :], *(pod["metadata"]["name"] for pod in pods)]


def _ends(operator: OperatorProcess, *, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    try:
        operator.wait(seconds=max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return False
    return True
