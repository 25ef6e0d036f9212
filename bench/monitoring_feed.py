"""`python -m bench.monitoring_feed`: model servers that are monitored, as many as addresses are asked.

All of 127.0.0.0/8 is this machine, so one process answers for every simulated pod: with counts of 30 features in 22
cells, which grow from reading to reading. Gzipped for who accepts that, as the real server does it.
"""

import argparse
import asyncio
import zlib
from collections import Counter
from typing import Final

import numpy as np
import orjson
from aiohttp import web

from modelway.api.observations import FORMAT, PATH
from modelway.stats.drift_cells import FIGURES, counted
from modelway.stats.drift_reference import Feature, from_record, to_record

FEATURES: Final = 30
REVISION: Final = "6f1c2a9b"
_ROWS: Final = 1000
"""Of each pod between two readings."""
_STEPS: Final = 12
_CLASSES: Final = {"class:0": 0.9, "class:1": 0.1}


class Feed:
    """All pods."""

    def __init__(self) -> None:
        rng = np.random.default_rng(1)
        features = [_feature(f"feature number {place}", rng) for place in range(FEATURES)]
        cells = [one.cells for one in features]
        sums = [np.zeros(FIGURES + one.size, np.int64) for one in cells]
        self._inputs = []
        for step in range(_STEPS):
            sums = [total + counted(rng.normal(size=_ROWS), one) for total, one in zip(sums, cells, strict=True)]
            told = {"layout": "l1", "rows": (step + 1) * _ROWS, "skipped": 0, "refused": 0}
            told |= {"features": [total.tolist() for total in sums]}
            self._inputs.append(_document(told))
        self._answers = [
            _document(
                {
                    "answers": {key: int((step + 1) * _ROWS * share) for key, share in _CLASSES.items()},
                    "reference": {"class:0": 9000, "class:1": 1000},
                }
            )
            for step in range(_STEPS)
        ]
        reference = {"format": FORMAT, "layout": "l1", "learning": False, "uncounted": {}} | to_record(features)
        self._reference = _packed(orjson.dumps(reference))
        self._read: Counter[str] = Counter()

    async def observations(self, request: web.Request) -> web.Response:
        """What a pod tells; at each reading of its inputs more."""
        assert request.transport is not None
        address: str = request.transport.get_extra_info("sockname")[0]
        what = request.query.get("of", "answers")
        step = min(self._read[address], _STEPS - 1)
        if what == "inputs":
            self._read[address] += 1
            body = self._inputs[step]
        else:
            body = self._reference if what == "reference" else self._answers[step]
        return web.Response(body=body, headers={"content-encoding": "gzip", "content-type": "application/json"})

    @property
    def bytes_of_a_reading(self) -> int:
        """Of inputs and answers, gzipped, after some windows."""
        return len(self._inputs[-1]) + len(self._answers[-1])


def _feature(name: str, rng: np.random.Generator) -> Feature:
    edges = np.quantile(rng.normal(size=100_000), [0.001, *np.arange(1, 20) / 20, 0.999]).round(4)
    plain = {"name": name, "edges": edges.tolist(), "lowest": -6.0, "highest": 6.0, "mean": 0.0, "deviation": 1.0}
    values = rng.normal(size=10_000)
    counts = np.histogram(values, [-np.inf, *edges, np.inf])[0].tolist()
    return from_record({"features": [plain | {"counts": counts}]})[0]


def _document(told: dict[str, object]) -> bytes:
    return _packed(orjson.dumps({"format": FORMAT, "epoch": "e1", "revision": REVISION} | told))


def _packed(body: bytes) -> bytes:
    return zlib.compress(body, level=6, wbits=31)


async def _serve(port: int) -> None:
    feed = Feed()
    app = web.Application()
    app.router.add_get(PATH, feed.observations)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", port, backlog=4096).start()
    print(feed.bytes_of_a_reading, flush=True)
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.monitoring_feed", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    asyncio.run(_serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
