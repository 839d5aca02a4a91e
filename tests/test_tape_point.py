"""The numbers of a graph at one point, asked for while it grows."""

from __future__ import annotations

import numpy as np
import pytest
from test_tape_program import emit, graph_of, random_graph

from mmlfast import _core
from mmlfast._core import TapePoint, TapeProgram


@pytest.mark.parametrize("seed", range(30))
def test_numbers_have_the_bits_of_a_program_as_it_is_written(seed):
    rng = np.random.default_rng([7, seed])
    n, n_parameters = int(rng.integers(1, 12)), int(rng.integers(1, 6))
    graph, outputs = random_graph(rng, n, n_parameters, int(rng.choice([1, 4, 15, 60])))
    outputs = outputs[outputs >= 0]
    x, parameters = rng.normal(size=n), rng.normal(size=n_parameters)
    point = TapePoint(graph, np.concatenate([x, parameters]))
    want = TapeProgram(graph, outputs, as_written=True)(x, parameters)
    order = rng.permutation(outputs.size)
    for some in np.array_split(order, 5):
        np.testing.assert_array_equal(point.values(outputs[some]), want[some])
    np.testing.assert_array_equal(point.values(outputs), want)
    _, indices = graph.pattern(outputs, np.arange(n, dtype=np.int32))
    assert point.depends_on_x(outputs) == bool(len(indices))


def test_programs_as_written_round_every_product(rng):
    graph, x = graph_of(3)
    y = emit(graph, "add", emit(graph, "multiply", x[:1], x[1:2]), x[2:])
    point = rng.normal(size=(200, 3))
    np.testing.assert_array_equal(
        TapeProgram(graph, y, as_written=True).batch(point)[:, 0], point[:, 0] * point[:, 1] + point[:, 2]
    )


def test_matrices_and_functions_of_python_are_computed_once():
    graph, a, b = graph_of(9, 3)
    solution = emit(graph, "solve", a, b, aux=3, count=3)
    determinant = emit(graph, "determinant", a, aux=3, count=1)
    called = graph.callback(1, np.concatenate([solution, determinant]), 2)
    again = graph.identity(called)
    calls = []

    def sums(v):
        calls.append(v)
        return np.array([v.sum(), v.prod()])

    m, r = np.random.default_rng(3).normal(size=(3, 3)), np.arange(1.0, 4)
    point = TapePoint(graph, np.concatenate([m.ravel(), r]))
    functions = (None, sums)
    expected = np.append(np.linalg.solve(m, r), np.linalg.det(m))
    for _ in range(3):
        np.testing.assert_allclose(point.values(again, functions), [expected.sum(), expected.prod()], rtol=1e-10)
    assert len(calls) == 1
    later = emit(graph, "exp", again)
    np.testing.assert_allclose(point.values(later, functions), np.exp([expected.sum(), expected.prod()]), rtol=1e-10)
    assert len(calls) == 1
    assert point.depends_on_x(later)
    assert not point.depends_on_x(b)


def test_what_failed_is_computed_when_it_is_asked_for_again():
    graph, x = graph_of(1)
    y = emit(graph, "exp", graph.callback(0, emit(graph, "sin", x), 1))
    point = TapePoint(graph, [0.3])

    def fails(v):
        raise ZeroDivisionError("once")

    with pytest.raises(ZeroDivisionError, match="once"):
        point.values(y, (fails,))
    np.testing.assert_allclose(point.values(y, (lambda v: 2 * v,)), np.exp(2 * np.sin([0.3])), rtol=1e-15)


def test_arguments():
    graph, x = graph_of(2)
    with pytest.raises(ValueError, match="as many"):
        TapePoint(graph, [1.0])
    with pytest.raises(ValueError, match="not ids"):
        TapePoint(graph, [1.0, 2.0]).values([5])
    assert _core.TapePoint(graph, [1.0, 2.0]).values(x[:0]).shape == (0,)
