"""linalg.lu against SciPy, and against what its factors multiply to."""

from __future__ import annotations

import cases
import numpy as np
import pytest
import scipy.linalg
from cases import every_batch_size, every_case, every_dtype, same_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.linalg import LinAlgError

import mmlfast as mf

SHAPES = (
    *((n, n) for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 16, 17, 31, 32, 33, 64, 65, 128, 129)),
    *((5, 3), (3, 5), (9, 4), (4, 9), (12, 1), (1, 12), (32, 7), (7, 32), (33, 5), (5, 33), (128, 6), (140, 20)),
    *((20, 140), (64, 63), (63, 64)),
)


def unit_roundoff(dtype):
    return float(np.finfo(dtype).eps) / 2


def assert_factors(a, p, lower, upper):
    """p @ lower @ upper is a within 10 n u norm(lower) norm(upper); unit triangles; no large multiplier."""
    m, n = a.shape[-2:]
    k = min(m, n)
    assert p.shape == (*a.shape[:-2], m, m)
    assert lower.shape == (*a.shape[:-2], m, k)
    assert upper.shape == (*a.shape[:-2], k, n)
    assert p.dtype == lower.dtype == upper.dtype == a.dtype
    np.testing.assert_array_equal(np.sort(p, axis=-1), np.broadcast_to(np.arange(m) == m - 1, p.shape))
    np.testing.assert_array_equal(p.sum(axis=-2), np.ones(p.shape[:-1]))
    assert not np.triu(lower, 1).any()
    assert not np.tril(upper, -1).any()
    np.testing.assert_array_equal(np.diagonal(lower, axis1=-2, axis2=-1), np.ones((*a.shape[:-2], k)))
    assert np.abs(lower).max(initial=0) <= 1
    extended = np.longdouble if max(m, n) <= 40 else np.float64
    wide, p, x, y = (m.astype(extended) for m in (a, p, lower, upper))
    residual = np.abs(p @ (x @ y) - wide).sum(axis=-1).max(axis=-1, initial=0)
    size = np.abs(x).sum(axis=-1).max(axis=-1, initial=0) * np.abs(y).sum(axis=-1).max(axis=-1, initial=0)
    assert np.all(residual <= 10 * max(m, n) * unit_roundoff(a.dtype) * size + np.finfo(a.dtype).smallest_subnormal)


@every_case("square")
def test_square(case):
    factors = mf.linalg.lu(case.array)
    assert_factors(case.plain, *factors)
    for ours, plain in zip(factors, mf.linalg.lu(case.plain), strict=True):
        same_bits(ours, plain)


@every_case("tall")
def test_tall(case):
    assert_factors(case.plain, *mf.linalg.lu(case.array))


@every_case("wide")
def test_wide(case):
    assert_factors(case.plain, *mf.linalg.lu(case.array))


@every_dtype
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_shape(shape, dtype, rng):
    for count in (1, 2, 17):
        a = rng.standard_normal((count, *shape)).astype(dtype)
        p, lower, upper = mf.linalg.lu(a)
        assert_factors(a, p, lower, upper)
        q, left, right = scipy.linalg.lu(a[-1])
        np.testing.assert_array_equal(p[-1], q)  # the pivots of LAPACK: no ties among random numbers
        close = 1000 * max(shape) * unit_roundoff(dtype) * np.linalg.cond(a[-1].astype(float)[:, : min(shape)])
        np.testing.assert_allclose(lower[-1], left, atol=close)
        np.testing.assert_allclose(upper[-1], right, atol=close * np.abs(right).max())
        index, left, right = mf.linalg.lu(a, p_indices=True)
        assert index.dtype == np.int32
        same_bits(left, lower)
        same_bits(right, upper)
        np.testing.assert_array_equal(np.eye(shape[0])[index], p)
        same_bits(np.take_along_axis(lower, index[..., None].astype(int), axis=-2), mf.linalg.lu(a, permute_l=True).PL)
        same_bits(mf.linalg.lu(a, permute_l=True).U, upper)


def test_the_results_of_scipy(rng):
    a = rng.standard_normal((2, 3, 6, 4))
    for options in ({}, {"p_indices": True}, {"permute_l": True}):
        ours, theirs = mf.linalg.lu(a, **options), scipy.linalg.lu(a, **options)
        assert len(ours) == len(theirs)
        for mine, its in zip(ours, theirs, strict=True):
            assert mine.dtype == its.dtype
            np.testing.assert_allclose(mine, its, atol=1e-12)
    assert mf.linalg.lu(a)._fields == ("P", "L", "U")
    assert mf.linalg.lu(a, True)._fields == ("PL", "U")
    kept = a.copy()
    mf.linalg.lu(a, overwrite_a=True)
    same_bits(a, kept)


@every_dtype
@every_batch_size
def test_an_item_has_the_same_bits_everywhere(batch, dtype, rng):
    a = rng.standard_normal((batch, 9, 6)).astype(dtype)
    whole = mf.linalg.lu(a)
    order = rng.permutation(batch)
    for shuffled, x in zip(mf.linalg.lu(a[order]), whole, strict=True):
        same_bits(shuffled, x[order])
    for i in range(min(batch, 3)):
        for alone, x in zip(mf.linalg.lu(a[i]), whole, strict=True):
            same_bits(alone, x[i])


# ---- singular matrices, hard ones, bad numbers ----


@every_dtype
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 9, 12, 20, 40, 140])
def test_singular(n, dtype, rng):
    """A pivot of zero is no failure: what is above and beside it is right, and the product too."""
    integers = rng.integers(-3, 4, (n, n)).astype(dtype)
    singular = [np.zeros((n, n), dtype), np.ones((n, n), dtype), np.tri(n, k=-1, dtype=dtype), np.tri(n, dtype=dtype).T]
    singular.append(np.where(np.arange(n) == n // 2, 0, integers).astype(dtype))
    singular.append(np.where(np.arange(n)[:, None] < n // 2, 0, integers).astype(dtype))
    stack = np.stack(singular * 3)
    for a in (stack, stack[:5]):
        factors = mf.linalg.lu(a)
        assert_factors(a, *factors)
    for a in singular:
        ours, theirs = mf.linalg.lu(a), scipy.linalg.lu(a)
        if a is not singular[-1] and a is not singular[-2]:  # ties are broken as in LAPACK too, if nothing is rounded
            for x, y in zip(ours, theirs, strict=True):
                np.testing.assert_array_equal(x, y)


@every_dtype
@pytest.mark.parametrize("n", [2, 3, 5, 8, 10, 16, 33, 64])
def test_hard_matrices(n, dtype, rng):
    for name, hard in (*cases.hard_squares(rng, n), ("growth", cases.wilkinson_growth(n))):
        a = hard.astype(dtype)
        for batch in (1, 17):
            factors = mf.linalg.lu(np.broadcast_to(a, (batch, n, n)))
            with cases.saying(name, batch):
                assert_factors(a, *(x[-1] for x in factors))
    for _, hard in cases.hard_rectangles(rng, n + 3, n):
        a = hard.astype(dtype)
        assert_factors(a, *mf.linalg.lu(a))
        assert_factors(a.T, *mf.linalg.lu(a.T))


@every_dtype
@pytest.mark.parametrize(("m", "n"), [(1, 1), (3, 3), (9, 4), (4, 9), (20, 20), (40, 40), (40, 20)])
def test_denormals(m, n, dtype, rng):
    a = cases.denormal(rng, m, n, dtype)
    p, lower, upper = mf.linalg.lu(a)
    assert np.abs(lower).max() <= 1
    residual = np.abs(p.astype(np.longdouble) @ (lower.astype(np.longdouble) @ upper.astype(np.longdouble)) - a)
    assert residual.max() <= min(m, n) * 2 * float(np.finfo(dtype).smallest_subnormal)


@every_dtype
@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (9, 4), (4, 9), (17, 17)])
def test_bad_numbers_stay_in_their_item(shape, dtype, rng):
    a = rng.standard_normal((20, *shape)).astype(dtype)
    whole = mf.linalg.lu(a)
    others = np.arange(20) != 5
    for index, bad in cases.poisoned(a[5]):
        if shape[0] > 9 and sum(index) % 5:
            continue
        mixed = a.copy()
        mixed[5] = bad
        factors = mf.linalg.lu(mixed)
        for x, y in zip(factors, whole, strict=True):
            same_bits(x[others], y[others])
        assert not all(np.isfinite(x[5]).all() for x in factors)
        with pytest.raises(ValueError, match="lu: a must not contain infs or NaNs"):
            mf.linalg.lu(mixed, check_finite=True)
    bad = rng.standard_normal((2, 60, 60)).astype(dtype)
    clean = mf.linalg.lu(bad[1])
    bad[0, 3, 4] = np.nan
    for x, y in zip(mf.linalg.lu(bad), clean, strict=True):
        same_bits(x[1], y)


@cases.every_matrix_market_file(largest=700)
def test_matrix_market(path):
    a = cases.read_matrix_market(path)
    p, lower, upper = mf.linalg.lu(a)
    assert np.abs(lower).max() <= 1
    error = np.linalg.norm(p @ lower @ upper - a, 1)
    assert error <= 10 * max(a.shape) * unit_roundoff(float) * np.linalg.norm(lower, 1) * np.linalg.norm(upper, 1)
    if max(a.shape) <= 128:  # the same matrix in lanes
        assert_factors(a, *(x[8] for x in mf.linalg.lu(np.stack([a] * 9))))


# ---- shapes and dtypes ----


@every_dtype
@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (2, 0, 4), (0, 3, 3), (0, 200, 100), (200, 0), (5, 40, 0)])
def test_empty(shape, dtype):
    a = np.zeros(shape, dtype)
    assert_factors(a, *mf.linalg.lu(a))
    assert mf.linalg.lu(a, p_indices=True).P.shape == shape[:-1]
    assert mf.linalg.lu(a, permute_l=True).PL.shape == (*shape[:-1], min(shape[-2:]))


@pytest.mark.parametrize("wrong", [np.ones(3), np.float64(1)])
def test_too_few_dimensions(wrong):
    with pytest.raises(LinAlgError, match="lu: a must be a matrix"):
        mf.linalg.lu(wrong)


def test_dtypes():
    assert mf.linalg.lu([[2, 1], [1, 3]]).U.dtype == np.float64
    assert mf.linalg.lu(np.eye(3, dtype=bool)).L.dtype == np.float64
    for wrong in (np.eye(2, dtype=complex), np.eye(2).astype(object), np.eye(2).astype("U3")):
        with pytest.raises(TypeError, match="a must hold real numbers"):
            mf.linalg.lu(wrong)


def test_same_bits_at_every_level_and_thread_count(same_at_every_level):
    same_at_every_level("""
        rng = np.random.default_rng(7)
        for dtype in (np.float64, np.float32):
            for m, n in ((1, 1), (2, 2), (3, 3), (4, 6), (6, 4), (8, 8), (9, 9), (13, 5), (16, 31), (32, 32), (65, 65)):
                for count in (1, 3, 17, 3000 // n):
                    if m > 32 and count < 16:
                        continue
                    a = rng.standard_normal((count, m, n)).astype(dtype)
                    a[count // 2, 0] *= dtype(1e-30)
                    a[count // 3] = 0
                    digest(*mf.linalg.lu(a), *mf.linalg.lu(a, p_indices=True), *mf.linalg.lu(a, permute_l=True))
    """)


law = settings(max_examples=60, deadline=None, derandomize=True)


@law
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_law_product(m, n, seed):
    a = np.random.default_rng(seed).standard_normal((3, m, n))
    assert_factors(a, *mf.linalg.lu(a))


@law
@given(st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_law_determinant_is_the_product_of_the_diagonal(n, seed):
    a = np.random.default_rng(seed).standard_normal((n, n))
    p, _, upper = mf.linalg.lu(a)
    product = np.prod(np.diag(upper)) * np.linalg.det(p)
    assert mf.linalg.det(a) == pytest.approx(product, rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("shape", [(20, 20), (20, 13), (13, 20), (69, 69), (97, 75), (75, 97)])
@every_dtype
def test_a_nan_stays_in_its_row(shape, dtype, rng):
    """It is no pivot where there is a number, alone, in lanes or in blocks; the other rows are factored as they are."""
    a = rng.standard_normal((9, *shape)).astype(dtype)
    for item in a[1:]:
        item[rng.integers(shape[0]), rng.integers(shape[1])] = np.nan
    p, lower, upper = mf.linalg.lu(a)
    for i, item in enumerate(a):
        for one, of_batch in zip(mf.linalg.lu(item), (p[i], lower[i], upper[i]), strict=True):
            np.testing.assert_array_equal(one, of_batch)
        finite = np.isfinite(item).all(axis=1)
        product = (lower[i] @ upper[i])[p[i].argmax(axis=1)][finite]
        np.testing.assert_allclose(
            np.where(np.isfinite(product), product, item[finite]), item[finite], atol=1000 * unit_roundoff(dtype)
        )
