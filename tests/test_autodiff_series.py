"""Taylor coefficients against mpmath, to order 30; case H of the situations in which other libraries went wrong."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
import scipy.special
from cases import saying
from derivatives import REFUSALS, close
from mpmath_as_numpy import read

from mmlfast.autodiff import grad, hessian, taylor, trace

# Functions of t, read with NumPy and with mpmath, and the points to expand at.
FUNCTIONS = {
    "np.exp(t)": [0.0, 1.0, -3.0, 20.0],
    "np.exp(2 * t)": [0.0, 0.5],
    "np.log1p(t)": [0.0, 0.5, -0.5],
    "np.log(1 + t)": [0.0, 3.0],
    "np.tan(t)": [0.0, 0.7, -1.2, 1.57],
    "np.arctan(t)": [0.0, 2.0],
    "np.sqrt(1 + t)": [0.0, 3.0, -0.9],
    "special.erf(t)": [0.0, 0.5],
    "special.erfc(t)": [1.0],
    "np.sin(t)": [0.0, 1.0, 100.0],
    "np.cos(t)": [0.0, 1.0],
    "np.sinh(t)": [0.0, 1.0],
    "np.cosh(t)": [0.0, 1.0],
    "np.tanh(t)": [0.0, 0.5, 2.0],
    "np.arcsin(t)": [0.0, 0.5],
    "np.arccos(t)": [0.0, -0.5],
    "np.arcsinh(t)": [0.0, 1.0],
    "np.arccosh(t)": [2.0],
    "np.arctanh(t)": [0.0, 0.5],
    "np.exp2(t)": [0.0, 1.0],
    "np.expm1(t)": [0.0, 1.0],
    "np.log2(t)": [2.0],
    "np.log10(t)": [2.0],
    "np.cbrt(t)": [1.0, 8.0, -8.0],
    "1 / t": [1.0, -2.0],
    "1 / (1 + t * t)": [0.0, 1.0],
    "t**-2": [1.0],
    "t**3": [0.0, 2.0],
    "t**0.5": [2.0],
    "t**2.5": [1.0],
    "2.0**t": [0.0, 1.0],
    "t**t": [1.0, 2.0],
    "special.expit(t)": [0.0, 2.0],
    "np.logaddexp(0.0, t)": [0.5],
    "special.gammaln(t)": [1.5, 4.0],
    "np.hypot(t, 3.0)": [0.0, 4.0],
    "np.arctan2(t, 2.0)": [0.0, 1.0],
    "np.abs(t)": [2.0, -2.0],
    "np.maximum(t, 1.0) * t": [2.0, 0.5],
    "np.where(t > 0, np.exp(t), 1 / t)": [1.0, -1.0],
    "np.exp(np.sin(t))": [0.0, 0.7],
    "np.sin(np.exp(t))": [0.0],
    "np.exp(-t * t)": [0.0, 1.0],
    "np.log(np.cos(t))": [0.0, 0.5],
    "np.sqrt(2 + np.sin(t))": [0.0, 1.0],
    "np.exp(t) / (1 + t)": [0.0],
    "np.tan(np.arctan(t) / 2)": [0.5],
    "special.erf(np.sin(t))": [0.3],
    "np.arctan(np.exp(t))": [0.0],
    "np.log1p(t) * np.sqrt(1 + t)": [0.5],
    "(1 + t) ** 5": [0.0, 1.0],
    "t * np.sin(t)": [0.0, 1.0],
    "np.exp(1 / (1 + t))": [0.0],
}
ORDER = 30


def exact_coefficients(text, x, order):
    """mpmath takes differences in as many digits as they need; of the gamma function that takes long."""
    with mpmath.workdps(60):
        at = mpmath.mpf(x)
        if text == "special.gammaln(t)":
            higher = [mpmath.psi(k - 1, at) / mpmath.factorial(k) for k in range(1, order + 1)]
            return [mpmath.loggamma(at), *higher]
        return mpmath.taylor(read(text)[1], at, order)


@pytest.mark.parametrize("text", FUNCTIONS)
def test_coefficients(text):
    f = read(text)[0]
    for x in FUNCTIONS[text]:
        order = ORDER if x == FUNCTIONS[text][0] else ORDER // 2
        expected = np.array([float(c) for c in exact_coefficients(text, x, order)])
        actual = taylor(f, x, order)
        with saying("at", x):
            assert actual.shape == (order + 1,)
            # a coefficient is a sum of terms as large as its neighbours: the largest of c_k r^k / r^k
            window = np.array([np.abs(expected[max(k - 3, 0) : k + 4]).max() for k in range(order + 1)])
            error = np.abs(actual - expected)
            allowed = 1e-12 * np.abs(expected) + 1e-13 * window + 1e-300
            worst = int(np.argmax(error / allowed))
            assert (error <= allowed).all(), f"c_{worst}: {actual[worst]!r} instead of {expected[worst]!r}"


def test_coefficients_of_the_first_functions_to_1e_13():
    """exp, log(1 + x), tan, atan, sqrt(1 + x) and erf at 0: each coefficient to 1e-13 of itself, zeros exactly."""
    first = ("np.exp(t)", "np.log1p(t)", "np.log(1 + t)", "np.tan(t)", "np.arctan(t)", "np.sqrt(1 + t)")
    for text in (*first, "special.erf(t)"):
        f = read(text)[0]
        expected = exact_coefficients(text, 0.0, ORDER)
        actual = taylor(f, 0.0, ORDER)
        with saying(text):
            for k, (a, e) in enumerate(zip(actual, expected, strict=True)):
                if abs(e) < mpmath.mpf(10) ** -40:
                    assert a == 0, (k, a)
                else:
                    assert abs(a - e) <= 1e-13 * abs(e), (k, a, e)


def test_h1_leading_zeros():
    for f, expected in [
        (lambda t: t**2, [0, 0, 1, 0, 0]),
        (lambda t: t**2.0, [0, 0, 1, 0, 0]),
        (lambda t: t * t, [0, 0, 1, 0, 0]),
        (lambda t: np.power(t, 2), [0, 0, 1, 0, 0]),
        (lambda t: t * np.sin(t), [0, 0, 1, 0, -1 / 6]),
        (lambda t: np.sin(t) ** 3, [0, 0, 0, 1, 0]),
        (lambda t: t**4 * np.exp(t), [0, 0, 0, 0, 1]),
        (lambda t: np.cos(t**2), [1, 0, 0, 0, -0.5]),
        (lambda t: np.prod(np.stack([t, t, t + 1])), [0, 0, 1, 1, 0]),
    ]:
        close(taylor(f, 0.0, 4), expected, 1e-15)
    with_zeros = taylor(lambda t: (1 + t) ** 5, 0.0, 9)
    close(with_zeros, [1, 5, 10, 10, 5, 1, 0, 0, 0, 0], 1e-15)


def test_h2_orders():
    coefficients = taylor(lambda t: np.exp(2 * t), 0.0, 15)
    close(coefficients, [2.0**k / math.factorial(k) for k in range(16)], 1e-14)
    close(taylor(lambda t: np.exp(2 * t), 0.0, 0), [1])
    close(taylor(lambda t: np.exp(2 * t), 0.0, 1), [1, 2])
    close(taylor(lambda t: 7.0, 0.0, 2), [7, 0, 0])
    close(taylor(lambda t: 7.0 + 0 * t, 3.0, 2), [7, 0, 0])
    close(taylor(lambda t: t, 3.0, 3), [3, 1, 0, 0])
    close(taylor(np.exp, 0, 3), [1, 1, 0.5, 1 / 6])


def test_h3_poles_and_branch_points():
    for f in (lambda t: 1 / t, np.sqrt, np.log, lambda t: t**2.5, lambda t: t**-2, np.cbrt, lambda t: 1 / np.sin(t)):
        try:
            coefficients = taylor(f, 0.0, 3)
        except (*REFUSALS, ArithmeticError) as error:
            assert "0" in str(error), error  # noqa: PT017
        else:
            assert not np.isfinite(coefficients).all(), coefficients


def test_h3_beside_a_pole():
    for text, x in [("np.tan(t)", 1.57), ("1 / t", 1e-3), ("np.log(t)", 1e-3), ("np.sqrt(t)", 1e-3)]:
        f = read(text)[0]
        expected = [float(c) for c in exact_coefficients(text, x, 20)]
        np.testing.assert_allclose(taylor(f, x, 20), expected, rtol=1e-11)


def test_branches_that_were_not_taken():
    f = lambda t: np.where(t > 0, t * np.sqrt(t), -t)  # noqa: E731
    close(taylor(f, -2.0, 4), [2, -1, 0, 0, 0])
    close(taylor(f, 0.0, 4), [0, -1, 0, 0, 0])
    close(taylor(f, 4.0, 2), [8, 3, 0.1875])
    close(taylor(lambda t: np.sqrt(np.maximum(1 - t * t, 0)) + t, 2.0, 3), [2, 1, 0, 0])


def test_series_of_a_gradient_and_of_loops():
    g = grad(lambda t: np.exp(2 * t))
    close(taylor(g, 0.0, 10), [2 * 2.0**k / math.factorial(k) for k in range(11)], 1e-14)

    def loop(t):
        total, term = 1.0, 1.0
        for k in range(1, 12):
            term = term * t / k
            total = total + term
        return total

    close(taylor(loop, 0.0, 14), [1 / math.factorial(k) if k < 12 else 0 for k in range(15)], 1e-14)


def test_series_of_many_terms_evaluate_to_the_function():
    x = np.float64(0.4)
    for f in (np.exp, np.arctan, np.tanh, lambda t: np.log1p(t * t), lambda t: np.exp(np.sin(t) - t)):
        value = np.polynomial.Polynomial(taylor(f, x, 30))(0.1)
        np.testing.assert_allclose(value, f(x + 0.1), rtol=1e-14)


# Functions of an array: the same with each element, or not.
MANY = {
    "np.exp(np.sin(x)) * x**3": True,
    "np.where(x > 0, x, 2.0) / (1 + x**2) * p": True,
    "np.sqrt(p) - x": True,
    "np.sin(x) * np.arange(40.0)": False,
    "np.exp(x[::-1])": False,
    "np.cumsum(x) * x": False,
    "x[0] * x": False,
    "x * np.linalg.norm(np.stack([p, p, p]))": False,
    "x - x.mean()": False,
    "np.roll(x, 1) + np.sin(x)": False,
    "np.concatenate([x[:20], np.sin(x)[20:]])": False,
}


@pytest.mark.parametrize("text", MANY)
def test_series_at_many_elements_are_those_at_each(text):
    f = eval(f"lambda x, p: {text}", {"np": np})
    x = np.linspace(-1.0, 1.5, 40)
    found = taylor(f, x, 6, 1.7)
    assert found.shape == (7, 40)
    if MANY[text]:  # few elements stay on one tape
        assert np.array_equal(found[:, 10:30], taylor(f, x[10:30], 6, 1.7))
    steps = [(found * h ** np.arange(7)[:, None]).sum(axis=0) for h in (0.0, 0.01)]
    for h, value in zip((0.0, 0.01), steps, strict=True):
        np.testing.assert_allclose(value, f(x + h, 1.7), rtol=1e-12, atol=1e-13)


def test_a_pole_among_many_elements_is_named():
    x = np.linspace(-1.0, 1.0, 41)
    with pytest.raises(ValueError, match="divide of 1, 0 is not finite there"):
        taylor(lambda t: 1 / t, x, 4)
    continued = taylor(lambda t: np.sin(t) / t, x, 6)[:, 20]
    np.testing.assert_allclose(continued, [1, 0, -1 / 6, 0, 1 / 120, 0, -1 / 5040], rtol=1e-14, atol=1e-17)


REMOVABLE = {
    "ellipk": (mpmath.ellipk, [0.0, 1e-9, -0.3, 0.39, 0.6]),
    "ellipe": (mpmath.ellipe, [0.0, -1e-7, 0.2, 0.41]),
    "spence": (lambda z: mpmath.polylog(2, 1 - z), [1.0, 1 + 1e-8, 0.7, 1.5]),
    "rgamma": (mpmath.rgamma, [0.0, -1.0, -4.0, -0.3, -20.3, 0.45]),
}


@pytest.mark.parametrize("name", REMOVABLE)
def test_where_the_formula_of_a_slope_is_0_over_0(name):
    exact, points = REMOVABLE[name]
    f = getattr(scipy.special, name)
    for x in points:
        with mpmath.workdps(40):
            expected = np.array(mpmath.taylor(exact, mpmath.mpf(x), 8), float)
        np.testing.assert_allclose(taylor(f, x, 8), expected, rtol=1e-9, atol=1e-14)
        np.testing.assert_allclose(grad(f)(x), expected[1], rtol=1e-13)
        np.testing.assert_allclose(hessian(f)(x), 2 * expected[2], rtol=2e-12)
        np.testing.assert_allclose(trace(f, 0.3)(x), f(x), rtol=1e-14, atol=1e-300)
