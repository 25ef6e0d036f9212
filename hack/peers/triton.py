"""A real Triton server from PyPI: the binary inside nvidia-pytriton's wheel, with the Python backend on onnxruntime.

Used by the conformance tests and the benchmark. The wheel's own wrapper is left aside: the binary needs only its
libraries, those of Python, and a folder with the backend and the stub that fits the Python.
"""

import os
import shutil
import sys
from pathlib import Path

from .install import environment

_MODEL = Path(__file__).with_name("triton_model.py")
_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


def add_onnx_model(repository: Path, name: str, onnx: bytes) -> None:
    """Put a model into a model repository, as version 1; Triton asks it for its inputs and outputs."""
    version = repository / name / "1"
    version.mkdir(parents=True)
    (version / "model.onnx").write_bytes(onnx)
    shutil.copy(_MODEL, version / "model.py")
    (version.parent / "config.pbtxt").write_text(f'name: "{name}"\nbackend: "python"\nmax_batch_size: 0\n')


def command(
    repository: Path, *, http_port: int, grpc_port: int, metrics_port: int | None = None
) -> tuple[list[str], dict[str, str]]:
    """How to start Triton on loopback with all models of the repository: arguments and environment.

    It answers `/v2/health/ready` when it is. The group `triton` has to be installed.
    """
    here = environment("triton")
    packages = here / "lib" / f"python{_VERSION}" / "site-packages"
    triton = packages / "pytriton" / "tritonserver"
    metrics = ["--allow-metrics=true", f"--metrics-port={metrics_port}"] if metrics_port else ["--allow-metrics=false"]
    arguments = [
        str(triton / "bin" / "tritonserver"),
        f"--model-repository={repository}",
        f"--backend-directory={_backends(here, triton)}",
        "--http-address=127.0.0.1",
        f"--http-port={http_port}",
        "--grpc-address=127.0.0.1",
        f"--grpc-port={grpc_port}",
        "--allow-gpu-metrics=false",
        *metrics,
    ]
    libraries = f"{packages / 'nvidia_pytriton.libs'}:{Path(sys.base_prefix) / 'lib'}"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    path = f"{here / 'bin'}:{environ.get('PATH', '')}"
    return arguments, environ | {"LD_LIBRARY_PATH": libraries, "PYTHONPATH": str(packages), "PATH": path}


def _backends(here: Path, triton: Path) -> Path:
    """The folder with the Python backend and the stub for this Python beside it."""
    backends = here / "triton-backends"
    python = backends / "python"
    python.mkdir(parents=True, exist_ok=True)
    sources = [*(triton / "backends" / "python").iterdir()]
    sources.append(triton / "python_backend_stubs" / _VERSION / "triton_python_backend_stub")
    for source in sources:
        link = python / source.name
        if not link.exists():
            link.unlink(missing_ok=True)
            link.symlink_to(source)
    (python / "triton_python_backend_stub").resolve().chmod(0o755)
    return backends
