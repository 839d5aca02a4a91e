"""What the steps of the tour share: jobs and their checks, timing in turn, pictures, the progress bar and the table."""

from __future__ import annotations

import importlib
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure
from rich import box
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text
from threadpoolctl import ThreadpoolController  # comes with scikit-learn

from mmlfast.tour import STEPS

_WIDTH_OF_A_PIPE = 120  # rich takes 80 columns where there is no terminal: too few for the table


@dataclass
class Times:
    """Seconds that we and a peer took, and by how much we were faster, pair by pair."""

    ours: float
    theirs: float
    ratio: float
    peer: str


@dataclass
class Row:
    """One row of the table: a job, the largest error found in it and the error allowed."""

    step: str
    job: str
    error: float
    limit: float
    times: Times | None = None

    @property
    def ok(self) -> bool:
        return self.error <= self.limit  # False for NaN


class Skipped(Exception):
    """What a step raises that cannot run here, with the reason: no failure."""


class Tour:
    """What a step gets: a place to put its pictures, its checks and its times."""

    def __init__(self, out: Path, *, quick: bool, console: Console, progress: Progress) -> None:
        self.out = out
        self.quick = quick
        self.rows: list[Row] = []
        self.pictures: list[Path] = []
        self.failures: dict[str, str] = {}  # step -> what it raised
        self.skipped: dict[str, str] = {}  # step -> why
        self.seconds: dict[str, float] = {}
        self._step = ""
        self._blas = ThreadpoolController()
        self._console = console
        self._progress = progress

    def say(self, activity: str) -> None:
        """Show what the step is doing beside the progress bar."""
        for task in self._progress.task_ids:
            self._progress.update(task, activity=f"{self._step}: {activity}")

    def check(self, job: str, *, error: float, limit: float, times: Times | None = None) -> None:
        """Finish a job: its largest error, the limit for it, and its times if it was timed."""
        self.rows.append(Row(self._step, job, float(error), limit, times))
        for task in self._progress.task_ids:
            self._progress.advance(task)

    def race(
        self,
        ours: Callable[[], object],
        theirs: Callable[[], object],
        *,
        peer: str,
        seconds: float = 1.0,
        pairs: int = 0,
    ) -> Times:
        """Time two callables in turn, for about `seconds` after a warm-up, at least three times each; take medians.

        The peer runs with the BLAS threads that it chooses and with one, and the faster way counts: on small problems,
        and with NumPy's and SciPy's BLAS in one process, threads can cost it a factor of 100. `pairs`: so many times
        each and nothing else, for jobs of seconds that use no BLAS.
        """

        def theirs_alone() -> None:
            with self._blas.limit(limits=1, user_api="blas"):
                start = time.perf_counter()
                theirs()
                alone.append(time.perf_counter() - start)

        def pair() -> None:
            t0 = time.perf_counter()
            ours()
            t1 = time.perf_counter()
            theirs()
            free.append(time.perf_counter() - t1)
            own.append(t1 - t0)

        alone: list[float] = []
        own: list[float] = []
        free: list[float] = []
        for _ in range(pairs):
            pair()
        if pairs:
            return _medians(own, free, peer)
        ours()
        theirs()
        theirs_alone()
        alone.clear()
        end = time.perf_counter() + (seconds / 4 if self.quick else seconds)
        while len(own) < 3 or (time.perf_counter() < end and len(own) < 1000):
            pair()
            theirs_alone()
        return _medians(own, min(free, alone, key=statistics.median), peer)

    def save(self, figure: Figure, name: str) -> None:
        """Write a picture into the folder of the tour."""
        path = self.out / f"{name}.png"
        figure.savefig(path, dpi=110)
        self.pictures.append(path)

    def run(self, step: str) -> None:
        """Run a step; what it raises is a failure of the step, and the tour goes on."""
        self._step = step
        start = time.perf_counter()
        self.say("reading the data")
        try:
            importlib.import_module(f"mmlfast.tour.{step}").run(self)
        except Skipped as reason:
            self.skipped[step] = str(reason)
        except Exception as error:
            self.failures[step] = f"{type(error).__name__}: {error}"
        self.seconds[step] = time.perf_counter() - start
        rows = [row for row in self.rows if row.step == step]
        passed = sum(row.ok for row in rows)
        verdict = "FAILED" if step in self.failures or passed < len(rows) else "ok"
        if step in self.skipped:
            verdict = "skipped"
        line = f"{step:<18} {verdict:<7} {passed} of {len(rows)} checks passed  {self.seconds[step]:5.1f} s"
        self._console.print(Text(line))

    @property
    def ok(self) -> bool:
        return not self.failures and all(row.ok for row in self.rows)

    def table(self) -> Table:
        """One row per check, under the name of its step; the peer of a timed job stands below it."""
        table = Table(box=box.SIMPLE_HEAD, title="The tour", title_justify="left", pad_edge=False)
        table.add_column("job and data", overflow="fold")
        for heading in ("error", "limit", "mmlfast", "peer", "ratio"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("result", no_wrap=True)
        for step in self.seconds:
            failure, reason = self.failures.get(step), self.skipped.get(step)
            result = _verdict(False) if failure else "skipped" if reason else ""
            table.add_row(Text(step, style="bold"), *[""] * 5, result)
            if failure or reason:
                table.add_row(_indented(failure or reason or ""))
            for row in self.rows:
                if row.step == step:
                    table.add_row(*_cells(row))
        return table


def run_tour(steps: Sequence[str], out: Path, *, quick: bool) -> int:
    """Run these steps, show the table, and return 0 if every check passed, else 1."""
    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(width=_WIDTH_OF_A_PIPE)
    progress = Progress(
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[activity]}", markup=False),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    tour = Tour(out, quick=quick, console=console, progress=progress)
    with progress:
        bar = progress.add_task("tour", total=sum(STEPS[step].jobs for step in steps), activity="")
        done = 0
        for step in steps:
            tour.run(step)
            done += STEPS[step].jobs
            progress.update(bar, completed=done)
    console.print(tour.table())
    console.print(Text("ratio: peer's time by ours, run in turn in this process, median of the pairs"))
    if "OPENBLAS_CORETYPE" in os.environ:
        console.print(Text("OPENBLAS_CORETYPE is set: NumPy may be slower here than it can be."))
    if tour.pictures:
        names = ", ".join(path.name for path in tour.pictures)
        console.print(Text(f"pictures in {out}: {names}"))
    console.print(Text("every check passed" if tour.ok else "FAILED: see the table"))
    return 0 if tour.ok else 1


def _medians(own: Sequence[float], theirs: Sequence[float], peer: str) -> Times:
    return Times(
        ours=statistics.median(own),
        theirs=statistics.median(theirs),
        ratio=statistics.median(b / a for a, b in zip(own, theirs, strict=True)),
        peer=peer,
    )


def _cells(row: Row) -> list[RenderableType]:
    job = row.job
    times = ["", "", ""]
    if row.times is not None:
        job += f"\n  peer: {row.times.peer}"
        times = [_seconds(row.times.ours), _seconds(row.times.theirs), f"{row.times.ratio:.1f}x"]
    numbers = [_power(row.error, 1), _power(row.limit, 0), *times]
    return [_indented(job), *(Text(cell) for cell in numbers), _verdict(row.ok)]


def _indented(text: str) -> Padding:
    return Padding(Text(text), (0, 0, 0, 2))


def _power(x: float, digits: int) -> str:
    return f"{x:.{digits}e}" if x else "0"


def _verdict(ok: bool) -> Text:
    return Text("ok", style="green") if ok else Text("FAILED", style="bold red")


def _seconds(t: float) -> str:
    for factor, unit in ((1.0, "s"), (1e3, "ms")):
        if t * factor >= 1:
            return f"{t * factor:.3g} {unit}"
    return f"{t * 1e6:.3g} us"
