"""Derivatives along directions: jvp, vjp, hvp, and derivative for functions of one variable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import mmlfast.autodiff._transforms as transforms
from mmlfast._common.kept import kept
from mmlfast.autodiff._derivatives import Gradient
from mmlfast.autodiff._derived import Derived
from mmlfast.autodiff._joined import Joined, in_a_row, join, parts_of
from mmlfast.autodiff._recording import Recording, as_argument, call_traced, without_gaps
from mmlfast.autodiff._trace import Ids, Traced
from mmlfast.autodiff._tracer import TracedArray


class _Along(Derived):
    """Value and derivative along a direction, the second argument."""

    _what = "directional derivative"
    _is_tuple = True
    _has_directions = True

    def _transform(self, seen: Recording) -> tuple[list[Ids], Any]:
        trace, x, result, (direction,) = seen
        return [result, transforms.pushforward(trace, x, direction, result)], None


class _Value(Derived):
    _what = "value"

    def _transform(self, seen: Recording) -> tuple[list[Ids], Any]:
        return [seen.result], None


class _Back(Derived):
    """The numbers of cotangent @ Jacobian; the cotangent is the second argument."""

    _what = "pullback"
    _has_directions = True

    def _transform(self, seen: Recording) -> tuple[list[Ids], Any]:
        trace, x, result, (cotangent,) = seen
        return [transforms.pullback(trace, x, result, cotangent)], None


@kept
def made(f: Callable[..., Any], kind: type[Derived], *options: Any) -> Any:
    return kind(f, *options)


def derived(kind: type[Derived], f: Callable[..., Any], *options: Any) -> Any:
    """The derivative of f that an earlier call has made, so that f is not traced for each call."""
    try:
        return made(f, kind, *options)
    except TypeError:  # not hashable
        return kind(f, *options)


def jvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """The value of a function and its derivative along a direction: Jacobian times vector, without the Jacobian.

    Parameters
    ----------
    f : callable
        A plain function of NumPy, or a `Function`.
    primals : sequence of array-like
        The arguments of f.
    tangents : sequence of array-like
        The direction: an array for each argument, of its shape.

    Returns
    -------
    value, derivative : ndarray
        Both of the shape of f's result.

    Examples
    --------
    >>> import numpy as np
    >>> from mmlfast.autodiff import jvp
    >>> value, slope = jvp(lambda v: v**2, (np.array([1.0, 2.0]),), (np.array([1.0, 0.0]),))
    >>> value.tolist(), slope.tolist()
    ([1.0, 4.0], [2.0, 0.0])
    """
    _check_pairs(primals, tangents)
    joined, numbers = join(f, primals)
    value, slope = derived(_Along, joined)(numbers, in_a_row(tangents, "tangents"))
    return value, slope


def _check_pairs(primals: Any, tangents: Any) -> None:
    for name, given in (("primals", primals), ("tangents", tangents)):
        if not isinstance(given, tuple | list):
            raise TypeError(f"{name} must be a tuple with one array for each argument of f, got {type(given).__name__}")
    if len(primals) != len(tangents):
        raise TypeError(f"there are {len(primals)} primals and {len(tangents)} tangents")
    for i, (x, v) in enumerate(zip(primals, tangents, strict=True)):
        for name, given in (("primals", x), ("tangents", v)):
            if not isinstance(given, Traced):
                as_argument(given, f"{name}[{i}]")
        if np.shape(x) != np.shape(v):
            raise ValueError(
                f"primals[{i}] has shape {np.shape(x)}, tangents[{i}] has shape {np.shape(v)}: they must be equal"
            )


def vjp(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """The value of a function, and the function that takes a vector times its Jacobian.

    Parameters
    ----------
    f : callable
        A plain function of NumPy, or a `Function`.
    *primals : array-like
        The arguments of f.

    Returns
    -------
    value : ndarray
    pullback : callable
        Takes an array of the shape of the value and gives a tuple: for each argument, the sum over the entries of the
        value of that array's entry times the derivative with respect to the argument.

    Examples
    --------
    >>> import numpy as np
    >>> from mmlfast.autodiff import vjp
    >>> value, pullback = vjp(lambda v, a: a * v**2, np.array([1.0, 2.0]), 3.0)
    >>> [x.tolist() for x in pullback(np.array([1.0, 1.0]))]
    [[6.0, 12.0], 5.0]
    """
    joined, numbers = join(f, primals)
    if isinstance(numbers, TracedArray):
        return _vjp_inside(joined, numbers)
    value = derived(_Value, joined)(numbers)
    back = derived(_Back, joined)

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        if not isinstance(cotangent, Traced):
            cotangent = as_argument(cotangent, "cotangent").values
        if cotangent.shape != np.shape(value):
            raise ValueError(
                f"cotangent has shape {cotangent.shape}, the value has shape {np.shape(value)}: they must be equal"
            )
        flat = back(numbers, cotangent)
        return tuple(joined.parts(flat)) if isinstance(flat, Traced) else tuple(parts_of(joined, flat))

    return value, pullback


def _vjp_inside(joined: Joined, numbers: TracedArray) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    trace = numbers.owner
    x = trace.graph.identity(numbers.ids)
    result = call_traced(trace, joined, [TracedArray(trace, x.copy())])

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        ids = np.broadcast_to(trace.ids_of(cotangent), result.shape)
        slopes = without_gaps(trace, transforms.pullback(trace, x, result, ids))
        return tuple(joined.parts(TracedArray(trace, slopes)))

    return TracedArray(trace, result.copy()), pullback


def hvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """The Hessian of a function times a vector, without the Hessian: the derivative of the gradient along a direction.

    Parameters
    ----------
    f : callable
        A function that gives one number; the gradient is with respect to its first argument.
    primals : sequence of array-like
        The arguments of f.
    tangents : sequence of array-like
        The direction: an array for each argument, of its shape.

    Returns
    -------
    ndarray
        Of the shape of the first argument.

    Examples
    --------
    >>> import numpy as np
    >>> from mmlfast.autodiff import hvp
    >>> hvp(lambda v: np.sum(v**3), (np.array([1.0, 2.0]),), (np.array([1.0, 1.0]),)).tolist()
    [6.0, 12.0]
    """
    return jvp(derived(Gradient, f, 0), primals, tangents)[1]
