"""Mahalanobis, and what will do as a metric: against the pseudoinverse, and one rule for all functions."""

from __future__ import annotations

import contextlib
import copy
import pickle
import warnings

import numpy as np
import pytest
from cases import every_dtype, every_layout, same_bits, spd
from hypothesis import example, given, settings
from hypothesis import strategies as st

import mmlfast as mf

g = mf.geometry


def shares(rng, n=500):
    return rng.multinomial(20, [0.5, 0.3, 0.2], size=n).astype(float)


def plane(rng, n=40):
    """Points of four coordinates that add up to zero."""
    x = rng.standard_normal((n, 4))
    x[:, 3] = -x[:, :3].sum(axis=1)
    return x


def by_pinv(x, y, covariance):
    difference = x[:, None] - y
    inverse = np.linalg.pinv(covariance, rcond=1e-10, hermitian=True)
    return np.sqrt(np.einsum("ijk,kl,ijl->ij", difference, inverse, difference).clip(0))


@pytest.mark.filterwarnings("ignore:Ill-conditioned")
def test_distances_in_the_inverse_of_a_singular_matrix():
    """Half of all seeds gave wrong distances, the others refused."""
    x = shares(np.random.default_rng(1))
    covariance = mf.stats.covariance(x)
    metric = g.Mahalanobis(covariance)
    assert metric.rank == 2
    assert g.cdist(x[:1], x[1:2], metric)[0, 0] == pytest.approx(0.947, abs=5e-4)
    np.testing.assert_allclose(g.cdist(x[:50], x, metric), by_pinv(x[:50], x, covariance), atol=1e-12)
    for seed in range(60):
        x = shares(np.random.default_rng(seed))
        for covariance, inverse in (
            (mf.stats.covariance(x), mf.linalg.inv),
            (np.cov(x.T), np.linalg.inv),
            (np.cov(x.T / 20), np.linalg.inv),
        ):
            assert g.Mahalanobis(covariance).rank == 2
            try:
                v = inverse(covariance)
            except np.linalg.LinAlgError:
                continue
            assert g.is_inner_product(v) is False
            with pytest.raises(ValueError, match=r"cdist: metric must be symmetric positive definite.*Mahalanobis"):
                g.cdist(x[:1], x[1:2], v)


@pytest.mark.parametrize("kind", ["shares", "one-hot", "sum of columns", "few samples"])
@pytest.mark.parametrize("seed", range(8))
def test_rank_and_distances_of_singular_covariances(kind, seed):
    rng = np.random.default_rng(seed)
    d = int(rng.integers(3, 9))
    x = {
        "shares": lambda: rng.dirichlet(np.ones(d + 1), size=200),
        "one-hot": lambda: np.eye(d + 1)[rng.integers(0, d + 1, 200)],
        "sum of columns": lambda: np.column_stack([(y := rng.standard_normal((200, d))), y.sum(axis=1) + 1e3]),
        "few samples": lambda: rng.standard_normal((d, d + 1)) + 10,
    }[kind]()
    covariance = mf.stats.covariance(x)
    metric = g.Mahalanobis(covariance)
    assert metric.rank == (d - 1 if kind == "few samples" else d)
    right = by_pinv(x, x, covariance)
    np.testing.assert_allclose(g.cdist(x, x, metric), right, atol=1e-7 * right.max())
    distances, indices = g.knn(x[:5], x, 3, metric)
    np.testing.assert_allclose(distances, np.sort(right[:5], axis=1)[:, :3], atol=1e-7 * right.max())
    near = g.NearestNeighbors(n_neighbors=3, metric=metric).fit(x)
    same_bits(near.kneighbors(x[:5])[1], indices)


def test_every_function_takes_it(rng):
    x = plane(rng)
    covariance = np.cov(x.T)
    metric, inverse = g.Mahalanobis(covariance), np.linalg.pinv(covariance)
    near = {"rtol": 1e-10, "atol": 1e-12}
    a, b = x[:20], x[20:]
    product = np.einsum("ij,jk,ik->i", a, inverse, b)
    lengths = [np.sqrt(np.einsum("ij,jk,ik->i", v, inverse, v)) for v in (a, b)]
    np.testing.assert_allclose(g.inner(a, b, metric), product, **near)
    np.testing.assert_allclose(g.norm(a, metric), lengths[0], **near)
    np.testing.assert_allclose(g.distance(a, b, metric), np.diagonal(by_pinv(a, b, covariance)), **near)
    np.testing.assert_allclose(g.angle(a, b, metric), np.arccos(product / lengths[0] / lengths[1]), rtol=1e-7)
    np.testing.assert_allclose(g.scalar_projection(a, b, metric), product / lengths[1], **near)
    basis = rng.standard_normal((4, 2))
    root = metric.whitening
    right = np.linalg.lstsq(root.T @ basis, (a @ root).T, rcond=None)[0].T
    np.testing.assert_allclose(g.project(a, basis, metric, coordinates=True), right, **near)
    np.testing.assert_allclose(g.project(a, basis, metric), right @ basis.T, **near)
    p = g.projection_matrix(basis, metric)
    np.testing.assert_allclose(p @ p, p, **near)
    np.testing.assert_allclose(inverse @ p, (inverse @ p).T, **near)
    np.testing.assert_allclose(a @ p.T, right @ basis.T, **near)
    rest = (a - right @ basis.T) @ root
    np.testing.assert_allclose(g.reconstruction_error(a, basis, metric), np.linalg.norm(rest, axis=1), **near)
    assert g.is_inner_product(metric) is False
    assert g.is_inner_product(g.Mahalanobis(np.eye(2))) is True


def test_what_the_metric_does_not_see(rng):
    x = plane(rng)
    metric, ones = g.Mahalanobis(np.cov(x.T)), np.ones(4)
    assert g.norm(3 * ones, metric) == 0
    np.testing.assert_allclose(g.distance(x[0] + 5, x[1], metric), g.distance(x[0], x[1], metric), rtol=1e-12)
    with pytest.raises(ValueError, match="angle: x has a vector without length in this metric"):
        g.angle(ones, x[0], metric)
    with pytest.raises(ValueError, match="scalar_projection: onto has no length in this metric"):
        g.scalar_projection(x[0], ones, metric)
    with pytest.raises(np.linalg.LinAlgError, match="dependent basis"):
        g.project(x, np.column_stack([x[0], ones]), metric, coordinates=True)
    np.testing.assert_allclose(
        g.project(x, np.column_stack([x[0], ones]), metric), g.project(x, x[0], metric), atol=1e-12
    )


@every_dtype
def test_dtypes_layouts_and_bits(dtype, rng):
    x = plane(rng).astype(dtype)
    metric = g.Mahalanobis(np.cov(plane(rng).T))
    for f in (lambda y: g.cdist(y, y, metric), lambda y: g.norm(y, metric), lambda y: g.knn(y, y, 3, metric)[0]):
        assert f(x).dtype == dtype
        same_bits(f(np.asfortranarray(x)), f(x))
    assert (np.diagonal(g.cdist(x, x, metric)) == 0).all()
    same_bits(g.cdist(x, x, metric), g.cdist(x, x, metric).T.copy())


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 7), st.integers(0, 3))
@example(741593, 6, 3)
def test_units_do_not_matter(seed, d, missing):
    """Distances between points of which it is the covariance; to the bit where it is not singular."""
    rng = np.random.default_rng(seed)
    rank = max(1, d - missing)
    x = rng.standard_normal((30, rank)) @ rng.integers(-3, 4, (rank, d))
    powers = rng.integers(-250, 250, d)
    covariance = mf.stats.covariance(x)
    metric = g.Mahalanobis(covariance)
    moved = g.Mahalanobis(np.ldexp(covariance, powers[:, None] + powers))
    assert metric.rank == moved.rank == np.linalg.matrix_rank(covariance)
    y = np.ldexp(x, powers)
    expected, got = g.cdist(x, x, metric), g.cdist(y, y, moved)
    if metric.rank == d:
        same_bits(got, expected)
        same_bits(g.norm(y, moved), g.norm(x, metric))
    np.testing.assert_allclose(got, expected, atol=1e-6)
    np.testing.assert_allclose(g.distance(y[:15], y[15:], moved), g.distance(x[:15], x[15:], metric), atol=1e-6)


def test_full_rank_is_the_inverse(rng):
    covariance = spd(rng, 6)
    metric = g.Mahalanobis(covariance)
    x, y = rng.standard_normal((2, 20, 6))
    inverse = np.linalg.inv(covariance)
    np.testing.assert_allclose(g.cdist(x, y, metric), by_pinv(x, y, covariance), rtol=1e-10)
    np.testing.assert_allclose(g.inner(x, y, metric), np.einsum("ij,jk,ik->i", x, inverse, y), atol=1e-10)
    np.testing.assert_allclose(
        g.cdist(x, y, g.Mahalanobis([4.0, 1, 1, 1, 1, 9])), g.cdist(x, y, [0.25, 1, 1, 1, 1, 1 / 9])
    )
    assert g.Mahalanobis(np.zeros((3, 3))).rank == 0
    assert g.cdist(x[:, :3], y[:, :3], g.Mahalanobis(np.zeros((3, 3)))).max() == 0
    assert g.Mahalanobis(np.diag([1.0, 1e-300])).rank == 2
    np.testing.assert_allclose(g.norm([0.0, 1e-150], g.Mahalanobis(np.diag([1.0, 1e-300]))), 1, rtol=1e-12)


def test_object(rng):
    given_ = np.cov(plane(rng).T)
    before = given_.copy()
    metric = g.Mahalanobis(given_)
    assert repr(metric) == "Mahalanobis(covariance of 4 dimensions, rank 3)"
    same_bits(given_, before)
    for other in (pickle.loads(pickle.dumps(metric)), copy.deepcopy(metric)):
        same_bits(other.whitening, metric.whitening)
        assert repr(other) == repr(metric)
        for a in (other.whitening, other.covariance):
            with pytest.raises(ValueError, match="read-only"):
                a[0, 0] = 1
    given_[:] = 0
    same_bits(metric.covariance, before)
    np.testing.assert_allclose(
        metric.whitening @ metric.whitening.T, np.linalg.pinv(before, hermitian=True), atol=1e-12
    )


def test_what_is_no_covariance():
    for covariance, message in (
        ([[1.0, 2.0], [2.0, 1.0]], "no negative eigenvalue"),
        ([[1.0, 2.0], [0.0, 1.0]], "must be symmetric"),
        ([[0.0, 1.0], [1.0, 1.0]], r"entry \(0, 1\) is not 0, but the variance"),
        ([[1.0, np.nan], [np.nan, 1.0]], "NaN or infinity"),
        ([-1.0, 1.0], r"no negative variance, but entry \(0, 0\)"),
        (np.ones((2, 3)), r"square matrix or a vector of variances, got \(2, 3\)"),
        (np.ones((2, 3, 3)), r"got \(2, 3, 3\)"),
        (1.0, r"got \(\)"),
    ):
        with pytest.raises(ValueError, match=f"Mahalanobis: covariance.*{message}"):
            g.Mahalanobis(covariance)
    with pytest.raises(TypeError, match="covariance must be an array, got None"):
        g.Mahalanobis(None)
    with pytest.raises(ValueError, match="cdist: metric is a Mahalanobis of 2 dimensions, but the vectors have 3"):
        g.cdist(np.ones((2, 3)), np.ones((2, 3)), g.Mahalanobis(np.eye(2)))


def test_labels_of_a_covariance():
    pd = pytest.importorskip("pandas")
    x = pd.DataFrame(np.random.default_rng(0).standard_normal((20, 3)), columns=list("abc"))
    metric, other = g.Mahalanobis(x.cov()), g.Mahalanobis(x[["b", "a", "c"]].cov())
    same_bits(g.cdist(x, x, metric), g.cdist(x.to_numpy(), x.to_numpy(), metric))
    for f in (
        lambda m: g.cdist(x, x, m),
        lambda m: g.knn(x, x, 1, m),
        lambda m: g.norm(x, m),
        lambda m: g.inner(x, x, m),
        lambda m: g.project(x, np.ones(3), m),
        lambda m: g.NearestNeighbors(metric=m).fit(x),
    ):
        f(pickle.loads(pickle.dumps(metric)))
        with pytest.raises(ValueError, match="labels of metric are not those of X"):
            f(other) if f.__code__.co_names[1] not in ("norm", "inner", "project") else _as_upper(f, other)
    with pytest.raises(ValueError, match="rows and columns of covariance"):
        g.Mahalanobis(x.cov()[["b", "a", "c"]])


def _as_upper(f, metric):
    """The functions of vectors call their points x."""
    try:
        f(metric)
    except ValueError as error:
        raise ValueError(str(error).replace(" x,", " X,")) from None


# ---- one rule for what will do as a metric ----


def functions(d):
    x = np.random.default_rng(7).standard_normal((4, d))
    return (
        lambda m: g.inner(x, x, m),
        lambda m: g.norm(x, m),
        lambda m: g.distance(x, x[0], m),
        lambda m: g.angle(x, x[::-1], m),
        lambda m: g.scalar_projection(x, x[0], m),
        lambda m: g.project(x, x[0], m),
        lambda m: g.projection_matrix(x[0], m),
        lambda m: g.reconstruction_error(x, x[0], m),
        lambda m: g.cdist(x, x, m),
        lambda m: g.knn(x, x, 1, m),
        lambda m: g.NearestNeighbors(n_neighbors=1, metric=m).fit(x),
    )


def agree(metric):
    decision = g.is_inner_product(metric)
    for f in functions(len(metric)):
        if decision:
            f(metric)
        else:
            with pytest.raises(ValueError, match=r"metric.*(must|has)"):
                f(metric)
    return decision


@settings(deadline=None, max_examples=80)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 6),
    st.floats(0, 18),
    st.sampled_from(["exact", "inverse", "float32", "asymmetric", "integers", "indefinite", "pinv"]),
)
def test_is_inner_product_and_the_functions_agree(seed, d, digits, kind):
    rng = np.random.default_rng(seed)
    q = np.linalg.qr(rng.standard_normal((d, d)))[0]
    values = np.geomspace(1, 10.0**-digits, d)
    if kind == "indefinite":
        values[-1] *= -1
    metric = (q * values) @ q.T
    metric = (metric + metric.T) / 2
    if kind == "inverse":
        try:
            metric = np.linalg.inv(metric)
        except np.linalg.LinAlgError:
            return
    if kind == "asymmetric":
        metric = metric * (1 + 10.0 ** -rng.uniform(0, 17) * rng.standard_normal((d, d)))
    if kind == "pinv":
        metric = np.linalg.pinv(metric, rcond=1e-5)
    if kind == "integers":
        metric = np.round(metric * 10.0 ** rng.integers(1, 15)).astype(np.int64)
    else:
        powers = rng.integers(-60, 61, d)
        moved = np.ldexp(metric, powers[:, None] + powers)
        assert g.is_inner_product(moved) == g.is_inner_product(metric)
        metric = moved
    if kind == "float32":
        with np.errstate(all="ignore"):
            metric = metric.astype(np.float32)
    decision = agree(metric)
    if kind in ("exact", "inverse") and digits <= 10:
        assert decision
    if kind in ("indefinite", "pinv") and digits < 10 and d > 1 and not (kind == "pinv" and digits < 5):
        assert not decision


@pytest.mark.parametrize("inverse", [np.linalg.inv, mf.linalg.inv])
@pytest.mark.parametrize("d", [2, 3, 10, 40])
def test_the_inverse_of_a_covariance_is_taken(d, inverse, rng):
    """Up to a condition of 1e10, though it is symmetric only up to its rounding; it is its symmetric part."""
    for digits in (2, 6, 10):
        q = np.linalg.qr(rng.standard_normal((d, d)))[0]
        covariance = (q * np.geomspace(1, 10.0**-digits, d)) @ q.T
        covariance = (covariance + covariance.T) / 2
        metric = inverse(covariance)
        assert g.is_inner_product(metric)
        x, y = rng.standard_normal((2, 5, d))
        half = (metric + metric.T) / 2
        same_bits(g.cdist(x, y, metric), g.cdist(x, y, half))
        same_bits(g.inner(x, y, metric), g.inner(x, y, half))
        exact = g.cdist(x, y, g.Mahalanobis(covariance))
        np.testing.assert_allclose(g.cdist(x, y, metric), exact, rtol=10.0 ** (digits - 14))


def test_integers_are_decided_exactly_and_used():
    a, b, c = 102334155, 63245986, 39088169  # Fibonacci: a c - b b = 1 or -1
    for metric in ([[a, b], [b, c]], [[b, c], [c, b - c]]):
        exact = metric[0][0] * metric[1][1] - metric[0][1] ** 2
        assert agree(np.array(metric)) is (exact > 0)
    assert agree(np.array([[4, 6], [6, 9]])) is False
    assert agree(np.array([[10**15, 1], [0, 1]])) is False
    x = np.array([b, -a])  # whose length is that of the determinant
    metric = [[a, b], [b, c]] if a * c > b * b else [[b, c], [c, b - c]]
    assert g.norm([1.0, 0.0], metric) == np.sqrt(metric[0][0])
    assert g.inner(x, [1, 0], metric) == float(x[0] * metric[0][0] + x[1] * metric[1][0])


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(-200, 200))
def test_the_unit_of_a_metric_does_not_matter(seed, d, power):
    rng = np.random.default_rng(seed)
    metric, x, y = spd(rng, d), *rng.standard_normal((2, 7, d))
    powers = rng.integers(-50, 50, d)
    moved = np.ldexp(metric, 2 * power - powers[:, None] - powers)
    u, v = np.ldexp(x, powers), np.ldexp(y, powers)
    for f in (g.norm, lambda a, m: g.distance(a, a[::-1], m), lambda a, m: g.cdist(a, a, m)):
        same_bits(f(u, moved), np.ldexp(f(x, metric), power))
    same_bits(g.inner(u, v, moved), np.ldexp(g.inner(x, y, metric), 2 * power))
    same_bits(g.scalar_projection(u, v, moved), np.ldexp(g.scalar_projection(x, y, metric), power))
    np.testing.assert_allclose(g.angle(u, v, moved), g.angle(x, y, metric), rtol=1e-12)
    same_bits(g.knn(u, v, 3, moved).indices, g.knn(x, y, 3, metric).indices)
    basis = np.ldexp(y[:1].T, powers[:, None])
    np.testing.assert_allclose(g.project(u, basis, moved), np.ldexp(g.project(x, y[0], metric), powers), rtol=1e-9)
    narrow = [a.astype(np.float32) for a in (x, y)]
    far = np.ldexp(metric, 2 * power)
    np.testing.assert_allclose(
        g.project(narrow[0], narrow[1][0], far), g.project(narrow[0], narrow[1][0], metric), rtol=1e-4, atol=1e-5
    )


@every_layout
def test_the_layout_of_points_and_metric_changes_no_bit(layout, rng):
    """The centre was a mean, which NumPy sums in an order that depends on the layout."""
    x, y = rng.standard_normal((2, 70, 6)) + 1e3
    metric = spd(rng, 6)
    same_bits(g.cdist(layout(x), layout(y), layout(metric)), g.cdist(x, y, metric))
    got, expected = g.knn(layout(x), layout(y), 4, layout(metric)), g.knn(x, y, 4, metric)
    same_bits(got.distances, expected.distances)
    same_bits(got.indices, expected.indices)


@pytest.mark.parametrize("huge", [1e20, 1e200, np.inf, np.nan])
def test_a_huge_row_does_not_spoil_the_others_in_a_metric(huge, rng):
    """The centre was a mean: one row took the digits of all."""
    x, y = rng.standard_normal((2, 50, 4))
    metric = spd(rng, 4)
    right = g.cdist(x, y, metric)
    y[3, 1] = huge
    got = g.cdist(x, y, metric)
    np.testing.assert_allclose(np.delete(got, 3, axis=1), np.delete(right, 3, axis=1), rtol=1e-12)
    assert not np.isfinite(got[:, 3]).any() or huge < np.inf


CALLS = (
    lambda x, y, m: g.inner(x, y, m),
    lambda x, y, m: g.norm(x, m),
    lambda x, y, m: g.distance(x, y, m),
    lambda x, y, m: g.angle(x, y, m, errors="nan"),
    lambda x, y, m: g.scalar_projection(x, y, m),
    lambda x, y, m: g.cdist(x, y, m),
    lambda x, y, m: g.cdist(x, y, "cosine" if m is None else "sqeuclidean"),
    lambda x, y, m: g.knn(x, y, 2, m),
    lambda x, y, m: g.project(x, y[0], m),
    lambda x, y, m: g.projection_matrix(y[:2].T, m),
    lambda x, y, m: g.reconstruction_error(x, y[:2].T, m),
)


def test_no_warnings_of_numpy_from_inside(rng):
    """Warnings of NumPy leaked."""
    values = [0, 1, -1, 1e308, -1.7e308, 1e-308, 5e-324, 1e200, 1e-200, np.inf, -np.inf, np.nan]
    metrics = (None, spd(rng, 3), np.array([1e300, 1, 1e-300]), g.Mahalanobis(np.ones((3, 3))), np.diag([1e-300] * 3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(100):
            x, y = rng.choice(values, (2, 5, 3))
            for metric in metrics:
                for call in CALLS:
                    with contextlib.suppress(ValueError):
                        call(x, y, metric)
