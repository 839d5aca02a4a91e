"""Newton's method from many starts at once: each start is an iteration of its own, with an end of its own."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mmlfast import _core
from mmlfast._common.arrays import as_float, as_integer, as_real
from mmlfast._common.errors import warn_caller
from mmlfast.optimize._callables import EXACT, GIVEN, Taken, first_at, take, why

Array = np.ndarray[Any, Any]

_EPS = float(np.finfo(np.float64).eps)
# Of NewtonStatus in cpp/kernels/newton_many.hpp, and one that is found afterwards.
RUNNING, CONVERGED, STALLED, NO_SLOPE, NOT_FINITE, CYCLE, NO_ROOT = range(7)
MEANINGS = (
    "still moving after max_iter steps",
    "converged",
    "converged as far as the rounding of f allows",
    "the derivative is zero (or the Jacobian singular) and f is not",
    "x or f is not finite",
    "it goes round in a cycle",
    "the steps become small where f does not (a pole)",
)

WORDS = ("slow", "converged", "converged", "zero derivative", "diverged", "cycle", "no root")
ATTAINABLE = 4 * _EPS


class NewtonMany(NamedTuple):
    """The answer of `newton_many`.

    Attributes
    ----------
    x : ndarray
        The roots, in the shape of the starts; NaN where there is none.
    converged : ndarray of bool
        For each start.
    status : ndarray of int8
        For each start: 1 and 2 have converged, 2 as far as the rounding of f allows; 0 was still moving, 3 came to a
        derivative of zero, 4 left the finite numbers, 5 goes round in a cycle, 6 came to a pole.
    n_iter : ndarray of int32
        Steps of each start.
    last : ndarray
        Where each start was in the end, with or without a root.
    derivatives : str
        "exact", "given" or "finite differences".
    message : str
        How many starts ended how.

    Examples
    --------
    >>> from mmlfast.optimize import newton_many
    >>> newton_many(lambda x: x**2 - 9, [1.0, -1.0, 0.0], disp=False).status.tolist()
    [1, 1, 3]
    """

    x: Array
    converged: Array
    status: Array
    n_iter: Array
    last: Array
    derivatives: str
    message: str


class Ends(NamedTuple):
    """Where starts ended: x, status, steps."""

    x: Array
    status: Array
    n_iter: Array
    all_converged: bool = False  # as is known already


def newton_many(
    f: Callable[..., Any],
    x0: Any,
    args: tuple[Any, ...] = (),
    *,
    fprime: Callable[..., Any] | None = None,
    tol: float | None = None,
    max_iter: int = 100,
    disp: bool = True,
) -> NewtonMany:
    """Find a root from each of many starts, by Newton's method with exact derivatives.

    Starts are iterated in SIMD lanes and threads, each until it ends by itself. What one start finds does not depend on
    the others, to the bit.

    Parameters
    ----------
    f : callable
        ``f(x, *args)`` of a number gives a number; or of n numbers an array of n, a system.
    x0 : array-like
        The starts: of any shape for a function of one number, of shape (..., n) for a system.
    args : tuple
        Further arguments of f. Of a function of one number, arrays of the shape of x0 have a number for each start.
    fprime : callable, optional
        ``fprime(x, *args)`` gives the derivative, or the Jacobian of a system. Then f and fprime are called as they
        are, on all starts at once if they are functions of one number.
    tol : float, optional
        A start has converged when a step is at most `tol` times x. The default is to go on until rounding ends it.
    max_iter : int
        The most steps of a start.
    disp : bool
        Whether to warn of starts that have found no root.

    Returns
    -------
    NewtonMany

    Warns
    -----
    mmlfast.ConvergenceWarning
        If starts have found no root.

    Examples
    --------
    >>> import numpy as np
    >>> from mmlfast.optimize import newton_many
    >>> newton_many(lambda x: x**3 - x, [-2.0, 0.1, 3.0]).x.tolist()
    [-1.0, 0.0, 1.0]

    The cube roots of one, from two starts in the complex plane:

    >>> def cube(z):
    ...     x, y = z[0], z[1]
    ...     return np.stack([x**3 - 3 * x * y**2 - 1, 3 * x**2 * y - y**3])
    >>> newton_many(cube, [[2.0, 0.5], [-1.0, 1.0]]).x.round(6).tolist()
    [[1.0, 0.0], [-0.5, 0.866025]]
    """
    limit = as_integer(max_iter, "max_iter", 1)
    step = 4 * _EPS if tol is None else max(as_real(tol, "tol"), 4 * _EPS)
    if not isinstance(args, tuple):
        args = (args,)
    starts = np.require(as_float(x0, "x0"), np.float64, ("C", "A"))
    own = any(isinstance(a, np.ndarray) and a.ndim for a in args)
    if own and fprime is None and (found := as_one_number(f, starts, args, step, limit)) is not None:
        return _answer(found[1], starts, 0, EXACT, found[0], disp)
    taken, n = _one_of_them(f, starts, args, fprime is None)
    points = starts.reshape(-1, n) if n else starts.reshape(-1)
    if fprime is not None:
        ends, derivatives = _by_given(f, fprime, points, args, n, step, limit), GIVEN
    elif taken.recorded is not None and not _calls_python(taken):
        ends, derivatives = by_tape(taken, points.reshape(len(points), max(n, 1)), step, limit), EXACT
    else:
        ends, derivatives = one_by_one(taken, points, step, limit), taken.derivatives
    return _answer(ends, starts, n, derivatives, taken, disp)


def _one_of_them(f: Callable[..., Any], starts: Array, args: tuple[Any, ...], traced: bool) -> tuple[Taken, int]:
    """f at the first start, and how many numbers it takes: 0 for one that is no array."""
    first = starts.reshape(-1)[0] if starts.size else np.float64(1.0)
    if starts.ndim == 0 or starts.shape[-1] == 0:
        return take(f, float(first), args, traced=traced), 0
    try:
        taken = take(f, float(first), args, traced=traced)
        if taken.first.size == 1:
            return taken, 0
    except Exception:  # of an index, say: f takes arrays. If it does not, the next call says what is wrong.
        pass
    n = starts.shape[-1]
    vector = starts.reshape(-1, n)[0] if starts.size else np.ones(n)
    taken = take(f, vector, args, traced=traced)
    if taken.first.size != n:
        raise ValueError(
            f"f must give as many numbers as it takes: {n} for x0, got an array of shape {taken.first.shape}"
        )
    return taken, n


def _calls_python(taken: Taken) -> bool:
    assert taken.recorded is not None
    return taken.recorded.calls_python


def _answer(ends: Ends, starts: Array, n: int, derivatives: str, taken: Taken, disp: bool) -> NewtonMany:
    lead = starts.shape[:-1] if n else starts.shape
    status = ends.status.reshape(lead)
    good = np.ones(lead, bool) if ends.all_converged else (status == CONVERGED) | (status == STALLED)
    last = ends.x.reshape(starts.shape)
    everywhere = ends.all_converged or bool(good.all())
    x = last if everywhere else np.where(good[..., np.newaxis] if n else good, last, np.nan)
    counts = summary(ends.status, everywhere)
    message = f"{counts}. {why(taken)}".rstrip(" ") if derivatives != GIVEN else counts + "."
    if disp and not everywhere:
        warn_caller(f"newton_many: {message}")
    return NewtonMany(x, good, status, ends.n_iter.reshape(lead), last, derivatives, message)


def summary(status: Array, all_converged: bool = False) -> str:
    """How many ended how."""
    if all_converged:
        return f"{status.size} of {status.size} starts have converged"
    counts = [int(np.count_nonzero(status == k)) for k in range(len(MEANINGS))]
    good = counts[CONVERGED] + counts[STALLED]
    parts = [f"{good} of {status.size} starts have converged"]
    parts += [f"{count}: {MEANINGS[k]}" for k, count in enumerate(counts) if count and k not in (CONVERGED, STALLED)]
    return "; ".join(parts)


# ---- three ways ----


def as_one_number(
    func: Callable[..., Any], x0: Array, args: tuple[Any, ...], tol: float, limit: int
) -> tuple[Taken, Ends] | None:
    """In lanes, if func is a function of one number whose tape gives what func gives for the whole array. Arguments
    that are arrays of the shape of x0 have an entry for each start."""
    own = [k for k, a in enumerate(args) if isinstance(a, np.ndarray) and a.ndim and a.dtype.kind in "fiub"]
    if any(np.broadcast_shapes(args[k].shape, x0.shape) != x0.shape for k in own):
        return None
    rows = np.stack([x0, *(np.broadcast_to(args[k], x0.shape) for k in own)], axis=-1, dtype=np.float64)
    rows = rows.reshape(-1, 1 + len(own))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of calls that are only a try
        try:
            taken = take(_Scattered(func, args, tuple(own)), rows[0], name="func")
        except Exception:  # func takes arrays only: the caller goes another way
            return None
    if taken.recorded is None or taken.recorded.calls_python or taken.first.size != 1:
        return None
    plain = np.asarray(func(x0.copy(), *args))
    if plain.shape != x0.shape or plain.dtype.kind not in "fiub":
        return None
    traced = taken.recorded.compiled("value").at_points(rows, taken.parameters)[0].reshape(x0.shape)
    with np.errstate(all="ignore"):
        same = np.abs(traced - plain) <= 1e-9 * np.maximum(np.abs(traced), np.abs(plain))
    if not np.all(same | (traced == plain) | (np.isnan(traced) & np.isnan(plain))):
        return None
    return taken, by_tape(taken, rows, tol, limit, n=1)


class _Scattered:
    """func of a row: x and the arguments of one start."""

    def __init__(self, f: Callable[..., Any], args: tuple[Any, ...], own: tuple[int, ...]) -> None:
        self.f, self.args, self.own = f, args, own
        self.__name__ = getattr(f, "__name__", type(f).__name__)

    def __call__(self, row: Any) -> Any:
        given = list(self.args)
        for i, k in enumerate(self.own):
            given[k] = row[1 + i]
        return self.f(row[0], *given)

    @property
    def _watched(self) -> tuple[Any, ...]:
        return (self.f, tuple(a for k, a in enumerate(self.args) if k not in self.own), self.own)


def by_tape(taken: Taken, rows: Array, tol: float, max_iter: int, halley: bool = False, n: int | None = None) -> Ends:
    """rows: (starts, numbers), of which the first n (all of them, if not said) are unknowns, the others constants."""
    assert taken.recorded is not None
    n = rows.shape[1] if n is None else n
    one = "value, slope, curvature" if halley else "value, slope"
    compiled = taken.recorded.compiled(one if n == 1 else "value, jacobian")
    count = len(rows)
    x, checkpoint, moved = np.empty((count, n)), np.empty((count, n)), np.empty(count)
    n_iter, status = np.zeros(count, np.int32), np.zeros(count, np.int8)
    parameters = tuple(taken.parameters)
    n_converged, some_doubtful = _core.newton_many(
        compiled.program, parameters, rows, x, checkpoint, moved, n_iter, status, tol, max_iter
    )
    if n == 1 and some_doubtful:
        doubtful = _doubtful(status, n_iter)
        values = taken.recorded.compiled("value").program

        def of(points: Array) -> Array:
            moved_rows = rows[doubtful]
            moved_rows[:, 0] = points
            return np.asarray(values.batch(moved_rows, *parameters))[:, 0]

        status[doubtful] = checked(of, x[doubtful, 0], status[doubtful])
        n_converged -= int(np.count_nonzero(status[doubtful] == NO_ROOT))
    return Ends(x, status, n_iter, n_converged == count)


def _doubtful(status: Array, n_iter: Array) -> Array:
    """Those that may have come to rest beside a pole, where steps are small as well: `scatter` of
    drivers/newton_many.cpp looks by the same rule whether there are some."""
    return np.asarray((status == STALLED) | ((status == CONVERGED) & (n_iter <= 2)))


def checked(f: Callable[[Array], Array], x: Array, status: Array) -> Array:
    """A root is where f is smaller than a little beside it: further away than a pole at which steps are small, and than
    where f is rounding alone beside a root of several times."""
    with np.errstate(all="ignore"):
        beside = 1e-4 * np.abs(x)
        here, right, left = np.abs(f(x)), np.abs(f(x + beside)), np.abs(f(x - beside))
        is_root = (here == 0) | (here < 0.75 * np.fmax(right, left)) | (beside == 0)
    return np.asarray(np.where(is_root, status, NO_ROOT), np.int8)


def of_arrays(
    f: Callable[[Array], Array],
    slope: Callable[[Array], Array],
    x0: Array,
    tol: float,
    max_iter: int,
    curvature: Callable[[Array], Array] | None = None,
) -> Ends:
    """The same iteration in NumPy, on functions of arrays entry by entry, complex ones too."""
    x = np.array(x0)
    status, n_iter = np.zeros(x.shape, np.int8), np.zeros(x.shape, np.int32)
    moved = np.full(x.shape, np.inf)
    checkpoint = np.full(x.shape, np.inf, x.dtype)
    for k in range(max_iter):
        runs = status == RUNNING
        if not runs.any():
            break
        with np.errstate(all="ignore"):
            value, d = f(x), slope(x)
            step = value / d
            if curvature is not None:
                bend = step * curvature(x) / d / 2
                step = np.where(np.abs(bend) < 1, step / (1 - bend), step)
            is_root = value == 0
            is_flat = (d == 0) & ~is_root
            step = np.where(is_root, 0.0, step)
            to = x - step
            size, length = np.abs(to), np.abs(step)
            arrived = length <= tol * size
            stalls = (length <= 1e-5 * size) & (length >= moved) & ~arrived
            cycles = (np.abs(to - checkpoint) <= 1e-7 * length) & (length > 1e-5 * size)
            lost = ~(np.isfinite(to) | is_flat)
        after = np.select(
            [is_flat, lost, arrived, stalls, cycles], [NO_SLOPE, NOT_FINITE, CONVERGED, STALLED, CYCLE], 0
        )
        x = np.where(runs & ~is_flat & ~stalls, to, x)
        moved = np.where(runs, length, moved)
        n_iter += runs
        status = np.where(runs, after, status).astype(np.int8)
        if k & (k + 1) == 0:
            checkpoint = to
    doubtful = _doubtful(status, n_iter)
    if doubtful.any():
        everywhere = checked(f, x, status)  # f may know how many there are
        status[doubtful] = everywhere[doubtful]
    return Ends(x, status, n_iter)


def one_by_one(taken: Taken, points: Array, tol: float, max_iter: int) -> Ends:
    """Each start by calls of f and differences, or by a tape that calls Python; systems too."""
    ends = [of_one(taken.value, taken.jacobian, point, tol, max_iter) for point in points]
    if not ends:
        return Ends(points.copy(), np.zeros(len(points), np.int8), np.zeros(len(points), np.int32))
    x, status, n_iter = zip(*ends, strict=True)
    return Ends(np.stack(x), np.array(status, np.int8), np.array(n_iter, np.int32))


def of_one(
    f: Callable[[Array], Array],
    jacobian: Callable[[Array], Array],
    x0: Array,
    tol: float,
    max_iter: int,
    path: list[Array] | None = None,
) -> tuple[Array, int, int]:
    """One start of a system, or of a number; every x on the way is added to the path."""
    x = np.array(x0, np.float64)
    checkpoint, moved = np.full(x.shape, np.inf), np.inf
    for k in range(max_iter):
        with np.errstate(all="ignore"):
            value = np.asarray(f(x)).reshape(-1)
            if not value.any():
                return x, CONVERGED, k
            if not np.isfinite(value).all():
                return x, NOT_FINITE, k
            step = solved(np.asarray(jacobian(x)).reshape(value.size, x.size), value)
        if step is None:
            return x, NO_SLOPE, k
        to = np.asarray(x - step.reshape(x.shape))
        if path is not None:
            path.append(to)
        length, size = float(np.abs(step).max()), float(np.abs(to).max())
        if not np.isfinite(to).all():
            return to, NOT_FINITE, k + 1
        if np.all(np.abs(step) <= tol * np.abs(to).reshape(-1)):
            return to, CONVERGED, k + 1
        is_small = length <= 1e-5 * size
        if is_small and length >= moved:
            if x.size == 1 and not _is_smallest(f, x):
                return x, NO_ROOT, k + 1
            return x, STALLED, k + 1
        if not is_small and np.abs(to - checkpoint).max() <= 1e-7 * length:
            return to, CYCLE, k + 1
        if k & (k + 1) == 0:
            checkpoint = to
        x, moved = to, length
    return x, RUNNING, max_iter


def _is_smallest(f: Callable[[Array], Array], x: Array) -> bool:
    """Of a function of one number: whether `checked` takes x for a root."""

    def of(points: Array) -> Array:
        return np.asarray(f(points.reshape(x.shape))).reshape(1)

    return bool(checked(of, x.reshape(1), np.array([STALLED]))[0] == STALLED)


def solved(a: Array, b: Array) -> Array | None:
    """The solution, None if the matrix is singular; rows are scaled, so units of equations do not matter."""
    largest = np.abs(a).max(axis=1)
    if not (np.isfinite(a).all() and (largest > 0).all()):
        return None
    try:
        return np.asarray(np.linalg.solve(a / largest[:, None], b / largest))
    except np.linalg.LinAlgError:
        return None


def _by_given(
    f: Callable[..., Any],
    fprime: Callable[..., Any],
    points: Array,
    args: tuple[Any, ...],
    n: int,
    tol: float,
    limit: int,
) -> Ends:
    if n == 0:
        return of_arrays(first_at(f, args), first_at(fprime, args), points, tol, limit)
    ends = [of_one(first_at(f, args), first_at(fprime, args), point, tol, limit) for point in points]
    x, status, n_iter = zip(*ends, strict=True)
    return Ends(np.stack(x), np.array(status, np.int8), np.array(n_iter, np.int32))
