"""What this machine can do at most: memory bandwidth and arithmetic, measured."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

WORKING_SETS = (4, 16, 64, 256)  # MB
_ORDER = 1024  # of the matrices multiplied
_INTERVAL = 45.0  # seconds between two measurements


def _best(work: Callable[[], Any], repeats: int = 6) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def _reading(size: int) -> Callable[[], Any]:
    part = np.ones(size // 8)
    return lambda: part.max()


def _adding(size: int) -> Callable[[], Any]:
    a, b, c = (np.ones(size // 24) for _ in range(3))
    return lambda: np.add(a, b, out=c)


def _multiplying(dtype: str) -> Callable[[], Any]:
    a = np.random.default_rng(0).standard_normal((_ORDER, _ORDER)).astype(dtype)
    out = np.empty_like(a)
    return lambda: np.matmul(a, a, out=out)


class Roof:
    """The best of all measurements so far: measured now and then in a run, since others may use the machine too."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._bandwidth: dict[int, float] = dict.fromkeys(WORKING_SETS, 0.0)
        self._flops: dict[str, float] = {"float64": 0.0, "float32": 0.0}
        self._next = 0.0

    @property
    def measured(self) -> bool:
        return self._next > 0.0

    def measure(self) -> None:
        """Measure, if the last time was a while ago."""
        if time.monotonic() < self._next:
            return
        for megabytes in WORKING_SETS:
            for kind in (_reading, _adding):
                found = self._moved(kind, megabytes * 1_000_000)
                self._bandwidth[megabytes] = max(self._bandwidth[megabytes], found)
        for dtype in self._flops:
            self._flops[dtype] = max(self._flops[dtype], 2.0 * _ORDER**3 / _best(_multiplying(dtype)))
        self._next = time.monotonic() + _INTERVAL

    def _moved(self, kind: Callable[[int], Callable[[], Any]], size: int) -> float:
        """Bytes per second when every thread goes through a part of its own."""
        with ThreadPoolExecutor(self._threads) as pool:
            parts = [kind(size // self._threads) for _ in range(self._threads)]
            return size / _best(lambda: list(pool.map(lambda part: part(), parts)))

    def bandwidth(self, size: float) -> float:
        """Bytes per second over arrays of about `size` bytes: the better of reading and adding."""
        return self._bandwidth[min(WORKING_SETS, key=lambda mb: abs(math.log(mb * 1e6 / max(size, 1.0))))]

    def flops(self, dtype: str) -> float:
        """Flops per second of a large matrix product by NumPy's BLAS."""
        return self._flops[dtype]

    def as_dict(self) -> dict[str, Any]:
        if not self.measured:
            return {}
        return {
            "bandwidth GB/s by working set": {f"{mb} MB": round(b / 1e9, 1) for mb, b in self._bandwidth.items()},
            "matrix product GF/s": {dtype: round(rate / 1e9, 1) for dtype, rate in self._flops.items()},
        }
