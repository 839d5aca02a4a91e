"""cdist: against extended precision for near and far points, in every layout, and the laws of distances."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.spatial.distance
from cases import every_dtype, every_layout, same_bits, spd
from hypothesis import given, settings
from hypothesis import strategies as st

import mmlfast as mf
from mmlfast import _core
from mmlfast._reference import distances as reference

cdist = mf.geometry.cdist


def unit(dtype):
    return float(np.finfo(dtype).eps) / 2


def bound(d, dtype):
    return (4 * np.sqrt(d) + 2) * unit(dtype)


def right(x, y):
    return reference.distances(x.astype(np.longdouble), y.astype(np.longdouble))


@every_dtype
@pytest.mark.parametrize("d", [1, 2, 3, 7, 63, 64, 65, 130, 784])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (5, 8), (6, 16), (7, 17), (31, 50), (12, 15)])
def test_every_distance_is_right(n, m, d, dtype, rng):
    x, y = rng.standard_normal((n, d)).astype(dtype), rng.standard_normal((m, d)).astype(dtype)
    got = cdist(x, y)
    assert got.dtype == dtype
    assert got.shape == (n, m)
    exact = right(x, y)
    assert (np.abs(got - exact) <= bound(d, dtype) * exact).all()
    squares = cdist(x, y, "sqeuclidean")
    assert (np.abs(squares - exact**2) <= 2 * bound(d, dtype) * exact**2).all()
    same_bits(cdist(x, y, "euclidean"), got)


@every_dtype
@pytest.mark.parametrize("offset", [0.0, 1e4, 1e8])
@pytest.mark.parametrize("d", [3, 100])
def test_near_duplicates_far_from_the_origin(d, offset, dtype, rng):
    """Where |x|^2 - 2 x y + |y|^2 has no digit left."""
    x = (rng.standard_normal((20, d)) + offset).astype(dtype)
    y = x + (np.spacing(x) * rng.integers(-3, 4, x.shape)).astype(dtype)
    got, exact = cdist(x, y), right(x, y)
    assert (np.abs(got - exact) <= bound(d, dtype) * exact).all()
    same_bits(np.diagonal(cdist(x, x)), np.zeros(20, dtype))
    same_bits(cdist(x, y), cdist(y, x).T)


@every_dtype
@pytest.mark.parametrize("exponent", [-30, 30])
@pytest.mark.parametrize("d", [2, 100])
def test_no_overflow_and_no_underflow(d, exponent, dtype, rng):
    scale = 10.0 ** (exponent if dtype == np.float32 else 10 * exponent)
    x, y = rng.standard_normal((7, d)), rng.standard_normal((9, d))
    got = cdist((x * scale).astype(dtype), (y * scale).astype(dtype))
    np.testing.assert_allclose(got / scale, cdist(x, y), rtol=1e-5 if dtype == np.float32 else 1e-13)


@every_layout
@every_dtype
def test_every_layout(layout, dtype, rng):
    x, y = rng.standard_normal((20, 70)).astype(dtype), rng.standard_normal((33, 70)).astype(dtype)
    same_bits(cdist(layout(x), layout(y)), cdist(x, y))
    metric = spd(rng, 70)
    np.testing.assert_array_equal(cdist(x, y, layout(metric)), cdist(x, y, metric))


@every_dtype
@pytest.mark.parametrize("batch", [1, 3, 40])
def test_batches(batch, dtype, rng):
    x, y = rng.standard_normal((batch, 9, 5)).astype(dtype), rng.standard_normal((batch, 11, 5)).astype(dtype)
    got = cdist(x, y)
    for i in range(batch):
        same_bits(got[i], cdist(x[i], y[i]))
    same_bits(cdist(x[:, None], y[0])[0, 0], cdist(x[0], y[0]))
    metric = spd(rng, 5)
    np.testing.assert_allclose(cdist(x, y, metric)[0], cdist(x[0], y[0], metric), rtol=1e-5)
    large = rng.standard_normal((2, 300, 40)).astype(dtype)
    same_bits(cdist(large, large)[1], cdist(large[1], large[1]))


@pytest.mark.parametrize("kind", ["matrix", "weights"])
@every_dtype
def test_mahalanobis(kind, dtype, rng):
    d = 20
    x, y = rng.standard_normal((30, d)).astype(dtype), rng.standard_normal((40, d)).astype(dtype)
    metric = spd(rng, d) if kind == "matrix" else rng.uniform(0.5, 2, d)
    matrix = metric if kind == "matrix" else np.diag(metric)
    theirs = scipy.spatial.distance.cdist(x, y, "mahalanobis", VI=matrix)
    got = cdist(x, y, metric)
    assert got.dtype == dtype
    np.testing.assert_allclose(got, theirs, rtol=1e-11 if dtype == np.float64 else 1e-6)
    same_bits(got, cdist(y, x, metric).T)
    assert (np.diagonal(cdist(x, x, metric)) == 0).all()
    if dtype == np.float64:
        np.testing.assert_allclose(cdist(x + 2.0**20, y + 2.0**20, metric), theirs, rtol=1e-8)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@every_dtype
def test_not_a_number_stays_in_its_pairs(bad, dtype, rng):
    x, y = rng.standard_normal((9, 5)).astype(dtype), rng.standard_normal((20, 5)).astype(dtype)
    clean = cdist(x, y)
    for column in range(5):
        poisoned = x.copy()
        poisoned[4, column] = bad
        got = cdist(poisoned, y)
        np.testing.assert_array_equal(got[4], bad)
        same_bits(np.delete(got, 4, axis=0), np.delete(clean, 4, axis=0))


def test_shapes_and_wrong_arguments(rng):
    assert cdist(np.ones((0, 3)), np.ones((4, 3))).shape == (0, 4)
    assert cdist(np.ones((4, 3)), np.ones((0, 3)), np.eye(3)).shape == (4, 0)
    assert cdist(np.ones((2, 0)), np.ones((3, 0))).tolist() == [[0] * 3] * 2
    assert cdist(np.zeros((1, 2), np.uint8), np.full((1, 2), 200, np.uint8)) == np.hypot(200, 200)
    with pytest.raises(ValueError, match=r"cdist: X has shape \(2, 3\) and Y has shape \(2, 4\)"):
        cdist(np.ones((2, 3)), np.ones((2, 4)))
    with pytest.raises(ValueError, match=r"cdist: Y must hold points in rows, got shape \(3,\)"):
        cdist(np.ones((2, 3)), np.ones(3))
    with pytest.raises(ValueError, match=r"cdist: X has shape \(2, 2, 3\), Y has shape \(3, 2, 3\): they do not fit"):
        cdist(np.ones((2, 2, 3)), np.ones((3, 2, 3)))
    with pytest.raises(ValueError, match=r"cdist: metric must be one of .*'cosine'.* got 'cityblock'"):
        cdist(np.ones((2, 3)), np.ones((2, 3)), "cityblock")
    with pytest.raises(ValueError, match="cdist: metric must be symmetric positive definite"):
        cdist(np.ones((2, 3)), np.ones((2, 3)), -np.eye(3))
    with pytest.raises(ValueError, match=r"cdist: metric must be one matrix or a vector"):
        cdist(np.ones((2, 3)), np.ones((2, 3)), np.ones((2, 3, 3)))
    with pytest.raises(TypeError, match="Y must hold real numbers"):
        cdist(np.ones((2, 3)), np.ones((2, 3)) * 1j)


@every_dtype
@pytest.mark.parametrize("d", [2, 3, 70])
def test_cosine(d, dtype, rng, fused_simd_levels):
    x, y = rng.standard_normal((20, d)).astype(dtype), rng.standard_normal((30, d)).astype(dtype)
    y[:20] = x * dtype(4)
    y[0], y[1] = -x[0], x[1] * dtype(1 + 1e-3)
    y[2] = x[2] * (1 + 1e-4 * rng.standard_normal(d)).astype(dtype)
    got = cdist(x, y, "cosine")
    assert got.dtype == dtype
    a, b = (v / np.sqrt((v**2).sum(axis=1, keepdims=True)) for v in (x.astype(np.longdouble), y.astype(np.longdouble)))
    right = ((a[:, None] - b) ** 2).sum(axis=-1) / 2
    u = 0 if dtype == np.float64 else unit(dtype)
    assert (np.abs(got - right) <= u * right + 1e-15 * np.sqrt(right) + 1e-31).all()
    assert (np.diagonal(got)[3:] == 0).all()
    assert (np.diagonal(cdist(x, x, "cosine")) == 0).all()
    assert ((got >= 0) & (got <= 2)).all()
    is_fused = _core.build_config()["simd_in_use"] in fused_simd_levels
    assert got[0, 0] >= (2 if is_fused else 2 - 1e-15)  # and not above 2
    same_bits(got, cdist(y, x, "cosine").T.copy())
    theirs = scipy.spatial.distance.cdist(x.astype(float), y.astype(float), "cosine")
    np.testing.assert_allclose(got, theirs, atol=1e-6 if dtype == np.float32 else 1e-14)
    power = 90 if dtype == np.float32 else 900
    same_bits(cdist(np.ldexp(x, power), np.ldexp(y, -power), "cosine"), got)
    x[4] = 0
    poisoned = cdist(x, y, "cosine")  # as in SciPy
    assert np.isnan(poisoned[4]).all()
    same_bits(np.delete(poisoned, 4, axis=0), np.delete(got, 4, axis=0))


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([np.float32, np.float64]),
    st.sampled_from(["euclidean", "sqeuclidean"]),
)
def test_points_of_any_size(seed, dtype, metric):
    """Also squares, as far as they can be represented."""
    rng = np.random.default_rng(seed)
    limit = 38 if dtype == np.float32 else 307
    d = int(rng.integers(1, 20))
    x, y = ((rng.standard_normal((n, d)) * 10.0 ** rng.integers(-limit, limit, (n, 1))).astype(dtype) for n in (9, 20))
    y[:9] = x * (1 + rng.integers(0, 2, x.shape) * np.finfo(dtype).eps)
    with np.errstate(all="ignore"):
        exact = right(x, y)
        expected = (exact if metric == "euclidean" else exact**2).astype(dtype)
    tiny = 2 * float(np.finfo(dtype).smallest_subnormal)
    np.testing.assert_allclose(cdist(x, y, metric), expected, rtol=1e-5 if dtype == np.float32 else 1e-14, atol=tiny)
    if metric == "euclidean":
        got = mf.geometry.distance(x[:, None], y)
        np.testing.assert_allclose(got, expected, rtol=1e-6 if dtype == np.float32 else 1e-14, atol=tiny)


def test_labels_of_columns():
    pd = pytest.importorskip("pandas")
    x = pd.DataFrame(np.random.default_rng(0).standard_normal((9, 3)), columns=list("abc"))
    metric = pd.DataFrame(np.diag([1.0, 2, 3]), index=list("abc"), columns=list("abc"))
    same_bits(cdist(x, x[:4], metric), cdist(x.to_numpy(), x[:4].to_numpy(), metric.to_numpy()))
    cdist(x, x.to_numpy())
    for f in (
        lambda: cdist(x, x[list("bca")]),
        lambda: cdist(x, x, metric.loc[list("bca"), list("bca")]),
        lambda: cdist(x, x, metric[list("bca")]),
    ):
        with pytest.raises(ValueError, match="cdist: the labels of"):
            f()


coordinates = st.lists(st.floats(-1e6, 1e6, width=32), min_size=6, max_size=6)


@given(coordinates, st.integers(-(2**20), 2**20))
@settings(deadline=None)
def test_laws(numbers, shift):
    x = np.array(numbers).reshape(3, 2)
    d = cdist(x, x)
    same_bits(d, d.T.copy())
    assert (np.diagonal(d) == 0).all()
    assert d[0, 2] <= (d[0, 1] + d[1, 2]) * (1 + 1e-15)
    same_bits(cdist(np.pad(x, ((0, 0), (0, 9))), np.pad(x, ((0, 0), (0, 9)))), d)
    whole = np.round(x)
    same_bits(cdist(whole + shift, whole + shift), cdist(whole, whole))


def test_same_bits_at_every_level(same_at_every_level):
    same_at_every_level(
        """
        rng = np.random.default_rng(5)
        for dtype in (np.float64, np.float32):
            for d in (3, 90):
                x, y = rng.standard_normal((300, d)).astype(dtype), rng.standard_normal((200, d)).astype(dtype)
                digest(mf.geometry.cdist(x, y), mf.geometry.cdist(x, y, "sqeuclidean"))
                digest(mf.geometry.cdist(x, y, "cosine"), mf.geometry.cdist(x, y, np.arange(1.0, d + 1)))
                if d == 3:
                    metric = np.cov(y.astype(float).T)
                    digest(mf.geometry.cdist(x, y, metric), mf.geometry.cdist(x, y, mf.geometry.Mahalanobis(metric)))
        """
    )
