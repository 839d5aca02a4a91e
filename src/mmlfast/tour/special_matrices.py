"""Step: which of a set of matrices are special (singular), and why, step by step.

The set: a few matrices of the first lesson, and 1797 images of handwritten digits, which are 8 x 8 matrices of
integers from 0 to 16. In floating point a determinant of zero comes out as some small number, which could be the
answer; integers can be decided. A row echelon form says why: a column without a pivot is a combination of those before
it.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits

import mmlfast as mf
from mmlfast.tour._frame import Tour

Array = np.ndarray[Any, Any]

LESSON = {
    "numbers in a row": [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12], [13, 14, 15, 16]],
    "a magic square": [[16, 2, 3, 13], [5, 11, 10, 8], [9, 7, 6, 12], [4, 14, 15, 1]],
    "one number changed": [[16, 2, 3, 13], [5, 11, 10, 8], [9, 7, 6, 12], [4, 14, 15, 2]],
    "a Hadamard matrix": [[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]],
}


def run(tour: Tour) -> None:
    digits = load_digits()
    images = digits.images.astype(np.int64)
    if tour.quick:
        images = images[:400]
    tour.say("determinants of digits")
    centres = np.ascontiguousarray(images[:, 2:6, 2:6])
    expected = [float(_eliminated(centre)[0]) for centre in centres]
    floats = centres.astype(float)
    found = mf.linalg.det(centres)
    times = tour.race(lambda: mf.linalg.det(centres), lambda: np.linalg.det(floats), peer="numpy.linalg.det, inexact")
    job = f"det: the middle of {len(images)} digits, 4 x 4 integers each; wrong ones"
    tour.check(job, error=_differences(found, expected), limit=0, times=times)

    floats = images.astype(float)
    expected = [_eliminated(image)[0] == 0 for image in images]
    special = mf.linalg.is_singular(images)
    times = tour.race(
        lambda: mf.linalg.is_singular(images),
        lambda: np.linalg.matrix_rank(floats) < 8,
        peer="numpy.linalg.matrix_rank",
    )
    job = f"is_singular: {len(images)} digits, 8 x 8 integers each; wrong ones"
    tour.check(job, error=_differences(special, expected), limit=0, times=times)

    tour.say("why they are special")
    matrices = [np.array(rows) for rows in LESSON.values()] + list(images[special][:40])
    wrong = 0.0
    for a in matrices:
        _, form, pivots = _eliminated(a)
        answer = mf.linalg.row_echelon(a)
        wrong += _differences(answer.form, form) + (answer.pivots != pivots)
    tour.check(f"row_echelon: {len(matrices)} matrices; wrong numbers", error=wrong, limit=0)
    _lesson_picture(tour)
    _digits_picture(tour, images, centres)


def _differences(found: Any, expected: Any) -> float:
    """How many entries differ; infinite for another shape."""
    found, expected = np.asarray(found), np.asarray(expected)
    return float((found != expected).sum()) if found.shape == expected.shape else np.inf


def _eliminated(a: Array) -> tuple[Fraction, Array, tuple[int, ...]]:
    """Determinant, reduced row echelon form and pivots by Gauss-Jordan elimination in fractions."""
    rows = [[Fraction(int(x)) for x in row] for row in a]
    det = Fraction(1)
    pivots: list[int] = []
    for j in range(a.shape[1]):
        r = len(pivots)
        here = next((i for i in range(r, len(rows)) if rows[i][j]), None)
        if here is None:
            det = Fraction(0)
            continue
        if here != r:
            rows[r], rows[here] = rows[here], rows[r]
            det = -det
        det *= rows[r][j]
        rows[r] = [x / rows[r][j] for x in rows[r]]
        for i, row in enumerate(rows):
            if i != r and row[j]:
                rows[i] = [x - row[j] * y for x, y in zip(row, rows[r], strict=True)]
        pivots.append(j)
    return det, np.array([[float(x) for x in row] for row in rows]), tuple(pivots)


def _reason(a: Array) -> str:
    """The first column without a pivot, in words."""
    form, pivots, rank, _ = mf.linalg.row_echelon(a)
    free = [j for j in range(a.shape[1]) if j not in pivots]
    if not free:
        return "a pivot in every column: not special"
    parts = [f"{form[t, free[0]]:+g} c{pivots[t] + 1}" for t in range(rank) if form[t, free[0]]]
    return f"special: column {free[0] + 1} = " + (" ".join(parts) or "0")


def _lesson_picture(tour: Tour) -> None:
    figure = Figure(figsize=(11, 11), layout="constrained")
    figure.suptitle("Which of these matrices are special, and why: from the matrix to its echelon forms", fontsize=14)
    for row, (name, numbers) in zip(figure.subplots(len(LESSON), 3), LESSON.items(), strict=True):
        a = np.array(numbers)
        stages = {
            f"{name}: det {float(mf.linalg.det(a)):g}\n(numpy: {np.linalg.det(a):.2g})": a,
            "below the pivots eliminated": mf.linalg.row_echelon(a, reduced=False).form,
            _reason(a): mf.linalg.row_echelon(a).form,
        }
        for axes, (title, stage) in zip(row, stages.items(), strict=True):
            axes.matshow(stage != 0, cmap="Blues", vmin=0, vmax=3)
            for (i, j), x in np.ndenumerate(stage):
                axes.text(j, i, f"{x:.4g}", ha="center", va="center", fontsize=9)
            axes.set_title(title, fontsize=10)
            axes.set_xticks([])
            axes.set_yticks([])
    tour.save(figure, "special_matrices-lesson")


def _digits_picture(tour: Tour, images: Array, centres: Array) -> None:
    special, floats = mf.linalg.is_singular(centres), np.abs(np.linalg.det(centres.astype(float)))
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    figure.suptitle(f"Digits as matrices: {int(special.sum())} of {len(images)} are special in the middle", fontsize=14)
    left, right = figure.subplots(1, 2)
    bins = np.arange(-20, 6)
    for name, chosen in (("singular", special), ("not singular", ~special)):
        left.hist(np.log10(np.maximum(floats[chosen], 1e-19)), bins=bins, alpha=0.7, label=name)
    left.set(
        xlabel="log10 |det| in floating point (0 at the left end)",
        ylabel="images",
        title="The middle 4 x 4 numbers of each digit",
    )
    left.legend()
    ranks = 8 - np.array([len(_free_columns(image)) for image in images])
    right.hist(ranks, bins=np.arange(0.5, 9))
    right.set(xlabel="rank", ylabel="images", title="All 8 x 8 numbers: most have empty columns")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    tour.save(figure, "special_matrices-digits")


def _free_columns(a: Array) -> list[int]:
    pivots = mf.linalg.row_echelon(a).pivots
    return [j for j in range(a.shape[1]) if j not in pivots]
