"""Situations in which people's fits went wrong: what comes out is right, or it is told.

Numbers that are said to be right were worked out by other means: Gauss and Newton's method in long double, rational
arithmetic, closed forms.
"""

import functools

import numpy as np
import pandas as pd
import pytest
from curves import RIGHT, T, Y, bell, called, close, decay, decay3, errors_of, line, right_or_asks_for_a_start, waves
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import OptimizeWarning

from mmlfast.optimize import curve_fit

# ---- A: units ----


@pytest.mark.parametrize("unit", [1e-9, 1e-140, 1e140, 1e6])
@pytest.mark.parametrize("bounds", [(-np.inf, np.inf), (0, np.inf)])
def test_units_of_y_and_of_the_amplitude(unit, bounds):
    close(curve_fit(decay, T, unit * Y, [unit, 1], bounds=bounds)[0], [unit * RIGHT[0], RIGHT[1]])


@pytest.mark.parametrize("unit", [1e-280, 1e280])
def test_units_whose_squares_are_no_numbers(unit):
    for options in ({}, {"sigma": np.full(20, unit)}, {"loss": "huber", "f_scale": 0.01 * unit}):
        p, c = curve_fit(decay, T, unit * Y, [unit, 1], **options)
        if "loss" in options:
            options = {"loss": "huber", "f_scale": 0.01}
        q, d = curve_fit(decay, T, Y, [1, 1], **({} if "sigma" in options else options))
        assert_allclose(p, q * [unit, 1], rtol=1e-12)
        assert_allclose(c[1, 1], d[1, 1], rtol=1e-9)


@pytest.mark.parametrize("unit", [1e-9, 1e9, 1e-150])
@pytest.mark.parametrize("bounds", [(-np.inf, np.inf), (0, np.inf)])
def test_units_of_x(unit, bounds):
    close(curve_fit(decay, unit * T, Y, [1, unit], bounds=bounds)[0], [RIGHT[0], unit * RIGHT[1]])


def test_ohms_and_picofarads():
    f = np.logspace(1, 6, 30)

    def z(f, r, c):
        return r / np.sqrt(1 + (2 * np.pi * f * r * c) ** 2)

    y = z(f, 4.7e4, 2.2e-10) * (1 + 0.01 * waves(30))
    for bounds in ((-np.inf, np.inf), (0, np.inf)):
        close(curve_fit(z, f, y, [1e4, 1e-10], bounds=bounds)[0], [47112.65, 2.206852e-10])


@pytest.mark.parametrize("bounds", [None, {"tau": (0, None)}])
@pytest.mark.parametrize(("of_y", "of_x"), [(2.0**-30, 1.0), (1.0, 2.0**40), (2.0**100, 2.0**-70)])
def test_powers_of_two_give_the_same_digits(of_y, of_x, bounds):
    p, c = curve_fit(decay, T, Y, [1, 1], bounds=bounds)
    q, d = curve_fit(decay, of_x * T, of_y * Y, [of_y, of_x], bounds=bounds)
    scale = np.array([of_y, of_x])
    assert_array_equal(q, p * scale)
    assert_allclose(d, c * scale * scale[:, None], rtol=1e-12)


# ---- B: far from the origin ----


@pytest.mark.parametrize("by_calls", [False, True])
@pytest.mark.parametrize("origin", [1.7e9, 2451545.0, 0.0])
def test_a_peak_far_from_the_origin(origin, by_calls):
    x = origin + np.arange(0.0, 240, 3)
    y = bell(x, 5, origin + 117.3, 14, 1) + 0.05 * waves(80)
    f = called(bell) if by_calls else bell
    p, _ = curve_fit(f, x, y, [4, origin + 110, 20, 0])
    assert_allclose(p - [0, origin, 0, 0], [4.98344, 117.32235, 13.93778, 1.01024], rtol=4e-6)


def test_a_line_through_time_stamps():
    s = 1.7e9 + 60.0 * np.arange(100)
    h = 3 - 2e-4 * (s - s[0]) + 0.05 * waves(100)
    fit = curve_fit(line, s, h)
    assert_allclose(fit["a"], -2.0049016e-4, rtol=1e-6)
    assert_allclose(fit.standard_errors[0], 2.0250175e-6, rtol=1e-3)


def test_integers_beyond_float64_are_refused():
    with pytest.raises(TypeError, match="xdata holds the integer 1700000000000000001"):
        curve_fit(line, np.array([1_700_000_000_000_000_001, 1_700_000_000_000_000_003]), [1.0, 2.0])
    with pytest.raises(TypeError, match="ydata"):
        curve_fit(line, [1.0, 2.0], np.array([2**53 + 1, 0]))


# ---- C: starts ----


def test_no_start_where_the_model_is_flat():
    def logistic(x, k, r, m):
        return k / (1 + np.exp(-r * (x - m)))

    x = np.arange(30.0, 62)
    y = logistic(x, 2400, 0.31, 51) + 6 * waves(32)
    right_or_asks_for_a_start(logistic, x, y, [2400.279, 0.3100618, 50.98938])
    close(curve_fit(logistic, x, y, [2000, 0.2, 45])[0], [2400.279, 0.3100618, 50.98938])


def test_saturation():
    x = np.array([0.7, 9, 13, 17, 30, 41, 55, 70, 90, 120, 150, 190])
    v = decay3(x, -0.05, 0.021, 0.997) + 4e-4 * waves(12)
    right_or_asks_for_a_start(decay3, x, v, [-0.0500836, 0.0205213, 0.9973534])
    close(curve_fit(decay3, x, v, [-1, 0.01, 1])[0], [-0.0500836, 0.0205213, 0.9973534])


def test_integers_are_floats_to_the_bit():
    right = curve_fit(decay, T, Y, [1.0, 1.0])[0]
    for p0 in ([1, 1], np.array([1, 1]), (1, 1), np.array([1, 1], np.float32), {"a": 1, "tau": 1}, None, [True, True]):
        assert_array_equal(curve_fit(decay, T, Y, p0)[0], right)


def test_an_amplitude_of_zero():
    close(curve_fit(decay, T, Y, [0, 1])[0], RIGHT)
    right = curve_fit(decay3, T, Y + 0.3, [1, 1, 0])[0]
    close(curve_fit(decay3, T, Y + 0.3, [0, 0, 0], bounds=(0, np.inf))[0], right, 1e-7)


@pytest.mark.parametrize("bounds", [(-np.inf, np.inf), (0, np.inf)])
def test_started_on_the_answer(bounds):
    p, c = curve_fit(decay, T, decay(T, 2.0, 1.5), [2, 1.5], bounds=bounds)
    assert_allclose(p, [2, 1.5], rtol=1e-15)
    assert np.all(np.abs(c) < 1e-28)


def test_started_at_a_bound():
    close(curve_fit(decay, T, Y, [1, 0.5], bounds=([0, 0.5], np.inf))[0], RIGHT)
    close(curve_fit(decay, T, Y, [10, 9], bounds=(0, [10, 9]))[0], RIGHT)


# ---- D: kinds of numbers ----


@pytest.mark.parametrize("dtype", ["f4", "f8", ">f8", ">f4"])
@pytest.mark.parametrize("kind", [np.asarray, pd.Series, list, tuple])
def test_float32_is_fitted_in_float64(dtype, kind):
    x = T.astype(dtype)
    right = curve_fit(decay, x.astype(float), Y, [1.0, 1.0])[0]
    close(right, [2.0056, 1.5024], 1e-5)
    given = x if dtype[0] == ">" and kind is pd.Series else kind(x)
    assert_array_equal(curve_fit(decay, given, Y, [1.0, 1.0])[0], right)


@pytest.mark.parametrize("kind", [pd.Series, np.asarray])
@pytest.mark.parametrize("dtype", ["i4", "i8", "u2", "Int64"])
def test_integers_as_x(kind, dtype):
    x = np.arange(1000.0, 3000, 100)
    y = 3e-9 * x**3 + 1 + 0.1 * waves(20)
    given = pd.Series(x.astype(int), dtype=dtype)
    given = given if kind is pd.Series else np.asarray(given, None if dtype != "Int64" else "i8")
    close(curve_fit(lambda x, a, b: a * x**3 + b, given, y, [1e-9, 1])[0], [2.99929e-9, 1.02380], 1e-5)
    curve_fit(lambda x, a, b: a * x**-2 + b, given, y, [1e6, 1])  # which integers refuse


def test_integers_inside_of_a_frame():
    frame = pd.DataFrame({"u": np.arange(1000, 3000, 100, dtype="i4"), "v": np.arange(20, dtype="u1"), "name": "x"})
    u, v = frame["u"].to_numpy(float), frame["v"].to_numpy(float)
    y = 3e-9 * u**3 - 2 * v + 0.1 * waves(20)

    def model(d, a, b):
        assert d["u"].dtype == np.float64
        return a * d["u"] ** 3 + b * (d.v - 200)

    p, _ = curve_fit(model, frame, y, [1e-9, 1])
    q, _ = curve_fit(lambda x, a, b: a * u**3 + b * (v - 200), None, y, [1e-9, 1])
    assert_allclose(p, q, rtol=1e-9)
    assert frame["u"].dtype == np.int32


def test_bytes_do_not_wrap():
    image = np.clip(120 + 100 * np.sin(T), 0, 255).astype(np.uint8)
    right = curve_fit(lambda x, a, b: a + b * np.sin(x), T, image.astype(float))[0]
    assert_array_equal(curve_fit(lambda x, a, b: a + b * np.sin(x), T, image)[0], right)
    close(right, [119.5, 100], 0.01)


def test_numbers_that_are_none():
    for bad in (T + 1j, np.array(["a"] * 20), np.array([None] * 20)):
        with pytest.raises((TypeError, ValueError), match="xdata"):
            curve_fit(decay, bad, Y)
        with pytest.raises((TypeError, ValueError), match="ydata"):
            curve_fit(decay, T, bad)


# ---- E: holes ----

HOLES = np.arange(20) % 9 == 4
WITHOUT = [2.00632, 1.50542]


@pytest.mark.parametrize("where", ["y", "x", "both", "nan in y", "nan in x", "sigma", "nan in sigma", "masked sigma"])
def test_points_that_are_left_out(where):
    right = curve_fit(decay, T[~HOLES], Y[~HOLES], [1, 1], np.full(18, 2.0))
    x, y, sigma, policy = T, Y, np.full(20, 2.0), None
    if where in ("y", "both"):
        y = np.ma.masked_array(np.where(HOLES, -999.0, Y), HOLES)
    if where in ("x", "both"):
        x = np.ma.masked_array(np.where(HOLES, -999.0, T), HOLES)
    if where == "nan in y":
        y, policy = np.where(HOLES, np.nan, Y), "omit"
    if where == "nan in x":
        x, policy = np.where(HOLES, np.nan, T), "omit"
    if where == "sigma":
        sigma = np.where(HOLES, np.inf, 2.0)
    if where == "nan in sigma":
        sigma, policy = np.where(HOLES, np.nan, 2.0), "omit"
    if where == "masked sigma":
        sigma = np.ma.masked_array(np.where(HOLES, 0.0, 2.0), HOLES)
    fit = curve_fit(decay, x, y, [1, 1], sigma, nan_policy=policy)
    close(fit[0], WITHOUT, 3e-6)
    assert_allclose(fit[0], right[0], rtol=1e-12)
    assert_allclose(fit[1], right[1], rtol=1e-10)
    assert fit.dof == 16
    assert len(fit.residuals) == 18


def test_points_of_an_image_that_are_left_out():
    image = np.ma.masked_array(np.where(HOLES, -999.0, Y), HOLES).reshape(4, 5)
    fit = curve_fit(decay, T.reshape(4, 5), image, [1, 1])
    close(fit[0], WITHOUT, 3e-6)
    assert fit.dof == 16


def test_a_model_of_all_points_keeps_those_that_do_not_count():
    weights = np.linspace(1, 2, 20)  # a closure of as many numbers as there are points

    def model(x, a, b):
        return np.cumsum(a * x) + b * weights

    y = model(T, 1.5, -2.0)
    p, _ = curve_fit(model, T, np.ma.masked_array(np.where(HOLES, 1e9, y), HOLES))
    assert_allclose(p, [1.5, -2], rtol=1e-12)
    p, _ = curve_fit(model, T, np.where(HOLES, np.nan, y), nan_policy="omit")
    assert_allclose(p, [1.5, -2], rtol=1e-12)


def test_a_matrix_with_points_that_are_left_out():
    c = 0.01 * np.exp(-np.abs(np.arange(20) - np.arange(20)[:, None]) / 3.0)
    right = curve_fit(decay, T[~HOLES], Y[~HOLES], [1, 1], c[np.ix_(~HOLES, ~HOLES)])
    masked = curve_fit(decay, T, np.ma.masked_array(Y, HOLES), [1, 1], c)
    infinite = c.copy()
    infinite[HOLES, HOLES] = np.inf
    for fit in (masked, curve_fit(decay, T, Y, [1, 1], infinite)):
        assert_allclose(fit[0], right[0], rtol=1e-11)
        assert_allclose(fit[1], right[1], rtol=1e-9)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["xdata", "ydata"])
def test_what_is_not_finite_is_named(name, value):
    bad = T.copy()
    bad[7] = value
    x, y = (bad, Y) if name == "xdata" else (T, bad)
    with pytest.raises(ValueError, match=rf"{name}\[7\] is {value}"):
        curve_fit(decay, x, y, [1, 1])


def test_sigma_that_is_nan_is_named():
    with pytest.raises(ValueError, match=r"sigma\[4\] is nan"):
        curve_fit(decay, T, Y, [1, 1], np.where(np.arange(20) == 4, np.nan, 1.0))


@pytest.mark.parametrize("by_calls", [False, True])
def test_a_model_that_is_not_finite(by_calls):
    x = np.linspace(0.5, 6, 25)
    y = 1.7 * np.log(x - 0.3) + 0.02 * waves(25)

    def f(x, a, b):
        with np.errstate(invalid="ignore"):
            return a * np.log(x + b)

    f = called(f) if by_calls else f
    with pytest.raises(ValueError, match=r"model is not finite at p0.*nan at point 0"):
        curve_fit(f, x, y, [1, -2])
    close(curve_fit(f, x, y, [1, 2])[0], [1.7030343, -0.2979142])  # NaN on the way is a step too long


def test_nothing_is_left():
    with pytest.raises(ValueError, match="no point is left"):
        curve_fit(decay, T, np.full(20, np.nan), [1, 1], nan_policy="omit")
    with pytest.raises(ValueError, match="no point is left"):
        curve_fit(decay, T, Y, [1, 1], np.full(20, np.inf))


# ---- F: weights ----


@pytest.mark.parametrize(("value", "words"), [(0.0, "infinite weight"), (-1.0, "errors are positive")])
def test_sigma_that_is_none(value, words):
    sigma = np.ones(20)
    sigma[11] = value
    with pytest.raises(ValueError, match=rf"sigma\[11\] is {value}.*{words}"):
        curve_fit(decay, T, Y, [1, 1], sigma)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c + 0.01 * np.eye(20, k=1), "must be symmetric"),
        (lambda c: np.ones((20, 20)), "must be positive definite"),
        (lambda c: c - 2 * np.eye(20), "must be positive definite"),
        (lambda c: np.diag(np.arange(20.0)), r"positive definite. sigma\[0, 0\] is 0"),
        (lambda c: np.where(np.eye(20, k=3) > 0, np.nan, c), "must be finite"),
        (lambda c: c[:19], "incorrect shape"),
        (lambda c: c[0, :7], "incorrect shape"),
    ],
)
def test_a_matrix_that_is_none(change, words):
    c = np.eye(20) + 0.1
    with pytest.raises(ValueError, match=words):
        curve_fit(decay, T, Y, [1, 1], change(c))


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("unit", [1.0, 2.0**-60])
def test_correlated_errors_of_a_straight_line(absolute, unit):
    c = unit**2 * 0.1 * np.exp(-np.abs(np.arange(20) - np.arange(20)[:, None]) / 2.0)
    y = unit * (3 * T - 1 + 0.2 * waves(20))
    a = np.stack([T, np.ones(20)], axis=1)
    right = np.linalg.inv(a.T @ np.linalg.solve(c, a))
    p = right @ (a.T @ np.linalg.solve(c, y))
    r = y - a @ p
    fit = curve_fit(line, T, y, None, c, absolute)
    assert_allclose(fit[0], p, rtol=1e-10)
    assert_allclose(fit[1], right * (1 if absolute else r @ np.linalg.solve(c, r) / 18), rtol=1e-10)


@pytest.mark.parametrize("factor", [3.0, 1e-8, 1e12, 1e-150, 1e150])
def test_a_factor_of_all_errors(factor):
    sigma = 1 + 0.5 * waves(20) ** 2
    one, other = curve_fit(decay, T, Y, [1, 1], sigma), curve_fit(decay, T, Y, [1, 1], factor * sigma)
    assert_allclose(other[0], one[0], rtol=1e-12)
    assert_allclose(other[1], one[1], rtol=1e-9)
    one, other = (curve_fit(decay, T, Y, [1, 1], k * sigma, absolute_sigma=True) for k in (1, factor))
    assert_allclose(other[1], one[1] * factor**2, rtol=1e-9)


# ---- G: covariance ----


@pytest.mark.parametrize("by_calls", [False, True])
def test_two_parameters_for_one_amplitude(by_calls):
    def f(x, a, b, k):
        return a * np.exp(b - k * x)

    with pytest.warns(OptimizeWarning, match="errors of a, b are inf"):
        fit = curve_fit(called(f) if by_calls else f, T, Y, [1, 0, 1])
    alone = curve_fit(lambda x, a, k: a * np.exp(-k * x), T, Y, [1, 1])
    assert_allclose(errors_of(fit), [np.inf, np.inf, 0.0047234], rtol=1e-4)
    assert_allclose(fit[0][2], alone[0][1], rtol=1e-7)
    assert fit.rank == 2
    assert_allclose(fit.confidence_band(T), alone.confidence_band(T), rtol=1e-6)


def test_a_line_through_points_of_one_x():
    with pytest.warns(OptimizeWarning, match="determine only 1 combination"):
        fit = curve_fit(line, [0.3] * 3, [1.0, 2, 3])
    assert fit.rank == 1
    assert np.all(np.isinf(np.diag(fit[1])))
    low, high = fit.confidence_band([0.3, 0.4])
    assert np.isfinite(low[0])
    assert high[1] == np.inf
    assert_allclose(fit.predict([0.3]), 2.0)


def test_an_active_bound():
    fit = curve_fit(decay3, T, Y - 0.1, [1, 1, 0.1], bounds=(0, np.inf))
    held = curve_fit(decay3, T, Y - 0.1, [1, 1, 0.1], fixed={"c": 0})
    assert_allclose(errors_of(fit)[:2], [0.0281, 0.01755], rtol=2e-3)
    assert_array_equal(fit.active, [0, 0, -1])
    assert np.isnan(fit.standard_errors[2])
    assert_allclose(fit[0], held[0], rtol=1e-8)
    assert_allclose(fit[1][:2, :2], held[1][:2, :2], rtol=1e-8)
    assert "at its bound" in fit.summary()


def test_as_many_points_as_parameters():
    with pytest.warns(OptimizeWarning, match="absolute_sigma"):
        p, c = curve_fit(line, [1, 3], [1.0, 2.0])
    assert_allclose(p, [0.5, 0.5], rtol=1e-14)
    assert np.all(np.isinf(c))
    # a straight line with its value and slope at x = 2
    p, c = curve_fit(lambda x, a, b: a + b * (x - 2), [1, 3], [1.0, 2.0], sigma=[0.1, 0.2], absolute_sigma=True)
    assert_allclose(np.diag(c), [0.0125, 0.0125], rtol=1e-12)
    p, c = curve_fit(lambda x, a, b: a * x + b, [1, 3], [1.0, 2.0], sigma=[0.1, 0.2], absolute_sigma=True)
    assert_allclose(np.diag(c), [0.0125, 0.0325], rtol=1e-12)


def test_fewer_points_than_parameters():
    with pytest.raises(TypeError, match="must not exceed the number of data points"):
        curve_fit(decay3, [1, 2], [1.0, 2.0])
    with pytest.warns(OptimizeWarning):
        fit = curve_fit(line, [1.0], [2.0], bounds=(0, 10))
    assert_allclose(fit.predict([1.0]), 2.0)
    assert fit.rank == 1


def test_a_line_without_noise():
    sigma = 0.1 + 0.05 * waves(20) ** 2
    a = np.stack([T, np.ones(20)], axis=1) / sigma[:, None]
    for noise in (0.0, 0.1):
        c = curve_fit(line, T, 3 * T + 1 + noise * waves(20), None, sigma, absolute_sigma=True)[1]
        assert_allclose(c, np.linalg.inv(a.T @ a), rtol=1e-10)


def test_one_answer_of_a_sine():
    def by_frequency(x, a, f, p):
        return a * np.sin(2 * np.pi * f * x + p)

    def by_period(x, a, t, p):
        return a * np.sin(2 * np.pi * x / t + p)

    y = np.sin(2 * np.pi * 0.31 * T) + 0.02 * waves(20)
    one, other = curve_fit(by_frequency, T, y, [1, 0.3, 0]), curve_fit(by_period, T, y, [1, 3.3, 0])
    assert_allclose(other[0][1], 1 / one[0][1], rtol=1e-9)
    assert_allclose(errors_of(other)[1] / other[0][1], errors_of(one)[1] / one[0][1], rtol=1e-6)
    turned = curve_fit(by_frequency, T, y, [-1, 0.3, np.pi])
    assert_allclose(turned.predict(T), one.predict(T), rtol=1e-7, atol=1e-9)
    assert_allclose(errors_of(turned), errors_of(one), rtol=1e-6)


# ---- H: shapes and names ----


@pytest.mark.parametrize("by_calls", [False, True])
def test_shapes_that_mean_something(by_calls):
    f = called(decay) if by_calls else decay
    for x, y in (
        (T, Y[:, None]),
        (T[:, None], Y),
        (T[:, None], Y[:, None]),
        (T[None], Y),
        (T.reshape(4, 5), Y.reshape(4, 5)),
        (np.asfortranarray(T.reshape(4, 5)), Y.reshape(4, 5)),
    ):
        close(curve_fit(f, x, y, [1, 1])[0], RIGHT)


def test_shapes_that_do_not():
    with pytest.raises(ValueError, match=r"\(19,\).*\(20,\)"):
        curve_fit(lambda x, a: a * np.ones(19), T, Y, [1])
    with pytest.raises(ValueError, match=r"\(20, 20\).*\(20,\)"):
        curve_fit(lambda x, a: a * x * x[:, None], T, Y, [1])
    with pytest.raises(ValueError, match=r"\(20,\).*\(19,\)"):
        curve_fit(decay, T, Y[:19], [1, 1])
    with pytest.raises(TypeError, match="returns None"):
        curve_fit(lambda x, a: None, T, Y)
    with pytest.raises(TypeError, match="complex"):
        curve_fit(lambda x, a: a * x * 1j, T, Y)


def test_several_columns_as_x():
    u, v = T, np.sin(T)
    y = 3 * u + 2 * v
    frame = pd.DataFrame({"u": u, "v": v})
    for model, x in (
        (lambda x, a, b: a * x[0] + b * x[1], (u, v)),
        (lambda x, a, b: a * x[0] + b * x[1], [list(u), list(v)]),
        (lambda x, a, b: a * x[0] + b * x[1], np.stack([u, v])),
        (lambda x, a, b: a * x[:, 0] + b * x[:, 1], np.stack([u, v], axis=1)),
        (lambda x, a, b: x @ np.array([a, b]), np.stack([u, v], axis=1)),
        (lambda d, a, b: a * d["u"] + b * d["v"], frame),
        (lambda d, a, b: d.u * a + d.v * b, frame),
        (lambda d, a, b: d[["u", "v"]].to_numpy() @ np.array([a, b]), frame),
        (lambda d, a, b: a * d["u"] + b * d["v"], {"u": u, "v": v}),
        (lambda d, a, b: a * u + b * v, None),
    ):
        assert_allclose(curve_fit(model, x, y)[0], [3, 2], rtol=1e-9)


def test_holes_in_several_columns():
    x = np.stack([T, np.sin(T)])
    y = 3 * x[0] + 2 * x[1]
    x[0, 3], x[1, 5], y = np.nan, np.nan, np.where(np.arange(20) == 7, np.nan, y)
    fit = curve_fit(lambda x, a, b: a * x[0] + b * x[1], x, y, nan_policy="omit")
    assert_allclose(fit[0], [3, 2], rtol=1e-12)
    assert fit.dof == 15
    fit = curve_fit(lambda x, a, b: a * x[:, 0] + b * x[:, 1], x.T, y, nan_policy="omit")
    assert fit.dof == 15
    frame = pd.DataFrame({"u": x[0], "v": x[1], "label": "a"})
    fit = curve_fit(lambda d, a, b: a * d["u"] + b * d["v"], frame, y, nan_policy="omit")
    assert fit.dof == 15


def test_models_that_return_a_number_or_a_list():
    fit = curve_fit(lambda x, a: a, T, Y)
    assert_allclose(fit[0], Y.mean())
    assert_allclose(fit.standard_errors, Y.std(ddof=1) / np.sqrt(20))
    assert_allclose(curve_fit(lambda x, a, b: [a * v + b for v in x], T, 3 * T + 1)[0], [3, 1])
    assert_allclose(curve_fit(lambda x, a: [a], T, Y)[0], Y.mean())


def test_signatures():
    def with_keyword(x, a, *, b=2):
        return a * x**b

    def with_default(x, a, b=2):
        return a * x**b

    y = 3 * T**2
    assert_allclose(curve_fit(with_keyword, T, y)[0], [3])
    assert_allclose(curve_fit(with_default, T, y, [1])[0], [3])
    assert_allclose(curve_fit(with_default, T, y, [1, 1.5])[0], [3, 2])
    assert_allclose(curve_fit(with_default, T, y, 1.0)[0], [3])
    assert curve_fit(with_default, T, y).names == ("a", "b")
    assert curve_fit(with_default, T, y, {"a": 1}).names == ("a",)
    for f in (lambda x, *p: p[0] * x, np.vectorize(line), lambda x: x):
        with pytest.raises(ValueError, match=r"Unable to determine number of fit parameters.*p0"):
            curve_fit(f, T, Y)
    assert_allclose(curve_fit(lambda x, *p: p[0] * x + p[1], T, 3 * T + 1, [1, 1])[0], [3, 1], atol=1e-12)
    with pytest.raises(ValueError, match=r"p0 has 3 numbers.*takes 2 parameters: a, tau"):
        curve_fit(decay, T, Y, [1, 1, 1])


def test_callables_of_all_kinds_are_read_when_they_are_called():
    class Model:
        def __init__(self):
            self.power = 2.0

        def method(self, x, a):
            return a * x**self.power

        def __call__(self, x, a):
            return a * x**self.power

    model = Model()
    for f in (model, model.method):
        model.power = 2.0
        assert_allclose(curve_fit(f, T, 3 * T**2)[0], [3])
        model.power = 3.0
        assert_allclose(curve_fit(f, T, 3 * T**3)[0], [3])
    powers = {"b": 2.0}
    part = functools.partial(lambda x, a, b: a * x ** b["b"], b=powers)
    assert_allclose(curve_fit(part, T, 3 * T**2, [1])[0], [3])
    powers["b"] = 3.0
    assert_allclose(curve_fit(part, T, 3 * T**3, [1])[0], [3])


@pytest.mark.parametrize("scheme", [None, "2-point", "3-point"])
def test_never_called_beyond_a_bound(scheme):
    def f(x, a, b):
        if not (0 <= a <= 3 and 0.5 <= b <= 4):
            raise AssertionError(f"called at {a}, {b}")
        return np.array([a * np.exp(-v / b) for v in x.tolist()])

    close(curve_fit(f, T, Y, [0, 0.5], bounds=([0, 0.5], [3, 4]), jac=scheme)[0], RIGHT, 1e-5)
    fit = curve_fit(f, T, 2 * Y, [3, 4], bounds=([0, 0.5], [3, 4]))
    assert_array_equal(fit.active, [1, 0])


def test_starts_and_bounds_that_do_not_fit():
    with pytest.raises(ValueError, match=r"p0 of a is -1.0, its bounds are 0.0 and inf"):
        curve_fit(decay, T, Y, [-1, 1], bounds=(0, np.inf))
    with pytest.raises(ValueError, match=r"those of tau are 2.0 and 2.0: fixed=\{'tau': 2.0\}"):
        curve_fit(decay, T, Y, [1, 1], bounds=([0, 2], [1, 2]))
    with pytest.raises(ValueError, match="lower bounds have shape"):
        curve_fit(decay, T, Y, [1, 1], bounds=([0, 1, 2], np.inf))
    with pytest.raises(ValueError, match="bounds names 'b'"):
        curve_fit(decay, T, Y, bounds={"b": (0, 1)})
    with pytest.raises(ValueError, match="p0 must be finite: that of tau"):
        curve_fit(decay, T, Y, [1, np.nan])
