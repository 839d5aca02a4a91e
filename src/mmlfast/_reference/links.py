"""A graph taken in: from the links that leave each node to those that arrive, with the nodes renumbered."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def labels(starts: Array) -> Array:
    """The new number of each node: by the bits of its number of links, most first, else in the old order."""
    classes = np.frexp(np.diff(starts).astype(float))[1]
    label = np.empty(classes.size, np.int64)
    label[np.argsort(-classes, kind="stable")] = np.arange(classes.size)
    return label


def arriving(starts: Array, targets: Array) -> tuple[Array, Array, Array]:
    """(starts, sources, label): what arrives at node r comes from sources[starts[r] : starts[r + 1]]."""
    label = labels(starts)
    source, target = np.repeat(label, np.diff(starts)), label[targets]
    old = np.repeat(np.arange(label.size), np.diff(starts))
    order = np.lexsort((old, target))  # of a row: in the order in which they came
    counts = np.bincount(target, minlength=label.size)
    return np.concatenate([[0], np.cumsum(counts)]), source[order], label


def walk(links: Array, dangling: Array) -> Array:
    """The matrix of the walk: rows divided by their sums; `dangling`, with sum 1, for nodes that no link leaves."""
    links = links.astype(np.float64)
    links = links / np.maximum(links.max(axis=1, keepdims=True), 1e-300)  # or sums could overflow
    total = links.sum(axis=1, keepdims=True)
    return np.where(total > 0, links / np.where(total > 0, total, 1), dangling)
