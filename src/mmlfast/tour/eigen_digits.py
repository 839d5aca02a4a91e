"""Step 3: eigen-digits, the directions in which images of digits vary most.

Covariance of the images, its dominant eigenvectors one after the other by power iteration with deflation (a found
direction is subtracted from the matrix: G. H. Golub and C. F. Van Loan, Matrix Computations, 4th ed., section 7.3.1),
projection of the images onto the first k of them, and the error of that reconstruction for every k. Principal component
analysis, in short: scikit-learn's full singular value decomposition is the judge.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

import mmlfast as mf
from mmlfast.tour._frame import Tour

Array = np.ndarray[Any, Any]


def run(tour: Tour) -> None:
    count = 16 if tour.quick else 32
    images = load_digits().data
    mean = mf.stats.mean(images)
    cov = _covariance(tour, images)
    pca = PCA(n_components=count, svd_solver="full").fit(images)
    values, basis = _eigen_digits(tour, images, cov, pca)
    _projection(tour, images, mean, basis, pca)
    reconstructions, errors = _reconstructions(tour, images - mean, basis, np.linalg.eigvalsh(cov)[::-1])
    _eigen_digits_picture(tour, mean, basis, values / np.trace(cov))
    _reconstruction_picture(tour, images, mean + reconstructions)
    _error_picture(tour, errors, images - mean, pca)


def _covariance(tour: Tour, images: Array) -> Array:
    tour.say("covariance of the digits")
    cov: Array = mf.stats.covariance(images)
    times = tour.race(lambda: mf.stats.covariance(images), lambda: np.cov(images, rowvar=False), peer="numpy.cov")
    exact = _exact_covariance(images)
    scale = np.abs(exact).max()
    peer_error = np.abs(np.cov(images, rowvar=False) - exact).max() / scale
    tour.check(
        f"covariance: {len(images)} images of 64 pixels, beside exact integers (numpy.cov: {peer_error:.1e})",
        error=float(np.abs(cov - exact).max() / scale),
        limit=1e-14,
        times=times,
    )
    return cov


def _eigen_digits(tour: Tour, images: Array, cov: Array, pca: PCA) -> tuple[Array, Array]:
    count = pca.n_components
    tour.say(f"{count} eigen-digits by power iteration")
    values, basis = _dominant_eigenpairs(cov, count)
    times = tour.race(
        lambda: _dominant_eigenpairs(mf.stats.covariance(images), count),
        lambda: PCA(n_components=count, svd_solver="full").fit(images),
        peer='PCA(svd_solver="full")',
    )
    expected = np.linalg.eigvalsh(cov)[::-1][:count]
    tour.check(
        f"power_iteration: the {count} largest eigenvalues, beside numpy.linalg.eigvalsh",
        error=float(np.abs(values / expected - 1).max()),
        limit=1e-10,
    )
    # A gap of 1 % between eigenvalues multiplies the residual that power iteration stops at by 100.
    signs = np.sign(np.sum(basis.T * pca.components_, axis=1))
    tour.check(
        "covariance and power_iteration: the eigen-digits up to their signs",
        error=float(np.abs(basis.T - signs[:, None] * pca.components_).max()),
        limit=1e-7,
        times=times,
    )
    return values, basis


def _projection(tour: Tour, images: Array, mean: Array, basis: Array, pca: PCA) -> None:
    tour.say("projecting onto the eigen-digits")
    projected = mean + mf.geometry.project(images - mean, basis)
    expected = pca.inverse_transform(pca.transform(images))
    times = tour.race(
        lambda: mean + mf.geometry.project(images - mean, basis),
        lambda: pca.inverse_transform(pca.transform(images)),
        peer="PCA.inverse_transform(transform)",
    )
    tour.check(
        f"project: all images onto {basis.shape[1]} eigen-digits",
        error=float(np.abs(projected - expected).max() / np.abs(expected).max()),
        limit=1e-7,
        times=times,
    )


def _reconstructions(tour: Tour, centred: Array, basis: Array, spectrum: Array) -> tuple[Array, Array]:
    """The images from their first k eigen-digits for each k, and the mean squared error of each."""
    count = basis.shape[1]
    reconstructions = np.array([mf.geometry.project(centred, basis[:, :k]) for k in range(1, count + 1)])
    errors = np.mean(np.sum((centred - reconstructions) ** 2, axis=-1), axis=-1)
    # The mean squared error is the variance that is left out (the eigenvalues divide by n - 1, the mean by n).
    n = len(centred)
    left_out = (spectrum.sum() - np.cumsum(spectrum)[:count]) * (n - 1) / n
    tour.check(
        "reconstruction error for each k, beside the eigenvalues left out",
        error=float(np.abs(errors / left_out - 1).max()),
        limit=1e-10,
    )
    return reconstructions, errors


def _exact_covariance(images: Array) -> Array:
    """Pixels are small integers, so the sums are exact: the only rounding is that of the division."""
    x = images.astype(np.int64)
    n = len(x)
    sums = x.sum(axis=0)
    return np.asarray((n * (x.T @ x) - np.outer(sums, sums)) / (n * (n - 1)))


def _dominant_eigenpairs(a: Array, count: int) -> tuple[Array, Array]:
    """The `count` largest eigenvalues of a covariance, and their vectors as columns."""
    rest = a.copy()
    values, vectors = [], []
    for _ in range(count):
        value, vector, *_ = mf.linalg.power_iteration(rest, tol=1e-11, max_iter=100_000)
        values.append(float(value))
        vectors.append(vector)
        rest -= value * np.outer(vector, vector)
    return np.array(values), np.array(vectors).T


def _eigen_digits_picture(tour: Tour, mean: Array, basis: Array, shares: Array) -> None:
    figure = Figure(figsize=(11, 3.9), layout="constrained")
    figure.suptitle("The mean digit and the first eigen-digits, with the share of the variance of each", fontsize=14)
    panels = figure.subplots(2, 8)
    bound = np.abs(basis[:, :15]).max()
    for k, axes in enumerate(panels.flat):
        if k == 0:
            axes.imshow(mean.reshape(8, 8), cmap="gray_r")
            axes.set_title("mean")
        else:
            drawn = axes.imshow(basis[:, k - 1].reshape(8, 8), cmap="RdBu_r", vmin=-bound, vmax=bound)
            axes.set_title(f"{k}: {100 * shares[k - 1]:.1f} %")
        axes.set_xticks([])
        axes.set_yticks([])
    figure.colorbar(drawn, ax=panels, label="pixel of the eigen-digit", shrink=0.8)
    tour.save(figure, "eigen_digits")


def _reconstruction_picture(tour: Tour, images: Array, reconstructions: Array) -> None:
    shown = [k for k in (1, 2, 4, 8, 16, 32) if k <= len(reconstructions)]
    figure = Figure(figsize=(11, 1.15 * (len(shown) + 1) + 0.6), layout="constrained")
    figure.suptitle("Ten digits from their projections onto the first k eigen-digits", fontsize=14)
    panels = figure.subplots(len(shown) + 1, 10)
    rows = {f"k = {k}": reconstructions[k - 1] for k in shown} | {"image": images}
    for line, (name, row) in zip(panels, rows.items(), strict=True):
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=12)
        for axes, image in zip(line, row[:10], strict=True):
            axes.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
            axes.set_xticks([])
            axes.set_yticks([])
    tour.save(figure, "eigen_digits-reconstruction")


def _error_picture(tour: Tour, errors: Array, centred: Array, pca: PCA) -> None:
    ks = np.arange(1, len(errors) + 1)
    total = float(np.mean(np.sum(centred**2, axis=1)))
    left = total - np.cumsum(pca.explained_variance_) * (len(centred) - 1) / len(centred)
    figure = Figure(figsize=(8, 4.8), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, *ks], 100 * np.array([total, *errors]) / total, label="mmlfast: power iteration and projection")
    axes.plot(ks, 100 * left / total, "o", fillstyle="none", color="tab:red", label="scikit-learn: PCA, full SVD")
    axes.set(
        xlim=(0, None),
        ylim=(0, 102),
        xlabel="number of eigen-digits",
        ylabel="squared error, % of the variance",
        title="What is lost when an image keeps only k numbers",
    )
    axes.grid(alpha=0.3)
    axes.legend()
    tour.save(figure, "eigen_digits-error")
