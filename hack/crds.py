"""Writes the CustomResourceDefinition that the resource's models make: the plain manifest and the chart's template.

    python -m hack.crds            # write
    python -m hack.crds --check    # compare, for CI

One source, `modelway.api.crd`, and two forms: `crds/modeldeployments.yaml` for `kubectl apply`, and a template of the
chart, which adds Helm's labels and the switches `crds.enabled` and `crds.keep`. Not in the chart's own `crds/` folder,
for Helm never upgrades what is there.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from hack.generated import ROOT, main

from modelway.api import crd

MANIFEST = ROOT / "crds" / "modeldeployments.yaml"
TEMPLATE = ROOT / "charts" / "modelway" / "templates" / "crd-modeldeployments.yaml"

_HEADER = "# Generated from operator/modelway/api by `make crds`. Do not edit.\n"
_METADATA = """\
  labels:
    {{- include "modelway.labels" . | nindent 4 }}
  {{- if .Values.crds.keep }}
  annotations:
    helm.sh/resource-policy: keep
  {{- end }}
"""


def manifest(definition: Mapping[str, Any]) -> str:
    """The plain manifest."""
    return _HEADER + _dumped(definition)


def template(definition: Mapping[str, Any]) -> str:
    """The chart's template of `definition`.

    Raises:
        ValueError: `definition` has metadata beside its name, of which this module knows nothing.
    """
    if definition["metadata"].keys() != {"name"}:
        raise ValueError("the CRD's metadata must hold its name and nothing else")
    head = {key: definition[key] for key in ("apiVersion", "kind", "metadata")}
    rest = {key: value for key, value in definition.items() if key not in head}
    body = f"{_escaped(_dumped(head))}{_METADATA}{_escaped(_dumped(rest))}"
    return (
        f"{{{{- /* Generated from operator/modelway/api by `make crds`. Do not edit. */ -}}}}\n"
        f"{{{{- if .Values.crds.enabled -}}}}\n{body}{{{{- end }}}}\n"
    )


def files() -> dict[Path, str]:
    """What should be in the files."""
    definition = crd.render()
    return {MANIFEST: manifest(definition), TEMPLATE: template(definition)}


class _Dumper(yaml.SafeDumper):
    """YAML as people write it: no anchors, and text of several lines as a block."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base class' signature
        return True

    def represent_text(self, text: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _Dumper.represent_text)


def _dumped(data: Mapping[str, Any]) -> str:
    return yaml.dump(dict(data), Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


def _escaped(text: str) -> str:
    """`text` so that Helm's templates give it back as it is."""
    return text.replace("{{", "{{ `{{` }}")


if __name__ == "__main__":
    sys.exit(main("hack.crds", "Write the CustomResourceDefinition.", files()))
