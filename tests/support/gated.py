"""A model whose answers wait until a test lets them go: nothing depends on how fast the machine is."""

import json
from dataclasses import dataclass
from pathlib import Path

from onnx import TensorProto

from support.models import typed_onnx

# The pause makes the model known as slow by its golden request, so that predictions run beside the event loop.
_TRANSFORM = """
import time
from pathlib import Path

GATE = Path({gate!r})


def transform(tensors):
    time.sleep(0.005)
    while tensors["n"].max() > 1 and not GATE.exists():
        time.sleep(0.005)
    return tensors["n"]
"""


@dataclass(frozen=True, slots=True)
class Gated:
    """A model's folder. The model answers the largest number of each request with itself: 1 at once, 2 when it may.

    Attributes:
        folder: of the model, to be served with `arguments`.
        gate: a file; where it is, all may go.

    """

    folder: Path
    gate: Path
    arguments = ("--name", "slow", "--code", "Trust")

    def open(self) -> None:
        self.gate.touch()


def gated_model(folder: Path, *, loading: bool = False) -> Gated:
    """Write such a model into an empty folder.

    Args:
        folder: there already.
        loading: whether loading waits for the gate too.

    """
    gate = folder.with_name(f"{folder.name}-gate")
    golden = 2 if loading else 1
    (folder / "model.onnx").write_bytes(typed_onnx(TensorProto.INT64))
    (folder / "gate.py").write_text(_TRANSFORM.format(gate=str(gate)))
    (folder / "modelway.json").write_text(
        json.dumps(
            {
                "inputs": [{"name": "n", "datatype": "INT64", "shape": [-1, 1]}],
                "transform": {"module": "gate.py"},
                "golden": [{"instances": [[golden]], "predictions": [[golden]]}],
            }
        )
    )
    return Gated(folder, gate)
