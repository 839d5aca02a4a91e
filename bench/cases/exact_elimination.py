"""Integer matrices, exactly: det, rank, row echelon form, characteristic polynomial."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import mmlfast as mf
from bench.harness import Case, Faster, Job, Setup

Array = np.ndarray[Any, Any]


def integer_det(a: Array) -> int:
    """Bareiss's fraction-free elimination in Python's integers."""
    rows = [[int(x) for x in row] for row in a]
    sign, before = 1, 1
    for k in range(len(rows) - 1):
        here = next((i for i in range(k, len(rows)) if rows[i][k]), None)
        if here is None:
            return 0
        if here != k:
            rows[k], rows[here] = rows[here], rows[k]
            sign = -sign
        for i in range(k + 1, len(rows)):
            f = rows[i][k]
            rows[i] = [(rows[k][k] * x - f * y) // before for x, y in zip(rows[i], rows[k], strict=True)]
        before = rows[k][k]
    return sign * rows[-1][-1]


def det_error(expected: list[int], answer: Any) -> float:
    """The largest |error| relative to the exact value; 1 for a wrong zero, or for a number that should be zero."""
    found = np.atleast_1d(np.asarray(answer, dtype=object)).reshape(-1)
    worst = 0.0
    for x, exact in zip(found, expected, strict=True):
        if exact == 0 or not np.isfinite(float(x)):
            worst = max(worst, float(x != exact and not (abs(exact) > 2**1023 and np.isinf(float(x)))))
        else:
            worst = max(worst, abs(float((int(x) if x == int(x) else x) - exact) / float(exact)))
    return worst


def flint_of(flint: Any, a: Array) -> Any:
    return flint.fmpz_mat(a.tolist())


def sympy_of(setup: Setup, a: Array, field: bool) -> Any:
    """SymPy's dense domain matrix over the integers or the rational numbers, or None if SymPy is not there."""
    sympy, matrices = setup.library("sympy"), setup.library("sympy.polys.matrices")
    if not sympy or not matrices:
        return None
    domain = sympy.QQ if field else sympy.ZZ
    return matrices.DomainMatrix([[domain(int(x)) for x in row] for row in a], a.shape, domain)


def det_of_one(n: int, bits: int, setup: Setup) -> Job:
    a = setup.rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (n, n))
    exact = [integer_det(a)]
    job = Job(partial(det_error, exact), "relative error")
    job.ours(mf.linalg.det, a)
    job.peer("numpy float64", np.linalg.det, a.astype(float))
    if flint := setup.library("flint"):
        matrix = flint_of(flint, a)
        job.peer("flint", lambda: int(matrix.det()))
    if (theirs := sympy_of(setup, a, False)) is not None:
        job.peer("sympy DomainMatrix", lambda: int(theirs.det()))
    return job


def slogdet_of_one(n: int, setup: Setup) -> Job:
    """Of 32-bit integers: the determinant itself does not fit float64."""
    a = setup.rng.integers(-(2**31), 2**31, (n, n))
    exact = integer_det(a)

    def logarithm(value: int) -> tuple[int, float]:
        shift = max(0, value.bit_length() - 1000)
        return (value > 0) - (value < 0), math.log(abs(value) >> shift) + shift * math.log(2)

    expected = logarithm(exact)

    def wrong(answer: Any) -> float:
        sign, logabs = answer
        return abs(float(logabs) - expected[1]) if sign == expected[0] else 1.0

    job = Job(wrong, "absolute error of log |det|, that is relative error of det")
    job.ours(mf.linalg.slogdet, a)
    job.peer("numpy float64", np.linalg.slogdet, a.astype(float))
    if flint := setup.library("flint"):
        matrix = flint_of(flint, a)
        job.peer("flint", lambda: logarithm(int(matrix.det())))
    return job


def det_of_many(n: int, limit: int, count: int, setup: Setup) -> Job:
    a = setup.rng.integers(-limit, limit + 1, (count, n, n))
    a[::10, -1] = a[::10, 0]  # one in ten is singular
    exact = [integer_det(item) for item in a]
    job = Job(partial(det_error, exact), "largest relative error; 1: a singular matrix was not seen")
    job.ours(mf.linalg.det, a)
    job.peer("numpy float64", np.linalg.det, a.astype(float))
    if flint := setup.library("flint"):
        many = [flint_of(flint, item) for item in a]
        job.peer("flint loop", lambda: [int(m.det()) for m in many])
    return job


def singular_of_many(n: int, count: int, setup: Setup) -> Job:
    a = setup.rng.integers(-9, 10, (count, n, n))
    a[::10, -1] = a[::10, 0]
    exact = np.array([integer_det(item) == 0 for item in a])
    job = Job(lambda answer: float((np.asarray(answer) != exact).mean()), "share of wrong answers")
    job.ours(mf.linalg.is_singular, a)
    job.peer("numpy matrix_rank", lambda: np.linalg.matrix_rank(a.astype(float)) < n)
    return job


def rational_error(a: Array, form: Callable[[Any], Array], answer: Any) -> float:
    """How wrong the rows of the form are, as combinations of which the rows of the matrix must be."""
    f = form(answer)
    pivots = [int(np.flatnonzero(row)[0]) for row in f if row.any()]
    wide = a.astype(np.longdouble)
    wrong = np.abs(wide - wide[:, pivots] @ f[: len(pivots)].astype(np.longdouble)).max()
    size = (np.abs(wide[:, pivots]) @ np.abs(f[: len(pivots)])).max()
    return float(wrong / size)


def echelon(n: int, limit: int, with_sympy: bool, setup: Setup) -> Job:
    """n x n of rank n - 1: the last column of the form holds quotients of integers of thousands of digits."""
    a = setup.rng.integers(-limit, limit + 1, (n, n))
    a[-1] = a[0] + a[1]
    job = Job(None)
    job.error = partial(rational_error, a, lambda answer: answer if isinstance(answer, np.ndarray) else answer.form)
    job.error_name = "largest |a - a[:, pivots] form| over its size"
    job.ours(mf.linalg.row_echelon, a)
    if flint := setup.library("flint"):
        matrix = flint_of(flint, a)

        def flint_form() -> Array:
            form, common, _ = matrix.rref()
            return np.array([[int(x) / int(common) for x in row] for row in form.tolist()])

        job.peer("flint", flint_form)
    if with_sympy and (theirs := sympy_of(setup, a, True)) is not None:
        job.peer(
            "sympy DomainMatrix",
            lambda: np.array([[int(x.numerator) / int(x.denominator) for x in r] for r in theirs.rref()[0].to_list()]),
        )
    return job


def characteristic(n: int, setup: Setup) -> Job:
    a = setup.rng.integers(-9, 10, (n, n))
    exact = mf.linalg.characteristic_polynomial(a)  # exact by its tests
    roots = np.longdouble

    def wrong(answer: Any) -> float:
        difference = [abs(float((x - int(y)) / max(abs(int(y)), 1))) for x, y in zip(answer, exact, strict=True)]
        return float(roots(max(difference)))

    job = Job(wrong, "largest relative error of a coefficient")
    job.ours(mf.linalg.characteristic_polynomial, a)
    job.peer("numpy poly", np.poly, a.astype(float))
    if flint := setup.library("flint"):
        matrix = flint_of(flint, a)
        job.peer("flint", lambda: [int(x) for x in reversed(matrix.charpoly().coeffs())])
    return job


CASES = [
    Case("exact-det-3", "det, one integer 3 x 3", partial(det_of_one, 3, 8)),
    Case("exact-det-16", "det, one 16 x 16 of 32-bit integers", partial(det_of_one, 16, 32), slow=True),
    Case(
        "exact-slogdet-64",
        "slogdet, one 64 x 64 of 32-bit integers",
        partial(slogdet_of_one, 64),
        (Faster(0.1, "numpy"),),
    ),
    Case("exact-det-batch-3", "det, 10000 integer 3 x 3", partial(det_of_many, 3, 100, 10_000)),
    Case("exact-det-batch-8", "det, 5000 integer 8 x 8", partial(det_of_many, 8, 9, 5_000)),
    Case("exact-det-batch-8-32bit", "det, 5000 of 8 x 8, 32 bits", partial(det_of_many, 8, 2**31, 5_000), slow=True),
    Case("is_singular-batch-4", "is_singular, 10000 integer 4 x 4", partial(singular_of_many, 4, 10_000)),
    Case("row_echelon-50", "row_echelon, 50 x 50 of rank 49", partial(echelon, 50, 9, True)),
    Case("row_echelon-100", "row_echelon, 100 x 100, 32 bits, rank 99", partial(echelon, 100, 2**31, False)),
    Case("row_echelon-150", "row_echelon, 150 x 150 of rank 149", partial(echelon, 150, 9, True), slow=True),
    Case("row_echelon-500", "row_echelon, 500 x 500 of rank 499", partial(echelon, 500, 9, False), slow=True),
    Case("charpoly-50", "characteristic_polynomial, integer 50 x 50", partial(characteristic, 50), slow=True),
]
