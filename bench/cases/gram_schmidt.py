"""Gram-Schmidt, beside the QR of the peers: batches of small matrices, and tall ones."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import mmlfast as mf
from bench.cases.qr import numba_loop, peers
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
    *(
        Case(f"gram_schmidt-tall-{name}", f"gram_schmidt, {title}", partial(tall, *table), (Faster(goal),), slow=True)
        for name, title, table, goal in (
            ("10", "1000000 x 10", (1_000_000, 10, 1.0), 6),
            ("10-condition", "1000000 x 10, condition 1e10", (1_000_000, 10, 1e10), 6),
            ("64", "100000 x 64", (100_000, 64, 1.0), 5),
        )
    ),
]
