"""Seconds, and nothing but numpy, scipy and pytest: the file that is run against each wheel.

Every public module once, with an answer that is known.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator

import numpy as np
import pytest

import mmlfast as mf


@pytest.fixture(autouse=True)
def no_flags_of_numpy() -> Iterator[None]:
    """Under emulation the products of NumPy's BLAS leave floating-point flags, of which NumPy warns: its own affair."""
    with np.errstate(all="ignore"):
        yield


def test_version():
    try:
        installed = importlib.metadata.version("mmlfast")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("run from a source tree, not installed")
    assert mf.__version__ == installed


def test_config():
    config = mf.show_config(mode="dicts")
    assert config is not None
    assert config["SIMD in use"] in config["SIMD compiled"]
    assert config["threads"] >= 1


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [1, 3, 8, 20, 50])
def test_elimination(n, dtype):
    rng = np.random.default_rng(20)
    a, x = rng.standard_normal((20, n, n)).astype(dtype), rng.standard_normal((20, n, 2)).astype(dtype)
    b = a @ x
    tolerance = 100 * n * np.finfo(dtype).eps * np.linalg.cond(a).max()
    np.testing.assert_allclose(mf.linalg.solve(a, b), x, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(mf.linalg.inv(a) @ a, np.broadcast_to(np.eye(n), a.shape), atol=tolerance)
    sign, logabs = mf.linalg.slogdet(a)
    np.testing.assert_array_equal(sign, np.linalg.slogdet(a).sign)
    np.testing.assert_allclose(logabs, np.linalg.slogdet(a).logabsdet, atol=tolerance)
    np.testing.assert_allclose(mf.linalg.det(a[0]), np.linalg.det(a[0]), rtol=tolerance)


@pytest.mark.parametrize("n", [1, 3, 8, 20, 50, 150])
def test_cholesky(n):
    x = np.random.default_rng(22).standard_normal((20, n, n))
    a = x @ x.mT + np.eye(n)
    np.testing.assert_allclose(mf.linalg.cholesky(a), np.linalg.cholesky(a), atol=1e-10)
    np.testing.assert_allclose(mf.linalg.cholesky(a[0], upper=True), np.linalg.cholesky(a[0]).T, atol=1e-10)


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (8, 5), (20, 50), (150, 150)])
def test_lu(shape):
    a = np.random.default_rng(23).standard_normal((20, *shape))
    p, lower, upper = mf.linalg.lu(a)
    np.testing.assert_allclose(p @ lower @ upper, a, atol=1e-11)
    np.testing.assert_allclose(mf.linalg.lu(a[0], permute_l=True).PL @ upper[0], a[0], atol=1e-11)


@pytest.mark.parametrize("n", [1, 2, 3, 8, 20, 50, 150])
def test_eigh(n):
    x = np.random.default_rng(23).standard_normal((20, n, n))
    a = x + x.mT
    values, vectors = mf.linalg.eigh(a)
    np.testing.assert_allclose(values, np.linalg.eigvalsh(a), atol=1e-12 * n)
    np.testing.assert_allclose(vectors @ (values[..., None] * vectors.mT), a, atol=1e-12 * n)
    np.testing.assert_allclose(mf.linalg.eigvalsh(a[0], "U"), values[0], atol=1e-12 * n)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("d", [2, 3, 20, 100])
def test_distances_and_neighbors(d, dtype):
    rng = np.random.default_rng(24)
    x, y = rng.standard_normal((30, d)).astype(dtype), rng.standard_normal((500, d)).astype(dtype)
    near = {"rtol": 10 * d * np.finfo(dtype).eps}
    differences = x[:, None].astype(float) - y
    distances = np.sqrt((differences**2).sum(axis=-1))
    np.testing.assert_allclose(mf.geometry.cdist(x, y), distances, **near)
    np.testing.assert_allclose(mf.geometry.distance(x, y[:30]), distances[range(30), range(30)], **near)
    np.testing.assert_allclose(mf.geometry.norm(x), np.linalg.norm(x.astype(float), axis=1), **near)
    np.testing.assert_allclose(mf.geometry.angle(x[0], -x[0]), np.pi, **near)
    found = mf.geometry.knn(x, y, 4)
    np.testing.assert_array_equal(found.indices, np.argsort(distances, axis=1)[:, :4])
    np.testing.assert_allclose(found.distances, np.sort(distances, axis=1)[:, :4], **near)
    estimator = mf.geometry.NearestNeighbors(n_neighbors=4).fit(y)
    np.testing.assert_array_equal(estimator.kneighbors(x, return_distance=False), found.indices)
    assert mf.geometry.is_inner_product(np.eye(d))


def test_singular_item():
    a = np.stack([np.eye(3)] * 4)
    a[2] = 0
    with pytest.raises(np.linalg.LinAlgError, match=r"index \(2,\)"):
        mf.linalg.inv(a)
    assert np.isnan(mf.linalg.inv(a, errors="nan")).all(axis=(1, 2)).tolist() == [False, False, True, False]


def test_exact_elimination():
    a = np.arange(1, 10).reshape(3, 3)
    assert mf.linalg.det(a) == 0
    assert mf.linalg.is_singular(a)
    assert mf.linalg.row_echelon(a).form.tolist() == [[1, 0, -1], [0, 1, 2], [0, 0, 0]]
    assert mf.linalg.characteristic_polynomial(a).tolist() == [1, -15, -18, 0]
    with pytest.raises(np.linalg.LinAlgError):
        mf.linalg.inv(a)
    hadamard = np.array([[1, 1], [1, -1]])
    for _ in range(4):
        hadamard = np.kron([[1, 1], [1, -1]], hadamard)
    assert mf.linalg.det(hadamard) == 2.0**80


def test_threads_give_the_same_bits():
    a = np.random.default_rng(21).standard_normal((100_000, 3, 3))
    mf.set_num_threads(1)
    one = mf.linalg.inv(a)
    mf.set_num_threads(4)
    many = mf.linalg.inv(a)
    mf.set_num_threads(None)
    assert one.tobytes() == many.tobytes()


def test_gram_schmidt():
    a = np.vander(np.linspace(0, 1, 12), 6)
    a = np.concatenate([a, a[:, :1]], axis=1)  # the last column depends on the others
    for method in ("cgs2", "householder"):
        result = mf.linalg.gram_schmidt(a, method=method)
        assert result.rank == 6
        basis = np.asarray(result.basis)[:, :6]
        np.testing.assert_allclose(basis.T @ basis, np.eye(6), atol=1e-14)
        np.testing.assert_allclose(basis @ (basis.T @ a), a, atol=1e-13)


def test_tall_qr_and_rfactor():
    a = np.vander(np.linspace(0, 1, 3000), 12)
    q, r = mf.linalg.qr(a)
    np.testing.assert_allclose(q @ r, a, atol=1e-13)
    np.testing.assert_allclose(q.T @ q, np.eye(12), atol=1e-13)
    state = mf.linalg.RFactor().update(a[:1000]).merge(mf.linalg.RFactor().update(a[1000:]))
    np.testing.assert_allclose(state.singular_values(), np.linalg.svd(a, compute_uv=False), atol=1e-12)


@pytest.mark.parametrize("shape", [(3, 3), (7, 4), (40, 36)])
def test_qr_and_lstsq(shape):
    a = np.random.default_rng(23).standard_normal((10, *shape))
    q, r = mf.linalg.qr(a)
    np.testing.assert_allclose(q @ r, a, atol=1e-13)
    np.testing.assert_allclose(q.swapaxes(-1, -2) @ q, np.broadcast_to(np.eye(shape[1]), r.shape), atol=1e-13)
    x = np.ones((10, shape[1], 1))
    fit = mf.linalg.lstsq(a, a @ x)
    np.testing.assert_allclose(fit.x, x, atol=1e-9)
    assert (fit.rank == shape[1]).all()


def test_products_and_transformations():
    rng = np.random.default_rng(23)
    for n in (1, 2, 3, 8, 17, 33):
        a, b = rng.standard_normal((2, 9, n, n))
        np.testing.assert_allclose(mf.linalg.matmul(a, b), np.matmul(a, b), atol=1e-12)
        np.testing.assert_allclose(mf.linalg.matvec(a, b[:, 0]), np.matmul(a, b[:, 0, :, None])[..., 0], atol=1e-12)
        np.testing.assert_allclose(mf.linalg.einsum("bij,bkj->bik", a, b), a @ b.swapaxes(1, 2), atol=1e-12)
        np.testing.assert_allclose(mf.linalg.vecdot(a, b), (a * b).sum(axis=-1), atol=1e-12)
    mirror = mf.linalg.reflection_matrix(basis=[[1.0], [1.0]])
    np.testing.assert_allclose(mf.linalg.transform([[1.0, 0.0]], mirror), [[0.0, 1.0]], atol=1e-15)
    np.testing.assert_allclose(mf.linalg.rotation_matrix(np.pi), -np.eye(2), atol=1e-15)


@pytest.mark.parametrize("shape", [(3, 3), (9, 5), (5, 9), (20, 20), (50, 40)])
def test_svd(shape):
    a = np.random.default_rng(23).standard_normal((3, *shape))
    u, s, vh = mf.linalg.svd(a, full_matrices=False)
    np.testing.assert_allclose((u * s[:, None]) @ vh, a, atol=1e-12)
    np.testing.assert_allclose(mf.linalg.svdvals(a), np.linalg.svd(a, compute_uv=False), rtol=1e-11)
    np.testing.assert_allclose(mf.linalg.pinv(a), np.linalg.pinv(a), atol=1e-10)
    np.testing.assert_allclose(mf.linalg.cond(a), np.linalg.cond(a), rtol=1e-10)
    assert mf.linalg.matrix_rank(a).tolist() == [min(shape)] * 3
    assert mf.linalg.null_space(a[0]).shape == (shape[1], max(shape[1] - shape[0], 0))


def test_power_iteration():
    a = np.array([[2.0, 1.0], [1.0, 2.0]])
    result = mf.linalg.power_iteration(a)
    assert result.converged
    assert abs(float(result.value) - 3) < 1e-10
    np.testing.assert_allclose(np.abs(result.vector), np.sqrt([0.5, 0.5]), atol=1e-6)
    np.testing.assert_allclose(mf.linalg.power_iteration(np.diag([8.0, 8.0, 4.0]), k=2).value, [8, 8], atol=1e-10)


def test_stats():
    rng = np.random.default_rng(22)
    x = rng.standard_normal((1000, 3)) + 1e8
    exact = np.cov(x - 1e8, rowvar=False)
    np.testing.assert_allclose(mf.stats.covariance(x), exact, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(mf.stats.mean(x), x.mean(axis=0), rtol=1e-14)
    moments = mf.stats.Moments()
    for chunk in np.array_split(x, 7):
        moments.update(chunk)
    assert np.asarray(moments.covariance()).tobytes() == np.asarray(mf.stats.covariance(x)).tobytes()
    groups = x.reshape(20, 50, 3)
    assert np.asarray(mf.stats.covariance(groups)[7]).tobytes() == np.asarray(mf.stats.covariance(groups[7])).tobytes()
    moved = mf.stats.affine_moments([1.0, 2.0], np.eye(2), [[1.0, 1.0]], [3.0])
    np.testing.assert_allclose([moved.mean[0], moved.covariance[0, 0]], [6.0, 2.0])
    x[3, 1] = np.nan
    np.testing.assert_allclose(mf.stats.mean(x, nan_policy="omit"), np.nanmean(x, axis=0), rtol=1e-14)


def test_decomposition():
    rng = np.random.default_rng(23)
    x = rng.standard_normal((500, 4)) * [1, 0.1, 1e-4, 1e-7] + 1e3
    right = np.linalg.svd(x - x.mean(axis=0), compute_uv=False) ** 2 / 499
    pca = mf.decomposition.PCA().fit(x)
    np.testing.assert_allclose(pca.explained_variance_, right, rtol=1e-5)
    pieces = mf.decomposition.IncrementalPCA(2)
    for chunk in np.array_split(x, 5):
        pieces.partial_fit(chunk)
    assert np.array_equal(pieces.components_, mf.decomposition.PCA(2).fit(x).components_)
    assert mf.decomposition.pca(rng.standard_normal((10, 20, 3)), 2).components.shape == (10, 2, 3)


def test_linear_model():
    t = 1.7e9 + 60 * np.arange(30.0)
    labels = np.arange(30) % 3
    fit = mf.linear_model.linear_fit(t, 3 + 0.25 * (t - 1.7e9), groups=labels)
    np.testing.assert_allclose(fit.slope, 0.25, rtol=1e-14)
    model = mf.linear_model.LinearRegression().fit(t[:, None], t)
    assert model.coef_.tolist() == [1]
    assert mf.stats.mean(t, groups=labels).groups.tolist() == [0, 1, 2]


def test_curve_fit_many():
    t = np.linspace(0, 5, 20)
    amplitudes = np.arange(1.0, 10)
    y = amplitudes[:, None] * np.exp(-t / 1.5)
    fits = mf.optimize.curve_fit_many(lambda t, a, tau: a * np.exp(-t / tau), t, y)
    np.testing.assert_allclose(fits.params, np.stack([amplitudes, np.full(9, 1.5)], 1), rtol=1e-12)
    assert fits.status.tolist() == [1] * 9


def test_least_squares():
    t = np.linspace(0, 5, 20)
    found = mf.optimize.least_squares(lambda p: p[0] * np.exp(-t / p[1]) - 2 * np.exp(-t / 1.5), [1.0, 1.0])
    np.testing.assert_allclose(found.x, [2, 1.5], rtol=1e-14)
    assert found.derivatives == "exact"


def test_roots_and_minima():
    assert mf.optimize.newton(lambda x: x**3 - 1, 1.5) == 1
    assert mf.optimize.newton_many(lambda x: x**3 - x, np.linspace(-2, 2, 100)).converged.all()

    def valley(v):
        return (1 - v[0]) ** 2 + 100 * (v[1] - v[0] ** 2) ** 2

    for method in ("newton", "bfgs"):
        np.testing.assert_allclose(mf.optimize.minimize(valley, [-1.2, 1.0], method=method).x, 1, rtol=1e-12)
    runs = mf.optimize.gradient_descent(lambda v: np.sum(v**2), [1.0, 2.0], learning_rate=np.linspace(0.1, 0.9, 20))
    assert runs.success.all()
    points = mf.optimize.lagrange(lambda v: v[0] * v[1], lambda v: np.sum(v**2) - 1, [0.3, 0.4]).points
    assert [p.kind for p in points] == ["minimum", "minimum", "maximum", "maximum"]


def test_geometry():
    basis = np.array([[1.0], [2.0], [2.0]])
    onto = basis @ basis.T / 9
    np.testing.assert_allclose(mf.geometry.projection_matrix(basis), onto, atol=1e-15)
    np.testing.assert_allclose(mf.geometry.project(np.array([[9.0, 0.0, 0.0]]), basis), [[1.0, 2.0, 2.0]], atol=1e-14)


def test_network():
    x = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = np.array([[0.0], [1.0], [1.0], [0.0]])
    network = mf.neural_network.Network((2, 8, 1), seed=1)
    assert len(network.gradients(x, y)) == 2
    before = network.loss(x, y)
    losses = network.fit(x, y, epochs=2000, batch_size=4, learning_rate=0.5)
    assert len(losses) == network.epoch == 2000
    assert network.loss(x, y) < 0.01 < before
    np.testing.assert_allclose(network.forward(x), y, atol=0.3)
