"""A graph taken in once: from whatever holds it to the links that arrive at each node."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from mmlfast import _core
from mmlfast._arrays import as_array, check_real

Array = np.ndarray[Any, Any]

most_nodes = 2**31


class Links:
    """A directed graph, prepared for `pagerank` and `pagerank_many`.

    Taking a graph in costs about as much as ranking it; a prepared graph can be ranked again, with another damping or
    personalization, without that cost. It is never changed, and any number of threads may use it.

    Parameters
    ----------
    graph : sparse matrix or array, array_like, networkx graph, igraph.Graph, or Links
        Entry (i, j) of a square matrix is the weight of the link from node i to node j. Weights that are all equal
        count as none; entries that are stored more than once are added up, stored zeros are no links, and a link from a
        node to itself is one. A link of an undirected graph goes both ways.
    weight : str or None
        The edge attribute of a networkx or igraph graph that holds the weight; a link without it has weight 1. None:
        all links are equal.

    Attributes
    ----------
    n_nodes, n_links : int
        Numbers of nodes and of stored links.
    n_dangling : int
        Number of nodes that no link leaves.
    weighted : bool
        Whether there are links of different weight.
    nodes : list or None
        The nodes of a networkx graph in the order of the scores; the names of an igraph graph that has names.

    Raises
    ------
    ValueError
        If there is no node, the matrix is not square, or a weight is negative, infinite or NaN.
    TypeError
        If the weights are complex or no numbers at all.

    See Also
    --------
    Links.from_edges : from arrays of sources and targets.

    Examples
    --------
    >>> import numpy as np
    >>> import mmlfast as mf
    >>> links = mf.graph.Links(np.array([[0, 1, 1], [1, 0, 0], [0, 0, 0]]))
    >>> links
    Links(n_nodes=3, n_links=3, n_dangling=1)
    >>> mf.graph.pagerank(links).round(4)
    array([0.3936, 0.3032, 0.3032])
    """

    __slots__ = ("_core", "_index", "nodes")

    _core: _core.LinksObject
    _index: dict[Any, int] | None
    nodes: list[Any] | None

    def __init__(self, graph: Any, *, weight: str | None = "weight") -> None:
        self._index = self.nodes = None
        if isinstance(graph, Links):
            self._core, self.nodes = graph._core, graph.nodes
        elif hasattr(graph, "adjacency") and hasattr(graph, "nodes"):
            self.nodes = list(graph.nodes)
            self._core = _from_networkx(graph, self.nodes, weight)
        elif hasattr(graph, "get_edgelist"):
            self.nodes = list(graph.vs["name"]) if "name" in graph.vs.attributes() else None
            self._core = _from_igraph(graph, weight)
        else:
            self._core = _from_matrix(graph)

    @classmethod
    def from_edges(
        cls, sources: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None, *, n_nodes: int | None = None
    ) -> Links:
        """The graph of the links sources[k] -> targets[k].

        Parameters
        ----------
        sources, targets : array_like of int, shape (m,)
            Nodes, numbered from 0. A link that is given more than once counts as often.
        weights : array_like, shape (m,), optional
            Weights of the links, not negative.
        n_nodes : int, optional
            Number of nodes; by default the largest number among the links and one more.

        Returns
        -------
        Links
            The prepared graph.

        Raises
        ------
        ValueError
            If the arrays differ in length, or a node is not in 0 .. n_nodes - 1.
        TypeError
            If nodes are not integers.

        Examples
        --------
        >>> import mmlfast as mf
        >>> links = mf.graph.Links.from_edges([0, 0, 1], [1, 2, 0])
        >>> mf.graph.pagerank(links).round(4)
        array([0.3936, 0.3032, 0.3032])
        """
        links = cls.__new__(cls)
        links._index = links.nodes = None
        links._core = _from_edges(
            _node_numbers(sources, "sources"), _node_numbers(targets, "targets"), weights, n_nodes
        )
        return links

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return self._core.n_nodes

    @property
    def n_links(self) -> int:
        """Number of stored links."""
        return self._core.n_links

    @property
    def n_dangling(self) -> int:
        """Number of nodes that no link leaves."""
        return self._core.n_dangling

    @property
    def weighted(self) -> bool:
        """Whether there are links of different weight."""
        return self._core.weighted

    def index(self, node: Any) -> int:
        """The position of a node in the scores.

        Parameters
        ----------
        node : hashable
            A node of the networkx graph, a name of the igraph graph, or a number from 0 on where nodes have no names.

        Returns
        -------
        int
            Its position.

        Raises
        ------
        ValueError
            If there is no such node.

        Examples
        --------
        >>> import mmlfast as mf
        >>> mf.graph.Links.from_edges([0], [1]).index(1)
        1
        """
        if self.nodes is None:
            return number_of_node(self.n_nodes, node)
        if self._index is None:
            self._index = {name: i for i, name in enumerate(self.nodes)}
        if node not in self._index:
            raise _unknown(self.n_nodes, node)
        return self._index[node]

    def __repr__(self) -> str:
        return f"Links(n_nodes={self.n_nodes}, n_links={self.n_links}, n_dangling={self.n_dangling})"


def number_of_node(n: int, node: Any) -> int:
    """A node of a graph whose n nodes have no names, or a ValueError."""
    if isinstance(node, int | np.integer) and 0 <= node < n:
        return int(node)
    raise _unknown(n, node)


def _unknown(n: int, node: Any) -> ValueError:
    return ValueError(f"unknown node {node!r} in a graph of {n} nodes")


def _from_networkx(graph: Any, nodes: list[Any], weight: str | None) -> _core.LinksObject:
    import networkx as nx

    if not nodes:
        raise ValueError("links: the graph has no nodes")
    # For undirected graphs networkx itself adds entries up, negative ones too: loops, which it has put in twice.
    form = "coo" if graph.is_directed() else "csr"
    return _from_matrix(nx.to_scipy_sparse_array(graph, nodelist=nodes, weight=weight, dtype=float, format=form))


def _from_igraph(graph: Any, weight: str | None) -> _core.LinksObject:
    edges = np.array(graph.get_edgelist(), dtype=np.int64).reshape(-1, 2)
    weights = None
    if weight is not None and weight in graph.es.attributes():
        weights = np.array([1.0 if w is None else w for w in graph.es[weight]], dtype=np.float64)
    source, target = edges[:, 0], edges[:, 1]
    if not graph.is_directed():
        loop = source == target  # is one link both ways
        source, target = np.r_[source, target[~loop]], np.r_[target, source[~loop]]
        weights = None if weights is None else np.r_[weights, weights[~loop]]
    return _from_edges(source, target, weights, graph.vcount())


def _node_numbers(x: ArrayLike, name: str) -> Array:
    a = np.asarray(as_array(x, name))
    if a.ndim != 1:
        raise ValueError(f"links: {name} must have one dimension, got shape {a.shape}")
    if a.size == 0:
        return np.empty(0, np.int64)
    if a.dtype.kind not in "iu":
        raise TypeError(f"links: {name} must hold integers, got {a.dtype}")
    return a


def _from_edges(sources: Array, targets: Array, weights: ArrayLike | None, n_nodes: int | None) -> _core.LinksObject:
    from scipy import sparse

    if sources.size != targets.size:
        raise ValueError(f"links: {sources.size} sources, but {targets.size} targets")
    data = np.ones(sources.size) if weights is None else np.asarray(as_array(weights, "weights"))
    if data.shape != sources.shape:
        raise ValueError(f"links: weights has shape {data.shape}, but there are {sources.size} links")
    check_real(data, "weights")
    largest = max((int(a.max()) for a in (sources, targets) if a.size), default=-1)
    n = largest + 1 if n_nodes is None else operator.index(n_nodes)
    for name, a in (("sources", sources), ("targets", targets)):
        if a.size and (int(a.min()) < 0 or int(a.max()) >= n):
            k = int(np.argmax((a < 0) | (a >= n)))
            raise ValueError(f"links: {name}[{k}] is {a[k]}, which is no node: there are {max(n, 0)}")
    _check_weights(data, lambda k: f"weights[{k}]")
    _check_shape((n, n))
    return _from_csr(sparse.coo_array((data.astype(np.float64, copy=False), (sources, targets)), shape=(n, n)).tocsr())


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
        raise ValueError(f"links: the matrix of a graph must be square, got shape {shape}")
    if shape[0] <= 0:
        raise ValueError("links: the graph has no nodes")
    if shape[0] > most_nodes:
        raise ValueError(f"links: the graph has {shape[0]} nodes, and {most_nodes} is the most there may be")


def _from_matrix(graph: Any) -> _core.LinksObject:
    from scipy import sparse

    if not sparse.issparse(graph):
        dense = np.asarray(as_array(graph, "links"))
        _check_shape(dense.shape)
        check_real(dense, "links")
        return _from_csr(sparse.csr_array(dense.astype(np.float64, copy=False)))
    matrix: Any = graph
    _check_shape(matrix.shape)
    check_real(matrix, "links")
    return _from_csr(matrix if matrix.format == "csr" else _as_csr(matrix))


def _as_csr(matrix: Any) -> Any:
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
    _check_weights(matrix.data, lambda k: f"the weight of the link ({matrix.row[k]}, {matrix.col[k]})")
    # What is stored more than once is added up, which small integers and booleans cannot.
    return matrix.astype(np.float64, copy=False).tocsr()


def _from_csr(matrix: Any) -> _core.LinksObject:
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
    weights = None if data.size == 0 or (data.dtype.kind == "b" and data.all()) else _native(data, np.float64)
    links, fault, at = _core.make_links(starts, targets, weights)
    if links is None:
        if fault == "weight" and data[at] >= 0 and np.isfinite(data[at]):
            return _from_csr(_scaled(matrix))
        _refuse(fault, at, starts, targets, data)
    if links.has_zeros:
        matrix = matrix.copy()
        matrix.eliminate_zeros()
        return _from_csr(matrix)
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


def _refuse(fault: str, at: int, starts: Array, targets: Array, data: Array) -> NoReturn:
    if fault != "weight":
        value = targets[at] if fault.startswith("index") else starts[at]
        raise ValueError(f"links: the sparse matrix is not well formed: {fault}, where it is {value}")
    row = int(np.searchsorted(starts, at, side="right")) - 1
    raise ValueError(
        f"links: the weight of the link ({row}, {targets[at]}) is {data[at]}: weights must be finite and not negative"
    )
