"""
Calculus 6: fitting a curve to data
===================================

A model with parameters, and points that it should go through, but does not. The best parameters make the sum of
the squared distances smallest; how well they are known is as much a part of the answer as their values.
"""

# %%
# Chi-squared
# -----------
# With errors sigma of the points,
#
# .. math:: \chi^2 = \sum_i \frac{(y_i - f(x_i, a))^2}{\sigma_i^2}.
#
# A straight line needs no search: its best slope and intercept have a formula, and so have their errors.
import warnings

import matplotlib.pyplot as plt
import numpy as np

import mmlfast as mf

rng = np.random.default_rng(8)
x = np.linspace(0, 10, 25)
sigma = np.full(25, 0.8)
y = 1.5 + 0.7 * x + sigma * rng.normal(size=25)
line = mf.linear_model.linear_fit(x, y, sigma=sigma, absolute_sigma=True)
print(f"slope {line.slope:.3f} +- {line.standard_errors[1]:.3f}, intercept {line.intercept:.2f}")
print(f"chi-squared {line.chi_squared:.1f} for {line.dof} degrees of freedom")

# %%
# The band shows where the true line may be (two standard errors), the points where they are.
grid = np.linspace(0, 10, 100)
band = line.confidence_band(grid, 0.95)
figure, axes = plt.subplots(figsize=(5.8, 3.6), layout="constrained")
axes.errorbar(x, y, sigma, fmt="o", color="black", markersize=4, linewidth=0.8)
axes.plot(grid, line.predict(grid), color="tab:blue")
axes.fill_between(grid, band.low, band.high, color="tab:blue", alpha=0.2)
axes.annotate("fitted line and its band", (7.2, 6.4), textcoords="offset points", xytext=(-130, 40), color="tab:blue")
axes.set(xlabel="x", ylabel="y", title="A line, and how well it is known")
plt.show()
assert abs(line.slope - 0.7) < 4 * line.standard_errors[1]

# %%
# A bell through heights
# ----------------------
# The heights of 400 people, counted in bins, and a bell with three parameters: amount, mean and width. Its
# parameters stand inside of an exponential, so there is no formula. First by steepest descent, as on the page
# before; its steps need a rate for each parameter, for amount and width have other units.
heights = rng.normal(172, 9, 400)
counts, edges = np.histogram(heights, bins=np.arange(140, 206, 4))
middle = (edges[1:] + edges[:-1]) / 2


def bell(h, amount, mean, width):
    return amount * np.exp(-((h - mean) ** 2) / (2 * width**2))


def half_chi_squared(p):
    return np.sum((counts - bell(middle, p[0], p[1], p[2])) ** 2) / 2


slope = mf.autodiff.grad(half_chi_squared)
p = np.array([40.0, 165.0, 15.0])
path = [p]
for _ in range(300):
    p = p - np.array([2e-1, 2e-3, 2e-3]) * slope(p)
    path.append(p)
print("steepest descent:", p.round(3), "after 300 steps")

# %%
# Then by Gauss and Newton's idea: a sum of squares is special, its curvature follows from first derivatives.
# `curve_fit` takes the function as it is, and derives it exactly.
fit = mf.optimize.curve_fit(bell, middle, counts, [40, 165, 15])
print(fit)
assert np.allclose(p, fit.params, rtol=1e-3)

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
left.stairs(counts, edges, color="0.6", fill=True, alpha=0.4)
h = np.linspace(140, 204, 200)
band = fit.confidence_band(h, 0.95)
left.plot(h, fit.predict(h), color="tab:blue")
left.fill_between(h, band.low, band.high, color="tab:blue", alpha=0.25)
left.set(xlabel="height (cm)", ylabel="people per bin", title="Heights and a bell")
path = np.array(path)
right.plot(path[:, 1], path[:, 2], ".-", color="black", markersize=3)
right.plot(*fit.params[1:], "*", color="tab:blue", markersize=14)
right.annotate("best", fit.params[1:], textcoords="offset points", xytext=(8, 4), color="tab:blue")
right.set(xlabel="mean (cm)", ylabel="width (cm)", title="The way of steepest descent")
plt.show()

# %%
# A thousand fits at once
# -----------------------
# One fit for each pixel, each patient, each day: `curve_fit_many` fits eight at a time in the lanes of the
# processor. Each has the result that it would have alone, and one that fails leaves the others alone.
t = np.linspace(0, 4, 30)
true = np.stack([rng.uniform(1, 5, 1000), rng.uniform(0.5, 2, 1000)], axis=1)
curves = true[:, :1] * np.exp(-t / true[:, 1:]) + 0.02 * rng.normal(size=(1000, 30))
many = mf.optimize.curve_fit_many(lambda t, a, tau: a * np.exp(-t / tau), t, curves, [1, 1])
print("largest error of 1000 decays:", np.abs(many.params - true).max().round(3))
assert np.abs(many.params - true).max() < 0.3

# %%
# What usually goes wrong
# -----------------------
# - **A start that shows nothing of the data.** If the model is flat there, no derivative points anywhere. That is told.
# - **Two parameters for one thing** (a e^b e^(-kx)): the data cannot tell a from b. Their errors are infinite,
#   and that of k is right; other programs report numbers without meaning.
# - **Time stamps.** For a line through x = 1.7e9 ... the usual formulas lose all digits. Here x is centred.
# - **Converged is not solved.** A fit can stop in another minimum. Plot it.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    double = mf.optimize.curve_fit(lambda t, a, b, k: a * np.exp(b - k * t), t, curves[0], [1, 0, 1])
print("errors of a, b and k:", double.standard_errors)
assert np.isinf(double.standard_errors[:2]).all()
stamps = 1.7e9 + 60.0 * np.arange(25)
assert np.isclose(mf.linear_model.linear_fit(stamps, y).slope * 60 * 24 / 10, line.slope, rtol=1e-9)

# %%
# Exercises
# ---------
# 1. Which line through (0, 0), (1, 2), (2, 2) is best, and what is its sum of squares?
# 2. How does the standard error of a mean change with the number of points?
# 3. A counter with 5000 counts decays by half every 3 minutes. Fit the half-life from ten noisy readings.
#
# The answers, checked:
three = mf.linear_model.linear_fit([0.0, 1, 2], [0.0, 2, 2])
assert np.allclose(three.coefficients, [1 / 3, 1])
assert np.isclose(three.chi_squared, 2 / 3)
errors = [
    mf.linear_model.linear_fit(np.zeros(n), rng.normal(size=n), degree=0).standard_errors[0] for n in (100, 10000)
]
assert 7 < errors[0] / errors[1] < 14
minutes = np.arange(10.0)
readings = 5000 * 0.5 ** (minutes / 3) + rng.normal(0, 20, 10)
half = mf.optimize.curve_fit(lambda t, a, half_life: a * 0.5 ** (t / half_life), minutes, readings, [4000, 2])
assert abs(half.params[1] - 3) < 0.2
print(f"1. 1/3 + x, 2/3   2. as 1 / sqrt(n)   3. {half.params[1]:.2f} +- {half.standard_errors[1]:.2f} minutes")
