"""Statistics do not depend on the unit of a column, and what theory makes exact is exact.

References: the same numbers in an ordinary unit (powers of two change no digit), exact fractions, NumPy.
"""

from __future__ import annotations

import numpy as np
import pytest
from cases import every_dtype, same_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import squareform
from tables import error, exact

import mmlfast as mf
from mmlfast import stats
from mmlfast.stats import Moments

FAR = {np.float32: (-90, -70, 66, 110), np.float64: (-1000, -700, -565, 531, 700, 1000)}


def units(dtype, x):
    """Powers of two for columns: each of the far ones for all, for one, and mixed."""
    d = x.shape[-1]
    for power in FAR[dtype]:
        yield np.full(d, power)
        yield np.where(np.arange(d) == d // 2, power, 0)
    yield np.resize(FAR[dtype], d)


def is_exact_correlation(r):
    same_bits(r, np.swapaxes(r, -1, -2))
    diagonal = np.diagonal(r, axis1=-2, axis2=-1)
    assert np.all((diagonal == 1) | np.isnan(diagonal))
    assert np.nanmax(np.abs(r), initial=0) <= 1


# ---- the faults that were found ----


@pytest.mark.parametrize("unit", [1e-24, 1e20])
def test_correlation_does_not_over_or_underflow_in_float32(unit):
    y = np.float32([[2e-24, 1], [1e-24, 3], [4e-24, 2], [5e-24, 5]])
    y[:, 0] = np.float32(np.array([2, 1, 4, 5]) * unit)
    r = stats.correlation(y)
    assert r.dtype == np.float32
    assert abs(r[0, 1] - np.corrcoef([2, 1, 4, 5], [1, 3, 2, 5])[0, 1]) < 1e-6


@pytest.mark.parametrize("unit", [5e-324 * 64, 1e-300, 1e-170, 1e160, 1e300])
def test_correlation_does_not_over_or_underflow_in_float64(unit):
    a = np.array([2.0, 1, 4, 5])
    for y in (np.stack([a * unit, [1, 3, 2, 5]], 1), np.stack([a * unit, np.array([1, 3, 2, 5]) * unit], 1)):
        assert abs(stats.correlation(y)[0, 1] - np.corrcoef(a, [1, 3, 2, 5])[0, 1]) < 1e-14


@every_dtype
def test_correlation_matrices_are_symmetric(dtype):
    x = np.random.default_rng(3).standard_normal((200, 8)).cumsum(axis=0).astype(dtype)
    squareform(1 - stats.correlation(x))
    gaps = x.copy()
    gaps[::7, 2] = gaps[3::11, 5] = np.nan
    w = np.random.default_rng(4).uniform(0, 2, 200)
    for weights in ({}, {"weights": w}, {"aweights": w}):
        for y in (x, x[None], np.stack([x] * 9), np.stack([x[:50]] * 9)):
            n = y.shape[-2]
            kept = {name: value[:n] for name, value in weights.items()}
            is_exact_correlation(stats.correlation(y, **kept))
        is_exact_correlation(stats.correlation(gaps, nan_policy="omit", **weights))


def test_equal_columns_are_correlated_exactly(rng):
    for n in (3, 40, 3000):
        a = rng.standard_normal(n)
        same_bits(stats.correlation(np.stack([a, 4 * a, -a], 1)), np.array([[1.0, 1, -1], [1, 1, -1], [-1, -1, 1]]))


def test_masks_are_not_dropped():
    t = np.ma.masked_values([[12.0], [14.5], [-9999.0], [13.0]], -9999.0)
    kept = t.compressed()
    for function in (stats.mean, stats.variance, stats.std, stats.covariance, stats.correlation):
        same_bits(np.ravel(function(t, nan_policy="omit")), np.ravel(function(kept[:, None])))
        same_bits(function(t[:, 0], nan_policy="omit"), function(kept))
        with pytest.raises(TypeError, match="x is a masked array"):
            function(t)
        with pytest.raises(TypeError, match="masked"):
            function(t, nan_policy="raise")
    whole = np.ma.masked_array([[1, 2], [3, 5], [4, 4]], mask=[[0, 0], [1, 0], [0, 0]])  # integers
    same_bits(stats.mean(whole, nan_policy="omit"), np.array([2.5, 11 / 3]))
    with pytest.raises(TypeError, match="masked"):
        stats.mean(np.ones((3, 2)), weights=np.ma.masked_array([1, 2, 3], [0, 1, 0]))
    with pytest.raises(TypeError, match="masked"):
        Moments().update(t)


@pytest.mark.parametrize("weights", [np.full(200, 1 / 200), np.full(200, 1 / 200, np.float32), np.full(200, 0.001)])
def test_weights_that_add_up_to_one_are_told(weights):
    x = np.random.default_rng(2).standard_normal((200, 2))
    for function in (stats.covariance, stats.variance, stats.std):
        for name in ("weights", "fweights"):
            with pytest.raises(ValueError, match=rf"{name} add up to .* exceed ddof=1: .* aweights="):
                function(x, **{name: weights})
        with pytest.raises(ValueError, match="aweights="):
            function(np.stack([x] * 3), weights=np.stack([np.ones(200), weights, np.ones(200)]))
        assert np.isfinite(function(x, weights=weights, ddof=0)).all()
        np.testing.assert_allclose(
            function(x, aweights=weights), function(x), rtol=1e-6 if weights.dtype == np.float32 else 1e-12
        )
    m = Moments().update(x, weights=weights)
    for method in (m.covariance, m.variance, m.std):
        with pytest.raises(ValueError, match="weights add up to"):
            method()
        assert np.isfinite(method(ddof=0)).all()


def test_one_row_that_counts_has_no_variance(rng):
    x = rng.standard_normal((5, 2))
    for name in ("fweights", "aweights"):
        for weights in ([0, 1, 0, 0, 0], [0, 0, 0, 0, 0]):
            assert np.isnan(stats.covariance(x, **{name: weights})).all()
    with pytest.raises(ValueError, match="nearly all the weight is on one row"):
        stats.covariance(x, aweights=[1, 1e-17, 0, 0, 0])


def test_negative_weights_are_named(rng):
    x = rng.standard_normal((2, 2))
    for function in (stats.mean, stats.variance, stats.std, stats.covariance, stats.correlation):
        for name in ("weights", "fweights", "aweights"):
            message = rf"{function.__name__}: {name} must not be negative, infinite or NaN, got {name}\[1\] = -1"
            with pytest.raises(ValueError, match=message):
                function(x, **{name: [1, -1]})
            with pytest.raises(ValueError, match=f"{name} must have one number per row"):
                function(x, **{name: [1, 1, 1]})
        with pytest.raises(ValueError, match="another name of fweights"):
            function(x, weights=[1, 1], fweights=[1, 1])
    with pytest.raises(TypeError, match="ddof must be a number, got 'n'"):
        stats.std(x, ddof="n")


def test_labels_of_weights(rng):
    pandas = pytest.importorskip("pandas")
    x = pandas.DataFrame(rng.standard_normal((4, 2)), index=list("abcd"))
    w = pandas.Series([1, 2, 3, 4], index=list("abcd"))
    same_bits(stats.mean(x, weights=w), stats.mean(x.to_numpy(), weights=w.to_numpy()))
    for name in ("weights", "fweights", "aweights"):
        with pytest.raises(ValueError, match=f"the labels of {name} are not those of x"):
            stats.covariance(x, **{name: w[::-1]})
        with pytest.raises(ValueError, match="labels"):
            stats.mean(x[0], **{name: w[::-1]})
    with pytest.raises(ValueError, match="labels"):
        Moments().update(x, weights=w[::-1])


def test_dask_arrays_in_chunks_of_rows_are_refused_by_name():
    da = pytest.importorskip("dask.array")
    x = da.ones((6, 2), chunks=(2, 2))
    for function in (stats.mean, stats.variance, stats.std, stats.covariance, stats.correlation):
        for y in (x, x[:, 0], da.ones((3, 6, 2), chunks=(1, 3, 2))):
            with pytest.raises(TypeError, match=r"x is a Dask array.*mmlfast\.dask"):
                function(y)


# ---- one variable ----


def test_one_variable(rng):
    x = [1, 2, 3, 2]
    assert stats.mean(x) == 2
    assert stats.variance(x) == np.var(x, ddof=1) == stats.covariance(x)
    assert stats.std(x, ddof=0) == np.std(x)
    assert stats.correlation(x) == 1
    y = rng.standard_normal(3000)
    w = rng.integers(0, 3, 3000)
    for function in (stats.mean, stats.variance, stats.std, stats.covariance, stats.correlation):
        for kept in ({}, {"weights": w}, {"aweights": w + 0.5}):
            same_bits(function(y, **kept), function(y[:, None], **kept).reshape(-1)[0])
        assert np.ndim(function(y)) == 0
        assert function(y.astype(np.float32)).dtype == np.float32
    y[7] = np.nan
    assert stats.mean(y, nan_policy="omit") == pytest.approx(stats.mean(np.delete(y, 7)), rel=1e-13)
    assert np.isnan(stats.mean([]))
    m = Moments(1).update(np.delete(y, 7))
    assert m.count == 2999
    assert Moments().update([1.0, 2, 3]).n_features == 3


# ---- weights as in NumPy ----


@pytest.mark.parametrize("ddof", [0, 1, 2])
def test_both_kinds_of_weights_mean_what_they_mean_in_numpy(ddof, rng):
    x = rng.standard_normal((60, 4)) + 5
    f, a = rng.integers(0, 4, 60), rng.uniform(0, 2, 60)
    for kept in ({"fweights": f}, {"aweights": a}, {"fweights": f, "aweights": a}):
        expected = np.cov(x, rowvar=False, ddof=ddof, **kept)
        np.testing.assert_allclose(stats.covariance(x, ddof=ddof, **kept), expected, rtol=1e-12)
        np.testing.assert_allclose(stats.variance(x, ddof=ddof, **kept), np.diagonal(expected), rtol=1e-12)
        np.testing.assert_allclose(stats.std(x, ddof=ddof, **kept), np.sqrt(np.diagonal(expected)), rtol=1e-12)
        w = np.prod(list(kept.values()), axis=0)
        np.testing.assert_allclose(stats.mean(x, **kept), np.average(x, axis=0, weights=w), rtol=1e-13)
        scale = np.sqrt(np.diagonal(expected))
        np.testing.assert_allclose(stats.correlation(x, **kept), expected / np.outer(scale, scale), atol=1e-13)
    for power in (-1000, -300, 300, 1000):  # shares have no unit
        same_bits(stats.covariance(x, aweights=np.ldexp(a, power)), stats.covariance(x, aweights=a))
        same_bits(stats.correlation(x, weights=np.ldexp(a, power)), stats.correlation(x, weights=a))
        same_bits(stats.covariance(x, weights=np.ldexp(a, power), ddof=0), stats.covariance(x, weights=a, ddof=0))


@pytest.mark.parametrize("d", [3, 9])
def test_shares_and_missing_numbers(d, rng):
    x = rng.standard_normal((80, d))
    x[rng.random(x.shape) < 0.2] = np.nan
    a, f = rng.uniform(0, 2, 80), rng.integers(1, 4, 80)
    c = stats.covariance(x, aweights=a, fweights=f, nan_policy="omit")
    for i in range(d):
        for j in range(d):
            both = ~np.isnan(x[:, i] + x[:, j])
            expected = np.cov(x[both][:, [i, j]], rowvar=False, aweights=a[both], fweights=f[both])[0, 1]
            assert abs(c[i, j] - expected) < 1e-13
    same_bits(stats.variance(x, aweights=a, fweights=f, nan_policy="omit"), np.diagonal(c))


# ---- units ----


@every_dtype
@pytest.mark.parametrize("shape", [(2, 2), (40, 3), (700, 5), (90, 17), (1100, 20), (60, 260), (9, 30, 4), (3, 300, 2)])
def test_columns_in_any_unit(shape, dtype, rng):
    x = (rng.standard_normal(shape) + 3).astype(dtype)
    w = rng.uniform(0.5, 2, shape[:-1])
    for kept in ({}, {"aweights": w}):
        mean, std = stats.mean(x, **kept), stats.std(x, **kept)
        covariance, correlation = stats.covariance(x, **kept), stats.correlation(x, **kept)
        for power in units(dtype, x):
            y = np.ldexp(x, power)
            same_bits(np.ldexp(y, -power), x)  # the test is fair: no digit is lost
            same_bits(stats.mean(y, **kept), np.ldexp(mean, power))
            same_bits(stats.std(y, **kept), np.ldexp(std, power))
            same_bits(stats.correlation(y, **kept), correlation)
            with np.errstate(all="ignore"):
                expected = np.ldexp(covariance.astype(float), power[:, None] + power).astype(dtype)
                of_columns = np.ldexp(np.diagonal(covariance, axis1=-2, axis2=-1).astype(float), 2 * power).astype(
                    dtype
                )
            least = 4 * np.finfo(dtype).smallest_subnormal
            np.testing.assert_allclose(stats.covariance(y, **kept), expected, rtol=3e-7 if dtype == np.float32 else 0)
            np.testing.assert_allclose(stats.variance(y, **kept), of_columns, rtol=3e-7, atol=least)


@every_dtype
@pytest.mark.parametrize("d", [3, 9])
def test_columns_in_any_unit_with_missing_numbers(d, dtype, rng):
    x = (rng.standard_normal((120, d)) + 3).astype(dtype)
    x[rng.random(x.shape) < 0.15] = np.nan
    mean, std = stats.mean(x, nan_policy="omit"), stats.std(x, nan_policy="omit")
    covariance, correlation = stats.covariance(x, nan_policy="omit"), stats.correlation(x, nan_policy="omit")
    is_exact_correlation(correlation)
    for power in units(dtype, x):
        y = np.ldexp(x, power)
        same_bits(stats.mean(y, nan_policy="omit"), np.ldexp(mean, power))
        same_bits(stats.std(y, nan_policy="omit"), np.ldexp(std, power))
        ours = stats.correlation(y, nan_policy="omit")
        is_exact_correlation(ours)
        np.testing.assert_allclose(ours, correlation, rtol=0, atol=3e-7 if dtype == np.float32 else 1e-13)
        with np.errstate(all="ignore"):
            expected = np.ldexp(covariance.astype(float), power[:, None] + power).astype(dtype)
        ours = stats.covariance(y, nan_policy="omit")
        same_bits(ours, ours.T)
        np.testing.assert_allclose(ours, expected, rtol=3e-7 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("shape", [(5, 2), (3000, 3), (700, 20), (9, 30, 4)])
def test_means_of_the_largest_numbers(shape, rng):
    x = 1.7e308 * rng.uniform(-1, 1, shape)
    x[..., 0] = np.abs(x[..., 0])
    small = np.ldexp(x, -200)
    same_bits(stats.mean(x), np.ldexp(stats.mean(small), 200))
    same_bits(stats.std(x), np.ldexp(stats.std(small), 200))
    same_bits(stats.correlation(x), stats.correlation(small))
    assert np.isinf(stats.variance(x)).all()


def test_variances_that_fit_while_their_sums_do_not(rng):
    x = rng.choice([-1e154, 1e154], (4000, 3))
    scale = 2.0**600
    np.testing.assert_allclose(stats.variance(x) / scale, stats.variance(x / scale) * scale, rtol=1e-15)
    small = np.ldexp(rng.standard_normal((4000, 3)), -530)
    mean, cov = exact(small[:100])
    np.testing.assert_allclose(stats.covariance(small[:100]), cov, rtol=1e-6)  # denormal numbers
    np.testing.assert_allclose(stats.mean(small[:100]), mean, rtol=0, atol=1e-16 * np.abs(small).max())


@pytest.mark.parametrize("d", [2, 17])
def test_columns_that_do_not_vary_beside_far_ones(d, rng):
    x = rng.standard_normal((600, d))
    x[:, 1] = np.ldexp(x[:, 1], -800)
    for constant in (0.0, 0.1, 5e-324, 1.7e308, -1e-300):
        x[:, 0] = constant
        assert stats.variance(x)[0] == stats.std(x)[0] == 0
        assert not stats.covariance(x)[0].any()
        r = stats.correlation(x)
        assert np.isnan(r[0]).all()
        assert r[1, 1] == 1
        assert stats.mean(x)[0] == constant


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 300),
    st.integers(1, 20),
    st.lists(st.integers(-900, 900), min_size=20, max_size=20),
    st.integers(0, 2**32 - 1),
)
def test_law_units_change_no_digit(n, d, powers, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d)) + rng.integers(-5, 5, d)
    power = np.array(powers[:d])
    y = np.ldexp(x, power)
    same_bits(stats.correlation(y), stats.correlation(x))
    is_exact_correlation(stats.correlation(y))
    same_bits(stats.mean(y), np.ldexp(stats.mean(x), power))
    same_bits(stats.std(y), np.ldexp(stats.std(x), power))
    c = stats.covariance(y)
    same_bits(c, c.T)
    assert not (np.diagonal(c) < 0).any()


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 3000), st.integers(2, 20), st.integers(0, 2**32 - 1))
def test_law_the_order_of_columns_changes_no_bit_of_a_correlation(n, d, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d))
    order = rng.permutation(d)
    same_bits(stats.correlation(x[:, order]), stats.correlation(x)[np.ix_(order, order)])
    assert np.abs(stats.correlation(x) - np.corrcoef(x, rowvar=False)).max() < 1e-13


def test_correlation_far_from_the_origin(rng):
    x = rng.standard_normal((500, 3)) + 1e8
    _, cov = exact(x)
    sd = np.sqrt(np.diagonal(cov))
    assert np.abs(stats.correlation(x) - cov / np.outer(sd, sd)).max() < 1e-14
    assert error(stats.std(x)[:, None] * stats.std(x), np.outer(sd, sd)) < 1e-14


def test_same_bits_of_deviations_and_correlations_everywhere(same_at_every_level):
    same_at_every_level(
        """
        rng = np.random.default_rng(4)
        for shape in ((9, 1), (6001, 3), (900, 17), (700, 300), (203, 50, 4), (203, 64, 13)):
            for dtype in (np.float64, np.float32):
                x = (rng.standard_normal(shape) + 100).astype(dtype)
                w = rng.random(shape[:-1])
                for y in (x, np.ldexp(x, 100)) if dtype == np.float32 else (x, np.ldexp(x, -700)):
                    digest(mf.stats.correlation(y), mf.stats.std(y), mf.stats.correlation(y, aweights=w))
                    digest(mf.stats.std(y, aweights=w), mf.stats.covariance(y), mf.stats.mean(y))
        """
    )


# ---- Moments ----


@every_dtype
def test_moments_have_variances(dtype, rng):
    x = rng.standard_normal((1000, 4)).astype(dtype)
    m = Moments(dtype=dtype).update(x[:300]).update(x[300:])
    for ddof in (0, 1):
        same_bits(m.variance(ddof), stats.variance(x, ddof=ddof))
        same_bits(m.std(ddof), stats.std(x, ddof=ddof))
    assert np.isnan(Moments(2).std()).all()
    assert Moments(dtype=np.float32).update(np.float32([[1e30], [3e30]])).std() == np.float32(np.sqrt(2) * 1e30)


@pytest.mark.parametrize("d", [1, 4, 17, 300])
def test_variances_are_not_negative_after_downdating(d, rng):
    x = rng.standard_normal((200, d)) + 1e6
    m = Moments().update(x)
    for row in x[:199]:
        m.downdate(row)
        c = m.covariance(0)
        same_bits(c, c.T)
        assert (np.diagonal(c) >= 0).all()
        assert not np.isnan(m.std(0)).any()


# ---- affine_moments ----


@every_dtype
def test_affine_moments_in_any_unit(dtype, rng):
    mean, a = rng.standard_normal(4).astype(dtype), rng.standard_normal((3, 4)).astype(dtype)
    cov = stats.covariance(rng.standard_normal((50, 4)).astype(dtype))
    plain = stats.affine_moments(mean, cov, a)
    for power in (-40, -20, 20, 40) if dtype == np.float32 else (-400, -100, 100, 400):
        moved = stats.affine_moments(np.ldexp(mean, power), np.ldexp(cov, 2 * power), a)
        np.testing.assert_allclose(moved.mean, np.ldexp(plain.mean, power), rtol=1e-6)
        np.testing.assert_allclose(moved.covariance, np.ldexp(plain.covariance, 2 * power), rtol=1e-6)
        same_bits(moved.covariance, moved.covariance.T)
        assert (np.diagonal(moved.covariance) >= 0).all()


def test_a_map_that_takes_the_variance_away_leaves_none_that_is_negative(rng):
    for _ in range(200):
        direction = rng.standard_normal(3)
        cov = np.outer(direction, direction)
        a = np.cross(direction, rng.standard_normal(3))[None]
        assert mf.stats.affine_moments(np.zeros(3), cov, a).covariance[0, 0] >= 0


def test_weights_of_any_size_table_by_table():
    """A stack is weighted table by table: small weights of one beside large ones of another are no zeros."""
    x = np.array([[1.0, 2], [2, 1], [3, 5], [4, 3]])
    for small, large in ((1e-170, 1.0), (1e-200, 1e200), (1e-308, 1e308)):
        weights = [[large] * 4, [small] * 4]
        for function in (mf.stats.correlation, mf.stats.mean):
            found = function(np.stack([x, x]), weights=weights)
            np.testing.assert_allclose(found, np.stack([function(x)] * 2), rtol=1e-14)
    assert mf.stats.mean([1.0, 2.0], weights=[1e-308, 1e-308]) == 1.5


def test_shares_with_missing_numbers_are_told():
    for call in (mf.stats.variance, mf.stats.covariance):
        with pytest.raises(ValueError, match="aweights="):
            call(np.array([[1.0], [2], [3], [np.nan]]), weights=[1 / 3] * 4, nan_policy="omit")


def test_ddof_that_is_no_number():
    with pytest.raises(ValueError, match="ddof must be a number, got nan"):
        mf.stats.variance([1.0, 2, 4], ddof=np.nan)
