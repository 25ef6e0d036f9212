"""How the model of a revision gets into a pod: the container that fetches it, and the volumes that it is in. Pure.

Of `pvc://` nothing is copied: the claim itself is the volume. A model that is converted lies in two: as it was, and as
it is served.
"""

from typing import Final

from modelway.api.model_source import ModelSource
from modelway.api.names import CONTAINER_FETCH, MODEL_DIRECTORY, PIN_DIRECTORY, PIN_KEY, SOURCE_DIRECTORY, child_name
from modelway.api.pods import Resources
from modelway.plan.canonical import given
from modelway.plan.restricted import container_security, default_resources
from modelway.plan.types import Object, Settings

_TMP: Final[Object] = {"name": "tmp", "mountPath": "/tmp"}  # noqa: S108 - the pod's own emptyDir


def fetch_container(model: ModelSource, asked: Resources | None, settings: Settings) -> Object:
    """The init container that brings the model.

    Args:
        model: where it is.
        asked: resources of the pod's other container: what that has adds nothing to the pod's size.
        settings: images of this installation.
    """
    target = SOURCE_DIRECTORY if model.convert else MODEL_DIRECTORY
    arguments = ["fetch", f"--uri={model.uri}", f"--to={target}", f"--pin-file={PIN_DIRECTORY}/{PIN_KEY}"]
    if _is_claim(model):
        arguments.append("--mounted")
    if model.convert:
        arguments += [f"--convert={model.convert}", f"--convert-to={MODEL_DIRECTORY}", *_format(model), *_policy(model)]
    secret = model.credentials_secret_ref
    return given(
        name=CONTAINER_FETCH,
        image=(settings.server_full_image if model.convert else "") or settings.server_image,
        imagePullPolicy=settings.server_image_pull_policy,
        args=arguments,
        envFrom=[{"secretRef": {"name": secret.name}}] if secret else None,
        resources=default_resources(asked),
        volumeMounts=[
            *_fetch_mounts(model),
            {"name": "pin", "mountPath": PIN_DIRECTORY, "readOnly": True},
        ],
        securityContext=container_security(),
        terminationMessagePolicy="FallbackToLogsOnError",
    )


def model_volumes(name: str, revision: str, model: ModelSource | None) -> list[Object]:
    """The volumes of a pod that has the model of a revision, and something to scratch on."""
    scratch = {"name": "tmp", "emptyDir": {}}
    if model is None:
        return [scratch]
    pin = {"name": "pin", "configMap": {"name": child_name(name, revision), "optional": True}}
    source: Object = {"emptyDir": {}}
    if _is_claim(model):
        claim = model.uri.removeprefix("pvc://").partition("/")[0]
        source = {"persistentVolumeClaim": {"claimName": claim, "readOnly": True}}
    if model.convert:
        return [{"name": "model", "emptyDir": {}}, {"name": "source"} | source, scratch, pin]
    return [{"name": "model"} | source, scratch, pin]


def model_mounts(path: str, model: ModelSource | None) -> list[Object]:
    """What a container sees of them: the model, to read only."""
    if model is None:
        return [_TMP]
    inner = "" if model.convert else _inner(model)
    return [given(name="model", mountPath=path, readOnly=True, subPath=inner or None), _TMP]


def loading_arguments(model: ModelSource) -> list[str]:
    """What whoever loads the fetched model has to be told of it."""
    # A converted model is ONNX, whatever its source was; a transform beside it may still need the policy.
    return [*([] if model.convert else _format(model)), *_policy(model)]


def _fetch_mounts(model: ModelSource) -> list[Object]:
    """What the container that fetches sees: what it reads, where that is a claim, and what it writes."""
    source = "source" if model.convert else "model"
    path = SOURCE_DIRECTORY if model.convert else MODEL_DIRECTORY
    read_only = True if _is_claim(model) else None
    mounts = [given(name=source, mountPath=path, readOnly=read_only, subPath=_inner(model) or None)]
    if model.convert:
        mounts.append({"name": "model", "mountPath": MODEL_DIRECTORY})
    return [*mounts, _TMP]


def _format(model: ModelSource) -> list[str]:
    """What the model's file is, as arguments of whoever loads it."""
    return [f"--format={model.format}"] if model.format else []


def _policy(model: ModelSource) -> list[str]:
    """What the model's file may do, likewise."""
    return [f"--code={model.code or 'Refuse'}", *(f"--allow-global={name}" for name in model.allowed_globals)]


def _is_claim(model: ModelSource) -> bool:
    return model.uri.startswith("pvc://")


def _inner(model: ModelSource) -> str:
    """The path inside a claim."""
    return model.uri.removeprefix("pvc://").partition("/")[2].strip("/") if _is_claim(model) else ""
