"""Ids of nodes: from whatever names the ends of edges to the numbers of nodes, and back."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from mmlfast._common.arrays import _refuse_what_holds_no_array, as_array, is_dask

Array = np.ndarray[Any, Any]

# How many numbers a table of all that may occur can have for each id that is given: more are sorted instead.
_ROOM_PER_ID = 8


class Numbered(NamedTuple):
    """Ends of edges as numbers of nodes."""

    columns: tuple[Array, ...]
    #: The ids of the nodes in order; a range where they are their own numbers.
    nodes: Array | list[Any] | range


def id_array(x: Any, name: str) -> Array:
    """Ids in one dimension: an array of integers, of text, of dates, or of objects that can be hashed."""
    a = _as_ids(x, name)
    if a.ndim != 1:
        raise ValueError(f"links: {name} must have one dimension, got shape {a.shape}")
    if a.dtype.kind == "O":
        return _plain(a, name)
    if a.size == 0 and a.dtype.kind == "f":
        return np.empty(0, np.int64)  # an empty list
    if a.dtype.kind not in "iuUSMm":
        way_out = ": .astype(int) makes whole numbers of it, if they are" if a.dtype.kind == "f" else ""
        raise TypeError(
            f"links: {name} must hold integers or names (text, or anything hashable), got {a.dtype}{way_out}"
        )
    if a.dtype.kind in "Mm" and np.isnat(a).any():
        raise ValueError(f"links: {name}[{int(np.argmax(np.isnat(a)))}] is missing (NaT)")
    return a


def _as_ids(x: Any, name: str) -> Array:
    if type(x) is np.ndarray:
        return x
    if isinstance(x, list | tuple):
        return _from_sequence(x)
    if isinstance(x, np.ma.MaskedArray) or is_dask(x):
        a = as_array(x, name)
        if is_dask(a):
            raise TypeError(
                f"links: {name} is a Dask array: mmlfast.dask.pagerank(dask.array.stack([sources, targets], axis=1)) "
                f"ranks edges in chunks, {name}.compute() gives an array in memory"
            )
        return np.asarray(a)
    _refuse_what_holds_no_array(x, name)
    if hasattr(x, "__dlpack__") and not hasattr(x, "__array__"):
        return np.asarray(as_array(x, name))
    return np.asarray(x)


def _from_sequence(x: Sequence[Any]) -> Array:
    """NumPy makes text of numbers beside text, and tables of tuples: only what is of one kind is left to it."""
    kinds = set(map(type, x))
    if not kinds:
        return np.empty(0, np.int64)
    whole = all(issubclass(kind, int | np.integer) and kind is not bool for kind in kinds)
    refused = all(issubclass(kind, list | np.ndarray | int | float | complex | np.number) for kind in kinds)
    if whole or refused:
        a = np.asarray(x)
        if a.dtype.kind != "f" or not whole:  # whole numbers beyond 2**63 beside negative ones are no floats
            return a
    a = np.empty(len(x), object)
    for k, item in enumerate(x):
        a[k] = item
    return a


def _plain(a: Array, name: str) -> Array:
    """Objects that are all integers or all text as such; else as they are, if nothing is missing among them."""
    kinds = set(map(type, a))
    if kinds <= {str}:
        return a
    if all(issubclass(kind, int | np.integer) and kind is not bool for kind in kinds):
        numbers = np.array([int(item) for item in a])
        return numbers if numbers.dtype.kind in "iu" else a
    if kinds <= {str, np.str_}:
        return np.array([*map(str, a), None], object)[:-1]
    for k, item in enumerate(a):
        try:
            is_missing = item is None or bool(item != item)
        except (TypeError, ValueError):  # pandas.NA does not say; an array says more than once
            is_missing = not isinstance(item, np.ndarray)
        if is_missing:
            raise ValueError(f"links: {name}[{k}] is missing ({item!r}): leave out edges without both ends")
        if isinstance(item, float | np.floating):
            raise TypeError(f"links: {name}[{k}] is {item!r}: ids are integers or names, and no floats")
        try:
            hash(item)
        except TypeError:
            raise TypeError(
                f"links: {name}[{k}] is {item!r:.40}, which cannot be hashed: ids are integers or names (text, tuples, "
                f"anything hashable)"
            ) from None
    return a


def check_numbers(a: Array, name: str, n: int) -> None:
    """An error unless ids are numbers of nodes, 0 .. n - 1."""
    if a.size == 0:
        return
    if a.dtype.kind not in "iu":
        raise TypeError(
            f"links: with n_nodes the nodes are the numbers 0 .. n_nodes - 1, and {name} must hold integers, "
            f"got {a.dtype if a.dtype.kind != 'O' else type(a[0]).__name__}: without n_nodes, ids may be names"
        )
    if int(a.min()) < 0 or int(a.max()) >= n:
        k = int(np.argmax((a < 0) | (a >= n)))
        raise ValueError(
            f"links: {name}[{k}] is {a[k]}, which is no node: there are {max(n, 0)}, numbered from 0 "
            f"(without n_nodes, the nodes are the ids that occur)"
        )


def number(*columns: Array) -> Numbered:
    """Number the ids that occur in any of the columns, which `id_array` made.

    Sorted if they are integers, text, bytes, dates or tuples that can be sorted, else in the order in which they occur,
    row by row if the columns have equally many.
    """
    kinds = {a.dtype.kind for a in columns if a.size}
    if not kinds:
        return Numbered(tuple(a.astype(np.int64) for a in columns), range(0))
    columns = tuple(a if a.size else a.astype(_kind_of(columns)) for a in columns)
    if kinds <= {"i", "u"}:
        whole = _one_integer_type(columns)
        if whole is not None:
            return _number_integers(whole)
    elif len(kinds) == 1 and kinds <= {"U", "S", "M", "m"}:
        nodes, inverse = np.unique(np.concatenate(columns), return_inverse=True)
        return Numbered(_split(inverse, columns), nodes)
    return _number_objects(columns)


def _kind_of(columns: Sequence[Array]) -> Any:
    return next(a.dtype for a in columns if a.size)


def _split(joined: Array, columns: Sequence[Array]) -> tuple[Array, ...]:
    return tuple(np.split(joined.reshape(-1), np.cumsum([a.size for a in columns])[:-1]))


def _one_integer_type(columns: Sequence[Array]) -> tuple[Array, ...] | None:
    """Native integers of one type, which int64 and uint64 have only if what they hold fits one of them."""
    dtype = np.result_type(*columns)
    if dtype.kind == "f":
        if all(int(a.max(initial=0)) < 2**63 for a in columns):
            dtype = np.dtype(np.int64)
        elif all(int(a.min(initial=0)) >= 0 for a in columns):
            dtype = np.dtype(np.uint64)
        else:
            return None
    return tuple(a.astype(dtype.newbyteorder("="), copy=False) for a in columns)


def _number_integers(columns: tuple[Array, ...]) -> Numbered:
    held = [a for a in columns if a.size]
    least, largest = min(int(a.min()) for a in held), max(int(a.max()) for a in held)
    size = largest - least + 1
    if size > _ROOM_PER_ID * sum(a.size for a in columns) + 1024:
        nodes, inverse = np.unique(np.concatenate(columns), return_inverse=True)
        return Numbered(_split(inverse, columns), nodes)
    wide = np.dtype(np.uint64 if largest >= 2**63 else np.int64)
    if least != 0:
        columns = tuple((a.astype(wide, copy=False) - wide.type(least)).astype(np.int64) for a in columns)
    occurs = np.zeros(size, bool)
    for a in columns:
        occurs[a] = True
    if occurs.all():
        return Numbered(columns, range(size) if least == 0 else np.arange(size).astype(wide) + wide.type(least))
    new = np.cumsum(occurs) - 1
    return Numbered(tuple(new[a] for a in columns), np.flatnonzero(occurs).astype(wide) + wide.type(least))


def _number_objects(columns: tuple[Array, ...]) -> Numbered:
    lists = [a.tolist() if a.dtype.kind in "iuUS" else list(a) for a in columns]
    known: dict[Any, int] = {}
    in_order = zip(*lists, strict=True) if len({len(items) for items in lists}) == 1 else lists
    for items in in_order:
        for item in items:
            known.setdefault(item, len(known))
    nodes = list(known)
    kinds = set(map(type, nodes))
    if len(kinds) == 1 and kinds <= {str, bytes, int, tuple}:
        try:
            nodes.sort()
        except TypeError:  # tuples of one thing and another
            pass
        else:
            known = {item: k for k, item in enumerate(nodes)}
    numbers = tuple(np.array([known[item] for item in items], np.int64) for items in lists)
    return Numbered(numbers, nodes)


# ---- from names to positions ----


class Names:
    """The nodes of a graph that is no `Links`: their number, and their names if they have any."""

    def __init__(self, n_nodes: int, nodes: Sequence[Any] | None) -> None:
        self.n_nodes, self.nodes = n_nodes, nodes
        self.index = lookup(range(n_nodes) if nodes is None else nodes, n_nodes)


def lookup(nodes: Sequence[Any], n: int) -> Callable[[Any], int]:
    """The position of a node among `nodes`, or a ValueError."""
    if isinstance(nodes, range):
        return lambda node: number_of_node(n, node)
    known = {name: i for i, name in enumerate(nodes)}

    def index(node: Any) -> int:
        try:
            found = known[node]
        except (KeyError, TypeError):
            raise unknown(n, node) from None
        if isinstance(node, float) and not isinstance(nodes[found], float):  # 0.0 is equal to 0, and no id of it
            raise unknown(n, node)
        return found

    return index


def number_of_node(n: int, node: Any) -> int:
    """A node of a graph whose n nodes have no names, or a ValueError."""
    if isinstance(node, int | np.integer) and 0 <= node < n:
        return operator.index(node)
    raise unknown(n, node)


def unknown(n: int, node: Any) -> ValueError:
    return ValueError(f"unknown node {node!r} in a graph of {n} nodes")
