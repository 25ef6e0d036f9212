"""`spec.model`: where the model comes from, what it is and how far it is trusted."""

from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field, StringConstraints

from modelway.api.base import Model, Rule, rules
from modelway.api.pods import ObjectReference
from modelway.api.units import Time
from modelway.api.uris import IN_A_BUCKET, NO_PASSWORD, NO_WAY_UP

ModelFormat = Literal["onnx", "sklearn", "skops", "xgboost", "lightgbm", "catboost", "pfa", "nnef"]
FULL_FORMATS: Final = frozenset({"xgboost", "lightgbm", "catboost", "nnef"})
"""Formats whose libraries only the image of the runtime `modelway-full` holds."""
CodePolicy = Literal["Refuse", "AllowList", "Trust"]
Conversion = Literal["ONNX"]


class ModelSource(Model):
    """Where the model comes from and how far it is trusted."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                "!has(self.allowedGlobals) || size(self.allowedGlobals) == 0"
                " || (has(self.code) && self.code == 'AllowList')",
                "only used with code: AllowList",
                field=".allowedGlobals",
            ),
        )
    )

    uri: Annotated[
        str,
        Field(
            min_length=1,
            max_length=2048,
            json_schema_extra=rules(
                Rule(
                    "self.matches('^(s3|https|pvc|file)://')",
                    "unknown scheme: must begin with s3://, https://, pvc:// or file:///",
                ),
                IN_A_BUCKET,
                Rule(
                    "!self.startsWith('pvc://') || self.matches('^pvc://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(/.*)?$')",
                    "must name a PersistentVolumeClaim and may name a path in it: pvc://claim/path",
                ),
                Rule("!self.startsWith('file://') || self.startsWith('file:///')", "must be absolute: file:///path"),
                NO_PASSWORD,
                NO_WAY_UP,
            ),
        ),
    ]
    """Where the model is: `s3://bucket/path/`, `https://host/file`, `pvc://claim/path` (mounted, not copied) or
    `file:///path` (a path inside the server's image). A file, or a folder written with a slash at its end."""

    format: ModelFormat | None = None
    """Format of the model. Left out: taken from `modelway.json` or `MLmodel` beside the model, else from the file's
    suffix and content. `xgboost`, `lightgbm`, `catboost` and `nnef` choose the runtime modelway-full."""

    version: Annotated[str, Field(min_length=1, max_length=63)] | None = None
    """Version of the model, as free text; shown in status, answers and metrics. A new version is a new revision, so
    raising it deploys changed bytes at an unchanged URI."""

    digest: (
        Annotated[
            str,
            Field(
                max_length=71,
                json_schema_extra=rules(
                    Rule(
                        "self.matches('^sha256:[0-9a-f]{64}$')",
                        "must be sha256: and 64 lower-case hexadecimal digits, as `modelway digest` prints it",
                    )
                ),
            ),
        ]
        | None
    ) = None
    """Digest that the fetched model must have. Left out: the digest that the first pods find becomes the pin of the
    revision, and other bytes are refused from then on."""

    credentials_secret_ref: ObjectReference | None = None
    """Secret whose keys are given as environment variables to the container that fetches the model, and to no other:
    AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION, AWS_ENDPOINT_URL; HTTPS_TOKEN, or
    HTTPS_USERNAME and HTTPS_PASSWORD; CA_BUNDLE (PEM) for a private certificate authority."""

    code: CodePolicy | None = None
    """What happens to formats that run code when they are loaded (pickle, joblib): `Refuse` (the default);
    `AllowList`, which loads classes of an exact list and refuses all others; or `Trust`, which lets the artefact run
    any code in the pod, a transform in Python among it: for artefacts written only by people who may run code there."""

    convert: Conversion | None = None
    """`ONNX`: the model is converted before it is served, and refused unless the converted model gives the same
    answers: scikit-learn, XGBoost, LightGBM and CatBoost. `digest` stays that of the files at `uri`. Left out: the
    model is served as it is."""

    allowed_globals: Annotated[
        tuple[Annotated[str, StringConstraints(max_length=256, pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$")], ...],
        Field(max_length=64, json_schema_extra={"x-kubernetes-list-type": "set"}),
    ] = ()
    """With `code: AllowList`: further `module.name` pairs that a pickle may use. Each is trusted as code."""

    training_time: Time | None = None
    """When the model was trained. No part of the revision: changing it restarts nothing."""
