"""What kind of point a stationary point is: by the signs of the eigenvalues of the Hessian, whatever the units."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mmlfast import _core
from mmlfast._common.arrays import as_float, as_real
from mmlfast.autodiff._taylor import taylor
from mmlfast.optimize._callables import EXACT, Taken, given_is_wrong, take, why

Array = np.ndarray[Any, Any]

_EPS = float(np.finfo(np.float64).eps)
_MOST_FLAT = 20


class StationaryPoint(NamedTuple):
    """The answer of `classify_stationary_point`.

    Attributes
    ----------
    kind : str
        "minimum", "maximum", "saddle"; "degenerate": some eigenvalues are zero to rounding, and the others do not
        decide; "not stationary": the gradient is not zero.
    value : float
        f there.
    gradient : ndarray
    eigenvalues : ndarray
        Of the Hessian, in ascending order.
    eigenvectors : ndarray
        Their directions, in columns.
    distance : ndarray
        How far the next stationary point is in each variable, by Newton's method; NaN where the Hessian is singular.
    derivatives : str
        "exact", "given" or "finite differences".
    message : str
        All that in words.

    Examples
    --------
    >>> import numpy as np
    >>> from mmlfast.optimize import classify_stationary_point
    >>> classify_stationary_point(lambda v: v[0] ** 2 - v[1] ** 2, np.zeros(2)).eigenvalues.tolist()
    [-2.0, 2.0]
    """

    kind: str
    value: float
    gradient: Array
    eigenvalues: Array
    eigenvectors: Array
    distance: Array
    derivatives: str
    message: str

    def __str__(self) -> str:
        return self.message


def classify_stationary_point(
    f: Callable[..., Any],
    x: Any,
    args: tuple[Any, ...] = (),
    *,
    hess: Callable[..., Any] | None = None,
    tol: float = 1e-6,
) -> StationaryPoint:
    """Say whether a point is a minimum, a maximum or a saddle of a function.

    Signs of eigenvalues do not depend on the units of the variables; what counts as zero is decided after the Hessian
    is scaled to ones on its diagonal.

    Parameters
    ----------
    f : callable
        ``f(x, *args)`` gives a number. Traced to exact derivatives where it can be.
    x : array-like
        The point, of shape (n,), or a number if f takes a number.
    args : tuple
        Further arguments of f.
    hess : callable, optional
        ``hess(x, *args)`` gives the Hessian. It is compared with that of f.
    tol : float
        x counts as stationary if Newton's step to the stationary point next to it is at most `tol` times the size of
        each variable, or would change f by no more than rounding does.

    Returns
    -------
    StationaryPoint

    Raises
    ------
    ValueError
        If f or its derivatives are not finite at x.

    Examples
    --------
    >>> import numpy as np
    >>> from mmlfast.optimize import classify_stationary_point
    >>> print(classify_stationary_point(lambda v: v[0] ** 2 - v[1] ** 2, np.zeros(2)))
    saddle: 1 of 2 eigenvalues of the Hessian is negative
    """
    tol = as_real(tol, "classify_stationary_point: tol")
    point = x if isinstance(x, float | int) else as_float(x, "x")
    taken = take(f, point, args)
    at = np.asarray(point, np.float64)
    if taken.first.size != 1:
        raise ValueError(f"f must give one number, got an array of shape {taken.first.shape}")
    value, gradient = taken.value_and_gradient(at)
    flat = gradient.reshape(-1)
    h = taken.hessian(at).reshape(flat.size, flat.size)
    derivatives, note = taken.derivatives, why(taken)
    if hess is not None:
        given = np.asarray(hess(point, *args), np.float64)
        note += given_is_wrong(taken, given, at, "hess", "hessian")
        h, derivatives = given.reshape(h.shape), "given"
    if not (np.isfinite(value) and np.isfinite(flat).all() and np.isfinite(h).all()):
        raise ValueError(
            f"x: f or its derivatives are not finite there: f is {value}, its gradient {gradient.tolist()}"
        )
    values, vectors = np.linalg.eigh(h)
    kind, message = kind_of(h, derivatives != "finite differences")
    distance = _newton_step(h, flat)
    if not _is_stationary(taken, at.reshape(-1), value, flat, h, distance, tol):
        kind = "not stationary"
        message = f"not stationary: the gradient is {_short(gradient)}"
        if np.isfinite(distance).all():
            message += f"; a stationary point may be {_short(distance.reshape(at.shape))} away"
    elif kind == "degenerate" and flat.size == 1 and taken.derivatives == EXACT:
        kind, message = _by_series(f, point, args)
    return StationaryPoint(
        kind,
        value,
        gradient,
        values,
        vectors,
        distance.reshape(at.shape),
        derivatives,
        f"{message}. {note}".rstrip(". "),
    )


def _short(x: Array) -> str:
    return np.array2string(np.asarray(x), precision=4, threshold=6)


def curvature_scales(h: Array) -> Array:
    """d such that h / (d d') has ones, or numbers of that size, on its diagonal and beside it."""
    d = np.sqrt(np.abs(h.diagonal()))
    if d.all():
        return d
    for i in np.flatnonzero(d == 0):
        row = np.abs(h[i])
        others = row[d > 0] / d[d > 0]
        d[i] = others.max() if others.any() else np.sqrt(row.max(initial=0.0))
    return np.where(d > 0, d, 1.0)


# Beside the value: with this curvature, what the shortest step of `lower_on_the_way` costs is far above rounding.
LEAST_ON_THE_WAY = 2e-4


class Curvature(NamedTuple):
    """A Hessian in units of which its entries are about one, by eigenvalues and directions of the free variables."""

    scales: Array  # of all variables
    free: Array
    values: Array
    vectors: Array


def curvature_of(h: Array, free: Array) -> Curvature:
    d = curvature_scales(h)
    scaled = h / d[:, None] / d
    values, vectors = _core.eigh(scaled if free.all() else scaled[np.ix_(free, free)])
    return Curvature(d, free, values, vectors)


class ClearMinimum(NamedTuple):
    """What `_minimize` asks about a point whose Hessian is without a doubt that of a minimum. Lengths are in units of
    which the curvature is about one."""

    pulls: bool  # the gradient is not zero
    gain: float  # what is left to gain, by the model, twice
    step: float  # to where that is
    way: float  # from the start
    size: float  # from zero
    on_the_way: float  # the curvature is no less where variables are measured by how far they have come


# As far from what `kind_by` calls zero, and from being flat, as roundings or differences could bring an eigenvalue.
_CLEAR = 2e-5
_MOST_AT_A_GLANCE = 40


def clear_minimum(h: Array, gradient: Array, x: Array, start: Array) -> ClearMinimum | None:
    """Without eigenvalues; None if these have to decide."""
    if len(x) > _MOST_AT_A_GLANCE or not h.flags.c_contiguous:
        return None
    found = _core.clear_minimum(h, gradient, x, start, _CLEAR)
    return None if found is None else ClearMinimum._make(found)


def kind_of(h: Array, exact: bool = True) -> tuple[str, str]:
    """Of a stationary point with this Hessian: the kind, and a sentence."""
    return kind_by(curvature_of(h, np.ones(len(h), bool)).values, exact)


def kind_by(values: Array, exact: bool) -> tuple[str, str]:
    """The same from the eigenvalues of a `Curvature`."""
    n = len(values)
    largest = float(np.abs(values).max(initial=0.0))
    zero = largest * (64 * n * _EPS if exact else 1e-5)
    n_negative, n_positive = int(np.count_nonzero(values < -zero)), int(np.count_nonzero(values > zero))
    if n_negative and n_positive:
        verb = "is" if n_negative == 1 else "are"
        return "saddle", f"saddle: {n_negative} of {n} eigenvalues of the Hessian {verb} negative"
    if n_positive == n:
        return "minimum", "minimum: all eigenvalues of the Hessian are positive"
    if n_negative == n:
        return "maximum", "maximum: all eigenvalues of the Hessian are negative"
    n_zero = n - n_negative - n_positive
    verb, others = ("is" if n_zero == 1 else "are"), ("negative" if n_negative else "positive")
    rest = f", the others are {others}: higher derivatives decide" if n_zero < n else ": higher derivatives decide"
    return "degenerate", f"degenerate: {n_zero} of {n} eigenvalues of the Hessian {verb} zero to rounding{rest}"


def lower_beside(
    f: Callable[[Array], float], x: Array, value: float, curvature: Curvature, level: float, box: Any = None
) -> Array | None:
    """A point near x that is lower by more than rounding (of numbers as large as level), in directions where there is
    no curvature; None if there is none, or there are many such directions."""
    d, free, values, vectors = curvature
    flat = np.abs(values) <= 1e-9 * max(float(np.abs(values).max(initial=0.0)), 1e-300)
    if not flat.any() or flat.sum() > _MOST_FLAT:
        return None
    size = float(np.linalg.norm((d * x)[free])) or 1.0
    for v in vectors.T[flat]:
        for length in (0.1, 0.01, 1e-3):
            for sign in (1.0, -1.0):
                to = x.copy()
                to[free] += sign * length * size * v / d[free]
                if box is not None:
                    to = box.into(to)
                there = f(to)
                if there < value - 1e-9 * abs(value) - 1e-12 * level:
                    return to
    return None


def lower_on_the_way(
    f: Callable[[Array], float],
    x: Array,
    value: float,
    h: Array,
    free: Array,
    way: Array,
    level: float,
    box: Any = None,
) -> Array | None:
    """The same in the direction of least curvature where variables are measured by how far they have come (`way`): of
    x**3, Newton's method comes to 0 by halving x, with a curvature that is positive all along."""
    free = free & (way != 0)
    moved = np.abs(way)[free]
    if not moved.size:
        return None
    values, vectors = _core.eigh((h if free.all() else h[np.ix_(free, free)]) * moved[:, np.newaxis] * moved)
    if values[0] > LEAST_ON_THE_WAY * level:
        return None
    for length in (1e-2, 1e-3):
        for sign in (1.0, -1.0):
            to = x.copy()
            to[free] += sign * length * moved * vectors[:, 0]
            if box is not None:
                to = box.into(to)
            if f(to) < value - 1e-9 * abs(value) - 1e-12 * level:
                return to
    return None


def _newton_step(h: Array, gradient: Array) -> Array:
    d = curvature_scales(h)
    scaled = h / d[:, None] / d
    if not gradient.any():
        return np.zeros_like(gradient)
    if len(h) == 0 or np.linalg.matrix_rank(scaled, hermitian=True) < len(h):
        return np.full(gradient.shape, np.nan)
    return np.asarray(-np.linalg.solve(scaled, gradient / d) / d)


@np.errstate(all="ignore")
def _is_stationary(
    taken: Taken, x: Array, value: float, gradient: Array, h: Array, distance: Array, tol: float
) -> bool:
    # A gradient that the rounding of x alone would give.
    rounding = 8 * _EPS * (np.abs(h) @ np.abs(x))
    if taken.derivatives != EXACT:
        rounding = rounding + 1e-6 * np.abs(gradient).max(initial=0.0)
    if np.all(np.abs(gradient) <= rounding):
        return True
    if np.isnan(distance).any():
        d = curvature_scales(h)
        size = np.maximum(np.abs(x), np.max(np.abs(x) * d, initial=0.0) / d)
        pulls = np.abs(gradient) * size > tol**2 * abs(value)
        return not np.any(pulls | ((size == 0) & (gradient != 0)))
    d = curvature_scales(h)
    size = np.maximum(np.abs(x), np.max(np.abs(x) * d, initial=0.0) / d)
    if np.all(np.abs(distance) <= tol * size):
        return True
    return bool(abs(gradient @ distance) <= 64 * _EPS * abs(value))


def _by_series(f: Callable[..., Any], x: Any, args: tuple[Any, ...], order: int = 12) -> tuple[str, str]:
    """Of one variable: the first power that is there decides."""
    undecided = "degenerate", f"degenerate: no derivative up to order {order} decides"
    try:
        series = np.asarray(taylor(lambda t: f(t, *args) if args else f(t), x, order), np.float64).reshape(-1)
    except (ValueError, TypeError, ArithmeticError):
        return undecided
    size = np.abs(series[1:]).max()
    powers = 1 + np.flatnonzero(np.abs(series[1:]) > 1e-10 * size) if size > 0 else np.empty(0, int)
    if not len(powers):
        return undecided
    k = int(powers[0])
    if k % 2:
        return "saddle", f"saddle: the first derivative that is not zero is of the odd order {k}"
    kind = "minimum" if series[k] > 0 else "maximum"
    return kind, f"{kind}: the first derivative that is not zero is of order {k}"
