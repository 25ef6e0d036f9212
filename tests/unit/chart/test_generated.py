"""What is generated is up to date, and the generators do what they say."""

import subprocess
import sys

import pytest
import yaml
from hack import crds, reference, schema, settings
from hack.generated import ROOT, between_markers, table

from modelway.api import crd


@pytest.mark.parametrize("module", [crds, reference, schema, settings], ids=lambda module: module.__name__)
def test_generated_files_are_up_to_date(module):
    stale = [path.name for path, text in module.files().items() if path.read_text() != text]
    assert not stale, f"run `python -m {module.__name__}`"


def test_a_check_says_what_differs_and_writes_nothing(tmp_path):
    program = (
        "import sys; from pathlib import Path; from hack import generated; generated.ROOT = Path(sys.argv.pop(1));"
        "sys.exit(generated.main('hack.x', '', {generated.ROOT / 'file': 'new\\n'}))"
    )
    (tmp_path / "file").write_text("old\n")
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run([*command, "--check"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "file is not up to date: run `python -m hack.x`" in done.stderr
    assert "-old" in done.stderr
    assert "+new" in done.stderr
    assert (tmp_path / "file").read_text() == "old\n"


def test_the_manifest_is_the_models_and_says_where_it_comes_from():
    text = crds.MANIFEST.read_text()
    assert text.startswith("# Generated")
    assert yaml.load(text, yaml.CSafeLoader) == crd.render()
    assert "&id" not in text, "anchors are for machines"


def test_what_looks_like_a_template_in_the_crd_is_taken_literally():
    definition = crd.render()
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["description"] = "like {{ .Values.x }}"
    assert "like {{ `{{` }} .Values.x }}" in crds.template(definition)


def test_metadata_that_the_chart_would_lose_is_refused():
    definition = crd.render() | {"metadata": {"name": "x", "annotations": {}}}
    with pytest.raises(ValueError, match="name and nothing else"):
        crds.template(definition)


def test_a_page_without_its_markers_is_refused():
    with pytest.raises(ValueError, match="begin: spec"):
        between_markers("nothing here", "spec", "table")


def test_what_stands_around_the_markers_stays():
    page = "before\n<!-- begin: x -->\nold\n<!-- end: x -->\nafter\n"
    once = between_markers(page, "x", "new")
    assert once == "before\n<!-- begin: x -->\n\nnew\n\n<!-- end: x -->\nafter\n"
    assert between_markers(once, "x", "new") == once


def test_a_bar_does_not_end_a_cell():
    assert table(("a",), [("b|c",)]) == "| a |\n| --- |\n| b\\|c |"


@pytest.mark.parametrize(
    ("description", "default", "rest"),
    [
        ("Port. Defaults to HTTP.", "`HTTP`", "Port."),
        ("Refuse. Defaults to true; `false` is needed.", "`true`", "Refuse. `false` is needed."),
        ("Limit. Defaults to `{memory: 1Gi}`. More.", "`{memory: 1Gi}`", "Limit. More."),
        ("Path. Defaults to /mnt/models. More.", "`/mnt/models`", "Path. More."),
        ("CPU. Defaults to 80 % of the request.", "80 % of the request", "CPU."),
        ("`Refuse` (the default) or `Allow`.", "`Refuse`", "`Refuse` (the default) or `Allow`."),
        ("Nothing is said.", "", "Nothing is said."),
    ],
)
def test_defaults_are_read_from_descriptions(description, default, rest):
    assert reference.split_default(description) == (default, rest)


def test_every_default_that_the_models_tell_of_is_in_its_column():
    page = reference.PAGE.read_text()
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `")]
    assert [row[0] for row in rows if "Defaults to" in row[-1]] == []


def test_every_field_of_the_crd_is_in_the_reference():
    def names(schema):
        for name, inner in schema.get("properties", {}).items():
            yield name
            yield from names(inner)
        if inner := schema.get("items") or schema.get("additionalProperties"):
            yield from names(inner)

    page = reference.PAGE.read_text()
    schema = crd.render()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    fields = {*names(schema["spec"]), *names(schema["status"])}
    assert [name for name in sorted(fields) if f"| `{name}` |" not in page] == []


def test_links_within_the_reference_lead_somewhere():
    page = reference.PAGE.read_text()
    titles = {line.removeprefix("### ").lower() for line in page.splitlines() if line.startswith("### ")}
    links = {part.split(")", 1)[0] for part in page.split("](#")[1:]}
    assert links <= titles


def test_comments_of_values_are_found_at_every_depth():
    text = "# Of a,\n# in two lines.\na: 1\nb:\n  # Of c.\n  c:\n  - x\n  d: 2\n\n# Apart.\n\n# Of e.\ne: {}\n"
    assert settings.comments_of(text) == {("a",): "Of a, in two lines.", ("b", "c"): "Of c.", ("e",): "Of e."}


def test_settings_know_the_value_of_the_chart_that_gives_them():
    template = (settings.CHART / "templates" / "deployment.yaml").read_text()
    values = settings.values_by_variable(template)
    assert values["MODELWAY_WATCH_NAMESPACES"] == "watchNamespaces"
    assert values["MODELWAY_LEASE_DURATION"] == "leaderElection.leaseDurationSeconds"
    assert values["MODELWAY_SERVER_IMAGE"] == "serverImage"
    assert not values["MODELWAY_IDENTITY"]
