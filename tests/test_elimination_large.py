"""Factors of one large matrix, in blocks: bits, pivots."""

from __future__ import annotations

import os

import numpy as np
import pytest
from cases import every_dtype, same_bits
from interrupts import run_until, signalled

import mmlfast as mf

pytestmark = pytest.mark.filterwarnings("ignore::scipy.linalg.LinAlgWarning")


def test_large_matrices_have_the_same_bits_at_every_level(same_at_every_level):
    """Nor do they depend on the threads: one panel, several, one that is not filled, and the bands of solutions."""
    same_at_every_level("""
        for dtype in (np.float64, np.float32):
            for n in (33, 100, 129, 300, 417):
                rng = np.random.default_rng(n)
                a = rng.standard_normal((n, n)).astype(dtype)
                b = rng.standard_normal((n, 70)).astype(dtype)
                digest(*mf.linalg.lu(a), *mf.linalg.lu(a[: n // 2]), *mf.linalg.lu(a[:, : n // 3]))
                digest(mf.linalg.solve(a, b), mf.linalg.solve(a, b[:, 0]), mf.linalg.inv(a), *mf.linalg.slogdet(a))
                definite = a + a.T + dtype(4 * n) * np.eye(n, dtype=dtype)
                digest(mf.linalg.cholesky(definite), mf.linalg.cholesky(definite, upper=True))
    """)


@every_dtype
@pytest.mark.parametrize("n", [13, 16, 24, 25, 32, 33, 47, 49, 100, 128])
def test_bits_are_those_of_lanes(n, dtype, rng):
    """One item alone goes to blocks, 17 go to lanes."""
    a = rng.standard_normal((n, n)).astype(dtype)
    for x in (a, np.ldexp(a, -1074 // 2 if dtype == np.float64 else -70), np.triu(a), a * (np.arange(n) != 3)):
        definite = x + x.T + dtype(4 * n) * np.eye(n, dtype=dtype)
        for one, many in (
            (mf.linalg.solve(x, a[:, :3], errors="nan"), mf.linalg.solve(np.stack([x] * 17), a[:, :3], errors="nan")),
            (mf.linalg.inv(x, errors="nan"), mf.linalg.inv(np.stack([x] * 17), errors="nan")),
            (mf.linalg.cholesky(definite), mf.linalg.cholesky(np.stack([definite] * 17))),
            *zip(mf.linalg.slogdet(x), mf.linalg.slogdet(np.stack([x] * 17)), strict=True),
            *zip(mf.linalg.lu(x), mf.linalg.lu(np.stack([x] * 17)), strict=True),
            *zip(mf.linalg.lu(x[:, : n // 2]), mf.linalg.lu(np.stack([x[:, : n // 2]] * 17)), strict=True),
            *zip(mf.linalg.lu(x[: n // 2]), mf.linalg.lu(np.stack([x[: n // 2]] * 17)), strict=True),
        ):
            same_bits(one, many[16])


@every_dtype
def test_multipliers_of_large_matrices_are_at_most_one(dtype, rng):
    """Pivots are the largest of their columns, the first of equals, as in LAPACK: no NaN where there is a number."""
    for n in (48, 130, 270):
        a = rng.integers(-1, 2, (n, n)).astype(dtype)  # ties
        lower = mf.linalg.lu(a).L
        assert np.abs(lower).max() == 1
        a[n // 2, 0] = np.nan
        order = mf.linalg.lu(a, p_indices=True).P
        first = int(np.argmax(np.where(np.isnan(a[:, 0]), -1, np.abs(a[:, 0]))))
        assert order[first] == 0


@pytest.mark.skipif(os.name == "nt", reason="signals are of POSIX")
@pytest.mark.parametrize("function", [mf.linalg.inv, mf.linalg.cholesky])
def test_ctrl_c_ends_the_factors_of_one_matrix(function):
    """Between panels: nothing of the result has been written by then."""

    def handler():
        raise KeyboardInterrupt

    def attempt(k):
        n = int(2000 * k ** (1 / 3))
        a, out = np.eye(n), np.full((n, n), 7.0)
        try:
            signalled(lambda: function(a, out=out), handler)
        except KeyboardInterrupt:
            return bool((out == 7).all())
        return False

    run_until(attempt, most=6)


@pytest.mark.slow
def test_rows_of_float32_beyond_its_integers():
    """2^24 + 1 is no number of float32: such rows were taken for their neighbours. A gigabyte of working memory."""
    first = 1 << 24
    for row in (first + 5, first + 33):
        a = np.zeros((first + 64, 1), np.float32)
        a[row] = 3
        order, lower, upper = mf.linalg.lu(a, p_indices=True)
        assert upper == 3
        assert lower[order[row]] == 1
        assert np.array_equal((lower @ upper)[order], a)
