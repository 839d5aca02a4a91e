"""Inputs and targets of any size: brought to about one for the training, and folded into the weights at its end."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mmlfast._common.errors import warn_caller
from mmlfast.neural_network._columns import Columns, blocks, columns, farthest, quantiles

Array = np.ndarray[Any, Any]

# Standard deviations and means of numbers that are learned as they are.
_SMALLEST, _LARGEST, _MOST_OFFSET = 0.5, 2.0, 1.0
# Where the deviation is so many times that of the middle, a few numbers far away are all that it tells of.
_OUTLIERS = 3.0
# Where the middle reaches so many times as far to one side as to the other, most numbers are crowded on the short side
# (incomes, concentrations): its size is theirs, times the second number.
_LONG_TAIL, _CROWDED = 4.0, 1.5
_SAMPLE = 2000
# A part of a stream of fewer rows says where its numbers lie, not how far they spread.
_FEW_ROWS = 30


class Scale(NamedTuple):
    """(x - shift) * factor, column by column."""

    shift: Array
    factor: Array


def _of_the_middle(x: Array, weights: Array | None, found: Columns, *, long_tails: bool = False) -> Columns:
    """Medians and spreads of the middle in place of what outliers have made of mean and deviation; and of the short
    side of the middle where the other has a long tail."""
    mean, deviation = found.mean.copy(), found.deviation.copy()
    suspects = np.flatnonzero(farthest(x, weights, mean) > 4 * deviation)
    if len(x) > 2 * _SAMPLE:  # a look at some rows first
        some = x if weights is None else x[weights > 0]
        low, high = np.quantile(some[:: max(1, len(some) // _SAMPLE), suspects], (0.1, 0.9), axis=0)
        suspects = suspects[deviation[suspects] > _OUTLIERS / 5 * (high - low)]
    for j in suspects.tolist():
        low, middle, high = quantiles(x[:, j], weights, (0.1, 0.5, 0.9))
        spread = (high - low) / 2.56  # 1 for normal numbers
        below, above = (middle - low) / 1.28, (high - middle) / 1.28
        short = min(below, above)
        has_tail = long_tails and short > 0 and max(below, above) > _LONG_TAIL * short
        if spread > 0 and (has_tail or deviation[j] > _OUTLIERS * spread):
            mean[j], deviation[j] = middle, min(_CROWDED * short, spread) if has_tail else spread
    return Columns(mean, deviation)


def _is_image(x: Array) -> bool:
    """Pixels, or other columns of one unit: they keep their sizes to each other, and those that are small are mostly
    at their least number, as pixels at the edge are."""
    if x.shape[1] < 16:
        return False
    if x.dtype == np.uint8:
        return True
    lowest, highest, whole = np.inf, -np.inf, True
    for rows, _ in blocks(x):
        lowest, highest = min(lowest, rows.min()), max(highest, rows.max())
        whole = whole and bool((rows == np.floor(rows)).all())
        if lowest < 0 or highest > 255:
            return False
    if not (highest <= 1 or whole):
        return False
    some = x[:: max(1, len(x) // _SAMPLE)].astype(np.float64)
    deviation = some.std(axis=0)
    small = deviation < 0.05 * deviation.max(initial=0)
    return bool(((some[:, small] == some[:, small].min(axis=0)).mean(axis=0) >= 0.5).all())


def scale_of_inputs(x: Array, weights: Array | None, *, stream: bool) -> Scale | None:
    """None where the inputs can be learned from as they are. `stream`: other rows will follow."""
    if _is_image(x):
        found = columns(x, weights, together=True)
    else:
        found = _of_the_middle(x, weights, columns(x, weights), long_tails=True)
    if stream:
        found = _of_a_stream(len(x), found)
    mean, spread, size = found.mean, found.deviation, np.abs(found.mean)
    varies = spread > 0
    far = np.where(varies, size > _MOST_OFFSET, size > _LARGEST)
    if not (far | (spread > _LARGEST) | (varies & (spread < _SMALLEST))).any():
        return None
    with np.errstate(divide="ignore", over="ignore"):
        factor = np.minimum(1 / spread, np.finfo(np.float64).max)
    return Scale(mean, np.where(varies, factor, 0.0))  # what is constant has no influence


@np.errstate(all="ignore")
def _of_a_stream(n_rows: int, found: Columns) -> Columns:
    """Of a part: a few rows, or a column that does not vary in them, say how large the numbers are, and not how far
    they spread."""
    mean, spread = found.mean, found.deviation
    size = np.hypot(mean, spread)
    if n_rows < _FEW_ROWS:
        mean = np.where(size > _LARGEST, mean, 0.0)
        spread = np.where(size < 0.01, size, np.maximum(1.0, np.maximum(spread, size / 10)))
    return Columns(mean, np.where(spread > 0, spread, np.where(size > 0, size, 1.0)))


@np.errstate(all="ignore")
def scale_of_targets(name: str, y: Array, weights: Array | None, *, robust: bool, stream: bool) -> Scale | None:
    """One factor for all columns, so that their share in the loss stays. `robust`: the loss is."""
    found = columns(y, weights)
    if robust:
        found = _of_the_middle(y, weights, found)
    if stream:
        found = _of_a_stream(len(y), found)
    mean, deviation = found.mean, found.deviation
    largest = float(deviation.max())
    varying = deviation[deviation > 0]
    if len(varying) > 1 and largest > 100 * varying.min():
        warn_caller(
            f"{name}: the columns of y have scales from {varying.min():.3g} to {largest:.3g}, and the loss counts all "
            f"errors in one unit: the small ones are hardly learned. Scale the columns to one size first, or train one "
            f"regressor for each (sklearn.multioutput.MultiOutputRegressor)",
            UserWarning,
        )
    size = float(np.abs(mean).max())
    if largest == 0:  # a constant is its own scale
        return None if size <= 10 else Scale(mean, np.full(len(mean), 1 / size))
    spread = largest * float(np.sqrt(np.mean(np.square(deviation / largest))))
    if _SMALLEST <= spread <= _LARGEST and size <= _MOST_OFFSET / 2:
        return None
    factor = min(1 / spread, np.finfo(np.float64).max)
    return Scale(mean, np.full(len(mean), factor))


def warn_of_other_scale(name: str, argument: str, numbers: Array, scale: Scale | None) -> None:
    """Of a part of a stream that is far from what its first part was scaled by."""
    shift, factor = (0.0, 1.0) if scale is None else scale
    worst = 0.0
    for rows, _ in blocks(numbers):
        with np.errstate(all="ignore"):
            worst = max(worst, float(np.sqrt(np.square((rows - shift) * factor).mean(axis=0)).max()))
    if worst > 100:
        warn_caller(
            f"{name}: {argument} is far from the scale of the first rows that were learned ({worst:.3g} times as large "
            f"or as far away): bring all parts to one scale first",
            UserWarning,
        )


@np.errstate(all="ignore")
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


@np.errstate(all="ignore")
def unfolded(
    weights: list[Array], biases: list[Array], inputs: Scale | None, targets: Scale | None, dtype: np.dtype[Any]
) -> tuple[list[Array], list[Array]]:
    """The way back: weights inside, from those of the caller."""
    w, b = [np.array(a, np.float64) for a in weights], [np.array(a, np.float64) for a in biases]
    if inputs is not None:
        b[0] = b[0] + inputs.shift @ w[0]
        w[0] = w[0] / np.where(inputs.factor > 0, inputs.factor, 1.0)[:, None]
    if targets is not None:
        w[-1] = w[-1] * targets.factor
        b[-1] = (b[-1] - targets.shift) * targets.factor
    return [a.astype(dtype) for a in w], [a.astype(dtype) for a in b]
