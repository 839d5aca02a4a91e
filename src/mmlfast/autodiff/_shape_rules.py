"""Functions that only move numbers: NumPy's own function, of the ids."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mmlfast.autodiff._errors import refuse
from mmlfast.autodiff._registry import FUNCTIONS, Mask, all_ids, is_mask, mask_like, rule, since
from mmlfast.autodiff._trace import OPS, Ids, Trace, Traced


def _moved(result: Any, mask: bool) -> Any:
    if isinstance(result, list | tuple):
        return [_moved(x, mask) for x in result]
    result = np.array(result, np.int32) if not isinstance(result, np.ndarray) else result
    return Mask(result) if mask else result


def known_whole_numbers(x: Any) -> Any:
    """Shapes, axes and counts, where they are traced."""
    if type(x) is tuple or type(x) is list:
        return type(x)(map(known_whole_numbers, x))
    if not isinstance(x, Traced):
        return x
    found = x.owner.known(x.ids)
    if found is None or not np.array_equal(found, np.rint(found)):
        return x.__index__()  # type: ignore[attr-defined]
    return found.astype(np.intp) if found.ndim else int(found)


def known_mask(x: Any) -> Any:
    if not isinstance(x, Traced):
        return x
    found = x.owner.known_truth(x.ids, x.is_mask)
    if found is None:
        refuse(
            "a traced mask cannot choose entries: how many there are depends on the numbers",
            "write np.where(mask, x, 0)",
        )
    return found


def _moves_one(function: Callable[..., Any]) -> Callable[..., Any]:
    def moved(t: Trace, a: Any, *args: Any, **kwargs: Any) -> Any:
        args = tuple(known_whole_numbers(x) for x in args)
        kwargs = {name: known_whole_numbers(x) for name, x in kwargs.items()}
        return _moved(function(t.ids_of(a), *args, **kwargs), is_mask(a))

    return moved


def _moves_sequence(function: Callable[..., Any]) -> Callable[..., Any]:
    def moved(t: Trace, arrays: Any, *args: Any, **kwargs: Any) -> Any:
        arrays = list(arrays)
        return _moved(function(all_ids(t, arrays), *args, **kwargs), all(map(is_mask, arrays)))

    return moved


def _moves_many(function: Callable[..., Any]) -> Callable[..., Any]:
    def moved(t: Trace, *arrays: Any, **kwargs: Any) -> Any:
        return _moved(function(*all_ids(t, arrays), **kwargs), all(map(is_mask, arrays)))

    return moved


_ONE = (
    "reshape ravel transpose swapaxes moveaxis rollaxis squeeze expand_dims roll flip fliplr flipud rot90 tile repeat "
    "broadcast_to take diagonal take_along_axis delete split array_split hsplit vsplit dsplit resize copy unstack "
    "matrix_transpose"
)
for _name in _ONE.split():
    if (_function := since(_name)) is not None:
        FUNCTIONS[_function] = _moves_one(_function)
for _name in ["concatenate", "stack", "hstack", "vstack", "dstack", "column_stack"]:
    FUNCTIONS[getattr(np, _name)] = _moves_sequence(getattr(np, _name))
for _name in ["broadcast_arrays", "meshgrid", "atleast_1d", "atleast_2d", "atleast_3d"]:
    FUNCTIONS[getattr(np, _name)] = _moves_many(getattr(np, _name))
for _function in (np.fft.fftshift, np.fft.ifftshift, np.lib.stride_tricks.sliding_window_view):
    FUNCTIONS[_function] = _moves_one(_function)
FUNCTIONS[np.linalg.matrix_transpose] = _moves_one(np.linalg.matrix_transpose)
FUNCTIONS[np.linalg.diagonal] = _moves_one(np.linalg.diagonal)


@rule(np.shape)
def _shape(t: Trace, a: Any) -> tuple[int, ...]:
    return tuple(t.ids_of(a).shape)


@rule(np.ndim)
def _ndim(t: Trace, a: Any) -> int:
    return t.ids_of(a).ndim


@rule(np.size)
def _size(t: Trace, a: Any, axis: Any = None) -> int:
    ids = t.ids_of(a)
    return ids.size if axis is None else int(ids.shape[axis])


@rule(np.result_type, np.common_type)
def _result_type(t: Trace, *arrays: Any) -> np.dtype[Any]:
    return np.dtype(np.float64)


@rule(np.tril_indices_from)
def _tril_indices_from(t: Trace, arr: Any, k: int = 0) -> Any:
    return tuple(x.astype(np.intp) for x in np.tril_indices(t.ids_of(arr).shape[0], k, t.ids_of(arr).shape[1]))


@rule(np.triu_indices_from)
def _triu_indices_from(t: Trace, arr: Any, k: int = 0) -> Any:
    return tuple(x.astype(np.intp) for x in np.triu_indices(t.ids_of(arr).shape[0], k, t.ids_of(arr).shape[1]))


@rule(np.diag_indices_from)
def _diag_indices_from(t: Trace, arr: Any) -> Any:
    return np.diag_indices(t.ids_of(arr).shape[0], t.ids_of(arr).ndim)


@rule(np.may_share_memory, np.shares_memory)
def _shares_memory(t: Trace, a: Any, b: Any, max_work: Any = None) -> bool:
    return np.shares_memory(t.ids_of(a), t.ids_of(b))


@rule(np.isreal)
def _isreal(t: Trace, x: Any) -> Any:
    return np.ones(t.ids_of(x).shape, bool)


@rule(np.iscomplex)
def _iscomplex(t: Trace, x: Any) -> Any:
    return np.zeros(t.ids_of(x).shape, bool)


@rule(np.einsum_path)
def _einsum_path(t: Trace, *operands: Any, optimize: Any = "greedy", einsum_call: bool = False) -> Any:
    shapes: list[Any] = [np.empty(t.ids_of(x).shape) if isinstance(x, Traced) else x for x in operands]
    return np.einsum_path(*shapes, optimize=optimize)


@rule(np.iscomplexobj)
@rule(np.iscomplexobj)
def _iscomplexobj(t: Trace, x: Any) -> bool:
    return False


@rule(np.isrealobj)
def _isrealobj(t: Trace, x: Any) -> bool:
    return True


@rule(np.real)
def _real(t: Trace, val: Any) -> Any:
    return mask_like(val, t.ids_of(val).copy())


@rule(np.imag)
def _imag(t: Trace, val: Any) -> Any:
    return np.zeros(t.ids_of(val).shape)


# ---- new arrays ----


def filled(t: Trace, like: Any, value: Any, shape: Any) -> Ids:
    out = np.empty(t.ids_of(like).shape if shape is None else shape, np.int32)
    out[...] = t.ids_of(value)
    return out


@rule(np.zeros_like, np.empty_like)
def _zeros_like(t: Trace, a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None) -> Any:
    ids = filled(t, a, 0.0, shape)
    mask = is_mask(a) if dtype is None else np.dtype(dtype) == np.bool_
    return Mask(ids) if mask else ids


@rule(np.ones_like)
def _ones_like(t: Trace, a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None) -> Any:
    ids = filled(t, a, 1.0, shape)
    mask = is_mask(a) if dtype is None else np.dtype(dtype) == np.bool_
    return Mask(ids) if mask else ids


@rule(np.full_like)
def _full_like(
    t: Trace, a: Any, fill_value: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None
) -> Ids:
    return filled(t, a, fill_value, shape)


@rule(np.zeros, np.empty)
def _zeros(t: Trace, shape: Any, dtype: Any = float, order: str = "C") -> Ids:
    """For np.zeros(n, like=x)."""
    return filled(t, 0.0, 0.0, shape)


@rule(np.ones)
def _ones(t: Trace, shape: Any, dtype: Any = None, order: str = "C") -> Ids:
    return filled(t, 0.0, 1.0, shape)


@rule(np.full)
def _full(t: Trace, shape: Any, fill_value: Any, dtype: Any = None, order: str = "C") -> Ids:
    return filled(t, 0.0, fill_value, shape)


@rule(np.array, np.asarray, np.asanyarray, np.ascontiguousarray)
def _array(t: Trace, a: Any, dtype: Any = None, copy: Any = None, order: Any = None) -> Any:
    """For np.array([...], like=x)."""
    return mask_like(a, t.ids_of(a).copy())


# ---- parts of matrices ----


@rule(np.diag)
def _diag(t: Trace, v: Any, k: int = 0) -> Ids:
    ids = t.ids_of(v)
    return diagonal_matrix(t, ids, k) if ids.ndim == 1 else np.diag(ids, k).copy()


def diagonal_matrix(t: Trace, ids: Ids, k: int) -> Ids:
    n = len(ids) + abs(k)
    out = filled(t, 0.0, 0.0, (n, n))
    np.einsum("ii->i", out[max(-k, 0) : len(ids) + max(-k, 0), max(k, 0) : len(ids) + max(k, 0)])[...] = ids
    return out


@rule(np.diagflat)
def _diagflat(t: Trace, v: Any, k: int = 0) -> Ids:
    return diagonal_matrix(t, t.ids_of(v).ravel(), k)


def _below(ids: Ids, k: int) -> Any:
    return np.tri(ids.shape[-2], ids.shape[-1], k=k, dtype=bool)


@rule(np.triu)
def _triu(t: Trace, m: Any, k: int = 0) -> Ids:
    ids = t.ids_of(m)
    return np.where(_below(ids, k - 1), t.scalar(0.0), ids)


@rule(np.tril)
def _tril(t: Trace, m: Any, k: int = 0) -> Ids:
    ids = t.ids_of(m)
    return np.where(_below(ids, k), ids, t.scalar(0.0))


@rule(np.pad)
def _pad(t: Trace, array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Ids:
    ids = t.ids_of(array)
    if mode == "constant":
        value = kwargs.pop("constant_values", 0.0)
        return np.pad(ids, pad_width, mode, constant_values=t.ids_of(value), **kwargs)
    if mode not in ("edge", "reflect", "symmetric", "wrap") or kwargs:
        refuse(f"np.pad with mode {mode!r}{' and options' if kwargs else ''} cannot be traced", "use np.concatenate")
    return np.pad(ids, pad_width, mode)


@rule(np.append)
def _append(t: Trace, arr: Any, values: Any, axis: Any = None) -> Ids:
    return np.append(t.ids_of(arr), t.ids_of(values), axis)


@rule(np.insert)
def _insert(t: Trace, arr: Any, obj: Any, values: Any, axis: Any = None) -> Ids:
    return np.insert(t.ids_of(arr), obj, t.ids_of(values), axis)


@rule(np.compress)
def _compress(t: Trace, condition: Any, a: Any, axis: Any = None) -> Ids:
    return chosen(t, condition, a, axis)


def chosen(t: Trace, condition: Any, a: Any, axis: Any) -> Ids:
    return np.compress(known_mask(condition), t.ids_of(a), axis)


@rule(np.extract)
def _extract(t: Trace, condition: Any, arr: Any) -> Ids:
    return chosen(t, np.ravel(known_mask(condition)), arr, None)


@rule(np.block)
def _block(t: Trace, arrays: Any) -> Ids:
    def ids(x: Any) -> Any:
        return [ids(y) for y in x] if isinstance(x, list) else t.ids_of(x)

    return np.asarray(np.block(ids(arrays)))


@rule(np.fill_diagonal)
def _fill_diagonal(t: Trace, a: Any, val: Any, wrap: bool = False) -> None:
    np.fill_diagonal(writable_ids(a), t.ids_of(val), wrap)


@rule(np.copyto)
def _copyto(t: Trace, dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    ids = writable_ids(dst)
    new = t.ids_of(src)
    if isinstance(where, Traced):
        ids[...] = t.ternary(OPS["select"], t.ids_of(where), new, ids)
    else:
        np.copyto(ids, new, where=where)


def writable_ids(a: Any) -> Ids:
    if not isinstance(a, Traced):
        refuse(
            "an array of numbers cannot hold traced numbers",
            "make it by np.zeros_like(x) of a traced x, or put its parts together by np.stack or np.concatenate",
        )
    return a.ids
