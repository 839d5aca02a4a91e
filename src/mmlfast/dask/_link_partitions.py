"""A graph in partitions: what workers keep of each, and the sum of what their links carry.

A partition holds rows of the matrix of the graph, or any of its links as an array of edges. What is kept of it are its
links by target: four bytes per link where weights are equal, twelve elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from mmlfast._common.arrays import as_array, as_integer, check_digits, check_real
from mmlfast.dask._engine import client_in_use, delayed_type, depth_of_tree, import_dask, survive, tree_sum
from mmlfast.graph._link_intake import _check_weights
from mmlfast.graph._node_ids import check_numbers, id_array
from mmlfast.graph._node_ids import number as number_ids

Array = np.ndarray[Any, Any]

_LONGEST_SUM = 256  # longer rows are summed in pieces, which keeps rounding errors small
_STRIP = 1 << 18  # links that are multiplied at a time: their weights, if all are one, stay in cache
_ONES = np.ones(_STRIP)
_ENDS = ("source", "target")


class Partition(NamedTuple):
    """The links of a partition, by target."""

    is_rows: bool  # rows of the matrix, and not edges
    n_sources: int  # rows, or nodes
    n_targets: int  # columns, or nodes
    targets: Array  # nodes that links arrive at
    pieces: Array | None  # where the pieces of each target's links begin, if some are in several
    starts: Array  # of the pieces, in sources
    sources: Array
    weights: Array | None  # None if all are `weight`
    weight: float
    ids: Array | None = None  # of edges: what the ends of links, which are numbered in the partition alone, are called


class Facts(NamedTuple):
    """What the client knows of a partition."""

    is_rows: bool
    n_sources: int
    n_targets: int
    longest_sum: int
    longest_strength: int
    weight: float | None
    ids: Array | None


# ---- on the workers ----


def take(part: Any, number: int, is_rows: bool | None, n_nodes: int | None) -> Partition:
    """A partition taken in. Without `is_rows`, sparse ones are rows and dense ones edges."""
    from scipy import sparse

    ids: Array | None = None
    if hasattr(part, "tocsr") if is_rows is None else is_rows:
        matrix = rows_of(part, number).tocoo()
        source, target, data, shape = matrix.row, matrix.col, matrix.data, matrix.shape
    else:
        source, target, weights = _edges(part, number, n_nodes)
        data = np.ones(source.size) if weights is None else weights.astype(np.float64)
        (source, target), nodes = number_ids(source, target)
        ids = id_array(nodes, "links") if isinstance(nodes, list) else np.asarray(nodes)
        shape = ids.size, ids.size
    by_target = sparse.coo_array((data, (source, target)), shape=shape).tocsc()
    by_target.eliminate_zeros()
    return _compact(by_target, ids is None)._replace(ids=ids)


def rows_of(part: Any, number: int) -> Any:
    """Rows of the matrix of a graph as a sparse one of float64: small integers could not be added up."""
    from scipy import sparse

    if not hasattr(part, "tocsr"):
        part = np.atleast_2d(np.asarray(as_array(part, "links")))
        check_real(part, "links")
        check_digits(part, "links")
        part = sparse.csr_array(part)
    check_real(part, "links")
    try:
        matrix = part if part.format in ("csr", "csc") else part.tocoo()
        if matrix.format == "coo":
            good = all(
                a.size == 0 or 0 <= a.min() <= a.max() < n for a, n in zip(matrix.coords, part.shape, strict=True)
            )
            if not good:
                raise ValueError("index out of range")
        else:
            matrix.check_format(full_check=True)
    except ValueError as error:
        raise ValueError(f"links: partition {number} is no well formed sparse matrix: {error}") from None
    _check_weights(matrix.data, lambda k: f"the weight of link {k} of partition {number}")
    return matrix.astype(np.float64, copy=False).tocsr()


def _edges(part: Any, number: int, n_nodes: int | None) -> tuple[Array, Array, Array | None]:
    """Sources, targets and weights, if there are any, of an array of edges or a data frame."""
    columns = _columns(part, number)
    place = f"of partition {number}"
    ends = [id_array(_whole(column, number), f"{name} {place}") for name, column in zip(_ENDS, columns, strict=False)]
    if n_nodes is not None:
        for name, a in zip(_ENDS, ends, strict=True):
            check_numbers(a, f"{name} {place}", n_nodes)
    if len(columns) == 2:
        return ends[0], ends[1], None
    weights = np.asarray(as_array(columns[2], f"links: weight {place}"))
    check_real(weights, f"links: weight {place}")
    check_digits(weights, f"links: weight {place}")
    _check_weights(weights, lambda k: f"the weight of link {k} {place}")
    return ends[0], ends[1], weights


def _columns(part: Any, number: int) -> list[Any]:
    names = [str(name) for name in part.columns] if hasattr(part, "columns") else []
    if names:
        if not set(_ENDS) <= set(names):
            raise ValueError(f"links: partition {number} has columns {names}; it needs source and target")
        return [part[name] for name in (*_ENDS, "weight") if name in names]
    if isinstance(part, list | tuple) and any(isinstance(item, str) for row in part for item in row):
        if not {len(row) for row in part} <= {2, 3} or len({len(row) for row in part}) > 1:
            raise ValueError(f"links: edges have 2 or 3 entries each, got others in partition {number}")
        return [list(column) for column in zip(*part, strict=True)]
    edges = part if type(part) is np.ndarray else np.asarray(as_array(part, "links"))
    if edges.ndim != 2 or edges.shape[1] not in (2, 3):
        raise ValueError(f"links: an array of edges has 2 or 3 columns, got shape {edges.shape} in partition {number}")
    if edges.dtype.kind == "c":
        check_real(edges, f"links: partition {number}")
    columns = list(edges.T)
    if edges.dtype.kind == "O" and len(columns) == 3:
        columns[2] = columns[2].tolist()
    return columns


def _whole(column: Any, number: int) -> Any:
    """Ids beside weights in one array of floats are whole numbers."""
    a = column if type(column) is np.ndarray else np.asarray(column)
    if a.dtype.kind != "f":
        return column
    good = (np.abs(a) <= 2**53) & (a == np.floor(a))
    if not good.all():
        k = int(np.argmin(good))
        raise ValueError(f"links: link {k} of partition {number} names a node {a[k]}: ids are integers or names")
    return a.astype(np.int64)


def renumber(part: Partition, positions: Array | None, n: int) -> Partition:
    """Edges with the numbers that nodes have in the graph: their positions, or their ids themselves."""
    positions = part.ids if positions is None else positions
    assert positions is not None
    index = np.int32 if n < 2**31 else np.int64
    positions = positions.astype(index)
    return part._replace(
        n_sources=n, n_targets=n, targets=positions[part.targets], sources=positions[part.sources], ids=None
    )


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
    return Facts(part.is_rows, part.n_sources, part.n_targets, longest, leaving, weight, part.ids)


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

    #: Ids of the nodes of a graph of edges, in order, unless they are their own numbers.
    nodes: list[Any] | None = None

    def __init__(self, links: Any, n_nodes: int | None) -> None:
        self._dask = import_dask()
        n_nodes = None if n_nodes is None else as_integer(n_nodes, "n_nodes", least=0)
        parts, is_rows = _delayed_parts(links)
        if not parts:
            raise ValueError("links: the graph has no nodes")
        on_worker = self._dask.delayed(take)
        taken = [on_worker(part, k, is_rows, n_nodes) for k, part in enumerate(parts)]
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
            n = self._renumber([fact.ids for fact in known if fact.ids is not None], n_nodes)
        if n == 0:
            raise ValueError("links: the graph has no nodes")
        self.n_nodes = n

    def _renumber(self, ids: list[Array], n_nodes: int | None) -> int:
        """Edges named nodes as they liked: from now on by their numbers. How many there are."""
        positions: Sequence[Array | None] = [None] * len(ids)
        if n_nodes is not None:
            n = n_nodes
        else:
            positions, nodes = number_ids(*ids)
            n = len(nodes)
            if isinstance(nodes, range):
                positions = [None] * len(ids)
            else:
                self.nodes = list(nodes) if isinstance(nodes, list) or nodes.dtype.kind in "Mm" else nodes.tolist()
        on_worker = self._dask.delayed(renumber)
        parts = zip(self._parts, positions, strict=True)
        self._parts = self._dask.persist(*[on_worker(part, place, n) for part, place in parts])
        return n

    def name(self, node: int) -> str:
        """A node in words of the caller."""
        return repr(node if self.nodes is None else self.nodes[node])

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
            raise ValueError(f"links: the weights of the links that leave node {self.name(node)} add up to infinity")
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
        # Not with broadcast=True: if a worker is lost meanwhile, the scheduler tries to reach it for ever
        # (dask/distributed#5704). What one worker has the others take from it when they need it.
        return list(client.scatter(arrays, hash=False))

    def _compute(self, *tasks: Any) -> tuple[Any, ...]:
        return tuple(survive(lambda: self._dask.compute(*tasks)))


def _delayed_parts(links: Any) -> tuple[list[Any], bool | None]:
    """The partitions, and whether they are rows of a matrix, if that is known."""
    if isinstance(links, delayed_type()):  # has every attribute
        return [links], None
    if hasattr(links, "to_delayed") and hasattr(links, "columns"):  # a data frame
        return list(links.to_delayed()), False
    if hasattr(links, "to_delayed") and hasattr(links, "chunks"):
        if links.ndim != 2:
            raise ValueError(f"links: the matrix of a graph must be square, got shape {links.shape}")
        rows, columns = links.shape
        if columns in (2, 3) and rows != columns:
            return list(links.rechunk({1: -1}).to_delayed()[:, 0]), False
        beside = import_dask().delayed(_beside)
        blocks = enumerate(links.to_delayed())
        return [row[0] if len(row) == 1 else beside(list(row), k) for k, row in blocks], True
    if hasattr(links, "to_delayed"):  # a bag of edges
        return list(links.to_delayed()), None
    if isinstance(links, Iterable) and not hasattr(links, "tocsr") and not isinstance(links, np.ndarray):
        return list(links), None
    raise TypeError(
        "links: expected a Dask array, a Dask data frame or partitions of a graph, "
        f"got {type(links).__name__}; mmlfast.graph.pagerank ranks what is in memory"
    )


def _beside(blocks: Sequence[Any], number: int) -> Any:
    from scipy import sparse

    return sparse.hstack([rows_of(block, number) for block in blocks], format="csr")
