"""The unit of the data does not matter: decompositions and ranks at every scale, and with columns in own units."""

from __future__ import annotations

import cases
import mpmath
import numpy as np
import pytest
from cases import every_dtype, within
from hypothesis import given, settings
from hypothesis import strategies as st

import mmlfast as mf
from mmlfast.linalg import _column_units

law = settings(max_examples=60, deadline=None, derandomize=True)
SHAPES = [(n, n) for n in (2, 3, 5, 8, 12, 16, 24, 32, 33, 48)]
SHAPES += [(3, 1), (5, 3), (3, 5), (12, 4), (4, 12), (40, 16), (16, 40), (100, 33), (600, 3), (1100, 5), (5, 1100)]
WIDE = {np.float32: 120, np.float64: 1000}  # exponents up to here, both ways


def eps(dtype):
    return float(np.finfo(dtype).eps)


def long(x):
    return np.asarray(x, np.longdouble)


def far_from_orthonormal(q):
    g = long(q).T @ long(q) - np.eye(q.shape[1])
    return float(np.sqrt((g * g).sum()))


def of_kind(kind, rng, m, n, dtype):
    """A matrix with numbers between 2^-WIDE and 2^WIDE."""
    h = WIDE[dtype]
    a = rng.standard_normal((m, n)) / 64
    power = {
        "huge": h,
        "tiny": -h,
        "columns": rng.integers(-h, h, n),
        "columns in half the range": rng.integers(-h // 2, h // 2, n),
        "rows": rng.integers(-h, h, (m, 1)),
        "elements": rng.integers(-h, h, (m, n)),
    }[kind]
    return np.ldexp(a, power).astype(dtype)


every_kind = within("kind", ["huge", "tiny", "columns", "columns in half the range", "rows", "elements"])
every_shape = pytest.mark.parametrize(("m", "n"), SHAPES, ids=str)


def exact_values(a):
    """Singular values by mpmath, from the exact numbers."""
    with mpmath.workdps(700):
        s = mpmath.svd_r(mpmath.matrix([[mpmath.mpf(float(x)) for x in row] for row in a]), compute_uv=False)
        return sorted((s[i] for i in range(len(s))), reverse=True)


# ---- finite matrices give NaN ----


@pytest.mark.parametrize(
    ("a", "dtype"),
    [
        ([[1, 1e20], [1, -1e19]], np.float32),
        ([[1, 1e30], [1, -1e29]], np.float32),
        ([[1, 1e160], [1, -1e159]], np.float64),
        ([[1, 1e300], [1, -1e299]], np.float64),
        ([[1e-20, 1e20, 1], [1e-20, -1e19, 2], [2e-20, 1e19, 1]], np.float32),
        ([[1e-300, 1e300], [1e-300, -1e299], [3e-300, 1e298]], np.float64),
    ],
)
def test_small_singular_values_of_columns_far_apart(a, dtype):
    a = np.array(a, dtype)
    expected = exact_values(a)
    for matrix in (a, np.stack([a] * 20), *([a.T.copy()] if len(a) > len(a.T) else [])):
        for s in (mf.linalg.svdvals(matrix), mf.linalg.svd(matrix).S):
            for value, right in zip(s.reshape(-1, len(expected))[-1], expected, strict=True):
                assert abs(float(value) / right - 1) <= 20 * eps(dtype)
    assert mf.linalg.matrix_rank(a) == len(expected)
    assert not np.isnan(mf.linalg.cond(a))
    assert not np.isnan(mf.linalg.pinv(a)).any()


@every_dtype
@every_kind
@every_shape
def test_svd_of_every_finite_matrix(m, n, kind, dtype, rng):
    a = of_kind(kind, rng, m, n, dtype)
    k, u = min(m, n), 10 * max(m, n) * eps(dtype)
    for matrix in (a, np.stack([rng.standard_normal((m, n)).astype(dtype)] * 16 + [a])):
        result = mf.linalg.svd(matrix, full_matrices=False)
        left, s, right = (x if matrix is a else x[-1] for x in result)
        assert far_from_orthonormal(left) <= u
        assert far_from_orthonormal(right.T) <= u
        product = (long(left) * long(s)) @ long(right)
        assert np.abs(product - long(a)).max() <= u * np.sqrt(k) * np.abs(long(a)).max()
        values = mf.linalg.svdvals(matrix) if matrix is a else mf.linalg.svdvals(matrix)[-1]
        assert (np.abs(long(values) - long(s)) <= u * long(s[0])).all()


@every_dtype
@every_kind
@every_shape
def test_qr_of_every_finite_matrix(m, n, kind, dtype, rng):
    a = of_kind(kind, rng, m, n, dtype)
    for matrix in (a, np.stack([rng.standard_normal((m, n)).astype(dtype)] * 16 + [a])):
        q, r = (x if matrix is a else x[-1] for x in mf.linalg.qr(matrix))
        assert far_from_orthonormal(q) <= 10 * max(m, n) * eps(dtype)
        error = np.sqrt(((long(q) @ long(r) - long(a)) ** 2).sum(axis=0))
        length = np.sqrt((long(a) ** 2).sum(axis=0))
        least = long(np.finfo(dtype).smallest_subnormal) * m
        assert (error <= 10 * max(m, n) * eps(dtype) * length + least).all()
    h, tau = mf.linalg.qr(a, "raw")
    assert np.isfinite(h).all()
    assert np.isfinite(tau).all()


def test_r_of_columns_whose_product_overflows():
    a = np.array([[1e13, 1e30], [-1, 1e29], [1, 1]], np.float32)
    q, r = mf.linalg.qr(a)
    expected = np.linalg.qr(a.astype(np.float64))
    np.testing.assert_allclose(r, expected.R, rtol=1e-5)
    np.testing.assert_allclose(q, expected.Q, atol=1e-6)
    for power in (100, 300):
        a = np.array([[1.0, 10.0**power], [-1, 10.0 ** (power - 1)], [1, 1]])
        assert np.isfinite(mf.linalg.qr(a).R).all()


@every_dtype
@every_kind
@pytest.mark.parametrize("method", ["cgs2", "householder", "mgs", "cgs"])
@every_shape
def test_gram_schmidt_of_every_finite_matrix(m, n, method, kind, dtype, rng):
    q, rank, orthogonality = mf.linalg.gram_schmidt(of_kind(kind, rng, m, n, dtype), method=method)
    assert np.isfinite(q).all()
    assert rank == (q != 0).any(axis=0).sum()
    if method in ("cgs2", "householder"):
        assert orthogonality <= 10 * n * eps(dtype)


@every_dtype
@every_kind
@pytest.mark.parametrize("n", [2, 3, 4, 8, 16, 24, 33, 60])
def test_eigh_of_every_finite_matrix(n, kind, dtype, rng):
    below = np.tril(of_kind(kind, rng, n, n, dtype) / 8)
    a = below + np.tril(below, -1).T
    w, v = mf.linalg.eigh(a)
    assert far_from_orthonormal(v) <= 10 * n * eps(dtype)
    assert np.abs((long(v) * long(w)) @ long(v).T - long(a)).max() <= 20 * n * eps(dtype) * np.abs(long(a)).max()
    assert np.abs(mf.linalg.eigvalsh(a) - w).max() <= 20 * n * eps(dtype) * np.abs(w).max()


@every_dtype
@pytest.mark.parametrize("p", [None, 2, -2, 1, -1, np.inf, "fro", "nuc"])
@pytest.mark.parametrize("n", [3, 40])
def test_condition_at_the_ends_of_the_range(n, p, dtype, rng):
    a = (cases.of_condition(rng, n, n, 1e3) / 64).astype(dtype)
    expected = mf.linalg.cond(a, p)
    for power in (WIDE[dtype], -WIDE[dtype] // 2):
        np.testing.assert_allclose(mf.linalg.cond(np.ldexp(a, power), p), expected, rtol=1e3 * n * eps(dtype))
    tiny = np.diag(np.array([3, 2, 1], dtype)) * np.finfo(dtype).smallest_subnormal
    assert mf.linalg.cond(tiny, p) == pytest.approx(mf.linalg.cond(np.diag([3.0, 2, 1]), p), rel=1e-5)


def test_pinv_beyond_the_range_is_infinite_and_no_nan(rng):
    for n in (3, 20, 40):
        x = mf.linalg.pinv(np.ldexp(rng.standard_normal((n, n)), -1060))
        assert np.isinf(x).any()
        assert not np.isnan(x).any()


# ---- powers of two ----


@law
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32), st.integers(-900, 900))
def test_law_a_power_of_two_changes_no_digit(m, n, seed, power):
    a = np.random.default_rng(seed).standard_normal((m, n))
    b = np.ldexp(a, power)
    for x, y in zip(mf.linalg.svd(a, full_matrices=False), mf.linalg.svd(b, full_matrices=False), strict=True):
        if x.ndim == 1:
            np.testing.assert_allclose(np.ldexp(y, -power), x, atol=1e-13 * x.max())
    q, r = mf.linalg.qr(a)
    np.testing.assert_array_equal(mf.linalg.qr(b).Q, q)
    np.testing.assert_array_equal(np.ldexp(mf.linalg.qr(b).R, -power), r)
    np.testing.assert_array_equal(mf.linalg.gram_schmidt(b).basis, mf.linalg.gram_schmidt(a).basis)
    np.testing.assert_allclose(np.ldexp(mf.linalg.pinv(b), power), mf.linalg.pinv(a), rtol=1e-9)
    for x, y in zip(mf.linalg.row_echelon(a), mf.linalg.row_echelon(b), strict=True):
        np.testing.assert_array_equal(x, y)


@law
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32), st.sampled_from([np.float32, np.float64]))
def test_law_units_of_columns_change_no_digit(m, n, seed, dtype):
    """Of what has columns of its own; and no rank."""
    rng = np.random.default_rng(seed)
    h = {np.float32: 50, np.float64: 400}[dtype]
    rank = int(rng.integers(1, min(m, n) + 1))
    a = (rng.standard_normal((m, rank)) @ rng.standard_normal((rank, n))).astype(dtype)
    power = rng.integers(-h, h, n)
    b = np.ldexp(a, power)
    if rank == min(m, n):  # noise that is left of a column may be out of range beside others
        q, r = mf.linalg.qr(a)
        np.testing.assert_array_equal(mf.linalg.qr(b).Q, q)
        np.testing.assert_array_equal(np.ldexp(mf.linalg.qr(b).R, -power), r)
    for method in ("cgs", "mgs", "cgs2", "householder"):
        x, y = mf.linalg.gram_schmidt(a, method=method), mf.linalg.gram_schmidt(b, method=method)
        assert x.rank == y.rank
        np.testing.assert_array_equal(x.basis, y.basis)
    upper, again = mf.linalg.row_echelon(a, reduced=False), mf.linalg.row_echelon(b, reduced=False)
    assert upper.pivots == again.pivots
    np.testing.assert_array_equal(np.ldexp(again.form, -power), upper.form)
    assert mf.linalg.matrix_rank(b) == mf.linalg.matrix_rank(a)
    assert mf.linalg.orth(b).shape == mf.linalg.orth(a).shape
    assert mf.linalg.null_space(b).shape == mf.linalg.null_space(a).shape
    if m == n:
        assert mf.linalg.is_singular(b) == mf.linalg.is_singular(a)


# ---- what counts as zero ----


def all_ranks(a):
    return {
        int(mf.linalg.matrix_rank(a)),
        mf.linalg.gram_schmidt(a).rank,
        mf.linalg.row_echelon(a).rank,
        mf.linalg.orth(a).shape[1],
        a.shape[1] - mf.linalg.null_space(a).shape[1],
    }


def test_one_rank_for_columns_in_different_units():
    a = np.array([[4e18, 1e9], [1e9, 1]])
    assert all_ranks(a) == {2}
    assert not mf.linalg.is_singular(a)
    assert mf.linalg.matrix_rank(np.diag([1.0, 1e-30])) == 2
    t = 1.71e9 + 30.0 * np.arange(200)
    assert all_ranks(np.stack([np.ones(200), t, t * 1e12], axis=1)) == {2}


def test_tolerances_that_are_given_are_about_the_matrix_as_it_is():
    a = np.diag([1.0, 1e-30])
    assert mf.linalg.matrix_rank(a, rtol=1e-15) == 1
    assert mf.linalg.matrix_rank(a, tol=1e-15) == 1
    assert mf.linalg.orth(a, rcond=1e-15).shape == (2, 1)
    assert mf.linalg.null_space(a, rcond=1e-15).shape == (2, 1)
    np.testing.assert_array_equal(mf.linalg.pinv(a, 1e-15), [[1, 0], [0, 0]])
    np.testing.assert_allclose(mf.linalg.pinv(a), [[1, 0], [0, 1e30]], rtol=1e-15)


@pytest.mark.parametrize("dependent", [False, True])
def test_columns_do_not_disappear_in_many_rows(dependent):
    rng, n = np.random.default_rng(1), 800_000
    a = np.ones((n, 3), np.float32)
    a[:, 1] = rng.standard_normal(n)
    a[:, 2] = a[:, 0] + a[:, 1] if dependent else 0.06 * rng.standard_normal(n)
    rank = 2 if dependent else 3
    assert mf.linalg.matrix_rank(a) == rank
    assert mf.linalg.matrix_rank(a * np.float32([1e9, 1, 1e-20])) == rank
    assert mf.linalg.gram_schmidt(a).rank == rank
    assert mf.linalg.orth(a[:50_000]).shape[1] == rank
    x = mf.linalg.pinv(a[:50_000])
    assert round(float((x @ a[:50_000]).trace())) == rank


@every_dtype
def test_what_depends_to_rounding_stays_dependent_in_any_units(dtype, rng):
    """Sums of other columns, duplicates, an intercept beside all dummies, products of few factors."""
    h = {np.float32: 40, np.float64: 300}[dtype]
    for m in (6, 12, 40, 300):
        x = rng.standard_normal((m, 4)).astype(dtype)
        dummies = np.eye(3, dtype=dtype)[rng.integers(0, 3, m)]
        dummies[:3] = np.eye(3)
        for a, rank in (
            (np.c_[x, x.sum(axis=1)], 4),
            (np.c_[x, x[:, 1]], 4),
            (np.c_[np.ones(m, dtype), dummies, x[:, :1]], 4),
            (x @ rng.standard_normal((4, 7)).astype(dtype), 4),
        ):
            b = np.ldexp(a, rng.integers(-h, h, a.shape[1])).astype(dtype)
            for matrix in (a, b):
                assert mf.linalg.matrix_rank(matrix) == rank
                assert mf.linalg.orth(matrix).shape[1] == rank
                z = mf.linalg.null_space(matrix)
                assert z.shape[1] == a.shape[1] - rank
                assert far_from_orthonormal(z) <= 100 * eps(dtype)
                assert np.abs(long(matrix) @ long(z)).max() <= 1e3 * eps(dtype) * np.abs(long(matrix)).max()


@every_dtype
def test_factors_of_equations_do_not_matter(dtype, rng):
    h = {np.float32: 40, np.float64: 400}[dtype]
    for n in (2, 5, 9, 20):
        sparse = rng.standard_normal((n, n)) * (rng.random((n, n)) < 0.6) + np.eye(n)
        double = rng.standard_normal((n, n))
        double[:, -1] = double[:, :-1].sum(axis=1)
        for a in (rng.standard_normal((n, n)), sparse, double):
            a = a.astype(dtype)
            for rows, columns in ((h, 0), (0, h), (h // 2, h // 2)):
                b = np.ldexp(a, rng.integers(-rows, rows + 1, (n, 1)) + rng.integers(-columns, columns + 1, n))
                assert mf.linalg.row_echelon(b).pivots == mf.linalg.row_echelon(a).pivots
                assert mf.linalg.is_singular(b) == mf.linalg.is_singular(a)


@every_dtype
@pytest.mark.parametrize(("m", "n"), [(2, 2), (5, 3), (3, 5), (9, 9), (30, 8), (8, 30), (40, 40), (1200, 4)])
def test_pinv_of_columns_in_different_units(m, n, dtype, rng):
    """Of full rank, that of A D is the inverse of D times that of A; with rows, for wide matrices, from the right."""
    h = {np.float32: 30, np.float64: 400}[dtype]
    a = rng.standard_normal((m, n)).astype(dtype)
    power = rng.integers(-h, h, n) if m >= n else rng.integers(-h, h, (m, 1))
    expected = np.ldexp(np.linalg.pinv(a.astype(np.float64)), -(power[:, None] if m >= n else power[:, 0]))
    b = np.ldexp(a, power)
    for x in (mf.linalg.pinv(b), mf.linalg.pinv(np.stack([b, a, b]))[2]):
        size = np.abs(expected).max(axis=1 if m >= n else 0, keepdims=True)
        assert (np.abs(x - expected) <= 10 * max(m, n) * np.linalg.cond(a) * eps(dtype) * size).all()


@pytest.mark.parametrize(("m", "n"), [(6, 4), (4, 6), (9, 9), (40, 30)])
def test_pinv_of_dependent_columns_in_different_units(m, n, rng):
    a = rng.standard_normal((m, 3)) @ rng.standard_normal((3, n))
    a = np.ldexp(a, rng.integers(-8, 8, n) if m >= n else rng.integers(-8, 8, (m, 1)))
    for b in (a, np.ldexp(a, 400)):
        x = mf.linalg.pinv(b)
        assert (np.linalg.norm(b @ x @ b - b, axis=0) <= 1e-9 * np.linalg.norm(b, axis=0)).all()
        assert (np.linalg.norm(x @ b @ x - x, axis=1) <= 1e-9 * np.linalg.norm(x, axis=1)).all()
        np.testing.assert_allclose(b @ x, (b @ x).T, atol=1e-9)
        np.testing.assert_allclose(x @ b, (x @ b).T, atol=1e-9)


def test_pinv_of_badly_scaled_matrices_leaves_the_others_alone(rng):
    a = np.ldexp(rng.standard_normal((30, 5, 4)), rng.integers(-10, 10, (30, 1, 4)))
    a[7] = np.ldexp(a[7], [0, 0, -90, 0])
    a[9, :, 1] = a[9, :, 0] * 2**12
    a[11, :, 2] = 0
    for stack in (a, np.swapaxes(a, -1, -2)):
        together = mf.linalg.pinv(stack)
        for i in range(30):
            np.testing.assert_array_equal(mf.linalg.pinv(stack[i]), together[i])


def test_rank_of_symmetric_matrices_in_different_units(rng):
    x = rng.standard_normal((50, 4)) * [1, 1e4, 1e-3, 1]
    x[:, 3] = x[:, 0] * 2
    covariance = x.T @ x
    assert mf.linalg.matrix_rank(covariance) == mf.linalg.matrix_rank(covariance, hermitian=True) == 3
    lower = np.tril(covariance) + np.triu(rng.standard_normal((4, 4)), 1)
    assert mf.linalg.matrix_rank(lower, hermitian=True) == 3


@pytest.mark.parametrize("p", [1, -1, np.inf, "fro", "nuc", None])
def test_layout_changes_no_bit_of_cond_and_reflection_matrix(p, rng):
    for shape in ((14, 14), (20, 14, 14), (50, 50)):
        a = rng.standard_normal(shape)
        apart = np.zeros((*shape[:-1], 2 * shape[-1]))[..., ::2]
        apart[...] = a
        for b in (np.asfortranarray(a), apart, np.ascontiguousarray(a[..., ::-1])[..., ::-1]):
            np.testing.assert_array_equal(mf.linalg.cond(b, p), mf.linalg.cond(a, p))
            np.testing.assert_array_equal(mf.linalg.reflection_matrix(b), mf.linalg.reflection_matrix(a))


@pytest.mark.parametrize(("shape", "dtype"), [((13, 12), "f4"), ((20, 12), "f4"), ((12, 20), "f4"), ((8, 3), "f8")])
def test_singular_vectors_of_rows_far_apart(shape, dtype):
    """Columns that are nearly nothing beside others gave reflections that were none: vectors of length 1.08."""
    reach = 35 if dtype == "f4" else 300
    n = min(shape)
    for seed in range(40):
        r = np.random.default_rng(seed)
        rows = 10.0 ** r.integers(-reach, reach + 1, (max(shape), 1))
        a = (r.standard_normal((max(shape), n)) * rows).astype(dtype)
        u, _, vh = mf.linalg.svd(a if shape[0] > shape[1] else a.T, full_matrices=False)
        for q in (u.astype(float), vh.T.astype(float)):
            np.testing.assert_allclose(q.T @ q, np.eye(n), atol=10 * max(shape) * np.finfo(dtype).eps)


def test_pinv_of_entries_over_the_whole_range():
    for a in ([[1e281, 1e-59, 0], [0, 0, 0], [0, 0, 1e-102]], [[1e300, 1e-300, 0], [0, 0, 0], [0, 0, 1e-10]]):
        x = mf.linalg.pinv(np.array(a))
        assert np.isfinite(x).all()
        np.testing.assert_allclose(x[0, 0], 1 / a[0][0])


def test_eigenvalues_of_next_to_nothing_are_in_order():
    a = [[-2.7e268, -1e-254, 8.7e69], [-1e-254, 1.3e-55, 7.6e89], [8.7e69, 7.6e89, -4.8e-77]]
    values, vectors = mf.linalg.eigh(a)
    assert (np.diff(values) >= 0).all()
    assert (np.diff(mf.linalg.eigvalsh(np.stack([a] * 3))) >= 0).all()
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(3), atol=1e-15)


def test_lengths_of_columns_are_told_by_their_exponents(rng):
    for rows in (1, 3, 40, 5000):
        a = np.ldexp(rng.choice([-1.0, 1.0], (rows, 5)), rng.integers(-400, 400, 5))
        lengths = np.linalg.norm(np.ldexp(a, -_column_units.length_exponents(a)), axis=0)
        assert (lengths >= 0.25).all()
        assert (lengths <= 2).all()


@every_dtype
@pytest.mark.parametrize(("rows", "counted"), [(300, 300), (1024, 1024), (1500, 1024), (5000, 1024)])
def test_what_counts_as_zero_stops_growing_with_the_rows(rows, counted, dtype):
    """The default tolerances of float32 would else leave nothing of a million rows."""
    for factor, rank in ((0.9, 1), (1.1, 2)):
        a = np.zeros((rows, 2), dtype)  # columns of one length, singular values in the ratio of x / 2
        a[0], a[1, 1] = 1, 2 * factor * counted * eps(dtype)
        assert mf.linalg.matrix_rank(a) == rank


@pytest.mark.parametrize("n", [2, 3, 4, 6, 12])
def test_last_column_of_a_square_matrix_far_below_the_others(n, rng):
    """No reflection looks at it: its products with the others would underflow."""
    a = np.ldexp(rng.standard_normal((n, n)), -290)
    a[:, -1] = np.ldexp(a[:, -1], -500)
    q, r = mf.linalg.qr(np.stack([a] * 8))
    expected = mf.linalg.qr(np.ldexp(a, [290] * (n - 1) + [790]))
    np.testing.assert_allclose(np.ldexp(r[3], [290] * (n - 1) + [790]), expected.R, atol=100 * n * eps(np.float64))
    np.testing.assert_allclose(q[3], expected.Q, atol=100 * n * eps(np.float64))
