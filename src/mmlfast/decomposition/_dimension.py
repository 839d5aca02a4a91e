"""The number of components that the data speak for."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import gammaln

Array = np.ndarray[Any, Any]


def likely_dimension(spectrum: Array, n: int) -> int:
    """Minka's estimate: the number of components of largest evidence, from all variances in decreasing order."""
    evidence = [log_evidence(spectrum, rank, n) for rank in range(1, len(spectrum))]
    return 1 + int(np.argmax(evidence)) if evidence else len(spectrum)


def log_evidence(spectrum: Array, rank: int, n: int) -> float:
    """Logarithm of the evidence of `rank` components [1]_, equations (30) and (31), up to a constant.

    References
    ----------
    .. [1] T. P. Minka, Automatic choice of dimensionality for PCA, NIPS 2000.
    """
    d = len(spectrum)
    if not 1 <= rank < d:
        raise ValueError(f"rank must be between 1 and {d - 1}, got {rank}")
    nothing = 1e-15 * spectrum[0]  # relative: the unit of the data must not matter
    if not spectrum[rank - 1] > nothing:  # of no dimension that varies
        return -np.inf
    sides = (d - np.arange(rank)) / 2
    prior = -rank * np.log(2) + float((gammaln(sides) - sides * np.log(np.pi)).sum())
    noise = max(nothing, float(spectrum[rank:].sum()) / (d - rank))
    likelihood = -n / 2 * (float(np.log(spectrum[:rank]).sum()) + (d - rank) * np.log(noise))
    parameters = d * rank - rank * (rank + 1) / 2
    shrunk = spectrum.astype(np.float64).copy()
    shrunk[rank:] = noise
    i, j = np.triu_indices(d, 1)
    i, j = i[i < rank], j[i < rank]
    with np.errstate(divide="ignore"):
        hessian = np.log((spectrum[i] - spectrum[j]) * (1 / shrunk[j] - 1 / shrunk[i])) + np.log(n)
    return float(
        prior + likelihood + np.log(2 * np.pi) * (parameters + rank) / 2 - hessian.sum() / 2 - rank * np.log(n) / 2
    )
