"""What ran where: versions, processor, BLAS libraries; measured bandwidth and arithmetic peak."""

from __future__ import annotations

import datetime
import functools
import os
import platform
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from bench.harness import environment, peers

_SIZES = (4, 16, 64, 256)  # working sets of the bandwidth measurement, MB


def _best(work: Callable[[], Any], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


@functools.cache
def _read_bandwidth(megabytes: int, threads: int) -> float:
    block = 32768  # 256 KB: below the length at which BLAS starts threads of its own (and ours are enough)
    parts = [np.ones(megabytes * 125_000 // threads) for _ in range(threads)]

    def read(part: np.ndarray[Any, Any]) -> float:
        return sum(float(part[i : i + block].max()) for i in range(0, part.size, block))

    with ThreadPoolExecutor(threads) as pool:
        return megabytes * 1e6 / _best(lambda: list(pool.map(read, parts)), 8)


@functools.cache
def _triad_bandwidth(megabytes: int, threads: int) -> float:
    size = megabytes * 125_000 // (3 * threads)
    parts = [tuple(np.ones(size) for _ in range(3)) for _ in range(threads)]

    def add(part: tuple[np.ndarray[Any, Any], ...]) -> None:
        np.add(part[0], part[1], out=part[2])

    with ThreadPoolExecutor(threads) as pool:
        return megabytes * 1e6 / _best(lambda: list(pool.map(add, parts)), 8)


def bandwidth(size: float, threads: int) -> float:
    """Bytes per second this machine moves over arrays of about `size` bytes: the better of reading and adding."""
    megabytes = min(_SIZES, key=lambda s: abs(np.log(s * 1e6 / max(size, 1.0))))
    return max(_read_bandwidth(megabytes, threads), _triad_bandwidth(megabytes, threads))


@functools.cache
def peak(dtype: str) -> float:
    """Flops per second of a large matrix product with NumPy's BLAS, all threads."""
    n = 1024
    a = np.random.default_rng(0).standard_normal((n, n)).astype(dtype)
    out = np.empty_like(a)
    np.matmul(a, a, out=out)
    return 2.0 * n**3 / _best(lambda: np.matmul(a, a, out=out), 7)


def processor() -> str:
    """The name of the processor."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _commit() -> str:
    try:
        folder = Path(__file__).parent
        command = ["git", "describe", "--always", "--dirty"]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _blas() -> list[str]:
    threadpoolctl = peers.find("threadpoolctl", 1)
    if threadpoolctl is None:
        return ["unknown (install threadpoolctl to see them)"]
    return [
        f"{lib['internal_api']} {lib.get('version')} {lib.get('architecture', '')} "
        f"{lib['num_threads']} threads ({Path(lib['filepath']).name})"
        for lib in threadpoolctl.threadpool_info()
        if lib["user_api"] in ("blas", "openmp")
    ]


def describe(threads: int, libraries: set[str]) -> dict[str, Any]:
    """All that a reader needs to judge the numbers. To be called at the end, when every library is loaded."""
    import mmlfast as mf

    config = mf.show_config(mode="dicts") or {}
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "processor": processor(),
        "system": platform.platform(),
        "cpus": environment.available_cpus(),
        "threads": threads,
        "load": [round(x, 2) for x in os.getloadavg()] if hasattr(os, "getloadavg") else [],
        "simd": config.get("SIMD in use"),
        "compiler": config.get("compiler"),
        "python": platform.python_version(),
        "versions": {name: peers.version(name) for name in sorted({"mmlfast", "numpy", "scipy"} | libraries)},
        "blas": _blas(),
        "removed from the environment": environment.removed_pins(),
        "bandwidth GB/s by working set": {f"{mb} MB": round(bandwidth(mb * 1e6, threads) / 1e9, 1) for mb in _SIZES},
        "matrix product GF/s": {t: round(peak(t) / 1e9, 1) for t in ("float64", "float32")},
    }
