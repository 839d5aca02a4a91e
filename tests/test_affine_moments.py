"""affine_moments: what x -> A x + b does to mean and covariance, against exact fractions and against tables."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from cases import every_dtype, same_bits

from mmlfast import stats
from mmlfast.stats import AffineMoments, affine_moments


def covariances(rng, *shape):
    root = rng.standard_normal((*shape, shape[-1]))
    c = root @ np.swapaxes(root, -1, -2)
    return (c + np.swapaxes(c, -1, -2)) / 2


def exact(a, c):
    a, c = ([[Fraction(float(v)) for v in row] for row in m] for m in (a, c))
    half = [[sum(x * c[k][j] for k, x in enumerate(row)) for j in range(len(c))] for row in a]
    return np.array([[float(sum(x * y for x, y in zip(h, row, strict=True))) for row in a] for h in half])


@pytest.mark.parametrize(("m", "d"), [(1, 1), (3, 3), (2, 5), (5, 2), (12, 9), (40, 33)])
def test_right_and_symmetric(m, d, rng):
    mean, cov, a, b = rng.standard_normal(d), covariances(rng, d), rng.standard_normal((m, d)), rng.standard_normal(m)
    moved = affine_moments(mean, cov, a, b)
    assert isinstance(moved, AffineMoments)
    np.testing.assert_allclose(moved.mean, a @ mean + b, rtol=1e-13, atol=1e-14)
    same_bits(moved.covariance, moved.covariance.T)
    expected = exact(a, cov)
    assert abs(moved.covariance - expected).max() <= 1e-14 * d * abs(expected).max()
    same_bits(affine_moments(mean, cov, a).covariance, moved.covariance)
    np.testing.assert_allclose(affine_moments(mean, cov, a).mean, a @ mean, rtol=1e-13, atol=1e-14)


def test_of_a_table(rng):
    x = rng.standard_normal((5000, 4)) @ rng.standard_normal((4, 4)) + 3
    a, b = rng.standard_normal((2, 4)), np.array([10.0, -1e3])
    moved = affine_moments(stats.mean(x), stats.covariance(x), a, b)
    y = x @ a.T + b
    np.testing.assert_allclose(moved.mean, stats.mean(y), rtol=1e-12)
    np.testing.assert_allclose(moved.covariance, stats.covariance(y), rtol=1e-11)


@every_dtype
def test_stacks_broadcast(dtype, rng):
    mean = rng.standard_normal((5, 3)).astype(dtype)
    cov = covariances(rng, 5, 3).astype(dtype)
    a = rng.standard_normal((2, 1, 4, 3)).astype(dtype)
    b = rng.standard_normal(4).astype(dtype)
    moved = affine_moments(mean, cov, a, b)
    assert (moved.mean.shape, moved.covariance.shape) == ((2, 5, 4), (2, 5, 4, 4))
    assert moved.mean.dtype == moved.covariance.dtype == dtype
    same_bits(moved.covariance, np.swapaxes(moved.covariance, -1, -2))
    for i, k in np.ndindex(2, 5):
        one = affine_moments(mean[k], cov[k], a[i, 0], b)
        tolerance = 1e-13 if dtype == np.float64 else 1e-5
        np.testing.assert_allclose(moved.mean[i, k], one.mean, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(moved.covariance[i, k], one.covariance, rtol=tolerance, atol=10 * tolerance)


def test_translation_changes_no_covariance_and_rotation_no_trace(rng):
    mean, cov = rng.standard_normal(2), covariances(rng, 2)
    moved = affine_moments(mean, cov, np.eye(2), [1e9, -5.0])
    np.testing.assert_array_equal(moved.covariance, cov)
    turned = affine_moments(mean, cov, [[0.0, -1.0], [1.0, 0.0]])
    np.testing.assert_array_equal(turned.covariance, [[cov[1, 1], -cov[0, 1]], [-cov[0, 1], cov[0, 0]]])


def test_no_rows_no_columns_integers_and_nan():
    moved = affine_moments(np.empty(0), np.empty((0, 0)), np.empty((2, 0)), [1, 2])
    np.testing.assert_array_equal(moved.mean, [1.0, 2.0])
    np.testing.assert_array_equal(moved.covariance, np.zeros((2, 2)))
    assert affine_moments([1, 2], np.eye(2, dtype=int), np.empty((0, 2))).covariance.shape == (0, 0)
    bad = affine_moments([1.0, 2.0], [[1.0, np.nan], [np.nan, 2.0]], [[1, 0]])
    assert np.isnan(bad.covariance).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1.0, np.eye(1), np.eye(1)), r"shapes must be mean \(..., d\)"),
        ((np.ones(2), np.ones(2), np.eye(2)), r"shapes must be mean \(..., d\)"),
        ((np.ones(2), np.eye(2), np.ones(2)), r"shapes must be mean \(..., d\)"),
        ((np.ones(2), np.eye(3), np.eye(2)), r"cov must be \(..., 2, 2\)"),
        ((np.ones(2), np.eye(2), np.eye(3)), r"A must be \(..., m, 2\)"),
        ((np.ones(2), np.eye(2), np.ones((3, 2)), np.ones(2)), r"b must be \(..., 3\)"),
        ((np.ones(2), np.eye(2), np.ones((3, 2)), 1.0), r"b must be \(..., 3\)"),
        ((np.ones((4, 2)), np.ones((3, 2, 2)), np.eye(2)), "leading axes do not broadcast"),
        ((np.ones(2), np.array([[1.0, 2.0], [3.0, 4.0]]), np.eye(2)), "cov must be symmetric up to rounding"),
    ],
)
def test_shapes_that_do_not_fit(arguments, message):
    with pytest.raises(ValueError, match=f"affine_moments: .*{message}"):
        affine_moments(*arguments)


def test_rounding_in_the_halves_is_no_asymmetry(rng):
    cov = covariances(rng, 3)
    rough = cov.copy()
    rough[0, 1] *= 1 + 1e-15
    moved = affine_moments(np.zeros(3), rough, rng.standard_normal((3, 3)))
    same_bits(moved.covariance, moved.covariance.T)


def test_no_real_numbers():
    for position, name in enumerate(("mean", "cov", "A", "b")):
        arguments = [np.ones(2), np.eye(2), np.eye(2), np.ones(2)]
        arguments[position] = arguments[position].astype(complex)
        with pytest.raises(TypeError, match=f"{name} must hold real numbers"):
            affine_moments(*arguments)


@pytest.mark.parametrize(("m", "d"), [(1, 1), (2, 3), (4, 4), (16, 16), (17, 4)])
def test_many_in_lanes_are_right_and_have_the_bits_of_one_alone(m, d, rng):
    mean, a, root = rng.standard_normal((37, d)), rng.standard_normal((37, m, d)), rng.standard_normal((37, d, d))
    cov = root @ root.mT
    cov = (cov + cov.mT) / 2
    moved = affine_moments(mean, cov, a)
    wide = a.astype(np.longdouble)
    right = np.einsum("nij,njk,nlk->nil", wide, cov, wide)
    assert np.abs(moved.covariance - right).max() < 1e-14 * np.abs(right).max() * d
    np.testing.assert_array_equal(moved.covariance, moved.covariance.mT)
    for i in range(37):
        np.testing.assert_array_equal(affine_moments(mean[i], cov[i], a[i]).covariance, moved.covariance[i])
    bad = cov.copy()
    bad[9, 0, -1] = np.nan if d == 1 else 1e3
    if d > 1:
        with pytest.raises(ValueError, match="cov must be symmetric"):
            affine_moments(mean, bad, a)
    else:
        assert np.isnan(affine_moments(mean, bad, a).covariance[9]).all()
