"""PCA of many small tables, and the estimators without scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mmlfast as mf


@pytest.mark.parametrize("shape", [(4, 3, 20, 3), (100, 50, 4), (6, 5, 8), (3, 2, 2), (5, 30, 40), (0, 4, 2), (9, 3)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_each_table_as_by_the_estimator(shape: tuple[int, ...], dtype: Any) -> None:
    x = (np.random.default_rng(0).standard_normal(shape) * np.geomspace(4, 1, shape[-1]) + 100).astype(dtype)
    k = min(shape[-2:]) - 1
    got = mf.decomposition.pca(x, k)
    assert got.components.shape == (*shape[:-2], k, shape[-1])
    assert got.explained_variance.dtype == got.components.dtype == dtype
    tol = 1e-9 if dtype == np.float64 else 1e-4
    for index in np.ndindex(shape[:-2]):
        right = mf.decomposition.PCA(k).fit(x[index])
        np.testing.assert_allclose(got.mean[index], right.mean_, rtol=tol)
        np.testing.assert_allclose(got.explained_variance[index], right.explained_variance_, rtol=tol)
        np.testing.assert_allclose(got.explained_variance_ratio[index], right.explained_variance_ratio_, rtol=tol)
        np.testing.assert_allclose(got.components[index], right.components_, atol=100 * tol)


def test_flat_clouds_keep_their_thickness() -> None:
    rng = np.random.default_rng(1)
    q = np.linalg.qr(rng.standard_normal((200, 3, 3)))[0]
    x = rng.standard_normal((200, 25, 3)) * [1, 1, 1e-7] @ q + 1000
    sigma = np.linalg.svd(x - x.mean(axis=1, keepdims=True), compute_uv=False)
    got = mf.decomposition.pca(x)
    np.testing.assert_allclose(got.explained_variance, sigma**2 / 24, rtol=1e-6)


def test_a_bad_table_leaves_the_others() -> None:
    x = np.random.default_rng(2).standard_normal((10, 6, 3))
    right = mf.decomposition.pca(x)
    x[4, 2, 1] = np.nan
    got = mf.decomposition.pca(x)
    for a, b in zip(got[1:], right[1:], strict=True):
        assert np.isnan(a[4]).all()
        assert np.array_equal(np.delete(a, 4, axis=0), np.delete(b, 4, axis=0))
    constant = mf.decomposition.pca(np.ones((2, 5, 3)))
    assert np.all(constant.explained_variance == 0)
    assert np.isnan(constant.explained_variance_ratio).all()


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="at least two samples"):
        mf.decomposition.pca(np.ones((3, 1, 4)))
    with pytest.raises(ValueError, match="n_components must be between 0 and min"):
        mf.decomposition.pca(np.ones((3, 4)), 4)
    with pytest.raises(TypeError, match="x must hold real numbers"):
        mf.decomposition.pca(np.ones((3, 4), complex))


def test_estimators_work_without_scikit_learn(run_python: Any) -> None:
    out = run_python(
        """
        import sys
        sys.modules["sklearn"] = None
        import numpy as np
        import mmlfast as mf
        x = np.random.default_rng(0).standard_normal((50, 4)) + 3
        pca = mf.decomposition.PCA(2).fit(x)
        print(pca, pca.get_feature_names_out(), pca.transform(x).shape, pca.get_params()["whiten"])
        print(np.abs(mf.decomposition.IncrementalPCA(2).fit_transform(x) - pca.transform(x)).max() < 1e-12)
        for wrong in (x * np.nan, x[:, 0], x[:1]):
            try:
                pca.fit(wrong)
            except ValueError as error:
                print("ValueError")
        try:
            mf.decomposition.PCA().transform(x)
        except ValueError as error:
            print(error)
        try:
            pca.set_params(size=3)
        except ValueError as error:
            print(error)
        """
    )
    assert "PCA(n_components=2) ['pca0' 'pca1'] (50, 2) False" in out
    assert out.count("ValueError") == 3
    assert "True" in out
    assert "not fitted yet" in out
    assert "Invalid parameter 'size'" in out
