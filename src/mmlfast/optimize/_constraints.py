"""Constraints as people bring them: functions, SciPy's dicts, LinearConstraint, NonlinearConstraint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mmlfast._common.arrays import as_float

Array = np.ndarray[Any, Any]


class Constraint(NamedTuple):
    """lower <= fun(x, *args) <= upper; the sides are numbers or arrays of the size of what fun gives."""

    fun: Callable[..., Any]
    args: tuple[Any, ...]
    jac: Any
    lower: Array
    upper: Array

    @property
    def is_equation(self) -> bool:
        return bool(np.array_equal(self.lower, self.upper))


class Linear:
    """x -> a @ x."""

    def __init__(self, a: Array) -> None:
        self.a = a
        self.__name__ = "linear_constraint"

    def __call__(self, x: Any) -> Any:
        return self.a @ x


class Less:
    """fun(x, *args) - level: an equation of it."""

    def __init__(self, fun: Callable[..., Any], level: Array) -> None:
        self.fun, self.level = fun, level
        self.__name__ = getattr(fun, "__name__", type(fun).__name__)

    def __call__(self, x: Any, *args: Any) -> Any:
        return np.reshape(self.fun(x, *args), (-1,)) - self.level


def take_constraints(constraints: Any, n: int) -> list[Constraint]:
    """Those of a call of minimize, for n variables."""
    one = isinstance(constraints, dict) or callable(constraints) or hasattr(constraints, "lb")
    given = [constraints] if one else list(constraints if constraints is not None else ())
    return [_taken(each, f"constraints[{i}]" if not one else "constraints", n) for i, each in enumerate(given)]


def equations_of(constraints: list[Constraint]) -> list[tuple[Callable[..., Any], tuple[Any, ...], Any]]:
    """(function that has to be zero, arguments, Jacobian) of each."""
    return [(c.fun if not c.lower.any() else Less(c.fun, c.lower), c.args, c.jac) for c in constraints]


def _taken(given: Any, name: str, n: int) -> Constraint:
    if isinstance(given, dict):
        return _of_dict(given, name)
    if hasattr(given, "A") and hasattr(given, "lb"):
        a = given.A.toarray() if hasattr(given.A, "toarray") else given.A
        a = np.atleast_2d(np.array(as_float(a, f"{name}.A"), np.float64))
        if a.ndim > 2 or a.shape[1] != n:
            raise ValueError(f"{name}.A has shape {a.shape}: it must have one column for each of the {n} variables")
        return Constraint(Linear(a), (), None, *_sides(given, name))
    if hasattr(given, "fun") and hasattr(given, "lb"):
        return Constraint(given.fun, (), getattr(given, "jac", None), *_sides(given, name))
    if hasattr(given, "lb"):
        raise TypeError(f"{name} are Bounds: give them as bounds=")
    if callable(given):
        return Constraint(given, (), None, np.zeros(()), np.zeros(()))
    raise TypeError(
        f"{name} must be a function (that has to be zero), a dict with 'type' and 'fun', a LinearConstraint or a "
        f"NonlinearConstraint, got {type(given).__name__}"
    )


def _of_dict(given: dict[str, Any], name: str) -> Constraint:
    if "fun" not in given:
        raise TypeError(f"{name} has no 'fun', the function of the constraint; it has {', '.join(map(repr, given))}")
    kind = given.get("type", "eq")
    if not (isinstance(kind, str) and kind.lower() in ("eq", "ineq")):
        raise ValueError(f"{name} has type {kind!r}: it must be 'eq' (fun is 0) or 'ineq' (fun is at least 0)")
    arguments = given.get("args", ())
    arguments = arguments if isinstance(arguments, tuple) else (arguments,)
    upper = np.zeros(()) if kind.lower() == "eq" else np.full((), np.inf)
    return Constraint(given["fun"], arguments, given.get("jac"), np.zeros(()), upper)


def _sides(given: Any, name: str) -> tuple[Array, Array]:
    lower, upper = (np.asarray(as_float(side, name), np.float64) for side in (given.lb, given.ub))
    try:
        lower, upper = np.broadcast_arrays(lower, upper)
    except ValueError:
        raise ValueError(f"{name}: lb has shape {lower.shape} and ub {upper.shape}") from None
    wrong = ~(lower <= upper)
    if wrong.any():
        i = int(np.argmax(wrong.ravel()))
        raise ValueError(f"{name}: lb is {lower.flat[i]} and ub {upper.flat[i]}: lb must not be above ub")
    return lower, upper
