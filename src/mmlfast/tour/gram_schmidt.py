"""Step 2: orthonormal bases of sets of digit images, by Gram-Schmidt.

Images are vectors of 64 pixels and the columns of a matrix. The step makes many small bases at once, counts how many of
a hundred images are independent, and shows what rounding does to the classical method when the images are nearly
dependent: one image, blurred again and again (A. Bjorck, Numerics of Gram-Schmidt orthogonalization, Linear Algebra and
its Applications 197/198 (1994) 297, sections 3 and 6).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_digits

import mmlfast as mf
from mmlfast.tour._frame import Tour

Array = np.ndarray[Any, Any]

_U = float(np.finfo(np.float64).eps) / 2
_PIXELS = 64
_LIMIT = 10 * _PIXELS * _U  # on norm(Q'Q - I)
_METHODS = ("cgs", "mgs", "cgs2", "householder")


def run(tour: Tour) -> None:
    digits = load_digits()
    _many_bases(tour, digits.data, digits.target)
    _rank(tour, digits.data)
    _blurred(tour, digits.images)


def _loss_of_orthogonality(q: Array) -> Array:
    """The spectral norm of Q'Q - I, for a stack of bases."""
    gram = np.swapaxes(q, -1, -2) @ q
    return np.asarray(np.linalg.norm(gram - np.eye(q.shape[-1]), 2, axis=(-2, -1)))


def _many_bases(tour: Tour, images: Array, labels: Array) -> None:
    tour.say("bases of sets of digits")
    count, size = (100 if tour.quick else 400), 8
    rng = np.random.default_rng(0)
    sets = np.empty((10, count, _PIXELS, size))
    for digit in range(10):
        own = images[labels == digit]
        for s in sets[digit]:
            s[:] = own[rng.choice(len(own), size, replace=False)].T
    bases = mf.linalg.gram_schmidt(sets).basis

    times = tour.race(lambda: mf.linalg.gram_schmidt(sets), lambda: np.linalg.qr(sets), peer="numpy.linalg.qr")
    q, r = np.linalg.qr(sets)
    # LAPACK leaves the signs open; ours make the diagonal of R positive.
    expected = q * np.sign(np.diagonal(r, axis1=-2, axis2=-1))[..., None, :]
    tour.check(
        f"gram_schmidt: {10 * count} sets of {size} images of one digit, 64 x {size} each",
        error=float(np.abs(bases - expected).max()),
        limit=100 * _U * float(np.linalg.cond(sets).max()),
        times=times,
    )
    tour.check("their orthogonality, norm(Q'Q - I)", error=float(_loss_of_orthogonality(bases).max()), limit=_LIMIT)
    _bases_picture(tour, sets[3, 0], bases[3, 0])


def _bases_picture(tour: Tour, images: Array, basis: Array) -> None:
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    figure.suptitle("Eight images of a three (above) and an orthonormal basis of what they span (below)", fontsize=14)
    bound = np.abs(basis).max()
    for column, (image, vector) in enumerate(zip(images.T, basis.T, strict=True)):
        top = figure.add_subplot(2, 8, column + 1)
        top.imshow(image.reshape(8, 8), cmap="gray_r")
        low = figure.add_subplot(2, 8, column + 9)
        drawn = low.imshow(vector.reshape(8, 8), cmap="RdBu_r", vmin=-bound, vmax=bound)
        for axes in (top, low):
            axes.set_xticks([])
            axes.set_yticks([])
    figure.colorbar(drawn, ax=figure.axes[1::2], label="pixel of the basis", shrink=0.9)
    tour.save(figure, "gram_schmidt-bases")


def _rank(tour: Tour, images: Array) -> None:
    hundred = images[:100].T
    found = mf.linalg.gram_schmidt(hundred).rank
    expected = np.linalg.matrix_rank(hundred)
    job = f"rank of the first 100 images: {int(found)}; numpy.linalg.matrix_rank: {int(expected)}"
    tour.check(job, error=abs(int(found) - int(expected)), limit=0)


def _blurred(tour: Tour, images: Array) -> None:
    tour.say("loss of orthogonality")
    blurred = [images[0]]
    while len(blurred) < 16:
        blurred.append(gaussian_filter(blurred[-1], 0.8, mode="constant"))
    columns = np.array(blurred).reshape(len(blurred), _PIXELS).T
    columns = columns / np.linalg.norm(columns, axis=0)
    condition = np.array([np.linalg.cond(columns[:, :k]) for k in range(1, columns.shape[1] + 1)])
    usable = int(np.searchsorted(condition, 1e15))  # beyond, the images are dependent to working precision
    loss = {
        method: np.array(
            [
                _loss_of_orthogonality(mf.linalg.gram_schmidt(columns[:, :k], method=method).basis)
                for k in range(1, usable + 1)
            ]
        )
        for method in _METHODS
    }
    for method in ("cgs2", "householder"):
        tour.check(
            f"{method}: {usable} blurred images, condition up to {condition[usable - 1]:.0e}",
            error=float(loss[method].max()),
            limit=_LIMIT,
        )
    _blurred_picture(tour, columns[:, :usable], condition[:usable], loss)


def _blurred_picture(tour: Tour, columns: Array, condition: Array, loss: dict[str, Array]) -> None:
    figure = Figure(figsize=(11, 6.5), layout="constrained")
    figure.suptitle("One image, blurred again and again: what rounding does to Gram-Schmidt", fontsize=14)
    strip, below = figure.subfigures(2, 1, squeeze=False, height_ratios=[1, 4])[:, 0]
    count = columns.shape[1]
    for axes, column in zip(strip.subplots(1, count), columns.T, strict=True):
        axes.imshow(column.reshape(8, 8), cmap="gray_r")
        axes.set_axis_off()
    axes = below.subplots()
    k = np.arange(1, count + 1)
    styles = {"cgs": "o-", "mgs": "s-", "cgs2": "^-", "householder": "v--"}
    labels = {
        "cgs": "cgs: classical, one pass",
        "mgs": "mgs: modified",
        "cgs2": "cgs2: classical, twice (the default)",
        "householder": "householder",
    }
    for method, values in loss.items():
        axes.plot(k, np.maximum(values, 1e-17), styles[method], label=labels[method])
    axes.plot(k, np.minimum(condition * _U, 1), color="gray", linestyle=":", label="condition number x rounding unit")
    axes.set(yscale="log", ylim=(1e-17, 1e6), xlabel="number of images", ylabel="norm(Q'Q - I): 0 is orthonormal")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left", ncols=2)
    tour.save(figure, "gram_schmidt-orthogonality")
