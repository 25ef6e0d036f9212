import os

import pytest

from modelway.server import cpu


@pytest.fixture
def cgroup(tmp_path):
    def make(**files: str):
        for name, content in files.items():
            path = tmp_path / name.replace("__", "/")
            path.parent.mkdir(exist_ok=True)
            path.write_text(content)
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "200000 100000\n"}, 2.0),
        ({"cpu.max": "50000 100000\n"}, 0.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu__cpu.cfs_quota_us": "150000\n", "cpu__cpu.cfs_period_us": "100000\n"}, 1.5),
        ({"cpu__cpu.cfs_quota_us": "-1\n", "cpu__cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
    ids=["v2", "v2 half", "v2 none", "v1", "v1 none", "no cgroup"],
)
def test_the_limit_is_read(cgroup, files, cores):
    assert cpu.limit(cgroup(**files)) == cores


@pytest.mark.parametrize(
    ("quota", "threads", "concurrency"),
    [("50000", 1, 2), ("100000", 1, 2), ("150000", 2, 2), ("400000", 4, 4), ("9900000", 16, 16), ("max", 1, 8)],
)
def test_threads_follow_the_limit(cgroup, monkeypatch, quota, threads, concurrency):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))
    root = cgroup(**{"cpu.max": f"{quota} 100000"})
    assert cpu.default_threads(root) == threads
    assert cpu.default_concurrency(root) == concurrency
