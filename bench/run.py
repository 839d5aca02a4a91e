"""Time mmlfast beside its peers: ``python bench/run.py --help``. How to read the results: bench/README.md."""

from __future__ import annotations

import importlib.util
import sys


def main() -> int:
    # Nothing may load a BLAS before the environment is clean, hence the imports inside.
    from harness import environment
    from harness.command import main, parse

    options = parse()
    environment.restart(options.threads)
    if importlib.util.find_spec("mmlfast") is None:
        print("mmlfast is not installed here; in the checkout: pip install '.[bench]'", file=sys.stderr)
        return 2
    return main(options)


if __name__ == "__main__":
    sys.exit(main())
