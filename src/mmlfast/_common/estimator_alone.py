"""Stand-ins for the parts of scikit-learn that estimators use, for when it is not installed."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import MethodType
from typing import Any, Self

import numpy as np

from mmlfast._common.arrays import as_float


class available_if:
    """A method that exists only where `check(self)` is true."""

    def __init__(self, check: Callable[[Any], bool]) -> None:
        self._check = check

    def __call__(self, method: Callable[..., Any]) -> Any:
        return _AvailableIf(self._check, method)


class _AvailableIf:
    def __init__(self, check: Callable[[Any], bool], method: Callable[..., Any]) -> None:
        self._check, self._method = check, method
        functools.update_wrapper(self, method)  # type: ignore[arg-type]

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self._method
        if not self._check(instance):
            raise AttributeError(f"this {owner.__name__!r} has no attribute {self._method.__name__!r}")
        return MethodType(self._method, instance)


class BaseEstimator:
    """Parameters are the keyword arguments of the constructor."""

    @classmethod
    def _names(cls) -> list[str]:
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters of the estimator, by name."""
        return {name: getattr(self, name) for name in self._names()}

    def set_params(self, **params: Any) -> Self:
        """Change parameters by name."""
        names = self._names()
        for name, value in params.items():
            if name not in names:
                raise ValueError(f"Invalid parameter {name!r} for estimator {self!r}. Valid parameters are: {names!r}.")
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self).__init__).parameters
        changed = [
            f"{name}={value!r}" for name, value in self.get_params().items() if value is not defaults[name].default
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    def __sklearn_tags__(self) -> Any:
        raise NotImplementedError("tags belong to scikit-learn, which is not installed")


class TransformerMixin:
    """`fit_transform` of an estimator that can do no better than one after the other."""

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Fit, then transform the same rows."""
        return self.fit(X, y).transform(X)  # type: ignore[attr-defined]


class ClassifierMixin:
    """`score` of an estimator that predicts labels."""

    _estimator_type = "classifier"

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The share of rows whose labels, all of them, are predicted."""
        right = np.asarray(self.predict(X)) == np.asarray(y)  # type: ignore[attr-defined]
        right = right.reshape(len(right), -1).all(axis=1)
        return float(np.average(right, weights=None if sample_weight is None else as_float(sample_weight, "weights")))


class RegressorMixin:
    """`score` of an estimator that predicts numbers."""

    _estimator_type = "regressor"

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The coefficient of determination of the predictions of `X`; of several targets, the mean of theirs."""
        predicted = np.asarray(self.predict(X), np.float64)  # type: ignore[attr-defined]
        true = as_float(y, "y").astype(np.float64)
        weights = np.ones(len(true)) if sample_weight is None else as_float(sample_weight, "sample_weight")
        residual = weights @ np.square(true - predicted)
        total = weights @ np.square(true - np.average(true, axis=0, weights=weights))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(total > 0, 1 - residual / total, np.where(residual > 0, 0.0, 1.0))
        return float(np.mean(ratio))


class ClassNamePrefixFeaturesOutMixin:
    """Output features named after the class and numbered."""

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray[Any, Any]:
        """Names of the features that `transform` gives: pca0, pca1, ..."""
        prefix = type(self).__name__.lower()
        return np.asarray([f"{prefix}{i}" for i in range(self._n_features_out)], dtype=object)  # type: ignore[attr-defined]


class NotFittedError(ValueError, AttributeError):
    """An estimator is asked for what only `fit` can tell."""


def check_is_fitted(estimator: Any) -> None:
    """NotFittedError unless the estimator says that it is fitted, or has attributes that end in an underscore."""
    says = getattr(estimator, "__sklearn_is_fitted__", None)
    if not (says() if says else any(name.endswith("_") and not name.startswith("__") for name in vars(estimator))):
        name = type(estimator).__name__
        raise NotFittedError(
            f"This {name} instance is not fitted yet. Call 'fit' with appropriate arguments before using this "
            f"estimator."
        )


def validate_data(
    estimator: Any,
    X: Any,
    *,
    reset: bool = True,
    ensure_min_samples: int = 1,
    accept_sparse: Any = False,
    ensure_all_finite: bool = True,
    **ignored: Any,
) -> Any:
    """`X` as a table of finite float32 or float64 numbers with the number of columns of the fit."""
    if hasattr(X, "tocsr") and accept_sparse:
        table = X
    else:
        if hasattr(X, "tocsr"):
            raise TypeError("Sparse data was passed, but dense data is required. Use '.toarray()' to convert.")
        table = as_float(X, "X")
        if table.ndim != 2:
            raise ValueError(f"Expected 2D array, got {table.ndim}D array instead: X must be of shape (n, d)")
        if ensure_all_finite and not np.isfinite(table).all():
            raise ValueError("Input X contains NaN or infinity.")
    if table.shape[0] < ensure_min_samples or table.shape[1] < 1:
        raise ValueError(
            f"Found array with shape {table.shape} while a minimum of ({ensure_min_samples}, 1) is required."
        )
    if reset:
        estimator.n_features_in_ = table.shape[1]
    elif table.shape[1] != estimator.n_features_in_:
        raise ValueError(
            f"X has {table.shape[1]} features, but {type(estimator).__name__} is expecting "
            f"{estimator.n_features_in_} features as input."
        )
    return table
