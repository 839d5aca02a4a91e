"""Rows from memory maps, streams and chunks: the same bits as in memory, in bounded memory, and what Ctrl-C leaves."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import mmlfast as mf
from mmlfast._common.row_blocks import Pages, RowBlocks, is_stream, mapped, spans

PCA, IncrementalPCA = mf.decomposition.PCA, mf.decomposition.IncrementalPCA


class Chunks:
    """Chunks of rows that can be gone through again and again."""

    def __init__(self, x: Any, sizes: list[int]) -> None:
        self.parts = np.split(x, np.cumsum(sizes)[:-1])

    def __iter__(self) -> Iterator[Any]:
        return iter(self.parts)


@pytest.fixture
def table() -> Any:
    rng = np.random.default_rng(0)
    return rng.standard_normal((5000, 7)) @ rng.standard_normal((7, 7)) + 50


def same(a: Any, b: Any) -> None:
    for name in ("components_", "explained_variance_", "explained_variance_ratio_", "mean_", "noise_variance_"):
        assert np.array_equal(getattr(a, name), getattr(b, name)), name


@pytest.mark.parametrize("sizes", [[5000], [1, 4999], [1000] * 5, [4096, 904]])
def test_any_chunks_give_the_bits_of_one_table(table: Any, sizes: list[int]) -> None:
    right = PCA(3).fit(table)
    same(PCA(3).fit(Chunks(table, sizes)), right)
    same(PCA(3).fit(iter(Chunks(table, sizes))), right)
    same(IncrementalPCA(3).fit(Chunks(table, sizes)), right)
    pieces = IncrementalPCA(3)
    for part in Chunks(table, sizes):
        pieces.partial_fit(part)
    same(pieces, right)
    assert pieces.n_samples_seen_ == 5000


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.uint8, ">f8"])
@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_memory_map_gives_the_bits_of_the_table(tmp_path: Path, table: Any, dtype: Any, mode: Any) -> None:
    path = tmp_path / "table"
    stored = np.memmap(path, dtype, "w+", shape=table.shape, offset=24)
    stored[:] = np.abs(table)
    stored.flush()
    x = np.memmap(path, dtype, mode, shape=table.shape, offset=24)
    in_memory = np.array(x)
    if mode == "c":
        x[0] = in_memory[0] = 3  # lives in this process only, and must not be given back
    right = PCA(3).fit(in_memory.astype(float) if dtype == np.uint8 else in_memory)
    same(PCA(3).fit(x), right)
    same(PCA(3).fit(x[::-1][::-1]), right)
    same(IncrementalPCA(3).fit(x), right)
    np.testing.assert_array_equal(PCA(3).fit_transform(x), right.transform(np.array(x)))
    np.testing.assert_array_equal(x, in_memory)


def test_blocks_that_cross_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table.npy"
    x = np.random.default_rng(1).standard_normal((3000, 33))
    np.save(path, x)
    stored = np.load(path, mmap_mode="r")
    monkeypatch.setattr(spans, "__defaults__", (10_000,))
    assert len(list(RowBlocks(stored))) > 50
    same(PCA(3).fit(stored), PCA(3).fit(x))
    same(PCA().fit(stored[7:2900:2]), PCA().fit(x[7:2900:2]))
    same(PCA(3).fit(stored[::-1]), PCA(3).fit(x[::-1]))
    same(PCA(3).fit(stored[:, ::2]), PCA(3).fit(x[:, ::2]))


def test_second_reading_happens_only_where_it_can(table: Any) -> None:
    table[:, 0] = table[:, 1] + 1e-6 * (table[:, 0] - 50)
    right = PCA().fit(table)
    assert right.n_readings_ == 2
    again = PCA().fit(Chunks(table, [2000, 3000]))
    assert again.n_readings_ == 2
    np.testing.assert_allclose(again.explained_variance_, right.explained_variance_, rtol=1e-13)
    with pytest.warns(RuntimeWarning, match="second reading, which an iterator does not allow"):
        once = PCA().fit(iter(Chunks(table, [2000, 3000])))
    assert once.n_readings_ == 1
    np.testing.assert_allclose(once.explained_variance_, right.explained_variance_, rtol=0.5)


def test_ctrl_c_keeps_the_rows_so_far(table: Any) -> None:
    def stopped() -> Iterator[Any]:
        yield table[:1500]
        yield table[1500:3000]
        raise KeyboardInterrupt

    pca, incremental = PCA(3), IncrementalPCA(3)
    with pytest.raises(KeyboardInterrupt, match="fitted to the 3000 rows read so far"):
        pca.fit(stopped())
    same(pca, PCA(3).fit(table[:3000]))
    with pytest.raises(KeyboardInterrupt):
        incremental.fit(stopped())
    assert incremental.n_samples_seen_ == 3000
    same(incremental.partial_fit(table[3000:]), PCA(3).fit(table))
    with pytest.raises(KeyboardInterrupt):
        PCA(3).fit(x for x in stopped() if len(x) < 0)


def test_progress(table: Any, capsys: pytest.CaptureFixture[str]) -> None:
    PCA(3, verbose=True).fit(Chunks(table, [2000, 3000]))
    assert "reading 1: 5000 rows, 0.00 GB" in capsys.readouterr().err
    PCA(3).fit(Chunks(table, [2000, 3000]))
    assert capsys.readouterr().err == ""


def test_chunks_that_do_not_fit(table: Any) -> None:
    with pytest.raises(ValueError, match="7"):
        PCA().fit([table[:10], table[10:20, :3]].__iter__())
    with pytest.raises(ValueError, match="at least 2 rows"):
        PCA().fit(iter([]))
    with pytest.raises(ValueError, match="NaN"):
        PCA().fit(iter([table[:10], table[:10] * np.nan]))
    with pytest.raises(TypeError, match="a chunk of X"):
        PCA().fit(iter([table[:10] * 1j]))
    with pytest.raises(TypeError, match="chunks can be read once only"):
        PCA().fit_transform(iter([table]))
    with pytest.raises(ValueError, match="n_components=9"):
        PCA(9).fit(iter([table]))
    assert not is_stream([[1.0, 2.0]])
    assert not is_stream(table)
    assert not is_stream(scipy.sparse.eye_array(3))


def test_pages_of_a_map_that_cannot_be_read_again_stay(tmp_path: Path) -> None:
    path = tmp_path / "x"
    np.ones((10, 4)).tofile(path)
    assert Pages.of(np.memmap(path, float, "c", shape=(10, 4))) is None
    assert Pages.of(np.ones((3, 3))) is None
    assert mapped(np.ones(3)) is None


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_stays_small(tmp_path: Path, run_python: Any) -> None:
    path = tmp_path / "large"
    path.touch()
    os.truncate(path, 400_000_000)  # a hole: takes no room
    out = run_python(
        f"""
        import threading, time
        import numpy as np
        import mmlfast as mf

        def resident():
            return int(open("/proc/self/statm").read().split()[1]) * 4096

        x = np.memmap({str(path)!r}, np.float32, "r", shape=(5_000_000, 20))
        mf.decomposition.PCA(2).fit(np.ones((10000, 20), np.float32))
        before, most, done = resident(), 0, False

        def watch():
            global most
            while not done:
                most = max(most, resident())
                time.sleep(0.005)

        watcher = threading.Thread(target=watch)
        watcher.start()
        mf.decomposition.PCA(2).fit(x)
        done = True
        watcher.join()
        print((most - before) // 1_000_000)
        """
    )
    assert int(out) < 180


def test_wide_rows_in_pieces_keep_what_matters() -> None:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((600, 8)) * np.geomspace(10, 1, 8) @ rng.standard_normal((8, 5000)) / 70
    x += 0.01 * rng.standard_normal(x.shape) + 5
    right = PCA(8).fit(x)
    pca = IncrementalPCA(8)
    for part in np.array_split(x, 7):
        pca.partial_fit(part)
    assert pca.discarded_variance_ > 0
    gap = right.explained_variance_ - pca.explained_variance_
    assert np.all(gap >= -1e-12)
    assert np.all(gap <= pca.discarded_variance_)
    np.testing.assert_allclose(np.abs(np.sum(pca.components_ * right.components_, axis=1)), 1, atol=1e-4)
    np.testing.assert_allclose(pca.mean_, x.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(pca.var_, x.var(axis=0), rtol=1e-10)
    total = pca.explained_variance_ / pca.explained_variance_ratio_
    np.testing.assert_allclose(total, x.var(axis=0, ddof=1).sum(), rtol=1e-10)
    few = IncrementalPCA(4).partial_fit(x[:2])
    assert few.components_.shape == (4, 5000)


def test_incremental_pca_does_not_drift() -> None:
    rng = np.random.default_rng(11)
    x = rng.standard_normal((3000, 60)) * np.linspace(1.1, 1.0, 60)
    right = PCA(5, svd_solver="full").fit(x)
    pca = IncrementalPCA(5, batch_size=100)
    for part in np.array_split(x, 300):
        pca.partial_fit(part)
    np.testing.assert_allclose(pca.components_, right.components_, atol=1e-9)
    assert pca.discarded_variance_ == 0


def test_covariance_of_a_large_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.npy"
    x = np.random.default_rng(4).standard_normal((4000, 6)).astype(np.float32) + 20
    weights = np.arange(4000) % 3
    np.save(path, x)
    stored = np.load(path, mmap_mode="r")
    monkeypatch.setattr("mmlfast._common.row_blocks.BLOCK_BYTES", 1000)
    monkeypatch.setattr(spans, "__defaults__", (1000,))
    for options in ({}, {"weights": weights}):
        for function in (mf.stats.covariance, mf.stats.correlation):
            right = function(x, **options)
            assert np.array_equal(function(stored, **options), right)
            assert np.array_equal(function(stored[:, ::-1], **options), function(x[:, ::-1], **options))
    with pytest.raises(ValueError, match="weights must have one number per row"):
        mf.stats.covariance(stored, weights=[1.0])
    assert mf.stats.covariance(stored).dtype == np.float32
