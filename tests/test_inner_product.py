"""inner, norm, distance, angle, scalar_projection, reconstruction_error, is_inner_product: against extended precision,
and the laws of inner products.
"""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from cases import every_dtype, every_layout, hilbert, same_bits, spd
from hypothesis import given, settings
from hypothesis import strategies as st

import mmlfast as mf
from mmlfast._reference import inner_product as reference

g = mf.geometry
# In lanes, at the limits of registers, at the limit of the lanes, by rows.
DIMENSIONS = (1, 2, 3, 4, 5, 8, 17, 64, 65, 97, 300)
every_dimension = pytest.mark.parametrize("d", DIMENSIONS)
PAIRS = {"inner": g.inner, "distance": g.distance, "angle": g.angle, "scalar_projection": g.scalar_projection}
every_pair = pytest.mark.parametrize("name", PAIRS)


def unit(dtype):
    return float(np.finfo(dtype).eps) / 2


def long(x):
    return np.asarray(x).astype(np.longdouble)


@every_dimension
@every_dtype
@pytest.mark.parametrize("count", [1, 7, 8, 17, 600])
def test_agrees_with_the_reference(count, dtype, d, rng):
    x, y = (rng.standard_normal((count, d)).astype(dtype) for _ in range(2))
    u = unit(dtype)
    lengths = reference.norm(long(x)) * reference.norm(long(y))
    for got, right, scale, bound in (
        (g.inner(x, y), reference.inner(long(x), long(y)), lengths, d),
        (g.norm(x), reference.norm(long(x)), reference.norm(long(x)), d / 2 + 2),
        (g.distance(x, y), reference.distance(long(x), long(y)), reference.distance(long(x), long(y)), d / 2 + 3),
        (g.angle(x, y), reference.angle(long(x), long(y)), 1, d / 2 + 8),
    ):
        assert got.dtype == dtype
        assert got.shape == (count,)
        assert (np.abs(got - right) <= bound * u * scale).all()


@every_pair
@every_dtype
@pytest.mark.parametrize("d", [3, 20, 80])
def test_the_batch_and_the_layout_change_no_bit(d, dtype, name, rng):
    x, y = (rng.standard_normal((40, d)).astype(dtype) for _ in range(2))
    many = PAIRS[name](x, y)
    for i in (0, 8, 39):
        same_bits(np.asarray(PAIRS[name](x[i], y[i])), many[i])
    same_bits(PAIRS[name](x[:, None], y)[3], PAIRS[name](x[3], y))
    same_bits(PAIRS[name](x, y[5])[7], PAIRS[name](x[7], y[5]))


@every_layout
@every_dtype
@pytest.mark.parametrize("d", [3, 80])
def test_every_layout(layout, dtype, d, rng):
    x, y = (rng.standard_normal((40, d)).astype(dtype) for _ in range(2))
    for f in PAIRS.values():
        same_bits(f(layout(x), layout(y)), f(x, y))
    same_bits(g.norm(layout(x)), g.norm(x))
    metric = spd(rng, d)
    same_bits(g.norm(layout(x), layout(metric)), g.norm(x, metric))


@pytest.mark.parametrize("kind", ["matrix", "weights", "stack"])
@every_dtype
def test_metric(dtype, kind, rng):
    d = 5
    metric = {"matrix": spd(rng, d), "weights": rng.uniform(0.5, 2, d), "stack": np.stack([spd(rng, d)] * 20)}[kind]
    m = long(np.diag(metric) if kind == "weights" else metric)
    x, y = (rng.standard_normal((20, d)).astype(dtype) for _ in range(2))

    def product(a, b):
        return ((long(a)[:, None] @ m)[:, 0] * long(b)).sum(axis=-1)

    near = {"rtol": 1e-11 if dtype == np.float64 else 1e-5, "atol": 1e-11 if dtype == np.float64 else 1e-4}
    length = np.sqrt(product(x, x))
    cosine = product(x, y) / length / np.sqrt(product(y, y))
    for got, right in (
        (g.inner(x, y, metric), product(x, y)),
        (g.norm(x, metric), length),
        (g.distance(x, y, metric), np.sqrt(product(long(x) - y, long(x) - y))),
        (g.angle(x, y, metric), np.arccos(cosine)),
        (g.scalar_projection(x, y, metric), product(x, y) / np.sqrt(product(y, y))),
    ):
        assert got.dtype == dtype
        np.testing.assert_allclose(got, right.astype(float), **near)


def test_products_of_integers_are_exact_with_a_metric():
    assert g.inner([1, 2], [3, 4], [[2, 1], [1, 2]]) == 32


@pytest.mark.parametrize("d", [2, 100])
@pytest.mark.parametrize("scale", [1e200, 1e-200, 1e308 / 10, 5e-324])
def test_no_overflow_and_no_underflow(scale, d):
    x = np.zeros(d)
    x[:2] = 3 * scale, 4 * scale
    right = 5 * scale if scale > 1e-300 else 25e-324
    assert g.norm(x) == pytest.approx(right, rel=1e-15)
    assert g.distance(x, np.zeros(d)) == g.norm(x)
    assert g.angle(x, np.full(d, 1e-300)) == pytest.approx(g.angle(x / scale, np.ones(d)), rel=1e-15)
    assert g.scalar_projection(np.ones(d), x) == pytest.approx(1.4, rel=1e-15)


def test_float32_does_not_overflow():
    assert g.norm(np.full(4, 1e38, np.float32)) == np.float32(2e38)
    assert g.norm(np.full(4, 1e-44, np.float32)) == np.float32(2e-44)
    one = np.ones(10**6, np.float32) * np.float32(0.1)
    assert g.inner(one, one) == np.float32(float(np.float32(0.1)) ** 2 * 1e6)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.bool_, np.uint64])
def test_integers_do_not_wrap(dtype):
    x, y = np.array([0, 1, 0], dtype), np.array([1, 0, 1], dtype)
    assert g.distance(x, y) == np.sqrt(3)
    assert g.distance(x, y, np.eye(3)) == np.sqrt(3)
    assert g.norm(np.full(4, 200, np.uint8)) == 400


@pytest.mark.parametrize("tilt", [1e-3, 1e-8, 1e-12, 1e-15])
@pytest.mark.parametrize("d", [3, 70])
def test_angles_that_the_arc_cosine_loses(tilt, d, rng):
    x = rng.standard_normal(d)
    x /= np.linalg.norm(x)
    y = rng.standard_normal(d)
    y -= x * (x @ y)
    y = x + tilt * y / np.linalg.norm(y)
    with mpmath.workdps(60):
        a, b = [mpmath.mpf(v) for v in x], [mpmath.mpf(v) for v in y]
        cosine = mpmath.fdot(a, b) / mpmath.sqrt(mpmath.fdot(a, a) * mpmath.fdot(b, b))
        right = float(mpmath.acos(cosine))
    assert abs(g.angle(x, 3 * y) - right) < 1e-15
    assert abs(np.pi - g.angle(-x, 3 * y) - right) < 2e-15


def test_angles_that_are_known():
    assert g.angle([1.0, 0], [0, 2.0]) == np.pi / 2
    assert g.angle([1.0, 2], [2.0, 4]) == 0
    assert g.angle([1.0, 2], [-1.0, -2]) == np.pi
    assert g.angle([1.0, 0], [1.0, 1.0]) == pytest.approx(np.pi / 4, abs=2e-16)
    assert g.angle(np.float32([1, 0]), np.float32([0, 1])).dtype == np.float32


@pytest.mark.parametrize("d", [1, 2, 3, 80])
def test_a_zero_vector_has_no_angle(d):
    x = np.ones((3, 4, d))
    x[1, 2] = 0
    with pytest.raises(ValueError, match=r"angle: x must not be the zero vector.*vector 1, 2 of x"):
        g.angle(x, np.ones(d))
    with pytest.raises(ValueError, match=r"angle: y must not be the zero vector"):
        g.angle(np.ones(d), np.zeros(d))
    with pytest.raises(ValueError, match=r"scalar_projection: onto must not be the zero vector.*vector 1, 2 of onto"):
        g.scalar_projection(np.ones(d), x)
    got = g.angle(x, np.ones(d), errors="nan")
    assert np.isnan(got[1, 2])
    assert np.isnan(got).sum() == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("d", [3, 70])
def test_not_a_number_stays_in_its_item(bad, d, rng):
    x, y = rng.standard_normal((2, 20, d))
    for position in (0, d - 1):
        poisoned = x.copy()
        poisoned[7, position] = bad
        for f in PAIRS.values():
            got, clean = f(poisoned, y), f(x, y)
            assert not np.isfinite(got[7])
            same_bits(np.delete(got, 7), np.delete(clean, 7))
        assert g.norm(poisoned)[7] == np.inf if np.isinf(bad) else np.isnan(g.norm(poisoned)[7])


def test_shapes():
    assert g.inner(np.ones((4, 1, 3)), np.ones((5, 3))).shape == (4, 5)
    assert np.ndim(g.norm(np.ones(3))) == 0
    assert g.norm(np.ones((0, 3))).shape == (0,)
    assert g.norm(np.ones((2, 0))).tolist() == [0, 0]
    for f in PAIRS.values():
        with pytest.raises(ValueError, match=r"has shape \(3,\).*has shape \(4,\).*last axes must be equal"):
            f(np.ones(3), np.ones(4))
        with pytest.raises(ValueError, match="in its last axis"):
            f(1.0, np.ones(4))
        with pytest.raises(ValueError, match="fit together"):
            f(np.ones((2, 3)), np.ones((4, 3)))
        with pytest.raises(ValueError, match=r"metric must have shape \(3, 3\) or \(3,\)"):
            f(np.ones(3), np.ones(3), np.eye(4))
        with pytest.raises(TypeError, match="x must hold real numbers"):
            f(np.ones(3) * 1j, np.ones(3))
    with pytest.raises(ValueError, match="norm: x must hold vectors in its last axis"):
        g.norm(1.0)
    with pytest.raises(ValueError, match="errors must be"):
        g.angle(np.ones(3), np.ones(3), errors="ignore")
    with pytest.raises(ValueError, match="leading axes do not broadcast"):
        g.norm(np.ones((4, 3)), np.stack([np.eye(3)] * 5))


@pytest.mark.parametrize("d", [2, 3, 40, 100])
def test_products_whose_sum_is_in_range(d):
    """Terms and partial sums overflow; NumPy gives NaN or infinity."""
    x, y = np.zeros(d), np.zeros(d)
    x[:2], y[:2] = (2.0**600, 2.0**600), (2.0**500, -(2.0**499))
    assert g.inner(x, y) == np.inf
    y[1] = -(2.0**500)
    assert g.inner(x, y) == 0
    x[:2], y[:2] = (2.0**512, 3 * 2.0**511), (2.0**512, -(2.0**512) / 2)
    assert g.inner(x, y) == 2.0**1022
    assert g.inner(np.stack([x, np.ones(d)]), np.stack([y, np.ones(d)])).tolist() == [2.0**1022, d]
    assert np.isnan(g.inner([np.inf, 1], [0, 1]))
    assert g.inner([np.inf, 1], [1, 1]) == np.inf


@pytest.mark.parametrize("d", [3, 40, 100])
def test_components_whose_sum_is_in_range(d):
    x, y = np.zeros(d), np.zeros(d)
    x[:3], y[:3] = (2.0**1023, 2.0**1023, -(2.0**1023)), 2.0**-1000
    right = [2.0**1023 / np.sqrt(3), np.sqrt(d)]
    got = g.scalar_projection(np.stack([x, np.ones(d)]), np.stack([y, np.ones(d)]))
    np.testing.assert_allclose(got, right, rtol=1e-14)
    assert g.scalar_projection(x[:0], y[:0]) == 0


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_metrics_of_any_unit(scale):
    x, y = np.array([1.0, 2]), np.array([3.0, -1])
    metric = np.array([[2.0, 1], [1, 3]])
    assert g.inner(x / scale, y, scale * metric) == pytest.approx(g.inner(x, y, metric), rel=1e-14)
    assert g.norm(x, scale * metric) == pytest.approx(np.sqrt(scale) * g.norm(x, metric), rel=1e-14)
    assert g.inner(x * 1e200, y * 1e-100, 1e-100 * metric) == pytest.approx(g.inner(x, y, metric), rel=1e-14)


def test_metrics_of_very_different_units():
    """Each coordinate in units of its own: no term may vanish."""
    x, y = np.array([1e-150, 1e150]), np.array([2e-150, 3e150])
    for metric in (np.array([1e300, 1e-300]), np.diag([1e300, 1e-300])):
        assert g.inner(x, y, metric) == pytest.approx(5, rel=1e-14)
        assert g.norm(x, metric) == pytest.approx(np.sqrt(2), rel=1e-14)
    stack = np.stack([1e300 * np.eye(2), 1e-300 * np.eye(2)])
    got = g.inner([[1e-150, 0], [0, 1e150]], [[1e-150, 1], [1, 1e150]], stack)
    np.testing.assert_allclose(got, [1, 1], rtol=1e-14)
    narrow = g.project(np.float32([1e-20, 1e20]), np.float32([1e-20, 1e20]), np.array([1e40, 1e-40]))
    np.testing.assert_allclose(narrow, np.float32([1e-20, 1e20]), rtol=1e-6)


@pytest.mark.parametrize("kind", ["matrix", "weights", "covariance"])
@every_dtype
@pytest.mark.parametrize("d", [3, 40])
def test_exchanging_the_vectors_changes_no_bit(d, dtype, kind, rng):
    """So that a matrix of inner products is symmetric, with nothing negative on its diagonal."""
    matrix = spd(rng, d)
    metric = {"matrix": matrix, "weights": rng.uniform(0.5, 2, d), "covariance": g.Mahalanobis(matrix)}[kind]
    x = rng.standard_normal((12, d)).astype(dtype)
    for f in (g.inner, g.distance, g.angle):
        table = f(x[:, None], x, metric)
        same_bits(table, table.T.copy())
    assert (np.diagonal(g.inner(x[:, None], x, metric)) > 0).all()
    assert (np.diagonal(g.distance(x[:, None], x, metric)) == 0).all()
    assert (np.diagonal(g.angle(x[:, None], x, metric)) == 0).all()


def test_labels_of_vectors():
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame(np.random.default_rng(0).standard_normal((4, 3)), columns=list("abc"))
    vector = pd.Series([1.0, 2, 3], index=list("abc"))
    for f in PAIRS.values():
        same_bits(f(table, vector), f(table.to_numpy(), vector.to_numpy()))
        for wrong in (vector[list("bca")], table[list("bca")], table[::-1]):
            with pytest.raises(ValueError, match=r"the labels of (y|onto) are not those of x"):
                f(table, wrong)
        with pytest.raises(ValueError, match="the labels of metric are not those of x"):
            f(table, vector, vector[list("bca")])
    with pytest.raises(ValueError, match="the labels of metric are not those of x"):
        g.norm(table, vector[list("bca")])


def test_names_are_not_for_vectors():
    for f in PAIRS.values():
        with pytest.raises(ValueError, match=r"metric must be a symmetric positive definite matrix.* got 'cosine'"):
            f(np.ones(3), np.ones(3), "cosine")


# ---- reconstruction_error ----


@every_dtype
def test_reconstruction_error_of_points_near_the_span(dtype, rng):
    """By Pythagoras nothing would be left of them."""
    basis = np.linalg.qr(rng.standard_normal((20, 5)))[0]
    inside, outside = basis[:, :3].astype(dtype), basis[:, 3]
    for height in (1.0, 1e-4, 1e-10):
        points = (rng.standard_normal((50, 3)) @ inside.T).astype(np.float64) + height * outside
        got = g.reconstruction_error(points, inside.astype(np.float64))
        np.testing.assert_allclose(got, height, atol=3e-15 if dtype == np.float64 else 1e-6)
    assert g.reconstruction_error(points.astype(dtype), inside).dtype == dtype
    assert np.ndim(g.reconstruction_error(points[0], inside)) == 0


@pytest.mark.parametrize("kind", ["none", "matrix", "weights"])
def test_reconstruction_error_is_the_distance(kind, rng):
    metric = {"none": None, "matrix": spd(rng, 6), "weights": rng.uniform(0.5, 2, 6)}[kind]
    x, basis = rng.standard_normal((30, 6)), rng.standard_normal((6, 2))
    right = g.distance(x, g.project(x, basis, metric), metric)
    np.testing.assert_allclose(g.reconstruction_error(x, basis, metric), right, rtol=1e-12)
    with pytest.raises(ValueError, match="reconstruction_error: x has shape"):
        g.reconstruction_error(x[:, :5], basis, metric)


@every_dtype
@pytest.mark.parametrize(("d", "m"), [(1, 1), (3, 2), (5, 0), (8, 3), (13, 4), (64, 8), (200, 30)])
def test_reconstruction_error_in_one_reading(d, m, dtype, rng):
    basis, x = rng.standard_normal((d, m)).astype(dtype), rng.standard_normal((75, d)).astype(dtype)
    q = np.linalg.qr(basis.astype(np.float64))[0].astype(np.longdouble)
    rest = x - (x @ q) @ q.T
    right = np.sqrt(((rest - (rest @ q) @ q.T) ** 2).sum(axis=1))
    got = g.reconstruction_error(x, basis)
    assert got.dtype == dtype
    error = 40 * np.finfo(np.float64).eps + np.finfo(dtype).eps / 2 * (dtype == np.float32)
    np.testing.assert_allclose(got, right, rtol=error, atol=40 * 2e-16 * np.sqrt(d))
    for points in (np.asfortranarray(x), np.repeat(x, 2, axis=0)[::2], x[::-1][::-1]):
        same_bits(g.reconstruction_error(points, basis), got)
    assert g.reconstruction_error(x[5], basis) == got[5]
    stack = np.stack([basis, basis + 1])
    np.testing.assert_allclose(g.reconstruction_error(x, stack[:, None])[0], got, rtol=1e-5, atol=1e-12)


@every_dtype
@pytest.mark.parametrize(("d", "m"), [(20, 1), (64, 8), (64, 9), (300, 5), (300, 40)])
def test_reconstruction_error_of_what_is_nearly_nothing(d, m, dtype, rng):
    """Rows in the span, of which rounding is all that is left, beside others; at the ends of the range too."""
    basis = rng.standard_normal((d, m)).astype(dtype)
    x = (rng.standard_normal((75, m)).astype(dtype) @ basis.T).astype(dtype)
    x[::3] += (1e-6 * rng.standard_normal((25, d))).astype(dtype)
    x[7], x[20] = 0, rng.standard_normal(d)
    x[40] = basis[:, 0] * dtype(4)
    q = basis.astype(np.longdouble)
    for j in range(m):
        for _ in range(2):
            q[:, j] -= q[:, :j] @ (q[:, :j].T @ q[:, j])
        q[:, j] /= np.sqrt((q[:, j] ** 2).sum())
    rest = x - (x @ q) @ q.T
    right = np.sqrt((rest**2).sum(axis=1))
    length = np.sqrt((x.astype(np.longdouble) ** 2).sum(axis=1))
    got = g.reconstruction_error(x, basis)
    assert got[7] == 0
    narrow = np.finfo(dtype).eps / 2 * right if dtype == np.float32 else 0
    assert (np.abs(got - right) <= 16 * 2.0**-53 * length + narrow).all()
    if dtype == np.float64:
        for exponent in (-1000, -500, *range(-453, -447), -300, 490, 900):
            scaled = g.reconstruction_error(np.ldexp(x, exponent), basis)
            np.testing.assert_allclose(scaled, np.ldexp(got, exponent), rtol=1e-12, atol=np.ldexp(1e-14, exponent))


@pytest.mark.parametrize(("d", "m"), [(20, 1), (64, 8), (64, 9), (250, 3), (4000, 1), (3000, 12)])
def test_reconstruction_error_at_every_height_above_the_span(d, m, rng):
    """What rounding leaves of the span in the residual is taken off where it counts: alone up to 40 units here."""
    basis = rng.uniform(0.5, 1, (d, m))
    q = basis.astype(np.longdouble)
    for j in range(m):
        for _ in range(2):
            q[:, j] -= q[:, :j] @ (q[:, :j].T @ q[:, j])
        q[:, j] /= np.sqrt((q[:, j] ** 2).sum())
    x = rng.uniform(0.5, 1, (75, m)) @ basis.T
    x += np.exp2(-np.arange(75.0))[:, None] * rng.standard_normal((75, d))
    wide = x.astype(np.longdouble)
    rest = wide - (wide @ q) @ q.T
    right = np.sqrt(((rest - (rest @ q) @ q.T) ** 2).sum(axis=1))
    length = np.sqrt((wide**2).sum(axis=1))
    assert right.min() < 2.0**-50 * length[-1]
    assert (np.abs(g.reconstruction_error(x, basis) - right) <= 2.0**-53 * (length + 16 * right)).all()
    order = rng.permutation(75)  # each point for itself, whatever its neighbours are
    same_bits(g.reconstruction_error(x[order], basis), g.reconstruction_error(x, basis)[order])


@pytest.mark.parametrize("d", [300, 4096, 65536, 300_000])
def test_reconstruction_error_where_all_roundings_have_one_sign(d, rng):
    """As in sums of numbers that are all equal but one: more of the span is left the more components there are."""
    basis, level = np.ones((d, 1)), rng.uniform(0.1, 1, (20, 1))
    x = np.broadcast_to(level, (20, d)).copy()
    x[:, d // 3] *= 1 + 2.0**-35 * np.sqrt(d)
    wide = x.astype(np.longdouble)
    rest = wide - wide.mean(axis=1, keepdims=True)
    right = np.sqrt(((rest - rest.mean(axis=1, keepdims=True)) ** 2).sum(axis=1))
    length = np.sqrt((wide**2).sum(axis=1))
    assert (np.abs(g.reconstruction_error(x, basis) - right) <= 2.0**-51 * length).all()


@pytest.mark.parametrize("d", [20, 200, 300, 4096])
def test_reconstruction_error_of_what_is_in_the_span(d, rng):
    """All of the residual is in the span, so the difference of the squares is nothing, or less."""
    basis, level = np.ones((d, 1)), rng.uniform(0.1, 1, (300, 1))
    x = np.broadcast_to(level, (300, d)).copy()
    g.reconstruction_error(np.ldexp(rng.standard_normal((300, d)), 700), basis)  # what is left in the scratch memory
    assert (g.reconstruction_error(x, basis) <= 2.0**-51 * np.sqrt(d) * level[:, 0]).all()


@pytest.mark.parametrize(("d", "m"), [(3, 1), (20, 3), (40, 9)])
def test_reconstruction_error_where_squares_just_overflow(d, m, rng):
    q = np.linalg.qr(rng.standard_normal((d, m)))[0]
    x = rng.standard_normal((5000, d))
    for _ in range(2):
        x -= x @ q @ q.T
    x += 1e-8 * rng.standard_normal((5000, m)) @ q.T
    largest = np.sqrt(np.finfo(float).max)
    x *= (largest / np.sqrt((x**2).sum(axis=1)))[:, None]
    np.testing.assert_allclose(g.reconstruction_error(x, q), largest, rtol=1e-12)


@pytest.mark.parametrize("kind", ["none", "matrix", "weights"])
def test_residuals_are_orthogonal_in_the_metric(kind, rng):
    metric = {"none": None, "matrix": spd(rng, 6), "weights": rng.uniform(0.5, 2, 6)}[kind]
    x, basis = rng.standard_normal((30, 6)), rng.standard_normal((6, 2))
    residual = x - g.project(x, basis, metric)
    np.testing.assert_allclose(g.inner(residual[:, None], basis.T, metric), 0, atol=1e-12)
    component = g.scalar_projection(x, basis[:, 0], metric)
    along = g.project(x, basis[:, :1], metric)
    np.testing.assert_allclose(np.abs(component), g.norm(along, metric), rtol=1e-12)


# ---- is_inner_product ----


def test_is_inner_product(rng):
    assert g.is_inner_product(spd(rng, 7)) is True
    assert g.is_inner_product(np.eye(3)) is True
    assert g.is_inner_product([1.0, 2.0]) is True
    assert g.is_inner_product([1.0, 0.0]) is False
    assert g.is_inner_product(np.triu(np.ones((3, 3)))) is False
    assert g.is_inner_product(np.diag([1.0, 0.0])) is False
    assert g.is_inner_product(np.diag([1.0, -1e-9])) is False
    assert g.is_inner_product([[np.nan]]) is False
    assert g.is_inner_product(np.stack([np.eye(2), -np.eye(2)])).tolist() == [True, False]
    assert g.is_inner_product(hilbert(8)) is True
    assert g.is_inner_product(np.ones((3, 3))) is False
    with pytest.raises(ValueError, match="is_inner_product: metric must hold square matrices"):
        g.is_inner_product(np.ones((2, 3)))


def test_integers_are_decided_exactly():
    big = 10**8
    assert g.is_inner_product([[big, big + 1], [big + 1, big + 2]]) is False  # determinant -1
    assert g.is_inner_product([[big, big - 1], [big - 1, big - 2]]) is False
    assert g.is_inner_product([[big, big + 1], [big + 1, big + 3]]) is True
    assert g.is_inner_product([[4, 6], [6, 9]]) is False


# ---- laws ----

vectors = st.lists(st.floats(-1e100, 1e100, allow_subnormal=False), min_size=3, max_size=3).map(np.array)


@given(vectors, vectors)
@settings(deadline=None)
def test_laws(x, y):
    assert g.inner(x, y) == g.inner(y, x)
    assert g.distance(x, y) == g.distance(y, x)
    assert g.distance(x, x) == 0
    assert g.norm(x + y) <= (g.norm(x) + g.norm(y)) * (1 + 1e-15)
    assert abs(g.inner(x, y)) <= g.norm(x) * g.norm(y) * (1 + 1e-15)
    if x.any() and y.any():
        assert g.angle(x, y) == g.angle(y, x)
        assert abs(g.angle(x, y) + g.angle(-x, y) - np.pi) < 4e-15
        assert g.angle(x, x) == 0
        assert g.angle(4 * x, y) == g.angle(x, y)


def test_same_bits_at_every_level(same_at_every_level):
    same_at_every_level(
        """
        import numpy as np, mmlfast as mf
        rng = np.random.default_rng(5)
        for dtype in (np.float64, np.float32):
            for d in (3, 20, 90):
                x, y = rng.standard_normal((2, 50, d)).astype(dtype)
                g = mf.geometry
                digest(g.inner(x, y), g.norm(x), g.distance(x, y), g.angle(x, y))
        """
    )
