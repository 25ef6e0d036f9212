"""`modelway rollout undo`: the model and the way it is served, as they were in an earlier revision.

Only the parts of the spec that make a revision are put back. Replicas, autoscaling, rollout, traffic and everything
else stay as they are. Pure: from a picture and the revisions' records to a JSON patch.
"""

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from modelway.api.names import LABEL_REVISION
from modelway.cli.errors import Refused
from modelway.cli.rollout.picture import Object, Picture, titled

STAYS: Final = frozenset({"replicas", "autoscaling", "revisionHistoryLimit"})
"""Fields of `spec.serving` that are no part of a revision."""

OF_THE_MODEL_ALONE: Final = "trainingTime"
"""No part of a revision either, but it is the present model's and would be wrong of another."""

_MANAGED: Final = {
    "argocd.argoproj.io/tracking-id": "Argo CD",
    "kustomize.toolkit.fluxcd.io/name": "Flux",
    "helm.toolkit.fluxcd.io/name": "Flux",
    "meta.helm.sh/release-name": "Helm",
}


@dataclass(frozen=True, slots=True)
class Undo:
    """What putting back `revision` does: `difference` for people, `operations` for the API server."""

    title: str
    difference: str
    operations: tuple[dict[str, Any], ...]
    warnings: tuple[str, ...]


def undo(picture: Picture, records: Iterable[Object], to: str | None) -> Undo:
    """Go back to revision `to`; left out, to the one that was promoted last before what the spec asks for now.

    Raises:
        Refused: there is no such revision, or the spec asks for it already.
    """
    if not picture.is_current:
        raise Refused("the operator has not seen the last change of the spec yet; try again in a moment")
    specs = {record["metadata"]["labels"][LABEL_REVISION]: record["data"].get("spec") or {} for record in records}
    revision = _target(picture, specs, to)
    title = titled(revision, (specs[revision].get("model") or {}).get("version"))
    if revision == picture.revision and not picture.is_paused:
        raise Refused(f"the spec asks for {title} already")
    present, wanted = picture.spec, _put_back(picture.spec, specs[revision])
    changed = [part for part in ("model", "serving") if present.get(part) != wanted.get(part)]
    if not changed:
        raise Refused(f"the spec asks for {title} already")
    return Undo(
        title=title,
        difference=_difference(present, wanted, changed),
        operations=_operations(picture, wanted, changed),
        warnings=tuple(_warnings(picture, present.get("model") or {}, wanted.get("model") or {})),
    )


def _target(picture: Picture, specs: Mapping[str, Object], to: str | None) -> str:
    known = [f"{revision} (version {_version(spec)})" for revision, spec in specs.items() if spec]
    kept = f"revisions that are kept: {', '.join(known) or 'none'}"
    if to is not None:
        if not specs.get(to):
            raise Refused(f"there is no record of a revision {to}; {kept}")
        return to
    promoted = (entry.revision for entry in picture.history if entry.result == "Promoted")
    earlier = [revision for revision in promoted if revision != picture.revision]
    if not earlier:
        raise Refused(f"no other revision has served before; {kept}")
    found = next((revision for revision in earlier if specs.get(revision)), None)
    if found is None:
        raise Refused(f"revision {earlier[0]} served before, but its record is gone; say --to; {kept}")
    return found


def _version(spec: Object) -> str:
    return str((spec.get("model") or {}).get("version", "none"))


def _put_back(present: Object, record: Object) -> dict[str, Any]:
    kept = {key: value for key, value in (present.get("serving") or {}).items() if key in STAYS}
    result: dict[str, Any] = {"serving": {**record.get("serving", {}), **kept}}
    if "model" in record:
        result["model"] = dict(record["model"])
        if record["model"].get("uri") == (present.get("model") or {}).get("uri"):
            result["model"] |= {key: value for key, value in present["model"].items() if key == OF_THE_MODEL_ALONE}
    return result


def _operations(picture: Picture, wanted: Object, changed: list[str]) -> tuple[dict[str, Any], ...]:
    operations: list[dict[str, Any]] = [
        # the API server refuses a patch of another version than it holds
        {"op": "replace", "path": "/metadata/resourceVersion", "value": picture.resource_version}
    ]
    for part in changed:
        if part in wanted:
            operations.append({"op": "add", "path": f"/spec/{part}", "value": wanted[part]})
        else:
            operations.append({"op": "remove", "path": f"/spec/{part}"})
    return tuple(operations)


def _difference(present: Object, wanted: Object, changed: list[str]) -> str:
    before, after = (
        [json.dumps({part: spec.get(part)}, indent=2, sort_keys=True).splitlines()[1:-1] for part in changed]
        for spec in (present, wanted)
    )
    lines: list[str] = []
    for part, old, new in zip(changed, before, after, strict=True):
        shown = difflib.unified_diff(old, new, n=1, lineterm="")
        lines += [f"spec.{part}", *(line for line in shown if not line.startswith(("---", "+++", "@@")))]
    return "\n".join(lines)


def _warnings(picture: Picture, before: Object, after: Object) -> Iterable[str]:
    if OF_THE_MODEL_ALONE in before and OF_THE_MODEL_ALONE not in after:
        yield f"spec.model.{OF_THE_MODEL_ALONE} is left out: it is that of the present model"
    if picture.is_paused:
        yield "spec.paused is true: nothing happens until it is not"
    marks = {*picture.annotations, *picture.labels}
    tools = sorted({tool for mark, tool in _MANAGED.items() if mark in marks})
    if tools:
        yield f"{' and '.join(tools)} manages this ModelDeployment and puts back what its source says: change it there"
    else:
        yield "if this ModelDeployment comes from Git, change it there too: the next apply puts back what stands there"
