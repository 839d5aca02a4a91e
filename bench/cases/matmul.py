"""Products of batches of small matrices and vectors; einsum; points through a matrix."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np

import mmlfast as mf
from bench.harness import Case, Faster, Goal, Job, Setup, Within

Array = np.ndarray[Any, Any]

SIZES = (2, 3, 4, 5, 6, 8, 12, 16, 24, 32, 48, 64, 128)
ERROR = "|error| / (k u |a| |b|), elementwise, the worst of the batch"


def items(n: int) -> int:
    """About 8 MB of float64 per operand, as for a few frames of a video; at most 100 000."""
    return max(60, min(100_000, 1_000_000 // n**2))


def product_error(a: Array, b: Array, answer: Any) -> float:
    """Against extended precision, on at most 50 items of the batch."""
    c = np.asarray(answer)
    if c.ndim > 2:
        step = max(1, len(c) // 50)
        a, b, c = (x[::step] if x.ndim > 2 else x for x in (a, b, c))
    else:
        a, c = a[:1000], c[:1000]
    wide = np.longdouble
    exact, size = np.matmul(a.astype(wide), b.astype(wide)), np.matmul(np.abs(a).astype(wide), np.abs(b).astype(wide))
    unit = a.shape[-1] * np.finfo(c.dtype).eps / 2
    return float((np.abs(c.reshape(exact.shape) - exact) / (unit * size)).max())


def vector_error(a: Array, x: Array, answer: Any) -> float:
    return product_error(a, x[..., None], np.asarray(answer)[..., None])


def dot_error(x: Array, y: Array, answer: Any) -> float:
    return product_error(x[:, None, :], y[:, :, None], np.asarray(answer)[:, None, None])


@cache
def numba_matmul(numba: Any) -> Any:
    """The three loops of the definition, in parallel over the batch."""

    def loop(a: Array, b: Array) -> Array:
        c = np.empty((len(a), a.shape[1], b.shape[2]), a.dtype)
        for item in numba.prange(len(a)):
            for i in range(a.shape[1]):
                for j in range(b.shape[2]):
                    total = a[item, i, 0] * b[item, 0, j]
                    for k in range(1, a.shape[2]):
                        total += a[item, i, k] * b[item, k, j]
                    c[item, i, j] = total
        return c

    return numba.njit(parallel=True, fastmath=True)(loop)


@cache
def numba_matvec(numba: Any) -> Any:
    def loop(a: Array, x: Array) -> Array:
        y = np.empty((len(a), a.shape[1]), a.dtype)
        for item in numba.prange(len(a)):
            for i in range(a.shape[1]):
                total = a[item, i, 0] * x[item, 0]
                for k in range(1, a.shape[2]):
                    total += a[item, i, k] * x[item, k]
                y[item, i] = total
        return y

    return numba.njit(parallel=True, fastmath=True)(loop)


@cache
def numba_vecdot(numba: Any) -> Any:
    def loop(x: Array, y: Array) -> Array:
        s = np.empty(len(x), x.dtype)
        for item in numba.prange(len(x)):
            total = x[item, 0] * y[item, 0]
            for k in range(1, x.shape[1]):
                total += x[item, k] * y[item, k]
            s[item] = total
        return s

    return numba.njit(parallel=True, fastmath=True)(loop)


def product_job(a: Array, b: Array, error: Callable[..., float] = product_error) -> Job:
    n = a.shape[-1]
    job = Job(partial(error, a, b), ERROR, dtype=a.dtype)
    result = a.size // n * (b.shape[-1] if error is product_error else 1) * a.itemsize
    job.bytes = float(a.nbytes + b.nbytes + result)
    return job


def everybody(job: Job, name: str, a: Array, b: Array, setup: Setup) -> None:
    """`name`: the function of torch."""
    job.ours(mf.linalg.matmul, a, b)
    job.peer("numpy", np.matmul, a, b)
    if torch := setup.library("torch"):
        job.peer(f"torch {name}", getattr(torch, name), torch.from_numpy(a), torch.from_numpy(b))
    if jax := setup.library("jax"):
        job.jax("jax", jax.numpy.matmul, a, b)


def matrices(n: int, dtype: str, setup: Setup) -> Job:
    a, b = (setup.rng.standard_normal((items(n), n, n)).astype(dtype) for _ in range(2))
    job = product_job(a, b)
    job.flops = 2.0 * a.size * n
    everybody(job, "bmm", a, b, setup)
    if n <= 16 and (numba := setup.library("numba")):
        job.peer("numba prange", numba_matmul(numba), a, b)
    return job


def shared(n: int, which: str, setup: Setup) -> Job:
    """One matrix times many, or many times one."""
    many, one = setup.rng.standard_normal((items(n), n, n)), setup.rng.standard_normal((n, n))
    a, b = (one, many) if which == "left" else (many, one)
    job = product_job(many, many)
    job.error = lambda answer: product_error(np.broadcast_to(a, many.shape), np.broadcast_to(b, many.shape), answer)
    job.bytes = 2.0 * many.nbytes
    everybody(job, "matmul", a, b, setup)
    return job


def vectors(n: int, dtype: str, setup: Setup) -> Job:
    a, x = setup.rng.standard_normal((items(n), n, n)).astype(dtype), setup.rng.standard_normal((items(n), n))
    x = x.astype(dtype)
    job = product_job(a, x, vector_error)
    job.ours(mf.linalg.matvec, a, x)
    if hasattr(np, "matvec"):
        job.peer("numpy matvec", np.matvec, a, x)
    job.peer("numpy einsum", np.einsum, "bij,bj->bi", a, x)
    if torch := setup.library("torch"):
        job.peer("torch bmm", torch.bmm, torch.from_numpy(a), torch.from_numpy(x[..., None]))
    if jax := setup.library("jax"):
        job.jax("jax", jax.vmap(jax.numpy.matmul), a, x)
    if n <= 16 and (numba := setup.library("numba")):
        job.peer("numba prange", numba_matvec(numba), a, x)
    return job


def dots(n: int, setup: Setup) -> Job:
    x, y = (setup.rng.standard_normal((1_000_000 // n, n)) for _ in range(2))
    job = product_job(x, y, dot_error)
    job.ours(mf.linalg.vecdot, x, y)
    job.peer("numpy", np.vecdot, x, y)
    if torch := setup.library("torch"):
        job.peer("torch", torch.linalg.vecdot, torch.from_numpy(x), torch.from_numpy(y))
    if jax := setup.library("jax"):
        job.jax("jax", jax.numpy.vecdot, x, y)
    if numba := setup.library("numba"):
        job.peer("numba prange", numba_vecdot(numba), x, y)
    return job


def contraction(subscripts: str, n: int, setup: Setup) -> Job:
    """Batches in which an operand or the result is transposed; numpy with and without its path."""
    left, right = subscripts.partition("->")[0].split(",")
    a, b = (setup.rng.standard_normal([20_000 if c == "b" else n for c in labels]) for labels in (left, right))
    exact = np.einsum(subscripts, a.astype(np.longdouble), b.astype(np.longdouble))
    job = Job(lambda answer: float(np.abs(np.asarray(answer) - exact).max() / (n * 1.1e-16)), "largest error / (n u)")
    job.bytes = float(a.nbytes + b.nbytes + exact.size * 8)
    job.ours(mf.linalg.einsum, subscripts, a, b)
    job.peer("numpy", np.einsum, subscripts, a, b)
    job.peer("numpy optimize", partial(np.einsum, optimize=True), subscripts, a, b)
    if torch := setup.library("torch"):
        job.peer("torch", torch.einsum, subscripts, torch.from_numpy(a), torch.from_numpy(b))
    if jax := setup.library("jax"):
        job.jax("jax", partial(jax.numpy.einsum, subscripts), a, b)
    return job


def points(count: int, size: int, dtype: str, setup: Setup) -> Job:
    x, matrix = setup.rng.standard_normal((count, size)), setup.rng.standard_normal((size, size))
    x, matrix = x.astype(dtype), matrix.astype(dtype)
    job = product_job(x, matrix)
    job.error = lambda answer: product_error(x, matrix.T, answer)
    job.bytes = 2.0 * x.nbytes
    job.ours(mf.linalg.transform, x, matrix)
    job.peer("numpy", lambda x, m: x @ m.T, x, matrix)
    if torch := setup.library("torch"):
        job.peer("torch", lambda x, m: x @ m.T, torch.from_numpy(x), torch.from_numpy(matrix))
    if setup.library("jax"):
        job.jax("jax", lambda x, m: x @ m.T, x, matrix)
    return job


def single(setup: Setup) -> Job:
    a, b = setup.rng.standard_normal((2, 3, 3))
    job = Job(partial(product_error, a, b), ERROR)
    everybody(job, "mm", a, b, setup)
    return job


def _matrix_case(n: int, dtype: str) -> Case:
    goals: tuple[Goal, ...] = (Faster(1),)
    slow = dtype == "float32" or n not in (3, 4, 8, 32)
    title = f"matmul, {items(n)} of {n} x {n}, {dtype}"
    return Case(f"matmul-batch-{n}-{dtype}", title, partial(matrices, n, dtype), goals, slow)


def _vector_case(n: int, dtype: str) -> Case:
    title = f"matvec, {items(n)} of {n} x {n}, {dtype}"
    slow = dtype == "float32" or n not in (3, 8)
    return Case(f"matvec-batch-{n}-{dtype}", title, partial(vectors, n, dtype), (Faster(1),), slow)


CASES = [
    Case("matmul-one-3", "matmul, one 3 x 3", single, (Within(0.5e-6), Faster(1))),
    *(_matrix_case(n, dtype) for dtype in ("float64", "float32") for n in SIZES),
    *(
        Case(
            f"matmul-{which}-{n}", f"matmul, {items(n)} of {n} x {n}, {which} operand shared", make, (Faster(1),), n > 3
        )
        for which in ("left", "right")
        for n in (3, 8, 32)
        for make in (partial(shared, n, which),)
    ),
    *(_vector_case(n, dtype) for dtype in ("float64", "float32") for n in SIZES),
    *(
        Case(f"vecdot-{n}", f"vecdot, {1_000_000 // n} of {n}", partial(dots, n), (Faster(1),), n != 3)
        for n in (3, 8, 32, 1000, 100_000)
    ),
    *(
        Case(f"einsum-{s}-{n}", f"einsum {s}, n = {n}", partial(contraction, s, n), (Faster(1),), s != "bji,bjk->bik")
        for s in ("bji,bjk->bik", "bij,bkj->bik", "bij,jk->bik", "bij,bj->bi", "bi,bi->b", "bij,bjk->bki")
        for n in (3, 8)
    ),
    *(
        Case(
            f"transform-{size}-{dtype}",
            f"transform, 1000000 points of {size}-D, {dtype}",
            partial(points, 1_000_000, size, dtype),
            (Faster(1.5, "numpy"), Faster(1)),
            (size, dtype) != (3, "float64"),
        )
        for size in (2, 3)
        for dtype in ("float64", "float32")
    ),
]
