"""One case from setup to result."""

from __future__ import annotations

import traceback
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np

from bench.harness import interrupt
from bench.harness.case import OURS, YARDSTICK, Case, Contestant, Setup, library
from bench.harness.roof import Roof
from bench.harness.timing import Effort, Series, measure, quartiles


@dataclass
class Line:
    """What one contestant reached. Times in seconds per call; `ratio` is its time over ours (below 1: we lose)."""

    name: str
    seconds: float
    seconds_low: float
    seconds_high: float
    samples: int
    loops: int
    error: float | None
    wrong: bool = False  # the error is above the limit of the case
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    bandwidth_share: float | None = None
    peak_share: float | None = None


@dataclass
class Result:
    """What one case gave: `lines[0]` is ours, the others are the peers, the fastest first."""

    name: str
    title: str
    family: str
    error_name: str = ""
    bytes: float = 0.0
    flops: float = 0.0
    dtype: str = "float64"
    lines: list[Line] = field(default_factory=list)
    goals: list[tuple[str, bool | None]] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    took: float = 0.0  # seconds for the whole case, imports and compilation included

    @property
    def ours(self) -> Line | None:
        return self.lines[0] if self.lines else None

    @property
    def best(self) -> Line | None:
        """The fastest peer that did the job."""
        return next((line for line in self.lines[1:] if not line.wrong and library(line.name) != YARDSTICK), None)

    def as_dict(self) -> dict[str, Any]:
        record = asdict(self)
        record["goals"] = [{"goal": text, "met": met} for text, met in self.goals]
        return record

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Self:
        """The result that `as_dict` wrote down."""
        lines = [Line(**line) for line in record["lines"]]
        goals = [(goal["goal"], goal["met"]) for goal in record["goals"]]
        return cls(**{**record, "lines": lines, "goals": goals})


def run(case: Case, threads: int, effort: Effort, quick: bool) -> Result:
    """Build the job, check every contestant once (compiling what compiles), then time them in turn.

    Whoever fails is left out and listed with the reason; if that is us, the case has no lines.
    """
    result = Result(case.name, case.title, case.family)
    setup = Setup(threads, quick)
    try:
        job = case.make(setup)
    except Exception as problem:  # of whom, the reason says
        result.failed["setup"] = _reason(problem)
        return result
    finally:
        result.absent = setup.absent
    result.error_name, result.bytes, result.flops = job.error_name, job.bytes, job.flops
    result.dtype = np.dtype(job.dtype).name
    ready: list[Contestant] = []
    errors: list[float | None] = []
    for contestant in job.contestants:
        interrupt.check()
        try:
            answer = contestant.run()
            if job.error is None or library(contestant.name) == YARDSTICK:
                errors.append(None)
            else:
                errors.append(float(job.error(answer)))
            ready.append(contestant)
        except Exception as problem:
            result.failed[contestant.name] = _reason(problem)
            if contestant.name == OURS:
                return result
    for contestant, series, error in zip(ready, measure(ready, effort), errors, strict=True):
        line = _line(contestant.name, series, error)
        line.wrong = job.limit is not None and error is not None and not error <= job.limit
        result.lines.append(line)
    result.lines[1:] = sorted(result.lines[1:], key=lambda line: line.ratio or 0.0)
    ratios = {line.name: line.ratio for line in result.lines if line.ratio is not None and not line.wrong}
    result.goals = [(goal.text, goal.met(ratios, result.lines[0].seconds)) for goal in case.goals]
    if job.limit is not None:
        result.goals.append((f"error <= {job.limit:.2g}", not result.lines[0].wrong))
    return result


def libraries(results: list[Result]) -> set[str]:
    """Every library that took part."""
    return {library(line.name) for result in results for line in result.lines} - {YARDSTICK}


def set_shares(results: list[Result], roof: Roof) -> None:
    """Set every time against what the machine can do at most."""
    if not roof.measured:
        return
    for result in results:
        for line in result.lines:
            if result.bytes:
                line.bandwidth_share = result.bytes / line.seconds / roof.bandwidth(result.bytes)
            if result.flops:
                line.peak_share = result.flops / line.seconds / roof.flops(result.dtype)


def _line(name: str, series: Series, error: float | None) -> Line:
    low, middle, high = quartiles(series.seconds)
    line = Line(name, middle, low, high, len(series.seconds), series.loops, error)
    if series.ratios:
        line.ratio_low, line.ratio, line.ratio_high = quartiles(series.ratios)
    return line


def _reason(problem: Exception) -> str:
    place = traceback.extract_tb(problem.__traceback__)[-1]
    text = str(problem).strip().splitlines()
    return f"{type(problem).__name__}: {text[0] if text else ''} ({place.name}, line {place.lineno})"
