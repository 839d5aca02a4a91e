"""
Principal components 4: principal component analysis
====================================================

Which few directions tell most about a cloud of points? Those with the largest variance; and they are the same as
those on which the projections are nearest to the points. Both questions have the eigenvectors of the covariance as
their answer.
"""

# %%
# Step by step
# ------------
# 1. Subtract the mean. 2. Take the covariance. 3. Take its eigenvectors, largest eigenvalue first. 4. Project.
#
# .. math:: S b = \lambda b, \qquad z = B^T (x - \bar x), \qquad \tilde x = \bar x + B z.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_iris

import mmlfast as mf

iris = load_iris()
mean = mf.stats.mean(iris.data)
values, vectors = mf.linalg.eigh(mf.stats.covariance(iris.data))
values, vectors = values[::-1], vectors[:, ::-1]
by_steps = (iris.data - mean) @ vectors[:, :2]

# %%
# In one call:
pca = mf.decomposition.PCA(n_components=2).fit(iris.data)
scores = pca.transform(iris.data)
print("share of the variance:", pca.explained_variance_ratio_.round(3))
assert np.allclose(pca.explained_variance_, values[:2])
assert np.allclose(np.abs(scores), np.abs(by_steps))  # the sign of an eigenvector is free

# %%
# Four measurements of 150 flowers, as a picture in two dimensions:
figure, axes = plt.subplots(figsize=(5.6, 3.8), layout="constrained")
for kind, (name, marker) in enumerate(zip(iris.target_names, "o^s", strict=True)):
    cloud = scores[iris.target == kind]
    axes.plot(*cloud.T, marker, color=str(0.15 + 0.3 * kind), markersize=5, fillstyle="none" if kind == 1 else "full")
    axes.annotate(name, (cloud[:, 0].mean(), cloud[:, 1].max() + 0.12), ha="center")
axes.set(
    xlabel="first component (cm)",
    ylabel="second component (cm)",
    title="Irises, from four dimensions to two",
    ylim=(-1.5, 1.8),
)
plt.show()

# %%
# What is lost
# ------------
# The mean squared distance between points and their projections is the sum of the eigenvalues that were left out (times
# (N - 1) / N), so the error of every number of components is known before any is computed.
errors = [
    np.mean(mf.geometry.norm(iris.data - mean - mf.geometry.project(iris.data - mean, vectors[:, :k])) ** 2)
    for k in (1, 2, 3)
]
left_out = np.array([values[k:].sum() for k in (1, 2, 3)]) * 149 / 150
print("errors:", np.round(errors, 4))
assert np.allclose(errors, left_out)

# %%
# More pixels than pictures
# -------------------------
# A face of 64 x 64 pixels is a vector of 4096 numbers, its covariance has 16 million. With N = 100 faces, at most 99
# directions have any variance, and the eigenvectors of the small N x N matrix give them: if X X' v = l v, then X' v
# is an eigenvector of X' X with the same l.
rng = np.random.default_rng(5)
rows, columns = np.mgrid[0:32, 0:32] / 31
shapes = np.stack(
    [np.sin(3 * rows), np.cos(5 * columns), rows * columns, np.exp(-9 * ((rows - 0.5) ** 2 + (columns - 0.4) ** 2))]
)
pictures = (rng.normal(size=(100, 4)) * [3, 2, 1.5, 1]) @ shapes.reshape(4, -1) + 0.05 * rng.normal(size=(100, 1024))
centred = pictures - mf.stats.mean(pictures)
small_values, small_vectors = mf.linalg.eigh(centred @ centred.T / 99)
high = mf.decomposition.PCA(n_components=6).fit(pictures)
assert np.allclose(small_values[::-1][:6], high.explained_variance_)
direction = centred.T @ small_vectors[:, -1]
assert np.isclose(abs(direction @ high.components_[0]), mf.geometry.norm(direction))

figure, all_axes = plt.subplots(1, 5, figsize=(7.4, 2.1), layout="constrained")
for i, axes in enumerate(all_axes):
    axes.imshow(high.components_[i].reshape(32, 32), cmap="gray")
    axes.set(xticks=[], yticks=[])
    axes.set_title(f"{i + 1}.  {100 * high.explained_variance_ratio_[i]:.1f} %", fontsize=9)
figure.suptitle("Four shapes were mixed in: four components have a picture, the fifth is noise", fontsize=10)
plt.show()

# %%
# What usually goes wrong
# -----------------------
# - **The general eigensolver.** `eig` of a covariance may give complex numbers and tiny negative variances; `eigh`
#   knows that it is symmetric.
# - **Far from the origin** a covariance by squares has lost all digits, and nothing is said. Here rows are centred
#   first.
# - **Different signs in two runs.** Both are right. `PCA` fixes them as scikit-learn does.
# - **More components than samples allow.** With N samples all variances beyond the first N - 1 are zero; dividing by
#   them (whitening) would divide by rounding errors.
# - **One column in millimetres.** It becomes the first component. Divide by the standard deviations if units differ.
few = mf.decomposition.PCA().fit(iris.data[:3])
print("three flowers:", few.explained_variance_)
assert few.explained_variance_[2] == 0
far = mf.decomposition.PCA(2).fit(iris.data + 1e8)
assert np.allclose(far.explained_variance_, values[:2], rtol=1e-6)

# %%
# Exercises
# ---------
# 1. The covariance is [[4, 0], [0, 1]]: which direction is the first component, and what share has it?
# 2. How many components explain 95 % of the digits of scikit-learn?
# 3. What is the covariance of the scores?
#
# The answers, checked:
share = 4 / (4 + 1)
from sklearn.datasets import load_digits

digits = mf.decomposition.PCA(n_components=0.95).fit(load_digits().data)
assert np.allclose(mf.stats.covariance(scores), np.diag(values[:2]), atol=1e-12)
print(f"1. (1, 0), {share:.0%}   2. {digits.n_components_}   3. diagonal, with the eigenvalues")
assert digits.explained_variance_ratio_.sum() >= 0.95
