"""What the documented examples of Argo Rollouts and Flagger decide, re-implemented from their documentation.

Both look at the candidate alone and compare the success rate of a short window with a fixed number. Where their
documentation leaves something open it is read in their favour.
"""

import numpy as np

Generator = np.random.Generator

_ARGO_WEIGHTS = (0.2, 0.4, 0.6, 0.8)
_ARGO_FAILURES = 3
_FLAGGER_STEP, _FLAGGER_MOST = 0.05, 0.50
_FLAGGER_FAILURES = 10


def argo(rng: Generator, runs: int, traffic: float, bad_share: float, *, least: float = 0.95) -> np.ndarray:
    """Which runs Argo Rollouts aborts, with the background analysis of its documentation.

    docs/features/analysis.md, "Background Analysis": weights 20, 40, 60, 80 % for 10 minutes each, from the second on a
    measurement every 5 minutes with `successCondition: result >= 0.95` and `failureLimit: 3`, which more than three
    failed measurements exceed. A window without requests is taken as no measurement; the query's `irate`, which sees
    the last two scrapes only, as the whole 5 minutes.

    Args:
        rng: chance.
        runs: how many.
        traffic: requests per second.
        bad_share: of the candidate.
        least: the success rate asked for.

    """
    failed = np.zeros(runs, dtype=int)
    for minute in range(10, 40, 5):
        weight = _ARGO_WEIGHTS[(minute - 1) // 10]
        good = rng.poisson(traffic * weight * 300.0 * (1.0 - bad_share), runs)
        total = good + rng.poisson(traffic * weight * 300.0 * bad_share, runs)
        failed += (total > 0) & (good < least * total)
    return failed > _ARGO_FAILURES


def flagger(rng: Generator, runs: int, traffic: float, bad_share: float, *, least: float = 0.99) -> np.ndarray:
    """Which runs Flagger rolls back, with the analysis of its documentation.

    docs/gitbook/usage/how-it-works.md: `interval: 1m`, `threshold: 10`, `maxWeight: 50`, `stepWeight: 5`,
    `request-success-rate` of at least 99 over 1 minute. A failed check holds the weight, ten of them roll back, a
    passed one raises it, and promotes at the largest. Without requests the check fails: "Halt advancement no values
    found for metric request-success-rate probably … is not receiving traffic", its controller's own event.

    Args:
        rng: chance.
        runs: how many.
        traffic: requests per second.
        bad_share: of the candidate.
        least: the success rate asked for.

    """
    weight, failed = np.full(runs, _FLAGGER_STEP), np.zeros(runs, dtype=int)
    promoted = np.zeros(runs, dtype=bool)
    while (going := ~promoted & (failed < _FLAGGER_FAILURES)).any():
        good = rng.poisson(traffic * weight * 60.0 * (1.0 - bad_share))
        total = good + rng.poisson(traffic * weight * 60.0 * bad_share)
        passed = going & (total > 0) & (good >= least * total)
        failed += going & ~passed
        promoted |= passed & (weight > _FLAGGER_MOST - _FLAGGER_STEP / 2)
        weight = np.where(passed, np.minimum(weight + _FLAGGER_STEP, _FLAGGER_MOST), weight)
    return ~promoted
