"""Step 5: iris flowers, projected onto two planes: the one of largest variance, and the one that tells species apart.

The first plane is spanned by the two dominant eigenvectors of the covariance and the projection is orthogonal in the
dot product. The second goes through the means of the three species, and the projection is orthogonal in the inner
product <x, y> = x' W^-1 y with W the covariance within species. In that metric the nearest mean is the species that
linear discriminant analysis chooses (R. A. Fisher, The use of multiple measurements in taxonomic problems, Annals of
Eugenics 7 (1936) 179, where these flowers come from).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

import mmlfast as mf
from mmlfast.tour._frame import Tour

Array = np.ndarray[Any, Any]


def run(tour: Tour) -> None:
    iris = load_iris()
    within = _covariances(tour, iris.data)
    plane = _largest_variance(tour, iris.data)
    flat = _between_species(tour, iris.data, iris.target, within)
    _picture(tour, list(iris.target_names), plane, flat)


def _covariances(tour: Tour, x: Array) -> Array:
    """The covariance of each species."""
    tour.say("covariances of the species")
    species = x.reshape(3, 50, 4)  # the flowers are sorted by species
    within: Array = mf.stats.covariance(species)
    times = tour.race(
        lambda: mf.stats.covariance(species),
        lambda: [np.cov(flowers, rowvar=False) for flowers in species],
        peer="numpy.cov, three times",
        seconds=0.4,
    )
    expected = np.array([np.cov(flowers, rowvar=False) for flowers in species])
    tour.check(
        "covariance: 3 species of 50 flowers, 4 lengths each",
        error=float(np.abs(within - expected).max() / np.abs(expected).max()),
        limit=1e-14,
        times=times,
    )
    return within


def _largest_variance(tour: Tour, x: Array) -> Array:
    """Coordinates in the plane of the two dominant eigenvectors of the covariance."""
    tour.say("the plane of largest variance")
    cov = mf.stats.covariance(x)
    first = mf.linalg.power_iteration(cov, tol=1e-13)
    second = mf.linalg.power_iteration(cov - first.value * np.outer(first.vector, first.vector), tol=1e-13)
    axes = np.column_stack([first.vector, second.vector])
    plane = mf.geometry.project(x - mf.stats.mean(x), axes, coordinates=True)

    pca = PCA(n_components=2, svd_solver="full").fit(x)
    values = np.array([first.value, second.value])
    tour.check(
        "power_iteration: the two largest variances, beside PCA",
        error=float(np.abs(values / pca.explained_variance_ - 1).max()),
        limit=1e-12,
    )
    signs = np.sign(np.sum(axes.T * pca.components_, axis=1))
    tour.check(
        "project: coordinates in their plane, beside PCA",
        error=float(np.abs(plane * signs - pca.transform(x)).max()),
        limit=1e-10,
    )
    return plane


def _between_species(tour: Tour, x: Array, labels: Array, within: Array) -> Array:
    """Coordinates in the plane of the means, such that distances in it are those of the metric."""
    tour.say("the plane that tells species apart")
    centred = x - mf.stats.mean(x)
    pooled = within.mean(axis=0)
    metric = mf.linalg.inv(pooled)
    means = mf.stats.mean(x.reshape(3, 50, 4))
    basis = (means[1:] - means[0]).T
    between = mf.geometry.project(centred, basis, metric=metric, coordinates=True)

    # In W^-1 the length of x is the Euclidean length of root' x, and least squares there is the projection.
    root = np.linalg.cholesky(np.linalg.inv(pooled))
    expected = np.linalg.lstsq(root.T @ basis, root.T @ centred.T)[0].T
    tour.check(
        "project with a metric: coordinates in the plane of the species, beside numpy.linalg.lstsq",
        error=float(np.abs(between - expected).max() / np.abs(expected).max()),
        limit=1e-12,
    )
    flat = between @ np.linalg.cholesky(basis.T @ metric @ basis)
    flat_means = mf.stats.mean(flat.reshape(3, 50, 2))
    nearest = np.argmin(np.sum((flat[:, None] - flat_means) ** 2, axis=-1), axis=1)
    judged = LinearDiscriminantAnalysis().fit(x, labels).predict(x)
    tour.check(
        f"flowers whose nearest species is not that of LinearDiscriminantAnalysis ({np.sum(nearest == labels)} right)",
        error=float(np.sum(nearest != judged)),
        limit=0,
    )
    return np.asarray(flat)


def _picture(tour: Tour, names: list[str], plane: Array, flat: Array) -> None:
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    figure.suptitle("150 iris flowers of three species, projected from four dimensions onto two planes", fontsize=14)
    left, right = figure.subplots(1, 2)
    _scatter(left, names, plane)
    left.set(
        title="The plane of largest variance",
        xlabel="along the first eigenvector (cm)",
        ylabel="along the second eigenvector (cm)",
    )
    _scatter(right, names, flat)
    right.set(
        title="The plane of the species' means, in the metric $W^{-1}$",
        xlabel="standard deviations within species",
        ylabel="standard deviations within species",
    )
    tour.save(figure, "iris-planes")


def _scatter(axes: Axes, names: list[str], points: Array) -> None:
    """The points of each species, with the ellipse of two standard deviations from their covariance."""
    covariances = mf.stats.covariance(points.reshape(3, 50, 2))
    angle = np.linspace(0, 2 * np.pi, 100)
    circle = np.array([np.cos(angle), np.sin(angle)])
    for k, name in enumerate(names):
        own = points[50 * k : 50 * (k + 1)]
        axes.scatter(own[:, 0], own[:, 1], s=14, alpha=0.7, label=name)
        ellipse = own.mean(axis=0)[:, None] + 2 * np.linalg.cholesky(covariances[k]) @ circle
        axes.plot(*ellipse, color=f"C{k}", linewidth=1)
    axes.set_aspect("equal", adjustable="datalim")
    axes.grid(alpha=0.3)
    axes.legend()
