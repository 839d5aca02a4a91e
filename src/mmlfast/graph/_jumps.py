"""Where jumps go: distributions over the nodes of a graph, by position, by label or by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from mmlfast._common.arrays import as_float
from mmlfast._common.labels import are_positions, labels_of_axes

Array = np.ndarray[Any, Any]


class Nodes(Protocol):
    """`Links`, or as much of it as is needed here."""

    @property
    def n_nodes(self) -> int: ...
    @property
    def nodes(self) -> Sequence[Any] | None: ...
    @property
    def index(self) -> Callable[[Any], int]: ...


def distribution(name: str, x: Any, graph: Nodes) -> Array:
    """A row of weights, one for each node, not negative, with sum 1."""
    n = graph.n_nodes
    if x is None:
        return np.full(n, 1 / n)
    if isinstance(x, Mapping):
        row = np.zeros(n)
        for node, value in x.items():
            weight = _weight(name, node, value)
            row[_position(name, graph, node)] += weight
        return _normalised(name, row, graph, ndim=1)
    labels = labels_of_axes(x) if type(x) is not np.ndarray else []
    row = _real(x, name)
    if len(labels) == 1 and labels[0] is not None:
        row = _by_label(name, row, labels[0], graph)
    return _normalised(name, row, graph, ndim=1)


def distributions(function: str, x: Any, graph: Nodes) -> Array:
    """The same for the last axis of an array of any dimension."""
    if x is None:
        return np.full(graph.n_nodes, 1 / graph.n_nodes)
    labels = labels_of_axes(x) if type(x) is not np.ndarray else []
    rows = _real(x, "personalization")
    if labels and labels[-1] is not None and rows.ndim == len(labels):
        rows = _by_label("personalization", rows, labels[-1], graph)
    return _normalised(f"{function}: personalization", rows, graph, ndim=None)


def _weight(name: str, node: Any, value: Any) -> float:
    try:
        weight = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name}[{node!r}] is {value!r:.40}: entries must be real numbers") from None
    if not 0 <= weight < np.inf:
        raise ValueError(f"{name}[{node!r}] is {value}: entries must be finite and not negative")
    return weight


def _position(name: str, graph: Nodes, node: Any, way_out: str = "") -> int:
    try:
        return graph.index(node)
    except ValueError as error:
        raise ValueError(f"{name}: {error}{way_out}") from None


def _by_label(name: str, rows: Array, labels: Any, graph: Nodes) -> Array:
    """Entries put where their labels say; nodes that are no label get none. By position where neither has names."""
    n, nodes = graph.n_nodes, graph.nodes
    if nodes is None and are_positions(labels):
        return rows
    if not labels.is_unique:
        raise ValueError(f"{name} has two entries for the node {labels[labels.duplicated()][0]!r}")
    if nodes is not None and len(labels) == n and list(labels) == list(nodes):
        return rows
    way_out = f": {name} has labels, which name nodes; {name}.to_numpy() has none and means their order"
    out = np.zeros((*rows.shape[:-1], n))
    out[..., [_position(name, graph, label, way_out) for label in labels]] = rows
    return out


def _normalised(name: str, x: Array, graph: Nodes, ndim: int | None) -> Array:
    n = graph.n_nodes
    if x.ndim < 1 or x.shape[-1] != n or (ndim is not None and x.ndim != ndim):
        raise ValueError(f"{name} must have one entry for each of the {n} nodes, got shape {x.shape}")
    if x.size and not (x.min() >= 0 and x.max() < np.inf):  # a NaN is the least and the largest
        good = (x >= 0) & (x < np.inf)
        where = np.unravel_index(int(np.argmin(good)), x.shape)
        place = ", ".join(str(int(i)) for i in where)
        of_node = "" if graph.nodes is None else f", of the node {graph.nodes[int(where[-1])]!r},"
        raise ValueError(f"{name}[{place}]{of_node} is {x[where]}: entries must be finite and not negative")
    largest = x.max(axis=-1, keepdims=True)
    if not (largest > 0).all():
        row = int(np.argmin(largest > 0))
        raise ValueError(f"{name} has no positive entry" + ("" if ndim == 1 else f" in row {row}"))
    if (largest != 1).any():
        x = x / largest
    total = x.sum(axis=-1, keepdims=True)
    return np.asarray(x / total) if (total != 1).any() else x


def _real(x: Any, name: str) -> Array:
    return as_float(x, name).astype(np.float64, copy=False)
