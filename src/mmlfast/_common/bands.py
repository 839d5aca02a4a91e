"""Limits within which a fitted curve, or a new observation, lies with a given probability."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mmlfast._common.arrays import as_real

Array = np.ndarray[Any, Any]


class Band(NamedTuple):
    """Lower and upper limits."""

    low: Array
    high: Array


def quantile(level: Any, dof: Any, errors_are_known: bool) -> Any:
    """How many standard errors there are on each side: of the normal distribution where the errors are known, of
    Student's where they are those that the residuals show, with `dof` degrees of freedom (1 at least)."""
    p = as_real(level, "level")
    if not 0 < p < 1:
        raise ValueError(f"level must be between 0 and 1, got {level!r}: 0.95 is a probability of 95 %")
    from scipy.special import ndtri, stdtrit

    return ndtri(0.5 + 0.5 * p) if errors_are_known else stdtrit(np.maximum(dof, 1), 0.5 + 0.5 * p)
