"""The reference of a model that is packed: of its own columns, whatever else the rows that it was made of have."""

from typing import Any

import msgspec

from modelway.packing.errors import RowsError
from modelway.packing.samples import Sample
from modelway.profiling import Profile
from modelway.profiling import profile as profile_of
from modelway.server.formats.base import Model
from modelway.server.metadata import Reference
from modelway.server.signature import Signature
from modelway.server.tensors import Batch


def of(model: Model, sample: Sample, reference: object) -> Reference:
    """What `modelway.json` says of the model's inputs.

    Args:
        model: whose inputs.
        sample: some of its rows, and the names of their columns where it does not know them.
        reference: a profile, or rows to make one of.

    Raises ModelError (ROWS_INVALID): the rows cannot be read, or none of their columns is the model's.

    """
    rows = len(next(iter(sample.tensors.values())))
    names = sample.names or Signature.of(model).features
    columns = dict(Batch(sample.tensors, rows, ()).columns(names))
    texts = [name for name, column in columns.items() if column.dtype.kind == "O"]
    made = reference if isinstance(reference, Profile) else _profiled(reference, tuple(columns), texts)
    kept = made.only(columns)
    if not kept.features:
        given = ", ".join(one.name for one in made.features[:10])
        raise RowsError(f"reference: none of its columns ({given}) is the model's ({', '.join(list(columns)[:10])})")
    return msgspec.convert(kept.record(), Reference)


def _profiled(rows: Any, names: tuple[str, ...], texts: list[str]) -> Profile:
    return profile_of(rows, texts=texts, names=names)
