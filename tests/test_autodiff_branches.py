"""Functions that look at their numbers: each point has the derivative of the sides that are taken there."""

from __future__ import annotations

import math

import numpy as np
import pytest
from cases import saying
from in_threads import in_threads

from mmlfast.autodiff import (
    TracingError,
    derivative,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    primitive,
    taylor,
    trace,
    value_and_grad,
    vjp,
)

X = np.array([0.7, -1.3, 2.1])
POINTS = np.random.default_rng(4).normal(size=(40, 3))


def if_else(v):
    return v[0] * 2 if v[0] > v[1] else v[1] * 3


def chain_of_conditions(v):
    if v[0] > 0 and v[1] > 0:
        return v[0] * v[1]
    if v[0] > 0 or not v[2] > 0:
        return v[2] ** 2
    return np.sum(v**3)


def loop_while(v):
    t, n = v[0] ** 2 + 4, 0
    while t > 1:
        t, n = t / (2 + v[1] ** 2), n + 1
    return t * n


def iteration_to_convergence(v):
    a, t = 1 + v[0] ** 2, 1.0
    for _ in range(50):
        new = t - (t * t - a) / (2 * t)
        if abs(new - t) < 1e-14:
            break
        t = new
    return new


def python_extremes(v):
    return max(v) * v[0] - min(v[1], 0.5) + max(v, key=abs)


def python_sort(v):
    a, b, c = sorted(v)
    return a + 2 * b + 3 * c


def chosen_by_mask(v):
    return np.sum(v[v > 0] ** 2)


def mean_of_chosen(v):
    chosen = v[np.abs(v) < 1.5]
    return chosen.mean() if len(chosen) else v[0] * 0


def changed_by_mask(v):
    w = v * 1
    w[w < 0] *= -2
    w[w > 1] = w[w > 1] ** 2
    w[w < 0.5] += 2
    return np.sum(w * [1, 2, 3])


def places(v):
    return v[np.where(v > 0)].sum() + v[np.nonzero(v < 0)].prod() + v[np.argwhere(v > 1)[:, 0]].sum()


def largest(v):
    return v[np.argmax(v)] ** 2 + v[v.argmin()] ** 3


def largest_along_an_axis(v):
    m = np.stack([v, v[::-1] ** 2])
    return np.sum(np.take_along_axis(m, np.argmax(m, axis=0, keepdims=True), 0) ** 2)


def order(v):
    return np.sum(v[np.argsort(v)] * [1, 2, 3]) + np.sum(v[np.argsort(-v)[:2]] ** 2)


def sorted_in_place(v):
    w = v * 1
    w.sort()
    return w @ [1, 2, 3] + np.partition(v, 1)[1]


def table_by_search(v):
    return np.sum(np.array([1.0, 2, 4, 8])[np.searchsorted([-1.0, 0, 1], v)] * v)


def classes(v):
    return np.sum(np.digitize(v, [-0.5, 0.5]) * v) + np.sum(np.digitize(v, [1.0, 0.0], right=True) * v**2)


def whole_part(v):
    return int(v[0] * 3) * v[1] + math.floor(v[2]) * v[0] + round(v[1], 1) + math.ceil(v[0]) * v[2] ** 2


def checked(v):
    assert np.all(np.isfinite(v))
    assert isinstance(v, np.ndarray)
    if not isinstance(v[0], float) or np.isscalar(v):
        raise TypeError("not numbers")
    return np.sum(v**2) if np.any(v > 0) else v[0]


def objects(v):
    w = np.array([v[0], v[1] * v[2], 1.0])
    return np.clip(w, -1, 1).sum() * w.max() + np.where(w > 0, w, 0).sum()


def printed(v):
    text = f"{v[0]:.3f} {v}"
    return np.sum(v**2) * len(text[:1])


def different_values(v):
    values, counts = np.unique(np.stack([v[0], v[1], v[0]]), return_counts=True)
    return np.sum(values * counts)


FUNCTIONS = [
    *(if_else, chain_of_conditions, loop_while, iteration_to_convergence, python_extremes, python_sort),
    *(chosen_by_mask, mean_of_chosen, changed_by_mask, places, largest, largest_along_an_axis, order),
    *(sorted_in_place, table_by_search, classes, whole_part, checked, objects, printed, different_values),
]


def slopes(f, x):
    """By central differences, extrapolated; points are far from where sides change."""
    found = []
    for unit in np.eye(len(x)):
        steps = [float((f(x + h * unit) - f(x - h * unit)) / (2 * h)) for h in (2e-5, 1e-5)]
        found.append((4 * steps[1] - steps[0]) / 3)
    return np.array(found)


@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__name__)
def test_each_point_takes_its_own_side(f):
    g = grad(f)
    expected = np.array([slopes(f, x) for x in POINTS])
    for _ in range(2):
        for x, slope in zip(POINTS, expected, strict=True):
            np.testing.assert_allclose(g(x), slope, rtol=1e-7, atol=1e-7)
    rows = np.array([g(x) for x in POINTS])
    np.testing.assert_array_equal(g.batch(POINTS), rows)
    value, slope = value_and_grad(f).batch(POINTS)
    np.testing.assert_allclose(value, [f(x) for x in POINTS], rtol=1e-12)
    np.testing.assert_array_equal(slope, rows)
    direction = np.array([1.0, -2.0, 0.5])
    for x, row in zip(POINTS[:5], rows, strict=False):
        np.testing.assert_allclose(jvp(f, (x,), (direction,))[1], row @ direction, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(vjp(f, x)[1](1.0)[0], row, rtol=1e-12)
        np.testing.assert_array_equal(jacobian(f)(x), row)


def test_second_derivatives_and_series_of_functions_with_branches():
    def f(t):
        return t**3 if t > 0 else -2 * t**2

    x = np.array([-1.0, 2.0, -3.0])
    np.testing.assert_array_equal(derivative(f, x), [4, 12, 12])
    np.testing.assert_array_equal(derivative(f, x, order=2), [-4, 12, -4])
    np.testing.assert_array_equal(taylor(f, 2.0, 3), [8, 12, 6, 1])
    np.testing.assert_array_equal(taylor(f, -1.0, 3), [-2, 4, -2, 0])
    assert grad(grad(f))(-1.0) == -4
    h = hessian(lambda v: np.sum(v**3) if v[0] > 0 else v[0] * v[1], sparse=True)
    for x in (np.array([1.0, 2]), np.array([-1.0, 2])):
        expected = np.diag(6 * x) if x[0] > 0 else np.array([[0, 1], [1, 0]])
        np.testing.assert_array_equal(h(x).toarray(), expected)
    both = h.batch(np.array([[1.0, 2], [-1.0, 2]]))
    assert [m.nnz for m in both] == [2, 2]
    np.testing.assert_array_equal(hvp(if_else, (X,), (X,)), [0, 0, 0])

    def inner(v):
        return np.sum(grad(lambda w: w @ w if w[0] > 0 else np.sum(w**3))(v) ** 2)

    np.testing.assert_allclose(grad(inner)(X), 8 * X)
    np.testing.assert_allclose(grad(inner)(-X), -36 * X**3)


def test_parameters_that_count_index_and_choose():
    assert grad(lambda t, n: sum(t**i for i in range(n)))(2.0, 4) == 17
    assert grad(lambda t, n: t**2 if n > 2 else t)(3.0, 2) == 1
    np.testing.assert_array_equal(grad(lambda v, i: v[i] ** 2)(X, 1), [0, 2 * X[1], 0])
    np.testing.assert_array_equal(grad(lambda v, i: np.sum(v[i]))(X, [0, 0, 1]), [2, 1, 0])
    np.testing.assert_array_equal(grad(lambda v, m: np.sum(v[m]))(X, [True, False, True]), [1, 0, 1])
    np.testing.assert_array_equal(grad(lambda v, m: np.sum(v * m * m))(X, np.array([200, 1, 3], "u1")), [40000, 1, 9])
    labels = np.array([2, 0])
    found = grad(lambda w, y: -np.sum(w[np.arange(2), y]))(np.ones((2, 3)), labels)
    np.testing.assert_array_equal(found, [[0, 0, -1], [-1, 0, 0]])
    for flag, slope in ((True, 2), (False, 1), (True, 2)):
        assert grad(lambda t, double: t * 2 if double else t)(1.0, flag) == slope
    np.testing.assert_allclose(grad(lambda t, a: t * math.sin(a))(1.0, 2.0), math.sin(2.0))  # not differentiated by a


def test_what_is_frozen_has_no_branches():
    for f in (if_else, chosen_by_mask, largest, order, loop_while):
        with saying(f.__name__), pytest.raises(TracingError, match=f.__code__.co_filename):
            trace(f, X)
    with pytest.raises(TracingError, match=r"math\.sin"):  # its slope would be lost
        grad(lambda v: math.sin(v[0]))(X)
    with pytest.raises(ValueError, match="ambiguous"):
        grad(lambda v: v[0] if v > 0 else v[1])(X)
    known = trace(lambda v: v[0] if np.zeros_like(v)[0] > -1 else v[1], X)  # of a constant
    assert known(X) == X[0]


def test_branches_in_threads():
    g, wrong = grad(if_else), []

    def work(seed):
        for x in np.random.default_rng(seed).normal(size=(60, 3)):
            if not np.array_equal(g(x), [2, 0, 0] if x[0] > x[1] else [0, 3, 0]):
                wrong.append(x)

    in_threads(work, range(4))
    assert not wrong


def test_what_takes_no_traced_numbers_says_what_does():
    from scipy import integrate

    from mmlfast import linalg, stats

    m = np.eye(3) + 0.1
    for f, name in ((linalg.det, "det"), (linalg.inv, "inv"), (stats.mean, "mean")):
        with pytest.raises(TracingError, match=rf"{name} of mmlfast takes numbers.*NumPy's"):
            jacobian(f)(m)
    with pytest.raises(TracingError, match=r"scipy\.integrate\.quad looks at the values"):
        grad(lambda v: integrate.quad(lambda t: t * v[0], 0, 1)[0])(X)


def test_equal_numbers_and_then_others():
    """What is learned where numbers are equal is not taken for other points."""
    points = np.array([[1.0, 1, 0], [1, 2, 0], [2, 1, 0], [1, 1, 1], [0, 1, 1], [1, 0, 1], [1, 1, 2]])
    for f in (
        lambda v: v[np.argmax(v)],
        lambda v: v[np.argmin(v)],
        lambda v: v[np.argsort(v, kind="stable")] @ [1.0, 2, 4],
        lambda v: np.sum(np.unique(v, return_counts=True)[0] ** 2),
        lambda v: max(v) - 2 * min(v),
        lambda v: np.sum(v[v == v[0]]),
    ):
        fresh = np.array([grad(lambda v, f=f: f(v))(x) for x in points])
        for order in (points, points[::-1]):
            g = grad(f)
            found = {tuple(x): g(x) for x in order}
            np.testing.assert_array_equal([found[tuple(x)] for x in points], fresh)
        np.testing.assert_array_equal(grad(f).batch(points), fresh)
    g = grad(lambda v: v[np.argmax(v)])
    np.testing.assert_array_equal([g(points[0]), g(points[1])], [[1, 0, 0], [0, 1, 0]])


def test_each_question_computes_what_is_new():
    """A thousand questions took half a second, each of them all that came before it."""
    calls = []

    def shrink(v):
        calls.append(v)
        return v / 2 + 0.1

    halve = primitive(shrink, derivative=lambda v: np.full_like(v, 0.5))

    def f(v):
        t = v[0]
        for _ in range(200):
            t = halve(t) if t > 0.3 else t + v[1]
        return t

    g = grad(f)
    slope = g(np.array([5.0, 0.07]))
    assert len(calls) < 1000  # of the recording, the plain call beside it, and a guard
    assert g(np.array([5.0, 0.07])).tolist() == slope.tolist()


def test_sides_are_those_of_rounded_products():
    """A fused product would not be 0 here, and the other side would be taken than in the plain call."""
    a, b = 1 + 2.0**-30, 1 - 2.0**-31
    x = np.array([a, b, -(a * b)])
    assert a * b + x[2] == 0

    def f(v):
        return v[0] if v[0] * v[1] + v[2] == 0 else v[1]

    g = grad(f)
    for _ in range(2):
        np.testing.assert_array_equal(g(x), [1, 0, 0])
    np.testing.assert_array_equal(g.batch(np.stack([x, x + 1])), [[1, 0, 0], [0, 1, 0]])
    assert len(next(iter(g._entries.values()))) == 2  # nothing was recorded twice


def test_whole_numbers_of_python_have_no_negative_zero():
    for whole in (math.floor, math.ceil, math.trunc, round):
        slopes = grad(lambda v, whole=whole: v[1] * np.arctan2(whole(v[0]), v[1]))
        np.testing.assert_allclose(slopes(np.array([-0.0, -2.0])), [0, math.pi])
