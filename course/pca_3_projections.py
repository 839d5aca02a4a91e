"""
Principal components 3: orthogonal projections
==============================================

What is the point of a line, of a plane, of any subspace that is nearest to a given point? The one from which the way
to it stands at right angles to the subspace. Least squares, compressed faces and principal components are this one
idea.
"""

# %%
# On a line
# ---------
# .. math:: \pi(x) = b \, \frac{b^T x}{b^T b}
import itertools

import matplotlib.pyplot as plt
import numpy as np

import mmlfast as mf

rng = np.random.default_rng(4)
points = rng.normal(size=(12, 2)) @ np.array([[1.6, 0.5], [0.0, 0.7]])
line = np.array([[2.0], [1.0]])  # a basis has its vectors in columns
shadows = mf.geometry.project(points, line)
figure, axes = plt.subplots(figsize=(5.6, 3.6), layout="constrained")
axes.plot([-4, 4], [-2, 2], color="0.6", linestyle="--")
for x, shadow in zip(points, shadows, strict=True):
    axes.plot(*np.stack([x, shadow]).T, color="0.6", linewidth=1)
axes.plot(*points.T, "o", color="black")
axes.plot(*shadows.T, "o", color="tab:blue", markersize=5)
axes.text(2.5, 0.8, "the line")
axes.annotate("point", points[0], textcoords="offset points", xytext=(6, 4))
axes.annotate("its projection", shadows[0], textcoords="offset points", xytext=(6, -12), color="tab:blue")
axes.set(aspect="equal", xlabel="first number", ylabel="second number", xlim=(-4, 4), ylim=(-2, 2.4))
axes.set_title("The nearest points of a line")
plt.show()
assert np.allclose((points - shadows) @ line, 0)

# %%
# On a subspace
# -------------
# With the basis vectors in the columns of B, the coordinates solve the normal equations, and P is the projection
# matrix.
#
# .. math:: B^T B \, \lambda = B^T x, \qquad \pi(x) = B \lambda = P x, \qquad P = B (B^T B)^{-1} B^T.
basis = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 3.0]])
x = np.array([1.0, 5.0, 3.0])
coordinates = mf.geometry.project(x, basis, coordinates=True)
print("coordinates:", coordinates, " projection:", mf.geometry.project(x, basis))
p = mf.geometry.projection_matrix(basis)
assert np.allclose(p @ x, basis @ coordinates)
assert np.allclose((x - p @ x) @ basis, 0)
assert np.allclose(p @ p, p)
assert np.allclose(p, p.T)

# %%
# This is a straight line through three points, too: the columns of B are the powers 0 and 1 of 0, 1, 3, and the
# projection has the heights of the line there. Least squares is a projection of the data on what the model can say.
assert np.allclose(mf.linalg.lstsq(basis, x).x, coordinates)

# %%
# Faces from few numbers
# ----------------------
# The means of images and their main differences span a subspace; what an image is on it takes few numbers. Here with
# digits: the more directions, the nearer the projection.
from sklearn.datasets import load_digits

images = load_digits().data
mean = mf.stats.mean(images)
directions = mf.linalg.eigh(mf.stats.covariance(images)).eigenvectors[:, ::-1]  # largest first
sizes = [1, 4, 12, 32, 64]
figure, all_axes = plt.subplots(2, len(sizes) + 1, figsize=(7.2, 2.8), layout="constrained")
for row, image in zip(all_axes, images[[3, 8]], strict=True):
    projected = [mean + mf.geometry.project(image - mean, directions[:, :k]) for k in sizes]
    for axes, picture, title in zip(row, [image, *projected], ["image", *map(str, sizes)], strict=True):
        axes.imshow(picture.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
        axes.set(xticks=[], yticks=[])
        axes.set_title(title, fontsize=9)
figure.supxlabel("number of directions", fontsize=9)
plt.show()
errors = [mf.geometry.reconstruction_error(images - mean, directions[:, :k]).mean() for k in sizes]
print("mean error:", np.round(errors, 2))
assert all(a > b for a, b in itertools.pairwise(errors))

# %%
# What usually goes wrong
# -----------------------
# - **The projection matrix of images.** For 64 x 64 pixels it has 16 million entries, and is never needed: `project`
#   multiplies by the basis twice.
# - **The inverse of B'B.** With nearly dependent vectors half of the digits are lost, and all of them soon after.
#   `project` goes by an orthogonal basis.
# - **Forgetting the mean.** A subspace goes through the origin; a cloud does not. Subtract the mean before, add it
#   after.
nearly = np.array([[1.0, 1.0], [0.0, 1e-9], [0.0, 0.0]])
print("projection on two nearly equal vectors:", mf.geometry.project(np.array([2.0, 3.0, 4.0]), nearly))
assert np.allclose(mf.geometry.project(np.array([2.0, 3.0, 4.0]), nearly), [2, 3, 0])

# %%
# Exercises
# ---------
# 1. Project (1, 2) on the line along (1, 1).
# 2. What is the distance of (1, 1, 1) from the plane x + 2 y + 2 z = 0?
# 3. Which eigenvalues has a projection matrix?
#
# The answers, checked:
assert np.allclose(mf.geometry.project(np.array([1.0, 2.0]), np.array([[1.0], [1.0]])), [1.5, 1.5])
plane = mf.linalg.null_space(np.array([[1.0, 2.0, 2.0]]))
distance = mf.geometry.norm(np.ones(3) - mf.geometry.project(np.ones(3), plane))
assert np.isclose(distance, 5 / 3)
assert np.allclose(mf.linalg.eigvalsh(p), [0, 1, 1])
print(f"1. (1.5, 1.5)   2. {distance:.3f}   3. zeros and ones")
