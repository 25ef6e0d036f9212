"""What the cluster holds of ours, as last seen: one store for the resources, their children and their pods.

Filled by the reflectors and by the answers to our own writes; read by `controller.reconciler`. Objects are found by
the ModelDeployment that they belong to, in constant time. Objects are treated as frozen.
Invariant: of one object (uid), a newer resourceVersion is never replaced by an older one; so a watch that lags behind
our own write does not undo it. (resourceVersions of one resource are comparable integers: KEP-5504.)
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from modelway.api.kinds import MODEL_DEPLOYMENT, Kind
from modelway.api.names import LABEL_NAME
from modelway.kube.client import Object


class Owner(NamedTuple):
    """A ModelDeployment, by namespace and name."""

    namespace: str
    name: str


class ObjectKey(NamedTuple):
    """An object in the namespace of its owner."""

    kind: Kind
    name: str


class Store:
    """Objects of one or more namespaces. For one event loop; no method waits."""

    def __init__(self) -> None:
        self._resources: dict[Owner, Object] = {}
        self._belongings: defaultdict[Owner, dict[ObjectKey, Object]] = defaultdict(dict)

    def resource(self, owner: Owner) -> Object | None:
        """The ModelDeployment itself."""
        return self._resources.get(owner)

    def __len__(self) -> int:
        """How many ModelDeployments are known."""
        return len(self._resources)

    def belongings(self, owner: Owner) -> Mapping[ObjectKey, Object]:
        """Everything that carries the owner's label in its namespace, pods included."""
        return self._belongings.get(owner, {})

    def put(self, kind: Kind, obj: Object) -> Owner | None:
        """Take in an object.

        Returns:
            Whose it is, when this is news; None when it is known already, or older than what is known.
        """
        owner = owner_of(kind, obj)
        if owner is None:
            return None
        shelf, key = self._shelf(kind, obj, owner)
        known = shelf.get(key)
        if known is not None and not _is_newer(obj, known):
            return None
        shelf[key] = obj
        return owner

    def discard(self, kind: Kind, obj: Object) -> Owner | None:
        """Forget an object that was deleted, unless another of the same name has come since."""
        owner = owner_of(kind, obj)
        if owner is None:
            return None
        shelf, key = self._shelf(kind, obj, owner)
        known = shelf.get(key)
        if known is None or known["metadata"]["uid"] != obj["metadata"]["uid"]:
            return None
        del shelf[key]
        if kind != MODEL_DEPLOYMENT and not shelf:
            del self._belongings[owner]
        return owner

    def replace(self, kind: Kind, namespace: str | None, objects: Iterable[Object], *, version: str) -> set[Owner]:
        """Take in a whole list of `kind`, and forget what is not in it: deletions that no watch told of.

        Args:
            kind: of the list.
            namespace: of the list; None for all namespaces.
            objects: of the list.
            version: the list's resourceVersion; what is newer than it was created after and is kept.

        Returns:
            The owners for whom something changed.
        """
        listed, touched = set(), set()
        for obj in objects:
            listed.add(obj["metadata"]["uid"])
            if (owner := self.put(kind, obj)) is not None:
                touched.add(owner)
        for known in self._all(kind, namespace):
            metadata = known["metadata"]
            if metadata["uid"] in listed or int(metadata["resourceVersion"]) > int(version):
                continue
            if (owner := self.discard(kind, known)) is not None:
                touched.add(owner)
        return touched

    def _shelf(self, kind: Kind, obj: Object, owner: Owner) -> tuple[dict, Owner | ObjectKey]:  # type: ignore[type-arg]
        if kind == MODEL_DEPLOYMENT:
            return self._resources, owner
        return self._belongings[owner], ObjectKey(kind, obj["metadata"]["name"])

    def _all(self, kind: Kind, namespace: str | None) -> list[Object]:
        if kind == MODEL_DEPLOYMENT:
            found = [*self._resources.values()]
        else:
            found = [obj for shelf in self._belongings.values() for key, obj in shelf.items() if key.kind == kind]
        return [obj for obj in found if namespace in {None, obj["metadata"]["namespace"]}]


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


def _is_newer(one: Object, other: Object) -> bool:
    new, old = one["metadata"], other["metadata"]
    return new["uid"] != old["uid"] or int(new["resourceVersion"]) > int(old["resourceVersion"])
