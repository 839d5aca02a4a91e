"""Principal components of rows in memory, on disk or in a stream: variances, directions, and how they were found.

From the covariance matrix for tall tables, from the Gram matrix of the rows for wide ones. Both matrices lose what is
below ``eps`` of the largest variance; if a component that was asked for is so small that it would be less accurate
than `TOLERANCE`, the table is read once more and the small components are found anew (`_small_components`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg

from mmlfast import _core
from mmlfast._common.row_blocks import spans
from mmlfast.decomposition._small_components import ExactProduct, graded_singular_values
from mmlfast.linalg._eigh import eigh
from mmlfast.linalg._qr import qr
from mmlfast.linalg._rfactor import RFactor
from mmlfast.stats._covariance import mean as mean_of_rows

Array = np.ndarray[Any, Any]
Refine = Callable[[Array, Array], tuple[Array, Array]]  # of the shift and the directions, see `refined`

EPS = float(np.finfo(np.float64).eps)
# The relative error of a variance that is accepted, by the size of a number. The matrix and its eigenvalues are wrong
# by up to ERROR of the largest eigenvalue, as measured over the tables of the tests.
TOLERANCE = {8: 1e-12, 4: 2e-8}
ERROR = 4 * EPS
MOST_ALONE = 1200  # rows of a matrix whose eigenvectors one BLAS thread finds as fast as two (measured)
R_FACTOR = ", small components from the R factor"
NOTHING = (8 * EPS) ** 2  # times the largest variance: what rounding of the rows alone looks like
SMALL_REST = 1e-10  # times the largest variance: from here on the mean of those left out is found by a second reading


class Spectrum(NamedTuple):
    """Components in order of decreasing variance."""

    values: Array  # variances, divisor n - 1
    vectors: Array  # the directions, in rows
    total: float  # sum of all variances
    noise: float | None  # mean of the variances that are not among `values`, if they are known
    solver: str
    readings: int  # of the rows
    variance_error: float = 0.0  # how wrong a variance may be, relative to the largest
    exponent: int = 0  # the variances here are those of the rows times 4^-exponent, so that they are ordinary numbers


def ordinary(variance: float) -> int:
    """The exponent for a largest variance: 0 as long as it, and what is computed from it, is far from the limits."""
    exponent = int(np.frexp(variance)[1]) if np.isfinite(variance) else 0
    return 0 if abs(exponent) <= 200 else exponent // 2


def by_covariance(n: int, mean: Array, products: Array, k: int, refine: Refine | None, itemsize: int) -> Spectrum:
    """The first `k` components of `n` rows, from the sums of products about their mean.

    `refine` reads the rows again if accuracy needs it: `refined` of the rows. None: there is no second reading.
    """
    c = products / max(n - 1, 1)
    finite = np.isfinite(np.diagonal(c))
    if not finite.all():
        raise ValueError(f"Input X contains NaN or infinity, or overflows float64, in column {int(np.argmin(finite))}")
    rank = min(n - 1, c.shape[0])
    exponent = ordinary(float(np.diagonal(c).max(initial=0)))
    c = np.ldexp(c, -2 * exponent) if exponent else c
    values, vectors = top_eigenpairs(c, k)
    total = float(np.trace(c))
    small = too_small(values, min(k, rank), itemsize)
    if refine is not None and rest_is_small(values, total, min(k, rank), rank):
        values, vectors = values_of_all(c, values, vectors)
        small = np.arange(small[0] if small.size else k, len(values))
    solver, readings = "covariance", 1
    if refine is not None and small.size:
        solver, readings = solver + R_FACTOR, 2
        sigma, rotation = refine(mean, vectors[:, small] * 2.0**-exponent)
        values[small] = sigma**2 / (n - 1)
        vectors[:, small] = vectors[:, small] @ rotation
        values, vectors = sorted_pairs(values, vectors)
    values[rank:] = 0
    values = np.maximum(values, 0)
    noise = float(values[k:].mean()) if len(values) == len(c) > k else None
    variance_error = ERROR if refine is None else 0.0
    rows = np.ascontiguousarray(vectors[:, :k].T)
    return Spectrum(values[:k], rows, total, noise, solver, readings, variance_error, exponent)


def rest_is_small(values: Array, total: float, k: int, rank: int) -> bool:
    """Whether what the variances behind the first `k` add up to is so little that rounding hides it."""
    rest = total - float(values[:k].sum())
    return bool(k < rank and len(values) and rest < SMALL_REST * values[0] * (rank - k))


def values_of_all(c: Array, values: Array, vectors: Array) -> tuple[Array, Array]:
    """All eigenpairs, if so far only the largest are known."""
    if len(values) == len(c):
        return values, vectors
    values, vectors = eigh(c)
    return values[::-1].copy(), vectors[:, ::-1].copy()


def by_gram(x: Any, mean: Array, k: int, itemsize: int) -> Spectrum:
    """The first `k` components of a wide table: from the products of its centred rows, column block by block."""
    n = x.shape[0]
    gram = np.zeros((n, n))
    with np.errstate(over="ignore", invalid="ignore"):
        for part, centre in column_blocks(x, mean):
            z = part - centre
            gram += z.T @ z
    if not np.isfinite(gram).all():
        raise ValueError("Input X overflows float64")
    gram -= gram.mean(axis=0)  # what rounding has left of the mean
    gram -= gram.mean(axis=1, keepdims=True)
    gram = (gram + gram.T) / 2
    exponent = ordinary(float(np.diagonal(gram).max(initial=0)))
    gram, scale = (np.ldexp(gram, -2 * exponent), 2.0**-exponent) if exponent else (gram, 1.0)
    values, left = top_eigenpairs(gram, k)
    total = float(np.trace(gram)) / (n - 1)
    small = too_small(values, min(k, n - 1), itemsize)
    if rest_is_small(values, float(np.trace(gram)), min(k, n - 1), n - 1):
        values, left = values_of_all(gram, values, left)
        small = np.arange(small[0] if small.size else k, n - 1)
    small = small[small < n - 1]
    values = np.maximum(values, 0)
    sigma = np.sqrt(values)
    large = np.arange(min(k, n - 1) if small.size == 0 else small[0])
    columns = [projected(x, mean, left[:, large] * scale / np.where(sigma[large] > 0, sigma[large], 1))]
    solver, readings = "gram", 3  # for the means, the products, and the components
    if small.size:
        solver, readings = solver + R_FACTOR, 4
        # Orthogonal to the vector of ones, which belongs to the eigenvalue 0: rounding of the means drops out.
        directions = qr(left[:, small] - left[:, small].mean(axis=0)).Q
        scores = projected(x, mean, directions * scale, exact=True)
        sigma[small], rotation = graded_singular_values(RFactor().update(scores).r)
        columns.append(scores @ (rotation / np.where(sigma[small] > 0, sigma[small], 1)))
    rest = sigma[k : n - 1] ** 2
    noise = float(rest.sum()) / (n - k) / (n - 1) if len(values) == n > k else None
    sigma, vectors = sorted_pairs(sigma[: large.size + small.size], np.concatenate(columns, axis=1))
    sigma, vectors = np.concatenate([sigma, np.zeros(max(k - sigma.size, 0))])[:k], vectors[:, :k]
    sigma[sigma <= EPS * sigma.max(initial=0)] = 0
    rows = completed(vectors, sigma)
    return Spectrum(sigma**2 / (n - 1), rows, total, noise, solver, readings, exponent=exponent)


def projected(x: Any, mean: Array, directions: Array, exact: bool = False) -> Array:
    """(x - mean)' times the directions."""
    product = ExactProduct(directions) if exact else None
    parts = [product(part, c) if product else (part - c) @ directions for part, c in column_blocks(x, mean)]
    return np.concatenate(parts) if parts else np.empty((0, directions.shape[1]))


def completed(vectors: Array, sigma: Array) -> Array:
    """Orthonormal rows along the columns of `vectors`, or where sigma is 0 any that complete the others."""
    good = vectors[:, : np.count_nonzero(sigma)]
    if good.shape[1] and sigma[good.shape[1] - 1] < 1e-6 * sigma[0]:  # rounding of the large ones shows in it
        q, r = qr(good)
        good = q * np.where(np.diagonal(r) < 0, -1, 1)
    else:  # orthonormal but for rounding: a step of Newton's iteration for the nearest orthonormal matrix
        good = good @ (1.5 * np.eye(good.shape[1]) - 0.5 * (good.T @ good))
    lost = len(sigma) - good.shape[1]
    if lost:
        others = np.random.default_rng(0).standard_normal((len(good), lost))
        for _ in range(2):
            others = qr(others - good @ (good.T @ others)).Q
        good = np.concatenate([good, others], axis=1)
    return np.ascontiguousarray(good.T)


def column_blocks(x: Any, mean: Array) -> Iterator[tuple[Array, Array]]:
    """The transposed blocks of columns of a table, in float64, and their means in a column."""
    columns = x.tocsc() if hasattr(x, "tocsc") else x
    for start, stop in spans(x.shape[::-1], 8, 1 << 21):
        part = columns[:, start:stop]
        part = part.toarray() if hasattr(part, "toarray") else part
        yield part.T.astype(np.float64), mean[start:stop, None]


def column_means(x: Any) -> Array:
    """In float64, of a table or sparse matrix with few rows."""
    none = np.zeros(x.shape[1])
    return np.concatenate([none[:0], *(mean_of_rows(part.T) for part, _ in column_blocks(x, none))])


def top_eigenpairs(c: Array, k: int) -> tuple[Array, Array]:
    """At least the `k` largest eigenvalues of a symmetric matrix, decreasing, and their eigenvectors in columns."""
    d, wanted = len(c), k + 8
    if d > 200 and wanted < d // 4:
        # The reduction to tridiagonal form waits for memory: a second BLAS thread makes it no faster, and waits for its
        # turn on a busy machine a hundred times as long.
        with _core.SingleBlasThread() if d <= MOST_ALONE else nullcontext():
            values, vectors = scipy.linalg.eigh(c, subset_by_index=(d - wanted, d - 1), check_finite=False)
    else:
        values, vectors = eigh(c)
    return values[::-1].copy(), vectors[:, ::-1].copy()


def too_small(values: Array, k: int, itemsize: int) -> Array:
    """Indices of the components among the first `k` that the matrix has not given to `TOLERANCE`.

    With those that follow so closely that rounding may have mixed them with the last one.
    """
    largest = values[0] if len(values) else 0.0
    wrong = np.flatnonzero(is_inaccurate(values[:k], largest, itemsize))
    if wrong.size == 0:
        return wrong
    near = values > values[k - 1] - 1e3 * ERROR * largest
    return np.arange(wrong[0], max(k, int(near.sum())))


def is_inaccurate(values: Array, largest: Any, itemsize: int) -> Array:
    """Whether rounding of the matrix, which is relative to its largest eigenvalue, may be above `TOLERANCE`."""
    return np.asarray((values * TOLERANCE[itemsize] < ERROR * largest) & (largest > 0))


def signed(components: Array) -> Array:
    """The components with the entry of largest magnitude positive in each: scikit-learn's convention."""
    if components.size == 0:
        return components
    largest = np.take_along_axis(components, np.abs(components).argmax(axis=-1)[..., None], axis=-1)
    return components * np.where(largest < 0, -1, 1)


def sorted_pairs(values: Array, vectors: Array) -> tuple[Array, Array]:
    """Decreasing values, and the columns that belong to them."""
    order = np.argsort(-values, kind="stable")
    return values[order], vectors[:, order]
