"""PCA of a file that is larger than the memory it may take: read rate beside that of a plain reading, and peak memory.

``python bench/out_of_core.py [--gigabytes 6] [--columns 20] [--folder DIR]`` writes a file of float32 there, reads it
with and without work, in turn, each time from the disk (its pages are dropped from the system's cache), and deletes it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

import mmlfast as mf

CHUNK = 1 << 24


def write(path: Path, rows: int, columns: int) -> None:
    """Random numbers, the same ones again and again."""
    block = np.random.default_rng(0).standard_normal((1 << 15, columns), np.float32)
    with path.open("wb") as file:
        for start in range(0, rows, len(block)):
            file.write(block[: rows - start].tobytes())
        os.fsync(file.fileno())


def forget(path: Path) -> None:
    """Drop the file from the cache of the system."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def plain_reading(path: Path) -> float:
    """Seconds to read the file into one small buffer."""
    forget(path)
    buffer, start = bytearray(CHUNK), time.perf_counter()
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass
    return time.perf_counter() - start


@contextmanager
def watched_memory() -> Iterator[list[int]]:
    """The most resident bytes of this process while it lasts, in a list of one."""
    most, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
            most[0] = max(most[0], pages * os.sysconf("SC_PAGE_SIZE"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield most
    finally:
        done.set()
        watcher.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--gigabytes", type=float, default=6.0)
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--pairs", type=int, default=3)
    options = parser.parse_args()
    rows = int(options.gigabytes * 1e9) // (4 * options.columns)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder) / "table"
        write(path, rows, options.columns)
        table = np.memmap(path, np.float32, "r", shape=(rows, options.columns))
        shares = []
        for _ in range(options.pairs):
            plain = plain_reading(path)
            forget(path)
            with watched_memory() as most:
                start = time.perf_counter()
                mf.decomposition.PCA(min(10, options.columns)).fit(table)
                ours = time.perf_counter() - start
            shares.append(plain / ours)
            print(
                f"plain reading {table.nbytes / plain / 1e9:.2f} GB/s, PCA {table.nbytes / ours / 1e9:.2f} GB/s: "
                f"{100 * shares[-1]:.0f} %; at most {most[0] / 1e6:.0f} MB of memory"
            )
        print(f"{rows} x {options.columns} float32, median: {100 * statistics.median(shares):.0f} % of the read rate")


if __name__ == "__main__":
    main()
