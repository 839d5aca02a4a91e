"""Step: a surface, its slopes and its curvature: gradient, Jacobian, Hessian and the kinds of its stationary points.

The sandpit of the course: a surface whose lowest point is looked for. Its gradient points uphill and vanishes at the
stationary points; the signs of the eigenvalues of the Hessian tell what those are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

import mmlfast as mf
from mmlfast.tour._frame import Tour

Array = np.ndarray[Any, Any]

_U = float(np.finfo(np.float64).eps) / 2
_EDGE = 2.6
_KINDS = {(True, True): "minimum", (False, False): "maximum"}


def depth(v: Any) -> Any:
    """The depth of the sand: two hollows, a heap, and the rim that the course's exercise has."""
    x, y = v[0], v[1]
    hollows = -2.0 * np.exp(-((x - 1.1) ** 2 + (y - 0.8) ** 2)) - 1.4 * np.exp(-2 * ((x + 1.0) ** 2 + (y + 0.9) ** 2))
    return hollows + 1.1 * np.exp(-1.5 * ((x - 0.9) ** 2 + (y + 1.1) ** 2)) + 0.08 * (x**2 + y**2)


def run(tour: Tour) -> None:
    n = 60 if tour.quick else 240
    side = np.linspace(-_EDGE, _EDGE, n)
    grid = np.stack(np.meshgrid(side, side, indexing="xy"), axis=-1).reshape(-1, 2)
    gradient, hessian = mf.autodiff.grad(depth), mf.autodiff.hessian(depth)

    tour.say("slopes of the whole surface")
    slopes = gradient.batch(grid)
    h = 1e-5
    ahead, behind = (np.stack([depth((grid + s * step).T) for step in h * np.eye(2)], axis=-1) for s in (1, -1))
    central = (ahead - behind) / (2 * h)
    tour.check(
        f"gradient at {len(grid)} points",
        error=float(np.abs(slopes - central).max()),
        limit=1e-9,
        times=tour.race(
            lambda: gradient.batch(grid),
            lambda: [depth((grid + s * step).T) for s in (1, -1) for step in h * np.eye(2)],
            peer="numpy, central differences",
        ),
    )
    curvature = hessian.batch(grid)
    around = [(gradient.batch(grid + step) - gradient.batch(grid - step)) / (2 * h) for step in h * np.eye(2)]
    tour.check("Hessian there", error=float(np.abs(curvature - np.stack(around, axis=-1)).max()), limit=1e-8)
    tour.check("Hessians that are not symmetric", error=float((curvature != curvature.swapaxes(1, 2)).sum()), limit=0)

    tour.say("stationary points")
    points, values = _stationary(gradient, hessian, grid[:: max(1, len(grid) // 3000)])
    tour.check(
        f"gradient at the {len(points)} stationary points",
        error=float(np.abs(gradient.batch(points)).max()),
        limit=1e-14,
    )
    # From polar coordinates, areas grow by the determinant of the Jacobian: r.
    polar = np.column_stack([np.linspace(0.1, 2.5, 50), np.linspace(-3, 3, 50)])
    jacobian = mf.autodiff.jacobian(lambda p: np.stack([p[0] * np.cos(p[1]), p[0] * np.sin(p[1])]))
    areas = mf.linalg.det(jacobian.batch(polar))
    tour.check("volume element of polar coordinates", error=float(np.abs(areas / polar[:, 0] - 1).max()), limit=8 * _U)
    _picture(tour, side, depth(grid.T).reshape(n, n), slopes.reshape(n, n, 2), points, values)


def _stationary(gradient: Any, hessian: Any, starts: Array) -> tuple[Array, Array]:
    """The stationary points that Newton's method finds from many starts, and the eigenvalues of the Hessian there."""
    points = starts
    for _ in range(60):
        step = mf.linalg.solve(hessian.batch(points), gradient.batch(points)[..., np.newaxis], errors="nan")[..., 0]
        points = points - step
        points = points[np.isfinite(points).all(axis=1) & (np.abs(points) <= _EDGE).all(axis=1)]
    points = points[np.abs(gradient.batch(points)).max(axis=1) < 1e-14]
    _, first = np.unique(points.round(6), axis=0, return_index=True)
    found = points[first]
    return found, mf.linalg.eigvalsh(hessian.batch(found))


def _picture(tour: Tour, side: Array, height: Array, slopes: Array, points: Array, values: Array) -> None:
    figure = Figure(figsize=(8.6, 7.4), layout="constrained")
    figure.suptitle("A sandpit: slopes by the gradient, kinds by the Hessian's eigenvalues", fontsize=14)
    axes = figure.subplots()
    filled = axes.contourf(side, side, height, 24, cmap="cividis")
    figure.colorbar(filled, ax=axes, label="height")
    every = max(1, len(side) // 20)
    at = slice(every // 2, None, every)
    x, y = np.meshgrid(side[at], side[at])
    axes.quiver(x, y, -slopes[at, at, 0], -slopes[at, at, 1], color="white", alpha=0.7)
    for kind, marker in (("minimum", "v"), ("maximum", "^"), ("saddle", "X")):
        of_kind = [
            point
            for point, value in zip(points, values, strict=True)
            if _KINDS.get((value[0] > 0, value[1] > 0), "saddle") == kind
        ]
        if of_kind:
            axes.plot(*np.transpose(of_kind), marker, color="red", markeredgecolor="white", markersize=11, label=kind)
    axes.set_xlabel("x")
    axes.set_ylabel("y")
    axes.set_aspect("equal")
    axes.legend(title="arrows point downhill")
    tour.save(figure, "sandpit")
