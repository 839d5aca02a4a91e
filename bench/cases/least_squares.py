"""Least squares beside SciPy and lmfit: a function that is traced, one that is called, and Osborne's problems."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import mmlfast as mf
from bench.harness import Case, Faster, Job, Setup

Array = np.ndarray[Any, Any]

# y at t = 0, 0.1, ... of Moré, Garbow and Hillstrom's problem 19.
OSBORNE = np.array(
    [
        *(1.366, 1.191, 1.112, 1.013, 0.991, 0.885, 0.831, 0.847, 0.786, 0.725, 0.746, 0.679, 0.608, 0.655, 0.616),
        *(0.606, 0.602, 0.626, 0.651, 0.724, 0.649, 0.649, 0.694, 0.644, 0.624, 0.661, 0.612, 0.558, 0.533, 0.495),
        *(0.500, 0.423, 0.395, 0.375, 0.372, 0.391, 0.396, 0.405, 0.428, 0.429, 0.523, 0.562, 0.607, 0.653, 0.672),
        *(0.708, 0.633, 0.668, 0.645, 0.632, 0.591, 0.559, 0.597, 0.625, 0.739, 0.710, 0.729, 0.720, 0.636, 0.581),
        *(0.428, 0.292, 0.162, 0.098, 0.054),
    ]
)


def decay(setup: Setup, n: int) -> tuple[Callable[[Any], Any], Array]:
    """Three parameters."""
    x = np.linspace(0, 4, n)
    y = 2.5 * np.exp(-1.3 * x) + 0.5 + 0.05 * setup.rng.standard_normal(n)
    return lambda p: p[0] * np.exp(-p[1] * x) + p[2] - y, np.ones(3)


def osborne(setup: Setup, n: int) -> tuple[Callable[[Any], Any], Array]:
    """A decay and three bells: eleven parameters."""
    t = np.arange(n) / 10

    def residuals(p: Any) -> Any:
        bells = p[0] * np.exp(-t * p[4])
        for k in range(1, 4):
            bells = bells + p[k] * np.exp(-((t - p[k + 7]) ** 2) * p[k + 4])
        return OSBORNE - bells

    return residuals, np.array([1.3, 0.65, 0.65, 0.7, 0.6, 3, 5, 7, 2, 4.5, 5.5])


def by_loop(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """What no tape takes."""
    return lambda p: f(np.array([float(v) for v in p]))


def answer(solve: Callable[..., Any], f: Callable[[Any], Any], start: Array) -> Array:
    return np.asarray(solve(f, start).x)


def fit(of: Callable[[Setup, int], tuple[Callable[[Any], Any], Array]], n: int, called: bool, setup: Setup) -> Job:
    f, start = of(setup, n)
    exact = mf.optimize.least_squares(f, start).x
    job = Job(lambda x: float(np.max(np.abs(x / exact - 1))), "largest relative error of a parameter", limit=1e-3)
    f = by_loop(f) if called else f
    job.ours(answer, mf.optimize.least_squares, f, start)
    if optimize := setup.library("scipy.optimize"):
        solve: Any = optimize.least_squares
        job.peer("scipy lm", answer, partial(solve, method="lm", x_scale="jac"), f, start)
        job.peer("scipy trf", answer, partial(solve, x_scale="jac"), f, start)
    if lmfit := setup.library("lmfit"):
        job.peer("lmfit", by_lmfit, lmfit, f, start)
    return job


def with_outliers(loss: str, setup: Setup) -> Job:
    """A decay of 200 points, of which one in ten is far off: the sum of losses where each ends, beside the least."""
    x = np.linspace(0, 4, 200)
    y = 2.5 * np.exp(-1.3 * x) + 0.5 + 0.05 * setup.rng.standard_normal(200)
    y[::10] += setup.rng.choice([-1, 1], 20) * (1 + setup.rng.random(20))
    options: dict[str, Any] = {"loss": loss, "f_scale": 0.1}

    def f(p: Any) -> Any:
        return p[0] * np.exp(-p[1] * x) + p[2] - y

    start = np.ones(3)
    exact = mf.optimize.least_squares(f, [2.5, 1.3, 0.5], **options).x
    job = Job(lambda x: float(np.max(np.abs(x / exact - 1))), "largest relative error of a parameter", limit=1e-3)
    job.ours(answer, partial(mf.optimize.least_squares, **options), f, start)
    if optimize := setup.library("scipy.optimize"):
        job.peer("scipy trf", answer, partial(optimize.least_squares, x_scale="jac", **options), f, start)
    return job


def by_lmfit(lmfit: Any, f: Callable[[Any], Any], start: Array) -> Array:
    parameters = lmfit.Parameters()
    for i, value in enumerate(start):
        parameters.add(f"p{i}", value)
    result = lmfit.minimize(lambda p: f(np.array([v.value for v in p.values()])), parameters)
    return np.array([v.value for v in result.params.values()])


CASES = [
    Case(
        "least-squares-traced",
        "least_squares, 50 residuals, 3 parameters, traced",
        partial(fit, decay, 50, False),
        (Faster(4, "scipy"),),
    ),
    Case(
        "least-squares-called",
        "least_squares, 50 residuals, 3 parameters, called",
        partial(fit, decay, 50, True),
        (Faster(1),),
    ),
    Case(
        "least-squares-traced-100000",
        "least_squares, 100 000 residuals, 3 parameters, traced",
        partial(fit, decay, 100_000, False),
        (Faster(1),),
    ),
    Case(
        "least-squares-osborne",
        "least_squares, 65 residuals, 11 parameters, traced",
        partial(fit, osborne, 65, False),
        (Faster(4, "scipy"),),
    ),
    *(
        Case(
            f"least-squares-{loss.replace('_', '-')}",
            f"least_squares, loss {loss}, 200 points with outliers",
            partial(with_outliers, loss),
            (Faster(1),),
        )
        for loss in ("soft_l1", "huber", "cauchy")
    ),
]
