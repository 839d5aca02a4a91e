"""The dominant eigenpairs of a large symmetric operator by a block Krylov method with thick restarts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]


class Eigenpairs(NamedTuple):
    """Eigenvalues in decreasing order, eigenvectors in columns, and the norms of their residuals."""

    values: Array
    vectors: Array
    residuals: Array
    products: int  # how often the operator was applied to a block
    converged: bool


def dominant_eigenpairs(
    apply: Callable[[Array], Array], size: int, k: int, *, tol: float, block: int, seed: Any, max_products: int
) -> Eigenpairs:
    """The `k` largest eigenvalues of a symmetric positive semidefinite operator.

    Parameters
    ----------
    apply : callable
        Gives the product with an array of shape (size, b).
    size, k : int
        Order of the operator, number of pairs.
    tol : float
        Each residual norm is to be at most `tol` times the largest eigenvalue.
    block : int
        Columns of a block: more cost more work, fewer more readings of the data.
    seed : int or numpy Generator
        For the first block.
    max_products : int
        How often the operator may be applied.

    Returns
    -------
    Eigenpairs

    Notes
    -----
    The basis is orthogonalized twice against all of itself, so no eigenvalue comes twice. When it is full, the Ritz
    vectors that matter are kept [1]_. A residual bounds the error of its eigenvalue.

    A block finds at most as many eigenvectors of one eigenvalue as it has columns. Where that many equal ones were
    found, and fewer columns than pairs, more of them are sought in what is left of the operator.

    References
    ----------
    .. [1] C. Musco and C. Musco, Randomized block Krylov methods for stronger and faster approximate singular value
       decomposition, NeurIPS 2015; K. Wu and H. Simon, Thick-restart Lanczos method for large symmetric eigenvalue
       problems, SIAM J. Matrix Anal. Appl. 22 (2000).
    """
    rng = np.random.default_rng(seed)
    block = min(block, size)
    found = _pairs(apply, size, k, k, tol, block, rng, max_products)
    while found.converged and _may_have_more(found.values, block) and k + block <= size:
        known = found.vectors
        left = max_products - found.products
        if left < 1:
            return found._replace(converged=False)

        def rest(x: Array, known: Array = known) -> Array:
            for _ in range(2):
                x = x - known @ (known.T @ x)
            y = apply(x)
            return np.asarray(y - known @ (known.T @ y))

        # Looked for is the largest one that is left; those equal to it converge with it, and what did not comes next.
        more = _pairs(rest, size, 1, block, tol, block, rng, left)
        products = found.products + more.products
        larger = more.values > found.values[-1] + max(10 * tol, 1e-12) * abs(found.values[0])
        if not larger[0] or not more.converged:
            return found._replace(products=products, converged=more.converged)
        larger &= more.residuals <= max(float(more.residuals[0]), tol * abs(found.values[0]))
        values = np.concatenate([found.values, more.values[larger]])
        best = np.argsort(-values, kind="stable")[:k]
        found = Eigenpairs(
            values[best],
            np.linalg.qr(np.concatenate([known, more.vectors[:, larger]], axis=1)[:, best])[0],
            np.concatenate([found.residuals, more.residuals[larger]])[best],
            products,
            True,
        )
    return found


def _may_have_more(values: Array, block: int) -> bool:
    """Whether as many of the values are equal as a block has columns, and there are more than that."""
    if len(values) <= block:
        return False
    return bool((values[: 1 - block or None] - values[block - 1 :] <= 1e-8 * abs(values[0])).any())


def _pairs(
    apply: Callable[[Array], Array],
    size: int,
    k: int,
    n_results: int,
    tol: float,
    block: int,
    rng: np.random.Generator,
    max_products: int,
) -> Eigenpairs:
    """The k largest eigenvalues from one random block, and up to `n_results` pairs whether they converged or not."""
    capacity = min(size, max(3 * k, k + 8 * block, 320) + block)
    basis = np.empty((size, capacity), order="F")
    projected = np.zeros((capacity, capacity))
    fresh = np.linalg.qr(rng.standard_normal((size, block)))[0]
    kept, products = 0, 0
    while True:
        filled = kept + fresh.shape[1]
        basis[:, kept:filled] = fresh
        image = apply(fresh)
        products += 1
        column, rest = orthogonalized(basis[:, :filled], image)
        projected[:filled, kept:filled] = column
        projected[kept:filled, :filled] = column.T
        values, ritz = np.linalg.eigh(projected[:filled, :filled])
        values, ritz = values[::-1], ritz[:, ::-1]
        fresh, coupling = orthonormal(rest, basis[:, :filled], rng)
        residuals = np.linalg.norm(coupling @ ritz[kept:filled], axis=0)[:n_results]
        done = filled >= k and bool((residuals[:k] <= tol * abs(values[0])).all())
        if done or products >= max_products or fresh.shape[1] == 0 or filled == size:
            vectors = basis[:, :filled] @ ritz[:, :n_results]
            done = done or fresh.shape[1] == 0 or filled == size
            return Eigenpairs(values[:n_results], vectors, residuals, products, done)
        kept = filled
        if filled + fresh.shape[1] > capacity:
            kept = min(k + block, filled - 1)
            basis[:, :kept] = basis[:, :filled] @ ritz[:, :kept]
            projected[:] = 0
            projected[range(kept), range(kept)] = values[:kept]


def orthogonalized(basis: Array, image: Array) -> tuple[Array, Array]:
    """Coordinates of the image in the basis, and what is left of it (Gram-Schmidt, twice)."""
    first = basis.T @ image
    rest = image - basis @ first
    second = basis.T @ rest
    return first + second, rest - basis @ second


def orthonormal(rest: Array, basis: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Orthonormal columns, orthogonal to the basis, and the matrix that turns them into `rest`."""
    free = len(basis) - basis.shape[1]
    if free < rest.shape[1]:
        q = np.linalg.svd(rest, full_matrices=False)[0][:, :free]
        return q, q.T @ rest
    q, r = np.linalg.qr(rest)
    # Directions that the basis has used up would come back as noise: orthogonalize once more, and take new ones for
    # those that are nothing but noise.
    lost = np.abs(np.diagonal(r)) <= 1e-14 * np.abs(r).max(initial=0)
    q[:, lost] = rng.standard_normal((len(q), int(lost.sum())))
    for _ in range(2):
        q -= basis @ (basis.T @ q)
        q = np.linalg.qr(q)[0]
    return q, q.T @ rest
