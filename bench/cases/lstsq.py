"""Least squares: one small problem, batches of them, beside loops and batches of the peers."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np

import mmlfast as mf
from bench.harness import Case, Faster, Goal, Job, Setup

Array = np.ndarray[Any, Any]

SHAPES = {(50, 5): 10_000, (10, 3): 20_000, (100, 10): 2_000, (30, 16): 1_000, (60, 24): 300}
ERROR = "backward error (Karlson and Walden) / (max(m, n) u), the worst of the batch"


def lstsq_error(a: Array, b: Array, answer: Any) -> float:
    x = np.asarray(answer[0] if isinstance(answer, tuple) else answer).astype(float).reshape(*a.shape[:-2], -1, 1)
    u, s, _ = np.linalg.svd(a.astype(float), full_matrices=False)
    r = (b.astype(np.longdouble) - a.astype(np.longdouble) @ x.astype(np.longdouble)).astype(float)
    size_x, size_r = (np.linalg.norm(v, axis=(-2, -1))[..., None] for v in (x, r))
    parts = s * (u.swapaxes(-1, -2) @ r)[..., 0] / np.hypot(size_x * s, size_r)
    backward = np.linalg.norm(parts, axis=-1) / np.linalg.norm(s, axis=-1)
    return float(backward.max() / (max(a.shape[-2:]) * np.finfo(a.dtype).eps / 2))


@cache
def numba_loop(numba: Any) -> Any:
    def loop(a: Array, b: Array) -> Array:
        x = np.empty((len(a), a.shape[2], b.shape[2]), a.dtype)
        for i in numba.prange(len(a)):
            x[i] = np.linalg.lstsq(a[i], b[i])[0]
        return x

    return numba.njit(parallel=True)(loop)


def numpy_loop(a: Array, b: Array) -> Array:
    return np.array([np.linalg.lstsq(x, y)[0] for x, y in zip(a, b, strict=True)])


def batch(shape: tuple[int, int], dtype: str, setup: Setup) -> Job:
    m, n = shape
    items = SHAPES[shape]
    a = setup.rng.standard_normal((items, m, n)).astype(dtype)
    b = setup.rng.standard_normal((items, m, 1)).astype(dtype)
    flops = 2.0 * n * (n * (m - n / 3) + 2 * m) * items
    job = Job(partial(lstsq_error, a, b), ERROR, limit=10, bytes=float(a.nbytes + b.nbytes), flops=flops, dtype=dtype)
    job.ours(mf.linalg.lstsq, a, b)
    if not setup.quick:
        job.peer("numpy loop", numpy_loop, a, b)
    if torch := setup.library("torch"):
        job.peer("torch", torch.linalg.lstsq, torch.from_numpy(a), torch.from_numpy(b))
    if jax := setup.library("jax"):
        job.jax("jax", jax.vmap(lambda a, b: jax.numpy.linalg.lstsq(a, b)[0]), a, b)
    if numba := setup.library("numba"):
        job.peer("numba prange", numba_loop(numba), a, b)
    return job


def single(m: int, n: int, setup: Setup) -> Job:
    a, b = setup.rng.standard_normal((m, n)), setup.rng.standard_normal((m, 1))
    job = Job(partial(lstsq_error, a, b), ERROR, limit=10)
    job.ours(mf.linalg.lstsq, a, b)
    job.peer("numpy", np.linalg.lstsq, a, b)
    if scipy := setup.library("scipy.linalg"):
        job.peer("scipy", scipy.lstsq, a, b, check_finite=False)
    if torch := setup.library("torch"):
        job.peer("torch", torch.linalg.lstsq, torch.from_numpy(a), torch.from_numpy(b))
    return job


def _batch_case(shape: tuple[int, int], dtype: str) -> Case:
    m, n = shape
    goals: tuple[Goal, ...] = (Faster(15, "torch"),) if shape == (50, 5) else (Faster(1),)
    slow = dtype == "float32" or shape not in ((50, 5), (10, 3))
    title = f"lstsq, {SHAPES[shape]} of {m} x {n}, {dtype}"
    return Case(f"lstsq-batch-{m}x{n}-{dtype}", title, partial(batch, shape, dtype), goals, slow)


CASES = [
    *(_batch_case(shape, dtype) for dtype in ("float64", "float32") for shape in SHAPES),
    Case("lstsq-one-10x3", "lstsq, one 10 x 3", partial(single, 10, 3), (Faster(1),)),
    Case("lstsq-one-2000x100", "lstsq, one 2000 x 100", partial(single, 2000, 100), (Faster(0.95),), slow=True),
]
