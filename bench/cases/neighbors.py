"""Nearest neighbours, exactly: many queries, few queries, many neighbours, images, and points far from the origin."""

from __future__ import annotations

import importlib
from functools import partial
from typing import Any

import numpy as np

import mmlfast as mf
from bench.harness import Case, Faster, Job, Setup

Array = np.ndarray[Any, Any]


def lost(x: Array, y: Array, k: int, answer: Any) -> float:
    """The share of neighbours that are not among the k nearest by float64 differences; of up to 200 queries."""
    some = slice(None, None, max(1, len(x) // 200))
    queries, found = x[some].astype(np.float64), np.asarray(answer[1])[some]
    wide = y.astype(np.float64)
    wrong = 0
    for query, indices in zip(queries, found, strict=True):
        squares = ((wide - query) ** 2).sum(axis=1)
        kth = np.partition(squares, k - 1)[k - 1]
        wrong += int((squares[indices] > kth * (1 + 1e-12)).sum()) + k - len(set(indices.tolist()))
    return wrong / found.size


def search(x: Array, y: Array, k: int, setup: Setup) -> Job:
    job = Job(partial(lost, x, y, k), "share of neighbours lost", dtype=x.dtype, limit=0.0)
    job.flops = 2.0 * len(x) * len(y) * x.shape[1]
    job.ours(mf.geometry.knn, x, y, k)
    if setup.library("sklearn"):
        from sklearn.neighbors import NearestNeighbors

        job.peer("sklearn brute", NearestNeighbors(n_neighbors=k, algorithm="brute").fit(y).kneighbors, x)
    if setup.library("sklearnex"):
        accelerated = importlib.import_module("sklearnex.neighbors")
        job.peer("sklearnex brute", accelerated.NearestNeighbors(n_neighbors=k, algorithm="brute").fit(y).kneighbors, x)
    if (faiss := setup.library("faiss")) and x.dtype == np.float32:
        faiss.omp_set_num_threads(setup.threads)
        index = faiss.IndexFlatL2(x.shape[1])
        index.add(y)
        job.peer("faiss flat", index.search, x, k)
    return job


def normal(n: int, m: int, d: int, k: int, dtype: str, setup: Setup) -> Job:
    x, y = (setup.rng.standard_normal((rows, d)).astype(dtype) for rows in (n, m))
    return search(x, y, k, setup)


def in_space(n: int, k: int, setup: Setup) -> Job:
    """Neighbours in a cloud of points in space; making the tree counts."""
    points = setup.rng.random((n, 3))
    job = Job(partial(lost, points, points, k), "share of neighbours lost", limit=0.0)
    job.ours(mf.geometry.knn, points, points, k)
    spatial = importlib.import_module("scipy.spatial")
    job.peer("scipy cKDTree", lambda p: spatial.cKDTree(p).query(p, k=k, workers=setup.threads), points)
    if setup.library("sklearn"):
        from sklearn.neighbors import NearestNeighbors

        tree = NearestNeighbors(n_neighbors=k, algorithm="kd_tree", n_jobs=setup.threads)
        job.peer("sklearn kd_tree", lambda p: tree.fit(p).kneighbors(p), points)
    return job


def images(n: int, m: int, k: int, setup: Setup) -> Job:
    """Like handwritten digits: 784 numbers from 0 to 255, most of them 0, around a few hundred prototypes."""
    prototypes = np.where(setup.rng.random((300, 784)) < 0.2, setup.rng.integers(0, 256, (300, 784)), 0)
    x, y = (
        np.clip(prototypes[setup.rng.integers(0, 300, rows)] * setup.rng.uniform(0.5, 1.5, (rows, 784)), 0, 255)
        .round()
        .astype(np.float32)
        for rows in (n, m)
    )
    return search(x, y, k, setup)


def far(setup: Setup) -> Job:
    points = setup.rng.standard_normal((10_000, 3)) + 1e8
    return search(points, points, 5, setup)


CASES = [
    Case(
        "knn-2e4x64",
        "10 nearest of 20000 points of 64-D, 20000 queries, float32",
        partial(normal, 20_000, 20_000, 64, 10, "float32"),
        (Faster(3, "sklearn"), Faster(2)),
    ),
    Case("knn-2e4x64-k100", "the same, 100 nearest", partial(normal, 20_000, 20_000, 64, 100, "float32"), slow=True),
    Case(
        "knn-float64",
        "10 nearest of 10000 points of 64-D, 10000 queries, float64",
        partial(normal, 10_000, 10_000, 64, 10, "float64"),
    ),
    Case("knn-images", "5 nearest of 20000 images of 784, 2000 queries", partial(images, 2000, 20_000, 5)),
    Case("knn-few", "10 nearest of 200000 points of 64-D, 4 queries", partial(normal, 4, 200_000, 64, 10, "float32")),
    Case("knn-tiny", "5 nearest of 200 points of 8-D, one query", partial(normal, 1, 200, 8, 5, "float32")),
    Case(
        "knn-space",
        "10 nearest of 100000 points in space, of themselves",
        partial(in_space, 100_000, 10),
        (Faster(5, "scipy"),),
    ),
    Case("knn-space-1e6", "the same of a million", partial(in_space, 1_000_000, 10), (Faster(5, "scipy"),), slow=True),
    Case("knn-far", "5 nearest of 10000 points of 3-D at 1e8, of themselves", far),
]
