"""Moments of tables with missing numbers (NaN): each from the rows in which its columns are present.

For `nan_policy=` in `mmlfast.stats`. Only what came out as NaN is computed again, so that complete columns keep the
bits they have without the keyword, whatever else is in the table or in the stack.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np

from mmlfast import _core
from mmlfast._common.weights import RowWeights, check_divisor
from mmlfast.stats._moments import Moments

Array = np.ndarray[Any, Any]

POLICIES = ("propagate", "raise", "omit")
_CHUNK = 1 << 19  # numbers in one temporary array: a few MB, which stay in cache


def check_policy(function: str, nan_policy: str) -> None:
    if nan_policy not in POLICIES:
        raise ValueError(f"{function}: nan_policy must be one of {', '.join(map(repr, POLICIES))}, got {nan_policy!r}")


def raise_at_nan(function: str, x: Array, weights: Array | None) -> None:
    """ValueError that names the first NaN in a row that counts, if there is one."""
    missing = np.isnan(x)
    if weights is not None:
        missing = missing & (weights > 0)[..., None]
    if not missing.any():
        return  # the result is NaN for another reason: no rows, or infinity
    index = ", ".join(str(int(i)) for i in np.unravel_index(int(np.argmax(missing)), missing.shape))
    raise ValueError(
        f"{function}: x[{index}] is NaN, one of {int(missing.sum())} of {missing.size} numbers; "
        f"nan_policy='omit' leaves missing numbers out"
    )


class Tables(NamedTuple):
    """Tables x (k, n, d) of float32 or float64, their weights (k, n) or None, and where in the stack they are."""

    x: Array
    weights: Array | None
    squares: Array | None  # of the weights with aweights, whose sum decides about the divisor (`RowWeights`)
    where: tuple[Array, ...]  # indices along the axes of the stack; () if there is no stack

    def column(self, item: Array, j: Array) -> Array:
        return self.x[item, :, j].astype(np.float64, copy=False)

    def counting(self, item: Array, present: Array) -> Array:
        """Weights of rows: 0 where a number is missing."""
        return present.astype(np.float64) if self.weights is None else np.where(present, self.weights[item], 0.0)

    def less(self, item: Array, present: Array, counts: Array, ddof: float) -> Any:
        """What is subtracted from the sum of the weights in the divisor."""
        if self.squares is None:
            return ddof
        with np.errstate(divide="ignore", invalid="ignore"):
            return ddof * np.where(present, self.squares[item], 0.0).sum(axis=-1) / counts.sum(axis=-1)

    def some(self, rows: Any, items: Any = slice(None)) -> Tables:
        """These rows of these tables."""
        return Tables(
            self.x[items][:, rows],
            None if self.weights is None else self.weights[items][:, rows],
            None if self.squares is None else self.squares[items][:, rows],
            (),
        )


def incomplete(x: Array, w: RowWeights | None, result: Array, core_dimensions: int) -> Tables:
    """The tables of a stack whose results have NaN."""
    batch = result.shape[: result.ndim - core_dimensions]
    bad = np.isnan(result).any(axis=tuple(range(len(batch), result.ndim)))
    where = np.nonzero(bad) if batch else ()
    pick = where or (None,)
    every = np.broadcast_to(x, (*batch, *x.shape[-2:]))
    weights, squares = (None, None) if w is None else (w.values, w.squares)
    wide = [None if v is None else np.broadcast_to(v, (*batch, x.shape[-2]))[pick] for v in (weights, squares)]
    return Tables(every[pick], wide[0], wide[1], where)


def in_range(t: Tables, variances: Array) -> tuple[Tables, Array]:
    """Columns times powers of two, so that the fourth powers of their numbers are numbers of float64; the exponents."""
    exponents = np.zeros(variances.shape, np.int64)
    if t.x.dtype.itemsize == 4:
        return t, exponents
    item, j = np.nonzero(~((variances > 2.0**-240) & (variances < 2.0**240)))
    deviations = _by_column(t, item, j, 0.0, _core.weighted_std)
    exponents[item, j] = np.frexp(np.where(np.isfinite(deviations), deviations, 0))[1]
    return (t._replace(x=np.ldexp(t.x, -exponents[:, None])), exponents) if exponents.any() else (t, exponents)


def _chunks(count: int, size: int) -> list[slice]:
    step = max(1, _CHUNK // max(size, 1))
    return [slice(first, first + step) for first in range(0, count, step)]


def _several(counts: Array) -> Any:
    return np.count_nonzero(counts, axis=-1) > 1


def _by_column(t: Tables, item: Array, j: Array, ddof: float | None, function: Any) -> Array:
    """Mean (ddof None), variance or deviation of column j of each item."""
    out = np.empty(len(item))
    for part in _chunks(len(item), t.x.shape[1]):
        column = t.column(item[part], j[part])
        present = ~np.isnan(column)
        counts = t.counting(item[part], present)
        table = column[..., None]
        if ddof is None:
            out[part] = function(table, counts)[:, 0]
        else:
            less = t.less(item[part], present, counts, ddof)
            if t.weights is not None and t.squares is None:
                total, several = counts.sum(axis=-1), partial(_several, counts)
                check_divisor("nan_policy='omit'", "weights of the rows that are there", total, ddof, several)
            out[part] = function(table, counts, less)[:, 0]
    return out


def _columns_omitting(x: Array, w: RowWeights | None, result: Array, ddof: float | None, function: Any) -> Array:
    t = incomplete(x, w, result, 1)
    mine = result[t.where or (None,)]
    item, j = np.nonzero(np.isnan(mine))
    with np.errstate(over="ignore", under="ignore"):  # as float32
        mine[item, j] = _by_column(t, item, j, ddof, function)
    return _put(result, t, mine)


def mean_omitting(x: Array, w: RowWeights | None, result: Array, ddof: float) -> Array:
    """`result`, means, with those that are NaN taken from the numbers that are there."""
    return _columns_omitting(x, w, result, None, _core.weighted_mean)


def variance_omitting(x: Array, w: RowWeights | None, result: Array, ddof: float) -> Array:
    """`result`, variances, likewise."""
    return _columns_omitting(x, w, result, ddof, _core.weighted_variance)


def deviation_omitting(x: Array, w: RowWeights | None, result: Array, ddof: float) -> Array:
    """`result`, standard deviations, likewise."""
    return _columns_omitting(x, w, result, ddof, _core.weighted_std)


def _put(result: Array, t: Tables, mine: Array) -> Array:
    result[t.where or ...] = mine if t.where else mine[0]
    return result


# ---- pairs of columns ----


def _by_pair(t: Tables, item: Array, i: Array, j: Array, ddof: float | None) -> Array:
    """Covariance, or correlation (ddof None), of each pair: a table of two columns in which rows that miss one weigh
    nothing."""
    out = np.empty(len(item))
    for part in _chunks(len(item), 2 * t.x.shape[1]):
        a, b = t.column(item[part], i[part]), t.column(item[part], j[part])
        table = np.stack([a, b], axis=-1)
        present = ~(np.isnan(a) | np.isnan(b))
        counts = t.counting(item[part], present)
        if ddof is None:
            out[part] = _core.weighted_correlation(table, counts)[:, 0, 1]
        else:
            less = t.less(item[part], present, counts, ddof)
            out[part] = _core.weighted_covariance(table, counts, less)[:, 0, 1]
    return out


@lru_cache(maxsize=64)
def _extension(d: int) -> _core.TapeProgram:
    """The program of `_extended` for rows of d numbers: in one pass, by all threads."""
    graph, op = _core.TapeGraph(), _core.tape_ops
    z = graph.input(d) + np.arange(d, dtype=np.int32)
    none, one = (np.broadcast_to(graph.constants(np.float64(c)), d) for c in (0.0, 1.0))
    present = graph.emit(op["equal"], z, z)  # NaN is not equal to itself
    z, present = graph.emit(op["select"], present, z, none), graph.emit(op["select"], present, one, none)
    return _core.TapeProgram(graph, np.concatenate([z, present, graph.emit(op["multiply"], z, z)]))


def _extended(x: Array, shift: Array) -> Array:
    """[z, m, z^2] side by side: differences from the shift, 0 where missing; 1 where present; squares."""
    d = x.shape[-1]
    rows = np.subtract(x, shift, dtype=np.float64).reshape(-1, d)
    return _extension(d).batch(rows).reshape(*x.shape[:-1], 3 * d)


def _raw_moments(x: Array, weights: Array | None, shift: Array) -> tuple[Array, Array]:
    """Mean of the extended columns, and mean of the products of each two of them, per item; x: (k, n, d)."""
    k, n, d = x.shape
    mean, second = np.empty((k, 3 * d)), np.empty((k, 3 * d, 3 * d))
    if 3 * n * d <= _CHUNK:
        for part in _chunks(k, 3 * n * d):
            table = _extended(x[part], shift[part, None])
            if weights is None:
                mean[part], second[part] = _core.mean(table), _core.covariance(table, 0.0)
            else:
                w = weights[part]
                mean[part], second[part] = _core.weighted_mean(table, w), _core.weighted_covariance(table, w, 0.0)
    else:
        for item in range(k):
            m = Moments(3 * d)
            for rows in _chunks(n, 3 * d):
                m.update(_extended(x[item, rows], shift[item]), None if weights is None else weights[item, rows])
            mean[item], second[item] = m.mean, m.covariance(0)
    second += mean[:, :, None] * mean[:, None, :]
    return mean, second


def _by_products(t: Tables, i: Array, j: Array, ddof: float | None) -> tuple[Array, Array]:
    """Pairs (i, j) of all items from the products of the extended columns, and where these have lost digits.

    With m for presence and z for differences from about the column's mean: E[m_i m_j] is the share s of rows with both,
    E[z_i m_j] is s times the mean of z_i over them, and E[z_i z_j] - E[z_i m_j] E[z_j m_i] / s is s times their
    covariance. Rounding is relative to E[z_i^2] over all rows: too much where the rows of a pair are few, or vary far
    less than their columns.
    """
    k, n, d = t.x.shape
    item, column = (index.ravel() for index in np.indices((k, d)))
    every = slice(None, None, max(1, n // 4096))  # near the mean is enough
    sample = _by_column(t.some(every), item, column, None, _core.weighted_mean)
    shift = np.nan_to_num(sample.reshape(k, d), posinf=0.0, neginf=0.0)
    with np.errstate(all="ignore"):
        _, second = _raw_moments(t.x, t.weights, shift)
        total = np.full(k, float(n)) if t.weights is None else t.weights.sum(axis=-1)
        share = second[:, d + i, d + j]
        count = share * total[:, None]
        if t.weights is None:
            count = np.rint(count)
        a, b = second[:, i, d + j], second[:, j, d + i]
        per = 1.0 / share if ddof is None else count / np.maximum(count - _less(t, i, j, ddof), 0.0) / share
        cov = (second[:, i, j] - a * b / share) * per
        var_i = (second[:, 2 * d + i, d + j] - a * a / share) * per
        var_j = (second[:, 2 * d + j, d + i] - b * b / share) * per
        square = np.diagonal(second, axis1=1, axis2=2)
        size = np.maximum(square[:, :d], np.sqrt(square[:, 2 * d :]) / 4)
        kept = (size[:, i] * per / var_i) * (size[:, j] * per / var_j) <= 2.0**10
        kept &= (var_i > 0) & (var_j > 0)
        return (np.clip(cov / np.sqrt(var_i * var_j), -1, 1) if ddof is None else cov), ~kept


def _less(t: Tables, i: Array, j: Array, ddof: float) -> Any:
    """What is subtracted from the sum of the weights in the divisor of each pair, (k, pairs)."""
    if t.squares is None or t.weights is None:
        return ddof
    present = (~np.isnan(t.x)).astype(np.float64)
    turned = np.swapaxes(present, 1, 2)
    both = [(turned @ (present * v[..., None]))[:, i, j] for v in (t.squares, t.weights)]
    return ddof * both[0] / both[1]


def pairs_omitting(t: Tables, missing: Array, ddof: float | None) -> tuple[tuple[Array, Array, Array], Array]:
    """The pairs i < j of each item of which a column is `missing` (k, d) something, as (item, i, j), and their
    covariances, or correlations (ddof None)."""
    d = t.x.shape[-1]
    upper_i, upper_j = np.triu_indices(d, 1)
    wanted = missing[:, upper_i] | missing[:, upper_j]
    few = wanted.sum(axis=1) <= max(2 * d, 10)  # of each item by itself: what else is in the stack must not matter
    direct = wanted & few[:, None]
    every = np.nonzero(wanted)
    out = np.empty(wanted.shape)
    many = np.nonzero(~few)[0]
    for part in _chunks(len(many), 9 * d * d):
        items = many[part]
        out[items], lost = _by_products(t.some(slice(None), items), upper_i, upper_j, ddof)
        direct[items] = wanted[items] & lost
    item, pair = np.nonzero(direct)
    out[item, pair] = _by_pair(t, item, upper_i[pair], upper_j[pair], ddof)
    return (every[0], upper_i[every[1]], upper_j[every[1]]), out[every]


def covariance_omitting(x: Array, w: RowWeights | None, result: Array, ddof: float) -> Array:
    """`result`, covariances, with the entries that are NaN taken from the rows that have both columns."""
    t = incomplete(x, w, result, 2)
    mine = result[t.where or (None,)]
    missing = np.isnan(np.diagonal(mine, axis1=1, axis2=2))
    item, j = np.nonzero(missing)
    variances = np.diagonal(mine, axis1=1, axis2=2).astype(np.float64)
    variances[item, j] = _by_column(t, item, j, ddof, _core.weighted_variance)
    with np.errstate(over="ignore", under="ignore"):
        mine[item, j, j] = variances[item, j]
    t, exponents = in_range(t, variances)
    (item, i, j), cov = pairs_omitting(t, missing, ddof)
    with np.errstate(over="ignore", under="ignore"):
        mine[item, i, j] = mine[item, j, i] = np.ldexp(cov, exponents[item, i] + exponents[item, j])
    return _put(result, t, mine)


def correlation_omitting(x: Array, w: RowWeights | None, result: Array, ddof: float) -> Array:
    """`result`, correlations, with the entries that are NaN because a number is missing likewise."""
    t = incomplete(x, w, result, 2)
    mine = result[t.where or (None,)]
    # Columns that do not vary come out as NaN again.
    missing = np.isnan(np.diagonal(mine, axis1=1, axis2=2))
    item, j = (index.ravel() for index in np.indices(missing.shape))
    deviations = _by_column(t, item, j, 0.0, _core.weighted_std).reshape(missing.shape)
    item, j = np.nonzero(missing)
    with np.errstate(all="ignore"):
        mine[item, j, j] = deviations[item, j] / deviations[item, j]
        variances = deviations**2
    t, _ = in_range(t, variances)
    (item, i, j), cor = pairs_omitting(t, missing, None)
    mine[item, i, j] = mine[item, j, i] = cor
    return _put(result, t, mine)
