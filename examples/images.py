"""
Means, covariances and main components of images
================================================

An image is a point: its pixels are its coordinates. So images have a mean and a covariance, and few directions in which
most of their differences lie.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import mmlfast as mf

data = load_digits()
images, labels = data.data, data.target  # a row for each image: 1797 of 8 x 8 pixels

# %%
# The mean of all images, and of each digit. The covariance of one pixel with all others is an image too.
mean = mf.stats.mean(images)
by_digit = mf.stats.mean(images, groups=labels)
covariance = mf.stats.covariance(images)
figure, axes = plt.subplots(2, 6, figsize=(8, 2.9), layout="constrained")
shown = [mean, *by_digit.values, covariance[36]]
titles = ["all", *(f"mean of {digit}" for digit in by_digit.groups), "with pixel 36"]
for panel, image, title in zip(axes.flat, shown, titles, strict=True):
    panel.imshow(image.reshape(8, 8), cmap="Greys")
    panel.set(xticks=[], yticks=[])
    panel.set_title(title, fontsize="small")

# %%
# Pixels of the border never vary: the covariance has no inverse, and its rank says how many numbers an image really
# has.
print(f"{len(covariance)} pixels, rank of the covariance {mf.linalg.matrix_rank(covariance)}")

# %%
# Directions in which images differ most, as images (of faces they are called eigenfaces), and what an image keeps of
# itself when it is projected onto the first few.
pca = mf.decomposition.PCA(40).fit(images)
figure, axes = plt.subplots(2, 6, figsize=(8, 2.9), layout="constrained")
for panel, direction, share in zip(axes[0], pca.components_, pca.explained_variance_ratio_, strict=False):
    panel.imshow(direction.reshape(8, 8), cmap="Greys")
    panel.set_title(f"{100 * share:.0f} % of variance", fontsize="small")
one = images[3] - mean
for panel, k in zip(axes[1], (1, 3, 6, 12, 24, 40), strict=True):
    again = mean + mf.geometry.project(one, pca.components_[:k].T)
    panel.imshow(again.reshape(8, 8), cmap="Greys", vmin=0, vmax=16)
    panel.set_title(f"a {labels[3]} from {k} numbers", fontsize="small")
for panel in axes.flat:
    panel.set(xticks=[], yticks=[])

# %%
# The loss falls with each component, and is the variance that is left over.
sizes = np.arange(1, 41)
losses = [mf.geometry.reconstruction_error(images - mean, pca.components_[:k].T) for k in sizes]
lost = [np.mean(loss**2) for loss in losses]
left = covariance.trace() - np.cumsum(pca.explained_variance_)
print("loss = variance left over:", np.allclose(lost, left * (len(images) - 1) / len(images)))
figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
axes.plot(sizes, 100 * np.array(lost) / lost[0], "k.-")
axes.set(xlabel="components kept", ylabel="squared loss (% of that with one)", title="how much of the images is lost")

# %%
# More pixels than images: eighty images, each made larger to 64 x 64 pixels. The covariance of the 4096 pixels has at
# most 79 variances that are not zero, and they are those of the small matrix of inner products between the images.
few = np.kron(images[:80].reshape(-1, 8, 8), np.ones((8, 8))).reshape(80, -1)
centred = few - mf.stats.mean(few)
small = mf.linalg.eigvalsh(mf.linalg.matmul(centred, centred.T) / 79)[::-1][:10]
large = mf.decomposition.PCA(10).fit(few).explained_variance_
print("the same variances by a 80 x 80 matrix:", np.allclose(small, large))

# %%
# Which digit is this? That of the images next to it.
nearest = mf.geometry.knn(images[1000:], images[:1000], 5).indices
votes = np.array([np.bincount(row).argmax() for row in labels[:1000][nearest]])
print(f"five nearest images: {np.mean(votes == labels[1000:]):.1%} of {len(votes)} digits read correctly")
plt.show()
