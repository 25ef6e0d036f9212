"""What is read from the kernel, and what is ended or removed because of it."""

from pathlib import Path

import pytest
from hack.local import cgroups, commands, kernel, mounts, packages, provider, shims
from hack.local.cgroups import Hierarchy
from hack.local.errors import LocalClusterError

V1 = """\
27 1 254:0 / / rw,relatime - ext4 /dev/root rw
31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset
33 30 0:29 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
34 30 0:30 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""
V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
RUN = Path("/run/modelway-local")
SHIM = "/usr/bin/containerd-shim-runc-v2"


def test_version_one_limits_where_both_are_mounted_and_all_are_cleaned_up():
    found = cgroups.parse_mounts(V1)
    assert [item.mount.name for item in found] == ["cpu,cpuacct", "cpuset", "systemd", "unified"]
    assert "cpuset" in found[1].controllers
    assert [item.mount.name for item in cgroups.with_controllers(found)] == ["cpu,cpuacct", "cpuset", "systemd"]


def test_version_two_is_one_tree():
    found = cgroups.parse_mounts(V2)
    assert found == [Hierarchy(Path("/sys/fs/cgroup"), unified=True, controllers=frozenset())]
    assert cgroups.with_controllers(found) == found


def test_mount_points_are_read_with_blanks_and_backslashes():
    text = "1 0 0:1 / /a\\040b rw - tmpfs t rw\n2 1 0:2 / /a\\040b/c\\134d rw - tmpfs t rw\n"
    assert mounts.parse(text) == [Path("/a b"), Path("/a b/c\\d")]


@pytest.mark.parametrize(
    ("arguments", "ours"),
    [
        pytest.param([SHIM, "-namespace", "k8s.io", "-address", f"{RUN}/node-1/containerd.sock"], True, id="our-shim"),
        pytest.param(["runc", "--root", f"{RUN}/node-1/runc/k8s.io", "create", "x"], True, id="our-runc"),
        pytest.param([SHIM, "-address", "/run/containerd/containerd.sock"], False, id="dockers-shim"),
        pytest.param([SHIM, "-address", f"{RUN}-other/containerd.sock"], False, id="a-folder-with-a-longer-name"),
        pytest.param(["tail", "-f", f"{RUN}/node-1/log"], False, id="somebody-reads-a-log"),
        pytest.param([f"{RUN}/containerd-shim-runc-v2"], False, id="no-argument-names-us"),
        pytest.param([], False, id="kernel-thread"),
        pytest.param([""], False, id="empty"),
    ],
)
def test_only_what_is_below_our_containerds_is_ended(arguments, ours):
    assert shims.belongs_to_cluster(arguments, RUN) is ours


@pytest.mark.parametrize(
    ("current", "raised"),
    [
        pytest.param({"fs/inotify/max_user_instances": "128"}, {"fs/inotify/max_user_instances": "1024"}, id="low"),
        pytest.param({"fs/inotify/max_user_instances": "8192"}, {}, id="high-enough"),
        pytest.param({"vm/overcommit_memory": "0"}, {}, id="not-ours-to-raise"),
    ],
)
def test_settings_are_raised_and_never_lowered(current, raised):
    assert kernel.to_raise(current) == raised


def test_settings_are_put_back_as_they_were_the_first_time(tmp_path, monkeypatch):
    monkeypatch.setattr(kernel, "_path", lambda name: tmp_path / name.replace("/", "."))
    setting = tmp_path / "fs.inotify.max_user_instances"
    setting.write_text("128\n")
    for _ in range(2):  # a second `up` must not remember what the first one had set
        kernel.prepare(tmp_path / "memory.json")
        assert setting.read_text() == "1024"
    kernel.restore(tmp_path / "memory.json")
    assert setting.read_text() == "128"


def test_packages_are_asked_for_by_what_is_missing(tmp_path):
    wanted = {"sh": "dash", "no-such-command-anywhere": "b", str(tmp_path / "nothing"): "a", str(tmp_path): "c"}
    assert packages.missing_packages(wanted) == ["a", "b"]


def test_where_apt_is_not_the_sentence_names_the_packages(monkeypatch):
    monkeypatch.setattr(packages.shutil, "which", lambda *_, **__: None)
    with pytest.raises(LocalClusterError, match=r"needs buildah, debootstrap, .* on Debian and Ubuntu only"):
        packages.ensure(packages.FOR_IMAGES, print)


@pytest.mark.parametrize(
    ("cluster", "docker", "chosen"),
    [
        pytest.param("", True, "kind", id="docker-answers"),
        pytest.param("", False, "local", id="no-docker"),
        pytest.param("local", True, "local", id="local-beside-docker"),
        pytest.param("existing", False, "existing", id="existing"),
    ],
)
def test_the_cluster_is_the_named_one_or_what_the_machine_can(cluster, docker, chosen, monkeypatch):
    monkeypatch.setattr(provider, "succeeds", lambda *_: docker)
    assert provider.choose({"CLUSTER": cluster}) == chosen


def test_an_unknown_cluster_is_told_the_known_ones():
    with pytest.raises(LocalClusterError, match="CLUSTER is one of local, kind, existing, not 'minikube'"):
        provider.choose({"CLUSTER": "minikube"})


def test_an_existing_cluster_needs_its_kubeconfig():
    with pytest.raises(LocalClusterError, match="CLUSTER=existing needs KUBECONFIG"):
        provider.check_existing({"CLUSTER": "existing"})


def test_a_failed_command_is_told_with_its_last_words():
    with pytest.raises(LocalClusterError, match=r"(?s)sh -c .*failed with status 3: it broke"):
        commands.run("sh", "-c", "echo it broke >&2; exit 3")


def test_a_missing_command_is_told_by_name():
    with pytest.raises(LocalClusterError, match="The command no-such-command is missing on this machine"):
        commands.run("no-such-command")
    assert not commands.succeeds("no-such-command")
