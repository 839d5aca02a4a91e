"""mmlfast.dask.covariance, pca, lstsq and qr beside the same functions in memory; on a cluster:
tests/test_dask_cluster.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import mmlfast as mf

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")

CHUNKINGS = [(300, 5), (7, 5), (64, 2), ((1, 99, 0, 200), (4, 1))]


@pytest.fixture(autouse=True)
def one_process() -> Iterator[None]:
    with dask.config.set(scheduler="synchronous"):
        yield


@pytest.fixture
def table() -> Any:
    rng = np.random.default_rng(0)
    return rng.standard_normal((300, 5)) @ rng.standard_normal((5, 5)) + 1e6


@pytest.mark.parametrize("chunks", CHUNKINGS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int32])
def test_covariance(table: Any, chunks: Any, dtype: Any) -> None:
    table = table.astype(dtype)
    x = da.from_array(table, chunks=chunks)
    right = mf.stats.covariance(table)
    scale = np.sqrt(np.outer(np.diagonal(right), np.diagonal(right)))
    lazy = mf.dask.covariance(x)
    assert isinstance(lazy, da.Array)
    assert lazy.dtype == right.dtype
    got = lazy.compute()
    assert np.array_equal(got, got.T)
    assert (np.abs(got - right) / scale).max() <= (1e-6 if dtype == np.float32 else 1e-14)
    weights = np.arange(300) % 3
    got = mf.dask.covariance(x, ddof=0, weights=da.from_array(weights, chunks=50)).compute()
    right = mf.stats.covariance(table, ddof=0, weights=weights)
    assert (np.abs(got - right) / scale).max() <= (1e-6 if dtype == np.float32 else 1e-14)


def test_covariance_of_chunks_of_unknown_length(table: Any) -> None:
    x = da.from_array(table, chunks=(60, 5))
    x = x[x[:, 0] > 1e6]
    right = mf.stats.covariance(table[table[:, 0] > 1e6])
    np.testing.assert_allclose(mf.dask.covariance(x).compute(), right, rtol=1e-11)
    np.testing.assert_allclose(mf.dask.pca(x, 2).explained_variance_, np.linalg.eigvalsh(right)[:2:-1], rtol=1e-11)


@pytest.mark.parametrize("chunks", CHUNKINGS)
def test_pca(table: Any, chunks: Any) -> None:
    table[:, 4] = table[:, 0] + 1e-5 * (table[:, 4] - 1e6)
    x = da.from_array(table, chunks=chunks)
    right = mf.decomposition.PCA().fit(table)
    got = mf.dask.pca(x)
    assert got.n_readings_ == right.n_readings_ == 2
    np.testing.assert_allclose(got.explained_variance_, right.explained_variance_, rtol=1e-12)
    np.testing.assert_allclose(got.components_, right.components_, atol=1e-6)
    np.testing.assert_allclose(got.mean_, right.mean_, rtol=1e-15)
    assert got.n_samples_ == 300
    few = mf.dask.pca(x, 2, whiten=True)
    assert few.n_readings_ == 1
    y = x.rechunk((100, 5))
    scores = y.map_blocks(few.transform, dtype=float, chunks=(y.chunks[0], (2,)))
    np.testing.assert_allclose(scores.compute().std(axis=0, ddof=1), 1, rtol=1e-10)


@pytest.mark.parametrize(
    ("chunks", "condition"), [*((c, x) for c in CHUNKINGS for x in (1, 1e14)), ((1, 5), 1e14), ((2, 5), 1)]
)
def test_qr(chunks: Any, condition: float) -> None:
    rng = np.random.default_rng(1)
    a = np.linalg.qr(rng.standard_normal((300, 5)))[0] * np.geomspace(1, 1 / condition, 5) @ rng.standard_normal((5, 5))
    q, r = mf.dask.qr(da.from_array(a, chunks=chunks))
    assert q.chunks[0] == tuple(n for n in da.from_array(a, chunks=chunks).chunks[0] if n)
    q, r = dask.compute(q, r)
    assert np.linalg.norm(q.T @ q - np.eye(5)) <= 1e-14
    assert np.linalg.norm(q @ r - a) <= 1e-14 * np.linalg.norm(a)
    assert np.array_equal(np.tril(r, -1), np.zeros((5, 5)))
    assert (np.diagonal(r) >= 0).all()


@pytest.mark.parametrize("chunks", CHUNKINGS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_lstsq(chunks: Any, dtype: Any) -> None:
    rng = np.random.default_rng(2)
    a = rng.standard_normal((300, 5)).astype(dtype)
    for b in (rng.standard_normal(300).astype(dtype), rng.standard_normal((300, 3)).astype(dtype)):
        got = dask.compute(*mf.dask.lstsq(da.from_array(a, chunks=chunks), da.from_array(b, chunks=50)))
        right = np.linalg.lstsq(a.astype(float), b.astype(float))
        for x, y in zip(got, right, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-12 if dtype == np.float64 else 1e-4, atol=1e-13)
            assert np.shape(x) == np.shape(y)
        assert got[0].dtype == dtype
    a[:, 4] = a[:, 0] + a[:, 1]
    x, _, rank, _ = dask.compute(*mf.dask.lstsq(da.from_array(a, chunks=chunks), da.from_array(b, chunks=(50, 2))))
    assert rank == 4
    np.testing.assert_allclose(x, np.linalg.pinv(a.astype(float), rcond=1e-6) @ b, atol=1e-5)


def test_wrong_arguments(table: Any) -> None:
    x = da.from_array(table, chunks=(100, 5))
    for function in (mf.dask.covariance, mf.dask.pca, mf.dask.qr, lambda a: mf.dask.lstsq(a, x[:, 0])):
        with pytest.raises(TypeError, match="must be a Dask array, got ndarray"):
            function(table)
        with pytest.raises(ValueError, match=r"must have rows, shape \(n, d\)"):
            function(x[0])
        with pytest.raises(TypeError, match="real numbers"):
            function(x * 1j)
    with pytest.raises(ValueError, match=r"weights must have shape \(300,\)"):
        mf.dask.covariance(x, weights=np.ones(4))
    with pytest.raises(ValueError, match="must not be negative"):
        mf.dask.covariance(x, weights=-np.ones(300)).compute()
    with pytest.raises(ValueError, match="at least as many rows as columns"):
        mf.dask.qr(x.T)
    with pytest.raises(ValueError, match="lengths of the chunks must be known"):
        mf.dask.qr(x[x[:, 0] > 0])
    with pytest.raises(ValueError, match="do not fit together"):
        mf.dask.lstsq(x, x[:10])
    with pytest.raises(TypeError, match="b must be a Dask array"):
        mf.dask.lstsq(x, table)
    with pytest.raises(ValueError, match="NaN"):
        mf.dask.pca(da.where(x == x[3, 2], np.nan, x))
    with pytest.raises(np.linalg.LinAlgError, match="NaN"):
        mf.dask.lstsq(x * np.nan, x[:, 0]).x.compute()
    with pytest.raises(ValueError, match="n_components=6"):
        mf.dask.pca(x, 6)
