"""Power iteration: the dominant eigenpair of many small symmetric matrices, of one dense and of one sparse matrix."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np

import mmlfast as mf
from bench.harness import Case, Job, Setup

Array = np.ndarray[Any, Any]

TOL = 1e-12
MOST = 2000  # iterations
ERROR = "norm(A v - value v) / |value|, the worst of the batch"


def residual(a: Any, answer: Any) -> float:
    """Of the eigenpair in the first two parts of the answer; of the last one if these are all eigenpairs, ascending."""
    value, vector = (np.asarray(part) for part in answer[:2])
    if value.ndim == a.ndim - 1:
        value, vector = value[..., -1], vector[..., -1]
    if isinstance(a, np.ndarray):
        a, value, vector = (part.astype(np.longdouble) for part in (a, value, vector))
    product = (a @ vector[..., None])[..., 0]
    wrong = product - value[..., None] * vector
    return float((np.sqrt((wrong**2).sum(-1)) / np.sqrt((vector**2).sum(-1)) / np.abs(value)).max())


def symmetric(setup: Setup, items: int, n: int) -> Array:
    """Symmetric matrices with eigenvalues 1, 1/2, 1/3, ... in random directions."""
    q = np.linalg.qr(setup.rng.standard_normal((items, n, n)))[0]
    a = (q / np.arange(1.0, n + 1)) @ q.swapaxes(-1, -2)
    return np.asarray((a + a.swapaxes(-1, -2)) / 2)


def plain(a: Any) -> tuple[float, Array]:
    """Power iteration as one writes it with NumPy or SciPy, until the residual is small."""
    v = np.ones(a.shape[0]) / np.sqrt(a.shape[0])
    value = 0.0
    for _ in range(MOST):
        w = a @ v
        value = float(v @ w)
        if np.linalg.norm(w - value * v) <= TOL * abs(value):
            break
        v = w / np.linalg.norm(w)
    return value, v


def jax_power(jax: Any, a: Any) -> Any:
    """The same for one matrix in JAX; vmap makes it a batch."""
    np_ = jax.numpy

    def unfinished(state: Any) -> Any:
        value, _, wrong, count = state
        return (wrong > TOL * np_.abs(value)) & (count < MOST)

    def step(state: Any) -> Any:
        _, v, _, count = state
        w = a @ v
        value = v @ w
        wrong = np_.linalg.norm(w - value * v)
        return value, np_.where(wrong > TOL * np_.abs(value), w / np_.linalg.norm(w), v), wrong, count + 1

    v = np_.ones(a.shape[-1]) / np_.sqrt(a.shape[-1])
    return jax.lax.while_loop(unfinished, step, (0.0, v, np_.inf, 0))


@cache
def numba_power(numba: Any) -> Any:
    """The same in a parallel loop over the batch."""

    def loop(a: Array) -> tuple[Array, Array]:
        n = a.shape[-1]
        values, vectors = np.empty(len(a)), np.empty((len(a), n))
        for item in numba.prange(len(a)):
            v, w = np.full(n, 1 / np.sqrt(n)), np.empty(n)
            value = 0.0
            for _ in range(MOST):
                value = square = wrong = 0.0
                for i in range(n):
                    s = 0.0
                    for j in range(n):
                        s += a[item, i, j] * v[j]
                    w[i] = s
                    value += s * v[i]
                    square += s * s
                for i in range(n):
                    wrong += (w[i] - value * v[i]) ** 2
                if np.sqrt(wrong) <= TOL * abs(value):
                    break
                scale = 1 / np.sqrt(square)
                for i in range(n):
                    v[i] = w[i] * scale
            values[item] = value
            vectors[item] = v
        return values, vectors

    return numba.njit(parallel=True)(loop)


def batch(items: int, n: int, setup: Setup) -> Job:
    a = symmetric(setup, items, n)
    job = Job(partial(residual, a), ERROR, limit=2 * TOL)
    job.ours(mf.linalg.power_iteration, a, tol=TOL, max_iter=MOST)
    job.peer("numpy eigh", np.linalg.eigh, a)
    if torch := setup.library("torch"):
        job.peer("torch eigh", torch.linalg.eigh, torch.from_numpy(a))
    if jax := setup.library("jax"):
        job.jax("jax while_loop", jax.vmap(partial(jax_power, jax)), a)
    if numba := setup.library("numba"):
        job.peer("numba prange", numba_power(numba), a)
    return job


def dense(n: int, setup: Setup) -> Job:
    a = symmetric(setup, 1, n)[0]
    job = Job(partial(residual, a), ERROR, limit=2 * TOL)
    job.ours(mf.linalg.power_iteration, a, tol=TOL, max_iter=MOST)
    job.peer("numpy plain", plain, a)
    if scipy := setup.library("scipy.linalg"):
        job.peer("scipy eigh", lambda: _only(*scipy.eigh(a, subset_by_index=[n - 1, n - 1])))
    if sparse := setup.library("scipy.sparse.linalg"):
        job.peer("scipy eigsh", lambda: _only(*sparse.eigsh(a, k=1, which="LM", tol=TOL)))
    if jax := setup.library("jax"):
        job.jax("jax while_loop", partial(jax_power, jax), a)
    return job


def graph(nodes: int, links: int, setup: Setup) -> Job:
    """The adjacency matrix of a random undirected graph."""
    from scipy import sparse

    i, j = setup.rng.integers(0, nodes, (2, links))
    half = sparse.coo_array((np.ones(links), (i, j)), shape=(nodes, nodes))
    a = (half + half.T).tocsr()
    job = Job(partial(residual, a), ERROR, limit=2 * TOL)
    job.ours(mf.linalg.power_iteration, a, tol=TOL, max_iter=MOST)
    job.peer("scipy plain", plain, a)
    if linalg := setup.library("scipy.sparse.linalg"):
        job.peer("scipy eigsh", lambda: _only(*linalg.eigsh(a, k=1, which="LM", tol=TOL)))
    return job


def _only(values: Array, vectors: Array) -> tuple[Any, Array]:
    return values[0], vectors[:, 0]


CASES = [
    Case("power_iteration-batch-4", "power_iteration, 20000 of 4 x 4", partial(batch, 20_000, 4)),
    Case("power_iteration-batch-16", "power_iteration, 2000 of 16 x 16", partial(batch, 2_000, 16)),
    Case("power_iteration-dense-500", "power_iteration, one 500 x 500", partial(dense, 500)),
    Case(
        "power_iteration-sparse",
        "power_iteration, graph of 100000 nodes, 1600000 links",
        partial(graph, 100_000, 800_000),
        slow=True,
    ),
]
