"""RFactor against numpy.linalg.qr, exact sums, 50-digit QR, and the laws of a mergeable state."""

from __future__ import annotations

import copy
import pickle
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from cases import every_dtype, every_layout, same_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.linalg import LinAlgError

import mmlfast as mf
from mmlfast._reference.rfactor import r_of_rows

U = 2.0**-53


def of_condition(rng, m, n, condition):
    left, right = (np.linalg.qr(rng.standard_normal(shape))[0] for shape in ((m, n), (n, n)))
    return (left * np.geomspace(1, 1 / condition, n)) @ right.T


def r_factor(x, **keywords):
    return mf.linalg.RFactor(**keywords).update(x)


def exact_gram(x):
    """X'X without rounding."""
    columns = [[Fraction(float(e)) for e in column] for column in x.T]
    return np.array([[float(sum(a * b for a, b in zip(p, q, strict=True))) for p in columns] for q in columns])


SHAPES = [(1, 1), (1, 4), (3, 5), (5, 3), (8, 8), (17, 4), (255, 9), (256, 10), (257, 7), (1000, 2), (3000, 33),
          (5000, 12), (9000, 10), (20_000, 3), (700, 150)]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_r_of_random_rows(shape, rng):
    x = rng.standard_normal(shape)
    state = r_factor(x)
    r = state.r
    assert r.shape == (shape[1], shape[1])
    assert (state.count, state.n_features) == shape
    assert not np.tril(r, -1).any()
    assert (np.diag(r) >= 0).all()
    expected = np.linalg.qr(x, mode="r")
    expected = expected * np.where(np.diag(expected) < 0, -1, 1)[:, None]
    k = len(expected)
    tolerance = 40 * shape[1] * U * np.linalg.norm(x) * max(1, np.linalg.cond(x[:, :k]))
    np.testing.assert_allclose(r[:k], expected, rtol=0, atol=tolerance)
    np.testing.assert_allclose(r[k:], 0, rtol=0, atol=tolerance)
    np.testing.assert_allclose(np.abs(r_of_rows(x)[:k]), np.abs(expected), rtol=0, atol=tolerance)


def test_gram_matrix_is_right(rng):
    """Column by column: the errors of R'R are those of rounding each column of X, whatever its scale."""
    x = rng.standard_normal((700, 6)) * np.geomspace(1, 1e-12, 6)
    x[:, 3] = x[:, 0] + 1e-9 * x[:, 3]
    r, exact = r_factor(x).r, exact_gram(x)
    lengths = np.sqrt(np.diag(exact))
    assert (np.abs(r.T @ r - exact) <= 20 * 6 * U * np.outer(lengths, lengths)).all()


@pytest.mark.parametrize("condition", [1, 1e4, 1e8, 1e12, 1e14, 1e15])
@pytest.mark.parametrize("shape", [(40, 8), (5000, 10), (3000, 40)], ids=str)
def test_singular_values_as_of_qr(shape, condition, rng):
    """Right to n u of the largest: a Gram matrix has nothing left below 1e-8."""
    x = of_condition(rng, *shape, condition)
    s = r_factor(x).singular_values()
    expected = np.linalg.svd(x, compute_uv=False)
    np.testing.assert_allclose(s, expected, rtol=0, atol=10 * shape[1] * U)
    assert abs(s[-1] * condition - 1) <= 20 * shape[1] * U * condition


def test_against_fifty_digits(rng):
    x = of_condition(rng, 30, 4, 1e13)
    with mpmath.workdps(50):
        gram = mpmath.matrix(x.tolist()).T * mpmath.matrix(x.tolist())
        expected = np.array((mpmath.cholesky(gram).T).tolist(), float)
    np.testing.assert_allclose(r_factor(x).r, expected, rtol=0, atol=40 * U * np.linalg.norm(x) * 1e2)
    assert abs(r_factor(x).r[3, 3] / expected[3, 3] - 1) < 40 * U * 1e13


@every_dtype
@pytest.mark.parametrize("shape", [(100, 3), (9000, 10), (5000, 40)], ids=str)
def test_chunks_and_threads_give_the_same_bits(shape, dtype, rng, threads):
    x = rng.standard_normal(shape).astype(dtype)
    whole = r_factor(x)
    for cuts in ([1, 2, 50], [shape[0] // 2], sorted(rng.integers(0, shape[0], 9)), [shape[0] - 1], [0, shape[0]]):
        state = mf.linalg.RFactor()
        for part in np.split(x, cuts):
            state.update(part)
        assert state == whole
        same_bits(state.r, whole.r)
    one_by_one = mf.linalg.RFactor(shape[1])
    for row in x[:90]:
        one_by_one.update(row)
    same_bits(one_by_one.r, r_factor(x[:90]).r)
    for n in (1, 3):
        threads(n)
        same_bits(r_factor(x).r, whole.r)


def test_threads_and_levels_give_the_same_bits(same_at_every_level):
    same_at_every_level(
        """
        rng = np.random.default_rng(5)
        for dtype in (np.float64, np.float32):
            for shape in ((7, 3), (30000, 6), (9000, 41), (800, 130)):
                digest(mf.linalg.RFactor().update(rng.standard_normal(shape).astype(dtype)).r)
        """
    )


@every_layout
@every_dtype
def test_every_layout(layout, dtype, rng):
    x = rng.standard_normal((3000, 11)).astype(dtype)
    same_bits(r_factor(layout(x)).r, r_factor(x).r)


def test_merge(rng):
    x = of_condition(rng, 12_000, 8, 1e10)
    parts = np.split(x, [1000, 1001, 7000])
    left = mf.linalg.RFactor()
    for part in parts:
        left.merge(r_factor(part))
    right = mf.linalg.RFactor()
    for part in reversed(parts):
        right = r_factor(part).merge(right)
    assert left.count == right.count == 12_000
    s = np.linalg.svd(x, compute_uv=False)
    for state in (left, right, r_factor(parts[0]).merge(r_factor(parts[1])).update(np.vstack(parts[2:]))):
        np.testing.assert_allclose(state.singular_values(), s, rtol=0, atol=10 * 8 * U)
        r = state.r
        np.testing.assert_allclose(r.T @ r, x.T @ x, rtol=0, atol=40 * 8 * U)
    assert mf.linalg.RFactor().merge(left) == left
    before = left.r
    same_bits(left.merge(mf.linalg.RFactor()).r, before)
    twice = r_factor(x).merge(r_factor(x))
    np.testing.assert_allclose(twice.singular_values(), np.sqrt(2) * s, rtol=0, atol=20 * 8 * U)
    itself = r_factor(x)
    itself.merge(itself)
    assert itself == twice


def test_downdate(rng):
    x = rng.standard_normal((4000, 7))
    state = r_factor(x)
    state.downdate(x[:1500]).downdate(x[1500])
    assert state.count == 2499
    np.testing.assert_allclose(state.r, r_factor(x[1501:]).r, rtol=1e-12, atol=1e-11)
    state.update(x[:1501])
    np.testing.assert_allclose(state.r, r_factor(x).r, rtol=1e-12, atol=1e-11)
    copied = pickle.loads(pickle.dumps(state))
    same_bits(copied.downdate(x[5]).r, state.downdate(x[5]).r)


def test_downdate_refuses(rng):
    x = rng.standard_normal((50, 5))
    state = r_factor(x)
    before = state.r
    for rows in (100 * x[:1], np.full((1, 5), 1e3), x[:50]):
        with pytest.raises(LinAlgError, match="positive definite"):
            state.downdate(rows)
        assert state.count == 50
        same_bits(state.r, before)
    with pytest.raises(ValueError, match="51 rows, only 50"):
        state.downdate(np.zeros((51, 5)))
    alone = r_factor(np.vstack([np.zeros((9, 2)), [[0.0, 3.0]], [[1.0, 1.0]]]))
    with pytest.raises(LinAlgError):
        alone.downdate([1.0, 1.0])  # nothing else has a first component


def test_pickle_and_copy(rng):
    x = rng.standard_normal((5000, 6))
    for state in (
        mf.linalg.RFactor(), mf.linalg.RFactor(3), r_factor(x[:10]), r_factor(x), r_factor(x, dtype=np.float32),
        r_factor(x).merge(r_factor(x[:30])).downdate(x[:7]),
    ):  # fmt: skip
        for other in (pickle.loads(pickle.dumps(state)), copy.copy(state), copy.deepcopy(state)):
            assert other == state
            assert (other.count, other.n_features, other.dtype) == (state.count, state.n_features, state.dtype)
            if state.n_features == 6:
                assert other.update(x[:100]) == copy.copy(state).update(x[:100])
                assert other != state
    with pytest.raises(ValueError, match="not a state"):
        mf.linalg.RFactor().__setstate__(("float64", np.ones(20)))
    numbers = r_factor(x).__getstate__()[1]
    for broken in (numbers[:-1], np.append(numbers, 0), numbers[:3]):
        with pytest.raises(ValueError, match="not a state"):
            mf.linalg.RFactor().__setstate__(("float64", broken))


@pytest.mark.parametrize("scale", [2.0**-1040, 1e-300, 1e-200, 1e160, 1e300])
def test_scales(scale, rng):
    """Columns of any size beside each other."""
    x = rng.standard_normal((600, 4))
    scales = np.array([1, scale, 1, scale])
    r = mf.linalg.RFactor().update(x[:300] * scales).merge(r_factor(x[300:] * scales)).r
    lost = 4e-13 if scale > 1e-307 else 1e-10  # denormal numbers have fewer digits
    np.testing.assert_allclose(r / scales, r_factor(x).r, rtol=lost, atol=lost)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, 300, 4999])
def test_nan_and_infinity(row, value, rng):
    x = rng.standard_normal((5000, 4))
    good = r_factor(x).r
    for column in range(4):
        bad = x.copy()
        bad[row, column] = value
        state = r_factor(bad)
        r = state.r
        assert np.isnan(r[column, column:]).all()
        np.testing.assert_allclose(r[:, :column], good[:, :column], rtol=1e-12, atol=1e-12)
        assert np.isnan(state.singular_values()).all()
        for method in (state.rank, state.lstsq):
            with pytest.raises(LinAlgError, match="NaN"):
                method()


def test_rank(rng):
    x = rng.integers(-3, 4, (3000, 4)) @ rng.integers(-3, 4, (4, 9)).astype(float)
    assert r_factor(x).rank() == np.linalg.matrix_rank(x) == 4
    assert r_factor(of_condition(rng, 1000, 5, 1e10)).rank() == 5
    assert r_factor(of_condition(rng, 1000, 5, 1e10)).rank(1e-6) == 3
    assert r_factor(np.zeros((5, 3))).rank() == mf.linalg.RFactor().rank() == mf.linalg.RFactor(3).rank() == 0
    assert r_factor(np.ones((2, 3))).singular_values().shape == (2,)


@pytest.mark.parametrize("n_rhs", [1, 3])
def test_lstsq(n_rhs, rng):
    a, b = of_condition(rng, 5000, 6, 1e6), rng.standard_normal((5000, n_rhs))
    x, residuals = r_factor(np.hstack([a, b])).lstsq(n_rhs)
    expected, sums, _, _ = np.linalg.lstsq(a, b)
    np.testing.assert_allclose(x, expected, rtol=1e-8)
    np.testing.assert_allclose(residuals, sums, rtol=1e-12)
    a[:, 2] = a[:, 1]  # of least norm
    x, residuals = r_factor(np.hstack([a, b])).lstsq(n_rhs)
    expected = np.linalg.lstsq(a, b)[0]
    np.testing.assert_allclose(x, expected, rtol=1e-6, atol=1e-8 * np.abs(expected).max())
    np.testing.assert_allclose(residuals, ((a @ expected - b) ** 2).sum(axis=0), rtol=1e-10)
    few = rng.standard_normal((3, 5 + n_rhs))
    x, _ = r_factor(few).lstsq(n_rhs)
    np.testing.assert_allclose(x, np.linalg.lstsq(few[:, :5], few[:, 5:])[0], rtol=1e-9)
    for wrong in (0, 7 + n_rhs, -1):
        with pytest.raises(ValueError, match="n_rhs"):
            r_factor(np.hstack([a, b])).lstsq(wrong)


def test_arguments(rng):
    state = mf.linalg.RFactor()
    assert (state.n_features, state.count) == (None, 0)
    assert state.r.shape == (0, 0)
    assert mf.linalg.RFactor(3).r.tolist() == np.zeros((3, 3)).tolist()
    assert repr(r_factor(np.ones((2, 3)))) == "RFactor(n_features=3, count=2, dtype=float64)"
    assert r_factor(np.ones((2, 3), np.int8)).r.dtype == np.float64
    assert r_factor([[1, 2]], dtype="float32").r.dtype == np.float32
    assert r_factor(np.ones((5, 0))).count == 5
    assert r_factor(np.ones((0, 5))).r.shape == (5, 5)
    with pytest.raises(ValueError, match="2 features, expected 3"):
        mf.linalg.RFactor(3).update(np.ones((4, 2)))
    with pytest.raises(ValueError, match="rows"):
        state.update(np.ones((2, 2, 2)))
    with pytest.raises(TypeError, match="real"):
        state.update(np.ones((2, 2)) * 1j)
    with pytest.raises(TypeError, match="RFactor"):
        state.merge(np.eye(2))
    with pytest.raises(ValueError, match="features"):
        r_factor(np.ones((2, 3))).merge(r_factor(np.ones((2, 2))))
    with pytest.raises(TypeError, match="float"):
        mf.linalg.RFactor(dtype=int)
    with pytest.raises(ValueError, match="n_features"):
        mf.linalg.RFactor(-1)
    assert state != 3


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 700), st.integers(1, 20), st.integers(0, 2**32 - 1), st.data())
def test_laws(m, n, seed, data):
    """R'R = X'X to rounding, for all rows, for their parts merged, and for the rest after a part has gone."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-9, 10, (m, n)) * np.exp2(rng.integers(-30, 31, n))
    cut = data.draw(st.integers(0, m))
    gram = x.T @ x
    lengths = np.sqrt(np.diag(gram))
    limit = 40 * n * U * np.outer(lengths, lengths)
    one, two = r_factor(x, n_features=n), r_factor(x[:cut], n_features=n).merge(r_factor(x[cut:], n_features=n))
    for state in (one, two, mf.linalg.RFactor(n).update(x[:cut]).update(x[cut:])):
        r = state.r
        assert (np.abs(r.T @ r - gram) <= limit).all()
        assert (np.diag(r) >= 0).all()
        assert not np.tril(r, -1).any()
    more = np.vstack([x, 1e3 * np.eye(n) * np.maximum(lengths, 1)])  # what remains is far from singular
    r = r_factor(more).downdate(x[:cut]).r if cut else r_factor(more).r
    rest = more[cut:].T @ more[cut:]
    scale = np.sqrt(np.diag(rest))
    assert (np.abs(r.T @ r - rest) <= 400 * n * U * np.outer(scale, scale)).all()


def test_small_rows_after_large_ones(rng):
    """A reflection whose sign cancels would lose most digits of what small rows change."""
    x = np.vstack([rng.standard_normal((3000, 5)), 1e-6 * rng.standard_normal((3000, 5))])
    x[:3000, 3:] *= 1e-6  # where the small rows count as much as the large ones
    r = mf.linalg.RFactor().update(x).r
    expected = np.linalg.qr(x).R
    expected *= np.sign(np.diagonal(expected))[:, None]
    np.testing.assert_allclose(r[3:, 3:], expected[3:, 3:], rtol=1e-8, atol=1e-14)
