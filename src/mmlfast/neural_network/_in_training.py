"""Which networks are being trained: two trainings of one would overwrite what the other has learned."""

from __future__ import annotations

from typing import Any

_networks: dict[int, Any] = {}  # by id; the training that has it


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
        self._ids: list[int] = []
        for network in networks:
            if _networks.setdefault(id(network), self) is not self:  # which no other thread comes into the middle of
                self.__exit__()
                refuse_in_training(network)
            self._ids.append(id(network))

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        for network in self._ids:
            _networks.pop(network, None)
