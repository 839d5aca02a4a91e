"""
Principal components 1: statistics of data
==========================================

A data set is a cloud of points. Its mean says where the cloud is, its covariance how far it spreads and in which
directions. This page computes both, updates them when a point comes, and says what happens to them when all points
are moved.
"""

# %%
# Mean and covariance
# -------------------
# Samples are rows.
#
# .. math:: \bar x = \frac{1}{N} \sum_n x_n, \qquad
#           S = \frac{1}{N - 1} \sum_n (x_n - \bar x)(x_n - \bar x)^T.
import matplotlib.pyplot as plt
import numpy as np

import mmlfast as mf

rng = np.random.default_rng(2)
points = rng.normal(size=(400, 2)) @ np.array([[2.0, 0.6], [0.0, 0.5]]) + [3.0, 1.0]
mean, covariance = mf.stats.mean(points), mf.stats.covariance(points)
print("mean:", mean.round(2))
print("covariance:\n", covariance.round(2))
assert np.allclose(covariance, np.cov(points.T))

# %%
# The covariance as a picture is an ellipse: its axes are the eigenvectors, their half lengths the standard deviations
# along them.
values, vectors = mf.linalg.eigh(covariance)
circle = np.stack([np.cos(np.linspace(0, 7, 200)), np.sin(np.linspace(0, 7, 200))])
figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
axes.plot(*points.T, ".", color="0.75", markersize=4)
for k in (1, 2):
    ellipse = mean + (vectors @ (k * np.sqrt(values)[:, None] * circle)).T
    axes.plot(*ellipse.T, color="black", linewidth=1)
    axes.annotate(f"{k} sd", ellipse[np.argmax(ellipse[:, 0])], textcoords="offset points", xytext=(4, 0))
axes.plot(*mean, "o", color="tab:blue")
axes.annotate("mean", mean, textcoords="offset points", xytext=(5, 5), color="tab:blue")
axes.set(aspect="equal", xlabel="first number", ylabel="second number", title="A cloud and its covariance")
plt.show()

# %%
# N or N - 1?
# -----------
# Texts about data that are all there is divide by N, statistics about data that stand for more divides by N - 1.
# `ddof` says what is subtracted from N, and 1 is what you get if you say nothing.
assert np.isclose(mf.stats.variance(points[:, 0], ddof=0), np.var(points[:, 0]))
assert np.isclose(mf.stats.variance(points[:, 0]), np.var(points[:, 0], ddof=1))

# %%
# One point more
# --------------
# The mean and the covariance of N points and one more follow from those of the N: nothing has to be read again.
# `Moments` keeps what is needed, takes points in and out, and joins with the moments of others.
moments = mf.stats.Moments()
for part in (points[:100], points[100:250], points[250:]):
    moments.update(part)
assert np.allclose(moments.mean, mean, rtol=1e-14)
assert np.allclose(moments.covariance(), covariance, rtol=1e-13)
moments.update(np.array([[50.0, 50.0]]))
moments.downdate(np.array([[50.0, 50.0]]))
assert np.allclose(moments.covariance(), covariance, rtol=1e-9)

# %%
# All points moved
# ----------------
# When every point goes to A x + b, so does the mean; the covariance only knows about A.
#
# .. math:: \bar x \to A \bar x + b, \qquad S \to A S A^T.
a, b = np.array([[1.0, 2.0], [0.0, -1.0]]), np.array([10.0, 20.0])
moved_mean, moved_covariance = mf.stats.affine_moments(mean, covariance, a, b)
moved = points @ a.T + b
assert np.allclose(moved_mean, mf.stats.mean(moved))
assert np.allclose(moved_covariance, mf.stats.covariance(moved))
print("covariance of the moved points:\n", moved_covariance.round(2))

# %%
# What usually goes wrong
# -----------------------
# - **Mean of the squares minus square of the mean.** Far from zero nothing right remains of it; it can even be
#   negative.
# - **Bytes.** The sum of the pixels of an image does not fit into a byte, nor their squares. Integers become float64
#   here.
# - **Variables in rows.** `numpy.cov` takes them so; here samples are rows, in every function.
far = points[:, 0] + 1e9
naive = np.mean(far**2) - np.mean(far) ** 2
print("variance:", mf.stats.variance(far, ddof=0).round(6), " by the squares:", naive)
assert np.isclose(mf.stats.variance(far), mf.stats.variance(points[:, 0]), rtol=1e-6)

# %%
# Exercises
# ---------
# 1. The numbers 1, 2, 3, 4 have which variance, dividing by N and by N - 1?
# 2. Temperatures have variance 9 in degrees Celsius. And in Fahrenheit, F = 1.8 C + 32?
# 3. Five numbers have mean 4. A sixth one, 10, arrives: what is the mean now?
# 4. Can [[1, 2], [2, 1]] be a covariance?
#
# The answers, checked:
four = np.array([1.0, 2.0, 3.0, 4.0])
assert mf.stats.variance(four, ddof=0) == 1.25
assert np.isclose(mf.stats.variance(four), 5 / 3)
fahrenheit = mf.stats.affine_moments([20.0], [[9.0]], [[1.8]], [32.0])
assert np.allclose([*fahrenheit[0], *fahrenheit[1].ravel()], [68.0, 29.16])
assert np.isclose((5 * 4 + 10) / 6, 5)
assert mf.linalg.eigvalsh(np.array([[1.0, 2.0], [2.0, 1.0]]))[0] < 0
print("1. 1.25 and 1.67   2. 29.16   3. 5   4. no: a variance along (1, -1) would be negative")
