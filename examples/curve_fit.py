"""
A curve through points: heights of people, by steepest descent and by least squares
===================================================================================
"""

import matplotlib.pyplot as plt
import numpy as np

from mmlfast.optimize import curve_fit, gradient_descent

# %%
# Francis Galton's table of 1886: how many of 928 grown-up children were how tall, in inches (women's heights times
# 1.08). A bell curve with two parameters, mean and spread, should describe it.
inches = np.array([61.7, *np.arange(62.2, 73.3, 1.0), 73.7])
people = np.array([5, 7, 32, 59, 48, 117, 138, 120, 167, 99, 64, 41, 17, 14])
share = people / people.sum()


def bell(x, mean, spread):
    return np.exp(-(((x - mean) / spread) ** 2) / 2) / (np.sqrt(2 * np.pi) * spread)


# %%
# Steepest descent on chi squared, the sum of the squared distances. Step by step it walks down the slope; how far to
# go in a step has to be tried out.
def chi_squared(p):
    return np.sum((bell(inches, p[0], p[1]) - share) ** 2)


descent = gradient_descent(chi_squared, [66.0, 4.0], learning_rate=20, path=True)
for step in (0, 5, 20, descent.nit):
    (mean, spread), value = descent.path[step], descent.path_fun[step]
    print(f"step {step:3}: mean {mean:.6f}, spread {spread:.6f}, chi squared {value:.10f}")

# %%
# Least squares uses that chi squared is a sum of squares: it knows the curvature and is there in a few steps. It also
# says how sure the parameters are.
fit = curve_fit(bell, inches, share, p0=[66, 4])
print(fit)
print("the same place:", np.allclose(fit.params, descent.x, rtol=1e-6))

# %%
# Counts have errors of about their square roots: points with many people count more. With errors that are known,
# chi squared over its degrees of freedom tells whether the curve fits: it should be about 1.
errors = np.sqrt(people)
weighted = curve_fit(
    lambda x, mean, spread: people.sum() * bell(x, mean, spread), inches, people, [66, 4], errors, absolute_sigma=True
)
print(f"mean {weighted['mean']:.2f} +- {weighted.standard_errors[0]:.2f} inches")
print(f"reduced chi squared {weighted.reduced_chi_squared:.1f}: so many people show that a bell is not all")

# %%
# Bands: where the curve runs (confidence), and where the next measurement would fall (prediction).
x = np.array([64.2, 68.2, 72.2])
low, high = fit.confidence_band(x)
print("the curve, with 95 %:", ", ".join(f"{a:.3f} .. {b:.3f}" for a, b in zip(low, high, strict=True)))
low, high = fit.prediction_band(x)
print("the next share:", ", ".join(f"{a:.3f} .. {b:.3f}" for a, b in zip(low, high, strict=True)))


# %%
# What people ask for: parameters by name, bounds, parameters that are held, outliers that count less.
def decay(t, amplitude, lifetime, background):
    return amplitude * np.exp(-t / lifetime) + background


t = np.linspace(0, 10, 40)
y = decay(t, 2.0, 1.5, 0.1) + 0.02 * np.cos(1.7 * np.arange(40) ** 2)
fit = curve_fit(decay, t, y, p0={"lifetime": 1, "background": 0}, bounds={"amplitude": (0, None)})
print(f"lifetime {fit['lifetime']:.3f}, background {fit['background']:.3f}")
held = curve_fit(decay, t, y, fixed={"background": 0.1})
print(f"background held at 0.1: lifetime {held['lifetime']:.3f} +- {held.standard_errors[1]:.3f}")
y[[3, 17]] += 2
print(f"two outliers: lifetime {curve_fit(decay, t, y)['lifetime']:.3f}")
print(f"robust loss:  lifetime {curve_fit(decay, t, y, loss='soft_l1', f_scale=0.05)['lifetime']:.3f}")

# %%
# What cannot be told is said. Two parameters for one amplitude: their errors are infinite, that of the rate is right.
import warnings

with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    fit = curve_fit(lambda t, a, b, rate: a * np.exp(b - rate * t), t, decay(t, 2.0, 1.5, 0.0), [1, 0, 1])
print(told[0].message)
print("rank", fit.rank, "of 3, rate", fit["rate"].round(6))

# %%
# Residuals of any form: `least_squares` takes the function that gives them.
from mmlfast.optimize import least_squares

circle = np.array([[1.1, 0.1], [0.2, 1.9], [-0.9, 1.0], [0.1, 0.0], [0.9, 1.7]])
found = least_squares(lambda p: np.hypot(circle[:, 0] - p[0], circle[:, 1] - p[1]) - p[2], [0.0, 0.0, 1.0])
print("a circle through five points: centre", found.x[:2].round(3), "radius", found.x[2].round(3))

# %%
# The picture: the heights with their curve and its bands; and the way that steepest descent took to it.
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
fit = curve_fit(bell, inches, share, p0=[66, 4])
x = np.linspace(60, 75, 200)
left.bar(inches, share, color="0.85", label="928 people")
left.plot(x, bell(x, *fit.params), color="black", label="bell curve")
left.fill_between(x, *fit.prediction_band(x), color="tab:orange", alpha=0.35, label="95 % of new shares")
left.set(xlabel="height (inches)", ylabel="share")
left.legend(fontsize="small")
mean, spread = np.meshgrid(np.linspace(65, 71, 100), np.linspace(1.5, 4.5, 100))
depth = np.sum((bell(inches[:, None, None], mean, spread) - share[:, None, None]) ** 2, axis=0)
right.contour(mean, spread, depth, 20, cmap="gray", linewidths=0.7)
right.plot(*descent.path.T, ".-", color="tab:orange", label=f"{descent.nit} steps down")
right.plot(*fit.params, "kx", markersize=10, label=f"least squares, {fit.n_evaluations} calls")
right.set(xlabel="mean (inches)", ylabel="spread (inches)", title="chi squared")
right.legend(fontsize="small")
plt.show()
