"""A PostgreSQL server for a test: Debian's own, on loopback, as a user that is not root."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hack.local.packages import FOR_DATABASES, ensure

from support.ports import free_port

_USER = "nobody"
"""Who runs it where the tests are root's: PostgreSQL refuses root."""


@dataclass(frozen=True, slots=True)
class Postgres:
    """A server with the database `shop`, owned by `alice`."""

    root: Path
    port: int
    binaries: Path
    password: str = "not-to-be-seen"
    user: str = "alice"

    def uri(self, table: str) -> str:
        return f"postgresql://127.0.0.1:{self.port}/shop/{table}"

    def environ(self) -> dict[str, str]:
        return {"PGUSER": self.user, "PGPASSWORD": self.password}

    def sql(self, text: str) -> str:
        """Do statements as the owner; what they answer, a row a line, its values with | between them."""
        command = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port), "-d", "shop"]
        told = subprocess.run(
            command, input=text, env=os.environ | self.environ(), check=False, capture_output=True, text=True
        )
        if told.returncode:
            raise RuntimeError(told.stderr)
        return told.stdout.strip()

    @contextlib.contextmanager
    def locked(self, table: str) -> Iterator[None]:
        """Somebody reads a table and lets nobody write, until the end of the block or of the server."""
        command = ["psql", "-XqAt", "-h", "127.0.0.1", "-p", str(self.port), "-d", "shop"]
        with subprocess.Popen(
            command, env=os.environ | self.environ(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as session:
            assert session.stdin is not None
            assert session.stdout is not None
            session.stdin.write(f"BEGIN; LOCK TABLE {table} IN SHARE MODE; SELECT 'locked';\n")
            session.stdin.flush()
            assert session.stdout.readline() == "locked\n"
            try:
                yield
            finally:
                session.kill()

    def start(self) -> None:
        self._control("start", "-w", "-o", f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self.root}")

    def stop(self) -> None:
        """At once, as when the power goes."""
        self._control("stop", "-m", "immediate")

    def _control(self, *arguments: str) -> None:
        log = self.root / "log"
        _as_user(str(self.binaries / "pg_ctl"), "-D", str(self.root / "data"), "-l", str(log), *arguments)


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """A server that runs until the end."""
    ensure(FOR_DATABASES, print)
    binaries = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    root = Path(tempfile.mkdtemp(prefix="modelway-postgres-"))
    try:
        server = Postgres(root, free_port(), binaries)
        secret = root / "password"
        secret.write_text(server.password)
        if os.getuid() == 0:
            for path in (root, secret):
                shutil.chown(path, _USER)
        init = ["-D", str(root / "data"), "-U", server.user, "-A", "scram-sha-256", f"--pwfile={secret}", "--no-sync"]
        _as_user(str(binaries / "initdb"), *init, "--locale=C.UTF-8", "--encoding=UTF8")
        server.start()
        try:
            subprocess.run(
                ["createdb", "-h", "127.0.0.1", "-p", str(server.port), "shop"],
                env=os.environ | server.environ(),
                check=True,
            )
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(root)


def _as_user(*command: str) -> None:
    user = {"user": _USER, "group": pwd.getpwnam(_USER).pw_gid, "extra_groups": []} if os.getuid() == 0 else {}
    told = subprocess.run(command, check=False, capture_output=True, text=True, cwd="/", **user)
    if told.returncode:
        raise RuntimeError(f"{command[0]}: {told.stderr or told.stdout}")
