"""A short run of what `make fuzz` does for minutes, with a fixed seed, so that what it finds everybody finds."""

import gc
import tracemalloc

import pytest

from fuzz.mutation import mutated
from fuzz.targets import TARGETS

COUNTS = dict.fromkeys(TARGETS, 15_000) | {"pfa": 5000, "metadata": 3000}


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.timeout(60)
def test_whatever_is_read_is_read_or_refused(name):
    target = TARGETS[name]
    for data in mutated(target, COUNTS[name], seed=1):
        try:
            target.run(data)
        except Exception as error:
            raise AssertionError(f"{name} fails on {data!r}") from error


@pytest.mark.parametrize("name", TARGETS)
def test_what_was_read_leaves_nothing_in_memory(name):
    target = TARGETS[name]
    inputs = list(mutated(target, 300, seed=2))

    def held():
        for data in inputs:
            target.run(data)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    held()  # caches of the libraries are full after this
    tracemalloc.start()
    try:
        first = held()
        assert held() - first < 20_000
    finally:
        tracemalloc.stop()
