"""Tagged matrices, and the many ways in which the same numbers can lie in memory.

A test asks for the matrices it can work with by their tags, and gets each of them alone and in stacks, in both
precisions and in every layout::

    from cases import every_case

    @every_case("square", without="singular")
    def test_inv(case):
        x = mf.linalg.inv(case.array)         # (..., n, n), float32 or float64, any layout
        ...                                   # case.dtype, case.eps, case.rng, case.tags

    @every_layout
    def test_mean(layout, rng):
        x = rng.standard_normal((100, 3))
        same_bits(mf.stats.mean(layout(x)), mf.stats.mean(x))

Layouts keep the values. What changes them has a tag: "ill-scaled", "zero-size", "zero-stride", "stacked".
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pytest

Array = np.ndarray[Any, Any]

# Group sizes of the lanes are 8 (float64) and 16 (float32): one below, at and above each, and the same for two groups.
BATCH_SIZES = (0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33)


# ---- layouts: the same values, elsewhere in memory ----


def c_order(x: Array) -> Array:
    return x.copy(order="C")


def fortran(x: Array) -> Array:
    """Each item is transposed in memory; the batch axes stay in order."""
    return np.ascontiguousarray(np.moveaxis(x, -1, -2)).swapaxes(-1, -2) if x.ndim > 1 else x.copy()


def all_fortran(x: Array) -> Array:
    """Every axis in the opposite order: items of a stack are interleaved."""
    return x.copy(order="F")


def strided(x: Array) -> Array:
    """Every second element of a larger array along every axis; NaN between them."""
    if x.ndim == 0:
        return x.copy()
    room = np.full([2 * n + 1 for n in x.shape], np.nan, x.dtype)
    view = room[tuple(slice(1, None, 2) for _ in x.shape)]
    view[...] = x
    return view


def negative(x: Array) -> Array:
    """Negative strides along every axis."""
    return _flip(_flip(x).copy())


def negative_last(x: Array) -> Array:
    """A negative stride along the last axis only."""
    return x[..., ::-1].copy()[..., ::-1] if x.ndim else x.copy()


def read_only(x: Array) -> Array:
    copy = x.copy()
    copy.flags.writeable = False
    return copy


def misaligned(x: Array) -> Array:
    """One byte off."""
    room = np.zeros(x.nbytes + 1, np.uint8)
    view = np.frombuffer(room.data, x.dtype, x.size, offset=1) if x.size else np.empty(0, x.dtype)
    view = view.reshape(x.shape)
    view[...] = x
    return view


def byte_swapped(x: Array) -> Array:
    return x.astype(x.dtype.newbyteorder("S"))


def _flip(x: Array) -> Array:
    return x[tuple(slice(None, None, -1) for _ in x.shape)]


LAYOUTS: tuple[Callable[[Array], Array], ...] = (
    c_order,
    fortran,
    all_fortran,
    strided,
    negative,
    negative_last,
    read_only,
    misaligned,
    byte_swapped,
)

every_layout = pytest.mark.parametrize("layout", LAYOUTS, ids=lambda f: f.__name__)
every_dtype = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])
every_batch_size = pytest.mark.parametrize("batch", BATCH_SIZES)


def in_every_layout(*arrays: Array) -> Iterator[tuple[str, tuple[Array, ...]]]:
    """(name of the layout, the arrays in it), for loops inside one test."""
    for layout in LAYOUTS:
        yield layout.__name__, tuple(layout(x) for x in arrays)


# ---- matrices with tags ----


@dataclass(frozen=True)
class Matrix:
    """A recipe: `make(rng)` gives one float64 matrix."""

    name: str
    tags: frozenset[str]
    make: Callable[[np.random.Generator], Array]


_MATRICES: list[Matrix] = []


def _matrix(name: str, tags: str, make: Callable[[np.random.Generator], Array]) -> None:
    _MATRICES.append(Matrix(name, frozenset(tags.split()), make))


def hilbert(n: int) -> Array:
    i = np.arange(n)
    return 1.0 / (i[:, None] + i + 1)


def vandermonde(n: int) -> Array:
    return np.vander(np.linspace(0.1, 1.1, n))


def kahan(n: int, theta: float = 1.2) -> Array:
    """Upper triangular and graded; its condition is not seen by pivoting."""
    s, c = np.sin(theta), np.cos(theta)
    return np.diag(s ** np.arange(n)) @ (np.eye(n) - c * np.triu(np.ones((n, n)), 1))


def wilkinson_growth(n: int) -> Array:
    """Partial pivoting lets the last column grow to 2^(n-1)."""
    a = np.eye(n) - np.tril(np.ones((n, n)), -1)
    a[:, -1] = 1
    return a


def graded(rng: np.random.Generator, n: int, decades: float = 12) -> Array:
    scale = 10.0 ** -np.linspace(0, decades, n)
    return rng.standard_normal((n, n)) * scale[:, None]


def spd(rng: np.random.Generator, n: int) -> Array:
    x = rng.standard_normal((n + 2, n))
    return x.T @ x + 0.1 * np.eye(n)


def orthogonal(rng: np.random.Generator, n: int) -> Array:
    return np.linalg.qr(rng.standard_normal((n, n)))[0]


def of_rank(rng: np.random.Generator, m: int, n: int, rank: int) -> Array:
    """Small integers, so that the rank is exact."""
    return (rng.integers(-3, 4, (m, rank)) @ rng.integers(-3, 4, (rank, n))).astype(float)


for _n in (1, 2, 3, 4, 5, 8, 9, 16, 17, 32, 33):
    _matrix(f"random {_n}x{_n}", "square random" + (" size-1" * (_n == 1)), lambda r, n=_n: r.standard_normal((n, n)))
for _n in (1, 3, 8, 20):
    _matrix(f"spd {_n}x{_n}", "square spd symmetric", lambda r, n=_n: spd(r, n))
for _m, _n in ((2, 1), (5, 3), (9, 8), (40, 4), (100, 17)):
    _matrix(f"random {_m}x{_n}", "tall random", lambda r, m=_m, n=_n: r.standard_normal((m, n)))
    _matrix(f"random {_n}x{_m}", "wide random", lambda r, m=_m, n=_n: r.standard_normal((n, m)))
for _n in (3, 6, 10):
    _matrix(f"hilbert {_n}", "square symmetric spd ill-conditioned", lambda r, n=_n: hilbert(n))
    _matrix(f"vandermonde {_n}", "square ill-conditioned", lambda r, n=_n: vandermonde(n))
_matrix("kahan 16", "square triangular ill-conditioned", lambda r: kahan(16))
_matrix("wilkinson 12", "square growth", lambda r: wilkinson_growth(12))
_matrix("graded 6", "square ill-conditioned ill-scaled", lambda r: graded(r, 6))
_matrix("orthogonal 7", "square orthogonal", lambda r: orthogonal(r, 7))
_matrix("permutation 9", "square orthogonal permutation", lambda r: np.eye(9)[r.permutation(9)])
_matrix("huge 4x4", "square ill-scaled", lambda r: 1e30 * r.standard_normal((4, 4)))
_matrix("tiny 4x4", "square ill-scaled", lambda r: 1e-30 * r.standard_normal((4, 4)))
_matrix("huge 9x4", "tall ill-scaled", lambda r: 1e30 * r.standard_normal((9, 4)))
_matrix("tiny 9x4", "tall ill-scaled", lambda r: 1e-30 * r.standard_normal((9, 4)))
_matrix("zero 3x3", "square singular zero symmetric", lambda r: np.zeros((3, 3)))
_matrix("rank 2 of 5x5", "square singular", lambda r: of_rank(r, 5, 5, 2))
_matrix("two equal columns 9x4", "tall deficient", lambda r: r.integers(-3, 4, (9, 4))[:, [0, 1, 2, 1]].astype(float))
_matrix("0x0", "square zero-size", lambda r: np.zeros((0, 0)))
_matrix("3x0", "tall zero-size", lambda r: np.zeros((3, 0)))
_matrix("0x3", "wide zero-size", lambda r: np.zeros((0, 3)))


@dataclass(frozen=True)
class Case:
    """One matrix of a recipe, or a stack of them, in one precision and layout."""

    matrix: Matrix
    dtype: Any
    batch: tuple[int, ...]
    layout: Callable[[Array], Array]
    repeat: bool = False

    @property
    def tags(self) -> frozenset[str]:
        tags = set(self.matrix.tags)
        tags |= {"stacked"} if self.batch else set()
        tags |= {"zero-stride"} if self.repeat else set()
        tags |= {"zero-size"} if 0 in self.batch else set()
        return frozenset(tags)

    @property
    def rng(self) -> np.random.Generator:
        """The same numbers for the same matrix, whatever the layout."""
        return np.random.default_rng(zlib.crc32(repr((self.matrix.name, self.batch)).encode()))

    @cached_property
    def plain(self) -> Array:
        """The numbers in C order."""
        rng = self.rng
        if self.repeat:
            return np.broadcast_to(self.matrix.make(rng).astype(self.dtype), self.batch + self._shape).copy()
        items = [self.matrix.make(rng) for _ in range(int(np.prod(self.batch)))]
        return np.array(items, self.dtype).reshape(self.batch + self._shape)

    @cached_property
    def array(self) -> Array:
        """The numbers in the layout of the case."""
        if self.repeat:
            return np.broadcast_to(self.layout(self.matrix.make(self.rng).astype(self.dtype)), self.plain.shape)
        return self.layout(self.plain)

    @property
    def _shape(self) -> tuple[int, ...]:
        return self.matrix.make(np.random.default_rng(0)).shape

    @property
    def eps(self) -> float:
        """The unit roundoff u = eps / 2 is half of this."""
        return float(np.finfo(self.dtype).eps)

    def __str__(self) -> str:
        stack = "x".join(map(str, self.batch)) + (" repeated" * self.repeat)
        return "-".join(filter(None, (self.matrix.name, np.dtype(self.dtype).name, stack, self.layout.__name__)))


def cases(*tags: str, without: str = "") -> list[Case]:
    """Every case whose matrix has all of `tags` and none of the (blank-separated) tags in `without`."""
    found = []
    for matrix in _MATRICES:
        for dtype in (np.float64, np.float32):
            found.append(Case(matrix, dtype, (), c_order))
            found.extend(Case(matrix, dtype, (2, 3), layout) for layout in LAYOUTS)
            found.append(Case(matrix, dtype, (17,), all_fortran))
            found.append(Case(matrix, dtype, (3,), c_order, repeat=True))
            found.append(Case(matrix, dtype, (3,), fortran, repeat=True))
            found.append(Case(matrix, dtype, (0,), c_order))
            found.append(Case(matrix, dtype, (2, 0), c_order))
    unwanted = set(without.split())
    return [case for case in found if set(tags) <= case.tags and not unwanted & case.tags]


def every_case(*tags: str, without: str = "") -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases(*tags, without=without), ids=str)


# ---- what to say of an answer ----


def same_bits(actual: Any, expected: Any) -> None:
    """Equal to the last bit, signs of zeros included; NaN where and only where there is NaN."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, (actual.shape, expected.shape)
    assert actual.dtype == expected.dtype, (actual.dtype, expected.dtype)
    nan = np.isnan(expected) if expected.dtype.kind == "f" else np.zeros(expected.shape, bool)
    np.testing.assert_array_equal(np.isnan(actual) if actual.dtype.kind == "f" else nan, nan)
    number = f"u{actual.dtype.itemsize}"
    a, b = (np.ascontiguousarray(x).reshape(-1)[~nan.reshape(-1)].view(number) for x in (actual, expected))
    np.testing.assert_array_equal(a, b)


def backward_error(a: Array, x: Array, b: Array) -> Array:
    """The normwise backward error of each solution x (..., n, m) of a @ x = b, column by column, its worst.

    That is max |b - a x| / (|a| |x| + |b|) in the infinity norm (Rigal and Gaches 1967; Higham, Accuracy and
    Stability of Numerical Algorithms, 2nd ed., theorem 7.1), computed in extended precision where there is one.
    """
    wide = np.longdouble
    a, x, b = (np.asarray(m).astype(wide) for m in (a, x, b))
    residual = np.abs(b - a @ x).max(axis=-2, initial=0)
    size = np.abs(a).sum(axis=-1).max(axis=-1, initial=0)[..., None] * np.abs(x).max(axis=-2, initial=0)
    size = size + np.abs(b).max(axis=-2, initial=0)
    return np.divide(residual, size, out=np.zeros_like(residual), where=size > 0).max(axis=-1, initial=0).astype(float)


def poisoned(x: Array, values: tuple[float, ...] = (np.nan, np.inf, -np.inf)) -> Iterator[tuple[Any, Array]]:
    """(index, copy of x with one bad number there), for every index and every kind of bad number."""
    for index in np.ndindex(x.shape):
        for value in values:
            bad = x.copy()
            bad[index] = value
            yield index, bad
