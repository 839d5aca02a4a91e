"""Random programs over arrays and numbers, against forward derivatives computed here with other means.

Every step of a program is two functions: one for arrays, which is traced, and one for pairs of a value and its
derivatives by all inputs (`Pair`), which knows the derivative of each step by a formula of its own, in extended
precision. The pairs run again with every step wrong by a rounding error or so: what moves then is what nobody can
know, and what the library may differ by.

A few hundred programs in the ordinary suite; twenty thousand with
`python -m pytest -m slow tests/test_autodiff_fuzz.py`. One program again: `python tests/test_autodiff_fuzz.py SEED`.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import scipy.special
from cases import saying
from derivatives import same

from mmlfast.autodiff import grad, hessian, jacobian, jvp, trace, value_and_grad, vjp

Array = np.ndarray[Any, Any]
WIDE = np.longdouble
TINY_ERROR = 2.0**-53


# ---- the independent derivatives ----


@dataclass
class Pair:
    """A value and its derivatives by each of n inputs, along one more axis at the end."""

    value: Array
    slopes: Array

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    def lifted(self, ndim: int) -> Array:
        """The slopes with as many axes before the last as a result of ndim axes has."""
        return self.slopes.reshape((1,) * (ndim - self.value.ndim) + self.slopes.shape)


# Where the rounding errors of a run come from; None for exact slopes.
_noise: np.random.Generator | None = None


def disturbed(values: Array) -> Array:
    """As if each number was wrong by up to two rounding errors."""
    return values if _noise is None else values * (1 + 2 * TINY_ERROR * _noise.uniform(-1, 1, values.shape))


def spread(partial: Array, operand: Pair) -> Array:
    """A partial derivative of each element of the result, times the slopes of the operand.

    Each partial is wrong by itself: the two of arctan2(t, t) cancel here, but on a tape only at t.
    """
    return disturbed(partial)[..., None] * operand.lifted(partial.ndim)


def each_slope(f: Callable[..., Any], *operands: Pair) -> Array:
    """A linear function of the operands, of each of their slopes in turn."""
    n = operands[0].slopes.shape[-1]
    return np.stack([np.asarray(f(*(o.slopes[..., k] for o in operands)), WIDE) for k in range(n)], axis=-1)


Step = tuple[Callable[..., Any], Callable[..., Pair]]


def linear(f: Callable[..., Any]) -> Step:
    return f, lambda *o: Pair(np.asarray(f(*(p.value for p in o)), WIDE), each_slope(f, *o))


def bilinear(f: Callable[..., Any]) -> Step:
    def pair(a: Pair, b: Pair) -> Pair:
        n = a.slopes.shape[-1]
        slopes = [f(a.slopes[..., k], b.value) + f(a.value, b.slopes[..., k]) for k in range(n)]
        return Pair(np.asarray(f(a.value, b.value), WIDE), np.stack(list(map(np.asarray, slopes)), axis=-1))

    return f, pair


def of_one(f: Callable[..., Any], slope: Callable[[Array], Any], exact: Callable[..., Any] | None = None) -> Step:
    """A function of each element; `exact` where f does not know extended precision."""
    value = exact or f
    return f, lambda a: Pair(np.asarray(value(a.value), WIDE), spread(np.asarray(slope(a.value), WIDE), a))


def of_two(f: Callable[..., Any], by_first: Callable[..., Any], by_second: Callable[..., Any]) -> Step:
    def pair(a: Pair, b: Pair) -> Pair:
        value = np.asarray(f(a.value, b.value), WIDE)
        first = np.broadcast_to(by_first(a.value, b.value), value.shape)
        second = np.broadcast_to(by_second(a.value, b.value), value.shape)
        return Pair(value, spread(first, a) + spread(second, b))

    return f, pair


def product(a: Pair, b: Pair) -> Pair:
    value = a.value * b.value
    return Pair(
        value,
        spread(np.broadcast_to(b.value, value.shape), a) + spread(np.broadcast_to(a.value, value.shape), b),
    )


def entry(a: Pair, *index: int) -> Pair:
    return Pair(np.asarray(a.value[index]), a.slopes[index])


def plus(a: Pair, b: Pair, sign: int = 1) -> Pair:
    return Pair(a.value + sign * b.value, a.slopes + sign * b.slopes)


def quotient(a: Pair, b: Pair) -> Pair:
    value = a.value / b.value
    return Pair(np.asarray(value), (a.slopes - value * b.slopes) / b.value)


def determinant(a: Pair) -> Pair:
    """The sum over all permutations."""
    n = a.shape[0]
    total = Pair(np.zeros((), WIDE), np.zeros(a.slopes.shape[-1], WIDE))
    for order in itertools.permutations(range(n)):
        sign = round(np.linalg.det(np.eye(n)[list(order)]))
        term = entry(a, 0, order[0])
        for i in range(1, n):
            term = product(term, entry(a, i, order[i]))
        total = plus(total, term, sign)
    return total


def solution(a: Pair, b: Pair) -> Pair:
    """Cramer's rule."""
    n = a.shape[0]
    bottom = determinant(a)
    parts = []
    for i in range(n):
        value, slopes = a.value.copy(), a.slopes.copy()
        value[:, i], slopes[:, i] = b.value, b.slopes
        parts.append(quotient(determinant(Pair(value, slopes)), bottom))
    return Pair(np.array([p.value for p in parts]), np.array([p.slopes for p in parts]))


def inverse(a: Pair) -> Pair:
    n = a.shape[0]
    columns = []
    for i in range(n):
        unit = Pair(np.eye(n, dtype=WIDE)[i], np.zeros((n, a.slopes.shape[-1]), WIDE))
        columns.append(solution(a, unit))
    return Pair(np.stack([c.value for c in columns], 1), np.stack([c.slopes for c in columns], 1))


# ---- the steps that a program may take: each looks at the values it would get, and declines or gives a step ----


def gap(value: Array) -> float:
    """How far apart the two nearest entries are."""
    ordered = np.sort(np.ravel(value))
    return float(np.min(np.diff(ordered), initial=np.inf))


def quick(value: Array, rng: np.random.Generator) -> Step | None:
    """A function of each element that is at ease with these values."""
    low, high = value.min(initial=np.inf), value.max(initial=-np.inf)
    c = float(np.round(rng.uniform(-2, 2), 2)) or 0.5
    always: list[Step] = [
        of_one(np.sin, np.cos),
        of_one(np.cos, lambda v: -np.sin(v)),
        of_one(np.arctan, lambda v: 1 / (1 + v * v)),
        of_one(np.tanh, lambda v: 1 / np.cosh(v) ** 2),
        of_one(np.arcsinh, lambda v: 1 / np.sqrt(1 + v * v)),
        of_one(np.negative, lambda v: -np.ones_like(v)),
        of_one(lambda v: v * c, lambda v: np.full_like(v, c)),
        of_one(lambda v: c - v, lambda v: -np.ones_like(v)),
        of_one(lambda v: 2 + v, np.ones_like),
        of_one(lambda v: v**2, lambda v: 2 * v),
        of_one(lambda v: v**3, lambda v: 3 * v * v),
        of_one(np.square, lambda v: 2 * v),
        of_one(lambda v: v / 3, lambda v: np.ones_like(v) / 3),
        of_one(lambda v: 1 / (1 + v * v), lambda v: -2 * v / (1 + v * v) ** 2),
        of_one(lambda v: np.sqrt(1 + v**2), lambda v: v / np.sqrt(1 + v * v)),
        of_one(scipy.special.erf, lambda v: 2 / np.sqrt(WIDE(math.pi)) * np.exp(-v * v), by_double(scipy.special.erf)),
        of_one(scipy.special.expit, lambda v: 1 / (2 + np.exp(v) + np.exp(-v)), lambda v: 1 / (1 + np.exp(-v))),
        of_one(lambda v: np.logaddexp(v, 0.0), lambda v: 1 / (1 + np.exp(-v))),
        of_one(lambda v: np.exp(-v * v), lambda v: -2 * v * np.exp(-v * v)),
        of_one(lambda v: v ** np.array(2.0), lambda v: 2 * v),
        of_one(lambda v: v * v * v - v, lambda v: 3 * v * v - 1),
    ]
    if high < 3 and low > -6:
        always += [of_one(np.exp, np.exp), of_one(np.expm1, np.exp), of_one(lambda v: 1.7**v, power_of(1.7))]
        always += [of_one(np.sinh, np.cosh), of_one(np.cosh, np.sinh), of_one(np.exp2, power_of(2.0))]
    if low > 0.05:
        always += [
            of_one(lambda v: np.where(v > 0, v, np.exp(-800 * v) * np.inf), np.ones_like, lambda v: v),
            of_one(np.sqrt, lambda v: 1 / (2 * np.sqrt(v))),
            of_one(np.log, lambda v: 1 / v),
            of_one(np.log2, lambda v: 1 / (v * np.log(WIDE(2)))),
            of_one(np.log10, lambda v: 1 / (v * np.log(WIDE(10)))),
            of_one(lambda v: v**1.5, lambda v: 1.5 * np.sqrt(v)),
            of_one(lambda v: v**-0.7, lambda v: WIDE(-0.7) * v ** WIDE(-1.7)),
            of_one(scipy.special.gammaln, by_double(scipy.special.digamma), by_double(scipy.special.gammaln)),
            of_one(lambda v: np.power(v, v), lambda v: v**v * (np.log(v) + 1)),
        ]
    if low > -0.9:
        always += [of_one(np.log1p, lambda v: 1 / (1 + v))]
    if np.abs(value).min(initial=np.inf) > 0.05:
        always += [
            of_one(np.cbrt, lambda v: 1 / (3 * np.cbrt(v) ** 2)),
            of_one(np.reciprocal, lambda v: -1 / v**2),
            of_one(lambda v: 1 / v, lambda v: -1 / v**2),
            of_one(lambda v: v**-2, lambda v: -2 / v**3),
            of_one(np.abs, np.sign),
            of_one(lambda v: np.sign(v) * v, np.sign),
            of_one(lambda v: np.where(v > 0, v * v, -v), lambda v: np.where(v > 0, 2 * v, -1)),
            of_one(lambda v: np.where(v > 0, np.log(v), v), lambda v: np.where(v > 0, 1 / v, 1)),
            of_one(lambda v: np.where(v > 0, v * np.sqrt(v), 2 * v), lambda v: np.where(v > 0, 1.5 * np.sqrt(v), 2)),
            of_one(lambda v: np.where(v < 0, np.sin(v), np.log(v) / v), log_by_itself),
            of_one(lambda v: np.maximum(v, 0.0) ** 2, lambda v: 2 * np.maximum(v, 0)),
            of_one(lambda v: np.sqrt(np.maximum(v, 0)), lambda v: np.where(v > 0, 0.5 / np.sqrt(np.abs(v)), 0)),
        ]
    if np.abs(value).max(initial=0) < 0.95:
        always += [
            of_one(np.arcsin, lambda v: 1 / np.sqrt(1 - v * v)),
            of_one(np.arccos, lambda v: -1 / np.sqrt(1 - v * v)),
            of_one(np.arctanh, lambda v: 1 / (1 - v * v)),
        ]
    if np.abs(np.cos(value)).min(initial=1) > 0.2:
        always += [of_one(np.tan, lambda v: 1 / np.cos(v) ** 2)]
    if low > 1.1:
        always += [of_one(np.arccosh, lambda v: 1 / np.sqrt(v * v - 1))]
    if np.abs(np.ravel(value)[:, None] - [-0.5, 0.8]).min(initial=1) > 0.02:
        always += [of_one(lambda v: np.clip(v, -0.5, 0.8), lambda v: (v > -0.5) & (v < 0.8))]
        always += [of_one(lambda v: np.minimum(v, 0.8), lambda v: v < 0.8)]
        always += [of_one(lambda v: v * (v > -0.5), lambda v: v > -0.5)]
    return always[rng.integers(len(always))]


def log_by_itself(v: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.where(v < 0, np.cos(v), (1 - np.log(np.abs(v))) / v**2)


def power_of(base: float) -> Callable[[Array], Array]:
    return lambda v: WIDE(base) ** v * np.log(WIDE(base))


def by_double(f: Callable[..., Any]) -> Callable[[Array], Array]:
    return lambda v: np.asarray(f(np.asarray(v, float)), WIDE)


def two(a: Array, b: Array, rng: np.random.Generator) -> Step | None:
    """A function of two arrays that broadcast."""
    far = np.abs(a - b).min(initial=np.inf) > 0.03
    always: list[Step] = [
        of_two(lambda u, v: u + v, lambda u, v: WIDE(1), lambda u, v: WIDE(1)),
        of_two(lambda u, v: u - v, lambda u, v: WIDE(1), lambda u, v: WIDE(-1)),
        of_two(lambda u, v: u * v, lambda u, v: v, lambda u, v: u),
        of_two(lambda u, v: u * v + u, lambda u, v: v + 1, lambda u, v: u),
        of_two(lambda u, v: (u - v) ** 2, lambda u, v: 2 * (u - v), lambda u, v: 2 * (v - u)),
        of_two(np.logaddexp, lambda u, v: 1 / (1 + np.exp(v - u)), lambda u, v: 1 / (1 + np.exp(u - v))),
        of_two(lambda u, v: np.sin(u) * v, lambda u, v: np.cos(u) * v, lambda u, v: np.sin(u)),
    ]
    if np.abs(b).min(initial=np.inf) > 0.1:
        always += [
            of_two(lambda u, v: u / v, lambda u, v: 1 / v, lambda u, v: -u / v**2),
            of_two(np.hypot, lambda u, v: u / np.hypot(u, v), lambda u, v: v / np.hypot(u, v)),
            of_two(lambda u, v: np.where(v > 0, u / v, u), lambda u, v: np.where(v > 0, 1 / v, 1), where_quotient),
            of_two(lambda u, v: np.where(v > 0, np.log(v) * u, v), log_or_one, lambda u, v: np.where(v > 0, u / v, 1)),
        ]
        if b.min(initial=np.inf) > 0 or np.abs(a).min(initial=np.inf) > 1e-9:  # at the cut the sign of a zero decides
            always += [of_two(np.arctan2, lambda u, v: v / (u * u + v * v), lambda u, v: -u / (u * u + v * v))]
        if np.abs(a).min(initial=np.inf) > 0.1:
            always += [
                of_two(np.copysign, lambda u, v: np.sign(u) * np.sign(v), lambda u, v: WIDE(0)),
                of_two(lambda u, v: np.abs(u) ** v, power_by_base, power_by_exponent),
            ]
    if far:
        always += [
            of_two(np.maximum, lambda u, v: u > v, lambda u, v: v > u),
            of_two(np.minimum, lambda u, v: u < v, lambda u, v: v < u),
            of_two(lambda u, v: np.where(u > v, u * v, v), lambda u, v: np.where(u > v, v, 0), which_or_one),
            of_two(lambda u, v: np.sqrt(np.maximum(u - v, 0)), root_of_rest, lambda u, v: -root_of_rest(u, v)),
        ]
    return always[rng.integers(len(always))]


def where_quotient(u: Array, v: Array) -> Array:
    return np.where(v > 0, -u / v**2, 0)


def which_or_one(u: Array, v: Array) -> Array:
    return np.where(u > v, u, 1)


def log_or_one(u: Array, v: Array) -> Array:
    return np.where(v > 0, np.log(np.abs(v)), 0)


def power_by_base(u: Array, v: Array) -> Array:
    return v * np.abs(u) ** (v - 1) * np.sign(u)


def power_by_exponent(u: Array, v: Array) -> Array:
    return np.abs(u) ** v * np.log(np.abs(u))


def root_of_rest(u: Array, v: Array) -> Array:
    return np.where(u > v, 0.5 / np.sqrt(np.abs(u - v)), 0)


def reduced(value: Array, rng: np.random.Generator) -> Step | None:
    """A reduction of an array, along an axis or over all."""
    axes = [None, *range(value.ndim)]
    axis = axes[rng.integers(len(axes))]
    keep = bool(rng.integers(2))
    options: list[Step] = [
        linear(lambda v: np.sum(v, axis=axis, keepdims=keep)),
        linear(lambda v: v.mean(axis=axis)),
        linear(lambda v: np.cumsum(v, axis=axis)),
        (lambda v: np.linalg.norm(np.ravel(v)), norm_pair),
        (lambda v: np.prod(v, axis=axis), lambda p: along(p, axis, product_pair)),
        (lambda v: np.sum(v * v, axis=axis), lambda p: along(p, axis, squares_pair)),
        (lambda v: np.log(np.sum(np.exp(v - np.max(v)))) + np.max(v), exponentials_pair),
    ]
    if gap(value) > 1e-3:
        options += [
            (lambda v: np.max(v, axis=axis), lambda p: along(p, axis, lambda q: entry(q, int(np.argmax(q.value))))),
            (lambda v: v.min(axis=axis), lambda p: along(p, axis, lambda q: entry(q, int(np.argmin(q.value))))),
        ]
    if value.ndim and value.shape[-1] > 1:
        options += [linear(lambda v: np.diff(v, axis=-1)), linear(lambda v: v[..., 1:] - v[..., :-1])]
    return options[rng.integers(len(options))]


def along(pair: Pair, axis: int | None, f: Callable[[Pair], Pair]) -> Pair:
    """A function of vectors to numbers, along an axis of an array."""
    if axis is None:
        return f(Pair(pair.value.ravel(), pair.slopes.reshape(-1, pair.slopes.shape[-1])))
    value = np.moveaxis(pair.value, axis, -1)
    slopes = np.moveaxis(pair.slopes, axis, -2)
    parts = [f(Pair(value[i], slopes[i])) for i in np.ndindex(value.shape[:-1])]
    return Pair(
        np.array([p.value for p in parts], WIDE).reshape(value.shape[:-1]),
        np.array([p.slopes for p in parts], WIDE).reshape(*value.shape[:-1], slopes.shape[-1]),
    )


def norm_pair(p: Pair) -> Pair:
    value = np.sqrt(np.sum(p.value**2))
    return Pair(value, (p.value.ravel() / value) @ p.slopes.reshape(p.value.size, -1))


def product_pair(p: Pair) -> Pair:
    rest = np.array([np.prod(np.delete(p.value, i)) for i in range(p.value.size)], WIDE)
    return Pair(np.prod(p.value), rest @ p.slopes)


def squares_pair(p: Pair) -> Pair:
    return Pair(np.sum(p.value**2), 2 * p.value @ p.slopes)


def exponentials_pair(p: Pair) -> Pair:
    e = np.exp(p.value - p.value.max())
    return Pair(np.log(e.sum()) + p.value.max(), (e / e.sum()).ravel() @ p.slopes.reshape(p.value.size, -1))


def rearranged(value: Array, rng: np.random.Generator) -> Step | None:
    """Indices, shapes, copies, assignments: the same numbers elsewhere."""
    n = value.size
    order = rng.integers(0, max(n, 1), size=int(rng.integers(1, 5)))
    options: list[Callable[..., Any]] = [
        lambda v: np.ravel(v)[order],
        lambda v: v.reshape(-1),
        lambda v: v.reshape((1, *value.shape)),
        lambda v: v.T,
        lambda v: np.stack([v, 2 * v]),
        lambda v: np.concatenate([np.ravel(v), np.ravel(v)[::-1]]),
        lambda v: np.broadcast_to(v, (2, *value.shape)),
        lambda v: np.ravel(v)[-1],
        lambda v: filled(v, order),
    ]
    if value.ndim:
        options += [
            lambda v: v[::-1],
            lambda v: v[..., None],
            lambda v: v[0],
            lambda v: v[..., -1],
            lambda v: v[1:] if len(v) > 1 else v,
            lambda v: v[..., ::2],
            doubled_part,
        ]
        mask = rng.random(value.shape) < 0.7
        mask.flat[0] = True
        options += [lambda v: v[mask]]
    if value.ndim == 2:
        options += [
            lambda v: np.swapaxes(v, 0, 1),
            lambda v: np.einsum("ij->j", v),
            lambda v: v @ np.arange(1, v.shape[1] + 1),
        ]
    return linear(options[rng.integers(len(options))])


def filled(v: Any, order: Array) -> Any:
    flat = np.ravel(v)
    out = np.zeros_like(flat)
    out[0] = flat[order[0]] * 3
    out[len(out) // 2 :] += flat[len(out) // 2 :]
    return out


def doubled_part(v: Any) -> Any:
    out = v.copy()
    out[0] *= 2
    out[-1] += v[0]
    return out


def multiplied(a: Array, b: Array, rng: np.random.Generator) -> Step | None:
    """Products of arrays whose shapes fit."""
    options: list[Step] = []
    if a.ndim == b.ndim == 1:
        options += [bilinear(np.outer)]
        if len(a) == len(b):
            options += [bilinear(np.dot), bilinear(lambda u, v: u @ v), bilinear(lambda u, v: np.einsum("i,i->", u, v))]
    if a.ndim in (1, 2) and b.ndim in (1, 2) and (a.ndim, b.ndim) != (1, 1) and a.shape[-1] == b.shape[0]:
        options += [bilinear(np.matmul), bilinear(lambda u, v: u @ v), bilinear(lambda u, v: np.dot(u, v))]
    if a.ndim == 2 and b.ndim == 1 and a.shape[1] == b.shape[0]:
        options += [bilinear(lambda u, v: np.einsum("ij,j->i", u, v))]
    if a.ndim == 2 and a.shape == b.shape:
        options += [bilinear(lambda u, v: u @ v.T), bilinear(lambda u, v: np.einsum("ij,ij->i", u, v))]
    return options[rng.integers(len(options))] if options else None


def joined(a: Array, b: Array, rng: np.random.Generator) -> Step | None:
    options: list[Step] = [linear(lambda u, v: np.concatenate([np.ravel(u), np.ravel(v)]))]
    if a.shape == b.shape:
        options += [linear(lambda u, v: np.stack([u, v])), linear(lambda u, v: np.stack([u, v], axis=-1))]
    if b.ndim == 1 and a.shape == ():
        options += [linear(put_first)]
    return options[rng.integers(len(options))]


def put_first(u: Any, v: Any) -> Any:
    out = v.copy()
    out[0] = u
    return out


def solved(a: Array, b: Array, rng: np.random.Generator) -> Step | None:
    """Linear algebra of a small square matrix, made dominant by its diagonal."""
    if a.ndim != 2 or a.shape[0] != a.shape[1] or a.shape[0] > 4:
        return None
    n = a.shape[0]
    size = float(np.abs(a).sum())
    shift = (size + 1) * np.eye(n)

    def shifted(p: Pair) -> Pair:
        return Pair(p.value + shift, p.slopes)

    options: list[Step] = [
        (lambda m, _: np.linalg.det(m), lambda p, _: determinant(p)),
        (lambda m, _: np.linalg.inv(m + shift), lambda p, _: inverse(shifted(p))),
    ]
    if b.shape == (n,):
        options += [(lambda m, r: np.linalg.solve(m + shift, r), lambda p, q: solution(shifted(p), q))] * 3
    return options[rng.integers(len(options))]


# ---- programs ----


@dataclass
class Program:
    """Steps of (function, function of pairs, numbers of the operands); values 0 .. n are x and its entries."""

    n: int
    numbers: bool
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
        global _noise
        wide = np.asarray(x, WIDE)
        unit = np.eye(self.n, dtype=WIDE)
        known = [Pair(wide, unit), *(Pair(wide[i], unit[i]) for i in range(self.n))]
        _noise = noise
        for _, pair, operands in self.steps:
            result = pair(*(known[i] for i in operands))
            known.append(Pair(disturbed(np.asarray(result.value)), disturbed(np.asarray(result.slopes))))
        _noise = None
        return known

    def slopes(self, x: Array, noise: np.random.Generator | None = None) -> tuple[Array, Array, Array]:
        """Value, gradient, and the rows of the Jacobian of `vector`."""
        known = self.pairs(x, noise)
        rows = [known[i].slopes.reshape(-1, self.n) for i in self.results]
        value = sum(known[i].value.sum() * (place + 1) for place, i in enumerate(self.results))
        gradient = sum(r.sum(0) * (place + 1) for place, r in enumerate(rows))
        return np.asarray(value), np.asarray(gradient), np.concatenate(rows)


def choose_step(known: list[Pair], numbers: bool, rng: np.random.Generator) -> Any:
    """A step and its operands, or None where it does not fit the values."""
    recent = len(known) - 1 - int(rng.exponential(3))
    i = max(recent, 0 if not numbers else 1)
    j = int(rng.integers(1 if numbers else 0, len(known)))
    a, b = known[i].value.astype(float), known[j].value.astype(float)
    if not a.size or not b.size:
        return None
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
    program = Program(n, numbers, [], [])
    wide, unit = np.asarray(x, WIDE), np.eye(n, dtype=WIDE)
    known = [Pair(wide, unit), *(Pair(wide[i], unit[i]) for i in range(n))]
    wanted = int(rng.integers(3, 26))
    used = set()
    for _ in range(4 * wanted):
        if len(program.steps) == wanted:
            break
        chosen = choose_step(known, numbers, rng)
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

    fn = trace(f, x)
    near("value", fn(x), value, limits[0])
    g = grad(fn)
    near("gradient", g(x), gradient, limits[1])
    points = x + 0.3 * np.random.default_rng([47, seed]).standard_normal((11, program.n))
    points[4] = x
    rows_are_points("value", fn, points)
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
        vector = trace(lambda v: program.vector(v), x)
        near("jacobian", jacobian(vector)(x), rows, limits[2])
        near("sparse jacobian", jacobian(vector, sparse=True)(x).toarray(), rows, limits[2])
        rows_are_points("jacobian", jacobian(vector), points)
        weights = np.cos(np.arange(len(rows)))
        total = np.abs(weights) @ limits[2]
        near("vjp", vjp(vector, x)[1](weights)[0], weights @ rows, total + 1e-13 * (np.abs(weights) @ np.abs(rows)))
    if seed % 5 == 0 and program.n > 1:
        k = program.n // 2
        apart = trace(lambda a, b: program(np.concatenate([a, b])), x[:k], x[k:])
        g = grad(apart)
        near("gradient beside parameters", g(x[:k], x[k:]), gradient[:k], limits[1][:k])
        rows_are_points("gradient beside parameters", g, points[:, :k], x[k:])
        rows_are_points("value beside parameters", apart, points[:, :k], points[0, k:])
    if seed % 4 == 0:
        check_second(seed, program, fn, x, direction)
        rows_are_points("hessian", hessian(fn), points)


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
