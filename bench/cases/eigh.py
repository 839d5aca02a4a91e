"""Symmetric eigenproblems: one tiny matrix, batches of every size of lanes and beyond, one large matrix."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np

import mmlfast as mf
from bench.harness import Case, Faster, Goal, Job, Setup, Within

Array = np.ndarray[Any, Any]

ITEMS = {2: 100_000, 3: 100_000, 4: 50_000, 5: 20_000, 6: 20_000, 8: 10_000, 12: 4_000, 16: 2_500, 24: 1_000, 32: 600}
ITEMS |= {48: 250, 64: 120, 128: 24}
GOALS = {3: 30, 8: 15, 16: 6}
PAIR_ERROR = "the larger of norm(A V - V L) / norm(A) and norm(V'V - 1), / (n u), the worst of the batch"
VALUE_ERROR = "|error| / (norm(A) n u) against float64, the worst of the batch"


def norms(a: Array) -> Any:
    return np.sqrt((a * a).sum(axis=(-2, -1)))


def pair_error(a: Array, answer: Any) -> float:
    """Residual and orthogonality of up to 100 items, in units of n u."""
    n, unit = a.shape[-1], np.finfo(a.dtype).eps / 2
    kind: Any = np.longdouble if n <= 48 else np.float64
    a = a.reshape(-1, n, n)[:100].astype(kind)
    w, v = np.asarray(answer[0]).reshape(-1, n)[:100].astype(kind), np.asarray(answer[1]).reshape(-1, n, n)[:100]
    v = v.astype(kind)
    residual = norms(a @ v - v * w[:, None, :]) / norms(a)
    orthogonality = norms(v.swapaxes(-1, -2) @ v - np.eye(n))
    return float(max(residual.max(), orthogonality.max()) / (n * unit))


def value_error(a: Array, answer: Any) -> float:
    n, unit = a.shape[-1], np.finfo(a.dtype).eps / 2
    a = a.reshape(-1, n, n)[:100].astype(float)
    error = np.abs(np.asarray(answer).reshape(-1, n)[:100] - np.linalg.eigvalsh(a)).max(axis=-1)
    return float((error / norms(a)).max() / (n * unit))


def symmetric(setup: Setup, shape: tuple[int, ...], dtype: Any) -> Array:
    x = setup.rng.standard_normal(shape)
    return np.asarray((x + x.swapaxes(-1, -2)).astype(dtype))


@cache
def numba_loop(numba: Any) -> Any:
    """NumPy's function over the batch, in a parallel loop."""

    def loop(a: Array) -> tuple[Array, Array]:
        values, vectors = np.empty(a.shape[:2], a.dtype), np.empty_like(a)
        for i in numba.prange(len(a)):
            values[i], vectors[i] = np.linalg.eigh(a[i])
        return values, vectors

    return numba.njit(parallel=True)(loop)


@cache
def numba_values_loop(numba: Any) -> Any:
    def loop(a: Array) -> Array:
        values = np.empty(a.shape[:2], a.dtype)
        for i in numba.prange(len(a)):
            values[i] = np.linalg.eigvalsh(a[i])
        return values

    return numba.njit(parallel=True)(loop)


def job_for(function: str, a: Array, setup: Setup) -> Job:
    n, pairs = a.shape[-1], function == "eigh"
    check, error = (pair_error, PAIR_ERROR) if pairs else (value_error, VALUE_ERROR)
    traffic = 2.0 * a.nbytes if pairs else 1.0 * a.nbytes
    job = Job(partial(check, a), error, bytes=traffic, flops=a.size * n * (9 if pairs else 4 / 3), dtype=a.dtype)
    job.ours(getattr(mf.linalg, function), a)
    job.peer("numpy", getattr(np.linalg, function), a)
    if a.ndim == 2 and (scipy := setup.library("scipy.linalg")):
        for driver in ("evd", "evr"):
            job.peer(f"scipy {driver}", scipy.eigh, a, eigvals_only=not pairs, driver=driver, check_finite=False)
    job.torch_and_jax(setup, f"linalg.{function}", a)
    return job


def one(function: str, n: int, setup: Setup) -> Job:
    job = job_for(function, symmetric(setup, (n, n), np.float64), setup)
    if n < 100:
        job.bytes = 0.0
    return job


def batch(function: str, n: int, dtype: Any, setup: Setup) -> Job:
    a = symmetric(setup, (ITEMS[n], n, n), dtype)
    job = job_for(function, a, setup)
    if numba := setup.library("numba"):
        job.peer("numba prange", (numba_loop if function == "eigh" else numba_values_loop)(numba), a)
    return job


def _batch_case(function: str, n: int, dtype: str) -> Case:
    goals: tuple[Goal, ...] = (Faster(GOALS.get(n, 1)),)
    quick = function == "eigh" and dtype == "float64" and n in GOALS
    title = f"{function}, {ITEMS[n]} of {n} x {n}, {dtype}"
    return Case(f"{function}-batch-{n}-{dtype}", title, partial(batch, function, n, dtype), goals, not quick)


CASES = [
    Case("eigh-one-3", "eigh, one 3 x 3", partial(one, "eigh", 3), (Within(0.8e-6), Faster(4, "numpy"))),
    Case("eigvalsh-one-3", "eigvalsh, one 3 x 3", partial(one, "eigvalsh", 3), (Within(0.8e-6), Faster(4, "numpy"))),
    *(
        _batch_case(function, n, dtype)
        for function in ("eigh", "eigvalsh")
        for dtype in ("float64", "float32")
        for n in ITEMS
    ),
    *(
        Case(f"eigh-one-{n}", f"eigh, one {n} x {n}", partial(one, "eigh", n), (Faster(0.95),), n > 100)
        for n in (8, 24, 32, 48, 100, 200, 500, 1000)
    ),
]
