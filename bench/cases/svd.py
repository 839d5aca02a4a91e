"""Singular values and vectors: one tiny matrix, batches of every size of lanes and beyond, one large matrix."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np

import mmlfast as mf
from bench.harness import Case, Faster, Goal, Job, Setup, Within

Array = np.ndarray[Any, Any]

ITEMS: dict[tuple[int, int], int] = {
    **{(n, n): count for n, count in ((2, 50_000), (3, 50_000), (4, 20_000), (5, 20_000), (6, 10_000), (8, 5_000))},
    **{(n, n): count for n, count in ((12, 2_000), (16, 1_000), (24, 400), (32, 200), (48, 60), (64, 30), (128, 6))},
    (10, 3): 20_000,
    (50, 5): 5_000,
    (5, 50): 5_000,
    (100, 16): 500,
}
GOALS = {(3, 3): 15, (8, 8): 8, (16, 16): 4, (50, 5): 4}
ERRORS = {
    "svd": "largest of norm(a - U S V') / norm(a), norm(U'U - I), norm(V'V - I), in max(m, n) u",
    "svdvals": "largest error of a singular value / norm(a), in max(m, n) u",
    "pinv": "norm(a x a - a) / (norm(a) cond(a)), in max(m, n) u",
}


def unit(a: Array) -> float:
    return float(max(a.shape[-2:]) * np.finfo(a.dtype).eps / 2)


def svd_error(a: Array, answer: Any) -> float:
    u, s, vh = (np.asarray(x)[:100].astype(float) for x in answer)
    first, identity = a[:100].astype(float), np.eye(s.shape[-1])
    rest = np.linalg.norm(first - (u * s[:, None, :]) @ vh, 2, axis=(1, 2)) / s[:, 0]
    turned = [np.linalg.norm(q @ q.mT - identity, 2, axis=(1, 2)) for q in (u.mT, vh)]
    return float(max(rest.max(), *(x.max() for x in turned)) / unit(a))


def svdvals_error(a: Array, answer: Any) -> float:
    expected = np.linalg.svd(a[:100].astype(float), compute_uv=False)
    return float((np.abs(np.asarray(answer)[:100] - expected) / expected[:, :1]).max() / unit(a))


def pinv_error(a: Array, answer: Any) -> float:
    first, x = a[:100].astype(float), np.asarray(answer)[:100].astype(float)
    size = np.linalg.norm(first, axis=(1, 2)) * np.linalg.cond(first)
    return float((np.linalg.norm(first @ x @ first - first, axis=(1, 2)) / size).max() / unit(a))


CHECKS: dict[str, Callable[[Array, Any], float]] = {"svd": svd_error, "svdvals": svdvals_error, "pinv": pinv_error}


def reduced(function: Callable[..., Any]) -> Callable[..., Any]:
    return partial(function, full_matrices=False)


@cache
def numba_loop(numba: Any, name: str) -> Any:
    """NumPy's function over the batch, in a parallel loop."""
    if name == "pinv":

        def loop(a: Array) -> Any:
            x = np.empty((a.shape[0], a.shape[2], a.shape[1]), a.dtype)
            for i in numba.prange(len(a)):
                x[i] = np.linalg.pinv(a[i])
            return x
    else:

        def loop(a: Array) -> Any:
            items, m, n = a.shape
            k = min(m, n)
            u, s, vh = np.empty((items, m, k), a.dtype), np.empty((items, k), a.dtype), np.empty((items, k, n), a.dtype)
            for i in numba.prange(items):
                u[i], s[i], vh[i] = np.linalg.svd(a[i], False)
            return u, s, vh

    return numba.njit(parallel=True)(loop)


def job_for(name: str, a: Array, setup: Setup) -> Job:
    job = Job(partial(CHECKS[name], a), ERRORS[name], dtype=a.dtype)
    choose = reduced if name == "svd" else (lambda function: function)
    job.ours(choose(getattr(mf.linalg, name)), a)
    job.peer("numpy", choose(getattr(np.linalg, name)), a)
    if torch := setup.library("torch"):
        job.peer("torch", choose(getattr(torch.linalg, name)), torch.from_numpy(a))
    if jax := setup.library("jax"):
        job.jax("jax", choose(getattr(jax.numpy.linalg, name)), a)
    return job


def batch(name: str, shape: tuple[int, int], dtype: Any, setup: Setup) -> Job:
    a = setup.rng.standard_normal((ITEMS[shape], *shape)).astype(dtype)
    job = job_for(name, a, setup)
    if name != "svdvals" and (numba := setup.library("numba")):
        job.peer("numba prange", numba_loop(numba, name), a)
    return job


def one(name: str, n: int, setup: Setup) -> Job:
    a = setup.rng.standard_normal((n, n))
    job = job_for(name, a, setup)
    job.error = partial(_first, CHECKS[name], a)
    return job


def _first(check: Callable[[Array, Any], float], a: Array, answer: Any) -> float:
    """The error of one matrix, as that of a batch of one."""
    stacked = tuple(np.asarray(x)[None] for x in answer) if isinstance(answer, tuple) else np.asarray(answer)[None]
    return check(a[None], stacked)


def _batch_case(name: str, shape: tuple[int, int], dtype: str) -> Case:
    m, n = shape
    goal = GOALS.get(shape, 1) if name == "svd" else 1
    goals: tuple[Goal, ...] = (Faster(1, "numpy"), Faster(goal))
    slow = dtype == "float32" or shape not in GOALS
    title = f"{name}, {ITEMS[shape]} of {m} x {n}, {dtype}"
    return Case(f"{name}-batch-{m}x{n}-{dtype}", title, partial(batch, name, shape, dtype), goals, slow)


CASES = [
    *(
        Case(f"{name}-one-3", f"{name}, one 3 x 3", partial(one, name, 3), (Within(1e-6), Faster(4, "numpy")))
        for name in ("svd", "svdvals", "pinv")
    ),
    *(_batch_case("svd", shape, dtype) for dtype in ("float64", "float32") for shape in ITEMS),
    *(_batch_case(name, shape, "float64") for name in ("svdvals", "pinv") for shape in ITEMS),
    Case("svd-one-500", "svd, one 500 x 500", partial(one, "svd", 500), (Faster(0.95, "numpy"),), True),
]
