"""Rows to validate on: shuffled, and with equal shares of each class."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def split(name: str, fraction: Any, n: int, strata: Array | None, seed: int) -> tuple[Array, Array]:
    """Rows to train on and rows to validate on, both in ascending order.

    A class of one row stays in the training; each other one gives its share, rounded so that the total is right.
    """
    n_out = math.ceil(float(fraction) * n)
    if n - n_out < 1:
        raise ValueError(
            f"{name}: nothing would be left to train on: validation_fraction={fraction} of {n} rows are {n_out}; a "
            f"smaller validation_fraction, validation_data=, or early_stopping=False"
        )
    if n_out < 2:
        raise ValueError(
            f"{name}: The validation set is too small: validation_fraction={fraction} of {n} rows are {n_out}; a "
            f"larger validation_fraction, validation_data=, or early_stopping=False"
        )
    order = np.random.default_rng([seed, 1]).permutation(n)
    if strata is None:
        chosen = order[:n_out]
    else:
        counts = np.bincount(strata)
        most = np.maximum(counts - 1, 0)
        wanted = np.minimum(n_out * counts / n, most)
        taken = np.floor(wanted).astype(np.int64)
        while taken.sum() < min(n_out, most.sum()):
            short = np.where(taken < most, wanted - taken, -np.inf)
            taken[int(np.argmax(short))] += 1
        if taken.sum() < 2:
            raise ValueError(
                f"{name}: The validation set is too small: nearly every one of the {len(counts)} classes has one row "
                f"only, which is needed for the training; validation_data= or early_stopping=False"
            )
        chosen = np.concatenate([order[strata[order] == k][: taken[k]] for k in range(len(counts))])
    kept = np.ones(n, bool)
    kept[chosen] = False
    return np.flatnonzero(kept), np.flatnonzero(~kept)
