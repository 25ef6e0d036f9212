"""What Debian has: installed with apt-get, only where a command is missing."""

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from .commands import attempt, run
from .errors import LocalClusterError
from .nodeconfig import CNI_PLUGINS
from .progress import Say

FOR_CLUSTER: Mapping[str, str] = MappingProxyType(
    {
        "containerd": "containerd",
        "runc": "runc",
        str(CNI_PLUGINS / "bridge"): "containernetworking-plugins",
        "nft": "nftables",
        "iptables": "iptables",
        "conntrack": "conntrack",
        "modprobe": "kmod",
        "ip": "iproute2",
        "nsenter": "util-linux",
        "openssl": "openssl",
    }
)
"""A command, or a file, and the package that brings it."""

FOR_IMAGES: Mapping[str, str] = MappingProxyType({"buildah": "buildah", "debootstrap": "debootstrap"})

FOR_METRICS: Mapping[str, str] = MappingProxyType({"prometheus": "prometheus"})
"""What tests ask for the counters of a rollout; its source takes long to build, for all the clouds in it."""

FOR_DATABASES: Mapping[str, str] = MappingProxyType({"psql": "postgresql", "pg_ctlcluster": "postgresql"})
"""What tests of batch runs over tables start."""

_NO_SERVICES = Path("/usr/sbin/policy-rc.d")


def ensure(wanted: Mapping[str, str], say: Say) -> None:
    """Installs what is missing. Brings the package lists up to date only when the first try fails."""
    if not (missing := missing_packages(wanted)):
        return
    if not shutil.which("apt-get"):
        raise LocalClusterError(
            f"The local cluster needs {', '.join(missing)}, and installs packages on Debian and Ubuntu only: "
            "install them yourself, or use CLUSTER=kind with Docker."
        )
    say(f"installing {', '.join(missing)} with apt-get (about 30 s) …")
    command = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *missing]
    with _without_starting_services():
        if attempt("env", "DEBIAN_FRONTEND=noninteractive", *command).returncode:
            run("apt-get", "update", "--quiet")
            run("env", "DEBIAN_FRONTEND=noninteractive", *command)
    if missing := missing_packages(wanted):
        raise LocalClusterError(f"apt-get installed {', '.join(missing)}, and what they bring is still not there.")


def missing_packages(wanted: Mapping[str, str]) -> list[str]:
    return sorted({package for thing, package in wanted.items() if not _is_there(thing)})


def _is_there(thing: str) -> bool:
    if thing.startswith("/"):
        return Path(thing).exists()
    return bool(shutil.which(thing, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"))


@contextlib.contextmanager
def _without_starting_services() -> Iterator[None]:
    """Debian starts a service when it installs one; the cluster runs its own containerd and wants no other."""
    if _NO_SERVICES.exists():
        yield
        return
    _NO_SERVICES.write_text(
        "#!/bin/sh\n# Written by modelway's local cluster while it installs packages; safe to delete.\nexit 101\n"
    )
    _NO_SERVICES.chmod(0o755)
    try:
        yield
    finally:
        _NO_SERVICES.unlink()
