"""The arguments of many fits: shapes of x, y and sigma, and where results go."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mmlfast._common.arrays import as_array, is_dask, refuse_dask
from mmlfast.optimize._fit_data import check_symmetric
from mmlfast.optimize._fit_many_result import Fits
from mmlfast.optimize._fit_stack import Stack

Array = np.ndarray[Any, Any]


def take_y(ydata: Any) -> tuple[Any, tuple[int, ...], int]:
    if isinstance(ydata, np.ndarray):
        y = ydata.view(np.ndarray) if not isinstance(ydata, np.ma.MaskedArray) else ydata.data
    else:
        y = as_array(ydata, "ydata")
    if not y.ndim or not y.shape[-1]:
        raise ValueError(f"`ydata` must not be empty! It has shape {y.shape}, the points are its last axis")
    return y, y.shape[:-1], y.shape[-1]


def take_x(xdata: Any, y_shape: tuple[int, ...]) -> tuple[Any, int]:
    """x for `Stack`, of shape (n,) or (k, n) after leading axes, and k, or 0; of shape (n, k), and -k."""
    n = y_shape[-1]
    if is_dask(xdata):
        refuse_dask("xdata")
    if isinstance(xdata, tuple) and any(np.ndim(part) > 0 for part in xdata):
        parts = [as_array(part, f"xdata[{i}]") for i, part in enumerate(xdata)]
        shape = np.broadcast_shapes((n,), *(part.shape for part in parts))
        return np.stack([np.broadcast_to(part, shape) for part in parts], axis=-2), len(parts)
    if hasattr(xdata, "columns") and hasattr(xdata, "dtypes"):
        raise TypeError("xdata is a frame: a tuple of its columns, (frame['a'], frame['b']), are the variables of f")
    x = xdata if isinstance(xdata, np.ma.MaskedArray) else as_array(xdata, "xdata")
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        raise TypeError("xdata has masked points: mask those of ydata, or give them sigma=inf")
    x = np.asarray(x.data if isinstance(x, np.ma.MaskedArray) else x)
    if not x.ndim:
        x = np.broadcast_to(x, (n,))
    if x.ndim == 2 and x.shape[-1] != n == x.shape[0]:
        return x, -x.shape[1]
    if x.shape[-1] != n:
        raise ValueError(f"xdata has shape {x.shape} and ydata {y_shape}: their last axes, the points, must be equal")
    if x.ndim == 1 or (x.ndim == len(y_shape) and all(a in (1, b) for a, b in zip(x.shape, y_shape, strict=True))):
        return x, 0
    if x.ndim == 2 or (x.ndim == len(y_shape) + 1 and x.shape[:-2] == y_shape[:-1]):
        return x, x.shape[-2]
    raise ValueError(
        f"xdata has shape {x.shape} and ydata {y_shape}: x is ({n},), {y_shape}, or (k, {n}) for k variables of f"
    )


def are_variables(f: Callable[..., Any], x: Array, start: Array) -> bool:
    """Whether x of shape (k, n), beside k fits of n points, is not their own x, but k variables of f: with the first
    row alone f gives one number, and with all of them one for each point."""

    def size(values: Array) -> int:
        try:
            with np.errstate(all="ignore"):
                return int(np.size(f(np.array(values, np.float64), *start.tolist())))
        except Exception:  # not what it takes
            return 0

    n = int(x.shape[-1])
    return n > 1 and size(x[0]) != n == size(x)


def core_of_x(n: int, n_variables: int) -> tuple[int, ...]:
    """The shape of x of one fit."""
    if n_variables < 0:
        return n, -n_variables
    return (n_variables, n) if n_variables else (n,)


def take_matrix(sigma: Any, lead: tuple[int, ...], n: int) -> Stack | None:
    """Covariances of the points, (n, n) for all fits or (*lead, n, n); None if sigma are errors."""
    shape = np.shape(sigma)
    if shape[-2:] != (n, n) or shape == (*lead, n) or len(shape) not in (2, len(lead) + 2):
        return None
    if isinstance(sigma, np.ma.MaskedArray) and np.ma.is_masked(sigma):
        raise TypeError("sigma is a masked matrix: sigma[i, i]=inf is not known either, leave points out in ydata")
    stack = Stack(as_array(sigma, "sigma"), "sigma", lead, (n, n))
    for fit in range(1 if stack.shared else math.prod(lead)):
        matrix = stack.item(fit)
        where = "sigma" if stack.shared else f"sigma[{', '.join(map(str, np.unravel_index(fit, lead)))}]"
        if not np.isfinite(matrix).all():
            raise ValueError(f"{where} must be finite: it holds nan or inf")
        try:
            np.linalg.cholesky(matrix)
        except np.linalg.LinAlgError:
            raise ValueError(f"{where} must be positive definite") from None
        check_symmetric(matrix, where)
    return stack


def take_sigma(sigma: Any, lead: tuple[int, ...], n: int, omit: bool) -> Stack | None:
    if sigma is None:
        return None
    values = sigma if isinstance(sigma, np.ma.MaskedArray) else as_array(sigma, "sigma")
    if not values.ndim:
        values = np.broadcast_to(values, (n,))
    stack = Stack(values, "sigma", lead, (n,))
    if stack.shared:
        errors = stack.piece(0, 1)
        bad = ~(errors > 0)
        if omit:
            bad &= ~np.isnan(errors)
        if stack.mask is not None:
            bad &= ~stack.mask
        if bad.any():
            i = int(np.argmax(bad))
            raise ValueError(f"sigma[{i}] is {errors[i]}: errors are positive, sigma=inf leaves a point out")
    return stack


# ---- results ----


def new_results(out: Any, lead: tuple[int, ...], p: int) -> Fits:
    """Arrays for the results, those of `out` among them."""
    given = dict(out) if isinstance(out, Mapping) else {} if out is None else {"params": out}
    shapes: dict[str, tuple[tuple[int, ...], Any]] = {
        "params": ((*lead, p), np.float64),
        "covariance": ((*lead, p, p), np.float64),
        "chi_squared": (lead, np.float64),
        "dof": (lead, np.int64),
        "condition": (lead, np.float64),
        "active": ((*lead, p), np.int8),
        "status": (lead, np.int8),
        "n_evaluations": (lead, np.int32),
    }
    arrays = {}
    for name, array in given.items():
        if name not in shapes:
            raise ValueError(f"out names {name!r}; results are {', '.join(shapes)}")
        shape, dtype = shapes[name]
        if array is None and name not in ("params", "status"):
            continue
        if not isinstance(array, np.ndarray) or array.shape != shape or not array.flags.writeable:
            what = f"an array of shape {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
            raise ValueError(f"out: {name} must be a writeable array of shape {shape}, got {what}")
        if not np.can_cast(dtype, array.dtype, "same_kind"):
            raise ValueError(f"out: {name} holds {array.dtype}, and cannot take {np.dtype(dtype)}")
    for name, (shape, dtype) in shapes.items():
        arrays[name] = given[name] if name in given else np.zeros(shape, dtype)
    return Fits(**arrays)


def flat(fits: Fits, lead: tuple[int, ...]) -> list[Callable[[int, int, Array], None] | None]:
    """For each result a function that puts in those of fits start to stop."""
    size = math.prod(lead)

    def putter(array: Array | None) -> Callable[[int, int, Array], None] | None:
        if array is None:
            return None
        core = array.shape[len(lead) :]
        if array.flags.c_contiguous:
            rows = array.reshape(size, *core)
            return lambda start, stop, values: rows.__setitem__(slice(start, stop), values)

        def put(start: int, stop: int, values: Array) -> None:
            array[np.unravel_index(np.arange(start, stop), lead)] = values

        return put

    return [putter(array) for array in fits]
