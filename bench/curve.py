"""How each batched function compares with its peers at every size: ``python bench/curve.py --help``.

A library that is fast at n = 3 and n = 8 can still fall off a cliff at n = 5, or where one way of working hands over to
the next. This draws the whole curve, and ends with the sizes at which a peer was faster and the steps from size to size
that the size does not explain.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path


def parse(levels: Iterable[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/curve.py", description=(__doc__ or "").split("\n\n", 1)[1])
    parser.add_argument("--only", nargs="+", metavar="NAME", help="functions (default: all)")
    parser.add_argument("--dtype", choices=("float64", "float32"), default="float64")
    parser.add_argument("--sizes", metavar="LIST", help="as 1-16,24,32 (default: thirty sizes from 1 to 128)")
    parser.add_argument("--pairs", type=int, default=3, metavar="N", help="samples per size (default 3)")
    parser.add_argument("--simd", metavar="LEVEL", help="mmlfast at this level (avx2, ...)")
    parser.add_argument("--peers", choices=tuple(levels), help="peers at this level (default: at their best)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all results as JSON")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the curves (needs matplotlib)")
    return parser.parse_args()


def main() -> int:
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    from bench.harness.environment import LEVELS, available_cpus, restart

    options = parse(LEVELS)
    restart(available_cpus(), options.simd, options.peers)
    if importlib.util.find_spec("mmlfast") is None:
        print("mmlfast is not installed here; in the checkout: pip install '.[bench]'", file=sys.stderr)
        return 2
    from bench.harness.curve import run

    return run(options, available_cpus())


if __name__ == "__main__":
    sys.exit(main())
