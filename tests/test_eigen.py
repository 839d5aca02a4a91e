"""linalg.eig, diagonalize and matrix_power."""

from __future__ import annotations

import cases
import numpy as np
import pytest
from cases import every_case, every_dtype, every_layout, same_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.linalg import LinAlgError

import mmlfast as mf

law = settings(max_examples=60, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)


def rebuilt(d):
    return d.eigenvectors @ (d.eigenvalues[..., None] * d.inverse)


def jordan(n, value=1.0):
    return value * np.eye(n) + np.eye(n, k=1)


def unimodular(rng, n):
    """An integer matrix and its inverse, exactly."""
    a, inverse = np.eye(n), np.eye(n)
    for _ in range(n):
        i, j = rng.choice(n, 2, replace=False)
        step = np.eye(n)
        step[i, j] = sign = rng.choice([-1.0, 1.0])
        undo = np.eye(n)
        undo[i, j] = -sign
        a, inverse = a @ step, undo @ inverse
    return a, inverse


# ---- eig ----


@every_case("square")
def test_eig(case):
    values, vectors = mf.linalg.eig(case.array)
    a = case.plain.astype(float)
    assert values.dtype.itemsize == case.dtype().itemsize * (2 if np.iscomplexobj(values) else 1)
    size = np.maximum(np.abs(a).sum(axis=-1).max(axis=-1, initial=0), np.finfo(case.dtype).tiny)
    residual = np.abs(a @ vectors - vectors * values[..., None, :]).max(axis=(-2, -1), initial=0)
    assert np.all(residual <= 20 * a.shape[-1] * case.eps * size)


def test_eig_is_numpys(rng):
    a = rng.standard_normal((4, 5, 5))
    ours, theirs = mf.linalg.eig(a), np.linalg.eig(a)
    assert isinstance(ours, mf.linalg.EigResult)
    assert ours._fields == theirs._fields
    for x, y in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(x, y)
    values, vectors = mf.linalg.eig(np.diag([1, 2]))  # whatever NumPy says: 2.5 has complex numbers only
    assert values.dtype == vectors.dtype == np.float64
    with pytest.raises(LinAlgError):
        mf.linalg.eig([[1.0, np.nan], [0.0, 1.0]])
    with pytest.raises(LinAlgError, match=r"eig: the last two dimensions of a must be equal, got shape \(2, 3\)"):
        mf.linalg.eig(np.ones((2, 3)))


# ---- diagonalize ----


@every_dtype
@pytest.mark.parametrize("n", [1, 2, 3, 5, 9, 20, 40])
def test_diagonalize_random(n, dtype, rng):
    a = rng.standard_normal((6, n, n)).astype(dtype)
    d = mf.linalg.diagonalize(a)
    assert d.eigenvectors.shape == d.inverse.shape == a.shape
    assert d.eigenvalues.shape == (6, n)
    assert d.eigenvalues.dtype.itemsize in (dtype().itemsize, 2 * dtype().itemsize)
    condition = np.linalg.cond(d.eigenvectors.astype(complex)).max()
    bound = 10 * n * np.finfo(dtype).eps * condition * np.abs(a).max()
    np.testing.assert_allclose(rebuilt(d), a, atol=bound)
    np.testing.assert_allclose(d.eigenvectors @ d.inverse, np.broadcast_to(np.eye(n), a.shape), atol=bound)
    np.testing.assert_allclose(np.linalg.norm(d.eigenvectors, axis=-2), 1, rtol=4 * np.finfo(dtype).eps)


@every_dtype
@pytest.mark.parametrize("n", [2, 3, 4, 5, 8, 13, 30])
def test_jordan_blocks_are_refused(n, dtype, rng):
    shift = rng.uniform(1, 2)
    for value in (0.0, 1.0, -3.0, shift, 1e-8, 1e8 if n == 2 else 100.0):
        block = jordan(n, value).astype(dtype)
        for a in (block, block.T, block[::-1, ::-1], np.block([[block, np.zeros((n, 1))], [np.zeros((1, n)), 7]])):
            with pytest.raises(LinAlgError, match="diagonalize: Matrix is defective, it has too few independent"):
                mf.linalg.diagonalize(a.astype(dtype))


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6])
def test_hidden_jordan_blocks_are_refused(n, rng):
    """Similar to a Jordan block by a matrix of integers: nothing is rounded but the eigenvalues."""
    for _ in range(60):
        s, inverse = unimodular(rng, n)
        blocks = jordan(n, float(rng.integers(-3, 4)))
        blocks[0, 1] = 1.0
        if n > 3:
            blocks[1, 2] = 0.0  # blocks of 2 and n - 2
        with pytest.raises(LinAlgError, match="defective"):
            mf.linalg.diagonalize(s @ blocks @ inverse)


@pytest.mark.parametrize("n", [3, 4, 6])
def test_repeated_eigenvalues_with_all_eigenvectors_are_accepted(n, rng):
    for _ in range(60):
        s, inverse = unimodular(rng, n)
        values = rng.integers(-2, 3, n).astype(float)
        a = s @ np.diag(values) @ inverse
        d = mf.linalg.diagonalize(a)
        np.testing.assert_allclose(rebuilt(d), a, atol=1e-11 * max(1, np.abs(a).max()))
        np.testing.assert_allclose(np.sort(d.eigenvalues.real), np.sort(values), atol=1e-10 * max(1, np.abs(a).max()))


@every_case("square", "symmetric")
def test_symmetric_matrices_use_eigh(case):
    d = mf.linalg.diagonalize(case.array)
    values, vectors = mf.linalg.eigh(case.plain.astype(float))
    np.testing.assert_array_equal(d.eigenvalues, values.astype(case.dtype))
    np.testing.assert_array_equal(d.eigenvectors, vectors.astype(case.dtype))
    np.testing.assert_array_equal(d.inverse, d.eigenvectors.swapaxes(-1, -2))


def test_special_matrices():
    for a in (np.eye(4), np.zeros((3, 3)), np.diag([1.0, 1.0, 2.0]), [[5]], [[1, 0], [0, 1]]):
        d = mf.linalg.diagonalize(a)
        np.testing.assert_array_equal(rebuilt(d), a)
    turn = mf.linalg.diagonalize([[0.0, -1.0], [1.0, 0.0]])
    assert np.iscomplexobj(turn.eigenvalues)
    np.testing.assert_allclose(rebuilt(turn), [[0, -1], [1, 0]], atol=1e-15)
    shear = mf.linalg.diagonalize([[1.0, 1.0], [0.0, 1.0 + 1e-5]])  # near a defective matrix, but not that near
    np.testing.assert_allclose(rebuilt(shear), [[1, 1], [0, 1 + 1e-5]], atol=1e-9)
    empty = mf.linalg.diagonalize(np.zeros((0, 0)))
    assert empty.eigenvectors.shape == (0, 0)
    assert mf.linalg.diagonalize(np.zeros((0, 3, 3))).inverse.shape == (0, 3, 3)


def test_batches_and_errors(rng):
    a = rng.standard_normal((2, 4, 3, 3))
    a[0, 1] = jordan(3)
    a[1, 2] = a[1, 2] + a[1, 2].T
    with pytest.raises(LinAlgError, match=r"defective.* at batch index \(0, 1\), 1 of 8 items"):
        mf.linalg.diagonalize(a)
    a[1, 3, 0, 0] = np.inf
    with pytest.raises(LinAlgError, match=r"not finite \(inf in row 0, column 0\) at batch index \(1, 3\)"):
        mf.linalg.diagonalize(a)
    d = mf.linalg.diagonalize(a, errors="nan")
    bad = np.zeros((2, 4), bool)
    bad[0, 1] = bad[1, 3] = True
    for part in d:
        np.testing.assert_array_equal(np.isnan(part).reshape(8, -1).all(axis=1), bad.reshape(-1))
        assert not np.isnan(part[~bad]).any()
    np.testing.assert_allclose(rebuilt(d)[~bad], a[~bad], atol=1e-12)
    np.testing.assert_array_equal(d.eigenvalues[1, 2], mf.linalg.eigvalsh(a[1, 2]))
    with pytest.raises(ValueError, match="errors must be"):
        mf.linalg.diagonalize(a, errors="no")
    for function in (mf.linalg.eig, mf.linalg.diagonalize):
        with pytest.raises(TypeError, match=r"a must hold real numbers .* got complex128"):
            function(np.eye(2) * 1j)


@law
@given(st.integers(1, 6), seeds)
def test_law_powers_through_diagonalization(n, seed):
    a = np.random.default_rng(seed).uniform(-1, 1, (n, n)) + np.diag(np.arange(n))
    d = mf.linalg.diagonalize(a)
    condition, size = np.linalg.cond(d.eigenvectors), max(1.0, np.linalg.norm(a, 2))
    fifth = d.eigenvectors @ (d.eigenvalues[:, None] ** 5 * d.inverse)
    np.testing.assert_allclose(fifth, mf.linalg.matrix_power(a, 5), atol=1e-13 * n * condition * size**5)


# ---- matrix_power ----


def exact_power(a, n):
    """In Python's integers."""
    power = np.broadcast_to(np.eye(a.shape[-1], dtype=object), a.shape)
    for _ in range(n):
        power = power @ a.astype(object)
    return power


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 7, 8, 13, 100])
@pytest.mark.parametrize("dtype", ["?", "i1", "u2", "i4", "i8", "f4", "f8"])
def test_powers_like_numpy(n, dtype, rng):
    for shape in ((3, 3), (5, 2, 2), (0, 2, 2), (2, 0, 0), (1, 1)):
        a = rng.integers(0, 3, shape).astype(dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            expected = np.linalg.matrix_power(a, n)
            if dtype[0] in "iu":
                exact = exact_power(a, n)
                if (exact != expected).any():
                    with pytest.raises(OverflowError, match=f"to the power {n} do not fit {a.dtype}"):
                        mf.linalg.matrix_power(a, n)
                    continue
            power = mf.linalg.matrix_power(a, n)
        assert power.dtype == expected.dtype
        assert power.shape == expected.shape
        if dtype.startswith("f"):
            np.testing.assert_allclose(power, expected, rtol=200 * np.finfo(dtype).eps)
        else:
            np.testing.assert_array_equal(power, expected)


def test_exact_integers():
    power = mf.linalg.matrix_power(np.array([[1, 1], [1, 0]]), 90)
    assert power.dtype.kind == "i"
    assert int(power[0, 1]) == 2880067194370816120  # a Fibonacci number beyond 2^53


@every_layout
def test_negative_powers(layout, rng):
    a = rng.standard_normal((4, 3, 3)) + 3 * np.eye(3)
    for n in (-1, -2, -5):
        np.testing.assert_allclose(mf.linalg.matrix_power(layout(a), n), np.linalg.matrix_power(a, n), rtol=1e-9)
    same_bits(mf.linalg.matrix_power(layout(a), -1), mf.linalg.inv(a))
    np.testing.assert_array_equal(mf.linalg.matrix_power([[2, 0], [0, 4]], -1), [[0.5, 0], [0, 0.25]])
    with pytest.raises(LinAlgError, match=r"[Ss]ingular"):
        mf.linalg.matrix_power(np.ones((2, 2)), -1)


def test_power_is_not_the_argument():
    a = np.eye(2)
    mf.linalg.matrix_power(a, 1)[0, 0] = 5
    assert a[0, 0] == 1


def test_power_arguments():
    for exponent in (1.5, "2", None, [3], 2.0):
        with pytest.raises(TypeError, match="n, the exponent, must be an integer"):
            mf.linalg.matrix_power(np.eye(2), exponent)
    assert mf.linalg.matrix_power(np.eye(2), np.int64(3)).shape == (2, 2)
    with pytest.raises(LinAlgError, match=r"got shape \(2, 3\)"):
        mf.linalg.matrix_power(np.ones((2, 3)), 2)
    with pytest.raises(LinAlgError, match="must be a matrix"):
        mf.linalg.matrix_power(np.ones(3), 2)
    with pytest.raises(TypeError, match="real numbers"):
        mf.linalg.matrix_power(np.eye(2, dtype=complex), 2)


def test_hilbert_power_and_cases(rng):
    a = cases.hilbert(5)
    np.testing.assert_allclose(mf.linalg.matrix_power(a, 6), np.linalg.matrix_power(a, 6), rtol=1e-13)


def test_integers_do_not_wrap():
    """A negative entry; right: 573147844013817084101 ..."""
    with pytest.raises(OverflowError, match=r"power 50 do not fit int64: \.astype\(float\)"):
        mf.linalg.matrix_power([[2, 1], [1, 1]], 50)
    assert mf.linalg.matrix_power(np.array([[2.0, 1], [1, 1]]), 50)[0, 0] == float(573147844013817084101)
    assert mf.linalg.matrix_power([[2, 1], [1, 1]], 45)[0, 0] == 4660046610375530309
    with pytest.raises(OverflowError, match="batch index"):
        mf.linalg.matrix_power(np.array([[[1, 0], [0, 1]], [[2, 1], [1, 1]]]), 10**9)
    with pytest.raises(OverflowError, match=r"int8.*astype\(np.int64\)"):
        mf.linalg.matrix_power(np.array([[100]], "i1"), 2)


@pytest.mark.parametrize("dtype", ["i1", "u1", "i4", "u8", "i8"])
def test_integers_at_the_edge_of_their_type(dtype):
    info = np.iinfo(dtype)
    bits = info.bits - (info.min < 0)
    for exponent in range(1, 70):
        a = np.array([[2]], dtype)
        if exponent < bits:
            assert int(mf.linalg.matrix_power(a, exponent)[0, 0]) == 2**exponent
        else:
            with pytest.raises(OverflowError):
                mf.linalg.matrix_power(a, exponent)
    for value in (info.min, info.max):
        assert mf.linalg.matrix_power(np.array([[value]], dtype), 1)[0, 0] == value
    if info.min < 0:
        assert mf.linalg.matrix_power(np.array([[-2]], dtype), bits)[0, 0] == info.min
    # What cancels fits, however large what is multiplied on the way.
    a = np.array([[1, -1], [1, -1]]).astype(dtype) if info.min < 0 else np.eye(2, dtype=dtype)
    assert mf.linalg.matrix_power(a, 10**6).max() <= 1
    shift = (100 * np.eye(4, k=1)).astype(dtype)
    np.testing.assert_array_equal(mf.linalg.matrix_power(shift, 10**4), 0)


@law
@given(st.integers(1, 4), st.integers(0, 80), st.sampled_from(["i1", "i2", "u4", "i8", "u8"]), seeds)
def test_law_integers_are_exact_or_refused(n, exponent, dtype, seed):
    rng = np.random.default_rng(seed)
    a = rng.integers(0 if dtype[0] == "u" else -3, 4, (3, n, n)).astype(dtype)
    exact = exact_power(a, exponent)
    info = np.iinfo(dtype)
    if all(info.min <= v <= info.max for v in exact.reshape(-1)):
        power = mf.linalg.matrix_power(a, exponent)
        assert power.dtype == a.dtype
        np.testing.assert_array_equal(power, exact.astype(dtype))
    else:
        with pytest.raises(OverflowError):
            mf.linalg.matrix_power(a, exponent)


@pytest.mark.parametrize("dtype", [">f8", ">f4", ">i8", ">u2"])
def test_powers_have_the_byte_order_of_the_machine(dtype):
    for n in (0, 1, 2, -1):
        assert mf.linalg.matrix_power(np.diag([1, 2]).astype(dtype), n).dtype.isnative


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scale", [1e308, 1e300, 1e160, 1e-160, 1e-300])
def test_huge_and_tiny_matrices_are_diagonalized_in_silence(scale, rng):
    """Warnings of NumPy leaked."""
    for a in (
        np.array([[0.4, 0.1], [0.2, 0.3]]),
        np.array([[0.4, 0.1], [0.1, 0.3]]),
        np.array([[0.0, -0.4], [0.4, 0]]),
    ):
        d, plain = mf.linalg.diagonalize(a * scale), mf.linalg.diagonalize(a)
        np.testing.assert_allclose(d.eigenvalues / scale, plain.eigenvalues, rtol=1e-13)
        np.testing.assert_allclose(rebuilt(d) / scale, a, atol=1e-13)
    with pytest.raises(LinAlgError, match="defective"):
        mf.linalg.diagonalize(np.array([[0.5, 1.0], [0.0, 0.5]]) * scale)
    mf.linalg.diagonalize(np.full((2, 2, 2), np.inf), errors="nan")


def test_matrices_that_are_not_finite_say_where():
    a = np.zeros((2, 3, 3))
    a[1, 2, 0] = np.inf
    for function in (mf.linalg.eig, mf.linalg.diagonalize):
        with pytest.raises(LinAlgError, match=r"not finite \(inf in row 2, column 0\) at batch index \(1,\)"):
            function(a)
