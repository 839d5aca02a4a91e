"""check_gradient: are these derivatives right? They are compared with differences of the function itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mmlfast._common.arrays import as_real
from mmlfast.autodiff._derivatives import Jacobian
from mmlfast.autodiff._recording import as_argument

Array = np.ndarray[Any, Any]

_EPS = float(np.finfo(np.float64).eps)
# Each step is a third of the one before; steps go from a third of the scale of the number down to 1e-14 of it.
_RATIO = 3.0
_STEPS = 30
_LEAST = float(np.nextafter(0.0, 1.0))
# Below this, steps around a number would be of no precision: those of the second are taken.
_SMALLEST, _SMALL = 1e-305, 1e-290
# Differences that are this exact tell whether a complex step is right.
_SHARP = 1e-3


class GradientCheck(NamedTuple):
    """The answer of `check_gradient`.

    Attributes
    ----------
    verdict : str
        "agrees"; "kink": at a corner, and the derivative lies between the slopes of both sides; "wrong"; "unknown": the
        differences are too inaccurate to judge (too large numbers cancel, or f is not defined on any side).
    entry : tuple of int or None
        The entry that decided, in the shape of the derivatives: the one that is wrong, unknown or at a kink.
    derivatives : ndarray
        What was checked.
    differences : ndarray
        What it was compared with: the best differences (refined by a complex step where that confirms them).
    uncertainty : ndarray
        How far the differences may be off.
    message : str
        All that in words.

    Examples
    --------
    >>> import numpy as np
    >>> from mmlfast.autodiff import check_gradient
    >>> check_gradient(lambda v: np.sum(v**3), np.array([1.0, 2.0])).verdict
    'agrees'
    """

    verdict: str
    entry: tuple[int, ...] | None
    derivatives: Array
    differences: Array
    uncertainty: Array
    message: str

    def __bool__(self) -> bool:
        """Whether nothing is wrong: it agrees, or it is at a kink and within its bounds."""
        return self.verdict in ("agrees", "kink")

    def __str__(self) -> str:
        return self.message


class _Slopes(NamedTuple):
    """Of all results with respect to one entry of x: central, and from each side, with what they may be off."""

    central: Array
    central_error: Array
    left: Array
    left_error: Array
    right: Array
    right_error: Array


def check_gradient(
    f: Callable[..., Any], x: Any, *parameters: Any, derivatives: Any = None, rtol: float = 1e-6
) -> GradientCheck:
    """Compare derivatives of a function with differences of its values.

    Every entry is compared with central and one-sided differences over thirty steps, from which the best is taken with
    an estimate of its error; where a complex step gives a number within that error, it is the more exact one, and is
    used. An entry is called wrong only if it is further off than the differences may be.

    Parameters
    ----------
    f : callable
        A function of NumPy that gives one number or an array. It is called with numbers.
    x : array-like
        Where.
    *parameters : array-like
        Further arguments of f.
    derivatives : array-like or callable, optional
        The derivatives to check, with the shape of f's result followed by that of x, or a function that gives them.
        Without it those of the tape, which are only as right as a `primitive` on it.
    rtol : float
        Relative difference that counts as agreement.

    Returns
    -------
    GradientCheck
        True where nothing is wrong; ``verdict``, ``entry`` and ``message`` say more.

    Examples
    --------
    >>> import numpy as np
    >>> from mmlfast.autodiff import check_gradient
    >>> print(check_gradient(lambda v: np.sum(v**2), np.array([1.0, 2.0]), derivatives=np.array([2.0, 4.1])))
    wrong: entry [1] is 4.1, differences give 4 (off by at most ...)
    """
    at = as_argument(x, "x")
    rtol = as_real(rtol, "rtol")
    values = at.values.astype(np.float64)
    if derivatives is None:
        given = np.asarray(Jacobian(f, 0, False)(x, *parameters), np.float64)
    else:
        given = np.asarray(derivatives(x, *parameters) if callable(derivatives) else derivatives, np.float64)

    def call(point: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(f(point[()] if at.is_number else point.copy(), *parameters))

    value = call(values).astype(np.float64)
    if given.shape != value.shape + values.shape:
        raise ValueError(
            f"the derivatives have shape {given.shape}; for a result of shape {value.shape} and x of shape "
            f"{values.shape} it has to be {value.shape + values.shape}"
        )
    columns = [_compared(call, values, value, i, given.reshape(value.size, -1)[:, i], rtol) for i in range(values.size)]
    return _judged(given, value.shape + values.shape, columns)


class _Column(NamedTuple):
    """Of one entry of x, for each result: what it was compared with, and the verdict as a number: 0 agrees, 1 kink,
    2 unknown, 3 wrong."""

    differences: Array
    uncertainty: Array
    verdict: Array


_VERDICTS = ("agrees", "kink", "unknown", "wrong")


def _judged(given: Array, shape: tuple[int, ...], columns: list[_Column]) -> GradientCheck:
    def joined(parts: list[Array]) -> Array:
        return np.stack(parts, axis=1).reshape(shape) if parts else np.zeros(shape)

    differences, uncertainty = joined([c.differences for c in columns]), joined([c.uncertainty for c in columns])
    verdicts = joined([c.verdict for c in columns])
    worst = int(verdicts.max(initial=0))
    if not worst:
        return GradientCheck(
            "agrees", None, given, differences, uncertainty, _agreement(given, differences, uncertainty)
        )
    with np.errstate(all="ignore"):
        off = np.nan_to_num(np.abs(given - differences) / np.maximum(uncertainty, 1e-300), nan=np.inf)
    entry = tuple(int(i) for i in np.unravel_index(int(np.argmax(np.where(verdicts == worst, off, -1.0))), shape))
    name = f"entry [{', '.join(map(str, entry))}]" if entry else "the derivative"
    numbers = f"{name} is {given[entry]:.10g}, differences give {differences[entry]:.10g}"
    message = {
        1: f"kink: {numbers} on average of both sides: the function has a corner here, and the derivative lies between",
        2: f"unknown: {numbers} (off by at most {uncertainty[entry]:.2g}), which is too inaccurate to judge",
        3: f"wrong: {numbers} (off by at most {uncertainty[entry]:.2g})",
    }[worst]
    return GradientCheck(_VERDICTS[worst], entry, given, differences, uncertainty, message)


def _agreement(given: Array, differences: Array, uncertainty: Array) -> str:
    largest = float(np.max(np.abs(given - differences), initial=0.0))
    return (
        f"agrees: {given.size} derivatives differ from differences by at most {largest:.2g}, and these may be off by "
        f"{float(np.max(uncertainty, initial=0.0)):.2g}"
    )


def _compared(call: Callable[[Array], Array], x: Array, value: Array, i: int, given: Array, rtol: float) -> _Column:
    flat_value = value.ravel()
    slopes = _differences(call, x, flat_value, i)
    best, error = slopes.central, slopes.central_error
    for side, side_error in ((slopes.left, slopes.left_error), (slopes.right, slopes.right_error)):
        one_sided = ~np.isfinite(best) & np.isfinite(side)  # at the edge of where f is defined
        best, error = np.where(one_sided, side, best), np.where(one_sided, side_error, error)
    complex_step = _complex_step(call, x, i, len(flat_value))
    with np.errstate(all="ignore"):
        confirmed = np.abs(complex_step - best) <= error
        vague = confirmed & (error > _SHARP * np.abs(complex_step))
        if vague.any():  # that proves nothing where the differences may be off by as much as that
            confirmed &= ~vague | _takes_complex(call, x, i, len(flat_value))
        sharp = np.abs(complex_step) * 1e-12
        best, error = np.where(confirmed, complex_step, best), np.where(confirmed, np.minimum(sharp, error), error)
        agrees = np.abs(given - best) <= error + rtol * np.maximum(np.abs(given), np.abs(best))
        # A corner: the sides disagree by more than they may be off, and the derivative lies between them.
        gap = np.abs(slopes.left - slopes.right) > 4 * (slopes.left_error + slopes.right_error)
        slack = slopes.left_error + slopes.right_error + rtol * np.abs(given)
        between = (given >= np.minimum(slopes.left, slopes.right) - slack) & (
            given <= np.maximum(slopes.left, slopes.right) + slack
        )
        kink = gap & between
        useless = ~np.isfinite(best) | ~np.isfinite(error) | (error > 0.05 * np.maximum(np.abs(best), np.abs(given)))
        unknown = useless & ~agrees & ~(np.abs(given - best) > 10 * error)
    verdict = np.where(kink, 1, np.where(agrees & ~np.isnan(best), 0, np.where(unknown | np.isnan(best), 2, 3)))
    return _Column(best, error, verdict)


def _scale_of(x: float, of_zero: float) -> float:
    if x == 0:
        return of_zero
    return abs(x) if abs(x) >= _SMALLEST else _SMALL


def _complex_step(call: Callable[[Array], Array], x: Array, i: int, n: int) -> Array:
    """The imaginary part of f a little beside x; NaN where f does not take complex numbers."""
    scale = _scale_of(float(x.flat[i]), 1.0)
    point = x.astype(np.complex128)
    point.flat[i] += 1j * scale * 1e-20
    try:
        result = call(point)
    except Exception:  # whatever f does with complex numbers, it is not asked to take them
        return np.full(n, np.nan)
    if result.dtype.kind != "c" or result.size != n:
        return np.full(n, np.nan)
    return np.asarray(result.imag.ravel() / (scale * 1e-20))


def _takes_complex(call: Callable[[Array], Array], x: Array, i: int, n: int) -> Array:
    """Whether complex steps are right further away, to both sides, where differences are sharp enough to tell: they are
    not through abs, whose complex form has another slope."""
    scale = float(np.max(np.abs(x), initial=0.0)) or 1.0
    seen, right = np.zeros(n, bool), np.ones(n, bool)
    for moved in (scale, -scale):
        point = x.copy()
        point.flat[i] += moved
        steps = _complex_step(call, point, i, n)
        slopes = _differences(call, point, _value_at(call, point, n), i)
        sharp = slopes.central_error <= _SHARP * np.abs(slopes.central)
        seen |= sharp
        right &= ~sharp | (np.abs(steps - slopes.central) <= slopes.central_error)
    return seen & right


def _differences(call: Callable[[Array], Array], x: Array, value: Array, i: int) -> _Slopes:
    """The best of differences over all steps."""
    x_i = float(x.flat[i])
    scale = _scale_of(x_i, float(np.max(np.abs(x), initial=0.0)) or 1.0)
    steps, up, down = [], [], []
    for k in range(1, _STEPS + 1):
        point = x.copy()
        point.flat[i] = x_i + scale * _RATIO**-k
        h = float(point.flat[i]) - x_i  # what is added after rounding
        if h <= 0:
            break
        up.append(_value_at(call, point, value.size))
        point.flat[i] = x_i - h
        down.append(_value_at(call, point, value.size))
        steps.append(h)
    widths = np.array(steps)[:, None]
    plus, minus = np.array(up), np.array(down)
    with np.errstate(all="ignore"):
        sizes = np.maximum(np.maximum(np.abs(plus), np.abs(minus)), np.abs(value))
        noise = 4 * np.maximum(_EPS * sizes, _LEAST) / widths
        still = (plus == value) & (minus == value)
        central = _best((plus - minus) / (2 * widths), noise, still, 2)
        right = _best((plus - value) / widths, 2 * noise, still, 1)
        left = _best((value - minus) / widths, 2 * noise, still, 1)
        # Points are rounded as well: beside a maximum differences may say 0 where the slope at x is a rounding of x.
        k = min(2, len(steps) - 1)
        bend = np.abs(plus[k] - 2 * value + minus[k]) / widths[k] ** 2 if steps else np.zeros(value.size)
        of_points = 2 * _EPS * abs(x_i) * np.nan_to_num(bend, posinf=0.0)
    central, left, right = ((slope, np.maximum(error, of_points)) for slope, error in (central, left, right))
    return _Slopes(*central, *left, *right)


def _value_at(call: Callable[[Array], Array], point: Array, n: int) -> Array:
    try:
        result = call(point)
    except (ValueError, ArithmeticError, np.linalg.LinAlgError):  # outside of where f is defined
        return np.full(n, np.nan)
    return (
        np.asarray(result, np.float64).ravel() if result.dtype.kind != "c" and result.size == n else np.full(n, np.nan)
    )


def _best(slopes: Array, noise: Array, still: Array, order: int) -> tuple[Array, Array]:
    """Extrapolated to step 0 from neighbouring steps, with the error: how much the extrapolation moves to the next
    step and the one after, and the rounding of the values.

    Where the values stand still, the slope may be 0, or a large number in between may have swallowed the steps: then
    larger steps tell of another slope, and the difference is what either may be off.
    """
    n = slopes.shape[1]
    factor = _RATIO**order
    finer = (factor * slopes[1:] - slopes[:-1]) / (factor - 1)
    rounding = noise[1:] * (factor + 1) / (factor - 1)
    if len(finer) < 3:
        return np.full(n, np.nan), np.full(n, np.inf)
    moves = np.abs(np.diff(finer, axis=0))
    error = 2 * np.maximum(moves[:-1], moves[1:]) + rounding[1:-1]
    error[~np.isfinite(error)] = np.inf
    best = np.argmin(error, axis=0)
    columns = np.arange(n)
    found, least = finer[1:-1][best, columns], error[best, columns]
    swallowed = still[1:-2]
    moving = np.where(swallowed, np.inf, error)
    other = np.argmin(moving, axis=0)
    gap = np.abs(found - finer[1:-1][other, columns])
    doubt = swallowed[best, columns] & (gap > least + moving[other, columns])
    least = np.where(doubt, gap, least)
    return np.where(np.isfinite(least), found, np.nan), least
