"""The applier: what it writes, what it leaves alone, and that it can be killed after any write."""

from dataclasses import replace

import pytest

from modelway.api.kinds import (
    CHILD_KINDS,
    CONFIG_MAP,
    CONTROLLER_REVISION,
    DEPLOYMENT,
    DISRUPTION_BUDGET,
    POD,
    SERVICE,
)
from modelway.controller.apply import Applier, Outdated
from modelway.kube.errors import BadRequest, Conflict, Deposed, Forbidden, Invalid, NotFound, Unavailable
from modelway.kube.store import ObjectKey, Owner, Store
from modelway.plan import ChildKey, Plan, PodKey, Touch
from support.builders import NAME, NAMESPACE, NOW, UID, spec
from support.fake_cluster import FakeCluster
from support.simulation import Simulation

OWNER = Owner(NAMESPACE, NAME)
KINDS = {kind.name: kind for kind in (*CHILD_KINDS, POD)}


def plan_for(given=None) -> Plan:
    """What the first look at a resource asks for."""
    return Simulation(given).plan()


class Stage:
    """An applier on a fake cluster; the store knows what the watches have told."""

    def __init__(self) -> None:
        self.cluster = FakeCluster()
        self.store = Store()
        self.applier = Applier(self.cluster, self.store, now=lambda: NOW)

    async def carry_out(self, plan):
        """The writes that carrying out `plan` takes, and what was refused."""
        already = len(self.cluster.writes)
        refusals = await self.applier.carry_out(OWNER, UID, plan)
        return self.cluster.writes[already:], refusals

    def listen(self):
        self.cluster.tell(self.store, KINDS, OWNER)

    def restart(self):
        """Another process, which lists everything first."""
        self.store = Store()
        self.applier = Applier(self.cluster, self.store, now=lambda: NOW)
        self.listen()


@pytest.fixture
def stage():
    return Stage()


@pytest.fixture
async def settled(stage):
    """All children are there."""
    await stage.carry_out(plan_for())
    stage.listen()
    return stage


REVISION = plan_for().children[0].body["metadata"]["labels"]["modelway.dev/revision"]
OWN = f"{NAME}-{REVISION}"


class TestFirst:
    async def test_each_child_is_created_and_a_number_of_replicas_costs_one_write_more(self, stage):
        writes, refusals = await stage.carry_out(plan_for())
        assert refusals == {}
        assert writes == [
            f"create ControllerRevision {OWN} by modelway",
            f"create ConfigMap {OWN} by modelway",
            f"create Service {OWN} by modelway",
            f"create Deployment {OWN} by modelway-replicas",
            f"apply Deployment {OWN} by modelway",
            f"create NetworkPolicy {NAME} by modelway",
            f"create PodDisruptionBudget {NAME} by modelway",
            f"create Service {NAME} by modelway",
        ]

    async def test_the_deployment_has_its_number_from_the_start(self, stage):
        await stage.carry_out(plan_for(spec(serving__replicas=7)))
        first = next(body for body in stage.cluster.bodies if body["kind"] == "Deployment")
        assert first["spec"]["replicas"] == 7

    async def test_one_replica_is_what_it_gets_anyway(self, stage):
        writes, _ = await stage.carry_out(plan_for(spec(serving__replicas=1)))
        assert len(writes) == 7

    async def test_a_second_time_there_is_nothing_to_write(self, settled):
        assert await settled.carry_out(plan_for()) == ([], {})

    async def test_nor_before_the_watches_have_told_of_the_first(self, stage):
        await stage.carry_out(plan_for())
        assert await stage.carry_out(plan_for()) == ([], {})

    async def test_nor_by_another_process(self, settled):
        settled.restart()
        assert await settled.carry_out(plan_for()) == ([], {})


class TestKilled:
    @pytest.mark.parametrize("writes", range(8))
    async def test_after_any_write_another_process_ends_it_and_the_same_comes_of_it(self, writes):
        calm, killed = Stage(), Stage()
        await calm.carry_out(plan_for())
        record, killed.cluster._record = killed.cluster._record, None

        def until_killed(*args):
            if len(killed.cluster.writes) == writes:
                raise Deposed
            record(*args)

        killed.cluster._record = until_killed
        with pytest.raises(Deposed):
            await killed.carry_out(plan_for())
        killed.cluster._record = record
        killed.restart()
        await killed.carry_out(plan_for())
        assert bare(killed.cluster) == bare(calm.cluster)

    async def test_between_the_two_writes_of_a_deployment_its_fields_get_their_manager(self, stage):
        """Else the first change of its number would drop everything that the manager of the number owns."""
        stage.cluster.refuse["apply Deployment"] = Unavailable(503, "", "killed")
        with pytest.raises(Unavailable):
            await stage.carry_out(plan_for())
        stage.cluster.refuse.clear()
        stage.restart()
        writes, _ = await stage.carry_out(plan_for())
        assert f"apply Deployment {OWN} by modelway" in writes


def bare(cluster):
    """What is there, without what differs between any two runs."""
    kept = {}
    for key, obj in cluster.objects.items():
        metadata = {name: obj["metadata"][name] for name in ("labels", "annotations", "ownerReferences")}
        kept[key] = obj | {"metadata": metadata}
    return kept


MEDDLED = {
    "a field of ours": (SERVICE, NAME, {"spec__selector": {"app": "other"}}),
    "a default": (DEPLOYMENT, OWN, {"spec__strategy": {"type": "Recreate"}}),
    "an addition": (DEPLOYMENT, OWN, {"spec__template__spec__hostNetwork": True}),
    "an addition of the second order": (DISRUPTION_BUDGET, NAME, {"spec__selector__matchLabels__a": "b"}),
    "a label of ours": (SERVICE, NAME, {"metadata__labels": {"app.kubernetes.io/managed-by": "me"}}),
    "an annotation of ours": (DEPLOYMENT, OWN, {"metadata__annotations": {}}),
    "an owner": (
        SERVICE,
        NAME,
        {
            "metadata__ownerReferences": [
                {"kind": "A", "name": "a", "uid": "a"},
                {"kind": "ModelDeployment", "name": NAME, "uid": UID, "controller": True},
            ]
        },
    ),
    "data": (CONFIG_MAP, OWN, {"data__digest": "sha256:0"}),
    "an addition to data": (CONFIG_MAP, OWN, {"data__more": "x"}),
}


class TestRepair:
    @pytest.mark.parametrize(("kind", "name", "fields"), MEDDLED.values(), ids=MEDDLED)
    async def test_what_somebody_changed_is_as_it_was(self, settled, kind, name, fields):
        before = bare(settled.cluster)[kind.name, name]
        settled.cluster.edit(kind, name, **fields)
        settled.listen()
        writes, _ = await settled.carry_out(plan_for())
        assert 1 <= len(writes) <= 2
        after = bare(settled.cluster)[kind.name, name]
        assert after | {"metadata": None} == before | {"metadata": None}
        assert after["metadata"]["ownerReferences"] == before["metadata"]["ownerReferences"]
        assert before["metadata"]["labels"].items() <= after["metadata"]["labels"].items()
        settled.listen()
        assert await settled.carry_out(plan_for()) == ([], {})

    async def test_a_sidecar_is_taken_out_again(self, settled):
        template = settled.cluster.objects["Deployment", OWN]["spec"]["template"]
        containers = [*template["spec"]["containers"], {"name": "sidecar", "image": "x"}]
        settled.cluster.edit(DEPLOYMENT, OWN, spec__template__spec__containers=containers)
        settled.listen()
        await settled.carry_out(plan_for())
        left = settled.cluster.objects["Deployment", OWN]["spec"]["template"]["spec"]["containers"]
        assert [container["name"] for container in left] == ["model-server"]

    async def test_where_apply_is_refused_beside_an_addition_the_whole_is_put_back(self, settled):
        settled.cluster.edit(SERVICE, NAME, spec__ports=[{"name": "http", "port": 81}, {"name": "x", "port": 82}])
        settled.listen()
        settled.cluster.refuse["apply Service"] = Invalid(422, "Invalid", "ports[1].name: duplicate")
        writes, refusals = await settled.carry_out(plan_for())
        assert refusals == {}
        assert writes[-1] == f"replace Service {NAME} by modelway"
        ports = settled.cluster.objects["Service", NAME]["spec"]["ports"]
        assert [port["name"] for port in ports] == ["http", "grpc"]

    async def test_the_address_of_a_service_stays(self, settled):
        settled.cluster.edit(SERVICE, NAME, spec__externalName="x", spec__selector={"app": "other"})
        settled.listen()
        await settled.carry_out(plan_for())
        assert settled.cluster.objects["Service", NAME]["spec"]["clusterIP"] == "10.0.0.1"

    async def test_a_deleted_child_is_made_again(self, settled):
        del settled.cluster.objects["Service", NAME]
        settled.listen()
        writes, _ = await settled.carry_out(plan_for())
        assert writes == [f"create Service {NAME} by modelway"]

    async def test_the_number_of_pods_is_nobodys_but_its_managers(self, settled):
        settled.cluster.edit(DEPLOYMENT, OWN, spec__replicas=9)
        settled.listen()
        writes, _ = await settled.carry_out(plan_for())
        assert writes == [f"apply Deployment {OWN} by modelway-replicas"]
        assert settled.cluster.bodies[-1]["spec"] == {"replicas": 2}

    async def test_where_nobody_asks_for_a_number_it_is_left_alone(self, settled):
        settled.cluster.edit(DEPLOYMENT, OWN, spec__replicas=9)
        settled.listen()
        autoscaled = plan_for(spec(serving__replicas=None))
        plan = Plan(
            children=tuple(child for child in autoscaled.children if child.kind != DEPLOYMENT),
            removals=(),
            evictions=(),
            status=autoscaled.status,
            decides=False,
        )
        assert await settled.carry_out(plan) == ([], {})

    async def test_other_peoples_labels_stay(self, settled):
        labels = settled.cluster.objects["Service", NAME]["metadata"]["labels"] | {"team": "risk"}
        settled.cluster.edit(SERVICE, NAME, metadata__labels=labels)
        settled.listen()
        assert await settled.carry_out(plan_for()) == ([], {})


class TestUnknown:
    async def test_a_child_that_has_lost_its_label_is_found_and_mended(self, settled):
        """The watch says that it is gone, though it is not."""
        settled.cluster.edit(SERVICE, NAME, metadata__labels={})
        lost = settled.store.belongings(OWNER)[ChildKey(SERVICE, NAME)]
        settled.store.discard(SERVICE, lost)
        with pytest.raises(Outdated):
            await settled.carry_out(plan_for())
        writes, _ = await settled.carry_out(plan_for())
        assert writes == [f"apply Service {NAME} by modelway"]
        assert settled.cluster.objects["Service", NAME]["metadata"]["labels"]["modelway.dev/name"] == NAME

    async def test_a_plan_that_did_not_know_of_a_revision_is_not_carried_out_on_it(self, stage):
        """Two operators of different versions, one after the other, and a watch that lags: no pod may change."""
        await stage.carry_out(plan_for())
        before = bare(stage.cluster)
        world = Simulation()
        world.settings = type(world.settings)(server_image="modelway.dev/server:2")
        stage.store = Store()
        stage.applier = Applier(stage.cluster, stage.store)
        with pytest.raises(Outdated):
            await stage.carry_out(world.plan())
        assert bare(stage.cluster) == before
        assert ChildKey(CONTROLLER_REVISION, OWN) in stage.store.belongings(OWNER), "the next plan knows of it"

    async def test_a_child_of_an_earlier_resource_of_this_name_is_waited_for(self, stage):
        references = [{"kind": "ModelDeployment", "name": NAME, "uid": "earlier", "controller": True}]
        stage.cluster.put(service_of(ownerReferences=references))
        with pytest.raises(Conflict):
            await stage.carry_out(plan_for())

    async def test_another_object_that_has_come_under_a_childs_name_is_not_written(self, settled):
        """The store still knows the one that was ours."""
        settled.cluster.edit(SERVICE, NAME, spec__selector={"app": "other"})
        settled.listen()
        del settled.cluster.objects["Service", NAME]
        theirs = settled.cluster.put(service_of())
        with pytest.raises(Conflict):
            await settled.carry_out(plan_for())
        assert settled.cluster.objects["Service", NAME] == theirs


def service_of(**metadata):
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME, "namespace": NAMESPACE} | metadata,
        "spec": {},
    }


class TestForeign:
    async def test_somebody_elses_object_is_left_alone_and_named(self, stage):
        theirs = stage.cluster.put(service_of())
        _, refusals = await stage.carry_out(plan_for())
        refusal = refusals[ChildKey(SERVICE, NAME)]
        assert refusal.reason == "NameConflict"
        assert refusal.message == (
            "exists already and was not made by modelway; delete it, or give the ModelDeployment another name"
        )
        assert stage.cluster.objects["Service", NAME] == theirs

    async def test_its_owner_is_named(self, stage):
        stage.cluster.put(
            service_of(ownerReferences=[{"kind": "Ingress", "name": "shop", "uid": "x", "controller": True}])
        )
        _, refusals = await stage.carry_out(plan_for())
        assert "belongs to Ingress shop" in refusals[ChildKey(SERVICE, NAME)].message

    async def test_everything_else_is_made_all_the_same(self, stage):
        stage.cluster.put(service_of())
        writes, _ = await stage.carry_out(plan_for())
        assert len(writes) == 8

    async def test_it_heals_when_the_other_goes(self, stage):
        stage.cluster.put(service_of())
        await stage.carry_out(plan_for())
        del stage.cluster.objects["Service", NAME]
        writes, refusals = await stage.carry_out(plan_for())
        assert (writes, refusals) == ([f"create Service {NAME} by modelway"], {})


REFUSALS = {
    "a quota": (Forbidden(403, "Forbidden", "exceeded quota: small"), "QuotaExceeded"),
    "a kind that goes": (
        Forbidden(
            403, "Forbidden", "x is forbidden: create not allowed while custom resource definition is terminating"
        ),
        "GatewayAPIMissing",
    ),
    "an admission policy": (Forbidden(403, "Forbidden", "denied by policy"), "ChildRefused"),
    "a rule of its kind": (Invalid(422, "Invalid", "spec.template.spec.affinity: no"), "ChildRefused"),
    "an unknown field": (BadRequest(400, "BadRequest", "unknown field"), "ChildRefused"),
}


class TestRefused:
    @pytest.mark.parametrize(("error", "reason"), REFUSALS.values(), ids=REFUSALS)
    async def test_what_the_api_server_refuses_for_good_is_told(self, stage, error, reason):
        stage.cluster.refuse["Deployment"] = error
        writes, refusals = await stage.carry_out(plan_for())
        (refusal,) = refusals.values()
        assert (refusal.reason, refusal.message) == (reason, error.message)
        assert writes[-1] == f"create Service {NAME} by modelway", "the rest is made"

    @pytest.mark.parametrize("error", [Unavailable(503, "", ""), Deposed(), TimeoutError()])
    async def test_what_passes_is_raised(self, stage, error):
        stage.cluster.refuse["Deployment"] = error
        with pytest.raises(type(error)):
            await stage.carry_out(plan_for())


class TestRemovals:
    def removing(self, *keys, evictions=()):
        plan = plan_for()
        return Plan(children=plan.children, removals=keys, evictions=evictions, status=plan.status, decides=False)

    async def test_what_should_not_be_is_deleted(self, settled):
        settled.cluster.put(service_of(name="old", ownerReferences=owned(), labels={"modelway.dev/name": NAME}))
        settled.listen()
        writes, _ = await settled.carry_out(self.removing(ChildKey(SERVICE, "old")))
        assert writes == ["delete Service old"]
        assert ("Service", "old") not in settled.cluster.objects

    async def test_what_is_gone_already_is_no_trouble(self, settled):
        gone = self.removing(ChildKey(SERVICE, "old"))
        assert await settled.carry_out(gone) == ([], {})

    async def test_nor_what_was_replaced_in_between(self, settled):
        settled.cluster.put(service_of(name="old", ownerReferences=owned()))
        settled.listen()
        del settled.cluster.objects["Service", "old"]
        settled.cluster.put(service_of(name="old"))
        await settled.carry_out(self.removing(ChildKey(SERVICE, "old")))
        assert ("Service", "old") in settled.cluster.objects

    async def test_pods_are_evicted_by_name_and_identity(self, settled):
        pod = {"kind": "Pod", "metadata": {"name": "p", "namespace": NAMESPACE, "labels": {"modelway.dev/name": NAME}}}
        put = settled.cluster.put(pod)
        settled.listen()
        evictions = (PodKey("p", put["metadata"]["uid"]),)
        writes, _ = await settled.carry_out(self.removing(evictions=evictions))
        assert writes == ["delete Pod p"]
        assert await settled.carry_out(self.removing(evictions=(PodKey("p", "other"),))) == (["delete Pod p"], {})


class TestTouches:
    """A router's pod gets its annotation, and nothing else is written of it."""

    VALUE = "c.r@2026-11-21T12:00:00.000+00:00#2"

    @pytest.fixture
    def pod(self, settled):
        metadata = {"name": "router", "namespace": NAMESPACE, "labels": {"modelway.dev/name": NAME}}
        body = {"kind": "Pod", "metadata": metadata, "spec": {"containers": []}, "status": {"phase": "Running"}}
        put = settled.cluster.put(body)
        settled.listen()
        return PodKey("router", put["metadata"]["uid"])

    def touching(self, pod):
        return replace(plan_for(), touches=(Touch(pod, "c.r", 2),))

    def known(self, settled):
        return settled.store.belonging(OWNER, ObjectKey(POD, "router"))

    async def test_the_annotation_is_written_and_known_at_once(self, settled, pod):
        writes, refusals = await settled.carry_out(self.touching(pod))
        assert (writes, refusals) == (["merge Pod router"], {})
        assert set(settled.cluster.bodies[-1]) == {"metadata"}
        assert settled.cluster.bodies[-1]["metadata"]["annotations"] == {"modelway.dev/routing": self.VALUE}
        assert self.known(settled)["metadata"]["annotations"] == {"modelway.dev/routing": self.VALUE}
        assert self.known(settled)["status"] == {"phase": "Running"}

    async def test_it_comes_after_the_files(self, stage):
        body = {
            "kind": "Pod",
            "metadata": {"name": "router", "namespace": NAMESPACE, "labels": {"modelway.dev/name": NAME}},
        }
        put = stage.cluster.put(body)
        stage.listen()
        writes, _ = await stage.carry_out(self.touching(PodKey("router", put["metadata"]["uid"])))
        assert writes.index("merge Pod router") == len(writes) - 1

    async def test_a_pod_that_was_replaced_is_left_alone(self, settled, pod):
        assert await settled.carry_out(self.touching(PodKey("router", "other"))) == ([], {})

    async def test_a_pod_that_is_gone_is_no_trouble(self, settled, pod):
        settled.cluster.refuse["merge Pod"] = NotFound(404, "NotFound", "it is gone")
        assert await settled.carry_out(self.touching(pod)) == (["merge Pod router"], {})

    async def test_where_it_is_forbidden_everything_else_goes_on(self, settled, pod):
        """The kubelet looks at the files by itself within a minute."""
        settled.cluster.refuse["merge Pod"] = Forbidden(403, "Forbidden", "no")
        assert await settled.carry_out(self.touching(pod)) == (["merge Pod router"], {})
        assert "annotations" not in self.known(settled)["metadata"]


def owned():
    return [{"kind": "ModelDeployment", "name": NAME, "uid": UID, "controller": True}]


class TestRecord:
    async def test_one_that_holds_something_else_is_replaced_by_another(self, settled):
        """The API server lets nobody change what a ControllerRevision holds."""
        settled.cluster.edit(CONTROLLER_REVISION, OWN, data={"spec": {}, "template": {}})
        settled.listen()
        settled.cluster.refuse["apply ControllerRevision"] = Invalid(422, "Invalid", "data: field is immutable")
        writes, refusals = await settled.carry_out(plan_for())
        assert refusals == {}
        assert writes == [f"delete ControllerRevision {OWN}", f"create ControllerRevision {OWN} by modelway"]

    async def test_a_pin_that_is_found_later_is_written_into_it(self, settled):
        body = plan_for().children[0].body
        settled.cluster.edit(CONTROLLER_REVISION, OWN, revision=7)
        settled.listen()
        writes, _ = await settled.carry_out(plan_for())
        assert writes == [f"apply ControllerRevision {OWN} by modelway"]
        assert settled.cluster.objects["ControllerRevision", OWN]["revision"] == body["revision"]


def test_the_deployments_own_field_is_not_in_what_is_applied():
    """An autoscaler's number must never be dropped because we once owned it."""
    world = Simulation()
    body = next(child for child in world.plan().children if child.kind == DEPLOYMENT)
    assert "replicas" not in body.body["spec"]
    assert body.replicas == 2
