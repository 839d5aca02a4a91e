"""``python -m mmlfast``, the tour: see :mod:`mmlfast.tour`."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from mmlfast import __version__
from mmlfast.tour import STEPS

# What the tour imports, and what to call it when it is missing.
_EXTRAS = {
    "rich.progress": "rich",
    "matplotlib.figure": "matplotlib",
    "PIL.Image": "pillow",
    "sklearn.datasets": "scikit-learn",
}

_EPILOG = """\
exit codes: 0 every check passed, 1 a check failed or a step raised, 2 wrong arguments or a missing package,
130 interrupted. The packages of the tour come with  pip install "mmlfast[tour]",
those of the notebooks with  pip install "mmlfast[notebooks]"."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mmlfast",
        description="The mathematics of machine learning on real data that comes with scikit-learn. Every step is "
        "checked against NumPy, SciPy or scikit-learn and timed beside it, and leaves pictures.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", metavar="DIR", type=Path, default=Path("mmlfast-tour"), help="folder for the pictures")
    parser.add_argument("--quick", action="store_true", help="less data and shorter timings: under a minute")
    parser.add_argument("--only", metavar="STEP", action="append", choices=list(STEPS), help="only this step (repeat)")
    parser.add_argument("--list", action="store_true", help="list the steps and stop")
    parser.add_argument(
        "--notebooks",
        metavar="DIR",
        type=Path,
        help="no tour: write the pages of the gallery and of the course as notebooks and open them in JupyterLab",
    )
    parser.add_argument("--no-open", action="store_true", help="with --notebooks: write them and stop")
    parser.add_argument("--version", action="version", version=f"mmlfast {__version__}")
    return parser


def _missing_extra() -> str | None:
    for module, package in _EXTRAS.items():
        try:
            importlib.import_module(module)
        except ImportError:
            return package
    return None


def _error(message: str) -> None:
    sys.stderr.write(f"mmlfast: {message}\n")


def _notebooks(folder: Path, *, show: bool) -> int:
    from mmlfast.tour._notebooks import open_notebooks

    try:
        return open_notebooks(folder, show=show)
    except ImportError as error:
        _error(f'notebooks need {error.name}: pip install "mmlfast[notebooks]"')
    except OSError as error:
        _error(f"cannot write the notebooks: {error}")
    return 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tour and return its exit code."""
    args = _parser().parse_args(argv)
    try:
        if args.list:
            for name, step in STEPS.items():
                sys.stdout.write(f"{name:<18} {step.title}\n")
            return 0
        if args.notebooks is not None:
            return _notebooks(args.notebooks, show=not args.no_open)
        package = _missing_extra()
        if package is not None:
            _error(f'the tour needs {package}: pip install "mmlfast[tour]"')
            return 2
        try:
            args.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            _error(f"cannot make the folder of --out: {error}")
            return 2
        from mmlfast.tour._frame import run_tour

        return run_tour([name for name in STEPS if not args.only or name in args.only], args.out, quick=args.quick)
    except KeyboardInterrupt:
        _error("interrupted")
        return 130


if __name__ == "__main__":
    sys.exit(main())
