"""Rows of any source, block by block: arrays, memory maps, sparse matrices, iterables of chunks.

What is read of a memory map is given back to the system at once, so that a file larger than memory can be read in the
space of a few blocks. That is done only where the system itself says that it can read the same bytes again.
"""

from __future__ import annotations

import array
import math
import mmap
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np

from mmlfast._common.arrays import as_float

Array = np.ndarray[Any, Any]

BLOCK_BYTES = 1 << 26


class RowBlocks:
    """Rows that can be read from front to back, in blocks of float32 or float64.

    Parameters
    ----------
    source : ndarray, memory map, SciPy sparse matrix, or iterable of chunks of rows
        An iterator can be read once; an iterable that gives a new iterator each time can be read again.
    verbose : bool
        Whether to show on the standard error how far a reading has come.
    """

    def __init__(self, source: Any, *, verbose: bool = False) -> None:
        self.source = source
        self.verbose = verbose
        self.readings = 0
        self.n_rows: int | None = source.shape[0] if is_table(source) else None
        self.again = is_table(source) or iter(source) is not source

    def __iter__(self) -> Iterator[Array]:
        self.readings += 1
        blocks = self._blocks()
        return self._shown(blocks) if self.verbose else blocks

    def _blocks(self) -> Iterator[Array]:
        if not is_table(self.source):
            for chunk in self.source:
                yield as_float(chunk, "a chunk of X")
        elif hasattr(self.source, "tocsr"):
            rows = self.source.tocsr()
            for start, stop in spans(rows.shape, 8):
                yield as_float(rows[start:stop].toarray(), "X")
        else:
            pages = Pages.of(self.source) if self.source.nbytes > BLOCK_BYTES else None
            for start, stop in spans(self.source.shape, self.source.itemsize):
                block = self.source[start:stop]
                if pages:
                    pages.read(block)
                yield as_float(block, "X")
                if pages:
                    pages.release(block)

    def _shown(self, blocks: Iterator[Array]) -> Iterator[Array]:
        start, rows, size, shown = time.monotonic(), 0, 0, -1.0
        for block in blocks:
            yield block
            rows, size, seconds = rows + block.shape[0], size + block.nbytes, time.monotonic() - start
            if seconds - shown > 0.2:
                shown = seconds
                sys.stderr.write("\r" + self._progress(rows, size, seconds))
                sys.stderr.flush()
        seconds = time.monotonic() - start
        sys.stderr.write("\r" + self._progress(rows, size, seconds) + "\n")

    def _progress(self, rows: int, size: int, seconds: float) -> str:
        share = f" ({100 * rows / self.n_rows:.0f} %)" if self.n_rows else ""
        rate = size / max(seconds, 1e-9) / 1e9
        return f"reading {self.readings}: {rows} rows{share}, {size / 1e9:.2f} GB, {rate:.2f} GB/s "


def is_table(source: Any) -> bool:
    """Whether it has two dimensions and can be cut into blocks of rows."""
    return isinstance(source, np.ndarray) or hasattr(source, "tocsr")


def is_stream(source: Any) -> bool:
    """Whether it is an iterable of chunks, and nothing that NumPy would take for an array."""
    if isinstance(source, list | tuple | str | bytes | dict | memoryview | array.array):
        return False
    if not isinstance(source, Iterable):
        return False
    return not any(hasattr(source, name) for name in ("__array__", "__dlpack__", "__array_interface__", "tocsr"))


def spans(shape: tuple[int, ...], itemsize: int, block_bytes: int = BLOCK_BYTES) -> Iterator[tuple[int, int]]:
    """Start and stop of blocks of rows of about `block_bytes`."""
    n, d = shape
    step = max(1, block_bytes // max(1, d * itemsize))
    step -= step % 4096 if step > 4096 else 0  # whole blocks of the kernels
    for start in range(0, n, step):
        yield start, min(n, start + step)


def mapped(x: Any) -> mmap.mmap | None:
    """The memory map that an array is a view of."""
    while x is not None:
        if isinstance(x, mmap.mmap):
            return x
        x = x.obj if isinstance(x, memoryview) else getattr(x, "base", None)
    return None


def is_large_map(x: Any) -> bool:
    """Whether it is a table on disk that should not be in memory as a whole."""
    return isinstance(x, np.ndarray) and x.ndim == 2 and x.nbytes > 2 * BLOCK_BYTES and mapped(x) is not None


def is_shared_memory(start: int, stop: int) -> bool:
    """Whether the system says that every byte of ``start .. stop - 1`` lies in a mapping that is shared.

    The pages of a shared mapping belong to its file (or, without a file, to an object of the kernel): a process that
    gives them back finds the same bytes there, whoever wrote them last. A private mapping holds what this process has
    written into it and nobody else has. Neither the type nor the mode of an array tells which of them it lies in.
    False where the system does not say.
    """
    try:
        with open("/proc/self/maps", encoding="ascii", errors="replace") as lines:
            for line in lines:
                addresses, permissions = line.split(None, 2)[:2]
                first, last = (int(number, 16) for number in addresses.split("-"))
                if first <= start < last:
                    if permissions[3] != "s":
                        return False
                    start = last
                    if start >= stop:
                        return True
    except (OSError, ValueError, IndexError):
        pass
    return False


class Pages:
    """The pages of a shared memory map under an array in rows."""

    def __init__(self, mapping: mmap.mmap) -> None:
        self.mapping = mapping
        self.start = np.frombuffer(mapping, np.uint8).__array_interface__["data"][0]
        self.size = len(mapping)

    @classmethod
    def of(cls, x: Array) -> Pages | None:
        """None if there is no map, or none whose pages the system could certainly read again.

        Asked once for each reading: it takes a millisecond or two.
        """
        mapping = mapped(x)
        if mapping is None or not hasattr(mmap, "MADV_DONTNEED") or x.size == 0:
            return None
        if x.strides[1] < 0 or x.strides[0] < x.strides[1] * (x.shape[1] - 1) + x.itemsize:
            return None  # not row after row: a block is not a stretch of the file
        pages = cls(mapping)
        first = x.__array_interface__["data"][0]
        last = first + (x.shape[0] - 1) * x.strides[0] + (x.shape[1] - 1) * x.strides[1] + x.itemsize
        inside = pages.start <= first and last <= pages.start + pages.size
        return pages if inside and is_shared_memory(first, last) else None

    def _span(self, block: Array, whole: bool) -> tuple[int, int]:
        page = mmap.PAGESIZE
        first = block.__array_interface__["data"][0] - self.start
        last = first + (block.shape[0] - 1) * block.strides[0] + (block.shape[1] - 1) * block.strides[1]
        last += block.itemsize
        if whole:
            return math.ceil(first / page) * page, last // page * page
        return first // page * page, min(self.size, math.ceil(last / page) * page)

    def read(self, block: Array) -> None:
        """Ask for the pages of a block and of the one after it."""
        start, stop = self._span(block, False)
        with suppress(OSError):  # a file system, or locked memory, that knows no such advice
            self.mapping.madvise(mmap.MADV_WILLNEED, start, min(self.size, 2 * stop - start) - start)

    def release(self, block: Array) -> None:
        """Give the pages of a block back; they stay in the cache of the system."""
        start, stop = self._span(block, True)
        if start < stop:
            with suppress(OSError):
                self.mapping.madvise(mmap.MADV_DONTNEED, start, stop - start)
