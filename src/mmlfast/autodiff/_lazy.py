"""Points in a Dask array: lazy, chunk by chunk along the points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def lazy_batch(batch: Callable[..., Any], args: Sequence[Any], argnum: int, n_lead: int) -> Any:
    """The Dask array of `batch(*args)`, whose argument `argnum` is a Dask array with points in `n_lead` axes.

    Shape and dtype are those of the result for one point, of ones: what it is does not matter.
    """
    import dask.array as da

    points = args[argnum].rechunk(dict.fromkeys(range(n_lead, args[argnum].ndim), -1))

    def of_chunk(chunk: Any) -> Any:
        given = list(args)
        given[argnum] = chunk
        return batch(*given)

    with np.errstate(all="ignore"):
        one = of_chunk(np.ones((1,) * n_lead + points.shape[n_lead:], points.dtype))
    if not isinstance(one, np.ndarray):
        raise TypeError(
            "x is a Dask array, and the result would be no array of numbers: take grad and the function apart, or "
            "leave sparse=True out"
        )
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
