"""Machine-wide kernel settings that the cluster changes, and puts back."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

# The kubelet sets these when it starts, whatever its configuration says.
_SET_BY_KUBELET = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
# Each container that watches files takes one; Debian's 128 are gone with some dozens of pods.
_AT_LEAST: Mapping[str, int] = MappingProxyType({"fs/inotify/max_user_instances": 1024})


def _path(setting: str) -> Path:
    return Path("/proc/sys") / setting


def to_raise(current: Mapping[str, str]) -> dict[str, str]:
    """The settings that are lower than the cluster needs, with the value to set."""
    return {name: str(least) for name, least in _AT_LEAST.items() if name in current and int(current[name]) < least}


def prepare(memory: Path) -> None:
    """Notes the settings in `memory`, the first time only, and raises those that are too low."""
    if not memory.exists():
        memory.write_text(json.dumps(_read_all()))
    for name, value in to_raise(_read_all()).items():
        _path(name).write_text(value)


def restore(memory: Path) -> None:
    """Sets what was noted."""
    if memory.exists():
        for name, value in json.loads(memory.read_text()).items():
            if _path(name).read_text().strip() != value:
                _path(name).write_text(value)


def _read_all() -> dict[str, str]:
    return {name: _path(name).read_text().strip() for name in (*_SET_BY_KUBELET, *_AT_LEAST) if _path(name).exists()}
