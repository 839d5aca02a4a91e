"""Gram-Schmidt, beside the QR of the peers: batches of small matrices, and tall ones."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np

import mmlfast as mf
from bench.harness import Case, Faster, Job, Setup

Array = np.ndarray[Any, Any]

ITEMS = {3: 100_000, 8: 20_000, 16: 5_000}
GOALS = {3: 20, 8: 10, 16: 5}
ERROR = "norm(Q'Q - 1) / (n u), the worst of the batch"


def orthogonality(answer: Any) -> float:
    """Of the first part of the answer, whatever it calls it: Q or basis."""
    basis = np.asarray(answer[0])
    n, unit = basis.shape[-1], np.finfo(basis.dtype).eps / 2
    if basis.ndim > 2:
        q = basis.astype(np.longdouble)
        gram = q.swapaxes(-1, -2) @ q
    else:
        gram = np.zeros((n, n), np.longdouble)
        for start in range(0, len(basis), 256):
            block = basis[start : start + 256].astype(np.float64)
            gram += block.T @ block
    error = gram - np.eye(n, dtype=np.longdouble)
    return float(np.sqrt((error * error).sum(axis=(-2, -1))).max() / (n * unit))


@cache
def numba_loop(numba: Any) -> Any:
    def loop(a: Array) -> tuple[Array, Array]:
        q, r = np.empty_like(a), np.empty_like(a)
        for i in numba.prange(len(a)):
            q[i], r[i] = np.linalg.qr(a[i])
        return q, r

    return numba.njit(parallel=True)(loop)


def peers(job: Job, setup: Setup, a: Array) -> None:
    """The QR of everybody: Q and R, reduced."""
    job.peer("numpy", np.linalg.qr, a)
    slow = setup.quick and len(a) > 50_000 and a.ndim > 2  # SciPy takes seconds for such a batch
    if not slow and (scipy := setup.library("scipy.linalg")):
        job.peer("scipy", scipy.qr, a, mode="economic", check_finite=False)
    if torch := setup.library("torch"):
        job.peer("torch", torch.linalg.qr, torch.from_numpy(a))
    if jax := setup.library("jax"):
        job.jax("jax", jax.numpy.linalg.qr, a)


def batch(n: int, dtype: str, setup: Setup) -> Job:
    a = setup.rng.standard_normal((ITEMS[n], n, n)).astype(dtype)
    job = Job(orthogonality, ERROR, limit=10, bytes=2.0 * a.nbytes, dtype=dtype)
    job.ours(mf.linalg.gram_schmidt, a)
    peers(job, setup, a)
    if numba := setup.library("numba"):
        job.peer("numba prange", numba_loop(numba), a)
    return job


def tall(rows: int, columns: int, condition: float, setup: Setup) -> Job:
    """A table with columns of nearly the same direction: singular values fall from 1 to 1 / condition."""
    a = setup.rng.standard_normal((rows, columns))
    if condition > 1:
        rotation = np.linalg.qr(setup.rng.standard_normal((columns, columns)))[0]
        a = (a * np.geomspace(1, 1 / condition, columns)) @ rotation
    job = Job(orthogonality, ERROR, limit=10, bytes=2.0 * a.nbytes, flops=2.0 * rows * columns**2)
    job.ours(mf.linalg.gram_schmidt, a)
    peers(job, setup, a)
    return job


CASES = [
    *(
        Case(
            f"gram_schmidt-batch-{n}-{dtype}",
            f"gram_schmidt, {ITEMS[n]} of {n} x {n}, {dtype}",
            partial(batch, n, dtype),
            (Faster(GOALS[n]),),
            slow=dtype == "float32",
        )
        for dtype in ("float64", "float32")
        for n in ITEMS
    ),
    Case(
        "gram_schmidt-tall-10",
        "gram_schmidt, 1000000 x 10",
        partial(tall, 1_000_000, 10, 1.0),
        (Faster(6),),
        slow=True,
    ),
    Case(
        "gram_schmidt-tall-10-condition",
        "gram_schmidt, 1000000 x 10, condition 1e10",
        partial(tall, 1_000_000, 10, 1e10),
        (Faster(6),),
        slow=True,
    ),
    Case(
        "gram_schmidt-tall-64",
        "gram_schmidt, 100000 x 64",
        partial(tall, 100_000, 64, 1.0),
        (Faster(5),),
        slow=True,
    ),
]
