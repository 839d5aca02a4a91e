"""Whatever a table is a map of, reading it leaves every byte of it as it was, and gives the answer of a copy."""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mmlfast as mf
from mmlfast._common.row_blocks import Pages, is_shared_memory, spans

Array = np.ndarray[Any, Any]
ROWS, COLS = 6000, 5
BYTES = ROWS * COLS * 8

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="maps of POSIX")


def edited(buffer: Any) -> Array:
    """Numbers that are in no file: the second half is written through the map."""
    x = np.frombuffer(buffer, count=ROWS * COLS).reshape(ROWS, COLS)
    x[ROWS // 2 :] += 7.5
    x[::3, 1] *= -2
    return x


def table() -> Array:
    rng = np.random.default_rng(20261128)
    return rng.standard_normal((ROWS, COLS)) * [3, 1, 2, 5, 1] + 4


def filled(m: mmap.mmap) -> mmap.mmap:
    m[:BYTES] = table().tobytes()
    return m


def file_of(folder: Path) -> int:
    path = folder / "table"
    table().tofile(path)
    return os.open(path, os.O_RDWR)


def memory_file() -> int:
    if not hasattr(os, "memfd_create"):
        pytest.skip("no memory files on this system")
    number = os.memfd_create("table")
    os.write(number, table().tobytes())
    return number


def numpy_map(folder: Path, mode: Any) -> Array:
    os.close(file_of(folder))
    return np.memmap(folder / "table", np.float64, mode, shape=(ROWS, COLS))


MAPS: dict[str, Callable[[Path], Any]] = {
    "private, of nothing": lambda _: filled(mmap.mmap(-1, BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)),
    "shared, of nothing": lambda _: filled(mmap.mmap(-1, BYTES, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)),
    "private, of a file": lambda folder: mmap.mmap(file_of(folder), BYTES, flags=mmap.MAP_PRIVATE),
    "copy of a file": lambda folder: mmap.mmap(file_of(folder), BYTES, access=mmap.ACCESS_COPY),
    "shared, of a file": lambda folder: mmap.mmap(file_of(folder), BYTES, access=mmap.ACCESS_WRITE),
    "private, of a memory file": lambda _: mmap.mmap(memory_file(), BYTES, flags=mmap.MAP_PRIVATE),
    "shared, of a memory file": lambda _: mmap.mmap(memory_file(), BYTES, flags=mmap.MAP_SHARED),
    "memmap, mode c": lambda folder: numpy_map(folder, "c"),
    "memmap, mode r+": lambda folder: numpy_map(folder, "r+"),
}


class Plain(np.ndarray[Any, Any]):
    """A subclass that forgets what it was made of."""

    mode = "r"


VIEWS: dict[str, Callable[[Array], Any]] = {
    "as it is": lambda x: x,
    "some columns": lambda x: np.asarray(x)[:, :3],
    "some rows": lambda x: x[100:-50:2],
    "turned round": lambda x: x[::-1, ::-1],
    "columns": lambda x: x.reshape(COLS, ROWS).T,
    "through memoryviews": lambda x: np.frombuffer(memoryview(memoryview(x)).cast("B")).reshape(x.shape),
    "a subclass": lambda x: x.view(Plain)[:, 1:],
    "a map that says it is read only": lambda x: x.view(np.memmap),
    "through ctypes": lambda x: np.frombuffer((ctypes.c_double * x.size).from_buffer(x)).reshape(x.shape),
    "strides by hand": lambda x: np.lib.stride_tricks.as_strided(x, (ROWS - 1, 7), (COLS * 8, 8)),
    "other numbers": lambda x: np.asarray(x).view(np.uint8)[:, ::8],
}

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "covariance": mf.stats.covariance,
    "correlation": mf.stats.correlation,
    "covariance, omit": lambda x: mf.stats.covariance(x, nan_policy="omit"),
    "mean": mf.stats.mean,
    "Moments": lambda x: mf.stats.Moments().update(x).covariance(),
    "RFactor": lambda x: mf.linalg.RFactor().update(x).r,
    "PCA": lambda x: mf.decomposition.PCA(2).fit(x).components_,
    "PCA, all": lambda x: mf.decomposition.PCA().fit(x).explained_variance_,
    "PCA, Krylov": lambda x: mf.decomposition.PCA(2, svd_solver="arpack").fit(x).explained_variance_,
    "PCA, scores": lambda x: mf.decomposition.PCA(2).fit_transform(x),
    "IncrementalPCA": lambda x: mf.decomposition.IncrementalPCA(2).fit(x).components_,
}


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmlfast._common.row_blocks.BLOCK_BYTES", 20_000)
    monkeypatch.setattr(spans, "__defaults__", (20_000,))


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("kind", MAPS)
def test_no_function_changes_a_byte_of_a_map(kind: str, view: str, tmp_path: Path) -> None:
    whole = edited(MAPS[kind](tmp_path))
    if kind == "memmap, mode c":
        whole = numpy_map(tmp_path, "c")  # the object itself, not only its buffer
        whole[::3] -= 11
    x = VIEWS[view](whole)
    before, copy = whole.tobytes(), np.array(x)
    with np.errstate(all="ignore"):
        for name, function in FUNCTIONS.items():
            for _ in range(2):
                np.testing.assert_allclose(function(x), function(copy), rtol=1e-6, atol=1e-9, err_msg=name)
                assert whole.tobytes() == before, name


@pytest.mark.usefixtures("small_blocks")
def test_tensors_of_a_private_map_keep_their_numbers() -> None:
    torch = pytest.importorskip("torch")
    whole = edited(filled(mmap.mmap(-1, BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)))
    x, before = torch.from_numpy(whole).numpy()[:, 1:], whole.tobytes()
    for function in FUNCTIONS.values():
        function(x)
        assert whole.tobytes() == before


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("kind", MAPS)
def test_pages_are_given_back_where_they_are_shared_only(kind: str, tmp_path: Path) -> None:
    x = edited(MAPS[kind](tmp_path))
    shared = kind.startswith("shared") or kind.endswith("r+")
    assert (Pages.of(x) is not None) == shared
    assert (Pages.of(np.asarray(x)[50:, 1:].view(Plain)) is not None) == shared
    assert Pages.of(x[::-1]) is None
    assert Pages.of(x.reshape(COLS, ROWS).T) is None
    assert Pages.of(x[:0]) is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_pages_of_a_file_read_by_numpy_are_given_back(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.ones((1000, 4)))
    assert Pages.of(np.load(path, mmap_mode="r")) is not None
    assert Pages.of(np.asarray(np.load(path, mmap_mode="r"))[10:, 1:]) is not None
    assert Pages.of(np.load(path, mmap_mode="c")) is None


def test_memory_that_the_system_does_not_vouch_for_is_private(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    x = edited(MAPS["shared, of a file"](tmp_path))
    first = x.__array_interface__["data"][0]
    assert not is_shared_memory(8, 16)
    assert not is_shared_memory(first, first + 2**46)
    assert not is_shared_memory(np.ones(3).__array_interface__["data"][0], 2**62)

    def no_proc(*_: Any, **__: Any) -> Any:
        raise FileNotFoundError

    monkeypatch.setattr("builtins.open", no_proc)
    assert Pages.of(x) is None


def test_data_in_a_private_anonymous_map_survive_pca(small_blocks: None) -> None:
    m = mmap.mmap(-1, 400_000, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    x = np.frombuffer(m).reshape(-1, 5)
    x[:] = np.arange(5.0)
    x[::3] += 7
    before = x.mean()
    mf.decomposition.PCA(2).fit(x)
    assert x.mean() == before
