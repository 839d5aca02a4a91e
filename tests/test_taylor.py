"""taylor, derivative from order 2 on, quadratize."""

import math

import mpmath as mp
import numpy as np
import pytest
import scipy.special as sp
from cases import saying, within
from test_tape_taylor import error, reference

from mmlfast.autodiff import derivative, grad, hessian, jvp, linearize, primitive, quadratize, taylor, trace

# A function of NumPy, the same of mpmath, a point, and how far from it the nearest singularity is.
FUNCTIONS = {
    "exp": (np.exp, mp.exp, 0.0, 4),
    "log(1 + t)": (lambda t: np.log(1 + t), lambda t: mp.log(1 + t), 0.0, 1),
    "log1p": (np.log1p, mp.log1p, 0.5, 1.5),
    "tan": (np.tan, mp.tan, 0.3, 1.27),
    "atan": (np.arctan, mp.atan, 0.4, 1.07),
    "sqrt(1 + t)": (lambda t: np.sqrt(1 + t), lambda t: mp.sqrt(1 + t), 0.0, 1),
    "erf": (sp.erf, mp.erf, 0.2, 3),
    "exp(-t^2)": (lambda t: np.exp(-(t**2)), lambda t: mp.exp(-t * t), 0.7, 3),
    "sin(3 t) exp(-2 t)": (lambda t: np.sin(3 * t) * np.exp(-2 * t), lambda t: mp.sin(3 * t) * mp.exp(-2 * t), 0.4, 8),
    "exp(sin t)": (lambda t: np.exp(np.sin(t)), lambda t: mp.exp(mp.sin(t)), 0.4, 3),
    "log(1 + sin t)": (lambda t: np.log(1 + np.sin(t)), lambda t: mp.log(1 + mp.sin(t)), 0.4, 1.97),
    "1 / (1 + t^2)": (lambda t: 1 / (1 + t**2), lambda t: 1 / (1 + t * t), 0.5, 1.118),
    "tan(sin t)": (lambda t: np.tan(np.sin(t)), lambda t: mp.tan(mp.sin(t)), 0.4, 1.2),
    "atan(exp t)": (lambda t: np.arctan(np.exp(t)), lambda t: mp.atan(mp.exp(t)), 0.2, 1.58),
    "sqrt(1 + sin^2)": (lambda t: np.sqrt(1 + np.sin(t) ** 2), lambda t: mp.sqrt(1 + mp.sin(t) ** 2), 0.2, 0.9),
    "erf(sin t)": (lambda t: sp.erf(np.sin(t)), lambda t: mp.erf(mp.sin(t)), 0.2, 3),
    "t^t": (lambda t: t**t, lambda t: t**t, 1.3, 1.3),
    "2^t": (lambda t: 2.0**t, lambda t: mp.mpf(2) ** t, 1.3, 4),
    "(1 + t^2)^(1/3)": (lambda t: (1 + t**2) ** (1 / 3), lambda t: (1 + t * t) ** mp.mpf(1 / 3), 0.5, 1.118),
    "tanh(t) / cosh(t)": (lambda t: np.tanh(t) / np.cosh(t), lambda t: mp.tanh(t) / mp.cosh(t), 0.3, 1.6),
    "gammaln(1 + 2 t)": (lambda t: sp.gammaln(1 + 2 * t), lambda t: mp.loggamma(1 + 2 * t), 0.7, 1.2),
    "logaddexp(t, 0)": (lambda t: np.logaddexp(t, 0.0), lambda t: mp.log(1 + mp.exp(t)), 0.4, 3.1),
    "where": (
        lambda t: np.where(t > 0, np.exp(t), np.log(t - 5)),
        mp.exp,
        0.4,
        4,
    ),
    "a loop": (
        lambda t: sum(np.sin(k * t) / k for k in range(1, 6)),
        lambda t: sum(mp.sin(k * t) / k for k in range(1, 6)),
        0.4,
        1,
    ),
}


@within("name", FUNCTIONS)
def test_order_30(name):
    f, exact, x, radius = FUNCTIONS[name]
    found = taylor(f, x, 30)
    assert found.shape == (31,)
    assert error(found, reference(exact, x, radius), radius) < 1e-13


def test_composition_with_gammaln():
    """Its own derivatives have 53 bits: what cancels in a composition is lost."""
    found = taylor(lambda t: sp.gammaln(1 + t**2), 0.3, 15)
    expected = reference(lambda t: mp.loggamma(1 + t * t), 0.3, 1.04, 15)
    assert error(found, expected, 1.04) < 1e-13


def test_exact_coefficients():
    np.testing.assert_array_equal(taylor(lambda t: t**2, 0.0, 4), [0, 0, 1, 0, 0])
    np.testing.assert_array_equal(taylor(lambda t: t**2.0, 0.0, 4), [0, 0, 1, 0, 0])
    np.testing.assert_array_equal(taylor(lambda t: t * np.sin(t), 0.0, 4), [0, 0, 1, 0, -1 / 6])
    np.testing.assert_array_equal(taylor(lambda t: (1 + t) ** 5, 0.0, 9), [1, 5, 10, 10, 5, 1, 0, 0, 0, 0])
    expected = [2.0**k / math.factorial(k) for k in range(16)]
    np.testing.assert_allclose(taylor(lambda t: np.exp(2 * t), 0.0, 15), expected, rtol=1e-15)
    np.testing.assert_array_equal(taylor(np.sin, 0.3, 0), [np.sin(0.3)])
    np.testing.assert_array_equal(taylor(lambda t: 7.0, 0.3, 2), [7, 0, 0])
    np.testing.assert_allclose(taylor(np.tan, 1.57, 30), reference(mp.tan, 1.57, 7e-4), rtol=1e-11)
    # To orders far beyond what the recurrences would keep in 53 bits.
    np.testing.assert_allclose(taylor(lambda t: 1 / (1 - t), 0.0, 200), np.ones(201), rtol=1e-15)


def test_zeros_that_cancel():
    sinc = taylor(lambda t: np.sin(t) / t, 0.0, 6)
    np.testing.assert_allclose(sinc, [1, 0, -1 / 6, 0, 1 / 120, 0, -1 / 5040], rtol=1e-15)
    np.testing.assert_allclose(taylor(lambda t: (1 - np.cos(t)) / t**2, 0.0, 2), [0.5, 0, -1 / 24], rtol=1e-15)
    np.testing.assert_array_equal(taylor(lambda t: np.sqrt(t**4), 0.0, 3), [0, 0, 1, 0])
    np.testing.assert_array_equal(taylor(lambda t: np.sqrt(t**12), 0.0, 7), [0, 0, 0, 0, 0, 0, 1, 0])


BROKEN = {
    "1 / t": (lambda t: 1 / t, "divide of 1, 0"),
    "sqrt": (lambda t: np.sqrt(t), "sqrt of 0"),
    "log": (lambda t: np.log(t), "log of 0"),
    "t^2.5": (lambda t: t**2.5, "power of 0, 2.5"),
    "t^(1 + t)": (lambda t: t ** (1 + t), "power of 0, 1"),
    "cbrt": (lambda t: np.cbrt(t), "cbrt of 0"),
    "sqrt(t^2)": (lambda t: np.sqrt(t * t), "sqrt of 0"),
    "arcsin": (lambda t: np.arcsin(t + 1), "arcsin of 1"),
    "gammaln": (lambda t: sp.gammaln(t), "gammaln of 0"),
}


@within("name", BROKEN)
def test_poles_and_branch_points(name):
    f, cause = BROKEN[name]
    with pytest.raises(ValueError, match=r"no Taylor series of order 3 at x0 = 0") as caught:
        taylor(f, 0.0, 3)
    assert cause in str(caught.value)
    assert f'"{name}"' in str(caught.value)  # the line above
    if name != "gammaln":
        assert not np.isfinite(derivative(f, 0.0, order=3))


def test_which_point_is_broken():
    with pytest.raises(ValueError, match=r"x0 = \[1\. 0\. 2\.\]"):
        taylor(np.log, [1.0, 0.0, 2.0], 2)
    f = trace(np.log, 1.0)
    with pytest.raises(ValueError, match=r"x0 = 0"):
        taylor(f, [1.0, 0.0, 2.0], 2)
    with pytest.raises(ValueError, match=r"x0 = \[0\. 1\.\]"):
        taylor(lambda v: np.sqrt(v[0]) + v[1], [0.0, 1.0], 2, direction=[1.0, 0.0])
    # Along the other direction the root is constant.
    np.testing.assert_array_equal(
        taylor(lambda v: np.sqrt(v[0]) + v[1], [0.0, 1.0], 2, direction=[0.0, 1.0]), [1, 1, 0]
    )


def test_derivatives_at_zero():
    found = [derivative(lambda t: np.cos(t**2), 0.0, order=k) for k in range(1, 7)]
    np.testing.assert_array_equal(found, [0, 0, 0, -12, 0, 0])
    found = [derivative(lambda t: np.exp(-(t**2)), 0.0, order=k) for k in range(1, 7)]
    np.testing.assert_array_equal(found, [0, -2, 0, 12, 0, -120])
    assert derivative(lambda t: np.sum(np.cumprod(np.stack([t, t - 1, t + 2, 2 * t]))), 1.0, order=2) == 38
    assert derivative(lambda t: abs(t) ** 3, 0.0, order=2) == 0
    assert derivative(lambda t: t * abs(t), 0.0, order=2) == 0
    assert derivative(lambda t: np.maximum(t**2, 0), 0.0, order=2) == 2
    k = np.array([0.0, 1, 2])
    assert derivative(lambda t: np.sum(np.array([7.0, -3, 2]) * t**k), 0.0, order=2) == 4
    for t, expected in [(0.0, 0.25), (1000.0, 0), (-1000.0, 0)]:
        np.testing.assert_allclose(derivative(lambda t: np.logaddexp(t, 0.0), t, order=2), expected, rtol=1e-15)


def test_derivatives_of_any_shape():
    x = np.array([[0.3, 1.0], [2.0, -1.0]])
    for order in (2, 3, 7):
        expected = np.sin(x + order * np.pi / 2)
        found = derivative(np.sin, x, order=order)
        np.testing.assert_allclose(found, expected, rtol=1e-14)
        np.testing.assert_array_equal(derivative(trace(np.sin, 0.0), x, order=order), found)
        np.testing.assert_allclose(derivative(trace(np.sin, x), x, order=order), expected, rtol=1e-14)
        assert derivative(np.sin, 0.3, order=order) == found[0, 0]
    assert derivative(np.sin, np.float32(0.3), order=2).dtype == np.float32
    assert derivative(lambda t: 3 * t, x, order=2).tolist() == np.zeros((2, 2)).tolist()
    assert derivative(np.sin, np.ones((0, 3)), order=2).shape == (0, 3)
    with pytest.raises(TypeError, match="one number"):
        derivative(lambda t: np.stack([t, t]), 1.0, order=2)
    with pytest.raises(ValueError, match="170"):
        derivative(np.sin, 1.0, order=171)


def test_never_from_a_branch_that_was_not_taken():
    points = np.array([-1.0, 0.0, 4.0])
    f = lambda t: np.where(t > 0, t * np.sqrt(t), 0.0)  # noqa: E731
    np.testing.assert_allclose(derivative(f, points, order=2), [0, 0, 0.375])
    g = lambda t: np.where(t < 50, np.log1p(np.exp(t)), t)  # noqa: E731
    np.testing.assert_allclose(derivative(g, [0.0, 1000.0], order=2), [0.25, 0])
    cap = lambda t: np.sqrt(np.maximum(1 - t**2, 0))  # noqa: E731
    np.testing.assert_allclose(derivative(cap, [2.0, 0.0], order=2), [0, -1])
    clipped = lambda t: np.arccos(np.clip(t, -1, 1))  # noqa: E731
    np.testing.assert_array_equal(taylor(clipped, 1.25, 3), [0, 0, 0, 0])
    mean = lambda v: np.where(v[1] > 0, v[0] / v[1], 0.0)  # noqa: E731
    np.testing.assert_array_equal(taylor(mean, [3.0, 0.0], 5, direction=[1.0, 0.0]), np.zeros(6))
    masked = lambda t: np.log(np.sum(np.exp(np.where([True, False], t, -np.inf))))  # noqa: E731
    np.testing.assert_allclose(taylor(masked, 0.3, 3), [0.3, 1, 0, 0], atol=1e-16)


def test_directions(rng):
    x, d = rng.standard_normal(4), rng.standard_normal((3, 4))

    def f(v):
        return np.exp(v[0] * v[1]) * np.sin(v[2]) + np.linalg.norm(v)

    found = taylor(f, x, 3, direction=d)
    assert found.shape == (4, 3)
    for i in range(3):
        np.testing.assert_array_equal(taylor(f, x, 3, direction=d[i]), found[:, i])
        value, slope = jvp(f, (x,), (d[i],))
        np.testing.assert_allclose(found[:2, i], [value, slope], rtol=1e-13)
        np.testing.assert_allclose(found[2, i], d[i] @ hessian(f)(x) @ d[i] / 2, rtol=1e-12)
    # Without a direction: t is added to all entries.
    np.testing.assert_array_equal(taylor(f, x, 3), taylor(f, x, 3, direction=np.ones(4)))
    # Many points of a Function.
    points = rng.standard_normal((2, 5, 4))
    many = taylor(trace(f, x), points, 3, direction=d[0])
    assert many.shape == (4, 2, 5)
    np.testing.assert_array_equal(many[:, 1, 3], taylor(f, points[1, 3], 3, direction=d[0]))


def test_gradients_and_arrays():
    def f(v):
        return np.exp(v[0]) * v[1] ** 3

    x, d = np.array([0.5, 2.0]), np.array([1.0, 1.0])
    series = taylor(grad(f), x, 3, direction=d)
    assert series.shape == (4, 2)
    # The derivative along d of the series of f is the series of the gradient along d.
    of_f = taylor(f, x, 4, direction=d)
    np.testing.assert_allclose(series @ d, of_f[1:] * np.arange(1, 5), rtol=1e-14)
    both = taylor(lambda t: np.stack([np.sin(t), np.cos(t)]), 0.3, 5)
    assert both.shape == (6, 2)
    np.testing.assert_array_equal(both[:, 0], taylor(np.sin, 0.3, 5))


def test_matrices():
    a = lambda t: np.stack([np.stack([2 + t, t]), np.stack([np.sin(t), 3 * t + 1])])  # noqa: E731
    x = np.linalg.solve(a(0.3), [1.0, 2.0])
    found = taylor(lambda t: np.linalg.solve(a(t), np.array([1.0, 2.0])), 0.3, 6)
    np.testing.assert_allclose(found[0], x, rtol=1e-14)
    product = sum(
        np.polynomial.polynomial.polymul(taylor(lambda t, j=j: a(t)[0, j], 0.3, 6), found[:, j])[:7] for j in range(2)
    )
    np.testing.assert_allclose(product, [1, 0, 0, 0, 0, 0, 0], atol=1e-14)
    inverse = taylor(lambda t: np.linalg.inv(a(t)), 0.3, 2)
    np.testing.assert_allclose(inverse[0], np.linalg.inv(a(0.3)), rtol=1e-14)
    singular = lambda t: np.linalg.det(np.stack([np.stack([t, 2 * t]), np.stack([np.sin(t), t])]))  # noqa: E731
    np.testing.assert_allclose(taylor(singular, 0.0, 4), [0, 0, -1, 0, 1 / 3], rtol=1e-14)


def test_inside_of_traced_functions():
    third = grad(lambda x: taylor(np.sin, x, 3)[3])
    np.testing.assert_allclose(third(0.4), np.sin(0.4) / 6, rtol=1e-14)
    f = trace(lambda x: taylor(np.exp, x, 2), 0.0)
    np.testing.assert_allclose(f(1.0), np.e * np.array([1, 1, 0.5]), rtol=1e-15)
    g = grad(lambda a: taylor(lambda t: np.exp(a * t), 0.0, 3)[3])
    np.testing.assert_allclose(g(2.0), 2.0, rtol=1e-15)


def test_what_f_sees_is_watched():
    factor = 2.0
    f = lambda t: factor * t  # noqa: E731
    assert taylor(f, 1.0, 1).tolist() == [2, 2]
    factor = 3.0
    assert taylor(f, 1.0, 1).tolist() == [3, 3]


def test_parameters_and_precision():
    np.testing.assert_array_equal(
        taylor(lambda t, a: np.exp(a * t), 0.0, 3, 2.0), taylor(lambda t: np.exp(2 * t), 0.0, 3)
    )
    assert taylor(np.exp, np.float32(0), 2).dtype == np.float32
    assert taylor(np.exp, 0, 2).dtype == np.float64


def test_arguments():
    for order in (-1, 2.0, True, 501, None):
        with pytest.raises(ValueError, match="order"):
            taylor(np.sin, 0.0, order)
    with pytest.raises(ValueError, match="direction has shape"):
        taylor(np.sum, np.ones(3), 2, direction=np.ones(2))
    cube = primitive(lambda t: t**3, derivative=lambda t: 3 * t**2)
    np.testing.assert_array_equal(taylor(lambda t: cube(t), 1.0, 2), [1, 3, 3])
    assert derivative(lambda t: cube(t), 2.0, order=2) == 12


def test_quadratize(rng):
    def f(v):
        return np.exp(v[0]) * v[1] + v[2] ** 2

    x = np.array([0.1, 2.0, -1.0])
    q = quadratize(f, x)
    np.testing.assert_allclose(q.gradient, grad(f)(x))
    np.testing.assert_allclose(q.hessian, hessian(f)(x))
    assert q(x) == q.value == f(x)
    points = x + 1e-3 * rng.standard_normal((2, 4, 3))
    assert q(points).shape == q.error(points).shape == (2, 4)
    exact = np.array([f(v) for v in points.reshape(-1, 3)]).reshape(2, 4)
    np.testing.assert_allclose(q(points) + q.error(points), exact, rtol=1e-11)
    line = quadratize(np.exp, 0.0)
    np.testing.assert_allclose([line(0.1), line.error(0.1)], [1.105, 0.001 / 6], rtol=1e-14)
    np.testing.assert_allclose(linearize(np.exp, 0.0).error(0.1), 0.005)
    with pytest.raises(ValueError, match="x has shape"):
        q(np.ones(2))
    with pytest.raises(TypeError, match="jacobian"):
        quadratize(lambda v: v, x)


def test_agrees_with_repeated_tapes(rng):
    """Random functions: series against derivatives of derivatives."""
    pieces = [
        np.sin,
        np.exp,
        lambda t: t**2 + 0.5,
        lambda t: np.sqrt(t**2 + 1),
        np.arctan,
        lambda t: 1 / (2 + np.cos(t)),
    ]
    for _ in range(20):
        chosen = rng.integers(len(pieces), size=3)

        def f(t, chosen=chosen):
            for k in chosen:
                t = pieces[k](t)
            return t

        x = rng.uniform(-1, 1)
        found = taylor(f, x, 4)
        with saying(chosen, x):
            slopes = [f]
            for _ in range(4):
                slopes.append(grad(slopes[-1]))
            expected = [slopes[k](x) / math.factorial(k) for k in range(5)]
            np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13 * np.abs(expected).max())
