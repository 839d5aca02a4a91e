"""The functions of `mmlfast.stats` for each group of rows: `groups=`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mmlfast import _core
from mmlfast._common.arrays import as_float, check_labels, contiguous, nan_where_masked
from mmlfast._common.groups import Grouped, Groups, group_rows
from mmlfast._common.weights import check_weights
from mmlfast.stats._missing import check_policy, raise_at_nan

Array = np.ndarray[Any, Any]


def grouped(
    function: str,
    of_tables: Callable[..., Array],
    core_dimensions: int,
    x: Any,
    groups: Any,
    nan_policy: str,
    **weights: Any,
) -> Grouped:
    """One value for each group of rows of one table: groups of one size are a stack of tables.

    Parameters
    ----------
    function : str
        Its name, for messages.
    of_tables : callable
        Takes tables (k, n, d), a policy, and weights (k, n) by their names; gives values (k, d) or (k, d, d).
    core_dimensions : int
        How many times d is an axis of a value.
    x, groups, nan_policy, **weights
        As the caller gave them.
    """
    check_policy(function, nan_policy)
    check_labels(
        function,
        x=(x, "nd", "n"),
        groups=(groups, "nd", "n"),
        **{name: (w, "nk", "n") for name, w in weights.items()},
    )
    table = as_float(nan_where_masked(x, "x") if nan_policy == "omit" else x, "x")
    if table.ndim not in (1, 2):
        raise ValueError(
            f"{function}: with groups, x must be one table, shape (n, d), or one variable, shape (n,); "
            f"got shape {table.shape}"
        )
    alone = table.ndim == 1
    rows = table[:, None] if alone else table
    given = {name: check_weights(function, w, rows.shape[:1], name) for name, w in weights.items() if w is not None}
    if nan_policy == "raise":
        counts = np.prod(list(given.values()), axis=0) if given else None
        raise_at_nan(function, rows, counts)
    found = group_rows(function, groups, len(rows), omit=nan_policy == "omit")
    values = np.empty((len(found.labels), *rows.shape[1:] * core_dimensions), rows.dtype)
    order, parts = by_size(found)
    gathered = _core.gather_rows(contiguous(rows), order)
    weighted = {name: np.take(np.broadcast_to(w, rows.shape[:1]), order) for name, w in given.items()}
    policy = "omit" if nan_policy == "omit" else "propagate"
    for which, size, start in parts:
        here = slice(start, start + len(which) * size)
        shape = len(which), size
        of_these = {name: w[here].reshape(shape) for name, w in weighted.items()}
        values[which] = of_tables(gathered[here].reshape(*shape, -1), policy, **of_these)
    return Grouped(values.reshape(len(values)) if alone else values, found.labels)


def by_size(groups: Groups) -> tuple[Array, list[tuple[Array, int, int]]]:
    """The rows of all groups, those of groups of one size next to each other; and for each size the numbers of the
    groups of that size, the size, and where their rows start.
    """
    counts = groups.counts
    sequence = np.argsort(counts, kind="stable")
    sizes, first = np.unique(counts[sequence], return_index=True)
    starts = np.cumsum(counts[sequence]) - counts[sequence]
    rank = np.empty(len(counts), np.int64)
    rank[sequence] = np.arange(len(counts))
    # The groups again, numbered by their size: their rows come in order of that.
    order = groups.order[_core.order_by_group(np.repeat(rank, counts), len(counts))[0]]
    parts = np.split(sequence, first[1:]) if len(first) else []
    return order, [(g, int(size), int(starts[at])) for g, size, at in zip(parts, sizes, first, strict=True)]
