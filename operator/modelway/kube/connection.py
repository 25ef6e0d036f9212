"""How to reach an API server: address, certificate authority, credentials. Made by `controller.host` from what kopf
finds (in a pod, or a kubeconfig); used by `client`.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Final

_TOKEN_AGE: Final = 60.0
"""Seconds after which a token file is read again; the kubelet renews it long before it ends."""


@dataclass(slots=True)
class Credentials:
    """What a request says of who we are: fixed headers, or a token that is read again every minute.

    The only mutable value in this package: it remembers the token that it has read.
    """

    fixed: Mapping[str, str] = field(default_factory=dict, repr=False)
    token_file: Path | None = None
    _read: Mapping[str, str] = field(default_factory=dict, repr=False)
    _read_at: float = field(default=float("-inf"), repr=False)

    def headers(self) -> Mapping[str, str]:
        """Headers for a request made now; empty where a client certificate speaks for us."""
        if self.token_file is None:
            return self.fixed
        if monotonic() - self._read_at > _TOKEN_AGE:
            self._read = {"Authorization": f"Bearer {self.token_file.read_text().strip()}"}
            self._read_at = monotonic()
        return self._read

    def forget(self) -> None:
        """Read the token file again at the next request: the server did not accept what we have."""
        self._read_at = float("-inf")


@dataclass(frozen=True, slots=True)
class Connection:
    """One API server."""

    server: str
    """Base URL, such as `https://10.96.0.1:443`."""
    tls: ssl.SSLContext
    credentials: Credentials
