"""
Straight lines with their errors: chi-squared, time stamps, groups, windows
===========================================================================
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np

import mmlfast as mf

linear_fit = mf.linear_model.linear_fit
rng = np.random.default_rng(1)

# %%
# Chi-squared of a straight line: measurements with known errors. If the line is right, chi-squared is about as large as
# the number of degrees of freedom, and the errors of its coefficients follow from those of the measurements alone.
x = np.linspace(0, 10, 21)
sigma = np.where(x < 5, 0.2, 0.5)
y_line = y = 1.5 + 0.8 * x + sigma * rng.standard_normal(21)
line = linear_fit(x, y, sigma=sigma, absolute_sigma=True)
print(f"slope {line.slope:.2f} +- {line.slope_error:.2f}, intercept {line.intercept:.2f} +- {line.intercept_error:.2f}")
print(f"chi-squared {line.chi_squared:.1f} for {line.dof} degrees of freedom")
low, high = line.confidence_band([0.0, 10.0])
print(f"95 % band of the line at 0: {low[0]:.2f} to {high[0]:.2f}")
bent = y + 0.1 * (x - 5) ** 2
as_line, as_parabola = linear_fit(x, bent, sigma=sigma), linear_fit(x, bent, sigma=sigma, degree=2)
print(f"bent, taken for a line: chi-squared {as_line.chi_squared:.0f}; for a parabola: {as_parabola.chi_squared:.0f}")

# %%
# Time stamps are far from zero. The slope of lstsq is lost when it takes the two columns for one; polyfit keeps some of
# the digits.
stamps = 1.7e9 + 60.0 * np.arange(100)
drift = 3 - 2e-4 * (stamps - stamps[0]) + 0.05 * np.cos(1.7 * np.arange(100) ** 2)
exact = linear_fit(stamps - stamps[0], drift).slope  # these differences are exact
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    by_lstsq = np.linalg.lstsq(np.column_stack([np.ones(100), stamps]), drift, rcond=1e-10)[0][1]
    by_polyfit = np.polyfit(stamps, drift, 1)[0]
for name, slope in (("lstsq", by_lstsq), ("polyfit", by_polyfit), ("linear_fit", linear_fit(stamps, drift).slope)):
    print(f"{name:10} is off by {abs(slope / exact - 1):.0e} of the slope")

# %%
# A line for each label of a table, in any order, and what cannot be fitted is said.
city = np.array(["Oslo", "Rome", "Oslo", "Lima", "Rome", "Oslo", "Rome"])
day = np.array([0.0, 1, 1, 4, 3, 2, 2])
degrees = np.array([5.0, 20, 6, 18, 24, 7, 22])
by_city = linear_fit(day, degrees, groups=city)
for name, slope, message in zip(by_city.groups, by_city.slope, by_city.message, strict=True):
    print(f"{name}: {slope:+.1f} degrees a day ({message})")

# %%
# A line for each 60 rows of 100 000: no running sums, so a spike is gone with the last window that has it.
t = np.arange(100_000.0)
signal = np.sin(t / 500)
struck = signal.copy()
struck[50_000] = 1e14
plain, spiked = linear_fit(t, signal, window=60), linear_fit(t, struck, window=60)
print(f"windows: {len(plain.slope)}; touched by the spike: {np.count_nonzero(plain.slope != spiked.slope)}")

# %%
# Polynomials far from zero, such as the hardest of NIST's linear sets: powers are formed about the middle of x, with
# twice the digits.
z = np.linspace(-9, -3, 82)
c = rng.standard_normal(11)
curve = linear_fit(z, np.polynomial.polynomial.polyval(z, c), degree=10)
print(f"degree 10 far from zero: residuals below {np.sqrt(curve.chi_squared / 82):.0e} of {np.abs(z**10).max():.0e}")

# %%
# The estimator with scikit-learn's interface, on float32 rows in the thousands.
rows = rng.integers(2000, 7000, (100_000, 3))
model = mf.linear_model.LinearRegression().fit(rows.astype(np.float32), (rows @ [2, -4, 7] + 9).astype(np.float32))
print(f"coefficients {model.coef_.round(5)}, intercept {model.intercept_:.4f}")

# %%
# The picture: the line of the first part with its 95 % bands, narrow for the line, wide for the next measurement.
figure, axes = plt.subplots(figsize=(6.5, 3.8), layout="constrained")
at = np.linspace(-2, 12, 100)
x = np.linspace(0, 10, 21)
axes.fill_between(at, *line.prediction_band(at), color="0.9", label="95 % of measurements (error of the last one)")
axes.fill_between(at, *line.confidence_band(at), color="0.7", label="95 %: here is the line")
axes.plot(at, line.intercept + line.slope * at, color="black", label="fitted line")
axes.errorbar(x, y_line, sigma, fmt="o", color="tab:orange", markersize=4, label="measured, with its error")
axes.set(xlabel="x", ylabel="y")
axes.legend(fontsize="small")
plt.show()
