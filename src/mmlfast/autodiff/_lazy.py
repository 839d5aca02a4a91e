"""Points in a Dask array: lazy, chunk by chunk along the points."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def lazy_batch(batch: Callable[..., Any], args: Sequence[Any], argnum: int, n_lead: int) -> Any:
    """The Dask array of `batch(*args)`, whose argument `argnum` is a Dask array with points in `n_lead` axes.

    Shape and dtype are those of the result for one point, of ones: what it is does not matter.
    """
    points = args[argnum].rechunk(dict.fromkeys(range(n_lead, args[argnum].ndim), -1))

    def of_chunk(chunk: Any) -> Any:
        given = list(args)
        given[argnum] = chunk
        return batch(*given)

    with np.errstate(all="ignore"):
        one = of_chunk(np.ones((1,) * n_lead + points.shape[n_lead:], points.dtype))
    if isinstance(one, tuple):
        return _parts(lambda chunk: _in_a_row(of_chunk(chunk), n_lead), points, one, n_lead)
    if not isinstance(one, np.ndarray):
        raise TypeError("x is a Dask array, and the result would be no array of numbers: leave sparse=True out")
    return _lazy(of_chunk, points, one, n_lead)


def _in_a_row(arrays: Sequence[Any], n_lead: int) -> Any:
    """The numbers of several results in one axis, so that chunks are computed once for all of them."""
    return np.concatenate([a.reshape(*a.shape[:n_lead], -1) for a in arrays], axis=n_lead)


def _parts(of_chunk: Callable[[Any], Any], points: Any, one: Sequence[Any], n_lead: int) -> tuple[Any, ...]:
    row = _lazy(of_chunk, points, _in_a_row(one, n_lead), n_lead)
    parts, at = [], 0
    for part in one:
        shape = part.shape[n_lead:]
        size = math.prod(shape)
        parts.append(row[..., at : at + size].reshape(row.shape[:n_lead] + shape))
        at += size
    return tuple(parts)


def _lazy(of_chunk: Callable[[Any], Any], points: Any, one: Any, n_lead: int) -> Any:
    import dask.array as da

    shape = one.shape[n_lead:]
    return da.map_blocks(  # type: ignore[no-untyped-call]
        of_chunk,
        points,
        dtype=one.dtype,
        chunks=points.chunks[:n_lead] + tuple((n,) for n in shape),
        drop_axis=list(range(n_lead, points.ndim)),
        new_axis=list(range(n_lead, n_lead + len(shape))),
        meta=np.empty((0,) * one.ndim, one.dtype),
    )
