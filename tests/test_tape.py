"""Each operation of a traced function: against NumPy, SciPy and mpmath, for one point and for many."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from cases import saying

from mmlfast._core import TapeGraph, TapeProgram, tape_ops
from mmlfast._reference.tape import evaluate

ONE = [
    "negative absolute sign sqrt cbrt exp exp2 expm1 log log2 log10 log1p sin cos tan arcsin arccos arctan sinh cosh",
    "tanh arcsinh arccosh arctanh erf erfc gammaln expit softplus floor ceil trunc rint logical_not",
]
ONE = " ".join(ONE).split()
TWO = [
    "add subtract multiply divide divide_or_zero power arctan2 maximum minimum logaddexp fmod copysign",
    "less less_equal equal not_equal logical_and logical_or",
]
TWO = " ".join(TWO).split()
THREE = ["select", "multiply_add"]
COUNTS = (1, 2, 7, 8, 9, 17, 70)
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 1e-310, -1e-310, 1e300, -1e300, np.inf, -np.inf, np.nan, 3.0, 41.0, 1e-20]


def emit(graph, name, *operands, **more):
    return graph.emit(tape_ops[name], *operands, **more)


def program_of(name, n, m, k=1, aux=0):
    """name of k operands of m values among the n of each point."""
    graph = TapeGraph()
    x = np.arange(graph.input(n), n, dtype=np.int32)
    operands = [x[i * m : (i + 1) * m] for i in range(k)]
    return graph, emit(graph, name, *operands, aux=aux)


def both_ways(graph, outputs, points, *parameters):
    """The values for the points, which are the same for each of them alone."""
    program = TapeProgram(graph, outputs)
    many = program.batch(points, *parameters)
    alone = np.array([program(x, *parameters) for x in points]).reshape(many.shape)
    np.testing.assert_array_equal(many, alone)
    np.testing.assert_array_equal(np.signbit(many), np.signbit(alone))
    return many


def operands_of(name):
    return 1 if name in ONE else 3 if name in THREE else 2


def assert_close(got, want, ulps):
    with np.errstate(all="ignore"):
        unit = np.spacing(np.maximum(np.abs(want), np.finfo(float).tiny))
        good = (got == want) | (np.isnan(got) & np.isnan(want)) | (np.abs(got - want) <= ulps * unit)
    assert good.all(), (got[~good], want[~good])


def numbers(rng, shape):
    return np.where(rng.random(shape) < 0.7, rng.normal(size=shape) * 3, rng.choice(SPECIAL, shape))


LOOSE = ("erfc", "gammaln", "logaddexp")


@pytest.mark.parametrize("name", [*ONE, *TWO, *THREE])
def test_elementwise(name, rng):
    k = operands_of(name)
    for count in COUNTS:
        graph, y = program_of(name, k * count, count, k)
        points = numbers(rng, (19, k * count))
        if name == "gammaln":
            points = np.maximum(abs(points), 1e-20)
        if name == "multiply_add":
            points = rng.normal(size=points.shape)
        got = both_ways(graph, y, points)
        want = np.array([evaluate(graph, y, x) for x in points])
        with saying(f"{name}, {count}"):
            if name == "multiply_add":
                np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)
            elif name in LOOSE:  # as SciPy is; they are measured in test_simd_math.py
                np.testing.assert_allclose(got, want, rtol=1e-14, atol=1e-15)
            else:
                assert_close(got, want, 5)


@pytest.mark.parametrize("name", ["add", "power", "select", "multiply_add", "arctan2"])
def test_operands_of_every_kind(name, rng):
    """Runs, lists, one value for all, each of the point, of a parameter or constant, and mixed."""
    k = operands_of(name)
    m = 11
    for trial in range(40):
        graph = TapeGraph()
        x = np.arange(graph.input(2 * m), 2 * m, dtype=np.int32)
        p = np.arange(graph.input(2 * m), 4 * m, dtype=np.int32)
        c = graph.constants(rng.uniform(0.5, 2, 2 * m))
        pool = np.concatenate([x, p, c])
        kinds = [
            lambda v: v[3 : 3 + m],
            lambda v: v[rng.integers(0, 2 * m, m)],
            lambda v: v[::2][:m],
            lambda v: np.repeat(v[rng.integers(0, 2 * m)], m),
        ]
        operands = []
        for j in range(k):
            source = [x, p, c][rng.integers(3)] if j + 1 < k else x
            kind = rng.integers(5)
            operands.append(pool[rng.integers(0, 6 * m, m)] if kind == 4 else kinds[kind](source))
        y = emit(graph, name, *operands)
        points, parameters = rng.uniform(0.5, 2, (21, 2 * m)), rng.uniform(0.5, 2, 2 * m)
        got = both_ways(graph, y, points, parameters)
        want = np.array([evaluate(graph, y, point, parameters) for point in points])
        with saying(f"trial {trial}"):
            np.testing.assert_allclose(got, want, rtol=1e-14)


@pytest.mark.parametrize("name", ["sum", "dot", "norm"])
def test_reductions(name, rng):
    k = 2 if name == "dot" else 1
    for terms in (2, 3, 7, 8, 9, 16, 21, 100):
        for count in (1, 2, 5):
            m = terms * count
            for kind in ("runs", "lists", "fixed", "fixed list", "first fixed", "mixed", "one"):
                graph = TapeGraph()
                x = np.arange(graph.input(2 * m), 2 * m, dtype=np.int32)
                c = graph.constants(rng.normal(size=m))
                a, b = x[:m], x[m:]
                if kind == "lists":
                    a, b = a[rng.permutation(m)], b[rng.permutation(m)]
                elif kind == "fixed":
                    b = c
                elif kind == "fixed list":
                    b = c[rng.permutation(m)]
                elif kind == "first fixed":
                    a, b = (c, b) if k == 2 else (b, a)
                elif kind == "mixed":
                    a = np.where(rng.random(m) < 0.5, a, c)
                elif kind == "one":
                    b = np.repeat(b[0], m)
                y = emit(graph, name, *(a, b)[:k], aux=terms)
                points = rng.normal(size=(9, 2 * m))
                got = both_ways(graph, y, points)
                want = np.array([evaluate(graph, y, point) for point in points])
                with saying(f"{terms} terms, {count}, {kind}"):
                    np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-14)


def test_order_of_addition(rng):
    """Eight parts, then halves: what the header says."""
    graph, y = program_of("sum", 21, 21, aux=21)
    points = rng.normal(size=(10, 21))
    padded = np.zeros((10, 24))
    padded[:, :21] = points
    part = padded[:, :8] + padded[:, 8:16]
    part[:, :5] += padded[:, 16:21]
    part = part[:, :4] + part[:, 4:]
    part = part[:, :2] + part[:, 2:]
    np.testing.assert_array_equal(both_ways(graph, y, points)[:, 0], part[:, 0] + part[:, 1])


def test_sum_of_negative_zeros():
    graph, y = program_of("sum", 3, 3, aux=3)
    assert np.signbit(both_ways(graph, y, np.full((9, 3), -0.0))).all()


def test_norm_of_any_size():
    graph, y = program_of("norm", 2, 2, aux=2)
    scales = np.array([1e-320, 1e-300, 1e-160, 1e-121, 1e-120, 1.0, 1e120, 1e135, 1e136, 1e160, 1e300])
    points = scales[:, None] * [5.0, -12.0]
    np.testing.assert_allclose(both_ways(graph, y, points)[:, 0], 13 * scales, rtol=1e-15, atol=5e-324)
    special = np.array([[0, -0.0], [np.inf, 1], [np.nan, 1], [np.inf, np.nan], [3, 4]])
    np.testing.assert_array_equal(both_ways(graph, y, special)[:, 0], [0, np.inf, np.nan, np.nan, 5])


@pytest.mark.parametrize("exponent", [-7, -3, -2, -1, 0, 1, 2, 3, 4, 5, 10, 31, 64])
def test_integer_power(exponent, rng):
    graph = TapeGraph()
    x = np.arange(graph.input(9), 9, dtype=np.int32)
    y = emit(graph, "integer_power", x, aux=exponent)
    points = rng.uniform(0.2, 3, (20, 9)) * rng.choice([-1, 1], (20, 9))
    got = both_ways(graph, y, points)
    exact = np.array([float(mpmath.mpf(v) ** exponent) for v in points.ravel()]).reshape(got.shape)
    assert_close(got, exact, 1 + abs(exponent))
    special = np.array([[0.0, -0.0, np.inf, -np.inf, np.nan, 1, -1, 2, -2]])
    with np.errstate(all="ignore"):
        want = np.ones((1, 9)) if exponent == 0 else special ** float(exponent)
    np.testing.assert_array_equal(both_ways(graph, y, special), want)


def accuracy(name, exact, x, ulps, **more):
    graph, y = program_of(name, x.size, x.size, **more)
    with mpmath.workprec(200):
        want = np.array([float(exact(mpmath.mpf(v))) for v in x.tolist()])
    assert_close(both_ways(graph, y, x[None])[0], want, ulps)


def test_accuracy_of_functions_made_of_others(rng):
    many = np.concatenate([rng.uniform(-5, 5, 300), 10.0 ** rng.uniform(-300, 300, 300) * rng.choice([-1, 1], 300)])
    positive = np.abs(many)
    accuracy("arcsinh", mpmath.asinh, many, 3)
    accuracy("arccosh", mpmath.acosh, 1 + positive, 3)
    accuracy("arctanh", mpmath.atanh, np.concatenate([rng.uniform(-1, 1, 300), 10.0 ** rng.uniform(-300, -1, 100)]), 3)
    accuracy("log2", lambda v: mpmath.log(v, 2), np.concatenate([positive, 2.0 ** np.arange(-1000, 1000, 37)]), 1)
    accuracy("log10", mpmath.log10, np.concatenate([positive, 10.0 ** np.arange(-300, 300, 7)]), 1)
    accuracy("exp2", lambda v: mpmath.mpf(2) ** v, rng.uniform(-1060, 1020, 300), 1)


@pytest.mark.parametrize("order", [0, 1, 2, 3, 6, 20])
def test_polygamma(order, rng):
    x = np.concatenate([rng.uniform(2, 60, 60), 10.0 ** rng.uniform(-8, 0, 20), [1e6]])
    accuracy("polygamma", lambda v: mpmath.polygamma(order, v), x, 8 + order, aux=order)
    negative = -rng.uniform(0.05, 0.45, 40) - rng.integers(0, 30, 40)
    graph, y = program_of("polygamma", 40, 40, aux=order)
    want = np.array([float(mpmath.polygamma(order, v)) for v in negative.tolist()])
    np.testing.assert_allclose(both_ways(graph, y, negative[None])[0], want, rtol=1e-11)


def test_polygamma_of_an_order_too_high_is_refused():
    graph, y = program_of("polygamma", 2, 2, aux=61)
    with pytest.raises(ValueError, match="0 to 60"):
        TapeProgram(graph, y)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 12])
def test_solve_and_determinant(n, rng):
    for m in (1, 3):
        graph = TapeGraph()
        x = np.arange(graph.input(n * n + n * m), n * n + n * m, dtype=np.int32)
        y = emit(graph, "solve", x[: n * n], x[n * n :], aux=n, count=n * m)
        points = rng.normal(size=(13, n * n + n * m))
        got = both_ways(graph, y, points).reshape(13, n, m)
        a, b = points[:, : n * n].reshape(-1, n, n), points[:, n * n :].reshape(-1, n, m)
        np.testing.assert_allclose(a @ got, b, rtol=1e-10, atol=1e-10)
        c = graph.constants(rng.normal(size=n * n))
        z = emit(graph, "solve", c, x[n * n :], aux=n, count=n * m)
        got = both_ways(graph, z, points).reshape(13, n, m)
        np.testing.assert_allclose(graph.values(c).reshape(n, n) @ got, b, rtol=1e-10, atol=1e-10)
        d = emit(graph, "determinant", x[: n * n], aux=n, count=1)
        np.testing.assert_allclose(both_ways(graph, d, points)[:, 0], np.linalg.det(a), rtol=1e-11)
    singular = np.zeros((9, n * n + n * m))
    np.testing.assert_array_equal(both_ways(graph, d, singular), 0)


def test_what_both_maximum_and_minimum_say_to_nan_and_zeros():
    for name, function in (("maximum", np.maximum), ("minimum", np.minimum)):
        graph, y = program_of(name, 2, 1, 2)
        points = np.array([[np.nan, 1], [1, np.nan], [np.inf, np.nan], [2, 3], [3, 2], [-np.inf, np.inf]])
        np.testing.assert_array_equal(both_ways(graph, y, points)[:, 0], function(*points.T))


def test_bits_do_not_depend_on_the_level(same_at_every_level):
    same_at_every_level("""
    from mmlfast._core import TapeGraph, TapeProgram, tape_ops
    import test_tape as t
    rng = np.random.default_rng(3)
    for name in [*t.ONE, *t.TWO, *t.THREE]:
        k = t.operands_of(name)
        graph, y = t.program_of(name, 9 * k, 9, k)
        points = np.concatenate([rng.normal(size=(40, 9 * k)) * 3, rng.normal(size=(40, 9 * k)) * 1e3])
        digest(np.nan_to_num(TapeProgram(graph, y).batch(points), nan=-7.0))
    for name, k, aux in (("sum", 1, 21), ("dot", 2, 21), ("norm", 1, 21), ("polygamma", 1, 2), ("integer_power", 1, 7)):
        graph, y = t.program_of(name, 21 * k, 21, k, aux)
        digest(TapeProgram(graph, y).batch(rng.normal(size=(40, 21 * k))))
    graph = TapeGraph()
    x = np.arange(graph.input(30), 30, dtype=np.int32)
    y = graph.emit(tape_ops["solve"], x[:25], x[25:], aux=5, count=5)
    digest(TapeProgram(graph, y).batch(rng.normal(size=(40, 30))))
    """)


def test_baseline_is_right_too(run_python, simd_levels, fused_simd_levels):
    code = """
    import numpy as np
    import test_tape as t
    from mmlfast._reference.tape import evaluate
    rng = np.random.default_rng(3)
    for name in [*t.ONE, *t.TWO, *t.THREE]:
        k = t.operands_of(name)
        graph, y = t.program_of(name, 11 * k, 11, k)
        points = rng.uniform(0.1, 0.9, (9, 11 * k))
        got = t.both_ways(graph, y, points)
        np.testing.assert_allclose(got, [evaluate(graph, y, x) for x in points], rtol=1e-14, atol=1e-15)
    print("good")
    """
    for level in set(simd_levels) - set(fused_simd_levels):  # the others have the bits of the level in use
        assert "good" in run_python(code, MMLFAST_SIMD=level), level
