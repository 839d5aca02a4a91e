"""Labels and targets of the estimators: encoded once, before anything is split or scored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mmlfast._common.arrays import as_float
from mmlfast._common.errors import warn_caller
from mmlfast._common.groups import number_rows

Array = np.ndarray[Any, Any]


class Labels:
    """The classes of a fit, and the numbers 0, 1, ... that stand for them inside."""

    def __init__(self, function: str, classes: Array, several: bool) -> None:
        self.function = function
        self.classes = classes
        self.several = several  # labels per row, in columns of 0 and 1

    @classmethod
    def of(cls, function: str, y: Any, n_rows: int, known: Any = None) -> tuple[Labels, Array]:
        """The classes that occur (or `known` ones), and the number of each row's."""
        y = one_column(function, y, n_rows)
        table = _table_of_several(function, y)
        if table is not None:
            return cls(function, np.arange(table.shape[1]), True), table
        if known is not None:
            distinct = _numbered(function, known, np.size(known), "classes")[1]
            labels = cls(function, distinct, False)
            return labels, labels.codes(y, n_rows)
        codes, classes = _numbered(function, y, n_rows, "y")
        refuse_measurements(function, classes, n_rows)
        return cls(function, classes, False), codes

    def codes(self, y: Any, n_rows: int, all_of_them: bool = False) -> Array:
        """The numbers of labels that are all known; `all_of_them` have to occur."""
        y = one_column(self.function, y, n_rows)
        table = _table_of_several(self.function, y)
        if (table is not None) != self.several or (table is not None and table.shape[1] != len(self.classes)):
            raise ValueError(
                f"{self.function}: y has shape {np.shape(y)}, and the estimator was fitted on "
                f"{'tables of' if self.several else 'one label of'} {len(self.classes)} classes"
            )
        if table is not None:
            return table
        codes, found, _ = number_rows(self.function, y, n_rows, name="y")
        place = {label: k for k, label in enumerate(self.classes.tolist())}
        labels = found.tolist()
        unknown = [label for label in labels if label not in place]
        if unknown:
            raise ValueError(
                f"{self.function}: y has the label {unknown[0]!r}, which is not among the classes "
                f"{self.classes.tolist()[:10]}: warm_start can only be used where `y` has the same classes as in the "
                f"previous call to fit, and the first partial_fit names all classes"
            )
        if all_of_them and len(labels) < len(place):
            raise ValueError(
                f"{self.function}: warm_start can only be used where `y` has the same classes as in the previous call "
                f"to fit: it has {labels[:10]}, then {self.classes.tolist()[:10]}"
            )
        numbers: Array = np.array([place[label] for label in labels], np.int64)[codes]
        return numbers

    def same(self, other: Labels) -> bool:
        return self.several == other.several and self.classes.tolist() == other.classes.tolist()


def _numbered(function: str, y: Any, n_rows: int, name: str) -> tuple[Array, Array]:
    """Numbers and labels, these sorted: also categories, whose own order scikit-learn's tools around a classifier do
    not look at."""
    codes, classes, _ = number_rows(function, y, n_rows, name=name)
    if hasattr(y, "cat") or hasattr(y, "categories"):
        order = np.argsort(classes, kind="stable")
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        return place[codes], classes[order]
    return codes, classes


def one_column(function: str, y: Any, n_rows: int) -> Any:
    """A column of labels as labels, with a warning."""
    if hasattr(y, "toarray"):
        y = y.toarray()
    elif hasattr(y, "__array__") and not hasattr(y, "shape"):
        y = np.asarray(y)
    if y is None:
        raise ValueError(f"{function} requires y to be passed, but the target y is None")
    try:
        shape = np.shape(y)
    except ValueError:
        raise ValueError(
            f"{function}: y is a list of lists of different lengths: one label per row, or a table of 0 and 1 with a "
            f"column for each label (sklearn.preprocessing.MultiLabelBinarizer makes it)"
        ) from None
    if len(shape) == 2 and shape[1] == 1:
        warn_caller(
            "A column-vector y was passed when a 1d array was expected. Please change the shape of y to "
            "(n_samples,), for example using ravel().",
            _data_conversion_warning(),
        )
        return y.iloc[:, 0] if hasattr(y, "iloc") else np.asarray(y)[:, 0]
    if len(shape) not in (1, 2):
        raise ValueError(f"{function}: y must have one label per row, or a table of 0 and 1; got shape {shape}")
    if shape[0] != n_rows:
        raise ValueError(f"{function}: X has {n_rows} rows and y has {shape[0]} (inconsistent numbers of samples)")
    return y


def _data_conversion_warning() -> type[Warning]:
    try:
        from sklearn.exceptions import DataConversionWarning
    except ImportError:
        return UserWarning
    found: type[Warning] = DataConversionWarning
    return found


def _table_of_several(function: str, y: Any) -> Array | None:
    """Several labels per row, as a table of 0 and 1."""
    if len(np.shape(y)) != 2:
        return None
    table = as_float(y.tolist() if type(y) is np.ndarray and y.dtype.char == "O" else y, "y")
    if not np.isin(table, (0, 1)).all():
        raise ValueError(
            f"{function}: Unknown label type: several columns are several labels, each 0 or 1; y of shape "
            f"{table.shape} holds other numbers (for measurements: MLPRegressor)"
        )
    return table


def refuse_measurements(function: str, labels: Array, n_rows: int) -> None:
    if labels.dtype.kind == "f":
        wrong = ~np.isfinite(labels) | (labels != np.floor(labels))
        if wrong.any():
            raise ValueError(
                f"{function}: Unknown label type: continuous. y has {len(labels)} different numbers in {n_rows} rows, "
                f"such as {labels[np.argmax(wrong)]:g}: for measurements use MLPRegressor"
            )
    if labels.dtype.kind == "c":
        raise ValueError(f"{function}: Unknown label type: complex numbers are no labels")


def class_weights(function: str, class_weight: Any, labels: Labels, codes: Array) -> Array | None:
    """The weight of each row's class."""
    if class_weight is None:
        return None
    if labels.several:
        raise ValueError(f"{function}: class_weight is for one label per row: give sample_weight instead")
    n_classes = len(labels.classes)
    if isinstance(class_weight, str):
        if class_weight != "balanced":
            raise ValueError(f"{function}: class_weight must be 'balanced' or a dict, got {class_weight!r}")
        counts = np.bincount(codes, minlength=n_classes)
        of_class = len(codes) / ((counts > 0).sum() * np.maximum(counts, 1))
    elif isinstance(class_weight, Mapping):
        known = labels.classes.tolist()
        for label in class_weight:
            if label not in known:
                raise ValueError(f"{function}: class_weight names {label!r}; the classes are {known[:10]}")
        of_class = as_float([class_weight.get(label, 1.0) for label in known], "class_weight").astype(np.float64)
        if not ((of_class >= 0) & (of_class < np.inf)).all():
            raise ValueError(f"{function}: class_weight must be finite and not negative, got {dict(class_weight)}")
    else:
        raise TypeError(f"{function}: class_weight must be 'balanced' or a dict, got {type(class_weight).__name__}")
    found: Array = of_class[codes]
    return found


def measurements(function: str, y: Any, n_rows: int) -> Array:
    """Targets of a regression, (n, k), finite."""
    if y is None:
        raise ValueError(f"{function} requires y to be passed, but the target y is None")
    try:  # columns of a table of objects are numbers too
        a = as_float(y.tolist() if type(y) is np.ndarray and y.dtype.char == "O" else y, "y")
    except TypeError as error:
        raise TypeError(f"{function}: Unknown label type, measurements are needed: {error}") from None
    if a.ndim not in (1, 2) or len(a) != n_rows:
        raise ValueError(
            f"{function}: y must have shape ({n_rows},) or ({n_rows}, n_outputs) to fit the {n_rows} rows of X "
            f"(inconsistent numbers of samples), got {a.shape}"
        )
    if not np.isfinite(a).all():
        row = int(np.argmin(np.isfinite(a).reshape(len(a), -1).all(axis=1)))
        raise ValueError(f"{function}: Input y contains NaN or infinity, first in row {row}")
    if a.ndim == 2 and a.shape[1] == 0:
        raise ValueError(f"{function}: y has no columns")
    return a.reshape(n_rows, -1)
