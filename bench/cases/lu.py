"""LU factors: one tiny matrix, batches of every size of lanes and beyond, one large matrix."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import mmlfast as mf
from bench.harness import Case, Faster, Goal, Job, Setup, Within

Array = np.ndarray[Any, Any]

ITEMS = {3: 100_000, 4: 100_000, 5: 50_000, 6: 40_000, 8: 20_000, 12: 8_000, 16: 5_000, 24: 3_000, 32: 2_000, 48: 800}
ITEMS |= {64: 400, 96: 200, 128: 100, 200: 40}
ERROR = "norm(P L U - a) / (norm(L) norm(U) n u), the worst of the batch"


def factor_error(a: Array, answer: Any) -> float:
    """Largest norm(P L U - a) / (norm(L) norm(U)) of up to 100 items, in units of n u."""
    m, n = a.shape[-2:]
    k = min(m, n)
    shapes = ((m, n), (m, m), (m, k), (k, n))
    exact, p, lower, upper = (
        np.asarray(x).reshape(-1, *shape)[:100].astype(float) for x, shape in zip((a, *answer), shapes, strict=True)
    )
    residual = np.abs(p @ (lower @ upper) - exact).sum(axis=-1).max(axis=-1)
    size = np.abs(lower).sum(axis=-1).max(axis=-1) * np.abs(upper).sum(axis=-1).max(axis=-1)
    return float((residual / size).max() / (max(m, n) * np.finfo(a.dtype).eps / 2))


def job_for(shape: tuple[int, ...], dtype: Any, setup: Setup) -> Job:
    a = setup.rng.standard_normal(shape).astype(dtype)
    n = shape[-1]
    job = Job(partial(factor_error, a), ERROR, bytes=4.0 * a.nbytes, flops=a.size * n * 2 / 3, dtype=a.dtype)
    if a.ndim == 2:
        job.bytes = 0.0
    job.ours(mf.linalg.lu, a)
    if scipy := setup.library("scipy.linalg"):
        job.peer("scipy", scipy.lu, a, check_finite=False)
    if torch := setup.library("torch"):
        job.peer("torch", torch.linalg.lu, torch.from_numpy(a))
    if jax := setup.library("jax"):
        job.jax("jax", jax.scipy.linalg.lu, a)
    return job


def _batch_case(n: int, dtype: str) -> Case:
    goals: tuple[Goal, ...] = (Faster(10, "scipy"), Faster(1)) if n <= 8 else (Faster(1),)
    title = f"lu, {ITEMS[n]} of {n} x {n}, {dtype}"
    run = partial(job_for, (ITEMS[n], n, n), dtype)
    return Case(f"lu-batch-{n}-{dtype}", title, run, goals, dtype == "float32" or n > 8)


CASES = [
    Case("lu-one-3", "lu, one 3 x 3", partial(job_for, (3, 3), np.float64), (Within(1.5e-6), Faster(4, "scipy"))),
    *(_batch_case(n, dtype) for dtype in ("float64", "float32") for n in ITEMS),
    *(
        Case(f"lu-one-{n}", f"lu, one {n} x {n}", partial(job_for, (n, n), np.float64), (Faster(0.9),), n > 500)
        for n in (500, 1000)
    ),
]
