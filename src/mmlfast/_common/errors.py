"""Warnings of this library. Its errors are those of Python and NumPy."""

from __future__ import annotations

import sys
import warnings


class ConvergenceWarning(UserWarning):
    """An iteration stopped before it reached its tolerance. The answer is what there was, and says how good it is."""


def warn_caller(message: str, category: type[Warning] = ConvergenceWarning) -> None:
    """Warn at the line that called this library, however deep in it this is."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("mmlfast."):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
