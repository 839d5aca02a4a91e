"""Products of matrices and tensors, determinants, inverses and solutions of systems, as runs of the tape.

All products are `dot`: a result is one sum of products, whatever the subscripts say.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.linalg import LinAlgError

from mmlfast.autodiff._errors import refuse
from mmlfast.autodiff._trace import OPS, Ids, Trace

# Up to this size determinants are sums of products, right at singular matrices too; beyond it, they are of an LU.
LARGEST_EXPANDED = 8


def matmul(t: Trace, a: Ids, b: Ids) -> Ids:
    if not a.ndim or not b.ndim:
        raise ValueError("matmul: an operand is a number; it takes vectors and matrices (write a * b)")
    inner = b.shape[-2] if b.ndim > 1 else b.shape[0]
    if a.shape[-1] != inner:
        raise ValueError(f"matmul: shapes {a.shape} and {b.shape} do not fit together ({a.shape[-1]} is not {inner})")
    left = a if a.ndim > 1 else a[None, :]
    right = b if b.ndim > 1 else b[:, None]
    out = _dot_of_rows(t, left[..., :, None, :], right.mT[..., None, :, :])
    if b.ndim == 1:
        out = out[..., 0]
    return out[..., 0, :] if a.ndim == 1 and b.ndim > 1 else out[..., 0] if a.ndim == 1 else out


def dot(t: Trace, a: Ids, b: Ids) -> Ids:
    """numpy.dot: over the last axis of a and the one before the last of b."""
    if not a.ndim or not b.ndim:
        return t.binary(OPS["multiply"], a, b)
    if b.ndim == 1:
        return matmul(t, a, b)
    if a.shape[-1] != b.shape[-2]:
        raise ValueError(f"shapes {a.shape} and {b.shape} not aligned: {a.shape[-1]} != {b.shape[-2]}")
    rows = a.reshape((-1, a.shape[-1]))
    columns = np.moveaxis(b, -2, -1)
    out = _dot_of_rows(t, rows[:, None, :], columns.reshape((1, -1, b.shape[-2])))
    return out.reshape(a.shape[:-1] + columns.shape[:-1])


def _dot_of_rows(t: Trace, a: Ids, b: Ids) -> Ids:
    """The sums of products over the last axis, broadcast."""
    shape = np.broadcast_shapes(a.shape, b.shape)
    return t.reduction(OPS["dot"], np.broadcast_to(a, shape), -1, b=np.broadcast_to(b, shape))


def tensordot(t: Trace, a: Ids, b: Ids, axes: int | Sequence[int | Sequence[int]]) -> Ids:
    if isinstance(axes, int):
        of_a, of_b = list(range(a.ndim - axes, a.ndim)), list(range(axes))
    else:
        of_a, of_b = ([x] if isinstance(x, int) else list(x) for x in axes)
    of_a, of_b = [i % a.ndim for i in of_a], [i % b.ndim for i in of_b]
    if [a.shape[i] for i in of_a] != [b.shape[i] for i in of_b]:
        raise ValueError(f"shape-mismatch for sum: axes {of_a} of {a.shape} and {of_b} of {b.shape}")
    kept_a = [i for i in range(a.ndim) if i not in of_a]
    kept_b = [i for i in range(b.ndim) if i not in of_b]
    terms = math.prod(a.shape[i] for i in of_a)
    rows = a.transpose(kept_a + of_a).reshape((-1, terms) if terms else (math.prod(a.shape[i] for i in kept_a), 0))
    columns = b.transpose(kept_b + of_b).reshape((-1, terms) if terms else (math.prod(b.shape[i] for i in kept_b), 0))
    out = _dot_of_rows(t, rows[:, None, :], columns[None, :, :])
    return out.reshape([a.shape[i] for i in kept_a] + [b.shape[i] for i in kept_b])


# ---- einsum ----


def contract(t: Trace, *operands: Ids, subscripts: str) -> Ids:
    """einsum: two operands at a time, from the left."""
    inputs, output = _parsed(subscripts, operands)
    terms = list(zip(inputs, operands, strict=True))
    labels, ids = terms.pop(0)
    labels, ids = _diagonal(labels, ids)
    if not terms:
        return _summed(t, labels, ids, output)
    while terms:
        other, b = _diagonal(*terms.pop(0))
        needed = set(output).union(*(x for x, _ in terms))
        kept = "".join(x for x in dict.fromkeys(labels + other) if x in needed) if terms else output
        ids, labels = _pair(t, labels, ids, other, b, kept), kept
    return ids


def _parsed(subscripts: str, operands: Sequence[Ids]) -> tuple[list[str], str]:
    """The labels of each operand and of the result; an ellipsis becomes capital letters that are not used."""
    subscripts = subscripts.replace(" ", "")
    left, arrow, output = subscripts.partition("->")
    inputs = left.split(",")
    if len(inputs) != len(operands):
        raise ValueError(f"einsum: {subscripts!r} has {len(inputs)} operands, there are {len(operands)}")
    free = [chr(c) for c in (*range(65, 91), *range(97, 123), *range(192, 687)) if chr(c) not in subscripts]
    depth = max(
        (x.ndim - len(s.replace("...", "")) for s, x in zip(inputs, operands, strict=True) if "..." in s), default=0
    )
    dots = "".join(free[:depth])
    out = []
    for labels, x in zip(inputs, operands, strict=True):
        here = x.ndim - len(labels.replace("...", ""))
        if "..." in labels:
            labels = labels.replace("...", dots[depth - here :] if here else "")
        if len(labels) != x.ndim:
            raise ValueError(f"einsum: the operand {labels!r} of {subscripts!r} has {x.ndim} dimensions")
        out.append(labels)
    if arrow:
        output = output.replace("...", dots)
    else:
        once = sorted(x for x in set(left) if x.isalpha() and left.count(x) == 1)
        output = dots + "".join(once)
    if unknown := set(output) - set("".join(out)):
        raise ValueError(f"einsum: {''.join(unknown)!r} of the result is in no operand of {subscripts!r}")
    return out, output


def _diagonal(labels: str, ids: Ids) -> tuple[str, Ids]:
    """A label that an operand has twice is a diagonal."""
    unique = "".join(dict.fromkeys(labels))
    if unique == labels:
        return labels, ids
    numbers = {x: i for i, x in enumerate(unique)}
    return unique, np.einsum(ids, [numbers[x] for x in labels], [numbers[x] for x in unique])


def _summed(t: Trace, labels: str, ids: Ids, output: str) -> Ids:
    gone = tuple(i for i, x in enumerate(labels) if x not in output)
    if gone:
        ids = t.reduction(OPS["sum"], ids, gone)
        labels = "".join(x for x in labels if x in output)
    return ids.transpose([labels.index(x) for x in output])


def _pair(t: Trace, labels: str, a: Ids, other: str, b: Ids, output: str) -> Ids:
    for x in (*labels, *other):  # what only one has, and nobody needs, is summed first
        if x not in output and (x in labels) != (x in other):
            if x in labels:
                a, labels = _summed(t, labels, a, labels.replace(x, "")), labels.replace(x, "")
            else:
                b, other = _summed(t, other, b, other.replace(x, "")), other.replace(x, "")
    summed = "".join(x for x in labels if x not in output)
    order = output + summed
    a, b = _aligned(labels, a, order), _aligned(other, b, order)
    if not summed:
        return t.binary(OPS["multiply"], a, b)
    shape = np.broadcast_shapes(a.shape, b.shape)
    axes = tuple(range(len(output), len(order)))
    return t.reduction(OPS["dot"], np.broadcast_to(a, shape), axes, b=np.broadcast_to(b, shape))


def _aligned(labels: str, ids: Ids, order: str) -> Ids:
    here = [x for x in order if x in labels]
    ids = ids.transpose([labels.index(x) for x in here])
    return ids.reshape([ids.shape[here.index(x)] if x in labels else 1 for x in order])


# ---- systems and determinants ----


def check_square(name: str, a: Ids) -> None:
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise LinAlgError(f"{name}: the last two dimensions must be equal, got shape {a.shape}")


def solve(t: Trace, a: Ids, b: Ids) -> Ids:
    """NumPy's: b is a vector if it has one dimension, else a stack of matrices."""
    check_square("solve", a)
    n = a.shape[-1]
    vector = b.ndim == 1
    right = b[:, None] if vector else b
    if right.shape[-2] != n:
        raise ValueError(f"solve: a has shape {a.shape} and b has shape {b.shape}: they do not fit together")
    batch = np.broadcast_shapes(a.shape[:-2], right.shape[:-2])
    out = np.empty(batch + right.shape[-2:], np.int32)
    a, right = np.broadcast_to(a, batch + a.shape[-2:]), np.broadcast_to(right, out.shape)
    if out.size:
        for i in np.ndindex(batch):
            x = t.emit(OPS["solve"], a[i].ravel(), right[i].ravel(), None, n, right[i].size)
            out[i] = x.reshape(right.shape[-2:])
    return out[..., 0] if vector else out


def inv(t: Trace, a: Ids) -> Ids:
    check_square("inv", a)
    return solve(t, a, t.constant(np.eye(a.shape[-1])))


def cholesky(t: Trace, a: Ids, upper: bool) -> Ids:
    """Column by column, of the lower triangle (of the upper one for upper=True) alone; NaN if it is not positive."""
    check_square("cholesky", a)
    n = a.shape[-1]
    a = a.mT if upper else a
    factor = np.empty(a.shape, np.int32)
    factor[...] = t.scalar(0.0)
    for j in range(n):
        column = a[..., j:, j]
        if j:
            known = _dot_of_rows(t, factor[..., j:, :j], factor[..., j : j + 1, :j])
            column = t.binary(OPS["subtract"], column, known)
        diagonal = t.unary(OPS["sqrt"], column[..., :1])
        factor[..., j:, j] = np.concatenate([diagonal, t.binary(OPS["divide"], column[..., 1:], diagonal)], axis=-1)
    return factor.mT if upper else factor


def det(t: Trace, a: Ids) -> Ids:
    check_square("det", a)
    n, batch = a.shape[-1], a.shape[:-2]
    matrices = a.reshape((-1, n, n)) if n else np.empty((math.prod(batch), 0, 0), np.int32)
    if not n:
        return np.full(batch, t.scalar(1.0), np.int32)
    if n > LARGEST_EXPANDED:
        return np.array([_of_large(t, m) for m in matrices], np.int32).reshape(batch)
    return _by_minors(t, matrices).reshape(batch)


def _by_elimination(t: Trace, a: Ids) -> Ids:
    return t.emit(OPS["determinant"], a.ravel(), None, None, len(a), 1).reshape(())


def _zero_with_slope(t: Trace, x: Ids) -> Ids:
    """0 where x is a rounding error, with the derivatives of x: what is taken from it is x in steps of 2**-400, and
    steps have no slope."""
    steps = t.unary(OPS["rint"], t.binary(OPS["multiply"], x, t.scalar(2.0**400)))
    return t.binary(OPS["subtract"], x, t.binary(OPS["multiply"], steps, t.scalar(2.0**-400)))


def _of_large(t: Trace, a: Ids) -> Ids:
    """By elimination, whose derivatives divide by the result. Where that is 0, by that of a larger matrix.

    With b = [[a, u], [v, 0]], det a = det b det c, where c is the last 2 x 2 block of the inverse of b (Jacobi's
    theorem on complementary minors). b is regular if the rank of a is n - 2 at least; below that, all first and second
    derivatives are 0.
    """
    n = len(a)
    zero, plain = t.scalar(0.0), _by_elimination(t, a)
    border = t.constant(np.cos(np.outer([1.0, math.sqrt(2.0), math.sqrt(3.0), math.sqrt(5.0)], np.arange(1.0, n + 1))))
    scale = t.binary(OPS["divide"], t.reduction(OPS["norm"], a, None), t.scalar(float(n)))
    border = t.binary(OPS["multiply"], border, scale)
    b = np.full((n + 2, n + 2), zero, np.int32)
    b[:n, :n], b[:n, n:], b[n:, :n] = a, border[:2].T, border[2:]
    unit = t.constant(np.eye(n + 2)[:, n:])
    c = t.emit(OPS["solve"], b.ravel(), unit.ravel(), None, n + 2, unit.size).reshape(n + 2, 2)[n:]
    of_b, of_c = _by_elimination(t, b), _by_minors(t, c[None])[0]
    bordered = t.binary(OPS["multiply"], of_b, _zero_with_slope(t, of_c))
    bordered = t.ternary(OPS["select"], t.binary(OPS["not_equal"], of_b, zero), bordered, zero)
    return t.ternary(OPS["select"], t.binary(OPS["not_equal"], plain, zero), plain, bordered)


def _by_minors(t: Trace, matrices: Ids) -> Ids:
    """The determinants of the first k rows in each choice of k columns, for k = 1 .. n."""
    n = matrices.shape[-1]
    minors: dict[tuple[int, ...], Ids] = {(j,): matrices[:, 0, j] for j in range(n)}
    for k in range(1, n):
        row = matrices[:, k, :]
        minus_row = t.unary(OPS["negative"], row)
        chosen = list(combinations(range(n), k + 1))
        signed, smaller = [], []
        for columns in chosen:
            for place, j in enumerate(columns):
                signed.append((row if (k + place) % 2 == 0 else minus_row)[:, j])
                smaller.append(minors[columns[:place] + columns[place + 1 :]])
        shape = (len(matrices), len(chosen), k + 1)
        a, b = (np.stack(x, axis=1).reshape(shape) for x in (signed, smaller))
        values = t.reduction(OPS["dot"], a, -1, b=b)
        minors = {columns: values[:, i] for i, columns in enumerate(chosen)}
    return minors[tuple(range(n))]


def slogdet(t: Trace, a: Ids) -> tuple[Ids, Ids]:
    """Of large matrices with rows of length one, so that the determinant is not out of range."""
    check_square("slogdet", a)
    if a.shape[-1] <= LARGEST_EXPANDED:
        determinant = det(t, a)
        return t.unary(OPS["sign"], determinant), t.unary(OPS["log"], t.unary(OPS["absolute"], determinant))
    lengths = t.reduction(OPS["norm"], a, -1)
    matrices = t.binary(OPS["divide"], a, lengths[..., None])
    flat = [_by_elimination(t, m) for m in matrices.reshape(-1, *a.shape[-2:])]
    determinant = np.array(flat, np.int32).reshape(a.shape[:-2])
    logarithms = t.reduction(OPS["sum"], t.unary(OPS["log"], lengths), -1)
    value = t.binary(OPS["add"], t.unary(OPS["log"], t.unary(OPS["absolute"], determinant)), logarithms)
    return t.unary(OPS["sign"], determinant), value


def matrix_power(t: Trace, a: Ids, n: int) -> Ids:
    check_square("matrix_power", a)
    if not isinstance(n, int | np.integer):
        refuse("the exponent of matrix_power has to be an integer")
    if n < 0:
        a, n = inv(t, a), -n
    result = None
    while n:
        if n % 2:
            result = a if result is None else matmul(t, result, a)
        n //= 2
        a = matmul(t, a, a) if n else a
    return np.broadcast_to(t.constant(np.eye(a.shape[-1])), a.shape).copy() if result is None else result
