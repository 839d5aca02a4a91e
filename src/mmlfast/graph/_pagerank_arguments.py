"""Damping, tolerance and limit of the sweeps: what every way to rank asks of them, and the warning when they fail."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypedDict

from numpy.typing import ArrayLike

from mmlfast._common.arrays import as_integer, as_real
from mmlfast._common.errors import warn_caller

Jumps = ArrayLike | Mapping[Any, float] | None


class Limits(TypedDict, total=False):
    """When a ranking ends."""

    tol: float
    max_iter: int | None


class RankOptions(Limits, total=False):
    """Where a walk jumps to, and when the ranking ends."""

    personalization: Jumps
    dangling: Jumps


def check_damping(function: str, damping: Any) -> float:
    value = as_real(damping, f"{function}: damping")
    if not 0 <= value <= 1:
        raise ValueError(f"{function}: damping must be from 0 to 1, got {damping}")
    return value


def check_limits(function: str, tol: float, max_iter: int | None, damping: float) -> tuple[float, int]:
    """tol and max_iter, checked. By default twice as many iterations as the power method can need, or a million."""
    tol = as_real(tol, f"{function}: tol")
    if not tol > 0:
        raise ValueError(f"{function}: tol must be positive, got {tol}")
    if max_iter is None:
        if damping >= 1 or damping <= 0:
            return tol, 10_000
        wanted = math.log(min(tol, 1.0)) + math.log((1 - damping) / 4)
        return tol, 100 + min(math.ceil(2 * wanted / math.log(damping)), 10**6)
    most = as_integer(max_iter, f"{function}: max_iter")
    if most < 1:
        raise ValueError(f"{function}: max_iter must be positive, got {most}")
    return tol, min(most, 2**62)


def warn_of_bound(function: str, bound: float, tol: float, where: str, is_over: bool) -> None:
    if is_over:
        way_out = "max_iter was reached: raise it"
    elif bound < 0.5:
        way_out = f"rounding is in the way: tol={2 * bound:.1g} can be had"
    else:
        way_out = "rounding is in the way: so close to 1, the damping leaves no digits"
    warn_caller(f"{function}: error bound {bound:.2g} where tol is {tol:.2g}{where}: {way_out}")
