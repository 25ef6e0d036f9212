"""A container's last words, in the file that the kubelet reads when it ends.

The operator has no other channel to a pod: what is written here becomes the digest in `status`, or `status.failure`.
The kubelet keeps 4,096 bytes of it (and cuts anything longer in the middle of the JSON), so messages are shortened
here instead.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from modelway.artifacts.errors import ModelwayError

DEFAULT_PATH = Path("/dev/termination-log")
MAX_BYTES: Final = 4096


def say(last_words: Mapping[str, object], *, environ: Mapping[str, str] = os.environ) -> None:
    """Write `last_words` as JSON; a file that cannot be written is none, as outside Kubernetes.

    The kubelet mounts the default file before the container starts. Where it does not exist it is not created: on a
    workstation it would be a stray file in /dev.
    """
    named = environ.get("MODELWAY_TERMINATION_LOG")
    path = Path(named) if named else DEFAULT_PATH
    if not named and not path.exists():
        return
    with contextlib.suppress(OSError):
        path.write_bytes(_fit(last_words))


def say_failure(error: ModelwayError, *, environ: Mapping[str, str] = os.environ) -> None:
    """Write an error's reason and message."""
    say({"reason": str(error.reason), "message": error.message}, environ=environ)


def _fit(words: Mapping[str, object]) -> bytes:
    encoded = orjson.dumps(words)
    fitting: Any = orjson.loads(encoded)
    while len(encoded) > MAX_BYTES:
        holder, key = max(_texts(fitting), key=lambda place: len(place[0][place[1]]))
        text = holder[key]
        holder[key] = text[: max(len(text) - (len(encoded) - MAX_BYTES) - 4, len(text) // 2)] + "…"
        encoded = orjson.dumps(fitting)
    return encoded


def _texts(holder: Any) -> Iterator[tuple[Any, Any]]:
    """Where all texts are: the object or list, and the key."""
    for key, value in holder.items() if isinstance(holder, dict) else enumerate(holder):
        if isinstance(value, str):
            yield holder, key
        elif isinstance(value, (dict, list)):
            yield from _texts(value)
