"""From the triangle of a Jacobian to the covariance of the parameters: what the data determine, and what they do not.

Parameters at a bound that holds them count as known; those with a part in what changes nothing (the null space of the
Jacobian with columns of length one) are undetermined, and the others are as sure as they would be without them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

_EPS = float(np.finfo(np.float64).eps)


class Spread(NamedTuple):
    """How far parameters go with the errors of y, for errors of 1."""

    inverse: Array  # (n, n) of the least norm in scaled columns; 0 for parameters that are held
    undetermined: Array  # of booleans
    held: Array  # of booleans
    null: Array  # (n, k): directions that change nothing, in scaled columns
    scale: Array  # lengths of columns
    rank: int
    condition: float  # of the columns that are not held, of length one

    @np.errstate(all="ignore")
    def covariance(self, variance: float) -> Array:
        """NaN for what is held, inf for what is undetermined."""
        out = self.inverse * variance
        out[self.held] = out[:, self.held] = np.nan
        out[self.undetermined] = out[:, self.undetermined] = np.inf
        return out

    @np.errstate(all="ignore")
    def variances_of(self, slopes: Array, variance: float) -> Array:
        """Of a' p for rows a: inf where a has a part in what the data do not determine."""
        a = np.where(self.held, 0.0, slopes)
        found = np.maximum(np.einsum("...i,ij,...j->...", a, self.inverse, a), 0.0) * variance
        if self.null.shape[1]:
            scaled = np.divide(a, self.scale, out=np.zeros_like(a), where=self.scale > 0)
            unscaled = (self.scale == 0) & ~self.held
            parts = np.abs(scaled @ self.null).max(axis=-1)
            lost = (parts > 1e-7 * np.linalg.norm(scaled, axis=-1)) | np.any(a[..., unscaled] != 0, axis=-1)
            found = np.where(lost, np.inf, found)
        return np.asarray(found)


@np.errstate(all="ignore")
def lengths_of_columns(a: Array) -> Array:
    """Whatever their size: infinite for a column that is not finite, or whose length is no number."""
    largest = np.max(np.abs(a), axis=0, initial=0.0)
    return np.asarray(largest * np.linalg.norm(a / np.where(largest > 0, largest, 1.0), axis=0))


@np.errstate(all="ignore")
def spread(r: Array, permutation: Array, active: Array, noise: float) -> Spread:
    """Of the QR with pivoting of the Jacobian: r (n, n), column k for parameter permutation[k].

    `noise` is the relative error of derivatives, if it is more than rounding."""
    n = len(permutation)
    columns = np.empty((n, n))
    columns[:, permutation] = r[:n]
    held = active != 0
    scale = np.where(held, 0.0, lengths_of_columns(columns))
    free = np.flatnonzero(scale > 0)
    without = np.flatnonzero((scale == 0) & ~held)
    u_scaled = columns[:, free] / scale[free]
    _, s, vt = np.linalg.svd(u_scaled) if free.size else (None, np.empty(0), np.empty((0, 0)))
    least = max(noise, max(n, 10) * 4 * _EPS)
    part = max(1e-7, noise**0.5)
    good = s > least * s[0] if s.size else np.empty(0, bool)
    rank = int(good.sum())
    v = vt[:rank].T
    inverse = np.zeros((n, n))
    half = v / s[:rank] / scale[free, None]
    inverse[np.ix_(free, free)] = half @ half.T
    null = np.zeros((n, n - rank))
    null[free, : free.size - rank] = vt[rank:].T
    undetermined = np.zeros(n, bool)
    undetermined[free] = np.linalg.norm(vt[rank:].T, axis=1) > part if free.size > rank else False
    undetermined[without] = True
    condition = float(s[0] / s[-1]) if s.size and rank == free.size and not without.size else np.inf
    return Spread(inverse, undetermined, held, null, scale, rank, condition if free.size else 1.0)
