"""Products of matrices and vectors, entry by entry: the specification of the kernel `matmul`."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def matmul(a: Array, b: Array) -> Array:
    """One product of two matrices: every entry is the sum over k, from the first to the last."""
    c = np.zeros((a.shape[0], b.shape[1]), np.result_type(a, b))
    for k in range(a.shape[1]):
        c += a[:, k, None] * b[k]
    return c


def matvec(a: Array, x: Array) -> Array:
    """One matrix times one vector: the product with a matrix of one column."""
    return matmul(a, x[:, None])[:, 0]


def vecdot(x: Array, y: Array) -> Any:
    """The sum of the products of two vectors."""
    return matmul(x[None, :], y[:, None])[0, 0]
