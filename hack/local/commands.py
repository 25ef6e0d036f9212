"""Running other programs to their end."""

import subprocess
from pathlib import Path

from .errors import LocalClusterError


def run(*command: str | Path, stdin: str | None = None, namespace: str | None = None) -> str:
    """What the command printed. Raises LocalClusterError with its last words when it fails.

    `namespace` is the network namespace to run it in.
    """
    done = attempt(*command, stdin=stdin, namespace=namespace)
    if done.returncode:
        words = (done.stderr or done.stdout).strip()[-2000:]
        raise LocalClusterError(f"{' '.join(map(str, command))}\nfailed with status {done.returncode}: {words}")
    return done.stdout


def succeeds(*command: str | Path, namespace: str | None = None) -> bool:
    """Whether the command ends well. A command that is not installed does not."""
    try:
        return attempt(*command, namespace=namespace).returncode == 0
    except LocalClusterError:
        return False


def attempt(
    *command: str | Path, stdin: str | None = None, namespace: str | None = None
) -> subprocess.CompletedProcess[str]:
    """`run` for a command that may fail; the caller looks at the result."""
    inside = ["nsenter", f"--net=/run/netns/{namespace}", "--"] if namespace else []
    try:
        return subprocess.run([*inside, *map(str, command)], input=stdin, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise LocalClusterError(f"The command {command[0]} is missing on this machine.") from None
