"""Writes the Python modules of the gRPC protocol from its .proto file.

python -m hack.protos            # write
python -m hack.protos --check    # compare, for CI

Only the messages: the service is put together in `server/rpc/server.py`, which needs its methods' names and no more.
"""

import sys
import tempfile
from importlib.resources import files as package_files
from pathlib import Path

from grpc_tools import protoc
from hack.generated import ROOT, main

FOLDER = ROOT / "operator" / "modelway" / "server" / "rpc"
PROTO = FOLDER / "inference.proto"


def files() -> dict[Path, str]:
    """What should be beside the .proto file.

    Raises:
        ValueError: the .proto file is wrong; protoc has said how.
    """
    with tempfile.TemporaryDirectory() as folder:
        wellknown = package_files("grpc_tools") / "_proto"
        arguments = [
            "protoc",
            f"-I{FOLDER}",
            f"-I{wellknown}",
            f"--python_out={folder}",
            f"--pyi_out={folder}",
            PROTO.name,
        ]
        if protoc.main(arguments):
            raise ValueError(f"{PROTO.name} cannot be compiled")
        return {FOLDER / made.name: made.read_text() for made in sorted(Path(folder).iterdir())}


if __name__ == "__main__":
    sys.exit(main("hack.protos", "Write the modules of the gRPC protocol.", files()))
