"""Step: angles between images of digits, and reading a digit by its nearest neighbours.

The angle between two images says how alike they are whatever their brightness. A digit is read by a vote of the five
images nearest to it; nearest neighbours here are exact, ties go to the image that comes first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

import mmlfast as mf
from mmlfast.tour._data import Images, written_digits
from mmlfast.tour._frame import Tour

Array = np.ndarray[Any, Any]
NEIGHBOURS = 5


def run(tour: Tour) -> None:
    images = written_digits(6_000 if tour.quick else 20_000)
    x = images.pixels.astype(np.float32)
    cut = len(x) * 4 // 5
    angles = _angles(tour, x, images.labels)
    found = _neighbours(tour, x[cut:], x[:cut])
    _votes(tour, found, images.labels, cut, x)
    _picture(tour, images, angles, found.indices, cut)


def _angles(tour: Tour, x: Array, labels: Array) -> Array:
    """Mean angle between images of each pair of digits, in degrees."""
    tour.say("angles between images")
    first = np.array([np.flatnonzero(labels == digit)[:20] for digit in range(10)])
    chosen = x[first.ravel()].astype(np.float64)
    angle = mf.geometry.angle(chosen[:, None], chosen[None])
    unit = chosen / np.linalg.norm(chosen, axis=1, keepdims=True)
    rounded = np.clip(unit @ unit.T, -1, 1)
    # The cosine is good to 1e-16, so arccos is good to 1e-16 / sin: away from 0 it is a reference.
    apart = angle > 0.1
    tour.check(
        "angle: 200 images with each other, beside numpy.arccos where that is accurate",
        error=float(np.abs(angle - np.arccos(rounded))[apart].max()),
        limit=1e-13,
    )
    tour.check("angle: of each image with itself and with itself brighter", error=_same(chosen), limit=1e-15)
    return np.asarray(np.degrees(angle.reshape(10, 20, 10, 20).mean(axis=(1, 3))))


def _same(x: Array) -> float:
    return float(max(np.abs(mf.geometry.angle(x, x)).max(), np.abs(mf.geometry.angle(x, 2 * x)).max()))


def _neighbours(tour: Tour, queries: Array, points: Array) -> Any:
    tour.say(f"{NEIGHBOURS} nearest of {len(points)} images, for {len(queries)}")
    theirs = NearestNeighbors(n_neighbors=NEIGHBOURS, algorithm="brute").fit(points)
    found = mf.geometry.knn(queries, points, NEIGHBOURS)
    times = tour.race(
        lambda: mf.geometry.knn(queries, points, NEIGHBOURS),
        lambda: theirs.kneighbors(queries),
        peer='NearestNeighbors(algorithm="brute")',
        seconds=2.0,
    )
    checked = min(100, len(queries))
    whole = points.astype(np.int32)  # pixels are whole numbers: no rounding at all
    squares = (((whole - query) ** 2).sum(axis=1) for query in queries[:checked].astype(np.int32))
    exact = np.array([np.argsort(row, kind="stable")[:NEIGHBOURS] for row in squares])
    tour.check(
        f"knn: {len(queries)} images of {queries.shape[1]} pixels among {len(points)}; wrong ones of {checked}, "
        f"beside whole numbers",
        error=float(np.sum(found.indices[:checked] != exact)),
        limit=0,
        times=times,
    )
    return found


def _votes(tour: Tour, found: Any, labels: Array, cut: int, x: Array) -> None:
    votes = labels[:cut][found.indices]
    read = np.array([np.bincount(vote, minlength=10).argmax() for vote in votes])
    right = float(np.mean(read == labels[cut:]))
    judge = KNeighborsClassifier(NEIGHBOURS, algorithm="brute").fit(x[:cut], labels[:cut])
    theirs = float(np.mean(judge.predict(x[cut:]) == labels[cut:]))
    tour.check(
        f"digits read by their neighbours: {100 * right:.1f} % right, beside KNeighborsClassifier",
        error=abs(right - theirs),
        limit=2e-3,
    )


def _picture(tour: Tour, images: Images, angles: Array, indices: Array, cut: int) -> None:
    figure = Figure(figsize=(12, 4.8), layout="constrained")
    figure.suptitle(f"{images.name}: angles between digits, and nearest neighbours", fontsize=14)
    left, right = figure.subplots(1, 2)
    drawn = left.imshow(angles, cmap="viridis")
    left.set(xticks=range(10), yticks=range(10), title="mean angle between images of two digits")
    figure.colorbar(drawn, ax=left, label="degrees")
    side = images.side
    lines = []
    for i in range(6):
        row = np.concatenate([images.pixels[cut + i : cut + i + 1], images.pixels[indices[i]]])
        lines.append(np.concatenate(list(row.reshape(-1, side, side)), axis=1))
    right.imshow(np.concatenate(lines), cmap="gray_r")
    right.axvline(side - 0.5, color="tab:red")
    right.set(xticks=[], yticks=[], title="a digit, and its five nearest")
    tour.save(figure, "nearest_digits")
