r"""A bounded, steady load on an HTTP endpoint, with nothing but the standard library.

    python load.py --url http://iris/v1/models/iris:predict --body '{"instances": [[5.1, 3.5, 1.4, 0.2]]}' \
        --rate 100 --seconds 30 --connections 8

With `--bodies FILE`, a JSON list, each request posts the next one, over and over.

Prints one JSON object a second with the counts so far, and a last one with `"done": true`. A request that finds its
connection closed while it was idle is sent once more on a new one, as HTTP clients do; every other error counts as a
failed request, and what was answered to the first of them is told.
"""

import argparse
import http.client
import json
import threading
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

FAILURES_TOLD = 8
LONGEST_SECONDS = 3600
HIGHEST_RATE = 2000


class Load:
    """What the connections share: the schedule and the counts."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.bodies = _bodies(arguments)
        self.began = time.monotonic()
        self.sent = 0
        self.codes: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        self.seconds: list[float] = []
        self.failures: list[dict[str, object]] = []
        self.lock = threading.Lock()

    def next_slot(self) -> tuple[float, bytes] | None:
        """When the next request is due, on the monotonic clock, and what it posts; None when the load is over."""
        with self.lock:
            due = self.began + self.sent / self.arguments.rate
            if due - self.began >= self.arguments.seconds:
                return None
            self.sent += 1
            return due, self.bodies[self.sent % len(self.bodies)]

    def count(self, outcome: str, seconds: float, answer: bytes) -> None:
        label = ""
        if self.arguments.count_by:
            try:
                label = str(json.loads(answer).get(self.arguments.count_by))
            except ValueError:
                label = "unreadable"
        with self.lock:
            self.codes[outcome] += 1
            self.seconds.append(seconds)
            if outcome != "200" and len(self.failures) < FAILURES_TOLD:
                at = round(time.monotonic() - self.began, 2)
                self.failures.append({"at": at, "outcome": outcome, "answer": answer[:200].decode(errors="replace")})
            if label:
                self.answers[label] += 1

    def summary(self, *, done: bool) -> str:
        with self.lock:
            times = sorted(self.seconds) or [0.0]
            requests, good = sum(self.codes.values()), self.codes["200"]
            figures = {
                "requests": requests,
                "failed": requests - good,
                "codes": dict(self.codes),
                "p50_ms": round(1000 * times[len(times) // 2], 1),
                "p99_ms": round(1000 * times[int(len(times) * 0.99)], 1),
                "done": done,
            }
            if self.failures:
                figures["failures"] = self.failures
            if self.answers:
                figures["answers"] = dict(self.answers)
            return json.dumps(figures)


def _bodies(arguments: argparse.Namespace) -> list[bytes]:
    if arguments.bodies is None:
        return [arguments.body.encode()]
    return [json.dumps(body).encode() for body in json.loads(Path(arguments.bodies).read_text())]


def client(load: Load) -> None:
    url = urlsplit(load.arguments.url)
    connection = None
    while (slot := load.next_slot()) is not None:
        due, body = slot
        time.sleep(max(0.0, due - time.monotonic()))
        began = time.monotonic()
        outcome, answer = "", b""
        for attempt in (1, 2):
            fresh = connection is None
            if connection is None:
                connection = http.client.HTTPConnection(url.hostname or "", url.port or 80, timeout=30)
            try:
                connection.request("POST", url.path, body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                answer = response.read()
                outcome = str(response.status)
                if response.will_close:
                    connection.close()
                    connection = None
                break
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError) as error:
                connection.close()
                connection = None
                outcome = type(error).__name__
                if fresh or attempt == 2:
                    break
            except OSError as error:
                connection.close()
                connection = None
                outcome = type(error).__name__
                break
        load.count(outcome, time.monotonic() - began, answer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--body", help="JSON to post")
    parser.add_argument("--bodies", help="file with a JSON list of bodies, posted in turn")
    parser.add_argument("--rate", type=float, default=50, help="requests a second (default: 50)")
    parser.add_argument("--seconds", type=float, default=30, help="length of the load (default: 30)")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--count-by", default="", help="field of the answer to count by, such as model_version")
    arguments = parser.parse_args()
    if (arguments.body is None) == (arguments.bodies is None):
        parser.error("give either --body or --bodies")
    if arguments.rate > HIGHEST_RATE or arguments.seconds > LONGEST_SECONDS:
        parser.error(f"at most {HIGHEST_RATE} requests a second for {LONGEST_SECONDS} s")

    load = Load(arguments)
    threads = [threading.Thread(target=client, args=(load,), daemon=True) for _ in range(arguments.connections)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        time.sleep(1)
        print(load.summary(done=False), flush=True)
    print(load.summary(done=True), flush=True)


if __name__ == "__main__":
    main()
