"""The search for the parameters of a fit: its settings, and whether it ended at a minimum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mmlfast import _core
from mmlfast._common.arrays import as_float, as_integer, as_real
from mmlfast._common.errors import warn_caller
from mmlfast.autodiff._recording import function_name, place_of
from mmlfast.optimize._fit_covariance import lengths_of_columns
from mmlfast.optimize._fit_data import FitData
from mmlfast.optimize._fit_model import FitModel
from mmlfast.optimize._fit_parameters import Parameters
from mmlfast.optimize._restarts import Loss, Problem, off_saddles, other_minima, robust_minimum, with_new_scales

Array = np.ndarray[Any, Any]

NOISE = 3e-9  # of derivatives by differences
# The largest cosine between the residuals and a derivative where a search that can go no further has arrived.
_ARRIVED = 1e-6
_ARRIVED_IN_FLOAT32 = 1e-3
_LITTLE, _NEXT_TO_NOTHING = 0.5, 0.8  # of what a constant leaves
_ALIKE = 1.2
_WAYS = ((False, 100.0), (False, 1.0), (True, 1.0), (False, 0.1))  # bent steps or not, and the length of the first one
_RANDOM = 1e-9  # beside its size: from which difference on for the same parameters a model is random
_VALLEY = 1e8  # condition from which on a search that gives up is in a valley
_METHODS = (None, "lm", "trf", "dogbox")
# SciPy's settings of steps, derivatives and solvers, which are found here.
_USELESS = {"epsfcn", "factor", "diag", "diff_step", "tr_solver", "tr_options", "jac_sparsity", "verbose", "workers"}
_LOSSES = ("linear", "huber", "soft_l1", "cauchy")


class Settings(NamedTuple):
    """In the order in which `minimize_squares` takes them. After the tolerances steps of Gauss and Newton go on to the
    last digits."""

    loss: str = "linear"
    f_scale: float = 1.0
    ftol: float = 1e-8
    xtol: float = 1e-8
    gtol: float = 1e-8
    evaluations: int = 1000
    scale: Array | None = None  # of the steps of all parameters; None: by their influence


_DEFAULT = Settings()


def take_settings(method: str | None, loss: str, f_scale: float, options: dict[str, Any]) -> Settings:
    """Those of a call of curve_fit; an error for what it does not know."""
    if method not in _METHODS:
        raise ValueError(f"method must be one of {_METHODS}, got {method!r}: all of them are this library's own")
    if loss not in _LOSSES:
        raise ValueError(f"loss must be one of {_LOSSES}, got {loss!r:.60}")
    if not options and loss == "linear" and type(f_scale) is float:
        return _DEFAULT
    if not 0 < as_real(f_scale, "f_scale") < np.inf:
        raise ValueError(f"f_scale must be positive, got {f_scale!r}")
    found: dict[str, Any] = {"loss": loss, "f_scale": float(f_scale)}
    useless: list[str] = []
    for name, value in options.items():
        if name in ("ftol", "xtol", "gtol"):
            if value is not None:
                found[name] = as_real(value, name)
        elif name in ("maxfev", "max_nfev"):
            if value is not None and not (name == "maxfev" and value == 0):
                found["evaluations"] = as_integer(value, name, least=1)
        elif name == "x_scale":
            if value is not None and not (isinstance(value, str) and value == "jac"):
                found["scale"] = np.asarray(as_float(value, name), np.float64)
                if not np.all(found["scale"] > 0):
                    raise ValueError(f"x_scale must be positive, got {value!r:.60}")
        elif name in _USELESS:
            if value is not None and not (name == "verbose" and value == 0):
                useless.append(name)
        elif name == "args":
            raise ValueError("'args' is not a supported keyword argument: a lambda gives f further arguments")
        else:
            raise TypeError(
                f"curve_fit has no argument {name!r}: beside its own it takes maxfev, max_nfev, ftol, xtol, gtol and "
                "x_scale; steps of derivatives need no settings here"
            )
    if useless:
        warn_caller(f"curve_fit has no use for {' and '.join(useless)}: leave such arguments out", UserWarning)
    return Settings(**found)


def residuals_of(
    model: FitModel, rows: Array | None, derivative: Callable[[Array], Array] | None, data: FitData
) -> Any:
    if model.point_tape is not None and model.points is not None and derivative is None:
        points = model.points if rows is None else model.points[rows]
        return model.point_tape.residuals(points, model.fixed, data.y, data.weights, data.whitening)
    if model.tape is None or derivative is not None:
        values, (f, x) = model.values_of(rows), model.direct(rows)
        return _core.CallableResiduals(
            values, derivative, data.n, model.p0.size, data.y, data.weights, data.whitening, f, x
        )
    programs = model.tape.programs(rows)
    inputs = model.inputs(model.tape)
    return _core.TapeResiduals(
        programs.values,
        programs.columns,
        inputs,
        data.y,
        data.weights,
        data.whitening,
        programs.second,
        programs.precise,
    )


def search(
    residuals: Any,
    model: FitModel,
    rows: Array | None,
    bounds: tuple[Array | None, Array | None],
    parameters: Parameters,
    settings: Settings,
    data: FitData,
) -> tuple[Any, list[str]]:
    """The minimum, a `SquaresMinimum`, and what was done besides; RuntimeError, as SciPy's, if there is none where the
    searches ended."""
    scale = None if settings.scale is None else np.broadcast_to(settings.scale, len(parameters.names))
    scale = None if scale is None else np.ascontiguousarray(scale[list(parameters.free)])

    def from_here(
        start: Array,
        most: int = settings.evaluations,
        wider: float = 1.0,
        bent: bool = True,
        first_step: float = 100.0,
    ) -> Any:
        loss, f_scale, ftol, xtol, gtol, _, _ = settings
        return _core.minimize_squares(
            residuals,
            start,
            *bounds,
            loss,
            data.unit * f_scale * wider,
            ftol,
            xtol,
            gtol,
            most,
            scale,
            bent,
            first_step,
        )

    done: list[str] = []
    most = settings.evaluations * (4 if settings.evaluations == _DEFAULT.evaluations else 1)
    with np.errstate(all="ignore"):
        best = from_here(model.p0)
        if best.status == -1:
            raise ValueError(
                "the residuals at p0 are not finite: ydata has NaN or infinity, or (model - ydata) / sigma is too large"
            )
        if not model.is_traced:
            _check_that_it_repeats(model, rows, getattr(residuals, "first", None))
        best = with_new_scales(best, from_here, most)
        if best.n_searches > 1:
            done.append("two searches were made, the second one with shorter steps, and the lower end counts")
        if best.rank < len(best.x):
            best, said = off_saddles(_problem(residuals, model, None, bounds, settings, data), best, from_here, most)
            done += said
        best = _with_influence(best, model, rows, from_here)
        if best.status > 0 and settings.loss == "linear" and _explains_little(best, data) and not model.is_linear(rows):
            problem = _problem(residuals, model, model.linear(rows), bounds, settings, data)
            best, said = _that_explains_more(best, model, rows, data, problem, from_here, most)
            done += said
        is_good = best.status > 0 or (best.status < 0 and _has_arrived(best, model))
        if settings.loss != "linear" or not (is_good and best.rank == len(best.x)):
            problem = _problem(residuals, model, model.linear(rows), bounds, settings, data)
            used = best.n_evaluations
            if settings.loss != "linear":
                best, used, said = robust_minimum(problem, best, from_here, most)
                done += said
            best, _, said = other_minima(problem, best, from_here, most - used + best.n_evaluations)
            done += said
    if not (best.status > 0 and best.rank == len(best.x)):
        _check_minimum(best, model, rows, parameters, settings)
    return best, done


def _with_influence(best: Any, model: FitModel, rows: Array | None, search: Callable[..., Any]) -> Any:
    """Where parameters have lost their influence: from where they still had it, the others where they are now."""
    if best.rank == len(best.x) or not best.cost > 0:
        return best
    lost = _lost(best, model, rows)
    if lost.any():
        for part in (0.5, 1.0):
            other = search(np.where(lost, best.x + part * (model.p0 - best.x), best.x))
            if other.status > 0 and other.cost < best.cost:
                return other
    return best


def _that_explains_more(
    best: Any,
    model: FitModel,
    rows: Array | None,
    data: FitData,
    problem: Problem,
    search: Callable[..., Any],
    most: int,
) -> tuple[Any, list[str]]:
    """By steps of other lengths from the start; and from elsewhere, if what is left looks like a curve."""
    done = []
    ways = [search(model.p0, bent=bent, first_step=step) for bent, step in _WAYS]
    lowest = min(ways, key=lambda way: way.cost if way.status > 0 else np.inf)
    if lowest.status > 0 and lowest.cost < best.cost * (1 - 1e-9):
        best = lowest
        done.append("the curve explains little: searches with other steps were made, and the lowest end counts")
    if _explains_little(best, data) and _has_structure(best.residuals, data, rows):
        best, _, said = other_minima(problem, best, search, most, always=True)
        done += said
        if best.status > 0 and not best.active.any() and _explains_little(best, data, _NEXT_TO_NOTHING):
            from scipy.optimize import OptimizeWarning

            warn_caller(
                f"{function_name(model.f)} explains next to nothing of ydata where the search ended, although they are "
                "no noise: give a p0 that shows the shape of the data",
                OptimizeWarning,
            )
    return best, done


def _problem(
    residuals: Any,
    model: FitModel,
    linear: Array | None,
    bounds: tuple[Array | None, Array | None],
    settings: Settings,
    data: FitData,
) -> Problem:
    loss = None if settings.loss == "linear" else Loss(settings.loss, data.unit * settings.f_scale)
    return Problem(residuals, model.p0, *bounds, linear, loss)


def _check_that_it_repeats(model: FitModel, rows: Array | None, again: Array | None) -> None:
    """Differences of a model with random numbers in it mean nothing. `again`: what it gave at the start when the search
    asked, if that was a call."""
    first = model.first.ravel() if rows is None else model.first.ravel()[rows]
    with np.errstate(all="ignore"):
        if again is None:
            again = model.called_again(rows)
        if again.tobytes() == first.tobytes():
            return
        apart = float(np.max(np.abs(again - first), initial=0.0))
        if not apart > _RANDOM * float(np.max(np.abs(first), initial=0.0)):
            return
    raise RuntimeError(
        f"Optimal parameters not found: {function_name(model.f)}{place_of(model.f)} gives other numbers for the same "
        f"parameters (up to {apart:.2g} apart): let it draw the same random numbers each time, from a seed"
    )


def _has_structure(residuals: Array, data: FitData, rows: Array | None) -> bool:
    """Whether residuals that are next to each other in x are alike: noise would not be (von Neumann's ratio is 2)."""
    x = data.x if rows is None or type(data.x) is not np.ndarray else data.x[..., rows]
    in_order = residuals
    if type(x) is np.ndarray and x.shape == residuals.shape:
        in_order = residuals[np.argsort(x, kind="stable")]
    about = in_order - in_order.mean()
    return bool(np.sum(np.diff(in_order) ** 2) < _ALIKE * (about @ about))


def _explains_little(minimum: Any, data: FitData, part: float = _LITTLE) -> bool:
    """Less than half of what a constant leaves, or another part: a search that took another way may end lower."""
    if data.whitening is not None:
        return False
    with np.errstate(all="ignore"):
        if data.weights is None:
            left = data.y - data.y.mean()
            return bool(2 * minimum.cost > part * (left @ left))
        weights = data.weights
        weighted = data.y * weights
        left = weighted - weights * (weighted @ weights) / (weights @ weights)
        return bool(2 * minimum.cost > part * (left @ left))


def _lost(minimum: Any, model: FitModel, rows: Array | None) -> Array:
    """Parameters that changed the model at the start, and do not any more where the search ended."""
    lengths = np.empty(len(minimum.x))
    lengths[minimum.permutation] = np.abs(minimum.r).max(axis=0)
    return np.asarray((lengths == 0) & np.any(model.jacobian(rows) != 0, axis=0))


def triangle_of(minimum: Any, model: FitModel, rows: Array | None, data: FitData) -> Array:
    """R of the Jacobian; without the columns of parameters that residuals of zero do not determine.

    Where the fit is exact, errors would be zero for all that has any influence, such as the rate of a decay whose
    amplitude is 1e-17: what the rounding of ydata leaves open is undetermined.
    """
    r = np.asarray(minimum.r)
    if minimum.cost > 0 or minimum.inverse is None or data.whitening is not None:
        return r
    y = data.y if data.weights is None else data.y * data.weights
    order, n = minimum.permutation, len(minimum.x)
    lengths = np.linalg.norm(r, axis=0)  # in the order of the permutation
    rounding = float(np.finfo(np.float64).eps) * float(np.linalg.norm(y)) / np.sqrt(data.n)
    size = np.maximum(np.abs(minimum.x), np.abs(model.p0))[order]
    open_by = rounding * np.sqrt(np.diagonal(minimum.inverse))[order]
    faded = (size > 0) & (open_by > size)
    if faded.any():
        at_start = np.linalg.norm(model.jacobian(rows), axis=0)[order]
        faded &= lengths < 1e-6 * at_start * (1.0 if data.weights is None else float(np.max(data.weights)))
        r = np.where(faded, 0.0, r) if faded.any() else r
    return r[:n]


def _check_minimum(
    minimum: Any, model: FitModel, rows: Array | None, parameters: Parameters, settings: Settings
) -> None:
    name = function_name(model.f)
    if minimum.status == 0:
        what = f"{settings.evaluations} evaluations of {name} did not do (maxfev= allows more)"
    elif minimum.status < 0 and not _has_arrived(minimum, model):
        stuck = _stuck(model, rows, minimum.x, [parameters.names[i] for i in parameters.free])
        what = f"no step makes the sum of squares smaller, and this is no minimum{stuck}"
    elif minimum.cost > 0 and not minimum.active.any() and _rank(model, rows) > minimum.rank:
        stuck = _stuck(model, rows, minimum.x, [parameters.names[i] for i in parameters.free])
        what = "the search ran away to where the model does not change with all of its parameters any more"
        if "jumps" in stuck:
            what = f"no step makes the sum of squares smaller, and this is no minimum{stuck}"
    else:
        return
    at = ", ".join(
        f"{parameters.names[i]}={value:.6g}" for i, value in zip(parameters.free, minimum.x.tolist(), strict=True)
    )
    raise RuntimeError(
        f"Optimal parameters not found: {what}. It ended at {at}. Most often the start is too far away: give a p0 that "
        "shows the shape of the data"
    )


def _has_arrived(minimum: Any, model: FitModel) -> bool:
    """Whether it is a minimum that cannot be told better: of a noisy model, or where parameters are undetermined. A
    valley that goes on and on is none."""
    is_plain = minimum.condition < _VALLEY or minimum.rank < len(minimum.x)
    noise = model.is_single and not model.is_traced
    return bool(is_plain and minimum.optimality <= (_ARRIVED_IN_FLOAT32 if noise else _ARRIVED))


def _rank(model: FitModel, rows: Array | None) -> int:
    """At the start."""
    j = model.jacobian(rows)
    lengths = lengths_of_columns(j)
    if not np.isfinite(lengths).all():
        return 0
    s = np.linalg.svd(j[:, lengths > 0] / lengths[lengths > 0], compute_uv=False)
    return int(np.sum(s > (1e-14 * len(s) if model.is_traced else NOISE) * s[0])) if s.size else 0


def _stuck(model: FitModel, rows: Array | None, p: Array, names: list[str]) -> str:
    """Which parameters change nothing, or by jumps only: to one side of p a little more is the same."""
    if model.is_traced:
        return ""
    values = model.values_of(rows)
    here, found = values(p), []
    for k, name in enumerate(names):
        there = p.copy()
        there[k] += 1e-9 * (abs(p[k]) or 1.0)
        if np.array_equal(values(there), here):
            found.append(name)
    return f" (the model changes with {' and '.join(found)} by jumps, or not at all)" if found else ""
