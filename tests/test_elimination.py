"""linalg.solve, inv, det, slogdet against NumPy, exact rationals and their own backward errors."""

from __future__ import annotations

import importlib
import math
import warnings
from fractions import Fraction

import cases
import numpy as np
import pytest
from cases import LAYOUTS, backward_error, every_batch_size, every_case, every_dtype, same_bits, saying
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.linalg import LinAlgError

import mmlfast as mf
from mmlfast._reference import elimination as reference

# Matrices that are singular up to rounding are among the cases: tests/test_condition.py is about the warning.
pytestmark = pytest.mark.filterwarnings("ignore::scipy.linalg.LinAlgWarning")

SIZES = (*range(1, 41), 63, 64, 65, 100, 128, 129)


def unit_roundoff(dtype):
    return float(np.finfo(dtype).eps) / 2


def assert_solves(a, x, b):
    """DESIGN's bound: normwise backward error of at most 10 n u."""
    u = unit_roundoff(a.dtype)
    worst = float(np.max(backward_error(a, x, b), initial=0)) / u
    assert worst <= 10 * a.shape[-1], f"backward error {worst:.1f} u for n = {a.shape[-1]}"


def exact_det(a):
    """The determinant of the numbers as they are, by fraction-free elimination (Bareiss 1968)."""
    m = [[Fraction(float(v)) for v in row] for row in a]
    n, sign, previous = len(m), 1, Fraction(1)
    for k in range(n - 1):
        pivot = next((i for i in range(k, n) if m[i][k] != 0), None)
        if pivot is None:
            return Fraction(0)
        if pivot != k:
            m[k], m[pivot], sign = m[pivot], m[k], -sign
        for i in range(k + 1, n):
            for j in range(k + 1, n):
                m[i][j] = (m[i][j] * m[k][k] - m[i][k] * m[k][j]) / previous
        previous = m[k][k]
    return sign * (m[-1][-1] if n else Fraction(1))


# ---- every tagged matrix in every layout ----


@every_case("square", without="singular growth")
def test_solve(case):
    b = case.rng.standard_normal((*case.plain.shape[:-1], 2)).astype(case.dtype)
    x = mf.linalg.solve(case.array, case.layout(b))
    assert x.dtype == case.dtype
    assert x.shape == b.shape
    assert_solves(case.plain, x, b)
    same_bits(x, mf.linalg.solve(case.plain, b))


@every_case("square", without="singular growth")
def test_solve_vector(case):
    b = case.rng.standard_normal(case.plain.shape[-1]).astype(case.dtype)
    x = mf.linalg.solve(case.array, case.layout(b))
    assert x.dtype == case.dtype
    assert x.shape == case.plain.shape[:-1]
    assert_solves(case.plain, x[..., None], np.broadcast_to(b, x.shape)[..., None])


@every_case("square", without="singular growth")
def test_inv(case):
    x = mf.linalg.inv(case.array)
    assert x.dtype == case.dtype
    assert_solves(case.plain, x, np.broadcast_to(np.eye(case.plain.shape[-1]), x.shape))
    same_bits(x, mf.linalg.inv(case.plain))


@every_case("square")
def test_det(case):
    d = mf.linalg.det(case.array)
    assert np.asarray(d).dtype == case.dtype
    same_bits(d, mf.linalg.det(case.plain))
    sign, logabs = mf.linalg.slogdet(case.array)
    assert np.asarray(logabs).dtype == case.dtype
    with np.errstate(all="ignore"):
        expected_sign, expected_log = np.linalg.slogdet(case.plain.astype(float))
        expected = np.exp(expected_log) * expected_sign
    n = case.plain.shape[-1]
    if "singular" in case.tags and "zero" not in case.tags:
        return  # rounding decides: only that it ends, and the same way in each layout, can be asked
    condition = np.linalg.cond(case.plain.astype(float)) if n and d.size else np.ones(np.shape(d))
    condition = np.where(np.isfinite(condition), condition, 1)
    tolerance = 10 * n * unit_roundoff(case.dtype) * (1 + condition)
    np.testing.assert_array_less(np.abs(sign - expected_sign) * (tolerance < 1), 0.5)
    finite = np.isfinite(expected_log)
    np.testing.assert_array_equal(np.isfinite(logabs), finite)
    logabs, expected_log, tolerance = np.asarray(logabs)[finite], expected_log[finite], tolerance[finite]
    assert np.all(np.abs(logabs - expected_log) <= tolerance + 2 * unit_roundoff(case.dtype) * np.abs(expected_log))
    d, expected = np.asarray(d)[finite], np.asarray(expected)[finite]
    tolerance = tolerance + 4 * unit_roundoff(float) * np.abs(expected_log)  # of the exponential above
    in_range = (np.abs(expected) < np.finfo(case.dtype).max / 2) & (np.abs(expected) > np.finfo(case.dtype).tiny * 2)
    assert np.all(np.abs(d - expected)[in_range] <= (tolerance * np.abs(expected))[in_range])


@every_case("square", "zero")
def test_zero_matrices(case):
    same_bits(mf.linalg.det(case.array), np.zeros(case.batch, case.dtype))
    sign, logabs = mf.linalg.slogdet(case.array)
    same_bits(sign, np.zeros(case.batch, case.dtype))
    same_bits(logabs, np.full(case.batch, -np.inf, case.dtype))
    assert np.isnan(mf.linalg.inv(case.array, errors="nan")).all()
    if "zero-size" not in case.tags:
        with pytest.raises(LinAlgError, match="Singular"):
            mf.linalg.inv(case.array)


# ---- sizes ----


@every_dtype
@pytest.mark.parametrize("n", SIZES)
def test_every_size(n, dtype, rng):
    # 17 items: lanes for all sizes up to 128, with a part-filled group; 2: blocks from 13 on.
    for batch in (17, 2):
        a = rng.standard_normal((batch, n, n)).astype(dtype)
        b = rng.standard_normal((batch, n, 3)).astype(dtype)
        for columns in (1, 3):
            assert_solves(a, mf.linalg.solve(a, b[..., :columns]), b[..., :columns])
        inverse = mf.linalg.inv(a)
        some = slice(None) if n <= 40 else [0, -1]  # extended precision takes its time
        assert_solves(a[some], inverse[some], np.broadcast_to(np.eye(n), a[some].shape))
        sign, logabs = mf.linalg.slogdet(a)
        expected = np.linalg.slogdet(a.astype(float))
        np.testing.assert_array_equal(sign, expected[0])
        allowed = (
            10 * n * unit_roundoff(dtype) * np.linalg.cond(a.astype(float)) + np.abs(expected[1]) * np.finfo(dtype).eps
        )
        assert np.all(np.abs(logabs - expected[1]) <= allowed)
        with np.errstate(over="ignore"):
            whole = (np.exp(expected[1]) * expected[0]).astype(dtype)
        np.testing.assert_array_equal(np.isinf(mf.linalg.det(a)), np.isinf(whole))


@every_dtype
@every_batch_size
@pytest.mark.parametrize("n", [1, 3, 8, 11])
def test_every_batch_size(n, batch, dtype, rng):
    a = rng.standard_normal((batch, n, n)).astype(dtype)
    b = rng.standard_normal((batch, n, 2)).astype(dtype)
    x = mf.linalg.solve(a, b)
    assert_solves(a, x, b)
    # An item has the same bits alone and anywhere in a batch.
    for i in range(batch):
        same_bits(mf.linalg.solve(a[i], b[i]), x[i])
        same_bits(mf.linalg.inv(a[i]), mf.linalg.inv(a)[i])
        same_bits(mf.linalg.det(a[i]), mf.linalg.det(a)[i])
    same_bits(mf.linalg.solve(a[::-1], b[::-1]), x[::-1])


@every_dtype
@pytest.mark.parametrize("n", [1, 2, 3, 4, 8, 9, 20])
def test_batches_of_many_blocks(n, dtype, rng, threads):
    """Long enough for several blocks and threads; a part-filled group at the end."""
    count = 40_003 if n < 9 else 2_003
    a = rng.standard_normal((count, n, n)).astype(dtype)
    b = rng.standard_normal((count, n, 1)).astype(dtype)
    threads(1)
    x = mf.linalg.solve(a, b)
    assert_solves(a[::97], x[::97], b[::97])
    assert_solves(a[-40:], x[-40:], b[-40:])
    for number in (2, 5):
        threads(number)
        same_bits(mf.linalg.solve(a, b), x)
        same_bits(mf.linalg.det(a)[-9:], mf.linalg.det(a[-9:]))


@pytest.mark.parametrize("columns", [0, 1, 2, 7, 8, 9, 16, 33, 100])
@pytest.mark.parametrize("n", [1, 4, 9, 33, 70])
def test_many_right_hand_sides(n, columns, rng):
    a, b = rng.standard_normal((3, n, n)), rng.standard_normal((3, n, columns))
    x = mf.linalg.solve(a, b)
    assert x.shape == b.shape
    assert_solves(a, x, b)


@every_dtype
@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 9, 17])
def test_agrees_with_the_reference(n, dtype, rng):
    a, b = rng.standard_normal((n, n)).astype(dtype), rng.standard_normal((n, 2)).astype(dtype)
    tolerance = 20 * n * unit_roundoff(dtype) * np.linalg.cond(a.astype(float))
    expected = reference.solve(a, b)
    np.testing.assert_allclose(mf.linalg.solve(a, b), expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())
    expected = reference.inv(a)
    np.testing.assert_allclose(mf.linalg.inv(a), expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())
    np.testing.assert_allclose(mf.linalg.slogdet(a), reference.slogdet(a), rtol=tolerance, atol=tolerance)


# ---- nasty matrices ----


def nasty(rng, n):
    yield from cases.hard_squares(rng, n)
    yield "very huge", 1e305 / n * rng.uniform(-1, 1, (n, n))
    yield "very small", 1e-290 * rng.standard_normal((n, n))


@pytest.mark.filterwarnings("ignore:Ill-conditioned matrix")
@pytest.mark.parametrize("n", [2, 3, 4, 7, 8, 10, 16, 24, 33, 64])
def test_nasty_matrices(n, rng):
    for name, a in nasty(rng, n):
        if np.linalg.matrix_rank(a) == 0:
            continue
        b = a @ rng.uniform(-1, 1, (n, 2))
        for batch in (1, 9):  # blocks and lanes, for n above 12
            stack = np.broadcast_to(a, (batch, n, n))
            x = mf.linalg.solve(stack, b, errors="nan")
            if (
                name in ("hilbert", "vandermonde", "near-singular", "graded rows", "graded columns")
                and np.isnan(x).all()
            ):
                continue  # singular in rounding
            with saying(name, batch):
                assert_solves(a, x[-1], b)
            same_bits(x, np.broadcast_to(x[0], x.shape))


@pytest.mark.parametrize("n", [4, 8, 16, 30, 50])
def test_growth(n, rng):
    """Wilkinson's matrix: partial pivoting grows to 2^(n-1), so the bound holds times the growth, as for LAPACK."""
    a = cases.wilkinson_growth(n)
    b = rng.standard_normal((n, 1))
    ours, theirs = (float(backward_error(a, s(a, b), b)) for s in (mf.linalg.solve, np.linalg.solve))
    assert ours <= max(10 * n * unit_roundoff(float), 4 * theirs)


def test_pivoting_is_partial_and_by_rows():
    a = np.array([[1e-20, 1.0], [1.0, 1.0]])
    np.testing.assert_allclose(mf.linalg.solve(a, [1.0, 2.0]), [1, 1], rtol=1e-15)
    assert mf.linalg.det(np.array([[0.0, 1.0], [1.0, 0.0]])) == -1
    assert mf.linalg.det(np.eye(4)[[1, 2, 3, 0]]) == -1
    assert mf.linalg.det(np.eye(5)[[1, 2, 3, 4, 0]]) == 1


@every_dtype
@pytest.mark.parametrize("n", [1, 2, 3, 8, 9, 20, 40])
def test_denormal_and_huge_scales(n, dtype, rng):
    info = np.finfo(dtype)
    base = rng.standard_normal((n, n)).astype(dtype)
    b = rng.standard_normal((n, 1)).astype(dtype)
    for scale in (info.tiny * 64, info.max / 2 ** (n.bit_length() + 4)):
        a = (base * dtype(scale)).astype(dtype)
        x = mf.linalg.solve(a, (b * dtype(scale)).astype(dtype))
        assert_solves(a.astype(np.longdouble).astype(dtype), x, (b * dtype(scale)).astype(dtype))
    # Whole matrices of denormals: the digits that they have left are used.
    a = (np.rint(base * 1000) * dtype(info.smallest_subnormal)).astype(dtype)
    right = (a @ np.ones((n, 1), dtype)).astype(dtype)
    x = mf.linalg.solve(a, right, errors="nan")
    assert np.isfinite(x).all()
    residual = np.abs(right.astype(np.longdouble) - a.astype(np.longdouble) @ x.astype(np.longdouble))
    size = np.abs(a).astype(np.longdouble).sum(-1).max() * np.abs(x).max()
    assert residual.max() <= 10 * n * (unit_roundoff(dtype) * size + info.smallest_subnormal)


@every_dtype
def test_det_keeps_its_exponent_apart(dtype):
    """A product of pivots that overflows, or underflows, on the way to a determinant of 1 or so."""
    big, n = dtype(2.0**100), 30
    a = np.diag(np.array([big, 1 / big] * (n // 2), dtype))
    assert mf.linalg.det(a) == 1
    assert mf.linalg.det(np.diag(np.sort(np.diag(a)))) == 1
    for size in (30, 100):
        tiny = np.eye(size, dtype=dtype) * dtype(2.0**-100)
        assert mf.linalg.det(tiny) == 0
        sign, logabs = mf.linalg.slogdet(tiny)
        assert sign == 1
        assert logabs == pytest.approx(-100 * size * math.log(2), rel=float(np.finfo(dtype).eps))
        assert mf.linalg.det(tiny * dtype(2.0**100)) == 1
        assert np.isinf(mf.linalg.det(np.eye(size, dtype=dtype) * dtype(2.0**100)))
    denormal = mf.linalg.det(np.diag(np.array([2.0**-70, 2.0**-70, 1], dtype))) if dtype == np.float32 else None
    assert denormal in (None, np.float32(2.0**-140))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 6, 9])
def test_det_against_exact_rationals(n, rng):
    for _ in range(20):
        a = rng.integers(-9, 10, (n, n)).astype(float)
        exact = float(exact_det(a))
        bound = 10 * n * unit_roundoff(float) * math.prod(np.linalg.norm(a, axis=1))
        assert abs(mf.linalg.det(a) - exact) <= bound


# ---- singular items ----


@pytest.mark.parametrize("n", [1, 3, 4, 8, 12, 40])
def test_singular_item_is_named(n, rng):
    a, b = rng.standard_normal((5, 7, n, n)), rng.standard_normal((5, 7, n, 1))
    expected = mf.linalg.solve(a, b)
    a[3, 5] = 0
    for function, arguments in ((mf.linalg.solve, (a, b)), (mf.linalg.inv, (a,))):
        with pytest.raises(LinAlgError, match=r"\(3, 5\), 1 of 35"):
            function(*arguments)
    x = mf.linalg.solve(a, b, errors="nan")
    assert np.isnan(x[3, 5]).all()
    others = np.ones((5, 7), bool)
    others[3, 5] = False
    same_bits(x[others], expected[others])
    inverse = mf.linalg.inv(a, errors="nan")
    assert np.isnan(inverse[3, 5]).all()
    assert_solves(a[others], inverse[others], np.broadcast_to(np.eye(n), (34, n, n)))
    d = mf.linalg.det(a)
    assert d[3, 5] == 0
    assert np.count_nonzero(d) == 34


def test_the_first_singular_item_is_named(rng):
    a = rng.standard_normal((4, 100, 3, 3))
    a[2, 99] = a[3, 0] = 1
    with pytest.raises(LinAlgError, match=r"index \(2, 99\), 2 of 400"):
        mf.linalg.solve(a, np.ones(3))
    # An index of the broadcast batch, when the matrices are fewer than the right-hand sides.
    with pytest.raises(LinAlgError, match=r"index \(0, 1\), 5 of 10"):
        mf.linalg.solve(np.stack([np.eye(2), np.ones((2, 2))]), np.ones((5, 2, 2, 1)))
    with pytest.raises(LinAlgError, match=r"index \(3,\)"):
        mf.linalg.inv(np.stack([np.eye(2)] * 3 + [np.ones((2, 2))]))
    with pytest.raises(LinAlgError, match=r"^solve: Singular matrix: a of shape \(2, 2\)"):
        mf.linalg.solve(np.ones((2, 2)), np.ones(2))


def test_singular_in_the_last_pivot(rng):
    for n in (2, 3, 8, 10, 33, 50):
        a = np.eye(n)
        a[-1, -1] = 0
        a[-1] += a[0]
        a[:, -1] = 0
        for batch in (1, 20):
            stack = np.broadcast_to(a, (batch, n, n))
            assert np.isnan(mf.linalg.solve(stack, np.ones((n, 1)), errors="nan")).all()
            assert (mf.linalg.det(stack) == 0).all()
            with pytest.raises(LinAlgError):
                mf.linalg.inv(stack)


def test_errors_must_be_known():
    for function, arguments in ((mf.linalg.solve, (np.eye(2), np.ones(2))), (mf.linalg.inv, (np.eye(2),))):
        with pytest.raises(ValueError, match="errors must be 'raise' or 'nan', got 'ignore'"):
            function(*arguments, errors="ignore")


# ---- NaN and infinity ----


@every_dtype
@pytest.mark.parametrize("n", [1, 2, 3, 4, 9, 17])
def test_bad_numbers_stay_in_their_item(n, dtype, rng):
    count = 20
    a, b = rng.standard_normal((count, n, n)).astype(dtype), rng.standard_normal((count, n, 2)).astype(dtype)
    x, inverse, d, (sign, logabs) = mf.linalg.solve(a, b), mf.linalg.inv(a), mf.linalg.det(a), mf.linalg.slogdet(a)
    others = np.arange(count) != 5
    for index, bad in cases.poisoned(a[5]):
        if n > 9 and sum(index) % 5:
            continue  # a fifth of the positions of the larger matrices
        mixed = a.copy()
        mixed[5] = bad
        same_bits(mf.linalg.solve(mixed, b, errors="nan")[others], x[others])
        same_bits(mf.linalg.inv(mixed, errors="nan")[others], inverse[others])
        same_bits(mf.linalg.det(mixed)[others], d[others])
        same_bits(mf.linalg.slogdet(mixed)[1][others], logabs[others])
        same_bits(mf.linalg.slogdet(mixed)[0][others], sign[others])
        if np.isnan(bad).any():
            assert np.isnan(mf.linalg.solve(mixed, b, errors="nan")[5]).any()
            assert np.isnan(mf.linalg.inv(mixed, errors="nan")[5]).any()
            assert np.isnan(mf.linalg.det(mixed)[5])
            assert np.isnan(mf.linalg.slogdet(mixed)[1][5])
    for _, bad in cases.poisoned(b[5]):
        mixed = b.copy()
        mixed[5] = bad
        y = mf.linalg.solve(a, mixed)
        same_bits(y[others], x[others])
        clean = np.isfinite(bad).all(axis=0)
        same_bits(y[5][:, clean], x[5][:, clean])
        assert not np.isfinite(y[5][:, ~clean]).all()


@pytest.mark.parametrize("n", [33, 40, 70])
def test_bad_numbers_in_blocks(n, rng):
    a = rng.standard_normal((2, n, n))
    expected = mf.linalg.inv(a)
    for value in (np.nan, np.inf):
        bad = a.copy()
        bad[0, n // 2, 3] = value
        inverse = mf.linalg.inv(bad, errors="nan")
        same_bits(inverse[1], expected[1])
        assert not np.isnan(value) or np.isnan(inverse[0]).any()
        same_bits(mf.linalg.det(bad)[1], mf.linalg.det(a)[1])


# ---- shapes, broadcasting, out= ----


@pytest.mark.parametrize(
    ("a_batch", "b_batch"),
    [((), (4,)), ((4,), ()), ((3, 1), (4,)), ((1,), (3, 5)), ((2, 1, 3), (1, 4, 1)), ((0,), (1,)), ((2, 0), (1, 1))],
)
@pytest.mark.parametrize("n", [3, 10])
def test_broadcasting(a_batch, b_batch, n, rng):
    a, b = rng.standard_normal((*a_batch, n, n)), rng.standard_normal((*b_batch, n, 2))
    x = mf.linalg.solve(a, b)
    whole = np.broadcast_shapes(a_batch, b_batch)
    assert x.shape == (*whole, n, 2)
    same_bits(x, mf.linalg.solve(np.broadcast_to(a, (*whole, n, n)).copy(), np.broadcast_to(b, (*whole, n, 2)).copy()))


def test_a_vector_is_one_dimensional_as_in_numpy_2(rng):
    a = rng.standard_normal((3, 4, 4))
    assert mf.linalg.solve(a, np.ones(4)).shape == (3, 4)
    assert mf.linalg.solve(a, np.ones((4, 1))).shape == (3, 4, 1)
    assert mf.linalg.solve(a, np.ones((3, 4, 1))).shape == (3, 4, 1)
    with pytest.raises(ValueError, match=r"solve: a has shape \(3, 4, 4\), b has shape \(3, 4\)"):
        mf.linalg.solve(a, np.ones((3, 4)))


def test_empty():
    for dtype in (np.float64, np.float32):
        empty = np.zeros((0, 0), dtype)
        assert mf.linalg.solve(empty, np.zeros(0, dtype)).shape == (0,)
        assert mf.linalg.solve(empty, np.zeros((0, 3), dtype)).shape == (0, 3)
        assert mf.linalg.solve(np.eye(3, dtype=dtype), np.zeros((3, 0), dtype)).shape == (3, 0)
        assert mf.linalg.inv(empty).shape == (0, 0)
        assert mf.linalg.det(empty) == 1
        assert tuple(mf.linalg.slogdet(empty)) == (1, 0)
        same_bits(mf.linalg.det(np.zeros((4, 0, 0), dtype)), np.ones(4, dtype))
        assert mf.linalg.det(np.zeros((0, 5, 5), dtype)).shape == (0,)
        assert mf.linalg.inv(np.zeros((0, 40, 40), dtype)).shape == (0, 40, 40)


@pytest.mark.parametrize("layout", LAYOUTS[:6], ids=lambda f: f.__name__)
@pytest.mark.parametrize("n", [2, 9, 40])
def test_out(n, layout, rng):
    a, b = rng.standard_normal((2, 3, n, n)), rng.standard_normal((2, 3, n, 2))
    for function, arguments, like in ((mf.linalg.solve, (a, b), b), (mf.linalg.inv, (a,), a)):
        out = layout(np.full_like(like, np.nan))
        assert function(*arguments, out=out) is out
        same_bits(np.array(out), function(*arguments))
    out = np.empty((2, 3))
    assert mf.linalg.det(a, out=out) is out
    same_bits(out, mf.linalg.det(a))
    vectors = layout(np.full((2, 3, n), np.nan))
    assert mf.linalg.solve(a, np.ones(n), out=vectors) is vectors
    same_bits(np.array(vectors), mf.linalg.solve(a, np.ones(n)))


@pytest.mark.parametrize("n", [1, 3, 8, 9, 40])
def test_overlapping_out(n, rng):
    a, b = rng.standard_normal((20, n, n)), rng.standard_normal((20, n, n))
    x, inverse = mf.linalg.solve(a, b), mf.linalg.inv(a)
    for make in (lambda m: m, lambda m: m.swapaxes(-1, -2), lambda m: m[::-1]):
        # the matrix itself, or a view of it, as the place of the result
        room = a.copy()
        same_bits(np.array(mf.linalg.inv(room, out=make(room))), inverse)
        room = b.copy()
        same_bits(np.array(mf.linalg.solve(a, room, out=make(room))), x)
        room = a.copy()
        same_bits(np.array(mf.linalg.solve(room, b, out=make(room))), x)
    room = np.concatenate([a, np.zeros((1, n, n))])
    same_bits(mf.linalg.inv(room[:-1], out=room[1:]).copy(), inverse)
    room = np.concatenate([np.zeros((1, n, n)), a])
    same_bits(mf.linalg.inv(room[1:], out=room[:-1]).copy(), inverse)


def test_out_of_the_wrong_kind():
    a = np.stack([np.eye(3)] * 4)
    for wrong in (np.empty((4, 3)), np.empty((4, 3, 4)), np.empty((5, 3, 3))):
        with pytest.raises(ValueError, match="inv: a has shape"):
            mf.linalg.inv(a, out=wrong)
    with pytest.raises(TypeError):
        mf.linalg.inv(a, out=np.empty((4, 3, 3), int))
    locked = np.empty((4, 3, 3))
    locked.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        mf.linalg.inv(a, out=locked)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mf.linalg.solve(np.ones((2, 3)), np.ones(2)), r"solve: .* a must be equal, got shape \(2, 3\)"),
        (lambda: mf.linalg.solve(np.ones(3), np.ones(3)), r"solve: a must be a matrix .*, got shape \(3,\)"),
        (lambda: mf.linalg.inv(np.ones((4, 2, 3))), r"inv: .* got shape \(4, 2, 3\)"),
        (lambda: mf.linalg.det(np.float64(3)), r"det: a must be a matrix .*, got shape \(\)"),
        (lambda: mf.linalg.slogdet(np.ones((0, 1))), r"slogdet: .* got shape \(0, 1\)"),
    ],
)
def test_not_square(call, message):
    with pytest.raises(LinAlgError, match=message):
        call()


@pytest.mark.parametrize("b", [np.ones(4), np.ones((4, 1)), np.ones((2, 3, 1)), np.float64(1)])
def test_shapes_that_do_not_fit(b):
    a = np.stack([np.eye(3)] * 5)
    with pytest.raises(ValueError, match=r"solve: a has shape \(5, 3, 3\), b has shape"):
        mf.linalg.solve(a, b)


# ---- dtypes ----


@pytest.mark.parametrize("dtype", ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
def test_integers_and_booleans_become_float64(dtype):
    a = np.array([[1, 1], [0, 1]]).astype(dtype)
    x = mf.linalg.solve(a, a)
    same_bits(x, np.eye(2))
    same_bits(mf.linalg.inv(a), np.array([[1.0, -1.0], [0.0, 1.0]]))
    assert mf.linalg.det(a).dtype == np.float64
    assert mf.linalg.slogdet(a).sign.dtype == np.float64


def test_mixed_precisions():
    a64, a32 = np.eye(2), np.eye(2, dtype=np.float32)
    assert mf.linalg.solve(a32, a32).dtype == np.float32
    assert mf.linalg.solve(a32, a64).dtype == np.float64
    assert mf.linalg.solve(a64, a32).dtype == np.float64
    assert mf.linalg.solve(a32, np.ones(2, int)).dtype == np.float64


@pytest.mark.parametrize("bad", [np.eye(2, dtype=complex), np.eye(2).astype(object), np.eye(2).astype("U3")])
def test_other_dtypes(bad):
    for name, call in (
        ("a", lambda: mf.linalg.solve(bad, np.ones(2))),
        ("b", lambda: mf.linalg.solve(np.eye(2), bad)),
        ("a", lambda: mf.linalg.inv(bad)),
        ("a", lambda: mf.linalg.det(bad)),
        ("a", lambda: mf.linalg.slogdet(bad)),
    ):
        with pytest.raises(TypeError, match=f"{name} must hold real numbers .* got"):
            call()


@pytest.mark.parametrize("dtype", [np.longdouble, np.complex64, "M8[s]"])
def test_dtypes_that_would_lose_something(dtype):
    if np.dtype(dtype) == np.float64:
        pytest.skip("long double is double here")
    with pytest.raises(TypeError, match="a must hold real numbers"):
        mf.linalg.inv(np.ones((2, 2)).astype(dtype))


def test_array_likes():
    a, b = [[2.0, 1.0], [1.0, 3.0]], [3.0, 5.0]
    expected = np.array([0.8, 1.4])
    for kind in (list, tuple):
        np.testing.assert_allclose(mf.linalg.solve(kind(a), kind(b)), expected, rtol=1e-15)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        column = mf.linalg.solve(np.matrix(a), np.matrix(b).T)
    assert type(column) is np.ndarray
    np.testing.assert_allclose(column, expected[:, None], rtol=1e-15)
    np.testing.assert_allclose(mf.linalg.solve(memoryview(np.array(a)), memoryview(np.array(b))), expected, rtol=1e-15)


@pytest.mark.parametrize(
    ("library", "array"),
    [
        ("pandas", lambda m, x: m.DataFrame(x)),
        ("polars", lambda m, x: m.DataFrame(x)),
        ("torch", lambda m, x: m.tensor(x)),
        ("jax.numpy", lambda m, x: m.asarray(x)),
    ],
)
def test_arrays_of_other_libraries(library, array):
    pytest.importorskip(library.split(".")[0])
    module = importlib.import_module(library)
    a = np.array([[2.0, 1.0], [1.0, 3.0]], np.float32)
    x = np.asarray(mf.linalg.inv(array(module, a)))
    assert x.dtype == np.float32
    np.testing.assert_allclose(x, [[0.6, -0.2], [-0.2, 0.4]], rtol=1e-6)
    assert float(np.asarray(mf.linalg.det(array(module, a)))) == pytest.approx(5)
    np.testing.assert_allclose(np.asarray(mf.linalg.solve(array(module, a), array(module, a))), np.eye(2), atol=1e-6)


def test_floating_point_errors_do_not_leak(rng):
    """Lanes compute with singular and padded items too; nobody is to hear of it."""
    a = rng.standard_normal((3, 4, 4))
    a[1] = 0
    with np.errstate(all="raise"):
        mf.linalg.solve(a, np.ones(4), errors="nan")
        mf.linalg.det(a)
        mf.linalg.slogdet(a)
        np.ones(3) + 1


# ---- the same bits ----


def test_same_bits_at_every_level_and_thread_count(same_at_every_level):
    same_at_every_level("""
        rng = np.random.default_rng(7)
        for dtype in (np.float64, np.float32):
            for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 16, 31, 32):
                for count in (1, 3, 8, 17, 3000 // n):
                    a = rng.standard_normal((count, n, n)).astype(dtype)
                    a[count // 2, 0] *= dtype(1e-30)
                    b = rng.standard_normal((count, n, 3)).astype(dtype)
                    digest(mf.linalg.solve(a, b), mf.linalg.solve(a, b[..., :1]), mf.linalg.solve(a, b[0, :, 0]))
                    digest(mf.linalg.inv(a), mf.linalg.det(a), *mf.linalg.slogdet(a))
    """)


def test_baseline_is_right_too(run_python):
    """The x86 baseline has no fused multiply-add: other bits, the same bound."""
    run_python(
        """
        import numpy as np, mmlfast as mf
        rng = np.random.default_rng(3)
        for dtype in (np.float64, np.float32):
            for n in (1, 2, 3, 4, 8, 9, 20, 32):
                a = rng.standard_normal((21, n, n)).astype(dtype)
                b = rng.standard_normal((21, n, 2)).astype(dtype)
                x = mf.linalg.solve(a, b)
                wide = [m.astype(np.longdouble) for m in (a, x, b)]
                size = np.abs(wide[0]).sum(-1).max(-1)[:, None] * np.abs(wide[1]).max(-2) + np.abs(wide[2]).max(-2)
                error = np.abs(wide[2] - wide[0] @ wide[1]).max(-2) / size
                assert error.max() <= 10 * n * np.finfo(dtype).eps / 2, (n, dtype)
                d = np.linalg.slogdet(a.astype(float))
                sign, logabs = mf.linalg.slogdet(a)
                assert (sign == d[0]).all() and np.abs(logabs - d[1]).max() < 1e5 * n * np.finfo(dtype).eps
        """,
        MMLFAST_SIMD="baseline",
    )


# ---- laws ----

small = st.integers(1, 10)
seeds = st.integers(0, 2**32 - 1)
law = settings(max_examples=60, deadline=None, derandomize=True)


@law
@given(small, seeds, st.booleans())
def test_law_solution_solves(n, seed, single):
    rng = np.random.default_rng(seed)
    dtype = np.float32 if single else np.float64
    a = (rng.standard_normal((5, n, n)) * 10.0 ** rng.integers(-6, 7, (5, n, 1))).astype(dtype)
    b = rng.standard_normal((5, n, 2)).astype(dtype)
    assert_solves(a, mf.linalg.solve(a, b), b)


@law
@given(small, seeds)
def test_law_det_of_a_product(n, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((2, 3, n, n))
    condition = np.linalg.cond(a) * np.linalg.cond(b)
    left, right = mf.linalg.slogdet(a @ b), (mf.linalg.slogdet(a), mf.linalg.slogdet(b))
    tolerance = 100 * n * unit_roundoff(float) * condition
    assert np.all(np.abs(left.logabsdet - right[0].logabsdet - right[1].logabsdet) <= tolerance)
    assert np.all((left.sign == right[0].sign * right[1].sign) | (tolerance > 0.1))


@law
@given(small, seeds)
def test_law_transpose_and_inverse(n, seed):
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((4, n, n)) + 2 * np.eye(n)
    tolerance = 100 * n * unit_roundoff(float) * np.linalg.cond(a).max()
    np.testing.assert_allclose(mf.linalg.slogdet(a.mT).logabsdet, mf.linalg.slogdet(a).logabsdet, atol=tolerance)
    inverse = mf.linalg.inv(a)
    np.testing.assert_allclose(mf.linalg.slogdet(inverse).logabsdet, -mf.linalg.slogdet(a).logabsdet, atol=tolerance)
    size = np.abs(a).max()
    np.testing.assert_allclose(mf.linalg.inv(inverse), a, atol=tolerance * size * np.linalg.cond(a).max())


@law
@given(small, seeds, st.integers(-30, 30))
def test_law_powers_of_two_change_no_digit(n, seed, power):
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((2, n, n)), rng.standard_normal((2, n, 1))
    scale = 2.0**power
    same_bits(mf.linalg.solve(a * scale, b * scale), mf.linalg.solve(a, b))
    same_bits(mf.linalg.inv(a * scale) * scale, mf.linalg.inv(a))
    same_bits(mf.linalg.det(a * scale), mf.linalg.det(a) * scale**n)


@law
@given(st.integers(1, 5), seeds)
def test_law_integers_are_those_of_float64_but_for_rounding(n, seed):
    rng = np.random.default_rng(seed)
    a = rng.integers(-9, 10, (3, n, n))
    np.testing.assert_allclose(mf.linalg.det(a), mf.linalg.det(a.astype(float)), rtol=1e-12, atol=1e-9)
    regular = a[mf.linalg.det(a) != 0]
    exact = mf.linalg.inv(regular)
    conditions = np.linalg.cond(regular.astype(float))[:, None, None]
    wrong = np.abs(exact - mf.linalg.inv(regular.astype(float))) / np.abs(exact).max(axis=(1, 2), keepdims=True)
    assert (wrong <= 20 * n * 2.0**-53 * conditions).all()


# ---- real matrices ----


@pytest.mark.filterwarnings("ignore:Ill-conditioned matrix")
@cases.every_matrix_market_file(square=True, largest=500)
def test_matrix_market(path, rng):
    a = cases.read_matrix_market(path)
    n = len(a)
    b = rng.standard_normal((n, 2))
    if np.linalg.matrix_rank(a) == n or mf.linalg.det(a) != 0:
        assert_solves(a, mf.linalg.solve(a, b, errors="nan"), b)
    sign, logabs = mf.linalg.slogdet(a)
    expected = np.linalg.slogdet(a)
    condition = np.linalg.cond(a)
    if condition < 1e12:
        assert sign == expected[0]
        # The last pivots of a matrix that is singular in rounding are noise.
        np.testing.assert_allclose(logabs, expected[1], atol=1e-9 if condition < 1e8 else 1e-3)
    if n <= 128:  # the same matrix in lanes
        stack = np.stack([a, a[::-1], a.T, *([a] * 14)])
        y = mf.linalg.solve(stack, b)
        for item in range(3):
            assert_solves(stack[item], y[item], b)


def test_singular_item_is_named_when_the_answer_overwrites_the_matrix():
    """`out=` may be the input: what was singular cannot be asked of it any more."""
    a = np.stack([2 * np.eye(3)] * 5)
    a[3] = 0
    with pytest.raises(LinAlgError, match=r"index \(3,\), 1 of 5"):
        mf.linalg.inv(a.copy(), out=(x := a.copy()))
    with pytest.raises(LinAlgError, match=r"index \(3,\), 1 of 5"):
        mf.linalg.inv(x := a.copy(), out=x)
    with pytest.raises(LinAlgError, match=r"index \(3,\), 1 of 5"):
        mf.linalg.solve(x := a.copy(), np.eye(3), out=x)


@every_dtype
@pytest.mark.parametrize("n", [4, 5, 6, 7, 8, 9])
def test_inverses_of_permutations_and_of_integers(n, dtype, rng):
    """Column by column up to 8 rows: another order of rows in every lane, and integers whose inverse is one of them."""
    order = rng.permuted(np.tile(np.arange(n), (40, 1)), axis=1)
    lower = np.tril(rng.integers(-1, 2, (40, n, n)), -1) + np.eye(n)
    a = np.stack([x[p] for x, p in zip(lower, np.argsort(order), strict=True)])
    expected = np.stack([np.rint(np.linalg.inv(x)) for x in a])
    np.testing.assert_array_equal(a @ expected, np.broadcast_to(np.eye(n), a.shape))  # integers: exact
    inverse = mf.linalg.inv(a.astype(dtype))
    assert np.abs(inverse - expected).max() <= 10 * n * np.finfo(dtype).eps * np.abs(expected).max() ** 2
    permutations = np.eye(n, dtype=dtype)[order]
    np.testing.assert_array_equal(mf.linalg.inv(permutations), permutations.mT)
