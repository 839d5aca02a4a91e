"""The summary picture: one bar per case, how many times faster than the best peer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.harness.report import ratio_text
from bench.harness.run_case import Result


def draw(path: Path, results: Sequence[Result], machine: dict[str, Any]) -> bool:
    """Write the picture; False if there is nothing to draw. Needs matplotlib."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    drawn = [(r, r.best) for r in results if r.best is not None and r.best.ratio]
    if not drawn:
        return False
    families = list(dict.fromkeys(r.family for r, _ in drawn))
    figure = Figure(figsize=(10, 1.6 + 0.27 * len(drawn)), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for place, (result, best) in enumerate(drawn):
        ratio = best.ratio or 1.0
        axes.barh(place, ratio - 1, left=1, height=0.72, color=f"C{families.index(result.family) % 10}")
        axes.plot([best.ratio_low or ratio, best.ratio_high or ratio], [place, place], color="black", linewidth=1)
        label = f" {ratio_text(ratio)} {best.name}"
        end = max(ratio, best.ratio_high or ratio, 1.0)
        axes.text(end * 1.03, place, label, va="center", fontsize=8, color="black" if ratio >= 1 else "C3")
    ratios = [best.ratio or 1.0 for _, best in drawn]
    axes.set_xscale("log")
    axes.set_xlim(min(0.5, min(ratios) * 0.8), max(max(ratios) * 4, 4))
    axes.axvline(1, color="black", linewidth=1.2)
    axes.set_yticks(range(len(drawn)), [r.title for r, _ in drawn], fontsize=8)
    axes.set_ylim(len(drawn) - 0.4, -0.6)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}x")
    axes.grid(axis="x", which="major", color="0.85", linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(
        "time of the best peer / time of mmlfast (right of the line: mmlfast is faster; thin line: quartiles)"
    )
    handles = [Patch(color=f"C{i % 10}", label=family) for i, family in enumerate(families)]
    figure.legend(handles=handles, loc="outside upper center", ncols=max(1, min(6, len(families))), fontsize=8)
    axes.set_title(f"{machine['processor']}, {machine['threads']} threads, {machine['simd']}", fontsize=9)
    with rc_context({"svg.fonttype": "none"}):  # text as text: a fifth of the size
        figure.savefig(path)
    return True
