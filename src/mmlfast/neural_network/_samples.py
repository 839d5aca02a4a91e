"""Inputs, targets and weights of samples as the compiled code takes them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from mmlfast._common.arrays import as_array, as_float
from mmlfast._common.errors import warn_caller
from mmlfast._common.labels import check_labels, labelled
from mmlfast.neural_network._functions import Choice, name_of

Array = np.ndarray[Any, Any]


# Losses that take any numbers.
_PLAIN = ("squared_error", "absolute_error", "huber")


def plain(a: Array, dtype: np.dtype[Any]) -> Array:
    """`a` in the dtype of the network, C-contiguous and aligned."""
    if type(a) is np.ndarray and a.dtype is dtype and a.flags.carray:
        return a
    with np.errstate(over="ignore"):  # too large for float32 becomes inf, as everywhere else in here
        return np.require(a, dtype, ("C", "A"))


def inputs(x: Any, name: str, n_in: int, dtype: np.dtype[Any]) -> Array:
    """Bytes as they are, everything else in the dtype of the network."""
    if type(x) is np.ndarray and x.dtype is dtype and x.ndim == 2 and x.shape[1] == n_in and x.flags.carray:
        return x
    a = x if type(x) is np.ndarray else as_array(x, name)
    is_bytes = type(a) is np.ndarray and a.dtype.char == "B"
    a = np.require(a, requirements=("C", "A")) if is_bytes else as_float(a, name)
    if a.ndim != 2 or a.shape[1] != n_in:
        way = f": {name}.reshape(len({name}), -1) makes a row of each sample" if a.ndim > 2 else ""
        raise ValueError(f"{name} must have shape (n, {n_in}), got {a.shape}{way}")
    return a if is_bytes else plain(a, dtype)


def check_rows(function: str, **samples: Any) -> None:
    """ValueError unless x, y, weights and groups that have labels have the same ones."""
    if labelled(*samples.values()):
        check_labels(function, **{name: (a, "n" + name[0], "n") for name, a in samples.items()})


def targets(loss: Choice, n_out: int, dtype: np.dtype[Any], x: Array, y: Any) -> Array:
    """What the loss compares the output with: numbers, probabilities, or labels of int64 in one dimension."""
    n = len(x)
    if n == 0:
        raise ValueError(f"x must hold at least one sample, got shape {x.shape}")
    kind = name_of(loss)
    if type(y) is np.ndarray and y.dtype is dtype and y.shape == (n, n_out) and y.flags.carray and kind in _PLAIN:
        return y
    if kind == "cross_entropy" and (np.ndim(y) != 2 or (n_out != 1 and np.shape(y) == (n, 1))):
        return _labels(n, n_out, y)
    a = as_float(y, "y")
    if a.shape == (n,) and n_out == 1:
        a = a[:, None]
    if a.shape != (n, n_out):
        raise ValueError(f"y must have shape {(n, n_out)} to fit x of shape {x.shape}, got {a.shape}")
    if kind in ("cross_entropy", "binary_cross_entropy"):
        _check_probabilities(a, kind)
    return plain(a, dtype)


def _labels(n: int, n_out: int, y: Any) -> Array:
    a = np.asarray(as_array(y, "y"))
    if a.dtype.char == "O" and all(isinstance(label, int | np.integer) for label in a.flat):
        a = np.array(a.tolist())
    numbered = "np.unique(y, return_inverse=True)[1] numbers any labels from 0"
    if a.dtype.kind not in "iub":
        raise TypeError(f"y must hold integer labels for loss='cross_entropy', got {a.dtype}: {numbered}")
    if a.shape != (n,):
        raise ValueError(f"y must have shape ({n},) to fit the {n} samples of x, got {a.shape}")
    # A copy: what is checked is what is used, whatever other threads do meanwhile. 2**63 becomes negative.
    a = a.astype(np.int64, order="C")
    lowest, highest = int(a.min()), int(a.max())
    if lowest < 0 or highest >= n_out:
        raise ValueError(f"y must hold labels from 0 to {n_out - 1}, got {lowest} to {highest}: {numbered}")
    return a


def _check_probabilities(a: Array, loss: str) -> None:
    wrong = ~((a >= 0) & (a <= 1) | np.isnan(a)).all(axis=1)
    rule = "must hold probabilities, from 0 to 1"
    if loss == "cross_entropy" and not wrong.any():
        with np.errstate(invalid="ignore"):
            wrong = np.abs(a.sum(axis=1) - 1) > 1e-3
        rule = "must hold integer labels, or in each row probabilities that sum to 1"
    if wrong.any():
        row = int(np.argmax(wrong))
        way = ": (y + 1) / 2 makes probabilities of signs" if np.isin(a, (-1, 1)).all() else ""
        raise ValueError(f"y {rule}, for loss={loss!r}; row {row} holds {a[row].tolist()}{way}")


def weights(
    w: Any, n: int, dtype: np.dtype[Any], name: str = "sample_weight"
) -> tuple[Array, float] | tuple[None, float]:
    """Weights of the samples times a power of two that brings the largest to at most 1, and that power: the unit of
    the weights does not matter, and their sum cannot overflow."""
    if w is None:
        return None, 1.0
    a = as_float(w, name)
    if a.shape != (n,):
        raise ValueError(f"{name} must have shape ({n},), one number per sample, got {a.shape}")
    wrong = ~((a >= 0) & (a < np.inf))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(f"{name} must be finite and not negative, got {a[row]} in row {row}")
    largest = float(a.max())
    if largest == 0:
        raise ValueError(f"{name} is 0 for every sample: there is nothing to learn from")
    exponent = min(-math.frexp(largest)[1], 1023)
    return plain(np.ldexp(a.astype(np.float64), exponent), dtype), math.ldexp(1.0, exponent)


def with_class_weights(sample_weight: Any, class_weight: Any, loss: Choice, n_out: int, y: Array) -> Any:
    """Weights of samples times those of their classes."""
    if class_weight is None:
        return sample_weight
    if y.ndim == 1:
        labels = y
    elif name_of(loss) == "binary_cross_entropy" and n_out == 1 and np.isin(y, (0, 1)).all():
        labels = y[:, 0].astype(np.int64)
    else:
        raise ValueError("class_weight needs integer labels as y: with these targets give sample_weight instead")
    known, counts = np.unique(labels, return_counts=True)
    if isinstance(class_weight, str):
        if class_weight != "balanced":
            raise ValueError(f"class_weight must be 'balanced' or a dict of labels, got {class_weight!r}")
        table = dict(zip(known.tolist(), (len(labels) / (len(known) * counts)).tolist(), strict=True))
    elif isinstance(class_weight, Mapping):
        table = dict(class_weight)
        for label in table:
            if label not in range(max(n_out, 2)):
                raise ValueError(f"class_weight names the label {label!r}, which is not from 0 to {max(n_out, 2) - 1}")
    else:
        raise TypeError(f"class_weight must be 'balanced' or a dict of labels, got {type(class_weight).__name__}")
    of_known = as_float([table.get(label, 1.0) for label in known.tolist()], "class_weight")
    if not ((of_known >= 0) & (of_known < np.inf)).all():
        raise ValueError(f"class_weight must be finite and not negative, got {class_weight}")
    factors = of_known[np.searchsorted(known, labels)]
    return factors if sample_weight is None else factors * as_float(sample_weight, "sample_weight")


def warn_of_scale(x: Array) -> bool:
    """Whether a warning was given: about inputs of a size at which networks do not learn."""
    some = x[:: max(1, len(x) // 1000)].astype(np.float64)
    with np.errstate(all="ignore"):
        size = np.sqrt((some * some).mean(axis=0))
    if not np.isfinite(size).all():
        return False  # the training says what is wrong
    column = int(np.argmax(size))
    if 1e-3 <= size[column] <= 25 or size[column] == 0:
        return False
    kind = "large" if size[column] > 1 else "small"
    warn_caller(
        f"fit: the inputs are too {kind} for a network to learn from them: column {column} of x has mean "
        f"{some[:, column].mean():.3g} and a root mean square of {size[column]:.3g}, and about 1 is right. Call "
        f"standardize(x) first, and the network does it with all its inputs",
        UserWarning,
    )
    return True
