"""Situations that people met with fits and constraints, with right answers found apart."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from mmlfast.optimize import curve_fit, curve_fit_many, minimize

T = np.linspace(0, 6, 25)
W = np.cos(1.7 * np.arange(25) ** 2)


def two_sets(t, a1, a2, c, k):
    """Two decays with one rate, one after the other: alike where both amplitudes are 1 and c is 0."""
    return np.concatenate([a1 * np.exp(-k * t[:25]), a2 * np.exp(-k * t[25:]) + c])


@pytest.mark.parametrize("bounds", [None, ([0, 0, 0, 0], [9, 9, 9, 9])])
def test_two_data_sets_in_one_fit(bounds):
    y = np.concatenate([3 * np.exp(-0.7 * T) + 0.01 * W, 5 * np.exp(-0.7 * T) + 1 + 0.01 * W[::-1]])
    options = {} if bounds is None else {"bounds": bounds}
    right = [3.0036675, 5.0029301, 1.0015225, 0.7000593]  # SciPy's from the true values, to its last digits
    x = np.concatenate([T, T])
    assert_allclose(curve_fit(two_sets, x, y, [1, 1, 0, 1], **options).params, right, rtol=1e-7)
    many = curve_fit_many(two_sets, x, np.stack([y, y]), [1, 1, 0, 1], **options)
    assert_allclose(many.params, [right, right], rtol=1e-7)


def test_two_data_sets_after_a_fit_of_one():
    """A model that was traced with fewer points looks at the second half of more."""
    y = 3 * np.exp(-0.7 * T)
    curve_fit(two_sets, T, y + 0.01 * W, [1, 1, 0, 1], fixed=["a2", "c"])
    whole = np.concatenate([y + 0.01 * W, 5 * np.exp(-0.7 * T) + 1 + 0.01 * W[::-1]])
    for _ in range(2):
        fit = curve_fit(two_sets, np.concatenate([T, T]), whole, [1, 1, 0, 1])
        assert_allclose(fit.params, [3.0036675, 5.0029301, 1.0015225, 0.7000593], rtol=1e-7)


def test_ragged_data_of_one_model():
    """The quick way is taken for each number of points after it was compared with the model there."""

    def f(x, a, b):
        return a * np.exp(-b * x) if len(x) <= 20 else a * np.exp(-b * x**2)

    for n in (15, 30, 20, 31, 15, 30):
        x = np.linspace(0, 2, n)
        for _ in range(2):
            fit = curve_fit(f, x, f(x, 2.0, 0.7) + 1e-9 * np.cos(x), [1, 1])
            assert_allclose(fit.params, [2, 0.7], rtol=1e-6)


def test_as_many_fits_as_variables():
    """x of shape (2, n) beside two data sets: two variables of f, or an x for each fit, as f takes it."""
    x = np.stack([T, T**2])
    y = np.stack([1 * T + 2 * T**2, 3 * T + 4 * T**2]) + 0.01 * W
    plane = curve_fit_many(lambda x, a, b: a * x[0] + b * x[1], x, y, [1, 1])
    assert_allclose(plane.params, np.linalg.lstsq(x.T, y.T)[0].T, rtol=1e-9)
    own = curve_fit_many(lambda x, a, b: a * x + b, x, y, [1, 1])
    assert_allclose(own.params, [np.polyfit(x[i], y[i], 1) for i in range(2)], rtol=1e-9)


def test_an_equation_in_bad_units():
    """x of order 1 with weight 1e9, y of order 1e-6 with weight 1e-9: the equation holds to its own rounding."""
    r = minimize(
        lambda v: 1e9 * (v[0] - 1) ** 2 + 1e-9 * (v[1] * 1e6 - 2) ** 2,
        [0.0, 0.0],
        constraints={"type": "eq", "fun": lambda v: v[0] + v[1] * 1e6 - 5},
    )
    multiplier = (5 - 3) / (1 / 2e9 + 1 / 2e-9)
    assert r.success
    assert_allclose([r.x[0], r.x[1] * 1e6], [1 + multiplier / 2e9, 2 + multiplier / 2e-9], rtol=1e-12)
    assert abs(r.constraints[0]) <= 1e-14


def test_no_smallest_value_under_an_equation():
    equation = {"type": "eq", "fun": lambda v: v[0] - v[1]}
    for f in (lambda v: np.exp(-v[0]), lambda v: v[0], lambda v: -v[0] * v[1]):
        assert not minimize(f, [1.0, 1.0], constraints=equation).success


def test_a_kink_under_an_equation_is_told_or_found():
    r = minimize(
        lambda v: np.abs(v[0]) + np.abs(v[1]),
        [1.0, 3.0],
        constraints={"type": "eq", "fun": lambda v: v[0] + 2 * v[1] - 2},
    )
    assert not r.success or np.allclose(r.x, [0, 1], atol=1e-6)


@pytest.mark.parametrize("kind", ["eq", "ineq"])
def test_constraints_that_say_whether(kind):
    with pytest.raises(TypeError, match=r"constraints\[1\] gives True or False"):
        minimize(
            lambda v: v @ v,
            [1.0, 3.0],
            constraints=[{"type": "eq", "fun": lambda v: v[1]}, {"type": kind, "fun": lambda v: v[0] == 1}],
        )
