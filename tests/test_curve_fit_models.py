"""Models that people have: branches, loops, integrals, special functions; the minimum comes out, or it is told.

Numbers that are said to be right were worked out by other means.
"""

import warnings

import numpy as np
import pytest
import scipy.special
from curves import RIGHT, T, Y, called, close, decay, waves
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import OptimizeWarning

from mmlfast.autodiff import trace
from mmlfast.optimize import curve_fit


def kink(x, k, a, b, c):
    return np.where(x < k, a + b * (x - k), a + c * (x - k))


def kink_by_piecewise(x, k, a, b, c):
    return np.piecewise(x, [x < k, x >= k], [lambda x: a + b * (x - k), lambda x: a + c * (x - k)])


def kink_by_products(x, k, a, b, c):
    return a + (x < k) * b * (x - k) + (x >= k) * c * (x - k)


def kink_by_minimum(x, k, a, b, c):
    return a + b * np.minimum(x - k, 0) + c * np.maximum(x - k, 0)


kink_by_if = np.vectorize(lambda x, k, a, b, c: a + b * (x - k) if x < k else a + c * (x - k))


@pytest.mark.parametrize("f", [kink, kink_by_piecewise, kink_by_if, kink_by_products, kink_by_minimum, called(kink)])
def test_a_kink_at_a_parameter(f):
    y = kink(T, 2.2, 1, 0.5, -1) + 0.02 * waves(20)
    close(curve_fit(f, T, y, [2, 1, 1, -1])[0], [2.218903, 1.000085, 0.492116, -1.008596])


RATE = 0.5


def test_a_changed_constant_is_seen():
    table, numbers = {"rate": 0.5}, np.array([0.5])
    closed = 0.5

    def by_closure(x, a):
        return a * np.exp(-closed * x)

    def by_global(x, a):
        return a * np.exp(-RATE * x)

    models = [
        lambda x, a: a * np.exp(-table["rate"] * x),
        lambda x, a: a * np.exp(-numbers[0] * x),
        by_closure,
        by_global,
        np.vectorize(by_closure),
        called(by_closure),
    ]
    for f in models:
        assert_allclose(curve_fit(f, T, 2 * np.exp(-0.5 * T), [1.0])[0], [2])
    table["rate"] = closed = numbers[0] = globals()["RATE"] = 1.5
    for f in models:
        assert_allclose(curve_fit(f, T, 2 * np.exp(-1.5 * T), [1.0])[0], [2])
    globals()["RATE"] = 0.5


def test_a_loop_over_time():
    def tank(t, k, inflow):
        level, out = 1.0, []
        for step in np.diff(t, prepend=t[0]):
            level = level + step * (inflow - k * level)
            out.append(level)
        return np.stack(out)

    y = tank(T, 0.4, 0.1)
    fit = curve_fit(tank, T, y, [1, 1])
    assert_allclose(fit[0], [0.4, 0.1], rtol=1e-9)


def test_branches_on_the_data_and_on_parameters():
    def by_data(x, a, b):
        return a * x + b if x.max() > 3 else a * x**2 + b

    assert_allclose(curve_fit(by_data, T, 3 * T + 1)[0], [3, 1], rtol=1e-9)
    assert_allclose(curve_fit(by_data, T / 2, 3 * T**2 + 1)[0], [12, 1], rtol=1e-9)
    assert_allclose(curve_fit(by_data, T, 2 * T + 1)[0], [2, 1], rtol=1e-9)

    def by_parameter(x, a, b):
        return a * x + b if a > 0 else -a * x**2

    assert_allclose(curve_fit(by_parameter, T, 3 * T + 1)[0], [3, 1], rtol=1e-9)


def test_special_functions():
    def voigt(x, a, s, g):
        return a * scipy.special.wofz((x - 2.5 + 1j * g) / s).real

    assert_allclose(curve_fit(voigt, T, voigt(T, 2, 0.7, 0.3), [1, 1, 0.1])[0], [2, 0.7, 0.3], rtol=1e-6)
    for f in (scipy.special.erf, scipy.special.expit):
        y = 2 * f((T - 2) / 0.7)
        assert_allclose(
            curve_fit(lambda x, a, m, s, f=f: a * f((x - m) / s), T, y, [1, 2.2, 1])[0], [2, 2, 0.7], rtol=1e-8
        )


def test_an_integral():
    from scipy.integrate import quad

    f = np.vectorize(lambda x, a, b: quad(lambda u: a * np.exp(-b * u * u), 0, x)[0])
    x = np.linspace(0.1, 3, 8)
    p, _ = curve_fit(f, x, f(x, 2, 0.7), [1, 1])
    assert_allclose(p, [2, 0.7], rtol=1e-6)


def test_what_derivatives_cannot_find_is_told():
    y = 0.5 * (T + 1) ** 3
    with pytest.warns(OptimizeWarning, match="does not change with n"):
        curve_fit(lambda x, a, n: a * x ** int(n), T + 1, y, [1, 2.5])
    with pytest.warns(OptimizeWarning, match="does not change with n"):
        curve_fit(lambda x, a, n: a * x ** np.round(n), T + 1, y, [1, 2.2])
    with pytest.warns(OptimizeWarning, match="does not change with k"):
        curve_fit(lambda x, a, k: np.where(x < k, a, 2 * a), T, np.where(T < 2.5, 1, 2.0), [1, 2.1])
    with pytest.raises(ValueError, match=r"returns integers.*otypes"):
        curve_fit(np.vectorize(lambda x, a: 0 if x < 1 else a * x), T, Y, [1.0])


def test_a_jump_exactly_at_the_start_is_told():
    with pytest.raises(RuntimeError, match="the model changes with n by jumps"):
        curve_fit(lambda x, a, n: a * x ** int(n), T + 1, 0.5 * (T + 1) ** 3, [1, 2.0])


def test_exponents_that_overflow():
    x = np.linspace(0, 900, 20)
    with pytest.raises((ValueError, RuntimeError), match="p0"):
        curve_fit(lambda x, a, b: a * np.exp(b * x), x, 2 * np.exp(0.001 * x))

    def sigmoid(x, a, b):
        return 1 / (1 + np.exp(-a * (x - b)))

    x = np.linspace(0, 2000, 20)
    y = sigmoid(x, 0.01, 900) + 0.01 * waves(20)
    right = curve_fit(sigmoid, x, y, [0.01, 900])[0]
    for p0 in ([0.1, 700], [0.5, 800]):
        assert_allclose(curve_fit(sigmoid, x, y, p0)[0], right, rtol=1e-8)


def test_arrhenius():
    t = np.array([300.0, 320, 340, 360, 380, 400])

    def arrhenius(t, a, e):
        return a * np.exp(-e / (8.314462618 * t))

    y = arrhenius(t, 2.3e13, 95e3) * (1 + 0.03 * waves(6))
    close(curve_fit(arrhenius, t, y, [1e13, 9e4])[0], [3.155084e13, 96042.54])


def test_shapes_of_models_that_people_have():
    x = np.linspace(0.5, 20, 40)
    for f, truth, start in (
        (lambda x, a, b, c: a * x**b + c, [2, 0.7, 5], [1, 1, 1]),
        (lambda x, v, k, n: v * x**n / (k**n + x**n), [9, 6, 2.5], [5, 5, 1]),
        (lambda x, a, p, b, q: a * np.exp(-p * x) + b * np.exp(-q * x), [3, 0.9, 2, 0.4], [2, 1, 2, 0.1]),
        (lambda x, a, m, s, b, c: a * np.exp(-(((x - m) / s) ** 2)) + b * x + c, [4, 8, 2, 0.3, -1], [3, 9, 3, 0, 0]),
    ):
        assert_allclose(curve_fit(f, x, f(x, *truth), start)[0], truth, rtol=1e-6)


def test_a_sine_never_ends_higher_than_scipys():
    from scipy.optimize import curve_fit as theirs

    def sine(x, a, f, p):
        return a * np.sin(2 * np.pi * f * x + p)

    x = np.linspace(0, 10, 60)
    y = sine(x, 1.3, 0.5, 0.4) + 0.1 * waves(60)
    for start in (0.33, 0.42, 0.55, 0.66):
        p, _ = theirs(sine, x, y, [1, start, 0])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OptimizeWarning)  # of those that explain nothing
            fit = curve_fit(sine, x, y, [1, start, 0])
        assert fit.chi_squared <= np.sum((sine(x, *p) - y) ** 2) * (1 + 1e-9)


def test_a_function_on_a_tape():
    f = trace(decay, T, 1.0, 1.0)
    fit = curve_fit(f, T, Y, [1, 1])
    assert_array_equal(fit[0], curve_fit(decay, T, Y, [1, 1])[0])
    assert fit.derivatives == "exact"
    with pytest.raises(ValueError, match="traced for"):
        curve_fit(f, T[:10], Y[:10], [1, 1])


@pytest.mark.parametrize("unit", [1.0, 1e-9])
def test_models_that_give_float32(unit):
    """As those of JAX and torch do."""

    def traced(x, a, tau):
        return decay(x, a, tau).astype(np.float32)

    close(curve_fit(traced, T, unit * Y, [unit, 1])[0], [unit * RIGHT[0], RIGHT[1]])
    fit = curve_fit(called(traced), T, unit * Y, [unit, 1])
    assert np.all(np.abs(fit.params - [unit * RIGHT[0], RIGHT[1]]) < 1e-4 * fit.standard_errors)
    fit = curve_fit(called(traced), T, unit * Y, [unit, 1], bounds=(0, [5 * unit, 1]))
    assert_array_equal(fit.active, [0, 1])


def test_a_valley_without_an_end_is_no_minimum():
    def sine(x, a, f, p):
        return a * np.sin(f * x + p)

    y = sine(T, 1.3, 2, 0.4) + 0.01 * waves(20)
    found = curve_fit(sine, T, y)[0]  # from other starts: the same curve, perhaps by another phase
    assert_allclose(sine(T, *found), sine(T, 1.30135094, 1.99920349, 0.40485088), atol=1e-5)
    close(np.abs(curve_fit(sine, T, y, [1, 1.8, 0.3])[0]), [1.30135094, 1.99920349, 0.40485088])


def test_points_in_a_dictionary_are_float64():
    d = {"t": T.astype("f4"), "k": np.arange(20, dtype="i4"), "name": "x"}
    p, _ = curve_fit(lambda d, a, tau: decay(d["t"], a, tau) + 0 * d["k"] ** 9, d, Y, [1, 1])
    close(p, RIGHT)
    assert d["k"].dtype == np.int32


def test_a_model_that_gives_the_same_array_each_time():
    buffer = np.empty(20)

    def f(x, a, tau):
        np.multiply(float(a), np.exp(-x / float(tau)), out=buffer)
        return buffer

    fit = curve_fit(f, T, Y, [1, 1])
    close(fit[0], RIGHT)
    low, high = fit.confidence_band(T)
    assert_allclose((low + high) / 2, decay(T, *fit[0]), rtol=1e-12)


def test_one_tape_for_any_number_of_points():
    def f(x, a, tau):
        return a * np.exp(-x / tau)

    for n in (20, 7, 3, 300, 20, 5000):
        x = np.linspace(0, 5, n)
        y = f(x, 2.0, 1.5) + 0.02 * waves(n)
        fit, other = curve_fit(f, x, y), curve_fit(lambda x, *p: f(x, *p), x, y, [1, 1])
        assert fit.derivatives == "exact"
        assert_allclose(fit.params, other.params, rtol=1e-12)
        assert_allclose(fit.covariance, other.covariance, rtol=1e-9)
        assert_allclose(fit.confidence_band(x[:5]), other.confidence_band(x[:5]), rtol=1e-9)


@pytest.mark.parametrize(
    "f",
    [
        lambda x, a, b: a * x + b * (x - x.mean()) ** 2,
        lambda x, a, b: a * x + b * np.arange(len(x)) ** 2,
        lambda x, a, b: a * x + b * (np.arange(len(x)) < 15),
        lambda x, a, b: a * x + b * len(x) * x**2,
        lambda x, a, b: a * x + b * np.cumsum(x),
        lambda x, a, b: a * x + b * x[::-1] ** 2,
        lambda x, a, b: a * x + b * np.linspace(0, 1, x.size) ** 3,
        lambda x, a, b: a * x + b * (T if x.size == 20 else np.concatenate([T, T])) ** 2,
        lambda x, a, b: a * x + b * x[0] + b * x**2,
    ],
)
def test_models_that_do_not_treat_all_points_alike(f):
    """At a start of 0 the part that does not is out of sight."""
    for x in (T + 0.5, np.concatenate([T, T + 0.1]) + 0.3, T + 0.7):
        for start in ([1, 0], [1, 1], None):
            fit = curve_fit(f, x, f(x, 3.0, 2.0), start)
            assert_allclose(fit.params, [3, 2], rtol=1e-9)
            assert fit.derivatives == "exact"


def test_images():
    def spot(x, a, m, n, s):
        return a * np.exp(-0.5 * ((x[0] - m) ** 2 + (x[1] - n) ** 2) / s**2)

    x = np.stack(np.mgrid[0:15, 0:11]).astype(float)
    y = spot(x, 3, 7.2, 4.9, 2) + 0.05 * waves(165).reshape(15, 11)
    fit = curve_fit(spot, x, y, [2, 7, 5, 1])
    assert fit.derivatives == "exact"
    flat = curve_fit(spot, x.reshape(2, -1), y.ravel(), [2, 7, 5, 1])
    assert_allclose(fit.params, flat.params, rtol=1e-12)
    assert_allclose(curve_fit(called(spot), x, y, [2, 7, 5, 1]).params, fit.params, rtol=1e-7)
    assert fit.confidence_band(x).low.shape == (15, 11)
    masked = curve_fit(spot, x, np.ma.masked_array(y, y > 2), [2, 7, 5, 1])
    assert masked.dof == np.sum(y <= 2) - 4


def test_many_points_that_are_not_treated_alike_are_called():
    x = np.linspace(0, 5, 30_000)
    fit = curve_fit(lambda x, a, b: a * np.exp(-x) + b * np.cumsum(x) / 1e4, x, np.exp(-x) + np.cumsum(x) / 1e4)
    assert_allclose(fit.params, [1, 1], rtol=1e-6)
    assert "too many for a tape" in fit.message


def test_where_a_search_ends_too_high_others_are_made():
    def sine(x, a, f, p, c):
        return a * np.sin(f * x + p) + c

    def saturation(x, a, b):
        return a * x / (b + x)

    from scipy.optimize import curve_fit as theirs

    x = np.linspace(0.3, 9, 40)
    for f, truth, starts in (
        (sine, [2, 2, 0.5, 1], [[4.5, 1.56, 0.23, 9.8], [0.48, 3.03, 0.39, 10.9], [0.75, 5.3, 0.87, 4]]),
        (saturation, [3, 2], [[0.32, 4.63], [-3.4, 0.65]]),
    ):
        y = f(x, *truth) + 0.07 * waves(40)
        for start in starts:
            p, _ = theirs(f, x, y, start)
            for _ in range(2):
                fit = curve_fit(f, x, y, start)
                assert fit.chi_squared <= np.sum((f(x, *p) - y) ** 2) * (1 + 1e-6)


def test_a_model_that_changes_with_the_number_of_points():
    def f(x, a, b):
        return a * x + b if len(x) < 100 else a * x**2 + b

    few, many = np.linspace(1, 2, 20), np.linspace(1, 2, 150)
    for _ in range(2):
        assert_allclose(curve_fit(f, few, f(few, 3.0, 2.0)).params, [3, 2], rtol=1e-12)
        assert_allclose(curve_fit(f, many, f(many, 3.0, 2.0)).params, [3, 2], rtol=1e-12)
