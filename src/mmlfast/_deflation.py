"""Several dominant eigenpairs, one after the other: what is known is projected out of the matrix (Schur-Wielandt).

With orthonormal columns Q that the matrix maps into their own span (A Q = Q R), the matrix (I - QQ') A (I - QQ') has
the other eigenvalues of A, and its dominant eigenvector is the next column of Q. R is triangular; its eigenvectors y
give those of A, Q y. If A is symmetric, R is diagonal and the columns of Q are the eigenvectors themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mmlfast import _core
from mmlfast._matmul import product

Array = np.ndarray[Any, Any]

# (value, vector, residual, n_iter, converged) of one dominant pair.
Pair = tuple[Any, Any, Any, Any, Any]


def dense_pairs(a: Array, start: Array, k: int, tol: float, dominant: Callable[[Array, Array], Pair]) -> Pair:
    """k pairs of each matrix of a stack. `dominant(a, start)` finds one."""
    first = dominant(a, start)
    batch = np.shape(first[0])
    wide = np.broadcast_to(a, (*batch, *a.shape[-2:])).astype(np.float64)
    scale = _power_of_two(np.abs(wide).max(axis=(-2, -1)))
    wide *= scale[..., None, None]
    symmetric = (wide == wide.swapaxes(-1, -2)).all(axis=(-2, -1))
    noise = 4 * a.shape[-1] * float(np.finfo(a.dtype).eps) * np.abs(first[0].astype(np.float64) * scale)
    q = _unit(first[1].astype(np.float64))[..., None]
    n_iter, reached = [first[3]], [first[4]]
    for _ in range(1, k):
        rest = wide - product(q, product(q.swapaxes(-1, -2), wide))
        rest -= product(product(rest, q), q.swapaxes(-1, -2))
        rest = np.where(symmetric[..., None, None], (rest + rest.swapaxes(-1, -2)) / 2, rest)
        nothing = np.abs(rest).max(axis=(-2, -1)) <= noise  # the rank is used up: what is left is rounding
        rest[nothing] = 0
        pair = dominant(rest.astype(a.dtype), _start(start, q).astype(a.dtype))
        n_iter.append(pair[3])
        reached.append(pair[4])
        q = np.concatenate([q, _orthogonal(pair[1].astype(np.float64), q)[..., None]], axis=-1)
    counts = np.stack(n_iter, -1), np.stack(reached, -1)
    return _finish(product(wide, q), q, scale, symmetric, tol, first, counts, a.dtype)


def operator_pairs(
    matvec: Callable[[Array], Any], start: Array, k: int, tol: float, dominant: Callable[..., Pair]
) -> Pair:
    """k pairs of a function, or of a sparse matrix. `dominant(matvec, start, floor)` finds one."""
    first = dominant(matvec, start, 0.0)
    q = _unit(first[1].astype(np.float64))[:, None]
    images = [np.asarray(matvec(q[:, 0].astype(start.dtype))).reshape(-1).astype(np.float64)]
    floor = 8 * float(np.finfo(start.dtype).eps) * abs(float(first[0]))
    n_iter, reached = [first[3]], [first[4]]
    for _ in range(1, k):

        def project(x: Array, q: Array = q) -> Array:
            y = np.asarray(x).reshape(-1).astype(np.float64)
            for _ in range(2):
                y = y - q @ (q.T @ y)
            return y

        def projected(x: Array, project: Callable[[Array], Array] = project) -> Array:
            return project(matvec(project(x).astype(start.dtype)))

        pair = dominant(projected, _start(start, q).astype(start.dtype), floor)
        n_iter.append(pair[3])
        reached.append(pair[4])
        q = np.concatenate([q, _orthogonal(pair[1].astype(np.float64), q)[:, None]], axis=-1)
        images.append(np.asarray(matvec(q[:, -1].astype(start.dtype))).reshape(-1).astype(np.float64))
    image = np.stack(images, axis=-1)
    off_diagonal = np.abs(np.triu(q.T @ image, 1)).max()
    symmetric = np.asarray(off_diagonal <= 16 * max(floor, tol * abs(float(first[0]))))  # as far as can be told
    scale = _power_of_two(np.asarray(abs(float(first[0]))))
    counts = np.stack(n_iter), np.stack(reached)
    return _finish(image * scale, q, scale, symmetric, tol, first, counts, start.dtype)


def _finish(
    image: Array, q: Array, scale: Array, symmetric: Array, tol: float, first: Pair, counts: tuple[Any, Any], dtype: Any
) -> Pair:
    """Eigenpairs from the Schur vectors Q and their images, which are `scale` times those of the matrix."""
    r = product(q.swapaxes(-1, -2), image)
    values = np.diagonal(r, axis1=-2, axis2=-1).copy()
    y = np.where(symmetric[..., None, None], np.eye(values.shape[-1]), _triangular_eigenvectors(r, values))
    vectors = product(q, y)
    leader = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=-2)[..., None, :], axis=-2)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore", under="ignore"):
        y = y * np.where(leader < 0, -1, 1) / _norm(vectors)[..., None, :]
        vectors = product(q, y)
        residual = _norm(product(image, y) - vectors * values[..., None, :])
        limit = max(tol, 8 * float(np.finfo(dtype).eps)) * np.abs(values[..., :1])
        converged = counts[1] & (residual <= 4 * limit)
        values, residual = values / scale[..., None], residual / scale[..., None]
        # The first pair is that of k = 1 to the bit.
        values[..., 0], vectors[..., 0], residual[..., 0], converged[..., 0] = first[0], first[1], first[2], first[4]
        value, vector, residual = (x.astype(dtype) for x in (values, vectors, residual))
    return value, vector, residual, counts[0], converged


def _power_of_two(largest: Array) -> Array:
    """A power of two near 1 / largest."""
    exponent = np.frexp(np.where(np.isfinite(largest), largest, 1))[1]
    return np.asarray(np.ldexp(1.0, -np.clip(exponent, -1000, 1000)))


def _triangular_eigenvectors(r: Array, values: Array) -> Array:
    """Columns y with R y = y value for the upper triangle of R, by back substitution, 1 on the diagonal."""
    k = r.shape[-1]
    y = np.zeros_like(r)
    smallest = np.finfo(np.float64).eps * np.abs(values).max(axis=-1) + np.finfo(np.float64).tiny
    for j in range(k):
        y[..., j, j] = 1
        for i in range(j - 1, -1, -1):
            gap = values[..., j] - values[..., i]
            gap = np.where(np.abs(gap) < smallest, smallest, gap)  # equal eigenvalues: as LAPACK's trevc does
            total = np.zeros_like(gap)
            for m in range(i + 1, j + 1):
                total = total + r[..., i, m] * y[..., m, j]
            y[..., i, j] = total / gap
    return y


def _start(start: Array, q: Array) -> Array:
    """The start vectors without what is known; the unit vector that has least of it where nothing is left."""
    own = _unit(np.broadcast_to(start, q.shape[:-1]).astype(np.float64))
    left = _project(own, q)
    lonely = np.argmin((q * q).sum(axis=-1), axis=-1)
    other = _project(np.eye(q.shape[-2])[lonely], q)
    with np.errstate(invalid="ignore"):
        return _unit(np.where((_norm(left[..., None])[..., 0] < 1e-3)[..., None], other, left))


def _orthogonal(x: Array, q: Array) -> Array:
    return _unit(_project(_project(x, q), q))


def _project(x: Array, q: Array) -> Array:
    column = x[..., None]
    return np.asarray((column - product(q, product(q.swapaxes(-1, -2), column)))[..., 0])


def _norm(columns: Array) -> Array:
    """The norms of the columns."""
    rows = columns.swapaxes(-1, -2)
    return np.asarray(np.sqrt(_core.vecdot(rows, rows)))


def _unit(x: Array) -> Array:
    """The vectors along the last axis at unit length."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(x / np.sqrt(_core.vecdot(x, x))[..., None])
