"""Step: the distribution of people's heights, by steepest descent and by least squares, with the bands of the fit.

The heights are those of 928 grown-up children that Francis Galton published in 1886 (Regression towards mediocrity in
hereditary stature, Journal of the Anthropological Institute 15, table I): how many of them were how tall.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.optimize
from matplotlib.figure import Figure

import mmlfast as mf
from mmlfast.tour._frame import Tour

Array = np.ndarray[Any, Any]

# In inches, women's times 1.08; the first and the last are "below" and "above".
_INCHES = np.array([61.7, *np.arange(62.2, 73.3), 73.7])
_PEOPLE = np.array([5, 7, 32, 59, 48, 117, 138, 120, 167, 99, 64, 41, 17, 14])
_START = np.array([66.0, 3.6])
_LEVEL = 0.95


def bell(x: Any, mean: Any, spread: Any) -> Any:
    """The share of people within an inch around x."""
    return np.exp(-0.5 * ((x - mean) / spread) ** 2) / (np.sqrt(2 * np.pi) * spread)


def run(tour: Tour) -> None:
    share = _PEOPLE / _PEOPLE.sum()
    tour.say("steepest descent")
    path = _descend(share)
    fit = mf.optimize.curve_fit(bell, _INCHES, share, _START)
    tour.check(
        f"steepest descent, {len(path) - 1} steps, beside least squares, {fit.n_evaluations} evaluations",
        error=float(np.abs(path[-1] / fit.params - 1).max()),
        limit=1e-9,
    )

    tour.say("least squares")
    theirs, _ = scipy.optimize.curve_fit(bell, _INCHES, share, _START)
    tour.check(
        "curve_fit, mean and spread of the heights",
        error=float(np.abs(fit.params / theirs - 1).max()),
        limit=1e-6,
        times=tour.race(
            lambda: mf.optimize.curve_fit(bell, _INCHES, share, _START),
            lambda: scipy.optimize.curve_fit(bell, _INCHES, share, _START),
            peer="scipy.optimize.curve_fit",
        ),
    )
    # SciPy's covariance comes from differences, with half of the digits: this is the formula.
    mean, spread = fit.params
    z = (_INCHES - mean) / spread
    slopes = np.stack([z, z**2 - 1], axis=1) * (bell(_INCHES, mean, spread) / spread)[:, None]
    residuals = bell(_INCHES, mean, spread) - share
    expected = np.linalg.inv(slopes.T @ slopes) * (residuals @ residuals) / (len(share) - 2)
    size = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    tour.check("their covariance", error=float((np.abs(fit.covariance - expected) / size).max()), limit=1e-12)

    tour.say("bands")
    n = 200 if tour.quick else 1000
    inside = _coverage(fit, n)
    # Four standard deviations of a share of n.
    limit = 4 * np.sqrt(_LEVEL * (1 - _LEVEL) / n)
    tour.check(f"bands of 95 % in {n} repetitions: miss 5 %", error=abs(inside - _LEVEL), limit=float(limit))
    _picture(tour, share, fit, path)


def _descend(share: Array) -> Array:
    """The way down the slope of the sum of squares."""

    def chi_squared(p: Any) -> Any:
        return np.sum((bell(_INCHES, p[0], p[1]) - share) ** 2)

    descent = mf.optimize.gradient_descent(chi_squared, _START, learning_rate=12, tol=1e-12, path=True)
    return np.asarray(descent.path)


def _coverage(fit: mf.optimize.CurveFit, n: int) -> float:
    """How often the band of a fit to noisy points has the true curve in it, at one place."""
    rng = np.random.default_rng(1)
    noise = np.sqrt(fit.reduced_chi_squared)
    truth, at = bell(_INCHES, *fit.params), np.array([66.2])
    right = bell(at, *fit.params)[0]
    hits = 0
    for _ in range(n):
        again = mf.optimize.curve_fit(bell, _INCHES, truth + noise * rng.standard_normal(len(truth)), _START)
        low, high = again.confidence_band(at, _LEVEL)
        hits += bool(low[0] <= right <= high[0])
    return hits / n


def _picture(tour: Tour, share: Array, fit: mf.optimize.CurveFit, path: Array) -> None:
    figure = Figure(figsize=(11.5, 4.6), layout="constrained")
    figure.suptitle("Heights of 928 people, and the bell curve that fits them best", fontsize=14)
    left, right = figure.subplots(1, 2)
    x = np.linspace(60, 76, 300)
    left.bar(_INCHES, share, width=0.9, color="0.85", label="Galton, 1886")
    left.fill_between(x, *fit.prediction_band(x), color="tab:blue", alpha=0.12, label="95 %: the next share")
    left.fill_between(x, *fit.confidence_band(x), color="tab:blue", alpha=0.35, label="95 %: the curve")
    left.plot(x, fit.predict(x), color="tab:blue")
    errors = ", ".join(
        f"{name} {value:.2f} ± {error:.2f}"
        for name, value, error in zip(fit.names, fit.params, fit.standard_errors, strict=True)
    )
    left.set(xlabel=f"inches: {errors}", ylabel="share of people within an inch")
    left.set_ylim(bottom=0)
    left.legend(frameon=False)
    mean, spread = np.meshgrid(np.linspace(65.5, 70, 120), np.linspace(1.6, 4, 120))
    heights = bell(_INCHES[:, None, None], mean, spread)
    chi_squared = ((heights - share[:, None, None]) ** 2).sum(axis=0)
    right.contour(mean, spread, np.log(chi_squared), 18, cmap="cividis", linewidths=0.8)
    right.plot(path[:, 0], path[:, 1], ".-", color="tab:red", markersize=3, linewidth=0.8)
    right.plot(*fit.params, "+", color="black", markersize=12)
    right.set(xlabel="mean", ylabel="spread", title="chi squared, and the way of steepest descent")
    tour.save(figure, "heights")
