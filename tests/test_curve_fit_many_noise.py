"""Many fits of data in which there is no curve."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_array_equal

from mmlfast.optimize import _fit_many_pieces as pieces
from mmlfast.optimize import curve_fit_many


def decay3(x, a, b, c):
    return a * np.exp(-b * x) + c


def test_noise_is_not_done_again_one_by_one(monkeypatch):
    """Where there is no curve, other starts are looked at in lanes; the answer does not depend on the neighbours."""
    alone = []
    one = pieces._one
    monkeypatch.setattr(pieces, "_one", lambda job, fit, *rest: alone.append(fit) or one(job, fit, *rest))
    rng = np.random.default_rng(0)
    x = np.linspace(0, 5, 60)
    y = rng.standard_normal((150, 60))
    y[7] = decay3(x, 40, 3, 1) + 0.1 * rng.standard_normal(60)
    sigma = 0.5 + rng.random((150, 60))
    for options in ({}, {"sigma": sigma}, {"sigma": sigma[0]}, {"bounds": ([-9, -3, -9], [9, 9, 9])}):
        alone.clear()
        fits = curve_fit_many(decay3, x, y, [1, 1, 0], **options)
        assert len(alone) <= 15
        once = curve_fit_many(decay3, x, y, [1, 1, 0], retry=False, **options)
        assert fits.failed.sum() <= 0.4 * once.failed.sum()
        found = once.status == 1
        assert np.all(fits.chi_squared[found] <= once.chi_squared[found] * (1 + 1e-9))
        helped = np.flatnonzero((once.status == -1) & (fits.status == 1))
        for i in helped[:5]:
            own = {k: v[i] if np.ndim(v) == 2 and len(v) == 150 else v for k, v in options.items()}
            by_itself = curve_fit_many(decay3, x, y[i], [1, 1, 0], **own)
            assert_array_equal(by_itself.params, fits.params[i])
            assert by_itself.n_evaluations == fits.n_evaluations[i]
