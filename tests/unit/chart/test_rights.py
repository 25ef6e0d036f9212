"""The operator's rights, as the chart grants them. That they are all used, and enough, is shown on a real API server
(tests/integration/test_chart.py); this tells within a second when the code and the chart have parted.
"""

import re
from itertools import product

import pytest
from hack.generated import ROOT

from modelway.api.kinds import (
    CHILD_KINDS,
    CONTROLLER_REVISION,
    EVENT,
    JOB,
    MODEL_DEPLOYMENT,
    OPTIONAL_KINDS,
    POD,
    SECRET,
)

WHOLE_LIFE = {"get", "list", "watch", "create", "patch", "update", "delete"}


def granted(rules):
    """(group, resource) to verbs."""
    found = {}
    for rule in rules:
        for key in product(rule["apiGroups"], rule["resources"]):
            found.setdefault(key, set()).update(rule["verbs"])
    return found


def operator_rules(helm):
    return helm.one("ClusterRole", "modelway")["rules"]


def test_the_rights_are_those_for_the_kinds_that_the_code_knows(helm):
    status = f"{MODEL_DEPLOYMENT.plural}/status"
    children = {(kind.group, kind.plural): WHOLE_LIFE for kind in (*CHILD_KINDS, *OPTIONAL_KINDS)}
    assert granted(operator_rules(helm)) == children | {
        (CONTROLLER_REVISION.group, CONTROLLER_REVISION.plural): WHOLE_LIFE - {"update"},
        (MODEL_DEPLOYMENT.group, MODEL_DEPLOYMENT.plural): {"list", "watch"},
        (MODEL_DEPLOYMENT.group, status): {"update"},
        (POD.group, POD.plural): {"list", "watch", "patch", "delete"},
        (JOB.group, JOB.plural): {"list", "watch", "create"},
        (EVENT.group, EVENT.plural): {"create", "patch"},
        (SECRET.group, SECRET.plural): {"create"},
    }


@pytest.mark.parametrize("namespaces", [[], ["team-a", "team-b"]], ids=["all namespaces", "two namespaces"])
def test_no_wildcard_no_look_at_a_secret_and_nothing_that_widens_rights(helm, namespaces):
    roles = [obj for obj in helm.objects(watchNamespaces=namespaces) if obj["kind"] in {"Role", "ClusterRole"}]
    for role in roles:
        for (group, resource), verbs in granted(role["rules"]).items():
            assert "*" not in {group, resource, *verbs}
            assert resource not in {"pods/exec", "pods/eviction", "serviceaccounts", "serviceaccounts/token"}
            assert resource != "secrets" or verbs == {"create"}
            assert group not in {"rbac.authorization.k8s.io", "admissionregistration.k8s.io", "apiextensions.k8s.io"}
            assert not verbs & {"escalate", "bind", "impersonate"}


def test_with_some_namespaces_there_is_no_right_in_any_other(helm):
    objects = helm.objects(watchNamespaces=["team-a", "team-b"], rbac={"aggregateClusterRoles": False})
    assert not {"ClusterRole", "ClusterRoleBinding"} & {obj["kind"] for obj in objects}
    roles = {(obj["metadata"]["namespace"], obj["metadata"]["name"]): obj for obj in objects if obj["kind"] == "Role"}
    assert roles.keys() == {("team-a", "modelway"), ("team-b", "modelway"), ("modelway-system", "modelway-lease")}
    assert roles["team-a", "modelway"]["rules"] == roles["team-b", "modelway"]["rules"] == operator_rules(helm)


def test_every_binding_is_for_the_operators_account_and_for_a_role_beside_it(helm):
    for values in ({}, {"watchNamespaces": ["team-a"]}):
        objects = helm.objects(**values)
        roles = {(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in objects if "rules" in o}
        for binding in (obj for obj in objects if "roleRef" in obj):
            account = {"kind": "ServiceAccount", "name": "modelway", "namespace": "modelway-system"}
            assert binding["subjects"] == [account]
            role = binding["roleRef"]
            assert (role["kind"], binding["metadata"].get("namespace"), role["name"]) in roles


def test_only_its_own_lease_may_be_read_and_written(helm):
    create, own = helm.one("Role", "modelway-lease")["rules"]
    assert (create["verbs"], "resourceNames" in create) == (["create"], False)
    assert (own["verbs"], own["resourceNames"]) == (["get", "update"], ["modelway"])
    environment = helm.one("Deployment")["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "MODELWAY_LEASE_NAME", "value": "modelway"} in environment


def test_users_roles_are_added_to_those_of_the_cluster(helm):
    view, edit = helm.one("ClusterRole", "modelway-view"), helm.one("ClusterRole", "modelway-edit")
    prefix = "rbac.authorization.k8s.io/aggregate-to-"
    added = [{key for key in role["metadata"]["labels"] if key.startswith(prefix)} for role in (view, edit)]
    assert added == [{f"{prefix}{name}" for name in names} for names in (("view", "edit", "admin"), ("edit", "admin"))]
    assert not {"create", "update", "patch", "delete"} & set().union(*granted(view["rules"]).values())
    assert "modeldeployments/status" not in {resource for _, resource in granted(edit["rules"])}


def test_rights_can_be_left_to_somebody_else(helm):
    none = helm.kinds(rbac={"create": False, "aggregateClusterRoles": False})
    assert not {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"} & none


def test_the_docs_tell_of_exactly_these_rights(helm):
    page = (ROOT / "docs" / "install.md").read_text()
    told = {}
    for kinds, verbs in re.findall(r"^\| (`[^|]+) \| ([a-z, ]+) \|", page, re.MULTILINE):
        told |= {kind: set(verbs.split(", ")) for kind in re.findall(r"`([\w/]+)`", kinds)}
    expected = {resource: verbs for (_, resource), verbs in granted(operator_rules(helm)).items()}
    assert told == expected
