"""Situations in which derivatives of other libraries went wrong, each with others like it.

A: branches that were not taken. B: smooth functions with a zero inside. C: kinks. F: steps. G: loops. I: patterns.
J: matrices. The others have files of their own: D, answers of another function, and E, shapes, are in
tests/test_autodiff_cases_of_functions.py (changes between two calls: tests/test_autodiff_freshness.py); H, series, in
tests/test_autodiff_series.py; F2 and F3, checks of a gradient, in tests/test_autodiff_check.py.
"""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path

import mpmath
import numpy as np
from cases import saying
from derivatives import close, differences, every_way, one_point_is_a_row, right_or_refused, same

from mmlfast.autodiff import derivative, grad, hessian, jacobian, jvp, trace, vjp

# ---- A: branches that were not taken ----


def test_a1_entropy_with_an_empty_bin():
    def entropy(p):
        return -np.sum(np.where(p > 0, p * np.log(p), 0.0))

    every_way(
        entropy,
        [0, 0.25, 0.75],
        [0, -math.log(0.25) - 1, -math.log(0.75) - 1],
        np.diag([0, -4, -4 / 3]),
        others=[[0.5, 0.5, 0], [0, 0, 0], [0.2, 0.3, 0.5]],
    )
    close(grad(entropy)(np.array([0, 0.25, 0.75])), [0, 0.38629436, -0.71231793], 1e-7)


def test_a1_divergence_of_two_tables():
    """Both factors of what was not chosen are variables, and one is inf."""

    def divergence(v):
        p, q = v[:3], v[3:]
        return np.sum(np.where(p > 0, p * np.log(p / q), 0.0))

    x = np.array([0, 0.25, 0.75, 0, 0.5, 0.5])
    expected = [0, math.log(0.5) + 1, math.log(1.5) + 1, 0, -0.5, -1.5]
    every_way(divergence, x, expected, others=[np.full(6, 0.5), np.zeros(6)])


def test_a1_the_condition_is_written_in_other_ways():
    x, expected = np.array([0, 0.25, 0.75]), [0, math.log(0.25) + 1, math.log(0.75) + 1]
    for f in (
        lambda p: np.sum(np.where(p == 0, 0.0, p * np.log(p))),
        lambda p: np.sum(np.where(~(p > 0), 0.0, p * np.log(p))),
        lambda p: np.sum(np.where(np.logical_not(p <= 0) & (p < 2), p * np.log(p), 0.0)),
        lambda p: np.sum(np.where(p != 0, p, 1.0) * np.log(np.where(p != 0, p, 1.0))),
        lambda p: sum(np.where(t > 0, t * np.log(t), 0.0) for t in p),
    ):
        every_way(f, x, expected, np.diag([0, 4, 4 / 3]))


def test_a1_select_of_numpy():
    def f(p):
        return np.sum(np.select([p > 0.5, p > 0], [p * p, p * np.log(p)], 0.0))  # here

    x = np.array([0, 0.25, 0.75])
    right_or_refused(f, lambda: grad(f)(x), [0, math.log(0.25) + 1, 1.5], "np.where", "numpy.where")


def test_a2_drag_that_turns_linear():
    def f(v):
        return np.sum(np.where(v > 0, v * np.sqrt(v), -v))

    every_way(f, [0, -1.44, 2.25], [-1, -1, 2.25], np.diag([0, 0, 0.5]), others=[[1, 2, 3], [-1, 0, 1]])


def test_a2_powers_and_logarithms_of_the_forbidden_side():
    x = np.array([0, -1.5, 4.0])
    every_way(lambda v: np.sum(np.where(v > 0, v**2.5, 3 * v)), x, [3, 3, 20], np.diag([0, 0, 7.5]))
    every_way(lambda v: np.sum(np.where(v > 0, np.log(v) / v, 0.0)), x, [0, 0, (1 - math.log(4)) / 16])
    every_way(lambda v: np.sum(np.where(v > 0, v**-0.5, v * v)), x, [0, -3, -1 / 16])
    every_way(lambda v: np.sum(np.where(v > 0, np.arccosh(1 + v), 0.0)), x, [0, 0, 1 / math.sqrt(24)])


def test_a3_spherical_cap():
    def f(v):
        return np.sqrt(np.maximum(1 - np.sum(v**2), 0)) + v[0]

    every_way(f, [0.9, 0.8], [1, 0], np.zeros((2, 2)), others=[[0.1, 0.2], [2, 2]])
    inside = np.array([0.48, 0.6])
    every_way(f, inside, [1 - 0.48 / 0.64, -0.6 / 0.64])


def test_a3_other_guards():
    """The guard is a maximum, a minimum, a clip from one side, an abs."""
    x = np.array([0.9, 0.8])
    root = np.sqrt
    for f in (
        lambda v: root(np.maximum(0, 1 - v @ v)) + v[0],
        lambda v: root(-np.minimum(np.sum(v**2) - 1, 0)) + v[0],
        lambda v: root(np.clip(1 - np.sum(v**2), 0, None)) + v[0],
        lambda v: np.log1p(np.maximum(1 - np.sum(v * v), 0) ** 0.5) + v[0],
        lambda v: root(np.maximum(1 - np.linalg.norm(v), 0)) ** 3 + v[0],
    ):
        every_way(f, x, [1, 0], np.zeros((2, 2)))


def test_a4_angle_of_a_cosine_past_one():
    def f(v):
        return np.arccos(np.clip(v[0] * v[1], -1, 1)) + v[1]

    every_way(f, [1.25, 1.0], [0, 1], np.zeros((2, 2)), others=[[-3, 1], [0.6, 1]])
    every_way(f, [0.6, 1.0], [-1 / 0.8, 1 - 0.6 / 0.8])
    every_way(lambda v: np.arcsin(np.minimum(v[0] * v[1], 1)) - v[1], [1.25, 1.0], [0, -1])
    every_way(lambda v: np.arctanh(np.clip(v[0], -1, 1)) * 0 + v[0] * v[1], [0.5, 2.0], [2, 0.5])


def test_a5_overflow_of_what_was_not_chosen():
    def f(v):
        return np.sum(np.where(v < 50, np.log1p(np.exp(v)), v))

    logistic = 1 / (1 + math.e)
    every_way(f, [-1, 1000], [logistic, 1], np.diag([logistic * (1 - logistic), 0]), others=[[800, 3], [0, 0]])


def test_a5_other_overflows():
    x = np.array([-1, 1000.0])
    every_way(lambda v: np.sum(np.where(v < 50, np.exp(v) ** 2, v)), x, [2 * math.exp(-2), 1])
    every_way(lambda v: np.sum(np.where(v < 50, np.sinh(v) / np.cosh(v), 1.0)), x, [1 / math.cosh(1) ** 2, 0])
    every_way(lambda v: np.sum(np.log(np.cosh(np.clip(v, -20, 20)))), x, [-math.tanh(1), 0])
    every_way(
        lambda v: np.sum(np.where(v < 0, np.exp(v) / (1 + np.exp(v)), 1 / (1 + np.exp(-v)))),
        [-1000, 2.0],
        [0, math.exp(-2) / (1 + math.exp(-2)) ** 2],
    )


def test_a6_mean_of_a_group_that_may_be_empty():
    def f(v):
        return np.where(v[1] > 0, v[0] / v[1], 0.0)

    g = grad(f)
    close(g(np.array([3.0, 0])), [0, 0])
    close(g.batch([[3.0, 0], [3.0, 2]]), [[0, 0], [0.5, -0.75]])
    every_way(f, [3, 0], [0, 0], np.zeros((2, 2)), others=[[3, 2]])
    every_way(f, [3, 2], [0.5, -0.75], [[0, -0.25], [-0.25, 0.75]], others=[[3, 0]])


def test_a6_third_and_later_derivatives():
    def f(t):
        return np.where(t > 0, t * np.sqrt(t), -t)

    for order, at_zero, at_four in [(1, -1, 3), (2, 0, 0.375), (3, 0, -0.375 / 8), (4, 0, 0.375 * 1.5 / 32)]:
        close(derivative(f, np.array([0, -2, 4.0]), order=order), [at_zero, -1 if order == 1 else 0, at_four])
    third = grad(grad(grad(f)))
    close([third(t) for t in (0.0, -2.0, 4.0)], [0, 0, -0.375 / 8])
    close(third.batch([0, -2.0, 4.0]), [0, 0, -0.375 / 8])


def test_a6_where_inside_where():
    def f(t):
        return np.where(t > 0, np.where(t < 1, np.sqrt(t), 1 / (t - 1)), 3 * t)

    close(derivative(f, np.array([-2, 0, 0.25, 2.0])), [3, 3, 1, -1])
    close(derivative(f, np.array([-2, 0, 0.25, 2.0]), order=2), [0, 0, -2, 2])
    close(derivative(f, np.array([-2, 0, 0.25, 2.0]), order=3), [0, 0, 12, -6])
    # at 1 the inner pole is chosen: nothing is promised of t = 1, but that t = 0 beside it stays right
    close(derivative(f, np.array([0.0, 1.0]))[0], 3)


def test_a6_the_condition_depends_on_another_variable():
    def f(v):
        shown = v[0] + v[1] > 0
        return np.where(shown, np.log(v[1]) * v[2], v[2]) * np.where(shown, 1.0, 2 + 0 * v[0])

    every_way(f, [-1, 0, 3.0], [0, 0, 2], others=[[1, 2, 3]])
    close(grad(f)(np.array([1, 2, 3.0])), [0, 1.5, math.log(2)])

    def g(v):
        return np.sum(np.where(v[:1] > 0, np.sqrt(v[1:]), v[1:] * v[0]))

    every_way(g, [-1, 0, 3.0], [3, -1, -1], others=[[1, 2, 3]])


def test_a6_a_value_used_inside_and_outside_of_the_branch():
    """What is shared by both sides is differentiated on the side that was chosen, whatever the other makes of it."""

    def f(v):
        root = np.sqrt(v)
        return np.sum(np.where(v > 0, root, v)) + np.sum(np.where(v > 1, root * root, 2 * v))

    every_way(f, [0, 0.25, 4], [3, 3, 1.25])


def test_a_jvp_of_an_array_function():
    def f(v):
        return np.where(v > 0, v * np.log(v), np.abs(v))

    x, t = np.array([0, 0.5, -2]), np.array([3.0, 5, 7])
    value, slope = jvp(f, (x,), (t,))
    close(value, [0, 0.5 * math.log(0.5), 2])
    close(slope[1:], [5 * (math.log(0.5) + 1), -7])
    assert abs(slope[0]) <= 3
    _, pull = vjp(f, x)
    same(np.isfinite(pull(t)[0]), np.full(3, True))


# ---- B: smooth functions with a zero inside ----


def test_b1_distance_squared_at_the_target():
    c = np.array([1.0, 2])
    every_way(lambda v: np.exp(-(np.linalg.norm(v - c) ** 2)), c, [0, 0], -2 * np.eye(2), others=[[2, 2], [0, 0]])
    every_way(lambda v: np.sum((v - c) ** 2), c, [0, 0], 2 * np.eye(2))
    every_way(lambda v: np.linalg.norm(v - c) ** 2, c, [0, 0], 2 * np.eye(2))
    every_way(lambda v: np.linalg.norm(v - c) ** 4, c, [0, 0], np.zeros((2, 2)))


def test_b1_path_whose_points_repeat():
    def bending(v):
        steps = v.reshape(-1, 2)[1:] - v.reshape(-1, 2)[:-1]
        return np.sum(np.linalg.norm(steps, axis=1) ** 2)

    x = np.array([0, 0, 1, 1, 1, 1, 3, 0.0])
    every_way(bending, x, [-2, -2, 2, 2, -4, 2, 4, -2])
    length = grad(lambda v: np.sum(np.linalg.norm(v.reshape(-1, 2)[1:] - v.reshape(-1, 2)[:-1], axis=1)))
    assert np.isfinite(length(x)).all()
    assert np.isfinite(length.batch(np.stack([x, 0 * x]))).all()


def product_gradient(x):
    return np.array([math.prod(np.delete(x, i)) for i in range(len(x))])


def product_hessian(x):
    n = len(x)
    return np.array([[0 if i == j else math.prod(np.delete(x, [i, j])) for j in range(n)] for i in range(n)])


def test_b2_product_with_zero_factors():
    close(grad(np.prod)(np.array([0.0, 3, 4, -1])), [-12, 0, 0, 0])
    close(hessian(np.prod)(np.array([0.0, 0, 4, -1]))[0, 1], -4)
    for n in (1, 2, 3, 5, 8):
        for zeros in range(min(3, n) + 1):
            x = np.arange(1.0, n + 1) * (-1.0) ** np.arange(n)
            x[:zeros] = 0
            with saying(n, zeros):
                every_way(np.prod, x, product_gradient(x), product_hessian(x))


def test_b2_products_along_an_axis_and_by_hand():
    x = np.array([0, 3, 4, 0, 0, 5.0])
    weights = np.array([2.0, 7.0])
    expected = np.concatenate([2 * product_gradient(x[:3]), 7 * product_gradient(x[3:])])
    every_way(lambda v: weights @ np.prod(v.reshape(2, 3), axis=1), x, expected)
    every_way(lambda v: weights @ np.prod(v.reshape(2, 3).T, axis=0), x, expected)
    every_way(lambda v: math.prod(list(v)), x[:3], product_gradient(x[:3]), product_hessian(x[:3]))


def test_b3_running_products():
    def f(t):
        return np.sum(np.cumprod(np.stack([t, t - 1, t + 2, 2 * t])))  # here

    right_or_refused(f, lambda: derivative(f, 1.0, order=2), 38, "np.prod", "numpy.prod", "prod")
    right_or_refused(f, lambda: derivative(f, 1.0, order=1), 1 + 1 + 3 + 6, "np.prod", "numpy.prod", "prod")

    def g(t):
        return np.prod(np.stack([t, t - 1, t + 2, 2 * t]))

    # 2 t^2 (t - 1)(t + 2) = 2 t^4 + 2 t^3 - 4 t^2
    for order, value in [(1, 6), (2, 28), (3, 60), (4, 48), (5, 0)]:
        close(derivative(g, 1.0, order=order), value)


def test_b4_polynomial_by_a_vector_of_exponents():
    k = np.array([0.0, 1, 2])
    a = np.array([7.0, -3, 2])

    def f(t):
        return np.sum(a * t**k)

    for order, value in [(1, -3), (2, 4), (3, 0)]:
        close(derivative(f, 0.0, order=order), value)
        close(derivative(f, np.array([0.0, 0.0]), order=order), [value, value])
    close(grad(f)(0.0), -3)
    close(grad(f).batch(np.array([0.0, 1, -1])), [-3, 1, -7])
    close(jvp(f, (0.0,), (1.0,))[1], -3)


def test_b4_exponents_of_other_types_and_bases_below_zero():
    for k in (np.arange(4), np.arange(4.0), np.arange(4, dtype=np.int8)):
        every_way(
            lambda v, k=k: np.sum(v[:, None] ** k),
            [0, -2, 3.0],
            [1, 1 - 4 + 12, 1 + 6 + 27],
            np.diag([2, 2 - 12, 2 + 18.0]),
        )
    every_way(lambda v: np.sum(np.power(v, np.array([3.0, 0, 1]))), [0, 0, 0], [0, 0, 1], np.zeros((3, 3)))
    every_way(lambda v: np.sum(v ** np.array([2.5, 2, -1])), [4, 0, -2], [20, 0, -0.25])


def test_b5_powers_stop_at_the_power_zero():
    for f, expected in [
        (lambda t: np.cos(t**2), [0, 0, 0, -12, 0, 0]),
        (lambda t: np.exp(-(t**2)), [0, -2, 0, 12, 0, -120]),
        (lambda t: np.exp(-(t**2.0)), [0, -2, 0, 12, 0, -120]),
        (lambda t: np.exp(-t * t), [0, -2, 0, 12, 0, -120]),
        (lambda t: np.exp(-np.square(t)), [0, -2, 0, 12, 0, -120]),
        (lambda t: np.sin(t**3), [0, 0, 6, 0, 0, 0]),
        (lambda t: t**5, [0, 0, 0, 0, 120, 0]),
        (lambda t: 1 / (1 + t**2), [0, -2, 0, 24, 0, -720]),
    ]:
        close([derivative(f, 0.0, order=k) for k in range(1, 7)], expected)
        nested = f
        for order in range(3):
            nested = grad(nested)
            close(nested(0.0), expected[order])


def test_b6_the_unit_of_the_data():
    for s in (1e-180, 1e180, 1e-300, 1e300, 1.0):
        x = np.array([5.0, 12]) * s
        for f in (
            lambda v: np.hypot(v[0], v[1]),
            lambda v: np.linalg.norm(v),
            lambda v: np.linalg.norm(v.reshape(1, 2), axis=1)[0],
            lambda v: np.linalg.norm(v.reshape(1, 2)),
        ):
            with saying("length", s):
                close(grad(f)(x), [5 / 13, 12 / 13], 1e-14)
                close(jvp(f, (x,), (np.array([1.0, -1]),))[1], -7 / 13, 1e-14)
                close(grad(f).batch(np.stack([x] * 9)), [[5 / 13, 12 / 13]] * 9, 1e-14)
        if s > 1e-300 and s < 1e300:
            with saying("angle", s):
                close(grad(lambda v: np.arctan2(v[0], v[1]))(x), [12 / 169 / s, -5 / 169 / s], 1e-13)


def test_b6_quotients():
    close(grad(lambda v: v[0] / v[1])(np.array([4e-175, 2e-165])), [5e164, -1e155], 1e-14)
    close(grad(lambda v: v[0] / v[1])(np.array([4e175, 2e165])), [5e-166, -1e-155], 1e-14)
    close(grad(lambda v: v[0] / v[1])(np.array([1e-200, 1e-160])), [1e160, -1e120], 1e-14)
    close(derivative(lambda t: 1 / t, np.array([1e-150, -1e150])), [-1e300, -1e-300], 1e-14)
    close(derivative(lambda t: t**-1, np.array([1e-150, -1e150])), [-1e300, -1e-300], 1e-13)
    close(derivative(lambda t: t**-2, np.array([1e-100, 1e100])), [-2e300, -2e-300], 1e-13)
    close(derivative(lambda t: np.sqrt(t), np.array([1e-300, 1e300])), [5e149, 5e-151], 1e-14)
    close(derivative(lambda t: np.log(t), np.array([1e-300, 1e300])), [1e300, 1e-300], 1e-14)
    close(derivative(np.cbrt, np.array([1e-300, 1e300])), [1e200 / 3, 1e-200 / 3], 1e-13)
    close(derivative(np.arcsinh, np.array([1e200, -1e-200])), [1e-200, 1], 1e-14)
    close(derivative(np.arctan, np.array([1e150, 1e-200])), [1e-300, 1], 1e-13)


def test_b7_logaddexp():
    x = np.array([0.0, 1000, -1000])
    for f in (
        lambda t: np.logaddexp(t, 0),
        lambda t: np.logaddexp(0.0, t),
        lambda t: 0 + np.logaddexp(t, 0),
    ):
        close(derivative(f, x), [0.5, 1, 0])
        close(derivative(f, x, order=2), [0.25, 0, 0])
    every_way(lambda v: np.logaddexp(v[0], v[1]), [3, 3], [0.5, 0.5], [[0.25, -0.25], [-0.25, 0.25]])
    every_way(lambda v: np.logaddexp(v[0], v[1]), [2000, -2000], [1, 0], np.zeros((2, 2)))
    close(grad(lambda t: np.logaddexp(t, t))(5.0), 1)


def test_b7_masked_terms():
    shown = np.array([True, False, True])

    def f(v):
        return np.log(np.sum(np.exp(np.where(shown, v, -np.inf))))

    every_way(f, [0, 5, math.log(3)], [0.25, 0, 0.75], others=[[1, 2, 3]])
    every_way(lambda v: np.logaddexp(np.where(v[1] > 0, v[0], -np.inf), v[1]), [3, -1.0], [0, 1])
    every_way(lambda v: np.log(np.sum(np.exp(np.where(v > 0, v, -np.inf)))), [-5, 1.0, 1.0], [0, 0.5, 0.5])


def test_b7_all_terms_masked():
    def f(v):
        return np.log(np.sum(np.exp(np.where(v > 100, v, -np.inf))))  # here

    x = np.array([1.0, 2])
    right_or_refused(f, lambda: grad(f)(x), [0, 0], "finite", "where")


def test_b7_hand_written_softmax_with_ties():
    def f(v):
        return np.max(v) + np.log(np.sum(np.exp(v - np.max(v))))

    every_way(f, [4, 4, 4 - math.log(2)], [0.4, 0.4, 0.2], others=[[1, 2, 3], [2, 2, 2]], atol=1e-15)
    every_way(f, [1e4, 1e4, -1e4], [0.5, 0.5, 0], others=[[1, 2, 3]], atol=1e-15)
    every_way(lambda v: np.sum(np.exp(v - v.max()) / np.sum(np.exp(v - v.max())) * v), [1, 1.0], [0.5, 0.5], atol=1e-15)


def test_b8_the_limit_of_the_strong_zero():
    for f in (
        lambda t: np.sqrt(t) ** 2,
        lambda t: 1 / (1 / t),
        lambda t: np.exp(np.log(t)),
        lambda t: np.sqrt(t) * np.sqrt(t),
        lambda t: np.where(t >= 0, np.sqrt(t) ** 2, 5.0),
        lambda t: np.maximum(1 / (1 / t), -1),
    ):
        for slope in (
            derivative(f, 0.0),
            grad(f)(0.0),
            grad(f).batch(np.zeros(3))[1],
            jvp(f, (0.0,), (1.0,))[1],
        ):
            assert not np.isfinite(slope) or slope == 1


# ---- C: kinks ----


def all_slopes(f, x):
    """The gradient one by one, in a batch, reverse and forward: the same numbers."""
    x = np.asarray(x, float)
    g = np.asarray(grad(f)(x))
    one_point_is_a_row(grad(f), np.stack([x, x]))
    forward = [jvp(f, (x,), (e.reshape(x.shape),))[1] for e in np.eye(x.size)]
    np.testing.assert_allclose(np.reshape(forward, x.shape), g, rtol=1e-15)
    np.testing.assert_allclose(np.reshape(jacobian(f)(x), x.shape), g, rtol=1e-15)
    assert np.isfinite(g).all()
    return g


def test_c1_ties_of_max_share():
    for x in ([3.0, 7, 7], [7.0, 7, 7, 7, 7], [1.0, 7, 2, 7, 3, 7], [5.0]):
        largest = np.asarray(x) == max(x)
        for f in (np.max, np.amax, lambda v: v.max(), lambda v: -np.min(-v), lambda v: np.max(v, axis=0)):
            g = all_slopes(f, x)
            assert (g[~largest] == 0).all()
            assert (g >= 0).all()
            np.testing.assert_allclose(g.sum(), 1, rtol=1e-15)
    g = all_slopes(lambda v: np.sum(np.max(v.reshape(2, 3), axis=1)), [1, 5, 5, 4, 4, 2])
    np.testing.assert_allclose([g[:3].sum(), g[3:].sum()], 1)


def test_c1_one_function_one_slope():
    """max(x, 0) at 0, however it is written."""
    forms = (
        lambda t: np.maximum(t, 0),
        lambda t: np.maximum(0.0, t),
        lambda t: np.max(np.stack([t, 0 * t])),
        lambda t: -np.minimum(-t, 0),
        lambda t: np.clip(t, 0, None),
        lambda t: np.clip(t, 0, 5),
        lambda t: np.fmax(t, 0),
    )
    slopes = {float(all_slopes(f, 0.0)) for f in forms}
    assert len(slopes) == 1
    assert 0 <= slopes.pop() <= 1
    for f in (lambda t: np.maximum(t, t), lambda t: np.minimum(t, t), lambda t: np.max(np.stack([t, t, t]))):
        close(grad(f)(2.0), 1, 1e-15)
        close(derivative(f, 2.0), 1, 1e-15)


def test_c2_subgradients():
    assert -1 <= all_slopes(np.abs, 0.0) <= 1
    assert -1 <= all_slopes(abs, 0.0) <= 1
    assert np.linalg.norm(all_slopes(np.linalg.norm, [0.0, 0, 0])) <= 1
    assert np.linalg.norm(all_slopes(lambda v: np.hypot(v[0], v[1]), [0.0, 0])) <= 1
    assert np.abs(all_slopes(lambda v: np.linalg.norm(v, 1), [0.0, 0, 0])).max() <= 1
    assert np.abs(all_slopes(lambda v: np.linalg.norm(v, np.inf), [0.0, 0, 0])).sum() <= 1 + 1e-15
    for bound in (-1.0, 2.0):
        assert 0 <= all_slopes(lambda t: np.clip(t, -1, 2), bound) <= 1
    for beyond in (-1.5, 2.5, 1e300):
        assert all_slopes(lambda t: np.clip(t, -1, 2), beyond) == 0
    assert all_slopes(lambda t: np.clip(t, -1, 2), 0.5) == 1
    for f in (np.std, lambda v: v.std(), lambda v: np.std(v, ddof=1)):
        assert np.abs(all_slopes(f, [4.0, 4, 4])).max() <= 1
    all_slopes(lambda v: np.arctan2(v[0], v[1]), [0.0, 0])


def test_c2_steps_have_slope_zero():
    for f in (np.sign, np.floor, np.ceil, np.rint, np.round, np.trunc, lambda t: np.where(t > 0, 1.0, -1.0)):
        for t in (0.0, 0.3, -2.5, 1e20):
            assert all_slopes(f, t) == 0
    close(grad(lambda v: np.sum(v * np.sign(v)) + np.sum(np.floor(v)))(np.array([-2, 3.0])), [-1, 1])
    close(grad(lambda t: t * (t > 1))(3.0), 1)
    close(grad(lambda t: t * (t > 1))(0.5), 0)
    close(grad(lambda v: np.sum(v - np.round(v)))(np.array([0.3, 7.9])), [1, 1])


def test_c3_smooth_through_kinks():
    for f in (
        lambda t: t * np.abs(t),
        lambda t: np.abs(t) ** 3,
        lambda t: t * t * np.sign(t),
        lambda t: np.abs(t) * abs(t),
    ):
        assert grad(f)(0.0) == 0
        assert derivative(f, 0.0) == 0
        assert grad(f).batch(np.zeros(3)).tolist() == [0, 0, 0]
    assert derivative(lambda t: np.abs(t) ** 3, 0.0, order=2) == 0
    close(derivative(lambda t: np.abs(t) ** 3, np.array([-2.0, 2]), order=2), [12, 12])
    assert derivative(lambda t: np.maximum(t, 0) ** 2, 0.0) == 0
    assert derivative(lambda t: np.linalg.norm(np.stack([t, 2 * t])) ** 3, 0.0) == 0
    # of order two the curvature of the norm, which is infinite, meets a 0: no number is as good as the right one
    second = derivative(lambda t: np.linalg.norm(np.stack([t, 2 * t])) ** 3, 0.0, order=2)
    assert second == 0 or not np.isfinite(second)


# ---- F: steps ----


def test_f1_tapes_have_no_step():
    close(derivative(lambda t: t**2, 1e-9), 2e-9, 1e-15)
    close(grad(lambda v: v[0] ** 2)(np.array([1e-9])), [2e-9], 1e-15)
    close(derivative(lambda t: np.sin(1e6 * t), 1.0), 1e6 * float(mpmath.cos(10**6)), 1e-13)
    close(derivative(np.log, 1e-3), 1e3, 1e-14)
    close(derivative(lambda t: np.sqrt(t), 1e-12), 5e5, 1e-14)
    close(derivative(lambda t: t**2, 1e200), 2e200, 1e-15)


# ---- G: loops and large graphs ----


def pendulum(v):
    q, p = v[0], v[1]
    for _ in range(2000):
        q, p = q + 0.01 * p, p - 0.01 * v[2] * np.sin(q)
    return q


def test_g1_euler_steps_of_a_pendulum():
    x = np.array([0.5, 0.0, 1.0])
    g = grad(pendulum)
    close(g(x), [1.31378098, 0.81372242, -3.84358090], 1e-8)
    close(g(x), exact_pendulum(x), 1e-12 * 20)
    value, slope = jvp(pendulum, (x,), (np.array([1.0, 0, 0]),))
    close(slope, exact_pendulum(x)[0], 1e-12 * 20)
    close(value, pendulum(x), 1e-12)
    same(g.batch(np.stack([x] * 3))[2], g(x))


def exact_pendulum(x):
    """The gradient in 50 digits: forward along each input."""
    with mpmath.workdps(50):
        columns = []
        hundredth = mpmath.mpf(0.01)
        for seed in np.eye(3):
            q, p, k = map(mpmath.mpf, x)
            dq, dp, dk = map(mpmath.mpf, seed)
            for _ in range(2000):
                sine, cosine = mpmath.sin(q), mpmath.cos(q)
                q, p, dq, dp = (
                    q + hundredth * p,
                    p - hundredth * k * sine,
                    dq + hundredth * dp,
                    dp - hundredth * (dk * sine + k * cosine * dq),
                )
            columns.append(float(dq))
    return columns


def test_g1_a_sum_of_5000_terms():
    def f(v):
        return sum(np.sin(v[0] * k) / k for k in range(1, 5001))

    t = 0.3
    with mpmath.workdps(30):
        expected = mpmath.fsum(mpmath.cos(mpmath.mpf(t) * k) for k in range(1, 5001))
    close(grad(f)(np.array([t])), [float(expected)], 1e-10)
    g = grad(lambda v: sum(v[i % 3] ** 2 for i in range(5000)))
    close(g(np.array([1.0, 2, 3])), [2 * 1667, 4 * 1667, 6 * 1666], 1e-12)
    long = np.linspace(0.0, 1.0, 5000)
    close(grad(lambda v: sum(t * t for t in v))(long), 2 * long, 1e-15)


def test_g1_continued_fraction():
    def f(v):
        t = v[0]
        for _ in range(500):
            t = v[1] + v[0] / t
        return t

    a, b = 2.0, 3.0
    x = np.array([a, b])
    # t = b + a / t: dt (1 + a / t^2) = db + da / t
    t = (b + math.sqrt(b * b + 4 * a)) / 2
    close(grad(f)(x), np.array([1 / t, 1]) / (1 + a / t**2), 1e-12)
    close(hessian(f)(x), differences(grad(f), x, dtype=np.float64), 1e-9)
    assert sys.getrecursionlimit() <= 100_000


def test_g1_deep_chains_in_every_mode():
    def f(t):
        for _ in range(3000):
            t = t + 1e-4 * np.cos(t)
        return t

    with mpmath.workdps(30):
        t, first, second, step = mpmath.mpf(0.7), mpmath.mpf(1), mpmath.mpf(0), mpmath.mpf(1e-4)
        for _ in range(3000):
            sine, cosine = mpmath.sin(t), mpmath.cos(t)
            t, first, second = (
                t + step * cosine,
                first - step * sine * first,
                second - step * (cosine * first**2 + sine * second),
            )
    close(grad(f)(0.7), float(first), 1e-12)
    close(derivative(f, 0.7, order=2), float(second), 1e-12)
    close(hessian(f)(0.7), float(second), 1e-12)


def test_g2_sharing_is_kept():
    def f(v):
        a, b = v[0], v[1]
        for _ in range(60):
            a, b = b, a + b
        return b

    every_way(f, [1, 1], [1548008755920, 2504730781961], rtol=1e-15)
    same(grad(f)(np.ones(2)), np.array([1548008755920.0, 2504730781961.0]))
    assert trace(f, np.ones(2)).n_instructions <= 70

    def g(t):
        for _ in range(200):
            t = 0.5 * np.sin(t) + t * 0.1 + 0.2 * np.sin(t)
        return t

    fn = trace(g, 0.3)
    assert fn.n_instructions <= 900
    close(grad(g)(0.3), differences(g, np.array(0.3)), 1e-9)


# ---- I: patterns ----


def test_i1_the_pattern_is_that_of_the_function():
    h = hessian(lambda v: v[0] * v[1] * v[2] + v[3] ** 4, sparse=True)
    first = h(np.zeros(4))
    second = h(np.array([2.0, 3, 5, 1]))
    for matrix, expected in [
        (first, np.zeros((4, 4))),
        (second, [[0, 5, 3, 0], [5, 0, 2, 0], [3, 2, 0, 0], [0, 0, 0, 12]]),
    ]:
        assert matrix.format == "csr"
        close(matrix.toarray(), expected)
        assert matrix.nnz == 7
    close(h(np.array([2.0, 3, 5, 1])).toarray(), hessian(lambda v: v[0] * v[1] * v[2] + v[3] ** 4)([2, 3, 5, 1]))


def sparse_agrees(f, points, largest, kind="hessian"):
    """Sparse and dense agree at each point in turn; the pattern does not depend on it, and is not dense."""
    make = hessian if kind == "hessian" else jacobian
    sparse, dense = make(f, sparse=True), make(f)
    patterns = []
    for x in points:
        x = np.asarray(x, float)
        matrix = sparse(x)
        close(matrix.toarray(), dense(x), 1e-13, 1e-13 * max(1, np.abs(dense(x)).max()))
        patterns.append((matrix.indptr.tolist(), matrix.indices.tolist()))
        assert matrix.nnz <= largest
    assert all(p == patterns[0] for p in patterns)
    fresh = make(f, sparse=True)(np.asarray(points[-1], float))
    assert (fresh.indptr.tolist(), fresh.indices.tolist()) == patterns[0]


def test_i2_both_sides_of_where():
    def f(v):
        return np.where(v[0] > 0, v[1] * v[2], v[3] ** 3)

    sparse_agrees(f, [[-1, 2, 3, 4], [1, 2, 3, 4], [-1, 0, 0, 0]], 3)
    sparse_agrees(lambda v: np.where(v > 0, v[::-1] ** 2, v**3), [[1, 2, -1], [-1, 2, 0], [0, 0, 0]], 5, "jacobian")
    sparse_agrees(lambda v: np.maximum(v[0] * v[1], v[2] ** 2), [[1, 2, 0], [1, 2, 9], [0, 0, 0]], 3)


def test_i2_arrow_head_repeats_and_linear_terms():
    n = 12
    points = [np.zeros(n), np.ones(n), np.linspace(-1, 2, n)]
    sparse_agrees(lambda v: np.sum(v[0] * v[1:] ** 2) + 5 * np.sum(v), points, 3 * n)
    sparse_agrees(lambda v: v[[0, 0, 2]] * v[[1, 2, 2]], points, 5, "jacobian")
    sparse_agrees(lambda v: np.sum(v[[0, 0, 2]] * v[[1, 2, 2]]), points, 5)
    sparse_agrees(lambda v: np.sum(100 * (v[1:] - v[:-1] ** 2) ** 2 + (1 - v[:-1]) ** 2), points, 3 * n - 2)
    sparse_agrees(lambda v: np.cos(v[1:]) * v[:-1] + 3 * v[1:], points, 2 * n - 2, "jacobian")
    sparse_agrees(lambda v: np.diff(v) ** 2, points, 2 * n - 2, "jacobian")
    sparse_agrees(lambda v: v[::-1] * 2 + 1, points, n, "jacobian")
    sparse_agrees(lambda v: np.prod(v[:3]) + v[4] ** 2 * v[5], points, 9)


def test_i2_sparse_batches_and_empty_rows():
    f = lambda v: np.stack([v[0] * v[1], v[0] * 0 + 1, v[2]])  # noqa: E731
    j = jacobian(f, sparse=True)(np.array([2.0, 3, 4]))
    close(j.toarray(), [[3, 2, 0], [0, 0, 0], [0, 0, 1]])
    assert j.nnz <= 4


# ---- J: matrices ----


def adjugate(a):
    n = len(a)
    minors = [
        [(-1) ** (i + j) * np.linalg.det(np.delete(np.delete(a, i, 0), j, 1)) for i in range(n)] for j in range(n)
    ]
    return np.array(minors)


def test_j1_det_at_singular_matrices():
    close(grad(np.linalg.det)(np.array([[1.0, 2], [2, 4]])), [[4, -2], [-2, 1]], 1e-14)
    close(grad(np.linalg.det).batch(np.array([[[1.0, 2], [2, 4]]] * 3))[2], [[4, -2], [-2, 1]], 1e-14)
    rng = np.random.default_rng(5)
    for n in (1, 2, 3, 4, 5, 8):
        a = np.rint(3 * rng.standard_normal((n, n)))
        for rank in range(max(n - 3, 0), n + 1):
            a[rank:] = np.rint(rng.standard_normal((n - rank, rank))) @ a[:rank]
            scale = max(1, np.abs(adjugate(a)).max()) if n > 1 else 1
            expected = adjugate(a).T if n > 1 else [[1.0]]
            with saying(n, rank):
                close(grad(np.linalg.det)(a), expected, 1e-11, 1e-12 * scale)
                if rank <= n - 2:
                    np.testing.assert_allclose(grad(np.linalg.det)(a), 0, atol=1e-12 * scale)
    close(hessian(np.linalg.det)(np.zeros((2, 2))).reshape(4, 4), np.fliplr(np.diag([1.0, -1, -1, 1])), 1e-14)


def test_j1_logarithm_of_a_negative_determinant():
    a = np.array([[1.0, 2, 0], [3, 1, 1], [0, 1, 4]])
    assert np.linalg.det(a) < 0
    expected = np.linalg.inv(a).T
    close(grad(lambda m: np.log(np.abs(np.linalg.det(m))))(a), expected, 1e-13, 1e-14)

    def f(m):
        return np.linalg.slogdet(m)[1]  # here

    right_or_refused(f, lambda: grad(f)(a), expected, "det", rtol=1e-12, atol=1e-14)


def test_j1_solve_and_inv():
    rng = np.random.default_rng(6)
    for n in (1, 2, 3, 5, 9):
        a, b, w = rng.standard_normal((n, n)) + n * np.eye(n), rng.standard_normal(n), rng.standard_normal(n)
        x = np.linalg.solve(a, b)
        u = np.linalg.solve(a.T, w)
        with saying(n):
            close(grad(lambda m, b=b, w=w: w @ np.linalg.solve(m, b))(a), -np.outer(u, x), 1e-11, 1e-13)
            close(grad(lambda r, a=a, w=w: w @ np.linalg.solve(a, r))(b), u, 1e-12)
            close(grad(lambda m, b=b, w=w: w @ np.linalg.inv(m) @ b)(a), -np.outer(u, x), 1e-11, 1e-13)
            close(
                jvp(lambda m, b=b: np.linalg.solve(m, b), (a,), (np.eye(n),))[1],
                -np.linalg.solve(a, x),
                1e-11,
                1e-13,
            )
    h = hessian(lambda t: np.linalg.solve(np.stack([t, np.stack([t[1], t[0]])]) + 3 * np.eye(2), np.ones(2))[0])
    x = np.array([0.3, 0.5])
    close(
        h(x),
        differences(
            grad(lambda t: np.linalg.solve(np.stack([t, np.stack([t[1], t[0]])]) + 3 * np.eye(2), np.ones(2))[0]),
            x,
            dtype=np.float64,
        ),
        1e-10,
    )


def spread_of_eigenvalues(m):
    return np.sum(np.linalg.eigvalsh(m) ** 2)  # here


def put_together_again(m):
    u, s, vt = np.linalg.svd(m)  # here
    return np.sum(u * s @ vt)


def test_j2_equal_eigenvalues():
    right_or_refused(
        spread_of_eigenvalues, lambda: grad(spread_of_eigenvalues)(np.eye(3)), 2 * np.eye(3), "eigvalsh", atol=1e-13
    )
    right_or_refused(
        put_together_again, lambda: grad(put_together_again)(np.eye(3)), np.ones((3, 3)), "svd", atol=1e-13
    )


def test_every_case_has_a_test():
    wanted = {
        *(f"a{i}" for i in range(1, 7)),
        *(f"b{i}" for i in range(1, 9)),
        *(f"c{i}" for i in range(1, 4)),
        *(f"d{i}" for i in range(1, 11)),
        *(f"e{i}" for i in range(1, 5)),
        *("f1", "f2", "f3", "g1", "g2", "h1", "h2", "h3", "i1", "i2", "j1", "j2"),
    }
    files = Path(__file__).parent.glob("test_autodiff_*.py")
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    found = set(re.findall(r"^def test_([a-j]\d+)_", text, re.MULTILINE))
    assert wanted <= found, sorted(wanted - found)
