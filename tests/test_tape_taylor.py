"""Series of the operations of a tape, each by itself, against mpmath in 60 digits."""

import mpmath as mp
import numpy as np
import pytest
from cases import saying, within

from mmlfast import _core

OPS = _core.tape_ops
ORDER = 30


class Graph:
    """A graph of one group of inputs whose operations are methods."""

    def __init__(self, n=1):
        self.graph = _core.TapeGraph()
        self.x = np.arange(self.graph.input(n), n, dtype=np.int32)

    def number(self, value):
        return self.graph.constants(np.atleast_1d(np.asarray(value, float)))

    def __getattr__(self, name):
        return lambda *operands, **keywords: self.graph.emit(OPS[name], *operands, **keywords)

    def series(self, outputs, coefficients, order=ORDER):
        coefficients = np.asarray(coefficients, float)
        return _core.TaylorPlan(self.graph, outputs, coefficients.shape[2], order)(coefficients)


def series(build, x, order=ORDER):
    graph = Graph()
    return graph.series(build(graph, graph.x), [[[x, 1.0]]], order)[0, 0]


def reference(f, x, radius, order=ORDER, points=160):
    """Taylor coefficients by Cauchy's integrals over a circle well within the radius of convergence."""
    with mp.workdps(60):
        r = mp.mpf(radius) / 4
        turns = [mp.expjpi(mp.mpf(2 * j) / points) for j in range(points)]
        values = [f(mp.mpf(x) + r * turn) for turn in turns]
        return np.array(
            [
                float(mp.re(mp.fsum(values[j] * turns[-j * k % points] for j in range(points))) / points / r**k)
                for k in range(order + 1)
            ]
        )


def error(found, expected, radius):
    """Relative, to the size that coefficients of this order have: some are accidentally small, or zero."""
    size = np.abs(expected) * np.float64(radius) ** np.arange(len(expected))
    near = np.array([size[max(k - 2, 0) : k + 3].max() for k in range(len(size))])
    with np.errstate(divide="ignore", invalid="ignore"):
        off = np.abs(found - expected) * np.float64(radius) ** np.arange(len(expected)) / near
    return np.where(found == expected, 0, off).max()


def distance(*poles):
    """From each x to the nearest of the points where a function is not smooth, and of their conjugates."""
    return lambda x: min(abs(x - p) for p in poles)


ENTIRE = distance(6j)
LN2 = mp.log(2)
HALF_PI = np.pi / 2
FUNCTIONS = {
    "sqrt": (mp.sqrt, distance(0), [1.0, 2.5, 1e-3, 1e6]),
    "cbrt": (lambda x: -mp.cbrt(-x) if mp.re(x) < 0 else mp.cbrt(x), distance(0), [1.0, -2.0, 0.3]),
    "exp": (mp.exp, ENTIRE, [0.0, 0.7, -3.0, 30.0]),
    "exp2": (lambda x: mp.exp(x * mp.log(2)), ENTIRE, [0.0, -1.3]),
    "expm1": (mp.expm1, ENTIRE, [0.0, 1e-9, -1.3]),
    "log": (mp.log, distance(0), [1.0, 0.2, 30.0]),
    "log2": (lambda x: mp.log(x) / mp.log(2), distance(0), [1.0, 0.2]),
    "log10": (lambda x: mp.log(x) / mp.log(10), distance(0), [3.0]),
    "log1p": (mp.log1p, distance(-1), [0.0, 0.5, -0.5, 1e-9]),
    "sin": (mp.sin, ENTIRE, [0.0, 0.7, 3.0, 100.0]),
    "cos": (mp.cos, ENTIRE, [0.0, 0.7, 3.0, 100.0]),
    "tan": (mp.tan, distance(HALF_PI, -HALF_PI, 3 * HALF_PI), [0.0, 0.5, 1.5, 3.0]),
    "arcsin": (mp.asin, distance(1, -1), [0.0, 0.5, -0.9]),
    "arccos": (mp.acos, distance(1, -1), [0.0, 0.5, -0.9]),
    "arctan": (mp.atan, distance(1j), [0.0, 1.0, -3.0, 30.0]),
    "sinh": (mp.sinh, ENTIRE, [0.0, -1.3]),
    "cosh": (mp.cosh, ENTIRE, [0.0, -1.3]),
    "tanh": (mp.tanh, distance(HALF_PI * 1j), [0.0, 1.0, -5.0]),
    "arcsinh": (mp.asinh, distance(1j), [0.0, 0.7, -3.0]),
    "arccosh": (mp.acosh, distance(1), [1.1, 2.0, 30.0]),
    "arctanh": (mp.atanh, distance(1, -1), [0.0, 0.5, -0.9]),
    "erf": (mp.erf, distance(4j), [0.0, 0.5, -2.0, 4.0]),
    "erfc": (mp.erfc, distance(4j), [0.0, 0.5, 6.0]),
    "gammaln": (mp.loggamma, distance(0), [0.3, 1.0, 2.0, 10.0, 300.0]),
    "expit": (lambda x: 1 / (1 + mp.exp(-x)), distance(np.pi * 1j), [0.0, 2.0, -5.0]),
    "softplus": (lambda x: mp.log1p(mp.exp(x)), distance(np.pi * 1j), [0.0, 2.0, -5.0]),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name):
    f, radius, points = FUNCTIONS[name]
    for x in points:
        with saying(f"{name} at {x}"):
            found = series(lambda g, t: getattr(g, name)(t), x)
            assert error(found, reference(f, x, radius(x)), radius(x)) < 1e-13


PAIRS = {
    "multiply": (lambda g, t: g.multiply(g.sin(t), g.exp(t)), lambda x: mp.sin(x) * mp.exp(x), 0.7, 4),
    "divide": (lambda g, t: g.divide(g.sin(t), g.exp(t)), lambda x: mp.sin(x) / mp.exp(x), 0.7, 4),
    "power": (lambda g, t: g.power(g.sin(t), g.number(2.5)), lambda x: mp.sin(x) ** 2.5, 0.7, 0.7),
    "power of t": (lambda g, t: g.power(t, t), lambda x: x**x, 1.3, 1.3),
    "power of 2": (lambda g, t: g.power(g.number(2.0), t), lambda x: mp.mpf(2) ** x, 1.3, 4),
    "arctan2": (lambda g, t: g.arctan2(g.sin(t), g.exp(t)), lambda x: mp.atan(mp.sin(x) / mp.exp(x)), 0.7, 0.8),
    "logaddexp": (
        lambda g, t: g.logaddexp(t, g.sin(t)),
        lambda x: mp.log(mp.exp(x) + mp.exp(mp.sin(x))),
        0.4,
        1.5,
    ),
    "fmod": (lambda g, t: g.fmod(g.exp(t), g.number(0.7)), lambda x: mp.exp(x) - mp.mpf(0.7) * 4, 1.2, 4),
    "copysign": (lambda g, t: g.copysign(g.exp(t), g.negative(t)), lambda x: -mp.exp(x), 1.2, 4),
    "multiply_add": (lambda g, t: g.multiply_add(t, g.exp(t), g.sin(t)), lambda x: x * mp.exp(x) + mp.sin(x), 1.2, 4),
    "integer_power": (lambda g, t: g.integer_power(g.sin(t), aux=-3), lambda x: mp.sin(x) ** -3, 1.2, 1.2),
    "polygamma": (lambda g, t: g.polygamma(t, aux=0), mp.digamma, 1.1, 1.1),
    "polygamma 3": (lambda g, t: g.polygamma(g.sin(t), aux=3), lambda x: mp.psi(3, mp.sin(x)), 1.1, 1.1),
    "dot": (
        lambda g, t: g.dot(np.concatenate([t, g.sin(t)]), np.concatenate([g.exp(t), t]), aux=2),
        lambda x: x * mp.exp(x) + mp.sin(x) * x,
        0.3,
        4,
    ),
    "norm": (
        lambda g, t: g.norm(np.concatenate([t, g.exp(t)]), aux=2),
        lambda x: mp.sqrt(x**2 + mp.exp(2 * x)),
        0.3,
        0.9,
    ),
}


@within("name", PAIRS)
def test_pairs_and_sums(name):
    build, f, x, radius = PAIRS[name]
    found = series(build, x)
    assert error(found, reference(f, x, radius), radius) < 2e-13


def matrix(g, t, n):
    """n x n, not singular near 0.8: entries t^i sin(t) + j, n + e^t on the diagonal."""
    rows = []
    for i in range(n):
        for j in range(n):
            entry = g.multiply(g.integer_power(t, aux=i + 1), g.sin(t))
            rows.append(g.add(entry, g.add(g.exp(t), g.number(n)) if i == j else g.number(j)))
    rows[:n], rows[n : 2 * n] = rows[n : 2 * n], rows[:n]
    return np.concatenate(rows)


def mp_matrix(x, n):
    rows = [[x ** (i + 1) * mp.sin(x) + (mp.exp(x) + n if i == j else j) for j in range(n)] for i in range(n)]
    return mp.matrix([rows[1], rows[0], *rows[2:]])


def test_solve_and_determinant():
    n, x = 3, 0.8
    found = series(lambda g, t: g.determinant(matrix(g, t, n), aux=n, count=1), x, 15)
    assert error(found, reference(lambda z: mp.det(mp_matrix(z, n)), x, 1, 15), 1) < 1e-12
    for i in range(n):
        found = series(
            lambda g, t, i=i: g.solve(matrix(g, t, n), np.concatenate([g.cos(t), t, g.number(1.0)]), aux=n, count=n)[
                i : i + 1
            ],
            x,
            15,
        )
        expected = reference(lambda z, i=i: mp.lu_solve(mp_matrix(z, n), mp.matrix([mp.cos(z), z, 1]))[i], x, 0.7, 15)
        assert error(found, expected, 0.7) < 1e-13


ZEROS = {
    "sqrt of t^4": (lambda g, t: g.sqrt(g.integer_power(t, aux=4)), [0, 0, 1, 0, 0]),
    "sqrt of t^2 has a kink": (lambda g, t: g.sqrt(g.integer_power(t, aux=2)), [0, np.nan, np.nan, np.nan, np.nan]),
    "sqrt of t^6": (lambda g, t: g.sqrt(g.integer_power(t, aux=6)), [0, 0, 0, np.nan, np.nan]),
    "sqrt of t": (lambda g, t: g.sqrt(t), [0, np.nan, np.nan, np.nan, np.nan]),
    "t^2.5": (lambda g, t: g.power(t, g.number(2.5)), [0, np.nan, np.nan, np.nan, np.nan]),
    "(t^2)^1.5": (lambda g, t: g.power(g.integer_power(t, aux=2), g.number(1.5)), [0, 0, 0, np.nan, np.nan]),
    "t^2.0": (lambda g, t: g.power(t, g.number(2.0)), [0, 0, 1, 0, 0]),
    "t sin t": (lambda g, t: g.multiply(t, g.sin(t)), [0, 0, 1, 0, -1 / 6]),
    "cbrt of t^6": (lambda g, t: g.cbrt(g.integer_power(t, aux=6)), [0, 0, 1, 0, 0]),
    "cbrt of t": (lambda g, t: g.cbrt(t), [0, np.nan, np.nan, np.nan, np.nan]),
    "|t|": (lambda g, t: g.absolute(t), [0, 0, 0, 0, 0]),
    "|t^2|": (lambda g, t: g.absolute(g.negative(g.integer_power(t, aux=2))), [0, 0, 1, 0, 0]),
    "t |t|": (lambda g, t: g.multiply(t, g.absolute(t)), [0, 0, 0, 0, 0]),
    "max(t, 0)": (lambda g, t: g.maximum(t, g.number(0.0)), [0, 0.5, 0, 0, 0]),
    "max(t^2, 0)": (lambda g, t: g.maximum(g.integer_power(t, aux=2), g.number(0.0)), [0, 0, 1, 0, 0]),
    "min(t^2, t^4)": (
        lambda g, t: g.minimum(g.integer_power(t, aux=2), g.integer_power(t, aux=4)),
        [0, 0, 0, 0, 1],
    ),
    "norm(t, t)": (lambda g, t: g.norm(np.concatenate([t, g.negative(t)]), aux=2), [0, 0, 0, 0, 0]),
    "norm(3 t^2, 4 t^2)": (
        lambda g, t: g.norm(
            np.concatenate([g.multiply(g.integer_power(t, aux=2), g.number(k)) for k in (3.0, 4.0)]), aux=2
        ),
        [0, 0, 5, 0, 0],
    ),
    "1 / t": (lambda g, t: g.divide(g.number(1.0), t), [np.inf, np.nan, np.nan, np.nan, np.nan]),
    "t / t": (lambda g, t: g.divide_or_zero(t, g.sin(t)), [0, 0, 0, 0, 0]),
    "sqrt of the chosen 0": (
        lambda g, t: g.sqrt(g.maximum(g.subtract(g.integer_power(t, aux=2), g.number(1.0)), g.number(0.0))),
        [0, 0, 0, 0, 0],
    ),
    "where(t > 0, sqrt(t), 0)": (
        lambda g, t: g.select(g.less(g.number(0.0), t), g.sqrt(t), g.number(0.0)),
        [0, 0, 0, 0, 0],
    ),
    "copysign of the piece": (lambda g, t: g.copysign(t, g.negative(t)), [0, -1, 0, 0, 0]),
    "(t - t)^1.7": (lambda g, t: g.power(g.subtract(t, t), g.number(1.7)), [0, 0, 0, 0, 0]),
    "1 / infinity": (
        lambda g, t: g.divide(g.number(1.0), g.divide(g.number(1.0), g.subtract(t, t))),
        [0, 0, 0, 0, 0],
    ),
    "norm with infinity": (
        lambda g, t: g.norm(np.concatenate([t, g.divide(g.number(1.0), g.multiply(t, t))]), aux=2),
        [np.inf, np.nan, np.nan, np.nan, np.nan],
    ),
    "floor": (lambda g, t: g.floor(g.add(t, g.number(1.5))), [1, 0, 0, 0, 0]),
}


@within("name", ZEROS)
def test_zeros_and_kinks(name):
    build, expected = ZEROS[name]
    # Zeros that cancel take coefficients of higher order.
    np.testing.assert_allclose(series(build, 0.0, 12)[:5], expected, rtol=1e-14, atol=0)
    low, expected = series(build, 0.0, 4)[1:], np.array(expected)[1:]
    assert np.all((low == expected) | np.isnan(low) | (abs(low - expected) < 1e-14))


COMPOSED = {
    "damped": (lambda g, t: g.multiply(g.sin(t), g.exp(g.negative(t))), lambda x: mp.sin(x) * mp.exp(-x), 0.3, 8),
    "log of exp": (lambda g, t: g.log(g.add(g.exp(t), t)), lambda x: mp.log(mp.exp(x) + x), 0.3, 0.8),
    "exp of sin": (lambda g, t: g.exp(g.sin(t)), lambda x: mp.exp(mp.sin(x)), 1.3, 4),
    "bell": (lambda g, t: g.exp(g.negative(g.multiply(t, t))), lambda x: mp.exp(-x * x), 1.5, 4),
    "runge": (
        lambda g, t: g.divide(g.number(1.0), g.add(g.number(1.0), g.multiply(g.number(25.0), g.multiply(t, t)))),
        lambda x: 1 / (1 + 25 * x * x),
        0.6,
        0.63,
    ),
    "tan of sin": (lambda g, t: g.tan(g.sin(t)), lambda x: mp.tan(mp.sin(x)), 0.4, 1.3),
    "atan of exp": (lambda g, t: g.arctan(g.exp(t)), lambda x: mp.atan(mp.exp(x)), 0.2, 1.58),
    "erf of sin": (lambda g, t: g.erf(g.sin(t)), lambda x: mp.erf(mp.sin(x)), 0.2, 3),
    "length": (
        lambda g, t: g.sqrt(g.add(g.number(1.0), g.multiply(g.sin(t), g.sin(t)))),
        lambda x: mp.sqrt(1 + mp.sin(x) ** 2),
        0.2,
        0.9,
    ),
}


@within("name", COMPOSED)
def test_compositions(name):
    """Recurrences cancel: in numbers of 53 bits, order 30 would be left with 10 of them here and there."""
    build, f, x, radius = COMPOSED[name]
    assert error(series(build, x), reference(f, x, radius), radius) < 1e-13


def test_scale():
    """Squares that are out of range do not matter."""
    for s in (1e-180, 1e180):
        graph = Graph(2)
        start = [[[5 * s, s], [12 * s, 0]]]
        norm = graph.series(graph.norm(graph.x, aux=2), start, 2)[0, 0]
        np.testing.assert_allclose(norm / s, [13, 5 / 13, 144 / 13**3 / 2], rtol=1e-14)
        angle = graph.series(graph.arctan2(graph.x[:1], graph.x[1:]), start, 2)[0, 0]
        np.testing.assert_allclose(angle, [np.arctan2(5, 12), 12 / 169, -60 / 169**2], rtol=1e-14)
    for name, expected in [
        ("arcsinh", [np.arcsinh(1e200), 1, -0.5]),
        ("arccosh", [np.arccosh(1e200), 1, -0.5]),
        ("arctan", [np.pi / 2, 1e-200, -1e-200]),
    ]:
        graph = Graph()
        found = graph.series(getattr(graph, name)(graph.x), [[[1e200, 1e200]]], 2)[0, 0]
        np.testing.assert_allclose(found, expected, rtol=1e-14)


def operands_of(name):
    if name in ("select", "multiply_add"):
        return 3
    pairs = "add subtract multiply divide divide_or_zero power arctan2 maximum minimum logaddexp fmod copysign dot"
    return 2 if name in f"{pairs} less less_equal equal not_equal logical_and logical_or".split() else 1


@pytest.mark.parametrize("n", [1, 3, 9, 20])
def test_one_point_has_the_bits_of_many(n):
    """Lanes hold points, elements of a run, or terms of a sum: each series is computed alike."""
    rng = np.random.default_rng(n)
    points = rng.uniform(0.2, 0.9, (19, n, 2))
    points[rng.random(points.shape) < 0.1] = 0
    for name in OPS:
        if name in ("input", "constant", "callback", "solve", "determinant"):
            continue
        aux = n if name in ("sum", "dot", "norm") else 3 if name in ("integer_power", "polygamma") else 0
        g = Graph(n)
        y = g.add(g.multiply(g.x, g.sin(g.x)), g.number(0.1))
        z = np.where(np.arange(n) % 2, g.exp(g.x), g.number(0.7))
        out = g.negative(getattr(g, name)(*[y, z, g.x][: operands_of(name)], aux=aux))
        plan = _core.TaylorPlan(g.graph, out, 2, 9)
        many = plan(points)
        with saying(name):
            for i in range(len(points)):
                np.testing.assert_array_equal(plan(points[i : i + 1])[0], many[i])


def test_polynomials_of_the_inputs():
    """Inputs may be any polynomials of t, parameters are constant."""
    graph = Graph(2)
    first = graph.graph.input(1)
    out = graph.multiply(graph.multiply(graph.x[:1], graph.x[1:]), np.array([first], np.int32))
    plan = _core.TaylorPlan(graph.graph, out, 3, 5)
    found = plan(np.array([[[1.0, 2, 3], [4, 5, 6]]]), np.array([2.0]))[0, 0]
    np.testing.assert_array_equal(found, [*(2 * np.convolve([1, 2, 3], [4, 5, 6])), 0])


def test_arguments():
    graph = Graph(2)
    plan = _core.TaylorPlan(graph.graph, graph.exp(graph.x), 2, 3)
    assert (plan.order, plan.n_outputs, plan.has_callback) == (3, 2, False)
    assert plan(np.zeros((0, 2, 2))).shape == (0, 2, 4)
    for wrong in [np.zeros((1, 2, 3)), np.zeros((1, 3, 2)), np.zeros((2, 2))]:
        with pytest.raises(ValueError, match="coefficients"):
            plan(wrong)
    for order in (-1, 1001):
        with pytest.raises(ValueError, match="order"):
            _core.TaylorPlan(graph.graph, graph.x, 2, order)
    with pytest.raises(ValueError, match="outputs"):
        _core.TaylorPlan(graph.graph, np.array([10**6], np.int32), 2, 1)
