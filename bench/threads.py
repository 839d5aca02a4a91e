"""What many threads would do, on a machine of few: ``python bench/threads.py --help``.

The jobs of bench/run.py, by us alone, in a build that lets the calling thread do all blocks of parallel work and writes
down how long each takes:

    pip install . --no-deps --target build/threads -Ccmake.define.MMLFAST_BLOCK_TIMES=ON
    PYTHONPATH=build/threads python bench/threads.py

Of each job it prints the time, the part of it outside of blocks (Python, validation, merging, what SciPy's LAPACK does
with threads of its own), and how much faster it would be if so many threads claimed the blocks one by one as the pool
lets them. It knows nothing of memory: threads that wait for the same memory are slower than this.
"""

from __future__ import annotations

import argparse
import heapq
import importlib
import os
import pkgutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.harness.case import Case

Sections = list[list[int]]  # the nanoseconds of each block of each section, and last of the whole section


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench/threads.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=16, metavar="N", help="how many (default 16)")
    parser.add_argument("--only", metavar="WORD", help="jobs with this in their name")
    parser.add_argument("--least", type=float, default=2.0, metavar="MS", help="leave out shorter jobs (default 2 ms)")
    return parser.parse_args()


def makespan(blocks: list[int], threads: int) -> int:
    """When the last thread has finished, if each claims the next block as soon as it is free."""
    free = [0] * threads
    for taken in blocks:
        heapq.heapreplace(free, free[0] + taken)
    return max(free)


class BlockTimes:
    """What the library writes into a file while it works."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.read = 0

    def new(self) -> Sections:
        """The sections since the last call."""
        if not self.path.exists():
            return []
        with self.path.open() as file:
            file.seek(self.read)
            lines = file.readlines()
            self.read = file.tell()
        return [[int(word) for word in line.split()] for line in lines]


def cases(word: str | None) -> Iterator[Case]:
    import bench.cases

    for module in sorted(x.name for x in pkgutil.iter_modules(bench.cases.__path__)):
        if module in ("importing", "dask_tables"):
            continue  # processes of their own, threads of Dask's
        for case in importlib.import_module(f"bench.cases.{module}").CASES:
            if not case.slow and (word is None or word in case.name):
                yield case


def one(call: Callable[[], Any], times: BlockTimes, threads: int) -> tuple[float, float, float]:
    """Seconds of this thread's work, the share outside of blocks, and the gain by threads: medians of three runs."""
    runs = []
    call()
    for _ in range(3):
        times.new()
        before = time.thread_time()
        call()
        seconds = time.thread_time() - before
        sections = times.new()
        outside = max(seconds - 1e-9 * sum(s[-1] for s in sections), 0.0)
        seconds = outside + 1e-9 * sum(sum(s[:-1]) for s in sections)  # without the writing of times
        together = outside + 1e-9 * sum(makespan(s[:-1], threads) for s in sections)
        runs.append((seconds, outside / seconds, seconds / together))
    first, second, third = (median(x) for x in zip(*runs, strict=True))
    return first, second, third


def main() -> int:
    options = parse()
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    with tempfile.TemporaryDirectory() as folder:
        times = BlockTimes(Path(folder) / "times.txt")
        os.environ["MMLFAST_BLOCK_TIMES"] = str(times.path)
        import mmlfast as mf
        from bench.harness import peers
        from bench.harness.case import OURS, Setup

        vars(peers)["find"] = lambda *_, **__: None  # no peer is at hand: only we work here
        mf.set_num_threads(options.threads)
        print(f"{'job':<44} {'one thread':>11} {'outside':>8} {f'{options.threads} threads':>11}")
        for case in cases(options.only):
            ours = next(c for c in case.make(Setup(options.threads, True)).contestants if c.name == OURS).stopwatch()
            if ours(1) and ours(1) * 1e3 < options.least:
                continue
            seconds, outside, gain = one(partial(ours, 1), times, options.threads)
            told = "  <- more than 5 % outside" if outside > 0.05 else ""
            print(f"{case.name:<44} {seconds * 1e3:8.2f} ms {100 * outside:6.1f} % {gain:9.1f}x{told}", flush=True)
        if not times.path.exists():
            print("this build writes no times: see --help", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
