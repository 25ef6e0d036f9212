"""The figures for people, and the targets that they are held against."""

from typing import Any

_CASES = ("1 row, JSON", "64 rows, JSON", "64 rows, binary", "1 row, gRPC", "64 rows, gRPC")
_OURS = "modelway"
_BEGIN, _END = "<!-- figures -->", "<!-- end of figures -->"
_YARDSTICKS = ("modelway on uvicorn", "onnxruntime in ASGI")  # no servers that anybody would run


def table(figures: dict[str, Any]) -> str:
    """One table for each kind of request, one for starts and memory, one for the forest, and the targets."""
    servers = figures["servers"]
    parts = [_case(servers, case) for case in _CASES if any(case in one["cases"] for one in servers.values())]
    parts.append(_lines(("start and memory", "start s", "MiB", ""), [
        (name, f"{one['start_s']:.2f}", f"{one['memory_mib']:.0f}", one["note"]) for name, one in servers.items()
    ]))  # fmt: skip
    if "forest" in figures:
        parts.append(_forest(figures["forest"]))
    parts.append(
        _lines(
            ("target", "wanted", "got", ""),
            [(name, wanted, got, "yes" if met else "NO") for name, wanted, got, met in targets(figures)],
        )
    )
    return "\n\n".join(parts)


def document(figures: dict[str, Any], text: str) -> str:
    """A page with the figures between its marks replaced by these."""
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"the page has no {_BEGIN} and {_END}")
    machine = figures["machine"]
    said = (
        f"{machine['date']}, {machine['cores']} cores of {machine['cpu']}, Python {machine['python']}, load average "
        f"{machine['load_before']:.1f} before; {figures['rounds']} rounds of {figures['seconds']:g} s."
    )
    return f"{before}{begin}\n{said}\n\n```\n{table(figures)}\n```\n{end}{after}"


def targets(figures: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    """What the server is to reach: name, wanted, got, whether it was reached. Targets not measured are left out."""
    servers = figures["servers"]
    found = []
    for case, peers, factor in (
        ("1 row, JSON", ("KServe", "KServe, quiet"), 5),
        ("1 row, JSON", ("MLServer",), 5),
        ("1 row, JSON", ("Flask, gunicorn sync", "Flask, gunicorn threads"), 4),
        ("1 row, JSON", ("FastAPI, pydantic",), 2),
        ("64 rows, JSON", ("KServe", "KServe, quiet"), 4),
        ("64 rows, JSON", ("MLServer",), 3),
    ):
        for peer in peers:
            ratio = _ratio(servers, case, peer, case)
            if ratio is not None:
                found.append((f"{case}: times {peer}", f">= {factor}", f"{ratio:.1f}", ratio >= factor))
    ratio = _ratio(servers, "64 rows, binary", "KServe", "64 rows, JSON")
    if ratio is not None:
        found.append(("64 rows, binary: times KServe's JSON", ">= 10", f"{ratio:.1f}", ratio >= 10))
    for case in _CASES[:2]:
        peers = {name: one for name, one in servers.items() if name not in _YARDSTICKS}
        tails = {name: one["cases"].get(case, {}).get("half_load", {}).get("p99_ms") for name, one in peers.items()}
        best = min((tail for name, tail in tails.items() if tail and name != _OURS), default=None)
        if best is not None and tails.get(_OURS):
            found.append((f"{case}: p99 at half load, ms", f"<= {best:g}", f"{tails[_OURS]:g}", tails[_OURS] <= best))
    if _OURS in servers:
        start, memory = servers[_OURS]["start_s"], servers[_OURS]["memory_mib"]
        found.append(("start, s", "<= 0.5", f"{start:.2f}", start <= 0.5))
        found.append(("memory, MiB", "<= 80", f"{memory:.0f}", memory <= 80))
    if "forest" in figures:
        plain, batched, converted = (one["rows_per_second"] for one in figures["forest"].values())
        found.append(("forest: converted, times", ">= 100", f"{converted / plain:.0f}", converted / plain >= 100))
        found.append(("forest: micro-batching, times", ">= 10", f"{batched / plain:.0f}", batched / plain >= 10))
    return found


def _ratio(servers: dict[str, Any], case: str, peer: str, peers_case: str) -> float | None:
    try:
        ours = servers[_OURS]["cases"][case]["per_cpu_second"]
        return float(ours / servers[peer]["cases"][peers_case]["per_cpu_second"])
    except KeyError:
        return None


def _case(servers: dict[str, Any], case: str) -> str:
    rows = []
    for name, one in servers.items():
        if case not in one["cases"]:
            continue
        seen = one["cases"][case]
        half = seen.get("half_load", {})
        rows.append((
            name, f"{seen['per_cpu_second']:,}", f"{seen['rate']:,}", f"{seen['p50_ms']:.2f}", f"{seen['p99_ms']:.2f}",
            f"{half['rate']:,}" if half else "", f"{half['p99_ms']:.2f}" if half else "", str(seen["failed"]),
        ))  # fmt: skip
    head = (case, "requests/CPU s", "requests/s", "p50 ms", "p99 ms", "half load/s", "its p99 ms", "failed")
    return _lines(head, rows)


def _forest(figures: dict[str, Any]) -> str:
    rows = [
        (name, *(f"{one[key]:,}" for key in ("rows_per_second", "rows_per_cpu_second", "p50_ms", "p99_ms")))
        for name, one in figures.items()
    ]
    return _lines(("100 trees, 64 clients", "rows/s", "rows/CPU s", "p50 ms", "p99 ms"), rows)


def _lines(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    widths = [max(len(line[column]) for line in (head, *rows)) for column in range(len(head))]
    rule = tuple("-" * width for width in widths)
    return "\n".join(
        f"{first:<{widths[0]}}  " + "  ".join(f"{cell:>{width}}" for cell, width in zip(rest, widths[1:], strict=True))
        for first, *rest in (head, rule, *rows)
    )
