"""Projections: a point cloud onto one subspace, with and without a metric, and many points onto one subspace each."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import mmlfast as mf
from bench.harness import Case, Job, Setup

Array = np.ndarray[Any, Any]


def orthonormal(basis: Array, metric: Array) -> Array:
    """Gram-Schmidt, twice, in extended precision, for the inner product x' metric y."""
    q = basis.astype(np.longdouble)
    for _ in range(2):
        for j in range(q.shape[-1]):
            v = q[..., j]
            for i in range(j):
                w = q[..., i]
                v = v - (w * (v @ metric)).sum(axis=-1, keepdims=True) * w
            q[..., j] = v / np.sqrt((v * (v @ metric)).sum(axis=-1, keepdims=True))
    return q


def projection_error(x: Array, basis: Array, metric: Array | None, answer: Any) -> float:
    """Largest distance from the right point over the length of x, in units of u; of up to 2000 points."""
    some = slice(None, None, max(1, len(x) // 2000))
    m = (np.eye(x.shape[-1]) if metric is None else metric).astype(np.longdouble)
    points = x[some].astype(np.longdouble)
    if basis.ndim == 2:
        q = orthonormal(basis, m)
        right = points @ m @ q @ q.T
    else:
        q = orthonormal(basis[some], m)
        right = (points[:, None, :] @ m @ q @ q.swapaxes(-1, -2))[:, 0]
    found = np.asarray(answer).reshape(x.shape)[some]
    wrong = np.sqrt(((found - right) ** 2).sum(axis=-1) / (points**2).sum(axis=-1))
    return float(wrong.max() / (np.finfo(x.dtype).eps / 2))


def through_qr(qr: Any, x: Any, basis: Any) -> Any:
    """How it is done well with a library that has QR."""
    q = qr(basis)[0]
    return (x @ q) @ q.swapaxes(-1, -2)


def through_cholesky(linalg: Any, x: Any, basis: Any, metric: Any) -> Any:
    """The same for an inner product x' metric y: turned into the usual one by the Cholesky factor."""
    factor = linalg.cholesky(metric)
    q = linalg.qr(factor.T @ basis)[0]
    back = linalg.solve(factor.T, q)
    return ((x @ factor) @ q) @ back.T


def cloud(points: int, dims: int, subspace: int, dtype: str, setup: Setup) -> Job:
    x = setup.rng.standard_normal((points, dims)).astype(dtype)
    basis = setup.rng.standard_normal((dims, subspace)).astype(dtype)
    return _job(x, basis, setup)


def many(setup: Setup) -> Job:
    x = setup.rng.standard_normal((20_000, 8))
    basis = setup.rng.standard_normal((20_000, 8, 3))
    return _job(x, basis, setup)


def _job(x: Array, basis: Array, setup: Setup) -> Job:
    job = Job(partial(projection_error, x, basis, None), "distance from the right point / (norm(x) u)", dtype=x.dtype)
    job.bytes = 2.0 * x.nbytes + basis.nbytes
    job.ours(mf.geometry.project, x, basis)
    points = x if basis.ndim == 2 else x[:, None, :]
    job.peer("numpy", through_qr, np.linalg.qr, points, basis)
    if torch := setup.library("torch"):
        job.peer("torch", through_qr, torch.linalg.qr, torch.from_numpy(points), torch.from_numpy(basis))
    if jax := setup.library("jax"):
        job.jax("jax", partial(through_qr, jax.numpy.linalg.qr), points, basis)
    return job


def with_metric(points: int, dims: int, subspace: int, setup: Setup) -> Job:
    x = setup.rng.standard_normal((points, dims))
    basis = setup.rng.standard_normal((dims, subspace))
    root = setup.rng.standard_normal((dims, dims))
    metric = root @ root.T / dims + np.eye(dims)
    job = Job(partial(projection_error, x, basis, metric), "distance from the right point / (norm(x) u)")
    job.bytes = 2.0 * x.nbytes
    job.ours(mf.geometry.project, x, basis, metric=metric)
    job.peer("numpy", through_cholesky, np.linalg, x, basis, metric)
    if torch := setup.library("torch"):
        job.peer("torch", through_cholesky, torch.linalg, *map(torch.from_numpy, (x, basis, metric)))
    if jax := setup.library("jax"):
        job.jax("jax", partial(through_cholesky, jax.numpy.linalg), x, basis, metric)
    return job


def reconstruction(setup: Setup) -> Job:
    """Points close to the subspace, of which the difference of two squares would leave nothing."""
    basis = setup.rng.standard_normal((64, 8))
    x = setup.rng.standard_normal((100_000, 8)) @ basis.T + 1e-9 * setup.rng.standard_normal((100_000, 64))
    some = slice(None, None, 50)
    q = orthonormal(basis, np.eye(64, dtype=np.longdouble))
    points = x[some].astype(np.longdouble)
    right = np.sqrt(((points - points @ q @ q.T) ** 2).sum(axis=1))
    length = np.sqrt((points**2).sum(axis=1))

    def error(answer: Any) -> float:
        return float((np.abs(np.asarray(answer)[some] - right) / length).max() / (np.finfo(float).eps / 2))

    def residual(linalg: Any, x: Any, basis: Any) -> Any:
        q = linalg.qr(basis)[0]
        return linalg.norm(x - (x @ q) @ q.T, axis=1)

    job = Job(error, "largest error / (norm(x) u)", bytes=2.0 * x.nbytes)
    job.ours(mf.geometry.reconstruction_error, x, basis)
    job.peer("numpy", residual, np.linalg, x, basis)
    if jax := setup.library("jax"):
        job.jax("jax", partial(residual, jax.numpy.linalg), x, basis)
    return job


CASES = [
    Case("project-plane", "project 1000000 points of 3-D onto a plane", partial(cloud, 1_000_000, 3, 2, "float64")),
    Case(
        "project-plane-float32",
        "project 1000000 points of 3-D onto a plane, float32",
        partial(cloud, 1_000_000, 3, 2, "float32"),
        slow=True,
    ),
    Case("project-64-8", "project 100000 points of 64-D onto 8-D", partial(cloud, 100_000, 64, 8, "float64")),
    Case("project-metric", "project 100000 points of 64-D onto 8-D, metric", partial(with_metric, 100_000, 64, 8)),
    Case("reconstruction-error", "reconstruction_error, 100000 points of 64-D and 8-D", reconstruction),
    Case("project-many", "project 20000 points of 8-D, each onto its own 3-D subspace", many),
]
