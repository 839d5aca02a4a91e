"""PCA: accuracy against mpmath, shapes and solvers against the SVD of NumPy, rows in memory, in sparse form, wide."""

from __future__ import annotations

import pickle
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.sparse
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

import mmlfast as mf
from mmlfast.decomposition._dimension import likely_dimension, log_evidence
from mmlfast.decomposition._krylov import dominant_eigenpairs
from mmlfast.decomposition._small_components import ExactProduct

clone = pytest.importorskip("sklearn.base").clone
parametrize_with_checks = pytest.importorskip("sklearn.utils.estimator_checks").parametrize_with_checks

PCA, IncrementalPCA = mf.decomposition.PCA, mf.decomposition.IncrementalPCA


@parametrize_with_checks(
    [PCA(), PCA(n_components=2, whiten=True), PCA(svd_solver="covariance_eigh"), IncrementalPCA(), IncrementalPCA(2)]
)
def test_estimator_follows_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


def exact_variances(x: np.ndarray) -> list[Any]:
    """Eigenvalues of the covariance matrix of exactly these numbers, in decreasing order, to 50 digits."""
    with mpmath.workdps(60):
        n, d = x.shape
        rows = [[mpmath.mpf(float(v)) for v in row] for row in x]
        mean = [mpmath.fsum(row[j] for row in rows) / n for j in range(d)]
        columns = [[row[j] - mean[j] for row in rows] for j in range(d)]
        c = mpmath.matrix(d, d)
        for i in range(d):
            for j in range(i, d):
                c[i, j] = c[j, i] = mpmath.fdot(columns[i], columns[j]) / (n - 1)
        return sorted(mpmath.eigsy(c, eigvals_only=True), reverse=True)


def relative_errors(values: np.ndarray, exact: list[Any]) -> np.ndarray:
    return np.array([float(abs(mpmath.mpf(float(v)) / e - 1)) for v, e in zip(values, exact, strict=False)])


def spectrum_table(rng: Any, n: int, d: int, ratio: float, offset: float) -> np.ndarray:
    """Rows with standard deviations from 1 to `ratio` in rotated directions, and means of `offset`."""
    u = np.linalg.qr(rng.standard_normal((n, min(n, d))))[0]
    v = np.linalg.qr(rng.standard_normal((d, min(n, d))))[0]
    sd = np.geomspace(1, ratio, min(n, d)) * np.sqrt(n)
    return (u * sd) @ v.T + offset * (1 + rng.random(d))


@pytest.mark.parametrize("offset", [0.0, 1.0, 1e4, 1e8])
@pytest.mark.parametrize("ratio", [0.2, 1e-3, 1e-6])
def test_variances_of_a_tall_table_have_twelve_digits(offset: float, ratio: float) -> None:
    x = spectrum_table(np.random.default_rng(3), 80, 7, ratio, offset)
    pca = PCA().fit(x)
    assert relative_errors(pca.explained_variance_, exact_variances(x)).max() <= 1e-12
    np.testing.assert_allclose(pca.components_ @ pca.components_.T, np.eye(7), atol=1e-14)
    assert pca.n_readings_ == (1 if ratio == 0.2 else 2)
    assert ("R factor" in pca.solver_) == (ratio < 0.2)


@pytest.mark.parametrize("offset", [0.0, 1e8])
@pytest.mark.parametrize("ratio", [0.2, 1e-6])
def test_variances_of_a_wide_table_have_twelve_digits(offset: float, ratio: float) -> None:
    x = spectrum_table(np.random.default_rng(4), 8, 30, ratio, offset)
    pca = PCA().fit(x)
    exact = exact_variances(x)[:7]
    assert pca.solver_.startswith("gram")
    assert pca.n_readings_ == (3 if ratio == 0.2 else 4)
    assert relative_errors(pca.explained_variance_[:7], exact).max() <= 1e-12
    assert pca.explained_variance_[7] == 0
    np.testing.assert_allclose(pca.components_ @ pca.components_.T, np.eye(8), atol=1e-14)


@pytest.mark.parametrize("seed", range(3))
def test_variances_on_both_sides_of_the_limit_of_a_second_reading(seed: int) -> None:
    """Rounding turns the components that are kept towards the small ones: not so far that they lose digits."""
    rng = np.random.default_rng(seed)
    u = np.linalg.qr(rng.standard_normal((60, 6)))[0]
    v = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    x = (u - u.mean(axis=0)) * [1, 0.5, 0.05, 0.04, 0.035, 1e-8] @ v.T
    assert relative_errors(PCA().fit(x).explained_variance_, exact_variances(x)).max() <= 1e-12


def test_small_components_of_float32_in_kelvin() -> None:
    rng = np.random.default_rng(0)
    q = np.linalg.qr(rng.standard_normal((8, 8)))[0]
    x = (290 + rng.standard_normal((5000, 8)) * np.geomspace(5, 0.1, 8) @ q).astype(np.float32)
    right = np.linalg.svd((x - x.mean(axis=0, dtype=np.longdouble)).astype(float), compute_uv=False) ** 2 / 4999
    for pca in (PCA().fit(x), IncrementalPCA().fit(x)):
        assert pca.explained_variance_.dtype == np.float32
        assert np.abs(pca.explained_variance_ / right - 1).max() <= 1e-6


@pytest.mark.parametrize("seed", range(3))
def test_whitened_scores_of_decaying_rank_stay_below_their_true_maximum(seed: int) -> None:
    rng = np.random.default_rng(seed)
    latent = rng.standard_normal((1000, 10))
    latent -= latent.mean(axis=0)
    latent = np.linalg.qr(latent)[0] * np.sqrt(999)
    x = latent * np.geomspace(1, 1e-9, 10) @ np.linalg.qr(rng.standard_normal((10, 10)))[0]
    scores = PCA(whiten=True).fit(x).transform(x)
    reliable = 9  # the last direction is known to a few digits only: entries of x are rounded to 1e-16
    assert np.abs(scores).max() <= np.abs(latent).max() * (1 + 1e-6)
    assert np.abs(np.abs(scores[:, :reliable]) - np.abs(latent[:, :reliable])).max() <= 1e-6
    for solver in ("covariance_eigh",):
        rough = PCA(whiten=True, svd_solver=solver).fit_transform(x)
        assert np.abs(rough).max() <= np.abs(latent).max() * 1.1


def test_whitened_scores_are_zero_where_nothing_varies() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((100, 4)) @ rng.standard_normal((4, 6)) * 2.0**-3
    x[:, 5] = 7.0
    for whitened in (PCA(whiten=True).fit_transform(x), IncrementalPCA(whiten=True).fit(x).transform(x)):
        assert np.abs(whitened).max() < 10
        np.testing.assert_allclose(whitened[:, :4].std(axis=0, ddof=1), 1, rtol=1e-9)
    wide = rng.standard_normal((5, 40))
    pca = PCA(whiten=True).fit(wide)
    assert np.all(pca.transform(wide)[:, 4] == 0)
    constant = PCA().fit(np.full((10, 3), 5.0))
    assert np.all(constant.explained_variance_ == 0)
    np.testing.assert_allclose(constant.components_ @ constant.components_.T, np.eye(3), atol=1e-15)


@pytest.mark.parametrize("solver", ["auto", "full", "covariance_eigh", "arpack", "randomized"])
@pytest.mark.parametrize("shape", [(200, 12), (12, 200), (150, 150), (2, 3), (3, 1)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_equals_the_svd_of_the_centred_table(solver: str, shape: tuple[int, int], dtype: Any) -> None:
    x = (np.random.default_rng(5).standard_normal(shape) * np.geomspace(3, 1, shape[1]) + 2).astype(dtype)
    k = max(1, min(shape) - 1)
    if solver == "arpack" and k == min(shape):
        k = None  # type: ignore[assignment]
        if shape[1] == 1:
            return
    pca = PCA(k, svd_solver=solver).fit(x)
    z = x.astype(float) - x.astype(float).mean(axis=0)
    _, sigma, rows = np.linalg.svd(z, full_matrices=False)
    k = pca.n_components_
    rtol = 1e-10 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(pca.singular_values_, sigma[:k], rtol=rtol)
    variances = sigma**2 / (shape[0] - 1)
    # Eigenvalues of a covariance are right relative to the largest one.
    np.testing.assert_allclose(pca.explained_variance_, variances[:k], rtol=rtol, atol=1e-15 * variances[0])
    ratios = variances / variances.sum()
    np.testing.assert_allclose(pca.explained_variance_ratio_, ratios[:k], rtol=rtol, atol=1e-15 * ratios[0])
    rest = sigma[k:] ** 2 / (shape[0] - 1)
    np.testing.assert_allclose(pca.noise_variance_, rest.mean() if k < min(shape) else 0, rtol=1e-4, atol=1e-12)
    close = np.abs(np.sum(pca.components_ * rows[:k], axis=1))
    np.testing.assert_allclose(close, 1, atol=1e-6)
    largest = np.abs(pca.components_).argmax(axis=1)
    assert np.all(pca.components_[np.arange(k), largest] > 0)
    assert pca.components_.dtype == pca.transform(x).dtype == dtype
    np.testing.assert_allclose(pca.transform(x), z @ pca.components_.T, atol=1e-4 if dtype == np.float32 else 1e-12)
    np.testing.assert_allclose(pca.fit_transform(x), pca.transform(x), atol=1e-12)


def test_scores_far_from_the_origin_lose_nothing() -> None:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((300, 5)) + 1e8
    pca = PCA(2).fit(x)
    z = x - x.astype(np.longdouble).mean(axis=0)
    right = z @ pca.components_.T.astype(np.longdouble)
    # The mean itself is rounded to 1e-8.
    assert np.abs(np.diff(pca.transform(x), axis=0) - np.diff(right, axis=0)).max() < 1e-14
    back = pca.inverse_transform(pca.transform(x))
    assert np.abs(back - x).max() < 5


def test_number_of_components() -> None:
    x = np.random.default_rng(6).standard_normal((300, 6)) * [10, 9, 8, 0.1, 0.1, 0.1]
    assert PCA().fit(x).n_components_ == 6
    assert PCA(0).fit(x).transform(x).shape == (300, 0)
    assert PCA(0.9).fit(x).n_components_ == 3
    assert PCA(0.3).fit(x).n_components_ == 1
    assert PCA("mle").fit(x).n_components_ == 3
    assert PCA(np.int64(2)).fit(x).n_components_ == 2
    kept = PCA(0.9).fit(x)
    assert kept.noise_variance_ == pytest.approx(np.linalg.eigvalsh(np.cov(x.T))[:3].mean())
    assert list(kept.get_feature_names_out()) == ["pca0", "pca1", "pca2"]
    assert kept.set_output(transform="default") is kept


def test_dimension_of_largest_evidence() -> None:
    theirs = pytest.importorskip("sklearn.decomposition._pca")
    rng = np.random.default_rng(0)
    for d in (2, 3, 8, 20):
        spectrum = np.sort(rng.exponential(size=d) * np.where(np.arange(d) < d / 2, 5, 0.1))[::-1]
        assert likely_dimension(spectrum, 500) == theirs._infer_dimension(spectrum, 500)
        for rank in range(1, d):
            right = theirs._assess_dimension(spectrum, rank, 500)
            assert log_evidence(spectrum, rank, 500) == pytest.approx(right, rel=1e-12)
    assert log_evidence(np.array([1, 1e-30, 1e-30]), 2, 10) == -np.inf
    with pytest.raises(ValueError, match="rank must be between 1 and 2"):
        log_evidence(np.array([3.0, 2, 1]), 3, 10)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"n_components": 7}, ValueError, "n_components=7 must be between 0 and min"),
        ({"n_components": -1}, ValueError, "n_components=-1"),
        ({"n_components": 1.5}, ValueError, "a fraction between 0 and 1, got 1.5"),
        ({"n_components": "all"}, ValueError, "'mle' or None, got 'all'"),
        ({"n_components": [1]}, TypeError, "got list"),
        ({"svd_solver": "qr"}, ValueError, "svd_solver must be one of"),
        ({"tol": -1.0}, ValueError, "tol must not be negative"),
        ({"n_components": 0, "svd_solver": "arpack"}, ValueError, "must be between 1 and"),
        ({"n_components": 0.5, "svd_solver": "randomized"}, ValueError, "n_components=0.5 must be"),
        ({"n_components": "mle", "svd_solver": "arpack"}, ValueError, "cannot be a string"),
    ],
)
def test_wrong_parameters(parameters: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        PCA(**parameters).fit(np.eye(8, 6))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("shape", [(20, 3), (3, 20)])
def test_nan_and_infinity_are_refused_wherever_they_are(bad: float, shape: tuple[int, int]) -> None:
    for at in ((0, 0), (shape[0] - 1, shape[1] - 1), (1, 2)):
        x = np.random.default_rng(0).standard_normal(shape)
        x[at] = bad
        for estimator in (PCA(2), PCA(1, svd_solver="arpack"), IncrementalPCA(2)):
            with pytest.raises(ValueError, match=r"NaN|infinity"):
                estimator.fit(x)
        with pytest.raises(ValueError, match=r"NaN|infinity"):
            PCA(1).fit(np.ones(shape)).transform(x)


def test_wrong_rows() -> None:
    with pytest.raises(ValueError, match="2D array"):
        PCA().fit(np.ones(5))
    with pytest.raises((TypeError, ValueError), match=r"[Cc]omplex"):
        PCA().fit(np.ones((5, 2), complex))
    with pytest.raises(ValueError, match="features"):
        PCA(1).fit(np.eye(4)).transform(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"shape \(n, 1\), got shape \(2, 3\)"):
        PCA(1).fit(np.eye(4)).inverse_transform(np.ones((2, 3)))
    with pytest.raises(ValueError, match="overflows"):
        PCA(1).fit(np.array([[1e200, 0], [-1e200, 1], [0, 2]]))
    with pytest.raises(ValueError, match="overflows"):
        PCA(1).fit(np.array([[1e200, 0, 1], [-1e200, 1, 1]]))
    constant = PCA(2, svd_solver="arpack").fit(np.ones((100, 90)))
    assert np.all(constant.explained_variance_ == 0)


@pytest.mark.parametrize("shape", [(3000, 400), (400, 3000)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_krylov_method(shape: tuple[int, int], dtype: Any) -> None:
    rng = np.random.default_rng(7)
    x = (spectrum_table(rng, *shape, 1e-3, 0.0) + 100 * rng.random(shape[1])).astype(dtype)
    krylov = PCA(6, svd_solver="randomized", random_state=1).fit(x)
    right = PCA(6, svd_solver="full").fit(x)
    assert krylov.solver_ == "krylov"
    tol = 1e-10 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(krylov.explained_variance_, right.explained_variance_, rtol=tol)
    np.testing.assert_allclose(krylov.components_, right.components_, atol=1e-8 if dtype == np.float64 else 1e-3)
    np.testing.assert_allclose(krylov.noise_variance_, right.noise_variance_, rtol=1e-5)
    rough = PCA(6, svd_solver="arpack", tol=1e-4).fit(x)
    assert rough.n_readings_ < krylov.n_readings_
    np.testing.assert_allclose(rough.explained_variance_, right.explained_variance_, rtol=1e-4)


def test_krylov_method_says_when_it_does_not_converge() -> None:
    matrix = np.diag(1 + np.arange(3000) * 1e-7)
    pairs = dominant_eigenpairs(lambda v: matrix @ v, 3000, 3, tol=1e-14, block=4, seed=0, max_products=6)
    assert not pairs.converged
    assert pairs.products == 6
    few = dominant_eigenpairs(lambda v: matrix[:12, :12] @ v, 12, 3, tol=0, block=5, seed=0, max_products=50)
    assert few.converged  # the basis is the whole space
    np.testing.assert_allclose(few.values, np.diagonal(matrix)[11:8:-1], rtol=1e-14)


@pytest.mark.parametrize("form", [scipy.sparse.csr_array, scipy.sparse.csc_matrix])
@pytest.mark.parametrize("shape", [(600, 300), (300, 600), (500, 20)])
def test_sparse_rows(form: Any, shape: tuple[int, int]) -> None:
    x = scipy.sparse.random(*shape, density=0.05, random_state=8, format="csr")
    x = form(x.multiply(np.geomspace(5, 0.5, shape[1])))
    right = PCA(4, svd_solver="full").fit(x.toarray())
    for solver in ("auto", "arpack", "covariance_eigh"):
        pca = PCA(4, svd_solver=solver).fit(x)
        np.testing.assert_allclose(pca.explained_variance_, right.explained_variance_, rtol=1e-10)
        np.testing.assert_allclose(pca.explained_variance_ratio_, right.explained_variance_ratio_, rtol=1e-10)
        np.testing.assert_allclose(pca.transform(x), right.transform(x.toarray()), atol=1e-6)
    with pytest.raises(TypeError, match="sparse"):
        PCA(4, svd_solver="full").fit(x)


def test_likelihood_of_the_probabilistic_model() -> None:
    rng = np.random.default_rng(9)
    x = rng.standard_normal((200, 5)) @ rng.standard_normal((5, 5)) + 3
    for whiten in (False, True):
        for k in (2, 5):
            pca = PCA(k, whiten=whiten).fit(x)
            model = scipy.stats.multivariate_normal(pca.mean_, pca.get_covariance())
            np.testing.assert_allclose(pca.score_samples(x), model.logpdf(x), rtol=1e-10)
            np.testing.assert_allclose(pca.get_precision() @ pca.get_covariance(), np.eye(5), atol=1e-10)
            assert pca.score(x) == pytest.approx(model.logpdf(x).mean())
    singular = PCA().fit(np.diag([1.0, 2, 3, 0]))
    np.testing.assert_allclose(singular.get_precision(), np.linalg.pinv(singular.get_covariance()), atol=1e-12)


def test_pickles_and_clones() -> None:
    x = np.random.default_rng(10).standard_normal((50, 4))
    for estimator in (PCA(2, whiten=True), IncrementalPCA(2)):
        fitted = clone(estimator).fit(x)
        again = pickle.loads(pickle.dumps(fitted))
        assert np.array_equal(again.transform(x), fitted.transform(x))


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 40), st.integers(1, 8), st.integers(0, 2**31), st.sampled_from([0.5, 4.0, 1024.0]))
def test_translation_scale_and_order_of_rows(n: int, d: int, seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    x = np.round(rng.standard_normal((n, d)) * 1024) / 1024  # translations are exact
    pca, moved = PCA().fit(x), PCA().fit(x * scale + 4096.0)
    largest = pca.explained_variance_.max()
    np.testing.assert_allclose(
        moved.explained_variance_, pca.explained_variance_ * scale**2, rtol=1e-12, atol=1e-28 * largest
    )
    shuffled = PCA().fit(x[rng.permutation(n)])
    np.testing.assert_allclose(shuffled.explained_variance_, pca.explained_variance_, rtol=1e-11, atol=1e-28 * largest)
    assert pca.explained_variance_ratio_.sum() <= 1 + 1e-14 or largest == 0


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 6), st.integers(1, 30), st.integers(0, 2**31))
def test_product_without_error(rows: int, d: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, d)) * np.exp(rng.uniform(-20, 20, d)) + 1e8
    shift, v = x.mean(axis=0), rng.standard_normal((d, 2))
    with mpmath.workdps(80):
        right = [
            [
                mpmath.fdot([mpmath.mpf(a) - mpmath.mpf(s) for a, s in zip(row, shift, strict=True)], column)
                for column in v.T
            ]
            for row in x
        ]
        size = np.linalg.norm(x - shift, axis=1)[:, None] * np.linalg.norm(v, axis=0)
        errors = np.array(
            [
                [abs(a - b) for a, b in zip(ours, exact, strict=True)]
                for ours, exact in zip(ExactProduct(v)(x, shift), right, strict=True)
            ],
            float,
        )
        assert np.all(errors <= 2.0**-52 * np.abs(np.array(right, float)) + 2.0**-68 * size)


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("make", [PCA, IncrementalPCA])
def test_attributes_set_by_hand_are_used(make: Any, whiten: bool, rng: np.random.Generator) -> None:
    """A mean or components of one's own, after a fit or without one: transform took the mean of the fit."""
    x = rng.standard_normal((20, 4)) + 5
    own = {
        "components_": np.linalg.qr(rng.standard_normal((4, 2)))[0].T,
        "mean_": np.arange(4.0),
        "explained_variance_": np.array([4.0, 0.25]),
        "noise_variance_": 0.125,
    }
    theirs = pytest.importorskip("sklearn.decomposition").PCA(2, whiten=whiten).fit(x)
    fitted, fresh = make(2, whiten=whiten).fit(x), PCA(2, whiten=whiten)
    for model in (theirs, fitted, fresh):
        for name, value in own.items():
            setattr(model, name, value)
    scores = theirs.transform(x)
    for model in (fitted, fresh):
        theirs.whiten = whiten
        np.testing.assert_allclose(model.transform(x), scores, rtol=1e-12)
        np.testing.assert_allclose(model.inverse_transform(scores), theirs.inverse_transform(scores), rtol=1e-12)
        model.whiten = theirs.whiten = False  # scikit-learn scales a whitened model twice here
        np.testing.assert_allclose(model.get_covariance(), theirs.get_covariance(), rtol=1e-12)
        np.testing.assert_allclose(model.score_samples(x), theirs.score_samples(x), rtol=1e-10)
