"""Many fits of one model: decays on a slope, and bells, each by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import mmlfast as mf
import mmlfast.optimize
from bench.harness import Case, Faster, Job, Setup, Within

Array = np.ndarray[Any, Any]

ERROR = "relative excess of the sum of squares over the least, the worst of the fits"
MOST, MOST_IN_JAX = 100, 4000  # data sets that slow peers fit: their time is counted for all


def decay(x: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    return a * np.exp(-b * x) + c + d * x


def bell(x: Any, a: Any, m: Any, s: Any, c: Any) -> Any:
    return a * np.exp(-0.5 * ((x - m) / s) ** 2) + c


def data_sets(f: Callable[..., Any], setup: Setup, n_fits: int, low: list[float], high: list[float]) -> Array:
    """100 points each, with errors of a hundredth of the largest amplitude."""
    x = np.linspace(0.0, 4.0, 100)
    truth = setup.rng.uniform(low, high, (n_fits, len(low)))
    return np.asarray(f(x, *truth.T[..., None])) + 0.01 * high[0] * setup.rng.standard_normal((n_fits, 100))


class Seconds(float):
    """What all data sets would take, and the parameters of those that were fitted."""

    params: Array


def some(n_all: int, y: Array, fit: Callable[[Array], Any]) -> Seconds:
    """Of a slow peer: the time for the data sets y, counted for all."""
    start = time.perf_counter()
    params = fit(y)
    seconds = Seconds((time.perf_counter() - start) * n_all / len(y))
    seconds.params = np.asarray(params)
    return seconds


def scipy_loop(optimize: Any, f: Any, x: Array, p0: Array, y: Array) -> Array:
    return np.array([optimize.curve_fit(f, x, one, p0)[0] for one in y])


def excess(f: Callable[..., Any], x: Array, y: Array, least: Array, answer: Any) -> float:
    params = np.asarray(answer.params if isinstance(answer, Seconds) else answer[0])[: len(least)]
    squares = ((f(x, *params.T[..., None]) - y[: len(params)]) ** 2).sum(axis=1)
    return float(np.max(squares / least[: len(params)] - 1))


def jax_model(jax: Any, f: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    np_ = jax.numpy
    if f is decay:
        return lambda p, x: p[0] * np_.exp(-p[1] * x) + p[2] + p[3] * x
    return lambda p, x: p[0] * np_.exp(-0.5 * ((x - p[1]) / p[2]) ** 2) + p[3]


def jax_fit(jax: Any, model: Any, x: Any, p0: Any, y: Any) -> Any:
    """Levenberg and Marquardt's method as one writes it in JAX; vmap makes it a batch."""
    np_ = jax.numpy

    def normal(p: Any) -> Any:
        r = model(p, x) - y
        j = jax.jacfwd(model)(p, x)
        return r @ r, j.T @ r, j.T @ j

    def unfinished(state: Any) -> Any:
        *_, damping, count, moves = state
        return moves & (count < 200) & (damping < 1e12)

    def step(state: Any) -> Any:
        p, cost, gradient, matrix, damping, count, _ = state
        change = -np_.linalg.solve(matrix + damping * np_.diag(np_.diag(matrix)), gradient)
        new = normal(p + change)
        better = new[0] < cost
        moves = ~better | (cost - new[0] > 1e-13 * cost)
        return (
            np_.where(better, p + change, p),
            *(np_.where(better, a, b) for a, b in zip(new, (cost, gradient, matrix), strict=True)),
            np_.where(better, damping / 10, damping * 10),
            count + 1,
            moves,
        )

    return jax.lax.while_loop(unfinished, step, (p0, *normal(p0), 1e-3, 0, True))[0]


def optimistix_fit(optimistix: Any, model: Callable[[Any, Any], Any], x: Any, p0: Any, y: Any) -> Any:
    solver = optimistix.LevenbergMarquardt(rtol=1e-10, atol=1e-10)
    return optimistix.least_squares(lambda p, _: model(p, x) - y, solver, p0, max_steps=200, throw=False).value


def job(f: Callable[..., Any], p0: list[float], low: list[float], high: list[float], n_fits: int, setup: Setup) -> Job:
    x = np.linspace(0.0, 4.0, 100)
    y = data_sets(f, setup, n_fits, low, high)
    start = np.array(p0)
    best = mf.optimize.curve_fit_many(f, x, y[:MOST], start)
    least = np.array([mf.optimize.curve_fit(f, x, one, p).chi_squared for one, p in zip(y, best.params, strict=False)])
    made = Job(partial(excess, f, x, y, least), ERROR, limit=1e-9)
    made.ours(mf.optimize.curve_fit_many, f, x, y, start)

    def peer(name: str, most: int, fit: Callable[[Array], Any]) -> None:
        part = y[:most]
        fit(part)  # compiled now
        made.peer(f"{name}, {len(part)} scaled", partial(some, n_fits, part, fit))
        made.contestants[-1].timed = True

    if optimize := setup.library("scipy.optimize"):
        peer("scipy loop", MOST, partial(scipy_loop, optimize, f, x, start))
    if jax := setup.library("jax"):
        model = jax_model(jax, f)
        of_jax = jax.jit(lambda y: jax.vmap(partial(jax_fit, jax, model, x, start))(y))
        peer("jax vmap", MOST_IN_JAX, lambda y: jax.block_until_ready(of_jax(y)))
        if optimistix := setup.library("optimistix"):
            of_optimistix = jax.jit(lambda y: jax.vmap(partial(optimistix_fit, optimistix, model, x, start))(y))
            peer("optimistix vmap", MOST_IN_JAX, lambda y: jax.block_until_ready(of_optimistix(y)))
    return made


DECAY = ([2.0, 1.0, 0.5, 0.0], [1.0, 0.8, 0.0, -0.1], [5.0, 3.0, 1.0, 0.1])
BELL = ([2.0, 2.0, 0.5, 0.5], [1.0, 1.5, 0.3, 0.0], [5.0, 2.5, 0.8, 1.0])

CASES = [
    Case(
        "curve-fit-many-decay",
        "100 000 fits of a decay on a slope: 4 parameters, 100 points",
        partial(job, decay, *DECAY, 100_000),
        (Within(0.2), Faster(150, "scipy"), Faster(5)),
    ),
    Case(
        "curve-fit-many-bell",
        "20 000 fits of a bell: 4 parameters, 100 points",
        partial(job, bell, *BELL, 20_000),
        (Within(0.04), Faster(150, "scipy"), Faster(5, "jax")),
    ),
]
