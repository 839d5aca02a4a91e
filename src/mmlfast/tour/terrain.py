"""Step: the normals of a landscape, by eigenvectors of 3 x 3 matrices.

Each point of a digital elevation model, with the 24 points around it, is a small cloud. The eigenvector of its
covariance with the smallest eigenvalue is the normal of the plane that fits the cloud best; that eigenvalue says how
rough the ground is there (H. Hoppe et al., Surface reconstruction from unorganized points, SIGGRAPH (1992) 71, section
3.2). The data come with matplotlib: the Jacksboro fault in Tennessee, measured by the U.S. Geological Survey.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib import cbook
from matplotlib.figure import Figure
from numpy.lib.stride_tricks import sliding_window_view

import mmlfast as mf
from mmlfast.tour._frame import Tour

Array = np.ndarray[Any, Any]

_U = float(np.finfo(np.float64).eps) / 2
_WINDOW = 5
_METRES_PER_DEGREE = 111_200.0


def run(tour: Tour) -> None:
    points, step = _points()
    if tour.quick:
        points = points[100:240, 150:320]
    tour.say("normals of a landscape")
    windows = sliding_window_view(points, (_WINDOW, _WINDOW), axis=(0, 1))
    clouds = np.ascontiguousarray(np.moveaxis(windows, 2, -1)).reshape(*windows.shape[:2], _WINDOW**2, 3)
    scatter = mf.stats.covariance(clouds)
    values, vectors = mf.linalg.eigh(scatter)
    normals = vectors[..., 0] * np.sign(vectors[..., 2:, 0])

    where = f"{clouds.shape[0]} x {clouds.shape[1]} clouds of {_WINDOW**2} points"
    times = tour.race(lambda: mf.linalg.eigh(scatter), lambda: np.linalg.eigh(scatter), peer="numpy.linalg.eigh")
    centred = clouds - clouds.mean(axis=-2, keepdims=True)
    expected = np.swapaxes(centred, -1, -2) @ centred / (_WINDOW**2 - 1)
    size = np.linalg.norm(expected, axis=(-2, -1))
    tour.check(
        f"covariance of {where}",
        error=float((np.abs(scatter - expected).max(axis=(-2, -1)) / size).max()),
        limit=30 * _U,
    )
    theirs = np.linalg.eigh(scatter)
    tour.check(
        f"eigh: {where}, 3 x 3 each",
        error=float((np.abs(values - theirs.eigenvalues).max(axis=-1) / size).max()),
        limit=30 * _U,
        times=times,
    )
    # Rounding turns a normal by no more than u norm(A) over the gap to the next eigenvalue.
    gap = (values[..., 1] - values[..., 0]) / size
    cosine = np.abs((normals * theirs.eigenvectors[..., 0]).sum(axis=-1))
    turned = np.linalg.norm(np.cross(normals, theirs.eigenvectors[..., 0]), axis=-1)
    tour.check("the normals, times the gap", error=float((turned * gap)[cosine > 0.5].max()), limit=60 * _U)
    _picture(tour, points, normals, values, step)


def _points() -> tuple[Array, tuple[float, float]]:
    """East, north and height of every point in metres, and the distances of the grid."""
    with np.load(str(cbook.get_sample_data("jacksboro_fault_dem.npz", asfileobj=False))) as data:
        height = data["elevation"].astype(float)
        north = float(data["dy"]) * _METRES_PER_DEGREE
        east = float(data["dx"]) * _METRES_PER_DEGREE * np.cos(np.radians(float(data["ymin"])))
    rows, columns = height.shape
    y, x = np.mgrid[0:rows, 0:columns]
    return np.stack([x * east, -y * north, height], axis=-1), (east, north)


def _picture(tour: Tour, points: Array, normals: Array, values: Array, step: tuple[float, float]) -> None:
    light = np.array([-1.0, 1.0, 1.0]) / np.sqrt(3)
    slope = np.degrees(np.arccos(normals[..., 2].clip(0, 1)))
    rough = np.sqrt(np.maximum(values[..., 0], 0))
    figure = Figure(figsize=(11, 8.4), layout="constrained")
    figure.suptitle("A 3 x 3 eigenproblem for every point of a landscape: its normals", fontsize=14)
    margin = _WINDOW // 2
    panels = (
        ("height (m)", points[margin:-margin, margin:-margin, 2], "terrain", None),
        ("light from the north-west: normal . light", normals @ light, "gray", None),
        ("slope (degrees)", slope, "magma", None),
        ("roughness: the smallest standard deviation (m)", rough, "viridis", float(np.quantile(rough, 0.99))),
    )
    for axes, (title, image, colours, top) in zip(figure.subplots(2, 2).flat, panels, strict=True):
        shown = axes.imshow(image, cmap=colours, aspect=step[1] / step[0], vmax=top)
        axes.set_title(title)
        axes.set_axis_off()
        figure.colorbar(shown, ax=axes, shrink=0.8)
    tour.save(figure, "terrain-normals")
