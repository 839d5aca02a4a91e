"""Random programs over arrays and numbers, against forward derivatives computed here with other means.

Every step of a program is two functions (random_steps.py): one for arrays, which is traced, and one for pairs of a
value and its derivatives by all inputs. The pairs run again with every step wrong by a rounding error or so: what moves
then is what nobody can know, and what the library may differ by. Two programs of seven look at their numbers.

A few hundred programs in the ordinary suite; twenty thousand with
`python -m pytest -m slow tests/test_autodiff_fuzz.py`. One program again: `python tests/test_autodiff_fuzz.py SEED`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from cases import saying
from derivatives import same
from random_steps import (
    WIDE,
    Pair,
    disturbed,
    joined,
    looking,
    multiplied,
    quick,
    rearranged,
    reduced,
    rounding_from,
    solved,
    two,
)

from mmlfast.autodiff import grad, hessian, jacobian, jvp, trace, value_and_grad, vjp

Array = np.ndarray[Any, Any]


# ---- programs ----


@dataclass
class Program:
    """Steps of (function, function of pairs, numbers of the operands); values 0 .. n are x and its entries."""

    n: int
    numbers: bool
    looks: bool  # whether some steps look at the numbers
    steps: list[tuple[Callable[..., Any], Callable[..., Pair], tuple[int, ...]]]
    results: list[int]

    def values(self, x: Any) -> list[Any]:
        known = [x, *(x[i] for i in range(self.n))]
        for f, _, operands in self.steps:
            known.append(f(*(known[i] for i in operands)))
        return known

    def __call__(self, x: Any) -> Any:
        known = self.values(x)
        total = 0.0
        for place, i in enumerate(self.results):
            total = total + np.sum(known[i]) * (place + 1)
        return total

    def vector(self, x: Any) -> Any:
        known = self.values(x)
        return np.concatenate([np.ravel(known[i]) for i in self.results])

    def pairs(self, x: Array, noise: np.random.Generator | None = None) -> list[Pair]:
        wide = np.asarray(x, WIDE)
        unit = np.eye(self.n, dtype=WIDE)
        known = [Pair(wide, unit), *(Pair(wide[i], unit[i]) for i in range(self.n))]
        with rounding_from(noise):
            for _, pair, operands in self.steps:
                result = pair(*(known[i] for i in operands))
                known.append(Pair(disturbed(np.asarray(result.value)), disturbed(np.asarray(result.slopes))))
        return known

    def slopes(self, x: Array, noise: np.random.Generator | None = None) -> tuple[Array, Array, Array]:
        """Value, gradient, and the rows of the Jacobian of `vector`."""
        known = self.pairs(x, noise)
        rows = [known[i].slopes.reshape(-1, self.n) for i in self.results]
        value = sum(known[i].value.sum() * (place + 1) for place, i in enumerate(self.results))
        gradient = sum(r.sum(0) * (place + 1) for place, r in enumerate(rows))
        return np.asarray(value), np.asarray(gradient), np.concatenate(rows)


def choose_step(known: list[Pair], numbers: bool, looks: bool, rng: np.random.Generator) -> Any:
    """A step and its operands, or None where it does not fit the values."""
    recent = len(known) - 1 - int(rng.exponential(3))
    i = max(recent, 0 if not numbers else 1)
    j = int(rng.integers(1 if numbers else 0, len(known)))
    a, b = known[i].value.astype(float), known[j].value.astype(float)
    if not a.size or not b.size:
        return None
    if looks and rng.random() < 0.3:
        return looking(a, rng), (i,)
    kind = rng.random()
    if numbers or kind < 0.45:
        if rng.random() < 0.5:
            return quick(a, rng), (i,)
        try:
            shape = np.broadcast_shapes(a.shape, b.shape)
        except ValueError:
            return None
        return (two(a, b, rng), (i, j)) if math.prod(shape) <= 40 else None
    if kind < 0.6:
        return reduced(a, rng), (i,)
    if kind < 0.78:
        return rearranged(a, rng), (i,)
    if kind < 0.88:
        return multiplied(a, b, rng), (i, j)
    if kind < 0.94:
        return joined(a, b, rng), (i, j)
    return solved(a, b, rng), (i, j)


def random_program(seed: int) -> tuple[Program, Array]:
    rng = np.random.default_rng([41, seed])
    n = int(rng.integers(1, 7))
    x = np.round(rng.uniform(-2, 2, n), 3) + 1e-3
    numbers = bool(rng.random() < 0.3)
    program = Program(n, numbers, seed % 7 in (2, 4), [], [])
    wide, unit = np.asarray(x, WIDE), np.eye(n, dtype=WIDE)
    known = [Pair(wide, unit), *(Pair(wide[i], unit[i]) for i in range(n))]
    wanted = int(rng.integers(3, 26))
    used = set()
    for _ in range(4 * wanted):
        if len(program.steps) == wanted:
            break
        chosen = choose_step(known, numbers, program.looks, rng)
        if chosen is None or chosen[0] is None:
            continue
        (f, pair), operands = chosen
        with np.errstate(all="ignore"):
            result = pair(*(known[i] for i in operands))
        sizes = [np.abs(part).max(initial=0) for part in (result.value, result.slopes)]
        if not result.value.size or result.value.size > 60 or not (sizes[0] < 1e3 and sizes[1] < 1e4):
            continue
        program.steps.append((f, pair, operands))
        used.update(operands)
        known.append(result)
    unused = [i for i in range(n + 1, len(known)) if i not in used]
    program.results = unused[-4:] or [0]
    return program, x


# ---- the comparison ----


def allowed_error(exact: Array, runs: list[Array]) -> Array:
    """What rounding may do: many times what it did in three runs, and 1e-13 of the largest entry.

    No limit where the runs themselves leave the domain of a step: arccos of 1 and a rounding error.
    """
    if not all(np.isfinite(run).all() for run in runs):
        return np.full(np.shape(exact), np.inf)
    moved = np.max([np.abs(run - exact) for run in runs], axis=0)
    typical = np.max(moved, axis=-1, keepdims=True) if moved.ndim else moved
    return 20 * moved + 5 * typical + 1e-13 * np.abs(exact).max(initial=0) + 1e-300


def check_program(seed: int) -> None:
    program, x = random_program(seed)
    # plain functions: the steps are in their closure
    f = lambda v: program(v)  # noqa: E731
    noise = np.random.default_rng([43, seed])
    with np.errstate(all="ignore"):
        value, gradient, rows = program.slopes(x)
        runs = [program.slopes(x, noise) for _ in range(3)]
        largest = max(np.abs(p.slopes).max(initial=0) for p in program.pairs(x))
    limits = [allowed_error(e, [r[k] for r in runs]) for k, e in enumerate((value, gradient, rows))]
    for limit in limits[1:]:
        limit += 1e-17 * largest  # u / u has slope 0, which the pairs give but for a rounding error

    def near(what: str, actual: Any, exact: Array, limit: Array) -> None:
        actual = np.asarray(actual)
        assert actual.shape == exact.shape, f"{what}: shape {actual.shape} instead of {exact.shape}"
        wrong = ~(np.abs(actual - exact) <= limit)
        assert not wrong.any(), f"{what}: {actual[wrong]} instead of {exact[wrong]}, allowed {limit[wrong]}"

    points = x + 0.3 * np.random.default_rng([47, seed]).standard_normal((11, program.n))
    points[4] = x
    fn: Any = f
    if program.looks:
        points = points[[is_at_ease(program, point) for point in points]]
    else:
        fn = trace(f, x)
        near("value", fn(x), value, limits[0])
        rows_are_points("value", fn, points)
    g = grad(fn)
    near("gradient", g(x), gradient, limits[1])
    rows_are_points("gradient", g, points)
    direction = np.random.default_rng([53, seed]).standard_normal(program.n)
    size = np.abs(direction).max()
    along_it = gradient @ direction.astype(WIDE)
    near("jvp", jvp(fn, (x,), (direction,))[1], along_it, np.sum(limits[1]) * size + 1e-13 * np.abs(along_it))
    if seed % 2 == 0:
        near("gradient of the plain function", grad(f)(x), gradient, limits[1])
        both = value_and_grad(f)(x)
        near("value with its gradient", both[0], value, limits[0])
        near("gradient with its value", both[1], gradient, limits[1])
    if seed % 3 == 0:
        vector: Any = lambda v: program.vector(v)  # noqa: E731
        if not program.looks:
            vector = trace(vector, x)
            rows_are_points("jacobian", jacobian(vector), points)
        near("jacobian", jacobian(vector)(x), rows, limits[2])
        near("sparse jacobian", jacobian(vector, sparse=True)(x).toarray(), rows, limits[2])
        weights = np.cos(np.arange(len(rows)))
        total = np.abs(weights) @ limits[2]
        near("vjp", vjp(vector, x)[1](weights)[0], weights @ rows, total + 1e-13 * (np.abs(weights) @ np.abs(rows)))
    if seed % 5 == 0 and program.n > 1:
        k = program.n // 2
        apart: Any = lambda a, b: program(np.concatenate([a, b]))  # noqa: E731
        if not program.looks:
            apart = trace(apart, x[:k], x[k:])
            rows_are_points("value beside parameters", apart, points[:, :k], points[0, k:])
        g = grad(apart)
        near("gradient beside parameters", g(x[:k], x[k:]), gradient[:k], limits[1][:k])
        rows_are_points("gradient beside parameters", g, points[:, :k], x[k:])
    if seed % 4 == 0:
        check_second(seed, program, fn, x, direction)
        rows_are_points("hessian", hessian(fn), points)


def is_at_ease(program: Program, x: Array) -> bool:
    """Not where int() would be asked of NaN, whose sign nobody knows either."""
    with np.errstate(all="ignore"):
        try:
            return all(np.isfinite(v).all() for v in program.values(x))
        except (ValueError, OverflowError):
            return False


def rows_are_points(name: str, function: Any, points: Array, *parameters: Array) -> None:
    with saying("batch of the", name):
        for row, point in zip(function.batch(points, *parameters), points, strict=True):
            same(row, np.asarray(function(point, *parameters)))


def check_second(seed: int, program: Program, fn: Any, x: Array, direction: Array) -> None:
    """The Hessian along a direction, against differences of the pairs' gradients with two steps that have to agree."""
    h = np.asarray(hessian(fn)(x))
    same(h, h.T)
    d = direction.astype(WIDE)

    def slope(step: float) -> Array:
        weights = dict(zip((-2, -1, 1, 2), (1, -8, 8, -1), strict=True))
        with np.errstate(all="ignore"):
            parts = [w * program.slopes(np.asarray(x, WIDE) + k * WIDE(step) * d)[1] for k, w in weights.items()]
        return sum(parts) / (12 * WIDE(step))

    fine, coarse = slope(2e-5), slope(4e-5)
    unsure = 30 * np.abs(fine - coarse)
    size = np.abs(h).max(initial=0) * np.abs(direction).max() * program.n
    if np.all(unsure < 1e-6 * (1 + size)):
        actual = h @ direction
        wrong = ~(np.abs(actual - fine) <= unsure + 1e-9 * (size + np.abs(fine).max(initial=0)) + 1e-12)
        assert not wrong.any(), f"Hessian times {direction}: {actual} instead of {fine}"
        same(np.asarray(hessian(fn, sparse=True)(x).toarray()) + 0.0, h + 0.0)


def check_programs(seeds: range) -> None:
    for seed in seeds:
        with saying("program", seed, "see it with: python tests/test_autodiff_fuzz.py", seed):
            check_program(seed)


@pytest.mark.parametrize("start", range(0, 300, 50))
def test_random_programs(start):
    check_programs(range(start, start + 50))


@pytest.mark.slow
@pytest.mark.parametrize("start", range(300, 20_300, 500))
def test_twenty_thousand_random_programs(start):
    check_programs(range(start, start + 500))


def test_bits_depend_neither_on_simd_levels_nor_on_threads(same_at_every_level):
    same_at_every_level("""
    import warnings
    from mmlfast.autodiff import grad, trace
    from test_autodiff_fuzz import random_program

    warnings.simplefilter("ignore")
    for seed in range(40):
        program, x = random_program(seed)
        if program.looks:
            slopes = grad(lambda v, program=program: program(v))
            points = x + 0.3 * np.random.default_rng(seed).standard_normal((33, program.n))
            found = slopes.batch(points)
            digest(np.where(np.isnan(found), 0.0, found))
            continue
        function = trace(lambda v, program=program: program(v), x)
        points = x + 0.3 * np.random.default_rng(seed).standard_normal((333, program.n))
        for f in (function, grad(function)):
            found = f.batch(points)
            digest(np.where(np.isnan(found), 0.0, found))
    """)


def test_programs_take_every_kind_of_step():
    """The generator declines what does not fit: it must not decline everything but sums."""
    steps = [len(random_program(seed)[0].steps) for seed in range(60)]
    assert np.mean(steps) > 8
    with np.errstate(all="ignore"):
        shapes = {p.shape for seed in range(60) for p in random_program(seed)[0].pairs(random_program(seed)[1])}
    assert len(shapes) > 15


def test_the_pairs_agree_with_differences():
    """The reference is tested as well: in extended precision by steps of its own values."""
    for seed in range(120):
        program, x = random_program(seed)
        with np.errstate(all="ignore"), saying("program", seed):
            gradient = program.slopes(x)[1]
            for i in range(program.n):
                step = np.zeros(program.n, WIDE)
                step[i] = WIDE(1e-5)
                ends = [program.slopes(np.asarray(x, WIDE) + k * step)[0] for k in (-2, -1, 1, 2)]
                by_steps = (ends[0] - 8 * ends[1] + 8 * ends[2] - ends[3]) / (12 * WIDE(1e-5))
                np.testing.assert_allclose(
                    float(gradient[i]), float(by_steps), rtol=1e-5, atol=1e-6 * max(1, np.abs(gradient).max())
                )


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        one, at = random_program(int(argument))
        print("x =", at)
        for number, (taken, (_, _, places)) in enumerate(zip(one.values(at)[one.n + 1 :], one.steps, strict=True)):
            print(number + one.n + 1, places, taken)
        check_program(int(argument))
