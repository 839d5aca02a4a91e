"""Intake of graphs: from CSR, or from arrays of sources and targets, to what a ranking works on."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np
from scipy import sparse

import mmlfast as mf
from bench.harness import Case, Faster, Job, Setup

Array = np.ndarray[Any, Any]


@cache
def rmat(scale: int, per_node: int, seed: int = 7) -> Any:
    """2^scale nodes and per_node links for each, a = 0.57, b = c = 0.19 [Graph 500]; doubles are one. CSR of ones."""
    rng = np.random.default_rng(seed)
    n, m = 1 << scale, per_node << scale
    source, target = np.zeros(m, np.int32), np.zeros(m, np.int32)
    for _ in range(scale):
        u = rng.random(m, np.float32)
        source = 2 * source + (u >= 0.76)
        target = 2 * target + (((u >= 0.57) & (u < 0.76)) | (u >= 0.95))
    shuffled = rng.permutation(n).astype(np.int32)  # or the numbers of the nodes would tell their degrees
    a = sparse.coo_array((np.ones(m), (shuffled[source], shuffled[target])), shape=(n, n)).tocsr()
    a.data[:] = 1
    return a


def weighted(a: Any, seed: int = 8) -> Any:
    """The same links with weights from 1/2 to 2."""
    return sparse.csr_array((np.random.default_rng(seed).uniform(0.5, 2, a.nnz), a.indices, a.indptr), shape=a.shape)


def with_igraph(igraph: Any, a: Any) -> Any:
    """The fastest way from CSR that igraph has: edges as an array of pairs."""
    pairs = np.empty((a.nnz, 2), np.int64)
    pairs[:, 0] = np.repeat(np.arange(a.shape[0]), np.diff(a.indptr))
    pairs[:, 1] = a.indices
    return igraph.Graph(n=a.shape[0], edges=pairs, directed=True)


def walk_of(a: Any) -> Any:
    """What a power iteration by SciPy works on: the links the other way round, divided by how many leave each node."""
    inverse = 1 / np.maximum(np.asarray(a.sum(axis=1)).ravel(), 1e-300)
    return a.T.tocsr(), inverse


def intake(make: Any, setup: Setup) -> Job:
    a = make()
    job = Job(bytes=4.0 * a.nnz * 2)
    job.ours(mf.graph.Links, a)
    job.peer("scipy transpose", walk_of, a)
    if igraph := setup.library("igraph"):
        job.peer("igraph", with_igraph, igraph, a)
    return job


def from_edges(scale: int, setup: Setup) -> Job:
    a = rmat(scale, 16).tocoo()
    order = setup.rng.permutation(a.nnz)
    source, target = a.row[order].astype(np.int64), a.col[order].astype(np.int64)
    n = a.shape[0]
    job = Job()
    job.ours(mf.graph.Links.from_edges, source, target, n_nodes=n)
    job.peer("scipy", lambda: sparse.coo_array((np.ones(source.size), (target, source)), shape=(n, n)).tocsr())
    if igraph := setup.library("igraph"):
        job.peer("igraph", lambda: igraph.Graph(n=n, edges=np.stack([source, target], axis=1), directed=True))
    return job


CASES = [
    Case("links-rmat", "intake of R-MAT, 2^20 nodes x 16 links", partial(intake, partial(rmat, 20, 16)), slow=True),
    Case(
        "links-rmat-weighted",
        "intake of R-MAT with weights, 2^18 nodes x 16 links",
        partial(intake, lambda: weighted(rmat(18, 16))),
        (Faster(1),),
    ),
    Case("links-edges", "intake of links in any order, 2^18 nodes x 16", partial(from_edges, 18), (Faster(1),)),
]
