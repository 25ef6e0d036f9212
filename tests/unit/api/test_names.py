"""Names that fit wherever they are used, and strings that are spelt once."""

import string

from hypothesis import given
from hypothesis import strategies as st

from modelway.api import names
from modelway.api.conditions import Condition, Reason
from modelway.api.kinds import DEPLOYMENT, MODEL_DEPLOYMENT, SERVICE
from modelway.api.names import child_labels, child_name, pod_selector

LABEL = string.ascii_lowercase + string.digits + "-"
NAMES = st.text(LABEL, min_size=1, max_size=63).filter(lambda name: name[0].isalpha() and name[-1] != "-")
REVISIONS = st.text("0123456789abcdef", min_size=8, max_size=8)


class TestChildName:
    @given(NAMES, REVISIONS, st.sampled_from([52, 63]))
    def test_it_is_a_label_that_fits(self, name, revision, limit):
        child = child_name(name, revision, limit=limit)
        assert len(child) <= limit
        assert child[0].isalpha()
        assert child.endswith(f"-{revision}")
        assert set(child) <= set(LABEL)

    def test_a_name_that_fits_is_kept(self):
        assert child_name("fraud", "0b77d1ce") == "fraud-0b77d1ce"

    @given(NAMES, NAMES, REVISIONS)
    def test_distinct_names_give_distinct_names(self, one, other, revision):
        assert (child_name(one, revision) == child_name(other, revision)) == (one == other)

    def test_names_that_differ_only_where_they_are_cut_stay_distinct(self):
        one, other = "m" * 60 + "one", "m" * 60 + "two"
        assert child_name(one, "0b77d1ce") != child_name(other, "0b77d1ce")


class TestLabels:
    def test_pods_of_one_revision_are_pods_of_the_resource(self):
        assert pod_selector("fraud").items() < pod_selector("fraud", "0b77d1ce").items()

    def test_tools_that_track_objects_by_label_claim_nothing(self):
        assert "app.kubernetes.io/instance" not in child_labels("fraud", "0b77d1ce")


class TestSpeltOnce:
    def test_no_two_labels_or_annotations_are_the_same(self):
        spelt = [value for name, value in vars(names).items() if name.startswith(("LABEL_", "ANNOTATION_"))]
        assert len(spelt) == len(set(spelt))

    def test_reasons_are_what_a_condition_may_hold(self):
        for reason in (*Reason, *Condition):
            assert reason.isalnum()
            assert reason[0].isupper()
            assert len(reason) < 128, "an Event takes no longer one"


class TestPaths:
    def test_of_a_collection_in_all_namespaces(self):
        assert MODEL_DEPLOYMENT.path(None) == "/apis/modelway.dev/v1alpha1/modeldeployments"

    def test_of_an_object_of_the_core_group(self):
        assert SERVICE.path("ml", "fraud") == "/api/v1/namespaces/ml/services/fraud"

    def test_of_an_object_of_a_group(self):
        assert DEPLOYMENT.path("ml", "fraud") == "/apis/apps/v1/namespaces/ml/deployments/fraud"
