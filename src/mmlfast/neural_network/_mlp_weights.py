"""The weights of an estimator in the units of its user: shown, taken back where somebody changed them, and pickled."""

from __future__ import annotations

from typing import Any

import numpy as np

from mmlfast.neural_network._backprop import Network
from mmlfast.neural_network._mlp_scale import Scale, folded, unfolded

Array = np.ndarray[Any, Any]


def _same(a: Any, b: Array) -> bool:
    """Whether these are the same bits."""
    if type(a) is not np.ndarray or a.dtype != b.dtype or a.shape != b.shape or not a.flags.c_contiguous:
        return False
    return bool((a.view(np.uint32) == b.view(np.uint32)).all())


class PublishedWeights:
    """`coefs_` and `intercepts_` of a network whose inputs and targets are brought to scale."""

    _network: Network
    _input_scale: Scale | None
    _output_scale: Scale | None

    def _publish(self) -> None:
        """The weights in the caller's units."""
        network = self._network
        self.coefs_, self.intercepts_ = self._folded() or (list(network.weights), list(network.biases))
        self._published = self._folded()
        self.n_layers_ = len(network.sizes)
        self.n_outputs_ = network.sizes[-1]
        self.out_activation_ = network.output if isinstance(network.output, str) else "exp"

    def _inside(self) -> Network:
        """The network, with the weights that may have been put into `coefs_` and `intercepts_` since they were
        published; no array is copied that nobody changed."""
        scales = self._input_scale, self._output_scale
        weights, biases = self.coefs_, self.intercepts_
        if scales != (None, None):
            if self._published is not None and all(
                map(_same, (*weights, *biases), (*self._published[0], *self._published[1]))
            ):
                return self._network
            weights, biases = unfolded(weights, biases, *scales, self._network.dtype)
        network = object.__new__(Network)
        network.__dict__.update(self._network.__dict__, weights=weights, biases=biases)
        return network

    def __getstate__(self) -> dict[str, Any]:
        given: Any = super().__getstate__()
        state: dict[str, Any] = dict(given)
        state.pop("_published", None)  # it follows from the rest
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        theirs: Any = getattr(super(), "__setstate__", self.__dict__.update)
        theirs(state)
        if hasattr(self, "coefs_"):
            self._published = self._folded()

    def _folded(self) -> tuple[list[Array], list[Array]] | None:
        """What `coefs_` and `intercepts_` are, where they are not the arrays of the network."""
        network, scales = self._network, (self._input_scale, self._output_scale)
        return None if scales == (None, None) else folded(network.weights, network.biases, *scales, network.dtype)
