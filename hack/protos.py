"""Writes the Python modules of the gRPC protocols from their .proto files.

python -m hack.protos            # write
python -m hack.protos --check    # compare, for CI

Only the messages: the services are put together in `server/rpc/server.py` and `observer/stream.py`, which need their
methods' names and no more.
"""

import sys
import tempfile
from importlib.resources import files as package_files
from pathlib import Path

from grpc_tools import protoc
from hack.generated import ROOT, main

PACKAGE = ROOT / "operator" / "modelway"
PROTOS = (PACKAGE / "server" / "rpc" / "inference.proto", PACKAGE / "observer" / "ext_proc.proto")


def files() -> dict[Path, str]:
    """What should be beside the .proto files.

    Raises:
        ValueError: a .proto file is wrong; protoc has said how.
    """
    return {path: text for proto in PROTOS for path, text in _made_of(proto).items()}


def _made_of(proto: Path) -> dict[Path, str]:
    with tempfile.TemporaryDirectory() as folder:
        wellknown = package_files("grpc_tools") / "_proto"
        arguments = [
            "protoc",
            f"-I{proto.parent}",
            f"-I{wellknown}",
            f"--python_out={folder}",
            f"--pyi_out={folder}",
            proto.name,
        ]
        if protoc.main(arguments):
            raise ValueError(f"{proto.name} cannot be compiled")
        return {proto.parent / made.name: made.read_text() for made in sorted(Path(folder).iterdir())}


if __name__ == "__main__":
    sys.exit(main("hack.protos", "Write the modules of the gRPC protocols.", files()))
