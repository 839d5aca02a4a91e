"""Second derivatives: small dense Hessians at many points, a large sparse one."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from bench.cases.autodiff import casadi_buffered, casadi_names, near_one, rosenbrock
from bench.harness import Case, Faster, Job, Setup, Within
from mmlfast import autodiff

Array = np.ndarray[Any, Any]

ERROR = "largest difference / largest entry of the Hessian, the worst point"
LIMIT = 1e-12


def exact_hessians(x: Array) -> Array:
    """Of Rosenbrock's function at the points x (points, n), in extended precision."""
    wide = x.astype(np.longdouble)
    inner = np.zeros_like(wide)
    inner[:, :-1] = 1200 * wide[:, :-1] ** 2 - 400 * wide[:, 1:] + 2
    inner[:, 1:] += 200
    out = np.zeros((*x.shape, x.shape[1]), np.longdouble)
    i = np.arange(x.shape[1])
    out[:, i, i] = inner
    out[:, i[:-1], i[1:]] = out[:, i[1:], i[:-1]] = -400 * wide[:, :-1]
    return out


def hessian_error(exact: Array, answer: Any) -> float:
    for name in ("toarray", "todense"):  # of SciPy and CasADi, of JAX
        if hasattr(answer, name):
            answer = getattr(answer, name)()
            break
    size = np.abs(exact).max(axis=(-2, -1))
    return float((np.abs(np.asarray(answer) - exact).max(axis=(-2, -1)) / size).max())


def small(n: int, points: int, setup: Setup) -> Job:
    x = setup.rng.uniform(0.5, 1.5, (points, n))
    job = Job(partial(hessian_error, exact_hessians(x)), ERROR, limit=LIMIT, bytes=x.nbytes * (n + 1.0))
    job.ours(autodiff.hessian(rosenbrock(np)).batch, x)
    if jax := setup.library("jax"):
        job.jax("jax vmap", jax.vmap(jax.hessian(rosenbrock(jax.numpy))), x)
    if torch := setup.library("torch"):
        job.peer("torch vmap", torch.func.vmap(torch.func.hessian(rosenbrock(torch))), torch.from_numpy(x))
    if casadi := setup.library("casadi"):
        how = ("thread", setup.threads) if setup.threads > 1 else ("serial",)
        function = casadi_hessian(casadi, n, dense=True).map(points, *how)
        job.peer("casadi map", lambda columns: np.asarray(function(columns)).T.reshape(points, n, n), casadi.DM(x.T))
    return job


def casadi_hessian(casadi: Any, n: int, dense: bool = False) -> Any:
    x = casadi.SX.sym("x", n)
    found = casadi.hessian(rosenbrock(casadi_names(casadi))(x), x)[0]
    return casadi.Function("hessian", [x], [casadi.densify(found) if dense else found])


def sparse(n: int, setup: Setup) -> Job:
    x = near_one(n, setup.rng)
    job = Job(partial(hessian_error, exact_hessians(x[None])[0]), ERROR, limit=LIMIT)
    job.ours(autodiff.hessian(rosenbrock(np), sparse=True), x)
    if casadi := setup.library("casadi"):
        function = casadi_hessian(casadi, n)
        job.peer("casadi call", function, x)
        rows, columns = function.sparsity_out(0).get_triplet()
        call = casadi_buffered(function, x, len(rows))
        job.peer("casadi buffer", lambda: Entries(call(), rows, columns, n))
    if jax := setup.library("jax"):
        if asdex := setup.library("asdex"):
            job.jax("asdex", asdex.hessian(rosenbrock(jax.numpy), jax.device_put(x)), x)
        job.jax("jax", jax.hessian(rosenbrock(jax.numpy)), x)
    return job


class Entries:
    """A sparse matrix as it comes: its entries, and where they are."""

    __slots__ = ("columns", "n", "rows", "values")

    def __init__(self, values: Array, rows: list[int], columns: list[int], n: int) -> None:
        self.values, self.rows, self.columns, self.n = values, rows, columns, n

    def toarray(self) -> Array:
        out = np.zeros((self.n, self.n))
        out[self.rows, self.columns] = self.values
        return out


CASES = [
    Case(
        "autodiff-hessian-10",
        "Hessians of Rosenbrock's function, n = 10, 10000 points",
        partial(small, 10, 10_000),
        (Faster(3, "jax"),),
    ),
    Case(
        "autodiff-hessian-sparse-1000",
        "sparse Hessian of Rosenbrock's function, n = 1000",
        partial(sparse, 1000),
        (Within(60e-6), Faster(5, "asdex"), Faster(3, "casadi call")),
    ),
]
