"""project and projection_matrix against the reference, extended precision, and the laws of projections."""

from __future__ import annotations

import numpy as np
import pytest
from cases import every_batch_size, every_dtype, every_layout, hilbert, poisoned, same_bits, spd, within
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.linalg import LinAlgError

import mmlfast as mf
from mmlfast._reference import projection as reference

# Dimensions and vectors: in lanes, at their limit, beyond.
SIZES = [(1, 1), (2, 1), (3, 2), (3, 3), (8, 5), (16, 16), (32, 7), (33, 4), (40, 33), (140, 12), (400, 3)]
METRICS = ("none", "matrix", "weights")

every_size = pytest.mark.parametrize(("d", "m"), SIZES)
every_metric = pytest.mark.parametrize("kind", METRICS)


def unit(dtype):
    return float(np.finfo(dtype).eps) / 2


def metric_of(kind, rng, d):
    return {"none": None, "matrix": spd(rng, d) / d + np.eye(d), "weights": rng.uniform(0.5, 2, d)}[kind]


def well_conditioned(rng, d, m):
    return (
        np.linalg.qr(rng.standard_normal((d, m)))[0] * rng.uniform(0.5, 2, m) @ (np.eye(m) + 0.1 * np.tri(m, k=-1) / m)
    )


@every_size
@every_metric
@every_dtype
@within("points", [1, 7, 8, 17, 600])
def test_agrees_with_the_reference(points, dtype, kind, d, m, rng):
    if d > 100 and points not in (7, 600):
        pytest.skip("the reference takes its time")
    basis, x = well_conditioned(rng, d, m).astype(dtype), rng.standard_normal((points, d)).astype(dtype)
    metric = metric_of(kind, rng, d)
    wide = basis.astype(np.float64)
    near = {"rtol": 0, "atol": 60 * (d + m) * unit(dtype) * np.abs(x).max()}
    y = mf.geometry.project(x, basis, metric)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, reference.project(x, wide, metric), **near)
    c = mf.geometry.project(x, basis, metric, coordinates=True)
    assert c.dtype == dtype
    np.testing.assert_allclose(c, reference.coordinates(x, wide, metric), **near)
    p = mf.geometry.projection_matrix(basis, metric)
    assert p.dtype == dtype
    np.testing.assert_allclose(p, reference.projection_matrix(wide, metric), **near)


@every_dtype
@every_metric
@every_batch_size
def test_a_basis_for_every_point(batch, kind, dtype, rng):
    d, m = 6, 2
    bases, x = rng.standard_normal((batch, d, m)).astype(dtype), rng.standard_normal((batch, d)).astype(dtype)
    metric = metric_of(kind, rng, d)
    for coordinates in (False, True):
        got = mf.geometry.project(x, bases, metric, coordinates=coordinates)
        assert got.shape == (batch, m if coordinates else d)
        for i in range(batch):
            same_bits(got[i], mf.geometry.project(x[i], bases[i], metric, coordinates=coordinates))
    matrices = mf.geometry.projection_matrix(bases, metric)
    assert matrices.shape == (batch, d, d)
    for i in range(batch):
        same_bits(matrices[i], mf.geometry.projection_matrix(bases[i], metric))


@every_size
@every_dtype
def test_a_point_has_the_same_bits_in_every_batch(d, m, dtype, rng):
    basis, x = rng.standard_normal((d, m)).astype(dtype), rng.standard_normal((50, d)).astype(dtype)
    for coordinates in (False, True) if m <= d else (False,):
        many = mf.geometry.project(x, basis, coordinates=coordinates)
        same_bits(many[:9], mf.geometry.project(x[:9], basis, coordinates=coordinates))
        same_bits(many[7], mf.geometry.project(x[7], basis, coordinates=coordinates))


@every_dtype
@pytest.mark.parametrize(("d", "m"), [(2, 1), (3, 2), (3, 3), (4, 2), (5, 2), (17, 3), (64, 8), (130, 20)])
def test_points_in_a_row_have_the_bits_of_single_ones(d, m, dtype, rng):
    basis, x = rng.standard_normal((d, m)).astype(dtype), rng.standard_normal((77, d)).astype(dtype)
    alone = np.array([mf.geometry.project(point, basis) for point in x])
    gaps = np.zeros((77, d + 1), dtype)
    gaps[:, :d] = x
    for points in (x, gaps[:, :d], np.asfortranarray(x)):
        same_bits(mf.geometry.project(points, basis), alone)
    into = np.full((78, d + 1), 7, dtype)  # nothing beside the result is written
    q = np.linalg.qr(basis)[0]
    mf._core.projection_apply(x, q, q, out=into[:77, :d])
    same_bits(into[:77, :d], np.asarray(mf._core.projection_apply(x, q, q)))
    assert (into[:, d] == 7).all()
    assert (into[77] == 7).all()


def test_shapes_broadcast(rng):
    x, basis = rng.standard_normal((5, 3)), rng.standard_normal((4, 1, 3, 2))
    got = mf.geometry.project(x, basis)
    assert got.shape == (4, 5, 3)
    for i in range(4):
        same_bits(got[i], mf.geometry.project(x, basis[i, 0]))
    assert mf.geometry.project(x[0], basis).shape == (4, 1, 3)
    assert mf.geometry.project(x, basis, coordinates=True).shape == (4, 5, 2)
    large = rng.standard_normal((3, 50, 2))
    points = rng.standard_normal((3, 50))
    got = mf.geometry.project(points, large)
    for i in range(3):
        same_bits(got[i], mf.geometry.project(points[i], large[i]))


@every_layout
@every_dtype
@pytest.mark.parametrize("d", [5, 40])
def test_every_layout(layout, dtype, d, rng):
    x, basis, metric = rng.standard_normal((60, d)), rng.standard_normal((d, 3)), spd(rng, d)
    x, basis = x.astype(dtype), basis.astype(dtype)
    for kind in (None, metric):
        strange = None if kind is None else layout(kind)
        same_bits(mf.geometry.project(layout(x), layout(basis), strange), mf.geometry.project(x, basis, kind))
        same_bits(mf.geometry.projection_matrix(layout(basis), strange), mf.geometry.projection_matrix(basis, kind))
    same_bits(
        mf.geometry.project(layout(x), layout(basis), coordinates=True), mf.geometry.project(x, basis, coordinates=True)
    )
    stack = np.stack([basis, 2 * basis, basis + 1])
    same_bits(mf.geometry.project(layout(x[:3]), layout(stack)), mf.geometry.project(x[:3], stack))


@pytest.mark.parametrize("shape", [(0, 3), (2, 0, 3)], ids=str)
def test_no_points(shape):
    assert mf.geometry.project(np.zeros(shape), np.eye(3)[:, :2]).shape == shape
    assert mf.geometry.project(np.zeros(shape), np.eye(3)[:, :2], coordinates=True).shape == (*shape[:-1], 2)


@pytest.mark.parametrize("points", [1, 20])
@every_metric
def test_an_empty_basis_spans_the_origin(points, kind, rng):
    metric = metric_of(kind, rng, 3)
    x = np.ones((points, 3))
    np.testing.assert_array_equal(mf.geometry.project(x, np.zeros((3, 0)), metric), np.zeros((points, 3)))
    assert mf.geometry.project(x, np.zeros((3, 0)), metric, coordinates=True).shape == (points, 0)
    np.testing.assert_array_equal(mf.geometry.projection_matrix(np.zeros((3, 0)), metric), np.zeros((3, 3)))
    np.testing.assert_array_equal(mf.geometry.project(x, np.zeros((3, 2)), metric), np.zeros((points, 3)))


@every_metric
@pytest.mark.parametrize("d", [6, 50])
def test_dependent_basis(kind, d, rng):
    """Projects onto the span; coordinates are not unique."""
    metric, x = metric_of(kind, rng, d), rng.standard_normal((4, 20, d))
    basis = rng.integers(-3, 4, (d, 2)).astype(float)
    dependent = np.column_stack([basis[:, 0], 2 * basis[:, 0], basis[:, 1], basis.sum(axis=1), np.zeros(d)])
    np.testing.assert_allclose(
        mf.geometry.project(x, dependent, metric), mf.geometry.project(x, basis, metric), atol=1e-12
    )
    np.testing.assert_allclose(
        mf.geometry.projection_matrix(dependent, metric), mf.geometry.projection_matrix(basis, metric), atol=1e-12
    )
    with pytest.raises(LinAlgError, match="project: coordinates in a dependent basis are not unique"):
        mf.geometry.project(x, dependent, metric, coordinates=True)
    assert np.isnan(mf.geometry.project(x, dependent, metric, coordinates=True, errors="nan")).all()
    stack = np.broadcast_to(np.eye(d)[:, :2], (4, 20, d, 2)).copy()
    stack[3, 5, :, 1] = stack[3, 5, :, 0]
    with pytest.raises(LinAlgError, match=r"at batch index \(3, 5\)"):
        mf.geometry.project(x, stack, metric, coordinates=True)
    c = mf.geometry.project(x, stack, metric, coordinates=True, errors="nan")
    bad = np.zeros((4, 20), bool)
    bad[3, 5] = True
    assert np.isnan(c[bad]).all()
    assert np.isfinite(c[~bad]).all()


@pytest.mark.parametrize("gap", [1e-6, 1e-10, 1e-13])
def test_nearly_dependent_basis(gap):
    """The normal equations would have lost everything from a gap of 1e-8 on."""
    basis = np.array([[1.0, 1.0], [0.0, gap], [0.0, 0.0]])
    x = np.array([3.0, 4.0, 5.0])
    np.testing.assert_allclose(mf.geometry.project(x, basis), [3, 4, 0], atol=1e-14)
    np.testing.assert_allclose(mf.geometry.project(x, basis, coordinates=True), [3 - 4 / gap, 4 / gap], rtol=1e-13)
    tall = hilbert(60)[:, :12]
    p = mf.geometry.projection_matrix(tall)
    assert np.abs(p @ p - p).max() < 1e-14
    assert np.abs(p @ tall - tall).max() < 1e-14


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1e30, 1e200])
def test_scale_of_the_basis_does_not_matter(scale, rng):
    for d in (4, 50):
        basis, x = rng.standard_normal((d, 3)), rng.standard_normal((30, d))
        np.testing.assert_allclose(
            mf.geometry.project(x, scale * basis), mf.geometry.project(x, basis), rtol=0, atol=1e-14
        )


@every_metric
def test_nan_and_infinity(kind, rng):
    for d, m, n in ((3, 2, 9), (40, 2, 9)):
        x, basis, metric = rng.standard_normal((n, d)), rng.standard_normal((d, m)), metric_of(kind, rng, d)
        good = mf.geometry.project(x, basis, metric)
        for index, bad in list(poisoned(x))[:: d // 3]:
            y = mf.geometry.project(bad, basis, metric)
            others = np.arange(n) != index[0]
            same_bits(y[others], good[others])
            assert not np.isfinite(y[index[0]]).all()
        for _, bad in poisoned(basis):
            assert np.isnan(mf.geometry.project(x, bad, metric)).any(axis=1).all()
            assert np.isnan(mf.geometry.projection_matrix(bad, metric)).any()
            assert np.isnan(mf.geometry.project(x, bad, metric, coordinates=True)).any(axis=1).all()


@every_metric
@every_dtype
def test_a_vector_is_one_direction(dtype, kind, rng):
    """As `scalar_projection` takes it."""
    x, direction = rng.standard_normal((9, 5)).astype(dtype), rng.standard_normal(5).astype(dtype)
    metric, basis = metric_of(kind, rng, 5), direction[:, None]
    g = mf.geometry
    same_bits(g.project(x, direction, metric), g.project(x, basis, metric))
    same_bits(g.project(x[0], direction, metric), g.project(x[0], basis, metric))
    same_bits(g.project(x, direction, metric, coordinates=True), g.project(x, basis, metric, coordinates=True))
    same_bits(g.projection_matrix(direction, metric), g.projection_matrix(basis, metric))
    same_bits(g.reconstruction_error(x, direction, metric), g.reconstruction_error(x, basis, metric))
    along = g.scalar_projection(x, direction, metric)
    np.testing.assert_allclose(g.norm(g.project(x, direction, metric), metric), np.abs(along), rtol=1e-5)


@pytest.mark.parametrize("scale", [1e-60, 1e-200, 1e60, 1e200])
@every_dtype
def test_the_unit_of_the_metric_does_not_matter(dtype, scale, rng):
    """float32 took the root of the metric as float32, which could be 0 or infinite."""
    x, basis = rng.standard_normal((9, 5)).astype(dtype), rng.standard_normal((5, 2)).astype(dtype)
    for kind in ("matrix", "weights"):
        metric = metric_of(kind, rng, 5)
        for f in (mf.geometry.project, lambda x, b, m: mf.geometry.projection_matrix(b, m)):
            np.testing.assert_allclose(f(x, basis, scale * metric), f(x, basis, metric), atol=10 * unit(dtype))


def test_labels():
    pd = pytest.importorskip("pandas")
    x = pd.DataFrame(np.random.default_rng(0).standard_normal((9, 3)), columns=list("abc"))
    basis = pd.DataFrame(np.eye(3)[:, :2], index=list("abc"), columns=["first", "second"])
    weights = pd.Series([1.0, 2, 3], index=list("abc"))
    g = mf.geometry
    same_bits(g.project(x, basis, weights), g.project(x.to_numpy(), basis.to_numpy(), weights.to_numpy()))
    for f in (
        lambda: g.project(x, basis.loc[list("bca")]),
        lambda: g.project(x, weights[list("bca")]),
        lambda: g.project(x, basis, weights[list("bca")]),
        lambda: g.projection_matrix(basis, weights[list("bca")]),
        lambda: g.reconstruction_error(x, basis.loc[list("bca")]),
    ):
        with pytest.raises(ValueError, match="the labels of"):
            f()


def test_wrong_metric():
    x, basis = np.ones(3), np.eye(3)[:, :2]
    for metric, message in (
        (np.triu(np.ones((3, 3))), "not symmetric"),
        (np.diag([1.0, -1.0, 1.0]), "eigenvalue that is not positive"),
        (np.ones((3, 3)) - np.eye(3), "eigenvalue that is not positive"),
        (np.full((3, 3), np.nan), "NaN or infinity"),
        (np.diag([1.0, np.inf, 1.0]), "NaN or infinity"),
        (np.array([1.0, 0.0, 1.0]), "positive numbers"),
        (np.array([1.0, np.nan, 1.0]), "positive numbers"),
        (np.eye(2), r"shape \(3, 3\) or \(3,\) for vectors of 3, got \(2, 2\)"),
        (np.ones((1, 3, 3)), r"got shape \(1, 3, 3\)"),
        (1.0, r"got \(\)"),
    ):
        with pytest.raises(ValueError, match=message):
            mf.geometry.project(x, basis, metric)
        with pytest.raises(ValueError, match=message):
            mf.geometry.projection_matrix(basis, metric)
    with pytest.raises(TypeError, match="metric must hold real numbers"):
        mf.geometry.project(x, basis, np.eye(3) * 1j)


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r"x has shape \(4, 2\) and basis has shape \(3, 2\)"):
        mf.geometry.project(np.ones((4, 2)), np.ones((3, 2)))
    with pytest.raises(ValueError, match=r"x has shape \(4, 3\) and basis has shape \(5, 3, 2\).*do not broadcast"):
        mf.geometry.project(np.ones((4, 3)), np.ones((5, 3, 2)))
    with pytest.raises(ValueError, match=r"project: basis must hold vectors in the columns.* got a scalar"):
        mf.geometry.project(np.ones(3), 1.0)
    with pytest.raises(ValueError, match=r"projection_matrix: basis must hold.* got a scalar"):
        mf.geometry.projection_matrix(1.0)
    with pytest.raises(ValueError, match="x must hold points"):
        mf.geometry.project(1.0, np.ones((1, 1)))
    with pytest.raises(ValueError, match="errors must be 'raise' or 'nan'"):
        mf.geometry.project(np.ones(3), np.ones((3, 1)), errors="ignore")
    with pytest.raises(TypeError, match="x must hold real numbers.*complex128"):  # noqa: RUF043
        mf.geometry.project(np.ones(3) * 1j, np.ones((3, 1)))
    with pytest.raises(TypeError, match="basis must hold real numbers"):
        mf.geometry.project(np.ones(3), np.ones((3, 1)) * 1j)


def test_dtypes(rng):
    x, basis = rng.standard_normal((4, 3)), rng.standard_normal((3, 2))
    narrow = mf.geometry.project(x.astype(np.float32), basis.astype(np.float32), np.eye(3))
    assert narrow.dtype == np.float32
    assert mf.geometry.project(x.astype(np.float32), basis).dtype == np.float64
    np.testing.assert_array_equal(mf.geometry.project([[1, 2], [3, 4]], [[1], [0]]), [[1, 0], [3, 0]])
    same_bits(mf.geometry.projection_matrix(np.array([[True], [False]])), np.array([[1.0, 0], [0, 0]]))


def test_threads_and_levels_give_the_same_bits(same_at_every_level):
    same_at_every_level(
        """
        rng = np.random.default_rng(5)
        for dtype in (np.float64, np.float32):
            for d, m, n in ((3, 2, 50_000), (64, 8, 3000), (600, 5, 100)):
                x, basis = rng.standard_normal((n, d)).astype(dtype), rng.standard_normal((d, m)).astype(dtype)
                root = rng.standard_normal((d, d))
                for metric in (None, root @ root.T + d * np.eye(d), np.arange(1.0, d + 1)):
                    if metric is None or metric.ndim == 1 or d < 50:  # a large Cholesky factor is of blocks
                        digest(mf.geometry.project(x, basis, metric))
                        digest(mf.geometry.project(x, basis, metric, coordinates=True))
                        digest(mf.geometry.projection_matrix(basis, metric))
                digest(mf.geometry.reconstruction_error(x, basis))
            bases, x = rng.standard_normal((3000, 7, 3)).astype(dtype), rng.standard_normal((3000, 7)).astype(dtype)
            digest(mf.geometry.project(x, bases), mf.geometry.projection_matrix(bases))
        """
    )


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 40), st.integers(0, 12), st.integers(0, 2**32 - 1), st.sampled_from(METRICS))
def test_laws(d, m, seed, kind):
    rng = np.random.default_rng(seed)
    basis = rng.integers(-3, 4, (d, m)) * np.exp2(rng.integers(-20, 21, m))
    metric = metric_of(kind, rng, d)
    matrix = np.eye(d) if metric is None else np.diag(metric) if metric.ndim == 1 else metric
    x = rng.standard_normal((11, d))
    tolerance = 1e-12
    p = mf.geometry.projection_matrix(basis, metric)
    y = mf.geometry.project(x, basis, metric)
    assert np.abs(p @ p - p).max() <= tolerance
    assert np.abs(matrix @ p - (matrix @ p).T).max() <= tolerance
    if metric is None:
        same_bits(p, p.T.copy())
    assert np.abs(y - x @ p.T).max() <= tolerance
    lengths = np.linalg.norm(basis, axis=0)
    directions = basis / np.where(lengths > 0, lengths, 1)
    assert np.abs((x - y) @ matrix @ directions).max(initial=0) <= tolerance  # what is left is orthogonal to the span
    assert np.abs(mf.geometry.project(y, basis, metric) - y).max() <= tolerance
    in_span = rng.standard_normal((3, m)) @ directions.T
    assert np.abs(mf.geometry.project(in_span, basis, metric) - in_span).max(initial=0) <= tolerance
    # Linear: scaling, and translation within the span.
    assert np.abs(mf.geometry.project(-8 * x, basis, metric) + 8 * y).max() <= tolerance
    shift = mf.geometry.project(x + in_span[:1], basis, metric)
    assert np.abs(shift - (y + in_span[:1])).max() <= 4 * tolerance
    if np.linalg.matrix_rank(directions) == m > 0 and np.linalg.cond(directions) < 1e3:
        c = mf.geometry.project(x, basis, metric, coordinates=True)
        assert np.abs(c @ basis.T - y).max() <= 1e3 * tolerance
