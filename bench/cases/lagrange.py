"""Minima under equations beside SciPy's SLSQP and trust-constr: `minimize`, which looks for one, and `lagrange`, which
looks for all points and says what each of them is."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import mmlfast as mf
from bench.harness import Case, Faster, Job, Setup

Array = np.ndarray[Any, Any]


def nearest(x: Any) -> Any:
    """To a point outside of the sphere below."""
    return np.sum((x - np.arange(1.0, 7.0)) ** 2)


def sphere(x: Any) -> Any:
    return np.sum(x**2) - 1


RIGHT = np.arange(1.0, 7.0) / np.sqrt(91.0)
SLOPES = {"jac": lambda x: 2 * (x - np.arange(1.0, 7.0))}


def on_a_sphere(all_points: bool, setup: Setup) -> Job:
    start = np.full(6, 0.5)
    job = Job(lambda r: float(np.abs(np.asarray(r.x) - RIGHT).max()), "largest |x - right|", limit=1e-4)
    if all_points:
        job.ours(mf.optimize.lagrange, nearest, sphere, start)
    else:
        job.ours(mf.optimize.minimize, nearest, start, constraints={"type": "eq", "fun": sphere})
    if scipy := setup.library("scipy.optimize"):
        equation = {"type": "eq", "fun": sphere, "jac": lambda x: 2 * x}
        for method in ("SLSQP", "trust-constr"):
            solve: Any = partial(scipy.minimize, nearest, start, method=method, constraints=equation, **SLOPES)
            job.peer(f"scipy {method}, one minimum" if all_points else f"scipy {method}", solve)
    return job


CASES = [
    Case(
        "minimize-equation-6",
        "minimize under an equation, n = 6, beside given derivatives",
        partial(on_a_sphere, False),
        (Faster(1, "scipy SLSQP"),),
    ),
    Case("lagrange-6", "lagrange, all points on a sphere, n = 6", partial(on_a_sphere, True)),
]
