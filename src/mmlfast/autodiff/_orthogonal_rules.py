"""QR by Householder's reflections, and what is solved with it: least squares and pseudoinverses of full rank."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.linalg import LinAlgError

import mmlfast.autodiff._product_rules as p
import mmlfast.autodiff._ufunc_rules as u
from mmlfast.autodiff._errors import refuse
from mmlfast.autodiff._registry import rule
from mmlfast.autodiff._trace import OPS, Ids, Trace


class _Factors(NamedTuple):
    """R below and on the diagonal, and the reflections 1 - scale (1, v) (1, v)', with v of each column."""

    r: Ids
    vectors: list[Ids]
    scales: list[Ids]


def _factored(t: Trace, a: Ids) -> _Factors:
    """With LAPACK's signs: a column of which nothing is left below the diagonal stays as it is."""
    m, n = a.shape
    a, zero, one = a.copy(), t.scalar(0.0), t.scalar(1.0)
    vectors, scales = [], []
    for j in range(min(m - 1, n)):
        head, tail = a[j, j].reshape(()), a[j + 1 :, j]
        nothing = u.equal(t, t.reduction(OPS["norm"], tail, None), zero)
        length = u.negative(t, u.copysign(t, t.reduction(OPS["norm"], a[j:, j], None), head))
        diagonal = u.select(t, nothing, head, length)
        v = u.divide(t, tail, u.select(t, nothing, one, u.subtract(t, head, length)))
        scale = u.select(t, nothing, zero, u.divide(t, u.subtract(t, length, head), length))
        vectors.append(v)
        scales.append(scale)
        a[j, j], a[j + 1 :, j] = diagonal, zero
        a[j:, j + 1 :] = _reflected(t, a[j:, j + 1 :], v, scale)
    return _Factors(a[: min(m, n)], vectors, scales)


def _reflected(t: Trace, b: Ids, v: Ids, scale: Ids) -> Ids:
    if not b.size:
        return b
    along = u.add(t, b[0], p.matmul(t, v, b[1:]))
    step = u.multiply(t, scale, along)
    below = u.subtract(t, b[1:], u.multiply(t, v[:, None], step[None, :]))
    return np.concatenate([u.subtract(t, b[0], step)[None, :], below])


def _turned(t: Trace, factors: _Factors, b: Ids, back: bool) -> Ids:
    """Q' b, or Q b."""
    b = b.copy()
    order = range(len(factors.vectors))
    for j in reversed(order) if back else order:
        b[j:] = _reflected(t, b[j:], factors.vectors[j], factors.scales[j])
    return b


def least_squares(t: Trace, a: Ids, b: Ids) -> Ids:
    """The shortest x with the least norm of a x - b, for a of full rank."""
    m, n = a.shape
    right = b[:, None] if b.ndim == 1 else b
    if m >= n:
        factors = _factored(t, a)
        x = p.solve(t, factors.r[:n], _turned(t, factors, right, back=False)[:n])
    else:
        factors = _factored(t, a.T)
        y = p.solve(t, factors.r[:m].T, right)
        missing = np.full((n - m, right.shape[1]), t.scalar(0.0), np.int32)
        x = _turned(t, factors, np.concatenate([y, missing]), back=True)
    return x[:, 0] if b.ndim == 1 else x


class Qr(NamedTuple):
    """What np.linalg.qr gives."""

    Q: Any
    R: Any


@rule(np.linalg.qr)
def _qr(t: Trace, a: Any, mode: str = "reduced") -> Any:
    ids = t.ids_of(a)
    if mode not in ("reduced", "complete", "r"):
        refuse(f"np.linalg.qr with mode={mode!r} cannot be traced", "'reduced', 'complete' and 'r' can be")
    if ids.ndim < 2:
        raise LinAlgError(f"qr: a matrix is needed, got shape {ids.shape}")
    m, n = ids.shape[-2:]
    columns = m if mode == "complete" else min(m, n)
    batch = ids.shape[:-2]
    q, r = np.empty((*batch, m, columns), np.int32), np.empty((*batch, columns, n), np.int32)
    r[...] = t.scalar(0.0)
    for i in np.ndindex(batch):
        factors = _factored(t, ids[i])
        r[i][: len(factors.r)] = factors.r
        if mode != "r":
            q[i] = _turned(t, factors, t.constant(np.eye(m, columns)), back=True)
    return r if mode == "r" else Qr(q, r)


class LeastSquares(NamedTuple):
    """What np.linalg.lstsq gives, without the singular values."""

    x: Any
    residuals: Any
    rank: Any
    s: Any


@rule(np.linalg.lstsq)
def _lstsq(t: Trace, a: Any, b: Any, rcond: Any = None) -> LeastSquares:
    """Of full rank: otherwise it is not finite."""
    matrix, right = t.ids_of(a), t.ids_of(b)
    if matrix.ndim != 2 or right.ndim not in (1, 2) or len(matrix) != len(right):
        raise LinAlgError(f"lstsq: shapes {matrix.shape} and {right.shape} do not fit together")
    m, n = matrix.shape
    x = least_squares(t, matrix, right)
    left = u.subtract(t, p.matmul(t, matrix, x), right)
    residuals = t.reduction(OPS["dot"], left, 0, b=left).reshape(-1) if m > n else np.empty(0, np.int32)
    return LeastSquares(x, residuals, min(m, n), None)


@rule(np.linalg.pinv)
def _pinv(t: Trace, a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Ids:
    """Of full rank: otherwise it is not finite."""
    ids = t.ids_of(a)
    m, n = ids.shape[-2:]
    out = np.empty((*ids.shape[:-2], n, m), np.int32)
    for i in np.ndindex(ids.shape[:-2]):
        if m >= n:
            out[i] = least_squares(t, ids[i], t.constant(np.eye(m)))
        else:
            out[i] = least_squares(t, ids[i].T, t.constant(np.eye(n))).T
    return out


@rule(np.linalg.tensorsolve)
def _tensorsolve(t: Trace, a: Any, b: Any, axes: Any = None) -> Ids:
    matrix, right = t.ids_of(a), t.ids_of(b)
    if axes is not None:
        matrix = matrix.transpose([k for k in range(matrix.ndim) if k not in axes] + list(axes))
    shape = matrix.shape[right.ndim :]
    return p.solve(t, matrix.reshape(right.size, -1), right.ravel()).reshape(shape)


@rule(np.linalg.tensorinv)
def _tensorinv(t: Trace, a: Any, ind: int = 2) -> Ids:
    ids = t.ids_of(a)
    rows = int(np.prod(ids.shape[:ind]))
    return p.inv(t, ids.reshape(rows, -1)).reshape(ids.shape[ind:] + ids.shape[:ind])


@rule(np.linalg.cond)
def _cond(t: Trace, x: Any, p: Any = None) -> Ids:
    from mmlfast.autodiff._reduction_rules import norm_of

    if p is None or p in (2, -2):
        refuse("np.linalg.cond in the 2-norm is of singular values, which the tape does not have", "p=1, np.inf, 'fro'")
    ids = t.ids_of(x)
    return u.multiply(t, norm_of(t, ids, p, (-2, -1)), norm_of(t, _inverse(t, ids), p, (-2, -1)))


def _inverse(t: Trace, ids: Ids) -> Ids:
    return p.inv(t, ids)
