"""Integer matrices, exactly: against fractions, SymPy where it is there, and laws that hold without rounding."""

from __future__ import annotations

import json
import math
import operator
from fractions import Fraction

import cases
import numpy as np
import pytest
from cases import LAYOUTS, same_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.linalg import LinAlgError

import mmlfast as mf
from mmlfast._reference import exact_elimination as reference
from mmlfast.linalg import _exact_elimination
from mmlfast.linalg._exact_elimination import combine_residues, matrix_rank_exact, null_space_exact

INTEGERS = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]
# The primes that the residues are taken for, in their order.
PRIMES = [33554393, 33554383, 33554371, 33554347, 33554341, 33554317, 33554291, 33554273, 33554267, 33554249]


def nearest_float(x):
    try:
        return float(x)
    except OverflowError:
        return math.inf if x > 0 else -math.inf


def random_integers(rng, shape, dtype, limit=None):
    info = np.iinfo(dtype)
    low, high = (info.min, info.max) if limit is None else (max(info.min, -limit), min(info.max, limit))
    return rng.integers(low, high, shape, dtype=dtype, endpoint=True)


def of_rank(rng, m, n, rank, limit=9):
    return rng.integers(-limit, limit + 1, (m, rank)) @ rng.integers(-limit, limit + 1, (rank, n))


def unimodular(rng, n):
    """Determinant 1, dense: products of triangular matrices with ones on the diagonal."""
    lower = np.tril(rng.integers(-1, 2, (n, n)), -1) + np.eye(n, dtype=int)
    upper = np.triu(rng.integers(-1, 2, (n, n)), 1) + np.eye(n, dtype=int)
    return lower @ upper


def magic(n):
    """A magic square: odd, doubly even and singly even orders."""
    if n % 4 != 2:
        return cases.magic(n).astype(int)
    half, k = n // 2, (n - 2) // 4
    a = magic(half)
    square = np.block([[a, a + 2 * half**2], [a + 3 * half**2, a + half**2]])
    columns = [*range(k), *range(n - k + 1, n)]
    rows = np.arange(half)
    for j in columns:
        square[:, j] = np.concatenate([square[half:, j], square[:half, j]])
    for j in (0, k):
        i = rows[half // 2]
        square[[i, i + half], j] = square[[i + half, i], j]
    return square


def sylvester(n):
    h = np.ones((1, 1), int)
    while len(h) < n:
        h = np.block([[h, h], [h, -h]])
    return h


# ---- det, slogdet ----


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 8, 9, 12, 13, 17])
def test_det_is_the_exact_value_rounded_once(n, dtype, rng):
    if n > 10 and (INTEGERS.index(dtype) + n) % 3:
        pytest.skip("the reference takes its time: large matrices of every third kind")
    shape = (9, n, n)
    a = rng.integers(0, 2, shape).astype(bool) if dtype == "?" else random_integers(rng, shape, dtype)
    expected = np.array([nearest_float(reference.det(item)) for item in a])
    for part in (slice(9), slice(1, 3), slice(3, 4), 4):
        same_bits(mf.linalg.det(a[part]), expected[part])


@pytest.mark.parametrize("limit", [1, 9, 100, 5000, 2**20, 2**31, 2**52, 2**53, 2**62])
def test_det_of_every_size_of_number(limit, rng):
    """Across the borders between rounding in floating point and residues, and between one part and two."""
    for n in (2, 3, 5, 6, 8, 10):
        a = random_integers(rng, (11, n, n), "i8", limit)
        a[3, -1] = a[3, 0]  # singular
        a[4, :, 0] = 0
        a[5, -1] = a[5, 0]
        a[5, -1, -1] += 1 if a[5, -1, -1] < limit else -1  # nearly singular
        same_bits(mf.linalg.det(a), np.array([nearest_float(reference.det(item)) for item in a]))


def test_det_of_extreme_integers():
    low, high = -(2**63), 2**63 - 1
    for numbers in ([[low, high], [high, low]], [[low, low], [low, low]], [[low, 0], [0, -1]], [[low]], [[high]]):
        a = np.array(numbers, dtype=np.int64)
        assert mf.linalg.det(a) == nearest_float(reference.det(a))
    top = 2**64 - 1
    for numbers in ([[top, 1], [1, top]], [[top, top - 1], [top - 1, top]], [[top]], [[0, top], [top, 0]]):
        a = np.array(numbers, dtype=np.uint64)
        assert mf.linalg.det(a) == nearest_float(reference.det(a))


def test_rounding_to_even_and_just_beyond():
    """Determinants on and beside the middle of two float64 numbers."""
    for k in (0, 1, 2**11 - 1, 2**11, 2**11 + 1, 3 * 2**11, 3 * 2**11 + 1):
        value = 2**64 + k  # numbers of float64 are 4096 apart there
        a = np.array([[2**32, -k], [1, 2**32]])
        assert reference.det(a) == value
        assert mf.linalg.det(a) == float(value)
        b = np.zeros((14, 14), int)  # the same in a matrix that is not small
        b[:2, :2] = a
        b[range(2, 14), range(2, 14)] = 1
        assert mf.linalg.det(b) == float(value)
        assert mf.linalg.det(b[::-1]) == -float(value)


def test_large_determinants(rng):
    a = random_integers(rng, (30, 30), "i4")
    assert mf.linalg.det(a) == nearest_float(reference.det(a))
    b = random_integers(rng, (28, 28), "i8")
    assert mf.linalg.det(b) == nearest_float(reference.det(b))
    huge = random_integers(rng, (40, 40), "i4")
    sign, logabs = mf.linalg.slogdet(huge)
    expected = reference.det(huge)
    assert math.isinf(mf.linalg.det(huge))
    assert sign == (expected > 0) - (expected < 0)
    shift = expected.bit_length() - 900
    assert logabs == pytest.approx(math.log(abs(expected) >> shift) + shift * math.log(2), rel=1e-15)
    assert mf.linalg.det(huge) == sign * math.inf


@pytest.mark.parametrize("n", [3, 8, 12, 20])
def test_slogdet(n, rng):
    a = random_integers(rng, (9, n, n), "i4", 10**6)
    a[2, 0] = a[2, -1]
    a[7, :, 1] = 0
    result = mf.linalg.slogdet(a)
    for i, item in enumerate(a):
        expected = reference.det(item)
        assert result.sign[i] == (expected > 0) - (expected < 0)
        if expected == 0:
            assert result.logabsdet[i] == -math.inf
        else:
            assert result.logabsdet[i] == pytest.approx(math.log(abs(expected)), rel=4e-16)


def test_zero_size():
    assert mf.linalg.det(np.zeros((0, 0), int)) == 1
    assert mf.linalg.slogdet(np.zeros((0, 0), int)) == (1, 0)
    assert mf.linalg.det(np.zeros((0, 3, 3), int)).shape == (0,)
    assert mf.linalg.is_singular(np.zeros((0, 0), int)) == np.False_
    assert matrix_rank_exact(np.zeros((2, 0, 3), int)).tolist() == [0, 0]
    assert mf.linalg.row_echelon(np.zeros((0, 3), int)).form.shape == (0, 3)
    assert mf.linalg.row_echelon(np.zeros((3, 0), int)).rank == 0
    assert null_space_exact(np.zeros((0, 3), int)).tolist() == np.eye(3).tolist()
    assert null_space_exact(np.zeros((3, 0), int)).shape == (0, 0)
    assert mf.linalg.characteristic_polynomial(np.zeros((0, 0), int)).tolist() == [1]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda f: f.__name__)
def test_layouts(layout, rng):
    if layout.__name__ in ("strided", "misaligned"):
        base = rng.integers(-99, 99, (5, 8, 12))
        a = base[:, ::2, ::3] if layout.__name__ == "strided" else base[:, :4, :4]
        if layout.__name__ == "misaligned":
            room = np.zeros(a.nbytes + 1, np.uint8)
            b = np.frombuffer(room.data, a.dtype, a.size, offset=1).reshape(a.shape)
            b[...] = a
            a = b
        plain = a.copy()
    else:
        plain = rng.integers(-99, 99, (5, 4, 4))
        plain[2, 1] = plain[2, 0]
        a = layout(plain)
    same_bits(mf.linalg.det(a), mf.linalg.det(plain))
    np.testing.assert_array_equal(matrix_rank_exact(a), matrix_rank_exact(plain))
    np.testing.assert_array_equal(mf.linalg.row_echelon(a).form, mf.linalg.row_echelon(plain).form)
    np.testing.assert_array_equal(
        mf.linalg.characteristic_polynomial(a[0]), mf.linalg.characteristic_polynomial(plain[0])
    )


# ---- unlucky primes ----


def test_unlucky_primes_are_noticed(rng):
    """Matrices that are singular modulo some, or all, of the first eight primes."""
    first, second = PRIMES[0], PRIMES[1]
    for n in (2, 5, 13, 20):
        left, right = unimodular(rng, n), unimodular(rng, n)
        for diagonal in ([first], [first, second], [first * second], [1, first], [*PRIMES[:8]], [*PRIMES]):
            middle = np.eye(n, dtype=object)
            for k, x in enumerate(diagonal[: n - 1]):
                middle[k, k] = x
            a = left.astype(object) @ middle @ right.astype(object)
            if max(abs(int(x)) for x in a.flat) >= 2**63:
                continue
            a = a.astype(np.int64)
            assert mf.linalg.det(a) == nearest_float(math.prod(int(x) for x in np.diag(middle)))
            assert matrix_rank_exact(a) == n
            assert not mf.linalg.is_singular(a)
            np.testing.assert_array_equal(mf.linalg.row_echelon(a).form, np.eye(n))
            b = np.concatenate([a, a[:, :1] + a[:, -1:]], axis=1)  # one free column
            np.testing.assert_array_equal(null_space_exact(b)[:, 0], [-1] + [0] * (n - 2) + [-1, 1])


def test_all_first_primes_unlucky():
    """Every prime of the first group sees another rank, or other pivots."""
    diagonal = [PRIMES[0] * PRIMES[1], PRIMES[2] * PRIMES[3], PRIMES[4] * PRIMES[5], PRIMES[6] * PRIMES[7]]
    for n in (4, 14):
        a = np.eye(n, dtype=np.int64)
        a[range(4), range(4)] = diagonal
        assert mf.linalg.det(a) == nearest_float(math.prod(diagonal))
        assert matrix_rank_exact(a) == n
        result = mf.linalg.row_echelon(np.concatenate([a, np.ones((n, 1), int)], axis=1))
        assert result.pivots == tuple(range(n))
        np.testing.assert_array_equal(result.form[:4, n], [float(Fraction(1, x)) for x in diagonal])
    # One number that all eight divide does not fit: a determinant does.
    product = math.prod(PRIMES[:8])
    digits = []
    while product:
        product, digit = divmod(product, 2**60)
        digits.append(digit)
    n = len(digits)
    companion = np.zeros((n, n), np.int64)  # determinant: sum of digits[k] 2^(60 k), that is the product
    companion[0] = digits[::-1]
    for i in range(1, n):
        companion[i, i - 1], companion[i, i] = -1, 2**60
    assert reference.det(companion) == math.prod(PRIMES[:8])
    for m in (n, 20):
        a = np.eye(m, dtype=np.int64)
        a[m - n :, m - n :] = companion
        assert matrix_rank_exact(a) == m
        assert mf.linalg.det(a) == nearest_float(math.prod(PRIMES[:8]))
        beside = np.concatenate([a, np.ones((m, 1), np.int64)], axis=1)
        result = mf.linalg.row_echelon(beside)
        assert result.pivots == tuple(range(m))
        np.testing.assert_array_equal(result.form, exact_form(beside))


# ---- rank, singular matrices ----


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (5, 3), (8, 8), (12, 12), (13, 7), (20, 20), (30, 17)])
def test_rank(shape, rng):
    m, n = shape
    for rank in range(min(m, n) + 1):
        a = np.stack([of_rank(rng, m, n, rank) for _ in range(3)])
        expected = [reference.rank(item) for item in a] if m * n < 200 else None
        found = matrix_rank_exact(a)
        assert found.dtype == np.int64
        np.testing.assert_array_equal(found, expected if expected else np.linalg.matrix_rank(a.astype(float)))


def test_rank_of_large_integers(rng):
    a = random_integers(rng, (6, 9), "i8", 2**58)
    a[5] = a[0] + a[1] - a[2]
    assert matrix_rank_exact(a) == 5
    assert matrix_rank_exact(np.concatenate([a, a[:, ::-1]])) == 9
    b = random_integers(rng, (20, 20), "u8", 2**62)
    b[7] = b[1] + b[2]
    assert matrix_rank_exact(b) == 19
    assert mf.linalg.is_singular(b)
    assert mf.linalg.det(b) == 0


def singular_matrices(rng):
    yield "123", np.arange(1, 10).reshape(3, 3)
    for n in (4, 6, 8, 12, 16, 20):
        yield f"magic {n}", magic(n)
    for n in (3, 5, 10, 40):
        yield f"arange {n}", np.arange(n * n).reshape(n, n)
    hadamard = sylvester(32)
    hadamard[5] = hadamard[7] + 2 * hadamard[9]
    yield "hadamard with a dependent row", hadamard
    a = rng.integers(-(2**29), 2**29, (100, 100))
    a[57] = a[3] - 2 * a[99]
    yield "rank 99 of 100", a
    yield (
        "rank 99 of 100, product",
        of_rank(rng, 100, 99, 99) @ np.concatenate([np.eye(99, dtype=int), np.ones((99, 1), int)], axis=1),
    )


def test_singular_matrices(rng):
    for name, a in singular_matrices(rng):
        n = len(a)
        assert mf.linalg.det(a) == 0, name
        assert mf.linalg.slogdet(a) == (0, -math.inf), name
        assert mf.linalg.is_singular(a), name
        with pytest.raises(LinAlgError, match="inv: Singular matrix: a of shape"):
            mf.linalg.inv(a)
        with pytest.raises(LinAlgError, match="solve: Singular matrix: a of shape"):
            mf.linalg.solve(a, np.ones(n))
        assert np.isnan(mf.linalg.inv(a, errors="nan")).all(), name
        basis = null_space_exact(a)
        result = mf.linalg.row_echelon(a)
        assert basis.shape == (n, n - result.rank), name
        assert not (a.astype(object) @ basis.astype(object)).any(), name
        if n == 100:
            assert result.rank == matrix_rank_exact(a) == 99


def test_magic_squares_are_magic():
    for n in (3, 4, 5, 6, 7, 8, 10):
        a = magic(n)
        assert sorted(a.flat) == list(range(1, n * n + 1))
        assert len({*a.sum(axis=0), *a.sum(axis=1), np.trace(a), np.trace(a[::-1])}) == 1
        assert matrix_rank_exact(a) == (n if n % 2 else 3 if n % 4 == 0 else n // 2 + 2)


@pytest.mark.parametrize("n", [1, 2, 4, 8, 16, 32, 64, 128])
def test_hadamard_determinant(n):
    expected = 1 if n == 1 else (1 if n > 2 else -1) * 2 ** (n * (n.bit_length() - 1) // 2)
    assert mf.linalg.det(sylvester(n)) == nearest_float(expected)
    np.testing.assert_array_equal(mf.linalg.inv(sylvester(n)) * n, sylvester(n))


def test_sjsu_singular(data_folder):
    """The integer matrices of the collection: the rank that its singular values tell wherever their gap is clear."""
    file = np.load(data_folder / "matrices" / "sjsu_singular.npz")
    checked = 0
    for name, meta in json.loads(file["meta_json"].tobytes()).items():
        m, n = meta["shape"]
        if max(m, n) > 130 or f"{name}/val" not in file or np.any(file[f"{name}/val"] % 1):
            continue
        a = np.zeros((m, n), int)
        a[file[f"{name}/row"], file[f"{name}/col"]] = file[f"{name}/val"]
        basis = null_space_exact(a)
        assert not (a.astype(object) @ basis.astype(object)).any(), name
        assert matrix_rank_exact(a) == n - basis.shape[1] == mf.linalg.row_echelon(a).rank, name
        if meta["gap"] is None or meta["gap"] > 1e6:
            assert matrix_rank_exact(a) == meta["rank"], name
            checked += 1
        if m == n and matrix_rank_exact(a) < n:
            assert mf.linalg.det(a) == 0, name
            assert mf.linalg.is_singular(a), name
    assert checked > 40


# ---- solve, inv ----


def exact_solution(a, b):
    """The Fractions that solve a x = b, or None if a is singular."""
    n = len(a)
    rows = [
        [Fraction(int(x)) for x in row] + [Fraction(x.item()) for x in right] for row, right in zip(a, b, strict=True)
    ]
    for k in range(n):
        pivot = next((i for i in range(k, n) if rows[i][k]), None)
        if pivot is None:
            return None
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [x / rows[k][k] for x in rows[k]]
        for i in range(n):
            if i != k and rows[i][k]:
                rows[i] = [x - rows[i][k] * y for x, y in zip(rows[i], rows[k], strict=True)]
    return [row[n:] for row in rows]


def assert_nearest(found, exact):
    """The float64 next to each Fraction; where two are equally near to 60 bits, one of them."""
    for x, wanted in zip(np.ravel(found), [x for row in exact for x in row], strict=True):
        nearest = float(wanted)
        if x != nearest:
            assert nearest in (np.nextafter(x, np.inf), np.nextafter(x, -np.inf))
            assert abs(wanted - (Fraction(x.item()) + Fraction(nearest)) / 2) <= abs(wanted) / 2**60
        assert x != 0 or not np.signbit(x)


def assert_solved(a, b):
    exact = exact_solution(a, b)
    if exact is None:
        with pytest.raises(LinAlgError, match="Singular"):
            mf.linalg.solve(a, b)
        assert np.isnan(mf.linalg.inv(a, errors="nan")).all()
        return
    assert_nearest(mf.linalg.solve(a, b), exact)
    assert_nearest(mf.linalg.solve(a, b[:, 0]), [row[:1] for row in exact])
    assert_nearest(mf.linalg.inv(a), exact_solution(a, np.eye(len(a), dtype=int)))


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("n", [1, 2, 3, 4, 6, 8, 11])
def test_solutions_are_the_exact_ones_rounded(n, dtype, rng):
    for limit in (2, 30, None):
        shape = (n, n)
        a = rng.integers(0, 2, shape).astype("?") if dtype == "?" else random_integers(rng, shape, dtype, limit)
        inverse = exact_solution(a, np.eye(n, dtype=int))
        if inverse is None:
            assert_solved(a, np.eye(n, dtype=int))
            continue
        assert_nearest(mf.linalg.inv(a), inverse)
        for other in ("?", "i2", "i8", "u8", "f4", "f8"):
            if other[0] == "f":
                b = rng.standard_normal((n, 2)).astype(other)
            else:
                b = rng.integers(0, 2, (n, 2)).astype("?") if other == "?" else random_integers(rng, (n, 2), other)
            columns = [[Fraction(x) for x in column] for column in b.T.tolist()]
            exact = [[sum(map(operator.mul, row, column)) for column in columns] for row in inverse]
            assert_nearest(mf.linalg.solve(a, b), exact)
            assert_nearest(mf.linalg.solve(a, b[:, 0]), [row[:1] for row in exact])


def test_integers_beyond_2_to_the_53_are_solved_exactly():
    a = np.array([[2**60 + 1, 2**60], [2**60 + 2, 2**60 + 1]])  # determinant 1
    np.testing.assert_array_equal(mf.linalg.inv(a), [[2.0**60, -(2.0**60)], [-(2.0**60), 2.0**60]])
    np.testing.assert_array_equal(mf.linalg.solve(a, [2**61 + 1, 2**61 + 3]), [1, 1])
    np.testing.assert_array_equal(mf.linalg.solve([[2**53 + 1, 0], [0, 1]], [2**54 + 2, 1]), [2, 1])
    np.testing.assert_array_equal(
        mf.linalg.solve(np.array([[2**63 + 1]], "u8"), [-(2**63)]), [-(2.0**63) / (2**63 + 1)]
    )
    np.testing.assert_array_equal(mf.linalg.solve(np.diag([1, 2**62]), [2**62, 1]), [2.0**62, 2.0**-62])


@pytest.mark.parametrize("n", [3, 5, 8, 12, 16])
def test_ill_conditioned_integer_equations(n, rng):
    """Where floating point has no digit left."""
    hilbert = np.array([[math.lcm(*range(1, 2 * n)) // (i + j + 1) for j in range(n)] for i in range(n)])
    near = rng.integers(-9, 10, (n, n))
    near[0] = near[1] + near[2]
    near[0, 0] += 1
    for a in (hilbert, near, np.vander(np.arange(1, min(n, 12) + 1)), unimodular(rng, n)):
        for b in (rng.integers(-9, 10, (len(a), 2)), rng.standard_normal((len(a), 2))):
            assert_solved(a, b)
    near[0, 0] -= 1
    assert_solved(near, np.ones((n, 1), int))


def test_zeros_of_integer_solutions_are_zeros(rng):
    for n in (2, 4, 7, 12, 20, 32):
        a = rng.integers(-99, 100, (n, n)) + 10 * n * np.eye(n, dtype=int)
        x = rng.integers(-5, 6, n)
        x[::2] = 0
        np.testing.assert_array_equal(mf.linalg.solve(a, a @ x), x)
        x = np.where(x == 0, 0, x / 3)
        np.testing.assert_array_equal(mf.linalg.solve(3 * a, a @ np.rint(3 * x).astype(int)), x)
        assert_solved(np.kron(np.eye(2, dtype=int), a[:4, :4]), np.arange(2 * min(n, 4))[:, None])


def test_wide_right_hand_sides(rng):
    a = np.array([[3, 1, 0, 2], [1, 4, 1, 0], [0, 1, 5, 1], [1, 0, 1, 7]])
    for scale in (1e-300, 1e-160, 1e160, 1e300):
        b = rng.standard_normal((4, 2)) * scale
        assert_solved(a, b)
    b = 10.0 ** rng.integers(-15, 15, (4, 2))
    assert_solved(a, b)
    b[2] = np.nan
    assert np.isnan(mf.linalg.solve(a, b)).all()
    b[2] = np.inf
    assert not np.isfinite(mf.linalg.solve(a, b)).any()


def test_stacks_of_integer_equations(rng):
    """Each item as if it were alone: regular, singular, large numbers and small ones, one matrix for all."""
    for n in (2, 3, 5, 9, 14, 33, 40):
        a = rng.integers(-9, 10, (12, n, n)) + 50 * np.eye(n, dtype=int)
        a[3] = 0
        a[5, 0] = a[5, 1]
        a[7] *= 2**55
        a[9, 0, 0] = 2**60 + 1
        b = rng.integers(-9, 10, (12, n, 2))
        with pytest.raises(LinAlgError, match=r"Singular matrix at batch index \(3,\), 2 of 12 items"):
            mf.linalg.inv(a)
        x, inverse = mf.linalg.solve(a, b, errors="nan"), mf.linalg.inv(a, errors="nan")
        for i in range(12):
            if i in (3, 5):
                assert np.isnan(x[i]).all()
                assert np.isnan(inverse[i]).all()
                continue
            same_bits(mf.linalg.solve(a[i], b[i]), x[i])
            same_bits(mf.linalg.inv(a[i]), inverse[i])
            if n < 10:
                assert_nearest(x[i], exact_solution(a[i], b[i]))
        same_bits(mf.linalg.solve(a[1], b), np.stack([mf.linalg.solve(a[1], item) for item in b]))
        turned = a[::-1].swapaxes(1, 2)
        same_bits(
            mf.linalg.solve(turned, b, errors="nan"),
            mf.linalg.solve(turned.copy(), b, errors="nan"),
        )


def test_large_integer_equations(rng):
    for n in (100, 150):
        a = rng.integers(-99, 100, (n, n))
        x = rng.integers(-5, 6, n)
        np.testing.assert_array_equal(mf.linalg.solve(a, a @ x), x)
        product = mf.linalg.inv(a) @ a
        np.testing.assert_allclose(product, np.eye(n), atol=1e-9)
    a[0] = a[1] + a[2]
    with pytest.raises(LinAlgError, match="Singular"):
        mf.linalg.inv(a)
    a[0, 0] += 1  # regular by a hair
    x = mf.linalg.solve(a, a @ np.ones(n, int))
    np.testing.assert_array_equal(x, np.ones(n))


# ---- row_echelon of integers ----


def exact_form(a, reduced=True):
    return np.array([[float(x) for x in row] for row in reference.echelon(a, reduced)[0]]).reshape(a.shape)


@pytest.mark.parametrize("reduced", [True, False])
@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 4), (4, 1), (3, 3), (5, 8), (8, 5), (9, 9), (14, 20), (20, 14), (17, 17)]
)
def test_row_echelon(shape, reduced, rng):
    m, n = shape
    for rank in {0, 1, min(m, n) // 2, min(m, n) - 1, min(m, n)}:
        a = of_rank(rng, m, n, rank)
        if n > 3:
            a[:, 1] = 2 * a[:, 0]  # a column without a pivot among the first
        result = mf.linalg.row_echelon(a, reduced=reduced)
        assert result.pivots == reference.echelon(a)[1]
        assert result.rank == len(result.pivots)
        assert result.gap == math.inf
        same_bits(result.form + 0.0, exact_form(a, reduced) + 0.0)


def test_row_echelon_with_large_rationals(rng):
    a = random_integers(rng, (12, 15), "i8")
    a[11] = a[0] // 2
    result = mf.linalg.row_echelon(a)
    same_bits(result.form, exact_form(a))
    u = random_integers(rng, (5, 7), "u8")
    same_bits(mf.linalg.row_echelon(u).form, exact_form(u))
    same_bits(mf.linalg.row_echelon(u, reduced=False).form, exact_form(u, False))
    b = random_integers(rng, (28, 28), "i4", 2**29)
    b[27] = b[3] + b[7]
    result = mf.linalg.row_echelon(b)
    assert result.rank == 27
    same_bits(result.form, exact_form(b))


def test_row_echelon_of_a_stack(rng):
    a = np.stack([of_rank(rng, 4, 5, r) for r in (1, 2, 3, 4, 2, 0)]).reshape(2, 3, 4, 5)
    result = mf.linalg.row_echelon(a)
    assert result.pivots.shape == (2, 3, 5)
    assert result.gap.shape == result.rank.shape == (2, 3)
    for index in np.ndindex(2, 3):
        one = mf.linalg.row_echelon(a[index])
        assert tuple(np.flatnonzero(result.pivots[index])) == one.pivots
        assert result.rank[index] == one.rank
        same_bits(result.form[index], one.form)


# ---- null space, characteristic polynomial ----


def test_null_space(rng):
    for m, n, rank in ((3, 3, 2), (4, 7, 3), (7, 4, 2), (10, 10, 9), (5, 5, 5), (3, 4, 0), (15, 20, 11)):
        a = of_rank(rng, m, n, rank)
        basis = null_space_exact(a)
        assert basis.dtype == np.int64
        np.testing.assert_array_equal(basis.T.tolist(), reference.null_space(a))
    wide = random_integers(rng, (6, 8), "i8")
    basis = null_space_exact(wide)
    assert basis.dtype == object
    assert basis.T.tolist() == reference.null_space(wide)
    with pytest.raises(LinAlgError, match=r"null_space: .* got shape \(2, 3, 3\)"):
        null_space_exact(np.ones((2, 3, 3), int))


@pytest.mark.parametrize("n", [1, 2, 3, 6, 9, 15])
def test_characteristic_polynomial(n, rng):
    for limit in (1, 9, 2**31, 2**62):
        a = random_integers(rng, (n, n), "i8", limit)
        found = mf.linalg.characteristic_polynomial(a)
        expected = reference.characteristic_polynomial(a)
        assert found.tolist() == expected
        assert found.dtype == (np.int64 if max(map(abs, expected)) < 2**63 else object)
    u = random_integers(rng, (n, n), "u8")
    assert mf.linalg.characteristic_polynomial(u).tolist() == reference.characteristic_polynomial(u)
    assert mf.linalg.characteristic_polynomial(np.ones((n, n), bool)).tolist() == [1, -n] + [0] * (n - 1)


def test_cayley_hamilton(rng):
    """A matrix is a root of its characteristic polynomial."""
    a = rng.integers(-9, 10, (25, 25))
    exact, power = a.astype(object), np.eye(25, dtype=object) * 0
    for c in mf.linalg.characteristic_polynomial(a):
        power = exact @ power + int(c) * np.eye(25, dtype=int).astype(object)
    assert not power.any()


def test_against_sympy(rng):
    sympy = pytest.importorskip("sympy")
    for m, n, rank in ((6, 6, 6), (6, 6, 4), (5, 9, 4), (9, 5, 3)):
        a = of_rank(rng, m, n, rank, 50)
        theirs = sympy.Matrix(a.tolist())
        form, pivots = theirs.rref()
        result = mf.linalg.row_echelon(a)
        assert result.pivots == pivots
        np.testing.assert_array_equal(result.form, np.array(form.tolist(), dtype=float).reshape(m, n))
        if m == n:
            assert mf.linalg.det(a) == float(theirs.det())
            assert mf.linalg.characteristic_polynomial(a).tolist() == theirs.charpoly().all_coeffs()


# ---- the same answers everywhere ----


def test_same_at_every_level_and_thread_count(run_python, simd_levels):
    """Integers are integers: the x86 baseline too gives these bits."""
    source = """
        import hashlib, numpy as np, mmlfast as mf
        from mmlfast.linalg._exact_elimination import matrix_rank_exact, null_space_exact
        rng = np.random.default_rng(5)
        h = hashlib.sha256()
        for n in (1, 3, 6, 9, 12, 13, 16, 30):
            for limit in (3, 300, 2**31, 2**63 - 1):
                a = rng.integers(-limit, limit, (9, n, n))
                a[4, -1] = a[4, 0]
                with np.errstate(all="ignore"):
                    b = a[..., 0] / 3
                for x in (mf.linalg.solve(a, a[..., :1] // 7, errors="nan"), mf.linalg.inv(a[:5], errors="nan"),
                          mf.linalg.solve(a[0], b[0]), mf.linalg.det(a), *mf.linalg.slogdet(a), matrix_rank_exact(a),
                          mf.linalg.row_echelon(a[4]).form, mf.linalg.row_echelon(a[0], reduced=False).form):
                    h.update(np.ascontiguousarray(x).tobytes())
                h.update(repr(null_space_exact(a[4]).tolist()).encode())
                h.update(repr(mf.linalg.characteristic_polynomial(a[0]).tolist()).encode() if n < 16 else b"")
        print(h.hexdigest())
    """
    ways = [(level, "12"[k % 2]) for k, level in enumerate(simd_levels)] + [(simd_levels[0], "2")]
    printed = {run_python(source, MMLFAST_SIMD=level, MMLFAST_NUM_THREADS=threads) for level, threads in ways}
    assert len(printed) == 1


def test_neighbours_do_not_matter(rng):
    a = random_integers(rng, (17, 6, 6), "i8", 10**4)
    a[5] *= 10**12
    a[9] = 0
    whole = mf.linalg.det(a), matrix_rank_exact(a)
    for i in range(17):
        same_bits(np.float64(mf.linalg.det(a[i])), whole[0][i])
        assert matrix_rank_exact(a[i]) == whole[1][i]
        same_bits(mf.linalg.det(a[i:]), whole[0][i:])


def test_out(rng):
    a = rng.integers(-9, 9, (6, 4, 4))
    room = np.empty(6)
    assert mf.linalg.det(a, out=room) is room
    same_bits(room, mf.linalg.det(a))
    x, wanted = np.empty((6, 4, 4)).swapaxes(1, 2), mf.linalg.inv(a, errors="nan")
    assert mf.linalg.inv(a, out=x, errors="nan") is x
    same_bits(x.copy(), wanted)


# ---- laws ----

law = settings(max_examples=40, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 16)


@law
@given(st.integers(1, 7), seeds, st.sampled_from([1, 9, 1000, 2**31, 2**62]), st.sampled_from(["i8", "u8", "f8"]))
def test_law_integer_equations(n, seed, limit, right):
    rng = np.random.default_rng(seed)
    a = rng.integers(-limit, limit + 1, (n, n))
    b = rng.standard_normal((n, 1)) if right == "f8" else random_integers(rng, (n, 1), right, limit)
    assert_solved(a, b)


@law
@given(sizes, seeds, st.sampled_from([1, 9, 1000]))
def test_law_det_of_a_product(n, seed, limit):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(-limit, limit + 1, (2, n, n))
    if abs(reference.det(a) * reference.det(b)) < 2**53:
        assert mf.linalg.det(a @ b) == mf.linalg.det(a) * mf.linalg.det(b)
    assert mf.linalg.det(a.T) == mf.linalg.det(a)
    assert mf.linalg.det(a[::-1]) == mf.linalg.det(a) * (-1) ** (n * (n - 1) // 2)
    assert (mf.linalg.det(a) == 0) == mf.linalg.is_singular(a)


@law
@given(sizes, sizes, sizes, seeds)
def test_law_rank(m, k, n, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(-2, 3, (m, k)), rng.integers(-2, 3, (k, n))
    rank = int(matrix_rank_exact(a @ b))
    assert rank <= min(matrix_rank_exact(a), matrix_rank_exact(b))
    assert rank >= matrix_rank_exact(a) + matrix_rank_exact(b) - k  # Sylvester
    assert matrix_rank_exact((a @ b).T) == rank


@law
@given(sizes, sizes, seeds)
def test_law_null_space(m, n, seed):
    rng = np.random.default_rng(seed)
    a = of_rank(rng, m, n, int(rng.integers(0, min(m, n) + 1)))
    basis = null_space_exact(a).astype(object)
    assert not (a.astype(object) @ basis).any()
    assert basis.shape[1] == n - matrix_rank_exact(a)
    for column in basis.T:
        assert math.gcd(*map(int, column)) == 1


@law
@given(sizes, sizes, seeds)
def test_law_row_echelon_of_itself(m, n, seed):
    rng = np.random.default_rng(seed)
    a = rng.integers(-1, 2, (m, n))
    first = mf.linalg.row_echelon(a)
    whole = np.rint(first.form) == first.form
    if whole.all():
        second = mf.linalg.row_echelon(first.form.astype(int))
        assert second.pivots == first.pivots
        np.testing.assert_array_equal(second.form, first.form)
    # A row more that depends on the others, or another order of them, changes nothing.
    more = np.concatenate([a[::-1], a[:1] * 3 - a[-1:]])
    np.testing.assert_array_equal(mf.linalg.row_echelon(more).form[:m], first.form)


@pytest.mark.parametrize("at_once", [1 << 20, 50])
@pytest.mark.parametrize("most", [1 << 12, 7])
def test_residues_of_many_primes_make_integers(most, at_once, monkeypatch):
    monkeypatch.setattr(_exact_elimination, "_MOST_HALVES", most)
    monkeypatch.setattr(_exact_elimination, "_SUMS_AT_ONCE", at_once)
    sieve = np.ones(6000, bool)
    for k in range(2, 80):
        sieve[k * k :: k] = False
    divisors = np.flatnonzero(sieve)[2:]
    known = [p for p in range(2**25 - 1, 2**25 - 4000, -1) if (p % divisors).all()]
    for count in (1, 2, 13, 14, 15, 16, 17, 40, 101):
        primes = np.array(known[:count])
        half = math.prod(known[:count]) // 2
        expected = [0, 1, -1, half, -half, half - 1, *(half * k // 7 for k in range(-6, 6))]
        residues = np.array([[x % p for x in expected] for p in known[:count]])
        assert combine_residues(primes, residues) == expected
        assert combine_residues(primes, residues[:, :0]) == []
