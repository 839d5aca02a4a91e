"""Weights of rows: how often each counts (fweights), or its share (aweights), as in `numpy.cov`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mmlfast._common.arrays import as_float

Array = np.ndarray[Any, Any]

# Exponents of weights, beyond which they are multiplied by a power of two: squares of the rows are judged without them.
FAR = 16


class RowWeights(NamedTuple):
    """The weights of rows, what of their sum the divisor is, and what both are made from."""

    values: Array  # float64, (..., n)
    ddof: Any  # subtracted from the sum of the values in the divisor; one number, or one for each table
    squares: Array | None = None  # with aweights: the products of values and aweights, whose sum decides about ddof


def row_weights(
    function: str,
    shape: tuple[int, ...],
    ddof: float,
    weights: ArrayLike | None,
    fweights: ArrayLike | None,
    aweights: ArrayLike | None,
    divides: bool,
) -> RowWeights:
    """The weights of rows of a table of this shape, from the arguments of that name.

    ``divides``: whether sums are divided by the sum of the weights less `ddof`, which must then be positive.
    """
    if weights is not None and fweights is not None:
        raise ValueError(f"{function}: weights is another name of fweights: give one of them")
    name = "weights" if fweights is None else "fweights"
    counts = weights if fweights is None else fweights
    f = None if counts is None else check_weights(function, counts, shape[:-1], name)
    if aweights is not None:
        return _with_shares(function, ddof, f, check_weights(function, aweights, shape[:-1], "aweights"), divides)
    assert f is not None
    power = _far(f)
    if divides:
        if power is None:
            total = f.sum(axis=-1)
        else:
            with np.errstate(over="ignore"):
                total = f.sum(axis=-1)
        check_divisor(function, name, total, ddof, lambda: np.count_nonzero(f, axis=-1) > 1)
    if power is None:
        return RowWeights(f, ddof)
    with np.errstate(over="ignore", under="ignore"):
        return RowWeights(np.ldexp(f, -power), np.ldexp(np.float64(ddof), -power[..., 0]))


def _with_shares(function: str, ddof: float, f: Array | None, a: Array, divides: bool) -> RowWeights:
    largest = a.max(axis=-1, initial=0, keepdims=True)
    # Of about 1 in each table: their unit does not matter. Even powers: roots of weights keep their digits.
    a = np.ldexp(a, -(np.frexp(largest)[1] // 2 * 2))
    if f is not None:
        power = _far(f)
        f = f if power is None else np.ldexp(f, -power)
    w = a if f is None else f * a
    squares = w * a
    total, twice = w.sum(axis=-1), squares.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        taken = np.where(total > 0, ddof * twice / total, 0.0)
        short = (total > 0) & (ddof > 0) & (total - taken <= 1e-12 * total)
    if divides and short.any() and np.any(short & (np.count_nonzero(w, axis=-1) > 1)):
        raise ValueError(
            f"{function}: the divisor, sum(w) - ddof sum(w aweights) / sum(w), is not positive for ddof={ddof}: nearly "
            f"all the weight is on one row; ddof=0 divides by the sum of the weights"
        )
    return RowWeights(w, taken, squares)


def _far(w: Array) -> Array | None:
    """The exponents, even numbers, of the weights of each table, 0 where they are ordinary; None where all are."""
    if w.ndim == 1:
        exponent = math.frexp(w.max(initial=0))[1] // 2 * 2
        return np.array([exponent]) if abs(exponent) > FAR else None
    exponents: Array = np.frexp(w.max(axis=-1, keepdims=True, initial=0))[1] // 2 * 2
    exponents[np.abs(exponents) <= FAR] = 0
    return exponents if exponents.any() else None


def check_divisor(function: str, name: str, total: Any, ddof: float, several: Callable[[], Any]) -> None:
    """ValueError unless sums of weights exceed ddof by more than rounding. `several` says where more than one row
    counts: of one row alone, or none, the result is NaN in any case, as without weights.
    """
    if not ddof > 0:
        return
    short = np.asarray(total - ddof <= 1e-6 * min(ddof, 1.0))
    if not short.any():
        return
    short = short & several()
    if short.any():
        value = float(np.asarray(total)[short].min())
        raise ValueError(
            f"{function}: {name} add up to {value:.15g}, which must exceed ddof={ddof:g}: they say how often each "
            f"row counts; weights that add up to one are shares: pass aweights=, or ddof=0"
        )


def check_weights(function: str, weights: ArrayLike, shape: tuple[int, ...], name: str = "weights") -> Array:
    """Weights as float64, one per row, finite and not negative."""
    w = as_float(weights, name).astype(np.float64, copy=False)
    if w.ndim < 1 or w.shape[-1] != shape[-1]:
        raise ValueError(f"{function}: {name} must have one number per row, shape {shape} here; got shape {w.shape}")
    if not (w.min(initial=0) >= 0 and w.max(initial=0) < np.inf):
        good = (w >= 0) & (w < np.inf)
        index = np.unravel_index(int(np.argmin(good)), w.shape)
        place = ", ".join(str(int(i)) for i in index)
        raise ValueError(f"{function}: {name} must not be negative, infinite or NaN, got {name}[{place}] = {w[index]}")
    if len(shape) > 1 or w.ndim > 1:
        try:
            np.broadcast_shapes(w.shape, shape)
        except ValueError:
            raise ValueError(
                f"{function}: {name} must have one number per row, shape {shape} here; got shape {w.shape}"
            ) from None
    return w
