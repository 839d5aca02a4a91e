"""curve_fit_many: each fit is what it is alone, and what curve_fit makes of it; shapes, holes, bounds, maps, Dask."""

import pickle
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from interrupts import run_until, signalled
from numpy.testing import assert_allclose, assert_array_equal

import mmlfast as mf
import mmlfast.optimize
from mmlfast._reference.curve_fit_many import curve_fit_one
from mmlfast.optimize import curve_fit, curve_fit_many


def decay(t, a, tau):
    return a * np.exp(-t / tau)


def decay3(x, a, b, c):
    return a * np.exp(-b * x) + c


def slope(x, a, b, c, d):
    return a * np.exp(-b * x) + c + d * x


def bells(x, a, m, s, b, n, c):
    return a * np.exp(-0.5 * ((x - m) / s) ** 2) + b * np.exp(-0.5 * ((x - n) / s) ** 2) + c


def kink(x, k, a, b, c):
    return np.where(x < k, a + b * (x - k), a + c * (x - k))


def plane(x, a, b, c):
    return a * x[0] + np.sin(b * x[1]) + c


def noise(n):
    """Something like noise."""
    return np.cos(1.7 * np.arange(n) ** 2)


T = np.linspace(0, 5, 20)
Y = 2 * np.exp(-T / 1.5) + 0.02 * noise(20)
RNG = np.random.default_rng(7)
X = np.linspace(0, 4, 40)


def slopes(n, x=X, error=0.02):
    """Data sets of the model `slope`."""
    rng = np.random.default_rng(3)
    p = np.stack([rng.uniform(1, 4, n), rng.uniform(0.6, 2, n), rng.uniform(-1, 1, n), rng.uniform(-0.2, 0.2, n)], 1)
    return slope(x, *p.T[..., None]) + error * rng.standard_normal((n, x.size)), p


def numbers(fits):
    return [np.asarray(a) for a in fits.fits]


def assert_same(a, b, index=None):
    """To the bit; `index`: the entries of a."""
    for x, y in zip(numbers(a), numbers(b), strict=True):
        assert_array_equal(x if index is None else x[index], y)


def assert_as_alone(fits, i, f, x, y, p0=None, sigma=None, *, within=1e-8, **options):
    """The fit of one data set, by curve_fit: parameters to this part of their errors."""
    one = curve_fit(f, x, y, p0, sigma, **options)
    assert fits.status[i] > 0
    errors = np.where(np.isfinite(one.standard_errors), one.standard_errors, 0)
    assert np.all(np.abs(fits.params[i] - one.params) <= within * errors + 1e-12 * np.abs(one.params))
    assert_allclose(fits.chi_squared[i], one.chi_squared, rtol=1e-9, atol=1e-20)
    assert_allclose(fits.standard_errors[i], one.standard_errors, rtol=max(1e-7, within), atol=1e-14)
    assert_array_equal(fits.active[i], one.active)
    assert fits.dof[i] == one.dof
    if np.isfinite(one.condition):
        n = len(one.params)
        assert 0.99 * one.condition <= fits.condition[i] <= 1.01 * n * one.condition


# ---- the answer ----


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 9, 17])
def test_each_is_the_fit_of_curve_fit(n):
    y, _ = slopes(n)
    fits = curve_fit_many(slope, X, y, [2, 1, 0, 0], retry=False)
    assert fits.derivatives == "exact"
    for i in range(n):
        assert_as_alone(fits, i, slope, X, y[i], [2, 1, 0, 0])


@pytest.mark.parametrize(
    ("f", "p0"),
    [
        (lambda x, a: a, [1.0]),
        (lambda x, a: a * x, [1.0]),
        (lambda x, a, b: a + b * x, [0.0, 0.0]),
        (decay, [1, 1]),
        (decay3, [1, 1, 0]),
        (lambda x, a, m, s, c: a * np.exp(-0.5 * ((x - m) / s) ** 2) + c, [1, 1.5, 1, 0]),
        (lambda x, a, b, c, d, e: a + b * x + c * x**2 + d * x**3 + e * x**4, [1, 1, 1, 1, 1]),
        (bells, [1, 1, 0.5, 1, 3, 0]),
        (lambda x, a, b, c, d, e, g, h: a + b * x + c * np.sin(x) + d * np.cos(x) + e * np.exp(-g * x) / (1 + h**2),
         [1.0, 0, 0, 0, 1, 1, 0.5]),
        (lambda x, a, w, p: a * np.sin(w * x + p), [1, 2.1, 0.2]),
        (lambda x, a, b: np.where(x > b, a * (x - b), 0.0), [1.0, 1.1]),
    ],
)  # fmt: skip
def test_models(f, p0):
    """Of one to seven parameters: sums in registers and in tiles."""
    rng = np.random.default_rng(5)
    y = f(X, *(np.array(p0) * 1.1 + 0.05)) + 0.02 * rng.standard_normal((5, X.size))
    fits = curve_fit_many(f, X, y, p0, retry=False)
    for i in range(5):
        if fits.condition[i] < 1e6:
            assert_as_alone(fits, i, f, X, y[i], p0)


@pytest.mark.parametrize("n", [8, 16, 20, 32, 33, 64])
def test_parameters_in_arrays(n):
    """Next to numbers of the point, in one operand; of one block of rows, and of several."""

    def exponentials(x, a, b, c):
        e = np.exp(np.stack([-b * x, a * np.ones_like(x), c * np.ones_like(x)]))
        return e[0] + e[1] * x + e[2]

    x = np.linspace(0, 4, n)
    y = exponentials(x, 0.2, 0.9, 0.4) + 0.01 * np.random.default_rng(0).standard_normal((9, n))
    fits = curve_fit_many(exponentials, x, y, [0, 1, 0], retry=False)
    for i in range(9):
        assert_as_alone(fits, i, exponentials, x, y[i], [0, 1, 0])


@pytest.mark.parametrize("n", [12, 31, 33])
def test_many_parameters(n):
    def row_of_bells(x, *p):
        return sum(a * np.exp(-0.5 * (x - m) ** 2) for a, m in zip(p, np.arange(n), strict=True)) * np.exp(0.1 * p[0])

    x = np.linspace(0, n, 4 * n)
    y = row_of_bells(x, *np.linspace(0.5, 2, n)) + 0.01 * np.random.default_rng(0).standard_normal((2, 4 * n))
    fits = curve_fit_many(row_of_bells, x, y, np.ones(n))
    assert ("more than 31 parameters" in fits.message) == (n > 31)
    assert_as_alone(fits, 1, row_of_bells, x, y[1], np.ones(n))


def test_the_reference():
    y, _ = slopes(12)

    def values_and_slopes(p):
        e = np.exp(-p[1] * X)
        return slope(X, *p), np.stack([e, -p[0] * X * e, np.ones_like(X), X], 1)

    fits = curve_fit_many(slope, X, y, [2, 1, 0, 0], absolute_sigma=True)
    for i in range(len(y)):
        one = curve_fit_one(values_and_slopes, y[i], np.array([2.0, 1, 0, 0]))
        assert one.status == 1
        assert one.n_evaluations == fits.n_evaluations[i]
        assert_allclose(fits.params[i], one.params, rtol=1e-9)
        assert_allclose(fits.covariance[i], one.inverse, rtol=1e-6)


def test_exact_data():
    """The answer, and no error, wherever it starts."""
    y, p = slopes(20, error=0.0)
    for p0 in ([2, 1, 0, 0], p):
        fits = curve_fit_many(slope, X, y, p0)
        assert not fits.failed.any()
        assert_allclose(fits.params, p, rtol=1e-11, atol=1e-12)
        assert_allclose(fits.covariance, 0, atol=1e-24)


def test_starts_at_zero():
    """No step is too long there, nor too short."""
    fits = curve_fit_many(lambda x, a, b: a + b * x, X, slopes(3)[0], [0, 0], retry=False)
    assert np.all(fits.n_evaluations <= 3)
    assert not fits.failed.any()


def test_units():
    """Powers of two change no digit."""
    y, _ = slopes(9)
    fits = curve_fit_many(slope, X, y, [2, 1, 0, 0])
    again = curve_fit_many(slope, X * 2.0**-30, y * 2.0**20, np.array([2, 1, 0, 0]) * 2.0 ** np.array([20, 30, 20, 50]))
    units = 2.0 ** np.array([20, 30, 20, 50])
    assert_array_equal(again.params, fits.params * units)
    assert_array_equal(again.covariance, fits.covariance * units * units[:, None])
    assert_array_equal(again.n_evaluations, fits.n_evaluations)
    bounded = curve_fit_many(slope, X, y, [2, 1, 0, 0], bounds=(-0.5, [9, 9, 9, 0.01]))
    again = curve_fit_many(
        slope, X * 2.0**-30, y * 2.0**20, np.array([2, 1, 0, 0]) * units, bounds=(-0.5 * units, [9, 9, 9, 0.01] * units)
    )
    assert_array_equal(again.params, bounded.params * units)


@pytest.mark.parametrize("scale", [1e-9, 1e-150, 1e150, 1e-300])
def test_numbers_of_any_size(scale):
    fits = curve_fit_many(decay, T, scale * np.stack([Y, 2 * Y]), [scale, 1], bounds=(0, np.inf))
    assert_allclose(fits.params / [scale, 1], [[2.00559979, 1.50239543], [4.01119958, 1.50239543]], rtol=1e-8)


def test_nist(data_folder, monkeypatch):
    """Both starts of the nonlinear sets at once."""
    monkeypatch.syspath_prepend(str(data_folder))
    strd = pytest.importorskip("strd")
    digits = {}
    for name, d in strd.load_all("nonlinear").items():
        fits = curve_fit_many(
            lambda x, *b, d=d: d.model(np.stack(b), x), d.x, np.stack([d.y, d.y]), np.stack([d.start1, d.start2])
        )
        assert fits.derivatives == "exact"
        for k in range(2):
            digits[name, k] = np.clip(np.min(strd.lre(fits.params[k], d.params)), 0, 11)
    assert {key: found for key, found in digits.items() if not found >= 8.5} == {}
    assert np.mean(list(digits.values())) >= 10.5


# ---- what does not matter ----


def messy(n=60):
    """Data sets of every kind, in one batch."""
    rng = np.random.default_rng(11)
    x = np.sort(rng.uniform(0, 5, (n, 20)), axis=1)
    y = decay3(x, *rng.uniform(0.5, 3, (3, n, 1))) + 0.02 * rng.standard_normal(x.shape)
    sigma = rng.uniform(0.5, 2, x.shape)
    y[3, 4:9] = np.nan
    y[5] = np.nan
    y[7, 2:] = np.nan  # two points
    x[9, :3], y[9, 3:] = [0.2, 1.5, 3.5], np.nan  # as many points as parameters
    y[9, :3] = decay3(x[9, :3], 2.0, 1.0, 0.5)
    y[11] = decay3(x[11], 2.0, 1.0, 0.5)  # exact
    y[13] = 1.0  # of which b cannot be known
    y[15, 0] = np.inf
    x[17, 3] = np.nan
    sigma[19, 2] = 0.0
    sigma[21, 2] = np.inf
    sigma[22, 5] = np.nan
    p0 = rng.uniform(0.5, 2, (n, 3))
    p0[23] = np.nan
    lower, upper = np.full((n, 3), -np.inf), np.full((n, 3), np.inf)
    lower[25:35] = [0, 0, 1.2]
    p0[25:35, 2] = 1.3
    upper[30:40] = [1.5, 9, 9]
    p0[30:40, 0] = 1.4
    p0[36] = [9, 1, 1]  # outside
    return x, y, p0, sigma, (lower, upper)


def fit_messy(which=slice(None), **options):
    x, y, p0, sigma, (lower, upper) = messy()
    return curve_fit_many(
        decay3, x[which], y[which], p0[which], sigma[which], bounds=(lower[which], upper[which]), nan_policy="omit",
        **options,
    )  # fmt: skip


def test_a_fit_does_not_depend_on_the_others():
    fits = fit_messy()
    for i in range(60):
        assert_same(fits, fit_messy([i]), [i])
    order = np.random.default_rng(0).permutation(60)
    assert_same(fits, fit_messy(order), order)
    some = np.arange(5, 41, 3)
    assert_same(fits, fit_messy(some), some)


def test_every_fit_of_a_mixed_batch_is_that_of_curve_fit():
    x, y, p0, sigma, (lower, upper) = messy()
    fits = fit_messy()
    failed = {5: -4, 7: -4, 15: -5, 19: -5, 23: -6, 36: -6}
    assert {i: int(s) for i, s in enumerate(fits.status) if s <= 0} == failed
    for i in failed:
        assert np.isnan(fits.params[i]).all()
        assert np.isnan(fits.covariance[i]).all()
    for i in set(range(60)) - set(failed) - {9, 13}:
        bounds = lower[i], upper[i]
        assert_as_alone(fits, i, decay3, x[i], y[i], p0[i], sigma[i], bounds=bounds, nan_policy="omit", within=1e-5)
    assert fits.dof[9] == 0
    assert np.isinf(fits.covariance[9]).all()
    assert fits.chi_squared[13] < 1e-28
    assert_allclose(fits.params[13, [0, 2]], [0, 1], atol=1e-14)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_threads(n):
    y, _ = slopes(1500)
    expected = curve_fit_many(slope, X, y, [2, 1, 0, 0])
    before = mf.get_num_threads()
    try:
        mf.set_num_threads(n)
        assert_same(curve_fit_many(slope, X, y, [2, 1, 0, 0]), expected)
    finally:
        mf.set_num_threads(before)


def test_levels(same_at_every_level):
    same_at_every_level("""
        import mmlfast.optimize
        from test_curve_fit_many import bells, fit_messy, kink, numbers, slope, slopes, X
        digest(*numbers(fit_messy()))
        y, _ = slopes(300)
        digest(*numbers(mf.optimize.curve_fit_many(slope, X, y, [2, 1, 0, 0])))
        digest(*numbers(mf.optimize.curve_fit_many(bells, X, y[:40], [1, 1, .5, 1, 3, 0])))
        digest(*numbers(mf.optimize.curve_fit_many(kink, X, y[:40], [2, 1, 1, -1])))
    """)


def test_shared_and_own_are_the_same():
    y, _ = slopes(10)
    fits = curve_fit_many(slope, X, y, [2, 1, 0, 0], 0.5, bounds=(-5, 5))
    own = curve_fit_many(
        slope,
        np.tile(X, (10, 1)),
        y,
        np.tile([2.0, 1, 0, 0], (10, 1)),
        np.full(y.shape, 0.5),
        bounds=(np.full((10, 4), -5), np.full(4, 5)),
    )
    assert_same(own, fits)
    p0 = {"a": 2, "b": np.ones(10), "c": 0, "d": 0}
    limits = {"a": (-5, 5), "b": (-5, 5), "c": (-5, np.full(10, 5)), "d": (-5, 5)}
    assert_same(curve_fit_many(slope, X[None], y, p0, 0.5, bounds=limits), fits)


# ---- shapes and types ----


def test_leading_axes():
    y, _ = slopes(12)
    fits = curve_fit_many(slope, X, y, [2, 1, 0, 0])
    stacked = curve_fit_many(slope, X, y.reshape(3, 4, -1), [2, 1, 0, 0])
    assert stacked.params.shape == (3, 4, 4)
    assert stacked.covariance.shape == (3, 4, 4, 4)
    assert stacked.status.shape == stacked.chi_squared.shape == (3, 4)
    assert_array_equal(stacked.params.reshape(12, 4), fits.params)
    one = curve_fit_many(slope, X, y[0], [2, 1, 0, 0])
    assert one.params.shape == (4,)
    assert one.status.shape == ()
    assert_array_equal(one.params, fits.params[0])
    none = curve_fit_many(slope, X, y[:0], [2, 1, 0, 0])
    assert none.params.shape == (0, 4)


@pytest.mark.parametrize(
    "laid_out",
    [
        np.asfortranarray,
        lambda y: np.repeat(y, 2, axis=-1)[..., ::2],
        lambda y: y[:, ::-1][:, ::-1],
        lambda y: np.moveaxis(np.ascontiguousarray(np.moveaxis(y, -1, 0)), 0, -1),
        lambda y: y.astype(">f8"),
        lambda y: y.tolist(),
    ],
)
def test_layouts(laid_out):
    y = slopes(12)[0].reshape(3, 4, -1)
    assert_same(curve_fit_many(slope, X, laid_out(y), [2, 1, 0, 0]), curve_fit_many(slope, X, y, [2, 1, 0, 0]))


def test_types():
    """float32 and integers are the fit of the same numbers in float64; the caller's arrays stay as they are."""
    counts = np.round(200 * np.stack([Y, Y + 0.1, Y])).clip(0, 255)
    expected = curve_fit_many(decay, T.astype("f4").astype(float), counts, [100, 1])
    for dtype in ("u1", "i2", "i8", "f4", ">f4"):
        y = counts.astype(dtype)
        copy = y.copy()
        assert_same(curve_fit_many(decay, T.astype("f4"), y, [100, 1]), expected)
        assert_array_equal(y, copy)
    assert_same(curve_fit_many(decay, T.astype("f4"), pd.DataFrame(counts), [100, 1]), expected)
    with pytest.raises(TypeError, match="2\\*\\*53"):
        curve_fit_many(decay, T, np.full((2, 20), 2**53 + 1), [1, 1])


def test_several_variables():
    x = np.random.default_rng(2).uniform(-2, 2, (2, 30))
    y = plane(x, *np.array([[1.0, 0.7, 0], [2, 1.1, 3]]).T[..., None]) + 0.01 * noise(30)
    fits = curve_fit_many(plane, (x[0], x[1]), y, [1, 1, 0])
    for i in range(2):
        assert_as_alone(fits, i, plane, x, y[i], [1, 1, 0])
    own = curve_fit_many(plane, (x[0], np.tile(x[1], (2, 1))), y, [1, 1, 0])
    assert_same(own, fits)
    three = np.concatenate([y, y[:1]])
    assert_array_equal(curve_fit_many(plane, x, three, [1, 1, 0]).params[:2], fits.params)


def test_variables_in_columns():
    x = np.random.default_rng(2).uniform(-2, 2, (30, 2))

    def by_columns(x, a, b, c):
        return a * x[:, 0] + np.sin(b * x[:, 1]) + c

    y = by_columns(x, 1.0, 0.7, 0.1) + 0.01 * np.random.default_rng(1).standard_normal((5, 30))
    fits = curve_fit_many(by_columns, x, y, [1, 1, 0])
    assert fits.derivatives == "exact"
    assert_same(fits, curve_fit_many(plane, x.T, y, [1, 1, 0]))
    labels = np.arange(30) % 2
    assert_same(
        curve_fit_many(by_columns, x, y[0], [1, 1, 0], groups=labels),
        curve_fit_many(plane, (x[:, 0], x[:, 1]), y[0], [1, 1, 0], groups=labels),
    )


def test_shapes_are_refused_with_words():
    y, _ = slopes(3)
    for call, words in (
        (lambda: curve_fit_many(slope, X[:-1], y), "(39,)"),
        (lambda: curve_fit_many(slope, X, y[:, :0]), "empty"),
        (lambda: curve_fit_many(slope, X, y, np.ones((4, 4))), "(4, 4)"),
        (lambda: curve_fit_many(slope, X, y, np.ones((3, 3))), "p0"),
        (lambda: curve_fit_many(slope, X, y, sigma=np.ones(3)), "sigma"),
        (lambda: curve_fit_many(slope, X, y, sigma=np.triu(np.ones((40, 40)))), "symmetric"),
        (lambda: curve_fit_many(slope, X, y, loss="hubert"), "loss"),
        (lambda: curve_fit_many(slope, X, y, bounds=(1, 0)), "bound"),
        (lambda: curve_fit_many(slope, X, y, bounds=(np.eye(3, 4, -1), 1)), "fit (1,)"),
        (lambda: curve_fit_many(slope, X, y, nan_policy="propagate"), "nan_policy"),
        (lambda: curve_fit_many(slope, X, y, sigma=np.where(np.arange(40) == 7, 0, 1.0)), "sigma[7]"),
        (lambda: curve_fit_many(lambda x, *p: p[0] * x, X, y), "p0"),
        (lambda: curve_fit_many(lambda x, a: np.ones(3) * a, X, y), "(3,)"),
        (lambda: curve_fit_many(slope, X, y, [9, 1, 0, 0], bounds=(-5, 5)), "p0"),
    ):
        with pytest.raises(ValueError, match=re.escape(words)):
            call()
    with pytest.raises(TypeError, match="columns"):
        curve_fit_many(plane, pd.DataFrame({"u": X, "v": X}), y)


# ---- holes, weights ----


def test_masks_nan_and_infinite_errors_are_the_same():
    y, _ = slopes(6)
    rng = np.random.default_rng(1)
    hidden = rng.uniform(size=y.shape) < 0.2
    sigma = rng.uniform(0.5, 1, y.shape)
    masked = curve_fit_many(slope, X, np.ma.array(np.where(hidden, -999, y), mask=hidden), [2, 1, 0, 0], sigma)
    missing = curve_fit_many(slope, X, np.where(hidden, np.nan, y), [2, 1, 0, 0], sigma, nan_policy="omit")
    ignored = curve_fit_many(slope, X, np.where(hidden, -999, y), [2, 1, 0, 0], np.where(hidden, np.inf, sigma))
    assert_same(masked, missing)
    assert_same(masked, ignored)
    for i in range(6):
        here = ~hidden[i]
        assert_as_alone(masked, i, slope, X[here], y[i, here], [2, 1, 0, 0], sigma[i, here])


def test_the_model_may_be_anything_where_a_point_is_left_out():
    x = np.linspace(0, 3, 15)  # log(0) there
    y = 2 * np.log(x[1:]) + 1 + 0.01 * noise(14)
    y = np.stack([np.r_[np.nan, y], np.r_[np.nan, 2 * y]])
    fits = curve_fit_many(lambda x, a, b: a * np.log(x) + b, x, y, [1, 1], nan_policy="omit")
    assert_array_equal(fits.status, 1)
    assert_as_alone(fits, 0, lambda x, a, b: a * np.log(x) + b, x[1:], y[0, 1:], [1, 1])


def test_pixels_with_holes():
    image = np.stack([decay(T, a, 1.5) for a in (1.0, 2, 3)]) + 0.02 * noise(20)
    image[0, [3, 7]] = image[1] = image[2, 1:] = np.nan
    fits = curve_fit_many(decay, T, image, [1, 1], nan_policy="omit")
    assert_allclose(fits.params[0], [1.00899652, 1.5108162], rtol=1e-8)
    assert np.isnan(fits.params[1:]).all()
    assert fits.status.tolist() == [1, -4, -4]
    assert "2 of 3: fewer points" in fits.message
    untreated = curve_fit_many(decay, T, image, [1, 1])
    assert untreated.status.tolist() == [-5, -5, -5]
    with pytest.raises(ValueError, match=r"ydata\[0, 3\] is nan"):
        curve_fit_many(decay, T, image, [1, 1], nan_policy="raise")


def test_errors_of_points():
    """With absolute_sigma they have a unit, without it only their ratios count."""
    x, y, s = np.array([1.0, 3]), np.array([[1.0, 2], [2, 7]]), np.array([0.1, 0.2])
    fits = curve_fit_many(lambda x, a, b: a * x + b, x, y, sigma=s, absolute_sigma=True)
    assert_allclose(np.diagonal(fits.covariance, axis1=1, axis2=2), [[0.0125, 0.0325]] * 2, rtol=1e-12)
    fits = curve_fit_many(lambda x, a, b: a * x + b, x, y, sigma=s)
    assert np.isinf(fits.covariance).all()
    y, _ = slopes(4)
    small, large = (curve_fit_many(slope, X, y, [2, 1, 0, 0], e) for e in (0.25, 2.0))
    assert_array_equal(small.covariance, large.covariance)


# ---- bounds, fixed parameters ----


def test_bounds_hold():
    """The errors of the others are those with the parameter fixed."""
    y = np.stack([Y - 0.1, Y + 0.3, Y])
    fits = curve_fit_many(decay3, T, y, [1, 1, 0.1], bounds=(0, np.inf))
    assert fits.active.tolist() == [[0, 0, -1], [0, 0, 0], [0, 0, 0 if fits.params[2, 2] > 0 else -1]]
    held = curve_fit_many(decay3, T, y[:1], [1, 1, 0], fixed=["c"])
    assert_allclose(fits.standard_errors[0, :2], held.standard_errors[0, :2], rtol=1e-8)
    assert np.isnan(fits.standard_errors[0, 2])
    assert fits.params[0, 2] == 0
    for i in range(3):
        assert_as_alone(fits, i, decay3, T, y[i], [1, 1, 0.1], bounds=(0, np.inf))
    everything = curve_fit_many(decay3, T, y, [0.2, 0.1, 0.1], bounds=(0, [0.3, 0.2, 0.2]))
    assert np.all(everything.params <= [0.3, 0.2, 0.2])
    start = curve_fit_many(decay3, T, y, [0, 0, 0], bounds=(0, np.inf))
    assert_allclose(start.params[1], [2.0007778, 0.67442634, 0.30881462], rtol=1e-7)


def test_fixed_parameters():
    y, p = slopes(8)
    fits = curve_fit_many(slope, X, y, [2, 1, 0, 0], fixed={"d": 0.1})
    assert_array_equal(fits["d"], 0.1)
    assert_array_equal(fits.covariance[:, 3], 0)
    for i in range(8):
        assert_as_alone(fits, i, slope, X, y[i], [2, 1, 0, 0.1], fixed={"d": 0.1})
    own = p.copy()
    own[:, :3] = [2, 1, 0]
    fits = curve_fit_many(slope, X, y, own, fixed=["d"])
    assert_array_equal(fits["d"], p[:, 3])
    assert_as_alone(fits, 5, slope, X, y[5], own[5], fixed=["d"])
    without = curve_fit_many(slope, X, y, own[:, :3], fixed={"d": 0.1})
    assert_same(without, curve_fit_many(slope, X, y, np.c_[own[:, :3], np.full(8, 0.1)], fixed=["d"]))


# ---- models that are not traced ----


def test_models_that_are_called():
    y, _ = slopes(3)

    def branches(x, a, b):
        return a * x if float(b) > 0 else b * x

    fits = curve_fit_many(branches, X, y, [1, 1], maxfev=50)
    assert fits.derivatives == "finite differences"
    assert "cannot be traced" in fits.message

    def centred(x, a, b):
        return a * (x - x.mean()) + b

    fits = curve_fit_many(centred, X, y)
    assert "by that point alone" in fits.message
    assert fits.derivatives == "exact"
    for i in range(3):
        assert_as_alone(fits, i, centred, X, y[i])


def test_what_the_model_sees_may_change():
    k = {"rate": 0.5}

    def f(x, a):
        return a * np.exp(-k["rate"] * x)

    for rate in (0.5, 1.5, 0.5):
        k["rate"] = rate
        assert_allclose(curve_fit_many(f, T, 2 * np.exp(-rate * T)[None]).params, [[2]], rtol=1e-14)


def test_a_model_that_is_not_finite_at_some_starts():
    x = np.linspace(0.5, 6, 25)
    y = 1.7 * np.log(x - 0.3) + 0.02 * noise(25)
    fits = curve_fit_many(lambda x, a, b: a * np.log(x + b), x, np.stack([y] * 3), [[1, 2], [1, -2], [1, 5.0]])
    assert fits.status.tolist() == [1, -2, 1]
    assert_allclose(fits.params[[0, 2]], [[1.70303, -0.29791]] * 2, atol=1e-5)


def test_undetermined_parameters():
    fits = curve_fit_many(lambda x, a, b, k: a * np.exp(b - k * x), T, np.stack([Y, Y]), [1, 0, 1])
    assert fits.status.tolist() == [2, 2]
    assert np.isinf(fits.standard_errors[:, :2]).all()
    assert_allclose(fits.standard_errors[:, 2], 0.00472336, rtol=1e-5)


def test_nothing_to_find():
    """Dark pixels: with an amplitude of 0, at its bound, the lifetime does not matter."""
    y = 0.03 * np.random.default_rng(0).standard_normal((60, 20))
    bounds = ([0, 0.1, -9], [np.inf, 50, 9])
    fits = curve_fit_many(lambda t, a, tau, c: a * np.exp(-t / tau) + c, T, y, [1, 1, 0], bounds=bounds)
    dark = fits.params[:, 0] == 0
    assert dark.sum() > 10
    assert_array_equal(fits.status[dark], 2)
    assert_array_equal(fits.active[dark, 0], -1)
    assert np.isinf(fits.standard_errors[dark, 1]).all()
    assert_allclose(fits.params[dark, 2], y[dark].mean(axis=1), rtol=1e-9)
    assert_allclose(fits.standard_errors[dark, 2], y[dark].std(axis=1, ddof=1) / np.sqrt(20), rtol=1e-9)
    assert_array_equal(fits.dof[dark], 19)


def test_a_start_where_the_model_is_flat():
    def logistic(x, k, r, m):
        return k / (1 + np.exp(-r * (x - m)))

    x = np.arange(30.0, 62)
    fits = curve_fit_many(logistic, x, logistic(x, 2400, 0.31, 51)[None] + 6 * noise(32))
    assert_allclose(fits.params, [[2400.279, 0.3100618, 50.98938]], rtol=1e-6)
    assert fits.status.tolist() == [1]


def test_a_second_try():
    y = 0.03 * np.random.default_rng(0).standard_normal((40, 20))
    once = curve_fit_many(decay3, T, y, [1, 1, 0], retry=False)
    twice = curve_fit_many(decay3, T, y, [1, 1, 0])
    assert once.failed.sum() >= twice.failed.sum() > 0
    assert set(once.status) <= {-1, 1, 2}
    found = once.status == 1
    better = twice.chi_squared[found] <= once.chi_squared[found] * (1 + 1e-9)
    assert np.all(better | (twice.status[found] < 0))


# ---- groups ----


def test_groups():
    rng = np.random.default_rng(4)
    labels = np.repeat(["d", "b", "a", "c", "e"], [30, 45, 2, 31, 60])
    x = rng.uniform(0, 4, labels.size)
    scale = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0, "e": 5.0}
    y = decay3(x, np.array([scale[k] for k in labels]), 1.3, 0.5) + 0.02 * rng.standard_normal(x.size)
    order = rng.permutation(labels.size)
    x, y, labels = x[order], y[order], labels[order]
    sigma = rng.uniform(0.5, 1, labels.size)
    fits = curve_fit_many(decay3, x, y, [1, 1, 0], sigma, groups=labels)
    assert fits.groups.tolist() == list("abcde")
    assert fits.status.tolist() == [-4, 1, 1, 1, 1]
    for i, label in enumerate("bcde", 1):
        here = labels == label
        assert_as_alone(fits, i, decay3, x[here], y[here], [1, 1, 0], sigma[here])
        alone = curve_fit_many(decay3, x[here], y[here], [1, 1, 0], sigma[here])
        assert_same(fits, alone, i)
    starts = np.array([[s, 1, 0] for s in scale.values()])
    own = curve_fit_many(decay3, x, y, starts, sigma, groups=labels, bounds=(-9, 9))
    assert_allclose(own.params[1:], fits.params[1:], rtol=1e-7)
    with pytest.raises(ValueError, match="groups"):
        curve_fit_many(decay3, x, y, groups=labels[:-1])
    with pytest.raises(ValueError, match="one axis"):
        curve_fit_many(decay3, x, y[None], groups=labels)


# ---- large inputs ----


def test_maps_on_disk(tmp_path):
    y, _ = slopes(50)
    y = y.reshape(5, 10, -1)
    expected = curve_fit_many(slope, X, y.astype("f4"), [2, 1, 0, 0])
    source = np.memmap(tmp_path / "y", "f4", "w+", shape=y.shape)
    source[:] = y
    source.flush()
    source = np.memmap(tmp_path / "y", "f4", "r", shape=y.shape)
    params = np.memmap(tmp_path / "p", "f8", "w+", shape=(5, 10, 4))
    assert curve_fit_many(slope, X, source, [2, 1, 0, 0], out=params).params is params
    assert_array_equal(params, expected.params)
    errors = np.zeros((5, 10), "f4")
    status = np.zeros((10, 5), "i4").T
    some = curve_fit_many(
        slope, X, source, [2, 1, 0, 0], out={"covariance": None, "chi_squared": errors, "status": status}
    )
    assert some.covariance is None
    assert_array_equal(errors, expected.chi_squared.astype("f4"))
    assert_array_equal(status, 1)
    with pytest.raises(ValueError, match="shape"):
        curve_fit_many(slope, X, source, [2, 1, 0, 0], out=params[0])
    with pytest.raises(ValueError, match="int"):
        curve_fit_many(slope, X, source, [2, 1, 0, 0], out=np.zeros((5, 10, 4), int))


def test_dask():
    da = pytest.importorskip("dask.array")
    y, _ = slopes(24)
    y = y.reshape(4, 6, -1)
    x = np.broadcast_to(X, y.shape)
    expected = curve_fit_many(slope, X, y, [2, 1, 0, 0], 0.5)
    for chunks in ((2, 3, 40), (4, 6, 17)):
        lazy = curve_fit_many(slope, X, da.from_array(y, chunks=chunks), [2, 1, 0, 0], 0.5)
        assert lazy.params.shape == (4, 6, 4)
        assert lazy.status.dtype == np.int8
        assert isinstance(lazy.covariance, da.Array)
        for a, b in zip(lazy.fits, expected.fits, strict=True):
            assert_array_equal(a.compute(scheduler="threads"), b)
    own = curve_fit_many(slope, x, da.from_array(y, chunks=(2, 3, 40)), [2, 1, 0, 0], da.full(y.shape, 0.5))
    assert_array_equal(own.params.compute(), expected.params)
    assert_array_equal(lazy.standard_errors.compute(), expected.standard_errors)
    assert_array_equal(lazy.reduced_chi_squared.compute(), expected.reduced_chi_squared)
    with pytest.raises(TypeError, match="compute"):
        curve_fit_many(slope, X, da.from_array(y), da.ones((4, 6, 4)))


def test_progress(capsys):
    y, _ = slopes(10)
    curve_fit_many(slope, X, y, [2, 1, 0, 0], verbose=True)
    assert "fits: 10 of 10 (100 %)" in capsys.readouterr().err


@pytest.mark.parametrize("place", [np.s_[:, :2], np.s_[:, 5:7], np.s_[::-1, :2]], ids=["ends", "middle", "other rows"])
@pytest.mark.filterwarnings("ignore")
def test_out_may_be_part_of_the_data(place):
    rng = np.random.default_rng(0)
    t = np.linspace(0, 4, 12)
    y = rng.uniform(1, 3, (200, 1)) * np.exp(-t / rng.uniform(0.5, 2, (200, 1))) + 0.05 * rng.normal(size=(200, 12))
    y[::7] = rng.normal(size=y[::7].shape)  # fits that are done again
    y[3] = np.nan

    def decay(t, a, tau):
        return a * np.exp(-t / tau)

    expected = curve_fit_many(decay, t, y.copy(), [1, 1], nan_policy="omit")
    found = curve_fit_many(decay, t, y, [1, 1], nan_policy="omit", out=y[place])
    assert_array_equal(y[place], expected.params)
    assert_array_equal(found.status, expected.status)


def test_interrupt():
    """Ctrl-C gives what is done."""
    y = slopes(2000)[0]

    def attempt(size):
        raised = []

        def handler():
            if not raised:
                raised.append(True)
                raise KeyboardInterrupt

        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            try:
                fits = signalled(lambda: curve_fit_many(slope, X, np.tile(y, (size, 1)), [2, 1, 0, 0]), handler)
            except KeyboardInterrupt:  # before or after the fits: again, with more of them
                return False
        if not told:
            return False
        not_done = fits.status == 0
        if not not_done.any():  # at the very end
            return False
        assert "interrupted" in str(told[0].message)
        assert told[0].filename == __file__
        assert np.isnan(fits.params[not_done]).all()
        assert not np.isnan(fits.params[~not_done]).any()
        return True

    run_until(attempt)


def test_result():
    y, _ = slopes(3)
    fits = curve_fit_many(slope, X, y, [2, 1, 0, 0])
    params, covariance = fits
    assert params is fits.params
    assert covariance is fits[1]
    assert fits.names == ("a", "b", "c", "d")
    assert_array_equal(fits["b"], params[:, 1])
    with pytest.raises(KeyError, match="a, b, c, d"):
        fits["e"]
    assert fits.info.shape == (3,)
    assert fits.info[1].status == 1
    assert_allclose(fits.reduced_chi_squared, fits.chi_squared / 36)
    again = pickle.loads(pickle.dumps(fits))
    assert_same(again, fits)
    assert "3 of 3: a minimum" in repr(fits)


# ---- random ----


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 40),
    st.sampled_from([(decay, 2), (decay3, 3), (slope, 4), (kink, 4), (bells, 6)]),
)
def test_random_batches(seed, size, model):
    """Whatever comes out: alone it is the same, and no fit is worse than that of curve_fit."""
    f, n = model
    rng = np.random.default_rng(seed)
    x = np.sort(rng.uniform(0, 4, int(rng.integers(n + 1, 30))))
    truth = rng.uniform(0.3, 3, (n, size, 1))
    y = f(x, *truth) + rng.choice([0, 1e-3, 0.3]) * rng.standard_normal((size, x.size))
    p0 = truth[..., 0].T * rng.uniform(0.8, 1.25, (size, n))
    with np.errstate(all="ignore"):
        fits = curve_fit_many(f, x, y, p0)
        i = int(rng.integers(size))
        assert_same(fits, curve_fit_many(f, x, y[i : i + 1], p0[i]), [i])
        if fits.status[i] == 1:
            residuals = f(x, *fits.params[i]) - y[i]
            assert_allclose(residuals @ residuals, fits.chi_squared[i], rtol=1e-6, atol=1e-24)
