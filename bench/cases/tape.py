"""Programs of traced functions without what is around them: single instructions in blocks, and one call."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import scipy.optimize
import scipy.special

from bench.harness import Case, Job, Setup, Within
from mmlfast._core import TapeGraph, TapeProgram, tape_ops

Array = np.ndarray[Any, Any]


def largest_error(right: Array, answer: Array) -> float:
    return float(np.max(np.abs(answer - right) / np.maximum(np.abs(right), 1)))


def chain(op: str, length: int, setup: Setup) -> Job:
    """One operation again and again, of eight numbers of each point: what an instruction takes beside its operation."""
    graph = TapeGraph()
    first = graph.input(16)
    x = np.arange(first, first + 16, dtype=np.int32)
    a, b = x[:8], x[8:]
    points = setup.rng.uniform(0.1, 0.9, (20_000, 16))
    left, right = points[:, :8], points[:, 8:]
    two = tape_ops[op] >= tape_ops["add"]
    function = getattr(np, op)
    for _ in range(length):
        a = graph.emit(tape_ops[op], *((a, b) if two else (a,)))
        left = function(left, right) if two else function(left)
    job = Job(partial(largest_error, left), "largest error")
    job.ours(TapeProgram(graph, a).batch, points)

    def by_arrays() -> Array:
        y = points[:, :8].copy()
        for _ in range(length):
            y = function(y, points[:, 8:]) if two else function(y)
        return y

    job.peer("numpy", by_arrays)
    return job


def rosenbrock(n: int) -> TapeProgram:
    """Its gradient."""
    graph = TapeGraph()
    first = graph.input(n)
    x = np.arange(first, first + n, dtype=np.int32)
    one, hundred = graph.constants(np.array([1.0])), graph.constants(np.array([100.0]))

    def emit(op: str, a: Array, b: Array | None = None, aux: int = 0) -> Array:
        return graph.emit(tape_ops[op], a, b, aux=aux)

    t = emit("subtract", x[1:], emit("integer_power", x[:-1], aux=2))
    terms = emit("multiply", hundred, emit("integer_power", t, aux=2))
    terms = emit("add", terms, emit("integer_power", emit("subtract", one, x[:-1]), aux=2))
    return TapeProgram(graph, graph.vjp(emit("sum", terms, aux=n - 1), one, x))


def one_gradient(setup: Setup) -> Job:
    x = setup.rng.standard_normal(10)
    job = Job(partial(largest_error, scipy.optimize.rosen_der(x)), "largest error")
    job.ours(rosenbrock(10), x)
    job.peer("scipy", scipy.optimize.rosen_der, x)
    return job


def gradients(setup: Setup) -> Job:
    points = setup.rng.standard_normal((100_000, 10))
    right = scipy.optimize.rosen_der(points.T).T
    job = Job(partial(largest_error, right), "largest error", bytes=2 * points.nbytes)
    job.ours(rosenbrock(10).batch, points)
    columns = np.ascontiguousarray(points.T)
    job.peer("scipy", lambda: scipy.optimize.rosen_der(columns).T)
    return job


CASES = [
    Case("tape-rosenbrock-one", "gradient of Rosenbrock, n = 10, one call", one_gradient, (Within(6e-7),)),
    Case("tape-rosenbrock-1e5", "gradient of Rosenbrock, n = 10, at 1e5 points", gradients),
    Case("tape-add", "64 additions of eight numbers, at 2e4 points", partial(chain, "add", 64)),
    Case("tape-tanh", "8 times tanh of eight numbers, at 2e4 points", partial(chain, "tanh", 8)),
]
