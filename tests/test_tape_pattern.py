"""Which outputs depend on which inputs, colours of sparse derivatives, functions inside of others, and saved ones."""

from __future__ import annotations

import contextlib
import itertools
import struct

import numpy as np
import pytest
from cases import saying, within
from test_tape_derivatives import constant, gradient, number, random_function, where
from test_tape_graph import emit, graph_of

from mmlfast._core import TapeGraph, tape_colour_columns, tape_colour_star
from mmlfast._reference.tape import evaluate


def pattern(graph, y, x):
    indptr, indices = graph.pattern(y, x)
    assert indptr.dtype == np.int64
    assert indices.dtype == np.int32
    dense = np.zeros((len(y), len(x)), dtype=bool)
    for i, (start, end) in enumerate(itertools.pairwise(indptr)):
        row = indices[start:end]
        assert (np.diff(row) > 0).all()
        dense[i, row] = True
    return dense


def hessian_pattern(write, n):
    graph, x = graph_of(n)
    first = gradient(graph, write(graph, x), x)
    rows = np.zeros((n, n), dtype=bool)
    rows[first >= 0] = pattern(graph, first[first >= 0], x)
    return rows


def test_pattern_is_of_the_function():
    def write(graph, v):
        product = emit(graph, "multiply", emit(graph, "multiply", v[:1], v[1:2]), v[2:3])
        return emit(graph, "add", product, emit(graph, "integer_power", v[3:], aux=4))

    expected = np.zeros((4, 4), dtype=bool)
    expected[:3, :3] = ~np.eye(3, dtype=bool)
    expected[3, 3] = True
    assert np.array_equal(hessian_pattern(write, 4), expected)


def test_pattern_is_a_union():
    graph, x = graph_of(3)
    branch = where(graph, emit(graph, "less", x[2:], number(graph, 0.0)), x[:1], emit(graph, "sin", x[1:2]))
    assert pattern(graph, branch, x).tolist() == [[True, True, False]]
    gathered = emit(graph, "multiply", x[[0, 0, 2]], x[[1, 2, 2]])
    assert pattern(graph, gathered, x).tolist() == [[True, True, False], [True, False, True], [False, False, True]]


def test_linear_terms_store_nothing():
    def write(graph, v):
        square = emit(graph, "integer_power", v[:1], aux=2)
        return emit(graph, "sum", np.concatenate([square, v[1:], emit(graph, "absolute", v[1:])]), aux=5)

    assert hessian_pattern(write, 3).tolist() == [[True, False, False], [False] * 3, [False] * 3]


def test_pattern_of_arrow_band_and_matrices(rng):
    n = 200
    graph, x = graph_of(n)
    y = emit(graph, "add", emit(graph, "sin", x), x[:1])
    expected = np.eye(n, dtype=bool)
    expected[:, 0] = True
    assert np.array_equal(pattern(graph, y, x), expected)
    y = emit(graph, "multiply", x[1:], emit(graph, "exp", x[:-1]))
    assert np.array_equal(pattern(graph, y, x), (np.eye(n, dtype=bool) | np.eye(n, k=1, dtype=bool))[:-1])
    graph, x = graph_of(8)
    y = emit(graph, "solve", x[:4], x[4:], aux=2)
    columns = np.tile(np.eye(2, dtype=bool), (2, 2))
    assert np.array_equal(pattern(graph, y, x), np.hstack([np.ones((4, 4), dtype=bool), columns]))
    known = graph.constants(rng.normal(size=(2, 2)) * np.array([[1.0, 0.0], [1.0, 1.0]]))
    y = emit(graph, "dot", known.ravel(), np.tile(x[:2], 2), aux=2)
    assert pattern(graph, y, x[:2]).tolist() == [[True, False], [True, True]]


@within("seed", range(4))
def test_pattern_covers_the_derivatives(seed):
    rng = np.random.default_rng(seed)
    graph, x = graph_of(5)
    ys = np.concatenate([random_function(rng, graph, rng.permutation(x)[:3]) for _ in range(70)])
    found = pattern(graph, ys, x)
    for i in range(0, 70, 7):
        first = gradient(graph, ys[i : i + 1], x)
        assert not ((first >= 0) & ~found[i]).any()
    point = rng.normal(size=5)
    for j in range(5):
        moved = evaluate(graph, ys, point + 1e-3 * np.eye(5)[j]) - evaluate(graph, ys, point)
        with saying("column", j):
            assert not ((moved != 0) & ~found[:, j]).any()


# ---- colours ----


def csr(dense):
    dense = np.asarray(dense)
    return np.concatenate([[0], np.cumsum(dense.sum(axis=1))]), np.nonzero(dense)[1].astype(np.int32)


def is_star(dense, colours):
    n = len(dense)
    edges = [[j for j in range(n) if dense[i, j] and i != j] for i in range(n)]
    for a in range(n):
        for b in edges[a]:
            if colours[a] == colours[b]:
                return False
            for c in edges[b]:
                for d in edges[c]:
                    path = {a, b, c, d}
                    if len(path) == 4 and len({int(colours[v]) for v in path}) < 3:
                        return False
    return True


@within("seed", range(40))
def test_colours_of_random_patterns(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 16))
    dense = rng.random((n, n)) < rng.uniform(0.05, 0.6)
    colours = tape_colour_columns(*csr(dense), n)
    for row in dense:
        assert len(set(colours[row])) == row.sum()
    assert set(colours) == set(range(colours.max() + 1))
    symmetric = dense | dense.T
    assert is_star(symmetric, tape_colour_star(*csr(symmetric)))


def test_number_of_colours():
    n = 1000
    band = np.eye(n, dtype=bool) | np.eye(n, k=1, dtype=bool) | np.eye(n, k=-1, dtype=bool)
    assert tape_colour_columns(*csr(band), n).max() + 1 == 3
    assert tape_colour_star(*csr(band)).max() + 1 == 3
    arrow = np.eye(n, dtype=bool)
    arrow[0] = arrow[:, 0] = True
    assert tape_colour_star(*csr(arrow)).max() + 1 == 2
    assert np.array_equal(tape_colour_columns(*csr(arrow), n), np.arange(n))
    assert tape_colour_star(*csr(np.eye(n, dtype=bool))).max() == 0
    assert tape_colour_star(np.array([0]), np.array([], dtype=np.int32)).shape == (0,)


@pytest.mark.parametrize(
    ("indptr", "indices"),
    [([], []), ([0, 2], [0]), ([0, 1, 0, 2], [0, 1]), ([0, 1], [1]), ([0, 1], [-1]), ([1, 1], [])],
)
def test_patterns_that_are_none_are_refused(indptr, indices):
    indptr, indices = np.array(indptr, dtype=np.int64), np.array(indices, dtype=np.int32)
    with pytest.raises(ValueError, match=r"indptr|indices|count"):
        tape_colour_star(indptr, indices)
    with pytest.raises(ValueError, match=r"indptr|indices"):
        tape_colour_columns(indptr, indices, 1)


# ---- functions inside of others ----


def test_a_function_inside_of_another(rng):
    inner, v = graph_of(3)
    scale = np.array([inner.input(1)])
    y = random_function(rng, inner, inner.identity(v))
    y = emit(inner, "multiply", y, scale)
    graph, x = graph_of(2)
    arguments = np.array([x[1], x[0], emit(graph, "sin", x[:1])[0]])
    z = graph.inline(inner, [arguments, constant(graph, 3.0)], y)
    point = rng.normal(size=2)
    there = evaluate(inner, y, np.array([point[1], point[0], np.sin(point[0])]), np.array([3.0]))
    assert np.array_equal(evaluate(graph, z, point), there)
    assert "identity" not in [run[0] for run in graph.runs(z)]
    assert np.array_equal(graph.inline(inner, [arguments, constant(graph, 3.0)], y), z)
    with pytest.raises(ValueError, match="input_ids"):
        graph.inline(inner, [arguments], y)
    with pytest.raises(ValueError, match="input_ids"):
        graph.inline(inner, [arguments[:2], arguments[:1]], y)
    with pytest.raises(ValueError, match="itself"):
        graph.inline(graph, [x], z)


def test_callbacks_inside_of_another():
    inner, v = graph_of(1)
    y = inner.callback(0, v, 1, emit(inner, "exp", v))
    graph, x = graph_of(1)
    z = graph.inline(inner, [x], y, first_callback=1)
    functions = [None, np.expm1]
    for ids in (z, gradient(graph, z, x)):
        assert evaluate(graph, ids, np.array([0.5]), callbacks=functions)[0] in (np.expm1(0.5), np.exp(0.5))


# ---- saved ----


def a_function(rng):
    graph, x = graph_of(4)
    more = np.arange(*(lambda first: (first, first + 2))(graph.input(2)), dtype=np.int32)
    emit(graph, "exp", x)  # not needed
    y = random_function(rng, graph, np.concatenate([x, more]))
    called = graph.callback(0, x[:2], 2, np.concatenate([x, x[:2] * 0]).reshape(-1)[:4])
    solved = emit(graph, "solve", x, more, aux=2)
    known = constant(graph, np.nan, -0.0, 3.0)
    picked = emit(graph, "multiply", x[[3, 0, 1]], known)
    first = gradient(graph, y, x)
    return graph, np.concatenate([called, solved, picked, first[first >= 0]])


def test_saved_functions_come_back(rng):
    graph, outputs = a_function(rng)
    data = graph.to_bytes(outputs)
    back, ids = TapeGraph.from_bytes(data)
    assert back.n_values < graph.n_values
    assert back.n_inputs == [4, 2]
    arguments = rng.normal(size=4), rng.normal(size=2)
    functions = [np.sin]
    one, other = (evaluate(g, i, *arguments, callbacks=functions) for g, i in ((graph, outputs), (back, ids)))
    assert np.array_equal(one, other, equal_nan=True)
    assert back.to_bytes(ids) == data
    with saying("derivatives of callbacks"):
        first = gradient(back, ids[:1], np.arange(4, dtype=np.int32))
        assert (first >= 0).tolist() == [True, True, False, False]
    with saying("equal runs are found again"):
        before = back.n_runs
        emit(back, "multiply", np.arange(4)[[3, 0, 1]], ids[:3] * 0 + back.constants(np.array([3.0])))
        name, _, _, aux, *operands = next(run for run in back.runs(ids) if run[0] == "solve")
        emit(back, name, *operands[:2], aux=aux)
        assert back.n_runs <= before + 2


def test_saved_callbacks_keep_their_derivatives():
    graph, x = graph_of(1)
    y = graph.callback(0, x, 1, emit(graph, "exp", x))  # which nothing else needs
    back, ids = TapeGraph.from_bytes(graph.to_bytes(y))
    first = gradient(back, ids, x)
    assert evaluate(back, first, np.array([0.5])) == np.exp(0.5)


def with_hash(data):
    h = 0xCBF29CE484222325
    for byte in data[16:]:
        h = ((h ^ byte) * 0x100000001B3) % 2**64
    return data[:8] + struct.pack("<Q", h) + data[16:]


def test_damaged_bytes_are_refused(rng):
    graph, outputs = a_function(rng)
    data = graph.to_bytes(outputs)
    assert with_hash(data) == data
    for at in range(0, len(data), 7):
        changed = bytearray(data)
        changed[at] ^= 1 << int(rng.integers(8))
        with pytest.raises(ValueError, match="not a saved function"):
            TapeGraph.from_bytes(bytes(changed))
        with pytest.raises(ValueError, match="not a saved function"):
            TapeGraph.from_bytes(data[:at])


def check_made_of(data):
    back, ids = TapeGraph.from_bytes(data)
    if back.n_values > 10**5:
        return
    x = np.arange(back.n_inputs[0], dtype=np.int32)
    for run in back.runs(ids):
        for operand in run[4:]:
            assert operand is None or ((operand >= 0) & (operand < run[1])).all()
    back.pattern(ids, x)
    back.to_bytes(ids)
    back.vjp(ids, back.constants(np.ones(len(ids))), x)


@within("seed", range(20))
def test_forged_bytes_are_refused_or_make_a_graph(seed):
    """With a hash that fits, so that only the checks of each number stand between the bytes and the graph."""
    rng = np.random.default_rng(seed)
    graph, outputs = a_function(rng)
    data = graph.to_bytes(outputs)
    for _ in range(60):
        changed = bytearray(data)
        for _ in range(int(rng.integers(1, 4))):
            at = int(rng.integers(16, len(data) - 4))
            if rng.random() < 0.5:
                changed[at] = int(rng.integers(256))
            else:
                changed[at : at + 4] = struct.pack("<i", int(rng.choice([-1, 0, 1, 2, 7, 2**20, 2**31 - 1, -(2**31)])))
        with contextlib.suppress(ValueError):
            check_made_of(with_hash(bytes(changed)))
