"""nan_policy= of mean, variance, covariance and correlation.

Reference: each pair of columns by itself in extended precision, over the rows that have both; pandas if it is there.
"""

from __future__ import annotations

import numpy as np
import pytest
from cases import every_dtype, every_layout, same_bits
from hypothesis import given, settings
from hypothesis import strategies as st

from mmlfast import stats

FUNCTIONS = (stats.mean, stats.variance, stats.covariance, stats.correlation)


def pair(a, b, w, ddof):
    """Covariance and the two variances of the rows that have both, and mean of a."""
    both = ~np.isnan(a) & ~np.isnan(b) & (w > 0)
    if not both.any():
        return np.full(4, np.nan)
    a, b, w = (v[both].astype(np.longdouble) for v in (a, b, w))
    mean = (w * a).sum() / w.sum()
    za, zb = a - mean, b - (w * b).sum() / w.sum()
    with np.errstate(all="ignore"):
        by = np.maximum(w.sum() - np.longdouble(ddof), 0)
        return np.array([(w * za * zb).sum() / by, (w * za * za).sum() / by, (w * zb * zb).sum() / by, mean])


def by_pairs(x, weights=None, ddof=1):
    """Covariance, correlation and means of one table."""
    d = x.shape[1]
    w = np.ones(len(x)) if weights is None else weights
    cov, cor, mean = np.empty((d, d)), np.empty((d, d)), np.empty(d)
    for i in range(d):
        for j in range(d):
            c = pair(x[:, i], x[:, j], w, ddof)
            r = pair(x[:, i], x[:, j], w, 0)
            cov[i, j] = c[0]
            with np.errstate(all="ignore"):
                cor[i, j] = r[0] / np.sqrt(r[1]) / np.sqrt(r[2])
        mean[i] = pair(x[:, i], x[:, i], w, 0)[3]
    return cov, cor, mean


def gaps(rng, *shape, share=0.2, offset=0.0, dtype=np.float64):
    x = rng.standard_normal(shape)
    x = (x @ (np.eye(shape[-1]) + rng.standard_normal((shape[-1], shape[-1])) / 2) + offset).astype(dtype)
    x[rng.random(shape) < share] = np.nan
    return x


def check(x, weights=None, tolerance=1e-14, ddof=1):
    cov, cor, mean = by_pairs(x, weights, ddof)
    sd = np.sqrt(np.diagonal(cov))
    ours = stats.covariance(x, weights=weights, ddof=ddof, nan_policy="omit")
    same_bits(ours, ours.T)
    same_bits(stats.variance(x, weights=weights, ddof=ddof, nan_policy="omit"), np.diagonal(ours))
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(cov))
    assert np.nanmax(np.abs(ours - cov) / np.outer(sd, sd), initial=0) < tolerance
    np.testing.assert_allclose(
        stats.correlation(x, weights=weights, nan_policy="omit"), cor, atol=4 * tolerance, equal_nan=True
    )
    np.testing.assert_allclose(stats.mean(x, weights=weights, nan_policy="omit"), mean, rtol=tolerance, atol=tolerance)


# ---- omit ----


@pytest.mark.parametrize("offset", [0.0, 1e8])
@pytest.mark.parametrize("d", [1, 2, 4, 6, 7, 20])
def test_pairwise_complete(d, offset, rng):
    """Narrow tables go pair by pair, wide ones by products; far from the origin too."""
    x = gaps(rng, 700, d, offset=offset)
    check(x)
    check(x, np.where(rng.random(700) < 0.3, 0, rng.uniform(0, 2, 700)))
    check(x, ddof=0)


@pytest.mark.parametrize("d", [3, 9])
def test_float32(d, rng):
    x = gaps(rng, 900, d, offset=290, dtype=np.float32)
    check(x, tolerance=3e-7)
    assert stats.covariance(x, nan_policy="omit").dtype == np.float32


def test_more_rows_than_one_chunk(rng):
    check(gaps(rng, 60_000, 7, offset=1e4), rng.uniform(0, 1, 60_000), tolerance=1e-13)
    check(gaps(rng, 60_000, 7))


@pytest.mark.parametrize("d", [3, 8])
def test_rows_of_a_pair_far_from_those_of_its_columns(d, rng):
    """The columns are present together only where they are large and vary little: products alone lose all digits."""
    x = rng.standard_normal((600, d))
    x[:300] = 1e6 + 1e-3 * x[:300]
    x[300:450, 0] = np.nan
    x[450:, 1] = np.nan
    x[::7, 2:] = np.nan
    cov, cor, _ = by_pairs(x)
    ours = stats.covariance(x, nan_policy="omit")
    assert abs(ours[0, 1] - cov[0, 1]) < 1e-13 * 1e-6
    assert abs(stats.correlation(x, nan_policy="omit") - cor).max() < 1e-9  # 1e6 + 1e-3 z is rounded in the 10th digit


@pytest.mark.parametrize("d", [3, 8])
def test_few_rows_in_common_and_columns_without_numbers(d, rng):
    x = gaps(rng, 400, d, share=0.1)
    x[:, 1] = np.nan
    x[3:, 0] = np.nan
    x[:3, 2] = [np.nan, 5.0, np.nan]  # one row in common with column 0
    check(x)
    c = stats.covariance(x, nan_policy="omit")
    assert np.isnan(c[1]).all()
    assert np.isnan(c[0, 2])
    assert np.isnan(stats.mean(x, nan_policy="omit")[1])
    assert np.isnan(stats.correlation(x, nan_policy="omit")[1, 1])


@pytest.mark.parametrize("d", [2, 8])
def test_constant_columns_do_not_vary(d, rng):
    x = gaps(rng, 500, d)
    x[:, 1] = np.where(np.isnan(x[:, 1]), np.nan, 0.1)
    c = stats.covariance(x, nan_policy="omit")
    assert not c[1].any()
    assert stats.mean(x, nan_policy="omit")[1] == 0.1
    r = stats.correlation(x, nan_policy="omit")
    assert np.isnan(r[1]).all()
    np.testing.assert_array_equal(np.diagonal(r)[[0, *range(2, d)]], 1)


@pytest.mark.parametrize("d", [2, 9])
def test_infinity_is_not_missing(d, rng):
    x = gaps(rng, 200, d)
    x[5] = 1.0
    x[5, 0] = np.inf
    c = stats.covariance(x, nan_policy="omit")
    assert np.isnan(c[0]).all()
    assert np.isfinite(c[1:, 1:]).all()
    assert stats.mean(x, nan_policy="omit")[0] == np.inf


@every_dtype
@pytest.mark.parametrize("d", [3, 9])
def test_complete_columns_and_tables_keep_their_bits(d, dtype, rng):
    x = rng.standard_normal((12, 60, d)).astype(dtype)
    x[4, 7, 0] = x[4, 9, 1] = x[9, 1, 2] = np.nan
    for function in FUNCTIONS:
        same_bits(function(x[:4], nan_policy="omit"), function(x[:4]))
        plain, ours = function(x), function(x, nan_policy="omit")
        same_bits(ours[~np.isnan(plain)], plain[~np.isnan(plain)])
        assert not np.isnan(ours).any()


@pytest.mark.parametrize("d", [2, 4, 9])
def test_a_table_alone_and_in_a_stack(d, rng):
    x = gaps(rng, 2, 6, 40, d, share=0.1)
    x[0, 0] = rng.standard_normal((40, d))
    x[0, 1] = np.nan
    w = rng.uniform(0, 1, (6, 40))
    for function in FUNCTIONS:
        many, weighted = function(x, nan_policy="omit"), function(x, weights=w, nan_policy="omit")
        for k in np.ndindex(2, 6):
            same_bits(many[k], function(x[k], nan_policy="omit"))
            same_bits(weighted[k], function(x[k], weights=w[k[1]], nan_policy="omit"))
    shared = function(x[0, 2], weights=w, nan_policy="omit")  # one table, many weights
    same_bits(shared[3], function(x[0, 2], weights=w[3], nan_policy="omit"))


@every_layout
@pytest.mark.parametrize("d", [3, 9])
def test_layouts(layout, d, rng):
    x = gaps(rng, 50, d)
    for function in FUNCTIONS:
        same_bits(function(layout(x), nan_policy="omit"), function(x, nan_policy="omit"))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 80), st.integers(1, 9), st.sampled_from([0.0, 0.05, 0.5, 0.95]), st.integers(0, 2**32 - 1))
def test_law_any_pattern(n, d, share, seed):
    rng = np.random.default_rng([seed, 5])
    check(gaps(rng, n, d, share=share, offset=rng.choice([0, 1e4])), tolerance=1e-13)


def test_pandas(rng):
    pandas = pytest.importorskip("pandas")
    x = gaps(rng, 300, 8)
    frame = pandas.DataFrame(x)
    np.testing.assert_allclose(stats.covariance(x, nan_policy="omit"), frame.cov(), rtol=1e-12)
    np.testing.assert_allclose(stats.correlation(x, nan_policy="omit"), frame.corr(), rtol=1e-12)
    np.testing.assert_allclose(stats.mean(x, nan_policy="omit"), frame.mean(), rtol=1e-12)
    np.testing.assert_allclose(stats.variance(x, nan_policy="omit"), frame.var(), rtol=1e-12)


# ---- the other policies ----


@pytest.mark.parametrize("function", FUNCTIONS)
def test_raise_names_the_first(function, rng):
    x = rng.standard_normal((2, 5, 3))
    same_bits(function(x, nan_policy="raise"), function(x))
    x[1, 4, 0] = x[1, 2, 1] = np.nan
    with pytest.raises(ValueError, match=rf"{function.__name__}: x\[1, 2, 1\] is NaN, one of 2 of 30 numbers"):
        function(x, nan_policy="raise")
    same_bits(function(x, nan_policy="propagate"), function(x))
    x[1, 4, 0] = x[1, 2, 1] = np.inf
    same_bits(function(x, nan_policy="raise"), function(x))
    w = np.ones(5)
    w[2] = 0
    x[:, 2] = np.nan
    same_bits(function(x, weights=w, nan_policy="raise"), function(x, weights=w))
    same_bits(function(x, weights=w, nan_policy="omit"), function(x, weights=w))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_arguments(function):
    with pytest.raises(ValueError, match="nan_policy must be one of 'propagate', 'raise', 'omit', got 'drop'"):
        function(np.ones((3, 2)), nan_policy="drop")
    for policy in ("raise", "omit"):
        same_bits(function(np.arange(6).reshape(3, 2), nan_policy=policy), function(np.arange(6.0).reshape(3, 2)))
        assert np.isnan(function(np.empty((0, 2)), nan_policy=policy)).all()
        assert function(np.empty((0, 4, 2)), nan_policy=policy).shape[0] == 0
        assert function(np.empty((3, 0)), nan_policy=policy).size == 0
    half = np.array([[1, 2], [np.nan, 4], [5, 7]], np.float16)
    same_bits(function(half, nan_policy="omit"), function(half.astype(float), nan_policy="omit"))
