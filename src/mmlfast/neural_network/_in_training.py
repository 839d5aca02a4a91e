"""Which networks are being trained: two trainings of one would overwrite what the other has learned."""

from __future__ import annotations

import threading
from typing import Any

_networks: set[int] = set()
_lock = threading.Lock()


def refuse_in_training(network: Any) -> None:
    if id(network) in _networks:
        raise RuntimeError(
            "this network is being trained, by the fit whose callback this is or in another thread: "
            "copy.copy(network) makes one that can be trained meanwhile"
        )


class in_training:
    """RuntimeError if one of them is being trained already."""

    # Not a generator: entering one takes longer than some trainings.
    def __init__(self, *networks: Any) -> None:
        self._ids = [id(network) for network in networks]
        with _lock:
            for network in networks:
                refuse_in_training(network)
            _networks.update(self._ids)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        _networks.difference_update(self._ids)
