"""Small dense networks: values, loss, gradients by backpropagation, and training, all inside compiled code.

`MLPClassifier` and `MLPRegressor` are scikit-learn estimators where scikit-learn is installed, and work without it.
"""

from typing import TYPE_CHECKING, Any

from mmlfast._common.public import publish
from mmlfast.neural_network._backprop import Network

if TYPE_CHECKING:
    from mmlfast.neural_network._mlp import MLPClassifier, MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor", "Network"]

publish(__name__, __all__)


def __getattr__(name: str) -> Any:
    if name in ("MLPClassifier", "MLPRegressor"):  # imports scikit-learn
        from mmlfast.neural_network import _mlp

        found = getattr(_mlp, name)
        found.__module__ = __name__
        return found
    raise AttributeError(f"module 'mmlfast.neural_network' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
