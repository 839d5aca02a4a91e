"""A regressor with scikit-learn's interface; public as `mmlfast.neural_network.MLPRegressor`.

Importing this imports scikit-learn where it is installed.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from mmlfast._common.estimator import RegressorMixin, available_if
from mmlfast.neural_network._backprop import Network
from mmlfast.neural_network._mlp_base import BaseMLP, takes_steps
from mmlfast.neural_network._mlp_labels import measurements
from mmlfast.neural_network._mlp_scale import Scale, scale_of_targets
from mmlfast.neural_network._training import one_of

Array = np.ndarray[Any, Any]


def exponential(z: Any) -> Any:
    """The output for counts."""
    return np.exp(z)


def poisson(out: Any, y: Any) -> Any:
    """Half the deviance of a count."""
    return np.where(y > 0, y * np.log(np.where(y > 0, y, 1.0) / out), 0.0) - y + out


class MLPRegressor(RegressorMixin, BaseMLP):
    """A regressor: a network of dense layers, with scikit-learn's parameters, attributes and defaults.

    Parameters
    ----------
    loss : {"squared_error", "absolute_error", "huber", "poisson"}
        The mean over the rows of half the squared error, summed over the outputs (scikit-learn's is divided by their
        number in `loss_curve_`, though not in its gradient); or of the absolute error, or Huber's loss, which is linear
        beyond an error of about one standard deviation of `y`; or half the deviance of counts, with the exponential
        function as the activation of the output.
    hidden_layer_sizes, activation, solver, alpha, batch_size, learning_rate, learning_rate_init, power_t, max_iter, \
shuffle, random_state, tol, verbose, warm_start, momentum, nesterovs_momentum, early_stopping, validation_fraction, \
beta_1, beta_2, epsilon, n_iter_no_change, max_fun, dropout, weight_decay : optional
        As for `MLPClassifier`; the score of a validation is the coefficient of determination.

    Attributes
    ----------
    coefs_, intercepts_ : list of ndarray
        Weights (n_in, n_out) and biases of each layer, in the units of `X` and `y`.
    loss_curve_, validation_scores_, validation_loss_curve_, loss_, best_loss_, best_validation_score_, n_iter_, t_, \
n_layers_, n_outputs_, out_activation_, n_features_in_
        As for `MLPClassifier`; losses are in the squared units of `y`.

    See Also
    --------
    Network : the network itself, with more losses and callbacks.

    Notes
    -----
    Inputs are brought to scale as by `MLPClassifier`, targets to mean 0 and deviation 1 by one factor for all columns,
    unless they are about that already; `coefs_` take that back, and the penalty, `tol` and the learning rate are those
    of the scaled problem. A warning tells of columns of `y` whose scales differ by more than 100. A target that is
    constant is predicted as it is.

    Examples
    --------
    >>> import numpy as np
    >>> from mmlfast.neural_network import MLPRegressor
    >>> X = np.linspace(-2, 2, 50)[:, None]
    >>> how = {"activation": "tanh", "solver": "lbfgs", "alpha": 0.0, "max_iter": 999, "random_state": 0}
    >>> model = MLPRegressor(hidden_layer_sizes=(10,), **how)
    >>> bool(model.fit(X, np.sin(2 * X[:, 0])).score(X, np.sin(2 * X[:, 0])) > 0.99)
    True
    """

    def __init__(
        self,
        loss: Any = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dropout: float = 0.0,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(
            hidden_layer_sizes=hidden_layer_sizes,
            activation=activation,
            solver=solver,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            power_t=power_t,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            n_iter_no_change=n_iter_no_change,
            max_fun=max_fun,
            dropout=dropout,
            weight_decay=weight_decay,
        )
        self.loss = loss

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    # ---- what a regressor is ----

    def _encoded(self, y: Any, n_rows: int, fresh: bool, classes: Any = None, whole: bool = False) -> Array:
        if not isinstance(self.loss, str):
            raise ValueError(
                f"loss must be a name, got {self.loss!r}: it is the first argument, as in scikit-learn, and "
                f"hidden_layer_sizes= the second"
            )
        one_of("loss", self.loss, ("squared_error", "absolute_error", "huber", "poisson"))
        targets = measurements(type(self).__name__, y, n_rows)
        if self.loss == "poisson" and not ((targets >= 0).all() and targets.any()):
            raise ValueError(
                f"{type(self).__name__}: Some value(s) of y are out of the valid range of the loss 'poisson': counts "
                f"are not negative, and not all 0"
            )
        if fresh:
            self._n_outputs, self._one_dimension = targets.shape[1], targets.shape[1] == 1
        elif targets.shape[1] != self._n_outputs:
            raise ValueError(
                f"{type(self).__name__}: y has {targets.shape[1]} columns, and the estimator was fitted on "
                f"{self._n_outputs}"
            )
        return targets

    def _for_network(self, targets: Array, dtype: np.dtype[Any]) -> Array:
        scale = self._output_scale
        if scale is not None:
            targets = (targets.astype(np.float64) - scale.shift) * scale.factor
        return super()._for_network(targets, dtype)

    def _kind(self) -> tuple[int, Any, Any, str]:
        if self.loss == "poisson":
            return self._n_outputs, exponential, poisson, "r2"
        return self._n_outputs, "identity", self.loss, "r2"

    def _target_scale(self, y: Array, weights: Array | None, dtype: np.dtype[Any], stream: bool) -> Scale | None:
        if self.loss == "poisson":
            return None
        name, robust = type(self).__name__, self.loss != "squared_error"
        if dtype == np.float32 and np.abs(y).max() > 1e37:
            raise ValueError(
                f"{name}: y holds {y.flat[int(np.abs(y).argmax())]:g}, and predictions have the type of X, float32, "
                f"which ends at 3e38: give X as float64, or scale y"
            )
        return scale_of_targets(name, y, weights, robust=robust, stream=stream)

    def _start(self, network: Network, targets: Array, share: Array | None) -> None:
        """A constant is learned before the first step; counts begin with their mean, whatever its size."""
        if self.loss == "poisson":
            mean = np.average(targets, axis=0, weights=share)
            network.biases[-1][...] = np.log(np.where(mean > 0, mean, 1.0))
        elif (targets == targets[0]).all():
            network.weights[-1][...] = 0
            network.biases[-1][...] = self._for_network(targets[:1], network.dtype)[0]

    def _loss_unit(self) -> float:
        if self._output_scale is None:
            return 1.0
        with np.errstate(all="ignore"):
            unit = 1 / self._output_scale.factor[0]
            return float(unit if self.loss == "absolute_error" else unit * unit)

    @available_if(takes_steps)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Take the steps of one epoch over these rows.

        Parameters
        ----------
        X, y : array_like
            As for `fit`.
        sample_weight : array_like, shape (n,), optional
            As for `fit`.

        Returns
        -------
        self : object
            The estimator.
        """
        return self._partial_fit(X, y, sample_weight)

    def predict(self, X: Any) -> Array:
        """The output of the network for each row.

        Parameters
        ----------
        X : array_like, shape (n, n_features)
            Samples in rows.

        Returns
        -------
        ndarray, shape (n,) or (n, n_outputs)
        """
        y = self._output(X, True)
        scale = self._output_scale
        with np.errstate(all="ignore"):
            y = y if scale is None else (y.astype(np.float64) / scale.factor + scale.shift).astype(y.dtype)
        return y[:, 0] if self._one_dimension else y
