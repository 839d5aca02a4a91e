"""A graph taken in: from the links that leave each node to those that arrive, with the nodes renumbered."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def grouped(starts: Array, targets: Array) -> bool:
    """Whether nodes are put into groups: large graphs in whose order most links go far, as a sample of them tells."""
    n, m = starts.size - 1, int(starts[-1])
    step = max(1, m // 2**15)
    sample = np.arange(step // 2, m, step)
    row = np.searchsorted(starts, sample, side="right") - 1
    far = np.abs(targets[sample] - row) > 2**14
    return n > 2**17 and 2 * int(far.sum()) > sample.size


def labels(starts: Array, targets: Array) -> Array:
    """The new number of each node: those without links out last; in groups, by the bits of the number, most first."""
    degree = np.diff(starts)
    classes = np.frexp(degree.astype(float))[1] if grouped(starts, targets) else degree > 0
    label = np.empty(classes.size, np.int64)
    label[np.argsort(-classes.astype(int), kind="stable")] = np.arange(classes.size)
    return label


def arriving(starts: Array, targets: Array) -> tuple[Array, Array, Array]:
    """(starts, sources, label): what arrives at node r comes from sources[starts[r] : starts[r + 1]]."""
    label = labels(starts, targets)
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
