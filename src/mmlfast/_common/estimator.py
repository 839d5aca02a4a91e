"""What estimators are made of: scikit-learn's base classes and checks, or stand-ins where it is not installed.

Importing this imports scikit-learn, so only modules of estimators do it, and those are imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mmlfast._common.arrays import as_array, check_digits, check_real, is_dask, refuse_dask
from mmlfast._common.errors import ConvergenceWarning
from mmlfast._common.labels import check_columns

try:
    import sklearn.utils.validation as _validation
except ImportError:
    _validation = None
# What came last, in 1.6: who has it has all that is needed.
_HAS_SCIKIT_LEARN = hasattr(_validation, "validate_data")

if TYPE_CHECKING or not _HAS_SCIKIT_LEARN:
    from mmlfast._common.estimator_alone import (
        BaseEstimator,
        ClassifierMixin,
        ClassNamePrefixFeaturesOutMixin,
        RegressorMixin,
        TransformerMixin,
        available_if,
        check_is_fitted,
        validate_data,
    )
else:
    from sklearn.base import (
        BaseEstimator,
        ClassifierMixin,
        ClassNamePrefixFeaturesOutMixin,
        RegressorMixin,
        TransformerMixin,
    )
    from sklearn.utils.metaestimators import available_if
    from sklearn.utils.validation import check_is_fitted, validate_data

__all__ = [
    "BaseEstimator",
    "ClassNamePrefixFeaturesOutMixin",
    "ClassifierMixin",
    "EstimatorConvergenceWarning",
    "RegressorMixin",
    "TransformerMixin",
    "available_if",
    "check_is_fitted",
    "forget_labels",
    "has_scikit_learn",
    "refuse_not_finite",
    "validate_rows",
]


def _both_warnings() -> type[ConvergenceWarning]:
    """The warning of this library that scikit-learn's users filter as well."""
    try:
        from sklearn.exceptions import ConvergenceWarning as Theirs
    except ImportError:
        return ConvergenceWarning
    return type("ConvergenceWarning", (ConvergenceWarning, Theirs), {"__module__": "mmlfast"})


EstimatorConvergenceWarning = _both_warnings()


def has_scikit_learn() -> bool:
    """Whether the base classes are scikit-learn's."""
    return _HAS_SCIKIT_LEARN


def validate_rows(
    estimator: Any, X: Any, *, reset: bool, accept_sparse: Any = False, min_samples: int = 1, finite: bool = True
) -> Any:
    """`X` as finite float32 or float64 rows, with scikit-learn's error messages; ``reset`` when fitting.

    Sets `n_features_in_` (and `feature_names_in_` with scikit-learn) or compares with them. With ``finite=False`` the
    caller looks for NaN and infinity. What scikit-learn would drop (a mask, a unit, digits) is refused first.
    """
    if _is_plain(estimator, X, reset, min_samples, finite):
        if reset:
            estimator._column_labels, estimator.n_features_in_ = None, X.shape[1]
        return X
    how: dict[str, Any] = {
        "ensure_min_samples": min_samples,
        "ensure_all_finite": finite,
        "dtype": (np.float64, np.float32),
    }
    if not hasattr(X, "tocsr"):
        table = as_array(X, "X")
        if is_dask(table):
            refuse_dask("X")
        if table.dtype.kind == "c":  # in scikit-learn's words, without the whole table
            raise ValueError(f"Complex data not supported: X is {table.dtype}, and X.real and X.imag are real numbers")
        if table.dtype.kind != "O":  # scikit-learn converts objects that are numbers
            check_real(table, "X")
        check_digits(table, "X")
        if table.dtype.kind == "f":  # float32 stays float32 in either byte order
            table = table.astype(table.dtype.newbyteorder("="), copy=False)
        known = None if reset else getattr(estimator, "_column_labels", None)
        if not (has_scikit_learn() and known and all(isinstance(label, str) for label in known)):  # it compares text
            known = check_columns(type(estimator).__name__, known, X, table.shape[-1] if table.ndim else 0, "X")
        if reset:
            estimator._column_labels = known
        if has_scikit_learn() and hasattr(X, "columns"):  # the frame has the names, the table the numbers
            validate_data(estimator, X, reset=reset, skip_check_array=True)
            return _checked_alone(estimator, table, **how)
        X = table
    else:
        if isinstance(getattr(X, "data", None), np.ndarray):
            check_digits(X.data, "X")
        if reset:
            estimator._column_labels = None
    return validate_data(estimator, X, reset=reset, accept_sparse=accept_sparse, **how)


def forget_labels(estimator: Any) -> None:
    """Of the columns of a frame that an estimator was fitted to before."""
    for name in ("feature_names_in_", "_column_labels"):
        vars(estimator).pop(name, None)


def refuse_not_finite(estimator: Any, rows: Any) -> None:
    """ValueError of scikit-learn if there is NaN or infinity in rows that `validate_rows` gave with ``finite=False``.

    Their columns are not compared again: the names were those of a frame that the rows are made from.
    """
    if has_scikit_learn():
        _checked_alone(estimator, rows, accept_sparse=("csr", "csc"))
    else:
        validate_data(estimator, rows, reset=False, accept_sparse=("csr", "csc"))


def _checked_alone(estimator: Any, table: Any, **how: Any) -> Any:
    """Numbers without a look at what the estimator knows of its columns."""
    from sklearn.utils.validation import check_array

    return check_array(table, estimator=estimator, input_name="X", **how)


def _is_plain(estimator: Any, X: Any, reset: bool, min_samples: int, finite: bool) -> bool:
    """Whether all checks would have nothing to say, and there are no labels; scikit-learn takes 50 us to find out, and
    several times as long after a large table has been through the caches."""
    if not (type(X) is np.ndarray and X.ndim == 2 and X.dtype.type in (np.float64, np.float32) and X.dtype.isnative):
        return False
    n, d = X.shape
    if n < max(min_samples, 1) or d < 1 or hasattr(estimator, "feature_names_in_"):
        return False
    if not reset and (getattr(estimator, "_column_labels", None) or getattr(estimator, "n_features_in_", None) != d):
        return False
    if not finite:
        return True
    with np.errstate(all="ignore"):
        return bool(np.isfinite(X.sum()))
