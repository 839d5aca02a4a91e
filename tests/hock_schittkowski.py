"""Hock and Schittkowski's test problems with equations only (Lecture Notes in Economics 187, 1981)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy import cos, sin, sqrt


class Constrained(NamedTuple):
    """f, equations, start, and the value of f at the solution."""

    number: int
    f: Any
    c: list[Any]
    x0: Any
    value: float


_A, _B = np.arcsin(sqrt(1 / 4.2)), np.arcsin(sqrt(5 / 7.2))

PROBLEMS = [
    Constrained(6, lambda x: (1 - x[0]) ** 2, [lambda x: 10 * (x[1] - x[0] ** 2)], [-1.2, 1.0], 0.0),
    Constrained(
        7,
        lambda x: np.log(1 + x[0] ** 2) - x[1],
        [lambda x: (1 + x[0] ** 2) ** 2 + x[1] ** 2 - 4],
        [2.0, 2.0],
        -sqrt(3),
    ),
    Constrained(
        8,
        lambda x: -1.0 + 0 * x[0],
        [lambda x: x[0] ** 2 + x[1] ** 2 - 25, lambda x: x[0] * x[1] - 9],
        [2.0, 1.0],
        -1.0,
    ),
    Constrained(
        9,
        lambda x: sin(np.pi * x[0] / 12) * cos(np.pi * x[1] / 16),
        [lambda x: 4 * x[0] - 3 * x[1]],
        [0.0, 0.0],
        -0.5,
    ),
    Constrained(
        26,
        lambda x: (x[0] - x[1]) ** 2 + (x[1] - x[2]) ** 4,
        [lambda x: (1 + x[1] ** 2) * x[0] + x[2] ** 4 - 3],
        [-2.6, 2.0, 2.0],
        0.0,
    ),
    Constrained(
        27,
        lambda x: 0.01 * (x[0] - 1) ** 2 + (x[1] - x[0] ** 2) ** 2,
        [lambda x: x[0] + x[2] ** 2 + 1],
        [2.0, 2.0, 2.0],
        0.04,
    ),
    Constrained(
        28,
        lambda x: (x[0] + x[1]) ** 2 + (x[1] + x[2]) ** 2,
        [lambda x: x[0] + 2 * x[1] + 3 * x[2] - 1],
        [-4.0, 1.0, 1.0],
        0.0,
    ),
    Constrained(
        39,
        lambda x: -x[0],
        [lambda x: x[1] - x[0] ** 3 - x[2] ** 2, lambda x: x[0] ** 2 - x[1] - x[3] ** 2],
        [2.0] * 4,
        -1.0,
    ),
    Constrained(
        40,
        lambda x: -x[0] * x[1] * x[2] * x[3],
        [lambda x: x[0] ** 3 + x[1] ** 2 - 1, lambda x: x[0] ** 2 * x[3] - x[2], lambda x: x[3] ** 2 - x[1]],
        [0.8] * 4,
        -0.25,
    ),
    Constrained(
        42,
        lambda x: np.sum((x - np.arange(1, 5)) ** 2),
        [lambda x: x[0] - 2, lambda x: x[2] ** 2 + x[3] ** 2 - 2],
        [1.0] * 4,
        28 - 10 * sqrt(2),
    ),
    Constrained(
        46,
        lambda x: (x[0] - x[1]) ** 2 + (x[2] - 1) ** 2 + (x[3] - 1) ** 4 + (x[4] - 1) ** 6,
        [lambda x: x[0] ** 2 * x[3] + sin(x[3] - x[4]) - 1, lambda x: x[1] + x[2] ** 4 * x[3] ** 2 - 2],
        [sqrt(2) / 2, 1.75, 0.5, 2.0, 2.0],
        0.0,
    ),
    Constrained(
        48,
        lambda x: (x[0] - 1) ** 2 + (x[1] - x[2]) ** 2 + (x[3] - x[4]) ** 2,
        [lambda x: np.sum(x) - 5, lambda x: x[2] - 2 * (x[3] + x[4]) + 3],
        [3.0, 5.0, -3.0, 2.0, -2.0],
        0.0,
    ),
    Constrained(
        49,
        lambda x: (x[0] - x[1]) ** 2 + (x[2] - 1) ** 2 + (x[3] - 1) ** 4 + (x[4] - 1) ** 6,
        [lambda x: x[0] + x[1] + x[2] + 4 * x[3] - 7, lambda x: x[2] + 5 * x[4] - 6],
        [10.0, 7.0, 2.0, -3.0, 0.8],
        0.0,
    ),
    Constrained(
        50,
        lambda x: (x[0] - x[1]) ** 2 + (x[1] - x[2]) ** 2 + (x[2] - x[3]) ** 4 + (x[3] - x[4]) ** 2,
        [lambda x, k=k: x[k] + 2 * x[k + 1] + 3 * x[k + 2] - 6 for k in range(3)],
        [35.0, -31.0, 11.0, 5.0, -5.0],
        0.0,
    ),
    Constrained(
        51,
        lambda x: (x[0] - x[1]) ** 2 + (x[1] + x[2] - 2) ** 2 + (x[3] - 1) ** 2 + (x[4] - 1) ** 2,
        [lambda x: x[0] + 3 * x[1] - 4, lambda x: x[2] + x[3] - 2 * x[4], lambda x: x[1] - x[4]],
        [2.5, 0.5, 2.0, -1.0, 0.5],
        0.0,
    ),
    Constrained(
        52,
        lambda x: (4 * x[0] - x[1]) ** 2 + (x[1] + x[2] - 2) ** 2 + (x[3] - 1) ** 2 + (x[4] - 1) ** 2,
        [lambda x: x[0] + 3 * x[1], lambda x: x[2] + x[3] - 2 * x[4], lambda x: x[1] - x[4]],
        [2.0] * 5,
        1859 / 349,
    ),
    Constrained(
        56,
        lambda x: -x[0] * x[1] * x[2],
        [
            lambda x: x[:3] - 4.2 * sin(x[3:6]) ** 2,
            lambda x: x[0] + 2 * x[1] + 2 * x[2] - 7.2 * sin(x[6]) ** 2,
        ],
        [1.0, 1.0, 1.0, _A, _A, _A, _B],
        -3.456,
    ),
    Constrained(
        61,
        lambda x: 4 * x[0] ** 2 + 2 * x[1] ** 2 + 2 * x[2] ** 2 - 33 * x[0] + 16 * x[1] - 24 * x[2],
        [lambda x: 3 * x[0] - 2 * x[1] ** 2 - 7, lambda x: 4 * x[0] - x[2] ** 2 - 11],
        [0.0, 0.0, 0.0],
        -143.6461422,
    ),
    Constrained(
        77,
        lambda x: (x[0] - 1) ** 2 + (x[0] - x[1]) ** 2 + (x[2] - 1) ** 2 + (x[3] - 1) ** 4 + (x[4] - 1) ** 6,
        [
            lambda x: x[0] ** 2 * x[3] + sin(x[3] - x[4]) - 2 * sqrt(2),
            lambda x: x[1] + x[2] ** 4 * x[3] ** 2 - 8 - sqrt(2),
        ],
        [2.0] * 5,
        0.24150513,
    ),
    Constrained(
        78,
        lambda x: np.prod(x),
        [
            lambda x: np.sum(x**2) - 10,
            lambda x: x[1] * x[2] - 5 * x[3] * x[4],
            lambda x: x[0] ** 3 + x[1] ** 3 + 1,
        ],
        [-2.0, 1.5, 2.0, -1.0, -1.0],
        -2.91970041,
    ),
    Constrained(
        79,
        lambda x: (x[0] - 1) ** 2 + (x[0] - x[1]) ** 2 + (x[1] - x[2]) ** 2 + (x[2] - x[3]) ** 4 + (x[3] - x[4]) ** 4,
        [
            lambda x: x[0] + x[1] ** 2 + x[2] ** 3 - 2 - 3 * sqrt(2),
            lambda x: x[1] - x[2] ** 2 + x[3] + 2 - 2 * sqrt(2),
            lambda x: x[0] * x[4] - 2,
        ],
        [2.0] * 5,
        0.0787768209,
    ),
]
