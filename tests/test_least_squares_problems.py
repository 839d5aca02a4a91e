"""least_squares on the test problems of Moré, Garbow and Hillstrom (ACM TOMS 7, 1981, numbers 1 to 35), as they are:
with their residuals, from their starts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from mmlfast.optimize import least_squares

Residuals = Callable[[Any], Any]


class Problem(NamedTuple):
    name: str
    residuals: Residuals
    x0: Any
    minima: tuple[float, ...]  # of the sum of squares: one or the other, by which way a search goes


def rosenbrock(x: Any) -> Any:
    return np.concatenate([10 * (x[1::2] - x[::2] ** 2), 1 - x[::2]])


def freudenstein_roth(x: Any) -> Any:
    return np.stack([-13 + x[0] + ((5 - x[1]) * x[1] - 2) * x[1], -29 + x[0] + ((x[1] + 1) * x[1] - 14) * x[1]])


def powell_badly_scaled(x: Any) -> Any:
    return np.stack([1e4 * x[0] * x[1] - 1, np.exp(-x[0]) + np.exp(-x[1]) - 1.0001])


def brown_badly_scaled(x: Any) -> Any:
    return np.stack([x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2])


def beale(x: Any) -> Any:
    return np.stack([y - x[0] * (1 - x[1] ** i) for i, y in ((1, 1.5), (2, 2.25), (3, 2.625))])


def jennrich_sampson(x: Any) -> Any:
    i = np.arange(1.0, 11)
    return 2 + 2 * i - (np.exp(i * x[0]) + np.exp(i * x[1]))


def helical_valley(x: Any) -> Any:
    theta = np.arctan2(x[1], x[0]) / (2 * np.pi)
    return np.stack([10 * (x[2] - 10 * theta), 10 * (np.sqrt(x[0] ** 2 + x[1] ** 2) - 1), x[2]])


def bard(x: Any) -> Any:
    y = np.array([0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39])
    u = np.arange(1.0, 16)
    v = 16 - u
    return y - (x[0] + u / (v * x[1] + np.minimum(u, v) * x[2]))


def gaussian(x: Any) -> Any:
    half = [9, 44, 175, 540, 1295, 2420, 3521]
    t = (8 - np.arange(1, 16)) / 2
    return x[0] * np.exp(-x[1] * (t - x[2]) ** 2 / 2) - np.array([*half, 3989, *half[::-1]]) * 1e-4


def meyer(x: Any) -> Any:
    y = [34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005, 5147, 4427, 3820, 3307, 2872]
    return x[0] * np.exp(x[1] / (45 + 5 * np.arange(1.0, 17) + x[2])) - np.array(y)


def gulf(x: Any) -> Any:
    t = np.arange(1, 100) / 100
    y = 25 + (-50 * np.log(t)) ** (2 / 3)
    return np.exp(-(np.abs(y - x[1]) ** x[2]) / x[0]) - t


def box(x: Any) -> Any:
    t = np.arange(1, 11) / 10
    return np.exp(-t * x[0]) - np.exp(-t * x[1]) - x[2] * (np.exp(-t) - np.exp(-10 * t))


def powell_singular(x: Any) -> Any:
    a, b, c, d = x[0::4], x[1::4], x[2::4], x[3::4]
    return np.concatenate([a + 10 * b, 5**0.5 * (c - d), (b - 2 * c) ** 2, 10**0.5 * (a - d) ** 2])


def wood(x: Any) -> Any:
    return np.stack(
        [
            10 * (x[1] - x[0] ** 2),
            1 - x[0],
            90**0.5 * (x[3] - x[2] ** 2),
            1 - x[2],
            10**0.5 * (x[1] + x[3] - 2),
            10**-0.5 * (x[1] - x[3]),
        ]
    )


def kowalik_osborne(x: Any) -> Any:
    y = np.array([0.1957, 0.1947, 0.1735, 0.16, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246])
    u = np.array([4.0, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625])
    return y - x[0] * (u**2 + u * x[1]) / (u**2 + u * x[2] + x[3])


def brown_dennis(x: Any) -> Any:
    t = np.arange(1, 21) / 5
    return (x[0] + t * x[1] - np.exp(t)) ** 2 + (x[2] + x[3] * np.sin(t) - np.cos(t)) ** 2


OSBORNE_1 = [
    *(844, 908, 932, 936, 925, 908, 881, 850, 818, 784, 751, 718, 685, 658, 628, 603, 580),
    *(558, 538, 522, 506, 490, 478, 467, 457, 448, 438, 431, 424, 420, 414, 411, 406),
]


def osborne_1(x: Any) -> Any:
    t = 10 * np.arange(33.0)
    return np.array(OSBORNE_1) / 1000 - (x[0] + x[1] * np.exp(-t * x[3]) + x[2] * np.exp(-t * x[4]))


def biggs(x: Any) -> Any:
    t = np.arange(1, 14) / 10
    y = np.exp(-t) - 5 * np.exp(-10 * t) + 3 * np.exp(-4 * t)
    return x[2] * np.exp(-t * x[0]) - x[3] * np.exp(-t * x[1]) + x[5] * np.exp(-t * x[4]) - y


OSBORNE_2 = [
    *(1.366, 1.191, 1.112, 1.013, 0.991, 0.885, 0.831, 0.847, 0.786, 0.725, 0.746, 0.679, 0.608, 0.655, 0.616, 0.606),
    *(0.602, 0.626, 0.651, 0.724, 0.649, 0.649, 0.694, 0.644, 0.624, 0.661, 0.612, 0.558, 0.533, 0.495, 0.500, 0.423),
    *(0.395, 0.375, 0.372, 0.391, 0.396, 0.405, 0.428, 0.429, 0.523, 0.562, 0.607, 0.653, 0.672, 0.708, 0.633, 0.668),
    *(0.645, 0.632, 0.591, 0.559, 0.597, 0.625, 0.739, 0.710, 0.729, 0.720, 0.636, 0.581, 0.428, 0.292, 0.162, 0.098),
    0.054,
]


def osborne_2(x: Any) -> Any:
    t = np.arange(65) / 10
    bells = x[1] * np.exp(-((t - x[8]) ** 2) * x[5])
    bells = bells + x[2] * np.exp(-((t - x[9]) ** 2) * x[6])
    bells = bells + x[3] * np.exp(-((t - x[10]) ** 2) * x[7])
    return np.array(OSBORNE_2) - (x[0] * np.exp(-t * x[4]) + bells)


def watson(x: Any) -> Any:
    n = len(x)
    t, j = np.arange(1, 30)[:, np.newaxis] / 29, np.arange(n)
    first = (j[1:] * t ** (j[1:] - 1)) @ x[1:]
    return np.concatenate([first - (t**j @ x) ** 2 - 1, x[:1], x[1:2] - x[:1] ** 2 - 1])


def penalty_1(x: Any) -> Any:
    return np.concatenate([1e-5**0.5 * (x - 1), np.sum(x**2, keepdims=True) - 0.25])


def penalty_2(x: Any) -> Any:
    n, a = len(x), 1e-5**0.5
    i = np.arange(2, n + 1)
    y = np.exp(i / 10) + np.exp((i - 1) / 10)
    e = np.exp(x / 10)
    last = np.sum(np.arange(n, 0, -1) * x**2, keepdims=True) - 1
    return np.concatenate([x[:1] - 0.2, a * (e[1:] + e[:-1] - y), a * (e[1:] - np.exp(-0.1)), last])


def variably_dimensioned(x: Any) -> Any:
    s = np.sum(np.arange(1, len(x) + 1) * (x - 1), keepdims=True)
    return np.concatenate([x - 1, s, s**2])


def trigonometric(x: Any) -> Any:
    n = len(x)
    return n - np.sum(np.cos(x)) + np.arange(1, n + 1) * (1 - np.cos(x)) - np.sin(x)


def brown_almost_linear(x: Any) -> Any:
    return np.concatenate([x[:-1] + np.sum(x) - (len(x) + 1), np.prod(x, keepdims=True) - 1])


def _padded(x: Any) -> Any:
    return np.concatenate([np.zeros(1), x, np.zeros(1)])


def discrete_boundary(x: Any) -> Any:
    n, z = len(x), _padded(x)
    h = 1 / (n + 1)
    return 2 * x - z[:-2] - z[2:] + h**2 * (x + np.arange(1, n + 1) * h + 1) ** 3 / 2


def discrete_integral(x: Any) -> Any:
    n = len(x)
    h = 1 / (n + 1)
    t = np.arange(1, n + 1) * h
    kernel = np.where(t <= t[:, np.newaxis], (1 - t[:, np.newaxis]) * t, t[:, np.newaxis] * (1 - t))
    return x + h * (kernel @ (x + t + 1) ** 3) / 2


def broyden_tridiagonal(x: Any) -> Any:
    z = _padded(x)
    return (3 - 2 * x) * x - z[:-2] - 2 * z[2:] + 1


def broyden_banded(x: Any) -> Any:
    n = len(x)
    i = np.arange(n)
    near = ((i >= i[:, np.newaxis] - 5) & (i <= i[:, np.newaxis] + 1) & (i != i[:, np.newaxis])).astype(float)
    return x * (2 + 5 * x**2) + 1 - near @ (x * (1 + x))


def linear_full_rank(x: Any) -> Any:
    mean = np.sum(x, keepdims=True) / len(x) + 1
    return np.concatenate([x - mean, -mean * np.ones(len(x))])


def linear_rank_1(x: Any) -> Any:
    return np.arange(1, 21) * np.sum(np.arange(1, len(x) + 1) * x) - 1


def linear_rank_1_with_zeros(x: Any) -> Any:
    i = np.concatenate([np.arange(19), np.zeros(1)])
    return i * np.sum(np.arange(2, len(x)) * x[1:-1]) - 1


def chebyquad(x: Any) -> Any:
    t0, t1, rows = np.ones_like(x), 2 * x - 1, []
    for i in range(1, len(x) + 1):
        rows.append(np.mean(t1) + (1.0 / (i * i - 1) if i % 2 == 0 else 0.0))
        t0, t1 = t1, 2 * (2 * x - 1) * t1 - t0
    return np.stack(rows)


N = 10
STEPS = np.arange(1, N + 1) / (N + 1)
OF_OSBORNE_2 = [1.3, 0.65, 0.65, 0.7, 0.6, 3, 5, 7, 2, 4.5, 5.5]
PROBLEMS = [
    Problem("1 Rosenbrock", rosenbrock, [-1.2, 1.0], (0.0,)),
    Problem("2 Freudenstein and Roth", freudenstein_roth, [0.5, -2.0], (48.98425367924005, 0.0)),
    Problem("3 Powell, badly scaled", powell_badly_scaled, [0.0, 1.0], (0.0,)),
    Problem("4 Brown, badly scaled", brown_badly_scaled, [1.0, 1.0], (0.0,)),
    Problem("5 Beale", beale, [1.0, 1.0], (0.0,)),
    Problem("6 Jennrich and Sampson", jennrich_sampson, [0.3, 0.4], (124.3621823556148,)),
    Problem("7 Helical valley", helical_valley, [-1.0, 0.0, 0.0], (0.0,)),
    Problem("8 Bard", bard, [1.0, 1.0, 1.0], (8.214877306578963e-3,)),
    Problem("9 Gaussian", gaussian, [0.4, 1.0, 0.0], (1.127932769618721e-8,)),
    Problem("10 Meyer", meyer, [0.02, 4000.0, 250.0], (87.94585517057415,)),
    Problem("11 Gulf", gulf, [5.0, 2.5, 0.15], (0.0,)),
    Problem("12 Box", box, [0.0, 10.0, 20.0], (0.0,)),
    Problem("13 Powell, singular", powell_singular, [3.0, -1.0, 0.0, 1.0], (0.0,)),
    Problem("14 Wood", wood, [-3.0, -1.0, -3.0, -1.0], (0.0,)),
    Problem("15 Kowalik and Osborne", kowalik_osborne, [0.25, 0.39, 0.415, 0.39], (3.075056038492364e-4,)),
    Problem("16 Brown and Dennis", brown_dennis, [25.0, 5.0, -5.0, -1.0], (85822.20162635628,)),
    Problem("17 Osborne 1", osborne_1, [0.5, 1.5, -1.0, 0.01, 0.02], (5.464894697482687e-5,)),
    Problem("18 Biggs", biggs, [1.0, 2.0, 1.0, 1.0, 1.0, 1.0], (0.0, 5.655649925499929e-3)),
    Problem("19 Osborne 2", osborne_2, OF_OSBORNE_2, (4.013773629354778e-2,)),
    Problem("20 Watson 6", watson, np.zeros(6), (2.287670053552372e-3,)),
    Problem("20 Watson 9", watson, np.zeros(9), (1.399760138097e-6,)),
    Problem("20 Watson 12", watson, np.zeros(12), (4.722381107293e-10,)),
    Problem("21 Rosenbrock 10", rosenbrock, [-1.2, 1.0] * 5, (0.0,)),
    Problem("22 Powell, singular 8", powell_singular, [3.0, -1.0, 0.0, 1.0] * 2, (0.0,)),
    Problem("23 Penalty I 4", penalty_1, np.arange(1.0, 5), (2.249977500155e-5,)),
    Problem("23 Penalty I 10", penalty_1, np.arange(1.0, 11), (7.087651467090369e-5,)),
    Problem("24 Penalty II 4", penalty_2, np.full(4, 0.5), (9.376293007355e-6,)),
    Problem("24 Penalty II 10", penalty_2, np.full(10, 0.5), (2.936605374567e-4,)),
    Problem("25 Variably dimensioned", variably_dimensioned, 1 - np.arange(1, N + 1) / N, (0.0,)),
    Problem("26 Trigonometric", trigonometric, np.full(N, 1 / N), (2.795056121876575e-5, 0.0)),
    Problem("27 Brown, almost linear", brown_almost_linear, np.full(N, 0.5), (0.0, 1.0)),
    Problem("28 Discrete boundary value", discrete_boundary, STEPS * (STEPS - 1), (0.0,)),
    Problem("29 Discrete integral", discrete_integral, STEPS * (STEPS - 1), (0.0,)),
    Problem("30 Broyden, tridiagonal", broyden_tridiagonal, np.full(N, -1.0), (0.0,)),
    Problem("31 Broyden, banded", broyden_banded, np.full(N, -1.0), (0.0,)),
    Problem("32 Linear, full rank", linear_full_rank, np.ones(N), (10.0,)),
    Problem("33 Linear, rank 1", linear_rank_1, np.ones(N), (20 * 19 / (2 * 41),)),
    Problem("34 Linear, rank 1, zeros", linear_rank_1_with_zeros, np.ones(N), ((400 + 60 - 6) / (2 * 37),)),
    Problem("35 Chebyquad 8", chebyquad, np.arange(1, 9) / 9, (3.516873725677930e-3,)),
    Problem("35 Chebyquad 9", chebyquad, np.arange(1, 10) / 10, (0.0,)),
    Problem("35 Chebyquad 10", chebyquad, np.arange(1, 11) / 11, (6.503954800e-3, 4.7727138e-3)),
]


@pytest.mark.parametrize("problem", PROBLEMS, ids=[p.name for p in PROBLEMS])
def test_problem(problem: Problem) -> None:
    found = least_squares(problem.residuals, problem.x0)
    assert found.derivatives == "exact"
    assert found.success
    assert any(abs(2 * found.cost - least) <= 1e-9 * least + 1e-20 for least in problem.minima), (2 * found.cost, found)
