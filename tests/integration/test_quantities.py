"""However a quantity is written, what the API server gives back is what was meant: nothing is written twice."""

from modelway.api.kinds import AUTOSCALER
from support.cluster import spec_of
from support.operator import operating

WRITTEN = ("1", "1000m", "0.5", "1.5", "12.5m", "0.0001", "1e-1", "2e0", 1)
MEMORY = ("1Gi", "1024Mi", "0.5Gi", "1000M", "1.5G", "100e6", "1073741824", "0.1Gi", 268435456)
TARGETS = ("1k", "1000", "0.5", "12.5m", "1e3", "3.14159265358979", "1.5Ki")


def test_a_restart_writes_nothing(cluster, namespace, log):
    with operating(cluster, log, user="replica-a"):
        for number, (cpu, memory) in enumerate(zip(WRITTEN, MEMORY, strict=True)):
            limits = {"cpu": cpu, "memory": memory}
            namespace.deploy(
                spec_of(serving__replicas=1, serving__resources={"requests": limits, "limits": limits}),
                name=f"m{number}",
            )
        metrics = [
            {
                "type": "Pods",
                "pods": {"metric": {"name": f"m{i}"}, "target": {"type": "AverageValue", "averageValue": v}},
            }
            for i, v in enumerate(TARGETS)
        ]
        tolerance = {"scaleUp": {"tolerance": "0.05"}, "scaleDown": {"tolerance": "50m"}}
        scaled = namespace.deploy(
            spec_of(
                serving__replicas=None,
                serving__autoscaling={"maxReplicas": 3, "metrics": metrics, "behavior": tolerance},
            ),
            name="scaled",
        )
        scaled.wait_until_served()
        namespace.wait_for(lambda: len(namespace.find(AUTOSCALER)) == 1, what="the autoscaler is there")
        namespace.wait_for(
            lambda: sum(kind == "Service" for kind, _ in namespace.children()) == 2 * (len(WRITTEN) + 1),
            what="all children",
        )
        mark = namespace.rest()
    with operating(cluster, log, user="replica-b"):
        namespace.deploy(name="after").wait_until_served()
        about_others = [str(write) for write in namespace.writes(mark) if not write.name.startswith("after")]
    assert about_others == []
