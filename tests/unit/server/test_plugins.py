"""Formats of others: a distribution in a folder of its own, as pip would have installed it."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.server.formats import REGISTRY, Entry
from modelway.server.loading import load
from modelway.server.locate import locate
from modelway.server.options import ServerOptions
from modelway.server.tensors import Batch

# The plug-in is the one that the documentation shows.
DOCS = (Path(__file__).parents[3] / "docs" / "formats.md").read_text()
FILES = {
    re.match(r"# scale_format/([\w.]+)", block)[1]: block
    for block in re.findall(r"```python\n(# scale_format/.+?)```", DOCS, re.DOTALL)
}


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a distribution with these entry points on the path."""

    def run(*points):
        site = tmp_path / "site"
        package = site / "scale_format"
        package.mkdir(parents=True)
        for name, content in FILES.items():
            (package / name).write_text(content)
        (package / "other.py").write_text('OTHER = "no entry"\n')
        information = site / "scale_format-1.0.dist-info"
        information.mkdir()
        (information / "METADATA").write_text("Metadata-Version: 2.1\nName: scale-format\nVersion: 1.0\n")
        (information / "entry_points.txt").write_text("[modelway.formats]\n" + "\n".join(points) + "\n")
        monkeypatch.syspath_prepend(str(site))
        for name in [name for name in sys.modules if name.startswith("scale_format")]:
            monkeypatch.delitem(sys.modules, name)

    yield run
    for name in [name for name in sys.modules if name.startswith("scale_format")]:
        del sys.modules[name]


def folder_with(tmp_path, name, content):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / name).write_text(content)
    return folder


def test_a_plug_ins_models_are_served(tmp_path, install):
    install("scale = scale_format:FORMAT")
    loaded = load(ServerOptions(folder_with(tmp_path, "m.scale", "2.5"), "scale"))
    assert loaded.format == "scale"
    batch = Batch({"x": np.array([[4.0]])}, rows=1, wanted=("y",))
    assert loaded.model.predict(batch)["y"].tolist() == [[10.0]]


def test_a_plug_in_may_be_named_instead_of_its_suffix(tmp_path, install):
    install("scale = scale_format:FORMAT")
    assert locate(folder_with(tmp_path, "m.txt", "2"), format_name="scale").format == "scale"


def test_a_plug_ins_own_error_is_told(tmp_path, install):
    install("scale = scale_format:FORMAT")
    with pytest.raises(ModelError, match=r"m\.scale holds no number"):
        load(ServerOptions(folder_with(tmp_path, "m.scale", "two"), "scale"))


@pytest.mark.parametrize(
    ("points", "reason", "said"),
    [
        (["onnx = scale_format:FORMAT"], Reason.FORMAT_AMBIGUOUS, 'the entry point "onnx" of scale-format takes the name'),
        (["scale = scale_format.other:OTHER"], Reason.FORMAT_UNKNOWN, "is a str, not a modelway.server.formats.Entry"),
        (["scale = scale_format:MISSING"], Reason.FORMAT_UNKNOWN, "cannot be imported: AttributeError"),
        (["scale = no_such_package:FORMAT"], Reason.FORMAT_UNKNOWN, "cannot be imported: ModuleNotFoundError"),
    ],
)  # fmt: skip
def test_a_plug_in_that_is_none_is_told(tmp_path, install, points, reason, said):
    install(*points)
    with pytest.raises(ModelError) as caught:
        locate(folder_with(tmp_path, "m.scale", "2"))
    assert caught.value.reason is reason
    assert said in caught.value.message


@pytest.mark.parametrize("name", ["m.onnx", "m.pkl", "m.cbm"])
def test_built_in_formats_are_found_without_a_look_at_plug_ins(tmp_path, monkeypatch, name):
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: pytest.fail("plug-ins were looked up"))
    assert locate(folder_with(tmp_path, name, "")).path.name == name


def test_finding_a_model_imports_no_library_of_a_format(tmp_path):
    folder_with(tmp_path, "m.onnx", "")
    heavy = [library for entry in REGISTRY.values() for library in entry.libraries if library != "numpy"]
    script = (
        "import sys, pathlib; from modelway.server.locate import locate; locate(pathlib.Path(sys.argv[1])); "
        f"print(sorted(set(sys.modules) & set({[*heavy, 'yaml', 'pandas', 'scipy']!r})))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "model")], check=True, capture_output=True, text=True
    )
    assert result.stdout.strip() == "[]"


def test_a_missing_library_is_told_with_its_extra_and_image():
    entry = Entry("modelway.server.formats.no_such_module", libraries=("no_such_library",), extra="xgboost")
    with pytest.raises(ModelError) as caught:
        entry.format()
    assert "no library for the format: No module named" in caught.value.message
    assert caught.value.message.endswith(
        "serve it with the image modelway-server-full (spec.serving.runtime: modelway-full), or pip install 'modelway[xgboost]'"
    )
    assert entry.missing() == ("no_such_library",)


def test_a_missing_library_of_the_systems_is_told(monkeypatch):
    def missing(_module):
        raise OSError("libgomp.so.1: cannot open shared object file")

    monkeypatch.setattr("modelway.server.formats.import_module", missing)
    with pytest.raises(ModelError, match=r"no library for the format: libgomp\.so\.1.*modelway-server-full"):
        REGISTRY["lightgbm"].format()
