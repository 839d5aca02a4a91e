"""The graph of a traced function: what it keeps, what it computes once, and what it simplifies."""

from __future__ import annotations

import numpy as np
import pytest
from cases import within

from mmlfast._core import TapeGraph, TapeProgram, tape_ops
from mmlfast._reference.tape import evaluate


def graph_of(count):
    graph = TapeGraph()
    first = graph.input(count)
    return graph, np.arange(first, first + count, dtype=np.int32)


def emit(graph, name, *operands, **more):
    return graph.emit(tape_ops[name], *operands, **more)


def names(graph, outputs):
    return [run[0] for run in graph.runs(outputs) if run[0] not in ("input", "constant")]


def test_a_run_is_one_operation_of_many_values():
    graph, x = graph_of(5)
    y = emit(graph, "add", x[1:], x[:-1])
    op, first, count, aux, a, b, c = graph.runs(y)[-1]
    assert (op, first, count, aux, c) == ("add", y[0], 4, 0, None)
    assert list(a) == [1, 2, 3, 4]
    assert list(b) == [0, 1, 2, 3]


def test_equal_runs_are_one():
    graph, x = graph_of(4)
    once = emit(graph, "sin", x)
    before = graph.n_runs
    assert list(emit(graph, "sin", x)) == list(once)
    gathered = emit(graph, "multiply", x[[0, 0, 3]], x[[1, 2, 2]])
    assert list(emit(graph, "multiply", x[[1, 2, 2]], x[[0, 0, 3]])) == list(gathered)
    assert graph.n_runs == before + 1
    assert list(emit(graph, "subtract", x[:2], x[2:])) != list(emit(graph, "subtract", x[2:], x[:2]))


def test_one_value_for_all_is_computed_once():
    graph, x = graph_of(2)
    y = emit(graph, "add", x[:1], x[1:], count=7)
    assert len(set(y)) == 1
    assert graph.runs(y)[-1][2] == 1
    sums = emit(graph, "sum", x[:1], aux=3, count=2)
    assert np.array_equal(evaluate(graph, sums, np.array([5.0, 7.0])), [15.0, 15.0])


def test_what_is_simplified_is_the_same():
    """Where a simpler form is near, but not the same."""
    graph, x = graph_of(4)
    one = graph.constants(np.array([1.0]))
    negative, absolute = emit(graph, "negative", x), emit(graph, "absolute", x)
    point = np.array([-2.0, 3.0, 0.5, -0.0])
    forms = {
        "-x ** 3": (emit(graph, "integer_power", negative, aux=3), (-point) ** 3),
        "|x| ** 3": (emit(graph, "integer_power", absolute, aux=3), np.abs(point) ** 3),
        "-x ** 2": (emit(graph, "integer_power", negative, aux=2), point**2),
        "-x * -2": (emit(graph, "multiply", negative, graph.constants(np.array([-2.0]))), 2 * point),
        "x and true": (emit(graph, "logical_and", x, one), point != 0),
        "x or false": (emit(graph, "logical_or", graph.constants(np.array([0.0])), x), point != 0),
        "x and x": (emit(graph, "logical_and", x, x), point != 0),
        "not not x": (emit(graph, "logical_not", emit(graph, "logical_not", x)), point != 0),
        "x + 0": (emit(graph, "add", x, graph.constants(np.array([0.0]))), point + 0.0),
        "x / -4": (emit(graph, "divide", x, graph.constants(np.array([-4.0]))), point / -4),
    }
    for name, (ids, expected) in forms.items():
        got = evaluate(graph, ids, point)
        assert np.array_equal(got, expected), name
        assert np.array_equal(np.signbit(got), np.signbit(np.asarray(expected, dtype=float))), name


def test_identities_are_new_values():
    graph, x = graph_of(3)
    one, two = graph.identity(x), graph.identity(x)
    assert not set(one) & set(two)
    two_of_constants = graph.identity(graph.constants(np.array([1.0, 2.0])))
    assert not graph.is_constant(two_of_constants).any()


def test_constants_are_interned_and_folded():
    graph = TapeGraph()
    values = np.array([[1.5, -2.0], [0.0, -0.0]])
    ids = graph.constants(values)
    assert ids.shape == (2, 2)
    assert np.array_equal(ids, graph.constants(values))
    assert graph.constants(np.array(-2.0)) == ids[0, 1]
    product = emit(graph, "multiply", ids.ravel(), graph.constants(np.array([2.0])))
    assert graph.is_constant(product).all()
    assert np.array_equal(graph.values(product), values.ravel() * 2)
    assert np.signbit(graph.values(ids.ravel())).tolist() == [False, True, False, True]
    sums = emit(graph, "sum", ids.ravel(), aux=2)
    assert np.array_equal(graph.values(sums), [-0.5, 0.0])


SAME = {
    "multiply by 1": lambda g, x, k: emit(g, "multiply", x, k(1.0)),
    "1 times": lambda g, x, k: emit(g, "multiply", k(1.0), x),
    "divide by 1": lambda g, x, k: emit(g, "divide", x, k(1.0)),
    "less 0": lambda g, x, k: emit(g, "subtract", x, k(0.0)),
    "power 1": lambda g, x, k: emit(g, "power", x, k(1.0)),
    "twice negative": lambda g, x, k: emit(g, "negative", emit(g, "negative", x)),
    "maximum of itself": lambda g, x, k: emit(g, "maximum", x, x),
    "sum of one": lambda g, x, k: emit(g, "sum", x, aux=1),
    "selected anyway": lambda g, x, k: emit(g, "select", emit(g, "less", x, k(0.0)), x, x),
    "condition that is true": lambda g, x, k: emit(g, "select", k(1.0), x, emit(g, "exp", x)),
}


@pytest.mark.parametrize("name", SAME)
def test_nothing_is_computed_for_the_same(name):
    graph, x = graph_of(3)
    assert list(SAME[name](graph, x, lambda value: graph.constants(np.array([value])))) == list(x)


OTHER = {
    "multiply by -1": (lambda g, x, k: emit(g, "multiply", x, k(-1.0)), ["negative"]),
    "add the negative": (lambda g, x, k: emit(g, "add", x, emit(g, "negative", x[::-1])), ["subtract"]),
    "square": (lambda g, x, k: emit(g, "multiply", x, x), ["integer_power"]),
    "power 0.5": (lambda g, x, k: emit(g, "power", x, k(0.5)), ["sqrt"]),
    "power 3": (lambda g, x, k: emit(g, "power", x, k(3.0)), ["integer_power"]),
    "power -1": (lambda g, x, k: emit(g, "power", x, k(-1.0)), ["divide"]),
    "power 2.5": (lambda g, x, k: emit(g, "power", x, k(2.5)), ["power"]),
    "divide by 4": (lambda g, x, k: emit(g, "divide", x, k(4.0)), ["multiply"]),
    "square of a norm": (lambda g, x, k: emit(g, "power", emit(g, "norm", x, aux=3), k(2.0)), ["dot"]),
    "times 0": (lambda g, x, k: emit(g, "multiply", x, k(0.0)), ["multiply"]),
    "plus 0": (lambda g, x, k: emit(g, "add", x, k(0.0)), ["add"]),
}


@pytest.mark.parametrize("name", OTHER)
def test_simpler_operations(name):
    write, expected = OTHER[name]
    graph, x = graph_of(3)
    y = write(graph, x, lambda value: graph.constants(np.array([value])))
    assert names(graph, y) == expected


def test_powers_are_what_their_exponents_are():
    graph, x = graph_of(6)
    exponents = np.array([0.0, 1, 2, 0.5, 2, 1.7])
    y = emit(graph, "power", x, graph.constants(exponents))
    assert graph.is_constant(y).tolist() == [True] + 5 * [False]
    assert y[1] == x[1]
    assert sorted(names(graph, y)) == ["integer_power", "power", "sqrt"]
    values = np.array([0.0, -3.0, 2.0, 4.0, -5.0, 2.0])
    assert np.allclose(evaluate(graph, y, values), values**exponents, rtol=1e-15)


def test_known_conditions_select_elementwise():
    graph, x = graph_of(4)
    condition = np.where([True, False, False, False], 1.0, 0.0)
    ids = graph.constants(condition)
    unknown = emit(graph, "less", x, graph.constants(np.array([0.0])))
    mixed = np.array([ids[0], ids[1], unknown[2], unknown[3]])
    y = emit(graph, "select", mixed, x, x[::-1])
    assert y[0] == x[0]
    assert y[1] == x[2]
    assert graph.runs(y)[-1][2] == 2
    assert np.array_equal(evaluate(graph, y, np.array([1.0, 2, -3, 4])), [1.0, -3, -3, 1])


def test_only_what_is_needed_is_listed():
    graph, x = graph_of(2)
    emit(graph, "exp", x)
    y = emit(graph, "sin", x)
    assert [run[0] for run in graph.runs(y)] == ["input", "sin"]
    assert [run[0] for run in graph.runs()] == ["input", "exp", "sin"]
    assert graph.n_inputs == [2]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g: g.emit(tape_ops["add"], [0, 1], [0, 1, 0]), "unequal lengths"),
        (lambda g: g.emit(tape_ops["add"], [0]), "other operands"),
        (lambda g: g.emit(tape_ops["sin"], [0], [1]), "other operands"),
        (lambda g: g.emit(tape_ops["sin"], [2]), "a: not ids"),
        (lambda g: g.emit(tape_ops["sin"], [-1]), "a: not ids"),
        (lambda g: g.emit(tape_ops["sum"], [0, 1]), "number of terms"),
        (lambda g: g.emit(tape_ops["sum"], [0, 1, 0], aux=2), "unequal lengths"),
        (lambda g: g.emit(tape_ops["constant"], [0]), "op"),
        (lambda g: g.emit(999, [0]), "op"),
        (lambda g: g.emit(tape_ops["solve"], [0, 1], [0], aux=2), "n \\* n"),
        (lambda g: g.values([0]), "constants"),
        (lambda g: g.input(-1), "count"),
        (lambda g: g.callback(0, [0], 2, [0, 1, 1]), "jacobian"),
    ],
)
def test_what_makes_no_sense_is_refused(call, message):
    graph, _ = graph_of(2)
    with pytest.raises(ValueError, match=message):
        call(graph)


@within("name", sorted(set(tape_ops) - {"input", "constant", "identity", "callback"}))
def test_folding_has_the_bits_of_an_evaluation(name, rng):
    n = 24
    numbers = np.concatenate([rng.normal(size=n - 8), [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e300]])
    more = {"integer_power": 3, "polygamma": 1, "sum": 6, "dot": 6, "norm": 6, "solve": 3, "determinant": 3}
    shapes = {"solve": (9, 6), "determinant": (9,)}
    known, graph = TapeGraph(), TapeGraph()
    shuffled = [rng.permutation(numbers) for _ in range(3)]
    for n_operands in (1, 2, 3):
        sizes = shapes.get(name, (n,) * n_operands)
        operands = [shuffled[k][:size] for k, size in enumerate(sizes)]
        try:
            folded = emit(known, name, *map(known.constants, operands), aux=more.get(name, 0))
        except ValueError:
            continue
        x = [np.arange(size, dtype=np.int32) + graph.input(size) for size in sizes]
        program = TapeProgram(graph, emit(graph, name, *x, aux=more.get(name, 0)))
        assert known.is_constant(folded).all()
        got, expected = known.values(folded), program(*operands)
        assert np.array_equal(got, expected, equal_nan=True)
        assert np.array_equal(np.signbit(got[got == 0]), np.signbit(expected[expected == 0]))
        return
    pytest.fail("no number of operands was right")
