"""minimize, with the signature and the result of scipy.optimize.minimize."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from mmlfast._common.arrays import as_integer, as_real
from mmlfast._common.errors import warn_caller
from mmlfast.optimize._bfgs import bfgs_minimum
from mmlfast.optimize._bounds import bounds_by_variable, check_order
from mmlfast.optimize._constrained import constrained_minimum
from mmlfast.optimize._constraints import take_constraints
from mmlfast.optimize._gradient_descent import descent_minimum
from mmlfast.optimize._objective import Objective, as_start, source
from mmlfast.optimize._stationary_points import kind_of
from mmlfast.optimize._trust_region import Box, End, newton_minimum
from mmlfast.optimize._trust_step import scaled_model

Array = np.ndarray[Any, Any]

_EPS = float(np.finfo(np.float64).eps)
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
_MOST_LOOKED_AT, _MOST_BY_DIFFERENCES = 200, 20


def minimize(
    fun: Callable[..., Any],
    x0: Any,
    args: tuple[Any, ...] = (),
    method: str | None = None,
    jac: Any = None,
    hess: Any = None,
    hessp: None = None,
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
    hessp : None
        Not used: Hessians cost little more than gradients.
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
    chosen = _checked_method(method, hessp)
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
    follow = _Follower(callback, keeps_all, start, float(f.taken.first.reshape(())))
    result = _result(f, _run(f, start, chosen, wanted, limit, box, follow), chosen, box, follow)
    if hybrid and not result.success and "callback" not in result.message:
        result = _another_way(f, start, result, wanted, limit, follow)
    return _with_message(result, talks)


def _another_way(f: Objective, start: Array, first: Any, tol: float, limit: int, follow: _Follower) -> Any:
    """The other method from the start, and Newton's from where that one ended: the best of them."""
    results = [first]
    other = "bfgs" if first.method == "newton" else "newton"
    for method in (other, "newton"):
        begin = start if len(results) == 1 else results[-1].x
        result = _result(f, _run(f, begin, method, tol, limit, None, follow), method, None, follow)
        results.append(result)
        if result.success:
            break
    best = min(results, key=lambda r: (not r.success, r.fun))
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
        self.whole = callback is not None and "intermediate_result" in _parameters(callback)

    @property
    def wanted(self) -> Callable[[Array, float], None] | None:
        return self if self.callback is not None or self.all is not None else None

    def __call__(self, x: Array, value: float) -> None:
        self.last, self.n_iter = (x.copy(), value), self.n_iter + 1
        if self.all is not None:
            self.all.append(x.copy())
        if self.callback is None:
            return
        if self.whole:
            from scipy.optimize import OptimizeResult

            self.callback(intermediate_result=OptimizeResult(x=x.copy(), fun=value))
        else:
            self.callback(x.copy())


def _parameters(callback: Callable[..., Any]) -> Any:
    try:
        return inspect.signature(callback).parameters
    except (TypeError, ValueError):
        return ()


def _run(f: Objective, start: Array, method: str, tol: float, limit: int, box: Box | None, follow: _Follower) -> Any:
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


def _result(f: Objective, end: Any, method: str, box: Box | None, follow: _Follower) -> Any:
    from scipy.optimize import OptimizeResult  # takes a while to import, and not all need it

    kind, converged, reason = "", bool(end.converged), end.reason
    hessian = getattr(end, "hessian", None)
    most = _MOST_LOOKED_AT if f.taken.recorded is not None else _MOST_BY_DIFFERENCES
    if hessian is None and end.converged and f.n <= most and np.isfinite(end.x).all():
        hessian = f.hessian(end.x)
    if isinstance(hessian, np.ndarray) and np.isfinite(hessian).all() and f.n <= _MOST_LOOKED_AT:
        free = np.ones(f.n, bool) if box is None else ~box.held(end.x, end.gradient)
        kind = kind_of(hessian[np.ix_(free, free)], f.taken.recorded is not None)[0] if free.any() else "minimum"
        if converged and not _is_stationary(f, hessian, end, free):
            converged, reason = False, "the slope is not zero there (a kink, or no smallest value)"
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


def _is_stationary(f: Objective, hessian: Array, end: Any, free: Array) -> bool:
    """Whether little could be gained along the directions with curvature, and nothing pulls along the others."""
    d, scaled, slope = scaled_model(hessian, end.gradient, np.zeros(f.n), free)
    if not slope.any():
        return True
    values, vectors = np.linalg.eigh(scaled)
    slopes = slope @ vectors
    flat = np.abs(values) <= 1e-6 * float(np.abs(values).max(initial=0.0))
    level = max(abs(float(end.value)), abs(float(f.taken.first.reshape(()))))
    gain = float(np.sum(slopes[~flat] ** 2 / np.abs(values[~flat])))
    pull = float(np.abs(slopes[flat]).max(initial=0.0)) * float(np.linalg.norm((d * end.x)[free]))
    return gain <= 1e-7 * level and pull <= 1e-6 * level


def _with_message(result: Any, talks: bool) -> Any:
    if talks:
        print(result.message)
    return result


# ---- arguments ----


def _checked_method(method: Any, hessp: Any) -> str | None:
    if hessp is not None:
        raise ValueError("hessp is not used: give hess, or nothing (Hessians are exact where fun can be traced)")
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
    limit = as_integer(given.pop("maxiter", given.pop("max_iter", 500 + 50 * n)), "options['maxiter']", 0)
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
