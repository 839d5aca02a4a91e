"""Tagged matrices, and the many ways in which the same numbers can lie in memory.

A test asks for the matrices it can work with by their tags, and gets each of them alone and in stacks, in both
precisions, in C order and in two of the other layouts, which change from matrix to matrix::

    from cases import every_case

    @every_case("square", without="singular")
    def test_inv(case):
        x = mf.linalg.inv(case.array)         # (..., n, n), float32 or float64, any layout
        ...                                   # case.dtype, case.eps, case.rng, case.tags

    @every_layout
    def test_mean(layout, rng):
        x = rng.standard_normal((100, 3))
        same_bits(mf.stats.mean(layout(x)), mf.stats.mean(x))

Each kernel in all layouts: tests/test_layouts.py. Layouts keep the values. What changes them has a tag: "ill-scaled",
"zero-size", "zero-stride", "stacked".
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
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
    """Every second element of a larger array along every axis; NaN, or the largest integer, between them."""
    if x.ndim == 0:
        return x.copy()
    between = np.nan if x.dtype.kind == "f" else np.iinfo(x.dtype).max
    room = np.full([2 * n + 1 for n in x.shape], between, x.dtype)
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


@contextlib.contextmanager
def saying(*what: Any) -> Iterator[None]:
    """What a failed assertion inside is about: `with saying(name): check(a)`."""
    try:
        yield
    except AssertionError as error:
        error.add_note("this was " + ", ".join(map(str, what)))
        raise


def fresh_rng() -> np.random.Generator:
    """What the fixture `rng` gives: random numbers of a seed that no other library's tests start from."""
    return np.random.default_rng(806_117_293)


def within(name: str, values: Iterable[Any], say: Callable[[Any], Any] = str) -> Callable[[Any], Any]:
    """As `pytest.mark.parametrize`, but one test goes over all the values: for what takes less time than a test does.

    The numbers of the fixture `rng` begin anew with each value; a value that is skipped does not skip the others.
    """
    values = list(values)

    def decorate(function: Any) -> Any:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def test(**others: Any) -> None:
            for value in values:
                if "rng" in others:
                    others["rng"] = fresh_rng()
                with contextlib.suppress(pytest.skip.Exception), saying(say(value)):
                    function(**{name: value}, **others)

        left = [p for p in signature.parameters.values() if p.name != name]
        test.__signature__ = signature.replace(parameters=left)  # type: ignore[attr-defined]
        return test

    return decorate


every_layout = within("layout", LAYOUTS, lambda f: f.__name__)
every_dtype = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])
every_batch_size = within("batch", BATCH_SIZES, lambda n: f"batch of {n}")


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


def lauchli(n: int, epsilon: float = 1e-7) -> Array:
    """Ones above epsilon times the identity, (n + 1) x n: its Gram matrix forgets epsilon."""
    return np.vstack([np.ones((1, n)), epsilon * np.eye(n)])


def frank(n: int) -> Array:
    """Upper Hessenberg, determinant 1; its smallest eigenvalues are ill-conditioned."""
    i = np.arange(n)
    return np.triu(n - np.maximum(i[:, None], i), -1).astype(float)


def magic(n: int) -> Array:
    """A magic square of integers; of rank 3 if 4 divides n, of full rank if n is odd (the only two kinds made here)."""
    i, j = np.indices((n, n))
    if n % 2:
        return (n * ((i + j + 2 - (n + 3) // 2) % n) + (i + 2 * j + 1) % n + 1).astype(float)
    assert n % 4 == 0
    count = n * i + j + 1
    return np.where((i % 4 // 2 + (i % 2)) % 2 == (j % 4 // 2 + (j % 2)) % 2, n * n + 1 - count, count).astype(float)


def hadamard(n: int) -> Array:
    """Entries of 1 and -1, orthogonal columns; n a power of two. No pivot stands out."""
    h = np.ones((1, 1))
    while len(h) < n:
        h = np.block([[h, h], [h, -h]])
    return h


def near_singular(rng: np.random.Generator, n: int, distance: float = 1e-13) -> Array:
    """Of rank 1 but for a perturbation of that relative size."""
    return np.outer(rng.uniform(1, 2, n), rng.uniform(1, 2, n)) + distance * rng.standard_normal((n, n))


def denormal(rng: np.random.Generator, m: int, n: int, dtype: Any) -> Array:
    """Every number below the smallest normal one of `dtype`, with ten bits left."""
    return (rng.integers(-1000, 1001, (m, n)) * np.finfo(dtype).smallest_subnormal).astype(dtype)


def of_condition(rng: np.random.Generator, m: int, n: int, condition: float) -> Array:
    """Random singular vectors, singular values from 1 down to 1 / condition in equal ratios."""
    k = min(m, n)
    values = np.logspace(0, -np.log10(condition), k)
    return (np.linalg.qr(rng.standard_normal((m, k)))[0] * values) @ orthogonal(rng, n)[:k]


def symmetric_of(rng: np.random.Generator, eigenvalues: Any) -> Array:
    """A symmetric matrix (to the last bit) with these eigenvalues (to rounding)."""
    q = orthogonal(rng, len(eigenvalues))
    a = (q * np.asarray(eigenvalues)) @ q.T
    return (a + a.T) / 2


def repeated_eigenvalues(rng: np.random.Generator, n: int) -> Array:
    """Half of the eigenvalues are 1, the others 2, to rounding."""
    return symmetric_of(rng, 1.0 + (np.arange(n) % 2))


def clustered_eigenvalues(rng: np.random.Generator, n: int, width: float = 1e-13) -> Array:
    """All eigenvalues within a relative distance of `width`, but for the last, which is far."""
    return symmetric_of(rng, np.append(1 + width * np.arange(n - 1), 1e-3))


def hard_squares(rng: np.random.Generator, n: int) -> Iterator[tuple[str, Array]]:
    """(name, n x n matrix in float64) of the matrices on which elimination and its like are known to suffer.

    Apart from these: denormal(), wilkinson_growth() (exponential growth) and singular matrices, whose tests differ.
    """
    yield "random", rng.standard_normal((n, n))
    yield "graded rows", graded(rng, n)
    yield "graded columns", graded(rng, n).T.copy()
    yield "hilbert", hilbert(n)
    yield "vandermonde", vandermonde(n)
    yield "kahan", kahan(n)
    yield "condition 1e14", of_condition(rng, n, n, 1e14)
    yield "near-singular", near_singular(rng, n)
    yield "frank", frank(n)
    yield "permutation", np.eye(n)[rng.permutation(n)]
    yield "equal pivots", rng.choice([-1.0, 1.0], (n, n)) + np.eye(n) * 0.5
    yield "huge", 1e30 / n * rng.uniform(-1, 1, (n, n))
    yield "small", 1e-30 * rng.standard_normal((n, n))


def hard_rectangles(rng: np.random.Generator, m: int, n: int) -> Iterator[tuple[str, Array]]:
    """(name, m x n matrix in float64), m >= n, for orthogonal factors, least squares and the like."""
    yield "random", rng.standard_normal((m, n))
    yield "condition 1e8", of_condition(rng, m, n, 1e8)
    yield "condition 1e14", of_condition(rng, m, n, 1e14)
    yield "graded rows", rng.standard_normal((m, n)) * np.logspace(0, -12, m)[:, None]
    yield "graded columns", rng.standard_normal((m, n)) * np.logspace(0, -12, n)
    yield "vandermonde", np.vander(np.linspace(0.1, 1.1, m), n)
    yield "hilbert", 1.0 / (np.arange(m)[:, None] + np.arange(n) + 1)
    yield "kahan", np.vstack([kahan(n), np.zeros((m - n, n))])
    if m > n:
        yield "lauchli", np.vstack([lauchli(n), np.zeros((m - n - 1, n))])
    yield "nearly dependent", near_singular(rng, m)[:, :n]
    yield "huge", 1e30 * rng.standard_normal((m, n))
    yield "small", 1e-30 * rng.standard_normal((m, n))


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
_matrix("frank 8", "square ill-conditioned", lambda r: frank(8))
_matrix("near-singular 5", "square ill-conditioned", lambda r: near_singular(r, 5, 1e-5))
_matrix("hadamard 8", "square", lambda r: hadamard(8))
_matrix("lauchli 6x5", "tall ill-conditioned", lambda r: lauchli(5, 1e-2))
_matrix("graded 6", "square ill-conditioned ill-scaled", lambda r: graded(r, 6))
_matrix("orthogonal 7", "square orthogonal", lambda r: orthogonal(r, 7))
_matrix("permutation 9", "square orthogonal permutation", lambda r: np.eye(9)[r.permutation(9)])
_matrix("huge 4x4", "square ill-scaled", lambda r: 1e30 * r.standard_normal((4, 4)))
_matrix("tiny 4x4", "square ill-scaled", lambda r: 1e-30 * r.standard_normal((4, 4)))
_matrix("huge 9x4", "tall ill-scaled", lambda r: 1e30 * r.standard_normal((9, 4)))
_matrix("tiny 9x4", "tall ill-scaled", lambda r: 1e-30 * r.standard_normal((9, 4)))
_matrix("zero 3x3", "square singular zero symmetric", lambda r: np.zeros((3, 3)))
_matrix("rank 2 of 5x5", "square singular", lambda r: of_rank(r, 5, 5, 2))
_matrix("magic 4", "square singular", lambda r: magic(4))
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
    """Every case whose matrix has all of `tags` and none of the (blank-separated) tags in `without`.

    The layouts beside C order take turns, so that four matrices see all of them; stacks of nothing come once per shape.
    """
    unwanted = set(without.split())

    def wanted(case: Case) -> bool:
        return set(tags) <= case.tags and not unwanted & case.tags

    found: list[Case] = []
    shapes = set()
    turn = 0
    for matrix in _MATRICES:
        of_matrix = []
        for dtype in (np.float64, np.float32):
            first, second, third = (LAYOUTS[1 + (turn + k) % (len(LAYOUTS) - 1)] for k in (0, 3, 6))
            of_matrix.append(Case(matrix, dtype, (), c_order))
            of_matrix.extend(Case(matrix, dtype, (2, 3), layout) for layout in (c_order, first, second))
            of_matrix.append(Case(matrix, dtype, (17,), third))
            of_matrix.append(Case(matrix, dtype, (3,), (c_order, fortran)[turn // 5 % 2], repeat=True))
            turn += 5
        nothing = [Case(matrix, np.float64, (0,), c_order), Case(matrix, np.float32, (2, 0), c_order)]
        found.extend(filter(wanted, of_matrix))
        if any(map(wanted, nothing)) and nothing[0].plain.shape not in shapes:
            shapes.add(nothing[0].plain.shape)
            found.extend(filter(wanted, nothing))
    return found


def every_case(*tags: str, without: str = "") -> Callable[[Any], Any]:
    """A test of `case` for each matrix, which goes over the cases of that matrix."""
    of_matrix: dict[str, list[Case]] = {}
    for case in cases(*tags, without=without):
        of_matrix.setdefault(case.matrix.name, []).append(case)

    def decorate(function: Any) -> Any:
        def run(matrix: str, **others: Any) -> None:
            within("case", of_matrix[matrix])(function)(**others)

        signature = inspect.signature(function)
        parameters = [p for p in signature.parameters.values() if p.name != "case"]
        matrix = inspect.Parameter("matrix", inspect.Parameter.KEYWORD_ONLY)
        functools.update_wrapper(run, function)
        run.__signature__ = signature.replace(parameters=[*parameters, matrix])  # type: ignore[attr-defined]
        return pytest.mark.parametrize("matrix", of_matrix)(run)

    return decorate


# ---- what to say of an answer ----


def same_bits(actual: Any, expected: Any) -> None:
    """Equal to the last bit, signs of zeros included; NaN where and only where there is NaN."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, (actual.shape, expected.shape)
    assert actual.dtype == expected.dtype, (actual.dtype, expected.dtype)
    if actual.tobytes() == expected.tobytes():  # the common case, fifteen times as fast as what follows
        return
    nan = np.isnan(expected) if expected.dtype.kind == "f" else np.zeros(expected.shape, bool)
    np.testing.assert_array_equal(np.isnan(actual) if actual.dtype.kind == "f" else nan, nan)
    number = f"u{actual.dtype.itemsize}"
    a, b = (np.ascontiguousarray(x).reshape(-1)[~nan.reshape(-1)].view(number) for x in (actual, expected))
    np.testing.assert_array_equal(a, b)


def item_by_item(call: Callable[[Array], tuple[Any, ...]], stack: Array) -> list[tuple[Any, ...]]:
    """call(item) for each matrix; of larger ones, where batches have a way of their own, among copies of itself."""
    items = stack.reshape(-1, *stack.shape[-2:])
    if max(stack.shape[-2:]) <= 32:
        return [call(item) for item in items]
    return [tuple(part[0] for part in call(np.array([item] * len(items)))) for item in items]


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


# ---- real matrices ----


def data_folder_or_none() -> Path | None:
    """Real data sets: the folder MMLFAST_DATA, or shared/data beside the checkout."""
    beside = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
    folder = Path(os.environ.get("MMLFAST_DATA") or beside)
    return folder if folder.is_dir() else None


def matrix_market_files(*, square: bool | None = None, symmetric: bool = False, largest: int = 1000) -> list[Any]:
    """The real matrices of up to `largest` rows and columns, as parameters for a test: paths, named by their stems.

    `square` chooses square ones or others, `symmetric` only symmetric ones. Without the data it is one parameter that
    skips and says why. Read them by `read_matrix_market`.
    """
    folder = data_folder_or_none()
    if folder is None:
        reason = "no real matrices: set MMLFAST_DATA to the folder of the data sets"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason), id="no data")]
    found = []
    for path in sorted((folder / "matrices").glob("*.mtx")):
        with path.open(encoding="latin-1") as lines:
            kind = next(lines).split()
            rows, columns = map(int, next(line for line in lines if not line.startswith("%")).split()[:2])
        if "complex" in kind or max(rows, columns) > largest or (symmetric and "symmetric" not in kind):
            continue
        if square is None or square == (rows == columns):
            found.append(pytest.param(path, id=path.stem))
    return found


def every_matrix_market_file(*, square: bool | None = None, symmetric: bool = False, largest: int = 1000) -> Any:
    """A test of `path` for each of `matrix_market_files`."""
    return pytest.mark.parametrize("path", matrix_market_files(square=square, symmetric=symmetric, largest=largest))


def read_matrix_market(path: Path) -> Array:
    """The matrix of a file, dense, in float64."""
    io = pytest.importorskip("scipy.io")
    return np.asarray(io.mmread(path).toarray(), dtype=float)
