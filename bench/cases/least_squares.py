"""Least squares of a function that is called as it is, beside SciPy's."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from bench.harness import Case, Job, Setup
from mmlfast import _core

Array = np.ndarray[Any, Any]


class Decay:
    """Three parameters, 50 points."""

    def __init__(self, setup: Setup) -> None:
        self.x = np.linspace(0, 4, 50)
        self.y = 2.5 * np.exp(-1.3 * self.x) + 0.5 + 0.05 * setup.rng.standard_normal(50)
        self.start = np.array([1.0, 1.0, 1.0])

    def residuals(self, p: Array) -> Array:
        return np.asarray(p[0] * np.exp(-p[1] * self.x) + p[2] - self.y)

    def jacobian(self, p: Array) -> Array:
        e = np.exp(-p[1] * self.x)
        return np.stack([e, -p[0] * self.x * e, np.ones_like(e)], axis=1)


def ours(problem: Decay) -> Array:
    model = _core.CallableResiduals(problem.residuals, problem.jacobian, 50, 3)
    return _core.minimize_squares(model, problem.start).x


def called(setup: Setup) -> Job:
    problem = Decay(setup)
    exact = ours(problem)
    job = Job(lambda x: float(np.max(np.abs(x / exact - 1))), "largest relative error", limit=1e-5)
    job.ours(ours, problem)
    if optimize := setup.library("scipy.optimize"):
        solve: Any = partial(optimize.least_squares, jac=problem.jacobian, method="lm")
        job.peer("scipy", lambda: solve(problem.residuals, problem.start).x)
    return job


CASES = [Case("least-squares-called", "least_squares, 50 points, 3 parameters, function called as it is", called)]
