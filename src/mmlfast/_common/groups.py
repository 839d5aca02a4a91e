"""Groups of rows that have the same label: what `groups=` means everywhere."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np

from mmlfast import _core
from mmlfast._common.arrays import _refuse_what_holds_no_array, is_dask, n_missing

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

    def some(self, which: Array) -> Groups:
        """These groups alone, in rising order."""
        wanted = np.zeros(len(self.labels), bool)
        wanted[which] = True
        order = self.order[np.repeat(wanted, self.counts)]
        return Groups(self.labels[which], order, np.append(0, np.cumsum(self.counts[which])))


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
    found, kept = label_numbers(function, groups, n_rows, omit, name)
    codes, labels = found.dense()
    return codes, labels, kept


def group_rows(function: str, groups: Any, n_rows: int, *, omit: bool | None = False, name: str = "groups") -> Groups:
    """The rows of each label: arguments as for `number_rows`."""
    found, kept = label_numbers(function, groups, n_rows, omit, name)
    return found.rows(kept)


def label_numbers(
    function: str, groups: Any, n_rows: int, omit: bool | None, name: str
) -> tuple[LabelNumbers, Array | None]:
    """The labels as they can be read fastest, and the rows that have one (None: all)."""
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
    if isinstance(labels, _Coded):
        codes = np.ascontiguousarray(labels.codes if kept is None else labels.codes[kept])
        if labels.in_order:
            return LabelNumbers(codes, 0, len(labels.names), None, labels.names), kept
        return _of_some(
            function, labels.names, None if missing is None else _occurring(codes, len(labels.names)), codes, name
        ), kept
    return _number(function, labels if kept is None else labels[kept], name), kept


class LabelNumbers(NamedTuple):
    """Number of the label of each row: codes - least, or rank[codes]; of `n_labels`, some of which may not occur."""

    codes: Array  # native integers without gaps
    least: int
    n_labels: int
    rank: Array | None
    labels: Array | None  # None: least, least + 1 ... of the type `like`
    like: Array | None = None

    @property
    def least_modulo(self) -> int:
        """`least` modulo 2**64, as compiled code takes it."""
        return self.least % 2**64

    def labels_that(self, occurs: Array) -> Array:
        if self.labels is not None:
            return self.labels if occurs.all() else self.labels[occurs]
        assert self.like is not None
        wide = np.dtype(np.uint64 if self.codes.dtype.kind == "u" else np.int64)
        found = (np.flatnonzero(occurs).astype(wide) + wide.type(self.least)).astype(self.codes.dtype)
        native = self.like.dtype.newbyteorder("=")
        return found.view(native) if native.kind in "Mmb" else found

    def rows(self, kept: Array | None) -> Groups:
        """The rows of each label, of which these are the `kept` ones (None: all)."""
        order, offsets = _core.order_by_group(self.codes, self.least_modulo, self.n_labels, self.rank)
        occurs = offsets[1:] > offsets[:-1]
        labels = self.labels_that(occurs)
        if len(labels) < self.n_labels:
            offsets = np.append(offsets[:-1][occurs], offsets[-1])
        return Groups(labels, order if kept is None else kept[order], offsets)

    def dense(self) -> tuple[Array, Array]:
        """Numbers of the labels that occur, int64, and these."""
        if self.rank is not None:
            return self.rank[self.codes], self.labels_that(np.ones(self.n_labels, bool))
        wide = np.dtype(np.uint64 if self.codes.dtype.kind == "u" else np.int64)
        # A copy of its own, also from 0: other threads may write into the labels, and a number of a group is an index.
        codes = (self.codes.astype(wide, copy=False) - wide.type(self.least)).astype(np.int64, copy=False)
        occurs = np.bincount(codes, minlength=self.n_labels) > 0
        if not occurs.all():
            codes = (np.cumsum(occurs) - 1)[codes]
        return codes, self.labels_that(occurs)


class _Coded(NamedTuple):
    """Labels that are numbers of names already."""

    codes: Array
    names: Array
    in_order: bool  # each name once, in the order that is wanted

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
    text = _text_of_pandas(groups) or _text_of_polars(groups)
    if text is not None:
        missing = text.codes < 0
        return text, missing if missing.any() else None
    if isinstance(groups, np.ma.MaskedArray):
        hidden = np.ma.getmaskarray(groups)
        labels, missing = _missing_among(np.asarray(groups.data))
        missing = hidden if missing is None else missing | hidden
        return labels, missing if missing.any() else None
    if isinstance(groups, list | tuple):
        return _missing_among(_from_sequence(groups))
    _refuse_what_holds_no_array(groups, name)
    if n_missing(groups):  # polars and Arrow make floats of integers then
        return _missing_among(_from_sequence(groups.to_pylist() if hasattr(groups, "to_pylist") else groups.to_list()))
    if hasattr(groups, "isna") and hasattr(groups, "to_numpy") and str(getattr(groups, "dtype", "")) != "object":
        missing = np.asarray(groups.isna())
        dtype = getattr(groups, "dtype", None)
        plain = getattr(dtype, "numpy_dtype", None)
        if plain is not None and plain.kind in "iub":  # pandas' nullable integers: never by way of floats
            labels = np.asarray(groups.to_numpy(dtype=plain, na_value=plain.type(0)))
        else:
            labels = np.asarray(groups)
        return labels, missing if missing.any() else None
    return _missing_among(np.asarray(groups))


def _categories(groups: Any) -> _Coded | None:
    """Of pandas' categories, or a series of them."""
    values = getattr(groups, "array", groups) if hasattr(groups, "iloc") else groups
    codes, names = getattr(values, "codes", None), getattr(values, "categories", None)
    if codes is None or names is None:
        return None
    return _Coded(np.asarray(codes), np.asarray(names), True)


def _text_of_pandas(groups: Any) -> _Coded | None:
    """Of pandas' own types of text, which make a new object of each row for others."""
    if not (hasattr(groups, "iloc") and hasattr(groups, "factorize")):
        return None
    if not str(groups.dtype).startswith(("str", "string")):
        return None
    codes, names = groups.factorize()
    return _Coded(np.asarray(codes), np.asarray(names, object), False)


def _text_of_polars(groups: Any) -> _Coded | None:
    """Of a series of text, by way of its own categories; these, and numbers, come as they are."""
    if not type(groups).__module__.startswith("polars.") or str(getattr(groups, "dtype", "")) != "String":
        return None
    polars: Any = sys.modules["polars"]  # where the series comes from
    names = groups.unique().drop_nulls().sort()
    codes = groups.cast(polars.Enum(names)).to_physical().cast(polars.Int64).fill_null(-1)
    return _Coded(codes.to_numpy(), np.array([*names.to_list(), None], object)[:-1], True)


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


def _missing_among(labels: Array) -> tuple[Any, Array | None]:
    """Labels, and where they are missing. Objects of which many are one and the same come as numbers of these."""
    if labels.dtype.kind == "f":
        missing = np.isnan(labels)
    elif labels.dtype.kind in "Mm":
        missing = np.isnat(labels)
    elif labels.dtype.kind == "O" and labels.ndim == 1:
        addresses = _core.number_items(np.ascontiguousarray(labels), labels.size // 4)
        if addresses is None:
            return labels, _missing_objects(labels)
        codes, first = addresses
        lost = _missing_objects(labels[first])
        return _Coded(codes, labels[first], False), None if lost is None else lost[codes]
    else:
        return labels, None
    return labels, missing if missing.any() else None


def _missing_objects(labels: Array) -> Array | None:
    if set(map(type, labels)) <= _NEVER_MISSING:
        return None
    missing = np.array([_is_missing(label) for label in labels], bool)
    return missing if missing.any() else None


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


def _number(function: str, labels: Array, name: str) -> LabelNumbers:
    """By a table of all integers between the least and the largest, if it is not much larger than the labels; else by
    hashing, if many are equal; else by sorting."""
    if labels.size == 0:
        native = labels.astype(labels.dtype.newbyteorder("="))
        return LabelNumbers(np.empty(0, np.int64), 0, 0, None, native)
    kind = labels.dtype.kind
    if kind in "iubMm":
        whole = np.ascontiguousarray(labels, labels.dtype.newbyteorder("="))
        whole = whole.view(np.int64) if kind in "Mm" else whole.view(np.uint8) if kind == "b" else whole
        wide = whole.itemsize >= 4
        least, largest = _core.range_of_integers(whole) if wide else (int(whole.min()), int(whole.max()))
        if largest - least < max(_FEW, 4 * whole.size):
            return LabelNumbers(whole, least, largest - least + 1, None, None, labels)
    if kind in "iuMmUS" or (kind == "f" and labels.itemsize <= 8):
        items = np.ascontiguousarray(labels) if kind != "f" else labels + labels.dtype.type(0)  # -0.0 is 0.0
        items = items.astype(items.dtype.newbyteorder("="), copy=False)
        found = _core.number_items(items, labels.size // 2)
        if found is not None:
            codes, first = found
            return _of_some(function, items[first], None, codes, name)
    if kind in "iufMmUS":
        values, codes = np.unique(labels.astype(labels.dtype.newbyteorder("="), copy=False), return_inverse=True)
    else:
        codes, values = _of_objects(function, labels, name)
    return LabelNumbers(codes, 0, len(values), None, values)


def _occurring(codes: Array, n: int) -> Array:
    occurs = np.zeros(n, bool)
    occurs[codes] = True
    return np.flatnonzero(occurs)


def _of_some(function: str, names: Array, there: Array | None, codes: Array, name: str) -> LabelNumbers:
    """Of codes that number names in any order, of which those that are `there` occur (None: all)."""
    rank = np.zeros(len(names), np.int64)
    some = names if there is None else names[there]
    if some.dtype.kind == "O":
        text = _as_text(some)
        ranks, labels = _of_objects(function, some, name) if text is None else _of_text(text, some)
    elif some.dtype.kind == "U":
        ranks, labels = _of_text(some, some)
    else:
        labels, ranks = np.unique(some, return_inverse=True)
    rank[slice(None) if there is None else there] = ranks
    return LabelNumbers(codes, 0, len(labels), rank, labels)


def _as_text(labels: Array) -> Array | None:
    """Objects that are all text, as an array of text, if nothing of them gets lost there (zeros at the end)."""
    items = labels.tolist()
    if not items or set(map(type, items)) != {str} or "\0" in "".join(items):
        return None
    return np.array(items)


def _of_text(text: Array, labels: Array) -> tuple[Array, Array]:
    """Ranks of texts, and each label once: as many characters at a time as a number has room for."""
    length = text.dtype.itemsize // 4
    characters = np.ascontiguousarray(text).view(np.uint32).reshape(len(text), length)
    bits = max(1, int(characters.max(initial=0)).bit_length())
    at_once = 63 // bits
    if length > 8 * at_once:
        _, first, ranks = np.unique(text, return_index=True, return_inverse=True)
        return ranks, labels[first]
    keys = []
    for start in range(0, length, at_once):
        key = np.zeros(len(text), np.int64)
        for column in characters[:, start : start + at_once].T:
            key = (key << bits) | column
        keys.append(key)
    order = np.argsort(keys[0], kind="stable") if len(keys) == 1 else np.lexsort(keys[::-1])
    starts = np.ones(len(text), bool)
    starts[1:] = np.any([np.diff(key[order]) != 0 for key in keys], axis=0)
    ranks = np.empty(len(text), np.int64)
    ranks[order] = np.cumsum(starts) - 1
    return ranks, labels[order[starts]]


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
