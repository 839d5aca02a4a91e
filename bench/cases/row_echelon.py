"""Row echelon forms and ranks of floating-point matrices. Nobody else offers the form; the rank is what there is to
compare."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import mmlfast as mf
from bench.harness import Case, Job, Setup

Array = np.ndarray[Any, Any]


def of_rank(setup: Setup, count: int, m: int, n: int, rank: int, dtype: Any) -> Array:
    a = setup.rng.standard_normal((count, m, rank)) @ setup.rng.standard_normal((count, rank, n))
    return a.astype(dtype)


def wrong_ranks(rank: int, answer: Any) -> float:
    """The share of matrices whose rank is not that of their making."""
    found = answer.rank if hasattr(answer, "rank") else np.asarray(answer)
    return float((np.atleast_1d(found) != rank).mean())


def forms(count: int, n: int, dtype: Any, setup: Setup) -> Job:
    rank = n - 1
    a = of_rank(setup, count, n, n, rank, dtype)
    a = a[0] if count == 1 else a
    job = Job(partial(wrong_ranks, rank), "share of wrong ranks")
    job.ours(mf.linalg.row_echelon, a)
    job.peer("numpy matrix_rank", np.linalg.matrix_rank, a)
    if count == 1 and (scipy := setup.library("scipy.linalg")):
        job.peer("scipy qr with pivoting", lambda: pivoted_rank(scipy, a))
    if torch := setup.library("torch"):
        job.peer("torch matrix_rank", torch.linalg.matrix_rank, torch.from_numpy(a))
    return job


def pivoted_rank(scipy: Any, a: Array) -> int:
    r = scipy.qr(a, mode="r", pivoting=True, check_finite=False)[0]
    diagonal = np.abs(np.diag(r))
    return int((diagonal > diagonal[0] * len(a) * np.finfo(a.dtype).eps).sum())


def singular(count: int, n: int, setup: Setup) -> Job:
    a = of_rank(setup, count, n, n, n - 1, np.float64)
    job = Job(lambda answer: float((~np.asarray(answer)).mean()), "share of singular matrices not seen")
    job.ours(mf.linalg.is_singular, a)
    job.peer("numpy matrix_rank", lambda: np.linalg.matrix_rank(a) < n)
    return job


CASES = [
    Case("float-row_echelon-one-3", "row_echelon, one 3 x 3", partial(forms, 1, 3, np.float64)),
    Case("float-row_echelon-batch-4", "row_echelon, 10000 of 4 x 4", partial(forms, 10_000, 4, np.float64)),
    Case("float-row_echelon-batch-4-float32", "the same, float32", partial(forms, 10_000, 4, np.float32), slow=True),
    Case("float-row_echelon-batch-16", "row_echelon, 1000 of 16 x 16", partial(forms, 1_000, 16, np.float64)),
    Case("float-row_echelon-one-100", "row_echelon, one 100 x 100", partial(forms, 1, 100, np.float64)),
    Case("float-row_echelon-one-500", "row_echelon, one 500 x 500", partial(forms, 1, 500, np.float64), slow=True),
    Case("float-is_singular-batch-4", "is_singular, 10000 of 4 x 4", partial(singular, 10_000, 4)),
]
