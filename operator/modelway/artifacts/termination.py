"""A container's last words, in the file that the kubelet reads when it ends.

The operator has no other channel to a pod: what is written here becomes the digest in `status`, or `status.failure`.
The kubelet keeps 4,096 bytes of it (and cuts anything longer in the middle of the JSON), so messages are shortened
here instead.
"""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

import orjson

from modelway.artifacts.errors import ModelwayError

DEFAULT_PATH = Path("/dev/termination-log")
MAX_BYTES = 4096


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
        path.write_bytes(_fit(dict(last_words)))


def say_failure(error: ModelwayError, *, environ: Mapping[str, str] = os.environ) -> None:
    """Write an error's reason and message."""
    say({"reason": str(error.reason), "message": error.message}, environ=environ)


def _fit(words: dict[str, object]) -> bytes:
    encoded = orjson.dumps(words)
    while len(encoded) > MAX_BYTES:
        longest = max((key for key, value in words.items() if isinstance(value, str)), key=lambda k: len(str(words[k])))
        text = str(words[longest])
        words[longest] = text[: max(len(text) - (len(encoded) - MAX_BYTES) - 4, len(text) // 2)] + "…"
        encoded = orjson.dumps(words)
    return encoded
