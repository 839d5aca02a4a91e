"""
Principal components 2: inner products
======================================

Length, distance and angle follow from one thing, the inner product, and there are many of them. Choosing one is
choosing what "similar" means: which photographs are near, whether a metre counts as much as a kilogram, how far a
point is from a cloud.
"""

# %%
# Any symmetric positive definite matrix
# --------------------------------------
# .. math:: \langle x, y \rangle = x^T A y, \qquad \lVert x \rVert = \sqrt{\langle x, x \rangle}, \qquad
#           d(x, y) = \lVert x - y \rVert.
#
# All functions of `geometry` take such an A as `metric`; without one, it is the dot product.
import matplotlib.pyplot as plt
import numpy as np

import mmlfast as mf

x, y = np.array([1.0, 1.0]), np.array([-1.0, 1.0])
metric = np.array([[2.0, 0.8], [0.8, 1.0]])
for name, a in (("dot product", None), ("with A", metric)):
    lengths = mf.geometry.norm(np.stack([x, y]), metric=a)
    angle = mf.geometry.angle(x, y, metric=a)
    print(f"{name}: lengths {lengths.round(3)}, angle {np.degrees(angle):.1f}")
print("is [[1, 2], [2, 1]] one?", mf.geometry.is_inner_product(np.array([[1.0, 2.0], [2.0, 1.0]])))

# %%
# Every inner product has its own circles: the points at distance one from the origin.
t = np.linspace(0, 2 * np.pi, 200)
directions = np.stack([np.cos(t), np.sin(t)], axis=1)
figure, axes = plt.subplots(figsize=(4.6, 3.8), layout="constrained")
for a, style, name in ((None, "--", "dot product"), (metric, "-", "with A")):
    circle = directions / mf.geometry.norm(directions, metric=a)[:, None]
    axes.plot(*circle.T, color="black", linestyle=style)
    axes.annotate(name, circle[25 if a is None else 60], textcoords="offset points", xytext=(6, 4))
axes.set(aspect="equal", xlabel="first number", ylabel="second number", title="Circles of two inner products")
axes.set(xlim=(-1.6, 1.8), ylim=(-1.6, 1.7))
plt.show()

# %%
# How far from a cloud?
# ---------------------
# In a cloud that is long and thin, a step along it is small and a step across it is large. The inner product that
# knows this has the inverse of the covariance as its matrix (Mahalanobis); `Mahalanobis` takes the covariance itself.
rng = np.random.default_rng(3)
cloud = rng.normal(size=(500, 2)) @ np.array([[3.0, 1.0], [0.0, 0.4]])
ruler = mf.geometry.Mahalanobis(mf.stats.covariance(cloud))
along, across = np.array([3.0, 1.0]), np.array([-1.0, 3.0])
for name, step in (("along", along), ("across", across)):
    deviations = mf.geometry.norm(step, metric=ruler)
    print(f"{name}: length {mf.geometry.norm(step):.2f}, that is {deviations:.2f} standard deviations")
assert mf.geometry.norm(along, metric=ruler) < 2 < mf.geometry.norm(across, metric=ruler)

# %%
# Nearest images
# --------------
# An image is a vector of its pixels. Which digit is this? That of most of its nearest neighbours.
from sklearn.datasets import load_digits

digits = load_digits()
known, unknown = digits.data[:1500], digits.data[1500:]
found = mf.geometry.knn(unknown, known, 5)
votes = digits.target[:1500][found.indices]
guess = np.array([np.bincount(v).argmax() for v in votes])
right = np.mean(guess == digits.target[1500:])
print(f"recognised: {100 * right:.1f} %")
assert right > 0.95

show = [0, 5, 9]
figure, all_axes = plt.subplots(len(show), 6, figsize=(6.4, 3.4), layout="constrained")
for row, i in zip(all_axes, show, strict=True):
    pictures = [unknown[i], *known[found.indices[i]]]
    titles = ["asked", *(f"{d:.0f} away" for d in found.distances[i])]
    for axes, picture, title in zip(row, pictures, titles, strict=True):
        axes.imshow(picture.reshape(8, 8), cmap="gray_r")
        axes.set(xticks=[], yticks=[])
        axes.set_title(title, fontsize=9)
plt.show()

# %%
# Functions, too
# --------------
# Two functions have an inner product, the integral of their product. On a grid it is a sum with weights, and weights
# are a metric. Sine and cosine are at right angles.
grid, step = np.linspace(0, 2 * np.pi, 2001, retstep=True)
weights = np.full(2001, step)
weights[[0, -1]] = step / 2
print("angle of sine and cosine:", np.degrees(mf.geometry.angle(np.sin(grid), np.cos(grid), metric=weights)).round(6))
assert np.isclose(mf.geometry.inner(np.sin(grid), np.sin(grid), metric=weights), np.pi)

# %%
# What usually goes wrong
# -----------------------
# - **Distances by |x|^2 - 2 x y + |y|^2.** For near points far from the origin no digit is left, and neighbours are
#   lost.
# - **The inverse of a covariance that has none**, of shares that add up to one for instance: distances in it are
#   noise. Here such a matrix is refused, and `Mahalanobis` measures in the dimensions that there are.
# - **One column in metres, one in kilograms.** The sum of their squares depends on the units. A metric says what
#   counts.
far = 1e8 + np.array([[0.0], [0.25], [1.0]])
print("distances far from the origin:", mf.geometry.cdist(far[:1], far).ravel())
assert np.array_equal(mf.geometry.cdist(far[:1], far).ravel(), [0, 0.25, 1])

# %%
# Exercises
# ---------
# 1. In the inner product of [[1, 0.5], [0.5, 1]], what is the length of (1, 1)? And of (1, -1)?
# 2. Find a vector at right angles to (1, 0) in the inner product of [[2, 1], [1, 1]].
# 3. Are x and x^2 at right angles on [-1, 1]?
#
# The answers, checked:
half = np.array([[1.0, 0.5], [0.5, 1.0]])
assert np.allclose(mf.geometry.norm(np.array([[1.0, 1.0], [1.0, -1.0]]), metric=half), [np.sqrt(3), 1])
assert np.isclose(mf.geometry.inner([1.0, 0.0], [1.0, -2.0], metric=np.array([[2.0, 1.0], [1.0, 1.0]])), 0)
z, w = np.linspace(-1, 1, 1001), np.full(1001, 0.002)
assert abs(mf.geometry.inner(z, z**2, metric=w)) < 1e-12
print("1. the square root of 3, and 1   2. (1, -2)   3. yes: odd times even")
