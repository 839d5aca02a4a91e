"""TracedArray with its operators and methods."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from mmlfast import _core
from mmlfast.autodiff._errors import refuse
from mmlfast.autodiff._registry import is_mask
from mmlfast.autodiff._trace import OPS, Traced
from mmlfast.autodiff._traced_array import TracedArray, call_function, call_ufunc
from mmlfast.autodiff._ufunc_rules import UFUNCS

__all__ = ["TracedArray"]

# ---- operators ----


def _arithmetic(op: int, name: str, of_masks: int | None, swapped: bool = False) -> Callable[[Any, Any], Any]:
    """An operator of two operands; `of_masks` is what NumPy does for two arrays of booleans."""

    def arithmetic(self: TracedArray, other: Any) -> Any:
        trace = self.owner
        if isinstance(other, Traced):
            if other.owner is not trace:
                trace.ids_of(other)
            b = other.ids
        else:
            if other is None or isinstance(other, str | dict):
                return NotImplemented
            b = trace.ids_of(other)
        first, second = (b, self.ids) if swapped else (self.ids, b)
        if self.is_mask and is_mask(other):
            if of_masks is None:
                raise TypeError(f"NumPy has no {name} of booleans: use ^ or ~, or .astype(float)")
            return TracedArray(trace, trace.binary(of_masks, first, second), of_masks != op or of_masks in _LOGICAL)
        return TracedArray(trace, trace.binary(op, first, second))

    return arithmetic


_LOGICAL = {OPS["logical_and"], OPS["logical_or"]}


def _by_ufunc(ufunc: np.ufunc, swapped: bool = False) -> Callable[[Any, Any], Any]:
    def by_ufunc(self: TracedArray, other: Any) -> Any:
        if other is None or isinstance(other, str | dict):
            return NotImplemented
        return call_ufunc(self.owner, ufunc, "__call__", (other, self) if swapped else (self, other), {})

    return by_ufunc


def _in_place(combine: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """`a += b` changes arrays, and so all views of them, but makes new scalars."""

    def assign(self: TracedArray, other: Any) -> Any:
        result = combine(self, other)
        if result is NotImplemented or not self.ids.ndim:
            return result
        if result.shape != self.shape:
            raise ValueError(f"non-broadcastable output operand with shape {self.shape} for a result of {result.shape}")
        if result.is_mask != self.is_mask:
            refuse("booleans cannot be changed into numbers in place", "write a = a + b instead of a += b")
        self.ids[...] = result.ids
        return self

    return assign


def _compare(op: int, swapped: bool = False) -> Callable[[Any, Any], Any]:
    def compare(self: TracedArray, other: Any) -> Any:
        if other is None or isinstance(other, str | dict):
            return NotImplemented
        trace = self.owner
        b = trace.ids_of(other)
        return TracedArray(trace, trace.binary(op, b, self.ids) if swapped else trace.binary(op, self.ids, b), True)

    return compare


def _unary_method(ufunc: np.ufunc) -> Callable[[Any], Any]:
    return lambda self: call_ufunc(self.owner, ufunc, "__call__", (self,), {})


def _add_operators() -> None:
    symbols: dict[str, tuple[int | np.ufunc, int | None]] = {
        "add": (OPS["add"], OPS["logical_or"]),
        "sub": (OPS["subtract"], None),
        "mul": (OPS["multiply"], OPS["logical_and"]),
        "truediv": (OPS["divide"], OPS["divide"]),
        "pow": (OPS["power"], OPS["power"]),
        "floordiv": (np.floor_divide, None),
        "mod": (np.remainder, None),
        "matmul": (np.matmul, None),
        "and": (np.bitwise_and, None),
        "or": (np.bitwise_or, None),
        "xor": (np.bitwise_xor, None),
    }
    for name, (what, of_masks) in symbols.items():
        if isinstance(what, int):
            plain = _arithmetic(what, name, of_masks)
            swapped = _arithmetic(what, name, of_masks, swapped=True)
        else:
            plain, swapped = _by_ufunc(what), _by_ufunc(what, swapped=True)
        if f"__{name}__" in vars(_core.TracedNumbers):  # which asks for these in the cases that it leaves
            setattr(TracedArray, f"_{name}", plain)
            setattr(TracedArray, f"_r{name}", swapped)
            plain = getattr(operator, name)
        else:
            setattr(TracedArray, f"__{name}__", plain)
            setattr(TracedArray, f"__r{name}__", swapped)
        setattr(TracedArray, f"__i{name}__", _in_place(plain))
    for name, op, turned in (
        ("lt", "less", False),
        ("le", "less_equal", False),
        ("gt", "less", True),
        ("ge", "less_equal", True),
        ("eq", "equal", False),
        ("ne", "not_equal", False),
    ):
        setattr(TracedArray, f"__{name}__", _compare(OPS[op], turned))
    TracedArray._neg = _unary_method(np.negative)  # type: ignore[attr-defined]
    for name, ufunc in (("pos", np.positive), ("abs", np.absolute), ("invert", np.invert)):
        setattr(TracedArray, f"__{name}__", _unary_method(ufunc))
    setattr(TracedArray, "__divmod__", _by_ufunc(np.divmod))  # noqa: B010
    setattr(TracedArray, "__rdivmod__", _by_ufunc(np.divmod, swapped=True))  # noqa: B010


_add_operators()


# ---- methods ----


def _as_method(function: Callable[..., Any]) -> Callable[..., Any]:
    """x.sum(axis=0) is np.sum(x, axis=0); np.sin of an array of objects calls x.sin()."""

    def method(self: TracedArray, *args: Any, **kwargs: Any) -> Any:
        if isinstance(function, np.ufunc):
            return call_ufunc(self.owner, function, "__call__", (self, *args), kwargs)
        return call_function(self.owner, function, (self, *args), kwargs)

    return method


def _reshape(self: TracedArray, *shape: Any, **kwargs: Any) -> TracedArray:
    return self.like(self.ids.reshape(*shape, **kwargs))


def _transpose(self: TracedArray, *axes: Any) -> TracedArray:
    return self.like(self.ids.transpose(*axes))


def _flatten(self: TracedArray, order: Any = "C") -> TracedArray:
    return self.like(self.ids.flatten(order))


def _fill(self: TracedArray, value: Any) -> None:
    self[...] = value


def _changes_itself(function: Callable[..., Any]) -> Callable[..., None]:
    """x.sort() puts x itself in order; np.sort(x) gives another array."""

    def method(self: TracedArray, *args: Any, **kwargs: Any) -> None:
        self.ids[...] = call_function(self.owner, function, (self, *args), kwargs).ids

    return method


def _put(self: TracedArray, indices: Any, values: Any, mode: Any = "raise") -> None:
    call_function(self.owner, np.put, (self, indices, values, mode), {})


def _view(self: TracedArray, *args: Any, **kwargs: Any) -> TracedArray:
    if args or kwargs:
        refuse("x.view of another type cannot be traced", "write x.astype(...)")
    return self.like(self.ids[...])


def _astype(self: TracedArray, dtype: Any, **kwargs: Any) -> TracedArray:
    kind = np.dtype(dtype).kind
    if kind == "b":
        return (
            self
            if self.is_mask
            else TracedArray(self.owner, self.owner.binary(OPS["not_equal"], self.ids, self.owner.scalar(0.0)), True)
        )
    if kind in "iu" and not self.is_mask:
        return self.like(self.owner.unary(OPS["trunc"], self.ids))
    if kind not in "iuf":
        refuse(f"traced numbers cannot become {np.dtype(dtype)}", "a tape computes in float64")
    return TracedArray(self.owner, self.ids.copy())


def _add_methods() -> None:
    for name in [
        "sum",
        "prod",
        "mean",
        "var",
        "std",
        "max",
        "min",
        "ptp",
        "all",
        "any",
        "cumsum",
        "cumprod",
        "clip",
        "round",
        "dot",
        "trace",
        "ravel",
        "swapaxes",
        "squeeze",
        "repeat",
        "take",
        "diagonal",
        "copy",
        "compress",
        "argsort",
        "choose",
        "argmax",
        "argmin",
        "nonzero",
        "searchsorted",
    ]:
        setattr(TracedArray, name, _as_method(getattr(np, name)))
    for ufunc in UFUNCS:
        if ufunc.nin <= 2 and ufunc.signature is None:
            setattr(TracedArray, ufunc.__name__, _as_method(ufunc))
    TracedArray.conj = _as_method(np.conjugate)  # type: ignore[attr-defined]
    for name in ("sort", "partition"):
        setattr(TracedArray, name, _changes_itself(getattr(np, name)))
    for function in (_reshape, _transpose, _flatten, _fill, _astype, _put, _view):
        setattr(TracedArray, function.__name__[1:], function)


_add_methods()
