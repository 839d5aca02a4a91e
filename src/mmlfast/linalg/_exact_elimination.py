"""Exact answers for integer matrices: modular elimination, and the way back from residues to integers.

Public as the integer side of `matrix_rank`, `null_space`, `row_echelon`, `characteristic_polynomial` and `is_singular`
of `mmlfast.linalg`; `det` and `slogdet` have loops of their own for integers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.linalg import LinAlgError

from mmlfast import _core

Array = np.ndarray[Any, Any]


def is_exact(a: Any) -> bool:
    """Whether the dtype is one of those that get exact answers: integers and booleans."""
    return a.dtype.kind in "iub"


def matrix_rank_exact(a: Array) -> Any:
    """The rank of integer matrices (..., m, n); an integer, or an array of them."""
    return _core.exact_rank(a)


def null_space_exact(a: Array) -> Array:
    """A basis of the null space of one integer matrix, in integer columns.

    Each column belongs to a free column of the echelon form, where it has a positive number; no number divides a whole
    column. int64, or Python integers (dtype object) if they do not fit.
    """
    pivots, free, common, entries = _reduced(_one_matrix("null_space", a))
    basis = np.zeros((a.shape[1], len(free)), dtype=object)
    for k, column in enumerate(free):
        numbers = [common, *(-entries[t][k] for t in range(len(pivots)))]
        divisor = math.gcd(*numbers) * (1 if common > 0 else -1)
        basis[column, k] = common // divisor
        basis[pivots, k] = [number // divisor for number in numbers[1:]]
    return smallest_dtype(basis)


def row_echelon_exact(a: Array, reduced: bool) -> tuple[Array, tuple[int, ...]]:
    """The row echelon form of one integer matrix, each entry rounded once, and the columns of its pivots."""
    matrix = _one_matrix("row_echelon", a)
    form = np.zeros(matrix.shape)
    if reduced:
        pivots, free, common, entries = _reduced(matrix)
        form[np.arange(len(pivots)), pivots] = 1
        if free and pivots:
            form[: len(pivots), free] = [[quotient(x, common) for x in row] for row in entries]
    else:
        pivots, rows = _upper(matrix)
        above = 1
        for t, row in enumerate(rows):
            form[t] = [quotient(x, above) for x in row]
            above = row[pivots[t]]
    return form, tuple(pivots)


def characteristic_polynomial_exact(a: Array) -> Array:
    """The coefficients of det(x - a) of one integer matrix, from the highest power; int64, or Python integers."""
    matrix = _one_matrix("characteristic_polynomial", a)
    n = len(matrix)
    primes, values = _core.exact_shifted_determinants(matrix)
    p = primes[:, None]
    # Newton's interpolation at 0 .. n: values become the differences of order k, divided by k!.
    differences = values.copy()
    for k in range(1, n + 1):
        inverse = np.array([pow(k, -1, int(q)) for q in primes])[:, None]
        differences[:, k:] = (differences[:, k:] - differences[:, k - 1 : -1]) % p * inverse % p
    # Horner's rule for c_0 + x (c_1 + (x - 1) (c_2 + ...)), lowest power first.
    coefficients = np.zeros_like(values)
    for k in range(n, -1, -1):
        shifted = np.zeros_like(coefficients)
        shifted[:, 1:] = coefficients[:, :-1]
        coefficients = (shifted - k * coefficients) % p
        coefficients[:, 0] = (coefficients[:, 0] + differences[:, k]) % primes
    sign = -1 if n % 2 else 1  # det(a - x) was computed
    found = combine_residues(primes, coefficients)
    return smallest_dtype(np.array([sign * x for x in reversed(found)], dtype=object))


# ---- residues to integers ----


def combine_residues(primes: Array, residues: Array) -> list[int]:
    """The integers of least absolute value with these residues, one column each (Chinese remainder theorem)."""
    moduli, x = primes, residues
    if len(moduli) > 1:  # two primes make one modulus of 50 bits, before Python's integers are needed
        pairs = len(moduli) // 2
        p, q = moduli[0 : 2 * pairs : 2], moduli[1 : 2 * pairs : 2]
        inverse = np.array([pow(int(a), -1, int(b)) for a, b in zip(p, q, strict=True)])
        first, second = x[0 : 2 * pairs : 2], x[1 : 2 * pairs : 2]
        joined = first + p[:, None] * ((second - first) % q[:, None] * inverse[:, None] % q[:, None])
        moduli = np.concatenate([p * q, moduli[2 * pairs :]])
        x = np.concatenate([joined, x[2 * pairs :]])
    product = math.prod(moduli.tolist())
    parts = [product // m for m in moduli.tolist()]
    weights = [part * pow(part, -1, m) for part, m in zip(parts, moduli.tolist(), strict=True)]
    half, found = product // 2, []
    for value in _weighted_sums(x, weights, product) if len(weights) > _FEW_WEIGHTS else _few_weighted_sums(x, weights):
        value %= product
        found.append(value - product if value > half else value)
    return found


# Up to here products of Python's integers are quicker.
_FEW_WEIGHTS = 7
# Digits of 16 bits times halves of 25 bits, so many of them added up, are whole numbers of float64.
_DIGIT, _HALF, _MOST_HALVES = 16, 25, 1 << (53 - 16 - 25)
_SUMS_AT_ONCE = 1 << 20


def _few_weighted_sums(x: Array, weights: list[int]) -> Iterator[int]:
    for column in x.T.tolist():
        yield sum(map(int.__mul__, column, weights))


def _weighted_sums(x: Array, weights: list[int], most: int) -> Iterator[int]:
    """The sum of the weights, which are below `most`, times the numbers of each column, below 2^50. A product of
    matrices: of the halves of the numbers, and the digits of the weights."""
    halves = np.concatenate([x & (2**_HALF - 1), x >> _HALF]).astype(np.float64)
    width = 4 * -(-(most.bit_length() + _HALF) // (4 * _DIGIT))
    texts = [w.to_bytes(2 * width, "little") for weight in (weights, [w << _HALF for w in weights]) for w in weight]
    digits = np.frombuffer(b"".join(texts), "<u2").reshape(len(texts), width).astype(np.float64)
    step = max(1, _SUMS_AT_ONCE // width)
    for start in range(0, x.shape[1], step):
        some = halves[:, start : start + step].T
        sums = [0] * len(some)
        for first in range(0, len(texts), _MOST_HALVES):
            part = slice(first, first + _MOST_HALVES)
            # Each fourth digit is 64 bits further: four integers, as bytes.
            apart = _core.matmul(some[:, part], digits[part]).astype("<u8").reshape(len(some), -1, 4)
            for k in range(4):
                text, size = apart[:, :, k].tobytes(), 2 * width
                for i in range(len(some)):
                    sums[i] += int.from_bytes(text[i * size : (i + 1) * size], "little") << (k * _DIGIT)
        yield from sums


def quotient(numerator: int, denominator: int) -> float:
    """Rounded once; infinite if it is too large for a float64."""
    if numerator == 0:
        return 0.0  # Python's 0 / -1 is -0.0
    try:
        return numerator / denominator
    except OverflowError:
        return math.copysign(math.inf, (numerator > 0) - (numerator < 0)) * (1 if denominator > 0 else -1)


def smallest_dtype(x: Array) -> Array:
    """int64 if all of the integers fit."""
    try:
        return x.astype(np.int64)
    except OverflowError:
        return x


def _reduced(matrix: Array) -> tuple[list[int], list[int], int, list[list[int]]]:
    """Pivots, free columns, d, and d times the entries of the reduced form at the free columns."""
    pivots, free, primes, residues = _core.exact_echelon(matrix, True)
    if len(primes) == 0:
        return pivots.tolist(), free.tolist(), 1, [[] for _ in pivots]
    common, *entries = combine_residues(primes, residues)
    return pivots.tolist(), free.tolist(), common, _rows(entries, len(free))


def _upper(matrix: Array) -> tuple[list[int], list[list[int]]]:
    """Pivots, and the rows of the echelon form times the product of the pivots above them."""
    pivots, _, primes, residues = _core.exact_echelon(matrix, False)
    return pivots.tolist(), _rows(combine_residues(primes, residues[:, 1:]), matrix.shape[1])


def _rows(entries: Sequence[int], width: int) -> list[list[int]]:
    return [list(entries[i : i + width]) for i in range(0, len(entries), width)]


def _one_matrix(function: str, a: Any) -> Array:
    """As an int64 or uint64 array of two dimensions."""
    if a.ndim != 2:
        raise LinAlgError(f"{function}: a must be one matrix if it holds integers, got shape {a.shape}")
    return np.require(a, np.uint64 if a.dtype.type is np.uint64 else np.int64, ["C", "A"])
