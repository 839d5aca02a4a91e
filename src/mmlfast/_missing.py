"""Moments of tables with missing numbers (NaN): each from the rows in which its columns are present.

For `nan_policy=` in `mmlfast.stats`. Only what came out as NaN is computed again, so that complete columns keep the
bits they have without the keyword, whatever else is in the table or in the stack.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mmlfast import _core
from mmlfast._moments import Moments

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
    where: tuple[Array, ...]  # indices along the axes of the stack; () if there is no stack

    def column(self, item: Array, j: Array) -> Array:
        return self.x[item, :, j].astype(np.float64, copy=False)

    def counting(self, item: Array, present: Array) -> Array:
        """Weights of rows: 0 where a number is missing."""
        return present.astype(np.float64) if self.weights is None else np.where(present, self.weights[item], 0.0)


def incomplete(x: Array, weights: Array | None, result: Array, core_dimensions: int) -> Tables:
    """The tables of a stack whose results have NaN."""
    batch = result.shape[: result.ndim - core_dimensions]
    bad = np.isnan(result).any(axis=tuple(range(len(batch), result.ndim)))
    where = np.nonzero(bad) if batch else ()
    every = np.broadcast_to(x, (*batch, *x.shape[-2:]))
    w = None if weights is None else np.broadcast_to(weights, (*batch, x.shape[-2]))
    if not batch:
        return Tables(every[None], None if w is None else w[None], where)
    return Tables(every[where], None if w is None else w[where], where)


def _chunks(count: int, size: int) -> list[slice]:
    step = max(1, _CHUNK // max(size, 1))
    return [slice(first, first + step) for first in range(0, count, step)]


def _by_column(t: Tables, item: Array, j: Array, ddof: float | None) -> Array:
    """Mean (ddof None) or variance of column j of each item."""
    out = np.empty(len(item))
    for part in _chunks(len(item), t.x.shape[1]):
        column = t.column(item[part], j[part])
        counts = t.counting(item[part], ~np.isnan(column))
        table = column[..., None]
        if ddof is None:
            out[part] = _core.weighted_mean(table, counts)[:, 0]
        else:
            out[part] = _core.weighted_variance(table, counts, ddof)[:, 0]
    return out


def columns_omitting(x: Array, weights: Array | None, result: Array, ddof: float | None) -> Array:
    """`result`, means or variances, with those that are NaN taken from the numbers that are there."""
    t = incomplete(x, weights, result, 1)
    mine = result[t.where] if t.where else result[None]
    item, j = np.nonzero(np.isnan(mine))
    mine[item, j] = _by_column(t, item, j, ddof)
    return _put(result, t, mine)


def _put(result: Array, t: Tables, mine: Array) -> Array:
    result[t.where or ...] = mine if t.where else mine[0]
    return result


# ---- pairs of columns ----


class Pairs(NamedTuple):
    """Of columns i and j of items: their covariance and their variances over the rows that have both."""

    cov: Array
    var_i: Array
    var_j: Array


def _by_pair(t: Tables, item: Array, i: Array, j: Array, ddof: float) -> Pairs:
    """Each pair as a table of two columns, in which rows that miss one weigh nothing."""
    out = Pairs(*np.empty((3, len(item))))
    for part in _chunks(len(item), 2 * t.x.shape[1]):
        a, b = t.column(item[part], i[part]), t.column(item[part], j[part])
        table = np.stack([a, b], axis=-1)
        counts = t.counting(item[part], ~(np.isnan(a) | np.isnan(b)))
        c = _core.weighted_covariance(table, counts, ddof)
        out.cov[part], out.var_i[part], out.var_j[part] = c[:, 0, 1], c[:, 0, 0], c[:, 1, 1]
    return out


def _extended(x: Array, shift: Array) -> Array:
    """[z, m, z^2] side by side: differences from the shift, 0 where missing; 1 where present; squares."""
    d = x.shape[-1]
    out = np.empty((*x.shape[:-1], 3 * d))
    z, present, squares = out[..., :d], out[..., d : 2 * d], out[..., 2 * d :]
    missing = np.isnan(x)
    np.logical_not(missing, out=present)
    np.subtract(x, shift, out=z)
    np.copyto(z, 0, where=missing)
    np.square(z, out=squares)
    return out


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


def _by_products(t: Tables, i: Array, j: Array, ddof: float) -> tuple[Pairs, Array]:
    """Pairs (i, j) of all items from the products of the extended columns, and where these have lost digits.

    With m for presence and z for differences from about the column's mean: E[m_i m_j] is the share s of rows with both,
    E[z_i m_j] is s times the mean of z_i over them, and E[z_i z_j] - E[z_i m_j] E[z_j m_i] / s is s times their
    covariance. Rounding is relative to E[z_i^2] over all rows: too much where the rows of a pair are few, or vary far
    less than their columns.
    """
    k, n, d = t.x.shape
    item, column = (index.ravel() for index in np.indices((k, d)))
    some = np.s_[:, :: max(1, n // 4096)]  # near the mean is enough
    sample = Tables(t.x[some], None if t.weights is None else t.weights[some], ())
    shift = np.nan_to_num(_by_column(sample, item, column, None).reshape(k, d), posinf=0.0, neginf=0.0)
    with np.errstate(all="ignore"):
        _, second = _raw_moments(t.x, t.weights, shift)
        total = np.full(k, float(n)) if t.weights is None else t.weights.sum(axis=-1)
        share = second[:, d + i, d + j]
        count = share * total[:, None]
        if t.weights is None:
            count = np.rint(count)
        a, b = second[:, i, d + j], second[:, j, d + i]
        per = count / np.maximum(count - ddof, 0.0) / share
        pairs = Pairs(
            (second[:, i, j] - a * b / share) * per,
            (second[:, 2 * d + i, d + j] - a * a / share) * per,
            (second[:, 2 * d + j, d + i] - b * b / share) * per,
        )
        square = np.diagonal(second, axis1=1, axis2=2)
        size = np.maximum(square[:, :d], np.sqrt(square[:, 2 * d :]) / 4)
        kept = (size[:, i] * per / pairs.var_i) * (size[:, j] * per / pairs.var_j) <= 2.0**10
        kept &= (pairs.var_i > 0) & (pairs.var_j > 0)
    return pairs, ~kept


def pairs_omitting(t: Tables, missing: Array, ddof: float) -> tuple[tuple[Array, Array, Array], Pairs]:
    """The pairs i < j of each item of which a column is `missing` (k, d) something: (item, i, j), and their moments."""
    d = t.x.shape[-1]
    upper_i, upper_j = np.triu_indices(d, 1)
    wanted = missing[:, upper_i] | missing[:, upper_j]
    few = wanted.sum(axis=1) <= max(2 * d, 10)  # of each item by itself: what else is in the stack must not matter
    direct = wanted & few[:, None]
    every = np.nonzero(wanted)
    out = Pairs(*(np.empty(wanted.shape) for _ in range(3)))
    many = np.nonzero(~few)[0]
    for part in _chunks(len(many), 9 * d * d):
        items = many[part]
        some = Tables(t.x[items], None if t.weights is None else t.weights[items], ())
        found, lost = _by_products(some, upper_i, upper_j, ddof)
        for whole, one in zip(out, found, strict=True):
            whole[items] = one
        direct[items] = wanted[items] & lost
    item, pair = np.nonzero(direct)
    for whole, one in zip(out, _by_pair(t, item, upper_i[pair], upper_j[pair], ddof), strict=True):
        whole[item, pair] = one
    return (every[0], upper_i[every[1]], upper_j[every[1]]), Pairs(*(whole[every] for whole in out))


def covariance_omitting(x: Array, weights: Array | None, result: Array, ddof: float) -> Array:
    """`result`, covariances, with the entries that are NaN taken from the rows that have both columns."""
    t = incomplete(x, weights, result, 2)
    mine = result[t.where] if t.where else result[None]
    missing = np.isnan(np.diagonal(mine, axis1=1, axis2=2))
    item, j = np.nonzero(missing)
    mine[item, j, j] = _by_column(t, item, j, ddof)
    (item, i, j), pairs = pairs_omitting(t, missing, ddof)
    mine[item, i, j] = mine[item, j, i] = pairs.cov
    return _put(result, t, mine)


def correlation_omitting(x: Array, weights: Array | None, result: Array, cov: Array) -> Array:
    """`result`, correlations that belong to the covariances `cov`, likewise."""
    t = incomplete(x, weights, cov, 2)
    mine = result[t.where] if t.where else result[None]
    square = np.diagonal(cov[t.where] if t.where else cov[None], axis1=1, axis2=2)
    missing = np.isnan(square)
    item, j = np.nonzero(missing)
    variance = _by_column(t, item, j, 0.0)
    (item_, i_, j_), pairs = pairs_omitting(t, missing, 0.0)
    with np.errstate(all="ignore"):
        mine[item, j, j] = variance / variance
        r = np.clip(pairs.cov / np.sqrt(pairs.var_i) / np.sqrt(pairs.var_j), -1, 1)
    mine[item_, i_, j_] = mine[item_, j_, i_] = r
    return _put(result, t, mine)
