"""The R factor of a long table, and QR of tall matrices at every condition, beside the QR of the peers."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import mmlfast as mf
from bench.harness import Case, Faster, Job, Setup

Array = np.ndarray[Any, Any]

TALL = {(1_000_000, 10): 6, (100_000, 64): 5, (100_000, 32): 1, (10_000, 100): 1, (2_000, 200): 1}
CONDITIONS = (1.0, 1e8, 1e14)


def table(rows: int, columns: int, condition: float, setup: Setup) -> Array:
    """Singular values fall from 1 to 1 / condition, in directions that have nothing to do with the columns."""
    a = setup.rng.standard_normal((rows, columns))
    if condition > 1:
        rotation = np.linalg.qr(setup.rng.standard_normal((columns, columns)))[0]
        a = (a * np.geomspace(1, 1 / condition, columns)) @ rotation
    return a


def qr_error(a: Array, answer: Any) -> float:
    """The larger of norm(Q'Q - I) and norm(A - QR) / norm(A), in n u; sums over blocks of rows."""
    q, r = np.asarray(answer[0], np.float64), np.asarray(answer[1], np.float64)
    n, unit = a.shape[1], np.finfo(a.dtype).eps / 2
    gram, left = np.zeros((n, n), np.longdouble), 0.0
    for start in range(0, len(a), 256):
        block = q[start : start + 256]
        gram += block.T @ block
        left += float(((a[start : start + 256] - block @ r) ** 2).sum())
    defect = float(np.sqrt(((gram - np.eye(n)) ** 2).sum()))
    return float(max(defect, np.sqrt(left) / np.linalg.norm(a)) / (n * unit))


def gram_error(a: Array, answer: Any) -> float:
    """norm(R'R - A'A) / norm(A)^2, in n u."""
    r = np.asarray(answer, np.float64)
    gram = np.zeros((a.shape[1],) * 2, np.longdouble)
    for start in range(0, len(a), 256):
        block = a[start : start + 256].astype(np.float64)
        gram += block.T @ block
    difference = r.T @ r - gram
    return float(np.linalg.norm(difference.astype(float)) / np.trace(gram) / (a.shape[1] * np.finfo(a.dtype).eps / 2))


def tall(rows: int, columns: int, condition: float, dtype: str, setup: Setup) -> Job:
    a = table(rows, columns, condition, setup).astype(dtype)
    job = Job(
        partial(qr_error, a),
        "the larger of norm(Q'Q - 1) and norm(A - QR) / norm(A), in n u",
        limit=10,
        bytes=2.0 * a.nbytes,
        flops=4.0 * rows * columns**2,
        dtype=dtype,
    )
    job.ours(mf.linalg.qr, a)
    job.peer("numpy", np.linalg.qr, a)
    if scipy := setup.library("scipy.linalg"):
        job.peer("scipy", scipy.qr, a, mode="economic", check_finite=False)
    if torch := setup.library("torch"):
        job.peer("torch", torch.linalg.qr, torch.from_numpy(a))
    if jax := setup.library("jax"):
        job.jax("jax", jax.numpy.linalg.qr, a)
    return job


def state(rows: int, columns: int, setup: Setup) -> Job:
    a = table(rows, columns, 1e8, setup)
    job = Job(
        partial(gram_error, a),
        "norm(R'R - A'A) / norm(A)^2, in n u",
        limit=10,
        bytes=float(a.nbytes),
        flops=2.0 * rows * columns**2,
    )
    job.ours(lambda x: mf.linalg.RFactor().update(x).r, a)
    job.peer("numpy", partial(np.linalg.qr, mode="r"), a)
    if torch := setup.library("torch"):
        job.peer("torch", lambda x: torch.linalg.qr(x, mode="r")[1], torch.from_numpy(a))
    return job


CASES = [
    *(
        Case(
            f"tall-qr-{rows}x{columns}-{condition:.0e}-{dtype}",
            f"qr, {rows} x {columns}, condition {condition:.0e}, {dtype}",
            partial(tall, rows, columns, condition, dtype),
            (Faster(goal),) if dtype == "float64" else (),
            slow=True,
        )
        for (rows, columns), goal in TALL.items()
        for condition in CONDITIONS
        for dtype in ("float64", "float32")
        if dtype == "float64" or condition == 1
    ),
    *(
        Case(
            f"rfactor-{rows}x{columns}",
            f"RFactor, {rows} x {columns}, condition 1e8",
            partial(state, rows, columns),
            (Faster(1),),
            slow=True,
        )
        for rows, columns in TALL
    ),
]
