"""A real S3 server for the cluster: versitygw over a folder, a process on this machine, a Service to the pods."""

import http.client
from dataclasses import dataclass
from pathlib import Path

from .binaries import path_of
from .certificates import Tokens
from .files import write_private
from .layout import NAMESPACE
from .processes import Processes

PORT = 7070
BUCKET = "models"
REGION = "us-east-1"
IN_CLUSTER = f"http://s3.{NAMESPACE}.svc:{PORT}"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who may use the server: one user, who may do everything."""

    access_key: str
    secret_key: str

    @classmethod
    def of(cls, tokens: Tokens) -> "Credentials":
        return cls(access_key=f"modelway{tokens.of('s3-access-key')[:12]}", secret_key=tokens.of("s3-secret-key"))

    def write_environment(self, path: Path, *, endpoint: str) -> None:
        """The names that the AWS tools, boto3 and obstore read. Sourced by a shell, read by tests."""
        lines = {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": endpoint,
            "S3_ENDPOINT_IN_CLUSTER": IN_CLUSTER,
            "S3_BUCKET": BUCKET,
        }
        write_private(path, "".join(f"{name}={value}\n" for name, value in lines.items()))


class S3:
    """The server as a process on this machine, with its bucket."""

    def __init__(self, *, address: str, folder: Path, credentials: Credentials, processes: Processes) -> None:
        self.endpoint = f"http://{address}:{PORT}"
        self.credentials = credentials
        self._address = address
        self._folder = folder
        self._processes = processes

    def start(self) -> None:
        """Returns when it answers. A folder below its root is a bucket, so the bucket is made first."""
        (self._folder / "buckets" / BUCKET).mkdir(parents=True, exist_ok=True)
        started = self._processes.start(
            "s3",
            [
                path_of("versitygw"),
                f"--port={self._address}:{PORT}",
                f"--region={REGION}",
                "--health=/healthz",
                "--keep-alive",
                "--quiet",
                "posix",
                self._folder / "buckets",
            ],
            environment={
                "ROOT_ACCESS_KEY": self.credentials.access_key,
                "ROOT_SECRET_KEY": self.credentials.secret_key,
            },
        )
        if started:
            self._processes.wait_for("s3", self.answers, seconds=30)

    def answers(self) -> bool:
        connection = http.client.HTTPConnection(self._address, PORT, timeout=2)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()
