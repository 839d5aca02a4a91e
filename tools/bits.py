"""A hash for each function and shape, to compare builds: compilers, SIMD levels, processors, versions of NumPy.

    python tools/bits.py > one.txt                      with each build (MMLFAST_SIMD chooses the level)
    python tools/bits.py --compare one.txt other.txt    what differs; exit code 1 if more does than LAPACK's

The numbers put in are made by integer arithmetic: no function of the platform's mathematical library takes part.
"""

from __future__ import annotations

import argparse
import hashlib
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

import mmlfast as mf

Array = np.ndarray[Any, Any]

ORDERS = (1, 2, 3, 4, 5, 8, 13, 20, 32)
WIDTHS = (1, 2, 3, 7, 16, 33, 100)

# These go to SciPy's LAPACK, and differ with it: orth of one matrix from 13 columns.
OF_LAPACK = {f"orth {dtype} {n}" for dtype in "df" for n in (13, 20, 32)}


def numbers(seed: int, shape: tuple[int, ...], dtype: Any) -> Array:
    """In [-1, 1), the same on every machine."""
    with np.errstate(over="ignore"):
        i = np.arange(np.prod(shape, dtype=np.int64), dtype=np.uint64) + np.uint64(seed * 2654435761 + 1)
        for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
            i ^= i >> np.uint64(33)
            i *= np.uint64(factor)
        i ^= i >> np.uint64(33)
    return ((i >> np.uint64(11)).astype(np.float64) / 2.0**52 - 1).astype(dtype).reshape(shape)


def of_matrices(dtype: Any, n: int) -> Iterator[tuple[str, Callable[[], Any]]]:
    la = mf.linalg
    a, b = numbers(n, (20, n, n), dtype), numbers(99, (20, n, 2), dtype)
    symmetric = (a + a.mT) / 2
    definite = la.matmul(a, a.mT) + np.eye(n, dtype=dtype) * dtype(n)
    yield "solve", lambda: la.solve(a, b)
    yield "inv", lambda: la.inv(a)
    yield "det", lambda: la.det(a)
    yield "slogdet", lambda: la.slogdet(a)
    yield "lu", lambda: la.lu(a)
    yield "matmul", lambda: la.matmul(a, a)
    yield "matvec", lambda: la.matvec(a, b[..., 0])
    yield "vecdot", lambda: la.vecdot(a, a)
    yield "cholesky", lambda: la.cholesky(definite)
    yield "qr", lambda: la.qr(a)
    yield "eigh", lambda: la.eigh(symmetric)
    yield "svd", lambda: la.svd(a)
    yield "lstsq", lambda: la.lstsq(a, b).x
    yield "pinv", lambda: la.pinv(a)
    yield "gram_schmidt", lambda: la.gram_schmidt(a[0]).basis
    yield "orth", lambda: la.orth(a[0])
    yield "power_iteration", lambda: la.power_iteration(definite[0])[:2]


def of_points(dtype: Any, d: int) -> Iterator[tuple[str, Callable[[], Any]]]:
    geometry, stats = mf.geometry, mf.stats
    x, y = numbers(d, (50, d), dtype), numbers(d + 7, (300, d), dtype)
    yield "cdist", lambda: geometry.cdist(x, y)
    yield "knn", lambda: geometry.knn(x, y, 5)
    yield "norm", lambda: geometry.norm(x)
    yield "angle", lambda: geometry.angle(x, y[:50])
    yield "inner", lambda: geometry.inner(x, y[:50])
    yield "project", lambda: geometry.project(x, y[: max(1, d // 2)].T.copy())
    yield "covariance", lambda: stats.covariance(y)
    yield "correlation", lambda: stats.correlation(y)
    yield "mean", lambda: stats.mean(y)
    yield "variance", lambda: stats.variance(y)
    yield "tall qr", lambda: mf.linalg.qr(numbers(3, (2000, d), dtype))
    yield "pca", lambda: mf.decomposition.PCA(min(d, 2)).fit(y).components_


def of_networks(dtype: Any, _: int) -> Iterator[tuple[str, Callable[[], Any]]]:
    x, y = numbers(1, (64, 5), dtype), numbers(2, (64, 1), dtype)

    def network() -> Array:
        net = mf.neural_network.Network((5, 9, 1), seed=1, dtype=dtype)
        net.fit(x, y, epochs=20, batch_size=16, learning_rate=0.1)
        return net.forward(x)

    yield "network", network


def of_functions(dtype: Any, n: int) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Derivatives and fits; float64 has its own of each."""
    x = numbers(n, (30, n), np.float64)
    times = np.arange(1.0, 21)
    heights = 2 * numbers(n, (12, 20), np.float64) + times

    def hill(v: Any) -> Any:
        return np.sum(np.tanh(v) ** 2) + np.prod(np.exp(-v * v)) + np.log1p(np.sum(v * v))

    def line(t: Any, a: Any, b: Any) -> Any:
        return a * t + b / (1 + t)

    yield "grad", lambda: mf.autodiff.grad(hill).batch(x)
    yield "hessian", lambda: mf.autodiff.hessian(hill).batch(x)
    yield "linear_fit", lambda: mf.linear_model.linear_fit(times, heights).coefficients
    yield "curve_fit_many", lambda: mf.optimize.curve_fit_many(line, times, heights, [1.0, 1.0]).params


def of_graphs(dtype: Any, n: int) -> Iterator[tuple[str, Callable[[], Any]]]:
    k = (numbers(5, (4 * n,), np.float64) * n / 2 + n / 2).astype(np.int64) % n
    links = scipy.sparse.csr_array((np.ones(2 * n), (k[: 2 * n], k[2 * n :])), shape=(n, n))
    yield "pagerank", lambda: mf.graph.pagerank(links)
    yield "pagerank_many", lambda: mf.graph.pagerank_many(links, np.eye(n)[:3])


def digest(result: Any) -> str:
    parts = result if isinstance(result, (tuple, list)) else (result,)
    total = hashlib.sha256()
    for part in map(np.asarray, parts):
        # The bits of a NaN are nobody's promise.
        whole = np.where(np.isnan(part), np.array(0, part.dtype), part) if part.dtype.kind in "fc" else part
        total.update(np.ascontiguousarray(whole).tobytes())
    return total.hexdigest()[:12]


def all_digests() -> Iterator[tuple[str, str]]:
    jobs = [(of_matrices, dtype, n) for dtype in (np.float64, np.float32) for n in ORDERS]
    jobs += [(of_points, dtype, d) for dtype in (np.float64, np.float32) for d in WIDTHS]
    jobs += [(of_networks, np.float64, 5), (of_networks, np.float32, 5), (of_graphs, np.float64, 1000)]
    jobs += [(of_functions, np.float64, n) for n in (1, 2, 5, 9)]
    for functions, dtype, size in jobs:
        for name, call in functions(dtype, size):
            yield f"{name} {np.dtype(dtype).char} {size}", digest(call())


def compare(one: Path, other: Path) -> int:
    first, second = (dict(line.rsplit("\t", 1) for line in p.read_text().splitlines()) for p in (one, other))
    missing = sorted(set(first) ^ set(second))
    different = [name for name in first if name in second and first[name] != second[name]]
    own = [name for name in different if name not in OF_LAPACK]
    print(f"{len(first) - len(different)} of {len(first)} equal; of LAPACK {len(different) - len(own)}; others: {own}")
    for name in missing:
        print(f"only in one of them: {name}")
    return int(bool(own or missing))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--compare", nargs=2, type=Path, metavar="FILE")
    asked = parser.parse_args()
    if asked.compare:
        return compare(*asked.compare)
    warnings.simplefilter("ignore")
    for name, value in all_digests():
        print(f"{name}\t{value}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
