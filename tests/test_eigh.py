"""linalg.eigh and eigvalsh: residual, orthogonality and eigenvalues, on all sizes and on the matrices that hurt."""

from __future__ import annotations

import os

import cases
import mpmath
import numpy as np
import pytest
from cases import LAYOUTS, every_batch_size, every_case, every_dtype, every_matrix_market_file, same_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from interrupts import run_until, signalled
from numpy.linalg import LinAlgError

import mmlfast as mf
from mmlfast._reference import eigh as reference

SIZES = (*range(1, 18), 20, 21, 24, 31, 32, 33, 48, 64, 65, 80, 128)


def symmetric(a, uplo="L"):
    """The matrix that is meant by one triangle."""
    triangle = np.tril(a) if uplo == "L" else np.triu(a)
    diagonal = np.eye(a.shape[-1], dtype=bool) & (triangle != 0)
    return triangle + np.where(diagonal, 0, triangle.mT)


def assert_eigen(a, values, vectors, uplo="L"):
    """DESIGN's bounds: residual and orthogonality of at most 10 n u, ascending values."""
    n, u = a.shape[-1], float(np.finfo(a.dtype).eps) / 2
    assert values.dtype == vectors.dtype == a.dtype
    assert values.shape == a.shape[:-1]
    assert vectors.shape == a.shape
    assert np.all(values[..., 1:] >= values[..., :-1])
    wide = symmetric(a.astype(np.longdouble), uplo)
    scale = np.abs(wide).max(axis=(-2, -1), keepdims=True, initial=0)
    scale = np.where(scale > 0, scale, 1)
    wide, w, v = wide / scale, values.astype(np.longdouble) / scale[..., 0], vectors.astype(np.longdouble)
    size = np.maximum(np.sqrt((wide**2).sum(axis=(-2, -1))), np.finfo(np.longdouble).tiny)
    residual = np.sqrt(((wide @ v - v * w[..., None, :]) ** 2).sum(axis=(-2, -1))) / size
    orthogonality = np.sqrt(((v.mT @ v - np.eye(n)) ** 2).sum(axis=(-2, -1)))
    # A matrix of denormals is rounded to whole multiples of the smallest one.
    grid = n * np.finfo(a.dtype).smallest_subnormal / (scale[..., 0, 0] * size)
    assert np.all(residual <= 10 * n * u + grid), f"residual {float(np.max(residual, initial=0)) / u:.1f} u, n = {n}"
    assert np.all(orthogonality <= 10 * n * u), f"orthogonality {float(np.max(orthogonality)) / u:.1f} u, n = {n}"


def assert_right(a, uplo="L"):
    values, vectors = mf.linalg.eigh(a, uplo)
    assert_eigen(a, values, vectors, uplo)
    alone = mf.linalg.eigvalsh(a, uplo)
    n, u = a.shape[-1], float(np.finfo(a.dtype).eps) / 2
    size = np.abs(values).max(axis=-1, initial=0)
    assert alone.dtype == a.dtype
    assert np.all(np.abs(alone - values).max(axis=-1, initial=0) <= 10 * n * u * np.maximum(size, 0) + tiny(a))
    return values, vectors


def tiny(a):
    return a.shape[-1] * np.finfo(a.dtype).smallest_subnormal


def random_symmetric(rng, shape, dtype=np.float64):
    x = rng.standard_normal(shape)
    return ((x + x.mT) / 2).astype(dtype)


# ---- every tagged matrix in every layout: only one triangle counts, so any square matrix will do ----


@every_case("square")
def test_every_matrix(case):
    for uplo in "LU":
        values, vectors = mf.linalg.eigh(case.array, uplo)
        assert_eigen(case.plain, values, vectors, uplo)
        same_bits(values, mf.linalg.eigh(case.plain, uplo).eigenvalues)
        same_bits(vectors, mf.linalg.eigh(case.plain, uplo).eigenvectors)
        same_bits(mf.linalg.eigvalsh(case.array, uplo), mf.linalg.eigvalsh(case.plain, uplo))


@every_dtype
@pytest.mark.parametrize("n", SIZES)
def test_every_size(n, dtype, rng):
    # 19 items: lanes for all sizes up to 128, with part-filled groups; 2: LAPACK from 21 on.
    for batch in (19 if n <= 80 else 16, 2):
        a = random_symmetric(rng, (batch, n, n), dtype)
        values, _ = assert_right(a)
        expected = np.linalg.eigvalsh(a.astype(float))
        u = float(np.finfo(dtype).eps) / 2
        assert np.all(np.abs(values - expected) <= 10 * n * u * np.abs(expected).max(axis=-1, keepdims=True))


@every_dtype
@pytest.mark.parametrize("n", [21, 34, 65, 130, 200, 303])
def test_large_matrices_at_every_scale(n, dtype, rng):
    """Eigenvectors brought back by panels, and by LAPACK; squares that would leave the range."""
    a = random_symmetric(rng, (n, n), dtype)
    a /= np.abs(a).max()
    largest = float(np.finfo(dtype).max) / (4 * n)
    for size in (1.0, largest, np.sqrt(float(np.finfo(dtype).tiny)) / 8) if n < 200 else (largest,):
        for uplo in "LU" if n < 200 else "L":
            assert_right((a * dtype(size)).astype(dtype), uplo)


@pytest.mark.parametrize("n", [70, 303])
def test_large_results_in_the_order_of_columns(n, rng):
    a = random_symmetric(rng, (n, n))
    w, v = np.zeros(n), np.zeros((n, n), order="F")
    mf._core.eigh(a, out=(w, v))
    assert_eigen(a, w, v)
    spread = np.zeros((n, 2 * n))[:, ::2]
    mf._core.eigh(a, out=(w, spread))
    assert_eigen(a, w, spread)


@every_dtype
@every_batch_size
@pytest.mark.parametrize("n", [1, 2, 3, 4, 7])
def test_every_batch_size(n, batch, dtype, rng):
    a = random_symmetric(rng, (batch, n, n), dtype)
    values, vectors = assert_right(a)
    only = mf.linalg.eigvalsh(a)
    for i in range(batch):  # the same bits alone and anywhere in a batch
        alone = mf.linalg.eigh(a[i])
        same_bits(alone.eigenvalues, values[i])
        same_bits(alone.eigenvectors, vectors[i])
        same_bits(mf.linalg.eigvalsh(a[i]), only[i])
    same_bits(mf.linalg.eigh(a[::-1]).eigenvectors, vectors[::-1])


@every_dtype
@pytest.mark.parametrize("n", [2, 3, 8, 20])
def test_batches_of_many_blocks(n, dtype, rng, threads):
    count = 20_011 if n < 8 else 1_003
    a = random_symmetric(rng, (count, n, n), dtype)
    threads(1)
    values, vectors = mf.linalg.eigh(a)
    assert_eigen(a[::41], values[::41], vectors[::41])
    assert_eigen(a[-40:], values[-40:], vectors[-40:])
    for number in (2, 5):
        threads(number)
        again = mf.linalg.eigh(a)
        same_bits(again.eigenvalues, values)
        same_bits(again.eigenvectors, vectors)


@every_dtype
@pytest.mark.parametrize("n", [1, 2, 3, 5, 9])
def test_agrees_with_the_reference(n, dtype, rng):
    a = random_symmetric(rng, (n, n), dtype)
    for uplo in "LU":
        values, vectors = reference.eigh(a, uplo == "U")
        ours = mf.linalg.eigh(a, uplo)
        tolerance = 40 * n * np.finfo(dtype).eps
        np.testing.assert_allclose(ours.eigenvalues, values, atol=tolerance * np.abs(values).max())
        gap = np.diff(values).min(initial=1)
        overlap = np.abs((ours.eigenvectors * vectors).sum(axis=0))
        np.testing.assert_allclose(overlap, 1, atol=tolerance * np.abs(values).max() / gap + tolerance)


# ---- the matrices that hurt ----


def wilkinson(n):
    return np.diag(np.abs(np.arange(n) - (n - 1) / 2)) + np.diag(np.ones(n - 1), 1) + np.diag(np.ones(n - 1), -1)


def hard_symmetric(rng, n):
    """(name, matrix)"""
    q = cases.orthogonal(rng, n)
    decades = 10.0 ** -np.linspace(0, 18, n)
    ones = np.ones(n)
    yield "repeated", cases.repeated_eigenvalues(rng, n)
    yield "clustered", cases.clustered_eigenvalues(rng, n)
    yield "tighter cluster", cases.clustered_eigenvalues(rng, n, 1e-16)
    yield "one is far", cases.symmetric_of(rng, [1e-8] * (n - 1) + [1.0])
    yield "nearly a multiple of 1", 3 * np.eye(n) + 1e-9 * random_symmetric(rng, (n, n))
    yield "nearly a multiple of 1, closer", 3 * np.eye(n) + 1e-15 * random_symmetric(rng, (n, n))
    yield "graded down", random_symmetric(rng, (n, n)) * np.sqrt(decades[:, None] * decades)
    yield "graded up", (random_symmetric(rng, (n, n)) * np.sqrt(decades[:, None] * decades))[::-1, ::-1].copy()
    yield "graded spectrum", (q * decades) @ q.T
    yield "diagonal", np.diag(rng.standard_normal(n))
    yield "diagonal, graded", np.diag(decades)
    yield "one off the diagonal", np.diag(np.arange(n) + 1.0) + 1e-3 * (np.eye(n)[:, :1] @ np.eye(n)[-1:])
    yield "zero", np.zeros((n, n))
    yield "identity", np.eye(n)
    yield "ones", np.outer(ones, ones)
    yield "rank 1", np.outer(q[0], q[0])
    yield "rank 1, negative", -np.outer(q[0], q[0])
    yield "rank 2", np.outer(q[0], q[0]) - np.outer(q[-1], q[-1])
    yield "wilkinson", wilkinson(n)
    yield "hilbert", cases.hilbert(n)
    yield "toeplitz", 2.0 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
    yield "exchange", np.eye(n)[::-1].copy()
    yield "zero diagonal", ones - np.eye(n)
    yield "signs", np.triu(s := rng.choice([-1.0, 1.0], (n, n))) + np.triu(s, 1).T
    yield "two scales", np.diag([1.0] * (n // 2) + [1e-12] * (n - n // 2)) + 1e-20
    yield "huge and tiny", np.diag(10.0 ** np.linspace(-30, 30, n)) + 1e-31
    yield "reflection", np.eye(n) - 2 * np.outer(q[0], q[0])


@every_dtype
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 11, 21, 32, 40, 96])
def test_hard_matrices(n, dtype, rng):
    names, matrices = zip(*hard_symmetric(rng, n), strict=True)
    with np.errstate(under="ignore"):
        a = np.array(matrices).astype(dtype)
    for scale in (1.0, 2.0**-100, 2.0**90, 1e-15):
        with np.errstate(under="ignore", over="ignore"):
            b = (a * scale).astype(dtype)
        b = np.where(np.isfinite(b).all(axis=(-2, -1), keepdims=True), b, 0).astype(dtype)
        for name, one in zip(names, b, strict=True):
            try:
                assert_right(one)
            except AssertionError as error:
                raise AssertionError(f"{name} times {scale}: {error}") from None
        assert_right(b)


def glued(block, copies, coupling):
    """Copies of a matrix along the diagonal, each coupled to the next by so much: clusters of eigenvalues."""
    n = len(block)
    a = np.kron(np.eye(copies), block)
    rows = np.arange(1, copies) * n
    a[rows, rows - 1] = a[rows - 1, rows] = coupling
    return a


@every_dtype
@pytest.mark.parametrize("n", [98, 131, 200, 303])
def test_hard_matrices_that_are_divided(n, dtype, rng):
    matrices = [*hard_symmetric(rng, n)]
    matrices += [(f"glued by {c}", glued(wilkinson(21), n // 21, c)) for c in (1.0, 1e-4, 1e-8, 1e-14, 0.0)]
    off = rng.standard_normal(n - 1)
    for name, d, e in (
        ("weak couplings", rng.standard_normal(n), 1e-9 * off),
        ("couplings of all sizes", np.zeros(n), 10.0 ** -rng.uniform(0, 17, n - 1)),
        ("couplings of both signs", rng.standard_normal(n), off),
        ("few values", rng.integers(0, 3, n) * 1.0, np.where(rng.random(n - 1) < 0.2, off, 0)),
        ("coupled in the middle only", np.arange(n) * 1.0, np.where(np.arange(1, n) == n // 2, 1.0, 0)),
        ("equal but for the middle", np.ones(n), np.where(np.arange(1, n) == n // 2, 1.0, 0)),
    ):
        matrices.append((name, np.diag(d) + np.diag(e, 1) + np.diag(e, -1)))
    for name, a in matrices:
        with np.errstate(under="ignore", over="ignore"):
            single = a.astype(dtype)
        try:
            assert_right(np.where(np.isfinite(single), single, 0).astype(dtype))
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from None


@every_dtype
@pytest.mark.parametrize("n", [98, 192])
@pytest.mark.parametrize("place", [0, 60, -1])
def test_parts_that_are_tiny_beside_one_number(n, place, dtype, rng):
    """Quotients in a part overflowed, and equal values in it were not seen: columns of zeros, or NaN."""
    for t in (1e-20, 1e-36, 1e-42) if dtype == np.float32 else (1e-150, 1e-200, 1e-300, 1e-305, 1e-310, 5e-324):
        for sizes in (np.ones(n), 10.0 ** rng.uniform(-10, 10, n), rng.integers(0, 5, n) * 1.0):
            with np.errstate(under="ignore"):
                band = (t * sizes * rng.choice([-1.0, 1.0], n)).astype(dtype)
            for d in (np.zeros(n, dtype), band[::-1].copy()):
                d[place] = 1
                assert_right(np.diag(d) + np.diag(band[1:], 1) + np.diag(band[1:], -1))


@pytest.mark.parametrize("n", [97, 128, 385, 1000])
def test_eigenvalues_of_a_chain_are_known(n):
    """2 - 2 cos(k pi / (n + 1)), and vectors of sines."""
    values, vectors = mf.linalg.eigh(2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1))
    k = np.arange(1, n + 1)
    assert np.abs(values - 4 * np.sin(k * np.pi / (2 * (n + 1))) ** 2).max() < 16 * 4 * 2.0**-53  # of the norm, 4
    sines = np.sqrt(2 / (n + 1)) * np.sin(np.outer(k, k) * np.pi / (n + 1))
    assert np.abs(np.abs(np.sum(sines * vectors, axis=0)) - 1).max() < 1e-11


@every_dtype
@pytest.mark.parametrize("n", [4, 5, 8, 9, 16, 31, 70])
def test_blocks_do_not_look_at_their_neighbours(n, dtype, rng):
    """Tridiagonal matrices that fall apart at other rows, and at other scales, in every lane."""
    small = 1e-12 if dtype == np.float64 else 1e-4
    a = np.zeros((75, n, n), dtype)
    rows = np.arange(n - 1)
    for k, item in enumerate(a):
        cuts = rng.random(n - 1) < (k % 5) / 5
        scale = small ** np.concatenate([[0], np.cumsum(cuts) % 3 / 2])
        item[rows + 1, rows] = item[rows, rows + 1] = np.where(cuts, 0, rng.standard_normal(n - 1) * scale[1:])
        item[range(n), range(n)] = rng.standard_normal(n) * scale
    values, vectors = assert_right(a)
    for i, item in enumerate(a):
        alone = np.broadcast_to(item, (1 if n <= 20 else 16, n, n))  # few larger ones go to LAPACK
        same_bits(mf.linalg.eigh(alone).eigenvalues[0], values[i])
        same_bits(mf.linalg.eigh(alone).eigenvectors[0], vectors[i])
        same_bits(mf.linalg.eigvalsh(alone)[0], mf.linalg.eigvalsh(a)[i])


@every_dtype
@pytest.mark.parametrize("n", [2, 3, 4, 9, 33, 70])
def test_ends_of_the_range(n, dtype, rng):
    a = random_symmetric(rng, (20, n, n), dtype)
    a /= np.abs(a).max(axis=(-2, -1), keepdims=True)
    largest = np.finfo(dtype).max / (4 * n)
    assert_right((a * largest).astype(dtype))
    assert_right((a * np.finfo(dtype).tiny).astype(dtype))
    assert_right(symmetric(np.stack([cases.denormal(rng, n, n, dtype) for _ in range(9)])))
    mixed = a.copy()  # each lane has a scale of its own
    mixed[::3] *= dtype(largest)
    mixed[1::3] *= np.finfo(dtype).tiny
    values, vectors = assert_right(mixed)
    assert np.isfinite(values).all()
    for i in range(6 if n <= 32 else 0):
        same_bits(mf.linalg.eigh(mixed[i]).eigenvectors, vectors[i])
        same_bits(mf.linalg.eigvalsh(mixed)[i], mf.linalg.eigvalsh(mixed[i]))


def test_powers_of_two_change_no_digit(rng):
    for n in (2, 3, 5, 12):
        a = random_symmetric(rng, (9, n, n))
        values, vectors = mf.linalg.eigh(a)
        for power in (-900, -300, -31, 40, 400, 900):
            scaled = mf.linalg.eigh(np.ldexp(a, power))
            same_bits(scaled.eigenvalues, np.ldexp(values, power))
            same_bits(scaled.eigenvectors, vectors)


def test_wilkinson_21_against_50_digits():
    """Pairs of eigenvalues that agree to fourteen digits."""
    with mpmath.workdps(50):
        exact = np.array([float(x) for x in mpmath.eigsy(mpmath.matrix(wilkinson(21).tolist()), eigvals_only=True)])
    values, vectors = mf.linalg.eigh(wilkinson(21))
    np.testing.assert_allclose(values, exact, atol=1e-14)
    np.testing.assert_allclose(mf.linalg.eigvalsh(wilkinson(21)), exact, atol=1e-14)
    assert_eigen(wilkinson(21), values, vectors)


@every_dtype
@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 20])
def test_diagonal_matrices_are_exact(n, dtype, rng):
    """Also where one element is of another order than the rest, which a shift would lose."""
    d = rng.standard_normal((30, n)) * 10.0 ** rng.integers(-12, 12, (30, n))
    d[::5] = np.round(d[::5])
    d = d.astype(dtype)
    a = d[..., None] * np.eye(n, dtype=dtype)
    values, vectors = mf.linalg.eigh(a)
    np.testing.assert_array_equal(values, np.sort(d, axis=-1))
    np.testing.assert_array_equal(np.abs(vectors).sum(axis=-1), np.ones((30, n)))
    np.testing.assert_array_equal(mf.linalg.eigvalsh(a), np.sort(d, axis=-1))


def test_many_random_3x3(rng):
    """Straight code without a loop that would notice an error: a hundred thousand of each kind."""
    q = np.linalg.qr(rng.standard_normal((100_000, 3, 3)))[0]
    for spread in (1.0, 1e-4, 1e-8, 1e-12, 1e-15):
        for spectrum in ((1, 2, 3), (1, 1 + spread, 2), (-1, spread, -spread), (1, 1 + spread, 1 - spread), (0, 0, 1)):
            values = np.array(spectrum) * rng.uniform(0.5, 2, (100_000 // 5, 1))
            a = (q[: len(values)] * values[:, None, :]) @ q[: len(values)].mT
            a = (a + a.mT) / 2
            w, v = mf.linalg.eigh(a)
            size = np.abs(values).max(axis=-1)
            assert (np.abs(a @ v - v * w[:, None, :]).max(axis=(-2, -1)) / size).max() < 3e-15
            assert np.abs(v.mT @ v - np.eye(3)).max() < 3e-15


# ---- one triangle is read, and bad numbers stay where they are ----


@every_dtype
@pytest.mark.parametrize("n", [2, 3, 4, 9, 33, 70])
def test_the_other_triangle_is_not_read(n, dtype, rng):
    a = random_symmetric(rng, (18, n, n), dtype)
    for uplo, other in (("L", np.triu_indices(n, 1)), ("U", np.tril_indices(n, -1))):
        noise = a.copy()
        noise[:, other[0], other[1]] = np.nan
        for ours, theirs in zip(mf.linalg.eigh(noise, uplo), mf.linalg.eigh(a, uplo), strict=True):
            same_bits(ours, theirs)
        same_bits(mf.linalg.eigvalsh(noise, uplo.lower()), mf.linalg.eigvalsh(a, uplo))


@pytest.mark.parametrize("n", [2, 3, 4, 10])
def test_poisoned_items(n, rng):
    a = random_symmetric(rng, (21, n, n))
    values, vectors = mf.linalg.eigh(a)
    only = mf.linalg.eigvalsh(a)
    others = np.arange(21) != 5
    for index, bad in cases.poisoned(a[5]):
        if index[0] < index[1]:
            continue
        mixed = a.copy()
        mixed[5] = bad
        w, v = mf.linalg.eigh(mixed, errors="nan")
        same_bits(w[others], values[others])
        same_bits(v[others], vectors[others])
        assert np.isnan(w[5]).all()
        assert np.isnan(v[5]).all()
        e = mf.linalg.eigvalsh(mixed, errors="nan")
        same_bits(e[others], only[others])
        assert np.isnan(e[5]).all()
        for function in (mf.linalg.eigh, mf.linalg.eigvalsh):
            if n == 2:
                function(mixed)  # as in NumPy
                continue
            with pytest.raises(LinAlgError, match=r"a must be finite, but .* at batch index \(5,\), 1 of 21"):
                function(mixed)
            with pytest.raises(LinAlgError, match="a must be finite, but a"):
                function(bad)


@pytest.mark.parametrize("n", [33, 40, 70])
def test_bad_numbers_in_lapack(n, rng):
    a = random_symmetric(rng, (3, n, n))
    expected = mf.linalg.eigh(a)
    for value in (np.nan, np.inf):
        bad = a.copy()
        bad[1, n // 2, 3] = value
        w, v = mf.linalg.eigh(bad, errors="nan")
        assert np.isnan(w[1]).all()
        assert np.isnan(v[1]).all()
        for i in (0, 2):
            same_bits(w[i], expected.eigenvalues[i])
            same_bits(v[i], expected.eigenvectors[i])
        with pytest.raises(LinAlgError, match=r"eigvalsh: a must be finite, but .* at batch index \(1,\)"):
            mf.linalg.eigvalsh(bad)


@every_dtype
@pytest.mark.parametrize("n", [65, 128])
def test_bad_numbers_in_lanes_of_many_rows(n, dtype, rng):
    a = random_symmetric(rng, (37, n, n), dtype)
    expected = (*mf.linalg.eigh(a), mf.linalg.eigvalsh(a))
    a[3, n - 1, 0], a[30, n // 2, n // 2] = np.nan, np.inf
    others = np.isfinite(np.tril(a)).all(axis=(-2, -1))
    for ours, plain in zip(
        (*mf.linalg.eigh(a, errors="nan"), mf.linalg.eigvalsh(a, errors="nan")), expected, strict=True
    ):
        same_bits(ours[others], plain[others])
        assert np.isnan(ours[[3, 30]]).all()
    with pytest.raises(LinAlgError, match=r"a must be finite, but .* at batch index \(3,\), 2 of 37"):
        mf.linalg.eigvalsh(a)


def test_one_by_one():
    for value in (3.0, -0.0, np.inf, np.nan):
        values, vectors = mf.linalg.eigh([[value]])
        np.testing.assert_array_equal(values, [value])
        np.testing.assert_array_equal(vectors, [[1.0]])


# ---- arguments ----


def test_result():
    result = mf.linalg.eigh(np.diag([3.0, 1.0]))
    assert isinstance(result, mf.linalg.EighResult)
    assert result._fields == np.linalg.eigh(np.eye(2))._fields


def test_options():
    for function in (mf.linalg.eigh, mf.linalg.eigvalsh):
        with pytest.raises(ValueError, match="UPLO must be 'L' or 'U', got 'lower'"):
            function(np.eye(2), "lower")
        with pytest.raises(ValueError, match="errors must be 'raise' or 'nan'"):
            function(np.eye(2), errors="ignore")
        with pytest.raises(LinAlgError, match=r"the last two dimensions of a must be equal, got shape \(2, 3\)"):
            function(np.ones((2, 3)))
        with pytest.raises(LinAlgError, match=r"a must be a matrix .* got shape \(3,\)"):
            function(np.ones(3))
        with pytest.raises(TypeError, match=r"a must hold real numbers .* got complex128"):
            function(np.eye(2, dtype=complex))


def test_integers_empty_and_array_likes():
    values, vectors = mf.linalg.eigh([[2, 1], [1, 2]])
    assert values.dtype == vectors.dtype == np.float64
    np.testing.assert_allclose(values, [1, 3], rtol=1e-15)
    assert mf.linalg.eigvalsh(np.eye(3, dtype=bool)).dtype == np.float64
    for dtype in (np.float64, np.float32):
        values, vectors = mf.linalg.eigh(np.zeros((0, 0), dtype))
        assert (values.shape, vectors.shape, values.dtype) == ((0,), (0, 0), dtype)
        values, vectors = mf.linalg.eigh(np.zeros((4, 0, 0), dtype))
        assert (values.shape, vectors.shape) == ((4, 0), (4, 0, 0))
        assert mf.linalg.eigvalsh(np.zeros((0, 5, 5), dtype)).shape == (0, 5)
        assert mf.linalg.eigh(np.zeros((0, 50, 50), dtype)).eigenvectors.shape == (0, 50, 50)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("n", [3, 35])
def test_layouts(n, layout, rng):
    a = random_symmetric(rng, (9, n, n))
    for ours, plain in zip(mf.linalg.eigh(layout(a)), mf.linalg.eigh(a), strict=True):
        same_bits(ours, plain)


def test_floating_point_errors_do_not_leak(rng):
    a = random_symmetric(rng, (5, 6, 6))
    a[1] = 0
    with np.errstate(all="raise"):
        for n in (2, 3, 6):
            mf.linalg.eigh(a[:, :n, :n])
            mf.linalg.eigvalsh(a[:, :n, :n])
        np.ones(3) + 1


# ---- the same bits ----


def test_same_bits_at_every_level_and_thread_count(same_at_every_level):
    same_at_every_level("""
        rng = np.random.default_rng(7)
        for dtype in (np.float64, np.float32):
            for n in (1, 2, 3, 4, 5, 7, 8, 12, 13, 16, 31, 32, 40, 65, 101):
                for count in (16, 17, 33, 2000 // n) if n < 65 else (35,):
                    x = rng.standard_normal((count, n, n))
                    a = (x + x.swapaxes(-1, -2)).astype(dtype)
                    a[::7] *= dtype(1e-30)
                    a[1::7] = 1
                    digest(*mf.linalg.eigh(a), mf.linalg.eigvalsh(a), *mf.linalg.eigh(a, "U"))
    """)


def test_same_bits_of_one_matrix_that_is_divided(same_at_every_level):
    same_at_every_level("""
        rng = np.random.default_rng(8)
        for dtype in (np.float64, np.float32):
            for n in (97, 150, 260, 500):
                x = rng.standard_normal((n, n))
                digest(*mf.linalg.eigh((x + x.T).astype(dtype)))
                digest(*mf.linalg.eigh(np.diag(x[0]).astype(dtype) + dtype(1)))
            for n in (22, 64, 257, 300, 800):
                x = rng.standard_normal((n, n)).astype(dtype)
                digest(mf.linalg.eigvalsh(x + x.T))
    """)


@every_dtype
@pytest.mark.parametrize("n", [21, 33, 48, 49, 50, 97, 257, 273, 290])
def test_one_matrix_whose_columns_are_done_early(n, dtype, rng):
    """Reflections of columns that are zero already, in any place of a panel, and of columns that are nearly so."""
    x = rng.standard_normal((n, n))
    full = x + x.T
    far = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    tiny = 1e-300 if dtype == np.float64 else 1e-30
    for a in (
        np.where(far <= 1, full, 0),
        np.where(far <= 2, full, 0),
        np.where(far <= 1, full, full * tiny),
        np.where(np.minimum.outer(np.arange(n), np.arange(n)) < n // 2, 0, full),
        np.where(np.maximum.outer(np.arange(n), np.arange(n)) > n // 2, np.diag(np.arange(n)), full),
        np.where(np.arange(n) % 3 == 0, 0, np.where(np.arange(n)[:, None] % 3 == 0, 0, full)),
    ):
        a = a.astype(dtype)
        w, v = mf.linalg.eigh(a)
        size = np.linalg.norm(a.astype(float), 2)
        bound = 10 * n * np.finfo(dtype).eps / 2
        assert np.linalg.norm(a.astype(float) @ v - v.astype(float) * w, 2) <= bound * size
        assert np.linalg.norm(v.T.astype(float) @ v - np.eye(n), 2) <= bound
        assert np.abs(mf.linalg.eigvalsh(a) - np.linalg.eigvalsh(a.astype(float))).max() <= bound * size


def test_one_matrix_beside_numbers_that_are_not_its_own(rng):
    """The other triangle is not read, and neither what lies between the rows; n columns fill no whole vectors."""
    for n in (21, 47, 98, 130, 259):
        x = rng.standard_normal((n, n))
        wide = np.full((n, n + 5), np.nan)
        wide[:, :n] = np.tril(x + x.T) + np.triu(np.full((n, n), np.nan), 1)
        lower = wide[:, :n]
        values, vectors = mf.linalg.eigh(x + x.T)
        for a, triangle in ((lower, "L"), (np.asfortranarray(lower), "L"), (lower.T, "U")):
            same_bits(mf.linalg.eigh(a, UPLO=triangle)[0], values)
            same_bits(mf.linalg.eigh(a, UPLO=triangle)[1], vectors)
        turned = lower[::-1, ::-1].T  # negative strides
        assert np.abs(mf.linalg.eigvalsh(turned) - values).max() < 1e-12 * np.abs(values).max()


@pytest.mark.skipif(os.name == "nt", reason="signals are of POSIX")
@pytest.mark.parametrize("function", [mf.linalg.eigh, mf.linalg.eigvalsh, mf.linalg.svd])
@pytest.mark.parametrize("items", [1, 8])
def test_ctrl_c_ends_the_decomposition_of_large_matrices(function, items):
    """Signals go on coming: what the first one raised stays, whoever asks next."""

    def handler():
        raise KeyboardInterrupt

    def attempt(k):
        n = int(400 * k ** (1 / 3))
        a = np.ones((items, n, n)) + np.diag(np.arange(n, dtype=float))
        try:
            signalled(lambda: function(a), handler)
        except KeyboardInterrupt:
            return True
        return False

    for _ in range(2):
        run_until(attempt)


def test_baseline_is_right_too(run_python):
    run_python(
        """
        import numpy as np, mmlfast as mf
        rng = np.random.default_rng(3)
        for dtype in (np.float64, np.float32):
            for n in (1, 2, 3, 4, 8, 9, 20, 32, 130):
                x = rng.standard_normal((21 if n < 100 else 1, n, n))
                a = (x + x.swapaxes(-1, -2)).astype(dtype)
                w, v = (y.astype(np.longdouble) for y in mf.linalg.eigh(a))
                bound = 10 * n * np.finfo(dtype).eps / 2
                size = np.sqrt((a.astype(float) ** 2).sum(axis=(1, 2)))
                assert (np.sqrt(((a @ v - v * w[:, None, :]) ** 2).sum(axis=(1, 2))) <= bound * size).all(), (n, dtype)
                assert (np.sqrt(((v.swapaxes(1, 2) @ v - np.eye(n)) ** 2).sum(axis=(1, 2))) <= bound).all(), (n, dtype)
        """,
        MMLFAST_SIMD="baseline",
    )


# ---- laws ----

law = settings(max_examples=60, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)


@law
@given(st.integers(1, 9), seeds, st.integers(-12, 12), st.booleans())
def test_law_scaled_rows(n, seed, decades, single):
    rng = np.random.default_rng(seed)
    scale = 10.0 ** (rng.uniform(0, 1, (7, n)) * decades)
    a = random_symmetric(rng, (7, n, n)) * scale[..., None] * scale[:, None, :]
    assert_right(a.astype(np.float32 if single else np.float64))


@law
@given(st.integers(2, 9), seeds)
def test_law_trace_and_shift(n, seed):
    rng = np.random.default_rng(seed)
    a = random_symmetric(rng, (6, n, n))
    values = mf.linalg.eigvalsh(a)
    tolerance = 1e-14 * n
    np.testing.assert_allclose(values.sum(axis=-1), np.trace(a, axis1=1, axis2=2), atol=tolerance)
    np.testing.assert_allclose((values**2).sum(axis=-1), (a**2).sum(axis=(1, 2)), rtol=tolerance)
    np.testing.assert_allclose(mf.linalg.eigvalsh(a + 2 * np.eye(n)), values + 2, atol=3 * tolerance)
    np.testing.assert_allclose(mf.linalg.eigvalsh(-a), -values[:, ::-1], atol=tolerance)


@law
@given(st.integers(2, 6), st.integers(1, 3), seeds)
def test_law_small_integers(n, most, seed):
    """Small integers: repeated eigenvalues and exact zeros abound."""
    a = np.random.default_rng(seed).integers(-most, most + 1, (40, n, n)).astype(float)
    assert_right(symmetric(a))


# ---- real matrices ----


@every_matrix_market_file(square=True, symmetric=True, largest=250)
def test_matrix_market(path):
    a = cases.read_matrix_market(path)
    assert_eigen(a, *mf.linalg.eigh(a))
    if len(a) <= 64:
        stack = np.stack([a] * 17)
        assert_eigen(stack[:1], *(x[:1] for x in mf.linalg.eigh(stack)))


@pytest.mark.parametrize("n", [3, 8, 40])
@pytest.mark.parametrize("function", [mf.linalg.eigh, mf.linalg.eigvalsh])
def test_what_is_not_finite_is_named(function, n):
    """Not "did not converge", but what is there and where, in the triangle that is read."""
    for value in (np.nan, np.inf, -np.inf):
        a = np.stack([np.eye(n)] * 3)
        a[1, 2, 0] = value
        with pytest.raises(np.linalg.LinAlgError, match=rf"a must be finite, but a\[2, 0\] is {value}$"):
            function(a[1])
        with pytest.raises(np.linalg.LinAlgError, match=rf"a\[1, 2, 0\] is {value} at batch index \(1,\), 1 of 3"):
            function(a)
        function(a, "U")  # is not read
        with pytest.raises(np.linalg.LinAlgError, match=rf"a\[0, 2\] is {value}$"):
            function(a[1].T, UPLO="U")


def test_the_generalized_problem_is_refused_by_name():
    with pytest.raises(TypeError, match=r"UPLO must be 'L' or 'U', got list; for the generalized problem"):
        mf.linalg.eigh([[2.0, 1.0], [1.0, 2.0]], [[1.0, 0.0], [0.0, 2.0]])
