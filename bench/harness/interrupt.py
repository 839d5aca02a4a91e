"""Ctrl-C that is not lost: compilers of some peers drop a KeyboardInterrupt raised in one of their callbacks."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_asked = False


def _handle(number: int, frame: FrameType | None) -> None:
    global _asked
    _asked = True
    raise KeyboardInterrupt


@contextmanager
def remembered() -> Iterator[None]:
    """Within it, Ctrl-C raises KeyboardInterrupt at once and, should that be swallowed, at the next `check`."""
    global _asked
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, _handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        _asked = False


def check() -> None:
    if _asked:
        raise KeyboardInterrupt
