"""Test functions of optimisation: of Moré, Garbow and Hillstrom (ACM TOMS 7, 1981) as sums of squares, and others."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Problem(NamedTuple):
    """residuals(x) (or a value), a start, and the smallest value (several, if it depends on the way)."""

    name: str
    f: Any
    x0: Any
    minima: tuple[float, ...]


def squares(residuals: Any) -> Any:
    def f(x: Any) -> Any:
        r = residuals(x)
        return sum(part**2 for part in r) if isinstance(r, list) else np.sum(r**2)

    return f


def rosenbrock(x: Any) -> Any:
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def extended_rosenbrock(x: Any) -> Any:
    return np.sum(100 * (x[1::2] - x[::2] ** 2) ** 2 + (1 - x[::2]) ** 2)


def powell_singular(x: Any) -> Any:
    a, b, c, d = x[0::4], x[1::4], x[2::4], x[3::4]
    return np.sum((a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4)


def wood(x: Any) -> Any:
    return (
        100 * (x[1] - x[0] ** 2) ** 2
        + (1 - x[0]) ** 2
        + 90 * (x[3] - x[2] ** 2) ** 2
        + (1 - x[2]) ** 2
        + 10 * (x[1] + x[3] - 2) ** 2
        + 0.1 * (x[1] - x[3]) ** 2
    )


def helical_valley(x: Any) -> Any:
    theta = np.arctan2(x[1], x[0]) / (2 * np.pi)
    return 100 * (x[2] - 10 * theta) ** 2 + 100 * (np.sqrt(x[0] ** 2 + x[1] ** 2) - 1) ** 2 + x[2] ** 2


BARD = np.array([0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39])


def bard(x: Any) -> Any:
    u = np.arange(1.0, 16)
    v = 16 - u
    return np.sum((BARD - (x[0] + u / (v * x[1] + np.minimum(u, v) * x[2]))) ** 2)


KOWALIK_Y = np.array([0.1957, 0.1947, 0.1735, 0.16, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246])
KOWALIK_U = np.array([4.0, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625])


def kowalik_osborne(x: Any) -> Any:
    u = KOWALIK_U
    return np.sum((KOWALIK_Y - x[0] * (u**2 + u * x[1]) / (u**2 + u * x[2] + x[3])) ** 2)


def brown_dennis(x: Any) -> Any:
    t = np.arange(1, 21) / 5
    return np.sum(((x[0] + t * x[1] - np.exp(t)) ** 2 + (x[2] + x[3] * np.sin(t) - np.cos(t)) ** 2) ** 2)


def jennrich_sampson(x: Any) -> Any:
    i = np.arange(1.0, 11)
    return np.sum((2 + 2 * i - (np.exp(i * x[0]) + np.exp(i * x[1]))) ** 2)


def box_3d(x: Any) -> Any:
    t = np.arange(1, 11) / 10
    return np.sum((np.exp(-t * x[0]) - np.exp(-t * x[1]) - x[2] * (np.exp(-t) - np.exp(-10 * t))) ** 2)


def gulf(x: Any) -> Any:
    t = np.arange(1, 100) / 100
    y = 25 + (-50 * np.log(t)) ** (2 / 3)
    return np.sum((np.exp(-(np.abs(y - x[1]) ** x[2]) / x[0]) - t) ** 2)


def biggs_exp6(x: Any) -> Any:
    t = np.arange(1, 14) / 10
    y = np.exp(-t) - 5 * np.exp(-10 * t) + 3 * np.exp(-4 * t)
    return np.sum((x[2] * np.exp(-t * x[0]) - x[3] * np.exp(-t * x[1]) + x[5] * np.exp(-t * x[4]) - y) ** 2)


def watson(x: Any) -> Any:
    n = len(x)
    t = np.arange(1, 30)[:, np.newaxis] / 29
    j = np.arange(n)
    first = (j[1:] * t ** (j[1:] - 1)) @ x[1:]
    second = t**j @ x
    return np.sum((first - second**2 - 1) ** 2) + x[0] ** 2 + (x[1] - x[0] ** 2 - 1) ** 2


def penalty_1(x: Any) -> Any:
    return 1e-5 * np.sum((x - 1) ** 2) + (np.sum(x**2) - 0.25) ** 2


def variably_dimensioned(x: Any) -> Any:
    s = np.sum(np.arange(1, len(x) + 1) * (x - 1))
    return np.sum((x - 1) ** 2) + s**2 + s**4


def trigonometric(x: Any) -> Any:
    n = len(x)
    return np.sum((n - np.sum(np.cos(x)) + np.arange(1, n + 1) * (1 - np.cos(x)) - np.sin(x)) ** 2)


def broyden_tridiagonal(x: Any) -> Any:
    z = np.concatenate([np.zeros(1), x, np.zeros(1)])
    return np.sum(((3 - 2 * x) * x - z[:-2] - 2 * z[2:] + 1) ** 2)


def discrete_boundary(x: Any) -> Any:
    n = len(x)
    h = 1 / (n + 1)
    t = np.arange(1, n + 1) * h
    z = np.concatenate([np.zeros(1), x, np.zeros(1)])
    return np.sum((2 * x - z[:-2] - z[2:] + h**2 * (x + t + 1) ** 3 / 2) ** 2)


def brown_almost_linear(x: Any) -> Any:
    n = len(x)
    return np.sum((x[:-1] + np.sum(x) - (n + 1)) ** 2) + (np.prod(x) - 1) ** 2


def linear_full_rank(x: Any) -> Any:
    n, m = len(x), 2 * len(x)
    mean = 2 / m * np.sum(x) + 1
    return np.sum((x - mean) ** 2) + (m - n) * mean**2


def chebyquad(x: Any) -> Any:
    t0, t1, total = np.ones_like(x), 2 * x - 1, 0.0
    for i in range(1, len(x) + 1):
        integral = -1.0 / (i * i - 1) if i % 2 == 0 else 0.0
        total = total + (np.mean(t1) - integral) ** 2
        t0, t1 = t1, 2 * (2 * x - 1) * t1 - t0
    return total


def goldstein_price(v: Any) -> Any:
    x, y = v[0], v[1]
    a = 1 + (x + y + 1) ** 2 * (19 - 14 * x + 3 * x**2 - 14 * y + 6 * x * y + 3 * y**2)
    return a * (30 + (2 * x - 3 * y) ** 2 * (18 - 32 * x + 12 * x**2 + 48 * y - 36 * x * y + 27 * y**2))


def himmelblau(v: Any) -> Any:
    return (v[0] ** 2 + v[1] - 11) ** 2 + (v[0] + v[1] ** 2 - 7) ** 2


def booth(v: Any) -> Any:
    return (v[0] + 2 * v[1] - 7) ** 2 + (2 * v[0] + v[1] - 5) ** 2


def freudenstein_roth(x: Any) -> Any:
    a = -13 + x[0] + ((5 - x[1]) * x[1] - 2) * x[1]
    b = -29 + x[0] + ((x[1] + 1) * x[1] - 14) * x[1]
    return a**2 + b**2


def gaussian(x: Any) -> Any:
    y = np.array([9, 44, 175, 540, 1295, 2420, 3521, 3989, 3521, 2420, 1295, 540, 175, 44, 9]) * 1e-4
    t = (8 - np.arange(1, 16)) / 2
    return np.sum((x[0] * np.exp(-x[1] * (t - x[2]) ** 2 / 2) - y) ** 2)


def meyer(x: Any) -> Any:
    y = [34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005, 5147, 4427, 3820, 3307, 2872]
    t = 45 + 5 * np.arange(1.0, 17)
    return np.sum((x[0] * np.exp(x[1] / (t + x[2])) - np.array(y)) ** 2)


N = 10
STEP = np.arange(1, N + 1) / (N + 1)
PROBLEMS = [
    Problem("Rosenbrock", rosenbrock, [-1.2, 1.0], (0.0,)),
    Problem("Freudenstein and Roth", freudenstein_roth, [0.5, -2.0], (0.0, 48.98425367924005)),
    Problem(
        "Powell, badly scaled",
        squares(lambda x: [1e4 * x[0] * x[1] - 1, np.exp(-x[0]) + np.exp(-x[1]) - 1.0001]),
        [0.0, 1.0],
        (0.0,),
    ),
    Problem("Brown, badly scaled", squares(lambda x: [x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2]), [1.0, 1.0], (0.0,)),
    Problem(
        "Beale",
        squares(lambda x: [1.5 - x[0] * (1 - x[1]), 2.25 - x[0] * (1 - x[1] ** 2), 2.625 - x[0] * (1 - x[1] ** 3)]),
        [1.0, 1.0],
        (0.0,),
    ),
    Problem("Jennrich and Sampson", jennrich_sampson, [0.3, 0.4], (124.36218235561474,)),
    Problem("Helical valley", helical_valley, [-1.0, 0.0, 0.0], (0.0,)),
    Problem("Bard", bard, [1.0, 1.0, 1.0], (8.214877306578963e-3, 17.42869333333333)),
    Problem("Gaussian", gaussian, [0.4, 1.0, 0.0], (1.127932769618721e-8,)),
    Problem("Meyer", meyer, [0.02, 4000.0, 250.0], (87.94585517,)),
    Problem("Gulf", gulf, [5.0, 2.5, 0.15], (0.0,)),
    Problem("Box", box_3d, [0.0, 10.0, 20.0], (0.0,)),
    Problem("Powell, singular", powell_singular, [3.0, -1.0, 0.0, 1.0], (0.0,)),
    Problem("Wood", wood, [-3.0, -1.0, -3.0, -1.0], (0.0,)),
    Problem("Kowalik and Osborne", kowalik_osborne, [0.25, 0.39, 0.415, 0.39], (3.075056038492e-4, 1.02734e-3)),
    Problem("Brown and Dennis", brown_dennis, [25.0, 5.0, -5.0, -1.0], (85822.20162635628,)),
    Problem("Biggs", biggs_exp6, [1.0, 2.0, 1.0, 1.0, 1.0, 1.0], (0.0, 5.655649925499e-3, 0.3063667725)),
    Problem("Watson 6", watson, np.zeros(6), (2.287670053552e-3,)),
    Problem("Extended Rosenbrock", extended_rosenbrock, [-1.2, 1.0] * 5, (0.0,)),
    Problem("Extended Powell", powell_singular, [3.0, -1.0, 0.0, 1.0] * 2, (0.0,)),
    Problem("Penalty I", penalty_1, np.arange(1.0, 5), (2.249977500155e-5,)),
    Problem("Variably dimensioned", variably_dimensioned, 1 - np.arange(1, N + 1) / N, (0.0,)),
    Problem("Trigonometric", trigonometric, np.full(N, 1 / N), (0.0, 2.795056122e-5)),
    Problem("Brown, almost linear", brown_almost_linear, np.full(N, 0.5), (0.0, 1.0)),
    Problem("Discrete boundary value", discrete_boundary, STEP * (STEP - 1), (0.0,)),
    Problem("Broyden, tridiagonal", broyden_tridiagonal, np.full(N, -1.0), (0.0,)),
    Problem("Linear, full rank", linear_full_rank, np.ones(N), (10.0,)),
    Problem("Chebyquad 8", chebyquad, np.arange(1, 9) / 9, (3.51687372567793e-3,)),
    Problem("Goldstein and Price", goldstein_price, [-0.4, -0.6], (3.0, 30.0, 84.0, 840.0)),
    Problem("Himmelblau", himmelblau, [0.0, 0.0], (0.0,)),
    Problem("Booth", booth, [0.0, 0.0], (0.0,)),
]
