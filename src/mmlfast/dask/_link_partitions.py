"""A graph in partitions: what workers keep of each, and the sum of what their links carry.

A partition holds rows of the matrix of the graph, or any of its links as an array of edges. What is kept of it are its
links by target: four bytes per link where weights are equal, twelve elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from mmlfast._arrays import as_array, check_real
from mmlfast._link_intake import _check_weights
from mmlfast.dask._engine import client_in_use, depth_of_tree, import_dask, survive, tree_sum

Array = np.ndarray[Any, Any]

_LONGEST_SUM = 256  # longer rows are summed in pieces, which keeps rounding errors small
_STRIP = 1 << 18  # links that are multiplied at a time: their weights, if all are one, stay in cache
_ONES = np.ones(_STRIP)


class Partition(NamedTuple):
    """The links of a partition, by target."""

    is_rows: bool  # rows of the matrix, and not edges
    n_sources: int  # rows, or the largest source and one more
    n_targets: int  # columns, or the largest target and one more
    targets: Array  # nodes that links arrive at, ascending
    pieces: Array | None  # where the pieces of each target's links begin, if some are in several
    starts: Array  # of the pieces, in sources
    sources: Array
    weights: Array | None  # None if all are `weight`
    weight: float


class Facts(NamedTuple):
    """What the client knows of a partition."""

    is_rows: bool
    n_sources: int
    n_targets: int
    longest_sum: int
    longest_strength: int
    weight: float | None


# ---- on the workers ----


def take(part: Any, number: int, is_rows: bool | None) -> Partition:
    """A partition taken in. Without `is_rows`, sparse ones are rows and dense ones edges."""
    from scipy import sparse

    is_sparse = hasattr(part, "tocsr")
    is_rows = is_sparse if is_rows is None else is_rows
    if is_rows:
        block = part.tocsr() if is_sparse else sparse.csr_array(np.atleast_2d(np.asarray(as_array(part, "links"))))
        check_real(block, "links")
        matrix = block.tocoo()
        source, target, weights, (n_sources, n_targets) = matrix.row, matrix.col, matrix.data, block.shape
        if target.size and not 0 <= int(target.min()) <= int(target.max()) < n_targets:
            raise ValueError(f"links: partition {number} is no well formed sparse matrix")
    else:
        source, target, weights = _edges(part, number)
        n_sources, n_targets = (int(a.max()) + 1 if a.size else 0 for a in (source, target))
    if weights is not None:
        _check_weights(weights, lambda k: f"the weight of link {k} of partition {number}")
    data = np.ones(source.size) if weights is None else weights.astype(np.float64)
    by_target = sparse.coo_array((data, (source, target)), shape=(n_sources, n_targets)).tocsc()
    by_target.eliminate_zeros()
    return _compact(by_target, is_rows)


def _edges(part: Any, number: int) -> tuple[Array, Array, Array | None]:
    """Sources, targets and weights, if there are any, of an array of edges or a data frame."""
    names = [str(name) for name in part.columns] if hasattr(part, "columns") else []
    if names:
        if not {"source", "target"} <= set(names):
            raise ValueError(f"links: partition {number} has columns {names}; it needs source and target")
        columns = [np.asarray(part[name]) for name in ("source", "target", "weight") if name in names]
    else:
        edges = np.asarray(as_array(part, "links"))
        if edges.ndim != 2 or edges.shape[1] not in (2, 3):
            raise ValueError(
                f"links: an array of edges has 2 or 3 columns, got shape {edges.shape} in partition {number}"
            )
        columns = list(edges.T)
    for name, column in zip(("source", "target", "weight"), columns, strict=False):
        check_real(column, f"links: {name} of partition {number}")
    nodes = [_node_numbers(column, number) for column in columns[:2]]
    return nodes[0], nodes[1], columns[2] if len(columns) == 3 else None


def _node_numbers(column: Array, number: int) -> Array:
    whole = column.dtype.kind in "iu"
    good = column >= 0 if whole else (column >= 0) & (column < 2**53) & (column == np.floor(column))
    if not good.all():
        k = int(np.argmin(good))
        raise ValueError(f"links: link {k} of partition {number} names a node {column[k]}: nodes are numbers from 0 on")
    return column if whole else column.astype(np.int64)


def _compact(by_target: Any, is_rows: bool) -> Partition:
    n_sources, n_targets = by_target.shape
    counts = np.diff(by_target.indptr)
    targets = np.flatnonzero(counts)
    counts = counts[targets]
    starts = np.append(by_target.indptr[targets], by_target.nnz)
    pieces = None
    if counts.max(initial=0) > _LONGEST_SUM:
        per_target = -(-counts // _LONGEST_SUM)
        pieces = np.cumsum(per_target) - per_target
        within = np.arange(per_target.sum()) - np.repeat(pieces, per_target)
        starts = np.append(np.repeat(starts[:-1], per_target) + _LONGEST_SUM * within, by_target.nnz)
    data = by_target.data
    equal = data.size == 0 or bool(data.min() == data.max())
    weight = float(data[0]) if equal and data.size else 1.0
    sources = by_target.indices
    if n_sources < 2**31:
        sources = sources.astype(np.int32, copy=False)
    return Partition(is_rows, n_sources, n_targets, targets, pieces, starts, sources, None if equal else data, weight)


def facts(part: Partition) -> Facts:
    arriving = np.diff(part.starts)
    if part.pieces is not None:
        arriving = np.add.reduceat(arriving, part.pieces)
    longest, leaving = (_longest_sum(int(a.max(initial=0))) for a in (arriving, np.bincount(part.sources)))
    weight = part.weight if part.weights is None else None
    return Facts(part.is_rows, part.n_sources, part.n_targets, longest, leaving, weight)


def _longest_sum(count: int) -> int:
    """How many additions a term goes through in the sum of so many, at most."""
    return min(count, _LONGEST_SUM) + (-(-count // _LONGEST_SUM) if count > _LONGEST_SUM else 0)


def strength(part: Partition, n: int) -> Array:
    """Sums of the weights that leave each node; zeros up to n for nodes that the partition does not name."""
    if part.weights is None:
        with np.errstate(over="ignore"):  # the client says so
            return np.asarray(np.bincount(part.sources, minlength=n) * part.weight)
    from scipy import sparse

    shape = (part.starts.size - 1, max(part.n_sources, n))
    by_source = sparse.csr_array((part.weights, part.sources, part.starts), shape=shape).tocsc()
    return pull(_compact(by_source, part.is_rows), np.ones(shape[0]), shape[1])


def pull(part: Partition, z: Array, n: int) -> Array:
    """What arrives at each of n nodes if node j gives z[j] to each of its links, times their weights. In z's type."""
    from scipy import sparse

    given = z[: part.n_sources].astype(np.float64, copy=False)
    starts = part.starts
    sums = np.empty(starts.size - 1)
    # Cut where the next piece, which is much shorter than a strip, would not fit any more.
    first = 0
    while first < sums.size:
        last = int(np.searchsorted(starts, starts[first] + _STRIP, side="right")) - 1
        links = slice(starts[first], starts[last])
        sources = part.sources[links]
        data = _ONES[: sources.size] if part.weights is None else part.weights[links]
        strip = sparse.csr_array(
            (data, sources, starts[first : last + 1] - starts[first]), shape=(last - first, given.size)
        )
        sums[first:last] = strip @ given
        first = last
    if part.pieces is not None:
        sums = np.add.reduceat(sums, part.pieces)
    out = np.zeros(n, z.dtype)
    out[part.targets] = sums if part.weights is not None or part.weight == 1 else sums * part.weight
    return out


def add(terms: Sequence[Array]) -> Array:
    """Their sum, as a new array: a term may have to serve again if a worker is lost."""
    with np.errstate(over="ignore"):
        total = terms[0] + terms[1]
        for term in terms[2:]:
            total += term
    return total


# ---- on the client ----


class LinkPartitions:
    """The partitions of a graph on the workers."""

    def __init__(self, links: Any, n_nodes: int | None) -> None:
        self._dask = import_dask()
        parts, is_rows = _delayed_parts(links)
        if not parts:
            raise ValueError("links: the graph has no nodes")
        on_worker = self._dask.delayed(take)
        taken = [on_worker(part, k, is_rows) for k, part in enumerate(parts)]
        self._parts = self._dask.persist(*taken)
        known = self._compute(*[self._dask.delayed(facts)(part) for part in self._parts])
        self._count_nodes(known, n_nodes)
        weights = {fact.weight for fact in known if fact.longest_strength}
        self.weighted = len(weights) > 1 or None in weights
        depth = depth_of_tree(len(parts))
        # Additions that a term goes through, at most: of what arrives, and of strengths (counts are exact).
        self.longest_sum = max(fact.longest_sum for fact in known) + depth
        self.longest_strength = max(fact.longest_strength for fact in known) + depth if self.weighted else 0
        self.strength = self._strengths()

    def _count_nodes(self, known: Sequence[Facts], n_nodes: int | None) -> None:
        if len({fact.is_rows for fact in known}) > 1:
            raise TypeError("links: partitions must be all rows of a sparse matrix or all arrays of edges")
        self._is_rows = known[0].is_rows
        if self._is_rows:
            self._ends = np.cumsum([fact.n_sources for fact in known])
            n, columns = int(self._ends[-1]), {fact.n_targets for fact in known}
            if columns != {n}:
                raise ValueError(
                    f"links: the matrix of a graph must be square, got {n} rows and {sorted(columns)} columns"
                )
            if n_nodes is not None and n_nodes != n:
                raise ValueError(f"links: n_nodes is {n_nodes}, but the matrix has {n} rows")
        else:
            least = max(max(fact.n_sources, fact.n_targets) for fact in known)
            n = least if n_nodes is None else int(n_nodes)
            if n < least:
                raise ValueError(f"links: {least - 1} is no node: there are {n}")
        if n == 0:
            raise ValueError("links: the graph has no nodes")
        self.n_nodes = n

    def _strengths(self) -> Array:
        delayed, n = self._dask.delayed, self.n_nodes
        if self._is_rows:
            own = [delayed(strength)(part, 0) for part in self._parts]
            sizes = np.diff(self._ends, prepend=0)
            found = self._compute(*own)
            sums = np.concatenate([np.pad(s, (0, size - s.size)) for s, size in zip(found, sizes, strict=True)])
        else:
            whole = tree_sum([delayed(strength)(part, n) for part in self._parts], delayed(add))
            (sums,) = self._compute(whole)
        if not np.isfinite(sums).all():
            node = int(np.argmin(np.isfinite(sums)))
            raise ValueError(f"links: the weights of the links that leave node {node} add up to infinity")
        return np.asarray(sums, np.float64)

    def arriving(self, z: Array) -> Array:
        """Entry i is the sum of weight times z[j] over the links from j to i: one sweep, in the type of z."""

        def sweep() -> Array:
            sent = self._send(np.split(z, self._ends[:-1]) if self._is_rows else [z])
            if not self._is_rows:
                sent *= len(self._parts)
            delayed = self._dask.delayed
            terms = [delayed(pull)(part, own, self.n_nodes) for part, own in zip(self._parts, sent, strict=True)]
            (total,) = self._dask.compute(tree_sum(terms, delayed(add)))
            return np.asarray(total)

        return np.asarray(survive(sweep))

    def _send(self, arrays: list[Array]) -> list[Any]:
        client = client_in_use()
        if client is None:
            return arrays
        return list(client.scatter(arrays, broadcast=len(arrays) == 1, hash=False))

    def _compute(self, *tasks: Any) -> tuple[Any, ...]:
        return tuple(survive(lambda: self._dask.compute(*tasks)))


def _delayed_parts(links: Any) -> tuple[list[Any], bool | None]:
    """The partitions, and whether they are rows of a matrix, if that is known."""
    if hasattr(links, "to_delayed") and hasattr(links, "columns"):  # a data frame
        return list(links.to_delayed()), False
    if hasattr(links, "to_delayed") and hasattr(links, "chunks"):
        if links.ndim != 2:
            raise ValueError(f"links: the matrix of a graph must be square, got shape {links.shape}")
        blocks = links.to_delayed()
        beside = import_dask().delayed(_beside)
        parts = [row[0] if len(row) == 1 else beside(list(row)) for row in blocks]
        rows, columns = links.shape
        return parts, not (columns in (2, 3) and rows != columns)
    if isinstance(links, Iterable) and not hasattr(links, "tocsr") and not isinstance(links, np.ndarray):
        return list(links), None
    raise TypeError(
        "links: expected a Dask array, a Dask data frame or partitions of a graph, "
        f"got {type(links).__name__}; mmlfast.graph.pagerank ranks what is in memory"
    )


def _beside(blocks: Sequence[Any]) -> Any:
    from scipy import sparse

    return sparse.hstack([b.tocsr() if hasattr(b, "tocsr") else sparse.csr_array(b) for b in blocks], format="csr")
