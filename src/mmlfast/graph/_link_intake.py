"""Graphs taken in: from matrices, tables, other libraries' graphs and edges to prepared links and names of nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from mmlfast import _core
from mmlfast._common.arrays import as_array, as_integer, check_digits, check_real, is_dask, refuse_dask
from mmlfast._common.labels import are_positions, check_labels, labels_of_axes
from mmlfast.graph._node_ids import check_numbers, id_array, number

Array = np.ndarray[Any, Any]
Nodes = Array | list[Any] | range

most_nodes = 2**31


def from_graph(graph: Any, weight: str | None) -> tuple[_core.LinksObject, Nodes | None]:
    """The links of whatever holds them, and the names of the nodes, if they have any."""
    if hasattr(graph, "adjacency") and hasattr(graph, "nodes"):
        nodes = list(graph.nodes)
        return _from_networkx(graph, nodes, weight), nodes
    if hasattr(graph, "get_edgelist"):
        names = list(graph.vs["name"]) if "name" in graph.vs.attributes() else None
        return _from_igraph(graph, names, weight), names
    if hasattr(graph, "tocsr"):
        return from_matrix(graph, None), None
    table, names = table_and_nodes(graph)
    return from_matrix(table, names), names


def table_and_nodes(x: Any) -> tuple[Array, list[Any] | None]:
    """A dense matrix, or a stack of them, as an array, and the names of its rows and columns, if it is labelled.

    Columns in another order than the rows are put into theirs. Labels that are numbers in order are none.
    """
    if type(x) is np.ndarray:
        return x, None
    a = as_array(x, "links")
    if is_dask(a):
        raise TypeError(
            "links is a Dask array: mmlfast.dask.pagerank ranks graphs in chunks, links.compute() gives an array in "
            "memory"
        )
    a = np.asarray(a)
    labels = labels_of_axes(x)
    if a.ndim < 2 or len(labels) != a.ndim:
        return a, None
    rows, columns = (labels[-2] if i is None else i for i in labels[-2:]) if labels[-1] is None else labels[-2:]
    rows = columns if rows is None else rows
    if rows is None or (are_positions(rows) and are_positions(columns) and len(rows) == len(columns)):
        return a, None
    for axis, index in (("rows", rows), ("columns", columns)):
        if not index.is_unique:
            raise ValueError(f"links: two {axis} are labelled {index[index.duplicated()][0]!r}: labels name the nodes")
    if rows.equals(columns):
        return a, list(rows)
    place = columns.get_indexer(rows)
    if len(rows) != len(columns) or (place < 0).any():
        lone = [*rows.difference(columns, sort=False), *columns.difference(rows, sort=False)]
        raise ValueError(
            f"links: rows and columns must have the same labels, which name the nodes; {lone[0]!r} labels only one of "
            f"them: .reindex(index=nodes, columns=nodes, fill_value=0) makes the matrix square, .to_numpy() means the "
            f"order as it is"
        )
    return np.ascontiguousarray(a[..., place]), list(rows)


def link_of(nodes: Nodes | None, source: Any, target: Any) -> str:
    """A link in words of the caller."""
    names = (int(source), int(target)) if nodes is None else (nodes[source], nodes[target])
    return f"the weight of the link ({names[0]!r}, {names[1]!r})"


def _from_networkx(graph: Any, nodes: list[Any], weight: str | None) -> _core.LinksObject:
    import networkx as nx

    if not nodes:
        raise ValueError("links: the graph has no nodes")
    # For undirected graphs networkx itself adds entries up, negative ones too: loops, which it has put in twice.
    form = "coo" if graph.is_directed() else "csr"
    matrix = nx.to_scipy_sparse_array(graph, nodelist=nodes, weight=weight, dtype=float, format=form)
    return from_matrix(matrix, nodes)


def _from_igraph(graph: Any, names: list[Any] | None, weight: str | None) -> _core.LinksObject:
    edges = np.array(graph.get_edgelist(), dtype=np.int64).reshape(-1, 2)
    weights = None
    if weight is not None and weight in graph.es.attributes():
        weights = np.array([1.0 if w is None else w for w in graph.es[weight]], dtype=np.float64)
    source, target = edges[:, 0], edges[:, 1]
    if weights is not None:
        _check_weights(weights, lambda k: link_of(names, source[k], target[k]))
    return _from_numbered(source, target, weights, graph.vcount(), graph.is_directed())


def from_edges(
    sources: Any, targets: Any, weights: ArrayLike | None, n_nodes: int | None, directed: bool
) -> tuple[_core.LinksObject, Nodes | None]:
    check_labels(
        "Links.from_edges", sources=(sources, "m", "m"), targets=(targets, "m", "m"), weights=(weights, "m", "m")
    )
    ends = id_array(sources, "sources"), id_array(targets, "targets")
    if ends[0].size != ends[1].size:
        raise ValueError(f"links: {ends[0].size} sources, but {ends[1].size} targets")
    data = None if weights is None else _edge_weights(weights, ends)
    if n_nodes is None:
        (source, target), nodes = number(*ends)
        return _from_numbered(source, target, data, len(nodes), directed), nodes
    n = as_integer(n_nodes, "n_nodes")
    for name, a in (("sources", ends[0]), ("targets", ends[1])):
        check_numbers(a, name, n)
    return _from_numbered(*ends, data, n, directed), None


def _edge_weights(weights: ArrayLike, ends: tuple[Array, Array]) -> Array:
    data: Array = as_array(weights, "weights")
    if is_dask(data):
        refuse_dask("weights")
    if data.shape != ends[0].shape:
        raise ValueError(f"links: weights has shape {data.shape}, but there are {ends[0].size} links")
    check_real(data, "weights")
    check_digits(data, "weights")

    def edge(k: int) -> str:
        source, target = (a[k].item() if isinstance(a[k], np.generic) else a[k] for a in ends)
        return f"weights[{k}], of the link ({source!r}, {target!r}),"

    _check_weights(data, edge)
    return data


def _from_numbered(source: Array, target: Array, weights: Array | None, n: int, directed: bool) -> _core.LinksObject:
    from scipy import sparse

    _check_shape((n, n))
    other = None if directed else source != target  # a loop is one link both ways
    if other is not None:
        source, target = np.r_[source, target[other]], np.r_[target, source[other]]
    if weights is None:
        return _from_csr(_counted(source, target, n))
    data = weights.astype(np.float64, copy=False)
    if other is not None:
        data = np.r_[data, data[other]]
    return _from_csr(sparse.coo_array((data, (source, target)), shape=(n, n)).tocsr())


def _counted(source: Array, target: Array, n: int) -> Any:
    """How often each link occurs, as CSR: by one sort of numbers that hold both ends, which NumPy does in vectors."""
    from scipy import sparse

    link = source.astype(np.int64) << 32
    link |= target.astype(np.int64, copy=False)
    link.sort()
    is_first = np.ones(link.size, bool)
    np.not_equal(link[1:], link[:-1], out=is_first[1:])
    times = is_first
    if not is_first.all():
        first = np.flatnonzero(is_first)
        times, link = np.diff(first, append=link.size).astype(np.float64), link[first]
    starts = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(link >> 32, minlength=n), out=starts[1:])
    return sparse.csr_array((times, link.astype(np.int32), starts), shape=(n, n))


def _check_weights(data: Array, where: Callable[[int], str]) -> None:
    """ValueError for a weight that is negative, infinite or NaN: adding up duplicates could hide it."""
    if data.dtype.kind in "bu" or data.size == 0:
        return
    low, high = data.min(), data.max()
    if not (low >= 0 and high < np.inf):
        k = int(np.argmax(~((data >= 0) & (data < np.inf))))
        raise ValueError(f"links: {where(k)} is {data[k]}: weights must be finite and not negative")


def _check_shape(shape: tuple[int, ...]) -> None:
    if len(shape) != 2 or shape[0] != shape[1]:
        raise ValueError(f"links must be a square matrix, got shape {shape}")
    if shape[0] <= 0:
        raise ValueError("links: the graph has no nodes")
    if shape[0] > most_nodes:
        raise ValueError(f"links: the graph has {shape[0]} nodes, and {most_nodes} is the most there may be")


def from_matrix(matrix: Any, nodes: Nodes | None) -> _core.LinksObject:
    """Links of a matrix, sparse or dense; messages have the names of `nodes`."""
    from scipy import sparse

    _check_shape(matrix.shape)
    check_real(matrix, "links")
    if not sparse.issparse(matrix):
        check_digits(matrix, "links")
        return _from_csr(sparse.csr_array(matrix.astype(np.float64, copy=False)), nodes)
    return _from_csr(matrix if matrix.format == "csr" else _as_csr(matrix, nodes), nodes)


def _as_csr(matrix: Any, nodes: Nodes | None) -> Any:
    """Any other sparse format as CSR. SciPy's conversions believe what they are given, so it is checked before."""
    if matrix.format in ("csc", "bsr"):
        try:
            matrix.check_format(full_check=True)
        except ValueError as error:
            raise ValueError(f"links: the sparse matrix is not well formed: {error}") from None
        if matrix.format == "csc":
            return matrix.tocsr()
    matrix = matrix.tocoo()
    for name, a in (("row", matrix.row), ("column", matrix.col)):
        if a.size != matrix.data.size or (a.size and not (a.min() >= 0 and a.max() < matrix.shape[0])):
            raise ValueError(f"links: the sparse matrix is not well formed: {name} index out of range")
    _check_weights(matrix.data, lambda k: link_of(nodes, matrix.row[k], matrix.col[k]))
    check_digits(matrix.data, "links")
    # What is stored more than once is added up, which small integers and booleans cannot.
    return matrix.astype(np.float64, copy=False).tocsr()


def _from_csr(matrix: Any, nodes: Nodes | None = None) -> _core.LinksObject:
    index = np.promote_types(matrix.indptr.dtype, matrix.indices.dtype)
    index = np.dtype(np.int32) if index.itemsize <= 4 and index.kind == "i" else np.dtype(np.int64)
    starts = _native(matrix.indptr, index)
    targets = _native(matrix.indices, index)
    if starts.shape != (matrix.shape[0] + 1,):
        raise ValueError(
            f"links: the sparse matrix is not well formed: indptr has shape {starts.shape} for {matrix.shape[0]} rows"
        )
    if starts[-1] > min(targets.size, matrix.data.size):
        raise ValueError(
            f"links: the sparse matrix is not well formed: indptr ends at {starts[-1]}, but there are {targets.size} "
            f"indices and {matrix.data.size} weights"
        )
    data = matrix.data[: max(starts[-1], 0)]
    check_digits(data, "links")
    weights = None if data.size == 0 or (data.dtype.kind == "b" and data.all()) else _native(data, np.float64)
    links, fault, at = _core.make_links(starts, targets, weights)
    if links is None:
        if fault == "weight" and data[at] >= 0 and np.isfinite(data[at]):
            return _from_csr(_scaled(matrix), nodes)
        _refuse(fault, at, starts, targets, data, nodes)
    if links.has_zeros:
        matrix = matrix.copy()
        matrix.eliminate_zeros()
        return _from_csr(matrix, nodes)
    return links


def _native(x: Array, dtype: Any) -> Array:
    return np.require(x, dtype, ["C", "A"])


def _scaled(matrix: Any) -> Any:
    """The same graph, with weights that add up to numbers there are: rows are scaled by powers of two."""
    from scipy import sparse

    starts, data = matrix.indptr, matrix.data[: matrix.indptr[-1]].astype(np.float64)
    row = np.repeat(np.arange(starts.size - 1), np.diff(starts))
    largest = np.zeros(starts.size - 1)
    np.maximum.at(largest, row, data)
    data = np.ldexp(data, -np.frexp(largest)[1][row])
    return sparse.csr_array((data, matrix.indices[: data.size], starts), shape=matrix.shape)


def _refuse(fault: str, at: int, starts: Array, targets: Array, data: Array, nodes: Nodes | None) -> NoReturn:
    if fault != "weight":
        value = targets[at] if fault.startswith("index") else starts[at]
        raise ValueError(f"links: the sparse matrix is not well formed: {fault}, where it is {value}")
    row = int(np.searchsorted(starts, at, side="right")) - 1
    raise ValueError(
        f"links: {link_of(nodes, row, targets[at])} is {data[at]}: weights must be finite and not negative"
    )
