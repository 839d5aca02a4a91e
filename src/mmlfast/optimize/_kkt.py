"""A function under equations: its Lagrangian, steps of Newton's method for it, and what kind of point it has come to.

Where gradients of constraints depend on each other (the same one twice, more of them than variables), the system is
solved in the sense of least squares and multipliers are those of least norm. Variables are scaled by the curvature of
the Lagrangian, constraints by their gradients: units do not matter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mmlfast import _core
from mmlfast._common.kept import Around, kept
from mmlfast.optimize._callables import given_is_wrong, take, why
from mmlfast.optimize._differences import Differences, of_owner
from mmlfast.optimize._objective import Objective
from mmlfast.optimize._stationary_points import curvature_scales

Array = np.ndarray[Any, Any]

_EPS = float(np.finfo(np.float64).eps)
# Gradients of constraints, scaled to length one, depend on each other if a singular value is below this.
_DEPENDENT = 1e-9
# Up to so many variables searches are compiled: their matrices are dense.
_MOST_COMPILED = 40


class _Lagrangian(Around):
    """x, multipliers -> f(x) - multipliers @ c(x)."""

    def __init__(self, f: Callable[..., Any], args: tuple[Any, ...], constraints: tuple[Any, ...]) -> None:
        super().__init__(f)
        self.args, self.constraints = args, constraints
        self.__name__ = "lagrangian"

    def __call__(self, x: Any, multipliers: Any) -> Any:
        value = np.reshape(self.f(x, *self.args), ())
        at = 0
        for c, args, size in self.constraints:
            one = np.reshape(c(x, *args), (-1,))
            value = value - np.sum(multipliers[at : at + size] * one)
            at += size
        return value

    @property
    def _watched(self) -> tuple[Any, ...]:
        return (self.f, self.args, self.constraints)


_kept_lagrangian = kept(_Lagrangian)


def _lagrangian(f: Callable[..., Any], args: tuple[Any, ...], constraints: tuple[Any, ...]) -> _Lagrangian:
    """The same one for the same functions, so that its tape is found again."""
    try:
        return _kept_lagrangian(f, args, constraints)
    except TypeError:  # not hashable
        return _Lagrangian(f, args, constraints)


class Negative(Around):
    """-f, for maxima."""

    def __init__(self, f: Callable[..., Any]) -> None:
        super().__init__(f)
        self.__name__ = getattr(f, "__name__", type(f).__name__)

    def __call__(self, *args: Any) -> Any:
        return -np.reshape(self.f(*args), ())

    @property
    def _watched(self) -> tuple[Any, ...]:
        return (self.f,)


class Minimum(NamedTuple):
    """What a compiled search has found: a minimum without a doubt, with regular constraints."""

    x: Array
    gradient: Array
    c: Array
    multipliers: Array
    scales: Array
    value: float
    n_iter: int


class Problem:
    """f and c(x) = 0 with all derivatives."""

    def __init__(
        self,
        fun: Callable[..., Any],
        constraints: list[tuple[Callable[..., Any], tuple[Any, ...], Any]],
        x0: Array,
        args: tuple[Any, ...],
        jac: Any = None,
        hess: Any = None,
        bounds: tuple[Array, Array] | None = None,
    ) -> None:
        self.f = Objective(fun, x0, args, jac, hess, bounds, name="fun")
        names = [f"constraints[{i}]" for i in range(len(constraints))]
        self.c = [take(c, x0, a, name=name, bounds=bounds) for name, (c, a, _) in zip(names, constraints, strict=True)]
        for one in self.c:
            if one.says_whether:
                raise TypeError(
                    f"{one.name} gives True or False: it must give the number that has to be 0, or at least 0, such as "
                    "x[0] - 1 for x[0] == 1 or x[0] > 1"
                )
        self._jacs = [j for _, _, j in constraints]
        self.sizes = [c.first.size for c in self.c]
        self.m, self.n = sum(self.sizes), x0.size
        self._complaints = [
            given_is_wrong(c, j(x0.copy(), *c.args), x0, f"jac of {name}")
            for name, c, j in zip(names, self.c, self._jacs, strict=True)
            if callable(j) and np.isfinite(c.first).all()
        ]
        parts = tuple((c, a, size) for (c, a, _), size in zip(constraints, self.sizes, strict=True))
        self._traced = None
        if self.f.taken.recorded is not None and all(c.recorded is not None for c in self.c):
            whole = take(_lagrangian(self.f.taken.f, self.f.args, parts), x0, (np.zeros(self.m),), name="fun")
            if whole.recorded is not None:
                self._traced = whole
        self._bounds = bounds if bounds is not None else (-np.inf, np.inf)
        self._differences: Differences | None = None
        self._multipliers = np.zeros(self.m)

    @property
    def derivatives(self) -> str:
        return "exact" if self._traced is not None else "finite differences"

    @property
    def note(self) -> str:
        return " ".join(filter(None, [self.f.note, *(why(c) for c in self.c), *self._complaints]))

    def compiled_minimum(self, x0: Array, max_iter: int) -> Minimum | None:
        """By a compiled loop over tapes, which gives up at whatever is out of the ordinary (`_sqp` is for that)."""
        f = self.f
        recorded, n = f.taken.recorded, self.n
        if self._traced is None or recorded is None or not f.exact_tape or not 1 <= self.m <= n <= _MOST_COMPILED:
            return None
        if f.has_hessian or any(callable(j) for j in self._jacs):
            return None
        if recorded.calls_python or any(c.recorded.calls_python for c in self.c if c.recorded is not None):
            return None
        equations = [
            (c.recorded.compiled("value, jacobian").program, tuple(c.parameters))
            for c in self.c
            if c.recorded is not None
        ]
        whole = self._traced.recorded
        assert whole is not None
        found = _core.minimum_under_equations(
            recorded.compiled("value, gradient").program,
            tuple(f.taken.parameters),
            equations,
            whole.compiled("hessian").program,
            x0,
            max_iter,
        )
        if found is None:
            return None
        f.nfev += found[-1]
        f.njev += found[-1]
        return Minimum(*found[:-1])

    def values(self, x: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.concatenate([np.empty(0), *(np.asarray(c.value(x), np.float64).reshape(-1) for c in self.c)])

    def jacobian(self, x: Array) -> Array:
        with np.errstate(all="ignore"):
            rows = [np.empty((0, self.n))]
            for c, given, size in zip(self.c, self._jacs, self.sizes, strict=True):
                a = given(x.copy(), *c.args) if callable(given) else c.jacobian(x)
                a = a.toarray() if hasattr(a, "toarray") else a
                rows.append(np.asarray(a, np.float64).reshape(size, self.n))
            return np.concatenate(rows)

    def hessian(self, x: Array, multipliers: Array) -> Array:
        """Of the Lagrangian."""
        with np.errstate(all="ignore"):
            if self._traced is not None:
                self._traced.parameters = [np.ascontiguousarray(multipliers)]
                return self._traced.program("hessian")(x)[0]
            self._multipliers = multipliers
            if self._differences is None:
                self._differences = Differences(of_owner(self._slope), *self._bounds)
            h = self._differences.jacobian(x, self._slope(x))
            return (h + h.T) / 2

    def _slope(self, x: Array) -> Array:
        return np.asarray(self.f.value_and_gradient(x)[1] - self._multipliers @ self.jacobian(x))


class Point(NamedTuple):
    """x with all that is known there."""

    x: Array
    value: float
    gradient: Array
    c: Array
    a: Array

    @property
    def is_finite(self) -> bool:
        return bool(np.isfinite(self.value) and all(np.isfinite(p).all() for p in (self.gradient, self.c, self.a)))


def point_at(problem: Problem, x: Array) -> Point:
    value, gradient = problem.f.value_and_gradient(x)
    return Point(x, value, gradient, problem.values(x), problem.jacobian(x))


def result_at(problem: Problem, p: Point | Minimum, success: bool, message: str, **own: Any) -> Any:
    """What every answer to a problem with constraints says of the point where it has ended, and what is its own."""
    from scipy.optimize import OptimizeResult  # takes a while to import, and not all need it

    return OptimizeResult(
        x=p.x,
        fun=p.value,
        jac=p.gradient,
        **own,
        constraints=p.c,
        success=success,
        status=0 if success else 1,
        message=message,
        nfev=problem.f.nfev,
        njev=problem.f.njev,
        derivatives=problem.derivatives,
    )


class Geometry(NamedTuple):
    """The constraints near a point, in scaled variables y = d x and with rows of length one."""

    d: Array
    rows: Array  # the lengths that rows of the scaled Jacobian had
    u: Array
    s: Array
    v: Array  # columns: the directions across the constraints, then (from rank on) those along them
    rank: int

    @property
    def along(self) -> Array:
        return self.v[:, self.rank :]

    def across(self, c: Array) -> Array:
        """The shortest step after which the linearised constraints hold, or are violated least."""
        r = self.rank
        return np.asarray(-self.v[:, :r] @ ((self.u[:, :r].T @ (c / self.rows)) / self.s[:r]))

    def unreachable(self, c: Array) -> Array:
        """The part of the (scaled) violation that no step changes."""
        scaled = c / self.rows
        return np.asarray(scaled - self.u[:, : self.rank] @ (self.u[:, : self.rank].T @ scaled))

    def multipliers(self, slope: Array) -> Array:
        """Of least norm, for the scaled gradient."""
        r = self.rank
        return np.asarray(self.u[:, :r] @ ((self.v[:, :r].T @ slope) / self.s[:r]) / self.rows)


def geometry(a: Array, d: Array) -> Geometry:
    scaled = a / d
    rows = np.sqrt(np.sum(scaled**2, axis=1))
    rows = np.where(rows > 0, rows, 1.0)
    u, s, vt = np.linalg.svd(scaled / rows[:, np.newaxis], full_matrices=True)
    rank = int(np.sum(s > _DEPENDENT * (s[0] if len(s) else 1.0))) if len(s) and s[0] > 0 else 0
    return Geometry(d, rows, u, s, vt.T, rank)


def first_scales(problem: Problem, p: Point) -> Array:
    """Of the variables, before there are multipliers: by the curvature of f and of the constraints."""
    h = np.asarray(problem.hessian(p.x, np.zeros(problem.m)))
    d = curvature_scales(h) if np.isfinite(h).all() else np.ones(p.x.size)
    flat = np.abs(np.diagonal(h)) == 0
    if flat.any():
        sizes = np.where(p.x != 0, np.abs(p.x), np.max(np.abs(p.x), initial=0.0) or 1.0)
        level = float(np.median((d * sizes)[~flat])) if not flat.all() else 1.0
        d = np.where(flat, level / sizes, d)
    return np.asarray(d)
