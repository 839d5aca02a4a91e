"""Where real data sets are, without the packages that read them."""

from __future__ import annotations

import os
from pathlib import Path


def folder() -> Path:
    """The folder `MMLFAST_DATA`, or where data sets would be beside a checkout."""
    beside = Path(__file__).resolve().parents[4] / "shared" / "data"
    return Path(os.environ.get("MMLFAST_DATA") or beside)
