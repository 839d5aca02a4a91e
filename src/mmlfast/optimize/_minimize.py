"""minimize, with the signature and the result of scipy.optimize.minimize."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mmlfast._common.arrays import as_integer, as_real
from mmlfast._common.errors import warn_caller
from mmlfast.optimize._bfgs import bfgs_minimum
from mmlfast.optimize._bounds import bounds_by_variable, check_order
from mmlfast.optimize._callables import DIFFERENCES
from mmlfast.optimize._constrained import constrained_minimum
from mmlfast.optimize._constraints import take_constraints
from mmlfast.optimize._gradient_descent import descent_minimum
from mmlfast.optimize._objective import Objective, as_start, source
from mmlfast.optimize._stationary_points import (
    LEAST_ON_THE_WAY,
    ClearMinimum,
    Curvature,
    clear_minimum,
    curvature_of,
    kind_by,
    lower_beside,
    lower_on_the_way,
)
from mmlfast.optimize._trust_region import NO_END, Box, End, newton_minimum

Array = np.ndarray[Any, Any]

_EPS = float(np.finfo(np.float64).eps)
_NO_SMALLEST = "no smallest value:"
_METHODS = ("newton", "bfgs", "gd")
# SciPy's methods that use derivatives: what they are for is what "newton", or the default, does.
_OURS: dict[str, str | None] = {
    "newton-cg": "newton",
    "trust-exact": "newton",
    "trust-ncg": "newton",
    "trust-krylov": "newton",
}
_OURS |= {"dogleg": "newton", "cg": "bfgs", "l-bfgs-b": None, "tnc": None, "slsqp": None, "trust-constr": None}
_WITHOUT_DERIVATIVES = ("nelder-mead", "powell", "cobyla", "cobyqa")
# SciPy's options: tolerances that the iteration reaches in any case, and settings that mean nothing here.
_TOLERANCES = {"gtol", "ftol", "xtol", "xrtol", "barrier_tol"}
_USELESS = {"eps", "finite_diff_rel_step", "norm", "maxfun", "maxfev", "maxls", "maxcor", "iprint", "verbose", "c1"}
_USELESS |= {
    "c2",
    "workers",
    "initial_tr_radius",
    "max_trust_radius",
    "initial_trust_radius",
    "eta",
    "subproblem_maxiter",
}
# The kind of the point is looked up with a Hessian of so many variables at most.
# So many times all of the way before is no step that a slope with an end would lead to.
_FAR_LEAP = 10.0
_UNDERFLOW = 1e-290  # halves of such numbers are rounded
_SLOW = 30  # steps, after which it may be that all derivatives vanish
_MOST_MOVES = 3  # from stationary points that are none, to lower ones beside them
_MOST_LOOKED_AT, _MOST_BY_DIFFERENCES = 200, 20


def minimize(
    fun: Callable[..., Any],
    x0: Any,
    args: tuple[Any, ...] = (),
    method: str | None = None,
    jac: Any = None,
    hess: Any = None,
    hessp: Callable[..., Any] | None = None,
    bounds: Any = None,
    constraints: Any = (),
    tol: float | None = None,
    callback: Callable[..., Any] | None = None,
    options: dict[str, Any] | None = None,
) -> Any:
    """Find a minimum of a function of several variables.

    Derivatives are exact where `fun` can be traced. No test of convergence is absolute: neither the unit of `fun` nor
    those of the variables matter, and the iteration goes on until rounding ends it, or `tol`.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args)`` gives a number, x being an array of shape (n,).
    x0 : array-like
        Where to start.
    args : tuple
        Further arguments of the functions.
    method : {"newton", "bfgs", "gd"}, optional
        "newton": second derivatives in a trust region, sparse ones where a large Hessian is sparse. "bfgs": gradients
        only. "gd": steepest descent with backtracking, to see how it does (`gradient_descent` has its other forms).
        The default is "newton" where `fun` is traced or `hess` is given, else "bfgs". SciPy's names of methods that use
        derivatives mean one of these or, with constraints, what is below.
    jac : callable or bool, optional
        The gradient; True if `fun` gives (value, gradient). It is compared with that of `fun` at the start. A text
        ("2-point") asks for finite differences.
    hess : callable, optional
        The Hessian, dense or sparse.
    hessp : callable, optional
        ``hessp(x, p, *args)``, the Hessian times p. The Hessian is put together from n of them.
    bounds : sequence of (low, high), or scipy.optimize.Bounds, optional
        For "newton". Outside, `fun` is never called.
    constraints : dict, LinearConstraint, NonlinearConstraint, or a sequence of them, optional
        SciPy's: ``{"type": "eq", "fun": c}`` for c(x) = 0, ``"ineq"`` for c(x) >= 0, or two sides; a function c is an
        equation. c may give a number or an array. They hold at the end, not at each point on the way.
    tol : float, optional
        Steps of at most `tol` times each variable are good enough.
    callback : callable, optional
        ``callback(x)`` after each step, or ``callback(intermediate_result)``; StopIteration ends the iteration.
    options : dict, optional
        ``maxiter``; ``return_all`` (the result has all x as ``allvecs``); ``disp`` (print the message). SciPy's
        tolerances may be there: the iteration goes on to the last digits all the same.

    Returns
    -------
    scipy.optimize.OptimizeResult
        x, fun, jac, hess (or hess_inv), success, message, status, nit, nfev, njev, nhev; ``derivatives`` ("exact",
        "given", "finite differences"), ``kind`` of the point ("minimum", "saddle" ...). With constraints
        ``multipliers``, one for each number that a constraint gives (the gradient of fun is the sum of those of the
        constraints times these; not negative where a lower side holds x, not positive where an upper one does), and
        ``constraints``, the numbers themselves; with inequalities also ``bound_multipliers`` of the variables,
        ``residual`` (what is left of the gradient, relative) and ``violation``.

    Examples
    --------
    >>> import numpy as np
    >>> from mmlfast.optimize import minimize
    >>> r = minimize(lambda v: (1 - v[0]) ** 2 + 100 * (v[1] - v[0] ** 2) ** 2, [-1.2, 1.0])
    >>> r.x.round(12).tolist(), r.success, r.derivatives, r.kind
    ([1.0, 1.0], True, 'exact', 'minimum')
    >>> disc = {"type": "ineq", "fun": lambda v: 2 - v[0] ** 2 - v[1] ** 2}
    >>> r = minimize(lambda v: (v[0] - 3) ** 2 + (v[1] - 3) ** 2, [0.0, 0.0], constraints=disc)
    >>> r.x.round(12).tolist(), r.multipliers.round(12).tolist()
    ([1.0, 1.0], [2.0])
    """
    start = as_start(x0)
    chosen = _checked_method(method)
    if hessp is not None and hess is None:
        hess = _by_products(hessp, start.size)
    limit, keeps_all, talks = _checked_options(options, start.size)
    wanted = 4 * _EPS if tol is None else max(as_real(tol, "tol"), 4 * _EPS)
    box = _checked_bounds(bounds, start)
    if given := take_constraints(constraints, start.size):
        if chosen not in (None, "newton"):
            raise ValueError(f"constraints: method={chosen!r} has none; leave method out")
        inside = start if box is None else box.into(start)
        watcher = _Follower(callback, keeps_all, inside)
        result = constrained_minimum(fun, given, box, inside, args, (jac, hess), limit, watcher.wanted)
        if watcher.all is not None:
            result.allvecs = watcher.all
        return _with_message(result, talks)
    limits = (box.lower, box.upper) if box is not None else None
    f = Objective(fun, start if box is None else box.into(start), args, jac, hess, limits)
    hybrid = chosen is None and box is None
    if chosen is None:
        chosen = "newton" if f.taken.recorded is not None or callable(hess) or box is not None else "bfgs"
    if box is not None and chosen != "newton":
        raise ValueError(f"bounds: method={chosen!r} has none; method='newton' has")
    follow = _Follower(callback, keeps_all, start, f.first)
    result = _result(f, _run(f, start, chosen, wanted, limit, box, follow), chosen, follow)
    if hybrid and not result.success and "callback" not in result.message:
        result = _another_way(f, start, result, wanted, limit, follow)
    return _with_message(result, talks)


def _another_way(f: Objective, start: Array, first: Any, tol: float, limit: int, follow: _Follower) -> Any:
    """The other method from the start, and Newton's from where that one ended: the best of them."""
    results = [first]
    other = "bfgs" if first.method == "newton" else "newton"
    for method in (other, "newton"):
        begin = start if len(results) == 1 else results[-1].x
        result = _result(f, _run(f, begin, method, tol, limit, None, follow), method, follow)
        results.append(result)
        if result.success or NO_END in first.message:
            break
    best = min(results, key=lambda r: (not r.success, _NO_SMALLEST not in r.message, r.fun))
    if best is not first:
        tried = " and ".join(r.method for r in results[:-1])
        best.message = f"{best.message} (by {best.method}, after {tried} had not converged)"
        best.nit = sum(r.nit for r in results)
    return best


class _Follower:
    """Sees each step: for the caller's function, and to keep what was seen."""

    def __init__(
        self, callback: Callable[..., Any] | None, keeps_all: bool, start: Array, value: float = np.nan
    ) -> None:
        self.callback = callback
        self.all: list[Array] | None = [start] if keeps_all else None
        self.last: tuple[Array, float] = start, value
        self.n_iter = 0
        names = _parameters(callback) if callback is not None else ()
        self.whole = "intermediate_result" in names
        self.takes_state = len(names) == 2 and not self.whole  # of SciPy's trust-constr: (x, state)

    @property
    def wanted(self) -> Callable[[Array, float], None] | None:
        return self if self.callback is not None or self.all is not None else None

    def __call__(self, x: Array, value: float) -> None:
        self.last, self.n_iter = (x.copy(), value), self.n_iter + 1
        if self.all is not None:
            self.all.append(x.copy())
        if self.callback is None:
            return
        if not (self.whole or self.takes_state):
            self.callback(x.copy())
            return
        from scipy.optimize import OptimizeResult

        state = OptimizeResult(x=x.copy(), fun=value, nit=self.n_iter)
        if self.whole:
            self.callback(intermediate_result=state)
        else:
            self.callback(x.copy(), state)


def _parameters(callback: Callable[..., Any]) -> tuple[str, ...]:
    """The names of those without a default."""
    try:
        every = inspect.signature(callback).parameters.values()
    except (TypeError, ValueError):
        return ()
    return tuple(p.name for p in every if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD))


class _Found(NamedTuple):
    """Where an iteration has ended, the Hessian there, and its eigenvalues, if it is small and finite and they are
    needed to see whether that is a minimum."""

    end: Any
    hessian: Any
    curvature: Curvature | None
    clear: ClearMinimum | None = None


def _look(f: Objective, end: Any, box: Box | None) -> _Found:
    hessian = getattr(end, "hessian", None)
    most = _MOST_LOOKED_AT if f.taken.recorded is not None else _MOST_BY_DIFFERENCES
    if hessian is None and end.converged and f.n <= most and np.isfinite(end.x).all():
        hessian = f.hessian(end.x)
    if box is None and end.converged and isinstance(hessian, np.ndarray):
        clear = clear_minimum(hessian, end.gradient, end.x, f.start)
        if clear is not None and (end.n_iter < _SLOW or clear.on_the_way > LEAST_ON_THE_WAY * _level(f, end)):
            return _Found(end, hessian, None, clear)
    if not isinstance(hessian, np.ndarray) or f.n > _MOST_LOOKED_AT or not np.isfinite(hessian).all():
        return _Found(end, hessian, None)
    free = np.ones(f.n, bool) if box is None else ~box.held(end.x, end.gradient)
    return _Found(end, hessian, curvature_of(hessian, free))


def _run(f: Objective, start: Array, method: str, tol: float, limit: int, box: Box | None, follow: _Follower) -> _Found:
    """From start to a minimum, and on if it is flat there and lower beside it."""
    with np.errstate(all="ignore"):
        found = _look(f, _one_run(f, start, method, tol, limit, box, follow), box)
        for _ in range(_MOST_MOVES):
            if (beside := _lower_beside(f, found, box)) is None:
                return found
            further = _one_run(f, beside, method, tol, limit, box, follow)
            found = _look(f, further._replace(n_iter=found.end.n_iter + further.n_iter), box)
        if _lower_beside(f, found, box) is not None:
            reason = "points beside it are lower, although its derivatives are zero"
            found = found._replace(end=found.end._replace(converged=False, reason=reason))
        return found


def _level(f: Objective, end: Any) -> float:
    return max(abs(f.first), abs(float(end.value)))


def _lower_beside(f: Objective, found: _Found, box: Box | None) -> Array | None:
    """A point that is lower than a stationary one, along directions without curvature: there higher derivatives decide
    (a monkey saddle), or fun changes by jumps."""
    end, curvature = found.end, found.curvature
    if not end.converged or f.taken.is_noisy or curvature is None or not curvature.free.any():
        return None
    level = _level(f, end)
    beside = lower_beside(f.value, end.x, end.value, curvature, level, box)
    if beside is None and end.n_iter >= _SLOW:
        way = end.x - f.start
        beside = lower_on_the_way(f.value, end.x, end.value, found.hessian, curvature.free, way, level, box)
    return beside


def _one_run(
    f: Objective, start: Array, method: str, tol: float, limit: int, box: Box | None, follow: _Follower
) -> Any:
    try:
        if method == "newton":
            return newton_minimum(f, start, tol, limit, box, follow.wanted)
        if method == "bfgs":
            end = bfgs_minimum(f, start, tol, limit, follow.wanted)
            if end.reason.startswith("it is not finite"):
                raise ValueError(
                    f"fun is {f.taken.first.reshape(())}, or its gradient not finite, at x0: start elsewhere"
                )
            return end
        return descent_minimum(f, start, tol, limit, follow.wanted)
    except StopIteration:
        x, value = follow.last
        gradient = f.value_and_gradient(x)[1]
        return End(x, value, gradient, None, False, "the callback has stopped it", follow.n_iter, np.nan)


def _result(f: Objective, found: _Found, method: str, follow: _Follower) -> Any:
    with np.errstate(all="ignore"):
        return _looked_at(f, found, method, follow)


def _looked_at(f: Objective, found: _Found, method: str, follow: _Follower) -> Any:
    from scipy.optimize import OptimizeResult  # takes a while to import, and not all need it

    end, hessian, curvature, clear = found
    kind, converged, reason = "", bool(end.converged), end.reason
    if clear is not None:
        kind = "minimum"
        if clear.pulls and (missing := _what_is_left(f, end, clear.gain, 0.0, clear[2:5])):
            converged, reason = False, missing
    if curvature is not None:
        free = curvature.free
        kind = kind_by(curvature.values, f.taken.recorded is not None)[0] if free.any() else "minimum"
        if converged and free.any() and (missing := _why_not_stationary(f, curvature, end)):
            converged, reason = False, missing
        if converged and kind in ("saddle", "maximum"):
            converged, reason = False, f"it has stopped at a {kind}: start elsewhere"
    if converged and f.taken.is_noisy:
        converged, reason = False, "fun gives other numbers for the same x"
    message = "converged" if converged else f"not converged: {reason}"
    if converged and kind == "degenerate":
        message += " (some eigenvalues of the Hessian are zero there: the minimum is flat or not known to all digits)"
    result = OptimizeResult(
        x=end.x,
        fun=end.value,
        jac=end.gradient,
        success=converged,
        status=0 if converged else 1,
        message=f"{message}. {f.note}".rstrip(" "),
        nit=end.n_iter,
        nfev=f.nfev,
        njev=f.njev,
        nhev=f.nhev,
        derivatives=source(f),
        kind=kind,
        method=method,
    )
    if method == "bfgs" and hasattr(end, "inverse"):
        result.hess_inv = end.inverse
    elif hessian is not None:
        result.hess = hessian
    if follow.all is not None:
        result.allvecs = follow.all
    return result


def _why_not_stationary(f: Objective, curvature: Curvature, end: Any) -> str:
    """Empty if little could be gained along the directions with curvature, and nothing pulls along the others."""
    d, free, values, vectors = curvature
    slope = (end.gradient / d)[free]
    if not slope.any():
        # A leap from a slope that fades away to where nothing of f is left.
        faded = abs(float(end.value)) <= 1e-20 * abs(f.first) and getattr(end, "leap", 0.0) > _FAR_LEAP
        return NO_END if faded and kind_by(values, True)[0] == "degenerate" else ""
    slopes = slope @ vectors
    lengths = np.abs(values)
    curved = lengths > 1e-6 * lengths.max()
    size, pull = _length((d * end.x)[free]), 0.0
    if not curved.all():
        pull = float(np.abs(slopes[~curved]).max()) * size
        slopes, lengths = slopes[curved], lengths[curved]
    steps = slopes / lengths
    reach = _length(steps), _length((d * (end.x - f.start))[free]), size
    return _what_is_left(f, end, float(slopes @ steps), pull, reach, bool(free.all()))


def _what_is_left(
    f: Objective, end: Any, gain: float, pull: float, reach: tuple[float, ...], all_free: bool = True
) -> str:
    """gain: along the directions with curvature, and `pull`, along the others. reach: how far the model's minimum is,
    the start, and zero."""
    step, way, size = reach
    level = _level(f, end)
    if not (gain <= 1e-7 * level and pull <= 1e-6 * level):
        return "the slope is not zero there (a kink, or no smallest value)"
    # Steps as long as ever where f does not fall any more, or lower still twice as far away: exp(-x) has no minimum.
    if f.derivatives != DIFFERENCES and step > 1e-4 * max(way, 1e-8 * size):
        return NO_END
    if 0 < end.value <= 1e-9 * level and all_free:
        further = f.value(2 * end.x - f.start)
        if further < 0.5 * end.value or (further < end.value <= _UNDERFLOW * level):
            return NO_END
    return ""


def _length(x: Array) -> float:
    return math.sqrt(float(x @ x))


def _by_products(hessp: Callable[..., Any], n: int) -> Callable[..., Any]:
    """The Hessian from its products with vectors."""
    if not callable(hessp):
        raise TypeError(f"hessp must be a function hessp(x, p, *args), got {type(hessp).__name__}")
    return lambda x, *args: np.stack([np.asarray(hessp(x, p, *args)) for p in np.eye(n)])


def _with_message(result: Any, talks: bool) -> Any:
    if talks:
        print(result.message)
    return result


# ---- arguments ----


def _checked_method(method: Any) -> str | None:
    if method is None:
        return None
    name = method.lower() if isinstance(method, str) else method
    if isinstance(name, str) and name in _OURS:
        return _OURS[name]
    if name in _WITHOUT_DERIVATIVES:
        raise ValueError(
            f"method={method!r} searches without derivatives, which scipy.optimize.minimize does: leave method out, "
            "derivatives are exact here where fun can be traced, and differences where not"
        )
    if name not in _METHODS:
        raise ValueError(f"method must be one of {', '.join(_METHODS)}, got {method!r}")
    return str(name)


def _checked_options(options: Any, n: int) -> tuple[int, bool, bool]:
    given = dict(options or {})
    most = given.pop("maxiter", given.pop("max_iter", None))
    limit = 500 + 50 * n if most is None else as_integer(most, "options['maxiter']", 0)
    keeps_all, talks = bool(given.pop("return_all", False)), bool(given.pop("disp", False))
    if useless := sorted(_USELESS & given.keys()):
        warn_caller(f"minimize has no use for options {', '.join(map(repr, useless))}: leave them out", UserWarning)
    if unknown := given.keys() - _USELESS - _TOLERANCES:
        what = ", ".join(map(repr, sorted(unknown)))
        raise ValueError(f"options: {what} is not known; there are maxiter, return_all and disp")
    return limit, keeps_all, talks


def _checked_bounds(bounds: Any, x0: Array) -> Box | None:
    if bounds is None:
        return None
    lower, upper = bounds_by_variable(bounds, x0.size, "x0[{}]".format)
    check_order(lower, upper, "x0[{}]".format, equal=True)
    return Box(lower, upper) if np.isfinite(lower).any() or np.isfinite(upper).any() else None
