"""A tape as a picture: a box for each step, an arrow for each operand. Graphviz draws it, or else matplotlib."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from mmlfast.autodiff._explain import Listing, TraceTable
from mmlfast.autodiff._trace import Ids


class Box(NamedTuple):
    """What a picture shows of one step."""

    key: str
    text: str
    is_input: bool
    sources: list[str]


def boxes(listing: Listing, result: Ids, table: TraceTable | None = None) -> list[Box]:
    """The steps that are no constants, in order, and the result; with the numbers of a table, if there is one."""
    numbers = (
        {} if table is None else dict(zip(table.names, zip(table.values, table.derivatives, strict=True), strict=True))
    )
    out = []
    for step in listing.steps:
        if step.op == "constant":
            continue
        text = step.name if step.op == "input" else f"{step.name} = {listing.formula(step)}"
        text += f" [{step.n}]" if step.n > 1 else ""
        names = [step.name] if step.n == 1 else [f"{step.name}[{i}]" for i in range(step.n)]
        for name in names if len(names) <= 4 else []:
            if name in numbers:
                value, slope = numbers[name]
                text += f"\n{name + ': ' if step.n > 1 else ''}value {value:.4g}, slope {slope:.4g}"
        out.append(Box(f"n{step.first}", text, step.op == "input", _sources(listing, step.operands)))
    out.append(Box("result", "return " + listing.phrase(result.ravel()), True, _sources(listing, [result.ravel()])))
    return out


def _sources(listing: Listing, operands: list[Ids]) -> list[str]:
    firsts = [step.first for ids in operands for step, _ in listing.pieces(ids) if step.op != "constant"]
    return [f"n{first}" for first in dict.fromkeys(firsts)]


def as_dot(shown: list[Box], name: str) -> str:
    """In Graphviz's language."""
    lines = [f'digraph "{_quoted(name)}" {{', "    rankdir=TB;", "    node [shape=box];"]
    for box in shown:
        lines.append(f'    {box.key} [label="{_quoted(box.text)}"{", style=rounded" * box.is_input}];')
        lines += [f"    {source} -> {box.key};" for source in box.sources]
    return "\n".join([*lines, "}"])


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def save_picture(shown: list[Box], name: str, path: str | os.PathLike[str]) -> None:
    suffix = Path(path).suffix.lstrip(".").lower()
    if suffix not in ("png", "svg", "pdf"):
        raise ValueError(f"path must end with .png, .svg or .pdf, got {os.fspath(path)!r}")
    if (dot := shutil.which("dot")) is not None:
        command = [dot, f"-T{suffix}", "-o", os.fspath(path)]
        subprocess.run(command, input=as_dot(shown, name), text=True, check=True)
        return
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("a picture needs Graphviz (the program dot) or matplotlib: pip install matplotlib") from error
    figure = Figure(figsize=(8, 1 + 0.9 * (1 + max(_levels(shown).values()))), layout="constrained")
    draw(figure.subplots(), shown)
    figure.savefig(path)


def draw(axes: Any, shown: list[Box]) -> None:
    """The boxes on axes of matplotlib, each below all that it needs."""
    levels = _levels(shown)
    rows: dict[int, list[Box]] = {}
    for box in shown:
        rows.setdefault(levels[box.key], []).append(box)
    at = {box.key: ((i + 1) / (len(row) + 1), -level) for level, row in rows.items() for i, box in enumerate(row)}
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(-max(levels.values()) - 0.6, 0.6)
    for box in shown:
        style = "round,pad=0.4" if box.is_input else "square,pad=0.4"
        axes.annotate(
            box.text,
            at[box.key],
            ha="center",
            va="center",
            zorder=3,
            bbox={"boxstyle": style, "facecolor": "white", "edgecolor": "black"},
        )
        for source in box.sources:
            arrow = {"arrowstyle": "-|>", "color": "black", "shrinkA": 16, "shrinkB": 16}
            axes.annotate("", at[box.key], at[source], arrowprops=arrow, zorder=1)


def _levels(shown: list[Box]) -> dict[str, int]:
    """How far down each box has to be: one further than what it needs."""
    levels: dict[str, int] = {}
    for box in shown:
        levels[box.key] = 1 + max((levels[source] for source in box.sources), default=-1)
    return levels
