"""A client that writes into memory and records it: as much of server-side apply as tests of the applier need.

Objects are completed with defaults, versions and generations count only real changes, items of lists are told apart by
name and what others have added stays. Whatever is written can be refused, and the store can be told of it or not.
"""

import copy
import itertools
from typing import Any

from modelway.api.kinds import Kind
from modelway.kube.errors import ApiError, Conflict, NotFound
from modelway.kube.store import Owner, Store
from modelway.plan import Object

_DEFAULTS = {
    "Deployment": {"spec": {"strategy": {"type": "RollingUpdate"}}},
    "Service": {"spec": {"clusterIP": "10.0.0.1"}},
}


class FakeCluster:
    """Objects of one namespace, by kind and name."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Object] = {}
        self.writes: list[str] = []
        """Verb, kind, name and field manager of each write."""
        self.bodies: list[Object] = []
        self.refuse: dict[str, ApiError] = {}
        """Kind, or verb and kind, to the error that a write of it gets."""
        self._versions = itertools.count(10)
        self._uids = itertools.count(1)

    # The client's interface

    async def get(self, kind: Kind, _namespace: str, name: str) -> Object:
        try:
            return copy.deepcopy(self.objects[kind.name, name])
        except KeyError:
            raise NotFound(404, "NotFound", f"{kind.name} {name} not found") from None

    async def create(self, kind: Kind, body: Object, *, manager: str) -> Object:
        self._record("create", kind, body, manager)
        key = kind.name, body["metadata"]["name"]
        if key in self.objects:
            raise Conflict(409, "Conflict", "it exists")
        return self._store(key, self._completed(kind, body))

    async def apply(self, kind: Kind, body: Object, *, manager: str) -> Object:
        self._record("apply", kind, body, manager)
        key = kind.name, body["metadata"]["name"]
        live = self.objects.get(key)
        if live is None or body["metadata"].get("uid", live["metadata"]["uid"]) != live["metadata"]["uid"]:
            raise Conflict(409, "Conflict", "uid mismatch")
        return self._store(key, _merged(live, body))

    async def replace(self, kind: Kind, body: Object, *, manager: str, subresource: str = "") -> Object:
        self._record(f"replace{'/' if subresource else ''}{subresource}", kind, body, manager)
        key = kind.name, body["metadata"]["name"]
        live = self.objects.get(key)
        if live is None:
            raise NotFound(404, "NotFound", "it is gone")
        if body["metadata"]["resourceVersion"] != live["metadata"]["resourceVersion"]:
            raise Conflict(409, "Conflict", "it has changed")
        if subresource:
            return self._store(key, live | {subresource: body[subresource]})
        return self._store(key, self._completed(kind, body) | {"metadata": body["metadata"]})

    async def post(self, kind: Kind, body: Object) -> Object:
        self._record("post", kind, body, "")
        return body

    async def merge(self, kind: Kind, body: Object) -> Object:
        self._record("merge", kind, body, "")
        key = kind.name, body["metadata"].get("name", "")
        if (live := self.objects.get(key)) is None:
            return body
        if body["metadata"].get("uid", live["metadata"]["uid"]) != live["metadata"]["uid"]:
            raise Conflict(409, "Conflict", "another uid")
        return self._store(key, _merged(live, body))

    async def delete(self, kind: Kind, _namespace: str, name: str, *, uid: str) -> None:
        self._record("delete", kind, {"metadata": {"name": name}}, "")
        live = self.objects.get((kind.name, name))
        if live is None:
            raise NotFound(404, "NotFound", "it is gone")
        if live["metadata"]["uid"] != uid:
            raise Conflict(409, "Conflict", "another uid")
        del self.objects[kind.name, name]

    # What others do

    def edit(self, kind: Kind, name: str, **fields: Any) -> Object:
        """Somebody changes an object: `edit(SERVICE, "fraud", spec__selector={})`."""
        live = self.objects[kind.name, name]
        for path, value in fields.items():
            *way, last = path.split("__")
            inner = live = copy.deepcopy(live)
            for step in way:
                inner = inner[step]
            if value is None:
                inner.pop(last)
            else:
                inner[last] = value
            live = self._store((kind.name, name), live)
        return copy.deepcopy(live)

    def put(self, obj: Object) -> Object:
        """Somebody makes an object."""
        stamped = copy.deepcopy(obj)
        stamped["metadata"].setdefault("uid", f"uid-{next(self._uids)}")
        return self._store((obj["kind"], obj["metadata"]["name"]), stamped)

    def tell(self, store: Store, kinds: dict[str, Kind], owner: Owner) -> None:
        """All that the watches would tell: afterwards `store` holds what is here."""
        for key in [*store.belongings(owner)]:
            if (key.kind.name, key.name) not in self.objects:
                known = store.belongings(owner)[key]
                store.discard(key.kind, known, version=str(next(self._versions)))
        for (name, _), obj in self.objects.items():
            store.put(kinds[name], copy.deepcopy(obj))

    # Inside

    def _record(self, verb: str, kind: Kind, body: Object, manager: str) -> None:
        name = body["metadata"].get("name", "")
        self.writes.append(f"{verb} {kind.name} {name}" + (f" by {manager}" if manager else ""))
        self.bodies.append(copy.deepcopy(body))
        for what in (kind.name, f"{verb} {kind.name}"):
            if what in self.refuse:
                raise self.refuse[what]

    def _completed(self, kind: Kind, body: Object) -> Object:
        obj = _merged(copy.deepcopy(_DEFAULTS.get(kind.name, {})), body)
        metadata = obj["metadata"]
        metadata.setdefault("uid", f"uid-{next(self._uids)}")
        metadata.pop("resourceVersion", None)
        if kind.name == "Deployment":
            obj["spec"].setdefault("replicas", 1)
        return obj

    def _store(self, key: tuple[str, str], obj: Object) -> Object:
        before = self.objects.get(key)
        metadata = dict(obj["metadata"])
        if before is not None and _bare(before) == _bare(obj):
            return copy.deepcopy(before)
        changed = before is None or before.get("spec") != obj.get("spec")
        generation = before["metadata"].get("generation", 0) if before else 0
        metadata["generation"] = generation + (1 if changed else 0)
        metadata["resourceVersion"] = str(next(self._versions))
        self.objects[key] = obj | {"metadata": metadata}
        return copy.deepcopy(self.objects[key])


def _bare(obj: Object) -> Object:
    metadata = {key: value for key, value in obj["metadata"].items() if key not in {"resourceVersion", "generation"}}
    return obj | {"metadata": metadata}


def _merged(base: Any, over: Any) -> Any:
    """`over` on top of `base`, as server-side apply does it: what only `base` has stays."""
    if isinstance(base, dict) and isinstance(over, dict):
        return base | {key: _merged(base.get(key), value) for key, value in over.items()}
    if isinstance(base, list) and isinstance(over, list) and (key := _key_of([*base, *over])):
        mine = {item[key]: item for item in over}
        kept = [_merged(item, mine.pop(item[key])) if item[key] in mine else item for item in base]
        return [*kept, *mine.values()]
    return copy.deepcopy(over)


def _key_of(items: list[Any]) -> str | None:
    """By what the items of a list are told apart; None where the list is one value."""
    return next(
        (key for key in ("uid", "name") if items and all(isinstance(i, dict) and key in i for i in items)), None
    )
