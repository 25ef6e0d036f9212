"""The store: what it must know, and what must not make it forget or remember."""

import tracemalloc

import pytest

from modelway.api.kinds import DEPLOYMENT, HTTP_ROUTE, MODEL_DEPLOYMENT, POD, SERVICE, Unserved
from modelway.kube.store import ObjectKey, Owner, Store, owner_of, packed

FRAUD = Owner("ml", "fraud")


def child(version, *, uid="u1", name="fraud-1", namespace="ml", owner="fraud", labels=None):
    references = [{"kind": "ModelDeployment", "name": owner, "controller": True}] if owner else []
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": uid,
            "resourceVersion": str(version),
            "labels": labels or {},
            "ownerReferences": references,
        }
    }


@pytest.fixture
def store():
    return Store()


def known(store, name="fraud-1"):
    found = store.belonging(FRAUD, ObjectKey(DEPLOYMENT, name))
    return found and int(found["metadata"]["resourceVersion"])


def take_list(store, kind, namespace, objects, *, version):
    """As the reflector does; gives the owners for whom something changed."""
    touched = {owner for obj in objects if (owner := store.put(kind, obj)) is not None}
    return touched | store.complete(kind, namespace, {obj["metadata"]["uid"] for obj in objects}, version=version)


class TestPut:
    def test_it_tells_whose_the_news_is(self, store):
        assert store.put(DEPLOYMENT, child(1)) == FRAUD
        assert known(store) == 1

    def test_what_is_known_already_is_no_news(self, store):
        store.put(DEPLOYMENT, child(2))
        assert store.put(DEPLOYMENT, child(2)) is None

    def test_an_older_version_never_replaces_a_newer_one(self, store):
        store.put(DEPLOYMENT, child(2))
        assert store.put(DEPLOYMENT, child(1)) is None
        assert known(store) == 2

    def test_versions_are_numbers(self, store):
        store.put(DEPLOYMENT, child(9))
        assert store.put(DEPLOYMENT, child(10)) == FRAUD

    def test_an_object_does_not_replace_its_successor_of_the_same_name(self, store):
        """The answer to our create came before the watch told of the old one's end."""
        store.put(DEPLOYMENT, child(1, uid="old"))
        store.put(DEPLOYMENT, child(5, uid="new"))
        assert store.put(DEPLOYMENT, child(3, uid="old")) is None
        assert store.discard(DEPLOYMENT, child(4, uid="old")) is None
        assert known(store) == 5

    def test_what_is_nobodys_is_not_kept(self, store):
        assert store.put(DEPLOYMENT, child(1, owner=None)) is None
        assert store.belongings(FRAUD) == {}

    def test_resources_are_counted(self, store):
        store.put(MODEL_DEPLOYMENT, child(1, name="fraud"))
        store.put(DEPLOYMENT, child(1))
        assert len(store) == 1
        assert store.resource(FRAUD) is not None


class TestDiscard:
    def test_it_tells_whose_it_was(self, store):
        store.put(DEPLOYMENT, child(1))
        assert store.discard(DEPLOYMENT, child(2)) == FRAUD
        assert store.belongings(FRAUD) == {}

    def test_what_is_not_known_is_no_news(self, store):
        assert store.discard(DEPLOYMENT, child(2)) is None

    def test_the_late_answer_to_a_write_does_not_bring_it_back(self, store):
        store.put(DEPLOYMENT, child(1))
        store.discard(DEPLOYMENT, child(3))
        assert store.put(DEPLOYMENT, child(2)) is None
        assert known(store) is None

    def test_nor_where_the_deletion_was_told_before_the_object_was(self, store):
        store.discard(DEPLOYMENT, child(3))
        assert store.put(DEPLOYMENT, child(2)) is None

    def test_a_resource_does_not_come_back_either(self, store):
        store.put(MODEL_DEPLOYMENT, child(1, name="fraud"))
        store.discard(MODEL_DEPLOYMENT, child(3, name="fraud"))
        assert store.put(MODEL_DEPLOYMENT, child(2, name="fraud")) is None
        assert store.resource(FRAUD) is None

    def test_an_object_that_had_only_lost_its_label_comes_back(self, store):
        """The watch calls that a deletion, at the version that the object has."""
        store.put(DEPLOYMENT, child(1))
        store.discard(DEPLOYMENT, child(2))
        assert store.put(DEPLOYMENT, child(2)) == FRAUD

    def test_another_object_of_its_name_comes(self, store):
        store.discard(DEPLOYMENT, child(3, uid="old"))
        assert store.put(DEPLOYMENT, child(2, uid="new")) == FRAUD

    def test_nothing_is_left_of_an_owner_without_belongings(self, store):
        for _ in range(3):
            store.put(DEPLOYMENT, child(1))
            store.discard(DEPLOYMENT, child(1))
            store.discard(DEPLOYMENT, child(1))
        assert store._belongings == {}

    def test_what_is_gone_is_not_remembered_for_ever(self, store):
        for number in range(10_000):
            store.discard(DEPLOYMENT, child(1, uid=f"u{number}"))
        assert len(store._gone) < 5000


class TestReplace:
    def test_a_relist_finds_what_was_deleted_in_between(self, store):
        store.put(DEPLOYMENT, child(1))
        store.put(DEPLOYMENT, child(2, uid="u2", name="fraud-2"))
        assert take_list(store, DEPLOYMENT, None, [child(2, uid="u2", name="fraud-2")], version="10") == {FRAUD}
        assert (known(store), known(store, "fraud-2")) == (None, 2)

    def test_what_has_not_changed_is_no_news(self, store):
        store.put(DEPLOYMENT, child(1))
        assert take_list(store, DEPLOYMENT, None, [child(1)], version="10") == set()

    def test_what_was_created_after_the_list_is_kept(self, store):
        store.put(DEPLOYMENT, child(11))
        assert take_list(store, DEPLOYMENT, None, [], version="10") == set()
        assert known(store) == 11

    def test_what_a_relist_missed_does_not_come_back_by_a_late_answer(self, store):
        store.put(DEPLOYMENT, child(1))
        take_list(store, DEPLOYMENT, None, [], version="10")
        assert store.put(DEPLOYMENT, child(5)) is None

    def test_other_kinds_and_namespaces_are_left_alone(self, store):
        store.put(SERVICE, child(1))
        store.put(DEPLOYMENT, child(1, uid="u2", namespace="other"))
        assert take_list(store, DEPLOYMENT, "ml", [], version="10") == set()
        assert len(store.belongings(FRAUD)) == len(store.belongings(Owner("other", "fraud"))) == 1

    def test_resources_are_replaced_as_well(self, store):
        store.put(MODEL_DEPLOYMENT, child(1, name="fraud"))
        assert take_list(store, MODEL_DEPLOYMENT, None, [], version="10") == {FRAUD}
        assert len(store) == 0


class TestOwner:
    def test_of_a_resource_it_is_itself(self):
        assert owner_of(MODEL_DEPLOYMENT, child(1, name="fraud")) == FRAUD

    def test_of_a_child_it_is_its_controller_whatever_the_label_says(self):
        assert owner_of(DEPLOYMENT, child(1, labels={"modelway.dev/name": "other"})) == FRAUD

    def test_of_a_pod_it_is_the_one_its_label_names(self):
        assert owner_of(POD, child(1, owner=None, labels={"modelway.dev/name": "fraud"})) == FRAUD

    def test_of_anything_else_it_is_nobody(self):
        assert owner_of(POD, child(1, owner=None)) is None


class TestOptionalKinds:
    @pytest.fixture
    def two(self, store):
        for namespace in ("ml", "shop"):
            store.put(MODEL_DEPLOYMENT, child(1, uid=namespace, name="fraud", namespace=namespace))
        return store

    def test_it_is_news_for_everybody_that_a_kind_goes_and_that_it_comes(self, two):
        everybody = {FRAUD, Owner("shop", "fraud")}
        assert two.withdraw(HTTP_ROUTE, None, Unserved.NOT_INSTALLED) == everybody
        assert two.unserved("shop") == {HTTP_ROUTE: Unserved.NOT_INSTALLED}
        assert take_list(two, HTTP_ROUTE, None, [], version="9") == everybody
        assert two.unserved("shop") == {}

    def test_that_it_is_still_away_is_no_news(self, two):
        two.withdraw(HTTP_ROUTE, None, Unserved.NOT_INSTALLED)
        assert two.withdraw(HTTP_ROUTE, None, Unserved.NOT_INSTALLED) == set()
        assert two.withdraw(HTTP_ROUTE, None, Unserved.FORBIDDEN)

    def test_one_namespace_is_not_another(self, two):
        assert two.withdraw(HTTP_ROUTE, "ml", Unserved.FORBIDDEN) == {FRAUD}
        assert two.unserved("shop") == {}
        assert take_list(two, HTTP_ROUTE, "shop", [], version="9") == set()
        assert two.unserved("ml") == {HTTP_ROUTE: Unserved.FORBIDDEN}

    def test_its_objects_are_forgotten_and_may_be_seen_again(self, two):
        two.put(HTTP_ROUTE, child(5))
        two.withdraw(HTTP_ROUTE, "ml", Unserved.FORBIDDEN)
        assert two.belonging(FRAUD, ObjectKey(HTTP_ROUTE, "fraud-1")) is None
        take_list(two, HTTP_ROUTE, "ml", [child(5)], version="9")
        assert two.belonging(FRAUD, ObjectKey(HTTP_ROUTE, "fraud-1")) is not None


def test_what_is_kept_takes_the_memory_that_it_says():
    obj = {"metadata": {"name": "x" * 1000}, "data": ["y" * 10] * 200}
    tracemalloc.start()
    try:
        kept = [packed(obj) for _ in range(100)]
        traced, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert traced < 1.1 * sum(map(len, kept))
