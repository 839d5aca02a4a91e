"""The command line of bench/run.py."""

from __future__ import annotations

import argparse
import fnmatch
import importlib
import importlib.util
import pkgutil
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from bench.harness import environment, interrupt, machine, report, run_case, timing
from bench.harness.case import Case
from bench.harness.roof import Roof


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench/run.py", description="Time mmlfast beside every installed peer, in turn, with errors shown."
    )
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="cases whose name or family contains NAME, or matches NAME*"
    )
    parser.add_argument("--list", action="store_true", help="list the cases and their goals, and stop")
    parser.add_argument("--quick", action="store_true", help="fewer samples; leaves the slow cases out")
    parser.add_argument("--threads", type=int, metavar="N", help="threads for everybody (default: the CPUs available)")
    parser.add_argument("--simd", metavar="LEVEL", help="mmlfast at this level (avx2, ...)")
    parser.add_argument(
        "--peers", choices=tuple(environment.LEVELS), help="peers at this level (default: at their best)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all results as JSON")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write a summary and all results as Markdown")
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw the summary (PNG, SVG or PDF; needs matplotlib)"
    )
    options = parser.parse_args(arguments)
    cpus = environment.available_cpus()
    if options.threads is None:
        options.threads = cpus
    if not 1 <= options.threads <= cpus:
        parser.error(f"--threads must be 1 to {cpus}, the CPUs available here; got {options.threads}")
    for path in (options.json, options.markdown, options.plot):
        if path is not None and not path.resolve().parent.is_dir():
            parser.error(f"the folder of {path} does not exist")
    if options.plot is not None and importlib.util.find_spec("matplotlib") is None:
        parser.error("--plot needs matplotlib: pip install matplotlib")
    return options


def load(package: str = "bench.cases") -> list[Case]:
    """The cases of every module of the package, each of the family its module is named after."""
    found: ModuleType = importlib.import_module(package)
    cases: list[Case] = []
    for info in sorted(pkgutil.iter_modules(found.__path__), key=lambda info: info.name):
        module = importlib.import_module(f"{package}.{info.name}")
        cases += [replace(case, family=info.name) for case in module.CASES]
    return cases


def chosen(cases: Sequence[Case], only: Sequence[str] | None, quick: bool) -> list[Case]:
    if not only:
        return [case for case in cases if not (quick and case.slow)]

    def wanted(name: str) -> bool:
        return any(pattern in name or fnmatch.fnmatch(name, pattern) for pattern in only)

    return [case for case in cases if wanted(case.name) or wanted(case.family)]


def main(options: argparse.Namespace, cases: Sequence[Case] | None = None) -> int:
    """Run, print, write. 0 if every case ran (goals missed or met), 1 if one failed, 130 after Ctrl-C."""
    picked = chosen(load() if cases is None else cases, options.only, options.quick)
    if not picked:
        print(f"no case matches {options.only}; --list shows their names", file=sys.stderr)
        return 2
    if options.list:
        width = max(len(case.name) for case in picked)
        for case in picked:
            print(f"{case.name:<{width}}  {case.title}; goal: {', '.join(g.text for g in case.goals) or 'none'}")
        return 0
    effort = timing.QUICK if options.quick else timing.Effort()
    results: list[run_case.Result] = []
    interrupted = False
    start = time.perf_counter()
    before = machine.load()
    if before > options.threads / 2:
        print(f"the machine is busy (load {before:.1f}): expect wide spreads", file=sys.stderr)
    roof = Roof(options.threads)
    try:
        with interrupt.remembered():
            for i, case in enumerate(picked, 1):
                began = time.perf_counter()
                results.append(run_case.run(case, options.threads, effort, options.quick))
                results[-1].took = round(time.perf_counter() - began, 2)
                print(f"[{i}/{len(picked)}] {report.sentence(results[-1])}", file=sys.stderr, flush=True)
                if results[-1].bytes or results[-1].flops:
                    roof.measure()
    except KeyboardInterrupt:
        interrupted = True
        print("interrupted: what is done so far", file=sys.stderr)
    run_case.set_shares(results, roof)
    about = machine.describe(options.threads, run_case.libraries(results), roof)
    about["load before, after"] = [round(before, 2), round(machine.load(), 2)]
    about["seconds"] = round(time.perf_counter() - start, 1)
    about["quick"] = options.quick
    report.show(results, about)
    _write(options, results, about)
    if interrupted:
        return 130
    return 1 if any(result.failed for result in results) else 0


def _write(options: argparse.Namespace, results: list[run_case.Result], about: dict[str, object]) -> None:
    if options.json is not None:
        report.write_json(options.json, results, about)
    if options.markdown is not None:
        report.write_markdown(options.markdown, results, about)
    if options.plot is not None:
        from bench.harness import picture

        if not picture.draw(options.plot, results, about):
            print("nothing to draw: no case ran beside a peer", file=sys.stderr)
