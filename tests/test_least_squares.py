"""Least squares: the engine behind curve_fit and least_squares, beside its reference and closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from mmlfast import _core
from mmlfast._reference import least_squares as reference


def decay(t, a, tau):
    return a * np.exp(-t / tau)


T = np.linspace(0, 5, 20)
Y = 2 * np.exp(-T / 1.5) + 0.02 * np.cos(1.7 * np.arange(20) ** 2)


def residuals(p):
    return decay(T, *p) - Y


def jacobian(p):
    e = np.exp(-T / p[1])
    return np.stack([e, p[0] * e * T / p[1] ** 2], axis=1)


@pytest.mark.parametrize("loss", ["linear", "soft_l1", "huber", "cauchy"])
@pytest.mark.parametrize("upper", [None, 1.4])
def test_as_the_reference(loss, upper):
    lower, high = (None, None) if upper is None else (np.zeros(2), np.array([np.inf, upper]))
    model = reference.CallableResiduals(residuals, jacobian, 20)
    with np.errstate(all="ignore"):
        right = reference.minimize_squares(model, np.array([1.0, 1.0]), lower, high, loss, 0.02)
    for jac in (jacobian, None):
        ours = _core.CallableResiduals(residuals, jac, 20, 2)
        with np.errstate(all="ignore"):
            found = _core.minimize_squares(ours, np.array([1.0, 1.0]), lower, high, loss, 0.02)
        np.testing.assert_allclose(found.x, right.x, rtol=1e-12 if jac and loss == "linear" else 1e-7)
        np.testing.assert_allclose(found.cost, right.cost, rtol=1e-12)
        np.testing.assert_allclose(found.residuals, right.residuals, atol=1e-12 if jac and loss == "linear" else 1e-7)
        order = found.permutation
        gram = np.empty((2, 2))
        gram[np.ix_(order, order)] = found.r.T @ found.r
        expected = np.empty((2, 2))
        expected[np.ix_(right.permutation, right.permutation)] = right.r.T @ right.r
        np.testing.assert_allclose(gram, expected, rtol=1e-10 if jac and loss == "linear" else 1e-5)
        assert found.rank == 2
        assert found.status > 0
        assert found.active.tolist() == [0, 0 if upper is None else 1]
