"""`make fuzz`: each part for so many minutes; ends with 1 when one found something, and says where the input is.

What leads somewhere new is kept in .local/fuzz, so that the next run goes on from there.
"""

import argparse
import importlib.util
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fuzz import http
from fuzz.mutation import LONGEST, mutated
from fuzz.targets import TARGETS

KEPT = Path(".local/fuzz")
_ROUNDS = 5  # of asking a live server, at least; memory is compared between the first and the last


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="for each part")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of api, {', '.join(TARGETS)}; all when left out")
    options = parser.parse_args()
    if unknown := set(options.parts) - {"api", *TARGETS}:
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are api, {', '.join(TARGETS)}")
    found = []
    for part in options.parts or ["api", *TARGETS]:
        print(f"{part}: {options.minutes:g} min …", flush=True)
        problem = _api(options.minutes) if part == "api" else _reader(part, options.minutes)
        print(f"{part}: {problem or 'nothing found'}", flush=True)
        found += [part] if problem else []
    return 1 if found else 0


def _api(minutes: float) -> str:
    """What was found by asking a live server, and whether its memory grew; empty when nothing."""
    end = time.monotonic() + minutes * 60
    with tempfile.TemporaryDirectory() as folder, http.iris_server(Path(folder)) as server:
        before = 0
        while (left := end - time.monotonic()) > 0:
            # Each round has a new seed; the first one fills the server's caches.
            seconds = max(int(min(left, minutes * 60 / _ROUNDS)), 5)
            done = http.ask(server, "--max-examples", "500", "--max-time", str(seconds))
            if done.returncode:
                return done.stdout
            before = before or http.resident(server)
        grown = http.resident(server) - before
        print(f"api: the server's memory grew by {grown / 2**20:.1f} MiB after the first round")
        return f"the server's memory grew by {grown} bytes" if grown > http.MOST_GROWTH else ""


def _reader(name: str, minutes: float) -> str:
    if importlib.util.find_spec("atheris") is None:  # has no wheels but for Linux on x86
        return _unguided(name, minutes)
    corpus = KEPT / name
    corpus.mkdir(parents=True, exist_ok=True)
    for index, seed in enumerate(TARGETS[name].seeds):
        (corpus / f"seed-{index}").write_bytes(seed)
    words = corpus.with_suffix(".dict")
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in TARGETS[name].words))
    limits = [f"-max_total_time={int(minutes * 60)}", f"-max_len={LONGEST}", "-rss_limit_mb=1024", "-timeout=10"]
    places = [f"-dict={words}", f"-artifact_prefix={corpus}-", str(corpus)]
    command = [sys.executable, "-m", "fuzz.guided", name, *limits, *places]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False
    )
    if done.returncode:
        return done.stdout[-6000:]
    if runs := re.search(r"Done (\d+) runs", done.stdout):
        print(f"{name}: {int(runs[1]):,} inputs")
    return ""


def _unguided(name: str, minutes: float) -> str:
    end, seed, count = time.monotonic() + minutes * 60, int(time.time()), 0
    while time.monotonic() < end:
        seed += 1
        for data in mutated(TARGETS[name], 1000, seed=seed):
            try:
                TARGETS[name].run(data)
            except Exception as error:  # noqa: BLE001 whatever it is, it was found
                return f"{type(error).__name__}: {error}, on {data!r}"
        count += 1000
    print(f"{name}: {count:,} inputs, not guided by coverage: atheris has no wheel for this machine")
    return ""


def _escaped(word: bytes) -> str:
    """As libFuzzer's dictionaries have bytes."""
    return "".join(f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    sys.exit(main())
