"""Taylor coefficients, beside JAX's jet."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from bench.harness import Case, Faster, Goal, Job, Setup
from mmlfast import autodiff

Array = np.ndarray[Any, Any]

LIMIT = 1e-12
RADIUS, NODES = 3.0, 512


def exp_of_sin(names: Any) -> Callable[[Any], Any]:
    return lambda t: names.exp(names.sin(t))


def exact_coefficients(x: Array, order: int) -> Array:
    """(order + 1, *x.shape): Cauchy's integral over a circle, in extended precision."""
    angle = 8 * np.arctan(np.longdouble(1)) * np.arange(NODES) / NODES
    turns = np.exp(1j * np.arange(order + 1)[:, None] * angle)
    values = exp_of_sin(np)(x[..., None] + RADIUS * np.exp(1j * angle)) / NODES
    powers = np.longdouble(RADIUS) ** np.arange(order + 1)
    sums = np.tensordot(turns.conj(), values, axes=(1, -1)).real
    return np.asarray(sums / powers.reshape(-1, *(1,) * x.ndim))


def coefficients_error(exact: Array, answer: Any) -> float:
    """Each coefficient against the largest of its order."""
    size = np.abs(exact).reshape(len(exact), -1).max(axis=1).reshape(-1, *(1,) * (exact.ndim - 1))
    return float((np.abs(np.asarray(answer) - exact) / size).max())


def by_jet(jax: Any, order: int) -> Callable[[Any], Any]:
    """jet has derivatives, not coefficients."""
    jet = importlib.import_module("jax.experimental.jet").jet
    f = exp_of_sin(jax.numpy)
    factorials = [float(math.factorial(k)) for k in range(order + 1)]

    def series(t: Any) -> Any:
        line = [jax.numpy.ones_like(t)] + [jax.numpy.zeros_like(t)] * (order - 1)
        value, derivatives = jet(f, (t,), (line,))
        return jax.numpy.stack([d / k for d, k in zip([value, *derivatives], factorials, strict=True)])

    return series


def taylor(points: int, order: int, setup: Setup) -> Job:
    x = setup.rng.uniform(-1.0, 1.0, points)
    at = x if points > 1 else float(x[0])
    exact = exact_coefficients(np.asarray(at), order)
    job = Job(
        partial(coefficients_error, exact), "largest error of a coefficient / largest one of its order", limit=LIMIT
    )
    job.ours(autodiff.taylor, exp_of_sin(np), at, order)
    if jax := setup.library("jax"):
        job.jax("jax jet", by_jet(jax, order), np.asarray(at))
    if points == 1 and (mpmath := setup.library("mpmath")):
        job.peer("mpmath", mpmath.taylor, exp_of_sin(mpmath), at, order)
    return job


def first(order: int, setup: Setup) -> Job:
    """From a plain function to its first coefficients."""
    exact = exact_coefficients(np.asarray(0.5), order)
    job = Job(partial(coefficients_error, exact), "largest relative error of a coefficient", limit=LIMIT)
    job.ours(lambda: autodiff.taylor(exp_of_sin(np), 0.5, order))
    if jax := setup.library("jax"):
        job.peer("jax jet", lambda: jax.block_until_ready(jax.jit(by_jet(jax, order))(0.5)))
    return job


def case(name: str, points: int, order: int, *goals: Goal, slow: bool = False) -> Case:
    where = "one point" if points == 1 else f"{points} points"
    title = f"Taylor coefficients of exp(sin(t)) to order {order}, {where}"
    return Case(f"autodiff-taylor-{name}", title, partial(taylor, points, order), goals, slow)


CASES = [
    case("10", 1, 10, Faster(1)),
    case("30", 1, 30, Faster(1), slow=True),
    case("batch-10", 10_000, 10, Faster(1)),
    Case(
        "autodiff-taylor-first",
        "first Taylor coefficients of exp(sin(t)) to order 10: traced, compiled and called",
        partial(first, 10),
        (Faster(100, "jax"),),
    ),
]
