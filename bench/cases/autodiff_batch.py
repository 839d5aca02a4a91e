"""Gradients at many points, beside copying their bytes; and what the interpreter takes for one operation."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

import mmlfast as mf
from bench.cases.autodiff import ERROR, LIMIT, Make, casadi_gradient, exact_gradient, gradient_error, rosenbrock
from bench.harness import Case, Faster, Goal, Job, Setup, Share, Within
from mmlfast import autodiff

Array = np.ndarray[Any, Any]

N = 100_000
OPERATIONS = 100  # of the functions that time the interpreter
BLOCK = 2048  # numbers that NumPy is given at once: two such arrays are in the L1 cache


def ten_long_ways(names: Any) -> Callable[[Any], Any]:
    """Ten variables, each through 50 operations, an exponential and a sine, and the sum of what comes out."""

    def f(x: Any) -> Any:
        y, z = names.exp(-x), names.sin(x)
        for _ in range(12):
            y, z = 0.5 * (y + z), y * z - 0.1
        return names.sum(y + z, axis=0)

    return f


def fifty_operations(names: Any) -> Callable[[Any], Any]:
    """Ten variables in about 50 operations, an exponential and a sine in all."""

    def f(x: Any) -> Any:
        a, b = x[:5], x[5:]
        u = a * b + a
        v = u * u - 0.3 * b
        return names.exp(-0.1 * names.sum(x * x, axis=0)) * names.sin(names.sum(v * a, axis=0))

    return f


def copying(x: Array, threads: int) -> Callable[[], Any]:
    """All threads copy as many bytes as a gradient has to read and write."""
    out = np.empty_like(x)
    parts = list(zip(np.array_split(out, threads), np.array_split(x, threads), strict=True))
    if threads == 1:
        return lambda: np.copyto(out, x)
    pool = ThreadPoolExecutor(threads)
    return lambda: list(pool.map(lambda part: np.copyto(*part), parts))


def gradients(make: Make, n: int, setup: Setup) -> Job:
    """Everybody's best: JAX by vmap, compiled; others by the gradient of the sum over all points, all apart."""
    x, f = setup.rng.uniform(-1.0, 1.0, (N, n)), make(np)
    exact = exact_gradient(f, x.T).T
    job = Job(partial(gradient_error, exact), ERROR, limit=LIMIT, bytes=2.0 * x.nbytes)
    job.ours(autodiff.grad(f).batch, x)
    job.yardstick("copying", copying(x, setup.threads))

    def total(names: Any) -> Callable[[Any], Any]:
        of_columns = make(names)
        return lambda x: of_columns(x.T).sum()

    if jax := setup.library("jax"):
        job.jax("jax vmap", jax.vmap(jax.grad(make(jax.numpy))), x)
    if casadi := setup.library("casadi"):
        how = ("thread", setup.threads) if setup.threads > 1 else ("serial",)
        function = casadi_gradient(casadi, make, n).map(N, *how)
        job.peer("casadi map", lambda columns: function(columns).T, casadi.DM(x.T))
    if autograd := setup.library("autograd"):
        job.peer("autograd", autograd.grad(total(setup.library("autograd.numpy"))), x)
    if torch := setup.library("torch"):
        variable, of_torch = torch.from_numpy(x).requires_grad_(True), total(torch)

        def by_torch() -> Any:
            with torch.enable_grad():
                return torch.autograd.grad(of_torch(variable), variable)

        job.peer("torch", by_torch)
    if advect := setup.library("advect"):
        job.peer("advect staged", advect.stage(advect.grad(total(np)), x), x)
    return job


# ---- the interpreter ----


def additions(x: Any) -> Any:
    """No two of them can be made one."""
    u, v = x[0], x[1]
    for _ in range(OPERATIONS):
        u, v = v, u + v
    return v


def additions_in_blocks(x: Array) -> Array:
    """By NumPy, in place, out of the L1 cache."""
    out = np.empty(len(x))
    for start in range(0, len(x), BLOCK):
        u, v = x[start : start + BLOCK].T.copy()
        for _ in range(OPERATIONS // 2):
            np.add(u, v, out=u)
            np.add(v, u, out=v)
        out[start : start + BLOCK] = v
    return out


def exponentials(x: Any) -> Any:
    u = x[0]
    for _ in range(OPERATIONS):
        u = np.exp(-u)
    return u


def exponentials_in_blocks(x: Array) -> Array:
    out = np.empty(len(x))
    for start in range(0, len(x), BLOCK):
        u = x[start : start + BLOCK, 0].copy()
        for _ in range(OPERATIONS):
            np.negative(u, out=u)
            np.exp(u, out=u)
        out[start : start + BLOCK] = u
    return out


def alone(f: Callable[[Array], Array], x: Array) -> Array:
    """On one thread."""
    before = mf.get_num_threads()
    mf.set_num_threads(1)
    try:
        return f(x)
    finally:
        mf.set_num_threads(before)


def values_error(exact: Array, answer: Array) -> float:
    return float((np.abs(answer - exact) / np.abs(exact)).max())


def interpreter(f: Callable[[Any], Any], in_blocks: Callable[[Array], Array], setup: Setup) -> Job:
    x = setup.rng.uniform(0.5, 1.5, (N, 2))
    job = Job(partial(values_error, f(x.T.astype(np.longdouble))), "largest relative error", limit=1e-12)
    job.ours(alone, autodiff.trace(f, x[0]).batch, x)
    job.peer("numpy in blocks", in_blocks, x)
    if numba := setup.library("numba"):

        @numba.njit(fastmath=False)  # type: ignore[untyped-decorator]
        def compiled(x: Array) -> Array:
            out = np.empty(len(x))
            for i in range(len(x)):
                out[i] = one(x[i])
            return out

        one = numba.njit(f)
        job.peer("numba", compiled, x)
    return job


def case(name: str, title: str, make: Make, *goals: Goal) -> Case:
    return Case(f"autodiff-batch-{name}", f"gradients at {N} points, {title}", partial(gradients, make, 10), goals)


def interpreter_case(name: str, f: Any, in_blocks: Any, nanoseconds: float) -> Case:
    title = f"{OPERATIONS} {name} one after the other at {N} points, one thread"
    goal = Within(nanoseconds * 1e-9 * OPERATIONS * N)
    return Case(f"autodiff-{name}", title, partial(interpreter, f, in_blocks), (goal,))


CASES = [
    case("rosenbrock", "Rosenbrock's function, n = 10", rosenbrock, Faster(2.5, "jax"), Share(0.5, "copying")),
    case("long", "ten variables through 50 operations, exp and sin each", ten_long_ways, Faster(5, "jax")),
    case("short", "ten variables, 50 operations, exp and sin in all", fifty_operations, Faster(3, "jax")),
    interpreter_case("additions", additions, additions_in_blocks, 0.05),
    interpreter_case("exponentials", exponentials, exponentials_in_blocks, 0.75),
]
