"""curve_fit: fixed parameters, names, losses, weights, bands, given derivatives, layouts, units, what a result says."""

import pickle
import types

import numpy as np
import pandas as pd
import pytest
import scipy.optimize
from curves import called
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats as distributions

import mmlfast.optimize
from mmlfast.autodiff import trace
from mmlfast.optimize import curve_fit


def model(x, a, b, c):
    return a * np.exp(-b * x) + c


def plane(x, a, b):
    return a * x[0] + b * x[1]


X = np.linspace(0, 4, 50)
Y = model(X, 2.5, 1.3, 0.5) + 0.05 * np.random.default_rng(0).normal(size=50)
SIGMA = np.random.default_rng(1).uniform(0.02, 0.1, 50)


def slopes(x, a, b, c):
    e = np.exp(-b * x)
    return np.stack([e, -a * x * e, np.ones_like(x)], axis=1)


def by_newton(x, y, p, weights=None, steps=60):
    """Gauss and Newton's method in long double."""
    p = np.array(p, np.longdouble)
    w = np.ones(len(x), np.longdouble) if weights is None else np.asarray(weights, np.longdouble)
    for _ in range(steps):
        e = np.exp(-p[1] * x.astype(np.longdouble))
        j = np.stack([e, -p[0] * x * e, np.ones(len(x), np.longdouble)], axis=1) * w[:, None]
        r = (p[0] * e + p[2] - y) * w
        step = np.linalg.lstsq(j.astype(float), -r.astype(float), rcond=None)[0]
        p = p + step
    return p.astype(float), (j.T @ j).astype(float), float(r @ r)


# ---- the minimum ----


@pytest.mark.parametrize("sigma", [None, 0.3, SIGMA])
@pytest.mark.parametrize("absolute", [False, True])
def test_parameters_and_covariance(sigma, absolute):
    weights = None if sigma is None else 1 / np.broadcast_to(sigma, 50)
    p, normal, chi = by_newton(X, Y, [2.5, 1.3, 0.5], weights)
    fit = curve_fit(model, X, Y, sigma=sigma, absolute_sigma=absolute)
    assert_allclose(fit.params, p, rtol=1e-13)
    assert_allclose(fit.chi_squared, chi, rtol=1e-13)
    assert_allclose(fit.covariance, np.linalg.inv(normal) * (1 if absolute else chi / 47), rtol=1e-11)
    assert_allclose(fit.covariance, fit.covariance.T, rtol=0, atol=0)
    assert_allclose(fit.reduced_chi_squared, chi / 47, rtol=1e-13)


@pytest.mark.parametrize("start", [[1, 1, 1], [10, 0.1, -3], [0.1, 5, 0]])
def test_never_higher_than_scipy(start):
    theirs, _ = scipy.optimize.curve_fit(model, X, Y, start)
    fit = curve_fit(model, X, Y, start)
    assert fit.chi_squared <= np.sum((model(X, *theirs) - Y) ** 2) * (1 + 1e-12)
    assert_allclose(fit.params, theirs, rtol=1e-5)


def test_all_ways_to_give_a_model_agree():
    right = curve_fit(model, X, Y)
    assert right.derivatives == "exact"
    on_tape = curve_fit(trace(model, X, 1.0, 1.0, 1.0), X, Y, [1, 1, 1])
    assert_array_equal(on_tape.params, right.params)
    assert_array_equal(on_tape.covariance, right.covariance)
    by_calls = curve_fit(called(model), X, Y)
    assert by_calls.derivatives == "finite differences"
    assert "cannot be traced" in by_calls.message
    assert_allclose(by_calls.params, right.params, rtol=1e-8)
    assert_allclose(by_calls.covariance, right.covariance, rtol=1e-5)
    given_slopes = curve_fit(model, X, Y, jac=slopes)
    assert given_slopes.derivatives == "given"
    assert_allclose(given_slopes.params, right.params, rtol=1e-12)
    assert_allclose(given_slopes.covariance, right.covariance, rtol=1e-10)
    again = curve_fit(model, X, Y)
    assert_array_equal(again.params, right.params)
    assert_array_equal(again.covariance, right.covariance)


def test_names_are_scipys():
    assert mmlfast.optimize.curve_fit is curve_fit
    popt, pcov = curve_fit(f=model, xdata=X, ydata=Y, p0=[1, 1, 1], check_finite=True, method="lm", nan_policy=None)
    theirs, their_pcov = scipy.optimize.curve_fit(model, X, Y)
    assert_allclose(popt, theirs, rtol=1e-6)
    assert_allclose(pcov, their_pcov, rtol=1e-4)


# ---- bounds, fixed parameters, names ----


def test_fixed_parameters():
    alone = curve_fit(lambda x, a, b: model(x, a, b, 0.5), X, Y)
    for fixed, p0 in (
        ({"c": 0.5}, None),
        ({"c": 0.5}, [1, 1]),
        ({"c": 0.5}, [1, 1, 7]),
        ({"c": 0.5}, {"a": 1}),
        ("c", [1, 1, 0.5]),
        (["c"], {"c": 0.5}),
        ([False, False, True], [1, 1, 0.5]),
        (np.array([False, False, True]), [1, 1, 0.5]),
    ):
        fit = curve_fit(model, X, Y, p0, fixed=fixed)
        assert_allclose(fit.params, [*alone.params, 0.5], rtol=1e-13)
        assert_allclose(fit.covariance[:2, :2], alone.covariance, rtol=1e-11)
        assert_array_equal(fit.covariance[2], 0)
        assert_array_equal(fit.fixed, [False, False, True])
        assert fit.dof == 48
        assert_allclose(fit.confidence_band(X), alone.confidence_band(X), rtol=1e-12)
    assert "fixed" in fit.summary()


def test_a_fixed_value_that_changes_needs_no_new_trace_and_is_seen():
    for c in (0.3, 0.5, 0.6):
        fit = curve_fit(model, X, Y, fixed={"c": c})
        assert fit["c"] == c
        assert_allclose(fit.params[:2], curve_fit(lambda x, a, b, c=c: model(x, a, b, c), X, Y, [1, 1])[0], rtol=1e-12)


def test_a_fixed_parameter_may_be_one_that_cannot_be_traced():
    fit = curve_fit(lambda x, a, n: a * x ** int(n), X + 1, 3 * (X + 1) ** 2, fixed={"n": 2})
    assert_allclose(fit.params, [3, 2], rtol=1e-14)
    assert fit.derivatives == "exact"
    fit = curve_fit(lambda x, a, n: a * x ** int(n), X + 1, 3 * (X + 1) ** 3, fixed={"n": 3})
    assert_allclose(fit.params, [3, 3], rtol=1e-14)


@pytest.mark.parametrize(
    ("fixed", "words"),
    [
        ({"d": 1}, "fixed names 'd', which is no parameter of f; its parameters: a, b, c"),
        ({"a": np.nan}, r"fixed\['a'\] is nan"),
        ({"a": "x"}, r"fixed\['a'\] must be a number"),
        ([True, False], "for each of the 3 parameters"),
        ({"a": 1, "b": 1, "c": 1}, "all parameters are fixed"),
    ],
)
def test_fixed_parameters_that_are_none(fixed, words):
    with pytest.raises((ValueError, TypeError), match=words):
        curve_fit(model, X, Y, fixed=fixed)


def test_bounds_by_name_and_by_class():
    right = curve_fit(model, X, Y, bounds=([0, 0, 0.6], [np.inf, 5, 1]))
    assert_array_equal(right.active, [0, 0, -1])
    for bounds in (
        {"a": (0, None), "b": (0, 5), "c": (0.6, 1)},
        scipy.optimize.Bounds([0, 0, 0.6], [np.inf, 5, 1]),
        (np.array([0, 0, 0.6]), [np.inf, 5, 1]),
    ):
        fit = curve_fit(model, X, Y, bounds=bounds, method="lm")
        assert_allclose(fit.params, right.params, rtol=1e-10)
    theirs, _ = scipy.optimize.curve_fit(model, X, Y, bounds=([0, 0, 0.6], [np.inf, 5, 1]), xtol=1e-14)
    assert_allclose(right.params, theirs, rtol=1e-5)


def test_starts_by_name():
    right = curve_fit(model, X, Y, [2, 1, 0])
    fit = curve_fit(model, X, Y, {"c": 0, "a": 2, "b": 1})
    assert_array_equal(fit.params, right.params)
    assert_array_equal(curve_fit(model, X, Y, pd.Series({"c": 0, "a": 2, "b": 1})).params, right.params)
    assert_array_equal(curve_fit(model, X, Y, pd.Series([2.0, 1, 0])).params, right.params)
    assert fit.names == ("a", "b", "c")
    assert fit.by_name == dict(zip("abc", right.params.tolist(), strict=True))
    assert fit["b"] == right.params[1]
    with pytest.raises(KeyError, match="'d' is no parameter"):
        fit["d"]
    with pytest.raises(ValueError, match="p0 names 'd'"):
        curve_fit(model, X, Y, {"d": 1})


# ---- losses ----


@pytest.mark.parametrize("loss", ["huber", "soft_l1", "cauchy"])
@pytest.mark.parametrize("sigma", [None, SIGMA])
def test_robust_losses(loss, sigma):
    y = Y.copy()
    y[[5, 17, 40]] += [3, -2, 4]
    scale = 0.1 if sigma is None else 2.0
    # SciPy's search within bounds, which takes losses, to its last digits
    theirs, their_pcov = scipy.optimize.curve_fit(
        model,
        X,
        y,
        [2, 1, 0],
        sigma,
        method="trf",
        loss=loss,
        f_scale=scale,
        xtol=1e-15,
        ftol=1e-15,
        gtol=1e-15,
        jac=slopes,
    )
    fit = curve_fit(model, X, y, [2, 1, 0], sigma, loss=loss, f_scale=scale)
    assert_allclose(fit.params, theirs, rtol=1e-6)
    assert_allclose(fit.covariance, their_pcov, rtol=1e-4)
    assert np.all(
        np.abs(fit.params - [2.5, 1.3, 0.5]) < np.abs(curve_fit(model, X, y, sigma=sigma).params - [2.5, 1.3, 0.5])
    )


def test_losses_that_are_none():
    with pytest.raises(ValueError, match="loss must be one of"):
        curve_fit(model, X, Y, loss="tukey")
    with pytest.raises(ValueError, match="f_scale must be positive"):
        curve_fit(model, X, Y, loss="huber", f_scale=0)


# ---- derivatives that are given ----


def test_a_wrong_jacobian_is_found():
    with pytest.raises(ValueError, match="jac is not the derivative of model at p0: by b, at point 1"):
        curve_fit(model, X, Y, jac=lambda x, a, b, c: slopes(x, a, b, c) * [1, -1, 1])
    with pytest.raises(ValueError, match=r"shape \(3, 50\), it must have shape \(50, 3\): it is transposed"):
        curve_fit(model, X, Y, jac=lambda x, a, b, c: slopes(x, a, b, c).T)
    with pytest.raises(ValueError, match="jac is not the derivative"):
        curve_fit(called(model), X, Y, jac=lambda x, a, b, c: slopes(x, a, b, c) + 1)
    with pytest.raises(ValueError, match="jac must be a function"):
        curve_fit(model, X, Y, jac="4-point")


def test_a_jacobian_with_everything_else():
    y = np.ma.masked_array(Y, np.arange(50) % 7 == 3)
    for options in ({}, {"fixed": {"c": 0.5}}, {"bounds": (0, [9, 9, 0.4])}, {"loss": "huber", "f_scale": 0.05}):
        right = curve_fit(model, X, y, sigma=SIGMA, **options)
        fit = curve_fit(model, X, y, sigma=SIGMA, jac=slopes, **options)
        assert_allclose(fit.params, right.params, rtol=1e-9)
        assert_allclose(fit.covariance, right.covariance, rtol=1e-6)


# ---- units, order, weights, layouts ----


@settings(max_examples=25, deadline=None)
@given(st.tuples(*[st.integers(-60, 60)] * 3))
def test_units_by_powers_of_two_give_the_same_digits(exponents):
    of_x, of_y, of_b = (2.0**k for k in exponents)
    right = curve_fit(model, X, Y, [1, 1, 1], SIGMA)
    fit = curve_fit(
        lambda x, a, b, c: model(x / of_x, a, b / of_b, c), of_x * X, of_y * Y, [of_y, of_b, of_y], of_y * SIGMA
    )
    scale = np.array([of_y, of_b, of_y])
    assert_array_equal(fit.params, right.params * scale)
    assert_array_equal(fit.covariance, right.covariance * scale * scale[:, None])
    assert fit.n_evaluations == right.n_evaluations


@settings(max_examples=10, deadline=None)
@given(st.permutations(list(range(50))))
def test_the_order_of_points_does_not_matter(order):
    right, fit = curve_fit(model, X, Y, sigma=SIGMA), curve_fit(model, X[order], Y[order], sigma=SIGMA[order])
    assert_allclose(fit.params, right.params, rtol=1e-12)
    assert_allclose(fit.covariance, right.covariance, rtol=1e-9)


def test_a_point_twice_is_a_point_of_twice_the_weight():
    twice = curve_fit(
        model, np.concatenate([X, X[:9]]), np.concatenate([Y, Y[:9]]), sigma=np.ones(59), absolute_sigma=True
    )
    heavy = curve_fit(model, X, Y, sigma=np.where(np.arange(50) < 9, 0.5**0.5, 1.0), absolute_sigma=True)
    assert_allclose(twice.params, heavy.params, rtol=1e-12)
    assert_allclose(twice.covariance, heavy.covariance, rtol=1e-10)


@pytest.mark.parametrize(
    "kind",
    [
        list,
        tuple,
        pd.Series,
        lambda a: np.repeat(a, 2)[::2],
        lambda a: a[::-1].copy()[::-1],
        lambda a: np.frombuffer(b"x" + a.tobytes(), np.uint8)[1:].view(a.dtype) if a.ndim == 1 else a,
        lambda a: a.astype(a.dtype.newbyteorder()),
        lambda a: np.ma.masked_array(a, False),
    ],
)
def test_layouts_give_the_same_bits(kind):
    right = curve_fit(model, X, Y, sigma=SIGMA)
    x, y, sigma = X.copy(), Y.copy(), SIGMA.copy()
    for array in (x, y, sigma):
        array.flags.writeable = False
    fit = curve_fit(model, kind(x), kind(y), sigma=kind(sigma))
    assert_array_equal(fit.params, right.params)
    assert_array_equal(fit.covariance, right.covariance)


def test_frames_and_labels():
    frame = pd.DataFrame({"x": X, "y": Y}, index=np.arange(100, 150))
    assert_array_equal(curve_fit(model, frame["x"], frame["y"]).params, curve_fit(model, X, Y).params)
    with pytest.raises(ValueError, match="labels of xdata are not those of ydata"):
        curve_fit(model, frame["x"], frame["y"].iloc[::-1])
    assert_array_equal(curve_fit(model, frame["x"].astype("Float64"), frame["y"]).params, curve_fit(model, X, Y).params)


def test_a_series_stays_one_for_a_model_that_needs_it():
    series = pd.Series(X.astype("f4"), index=np.arange(50)[::-1])

    def by_index(x, a, b):
        assert x.to_numpy().dtype == np.float64
        return a * x.to_numpy() + b * x.index.to_numpy()

    y = 3 * series.to_numpy(float) + 2 * np.arange(50)[::-1]
    assert_allclose(curve_fit(by_index, series, y).params, [3, 2], rtol=1e-9)
    # NumPy's deviation divides by n, that of a Series by n - 1: the model is what it is for a Series
    assert_allclose(curve_fit(lambda x, a: a * x.std() * x, series, X * series.std()).params, [1], rtol=1e-6)


def test_nothing_of_the_callers_is_touched():
    def in_place(x, a, b):
        x *= a
        x += b
        return x

    x, y, p0 = X.copy(), 3 * X + 1, np.array([1.0, 1.0])
    fit = curve_fit(in_place, x, y, p0)
    assert_allclose(fit.params, [3, 1], rtol=1e-12)
    assert_array_equal(x, X)
    assert_array_equal(p0, [1, 1])
    fit.params[0] = 7
    assert_array_equal(p0, [1, 1])


# ---- bands ----


@pytest.mark.parametrize("absolute", [False, True])
def test_bands_of_a_straight_line(absolute):
    x, y = X, 3 * X + 1 + 0.3 * np.cos(1.7 * np.arange(50) ** 2)
    fit = curve_fit(lambda x, a, b: a * x + b, x, y, sigma=0.3, absolute_sigma=absolute)
    new = np.array([-1.0, 2.0, 9.0])
    a = np.stack([x, np.ones(50)], axis=1)
    p, (rss,) = np.linalg.lstsq(a, y, rcond=None)[:2]
    s = 0.3 if absolute else np.sqrt(rss / 48)
    q = distributions.norm.ppf(0.95) if absolute else distributions.t.ppf(0.95, 48)
    leverage = 1 / 50 + (new - x.mean()) ** 2 / np.sum((x - x.mean()) ** 2)
    centre = p[0] * new + p[1]
    assert_allclose(fit.predict(new), centre, rtol=1e-12)
    band = fit.confidence_band(new, 0.9)
    assert_allclose(band.low, centre - q * s * np.sqrt(leverage), rtol=1e-11)
    assert_allclose(band.high, centre + q * s * np.sqrt(leverage), rtol=1e-11)
    low, high = fit.prediction_band(new, level=0.9)
    assert_allclose(low, centre - q * s * np.sqrt(1 + leverage), rtol=1e-11)
    assert_allclose(high, centre + q * s * np.sqrt(1 + leverage), rtol=1e-11)
    assert fit.confidence_band(2.0).low < fit.predict(2.0) < fit.confidence_band(2.0).high


def test_bands_contain_what_they_say():
    rng = np.random.default_rng(3)
    x = np.linspace(0, 4, 30)
    hits = []
    for _ in range(300):
        fit = curve_fit(model, x, model(x, 2.5, 1.3, 0.5) + 0.05 * rng.normal(size=30), [2, 1, 0])
        low, high = fit.confidence_band([0.7], 0.8)
        inside = low[0] <= model(0.7, 2.5, 1.3, 0.5) <= high[0]
        low, high = fit.prediction_band([0.7], 0.8)
        hits.append((inside, low[0] <= model(0.7, 2.5, 1.3, 0.5) + 0.05 * rng.normal() <= high[0]))
    assert_allclose(np.mean(hits, axis=0), [0.8, 0.8], atol=0.08)


def test_a_prediction_needs_an_error():
    fit = curve_fit(model, X, Y, sigma=SIGMA, absolute_sigma=True)
    with pytest.raises(ValueError, match="sigma= says that of the new measurement"):
        fit.prediction_band([1.0])
    wide, narrow = fit.prediction_band([1.0], sigma=0.2), fit.prediction_band([1.0], sigma=0.0)
    assert_allclose(narrow, fit.confidence_band([1.0]))
    assert wide.high > narrow.high
    with pytest.raises(ValueError, match="level must be between 0 and 1"):
        fit.confidence_band([1.0], 95)


def test_bands_of_several_columns_and_of_models_that_are_called():
    x = np.stack([X, np.sin(X)])
    fit = curve_fit(plane, x, plane(x, 3, 2) + 0.1 * np.cos(np.arange(50) ** 2))
    low, high = fit.confidence_band(x[:, 1:4])
    assert low.shape == (3,)
    assert np.all(low < high)
    by_calls = curve_fit(called(model), X, Y)
    assert_allclose(by_calls.confidence_band(X), curve_fit(model, X, Y).confidence_band(X), rtol=1e-6)


# ---- what a result says ----


def test_what_a_result_says():
    fit = curve_fit(model, X, Y, sigma=SIGMA)
    popt, pcov = fit
    assert len(fit) == 2
    assert isinstance(fit, tuple)
    assert popt is fit.params is fit[0]
    assert pcov is fit.covariance
    assert_array_equal(fit.standard_errors, np.sqrt(np.diag(pcov)))
    assert_allclose(fit.correlation * fit.standard_errors * fit.standard_errors[:, None], pcov, rtol=1e-14)
    assert_array_equal(np.diag(fit.correlation), 1)
    assert_allclose(fit.residuals, (model(X, *popt) - Y) / SIGMA, rtol=1e-9, atol=1e-12)
    assert_allclose(fit.chi_squared, np.sum(fit.residuals**2), rtol=1e-14)
    assert (fit.dof, fit.rank) == (47, 3)
    assert 1 < fit.condition < 100
    assert fit.status > 0
    assert fit.n_evaluations >= 1
    text = fit.summary()
    assert repr(fit) == text
    for word in ("parameter", "a ", "b ", "c ", "chi-squared", "47 degrees of freedom", "rank 3 of 3", "exact"):
        assert word in text


def test_a_result_can_be_pickled():
    fit = pickle.loads(pickle.dumps(curve_fit(model, X, Y)))
    assert_array_equal(fit.predict(X), curve_fit(model, X, Y).predict(X))
    assert fit.names == ("a", "b", "c")
    of_lambda = pickle.loads(pickle.dumps(curve_fit(lambda x, a: a * x, X, Y)))
    assert of_lambda.dof == 49
    with pytest.raises(TypeError, match="could not be pickled with its fit"):
        of_lambda.predict(X)


def test_full_output():
    popt, pcov, info, message, ier = curve_fit(model, X, Y, sigma=SIGMA, full_output=True)
    assert_allclose(info["fvec"], (model(X, *popt) - Y) / SIGMA, rtol=1e-9, atol=1e-12)
    assert info["nfev"] >= 1
    assert pcov.shape == (3, 3)
    assert isinstance(message, str)
    assert ier in (1, 2, 3, 4)


# ---- errors ----


def test_options_that_are_none():
    for options, words in (
        ({"epsilon": 1e-8}, "curve_fit has no argument 'epsilon'"),
        ({"args": (1,)}, "'args' is not a supported keyword argument"),
        ({"method": "newton"}, "method must be one of"),
        ({"maxfev": 1.5}, "maxfev must be a whole number"),
        ({"nan_policy": "skip"}, "nan_policy must be one of"),
    ):
        with pytest.raises((TypeError, ValueError), match=words):
            curve_fit(model, X, Y, **options)


def test_too_few_evaluations_are_told():
    with pytest.raises(RuntimeError, match="Optimal parameters not found: 3 evaluations of model did not do"):
        curve_fit(model, X, Y, [100, 7, -30], maxfev=3)


def test_what_the_model_raises_comes_through():
    class OwnError(Exception):
        pass

    def f(x, a):
        raise OwnError("here")

    with pytest.raises(OwnError, match="here"):
        curve_fit(f, X, Y)
    calls = []

    def later(x, a):
        calls.append(1)
        if len(calls) > 3:
            raise OwnError("later")
        return np.array([a * v for v in x.tolist()])

    with pytest.raises(OwnError, match="later"):
        curve_fit(later, X, Y)


def test_chance_is_not_traced():
    rng = np.random.default_rng(0)
    fit = curve_fit(lambda x, a: a * x + 1e-12 * rng.normal(size=x.size), X, 3 * X)
    assert_allclose(fit.params, [3], rtol=1e-6)


def test_many_parameters():
    x = np.linspace(-1, 1, 200)

    def polynomial(x, *p):
        return np.polynomial.polynomial.polyval(x, p)

    y = polynomial(x, *np.arange(12.0)) + 0.01 * np.cos(np.arange(200) ** 2)
    right = np.linalg.lstsq(np.vander(x, 12, increasing=True), y, rcond=None)[0]
    assert_allclose(curve_fit(polynomial, x, y, np.ones(12)).params, right, rtol=1e-9)


def test_many_points():
    x = np.linspace(0, 4, 100_001)
    y = model(x, 2.5, 1.3, 0.5) + 0.05 * np.cos(np.arange(100_001.0) ** 2)
    fit = curve_fit(model, x, y)
    p, normal, chi = by_newton(x, y, [2.5, 1.3, 0.5], steps=8)
    assert_allclose(fit.params, p, rtol=1e-11)
    assert_allclose(fit.covariance, np.linalg.inv(normal) * chi / fit.dof, rtol=1e-8)


# ---- the quick way of a model that is known ----


def test_the_quick_way_gives_the_same_bits():
    def f(x, a, b, c):
        return a * np.exp(-b * x) + c

    for g, start in ((f, [1, 1, 1]), (f, None), (trace(f, X, 1.0, 1.0, 1.0), np.array([2, 1, 0.5]))):
        first = curve_fit(g, X, Y, start, method="lm")
        curve_fit(g, X, Y, start)
        for p0 in (start, None if start is None else tuple(map(float, start))):
            again = curve_fit(g, X, Y, p0)
            assert_array_equal(again.params, first.params)
            assert_array_equal(again.covariance, first.covariance)
            assert_array_equal(again.residuals, first.residuals)
            for name in (
                "names",
                "dof",
                "rank",
                "chi_squared",
                "status",
                "n_evaluations",
                "n_jacobians",
                "derivatives",
            ):
                assert getattr(again, name) == getattr(first, name), name
            assert_allclose(again.condition, first.condition, rtol=1e-14)
            assert_array_equal(again.confidence_band(X), first.confidence_band(X))
            assert_array_equal(again.fixed, first.fixed)
            assert pickle.loads(pickle.dumps(again)).dof == 47


def test_the_quick_way_is_not_gone_in_vain_where_the_last_step_was_short(monkeypatch):
    """One fit of twelve ends so, at a minimum: it was then made once more, the long way."""

    def f(x, a, b, c):
        return a * np.exp(-b * x) + c

    x = np.linspace(0, 4, 10_000)
    y = f(x, 2.5, 1.3, 0.5) + 0.05 * np.random.default_rng(1).standard_normal(10_000)
    first = curve_fit(f, x, y, [1, 1, 1])
    assert first.status == 3
    monkeypatch.setattr("mmlfast.optimize._curve_fit.search", None)
    again = curve_fit(f, x, y, [1, 1, 1])
    assert_array_equal(again.params, first.params)
    assert_array_equal(again.covariance, first.covariance)
    assert (again.status, again.message) == (first.status, first.message)


@pytest.mark.parametrize("is_absolute", [False, True])
def test_the_quick_way_with_errors_of_the_points(is_absolute):
    def f(x, a, b, c):
        return a * np.exp(-b * x) + c

    first = curve_fit(f, X, Y, [1, 1, 1], SIGMA, is_absolute, method="lm")
    curve_fit(f, X, Y)
    again = curve_fit(f, X, Y, [1, 1, 1], SIGMA, is_absolute)
    assert_array_equal(again.params, first.params)
    assert_array_equal(again.covariance, first.covariance)
    assert_array_equal(again.residuals, first.residuals)
    assert again.reduced_chi_squared == first.reduced_chi_squared
    assert_array_equal(again.confidence_band(X), first.confidence_band(X))
    assert_array_equal(again.prediction_band(X, sigma=0.1), first.prediction_band(X, sigma=0.1))
    with pytest.raises(ValueError, match="sigma= says that of the new"):
        again.prediction_band(X)
    for bad, words in ((0.0, "infinite weight"), (-1.0, "positive"), (np.nan, "is nan")):
        sigma = SIGMA.copy()
        sigma[3] = bad
        with pytest.raises(ValueError, match=rf"sigma\[3\] is.*{words}" if bad == bad else r"sigma\[3\] is nan"):
            curve_fit(f, X, Y, [1, 1, 1], sigma)
    sigma[3] = np.inf
    assert curve_fit(f, X, Y, [1, 1, 1], sigma).dof == 46


def test_the_quick_way_leaves_what_it_does_not_know():
    def f(x, a, b):
        return a * np.exp(-b * x)

    y = f(X, 2.0, 0.5) + 0.01 * np.cos(np.arange(50) ** 2)
    right = curve_fit(f, X, y)
    curve_fit(f, X, y)
    for x, other in (
        (X.astype("f4"), y),
        (X, y.astype("f4")),
        (list(X), y),
        (X, y[:, None]),
        (X[::2], y[::2]),
        (pd.Series(X), y),
    ):
        assert_allclose(curve_fit(f, x, other).params, right.params, rtol=0.01)
    assert_allclose(curve_fit(f, X, np.ma.masked_array(y, np.arange(50) == 3)).params, right.params, rtol=0.01)
    for bad in (np.where(X > 3, np.nan, y), np.where(X > 3, np.inf, y)):
        with pytest.raises(ValueError, match="ydata"):
            curve_fit(f, X, bad)
        with pytest.raises(ValueError, match="xdata"):
            curve_fit(f, bad, y)
    with pytest.raises(ValueError, match="p0 must be finite"):
        curve_fit(f, X, y, [np.nan, 1])
    with pytest.raises(ValueError, match="p0 has 3 numbers"):
        curve_fit(f, X, y, [1, 1, 1])
    with pytest.raises(ValueError, match="not finite at p0"):
        curve_fit(f, X, y, [1, -1e4])
    with pytest.warns(scipy.optimize.OptimizeWarning, match="does not change with b"):
        assert curve_fit(f, X, 0 * X).chi_squared < 1e-20


def test_the_quick_way_sees_what_has_changed():
    table = {"rate": 0.5, "calls": 0}

    def f(x, a):
        return a * np.exp(-table["rate"] * x)

    for rate in (0.5, 0.5, 1.5, 1.5, 0.5):
        table["rate"] = rate
        assert_allclose(curve_fit(f, X, 2 * np.exp(-rate * X)).params, [2], rtol=1e-14)

    def counts(x, a):
        table["calls"] += 1
        return a * x + 0 * table["calls"]

    for _ in range(3):
        assert_allclose(curve_fit(counts, X, 2 * X).params, [2], rtol=1e-9)


def test_a_function_that_is_made_again_is_the_same_one():
    for k in range(4):  # each time another object: of the same code, of other defaults, of another variable
        assert_allclose(curve_fit(lambda x, a: a * x**2, X, 3 * X**2).params, [3], rtol=1e-14)
        assert_allclose(curve_fit(lambda x, a, k=k: a * x**k, X, 3 * X**k, [1]).params, [3], rtol=1e-14)
        assert_allclose(curve_fit(lambda x, a: a * x**k, X, 3 * X**k).params, [3], rtol=1e-14)  # noqa: B023

    def changing(x, a, k=1):
        return a * x**k

    for k in (1, 2, 3):
        changing.__defaults__ = (k,)
        assert_allclose(curve_fit(changing, X, 3 * X**k, [1]).params, [3], rtol=1e-14)
        again = types.FunctionType(changing.__code__, globals(), "again", (k + 1,))
        assert_allclose(curve_fit(again, X, 3 * X ** (k + 1), [1]).params, [3], rtol=1e-14)
        again = types.FunctionType(changing.__code__, globals(), "again", (1,))  # which `changing` was once
        assert_allclose(curve_fit(again, X, 3 * X, [1]).params, [3], rtol=1e-14)


def test_bits_depend_neither_on_simd_levels_nor_on_threads(same_at_every_level):
    same_at_every_level("""
        from mmlfast.optimize import curve_fit

        def f(x, a, b, c):
            return a * np.exp(-b * x) + c * np.sin(x)

        rng = np.random.default_rng(0)
        for n in (7, 50, 3001):
            x = np.linspace(0, 4, n)
            y = f(x, 2.5, 1.3, 0.5) + 0.05 * rng.standard_normal(n)
            sigma = rng.uniform(0.5, 2, n)
            for options in ({}, {}, {"sigma": sigma}, {"bounds": (0, [9, 9, 0.4])}, {"loss": "cauchy"}):
                fit = curve_fit(f, x, y, [1, 1, 0.1], **options)
                digest(fit.params, fit.covariance, fit.residuals)
    """)


def test_models_that_write_into_x():
    """x is the model's own: at the start, for some parameters only, or given as read-only to what wants to write."""
    x, y = X.copy(), Y.copy()

    def always(x, a, b, c):
        x -= 1
        return model(x + 1, float(a), b, c)

    def sometimes(x, a, b, c):
        result = model(x, float(a), b, c)
        if b != 1:
            x[:] = np.nan
        return result

    right = curve_fit(called(model), X, Y, [1, 1, 1])
    for f in (always, sometimes):
        fit = curve_fit(f, x, y, [1, 1, 1])
        assert_array_equal(x, X)
        assert_allclose(fit.params, right.params, rtol=1e-8)

    def refuses(x, a, b, c):
        if a > 2:
            raise ValueError("of its own")
        return model(x, float(a), b, c)

    with pytest.raises(ValueError, match="of its own"):
        curve_fit(refuses, X, Y, [1, 1, 1])


def test_data_of_denormals() -> None:
    x = np.linspace(0, 3, 30)
    p, _ = curve_fit(lambda x, a, b: a * np.exp(-x) + b * x, x, np.ldexp(np.exp(-x) + x, -1050))
    np.testing.assert_allclose(np.ldexp(p, 1050), [1.0, 1.0], rtol=1e-5)
