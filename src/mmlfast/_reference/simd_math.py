"""The elementary functions of the kernels."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

exp = np.exp
log = np.log
tanh = np.tanh


def logistic(x: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow for large -x."""
    e = np.exp(-np.abs(x))
    out: Array = np.where(x < 0, e, 1) / (1 + e)
    return out
