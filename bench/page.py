"""Put stored results into the documentation: ``python bench/page.py``.

Takes the files ``docs/measured/*.json``, which ``bench/run.py --json`` wrote, and rewrites what follows "## Measured"
in ``docs/benchmarks.md``: one section for each file, with its picture beside it. ``docs/roofs.md`` has their shares of
bandwidth and peak. Of the first file, ten cases stand in the README, with one that is lost. Measures nothing; needs
matplotlib.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.harness import picture, report

DOCS = Path(__file__).parents[1] / "docs"
README = DOCS.parent / "README.md"
HEADING = "## Measured\n"
BEGIN, END = "<!-- what bench/page.py writes -->\n", "<!-- up to here -->\n"
CHOSEN = (
    "solve-one-3",
    "solve-batch-4-float64",
    "eigh-batch-3-float64",
    "covariance-1000000x10-float64-far",
    "pca-1000000x10-float64-far",
    "knn-2e4x64",
    "autodiff-gradient-rosenbrock-10",
    "curve-fit-many-decay",
    "backprop-tiny",
    "det-batch-3-float64",
)


def measured() -> str:
    """All sections, as Markdown."""
    text: list[str] = []
    for path in stored():
        results, machine = report.read_json(path)
        title = f"{machine['processor']}, {machine['simd']}, {machine['threads']} threads, {machine['date'][:16]}"
        text += [
            "",
            f"### {title}",
            "",
            f"![times faster than the best peer, case by case](measured/{path.stem}.svg)",
            "",
        ]
        text += report.summary(results, "####")
        text += ["Machine and versions:", "", *report.machine_lines(machine)]
    return "\n".join(text) + "\n"


def stored() -> list[Path]:
    return sorted((DOCS / "measured").glob("*.json"))


def headline() -> str:
    """The table of the README, as Markdown."""
    results, machine = report.read_json(stored()[0])
    chosen = [result for name in CHOSEN for result in results if result.name == name]
    versions = ", ".join(f"{name} {version}" for name, version in sorted(machine["versions"].items()))
    about = f"{machine['processor']}, {machine['simd']}, {machine['threads']} threads for everybody; {versions}."
    return "\n".join([*report.rows(chosen, goals=False), "", about]) + "\n"


def roofs() -> str:
    """The cases of known traffic or arithmetic and their shares, family by family, as Markdown."""
    text: list[str] = []
    for path in stored():
        results, machine = report.read_json(path)
        text += [
            f"{machine['processor']}, {machine['simd']}, {machine['threads']} threads, {machine['date'][:10]}:",
            "",
        ]
        text += ["", "| case | time | of the bandwidth | of the peak | |", "| --- | --- | --- | --- | --- |"]
        for result in results:
            if (ours := result.ours) is None:
                continue
            shares = ours.bandwidth_share, ours.peak_share
            known = [share for share in shares if share is not None]
            if not known:
                continue
            cells = ["" if share is None else f"{100 * share:.0f} %" for share in shares]
            verdict = "at the roof" if max(known) > 0.6 else "far from it" if max(known) < 0.3 else ""
            text.append(f"| {result.title} | {report.time_text(ours.seconds)} | {cells[0]} | {cells[1]} | {verdict} |")
        text.append("")
    return "\n".join(text)


def between_marks(path: Path, text: str) -> None:
    """Put `text` between the two marks of a file."""
    start, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    path.write_text(start + BEGIN + text + END + rest.partition(END)[2], encoding="utf-8")


def main() -> None:
    """Write the pages, the table of the README, and the pictures."""
    page = DOCS / "benchmarks.md"
    before, _, _ = page.read_text(encoding="utf-8").partition(HEADING)
    page.write_text(before + HEADING + measured(), encoding="utf-8")
    between_marks(README, headline())
    between_marks(DOCS / "roofs.md", roofs())
    for path in stored():
        picture.draw(path.with_suffix(".svg"), *report.read_json(path))
    results, machine = report.read_json(stored()[0])
    picture.draw(DOCS / "measured/chosen.svg", [r for r in results if r.name in CHOSEN], machine)


if __name__ == "__main__":
    main()
