"""When a random walk with drift reaches a level: the inverse Gaussian distribution (Wald 1947).

The log of an e-process is such a walk. Used by `forecast` only: nothing that decides depends on it.
"""

import math

import numpy as np

from modelway.stats.counts import Floats

_FAR = 10.0


def chance_of_reaching(level: Floats, drift: Floats, variance: Floats, steps: float) -> Floats:
    """P(the walk has reached `level` within `steps`); with infinitely many it may still be less than 1.

    Φ((drift·n - level)/√(variance·n)) + e^(2·drift·level/variance)·Φ(-(drift·n + level)/√(variance·n)), for Brownian
    motion. Levels of 0 and below have been reached.

    Args:
        level: how far it is to go; broadcasts with the rest.
        drift: expected gain of a step.
        variance: of a step's gain, more than 0.
        steps: more than 0, may be infinite.

    """
    level, drift, variance = np.broadcast_arrays(level, drift, variance)
    if math.isinf(steps):
        chance = np.where(drift >= 0, 1.0, np.exp(np.minimum(2.0 * drift * level / variance, 0.0)))
    else:
        scale = np.sqrt(variance * steps)
        ahead = (drift * steps - level) / scale
        chance = _normal(ahead) + _reflected(ahead, (drift * steps + level) / scale, 2.0 * drift * level / variance)
    return np.where(level <= 0, 1.0, np.clip(chance, 0.0, 1.0))


def _normal(z: Floats) -> Floats:
    """Φ(z)."""
    flat = [0.5 * math.erfc(-value / math.sqrt(2.0)) for value in z.ravel().tolist()]
    return np.reshape(np.array(flat), z.shape)


def _reflected(ahead: Floats, beyond: Floats, exponent: Floats) -> Floats:
    """e^exponent·Φ(-beyond), where exponent - beyond²/2 = -ahead²/2, so that the product is small though e^… is not."""
    near = np.exp(np.minimum(exponent, 700.0)) * _normal(-np.minimum(beyond, _FAR))
    inverse = 1.0 / np.square(np.maximum(beyond, _FAR))
    series = 1.0 - inverse + 3.0 * inverse**2
    far = np.exp(-(ahead**2) / 2.0) * series * np.sqrt(inverse / (2.0 * math.pi))
    return np.where(beyond > _FAR, far, near)
