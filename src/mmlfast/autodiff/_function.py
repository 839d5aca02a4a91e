"""trace and Function: a function of NumPy as a tape of its own."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

import numpy as np

from mmlfast import _core
from mmlfast._common.arrays import is_dask
from mmlfast._common.files import opened
from mmlfast.autodiff._callbacks import inline
from mmlfast.autodiff._comparison import compare_with_plain_call
from mmlfast.autodiff._compiled import Compiled, result_is_float32
from mmlfast.autodiff._errors import TracingError
from mmlfast.autodiff._explain import Listing, TraceTable, as_text, trace_table
from mmlfast.autodiff._lazy import lazy_batch
from mmlfast.autodiff._recording import Argument, as_arguments, function_name, is_plain, record
from mmlfast.autodiff._source import numpy_source
from mmlfast.autodiff._trace import Ids, Trace, Traced, trace_of
from mmlfast.autodiff._tracer import TracedArray

Array = np.ndarray[Any, Any]

_NOTHING = _core.Watch([])  # what a function that is frozen rests on
_MAGIC = b"mmlfast.autodiff.Function 1\n"


class Function(_core.TracedCall):
    """A traced function: frozen as it was when it was traced, whatever happens later to the variables it used.

    Made by `trace`. It is called as the function was, with arguments of the shapes of the example, and gives what the
    function gives. Derivatives (`grad`, `jacobian`, ...) take it like any function. It can be pickled, copied, saved to
    a file and loaded.

    Attributes
    ----------
    name : str
        The name of the function that was traced.
    shape : tuple of int
        The shape of its result.
    x_shape : tuple of int
        The shape of the argument that `batch` takes many of.
    parameter_shapes : list of tuple of int
        The shapes of the other arguments.
    n_instructions : int
        How many instructions a call computes.

    Examples
    --------
    >>> import numpy as np
    >>> from mmlfast.autodiff import trace
    >>> f = trace(lambda v: np.sum(v**2) / 2, np.zeros(3))
    >>> float(f(np.array([1.0, 2.0, 3.0])))
    7.0
    >>> f.batch(np.array([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]])).tolist()
    [0.5, 2.0]
    """

    def __init__(
        self,
        graph: _core.TapeGraph,
        result: Ids,
        x_shape: tuple[int, ...],
        parameter_shapes: Sequence[tuple[int, ...]],
        argnum: int,
        name: str,
    ) -> None:
        self._graph = graph
        self._result = result
        self.x_shape = tuple(x_shape)
        self.parameter_shapes = [tuple(shape) for shape in parameter_shapes]
        self._argnum = argnum
        self.name = self.__name__ = name
        self._compiled: Compiled | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self._result.shape)

    @property
    def _program(self) -> Compiled:
        if self._compiled is None:
            self._compiled = Compiled(Trace(self._graph), self.x_shape, [self._result])
        return self._compiled

    @property
    def n_instructions(self) -> int:
        return int(self._program.program.n_instructions)

    @property
    def _watched(self) -> tuple[()]:
        """Nothing that it is made of can change."""
        return ()

    def _call(self, *args: Any) -> Any:
        if (outer := trace_of(args)) is not None:
            return self._inline(outer, args)
        x, parameters = self._taken(args)
        if x.values.shape != self.x_shape:
            raise ValueError(
                f"{self.name}: x has shape {x.values.shape}, it was traced for {self.x_shape}"
                + (": .batch(x) takes points in the leading axes" if x.values.ndim > len(self.x_shape) else "")
            )
        if all(map(is_plain, args)):
            shapes = [p.values.shape for p in parameters]
            shapes.insert(self._argnum, self.x_shape)
            self._keep(_NOTHING, self._program.program, self._argnum, shapes, [self.shape], False)
        (result,) = self._program.at_point(x.values, [p.values for p in parameters])
        return as_result(result, result_is_float32(x, parameters))

    def batch(self, *args: Any) -> Any:
        """The function at many points: the argument x has them in its leading axes, the parameters are those of all.

        Parameters
        ----------
        *args : array-like
            The arguments of the function, with x of shape ``(..., *x_shape)``.

        Returns
        -------
        ndarray
            Of shape ``(..., *shape)``. Of points in a Dask array, lazily a Dask array.
        """
        n = len(self.x_shape)
        if len(args) > self._argnum and is_dask(args[self._argnum]):
            return lazy_batch(self.batch, args, self._argnum, args[self._argnum].ndim - n)
        if (outer := trace_of(args)) is not None:
            return self._inline_batch(outer, args)
        x, parameters = self._taken(args)
        if x.values.ndim < n or x.values.shape[x.values.ndim - n :] != self.x_shape:
            raise ValueError(f"{self.name}: x has shape {x.values.shape}, it has to end with {self.x_shape}")
        (result,) = self._program.at_points(x.values, [p.values for p in parameters])
        return result.astype(np.float32) if result_is_float32(x, parameters) else result

    def _taken(self, args: Sequence[Any]) -> tuple[Argument, list[Argument]]:
        """x and the parameters, whose shapes are right."""
        if len(args) != 1 + len(self.parameter_shapes):
            raise TypeError(f"{self.name} takes {1 + len(self.parameter_shapes)} arguments, got {len(args)}")
        arguments = as_arguments(args, self._argnum)
        x = arguments.pop(self._argnum)
        for i, (p, shape) in enumerate(zip(arguments, self.parameter_shapes, strict=True)):
            if p.values.shape != shape:
                raise ValueError(f"{self.name}: parameter {i} has shape {p.values.shape}, it was traced for {shape}")
        return x, arguments

    def _inline(self, trace: Trace, args: Sequence[Any]) -> TracedArray:
        if len(args) != 1 + len(self.parameter_shapes):
            raise TypeError(f"{self.name} takes {1 + len(self.parameter_shapes)} arguments, got {len(args)}")
        ids = [trace.ids_of(x) for x in args]
        ids.insert(0, ids.pop(self._argnum))
        for given, shape in zip(ids, [self.x_shape, *self.parameter_shapes], strict=True):
            if given.shape != shape:
                raise ValueError(f"{self.name} was traced for arguments of shape {shape}, got {given.shape}")
        result = inline(trace.graph, self._graph, [x.ravel() for x in ids], self._result.ravel())
        return TracedArray(trace, result.reshape(self.shape))

    def _inline_batch(self, trace: Trace, args: Sequence[Any]) -> TracedArray:
        ids = trace.ids_of(args[self._argnum])
        lead = ids.shape[: ids.ndim - len(self.x_shape)]
        points = ids.reshape((-1, *ids.shape[len(lead) :]))
        given = [[TracedArray(trace, p) if i == self._argnum else x for i, x in enumerate(args)] for p in points]
        rows = [self._inline(trace, one).ids for one in given]
        return TracedArray(trace, np.array(rows, np.int32).reshape(lead + self.shape))

    # ---- for readers ----

    @property
    def _names(self) -> list[str]:
        """Of the arguments in the order of the tape: x, and the parameters p0, p1 ..."""
        return ["x", *(f"p{i}" for i in range(len(self.parameter_shapes)))]

    def _listing(self) -> Listing:
        return Listing(self._graph, self._result, self._names)

    def _copied(self, result: Ids) -> tuple[_core.TapeGraph, Ids]:
        graph = _core.TapeGraph()
        inputs = []
        for size in self._graph.n_inputs:
            first = graph.input(size)
            inputs.append(np.arange(first, first + size, dtype=np.int32))
        return graph, inline(graph, self._graph, inputs, result)

    def __str__(self) -> str:
        order = self._names[1:]
        order.insert(self._argnum, "x")
        return as_text(self._listing(), f"{self.name}({', '.join(order)})", self._result)

    def trace_table(self, *args: Any, output: int | tuple[int, ...] = ()) -> TraceTable:
        """Each step of the function at one point, with its number and how the result changes with it.

        Parameters
        ----------
        *args : array-like
            The arguments of the function.
        output : int or tuple of int
            Which entry of the result, if it is an array.

        Returns
        -------
        TraceTable
            names, formulas, values, derivatives; printed, it is a table.
        """
        x, parameters = self._taken(args)
        result = self._result[output]
        if np.ndim(result):
            raise TypeError(f"{self.name} gives an array of shape {self.shape}: output= says which entry of it")
        graph, (target,) = self._copied(np.array([result], np.int32))  # the function itself never changes
        listing = Listing(graph, np.array([target], np.int32), self._names)
        return trace_table(listing, int(target), self.x_shape, x.values, [p.values for p in parameters])

    def to_numpy_source(self) -> str:
        """The function as the text of a Python function that needs NumPy (and SciPy for some functions) only.

        Returns
        -------
        str
        """
        order = self._names[1:]
        order.insert(self._argnum, "x")
        return numpy_source(self._listing(), self.name, self._result, self._names, order)

    def to_dot(self) -> str:
        """The tape as a graph, in the language of Graphviz.

        Returns
        -------
        str
        """
        from mmlfast.autodiff._picture import as_dot, boxes

        return as_dot(boxes(self._listing(), self._result), self.name)

    def draw(self, path: str | os.PathLike[str], *args: Any) -> None:
        """Save a picture of the tape: a box for each step, an arrow for each number that it uses.

        Graphviz draws it if its program `dot` is there, else matplotlib.

        Parameters
        ----------
        path : str or path
            A file ending with .png, .svg or .pdf.
        *args : array-like
            The arguments of the function: each box then shows its number and how the result changes with it.

        Raises
        ------
        ImportError
            If there is neither Graphviz nor matplotlib.
        """
        from mmlfast.autodiff._picture import boxes, save_picture  # starts programs: nothing that all need

        save_picture(boxes(self._listing(), self._result, self.trace_table(*args) if args else None), self.name, path)

    # ---- keeping ----

    def to_bytes(self) -> bytes:
        """All of the function, for `from_bytes`.

        Returns
        -------
        bytes
            Of a format of this library's own.
        """
        if any(op == "callback" for op, *_ in self._graph.runs(self._result.ravel())):
            raise TypeError(f"{self.name} has a function of your own in it (autodiff.primitive): it cannot be saved")
        about = {
            "name": self.name,
            "x_shape": self.x_shape,
            "parameter_shapes": self.parameter_shapes,
            "shape": self.shape,
            "argnum": self._argnum,
        }
        return _MAGIC + json.dumps(about).encode() + b"\n" + self._graph.to_bytes(self._result.ravel())

    @staticmethod
    def from_bytes(data: bytes | bytearray | memoryview) -> Function:
        """The function that `to_bytes` was asked of.

        Parameters
        ----------
        data : bytes-like
            All of it is checked: what is not a function is a ValueError.

        Returns
        -------
        Function
        """
        if isinstance(data, bytearray | memoryview):
            data = bytes(data)
        if type(data) is not bytes or not data.startswith(_MAGIC):
            raise ValueError("data is no saved function (mmlfast.autodiff.Function.to_bytes)")
        header, _, tape = data[len(_MAGIC) :].partition(b"\n")
        try:
            about = json.loads(header)
            shapes = [_checked_shape(about[key]) for key in ("x_shape", "shape")]
            parameters = [_checked_shape(shape) for shape in about["parameter_shapes"]]
            argnum, name = about["argnum"], about["name"]
            if type(argnum) is not int or not 0 <= argnum <= len(parameters) or type(name) is not str:
                raise ValueError("argnum")
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"data is a saved function with a broken header: {error}") from None
        graph, outputs = _core.TapeGraph.from_bytes(tape)
        sizes = [math.prod(shape) for shape in (shapes[0], *parameters)]
        if list(graph.n_inputs) != sizes or len(outputs) != math.prod(shapes[1]):
            raise ValueError("data is a saved function whose tape does not fit its header")
        return Function(graph, outputs.reshape(shapes[1]), shapes[0], parameters, argnum, name)

    def save(self, path: str | os.PathLike[str] | BinaryIO) -> None:
        """Write the function to a file.

        Parameters
        ----------
        path : str, path or file
            Of a file, or one that is open for writing bytes.
        """
        data = self.to_bytes()  # before a file that is there already is emptied
        with opened(path, "wb") as file:
            file.write(data)

    @staticmethod
    def load(path: str | os.PathLike[str] | BinaryIO) -> Function:
        """Read a function from a file that `save` wrote.

        Parameters
        ----------
        path : str, path or file
            Of a file, or one that is open for reading bytes.

        Returns
        -------
        Function
        """
        with opened(path, "rb") as file:
            return Function.from_bytes(file.read())

    def __reduce__(self) -> Any:
        return Function.from_bytes, (self.to_bytes(),)

    def __copy__(self) -> Function:
        return self

    def __deepcopy__(self, memo: Any) -> Function:
        return self  # nothing of it ever changes

    def __repr__(self) -> str:
        return f"<Function {self.name}: {self.x_shape} -> {self.shape}>"


def _checked_shape(shape: Any) -> tuple[int, ...]:
    sizes: list[Any] = shape if type(shape) is list else [None]
    if any(type(n) is not int or n < 0 for n in sizes):
        raise ValueError(f"{shape} is no shape")
    return tuple(sizes)


def as_result(result: Array, float32: bool) -> Any:
    """An array, or NumPy's number where there is no dimension."""
    if float32:
        result = result.astype(np.float32)
    return result if result.ndim else result[()]


def check_argnum(argnums: Any) -> int:
    if isinstance(argnums, np.integer):
        argnums = int(argnums)
    if type(argnums) is not int:
        if isinstance(argnums, tuple | list):
            raise TypeError(
                f"argnums={argnums!r}: derivatives are with respect to one argument; of several, take one array and "
                f"take it apart inside of the function"
            )
        raise TypeError(f"argnums must be an integer, got {argnums!r}")
    return argnums


def trace(f: Callable[..., Any], *example: Any, argnums: int = 0) -> Function:
    """Record a function of NumPy once, as a tape that is fast to evaluate and to differentiate.

    The function is frozen: variables that it uses besides its arguments keep the values that they have now. (`grad` and
    the other derivatives of a plain function look each time whether any of them has changed.) It is called twice: with
    traced numbers, and with copies of the example, to see that both give the same.

    Parameters
    ----------
    f : callable
        A function of numbers and arrays that gives one number or array.
    *example : array-like
        Arguments to call it with: shapes matter, values only for the comparison.
    argnums : int
        Which argument is x, that `batch` takes many of, and that derivatives are with respect to. The others are
        parameters, shared by all points.

    Returns
    -------
    Function

    Examples
    --------
    >>> import numpy as np
    >>> from mmlfast.autodiff import trace
    >>> f = trace(lambda t, a: np.exp(-a * t**2), 0.0, 1.0)
    >>> float(f(2.0, 0.0))
    1.0
    >>> f.batch([0.0, 1.0], 1.0).round(4).tolist()
    [1.0, 0.3679]
    """
    argnum = check_argnum(argnums)
    if not example:
        raise TypeError("trace: give an example of each argument: trace(f, np.zeros(3))")
    if not -len(example) <= argnum < len(example):
        raise ValueError(f"argnums={argnum}: there are {len(example)} arguments")
    argnum %= len(example)
    for x in example:
        if isinstance(x, Traced):
            raise TracingError("trace: the example is traced itself: call the function instead")
    arguments = as_arguments(example, argnum)
    seen = record(f, arguments, argnum)
    compare_with_plain_call(f, arguments, argnum, seen)
    shapes = [a.values.shape for a in arguments]
    return Function(seen.trace.graph, seen.result, shapes.pop(argnum), shapes, argnum, function_name(f))
