"""Whether a live child is as it should be: the defaults of the API server are no difference, everything else is."""

import pytest

from modelway.api.kinds import CONFIG_MAP, DEPLOYMENT, SERVICE
from modelway.controller.difference import content, marker, says, says_child

SAME = {
    "equal": ({"a": 1}, {"a": 1}),
    "a default more": ({"a": 1}, {"a": 1, "b": 2}),
    "a default more, inside": ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}),
    "a default more, in a list": ({"a": [{"b": 1}]}, {"a": [{"b": 1, "c": 2}]}),
    "empty and absent": ({"a": {}, "b": [], "c": "", "d": 0, "e": False}, {}),
    "an empty selector and none": ({"selector": {}}, {"selector": None}),
}
DIFFERENT = {
    "another value": ({"a": 1}, {"a": 2}),
    "absent": ({"a": 1}, {}),
    "another value inside": ({"a": {"b": 1}}, {"a": {"b": 2}}),
    "one more in a list": ({"a": [1]}, {"a": [1, 2]}),
    "one less in a list": ({"a": [1, 2]}, {"a": [1]}),
    "another order": ({"a": [1, 2]}, {"a": [2, 1]}),
    "no mapping": ({"a": {"b": 1}}, {"a": 7}),
    "no list": ({"a": [1]}, {"a": {"0": 1}}),
    "one more key in a selector": ({"selector": {"a": "1"}}, {"selector": {"a": "1", "b": "2"}}),
    "one more key in nodeSelector": ({"nodeSelector": {"a": "1"}}, {"nodeSelector": {"a": "1", "b": "2"}}),
    "one more resource": ({"limits": {"cpu": "1"}}, {"limits": {"cpu": "1", "memory": "1Gi"}}),
    "one more key of data": ({"data": {"a": "1"}}, {"data": {"a": "1", "b": "2"}}),
}


class TestSays:
    @pytest.mark.parametrize(("desired", "live"), SAME.values(), ids=SAME)
    def test_no_difference(self, desired, live):
        assert says(desired, live)

    @pytest.mark.parametrize(("desired", "live"), DIFFERENT.values(), ids=DIFFERENT)
    def test_difference(self, desired, live):
        assert not says(desired, live)

    def test_items_of_a_list_carry_neither_kind_nor_version(self):
        assert says_child({"kind": "Service", "apiVersion": "v1", "spec": {"a": 1}}, {"spec": {"a": 1}})


def deployment(**spec):
    return {"metadata": {"uid": "u", "resourceVersion": "1", "generation": 1}, "spec": {"replicas": 2} | spec}


class TestContent:
    def test_the_number_of_replicas_is_not_ours(self):
        assert content(DEPLOYMENT, deployment(replicas=2)) == content(DEPLOYMENT, deployment(replicas=5))

    def test_neither_status_nor_metadata_count(self):
        assert content(DEPLOYMENT, deployment() | {"status": {"replicas": 1}}) == content(DEPLOYMENT, deployment())

    def test_every_addition_counts(self):
        assert content(DEPLOYMENT, deployment(paused=True)) != content(DEPLOYMENT, deployment())

    def test_data_counts(self):
        config = {"metadata": {"uid": "u", "resourceVersion": "1"}, "data": {"a": "1"}}
        assert content(CONFIG_MAP, config) != content(CONFIG_MAP, config | {"data": {"a": "2"}})


class TestMarker:
    def test_a_deployment_whose_status_moved_is_not_looked_at_again(self):
        moved = deployment()
        moved["metadata"]["resourceVersion"] = "2"
        assert marker(DEPLOYMENT, moved) == marker(DEPLOYMENT, deployment())

    def test_where_nobody_counts_generations_the_version_does(self):
        moved = deployment()
        moved["metadata"]["resourceVersion"] = "2"
        assert marker(SERVICE, moved) != marker(SERVICE, deployment())

    def test_another_object_of_the_same_name_has_another(self):
        other = deployment()
        other["metadata"]["uid"] = "v"
        assert marker(DEPLOYMENT, other) != marker(DEPLOYMENT, deployment())
