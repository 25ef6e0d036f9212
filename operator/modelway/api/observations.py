"""What a model server tells of its answers, and how: the contract between the server and the operator.

Each request counts with its first row, in up to two families: which class it was, and on a grid which score. Counts of
several processes, pods and days are merged by adding them up, for the grid is the same everywhere and for ever: a
change of it needs another `FORMAT`. Pure; imported by the server before it forks, so nothing but the standard library.

    class:<label>   answers of this class, told apart by its name as long as there are few of them
    other:<n>       answers of all classes that fall into the n-th of `OTHERS` by a checksum of their name
    value:<n>       answers whose score is in bucket n of the grid; also value:nan, value:inf and value:-inf
    none            answers of which nothing can be counted, such as those without a row
"""

from bisect import bisect_right
from collections.abc import Iterator
from math import inf, isfinite, ldexp
from typing import Final
from zlib import crc32

FORMAT: Final = 1
PATH: Final = "/v1/observations"
"""What was answered; and beside it:"""
INPUTS: Final = f"{PATH}?of=inputs"
REFERENCE: Final = f"{PATH}?of=reference"
"""What the counts of inputs mean."""
QUALITY: Final = f"{PATH}?of=quality"
"""What labels say."""

CLASS: Final = "class:"
OTHER: Final = "other:"
VALUE: Final = "value:"
NONE: Final = "none"

MOST_CLASSES: Final = 100
"""Classes that one process tells apart by name."""
LONGEST_CLASS: Final = 64
"""Bytes of a class's name in UTF-8; longer ones are no class but text, and are counted without their name."""
OTHERS: Final = 16
PAIRS: Final = 4096
"""Answers to mirrored requests that a process remembers."""

# The grid. Up to 2^-20 all is zero and from 2^44 on all is one bucket; in between each doubling has 64 buckets, so that
# one is at most 1.6 % wide. Between ½ and 1 it is the mirror image of what is below ½: a probability of 99.9 % is as
# well told from one of 99.8 % as 0.1 % is from 0.2 %. Negative numbers are the mirror image of positive ones.
# No border lies where models' answers do: of all k/n up to 128, and of decimals of three digits, the nearest to one is
# 2 millionths off. So a forest that answers 0.75 and its converted form that answers 0.7499999 agree.
_OFF: Final = 1.013674  # found by trying; the borders of doublings are at 2^n / _OFF
_A_DOUBLING: Final = 64
_LEAST: Final = -20
_MOST: Final = 44


def _borders() -> Iterator[float]:
    """Of the positive buckets, rising; by operations that IEEE 754 defines to the last bit."""
    below_half = [
        ldexp(1.0 + place / _A_DOUBLING, exponent) / _OFF
        for exponent in range(_LEAST, -1)
        for place in range(_A_DOUBLING)
    ] + [0.5 / _OFF]
    yield from below_half
    yield from (1.0 - border for border in reversed(below_half))
    for exponent in range(_MOST):
        yield from (ldexp(1.0 + (place + 1) / _A_DOUBLING, exponent) / _OFF for place in range(_A_DOUBLING))


BORDERS: Final = tuple(_borders())
"""The least number of each bucket from 1 on."""
LAST: Final = len(BORDERS)
"""Number of the last bucket; the first one is -LAST."""


def bucket_of(value: float) -> int:
    """The bucket in which a finite number falls; numbers rise with their buckets.

    bucket_of(-x) = -bucket_of(x); and on both sides of ½ the borders lie alike.
    """
    return bisect_right(BORDERS, value) if value >= 0 else -bisect_right(BORDERS, -value)


def bucket_bounds(bucket: int) -> tuple[float, float]:
    """Between which numbers a bucket lies; the border that is nearer to 0 belongs to it, the other does not.

    Raises:
        ValueError: there is no such bucket.
    """
    if not -LAST <= bucket <= LAST:
        raise ValueError(f"bucket {bucket} is not between {-LAST} and {LAST}")
    if bucket == 0:
        return -BORDERS[0], BORDERS[0]
    low, high = BORDERS[abs(bucket) - 1], inf if abs(bucket) == LAST else BORDERS[abs(bucket)]
    return (low, high) if bucket > 0 else (-high, -low)


def value_key(value: float) -> str:
    """The key under which a score counts."""
    return f"{VALUE}{bucket_of(value) if isfinite(value) else value}"


def bucket_in(key: str) -> int | float:
    """What a `value:` key stands for: a bucket, or one of NaN and the infinities.

    Raises:
        ValueError: it is no such key.
    """
    told = key.removeprefix(VALUE)
    if told in {"nan", "inf", "-inf"}:
        return float(told)
    if not told.removeprefix("-").isdecimal() or not -LAST <= int(told) <= LAST:
        raise ValueError(f"{key}: there are buckets from {-LAST} to {LAST}")
    return int(told)


def check_key(key: str) -> None:
    """Raise ValueError unless answers are counted under this key."""
    if key.startswith(VALUE):
        bucket_in(key)
    elif not key.startswith(CLASS) and key != NONE and key not in {f"{OTHER}{place}" for place in range(OTHERS)}:
        raise ValueError(f'"{key}" is no key of answers; there are {CLASS}<label>, {VALUE}<bucket>, {OTHER}<0 to 15>')


def other_of(name: str) -> int:
    """Which of `OTHERS` a class belongs to that is not told by its name; the same everywhere."""
    return crc32(name.encode()) % OTHERS


class AnswerError(Exception):
    """What a pod answered is of no use. The message says why."""


def check_origin(form: object, revision: object, *, wanted: str) -> None:
    """Raise AnswerError unless an answer is of our format, and of the revision that was asked."""
    if form != FORMAT:
        raise AnswerError(f"it counts in format {form}, the operator in {FORMAT}; bring both to one version")
    if revision != wanted:
        raise AnswerError(f"revision {revision or 'unknown'} answered at its address, not {wanted}")
