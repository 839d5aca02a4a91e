"""newton, with the signature of scipy.optimize.newton: one number, many numbers, systems of equations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mmlfast._common.arrays import as_float, as_integer, as_real
from mmlfast._common.errors import warn_caller
from mmlfast.optimize._callables import GIVEN, ComplexResult, Taken, given_is_wrong, take, why
from mmlfast.optimize._newton_arrays import Settings, array_answer, newton_of_array, newton_of_complex
from mmlfast.optimize._newton_many import (
    ATTAINABLE,
    CONVERGED,
    CYCLE,
    NO_ROOT,
    NO_SLOPE,
    NOT_FINITE,
    RUNNING,
    STALLED,
    WORDS,
    checked,
)

Array = np.ndarray[Any, Any]

_EPS = float(np.finfo(np.float64).eps)


def newton(
    func: Callable[..., Any],
    x0: Any,
    fprime: Callable[..., Any] | None = None,
    args: tuple[Any, ...] = (),
    tol: float | None = None,
    maxiter: int = 50,
    fprime2: Callable[..., Any] | None = None,
    x1: Any = None,
    rtol: float = 0.0,
    full_output: bool = False,
    disp: bool = True,
) -> Any:
    """Find a root of a function by Newton's method: of one number, of each entry of an array, or of a system.

    Derivatives are exact where `func` can be traced: without `fprime` this is Newton's method, and not the secant one.
    The iteration goes on until rounding ends it, and it says how it ended if that was not at a root.

    Parameters
    ----------
    func : callable
        ``func(x, *args)``. For an array x0 it is a function of each entry, as in SciPy, or a system of as many
        equations as unknowns; which of both is read off its derivatives.
    x0 : float or array-like
        Where to start.
    fprime : callable, optional
        The derivative; the Jacobian of a system. It is compared with that of `func` at the start.
    args : tuple
        Further arguments of the functions.
    tol : float, optional
        An error of the root that is good enough if `maxiter` steps do not reach rounding.
    maxiter : int
        The most steps.
    fprime2 : callable, optional
        The second derivative: steps are Halley's.
    x1 : float, optional
        A second start: the secant method, without derivatives.
    rtol : float
        As `tol`, relative to the root.
    full_output : bool
        Also return how it went.
    disp : bool
        Whether to raise RuntimeError if there is no root. Of an array, only if none of its entries has one; else those
        without are NaN, with a warning.

    Returns
    -------
    root : float or ndarray
    r : scipy.optimize.RootResults
        With ``full_output=True``: converged, iterations, function_calls, flag; and ``status`` (a word), ``history``
        (all x), ``derivatives``, ``message``. For an array a `NewtonArray` is the only result.

    Raises
    ------
    RuntimeError
        If there is no root: with the reason.

    Warns
    -----
    mmlfast.ConvergenceWarning
        If some entries of an array have no root.

    Examples
    --------
    >>> import numpy as np
    >>> from mmlfast.optimize import newton
    >>> newton(lambda x: x**3 - 1, 1.5)
    1.0
    >>> newton(lambda v: np.stack([v[0] ** 2 + v[1] ** 2 - 4, v[0] * v[1] - 1]), [2.0, 0.5]).round(6).tolist()
    [1.931852, 0.517638]
    >>> newton(lambda x: x**3 - 2 * x + 2, 0.0)
    Traceback (most recent call last):
    ...
    RuntimeError: newton: it goes round in a cycle of 2 points: 1, 0; ...
    """
    limit = as_integer(maxiter, "maxiter", 1)
    wanted = _wanted(tol, rtol)
    given: Any = args
    args = tuple(given) if isinstance(given, list | tuple) else (given,)
    settings = Settings(args, limit, wanted, full_output, disp)
    if not _is_complex(x0):
        start = np.array(as_float(x0, "x0"), np.float64)
        try:
            return _of_real(func, start, fprime, fprime2, x1, settings)
        except ComplexResult:
            pass
    ends = newton_of_complex(func, fprime, fprime2, np.asarray(x0, np.complex128), args, limit)
    return array_answer(ends, np.shape(x0), settings)


def _is_complex(x0: Any) -> bool:
    return isinstance(x0, complex) or (
        isinstance(x0, list | np.ndarray | np.generic) and np.asarray(x0).dtype.kind == "c"
    )


def _of_real(
    func: Callable[..., Any],
    start: Array,
    fprime: Callable[..., Any] | None,
    fprime2: Callable[..., Any] | None,
    x1: Any,
    settings: Settings,
) -> Any:
    if start.ndim and start.size != 1:
        return newton_of_array(func, start, fprime, fprime2, settings)
    number = start.reshape(())
    if x1 is not None:
        run = _secant(func, float(number), as_real(x1, "x1"), settings.args, settings.limit)
    else:
        run = _of_number(func, fprime, fprime2, start, settings.args, settings.limit)
    return _number_answer(run, settings, start.shape)


def _wanted(tol: float | None, rtol: float) -> tuple[float, float]:
    absolute = 0.0 if tol is None else as_real(tol, "tol")
    relative = as_real(rtol, "rtol")
    if tol is not None and not absolute > 0:
        raise ValueError(f"tol must be greater than 0, got {tol}")
    if not relative >= 0:
        raise ValueError(f"rtol must not be negative, got {rtol}")
    return absolute, relative


# ---- one number ----


class _Run(NamedTuple):
    """How one iteration went."""

    path: list[float]
    status: int
    last_step: float
    calls: int
    derivatives: str
    note: str
    method: str


def _of_number(
    func: Callable[..., Any],
    fprime: Callable[..., Any] | None,
    fprime2: Callable[..., Any] | None,
    start: Array,
    args: tuple[Any, ...],
    limit: int,
) -> _Run:
    x0 = start if start.ndim else float(start)
    taken = take(func, x0, args, name="func")
    if taken.first.size != 1:
        raise ValueError(f"func must give one number for x0, got an array of shape {taken.first.shape}")
    note = ""
    slope, bend = _derivatives(taken, fprime, fprime2, args)
    if fprime is not None:
        note = given_is_wrong(taken, fprime(x0, *args), start, "fprime")
    calls = [0]

    def at(x: float) -> tuple[float, float, float]:
        point = np.full(start.shape, x)
        calls[0] += 1
        with np.errstate(all="ignore"):
            value = float(taken.value(point).reshape(()))
            return value, slope(point), (bend(point) if bend is not None else 0.0)

    path, status, last = _iterate(at, float(start.reshape(())), limit)
    if status == STALLED and not _is_lowest(lambda x: at(x)[0], path[-1]):
        status = NO_ROOT
    derivatives = GIVEN if fprime is not None else taken.derivatives
    if fprime is None:
        note = why(taken)
    method = "halley" if fprime2 is not None else "newton"
    return _Run(path, status, last, calls[0] + taken.calls, derivatives, note, method)


def _derivatives(
    taken: Taken, fprime: Callable[..., Any] | None, fprime2: Callable[..., Any] | None, args: tuple[Any, ...]
) -> tuple[Callable[[Array], float], Callable[[Array], float] | None]:
    def call(f: Callable[..., Any]) -> Callable[[Array], float]:
        return lambda x: float(np.asarray(f(np.float64(x) if taken.is_number else x.copy(), *args)).reshape(()))

    slope = call(fprime) if fprime is not None else lambda x: float(taken.jacobian(x).reshape(()))
    return slope, call(fprime2) if fprime2 is not None else None


def _iterate(at: Callable[[float], tuple[float, float, float]], x: float, limit: int) -> tuple[list[float], int, float]:
    """x on the way, how it ended, and the length of the last step. A root of order m makes steps shrink by (m - 1) / m:
    once that is seen, a step of m times the length is tried."""
    path, moved, ratios = [x], np.inf, [0.0, 0.0]
    for _ in range(limit):
        value, d, second = at(x)
        if value == 0:
            return path, CONVERGED, 0.0
        if not np.isfinite(value):
            return path, NOT_FINITE, moved
        if d == 0:
            return path, NO_SLOPE, moved
        step = value / d
        bend = step * second / d / 2
        if abs(bend) < 1:
            step /= 1 - bend
        ratio, jumps = abs(step) / moved if moved < np.inf else 0.0, False
        if ratio > 0.4 and all(abs(r - ratio) < 0.02 * ratio for r in ratios):
            order = round(1 / (1 - ratio)) if ratio < 0.95 else 1
            further = x - order * step
            there = at(further)[0] if order > 1 else np.inf
            if abs(there) < 0.1 * abs(value):  # a single step leaves ((m - 1) / m)**m of it, a quarter or more
                step, ratio = order * step, 0.0
                jumps = True
        ratios = [ratios[1], ratio]
        to = x - step
        if not np.isfinite(to):
            return path, NOT_FINITE, abs(step)
        if abs(step) <= ATTAINABLE * abs(to):
            if len(path) <= 2 and not _is_lowest(lambda t: at(t)[0], to):
                return [*path, to], NO_ROOT, abs(step)
            return [*path, to], CONVERGED, abs(step)
        if not jumps and abs(step) <= 1e-5 * abs(to) and abs(step) >= moved:
            return path, STALLED, abs(step)
        path.append(to)
        if _came_back(path, abs(step)):
            return path, CYCLE, abs(step)
        x, moved = to, abs(step)
    return path, RUNNING, moved


def _came_back(path: list[float], step: float) -> bool:
    """To where it was up to eight steps ago."""
    x = path[-1]
    if step <= 1e-5 * abs(x):
        return False
    return any(abs(x - before) <= 1e-7 * step for before in path[-9:-1])


def _is_lowest(f: Callable[[float], float], x: float) -> bool:
    status = checked(lambda p: np.array([f(float(t)) for t in p]), np.array([x]), np.array([STALLED]))
    return int(status[0]) == STALLED


def _secant(func: Callable[..., Any], x0: float, x1: float, args: tuple[Any, ...], limit: int) -> _Run:
    if x1 == x0:
        raise ValueError("x1 and x0 must be different")
    taken = take(func, x0, args, name="func", traced=False)

    def at(x: float) -> float:
        return float(taken.called(np.asarray(x)).reshape(()))

    path, values = [x0, x1], [float(taken.first.reshape(())), at(x1)]
    status, last = RUNNING, abs(x1 - x0)
    if abs(values[0]) < abs(values[1]):
        path, values = path[::-1], values[::-1]
    for _ in range(limit):
        if values[-1] == 0:
            status = CONVERGED
            break
        if not np.isfinite(values[-1]):
            status = NOT_FINITE
            break
        if values[-1] == values[-2]:
            status = NO_SLOPE
            break
        step = values[-1] * (path[-1] - path[-2]) / (values[-1] - values[-2])
        to = path[-1] - step
        small = abs(step) <= 1e-5 * abs(to)
        if abs(step) <= ATTAINABLE * abs(to) or (small and abs(step) >= last):
            status = CONVERGED if _is_lowest(at, path[-1]) else NO_ROOT
            break
        path.append(to)
        values.append(at(to))
        last = abs(step)
    return _Run(path, status, last, taken.calls, "none: the secant method", "", "secant")


def _number_answer(run: _Run, settings: Settings, shape: tuple[int, ...]) -> Any:
    root = run.path[-1]
    absolute, relative = settings.wanted
    converged = run.status in (CONVERGED, STALLED)
    if run.status == RUNNING and run.last_step <= absolute + relative * abs(root):
        converged = abs(root) > run.last_step or root == 0 or absolute <= abs(root)
    message = _explained(run, converged)
    if not converged and settings.disp:
        raise RuntimeError(f"newton: {message}")
    answer: Any = np.full(shape, root) if shape else float(root)
    if not settings.full_output:
        if not converged:
            warn_caller(f"newton: {message}")
        return answer
    from scipy.optimize import RootResults  # takes a while to import, and not all need it

    result = RootResults(answer, len(run.path) - 1, run.calls, 0 if converged else -2, run.method)
    result.status = WORDS[run.status] if not converged else "converged"
    result.history = np.array(run.path)
    result.derivatives = run.derivatives
    result.message = message
    return answer, result


def _explained(run: _Run, converged: bool) -> str:
    """In words, with the numbers that show it."""
    path, n = run.path, len(run.path) - 1
    x = path[-1]
    note = f" {run.note}" if run.note else ""
    if converged:
        return f"converged to {x:.17g} in {n} steps.{note}"
    if run.status == NO_SLOPE:
        return f"the derivative is zero at {x:.10g} (step {n}), where func is not: start elsewhere.{note}"
    if run.status == CYCLE:
        length = next(k for k in range(1, len(path)) if abs(path[-1 - k] - x) <= 1e-7 * run.last_step)
        points = ", ".join(f"{p:.10g}" for p in path[len(path) - length :])
        return f"it goes round in a cycle of {length} points: {points}; start elsewhere.{note}"
    if run.status == NO_ROOT:
        return f"the steps become small at {x:.10g}, where func does not: a pole, or no root.{note}"
    if run.status == NOT_FINITE:
        return f"func or x is not finite after {n} steps, the last x was {x:.6g}: it diverges, start elsewhere.{note}"
    steps = np.abs(np.diff(path))
    if len(steps) > 3 and np.all(steps[-3:] < steps[-4:-1]) and steps[-1] < 0.1 * steps.max():
        return (
            f"slow: after {n} steps x = {x:.10g} still moves by {run.last_step:.2g}, {steps[-1] / steps[-2]:.2g} of "
            f"the step before (a multiple root?): raise maxiter, or give the tol that is good enough.{note}"
        )
    if abs(x) > 1e3 * (1 + abs(path[0])) or (len(steps) > 3 and np.all(np.diff(np.abs(path[-4:])) > 0)):
        return f"it diverges: x = {x:.6g} after {n} steps: start elsewhere.{note}"
    return f"no root after {n} steps, which wander between {min(path):.6g} and {max(path):.6g}.{note}"
