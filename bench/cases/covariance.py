"""Covariance: one tall table, far from the origin, many small tables; and the mean."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import mmlfast as mf
from bench.harness import Case, Faster, Goal, Job, Setup

Array = np.ndarray[Any, Any]


def reference(x: Array) -> Array:
    """Two passes: mean and differences in extended precision, products in float64 by blocks, summed in extended."""
    mean = sum(part.astype(np.longdouble).sum(axis=0) for part in np.array_split(x, 64)) / np.longdouble(len(x))
    total = np.zeros((x.shape[1], x.shape[1]), np.longdouble)
    for start in range(0, len(x), 256):
        block = (x[start : start + 256] - mean).astype(np.float64)
        total += block.T @ block
    return total / (len(x) - 1)


def covariance_error(right: Array, answer: Any) -> float:
    """Largest error, relative to the product of the two standard deviations."""
    scale = np.sqrt(np.diagonal(right))
    return float((np.abs(np.asarray(answer) - right) / (scale[:, None] * scale)).max())


def table(rows: int, columns: int, dtype: Any, offset: float, setup: Setup) -> Job:
    mix = np.eye(columns) + 0.3 * setup.rng.standard_normal((columns, columns)) / np.sqrt(columns)
    x = (setup.rng.standard_normal((rows, columns)) @ mix + offset).astype(dtype)
    job = Job(partial(covariance_error, reference(x)), "largest |error| / (sd sd)", bytes=x.nbytes, dtype=dtype)
    job.flops = float(rows * columns * (columns + 1))
    job.limit = 1e-10 if offset else 1e-5 if dtype == "float32" else 1e-12
    job.ours(mf.stats.covariance, x)
    job.peer("numpy", np.cov, x, rowvar=False)
    if offset:
        job.peer("numpy one pass", one_pass, x)
    if sklearn := setup.library("sklearn.covariance"):
        # It divides by the number of rows.
        job.peer("sklearn", lambda: sklearn.empirical_covariance(x) * (rows / (rows - 1)))
    if torch := setup.library("torch"):
        job.peer("torch", torch.cov, torch.from_numpy(x).T)
    if jax := setup.library("jax"):
        job.jax("jax", lambda x: jax.numpy.cov(x, rowvar=False), x)
    return job


def one_pass(x: Array) -> Array:
    """The formula with the mean of squares minus the square of the mean."""
    mean = x.mean(axis=0)
    return np.asarray((x.T @ x - len(x) * np.outer(mean, mean)) / (len(x) - 1))


def groups_error(x: Array, answer: Any) -> float:
    worst = 0.0
    for first in range(0, len(x), 1000):  # extended precision of all at once is a lot of memory
        y = x[first : first + 1000].astype(np.longdouble)
        y = y - y.mean(axis=1, keepdims=True)
        right = np.einsum("gni,gnj->gij", y, y) / (x.shape[1] - 1)
        scale = np.sqrt(np.einsum("gii->gi", right))
        error = np.abs(np.asarray(answer[first : first + 1000]) - right) / (scale[:, :, None] * scale[:, None, :])
        worst = max(worst, float(error.max()))
    return worst


def groups(tables: int, rows: int, columns: int, dtype: str, setup: Setup) -> Job:
    x = (setup.rng.standard_normal((tables, rows, columns)) + 10.0).astype(dtype)
    limit = 1e-12 if dtype == "float64" else 1e-4
    answer = tables * columns * columns * x.itemsize
    job = Job(partial(groups_error, x), "largest |error| / (sd sd)", limit=limit, bytes=x.nbytes + answer, dtype=dtype)
    job.flops = float(tables * rows * columns * (columns + 7))

    def with_einsum(library: Any, x: Any) -> Any:
        y = x - x.mean(1)[:, None, :]
        return library.einsum("gni,gnj->gij", y, y) / (rows - 1)

    def with_matmul(x: Any) -> Any:
        y = x - x.mean(1)[:, None, :]
        return y.swapaxes(1, 2) @ y / (rows - 1)

    job.ours(mf.stats.covariance, x)
    job.peer("numpy einsum", with_einsum, np, x)
    job.peer("numpy matmul", with_matmul, x)
    if torch := setup.library("torch"):
        job.peer("torch matmul", with_matmul, torch.from_numpy(x))
        job.peer("torch einsum", with_einsum, torch, torch.from_numpy(x))
        job.peer("torch vmap", torch.vmap(lambda table: torch.cov(table.T)), torch.from_numpy(x))
    if jax := setup.library("jax"):
        job.jax("jax matmul", with_matmul, x)
        job.jax("jax einsum", partial(with_einsum, jax.numpy), x)
        job.jax("jax products", partial(products, jax.numpy), x)
    return job


def products(jnp: Any, x: Any) -> Any:
    """Entry by entry, which a compiler of array code fuses into one pass over each table."""
    y = x - x.mean(1)[:, None, :]
    d = x.shape[2]
    sums = {(i, j): (y[:, :, i] * y[:, :, j]).sum(1) for i in range(d) for j in range(i, d)}
    rows = [jnp.stack([sums[min(i, j), max(i, j)] for j in range(d)], axis=-1) for i in range(d)]
    return jnp.stack(rows, axis=-2) / (x.shape[1] - 1)


def mean_error(x: Array, answer: Any) -> float:
    right = x.astype(np.longdouble).mean(axis=0)
    return float((np.abs(np.asarray(answer) - right) / np.abs(x).max(axis=0)).max())


def mean(setup: Setup) -> Job:
    x = setup.rng.standard_normal((1_000_000, 10)) + 1.0
    job = Job(partial(mean_error, x), "largest |error| / largest |x| of the column", bytes=x.nbytes)
    job.ours(mf.stats.mean, x)
    job.peer("numpy", np.mean, x, axis=0)
    if torch := setup.library("torch"):
        job.peer("torch", torch.mean, torch.from_numpy(x), 0)
    if jax := setup.library("jax"):
        job.jax("jax", lambda x: jax.numpy.mean(x, axis=0), x)
    return job


def omitted_error(x: Array, answer: Any) -> float:
    """Largest error beside pairs of columns in extended precision, relative to the two standard deviations."""
    found, worst = np.asarray(answer), 0.0
    scale = np.sqrt(np.diagonal(found))
    for i in range(x.shape[1]):
        for j in range(i, x.shape[1]):
            both = ~np.isnan(x[:, i] + x[:, j])
            a, b = (x[both, k].astype(np.longdouble) for k in (i, j))
            right = ((a - a.mean()) * (b - b.mean())).sum() / (len(a) - 1)
            worst = max(worst, float(abs(found[i, j] - right) / (scale[i] * scale[j])))
    return worst


def omitted(setup: Setup) -> Job:
    x = setup.rng.standard_normal((100_000, 20)) + 100.0
    x[setup.rng.random(x.shape) < 0.1] = np.nan
    job = Job(partial(omitted_error, x), "largest |error| / (sd sd)", limit=1e-10, bytes=x.nbytes)
    job.ours(mf.stats.covariance, x, nan_policy="omit")
    job.peer("numpy ma.cov", np.ma.cov, np.ma.masked_invalid(x), rowvar=False, allow_masked=True)
    if pandas := setup.library("pandas"):
        job.peer("pandas", pandas.DataFrame(x).cov)
    return job


def affine(setup: Setup) -> Job:
    n = 5_000 if setup.quick else 50_000
    mean, a = setup.rng.standard_normal((n, 4)), setup.rng.standard_normal((n, 4, 4))
    root = setup.rng.standard_normal((n, 4, 4))
    cov = root @ root.swapaxes(1, 2)
    cov = (cov + cov.swapaxes(1, 2)) / 2
    wide = a.astype(np.longdouble)
    right = np.einsum("nij,njk,nlk->nil", wide, cov, wide)

    def error(answer: Any) -> float:
        scale = np.abs(right).max(axis=(1, 2), keepdims=True)
        return float((np.abs(np.asarray(answer[1]) - right) / scale).max())

    def formulas(m: Any, c: Any, a: Any) -> Any:
        return (a @ m[..., None])[..., 0], a @ c @ a.swapaxes(1, 2)

    job = Job(error, "largest |error| / largest covariance", limit=1e-13)
    job.ours(mf.stats.affine_moments, mean, cov, a)
    job.peer("numpy", formulas, mean, cov, a)
    if torch := setup.library("torch"):
        job.peer("torch", formulas, *map(torch.from_numpy, (mean, cov, a)))
    if setup.library("jax"):
        job.jax("jax", formulas, mean, cov, a)
    return job


def _case(
    rows: int, columns: int, goals: tuple[Goal, ...], dtype: str = "float64", offset: float = 0.0, slow: bool = False
) -> Case:
    name = f"covariance-{rows}x{columns}-{dtype}" + ("-far" if offset else "")
    title = f"covariance, {rows} x {columns}, {dtype}" + (f", mean {offset:.0e}" if offset else "")
    return Case(name, title, partial(table, rows, columns, dtype, offset), goals, slow)


CASES = [
    _case(1_000_000, 3, (Faster(10, "numpy"),)),
    _case(1_000_000, 10, (Faster(5, "numpy"),)),
    _case(1_000_000, 10, (Faster(5, "numpy"),), offset=1e8),
    _case(1_000_000, 10, (Faster(5, "numpy"),), dtype="float32"),
    _case(200_000, 64, (Faster(2.5, "numpy"),), slow=True),
    _case(60_000, 784, (Faster(1.1, "numpy"),), slow=True),
    Case(
        "covariance-groups",
        "covariance, 100000 tables of 50 x 4",
        partial(groups, 100_000, 50, 4, "float64"),
        (Faster(10),),
    ),
    Case(
        "covariance-groups-float32",
        "covariance, 100000 tables of 50 x 4, float32",
        partial(groups, 100_000, 50, 4, "float32"),
    ),
    Case("mean-1000000x10", "mean, 1000000 x 10", mean),
    Case("covariance-omit", "covariance, 100000 x 20, a tenth of the numbers missing", omitted),
    Case("affine-moments", "affine_moments, 50000 of 4 x 4", affine),
]
