"""Graphs to rank, and answers by other ways: elimination and power iteration in extended precision, and 50 digits."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import scipy.linalg
from scipy import sparse

Array = np.ndarray[Any, Any]


# ---- graphs ----


def rmat(scale: int, links: int, rng: np.random.Generator) -> Any:
    """A graph of 2^scale nodes with a few hubs, as webs have: each link falls into one quarter after the other."""
    source, target = np.zeros(links, np.int64), np.zeros(links, np.int64)
    for _ in range(scale):
        u = rng.random(links)
        source = 2 * source + (u >= 0.76)
        target = 2 * target + (((u >= 0.57) & (u < 0.76)) | (u >= 0.95))
    a = sparse.coo_array((np.ones(links), (source, target)), shape=(1 << scale,) * 2).tocsr()
    a.data[:] = 1
    return a


def ring(n: int) -> Any:
    return sparse.csr_array((np.ones(n), (np.arange(n), (np.arange(n) + 1) % n)), shape=(n, n))


def random(n: int, per_node: float, rng: np.random.Generator) -> Any:
    m = int(n * per_node)
    a = sparse.coo_array((np.ones(m), rng.integers(0, n, (2, m))), shape=(n, n)).tocsr()
    a.data[:] = 1
    return a


def graphs() -> dict[str, Any]:
    """Of every kind, by name; up to some hundred nodes."""
    rng = np.random.default_rng(20_240_611)
    spread = random(200, 6, rng)
    spread.data = 10.0 ** rng.uniform(-300, 300, spread.nnz)
    tame = rmat(8, 2500, rng)
    tame.data = rng.uniform(0.1, 10, tame.nnz)
    zeros = random(200, 5, rng)
    zeros.data[rng.random(zeros.nnz) < 0.4] = 0
    zeros.data[zeros.indptr[7] : zeros.indptr[9]] = 0
    star = sparse.csr_array((np.ones(160), (np.arange(1, 161), np.zeros(160, int))), shape=(161, 161))
    chain = sparse.csr_array((np.ones(149), (np.arange(149), np.arange(1, 150))), shape=(150, 150))
    multiple = sparse.csr_array(
        (np.ones(3000), rng.integers(0, 150, 3000), np.sort(np.r_[0, rng.integers(0, 3001, 149), 3000])),
        shape=(150, 150),
    )
    groups = sparse.block_diag([random(n, 4, rng) + ring(n) for n in (1, 2, 40, 120)], format="lil")
    groups[100, 5] = 1
    two_sides = sparse.block_array([[None, random(120, 4, rng)], [random(120, 4, rng), None]])
    return {
        "random": random(200, 8, rng),
        "thin": random(250, 1, rng),
        "rmat": rmat(9, 5000, rng),
        "weighted": tame,
        "spread": spread,
        "ring": ring(120),
        "star in": star,
        "star out": star.T.tocsr(),
        "both stars": star + star.T,
        "chain": chain,
        "loops": random(90, 3, rng) + sparse.eye_array(90),
        "only loops": sparse.eye_array(70).tocsr(),
        "groups": groups.tocsr(),
        "two sides": two_sides.tocsr(),
        "isolated": sparse.block_diag(
            [sparse.csr_array((80, 80)), random(50, 3, rng), sparse.csr_array((30, 30))]
        ).tocsr(),
        "no links": sparse.csr_array((75, 75)),
        "all to all": sparse.csr_array(np.ones((66, 66))),
        "multiple": multiple,
        "stored zeros": zeros,
        "one node": sparse.csr_array((1, 1)),
        "one loop": sparse.csr_array([[3.0]]),
        "two nodes": sparse.csr_array([[0.0, 1], [0, 0]]),
        "dense weights": sparse.csr_array(rng.random((130, 130))),
    }


def real_graph(folder: Path, name: str) -> Any:
    """A graph of the data sets as CSR; friendships go both ways."""
    if name == "cnr-2000":
        z = np.load(folder / "graphs" / "cnr-2000.npz")
        n = z["indptr"].size - 1
        return sparse.csr_array((np.ones(z["indices"].size), z["indices"], z["indptr"]), shape=(n, n))
    with gzip.open(folder / "graphs" / f"{name}.txt.gz", "rt") as lines:
        e = np.array([line.split()[:2] for line in lines if not line.startswith("#")], dtype=np.int64)
    names, e = np.unique(e, return_inverse=True)
    source, target = e.reshape(-1, 2).T
    if name == "facebook_combined":
        source, target = np.r_[source, target], np.r_[target, source]
    return sparse.csr_array((np.ones(source.size), (source, target)), shape=(names.size,) * 2)


# ---- answers ----


def distribution(x: Any, n: int) -> Array:
    x = np.full(n, np.longdouble(1)) if x is None else np.asarray(x, np.longdouble)
    return np.asarray(x / x.sum())


def walk(links: Any, dangling: Array) -> Array:
    """The matrix of the walk in extended precision."""
    a = (links.toarray() if sparse.issparse(links) else np.asarray(links)).astype(np.longdouble)
    total = a.sum(axis=1, keepdims=True)
    return np.asarray(np.where(total > 0, a / np.where(total > 0, total, 1), dangling))


def exact(links: Any, damping: float, v: Any = None, w: Any = None) -> Array:
    """By elimination in float64, refined with residuals in extended precision: good to about 1e-18 / (1 - damping)."""
    n = links.shape[0]
    v = distribution(v, n)
    d = np.longdouble(damping)
    system = np.eye(n) - d * walk(links, v if w is None else distribution(w, n)).T
    lu = scipy.linalg.lu_factor(system.astype(np.float64))
    x = np.zeros(n, np.longdouble)
    for _ in range(3):
        x = x + scipy.linalg.lu_solve(lu, ((1 - d) * v - system @ x).astype(np.float64))
    return np.asarray(x / x.sum())


def powers(links: Any, damping: float, v: Any = None, w: Any = None, tol: float = 1e-15) -> Array:
    """By power iteration in extended precision, for graphs too large for `exact`."""
    n = links.shape[0]
    v = distribution(v, n)
    w = v if w is None else distribution(w, n)
    a = links.tocoo()
    weight = a.data.astype(np.longdouble)
    total = np.zeros(n, np.longdouble)
    np.add.at(total, a.row, weight)
    keep = total[a.row] > 0
    row, column, weight = a.row[keep], a.col[keep], (weight[keep] / total[a.row[keep]])
    order = np.argsort(column, kind="stable")
    row, weight = row[order], weight[order]
    ends = np.cumsum(np.bincount(column, minlength=n))
    outside, x = total == 0, v
    while True:
        sums = np.concatenate([[np.longdouble(0)], np.cumsum(weight * x[row])])[np.concatenate([[0], ends])]
        new = damping * (np.diff(sums) + x[outside].sum() * w) + (1 - np.longdouble(damping)) * v
        new /= new.sum()
        if np.abs(new - x).sum() <= tol * (1 - damping):
            return np.asarray(new)
        x = new


def fifty_digits(a: Array, damping: float, v: Array, w: Array) -> list[Any]:
    """By elimination in 50 digits; v and w in any scale."""
    with mpmath.workdps(50):
        n, d = len(a), mpmath.mpf(damping)
        v, w = ([mpmath.mpf(float(t)) / mpmath.fsum(map(float, x)) for t in x] for x in (v, w))
        system = mpmath.eye(n)
        for i in range(n):
            total = mpmath.fsum(map(float, a[i]))
            for j in range(n):
                system[j, i] -= d * (mpmath.mpf(float(a[i, j])) / total if total > 0 else w[j])
        return list(mpmath.lu_solve(system, mpmath.matrix([(1 - d) * t for t in v])))


def distance(scores: Array, right: Any) -> float:
    """The sum of the absolute errors."""
    if isinstance(right, list):
        return float(mpmath.fsum(abs(mpmath.mpf(float(x)) - y) for x, y in zip(scores, right, strict=True)))
    return float(np.abs(scores.astype(np.longdouble) - right).sum())
