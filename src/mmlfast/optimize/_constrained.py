"""minimize with constraints: by equations alone, or by inequalities and bounds as well, and its result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mmlfast.optimize._constraints import Constraint, equations_of
from mmlfast.optimize._inequalities import Outcome, Rows, minimum_within
from mmlfast.optimize._kkt import Minimum, Problem, point_at, result_at
from mmlfast.optimize._lagrange import as_point, checked, lagrange_result
from mmlfast.optimize._sqp import searched_minimum
from mmlfast.optimize._trust_region import Box
from mmlfast.optimize._verdict import ALL_POSITIVE, ISOLATED

Array = np.ndarray[Any, Any]


class _Stopped(Exception):
    """The callback has raised StopIteration."""

    def __init__(self, x: Array) -> None:
        super().__init__()
        self.x = x


def constrained_minimum(
    fun: Callable[..., Any],
    constraints: list[Constraint],
    box: Box | None,
    x0: Array,
    args: tuple[Any, ...],
    derivatives: tuple[Any, Any],
    max_iter: int,
    stepped: Callable[[Array, float], Any] | None,
) -> Any:
    """The result of `minimize(constraints=...)`."""
    if box is None and all(c.is_equation for c in constraints):
        problem = Problem(fun, equations_of(constraints), x0, args, *derivatives)
        return _under_equations(problem, x0, max_iter, stepped)
    parts = [(c.fun, c.args, c.jac) for c in constraints]
    problem = Problem(fun, parts, x0, args, *derivatives, None if box is None else (box.lower, box.upper))
    try:
        outcome, rows = minimum_within(problem, constraints, box, x0, max_iter, _guarded(stepped))
    except _Stopped as stopped:
        return _stopped(problem, stopped.x)
    return _result(problem, rows, outcome)


def _guarded(stepped: Callable[[Array, float], Any] | None) -> Callable[[Array, float], Any] | None:
    """StopIteration means something to SciPy, too."""
    if stepped is None:
        return None

    def told(x: Array, value: float) -> None:
        try:
            stepped(x, value)
        except StopIteration:
            raise _Stopped(x) from None

    return told


def _under_equations(problem: Problem, x0: Array, max_iter: int, stepped: Callable[[Array, float], Any] | None) -> Any:
    if stepped is None and (found := problem.compiled_minimum(x0, max_iter)) is not None:
        return _certain(problem, found)
    try:
        stop = checked(problem, searched_minimum(problem, x0, max_iter, _guarded(stepped)))
    except _Stopped as stopped:
        return _stopped(problem, stopped.x)
    points = [as_point(problem, stop)] if not stop.reason else []
    result = lagrange_result(problem, stop, points)
    result.pop("points")
    if result.success and result.kind in ("saddle", "maximum"):
        result.success, result.status = False, 1
        result.message = f"not converged: it has stopped at a {result.kind}: start elsewhere. {problem.note}".rstrip()
    return result


def _certain(problem: Problem, found: Minimum) -> Any:
    message = f"minimum: {ALL_POSITIVE if problem.n > problem.m else ISOLATED}."
    return result_at(problem, found, True, message, multipliers=found.multipliers, kind="minimum", nit=found.n_iter)


def _result(problem: Problem, rows: Rows, outcome: Outcome) -> Any:
    look, p = outcome.look, outcome.look.p
    found = not outcome.reason
    of_bounds = np.zeros(problem.n)
    of_bounds[rows.bounded] = look.multipliers[rows.m :]
    pushing = np.flatnonzero(look.multipliers)
    active = int(np.sum(~rows.equal[pushing]))
    if found:
        message = f"{outcome.kind}: {active} of {int(np.sum(~rows.equal))} inequalities and bounds are active"
        if outcome.kind == "degenerate":
            message += (
                " (some curvatures along them are zero to rounding: the minimum is flat or not known to all digits)"
            )
        if _depend(rows, look.working, p):
            message += "; the gradients of the active ones depend on each other: multipliers are not unique"
    else:
        message = f"not converged: {outcome.reason}"
    return result_at(
        problem,
        p,
        found,
        f"{message}. {problem.note}".rstrip(" "),
        multipliers=look.multipliers[: rows.m],
        bound_multipliers=of_bounds,
        kind=outcome.kind if found else "not stationary",
        residual=look.residual,
        violation=float(np.abs(rows.violation(rows.values(p))).max(initial=0.0)),
        nit=outcome.n_iter,
    )


def _depend(rows: Rows, working: Array, p: Any) -> bool:
    a = rows.jacobian(p)[working]
    lengths = np.linalg.norm(a, axis=1)
    if not len(a) or not lengths.all():
        return bool(len(a))
    return bool(np.linalg.matrix_rank(a / lengths[:, np.newaxis], tol=1e-9) < len(a))


def _stopped(problem: Problem, x: Array) -> Any:
    message = "not converged: the callback has stopped it"
    return result_at(problem, point_at(problem, x), False, message, kind="not stationary")
