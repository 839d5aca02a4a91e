"""SciPy's own tests of curve_fit, run against ours; where we differ on purpose, the difference is tested instead."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import OptimizeWarning

from mmlfast.optimize import curve_fit

theirs = pytest.importorskip("scipy.optimize.tests.test_minpack", reason="SciPy was installed without its tests")


def exponential(x, a, b):
    return a * np.exp(-b * x)


class TestCurveFit(theirs.TestCurveFit):
    @pytest.fixture(autouse=True)
    def _with_ours(self, monkeypatch):
        monkeypatch.setattr(theirs, "curve_fit", curve_fit)
        monkeypatch.setattr(theirs.optimize, "curve_fit", curve_fit)

    # ---- differences on purpose ----

    def test_pcov(self):
        """A parameter without influence has no error; the other one keeps its own. SciPy gives inf to both."""
        x, y, sigma = np.arange(6.0), np.array([1, 1, 5, 7, 8, 12]), np.array([1, 2, 1, 2, 1, 2])
        for factor in (1, 3):
            _, scaled = curve_fit(lambda x, a, b: a * x + b, x, y, [2, 0], factor * sigma)
            assert_allclose(np.sqrt(np.diag(scaled)), [0.20659803, 0.57204404], rtol=1e-3)
            _, absolute = curve_fit(lambda x, a, b: a * x + b, x, y, [2, 0], factor * sigma, absolute_sigma=True)
            assert_allclose(np.sqrt(np.diag(absolute)), [0.30714756 * factor, 0.85045308 * factor], rtol=1e-3)
        with pytest.warns(OptimizeWarning, match="Covariance of the parameters could not be estimated.*b"):
            _, flat = curve_fit(lambda x, a, b: a * x, x, y, [2, 0], sigma)
        _, alone = curve_fit(lambda x, a: a * x, x, y, [2], sigma)
        assert_allclose(flat, [[alone[0, 0], np.inf], [np.inf, np.inf]], rtol=1e-12)
        with pytest.warns(OptimizeWarning, match="leave none over"):
            _, exact = curve_fit(lambda x, a, b: a * x + b, x[:2], y[:2], [2, 0])
        assert_array_equal(exact, np.full((2, 2), np.inf))

    def test_full_output(self):
        """The factorisation by MINPACK (fjac, ipvt, qtf) is not there: `condition`, `rank` and `covariance` are."""
        x = np.linspace(0, 1, 11)
        for method in ["trf", "dogbox", "lm", None]:
            popt, pcov, info, message, ier = curve_fit(
                exponential, x, exponential(x, 2.0, 2.0), method=method, full_output=True
            )
            assert_allclose(popt, [2.0, 2.0])
            assert {"nfev", "fvec"} <= set(info)
            assert len(info["fvec"]) == 11
            assert pcov.shape == (2, 2)
            assert isinstance(message, str)
            assert ier in (1, 2, 3, 4)

    def test_bounds(self):
        """method="lm" takes bounds."""
        x = np.linspace(0, 1, 11)
        y = exponential(x, 2.0, 2.0)
        for method in [None, "trf", "dogbox", "lm"]:
            popt, _ = curve_fit(exponential, x, y, bounds=([1.0, 0], [1.5, 3.0]), method=method)
            by_class, _ = curve_fit(exponential, x, y, bounds=theirs.Bounds([1.0, 0], [1.5, 3.0]), method=method)
            assert_allclose(popt[0], 1.5)
            assert_allclose(by_class, popt)
            popt, _ = curve_fit(exponential, x, y, bounds=([0.0, 0], [0.6, np.inf]), method=method)
            assert_allclose(popt[0], 0.6)

    def test_gh4555b(self):
        """The numbers there carry errors of 2e-6 from finite differences; these are by derivatives written out."""
        rng = np.random.default_rng(408113519974467917)
        x = np.linspace(0, 4, 50)
        y = 2.5 * np.exp(-1.3 * x) + 0.5 + 0.2 * rng.normal(size=x.size)
        (a, b, c), pcov = curve_fit(lambda x, a, b, c: a * np.exp(-b * x) + c, x, y)
        e = np.exp(-b * x)
        j = np.stack([e, -a * x * e, np.ones(50)], axis=1)
        r = y - (a * e + c)
        assert_allclose(pcov, np.linalg.inv(j.T @ j) * (r @ r) / 47, rtol=1e-10)
