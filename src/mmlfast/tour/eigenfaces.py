"""Step: faces as vectors, and the few directions that make most of them: more pixels than images.

With N images of D > N pixels the covariance matrix is D x D, of rank below N. The products of the images among
themselves, an N x N matrix, have the same information: that is the high-dimensional form of principal component
analysis, which `PCA` takes by itself. Faces are then projected onto the eigenfaces, and drawn from few numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn.decomposition import PCA

import mmlfast as mf
from mmlfast.tour._data import Images, faces
from mmlfast.tour._frame import Tour

Array = np.ndarray[Any, Any]


def run(tour: Tour) -> None:
    images = faces()
    x = images.pixels.astype(np.float64)
    pca = _eigenfaces(tour, images.name, x)
    shown = _rebuilt(tour, x, pca)
    _unseen(tour, x)
    _picture(tour, images, x, pca, shown)


def _eigenfaces(tour: Tour, name: str, x: Array) -> Any:
    n, d = x.shape
    tour.say(f"{n} images of {d} pixels")
    theirs = PCA(svd_solver="full").fit(x)
    pca = mf.decomposition.PCA().fit(x)
    times = tour.race(
        lambda: mf.decomposition.PCA().fit(x), lambda: PCA(svd_solver="full").fit(x), peer='PCA(svd_solver="full")'
    )
    tour.check(
        f"PCA: all {n - 1} variances of {name}, {n} x {d}, by {pca.solver_}",
        error=float(np.abs(pca.explained_variance_[:-1] / theirs.explained_variance_[:-1] - 1).max()),
        limit=1e-10,
        times=times,
    )
    tour.check(
        "the eigenfaces are orthonormal",
        error=float(np.abs(pca.components_ @ pca.components_.T - np.eye(n)).max()),
        limit=1e-13,
    )
    return pca


def _rebuilt(tour: Tour, x: Array, pca: Any) -> dict[int, Array]:
    """The images from their first k numbers, and how far they are: by projection, beside the variances left out."""
    tour.say("projecting onto the eigenfaces")
    counts = [k for k in (1, 10, 40, 150) if k < len(x)]
    centred = x - pca.mean_
    shown, worst = {}, 0.0
    for k in counts:
        basis = pca.components_[:k].T
        shown[k] = pca.mean_ + mf.geometry.project(centred, basis)
        distances = mf.geometry.reconstruction_error(centred, basis)
        left_out = pca.explained_variance_[k:].sum() * (len(x) - 1)
        worst = max(worst, abs(float((distances**2).sum()) / float(left_out) - 1))
    tour.check(
        "reconstruction_error: squares for 1 to 150 numbers, beside the variances left out", error=worst, limit=1e-10
    )
    return shown


def _unseen(tour: Tour, x: Array) -> None:
    """Scores of one half by the eigenfaces of the other half."""
    tour.say("faces that the eigenfaces have not seen")
    half = mf.decomposition.PCA(50).fit(x[::2])
    theirs = PCA(50, svd_solver="full").fit(x[::2])
    expected = theirs.inverse_transform(theirs.transform(x[1::2]))
    tour.check(
        "inverse_transform(transform): the other half of the images by 50 eigenfaces, beside scikit-learn",
        error=float(np.abs(half.inverse_transform(half.transform(x[1::2])) - expected).max() / np.abs(expected).max()),
        limit=1e-8,
    )


def _picture(tour: Tour, images: Images, x: Array, pca: Any, shown: dict[int, Array]) -> None:
    figure = Figure(figsize=(11, 7.2), layout="constrained")
    figure.suptitle(f"{images.name}: mean, eigenfaces, and images from k numbers", fontsize=14)
    panels = figure.subplots(len(shown) + 2, 8)
    top = [pca.mean_, *pca.components_[:7]]
    chosen = np.linspace(0, len(x) - 1, 8).astype(int)
    rows = {"mean, 1-7": top} | {f"k = {k}": rebuilt[chosen] for k, rebuilt in shown.items()} | {"image": x[chosen]}
    for line, (name, row) in zip(panels, rows.items(), strict=True):
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=12)
        for axes, image in zip(line, row, strict=True):
            axes.imshow(image.reshape(images.side, -1), cmap="gray")
            axes.set_xticks([])
            axes.set_yticks([])
    tour.save(figure, "eigenfaces")
