"""What tests of model formats share: a model asked for its outputs, from several threads too."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np

from modelway.server.formats.base import LoadOptions
from modelway.server.metadata import Metadata
from modelway.server.tensors import Batch


def load_saved(format_module, path, model, **metadata):
    """A model that its library saves at `path`, or bytes in its place, loaded with what modelway.json would say."""
    if isinstance(model, bytes):
        path.write_bytes(model)
    else:
        model.save_model(path)
    return format_module.load(path, LoadOptions(metadata=msgspec.convert(metadata, Metadata)))


def ask(model, rows, *wanted):
    """The outputs, or the only one, for rows of the model's one input."""
    batch = Batch({model.inputs[0].name: rows}, rows=len(rows), wanted=wanted or model.default_outputs)
    outputs = model.predict(batch)
    return next(iter(outputs.values())) if len(outputs) == 1 else outputs


def described(specs):
    return [(spec.name, spec.datatype, spec.shape) for spec in specs]


def assert_threads_agree(model, rows, *wanted):
    """Eight threads that ask for different rows at once get what one alone does."""
    pieces = [rows[start : start + 1 + start % 7] for start in range(0, len(rows), 5)]
    alone = [ask(model, piece, *wanted) for piece in pieces]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda piece: ask(model, piece, *wanted), pieces))
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one, other)


def threads_of(load, rows):
    """How many threads the library starts beside ours when it is given one, and then when it is given three."""
    started = []
    for threads in (1, 3):
        before = len(list(Path("/proc/self/task").iterdir()))
        ask(load(threads), rows)
        started.append(len(list(Path("/proc/self/task").iterdir())) - before)
    return tuple(started)
