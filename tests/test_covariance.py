"""Mean, variance, covariance and correlation.

References: exact rational arithmetic, np.cov where that is accurate, and the readable twin in mmlfast._reference.
"""

from __future__ import annotations

import copy
import math
import sys

import numpy as np
import pytest
from cases import every_dtype, every_layout, misaligned, same_bits
from in_threads import in_threads
from tables import WIDTHS, block_rows, error, exact, table

import mmlfast as mf
from mmlfast import stats
from mmlfast._reference import covariance as reference
from mmlfast.stats import Moments

# ---- right ----


@every_dtype
@pytest.mark.parametrize("d", WIDTHS)
def test_sizes_around_lanes_and_blocks(d, dtype, rng):
    rows = block_rows(d)
    tolerance = 1e-13 if dtype == np.float64 else 3e-7
    x = table(rng, 3 * rows + 1, d, dtype)
    for n in (2, 3, 7, 8, 9, 15, 16, 17, rows - 1, rows, rows + 1, 2 * rows, 3 * rows + 1):
        c = stats.covariance(x[:n])
        assert c.dtype == dtype
        assert c.shape == (d, d)
        expected = np.cov(x[:n].astype(float), rowvar=False).reshape(d, d)
        assert error(c, expected) < tolerance, n
        same_bits(c, c.T)
        same_bits(stats.variance(x[:n]), np.diagonal(c))
        np.testing.assert_allclose(
            stats.mean(x[:n]),
            x[:n].astype(float).mean(axis=0),
            rtol=1e-6 if dtype == np.float32 else 1e-13,
            atol=1e-13 * np.abs(x).max(),
        )


@pytest.mark.parametrize(
    ("d", "ratio"),
    [(d, (0, 1e4, 1e8, 1e12)[k % 4]) for i, d in enumerate([1, 3, 10, 16, 17, 40]) for k in (2 * i, 2 * i + 1)]
    + [(10, 1e12), (17, 1e8)],
)
def test_far_from_the_origin(d, ratio, rng):
    n = 2 * block_rows(d) + 37 if d < 10 else 700
    x = rng.standard_normal((n, min(d, 4))) @ rng.standard_normal((min(d, 4), d)) + rng.standard_normal((n, d))
    x = x + ratio * rng.uniform(0.5, 2, d)
    columns = sorted({0, d // 2, d - 1})  # exact arithmetic takes its time
    mean, cov = exact(x[:, columns])
    assert error(stats.covariance(x)[np.ix_(columns, columns)], cov) < 1e-14
    np.testing.assert_allclose(stats.mean(x)[columns], mean, rtol=4e-16, atol=0 if ratio else 1e-15)


def _every_eighth_row_elsewhere(rng, n, d):
    x = 1e9 + rng.standard_normal((n, d))
    x[::8] = rng.standard_normal((len(x[::8]), d)) * 1e-3
    return x


def _every_eighth_group_elsewhere(rng, n, d):
    x = 1e9 + rng.standard_normal((n, d))
    sample = np.arange(n) // 8 % 8 == 0
    x[sample] = rng.standard_normal((sample.sum(), d)) * 1e-3
    return x


def _trend(rng, n, d):
    return np.linspace(-1e6, 3e6, n)[:, None] + rng.standard_normal((n, d))


def _one_row_elsewhere(rng, n, d):
    x = rng.standard_normal((n, d))
    x[8 * rng.integers(0, n // 8, d), np.arange(d)] = 1e9
    return x


@pytest.mark.parametrize(
    "rows_like", [_every_eighth_row_elsewhere, _every_eighth_group_elsewhere, _trend, _one_row_elsewhere]
)
@pytest.mark.parametrize(("n", "d"), [(9, 20), (512, 20), (700, 20), (700, 3), (1403, 4), (700, 10)])
def test_rows_whose_provisional_mean_is_wrong(rows_like, n, d, rng):
    """Blocks are shifted by the mean of an eighth of the rows; what that is off by is taken out."""
    x = rows_like(rng, n, d)
    columns = [0, d // 3 + 1, d - 1]
    mean, cov = exact(x[:, columns])
    assert error(stats.covariance(x)[np.ix_(columns, columns)], cov) < 1e-14
    np.testing.assert_allclose(stats.mean(x)[columns], mean, rtol=4e-16, atol=1e-16 * np.abs(x).max())
    same_bits(stats.variance(x), np.diagonal(stats.covariance(x)))


@pytest.mark.parametrize(("n", "d"), [(30, 5), (30, 20), (30, 300), (200, 3), (200, 10)])
def test_a_finite_mean_of_numbers_whose_differences_overflow(n, d, rng):
    x = rng.standard_normal((n, d))
    x[:, 2] = 0
    x[4, 2], x[5, 2] = 1.7e308, -1.7e308
    mean, good = stats.mean(x), [j for j in range(d) if j != 2]
    assert mean[2] == 0
    np.testing.assert_allclose(mean[good], x[:, good].mean(axis=0), rtol=0, atol=1e-15)
    assert np.isinf(stats.variance(x)[2])


@pytest.mark.parametrize("d", [5, 20, 300])
def test_variances_of_denormal_numbers_are_not_negative(d, rng):
    scales = rng.standard_normal((40, d)) * np.geomspace(1e-164, 1e-154, d)
    # Squares that round to zero one by one, while the square of their mean does not: the provisional mean, of every
    # eighth row, is zero.
    rounded_away = np.full((512, d), 0.699)
    rounded_away[1::10] = 2
    rounded_away[::8] = 0
    for x in (scales, rounded_away * math.sqrt(5e-324)):
        v = stats.variance(x)
        assert (v >= 0).all()
        assert (np.diagonal(stats.covariance(x)) == v).all()


def test_the_naive_formula_loses_everything_here_and_we_do_not(rng):
    x = rng.standard_normal((20_000, 10))
    shifted = x + 1e8
    naive = (shifted.T @ shifted - len(x) * np.outer(shifted.mean(axis=0), shifted.mean(axis=0))) / (len(x) - 1)
    back = shifted - 1e8  # exact
    expected = np.cov(back, rowvar=False)
    assert error(naive, expected) > 0.1
    assert error(stats.covariance(shifted), expected) < 1e-13
    values = np.linalg.eigvalsh(stats.covariance(shifted))
    np.testing.assert_allclose(values, np.linalg.eigvalsh(expected), rtol=1e-12)


def test_float32_is_accumulated_in_float64(rng):
    kelvin = (290 + 0.1 * rng.standard_normal((200_000, 3))).astype(np.float32)
    expected = np.cov(kelvin.astype(float), rowvar=False)
    assert error(stats.covariance(kelvin), expected) < 1e-7
    assert stats.mean(kelvin).dtype == np.float32
    np.testing.assert_allclose(stats.mean(kelvin), kelvin.astype(float).mean(axis=0), rtol=6e-8)


@pytest.mark.parametrize("d", [1, 5, 16, 17, 50, 260])
def test_agrees_with_the_reference(d, rng):
    x = table(rng, 1100, d)
    w = rng.integers(0, 4, len(x)) * rng.uniform(0.5, 2, len(x))
    for weights in (None, w):
        expected = reference.covariance(x, weights=weights)
        assert error(stats.covariance(x, weights=weights), expected) < 1e-13


# ---- weights ----


@pytest.mark.parametrize("d", [1, 3, 16, 17, 300])
def test_weights_count_rows(d, rng):
    x = table(rng, 900, d)
    w = rng.integers(0, 5, len(x))
    repeated = np.repeat(x, w, axis=0)
    for ddof in (0, 1):
        assert error(stats.covariance(x, weights=w, ddof=ddof), stats.covariance(repeated, ddof=ddof)) < 1e-13
    np.testing.assert_allclose(stats.mean(x, weights=w), stats.mean(repeated), rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(
        stats.variance(x, weights=w), np.diagonal(stats.covariance(x, weights=w))
    )  # the same bits
    same_bits(stats.covariance(x, weights=np.ones(len(x))), stats.covariance(x))


def test_fractional_weights(rng):
    x = table(rng, 300, 4)
    w = rng.uniform(0, 2, len(x))
    mean, cov = exact(x, weights=w)
    np.testing.assert_allclose(stats.mean(x, weights=w), mean, rtol=1e-14)
    assert error(stats.covariance(x, weights=w), cov) < 1e-14


@pytest.mark.parametrize("d", [3, 20, 300])
def test_rows_of_weight_zero_count_for_nothing(d, rng):
    x = table(rng, 700, d)
    w = rng.integers(0, 2, len(x)).astype(float)
    w[:600] = 0  # a block without any weight
    bad = np.where(w[:, None] == 0, np.nan, x)
    same_bits(stats.covariance(bad, weights=w), stats.covariance(x, weights=w))
    assert error(stats.covariance(bad, weights=w), np.cov(x[w > 0], rowvar=False)) < 1e-13
    assert np.isnan(stats.covariance(x, weights=np.zeros(len(x)))).all()
    assert np.isnan(stats.mean(x, weights=np.zeros(len(x)))).all()


@pytest.mark.parametrize("weights", [[1, -1, 1], [1, np.nan, 1], [np.inf, 1, 1]])
@pytest.mark.parametrize("call", [stats.covariance, stats.mean, stats.variance, stats.correlation, Moments().update])
def test_bad_weights(call, weights):
    with pytest.raises(ValueError, match="weights must not be negative, infinite or NaN"):
        call(np.zeros((3, 2)), weights=weights)


@pytest.mark.parametrize("weights", [[1, 1], np.ones((3, 2)), 1.0])
@pytest.mark.parametrize("call", [stats.covariance, stats.mean, stats.variance, Moments().update])
def test_weights_that_do_not_fit(call, weights):
    with pytest.raises(ValueError, match="weights"):
        call(np.zeros((3, 2)), weights=weights)


# ---- empty, tiny, constant ----


@pytest.mark.parametrize("d", [1, 4, 17, 300])
def test_too_few_rows(d):
    one = np.arange(1.0, d + 1)[None]
    assert np.isnan(stats.covariance(one)).all()
    np.testing.assert_array_equal(stats.covariance(one, ddof=0), np.zeros((d, d)))
    np.testing.assert_array_equal(stats.mean(one), one[0])
    for function in (stats.mean, stats.covariance, stats.variance):
        assert np.isnan(function(np.empty((0, d)))).all()
    two = np.vstack([one, one + 1])
    np.testing.assert_array_equal(stats.covariance(two, ddof=2), np.full((d, d), np.inf))
    np.testing.assert_array_equal(stats.covariance(two, ddof=5), np.full((d, d), np.inf))


def test_no_columns():
    for n in (0, 1, 5):
        assert stats.covariance(np.empty((n, 0))).shape == (0, 0)
        assert stats.mean(np.empty((n, 0))).shape == (0,)
    m = Moments().update(np.empty((5, 0)))
    assert (m.count, m.n_features, m.covariance().shape, m.mean.shape) == (5, 0, (0, 0), (0,))


@pytest.mark.parametrize(("d", "rows"), [(2, 3000), (10, 259), (17, 3000), (300, 3000)])
def test_constant_columns_do_not_vary_at_all(d, rows, rng):
    x = table(rng, rows, d)
    x[:, 1] = 0.1
    c = stats.covariance(x)
    np.testing.assert_array_equal(c[1], np.zeros(d))
    assert stats.mean(x)[1] == 0.1
    r = stats.correlation(x)
    assert np.isnan(r[1]).all()
    assert np.isnan(r[:, 1]).all()
    keep = [j for j in range(d) if j != 1]
    np.testing.assert_array_equal(np.diagonal(r)[keep], np.ones(d - 1))
    assert np.abs(r[np.ix_(keep, keep)]).max() <= 1
    expected = np.corrcoef(x[:, keep], rowvar=False).reshape(d - 1, d - 1)
    np.testing.assert_allclose(r[np.ix_(keep, keep)], expected, atol=1e-13)


@pytest.mark.parametrize("d", [1, 3, 10, 17, 30, 258])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_bad_numbers_stay_in_their_feature(d, value, rng):
    x = table(rng, block_rows(d) + 11, d)
    good = stats.covariance(x)
    for row in (0, 5, len(x) - 1):
        for column in sorted({0, d // 2, d - 1}):
            bad = x.copy()
            bad[row, column] = value
            c = stats.covariance(bad)
            others = [j for j in range(d) if j != column]
            assert np.isnan(c[column]).all()
            assert np.isnan(c[:, column]).all()
            same_bits(c[np.ix_(others, others)], good[np.ix_(others, others)])
            mean = stats.mean(bad)
            same_bits(mean[others], stats.mean(x)[others])
            np.testing.assert_array_equal(mean[column], value)
            same_bits(stats.variance(bad), np.diagonal(c))


def test_opposite_infinities():
    x = np.zeros((10_000, 2))
    x[3, 0], x[9999, 0] = np.inf, -np.inf
    x[3, 1] = x[9999, 1] = -np.inf
    np.testing.assert_array_equal(stats.mean(x), [np.nan, -np.inf])


# ---- input ----


@every_dtype
@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_narrow_tables_give_the_same_bits_however_they_lie(value, dtype, rng):
    for d in (1, 2, 3, 4, 5, 7, 8, 9, 10, 13, 16):
        x = table(rng, 261 if d > 8 else 523 if d > 4 else 1031, d, dtype)
        x[77, d // 2] = value
        wide = np.full((len(x), d + 3), 9, dtype)
        wide[:, 1 : d + 1] = x
        state = Moments(d)
        for part in np.array_split(x, 5):
            state.update(part)
        right = [f(x) for f in (stats.covariance, stats.mean, stats.variance)]
        for same in (
            np.asfortranarray(x),
            wide[:, 1 : d + 1],
            np.repeat(x, 2, axis=1)[:, ::2],
            np.repeat(x, 2, axis=0)[::2],
        ):
            for f, known in zip((stats.covariance, stats.mean, stats.variance), right, strict=True):
                same_bits(f(same), known)
        same_bits(np.diagonal(right[0]), right[2])
        if dtype == np.float64:
            same_bits(state.covariance(), right[0])
            same_bits(state.mean, right[1])


@every_layout
@every_dtype
@pytest.mark.parametrize("d", [1, 2, 3, 7, 8, 10, 17, 24, 259])
def test_layouts_give_the_same_bits(layout, dtype, d, rng):
    x = table(rng, block_rows(d) + 21, d, dtype)
    w = rng.uniform(0, 1, len(x))
    y = layout(x)
    same_bits(stats.covariance(y), stats.covariance(x))
    same_bits(stats.mean(y), stats.mean(x))
    same_bits(stats.covariance(y, weights=layout(w)), stats.covariance(x, weights=w))
    same_bits(Moments(dtype=dtype).update(y[:100]).update(y[100:]).covariance(), stats.covariance(x))


def test_columns_of_a_wider_table_and_repeated_rows(rng):
    wide = rng.standard_normal((5000, 40))
    for part in (np.s_[:, :3], np.s_[:, 37:], np.s_[::3, 5:25], np.s_[:, ::4], np.s_[-3:, :2]):
        same_bits(stats.covariance(wide[part]), stats.covariance(wide[part].copy()))
    repeated = np.broadcast_to(wide[:1], (1000, 40))
    np.testing.assert_array_equal(stats.covariance(repeated), np.zeros((40, 40)))
    same_bits(stats.covariance(np.broadcast_to(wide[:, :1], (5000, 3))), stats.covariance(wide[:, [0, 0, 0]]))


def test_nothing_is_read_past_the_end(rng):
    for d in (2, 3, 5, 7, 9, 17):
        for n in (8, 16, 9, 64):
            room = np.full(n * d + 16, np.nan)
            room[:-16] = rng.standard_normal(n * d)
            x = room[:-16].reshape(n, d)
            assert np.isfinite(stats.covariance(x)).all()


@pytest.mark.parametrize("order", ["C", "F"])
def test_memory_map(order, tmp_path, rng):
    x = table(rng, 9000, 5, np.float32)
    file = np.memmap(tmp_path / "table", np.float32, "w+", shape=x.shape, order=order)
    file[:] = x
    file.flush()
    same_bits(
        stats.covariance(np.memmap(tmp_path / "table", np.float32, "r", shape=x.shape, order=order)),
        stats.covariance(x),
    )


@pytest.mark.parametrize("dtype", [np.int8, np.uint64, np.bool_, np.float16])
def test_other_numbers_become_float64(dtype, rng):
    x = rng.integers(0, 2, (100, 4)).astype(dtype)
    for result in (stats.covariance(x), Moments().update(x).covariance()):
        same_bits(result, stats.covariance(x.astype(float)))


@pytest.mark.parametrize("call", [stats.covariance, stats.mean, stats.variance, Moments().update])
@pytest.mark.parametrize("bad", [np.zeros((3, 2), complex), np.array([["a", "b"]]), np.zeros((3, 2), "M8[s]")])
def test_no_real_numbers(call, bad):
    with pytest.raises(TypeError, match="x must hold real numbers"):
        call(bad)


@pytest.mark.parametrize("call", [stats.covariance, stats.mean, stats.variance, stats.correlation])
@pytest.mark.parametrize("bad", [1.0, np.array(2.0)])
def test_too_few_dimensions(call, bad):
    with pytest.raises(ValueError, match="x must have samples in rows"):
        call(bad)


def test_array_likes():
    same_bits(stats.covariance([[1, 2], [3, 5]]), np.array([[2.0, 3.0], [3.0, 4.5]]))
    pandas = pytest.importorskip("pandas")
    same_bits(stats.mean(pandas.DataFrame({"a": [1.0, 3.0], "b": [0.0, 5.0]})), np.array([2.0, 2.5]))


# ---- stacks ----


@every_dtype
@pytest.mark.parametrize(("n", "d"), [(0, 2), (1, 3), (50, 4), (9, 20), (5000, 3), (300, 18), (40, 260)])
def test_stacks(n, d, dtype, rng):
    x = rng.standard_normal((2, 3, n, d)).astype(dtype)
    w = rng.uniform(0, 1, (3, n))
    c, v, m = stats.covariance(x), stats.variance(x), stats.mean(x)
    cw, mw = stats.covariance(x, weights=w), stats.mean(x, weights=w)
    assert c.shape == (2, 3, d, d)
    for i in np.ndindex(2, 3):
        same_bits(c[i], stats.covariance(x[i]))
        same_bits(v[i], stats.variance(x[i]))
        same_bits(m[i], stats.mean(x[i]))
        same_bits(cw[i], stats.covariance(x[i], weights=w[i[1]]))
        same_bits(mw[i], stats.mean(x[i], weights=w[i[1]]))
    assert stats.covariance(x[:0]).shape == (0, 3, d, d)


def test_many_small_tables(rng, threads):
    x = rng.standard_normal((3000, 50, 4))
    threads(1)
    one = stats.covariance(x)
    threads(2)
    same_bits(stats.covariance(x), one)
    z = x - x.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(one, np.einsum("kni,knj->kij", z, z) / 49, atol=1e-14)


def lane_rows(d):
    """Up to so many rows a table of few columns goes in lanes, as in cpp/kernels/covariance.hpp."""
    return 128 if 2 <= d <= 8 else 64


@every_dtype
@pytest.mark.parametrize("d", [1, 2, 3, 4, 5, 8, 9, 13, 16, 17])
def test_tables_in_lanes_are_right_and_have_the_bits_of_one_alone(d, dtype, rng):
    for n in (1, 2, 3, 4, 5, 7, 8, 33, lane_rows(d) - 1, lane_rows(d), lane_rows(d) + 1):
        x = (rng.standard_normal((19, n, d)) * 10.0 ** rng.uniform(-2, 2, d) + rng.uniform(-5, 5, d)).astype(dtype)
        w = np.where(rng.random((19, n)) < 0.3, 0, rng.uniform(0, 2, (19, n)))
        w[:, :2] = 1
        w[3] = 0  # a table without any weight
        for weights in (None, w):
            c, v, m = (f(x, weights=weights) for f in (stats.covariance, stats.variance, stats.mean))
            same_bits(c, np.swapaxes(c, 1, 2))
            same_bits(v, np.diagonal(c, axis1=1, axis2=2))
            for k in (0, 3, 7, 8, 15, 16, 18):
                own = None if weights is None else weights[k]
                same_bits(c[k], stats.covariance(x[k], weights=own))
                same_bits(m[k], stats.mean(x[k], weights=own))
                if k % 5 == 3:
                    same_bits(c[k], Moments(dtype=dtype).update(x[k], weights=own).covariance())
        for k in (0, 8, 18):
            if n > 1:
                assert error(c[k], reference.covariance(x[k], weights=w[k])) < 1e-13 + 3e-7 * (dtype == np.float32)
                assert error(stats.covariance(x[k]), exact(x[k])[1]) < 1e-14 + 3e-7 * (dtype == np.float32)


@every_layout
@every_dtype
@pytest.mark.parametrize("d", [1, 2, 3, 4, 9])
def test_lanes_take_every_layout(layout, dtype, d, rng):
    x = rng.standard_normal((21, 37, d)).astype(dtype)
    w = rng.uniform(0, 1, (21, 37))
    same_bits(stats.covariance(layout(x)), stats.covariance(x))
    same_bits(stats.variance(layout(x), weights=layout(w)), stats.variance(x, weights=w))
    same_bits(stats.mean(np.swapaxes(layout(np.swapaxes(x, 1, 2)), 1, 2)), stats.mean(x))
    same_bits(stats.covariance(x[..., ::-1])[..., ::-1, ::-1], stats.covariance(x))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_bad_numbers_in_lanes_stay_in_their_table_and_feature(value, rng):
    x = rng.standard_normal((16, 30, 4))
    c, m = stats.covariance(x), stats.mean(x)
    for row in (0, 13, 29):
        bad = x.copy()
        bad[5, row, 1] = value
        expected = c.copy()
        expected[5, 1, :] = expected[5, :, 1] = np.nan
        np.testing.assert_array_equal(stats.covariance(bad), expected)
        expected = m.copy()
        expected[5, 1] = value
        np.testing.assert_array_equal(stats.mean(bad), expected)


@pytest.mark.parametrize("d", [1, 4, 11])
def test_lanes_far_from_the_origin_and_constant(d, rng):
    x = rng.standard_normal((24, 50, d)) + 1e8 * rng.uniform(0.5, 2, (24, 1, d))
    for k in (0, 7, 23):
        assert error(stats.covariance(x)[k], exact(x[k])[1]) < 1e-14
    x[:, :, 0] = 0.1
    c = stats.covariance(x)
    assert not c[:, 0].any()
    assert not c[:, :, 0].any()
    np.testing.assert_array_equal(stats.mean(x)[:, 0], 0.1)


# ---- reproducible, concurrent, interruptible ----


def test_same_bits_at_every_level_and_thread_count(same_at_every_level):
    same_at_every_level(
        """
        rng = np.random.default_rng(4)
        for n, d in ((9, 1), (60001, 3), (40000, 10), (5000, 16), (3001, 17), (2999, 70), (1500, 300)):
            for dtype in (np.float64, np.float32):
                x = (rng.standard_normal((n, d)) + 100).astype(dtype)
                w = rng.random(n)
                m = mf.stats.Moments().update(x[: n // 3]).update(x[n // 3 :], w[n // 3 :]).downdate(x[:5])
                digest(mf.stats.covariance(x), mf.stats.covariance(x, weights=w), mf.stats.mean(x),
                       mf.stats.variance(x), m.mean, m.covariance(), m.merge(m).covariance())
        for n, d in ((50, 4), (30, 1), (128, 7), (64, 16), (129, 4)):
            for dtype in (np.float64, np.float32):
                x, w = (rng.standard_normal((203, n, d)) + 1e6).astype(dtype), rng.random((203, n))
                digest(mf.stats.covariance(x), mf.stats.covariance(x, weights=w))
                digest(mf.stats.variance(x), mf.stats.mean(x))
        x[rng.random(x.shape) < 0.1] = np.nan
        digest(mf.stats.covariance(x, nan_policy="omit"), mf.stats.correlation(x, nan_policy="omit"))
        """
    )


def test_baseline_is_right_too(run_python):
    run_python(
        """
        import numpy as np
        import mmlfast as mf
        for n, d in ((5000, 3), (3000, 10), (1500, 16), (1200, 40), (700, 300)):
            x = np.random.default_rng(3).standard_normal((n, d)) + 1e3
            assert abs(mf.stats.covariance(x) - np.cov(x, rowvar=False)).max() < 1e-12
        """,
        MMLFAST_SIMD="baseline",
    )


def test_threads_may_share_moments(rng):
    x = rng.standard_normal((8, 1000, 5))
    m = Moments()

    def work(k):
        for part in np.split(x[k], 10):
            m.update(part)
            m.covariance()
            copy.copy(m).merge(m)

    in_threads(work, range(8))
    assert m.count == 8000
    assert error(m.covariance(), stats.covariance(x.reshape(-1, 5))) < 1e-13


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_an_interrupted_update_keeps_whole_blocks(run_python):
    printed = run_python(
        """
        import numpy as np
        import mmlfast as mf
        from interrupts import interrupt
        for d in (3, 100, 400):
            row = np.random.default_rng(2).standard_normal((1, d))
            x = np.broadcast_to(row, (2**45 // d**2, d))  # hours of work, no memory
            m = mf.stats.Moments()
            interrupt(lambda: m.update(x), when=lambda: m.count > 0)
            assert 0 < m.count < len(x)
            assert abs(m.mean - row).max() == 0 and not m.covariance().any()
            print(d, m.count)
        """
    )
    counts = dict(tuple(map(int, line.split())) for line in printed.splitlines())
    assert list(counts) == [3, 100, 400]
    assert all(count % block_rows(d) == 0 for d, count in counts.items())


def test_result_is_writable_and_misaligned_weights_are_fine(rng):
    x = rng.standard_normal((20, 3))
    c = stats.covariance(x)
    c[0, 0] = 1
    w = misaligned(rng.uniform(0, 1, 20))
    same_bits(Moments().update(x, weights=w).covariance(), stats.covariance(x, weights=w.copy()))


def test_public_names():
    functions = {"affine_moments", "correlation", "covariance", "mean", "std", "variance"}
    assert set(stats.__all__) == functions | {"AffineMoments", "Moments"}
    assert mf.stats is stats
    assert math.isfinite(float(stats.mean(np.ones((1, 1)))[0]))


@pytest.mark.parametrize("power", [-900, -40, 30, 600])
def test_unit_of_weights_beside_small_rows(power, rng):
    """Weights times squares of rows would leave the range, neither of the two does."""
    x, w = np.ldexp(rng.standard_normal((50, 3)), -100), rng.random(50) + 0.1
    same_bits(stats.covariance(x, weights=np.ldexp(w, power), ddof=0), stats.covariance(x, weights=w, ddof=0))
