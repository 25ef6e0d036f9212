"""What is known of the labels of the revision that serves, by window, and how that is written down. Pure.

Made by `quality.taken` from what pods tell; `keeping` carries the written form over restarts of the operator.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from modelway.stats.quality_figures import Figures

ANSWERED: Final = 4
"""Numbers of each window before the metric's own: rows, scored, sure, spread."""
_MOST_SLICED: Final = 40_000
"""The same of slices, of which only is written what pods said that are gone."""
_MOST_TEXT: Final = 150_000
"""Of the written form; beyond, what pods said that are still there is left out: they will say it again."""

Windows = Mapping[int, Figures]
"""By window: rows, rows with a probability, their sum and spread; then what the metric needs of the labelled ones."""


SliceKey = tuple[int, int]
"""Place of the name in the spec, and of the value; behind the last value stand all others."""


@dataclass(frozen=True, slots=True)
class QualityState:
    """What is known of the labels.

    Attributes:
        of: what it is about: revision, metric, class, delay. About something else it begins anew.
        seconds: of a window.
        gone: what pods said that are gone.
        live: what those said last that are there, with the epoch of their process; by uid.
        keyless: pods that had no key when they were read last.
        degraded: what was found last; None before anything was.
        slices: the same of each slice.
    """

    of: str
    seconds: float
    gone: Windows = field(default_factory=dict)
    live: Mapping[str, tuple[str, Windows]] = field(default_factory=dict)
    keyless: frozenset[str] = frozenset()
    degraded: bool | None = None
    slices: Mapping[SliceKey, "QualityState"] = field(default_factory=dict)

    def merged(self) -> dict[int, Figures]:
        """By window, of all pods."""
        found = dict(self.gone)
        for _, windows in self.live.values():
            add(found, windows)
        return found


def advanced(
    state: QualityState, told: Mapping[str, tuple[str, Windows]], *, present: Collection[str], first: int
) -> QualityState:
    """The state after a round, but for what is concluded from it.

    Args:
        state: before it.
        told: by uid of a pod the epoch of its process and what it counts.
        present: uids of pods that are there.
        first: window from which on is remembered.
    """
    gone, live = dict(state.gone), dict(state.live)
    for uid, (epoch, windows) in told.items():
        before = live.get(uid)
        if before is not None and before[0] != epoch:
            add(gone, before[1])  # its process began anew
        live[uid] = epoch, windows
    for uid in live.keys() - set(present):
        add(gone, live.pop(uid)[1])
    return replace(state, gone={window: one for window, one in gone.items() if window >= first}, live=live)


def content_of(state: QualityState | None) -> Any:
    """The written form, plain data."""
    if state is None:
        return None
    live = {uid: [epoch, _written(windows)] for uid, (epoch, windows) in state.live.items()}
    if sum(len(line) for _, lines in live.values() for line in lines) > _MOST_TEXT:
        live = {}
    return {
        "of": state.of,
        "seconds": state.seconds,
        "gone": _written(state.gone),
        "live": live,
        "keyless": sorted(state.keyless & live.keys()),
        "degraded": state.degraded,
        "slices": _of_slices(state.slices),
    }


def state_from(plain: Any) -> QualityState | None:
    """What `content_of` wrote; None when it cannot be read."""
    try:
        return QualityState(
            of=str(plain["of"]),
            seconds=float(plain["seconds"]),
            gone=_read(plain["gone"]),
            live={str(uid): (str(epoch), _read(windows)) for uid, (epoch, windows) in plain["live"].items()},
            keyless=frozenset(map(str, plain["keyless"])),
            degraded=None if plain["degraded"] is None else bool(plain["degraded"]),
            slices={
                (int(name), int(value)): QualityState(
                    str(plain["of"]), float(plain["seconds"]), _read(gone), degraded=degraded
                )
                for name, value, degraded, gone in plain.get("slices", ())
            },
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _of_slices(slices: Mapping[SliceKey, QualityState]) -> list[Any]:
    """Pods tell again what they know of slices; of those that are gone it is written as long as it is little."""
    gone = {key: _written(one.gone) for key, one in slices.items()}
    is_little = sum(len(line) for lines in gone.values() for line in lines) <= _MOST_SLICED
    return [[*key, one.degraded, gone[key] if is_little else []] for key, one in slices.items()]


def add(own: dict[int, Figures], others: Windows) -> None:
    """Count what others say of each window too."""
    for window, numbers in others.items():
        before = own.get(window)
        own[window] = numbers if before is None else tuple(map(sum, zip(before, numbers, strict=True)))


def _written(windows: Windows) -> list[str]:
    """As texts: sums outgrow what JSON's numbers can hold."""
    return [" ".join(map(str, (window, *numbers))) for window, numbers in sorted(windows.items())]


def _read(written: Iterable[str]) -> dict[int, Figures]:
    rows = [tuple(map(int, line.split())) for line in written]
    return {row[0]: row[1:] for row in rows}
