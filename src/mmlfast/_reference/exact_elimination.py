"""Gaussian elimination of integer matrices in rational numbers (`fractions.Fraction`)."""

from __future__ import annotations

from fractions import Fraction
from math import gcd, lcm
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Rows = list[list[Fraction]]


def rows_of(a: Array) -> Rows:
    return [[Fraction(int(x)) for x in row] for row in a]


def echelon(a: Array, reduced: bool = True) -> tuple[Rows, tuple[int, ...]]:
    """The row echelon form and the columns of its pivots; each pivot is in the first row that has one."""
    rows = rows_of(a)
    pivots: list[int] = []
    for j in range(a.shape[1]):
        r = len(pivots)
        here = next((i for i in range(r, len(rows)) if rows[i][j] != 0), None)
        if here is None:
            continue
        rows[r], rows[here] = rows[here], rows[r]
        if reduced:
            rows[r] = [x / rows[r][j] for x in rows[r]]
        for i in range(0 if reduced else r + 1, len(rows)):
            if i != r and rows[i][j] != 0:
                f = rows[i][j] / rows[r][j]
                rows[i] = [x - f * y for x, y in zip(rows[i], rows[r], strict=True)]
        pivots.append(j)
    return rows, tuple(pivots)


def rank(a: Array) -> int:
    return len(echelon(a)[1])


def det(a: Array) -> int:
    rows, sign = rows_of(a), 1
    product = Fraction(1)
    for k in range(len(rows)):
        here = next((i for i in range(k, len(rows)) if rows[i][k] != 0), None)
        if here is None:
            return 0
        if here != k:
            rows[k], rows[here] = rows[here], rows[k]
            sign = -sign
        product *= rows[k][k]
        for i in range(k + 1, len(rows)):
            f = rows[i][k] / rows[k][k]
            rows[i] = [x - f * y for x, y in zip(rows[i], rows[k], strict=True)]
    return int(sign * product)


def null_space(a: Array) -> list[list[int]]:
    """Integer vectors, each with no common divisor and a positive number at its free column."""
    form, pivots = echelon(a)
    n = a.shape[1]
    basis = []
    for free in (j for j in range(n) if j not in pivots):
        vector = [Fraction(0)] * n
        vector[free] = Fraction(1)
        for t, j in enumerate(pivots):
            vector[j] = -form[t][free]
        scale = lcm(*(x.denominator for x in vector))
        whole = [int(x * scale) for x in vector]
        basis.append([x // gcd(*whole) for x in whole])
    return basis


def characteristic_polynomial(a: Array) -> list[int]:
    """Faddeev's and LeVerrier's method: coefficients from the highest power."""
    n = len(a)
    matrix = np.array([[int(x) for x in row] for row in a], dtype=object).reshape(n, n)
    identity = np.array([[int(i == j) for j in range(n)] for i in range(n)], dtype=object).reshape(n, n)
    coefficients, power = [1], identity * 0
    for k in range(1, n + 1):
        power = matrix @ power + coefficients[-1] * identity
        trace = sum(int(x) for x in np.diag(matrix @ power))
        coefficients.append(-trace // k)
    return coefficients
