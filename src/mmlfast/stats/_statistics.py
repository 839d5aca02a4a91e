"""What the functions of `mmlfast.stats` have in common: arguments in, one compiled function, missing numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mmlfast import _core
from mmlfast._common.arrays import (
    as_array,
    as_float,
    as_real,
    explain,
    float_dtype,
    is_dask,
    nan_where_masked,
    ndarray,
    refuse_dask,
)
from mmlfast._common.groups import Grouped
from mmlfast._common.labels import check_labels, labelled
from mmlfast._common.row_blocks import RowBlocks, is_large_map
from mmlfast._common.weights import RowWeights, row_weights
from mmlfast.stats._grouped import grouped
from mmlfast.stats._missing import (
    check_policy,
    correlation_omitting,
    covariance_omitting,
    deviation_omitting,
    mean_omitting,
    raise_at_nan,
    variance_omitting,
)
from mmlfast.stats._moments import Moments, divided

Array = np.ndarray[Any, Any]

# Variances of columns of a map, between which nothing over- or underflows on the way to them and to their products.
SAFE = 2.0**-480, 2.0**480


class Statistic(NamedTuple):
    """One function of `mmlfast.stats`."""

    name: str
    plain: Any
    weighted: Any
    divides: bool  # by the number of rows less ddof
    omitting: Callable[[Array, RowWeights | None, Array, float], Array]  # what is NaN, from the numbers that are there


MEAN = Statistic("mean", _core.mean, _core.weighted_mean, False, mean_omitting)
VARIANCE = Statistic("variance", _core.variance, _core.weighted_variance, True, variance_omitting)
STD = Statistic("std", _core.std, _core.weighted_std, True, deviation_omitting)
COVARIANCE = Statistic("covariance", _core.covariance, _core.weighted_covariance, True, covariance_omitting)
CORRELATION = Statistic("correlation", _core.correlation, _core.weighted_correlation, False, correlation_omitting)
_KINDS = (MEAN, VARIANCE, STD, COVARIANCE, CORRELATION)  # in the order of the compiled loop over groups


def statistic(
    f: Statistic, x: Any, ddof: float, weights: Any, fweights: Any, aweights: Any, nan_policy: str, groups: Any = None
) -> Any:
    """The value of a function of `mmlfast.stats`, whose arguments these are."""
    if groups is not None:
        return _by_groups(f, x, ddof, weights, fweights, aweights, nan_policy, groups)
    table, alone = (x, False) if type(x) is ndarray and x.ndim > 1 else _table(f.name, x, nan_policy)
    if weights is None and fweights is None and aweights is None:
        w = None
    else:
        if labelled(x, weights, fweights, aweights):
            check_labels(
                f.name,
                x=(x, "nd", "n"),
                weights=(weights, "n", "n"),
                fweights=(fweights, "n", "n"),
                aweights=(aweights, "n", "n"),
            )
        w = row_weights(f.name, table.shape, _number(f.name, ddof), weights, fweights, aweights, f.divides)
    if nan_policy != "propagate":
        check_policy(f.name, nan_policy)
    result = _value(f, table, w, ddof)
    if type(table) is not ndarray:
        return _lazy(f.name, result, nan_policy)
    if nan_policy != "propagate" and table.dtype.kind == "f" and np.isnan(result).any():
        if nan_policy == "omit":
            result = f.omitting(as_float(table, "x"), w, result, float(ddof))
        else:
            raise_at_nan(f.name, as_float(table, "x"), None if w is None else w.values)
    value: Array = result.reshape(-1)[0] if alone else result
    return value


def _by_groups(
    f: Statistic, x: Any, ddof: Any, weights: Any, fweights: Any, aweights: Any, nan_policy: str, groups: Any
) -> Grouped:
    """A value for each group of rows."""

    def of_tables(tables: Array, policy: str, **w: Array) -> Any:
        return statistic(f, tables, ddof, w.get("weights"), w.get("fweights"), w.get("aweights"), policy)

    of_rows = {"weights": weights, "fweights": fweights, "aweights": aweights}
    return grouped(f.name, of_tables, _KINDS.index(f), _number(f.name, ddof), x, groups, nan_policy, **of_rows)


def _table(function: str, x: Any, nan_policy: str) -> tuple[Any, bool]:
    """An array of two or more dimensions, and whether `x` was one variable."""
    table: Any = as_array(nan_where_masked(x, "x") if nan_policy == "omit" else x, "x")
    if is_dask(table) and (table.ndim < 2 or any(len(chunks) > 1 for chunks in table.chunks[-2:])):
        refuse_dask("x")
    if table.ndim == 0:
        raise ValueError(
            f"{function}: x must have samples in rows, shape (..., n, d), or be one variable, shape (n,); "
            f"got the single number {table}"
        )
    return (table[:, None], True) if table.ndim == 1 else (table, False)


def _number(function: str, ddof: Any) -> Any:
    number = np.float64(ddof if type(ddof) is int or type(ddof) is float else as_real(ddof, f"{function}: ddof"))
    if np.isnan(number):
        raise ValueError(f"{function}: ddof must be a number, got nan")
    return number


def _value(f: Statistic, table: Any, w: RowWeights | None, ddof: Any) -> Any:
    """For numbers that are all there."""
    if (f is COVARIANCE or f is CORRELATION) and is_large_map(table) and (w is None or w.values.ndim == 1):
        return _of_map(f, table, w, float(ddof))
    taken = _number(f.name, ddof) if w is None and f.divides else None
    try:
        if w is None:
            return f.plain(table) if taken is None else f.plain(table, taken)
        return f.weighted(table, w.values, w.ddof) if f.divides else f.weighted(table, w.values)
    except (TypeError, ValueError) as error:
        explain(f.name, error, x=table)


def _lazy(function: str, result: Any, nan_policy: str) -> Array:
    if nan_policy != "propagate":
        raise TypeError(
            f"{function}: nan_policy={nan_policy!r} looks at the numbers, which the Dask array x has not yet: "
            f"mmlfast.dask.covariance takes arrays in chunks, x.map_blocks(...) calls a function for each"
        )
    lazy: Array = result
    return lazy


# ---- tables on disk ----


def _of_map(f: Statistic, table: Array, w: RowWeights | None, ddof: float) -> Array:
    """The same in the memory of a few blocks; covariances have the same bits."""
    moments = _moments_of_map(table, w, None)
    exponents = np.zeros(table.shape[1], np.int64)
    suspicious = _suspicious(moments) if table.dtype.itemsize == 8 else np.zeros(0, bool)
    if suspicious.any():
        exponents[suspicious] = _exponents(table, w, suspicious)
        if exponents.any():
            moments = _moments_of_map(table, w, exponents)
    if f is CORRELATION:
        return correlation_of(moments).astype(float_dtype(table), copy=False)
    c = divided(moments, ddof if w is None else float(w.ddof))
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(np.ldexp(c, exponents[:, None] + exponents), float_dtype(table))


def _suspicious(moments: Moments) -> Array:
    """The columns whose squares say too little; unequal numbers of some size have squares that are not zero."""
    squares = np.diagonal(divided(moments, moments.count - 1))
    outside = ~((squares >= SAFE[0]) & (squares <= SAFE[1]))
    return np.asarray(outside & ((squares != 0) | (np.abs(moments.mean) < 2.0**-470)))


def correlation_of(moments: Moments) -> Array:
    """The correlations of the rows of `Moments`: float64, with the bits of `mmlfast.stats.correlation`."""
    sums = divided(moments, moments.count - 1)
    square = np.diagonal(sums)
    square = np.where((square > 0) & (square < np.inf), square, np.nan)
    with np.errstate(over="ignore"):
        r: Array = np.clip(sums / np.sqrt(square[:, None] * square), -1, 1)
    np.fill_diagonal(r, np.where(square > 0, 1, np.nan))
    return r


def _moments_of_map(table: Array, w: RowWeights | None, exponents: Array | None) -> Moments:
    moments, taken = Moments(table.shape[1]), 0
    for block in RowBlocks(table):
        rows = block if exponents is None else np.ldexp(block, -exponents)
        moments.update(rows, None if w is None else w.values[taken : taken + len(block)])
        taken += len(block)
    return moments


def _exponents(table: Array, w: RowWeights | None, columns: Array) -> Array:
    """Of the largest number of these columns; 0 where it is not finite, or so ordinary that squares say enough."""
    largest, taken = np.zeros(int(columns.sum())), 0
    for block in RowBlocks(table):
        rows = block[:, columns]
        if w is not None:
            rows = rows[w.values[taken : taken + len(block)] > 0]
        largest = np.maximum(largest, np.abs(rows).max(axis=0, initial=0))
        taken += len(block)
    exponents = np.frexp(np.where(np.isfinite(largest), largest, 0))[1]
    return np.where((exponents < -180) | (exponents > 220), exponents, 0)
