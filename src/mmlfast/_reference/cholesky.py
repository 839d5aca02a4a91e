"""The Cholesky factor, one matrix at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.linalg import LinAlgError

Array = np.ndarray[Any, Any]


def cholesky(a: Array, upper: bool = False) -> Array:
    """L with a = L @ L.T from the lower triangle of `a`; with `upper`, U with a = U.T @ U from the upper one."""
    x = np.tril(a.T if upper else a)
    for k in range(len(x)):
        if not x[k, k] > 0:
            raise LinAlgError("Matrix is not positive definite")
        x[k, k] = np.sqrt(x[k, k])
        x[k + 1 :, k] /= x[k, k]
        x[k + 1 :, k + 1 :] -= np.tril(np.outer(x[k + 1 :, k], x[k + 1 :, k]))
    return x.T if upper else x
