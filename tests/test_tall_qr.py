"""qr and gram_schmidt of tall matrices: every condition, every kind of columns, one way after the other."""

from __future__ import annotations

import numpy as np
import pytest
from cases import every_dtype, every_layout, same_bits

import mmlfast as mf


def unit(dtype):
    return float(np.finfo(dtype).eps) / 2


def of_condition(rng, m, n, condition):
    """Singular values from 1 to 1 / condition, to a factor of two."""
    rotation = np.linalg.qr(rng.standard_normal((n, n)))[0]
    return (rng.standard_normal((m, n)) * np.geomspace(1, 1 / condition, n) / np.sqrt(m)) @ rotation


def errors(a, q, r):
    """norm(Q'Q - I), and the largest norm(a_j - Q r_j) / norm(a_j), in n u."""
    n, u = a.shape[1], unit(a.dtype)
    a, q, r = (np.asarray(x, np.float64) for x in (a, q, r))
    most = np.abs(a).max(axis=0)
    most = np.where(most > 0, most, 1)
    a, r = a / most, r / most
    lengths = np.linalg.norm(a, axis=0)
    left = np.linalg.norm(a - q @ r, axis=0)
    return (
        np.linalg.norm(q.T @ q - np.eye(n)) / (n * u),
        np.divide(left, lengths, out=np.zeros(n), where=lengths > 0).max() / (n * u),
    )


def check(a):
    q, r = mf.linalg.qr(a)
    assert q.dtype == r.dtype == a.dtype
    assert not np.tril(r, -1).any()
    orthogonality, residual = errors(a, q, r)
    assert orthogonality <= 10
    assert residual <= 10
    alone = mf.linalg.qr(a, mode="r")
    assert np.abs(np.abs(alone) - np.abs(r)).max() <= 100 * a.shape[1] * unit(a.dtype) * max(np.abs(r).max(), 1e-300)
    return q, r


CONDITIONS = [1, 1e3, 1e5, 1e7, 1e8, 1e10, 1e12, 1e14, 1e15]


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("shape", [(512, 64), (3000, 7), (20_000, 10), (30_000, 3), (4500, 33), (2100, 200)], ids=str)
def test_every_condition(shape, condition, rng):
    a = of_condition(rng, *shape, condition)
    _, r = check(a)
    expected = np.linalg.qr(a, mode="r")
    if condition <= 1e10:
        np.testing.assert_array_equal(np.sign(np.diag(r)), np.sign(np.diag(expected)))
        np.testing.assert_allclose(r, expected, rtol=0, atol=100 * shape[1] * unit(float) * condition)


@pytest.mark.parametrize("condition", [1, 1e3, 1e6, 1e8])
@pytest.mark.parametrize("shape", [(3000, 7), (20_000, 10), (9000, 40)], ids=str)
def test_float32(shape, condition, rng):
    check(of_condition(rng, *shape, condition).astype(np.float32))


@pytest.mark.parametrize("method", ["qr", "gram_schmidt"])
@pytest.mark.parametrize("condition", [1, 1e8, 1e14])
@pytest.mark.parametrize("shape", [(100_000, 10), (20_000, 64)], ids=str)
def test_large(shape, condition, method, rng):
    """The shapes of the benchmark, smaller."""
    a = of_condition(rng, *shape, condition)
    if method == "qr":
        q, r = mf.linalg.qr(a)
        assert np.linalg.norm(a - q @ r) <= 1e-14 * np.linalg.norm(a)
    else:
        q, rank, orthogonality = mf.linalg.gram_schmidt(a)
        assert orthogonality <= 1e-14
        assert rank == shape[1] or condition == 1e14
        q = q[:, q.any(axis=0)]
    assert np.linalg.norm(q.T @ q - np.eye(q.shape[1])) <= 1e-14


def hidden(rng, m, n):
    """A few rows, which a sample does not see, decide about a column."""
    a = rng.standard_normal((m, n))
    a[:, n // 2] = a[:, 0]
    a[17 : 17 + n, n // 2] += rng.standard_normal(n)
    return a


COLUMNS = {
    "hidden rows": hidden,
    "a rare column": lambda r, m, n: np.where(
        np.arange(n) == 2, np.arange(m)[:, None] == 77, r.standard_normal((m, n))
    ),
    "one-hot": lambda r, m, n: np.eye(n)[r.integers(0, n, m)],
    "first rows heavy": lambda r, m, n: r.standard_normal((m, n)) * np.geomspace(1, 1e-13, m)[:, None],
    "outliers": lambda r, m, n: r.standard_normal((m, n)) / np.abs(r.standard_normal((m, n))) ** 3,
    "powers": lambda r, m, n: np.vander(np.linspace(0, 1, m), n),
    "graded columns": lambda r, m, n: r.standard_normal((m, n)) * np.geomspace(1, 1e-200, n),
    "huge": lambda r, m, n: 1e200 * r.standard_normal((m, n)),
    "tiny": lambda r, m, n: 1e-200 * r.standard_normal((m, n)),
    "shifted": lambda r, m, n: 1e9 + r.standard_normal((m, n)),
    "triangle": lambda r, m, n: np.vstack([np.triu(np.ones((n, n))), np.zeros((m - n, n))]),
    "Lauchli": lambda r, m, n: np.vstack([np.ones((1, n)), 1e-9 * np.eye(m - 1, n)]),
    "dependent": lambda r, m, n: r.standard_normal((m, n))[:, np.arange(n) % (n - 2)],
    "zero column": lambda r, m, n: r.standard_normal((m, n)) * (np.arange(n) != 1),
    "zeros": lambda r, m, n: np.zeros((m, n)),
    "integers of low rank": lambda r, m, n: (r.integers(-3, 4, (m, 3)) @ r.integers(-3, 4, (3, n))).astype(float),
}


@pytest.mark.parametrize("shape", [(600, 9), (9000, 12), (3000, 40)], ids=str)
@pytest.mark.parametrize("name", COLUMNS)
def test_every_kind_of_columns(name, shape, rng):
    a = COLUMNS[name](rng, *shape)
    check(a)
    basis, rank, orthogonality = mf.linalg.gram_schmidt(a)
    used = basis[:, basis.any(axis=0)]
    assert used.shape[1] == rank
    assert np.linalg.norm(used.T @ used - np.eye(rank)) <= 10 * shape[1] * unit(float)
    assert orthogonality <= 10 * shape[1] * unit(float)
    lengths = np.abs(a).max(axis=0)
    scaled = a / np.where(lengths > 0, lengths, 1)
    left = np.linalg.norm(scaled - used @ (used.T @ scaled)) / max(np.linalg.norm(scaled), 1e-300)
    assert left <= 20 * shape[1] * unit(float)
    if name in ("dependent", "zero column", "zeros", "integers of low rank"):
        assert rank == np.linalg.matrix_rank(a)


@every_layout
@every_dtype
@pytest.mark.parametrize("condition", [1, 1e6])
def test_every_layout(layout, dtype, condition, rng):
    for n in (3, 10, 40):
        a = of_condition(rng, 2500, n, condition).astype(dtype)
        expected = mf.linalg.qr(a)
        for got, wanted in zip(mf.linalg.qr(layout(a)), expected, strict=True):
            same_bits(got, wanted)


def test_batch(rng):
    a = np.stack([of_condition(rng, 1500, 6, condition) for condition in (1, 1e5, 1e12, 1)])
    a[3, 5, 5] = np.nan
    q, r = mf.linalg.qr(a)
    for i in range(3):
        same_bits(q[i], mf.linalg.qr(a[i]).Q)
        same_bits(r[i], mf.linalg.qr(a[i]).R)
    assert np.isnan(q[3]).all()
    assert np.isnan(r[3][np.triu_indices(6)]).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity(value, rng):
    for place in ((0, 0), (700, 3), (1999, 5)):
        a = rng.standard_normal((2000, 6))
        a[place] = value
        q, r = mf.linalg.qr(a)
        assert np.isnan(q).all()
        assert np.isnan(r[np.triu_indices(6)]).all()


def test_threads_and_levels_give_the_same_bits(same_at_every_level):
    same_at_every_level(
        """
        rng = np.random.default_rng(5)
        for dtype in (np.float64, np.float32):
            for m, n in ((30000, 3), (30000, 10), (9000, 33), (4000, 130)):
                a = rng.standard_normal((m, n)).astype(dtype)
                b = a.copy()
                b[:, n - 1] = b[:, 1] + 1e-5 * b[:, n - 1]
                c = a.copy()
                c[:, n - 1] = c[:, 1]
                for x in (a, b):
                    digest(*mf.linalg.qr(x), mf.linalg.qr(x, mode="r"), mf.linalg.gram_schmidt(x).basis)
                digest(mf.linalg.gram_schmidt(c).basis)
        """
    )
