"""Files to write to or to read from: by path, or open ones."""

from __future__ import annotations

import contextlib
import os
from typing import Any


def opened(file: Any, mode: str) -> contextlib.AbstractContextManager[Any]:
    """The file at that path, or the open file itself, which stays open."""
    is_open = hasattr(file, "read" if mode == "rb" else "write")
    return contextlib.nullcontext(file) if is_open else open(file, mode)


def name_of_file(file: Any) -> str:
    """For messages."""
    return repr(os.fspath(file)) if isinstance(file, str | bytes | os.PathLike) else f"the open file {file!r}"
