"""Step: what is lost when an image of a digit keeps only k numbers: principal components of MNIST.

The error of the reconstruction against the number of components; the same components from rows that come in small
batches, which scikit-learn's incremental estimator only approximates.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn.decomposition import PCA, IncrementalPCA

import mmlfast as mf
from mmlfast.tour._data import Images, written_digits
from mmlfast.tour._frame import Tour

Array = np.ndarray[Any, Any]


def run(tour: Tour) -> None:
    images = written_digits(10_000 if tour.quick else 60_000)
    x = images.pixels.astype(np.float32 if images.side == 28 else np.float64)
    count = 50 if images.side == 28 else 20
    pca = _components(tour, images.name, x, count)
    drift = _batches(tour, x, pca)
    errors = _errors(tour, x, pca)
    _picture(tour, images, x, pca, errors, drift)


def _components(tour: Tour, name: str, x: Array, count: int) -> Any:
    tour.say(f"{count} components of {len(x)} images")
    pca = mf.decomposition.PCA(count).fit(x)
    theirs = PCA(count, svd_solver="covariance_eigh")
    wide = PCA(count, svd_solver="full").fit(x[:10_000].astype(np.float64))
    own = mf.decomposition.PCA(count).fit(x[:10_000])
    times = tour.race(
        lambda: mf.decomposition.PCA(count).fit(x),
        lambda: theirs.fit(x),
        peer='PCA(svd_solver="covariance_eigh"), its fastest, in the precision of the data',
        seconds=2.0,
    )
    tour.check(
        f"PCA: {count} variances of {len(x)} images of {name}; error beside a full SVD in float64 of 10000 of them",
        error=float(np.abs(own.explained_variance_ / wide.explained_variance_ - 1).max()),
        limit=1e-6 if x.dtype == np.float32 else 1e-11,
        times=times,
    )
    return pca


def _batches(tour: Tour, x: Array, pca: Any) -> tuple[Array, Array]:
    """The same images in batches: how far each component turns away, in degrees, ours and scikit-learn's."""
    tour.say("the same in batches")
    k, x = 20, x[:10_000]
    batches = min(100, len(x) // 40)  # scikit-learn's wants as many rows as components in each
    whole = mf.decomposition.PCA(k).fit(x)
    ours, theirs = mf.decomposition.IncrementalPCA(k), IncrementalPCA(k)
    for batch in np.array_split(x, batches):
        ours.partial_fit(batch)
        theirs.partial_fit(batch)
    tour.check(
        f"IncrementalPCA in {batches} batches: components that are not those of one batch, to the bit",
        error=float(np.sum(ours.components_ != whole.components_)),
        limit=0,
    )
    angles = [np.degrees(_angles(e.components_, whole.components_)) for e in (ours, theirs)]
    return angles[0], angles[1]


def _angles(a: Array, b: Array) -> Array:
    """Between lines, without arccos: accurate for small angles."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    angle = mf.geometry.angle(a, b)
    return np.asarray(np.minimum(angle, np.pi - angle))


def _errors(tour: Tour, x: Array, pca: Any) -> Array:
    """Mean squared distance of the images from the span of the first k components, for each k."""
    tour.say("reconstructing")
    x = x[:10_000].astype(np.float64)
    own = mf.decomposition.PCA(pca.n_components_).fit(x)
    scores = own.transform(x)
    total = float(np.sum((x - own.mean_) ** 2)) / len(x)
    errors = np.array([total, *(total - np.cumsum(np.mean(scores**2, axis=0)))])
    k = own.n_components_
    direct = float(np.mean(np.sum((own.inverse_transform(scores) - x) ** 2, axis=1)))
    left_out = total - own.explained_variance_.sum() * (len(x) - 1) / len(x)
    tour.check(
        f"reconstruction from {k} components: squared error, beside the variance left out",
        error=max(abs(direct / left_out - 1), abs(errors[-1] / left_out - 1)),
        limit=1e-10,
    )
    return errors


def _picture(tour: Tour, images: Images, x: Array, pca: Any, errors: Array, drift: tuple[Array, Array]) -> None:
    figure = Figure(figsize=(13, 4.6), layout="constrained")
    figure.suptitle(f"Principal components of {images.name}: {len(x)} images of {x.shape[1]} pixels", fontsize=14)
    left, middle, right = figure.subplots(1, 3)
    left.plot(100 * errors / errors[0])
    left.set(xlabel="number of components", ylabel="squared error, % of the variance", ylim=(0, 102))
    left.set_title("what is lost")
    for degrees, name in zip(drift, ("mmlfast", "scikit-learn"), strict=True):
        middle.semilogy(
            np.arange(1, len(degrees) + 1), np.maximum(degrees, 1e-9), ".-", label=f"IncrementalPCA, {name}"
        )
    middle.set(xlabel="component", ylabel="degrees from the component of one batch", title="the same in batches")
    middle.legend()
    counts = [k for k in (1, 5, 20, 50) if k <= pca.n_components_]
    scores = pca.transform(x[:8])
    lines = [pca.mean_ + scores[:, :k] @ pca.components_[:k] for k in counts] + [x[:8]]
    side = images.side
    sheet = np.concatenate([np.concatenate(list(line.reshape(-1, side, side)), axis=1) for line in lines])
    right.imshow(sheet, cmap="gray_r")
    right.set_yticks([(i + 0.5) * side for i in range(len(lines))], [f"k = {k}" for k in counts] + ["image"])
    right.set_xticks([])
    for axes in (left, middle):
        axes.grid(alpha=0.3)
    tour.save(figure, "reconstruction")
