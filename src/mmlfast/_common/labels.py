"""Labels of arguments (pandas, xarray, polars, Arrow): what has them is matched by them, or refused."""

from __future__ import annotations

from typing import Any

import numpy as np

ndarray = np.ndarray

_UNLABELLED = frozenset((ndarray, list, tuple, float, int, type(None)))


def labelled(*arguments: Any) -> bool:
    """Whether any of them may have labels, at next to no cost: a look before `check_labels`."""
    return not _UNLABELLED.issuperset(map(type, arguments))


def check_labels(function: str, **arguments: tuple[Any, str, str]) -> None:
    """ValueError if two labelled arguments (pandas, xarray) have different labels along an axis that they share.

    Each argument comes with letters for its last axes, those of a table and that of a vector: ``a=(a, "mn", "n")`` and
    ``b=(b, "mk", "m")`` have the rows m in common.
    """
    seen: dict[str, tuple[str, Any]] = {}
    for name, (x, table, vector) in arguments.items():
        if type(x) is ndarray or type(x) is list:
            continue
        labels = labels_of_axes(x) or names_of_columns(x)
        letters = vector if len(labels) == 1 else table
        for letter, here in zip(letters, labels[-len(letters) :] if letters else (), strict=False):
            if here is None:
                continue
            first, there = seen.setdefault(letter, (name, here))
            if len(there) == len(here) and not _are_equal(there, here):
                if first == name and are_positions(there) != are_positions(here) and set(there) != set(here):
                    continue  # one axis of a matrix has no labels
                if first == name:
                    raise ValueError(
                        f"{function}: the rows and columns of {name} have different labels, or another order: "
                        f"{name}[{name}.index] puts them in order, {name}.to_numpy() means the order as it is"
                    )
                raise ValueError(
                    f"{function}: the labels of {name} are not those of {first}, or in another order: "
                    f"{name}.reindex(...) puts them in order, {name}.to_numpy() means the order as it is"
                )


def check_columns(function: str, known: list[Any] | None, x: Any, n: int, name: str = "x") -> list[Any] | None:
    """The labels of the `n` columns of a table that comes in pieces: those `known`, or else those of the piece `x`.

    ValueError if both have labels, and not the same ones in one order.
    """
    if type(x) in _UNLABELLED or n < 2:
        return known
    here = (labels_of_axes(x) or names_of_columns(x) or [None])[-1]
    if here is None or len(here) != n:
        return known
    labels, positions = list(here), list(range(n))
    if known is None or (known == positions and set(labels) != set(positions)):
        return labels
    if labels != known and (labels != positions or set(known) == set(positions)):
        raise ValueError(
            f"{function}: the columns of {name} have other labels than before, or another order: {labels[:10]} after "
            f"{known[:10]}; {name}[{known[:10]}] has the order from before, {name}.to_numpy() means it as it is"
        )
    return known


def are_positions(index: Any) -> bool:
    """Whether labels are those of a table that was given none."""
    return hasattr(index, "step") and index.start == 0 and index.step == 1


def labels_of_axes(x: Any) -> list[Any]:
    """The labels (a pandas Index, or None) of each axis."""
    if hasattr(x, "iloc") and hasattr(x, "index"):
        return [x.index] if x.ndim == 1 else [x.index, x.columns]
    if hasattr(x, "indexes") and hasattr(x, "dims"):
        return [x.indexes.get(dim) for dim in x.dims]
    return []


def names_of_columns(x: Any) -> list[Any]:
    """The names of the columns of a table of polars or Arrow, in the place of labels."""
    if hasattr(x, "get_columns") and hasattr(x, "schema"):
        return [None, list(x.columns)]
    if hasattr(x, "column_names") and hasattr(x, "schema"):
        return [None, list(x.column_names)]
    return []


def by_label(x: Any) -> Any:
    """What has names along its last axis (a Series, the columns of a frame) as a dict of arrays; all else as it is."""
    axes = labels_of_axes(x) or names_of_columns(x)
    names = [] if not axes or axes[-1] is None else list(axes[-1])
    if not names or not all(isinstance(name, str) for name in names):
        return x
    array = np.asarray(x)
    return {name: array[..., k] for k, name in enumerate(names)}


def _are_equal(a: Any, b: Any) -> bool:
    return list(a) == list(b) if isinstance(a, list) or isinstance(b, list) else bool(a.equals(b))
