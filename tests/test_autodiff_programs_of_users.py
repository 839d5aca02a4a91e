"""Pieces of programs as people write them, unchanged: gradients against differences of the plain function."""

from __future__ import annotations

import collections
import dataclasses
import functools
import itertools
import math
import operator
from fractions import Fraction

import numpy as np
import pytest
import scipy.integrate
import scipy.interpolate
import scipy.linalg
import scipy.optimize
import scipy.spatial.distance
import scipy.special
import scipy.stats

from mmlfast.autodiff import TracingError, grad, jacobian, trace

V = np.array([0.7, -1.2, 2.5, 0.3])
W = np.arange(12.0).reshape(3, 4) * 0.3 - 1.1
M = np.array([[2.0, 0.3, -0.5], [0.1, 1.5, 0.2], [0.4, -0.2, 3.0]])
Point = collections.namedtuple("Point", "a b")


@dataclasses.dataclass
class Spring:
    stiffness: object
    length: object

    def energy(self, x):
        return 0.5 * self.stiffness * (x - self.length) ** 2


def until_it_converges(v):
    root = 1.0
    while abs(root * root - v[0]) > 1e-12:
        root = 0.5 * (root + v[0] / root)
    return root


def at_most_100_times(v):
    old = 1.0
    for _ in range(100):
        new = 0.5 * (old + v[2] / old)
        if np.abs(new - old) < 1e-15:
            break
        old = new
    else:
        raise RuntimeError("no convergence")
    return new


def halves(t):
    return t if t < 0.01 else halves(t / 2) + t**2


def with_a_generator(v):
    def squares():
        for t in v:
            yield t**2

    return sum(squares())


def filled_list(v):
    parts = []
    for i, t in enumerate(v):
        parts.append(t**i)
    return sum(parts)


def filled_array(v):
    out = np.empty_like(v)
    for i in range(len(v)):
        out[i] = v[i] * v[i - 1]
    return np.sum(out * out)


def changed_in_place(v):
    w = v.copy()
    w[w < 0] = 0.0
    w[[0, 1]] = w[[1, 0]]
    w[1:3] *= 2
    w += v
    return np.sum(w**2)


def quotients_where_they_exist(v):
    return np.sum(np.divide(1.0, v, out=np.zeros_like(v), where=v > 0) ** 2)


def matrix_exponential(m):
    total = term = np.eye(3)
    for k in range(1, 14):
        term = term @ m / k
        total = total + term
    return np.sum(total**2)


def log_determinant(m):
    return 2 * np.sum(np.log(np.diag(np.linalg.cholesky(m @ m.T + np.eye(3)))))


PROGRAMS = {
    until_it_converges: V,
    at_most_100_times: V,
    lambda v: halves(v[0]): V,
    with_a_generator: V,
    filled_list: V,
    filled_array: V,
    changed_in_place: V,
    quotients_where_they_exist: V,
    matrix_exponential: M / 4,
    log_determinant: M,
    lambda v: np.sum(np.log(v, out=np.zeros_like(v), where=v > 0)): V,
    lambda v: np.sum(np.vectorize(lambda t: t**2 if t > 0 else -t)(v)): V,
    lambda w: np.sum(np.apply_along_axis(lambda row: row[0] * row[-1], 1, w)): W,
    lambda v: np.sum(np.piecewise(v, [v < 0, v >= 1], [-1.0, lambda t: t**2, 3.0]) * v): V,
    lambda v: np.sum(np.select([v < 0, v < 1], [v**2, v**3], default=np.sin(v))): V,
    lambda v: np.interp(0.5, [0, 0.4, 0.9, 2.0], v): V,
    lambda v: sum(t**3 for t in filter(lambda t: t > 0, v)): V,
    lambda v: functools.reduce(operator.mul, v): V,
    lambda v: sum(itertools.accumulate(v, operator.mul)): V,
    lambda v: sorted(v)[1] ** 2 + max(v) ** 2 - min(v): V,
    lambda v: sum(a * b for a, b in dict(zip(range(4), zip(v, v[::-1], strict=True), strict=True)).values()): V,
    lambda v: (lambda a, b, *rest: a * b + sum(rest) ** 2)(*v): V,
    lambda v: Point(v[0], v[1]).b ** 2 * Point(*v[:2])._asdict()["a"]: V,
    lambda v: Spring(v[0], length=v[1]).energy(v[2]): V,
    lambda v: math.prod(v) + pow(v[0], 3) + divmod(v[2] * 7, 2)[1] ** 2: V,
    lambda v: v[0] * Fraction(1, 3): V,
    lambda v: round(v[0], 1) * v[0]: V,
    lambda v: int(v[2] * 9) * v[0]: V,
    lambda v: v[0] * 2 if np.any(v > 2) and not np.all(v > 0) else v[1] * 3: V,
    lambda v: v[0] * 2 if np.isclose(v[0], v[0]) and np.allclose(v, v) else v[1]: V,
    lambda v: np.sum(v[np.nonzero(v > 0)[0]] ** 2) + v[np.argmax(v)] ** 2: V,
    lambda v: np.sum(v[np.argsort(v)] * np.arange(4)) + np.median(v) * v[0] + np.percentile(v, 30) ** 2: V,
    lambda v: np.nanmean(np.where(v > 0, v, np.nan)) ** 2: V,
    lambda v: np.average(v, weights=np.abs(v)): V,
    lambda w: np.sum(np.cov(w + np.eye(3, 4)) ** 2) + np.corrcoef(w + np.eye(3, 4))[0, 1]: W,
    lambda v: np.sum(np.bincount([0, 1, 1, 2], weights=v) ** 2) + np.sum(np.add.reduceat(v, [0, 2]) ** 2): V,
    lambda w: np.sum(np.take_along_axis(w, np.argsort(w, axis=1), 1)[:, 0] ** 2): W,
    lambda m: np.sum(np.rot90(m) * np.flip(m).T) + np.sum(np.tril(m) @ m) + np.sum(m[np.triu_indices(3)] ** 2): M,
    lambda m: np.sum(np.kron(m, m) ** 2) + np.einsum("ii,jj", m, m) + np.sum(np.linalg.multi_dot([m, m, m])): M,
    lambda m: np.sum(np.linalg.matrix_power(m, -2)) + np.sum(np.linalg.inv(m) ** 2): M,
    lambda m: np.sum(np.linalg.solve(m, np.ones(3)) ** 2) + np.linalg.slogdet(m)[1] + np.linalg.qr(m)[1][0, 1]: M,
    lambda w: np.sum(np.linalg.lstsq(w.T + np.eye(4, 3), np.ones(4), rcond=None)[0] ** 2): W,
    lambda w: np.sum(np.linalg.pinv(w + np.eye(3, 4)) ** 2): W,
    lambda m: np.linalg.det(np.block([[m, np.eye(3)], [np.zeros((3, 3)), m]])): M,
    lambda v: np.sum(np.r_[v, 1.0, v[::-1]] ** 2) + np.sum(np.pad(v, 2, mode="reflect") ** 2): V,
    lambda v: np.sum(np.insert(v, 1, 2.0) ** 2) + np.sum(np.delete(v, 1) ** 3) + np.sum(np.append(v, v[0]) ** 2): V,
    lambda v: np.sum(np.multiply(*np.meshgrid(v, v))) + np.sum(np.tile(v, (2, 2)) ** 2): V,
    lambda v: np.sum(np.unwrap(v * 3) ** 2) + np.trapezoid(np.ones(4), np.sort(v)): V,
    lambda v: np.sum(np.convolve(v, v) ** 2) + np.polyval(v, 1.7) + np.polynomial.chebyshev.chebval(0.3, v): V,
    lambda v: np.polyfit([0, 1, 2, 3.0], v, 1)[0] ** 2: V,
    lambda v: np.sum(np.lib.stride_tricks.sliding_window_view(v, 2) ** 2): V,
    lambda v: scipy.integrate.simpson(v**2, dx=0.1) + np.sum(scipy.integrate.cumulative_trapezoid(v) ** 2): V,
    lambda v: (f"{v[0]:.3f}", v[0] ** 2)[1]: V,
    lambda m: sum(i[0] * x**2 for i, x in np.ndenumerate(m)) + sum(m[i] ** 3 for i in np.ndindex(*m.shape)): M,
    lambda v: np.sum(np.array(list(v), dtype=object) ** 2): V,
    lambda v: np.sum(v * np.random.default_rng(0).normal(size=4)): V,
}


def differences(f, x):
    """Central, extrapolated to step 0."""
    out = np.empty(x.shape)
    for i in np.ndindex(*x.shape):

        def slope(h, i=i):
            up, down = x.copy(), x.copy()
            up[i] += h
            down[i] -= h
            return (float(f(up)) - float(f(down))) / (2 * h)

        out[i] = (4 * slope(1e-4) - slope(2e-4)) / 3
    return out


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_gradient_of_a_piece_of_a_program(number):
    f, x = list(PROGRAMS.items())[number]
    with np.errstate(all="ignore"):
        expected = differences(f, x)
    found = grad(f)(x)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(grad(f).batch(np.stack([x, x]))[1], found)


# ---- what only some arguments of a function allowed ----


@pytest.mark.parametrize("edge_order", [1, 2])
def test_slopes_by_np_gradient_in_every_form(edge_order):
    places, steps = np.array([0.0, 1, 3, 4]), np.array([0.0, 0.5, 2.0])
    forms = [
        ((), {}),
        ((0.1,), {}),
        ((steps, places), {}),
        ((0.5, places), {}),
        ((places,), {"axis": 1}),
        ((2.0,), {"axis": (1, 0)}),
    ]
    for args, keywords in forms:

        def f(w, args=args, keywords=keywords):
            found = np.gradient(w, *args, edge_order=edge_order, **keywords)
            return np.stack(found) if isinstance(found, list | tuple) else found

        np.testing.assert_allclose(trace(f, W)(W**2), f(W**2), rtol=1e-13, atol=1e-13)
        tangent = np.sin(np.arange(12.0)).reshape(W.shape)
        found = np.tensordot(jacobian(f)(W), tangent, 2)  # a linear function
        np.testing.assert_allclose(found, f(tangent), rtol=1e-13, atol=1e-13)
    x = np.array([0.0, 0.3, 1.0, 1.2])  # by the coordinates
    np.testing.assert_allclose(
        grad(lambda x: np.sum(np.gradient(V, x, edge_order=edge_order) ** 2))(x),
        differences(lambda x: np.sum(np.gradient(V, x, edge_order=edge_order) ** 2), x),
        rtol=1e-6,
    )
    with pytest.raises((TypeError, ValueError)):
        trace(lambda v: np.gradient(v, [0.0, 1.0]), V)


def test_where_of_a_ufunc_leaves_out_what_it_was():
    x = np.array([4.0, 0.0, -1.0])

    def f(v):
        return np.sqrt(v, out=2 * v, where=v > 0)

    np.testing.assert_array_equal(trace(f, x)(x), [2, 0, -2])
    np.testing.assert_array_equal(np.diag(jacobian(f)(x)), [0.25, 2, 2])
    with pytest.raises(TracingError, match="where="):
        trace(lambda v: np.sqrt(v, where=v > 0), x)


IN_PLACE_OF_SCIPY = {
    "scipy.special.logsumexp": ("np.logaddexp.reduce", lambda v: scipy.special.logsumexp(v)),
    "scipy.special.softmax": ("np.exp", lambda v: scipy.special.softmax(v)),
    "scipy.linalg.solve": ("np.linalg.solve", lambda v: scipy.linalg.solve(np.outer(v, v) + np.eye(4), v)),
    "scipy.stats.logpdf": ("density", lambda v: scipy.stats.norm.logpdf(v)),
    "scipy.spatial.cdist": ("np.linalg.norm", lambda v: scipy.spatial.distance.cdist(v[:, None], v[:, None])),
    "scipy.integrate.quad": ("primitive", lambda v: scipy.integrate.quad(lambda u: np.sin(u * v[0]), 0, 1)[0]),
    "scipy.optimize.brentq": ("primitive", lambda v: scipy.optimize.brentq(lambda u: u**2 - v[0], 0, 4)),
    "scipy.interpolate.CubicSpline": ("primitive", lambda v: scipy.interpolate.CubicSpline(np.arange(4), v)(1.5)),
}


@pytest.mark.parametrize("name", IN_PLACE_OF_SCIPY)
def test_a_function_of_scipy_is_refused_by_its_name_with_what_to_write(name):
    instead, f = IN_PLACE_OF_SCIPY[name]
    with pytest.raises(TracingError) as refused:
        trace(f, V)
    message = str(refused.value)
    assert f"{name} looks at the values" in message
    assert instead in message
    assert "test_autodiff_programs_of_users.py, line" in message
