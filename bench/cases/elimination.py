"""Gaussian elimination: solve, inv, det; one tiny problem, a batch of small ones, one large one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np

import mmlfast as mf
from bench.harness import Case, Faster, Goal, Job, Setup, Within

Array = np.ndarray[Any, Any]

ITEMS = {3: 100_000, 4: 100_000, 8: 20_000, 16: 5_000, 32: 2_000}
BETWEEN = {5: 50_000, 6: 40_000, 12: 8_000, 24: 3_000, 48: 800, 64: 400, 96: 200, 128: 100, 200: 40}
SOLVE_GOALS = {3: (20, 10), 4: (20, 10), 8: (20, 8), 16: (10, 5), 32: (10, 5)}


def extended(a: Array) -> Array:
    """In the precision that errors are computed in."""
    return a.astype(np.longdouble)


def norms(a: Array) -> Any:
    return np.sqrt((a * a).sum(axis=(-2, -1)))


def solve_error(a: Array, b: Array, answer: Any) -> float:
    """Largest normwise backward error over the batch, in units of n u."""
    x, a, b, unit = extended(np.asarray(answer)), extended(a), extended(b), np.finfo(a.dtype).eps / 2
    backward = norms(b - a @ x) / (norms(a) * norms(x) + norms(b))
    return float(backward.max() / (a.shape[-1] * unit))


def inv_error(a: Array, answer: Any) -> float:
    """Largest norm(A X - 1) / (norm(A) norm(X)) over the batch, in units of n u."""
    x, a, unit = extended(np.asarray(answer)), extended(a), np.finfo(a.dtype).eps / 2
    residual = norms(a @ x - np.eye(a.shape[-1], dtype=a.dtype)) / (norms(a) * norms(x))
    return float(residual.max() / (a.shape[-1] * unit))


def determinants(a: Array) -> Array:
    """Determinants in extended precision, by elimination with partial pivoting over the whole batch."""
    a = extended(a).reshape(-1, *a.shape[-2:])
    items, n = np.arange(len(a)), a.shape[-1]
    value = np.ones(len(a), dtype=a.dtype)
    for k in range(n):
        row = k + np.abs(a[:, k:, k]).argmax(axis=1)
        value = np.where(row == k, value, -value)
        pivot = a[items, row].copy()
        a[items, row] = a[:, k]
        a[:, k + 1 :] -= (a[:, k + 1 :, k] / pivot[:, k, None])[:, :, None] * pivot[:, None, :]
        value = value * pivot[:, k]
    return value


def det_error(a: Array, answer: Any) -> float:
    """Largest |error| over the product of the norms of the rows (Hadamard's bound), in units of n u."""
    scale = np.sqrt((extended(a) ** 2).sum(axis=-1)).prod(axis=-1).reshape(-1)
    error = np.abs(np.asarray(answer).reshape(-1) - determinants(a)) / scale
    return float(error.max() / (a.shape[-1] * np.finfo(a.dtype).eps / 2))


CHECKS: dict[str, Callable[..., float]] = {"solve": solve_error, "inv": inv_error, "det": det_error}
ERRORS = {
    "solve": "normwise backward error / (n u), the worst of the batch",
    "inv": "norm(A X - 1) / (norm(A) norm(X) n u), the worst of the batch",
    "det": "|error| / (product of the norms of the rows, n u), the worst of the batch",
}


def job_for(function: str, arrays: tuple[Array, ...]) -> Job:
    """A job with its error, compulsory traffic and flops."""
    a = arrays[0]
    n, count = a.shape[-1], a.size // a.shape[-1] ** 2
    flops = {"solve": 2 / 3 * n**3 + 2 * n**2, "inv": 2 * n**3, "det": 2 / 3 * n**3}[function]
    out = {"solve": arrays[-1].nbytes, "inv": a.nbytes, "det": count * a.itemsize}[function]
    traffic = float(sum(x.nbytes for x in arrays) + out)
    return Job(partial(CHECKS[function], *arrays), ERRORS[function], bytes=traffic, flops=count * flops, dtype=a.dtype)


@cache
def numba_loop(numba: Any, function: str) -> Any:
    """NumPy's function over the batch, in a parallel loop."""
    if function == "solve":

        def loop(a: Array, b: Array) -> Array:
            x = np.empty_like(b)
            for i in numba.prange(len(a)):
                x[i] = np.linalg.solve(a[i], b[i])
            return x
    elif function == "inv":

        def loop(a: Array) -> Array:  # type: ignore[misc]
            x = np.empty_like(a)
            for i in numba.prange(len(a)):
                x[i] = np.linalg.inv(a[i])
            return x
    else:

        def loop(a: Array) -> Array:  # type: ignore[misc]
            x = np.empty(len(a), a.dtype)
            for i in numba.prange(len(a)):
                x[i] = np.linalg.det(a[i])
            return x

    return numba.njit(parallel=True)(loop)


def matrices(setup: Setup, function: str, shape: tuple[int, ...], columns: int, dtype: Any) -> tuple[Array, ...]:
    """Normally distributed matrices, and right-hand sides for solve."""
    a = setup.rng.standard_normal(shape).astype(dtype)
    if function != "solve":
        return (a,)
    return a, setup.rng.standard_normal((*shape[:-1], columns) if columns else shape[:-1]).astype(dtype)


def everybody(job: Job, function: str, arrays: tuple[Array, ...], setup: Setup) -> None:
    """mmlfast, and the function of this name of all peers."""
    job.ours(getattr(mf.linalg, function), *arrays)
    job.peer("numpy", getattr(np.linalg, function), *arrays)
    if scipy := setup.library("scipy.linalg"):
        # Its fastest way: told that there is no structure to look for, and nothing to check.
        fastest = {"solve": {"assume_a": "gen"}, "inv": {"assume_a": "gen"}, "det": {}}[function]
        job.peer("scipy", getattr(scipy, function), *arrays, check_finite=False, **fastest)
    job.torch_and_jax(setup, f"linalg.{function}", *arrays)


def batch(function: str, n: int, dtype: Any, setup: Setup) -> Job:
    arrays = matrices(setup, function, ((ITEMS | BETWEEN)[n], n, n), 1, dtype)
    job = job_for(function, arrays)
    everybody(job, function, arrays, setup)
    if numba := setup.library("numba"):
        job.peer("numba prange", numba_loop(numba, function), *arrays)
    return job


def single(function: str, setup: Setup) -> Job:
    arrays = matrices(setup, function, (3, 3), 0, np.float64)
    job = Job(None)
    a, b = arrays[0], arrays[-1]
    if function == "solve":
        job.error = lambda x: solve_error(a, b[:, None], np.asarray(x)[:, None])
    else:
        job.error = partial(CHECKS[function], a)
    job.error_name = ERRORS[function]
    everybody(job, function, arrays, setup)
    if numba := setup.library("numba"):
        source = getattr(np.linalg, function)
        calls = {"solve": lambda a, b: source(a, b), "inv": lambda a: source(a), "det": lambda a: source(a)}
        job.peer("numba", numba.njit(calls[function]), *arrays)
    return job


def large(function: str, n: int, setup: Setup) -> Job:
    arrays = matrices(setup, function, (n, n), 1, np.float64)
    job = job_for(function, arrays)
    job.bytes = 0.0  # bound by arithmetic
    if function == "det" or (function == "inv" and n > 500):
        job.error, job.error_name = None, ""  # a reference in extended precision takes minutes
    everybody(job, function, arrays, setup)
    return job


def _batch_case(function: str, n: int, dtype: str) -> Case:
    goals: tuple[Goal, ...] = (Faster(20, "numpy"),)
    if function == "solve" and n in SOLVE_GOALS:
        numpy_goal, best_goal = SOLVE_GOALS[n]
        goals = (Faster(numpy_goal, "numpy"), Faster(best_goal))
    if n in BETWEEN:
        goals = (Faster(1),)
    title = f"{function}, {(ITEMS | BETWEEN)[n]} of {n} x {n}, {dtype}"
    slow = dtype == "float32" or n in BETWEEN or (function, n) == ("solve", 16)
    return Case(f"{function}-batch-{n}-{dtype}", title, partial(batch, function, n, dtype), goals, slow)


CASES = [
    *(
        Case(
            f"{function}-one-3",
            f"{function}, one 3 x 3",
            partial(single, function),
            (Within(0.8e-6), Faster(4, "numpy"), Faster(15, "scipy")),
        )
        for function in ("solve", "inv", "det")
    ),
    *(_batch_case("solve", n, dtype) for dtype in ("float64", "float32") for n in ITEMS),
    *(_batch_case(f, n, dtype) for dtype in ("float64", "float32") for f in ("inv", "det") for n in (3, 8)),
    *(
        _batch_case(f, n, dtype)
        for dtype in ("float64", "float32")
        for f in ("solve", "inv", "det")
        for n in (BETWEEN if dtype == "float64" else (12, 64, 128))
    ),
    *(
        Case(f"{f}-one-{n}", f"{f}, one {n} x {n}", partial(large, f, n), (Faster(0.95),), (f, n) != ("solve", 1000))
        for f in ("solve", "inv", "det")
        for n in (500, 1000, 2000)
    ),
]
