"""Functions of the user's own as one step of a tape, with derivatives of the user's own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mmlfast.autodiff._callbacks import Callback, new_number, use
from mmlfast.autodiff._errors import ForeignTrace, TracingError
from mmlfast.autodiff._power_series import PowerSeries
from mmlfast.autodiff._recording import function_name
from mmlfast.autodiff._step import Step
from mmlfast.autodiff._trace import Ids, Trace, trace_of
from mmlfast.autodiff._tracer import TracedArray

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]

# Elementwise functions are called for so many elements at a time: a step has a Jacobian of all its inputs.
_BLOCK = 64


class Primitive:
    """What `primitive` makes: a function that tapes take as one step."""

    def __init__(
        self,
        f: Callable[..., Any],
        derivative: Callable[..., Any] | None,
        jacobian: Callable[..., Any] | None,
        shape: Any,
    ) -> None:
        self._f = f
        self._derivative = derivative
        self._jacobian = jacobian
        self._shape = shape
        self._callbacks: dict[Any, tuple[int, Callback]] = {}
        self.__name__ = function_name(f)
        self.__doc__ = f.__doc__
        self.step = Step(f, derivative, self.__name__)

    @property
    def _watched(self) -> tuple[Any, ...]:
        return self._f, self._derivative, self._jacobian, self._shape

    def __call__(self, *args: Any) -> Any:
        trace = trace_of(args)
        if trace is None:
            if len(args) == 1 and isinstance(args[0], PowerSeries):
                return args[0].through(self.step)
            return self._f(*args)
        ids = [trace.ids_of(x) for x in args]
        return TracedArray(trace, self._elementwise(trace, ids) if self._derivative else self._whole(trace, ids))

    # ---- of one number each ----

    def _elementwise(self, trace: Trace, ids: list[Ids]) -> Ids:
        ids = [np.array(x) for x in np.broadcast_arrays(*ids)]
        shape, n = ids[0].shape, ids[0].size
        flat = [x.ravel() for x in ids]
        steps = []
        for start in range(0, n, _BLOCK):
            m = min(_BLOCK, n - start)
            number = self._number(trace, self._f, [shape if n == 1 else (m,)] * len(ids), (m,))
            steps.append((number, np.concatenate([x[start : start + m] for x in flat]), m))
        results = [trace.graph.callback(*step) for step in steps]
        if _needs_jacobian(trace, results):
            partials = self._partials(trace, ids)
            zero = trace.scalar(0.0)
            for i, (number, a, m) in enumerate(steps):
                jacobian = np.full((m, len(ids), m), zero, np.int32)
                for k, partial in enumerate(partials):
                    np.einsum("ii->i", jacobian[:, k])[...] = partial[i * _BLOCK : i * _BLOCK + m]
                trace.graph.callback(number, a, m, jacobian.ravel())
        return np.concatenate([np.empty(0, np.int32), *results]).reshape(shape)

    def _partials(self, trace: Trace, ids: list[Ids]) -> list[Ids]:
        """The derivative by each argument, flat."""
        assert self._derivative is not None
        shape, n = ids[0].shape, ids[0].size
        found = _traced(trace, self._derivative, ids)
        if found is not None:
            found = [np.broadcast_to(x, shape) for x in found]
            if len(found) != len(ids):
                raise ValueError(
                    f"the derivative of {self.__name__} gives {len(found)} arrays, and there are {len(ids)} arguments"
                )
            return [x.ravel() for x in found]
        derivative = self._derivative

        def all_partials(*args: Any) -> Any:
            values = derivative(*args)
            return np.stack([np.broadcast_to(v, shape) for v in (values if isinstance(values, tuple) else (values,))])

        number = self._number(trace, all_partials, [shape] * len(ids), (len(ids), *shape), key=("derivative", shape))
        flat = trace.graph.callback(number, np.concatenate([x.ravel() for x in ids]), n * len(ids))
        return list(flat.reshape(len(ids), n))

    # ---- of arrays ----

    def _whole(self, trace: Trace, ids: list[Ids]) -> Ids:
        shapes = [x.shape for x in ids]
        shape = tuple(self._shape(*shapes) if callable(self._shape) else self._shape)
        count = math.prod(shape)
        a = np.concatenate([x.ravel() for x in ids])
        of_user = self._jacobian
        assert of_user is not None
        step = self._number(trace, self._f, shapes, shape), a, count
        result = trace.graph.callback(*step).reshape(shape)
        if not _needs_jacobian(trace, [result.ravel()]):
            return result
        found = _traced(trace, of_user, ids)
        if found is not None:
            jacobian = self._joined(found, shape, shapes)
        else:

            def joined(*args: Any) -> Any:
                values = of_user(*args)
                parts = [np.asarray(v) for v in (values if isinstance(values, tuple) else (values,))]
                return self._joined(parts, shape, shapes)

            number = self._number(trace, joined, shapes, (count, a.size), key=("jacobian", *shapes))
            jacobian = trace.graph.callback(number, a, count * a.size).reshape(count, a.size)
        trace.graph.callback(*step, jacobian.ravel())
        return result

    def _joined(self, parts: Sequence[Any], shape: Shape, shapes: Sequence[Shape]) -> Any:
        """Jacobians by each argument as one matrix."""
        if len(parts) != len(shapes):
            raise ValueError(
                f"the Jacobian of {self.__name__} gives {len(parts)} arrays, and there are {len(shapes)} arguments"
            )
        for i, (part, of_argument) in enumerate(zip(parts, shapes, strict=True)):
            if part.shape != shape + of_argument:
                raise ValueError(
                    f"the Jacobian of {self.__name__} by argument {i} has shape {part.shape}; for a result of shape "
                    f"{shape} and an argument of shape {of_argument} it has to be {shape + of_argument}"
                )
        return np.concatenate([part.reshape(math.prod(shape), -1) for part in parts], axis=1)

    # ---- numbers of callbacks ----

    def _number(
        self, trace: Trace, f: Callable[..., Any], shapes: Sequence[Shape], result: Shape, key: Any = None
    ) -> int:
        key = (key, tuple(shapes), result)
        found = self._callbacks.get(key)
        if found is None:
            callback = _on_flat(f, tuple(shapes), self.step if key[0] is None else Step(f, None, self.__name__))
            found = self._callbacks.setdefault(key, (new_number(callback), callback))
        use(trace.graph, *found)
        return found[0]


def _on_flat(f: Callable[..., Any], shapes: Sequence[Shape], step: Step) -> Callable[[Array], Any]:
    sizes = [math.prod(shape) for shape in shapes]
    ends = np.cumsum(sizes)

    def call(flat: Array) -> Any:
        parts = [flat[e - n : e].reshape(s) for e, n, s in zip(ends, sizes, shapes, strict=True)]
        return np.asarray(f(*(part if part.ndim else part[()] for part in parts)), dtype=np.float64)

    call.step = step  # type: ignore[attr-defined]
    return call


def _needs_jacobian(trace: Trace, results: Sequence[Ids]) -> bool:
    """Whether there is none yet. If so it is on its way: a derivative may be made of the function itself (exp)."""
    first = {int(ids[0]) for ids in results}
    if first <= trace.with_jacobian:
        return False
    trace.with_jacobian |= first
    return True


def _traced(trace: Trace, f: Callable[..., Any], ids: Sequence[Ids]) -> list[Ids] | None:
    """What f gives for traced numbers, as ids; None if it cannot be traced: it is then called with numbers."""
    try:
        values = f(*(TracedArray(trace, x.copy()) for x in ids))
        return [trace.ids_of(v) for v in (values if isinstance(values, tuple) else (values,))]
    except ForeignTrace:
        raise
    except (TracingError, TypeError, ValueError, AttributeError, IndexError):
        return None


def primitive(
    f: Callable[..., Any] | None = None,
    *,
    derivative: Callable[..., Any] | None = None,
    jacobian: Callable[..., Any] | None = None,
    shape: Any = (),
) -> Any:
    """Let tapes take a function as one step, for what they do not know: with derivatives that you give.

    The function is called with numbers whenever the tape is evaluated, one point at a time. Its derivative is traced if
    it can be (so second derivatives come out right), and called with numbers else. `check_gradient` tells whether it is
    right.

    Parameters
    ----------
    f : callable
        Takes numbers or arrays. Without it, a decorator is returned.
    derivative : callable
        For an elementwise f: takes the same arguments and gives its derivative, for several arguments a tuple of them.
    jacobian : callable
        For any other f: gives an array of the shape of the result followed by that of the argument, for several
        arguments a tuple of them.
    shape : tuple of int or callable
        With `jacobian`: the shape of the result, or a function that gives it for the shapes of the arguments.

    Returns
    -------
    callable
        Does the same as f, and can be traced.

    Examples
    --------
    >>> from scipy.special import j0, j1
    >>> from mmlfast.autodiff import grad, primitive
    >>> bessel = primitive(j0, derivative=lambda t: -j1(t))
    >>> round(float(grad(lambda t: bessel(2.0 * t))(0.5)), 6) == round(float(-2.0 * j1(1.0)), 6)
    True
    """
    if (derivative is None) == (jacobian is None):
        raise TypeError(
            "primitive: give derivative= for a function that works on each number by itself, or jacobian= for any other"
        )
    if f is None:
        return lambda g: Primitive(g, derivative, jacobian, shape)
    return Primitive(f, derivative, jacobian, shape)
