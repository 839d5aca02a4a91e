"""
What A x + b does to mean and covariance; a table with gaps
===========================================================
"""

import matplotlib.pyplot as plt
import numpy as np

import mmlfast as mf

rng = np.random.default_rng(0)
x = rng.standard_normal((100_000, 2)) @ np.array([[2.0, 0.0], [1.0, 1.0]]) + [1.0, -2.0]

# %%
# Degrees Celsius to Fahrenheit in the first column; the second one is the sum of both.
A = np.array([[1.8, 0.0], [1.0, 1.0]])
b = np.array([32.0, 0.0])
moved = mf.stats.affine_moments(mf.stats.mean(x), mf.stats.covariance(x), A, b)
y = x @ A.T + b
print("mean and covariance after the map, from those before it:")
print(np.round(moved.mean, 3), np.round(moved.covariance, 3).tolist())
print("and from the mapped table:")
print(np.round(mf.stats.mean(y), 3), np.round(mf.stats.covariance(y), 3).tolist())

# %%
# Each entry of the covariance of a table with gaps is taken from the rows that have both columns.
gaps = x.copy()
gaps[rng.random(gaps.shape) < 0.3] = np.nan
print("covariance with three numbers in ten missing:")
print(
    np.round(mf.stats.covariance(gaps, nan_policy="omit"), 2).tolist(),
    "all there:",
    np.round(mf.stats.covariance(x), 2).tolist(),
)

# %%
# The picture: the cloud before and after. An ellipse of one deviation comes from a mean and a covariance alone, and it
# sits where the mapped points are.
figure, axes = plt.subplots(1, 2, figsize=(7, 3.4), layout="constrained")
circle = np.stack([np.cos(angle := np.linspace(0, 2 * np.pi, 100)), np.sin(angle)])
before = mf.stats.mean(x), mf.stats.covariance(x)
titles = "Celsius and another number", "Fahrenheit and their sum"
for panel, points, (mean, covariance), title in zip(axes, (x, y), (before, moved), titles, strict=True):
    panel.plot(*points[:800].T, ".", color="0.7", markersize=3)
    panel.plot(*(mean[:, None] + mf.linalg.cholesky(covariance) @ circle), color="black")
    panel.annotate("one deviation", mean, ha="center")
    panel.set(title=title, xlabel="first column", ylabel="second column")
plt.show()
