"""The linear function that touches a function at a point, and how far it is off elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import mmlfast.autodiff._transforms as transforms
from mmlfast.autodiff._derivatives import Jacobian
from mmlfast.autodiff._derived import Derived
from mmlfast.autodiff._errors import refuse
from mmlfast.autodiff._recording import Recording, as_argument
from mmlfast.autodiff._trace import Ids, trace_of

Array = np.ndarray[Any, Any]

# Points of the way from x0 to x at which the second derivative is looked at: Chebyshev's, which crowd towards the ends.
_NODES = 0.5 - 0.5 * np.cos(np.pi * np.arange(17) / 16)


class _Second(Derived):
    """Value and second derivative along a direction, the last argument."""

    _what = "second derivative"
    _is_tuple = True
    _has_directions = True

    def _transform(self, seen: Recording) -> tuple[list[Ids], Any]:
        trace, x, result, parameters = seen
        first = transforms.pushforward(trace, x, parameters[-1], result)
        present = first.ravel() >= 0
        second = np.full(first.shape, -1, np.int32)
        second.ravel()[present] = transforms.pushforward(trace, x, parameters[-1], first.ravel()[present])
        return [result, second], None


class _WithoutLast:
    """A function that ignores its last argument, which is a direction."""

    def __init__(self, f: Callable[..., Any]) -> None:
        self.f = f

    def __call__(self, *args: Any) -> Any:
        return self.f(*args[:-1])

    @property
    def _watched(self) -> tuple[Any, ...]:
        return (self.f,)


class Linearization:
    """The linear approximation of a function at a point: made by `linearize`.

    Attributes
    ----------
    x0 : ndarray
        The point.
    value : ndarray
        The function there.
    slope : ndarray
        Its derivatives there: the shape of the value followed by that of the point.

    Examples
    --------
    >>> import numpy as np
    >>> from mmlfast.autodiff import linearize
    >>> line = linearize(np.exp, 0.0)
    >>> float(line(0.1)), round(float(line.error(0.1)), 6), round(float(line.error_bound(0.1)), 6)
    (1.1, 0.005, 0.005526)
    """

    def __init__(self, f: Callable[..., Any], x0: Any, parameters: tuple[Any, ...]) -> None:
        if trace_of((x0, *parameters)) is not None:
            refuse("linearize inside of a traced function", "jvp gives the value and the slope along a direction")
        x = as_argument(x0, "x0")
        self.x0: Any = x.values[()] if not x.values.ndim else x.values.copy()
        self._parameters = parameters
        self._second = _Second(_WithoutLast(f))
        self.slope = Jacobian(f, 0, False)(self.x0, *parameters)
        self.value = self._along(self.x0, np.zeros(np.shape(self.x0)))[0]

    def _along(self, x: Any, direction: Any) -> Any:
        return self._second(x, *self._parameters, direction)

    def _difference(self, x: Any) -> Array:
        values = as_argument(x, "x").values
        if values.shape != np.shape(self.x0):
            raise ValueError(f"x has shape {values.shape}, x0 has shape {np.shape(self.x0)}: they must be equal")
        return np.asarray(values - np.asarray(self.x0))

    def __call__(self, x: Any) -> Any:
        """value + slope (x - x0)."""
        d = self._difference(x)
        return self.value + np.tensordot(self.slope, d, axes=d.ndim) if d.ndim else self.value + self.slope * d[()]

    def error(self, x: Any) -> Any:
        """The term of second order that the line leaves out: half the second derivative at x0 times (x - x0) squared.

        For small steps this is the error f(x) - line(x) but for terms of third order.

        Parameters
        ----------
        x : array-like

        Returns
        -------
        ndarray
            Of the shape of the value.
        """
        return self._along(self.x0, self._difference(x))[1] / 2

    @np.errstate(all="ignore")
    def error_bound(self, x: Any) -> Any:
        """Lagrange's form of the error: half the largest second derivative on the way from x0 to x, times (x - x0)
        squared. The way is looked at in 17 points, so it is an estimate where the second derivative jumps between them.

        Parameters
        ----------
        x : array-like

        Returns
        -------
        ndarray
            Of the shape of the value, not negative.
        """
        d = self._difference(x)
        points = np.asarray(self.x0) + np.multiply.outer(_NODES, d)
        second = self._second.batch(points, *self._parameters, d)[1]
        return np.max(np.abs(second), axis=0) / 2

    def __repr__(self) -> str:
        return f"<Linearization at {self.x0}: value {self.value}, slope {self.slope}>"


def linearize(f: Callable[..., Any], x0: Any, *parameters: Any) -> Linearization:
    """The best linear approximation of a function near a point, with its error.

    Parameters
    ----------
    f : callable
        A plain function of NumPy, or a `Function`.
    x0 : array-like
        The point.
    *parameters : array-like
        Further arguments of f.

    Returns
    -------
    Linearization
        A function of x, with ``value``, ``slope``, ``error(x)`` (the term of second order) and ``error_bound(x)``
        (Lagrange's remainder).

    Examples
    --------
    >>> import numpy as np
    >>> from mmlfast.autodiff import linearize
    >>> plane = linearize(lambda v: v[0] ** 2 + v[1], np.array([1.0, 2.0]))
    >>> float(plane(np.array([1.1, 2.0]))), plane.slope.tolist()
    (3.2, [2.0, 1.0])
    >>> round(float(plane.error(np.array([1.1, 2.0]))), 12)
    0.01
    """
    return Linearization(f, x0, parameters)
