"""A real Prometheus, and processes with counters that it scrapes, for the length of a test."""

import contextlib
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import orjson
from hack.local.packages import FOR_METRICS, ensure

from support.ports import free_port

SCRAPE_SECONDS = 0.2
Labels = tuple[tuple[str, str], ...]


@dataclass
class Scraped:
    """A process with counters: by name and labels."""

    labels: Mapping[str, str]
    counters: dict[tuple[str, Labels], float] = field(default_factory=dict)
    port: int = 0

    def count(self, name: str, number: float = 1, **labels: str) -> None:
        """Raise a counter."""
        key = name, tuple(sorted(labels.items()))
        self.counters[key] = self.counters.get(key, 0.0) + number

    def start_again(self) -> None:
        """As another process at the same address: all counters begin at 0."""
        self.counters = {}

    def exposition(self) -> bytes:
        lines = []
        for (name, labels), number in sorted(self.counters.items()):
            told = ",".join(f'{label}="{value}"' for label, value in labels)
            lines.append(f"{name}{{{told}}} {number:g}\n")
        return "".join(lines).encode()


@dataclass(frozen=True, slots=True)
class RunningPrometheus:
    """A Prometheus that scrapes."""

    url: str

    def ask(self, query: str, *, refusals: tuple[int, ...] = ()) -> list[dict[str, object]]:
        """What it says itself to any PromQL; nothing where it refuses with one of these statuses."""
        body = urllib.parse.urlencode({"query": query}).encode()
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/query", data=body, timeout=5) as answer:
                found: list[dict[str, object]] = orjson.loads(answer.read())["data"]["result"]
                return found
        except urllib.error.HTTPError as error:
            if error.code in refusals:
                return []
            raise

    def wait_for(self, query: str, *, seconds: float = 20.0) -> None:
        """Until a query has an answer."""
        _until(lambda: bool(self.ask(query)), seconds, f"Prometheus never answered {query}")


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A scraper that has given up is no error.

        And nothing is printed: a traceback is told by parsing the source, which CPython 3.11 must not do in two
        threads at once (https://github.com/python/cpython/issues/106905).
        """


@contextlib.contextmanager
def scraped_process(**labels: str) -> Iterator[Scraped]:
    """A process that is to be scraped with these labels, which stand for those of its pod."""
    process = Scraped(labels)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = process.exposition()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = _Server(("127.0.0.1", 0), Handler)
    process.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield process
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def prometheus(folder: Path, *processes: Scraped) -> Iterator[RunningPrometheus]:
    """A Prometheus that scrapes the processes five times a second; ends with the block."""
    ensure(FOR_METRICS, lambda _: None)
    port = free_port()
    config = folder / "prometheus.json"  # JSON is YAML
    config.write_bytes(orjson.dumps(_configuration(processes)))
    url = f"http://127.0.0.1:{port}"
    command = [shutil.which("prometheus") or "prometheus", f"--config.file={config}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", f"--storage.tsdb.path={folder / 'data'}"]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            _until(lambda: _is_ready(url, process), 30.0, "Prometheus never got ready")
            yield RunningPrometheus(url)
        finally:
            process.kill()
            process.wait()


def _configuration(processes: tuple[Scraped, ...]) -> dict[str, object]:
    interval = f"{round(1000 * SCRAPE_SECONDS)}ms"
    return {
        "global": {"scrape_interval": interval, "scrape_timeout": interval},
        "scrape_configs": [
            {
                "job_name": "pods",
                "static_configs": [
                    {"targets": [f"127.0.0.1:{one.port}"], "labels": dict(one.labels)} for one in processes
                ],
            }
        ],
    }


def _is_ready(url: str, process: "subprocess.Popen[bytes]") -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"prometheus ended at once with {process.returncode}; see prometheus.log")
    try:
        with urllib.request.urlopen(f"{url}/-/ready", timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _until(is_true: Callable[[], bool], seconds: float, complaint: str) -> None:
    deadline = time.monotonic() + seconds
    while not is_true():
        if time.monotonic() > deadline:
            raise AssertionError(complaint)
        time.sleep(0.05)
