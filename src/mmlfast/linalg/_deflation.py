"""Several dominant eigenpairs, one after the other: what is known is projected out of the matrix (Schur-Wielandt).

With orthonormal columns Q that the matrix maps into their own span (A Q = Q R), the matrix (I - QQ') A (I - QQ') has
the other eigenvalues of A, and its dominant eigenvector is the next column of Q. R is triangular; its eigenvectors y
give those of A, Q y. If A is symmetric, R is diagonal and the columns of Q are the eigenvectors themselves.

Every pair after the first starts from a vector of its own. The start of the first, used again, has nothing left of the
eigenspace it led to, and would miss every further eigenvector of the same eigenvalue. A vector that was drawn without
looking has a part of each eigenvector that is left.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mmlfast import _core
from mmlfast.linalg._matmul import product

Array = np.ndarray[Any, Any]

# (value, vector, residual, n_iter, converged) of one dominant pair.
Pair = tuple[Any, Any, Any, Any, Any]

# fresh(j) is the start vector of pair j. fresh(0) is for the first pair if the caller's start may have misled it.
Fresh = Callable[[int], Array]


def dense_pairs(
    a: Array, start: Array, fresh: Fresh, k: int, tol: float, dominant: Callable[[Array, Array], Pair]
) -> Pair:
    """k pairs of each matrix of a stack. `dominant(a, start)` finds one."""
    first: Pair = dominant(a, start)
    batch = np.shape(first[0])
    wide = np.broadcast_to(a, (*batch, *a.shape[-2:])).astype(np.float64)
    scale = _power_of_two(np.abs(wide).max(axis=(-2, -1)))
    wide *= scale[..., None, None]
    symmetric = (wide == wide.swapaxes(-1, -2)).all(axis=(-2, -1))
    goal = _goal(tol, a.dtype)

    def next_pair(first: Pair, q: Array) -> Pair:
        """The dominant pair of each matrix without Q; its value is that of `wide`."""
        eps = float(np.finfo(a.dtype).eps)
        size = np.abs(first[0].astype(np.float64) * scale)
        rest = wide - product(q, product(q.swapaxes(-1, -2), wide))
        rest -= product(product(rest, q), q.swapaxes(-1, -2))
        rest = np.where(symmetric[..., None, None], (rest + rest.swapaxes(-1, -2)) / 2, rest)
        # The rank is used up: what is left is rounding.
        rest[np.abs(rest).max(axis=(-2, -1)) <= 4 * a.shape[-1] * eps * size] = 0
        pair = dominant(rest.astype(a.dtype), _start(fresh(q.shape[-1]), q).astype(a.dtype))
        # So is an iterate that goes back to Q, and a residual of that size is as good as zero.
        astray = _norm(_project(pair[1].astype(np.float64), q)[..., None])[..., 0] < 0.9
        return (*pair[:4], (pair[4] | (pair[2] <= 8 * eps * size)) & ~astray)

    q = _unit(first[1].astype(np.float64))[..., None]
    second = next_pair(first, q)
    doubt = np.asarray(_doubtful(first[0] * scale, first[4], second[0], second[4], goal))
    if doubt.any():
        matrices = np.broadcast_to(a, (*batch, *a.shape[-2:]))[doubt]
        other = dominant(matrices, fresh(0).astype(a.dtype))
        larger = _doubtful(first[0][doubt], True, other[0], other[4], goal)
        if larger.any():
            changed = np.zeros(batch, bool)
            changed[doubt] = larger
            parts = [np.array(part) for part in first]
            for part, new in zip(parts, other, strict=True):
                part[changed] = new[larger]
            first = (parts[0], parts[1], parts[2], parts[3], parts[4])
            q = _unit(first[1].astype(np.float64))[..., None]
            second = next_pair(first, q)
    found, q = _all_pairs(first, second, q, k, next_pair)
    values = np.stack([first[0] * scale, *(pair[0] for pair in found[1:])], axis=-1)
    reached = _trusted(values, np.stack([pair[4] for pair in found], axis=-1), goal)
    counts = np.stack([pair[3] for pair in found], axis=-1), reached
    return _finish(product(wide, q), q, scale, symmetric, goal, first, counts, a.dtype)


def operator_pairs(
    matvec: Callable[[Array], Any], start: Array, fresh: Fresh, k: int, tol: float, dominant: Callable[..., Pair]
) -> Pair:
    """k pairs of a function, or of a sparse matrix. `dominant(matvec, start, floor)` finds one."""
    dtype = start.dtype
    goal = _goal(tol, dtype)

    def image_of(x: Array) -> Array:
        return np.asarray(matvec(x.astype(dtype))).reshape(-1).astype(np.float64)

    def project(x: Array, q: Array) -> Array:
        for _ in range(2):
            x = x - q @ (q.T @ x)
        return x

    def next_pair(first: Pair, q: Array) -> Pair:
        floor = 8 * float(np.finfo(dtype).eps) * abs(float(first[0]))
        own = _start(fresh(q.shape[-1]), q).astype(dtype)
        return dominant(lambda x: project(image_of(project(x.astype(np.float64), q)), q), own, floor)

    first = dominant(matvec, start, 0.0)
    q = _unit(first[1].astype(np.float64))[:, None]
    second = next_pair(first, q)
    if _doubtful(first[0], first[4], second[0], second[4], goal):
        other = dominant(matvec, fresh(0).astype(dtype), 0.0)
        if _doubtful(first[0], True, other[0], other[4], goal):
            first = other
            q = _unit(first[1].astype(np.float64))[:, None]
            second = next_pair(first, q)
    found, q = _all_pairs(first, second, q, k, next_pair)
    image = np.stack([image_of(column) for column in q.T], axis=-1)
    size = abs(float(first[0]))
    off_diagonal = np.abs(np.triu(q.T @ image, 1)).max()
    symmetric = np.asarray(off_diagonal <= 16 * goal * size)  # as far as can be told
    scale = _power_of_two(np.asarray(size))
    reached = _trusted(np.stack([pair[0] for pair in found]), np.stack([pair[4] for pair in found]), goal)
    counts = np.stack([pair[3] for pair in found]), reached
    return _finish(image * scale, q, scale, symmetric, goal, first, counts, dtype)


def _goal(tol: float, dtype: Any) -> float:
    return max(tol, 8 * float(np.finfo(dtype).eps))


def _doubtful(value: Any, converged: Any, other: Any, other_converged: Any, goal: float) -> Any:
    """Whether something larger than a converged pair was found, or something that did not converge and may be."""
    with np.errstate(invalid="ignore"):
        larger = np.abs(other) > np.abs(value) * (1 + 4 * goal)
        return converged & (larger | ~np.asarray(other_converged)) & np.isfinite(other)


def _trusted(values: Array, reached: Array, goal: float) -> Array:
    """Which pairs are right, and with them all before: nothing larger is left out.

    Without an invariant Q what is left is not the rest of the matrix, so no pair after one that failed counts. Values
    of later pairs that are larger give away that an earlier one was not dominant.
    """
    with np.errstate(invalid="ignore"):
        largest_later = np.maximum.accumulate(np.abs(values)[..., ::-1], axis=-1)[..., ::-1]
        in_order = largest_later <= np.abs(values) * (1 + np.sqrt(goal)) + goal * np.abs(values[..., :1])
    return np.asarray(np.logical_and.accumulate(reached & in_order, axis=-1))


def _finish(
    image: Array,
    q: Array,
    scale: Array,
    symmetric: Array,
    goal: float,
    first: Pair,
    counts: tuple[Any, Any],
    dtype: Any,
) -> Pair:
    """Eigenpairs from the Schur vectors Q and their images, which are `scale` times those of the matrix."""
    r = product(q.swapaxes(-1, -2), image)
    values = np.diagonal(r, axis1=-2, axis2=-1).copy()
    limit = goal * np.abs(values[..., :1])
    y = np.where(
        symmetric[..., None, None], np.eye(values.shape[-1]), _triangular_eigenvectors(r, values, limit[..., 0])
    )
    vectors = product(q, y)
    leader = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=-2)[..., None, :], axis=-2)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore", under="ignore"):
        y = y * np.where(leader < 0, -1, 1) / _norm(vectors)[..., None, :]
        vectors = product(q, y)
        residual = _norm(product(image, y) - vectors * values[..., None, :])
        converged = np.logical_and.accumulate(counts[1] & (residual <= 4 * limit), axis=-1)
        values, residual = values / scale[..., None], residual / scale[..., None]
        # The first pair is that of k = 1 to the bit.
        values[..., 0], vectors[..., 0], residual[..., 0] = first[0], first[1], first[2]
        value, vector, residual = (x.astype(dtype) for x in (values, vectors, residual))
    return value, vector, residual, counts[0], converged


def _power_of_two(largest: Array) -> Array:
    """A power of two near 1 / largest."""
    exponent = np.frexp(np.where(np.isfinite(largest), largest, 1))[1]
    return np.asarray(np.ldexp(1.0, -np.clip(exponent, -1000, 1000)))


def _triangular_eigenvectors(r: Array, values: Array, limit: Array) -> Array:
    """Columns y with R y = y value for the upper triangle of R, by back substitution, 1 on the diagonal.

    Equal eigenvalues have eigenvectors at right angles if what couples them is no more than the residual may be (it is
    up to 4 `limit`); where it is more, R is defective, and they come out nearly parallel, as of LAPACK's trevc.
    """
    k = r.shape[-1]
    y = np.zeros_like(r)
    # Not of the values, all of which may be zero.
    smallest = np.finfo(np.float64).eps * np.abs(np.triu(r)).max(axis=(-2, -1)) + np.finfo(np.float64).tiny
    for j in range(k):
        y[..., j, j] = 1
        for i in range(j - 1, -1, -1):
            total = np.zeros_like(smallest)
            for m in range(i + 1, j + 1):
                total = total + r[..., i, m] * y[..., m, j]
            gap = values[..., j] - values[..., i]
            free = (np.abs(total) <= 3.5 * limit) & (np.abs(gap) <= 8 * np.abs(total))
            gap = np.where(np.abs(gap) < smallest, smallest, gap)
            y[..., i, j] = np.where(free, 0, total / gap)
    return y


def _start(start: Array, q: Array) -> Array:
    """The start vector without what is known; the unit vector that has least of it where nothing is left."""
    own = _unit(np.broadcast_to(start, q.shape[:-1]).astype(np.float64))
    left = _orthogonal(own, q)
    lonely = np.zeros(q.shape[:-1])
    np.put_along_axis(lonely, np.argmin((q * q).sum(axis=-1), axis=-1)[..., None], 1.0, axis=-1)
    little = _norm(_project(own, q)[..., None])[..., 0] < 1e-3
    return np.where(little[..., None], _orthogonal(lonely, q), left)


def _all_pairs(
    first: Pair, second: Pair, q: Array, k: int, next_pair: Callable[[Pair, Array], Pair]
) -> tuple[list[Pair], Array]:
    """The first two pairs and those that follow, and the basis q with the vectors of all but the first added."""
    found = [first, second]
    q = _extended(q, second[1])
    for _ in range(2, k):
        found.append(next_pair(first, q))
        q = _extended(q, found[-1][1])
    return found, q


def _extended(q: Array, x: Array) -> Array:
    """Q with one column more."""
    return np.concatenate([q, _orthogonal(x.astype(np.float64), q)[..., None]], axis=-1)


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
