"""A function that tapes call: itself, and its derivative."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Step:
    """What series need to know of it. derivative: None if it has a Jacobian."""

    __slots__ = ("derivative", "f", "name")

    def __init__(self, f: Callable[..., Any], derivative: Callable[..., Any] | None, name: str) -> None:
        self.f, self.derivative, self.name = f, derivative, name
