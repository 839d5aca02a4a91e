"""TracedArray: what a traced function gets in place of an array.

It looks like a NumPy array of float64 (or of booleans, for comparisons), and every computation with it becomes a run of
the tape. What would need its numbers is refused with the line of the user's code.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

import mmlfast.autodiff._missing_rules as _missing_rules
import mmlfast.autodiff._numpy_rules as _numpy_rules
import mmlfast.autodiff._order_rules as _order_rules
import mmlfast.autodiff._orthogonal_rules as _orthogonal_rules
import mmlfast.autodiff._place_rules as _place_rules
import mmlfast.autodiff._polynomial_rules as _polynomial_rules
import mmlfast.autodiff._reduction_rules as _reduction_rules
import mmlfast.autodiff._shape_rules as _shape_rules
import mmlfast.autodiff._write_rules as _write_rules
from mmlfast.autodiff._errors import (
    TracingError,
    is_inside_scipy,
    own_function,
    refuse,
    refuse_number,
    refuse_scipy,
    users_line,
)
from mmlfast.autodiff._registry import FUNCTIONS, Mask, is_mask, meaningful, name_of
from mmlfast.autodiff._shape_rules import writable_ids
from mmlfast.autodiff._trace import OPS, Trace, Traced
from mmlfast.autodiff._ufunc_rules import ACCUMULATE, FOLD, MASKS, OF_MASKS, REDUCE, rule_of

MODULES_OF_RULES = (
    _missing_rules,
    _numpy_rules,
    _order_rules,
    _orthogonal_rules,
    _place_rules,
    _polynomial_rules,
    _reduction_rules,
    _shape_rules,
    _write_rules,
)  # which importing them makes known

_FLOAT, _BOOL = np.dtype(np.float64), np.dtype(np.bool_)


_AS_STRIDED = as_strided.__code__  # which does not ask __array_function__


def _of_integers(found: Any) -> Any:
    """Those of Python have no negative zero, whose sign arctan2 would see."""
    return found + 0.0


class TracedArray(Traced):
    """Traced numbers in the shape of an array; see the module."""

    __slots__ = ()
    __pandas_priority__ = 5000  # a Series or a frame leaves operators with traced numbers to these

    def __hash__(self) -> int:
        refuse("traced numbers cannot be a key (of a dictionary, a set, a cache)", "look it up outside of the function")

    # ---- what it is ----

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # for isinstance: the plain function gets arrays, and numbers of NumPy
        return np.ndarray if self.ids.ndim else np.bool_ if self.is_mask else np.float64

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.ids.shape)

    @shape.setter
    def shape(self, shape: Any) -> None:
        self.ids.shape = shape

    @property
    def ndim(self) -> int:
        return self.ids.ndim

    @property
    def size(self) -> int:
        return self.ids.size

    @property
    def dtype(self) -> np.dtype[Any]:
        return _BOOL if self.is_mask else _FLOAT

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.itemsize * self.size

    def __len__(self) -> int:
        if not self.ids.ndim:
            raise TypeError("len() of unsized object")
        return len(self.ids)

    def __repr__(self) -> str:
        return f"<traced numbers of shape {self.ids.shape}>"

    def __format__(self, spec: str) -> str:
        if not spec:
            return repr(self)
        if self.owner.decisions is None or self.ids.size != 1:
            refuse_number("a format")
        return format(float(self.owner.decisions.values(self.owner, self.ids)), spec)  # a text has no derivative

    # ---- parts ----

    def like(self, ids: Any) -> TracedArray:
        """Other ids of the same kind."""
        return TracedArray(self.owner, ids if type(ids) is np.ndarray else np.array(ids, np.int32), self.is_mask)

    def _getitem(self, key: Any) -> TracedArray:
        """By a key that asks for more than slices and integers do."""
        return self.like(self.ids[_known_key(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, Traced) and key.is_mask and key.ids.shape == self.ids.shape and not np.ndim(value):
            self.ids[...] = self.owner.ternary(
                OPS["select"], self.owner.ids_of(key), self.owner.ids_of(value), self.ids
            )
            return
        key = _known_key(key)
        if self.is_mask and not is_mask(value):
            refuse(
                "a traced mask cannot hold other numbers", "write np.where, or start from np.zeros_like(x) of numbers"
            )
        self.ids[key] = self.owner.ids_of(value)

    def __iter__(self) -> Iterator[TracedArray]:
        if not self.ids.ndim:
            raise TypeError("iteration over a 0-d array")
        return map(self.like, self.ids)

    @property
    def T(self) -> TracedArray:
        return self.like(self.ids.T)

    @property
    def mT(self) -> TracedArray:
        return self.like(self.ids.mT)

    @property
    def flat(self) -> TracedArray:
        return self.like(self.ids.reshape(-1))

    @flat.setter
    def flat(self, values: Any) -> None:
        new = self.owner.ids_of(values)
        self.ids[...] = np.resize(new, self.ids.shape) if new.ndim else new

    @property
    def strides(self) -> tuple[int, ...]:
        return tuple(2 * step for step in self.ids.strides)

    @property
    def base(self) -> Any:
        return None if self.ids.base is None else self

    @property
    def real(self) -> TracedArray:
        return self

    @property
    def imag(self) -> Any:
        return np.zeros(self.shape)

    def item(self, *index: Any) -> TracedArray:
        return self.like(np.int32(self.ids.item(*_known_key(index))))

    def tolist(self) -> Any:
        return self if not self.ids.ndim else [self.like(ids).tolist() for ids in self.ids]

    # ---- in NumPy's functions ----

    def _array_ufunc(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """A ufunc that is more than one operation on operands of one shape."""
        return call_ufunc(self.owner, ufunc, method, inputs, kwargs)

    def __array_function__(self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        return call_function(self.owner, func, args, kwargs)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        """An array of objects, one traced number each: NumPy's own loops call their operators and methods."""
        if name := own_function(sys._getframe(1)):
            refuse(
                f"{name} of mmlfast takes numbers, not traced ones",
                "in a function that is traced write NumPy's (np.linalg.solve, np.mean, ...)",
            )
        if dtype is not None and np.dtype(dtype) != object:
            refuse(
                f"an array of {np.dtype(dtype)} cannot hold traced numbers",
                "leave the dtype out (np.asarray(x)), make arrays by np.zeros_like(x) of a traced x, or put their "
                "parts together by np.stack or np.concatenate",
            )
        caller = sys._getframe(1)
        self.owner.objects_line = users_line(caller)
        if caller.f_code is _AS_STRIDED:
            return self._memory_of_objects(caller.f_locals["shape"], caller.f_locals["strides"])
        return self._objects(self.ids)

    def _objects(self, ids: Any) -> Any:
        out = np.empty(ids.shape, object)
        flat = out.reshape(-1)
        for i, number in enumerate(ids.ravel()):
            flat[i] = self.like(number)
        return out

    def _memory_of_objects(self, shape: Any, strides: Any) -> Any:
        """What as_strided makes a view of: all of the memory that this is a part of, which such views may reach."""
        whole = self.ids
        base: Any = whole.base
        while base is not None:  # arrays, or what holds one for NumPy
            whole, base = (base if isinstance(base, np.ndarray) else whole), getattr(base, "base", None)
        first = 2 * (self.ids.__array_interface__["data"][0] - whole.__array_interface__["data"][0])
        of_view = self.shape if shape is None else shape, self.strides if strides is None else strides
        ends = [max(n - 1, 0) * step for n, step in zip(*of_view, strict=True)]
        low, high = (first + sum(limit(0, end) for end in ends) for limit in (min, max))
        if not 0 <= low <= high < 2 * whole.nbytes:
            refuse("as_strided leaves the array", "np.lib.stride_tricks.sliding_window_view cannot")
        memory = self._objects(whole.ravel(order="A"))
        memory.flags.writeable = False  # the tape would not see what is written
        return as_strided(memory[first // 8 :], self.shape, self.strides, writeable=False)

    # ---- what needs numbers ----

    def __bool__(self) -> bool:
        if self.ids.size != 1 and self.owner.decisions is not None:
            raise ValueError(
                "The truth value of an array with more than one element is ambiguous. Use a.any() or a.all()"
            )
        if (
            self.ids.size == 1
            and not is_inside_scipy(sys._getframe(1))
            and (found := self.owner.known_truth(self.ids, self.is_mask)) is not None
        ):
            return bool(found)
        if is_inside_scipy(sys._getframe(1)):
            refuse_scipy()
        refuse(
            "a branch on traced numbers (if, while, and, or, not, max(), min(), sorted(), in) records one side only",
            "write np.where(condition, a, b), np.maximum(a, b), np.minimum(a, b), np.clip, or & | ~ between conditions",
        )

    def __float__(self) -> float:
        decisions = self.owner.decisions
        if self.ids.size == 1 and decisions is not None and not decisions.depends_on_x(self.owner, self.ids):
            return float(decisions.ask(self.owner, self.ids))  # of a parameter: nothing is differentiated by it
        refuse_number("float()")

    def __int__(self) -> int:
        found = self.owner.known(self.owner.unary(OPS["trunc"], self.ids)) if self.ids.size == 1 else None
        if found is None:
            refuse_number("int()")
        return int(found)

    def __complex__(self) -> complex:
        refuse_number("complex()")

    def __index__(self) -> int:
        found = self.owner.known(self.ids) if self.ids.size == 1 else None
        if found is not None and float(found).is_integer():
            return int(found)
        refuse(
            "traced numbers cannot be an index or a count (range, shape, v[i])",
            "an index has to be known when the function is traced; np.where(condition, a, b) chooses by numbers",
        )

    def __round__(self, ndigits: int | None = None) -> Any:
        found = call_function(self.owner, np.round, (self, ndigits or 0), {})
        return found if ndigits is not None else _of_integers(found)

    def __trunc__(self) -> Any:
        return _of_integers(call_ufunc(self.owner, np.trunc, "__call__", (self,), {}))

    def __floor__(self) -> Any:
        return _of_integers(call_ufunc(self.owner, np.floor, "__call__", (self,), {}))

    def __ceil__(self) -> Any:
        return _of_integers(call_ufunc(self.owner, np.ceil, "__call__", (self,), {}))

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TracingError(f"{users_line(sys._getframe(1))}traced numbers cannot be pickled")

    def __copy__(self) -> TracedArray:
        return self.like(self.ids.copy())

    def __deepcopy__(self, memo: Any) -> TracedArray:
        return self.like(self.ids.copy())


def _known_key(key: Any) -> Any:
    """What NumPy can index by: masks and indices that are traced are looked up where they may be."""
    if type(key) is tuple:
        return tuple(map(_known_key, key))
    if not isinstance(key, Traced):
        return key
    if key.is_mask:
        mask = key.owner.known_truth(key.ids, True)
        if mask is None:
            refuse(
                "a traced mask cannot choose entries: how many there are depends on the numbers",
                "write np.where(mask, x, 0), or to assign np.where(mask, new, old) or x[mask] = one number",
            )
        return mask
    if not key.ids.ndim:
        return key.__index__()  # type: ignore[attr-defined]
    found = key.owner.known(key.ids)
    if found is None or not np.array_equal(found, np.rint(found)):
        key.__index__()  # type: ignore[attr-defined]
    return np.asarray(found, np.intp)


# ---- ufuncs and functions ----


def call_ufunc(trace: Trace, ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if method != "__call__":
        return _call_ufunc_method(trace, ufunc, method, inputs, kwargs)
    out, where = None, True
    if kwargs:
        out = kwargs.pop("out", None)
        if out is not None and out[0] is not None and len(out) == 1:
            where = kwargs.pop("where", True)
        meaningful(ufunc, None, kwargs)
    ids = [trace.ids_of(x) for x in inputs]
    if ufunc in OF_MASKS and all(map(is_mask, inputs)):
        rule = OF_MASKS[ufunc]
        if rule is None:
            raise TypeError(f"NumPy has no {ufunc.__name__} of booleans: use ^ or ~, or .astype(float)")
        mask = True
    else:
        rule = rule_of(ufunc)
        mask = ufunc in MASKS
    found = rule(trace, *ids)
    if type(found) is tuple:
        return tuple(TracedArray(trace, x) for x in found)
    result = TracedArray(trace, found, mask)
    if where is not True:
        result = _chosen(trace, where, result, out)
    return result if out is None else _assigned(out, result)


def _chosen(trace: Trace, where: Any, result: TracedArray, out: Any) -> TracedArray:
    """`where=`: elsewhere `out` keeps what it has."""
    kept = trace.ids_of(out[0])
    ids = trace.ternary(OPS["select"], trace.ids_of(where), result.ids, kept)
    if ids.shape != kept.shape:
        raise ValueError(f"out has shape {kept.shape}, the result {ids.shape}")
    return TracedArray(trace, ids, result.is_mask)


def _assigned(out: tuple[Any, ...], result: TracedArray) -> TracedArray:
    """For `out=`, and for `a += b` of an array of numbers a, which cannot hold b."""
    (target,) = out
    if target is None:
        return result
    if not isinstance(target, TracedArray):
        refuse(
            "an array of numbers cannot hold traced numbers (a += b, out=)",
            "write a = a + b, or make it by np.zeros_like(x) of a traced x",
        )
    if target.shape != result.shape:
        raise ValueError(f"out has shape {target.shape}, the result {result.shape}")
    target.ids[...] = result.ids
    return target


def _call_ufunc_method(
    trace: Trace, ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    if method == "reduce" and ufunc in REDUCE:
        kwargs.setdefault("axis", 0)
        return call_function(trace, REDUCE[ufunc], inputs, kwargs)
    if method == "reduce" and ufunc in FOLD:
        op, empty = FOLD[ufunc]
        axis, keepdims = kwargs.pop("axis", 0), kwargs.pop("keepdims", False)
        meaningful(ufunc, None, kwargs)
        return TracedArray(trace, trace.fold(OPS[op], trace.ids_of(inputs[0]), axis, keepdims, empty))
    if method == "accumulate" and ufunc in ACCUMULATE:
        kwargs.setdefault("axis", 0)
        return call_function(trace, ACCUMULATE[ufunc], inputs, kwargs)
    elementwise = ufunc.nin == 2 and ufunc.nout == 1 and ufunc.signature is None and ufunc not in MASKS
    if method in ("reduce", "accumulate") and elementwise:
        return _one_by_one(trace, ufunc, method == "reduce", inputs[0], *inputs[1:], **kwargs)
    if method == "reduceat":
        return _of_slices(trace, ufunc, *inputs, **kwargs)
    if method == "outer" and len(inputs) == 2:
        a, b = (trace.ids_of(x) for x in inputs)
        wide = TracedArray(trace, a.reshape(a.shape + (1,) * b.ndim), is_mask(inputs[0]))
        return call_ufunc(trace, ufunc, "__call__", (wide, TracedArray(trace, b, is_mask(inputs[1]))), kwargs)
    if method == "at" and len(inputs) == 3:
        return _add_at(trace, ufunc, *inputs)
    refuse(f"np.{ufunc.__name__}.{method} cannot be traced", "write it with np.sum, np.cumsum, slices or a loop")


def _one_by_one(
    trace: Trace,
    ufunc: np.ufunc,
    reduce: bool,
    array: Any,
    axis: Any = 0,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
) -> TracedArray:
    """From the first to the last along an axis, each with the result of those before it."""
    meaningful(ufunc, None, {"dtype": dtype, "out": out[0] if type(out) is tuple else out})
    ids, rule = trace.ids_of(array), rule_of(ufunc)
    ids, axis = (ids.reshape(-1), 0) if axis is None else (ids, axis)
    steps = np.moveaxis(ids, axis, 0).copy()
    if not len(steps):
        refuse(f"np.{ufunc.__name__} of no numbers cannot be traced")
    for i in range(1, len(steps)):
        steps[i] = rule(trace, np.array(steps[i - 1]), np.array(steps[i]))
    if not reduce:
        return TracedArray(trace, np.moveaxis(steps, 0, axis).copy())
    last = np.array(steps[-1])
    return TracedArray(trace, np.expand_dims(last, axis) if keepdims else last)


def _of_slices(trace: Trace, ufunc: np.ufunc, array: Any, indices: Any, axis: int = 0, **kwargs: Any) -> TracedArray:
    ids = np.moveaxis(trace.ids_of(array), axis, 0)
    places = [int(i) for i in np.asarray(_known_key(indices))]
    parts = []
    for i, end in zip(places, [*places[1:], len(ids)], strict=True):
        part = TracedArray(trace, ids[i : end if end > i else i + 1])
        parts.append(_call_ufunc_method(trace, ufunc, "reduce", (part,), {}).ids)
    return TracedArray(trace, np.moveaxis(np.stack(parts), 0, axis).copy())


def _add_at(trace: Trace, ufunc: np.ufunc, target: Any, index: Any, values: Any) -> None:
    """ufunc.at: every index counts, one after the other."""
    index = _known_key(index)
    ids = writable_ids(target)
    rule = rule_of(ufunc)
    places = np.arange(ids.size).reshape(ids.shape)[index]
    new = np.broadcast_to(trace.ids_of(values), np.shape(places))
    for place, value in zip(np.ravel(places), new.ravel(), strict=True):
        where = np.unravel_index(int(place), ids.shape)
        ids[where] = rule(trace, np.array(ids[where]), np.array(value))[()]


_INSTEAD = {
    "histogram": "np.bincount with weights= can be traced",
}


def call_function(trace: Trace, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    handler = FUNCTIONS.get(function)
    if handler is None:
        name = getattr(function, "__name__", str(function))
        refuse(
            f"the tape has no {name_of(function)}",
            _INSTEAD.get(name, "autodiff.primitive makes it known, with a derivative of your own"),
        )
    if kwargs and handler.__name__ != "moved":
        kwargs = meaningful(function, handler, kwargs)
    return _wrapped(trace, handler(trace, *args, **kwargs))


def _wrapped(trace: Trace, result: Any) -> Any:
    kind = type(result)
    if kind is np.ndarray and result.dtype == np.int32:
        return TracedArray(trace, result)
    if kind is Mask:
        return TracedArray(trace, result.ids, True)
    if kind is list or kind is tuple:
        return kind(_wrapped(trace, x) for x in result)
    if isinstance(result, tuple):
        return kind(*(_wrapped(trace, x) for x in result))
    if kind is np.int32:
        return TracedArray(trace, np.array(result))
    return result
