"""Principal components: tall, far from the origin, of small variances, wide, in batches, and of many small tables."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import mmlfast as mf
from bench.cases.covariance import reference
from bench.harness import Case, Faster, Goal, Job, Setup

Array = np.ndarray[Any, Any]

SOLVERS = ("covariance_eigh", "randomized", "full")


def variance_error(right: Array, model: Any) -> float:
    """Largest relative error of the variances."""
    return float(np.abs(np.asarray(model.explained_variance_, np.float64) / right[: model.n_components_] - 1).max())


def tall(rows: int, columns: int, dtype: str, offset: float, setup: Setup) -> Job:
    mix = np.eye(columns) + 0.3 * setup.rng.standard_normal((columns, columns)) / np.sqrt(columns)
    x = (setup.rng.standard_normal((rows, columns)) @ mix + offset).astype(dtype)
    right = np.linalg.eigvalsh(reference(x).astype(np.float64))[::-1]
    limit = 1e-11 if dtype == "float64" else 1e-6
    job = Job(partial(variance_error, right), "largest relative error of a variance", limit=limit, bytes=x.nbytes)
    count = min(10, columns)
    job.ours(mf.decomposition.PCA(count).fit, x)
    if sklearn := setup.library("sklearn.decomposition"):
        for solver in SOLVERS[: 2 if setup.quick or columns > 100 else 3]:
            job.peer(f"sklearn {solver}", sklearn.PCA(count, svd_solver=solver, random_state=0).fit, x)
    return job


def decaying(setup: Setup) -> Job:
    """Standard deviations from 1 to 1e-6: the covariance matrix does not know the smaller half of the variances."""
    u = np.linalg.qr(setup.rng.standard_normal((100_000, 20)))[0] * np.sqrt(100_000)
    u -= u.mean(axis=0)
    x = u * np.geomspace(1, 1e-6, 20) @ np.linalg.qr(setup.rng.standard_normal((20, 20)))[0]
    y = x.astype(np.longdouble)
    y -= y.mean(axis=0)
    right = np.linalg.svd(_triangle(y).astype(np.float64), compute_uv=False) ** 2 / (len(x) - 1)
    job = Job(partial(variance_error, right), "largest relative error of a variance", limit=1e-6, bytes=x.nbytes)
    job.ours(mf.decomposition.PCA().fit, x)
    if sklearn := setup.library("sklearn.decomposition"):
        for solver in SOLVERS:
            job.peer(f"sklearn {solver}", sklearn.PCA(svd_solver=solver, random_state=0).fit, x)
    return job


def _triangle(y: Array) -> Array:
    """R of y in extended precision, by modified Gram-Schmidt, twice: column by column."""
    y, d = y.copy(), y.shape[1]
    r = np.eye(d, dtype=y.dtype)
    for _ in range(2):
        step = np.zeros((d, d), y.dtype)
        for j in range(d):
            step[j, j] = np.sqrt((y[:, j] ** 2).sum())
            y[:, j] /= step[j, j]
            step[j, j + 1 :] = y[:, j] @ y[:, j + 1 :]
            y[:, j + 1 :] -= y[:, j : j + 1] * step[j, j + 1 :]
        r = step @ r
    return r


def wide(setup: Setup) -> Job:
    x = setup.rng.standard_normal((400, 4096)) * np.linspace(2, 1, 4096) + 100
    right = np.linalg.svd(x - x.mean(axis=0), compute_uv=False) ** 2 / 399
    job = Job(partial(variance_error, right), "largest relative error of a variance", limit=1e-11, bytes=x.nbytes)
    job.ours(mf.decomposition.PCA(50).fit, x)
    if sklearn := setup.library("sklearn.decomposition"):
        for solver in SOLVERS[1:]:
            job.peer(f"sklearn {solver}", sklearn.PCA(50, svd_solver=solver, random_state=0).fit, x)
    return job


def incremental(setup: Setup) -> Job:
    x = setup.rng.standard_normal((100_000, 64)) * np.linspace(2, 1, 64)
    right = np.linalg.eigvalsh(reference(x).astype(np.float64))[::-1]
    job = Job(partial(variance_error, right), "largest relative error of a variance", bytes=x.nbytes)

    def batches(model: Any) -> Any:
        for batch in np.split(x, 100):
            model.partial_fit(batch)
        model.components_  # noqa: B018 (ours finds them when they are asked for)
        return model

    job.ours(lambda: batches(mf.decomposition.IncrementalPCA(10)))
    if sklearn := setup.library("sklearn.decomposition"):
        job.peer("sklearn", lambda: batches(sklearn.IncrementalPCA(10)))
    return job


def many(setup: Setup) -> Job:
    x = setup.rng.standard_normal((5_000 if setup.quick else 50_000, 50, 4)) * [4, 3, 2, 1] + 10
    right = np.linalg.svd(x - x.mean(axis=1, keepdims=True), compute_uv=False) ** 2 / 49

    def error(values: Any) -> float:
        return float(np.abs(np.sort(np.asarray(values))[:, ::-1] / right - 1).max())

    def by_svd(x: Any) -> Any:
        values = np.linalg.svd(x - x.mean(axis=1, keepdims=True), full_matrices=False)[1]
        return values**2 / 49

    def by_eigh(library: Any, x: Any) -> Any:
        """Variances in increasing order; the vectors are found too."""
        y = x - x.mean(1)[:, None, :]
        return library.linalg.eigh(y.swapaxes(1, 2) @ y / 49)[0]

    job = Job(error, "largest relative error of a variance", limit=1e-10, bytes=x.nbytes)
    job.ours(lambda: mf.decomposition.pca(x).explained_variance)
    job.peer("numpy svd", by_svd, x)
    job.peer("numpy eigh", lambda: by_eigh(np, x))
    if torch := setup.library("torch"):
        tensor = torch.from_numpy(x)
        job.peer("torch eigh", lambda: by_eigh(torch, tensor))
    if jax := setup.library("jax"):
        job.jax("jax eigh", lambda x: by_eigh(jax.numpy, x), x)
    return job


def _case(
    rows: int, columns: int, goals: tuple[Goal, ...], dtype: str = "float64", offset: float = 0.0, slow: bool = False
) -> Case:
    name = f"pca-{rows}x{columns}-{dtype}" + ("-far" if offset else "")
    title = f"PCA, {rows} x {columns}, {min(10, columns)} components, {dtype}" + (
        f", mean {offset:.0e}" if offset else ""
    )
    return Case(name, title, partial(tall, rows, columns, dtype, offset), goals, slow)


CASES = [
    _case(1_000_000, 3, (Faster(8),)),
    _case(1_000_000, 10, (Faster(4),)),
    _case(1_000_000, 10, (Faster(4),), offset=1e6),
    _case(1_000_000, 10, (), dtype="float32"),
    _case(200_000, 64, (Faster(2.5),), slow=True),
    _case(60_000, 784, (Faster(1.1),), slow=True),
    Case("pca-decaying", "PCA, 100000 x 20, standard deviations from 1 to 1e-6", decaying, (), True),
    Case("pca-wide", "PCA, 400 x 4096, 50 components", wide),
    Case("pca-incremental", "IncrementalPCA, 100000 x 64 in 100 batches, 10 components", incremental),
    Case("pca-many", "pca, 50000 tables of 50 x 4", many),
]
