"""A graph taken in once: from whatever holds it to the links that arrive at each node."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mmlfast import _core
from mmlfast.graph._link_intake import Nodes, from_edges, from_graph
from mmlfast.graph._link_state import restored
from mmlfast.graph._node_ids import lookup


class Links:
    """A directed graph, prepared for `pagerank` and `pagerank_many`.

    Taking a graph in costs about as much as ranking it; a prepared graph can be ranked again, with another damping or
    personalization, without that cost. It is never changed, and any number of threads may use it.

    Parameters
    ----------
    graph : sparse matrix or array, array_like, networkx graph, igraph.Graph, or Links
        Entry (i, j) of a square matrix is the weight of the link from node i to node j. Weights that are all equal
        count as none; entries that are stored more than once are added up, stored zeros are no links, and a link from a
        node to itself is one. A link of an undirected graph goes both ways, and from a node to itself once. Rows and
        columns of a data frame (`pandas.crosstab`) are matched by their labels, which must be the same.
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
        The nodes in the order of the scores: those of a networkx graph, the names of an igraph graph that has names,
        the labels of a data frame, the ids of `from_edges`. None where they are numbers from 0 on without names.

    Raises
    ------
    ValueError
        If there is no node, the matrix is not square, its rows and columns have different labels, or a weight is
        negative, infinite or NaN.
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

    __slots__ = ("_core", "_index", "_nodes")

    _core: _core.LinksObject
    _index: Callable[[Any], int] | None
    _nodes: Nodes | None

    def __init__(self, graph: Any, *, weight: str | None = "weight") -> None:
        self._index = None
        if isinstance(graph, Links):
            self._core, self._nodes = graph._core, graph._nodes
        else:
            self._core, self._nodes = from_graph(graph, weight)

    @classmethod
    def from_edges(
        cls,
        sources: ArrayLike,
        targets: ArrayLike,
        weights: ArrayLike | None = None,
        *,
        n_nodes: int | None = None,
        directed: bool = True,
    ) -> Links:
        """The graph of the links sources[k] -> targets[k].

        Parameters
        ----------
        sources, targets : array_like, shape (m,)
            Ids of nodes: integers of any size, text, dates, or any objects that can be hashed, such as tuples; no
            floats. A link that is given more than once counts as often. The nodes are the ids that occur, unless
            `n_nodes` says otherwise, and `nodes` lists them in the order of the scores: sorted if all are integers or
            all are text (or bytes, dates, or tuples that can be sorted), else in the order in which they occur, edge
            by edge and the source first.
        weights : array_like, shape (m,), optional
            Weights of the links, not negative.
        n_nodes : int, optional
            The nodes are the numbers 0 .. n_nodes - 1, whether they occur or not, and have no other names.
        directed : bool
            False: each link goes both ways, and one from a node to itself once, as in an undirected graph of networkx
            before it makes a matrix of it.

        Returns
        -------
        Links
            The prepared graph.

        Raises
        ------
        ValueError
            If the arrays differ in length or in their labels, an id is missing (None, NaN), a weight is negative,
            infinite or NaN, or a node is not in 0 .. n_nodes - 1.
        TypeError
            If ids are floats or cannot be hashed, or are no integers where `n_nodes` is given.

        Examples
        --------
        >>> import mmlfast as mf
        >>> links = mf.graph.Links.from_edges([0, 0, 1], [1, 2, 0])
        >>> mf.graph.pagerank(links).round(4)
        array([0.3936, 0.3032, 0.3032])
        >>> links = mf.graph.Links.from_edges(["home", "home", "news"], ["news", "shop", "home"])
        >>> dict(zip(links.nodes, mf.graph.pagerank(links).round(4).tolist()))
        {'home': 0.3936, 'news': 0.3032, 'shop': 0.3032}
        """
        links = cls.__new__(cls)
        links._index = None
        links._core, links._nodes = from_edges(sources, targets, weights, n_nodes, directed)
        return links

    @property
    def nodes(self) -> list[Any] | None:
        """The nodes in the order of the scores; None if they are numbered from 0 and have no names."""
        if isinstance(self._nodes, np.ndarray):
            self._nodes = list(self._nodes) if self._nodes.dtype.kind in "Mm" else self._nodes.tolist()
        return list(self._nodes) if isinstance(self._nodes, range) else self._nodes

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
            One of `nodes`, or a number from 0 on where nodes have no names.

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
        if self._index is None:
            self._index = lookup(range(self.n_nodes) if self._nodes is None else self.nodes or (), self.n_nodes)
        return self._index(node)

    def __getstate__(self) -> dict[str, Any]:
        names = "n_core", "n_core_blocks", "starts", "columns", "weights", "label", "inverse_strength", "blocks"
        return {**dict(zip(names, _core.links_state(self._core), strict=True)), "nodes": self._nodes}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._core, self._nodes = restored(state)
        self._index = None

    def __copy__(self) -> Links:
        return Links(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Links:
        """What is never changed needs no second one; names may be objects that can."""
        copied = Links(self)
        copied._nodes = copy.deepcopy(self._nodes, memo)
        return copied

    def __repr__(self) -> str:
        return f"Links(n_nodes={self.n_nodes}, n_links={self.n_links}, n_dangling={self.n_dangling})"
