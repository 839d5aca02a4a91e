"""linalg.svd, svdvals, pinv, matrix_rank, cond, orth, null_space against NumPy, mpmath and the laws of the SVD."""

from __future__ import annotations

import cases
import numpy as np
import pytest
import scipy.linalg
from cases import (
    every_batch_size,
    every_case,
    every_dtype,
    every_matrix_market_file,
    poisoned,
    read_matrix_market,
    same_bits,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.linalg import LinAlgError

import mmlfast as mf
from mmlfast._reference import svd as reference

la = mf.linalg
SHAPES = [
    *((n, n) for n in (*range(1, 20), 24, 31, 32, 33, 40, 64, 65)),
    *((m, n) for m, n in ((2, 1), (3, 2), (5, 3), (9, 8), (10, 8), (17, 16), (50, 5), (40, 33), (100, 20), (1030, 3))),
]
SHAPES += [(n, m) for m, n in SHAPES if m != n]


def unit(dtype):
    return float(np.finfo(dtype).eps) / 2


def norm2(a):
    """An upper bound of the 2-norm: the Frobenius norm, or what the norms of rows and columns say."""
    if 48 <= a.shape[-1] <= 100:  # the bounds are too far away
        return np.linalg.norm(a.astype(float), 2, axis=(-2, -1))
    a = np.abs(a.astype(float))
    by_sums = a.sum(axis=-1).max(axis=-1, initial=0) * a.sum(axis=-2).max(axis=-1, initial=0)
    return np.sqrt(np.minimum((a**2).sum(axis=(-2, -1)), by_sums))


def assert_decomposes(a, result, whole=None):
    """DESIGN's bounds: residual and orthogonality of at most 10 max(m, n) u, and everything of the right shape."""
    u, s, vh = (np.asarray(x) for x in result)
    m, n = a.shape[-2:]
    k, batch = min(m, n), a.shape[:-2]
    assert u.dtype == s.dtype == vh.dtype == a.dtype
    assert s.shape == (*batch, k)
    if whole is not None:
        assert u.shape == (*batch, m, m if whole else k)
        assert vh.shape == (*batch, n if whole else k, n)
    assert np.all(s >= 0)
    assert np.all(s[..., 1:] <= s[..., :-1])
    precision = np.longdouble if max(u.size, vh.size) < 3000 else np.float64  # the former takes its time
    wide = [x.astype(precision) for x in (a, u, s, vh)]
    scale = np.abs(wide[0]).max(axis=(-2, -1), initial=0)[..., None, None]
    scale = np.where(scale == 0, 1, scale)
    rest = wide[0] / scale - (wide[1][..., :k] * (wide[2][..., None, :] / scale)) @ wide[3][..., :k, :]
    smallest = np.asarray(np.finfo(a.dtype).smallest_subnormal / scale.astype(float))[..., 0, 0]
    limit = 10 * max(m, n) * unit(a.dtype)
    size = np.asarray(s[..., :1].sum(axis=-1) / scale[..., 0, 0], float)
    assert np.all(norm2(rest) <= limit * size + m * n * smallest), (norm2(rest) / size / unit(a.dtype)).max()
    for q in (np.swapaxes(wide[1], -1, -2), wide[3]):
        assert np.all(norm2(q @ np.swapaxes(q, -1, -2) - np.eye(q.shape[-2])) <= limit)


def assert_same_values(s, a):
    """Against LAPACK in float64: absolutely, as far as LAPACK's own are right."""
    expected = np.linalg.svd(a.astype(float), compute_uv=False)
    allowed = 10 * max(a.shape[-2:]) * unit(a.dtype) * expected.max(axis=-1, keepdims=True, initial=0)
    assert np.all(np.abs(s - expected) <= allowed + np.finfo(a.dtype).smallest_subnormal)


# ---- every tagged matrix in every layout ----


@every_case()
def test_svd(case):
    for whole in (True, False):
        result = la.svd(case.array, full_matrices=whole)
        assert_decomposes(case.plain, result, whole)
        for x, plain in zip(result, la.svd(case.plain, whole), strict=True):
            same_bits(x, plain)
    s = la.svdvals(case.array)
    assert s.dtype == case.dtype
    assert_same_values(s, case.plain)
    same_bits(s, la.svd(case.plain, compute_uv=False))


@every_case()
def test_pinv(case):
    x = la.pinv(case.array)
    assert x.dtype == case.dtype
    assert x.shape == (*case.batch, *case.plain.shape[:-3:-1])
    same_bits(x, la.pinv(case.plain))
    if "ill-conditioned" not in case.tags and "ill-scaled" not in case.tags:
        a = case.plain.astype(float)
        condition = float(np.max(la.cond(a), initial=1)) if a.size and "singular" not in case.tags else 10
        if "deficient" in case.tags:
            condition = 10.0
        tolerance = 100 * max(a.shape[-2:]) * unit(case.dtype) * condition
        assert np.all(norm2(a @ x @ a - a) <= tolerance * norm2(a))
        assert np.all(norm2(x @ a @ x - x) <= tolerance * norm2(x))


@every_case(without="ill-scaled")
def test_rank_and_condition(case):
    rank = la.matrix_rank(case.array)
    same_bits(np.asarray(rank, np.int64), np.asarray(la.matrix_rank(case.plain), np.int64))
    if "ill-conditioned" not in case.tags:  # rounding may decide
        np.testing.assert_array_equal(rank, np.linalg.matrix_rank(case.plain))
    if 0 in case.plain.shape[-2:]:
        with pytest.raises(LinAlgError, match="not defined for empty"):
            la.cond(case.array)
        return
    for p in (None, 2, -2):
        c = la.cond(case.array, p)
        assert np.asarray(c).dtype == case.dtype
        same_bits(c, la.cond(case.plain, p))
        expected = np.linalg.cond(case.plain.astype(float), p)
        with np.errstate(divide="ignore"):
            digits = 100 * max(case.plain.shape[-2:]) * unit(case.dtype) * np.maximum(expected, 1 / expected)
        good = digits < 0.1
        c, expected, digits = (np.asarray(x)[good] for x in (c, expected, digits))
        assert np.all(np.abs(c - expected) <= digits * expected)


# ---- sizes ----


@every_dtype
@pytest.mark.parametrize(("m", "n"), SHAPES, ids=str)
def test_every_shape(m, n, dtype, rng):
    for batch in (17, 2) if m * n < 10_000 else (2,):
        a = rng.standard_normal((batch, m, n)).astype(dtype)
        for whole in (False, True) if m * n < 3000 else (False,):
            assert_decomposes(a, la.svd(a, whole), whole)
        assert_same_values(la.svdvals(a), a)
        x = la.pinv(a)
        condition = float(np.linalg.cond(a.astype(float)).max())
        expected = np.linalg.pinv(a.astype(float))
        assert np.all(norm2(x - expected) <= 20 * max(m, n) * unit(dtype) * condition * norm2(expected))
        np.testing.assert_array_equal(la.matrix_rank(a), min(m, n))
        np.testing.assert_allclose(la.cond(a), np.linalg.cond(a.astype(float)), rtol=100 * unit(dtype) * condition)


@every_dtype
@every_batch_size
@pytest.mark.parametrize(("m", "n"), [(1, 1), (3, 3), (8, 8), (7, 4), (4, 7), (11, 11)])
def test_every_batch_size(m, n, batch, dtype, rng):
    """An item has the same bits alone and anywhere in a batch, whatever its neighbours need."""
    a = rng.standard_normal((batch, m, n)).astype(dtype)
    a[::3] *= np.logspace(0, -6, n).astype(dtype)
    a[1::4] = np.eye(m, n)
    a[2::5, :, 0] = 0
    together = [la.svd(a), la.svd(a, False)], la.svdvals(a), la.pinv(a), la.matrix_rank(a), la.cond(a)
    for i in range(batch):
        for whole, result in zip((True, False), together[0], strict=True):
            for x, y in zip(la.svd(a[i], whole), result, strict=True):
                same_bits(x, y[i])
        same_bits(la.svdvals(a[i]), together[1][i])
        same_bits(la.pinv(a[i]), together[2][i])
        assert la.matrix_rank(a[i]) == together[3][i]
        same_bits(la.cond(a[i]), together[4][i])
    for x, y in zip(la.svd(a[::-1]), together[0][0], strict=True):
        same_bits(x[::-1], y)


@every_dtype
@pytest.mark.parametrize("n", [2, 3, 8])
def test_batches_of_many_blocks(n, dtype, rng, threads):
    a = rng.standard_normal((20_003 // n, n, n)).astype(dtype)
    threads(1)
    one = la.svd(a)
    assert_decomposes(a[::97], [x[::97] for x in one])
    assert_decomposes(a[-20:], [x[-20:] for x in one])
    for number in (2, 5):
        threads(number)
        for x, y in zip(la.svd(a), one, strict=True):
            same_bits(x, y)


@pytest.mark.parametrize(("m", "n"), [(1, 1), (2, 2), (5, 3), (8, 8), (17, 12)])
def test_agrees_with_the_reference(m, n, rng):
    a = rng.standard_normal((m, n))
    u, s, vh = la.svd(a, full_matrices=False)
    ru, rs, rvh = reference.svd(a)
    np.testing.assert_allclose(s, rs, rtol=1e-14)
    np.testing.assert_allclose((u * s) @ vh, (ru * rs) @ rvh, atol=1e-13)
    np.testing.assert_allclose(la.pinv(a), reference.pinv(a), atol=1e-12 * np.linalg.cond(a))


# ---- hard matrices ----


@every_dtype
@pytest.mark.parametrize("n", [2, 3, 5, 8, 16, 24, 33])
def test_hard_squares(n, dtype, rng):
    for name, a in cases.hard_squares(rng, n):
        a = a.astype(dtype)
        for batch in (1, 9):
            result = la.svd(np.broadcast_to(a, (batch, n, n)))
            with cases.saying(name, batch):
                assert_decomposes(np.broadcast_to(a, (batch, n, n)), result, True)
            same_bits(result.S, np.broadcast_to(result.S[0], result.S.shape))


@every_dtype
@pytest.mark.parametrize(("m", "n"), [(3, 2), (6, 5), (20, 8), (60, 16), (50, 35)])
def test_hard_rectangles(m, n, dtype, rng):
    for _, a in cases.hard_rectangles(rng, m, n):
        for x in (a.astype(dtype), a.T.astype(dtype)):
            assert_decomposes(np.stack([x, x]), la.svd(np.stack([x, x])), True)
            assert_decomposes(x, la.svd(x, False), False)


@every_dtype
@pytest.mark.parametrize(("m", "n"), [(97, 97), (130, 97), (98, 140), (200, 200), (301, 301)])
def test_hard_matrices_that_are_divided(m, n, dtype, rng):
    """Equal and nearly equal values, values that are zero, and blocks that hang together by little or nothing."""
    k = min(m, n)
    u, v = np.linalg.qr(rng.standard_normal((m, k)))[0], np.linalg.qr(rng.standard_normal((n, k)))[0]
    off = 10.0 ** -rng.uniform(0, 17, k)
    spectra = {
        "clusters": np.sort(rng.integers(1, 4, k) * 1.0)[::-1],
        "tight": 1 + 1e-12 * np.arange(k),
        "equal": np.ones(k),
        "graded": 10.0 ** -np.linspace(0, 18, k),
        "rank 5": np.where(np.arange(k) < 5, 2.0, 0),
        "two scales": np.where(np.arange(k) < k // 2, 1.0, 1e-12),
    }
    matrices = [(name, (u * values) @ v.T) for name, values in spectra.items()]
    eye = np.eye(m, n)
    matrices += [
        ("random", rng.standard_normal((m, n))),
        ("identity", eye),
        ("zero", 0 * eye),
        ("ones", np.ones((m, n))),
        ("shift", np.eye(m, n, 1)),
        ("bidiagonal", eye + np.eye(m, n, 1)),
        ("ones above", eye - np.triu(np.ones((m, n)), 1)),
        ("zero columns", rng.standard_normal((m, n)) * (np.arange(n) % 3 > 0)),
        ("zero rows", rng.standard_normal((m, n)) * (np.arange(m) % 3 > 0)[:, None]),
        ("zeros and ones", rng.integers(0, 2, (m, n)) * 1.0),
        ("rank 1", np.outer(u[:, 0], v[:, 0])),
        ("weak couplings", np.pad(np.diag(rng.standard_normal(k)) + np.diag(off[1:], 1), ((0, m - k), (0, n - k)))),
        ("all sizes", np.pad(np.diag(off[::-1]) + np.diag(off[1:], 1), ((0, m - k), (0, n - k)))),
        ("in the middle only", np.pad(np.diag(np.arange(k) * (np.arange(k) // 40 == 1)), ((0, m - k), (0, n - k)))),
        ("huge", rng.standard_normal((m, n)) * (1e300 if dtype == np.float64 else 1e36)),
        ("tiny", rng.standard_normal((m, n)) * (1e-300 if dtype == np.float64 else 1e-36)),
    ]
    for name, matrix in matrices:
        with np.errstate(under="ignore"):
            a = matrix.astype(dtype)
        for whole in (False, True) if name in ("random", "rank 5") else (False,):
            result = la.svd(a, full_matrices=whole)
            try:
                assert_decomposes(a, result, whole)
                assert_same_values(result[1], a)
            except AssertionError as error:
                raise AssertionError(f"{name}, {whole}: {error}") from None


@every_dtype
@pytest.mark.parametrize("n", [97, 192])
@pytest.mark.parametrize("place", [0, 60, -1])
def test_parts_that_are_tiny_beside_one_number(n, place, dtype, rng):
    """Squares of quotients in a part overflowed, and turns by denormal lengths were none."""
    for t in (1e-20, 1e-36, 1e-42) if dtype == np.float32 else (1e-150, 1e-200, 1e-300, 1e-310, 1e-320, 5e-324):
        for sizes in (np.ones(n), 10.0 ** rng.uniform(-10, 10, n), rng.standard_normal(n)):
            with np.errstate(under="ignore"):
                band = (t * sizes).astype(dtype)
                d = (t * rng.standard_normal(n)).astype(dtype)
            d[place] = 1
            for a in (np.diag(band[::-1] * (np.arange(n) != place % n)) + np.diag(band[1:], 1), np.diag(band[1:], 1)):
                a[place, place] = 1
                assert_decomposes(a, la.svd(a))
            a = np.diag(d) + np.diag(band[1:], 1)
            assert_decomposes(a, la.svd(a))


def test_singular_values_of_a_chain_are_known():
    """Ones on the diagonal and beside it: 2 cos(k pi / (2 n + 1))."""
    n = 500
    s = la.svd(np.eye(n) + np.eye(n, k=1))[1]
    assert np.abs(s - 2 * np.cos(np.arange(1, n + 1) * np.pi / (2 * n + 1))).max() < 16 * 2 * 2.0**-53  # of the norm, 2


@every_dtype
@pytest.mark.parametrize(("m", "n"), [(1, 1), (3, 3), (8, 8), (20, 20), (40, 40), (9, 4), (4, 9), (60, 40)])
def test_deficient_matrices(m, n, dtype, rng):
    """U and V are orthonormal also for singular values of zero, exact or in rounding."""
    k = min(m, n)
    stack = np.zeros((9, m, n), dtype)
    for i, rank in enumerate((0, 0, 1, 1, k // 2, k // 2, k - 1, k - 1, k)):
        stack[i] = cases.of_rank(rng, m, n, rank)
    stack[1, :, 0] = 1
    stack[3, -1] = 2
    stack[5][:, : n // 2] = 0
    stack[7][: m // 2] = 0
    for whole in (True, False):
        assert_decomposes(stack, la.svd(stack, whole), whole)
        for a in stack:
            assert_decomposes(a, la.svd(a, whole), whole)
    np.testing.assert_array_equal(la.matrix_rank(stack), np.linalg.matrix_rank(stack.astype(float)))
    x = la.pinv(stack)
    expected = np.linalg.pinv(stack.astype(float), rcond=max(m, n) * 1e-15)
    scale = np.linalg.norm(expected, axis=(-2, -1), keepdims=True) * norm2(stack)[:, None, None] + 1
    assert np.all(np.abs(x - expected) <= 100 * max(m, n) * unit(dtype) * scale**2)
    assert not la.svdvals(stack)[0].any()
    assert not x[0].any()


@every_dtype
@pytest.mark.parametrize(("m", "n"), [(1, 1), (2, 2), (3, 3), (8, 8), (20, 20), (40, 40), (9, 4), (4, 9)])
def test_denormal_and_huge_scales(m, n, dtype, rng):
    info = np.finfo(dtype)
    base = rng.uniform(-1, 1, (3, m, n)).astype(dtype)
    expected = np.linalg.svd(base.astype(float), compute_uv=False)
    for scale in (dtype(2.0) ** (info.minexp + 30), dtype(2.0) ** (info.maxexp - 8)):
        a = base * scale
        result = la.svd(a)
        assert_decomposes(a, result, True)
        np.testing.assert_allclose(result.S / scale, expected, atol=10 * max(m, n) * unit(dtype) * expected.max())
        assert np.all(np.isfinite(la.cond(a)))
        np.testing.assert_array_equal(la.matrix_rank(a), min(m, n))
    a = np.stack([cases.denormal(rng, m, n, dtype) for _ in range(3)])
    result = la.svd(a)
    assert_decomposes(a, result, True)
    assert np.all(np.isfinite(result.S))
    assert np.all(result.S[:, 0] > 0)


@pytest.mark.parametrize("n", [3, 6, 12, 20])
def test_small_singular_values_of_graded_matrices(n, rng):
    """High relative accuracy where scaling the columns is all that is wrong; LAPACK has no digit of the smallest."""
    mpmath = pytest.importorskip("mpmath")
    grades = np.logspace(0, -28, n)
    for shape in ((n, n), (n + 5, n)):
        a = rng.standard_normal(shape) * grades[rng.permutation(n)]
        stack = np.stack([a] * 9)  # alone, 20 x 20 would go to LAPACK
        with mpmath.workdps(90):
            exact = np.array([float(x) for x in mpmath.svd_r(mpmath.matrix(a.tolist()), compute_uv=False)])
        exact = np.sort(exact)[::-1]
        for found in (la.svdvals(stack)[0], la.svd(stack).S[8], la.svdvals(stack.mT)[3]):
            np.testing.assert_allclose(found, exact, rtol=300 * n * unit(float))


def hard_values(rng, m, n, dtype):
    """(name, matrix) for which singular values alone are asked."""
    k = min(m, n)
    plain = rng.standard_normal((m, n))
    near_one = 1 + 1e-13 * rng.standard_normal(k)
    info = np.finfo(dtype)
    yield "random", plain
    for name, s in (
        ("clustered", near_one),
        ("two clusters", np.where(np.arange(k) < k // 2, near_one, 1e-6 * near_one)),
        ("falling", np.logspace(0, -20, k)),
        ("one is far", np.where(np.arange(k) == 0, 1, 1e-9)),
        ("half rank", (np.arange(k) < k // 2) * 1.0),
    ):
        yield name, (cases.orthogonal(rng, m)[:, :k] * s) @ cases.orthogonal(rng, n)[:k]
    yield "graded columns", plain * np.logspace(0, -25, n)
    yield "graded rows", plain * np.logspace(-25, 0, m)[:, None]
    yield "ones", np.ones((m, n))
    yield "zero", np.zeros((m, n))
    yield "identity", np.eye(m, n)
    yield "bidiagonal", np.eye(m, n) + np.eye(m, n, 1)
    yield "equal columns", np.repeat(plain[:, :1], n, axis=1)
    yield "columns of zeros", plain * (np.arange(n) % 3 > 0)
    yield "integers", rng.integers(-2, 3, (m, n)).astype(float)
    yield "tiny", plain * float(info.tiny)
    yield "huge", plain / np.abs(plain).max() * (float(info.max) / 300)
    yield "denormal", cases.denormal(rng, m, n, dtype).astype(float)


@every_dtype
@pytest.mark.parametrize(
    ("m", "n"), [(13, 13), (20, 17), (17, 20), (32, 32), (33, 33), (33, 64), (64, 64), (90, 65), (128, 128)]
)
def test_values_of_stacks(m, n, dtype, rng):
    """By a bidiagonal form in lanes: right to rounding, whatever is in the lanes beside."""
    with np.errstate(under="ignore"):
        names, matrices = zip(*((name, a.astype(dtype)) for name, a in hard_values(rng, m, n, dtype)), strict=True)
    a = np.array(matrices)
    s, c, rank = la.svdvals(a), la.cond(a), la.matrix_rank(a)
    assert np.all(s[:, 1:] <= s[:, :-1])
    assert np.all(s[:, -1] >= 0)
    for i, name in enumerate(names):
        with cases.saying(name):
            assert_same_values(s[i], a[i])
            stack = np.stack([a[i]] * 17)
            for ours, mixed in ((la.svdvals(stack), s[i]), (la.cond(stack), c[i]), (la.matrix_rank(stack), rank[i])):
                same_bits(ours, np.broadcast_to(mixed, ours.shape))
    k = min(m, n)
    for name, expected in (("random", k), ("half rank", k // 2), ("graded columns", k)):
        assert rank[names.index(name)] == expected, name
    for name, expected in (("ones", 1), ("zero", 0), ("identity", k), ("tiny", k), ("huge", k)):
        assert rank[names.index(name)] == expected, name
    assert c[names.index("identity")] == pytest.approx(1, abs=10 * k * unit(dtype))
    broken = a.copy()
    broken[2, m - 1, 0], broken[5, 0, n - 1] = np.nan, np.inf
    others = np.isfinite(broken).all(axis=(-2, -1))
    same_bits(la.svdvals(broken)[others], s[others])
    assert np.isnan(la.svdvals(broken)[[2, 5]]).all()
    assert la.matrix_rank(broken, errors="nan")[[2, 5]].tolist() == [-1, -1]


def test_powers_of_two_change_no_digit_of_values(rng):
    for n in (13, 32, 40, 100):
        a = rng.standard_normal((9, n, n))
        s = la.svdvals(a)
        for power in (-900, -31, 40, 900):
            same_bits(la.svdvals(np.ldexp(a, power)), np.ldexp(s, power))


@pytest.mark.parametrize(("m", "n"), [(13, 13), (70, 40), (40, 70), (129, 129), (400, 35)])
def test_rank_in_units_at_the_ends_of_the_range(m, n, rng):
    """One matrix by LAPACK; lengths of columns, of powers of two, beyond what squares or reciprocals can hold."""
    a = rng.integers(-7, 8, (m, n)).astype(float)
    a[:, -1] = a[:, 5:8].sum(axis=1)
    powers = rng.integers(-1000, 1000, n)
    powers[:5] = -1070, 1015, -1022, 0, 0
    a = np.ldexp(a, powers)
    a[:, 4] *= 1e-250  # and one number, whose square is not one, in its column
    a[5, 4] = 1e250
    assert la.matrix_rank(a) == min(m, n - 1)
    for bad in (np.nan, np.inf):
        b = a.copy()
        b[m // 2, n - 1] = bad
        assert la.matrix_rank(b, errors="nan") == -1


@pytest.mark.parametrize("n", [3, 6, 8, 11, 20])
def test_columns_too_far_apart_for_one_scale(n, rng):
    grades = 10.0 ** rng.permuted(np.linspace(-290, 290, n))
    a = cases.orthogonal(rng, n) * grades * rng.uniform(1, 9, n)
    exact = np.sort(np.linalg.norm(a / grades, axis=0) * grades)[::-1]
    stack = np.stack([a] * 9)
    for found in (la.svdvals(stack)[0], la.svd(stack).S[8]):
        np.testing.assert_allclose(found, exact, rtol=300 * n * unit(float))


@every_matrix_market_file(largest=300)
def test_matrix_market(path):
    a = read_matrix_market(path)
    result = la.svd(a, full_matrices=False)
    assert_decomposes(a, result, False)
    assert_same_values(la.svdvals(a), a)
    rank = np.linalg.matrix_rank(a)
    assert la.matrix_rank(a, rtol=max(a.shape) * np.finfo(a.dtype).eps) == rank
    assert la.matrix_rank(a) == (131 if "lns_131" in path.name else rank)  # whose columns are in units of their own
    if min(a.shape) <= 32:
        stack = np.stack([a] * 9)
        assert_decomposes(stack, la.svd(stack), True)


# ---- NaN and infinity ----


@every_dtype
@pytest.mark.parametrize(("m", "n"), [(1, 1), (2, 3), (3, 3), (5, 2), (9, 9), (35, 34)])
def test_poisoned_items_leave_the_others_alone(m, n, dtype, rng):
    a = rng.standard_normal((9, m, n)).astype(dtype)
    expected = la.svd(a), la.svdvals(a), la.pinv(a), la.cond(a)
    others = np.arange(9) != 4
    bad_items = list(poisoned(a[4]))
    for _, bad in bad_items[:: max(1, len(bad_items) // 30)]:
        a[4] = bad
        result = la.svd(a)
        for x, y in zip(result, expected[0], strict=True):
            assert np.isnan(x[4]).all()
            same_bits(x[others], y[others])
        for x, y in ((la.svdvals(a), expected[1]), (la.pinv(a), expected[2])):
            assert np.isnan(x[4]).all()
            same_bits(x[others], y[others])
        c = la.cond(a)
        same_bits(c[others], expected[3][others])
        assert np.isnan(c[4]) if np.isnan(bad).any() else c[4] == np.inf
        with pytest.raises(LinAlgError, match=r"matrix_rank: NaN or infinity at batch index \(4,\), 1 of 9"):
            la.matrix_rank(a)
        assert la.matrix_rank(a, errors="nan").tolist() == [min(m, n)] * 4 + [-1] + [min(m, n)] * 4
        for function in (la.orth, la.null_space):
            with pytest.raises(LinAlgError, match="NaN or infinity"):
                function(bad)


def test_the_matrix_on_which_numpy_never_returns():
    a = np.ones((3, 3))
    a[1, 1] = np.inf
    assert np.isnan(la.svdvals(a)).all()
    assert la.cond(a) == np.inf
    assert np.isnan(la.svd(a, hermitian=True).S).all()


def test_floating_point_errors_do_not_leak(rng):
    a = rng.standard_normal((3, 4, 4))
    a[1] = 0
    a[2, 0, 0] = np.nan
    with np.errstate(all="raise"):
        la.svd(a)
        la.pinv(a)
        la.cond(a)
        la.matrix_rank(a, errors="nan")
        np.ones(3) + 1


# ---- NumPy's and SciPy's meaning of the arguments ----


def test_arguments_of_svd(rng):
    a = rng.standard_normal((4, 3))
    assert la.svd(a)._fields == ("U", "S", "Vh")
    same_bits(la.svd(a, compute_uv=False), la.svdvals(a))
    symmetric = a @ a.T - np.eye(4)
    for m in (symmetric, np.stack([symmetric] * 3), symmetric.astype(np.float32)):
        result = la.svd(m, hermitian=True)
        assert_decomposes(m, result, True)
        np.testing.assert_allclose(la.svd(m, compute_uv=False, hermitian=True), result.S, rtol=1e-6)
        np.testing.assert_allclose(result.S, la.svdvals(m), atol=1e-5 if m.dtype == np.float32 else 1e-13)
    only_lower = np.tril(symmetric)
    np.testing.assert_allclose(la.svd(only_lower, hermitian=True).S, la.svdvals(symmetric), rtol=1e-12)


def test_empty_matrices():
    for shape in ((0, 3), (3, 0), (0, 0), (2, 0, 3), (0, 2, 2)):
        a = np.zeros(shape)
        for whole in (True, False):
            for x, y in zip(la.svd(a, whole), np.linalg.svd(a, whole), strict=True):
                same_bits(x, y)
        same_bits(la.pinv(a), np.linalg.pinv(a))
        np.testing.assert_array_equal(la.matrix_rank(a), np.linalg.matrix_rank(a))


def test_tolerances(rng):
    q, r = cases.orthogonal(rng, 4), cases.orthogonal(rng, 4)
    a = (q * [1, 1e-3, 1e-8, 1e-13]) @ r
    assert [la.matrix_rank(a, tol=t) for t in (1e-15, 1e-10, 1e-5, 0.1, 2)] == [4, 3, 2, 1, 0]
    assert [la.matrix_rank(10 * a, rtol=t) for t in (1e-15, 1e-10, 1e-5, 0.1, 2)] == [4, 3, 2, 1, 0]
    assert la.matrix_rank(np.stack([a, a]), tol=[1e-10, 1e-5]).tolist() == [3, 2]
    assert la.matrix_rank(np.stack([a, a]), rtol=np.array([[1e-10], [1e-5]])).tolist() == [[3, 3], [2, 2]]
    single = la.matrix_rank(a.astype(np.float32))
    assert single == np.linalg.matrix_rank(a.astype(np.float32)) == 2
    for arguments in ({"rcond": 1e-5}, {"rtol": 1e-5}, {"rcond": np.array([1e-5])}):
        np.testing.assert_allclose(np.squeeze(la.pinv(a, **arguments)), np.linalg.pinv(a, 1e-5), atol=1e-9)
    assert np.linalg.norm(la.pinv(a)) > 1e12
    near, nearer = (np.array([[1, 1], [1, 1 + k * 2.0**-52]]) for k in (9, 2))  # singular values 2 and k 2^-53
    np.testing.assert_allclose(np.linalg.norm(la.pinv(nearer, rtol=None)), 0.5)
    np.testing.assert_allclose(np.linalg.norm(la.pinv(near)), 0.5)
    np.testing.assert_allclose(np.linalg.norm(la.pinv(near, rtol=None)), 2.0**53 / 9, rtol=1e-3)
    rconds = np.array([1e-10, 1e-5])
    np.testing.assert_allclose(la.pinv(np.stack([a, a]), rconds), np.linalg.pinv(np.stack([a, a]), rconds), rtol=1e-4)
    symmetric = (q * [1, -1e-3, 1e-8, 0]) @ q.T
    np.testing.assert_allclose(la.pinv(symmetric, 1e-5, hermitian=True), np.linalg.pinv(symmetric, 1e-5), rtol=1e-9)
    assert la.matrix_rank(symmetric, hermitian=True) == 3
    assert la.matrix_rank(symmetric, tol=1e-5, hermitian=True) == 2
    with pytest.raises(ValueError, match="can't be both set"):
        la.matrix_rank(a, tol=1, rtol=1)
    with pytest.raises(ValueError, match="can't be both set"):
        la.pinv(a, 1e-3, rtol=1e-3)


def test_rank_of_fewer_dimensions():
    assert la.matrix_rank([0, 0, 0]) == 0
    assert la.matrix_rank([0, 2]) == 1
    assert la.matrix_rank(1.0) == 1
    assert la.matrix_rank([[1, 2], [2, 4]]) == 1


@pytest.mark.parametrize("p", [None, 1, -1, 2, -2, np.inf, -np.inf, "fro", "nuc"])
@every_dtype
def test_cond_in_every_norm(p, dtype, rng):
    a = rng.standard_normal((4, 5, 5)).astype(dtype)
    c = la.cond(a, p)
    assert c.dtype == dtype
    np.testing.assert_allclose(c, np.linalg.cond(a.astype(float), p), rtol=1e-3 if dtype == np.float32 else 1e-11)
    assert np.ndim(la.cond(a[0], p)) == 0
    a[1] = 0
    a[2, 1, 1] = np.nan
    c = la.cond(a, p)
    assert np.isinf(c[1])
    assert np.isnan(c[2])
    assert np.isfinite(c[[0, 3]]).all()
    assert la.cond(np.ones((3, 3)), p) > 1e10 or p == -2


def test_cond_of_shapes_that_norms_do_not_have():
    assert la.cond(np.array([[1.0, 0, 0], [0, 2, 0]])) == 2
    with pytest.raises(LinAlgError, match="must be equal for p = 1"):
        la.cond(np.ones((2, 3)), 1)


@pytest.mark.parametrize(("m", "n"), [(1, 1), (3, 3), (5, 3), (3, 5), (12, 12), (40, 36)])
def test_orth_and_null_space(m, n, rng):
    for rank in {0, 1, min(m, n) - 1, min(m, n)}:
        a = cases.of_rank(rng, m, n, rank)
        rank = np.linalg.matrix_rank(a)
        q, z = la.orth(a), la.null_space(a)
        assert q.shape == (m, rank)
        assert z.shape == (n, n - rank)
        np.testing.assert_allclose(q.T @ q, np.eye(rank), atol=1e-13)
        np.testing.assert_allclose(z.T @ z, np.eye(n - rank), atol=1e-13)
        size = np.linalg.norm(a) + 1
        np.testing.assert_allclose(q @ (q.T @ a), a, atol=1e-13 * size)
        np.testing.assert_allclose(a @ z, 0, atol=1e-13 * size)
        theirs = scipy.linalg.null_space(a)
        np.testing.assert_allclose(z @ z.T, theirs @ theirs.T, atol=1e-11)
        stack = np.stack([a, a])
        assert la.orth(stack).shape == (2, m, rank)
        assert la.null_space(stack).shape == (2, n, n - rank)


def test_bases_of_different_ranks(rng):
    stack = np.stack([np.eye(3), np.diag([1.0, 1, 0])])
    for function in (la.orth, la.null_space):
        with pytest.raises(LinAlgError, match="go from 2 to 3"):
            function(stack)
    assert la.null_space(np.diag([1, 1e-4, 1e-9]), rcond=1e-3).shape == (3, 2)


def test_wrong_arguments():
    for function in (la.svd, la.svdvals, la.pinv, la.cond, la.orth, la.null_space):
        with pytest.raises(LinAlgError, match=r"must be a matrix or a stack of matrices, got shape \(3,\)"):
            function(np.ones(3))
        with pytest.raises(TypeError, match="must hold real numbers"):
            function(np.ones((2, 2), complex))
        with pytest.raises(TypeError, match="must hold real numbers"):
            function(np.array([["a", "b"]]))
    with pytest.raises(TypeError, match="A must hold real numbers"):
        la.matrix_rank(np.ones((2, 2), complex))
    with pytest.raises(ValueError, match="errors must be"):
        la.matrix_rank(np.eye(2), errors="ignore")
    with pytest.raises(ValueError, match="shape"):
        la.pinv(np.ones((2, 2, 2)), [1e-3] * 3)
    with pytest.raises(LinAlgError, match="must be equal if hermitian"):
        la.svd(np.ones((2, 3)), hermitian=True)


@pytest.mark.parametrize("kind", [bool, np.int8, np.uint16, np.int64])
def test_integers_are_cast(kind, rng):
    a = rng.integers(0, 2, (5, 4, 3)).astype(kind)
    same_bits(la.svdvals(a), la.svdvals(a.astype(float)))
    same_bits(la.pinv(a), la.pinv(a.astype(float)))
    np.testing.assert_array_equal(la.matrix_rank(a), la.matrix_rank(a.astype(float)))


def test_integers_have_exact_ranks_and_null_spaces(rng):
    a = rng.integers(-9, 10, (5, 7, 3)) @ rng.integers(-9, 10, (5, 3, 6))
    assert la.matrix_rank(a).tolist() == [3] * 5
    z = la.null_space(a)
    assert z.shape == (5, 6, 3)
    assert z.dtype == np.int64
    assert not (a @ z).any()
    same_bits(la.null_space(a[2]), z[2])
    assert la.null_space(a[0], rcond=1e-10).dtype == np.float64
    a[1] = 0
    with pytest.raises(LinAlgError, match="go from 0 to 3"):
        la.null_space(a)
    near = np.array([[2**30, 2**30 + 1], [2**30 - 1, 2**30]])  # determinant 1: no rank in float64
    assert la.matrix_rank(near) == 2
    assert la.matrix_rank(near.astype(float)) == 1


# ---- the same bits ----


def test_same_bits_at_every_level_and_thread_count(same_at_every_level):
    same_at_every_level("""
        rng = np.random.default_rng(7)
        for dtype in (np.float64, np.float32):
            for m, n in ((1, 1), (2, 2), (3, 3), (4, 4), (8, 8), (13, 13), (16, 16), (20, 4), (35, 40), (79, 70)):
                for count in (1 if n < 13 else 16, 17, 600 // n):  # fewer of 13 x 13 go to LAPACK
                    a = rng.standard_normal((count, m, n)).astype(dtype)
                    a[count // 2, 0] *= dtype(1e-30)
                    a[count // 3] = 0
                    digest(*mf.linalg.svd(a), mf.linalg.svdvals(a), mf.linalg.pinv(a), mf.linalg.cond(a))
    """)


def test_same_bits_of_one_matrix_that_is_divided(same_at_every_level):
    same_at_every_level("""
        rng = np.random.default_rng(8)
        for dtype in (np.float64, np.float32):
            for m, n in ((97, 97), (150, 130), (180, 260), (400, 400), (600, 300), (97, 388), (190, 64), (49, 50)):
                digest(*mf.linalg.svd(rng.standard_normal((m, n)).astype(dtype)))
                digest(mf.linalg.svdvals(rng.standard_normal((m, n - 3)).astype(dtype)))
    """)


@every_dtype
@pytest.mark.parametrize(
    "shape", [(20, 18), (50, 49), (97, 97), (112, 111), (260, 130), (257, 257), (300, 290), (500, 129)]
)
def test_one_matrix_whose_columns_and_rows_are_done_early(shape, dtype, rng):
    """Reflections of columns and rows that are zero already, in any place of a panel, and of some nearly so."""
    (m, n), full = shape, rng.standard_normal(shape)
    below = np.arange(m)[:, None] - np.arange(n)
    tiny = 1e-300 if dtype == np.float64 else 1e-30
    for a in (
        np.where((below <= 0) & (below >= -1), full, 0),
        np.where(below <= 0, full, 0),
        np.where((below <= 0) & (below >= -1), full, full * tiny),
        np.where(np.arange(n) % 3 == 0, 0, full),
        np.where(np.arange(m)[:, None] % 3 == 0, 0, full),
        np.where((np.arange(m)[:, None] < n // 2) == (np.arange(n) < n // 2), full, 0),
    ):
        a = a.astype(dtype)
        u, s, vh = mf.linalg.svd(a, full_matrices=False)
        size = np.linalg.norm(a.astype(float), 2)
        bound = 10 * m * np.finfo(dtype).eps / 2
        assert np.linalg.norm(a - (u.astype(float) * s) @ vh, 2) <= bound * size
        for vectors in (u, vh.T):
            assert np.linalg.norm(vectors.T.astype(float) @ vectors - np.eye(n), 2) <= bound
        right = np.linalg.svd(a.astype(float), compute_uv=False)
        for values in (s, mf.linalg.svdvals(a), mf.linalg.svdvals(a.T)):
            assert np.abs(values - right).max() <= bound * size


def test_baseline_is_right_too(run_python):
    run_python(
        """
        import numpy as np, mmlfast as mf
        rng = np.random.default_rng(3)
        for dtype in (np.float64, np.float32):
            for m, n in ((1, 1), (3, 3), (8, 8), (20, 20), (9, 4), (4, 9)):
                a = rng.standard_normal((21, m, n)).astype(dtype)
                a[0, 0] = 0
                u, s, vh = (x.astype(float) for x in mf.linalg.svd(a))
                k, limit = min(m, n), 10 * max(m, n) * np.finfo(dtype).eps / 2
                error = a - (u[..., :k] * s[:, None]) @ vh[:, :k]
                assert (np.linalg.norm(error, 2, (1, 2)) <= limit * s[:, 0]).all(), (m, n, dtype)
                for q in (u.mT, vh):
                    assert (np.linalg.norm(q @ q.mT - np.eye(q.shape[1]), 2, (1, 2)) <= limit).all(), (m, n, dtype)
        """,
        MMLFAST_SIMD="baseline",
    )


# ---- laws ----

sides = st.integers(1, 12)
seeds = st.integers(0, 2**32 - 1)
law = settings(max_examples=60, deadline=None, derandomize=True)


def random_matrix(m, n, seed):
    """Of any rank, scale and grading."""
    rng = np.random.default_rng(seed)
    rank = int(rng.integers(0, min(m, n) + 1))
    left = rng.standard_normal((m, rank)) * np.logspace(0, -rng.integers(0, 5), rank)
    return rng, left @ rng.standard_normal((rank, n)) * 10.0 ** rng.integers(-100, 100)


@law
@given(sides, sides, seeds)
def test_law_decomposition(m, n, seed):
    _, a = random_matrix(m, n, seed)
    for whole in (True, False):
        assert_decomposes(np.stack([a, -a]), la.svd(np.stack([a, -a]), whole), whole)


@law
@given(sides, sides, seeds)
def test_law_moore_penrose(m, n, seed):
    _, a = random_matrix(m, n, seed)
    a = a / max(np.abs(a).max(), 1e-300)
    x = la.pinv(a, 1e-9)
    tolerance = 1e-12 * (1 + np.linalg.norm(a)) ** 2 * (1 + np.linalg.norm(x)) ** 2
    np.testing.assert_allclose(a @ x @ a, a, atol=tolerance)
    np.testing.assert_allclose(x @ a @ x, x, atol=tolerance)
    np.testing.assert_allclose(a @ x, (a @ x).T, atol=tolerance)
    np.testing.assert_allclose(x @ a, (x @ a).T, atol=tolerance)


@law
@given(sides, sides, seeds)
def test_law_orthogonal_maps_and_transposes(m, n, seed):
    rng, a = random_matrix(m, n, seed)
    s = la.svdvals(a)
    tolerance = 100 * max(m, n) * unit(float) * s[0]
    for other in (a.T, cases.orthogonal(rng, m) @ a, a @ cases.orthogonal(rng, n), a[::-1], a[:, rng.permutation(n)]):
        np.testing.assert_allclose(la.svdvals(other), s, rtol=0, atol=tolerance)


@law
@given(sides, sides, seeds, st.integers(-60, 60))
def test_law_powers_of_two_change_no_digit(m, n, seed, power):
    _, a = random_matrix(m, n, seed)
    scale = 2.0**power
    u, s, vh = la.svd(a)
    other = la.svd(a * scale)
    same_bits(other.U, u)
    same_bits(other.S, s * scale)
    same_bits(other.Vh, vh)
    same_bits(la.pinv(a * scale) * scale, la.pinv(a))
