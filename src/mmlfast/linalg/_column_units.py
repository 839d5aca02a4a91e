"""What counts as zero in a matrix, whatever the units of its columns: tolerances, and columns brought to one length."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

# The default tolerances of float32 would else leave nothing of a million rows.
_MOST_ROWS_THAT_COUNT = 1024


def default_rtol(matrix: Any) -> float:
    """Singular values of at most this, relative to the largest one, are what rounding leaves of zero."""
    m, n = matrix.shape[-2:]
    rows: int = max(m, n)
    if rows > _MOST_ROWS_THAT_COUNT:
        rows = max(min(m, n), _MOST_ROWS_THAT_COUNT)
    return rows * (2.0**-23 if matrix.dtype.type is np.float32 else 2.0**-52)


def length_exponents(a: Array) -> Array:
    """Of each column, shape (..., 1, n): times two to the power of minus this its length is between 1/4 and 2."""
    size: Array = np.frexp(np.abs(a).max(axis=-2, keepdims=True, initial=0))[1]
    columns = np.ldexp(a, -size)
    more: Array = np.frexp(np.sqrt(np.einsum("...ij,...ij->...j", columns, columns)))[1][..., None, :]
    return size + more


def unevenness(a: Array) -> Array:
    """Of the columns that are not zero, the largest by the smallest, at most: a power of two as its exponent."""
    largest = np.abs(a).max(axis=-2, initial=0)
    size = np.frexp(largest)[1].astype(np.int64)
    there = (largest > 0) & np.isfinite(largest)
    top = np.where(there, size, np.iinfo(np.int64).min).max(axis=-1, initial=-5000)
    low = np.where(there, size, np.iinfo(np.int64).max).min(axis=-1, initial=5000)
    return np.asarray(np.maximum(top - low, 0))


def orthonormal(columns: Array) -> tuple[Array, Array, Array]:
    """Q, R and p with ``columns[:, p] = Q @ R``, for independent columns whose rows may differ in size by orders of
    magnitude: with the largest first, and pivoting, each row is as accurate as it is large."""
    from scipy.linalg import qr

    order = np.argsort(-np.abs(columns).max(axis=1, initial=0), kind="stable")
    sorted_q, r, pivots = qr(columns[order], mode="economic", pivoting=True)
    q = np.empty_like(sorted_q)
    q[order] = sorted_q
    return q, r, pivots
