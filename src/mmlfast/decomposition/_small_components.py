"""Components of small variance to full relative accuracy, where the covariance matrix has lost them.

The eigenvalues of a computed covariance matrix are wrong by about ``eps`` times the largest one. Here the table is read
once more: its scores in the directions found so far, Y = (X - c) V, are computed so that each column of Y is right
relative to its own size, and the singular values of Y come from its R factor by one-sided Jacobi rotations, which keep
the relative accuracy of columns of different size [1]_. The products are two slices of matrix multiplications that
make no error at all and one remainder [2]_, at the speed of BLAS.

References
----------
.. [1] J. Demmel and K. Veselic, Jacobi's method is more accurate than QR, SIAM J. Matrix Anal. Appl. 13 (1992);
   Z. Drmac and K. Veselic, New fast and accurate Jacobi SVD algorithm, SIAM J. Matrix Anal. Appl. 29 (2008).
.. [2] K. Ozaki, T. Ogita, S. Oishi and S. M. Rump, Error-free transformations of matrix multiplication by using fast
   routines of matrix multiplication and its applications, Numer. Algorithms 59 (2012).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import scipy.linalg.lapack

from mmlfast._common.row_blocks import spans
from mmlfast.linalg._rfactor import RFactor

Array = np.ndarray[Any, Any]


class ExactProduct:
    """(x - shift) @ v for blocks of rows, each entry right to about eps times itself.

    Parameters
    ----------
    v : ndarray of float64, shape (d, m)
        Columns of any size.

    Notes
    -----
    The leading bits of both factors multiply and add up exactly in float64, in any order of summation. The error of
    the rest is 2^-21 or less of what it would be for the whole. Thus an entry is right as long as it is larger than
    about 1e-22 of the product of the norms of its row and column.
    """

    def __init__(self, v: Array) -> None:
        self.bits = (53 - max(v.shape[0], 1).bit_length()) // 2
        self.v = v
        self.high = leading_bits(v, self.bits)
        self.rest = v - self.high

    def __call__(self, x: Array, shift: Array) -> Array:
        x = np.array(x.T, np.float64, order="C")  # NumPy is slow along short rows
        shift = np.atleast_2d(shift).T
        difference = x - shift
        high = leading_bits(difference, self.bits)
        rest = difference - high
        # And what rounding left out of the difference (Knuth's TwoSum).
        back = difference - x
        difference -= back
        x -= difference
        back += shift
        x -= back
        rest += x
        small: Array = high.T @ self.rest
        small += rest.T @ self.v
        small += high.T @ self.high
        return small


def leading_bits(x: Array, bits: int) -> Array:
    """`x` rounded to multiples of 2^-bits of the largest number of its column, rounded up to a power of two."""
    largest = np.maximum(x.max(axis=0, initial=0), -x.min(axis=0, initial=0))
    grid = np.ldexp(1.5, np.frexp(largest)[1] + (52 - bits))
    rounded: Array = x + grid
    rounded -= grid
    if not np.isfinite(grid).all():
        np.copyto(rounded, x, where=~np.isfinite(grid))
    return rounded


def refined(blocks: Iterable[Array], shift: Array, directions: Array) -> tuple[Array, Array]:
    """Singular values of the centred rows in the span of some directions, and the rotation to their singular vectors.

    Parameters
    ----------
    blocks : iterable of ndarray, shape (n, d)
        The rows.
    shift : ndarray of float64, shape (d,)
        About the mean of the rows: what is left of the mean is taken out of the scores.
    directions : ndarray of float64, shape (d, m)
        Orthonormal columns; nearly singular vectors, so that the scores are columns of different size.

    Returns
    -------
    values : ndarray of float64, shape (m,)
        Decreasing.
    rotation : ndarray of float64, shape (m, m)
        Orthogonal: ``directions @ rotation`` are the singular vectors.
    """
    return centred_singular_values(scores_factor(blocks, shift, directions))


def scores_factor(blocks: Iterable[Array], shift: Array, directions: Array) -> RFactor:
    """R of a column of ones and the scores of the rows."""
    product = ExactProduct(directions)
    state = RFactor(directions.shape[1] + 1)
    for block in blocks:
        for start, stop in spans(block.shape, 8, 1 << 18):  # stays in a processor's own cache
            scores = product(block[start:stop], shift)
            state.update(np.concatenate([np.ones((len(scores), 1)), scores], axis=1))
    return state


def centred_singular_values(factor: RFactor) -> tuple[Array, Array]:
    """What `refined` gives, from `scores_factor`: behind the column of ones, R is that of the centred scores."""
    return graded_singular_values(factor.r[1:, 1:])


def graded_singular_values(r: Array) -> tuple[Array, Array]:
    """Singular values and right singular vectors of a square matrix, accurate for columns of very different size."""
    if r.shape[0] == 0 or not np.isfinite(r).all():
        return np.full(r.shape[0], np.nan), np.eye(r.shape[0])
    high_relative_accuracy, right_vectors, no_left_vectors, full_range = 0, 0, 3, 0
    values, _, vectors, work, _, info = scipy.linalg.lapack.dgejsv(
        r, joba=high_relative_accuracy, jobu=no_left_vectors, jobv=right_vectors, jobr=full_range
    )
    if info != 0:  # no convergence of LAPACK's Jacobi: never seen
        _, values, rows = np.linalg.svd(r)
        return values, rows.T
    return values * (work[0] / work[1]), vectors
