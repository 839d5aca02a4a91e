"""Inputs and targets of any size: brought to about one for the training, and folded into the weights at its end."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

# Numbers of this size are learned as they are.
_SMALLEST, _LARGEST = 0.02, 10.0
_MOST_OFFSET = 10.0  # a mean of so many standard deviations, and not below 3, is too far from zero


class Scale(NamedTuple):
    """(x - shift) * factor, column by column."""

    shift: Array
    factor: Array


def _moments(x: Array, weights: Array | None) -> tuple[Array, Array]:
    """Means and standard deviations of the columns, of rows that count."""
    if weights is not None:
        kept = weights > 0
        x, weights = x[kept], weights[kept]
    wide = x.astype(np.float64)
    size = np.abs(wide).max(axis=0)
    unit = np.where(size > 0, size, 1.0)
    wide = wide / unit  # so that no square overflows or vanishes
    mean = np.average(wide, axis=0, weights=weights)
    deviation = np.sqrt(np.average(np.square(wide - mean), axis=0, weights=weights))
    deviation[deviation <= 1e-12 * np.abs(mean)] = 0
    return mean * unit, deviation * unit


def _is_image(x: Array) -> bool:
    """Bytes of pixels: all columns have one unit, and many are nearly constant."""
    if x.shape[1] < 16:
        return False
    return bool(x.dtype == np.uint8 or (x.min() >= 0 and x.max() <= 255 and (x == np.floor(x)).all() and x.max() > 1))


def scale_of_inputs(x: Array, weights: Array | None) -> Scale | None:
    """None where the inputs can be learned from as they are."""
    mean, deviation = _moments(x, weights)
    size = np.hypot(mean, deviation)
    varies = deviation > 0
    far = (np.abs(mean) > 3) & (np.abs(mean) > _MOST_OFFSET * deviation)
    if not ((size > _LARGEST) | far | (varies & (size < _SMALLEST))).any():
        return None
    if _is_image(x):
        centre = mean.mean()
        spread = np.sqrt(np.mean(deviation**2 + (mean - centre) ** 2))
        return Scale(np.full(x.shape[1], centre), np.full(x.shape[1], 1 / spread if spread > 0 else 0.0))
    with np.errstate(divide="ignore", over="ignore"):
        factor = np.where(varies, 1 / deviation, 0.0)  # what is constant has no influence
    return Scale(mean, np.where(np.isfinite(factor), factor, 0.0))


def scale_of_targets(y: Array, weights: Array | None) -> Scale | None:
    """One factor for all columns, so that their share in the loss stays."""
    mean, deviation = _moments(y, weights)
    spread = float(np.sqrt(np.mean(deviation**2)))
    size = float(np.abs(mean).max())
    if spread == 0:  # a constant is its own scale: what a network adds to it is small beside it
        return None if size == 0 else Scale(mean, np.full(len(mean), _LARGEST / size))
    if _SMALLEST <= spread <= _LARGEST and size <= _MOST_OFFSET * max(spread, 1.0):
        return None
    return Scale(mean, np.full(len(mean), 1 / spread))


def folded(
    weights: list[Array], biases: list[Array], inputs: Scale | None, targets: Scale | None, dtype: np.dtype[Any]
) -> tuple[list[Array], list[Array]]:
    """The weights of a network that takes and gives the caller's numbers."""
    w, b = [np.array(a, np.float64) for a in weights], [np.array(a, np.float64) for a in biases]
    if inputs is not None:
        w[0] = inputs.factor[:, None] * w[0]
        b[0] = b[0] - inputs.shift @ w[0]
    if targets is not None:
        w[-1] = w[-1] / targets.factor
        b[-1] = b[-1] / targets.factor + targets.shift
    return [a.astype(dtype) for a in w], [a.astype(dtype) for a in b]
