"""The door of `linear_fit`: its x, y, weights and sigma as arrays that the kernel takes."""

from __future__ import annotations

from typing import Any, NamedTuple, NoReturn

import numpy as np

from mmlfast._common.arrays import (
    LARGEST_EXACT,
    as_array,
    as_float,
    as_integer,
    first_entry,
    is_dask,
    nan_where_masked,
    refuse_dask,
)
from mmlfast._common.labels import check_labels, labelled
from mmlfast.linear_model._records import Design, Table

Array = np.ndarray[Any, Any]

POLICIES = ("propagate", "raise", "omit")


class FitData(NamedTuple):
    """Rows as the kernel takes them, and what they mean."""

    table: Table
    design: Design
    batch: tuple[int, ...]
    power: int  # the weights are 4**power times what they mean
    origin: int  # what has been subtracted from x
    one_variable: bool
    covariance: Array | None = None  # of the errors of y


def fit_data(
    x: Any, y: Any, degree: Any, weights: Any, sigma: Any, groups: Any, nan_policy: str, intercept: bool
) -> FitData:
    """Arguments of `linear_fit`, checked."""
    if nan_policy not in POLICIES:
        raise ValueError(f"linear_fit: nan_policy must be one of {', '.join(map(repr, POLICIES))}, got {nan_policy!r}")
    if labelled(x, y, weights, sigma, groups):
        check_labels(
            "linear_fit",
            x=(x, "nd", "n"),
            y=(y, "in", "n"),
            weights=(weights, "in", "n"),
            sigma=(sigma, "in", "n"),
            groups=(groups, "nk", "n"),
        )
    omit = nan_policy == "omit"
    columns, origin = _variable(x, omit, degree, intercept)
    values = as_float(nan_where_masked(y, "y") if omit else y, "y")
    if values.ndim == 0 or columns.ndim == 0:
        raise ValueError(f"linear_fit: x and y must have rows, got shapes {columns.shape} and {values.shape}")
    one_variable = columns.ndim <= values.ndim
    if degree is not None and not one_variable:
        raise ValueError(
            f"linear_fit: degree= is for one variable, and x of shape {columns.shape} beside y of shape {values.shape} "
            f"has columns: pass a single one, or a column for each term without degree="
        )
    if one_variable:
        columns = columns[..., None]
    if columns.shape[-2] != values.shape[-1] or (values.ndim == 2 and values.shape[-1] == 1 < len(values)):
        _refuse_shapes(columns, values, one_variable)
    if origin and not one_variable:
        raise TypeError(
            "linear_fit: x holds integers beyond 2**53, which float64 would round: subtract an offset first"
        )
    design = _design(columns.shape[-1], degree, intercept)
    if sigma is not None and weights is not None:
        raise ValueError("linear_fit: weights and sigma say the same in two ways: give one of them")
    n, power = values.shape[-1], 0
    counts: Array | None = None
    if sigma is not None:
        errors = as_float(nan_where_masked(sigma, "sigma") if omit else sigma, "sigma").astype(np.float64, copy=False)
        if errors.ndim == 2 and values.ndim == 1 and errors.shape == (n, n):
            return FitData(_flat(columns, values, None)[0], design, (), 0, origin, one_variable, errors)
        counts, power = _from_errors(errors, n, omit)
    elif weights is not None:
        counts = _checked_weights(
            as_float(nan_where_masked(weights, "weights") if omit else weights, "weights"), n, omit
        )
    table, batch = _flat(columns, values, counts)
    if nan_policy == "raise":
        _raise_at_nan(table)
    return FitData(table, design, batch, power, origin, one_variable)


def _variable(x: Any, omit: bool, degree: Any, intercept: bool) -> tuple[Array, int]:
    """x as floats, less an origin if it is integers that float64 does not hold."""
    a = as_array(nan_where_masked(x, "x") if omit else x, "x")
    if is_dask(a):
        refuse_dask("x")
    if a.dtype.kind in "iu" and a.dtype.itemsize == 8 and a.size and intercept and degree in (None, 1):
        least, largest = int(a.min()), int(a.max())
        if max(-least, largest) > LARGEST_EXACT and largest - least <= LARGEST_EXACT:
            return (a - a.dtype.type(least)).astype(np.float64), least
    return as_float(a, "x"), 0


def _design(columns: int, degree: Any, intercept: bool) -> Design:
    if degree is None:
        if columns + intercept == 0:
            raise ValueError("linear_fit: x has no columns, and there is no intercept: nothing to fit")
        return Design(columns, columns, False, intercept)
    highest = as_integer(degree, "linear_fit: degree", 0)
    if highest > 40:
        raise ValueError(f"linear_fit: degree must be at most 40, got {highest}")
    if highest == 0 and not intercept:
        raise ValueError("linear_fit: degree 0 without an intercept leaves nothing to fit")
    return Design(1, highest, True, intercept)


def _refuse_shapes(columns: Array, values: Array, one_variable: bool) -> NoReturn:
    x = columns.shape[:-1] if one_variable else columns.shape
    hint = ""
    if values.ndim > 1 and (values.shape[-2] == columns.shape[-2] or values.shape[-1] == 1):
        hint = ": the rows are the last axis of y (y.T, or y[:, 0] for a single column)"
    raise ValueError(
        f"linear_fit: x has shape {x} and y {values.shape}: they must have as many rows, the last axis of y and "
        f"of one variable, or the last but one of columns{hint}"
    )


def _from_errors(sigma: Array, n: int, omit: bool) -> tuple[Array, int]:
    """Weights 4**power / sigma**2 of about one, and this power."""
    errors = _one_for_each_row("sigma", sigma, n)
    must = "be positive", "infinite is the sigma of a row that does not count"
    _refuse("sigma", errors, ~(errors > 0), omit, must)
    finite = errors[np.isfinite(errors)]
    power = int(np.frexp(finite.min())[1]) if finite.size else 0
    with np.errstate(over="ignore", under="ignore"):
        weights = 1 / np.square(np.ldexp(errors, -power))
    return np.where(np.isnan(weights), 0, weights), power


def _checked_weights(weights: Array, n: int, omit: bool) -> Array:
    w = _one_for_each_row("weights", weights.astype(np.float64, copy=False), n)
    must = "not be negative, infinite or NaN", "0 is the weight of a row that does not count"
    _refuse("weights", w, ~((w >= 0) & (w < np.inf)), omit, must)
    return np.where(np.isnan(w), 0, w) if omit else w


def _refuse(name: str, a: Array, wrong: Array, omit: bool, must: tuple[str, str]) -> None:
    """Numbers that are wrong; what is missing is not if it is to be omitted. `must`: the rule, and the way out."""
    if omit:
        wrong = wrong & ~np.isnan(a)
    if wrong.any():
        rule, way_out = must
        raise ValueError(f"linear_fit: {name} must {rule}, got {first_entry(name, a, wrong)}: {way_out}")


def _one_for_each_row(name: str, given: Array, n: int) -> Array:
    """One number counts for all rows."""
    a = np.broadcast_to(given, (n,)) if given.ndim == 0 else given
    if a.shape[-1] != n:
        raise ValueError(f"linear_fit: {name} must have one number for each of the {n} rows, got shape {a.shape}")
    return a


def _flat(columns: Array, values: Array, counts: Array | None) -> tuple[Table, tuple[int, ...]]:
    """All of one dtype and at addresses that suit it; the axes of a batch as one."""
    x, y, w = columns, values, counts
    if x.dtype is not y.dtype or not (x.flags.aligned and y.flags.aligned):
        dtype = np.result_type(x.dtype, y.dtype)
        x, y = (np.require(a, dtype, "A") for a in (x, y))
    if w is not None:
        w = np.require(w, np.float64, "A")
    if x.ndim == 2 and y.ndim == 1 and (w is None or w.ndim == 1):
        return Table(x, y, w), ()
    n, p = x.shape[-2:]
    shapes = [x.shape[:-2], y.shape[:-1]] + ([] if w is None else [w.shape[:-1]])
    try:
        batch = np.broadcast_shapes(*shapes)
    except ValueError:
        raise ValueError(
            f"linear_fit: x has shape {columns.shape}, y {values.shape}"
            + (f", weights {counts.shape}" if counts is not None else "")
            + ": their leading axes do not broadcast"
        ) from None
    if not batch:
        return Table(x, y, w), ()
    if x.ndim > 2:
        x = np.broadcast_to(x, (*batch, n, p)).reshape(-1, n, p)
    y = np.broadcast_to(y, (*batch, n)).reshape(-1, n)
    if w is not None and w.ndim > 1:
        w = np.broadcast_to(w, (*batch, n)).reshape(-1, n)
    return Table(x, y, w), batch


def _raise_at_nan(table: Table) -> None:
    for name, a, rows in (("x", table.x, table.x.ndim - 2), ("y", table.y, table.y.ndim - 1)):
        missing = np.isnan(a)
        if missing.any() and table.weights is not None:
            shape = [1] * a.ndim
            shape[rows] = a.shape[rows]
            w = table.weights
            missing &= w.reshape(shape) > 0 if w.ndim == 1 else (w[..., None] if name == "x" and a.ndim == 3 else w) > 0
        if missing.any():
            raise ValueError(f"linear_fit: {first_entry(name, a, missing)}; nan_policy='omit' leaves such rows out")
