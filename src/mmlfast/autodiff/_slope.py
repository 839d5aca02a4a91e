"""derivative: of functions of one variable, at one point or many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import mmlfast.autodiff._transforms as transforms
from mmlfast._common.fast_path import fast_path
from mmlfast._common.kept import when_functions_go
from mmlfast.autodiff._derived import Derived
from mmlfast.autodiff._directions import made
from mmlfast.autodiff._function import Function, as_result
from mmlfast.autodiff._recording import Recording, as_argument, function_name, place_of, without_gaps
from mmlfast.autodiff._taylor import derivatives_by_series, overflows_at
from mmlfast.autodiff._trace import Ids, trace_of


class Slope(Derived):
    """The derivative of some order of a function of one number."""

    _what = "derivative"

    def __init__(self, f: Callable[..., Any], order: int) -> None:
        super().__init__(f)
        self._order = order

    def _options(self) -> tuple[Any, ...]:
        return (self._order,)

    def _check(self, seen: Recording) -> None:
        if seen.result.shape != seen.x.shape:
            raise TypeError(
                f"derivative needs a function that gives one number for one number; {function_name(self._f)}"
                f"{place_of(self._f)} gives an array of shape {seen.result.shape} for one of shape {seen.x.shape}: "
                f"jacobian and grad are for these"
            )

    def _transform(self, seen: Recording) -> tuple[list[Ids], Any]:
        trace, x, out, _ = seen
        ones = np.broadcast_to(trace.scalar(1.0), x.shape)
        for _ in range(self._order):
            out = without_gaps(trace, transforms.pushforward(trace, x, ones, out))
        return [out], None


# Orders that a tape of repeated derivatives stays small for.
_MOST_BY_TAPE = 4


# Functions whose first derivatives were asked for last, each followed by its Slope: both coordinates of a curve.
_remembered: list[Any] = []
_MOST_REMEMBERED = 2


def _remember(f: Callable[..., Any], slope: Slope) -> None:
    """The next call of `derivative` with f and a float goes straight to the slope, in a third of the time."""
    _remembered[:] = [f, slope, *_remembered[: 2 * _MOST_REMEMBERED - 2]]
    derivative._remember(tuple(_remembered))  # type: ignore[attr-defined]


@when_functions_go
def _forget() -> None:
    _remembered.clear()
    derivative._remember(())  # type: ignore[attr-defined]


@fast_path()
def derivative(f: Callable[..., Any], x: Any, order: int = 1) -> Any:
    """The derivative of a function of one variable, at one point or at each of many.

    Parameters
    ----------
    f : callable
        A function of one number that gives one number: a plain function of NumPy, or a `Function`.
    x : array-like
        Points, in any shape.
    order : int
        How many times f is differentiated, to 170; 0 is f itself. From order 2 on by Taylor series (`taylor`).

    Returns
    -------
    ndarray
        Of the shape of x.

    Examples
    --------
    >>> import numpy as np
    >>> from mmlfast.autodiff import derivative
    >>> derivative(lambda t: t**3, [1.0, 2.0]).tolist()
    [3.0, 12.0]
    >>> float(derivative(np.sin, 0.0, order=3))
    -1.0
    """
    if isinstance(order, np.integer):
        order = int(order)
    if type(order) is not int or not 0 <= order <= 170:
        raise ValueError(
            f"order must be an integer of 0 to 170, got {order!r} (taylor gives coefficients, which do not grow like "
            f"order!)"
        )
    try:
        slope = made(f, Slope, order)  # as derived does; one call less is a quarter of the time
        if order == 1 and type(x) is float:
            _remember(f, slope)
    except TypeError:  # not hashable
        slope = Slope(f, order)
    if (isinstance(x, float) and order <= 1) or trace_of((x,)) is not None:  # a number: nothing to look at
        return slope(x)
    points = as_argument(x, "x").values
    if order > 1 and (found := derivatives_by_series(f, points, order)) is not None:
        lost = np.asarray(~np.isfinite(found))
        if order <= _MOST_BY_TAPE and lost.any() and not (isinstance(f, Function) and f.x_shape):
            lost[lost] = [overflows_at(f, t, order) for t in points[lost]]  # 1 / cosh(t), which the tape goes around
            if lost.any():
                found[lost] = slope.batch(points[lost])
        return as_result(found, points.dtype.char == "f")
    if not points.ndim:
        return slope(points[()])
    return slope.batch(points.reshape(-1)).reshape(points.shape)
