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

    References
    ----------
    .. [1] C. Musco and C. Musco, Randomized block Krylov methods for stronger and faster approximate singular value
       decomposition, NeurIPS 2015; K. Wu and H. Simon, Thick-restart Lanczos method for large symmetric eigenvalue
       problems, SIAM J. Matrix Anal. Appl. 22 (2000).
    """
    rng = np.random.default_rng(seed)
    block = min(block, size)
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
        residuals = np.linalg.norm(coupling @ ritz[kept:filled], axis=0)[:k]
        done = filled >= k and bool((residuals <= tol * abs(values[0])).all())
        if done or products >= max_products or fresh.shape[1] == 0 or filled == size:
            vectors = basis[:, :filled] @ ritz[:, :k]
            return Eigenpairs(values[:k], vectors, residuals, products, done or fresh.shape[1] == 0 or filled == size)
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
    room = len(basis) - basis.shape[1]
    if room < rest.shape[1]:
        q = np.linalg.svd(rest, full_matrices=False)[0][:, :room]
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
