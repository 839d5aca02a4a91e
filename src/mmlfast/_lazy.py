"""Batched functions of Dask arrays: lazy, chunk by chunk along the batch.

Called by `_core` for a batched function that meets a Dask array. Dask would find shape and dtype of the result by
calling the function on ones, which many functions refuse; the generalized ufunc knows both.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mmlfast import _core


def lazily(function: _core.BatchedFunction, *operands: Any, **options: Any) -> Any:
    """The Dask array, or the tuple of them, of `function` for each item of the batch."""
    import dask.array as da

    ufunc = function.ufunc
    if "out" in options or len(operands) > ufunc.nin:
        raise TypeError("out= cannot be given with Dask arrays: the result is a new Dask array")
    arrays = [x if hasattr(x, "dtype") else np.asarray(x) for x in operands]
    signature = str(ufunc.signature).replace("?", "")  # matrices only: a vector has no batch of its own in a stack
    dtypes = ufunc.resolve_dtypes((*(x.dtype for x in arrays), *(None,) * ufunc.nout))[ufunc.nin :]
    try:
        return da.apply_gufunc(  # type: ignore[no-untyped-call]
            function, signature, *arrays, output_dtypes=dtypes if ufunc.nout > 1 else dtypes[0], **options
        )
    except ValueError as error:
        if "multiple chunks" not in str(error):
            raise
        raise TypeError(
            "a Dask array is in several chunks along an axis that the function needs as a whole: mmlfast.dask has "
            "covariance, pca, lstsq and qr of arrays in chunks of rows; x.rechunk({-1: -1, -2: -1}) leaves chunks "
            "along the batch axes only"
        ) from None
