"""Derivatives against mpmath: every primitive at ordinary, large, tiny and boundary arguments, to 1e-13 relative.

A function is a line of text that is read twice: with NumPy, to be traced, and with mpmath in the place of NumPy.
"""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from cases import saying
from derivatives import one_point_is_a_row
from mpmath_as_numpy import read

from mmlfast.autodiff import derivative, grad, hessian, jvp, value_and_grad

ULP = 2.0**-52
PI = math.pi

angles = [0.0, 1e-300, -1e-10, 0.3, 1.0, -2.0, PI / 2, PI, 1.5 * PI, 355.0, -1e5, 1e22, 1e300]
wide = [-1e150, -3.0, -1e-5, 1e-300, 0.7, 1.0, 2.5, 40.0, 1e10, 1e150]
positive = [5e-324, 1e-300, 1e-20, 0.3, 1 - ULP / 2, 1.0, 1 + ULP, 2.5, 1e5, 1e300]
inside = [-1 + ULP / 2, -0.9, -1e-5, 0.0, 1e-300, 0.3, 0.999, 1 - ULP / 2]
logistic = [-700.0, -40.0, -3.0, -1e-10, 0.0, 1e-300, 1.0, 20.0, 36.0, 700.0]
ordinary = [-2.3, -0.6, 0.4, 1.7]

# Functions of a number t, and where.
ONE = {
    "np.exp(t)": [-700.0, -1.0, 0.0, 1e-300, 0.5, 1.0, 88.7, 709.7],
    "np.exp2(t)": [-1000.0, -1.0, 0.0, 1e-17, 0.3, 10.5, 1000.0],
    "np.expm1(t)": [-700.0, -40.0, -1e-10, 0.0, 1e-300, 0.5, 700.0],
    "np.log(t)": [x for x in positive if x > 1e-308],
    "np.log2(t)": [x for x in positive if x > 1e-307],
    "np.log10(t)": [x for x in positive if x > 1e-307],
    "np.log1p(t)": [-1 + ULP / 2, -0.5, -1e-10, 0.0, 1e-300, 3.0, 1e300],
    "np.sin(t)": angles,
    "np.cos(t)": angles,
    "np.tan(t)": angles,
    "np.arcsin(t)": inside,
    "np.arccos(t)": inside,
    "np.arctan(t)": wide,
    "np.sinh(t)": [-700.0, -1.0, 0.0, 1e-300, 0.3, 20.0, 700.0],
    "np.cosh(t)": [-700.0, -1.0, 0.0, 1e-300, 0.3, 20.0, 700.0],
    "np.tanh(t)": [-300.0, -20.0, -0.4, 0.0, 1e-300, 0.3, 1.0, 5.0, 19.1, 350.0],
    "np.arcsinh(t)": [-1e200, *wide, 1e300],
    "np.arccosh(t)": [1 + ULP, 1 + 1e-8, 1.5, 20.0, 1e10, 1e300],
    "np.arctanh(t)": inside,
    "np.sqrt(t)": positive,
    "np.cbrt(t)": [-1e300, -27.0, -1e-300, 1e-300, 0.4, 8.0, 1e300],
    "np.abs(t)": wide,
    "np.fabs(t)": wide,
    "abs(t) * 3": wide,
    "-t": wide,
    "+t": wide,
    "np.negative(t) * 3": wide,
    "np.positive(t) * 3": wide,
    "np.square(t)": wide,
    "np.reciprocal(t)": [-1e150, -3.0, 1e-150, 1.0, 1e150],
    "np.deg2rad(t)": wide,
    "np.rad2deg(t)": wide,
    "special.erf(t)": [-6.0, -0.5, 0.0, 1e-300, 0.3, 1.0, 3.0, 10.0, 25.0],
    "special.erfc(t)": [-6.0, -0.5, 0.0, 1e-300, 0.3, 1.0, 3.0, 10.0, 25.0],
    "special.expit(t)": logistic,
    "special.logit(t)": [1e-300, 1e-5, 0.25, 0.5, 0.9, 1 - ULP],
    "special.gammaln(t)": [1e-300, 1e-5, 0.5, 1.0, 2.0, 3.7, 10.0, 1e5, 1e300],
    "special.digamma(t)": [1e-100, 0.3, 1.0, 2.5, 10.0, 1e5],
    "np.logaddexp(0.0, t)": [*logistic, 1000.0],
    "np.logaddexp(t, 1.5)": ordinary,
    "np.logaddexp2(t, 0.5)": ordinary,
    "special.xlogy(t, 3.0)": wide,
    "special.xlogy(2.0, t)": [1e-300, 0.4, 1e300],
    "special.xlog1py(2.0, t)": [-0.5, 1e-300, 1e300],
    "special.log_expit(t)": logistic[1:],
    "special.ndtr(t)": [-30.0, -5.0, 0.0, 0.7, 6.0],
    # powers
    "t**2": wide,
    "t**3": [-1e100, -2.0, 1e-100, 0.3, 1e100],
    "t**3.0": [-1e100, -2.0, 1e-100, 0.3, 1e100],
    "t**7": [-2.0, 1e-30, 0.3, 1e30],
    "t**-1": [-1e150, -2.0, 1e-150, 0.3],
    "t**-3": [-1e70, -2.0, 1e-70, 0.3],
    "t**64": [-1.1, 0.9, 1e4],
    "t**100": [-1.01, 0.99, 1e3],
    "t**0": [0.0, 3.0],
    "t**1": [0.0, 3.0],
    "t**0.5": positive[1:],
    "t**-0.5": [1e-200, 0.3, 2.0, 1e200],
    "t**2.5": [1e-100, 0.3, 1.0, 2.0, 1e100],
    "t ** (1 / 3)": [1e-300, 0.3, 8.0, 1e300],
    "2.0**t": [-1000.0, -0.5, 1e-17, 3.0, 1000.0],
    "0.3**t": [-200.0, -0.5, 1e-17, 3.0, 500.0],
    "t**t": [1e-10, 0.3, 1.0, 2.5, 100.0],
    "np.power(t, 3)": [-2.0, 1e-100, 0.3, 1e100],
    "np.float_power(t, 3.5)": [1e-80, 0.3, 2.0, 1e80],
    # kinks, away from them
    "np.maximum(t, 1.0)": [-2.0, 0.3, 2.0, 1e300],
    "np.minimum(t, 1.0)": [-2.0, 0.3, 2.0, 1e300],
    "np.clip(t, -1.0, 2.0)": [-2.0, -0.3, 1.9, 1e300],
    "np.sign(t) * t": [-2.0, 3.0],
    "np.copysign(t, -2.0)": [-2.0, 3.0],
    "np.fmod(t, 3.0)": [-7.5, 7.5, 1.0],
    "np.fmod(17.0, t)": [-3.5, 3.5, 40.0],
    "np.mod(t, 3.0)": [-7.5, 7.5, 1.0],
    "np.where(t > 0, np.sqrt(abs(t)), t * t)": [-2.0, 0.3, 1e-300, 1e300],
    # put together
    "np.exp(-t * t / 2)": [-25.0, -1.0, 0.0, 1e-10, 0.7, 20.0],
    "1 / (1 + np.exp(-t))": [-40.0, -1.0, 0.0, 3.0, 20.0],
    "t * np.log(t)": [1e-300, 0.1, 1.0, 3.0, 1e300],
    "np.sin(t) / t": [0.5, 2.0, -3.0, 30.0],
    "np.log(np.cosh(t))": [-20.0, -1.0, 1e-10, 0.4, 300.0],
    "np.exp(np.sin(t))": ordinary,
    "np.sqrt(1 + t * t)": [-1e100, -1.0, 1e-100, 0.5, 1e100],
    "t / (1 + t * t)": [*ordinary, 1e-20, 1e5],
    "np.exp(-t) * np.sin(3 * t)": ordinary,
    "np.arctan(1 / t)": [-1e100, -2.0, 0.3, 1e100],
    "np.log(1 + np.exp(t))": [-30.0, -1.0, 0.0, 2.0, 30.0],
    "np.log(np.log(t))": [1.5, 3.0, 1e100],
    "t ** (1 / t)": [0.5, 2.0, 10.0],
    "1 / np.expm1(t)": [1e-10, 0.3, 2.0, 50.0],
    "t * np.tanh(np.logaddexp(0.0, t))": [-20.0, -2.0, 0.3, 5.0],
    "t * (1 + special.erf(t / 1.5))": [-0.3, 0.3, 5.0],
    "t * special.expit(t)": [-20.0, -3.0, 0.3, 5.0],
    "t / (1 + np.abs(t))": [-10.0, -2.0, 0.3, 10.0],
    "np.arctan(np.sinh(t))": [-20.0, -2.0, 1e-300, 5.0],
    "np.tan(t) ** 2": ordinary,
    "np.sin(np.cos(np.sin(t)))": ordinary,
    "np.exp(np.exp(-t))": [-1.0, 0.3, 20.0],
    "((2 * t - 3) * t + 5) * t - 7": [-2.0, 0.5, 1e50],
    "(t - 1) ** 5 / (t + 1) ** 3": ordinary,
    "np.sqrt(np.sqrt(np.sqrt(t)))": [1e-300, 0.3, 1e300],
    "np.hypot(t, 3.0)": [-1e300, -4.0, 1e-300, 0.5, 1e300],
    "np.arctan2(t, -2.0)": [-1e100, -2.0, 0.3, 1e100],
    "special.gammaln(t + 1) - special.gammaln(t)": [3.0],
}

# Functions of a vector v.
MANY = {
    "v[0] + v[1]": [[1.0, 2.0], [1e300, -1e300]],
    "v[0] - v[1]": [[1.0, 2.0], [1e-300, 1e300]],
    "v[0] * v[1]": [[3.0, -2.0], [1e-300, 1e300], [0.0, 5.0]],
    "v[0] / v[1]": [[3.0, -2.0], [1e-200, 1e-160], [1e200, 1e160], [0.0, 2.0]],
    "v[0] ** v[1]": [[2.0, 3.0], [1e-5, 0.3], [1 + 1e-10, 1e8], [10.0, 300.0], [0.5, 1000.0], [1e300, 0.5]],
    "np.hypot(v[0], v[1])": [[3.0, 4.0], [5e-180, 12e-180], [5e300, -12e300], [1e-300, 1.0], [1e300, 1.0]],
    "np.arctan2(v[0], v[1])": [[3.0, 4.0], [-3.0, -4.0], [5e-150, 12e-150], [5e150, -12e150], [0.0, 2.0], [2.0, 0.0]],
    "np.logaddexp(v[0], v[1])": [[0.0, 0.0], [30.0, -3.3], [1000.0, 1000.5], [-1000.0, -1003.0], [800.0, 100.5]],
    "np.maximum(v[0], v[1])": [[1.0, 2.0], [2.0, -1.0]],
    "np.minimum(v[0], v[1])": [[1.0, 2.0], [2.0, -1.0]],
    "np.copysign(v[0], v[1])": [[1.0, -2.0], [-3.0, -2.0], [-3.0, 2.0]],
    "np.fmod(v[0], v[1])": [[7.5, 2.0], [-7.5, 2.0], [1.0, 1e10]],
    "special.xlogy(v[0], v[1])": [[2.0, 3.0], [1e-300, 1e300], [-2.0, 1e-300]],
    "np.exp(v[0]) * np.sin(v[1])": [[0.3, 2.0], [-20.0, 1e5]],
    "np.log(v[0] / v[1])": [[3.0, 2.0], [1e-100, 1e100]],
    "np.sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2])": [[1.0, 2.0, -2.0], [1e-100, 2e-100, 3e-100]],
    "np.sum(v) ** 2 / np.prod(v)": [[1.0, 2.0, 4.0], [-1.0, 3.0, 0.5]],
    "np.prod(v)": [[1.0, 2.0, 4.0, -3.0], [0.0, 2.0, 4.0, -3.0], [1e-100, 1e100, 3.0, 1e50]],
    "np.sin(v[0]) * np.sin(v[1]) + np.cos(v[0]) * np.cos(v[1]) * np.cos(v[2])": [[0.3, 0.7, 1.1]],
    "v[0] * np.exp(-v[1] * 3.5) + v[2]": [[2.0, 0.7, 0.1], [1e-10, 100.0, 5.0]],
    "v[0] / (1 + np.exp(-v[1] * (0.3 - v[2])))": [[2.0, 0.7, 0.1], [5.0, 30.0, -1.0]],
    "(v[0] - v[1]) / (v[0] + v[1])": [[2.0, 0.7], [1e100, 1e99]],
    "np.arccos(v[0] / np.hypot(v[0], v[1]))": [[2.0, 0.7], [-2.0, 0.7]],
    "special.erf((v[0] - v[1]) / v[2])": [[2.0, 0.7, 1.5], [0.1, 0.2, 10.0]],
}

# Names that a release may not have yet: refused by name, never a wrong number.
OPTIONAL = {
    "special.log_expit",
    "special.ndtr",
    "special.xlog1py",
    "np.logaddexp2",
    "np.float_power",
}

one_number = pytest.mark.parametrize("text", ONE)
vector = pytest.mark.parametrize("text", MANY)


DIGITS, STEP = 50, 60


# By formulas, where differences in 800 digits take long.
BY_FORMULA = {
    "special.gammaln(t)": lambda t: mpmath.psi(0, t),
    "special.digamma(t)": lambda t: mpmath.psi(1, t),
}


def exact_gradient(f, x):
    """Central differences with a step of 1e-60 of x, which leave 50 digits where f' is 1e-300 and x as well."""
    x = np.atleast_1d(x)
    with mpmath.workdps(DIGITS + 2 * STEP + 630):
        point = [mpmath.mpf(float(v)) for v in x]
        step = mpmath.mpf(10) ** -STEP
        slopes = []
        for i, value in enumerate(point):
            h = step * min(abs(value) or 1, 1)
            pair = [[*point[:i], value + sign * h, *point[i + 1 :]] for sign in (1, -1)]
            high, low = (f(p) for p in pair)
            slopes.append((high - low) / (2 * h))
        return slopes


def compare(actual, expected, tolerance=1e-13):
    """Relative to the number itself; a subnormal number has fewer digits."""
    with mpmath.workdps(DIGITS):
        for i, (a, e) in enumerate(zip(np.ravel(actual), expected, strict=True)):
            error = abs(mpmath.mpf(float(a)) - e)
            allowed = tolerance * abs(e) + (mpmath.mpf(2) ** -1072 if abs(e) < 1e-300 else 0)
            # the differences leave 1e-130 of what should be 0
            assert error <= allowed + mpmath.mpf(10) ** -120 * (abs(e) < 1e-100 and float(a) == 0), (
                f"entry {i}: {float(a)!r} instead of {mpmath.nstr(e, 20)}"
            )


def refused(text, function, x):
    """A function that is not there yet says so by its name."""
    names = [name for name in OPTIONAL if name in text]
    if not names:
        return False
    try:
        function(x)
    except (TypeError, NotImplementedError) as error:
        assert any(name.split(".")[1] in str(error) for name in names), error  # noqa: PT017
        return True
    return False


@one_number
def test_derivative_of_a_number(text):
    f, exact = read(text)
    points = np.array(ONE[text])
    g = grad(f)
    if refused(text, g, points[0]):
        return
    for x in points:
        if text in BY_FORMULA:
            with mpmath.workdps(DIGITS):
                expected = [BY_FORMULA[text](mpmath.mpf(float(x)))]
        else:
            expected = exact_gradient(lambda p: exact(p[0]), x)
        with saying("at", repr(float(x))):
            compare(g(x), expected)
            compare(derivative(f, x), expected)
            compare(jvp(f, (x,), (1.0,))[1], expected)
    np.testing.assert_array_equal(derivative(f, points), [derivative(f, x) for x in points])
    one_point_is_a_row(g, points)
    for fn in (g, value_and_grad(f)):
        assert np.isfinite(np.asarray(fn(points[0]))).all()


@vector
def test_gradient_of_a_vector(text):
    f, exact = read(text)
    points = np.array(MANY[text])
    g = grad(f)
    for x in points:
        expected = exact_gradient(exact, x)
        with saying("at", x):
            compare(g(x), expected)
            for i in range(len(x)):
                compare(jvp(f, (x,), (np.eye(len(x))[i],))[1], expected[i : i + 1])
    one_point_is_a_row(g, points)


def test_values_are_those_of_numpy():
    """The function itself on the tape, to two units in the last place of each operation."""
    for text in ONE:
        f, exact = read(text)
        points = [x for x in ONE[text] if abs(x) < 1e5]
        fn = value_and_grad(f)
        if refused(text, fn, points[0]):
            continue
        with saying(text), mpmath.workdps(DIGITS + 30):
            for x in points:
                value, expected = float(fn(x)[0]), exact(mpmath.mpf(x))
                error = abs(value - expected)
                slope = abs(float(fn(x)[1]) * x)  # rounding of an argument inside
                with np.errstate(all="ignore"):
                    of_numpy = abs(float(f(np.float64(x))) - expected)  # nobody's log(cosh(1e-10)) is right
                assert error <= 8 * ULP * (abs(expected) + slope + 1e-300) + 2 * of_numpy, (x, value, expected)


SMOOTH = [text for text in ONE if not any(kink in text for kink in ("fmod", "mod(", "maximum", "minimum", "clip"))]


@pytest.mark.parametrize("text", SMOOTH)
def test_second_and_third_derivatives(text):
    """At ordinary arguments; nested gradients, derivative(order=) and the Hessian say the same."""
    f, exact = read(text)
    points = [x for x in ONE[text] if 0.2 < abs(x) < 4][:3]
    if refused(text, grad(f), points[0]):
        return
    for x in points:
        with mpmath.workdps(DIGITS), saying("at", x):
            second, third = mpmath.diff(exact, mpmath.mpf(x), 2), mpmath.diff(exact, mpmath.mpf(x), 3)
            slope = mpmath.diff(exact, mpmath.mpf(x), 1)
            # terms of the size of the others may cancel
            small = 1e-13 * (abs(float(slope)) + abs(float(second)))
            for value, expected, atol in [
                (derivative(f, x, order=2), second, 1e-14 * abs(float(slope))),
                (hessian(f)(x), second, 1e-14 * abs(float(slope))),
                (grad(grad(f))(x), second, 1e-14 * abs(float(slope))),
                (derivative(f, x, order=3), third, small),
                (grad(grad(grad(f)))(x), third, small),
            ]:
                np.testing.assert_allclose(float(value), float(expected), rtol=1e-12, atol=max(atol, 1e-25))


def exact_hessian(f, x):
    n = len(x)
    with mpmath.workdps(DIGITS):
        point = tuple(map(mpmath.mpf, x))
        orders = [[tuple(map(int, np.eye(n)[i] + np.eye(n)[j])) for j in range(n)] for i in range(n)]
        return np.array([[float(mpmath.diff(lambda *p: f(p), point, order)) for order in row] for row in orders])


def test_hessians_of_vectors():
    for text in MANY:
        if any(kink in text for kink in ("fmod", "maximum", "minimum", "copysign")):
            continue
        f, exact = read(text)
        x = np.array(MANY[text][0])
        expected = exact_hessian(exact, x)
        with saying(text):
            np.testing.assert_allclose(hessian(f)(x), expected, rtol=1e-12, atol=1e-13 * np.abs(expected).max() + 1e-20)


def test_enough_functions():
    assert len(ONE) + len(MANY) >= 80
