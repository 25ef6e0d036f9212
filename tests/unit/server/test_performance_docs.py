"""The page with the figures can be written anew, as `make bench-server BENCH=--save` does."""

from pathlib import Path

from bench.server import report

PAGE = (Path(__file__).parents[3] / "docs" / "performance-server.md").read_text()


def figures():
    seen = {"per_cpu_second": 5000, "rate": 4900, "p50_ms": 3.0, "p99_ms": 7.0, "failed": 0}
    half = {"rate": 2400, "p50_ms": 1.0, "p99_ms": 3.0}
    ours = {name: seen | {"half_load": half} for name in ("1 row, JSON", "64 rows, JSON", "64 rows, binary")}
    theirs = {"1 row, JSON": seen | {"per_cpu_second": 1000, "half_load": half}}
    return {
        "machine": {"date": "2026-11-21", "cores": 2, "cpu": "test", "python": "3.11", "load_before": 0.1},
        "rounds": 5,
        "seconds": 4.0,
        "servers": {
            "modelway": {"start_s": 0.4, "memory_mib": 79.0, "note": "as it comes", "cases": ours},
            "KServe": {"start_s": 2.0, "memory_mib": 160.0, "note": "as it comes", "cases": theirs},
        },
    }


def test_the_page_has_a_place_for_the_figures_and_keeps_the_rest():
    written = report.document(figures(), PAGE)
    assert "5 rounds of 4 s" in written
    assert written.startswith(PAGE.partition("<!-- figures -->")[0])
    assert written.endswith(PAGE.partition("<!-- end of figures -->")[2])
    assert report.document(figures(), written) == written


def test_targets_that_were_not_measured_are_left_out_and_the_others_judged():
    judged = {name: met for name, _, _, met in report.targets(figures())}
    assert judged == {
        "1 row, JSON: times KServe": True,
        "1 row, JSON: p99 at half load, ms": True,
        "start, s": True,
        "memory, MiB": True,
    }
