"""What ran where: versions, processor, BLAS libraries."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from bench.harness import environment, peers
from bench.harness.roof import Roof


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


def load() -> float:
    """Processes that wanted to run in the last minute, 0 where the system does not say."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def describe(threads: int, libraries: set[str], roof: Roof) -> dict[str, Any]:
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
        "simd": config.get("SIMD in use"),
        "compiler": config.get("compiler"),
        "python": platform.python_version(),
        "versions": {name: peers.version(name) for name in sorted({"mmlfast", "numpy", "scipy"} | libraries)},
        "blas": _blas(),
        "peers at": environment.peers_level(),
        "removed from the environment": environment.removed_pins(),
        **roof.as_dict(),
    }
