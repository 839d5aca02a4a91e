"""least_squares, with the signature of scipy.optimize.least_squares."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mmlfast import _core
from mmlfast._common.arrays import as_float, as_integer, as_real
from mmlfast._common.errors import warn_caller
from mmlfast.autodiff._recording import function_name, place_of
from mmlfast.optimize._bounds import bounds_by_side, check_order
from mmlfast.optimize._callables import GIVEN, Taken, given_is_wrong, take, why
from mmlfast.optimize._fit_tape import Programs
from mmlfast.optimize._restarts import (
    Loss,
    Problem,
    lower_nearby,
    off_saddles,
    other_minima,
    robust_minimum,
    with_new_scales,
)

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

Array = np.ndarray[Any, Any]

LOSSES = ("linear", "soft_l1", "huber", "cauchy", "arctan")
_JACS = ("2-point", "3-point", "cs")
_METHODS = ("trf", "dogbox", "lm")
_MESSAGES = {
    -3: "This is no minimum, but no step makes the sum of squares smaller, or parameters make no difference any more: "
    "start from elsewhere.",
    -2: "The callback raised StopIteration.",
    0: "The maximum number of function evaluations is exceeded.",
    1: "The residuals are at right angles to all derivatives, to `gtol`.",
    2: "The sum of squares does not change any more, to `ftol`.",
    3: "The parameters do not change any more, to `xtol`.",
}


def least_squares(
    fun: Callable[..., Any],
    x0: Any,
    jac: Any = None,
    bounds: Any = (-np.inf, np.inf),
    method: str = "trf",
    ftol: float | None = 1e-8,
    xtol: float | None = 1e-8,
    gtol: float | None = 1e-8,
    x_scale: Any = None,
    loss: Any = "linear",
    f_scale: float = 1.0,
    diff_step: Any = None,
    tr_solver: str | None = None,
    tr_options: Mapping[str, Any] | None = None,
    jac_sparsity: Any = None,
    max_nfev: int | None = None,
    verbose: int = 0,
    args: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] | None = None,
    callback: Callable[..., Any] | None = None,
    workers: Any = None,
) -> OptimizeResult:
    """Find parameters, perhaps within bounds, for which the sum of the squares of many residuals is least.

    Derivatives are exact where `fun` can be traced, else differences; the result says which. The units of residuals and
    parameters make no difference: a problem in other units takes the same steps.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args, **kwargs)`` gives the residuals, an array of shape (m,).
    x0 : array-like of shape (n,), or float
        Where to start.
    jac : callable, optional
        Gives the derivatives, of shape (m, n), dense or sparse; they are compared with those of `fun` at the start. The
        names of SciPy's differences ("2-point", "3-point", "cs") are as None: exact derivatives, or differences whose
        steps the library finds.
    bounds : pair of array-like, or Bounds
        Lower and upper ones. `fun` is not called outside of them, not even for a difference.
    method : {"trf", "dogbox", "lm"}
        All the same here: Levenberg-Marquardt's method with More's scaling, geodesic acceleration, and an active set
        for the bounds.
    ftol, xtol, gtol : float or None
        The search ends where the cost, the parameters, or the cosine between residuals and derivatives change or are by
        less. Steps of Gauss and Newton then go on to the last digits, with residuals in double-double where float64 is
        not enough, so there is little to gain by other values.
    x_scale : array-like or "jac", optional
        Typical changes of the parameters; by default their influence on the residuals sets the scale.
    loss : {"linear", "soft_l1", "huber", "cauchy", "arctan"} or callable
        What is done to the squares, so that outliers count less. A callable gives rho(z) and its first two derivatives,
        of shape (3, m).
    f_scale : float
        Residuals beyond this are outliers.
    diff_step, tr_solver, tr_options, jac_sparsity : optional
        Have no meaning here; a warning says so if they are given.
    max_nfev : int, optional
        The most evaluations of `fun`, without those for differences: 1000, and 3000 more for other starts if the first
        search ends at no minimum.
    verbose : {0, 1, 2}
        Print how it ended; and each step.
    args, kwargs : tuple, dict
        Further arguments of `fun` and `jac`.
    callback : callable, optional
        ``callback(intermediate_result)``, or ``callback(x)``, after each step. Its StopIteration ends the search.
    workers : optional
        Has no meaning here either.

    Returns
    -------
    scipy.optimize.OptimizeResult
        SciPy's x, cost, fun, jac, grad, optimality, active_mask, nfev, njev, status, message and success, and

        derivatives : str
            "exact", "given" or "finite differences".
        cosine : float
            The largest cosine between the residuals and the derivatives by a parameter that is free: the optimality
            that has no unit.
        rank, condition : int, float
            Of `jac`, its columns at length 1.

        ``status`` is -3 if no step leads down, though this is no minimum: with derivatives that are wrong, or jumps.

    Raises
    ------
    ValueError
        If the residuals are not finite at x0; if x0 is not between the bounds.

    Examples
    --------
    >>> import numpy as np
    >>> from mmlfast.optimize import least_squares
    >>> t = np.array([0.0, 1.0, 2.0, 3.0])
    >>> y = np.array([3.0, 1.9, 1.4, 1.2])
    >>> result = least_squares(lambda p: p[0] * np.exp(-p[1] * t) + p[2] - y, [1.0, 1.0, 1.0])
    >>> result.x.round(4).tolist(), result.derivatives
    ([1.9731, 0.8222, 1.0278], 'exact')
    """
    _check_choices(jac, method, loss)
    _tell_of_what_is_not_used(locals())
    start = np.atleast_1d(np.array(as_float(x0, "x0"), np.float64))
    if start.ndim > 1:
        raise ValueError(f"x0 must have at most 1 dimension, got shape {start.shape}")
    if not start.size:
        raise ValueError("x0 is empty: there must be at least one parameter")
    lower, upper = _take_bounds(bounds, start)
    scale = _take_scale(x_scale, start.size)
    given_tolerances = (("ftol", ftol), ("xtol", xtol), ("gtol", gtol))
    tolerances = tuple(0.0 if t is None else as_real(t, name) for name, t in given_tolerances)
    if not 0 < as_real(f_scale, "f_scale") < np.inf:
        raise ValueError(f"f_scale must be positive and finite, got {f_scale!r}")
    most = 1000 if max_nfev is None else as_integer(max_nfev, "max_nfev", least=1)
    all_searches = 4 * most if max_nfev is None else most
    further: Any = args
    given = tuple(further) if isinstance(further, list | tuple) else (further,)
    words = dict(kwargs or {})
    f = functools.partial(fun, **words) if words and callable(fun) else fun
    with np.errstate(all="ignore"):
        search = _Search(f, start, given, (lower, upper), jac, words)
        result = search.run(
            tolerances, loss, float(f_scale), (most, all_searches), scale, _reporter(callback, verbose, search)
        )
    if verbose:
        print(f"{result.message} {result.nfev} evaluations, cost {result.cost:.4e}, cosine {result.cosine:.2e}.")
    return result


class _Search:
    """fun, on its tape or called, and the searches for a minimum."""

    def __init__(
        self,
        f: Callable[..., Any],
        x0: Array,
        args: tuple[Any, ...],
        bounds: tuple[Array | None, Array | None],
        jac: Any,
        words: dict[str, Any],
    ) -> None:
        self.x0, self.bounds = x0, bounds
        sides = tuple(b if b is not None else s * np.inf for b, s in zip(bounds, (-1.0, 1.0), strict=True))
        self.taken = take(f, x0, args, name="fun", bounds=sides)
        _check_residuals(self.taken)
        self.m = self.taken.first.size
        self.complaint = ""
        self.jac = None
        if callable(jac):
            self.jac = functools.partial(_dense_jacobian, jac, args, words, self.m)
            self.complaint = given_is_wrong(self.taken, self.jac(x0), x0, "jac")
        self.model, self.problem = self._model()

    @property
    def derivatives(self) -> str:
        return GIVEN if self.jac is not None else self.taken.derivatives

    def _model(self) -> tuple[Any, Problem]:
        taken, n = self.taken, self.x0.size
        if taken.recorded is None or self.jac is not None:
            called: Any = _core.CallableResiduals(taken.plain, self.jac, self.m, n)
            return called, Problem(called, self.x0, *self.bounds)
        if taken.recorded.has_sides:
            called = _core.CallableResiduals(taken.plain, taken.jacobian, self.m, n)
            return called, Problem(called, self.x0, *self.bounds)
        programs = programs_of(taken)
        traced: Any = _core.TapeResiduals(
            programs.values, programs.columns, taken.parameters, second=programs.second, precise=programs.precise
        )
        return traced, Problem(traced, self.x0, *self.bounds, programs.linear)

    def run(
        self,
        tolerances: tuple[float, ...],
        loss: Any,
        f_scale: float,
        most: tuple[int, int],
        scale: Array | None,
        on_step: Any,
    ) -> OptimizeResult:
        spent = 0

        def from_here(x: Array, most: int, wider: float = 1.0) -> Any:
            nonlocal spent
            lower, upper = self.bounds
            ftol, xtol, gtol = tolerances
            size = f_scale * wider
            found = _core.minimize_squares(
                self.model, x, lower, upper, loss, size, ftol, xtol, gtol, most, scale, True, 100.0, on_step, True
            )
            spent += found.n_evaluations
            return found

        best = from_here(self.x0, most[0])
        problem = self.problem
        problem.loss = None if loss == "linear" else Loss(loss, f_scale)
        words = []
        if best.n_searches > 1:
            words.append("two searches were made, the second one with shorter steps, and the lower end counts")
        best = with_new_scales(best, from_here, most[1])
        best, said = off_saddles(problem, best, from_here, most[1])
        words += said
        if loss != "linear" and best.status != -2:
            best, _, said = robust_minimum(problem, best, from_here, most[1] - spent + best.n_evaluations)
            words += said
        best, _, said = other_minima(problem, best, from_here, most[1] - spent + best.n_evaluations)
        words += said
        status = best.status
        if status == -3 and lower_nearby(self.problem, best.x, best.cost) is None:
            status = 3
            words.append("the residuals have a kink there")
        elif status > 0 and (best.lost or self.taken.is_noisy):
            status = -3
        return self._result(best, status, spent + problem.n_evaluations, words)

    def _result(self, best: Any, status: int, n_evaluations: int, words: list[str]) -> OptimizeResult:
        from scipy.optimize import OptimizeResult

        free = best.active == 0
        sentences = [word[0].upper() + word[1:] + "." for word in words]
        words = [_MESSAGES[status], *sentences, why(self.taken) if self.jac is None else "", self.complaint]
        return OptimizeResult(
            x=best.x,
            cost=best.cost,
            fun=best.residuals,
            jac=best.jacobian,
            grad=best.gradient,
            optimality=float(np.max(np.abs(best.gradient[free]), initial=0.0)),
            active_mask=best.active.astype(int),
            nfev=n_evaluations,
            njev=best.n_jacobians,
            status=status,
            message=" ".join(word for word in words if word),
            success=status > 0,
            derivatives=self.derivatives,
            cosine=best.optimality,
            rank=best.rank,
            condition=best.condition,
        )


def programs_of(taken: Taken) -> Programs:
    """Those of residuals on a tape, made once."""
    recorded = taken.recorded
    found: Any = getattr(recorded, "squares", None)
    if found is None:
        found = Programs(recorded, None)  # type: ignore[arg-type]
        recorded.squares = found  # type: ignore[union-attr]
    made: Programs = found
    return made


# ---- arguments ----


def _check_choices(jac: Any, method: Any, loss: Any) -> None:
    if not (jac is None or callable(jac) or (isinstance(jac, str) and jac in _JACS)):
        raise ValueError(f"jac must be callable or one of {_JACS}, got {jac!r:.60}")
    if method not in _METHODS:
        raise ValueError(f"method must be one of {_METHODS}, got {method!r:.60}")
    if not (callable(loss) or (isinstance(loss, str) and loss in LOSSES)):
        raise ValueError(f"loss must be callable or one of {LOSSES}, got {loss!r:.60}")


def _tell_of_what_is_not_used(given: dict[str, Any]) -> None:
    names = ("diff_step", "tr_solver", "tr_options", "jac_sparsity", "workers")
    useless = [name for name in names if not (given[name] is None or (name == "tr_options" and not given[name]))]
    if useless:
        warn_caller(f"least_squares has no use for {' and '.join(useless)}: leave such arguments out", UserWarning)


def _take_bounds(bounds: Any, x0: Array) -> tuple[Array | None, Array | None]:
    """None for sides without any."""
    lower, upper = bounds_by_side(bounds, x0.size, "x0[{}]".format)
    check_order(lower, upper, "x0[{}]".format)
    inside = (x0 >= lower) & (x0 <= upper)
    if not inside.all():
        i = int(np.argmin(inside))
        raise ValueError(
            f"x0 is infeasible: x0[{i}] is {float(x0[i])!r}, its bounds are {float(lower[i])!r} and {float(upper[i])!r}"
        )
    return lower if np.isfinite(lower).any() else None, upper if np.isfinite(upper).any() else None


def _take_scale(x_scale: Any, n: int) -> Array | None:
    if x_scale is None or (isinstance(x_scale, str) and x_scale == "jac"):
        return None
    if isinstance(x_scale, str):
        raise ValueError(f"x_scale must be 'jac' or positive numbers, got {x_scale!r}")
    values = np.asarray(as_float(x_scale, "x_scale"), np.float64)
    if values.shape not in ((), (1,), (n,)):
        raise ValueError(f"x_scale has shape {values.shape}, there are {n} parameters: inconsistent shapes")
    if not np.all((values > 0) & np.isfinite(values)):
        raise ValueError(f"x_scale must be 'jac' or positive numbers, got {x_scale!r:.60}")
    return None if values.size == 1 else values.copy()  # one number is a unit of all


def _check_residuals(taken: Taken) -> None:
    first = taken.first
    where = f"fun{place_of(taken.f)}" if function_name(taken.f) != "fun" else "fun"
    if first.ndim > 1:
        raise ValueError(f"{where} must return at most 1-d array_like, it gave an array of shape {first.shape} for x0")
    if not first.size:
        raise ValueError(f"{where} gave no residuals for x0")
    finite = np.isfinite(first.ravel())
    if not finite.all():
        i = int(np.argmin(finite))
        raise ValueError(
            f"Residuals are not finite in the initial point: {where} gives {first.ravel()[i]} for residual {i} (of "
            f"{first.size}) at x0; start where it is defined"
        )


def _dense_jacobian(jac: Callable[..., Any], args: tuple[Any, ...], words: dict[str, Any], m: int, x: Array) -> Array:
    found = jac(x.copy(), *args, **words)
    if hasattr(found, "toarray"):
        found = found.toarray()
    elif hasattr(found, "matmat"):
        found = found.matmat(np.eye(x.size))
    values = np.asarray(found, np.float64)
    if values.size != m * x.size or values.ndim > 2:
        raise ValueError(f"jac gives an array of shape {values.shape}, it must have shape {(m, x.size)}")
    return values.reshape(m, x.size)


# ---- what happens on the way ----


def _reporter(callback: Any, verbose: int, search: _Search) -> Any:
    """What is called after each step; False ends the search. None if there is nothing to do."""
    if callback is not None and not callable(callback):
        raise TypeError(f"callback must be a function, got {type(callback).__name__}")
    if as_integer(verbose, "verbose", least=0) > 2:
        raise ValueError(f"verbose must be 0, 1 or 2, got {verbose}")
    if callback is None and verbose < 2:
        return None
    takes_result = callback is not None and _takes_result(callback)
    n_steps = 0

    def after_step(x: Array, cost: float, n_evaluations: int) -> bool:
        nonlocal n_steps
        n_steps += 1
        if verbose == 2:
            print(f"{n_steps:6d} {n_evaluations:6d} evaluations, cost {cost:.10e}")
        if callback is None:
            return True
        try:
            if takes_result:
                from scipy.optimize import OptimizeResult

                callback(
                    intermediate_result=OptimizeResult(
                        x=x, cost=cost, fun=search.model.residuals(x), nit=n_steps, nfev=n_evaluations
                    )
                )
            else:
                callback(x)
        except StopIteration:
            return False
        return True

    return after_step


def _takes_result(callback: Any) -> bool:
    try:
        return set(inspect.signature(callback).parameters) == {"intermediate_result"}
    except (TypeError, ValueError):
        return False
