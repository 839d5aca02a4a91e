"""change_of_basis, reflection_matrix, rotation_matrix, transform: laws of geometry, and mpmath for small angles."""

from __future__ import annotations

import cases
import mpmath
import numpy as np
import pytest
from cases import every_dtype, every_layout, same_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.linalg import LinAlgError

import mmlfast as mf
from mmlfast.linalg import change_of_basis, reflection_matrix, rotation_matrix, transform


def eps(dtype):
    return float(np.finfo(dtype).eps)


def assert_orthogonal(a, determinant, factors=1):
    """To rounding level, for a product of that many orthogonal matrices."""
    a = np.asarray(a)
    d = a.shape[-1]
    wide = a.astype(np.longdouble)
    loss = np.abs(np.matmul(wide, wide.swapaxes(-1, -2)) - np.eye(d)).max(initial=0)
    assert loss <= 4 * max(d, 4) * factors * eps(a.dtype)
    np.testing.assert_allclose(np.linalg.det(a.astype(float)), determinant, atol=8 * d * eps(a.dtype))


# ---- change of basis ----


def test_coordinates_of_the_course():
    """A vector (5, -1) in the orthogonal basis (1, 1), (1, -1), and the way back."""
    basis = np.array([[1.0, 1.0], [1.0, -1.0]])
    np.testing.assert_allclose(change_of_basis([5.0, -1.0], basis), [2.0, 3.0], rtol=1e-15)
    np.testing.assert_allclose(change_of_basis([2.0, 3.0], None, basis), [5.0, -1.0], rtol=1e-15)


@every_dtype
@pytest.mark.parametrize("size", [1, 2, 3, 4, 9, 40])
def test_vectors_between_bases(size, dtype, rng):
    first, second = (cases.orthogonal(rng, size) + 0.2 * rng.standard_normal((size, size)) / size for _ in range(2))
    first, second = first.astype(dtype), second.astype(dtype)
    x = rng.standard_normal((7, size)).astype(dtype)
    c = change_of_basis(x, second, first)
    assert c.dtype == dtype
    expected = np.linalg.solve(second.astype(float), first.astype(float) @ x.T.astype(float)).T
    np.testing.assert_allclose(c, expected, atol=100 * size * eps(dtype))
    np.testing.assert_allclose(change_of_basis(c, first, second), x, atol=100 * size * eps(dtype))
    one = change_of_basis(x[3], second, first)
    assert one.shape == (size,)
    np.testing.assert_allclose(one, c[3], atol=10 * size * eps(dtype))
    stacked = change_of_basis(x, np.broadcast_to(second, (7, size, size)), first)
    np.testing.assert_allclose(stacked, c, atol=20 * size * eps(dtype))
    assert change_of_basis(x[None], second).shape == (1, 7, size)


@every_dtype
@pytest.mark.parametrize("size", [1, 2, 3, 9])
def test_operators_between_bases(size, dtype, rng):
    first, second = (cases.orthogonal(rng, size) + 0.2 * rng.standard_normal((size, size)) / size for _ in range(2))
    first, second = first.astype(dtype), second.astype(dtype)
    t = rng.standard_normal((5, size, size)).astype(dtype)
    e, f = first.astype(float), second.astype(float)
    wide = t.astype(float)
    for to, source, expected in (
        (None, first, e @ wide @ np.linalg.inv(e)),
        (first, None, np.linalg.inv(e) @ wide @ e),
        (second, first, np.linalg.inv(f) @ e @ wide @ np.linalg.inv(e) @ f),
        (None, None, wide),
    ):
        result = change_of_basis(t, to, source, operator=True)
        assert result.dtype == dtype
        np.testing.assert_allclose(result, expected, atol=200 * size * eps(dtype))
        single = change_of_basis(t[0], to, source, operator=True)
        np.testing.assert_allclose(single, expected[0], atol=200 * size * eps(dtype))
    stack = np.stack([first, second, first])
    result = change_of_basis(t[0], None, stack, operator=True)
    assert result.shape == (3, size, size)
    np.testing.assert_allclose(result[1], f @ wide[0] @ np.linalg.inv(f), atol=200 * size * eps(dtype))


def test_orthonormal_bases_lose_nothing(rng):
    for size in (2, 3, 10):
        q = cases.orthogonal(rng, size)
        x = rng.standard_normal((100, size))
        error = np.linalg.norm(change_of_basis(x, q) - x @ q, axis=1) / np.linalg.norm(x, axis=1)
        assert error.max() <= 10 * size * eps(float)
    permutation = np.eye(5)[[3, 1, 4, 0, 2]]
    np.testing.assert_array_equal(change_of_basis(x[:, :5], permutation), x[:, :5] @ permutation)


@pytest.mark.parametrize(
    "basis",
    [
        np.zeros((2, 2)),
        np.array([[1.0, 2.0], [2.0, 4.0]]),
        np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]]),
        np.array([[0.1, 0.3], [0.2, 0.6]]),
    ],
)
def test_dependent_bases_raise(basis):
    size = len(basis)
    x = np.ones(size)
    with pytest.raises(LinAlgError, match="basis are linearly dependent"):
        change_of_basis(x, basis)
    with pytest.raises(LinAlgError, match="from_basis are linearly dependent"):
        change_of_basis(x, None, basis)
    with pytest.raises(LinAlgError, match="linearly dependent"):
        change_of_basis(np.eye(size), None, basis, operator=True)
    with pytest.raises(LinAlgError, match="linearly dependent"):
        transform(np.ones((4, size)), np.eye(size), basis)
    stack = np.stack([np.eye(size), basis])
    with pytest.raises(LinAlgError, match=r"batch index \(1,\)"):
        change_of_basis(np.ones((2, size)), stack)


# ---- reflections ----


@every_dtype
@pytest.mark.parametrize("size", [1, 2, 3, 4, 10, 33])
def test_reflections(size, dtype, rng):
    n = rng.standard_normal((6, size)).astype(dtype)
    h = reflection_matrix(n)
    assert h.shape == (6, size, size)
    assert h.dtype == dtype
    assert_orthogonal(h, -1.0)
    same_bits(h, h.swapaxes(-1, -2).copy())
    for i in range(6):
        np.testing.assert_allclose(h[i] @ n[i], -n[i], atol=20 * size * eps(dtype))
        same_bits(reflection_matrix(n[i]), h[i])
        # the same mirror, from vectors in it
        if size == 1:
            continue  # a mirror on a line is a point: no vector spans it
        in_mirror = np.linalg.qr(np.column_stack([n[i].astype(float), rng.standard_normal((size, size - 1))]))[0][:, 1:]
        skewed = in_mirror @ (np.eye(size - 1) + 0.3 * rng.standard_normal((size - 1, size - 1)))
        again = reflection_matrix(basis=skewed.astype(dtype))
        assert again.dtype == dtype
        if np.linalg.cond(skewed) < 1e3:
            np.testing.assert_allclose(again, h[i], atol=3e4 * size * eps(dtype))
            assert_orthogonal(again, -1.0)


@every_dtype
def test_reflections_of_extreme_normals(dtype):
    for scale in (np.finfo(dtype).max / 2, np.finfo(dtype).tiny, np.finfo(dtype).smallest_subnormal):
        n = np.array([scale, 0, scale], dtype)
        np.testing.assert_allclose(reflection_matrix(n), [[0, 0, -1], [0, 1, 0], [-1, 0, 0]], atol=2 * eps(dtype))


def test_reflections_that_are_none():
    """The trap of the course: dependent vectors would give a projection."""
    with pytest.raises(LinAlgError, match="normal is zero"):
        reflection_matrix([0.0, 0.0])
    with pytest.raises(LinAlgError, match=r"normal is zero at batch index \(1,\)"):
        reflection_matrix([[1.0, 0.0], [0.0, 0.0]])
    with pytest.raises(LinAlgError, match="linearly dependent"):
        reflection_matrix(basis=[[1.0, 2.0], [1.0, 2.0], [0.0, 0.0]])
    with pytest.raises(LinAlgError, match="linearly dependent"):
        reflection_matrix(basis=np.array([[1, 2], [1, 2], [1, 2]]) / 3)
    with pytest.raises(LinAlgError, match="3 columns in 2 dimensions"):
        reflection_matrix(basis=np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"a line is basis\[:, None\]"):
        reflection_matrix(basis=[1.0, 2.0])
    with pytest.raises(ValueError, match="either normal or basis"):
        reflection_matrix()
    with pytest.raises(ValueError, match="either normal or basis"):
        reflection_matrix([1.0], basis=np.eye(1))
    with pytest.raises(ValueError, match="normal must hold vectors"):
        reflection_matrix(1.0)


@pytest.mark.parametrize("size", [1, 2, 3, 10, 40])
def test_a_mirror_has_fewer_directions_than_the_space(size, rng):
    """The identity, without a word."""
    with pytest.raises(LinAlgError, match="fewer directions than the space, and basis has 2 columns in 2 dimensions"):
        reflection_matrix(basis=[[2, 1], [0, 3]])
    for basis in (np.eye(size), rng.standard_normal((size, size)), rng.standard_normal((4, size, size + 2))):
        with pytest.raises(LinAlgError, match=rf"at most {size - 1} columns, or normal="):
            reflection_matrix(basis=basis)
    with pytest.raises(LinAlgError, match="holds no vector that spans a mirror"):
        reflection_matrix(basis=np.zeros((size, 0)))


# ---- rotations ----


def test_rotations_in_the_plane(rng):
    angle = rng.uniform(-7, 7, (3, 4))
    r = rotation_matrix(angle)
    assert r.shape == (3, 4, 2, 2)
    assert_orthogonal(r, 1.0)
    np.testing.assert_allclose(r @ [1.0, 0.0], np.stack([np.cos(angle), np.sin(angle)], -1), atol=1e-15)
    assert rotation_matrix(np.float32(0.5)).dtype == np.float32
    assert rotation_matrix(1).dtype == np.float64


@every_dtype
def test_rotations_about_an_axis(dtype, rng):
    axis = rng.standard_normal((20, 3)).astype(dtype)
    angle = rng.uniform(-4, 4, 20).astype(dtype)
    r = rotation_matrix(angle, axis)
    assert r.dtype == dtype
    assert_orthogonal(r, 1.0)
    rotation = pytest.importorskip("scipy.spatial.transform").Rotation
    unit = axis.astype(float) / np.linalg.norm(axis.astype(float), axis=1)[:, None]
    expected = rotation.from_rotvec(unit * angle.astype(float)[:, None]).as_matrix()
    np.testing.assert_allclose(r, expected, atol=4 * eps(dtype))
    for i in range(20):
        same_bits(rotation_matrix(angle[i], axis[i]), r[i])
    assert rotation_matrix(0.5, axis).dtype == dtype
    assert rotation_matrix(angle[:, None], axis[:5]).shape == (20, 5, 3, 3)


@pytest.mark.parametrize("angle", [1e-3, 1e-8, 1e-12, 1e-160, 3.141592653589793, 1e5])
def test_rotations_by_special_angles(angle):
    axis = [1.0, -2.0, 0.5]
    with mpmath.workdps(60):
        u = mpmath.matrix(axis) / mpmath.norm(mpmath.matrix(axis))
        k = mpmath.matrix([[0, -u[2], u[1]], [u[2], 0, -u[0]], [-u[1], u[0], 0]])
        exact = mpmath.sin(angle) * k + (1 - mpmath.cos(angle)) * (k * k)
        exact = np.array(exact.tolist(), dtype=object)
        r = rotation_matrix(angle, axis)
        off = ~np.eye(3, dtype=bool)
        for value, true in zip(r[off], exact[off], strict=True):
            assert abs(value - true) <= 4 * eps(float) * max(abs(true), abs(mpmath.sin(angle)))
        assert_orthogonal(r, 1.0)


@every_dtype
@pytest.mark.parametrize("size", [2, 3, 4, 10])
def test_rotations_in_a_plane(size, dtype, rng):
    plane = rng.standard_normal((5, size, 2)).astype(dtype)
    r = rotation_matrix(0.7, plane=plane)
    assert r.dtype == dtype
    assert_orthogonal(r, 1.0)
    q, _ = np.linalg.qr(plane.astype(float))
    for i in range(5):
        first = plane[i, :, 0].astype(float)
        turned = r[i] @ first
        cosine = first @ turned / (first @ first)
        np.testing.assert_allclose(cosine, np.cos(0.7), atol=40 * eps(dtype))
        assert turned @ plane[i, :, 1].astype(float) >= first @ plane[i, :, 1] * np.cos(0.7) - 1e-5
        outside = rng.standard_normal(size)
        outside -= q[i] @ (q[i].T @ outside)
        np.testing.assert_allclose(r[i] @ outside, outside, atol=100 * size * eps(dtype))
    np.testing.assert_allclose(
        rotation_matrix(0.7, plane=np.eye(size)[:, :2])[:2, :2], rotation_matrix(0.7), atol=1e-15
    )
    if size == 3:
        about = rotation_matrix(0.7, np.cross(plane[0, :, 0].astype(float), plane[0, :, 1].astype(float)))
        np.testing.assert_allclose(r[0], about, atol=100 * eps(dtype))


def test_rotations_that_are_none():
    with pytest.raises(LinAlgError, match="axis is zero"):
        rotation_matrix(1.0, [0.0, 0.0, 0.0])
    with pytest.raises(LinAlgError, match="plane are linearly dependent"):
        rotation_matrix(1.0, plane=[[1.0, 2.0], [1.0, 2.0]])
    with pytest.raises(ValueError, match="not both"):
        rotation_matrix(1.0, [0, 0, 1], plane=np.eye(2))
    with pytest.raises(ValueError, match="vectors of 3 numbers"):
        rotation_matrix(1.0, [0.0, 1.0])
    with pytest.raises(ValueError, match="plane must have shape"):
        rotation_matrix(1.0, plane=np.ones((3, 3)))
    assert np.isnan(rotation_matrix(np.nan)).all()


# ---- transform ----


@every_layout
@every_dtype
def test_transform(layout, dtype, rng):
    for size, to in ((1, 1), (2, 2), (3, 3), (3, 2), (2, 5), (10, 10)):
        points, matrix = rng.standard_normal((57, size)).astype(dtype), rng.standard_normal((to, size)).astype(dtype)
        y = transform(layout(points), layout(matrix))
        assert y.dtype == dtype
        np.testing.assert_allclose(y, points.astype(float) @ matrix.T.astype(float), atol=40 * size * eps(dtype))
        same_bits(y, transform(points, matrix))
        same_bits(transform(points[5], matrix), y[5])
        same_bits(transform(np.stack([points, points]), matrix)[1], y)


def test_transform_leaves_separators_alone(rng):
    drawing = rng.standard_normal((1000, 2))
    gaps = rng.random(1000) < 0.1
    matrix = rng.standard_normal((2, 2))
    clean = transform(drawing, matrix)
    drawing[gaps] = np.nan
    y = transform(drawing, matrix)
    assert np.isnan(y[gaps]).all()
    same_bits(y[~gaps], clean[~gaps])
    y = transform(drawing, matrix, basis=[[1.0, 1.0], [0.0, 2.0]])
    np.testing.assert_array_equal(np.isnan(y).all(axis=1), gaps)
    assert not np.isnan(y[~gaps]).any()


def test_transform_by_homogeneous_matrices(rng):
    points = rng.standard_normal((20, 3))
    a, t = rng.standard_normal((3, 3)), rng.standard_normal(3)
    h = np.block([[a, t[:, None]], [np.zeros((1, 3)), np.ones((1, 1))]])
    np.testing.assert_allclose(transform(points, h), points @ a.T + t, atol=1e-13)
    np.testing.assert_allclose(transform(points[0], h), a @ points[0] + t, atol=1e-13)
    other = transform(transform(points, h), h)
    np.testing.assert_allclose(transform(points, h @ h), other, atol=1e-12)
    stack = transform(points, np.stack([h, np.eye(4)]))
    np.testing.assert_allclose(stack[1], points, atol=1e-15)


def in_homogeneous(points, matrix):
    y = np.concatenate([points, np.ones((len(points), 1))], axis=1) @ matrix.T
    return y[:, :-1] / y[:, -1:]


@every_dtype
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_transform_by_affine_and_projective_matrices(size, dtype, rng):
    """No 2 x 3 affine matrices, no homographies."""
    points = rng.uniform(-1, 1, (30, size)).astype(dtype)
    h = rng.standard_normal((3, size + 1, size + 1)).astype(dtype)
    h[..., -1, :-1] *= dtype(0.1)
    h[..., -1, -1] = 3
    h[1, -1] = 0
    h[1, -1, -1] = 1
    y = transform(points, h)
    assert y.dtype == dtype
    for i in range(3):
        expected = in_homogeneous(points.astype(float), h[i].astype(float))
        np.testing.assert_allclose(y[i], expected, atol=200 * size * eps(dtype))
        same_bits(transform(points, h[i]), y[i])  # alone or beside a matrix of the other kind
        np.testing.assert_allclose(transform(points[4], h[i]), expected[4], atol=200 * size * eps(dtype))
    affine = np.ascontiguousarray(h[1, :-1])
    same_bits(transform(points, affine), y[1])
    np.testing.assert_allclose(
        transform(points, affine), points @ affine[:, :-1].T + affine[:, -1], atol=50 * size * eps(dtype)
    )
    assert transform(points, np.stack([affine, affine])).shape == (2, 30, size)
    # a multiple of a projective matrix is the same map
    np.testing.assert_allclose(transform(points, dtype(2) * h[0]), y[0], atol=10 * eps(dtype))


def test_separators_pass_every_kind_of_matrix(rng):
    drawing = rng.uniform(-1, 1, (50, 2))
    gaps = rng.random(50) < 0.2
    for matrix in (rng.standard_normal((2, 3)), np.vstack([rng.standard_normal((2, 3)), [0.1, 0.2, 5.0]])):
        clean = transform(drawing, matrix)
        broken = drawing.copy()
        broken[gaps] = np.nan
        y = transform(broken, matrix)
        assert np.isnan(y[gaps]).all()
        same_bits(y[~gaps], clean[~gaps])


@pytest.mark.filterwarnings("error")
def test_points_without_an_image():
    h = [[1.0, 0, 0], [0, 1, 0], [1, 0, 0]]
    with np.errstate(all="warn"):
        np.testing.assert_array_equal(transform([[0.0, 3.0], [2.0, 4.0]], h), [[np.nan, np.inf], [1, 2]])
    with pytest.raises(LinAlgError, match="last row of matrix is zero"):
        transform([[0.0, 3.0]], [[1.0, 0, 0], [0, 1, 0], [0, 0, 0]])


def test_a_drawing_with_points_in_columns_is_told_apart_where_it_can_be(rng):
    drawing = rng.standard_normal((2, 57))
    for matrix in (np.eye(2), np.ones((2, 3)), np.eye(3)):
        with pytest.raises(ValueError, match=r"points are rows, and these are 2 points of 57 numbers; pass points.T"):
            transform(drawing, matrix)


def test_transform_in_a_basis(rng):
    points, matrix, basis = rng.standard_normal((9, 3)), rng.standard_normal((3, 3)), rng.standard_normal((3, 3))
    expected = points @ (basis @ matrix @ np.linalg.inv(basis)).T
    np.testing.assert_allclose(transform(points, matrix, basis), expected, atol=1e-11)
    by_hand = change_of_basis(transform(change_of_basis(points, basis), matrix), None, basis)
    np.testing.assert_allclose(by_hand, expected, atol=1e-11)


def test_a_mirror_in_a_gram_schmidt_basis(rng):
    """The lab of the course: the mirror's vectors and its normal made orthonormal, the reflection in that basis."""
    mirror, normal = rng.standard_normal((3, 2)), rng.standard_normal((3, 1))
    basis = mf.linalg.gram_schmidt(np.hstack([mirror, normal])).basis
    t = change_of_basis(np.diag([1.0, 1.0, -1.0]), None, basis, operator=True)
    np.testing.assert_allclose(t, reflection_matrix(basis=mirror), atol=1e-14)
    points = rng.standard_normal((50, 3))
    np.testing.assert_allclose(
        transform(points, np.diag([1.0, 1.0, -1.0]), basis), points @ reflection_matrix(basis[:, 2]), atol=1e-14
    )


# ---- rotations from one vector to another ----


@every_dtype
@pytest.mark.parametrize("size", [2, 3, 4, 10])
def test_rotations_between_vectors(size, dtype, rng):
    """There is no function for "a to b"."""
    a, b = rng.standard_normal((2, 20, size)).astype(dtype)
    r = rotation_matrix(between=(a, b))
    assert r.dtype == dtype
    assert_orthogonal(r, 1.0)
    ua, ub = (v.astype(float) / np.linalg.norm(v.astype(float), axis=-1, keepdims=True) for v in (a, b))
    np.testing.assert_allclose((r @ ua[..., None])[..., 0], ub, atol=8 * eps(dtype))
    for i in range(20):
        same_bits(rotation_matrix(between=(a[i], b[i])), r[i])
        q = np.linalg.qr(np.stack([ua[i], ub[i]], axis=1))[0]
        outside = rng.standard_normal(size)
        outside -= q @ (q.T @ outside)
        np.testing.assert_allclose(r[i] @ outside, outside, atol=200 * size * eps(dtype))
    np.testing.assert_allclose(rotation_matrix(between=(b, a)), r.mT, atol=16 * eps(dtype))
    same_bits(rotation_matrix(between=(a * dtype(2), b * dtype(64))), r)  # of any length
    assert rotation_matrix(between=(a[0], b)).shape == (20, size, size)


@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize("gap", [0, 1e-300, 1e-17, 1e-15, 1e-12, 1e-8, 1e-4])
def test_rotations_between_nearly_parallel_vectors(size, gap, rng):
    """Well-conditioned on both ends: near the identity, and near a half turn, where from a to -a there are many."""
    for _ in range(20):
        a, d = rng.standard_normal((2, size))
        for sign in (1.0, -1.0):
            b = sign * a + gap * d
            r = rotation_matrix(between=(a, b))
            assert_orthogonal(r, 1.0)
            np.testing.assert_allclose(r @ a / np.linalg.norm(a), b / np.linalg.norm(b), atol=2e-15)
            same_bits(r, rotation_matrix(between=(a, b)))
            if gap == 0:
                half = np.sort(np.linalg.eigvals(r).real)
                expected = np.ones(size) if sign > 0 else np.r_[-1.0, -1.0, np.ones(size - 2)]
                np.testing.assert_allclose(half, expected, atol=1e-7)


def test_a_quarter_turn_and_extreme_lengths():
    np.testing.assert_allclose(rotation_matrix(between=([1, 0], [0, 1])), [[0, -1], [1, 0]], atol=1e-16)
    for scale in (5e-324, 1e-300, 1e300, np.finfo(float).max):
        r = rotation_matrix(between=([scale, 0.0, 0.0], [0.0, scale, 0.0]))
        np.testing.assert_allclose(r, [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-15)
    rotation = pytest.importorskip("scipy.spatial.transform").Rotation
    a, b = np.array([1.0, 2, 3]), np.array([-2.0, 0.5, 1])
    axis = np.cross(a, b)
    angle = np.arctan2(np.linalg.norm(axis), a @ b)
    expected = rotation.from_rotvec(axis / np.linalg.norm(axis) * angle).as_matrix()
    np.testing.assert_allclose(rotation_matrix(between=(a, b)), expected, atol=1e-15)


def test_rotations_between_that_are_none():
    for between, error, message in (
        (([0.0, 0.0], [1.0, 0.0]), LinAlgError, r"between\[0\] is zero"),
        (([1.0, 0.0], [[1.0, 0.0], [0.0, 0.0]]), LinAlgError, r"between\[1\] is zero at batch index \(1,\)"),
        (([1.0], [-1.0]), ValueError, r"between\[0\] must hold vectors of 2 or more"),
        (([1.0, 0.0], [1.0, 0.0, 0.0]), ValueError, "not one space"),
        ((np.ones((2, 3)), np.ones((4, 3))), ValueError, "do not broadcast"),
        (([1.0, 0.0],), ValueError, "pair of vectors"),
        (np.eye(2), ValueError, "pair of vectors"),
        (([1.0, 0.0], [1j, 0.0]), TypeError, r"between\[1\] must hold real numbers"),
    ):
        with pytest.raises(error, match=message):
            rotation_matrix(between=between)
    with pytest.raises(ValueError, match="angle or between, not both"):
        rotation_matrix(1.0, between=([1, 0], [0, 1]))
    with pytest.raises(ValueError, match="not both"):
        rotation_matrix(axis=[0, 0, 1], between=([1, 0], [0, 1]))
    with pytest.raises(ValueError, match="give an angle, or between"):
        rotation_matrix()


@pytest.mark.filterwarnings("error")
def test_no_warnings_of_infinite_and_huge_numbers():
    """RuntimeWarnings of NumPy leaked."""
    huge = np.finfo(float).max
    with np.errstate(all="warn"):
        assert np.isnan(rotation_matrix(np.inf)).all()
        assert np.isnan(rotation_matrix([np.inf, np.nan], [0.0, 0.0, 1.0])[:, 0, 0]).all()
        assert np.isnan(rotation_matrix(1.0, [np.inf, 0.0, 1.0])).any()
        assert_orthogonal(rotation_matrix(1.0, [huge, huge, 1.0]), 1.0)
        assert_orthogonal(rotation_matrix(1.0, plane=[[huge, 1.0], [1.0, huge]]), 1.0)
        assert np.isnan(rotation_matrix(1.0, plane=[[np.inf, 1.0], [1.0, 2.0]])).any()
        assert np.isnan(rotation_matrix(between=([np.inf, 1.0], [1.0, 1.0]))).all()
        assert np.isnan(rotation_matrix(between=([np.nan, 1.0], [1.0, 1.0]))).all()
        assert np.isnan(reflection_matrix([np.inf, 1.0])).any()
        assert np.isnan(reflection_matrix(basis=[[np.inf], [1.0]])).any()
        transform([[huge, huge], [np.inf, -np.inf]], [[huge, 1.0, huge], [1.0, huge, 0.0]])
        change_of_basis([huge, np.inf], [[huge, 0.0], [0.0, 1.0]])
        change_of_basis([[huge, np.inf], [0.0, 1.0]], None, [[huge, 0.0], [0.0, 1.0]], operator=True)
        change_of_basis([huge, 1.0], [[np.inf, 0.0], [0.0, 1.0]])


def test_labels_of_coordinates_agree(rng):
    pandas = pytest.importorskip("pandas")
    points = pandas.DataFrame(rng.standard_normal((4, 2)), columns=["x", "y"])
    matrix = pandas.DataFrame(rng.standard_normal((2, 2)), index=["x", "y"], columns=["x", "y"])
    np.testing.assert_allclose(transform(points, matrix), points.to_numpy() @ matrix.to_numpy().T)
    np.testing.assert_allclose(change_of_basis(points, matrix), change_of_basis(points.to_numpy(), matrix.to_numpy()))
    with pytest.raises(ValueError, match="labels of matrix are not those of points"):
        transform(points, matrix[["y", "x"]])
    with pytest.raises(ValueError, match="labels of basis are not those of points"):
        transform(points, np.eye(2), matrix[::-1])
    with pytest.raises(ValueError, match="labels of basis are not those of x"):
        change_of_basis(points, matrix[::-1])
    with pytest.raises(ValueError, match=r"labels of between\[1\] are not those"):
        rotation_matrix(between=(points.iloc[0], points.iloc[1][::-1]))


@every_layout
@every_dtype
@pytest.mark.parametrize("size", [3, 9, 40])
def test_bits_do_not_depend_on_the_layout(size, layout, dtype, rng):
    """The bits depended on the layout."""
    n, other = rng.standard_normal((2, 6, size)).astype(dtype)
    basis = rng.standard_normal((6, size, 2)).astype(dtype)
    same_bits(reflection_matrix(layout(n)), reflection_matrix(n))
    same_bits(reflection_matrix(basis=layout(basis)), reflection_matrix(basis=basis))
    same_bits(rotation_matrix(0.5, plane=layout(basis)), rotation_matrix(0.5, plane=basis))
    same_bits(rotation_matrix(0.5, layout(n[:, :3])), rotation_matrix(0.5, n[:, :3]))
    same_bits(rotation_matrix(between=(layout(n), layout(other))), rotation_matrix(between=(n, other)))
    for i in range(6):
        same_bits(reflection_matrix(layout(n[i])), reflection_matrix(n)[i])
        same_bits(rotation_matrix(between=(layout(n[i]), other[i])), rotation_matrix(between=(n, other))[i])


# ---- laws ----

coordinate = st.floats(-1e3, 1e3, allow_subnormal=False)


@settings(max_examples=100)
@given(angle=st.floats(-20, 20), other=st.floats(-20, 20), axis=st.tuples(coordinate, coordinate, coordinate))
def test_rotations_compose(angle, other, axis):
    if max(map(abs, axis)) == 0:
        return
    product = mf.linalg.matmul(rotation_matrix(angle, axis), rotation_matrix(other, axis))
    np.testing.assert_allclose(product, rotation_matrix(angle + other, axis), atol=3e-14)
    np.testing.assert_allclose(rotation_matrix(-angle, axis), rotation_matrix(angle, axis).T, atol=1e-15)


@settings(max_examples=100)
@given(st.integers(1, 6), st.integers(0, 2**31))
def test_two_reflections_are_a_rotation(size, seed):
    rng = np.random.default_rng(seed)
    one, two = reflection_matrix(rng.standard_normal((2, size)))
    assert_orthogonal(one @ two, 1.0, factors=3)
    np.testing.assert_allclose(one @ one, np.eye(size), atol=20 * size * eps(float))


# ---- arguments ----


def test_bad_arguments():
    for call in (
        lambda: transform(np.ones((3, 2), complex), np.eye(2)),
        lambda: transform(np.ones((3, 2)), np.eye(2, dtype=complex)),
        lambda: change_of_basis(np.ones(2, complex), np.eye(2)),
        lambda: reflection_matrix(np.ones(2, complex)),
        lambda: rotation_matrix(1j),
    ):
        with pytest.raises(TypeError, match="real numbers"):
            call()
    for call, message in (
        (lambda: transform(np.ones((3, 2)), np.eye(5)), r"do not fit"),
        (lambda: transform(1.0, np.eye(2)), "too few dimensions"),
        (lambda: transform(np.ones((3, 2)), np.eye(3), np.eye(2)), "in a basis"),
        (lambda: change_of_basis(1.0, np.eye(2)), "got a number"),
        (lambda: change_of_basis(np.ones(3), np.eye(2)), "basis of shape"),
        (lambda: change_of_basis(np.ones((3, 2)), np.stack([np.eye(2)] * 4)), "do not fit"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(LinAlgError, match="must be equal"):
        change_of_basis(np.ones((2, 3)), np.eye(3), operator=True)
    with pytest.raises(LinAlgError, match="must be equal"):
        change_of_basis(np.ones(2), np.ones((2, 3)))
    assert transform([[1, 2]], [[0, 1], [1, 0]]).dtype == np.float64
    assert transform(np.ones((0, 2)), np.eye(2)).shape == (0, 2)
