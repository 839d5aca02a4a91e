"""Echelon forms and singularity of floating-point matrices, and their characteristic polynomials."""

from __future__ import annotations

import math

import numpy as np
import pytest
from cases import every_case, every_dtype, kahan, poisoned, same_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.linalg import LinAlgError

import mmlfast as mf
from mmlfast._reference import exact_elimination as reference
from mmlfast._reference import row_echelon as float_reference


def check_form(a, result, reduced):
    """The shape of an echelon form."""
    m, n = a.shape
    form, pivots, rank = result.form, result.pivots, result.rank
    assert form.dtype == a.dtype
    assert len(pivots) == rank <= min(m, n)
    assert list(pivots) == sorted(pivots)
    for t, j in enumerate(pivots):
        assert not form[t, :j].any()
        assert form[t, j] != 0
        assert not form[t + 1 :, j].any()
        if reduced:
            assert form[t, j] == 1
            assert not form[:t, j].any()
    assert not form[rank:].any()


@pytest.mark.parametrize("reduced", [True, False])
@every_case(without="ill-scaled stacked zero-stride")
def test_form(case, reduced):
    if case.batch:
        return
    a = case.plain
    result = mf.linalg.row_echelon(case.array, reduced=reduced)
    check_form(a, result, reduced)
    if {"random", "orthogonal"} & case.tags:
        assert result.rank == min(a.shape)
    if reduced and result.rank and "random" in case.tags:
        # The rows of a are those combinations of the rows of the form that their pivot columns tell.
        wide, rows = a.astype(float), result.form[: result.rank].astype(float)
        columns = wide[:, list(result.pivots)]
        size = (np.abs(columns) @ np.abs(rows)).max()
        assert np.abs(columns @ rows - wide).max() <= 10 * max(a.shape) * case.eps * np.linalg.cond(columns) * size


@every_case("stacked", without="zero-size")
def test_stacks_and_layouts(case):
    whole = mf.linalg.row_echelon(case.array)
    assert whole.pivots.dtype == bool
    for index in list(np.ndindex(case.batch))[:4]:
        one = mf.linalg.row_echelon(case.plain[index])
        same_bits(whole.form[index], one.form)
        assert tuple(np.flatnonzero(whole.pivots[index]).tolist()) == one.pivots
        assert whole.rank[index] == one.rank
        assert whole.gap[index] == one.gap


@every_dtype
def test_against_the_reference(dtype, rng):
    eps = float(np.finfo(dtype).eps)
    for m, n, rank in ((3, 3, 3), (5, 9, 4), (9, 5, 3), (17, 20, 17), (33, 31, 12)):
        a = (rng.standard_normal((m, rank)) @ rng.standard_normal((rank, n))).astype(dtype)
        for reduced in (True, False):
            form, pivots, _ = float_reference.row_echelon(a.astype(float), max(m, n) * eps, reduced)
            result = mf.linalg.row_echelon(a, reduced=reduced)
            if dtype is np.float64:
                assert result.pivots == pivots
            if result.pivots == pivots:
                tolerance = 1000 * n * eps * np.linalg.cond(a[:, list(pivots)].astype(float))
                np.testing.assert_allclose(result.form, form, atol=tolerance * max(1, np.abs(form).max()))


@every_dtype
@pytest.mark.parametrize(("m", "n", "rank"), [(70, 70, 70), (66, 131, 50), (131, 90, 60), (97, 160, 97), (65, 257, 33)])
def test_windows_of_columns(m, n, rank, dtype, rng):
    """Pivots anywhere in a window and columns without one, against the reference, which goes column by column."""
    a = rng.standard_normal((m, rank)) @ rng.standard_normal((rank, n))
    a[:, rng.integers(0, n, n // 5)] = 0
    a[:, 40:45] = a[:, :1]
    a = a.astype(dtype)
    tol = max(m, n) * float(np.finfo(dtype).eps)
    for reduced in (True, False):
        form, pivots, _ = float_reference.row_echelon(a.astype(float), tol, reduced)
        result = mf.linalg.row_echelon(a, reduced=reduced)
        check_form(a, result, reduced)
        if dtype is np.float64:
            assert result.pivots == pivots
            tolerance = 1000 * n * tol * np.linalg.cond(a[:, list(pivots)])
            np.testing.assert_allclose(result.form, form, atol=tolerance * max(1, np.abs(form).max()))


def test_same_bits_at_every_level_and_thread_count(same_at_every_level):
    same_at_every_level("""
        rng = np.random.default_rng(3)
        for dtype in (np.float64, np.float32):
            for m, n in ((1, 1), (3, 3), (5, 8), (17, 16), (40, 33)):
                a = rng.standard_normal((50, m, n)).astype(dtype)
                a[7, -1] = a[7, 0]
                for reduced in (True, False):
                    digest(*mf.linalg.row_echelon(a, reduced=reduced), *mf.linalg.row_echelon(a, tol=0.01))
            digest(*mf.linalg.row_echelon(rng.standard_normal((130, 150)).astype(dtype)))
    """)


def test_small_integers_in_floating_point(rng):
    """Where nothing is rounded much, the form is that of the exact elimination."""
    for m, n, rank in ((4, 6, 3), (6, 4, 2), (5, 5, 4), (8, 8, 8)):
        a = rng.integers(-3, 4, (m, rank)) @ rng.integers(-3, 4, (rank, n))
        exact, result = mf.linalg.row_echelon(a), mf.linalg.row_echelon(a.astype(float))
        assert result.pivots == exact.pivots
        np.testing.assert_allclose(result.form, exact.form, atol=1e-11)
        assert result.gap > 1e8


@every_dtype
def test_rank_and_gap_of_matrices_with_noise(dtype, rng):
    eps = float(np.finfo(dtype).eps)
    for n, rank in ((5, 3), (20, 11), (60, 59)):
        a = (rng.standard_normal((n, rank)) @ rng.standard_normal((rank, n))).astype(dtype)
        result = mf.linalg.row_echelon(a)
        assert result.rank == rank
        assert result.gap > eps**-0.25
    a = np.array([[1, 2], [1, 2 + 64 * eps]], dtype)
    assert mf.linalg.row_echelon(a).rank == 2
    coarse = mf.linalg.row_echelon(a, tol=1e-3)
    assert coarse.rank == 1
    assert 1e-3 / eps < coarse.gap < 1 / eps
    assert mf.linalg.row_echelon(np.eye(3, dtype=dtype)).gap == math.inf


def test_tenths():
    a = np.arange(1, 10).reshape(3, 3) / 10
    result = mf.linalg.row_echelon(a)
    assert result.rank == 2
    assert result.gap > 1e13
    np.testing.assert_allclose(result.form, [[1, 0, -1], [0, 1, 2], [0, 0, 0]], atol=1e-15)
    assert mf.linalg.is_singular(a)
    assert mf.linalg.is_singular(a.astype(np.float32))


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e300])
def test_scale_does_not_matter(scale, rng):
    a = rng.integers(-4, 5, (5, 7)).astype(float)
    a[4] = a[0] - a[1]
    plain, scaled = mf.linalg.row_echelon(a), mf.linalg.row_echelon(a * scale)
    assert scaled.pivots == plain.pivots
    np.testing.assert_allclose(scaled.form, plain.form, rtol=1e-12, atol=1e-13)
    rows = np.array([1, 1e-200, 1e200, 1e-30, 1])[:, None]
    assert mf.linalg.row_echelon(a * rows).rank == 4
    upper = mf.linalg.row_echelon(a * 2.0**40, reduced=False).form
    same_bits(upper, mf.linalg.row_echelon(a, reduced=False).form * 2.0**40)


def test_upper_form_keeps_the_determinant(rng):
    a = rng.standard_normal((6, 6))
    form = mf.linalg.row_echelon(a, reduced=False).form
    assert abs(np.prod(np.diag(form))) == pytest.approx(abs(np.linalg.det(a)), rel=1e-12)


# ---- is_singular ----


@every_case("square", without="zero-size")
def test_is_singular(case):
    found = mf.linalg.is_singular(case.array)
    assert found.shape == case.batch
    assert found.dtype == bool
    if "singular" in case.tags:
        assert found.all()
    elif {"random", "orthogonal", "triangular"} & case.tags:
        assert not found.any()
    for index in list(np.ndindex(case.batch))[:4]:
        assert mf.linalg.is_singular(case.plain[index]) == found[index]


def test_is_singular_does_not_ask_for_scale():
    assert not mf.linalg.is_singular(np.diag([1e-300, 1.0, 1e300]))
    assert not mf.linalg.is_singular(np.diag([1e-3, 1e-40]).astype(np.float32))
    a = np.array([[1.0, 2.0], [2.0, 4.0]])
    for scale in (2.0**-900, 1.0, 2.0**900):
        assert mf.linalg.is_singular(a * scale)
        assert mf.linalg.is_singular(np.diag([scale, 1]) @ a)
        assert mf.linalg.is_singular(a @ np.diag([scale, 1]))
    assert not mf.linalg.is_singular(kahan(40))


def test_is_singular_at_the_border():
    u = float(np.finfo(float).eps) / 2
    for n in (2, 3, 10):
        a = np.ones((n, n)) + np.eye(n)
        a[1] = a[0]
        a[1, 0] += 2000 * n * n * u
        assert not mf.linalg.is_singular(a)
        assert mf.linalg.is_singular(a, tol=1e-8)
        a[1] = a[0]
        a[1, 0] += 4 * u
        assert mf.linalg.is_singular(a)
        assert not mf.linalg.is_singular(a, tol=0)


def test_not_finite():
    stack = np.stack([np.eye(3)] * 4)
    stack[1, 0, 0], stack[3, 2, 1] = np.nan, -np.inf
    assert mf.linalg.is_singular(stack).tolist() == [False, True, False, True]
    for bad in (np.nan, np.inf):
        a = np.eye(3)
        a[1, 2] = bad
        with pytest.raises(ValueError, match="a must not hold NaN or infinity"):
            mf.linalg.characteristic_polynomial(a)


def test_poisoned_items(rng):
    """An item with NaN or infinity is NaN, and the others do not notice."""
    a = rng.standard_normal((9, 3, 4))
    clean = mf.linalg.row_echelon(a)
    for index, bad in poisoned(a[:4]):
        found = mf.linalg.row_echelon(np.concatenate([bad, a[4:]]))
        i = index[0]
        assert np.isnan(found.form[i]).all()
        assert np.isnan(found.gap[i])
        assert found.rank[i] == 0
        assert not found.pivots[i].any()
        others = np.arange(9) != i
        for x, y in zip(found, clean, strict=True):
            same_bits(x[others], y[others])


@pytest.mark.parametrize("name", ["row_echelon", "is_singular", "characteristic_polynomial"])
def test_bad_input(name):
    function = getattr(mf.linalg, name)
    for bad in (np.eye(2, dtype=complex), np.eye(2).astype(object), np.array([["a", "b"]] * 2)):
        with pytest.raises(TypeError, match="a must hold real numbers"):
            function(bad)
    with pytest.raises(LinAlgError, match=rf"{name}: .*got shape \(3,\)"):
        function(np.ones(3))
    if name != "row_echelon":
        with pytest.raises(LinAlgError, match=rf"{name}: .*got shape \(2, 3\)"):
            function(np.ones((2, 3)))
    if name != "characteristic_polynomial":
        for tol in (-1.0, np.nan):
            with pytest.raises(ValueError, match=f"{name}: tol must not be negative"):
                function(np.eye(2), tol=tol)


# ---- characteristic_polynomial ----


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5, 10, 20])
def test_characteristic_polynomial(n, rng):
    """The coefficients of integer matrices are known exactly; the error is relative to the size of the matrix."""
    a = rng.integers(-9, 10, (n, n))
    exact = np.array(reference.characteristic_polynomial(a), dtype=float)
    found = mf.linalg.characteristic_polynomial(a.astype(float))
    size = float(np.linalg.norm(a)) if n else 1.0
    # The coefficient of power n - k is a sum of k-minors: at most binomial(n, k) (norm / sqrt(k))^k.
    bound = np.array([math.comb(n, k) * (size / math.sqrt(max(k, 1))) ** k for k in range(n + 1)])
    assert np.all(np.abs(found - exact) <= 10 * max(n, 1) * float(np.finfo(float).eps) * bound)
    assert found.dtype == np.float64
    single = mf.linalg.characteristic_polynomial(a.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_array_equal(single, found.astype(np.float32))


def test_characteristic_polynomial_in_stacks_and_scales(rng):
    a = rng.standard_normal((2, 3, 4, 4))
    found = mf.linalg.characteristic_polynomial(a)
    assert found.shape == (2, 3, 5)
    for index in np.ndindex(2, 3):
        np.testing.assert_allclose(found[index], np.poly(a[index]), rtol=1e-10, atol=1e-12)
        same_bits(found[index], mf.linalg.characteristic_polynomial(a[index]))
        small = mf.linalg.characteristic_polynomial(a[index] * 2.0**-100)
        same_bits(small, found[index] * 2.0 ** (-100.0 * np.arange(5)))
    np.testing.assert_array_equal(mf.linalg.characteristic_polynomial(np.zeros((3, 3))), [1, 0, 0, 0])


law = settings(max_examples=50, deadline=None, derandomize=True)


@law
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_law_form_of_a_form(m, n, seed):
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((m, n))
    first = mf.linalg.row_echelon(a)
    second = mf.linalg.row_echelon(first.form)
    assert second.pivots == first.pivots
    np.testing.assert_array_equal(second.form, first.form)
    assert mf.linalg.row_echelon(a[::-1]).rank == first.rank
    assert mf.linalg.row_echelon(a.T).rank == first.rank
