"""PageRank at equal certified error: from CSR, of a prepared graph, for many personalizations, of many small graphs."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

import mmlfast as mf
from bench.harness import Case, Faster, Job, Setup

Array = np.ndarray[Any, Any]

TOL, DAMPING = 1e-10, 0.85
ERROR = "L1 norm of the error of the scores"


@cache
def rmat(scale: int, links: int) -> Any:
    """R-MAT as in the Graph500 benchmark, each link once, without weights."""
    from scipy import sparse

    rng = np.random.default_rng(1)
    i, j = np.zeros((2, links), np.int32)
    for bit in range(scale):
        r = rng.random(links, dtype=np.float32)
        i |= (r > 0.76).astype(np.int32) << bit
        j |= (((r > 0.57) & (r <= 0.76)) | (r > 0.95)).astype(np.int32) << bit
    graph = sparse.coo_array((np.ones(links), (i, j)), shape=(1 << scale, 1 << scale)).tocsr()
    graph.data[:] = 1
    return graph


def data_file(name: str) -> Path | None:
    """A file of the folder MMLFAST_DATA, or of ../shared/data."""
    folder = Path(os.environ.get("MMLFAST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
    return folder / name if (folder / name).is_file() else None


@cache
def web() -> Any:
    """cnr-2000, a crawl of 325557 pages; a smaller R-MAT graph where the data are not there."""
    from scipy import sparse

    path = data_file("graphs/cnr-2000.npz")
    if path is None:
        return rmat(17, 2_000_000)
    with np.load(path) as data:
        starts, targets = data["indptr"], data["indices"]
    n = starts.size - 1
    return sparse.csr_array((np.ones(targets.size), targets, starts), shape=(n, n))


GRAPHS: dict[str, Callable[[], Any]] = {
    "rmat": partial(rmat, 20, 1 << 24),
    "small rmat": partial(rmat, 17, 1 << 21),
    "web": web,
}


@cache
def right_scores(name: str) -> Array:
    """The scores by the power method in extended precision, until nothing changes any more."""
    a = GRAPHS[name]()
    n, degree = a.shape[0], np.diff(a.indptr)
    inverse = np.where(degree > 0, 1 / np.maximum(degree, 1), 0)
    pull = a.T.tocsr()
    x = np.full(n, 1 / n)
    for _ in range(400):
        y = DAMPING * (pull @ (x * inverse))
        y += (1 - y.astype(np.longdouble).sum()) / n
        change, x = np.abs(y - x).sum(), y
        if change < 1e-15:
            break
    return x


def error(name: str, scores: Any) -> float:
    return float(np.abs(np.asarray(scores) - right_scores(name)).sum())


def power_method(a: Any, personalization: Array | None = None, *, transposed: bool = False) -> Array:
    """As one writes it with SciPy, stopped by the same bound on the error; the intake is part of it.

    Multiplying by the transpose as it is costs more per sweep than by a transposed copy, which costs time to make.
    """
    n = a.shape[0]
    degree = np.diff(a.indptr)
    inverse = DAMPING * np.where(degree > 0, 1 / np.maximum(degree, 1), 0)
    pull = a.T.tocsr() if transposed else a.T
    v = np.full(n, 1 / n) if personalization is None else personalization
    x = v
    while True:
        y = pull @ (x * inverse)
        y += (1 - y.sum()) * v
        change = np.abs(y - x).sum()
        x = y
        if change * DAMPING / (1 - DAMPING) <= TOL:
            return np.asarray(x)


def igraph_graph(igraph: Any, a: Any) -> Any:
    sources = np.repeat(np.arange(a.shape[0]), np.diff(a.indptr))
    return igraph.Graph(n=a.shape[0], edges=np.column_stack([sources, a.indices]), directed=True)


def from_csr(name: str, setup: Setup) -> Job:
    a = GRAPHS[name]()
    job = Job(partial(error, name), ERROR, limit=2 * TOL, bytes=a.indices.nbytes)
    job.ours(mf.graph.pagerank, a, DAMPING, tol=TOL)
    job.peer("scipy", power_method, a)
    job.peer("scipy transposed", power_method, a, transposed=True)
    if igraph := setup.library("igraph"):
        job.peer("igraph", lambda: igraph_graph(igraph, a).pagerank(damping=DAMPING))
    if name == "web" and (networkx := setup.library("networkx")):
        graph = networkx.from_scipy_sparse_array(a, create_using=networkx.DiGraph)
        limits = {"tol": TOL / a.shape[0], "max_iter": 500}
        job.peer("networkx", lambda: list(networkx.pagerank(graph, alpha=DAMPING, **limits).values()))
    return job


def alone(name: str, setup: Setup) -> Job:
    a = GRAPHS[name]()
    links = mf.graph.Links(a)
    job = Job(partial(error, name), ERROR, limit=2 * TOL)
    job.ours(mf.graph.pagerank, links, DAMPING, tol=TOL)
    job.peer("scipy transposed", power_method, _Transposed(a))
    if igraph := setup.library("igraph"):
        job.peer("igraph", igraph_graph(igraph, a).pagerank, damping=DAMPING)
    return job


class _Transposed:
    """A graph whose transpose has been made before."""

    def __init__(self, a: Any) -> None:
        self.shape, self.indptr, self.T = a.shape, a.indptr, a.T.tocsr()


def many(name: str, count: int, setup: Setup) -> Job:
    """Rankings for `count` personalizations of 20 nodes each; the graph is prepared before."""
    a = GRAPHS[name]()
    n = a.shape[0]
    v = np.zeros((count, n))
    for row in v:
        row[setup.rng.choice(n, 20, replace=False)] = 1 / 20
    links, transposed = mf.graph.Links(a), _Transposed(a)
    right = [mf.graph.pagerank(links, DAMPING, personalization=row, tol=1e-13) for row in v]
    job = Job(
        lambda scores: max(float(np.abs(np.asarray(s) - r).sum()) for s, r in zip(scores, right, strict=True)),
        ERROR + ", the worst",
        limit=2 * TOL,
    )
    job.ours(mf.graph.pagerank_many, links, v, DAMPING, tol=TOL)
    job.peer("scipy loop", lambda: [power_method(transposed, row) for row in v])
    if igraph := setup.library("igraph"):
        graph = igraph_graph(igraph, a)
        job.peer("igraph loop", lambda: [graph.personalized_pagerank(damping=DAMPING, reset=row) for row in v])
    return job


def small(count: int, n: int, setup: Setup) -> Job:
    """Many small dense graphs at once, against the linear system solved by peers."""
    a = (setup.rng.random((count, n, n)) < 0.3).astype(np.float64)
    a[:, :, 0] = 1  # no node without a link: the peers would have to treat those apart

    def system(xp: Any, a: Any) -> Any:
        p = a / a.sum(-1)[..., None]
        return xp.eye(n) - DAMPING * p.swapaxes(-1, -2)

    b = np.full((n, 1), (1 - DAMPING) / n)
    right = np.linalg.solve(system(np, a.astype(np.longdouble)).astype(np.float64), b)[..., 0]
    job = Job(lambda x: float(np.abs(np.asarray(x).reshape(count, n) - right).sum(-1).max()), ERROR, limit=1e-10)
    job.ours(mf.graph.pagerank, a, DAMPING)
    job.peer("numpy", lambda: np.linalg.solve(system(np, a), b))
    if torch := setup.library("torch"):
        ta, tb = torch.from_numpy(a), torch.from_numpy(b)
        eye = torch.eye(n, dtype=torch.float64)
        job.peer("torch", lambda: torch.linalg.solve(eye - DAMPING * (ta / ta.sum(-1)[..., None]).swapaxes(-1, -2), tb))
    return job


CASES = [
    Case(
        "pagerank-rmat",
        "pagerank, R-MAT of 2^20 nodes, 1.6e7 links, from CSR",
        partial(from_csr, "rmat"),
        (Faster(4, "scipy"), Faster(4, "igraph")),
        slow=True,
    ),
    Case(
        "pagerank-web",
        "pagerank, web graph of 325557 nodes, 3.2e6 links, from CSR",
        partial(from_csr, "web"),
        (Faster(4, "scipy"), Faster(4, "igraph"), Faster(30, "networkx")),
        slow=True,
    ),
    Case("pagerank-rmat-prepared", "pagerank, R-MAT of 2^20 nodes, prepared", partial(alone, "rmat"), slow=True),
    Case("pagerank-web-prepared", "pagerank, web graph, prepared", partial(alone, "web"), slow=True),
    Case("pagerank-many-web", "64 personalized rankings, web graph", partial(many, "web", 64), (Faster(10),), True),
    Case(
        "pagerank-many-rmat",
        "64 personalized rankings, R-MAT of 2^17 nodes",
        partial(many, "small rmat", 64),
        (Faster(10),),
        slow=True,
    ),
    Case("pagerank-batch-16", "pagerank, 10000 dense graphs of 16 nodes", partial(small, 10_000, 16)),
    Case("pagerank-batch-64", "pagerank, 500 dense graphs of 64 nodes", partial(small, 500, 64)),
]
