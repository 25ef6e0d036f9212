"""Tensors that a model has itself, and what `modelway.json` adds. Shared by formats whose models have tensors."""

from modelway.server.formats.rows import contradiction
from modelway.server.metadata import Tensor
from modelway.server.tensors import TensorSpec


def agreed(own: tuple[TensorSpec, ...], declared: tuple[Tensor, ...] | None, what: str) -> tuple[TensorSpec, ...]:
    """The model's tensors with what the metadata adds.

    Args:
        own: the model's inputs or outputs.
        declared: those of the metadata.
        what: `inputs`, of which none may be left out, or `outputs`.

    Raises ModelError(METADATA_INVALID) where the two contradict each other.

    """
    if declared is None:
        return own
    by_name = {spec.name: spec for spec in own}
    said = {tensor.name: tensor for tensor in declared}
    for name, tensor in said.items():
        spec = by_name.get(name)
        if spec is None:
            raise contradiction(f'{what} names "{name}", where the model has {", ".join(by_name)}')
        if tensor.datatype not in {None, spec.datatype}:
            raise contradiction(f'{what}: "{name}" is {tensor.datatype}, where the model has {spec.datatype}')
        if tensor.shape is not None and not _narrows(tensor.shape, spec.shape):
            raise contradiction(f'{what}: "{name}" has shape {list(tensor.shape)}, the model {list(spec.shape)}')
    if what == "inputs" and (missing := by_name.keys() - said.keys()):
        raise contradiction(f'{what} leaves out "{min(missing)}"')
    return tuple(_declared(spec, said[spec.name]) if spec.name in said else spec for spec in own)


def _declared(own: TensorSpec, said: Tensor) -> TensorSpec:
    return TensorSpec(
        own.name, own.datatype, said.shape or own.shape, lenient=bool(said.lenient), nullable=bool(said.nullable)
    )


def _narrows(shape: tuple[int, ...], own: tuple[int, ...]) -> bool:
    return len(shape) == len(own) and all(model in (-1, said) for said, model in zip(shape, own, strict=True))
