"""Searches leave no reference cycles: what they hold is freed at their end, and not when the collector comes by."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from mmlfast.optimize import curve_fit, least_squares, minimize

X = np.linspace(0.0, 4, 30)
Y = 2 * np.exp(-X) + 0.1 * np.cos(X**2)


def called(p):
    return float(p[0]) * np.exp(-float(p[1]) * X) - Y


def slopes(p):
    return np.stack([np.exp(-p[1] * X), -p[0] * X * np.exp(-p[1] * X)], axis=1)


def bowl(v):
    return float((v[0] - 1) ** 2 + v[1] ** 2)


@pytest.mark.parametrize(
    "search",
    [
        lambda: least_squares(called, [1.0, 1.0]),
        lambda: least_squares(called, [1.0, 1.0], jac=slopes),
        lambda: curve_fit(lambda x, a, b: float(a) * np.exp(-float(b) * x), X, Y),
        lambda: minimize(bowl, [0.0, 1.0]),
        lambda: minimize(bowl, [0.0, 1.0], jac=lambda v: 2 * (v - [1, 0]), method="newton"),
        lambda: minimize(bowl, [0.0, 1.0], constraints=lambda v: float(v[0]) - 2),
        lambda: minimize(bowl, [0.0, 1.0], constraints={"type": "ineq", "fun": lambda v: float(v[0]) - 2}),
    ],
)
def test_no_cycles(search):
    """Several times: a cycle is left each time, what threads of earlier tests leave is not."""
    left = []
    for _ in range(5):
        search()
        while gc.collect():
            pass
        gc.disable()
        try:
            search()
            left.append(gc.collect())
        finally:
            gc.enable()
        if left[-1] == 0:
            return
    raise AssertionError(left)
