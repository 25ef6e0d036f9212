"""Writing files whole or not at all, and not at all when they are as they should be.

The second matters as much as the first: kube-proxy ends itself when its configuration file is written, whatever is in
it.
"""

import json
from pathlib import Path
from typing import Any


def write_text(path: Path, text: str, *, mode: int = 0o644) -> Path:
    """Makes the file have this text and mode. A reader sees the old file or the new one, never a part."""
    if path.exists() and path.read_text() == text and path.stat().st_mode & 0o777 == mode:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode=0o600)  # private before there is anything to read
    unfinished.write_text(text)
    unfinished.chmod(mode)
    return unfinished.replace(path)


def write_private(path: Path, text: str) -> Path:
    """A file that only its owner may read."""
    return write_text(path, text, mode=0o600)


def write_json(path: Path, content: Any) -> Path:
    """A configuration file; JSON is YAML to all of Kubernetes."""
    return write_text(path, json.dumps(content, indent=2) + "\n")
