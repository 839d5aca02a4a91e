"""Groups of rows that have the same label: what `groups=` means everywhere."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mmlfast import _core
from mmlfast._common.arrays import _refuse_what_holds_no_array, is_dask

Array = np.ndarray[Any, Any]

# As many different integers as this, or a few for each row, are told apart by counting instead of sorting.
_FEW = 2**16


_WAYS_OUT = ("drop them, or leave them out with nan_policy='omit'", "or drop them")
_NEVER_MISSING = frozenset((str, int, bool, bytes, tuple, np.str_))


class Groups(NamedTuple):
    """The rows of a table, by their labels.

    Rows of group g are ``order[offsets[g] : offsets[g + 1]]``, in the order in which they stand in the table.
    """

    labels: Array  # (n_groups,): sorted, each once, of the type in which they came
    order: Array  # int64: the rows that have a label, group after group
    offsets: Array  # int64, (n_groups + 1,)

    @property
    def counts(self) -> Array:
        """How many rows each group has."""
        return np.diff(self.offsets)


class Grouped(NamedTuple):
    """One result for each group of rows, in the order of their labels."""

    values: Array
    groups: Array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """The values."""
        return np.array(self.values, dtype, copy=copy)


def number_rows(
    function: str, groups: Any, n_rows: int, *, omit: bool | None = None, name: str = "groups"
) -> tuple[Array, Array, Array | None]:
    """The number of each row's label among the sorted labels; these; and the rows that have one (None: all of them).

    Parameters
    ----------
    function, name : str
        For messages.
    groups : array_like, shape (n_rows,)
        A label for each row, in any order: integers of any size, booleans, floats, text, dates, categories, or any
        objects that can be hashed and sorted. Categories are in their own order, and only those that occur.
    n_rows : int
        How many rows there are.
    omit : bool or None
        What to do with a label that is missing (None, NaN, NaT, NA, masked): leave its row out, or ValueError. None:
        the function has no nan_policy that could be named as the way out.
    """
    labels, missing = _labels_of(function, groups, name)
    if labels.ndim != 1 or labels.size != n_rows:
        raise ValueError(
            f"{function}: {name} must have one label for each of the {n_rows} rows, shape ({n_rows},); "
            f"got shape {labels.shape}{_of_two_keys(labels)}"
        )
    if missing is not None and not omit:
        raise ValueError(
            f"{function}: {name}[{int(np.argmax(missing))}] is missing ({int(missing.sum())} of {n_rows} labels are): "
            f"give these rows a label, {_WAYS_OUT[omit is None]}"
        )
    kept = None if missing is None else np.flatnonzero(~missing)
    if isinstance(labels, _Categories):
        codes, sorted_labels = _of_codes(labels.codes, labels.names, kept)
    elif labels.dtype.kind in "iubMm":
        codes, sorted_labels = _of_integers(labels if kept is None else labels[kept])
    elif labels.dtype.kind == "f":
        sorted_labels, codes = np.unique(labels if kept is None else labels[kept], return_inverse=True)
    else:
        codes, sorted_labels = _of_objects(function, labels if kept is None else labels[kept], name)
    return np.ascontiguousarray(codes, np.int64), sorted_labels, kept


def group_rows(function: str, groups: Any, n_rows: int, *, omit: bool | None = False, name: str = "groups") -> Groups:
    """The rows of each label: arguments as for `number_rows`."""
    codes, labels, kept = number_rows(function, groups, n_rows, omit=omit, name=name)
    order, offsets = _core.order_by_group(codes, len(labels))
    return Groups(labels, order if kept is None else kept[order], offsets)


class _Categories(NamedTuple):
    """Labels that are numbers of names already."""

    codes: Array
    names: Array

    @property
    def ndim(self) -> int:
        return self.codes.ndim

    @property
    def size(self) -> int:
        return int(self.codes.size)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.codes.shape)


def _labels_of(function: str, groups: Any, name: str) -> tuple[Any, Array | None]:
    """Labels as an array, and where they are missing (None: nowhere)."""
    if is_dask(groups):
        raise TypeError(f"{function}: {name} is a Dask array: {name}.compute() gives the labels in memory")
    missing: Any
    categories = _categories(groups)
    if categories is not None:
        missing = categories.codes < 0
        return categories, missing if missing.any() else None
    if isinstance(groups, np.ma.MaskedArray):
        hidden = np.ma.getmaskarray(groups)
        labels, missing = _missing_among(np.asarray(groups.data))
        missing = hidden if missing is None else missing | hidden
        return labels, missing if missing.any() else None
    if isinstance(groups, list | tuple):
        return _missing_among(_from_sequence(groups))
    _refuse_what_holds_no_array(groups, name)
    if hasattr(groups, "null_count") and groups.null_count():  # polars, which makes floats of integers then
        return _missing_among(_from_sequence(groups.to_list()))
    if hasattr(groups, "isna") and hasattr(groups, "to_numpy"):
        missing = np.asarray(groups.isna())
        dtype = getattr(groups, "dtype", None)
        plain = getattr(dtype, "numpy_dtype", None)
        if plain is not None and plain.kind in "iub":  # pandas' nullable integers: never by way of floats
            labels = np.asarray(groups.to_numpy(dtype=plain, na_value=plain.type(0)))
        else:
            labels = np.asarray(groups)
        return labels, missing if missing.any() else None
    return _missing_among(np.asarray(groups))


def _categories(groups: Any) -> _Categories | None:
    """Of pandas' categories, or a series of them."""
    values = getattr(groups, "array", groups) if hasattr(groups, "iloc") else groups
    codes, names = getattr(values, "codes", None), getattr(values, "categories", None)
    if codes is None or names is None:
        return None
    return _Categories(np.asarray(codes), np.asarray(names))


def _from_sequence(groups: list[Any] | tuple[Any, ...]) -> Array:
    """NumPy makes text of numbers beside text, floats of large integers and tables of tuples: it gets the rest."""
    kinds = set(map(type, groups))
    if kinds <= {int} or kinds <= {bool} or kinds <= {float} or kinds <= {str}:
        a = np.asarray(groups) if kinds else np.empty(0, np.int64)
        if a.dtype.kind in "iubU" or kinds <= {float}:
            return a
    if all(issubclass(kind, np.generic | np.ndarray | list) for kind in kinds) and len(kinds) == 1:
        return np.asarray(groups)
    a = np.empty(len(groups), object)
    for k, label in enumerate(groups):
        a[k] = label
    return a


def _missing_among(labels: Array) -> tuple[Array, Array | None]:
    if labels.dtype.kind == "f":
        missing = np.isnan(labels)
    elif labels.dtype.kind in "Mm":
        missing = np.isnat(labels)
    elif labels.dtype.kind == "O":
        if set(map(type, labels.reshape(-1))) <= _NEVER_MISSING:
            return labels, None
        missing = np.array([_is_missing(label) for label in labels.reshape(-1)], bool).reshape(labels.shape)
    else:
        return labels, None
    return labels, missing if missing.any() else None


def _is_missing(label: Any) -> bool:
    if label is None:
        return True
    try:
        return bool(label != label)
    except (TypeError, ValueError):  # pandas.NA does not say
        return True


def _of_two_keys(labels: Any) -> str:
    if labels.ndim != 2:
        return ""
    return ": several keys are one label if they are tuples, list(zip(first, second))"


def _of_codes(codes: Array, names: Array, kept: Array | None) -> tuple[Array, Array]:
    codes = (codes if kept is None else codes[kept]).astype(np.int64)
    occurs = np.zeros(len(names), bool)
    occurs[codes] = True
    return (np.cumsum(occurs) - 1)[codes], names[occurs]


def _of_integers(labels: Array) -> tuple[Array, Array]:
    """Numbers of the groups, and their labels: by a table of all integers between the least and the largest, if it is
    not much larger than the labels, else by sorting."""
    if labels.size == 0:
        return np.empty(0, np.int64), labels
    whole = labels.view(np.int64) if labels.dtype.kind in "Mm" and labels.dtype.isnative else labels
    if whole.dtype.kind not in "iub" or not whole.dtype.isnative:
        whole = whole.astype(whole.dtype.newbyteorder("="))
        whole = whole.view(np.int64) if whole.dtype.kind in "Mm" else whole
    if whole.dtype.kind == "b":
        whole = whole.view(np.uint8)
    least, largest = int(whole.min()), int(whole.max())
    if largest - least >= max(_FEW, 4 * whole.size):
        values, codes = np.unique(whole, return_inverse=True)
    else:
        wide = np.dtype(np.uint64 if whole.dtype.kind == "u" else np.int64)
        # A copy of its own, also from 0: other threads may write into the labels, and a number of a group is an index.
        codes = (whole.astype(wide, copy=False) - wide.type(least)).astype(np.int64, copy=False)
        occurs = np.bincount(codes, minlength=largest - least + 1) > 0
        values = (np.flatnonzero(occurs).astype(wide) + wide.type(least)).astype(whole.dtype)
        if len(values) < len(occurs):
            codes = (np.cumsum(occurs) - 1)[codes]
    native = labels.dtype.newbyteorder("=")
    return codes, values.view(native) if labels.dtype.kind in "Mmb" else values


def _of_objects(function: str, labels: Array, name: str) -> tuple[Array, Array]:
    items = labels.tolist()
    try:
        known = sorted(set(items))
    except TypeError as error:
        kinds = sorted({type(item).__name__ for item in items})
        raise TypeError(
            f"{function}: labels in {name} must be of one kind, hashed and sorted; got {', '.join(kinds)} ({error}): "
            f"[str(label) for label in {name}] makes text of them"
        ) from None
    index = {label: k for k, label in enumerate(known)}
    codes = np.fromiter(map(index.__getitem__, items), np.int64, len(items))
    if labels.dtype.kind == "O":
        names = np.empty(len(known), object)
        for k, label in enumerate(known):
            names[k] = label
        return codes, names
    return codes, np.array(known, labels.dtype)
