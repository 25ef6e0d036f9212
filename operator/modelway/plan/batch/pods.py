"""The pods of a batch run: the model as serving pods get it, and a container that scores. Pure.

The volumes and the container that fetches are those of the revision, as they were rendered when it was first seen, so
a run has the bytes that serve, by the same pin. What scores is rendered anew at each look: a newer runner is taken by
the next run, and a run that is under way keeps its pods' template.
"""

from typing import Any, Final

from modelway.api.batch import BatchContainer, BatchJob, Spot
from modelway.api.batch_dates import UTC_NAME
from modelway.api.batch_times import offset_seconds
from modelway.api.model_source import ModelSource
from modelway.api.monitoring import Monitoring
from modelway.api.names import (
    CONTAINER_BATCH,
    CONTAINER_FETCH,
    CONTAINER_RESOLVE,
    MODEL_DIRECTORY,
    RUN_DIRECTORY,
    RUN_FILE,
)
from modelway.api.resource import ModelDeployment
from modelway.plan.canonical import dumped, given
from modelway.plan.fetching import loading_arguments
from modelway.plan.jobs import LABEL_JOB
from modelway.plan.restricted import container_security, default_resources, pod_security
from modelway.plan.revisions import Revision
from modelway.plan.types import Object, Settings

GRACE_SECONDS: Final = 25
"""Less than the notice that clouds give before they take a spot node: 30 s on the shortest."""
DEFAULT_ROWS_PER_BATCH: Final = 4096
METRICS_PORT: Final = 8082

_SPOT: Final = (
    ("karpenter.sh/capacity-type", "spot"),
    ("eks.amazonaws.com/capacityType", "SPOT"),
    ("cloud.google.com/gke-spot", "true"),
    ("kubernetes.azure.com/scalesetpriority", "spot"),
)
"""How clouds and Karpenter mark nodes that may be taken away."""
_SPOT_TAINTS: Final = ("cloud.google.com/gke-spot", "kubernetes.azure.com/scalesetpriority")
_CLAIM: Final = "pvc://"


def template(
    resource: ModelDeployment, job: BatchJob, revision: Revision, *, cron_job: str, labels: Object, settings: Settings
) -> Any:
    """The pod template of a run.

    Args:
        resource: the ModelDeployment.
        job: the entry.
        revision: whose model scores.
        cron_job: its name; the runner reads the scheduled time off the Job's name, which begins with it.
        labels: of the pods.
        settings: of this installation.
    """
    theirs = revision.template["spec"]
    resources = default_resources(job.resources)
    if job.container:
        scores = _foreign(resource.metadata.name, job, job.container, revision)
    else:
        scores = _runner(resource, job, revision, settings)
    scores |= given(
        name=CONTAINER_BATCH,
        resources=resources,
        envFrom=_credentials(job),
        terminationMessagePolicy="FallbackToLogsOnError",
    )
    scores["env"] += _of_the_run(cron_job)
    first = [_fetching(container, resources) for container in theirs.get("initContainers", ())]
    if job.container:
        first.append(_resolving(job, revision, settings, resources, cron_job))
    loosened = job.container.security_context if job.container else None
    return {
        "metadata": {"labels": labels, "annotations": {"kubectl.kubernetes.io/default-container": CONTAINER_BATCH}},
        "spec": given(
            initContainers=first or None,
            containers=[scores],
            volumes=_volumes(job, theirs),
            restartPolicy="Never",
            automountServiceAccountToken=False,
            enableServiceLinks=False,
            serviceAccountName=job.service_account_name or theirs.get("serviceAccountName"),
            securityContext=pod_security(loosened),
            terminationGracePeriodSeconds=GRACE_SECONDS,
            nodeSelector=dict(job.node_selector or {}) or None,
            tolerations=[*(dumped(job.tolerations) or []), *_spot_tolerations(job.spot)] or None,
            affinity=_spot_affinity(job.spot),
            imagePullSecrets=theirs.get("imagePullSecrets"),
        ),
    }


def _runner(resource: ModelDeployment, job: BatchJob, revision: Revision, settings: Settings) -> Object:
    model = ModelSource.model_validate(revision.spec["model"])
    arguments = ["batch", "score", f"--model={MODEL_DIRECTORY}", *_what(job)]
    arguments += [f"--rows-per-batch={job.rows_per_batch or DEFAULT_ROWS_PER_BATCH}"]
    arguments += [f"--max-failed-rows-per-million={job.max_failed_rows_per_million or 0}"]
    arguments += [f"--map={input_}={column}" for input_, column in sorted((job.column_map or {}).items())]
    if job.features:
        arguments.append(f"--features={','.join(job.features)}")
    if job.input.key:
        arguments.append(f"--key={job.input.key}")
    if job.input.split_lines:
        arguments.append("--split-lines")
    if model.version:
        arguments.append(f"--version={model.version}")
    arguments += _comparing(resource.spec.monitoring)
    return {
        "image": settings.server_full_image or settings.server_image,
        "imagePullPolicy": settings.server_image_pull_policy,
        "args": [*arguments, f"--metrics-port={METRICS_PORT}", *loading_arguments(model)],
        "env": [],
        "ports": [{"name": "metrics", "containerPort": METRICS_PORT, "protocol": "TCP"}],
        "volumeMounts": _mounts(job, revision, MODEL_DIRECTORY),
        "securityContext": container_security(),
    }


def _comparing(monitoring: Monitoring | None) -> list[str]:
    """How inputs are compared with the model's reference; nothing where it is by the runner's own defaults."""
    watched = monitoring or Monitoring()
    max_psi = watched.drift.max_psi if watched.drift is not None else None
    arguments = [f"--drift-max-psi={max_psi}"] if max_psi is not None else []
    arguments += [f"--drift-min-rows={watched.min_rows}"] if watched.min_rows is not None else []
    return [*arguments, "--hide-features"] if watched.hides else arguments


def _what(job: BatchJob) -> list[str]:
    """What is read and written, and of which day, as options."""
    where = {"input": _located(job.input.uri, "input"), "output": _located(job.output.uri, "output")}
    options = {
        **where,
        "input-format": job.input.format or "parquet",
        "output-format": job.output.format or "parquet",
        "shards": job.shards or 1,
        "time-zone": job.time_zone or UTC_NAME,
        "date-offset": round(offset_seconds(job.date_offset or "0s")),
    }
    arguments = [f"--{name}={value}" for name, value in options.items()]
    return [*arguments, f"--columns={','.join(job.output.columns)}"] if job.output.columns else arguments


def _foreign(name: str, job: BatchJob, container: BatchContainer, revision: Revision) -> Object:
    path = container.model_path or MODEL_DIRECTORY
    values = {"MODELWAY_RUN_FILE": f"{RUN_DIRECTORY}/{RUN_FILE}", "MODELWAY_MODEL_NAME": name}
    if revision.has_model:
        values["MODELWAY_MODEL_DIR"] = path
    run = {"name": "run", "mountPath": RUN_DIRECTORY, "readOnly": True}
    return given(
        image=container.image,
        imagePullPolicy=container.image_pull_policy,
        command=list(container.command) or None,
        args=list(container.args) or None,
        env=[{"name": key, "value": value} for key, value in values.items()],
        volumeMounts=[*_mounts(job, revision, path), run],
        securityContext=container_security(container.security_context),
    )


def _resolving(job: BatchJob, revision: Revision, settings: Settings, resources: Object, cron_job: str) -> Object:
    """Writes down what the run is to do, dates filled in, for a container that knows nothing of modelway."""
    told = [f"--to={RUN_DIRECTORY}/{RUN_FILE}", *_what(job)]
    told += [f"--version={revision.version}"] if revision.version else []
    told += [f"--digest={revision.digest}"] if revision.digest else []
    return {
        "name": CONTAINER_RESOLVE,
        "image": settings.server_image,
        "imagePullPolicy": settings.server_image_pull_policy,
        "args": ["batch", "resolve", *told],
        "env": _of_the_run(cron_job),
        "resources": resources,
        "volumeMounts": [{"name": "run", "mountPath": RUN_DIRECTORY}],
        "securityContext": container_security(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _of_the_run(cron_job: str) -> list[Object]:
    """Which run the pod belongs to; Kubernetes adds JOB_COMPLETION_INDEX."""
    label = {"fieldRef": {"fieldPath": f"metadata.labels['{LABEL_JOB}']"}}
    return [{"name": "MODELWAY_CRON_JOB", "value": cron_job}, {"name": "MODELWAY_JOB", "valueFrom": label}]


def _fetching(container: Object, resources: Object) -> Object:
    """The container that fetches the model, no larger than the one that scores: the larger counts for the pod."""
    return container | {"resources": resources} if container["name"] == CONTAINER_FETCH else container


def _credentials(job: BatchJob) -> list[Object] | None:
    secret = job.credentials_secret_ref
    return [{"secretRef": {"name": secret.name}}] if secret else None


def _located(uri: str, purpose: str) -> str:
    """The URI as the container finds it: a claim is mounted."""
    return f"/mnt/{purpose}/{_inner(uri)}" if uri.startswith(_CLAIM) else uri


def _inner(uri: str) -> str:
    return uri.removeprefix(_CLAIM).partition("/")[2]


def _claims(job: BatchJob) -> dict[str, str]:
    """Claims to mount, by what they are for."""
    uris = {"input": job.input.uri, "output": job.output.uri}
    claims = {purpose: uri for purpose, uri in uris.items() if uri.startswith(_CLAIM)}
    return {purpose: uri.removeprefix(_CLAIM).partition("/")[0] for purpose, uri in claims.items()}


def _volumes(job: BatchJob, theirs: Object) -> list[Object]:
    volumes = list(theirs["volumes"])
    for purpose, claim in _claims(job).items():
        source = given(claimName=claim, readOnly=True if purpose == "input" else None)
        volumes.append({"name": purpose, "persistentVolumeClaim": source})
    return [*volumes, {"name": "run", "emptyDir": {}}] if job.container else volumes


def _mounts(job: BatchJob, revision: Revision, path: str) -> list[Object]:
    """What the container sees: the model where it looks for it, the claims, and room for temporary files."""
    mounts = revision.template["spec"]["containers"][0]["volumeMounts"]
    result = [mount | {"mountPath": path} if mount["name"] == "model" else mount for mount in mounts]
    claims = [
        given(name=purpose, mountPath=f"/mnt/{purpose}", readOnly=True if purpose == "input" else None)
        for purpose in _claims(job)
    ]
    return [*result, *claims]


def _spot_tolerations(spot: Spot | None) -> list[Object]:
    if spot == "Never":
        return []
    values = dict(_SPOT)
    return [{"key": key, "operator": "Equal", "value": values[key], "effect": "NoSchedule"} for key in _SPOT_TAINTS]


def _spot_affinity(spot: Spot | None) -> Object:
    """Nodes are asked for by any of the marks that they may have."""
    terms = [_term(key, "In", value) for key, value in _SPOT]
    if spot == "Required":
        wanted: Object = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    elif spot == "Never":
        none = [expression for key, value in _SPOT for expression in _term(key, "NotIn", value)["matchExpressions"]]
        wanted = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": none}]}}
    else:
        preferred = [{"weight": 100, "preference": term} for term in terms]
        wanted = {"preferredDuringSchedulingIgnoredDuringExecution": preferred}
    return {"nodeAffinity": wanted}


def _term(key: str, operator: str, value: str) -> Object:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": [value]}]}
