"""gram_schmidt against NumPy's QR, exact ranks, and the laws that it must keep."""

from __future__ import annotations

import numpy as np
import pytest
from cases import (
    every_batch_size,
    every_case,
    every_dtype,
    every_layout,
    hilbert,
    item_by_item,
    kahan,
    poisoned,
    same_bits,
    vandermonde,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.linalg import LinAlgError

import mmlfast as mf
from mmlfast._reference.gram_schmidt import gram_schmidt as reference

METHODS = ("cgs", "mgs", "cgs2", "householder")
STABLE = ("cgs2", "householder")
every_method = pytest.mark.parametrize("method", METHODS)
every_stable_method = pytest.mark.parametrize("method", STABLE)

# Lanes, around their limit, columns in one and several blocks of rows, tall ones in one and several blocks.
SHAPES = [
    (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (7, 3), (3, 7), (8, 8), (16, 16), (17, 9), (32, 32), (33, 33), (31, 40),
    (64, 64), (65, 10), (255, 60), (256, 33), (257, 4), (300, 64), (1023, 5), (1025, 12), (1030, 520), (5000, 7),
    (20_000, 3),
]  # fmt: skip


def unit(dtype):
    return float(np.finfo(dtype).eps) / 2


def by_qr(a):
    """Q of numpy.linalg.qr with the sign of a positive diagonal of R."""
    q, r = np.linalg.qr(a)
    return q * np.copysign(1, np.diagonal(r, axis1=-2, axis2=-1))[..., None, :]


def defect(q):
    """Frobenius norm of Q'Q - I over the columns that are not zero."""
    q = q[:, q.any(axis=0)].astype(np.float64)
    return np.linalg.norm(q.T @ q - np.eye(q.shape[1]))


def loss(a, q):
    """What of A is outside the span of Q, relative to A."""
    a, q = a.astype(np.float64), q.astype(np.float64)
    return np.linalg.norm(a - q @ (q.T @ a)) / np.linalg.norm(a)


def of_condition(rng, m, n, condition):
    left, right = (np.linalg.qr(rng.standard_normal(shape))[0] for shape in ((m, n), (n, n)))
    return (left * np.geomspace(1, 1 / condition, n)) @ right.T


@every_dtype
@every_method
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_agrees_with_qr(shape, method, dtype, rng):
    m, n = shape
    if n > 500 and method != "cgs2":
        pytest.skip("one method is enough at this size")
    if n > m and method in ("cgs", "mgs"):
        pytest.skip("a single pass cannot tell that nothing is left")
    a = rng.standard_normal(shape).astype(dtype)
    basis, rank, orthogonality = mf.linalg.gram_schmidt(a, method=method)
    k = min(m, n)
    assert basis.dtype == dtype
    assert isinstance(rank, int)
    assert rank == k
    assert not basis[:, k:].any()
    expected = by_qr(a.astype(np.float64)[:, :k])
    # Of long columns by way of the much smaller Gram matrix: they are far from dependent.
    wide = a[:, :k].astype(np.float64)
    condition = np.sqrt(np.linalg.cond(wide.T @ wide)) if m > 4 * k or k > 500 else np.linalg.cond(wide)
    np.testing.assert_allclose(basis[:, :k], expected, rtol=0, atol=20 * n * unit(dtype) * condition)
    allowed = 10 * n * unit(dtype) * (1 if method in STABLE else condition if method == "mgs" else condition**2)
    assert defect(basis) <= allowed
    assert abs(orthogonality - defect(basis)) <= 4 * (n + np.sqrt(m)) * unit(dtype)


@every_dtype
@pytest.mark.parametrize("method", ["cgs", "mgs", "cgs2"])
@pytest.mark.parametrize("shape", [(4, 4), (9, 6), (40, 20), (300, 10)], ids=str)
def test_agrees_with_the_reference(shape, method, dtype, rng):
    a = rng.integers(-4, 5, shape).astype(dtype)
    a[:, 2] = a[:, 0]
    basis, rank, _ = mf.linalg.gram_schmidt(a, method=method)
    expected, expected_rank, _ = reference(a, method)
    assert rank == expected_rank == min(shape[1] - 1, np.linalg.matrix_rank(a))
    np.testing.assert_allclose(basis, expected, rtol=0, atol=2000 * unit(dtype) * shape[1])


@every_stable_method
@pytest.mark.parametrize("condition", [1, 1e4, 1e7, 1e8, 1e10, 1e12, 1e14, 1e15])
@pytest.mark.parametrize("shape", [(10, 10), (20, 6), (60, 40), (500, 12), (3000, 50), (30_000, 10)], ids=str)
def test_orthogonal_whatever_the_condition(shape, condition, method, rng):
    if shape[0] > 1000 and condition not in (1, 1e8, 1e14):
        pytest.skip("three conditions are enough at this size")
    a = of_condition(rng, *shape, condition)
    basis, rank, orthogonality = mf.linalg.gram_schmidt(a, method=method)
    limit = 10 * shape[1] * unit(np.float64)
    assert defect(basis) <= limit
    assert orthogonality <= limit
    assert loss(a, basis) <= limit
    if condition <= 1e13:
        assert rank == shape[1]


@every_stable_method
@every_dtype
@pytest.mark.parametrize(
    "a",
    [
        hilbert(8),
        hilbert(25),
        hilbert(60),
        vandermonde(20),
        kahan(30),
        np.vstack([np.ones(10), 1e-8 * np.eye(10)]),  # Lauchli
        np.vstack([np.ones(40), 1e-9 * np.eye(40)]),
        np.vander(np.linspace(-1, 1, 2000), 24),
        np.triu(np.ones((50, 50))),
        np.geomspace(1, 1e-150, 12) * np.random.default_rng(0).standard_normal((30, 12)),
    ],
    ids=["hilbert 8", "hilbert 25", "hilbert 60", "vander 20", "kahan", "lauchli 10", "lauchli 40", "vander 2000",
         "triangle", "graded"],
)  # fmt: skip
def test_gallery(a, dtype, method):
    a = a.astype(dtype)
    a = a[:, a.any(axis=0)]
    basis, rank, orthogonality = mf.linalg.gram_schmidt(a, method=method)
    limit = 10 * a.shape[1] * unit(dtype)
    assert defect(basis) <= limit
    assert orthogonality <= limit
    assert rank == basis.any(axis=0).sum()
    lengths = np.linalg.norm(a.astype(np.float64), axis=0)
    assert loss(a / lengths, basis) <= 2 * limit


def test_single_passes_lose_orthogonality(rng):
    """As the theory says: u cond^2 and u cond. In lanes, in columns and for tall matrices alike."""
    for shape in ((12, 8), (60, 40), (3000, 10)):
        a = of_condition(rng, *shape, 1e6)
        lost = {method: mf.linalg.gram_schmidt(a, method=method).orthogonality for method in METHODS}
        assert lost["cgs"] > 1e-9, (shape, lost)
        assert 1e-13 < lost["mgs"] < 1e-8, (shape, lost)
        assert lost["mgs"] < lost["cgs"], (shape, lost)
        assert lost["cgs2"] < 1e-14, (shape, lost)
        assert lost["householder"] < 3e-14, (shape, lost)


@every_method
@every_dtype
@pytest.mark.parametrize("scale", [1, 1e6, 3e-7, 1e30, 1e-30])
@pytest.mark.parametrize("rows", [3, 50, 3000])
def test_rank_does_not_depend_on_scale(rows, scale, method, dtype, rng):
    a = rng.integers(-5, 6, (rows, 5)).astype(dtype)[:, [0, 1, 1, 0, 2]]
    a[:, 3] = 2 * a[:, 3]
    basis, rank, _ = mf.linalg.gram_schmidt((a * scale).astype(dtype), method=method)
    assert rank == 3
    assert list(basis.any(axis=0)) == [True, True, False, False, True]
    np.testing.assert_allclose(basis[:, [0, 1, 4]], by_qr(a[:, [0, 1, 4]].astype(np.float64)), atol=500 * unit(dtype))


@every_method
@pytest.mark.parametrize("rows", [3, 50, 3000])
@pytest.mark.parametrize("power", [-1070, -1000, -600, 600, 1000, 1020])
def test_powers_of_two_change_no_bit(rows, power, method, rng):
    a = rng.integers(-2, 3, (rows, 4)).astype(float)
    if (method == "householder" and rows > 32) or (method == "cgs2" and rows > 256):
        # LAPACK, or another way for tall matrices whose squares are out of range: to rounding.
        q, expected = (mf.linalg.gram_schmidt(x, method=method).basis for x in (np.ldexp(a, power), a))
        np.testing.assert_allclose(q, expected, atol=1e-14)
        return
    scales = np.array([power, 0, power // 2, power])
    same_bits(
        mf.linalg.gram_schmidt(np.ldexp(a, scales), method=method).basis, mf.linalg.gram_schmidt(a, method=method).basis
    )


@every_method
def test_dependent_vectors(method):
    a = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9.0]])
    for scale in (1, 1e6, 1e-200, 1e200, 0.3):
        assert mf.linalg.gram_schmidt(a * scale, method=method).rank == 2
    basis, rank, orthogonality = mf.linalg.gram_schmidt(np.zeros((4, 3)), method=method)
    assert (rank, orthogonality) == (0, 0)
    assert not basis.any()
    assert not np.signbit(basis).any()
    assert mf.linalg.gram_schmidt(np.zeros((100, 3)), method=method).rank == 0
    assert mf.linalg.gram_schmidt(np.ones((100, 3)), method=method).rank == 1
    wide = mf.linalg.gram_schmidt(np.array([[1.0, 1, 0, 5], [1, 1, 1, 7]]), method=method)
    assert wide.rank == 2
    assert list(wide.basis.any(axis=0)) == [True, False, True, False]


@every_stable_method
@pytest.mark.parametrize("shape", [(30, 30), (60, 50), (300, 40), (2000, 60)], ids=str)
def test_exact_rank_of_integer_matrices(shape, method, rng):
    m, n = shape
    rank = n // 3
    a = (rng.integers(-3, 4, (m, rank)) @ rng.integers(-3, 4, (rank, n))).astype(float)
    got = mf.linalg.gram_schmidt(a, method=method)
    assert got.rank == np.linalg.matrix_rank(a)
    assert got.orthogonality <= 10 * n * unit(float)
    assert loss(a, got.basis) <= 10 * n * unit(float)


def test_rtol(rng):
    a = np.array([[1.0, 1.0], [0.0, 1e-5]])
    assert mf.linalg.gram_schmidt(a).rank == 2
    assert mf.linalg.gram_schmidt(a, rtol=1e-4).rank == 1
    assert mf.linalg.gram_schmidt(np.stack([a, a]), rtol=[1e-4, 0.0]).rank.tolist() == [1, 2]
    tall = rng.standard_normal((1000, 2))
    tall[:, 1] = tall[:, 0] + 1e-5 * tall[:, 1]
    assert [mf.linalg.gram_schmidt(tall, rtol=r).rank for r in (1e-6, 1e-4)] == [2, 1]
    for bad in (-1.0, np.nan, [0.0, -1.0]):
        with pytest.raises(ValueError, match="rtol"):
            mf.linalg.gram_schmidt(np.stack([a, a]), rtol=bad)


@every_case("stacked", without="zero-size")
def test_every_layout_gives_the_same_bits(case):
    for method in ("cgs2", "householder") if case.plain.shape[-1] < 9 else ("cgs2",):
        expected = item_by_item(lambda a, method=method: mf.linalg.gram_schmidt(a, method=method), case.plain)
        basis, rank, orthogonality = mf.linalg.gram_schmidt(case.array, method=method)
        same_bits(basis, np.array([e[0] for e in expected]).reshape(case.plain.shape))
        assert rank.dtype == np.int64
        assert rank.ravel().tolist() == [e[1] for e in expected]
        same_bits(orthogonality, np.array([e[2] for e in expected], case.dtype).reshape(case.batch))


@every_layout
@every_dtype
@pytest.mark.parametrize("shape", [(3000, 6), (50, 40)], ids=str)
def test_every_layout_of_one_larger_matrix(layout, dtype, shape, rng):
    a = rng.standard_normal(shape).astype(dtype)
    for method in METHODS:
        same_bits(
            mf.linalg.gram_schmidt(layout(a), method=method).basis, mf.linalg.gram_schmidt(a, method=method).basis
        )


@every_dtype
@every_batch_size
@every_method
def test_batch_sizes(batch, method, dtype, rng):
    a = rng.standard_normal((batch, 5, 3)).astype(dtype)
    basis, rank, orthogonality = mf.linalg.gram_schmidt(a, method=method)
    assert basis.shape == a.shape
    assert rank.shape == orthogonality.shape == (batch,)
    for i in range(batch):
        same_bits(basis[i], mf.linalg.gram_schmidt(a[i], method=method).basis)


@every_method
@pytest.mark.parametrize("shape", [(0, 0), (3, 0), (0, 3), (2, 0, 4), (0, 3, 3), (40, 0), (2, 0, 40)], ids=str)
def test_nothing(shape, method):
    basis, rank, _ = mf.linalg.gram_schmidt(np.zeros(shape), method=method)
    assert basis.shape == shape
    assert np.shape(rank) == shape[:-2]
    assert not np.any(rank)


@every_method
@pytest.mark.parametrize("rows", [4, 40, 300])
def test_nan_and_infinity(rows, method, rng):
    a = rng.standard_normal((rows, 4))
    good = mf.linalg.gram_schmidt(a, method=method).basis
    for index, bad in poisoned(a) if rows == 4 else list(poisoned(a))[::37]:
        basis, _, orthogonality = mf.linalg.gram_schmidt(bad, method=method)
        first = index[1]
        assert np.isnan(basis[:, first:]).all()
        assert np.isnan(orthogonality)
        np.testing.assert_allclose(basis[:, :first], good[:, :first], rtol=0, atol=1e-14)


def test_one_bad_item_leaves_the_others_alone(rng):
    a = rng.standard_normal((2, 9, 4, 4))
    good = mf.linalg.gram_schmidt(a)
    for value in (np.nan, np.inf, 1e300, 1e-300):
        bad = a.copy()
        bad[1, 2, 0, 0] = value
        got = mf.linalg.gram_schmidt(bad)
        others = np.ones((2, 9), bool)
        others[1, 2] = False
        same_bits(got.basis[others], good.basis[others])
        same_bits(got.orthogonality[others], good.orthogonality[others])


def test_wrong_arguments():
    with pytest.raises(ValueError, match="method must be one of 'cgs', 'mgs', 'cgs2', 'householder', got 'qr'"):
        mf.linalg.gram_schmidt(np.eye(3), method="qr")
    with pytest.raises(LinAlgError, match=r"a must be a matrix.*\(3,\)"):
        mf.linalg.gram_schmidt(np.ones(3))
    with pytest.raises(TypeError, match=r"a must hold real numbers.*complex128"):
        mf.linalg.gram_schmidt(np.eye(3) * 1j)
    with pytest.raises(TypeError, match="a must hold real numbers"):
        mf.linalg.gram_schmidt(np.array([["x"]]))
    with pytest.raises(TypeError, match="a must hold real numbers"):
        mf.linalg.gram_schmidt(np.eye(3) * 1j, rtol=0.1)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.int64])
def test_integers_become_float64(dtype):
    for rtol in (None, 1e-9):
        basis, rank, _ = mf.linalg.gram_schmidt(np.array([[0, 1], [1, 1]], dtype), rtol=rtol)
        assert basis.dtype == np.float64
        np.testing.assert_array_equal(basis, [[0, 1], [1, 0]])
        assert rank == 2
    assert mf.linalg.gram_schmidt([[3, 0], [4, 5]]).basis[0, 0] == pytest.approx(0.6)


def test_threads_and_levels_give_the_same_bits(same_at_every_level):
    same_at_every_level(
        """
        rng = np.random.default_rng(5)
        for dtype in (np.float64, np.float32):
            for shape in ((1000, 3, 3), (300, 9, 7), (20, 20, 20), (70, 50), (30000, 6), (3000, 40)):
                a = rng.standard_normal(shape).astype(dtype)
                for method in ("cgs", "mgs", "cgs2") + ("householder",) * (len(shape) == 3):
                    digest(*mf.linalg.gram_schmidt(a, method=method))
        bad = rng.standard_normal((30000, 6))
        bad[:, 4] = bad[:, 1] + 1e-11 * bad[:, 4]
        digest(*mf.linalg.gram_schmidt(bad))
        """
    )


def test_ctrl_c(run_python):
    printed = run_python(
        """
        import numpy as np, mmlfast as mf
        from interrupts import interrupt
        a = np.random.default_rng(0).standard_normal((100_000, 40))

        def for_ever(x, method):
            while True:
                mf.linalg.gram_schmidt(x, method=method)

        for method, x in (("mgs", a[None].repeat(3, axis=0)), ("cgs2", np.broadcast_to(a[:30_000], (40, 30_000, 40)))):
            interrupt(lambda: for_ever(x, method))
            print("interrupted")
        """
    )
    assert printed.split() == ["interrupted"] * 2


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1), st.sampled_from(STABLE), st.booleans())
def test_laws(m, n, seed, method, narrow):
    """Orthonormal; the same span column by column (R is triangular with a diagonal that is not negative)."""
    rng = np.random.default_rng(seed)
    dtype = np.float32 if narrow else np.float64
    a = (rng.integers(-3, 4, (m, n)) * np.exp2(rng.integers(-20, 21, n))).astype(dtype)
    basis, rank, orthogonality = mf.linalg.gram_schmidt(a, method=method)
    limit = 10 * max(n, 4) * unit(dtype)
    assert orthogonality <= limit
    assert defect(basis) <= limit
    assert rank == basis.any(axis=0).sum()
    lengths = np.linalg.norm(a.astype(np.float64), axis=0)
    r = basis.astype(np.float64).T @ (a / np.where(lengths > 0, lengths, 1))
    assert np.abs(np.tril(r, -1)).max(initial=0) <= 2 * limit
    assert (np.diag(r[:, : len(r)]) >= -limit).all()
    assert np.abs(basis @ r - a / np.where(lengths > 0, lengths, 1)).max() <= 2 * limit
