"""The time that ``import mmlfast`` takes, in a fresh process."""

from __future__ import annotations

import subprocess
import sys

from bench.harness import Case, Faster, Job, Setup


def import_seconds(module: str) -> float:
    """Seconds that importing `module` takes in a new interpreter, start of the interpreter not counted."""
    code = f"import time; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def job(setup: Setup) -> Job:
    job = Job()
    job.ours(import_seconds, "mmlfast")
    job.contestants[-1].timed = True
    job.peer("numpy", import_seconds, "numpy")
    job.contestants[-1].timed = True
    return job


CASES = [Case("import", "import, against import numpy", job, (Faster(1 / 1.3, "numpy"),))]
