"""Many fits with robust losses and with matrices of errors: as curve_fit does each of them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from mmlfast.optimize import curve_fit, curve_fit_many

LOSSES = ["huber", "soft_l1", "cauchy"]


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_are_those_of_curve_fit(loss):
    """Gross outliers in some of the points: parameters and covariances of curve_fit, or a lower end."""
    rng = np.random.default_rng(3)
    x = np.linspace(0, 5, 40)
    truth = np.stack([rng.uniform(1, 5, 24), rng.uniform(0.7, 3, 24)], 1)
    y = truth[:, :1] * np.exp(-x / truth[:, 1:]) + 0.03 * rng.normal(size=(24, 40))
    y[rng.random(y.shape) < 0.1] += 5
    y[3, 7] = np.nan
    sigma = rng.uniform(0.5, 2, 40)

    def decay(x, a, tau):
        return a * np.exp(-x / tau)

    many = curve_fit_many(decay, x, y, [2, 1], sigma, loss=loss, f_scale=0.05, nan_policy="omit")
    assert np.all(many.status == 1)
    for k in range(24):
        alone = curve_fit(decay, x, y[k], [2, 1], sigma, loss=loss, f_scale=0.05, nan_policy="omit")
        assert many.chi_squared[k] <= alone.chi_squared * (1 + 1e-9)
        if many.chi_squared[k] > alone.chi_squared * (1 - 1e-9):
            assert_allclose(many.params[k], alone.params, rtol=1e-7)
            assert_allclose(many.covariance[k], alone.covariance, rtol=1e-5)
            assert many.dof[k] == alone.dof
    some = curve_fit_many(decay, x, y[5:8], [2, 1], sigma, loss=loss, f_scale=0.05)
    assert_array_equal(some.params, many.params[5:8])
    grouped = curve_fit_many(
        decay,
        np.tile(x, 3),
        y[5:8].ravel(),
        [2, 1],
        np.tile(sigma, 3),
        groups=np.arange(120) // 40,
        loss=loss,
        f_scale=0.05,
    )
    assert_allclose(grouped.params, some.params, rtol=1e-9)


def test_losses_and_bounds():
    x = np.linspace(0, 1, 30)
    y = np.stack([1 + 2 * x, 3 - x])
    y[:, 4] += 50
    fits = curve_fit_many(lambda x, a, b: a + b * x, x, y, [1.5, 0], bounds=(0, 5), loss="soft_l1", f_scale=0.01)
    assert_allclose(fits.params[0], [1, 2], atol=0.02)
    assert fits.params[1, 1] == 0
    assert fits.active[1].tolist() == [0, -1]


def test_matrices_of_errors():
    """Correlated errors: as curve_fit; points that are left out are left out of the matrix."""
    rng = np.random.default_rng(5)
    x = np.linspace(0, 5, 20)
    covariance = 0.0009 * 0.5 ** np.abs(np.subtract.outer(np.arange(20), np.arange(20)))
    y = 2 * np.exp(-x / 1.5) + rng.multivariate_normal(np.zeros(20), covariance, 4)
    y[1, 3] = np.nan

    def decay(x, a, tau):
        return a * np.exp(-x / tau)

    stack = np.stack([covariance * k for k in (1.0, 2, 3, 4)])
    for sigma in (covariance, stack):
        many = curve_fit_many(decay, x, y, [1, 1], sigma, absolute_sigma=True, nan_policy="omit")
        assert "matrix" in many.message
        for k in range(4):
            kept = np.isfinite(y[k])
            own = (sigma if sigma.ndim == 2 else sigma[k])[np.ix_(kept, kept)]
            alone = curve_fit(decay, x[kept], y[k, kept], [1, 1], own, absolute_sigma=True)
            assert_allclose(many.params[k], alone[0], rtol=1e-12)
            assert_allclose(many.covariance[k], alone[1], rtol=1e-10)
    bad = stack.copy()
    bad[2, 0, 0] = -1
    with pytest.raises(ValueError, match=r"sigma\[2\] must be positive definite"):
        curve_fit_many(decay, x, y, [1, 1], bad)
