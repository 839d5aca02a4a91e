"""knn and NearestNeighbors: against all distances in float64, where other searches lose neighbours, and the laws."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from cases import every_dtype, every_layout, same_bits, spd, within
from hypothesis import given, settings
from hypothesis import strategies as st
from interrupts import interrupt

import mmlfast as mf
from mmlfast._reference import neighbors as reference

knn = mf.geometry.knn


def check(x, y, k, found=None):
    """The right neighbours in the right order; where rounding may exchange them, the right distances."""
    distances, indices = knn(x, y, k) if found is None else found
    right, right_indices = reference.neighbors(x, y, k)
    dtype = np.result_type(x, y)
    assert distances.dtype == dtype
    assert indices.dtype == np.int64
    assert distances.shape == indices.shape == (len(x), k)
    u = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(distances, right, rtol=4 * u + x.shape[1] * 2e-16, atol=0)
    own = np.sqrt(((x[:, None].astype(float) - y[indices].astype(float)) ** 2).sum(axis=-1))
    np.testing.assert_allclose(own, right, rtol=x.shape[1] * 3e-16, atol=0)
    assert np.mean(indices == right_indices) > 0.95


CLOUDS = {
    "normal": lambda rng, x, y: (x, y),
    "far from the origin": lambda rng, x, y: (x + 1e8, y + 1e8),
    "one far point": lambda rng, x, y: (x, np.vstack([y[:-1], 1e9 * y[-1:]])),
    "heavy tails": lambda rng, x, y: (
        x / rng.standard_normal((len(x), 1)),
        y / rng.standard_normal((len(y), 1)),
    ),
    "far queries": lambda rng, x, y: (x + 1000, y),
    "some far queries": lambda rng, x, y: (x * np.where(np.arange(len(x)) % 7 == 0, 1e4, 1)[:, None], y),
    "tight clusters": lambda rng, x, y: (
        np.round(x) + 1e-7 * x,
        np.round(y) + 1e-7 * y,
    ),
    "near duplicates": lambda rng, x, y: (1 + 1e-9 * x, 1 + 1e-9 * y),
    "a thin shell": lambda rng, x, y: (
        0 * x,
        y / np.linalg.norm(y, axis=1, keepdims=True) * (1 + 1e-6 * rng.random((len(y), 1))),
    ),
    "tiny": lambda rng, x, y: (1e-30 * x, 1e-30 * y),
}
# Few and many queries and points, dimensions of the direct search, odd, at panel edges.
SIZES = [(1, 40, 3), (8, 3000, 10), (9, 65, 65), (40, 1000, 1), (150, 777, 10), (130, 2100, 200)]


@within("cloud", CLOUDS)
@every_dtype
@pytest.mark.parametrize("d", [1, 2, 3, 4, 7, 33, 64])
@pytest.mark.parametrize(("n", "m", "k"), SIZES)
def test_agrees_with_the_reference(n, m, k, d, dtype, cloud, rng):
    if (list(CLOUDS).index(cloud) + d + np.dtype(dtype).itemsize // 4) % 2:
        pytest.skip("its turn is in the other precision")
    x, y = CLOUDS[cloud](rng, rng.standard_normal((n, d)), rng.standard_normal((m, d)))
    x, y = x.astype(dtype), y.astype(dtype)
    if dtype == np.float32 and cloud in ("far from the origin", "near duplicates"):
        pytest.skip("all points are the same in float32")
    check(x, y, k)


def test_recall_at_an_offset_of_1e8(rng):
    """The expansion |x|^2 - 2 x y + |y|^2 finds 8 of 100 neighbours here."""
    points = rng.standard_normal((3000, 3)) + 1e8
    indices = knn(points, points, 5).indices
    right = reference.neighbors(points, points, 5)[1]
    assert (indices == right).all()
    wide = np.pad(points, ((0, 0), (0, 5)))
    assert (knn(wide, wide, 5).indices == right).all()


@every_dtype
@pytest.mark.parametrize("d", [2, 5, 40])
def test_equal_distances_are_in_the_order_of_the_indices(d, dtype, rng):
    x, y = rng.integers(-1, 2, (60, d)).astype(dtype), rng.integers(-1, 2, (500, d)).astype(dtype)
    found, right = knn(x, y, 30), reference.neighbors(x, y, 30)
    same_bits(found.indices, right[1])
    same_bits(found.distances, right[0].astype(dtype))
    zeros = np.zeros((300, d), dtype)
    assert (knn(x[:20] * 0, zeros, 7).indices == np.arange(7)).all()


@pytest.mark.parametrize("d", [3, 40])
@every_dtype
def test_a_point_is_its_own_neighbour(d, dtype, rng):
    x = rng.standard_normal((500, d)).astype(dtype)
    distances, indices = knn(x, x, 1)
    assert (distances == 0).all()
    assert (indices[:, 0] == np.arange(500)).all()


@every_layout
@every_dtype
def test_every_layout(layout, dtype, rng):
    x, y = rng.standard_normal((60, 12)).astype(dtype), rng.standard_normal((300, 12)).astype(dtype)
    expected, got = knn(x, y, 5), knn(layout(x), layout(y), 5)
    same_bits(got.distances, expected.distances)
    same_bits(got.indices, expected.indices)


@pytest.mark.parametrize("d", [2, 3, 4, 9, 64])
@every_dtype
def test_translation_and_zero_padding_change_nothing(d, dtype, rng):
    """Nor does the number of queries, though it decides how the search is done."""
    x, y = rng.integers(-500, 500, (100, d)).astype(dtype), rng.integers(-500, 500, (2000, d)).astype(dtype)
    expected = knn(x, y, 10)
    shift = rng.integers(-1000, 1000, d).astype(dtype)
    for a, b in (
        (x + shift, y + shift),
        (np.pad(x, ((0, 0), (0, 5))), np.pad(y, ((0, 0), (0, 5)))),
        (np.pad(x, ((0, 0), (3, 0))), np.pad(y, ((0, 0), (3, 0)))),
    ):
        got = knn(a, b, 10)
        same_bits(got.distances, expected.distances)
        same_bits(got.indices, expected.indices)
    few = knn(x[:3], y, 10)
    same_bits(few.distances, expected.distances[:3])
    same_bits(few.indices, expected.indices[:3])


@pytest.mark.parametrize("scale", [1e200, 1e-200, 1e308 / 8, 1e-310])
def test_any_range(scale, rng):
    x, y = rng.integers(-8, 8, (50, 6)) / 8.0, rng.integers(-8, 8, (200, 6)) / 8.0
    exact = 2.0 ** np.floor(np.log2(scale))
    got, right = knn(x * exact, y * exact, 4), knn(x, y, 4)
    same_bits(got.indices, right.indices)
    np.testing.assert_allclose(got.distances / exact, right.distances, rtol=1e-15 if scale > 1e-300 else 1e-9)


@pytest.mark.parametrize("kind", ["matrix", "weights"])
@every_dtype
@pytest.mark.parametrize("n", [3, 50])
def test_metric(n, kind, dtype, rng):
    d = 6
    x, y = rng.standard_normal((n, d)).astype(dtype), rng.standard_normal((400, d)).astype(dtype)
    metric = spd(rng, d) if kind == "matrix" else rng.uniform(0.5, 2, d)
    distances, indices = knn(x, y, 5, metric)
    assert distances.dtype == dtype
    right = np.sort(mf.geometry.cdist(x.astype(float), y.astype(float), metric), axis=1)[:, :5]
    np.testing.assert_allclose(distances, right, rtol=1e-12 if dtype == np.float64 else 1e-6)
    own = mf.geometry.distance(x[:, None].astype(float), y[indices].astype(float), metric)
    np.testing.assert_allclose(own, right, rtol=1e-12)


def test_shapes_and_wrong_arguments():
    x = np.ones((4, 3))
    assert knn(np.ones((0, 3)), x, 2).indices.shape == (0, 2)
    assert knn(np.ones((2, 0)), np.ones((5, 0)), 3).indices.tolist() == [[0, 1, 2]] * 2
    assert knn([[0, 1]], [[0, 1], [2, 3]], np.int64(1)).distances.dtype == np.float64
    assert knn(np.ones((1, 1), np.float32), np.ones((1, 1)), 1).distances.dtype == np.float64
    with pytest.raises(ValueError, match="knn: k must be from 1 to the number of points, 4, got 5"):
        knn(x, x, 5)
    with pytest.raises(ValueError, match="knn: k must be from 1"):
        knn(x, x, 0)
    for k in (1.5, 2.0, "2", None):
        with pytest.raises(TypeError, match="knn: k must be a whole number"):
            knn(x, x, k)
    with pytest.raises(ValueError, match=r"knn: X has shape \(4, 3\) and Y has shape \(4, 2\)"):
        knn(x, x[:, :2], 1)
    with pytest.raises(ValueError, match=r"knn: Y must hold points in rows, got shape \(3,\)"):
        knn(x, x[0], 1)
    with pytest.raises(ValueError, match=r"knn: X must hold points in rows or be one point, got shape \(1, 4, 3\)"):
        knn(x[None], x, 1)
    with pytest.raises(ValueError, match=r"knn: X must not hold NaN or infinity, but does at 2"):
        knn([1, 1, np.nan], x, 1)
    for name in ("manhattan", "mahalanobis"):
        with pytest.raises(ValueError, match=rf"knn: metric must be one of 'euclidean'.* got '{name}'"):
            knn(x, x, 1, name)
    with pytest.raises(TypeError, match="X must hold real numbers"):
        knn(x * 1j, x, 1)
    with pytest.raises(ValueError, match="knn: metric must be symmetric positive definite"):
        knn(x, x, 1, -np.eye(3))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["X", "Y"])
def test_not_a_number_raises(name, bad):
    for row in (0, 3):
        for column in (0, 2):
            arrays = {"X": np.ones((4, 3)), "Y": np.ones((4, 3))}
            arrays[name][row, column] = bad
            with pytest.raises(ValueError, match=rf"knn: {name} must not hold NaN.*\({row}, {column}\)"):
                knn(**arrays, k=1)
    assert knn(np.full((2, 3), 1e308), np.full((2, 3), 1e308), 1).indices.tolist() == [[0], [0]]


def in_long(x, y, k):
    """Distances and indices by extended precision, whose exponents reach further."""
    distances = np.sqrt(((x[:, None].astype(np.longdouble) - y.astype(np.longdouble)) ** 2).sum(axis=-1))
    indices = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(distances, indices, axis=1), indices


@pytest.mark.parametrize(("dtype", "huge"), [(np.float32, 1e30), (np.float64, 1e30), (np.float64, 1e200)])
@pytest.mark.parametrize("share", [0, 0.02, 0.3])
def test_huge_rows_among_others(dtype, huge, share, rng):
    """All others were at distance zero of each other where the square of the largest left the range."""
    y = rng.standard_normal((1500, 20)).astype(dtype)
    rows = np.unique(np.append(rng.permutation(1500)[: int(share * 1500)], 7))
    y[rows] *= dtype(huge)
    x = np.vstack([y[:60] + dtype(0.01), y[rows[:5]]])
    distances, indices = knn(x, y, 8)
    right, right_indices = in_long(x, y, 8)
    same_bits(indices, right_indices)
    np.testing.assert_allclose(distances, right.astype(dtype), rtol=1e-6 if dtype == np.float32 else 1e-14)


@settings(deadline=None, max_examples=80)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["rows", "columns", "tiny", "one huge", "twins"]),
    st.sampled_from([np.float32, np.float64]),
    st.sampled_from(["euclidean", "sqeuclidean"]),
)
def test_rows_of_any_size(seed, kind, dtype, metric):
    rng = np.random.default_rng(seed)
    n, m, d = (int(rng.integers(1, most)) for most in (30, 200, 12))
    k = int(rng.integers(1, min(m, 20) + 1))
    x, y = rng.standard_normal((n, d)), rng.standard_normal((m, d))
    limit = 37 if dtype == np.float32 else 300
    if kind == "rows":
        x, y = (a * 10.0 ** rng.integers(-limit, limit, (len(a), 1)) for a in (x, y))
    if kind == "columns":
        units = 10.0 ** rng.integers(-limit, limit, d)
        x, y = x * units, y * units
    if kind == "tiny":
        x, y = x * 10.0**-limit, y * 10.0**-limit
        y[0] = 1
    if kind == "one huge":
        y[m // 2] = 10.0**limit
    if kind == "twins":
        x, y = np.round(x) * 10.0**-limit, np.round(y) * 10.0**-limit
        x[-1] = y[-1] = 10.0**limit
    x, y = x.astype(dtype), y.astype(dtype)
    distances, indices = knn(x, y, k, metric)
    right = in_long(x, y, k)[0]
    own = np.sqrt(((x[:, None].astype(np.longdouble) - y[indices].astype(np.longdouble)) ** 2).sum(axis=-1))
    np.testing.assert_allclose(own, right, rtol=1e-14)
    with np.errstate(all="ignore"):
        expected = (right if metric == "euclidean" else right**2).astype(dtype)
    tiny = 4 * float(np.finfo(dtype).smallest_subnormal)
    np.testing.assert_allclose(distances, expected, rtol=1e-6 if dtype == np.float32 else 1e-13, atol=tiny)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.sampled_from([np.float32, np.float64]), st.floats(-1, 1))
def test_the_unit_of_the_points_does_not_matter(seed, dtype, share):
    rng = np.random.default_rng(seed)
    n, m, d = (int(rng.integers(1, most)) for most in (40, 300, 20))
    x, y = (rng.standard_normal((rows, d)).astype(dtype) for rows in (n, m))
    y[m // 2] *= 1000
    power = int(share * (100 if dtype == np.float32 else 980))
    k = min(m, 5)
    expected, got = knn(x, y, k), knn(np.ldexp(x, power), np.ldexp(y, power), k)
    same_bits(got.indices, expected.indices)
    same_bits(got.distances, np.ldexp(expected.distances, power))


@every_dtype
@pytest.mark.parametrize("metric", [None, "sqeuclidean", "cosine", "matrix"])
def test_one_query(metric, dtype, rng):
    x, y = rng.standard_normal((3, 5)).astype(dtype), rng.standard_normal((90, 5)).astype(dtype)
    metric = spd(rng, 5) if metric == "matrix" else metric
    got, expected = knn(x[1], y, 4, metric), knn(x[1:2], y, 4, metric)
    same_bits(got.distances, expected.distances[0])
    same_bits(got.indices, expected.indices[0])
    assert got.distances.shape == got.indices.shape == (4,)
    assert knn([0.5], [[1.0], [0.0], [0.75]], 1).indices.tolist() == [2]


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "cosine"])
@every_dtype
@pytest.mark.parametrize("n", [3, 60])
def test_names_of_metrics(n, dtype, metric, rng):
    """NearestNeighbors(metric="euclidean") failed at kneighbors."""
    x, y = rng.standard_normal((n, 9)).astype(dtype), rng.standard_normal((300, 9)).astype(dtype)
    table = mf.geometry.cdist(x, y, metric)
    distances, indices = knn(x, y, 6, metric)
    assert distances.dtype == dtype
    rounding = 1e-6 if dtype == np.float32 else 1e-14  # float32 is measured in float64 here
    np.testing.assert_allclose(distances, np.take_along_axis(table, indices, axis=1), rtol=rounding)
    np.testing.assert_allclose(distances, np.sort(table, axis=1)[:, :6], rtol=rounding)
    for estimator in (
        mf.geometry.NearestNeighbors(n_neighbors=6, metric=metric),
        pickle.loads(pickle.dumps(mf.geometry.NearestNeighbors(n_neighbors=6, metric=metric))),
    ):
        found = estimator.fit(y).kneighbors(x)
        same_bits(found[0], distances)
        same_bits(found[1], indices)
    if metric == "euclidean":
        found = mf.geometry.NearestNeighbors(n_neighbors=6, metric="minkowski", p=2).fit(y).kneighbors(x)
        same_bits(found[1], indices)
    sklearn_neighbors = pytest.importorskip("sklearn.neighbors")
    theirs = sklearn_neighbors.NearestNeighbors(n_neighbors=6, metric=metric, algorithm="brute").fit(y)
    np.testing.assert_allclose(distances, theirs.kneighbors(x)[0], rtol=1e-4 if dtype == np.float32 else 1e-10)


def test_cosine_of_a_zero_vector(rng):
    x, y = rng.standard_normal((2, 9, 3))
    y[4] = 0
    with pytest.raises(ValueError, match=r"knn: Y must not hold the zero vector, .* but does in row 4"):
        knn(x, y, 1, "cosine")
    with pytest.raises(ValueError, match="X must not hold the zero vector"):
        knn(y, x, 1, "cosine")
    assert (knn(x, x, 1, "cosine").distances == 0).all()


def test_estimator_refuses_metrics_at_fit(rng):
    x = rng.standard_normal((9, 3))
    for metric, message in (
        ("manhattan", "metric must be one of 'euclidean', 'sqeuclidean', 'cosine', 'minkowski'.* got 'manhattan'"),
        (np.eye(2), r"metric must have shape \(3, 3\)"),
        (-np.eye(3), "metric must be symmetric positive definite"),
        (mf.geometry.Mahalanobis(np.eye(2)), "metric is a Mahalanobis of 2 dimensions"),
    ):
        with pytest.raises(ValueError, match=f"NearestNeighbors: {message}"):
            mf.geometry.NearestNeighbors(metric=metric).fit(x)
    with pytest.raises(ValueError, match="NearestNeighbors: p must be 2"):
        mf.geometry.NearestNeighbors(metric="minkowski", p=1).fit(x)
    with pytest.raises(TypeError, match="n_neighbors does not take"):
        mf.geometry.NearestNeighbors().fit(x).kneighbors(x, 2.0)


def test_estimator_refuses_masks(rng):
    x = rng.standard_normal((9, 3))
    near = mf.geometry.NearestNeighbors(n_neighbors=1)
    with pytest.raises(TypeError, match="X is a masked array"):
        near.fit(np.ma.masked_array(x, x > 1))
    near.fit(np.ma.masked_array(x, False))
    with pytest.raises(TypeError, match="X is a masked array"):
        near.kneighbors(np.ma.masked_array(x, x > 1))


def test_labels_of_columns():
    pd = pytest.importorskip("pandas")
    x = pd.DataFrame(np.random.default_rng(0).standard_normal((9, 3)), columns=list("abc"))
    same_bits(knn(x, x, 2).indices, knn(x.to_numpy(), x.to_numpy(), 2).indices)
    knn(x.iloc[0], x, 1)
    weights = pd.Series([1.0, 2, 3], index=list("abc"))
    knn(x, x, 1, weights)
    for f in (
        lambda: knn(x, x[list("bca")], 1),
        lambda: knn(x.iloc[0][list("bca")], x, 1),
        lambda: knn(x, x, 1, weights[list("bca")]),
        lambda: mf.geometry.NearestNeighbors(metric=weights[list("bca")]).fit(x),
    ):
        with pytest.raises(ValueError, match="the labels of"):
            f()


points = st.lists(st.tuples(st.floats(-100, 100, width=32), st.floats(-100, 100, width=32)), min_size=1, max_size=90)


@given(points, points, st.integers(0, 7), st.data())
@settings(deadline=None)
def test_random_small_sets(x, y, padding, data):
    k = data.draw(st.integers(1, len(y)))
    a, b = (np.pad(np.array(p), ((0, 0), (0, padding))) for p in (x, y))
    found, right = knn(a, b, k), reference.neighbors(a, b, k)
    np.testing.assert_allclose(found.distances, right[0], rtol=1e-14)


def test_same_bits_at_every_level(same_at_every_level):
    same_at_every_level(
        """
        rng = np.random.default_rng(5)
        for dtype in (np.float64, np.float32):
            for n, d in ((3, 7), (300, 3), (300, 20), (300, 65)):
                x, y = rng.standard_normal((n, d)).astype(dtype), rng.standard_normal((3000, d)).astype(dtype)
                digest(*mf.geometry.knn(x, y, 10))
                digest(*mf.geometry.knn(x.round(), y.round(), 50))
            x = rng.random((4000, 3)).astype(dtype)
            digest(*mf.geometry.knn(x, x, 10))
            digest(*mf.geometry.knn((16 * x).round(), (16 * x).round(), 20))
        """
    )


def test_dot_products_of_the_processor_change_nothing(run_python, fused_simd_levels):
    """Where no level is named, a scan uses what the processor has beyond the levels. Odd and even numbers of panels."""
    code = """
    import hashlib
    import numpy as np
    import mmlfast as mf

    rng = np.random.default_rng(7)
    for n, m, d, k in ((300, 2990, 17, 5), (300, 3000, 64, 10), (50, 2984, 33, 40), (13, 65, 8, 3)):
        x, y = rng.standard_normal((n, d)), rng.standard_normal((m, d))
        for a, b in ((x, y), (x.round(), y.round())):
            found = mf.geometry.knn(a, b, k)
            print(hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in found)).hexdigest())
    """
    assert len({run_python(code, MMLFAST_SIMD=level) for level in ("", *fused_simd_levels)}) == 1


def search_for_ever(x):
    while True:
        knn(x, x, 10)


def test_ctrl_c_stops_a_search(rng):
    x = rng.standard_normal((40_000, 64)).astype(np.float32)
    interrupt(lambda: search_for_ever(x))
    check(x[:20], x[:500], 3)


def test_functions_do_not_import_scikit_learn(run_python):
    printed = run_python(
        """
        import sys
        import mmlfast as mf
        mf.geometry.knn([[1.0]], [[1.0]], 1)
        print("sklearn" in sys.modules)
        """
    )
    assert printed.strip() == "False"


# ---- NearestNeighbors ----


def test_scikit_learns_checks():
    checks = pytest.importorskip("sklearn.utils.estimator_checks")
    checks.check_estimator(mf.geometry.NearestNeighbors(), on_skip=None)


@every_dtype
def test_agrees_with_scikit_learn(dtype, rng):
    sklearn_neighbors = pytest.importorskip("sklearn.neighbors")
    x, y = rng.standard_normal((30, 8)).astype(dtype), rng.standard_normal((200, 8)).astype(dtype)
    ours, theirs = mf.geometry.NearestNeighbors(n_neighbors=4), sklearn_neighbors.NearestNeighbors(n_neighbors=4)
    ours.fit(y)
    theirs.fit(y)
    for arguments in ((x,), (None,), (x, 7), (None, 7)):
        got, expected = ours.kneighbors(*arguments), theirs.kneighbors(*arguments)
        np.testing.assert_allclose(got[0], expected[0], rtol=1e-5 if dtype == np.float32 else 1e-12)
        np.testing.assert_array_equal(got[1], expected[1])
        np.testing.assert_array_equal(ours.kneighbors(*arguments, return_distance=False), got[1])
        for mode in ("connectivity", "distance"):
            a, b = ours.kneighbors_graph(*arguments, mode=mode), theirs.kneighbors_graph(*arguments, mode=mode)
            np.testing.assert_allclose(a.toarray(), b.toarray(), rtol=1e-5 if dtype == np.float32 else 1e-12)
    assert ours.n_features_in_ == 8
    assert ours.n_samples_fit_ == 200


def test_no_point_is_its_own_neighbour_among_duplicates():
    near = mf.geometry.NearestNeighbors(n_neighbors=2).fit(np.zeros((6, 2)))
    assert near.kneighbors(return_distance=False).tolist() == [[1, 2], [0, 2], [0, 1], [0, 1], [0, 1], [0, 1]]


def test_estimator(rng):
    metric = spd(rng, 3)
    near = mf.geometry.NearestNeighbors(n_neighbors=2, metric=metric)
    assert near.get_params()["metric"] is metric
    y = rng.standard_normal((20, 3))
    near.fit(y)
    expected = knn(y[:4], y, 2, metric)
    copy = pickle.loads(pickle.dumps(near))
    for estimator in (near, copy):
        distances, indices = estimator.kneighbors(y[:4])
        same_bits(distances, expected.distances)
        same_bits(indices, expected.indices)
    with pytest.raises(ValueError, match="Expected n_neighbors <= n_samples_fit"):
        near.kneighbors(y, 21)
    with pytest.raises(ValueError, match="n_samples_fit - 1"):
        near.kneighbors(n_neighbors=20)
    with pytest.raises(ValueError, match="Expected n_neighbors > 0"):
        mf.geometry.NearestNeighbors(n_neighbors=0).fit(y)
    with pytest.raises(TypeError, match="n_neighbors does not take"):
        mf.geometry.NearestNeighbors(n_neighbors=2.5).fit(y)
    with pytest.raises(ValueError, match="mode must be"):
        near.kneighbors_graph(y, mode="other")
    with pytest.raises(ValueError, match="features"):
        near.kneighbors(y[:, :2])


CLUMPS = {
    "uniform": lambda rng, n, d: rng.random((n, d)),
    "grid": lambda rng, n, d: rng.integers(0, 5, (n, d)).astype(float),
    "one point": lambda rng, n, d: np.full((n, d), 0.1),
    "line": lambda rng, n, d: np.outer(rng.standard_normal(n), np.arange(1.0, d + 1)) + 1e6,
    "clusters": lambda rng, n, d: rng.standard_normal((n, d)) * 10.0 ** rng.integers(-8, 3, (n, 1)),
}


@pytest.mark.parametrize("kind", CLUMPS)
@pytest.mark.parametrize(("d", "k"), [(1, 1), (2, 40), (3, 10), (4, 3)])
@every_dtype
def test_the_tree_finds_what_measuring_all_finds(kind, d, k, dtype, rng):
    """Many queries go down a tree of boxes, few are measured against all points."""
    n = 6000 if d < 4 or kind == "one point" else 16_000
    points = CLUMPS[kind](rng, n, d).astype(dtype)
    queries = CLUMPS[kind](rng, n - 1000, d).astype(dtype)
    for x in (queries, points):
        found = mf.geometry.knn(x, points, k)
        for first in (0, 1234, 4990):
            alone = mf.geometry.knn(x[first : first + 8], points, k)
            np.testing.assert_array_equal(found.indices[first : first + 8], alone.indices)
            np.testing.assert_array_equal(found.distances[first : first + 8], alone.distances)


@within("kind", ["uniform", "grid"])
def test_the_tree_finds_more_neighbours_than_lists_hold(kind, rng):
    points = CLUMPS[kind](rng, 5800, 2)
    found, alone = knn(points, points, 360), knn(points[2000:2006], points, 360)
    same_bits(found.indices[2000:2006], alone.indices)
    same_bits(found.distances[2000:2006], alone.distances)


@within("side", [4, 8, 30])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_the_tree_knows_the_last_of_exactly_k(side, d, rng):
    """When there were k candidates and no more, some one of them was taken for the last."""
    points = rng.integers(0, side, (1500, d)).astype(float)
    squares = ((points[:, None] - points) ** 2).sum(axis=2)
    same_bits(knn(points, points, 40).indices, np.argsort(squares, axis=1, kind="stable")[:, :40])


@within("n", [1024, 1025, 1031, 1032, 1033, 1039, 1040, 1041, 2049])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_the_tree_of_any_number_of_points(n, d, rng):
    """Places of the last leaf without a point have no number, and no box."""
    points = rng.random((n, d))
    right = np.argsort(((points[:, None] - points[-40:]) ** 2).sum(axis=2), axis=0, kind="stable")[:20].T
    same_bits(knn(points, points, 20).indices[-40:], right)
    same_bits(knn(points[::-1], points, 20).indices[39::-1], right)


def test_the_tree_is_the_same_for_any_number_of_threads(threads, rng):
    x = rng.standard_normal((20_000, 3))
    mf.set_num_threads(1)
    one = mf.geometry.knn(x, x, 4)
    mf.set_num_threads(2)
    two = mf.geometry.knn(x, x, 4)
    np.testing.assert_array_equal(one.indices, two.indices)
    np.testing.assert_array_equal(one.distances, two.distances)
    assert np.count_nonzero(one.indices[:, 0] != np.arange(len(x))) == 0


def test_parameters_of_scikit_learn_that_do_not_matter(rng):
    points = rng.standard_normal((20, 3))
    plain = mf.geometry.NearestNeighbors(n_neighbors=2).fit(points).kneighbors(points)
    for algorithm in ("auto", "ball_tree", "kd_tree", "brute"):
        near = mf.geometry.NearestNeighbors(n_neighbors=2, algorithm=algorithm, leaf_size=5, n_jobs=-1).fit(points)
        for got, wanted in zip(near.kneighbors(points), plain, strict=True):
            np.testing.assert_array_equal(got, wanted)
    with pytest.raises(ValueError, match="algorithm must be one of"):
        mf.geometry.NearestNeighbors(algorithm="kdtree").fit(points)


@pytest.mark.parametrize("n", [1, 4, 8])
@pytest.mark.parametrize("d", [3, 16, 37])
def test_few_queries_in_float32_read_the_points_once(n, d, rng):
    """What is not finite is found on the way; squares that leave float32 are no sign of it."""
    x, y = rng.standard_normal((n, d)).astype(np.float32), rng.standard_normal((3000, d)).astype(np.float32)
    y[7] *= np.float32(1e30)
    right = knn(x.astype(float), y.astype(float), 5)
    found = knn(x, y, 5)
    np.testing.assert_array_equal(found.indices, right.indices)
    np.testing.assert_allclose(found.distances, right.distances, rtol=1e-6)
    for bad in (np.nan, np.inf, -np.inf):
        for table, name in ((y, "Y"), (x, "X")):
            place = len(table) - 1, d - 1
            before, table[place] = table[place], bad
            with pytest.raises(
                ValueError, match=rf"{name} must not hold NaN or infinity, but does at \({place[0]}, {d - 1}\)"
            ):
                knn(x, y, 5)
            table[place] = before
