"""Ordinary programs, as they stand in tutorials and tests of SciPy, traced unchanged: against finite differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.optimize
import scipy.special
from derivatives import close, differences, names_the_line, numbers, one_point_is_a_row, right_or_refused, same

from mmlfast.autodiff import derivative, grad, hessian, jacobian, jvp, trace, vjp

# ---- the functions of scipy's tests of approx_derivative ----


def scalar_vector(t):
    return np.array([t**2, np.tan(t), np.exp(t)])


def scalar_vector_of_one(v):
    return np.array([v[0] ** 2, np.tan(v[0]), np.exp(v[0])])


def vector_scalar(v):
    return np.sin(v[0] * v[1]) * np.log(v[0])


def vector_vector(v):
    return np.array([v[0] * np.sin(v[1]), v[1] * np.cos(v[0]), v[0] ** 3 * v[1] ** -0.5])


def with_parameters(v, c0, c1=1.0):
    return np.array([np.exp(c0 * v[0]), np.exp(c1 * v[1])])


def zero_jacobian(v):
    return np.array([v[0] * v[1], np.cos(v[0] * v[1])])


def banded(v):
    n = len(v)
    out = [v[0] ** 2 - 3 * v[1]]
    out += [v[i - 1] * v[i] + v[i + 1] ** 3 for i in range(1, n - 1)]
    out += [v[n - 1] * v[n - 2]]
    return np.array(out)


def banded_by_arrays(v):
    n = len(v)
    out = np.empty_like(v)
    out[0] = v[0] ** 2 - 3 * v[1]
    out[1 : n - 1] = v[: n - 2] * v[1 : n - 1] + v[2:] ** 3
    out[n - 1] = v[n - 1] * v[n - 2]
    return out


def by_math(t):
    return math.exp(t)  # here


def test_functions_of_approx_derivative():
    close(derivative(np.sinh, 1.0), math.cosh(1))
    t = 0.5
    close(jacobian(scalar_vector)(t), [2 * t, 1 / math.cos(t) ** 2, math.exp(t)])
    close(jacobian(scalar_vector_of_one)(np.array([t])), [[2 * t], [1 / math.cos(t) ** 2], [math.exp(t)]])
    for point in ([100.0, -0.5], [1.2, 2.5], [0.3, 0.7]):
        a, b = x = np.array(point)
        if b > 0:
            expected = [
                [math.sin(b), a * math.cos(b)],
                [-b * math.sin(a), math.cos(a)],
                [3 * a**2 * b**-0.5, -0.5 * a**3 * b**-1.5],
            ]
            close(jacobian(vector_vector)(x), expected)
        expected = [
            b * math.cos(a * b) * math.log(a) + math.sin(a * b) / a,
            a * math.cos(a * b) * math.log(a),
        ]
        close(grad(vector_scalar)(x), expected)
    x = np.array([1.0, 1.0])
    for c0, c1 in [(1.0, 2.0), (0.5, 1.0)]:
        close(jacobian(with_parameters)(x, c0, c1), [[c0 * math.exp(c0), 0], [0, c1 * math.exp(c1)]])
    close(jacobian(lambda v: with_parameters(v, 0.5, c1=2.0))(x), [[0.5 * math.exp(0.5), 0], [0, 2 * math.exp(2)]])
    close(jacobian(zero_jacobian)(np.zeros(2)), np.zeros((2, 2)))
    right_or_refused(by_math, lambda: grad(by_math)(0.5), math.exp(0.5), "np.exp", "numpy.exp")


def test_banded_functions_of_approx_derivative():
    for n in (3, 10, 50):
        x = np.linspace(0.4, 2.0, n)
        expected = differences(banded, x)
        for f in (banded, banded_by_arrays):
            close(jacobian(f)(x), expected, 1e-10, 1e-12)
            sparse = jacobian(f, sparse=True)(x)
            close(sparse.toarray(), expected, 1e-10, 1e-12)
            assert sparse.nnz == 3 * n - 2


# ---- ordinary programs, unchanged ----


def rosen(x):
    """The Rosenbrock function"""
    return sum(100.0 * (x[1:] - x[:-1] ** 2.0) ** 2.0 + (1 - x[:-1]) ** 2.0)


def himmelblau(p):
    x, y = p
    return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2


U = np.array([4.0, 2.0, 1.0, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625])
Y = np.array([0.1957, 0.1947, 0.1735, 0.16, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246])


def enzyme(x, u=U, y=Y):
    return x[0] * (u**2 + x[1] * u) / (u**2 + x[2] * u + x[3]) - y


def half_squares(x):
    r = enzyme(x)
    return 0.5 * np.dot(r, r)


RNG = np.random.default_rng(11)
DESIGN = RNG.standard_normal((20, 3))
LABELS = (RNG.random(20) > 0.4).astype(float)


def logistic_likelihood(w):
    z = DESIGN @ w
    return np.sum(LABELS * z - np.logaddexp(0, z)) - 0.1 * w @ w


def logistic_likelihood_by_hand(w):
    p = 1 / (1 + np.exp(-np.dot(DESIGN, w)))
    return -np.mean(LABELS * np.log(p) + (1 - LABELS) * np.log(1 - p))


def pendulum(v, steps=100, dt=0.02):
    theta, omega = v[0], v[1]
    for _ in range(steps):
        theta, omega = theta + dt * omega, omega - dt * (v[2] * np.sin(theta) + 0.1 * omega)
    return theta**2 + omega


SAMPLE = np.concatenate([RNG.normal(-1, 0.5, 15), RNG.normal(2, 1.0, 15)])


def mixture(v):
    weights = np.exp(v[:2]) / np.sum(np.exp(v[:2]))
    means, scales = v[2:4], np.exp(v[4:])
    z = (SAMPLE[:, None] - means) / scales
    log_density = -0.5 * z**2 - np.log(scales) - 0.5 * np.log(2 * np.pi) + np.log(weights)
    top = np.max(log_density, axis=1, keepdims=True)
    return np.sum(top[:, 0] + np.log(np.sum(np.exp(log_density - top), axis=1)))


def simultaneous(x):
    return [x[0] * np.cos(x[1]) - 4, x[1] * x[0] - x[1] - 5]


def integro_differential(P):
    """A residual on a grid: second differences put into arrays of zeros, and a mean of the whole."""
    P = P.reshape(4, 5)
    hx = hy = 0.3
    left, right, top, bottom = 0, 0, 1, 0
    d2x = np.zeros_like(P)
    d2y = np.zeros_like(P)
    d2x[1:-1] = (P[2:] - 2 * P[1:-1] + P[:-2]) / hx / hx
    d2x[0] = (P[1] - 2 * P[0] + left) / hx / hx
    d2x[-1] = (right - 2 * P[-1] + P[-2]) / hx / hx
    d2y[:, 1:-1] = (P[:, 2:] - 2 * P[:, 1:-1] + P[:, :-2]) / hy / hy
    d2y[:, 0] = (P[:, 1] - 2 * P[:, 0] + bottom) / hy / hy
    d2y[:, -1] = (top - 2 * P[:, -1] + P[:, -2]) / hy / hy
    return d2x + d2y + 5 * np.cosh(P).mean() ** 2


def eggholder(x):
    return -(x[1] + 47) * np.sin(np.sqrt(abs(x[0] / 2 + (x[1] + 47)))) - x[0] * np.sin(np.sqrt(abs(x[0] - (x[1] + 47))))


def ackley(x):
    a = -0.2 * np.sqrt(0.5 * (x[0] ** 2 + x[1] ** 2))
    b = 0.5 * (np.cos(2.0 * np.pi * x[0]) + np.cos(2.0 * np.pi * x[1]))
    return -20.0 * np.exp(a) - np.exp(b) + 20.0 + np.e


def rastrigin(x):
    return 10 * len(x) + np.sum(x**2 - 10 * np.cos(2 * np.pi * x))


def lennard_jones(v):
    positions = v.reshape(-1, 3)
    energy = 0.0
    for i in range(len(positions)):
        for j in range(i):
            r2 = np.sum((positions[i] - positions[j]) ** 2)
            energy += 4 * (r2**-6 - r2**-3)
    return energy


def lotka_volterra(v):
    def rate(s):
        return np.array([s[0] * (v[0] - v[1] * s[1]), -s[1] * (v[2] - v[3] * s[0])])

    s, h = np.array([v[4], v[5]]), 0.05
    for _ in range(40):
        k1 = rate(s)
        k2 = rate(s + h / 2 * k1)
        k3 = rate(s + h / 2 * k2)
        k4 = rate(s + h * k3)
        s = s + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return s


def rotated_points(v, points=np.arange(12.0).reshape(4, 3) + 1):  # noqa: B008
    """A camera's residuals: rotation about an axis, projection, distortion."""
    theta = np.linalg.norm(v[:3])
    axis = v[:3] / theta
    dot = np.sum(points * axis, axis=1)[:, np.newaxis]
    cos, sin = np.cos(theta), np.sin(theta)
    turned = cos * points + sin * np.cross(axis, points) + dot * (1 - cos) * axis + v[3:6]
    flat = -turned[:, :2] / turned[:, 2, np.newaxis]
    n = np.sum(flat**2, axis=1)
    return (flat * (v[6] * (1 + v[7] * n + v[8] * n**2))[:, np.newaxis]).ravel()


def network(v):
    w1, b1, w2, b2 = v[:6].reshape(2, 3), v[6:9], v[9:12], v[12]
    hidden = np.tanh(DESIGN[:, :2] @ w1 + b1)
    return np.mean((hidden @ w2 + b2 - LABELS) ** 2)


def ridge(v):
    w = np.linalg.solve(DESIGN.T @ DESIGN + np.exp(v[0]) * np.eye(3), DESIGN.T @ (LABELS * v[1]))
    r = DESIGN @ w - LABELS
    return r @ r + v[0] ** 2


def normal_likelihood(v):
    covariance = np.stack([np.exp(v[0]), v[1], v[1], np.exp(v[2])]).reshape(2, 2)
    d = DESIGN[:, :2] - v[3:]
    return 0.5 * np.sum(d @ np.linalg.inv(covariance) * d) + 10 * np.log(np.linalg.det(covariance))


def gamma_likelihood(v):
    shape, rate = np.exp(v[0]), np.exp(v[1])
    x = np.abs(SAMPLE) + 0.1
    return np.sum(shape * np.log(rate) - scipy.special.gammaln(shape) + (shape - 1) * np.log(x) - rate * x)


def kalman(v):
    m, p, total = v[0], np.exp(v[1]), 0.0
    for y in SAMPLE[:10]:
        p = p + np.exp(v[2])
        s = p + np.exp(v[3])
        total = total + 0.5 * (np.log(2 * np.pi * s) + (y - m) ** 2 / s)
        k = p / s
        m, p = m + k * (y - m), (1 - k) * p
    return total


def kepler(v):
    """Newton's iterations for the eccentric anomaly, then the place."""
    m, e, a = v
    E = m
    for _ in range(8):
        E = E - (E - e * np.sin(E) - m) / (1 - e * np.cos(E))
    return np.stack([a * (np.cos(E) - e), a * np.sqrt(1 - e**2) * np.sin(E)])


def chebyshev(v):
    t0, t1, total = 1.0, v[-1], v[0]
    for c in v[1:-1]:
        total += c * t1
        t0, t1 = t1, 2 * v[-1] * t1 - t0
    return total


def soft_threshold(v):
    return np.sum(np.sign(v) * np.maximum(np.abs(v) - 0.8, 0) ** 2)


PROGRAMS = {
    rosen: [1.3, 0.7, 0.8, 1.9, 1.2],
    himmelblau: [1.0, 2.5],
    enzyme: [2.5, 3.9, 4.15, 3.9],
    half_squares: [2.5, 3.9, 4.15, 3.9],
    logistic_likelihood: [0.3, -0.7, 1.1],
    logistic_likelihood_by_hand: [0.3, -0.7, 1.1],
    pendulum: [0.5, 0.1, 9.8],
    mixture: [0.1, -0.2, -1.1, 1.8, -0.6, 0.1],
    simultaneous: [6.5, 0.9],
    integro_differential: numbers(20).tolist(),
    eggholder: [51.2, 40.4],
    ackley: [0.7, -1.3],
    rastrigin: [0.3, 1.2, -2.2],
    lennard_jones: [0.0, 0.1, 0, 1.2, 0, 0.1, 0.2, 1.3, 0, 0.3, 0.4, 1.4],
    lotka_volterra: [1.1, 0.4, 0.4, 0.1, 10.0, 5.0],
    rotated_points: [0.1, 0.2, -0.3, 0.5, 0.4, 3.0, 500.0, 0.01, -0.001],
    network: numbers(13, low=-1, high=1).tolist(),
    ridge: [0.3, 1.1],
    normal_likelihood: [0.1, 0.3, -0.2, 0.4, 0.1],
    gamma_likelihood: [0.3, -0.4],
    kalman: [0.2, 0.1, -0.7, 0.3],
    kepler: [1.1, 0.3, 2.0],
    chebyshev: [0.3, 1.0, -0.5, 0.2, 0.7],
    soft_threshold: [0.3, 1.2, -2.2, 0.5],
}


@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
def test_ordinary_programs(f):
    x = np.array(PROGRAMS[f])
    expected = differences(lambda v: np.asarray(f(v)), x, dtype=np.float64)
    scale = np.abs(expected).max()
    one = expected.shape == x.shape and np.ndim(f(x)) == 0
    function = grad(f) if one else jacobian(f)
    np.testing.assert_allclose(function(x), expected, rtol=1e-8, atol=1e-9 * scale)
    one_point_is_a_row(function, np.stack([x, x * 1.001]))
    np.testing.assert_allclose(trace(f, x)(x), f(x), rtol=1e-13, atol=1e-13 * np.abs(f(x)).max())
    direction = np.cos(np.arange(x.size))
    np.testing.assert_allclose(
        jvp(f, (x,), (direction,))[1], expected @ direction, rtol=1e-8, atol=1e-8 * scale * np.linalg.norm(direction)
    )
    if one:
        second = hessian(f)(x)
        same(second, second.T)
        by_steps = differences(grad(f), x, dtype=np.float64)
        np.testing.assert_allclose(second, by_steps, rtol=1e-8, atol=1e-9 * max(np.abs(by_steps).max(), scale))
        one_point_is_a_row(hessian(f), np.stack([x, x * 1.001]))
    else:
        value, pull = vjp(f, x)
        weights = np.sin(np.arange(np.size(value)) + 1.0).reshape(np.shape(value))
        np.testing.assert_allclose(
            pull(weights)[0], np.tensordot(weights, expected, np.ndim(weights)), rtol=1e-8, atol=1e-8 * scale
        )
        flat = f if np.ndim(value) == 1 else lambda v: np.ravel(f(v))
        np.testing.assert_allclose(
            jacobian(flat, sparse=True)(x).toarray(), expected.reshape(-1, x.size), rtol=1e-8, atol=1e-9 * scale
        )


def test_functions_that_scipy_ships():
    """With asarray inside: right, or the line and the way out."""
    x = np.array([1.3, 0.7, 0.8, 1.9, 1.2])
    try:
        g = grad(scipy.optimize.rosen)(x)
    except (TypeError, ValueError) as error:
        assert "rosen" in str(error) or "_optimize.py" in str(error)  # noqa: PT017
    else:
        close(g, scipy.optimize.rosen_der(x), 1e-12)
        close(hessian(scipy.optimize.rosen)(x), scipy.optimize.rosen_hess(x), 1e-12)


def asarray_first(v):
    v = np.asarray(v)  # here
    return np.sum(v**2)


def array_of_float(v):
    v = np.array(v, dtype=float)  # here
    return np.sum(v**2)


def asarray_of_one(v):
    return np.sum(np.atleast_1d(v) ** 2) + np.asarray(3.0)  # here


@pytest.mark.parametrize("f", [asarray_first, array_of_float, asarray_of_one], ids=lambda f: f.__name__)
def test_conversions_at_the_beginning(f):
    x = np.array([1.0, 2, 3])
    for point in (x, x + 1):
        right_or_refused(f, lambda point=point: grad(f)(point), 2 * point, "asarray", "np.array", "float", "np.")


def test_errors_name_the_line_of_the_helper_that_failed():
    def helper(v):
        return np.median(v)  # here

    def f(v):
        return helper(v) * 2

    try:
        close(grad(f)(np.array([3.0, 1, 2])), [0, 0, 2])
    except (TypeError, NotImplementedError) as error:
        names_the_line(error, helper, "median")
