"""Versions stand in go.mod and nowhere else."""

import re

import pytest
from hack.local import binaries
from hack.local.binaries import TOOLS, Tool, linker_flags, path_of, required_version, version
from hack.local.errors import LocalClusterError

GO_MOD = """\
module example.org/x

go 1.26.0

tool example.org/tool/cmd/it

require example.org/alone v0.1.0

require (
	example.org/tool v1.2.3 // indirect
	example.org/tool/api v9.9.9
)

replace example.org/api => example.org/api v7.0.0
"""
ALL = {tool.name: tool for tool in binaries._ALL}


@pytest.mark.parametrize(
    ("module", "wanted"),
    [("example.org/tool", "v1.2.3"), ("example.org/tool/api", "v9.9.9"), ("example.org/alone", "v0.1.0")],
)
def test_the_version_is_the_required_one(module, wanted):
    assert required_version(GO_MOD, module) == wanted


def test_a_module_that_nothing_requires_is_told():
    with pytest.raises(LocalClusterError, match=r"requires example\.org/api"):
        required_version(GO_MOD, "example.org/api")


@pytest.mark.parametrize("name", ALL)
def test_each_tool_is_named_by_its_go_mod_and_has_checksums(name):
    tool = ALL[name]
    text = (TOOLS / tool.folder / "go.mod").read_text()
    if tool.package == ".":
        assert (TOOLS / tool.folder / "main.go").exists()
    else:
        assert re.search(rf"^(tool)?\s+{re.escape(tool.package)}$", text, re.MULTILINE)
    if tool.module:
        assert required_version(text, tool.module)
        assert (TOOLS / tool.folder / "go.sum").exists()
    assert path_of(name).name == f"{name}-{version(tool)}"


def test_kubernetes_is_told_its_version_and_the_others_are_not():
    flags = linker_flags(ALL["kubelet"], "v1.35.4")
    assert "gitVersion=v1.35.4" in flags
    assert "gitMajor=1 " in flags
    assert flags.endswith("gitMinor=35")
    assert linker_flags(ALL["etcd"], "v3.6.8") == "-s -w"


def test_our_own_program_is_versioned_by_its_source(tmp_path, monkeypatch):
    monkeypatch.setattr(binaries, "TOOLS", tmp_path)
    tool = Tool("pause", "pause", ".", "", 1)
    source = tmp_path / "pause" / "main.go"
    source.parent.mkdir()
    source.write_text("package main")
    before = version(tool)
    source.write_text("package main // changed")
    assert version(tool) != before


def test_without_go_one_sentence_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(binaries.shutil, "which", lambda *_, **__: None)
    monkeypatch.setenv("MODELWAY_CACHE", str(tmp_path))
    with pytest.raises(LocalClusterError, match=r"needs Go 1\.\d+\.\d+ or newer on the PATH: install it"):
        binaries.ensure(["etcd"])


def test_what_is_built_is_not_built_again(tmp_path, monkeypatch):
    monkeypatch.setattr(binaries.shutil, "which", lambda *_, **__: None)
    monkeypatch.setenv("MODELWAY_CACHE", str(tmp_path))
    path = path_of("etcd")
    path.parent.mkdir()
    path.touch()
    assert binaries.ensure(["etcd"]) == {"etcd": path}
