"""Functions that depend on the order of numbers, reductions of chosen numbers, several arguments at once."""

import math
import pickle

import numpy as np
import pytest
from test_autodiff_numpy import agrees

from mmlfast.autodiff import TracingError, derivative, grad, hessian, jacobian, taylor, trace, value_and_grad
from mmlfast.autodiff._order_rules import _comparators

V = np.array([0.3, -1.2, 2.5, 1.3, -0.4, 1.7, 0.9])
W = np.array([[0.3, -1.2, 2.5, 0.2], [-0.4, 1.7, 0.9, -2.2], [1.1, 0.6, -0.7, 3.1]])


@pytest.mark.parametrize("n", [*range(1, 34), 63, 64, 65])
def test_the_comparators_sort(n):
    """Zeros and ones suffice (Knuth's principle); of many numbers, some of them."""
    rng = np.random.default_rng(n)
    rows = np.array([[(i >> j) & 1 for j in range(n)] for i in range(2**n)]) if n < 9 else rng.integers(0, 2, (500, n))
    expected = np.sort(rows, axis=1)
    for low, high in _comparators(n):
        a, b = rows[:, low], rows[:, high]
        rows[:, low], rows[:, high] = np.minimum(a, b), np.maximum(a, b)
    np.testing.assert_array_equal(rows, expected)


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (np.sort, V),
        (lambda w: np.sort(w, axis=0), W),
        (lambda w: np.sort(w, axis=None), W),
        (np.median, V),
        (lambda v: np.median(v[:6]), V),
        (lambda w: np.median(w, axis=1, keepdims=True), W),
        (lambda w: np.median(w, axis=(0, 1)), W),
        (lambda w: np.quantile(w, [0.0, 0.1, 0.5, 0.93, 1.0], axis=0), W),
        (lambda w: np.percentile(w, 33), W),
        (lambda v: np.median(np.abs(v - np.median(v))), V),
        (lambda v: np.interp(v, [-1, 0, 0.5, 1], [2, 3, 1, 5.0]), V),
        (lambda w: np.interp(w, [-1, 0, 0.5, 1], [2, 3, 1, 5.0], left=9, right=8), W),
        (lambda v: np.interp([-2.0, 0.1, 0.5, 7.0], [0.0, 0.4, 1.0], v[:3]), V),
        (lambda v: np.interp(0.7, np.stack([0.0, v[0], 1.0]), v[:3]), V),
        (lambda v: np.interp(v, [0.5], [2.0]), V),
        (np.sinc, V),
        (lambda w: np.linalg.cholesky(w @ w.T), W),
        (lambda w: np.linalg.cholesky(np.stack([w @ w.T, np.eye(3) + w @ w.T])), W),
        (lambda w: np.sum(w, where=w > 0) + np.prod(w, where=W > 0, axis=1), W),
        (lambda w: np.mean(w, where=w > -1, axis=1), W),
        (lambda w: np.var(w, where=w > -1, axis=1) + np.std(w, where=[True, False, True, True], axis=1, ddof=1), W),
        (lambda w: np.max(w, where=w < 0, initial=-5, axis=1), W),
        (lambda w: w.min(initial=0.1, axis=0) + w.sum(where=w < 1, axis=0, initial=2.0) + w.mean(), W),
        (lambda w: np.sum(w * np.any(w, where=w > 1, axis=0)) + np.sum(w * np.all(w, where=w > 3, axis=0)), W),
    ],
)
def test_values_and_derivatives(f, x):
    agrees(f, x)


def test_order_is_that_of_each_call():
    f, g = trace(np.sort, V), jacobian(np.sort)
    for x in (V[::-1].copy(), np.arange(7.0), -np.arange(7.0)):
        np.testing.assert_array_equal(f(x), np.sort(x))
        np.testing.assert_array_equal(g(x), np.eye(7)[np.argsort(x)])


def test_nan_is_last_in_sort_and_all_of_a_median():
    x = np.array([3.0, np.nan, 1.0, 2.0, np.nan, 0.0, 7.0])
    np.testing.assert_array_equal(trace(np.sort, V)(x), np.sort(x))
    assert np.isnan(trace(np.median, V)(x))
    assert np.isnan(trace(lambda v: np.quantile(v, 0.2), V)(x))
    np.testing.assert_array_equal(
        trace(lambda v: np.interp(v, [0.0, 1], [2.0, 3]), V)(x), np.interp(x, [0.0, 1], [2.0, 3])
    )


def test_the_slope_at_a_knot_is_the_average():
    f = trace(lambda v: np.interp(v, [0.0, 1, 3], [2.0, 3, 4]), V[:5])
    x = np.array([0.0, 1.0, 3.0, -1.0, 2.0])
    np.testing.assert_array_equal(f(x), np.interp(x, [0.0, 1, 3], [2.0, 3, 4]))
    np.testing.assert_array_equal(np.diag(jacobian(f)(x)), [0.5, 0.75, 0.25, 0.0, 0.5])


def test_sinc_at_zero():
    series = [(-1) ** k * math.pi ** (2 * k) / math.factorial(2 * k + 1) for k in range(16)]
    np.testing.assert_allclose(taylor(np.sinc, 0.0, 31)[::2], series, rtol=1e-14)
    np.testing.assert_allclose(derivative(np.sinc, 0.0, 2), -(math.pi**2) / 3, rtol=1e-14)
    x = 1e-9  # where sin(pi x) / (pi x) has no digit of its slope
    np.testing.assert_allclose(derivative(np.sinc, x), -(math.pi**2) * x / 3, rtol=1e-14)


def test_what_cannot_be_chosen_is_refused():
    with pytest.raises(TracingError, match="method"):
        trace(lambda v: np.quantile(v, 0.3, method="nearest"), V)
    with pytest.raises(TracingError, match="probability"):
        trace(lambda v: np.quantile(v, v[0]), V)
    with pytest.raises(TracingError, match="period"):
        trace(lambda v: np.interp(v, [0.0, 1], [2.0, 3], period=2), V)
    with pytest.raises(ValueError, match="initial"):
        trace(lambda v: np.max(v, where=v > 0), V)
    with pytest.raises(ValueError, match=r"\(3,\)"):
        trace(lambda v: np.sum(v, where=[True, False, True]), V)


def test_derivatives_by_several_arguments():
    def f(w, x, b):
        return np.sum(np.tanh(x @ w + b) ** 2)

    rng = np.random.default_rng(0)
    w, x, b = rng.normal(size=(4, 2)), W, rng.normal(size=2)
    one_by_one = [grad(f, i)(w, x, b) for i in range(3)]
    for argnums in ((0, 2), (2, 0), (1,), [0, 1, 2], (-1, 0)):
        found = grad(f, argnums)(w, x, b)
        value, again = value_and_grad(f, argnums)(w, x, b)
        assert isinstance(found, tuple)
        np.testing.assert_allclose(value, f(w, x, b), rtol=1e-14)
        for i, a, c in zip(argnums, found, again, strict=True):
            np.testing.assert_allclose(a, one_by_one[i], rtol=1e-13)
            np.testing.assert_array_equal(a, c)
    assert [type(x) for x in grad(f, (0, 2))(*(np.float32(a) for a in (w, x, b)))] == [np.ndarray] * 2
    assert grad(f, (0, 2))(*(np.float32(a) for a in (w, x, b)))[0].dtype == np.float32
    by_a, by_c = jacobian(lambda a, c: a * c[0] + c[1] ** 2, (0, 1))(V[:3], V[:2])
    np.testing.assert_array_equal(by_a, V[0] * np.eye(3))
    np.testing.assert_allclose(by_c, np.stack([V[:3], np.full(3, 2 * V[1])], axis=1), rtol=1e-14)
    a, c = grad(lambda a, c: a * c, (0, 1)).batch(V, W[0, :1].repeat(7))
    np.testing.assert_array_equal(a, np.full(7, W[0, 0]))
    np.testing.assert_array_equal(c, V)
    nested = grad(lambda a: sum(np.sum(g) for g in grad(lambda p, q: np.sum(p**2 * q), (0, 1))(a, a)))
    np.testing.assert_allclose(nested(V), 6 * V, rtol=1e-14)


def scaled_square(a, b):
    return np.sum(a**2) * b


def test_derivatives_by_several_arguments_pickle_and_refuse():
    again = pickle.loads(pickle.dumps(grad(scaled_square, (0, 1))))
    np.testing.assert_allclose(again(V, 2.0)[1], np.sum(V**2), rtol=1e-14)
    for argnums, message in [((0, 0), "twice"), ((0, 5), "2 arguments"), ((), "empty"), (("a",), "integer")]:
        with pytest.raises(TypeError, match=message):
            grad(scaled_square, argnums)(V, 2.0)
    with pytest.raises(TypeError, match="one argument at a time"):
        jacobian(scaled_square, (0, 1), sparse=True)
    with pytest.raises(TypeError, match="argnums"):
        hessian(scaled_square, (0, 1))


def test_a_changed_closure_is_seen_by_derivatives_of_several_arguments():
    factor = {"k": 2.0}
    g = grad(lambda a, b: factor["k"] * a * b, (0, 1))
    assert g(3.0, 5.0) == (10.0, 6.0)
    factor["k"] = 4.0
    assert g(3.0, 5.0) == (20.0, 12.0)
