"""Newton's method from many starts, beside SciPy's on the array of all starts and JAX's while loops."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import mmlfast as mf
from bench.harness import Case, Faster, Job, Setup

Array = np.ndarray[Any, Any]


def cubic(x: Any) -> Any:
    return x**3 - x


def slope(x: Any) -> Any:
    return 3 * x**2 - 1


def starts(count: int, setup: Setup) -> Job:
    """Of a cubic with three roots, whose basins meet where its slope is zero."""
    x0 = np.linspace(-2, 2, count)
    job = Job(lambda found: float(np.abs(cubic(np.asarray(found))).max()), "largest |f|", limit=1e-14)
    job.ours(lambda: mf.optimize.newton_many(cubic, x0).x)
    job.peer("numpy plain", plain, x0)
    if scipy := setup.library("scipy.optimize"):
        job.peer("scipy newton", scipy.newton, cubic, x0, slope)
    if jax := setup.library("jax"):
        job.jax("jax while_loop", by_jax(jax), x0)
    return job


def plain(x: Array) -> Array:
    """As one writes it with NumPy: until all have arrived."""
    for _ in range(100):
        step = cubic(x) / slope(x)
        x = x - step
        if np.all(np.abs(step) <= 4e-16 * np.abs(x)):
            break
    return x


def by_jax(jax: Any) -> Any:
    def one(x: Any) -> Any:
        def goes(state: Any) -> Any:
            return (jax.numpy.abs(state[1]) > 4e-16 * jax.numpy.abs(state[0])) & (state[2] < 100)

        def step(state: Any) -> Any:
            s = cubic(state[0]) / slope(state[0])
            return state[0] - s, s, state[2] + 1

        return jax.lax.while_loop(goes, step, (x, x, 0))[0]

    return jax.jit(jax.vmap(one))


CASES = [
    Case(
        "newton_many-cubic",
        "newton_many, a million starts on a cubic",
        partial(starts, 1_000_000),
        (Faster(20, "scipy newton"),),
    ),
]
