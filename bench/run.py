"""Time mmlfast beside its peers: ``python bench/run.py --help``. How to read the results: bench/README.md."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path


def main() -> int:
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    from bench.harness.command import main, parse
    from bench.harness.environment import restart

    options = parse()
    restart(options.threads, options.simd, options.peers)  # a new process: whatever read the environment so far is gone
    if importlib.util.find_spec("mmlfast") is None:
        print("mmlfast is not installed here; in the checkout: pip install '.[bench]'", file=sys.stderr)
        return 2
    return main(options)


if __name__ == "__main__":
    sys.exit(main())
