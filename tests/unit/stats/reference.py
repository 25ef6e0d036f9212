"""The e-processes once more, as slowly and plainly as they are defined: what `stats.evidence` is compared with."""

import math
from collections.abc import Sequence

STRENGTHS = (1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
Window = tuple[int, int, int, int]
"""Requests and bad ones of the candidate, requests and bad ones of the stable revision."""


def log_e_value(window: Window, a_c: float, a_s: float, margin: float) -> float:
    n_c, x_c, n_s, x_s = window
    low, high = 0.0, 1.0 - margin
    for _ in range(200):
        q = (low + high) / 2
        slope = n_c * (q + margin - a_c) * q * (1 - q) + n_s * (q - a_s) * (q + margin) * (1 - q - margin)
        low, high = (q, high) if slope < 0 else (low, q)
    gain = (
        _log_likelihood(n_c, x_c, a_c)
        + _log_likelihood(n_s, x_s, a_s)
        - _log_likelihood(n_c, x_c, high + margin)
        - _log_likelihood(n_s, x_s, high)
    )
    return min(gain, 4.0)


def log_harm(windows: Sequence[Window], margin: float) -> float:
    """The mean over alternatives and over beginnings: half before the first window, the rest after each in turn."""
    kept = [
        0.5 / (1 + math.log2(1 + sum(window[0] for window in windows[:count]) / 100))
        for count in range(len(windows) + 1)
    ]
    total = 0.0
    for strength in STRENGTHS:
        steps = [_harm_step(windows, count, strength, margin) for count in range(len(windows))]
        total += 0.5 * math.exp(math.fsum(steps)) + kept[-1]
        for begin in range(1, len(windows) + 1):
            total += (kept[begin - 1] - kept[begin]) * math.exp(math.fsum(steps[begin:]))
    return math.log(total / len(STRENGTHS))


def log_safe(windows: Sequence[Window], margin: float) -> float:
    total = 0.0
    for count in range(1, len(windows)):
        past = windows[:count]
        requests, bad = sum(n_c + n_s for n_c, _, n_s, _ in past), sum(x_c + x_s for _, x_c, _, x_s in past)
        if requests:
            share = (bad + 0.5) / (requests + 1)
            total += log_e_value(windows[count], share, share, margin)
    return total


def _harm_step(windows: Sequence[Window], count: int, strength: float, margin: float) -> float:
    past = windows[:count]
    requests, bad = sum(window[2] for window in past), sum(window[3] for window in past)
    if not requests:
        return 0.0
    base = (bad + 0.5) / (requests + 1)
    worse = min(base + strength * margin, 1 - 1e-5)
    return log_e_value(windows[count], worse, base, margin) if worse > base + margin else 0.0  # no room for worse


def _log_likelihood(requests: int, bad: int, share: float) -> float:
    return (bad * math.log(share) if bad else 0.0) + ((requests - bad) * math.log1p(-share) if bad < requests else 0.0)
