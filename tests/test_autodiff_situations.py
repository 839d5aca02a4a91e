"""Situations that people met with other libraries, each with what is right: a wrong number, a NaN, a crash."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from scipy.special import expit

from mmlfast.autodiff import check_gradient, derivative, grad, hessian, jacobian, jvp, trace


def close(found, expected, rtol=1e-13, atol=0.0):
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol)


# ---- formulas whose slope is an ordinary number, and whose parts are not ----

LOGISTIC = {
    "1 / (1 + exp(-t))": lambda t: 1 / (1 + np.exp(-t)),
    "1 / (exp(-t) + 1.0)": lambda t: 1 / (np.exp(-t) + 1.0),
    "exp(t) / (1 + exp(t))": lambda t: np.exp(t) / (1 + np.exp(t)),
    "1 - 1 / (1 + exp(t))": lambda t: 1 - 1 / (1 + np.exp(t)),
}
SOFTPLUS = {
    "log(1 + exp(t))": lambda t: np.log(1 + np.exp(t)),
    "log1p(exp(t))": lambda t: np.log1p(np.exp(t)),
    "-log(1 - p)": lambda t: -np.log(1 - 1 / (1 + np.exp(-t))),
    "-log(p)": lambda t: -np.log(1 / (1 + np.exp(t))),
}
POINTS = np.array([-1000.0, -745, -40, -1, 0, 1, 40, 745, 1000])


@pytest.mark.parametrize("name", [*LOGISTIC, *SOFTPLUS])
def test_logistic_written_by_hand_where_exp_overflows(name):
    p, q = expit(POINTS), expit(-POINTS)
    if name in LOGISTIC:
        f, slopes, curvature = LOGISTIC[name], p * q, p * q * (q - p)
    else:
        f, slopes, curvature = SOFTPLUS[name], p, p * q
    close(derivative(f, POINTS), slopes, 4e-15, 1e-300)
    close(derivative(f, POINTS, order=2), curvature, 4e-15, 1e-16)
    for x, slope in zip(POINTS, slopes, strict=True):
        close(grad(f)(x), slope, 4e-15, 1e-300)
    close(np.diag(hessian(lambda v: np.sum(f(v)))(POINTS)), curvature, 4e-15, 1e-16)


def test_occupation_of_states_far_above_the_chemical_potential():
    close(derivative(lambda e: 3 / (np.exp((e - 1) / 0.5) + 1), np.array([400.0, 1.0, -400.0])), [0, -1.5, 0])


ROOTS = {
    "sqrt(sum(v**2))": lambda v: np.sqrt(np.sum(v**2)),
    "sqrt(v @ v)": lambda v: np.sqrt(v @ v),
    "sqrt(x * x + y * y)": lambda v: np.sqrt(v[0] * v[0] + v[1] * v[1]),
    "(x**2 + y**2)**0.5": lambda v: (v[0] ** 2 + v[1] ** 2) ** 0.5,
    "sqrt(einsum)": lambda v: np.sqrt(np.einsum("i,i", v, v)),
    "root mean square": lambda v: np.sqrt(np.mean(np.square(v))) * math.sqrt(2),
    "clipped": lambda v: np.sqrt(np.clip(np.sum(v**2), 0, 1e300)),
    "maximum": lambda v: np.sqrt(np.maximum(0.0, v @ v)),
    "minimum": lambda v: np.sqrt(np.minimum(v[0] ** 2 + v[1] ** 2, 1e300)),
    "root of a scaled sum": lambda v: np.sqrt(3 * np.sum(v**2)) / math.sqrt(3),
}


@pytest.mark.parametrize("name", ROOTS)
def test_length_written_by_hand_has_a_slope_at_zero(name):
    f = ROOTS[name]
    np.testing.assert_array_equal(grad(f)(np.zeros(2)), [0, 0])
    np.testing.assert_array_equal(jvp(f, (np.zeros(2),), (np.ones(2),))[1], 0)
    np.testing.assert_array_equal(grad(lambda v: f(v) ** 3)(np.zeros(2)), [0, 0])
    np.testing.assert_array_equal(hessian(lambda v: f(v) ** 3)(np.zeros(2)), np.zeros((2, 2)))
    for scale in (1e-120, 1.0, 1e120):
        close(grad(f)(np.array([3.0, -4.0]) * scale), [0.6, -0.8], 1e-15)
    close(hessian(f)(np.array([3.0, -4.0])), np.array([[16, 12], [12, 9]]) / 125, 1e-14)
    x = np.array([0.3, -1.7])
    close(trace(f, x)(x), np.linalg.norm(x), 1e-15)


def test_distances_between_points_two_of_which_are_the_same():
    points = np.array([[0.0, 0], [3, 4], [0, 0]])

    def total(p):
        return np.sum(np.sqrt(np.sum((p[:, None] - p[None, :]) ** 2, axis=-1)))

    close(grad(total)(points), np.array([[-1.2, -1.6], [2.4, 3.2], [-1.2, -1.6]]), 1e-15)


@pytest.mark.parametrize("k", [3, 4, 5, 7])
def test_powers_of_a_length_are_smooth_at_zero(k):
    def f(v):
        return np.linalg.norm(v) ** k

    np.testing.assert_array_equal(grad(f)(np.zeros(2)), 0)
    np.testing.assert_array_equal(hessian(f)(np.zeros(2)), 0)
    np.testing.assert_array_equal(jacobian(grad(f))(np.zeros(2)), 0)
    x = np.array([3.0, -4.0])
    expected = k * 5.0 ** (k - 2) * (np.eye(2) + (k - 2) * np.outer(x, x) / 25)
    close(hessian(f)(x), expected)
    close(hessian(f).batch(np.stack([x, 0 * x])), np.stack([expected, 0 * expected]))


def test_a_real_power_of_a_length():
    x = np.array([3.0, 4.0])
    close(grad(lambda v: np.linalg.norm(v) ** 2.5)(x), 2.5 * math.sqrt(5) * x)
    np.testing.assert_array_equal(grad(lambda v: np.linalg.norm(v) ** 2.5)(0 * x), [0, 0])


# ---- determinants ----


@pytest.mark.parametrize("n", [9, 12])
@pytest.mark.parametrize("lost", [0, 1, 2, 3])
def test_determinants_of_large_singular_matrices_have_cofactors(n, lost):
    a = np.diag([0.0] * lost + [2.0] * (n - lost))
    cofactors = np.zeros((n, n))
    if lost < 2:
        np.fill_diagonal(cofactors[:lost, :lost] if lost else cofactors, 2.0 ** (n - 1))
    det = trace(np.linalg.det, a)
    assert det(a) == (0 if lost else 2.0**n)
    close(grad(np.linalg.det)(a), cofactors, 1e-14, 1e-12)
    second = hessian(np.linalg.det)(a)
    if lost == 2:
        close(second[0, 0, 1, 1], 2.0 ** (n - 2), 1e-14)
        close(second[0, 1, 1, 0], -(2.0 ** (n - 2)), 1e-14)
    if lost == 3:
        np.testing.assert_array_equal(second, 0)
    assert np.isfinite(second).all()


def test_determinant_of_a_singular_matrix_of_integers():
    a = np.random.default_rng(3).integers(-3, 4, (10, 10)).astype(float)
    a[0] = 2 * a[8]
    expected = [
        [(-1) ** (i + j) * np.linalg.det(np.delete(np.delete(a, i, 0), j, 1)) for j in range(10)] for i in range(10)
    ]
    for unit in (1.0, 2.0**-60, 2.0**60):
        found = grad(np.linalg.det)(a * unit)
        close(found / unit**9, expected, 1e-12, 1e-12 * np.abs(expected).max())


# ---- sparse ----


def test_sparse_hessian_of_more_variables_than_fit_into_32_bits_squared():
    n = 70_000
    x = np.linspace(-1, 1, n)
    found = hessian(lambda v: np.sum(v[1:] ** 2 * v[:-1]), sparse=True)(x)
    expected = np.zeros(n)
    expected[1:] = 2 * x[:-1]
    np.testing.assert_array_equal(found.diagonal(), expected)
    np.testing.assert_array_equal(found.diagonal(1), 2 * x[1:])


# ---- checks ----

CHECKS = {
    "abs of a small entry": (lambda v: np.sum(np.abs(v) * v), [-2.0, 3, 1e-9]),
    "abs and maximum": (lambda v: np.sum(np.abs(v) * v + np.maximum(v, 0)), [-2.0, 3, 1e-9]),
    "values that underflow": (lambda v: np.sum(v**2), [1e-200, 1e-200]),
    "subnormal": (lambda v: np.sum(3 * v), [5e-324]),
    "entries of very different size": (lambda v: np.sum(v**2), [1e9, 1e-9]),
}


@pytest.mark.parametrize("name", CHECKS)
def test_right_gradients_are_not_condemned(name):
    f, x = CHECKS[name]
    found = check_gradient(f, np.array(x))
    assert found.verdict == "agrees", found


def test_right_gradients_of_numbers_that_swallow_steps_are_not_condemned():
    for f in (lambda v: (v[0] + 1e8) ** 2 - v[0] ** 2 - 1e16, lambda v: (1e12 + v[0]) - 1e12):
        assert check_gradient(f, np.array([0.5])).verdict in ("agrees", "unknown")


def test_wrong_gradients_of_small_entries_are_found():
    x = np.array([-2.0, 3, 1e-9])
    assert check_gradient(lambda v: np.sum(v**2), x, derivatives=2 * x * [1, 1, 1.001]).entry == (2,)
    assert check_gradient(lambda v: np.sum(np.exp(v)), x - 20, derivatives=np.exp(x - 20) * [1.001, 1, 1]).entry == (0,)


# ---- divisors that overflow ----

OVERFLOWING = {
    "soliton": (lambda t: 1.15 / np.cosh(0.75 * (t - 0.5)) ** 2, lambda t: 1.15 / mpmath.cosh(0.75 * (t - 0.5)) ** 2),
    "sech": (lambda t: 1 / np.cosh(t), lambda t: 1 / mpmath.cosh(t)),
    "a power": (lambda t: np.cosh(t) ** -3, lambda t: mpmath.cosh(t) ** -3),
    "csch": (lambda t: t / np.sinh(t), lambda t: t / mpmath.sinh(t)),
    "Planck": (lambda t: t**3 / (np.exp(t) - 1), lambda t: t**3 / (mpmath.exp(t) - 1)),
    "Planck by expm1": (lambda t: t**3 / np.expm1(t), lambda t: t**3 / mpmath.expm1(t)),
    "Bose": (lambda t: 1 / (1 - np.exp(-t)), lambda t: 1 / (1 - mpmath.exp(-t))),
    "three and exp": (lambda t: 2 / (3 + np.exp(t)), lambda t: 2 / (3 + mpmath.exp(t))),
    "log cosh": (lambda t: np.log(np.cosh(t)), lambda t: mpmath.log(mpmath.cosh(t))),
    "by exp": (lambda t: t / np.exp(np.abs(t)), lambda t: t / mpmath.exp(abs(t))),
}


@pytest.mark.parametrize("name", OVERFLOWING)
def test_slopes_where_a_divisor_overflows(name):
    """1 / cosh(800) is 0, and so is its slope: not 0 times infinity."""
    f, exact = OVERFLOWING[name]
    points = np.array([0.75, -1.25, 30.0, -30.0, 800.0, -800.0])
    with mpmath.workdps(60), np.errstate(all="ignore"):
        step = mpmath.mpf(10) ** -20
        want = np.array([[float(mpmath.diff(exact, x, k, h=step)) for x in points] for k in (1, 2)])
        g = grad(f)
        rows = {
            "reverse": [g(x) for x in points],
            "batch": g.batch(points),
            "forward": [jvp(f, (x,), (1.0,))[1] for x in points],
            "derivative": derivative(f, points),
        }
        for way, found in rows.items():
            np.testing.assert_allclose(found, want[0], rtol=1e-11, atol=1e-300, err_msg=way)
        second = [hessian(lambda v: f(v[0]))(x[None])[0, 0] for x in points]
        np.testing.assert_allclose(second, want[1], rtol=1e-9, atol=2e-26, err_msg="hessian")
        np.testing.assert_allclose(derivative(f, points, order=2), want[1], rtol=1e-9, atol=1e-25, err_msg="order 2")


def test_what_overflows_beside_another_is_no_claim():
    """The slope of log(sum(exp([t, 2 t]))) at 800 is 2, which nobody can see there; logaddexp.reduce does."""
    k = np.array([1.0, 2.0])
    with np.errstate(all="ignore"):
        assert not np.isfinite(grad(lambda t: np.log(np.sum(np.exp(k * t))))(800.0))
    close(grad(lambda t: np.logaddexp.reduce(k * t))(800.0), 2)


def test_sparse_derivatives_called_again():
    """The quick way to the entries holds for the function and the shape that it was made for, and no other."""
    k = 2.0
    h = hessian(lambda v: np.sum(v[1:] * v[:-1] ** 2) * k, sparse=True)

    def expected(v):
        n = len(v)
        m = np.zeros((n, n))
        for i in range(n - 1):
            m[i, i] += 2 * v[i + 1] * k
            m[i, i + 1] = m[i + 1, i] = 2 * v[i] * k
        return m

    for n in (3, 3, 5, 3, 5, 5):
        x = np.arange(1.0, n + 1)
        first, again = h(x), h(2 * x)
        np.testing.assert_array_equal(first.toarray(), expected(x))
        np.testing.assert_array_equal(again.toarray(), expected(2 * x))
        k += 1
    first.data[:] = 0
    first.indices[:] = 0
    x = np.arange(1.0, 6)
    np.testing.assert_array_equal(h(x).toarray(), expected(x))
    np.testing.assert_array_equal(h(x.astype(np.float32)).toarray(), expected(x))
    np.testing.assert_array_equal(h(x.tolist()).toarray(), expected(x))


# ---- logarithms of a few exponentials, written out ----

LOGARITHMS = {
    "log(e^t + e^2t)": lambda m, t: m.log(m.exp(t) + m.exp(2 * t)),
    "log(e^t + e^-t)": lambda m, t: m.log(m.exp(t) + m.exp(-t)),
    "log(e^t + e^2t + 3)": lambda m, t: m.log(m.exp(t) + m.exp(2 * t) + 3),
    "log of a mixture": lambda m, t: m.log(0.3 * m.exp(-(t**2)) + m.exp(-((t - 3) ** 2) / 2) / 5),
    "log(1 + e^t + e^(3 - t))": lambda m, t: m.log(1 + m.exp(t) + m.exp(3 - t)),
    "log1p(e^t + e^-2t)": lambda m, t: m.log1p(m.exp(t) + m.exp(-2 * t)),
    "log of four": lambda m, t: m.log((m.exp(t) + m.exp(2 * t)) + (m.exp(-t) + m.exp(t + 1) / 7)),
}


@pytest.mark.parametrize("name", LOGARITHMS)
def test_logarithms_of_sums_of_exponentials_that_overflow_or_vanish(name):
    f = LOGARITHMS[name]
    with mpmath.workdps(60):
        for x in (-1000.0, -800.0, -30.0, -0.4, 0.0, 0.6, 2.0, 40.0, 800.0):
            value, slope, curvature = mpmath.taylor(lambda t: f(mpmath, t), mpmath.mpf(x), 2)
            close(trace(lambda t: f(np, t), 1.0)(x), float(value), 4e-15, 4e-15)
            close(derivative(lambda t: f(np, t), x), float(slope), 1e-13, 1e-14)
            close(grad(grad(lambda t: f(np, t)))(x), 2 * float(curvature), 1e-12, 1e-13)
            close(hessian(lambda t: f(np, t))(x), 2 * float(curvature), 1e-12, 1e-13)


def test_differences_and_unknown_signs_stay_as_they_are():
    for f in (
        lambda t: np.log(np.exp(2 * t) - np.exp(t)),
        lambda t: np.log(np.exp(2 * t) + t),
        lambda t: np.log(-3 * np.exp(t) + np.exp(2 * t)),
    ):
        h = 1e-6
        close(derivative(f, 2.0), (f(2.0 + h) - f(2.0 - h)) / (2 * h), 1e-8)


@pytest.mark.parametrize("k", [0, 2])
def test_quotients_by_sums_that_overflow_on_both_sides(k):
    def f(t):
        return t**k / (np.exp(t) + np.exp(-t))

    for x in (-800.0, -3.0, 0.5, 800.0):
        with mpmath.workdps(50):
            exact = [mpmath.diff(lambda t: t**k * mpmath.sech(t) / 2, x, order) for order in (1, 2)]
        close(derivative(f, x), float(exact[0]), 1e-13, 1e-300)
        close(grad(f)(x), float(exact[0]), 1e-13, 1e-300)
        close(hessian(f)(x), float(exact[1]), 1e-12, 1e-300)


def test_sums_of_many_tangents_are_no_trees():
    def f(t):
        a, b = t, t * t
        for _ in range(60):
            a, b = b, a + b
        return np.log(np.exp(t) + b)

    assert np.isfinite(derivative(f, 0.5))
    assert np.isfinite(grad(grad(f))(0.5))


def test_distance_on_a_sphere_between_a_point_and_itself():
    def distance(p, q):
        d = np.sin((p - q) / 2) ** 2
        return 2 * np.arcsin(np.sqrt(np.minimum(1, d[0] + np.cos(p[0]) * np.cos(q[0]) * d[1])))

    p = np.array([0.7, -1.9])
    np.testing.assert_array_equal(grad(distance)(p, p), [0, 0])
    np.testing.assert_array_equal(grad(lambda v: distance(v, p) ** 2)(p), [0, 0])
    q = p + np.array([1e-3, 0])
    close(grad(distance)(q, p), [1, 0], 1e-6, 1e-9)
    close(grad(distance).batch(np.stack([p, q]), p), [[0, 0], grad(distance)(q, p)])


def test_a_root_whose_other_factor_is_zero_is_no_length():
    with np.errstate(all="ignore"):
        found = grad(lambda v: np.sqrt(v[0] * v[1] ** 2))(np.array([0.0, 2.0]))
    assert found[0] != 0  # it is infinite
    found = grad(lambda v: np.sqrt(np.maximum(np.sum(v**2), 1.0)))(np.zeros(2))  # flat there
    np.testing.assert_array_equal(found, [0, 0])
