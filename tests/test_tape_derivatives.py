"""Derivatives of traced functions: each rule against 50 digits, forward against reverse, kinks, and the strong zero."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import scipy.optimize
from cases import saying, within
from test_tape_graph import emit, graph_of

from mmlfast._reference.tape import evaluate

INF = np.inf


def constant(graph, *values):
    return graph.constants(np.array(values, dtype=float))


def gradient(graph, y, x):
    """Ids of the gradient of the one value y."""
    assert len(y) == 1
    return graph.vjp(y, constant(graph, 1.0), x)


def unit_vectors(graph, n):
    """Ids of the rows of a unit matrix, -1 where it is 0."""
    return np.where(np.eye(n, dtype=bool), constant(graph, 1.0), -1).astype(np.int32)


def forward(graph, y, x):
    """Ids of the Jacobian, a column after the other."""
    return np.stack([graph.jvp(x, tangents, y) for tangents in unit_vectors(graph, len(x))], axis=1)


def reverse(graph, y, x):
    """Ids of the Jacobian, a row after the other."""
    return np.stack([graph.vjp(y, seeds, x) for seeds in unit_vectors(graph, len(y))])


def both_gradients(write, *points):
    """The gradient by both ways, which agree to rounding, at each point; NaN is no agreement."""
    graph, x = graph_of(len(points[0]))
    y = write(graph, x)
    ways = [gradient(graph, y, x), forward(graph, y, x)[0]]
    results = []
    for point in points:
        one, other = (evaluate(graph, ids, np.asarray(point, dtype=float)) for ids in ways)
        np.testing.assert_allclose(one, other, rtol=1e-14, atol=1e-300, equal_nan=False)
        results.append(one)
    return results[0] if len(points) == 1 else results


def hessians(write, point):
    """By forward over reverse, reverse over reverse, and forward over forward."""
    graph, x = graph_of(len(point))
    y = write(graph, x)
    first = gradient(graph, y, x)
    n = len(x)
    dense = np.where(first >= 0, first, constant(graph, 0.0))
    ways = [forward(graph, dense, x), reverse(graph, dense, x)]
    tangent = forward(graph, y, x)[0]
    ways.append(forward(graph, np.where(tangent >= 0, tangent, constant(graph, 0.0)), x))
    return [evaluate(graph, ids.ravel(), np.asarray(point, dtype=float)).reshape(n, n) for ids in ways]


# ---- every rule against 50 digits ----

mp = mpmath.mp.clone()
mp.dps = 50

ORDINARY = [-2.7, -0.3, 0.4, 1.9]
POSITIVE = [1e-200, 1e-3, 0.7, 5.0, 1e200]
INSIDE = [-0.999999, -0.4, 1e-9, 0.6, 0.99]

ONE = {
    "negative": (lambda a: -a, ORDINARY),
    "sqrt": (mp.sqrt, POSITIVE),
    "cbrt": (lambda a: mp.sign(a) * mp.cbrt(abs(a)), [-8.5, -1e-90, 1e-90, 0.3, 7.0, 1e90]),
    "exp": (mp.exp, [-700.0, -1.0, 1e-8, 3.0, 700.0]),
    "exp2": (lambda a: mp.mpf(2) ** a, [-900.0, -1.5, 1e-8, 900.0]),
    "expm1": (mp.expm1, [-40.0, -1e-9, 1e-9, 2.0, 600.0]),
    "log": (mp.log, POSITIVE),
    "log2": (lambda a: mp.log(a) / mp.log(2), POSITIVE),
    "log10": (mp.log10, POSITIVE),
    "log1p": (lambda a: mp.log(1 + a), [-0.999, -1e-9, 1e-300, 4.0, 1e200]),
    "sin": (mp.sin, ORDINARY),
    "cos": (mp.cos, ORDINARY),
    "tan": (mp.tan, [-1.5, -0.3, 0.4, 1.57]),
    "arcsin": (mp.asin, INSIDE),
    "arccos": (mp.acos, INSIDE),
    "arctan": (mp.atan, [-1e100, -2.0, 1e-9, 3.0, 1e150]),
    "sinh": (mp.sinh, ORDINARY),
    "cosh": (mp.cosh, ORDINARY),
    "tanh": (mp.tanh, [-150.0, -20.0, -0.4, 1e-9, 2.0, 19.0]),
    "arcsinh": (mp.asinh, [-1e170, -3.0, 1e-9, 2.0, 1e200]),
    "arccosh": (mp.acosh, [1.0001, 1.5, 10.0, 1e200]),
    "arctanh": (mp.atanh, INSIDE),
    "erf": (mp.erf, [-5.0, -0.4, 1e-9, 2.0]),
    "erfc": (mp.erfc, [-5.0, -0.4, 1e-9, 2.0, 20.0]),
    "gammaln": (mp.loggamma, [0.02, 0.9, 3.3, 40.0]),
    "expit": (lambda a: 1 / (1 + mp.exp(-a)), [-300.0, -30.0, -0.4, 0.0, 2.0, 30.0]),
    "softplus": (lambda a: mp.log(1 + mp.exp(a)), [-300.0, -30.0, -0.4, 0.0, 2.0, 30.0]),
}


def derivatives_by_mpmath(f, a):
    """The first and the second, of an analytic function: differences of a step that many more digits allow."""
    step = mp.mpf(10) ** -35 * (abs(mp.mpf(a)) or 1)
    with mp.workdps(400 + 4 * int(abs(mp.log10(step)))):
        low, mid, high = (f(mp.mpf(a) + k * step) for k in (-1, 0, 1))
        return mp.re((high - low) / (2 * step)), mp.re((high - 2 * mid + low) / step**2)


def assert_derivatives(graph, y, x, point, exact_first, exact_second):
    """Of one value by the last of x, which the others are constants of."""
    first = gradient(graph, y, x[-1:])
    second = graph.vjp(first, constant(graph, 1.0), x[-1:]) if first[0] >= 0 else first
    ahead = graph.jvp(x[-1:], constant(graph, 1.0), y)
    ahead_twice = graph.jvp(x[-1:], constant(graph, 1.0), ahead) if ahead[0] >= 0 else ahead
    for ids, exact in ((first, exact_first), (ahead, exact_first), (second, exact_second), (ahead_twice, exact_second)):
        got = evaluate(graph, ids, np.array(point, dtype=float))[0]
        near = abs(got - exact) <= 1e-13 * abs(exact) + mp.mpf("1e-290") if np.isfinite(float(exact)) else False
        assert near or got == float(exact), (got, float(exact))


@within("name", ONE)
def test_rules_of_one_operand(name):
    f, points = ONE[name]
    for a in points:
        graph, x = graph_of(1)
        with saying(a):
            assert_derivatives(graph, emit(graph, name, x), x, [a], *derivatives_by_mpmath(f, a))


@within("k", [-3, -2, -1, 2, 3, 7, 64])
def test_integer_powers(k):
    for a in (-1.5, -1e-3, 0.3, 2.0, 5.0):
        graph, x = graph_of(1)
        with saying(a):
            y = emit(graph, "integer_power", x, aux=k)
            assert_derivatives(graph, y, x, [a], *derivatives_by_mpmath(lambda a: a**k, a))


@within("m", [0, 1, 3])
def test_polygamma(m):
    for a in (0.05, 0.7, 6.5):
        graph, x = graph_of(1)
        exact = mp.polygamma(m + 1, a), mp.polygamma(m + 2, a)
        with saying(a):
            assert_derivatives(graph, emit(graph, "polygamma", x, aux=m), x, [a], *exact)


TWO = {
    "add": (lambda a, b: a + b, [(0.3, -2.0)]),
    "subtract": (lambda a, b: a - b, [(0.3, -2.0)]),
    "multiply": (lambda a, b: a * b, [(0.3, -2.0), (0.0, 3.0), (1e-200, 1e200)]),
    "divide": (lambda a, b: a / b, [(0.3, -2.0), (0.0, 3.0), (4e-175, 2e-165), (-3.0, 1e120)]),
    "divide_or_zero": (lambda a, b: a / b, [(0.3, -2.0), (0.0, 3.0), (4e-175, 2e-165)]),
    "power": (lambda a, b: a**b, [(0.3, -2.0), (2.5, 1.7), (1e-60, 2.0), (3.0, 0.25)]),
    "arctan2": (mp.atan2, [(0.3, -2.0), (-3.0, 0.7), (5e-180, 12e-180), (5e150, 12e150)]),
    "maximum": (lambda a, b: max(a, b), [(0.3, -2.0), (-2.0, 0.3)]),
    "minimum": (lambda a, b: min(a, b), [(0.3, -2.0), (-2.0, 0.3)]),
    "logaddexp": (lambda a, b: mp.log(mp.exp(a) + mp.exp(b)), [(0.3, -2.0), (2.0, 2.0), (0.0, 300.0), (300.0, 0.0)]),
    "fmod": (lambda a, b: a - b * int(a / b), [(7.3, 2.0), (-7.3, 2.0)]),
    "copysign": (lambda a, b: abs(a) * mp.sign(b), [(0.3, -2.0), (-0.3, -2.0), (-0.3, 2.0)]),
}


@within("name", TWO)
def test_rules_of_two_operands(name):
    f, points = TWO[name]
    for a, b in points:
        for k, exact in enumerate((lambda t, b=b: f(t, mp.mpf(b)), lambda t, a=a: f(mp.mpf(a), t))):
            graph, x = graph_of(2)
            y = emit(graph, name, x[:1], x[1:])
            with saying(a, b, "by operand", k):
                assert_derivatives(graph, y, np.roll(x, 1 - k), [a, b], *derivatives_by_mpmath(exact, (a, b)[k]))


def random_function(rng, graph, x):
    """A value of many operations, all analytic where they are used."""
    values = list(x)
    for _ in range(25):
        n = int(rng.integers(1, 4))
        a, b = (np.array([values[i] for i in rng.integers(0, len(values), n)]) for _ in range(2))
        name = str(rng.choice(["add", "subtract", "multiply", "divide", "sin", "exp", "sqrt", "dot", "select", "norm"]))
        above = emit(graph, "add", constant(graph, 1.5), emit(graph, "integer_power", b, aux=2))
        if name in ("add", "subtract", "multiply"):
            y = emit(graph, name, a, b)
        elif name == "divide":
            y = emit(graph, name, a, above)
        elif name == "exp":
            y = emit(graph, name, emit(graph, "sin", a))
        elif name == "sqrt":
            y = emit(graph, name, above)
        elif name == "dot":
            y = emit(graph, name, a, b, aux=n)
        elif name == "norm":
            y = emit(graph, name, np.concatenate([above, above[::-1]]), aux=2 * n)
        elif name == "select":
            y = emit(graph, name, emit(graph, "less", a, b), a, emit(graph, "sin", b))
        else:
            y = emit(graph, name, a)
        values += list(emit(graph, "sin", y) if rng.random() < 0.5 else y)
    return emit(graph, "sum", np.array(values[-9:]), aux=9)


@within("seed", range(60))
def test_random_functions_agree_with_complex_steps(seed):
    rng = np.random.default_rng(seed)
    graph, x = graph_of(4)
    y = random_function(rng, graph, x)
    point = rng.normal(size=4)
    exact = [evaluate(graph, y, point + 1e-30j * np.eye(4)[j])[0].imag / 1e-30 for j in range(4)]
    scale = 1e-13 * np.max(np.abs(exact))
    gradients = gradient(graph, y, x), forward(graph, y, x)[0]
    for ids in gradients:
        np.testing.assert_allclose(evaluate(graph, ids, point), exact, rtol=1e-11, atol=scale)
    dense = np.where(gradients[0] >= 0, gradients[0], constant(graph, 0.0))
    stepped = np.stack([evaluate(graph, dense, point + 1e-30j * np.eye(4)[j]).imag / 1e-30 for j in range(4)])
    scale = 1e-12 * np.max(np.abs(stepped))
    for ids in (forward(graph, dense, x), reverse(graph, dense, x)):
        np.testing.assert_allclose(evaluate(graph, ids.ravel(), point).reshape(4, 4), stepped, rtol=1e-10, atol=scale)


# ---- what was not chosen adds exactly nothing ----


def where(graph, condition, p, q):
    return emit(graph, "select", condition, p, q)


def number(graph, value):
    return constant(graph, value)


def total(graph, terms):
    return emit(graph, "sum", terms, aux=len(terms))


def entropy(graph, p):
    positive = emit(graph, "less", number(graph, 0.0), p)
    terms = emit(graph, "multiply", p, emit(graph, "log", p))
    return emit(graph, "negative", total(graph, where(graph, positive, terms, number(graph, 0.0))))


def drag(graph, v):
    positive = emit(graph, "less", number(graph, 0.0), v)
    fast = emit(graph, "multiply", v, emit(graph, "sqrt", v))
    return total(graph, where(graph, positive, fast, emit(graph, "negative", v)))


def cap(graph, v):
    height = emit(graph, "subtract", number(graph, 1.0), emit(graph, "dot", v, v, aux=2))
    root = emit(graph, "sqrt", emit(graph, "maximum", height, number(graph, 0.0)))
    return emit(graph, "add", root, v[:1])


def clip(graph, x, low, high):
    return emit(graph, "minimum", emit(graph, "maximum", x, number(graph, low)), number(graph, high))


def angle(graph, v):
    cosine = clip(graph, emit(graph, "multiply", v[:1], v[1:]), -1.0, 1.0)
    return emit(graph, "add", emit(graph, "arccos", cosine), v[1:])


def saturated(graph, v):
    small = emit(graph, "less", v, number(graph, 50.0))
    return total(graph, where(graph, small, emit(graph, "log1p", emit(graph, "exp", v)), v))


def mean_of_group(graph, v):
    some = emit(graph, "less", number(graph, 0.0), v[1:])
    return where(graph, some, emit(graph, "divide", v[:1], v[1:]), number(graph, 0.0))


def root_of_positive_parts(graph, v):
    return emit(graph, "sqrt", total(graph, emit(graph, "maximum", v, number(graph, 0.0))))


def numbers_as_conditions(graph, v):
    chosen = where(graph, v, emit(graph, "divide", number(graph, 1.0), v), number(graph, 0.0))
    return emit(graph, "sqrt", total(graph, emit(graph, "absolute", chosen)))


def nested(graph, v):
    inner = where(graph, emit(graph, "less", number(graph, 0.0), v), emit(graph, "sqrt", v), emit(graph, "exp", v))
    quotient = emit(graph, "divide", inner, emit(graph, "absolute", emit(graph, "floor", v)))
    return total(graph, where(graph, emit(graph, "less_equal", number(graph, 1.0), v), quotient, v))


NOT_CHOSEN = [  # function, point, gradient
    (entropy, [0, 0.25, 0.75], [0, 0.38629436111989063, -0.71231792754821907]),
    (drag, [0, -1.44, 2.25], [-1, -1, 2.25]),
    (cap, [0.9, 0.8], [1, 0]),
    (angle, [1.25, 1.0], [0, 1]),
    (saturated, [-1.0, 1000.0], [0.26894142136999512, 1]),
    (mean_of_group, [3.0, 0.0], [0, 0]),
    (mean_of_group, [3.0, 2.0], [0.5, -0.75]),
    (root_of_positive_parts, [-1.0, -2.0, -3.0, -4.0], [0, 0, 0, 0]),
    (root_of_positive_parts, [4.0, -2.0, 5.0, 0.0], [1 / 6, 0, 1 / 6, 1 / 12]),
    (numbers_as_conditions, [0.0, 0.0, 0.0], [0, 0, 0]),
    (numbers_as_conditions, [0.0, -0.25, 0.0], [0, 4, 0]),
    (nested, [0.0, 0.5, 4.0, -1e300], [1, 1, 0.0625, 1]),
]


@within("case", NOT_CHOSEN, say=lambda case: (case[0].__name__, case[1]))
def test_branches_that_were_not_taken(case):
    write, point, expected = case
    np.testing.assert_allclose(both_gradients(write, point), expected, rtol=1e-14)
    with saying("second derivatives"):
        for hessian in hessians(write, point):
            assert np.isfinite(hessian).all(), hessian


def test_second_derivatives_of_branches():
    for hessian in hessians(drag, [0, -1.44, 2.25]):
        assert np.array_equal(hessian, np.diag([0, 0, 0.5]))
    for hessian in hessians(mean_of_group, [3.0, 2.0]):
        np.testing.assert_allclose(hessian, [[0, -0.25], [-0.25, 0.75]], rtol=1e-15)
    for hessian in hessians(mean_of_group, [3.0, 0.0]):
        assert not hessian.any()


def every_masked_primitive(graph, x, name):
    """The primitive of x, whatever it gives at 0, where x > 0, else x."""
    if name == "power":
        y = emit(graph, name, x, number(graph, -1.7))
    elif name == "divide" or name == "fmod":
        y = emit(graph, name, number(graph, 1.0), x)
    elif name in TWO:
        y = emit(graph, name, x, emit(graph, "log", x))
    elif name in ("norm", "dot"):
        logs = emit(graph, "log", x)
        y = emit(graph, name, *([np.concatenate([logs, x])] * (1 + (name == "dot"))), aux=2)
    elif name == "solve":
        y = emit(graph, name, emit(graph, "multiply", x, x), x, aux=1)
    elif name == "determinant":
        y = emit(graph, name, emit(graph, "log", x), aux=1)
    elif name == "polygamma":
        y = emit(graph, name, x, aux=1)
    elif name == "integer_power":
        y = emit(graph, name, x, aux=-3)
    else:
        y = emit(graph, name, emit(graph, "log", x))
    y = emit(graph, "exp", emit(graph, "multiply", y, y))
    return where(graph, emit(graph, "less", number(graph, 0.0), x), y, x)


@within("name", [*ONE, *TWO, "norm", "dot", "solve", "determinant", "polygamma", "integer_power"])
def test_every_primitive_behind_a_condition(name):
    def write(graph, x):
        return every_masked_primitive(graph, x, name)

    assert both_gradients(write, [0.0]) == 1
    assert both_gradients(write, [-3.0]) == 1
    for hessian in hessians(write, [0.0]):
        assert hessian == 0


def test_only_what_was_not_chosen_gets_the_strong_zero():
    def hidden_square(graph, x):
        return emit(graph, "power", emit(graph, "sqrt", x), number(graph, 2.0))

    def hidden_identity(graph, x):
        one = number(graph, 1.0)
        return emit(graph, "divide", one, emit(graph, "divide", one, x))

    for write in (hidden_square, hidden_identity):
        graph, x = graph_of(1)
        y = write(graph, x)
        for ids in (gradient(graph, y, x), forward(graph, y, x)[0]):
            value = evaluate(graph, ids, np.array([0.0]))[0]
            assert value == 1 or not np.isfinite(value)


def test_no_contribution_is_masked_on_both_sides_of_a_condition():
    graph, x = graph_of(1)
    positive = emit(graph, "less", number(graph, 0.0), x)
    y = where(graph, positive, emit(graph, "sin", x), emit(graph, "cos", x))
    y = emit(graph, "exp", y)
    names = [run[0] for run in graph.runs(gradient(graph, y, x))]
    assert "logical_or" not in names


# ---- smooth functions with a zero inside, and the unit of the data ----


def test_distance_at_the_target():
    def write(graph, v):
        norm = emit(graph, "norm", emit(graph, "subtract", v, constant(graph, 1.0, 2.0)), aux=2)
        return emit(graph, "exp", emit(graph, "negative", emit(graph, "power", norm, number(graph, 2.0))))

    assert np.array_equal(both_gradients(write, [1.0, 2.0]), [0, 0])
    for hessian in hessians(write, [1.0, 2.0]):
        assert np.array_equal(hessian, -2 * np.eye(2))


def test_polynomials_by_exponents_at_zero():
    def write(graph, t):
        powers = emit(graph, "power", t, constant(graph, 0.0, 1.0, 2.0), count=3)
        return emit(graph, "dot", constant(graph, 7.0, -3.0, 2.0), powers, aux=3)

    assert both_gradients(write, [0.0]) == -3
    for hessian in hessians(write, [0.0]):
        assert hessian == 4


def test_powers_of_zero_and_with_the_exponent_zero():
    def write(graph, v):
        return emit(graph, "power", v[:1], v[1:])

    assert np.array_equal(both_gradients(write, [0.0, 2.0]), [0, 0])
    assert np.array_equal(both_gradients(write, [0.0, 1.0]), [1, 0])
    for ways in (gradient, lambda *args: forward(*args)[0]):
        graph, x = graph_of(2)
        assert evaluate(graph, ways(graph, write(graph, x), x), np.array([0.0, 0.0]))[0] == 0
    for hessian in hessians(write, [2.5, 0.0]):
        np.testing.assert_allclose(hessian, [[0, 0.4], [0.4, np.log(2.5) ** 2]], rtol=1e-14)


def test_high_derivatives_at_zero_stop_at_the_power_zero():
    expected = {"cos": [0, 0, 0, -12, 0, 0], "exp": [0, -2, 0, 12, 0, -120]}
    for name, values in expected.items():
        graph, t = graph_of(1)
        square = emit(graph, "integer_power", t, aux=2)
        y = emit(graph, name, square if name == "cos" else emit(graph, "negative", square))
        for k, value in enumerate(values):
            y = gradient(graph, y, t)
            with saying(name, k + 1):
                assert evaluate(graph, y, np.array([0.0]))[0] == value


@within("s", [1e-180, 1.0, 1e180])
def test_units_do_not_matter(s):
    def angle(graph, v):
        return emit(graph, "arctan2", v[:1], v[1:])

    def hypot(graph, v):
        return emit(graph, "norm", v, aux=2)

    point = [5 * s, 12 * s]
    np.testing.assert_allclose(both_gradients(hypot, point), [5 / 13, 12 / 13], rtol=1e-14)
    np.testing.assert_allclose(both_gradients(angle, point) * s, [12 / 169, -5 / 169], rtol=1e-14)


def test_soft_maxima():
    def soft(graph, t):
        return emit(graph, "logaddexp", t, number(graph, 0.0))

    assert np.array_equal(np.ravel(both_gradients(soft, [0.0], [1000.0], [-1000.0])), [0.5, 1, 0])
    for point, value in ((0.0, 0.25), (1000.0, 0.0), (-1000.0, 0.0)):
        for hessian in hessians(soft, [point]):
            assert hessian == value

    def masked(graph, v):
        return emit(graph, "logaddexp", v[:1], number(graph, -INF))

    assert both_gradients(masked, [3.0]) == 1
    assert both_gradients(masked, [-INF]) == 0.5


# ---- kinks ----


def test_kinks():
    def of(name, *more):
        return lambda graph, x: emit(graph, name, x, *(number(graph, value) for value in more))

    assert both_gradients(of("absolute"), [0.0]) == 0
    assert both_gradients(of("maximum", 0.0), [0.0]) == 0.5
    assert both_gradients(of("minimum", 0.0), [0.0]) == 0.5
    for point, slope in ((-1.0, 0.5), (1.0, 0.5), (0.3, 1), (-1.5, 0), (7.0, 0)):
        assert both_gradients(lambda graph, x: clip(graph, x, -1.0, 1.0), [point]) == slope
    for name in ("sign", "floor", "ceil", "trunc", "rint"):
        graph, x = graph_of(1)
        assert gradient(graph, emit(graph, name, x), x)[0] == -1
        assert forward(graph, emit(graph, name, x), x)[0, 0] == -1
    for hessian in hessians(lambda graph, x: emit(graph, "integer_power", emit(graph, "absolute", x), aux=3), [0.0]):
        assert hessian == 0
    assert np.array_equal(both_gradients(lambda graph, x: emit(graph, "norm", x, aux=2), [0.0, 0.0]), [0, 0])
    assert np.array_equal(both_gradients(lambda graph, v: emit(graph, "arctan2", v[:1], v[1:]), [0.0, 0.0]), [0, 0])


def test_ties_share():
    def largest(graph, v):
        return emit(graph, "maximum", emit(graph, "maximum", v[:1], v[1:2]), v[2:])

    assert np.array_equal(both_gradients(largest, [3.0, 7.0, 7.0]), [0, 0.5, 0.5])
    shares = both_gradients(largest, [7.0, 7.0, 7.0])
    assert shares.sum() == 1
    assert (shares >= 0).all()
    graph, x = graph_of(1)
    y = emit(graph, "maximum", x, emit(graph, "multiply", x, number(graph, 1.0)))
    assert evaluate(graph, gradient(graph, y, x), np.array([2.0]))[0] == 1


# ---- reductions, gathers, matrices, functions of the user's own ----


def test_repeated_values_count_each_time():
    def write(graph, v):
        chosen = v[[0, 0, 1]]
        return emit(graph, "dot", chosen, chosen, aux=3)

    assert np.array_equal(both_gradients(write, [3.0, 1.0]), [12, 2])

    def differences(graph, v):
        rows, columns = np.repeat(v, 3), np.tile(v, 3)
        return total(graph, emit(graph, "integer_power", emit(graph, "subtract", rows, columns), aux=2))

    assert np.array_equal(both_gradients(differences, [1.0, 3.0, 8.0]), [-36, -12, 48])


def test_products_with_a_matrix_are_dots_again(rng):
    a = rng.normal(size=(3, 4))
    graph, x = graph_of(4)
    ids = graph.constants(a)
    y = emit(graph, "dot", ids.ravel(), np.tile(x, 3), aux=4)
    z = gradient(graph, emit(graph, "sum", emit(graph, "sin", y), aux=3), x)
    assert [run[0] for run in graph.runs(z)][-1] == "dot"
    point = rng.normal(size=4)
    np.testing.assert_allclose(evaluate(graph, z, point), a.T @ np.cos(a @ point), rtol=1e-14)
    for jacobian in (forward(graph, y, x), reverse(graph, y, x)):
        assert np.array_equal(evaluate(graph, jacobian.ravel(), point).reshape(3, 4), a)


def test_solve(rng):
    n, columns = 3, 2
    graph, x = graph_of(n * n + n * columns)
    y = emit(graph, "solve", x[: n * n], x[n * n :], aux=n)
    point = rng.normal(size=len(x)) + np.concatenate([3 * np.eye(n).ravel(), np.zeros(n * columns)])
    solution = np.linalg.solve(point[:9].reshape(n, n), point[9:].reshape(n, columns))
    inverse = np.linalg.inv(point[:9].reshape(n, n))
    by_a = -np.einsum("ia,bj->ijab", inverse, solution).reshape(6, 9)
    by_b = np.einsum("ib,jk->ijbk", inverse, np.eye(2)).reshape(6, 6)
    for jacobian in (forward(graph, y, x), reverse(graph, y, x)):
        got = evaluate(graph, jacobian.ravel(), point).reshape(6, 15)
        np.testing.assert_allclose(got, np.hstack([by_a, by_b]), rtol=1e-12, atol=1e-14)

    def write(graph, x):
        return total(graph, emit(graph, "sin", emit(graph, "solve", x[: n * n], x[n * n :], aux=n)))

    one, *others = hessians(write, point)
    for other in others:
        np.testing.assert_allclose(other, one, rtol=1e-11, atol=1e-12)
    step = 1e-6 * np.eye(15)[4]
    graph, x = graph_of(15)
    first = gradient(graph, write(graph, x), x)
    difference = (evaluate(graph, first, point + step) - evaluate(graph, first, point - step)) / 2e-6
    np.testing.assert_allclose(one[4], difference, rtol=1e-6, atol=1e-8)


def test_determinant(rng):
    a = rng.normal(size=(4, 4))
    got = both_gradients(lambda graph, x: emit(graph, "determinant", x, aux=4), a.ravel())
    np.testing.assert_allclose(got, (np.linalg.det(a) * np.linalg.inv(a).T).ravel(), rtol=1e-12)


def test_callbacks_have_the_derivatives_that_came_with_them():
    graph, x = graph_of(2)
    zero = constant(graph, 0.0)
    partials = np.concatenate([x[1:], x[:1], emit(graph, "exp", x[:1]), zero])
    y = graph.callback(0, x, 2, partials)
    z = emit(graph, "sum", emit(graph, "integer_power", y, aux=2), aux=2)
    functions = [lambda v: np.array([v[0] * v[1], np.exp(v[0])])]
    point = np.array([0.5, 3.0])
    exact = [2 * 1.5 * 3 + 2 * np.exp(1.0), 2 * 1.5 * 0.5]
    for ids in (gradient(graph, z, x), forward(graph, z, x)[0]):
        np.testing.assert_allclose(evaluate(graph, ids, point, callbacks=functions), exact, rtol=1e-14)
    unknown = graph.callback(1, x, 1)
    with pytest.raises(ValueError, match="without derivatives"):
        gradient(graph, unknown, x)
    with pytest.raises(ValueError, match="without derivatives"):
        forward(graph, unknown, x)


# ---- structural zeros, and nested derivatives ----


def test_what_does_not_depend_is_absent():
    graph, x = graph_of(3)
    y = emit(graph, "multiply", x, constant(graph, 2.0, 0.0, 3.0))
    y = emit(graph, "add", y, constant(graph, 1.0))
    assert (gradient(graph, y[:1], x) >= 0).tolist() == [True, False, False]
    assert (gradient(graph, y[1:2], x) >= 0).tolist() == [False, False, False]
    assert (reverse(graph, y, x) >= 0).tolist() == [[True, False, False], [False] * 3, [False, False, True]]
    assert np.array_equal(forward(graph, y, x) >= 0, reverse(graph, y, x) >= 0)
    assert graph.vjp(y, np.full(3, -1), x).tolist() == [-1, -1, -1]


def test_derivatives_inside_of_derivatives():
    """d/dx of x times d/dy (x + y) at y = x: the inner derivative does not see the outer x."""
    graph, x = graph_of(1)
    y = graph.identity(x)
    inner = gradient(graph, emit(graph, "multiply", emit(graph, "add", x, y), y), y)  # x + 2 y
    outer = emit(graph, "multiply", x, inner)  # 3 x ** 2
    assert evaluate(graph, gradient(graph, outer, x), np.array([5.0]))[0] == 30


def test_runs_stay_runs():
    n = 1000
    graph, x = graph_of(n)
    square = emit(graph, "integer_power", x[:-1], aux=2)
    valley = emit(graph, "integer_power", emit(graph, "subtract", x[1:], square), aux=2)
    slope = emit(graph, "integer_power", emit(graph, "subtract", number(graph, 1.0), x[:-1]), aux=2)
    terms = emit(graph, "add", emit(graph, "multiply", number(graph, 100.0), valley), slope)
    y = total(graph, terms)
    first = gradient(graph, y, x)
    assert len(graph.runs(first)) < 40
    point = np.linspace(-1, 2, n)
    np.testing.assert_allclose(evaluate(graph, first, point), scipy.optimize.rosen_der(point), rtol=1e-13, atol=1e-11)


def test_long_chains_need_no_stack():
    graph, x = graph_of(1)
    y = x
    for _ in range(50_000):
        y = emit(graph, "sin", y)
    first = gradient(graph, y, x)
    assert graph.n_runs > 100_000
    assert np.isfinite(evaluate(graph, first, np.array([0.5]))).all()
    assert forward(graph, y, x)[0, 0] >= 0
