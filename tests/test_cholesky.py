"""linalg.cholesky against NumPy, its own backward error, and what must not be read."""

from __future__ import annotations

import cases
import numpy as np
import pytest
import scipy.linalg
from cases import LAYOUTS, every_batch_size, every_case, every_dtype, same_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.linalg import LinAlgError

import mmlfast as mf
from mmlfast._reference import cholesky as reference

SIZES = (*range(1, 41), 48, 63, 65, 127, 129)


def unit_roundoff(dtype):
    return float(np.finfo(dtype).eps) / 2


def assert_factors(a, factor, upper=False):
    """norm(a - L L') of at most 10 n u norm(a), in the 1-norm; the other triangle is exactly zero."""
    extended = np.longdouble if a.shape[-1] <= 40 and a.dtype == np.float64 else np.float64
    wide, x = np.asarray(a).astype(extended), np.asarray(factor).astype(extended)
    n, u = a.shape[-1], unit_roundoff(factor.dtype)
    wrong = np.tril(factor, -1) if upper else np.triu(factor, 1)
    assert not wrong.any()
    assert not np.signbit(wrong).any()
    keep = np.triu if upper else np.tril
    residual = keep(wide - (x.swapaxes(-1, -2) @ x if upper else x @ x.swapaxes(-1, -2)))
    size = np.abs(wide).sum(axis=-2).max(axis=-1, initial=0)
    error = np.abs(residual).sum(axis=-2).max(axis=-1, initial=0)
    assert np.all(error <= 10 * n * u * size), float(np.max(error / np.where(size > 0, size, 1))) / u


def positive(rng, shape, dtype, ridge=0.1):
    *batch, n = shape
    x = rng.standard_normal((*batch, n, n + 2))
    return (x @ x.swapaxes(-1, -2) + ridge * np.eye(n)).astype(dtype)


# ---- every tagged matrix in every layout ----


@every_case("square", "spd")
def test_spd(case):
    if case.matrix.name == "hilbert 10" and case.dtype == np.float32:
        pytest.skip("not positive definite in float32")
    lower = mf.linalg.cholesky(case.array)
    assert lower.dtype == case.dtype
    assert lower.shape == case.plain.shape
    assert_factors(case.plain, lower)
    same_bits(lower, mf.linalg.cholesky(case.plain))
    upper = mf.linalg.cholesky(case.array, upper=True)
    assert_factors(case.plain, upper, upper=True)
    same_bits(upper, mf.linalg.cholesky(case.plain, upper=True))


@every_case("square", without="spd zero-size")
def test_of_any_square_matrix_one_triangle_is_read(case):
    """What comes out is the factor of the symmetric matrix with that triangle, or NaN if it is not definite."""
    for upper, keep in ((False, np.tril), (True, np.triu)):
        half = keep(case.plain)
        whole = half + keep(case.plain, 1 if upper else -1).swapaxes(-1, -2)
        x = mf.linalg.cholesky(case.array, upper=upper, errors="nan")
        bad = np.isnan(x).any(axis=(-1, -2))
        np.testing.assert_array_equal(bad, np.isnan(x).all(axis=(-1, -2)))
        if not bad.all():
            assert_factors(whole[~bad], x[~bad], upper=upper)
        least = np.linalg.eigvalsh(whole.astype(float)).min(axis=-1)
        most = np.abs(whole.astype(float)).sum(axis=-1).max(axis=-1)
        border = 100 * whole.shape[-1] * unit_roundoff(case.dtype) * most
        assert not np.any(bad & (least > border))
        assert np.all(bad | (least > -border))


@every_dtype
@pytest.mark.parametrize("n", SIZES)
def test_every_size(n, dtype, rng):
    a = positive(rng, (17, n), dtype)
    lower = mf.linalg.cholesky(a)
    assert_factors(a, lower)
    assert_factors(a, mf.linalg.cholesky(a, upper=True), upper=True)
    for count in (1, 2):  # blocks above the lanes
        few = mf.linalg.cholesky(a[:count])
        assert_factors(a[:count], few)
        assert_factors(a[:count], mf.linalg.cholesky(a[:count], upper=True), upper=True)
        if n <= 32:
            same_bits(few, lower[:count])
    expected = np.linalg.cholesky(a.astype(float))
    condition = 10 * np.trace(expected[0] @ expected[0].T)  # at most: no eigenvalue is below 0.1
    tolerance = 100 * n * unit_roundoff(dtype) * condition
    np.testing.assert_allclose(lower, expected, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("n", [1, 2, 5, 9, 20])
def test_reference(n, rng):
    a = positive(rng, (n,), np.float64)
    for upper in (False, True):
        ours, plain = mf.linalg.cholesky(a, upper=upper), reference.cholesky(a, upper)
        np.testing.assert_allclose(ours, plain, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(ours, np.linalg.cholesky(a, upper=upper), rtol=1e-9, atol=1e-12)
    with pytest.raises(LinAlgError):
        reference.cholesky(-a)


@every_dtype
@every_batch_size
@pytest.mark.parametrize("n", [3, 9, 40])
def test_an_item_has_the_same_bits_everywhere(batch, n, dtype, rng):
    if n > 32 and batch < 16:
        batch += 16  # lanes only if they are filled
    a = positive(rng, (batch, n), dtype)
    x = mf.linalg.cholesky(a)
    order = rng.permutation(batch)
    same_bits(mf.linalg.cholesky(a[order]), x[order])
    if n <= 32:
        for i in range(min(batch, 3)):
            same_bits(mf.linalg.cholesky(a[i]), x[i])


# ---- the other triangle ----


@every_dtype
@pytest.mark.parametrize("batch", [1, 20])
@pytest.mark.parametrize("n", [1, 2, 4, 8, 9, 12, 17, 33, 70])
def test_the_other_triangle_is_never_read(n, batch, dtype, rng):
    a = positive(rng, (batch, n), dtype)
    below = np.tri(n, k=-1, dtype=bool)
    for value in (np.nan, np.inf, -7):
        for upper, garbage in ((False, below.T), (True, below)):
            spoiled = np.where(garbage, dtype(value), a)
            expected = mf.linalg.cholesky(a, upper=upper)
            for layout in LAYOUTS:
                same_bits(mf.linalg.cholesky(layout(spoiled), upper=upper), expected)


# ---- matrices that are not positive definite ----


@pytest.mark.parametrize("n", [1, 2, 3, 8, 9, 20, 40, 140])
def test_failed_item_is_named(n, rng):
    a = positive(rng, (3, 7, n), np.float64)
    for upper in (False, True):
        expected = mf.linalg.cholesky(a, upper=upper)
        bad = a.copy()
        bad[1, 4, -1, -1] = -1  # the last pivot
        bad[2, 0, 0, 0] = 0  # the first one
        with pytest.raises(LinAlgError, match=r"cholesky: Matrix is not positive definite .* at .* \(1, 4\), 2 of 21"):
            mf.linalg.cholesky(bad, upper=upper)
        x = mf.linalg.cholesky(bad, upper=upper, errors="nan")
        failed = np.zeros((3, 7), bool)
        failed[1, 4] = failed[2, 0] = True
        assert np.isnan(x[failed]).all()
        same_bits(x[~failed], expected[~failed])
        with pytest.raises(
            LinAlgError, match=r"^cholesky: Matrix is not positive definite \(its leading minor of order \d+ is not\)$"
        ):
            mf.linalg.cholesky(bad[1, 4], upper=upper)


def test_semidefinite_and_indefinite():
    for a in (np.zeros((2, 2)), -np.eye(3), [[1, 2], [2, 1]], np.diag([1.0] * 39 + [0.0]), [[1.0, 1.0], [1.0, 1.0]]):
        with pytest.raises(LinAlgError, match="not positive definite"):
            mf.linalg.cholesky(a)
        assert np.isnan(mf.linalg.cholesky(a, errors="nan")).all()


def test_errors_must_be_known():
    with pytest.raises(ValueError, match="errors must be 'raise' or 'nan', got 'ignore'"):
        mf.linalg.cholesky(np.eye(2), errors="ignore")


@every_dtype
@pytest.mark.parametrize(("n", "count"), [(1, 20), (2, 20), (3, 20), (8, 20), (9, 20), (17, 20), (40, 2), (140, 2)])
def test_bad_numbers_stay_in_their_item(n, count, dtype, rng):
    a = positive(rng, (count, n), dtype)
    expected, expected_upper = mf.linalg.cholesky(a), mf.linalg.cholesky(a, upper=True)
    others = np.arange(count) != 1
    for index, poisoned in cases.poisoned(a[1]):
        if n > 9 and (sum(index) % 5 or n * index[0] + index[1] > 400):
            continue
        mixed = a.copy()
        mixed[1] = poisoned
        for upper, whole in ((False, expected), (True, expected_upper)):
            x = mf.linalg.cholesky(mixed, upper=upper, errors="nan")
            same_bits(x[others], whole[others])
            used = index[0] <= index[1] if upper else index[0] >= index[1]
            if not used:
                same_bits(x[1], whole[1])
            elif np.isnan(poisoned).any():
                assert np.isnan(x[1]).all()
            elif index[0] != index[1] or poisoned[index] < 0:
                assert np.isnan(x[1]).all()  # infinity beside the diagonal


# ---- hard matrices ----


@every_dtype
@pytest.mark.parametrize("n", [2, 3, 5, 8, 10, 16, 33, 64, 70])
def test_hard_matrices(n, dtype, rng):
    for name, hard in cases.hard_squares(rng, n):
        if name in ("huge", "small"):
            hard = hard * (1e-20 if name == "huge" else 1e20) if dtype == np.float32 else hard
        a = hard.astype(np.longdouble)
        gram = (a.T @ a).astype(dtype)
        gram = gram + np.diag(np.diag(gram)) * dtype(4 * n * unit_roundoff(dtype))
        for batch in (1, 17):
            x = mf.linalg.cholesky(np.broadcast_to(gram, (batch, n, n)), errors="nan")
            if np.isnan(x).all():
                condition = np.linalg.cond(gram.astype(float))
                assert not condition * n * unit_roundoff(dtype) < 0.01, name
                continue
            assert_factors(gram, x[-1])
            same_bits(x, np.broadcast_to(x[0], x.shape))


@every_dtype
@pytest.mark.parametrize("n", [1, 2, 3, 8, 9, 20, 40])
def test_denormal_and_huge_scales(n, dtype, rng):
    info = np.finfo(dtype)
    base = positive(rng, (n,), float)
    base /= np.abs(base).max()
    for scale in (info.tiny * 2**10, info.max / 2):
        a = (base * float(scale)).astype(dtype)
        assert_factors(a, mf.linalg.cholesky(a))
    # Denormal numbers: the digits that they have left are used.
    a = np.diag(rng.integers(1, 1000, n) * info.smallest_subnormal).astype(dtype)
    x = mf.linalg.cholesky(a)
    error = np.abs(x.astype(np.longdouble) @ x.T.astype(np.longdouble) - a.astype(np.longdouble))
    assert error.max() <= 4 * unit_roundoff(dtype) * a.max() + info.smallest_subnormal
    graded = (base + np.eye(n)) * np.logspace(0, -12, n)[:, None] * np.logspace(0, -12, n)
    assert_factors(graded.astype(dtype), mf.linalg.cholesky(graded.astype(dtype)))


@cases.every_matrix_market_file(square=True, symmetric=True, largest=600)
def test_matrix_market(path):
    a = cases.read_matrix_market(path)
    try:
        expected = np.linalg.cholesky(a)
    except LinAlgError:
        with pytest.raises(LinAlgError, match="not positive definite"):
            mf.linalg.cholesky(a)
        return
    x = mf.linalg.cholesky(a)
    residual = np.linalg.norm(x @ x.T - a, 1) / np.linalg.norm(a, 1)
    assert residual <= 10 * len(a) * unit_roundoff(float)
    np.testing.assert_allclose(np.log(np.diag(x)), np.log(np.diag(expected)), atol=1e-6)
    if len(a) <= 128:  # the same matrix in lanes
        assert_factors(a, mf.linalg.cholesky(np.stack([a] * 9))[8])


# ---- shapes, out=, dtypes ----


def test_empty():
    for dtype in (np.float64, np.float32):
        assert mf.linalg.cholesky(np.zeros((0, 0), dtype)).shape == (0, 0)
        assert mf.linalg.cholesky(np.zeros((0, 3, 3), dtype)).dtype == dtype
        assert mf.linalg.cholesky(np.zeros((0, 200, 200), dtype), upper=True).shape == (0, 200, 200)


@pytest.mark.parametrize("layout", LAYOUTS[:6], ids=lambda f: f.__name__)
@pytest.mark.parametrize("n", [2, 9, 40, 140])
def test_out(n, layout, rng):
    a = positive(rng, (2, 3, n), np.float64)
    for upper in (False, True):
        out = layout(np.full_like(a, np.nan))
        assert mf.linalg.cholesky(a, upper=upper, out=out) is out
        same_bits(np.array(out), mf.linalg.cholesky(a, upper=upper))


@pytest.mark.parametrize("n", [1, 3, 8, 9, 40, 140])
def test_overlapping_out(n, rng):
    a = positive(rng, (20, n), np.float64)
    for upper in (False, True):
        x = mf.linalg.cholesky(a, upper=upper)
        for make in (lambda m: m, lambda m: m.swapaxes(-1, -2), lambda m: m[::-1]):
            room = a.copy()
            same_bits(np.array(mf.linalg.cholesky(room, upper=upper, out=make(room))), x)
        room = np.concatenate([a, np.zeros((1, n, n))])
        same_bits(mf.linalg.cholesky(room[:-1], upper=upper, out=room[1:]).copy(), x)


@pytest.mark.parametrize("bad", [np.ones((2, 3)), np.ones(3), np.float64(1), np.ones((4, 3, 2))])
def test_not_square(bad):
    with pytest.raises(LinAlgError, match="cholesky: "):
        mf.linalg.cholesky(bad)


def test_dtypes():
    same_bits(mf.linalg.cholesky(np.array([[4, 2], [2, 10]])), np.array([[2.0, 0.0], [1.0, 3.0]]))
    same_bits(mf.linalg.cholesky(np.eye(2, dtype=bool)), np.eye(2))
    same_bits(mf.linalg.cholesky([[4.0]], upper=True), np.array([[2.0]]))
    for wrong in (np.eye(2, dtype=complex), np.eye(2).astype(object), np.eye(2).astype("U3")):
        with pytest.raises(TypeError):
            mf.linalg.cholesky(wrong)


def test_same_bits_at_every_level_and_thread_count(same_at_every_level):
    same_at_every_level("""
        rng = np.random.default_rng(7)
        for dtype in (np.float64, np.float32):
            for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 16, 31, 32, 65):
                for count in (1, 3, 8, 17, 3000 // n):
                    if n > 32 and count < 16:
                        continue
                    x = rng.standard_normal((count, n, n)).astype(dtype)
                    a = np.einsum("bij,bkj->bik", x, x) + np.eye(n, dtype=dtype)
                    a[count // 2, 0, 0] = -1
                    digest(mf.linalg.cholesky(a, errors="nan"), mf.linalg.cholesky(a, upper=True, errors="nan"))
    """)


def test_baseline_is_right_too(run_python):
    """The x86 baseline has no fused multiply-add: other bits, the same bound."""
    run_python(
        """
        import numpy as np, mmlfast as mf
        rng = np.random.default_rng(3)
        for dtype in (np.float64, np.float32):
            for n in (1, 2, 3, 4, 8, 9, 20, 33):
                x = rng.standard_normal((21, n, n + 1)).astype(dtype)
                a = x @ x.swapaxes(-1, -2)
                l = mf.linalg.cholesky(a).astype(np.longdouble)
                error = np.abs(np.tril(l @ l.swapaxes(-1, -2) - a)).max() / np.abs(a).max()
                assert error <= 10 * n * np.finfo(dtype).eps / 2, (n, dtype)
        """,
        MMLFAST_SIMD="baseline",
    )


# ---- laws ----

law = settings(max_examples=60, deadline=None, derandomize=True)


@law
@given(st.integers(1, 12), st.integers(0, 2**32 - 1), st.integers(-30, 30))
def test_law_powers_of_four_change_no_digit(n, seed, power):
    a = positive(np.random.default_rng(seed), (3, n), np.float64)
    x = mf.linalg.cholesky(a)
    same_bits(mf.linalg.cholesky(a * 4.0**power), x * 2.0**power)


@law
@given(st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_law_factor_of_a_product_of_integers_comes_back(n, seed):
    """Small integers: every step is exact, whatever the order of the sums."""
    rng = np.random.default_rng(seed)
    lower = np.tril(rng.integers(-3, 4, (4, n, n)), -1) + np.eye(n) * 2.0 ** rng.integers(0, 3, (4, n, 1))
    same_bits(mf.linalg.cholesky(lower @ lower.swapaxes(-1, -2)) + 0.0, lower + 0.0)


@law
@given(st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_law_upper_is_the_transpose(n, seed):
    a = positive(np.random.default_rng(seed), (4, n), np.float32)
    a = np.tril(a) + np.tril(a, -1).swapaxes(-1, -2)
    same_bits(mf.linalg.cholesky(a, upper=True), mf.linalg.cholesky(a).swapaxes(-1, -2))


def test_item_is_named_when_the_factor_overwrites_the_matrix():
    a = np.stack([2 * np.eye(3) + 1.4 * np.eye(3, k=-1)] * 5)
    a[3] = -1
    with pytest.raises(LinAlgError, match=r"index \(3,\), 1 of 5"):
        mf.linalg.cholesky(x := a.copy(), out=x)


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("n", [1, 2, 3, 8, 33, 70])
def test_the_leading_minor_is_named(n, upper, rng):
    """Its order, as SciPy says it."""
    for order in {1, (n + 1) // 2, n}:
        x = rng.standard_normal((n, n))
        a = x @ x.T + n * np.eye(n)
        a[order - 1, order - 1] = -1
        theirs = rf"^{order}-th leading minor|potrf return info = \[{order}\]"  # the second from version 1.18 on
        with pytest.raises(scipy.linalg.LinAlgError, match=theirs):
            scipy.linalg.cholesky(a)
        with pytest.raises(np.linalg.LinAlgError, match=rf"leading minor of order {order} is not"):
            mf.linalg.cholesky(a, upper=upper)
        stack = np.stack([np.eye(n), a, np.eye(n)])
        for out in (None, np.empty_like(stack), stack):
            with pytest.raises(np.linalg.LinAlgError, match=rf"order {order} is not\) at batch index \(1,\), 1 of 3"):
                mf.linalg.cholesky(stack, upper=upper, out=out)
    a[-1, 0] = a[0, -1] = np.nan
    with pytest.raises(np.linalg.LinAlgError, match=r"a\[1, \d+, \d+\] is nan at batch index \(1,\)"):
        mf.linalg.cholesky(np.stack([np.eye(n), a]), upper=upper)
