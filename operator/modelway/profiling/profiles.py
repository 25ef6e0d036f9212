"""From columns to the reference: where the cells of each feature lie, and how many rows are in each."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from modelway.profiling import columns
from modelway.profiling.columns import Column
from modelway.profiling.errors import ProfileError
from modelway.stats.drift_cells import (
    MISSING,
    MOST_CATEGORIES,
    Cells,
    cell_counts,
    counted,
    edges_between,
    magnitude_of,
)
from modelway.stats.drift_reference import MOST_FEATURES, Feature, problem_of_feature, to_record

BINS: Final = 20
TAIL: Final = 0.001
"""Share of the numbers in each of the two outermost cells: where outliers come, which 20 wide cells would hide."""
FEW: Final = 1000
"""Rows below which a reference is so uncertain that small drifts cannot be told."""
_LEAST_SHARE: Final = 0.001
_LEAST_ROWS: Final = 5
"""Of a category that is told by its name: names of people and of things that occur once are never written down."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What is usual for the inputs.

    Args:
        features: each column that can be compared.
        left_out: the others, with the reason.

    """

    features: tuple[Feature, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """The field `reference` of `modelway.json`."""
        return to_record(self.features)

    def write(self, path: str | Path) -> None:
        """Put it into a `modelway.json`, whose other fields stay as they are, or make a file with this field alone.

        Raises:
            ProfileError: there is a file that is no JSON object, or it cannot be written.
        """
        path = Path(path)
        try:
            said = orjson.loads(path.read_bytes()) if path.exists() else {}
            if not isinstance(said, dict):
                raise ProfileError(f"{path.name}: a JSON object is needed for the field reference to be put into")
            lines = [
                f"  {json.dumps(name)}: {_lines(value)}"
                for name, value in (said | {"reference": self.record()}).items()
            ]
            path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
        except orjson.JSONDecodeError as error:
            raise ProfileError(f"{path.name} is wrong: Invalid JSON: {error}") from error
        except OSError as error:
            raise ProfileError(f"{path}: {error.strerror or error}") from error

    def only(self, names: Iterable[str]) -> "Profile":
        """The features of these names; what else there is is left out, such as the label that was learnt from."""
        wanted = set(names)
        kept = tuple(one for one in self.features if one.name in wanted)
        others = {one.name: "the model has no such column" for one in self.features if one.name not in wanted}
        return Profile(kept, dict(self.left_out) | others)


def profile(
    rows: object, *, exclude: Iterable[str] = (), texts: Iterable[str] = (), names: Sequence[str] = ()
) -> Profile:
    """What is usual in these rows.

    Args:
        rows: the path of a Parquet or CSV file; a table of pandas or polars, a mapping of arrays, or an array.
        exclude: columns that are no inputs, such as the label.
        texts: columns that are texts whatever they look like, such as postcodes.
        names: of the columns of an array.

    Raises ModelError (ROWS_INVALID): the rows cannot be read, a name is none of theirs, or no column can be compared.

    """
    unwanted, as_texts = frozenset(exclude), frozenset(texts)
    if isinstance(rows, (str, Path)):
        where, found = Path(rows).name, columns.of_file(Path(rows), as_texts)
    else:
        where, found = "rows", columns.of_table(rows, as_texts, names)
    features: list[Feature] = []
    left_out: dict[str, str] = {}
    seen: set[str] = set()
    for name, column in found:
        if name in seen - unwanted:
            raise ProfileError(f'{where}: two columns are called "{name}"; rename one, or exclude both')
        seen.add(name)
        if name in unwanted:
            continue
        made = column if isinstance(column, str) else _feature(name, column)
        if isinstance(made, str):
            left_out[name] = made
        elif len(features) == MOST_FEATURES:
            left_out[name] = f"more than {MOST_FEATURES} columns"
        else:
            features.append(made)
    if unknown := sorted((unwanted | as_texts) - seen):
        raise ProfileError(f'{where}: there is no column "{unknown[0]}"; there are {", ".join(sorted(seen)[:20])}')
    if not features:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in list(left_out.items())[:5])
        raise ProfileError(f"{where}: no column can be compared{': ' + reasons if reasons else ''}")
    return Profile(tuple(features), left_out)


def _feature(name: str, column: Column) -> Feature | str:
    """The reference of a column, or why there is none."""
    if not len(column):
        return "there are no rows"
    made = _of_texts(name, column) if isinstance(column, list) else _of_numbers(name, column)
    if isinstance(made, str):
        return made
    return problem_of_feature(to_record([made])["features"][0]) or made


def _of_numbers(name: str, values: NDArray[np.float64]) -> Feature | str:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return "no value is a finite number"
    cells = Cells(
        edges=edges_between(finite, bins=BINS, tail=TAIL),
        lowest=float(finite.min()),
        highest=float(finite.max()),
        mean=float(finite.mean()),
        deviation=float(finite.std()),
    )
    if not np.isfinite([cells.mean, cells.deviation]).all():
        return "its numbers are so large that their mean is none"
    counts = counted(values, cells)
    return Feature(name, cells, tuple(cell_counts(counts).tolist()), int(counts[MISSING]), magnitude_of(counts))


def _of_texts(name: str, values: list[str | None]) -> Feature | str:
    times = Counter(value for value in values if value is not None)
    rows = sum(times.values())
    if not rows:
        return "no row has a value"
    least = max(_LEAST_ROWS, _LEAST_SHARE * rows)
    common = sorted((-count, text) for text, count in times.items() if count >= least)
    cells = Cells(categories=tuple(text for _, text in common[:MOST_CATEGORIES]))
    counts = counted(values, cells)
    return Feature(name, cells, tuple(cell_counts(counts).tolist()), missing=int(counts[MISSING]))


def _lines(value: Any) -> str:
    """JSON for people: the features of a reference, and golden requests, a line each."""
    if isinstance(value, dict) and isinstance(value.get("features"), list):
        return '{"features": ' + _lines(value["features"]) + "}"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(f"    {json.dumps(one, ensure_ascii=False)}" for one in value) + "\n  ]"
    return json.dumps(value, ensure_ascii=False)
