"""Bounds in optimize: one reader for all functions, what each of them takes, and what messages say."""

import numpy as np
import pytest
import scipy.optimize
from cases import saying

from mmlfast.optimize import curve_fit, curve_fit_many, least_squares, minimize

T = np.linspace(0, 3, 12)
Y = 2 * np.exp(-T / 1.5)


def decay(t, a, tau):
    return a * np.exp(-t / tau)


def residuals(p):
    return decay(T, *p) - Y


def cost(p):
    return np.sum(residuals(p) ** 2)


def ends(bounds):
    """Of every function that takes two sides."""
    return {
        "least_squares": least_squares(residuals, [1.0, 1.0], bounds=bounds).x,
        "curve_fit": curve_fit(decay, T, Y, [1.0, 1.0], bounds=bounds)[0],
        "curve_fit_many": curve_fit_many(decay, T, Y[None], [1.0, 1.0], bounds=bounds).params[0],
    }


def test_every_function_reads_the_same_bounds():
    for bounds, right in (
        ((-np.inf, np.inf), [2, 1.5]),
        ((0, None), [2, 1.5]),
        (None, [2, 1.5]),
        (([0, 0], 9), [2, 1.5]),
        (scipy.optimize.Bounds([0, 0], 9), [2, 1.5]),
        (scipy.optimize.Bounds(0, [1.9, 9]), [1.9, None]),
        (np.array([[0, 0], [1.9, 9]]), [1.9, None]),
    ):
        for name, found in ends(bounds).items():
            with saying(f"{name}, {bounds}"):
                for value, expected in zip(found, right, strict=True):
                    assert expected is None or abs(value - expected) < 1e-7


def test_minimize_takes_a_pair_for_each_variable():
    for bounds in ([(0, 1.9), (None, 9)], np.array([[0, 1.9], [0, 9]]), scipy.optimize.Bounds([0, 0], [1.9, np.inf])):
        assert minimize(cost, [1.0, 1.0], bounds=bounds).x[0] == pytest.approx(1.9, abs=1e-7)
    held = minimize(cost, [1.0, 1.0], bounds=[(1.0, 1.0), (0, 9)])
    assert held.x[0] == 1
    assert held.success


def test_what_messages_say():
    sided = {
        "least_squares": lambda b: least_squares(residuals, [1.0, 1.0], bounds=b),
        "curve_fit": lambda b: curve_fit(decay, T, Y, [1.0, 1.0], bounds=b),
        "curve_fit_many": lambda b: curve_fit_many(decay, T, Y[None], [1.0, 1.0], bounds=b),
    }
    for name, call in sided.items():
        with saying(name):
            for bad in (5, [(0, 1)] * 3, (0, 1, 2)):
                with pytest.raises(ValueError, match=r"bounds must be a pair \(lower, upper\)"):
                    call(bad)
            with pytest.raises(ValueError, match=r"each lower bound .*(x0\[1\]|tau) .*are 3.0 and 2.0"):
                call(([0, 3], [9, 2]))
            with pytest.raises(ValueError, match=r"each lower bound .* nan"):
                call(([0, np.nan], [9, 2]))
            with pytest.raises((ValueError, TypeError), match="bounds"):
                call((["a", "b"], 2))
    for bad in (5, (0, np.inf), [(0, 1)], [(0, 1, 2)] * 2):
        with pytest.raises(ValueError, match=r"bounds(\[0\])? must"):
            minimize(cost, [1.0, 1.0], bounds=bad)
    with pytest.raises(ValueError, match=r"at most each upper bound: those of x0\[1\] are 3.0 and 2.0"):
        minimize(cost, [1.0, 1.0], bounds=[(0, 9), (3, 2)])
    with pytest.raises(ValueError, match=r"bounds\['tau'\] must be a pair of numbers"):
        curve_fit(decay, T, Y, bounds={"tau": ([1, 2], 3)})
    with pytest.raises(ValueError, match="fixed="):
        curve_fit(decay, T, Y, bounds={"tau": (1, 1)})
