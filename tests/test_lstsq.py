"""lstsq against NumPy's, its backward error on hard matrices, and NIST's certified regressions."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from cases import (
    data_folder_or_none,
    denormal,
    every_batch_size,
    every_case,
    every_dtype,
    every_layout,
    hard_rectangles,
    hard_squares,
    of_condition,
    of_rank,
    poisoned,
    same_bits,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.linalg import LinAlgError

import mmlfast as mf
from mmlfast._reference.lstsq import lstsq as reference

SHAPES = [
    (1, 1), (2, 2), (3, 3), (8, 8), (16, 16), (17, 17), (2, 1), (1, 2), (5, 3), (3, 5), (9, 4), (4, 9), (50, 5),
    (5, 50), (100, 10), (10, 100), (100, 16), (127, 15), (128, 16),
    (40, 20), (20, 40), (32, 32), (33, 33), (2000, 1), (2100, 1), (500, 6), (60, 40),
    (700, 35),
]  # fmt: skip


def unit(dtype):
    return float(np.finfo(dtype).eps) / 2


def backward_error(a, x, b):
    """The smallest norm(E) / norm(A) such that x solves min |b - (A + E) x|, up to a small factor.

    The estimate of Karlson and Walden, BIT 37 (1997): the norm of (|x|^2 A'A + |r|^2)^(-1/2) A'r.
    """
    r = (b.astype(np.longdouble) - a.astype(np.longdouble) @ x.astype(np.longdouble)).astype(float)
    u, s, _ = np.linalg.svd(a.astype(float), full_matrices=False)
    size = np.hypot(np.linalg.norm(x.astype(float)) * s, np.linalg.norm(r))
    parts = np.divide(s * (u.T @ r), size, out=np.zeros_like(s), where=size > 0)
    return float(np.linalg.norm(parts) / np.linalg.norm(s)) if s[0] > 0 else 0.0


def check(a, b, limit=10.0):
    """One problem of full rank: the backward error of each column, and what else is returned."""
    x, _, rank, s = mf.linalg.lstsq(a, b)
    m, n = a.shape
    worst = max(backward_error(a, x[:, j], b[:, j]) for j in range(b.shape[1]))
    assert worst <= limit * max(m, n) * unit(a.dtype), worst / unit(a.dtype) / max(m, n)
    values = np.linalg.svd(a.astype(np.float64), compute_uv=False)
    assert np.abs(s - values).max() <= 10 * max(m, n) * unit(a.dtype) * values[0]
    cut = unit(a.dtype) * (n if a.dtype == np.float32 else max(n, 16))
    least, most = (rank_of_unit_columns(a, cut * factor) for factor in (2, 0.5))
    assert least <= rank <= most


def rank_of_unit_columns(a, cut):
    a = a.astype(np.float64)
    lengths = np.linalg.norm(a, axis=0)
    s = np.linalg.svd(a / np.where(lengths > 0, lengths, 1), compute_uv=False)
    return int((s > cut * s[0]).sum())


@every_dtype
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_agrees_with_numpy(shape, k, dtype, rng):
    (m, n), full = shape, min(shape)
    a, b = rng.standard_normal(shape).astype(dtype), rng.standard_normal((m, k)).astype(dtype)
    x, residuals, rank, s = mf.linalg.lstsq(a, b)
    expected = np.linalg.lstsq(a.astype(np.float64), b.astype(np.float64))
    tolerance = 50 * max(m, n) * unit(dtype) * np.linalg.cond(a.astype(np.float64))
    assert x.dtype == residuals.dtype == s.dtype == dtype
    assert rank == full
    assert isinstance(rank, int)
    size = np.abs(expected[0]).max() + np.linalg.norm(b) / np.linalg.norm(a)
    np.testing.assert_allclose(x, expected[0], rtol=0, atol=tolerance * size)
    np.testing.assert_allclose(s, expected[3], rtol=0, atol=20 * max(m, n) * unit(dtype) * s[0])
    assert residuals.shape == expected[1].shape
    np.testing.assert_allclose(residuals, expected[1], rtol=tolerance)
    vector = mf.linalg.lstsq(a, b[:, 0])
    assert vector.x.shape == (n,)
    assert vector.residuals.shape == np.linalg.lstsq(a, b[:, 0])[1].shape
    np.testing.assert_allclose(vector.x, x[:, 0], rtol=0, atol=tolerance * size)


@every_dtype
@pytest.mark.parametrize(
    "shape", [(5, 3), (3, 5), (8, 8), (50, 5), (5, 50), (128, 16), (40, 30), (30, 40), (60, 36)], ids=str
)
def test_deficient_rank(shape, dtype, rng):
    """The solution of minimum norm; residuals are there in a stack only, as NumPy has none."""
    (m, n), full = shape, min(shape)
    for rank in range(full):
        a = of_rank(rng, m, n, rank).astype(dtype)
        rank = int(np.linalg.matrix_rank(a.astype(np.float64)))
        b = rng.standard_normal((m, 2)).astype(dtype)
        got = mf.linalg.lstsq(a, b)
        x, expected_rank, s = reference(a.astype(np.float64), b.astype(np.float64), 1e-5)
        assert got.rank == rank == expected_rank
        assert (got.residuals.shape == (0,)) == (rank < full or m <= n)
        smallest = s[rank - 1] if rank else 1.0
        tolerance = 100 * max(m, n) * unit(dtype) * s[0] / smallest
        np.testing.assert_allclose(got.x, x, rtol=0, atol=tolerance * (np.abs(x).max() + 3 / smallest))
        many = mf.linalg.lstsq(np.stack([a] * 3), np.stack([b] * 3))
        same_bits(many.x[1], got.x)
        assert many.residuals.shape == ((3, 2) if m > n else (3, 0))
        if m > n:
            left = ((a.astype(float) @ x - b) ** 2).sum(axis=0)
            np.testing.assert_allclose(many.residuals[1], left, rtol=tolerance + 1e3 * unit(dtype), atol=tolerance)


def test_one_deficient_item_among_others(rng):
    a, b = rng.standard_normal((9, 7, 3)), rng.standard_normal((9, 7, 2))
    good = mf.linalg.lstsq(a, b)
    assert good.s is None
    for change in (0.0, 1e-300, 1e300):
        bad = a.copy()
        bad[4, :, 1] = bad[4, :, 0]
        bad[4] *= change
        got = mf.linalg.lstsq(bad, b)
        assert got.rank[4] == (2 if change else 0)
        keep = np.arange(9) != 4
        for x, y in zip(got[:3], good[:3], strict=True):
            same_bits(x[keep], y[keep])


def test_rcond(rng):
    """Of columns of length one: those of this matrix have singular values near sqrt(3), 1.2e-3 and 7e-7."""
    a = np.vander([1.0, 1.001, 1.002], 3)
    b = np.ones(3)
    for limit, rank in ((None, 3), (-1, 3), (0.0, 3), (1e-5, 2), (0.5, 1), (2.0, 3), (np.nan, 3)):
        got = mf.linalg.lstsq(a, b, limit)
        assert got.rank == rank
        x, expected_rank, _ = reference(a, b[:, None], limit if limit is not None and 0 < limit < 1 else None)
        assert expected_rank == rank
        np.testing.assert_allclose(got.x, x[:, 0], rtol=0, atol=1e-8)
    many = mf.linalg.lstsq(np.stack([a] * 3), np.ones((3, 3, 1)), [1e-7, 1e-5, 1e-2])
    assert many.rank.tolist() == [3, 2, 1]
    assert mf.linalg.lstsq(a.astype(np.float32), b.astype(np.float32), 1e-5).x.dtype == np.float32
    narrow = rng.standard_normal((40, 30)).astype(np.float32)
    assert mf.linalg.lstsq(narrow, narrow[:, 0], 0.9).rank < 30


@every_dtype
@pytest.mark.parametrize("shape", [(9, 4), (4, 9), (60, 12), (150, 40), (40, 150)], ids=str)
@pytest.mark.parametrize("limit", [0.9, 0.3, 1e-2])
def test_rcond_that_leaves_out_more_than_rounding(limit, shape, dtype, rng):
    a = (of_condition(rng, *shape, 1e3) * np.exp2(rng.integers(-3, 4, shape[1]))).astype(dtype)
    b = rng.standard_normal((shape[0], 2)).astype(dtype)
    got = mf.linalg.lstsq(a, b, limit)
    x, rank, _ = reference(a.astype(float), b.astype(float), limit)
    assert got.rank == rank
    np.testing.assert_allclose(got.x, x, rtol=0, atol=2e4 * max(shape) * unit(dtype) * np.abs(x).max())


@every_dtype
@pytest.mark.parametrize("n", [2, 3, 5, 8, 16, 20])
def test_hard_squares(n, dtype, rng):
    for name, a in hard_squares(rng, n):
        try:
            check(a.astype(dtype), rng.standard_normal((n, 2)).astype(dtype))
        except AssertionError as error:
            raise AssertionError(name) from error


@every_dtype
@pytest.mark.parametrize("shape", [(4, 2), (9, 4), (30, 13), (50, 5), (100, 10), (60, 24)], ids=str)
def test_hard_rectangles(shape, dtype, rng):
    for name, a in hard_rectangles(rng, *shape):
        b = rng.standard_normal((shape[0], 2))
        b[:, 1] = a @ rng.standard_normal(shape[1]) / np.abs(a).max()  # a small residual
        try:
            check(a.astype(dtype), b.astype(dtype))
            check(a.T.astype(dtype), rng.standard_normal((shape[1], 1)).astype(dtype))
        except AssertionError as error:
            raise AssertionError(name) from error


@every_dtype
@pytest.mark.parametrize("shape", [(3, 3), (9, 4), (4, 9), (40, 24), (90, 34)], ids=str)
def test_extreme_scales(shape, dtype, rng):
    """A and b at powers of two apart have the same solution, up to that power, as far as it fits."""
    info = np.finfo(dtype)
    a, b = rng.standard_normal(shape).astype(dtype), rng.standard_normal((shape[0], 2)).astype(dtype)
    plain = mf.linalg.lstsq(a, b)
    for power in (info.maxexp - 5, info.maxexp // 2 + 9, info.minexp // 2 - 9, info.minexp + 5):
        got = mf.linalg.lstsq(np.ldexp(a, power), np.ldexp(b, power))
        assert got.rank == plain.rank
        np.testing.assert_allclose(got.x, plain.x, rtol=0, atol=200 * unit(dtype) * np.abs(plain.x).max() * 20)
        got = mf.linalg.lstsq(np.ldexp(a, power), b)
        with np.errstate(all="ignore"):
            expected = np.ldexp(plain.x.astype(np.longdouble), -power)
        if np.abs(expected).max() < info.max and np.abs(expected).min() > info.tiny:
            np.testing.assert_allclose(got.x, expected, rtol=0, atol=4000 * unit(dtype) * np.abs(expected).max())
    small = denormal(rng, *shape, dtype)
    assert np.isfinite(mf.linalg.lstsq(small, small[:, :1]).x).all()


@every_case("stacked", without="zero-size")
def test_every_layout_gives_the_same_bits(case):
    m = case.plain.shape[-2]
    b = case.rng.standard_normal((*case.batch, m, 2)).astype(case.dtype)
    got = mf.linalg.lstsq(case.array, case.layout(b))
    items = [
        mf.linalg.lstsq(x, y)
        for x, y in zip(case.plain.reshape(-1, *case.plain.shape[-2:]), b.reshape(-1, m, 2), strict=True)
    ]
    if m > 32 and case.plain.shape[-1] > 32:
        np.testing.assert_allclose(got.x, np.array([i.x for i in items]).reshape(got.x.shape), rtol=1e-2, atol=1e-4)
        return
    same_bits(got.x, np.array([i.x for i in items]).reshape(got.x.shape))
    assert got.rank.ravel().tolist() == [i.rank for i in items]
    for residuals, item in zip(got.residuals.reshape(len(items), -1), items, strict=True):
        if item.residuals.size:
            same_bits(residuals, item.residuals)


@every_layout
@pytest.mark.parametrize("shape", [(45, 38), (38, 45), (600, 36)], ids=str)
def test_every_layout_of_large_problems(shape, layout, rng):
    a, b = rng.standard_normal((3, *shape)), rng.standard_normal((3, shape[0], 2))
    for got, expected in zip(mf.linalg.lstsq(layout(a), layout(b))[:3], mf.linalg.lstsq(a, b)[:3], strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-10)


def test_many_right_hand_sides_of_a_tall_problem(rng):
    """Few of them are columns like those of A, many are left to LAPACK: the same solutions."""
    a, b = rng.standard_normal((300, 40)), rng.standard_normal((300, 60))
    many = mf.linalg.lstsq(a, b)
    for j in range(0, 60, 20):
        few = mf.linalg.lstsq(a, b[:, j : j + 20])
        np.testing.assert_allclose(few.x, many.x[:, j : j + 20], rtol=0, atol=1e-13)
        np.testing.assert_allclose(few.residuals, many.residuals[j : j + 20], rtol=1e-12)
        np.testing.assert_allclose(few.s, many.s, rtol=1e-12)


def test_tall_problems_have_the_same_bits_in_a_batch_and_alone(rng):
    a, b = rng.standard_normal((5, 700, 35)), rng.standard_normal((5, 700, 3))
    for k, x in enumerate(mf.linalg.lstsq(a, b).x):
        same_bits(x, mf.linalg.lstsq(a[k], b[k]).x)


@every_dtype
@every_batch_size
def test_batch_sizes(batch, dtype, rng):
    a, b = rng.standard_normal((batch, 6, 3)).astype(dtype), rng.standard_normal((batch, 6, 1)).astype(dtype)
    x, residuals, rank, _ = mf.linalg.lstsq(a, b)
    assert (x.shape, residuals.shape, rank.shape) == ((batch, 3, 1), (batch, 1), (batch,))
    for i in range(batch):
        one = mf.linalg.lstsq(a[i], b[i])
        same_bits(x[i], one.x)
        same_bits(residuals[i], one.residuals)


def test_broadcasting(rng):
    a, b = rng.standard_normal((4, 1, 6, 3)), rng.standard_normal((5, 6, 2))
    x, residuals, rank, _ = mf.linalg.lstsq(a, b)
    assert (x.shape, residuals.shape, rank.shape) == ((4, 5, 3, 2), (4, 5, 2), (4, 5))
    same_bits(x[2, 3], mf.linalg.lstsq(a[2, 0], b[3]).x)
    vector = mf.linalg.lstsq(a, b[0, :, 0])  # one dimension: a vector for all
    assert (vector.x.shape, vector.residuals.shape) == ((4, 1, 3), (4, 1, 1))
    same_bits(vector.x[1, 0], mf.linalg.lstsq(a[1, 0], b[0, :, 0]).x)


@pytest.mark.parametrize("sizes", [(0, 3, 2), (3, 0, 2), (0, 0, 2), (4, 3, 0), (3, 4, 0), (0, 3, 0), (40, 35, 0)])
def test_nothing(sizes, rng):
    m, n, k = sizes
    a, b = rng.standard_normal((m, n)), rng.standard_normal((m, k))
    for got, expected in zip(mf.linalg.lstsq(a, b), np.linalg.lstsq(a, b), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12)
        assert np.shape(got) == np.shape(expected)
    many = mf.linalg.lstsq(a[None].repeat(2, axis=0), b[None].repeat(2, axis=0))
    assert many.x.shape == (2, n, k)
    assert mf.linalg.lstsq(np.zeros((0, 5, 3)), np.zeros((0, 5, 1))).x.shape == (0, 3, 1)


@pytest.mark.parametrize("shape", [(4, 2), (2, 4), (3, 3), (40, 36), (36, 40), (60, 36)], ids=str)
def test_nan_and_infinity(shape, rng):
    a, b = rng.standard_normal((3, *shape)), rng.standard_normal((3, shape[0], 1))
    good = mf.linalg.lstsq(a, b)
    for which in (a, b):
        for index, bad in list(poisoned(which))[:: 1 if shape[0] < 10 else 1111]:
            args = (bad, b) if which is a else (a, bad)
            got = mf.linalg.lstsq(*args, errors="nan")
            i = index[0]
            assert np.isnan(got.x[i]).all()
            assert got.rank[i] == 0
            one = mf.linalg.lstsq(args[0][i], args[1][i], errors="nan")
            assert one.rank == 0
            assert np.isnan(one.x).all()
            assert np.isnan(one.s).all()
            keep = np.arange(3) != i
            for x, y in zip(got[:3], good[:3], strict=True):
                same_bits(x[keep], y[keep])
            with pytest.raises(LinAlgError, match=rf"NaN or infinity in a or b at batch index \({i},\)"):
                mf.linalg.lstsq(*args)
    with pytest.raises(LinAlgError, match="lstsq: NaN or infinity"):
        mf.linalg.lstsq(a[0], np.full(shape[0], np.nan))


def test_wrong_arguments():
    with pytest.raises(LinAlgError, match=r"a must be a matrix.*\(3,\)"):
        mf.linalg.lstsq(np.ones(3), np.ones(3))
    with pytest.raises(LinAlgError, match=r"Incompatible dimensions.*\(3, 2\) and \(4,\)"):
        mf.linalg.lstsq(np.ones((3, 2)), np.ones(4))
    with pytest.raises(LinAlgError, match=r"b must be.*\(\)"):
        mf.linalg.lstsq(np.ones((3, 2)), 1.0)
    with pytest.raises(ValueError, match=r"lstsq: a has shape \(2, 3, 2\), b has shape \(3, 3, 1\)"):
        mf.linalg.lstsq(np.ones((2, 3, 2)), np.ones((3, 3, 1)))
    with pytest.raises(ValueError, match="errors must be"):
        mf.linalg.lstsq(np.eye(3), np.ones(3), errors="ignore")
    with pytest.raises(TypeError, match=r"a must hold real numbers.*complex128"):
        mf.linalg.lstsq(np.eye(3) * 1j, np.ones(3))
    with pytest.raises(TypeError, match=r"b must hold real numbers.*complex128"):
        mf.linalg.lstsq(np.eye(3), np.ones(3) * 1j)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.int64])
def test_integers_become_float64(dtype):
    got = mf.linalg.lstsq(np.array([[0, 1], [1, 1]], dtype), np.array([1, 1], dtype))
    assert got.x.dtype == got.s.dtype == np.float64
    np.testing.assert_allclose(got.x, [0, 1], atol=1e-15)
    np.testing.assert_allclose(mf.linalg.lstsq([[2, 0], [0, 4]], [2, 4]).x, [1, 1])


def test_threads_and_levels_give_the_same_bits(same_at_every_level):
    same_at_every_level(
        """
        rng = np.random.default_rng(5)
        for dtype in (np.float64, np.float32):
            for m, n in ((50, 5), (3, 3), (5, 9), (16, 16), (60, 16), (4, 1)):
                a, b = (rng.standard_normal((300, m, k)).astype(dtype) for k in (n, 7 if n == 9 else 2))
                a[7] = 0
                a[8, :, 0] *= np.finfo(dtype).tiny
                if n > 1:
                    a[9, :, 1] = a[9, :, 0]
                digest(*mf.linalg.lstsq(a, b)[:3])
                for i in (1, 7, 8, 9) if min(m, n) <= 12 else ():
                    digest(*mf.linalg.lstsq(a[i], b[i]))
        """
    )


@settings(deadline=None, max_examples=80)
@given(st.integers(1, 18), st.integers(1, 18), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_laws(m, n, k, seed):
    """Small integers, often without full rank: the normal equations hold, and x has no part in the null space."""
    rng = np.random.default_rng(seed)
    a, b = of_rank(rng, m, n, int(rng.integers(1, 19))), rng.integers(-9, 10, (m, k)).astype(float)
    x, _, rank, s = mf.linalg.lstsq(a, b)
    assert rank == np.linalg.matrix_rank(a)
    smallest = s[rank - 1] if rank else 1.0
    tolerance = 1e-13 * (1 + s[0] / smallest) * max(m, n)
    assert np.abs(a.T @ (a @ x - b)).max() <= tolerance * (1 + s[0]) * (np.abs(b).max() + s[0] * np.abs(x).max())
    null = np.linalg.svd(a)[2][rank:]
    assert np.abs(null @ x).max(initial=0) <= tolerance * (np.abs(x).max() + 1)


# ---- NIST's certified regressions ----


def strd():
    folder = data_folder_or_none()
    if folder is None or not (folder / "strd.py").is_file():
        pytest.skip("no NIST StRD: set MMLFAST_DATA to the folder of the data sets")
    sys.path.insert(0, str(folder))
    try:
        return pytest.importorskip("strd")
    finally:
        sys.path.remove(str(folder))


LINEAR = [
    "Norris", "Pontius", "NoInt1", "NoInt2", "Filip", "Longley", "Wampler1", "Wampler2", "Wampler3", "Wampler4",
    "Wampler5",
]  # fmt: skip


@pytest.mark.parametrize("name", LINEAR)
def test_nist(name):
    """As many correct digits as LAPACK finds, less one, by the default, also where NumPy needs rcond (Filip)."""
    data = strd()
    problem = data.load(name)
    design, y = np.asarray(problem.design, float), np.asarray(problem.y, float)
    rcond = 1e-16 if name == "Filip" else None

    def digits(x):
        return float(np.min(data.lre(np.asarray(x), problem.params)))

    ours, theirs = mf.linalg.lstsq(design, y), np.linalg.lstsq(design, y, rcond)
    assert ours.rank == theirs[2] == design.shape[1]
    assert digits(ours.x) >= max(min(digits(theirs[0]) - 1, 13), 6)
    if problem.rss > 0:
        assert ours.residuals[0] == pytest.approx(problem.rss, rel=1e-6)


def test_nist_in_one_batch():
    """Problems of one shape together: the Wampler sets share their design."""
    data = strd()
    problems = [data.load(f"Wampler{i}") for i in (1, 2, 3, 4, 5)]
    x = mf.linalg.lstsq(problems[0].design, np.stack([p.y for p in problems])[..., None]).x[..., 0]
    for row, problem in zip(x, problems, strict=True):
        same_bits(row, mf.linalg.lstsq(problem.design, problem.y).x)
