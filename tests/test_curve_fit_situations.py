"""What people bring to curve_fit besides good data: settings of SciPy's, frames, random models, exact fits."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import OptimizeWarning

from mmlfast.optimize import curve_fit, curve_fit_many, least_squares


def decay(x, a, tau):
    return a * np.exp(-x / tau)


def saturation(x, a, b, c):
    return a * np.exp(-b * x) + c


T = np.linspace(0, 5, 20)
Y = decay(T, 2.0, 1.5) + 0.02 * np.cos(1.7 * np.arange(20) ** 2)
WHAT = np.array([2.005600, 1.502395])


def test_settings_of_scipys_solvers():
    for name in ("epsfcn", "diff_step", "factor"):
        with pytest.warns(UserWarning, match=f"no use for {name}"):
            assert_allclose(curve_fit(decay, T, Y, [1, 1], **{name: 0.1})[0], WHAT, rtol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        curve_fit(decay, T, Y, [1, 1], verbose=0, method="trf", ftol=1e-4)


def test_frames_of_one_column_have_names_of_their_own():
    x, y = pd.DataFrame({"t": T}), pd.DataFrame({"counts": Y})
    assert_allclose(curve_fit(decay, x, y, [1, 1])[0], WHAT, rtol=1e-6)
    with pytest.raises(ValueError, match="labels"):
        curve_fit(decay, x[::-1], y, [1, 1])


def test_nan_that_is_not_looked_for():
    with pytest.raises(ValueError, match="not finite"):
        curve_fit(decay, T, np.r_[np.nan, Y[1:]], [1, 1], check_finite=False)


def test_a_model_with_random_numbers():
    rng = np.random.default_rng(0)
    with pytest.raises(RuntimeError, match="other numbers for the same"):
        curve_fit(lambda x, a: a * x + 1e-3 * rng.normal(size=x.size), T, Y, [1])


def test_errors_beyond_float64():
    fit = curve_fit(decay, T, Y, [1, 1], sigma=np.full(20, 1e200), absolute_sigma=True)
    assert_allclose(fit[0], WHAT, rtol=1e-6)
    assert_array_equal(np.diag(fit[1]), np.inf)


def test_constant_data_do_not_determine_a_rate():
    for _ in range(2):  # the second time the program is known
        with pytest.warns(OptimizeWarning, match="errors of b are inf"):
            popt, pcov = curve_fit(saturation, T, np.full(20, 3.0), [1, 1, 1])
        assert_allclose(popt[[0, 2]], [0, 3], atol=1e-14)
        assert_array_equal(np.diag(pcov), [0, np.inf, 0])
        popt, pcov = curve_fit(lambda x, a, b: a * x + b, T, 3 * T, [0.0, 0.0])
        assert_array_equal(np.isfinite(pcov), True)


def test_a_start_without_derivatives():
    """A parameter that comes in by its square, at zero: a saddle, not a minimum."""
    for p0 in ([0.0, 1.0], [0, 0]):
        fit = curve_fit(lambda x, a, b: a**2 * x + b, T, 4 * T + 1, p0)
        assert_allclose(np.abs(fit[0]), [2, 1], rtol=1e-9)
    with pytest.warns(OptimizeWarning):  # it explains nothing, which is the best that it can do
        popt, _ = curve_fit(lambda x, a, b: a**2 * x + b, T, 1 - 4 * T, [1.0, 1.0])
    assert popt[0] == pytest.approx(0, abs=1e-6)


def test_starts_that_show_nothing_of_the_shape():
    """Far from a peak, at another frequency, on the other side of a pole, and two decays that begin as one."""
    x = np.linspace(0, 10, 60)
    noise = 0.02 * np.cos(1.7 * np.arange(60) ** 2)

    def bell(x, a, m, s):
        return a * np.exp(-((x - m) ** 2) / (2 * s * s))

    def sine(x, a, f, p, c):
        return a * np.sin(2 * np.pi * f * x + p) + c

    def saturating(x, v, k):
        return v * x / (k + x)

    def decays(x, a, t, b, u):
        return a * np.exp(-x / t) + b * np.exp(-x / u)

    for f, truth, starts in (
        (bell, [5, 6.3, 0.7], [[5, 2, 0.5], None]),
        (sine, [2, 0.5, 0.3, 1], [[1, 0.3, 0, 0], None]),
        (saturating, [3, 2], [[1, -5], None]),
        (decays, [2, 0.7, 1, 5], [None, [2, 1, 2, 1]]),
    ):
        y = f(x, *truth) + noise
        lowest = np.sum((f(x, *curve_fit(f, x, y, truth)[0]) - y) ** 2)
        for start in starts:
            assert_allclose(np.sum((f(x, *curve_fit(f, x, y, start)[0]) - y) ** 2), lowest, rtol=1e-6)


def test_influences_that_were_huge_at_the_start():
    """exp(100) at p0 of ones: the scales of the first steps say nothing about the others."""
    x = np.linspace(0, 10, 60)
    y = 0.5 * np.exp(0.4 * x) + 0.02 * np.cos(1.7 * np.arange(60) ** 2)

    def growth(x, a, b):
        return a * np.exp(b * x)

    for _ in range(2):
        a, b = curve_fit(growth, 100 + x, y)[0]
        assert_allclose([a * np.exp(100 * b), b], [0.5, 0.4], rtol=0.01)
    result = least_squares(lambda p: growth(100 + x, *p) - y, [1.0, 1.0])
    assert_allclose(result.x, [a, b], rtol=1e-6)
    many = curve_fit_many(growth, 100 + x, np.stack([y, 2 * y]), [1, 1])
    assert_allclose(many.params[:, 1], b, rtol=1e-6)


def test_a_curve_that_explains_nothing_is_told():
    x = np.linspace(0, 10, 60)
    noise = np.cos(1.7 * np.arange(60) ** 2)
    y = np.sin(2 * np.pi * (0.3 * x + 0.02 * x * x)) + 0.02 * noise

    def chirp(x, a, f, k):
        return a * np.sin(2 * np.pi * (f * x + k * x * x))

    for _ in range(2):
        with pytest.warns(OptimizeWarning, match="chirp explains next to nothing"):
            curve_fit(chirp, x, y, [1, 1, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        curve_fit(chirp, x, y, [1, 0.3, 0.02])
        curve_fit(decay, x, noise + 0.3, [1, 1])  # noise is noise
        curve_fit(lambda x, a: a, x, np.sin(x))


LOW, HIGH = {"tau": 1.3, "a": 0.0}, {"tau": 1.45, "a": 9.0}
INSIDE = {"tau": 1.4, "a": 2.0}
NAMED = {
    "a start": {"p0": pd.Series(INSIDE), "bounds": ([0, 1.3], [9, 1.45])},
    "both bounds": {"p0": INSIDE, "bounds": (pd.Series(LOW), pd.Series(HIGH))},
    "one bound": {"p0": INSIDE, "bounds": (0.0, pd.Series(HIGH))},
    "a bound of one parameter": {"p0": INSIDE, "bounds": (pd.Series({"tau": 1.3}), [9, 1.45])},
}


@pytest.mark.parametrize("given", NAMED.values(), ids=NAMED)
def test_names_of_parameters_are_not_taken_for_their_order(given):
    """The amplitude would be kept below 1.45, or the search begun at tau = 2."""
    expected = curve_fit(decay, T, Y, [2.0, 1.4], bounds=([0, 1.3], [9, 1.45]))[0]
    assert_allclose(curve_fit(decay, T, Y, **given)[0], expected, rtol=1e-9)
    found = curve_fit_many(decay, T, np.stack([Y, 2 * Y]), **given)[0]
    assert_allclose(found, [expected, curve_fit(decay, T, 2 * Y, **given)[0]], rtol=1e-9)


def test_frames_of_starts_and_bounds_have_a_column_for_each_parameter():
    rows = np.stack([Y, 2 * Y, 3 * Y])
    expected = curve_fit_many(decay, T, rows, [2.0, 1.4], bounds=([0, 1.3], [9, 1.45]))
    starts, low, high = (pd.DataFrame([values] * 3) for values in (INSIDE, LOW, HIGH))
    assert starts.columns.tolist() == ["tau", "a"]
    found = curve_fit_many(decay, T, rows, starts, bounds=(low, high))
    assert_array_equal(found.params, expected.params)
    with pytest.raises(ValueError, match="p0 names 'rate'"):
        curve_fit_many(decay, T, rows, starts.rename(columns={"tau": "rate"}))
    with pytest.raises(ValueError, match="bounds names 'rate'"):
        curve_fit(decay, T, Y, bounds=(pd.Series({"rate": 0.0}), 9.0))


def test_a_series_says_by_name_which_parameters_are_fixed():
    for fixed in (pd.Series({"tau": True, "a": False}), pd.Series({"tau": 1.4})):
        assert_array_equal(curve_fit(decay, T, Y, [2.0, 1.4], fixed=fixed).fixed, [False, True])
    assert not curve_fit(decay, T, Y, [2.0, 1.4], fixed=pd.Series({"tau": False, "a": False})).fixed.any()


def test_a_matrix_for_one_point_is_its_variance():
    found = curve_fit(lambda x, a: a * x, [2.0], [6.0], sigma=[[0.04]], absolute_sigma=True)
    assert_allclose(found.covariance, [[0.04 / 4]])


def test_covariances_that_are_symmetric_up_to_rounding():
    precision = np.linalg.inv(0.01 * (np.eye(20) + 0.4 * np.eye(20, k=1) + 0.4 * np.eye(20, k=-1)))
    matrix = np.linalg.inv(precision)
    assert not np.array_equal(matrix, matrix.T)
    alone = curve_fit(decay, T, Y, [1, 1], sigma=matrix)
    assert_allclose(curve_fit_many(decay, T, Y[None], [1, 1], sigma=matrix)[1][0], alone[1], rtol=1e-6)
    matrix[0, 1] *= 1.01
    for fit, y in ((curve_fit, Y), (curve_fit_many, Y[None])):
        with pytest.raises(ValueError, match=r"symmetric: its entry \[0, 1\].*sigma \+ sigma.T"):
            fit(decay, T, y, [1, 1], sigma=matrix)


def test_errors_of_the_largest_number_count_like_any_other():
    expected = curve_fit(decay, T, Y, [1, 1])
    largest = np.full(20, np.finfo(float).max)
    for found in (curve_fit(decay, T, Y, [1, 1], largest), curve_fit_many(decay, T, Y[None], [1, 1], largest)):
        assert_allclose(np.ravel(found[0]), expected[0], rtol=1e-6)
        assert_allclose(np.squeeze(found[1]), expected[1], rtol=1e-4)


def test_dask_arrays_beside_data_in_memory_are_refused():
    da = pytest.importorskip("dask.array")
    x, y, start = (da.from_array(a) for a in (T, Y, np.ones(2)))
    for name, call in {
        "p0": lambda: curve_fit(decay, T, Y, start),
        "xdata": lambda: curve_fit_many(decay, x, Y[None], [1, 1]),
        "ydata": lambda: curve_fit_many(decay, T, y, [1, 1], groups=np.arange(20) % 2),
    }.items():
        with pytest.raises(TypeError, match=f"{name} is a Dask array.*compute"):
            call()
    with pytest.raises(TypeError, match=r"p0 is a Dask array.*compute"):
        curve_fit_many(decay, T, Y[None], start)


def test_warnings_are_given_at_the_line_of_the_call():
    """Also where the function that warns is decorated by np.errstate, whose frame is NumPy's."""
    with pytest.warns(OptimizeWarning, match="Covariance") as caught:
        curve_fit(lambda x, a, b: a * x, T, Y, [1.0, 1.0])
    assert {warning.filename for warning in caught} == {__file__}


ROWS = np.arange(1.0, 7)[:, None] * Y


def test_dask_with_starts_and_bounds_by_name():
    da = pytest.importorskip("dask.array")
    lazy = da.from_array(ROWS, chunks=(4, 17))
    starts = np.stack([np.linspace(1, 5, 6), np.linspace(1, 2, 6)], axis=1)
    columns = {"a": starts[:, 0], "tau": starts[:, 1]}
    low, high = starts - 0.9, starts + 9
    expected = curve_fit_many(decay, T, ROWS, starts, bounds=(low, high)).params
    pairs = {name: (low[:, k], high[:, k]) for k, name in enumerate(columns)}
    turned = ["tau", "a"]
    for p0 in (columns, pd.DataFrame(columns)[turned]):
        for bounds in (pairs, (pd.DataFrame(low, columns=list(columns))[turned], high)):
            assert_array_equal(curve_fit_many(decay, T, lazy, p0, bounds=bounds).params.compute(), expected)
    covariances = np.diag(np.linspace(1, 2, len(T)))
    expected = curve_fit_many(decay, T, ROWS, starts, covariances).params
    assert_array_equal(curve_fit_many(decay, T, lazy, starts, covariances).params.compute(), expected)


def test_what_was_not_kept_is_named():
    out = {"params": np.empty((6, 2)), "covariance": None, "chi_squared": None}
    found = curve_fit_many(decay, T, ROWS, [1, 1], out=out)
    for name, missing in {
        "standard_errors": "covariance", "reduced_chi_squared": "chi_squared", "info": "chi_squared"
    }.items():  # fmt: skip
        with pytest.raises(ValueError, match=f"{missing} was not kept"):
            getattr(found, name)
