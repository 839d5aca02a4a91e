"""Closed groups of nodes: those that a walk cannot leave once it is there."""

from __future__ import annotations

from typing import Any

import numpy as np

from mmlfast import _core
from mmlfast.graph._links import Links

Array = np.ndarray[Any, Any]


def closed_groups(graph: Links, w: Array) -> int:
    """How many there are if the walk goes from nodes without links out to where `w` is positive."""
    from scipy import sparse
    from scipy.sparse import csgraph

    starts, source, label = _core.arriving_links(graph._core)
    n, n_dangling = graph.n_nodes, graph.n_dangling
    target = np.repeat(np.arange(n), np.diff(starts))
    size = n
    if n_dangling:  # they lead to one more node, and from there it goes on
        support = label[w > 0]
        source = np.concatenate([source, np.arange(n - n_dangling, n), np.full(support.size, n)])
        target = np.concatenate([target, np.full(n_dangling, n), support])
        size = n + 1
    links = sparse.coo_array((np.ones(source.size, bool), (source, target)), shape=(size, size))
    count, group = csgraph.connected_components(links.tocsr(), directed=True, connection="strong")
    is_open = np.zeros(count, bool)
    is_open[group[source[group[source] != group[target]]]] = True
    return int(count - is_open.sum())
