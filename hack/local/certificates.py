"""Keys, certificates and tokens of one cluster.

Certificates come from the `openssl` command: Python's standard library cannot sign one, this package runs before any
virtual environment exists, and every Debian with CA certificates has openssl. People and components log in with tokens,
which need no signing; certificates are left where Kubernetes knows nothing else.
"""

import base64
import csv
import io
import json
import secrets
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import LocalClusterError
from .files import write_private

_DAYS = "3650"


@dataclass(frozen=True, slots=True)
class Certificate:
    """What one leaf certificate says. `groups` become the O of the subject, which Kubernetes reads as groups."""

    name: str
    common_name: str
    groups: Sequence[str] = ()
    names: Sequence[str] = ()
    addresses: Sequence[str] = ()
    authority: str = "ca"

    def subject(self) -> str:
        return "".join([*(f"/O={group}" for group in self.groups), f"/CN={self.common_name}"])

    def extensions(self) -> str:
        alternatives = [*(f"DNS:{name}" for name in self.names), *(f"IP:{address}" for address in self.addresses)]
        lines = ["basicConstraints=critical,CA:false", "keyUsage=critical,digitalSignature"]
        lines.append("extendedKeyUsage=" + ("serverAuth,clientAuth" if alternatives else "clientAuth"))
        if alternatives:
            lines.append("subjectAltName=" + ",".join(alternatives))
        return "\n".join(lines) + "\n"


class Authority:
    """A folder of keys and certificates. Making is idempotent: what is there stays, identities survive a restart."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def certificate(self, name: str) -> Path:
        return self.folder / f"{name}.crt"

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.key"

    def make_root(self, name: str) -> None:
        """A certificate authority of its own."""
        if self.certificate(name).exists():
            return
        extensions = ["-addext", "basicConstraints=critical,CA:true", "-addext", "keyUsage=critical,keyCertSign"]
        _openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", _DAYS,
            "-subj", f"/CN=modelway-local-{name}", "-keyout", self.key(name),
            "-out", self._unfinished(name), *extensions,
        )  # fmt: skip
        self._finish(name)

    def make(self, certificate: Certificate) -> None:
        """A leaf signed by its authority."""
        name = certificate.name
        if self.certificate(name).exists():
            return
        request = self.folder / f"{name}.csr"
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(certificate.extensions())
        _openssl(
            "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", certificate.subject(), "-keyout", self.key(name), "-out", request,
        )  # fmt: skip
        _openssl(
            "x509", "-req", "-in", request, "-days", _DAYS, "-extfile", extensions, "-out", self._unfinished(name),
            "-CA", self.certificate(certificate.authority), "-CAkey", self.key(certificate.authority),
            "-set_serial", f"0x{secrets.token_hex(16)}",
        )  # fmt: skip
        request.unlink()
        extensions.unlink()
        self._finish(name)

    def make_signing_key(self, name: str) -> tuple[Path, Path]:
        """A key pair without a certificate, private and public: for service account tokens."""
        public = self.folder / f"{name}.pub"
        if not public.exists():
            _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.key(name))
            _openssl("ec", "-in", self.key(name), "-pubout", "-out", public)
        return self.key(name), public

    def _unfinished(self, name: str) -> Path:
        return self.folder / f"{name}.unfinished"

    def _finish(self, name: str) -> None:
        # The certificate appears last and at once: when it is there, its key is whole, whenever the run was killed.
        self._unfinished(name).replace(self.certificate(name))


def _openssl(*arguments: str | Path) -> None:
    try:
        done = subprocess.run(
            ["openssl", *map(str, arguments)], capture_output=True, text=True, check=False, umask=0o077
        )
    except FileNotFoundError:
        raise LocalClusterError("The openssl command is missing: install the package openssl.") from None
    if done.returncode:
        raise LocalClusterError(f"openssl {arguments[0]} failed: {done.stderr.strip()}")


class Tokens:
    """The bearer token of each user, kept in one file; a user keeps the token over restarts."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._tokens: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}

    def of(self, user: str) -> str:
        if user not in self._tokens:
            self._tokens[user] = secrets.token_hex(20)
            write_private(self._file, json.dumps(self._tokens))
        return self._tokens[user]


def token_file(rows: Iterable[tuple[str, str, Sequence[str]]]) -> str:
    """The API server's `--token-auth-file` of (token, user, groups); the user's name serves as its uid."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for token, user, groups in rows:
        writer.writerow([token, user, user, ",".join(groups)])
    return out.getvalue()


def kubeconfig(*, server: str, authority: bytes, user: str, token: str, cluster: str) -> str:
    """A kubeconfig that stands alone: the authority's certificate is inside."""
    encoded = base64.b64encode(authority).decode()
    return f"""\
apiVersion: v1
kind: Config
clusters:
- name: {cluster}
  cluster:
    server: {server}
    certificate-authority-data: {encoded}
users:
- name: {user}
  user:
    token: {token}
contexts:
- name: {cluster}
  context:
    cluster: {cluster}
    user: {user}
current-context: {cluster}
"""
