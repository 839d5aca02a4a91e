"""Small dense networks: values, loss, gradients by backpropagation, and training, all inside compiled code."""

from mmlfast._common.public import publish
from mmlfast.neural_network._backprop import Network

__all__ = ["Network"]

publish(__name__, __all__)
