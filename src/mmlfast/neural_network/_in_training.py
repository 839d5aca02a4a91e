"""Which networks are being trained: two trainings of one would overwrite what the other has learned."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_networks: set[int] = set()
_lock = threading.Lock()


def refuse_in_training(network: Any) -> None:
    if id(network) in _networks:
        raise RuntimeError(
            "this network is being trained, by the fit whose callback this is or in another thread: "
            "copy.copy(network) makes one that can be trained meanwhile"
        )


@contextmanager
def in_training(*networks: Any) -> Iterator[None]:
    """RuntimeError if one of them is being trained already."""
    with _lock:
        for network in networks:
            refuse_in_training(network)
        _networks.update(map(id, networks))
    try:
        yield
    finally:
        _networks.difference_update(map(id, networks))
