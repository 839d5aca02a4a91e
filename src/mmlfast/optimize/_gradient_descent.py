"""Gradient descent: with a fixed rate, momentum, Nesterov's momentum, backtracking; one run or many at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mmlfast import _core
from mmlfast._common.arrays import as_float, as_integer, as_real
from mmlfast.optimize._objective import Objective, source
from mmlfast.optimize._stationary_points import curvature_scales, kind_of
from mmlfast.optimize._trust_region import End

Array = np.ndarray[Any, Any]

_EPS = float(np.finfo(np.float64).eps)
_RUNNING, _CONVERGED, _NOT_FINITE, _SLOW = range(4)
_FORMS = {"momentum": 0, "nesterov": 1, "backtracking": 2}
# Whether a run has arrived is looked up with Hessians of so many variables at most.
_MOST_LOOKED_AT = 200
_MOST_ROUNDS = 40


class _Runs(NamedTuple):
    """Many runs, one in each row."""

    x: Array
    velocity: Array
    start: Array
    rate: Array
    momentum: Array
    tol: Array
    n_iter: Array
    status: Array
    n_evaluations: Array
    path: Array | None


def gradient_descent(
    f: Callable[..., Any],
    x0: Any,
    args: tuple[Any, ...] = (),
    *,
    learning_rate: Any = None,
    momentum: Any = 0.0,
    nesterov: bool = False,
    line_search: str | None = None,
    jac: Any = None,
    max_iter: int = 1000,
    tol: float = 1e-8,
    path: bool = False,
) -> Any:
    """Go downhill along the gradient.

    Many runs are one call: x0 of shape (..., n), and arrays of rates and momenta, which are broadcast to the leading
    axes of x0. They share SIMD lanes and threads, and each ends by itself.

    Parameters
    ----------
    f : callable
        ``f(x, *args)`` gives a number, x being an array of shape (n,). Traced to exact derivatives where it can be.
    x0 : array-like, shape (..., n)
        Where to start.
    args : tuple
        Further arguments of f.
    learning_rate : float or array-like, optional
        The step is this times the gradient. The default is 1 divided by the largest eigenvalue of the Hessian at the
        start, the largest rate that is safe while that does not grow.
    momentum : float or array-like
        The fraction of the step before that is added.
    nesterov : bool
        Whether the gradient is taken where the momentum leads to, and not before.
    line_search : {"backtracking"}, optional
        The rate is halved until f falls enough, and doubled afterwards. `learning_rate` is the first one.
    jac : callable, optional
        The gradient. It is compared with that of f at the start.
    max_iter : int
        The most steps of a run.
    tol : float
        A run has converged when the minimum, by Newton's method, is no further away than `tol` times the size of each
        variable, or `tol` times the way that it has gone. Short steps are not enough: a small rate has them anywhere.
    path : bool
        Whether to keep all x.

    Returns
    -------
    scipy.optimize.OptimizeResult
        x, fun, jac, success, status (0: converged, 1: max_iter, 2: diverged), message, nit, nfev; ``derivatives``;
        with path ``path``, of shape (..., nit + 1, n), and ``path_fun``, f of it (of many runs, rows behind the last x
        of a run are NaN). Of many runs, each of them has the shape of the runs, and ``message`` counts.

    Examples
    --------
    >>> import numpy as np
    >>> from mmlfast.optimize import gradient_descent
    >>> f = lambda v: v[0] ** 2 + 10 * v[1] ** 2
    >>> r = gradient_descent(lambda v: (v[0] - 1) ** 2 + 10 * (v[1] + 2) ** 2, [0.0, 0.0], learning_rate=0.05)
    >>> r.x.round(6).tolist(), r.success
    ([1.0, -2.0], True)

    The plane of rate and momentum, 10 000 runs:

    >>> r = gradient_descent(f, [1.0, 1.0], learning_rate=np.linspace(0, 0.2, 100)[1:, None],
    ...                      momentum=np.linspace(0, 0.99, 100), max_iter=200)
    >>> r.nit.shape
    (99, 100)
    """
    form = _checked_form(nesterov, line_search, momentum)
    limit = as_integer(max_iter, "max_iter", 0)
    wanted = as_real(tol, "tol")
    if not wanted >= 0:
        raise ValueError(f"tol must not be negative, got {tol}")
    starts = np.atleast_1d(np.array(as_float(x0, "x0"), np.float64))
    if not starts.size:
        raise ValueError(f"x0 is empty, shape {starts.shape}")
    first = np.ascontiguousarray(starts.reshape(-1, starts.shape[-1])[0])
    objective = Objective(f, first, args, jac, name="f")
    note = ""
    if learning_rate is None:
        learning_rate = _safe_rate(objective, first)
        note = f"learning_rate is {learning_rate:.3g}. "
    rates, momenta = as_float(learning_rate, "learning_rate"), as_float(momentum, "momentum")
    if not np.all(rates > 0):
        raise ValueError("learning_rate must be greater than 0")
    runs, lead = _runs(starts, rates, momenta, wanted, limit, path)
    if objective.exact_tape and not objective.taken.recorded.calls_python:  # type: ignore[union-attr]
        _by_tape(objective, runs, form, limit)
    else:
        _by_calls(objective, runs, form, limit)
    return _result(objective, runs, lead, note, path)


def _checked_form(nesterov: bool, line_search: Any, momentum: Any) -> str:
    if line_search is None:
        return "nesterov" if nesterov else "momentum"
    if line_search != "backtracking":
        raise ValueError(f"line_search must be None or 'backtracking', got {line_search!r}")
    if nesterov or np.any(np.asarray(momentum) != 0):
        raise ValueError("line_search='backtracking' has no momentum: leave momentum and nesterov out")
    return "backtracking"


def _safe_rate(f: Objective, x: Array) -> float:
    h = f.hessian(x)
    h = h.toarray() if hasattr(h, "toarray") else h
    largest = float(np.abs(np.linalg.eigvalsh(h)).max(initial=0.0)) if np.isfinite(h).all() else 0.0
    if largest > 0:
        return 1 / largest
    gradient = float(np.linalg.norm(f.value_and_gradient(x)[1]))
    return (float(np.linalg.norm(x)) or 1.0) / gradient if gradient > 0 else 1.0


def _runs(
    starts: Array, rates: Array, momenta: Array, tol: float, limit: int, path: bool
) -> tuple[_Runs, tuple[int, ...]]:
    n = starts.shape[-1]
    try:
        lead = np.broadcast_shapes(starts.shape[:-1], rates.shape, momenta.shape)
    except ValueError:
        raise ValueError(
            f"learning_rate of shape {rates.shape}, momentum of shape {momenta.shape} and starts x0 of shape "
            f"{starts.shape[:-1]} do not fit together"
        ) from None
    count = math.prod(lead)

    def each(a: Array) -> Array:
        return np.array(np.broadcast_to(a, lead), np.float64, order="C").reshape(count)

    x = np.array(np.broadcast_to(starts, (*lead, n)), np.float64, order="C").reshape(count, n)
    trail = None
    if path:
        trail = np.full((count, limit + 1, n), np.nan)
        trail[:, 0] = x
    return _Runs(
        x,
        np.zeros((count, n)),
        x.copy(),
        each(rates),
        each(momenta),
        np.full(count, tol),
        np.zeros(count, np.int32),
        np.zeros(count, np.int8),
        np.zeros(count, np.int64),
        trail,
    ), lead


# ---- by the tape ----


def _by_tape(f: Objective, runs: _Runs, form: str, limit: int) -> None:
    """Runs whose steps have become short are looked at: if the minimum is still far, they go on to shorter ones."""
    assert f.taken.recorded is not None
    program = f.taken.recorded.compiled("value, gradient" if form == "backtracking" else "gradient").program
    parameters = tuple(f.taken.parameters)
    wanted = runs.tol.copy()
    part, index = runs, np.arange(len(runs.x))
    for _ in range(_MOST_ROUNDS):
        _core.gradient_descent(program, parameters, *part[:9], part.path, _FORMS[form], limit)
        if part is not runs:
            for whole, piece in zip(runs, part, strict=True):
                if whole is not None and piece is not None:
                    whole[index] = piece
        stopped = index[runs.status[index] == _CONVERGED]
        again = stopped[_far_away(f, runs, stopped, wanted)]
        again = again[runs.n_iter[again] < limit]
        if not len(again):
            return
        runs.status[again] = _RUNNING
        index = again
        part = _Runs(*(None if a is None else np.ascontiguousarray(a[again]) for a in runs))  # type: ignore[arg-type]


def _far_away(f: Objective, runs: _Runs, index: Array, wanted: Array) -> Array:
    """Which of these runs are further from the minimum than wanted; their tolerance becomes what should lead there."""
    n = runs.x.shape[1]
    if n > _MOST_LOOKED_AT or not len(index):
        return np.zeros(len(index), bool)
    x = runs.x[index]
    gradient, hessian = _second_order(f, x)
    size = np.maximum(np.abs(x), np.abs(x - runs.start[index]))
    with np.errstate(all="ignore"):
        distance = np.abs(_newton_steps(hessian, gradient))
        ratio = np.max(np.where(distance > 0, distance / size, 0.0), axis=1) / wanted[index]
    far = ratio > 1.0 + 1e-9
    shorter = runs.tol[index] * np.clip(0.9 / np.where(far, ratio, 1.0), 1e-3, 0.9)
    # Steps that rounding makes invisible cannot get shorter.
    far &= shorter > 1e-17
    runs.tol[index[far]] = shorter[far]
    return np.asarray(far)


def _second_order(f: Objective, x: Array) -> tuple[Array, Array]:
    recorded, parameters = f.taken.recorded, f.taken.parameters
    if recorded is None or not f.exact_tape:
        return np.stack([f.value_and_gradient(p)[1] for p in x]), np.stack([np.asarray(f.hessian(p)) for p in x])
    gradient = recorded.compiled("value, gradient").at_points(x, parameters)[1]
    return gradient, recorded.compiled("hessian").at_points(x, parameters)[0]


def _newton_steps(hessian: Array, gradient: Array) -> Array:
    """NaN where the Hessian is singular."""
    steps = np.full(gradient.shape, np.nan)
    for i, (h, g) in enumerate(zip(hessian, gradient, strict=True)) if len(hessian) < 16 else ():
        steps[i] = _newton_step(h, g)
    if len(hessian) < 16:
        return steps
    d = np.sqrt(np.abs(np.diagonal(hessian, axis1=1, axis2=2)))
    d = np.where(d > 0, d, 1.0)
    scaled = hessian / d[:, :, np.newaxis] / d[:, np.newaxis, :]
    good = np.asarray(np.isfinite(scaled).all(axis=(1, 2)))
    good[good] &= np.abs(np.linalg.det(scaled[good])) > 1e-14
    steps[good] = np.linalg.solve(scaled[good], (gradient / d)[good][..., np.newaxis])[..., 0] / d[good]
    return steps


def _newton_step(h: Array, g: Array) -> Array:
    d = curvature_scales(h)
    scaled = h / d[:, np.newaxis] / d
    if not np.isfinite(scaled).all():
        return np.full(g.shape, np.nan)
    try:
        return np.asarray(np.linalg.solve(scaled, g / d) / d)
    except np.linalg.LinAlgError:
        return np.full(g.shape, np.nan)


# ---- by calls ----


def _by_calls(f: Objective, runs: _Runs, form: str, limit: int) -> None:
    for i in range(len(runs.x)):
        trail = runs.path[i] if runs.path is not None else None
        tol = float(runs.tol[i])
        for _ in range(_MOST_ROUNDS):
            _one_by_calls(f, runs, i, form, limit, tol, trail)
            if runs.status[i] != _CONVERGED or runs.n_iter[i] >= limit:
                break
            size = np.maximum(np.abs(runs.x[i]), np.abs(runs.x[i] - runs.start[i]))
            distance = np.abs(_newton_step(np.asarray(f.hessian(runs.x[i])), f.value_and_gradient(runs.x[i])[1]))
            if not np.any(distance > runs.tol[i] * size) or tol < 1e-12:
                break
            tol *= 0.03
            runs.status[i] = _RUNNING


def _one_by_calls(f: Objective, runs: _Runs, i: int, form: str, limit: int, tol: float, trail: Array | None) -> None:
    x, v = runs.x[i], runs.velocity[i]
    value, gradient = f.value_and_gradient(x)
    while runs.n_iter[i] < limit:
        if form == "backtracking":
            found = _backtracked(f, x, value, gradient, runs, i, tol)
            if found is None:
                runs.status[i] = _CONVERGED
                return
            x[:], value, gradient = found
            v[:] = 0.0
            step = runs.rate[i] * gradient
        else:
            at = x + runs.momentum[i] * v if form == "nesterov" else x
            if runs.n_iter[i] or form == "nesterov":
                value, gradient = f.value_and_gradient(at)
            with np.errstate(all="ignore"):
                step = runs.rate[i] * gradient
                v[:] = runs.momentum[i] * v - step
                x += v
        runs.n_iter[i] += 1
        runs.n_evaluations[i] += 1
        if trail is not None:
            trail[runs.n_iter[i]] = x
        if not np.isfinite(x).all():
            runs.status[i] = _NOT_FINITE
            return
        size = tol * np.maximum(np.abs(x), np.abs(x - runs.start[i]))
        if np.all(np.abs(v) <= size) and np.all(np.abs(step) <= size):
            runs.status[i] = _CONVERGED
            return
    runs.status[i] = _SLOW


def _backtracked(
    f: Objective, x: Array, value: float, gradient: Array, runs: _Runs, i: int, tol: float
) -> tuple[Array, float, Array] | None:
    square = float(gradient @ gradient)
    while True:
        step = runs.rate[i] * gradient
        if np.all(np.abs(step) <= tol * np.maximum(np.abs(x), np.abs(x - runs.start[i]))):
            return None
        there, ahead = f.value_and_gradient(x - step)
        level = abs(there - value) <= 4 * _EPS * abs(value) and float(gradient @ ahead) >= (2e-4 - 1) * square
        if there <= value - 1e-4 * runs.rate[i] * square or level:
            runs.rate[i] *= 2
            return x - step, there, ahead
        runs.rate[i] *= 0.5


# ---- results ----


def _result(f: Objective, runs: _Runs, lead: tuple[int, ...], note: str, path: bool) -> Any:
    from scipy.optimize import OptimizeResult  # takes a while to import, and not all need it

    values, gradients = _values_and_gradients(f, runs.x)
    n = runs.x.shape[1]
    first = _values_and_gradients(f, runs.start)[0]
    lost = (runs.status == _NOT_FINITE) | ~(values <= first)
    good = runs.status == _CONVERGED
    if n <= _MOST_LOOKED_AT and good.any():
        good[good] = ~_is_no_minimum(f, runs.x[good])
    result = OptimizeResult(
        x=runs.x.reshape(*lead, n),
        fun=values.reshape(lead),
        jac=gradients.reshape(*lead, n),
        success=good.reshape(lead),
        status=np.select([good, lost], [0, 2], 1).reshape(lead),
        nit=runs.n_iter.reshape(lead),
        nfev=runs.n_evaluations.reshape(lead),
        derivatives=source(f),
    )
    if runs.path is not None:
        longest = int(runs.n_iter.max(initial=0)) + 1
        trail = np.ascontiguousarray(runs.path[:, :longest])
        result.path = trail.reshape(*lead, longest, n)
        result.path_fun = _values_and_gradients(f, trail.reshape(-1, n))[0].reshape(*lead, longest)
    if lead:
        counts = [int(np.sum(good)), int(np.sum(lost & ~good))]
        parts = f"{counts[0]} of {good.size} runs have converged, {counts[1]} have diverged"
        result.message = f"{parts}. {note}{f.note}".rstrip(" ")
        return result
    for name in ("fun", "success", "status", "nit", "nfev"):
        result[name] = result[name][()]
    result.fun, result.success = float(result.fun), bool(result.success)
    result.message = f"{_explained(f, runs, result)} {note}{f.note}".rstrip(" ")
    return result


def _is_no_minimum(f: Objective, x: Array) -> Array:
    """Where the Hessian has a negative eigenvalue."""
    hessian = _second_order(f, x)[1]
    d = np.sqrt(np.abs(np.diagonal(hessian, axis1=1, axis2=2)))
    d = np.where(d > 0, d, 1.0)
    lowest = np.linalg.eigvalsh(hessian / d[:, :, np.newaxis] / d[:, np.newaxis, :])[:, 0]
    return np.asarray(lowest < -1e-6)


def _values_and_gradients(f: Objective, x: Array) -> tuple[Array, Array]:
    if f.exact_tape and not f.taken.recorded.calls_python:  # type: ignore[union-attr]
        program = f.taken.recorded.compiled("value, gradient")  # type: ignore[union-attr]
        values, gradients = program.at_points(x, f.taken.parameters)
        return values.reshape(len(x)), gradients
    found = [f.value_and_gradient(p) if np.isfinite(p).all() else (np.nan, np.full(p.shape, np.nan)) for p in x]
    return np.array([v for v, _ in found]), np.stack([g for _, g in found])


def _explained(f: Objective, runs: _Runs, result: Any) -> str:
    n_iter = int(result.nit)
    if result.success:
        return f"converged in {n_iter} steps."
    first = float(f.taken.first.reshape(()))
    rate, start = float(runs.rate[0]), runs.start[0]
    if runs.status[0] == _NOT_FINITE or not result.fun <= first:
        grows = "is not finite" if not np.isfinite(result.fun) else f"has grown from {first:.3g} to {result.fun:.3g}"
        return f"diverged: f {grows} after {n_iter} steps with learning_rate={rate:.3g}.{_rate_that_would_do(f, start)}"
    if runs.status[0] == _CONVERGED:
        kind = kind_of(np.asarray(f.hessian(result.x)))[0]
        return f"not converged: it has stopped at a {kind} after {n_iter} steps: start elsewhere."
    distance = np.abs(_newton_step(np.asarray(f.hessian(result.x)), result.jac)) if result.x.size <= 200 else np.nan
    away = f" (Newton's method would still move by {np.max(distance):.2g})" if np.isfinite(distance).all() else ""
    return (
        f"not converged: {n_iter} steps were not enough{away}. Raise max_iter or learning_rate, add momentum, or "
        f"minimize(method='newton').{_rate_that_would_do(f, start)}"
    )


def _rate_that_would_do(f: Objective, x: Array) -> str:
    if x.size > _MOST_LOOKED_AT:
        return ""
    h = f.hessian(x)
    h = np.asarray(h.toarray() if hasattr(h, "toarray") else h)
    if not np.isfinite(h).all():
        return ""
    values = np.linalg.eigvalsh(h)
    if not values[-1] > 0:
        return ""
    text = f" At the start, rates below {2 / values[-1]:.2g} (2 / the largest eigenvalue of the Hessian) do not diverge"
    if values[0] > 0 and values[-1] > 100 * values[0]:
        text += f"; the eigenvalues differ by {values[-1] / values[0]:.2g}: scale the variables"
    return text + "."


def descent_minimum(
    f: Objective, x0: Array, tol: float, max_iter: int, stepped: Callable[[Array, float], Any] | None
) -> End:
    """For `minimize(method="gd")`: backtracking."""
    wanted = max(tol, 1e-10)
    keeps = stepped is not None
    runs, _ = _runs(x0, np.array(_safe_rate(f, x0)), np.array(0.0), wanted, max_iter, keeps)
    if f.exact_tape and not f.taken.recorded.calls_python:  # type: ignore[union-attr]
        _by_tape(f, runs, "backtracking", max_iter)
    else:
        _by_calls(f, runs, "backtracking", max_iter)
    if stepped is not None and runs.path is not None:
        for x in runs.path[0, 1 : int(runs.n_iter[0]) + 1]:
            stepped(x, f.value(x))
    x = runs.x[0]
    value, gradient = f.value_and_gradient(x)
    f.nfev += int(runs.n_evaluations[0])
    f.njev += int(runs.n_evaluations[0])
    good = int(runs.status[0]) == _CONVERGED
    reason = "" if good else f"max_iter={max_iter} steps were not enough (method='newton' takes less)"
    if not np.isfinite(value):
        reason = "f is not finite"
    return End(x, value, gradient, None, good, reason, int(runs.n_iter[0]), np.nan)
