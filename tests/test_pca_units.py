"""PCA in any unit and of tables of exact rank.

References: the same table in an ordinary unit (powers of two change no digit); SciPy; what theory says.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from sklearn.model_selection import GridSearchCV

import mmlfast as mf
from mmlfast.decomposition import _incremental_pca
from mmlfast.decomposition._dimension import likely_dimension

PCA, IncrementalPCA = mf.decomposition.PCA, mf.decomposition.IncrementalPCA
Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(11)

EXACT_RANK = {
    "outer": np.outer(np.arange(30.0), [2, 1, 3, 1]),
    "zero": np.zeros((10, 3)),
    "constant": np.full((10, 3), 5.1),
    "constant column": np.c_[RNG.standard_normal((20, 2)), np.full(20, 0.1)],
    "more columns than rows": RNG.standard_normal((4, 9)),
    "wide of rank one": np.outer(RNG.standard_normal(4), RNG.standard_normal(9)),
    "singular square": np.diag([1.0, 2, 3, 0]),
    "two rows": RNG.standard_normal((2, 5)),
    "wide integers": np.outer(np.arange(8.0), np.arange(300)),
    "rank three": RNG.standard_normal((500, 3)) @ RNG.standard_normal((3, 8)),
    "large of rank one": np.outer(RNG.standard_normal(210), RNG.standard_normal(204)),
    "one column": RNG.standard_normal((9, 1)),
    "columns twice": np.repeat(RNG.standard_normal((50, 2)), 3, axis=1),
}
SOLVERS = ("auto", "full", "covariance_eigh", "arpack", "randomized")


def models(n: int, d: int) -> Any:
    for solver, whiten in itertools.product(SOLVERS, (False, True)):
        most = min(n, d) - (solver == "arpack")
        for k in sorted({0, 1, 2, most - 1, most}):
            if (solver not in ("arpack", "randomized") or k > 0) and 0 <= k <= most:
                yield PCA(k, whiten=whiten, svd_solver=solver)
        if solver not in ("arpack", "randomized"):
            yield from (PCA(k, whiten=whiten, svd_solver=solver) for k in (0.5, 0.95))
            if n >= d:
                yield PCA("mle", whiten=whiten, svd_solver=solver)
    yield from (IncrementalPCA(k, whiten=whiten) for k in {1, min(n, d)} for whiten in (False, True))


def test_pca_of_a_table_of_exact_rank() -> None:
    x = np.outer(np.arange(30.0), [2, 1, 3, 1])
    p = PCA(1).fit(x)
    assert p.noise_variance_ == 0
    assert np.isfinite(p.score(x))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", EXACT_RANK)
def test_variances_are_not_negative_and_likelihoods_are_defined(name: str, dtype: Any) -> None:
    x = EXACT_RANK[name].astype(dtype)
    all_models = list(models(*x.shape))
    for model in all_models[(dtype == np.float32) :: 7] if x.size > 10_000 else all_models:
        model.fit(x)
        assert model.noise_variance_ >= 0
        assert (model.explained_variance_ >= 0).all()
        assert (model.singular_values_ >= 0).all()
        scores = model.score_samples(x)
        if name in ("zero", "constant"):
            assert (scores == np.inf).all()
            assert (model.score_samples(x + dtype(1)) == -np.inf).all()
        else:
            assert np.isfinite(scores).all()
            assert np.isfinite(model.score(x))
        covariance, precision = model.get_covariance(), model.get_precision()
        assert np.array_equal(covariance, covariance.T)
        assert np.array_equal(precision, precision.T)
        assert np.isfinite(covariance).all()
        assert np.isfinite(precision).all()
        whitened = model.transform(x)
        assert np.isfinite(whitened).all()
        if model.whiten:
            assert np.abs(whitened).max(initial=0) <= np.sqrt(len(x)) * (1 + 1e-3)


@pytest.mark.parametrize("name", ["outer", "rank three", "columns twice", "constant column"])
@pytest.mark.parametrize("unit", [1.0, 2.0**-300, 2.0**300])
def test_grid_search_over_the_number_of_components(name: str, unit: float) -> None:
    x = EXACT_RANK[name]
    rank = np.linalg.matrix_rank(x - x.mean(axis=0))
    x = x[np.random.default_rng(0).permutation(len(x))] * unit
    search = GridSearchCV(PCA(), {"n_components": list(range(x.shape[1] + 1))}, cv=3).fit(x)
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    assert scores[rank] - scores[:rank].max(initial=-np.inf) > 10  # the rank shows
    assert scores[rank:].max() - scores[rank] < 1


def test_a_precision_of_a_singular_model_is_the_pseudoinverse() -> None:
    for name in ("outer", "two rows", "rank three"):
        x = EXACT_RANK[name]
        model = PCA().fit(x)
        covariance, precision = model.get_covariance(), model.get_precision()
        size = np.abs(covariance).max()
        np.testing.assert_allclose(covariance @ precision @ covariance, covariance, atol=1e-11 * size)


def test_small_noise_is_found_by_a_second_reading() -> None:
    """Rounding of the covariance matrix would hide it."""
    rng = np.random.default_rng(5)
    for shape, solver in (((400, 6), "full"), ((6, 400), "full"), ((300, 260), "randomized"), ((300, 260), "full")):
        left = rng.standard_normal((shape[0], 2)) @ rng.standard_normal((2, shape[1]))
        x = left + 1e-8 * rng.standard_normal(shape)
        model = PCA(2, svd_solver=solver).fit(x)
        z = (x - x.astype(np.longdouble).mean(axis=0)).astype(float)
        rest = (np.linalg.svd(z, compute_uv=False)[2:] ** 2).sum() / (shape[0] - 1)
        assert model.noise_variance_ == pytest.approx(rest / (min(shape) - 2), rel=1e-5)


# ---- units ----


def same_but_for_the_unit(make: Any, x: Array, powers: tuple[int, ...]) -> None:
    plain = make().fit(x)
    scores, likelihood = plain.transform(x), plain.score_samples(x)
    for power in powers:
        y = np.ldexp(x, power)
        model = make().fit(y)
        assert model.n_components_ == plain.n_components_
        np.testing.assert_allclose(model.components_, plain.components_, rtol=0, atol=1e-12)
        with np.errstate(over="ignore", under="ignore"):
            variance = np.ldexp(plain._values, 2 * power + 2 * plain._exponent).astype(x.dtype)
            covariance = np.ldexp(plain.get_covariance(), 2 * power)
        np.testing.assert_allclose(model.explained_variance_, variance, rtol=1e-12)
        np.testing.assert_allclose(model.explained_variance_ratio_, plain.explained_variance_ratio_, rtol=1e-12)
        np.testing.assert_allclose(model.singular_values_, np.ldexp(plain.singular_values_, power), rtol=1e-6)
        np.testing.assert_allclose(model.noise_variance_, np.ldexp(plain.noise_variance_, 2 * power), rtol=1e-9)
        size = np.abs(covariance[np.isfinite(covariance)]).max(initial=0)
        np.testing.assert_allclose(model.get_covariance(), covariance, rtol=1e-6, atol=1e-9 * size)
        moved = scores if model.whiten else np.ldexp(scores, power)
        np.testing.assert_allclose(model.transform(y), moved, rtol=1e-5, atol=1e-6 * np.abs(moved).max(initial=0))
        shift = x.shape[1] * power * np.log(2)
        np.testing.assert_allclose(model.score_samples(y) + shift, likelihood, rtol=1e-6, atol=1e-6 * abs(shift))
        back = model.inverse_transform(model.transform(y))
        again = np.ldexp(plain.inverse_transform(scores), power)
        np.testing.assert_allclose(back, again, rtol=1e-4, atol=1e-5 * np.abs(y).max())


POWERS = {np.float64: (-500, -300, -120, -30, 30, 120, 300, 500), np.float32: (-100, -80, -20, 20, 66, 100)}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("shape", "k"), [((60, 5), 2), ((12, 40), 4), ((40, 3), 3), ((60, 5), 0.9), ((60, 5), "mle")])
@pytest.mark.parametrize("solver", ["auto", "covariance_eigh", "incremental"])
@pytest.mark.parametrize("whiten", [False, True])
def test_pca_in_any_unit(shape: tuple[int, int], k: Any, solver: str, whiten: bool, dtype: Any) -> None:
    rng = np.random.default_rng(1)
    x = (rng.standard_normal(shape) @ rng.standard_normal((shape[1], shape[1])) + 3).astype(dtype)
    if solver == "incremental":
        if isinstance(k, int):
            same_but_for_the_unit(lambda: IncrementalPCA(k, whiten=whiten), x, POWERS[dtype])
        return
    same_but_for_the_unit(lambda: PCA(k, svd_solver=solver, whiten=whiten), x, POWERS[dtype])


@pytest.mark.parametrize("solver", ["auto", "covariance_eigh", "arpack"])
@pytest.mark.parametrize("shape", [(50, 4), (4, 50), (110, 100)])
def test_components_of_rows_whose_variances_float64_cannot_hold(shape: tuple[int, int], solver: str) -> None:
    x = np.random.default_rng(12).standard_normal(shape)
    plain = PCA(2, svd_solver=solver, whiten=True).fit(x)
    for power in (-530, -700, -900):
        model = PCA(2, svd_solver=solver, whiten=True).fit(np.ldexp(x, power))
        np.testing.assert_allclose(model.components_, plain.components_, atol=1e-9)
        np.testing.assert_allclose(model.explained_variance_ratio_, plain.explained_variance_ratio_, rtol=1e-9)
        np.testing.assert_allclose(model.singular_values_, np.ldexp(plain.singular_values_, power), rtol=1e-9)
        np.testing.assert_allclose(model.transform(np.ldexp(x, power)), plain.transform(x), atol=1e-9)
    assert model.fit(x).explained_variance_[0] == plain.explained_variance_[0]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_krylov_method_in_any_unit(dtype: Any) -> None:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((150, 4)) @ rng.standard_normal((4, 120)) + 0.1 * rng.standard_normal((150, 120))
    same_but_for_the_unit(lambda: PCA(3, svd_solver="randomized"), x.astype(dtype), POWERS[dtype])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_exact_rank_in_any_unit(dtype: Any) -> None:
    rng = np.random.default_rng(3)
    x = np.asarray(rng.standard_normal((80, 2)) @ rng.standard_normal((2, 5)), dtype)
    for k in range(6):
        same_but_for_the_unit(lambda k=k: PCA(k, whiten=True), x, POWERS[dtype])


def test_incremental_pca_of_many_columns_in_any_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_incremental_pca, "LARGEST_EXACT", 50)
    rng = np.random.default_rng(4)
    x = rng.standard_normal((40, 8)) @ rng.standard_normal((8, 60))
    same_but_for_the_unit(lambda: IncrementalPCA(3, whiten=True), x, (-500, 450))


def test_sparse_rows_in_any_unit() -> None:
    x = scipy.sparse.random(300, 40, density=0.1, random_state=8, format="csr")
    plain = PCA(3).fit(x)
    for power in (-500, -80, 80, 500):
        model = PCA(3).fit(x * 2.0**power)
        np.testing.assert_allclose(model.components_, plain.components_, atol=1e-12)
        np.testing.assert_allclose(
            model.explained_variance_, np.ldexp(plain.explained_variance_, 2 * power), rtol=1e-12
        )
        np.testing.assert_allclose(model.transform(x * 2.0**power), np.ldexp(plain.transform(x), power), rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", [(40, 30, 4), (30, 4), (4, 6, 9), (0, 3, 2)])
def test_many_tables_each_in_its_unit(shape: tuple[int, ...], dtype: Any) -> None:
    x = np.random.default_rng(6).standard_normal(shape).astype(dtype)
    plain = mf.decomposition.pca(x)
    far = (-600, -500, -90, 90, 500, 700) if dtype == np.float64 else (-90, -70, 70, 110)
    for power in (*far, np.resize(far, shape[:-2])[..., None, None]):
        model = mf.decomposition.pca(np.ldexp(x, power))
        assert np.array_equal(model.components, plain.components)
        assert np.array_equal(model.explained_variance_ratio, plain.explained_variance_ratio)
        of_variance = 2 * (power if isinstance(power, int) else power[..., 0])
        with np.errstate(over="ignore", under="ignore"):
            expected = np.ldexp(plain.explained_variance.astype(float), of_variance).astype(dtype)
        np.testing.assert_allclose(model.explained_variance, expected, rtol=1e-6)


def test_the_likely_dimension_does_not_depend_on_the_unit() -> None:
    rng = np.random.default_rng(7)
    for d in (2, 3, 8, 20):
        spectrum = np.sort(rng.exponential(size=d) * np.where(np.arange(d) < d / 2, 5, 0.1))[::-1]
        assert {likely_dimension(spectrum * 4.0**k, 500) for k in (-200, -30, -5, 0, 5, 30, 200)} == {
            likely_dimension(spectrum, 500)
        }
    assert likely_dimension(np.zeros(4), 10) == 1


def test_flipped_components_are_those_that_transform() -> None:
    """Whoever turns the signs of a fitted float32 model gets scores of these."""
    x = EXACT_RANK["rank three"].astype(np.float32)
    model = PCA(3, whiten=True).fit(x)
    before = model.transform(x)
    model.components_ = -model.components_
    np.testing.assert_allclose(model.transform(x), -before, rtol=1e-3, atol=1e-3)
