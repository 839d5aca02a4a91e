"""Tables of numbers, and their exact mean and covariance: for the tests of statistics."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

# Widths on both sides of each layout of a block: lanes over rows up to 16, strips of 8 up to 256, then one node.
WIDTHS = (1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 17, 24, 31, 64, 65, 129, 257)


def block_rows(d):
    """Rows per block, as in cpp/kernels/covariance.hpp."""
    for limit, rows in ((2, 2048), (4, 1024), (8, 512), (16, 256), (64, 512), (256, 256), (2048, 512)):
        if d <= limit:
            return rows
    return 256


def exact(x, ddof=1, weights=None):
    """Mean and covariance of the numbers in x, each entry rounded once."""
    x = np.asarray(x)
    w = [Fraction(float(v)) for v in (np.ones(len(x)) if weights is None else weights)]
    total = sum(w)
    columns = [[Fraction(float(v)) for v in c] for c in x.T]
    means = [sum(a * b for a, b in zip(w, c, strict=True)) / total for c in columns]
    centred = [[v - m for v in c] for c, m in zip(columns, means, strict=True)]
    cov = np.empty((len(columns), len(columns)))
    for i, a in enumerate(centred):
        for j, b in enumerate(centred[: i + 1]):
            s = sum(p * q * r for p, q, r in zip(a, b, w, strict=True))
            cov[i, j] = cov[j, i] = float(s / (total - Fraction(ddof)))
    return np.array([float(m) for m in means]), cov


def error(cov, expected):
    """The largest error of an entry, relative to the standard deviations that belong to it."""
    sd = np.sqrt(np.diagonal(expected))
    return float(np.max(np.abs(np.asarray(cov, float) - expected) / np.outer(sd, sd), initial=0))


def table(rng, n, d, dtype=np.float64):
    """Correlated columns of different scales and means."""
    mix = rng.standard_normal((d, d)) / np.sqrt(max(d, 1)) + np.eye(d)
    return (rng.standard_normal((n, d)) @ mix * 10.0 ** rng.uniform(-2, 2, d) + rng.uniform(-5, 5, d)).astype(dtype)
