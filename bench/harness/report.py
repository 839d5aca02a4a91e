"""Results as text: a table for the terminal, Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.harness.case import library
from bench.harness.run_case import Line, Result

_UNITS = (("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9))
_HEADER = ("case", "who", "time", "peer / ours", "spread", "error", "share", "goal")


def time_text(seconds: float) -> str:
    for unit, size in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}" if seconds < 1000 * size else f"{seconds / size:.0f} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def ratio_text(ratio: float | None) -> str:
    if ratio is None:
        return ""
    return f"{ratio:.0f}x" if ratio >= 100 else f"{ratio:.3g}x"


def spread_text(line: Line) -> str:
    if line.ratio_low is None or line.ratio_high is None:
        return ""
    return f"{line.ratio_low:.3g} .. {line.ratio_high:.3g}"


def error_text(line: Line) -> str:
    return "" if line.error is None else f"{line.error:.2g}" + (" WRONG" if line.wrong else "")


def share_text(line: Line) -> str:
    parts = []
    if line.bandwidth_share is not None:
        parts.append(f"{100 * line.bandwidth_share:.0f}% bandwidth")
    if line.peak_share is not None:
        parts.append(f"{100 * line.peak_share:.0f}% peak")
    return ", ".join(parts)


def goal_text(goal: tuple[str, bool | None]) -> str:
    text, met = goal
    return f"{text}: {'not measured' if met is None else 'met' if met else 'MISSED'}"


def sentence(result: Result) -> str:
    """One case in one line."""
    if result.ours is None:
        return f"{result.name}: FAILED: {'; '.join(f'{k}: {v}' for k, v in result.failed.items())}"
    text = f"{result.name}: {time_text(result.ours.seconds)}"
    if result.best is not None:
        text += f", {ratio_text(result.best.ratio)} {result.best.name}"
    missed = [goal for goal, met in result.goals if met is False]
    return text + (f", MISSED {', '.join(missed)}" if missed else "")


def _rows(result: Result) -> list[tuple[str, ...]]:
    """One row per contestant, then one per goal, absence or failure that found no row."""
    rows: list[tuple[str, ...]] = []
    goals = [goal_text(goal) for goal in result.goals]
    for i, line in enumerate(result.lines):
        rows.append(
            (
                result.name if i == 0 else "",
                line.name,
                time_text(line.seconds),
                ratio_text(line.ratio),
                spread_text(line),
                error_text(line),
                share_text(line),
                goals.pop(0) if goals else "",
            )
        )
    blank = ("",) * 5
    rows += [("", "", *blank, goal) for goal in goals]
    rows += [("" if rows else result.name, name, "failed", *blank[:4], why) for name, why in result.failed.items()]
    if result.absent:
        rows.append(("", ", ".join(result.absent), "absent", *blank))
    return rows


def table(results: Sequence[Result]) -> str:
    """The table in plain text."""
    rows = [_HEADER, *(row for result in results for row in _rows(result))]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADER))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([text[0], "-" * max(map(len, text)), *text[1:]])


def show(results: Sequence[Result], machine: dict[str, Any]) -> None:
    """Print table and machine: with rich on a terminal if it is installed, plain otherwise."""
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        console = None
    else:
        console = Console()
    if console is None or not console.is_terminal:
        print(table(results))
    else:
        grid = Table(*_HEADER, title="peer / ours: above 1 we are faster", show_lines=False, header_style="bold")
        for result in results:
            for row in _rows(result):
                style = "red" if "MISSED" in row[-1] or "failed" in row else ""
                grid.add_row(*row, style=style)
            grid.add_section()
        console.print(grid)
    print()
    for name, value in machine.items():
        print(f"{name}: {_flat(value)}")
    print(counts(results))


def counts(results: Sequence[Result]) -> str:
    goals = [met for result in results for _, met in result.goals]
    slower = sum(r.best is not None and r.best.ratio is not None and r.best.ratio < 1 for r in results)
    return (
        f"{len(results)} cases: {goals.count(True)} goals met, {goals.count(False)} missed, "
        f"{goals.count(None)} not measured; slower than the best peer in {slower}; "
        f"failed: {sum(r.ours is None for r in results)}"
    )


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def write_json(path: Path, results: Sequence[Result], machine: dict[str, Any]) -> None:
    record = {"machine": machine, "cases": [result.as_dict() for result in results]}
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def read_json(path: Path) -> tuple[list[Result], dict[str, Any]]:
    record = json.loads(path.read_text(encoding="utf-8"))
    return [Result.from_dict(case) for case in record["cases"]], record["machine"]


def _markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


def _summary_row(result: Result) -> list[str]:
    ours, best = result.ours, result.best
    if ours is None:
        return [result.title, "failed", "", "", "", "", "; ".join(result.failed.values())]
    numpys = [line for line in result.lines if library(line.name) == "numpy" and not line.wrong]
    against_numpy = [line.ratio for line in numpys if line.ratio is not None]
    return [
        result.title,
        time_text(ours.seconds),
        "" if best is None else f"{best.name}, {time_text(best.seconds)}",
        "" if best is None else f"**{ratio_text(best.ratio)}** ({spread_text(best)})",
        ratio_text(min(against_numpy)) if against_numpy else "",
        " / ".join(error_text(line) for line in (ours, best) if line is not None),
        "; ".join(map(goal_text, result.goals)),
    ]


def machine_lines(machine: dict[str, Any]) -> list[str]:
    return [f"- {name}: {_flat(value)}" for name, value in machine.items()]


def rows(results: Sequence[Result], *, goals: bool = True) -> list[str]:
    """Markdown lines: one table, a row for each case."""
    header = ["case", "mmlfast", "best peer", "ratio (quartiles)", "over numpy", "error: ours / best peer", "goals"]
    shown = len(header) if goals else len(header) - 1
    return _markdown_table(header[:shown], [_summary_row(result)[:shown] for result in results])


def summary(results: Sequence[Result], level: str) -> list[str]:
    """Markdown lines: a table for each family, under headings of that level."""
    text = [counts(results), ""]
    text += ["Ratios are peer time / our time, median of pairs measured in turn; above 1 we are faster.", ""]
    for family in dict.fromkeys(result.family for result in results):
        text += [f"{level} {family}", "", *rows([r for r in results if r.family == family]), ""]
    return text


def write_markdown(path: Path, results: Sequence[Result], machine: dict[str, Any]) -> None:
    """A summary per family, then every contestant of every case, then the machine."""
    text = ["# Benchmark results", "", *summary(results, "##"), "## Every contestant", ""]
    for result in results:
        text += [f"### {result.name}", "", f"{result.title}. Error: {result.error_name or 'not shown'}.", ""]
        text += _markdown_table(_HEADER[1:], [row[1:] for row in _rows(result)])
        text.append("")
    text += ["## Machine", "", *machine_lines(machine), ""]
    path.write_text("\n".join(text), encoding="utf-8")
