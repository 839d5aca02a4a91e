"""Cholesky: one tiny matrix, batches of every size of lanes and beyond, one large matrix."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np

import mmlfast as mf
from bench.harness import Case, Faster, Goal, Job, Setup, Within

Array = np.ndarray[Any, Any]

ITEMS = {3: 100_000, 4: 100_000, 5: 50_000, 6: 40_000, 8: 20_000, 12: 8_000, 16: 5_000, 24: 3_000, 32: 2_000, 48: 800}
ITEMS |= {64: 400, 96: 200, 128: 100, 200: 40}
ERROR = "norm(a - L L') / (norm(a) n u), the worst of the batch"


def factor_error(a: Array, answer: Any) -> float:
    """Largest norm(a - L L') / norm(a) of up to 100 items, in units of n u."""
    n, unit = a.shape[-1], np.finfo(a.dtype).eps / 2
    kind: Any = np.longdouble if n <= 48 else np.float64
    x, exact = (np.asarray(m).reshape(-1, n, n)[:100].astype(kind) for m in (answer, a))
    residual = np.abs(exact - x @ x.swapaxes(-1, -2)).sum(axis=-1).max(axis=-1)
    return float((residual / np.abs(exact).sum(axis=-1).max(axis=-1)).max() / (n * unit))


def positive(setup: Setup, shape: tuple[int, ...], dtype: Any) -> Array:
    x = setup.rng.standard_normal(shape)
    a = x @ x.swapaxes(-1, -2) + np.eye(shape[-1])
    return np.asarray(a.astype(dtype))


@cache
def numba_loop(numba: Any) -> Any:
    """NumPy's function over the batch, in a parallel loop."""

    def loop(a: Array) -> Array:
        x = np.empty_like(a)
        for i in numba.prange(len(a)):
            x[i] = np.linalg.cholesky(a[i])
        return x

    return numba.njit(parallel=True)(loop)


def job_for(a: Array, setup: Setup) -> Job:
    n = a.shape[-1]
    job = Job(partial(factor_error, a), ERROR, bytes=2.0 * a.nbytes, flops=a.size * n / 3, dtype=a.dtype)
    job.ours(mf.linalg.cholesky, a)
    job.peer("numpy", np.linalg.cholesky, a)
    if scipy := setup.library("scipy.linalg"):
        job.peer("scipy", scipy.cholesky, a, lower=True, check_finite=False)
    job.torch_and_jax(setup, "linalg.cholesky", a)
    return job


def one(n: int, setup: Setup) -> Job:
    job = job_for(positive(setup, (n, n), np.float64), setup)
    job.bytes = 0.0
    return job


def batch(n: int, dtype: Any, setup: Setup) -> Job:
    a = positive(setup, (ITEMS[n], n, n), dtype)
    job = job_for(a, setup)
    if numba := setup.library("numba"):
        job.peer("numba prange", numba_loop(numba), a)
    return job


def _batch_case(n: int, dtype: str) -> Case:
    goals: tuple[Goal, ...] = (Faster(10, "numpy"), Faster(1)) if n <= 8 else (Faster(1),)
    title = f"cholesky, {ITEMS[n]} of {n} x {n}, {dtype}"
    return Case(f"cholesky-batch-{n}-{dtype}", title, partial(batch, n, dtype), goals, dtype == "float32" or n > 8)


CASES = [
    Case("cholesky-one-3", "cholesky, one 3 x 3", partial(one, 3), (Within(0.8e-6), Faster(4, "numpy"))),
    *(_batch_case(n, dtype) for dtype in ("float64", "float32") for n in ITEMS),
    *(
        Case(f"cholesky-one-{n}", f"cholesky, one {n} x {n}", partial(one, n), (Faster(0.95),), n > 500)
        for n in (500, 1000, 2000)
    ),
]
