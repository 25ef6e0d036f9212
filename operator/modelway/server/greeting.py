"""What a person at a terminal is told when the model is served: where, and a request to try."""

import json

from modelway.server.loading import Loaded
from modelway.server.options import ServerOptions
from modelway.server.pace import zeros
from modelway.server.tensors import Batch

_EVERYWHERE = ("0.0.0.0", "::", "")
_LONGEST = 2000  # bytes of a request that anybody would paste


def text(loaded: Loaded, options: ServerOptions) -> str:
    """The greeting: an address to open and a command to paste."""
    host = "localhost" if options.host in _EVERYWHERE else options.host
    url = f"http://[{host}]:{options.port}" if ":" in host else f"http://{host}:{options.port}"
    version = f", version {loaded.version}" if loaded.version else ""
    lines = [f"{options.name} ({loaded.format}{version}) is served at {url}"]
    body = json.dumps({"instances": [_row(loaded.sample or zeros(loaded.model))]}, ensure_ascii=False)
    if len(body) <= _LONGEST:
        quoted = body.replace("'", "'\\''")
        lines += ["Try it:", f"  curl {url}/v1/models/{options.name}:predict -d '{quoted}'"]
    return "\n".join(["", *lines, "Ctrl-C ends it.", ""])


def _row(batch: Batch) -> object:
    """The first row, as V1 writes one."""
    values = {name: array[0].tolist() if array.ndim else array.tolist() for name, array in batch.tensors.items()}
    if len(values) == 1:
        return next(iter(values.values()))
    # What a table's column of one value per row is in V1.
    return {name: value[0] if isinstance(value, list) and len(value) == 1 else value for name, value in values.items()}
