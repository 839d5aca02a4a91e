"""Linear regression in rational arithmetic: the exact answer for the numbers as they are, rounded at the end."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def linear_fit(columns: Array, y: Array, weights: Array | None = None) -> tuple[Array, Array, float]:
    """Coefficients of columns (n, k), the inverse of A'WA, and the weighted sum of squares of the residuals."""
    a = [[Fraction(v) for v in row] for row in columns.tolist()]
    right = [Fraction(v) for v in y.tolist()]
    w = [Fraction(v) for v in (np.ones(len(y)) if weights is None else weights).tolist()]
    k = columns.shape[1]
    system = [
        [_sum(wi * row[i] * row[j] for wi, row in zip(w, a, strict=True)) for j in range(k)]
        + [_sum(wi * row[i] * v for wi, row, v in zip(w, a, right, strict=True))]
        + [Fraction(int(i == j)) for j in range(k)]
        for i in range(k)
    ]
    for i in range(k):  # Gauss and Jordan; A'WA is definite, so no pivot is zero
        system[i] = [v / system[i][i] for v in system[i]]
        for r in range(k):
            if r != i:
                factor = system[r][i]
                system[r] = [v - factor * p for v, p in zip(system[r], system[i], strict=True)]
    c = [row[k] for row in system]
    residuals = [v - _sum(p * q for p, q in zip(row, c, strict=True)) for row, v in zip(a, right, strict=True)]
    square = _sum(wi * r * r for wi, r in zip(w, residuals, strict=True))
    inverse = np.array([[float(v) for v in row[k + 1 :]] for row in system])
    return np.array([float(v) for v in c]), inverse, float(square)


def _sum(terms: Iterable[Fraction]) -> Fraction:
    return sum(terms, Fraction(0))


def powers(x: Array, degree: int) -> Array:
    """Columns 1, x, ..., x^degree as exact rationals, for `linear_fit`."""
    return np.array([[Fraction(v) ** j for j in range(degree + 1)] for v in x.tolist()], object)
