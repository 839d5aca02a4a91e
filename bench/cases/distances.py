"""All distances between two sets of points: few and many dimensions, and with the inverse of a covariance."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import mmlfast as mf
from bench.harness import Case, Faster, Job, Setup

Array = np.ndarray[Any, Any]


def error(x: Array, y: Array, factor: Array | None, answer: Any) -> float:
    """Largest relative error of up to 50 x 50 distances, in units of u."""
    rows, columns = (slice(None, None, max(1, len(a) // 50)) for a in (x, y))
    a, b = x[rows].astype(np.longdouble), y[columns].astype(np.longdouble)
    differences = a[:, None] - b
    if factor is not None:
        differences = differences @ factor.astype(np.longdouble)
    right = np.sqrt((differences**2).sum(axis=-1))
    return float((np.abs(np.asarray(answer)[rows, columns] - right) / right).max() / (np.finfo(x.dtype).eps / 2))


def expansion(jnp: Any, x: Any, y: Any) -> Any:
    return jnp.sqrt(jnp.maximum((x * x).sum(1)[:, None] + (y * y).sum(1) - 2 * x @ y.T, 0))


def euclidean(n: int, d: int, dtype: str, setup: Setup) -> Job:
    x, y = (setup.rng.standard_normal((n, d)).astype(dtype) for _ in range(2))
    job = Job(partial(error, x, y, None), "largest relative error / u", dtype=dtype)
    job.flops, job.bytes = 3.0 * n * n * d, float(x.itemsize * n * n)
    job.ours(mf.geometry.cdist, x, y)
    if scipy := setup.library("scipy"):
        job.peer("scipy cdist", scipy.spatial.distance.cdist, x, y)
    if setup.library("sklearn"):
        from sklearn.metrics.pairwise import euclidean_distances

        job.peer("sklearn euclidean_distances", euclidean_distances, x, y)
    if torch := setup.library("torch"):
        job.peer("torch cdist", torch.cdist, torch.from_numpy(x), torch.from_numpy(y))
    if jax := setup.library("jax"):
        job.jax("jax expansion", partial(expansion, jax.numpy), x, y)
    return job


def mahalanobis(n: int, d: int, setup: Setup) -> Job:
    x, y = (setup.rng.standard_normal((n, d)) for _ in range(2))
    root = setup.rng.standard_normal((d, d))
    metric = root @ root.T / d + np.eye(d)
    job = Job(partial(error, x, y, np.linalg.cholesky(metric)), "largest relative error / u")
    job.ours(mf.geometry.cdist, x, y, metric)
    if scipy := setup.library("scipy"):
        job.peer("scipy cdist", scipy.spatial.distance.cdist, x, y, "mahalanobis", VI=metric)
    return job


CASES = [
    Case("cdist-3", "distances, 3000 x 3000 points of 3-D", partial(euclidean, 3000, 3, "float64")),
    Case("cdist-64", "distances, 2000 x 2000 points of 64-D", partial(euclidean, 2000, 64, "float64")),
    Case("cdist-64-float32", "distances, 2000 x 2000 points of 64-D, float32", partial(euclidean, 2000, 64, "float32")),
    Case("cdist-784", "distances, 1000 x 1000 points of 784-D", partial(euclidean, 1000, 784, "float64"), slow=True),
    Case(
        "mahalanobis-200",
        "Mahalanobis distances, 400 x 400 points of 200-D",
        partial(mahalanobis, 400, 200),
        (Faster(50, "scipy"),),
    ),
]
