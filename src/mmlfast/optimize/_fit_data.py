"""The data of a fit as they come in: converted once, before the model sees them, and without what is masked or missing.

Points that do not count (masked, NaN with nan_policy="omit", of infinite sigma) are left out of y, of sigma and of the
number of points. x keeps its points, so that a model of all of x stays what it is, unless x itself is missing there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mmlfast._common.arrays import as_array, as_float, is_dask, refuse_dask
from mmlfast._common.labels import check_labels, labelled
from mmlfast.autodiff._errors import TracingError

Array = np.ndarray[Any, Any]

_EPS = float(np.finfo(np.float64).eps)


class FitData(NamedTuple):
    """x, y and the weights of the points that count."""

    x: Any  # an array of float64, or what is no array and goes to the model as it is
    x_for_calls: Any  # what the model gets when it is called with numbers: a Series stays one
    y: Array  # flat, of the points that count
    y_shape: tuple[int, ...]
    kept: Array | None  # which of the points in the order of y count; None: all
    weights: Array | None  # unit / sigma of the points that count
    whitening: Array | None  # lower triangle L of sigma = L L'
    sigma: Any  # as it was given, for bands
    unit: float = 1.0  # a power of two, so that squares of residuals stay within float64

    @property
    def n(self) -> int:
        return int(self.y.size)


class Columns:
    """A frame for a trace: its columns as arrays."""

    def __init__(self, frame: Any) -> None:
        self._frame = frame

    def __getitem__(self, name: Any) -> Array:
        if isinstance(name, str) or np.ndim(name) == 0:
            return np.asarray(self._frame[name], np.float64)
        raise TracingError("a frame gives its columns one by one while it is traced")

    def __getattr__(self, name: str) -> Array:
        if not name.startswith("_") and name in self._frame.columns:
            return self[name]
        raise AttributeError(name)


def is_frame(x: Any) -> bool:
    return hasattr(x, "columns") and hasattr(x, "dtypes")


def take_data(
    x: Any, y: Any, sigma: Any, nan_policy: str | None, check_finite: bool | None, shape_of: Callable[[Any], Any] | None
) -> FitData:
    """The data in float64. `shape_of(x_for_calls)` gives the shape of what the model gives, for a y of one number."""
    plain = sigma is None and nan_policy is None and _is_plain(x) and _is_plain(y) and y.ndim == 1 and y.size > 1
    if plain and _is_finite(y) and (check_finite is False or _is_finite(x.ravel())):
        return FitData(x, x, y, y.shape, None, None, None, None)
    check_policy(nan_policy)
    if check_finite is None:
        check_finite = nan_policy is None
    if labelled(x, y, sigma):
        of_sigma = sigma, "nn" if np.ndim(y) == 1 else "nk", "n"
        check_labels("curve_fit", ydata=(y, "nk", "n"), xdata=(x, "nv", "n"), sigma=of_sigma)
    omit = nan_policy == "omit"
    values, holes = _with_holes(y, "ydata")
    if not values.size:
        raise ValueError("`ydata` must not be empty!")
    _look(values, holes, "ydata", nan_policy, check_finite)
    holes = _joined(holes, np.isnan(values) if omit else None)
    x_values, x_for_calls, x_holes = _take_x(x, nan_policy, check_finite)
    if values.size == 1 and shape_of is not None and np.prod(shape := shape_of(x_for_calls)) > 1:
        values = np.broadcast_to(values.reshape(()), shape)
        holes = None
    gone = None
    if x_holes is not None and x_holes.any():
        axis, gone = _points_of_x(x_values, x_holes, values)
        if axis is None:  # points of an image
            holes, gone = _joined(holes, gone.reshape(values.shape)), None
        elif isinstance(x_values, np.ndarray):
            x_values = np.compress(~gone, x_values, axis)
    weights, matrix, sigma_holes = _take_sigma(sigma, values, omit)
    holes = _joined(holes, sigma_holes)
    shape = values.shape
    y_flat = values.ravel()
    counts = None if holes is None or not holes.any() else ~holes.ravel()
    if gone is not None:
        here = ~gone
        x_for_calls = x_for_calls[here] if _is_pandas(x_for_calls) else x_values
        shape = tuple(int(here.sum()) if n == len(here) else n for n in shape)
        y_flat = y_flat[here]
        weights = None if weights is None else weights[here]
        matrix = None if matrix is None else matrix[np.ix_(here, here)]
        counts = None if counts is None else counts[here]
    kept = None
    if counts is not None and not counts.all():
        kept = np.flatnonzero(counts)
        y_flat = y_flat[kept]
        weights = None if weights is None else weights[kept]
        matrix = None if matrix is None else matrix[np.ix_(kept, kept)]
    if not y_flat.size:
        raise ValueError("no point is left: all of them are masked, NaN or of infinite sigma")
    whitening = None if matrix is None else _triangle(matrix)
    weights, unit = _near_one(weights, y_flat) if whitening is None else (None, 1.0)
    return FitData(x_values, x_for_calls, np.ascontiguousarray(y_flat), shape, kept, weights, whitening, sigma, unit)


@np.errstate(all="ignore")
def _near_one(weights: Array | None, y: Array) -> tuple[Array | None, float]:
    """Weights times a power of two, where residuals are so large or so small that their squares are no numbers."""
    size = float(np.max(np.abs(y if weights is None else y * weights), initial=0.0))
    if 1e-60 < size < 1e60 or not 0 < size < np.inf:
        return weights, 1.0
    unit = math.ldexp(1.0, min(-math.frexp(size)[1], 900))  # derivatives by parameters of the size of y are near 1
    return (np.full(len(y), unit) if weights is None else weights * unit), unit


def _is_finite(a: Array) -> bool:
    """At the price of a product; False also where squares come near the ends of float64."""
    with np.errstate(over="ignore"):
        return bool(1e-120 < a.dot(a) < 1e120)


def _is_plain(x: Any) -> bool:
    return type(x) is np.ndarray and x.dtype.char == "d" and x.flags.carray and x.dtype.isnative


def check_policy(nan_policy: str | None) -> None:
    if nan_policy == "propagate":
        raise ValueError("`nan_policy='propagate'` is not supported by this function.")
    if nan_policy not in (None, "raise", "omit"):
        raise ValueError(f"nan_policy must be one of {{None, 'raise', 'omit'}}, got {nan_policy!r}")


def _joined(a: Array | None, b: Array | None) -> Array | None:
    return b if a is None else a if b is None else a | b


def _is_pandas(x: Any) -> bool:
    return hasattr(x, "iloc") and hasattr(x, "index")


def _with_holes(x: Any, name: str) -> tuple[Array, Array | None]:
    """The numbers as float64, and what is masked."""
    if is_dask(x):
        refuse_dask(name)
    if isinstance(x, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(x)
        values = as_float(x.data, name).astype(np.float64)
        return np.where(mask, 0.0, values), mask if mask.any() else None
    if isinstance(x, list | tuple) and any(isinstance(item, np.ma.MaskedArray) for item in x):
        return _with_holes(np.ma.stack(x), name)
    return np.asarray(as_float(x, name), np.float64), None


def _look(values: Array, holes: Array | None, name: str, nan_policy: str | None, check_finite: bool) -> None:
    """ValueError at numbers that are not finite and are not to be left out."""
    if np.isfinite(values).all():
        return
    bad = ~np.isfinite(values) if check_finite else np.isnan(values)
    if nan_policy == "omit":
        bad = np.isinf(values)
    elif nan_policy is None and not check_finite:
        return
    if holes is not None:
        bad &= ~holes
    if not bad.any():
        return
    at = tuple(int(i) for i in np.argwhere(bad)[0])
    where = f"{name}[{', '.join(map(str, at))}] is {values[at]}" if at else f"{name} is {values[()]}"
    if np.isnan(values[at]):
        raise ValueError(f"The input contains nan values: {where}; nan_policy='omit' leaves such points out")
    raise ValueError(f"{name} must be finite: {where}; a masked array or sigma=inf leaves points out")


def _take_x(x: Any, nan_policy: str | None, check_finite: bool) -> tuple[Any, Any, Array | None]:
    """x for a tape, for calls, and where it is missing."""
    if is_frame(x):
        frame, missing = _numeric_frame(x)
        return Columns(frame), frame, missing if nan_policy == "omit" else None
    if type(x) is dict:
        x = {key: _as_float64(value, f"xdata[{key!r}]") for key, value in x.items()}
    if not _holds_numbers(x):
        return x, x, None
    values, holes = _with_holes(x, "xdata")
    _look(values, holes, "xdata", nan_policy, check_finite)
    if nan_policy == "omit":
        holes = _joined(holes, np.isnan(values))
    values = np.ascontiguousarray(values)
    if _is_pandas(x) and x.ndim == 1:
        return values, type(x)(values, index=x.index, name=x.name), holes
    return values, values, holes


def take_points(x: Any) -> tuple[Any, Any]:
    """x for a tape and for calls."""
    values, x_for_calls, _ = _take_x(x, None, False)
    return values, x_for_calls


def _as_float64(x: Any, name: str) -> Any:
    """Arrays of numbers; other things as they are."""
    is_number = isinstance(x, np.ndarray) or _is_pandas(x)
    return np.asarray(as_float(x, name), np.float64) if is_number and getattr(x.dtype, "kind", "O") in "biuf" else x


def _holds_numbers(x: Any) -> bool:
    """What SciPy makes an array, and everything else that is one; a dict, None and objects go to the model."""
    if isinstance(x, np.ndarray | list | tuple):
        return True
    if x is None or isinstance(x, dict | str) or hasattr(x, "data_vars"):
        return False
    return hasattr(x, "__array__") or hasattr(x, "__dlpack__") or np.isscalar(x)


def _numeric_frame(frame: Any) -> tuple[Any, Array | None]:
    """A copy of the frame whose columns of numbers are float64, and the rows in which one of them is missing."""
    if not _is_pandas(frame):  # polars
        numeric = {name: float for name, dtype in zip(frame.columns, frame.dtypes, strict=True) if dtype.is_numeric()}
        return frame.cast(numeric), None
    out = frame.copy()
    missing = np.zeros(len(frame), bool)
    for k in range(frame.shape[1]):
        column = frame.iloc[:, k]
        if getattr(column.dtype, "kind", "O") in "biuf":
            values = np.asarray(as_array(column, f"column {frame.columns[k]!r} of xdata"), np.float64)
            as_float(column, f"column {frame.columns[k]!r} of xdata")
            missing |= np.isnan(values)
            out.isetitem(k, values)
    return out, missing if missing.any() else None


def _points_of_x(x: Any, holes: Array, y: Array) -> tuple[int | None, Array]:
    """The axis of x that counts the points of y, and which of them are missing; no axis if each number is a point."""
    line = y.size == max(y.shape, default=1)
    if isinstance(x, Columns):
        return 0, holes
    if line and holes.ndim:
        for axis in (holes.ndim - 1, 0):
            if holes.shape[axis] == y.size:
                return axis, np.asarray(holes.any(axis=tuple(k for k in range(holes.ndim) if k != axis)))
    if holes.size == y.size:
        return None, holes
    raise ValueError(
        f"xdata has shape {holes.shape} and lacks numbers, ydata has shape {y.shape}: which points are to be left out "
        "cannot be seen from these shapes"
    )


def _take_sigma(sigma: Any, y: Array, omit: bool) -> tuple[Array | None, Array | None, Array | None]:
    """1 / sigma for each point in a row, or the matrix, and the points that sigma leaves out (of y's shape)."""
    if sigma is None:
        return None, None, None
    values, holes = _with_holes(sigma, "sigma")
    if values.size == 1 and y.size != 1:
        values = np.broadcast_to(values.reshape(()), y.shape)
        holes = None
    is_matrix = values.shape == (y.size, y.size) and y.ndim == 1
    lengths, lengths_of_y = (tuple(n for n in a.shape if n != 1) for a in (values, y))
    if is_matrix or lengths != lengths_of_y:
        if values.shape != (y.size, y.size):
            raise ValueError(
                f"`sigma` has incorrect shape. It has shape {values.shape} and ydata {y.shape}: it must be one number, "
                f"an error for each point, or the covariance matrix of all points, {(y.size, y.size)}"
            )
        matrix, missing = _take_matrix(values, holes, omit)
        return None, matrix, None if missing is None else missing.reshape(y.shape)
    values = values.reshape(y.shape)
    holes = np.zeros(y.shape, bool) if holes is None else holes.reshape(y.shape)
    nan = np.isnan(values)
    if omit:
        holes = holes | nan
    for bad, what in (
        (nan, "nan_policy='omit' leaves such points out"),
        (
            values == 0,
            "an error of 0 would be an infinite weight: sigma=inf leaves a point out",
        ),
        (values < 0, "errors are positive"),
    ):
        bad = bad & ~holes
        if bad.any():
            at = tuple(int(i) for i in np.argwhere(bad)[0])
            raise ValueError(f"sigma[{', '.join(map(str, at))}] is {values[at]}: {what}")
    holes = holes | np.isinf(values)
    with np.errstate(all="ignore"):
        weights = np.where(holes, 0.0, 1.0 / values).ravel()
    if not np.isfinite(weights).all():
        raise ValueError(f"sigma[{int(np.argmin(np.isfinite(weights)))}] is too small: 1 / sigma is no float64")
    return weights, None, holes if holes.any() else None


def _take_matrix(values: Array, holes: Array | None, omit: bool) -> tuple[Array, Array | None]:
    """A covariance matrix of the points, and the points of infinite, missing or masked variance."""
    variances = np.diagonal(values)
    missing = np.isposinf(variances)
    if holes is not None:
        missing = missing | np.diagonal(holes) | holes.all(axis=0)
    if omit:
        missing = missing | np.isnan(variances) | np.isnan(values).all(axis=0)
    here = np.ix_(~missing, ~missing)
    if not np.isfinite(values[here]).all() or (holes is not None and holes[here].any()):
        raise ValueError("`sigma` must be finite but for points that are left out: it holds nan, inf or masked numbers")
    kept = values[here]
    if np.any(np.diagonal(kept) <= 0):
        i = int(np.flatnonzero(~missing)[int(np.argmax(np.diagonal(kept) <= 0))])
        raise ValueError(f"`sigma` must be positive definite. sigma[{i}, {i}] is {values[i, i]}")
    check_symmetric(kept, "sigma")
    return values, missing if missing.any() else None


def check_symmetric(covariances: Array, name: str) -> None:
    """Of errors of points; to what computing them in another order may change."""
    lengths = np.sqrt(np.diagonal(covariances))
    apart = np.abs(covariances - covariances.T) / lengths / lengths[:, None]
    if apart.size and apart.max() > 1e-10:
        i, j = (int(k) for k in np.unravel_index(int(np.argmax(apart)), apart.shape))
        raise ValueError(
            f"`{name}` must be symmetric: its entry [{i}, {j}] is {covariances[i, j]} and [{j}, {i}] is "
            f"{covariances[j, i]}; (sigma + sigma.T) / 2 if both are meant"
        )


def _triangle(matrix: Array) -> Array:
    """L of matrix = L L', by Cholesky's method of the correlations."""
    lengths = np.sqrt(np.diagonal(matrix))
    try:
        triangle = np.linalg.cholesky(matrix / lengths / lengths[:, None])
    except np.linalg.LinAlgError:
        triangle = np.zeros_like(matrix)
    if np.min(np.diagonal(triangle)) ** 2 <= len(matrix) * _EPS:
        raise ValueError(
            "`sigma` must be positive definite. It is singular or has negative eigenvalues: errors that are equal "
            "for two points make them one point, leave one of them out"
        )
    return np.ascontiguousarray(triangle * lengths[:, None])
