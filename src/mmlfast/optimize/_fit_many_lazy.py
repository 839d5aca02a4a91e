"""Fits of data sets in a Dask array: lazy, chunk by chunk along the leading axes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mmlfast._common.arrays import is_dask
from mmlfast.optimize._bounds import UNBOUNDED
from mmlfast.optimize._fit_many_result import CurveFitMany, Fits
from mmlfast.optimize._fit_many_starts import take_starts

Array = np.ndarray[Any, Any]


def fit_lazily(
    fit: Callable[..., CurveFitMany],
    f: Callable[..., Any],
    xdata: Any,
    ydata: Any,
    p0: Any,
    sigma: Any,
    bounds: Any,
    options: dict[str, Any],
) -> CurveFitMany:
    """All results of a chunk are computed together, as numbers in one row for each fit.

    x, p0, sigma and bounds are those of all fits, or Dask arrays and arrays in memory with leading axes, which are cut
    as ydata is.
    """
    import dask.array as da

    n_lead = ydata.ndim - 1
    lead = ydata.shape[:-1]
    y = ydata.rechunk({n_lead: -1})
    for name, value in (("p0", p0), ("bounds", bounds)):
        if any(map(is_dask, value)) if isinstance(value, tuple | list) else is_dask(value):
            raise TypeError(f"{name} is a Dask array: its numbers are needed at once, {name}.compute() has them")
    parameters, start, lower, upper = take_starts(f, p0, bounds, options["fixed"], lead)
    p0 = start.array  # by position, whatever it came by
    bounds = UNBOUNDED if lower is None or upper is None else (lower.array, upper.array)
    p = len(parameters.names)
    shapes = _shapes(p)
    width = sum(map(math.prod, shapes.values()))
    given: dict[str, Any] = {"xdata": xdata, "p0": p0, "sigma": sigma}
    own = {name: value for name, value in given.items() if _has_lead(value, lead)}
    own |= {f"bounds[{k}]": side for k, side in enumerate(bounds) if _has_lead(side, lead)}
    arrays = [_cut_like(value, y, n_lead) for value in own.values()]

    def of_chunk(chunk: Array, *parts: Array) -> Array:
        here = dict(given)
        sides = list(bounds)
        for name, part in zip(own, parts, strict=True):
            if name in here:
                here[name] = part
            else:
                sides[int(name[-2])] = part
        fits = fit(f, here["xdata"], chunk, here["p0"], here["sigma"], bounds=sides, **options).fits
        size = chunk.shape[:-1]
        columns = [
            np.asarray(a, np.float64).reshape(*size, math.prod(shape))
            for a, shape in zip(fits, shapes.values(), strict=True)
        ]
        return np.concatenate(columns, axis=-1)

    rows = da.map_blocks(  # type: ignore[no-untyped-call]
        of_chunk,
        y,
        *arrays,
        dtype=np.float64,
        chunks=(*y.chunks[:-1], (width,)),
        meta=np.empty((0,) * y.ndim),
    )
    parts: dict[str, Any] = {}
    at = 0
    for name, shape in shapes.items():
        size = math.prod(shape)
        part = rows[..., at : at + size].reshape(*lead, *shape) if len(shape) != 1 else rows[..., at : at + size]
        parts[name] = part.astype(_DTYPES[name]) if name in _DTYPES else part
        at += size
    return CurveFitMany(Fits(**parts), parameters.names, "exact")


_DTYPES = {"dof": np.int64, "active": np.int8, "status": np.int8, "n_evaluations": np.int32}


def _shapes(p: int) -> dict[str, tuple[int, ...]]:
    """Of each result of a fit, in the order of `Fits`."""
    return {
        "params": (p,),
        "covariance": (p, p),
        "chi_squared": (),
        "dof": (),
        "condition": (),
        "active": (p,),
        "status": (),
        "n_evaluations": (),
    }


def _has_lead(value: Any, lead: tuple[int, ...]) -> bool:
    """Whether each fit has its own; covariances of points, and variables of x, are those of all fits."""
    if value is None or isinstance(value, dict | tuple | list):
        return False
    shape = np.shape(value)
    return len(shape) > max(len(lead), 1) and all(n in (1, m) for n, m in zip(shape, lead, strict=False))


def _cut_like(value: Any, y: Any, n_lead: int) -> Any:
    import dask.array as da

    core = np.ndim(value) - n_lead
    if core != 1:
        raise TypeError(
            "xdata has more axes than ydata: with Dask arrays, x of several variables is the same for all fits"
        )
    shape = (*y.shape[:-1], value.shape[-1])
    chunks = (*y.chunks[:-1], (value.shape[-1],))
    whole = value if is_dask(value) else da.from_array(np.asarray(value))  # type: ignore[no-untyped-call]
    return da.broadcast_to(whole, shape).rechunk(chunks)  # type: ignore[no-untyped-call]
