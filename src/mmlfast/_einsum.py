"""`einsum`: NumPy's, with the contractions that are batches of products done by the kernel `matmul`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from mmlfast import _core
from mmlfast._arrays import as_array
from mmlfast._matmul import product

Array = np.ndarray[Any, Any]

# In this order, as NumPy has it: of the numbers of a sublist, and of the letters of an implicit output.
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


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
        Where to put the result.
    dtype, order, casting : optional
        As for `numpy.einsum`.
    optimize : bool, str or list
        In which order to contract three operands or more, see `numpy.einsum_path`; False contracts all at once.

    Returns
    -------
    scalar or ndarray
        The result. Integers stay integers, as in NumPy.

    Raises
    ------
    ValueError
        If the subscripts are not well formed or the shapes do not fit them.
    TypeError
        If the numbers are complex.

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
        arrays = [as_array(x, f"operand {k}") for k, x in enumerate(operands)]
    else:
        text, arrays = _from_sublists(subscripts, *operands)
    if any(x.dtype.kind == "c" for x in arrays) or (dtype is not None and np.dtype(dtype).kind == "c"):
        raise TypeError("einsum: the operands must hold real numbers")
    options = {"dtype": dtype, "order": order, "casting": casting}
    if dtype is None and order in ("K", "A", "C") and len(arrays) >= 2:
        labels = _labels(text, tuple(x.ndim for x in arrays))
        if labels is not None:
            result = _pair(labels, arrays, out) if len(arrays) == 2 else _chain(text, labels, arrays, out, optimize)
            if result is not None:
                return _scalar(result, out)
    return _scalar(np.einsum(text, *arrays, out=out, optimize=optimize, **options), out)


def _scalar(result: Any, out: Array | None) -> Any:
    """Without dimensions always a scalar: NumPy returns an array in some cases."""
    return result if out is not None or result.ndim else result[()]


def _from_sublists(*arguments: Any) -> tuple[str, list[Any]]:
    """The form ``a, [0, 1], b, [1, 2], [0, 2]`` as a string and the operands."""
    pairs, last = arguments[: len(arguments) // 2 * 2], arguments[len(arguments) // 2 * 2 :]

    def letters(sublist: Sequence[Any]) -> str:
        for s in sublist:
            if s is not Ellipsis and not 0 <= int(s) < len(LETTERS):
                raise ValueError(f"einsum: a subscript must be from 0 to {len(LETTERS) - 1}, got {s}")
        return "".join("..." if s is Ellipsis else LETTERS[int(s)] for s in sublist)

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
        return None
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
    path = np.einsum_path(text, *arrays, optimize=optimize)[0][1:]
    operands = list(zip(labels[:-1], arrays, strict=True))
    for step in path:
        chosen = [operands.pop(position) for position in sorted(step, reverse=True)][::-1]
        later = set("".join(name for name, _ in operands)) | set(labels[-1])
        names, values = [name for name, _ in chosen], [value for _, value in chosen]
        kept = labels[-1] if not operands else "".join(c for c in dict.fromkeys("".join(names)) if c in later)
        target = None if operands else out
        value = _pair((*names, kept), values, target) if len(names) == 2 else None
        if value is None:
            value = np.einsum(",".join(names) + "->" + kept, *values, out=target)
        operands.append((kept, value))
    return operands[0][1]
