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


class Inequalities(NamedTuple):
    """f, functions that must not be negative, equations, bounds, start, and the value of f at the solution."""

    number: int
    f: Any
    inequalities: list[Any]
    equations: list[Any]
    bounds: Any
    x0: Any
    value: float


def _rosenbrock(x: Any) -> Any:
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


# Those with more than one minimum are left out, and HS13, whose solution has no multipliers.
INEQUALITIES = [
    Inequalities(
        10,
        lambda x: x[0] - x[1],
        [lambda x: -3 * x[0] ** 2 + 2 * x[0] * x[1] - x[1] ** 2 + 1],
        [],
        [(None, None)] * 2,
        [-10.0, 10],
        -1,
    ),
    Inequalities(
        11,
        lambda x: (x[0] - 5) ** 2 + x[1] ** 2 - 25,
        [lambda x: -(x[0] ** 2) + x[1]],
        [],
        [(None, None)] * 2,
        [4.9, 0.1],
        -8.498464223,
    ),
    Inequalities(
        12,
        lambda x: 0.5 * x[0] ** 2 + x[1] ** 2 - x[0] * x[1] - 7 * x[0] - 7 * x[1],
        [lambda x: 25 - 4 * x[0] ** 2 - x[1] ** 2],
        [],
        [(None, None)] * 2,
        [0.0, 0],
        -30,
    ),
    Inequalities(
        14,
        lambda x: (x[0] - 2) ** 2 + (x[1] - 1) ** 2,
        [lambda x: -0.25 * x[0] ** 2 - x[1] ** 2 + 1],
        [lambda x: x[0] - 2 * x[1] + 1],
        [(None, None)] * 2,
        [2.0, 2],
        9 - 2.875 * sqrt(7),
    ),
    Inequalities(
        15,
        _rosenbrock,
        [lambda x: x[0] * x[1] - 1, lambda x: x[0] + x[1] ** 2],
        [],
        [(None, 0.5), (None, None)],
        [-2.0, 1],
        306.5,
    ),
    Inequalities(
        17,
        _rosenbrock,
        [lambda x: x[1] ** 2 - x[0], lambda x: x[0] ** 2 - x[1]],
        [],
        [(-0.5, 0.5), (None, 1)],
        [-2.0, 1],
        1,
    ),
    Inequalities(
        18,
        lambda x: 0.01 * x[0] ** 2 + x[1] ** 2,
        [lambda x: x[0] * x[1] - 25, lambda x: x[0] ** 2 + x[1] ** 2 - 25],
        [],
        [(2, 50), (0, 50)],
        [2.0, 2],
        5,
    ),
    Inequalities(
        19,
        lambda x: (x[0] - 10) ** 3 + (x[1] - 20) ** 3,
        [lambda x: (x[0] - 5) ** 2 + (x[1] - 5) ** 2 - 100, lambda x: -((x[1] - 5) ** 2) - (x[0] - 6) ** 2 + 82.81],
        [],
        [(13, 100), (0, 100)],
        [20.1, 5.84],
        -6961.813875580138,
    ),
    Inequalities(
        21,
        lambda x: 0.01 * x[0] ** 2 + x[1] ** 2 - 100,
        [lambda x: 10 * x[0] - x[1] - 10],
        [],
        [(2, 50), (-50, 50)],
        [-1.0, -1],
        -99.96,
    ),
    Inequalities(
        22,
        lambda x: (x[0] - 2) ** 2 + (x[1] - 1) ** 2,
        [lambda x: -x[0] - x[1] + 2, lambda x: -(x[0] ** 2) + x[1]],
        [],
        [(None, None)] * 2,
        [2.0, 2],
        1,
    ),
    Inequalities(
        23,
        lambda x: x[0] ** 2 + x[1] ** 2,
        [
            lambda x: x[0] + x[1] - 1,
            lambda x: x[0] ** 2 + x[1] ** 2 - 1,
            lambda x: 9 * x[0] ** 2 + x[1] ** 2 - 9,
            lambda x: x[0] ** 2 - x[1],
            lambda x: x[1] ** 2 - x[0],
        ],
        [],
        [(-50, 50)] * 2,
        [3.0, 1],
        2,
    ),
    Inequalities(
        24,
        lambda x: ((x[0] - 3) ** 2 - 9) * x[1] ** 3 / (27 * sqrt(3)),
        [lambda x: x[0] / sqrt(3) - x[1], lambda x: x[0] + sqrt(3) * x[1], lambda x: -x[0] - sqrt(3) * x[1] + 6],
        [],
        [(0, None)] * 2,
        [1.0, 0.5],
        -1,
    ),
    Inequalities(
        29,
        lambda x: -x[0] * x[1] * x[2],
        [lambda x: -(x[0] ** 2) - 2 * x[1] ** 2 - 4 * x[2] ** 2 + 48],
        [],
        [(None, None)] * 3,
        [1.0, 1, 1],
        -16 * sqrt(2),
    ),
    Inequalities(
        30,
        lambda x: x[0] ** 2 + x[1] ** 2 + x[2] ** 2,
        [lambda x: x[0] ** 2 + x[1] ** 2 - 1],
        [],
        [(1, 10), (-10, 10), (-10, 10)],
        [1.0, 1, 1],
        1,
    ),
    Inequalities(
        31,
        lambda x: 9 * x[0] ** 2 + x[1] ** 2 + 9 * x[2] ** 2,
        [lambda x: x[0] * x[1] - 1],
        [],
        [(-10, 10), (1, 10), (-10, 1)],
        [1.0, 1, 1],
        6,
    ),
    Inequalities(
        32,
        lambda x: (x[0] + 3 * x[1] + x[2]) ** 2 + 4 * (x[0] - x[1]) ** 2,
        [lambda x: 6 * x[1] + 4 * x[2] - x[0] ** 3 - 3],
        [lambda x: 1 - x[0] - x[1] - x[2]],
        [(0, None)] * 3,
        [0.1, 0.7, 0.2],
        1,
    ),
    Inequalities(
        33,
        lambda x: (x[0] - 1) * (x[0] - 2) * (x[0] - 3) + x[2],
        [lambda x: x[2] ** 2 - x[1] ** 2 - x[0] ** 2, lambda x: x[0] ** 2 + x[1] ** 2 + x[2] ** 2 - 4],
        [],
        [(0, None), (0, None), (0, 5)],
        [0.0, 0, 3],
        sqrt(2) - 6,
    ),
    Inequalities(
        34,
        lambda x: -x[0],
        [lambda x: x[1] - np.exp(x[0]), lambda x: x[2] - np.exp(x[1])],
        [],
        [(0, 100), (0, 100), (0, 10)],
        [0.0, 1.05, 2.9],
        -np.log(np.log(10)),
    ),
    Inequalities(
        35,
        lambda x: (
            9
            - 8 * x[0]
            - 6 * x[1]
            - 4 * x[2]
            + 2 * x[0] ** 2
            + 2 * x[1] ** 2
            + x[2] ** 2
            + 2 * x[0] * x[1]
            + 2 * x[0] * x[2]
        ),
        [lambda x: 3 - x[0] - x[1] - 2 * x[2]],
        [],
        [(0, None)] * 3,
        [0.5, 0.5, 0.5],
        1 / 9,
    ),
    Inequalities(
        36,
        lambda x: -x[0] * x[1] * x[2],
        [lambda x: 72 - x[0] - 2 * x[1] - 2 * x[2]],
        [],
        [(0, 20), (0, 11), (0, 42)],
        [10.0, 10, 10],
        -3300,
    ),
    Inequalities(
        37,
        lambda x: -x[0] * x[1] * x[2],
        [lambda x: 72 - x[0] - 2 * x[1] - 2 * x[2], lambda x: x[0] + 2 * x[1] + 2 * x[2]],
        [],
        [(0, 42)] * 3,
        [10.0, 10, 10],
        -3456,
    ),
    Inequalities(
        41,
        lambda x: 2 - x[0] * x[1] * x[2],
        [],
        [lambda x: x[0] + 2 * x[1] + 2 * x[2] - x[3]],
        [(0, 1)] * 3 + [(0, 2)],
        [2.0, 2, 2, 2],
        52 / 27,
    ),
    Inequalities(
        43,
        lambda x: x[0] ** 2 + x[1] ** 2 + 2 * x[2] ** 2 + x[3] ** 2 - 5 * x[0] - 5 * x[1] - 21 * x[2] + 7 * x[3],
        [
            lambda x: 8 - x[0] ** 2 - x[1] ** 2 - x[2] ** 2 - x[3] ** 2 - x[0] + x[1] - x[2] + x[3],
            lambda x: 10 - x[0] ** 2 - 2 * x[1] ** 2 - x[2] ** 2 - 2 * x[3] ** 2 + x[0] + x[3],
            lambda x: 5 - 2 * x[0] ** 2 - x[1] ** 2 - x[2] ** 2 - 2 * x[0] + x[1] + x[3],
        ],
        [],
        [(None, None)] * 4,
        [0.0, 0, 0, 0],
        -44,
    ),
    Inequalities(
        44,
        lambda x: x[0] - x[1] - x[2] - x[0] * x[2] + x[0] * x[3] + x[1] * x[2] - x[1] * x[3],
        [
            lambda x: 8 - x[0] - 2 * x[1],
            lambda x: 12 - 4 * x[0] - x[1],
            lambda x: 12 - 3 * x[0] - 4 * x[1],
            lambda x: 8 - 2 * x[2] - x[3],
            lambda x: 8 - x[2] - 2 * x[3],
            lambda x: 5 - x[2] - x[3],
        ],
        [],
        [(0, None)] * 4,
        [0.0, 0, 0, 0],
        -15,
    ),
    Inequalities(
        53,
        lambda x: (x[0] - x[1]) ** 2 + (x[1] + x[2] - 2) ** 2 + (x[3] - 1) ** 2 + (x[4] - 1) ** 2,
        [],
        [lambda x: x[0] + 3 * x[1], lambda x: x[2] + x[3] - 2 * x[4], lambda x: x[1] - x[4]],
        [(-10, 10)] * 5,
        [2.0] * 5,
        176 / 43,
    ),
    Inequalities(
        60,
        lambda x: (x[0] - 1) ** 2 + (x[0] - x[1]) ** 2 + (x[1] - x[2]) ** 4,
        [],
        [lambda x: x[0] * (1 + x[1] ** 2) + x[2] ** 4 - 4 - 3 * sqrt(2)],
        [(-10, 10)] * 3,
        [2.0] * 3,
        0.03256820025,
    ),
    Inequalities(
        63,
        lambda x: 1000 - x[0] ** 2 - 2 * x[1] ** 2 - x[2] ** 2 - x[0] * x[1] - x[0] * x[2],
        [],
        [lambda x: 8 * x[0] + 14 * x[1] + 7 * x[2] - 56, lambda x: x[0] ** 2 + x[1] ** 2 + x[2] ** 2 - 25],
        [(0, None)] * 3,
        [2.0] * 3,
        961.7151721,
    ),
    Inequalities(
        64,
        lambda x: 5 * x[0] + 50000 / x[0] + 20 * x[1] + 72000 / x[1] + 10 * x[2] + 144000 / x[2],
        [lambda x: 1 - 4 / x[0] - 32 / x[1] - 120 / x[2]],
        [],
        [(1e-5, None)] * 3,
        [1.0] * 3,
        6299.842428,
    ),
    Inequalities(
        65,
        lambda x: (x[0] - x[1]) ** 2 + (x[0] + x[1] - 10) ** 2 / 9 + (x[2] - 5) ** 2,
        [lambda x: 48 - x[0] ** 2 - x[1] ** 2 - x[2] ** 2],
        [],
        [(-4.5, 4.5), (-4.5, 4.5), (-5, 5)],
        [-5.0, 5, 0],
        0.9535288567,
    ),
    Inequalities(
        66,
        lambda x: 0.2 * x[2] - 0.8 * x[0],
        [lambda x: x[1] - np.exp(x[0]), lambda x: x[2] - np.exp(x[1])],
        [],
        [(0, 100), (0, 100), (0, 10)],
        [0.0, 1.05, 2.9],
        0.5181632741,
    ),
    Inequalities(
        71,
        lambda x: x[0] * x[3] * (x[0] + x[1] + x[2]) + x[2],
        [lambda x: x[0] * x[1] * x[2] * x[3] - 25],
        [lambda x: np.sum(x**2) - 40],
        [(1, 5)] * 4,
        [1.0, 5, 5, 1],
        17.0140173,
    ),
    Inequalities(
        76,
        lambda x: (
            x[0] ** 2
            + 0.5 * x[1] ** 2
            + x[2] ** 2
            + 0.5 * x[3] ** 2
            - x[0] * x[2]
            + x[2] * x[3]
            - x[0]
            - 3 * x[1]
            + x[2]
            - x[3]
        ),
        [
            lambda x: 5 - x[0] - 2 * x[1] - x[2] - x[3],
            lambda x: 4 - 3 * x[0] - x[1] - 2 * x[2] + x[3],
            lambda x: x[1] + 4 * x[2] - 1.5,
        ],
        [],
        [(0, None)] * 4,
        [0.5] * 4,
        -4.681818181,
    ),
    Inequalities(
        83,
        lambda x: 5.3578547 * x[2] ** 2 + 0.8356891 * x[0] * x[4] + 37.293239 * x[0] - 40792.141,
        [
            lambda x: 85.334407 + 0.0056858 * x[1] * x[4] + 0.0006262 * x[0] * x[3] - 0.0022053 * x[2] * x[4],
            lambda x: 92 - (85.334407 + 0.0056858 * x[1] * x[4] + 0.0006262 * x[0] * x[3] - 0.0022053 * x[2] * x[4]),
            lambda x: 80.51249 + 0.0071317 * x[1] * x[4] + 0.0029955 * x[0] * x[1] + 0.0021813 * x[2] ** 2 - 90,
            lambda x: 20 - (80.51249 + 0.0071317 * x[1] * x[4] + 0.0029955 * x[0] * x[1] + 0.0021813 * x[2] ** 2 - 90),
            lambda x: 9.300961 + 0.0047026 * x[2] * x[4] + 0.0012547 * x[0] * x[2] + 0.0019085 * x[2] * x[3] - 20,
            lambda x: 5 - (9.300961 + 0.0047026 * x[2] * x[4] + 0.0012547 * x[0] * x[2] + 0.0019085 * x[2] * x[3] - 20),
        ],
        [],
        [(78, 102), (33, 45), (27, 45), (27, 45), (27, 45)],
        [78.0, 33, 27, 27, 27],
        -30665.538671783,
    ),
    Inequalities(
        93,
        lambda x: (
            0.0204 * x[0] * x[3] * (x[0] + x[1] + x[2])
            + 0.0187 * x[1] * x[2] * (x[0] + 1.57 * x[1] + x[3])
            + 0.0607 * x[0] * x[3] * x[4] ** 2 * (x[0] + x[1] + x[2])
            + 0.0437 * x[1] * x[2] * x[5] ** 2 * (x[0] + 1.57 * x[1] + x[3])
        ),
        [
            lambda x: 0.001 * x[0] * x[1] * x[2] * x[3] * x[4] * x[5] - 2.07,
            lambda x: (
                1
                - 0.00062 * x[0] * x[3] * x[4] ** 2 * (x[0] + x[1] + x[2])
                - 0.00058 * x[1] * x[2] * x[5] ** 2 * (x[0] + 1.57 * x[1] + x[3])
            ),
        ],
        [],
        [(0, None)] * 6,
        [5.54, 4.4, 12.02, 11.82, 0.702, 0.852],
        135.0759628,
    ),
    Inequalities(
        100,
        lambda x: (
            (x[0] - 10) ** 2
            + 5 * (x[1] - 12) ** 2
            + x[2] ** 4
            + 3 * (x[3] - 11) ** 2
            + 10 * x[4] ** 6
            + 7 * x[5] ** 2
            + x[6] ** 4
            - 4 * x[5] * x[6]
            - 10 * x[5]
            - 8 * x[6]
        ),
        [
            lambda x: 127 - 2 * x[0] ** 2 - 3 * x[1] ** 4 - x[2] - 4 * x[3] ** 2 - 5 * x[4],
            lambda x: 282 - 7 * x[0] - 3 * x[1] - 10 * x[2] ** 2 - x[3] + x[4],
            lambda x: 196 - 23 * x[0] - x[1] ** 2 - 6 * x[5] ** 2 + 8 * x[6],
            lambda x: -4 * x[0] ** 2 - x[1] ** 2 + 3 * x[0] * x[1] - 2 * x[2] ** 2 - 5 * x[5] + 11 * x[6],
        ],
        [],
        [(None, None)] * 7,
        [1.0, 2, 0, 4, 0, 1, 1],
        680.6300573,
    ),
    Inequalities(
        106,
        lambda x: x[0] + x[1] + x[2],
        [
            lambda x: 1 - 0.0025 * (x[3] + x[5]),
            lambda x: 1 - 0.0025 * (x[4] + x[6] - x[3]),
            lambda x: 1 - 0.01 * (x[7] - x[4]),
            lambda x: x[0] * x[5] - 833.33252 * x[3] - 100 * x[0] + 83333.333,
            lambda x: x[1] * x[6] - 1250 * x[4] - x[1] * x[3] + 1250 * x[3],
            lambda x: x[2] * x[7] - 1250000 - x[2] * x[4] + 2500 * x[4],
        ],
        [],
        [(100, 10000), (1000, 10000), (1000, 10000)] + [(10, 1000)] * 5,
        [5000.0, 5000, 5000, 200, 350, 150, 225, 425],
        7049.248020528666,
    ),
    Inequalities(
        113,
        lambda x: (
            x[0] ** 2
            + x[1] ** 2
            + x[0] * x[1]
            - 14 * x[0]
            - 16 * x[1]
            + (x[2] - 10) ** 2
            + 4 * (x[3] - 5) ** 2
            + (x[4] - 3) ** 2
            + 2 * (x[5] - 1) ** 2
            + 5 * x[6] ** 2
            + 7 * (x[7] - 11) ** 2
            + 2 * (x[8] - 10) ** 2
            + (x[9] - 7) ** 2
            + 45
        ),
        [
            lambda x: 105 - 4 * x[0] - 5 * x[1] + 3 * x[6] - 9 * x[7],
            lambda x: -10 * x[0] + 8 * x[1] + 17 * x[6] - 2 * x[7],
            lambda x: 8 * x[0] - 2 * x[1] - 5 * x[8] + 2 * x[9] + 12,
            lambda x: -3 * (x[0] - 2) ** 2 - 4 * (x[1] - 3) ** 2 - 2 * x[2] ** 2 + 7 * x[3] + 120,
            lambda x: -5 * x[0] ** 2 - 8 * x[1] - (x[2] - 6) ** 2 + 2 * x[3] + 40,
            lambda x: -0.5 * (x[0] - 8) ** 2 - 2 * (x[1] - 4) ** 2 - 3 * x[4] ** 2 + x[5] + 30,
            lambda x: -(x[0] ** 2) - 2 * (x[1] - 2) ** 2 + 2 * x[0] * x[1] - 14 * x[4] + 6 * x[5],
            lambda x: 3 * x[0] - 6 * x[1] - 12 * (x[8] - 8) ** 2 + 7 * x[9],
        ],
        [],
        [(None, None)] * 10,
        [2.0, 3, 5, 5, 1, 2, 7, 3, 6, 10],
        24.3062091,
    ),
]
