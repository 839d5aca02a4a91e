"""Steps of random programs: functions of arrays, and beside each the same for pairs of a value and its derivatives by
all inputs (`Pair`), which knows the derivative by a formula of its own, in extended precision."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.special

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


@contextmanager
def rounding_from(noise: np.random.Generator | None) -> Iterator[None]:
    global _noise
    _noise = noise
    try:
        yield
    finally:
        _noise = None


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


# ---- steps that look at the numbers ----


def flat_entries(p: Pair, places: Any) -> Pair:
    """Entries of the array without its shape."""
    return Pair(p.value.ravel()[places], p.slopes.reshape(p.value.size, -1)[places])


def largest_entry(p: Pair) -> Pair:
    return flat_entries(p, int(np.argmax(p.value)))


def by_side(side: Callable[[Any], Any], one: Step, other: Step) -> Step:
    """`if side(v): ... else: ...`."""
    return (
        lambda v: one[0](v) if side(v) else other[0](v),
        lambda p: one[1](p) if side(p.value) else other[1](p),
    )


def where_above(level: float, one: Step, other: Step) -> Step:
    """One step for the entries above a level, chosen by masks, and another one for the rest."""

    def f(v: Any) -> Any:
        flat = np.ravel(v)
        out = np.zeros_like(flat)
        out[flat > level] = one[0](flat[flat > level])
        out[~(flat > level)] = other[0](flat[~(flat > level)])
        return out

    def pair(p: Pair) -> Pair:
        flat = flat_entries(p, slice(None))
        above = flat.value > level
        value, slopes = np.empty_like(flat.value), np.empty_like(flat.slopes)
        for here, step in ((above, one), (~above, other)):
            part = step[1](Pair(flat.value[here], flat.slopes[here]))
            value[here], slopes[here] = part.value, part.slopes
        return Pair(value, slopes)

    return f, pair


def halved_to(level: float) -> Step:
    """`while` the largest entry is above a level: half of it, and a bit."""

    def f(v: Any) -> Any:
        steps = 0
        while np.max(np.abs(v)) > level and steps < 50:
            v, steps = v / 2 + 0.01, steps + 1
        return v * steps if steps else v

    def pair(p: Pair) -> Pair:
        steps = 0
        while np.abs(p.value).max() > level and steps < 50:
            p, steps = Pair(p.value / 2 + WIDE(0.01), p.slopes / 2), steps + 1
        return Pair(p.value * (steps or 1), p.slopes * (steps or 1))

    return f, pair


def newton_root(v: Any) -> Any:
    """The square root of 1 + v v by Newton's method to convergence."""
    a = 1 + np.ravel(v)[0] ** 2
    t = a
    for _ in range(60):
        new = (t + a / t) / 2
        if abs(new - t) < 1e-15 * t:
            break
        t = new
    return (t + a / t) / 2


def newton_root_pair(p: Pair) -> Pair:
    first = flat_entries(p, 0)
    root = np.sqrt(1 + first.value**2)
    return Pair(np.asarray(root), first.slopes * (first.value / root))


def counted(v: Any) -> Any:
    return v * int(np.ravel(v)[0] * 3) + math.floor(np.ravel(v)[-1])


def counted_pair(p: Pair) -> Pair:
    n = int(p.value.ravel()[0] * 3)
    return Pair(p.value * n + math.floor(p.value.ravel()[-1]), p.slopes * n)


def looking(value: Array, rng: np.random.Generator) -> Step | None:
    """A step whose side is not decided by a rounding error."""
    flat = np.ravel(value)
    c = float(np.round(rng.uniform(-1, 1), 2))
    square, double = of_one(lambda v: v * v, lambda v: 2 * v), linear(lambda v: 2 * v)
    sine, same_again = of_one(np.sin, np.cos), linear(lambda v: v * 1)
    halving = np.abs(flat)[:, None] / 2.0 ** np.arange(12)
    options: list[Step | None] = [
        by_side(lambda v: np.sum(v) > c, square, double) if abs(flat.sum() - c) > 0.01 else None,
        by_side(lambda v: np.all(v < c), sine, same_again) if np.abs(flat - c).min() > 0.01 else None,
        by_side(lambda v: np.ravel(v)[0] > c and np.ravel(v)[-1] < 1, double, sine)
        if min(abs(flat[0] - c), abs(flat[-1] - 1)) > 0.01
        else None,
        where_above(c, square, same_again) if np.abs(flat - c).min() > 0.01 else None,
        where_above(c, sine, double) if np.abs(flat - c).min() > 0.01 else None,
        halved_to(1.5) if np.abs(halving - 1.5).min() > 0.05 else None,
        (newton_root, newton_root_pair),
        (counted, counted_pair) if min(gap_to_whole(flat[0] * 3), gap_to_whole(flat[-1])) > 0.01 else None,
    ]
    if gap(value) > 0.03:
        options += [
            (lambda v: np.ravel(v)[np.argmax(v)], largest_entry),
            (lambda v: max(np.ravel(v)), largest_entry),
            (lambda v: np.ravel(v)[np.argsort(np.ravel(v))], lambda p: flat_entries(p, np.argsort(p.value.ravel()))),
            (
                lambda v: np.stack(sorted(np.ravel(v), key=lambda t: -t)),
                lambda p: flat_entries(p, np.argsort(-p.value.ravel())),
            ),
        ]
    return options[rng.integers(len(options))]


def gap_to_whole(t: float) -> float:
    return float(abs(t - round(t)))
