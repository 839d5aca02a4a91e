"""The functions of `mmlfast.stats` for each group of rows: `groups=`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mmlfast import _core
from mmlfast._common.arrays import as_float, contiguous, nan_where_masked
from mmlfast._common.groups import Grouped, Groups, LabelNumbers, label_numbers
from mmlfast._common.labels import check_labels
from mmlfast._common.weights import check_weights
from mmlfast.stats._missing import check_policy, raise_at_nan

Array = np.ndarray[Any, Any]

# From this kind on a value has a number for each pair of columns.
_FIRST_OF_PAIRS = 3
_NO_ANSWER = 2  # of sums in one reading


def grouped(
    function: str,
    of_tables: Callable[..., Array],
    kind: int,
    ddof: float,
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
    kind, ddof : int, float
        What `_core.moments_of_groups` is asked for.
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
    numbers, kept = label_numbers(function, groups, len(rows), nan_policy == "omit", "groups")
    rows = contiguous(rows)
    if given:
        found = numbers.rows(kept)
        values = np.empty((len(found.labels), *rows.shape[1:] * (1 if kind < _FIRST_OF_PAIRS else 2)), rows.dtype)
        _in_stacks(values, np.arange(len(values)), found, rows, given, of_tables, nan_policy)
        labels = found.labels
    else:
        values, labels, groups_of = _without_weights(kind, ddof, rows, numbers, kept)
        if nan_policy == "omit":
            which = np.flatnonzero(np.isnan(values).reshape(len(values), -1).any(axis=1))
            if len(which):
                _in_stacks(values, which, groups_of(), rows, given, of_tables, nan_policy)
    return Grouped(values.reshape(len(values)) if alone else values, labels)


def _without_weights(
    kind: int, ddof: float, rows: Array, numbers: LabelNumbers, kept: Array | None
) -> tuple[Array, Array, Callable[[], Groups]]:
    """Values and labels: sums in one reading, where that is the way and has an answer; else the rows of each group are
    brought together."""
    found: list[Groups] = []

    def groups_of() -> Groups:
        if not found:
            found.append(numbers.rows(kept))
        return found[0]

    sums = None
    if kept is None:
        sums = _core.sums_of_groups(
            kind, rows, numbers.codes, numbers.least_modulo, numbers.n_labels, numbers.rank, ddof
        )
    if sums is None:
        groups = groups_of()
        return _core.moments_of_groups(kind, rows, groups.order, groups.offsets, ddof), groups.labels, groups_of
    values, answers = sums
    occurs = answers > 0
    if not occurs.all():
        values, answers = values[occurs], answers[occurs]
    again = np.flatnonzero(answers == _NO_ANSWER)
    if len(again):
        some = groups_of().some(again)
        values[again] = _core.moments_of_groups(kind, rows, some.order, some.offsets, ddof)
    return values, numbers.labels_that(occurs), groups_of


def _in_stacks(
    values: Array, which: Array, groups: Groups, rows: Array, weights: dict[str, Array], of_tables: Any, policy: str
) -> None:
    """The values of these groups; groups of one size are a stack of tables."""
    order, parts = by_size(groups.some(which))
    gathered = _core.gather_rows(rows, order)
    weighted = {name: np.take(np.broadcast_to(w, rows.shape[:1]), order) for name, w in weights.items()}
    for of_size, size, start in parts:
        here = slice(start, start + len(of_size) * size)
        shape = len(of_size), size
        of_these = {name: w[here].reshape(shape) for name, w in weighted.items()}
        values[which[of_size]] = of_tables(
            gathered[here].reshape(*shape, -1), "omit" if policy == "omit" else "propagate", **of_these
        )


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
    order = groups.order[_core.order_by_group(np.repeat(rank, counts), 0, len(counts), None)[0]]
    parts = np.split(sequence, first[1:]) if len(first) else []
    return order, [(g, int(size), int(starts[at])) for g, size, at in zip(parts, sizes, first, strict=True)]
