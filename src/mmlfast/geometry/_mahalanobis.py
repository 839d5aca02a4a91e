"""The metric of Mahalanobis distances, from the covariance itself; public as `mmlfast.geometry.Mahalanobis`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mmlfast import _core
from mmlfast._common.arrays import as_float
from mmlfast._common.labels import check_labels
from mmlfast.geometry._definite import half_exponents, rounding

Array = np.ndarray[Any, Any]

# Powers of two between units, beyond which what is orthogonal to the range of a covariance is that of nearer ones.
MOST_APART = 16


class Mahalanobis:
    """The inner product ``<x, y> = x' C^+ y`` of a covariance C, for ``metric=`` of the functions of this module.

    The covariance itself is factored, not its inverse, so it may be singular: of shares that add up to one, of one-hot
    columns, of more columns than samples. Distances are those in the dimensions that there are.

    Parameters
    ----------
    covariance : array_like, shape (D, D) or (D,)
        Covariance matrix, symmetric up to rounding and with no negative eigenvalue beyond it, or a vector of
        variances. A labelled one (pandas, xarray) asks for points with the same labels.

    Attributes
    ----------
    covariance : ndarray, shape (D, D)
        What was given, in float64 and symmetric; read-only.
    rank : int
        The number of dimensions in which the covariance varies.
    whitening : ndarray, shape (D, rank)
        A matrix W with ``W @ W.T`` the pseudoinverse of the covariance: ``x @ W`` has Euclidean distances. Read-only.

    Raises
    ------
    ValueError
        If the covariance is not square, not finite, not symmetric, or has a negative eigenvalue.
    TypeError
        If the numbers are complex or no numbers at all.

    See Also
    --------
    mmlfast.stats.covariance : the covariance of samples in rows.
    is_inner_product : whether a matrix will do as `metric` by itself.

    Notes
    -----
    The rank is decided on the covariance scaled to a diagonal near 1, so the units of the columns do not matter: an
    eigenvalue counts as zero up to ``64 D`` roundings. Differences of points of which the covariance is one lie in its
    range. Of other vectors, the component outside (orthogonal to the range, in the caller's units as far as these
    differ by no more than a factor of 65536) is left out, as by the pseudoinverse: where such a vector is a difference,
    that part of the distance is not seen. Columns of variance 0 do not count.

    References
    ----------
    .. [1] G. H. Golub and C. F. Van Loan, Matrix Computations, 4th ed., sections 5.5.2 and 8.1.

    Examples
    --------
    >>> import mmlfast as mf
    >>> shares = [[0.5, 0.3, 0.2], [0.4, 0.4, 0.2], [0.2, 0.5, 0.3], [0.6, 0.1, 0.3]]
    >>> metric = mf.geometry.Mahalanobis(mf.stats.covariance(shares))
    >>> metric
    Mahalanobis(covariance of 3 dimensions, rank 2)
    >>> mf.geometry.cdist(shares[:1], shares[1:], metric).round(3)
    array([[0.594, 2.282, 1.948]])
    """

    covariance: Array
    rank: int
    whitening: Array

    def __init__(self, covariance: ArrayLike) -> None:
        check_labels("Mahalanobis", covariance=(covariance, "dd", "d"))
        given = as_float(covariance, "covariance")
        self._labels = _first_column(covariance)
        self.covariance = _checked(given)
        self._unit = float(np.finfo(given.dtype).eps) / 2
        self.whitening = _whitening(self.covariance, self._unit)
        self.rank = self.whitening.shape[1]
        self.covariance.setflags(write=False)
        self.whitening.setflags(write=False)

    @np.errstate(all="ignore")
    def whiten(self, x: Array) -> Array:
        """``x @ whitening`` in float64, exactly zero for vectors of which the metric sees nothing but rounding.

        Parameters
        ----------
        x : ndarray, shape (..., D)
            Vectors.

        Returns
        -------
        ndarray, shape (..., rank)
            Vectors with Euclidean lengths.
        """
        d = len(self.covariance)
        rows = x.astype(np.float64, copy=False).reshape(math.prod(x.shape[:-1]), d)
        answer = np.asarray(_core.projection_coordinates(rows, self.whitening))
        if self.rank < d:
            seen = np.abs(_core.projection_coordinates(rows, self.covariance))
            size = _core.projection_coordinates(np.abs(rows), np.abs(self.covariance))
            answer[(seen <= rounding(d, self._unit) * size).all(axis=-1)] = 0
        return answer.reshape(*x.shape[:-1], self.rank)

    def __repr__(self) -> str:
        return f"Mahalanobis(covariance of {len(self.covariance)} dimensions, rank {self.rank})"

    def __setstate__(self, state: dict[str, Any]) -> None:
        if not _is_state(state):
            raise ValueError("Mahalanobis.__setstate__: this is not a state that Mahalanobis has written")
        self.__dict__.update(state)
        for a in (self.covariance, self.whitening):
            a.setflags(write=False)

    @property
    def labels(self) -> Any:
        """What carries the labels of the dimensions for `check_labels`: a vector of the caller's, or None."""
        return self._labels


def _is_state(state: Any) -> bool:
    """Whether the parts fit together as those of an object do."""
    try:
        c, w, rank = state["covariance"], state["whitening"], state["rank"]
        good = type(rank) is int and all(type(a) is np.ndarray and a.dtype == np.float64 for a in (c, w))
        good = (
            good
            and c.shape == (len(c), len(c))
            and w.shape == (len(c), rank)
            and "_unit" in state
            and "_labels" in state
        )
        return bool(good and np.allclose(w.T @ c @ w, np.eye(rank), atol=1e-2))
    except (TypeError, KeyError, AttributeError, IndexError):
        return False


def _first_column(covariance: Any) -> Any:
    """Something labelled like the dimensions; only the labels are used."""
    if getattr(covariance, "ndim", 0) != 2 or 0 in covariance.shape:
        return covariance if hasattr(covariance, "iloc") or hasattr(covariance, "indexes") else None
    if hasattr(covariance, "iloc") and hasattr(covariance, "index"):
        return covariance.iloc[:, 0].copy()
    if hasattr(covariance, "indexes") and hasattr(covariance, "dims"):
        return covariance[:, 0].copy()
    return None


def _checked(given: Array) -> Array:
    """A symmetric float64 copy."""
    if given.ndim == 1:
        given = np.diag(given)
    if given.ndim != 2 or given.shape[0] != given.shape[1]:
        raise ValueError(f"Mahalanobis: covariance must be a square matrix or a vector of variances, got {given.shape}")
    wide = given.astype(np.float64)
    if not np.isfinite(wide).all():
        raise ValueError("Mahalanobis: covariance must not hold NaN or infinity")
    variances = np.diagonal(wide)
    if (variances < 0).any():
        i = int(np.argmax(variances < 0))
        raise ValueError(f"Mahalanobis: covariance must have no negative variance, but entry ({i}, {i}) is negative")
    lost = (wide != 0) & ((variances == 0)[:, None] | (variances == 0))
    if lost.any():
        i, j = (int(i) for i in np.argwhere(lost)[0])
        raise ValueError(f"Mahalanobis: covariance entry ({i}, {j}) is not 0, but the variance of {i} or {j} is")
    return wide


@np.errstate(all="ignore")
def _whitening(covariance: Array, unit: float) -> Array:
    """W with W W' the pseudoinverse; makes `covariance` symmetric."""
    d = len(covariance)
    half = half_exponents(np.diagonal(covariance))
    scaled = np.ldexp(covariance, -(half[:, None] + half))
    gap = float(np.abs(scaled - scaled.T).max(initial=0))
    if not gap <= 2 * np.sqrt(unit):
        raise ValueError(
            f"Mahalanobis: covariance must be symmetric, but two opposite entries differ by {gap:.1g} (scaled to "
            f"variances near 1)"
        )
    covariance[...] = np.where(covariance == covariance.T, covariance, covariance / 2 + covariance.T / 2)
    values, vectors = _core.eigh((scaled + scaled.T) / 2) if d else (np.empty(0), np.empty((0, 0)))
    tolerance = rounding(d, unit)
    if d and values[0] < -max(tolerance, gap):
        raise ValueError(
            f"Mahalanobis: covariance must have no negative eigenvalue, but has one of {float(values[0]):.1g} (scaled "
            f"to variances near 1): it is not the covariance of one set of samples"
        )
    there = values > max(tolerance, gap)
    # In coordinates scaled by powers of two, y = x / 2**half: right for differences in the range, whatever the units.
    whitening = vectors[:, there] / np.sqrt(values[there])
    if not there.all():
        whitening = _without_null_space(whitening, vectors[:, ~there], half)
    return np.ascontiguousarray(np.ldexp(whitening, -half[:, None]))


def _without_null_space(whitening: Array, null: Array, half: Array) -> Array:
    """The whitening (for x / 2**half) of the part of x that is orthogonal to the null space in the caller's units.

    With N = 2**-half null, that part is x - N (N'N)^-1 N'x, and N'x is null' (x / 2**half): zero to rounding for x in
    the range of the covariance, so that there nothing depends on how well the rest is known.
    """
    # A common factor changes nothing. Units farther apart would make rounding in the one of `null` count in the other.
    scale = np.minimum(half.max() - half, MOST_APART)[:, None]
    q, r = np.linalg.qr(np.ldexp(null, scale))
    return np.asarray(whitening - null @ np.linalg.solve(r, q.T @ np.ldexp(whitening, scale)))
