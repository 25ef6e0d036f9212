"""LightGBM's own files in text, as `Booster.save_model` writes them (of a scikit-learn wrapper: `booster_.save_model`).

`predict` gives what `Booster.predict` does: for a binary objective the probability of 1, for several classes a column
for each. For these, `label` (the number of the class) and `predict_proba` can be asked for as well. A file does not
tell whether a wrapper has made it.

No code is in these files. Their numbers are used unchecked by the library, so `trees` looks at them first.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import lightgbm
import numpy as np
from numpy.typing import NDArray

from modelway.artifacts.errors import ModelError
from modelway.artifacts.reasons import Reason
from modelway.server.formats import rows, trees
from modelway.server.formats.base import LoadOptions
from modelway.server.formats.rows import Found, RowsModel
from modelway.server.formats.trees import Integers, NotATreeError
from modelway.server.tensors import Array

Scores = NDArray[Any]
_BINARY: Final = {"binary", "cross_entropy", "xentropy"}
_SEVERAL: Final = {"multiclass", "multiclassova"}
_END: Final = "\nend of trees\n"
_CATEGORICAL: Final = 1  # the bit of decision_type
_ROWS_OF_TREES: Final = "\nTree="


def load(path: Path, options: LoadOptions) -> RowsModel:
    """Load a model file of LightGBM. Raises ModelError."""
    try:
        text = path.read_text(encoding="utf-8")
        header = _check(text)
        booster = lightgbm.Booster(params={"num_threads": options.threads, "verbosity": -1}, model_str=text)
        return rows.model(_found(booster, text, header, options), options)
    except ModelError:
        raise
    except UnicodeDecodeError as error:
        raise _unreadable(path, "it is no text; save the model with Booster.save_model") from error
    except KeyError as error:
        raise _unreadable(path, f"it has no {error}, which each model file has") from error
    except (lightgbm.basic.LightGBMError, TypeError, ValueError) as error:
        raise _unreadable(path, str(error).partition("\n")[0][:400]) from error


def _check(text: str) -> dict[str, str]:
    """The file's header. Raises NotATreeError for what would lead the library astray, KeyError for what is no model."""
    if not text.startswith("tree\n"):
        raise NotATreeError('it does not begin with "tree", as each model file does')
    forest, end, rest = text.partition(_END)
    if not end or "\nend of parameters\n" not in rest:
        raise NotATreeError('its end is missing ("end of trees", "end of parameters"); the file may be cut short')
    head, *parts = forest.split(_ROWS_OF_TREES)
    header = _fields(head)
    features = int(header["max_feature_idx"]) + 1
    each = int(header["num_tree_per_iteration"])
    if each < 1 or int(header["num_class"]) not in {1, each}:
        raise NotATreeError(f"{header['num_class']} classes, with {each} trees for each iteration")
    if each > max(len(parts), 1) or len(parts) % each:
        raise NotATreeError(f"{len(parts)} trees, where {each} make an iteration")
    for index, part in enumerate(parts):
        _check_tree(_fields(part), features, f"Tree={index}")
    _check_sizes(header, head, forest, parts)
    return header


def _check_sizes(header: Mapping[str, str], head: str, forest: str, parts: Sequence[str]) -> None:
    """Where `tree_sizes` says that the trees begin, in bytes, they have to."""
    if "tree_sizes" not in header:
        return
    sizes = _integers(header["tree_sizes"], "tree_sizes")
    trees.of_length(sizes, len(parts), "tree_sizes")
    content = (forest + "\n").encode()[len(head.encode()) + 1 :]
    position = 0
    for index, size in enumerate(sizes.tolist()):
        if size < 1 or not content[position:].startswith(b"Tree=" + str(index).encode()):
            raise NotATreeError(f"tree_sizes[{index}]: no tree begins there")
        position += size


def _check_tree(tree: Mapping[str, str], features: int, where: str) -> None:
    leaves = int(tree["num_leaves"])
    if leaves < 1 or len(tree["leaf_value"].split()) != leaves:
        raise NotATreeError(f"{where}.leaf_value: another number of leaves than {leaves}")
    if tree.get("is_linear", "0") not in {"0", "1"}:
        raise NotATreeError(f"{where}.is_linear: {tree['is_linear'][:20]} is neither 0 nor 1")
    if tree.get("is_linear") == "1":
        used = _integers(tree.get("leaf_features", ""), f"{where}.leaf_features")
        trees.within(used, 0, features, f"{where}.leaf_features")
    if leaves == 1:
        return
    left, right, split, kinds = (
        _integers(tree[key], f"{where}.{key}")
        for key in ("left_child", "right_child", "split_feature", "decision_type")
    )
    trees.check_numbered(left, right, leaves, where)
    counts = {"split_feature": split.size, "decision_type": kinds.size, "threshold": len(tree["threshold"].split())}
    for key, count in counts.items():
        if count != leaves - 1:
            raise NotATreeError(f"{where}.{key}: {count} values, where {leaves - 1} are expected")
    trees.within(split, 0, features, f"{where}.split_feature")
    _check_categories(tree, np.flatnonzero(kinds & _CATEGORICAL), where)


def _check_categories(tree: Mapping[str, str], nodes: Integers, where: str) -> None:
    """A node that splits by categories names a piece, by boundaries, of one long list of bits."""
    if not nodes.size:
        return
    count = int(tree["num_cat"])
    boundaries = _integers(tree["cat_boundaries"], f"{where}.cat_boundaries")
    trees.of_length(boundaries, count + 1, f"{where}.cat_boundaries")
    trees.within(boundaries, 0, len(tree["cat_threshold"].split()) + 1, f"{where}.cat_boundaries")
    if np.any(np.diff(boundaries) < 0):
        raise NotATreeError(f"{where}.cat_boundaries: goes back")
    thresholds = np.array(tree["threshold"].split(), dtype=float)[nodes]
    trees.within(thresholds.astype(np.int64), 0, count, f"{where}.threshold")


def _found(booster: lightgbm.Booster, text: str, header: Mapping[str, str], options: LoadOptions) -> Found:
    if (
        text.rpartition("\npandas_categorical:")[2].strip() not in {"null", "[]", ""}
        and "\npandas_categorical:" in text
    ):
        raise NotATreeError(
            "it was trained on a table with categories by name, which a request cannot bring; "
            "train it on numbers, or put the encoding into a pipeline"
        )
    objective = header.get("objective", "").split(" ")[0]
    functions: dict[str, Callable[[Scores], Array]] = {"predict": lambda given: given}
    if objective in _BINARY | _SEVERAL:
        functions |= {"label": lambda given: _by_class(given).argmax(axis=1), "predict_proba": _by_class}

    def answer(array: Array, wanted: Sequence[str]) -> dict[str, Array]:
        given = np.asarray(booster.predict(array, num_threads=options.threads, validate_features=False))
        return {name: functions[name](given) for name in wanted}

    names = booster.feature_name()
    own_names = names != [f"Column_{index}" for index in range(len(names))]
    return Found(
        answer,
        outputs=tuple(functions),
        width=booster.num_feature(),
        platform="lightgbm_text",
        features=names if own_names else (),
        classes=range(max(int(header["num_class"]), 2)) if len(functions) > 1 else (),
        nullable=_uses_missing(text),
        notes={"lightgbm": header.get("version", ""), "objective": objective},
    )


def _uses_missing(text: str) -> bool:
    """Whether missing values have a side of their own; training can be told to take them for zeros."""
    return "\n[use_missing: 0]" not in text


def _by_class(given: Scores) -> Scores:
    return np.vstack((1.0 - given, given)).T if given.ndim == 1 else given


def _fields(part: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in part.splitlines() if "=" in line)


def _integers(text: str, where: str) -> Integers:
    try:
        return np.array(text.split(), dtype=np.int64)
    except (ValueError, OverflowError) as error:
        raise NotATreeError(f"{where}: {error}") from error


def _unreadable(path: Path, problem: str) -> ModelError:
    return ModelError(Reason.MODEL_LOAD_FAILED, f"lightgbm {lightgbm.__version__} cannot load {path.name}: {problem}")
