"""Warnings of this library. Its errors are those of Python and NumPy."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_collected: ContextVar[list[tuple[str, type[Warning]]] | None] = ContextVar("collected", default=None)


# Also what `@np.errstate` makes of our functions.
_OURS = ("mmlfast.", "numpy._core._ufunc_config")


class ConvergenceWarning(UserWarning):
    """An iteration stopped before it reached its tolerance. The answer is what there was, and says how good it is."""


def warn_caller(message: str, category: type[Warning] = ConvergenceWarning) -> None:
    """Warn at the line that called this library, however deep in it this is."""
    collected = _collected.get()
    if collected is not None:
        collected.append((message, category))
        return
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(_OURS):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


@contextmanager
def collected_warnings() -> Iterator[list[tuple[str, type[Warning]]]]:
    """The warnings of this library that are given inside, in a list instead: for work in threads, whose caller is
    warned by the thread that waits for them."""
    found: list[tuple[str, type[Warning]]] = []
    token = _collected.set(found)
    try:
        yield found
    finally:
        _collected.reset(token)
