"""linalg.det and slogdet of 2 x 2 and 3 x 3 matrices, which come from cofactors."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from cases import every_dtype, same_bits

import mmlfast as mf
from mmlfast import _core


@every_dtype
def test_det_of_two_by_two_cancels_without_loss(dtype, rng, fused_simd_levels):
    """ad - bc of nearly equal products: elimination would round the quotient first."""
    if _core.build_config()["simd_in_use"] not in fused_simd_levels:
        pytest.skip("needs a fused multiply-add")
    a = rng.standard_normal((40, 2, 2)).astype(dtype)
    a[:, 1] = a[:, 0] * dtype(1.7) + dtype(1e-5) * rng.standard_normal((40, 2)).astype(dtype)
    a[0] = [[1, 2], [3, 4]]
    exact = [
        Fraction(float(x[0, 0])) * Fraction(float(x[1, 1])) - Fraction(float(x[0, 1])) * Fraction(float(x[1, 0]))
        for x in a
    ]
    unit = Fraction(float(np.finfo(dtype).eps))
    for ours, sign, log, true in zip(mf.linalg.det(a), *mf.linalg.slogdet(a), exact, strict=True):
        assert abs(Fraction(float(ours)) - true) <= 2 * unit * abs(true)
        assert sign == (1 if true > 0 else -1)
        assert log == pytest.approx(np.log(abs(float(true))), rel=4 * float(np.finfo(dtype).eps), abs=float(unit))


@every_dtype
def test_det_of_three_by_three_changes_only_the_first_column(dtype, rng, fused_simd_levels):
    """By cofactors, each of which is right to two units: also of matrices that are nearly of rank 1 or 2."""
    if _core.build_config()["simd_in_use"] not in fused_simd_levels:
        pytest.skip("needs a fused multiply-add")
    a = rng.standard_normal((60, 3, 3)).astype(dtype)
    a[20:40, 2] = a[20:40, 0] + a[20:40, 1] + dtype(1e-3) * a[20:40, 2]
    a[40:, 1:] = a[40:, :1] * dtype(1.7) + dtype(1e-3) * a[40:, 1:]
    unit = Fraction(float(np.finfo(dtype).eps)) / 2
    for ours, sign, log, item in zip(mf.linalg.det(a), *mf.linalg.slogdet(a), a, strict=True):
        x = [[Fraction(float(value)) for value in row] for row in item]
        minors = [x[i][1] * x[j][2] - x[i][2] * x[j][1] for i, j in ((1, 2), (0, 2), (0, 1))]
        terms = [x[0][0] * minors[0], -x[1][0] * minors[1], x[2][0] * minors[2]]
        true = sum(terms, Fraction(0))
        assert abs(Fraction(float(ours)) - true) <= 6 * unit * sum(map(abs, terms), Fraction(0))
        assert sign == np.sign(ours)
        assert log == pytest.approx(np.log(abs(float(ours))), rel=4 * float(np.finfo(dtype).eps), abs=float(unit))


@every_dtype
@pytest.mark.parametrize("n", [2, 3])
def test_det_by_cofactors_does_not_depend_on_its_neighbours(n, dtype, rng):
    """Elimination of the whole group is asked where a pivot may be zero or a number leaves the range."""
    a = rng.standard_normal((48, n, n)).astype(dtype)
    d = mf.linalg.det(a)
    far = dtype(2.0**45 if dtype == np.float32 else 2.0**400)
    close = a[0] * dtype(1 + 2.0**-20)
    close[-1] = close[0] * dtype(1 / 3) + close[-1] * np.finfo(dtype).eps
    for other in (np.zeros((n, n)), np.ones((n, n)), close, a[0] * far, a[0] / far, np.full((n, n), np.inf)):
        mixed = a.copy()
        mixed[5::16] = other
        expected = d.copy()
        with np.errstate(all="ignore"):
            expected[5::16] = mf.linalg.det(other.astype(dtype))
        same_bits(mf.linalg.det(mixed), expected)


@every_dtype
@pytest.mark.parametrize("n", [2, 3])
def test_det_is_zero_where_inv_says_singular(n, dtype, rng):
    a = rng.integers(-4, 5, (4000, n, n)).astype(dtype) / dtype(3)
    a[::2, -1] = a[::2, 0] * a[::2, :1, 0]
    singular = np.isnan(mf.linalg.inv(a, errors="nan")).any(axis=(1, 2))
    assert np.count_nonzero(singular) > 100
    np.testing.assert_array_equal(mf.linalg.det(a) == 0, singular)
    np.testing.assert_array_equal(mf.linalg.slogdet(a).sign == 0, singular)


@every_dtype
@pytest.mark.parametrize("n", [2, 3])
def test_det_of_an_exactly_singular_matrix_is_zero_or_a_rounding_error(n, dtype):
    """As `inv` says: elimination of [[1, 1], [3, 3]] leaves a rounding error for a pivot, cofactors leave nothing."""
    p, q, k = (x.ravel() for x in np.meshgrid(*[np.arange(1, 20)] * 3))
    a = np.tile(np.eye(n, dtype=dtype), (len(p), 1, 1))
    a[:, :2, 0], a[:, :2, 1] = np.stack([p, p * k], 1), np.stack([q, q * k], 1)
    d = mf.linalg.det(a)
    assert (np.abs(d) <= 4 * np.finfo(dtype).eps * p * q * k).all()
    singular = np.isnan(mf.linalg.inv(a, errors="nan")).any(axis=(1, 2))
    np.testing.assert_array_equal(d == 0, singular)


@every_dtype
@pytest.mark.parametrize("n", [2, 3])
def test_det_by_cofactors_up_to_the_ends_of_its_range(n, dtype, rng, fused_simd_levels):
    """Entries and determinants of the sizes that the docstring names, each column in units of its own."""
    if _core.build_config()["simd_in_use"] not in fused_simd_levels:
        pytest.skip("needs a fused multiply-add")
    top, low = (249, -499) if dtype == np.float64 else (29, -59)
    a = np.ldexp(rng.uniform(-1, 1, (600, n, n)), rng.integers(low, top, (600, 1, n))).astype(dtype)
    unit = Fraction(float(np.finfo(dtype).eps)) / 2
    held = 0
    for ours, item in zip(mf.linalg.det(a), a, strict=True):
        x = [[Fraction(float(value)) for value in row] for row in item]
        if n == 2:
            true = x[0][0] * x[1][1] - x[0][1] * x[1][0]
            size = abs(true) * 2
        else:
            minors = [x[i][1] * x[j][2] - x[i][2] * x[j][1] for i, j in ((1, 2), (0, 2), (0, 1))]
            terms = [x[0][0] * minors[0], -x[1][0] * minors[1], x[2][0] * minors[2]]
            true, size = sum(terms, Fraction(0)), 6 * sum(map(abs, terms), Fraction(0))
        if abs(true) > Fraction(2) ** low:
            held += 1
            assert abs(Fraction(float(ours)) - true) <= unit * size
    assert held > 100
