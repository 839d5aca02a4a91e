"""PageRank at equal error, from CSR: large graphs, many rankings, many small graphs.

All but networkx and igraph stop at an L1 error of 1e-10 by the bound that holds for the power method, d / (1 - d) times
the last change; igraph's PRPACK has a tolerance of its own. The errors shown are the true ones.
"""

from __future__ import annotations

import math
import os
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

import mmlfast as mf
from bench.cases.links import rmat, weighted, with_igraph
from bench.harness import Case, Faster, Goal, Job, Setup

Array = np.ndarray[Any, Any]

D, TOL = 0.85, 1e-10
STEPS = math.ceil(math.log(TOL / 2) / math.log(D))  # of the power method: its error is at most 2 d^k
ERROR = "L1 error"


def data_folder() -> Path | None:
    beside = Path(__file__).resolve().parent.parent.parent.parent / "shared" / "data"
    folder = Path(os.environ.get("MMLFAST_DATA") or beside)
    return folder if folder.is_dir() else None


@cache
def web() -> Any:
    """cnr-2000: 325 557 pages, 3 216 152 links."""
    z = np.load(data_folder() / "graphs" / "cnr-2000.npz")  # type: ignore[operator]
    n = z["indptr"].size - 1
    return sparse.csr_array((np.ones(z["indices"].size), z["indices"], z["indptr"]), shape=(n, n))


# ---- the answer, and peers ----


def reference(a: Any, rows: Array | None = None) -> Array:
    """The power method until nothing but rounding changes. One answer for each of `rows`."""
    n = a.shape[0]
    v = np.full((n, 1), 1 / n) if rows is None else (rows / rows.sum(axis=1, keepdims=True)).T
    strength = np.asarray(a.sum(axis=1)).ravel()[:, None]
    outside = strength[:, 0] == 0
    at, inverse = a.T.tocsr(), np.where(strength > 0, 1 / np.where(strength > 0, strength, 1), 0)
    x = v
    for _ in range(400):
        before, x = x, D * (at @ (x * inverse) + x[outside].sum(axis=0) * v) + (1 - D) * v
        x /= x.sum(axis=0)
        if np.abs(x - before).sum(axis=0).max() <= 1e-15:
            break
    return np.asarray(x[:, 0] if rows is None else x.T)


def error(right: Array, answer: Any) -> float:
    return float(np.abs(np.asarray(answer) - right).sum(axis=-1).max())


def power(a: Any, v: Array | None = None, transposed: bool = True) -> Array:
    """With SciPy, in its best form: one product with a CSR matrix a step, nothing else of the size of the links.

    `transposed`: with the links the other way round as CSR, made here; else by `A.T @`, which SciPy does by columns.
    """
    n = a.shape[0]
    v = np.full(n, 1 / n) if v is None else v
    strength = np.asarray(a.sum(axis=1)).ravel()
    outside = np.flatnonzero(strength == 0)
    inverse = D / np.where(strength > 0, strength, 1)
    at = a.T.tocsr() if transposed else a.T
    x = v
    while True:
        y = at @ (x * inverse)
        y += (D * x[outside].sum() + 1 - D) * v
        change = np.abs(y - x).sum()
        x = y
        if D / (1 - D) * change <= TOL:
            return np.asarray(x)


def by_networkx(nx: Any, graph: Any, n: int) -> Array:
    """Its tolerance is one of the change of each node."""
    scores = nx.pagerank(graph, alpha=D, tol=TOL * (1 - D) / D / n, max_iter=1000)
    return np.fromiter(scores.values(), float, n)


def peers(job: Job, a: Any, setup: Setup) -> None:
    """From CSR, intake included. Both forms of SciPy's: the better one counts."""
    has_weights = bool((a.data != 1).any())
    job.peer("scipy transposed", power, a)
    job.peer("scipy A.T @", power, a, transposed=False)
    if igraph := setup.library("igraph"):
        name = "weight" if has_weights else None

        def rank() -> Any:
            graph = with_igraph(igraph, a)
            if has_weights:
                graph.es["weight"] = a.data
            return graph.pagerank(damping=D, weights=name)

        job.peer("igraph", rank)
    if ranking := setup.library("sknetwork.ranking"):
        # Of its solvers this one is right where nodes have no links out ("piteration" is off by 0.4).
        job.peer("sknetwork", lambda: ranking.PageRank(D, solver="RH", n_iter=STEPS).fit_predict(as_matrix(a)))


def as_matrix(a: Any) -> Any:
    return sparse.csr_matrix((a.data, a.indices, a.indptr), shape=a.shape)


# ---- jobs ----


def whole(make: Any, setup: Setup) -> Job:
    a = make()
    job = Job(partial(error, reference(a)), ERROR, limit=TOL)
    job.ours(mf.graph.pagerank, a, D, tol=TOL)
    peers(job, a, setup)
    return job


def ranking_alone(make: Any, setup: Setup) -> Job:
    a = make()
    job = Job(partial(error, reference(a)), ERROR, limit=TOL)
    job.ours(mf.graph.pagerank, mf.graph.Links(a), D, tol=TOL)
    at = a.T.tocsr()  # made before: power(at.T) finds it again by transposing without a copy
    job.peer("scipy", power, at.T, transposed=False)
    if igraph := setup.library("igraph"):
        job.peer("igraph", with_igraph(igraph, a).pagerank, damping=D)
    return job


def beside_networkx(make: Any, setup: Setup) -> Job:
    a = make()
    job = Job(partial(error, reference(a)), ERROR, limit=TOL)
    if nx := setup.library("networkx"):
        graph = nx.from_scipy_sparse_array(a, create_using=nx.DiGraph)
        job.ours(mf.graph.pagerank, a, D, tol=TOL)
        job.peer("networkx", by_networkx, nx, graph, a.shape[0])
    else:
        job.ours(mf.graph.pagerank, a, D, tol=TOL)
    return job


def one_hot(a: Any, count: int, setup: Setup) -> Array:
    """The neighbourhood of one node each."""
    v = np.zeros((count, a.shape[0]))
    v[np.arange(count), setup.rng.choice(np.flatnonzero(np.diff(a.indptr)), count, replace=False)] = 1
    return v


def personalized(make: Any, count: int, setup: Setup) -> Job:
    """Each contestant takes the graph in once."""
    a = make()
    v = one_hot(a, count, setup)
    job = Job(partial(error, reference(a, v)), ERROR, limit=TOL)
    job.ours(mf.graph.pagerank_many, a, v, D, tol=TOL)

    def scipy_loop() -> Any:
        at = a.T.tocsr()
        return np.stack([power(at.T, row, transposed=False) for row in v])

    job.peer("scipy loop", scipy_loop)
    if igraph := setup.library("igraph"):

        def loop() -> Any:
            graph = with_igraph(igraph, a)
            return np.stack([graph.personalized_pagerank(damping=D, reset=row.tolist()) for row in v])

        job.peer("igraph loop", loop)
    return job


def personalized_prepared(make: Any, count: int, setup: Setup) -> Job:
    """The same with each contestant's graph made before."""
    a = make()
    v = one_hot(a, count, setup)
    job = Job(partial(error, reference(a, v)), ERROR, limit=TOL)
    job.ours(mf.graph.pagerank_many, mf.graph.Links(a), v, D, tol=TOL)
    at = a.T.tocsr()
    job.peer("scipy loop", lambda: np.stack([power(at.T, row, transposed=False) for row in v]))
    if igraph := setup.library("igraph"):
        graph = with_igraph(igraph, a)
        rank = graph.personalized_pagerank
        job.peer("igraph loop", lambda: np.stack([rank(damping=D, reset=row.tolist()) for row in v]))
    return job


def small_dense(items: int, n: int, setup: Setup) -> Job:
    a = (setup.rng.random((items, n, n)) < 0.3).astype(float)
    v = np.full(n, 1 / n)

    def system(a: Any, where: Any) -> Any:
        total = a.sum(-1)[..., None]
        return where(total > 0, a / where(total > 0, total, 1.0), 1 / n)

    def by_numpy() -> Array:
        p = system(a, np.where)
        return np.linalg.solve(np.eye(n) - D * p.swapaxes(-1, -2), np.full((n, 1), (1 - D) / n))[..., 0]

    p = system(a, np.where).astype(np.longdouble)
    right = by_numpy().astype(np.longdouble)
    for _ in range(60):
        right = D * (right[:, None, :] @ p)[:, 0] + (1 - D) * v.astype(np.longdouble)
    job = Job(partial(error, right), "largest L1 error of the batch", limit=TOL)
    job.ours(mf.graph.pagerank, a, D, tol=TOL)
    job.peer("numpy solve", by_numpy)
    if torch := setup.library("torch"):
        b = torch.from_numpy(a)
        one = torch.eye(n, dtype=torch.float64)
        right_side = torch.full((n, 1), (1 - D) / n, dtype=torch.float64)

        def by_torch() -> Any:
            q = system(b, lambda c, x, y: torch.where(c, x, torch.tensor(y, dtype=torch.float64)))
            return torch.linalg.solve(one - D * q.mT, right_side)[..., 0]

        job.peer("torch solve", by_torch)
    return job


def tiny(setup: Setup) -> Job:
    a = np.array([[0, 1, 1, 0], [1, 0, 0, 1], [0, 0, 0, 1], [0, 1, 1, 0.0]])
    matrix = sparse.csr_array(a)
    job = Job(partial(error, reference(matrix)), ERROR, limit=TOL)
    job.ours(mf.graph.pagerank, a, D, tol=TOL)
    job.peer("numpy solve", lambda: np.linalg.solve(np.eye(4) - D * (a / a.sum(1)[:, None]).T, np.full(4, (1 - D) / 4)))
    peers(job, matrix, setup)
    if nx := setup.library("networkx"):
        job.peer("networkx", by_networkx, nx, nx.from_numpy_array(a, create_using=nx.DiGraph), 4)
    return job


WHOLE: tuple[Goal, ...] = (Faster(4, "scipy"), Faster(4, "igraph"))

CASES = [
    Case(
        "pagerank-rmat",
        "pagerank of R-MAT, 2^20 nodes x 16 links, from CSR",
        partial(whole, partial(rmat, 20, 16)),
        WHOLE,
        slow=True,
    ),
    Case(
        "pagerank-rmat-weighted",
        "pagerank of R-MAT with weights, 2^18 nodes x 16 links, from CSR",
        partial(whole, lambda: weighted(rmat(18, 16))),
        WHOLE,
        slow=True,
    ),
    Case(
        "pagerank-rmat-ranking",
        "pagerank of R-MAT, 2^20 nodes x 16 links, prepared",
        partial(ranking_alone, partial(rmat, 20, 16)),
        (Faster(4),),
        slow=True,
    ),
    Case(
        "pagerank-networkx",
        "pagerank of R-MAT, 2^15 nodes x 16 links, beside networkx from its DiGraph",
        partial(beside_networkx, partial(rmat, 15, 16)),
        (Faster(30, "networkx"),),
        slow=True,
    ),
    Case(
        "pagerank-many",
        "64 personalized rankings of R-MAT, 2^15 nodes x 16 links",
        partial(personalized, partial(rmat, 15, 16), 64),
        (Faster(10),),
        True,
    ),
    Case(
        "pagerank-batch-16", "pagerank, 10000 dense graphs of 16 nodes", partial(small_dense, 10_000, 16), (Faster(10),)
    ),
    Case("pagerank-tiny", "pagerank of 4 nodes, one call", tiny),
]
if data_folder() is not None:
    CASES[1:1] = [
        Case(f"pagerank-web{name}", title, make, goals, slow=True)
        for name, title, make, goals in (
            ("", "pagerank of cnr-2000, from CSR", partial(whole, web), WHOLE),
            ("-many", "64 personalized rankings of cnr-2000", partial(personalized, web, 64), (Faster(10),)),
            (
                "-many-prepared",
                "64 personalized rankings of cnr-2000, prepared",
                partial(personalized_prepared, web, 64),
                (Faster(10),),
            ),
            ("-ranking", "pagerank of cnr-2000, prepared", partial(ranking_alone, web), (Faster(4),)),
            (
                "-networkx",
                "pagerank of cnr-2000, from its CSR beside networkx from its DiGraph",
                partial(beside_networkx, web),
                (Faster(30, "networkx"),),
            ),
        )
    ]
