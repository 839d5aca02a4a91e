"""Interleaved timing: ours, a peer, ours, the next peer ..., and the ratio of each adjacent pair."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.harness import interrupt
from bench.harness.case import Contestant

# After a parallel loop the threads of OpenMP and OpenBLAS keep spinning (OpenBLAS for 2^26 or 2^28 ticks of the clock:
# 25 or 100 ms), on a core that the next contestant needs. So everybody starts after a rest, when all threads sleep, and
# then warms up: the rest lets processor and caches go cold.
REST = 0.15  # at most
REST_STEP = 0.005
WARM = 0.005
LONG = 0.05  # a call this long needs no warming up
# A sample is the fastest of some repeats, so that a moment in which the system did something else does not count.
REPEATS = 3
ENOUGH = 0.04  # no further repeat when a sample has taken this many seconds
FEWER = ((1.0, 3), (0.2, 5))  # a peer that takes this many seconds is timed in that many pairs only


@dataclass(frozen=True)
class Effort:
    """How much to measure: `pairs` at least, more (up to `most`) while `budget` seconds per case last."""

    pairs: int = 7
    most: int = 15
    budget: float = 2.0
    sample: float = 4e-3
    rest: float = REST


QUICK = Effort(pairs=3, most=3, budget=0.5, sample=2e-3)


@dataclass
class Series:
    """The samples of one contestant, in seconds per call, and its ratios (peer time / our time) pair by pair."""

    loops: int
    seconds: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile."""
    if len(values) < 2:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def rest(longest: float) -> None:
    """Wait until no thread of this process works, but no longer than that."""
    end = time.perf_counter() + longest
    while time.perf_counter() < end:
        used = time.process_time()
        time.sleep(REST_STEP)
        if time.process_time() - used < 0.1 * REST_STEP:
            return


class _Runner:
    """A contestant with its loop count, ready to give samples."""

    def __init__(self, contestant: Contestant, effort: Effort) -> None:
        self._time: Callable[[int], float] = contestant.stopwatch()
        self._effort = effort
        loops = 1
        while (seconds := self._fastest(loops)) < 0.8 * effort.sample:
            loops = max(loops + 1, int(loops * min(100.0, effort.sample / max(seconds, 1e-9))))
        self.once = seconds / loops
        self.series = Series(loops)

    def _fastest(self, loops: int) -> float:
        start = time.perf_counter()
        best = self._time(loops)
        for _ in range(REPEATS - 1):
            if time.perf_counter() - start > ENOUGH:
                break
            best = min(best, self._time(loops))
        return best

    def sample(self) -> float:
        interrupt.check()
        rest(self._effort.rest)
        if self.once < LONG:
            self._time(max(1, int(WARM / self.once)))
        gc.disable()
        try:
            seconds = self._fastest(self.series.loops) / self.series.loops
        finally:
            gc.enable()
        self.series.seconds.append(seconds)
        return seconds


def measure(contestants: Sequence[Contestant], effort: Effort) -> list[Series]:
    """Time the first contestant against each of the others, in turn; who comes first in a pair alternates."""
    ours, *peers = (_Runner(c, effort) for c in contestants)
    start = time.perf_counter()
    for turn in range(effort.most):
        if turn >= effort.pairs and time.perf_counter() - start > effort.budget:
            break
        if not peers:
            ours.sample()
        for peer in peers:
            if any(peer.once > seconds and turn >= pairs for seconds, pairs in FEWER):
                continue
            if turn % 2 == 0:
                us = ours.sample()
                them = peer.sample()
            else:
                them = peer.sample()
                us = ours.sample()
            peer.series.ratios.append(them / us)
    return [runner.series for runner in (ours, *peers)]
