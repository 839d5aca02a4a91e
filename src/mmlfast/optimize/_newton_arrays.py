"""newton for an array of starts, and for a system of equations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mmlfast._common.errors import warn_caller
from mmlfast.optimize._callables import GIVEN, Taken, first_at, given_is_wrong, take, why
from mmlfast.optimize._newton_many import (
    ATTAINABLE,
    CONVERGED,
    MEANINGS,
    NO_SLOPE,
    RUNNING,
    STALLED,
    WORDS,
    Ends,
    as_one_number,
    of_arrays,
    of_one,
    summary,
)

Array = np.ndarray[Any, Any]

# From so many entries on, f is traced as a function of one number first.
_MANY = 64


class Settings(NamedTuple):
    """What a call of `newton` says beside its functions and its start."""

    args: tuple[Any, ...]
    limit: int
    wanted: tuple[float, float]
    full_output: bool
    disp: bool


class NewtonArray(NamedTuple):
    """What `newton` gives for an array of starts with ``full_output=True``.

    Attributes
    ----------
    root : ndarray
        NaN where there is none.
    converged : ndarray of bool
    zero_der : ndarray of bool
        Where the derivative was zero.
    status : ndarray of int8
        As of `newton_many`.
    iterations : ndarray of int32
    message : str

    Examples
    --------
    >>> import numpy as np
    >>> from mmlfast.optimize import newton
    >>> newton(lambda x: x**2 - 4, np.array([1.0, -3.0]), full_output=True).root.tolist()
    [2.0, -2.0]
    """

    root: Array
    converged: Array
    zero_der: Array
    status: Array
    iterations: Array
    message: str


def newton_of_array(
    func: Callable[..., Any],
    x0: Array,
    fprime: Callable[..., Any] | None,
    fprime2: Callable[..., Any] | None,
    settings: Settings,
) -> Any:
    args, limit = settings.args, settings.limit
    if fprime is None and x0.size >= _MANY and (found := as_one_number(func, x0, args, ATTAINABLE, limit)) is not None:
        return array_answer(found[1], x0.shape, settings)
    taken = take(func, x0, args, name="func", traced=fprime is None)
    if taken.first.size != x0.size:
        raise ValueError(
            f"func gives an array of shape {taken.first.shape} for x0 of shape {x0.shape}: as many numbers"
        )
    jacobian = first_at(fprime, args)(x0) if fprime is not None else None
    if x0.ndim == 1 and _is_system(taken, x0, jacobian):
        return _system_answer(taken, fprime, x0, settings)
    if fprime is not None:
        slope = first_at(fprime, args)
    elif taken.recorded is not None:
        slope = _second_of(taken.program("value, slope"))
    else:
        slope = _difference(taken.called)
    value = taken.value if taken.recorded is not None else taken.called
    bend = first_at(fprime2, args) if fprime2 is not None else None
    ends = of_arrays(value, slope, x0, ATTAINABLE, limit, bend)
    return array_answer(ends, x0.shape, settings, why(taken) if fprime is None else "")


def _second_of(program: Callable[[Array], list[Array]]) -> Callable[[Array], Array]:
    return lambda x: program(x)[1]


def _difference(f: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """Of a function of each entry, which takes them all at once."""

    def slope(x: Array) -> Array:
        h = 2.0**-17 * np.where(x == 0, np.abs(x).max() or 1.0, np.abs(x))
        return np.asarray((f(x + h) - f(x - h)) / ((x + h) - (x - h)))

    return slope


def _is_system(taken: Taken, x0: Array, jacobian: Array | None) -> bool:
    """Whether an entry of the result depends on another entry of x."""
    if jacobian is not None:
        return bool(jacobian.shape == (x0.size, x0.size))
    if taken.recorded is not None:
        indptr, indices = taken.recorded.jacobian_pattern()
        rows = np.repeat(np.arange(x0.size), np.diff(indptr))
        return bool(np.any(rows != indices))
    moved = x0.copy()
    moved[0] += (abs(moved[0]) or 1.0) * 2.0**-10
    with np.errstate(all="ignore"):
        after = taken.called(moved).reshape(-1)
    return not np.array_equal(after[1:], taken.first.reshape(-1)[1:], equal_nan=True)


def array_answer(ends: Ends, shape: tuple[int, ...], settings: Settings, note: str = "") -> Any:
    status = ends.status.reshape(shape)
    good = (status == CONVERGED) | (status == STALLED)
    message = f"{summary(status)}. {note}".rstrip(" ")
    if not good.any() and good.size and settings.disp and not settings.full_output:
        raise RuntimeError(f"newton: {message}")
    root = np.where(good, ends.x.reshape(shape), np.nan)
    if not good.all() and not settings.full_output:
        warn_caller(f"newton: {message}")
    if not root.ndim:
        root = root[()]
    if not settings.full_output:
        return root
    return NewtonArray(root, good, status == NO_SLOPE, status, ends.n_iter.reshape(shape), message)


def _system_answer(taken: Taken, fprime: Callable[..., Any] | None, x0: Array, settings: Settings) -> Any:
    jacobian: Callable[[Array], Array] = taken.jacobian
    note = why(taken) if fprime is None else ""
    if fprime is not None:
        jacobian = first_at(fprime, taken.args)
        note = given_is_wrong(taken, jacobian(x0), x0, "fprime")
    path = [x0]
    value = taken.value if taken.recorded is not None else taken.called
    x, status, n_iter = of_one(value, jacobian, x0, ATTAINABLE, settings.limit, path)
    last = float(np.abs(path[-1] - path[-2]).max()) if len(path) > 1 else np.inf
    absolute, relative = settings.wanted
    good = status in (CONVERGED, STALLED)
    good = good or (status == RUNNING and last <= absolute + relative * float(np.abs(x).max()))
    message = f"{'converged' if good else MEANINGS[status]} in {n_iter} steps. {note}".rstrip(" ")
    if not good and settings.disp:
        raise RuntimeError(f"newton: a system of {x.size} equations: {message}")
    if not settings.full_output:
        if not good:
            warn_caller(f"newton: {message}")
        return x
    from scipy.optimize import RootResults

    result = RootResults(x, n_iter, taken.calls + n_iter, 0 if good else -2, "newton")
    result.status, result.history = ("converged" if good else WORDS[status]), np.array(path)
    result.derivatives, result.message = (GIVEN if fprime is not None else taken.derivatives), message
    return x, result


def newton_of_complex(
    func: Callable[..., Any],
    fprime: Callable[..., Any] | None,
    fprime2: Callable[..., Any] | None,
    x0: Array,
    args: tuple[Any, ...],
    limit: int,
) -> Ends:
    """Complex numbers are not traced: func is called as it is."""
    f = first_at(func, args)
    slope = first_at(fprime, args) if fprime is not None else _difference(f)
    return of_arrays(f, slope, x0, ATTAINABLE, limit, first_at(fprime2, args) if fprime2 is not None else None)
