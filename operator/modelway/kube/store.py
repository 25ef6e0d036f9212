"""What the cluster holds of ours, as last seen: one store for the resources, their children and their pods.

Filled by the reflectors and by the answers to our own writes; read by `controller.reconciler`. Objects are found by
the ModelDeployment that they belong to, in constant time. They are kept as JSON and decoded for each reader: as dicts
they are five times as large, and most of the time nobody looks at them; and no reader can change what is kept.
Invariant: under one name, a newer resourceVersion is never replaced by an older one, and an object that is gone does
not come back by what was said of it before: so neither a watch that lags behind our own write, nor the late answer to
a write, undoes what is known. (resourceVersions of one resource are comparable integers: KEP-5504.)
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson

from modelway.api.kinds import MODEL_DEPLOYMENT, Kind, Unserved
from modelway.api.names import LABEL_NAME
from modelway.kube.client import Object

_REMEMBERED_GONE: Final = 4096
"""Objects that are gone and remembered; an answer is late by seconds, not by as many deletions."""


class Owner(NamedTuple):
    """A ModelDeployment, by namespace and name."""

    namespace: str
    name: str


class ObjectKey(NamedTuple):
    """An object in the namespace of its owner."""

    kind: Kind
    name: str


@dataclass(frozen=True, slots=True)
class _Kept:
    """An object, and what has to be known of it without decoding."""

    json: bytes
    uid: str
    version: int
    namespace: str

    def decoded(self) -> Object:
        obj: Object = orjson.loads(self.json)
        return obj


class Store:
    """Objects of one or more namespaces. For one event loop; no method waits."""

    def __init__(self) -> None:
        self._resources: dict[Owner, _Kept] = {}
        self._belongings: dict[Owner, dict[ObjectKey, _Kept]] = {}
        self._gone: dict[str, int] = {}
        """uid to the resourceVersion at which it went."""
        self._unserved: dict[tuple[Kind, str | None], Unserved] = {}

    def resource(self, owner: Owner) -> Object | None:
        """The ModelDeployment itself."""
        kept = self._resources.get(owner)
        return kept.decoded() if kept else None

    def version(self, owner: Owner) -> int | None:
        """The resourceVersion of the ModelDeployment, without decoding it."""
        kept = self._resources.get(owner)
        return kept.version if kept else None

    def __len__(self) -> int:
        """How many ModelDeployments are known."""
        return len(self._resources)

    def belongings(self, owner: Owner) -> Mapping[ObjectKey, Object]:
        """Everything that carries the owner's label in its namespace, pods included."""
        return {key: kept.decoded() for key, kept in self._belongings.get(owner, {}).items()}

    def belonging(self, owner: Owner, key: ObjectKey) -> Object | None:
        """One of them."""
        kept = self._belongings.get(owner, {}).get(key)
        return kept.decoded() if kept else None

    def unserved(self, namespace: str) -> Mapping[Kind, Unserved]:
        """Optional kinds that cannot be used in `namespace` at present, and why."""
        return {kind: why for (kind, scope), why in self._unserved.items() if scope in {None, namespace}}

    def withdraw(self, kind: Kind, namespace: str | None, why: Unserved) -> set[Owner]:
        """Forget all objects of an optional kind, which the API server serves no more, or not to us.

        Returns:
            The owners for whom that is news: everybody, for each may want an object of it.
        """
        for known in self._all(kind, namespace):
            self.discard(kind, known.decoded())
        if self._unserved.get((kind, namespace)) == why:
            return set()
        self._unserved[kind, namespace] = why
        return self._owners(namespace)

    def put(self, kind: Kind, obj: Object) -> Owner | None:
        """Take in an object.

        Returns:
            Whose it is, when this is news; None when it is known already, or older than what is known.
        """
        owner = owner_of(kind, obj)
        metadata = obj["metadata"]
        uid, version = metadata["uid"], int(metadata["resourceVersion"])
        if owner is None or version < self._gone.get(uid, 0):
            return None
        shelf, key = self._shelf(kind, owner, metadata["name"])
        known = shelf.get(key)
        if known is not None and version <= known.version:
            return None
        shelf[key] = _Kept(packed(obj), uid, version, metadata["namespace"])
        return owner

    def discard(self, kind: Kind, obj: Object, *, version: str | None = None) -> Owner | None:
        """Forget an object that was deleted, unless another of the same name has come since.

        Args:
            kind: of the object.
            obj: as it was last seen, or as the watch told of its end.
            version: when it was gone, where `obj` does not say.

        Returns:
            Whose it was, when it was known.
        """
        owner = owner_of(kind, obj)
        if owner is None:
            return None
        metadata = obj["metadata"]
        uid = metadata["uid"]
        self._bury(uid, int(version or metadata["resourceVersion"]))
        shelf, key = self._shelf(kind, owner, metadata["name"])
        known = shelf.get(key)
        is_known = known is not None and known.uid == uid
        if is_known:
            del shelf[key]
        if not self._belongings.get(owner, True):
            del self._belongings[owner]
        return owner if is_known else None

    def complete(self, kind: Kind, namespace: str | None, listed: Container[str], *, version: str) -> set[Owner]:
        """A whole list of `kind` was taken in: forget what was not in it, deletions that no watch told of.

        Args:
            kind: of the list.
            namespace: of the list; None for all namespaces.
            listed: the uids in the list.
            version: the list's resourceVersion; what is newer than it was created after and is kept.

        Returns:
            The owners for whom something went; everybody, where the kind was not served before.
        """
        touched = set[Owner]()
        if self._unserved.pop((kind, namespace), None) is not None:
            touched = self._owners(namespace)
        for known in self._all(kind, namespace):
            if known.uid in listed or known.version > int(version):
                continue
            if (owner := self.discard(kind, known.decoded(), version=version)) is not None:
                touched.add(owner)
        return touched

    def _shelf(self, kind: Kind, owner: Owner, name: str) -> tuple[dict[Any, _Kept], Owner | ObjectKey]:
        if kind == MODEL_DEPLOYMENT:
            return self._resources, owner
        return self._belongings.setdefault(owner, {}), ObjectKey(kind, name)

    def _owners(self, namespace: str | None) -> set[Owner]:
        return {owner for owner in self._resources if namespace in {None, owner.namespace}}

    def _bury(self, uid: str, version: int) -> None:
        self._gone[uid] = version
        while len(self._gone) > _REMEMBERED_GONE:
            del self._gone[next(iter(self._gone))]

    def _all(self, kind: Kind, namespace: str | None) -> list[_Kept]:
        if kind == MODEL_DEPLOYMENT:
            found = [*self._resources.values()]
        else:
            found = [kept for shelf in self._belongings.values() for key, kept in shelf.items() if key.kind == kind]
        return [kept for kept in found if namespace in {None, kept.namespace}]


def packed(obj: Object) -> bytes:
    """`obj` as JSON that is to be kept: a copy, since what orjson gives holds up to four times the memory it says."""
    return bytes(memoryview(orjson.dumps(obj)))


def owner_of(kind: Kind, obj: Object) -> Owner | None:
    """Whose an object is: itself, its controller, or (a pod, which belongs to a ReplicaSet) the one its label names.

    None when it is nobody's. The label alone would not do: somebody may take it off a child.
    """
    metadata = obj["metadata"]
    if kind == MODEL_DEPLOYMENT:
        return Owner(metadata["namespace"], metadata["name"])
    for reference in metadata.get("ownerReferences", ()):
        if reference["kind"] == MODEL_DEPLOYMENT.name and reference.get("controller"):
            return Owner(metadata["namespace"], reference["name"])
    name = metadata.get("labels", {}).get(LABEL_NAME)
    return Owner(metadata["namespace"], name) if name else None
