"""Evidence as JSON, for the record that outlives the operator.

A record says its format. One of another format, or a damaged one, is not guessed at: its evidence begins again, which
can only delay a decision. Numbers are written exactly.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from modelway.stats.counts import Counts, Floats, Ints
from modelway.stats.evidence import STRENGTHS, Evidence
from modelway.stats.paired import FRACTIONS, PairedEvidence

FORMAT: Final = 1
"""Raised with every change that gives old numbers another meaning: alternatives, how the stake is spread, fields."""

Record = dict[str, Any]


class RecordError(ValueError):
    """The record cannot be read; its evidence has to begin again."""


def to_record(evidence: Evidence) -> Record:
    """The evidence of a check over two arms, as plain numbers and lists."""
    return {
        "format": FORMAT,
        "margin": evidence.margin,
        "harm": evidence.harm.tolist(),
        "safe": evidence.safe.tolist(),
        "candidate": _counts(evidence.candidate),
        "stable": _counts(evidence.stable),
    }


def from_record(record: Mapping[str, Any]) -> Evidence:
    """What `to_record` wrote.

    Raises:
        RecordError: another format, or not what it wrote.
    """
    _check_format(record)
    harm, safe = _floats(record, "harm"), _floats(record, "safe")
    if harm.shape != (*safe.shape, len(STRENGTHS)):
        raise RecordError(f"harm has the shape {harm.shape}, safe {safe.shape}; begin again")
    return Evidence(
        margin=_share(record, "margin"),
        harm=harm,
        safe=safe,
        candidate=_read_counts(record, "candidate", safe.shape),
        stable=_read_counts(record, "stable", safe.shape),
    )


def to_paired_record(evidence: PairedEvidence) -> Record:
    """The evidence of pairs, as plain numbers and lists."""
    return {
        "format": FORMAT,
        "margin": evidence.margin,
        "lowest": evidence.lowest,
        "harm": evidence.harm.tolist(),
        "safe": evidence.safe.tolist(),
        "pairs": evidence.pairs,
        "total": evidence.total,
    }


def from_paired_record(record: Mapping[str, Any]) -> PairedEvidence:
    """What `to_paired_record` wrote.

    Raises:
        RecordError: another format, or not what it wrote.
    """
    _check_format(record)
    harm, safe = _floats(record, "harm"), _floats(record, "safe")
    wanted = (len(FRACTIONS),)
    if harm.shape != wanted or safe.shape != wanted:
        raise RecordError(f"harm has the shape {harm.shape}, safe {safe.shape}, not {wanted}; begin again")
    lowest = _floats(record, "lowest")
    if lowest.shape != () or not -1.0 <= float(lowest) <= 0.0:
        raise RecordError("lowest is not between -1 and 0; begin again")
    return PairedEvidence(
        margin=_share(record, "margin"),
        lowest=float(lowest),
        harm=harm,
        safe=safe,
        pairs=int(_whole(record, "pairs", ())),
        total=float(_floats(record, "total")),
    )


def _check_format(record: Mapping[str, Any]) -> None:
    if record.get("format") != FORMAT:
        raise RecordError(f"evidence of format {record.get('format')!r}, this version reads {FORMAT}; begin again")


def _counts(counts: Counts) -> Record:
    return {"requests": np.asarray(counts.requests).tolist(), "bad": np.asarray(counts.bad).tolist()}


def _read_counts(record: Mapping[str, Any], arm: str, shape: tuple[int, ...]) -> Counts:
    found = record.get(arm)
    if not isinstance(found, Mapping):
        raise RecordError(f"{arm} is missing; begin again")
    try:
        return Counts(_whole(found, "requests", shape), _whole(found, "bad", shape))
    except ValueError as error:
        raise RecordError(f"{arm}: {error}") from error


def _floats(record: Mapping[str, Any], key: str) -> Floats:
    try:
        array = np.asarray(record[key], dtype=np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise RecordError(f"{key} is missing or no list of numbers; begin again") from error
    if not np.isfinite(array).all():
        raise RecordError(f"{key} has a number that is not finite; begin again")
    return array


def _whole(record: Mapping[str, Any], key: str, shape: tuple[int, ...]) -> Ints:
    array = _floats(record, key)
    if array.shape != shape or (array != np.floor(array)).any():
        raise RecordError(f"{key} are not whole numbers of the shape {shape}; begin again")
    return array.astype(np.int64)


def _share(record: Mapping[str, Any], key: str) -> float:
    value = _floats(record, key)
    if value.shape != () or not 0.0 < float(value) < 1.0:
        raise RecordError(f"{key} is not between 0 and 1; begin again")
    return float(value)
