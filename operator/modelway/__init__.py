"""modelway: a Kubernetes operator for machine-learning models.

For notebooks: `modelway.pack(estimator, rows, "folder")` makes a folder that the model server loads and checks, and
`modelway.profile(rows)` tells what is usual for its inputs.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelway.packing import pack
    from modelway.profiling import profile

__version__ = "0.1.0"
__all__ = ["__version__", "pack", "profile"]


def __getattr__(name: str) -> Any:
    if name == "pack":
        from modelway.packing import pack  # noqa: PLC0415 numpy and more, which most commands do without

        return pack
    if name == "profile":
        from modelway.profiling import profile  # noqa: PLC0415 likewise

        return profile
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
