"""Step: a drawing reflected and turned, in a basis built by Gram-Schmidt.

The drawing is a list of points in which rows of NaN separate the polygons. A mirror is simple in its own basis, where
it changes one sign; the step goes there and back, E T E^-1, and compares with the matrix by formula. Then it turns the
drawing in space, once for each picture of a film.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import mmlfast as mf
from mmlfast.tour._frame import Tour

Array = np.ndarray[Any, Any]

_U = float(np.finfo(np.float64).eps) / 2


def run(tour: Tour) -> None:
    drawing = _bear_of_the_course()
    if drawing is None:
        drawing = _bear()
    reflected = _mirror(tour, drawing)
    turned = _two_mirrors(tour, drawing)
    film = _film(tour, drawing)
    _picture(tour, drawing, reflected, turned, film)


def _bear_of_the_course() -> Array | None:
    """The drawing of the course, if its data are there."""
    folder = os.environ.get("MMLFAST_DATA")
    path = Path(folder) / "course" / "bear.csv" if folder else None
    if path is None or not path.is_file():
        return None
    points: list[tuple[float, float]] = []
    last = None
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            polygon = row["part"], row["polygon"]
            if last not in (None, polygon):
                points.append((np.nan, np.nan))
            last = polygon
            points.append((float(row["x"]), float(row["y"])))
    return np.array(points)


def _bear() -> Array:
    """A bear of ellipses: middle, half axes."""
    angle = np.linspace(0, 2 * np.pi, 200)
    ellipses = [
        (0, 0, 1.6, 1.4),  # head
        (-1.2, 1.2, 0.5, 0.5),  # ears
        (1.2, 1.2, 0.5, 0.5),
        (-0.6, 0.4, 0.12, 0.18),  # eyes
        (0.6, 0.4, 0.12, 0.18),
        (0, -0.5, 0.7, 0.5),  # snout
        (0, -0.25, 0.2, 0.12),
        (0.9, -0.1, 0.25, 0.12),  # a cheek, so that left and right differ
    ]
    gap = np.full((1, 2), np.nan)
    pieces = []
    for x, y, a, b in ellipses:
        pieces += [np.column_stack([x + a * np.cos(angle), y + b * np.sin(angle)]), gap]
    return np.concatenate(pieces[:-1])


def _largest(difference: Array) -> float:
    """The largest entry; rows of NaN count as the gaps that they are."""
    return float(np.nanmax(np.abs(difference)))


def _mirror(tour: Tour, drawing: Array) -> Array:
    tour.say("a mirror in a basis of its own")
    along, across = np.array([1.0, 1.5]), np.array([1.0, 0.0])
    basis = mf.linalg.gram_schmidt(np.column_stack([along, across])).basis
    in_the_basis = np.diag([1.0, -1.0])
    reflected = mf.linalg.transform(drawing, in_the_basis, basis)

    normal = np.array([-along[1], along[0]])
    expected = drawing - 2 * np.outer(drawing @ normal, normal) / (normal @ normal)
    limit = 20 * _U * _largest(drawing)
    tour.check(
        "a drawing in a mirror, E T E^-1 in a Gram-Schmidt basis", error=_largest(reflected - expected), limit=limit
    )
    gaps = np.isnan(drawing).any(axis=1)
    moved = int((np.isnan(reflected).all(axis=1) != gaps).sum() + np.isnan(reflected[~gaps]).sum())
    tour.check(f"its {int(gaps.sum())} gaps between polygons are where they were", error=moved, limit=0)
    by_formula = mf.linalg.reflection_matrix(basis=along[:, None])
    there = mf.linalg.change_of_basis(in_the_basis, None, basis, operator=True)
    tour.check("the matrix of that mirror by formula", error=float(np.abs(there - by_formula).max()), limit=20 * _U)
    return np.asarray(reflected)


def _two_mirrors(tour: Tour, drawing: Array) -> Array:
    tour.say("two mirrors")
    first, second = (mf.linalg.reflection_matrix(basis=[[np.cos(t)], [np.sin(t)]]) for t in (0.2, 0.2 + np.pi / 6))
    both = mf.linalg.matmul(second, first)
    difference = both - mf.linalg.rotation_matrix(np.pi / 3)
    tour.check("two mirrors at 30 degrees turn by 60", error=float(np.abs(difference).max()), limit=20 * _U)
    return np.asarray(mf.linalg.transform(drawing, both))


def _film(tour: Tour, drawing: Array) -> Array:
    tour.say("a film of turns in space")
    sheet = np.column_stack([drawing, np.zeros(len(drawing))])
    points = np.concatenate([sheet + np.array([0, 0, depth]) for depth in np.linspace(-0.3, 0.3, 5)])
    angles = np.linspace(0, 2 * np.pi, 50 if tour.quick else 200, endpoint=False)
    turns = mf.linalg.rotation_matrix(angles, axis=[0.3, 1.0, 0.2])
    film = mf.linalg.transform(points, turns)
    times = tour.race(
        lambda: mf.linalg.transform(points, turns),
        lambda: np.matmul(points, turns.swapaxes(-1, -2)),
        peer="numpy.matmul",
    )
    expected = np.einsum("pj,tij->tpi", points, turns)
    tour.check(
        f"{len(angles)} turns in space of {len(points)} points",
        error=_largest(film - expected),
        limit=20 * _U * _largest(points),
        times=times,
    )
    return np.asarray(film[:, : len(sheet)])


def _picture(tour: Tour, drawing: Array, reflected: Array, turned: Array, film: Array) -> None:
    figure = Figure(figsize=(12, 4.2), layout="constrained")
    figure.suptitle("A drawing, reflected in a mirror, turned by two mirrors, and turned in space", fontsize=14)
    panels = figure.subplots(1, 4)
    bound = 1.1 * float(np.nanmax(np.linalg.norm(drawing, axis=1)))
    quarter = film[len(film) // 6]
    titles = ("before", "in the mirror", "two mirrors", "in space")
    for axes, points, title in zip(panels, (drawing, reflected, turned, quarter[:, :2]), titles, strict=True):
        axes.plot(points[:, 0], points[:, 1], color="tab:brown", linewidth=1.2)
        axes.set(title=title, xlim=(-bound, bound), ylim=(-bound, bound), aspect="equal")
        axes.grid(alpha=0.3)
    reach = np.array([-2, 2]) * bound
    panels[1].plot(reach, 1.5 * reach, color="gray", linestyle="--", label="mirror")
    panels[1].legend(loc="lower right")
    for t in (0.2, 0.2 + np.pi / 6):
        panels[2].plot(reach * np.cos(t), reach * np.sin(t), color="gray", linestyle="--")
    tour.save(figure, "transformations")
