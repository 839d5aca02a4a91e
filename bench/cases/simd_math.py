"""The elementary functions of the kernels beside NumPy's, on arrays in the L1 cache."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from bench.harness import Case, Job, Setup
from mmlfast import _core
from mmlfast._reference import simd_math as reference

Array = np.ndarray[Any, Any]


def ulp_error(name: str, x: Array, answer: Array) -> float:
    exact = getattr(reference, name)(x.astype(np.longdouble))
    return float(np.max(np.abs(answer - exact) / np.spacing(np.abs(exact).astype(x.dtype))))


def function(name: str, setup: Setup) -> Job:
    x = setup.rng.uniform(0.1, 5, 1000)
    job = Job(partial(ulp_error, name, x), "largest error in units in the last place")
    job.ours(getattr(_core, f"simd_{name}"), x)
    if name != "logistic":
        job.peer("numpy", getattr(np, name), x)
    elif scipy := setup.library("scipy.special"):
        job.peer("scipy", scipy.expit, x)
    return job


CASES = [
    Case(f"simd-{name}", f"{name} of 1000 numbers, the kernels' own", partial(function, name))
    for name in ("exp", "log", "tanh", "logistic")
]
