"""Minima of Rosenbrock's function by BFGS and Newton's method, beside SciPy with given derivatives and optimistix."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import mmlfast as mf
from bench.harness import Case, Faster, Job, Setup

Array = np.ndarray[Any, Any]


def rosenbrock(x: Any) -> Any:
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def error(answer: Any) -> float:
    return float(np.abs(np.asarray(getattr(answer, "x", answer)) - 1).max())


def minimum(method: str, n: int, start: float, setup: Setup) -> Job:
    """From a place in the valley that leads to the minimum."""
    x0 = np.full(n, start)
    job = Job(error, "largest |x - 1|", limit=1e-4)
    job.ours(mf.optimize.minimize, rosenbrock, x0, method=method)
    if scipy := setup.library("scipy.optimize"):
        given = {"jac": scipy.rosen_der}
        if method == "newton":
            given["hess"] = scipy.rosen_hess
        job.peer(
            f"scipy {'BFGS' if method == 'bfgs' else 'trust-exact'}",
            partial(scipy.minimize, scipy.rosen, x0, method="BFGS" if method == "bfgs" else "trust-exact", **given),
        )
        if method == "bfgs":
            job.peer("scipy L-BFGS-B", partial(scipy.minimize, scipy.rosen, x0, method="L-BFGS-B", tol=1e-14, **given))
    if (optimistix := setup.library("optimistix")) and (jax := setup.library("jax")):
        job.jax("optimistix", by_optimistix(optimistix, jax), x0)
    return job


def by_optimistix(optimistix: Any, jax: Any) -> Any:
    def f(x: Any, args: Any) -> Any:
        return jax.numpy.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    solver = optimistix.BFGS(rtol=1e-8, atol=1e-8)
    return jax.jit(lambda x: optimistix.minimise(f, solver, x, max_steps=5000).value)


CASES = [
    Case(
        "bfgs-rosenbrock-10",
        "minimize by BFGS, Rosenbrock n = 10",
        partial(minimum, "bfgs", 10, 0.5),
        (Faster(10, "scipy"), Faster(1)),
    ),
    Case("bfgs-rosenbrock-100", "minimize by BFGS, Rosenbrock n = 100", partial(minimum, "bfgs", 100, 0.5)),
    Case(
        "newton-rosenbrock-10", "minimize by Newton's method, n = 10", partial(minimum, "newton", 10, 0.5), (Faster(1),)
    ),
    Case("newton-rosenbrock-1000", "minimize by Newton's method, n = 1000", partial(minimum, "newton", 1000, 0.9)),
]
