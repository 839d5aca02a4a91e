"""Put stored results into the page of the documentation: ``python bench/page.py``.

Takes the files ``docs/measured/*.json``, which ``bench/run.py --json`` wrote, and rewrites what follows "## Measured"
in ``docs/benchmarks.md``: one section for each file, with its picture beside it. Measures nothing; needs matplotlib.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.harness import picture, report

DOCS = Path(__file__).parents[1] / "docs"
HEADING = "## Measured\n"


def measured() -> str:
    """All sections, as Markdown."""
    text: list[str] = []
    for path in sorted((DOCS / "measured").glob("*.json")):
        results, machine = report.read_json(path)
        title = f"{machine['processor']}, {machine['simd']}, {machine['threads']} threads"
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


def main() -> None:
    """Write the page and its pictures."""
    page = DOCS / "benchmarks.md"
    before, _, _ = page.read_text(encoding="utf-8").partition(HEADING)
    page.write_text(before + HEADING + measured(), encoding="utf-8")
    for path in (DOCS / "measured").glob("*.json"):
        picture.draw(path.with_suffix(".svg"), *report.read_json(path))


if __name__ == "__main__":
    main()
