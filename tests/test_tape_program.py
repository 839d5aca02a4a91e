"""From a graph to instructions: fusing, merging, slots; and evaluation from Python."""

from __future__ import annotations

import gc
import sys
import weakref

import numpy as np
import pytest
from cases import saying
from in_threads import in_threads
from interrupts import interrupt
from scipy.optimize import rosen, rosen_der

from mmlfast._core import TapeGraph, TapeProgram, tape_ops
from mmlfast._reference.tape import evaluate


def emit(graph, name, *operands, **more):
    return graph.emit(tape_ops[name], *operands, **more)


def graph_of(*sizes):
    graph = TapeGraph()
    groups = []
    for size in sizes:
        first = graph.input(size)
        groups.append(np.arange(first, first + size, dtype=np.int32))
    return graph, *groups


def same_one_by_one(program, points, *parameters):
    many = program.batch(points, *parameters)
    alone = np.array([program(x, *parameters) for x in points]).reshape(many.shape)
    np.testing.assert_array_equal(many, alone)
    return many


def rosenbrock(n):
    graph, x = graph_of(n)
    one, hundred = graph.constants(np.array([1.0])), graph.constants(np.array([100.0]))
    t = emit(graph, "subtract", x[1:], emit(graph, "integer_power", x[:-1], aux=2))
    u = emit(graph, "subtract", one, x[:-1])
    terms = emit(graph, "multiply", hundred, emit(graph, "integer_power", t, aux=2))
    terms = emit(graph, "add", terms, emit(graph, "integer_power", u, aux=2))
    value = emit(graph, "sum", terms, aux=n - 1)
    return graph, value, graph.vjp(value, one, x)


@pytest.mark.parametrize("n", [2, 3, 10, 17, 300])
def test_rosenbrock(n, rng):
    graph, value, gradient = rosenbrock(n)
    points = rng.normal(size=(50, n))
    got = same_one_by_one(TapeProgram(graph, np.concatenate([value, gradient])), points)
    np.testing.assert_allclose(got[:, 0], [rosen(x) for x in points], rtol=1e-13)
    np.testing.assert_allclose(got[:, 1:], [rosen_der(x) for x in points], rtol=1e-12, atol=1e-11)
    assert TapeProgram(graph, gradient).n_instructions <= 12


# Nothing that a rounding, or the sign of a zero, could turn.
ONE = ["negative", "absolute", "sin", "cos", "tanh", "exp", "expit", "softplus", "integer_power"]
TWO = ["add", "subtract", "multiply", "maximum", "minimum"]


def random_graph(rng, n, n_parameters, steps):
    """Runs, gathers and single values of whatever was there before; and outputs of every kind."""
    graph, x, p = graph_of(n, n_parameters)
    pool = [x, p, graph.constants(rng.normal(size=4))]

    def operand(count):
        source = pool[rng.integers(max(0, len(pool) - 6), len(pool))] if rng.random() < 0.7 else np.concatenate(pool)
        kind = rng.integers(4)
        if kind == 0 or source.size < 2:
            return np.repeat(rng.choice(source), count)
        if kind == 1 and source.size >= count:
            start = rng.integers(0, source.size - count + 1)
            return source[start : start + count]
        return rng.choice(source, count)

    for _ in range(steps):
        count = int(rng.choice([1, 1, 1, 2, 5, 8, 9, 20]))
        kind = rng.random()
        if kind < 0.3:
            y = emit(graph, (name := rng.choice(ONE)), operand(count), aux=2 * (name == "integer_power"))
        elif kind < 0.8:
            y = emit(graph, rng.choice(TWO), operand(count), operand(count))
        elif kind < 0.9:
            condition = emit(graph, "less", (x if rng.random() < 0.5 else p)[:1].repeat(count), operand(count))
            y = emit(graph, "select", condition, operand(count), operand(count))
        else:
            terms = int(rng.choice([2, 3, 11]))
            name = rng.choice(["sum", "dot", "norm"])
            y = emit(graph, name, *(operand(count * terms) for _ in range(1 + (name == "dot"))), aux=terms)
        # What grows without end is brought back, so that roundings stay small beside it.
        pool.append(emit(graph, "tanh", y) if rng.random() < 0.6 else emit(graph, "sin", y))
    everything = np.concatenate(pool)
    outputs = np.concatenate([rng.choice(everything, 30), pool[-1], pool[-2], x[::-1], pool[2][:2], p[:1]])
    outputs[rng.integers(0, outputs.size, 2)] = -1
    return graph, outputs


@pytest.mark.parametrize("seed", range(60))
def test_random_programs(seed):
    rng = np.random.default_rng(seed)
    n, n_parameters = int(rng.integers(1, 12)), int(rng.integers(1, 6))
    graph, outputs = random_graph(rng, n, n_parameters, int(rng.choice([1, 4, 15, 60])))
    points, parameters = rng.normal(size=(37, n)), rng.normal(size=n_parameters)
    got = same_one_by_one(TapeProgram(graph, outputs), points, parameters)
    want = np.array([evaluate(graph, outputs, x, parameters) for x in points])
    np.testing.assert_allclose(got, want, rtol=1e-7, atol=1e-9)


def test_numbers_of_points(rng, threads):
    """Around vectors, blocks and the pieces that threads share; and none."""
    graph, value, gradient = rosenbrock(6)
    program = TapeProgram(graph, np.concatenate([value, gradient]))
    points = rng.normal(size=(5000, 6))
    alone = np.array([program(x) for x in points])
    for n_threads in (1, 3):
        threads(n_threads)
        for n in (0, 1, 2, 7, 8, 9, 15, 16, 17, 63, 64, 65, 127, 128, 129, 1000, 4999, 5000):
            with saying(f"{n} points, {n_threads} threads"):
                np.testing.assert_array_equal(program.batch(points[:n]), alone[:n])


@pytest.mark.parametrize("n_results", [1, 7, 700])
def test_batches_larger_than_the_cache(rng, threads, n_results):
    """What is wanted next is asked for ahead, up to the ends of the arrays: the bits of the points taken a few at once.
    700 results of a block are too many for that."""
    graph, value, gradient = rosenbrock(6)
    for outputs in (np.resize(np.concatenate([gradient, value]), n_results), graph.constants(np.ones(n_results))):
        program = TapeProgram(graph, outputs)
        n = 150_000 // (6 + n_results) + 13
        points = rng.normal(size=(n, 6))
        few = np.concatenate([program.batch(points[i : i + 100]) for i in range(0, n, 100)])
        for n_threads in (1, 3):
            threads(n_threads)
            np.testing.assert_array_equal(program.batch(points), few)


def test_many_slots(rng):
    """More than fit the cache: fewer rows in a block, the same bits."""
    n = 1500
    graph, x = graph_of(n)
    y = emit(graph, "multiply", emit(graph, "sin", x), emit(graph, "exp", x[::-1]))
    outputs = emit(graph, "add", y, x[rng.permutation(n)])
    points = rng.normal(size=(70, n))
    got = same_one_by_one(TapeProgram(graph, outputs), points)
    np.testing.assert_allclose(got[3], evaluate(graph, outputs, points[3]), rtol=1e-14, atol=1e-15)


def test_parameters_are_shared_and_may_change(rng):
    graph, x, a, b = graph_of(3, 2, 4)
    scale = emit(graph, "exp", a)  # depends on no point: once per call
    outputs = np.concatenate(
        [emit(graph, "multiply", x[:2], scale), emit(graph, "dot", np.repeat(x[:1], 4), b, aux=4), scale]
    )
    program = TapeProgram(graph, outputs)
    points = rng.normal(size=(20, 3))
    for _ in range(3):
        first, second = rng.normal(size=2), rng.normal(size=4)
        got = same_one_by_one(program, points, first, second)
        np.testing.assert_allclose(got[:, :2], points[:, :2] * np.exp(first), rtol=1e-14)
        np.testing.assert_allclose(got[:, 2], points[:, 0] * second.sum(), rtol=1e-12, atol=1e-13)
        np.testing.assert_array_equal(got[:, 3:], np.broadcast_to(got[0, 3:], (20, 2)))


def test_unused_inputs_and_constant_outputs():
    graph, x, _ = graph_of(4, 3)
    c = graph.constants(np.array([2.5, -1.0]))
    program = TapeProgram(graph, np.array([c[1], -1, x[2], c[0], x[2], x[0]], dtype=np.int32))
    got = same_one_by_one(program, np.arange(8.0).reshape(2, 4), np.zeros(3))
    np.testing.assert_array_equal(got, [[-1, 0, 2, 2.5, 2, 0], [-1, 0, 6, 2.5, 6, 4]])


def test_two_instructions_at_once(rng):
    """What only the next instruction reads goes straight into it: every form of the two, in and out of place, whole and
    in part, with what it reads written over in between."""
    one = [(name, place) for name in ("multiply", "add", "subtract") for place in (0, 1)]
    many = [("add", 2), ("subtract", 2), ("multiply", 2), ("multiply_add", 3)]
    points, number = rng.normal(size=(43, 30)), np.array([1.5, -0.75])

    def with_number(graph, form, a):
        name, place = form
        numbers = graph.constants(number[:1])
        return emit(graph, name, *((numbers, a) if place == 0 else (a, numbers)))

    def with_runs(graph, form, taken, a, others):
        operands = list(others[: form[1] - 1])
        operands.insert(min(taken, form[1] - 1), a)
        return emit(graph, form[0], *operands)

    for first in one:
        for form in many:
            for taken in range(3):
                with saying(f"{first}, {form}, operand {taken}"):
                    graph, x = graph_of(30)
                    a = with_number(graph, first, x[:10])
                    whole = with_runs(graph, form, taken, with_number(graph, first, x[10:20]), (x[:10], x[20:]))
                    part = with_runs(graph, form, taken, a[1:9], (whole[:8], x[21:29]))
                    other = with_number(graph, ("subtract", 0), with_runs(graph, form, taken, x[:10], (x[10:20], a)))
                    outputs = np.concatenate([part, whole[8:], other, a[:1], x[:3]])
                    got = same_one_by_one(TapeProgram(graph, outputs), points)
                    want = [evaluate(graph, outputs, point) for point in points]
                    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13)


def results_of_every_number():
    """What goes in and what comes out, by number: inputs, sines of them and constants anywhere among the results."""
    rng = np.random.default_rng(7)
    for n in range(1, 31):
        graph, x = graph_of(n)
        values = np.concatenate([x, emit(graph, "sin", x), graph.constants(np.array([0.0, 2.5, -1.0]))])
        for kind in (values[:n], rng.permutation(values)[:n], values[rng.integers(len(values), size=n)], values[-1:]):
            points = rng.normal(size=(n % 3 * 8 + 13, n))
            everything = np.column_stack([points, np.sin(points), np.tile([0.0, 2.5, -1.0], (len(points), 1))])
            got = TapeProgram(graph, kind.astype(np.int32)).batch(points)
            which = [int(np.nonzero(values == value)[0][0]) for value in kind]
            np.testing.assert_allclose(got, everything[:, which], rtol=1e-15, err_msg=str(kind))


def test_results_of_every_number(run_python, simd_levels):
    for level in simd_levels:
        assert "good" in run_python(
            "import test_tape_program as t; t.results_of_every_number(); print('good')", MMLFAST_SIMD=level
        ), level


def test_a_difference_of_equal_products_is_zero(rng):
    """a b - c d is never contracted; a b + c is."""
    graph, x = graph_of(4)
    product = emit(graph, "multiply", x[:1], x[1:2])
    difference = emit(graph, "subtract", product, emit(graph, "multiply", x[2:3], x[3:4]))
    square = emit(graph, "integer_power", x[:1], aux=2)
    discriminant = emit(graph, "subtract", square, emit(graph, "multiply", x[2:3], x[3:4]))
    points = rng.normal(size=(40, 2))[:, [0, 1, 0, 1]]
    assert (same_one_by_one(TapeProgram(graph, difference), points) == 0).all()
    points = points[:, [0, 0, 0, 0]]
    assert (same_one_by_one(TapeProgram(graph, discriminant), points) == 0).all()


def test_a_difference_from_an_equal_multiple_is_zero(rng):
    """A multiple by a power of two alone is exact, and may be part of a fused step."""
    graph, x = graph_of(2)
    tenth = graph.constants(np.array([0.1]))
    product = emit(graph, "multiply", x[:1], x[1:])
    difference = emit(graph, "subtract", product, emit(graph, "multiply", tenth, x[:1]))
    points = np.column_stack([rng.normal(size=200), np.full(200, 0.1)])
    assert not same_one_by_one(TapeProgram(graph, difference), points).any()


def test_sine_and_cosine_of_the_same_in_either_order(rng):
    """Computed together; which of them comes first in the graph does not matter."""
    for names in (("sin", "cos"), ("cos", "sin")):
        graph, x = graph_of(7)
        program = TapeProgram(graph, np.concatenate([emit(graph, name, x) for name in names]))
        points = rng.normal(size=(20, 7))
        right = np.concatenate([getattr(np, name)(points) for name in names], axis=1)
        np.testing.assert_allclose(same_one_by_one(program, points), right, rtol=1e-14)


def test_a_sum_of_products_is_one_instruction():
    graph, x = graph_of(20)
    y = emit(graph, "sum", emit(graph, "multiply", x[:10], x[10:]), aux=10)
    assert TapeProgram(graph, y).n_instructions == 1
    z = emit(graph, "add", emit(graph, "multiply", x[:5], x[5:10]), x[10:15])
    assert TapeProgram(graph, z).n_instructions == 1
    both = np.concatenate([z, emit(graph, "multiply", x[:5], x[5:10])])  # then the product is wanted as well
    got = TapeProgram(graph, both)(np.arange(20.0))
    np.testing.assert_array_equal(got[5:], np.arange(5.0) * np.arange(5, 10))


@pytest.mark.parametrize("rows", [1, 2, 7, 8, 9, 31, 32, 33, 70])
@pytest.mark.parametrize("terms", [2, 3, 5, 8, 9, 50])
def test_a_matrix_times_a_vector(rows, terms, rng):
    """By rows and by columns, of constants and of what depends on the point: the bits of the inner products."""
    graph, x = graph_of(rows * terms + terms)
    v, a = x[:terms], x[terms:].reshape(rows, terms)
    constants = rng.normal(size=(rows, terms))
    c = graph.constants(constants.ravel()).reshape(rows, terms)
    turned = graph.constants(constants.T.ravel()).reshape(terms, rows).T
    graph.constants(np.array([np.nan, np.inf]))  # what lies behind is not looked at
    other = rng.permutation(terms)
    vector = np.tile(v, rows)
    products = [
        emit(graph, "dot", *pair, aux=terms)
        for pair in [
            (c.ravel(), vector),
            (vector, turned.ravel()),
            (a.ravel(), vector),
            (vector, x[terms:].reshape(terms, rows).T.ravel()),
            (c.ravel(), np.tile(v[other], rows)),
            (np.tile(v[other], rows), turned.ravel()),
            (np.tile(graph.constants(constants[0]), rows), a.ravel()),
        ]
    ]
    points = rng.normal(size=(20, rows * terms + terms))
    got = same_one_by_one(TapeProgram(graph, np.concatenate(products)), points).reshape(20, 7, rows)
    first = TapeProgram(graph, np.array([emit(graph, "dot", row, v, aux=terms)[0] for row in c]))
    np.testing.assert_array_equal(got[:, 0], first.batch(points))
    np.testing.assert_array_equal(got[:, 0], got[:, 1])
    v, a = points[:, :terms], points[:, terms:].reshape(20, rows, terms)
    expected = [
        v @ constants.T,
        v @ constants.T,
        (a @ v[:, :, None])[:, :, 0],
        (v[:, None] @ points[:, terms:].reshape(20, terms, rows))[:, 0],
        v[:, other] @ constants.T,
        v[:, other] @ constants.T,
        a @ constants[0],
    ]
    np.testing.assert_allclose(got, np.stack(expected, axis=1), atol=1e-13)


def test_scalar_code_becomes_runs(rng):
    """A loop in Python over single values: what does the same at the same depth is one instruction."""
    graph, x = graph_of(40)
    sines = [emit(graph, "sin", x[i : i + 1]) for i in range(40)]
    products = [emit(graph, "multiply", sines[i], x[i : i + 1]) for i in range(40)]
    outputs = np.concatenate([emit(graph, "add", p, x[:1]) for p in products])
    program = TapeProgram(graph, outputs)
    assert program.n_instructions <= 3
    points = rng.normal(size=(12, 40))
    got = same_one_by_one(program, points)
    np.testing.assert_allclose(got, np.sin(points) * points + points[:, :1], rtol=1e-13, atol=1e-14)


def test_what_is_left_of_a_run_may_be_fixed(rng):
    """Of two products with opposite constants one takes the place of the other; what was beside that one is fixed."""
    graph, x = graph_of(3)
    two, five, minus_five = (graph.constants(np.array([c])) for c in (2.0, 5.0, -5.0))
    twice = emit(graph, "multiply", two, x)
    beside = np.concatenate([two, twice[:1]])
    positive = emit(graph, "multiply", beside, five)  # 10 and 10 x
    opposite = emit(graph, "multiply", beside, minus_five)  # -10 and -10 x
    scaled = emit(graph, "multiply", opposite, twice[1:])  # -20 y and -20 x z
    total = emit(graph, "add", scaled[1:], emit(graph, "multiply", twice[:1], twice[1:2]))
    program = TapeProgram(graph, np.concatenate([scaled[:1], total, positive[1:]]))
    points = rng.normal(size=(40, 3))
    got = same_one_by_one(program, points)
    a, b, c = points.T
    np.testing.assert_allclose(got, np.stack([-20 * b, 4 * a * b - 20 * a * c, 10 * a], axis=1), rtol=1e-13, atol=1e-14)


def test_sines_and_cosines_of_the_same_numbers_are_one_instruction(rng):
    for count in (1, 7, 8, 20):
        graph, x = graph_of(24)
        for ids in (x[:count], x[rng.integers(0, 24, count)], emit(graph, "multiply", x[:count], x[1 : count + 1])):
            sines, cosines = emit(graph, "sin", ids), emit(graph, "cos", ids)
            both = np.concatenate([cosines, sines])
            points = rng.normal(size=(21, 24)) * 10
            got = same_one_by_one(TapeProgram(graph, both), points)
            alone = [TapeProgram(graph, outputs).batch(points) for outputs in (cosines, sines)]
            np.testing.assert_array_equal(got, np.concatenate(alone, axis=1))
            assert "sincos" in [name for name, *_ in TapeProgram(graph, both).instructions]


def test_instructions_can_be_read():
    graph, x = graph_of(3)
    y = emit(graph, "sqrt", emit(graph, "add", x, graph.constants(np.array([2.0]))))
    program = TapeProgram(graph, y)
    add, root = program.instructions
    assert add[:2] == ("add", 3)
    assert [access for access, _ in add[3][:2]] in (["run", "fixed single"], ["fixed single", "run"])
    assert root[:2] == ("sqrt", 3)
    assert program.n_instructions == 2


def test_slots_are_used_again():
    graph, x = graph_of(8)
    y = x
    for _ in range(200):
        y = emit(graph, "sin", y)
    assert TapeProgram(graph, y).n_slots <= 8 + 8 + 8


def test_long_chains(rng):
    """Linear time, no recursion: a loop of a hundred thousand steps."""
    graph, x = graph_of(2)
    a, b = x[:1], x[1:]
    half = graph.constants(np.array([0.5]))
    for _ in range(50_000):
        a, b = b, emit(graph, "multiply", emit(graph, "add", a, b), half)
    program = TapeProgram(graph, b)
    np.testing.assert_allclose(program(np.array([1.0, 4.0])), [3.0], rtol=1e-13)


def test_long_chains_of_what_is_shared():
    """Fusing counts uses: what is taken over and given up by one instruction has the same number of them after it."""
    graph, t = graph_of(1)
    numbers = [graph.constants(np.array([c])) for c in (0.5, 0.1, 0.2)]
    steps = 300
    for _ in range(steps):
        sine = emit(graph, "sin", t)
        parts = [emit(graph, "multiply", u, c) for u, c in zip((sine, t, sine), numbers, strict=True)]
        t = emit(graph, "add", emit(graph, "add", parts[0], parts[1]), parts[2])
    program = TapeProgram(graph, t)
    assert program.n_instructions <= 4 * steps
    expected = 0.3
    for _ in range(steps):
        expected = 0.5 * np.sin(expected) + 0.1 * expected + 0.2 * np.sin(expected)
    np.testing.assert_allclose(program(np.array([0.3])), [expected], rtol=1e-12)


# ---- Python functions inside ----


def test_callbacks(rng):
    graph, x, p = graph_of(4, 2)
    y = graph.callback(0, x[::2], 3)
    z = emit(graph, "add", y, graph.callback(1, p, 1))

    def f(v):
        return np.array([v[0], v.sum(), v.prod()])

    program = TapeProgram(graph, z, [f, lambda v: [v[0] * v[1]]])
    points, parameters = rng.normal(size=(11, 4)), rng.normal(size=2)
    got = same_one_by_one(program, points, parameters)
    want = [f(v[::2]) + parameters[0] * parameters[1] for v in points]
    np.testing.assert_allclose(got, want, rtol=1e-14)


def test_a_callback_may_fail_or_call_the_program():
    graph, x = graph_of(1)
    program = TapeProgram(graph, graph.callback(0, emit(graph, "exp", x), 1), [lambda v: again(v)])
    depth = 0

    def again(v):
        nonlocal depth
        depth += 1
        return program(-v) if depth < 3 else v

    np.testing.assert_allclose(program(np.array([0.1])), np.exp(-np.exp(-np.exp(0.1))), rtol=1e-15)

    depth, before = 0, emit(graph, "exp", x)  # which the inner calls must leave alone
    program = TapeProgram(graph, emit(graph, "add", before, graph.callback(0, before, 1)), [lambda v: again(v)])
    inner = np.exp(-np.exp(0.1)), np.exp(-np.exp(-np.exp(0.1)))
    np.testing.assert_allclose(program(np.array([0.1])), np.exp(0.1) + inner[0] + 2 * inner[1], rtol=1e-15)

    def fail(v):
        raise ZeroDivisionError("mine")

    for function, error, text in (
        (fail, ZeroDivisionError, "mine"),
        (lambda v: [1, 2], ValueError, "gave 2 numbers, and 1"),
        (lambda v: "no number", ValueError, "could not convert"),
    ):
        program = TapeProgram(graph, graph.callback(0, x, 1), [function])
        with pytest.raises(error, match=text):
            program(np.array([1.0]))
        with pytest.raises(error, match=text):
            program.batch(np.array([[1.0], [2.0]]))
    with pytest.raises(IndexError, match="function 0"):
        TapeProgram(graph, graph.callback(0, x, 1))(np.array([1.0]))


# ---- arguments ----


def test_arguments():
    graph, x, p = graph_of(3, 2)
    program = TapeProgram(graph, emit(graph, "add", x[:2], p))
    want = [11.0, 22.0]
    for values in ([1, 2, 3], (1.0, 2.0, 3.0), np.array([1, 2, 3], np.float32), np.arange(1.0, 7)[::2] / 2 + 0.5):
        np.testing.assert_array_equal(program(values, [10, 20]), want)
    np.testing.assert_array_equal(program(np.array([[1.0], [2], [3]]), np.array([10.0, 20])), want)
    swapped = np.array([1.0, 2, 3]).astype(np.dtype(float).newbyteorder())
    np.testing.assert_array_equal(program(swapped, [10, 20]), want)
    np.testing.assert_array_equal(program.batch(np.array([[1, 2, 3], [4, 5, 6]]), [10, 20]), [want, [14, 25]])
    with pytest.raises(TypeError, match="takes 2 arguments and got 1"):
        program(np.zeros(3))
    with pytest.raises(ValueError, match="argument 0 must have 3 elements"):
        program(np.zeros(4), np.zeros(2))
    with pytest.raises(ValueError, match="argument 1 must have 2 elements"):
        program(np.zeros(3), np.zeros(3))
    with pytest.raises(ValueError, match=r"argument 0 must have shape \(n_points, 3\)"):
        program.batch(np.zeros(3), np.zeros(2))
    with pytest.raises(TypeError, match="no keyword"):
        program(np.zeros(3), p=np.zeros(2))
    with pytest.raises(TypeError):
        program(object(), np.zeros(2))
    with pytest.raises(TypeError, match="TapeGraph"):
        TapeProgram(None, x)
    with pytest.raises(ValueError, match="outputs"):
        TapeProgram(graph, np.array([99]))
    with pytest.raises(ValueError, match="no inputs"):
        TapeProgram(TapeGraph(), np.array([], dtype=np.int32))


def test_too_many_arguments_are_refused_by_name():
    graph, *groups = graph_of(*[1] * 33)
    program = TapeProgram(graph, groups[0])
    with pytest.raises(TypeError, match="at most 32 arrays, and this one has 33"):
        program(*[np.zeros(1)] * 33)


def test_no_argument_is_touched(rng):
    graph, x = graph_of(5)
    y = emit(graph, "negative", emit(graph, "integer_power", x, aux=2))
    points = rng.normal(size=(100, 5))
    points.flags.writeable = False
    kept = points.copy()
    program = TapeProgram(graph, y)
    first = program(points[0])
    program(points[1])
    np.testing.assert_array_equal(first, -(kept[0] ** 2))
    np.testing.assert_array_equal(program.batch(points), -(kept**2))
    np.testing.assert_array_equal(points, kept)


def test_a_program_outlives_its_graph(rng):
    graph, x = graph_of(3)
    program = TapeProgram(graph, emit(graph, "sin", x))
    del graph
    gc.collect()
    np.testing.assert_allclose(program(np.ones(3)), np.sin(np.ones(3)))
    assert sys.getrefcount(program) < 5


def test_cycles_are_collected():
    class Function:
        def __call__(self, v):
            return v

    graph, x = graph_of(1)
    function = Function()
    function.program = TapeProgram(graph, graph.callback(0, x, 1), [function])
    gone = weakref.ref(function)
    del function
    gc.collect()
    assert gone() is None


# ---- at the same time ----


def test_threads_of_python_share_a_program(rng):
    graph, value, gradient = rosenbrock(10)
    program = TapeProgram(graph, np.concatenate([value, gradient]))
    points = rng.normal(size=(300, 10))
    want = program.batch(points)
    wrong = []

    def work(_):
        for _ in range(20):
            if not np.array_equal(program.batch(points), want):
                wrong.append("batch")
            if not all(np.array_equal(program(x), y) for x, y in zip(points, want, strict=True)):
                wrong.append("one")

    in_threads(work, range(4))
    assert not wrong


def test_ctrl_c():
    graph, x = graph_of(1)
    y = x
    for _ in range(3000):
        y = emit(graph, "exp", emit(graph, "sin", y))
    program = TapeProgram(graph, y)
    points = np.ones((10_000_000, 1))
    interrupt(lambda: program.batch(points))


def test_constants_in_another_order_than_they_stand_in():
    """Products with a transposed matrix: a copy of it in the order in which they take it, with the same bits."""
    rng = np.random.default_rng(5)
    a = rng.standard_normal((30, 20))
    graph = TapeGraph()
    first = graph.input(30)
    x = np.arange(first, first + 30, dtype=np.int32)
    ids = graph.constants(a)
    once = graph.emit(tape_ops["dot"], np.tile(x, 20), ids.T.ravel(), aux=30, count=20)
    again = graph.emit(tape_ops["dot"], np.tile(x[::-1], 20), ids.T.ravel(), aux=30, count=20)
    program = TapeProgram(graph, np.concatenate([once, again]))
    points = rng.standard_normal((19, 30))
    expected = np.concatenate([points @ a, points[:, ::-1] @ a], axis=1)
    np.testing.assert_allclose(program.batch(points), expected, rtol=1e-12)
    np.testing.assert_array_equal(program.batch(points), [program(p) for p in points])
