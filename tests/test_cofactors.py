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
