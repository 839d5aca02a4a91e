"""The plane of learning rate and momentum: 40 000 runs of gradient descent, beside NumPy on all of them at once."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import mmlfast as mf
from bench.harness import Case, Faster, Job, Setup

Array = np.ndarray[Any, Any]

STEPS = 300


def valley(v: Any) -> Any:
    return 0.5 * v[0] ** 2 + 10 * v[1] ** 2 + 0.25 * v[0] ** 4


def plane(side: int, setup: Setup) -> Job:
    """Rates and momenta for all of which the runs stay finite."""
    rates = np.repeat(np.linspace(0.001, 0.09, side), side)
    momenta = np.tile(np.linspace(0, 0.95, side), side)
    right = plain(rates, momenta)
    job = Job(lambda x: float(np.abs(np.asarray(x) - right).max()), "largest difference from NumPy's", limit=1e-9)
    job.ours(
        lambda: (
            mf.optimize.gradient_descent(
                valley, [1.0, 1.0], learning_rate=rates, momentum=momenta, max_iter=STEPS, tol=0.0
            ).x
        )
    )
    job.peer("numpy", plain, rates, momenta)
    if jax := setup.library("jax"):
        job.jax("jax vmap", by_jax(jax), rates, momenta)
    return job


def plain(rates: Array, momenta: Array) -> Array:
    x, y = np.ones_like(rates), np.ones_like(rates)
    u, v = np.zeros_like(rates), np.zeros_like(rates)
    for _ in range(STEPS):
        u = momenta * u - rates * (x + x**3)
        v = momenta * v - rates * 20 * y
        x = x + u
        y = y + v
    return np.stack([x, y], axis=-1)


def by_jax(jax: Any) -> Any:
    slope = jax.grad(lambda v: 0.5 * v[0] ** 2 + 10 * v[1] ** 2 + 0.25 * v[0] ** 4)

    def one(rate: Any, momentum: Any) -> Any:
        def step(state: Any, _: Any) -> Any:
            x, v = state
            v = momentum * v - rate * slope(x)
            return (x + v, v), None

        start = jax.numpy.ones(2), jax.numpy.zeros(2)
        return jax.lax.scan(step, start, None, length=STEPS)[0][0]

    return jax.jit(jax.vmap(one))


CASES = [
    Case(
        "gradient_descent-plane",
        "gradient_descent, 40000 runs of 300 steps",
        partial(plane, 200),
        (Faster(5, "numpy"),),
    ),
]
