"""Taylor series, beside JAX's jet (which gives derivatives, in float64) and mpmath (in 50 digits)."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import mpmath
import numpy as np

import mmlfast as mf
from bench.harness import Case, Faster, Job, Setup

Array = np.ndarray[Any, Any]


def short(m: Any, t: Any) -> Any:
    return m.exp(m.sin(t)) / (1 + t**2)


def long(m: Any, t: Any) -> Any:
    """Fifty operations, twelve of which are sines."""
    a = t
    for _ in range(12):
        a = m.sin(a)
        b = a * t
        a = (b + a) / (t + b + 1)
    return a


def error(right: Array, found: Any) -> float:
    """Relative to the largest coefficients nearby: some are accidentally small."""
    size = np.abs(right)
    near = np.maximum(size, np.maximum(np.roll(size, 1), np.roll(size, -1)))
    return float(np.max(np.abs(np.asarray(found, np.float64) - right) / near))


def by_mpmath(f: Callable[[Any, Any], Any], x: float, order: int) -> Array:
    with mpmath.workdps(50):
        return np.array([float(c) for c in mpmath.taylor(partial(f, mpmath), x, order)])


def one(f: Callable[[Any, Any], Any], order: int, setup: Setup) -> Job:
    x = 0.3
    job = Job(partial(error, by_mpmath(f, x, order)), "largest error")
    g = partial(f, np)
    job.ours(mf.autodiff.taylor, g, x, order)
    job.peer("mpmath", by_mpmath, f, x, order)
    if jax := setup.library("jax"):
        job.jax("jax", jet(jax, f, order), x)
    return job


def jet(jax: Any, f: Callable[[Any, Any], Any], order: int) -> Callable[[Any], Any]:
    series = importlib.import_module("jax.experimental.jet").jet

    factorials = np.array([1.0] + [float(math.factorial(k)) for k in range(1, order + 1)])

    def coefficients(x: Any) -> Any:
        value, slopes = series(partial(f, jax.numpy), (x,), ([1.0] + [0.0] * (order - 1),))
        return jax.numpy.stack([value, *slopes]) / factorials

    return coefficients


def many(f: Callable[[Any, Any], Any], order: int, setup: Setup) -> Job:
    points = setup.rng.uniform(0.1, 0.9, 10_000)
    right = by_mpmath(f, float(points[0]), order)

    def first_error(found: Any) -> float:
        found = np.asarray(found)
        return error(right, found[:, 0] if found.shape[0] == order + 1 else found[0])

    job = Job(first_error, "error of the first point")
    traced = mf.autodiff.trace(partial(f, np), 0.3)
    job.ours(mf.autodiff.taylor, traced, points, order)
    if jax := setup.library("jax"):
        job.jax("jax", jax.vmap(jet(jax, f, order)), points)
    return job


CASES = [
    Case("taylor-short-10", "Taylor series, 5 operations, order 10", partial(one, short, 10), (Faster(1),)),
    Case("taylor-short-30", "Taylor series, 5 operations, order 30", partial(one, short, 30), (Faster(1),)),
    Case("taylor-long-10", "Taylor series, 50 operations, order 10", partial(one, long, 10), (Faster(1),)),
    Case(
        "taylor-many-10", "Taylor series, 5 operations, order 10, 10000 points", partial(many, short, 10), (Faster(1),)
    ),
]
