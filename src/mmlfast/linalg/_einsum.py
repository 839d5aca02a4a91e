"""`einsum`: NumPy's, with the contractions that are batches of products done by the kernel `matmul`."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from mmlfast import _core
from mmlfast._common.arrays import as_array, as_float, check_real, float_dtype
from mmlfast._common.labels import check_labels, labelled
from mmlfast.linalg._matmul import product

Array = np.ndarray[Any, Any]

# In this order, as NumPy has it: of the numbers of a sublist, and of the letters of an implicit output.
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

_FLOATS = frozenset("fd")


def einsum(
    subscripts: Any,
    *operands: Any,
    out: Array | None = None,
    dtype: Any = None,
    order: str = "K",
    casting: str = "safe",
    optimize: Any = True,
) -> Any:
    """Sums of products of arrays in Einstein's notation.

    Parameters
    ----------
    subscripts : str or array_like
        ``"bij,bjk->bik"``, with everything that `numpy.einsum` knows: implicit output, ellipsis, repeated letters. Or
        the first operand of the form ``einsum(a, [0, 1], b, [1, 2], [0, 2])``.
    *operands : array_like
        The arrays.
    out : ndarray, optional
        Where to put the result; it may be an operand.
    dtype, order, casting : optional
        As for `numpy.einsum`. An integer `dtype` (or `out`) asks for integers: exact, or OverflowError.
    optimize : bool, str or list
        In which order to contract three operands or more, see `numpy.einsum_path`; False contracts all at once.

    Returns
    -------
    scalar or ndarray
        The result. Integers and booleans are multiplied as float64, as in `matmul` and `vecdot`, where NumPy's wrap
        around; what only rearranges one operand (``"ij->ji"``, ``"ii->i"``) keeps its dtype and is a view.

    Raises
    ------
    ValueError
        If the subscripts are not well formed or the shapes do not fit them, an option is none of those that there are,
        or two operands have labels (pandas, xarray) that differ along an axis of the same letter.
    TypeError
        If the numbers are complex or no numbers at all, or an integer has digits that float64 would round.
    OverflowError
        If integers are asked for by `dtype` or `out`, and one does not fit.

    Notes
    -----
    A contraction of two arrays of one real float dtype over one index is a batch of products of matrices and vectors,
    and goes to the kernel of `matmul` by transposed views, without copies of the operands. Everything else goes to
    `numpy.einsum`.

    Examples
    --------
    >>> import numpy as np
    >>> import mmlfast as mf
    >>> a = np.arange(12.0).reshape(2, 2, 3)
    >>> mf.linalg.einsum("bij,bkj->bik", a, a)
    array([[[  5.,  14.],
            [ 14.,  50.]],
    <BLANKLINE>
           [[149., 212.],
            [212., 302.]]])
    """
    if isinstance(subscripts, str):
        text = subscripts.replace(" ", "")
        arrays = [x if type(x) is np.ndarray else as_array(x, f"operand {k}") for k, x in enumerate(operands)]
        if labelled(*operands):
            _check_axis_labels(text, operands)
    else:
        text, arrays = _from_sublists(subscripts, *operands)
    if optimize is not True:
        _check_optimize(optimize)
    if out is not None or dtype is not None or order != "K" or casting != "safe":
        dtype = _checked_options(out, dtype, order, casting)
        if out is not None and any(type(x) is np.ndarray and np.may_share_memory(out, x) for x in arrays):
            out[...] = einsum(text, *arrays, dtype=dtype, casting=casting, optimize=optimize)
            return out
        if dtype is not None and dtype.kind in "iu":
            return _scalar(_integers(text, arrays, dtype, out, order, casting, optimize), out)
    if not {x.dtype.char for x in arrays} <= _FLOATS:
        arrays = _as_floats(text, arrays)
    if out is not None and dtype is None and casting != "unsafe":
        result_type = np.result_type(*arrays)
        if not np.can_cast(result_type, out.dtype, "same_kind"):
            raise TypeError(f"einsum: out of dtype {out.dtype} cannot hold a result of dtype {result_type}")
    if dtype is None and order in ("K", "A", "C") and len(arrays) >= 2:
        labels = _labels(text, tuple(x.ndim for x in arrays))
        if labels is not None:
            result = _pair(labels, arrays, out) if len(arrays) == 2 else _chain(text, labels, arrays, out, optimize)
            if result is not None:
                return _scalar(result, out)
    return _scalar(_numpys(text, arrays, out=out, optimize=optimize, dtype=dtype, order=order, casting=casting), out)


def _checked_options(out: Any, dtype: Any, order: Any, casting: Any) -> Any:
    """The dtype that is asked for, by name or by an `out` of integers; what NumPy would stumble over is refused."""
    for name, value, allowed in (("order", order, _ORDERS), ("casting", casting, _CASTINGS)):
        if not isinstance(value, str):
            raise TypeError(f"einsum: {name} must be one of {', '.join(allowed)}, got {value!r}")
        if value not in allowed:
            raise ValueError(f"einsum: {name} must be one of {', '.join(allowed)}, got {value!r}")
    if out is not None and not isinstance(out, np.ndarray):
        raise TypeError(f"einsum: out must be an array, got {type(out).__name__}")
    if dtype is None:
        return out.dtype if out is not None and out.dtype.kind in "iu" else None
    dtype = np.dtype(dtype)
    if dtype.kind == "c":
        raise TypeError(f"einsum: the operands must hold real numbers, and dtype is {dtype}")
    return dtype


def _check_optimize(optimize: Any) -> None:
    way_out = f"einsum: optimize must be True, False, 'greedy', 'optimal' or a path, got {optimize!r}"
    if not isinstance(optimize, bool | np.bool_ | str | list | tuple):
        raise TypeError(way_out)
    if isinstance(optimize, str) and optimize not in ("greedy", "optimal"):
        raise ValueError(way_out)


_ORDERS = ("C", "F", "A", "K")
_CASTINGS = ("no", "equiv", "safe", "same_kind", "unsafe")


def _as_floats(text: str, arrays: list[Any]) -> list[Any]:
    """Operands as float64 where they are not floats; one that is only rearranged as it is."""
    for k, x in enumerate(arrays):
        check_real(x, f"einsum: operand {k}")
    if len(arrays) == 1:
        labels = _labels(text, (arrays[0].ndim,))
        if labels is None or set(labels[0]) == set(labels[1]):
            return arrays
    # Dask converts when it computes.
    return [
        as_float(x, f"operand {k}") if type(x) is np.ndarray else x.astype(float_dtype(x)) for k, x in enumerate(arrays)
    ]


def _integers(text: str, arrays: list[Any], dtype: Any, out: Any, order: str, casting: str, optimize: Any) -> Any:
    """Sums of products of integers, which wrap around on the way and are exact in the end; or OverflowError."""
    if casting == "unsafe" or all(x.dtype.kind == "b" for x in arrays):
        return _numpys(text, arrays, out=out, dtype=dtype, order=order, casting=casting, optimize=optimize)
    if any(x.dtype.kind == "f" for x in arrays):
        raise TypeError(f"einsum: operands of {np.result_type(*arrays)} do not fit dtype or out, which is {dtype}")
    result = np.asarray(_numpys(text, arrays, dtype=dtype, order=order, casting=casting, optimize=optimize))
    bound = _numpys(text, [np.abs(np.asarray(x, np.float64)) for x in arrays], optimize=optimize)
    if not np.all(bound < float(np.iinfo(dtype).max) * (1 - 1e-6)):
        exact = np.einsum(text, *(np.asarray(x).astype(object) for x in arrays), optimize=False)
        if np.any(exact != result.astype(object)):
            raise OverflowError(f"einsum: the result does not fit {dtype}: without dtype and out it is float64")
    if out is None:
        return result
    if out.shape != result.shape:
        raise ValueError(f"einsum: out must have shape {result.shape}, got {out.shape}")
    out[...] = result
    return out


def _numpys(text: str, arrays: list[Any], **options: Any) -> Any:
    """`numpy.einsum` without its warnings, and with errors in the words of the caller."""
    try:
        with np.errstate(all="ignore"):
            return np.einsum(text, *arrays, **options)
    except (ValueError, IndexError, KeyError, AttributeError) as error:
        _check_counts(text, arrays)
        shapes = ", ".join(str(x.shape) for x in arrays)
        raise ValueError(f"einsum: {error} (subscripts {text!r}, operands of shapes {shapes})") from None


def _check_counts(text: str, arrays: list[Any]) -> None:
    """ValueError if the subscripts name another number of operands, or of axes of one, than there are."""
    head = text.partition("->")[0].split(",")
    if text.count("->") > 1 or not set(text) <= set(LETTERS + ".,->"):
        return
    if len(head) != len(arrays) or not arrays:
        raise ValueError(f"einsum: the subscripts {text!r} are for {len(head)} operands, got {len(arrays)}")
    for k, (labels, x) in enumerate(zip(head, arrays, strict=True)):
        if "." not in labels and len(labels) != x.ndim:
            raise ValueError(
                f"einsum: the subscripts {labels!r} name {len(labels)} axes of operand {k}, which has {x.ndim}: "
                f"its shape is {x.shape}"
            )


def _check_axis_labels(text: str, operands: Sequence[Any]) -> None:
    """ValueError if two operands have different labels along an axis of the same letter."""
    head = text.partition("->")[0].split(",")
    if "." not in text and len(head) == len(operands):
        named = zip(head, operands, strict=True)
        check_labels("einsum", **{f"operand {k}": (x, labels, labels) for k, (labels, x) in enumerate(named)})


def _scalar(result: Any, out: Array | None) -> Any:
    """Without dimensions always a scalar: NumPy returns an array in some cases."""
    return result if out is not None or result.ndim else result[()]


def _from_sublists(*arguments: Any) -> tuple[str, list[Any]]:
    """The form ``a, [0, 1], b, [1, 2], [0, 2]`` as a string and the operands."""
    pairs, last = arguments[: len(arguments) // 2 * 2], arguments[len(arguments) // 2 * 2 :]

    def letters(sublist: Any) -> str:
        try:
            numbers = [s if s is Ellipsis else operator.index(s) for s in sublist]
        except TypeError:
            raise TypeError(
                f"einsum: subscripts are a string, or follow each operand as a list of integers; got {sublist!r:.60}"
            ) from None
        for s in numbers:
            if s is not Ellipsis and not 0 <= s < len(LETTERS):
                raise ValueError(f"einsum: a subscript must be from 0 to {len(LETTERS) - 1}, got {s}")
        return "".join("..." if s is Ellipsis else LETTERS[s] for s in numbers)

    text = ",".join(letters(sublist) for sublist in pairs[1::2])
    return text + "".join("->" + letters(sublist) for sublist in last), [
        as_array(x, f"operand {k}") for k, x in enumerate(pairs[::2])
    ]


@lru_cache(maxsize=512)
def _labels(text: str, n_dimensions: tuple[int, ...]) -> tuple[str, ...] | None:
    """One letter per axis for each operand and the result; None if that is for NumPy to judge."""
    head, arrow, tail = text.partition("->")
    inputs = head.split(",")
    free = [c for c in LETTERS if c not in text]
    if len(inputs) != len(n_dimensions) or "-" in head or ">" in head:
        return None
    hidden = [n - len(labels.replace("...", "")) for labels, n in zip(inputs, n_dimensions, strict=True)]
    most = max(h if "..." in labels else 0 for labels, h in zip(inputs, hidden, strict=True))
    if most > len(free):
        return None
    ellipsis = "".join(free[:most])
    full = []
    for labels, h in zip(inputs, hidden, strict=True):
        if labels.count("...") > 1 or h < 0 or (h > 0 and "..." not in labels):
            return None
        full.append(labels.replace("...", ellipsis[most - h :]))
    if arrow:
        result = tail.replace("...", ellipsis) if tail.count("...") <= 1 else "."
    else:
        named = "".join(inputs).replace("...", "")
        result = ellipsis + "".join(sorted(c for c in set(named) if named.count(c) == 1))
    every = "".join(full)
    if not set(every + result) <= set(LETTERS) or len(set(result)) < len(result) or not set(result) <= set(every):
        return None
    return (*full, result)


class _Plan(NamedTuple):
    """How the axes of two operands and of the result become those of a product of stacks of matrices."""

    left: tuple[int, ...]
    left_index: tuple[Any, ...]
    right: tuple[int, ...]
    right_index: tuple[Any, ...]
    result: tuple[int, ...]
    result_index: tuple[Any, ...]
    dots: bool


@lru_cache(maxsize=512)
def _plan(left: str, right: str, result: str) -> _Plan | None:
    """None if this is not a product over one index."""
    both, everywhere = set(left) & set(right), set(left) | set(right)
    summed = everywhere - set(result)
    if len(set(left)) < len(left) or len(set(right)) < len(right) or len(summed) != 1 or not summed <= both:
        return None
    (k,) = summed
    # Of the indices of one operand alone, the last one is a side of the matrices; the others are batch axes.
    rows = [c for c in result if c in left and c not in right][-1:]
    cols = [c for c in result if c in right and c not in left][-1:]
    batch = [c for c in result if c not in (*rows, *cols)]

    def view(labels: str, core: list[str | None]) -> tuple[tuple[int, ...], tuple[Any, ...]]:
        wanted: list[str | None] = [*batch, *core]
        present = [c for c in wanted if c is not None and c in labels]
        index = (..., *(slice(None) if c is not None and c in labels else None for c in wanted))  # ...: never a scalar
        return tuple(labels.index(c) for c in present), index

    dots = not rows and not cols
    row: list[str | None] = [] if dots else [rows[0] if rows else None]
    col: list[str | None] = [] if dots else [cols[0] if cols else None]
    return _Plan(*view(left, [*row, k]), *view(right, [k, *col]), *view(result, [*row, *col]), dots)


def _pair(labels: tuple[str, ...], arrays: list[Any], out: Array | None) -> Any:
    """Two operands by the kernel; None if this is not for it."""
    (left, right, result), (a, b) = labels, arrays
    plan = _plan(left, right, result)
    dtype = a.dtype
    if plan is None or type(a) is not np.ndarray or type(b) is not np.ndarray:
        return None
    if dtype != b.dtype or dtype.char not in "fd" or (out is not None and out.dtype != dtype):
        return None
    sizes = dict(zip(left, a.shape, strict=True))
    for c, n in zip(right, b.shape, strict=True):
        known = sizes.setdefault(c, n)
        if known != n and (1 not in (known, n) or c not in result):
            return None
        if known == 1:
            sizes[c] = n
    shape = tuple(sizes[c] for c in result)
    target = np.empty(shape, dtype.type) if out is None else out
    if target.shape != shape:
        raise ValueError(f"einsum: out must have shape {shape}, got {target.shape}")
    x, y = a.transpose(plan.left)[plan.left_index], b.transpose(plan.right)[plan.right_index]
    z = target.transpose(plan.result)[plan.result_index]
    if plan.dots:
        _core.vecdot(x, y, out=z)
    else:
        product(x, y, z)
    return target


def _chain(text: str, labels: tuple[str, ...], arrays: list[Any], out: Array | None, optimize: Any) -> Any:
    """Three operands or more: two at a time along NumPy's path."""
    if optimize is False:
        return None
    try:
        path = np.einsum_path(text, *arrays, optimize=optimize)[0][1:]
    except (KeyError, IndexError) as error:
        raise ValueError(f"einsum: optimize={optimize!r} is no path for {len(arrays)} operands ({error})") from None
    operands = list(zip(labels[:-1], arrays, strict=True))
    for step in path:
        chosen = [operands.pop(position) for position in sorted(step, reverse=True)][::-1]
        later = set("".join(name for name, _ in operands)) | set(labels[-1])
        names, values = [name for name, _ in chosen], [value for _, value in chosen]
        kept = labels[-1] if not operands else "".join(c for c in dict.fromkeys("".join(names)) if c in later)
        target = None if operands else out
        value = _pair((*names, kept), values, target) if len(names) == 2 else None
        if value is None:
            value = _numpys(",".join(names) + "->" + kept, values, out=target)
        operands.append((kept, value))
    return operands[0][1]
