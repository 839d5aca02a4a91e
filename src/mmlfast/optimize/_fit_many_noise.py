"""Fits without a minimum whose data are noise: from some other starts in lanes, and not one by one from as many as a
curve that is there would be worth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

_FEW = 16  # points, which say little about what is noise
# Of noise, squared differences of neighbours are twice the squares about the mean; of a curve, less.
_ALIKE = 1.4
# Other starts: times these, each parameter another one. Powers of two, so that units do not matter.
_FACTORS = (0.125, 8.0, -1.0, 0.5, -0.125, 2.0, 4.0, 0.25)


def like_noise(which: Array, x: Array, y: Array, weights: Array | None) -> Array:
    """Which of the fits `which` have data without any order in x; never of few points, or of several variables."""
    found = np.zeros(len(which), bool)
    if x.shape[-1:] != y.shape[-1:] or x.ndim > 2 or (x.ndim == 2 and len(x) != len(y)):
        return found
    for k, fit in enumerate(which):
        values, at = y[fit], x if x.ndim == 1 else x[fit]
        weight = np.ones(len(values)) if weights is None else np.broadcast_to(weights, y.shape)[fit]
        kept = weight > 0
        if np.count_nonzero(kept) < _FEW:
            continue
        order = np.argsort(at[kept], kind="stable")
        values, weight = values[kept][order], weight[kept][order]
        about = (values - np.average(values, weights=weight**2)) * weight
        found[k] = np.sum(np.diff(about) ** 2) > _ALIKE * (about @ about)
    return found


def from_other_starts(search: Callable[[Array], tuple[Any, ...]], starts: Array, n: int, worst: float) -> list[Any]:
    """What `search` (the results of `_core.curve_fit_many` from starts) finds lowest; `n` parameters are free. Fits
    whose minima are all of a worse condition, or that have none, are without an answer."""
    best: list[Any] = []
    for k in range(len(_FACTORS)):
        factors = np.array([_FACTORS[(k + 3 * j) % len(_FACTORS)] for j in range(n)])
        other = starts.copy()
        other[:, :n] *= factors
        found = search(other)
        good = (found[6] > 0) & (found[3] <= worst)
        if not best:
            best = list(found[:-1])
            best[2] = np.where(good, found[2], np.inf)
            continue
        lower = good & (found[2] < best[2])
        evaluations = best[4] + found[4]
        for i, values in enumerate(found[:-1]):
            best[i][lower] = values[lower]
        best[4] = evaluations
    best[6] = np.where(np.isfinite(best[2]), best[6], -1).astype(best[6].dtype)
    return best
