"""grad, value_and_grad, jacobian, hessian: derivatives by one argument, in the shapes that JAX gives them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, overload

import numpy as np

import mmlfast.autodiff._transforms as transforms
from mmlfast import _core
from mmlfast.autodiff._derived import Derived
from mmlfast.autodiff._recording import Recording, function_name, place_of
from mmlfast.autodiff._several_arguments import OfSeveralArguments
from mmlfast.autodiff._trace import Ids, Trace, active_traces
from mmlfast.autodiff._transforms import Entries

Array = np.ndarray[Any, Any]
D = TypeVar("D", bound=Derived)


class Gradient(Derived):
    _what = "gradient"

    def _check(self, seen: Recording) -> None:
        if seen.result.shape:
            raise TypeError(
                f"grad needs a function that gives one number; {function_name(self._f)}{place_of(self._f)} gives an "
                f"array of shape {seen.result.shape}: jacobian gives its derivatives"
            )

    def _transform(self, seen: Recording) -> tuple[list[Ids], Any]:
        return [transforms.gradient(seen.trace, seen.x, seen.result)], None


class ValueAndGradient(Gradient):
    _what = "value and gradient"
    _is_tuple = True

    def _transform(self, seen: Recording) -> tuple[list[Ids], Any]:
        return [seen.result, transforms.gradient(seen.trace, seen.x, seen.result)], None


class _Values(_core.TracedCall):
    """The entries of a sparse matrix, where calls need no look by Python; None elsewhere."""

    def _call(self, *args: Any) -> None:
        return None


class _Matrix(Derived):
    """A derivative that is a matrix, dense or sparse."""

    def __init__(self, f: Callable[..., Any], argnums: int, sparse: bool) -> None:
        super().__init__(f, argnums)
        self._sparse = bool(sparse)
        self._quick: tuple[_Values, Any] | None = None  # of a sparse one: its last program, and its pattern

    def _fresh(self) -> dict[str, Any]:
        return {**super()._fresh(), "_quick": None}

    def _call(self, *args: Any, **keywords: Any) -> Any:
        quick = self._quick
        if quick is not None and not keywords and (values := quick[0](*args)) is not None:
            return _with_values(quick[1], values)
        return super()._call(*args, **keywords)

    def _keep_quick(self, entry: Any, argnum: int, shapes: list[tuple[int, ...]]) -> None:
        super()._keep_quick(entry, argnum, shapes)
        if entry.extra is not None:
            values = _Values()
            values._keep(entry.watch.quick, entry.compiled.program, argnum, shapes, entry.compiled.shapes, False)
            self._quick = values, entry.extra

    def _options(self) -> tuple[Any, ...]:
        return (self._sparse,)

    def _arranged(self, trace: Trace, entries: Entries, shape: tuple[int, ...]) -> tuple[list[Ids], Any]:
        if not self._sparse:
            return [entries.dense().reshape(shape)], None
        if len(shape) != 2:
            raise TypeError(
                f"sparse=True: the derivative has shape {shape}, which is no matrix; without sparse=True it is an array"
            )
        if trace in active_traces():
            raise TypeError("sparse=True inside of a traced function: leave it out, zeros cost nothing there")
        from scipy.sparse import csr_array

        positions = entries.indices.astype(np.int32), entries.indptr.astype(np.int32)  # ids are of this type as well
        return [entries.ids], csr_array((np.zeros(len(entries.ids)), *positions), shape=shape)

    def _finish(self, arrays: list[Any], extra: Any, lead: tuple[int, ...]) -> Any:
        if extra is None:
            return arrays[0]
        if lead:
            return [_with_values(extra, row) for row in arrays[0].reshape(math.prod(lead), extra.nnz)]
        return _with_values(extra, arrays[0])


def _with_values(pattern: Any, values: Array) -> Any:
    """A csr_array. Its constructor would look at the whole pattern again, for longer than the values took; copy.copy
    does what is done here in three times the time."""
    kind: Any = type(pattern)
    matrix = kind.__new__(kind)
    matrix.__dict__.update(pattern.__dict__, data=values, indices=pattern.indices.copy(), indptr=pattern.indptr.copy())
    return matrix


class Jacobian(_Matrix):
    _what = "Jacobian"

    def _transform(self, seen: Recording) -> tuple[list[Ids], Any]:
        trace, x, result, _ = seen
        return self._arranged(trace, transforms.jacobian(trace, x, result), result.shape + x.shape)


class Hessian(_Matrix):
    _what = "Hessian"

    def _transform(self, seen: Recording) -> tuple[list[Ids], Any]:
        trace, x, result, _ = seen
        if not result.shape:
            return self._arranged(trace, transforms.hessian(trace, x, result), x.shape + x.shape)
        if self._sparse:
            raise TypeError(
                f"hessian(sparse=True) needs a function that gives one number; {function_name(self._f)} gives an array "
                f"of shape {result.shape}"
            )
        each = [transforms.hessian(trace, x, one).dense() for one in result.reshape(-1, 1)]
        return [np.array(each, np.int32).reshape(result.shape + x.shape + x.shape)], None


def _of(kind: type[D], f: Callable[..., Any], argnums: Any, *options: Any) -> D | OfSeveralArguments:
    if isinstance(argnums, tuple | list):
        return OfSeveralArguments(kind, f, argnums, *options)
    return kind(f, argnums, *options)


@overload
def grad(f: Callable[..., Any], argnums: int = 0) -> Gradient: ...
@overload
def grad(f: Callable[..., Any], argnums: Sequence[int]) -> OfSeveralArguments: ...
def grad(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Gradient | OfSeveralArguments:
    """The gradient of a function that gives one number.

    Parameters
    ----------
    f : callable
        A plain function of NumPy, or a `Function`. It is traced when the gradient is first called, and again for
        arguments of other shapes and when what it uses besides its arguments has changed.
    argnums : int or tuple of int
        Which argument the gradient is with respect to. The others are parameters. Of a tuple of arguments, the
        gradient is a tuple.

    Returns
    -------
    callable
        Takes the arguments of f and gives an array of the shape of x; `.batch` takes many x.

    Examples
    --------
    >>> import numpy as np
    >>> from mmlfast.autodiff import grad
    >>> g = grad(lambda v: v[0] ** 2 * v[1])
    >>> g(np.array([3.0, 2.0])).tolist()
    [12.0, 9.0]
    >>> g.batch(np.array([[3.0, 2.0], [1.0, 1.0]])).tolist()
    [[12.0, 9.0], [2.0, 1.0]]
    """
    return _of(Gradient, f, argnums)


@overload
def value_and_grad(f: Callable[..., Any], argnums: int = 0) -> ValueAndGradient: ...
@overload
def value_and_grad(f: Callable[..., Any], argnums: Sequence[int]) -> OfSeveralArguments: ...
def value_and_grad(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> ValueAndGradient | OfSeveralArguments:
    """The value and the gradient of a function that gives one number, for the price of little more than the gradient.

    Parameters
    ----------
    f : callable
        A plain function of NumPy, or a `Function`.
    argnums : int or tuple of int
        Which argument the gradient is with respect to; a tuple of arguments gives a tuple of gradients.

    Returns
    -------
    callable
        Takes the arguments of f and gives (value, gradient); `.batch` takes many x.

    Examples
    --------
    >>> import numpy as np
    >>> from mmlfast.autodiff import value_and_grad
    >>> value, slope = value_and_grad(lambda v: np.sum(v**2))(np.array([1.0, 2.0]))
    >>> float(value), slope.tolist()
    (5.0, [2.0, 4.0])
    """
    return _of(ValueAndGradient, f, argnums)


@overload
def jacobian(f: Callable[..., Any], argnums: int = 0, *, sparse: bool = False) -> Jacobian: ...
@overload
def jacobian(f: Callable[..., Any], argnums: Sequence[int], *, sparse: bool = False) -> OfSeveralArguments: ...
def jacobian(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, *, sparse: bool = False
) -> Jacobian | OfSeveralArguments:
    """All derivatives of all results of a function.

    Whether forward or backward, and which columns or rows together, is decided from which results depend on which
    entries of x: a Jacobian with three numbers a row takes three sweeps, whatever its size.

    Parameters
    ----------
    f : callable
        A plain function of NumPy, or a `Function`.
    argnums : int or tuple of int
        Which argument the derivatives are with respect to; a tuple of arguments gives a tuple of Jacobians.
    sparse : bool
        Give a scipy.sparse.csr_array (a list of them for `.batch`) of all entries that are not zero for every x.

    Returns
    -------
    callable
        Takes the arguments of f and gives an array with the shape of f's result followed by the shape of x; `.batch`
        takes many x.

    Examples
    --------
    >>> import numpy as np
    >>> from mmlfast.autodiff import jacobian
    >>> polar = jacobian(lambda p: p[0] * np.stack([np.cos(p[1]), np.sin(p[1])]))
    >>> polar(np.array([2.0, 0.0])).tolist()
    [[1.0, -0.0], [0.0, 2.0]]
    """
    if sparse and isinstance(argnums, tuple | list):
        raise TypeError(f"jacobian: argnums={argnums} with sparse=True: ask for one argument at a time")
    return _of(Jacobian, f, argnums, sparse)


def hessian(f: Callable[..., Any], argnums: int = 0, *, sparse: bool = False) -> Hessian:
    """The second derivatives of a function, symmetric to the bit.

    Parameters
    ----------
    f : callable
        A plain function of NumPy, or a `Function`.
    argnums : int
        Which argument the derivatives are with respect to.
    sparse : bool
        Give a scipy.sparse.csr_array (a list of them for `.batch`) of all entries that are not zero for every x.

    Returns
    -------
    callable
        Takes the arguments of f and gives an array of shape (n, n) for x of shape (n,); `.batch` takes many x.

    Examples
    --------
    >>> import numpy as np
    >>> from mmlfast.autodiff import hessian
    >>> hessian(lambda v: v[0] ** 2 * v[1])(np.array([3.0, 2.0])).tolist()
    [[4.0, 6.0], [6.0, 0.0]]
    """
    return Hessian(f, argnums, sparse)
