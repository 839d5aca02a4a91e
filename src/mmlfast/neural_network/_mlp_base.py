"""What the classifier and the regressor have in common. Importing this imports scikit-learn where it is installed."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, Self

import numpy as np

import mmlfast.neural_network._training as training
from mmlfast._common.arrays import as_array, as_float
from mmlfast._common.errors import warn_caller
from mmlfast._common.estimator import BaseEstimator, EstimatorConvergenceWarning, check_is_fitted, validate_rows
from mmlfast.neural_network._backprop import Network
from mmlfast.neural_network._columns import first_not_finite
from mmlfast.neural_network._lbfgs import train_by_lbfgs
from mmlfast.neural_network._mlp_parameters import RATES, CheckedParameters
from mmlfast.neural_network._mlp_scale import Scale, scale_of_inputs, warn_of_other_scale
from mmlfast.neural_network._mlp_split import split
from mmlfast.neural_network._mlp_weights import PublishedWeights
from mmlfast.neural_network._samples import weights as checked_weights

Array = np.ndarray[Any, Any]

_TRAINING_LOSS, _VALIDATION_SCORE = 1, 3
_N_MOMENTS = {0: 0, 1: 1, 2: 1, 3: 2}


def takes_steps(estimator: Any) -> bool:
    """AttributeError for the one solver that uses all rows at once: it has no `partial_fit`."""
    if estimator.solver == "lbfgs":
        raise AttributeError(
            f"partial_fit is only available for stochastic optimizers. {estimator.solver} is not stochastic."
        )
    return True


class BaseMLP(CheckedParameters, PublishedWeights, BaseEstimator):
    """Parameters, training and attributes of scikit-learn's multilayer perceptrons."""

    def __init__(
        self,
        *,
        hidden_layer_sizes: Any,
        activation: Any,
        solver: str,
        alpha: float,
        batch_size: Any,
        learning_rate: str,
        learning_rate_init: float,
        power_t: float,
        max_iter: int,
        shuffle: bool,
        random_state: Any,
        tol: float,
        verbose: bool,
        warm_start: bool,
        momentum: float,
        nesterovs_momentum: bool,
        early_stopping: bool,
        validation_fraction: float,
        beta_1: float,
        beta_2: float,
        epsilon: float,
        n_iter_no_change: float,
        max_fun: int,
        dropout: float,
        weight_decay: float,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.dropout = dropout
        self.weight_decay = weight_decay

    n_features_in_: int

    # ---- what a kind of estimator says ----

    @abstractmethod
    def _encoded(self, y: Any, n_rows: int, fresh: bool, classes: Any = None, whole: bool = False) -> Array:
        """Targets as the network takes them; with `fresh`, what they are is learned from them. `whole`: all that is to
        be learned, so that no class is missing."""

    @abstractmethod
    def _kind(self) -> tuple[int, Any, Any, str]:
        """Number of outputs, activation of the output, loss, and what a validation is scored by."""

    def _class_factor(self, codes: Array) -> Array | None:
        return None

    def _target_scale(self, y: Array, weights: Array | None, dtype: np.dtype[Any], stream: bool) -> Scale | None:
        return None

    def _start(self, network: Network, targets: Array, share: Array | None) -> None:
        """Change the initial weights where the targets say more than chance does."""

    def _strata(self, y: Array) -> Array | None:
        """Numbers of classes of which a split takes equal shares."""
        return None

    # ---- fitting ----

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, validation_data: Any = None) -> Self:
        """Train the network.

        Parameters
        ----------
        X : array_like, shape (n, n_features)
            Samples in rows: float32, float64 (also of other kinds of numbers), or bytes, which are read as they are.
        y : array_like, shape (n,) or (n, n_outputs)
            What to predict.
        sample_weight : array_like, shape (n,), optional
            Weights of the rows, not negative; a weight of 2 is a row that is there twice.
        validation_data : (X, y) or (X, y, sample_weight), optional
            With ``early_stopping=True``: what to validate on, instead of a part of the rows.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        self._check_parameters()
        if validation_data is not None and not self._validates():
            raise ValueError(
                f"{type(self).__name__}: validation_data needs early_stopping=True, which looks at it, and "
                f"a solver that takes steps (not 'lbfgs')"
            )
        goes_on = bool(self.warm_start) and hasattr(self, "_network")
        rows, targets, share = self._samples(X, y, sample_weight, fresh=not goes_on, whole=True)
        held_out = None
        if self._validates():
            rows, targets, share, held_out = self._held_out(rows, targets, share, validation_data)
        if not goes_on:
            self._begin(rows, targets, share)
        self._train(rows, targets, share, held_out, self._integer("max_iter", 1))
        return self

    def _validates(self) -> bool:
        return bool(self.early_stopping) and self.solver != "lbfgs"

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Self:
        self._check_parameters()
        if self.early_stopping:
            name = type(self).__name__
            raise ValueError(f"{name}: partial_fit does not support early_stopping=True, which needs rows held out")
        fresh = not hasattr(self, "_network")
        rows, targets, share = self._samples(X, y, sample_weight, fresh=fresh, classes=classes)
        if fresh:
            self._begin(rows, targets, share, stream=True)
        else:
            warn_of_other_scale(type(self).__name__, "X", rows, self._input_scale)
        self._train(rows, targets, share, None, 1, partial=True)
        return self

    def _samples(
        self, X: Any, y: Any, sample_weight: Any, *, fresh: bool, classes: Any = None, whole: bool = False
    ) -> tuple[Array, Array, Array | None]:
        """Rows, encoded targets, and weights in float64 (None: all 1)."""
        rows = self._rows(X, reset=fresh)
        targets = self._encoded(y, len(rows), fresh, classes, whole)
        share = None
        if sample_weight is not None:
            given = as_array(sample_weight, "sample_weight")
            given = np.broadcast_to(given, (len(rows),)) if given.ndim == 0 else given
            if given.size and not np.any(given):
                raise ValueError(f"{type(self).__name__}: every sample_weight is zero: there is nothing to learn from")
            checked_weights(given, len(rows), np.dtype(np.float64))  # for its messages
            share = as_float(given, "sample_weight").astype(np.float64)
        factor = self._class_factor(targets)
        if factor is not None:
            share = factor if share is None else share * factor
            checked_weights(share, len(rows), np.dtype(np.float64), "sample_weight times class_weight")
        return rows, targets, share

    def _rows(self, X: Any, *, reset: bool) -> Array:
        """Rows of finite numbers; bytes stay bytes."""
        if type(X) is np.ndarray and X.dtype == np.uint8 and X.ndim == 2 and X.size:
            validate_rows(self, X[:1], reset=reset)
            return np.require(X, requirements=("C", "A"))
        if isinstance(X, np.ndarray) and X.dtype.names is not None:
            as_float(X, "X")  # for its message
        if getattr(X, "ndim", 0) > 2:
            raise ValueError(
                f"{type(self).__name__}: Found array with dim {X.ndim}, while dim <= 2 is required: "
                f"X.reshape(len(X), -1) makes a row of each sample"
            )
        rows: Array = validate_rows(self, X, reset=reset, finite=False)
        found = first_not_finite(rows)
        if found is not None:
            row, column = found
            kind = "NaN" if np.isnan(rows[row, column]) else "infinity"
            names = getattr(self, "feature_names_in_", None)
            raise ValueError(
                f"{type(self).__name__}: Input X contains {kind}, first in row {row}, column "
                f"{column if names is None else repr(str(names[column]))}: leave such rows out, or fill them in"
            )
        return rows

    def _held_out(self, rows: Array, targets: Array, share: Array | None, given: Any) -> Any:
        """Rows to train on, and those to validate on."""
        name = type(self).__name__
        if given is not None:
            if not isinstance(given, tuple | list) or len(given) not in (2, 3):
                raise TypeError(f"{name}: validation_data must be (X, y) or (X, y, sample_weight)")
            other = self._rows(given[0], reset=False)
            own = self._encoded(given[1], len(other), False)
            weight = None if len(given) == 2 else as_float(given[2], "validation_data").astype(np.float64)
            return rows, targets, share, (other, own, weight)
        kept, out = split(name, self.validation_fraction, len(rows), self._strata(targets), self._seed_of_state())
        weights = (None, None) if share is None else (share[kept], share[out])
        if weights[1] is not None and not weights[1].any():
            raise ValueError(f"{name}: every sample_weight of the validation part is 0: give validation_data=")
        return rows[kept], targets[kept], weights[0], (rows[out], targets[out], weights[1])

    def _begin(self, rows: Array, targets: Array, share: Array | None, stream: bool = False) -> None:
        """A network with its initial weights, and nothing remembered. `stream`: these rows are a part of them."""
        n_outputs, output, loss, _ = self._kind()
        for name in ("coefs_", "intercepts_"):
            self.__dict__.pop(name, None)
        self._seed = self._seed_of_state()
        dtype = np.dtype(np.float32 if rows.dtype == np.float32 else np.float64)
        self._input_scale = scale_of_inputs(rows, share, stream=stream)
        self._output_scale = self._target_scale(targets, share, dtype, stream)
        hidden = self._hidden_sizes()
        self._network = Network(
            [rows.shape[1], *hidden, n_outputs],
            activation=self.activation,
            output=output,
            loss=loss,
            dtype=dtype,
            seed=self._seed,
            init="spread",
        )
        self._start(self._network, targets, share)
        if self._input_scale is not None:
            self._network._standardization = tuple(a.astype(dtype) for a in self._input_scale)  # type: ignore[assignment]
        self.loss_curve_: list[float] = []
        validates = self._validates()
        self.validation_scores_: list[float] | None = [] if validates else None
        self.validation_loss_curve_: list[float] | None = [] if validates else None
        self.best_loss_: float | None = None if validates else math.inf
        self.best_validation_score_: float | None = -math.inf if validates else None
        self.t_ = 0
        self.n_iter_ = 0
        self._settled = [math.inf, 1.0, 0.0]  # best so far, factor of the rate, epochs without improvement

    def _train(
        self, rows: Array, targets: Array, share: Array | None, held_out: Any, epochs: int, partial: bool = False
    ) -> None:
        network, dtype = self._network, self._network.dtype
        if list(network.sizes[1:-1]) != self._hidden_sizes():
            raise ValueError(
                f"{type(self).__name__}: warm_start=True goes on with layers of {list(network.sizes[1:-1])} units, and "
                f"hidden_layer_sizes is {self.hidden_layer_sizes} now: fit with warm_start=False"
            )
        if hasattr(self, "coefs_"):
            inside = self._inside()
            network.weights, network.biases = inside.weights, inside.biases
        rows = self._for_layers(rows, dtype)
        weights, power = checked_weights(share, len(rows), dtype)
        own = (rows, self._for_network(targets, dtype), weights)
        settings = self._settings(epochs, len(rows), power)
        other = None
        if held_out is not None:
            other_rows = self._for_layers(held_out[0], dtype)
            other = (
                other_rows,
                self._for_network(held_out[1], dtype),
                checked_weights(held_out[2], len(other_rows), dtype, "the sample_weight of validation_data")[0],
            )
            settings |= self._scoring(other, own[1])
        unit = self._loss_unit()
        if self.solver == "lbfgs":
            losses, n_iter, converged, interrupted = train_by_lbfgs(
                network,
                own,
                self._penalties(settings["penalty"]),
                self._number("tol"),
                epochs,
                self._integer("max_fun", 1),
            )
            self.loss_curve_ += [loss * unit for loss in losses]
            if interrupted:
                warn_caller(f"{type(self).__name__}: Training interrupted by user.", UserWarning)
        else:
            n_iter, converged = self._by_steps(own, other, settings, unit, partial)
        self.n_iter_ = self.n_iter_ + n_iter if partial else n_iter
        self.t_ += n_iter * len(rows)
        self.loss_ = self.loss_curve_[-1] if self.loss_curve_ else math.nan
        if self.best_loss_ is not None and self.loss_curve_:
            self.best_loss_ = min(self.best_loss_, *self.loss_curve_[-max(n_iter, 1) :])
        self._publish()
        if self.solver == "lbfgs" and not np.isfinite(self.loss_):
            warn_caller(
                f"{type(self).__name__}: the loss is not finite for the initial weights, which were left as they are: "
                f"alpha is too large, or the activation is NaN or infinite for what comes in",
                EstimatorConvergenceWarning,
            )
            return
        # A rate that has fallen to 0 over the epochs of the call has ended, not broken off.
        if not converged and not partial and self.learning_rate not in ("cosine", "one_cycle"):
            warn_caller(
                f"{type(self).__name__}: Stochastic Optimizer: Maximum iterations ({epochs}) reached and the "
                f"optimization hasn't converged yet: more max_iter, or a larger tol, or scale the data"
                if self.solver != "lbfgs"
                else f"{type(self).__name__}: lbfgs failed to converge in {epochs} iterations (max_iter) or "
                f"{self.max_fun} calls (max_fun)",
                EstimatorConvergenceWarning,
            )

    def _by_steps(self, own: Any, other: Any, settings: dict[str, Any], unit: float, partial: bool) -> tuple[int, bool]:
        scores = None if other is None else np.empty(settings["epochs"])
        network = self._network
        interrupted = False
        try:
            network._train(
                own, other, settings, _N_MOMENTS[settings.get("optimizer", 0)], bool(self.verbose), None,
                scores=scores, settled=self._settled if partial else None,
            )  # fmt: skip
        except KeyboardInterrupt:
            interrupted = True
        history = network.history
        if history is None:
            raise RuntimeError(f"{type(self).__name__}: the training left no history")
        n_iter = len(history.loss)
        self.loss_curve_ += (history.loss * unit).tolist()
        if scores is not None and self.validation_scores_ is not None and self.validation_loss_curve_ is not None:
            of_validation = np.empty(0) if history.validation_loss is None else history.validation_loss
            self.validation_scores_ += scores[:n_iter].tolist()
            self.validation_loss_curve_ += (of_validation * unit).tolist()
            self.best_validation_score_ = max(self.validation_scores_, default=math.nan)
            if np.isnan(scores[:n_iter]).any():
                raise ValueError(f"{type(self).__name__}: the validation score became NaN: scale the data")
        if interrupted:
            warn_caller(f"{type(self).__name__}: Training interrupted by user.", UserWarning)
        return n_iter, interrupted or history.stopped != "after all epochs"

    # ---- settings ----

    def _settings(self, epochs: int, n_rows: int, power: float) -> dict[str, Any]:
        n_batch = n_rows if self.solver == "lbfgs" else min(200, n_rows)
        if self.batch_size != "auto":
            n_batch = min(self._integer("batch_size", 1), n_rows)
        settings: dict[str, Any] = {
            "epochs": epochs,
            "batch_size": n_batch,
            "learning_rate": self._number("learning_rate_init"),
            "shuffle": bool(self.shuffle),
            "seed": self._seed,
            "penalty": self._number("alpha") * power,
            **training.dropout_of(self.dropout, len(self._hidden_sizes())),
        }
        if self.solver in ("adam", "adamw"):
            settings |= {"optimizer": 3, "beta1": self._number("beta_1", 1.0), "beta2": self._number("beta_2", 1.0)}
            settings |= {"epsilon": self._number("epsilon")}
            if self.solver == "adamw":
                settings["weight_decay"] = self._number("weight_decay")
        elif self._number("momentum", 1.0, True):
            settings |= {"optimizer": 2 if self.nesterovs_momentum else 1, "momentum": float(self.momentum)}
        if self.learning_rate != "constant" and (self.solver == "sgd" or self.learning_rate in ("cosine", "one_cycle")):
            settings |= self._schedule(epochs, n_rows)
        settings |= {
            "monitor": _VALIDATION_SCORE if self._validates() else _TRAINING_LOSS,
            "keep_best": self._validates(),
            "patience": self._patience(),
            "tolerance": self._number("tol"),
        }
        return settings

    def _schedule(self, epochs: int, n_rows: int) -> dict[str, Any]:
        first, power = self._network.epoch, self._number("power_t")
        if self.learning_rate == "invscaling":  # goes on with the rows that were seen
            if epochs == 1:
                return {"learning_rate": self._number("learning_rate_init") / (self.t_ + 1.0) ** power}
            first = max(0, first - round(self.t_ / n_rows))
        return {
            "schedule": RATES[self.learning_rate],
            "schedule_power": power,
            "schedule_first_epoch": first,
            "schedule_epochs": epochs,
        }

    def _penalties(self, penalty: float) -> float | Array:
        """What the square of each weight inside costs. Without hidden layers it is that of `coefs_`, so that the
        optimum, which is known then, is that of the caller's units."""
        scale = self._input_scale
        if self._hidden_sizes() or (scale is None and self._output_scale is None):
            return penalty
        factor = np.ones(self._network.sizes[0]) if scale is None else scale.factor
        if self._output_scale is not None:
            penalty /= self._loss_unit() * float(self._output_scale.factor[0]) ** 2
        return penalty * np.repeat(np.square(factor), self._network.sizes[-1])

    def _patience(self) -> int:
        given = self.n_iter_no_change
        return 2**62 if given == math.inf else self._integer("n_iter_no_change", 1)

    def _scoring(self, held_out: tuple[Array, Array, Array | None], trained_on: Array) -> dict[str, Any]:
        kind = self._kind()[3]
        if kind == "accuracy":
            return {"score": 1}
        y = held_out[1].astype(np.float64)
        w = np.ones(len(y)) if held_out[2] is None else held_out[2].astype(np.float64)
        total = w @ np.square(y - np.average(y, axis=0, weights=w))
        # Rows that are equal have no score of their own: errors count beside the spread of the rows trained on.
        total = np.where(total > 0, total, w.sum() * trained_on.var(axis=0, dtype=np.float64))
        with np.errstate(divide="ignore"):
            of_column = np.where(total > 0, 1 / (total * y.shape[1]), 0.0)
        return {"score": 2, "score_column_weights": of_column.tolist()}

    def _loss_unit(self) -> float:
        """What a loss of the network is in the caller's units."""
        return 1.0

    def _for_layers(self, rows: Array, dtype: np.dtype[Any]) -> Array:
        if rows.dtype == np.uint8:
            return rows
        if (
            rows.dtype.itemsize > dtype.itemsize
            and max(rows.max(initial=0), -rows.min(initial=0)) > np.finfo(dtype).max
        ):
            raise ValueError(
                f"{type(self).__name__}: X holds numbers beyond {dtype}, in which this model was trained: fit it on "
                f"float64"
            )
        return np.require(rows, dtype, ("C", "A"))

    def _for_network(self, targets: Array, dtype: np.dtype[Any]) -> Array:
        """Targets as the compiled code takes them."""
        return targets.copy() if targets.dtype == np.int64 else np.require(targets, dtype, ("C", "A"))

    # ---- afterwards ----

    def __sklearn_is_fitted__(self) -> bool:
        return "coefs_" in self.__dict__  # a fit that failed leaves less

    def _output(self, X: Any, finished: bool) -> Array:
        """What the network gives for rows, in the units of its own targets."""
        if not self.__sklearn_is_fitted__():
            check_is_fitted(self)
        rows = self._rows(X, reset=False)
        network = self._inside()
        rows = self._for_layers(rows, network.dtype)
        return network._forward(rows, finished)
