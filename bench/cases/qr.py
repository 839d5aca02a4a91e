"""QR: one tiny matrix, batches of small ones of every size, one large one."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np

import mmlfast as mf
from bench.harness import Case, Faster, Goal, Job, Setup, Within

Array = np.ndarray[Any, Any]

ITEMS = {
    2: 100_000, 3: 100_000, 4: 100_000, 5: 50_000, 6: 40_000, 8: 20_000, 12: 10_000, 16: 5_000, 24: 2_000, 32: 1_000,
    48: 400, 64: 200, 128: 40,
}  # fmt: skip
GOALS = {3: 20, 8: 10, 16: 5}
ERROR = "the larger of norm(Q'Q - 1) and norm(A - QR) / norm(A), in n u, the worst of the batch"


def norms(a: Array) -> Any:
    return np.sqrt((a * a).sum(axis=(-2, -1)))


def qr_error(a: Array, answer: Any) -> float:
    q, r = (np.asarray(x).astype(np.longdouble) for x in (answer[0], answer[1]))
    if a.size > 2e6:  # extended precision takes too long
        q, r = q.astype(float), r.astype(float)
    k, unit = q.shape[-1], np.finfo(a.dtype).eps / 2
    defect = norms(q.swapaxes(-1, -2) @ q - np.eye(k)).max()
    residual = (norms(a - q @ r) / norms(a)).max()
    return float(max(defect, residual) / (k * unit))


@cache
def numba_loop(numba: Any) -> Any:
    def loop(a: Array) -> tuple[Array, Array]:
        q, r = np.empty_like(a), np.empty_like(a)
        for i in numba.prange(len(a)):
            q[i], r[i] = np.linalg.qr(a[i])
        return q, r

    return numba.njit(parallel=True)(loop)


def job_for(a: Array) -> Job:
    m, n = a.shape[-2:]
    items, k = a[..., 0, 0].size, min(m, n)
    flops = 4.0 * k * k * (max(m, n) - k / 3) * items
    traffic = float((a.size + items * (m * k + k * n)) * a.itemsize)
    return Job(partial(qr_error, a), ERROR, limit=10, bytes=traffic, flops=flops, dtype=str(a.dtype))


def peers(job: Job, setup: Setup, a: Array) -> None:
    """The QR of everybody: Q and R, reduced."""
    job.peer("numpy", np.linalg.qr, a)
    slow = setup.quick and len(a) > 50_000 and a.ndim > 2  # SciPy takes seconds for such a batch
    if not slow and (scipy := setup.library("scipy.linalg")):
        job.peer("scipy", scipy.qr, a, mode="economic", check_finite=False)
    job.torch_and_jax(setup, "linalg.qr", a)


def batch(shape: tuple[int, int], items: int, dtype: str, setup: Setup) -> Job:
    a = setup.rng.standard_normal((items, *shape)).astype(dtype)
    job = job_for(a)
    job.ours(mf.linalg.qr, a)
    peers(job, setup, a)
    if shape[0] == shape[1] and (numba := setup.library("numba")):
        job.peer("numba prange", numba_loop(numba), a)
    return job


def single(n: int, setup: Setup, columns: int = 0) -> Job:
    a = setup.rng.standard_normal((n, columns or n))
    job = job_for(a)
    if n > 100:
        job.bytes = 0.0  # bound by arithmetic
    job.ours(mf.linalg.qr, a)
    peers(job, setup, a)
    if n < 100 and (numba := setup.library("numba")):
        job.peer("numba", numba.njit(lambda a: np.linalg.qr(a)), a)
    return job


def tall(m: int, n: int, decades: float, setup: Setup) -> Job:
    """Singular values over so many decades."""
    a = setup.rng.standard_normal((m, n))
    if decades:
        turn = np.linalg.qr(setup.rng.standard_normal((n, n)))[0]
        a = a @ (turn * np.logspace(0, -decades, n)) @ turn.T
    job = job_for(a)
    job.ours(mf.linalg.qr, a)
    peers(job, setup, a)
    return job


def _batch_case(n: int, dtype: str) -> Case:
    goals: tuple[Goal, ...] = (Faster(GOALS[n]),) if n in GOALS else (Faster(1),)
    slow = dtype == "float32" or n not in GOALS
    title = f"qr, {ITEMS[n]} of {n} x {n}, {dtype}"
    return Case(f"qr-batch-{n}-{dtype}", title, partial(batch, (n, n), ITEMS[n], dtype), goals, slow)


CASES = [
    Case("qr-one-3", "qr, one 3 x 3", partial(single, 3), (Within(0.8e-6), Faster(4, "numpy"), Faster(15, "scipy"))),
    *(_batch_case(n, dtype) for dtype in ("float64", "float32") for n in ITEMS),
    Case(
        "qr-batch-50x5",
        "qr, 10000 of 50 x 5, float64",
        partial(batch, (50, 5), 10_000, "float64"),
        (Faster(5),),
        slow=True,
    ),
    *(
        Case(f"qr-one-{n}", f"qr, one {n} x {n}", partial(single, n), (Faster(0.95),), slow=n != 200)
        for n in (64, 200, 500, 1000, 2000)
    ),
    *(
        Case(
            f"qr-tall-{m}x{n}{name}", f"qr, one {m} x {n}{title}", partial(tall, m, n, decades), (Faster(5),), slow=slow
        )
        for m, n, decades, name, title, slow in (
            (60_013, 48, 0, "", "", False),
            (60_013, 48, 12, "-ill", ", condition 1e12", False),
            (1_000_000, 10, 0, "", "", True),
        )
    ),
    *(
        Case(f"qr-one-{m}x{n}", f"qr, one {m} x {n}", partial(single, m, columns=n), (Faster(0.95),), slow=True)
        for m, n in ((1000, 500), (500, 1000))
    ),
]
