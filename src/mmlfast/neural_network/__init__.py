"""Small dense networks: values, loss, gradients by backpropagation, and training, all inside compiled code.

`MLPClassifier` and `MLPRegressor` are scikit-learn estimators where scikit-learn is installed, and work without it.
"""

from typing import TYPE_CHECKING, Any

from mmlfast._common.public import publish, refuse
from mmlfast.neural_network._backprop import Network
from mmlfast.neural_network._fit_many import FitMany, fit_many

if TYPE_CHECKING:
    from mmlfast.neural_network._mlp_classifier import MLPClassifier
    from mmlfast.neural_network._mlp_regressor import MLPRegressor

__all__ = ["FitMany", "MLPClassifier", "MLPRegressor", "Network", "fit_many"]

publish(__name__, __all__)


def __getattr__(name: str) -> Any:
    if name == "MLPClassifier":  # imports scikit-learn
        from mmlfast.neural_network._mlp_classifier import MLPClassifier

        MLPClassifier.__module__ = __name__
        return MLPClassifier
    if name == "MLPRegressor":
        from mmlfast.neural_network._mlp_regressor import MLPRegressor

        MLPRegressor.__module__ = __name__
        return MLPRegressor
    refuse(__name__, name)
