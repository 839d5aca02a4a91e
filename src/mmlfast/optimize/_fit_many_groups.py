"""Fits of groups: points with a label each, sorted into data sets of one length, which are those of groups of like size
with masked points at their ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from mmlfast._common.arrays import as_array
from mmlfast._common.groups import Groups, group_rows
from mmlfast._common.labels import check_labels, labelled
from mmlfast.optimize._fit_many_pieces import Job, fit_all
from mmlfast.optimize._fit_many_result import CurveFitMany
from mmlfast.optimize._fit_many_starts import take_starts
from mmlfast.optimize._fit_many_take import core_of_x, new_results, take_sigma, take_x
from mmlfast.optimize._fit_stack import Stack

Array = np.ndarray[Any, Any]


def fit_groups(
    f: Callable[..., Any],
    xdata: Any,
    ydata: Any,
    sigma: Any,
    groups: Any,
    p0: Any,
    bounds: Any,
    out: Any,
    options: dict[str, Any],
) -> CurveFitMany:
    y = ydata if isinstance(ydata, np.ma.MaskedArray) else as_array(ydata, "ydata")
    if not y.size:
        raise ValueError("ydata is empty: there are no points, and no groups")
    if y.ndim != 1:
        raise ValueError(f"ydata must have one axis, the points of all groups; got shape {y.shape}")
    if labelled(xdata, ydata, sigma, groups):
        given = {"ydata": ydata, "xdata": xdata, "sigma": sigma, "groups": groups}
        check_labels("curve_fit_many", **{name: (value, "n", "n") for name, value in given.items()})
    n = len(y)
    omit = options["nan_policy"] == "omit"
    found = group_rows("curve_fit_many", groups, n, omit=omit)
    x, n_variables = take_x(xdata, (n,))
    if np.ndim(sigma) > 1:
        raise ValueError(f"sigma has shape {np.shape(sigma)}: with groups= it is one error for each point, ({n},)")
    errors = take_sigma(sigma, (), n, omit)
    lead = (len(found.labels),)
    parameters, start, lower, upper = take_starts(f, p0, bounds, options["fixed"], lead)
    p = len(parameters.names)
    fits = new_results(out, lead, p)
    derivatives, reason = "exact", ""
    x_rows, y_rows = np.asarray(x), np.ma.getdata(y)
    hidden = np.ma.getmaskarray(y) if np.ma.is_masked(y) else None
    for members, rows, padding in _of_like_size(found):
        mask = padding if hidden is None else padding | hidden[rows]
        size, length = rows.shape

        def of_members(stack: Stack | None, members: Array = members, size: int = size) -> Stack | None:
            if stack is None:
                return None
            values = np.broadcast_to(stack.array, (*lead, p))[members]
            return Stack(values, stack.name, (size,), (p,))

        first = of_members(start)
        assert first is not None
        job = Job(
            f,
            parameters,
            first,
            of_members(lower),
            of_members(upper),
            Stack(_of_rows(x_rows, rows, n_variables), "xdata", (size,), core_of_x(length, n_variables)),
            n_variables,
            Stack(np.ma.array(y_rows[rows], mask=mask) if mask.any() else y_rows[rows], "ydata", (size,), (length,)),
            _sigma_of(errors, rows, omit),
            options["nan_policy"],
            options["absolute_sigma"],
            options["maxfev"],
            options["retry"],
            options["loss"],
            options["f_scale"],
        )
        puts = [_putter(array, members) for array in fits]
        derivatives, reason, interrupted = fit_all(job, puts, options["verbose"])
        if interrupted:
            _forget(fits)
            break
    return CurveFitMany(fits, parameters.names, derivatives, reason, found.labels)


def _of_rows(x: Array, rows: Array, n_variables: int) -> Array:
    if n_variables < 0:
        return x[rows]
    return np.moveaxis(x[:, rows], 0, 1) if n_variables else x[rows]


def _sigma_of(errors: Stack | None, rows: Array, omit: bool) -> Stack | None:
    if errors is None:
        return None
    values = errors.array[rows]
    if errors.mask is not None:
        values = np.ma.array(values, mask=errors.mask[rows])
    return take_sigma(values, rows.shape[:1], rows.shape[1], omit)


def _putter(array: Array | None, members: Array) -> Callable[[int, int, Array], None] | None:
    if array is None:
        return None
    return lambda start, stop, values: array.__setitem__(members[start:stop], values)


def _forget(fits: Any) -> None:
    """Of groups that were not begun with."""
    not_done = fits.status == 0
    for array in (fits.params, fits.covariance, fits.chi_squared, fits.condition):
        if array is not None:
            array[not_done] = np.nan


def _of_like_size(groups: Groups) -> Iterator[tuple[Array, Array, Array]]:
    """Numbers of groups, their rows (groups, points), and which of these only fill up: a group's first row."""
    counts = groups.counts
    order = np.argsort(counts, kind="stable")
    sorted_counts = counts[order]
    at = 0
    while at < len(order):
        most = int(sorted_counts[at]) + max(4, int(sorted_counts[at]) // 8)
        stop = int(np.searchsorted(sorted_counts, most, side="right"))
        members = order[at:stop]
        length = int(sorted_counts[stop - 1])
        position = np.arange(length)
        padding = position >= counts[members, None]
        rows = groups.order[groups.offsets[members, None] + np.where(padding, 0, position)]
        yield members, rows, padding
        at = stop
