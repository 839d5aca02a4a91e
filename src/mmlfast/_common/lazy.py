"""Batched functions of Dask arrays: lazy, chunk by chunk along the batch.

Dask would find shape and dtype of the result by calling the function on ones, which many functions refuse; here both
are known before.
"""

from __future__ import annotations

import copyreg
import re
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from mmlfast import _core


def _named(name: str) -> _core.BatchedFunction:
    function: _core.BatchedFunction = getattr(_core, name)
    return function


# Graphs of Dask travel to other processes.
copyreg.pickle(_core.BatchedFunction, lambda function: (_named, (function.ufunc.__name__,)))


def lazily(function: _core.BatchedFunction, *operands: Any, **options: Any) -> Any:
    """The Dask array, or the tuple of them, of `function` for each item of the batch; `_core` calls this."""
    import dask.array as da

    ufunc = function.ufunc
    if "out" in options or len(operands) > ufunc.nin:
        raise TypeError("out= cannot be given with Dask arrays: the result is a new Dask array")
    arrays = [x if hasattr(x, "dtype") else np.asarray(x) for x in operands]
    signature = str(ufunc.signature).replace("?", "")  # matrices only: a vector has no batch of its own in a stack
    arrays = _in_equal_chunks(signature, arrays)
    dtypes = ufunc.resolve_dtypes((*(x.dtype for x in arrays), *(None,) * ufunc.nout))[ufunc.nin :]
    try:
        return da.apply_gufunc(  # type: ignore[no-untyped-call]
            function, signature, *arrays, output_dtypes=dtypes if ufunc.nout > 1 else dtypes[0], **options
        )
    except ValueError as error:
        _explain_chunks(error)


def of_stacks(
    function: Any, signature: str, kinds: str, *arrays: Any, sizes: dict[str, int] | None = None, **options: Any
) -> tuple[Any, ...]:
    """The lazy results of a batched `function` that is written in Python, for Dask arrays chunked along the batch.

    Parameters
    ----------
    function : callable
        Takes and gives arrays; several results as a tuple.
    signature : str
        Core dimensions of the arrays and of the results, ``"(n,n)->(n),(n,n)"``.
    kinds : str
        A letter for each result: "f" float32 or float64 as the arrays, "c" the complex type of that width, "i" int64,
        "b" bool, "s" the dtype of the first array.
    sizes : dict
        The sizes of core dimensions that only results have.
    """
    import dask.array as da

    single = all(x.dtype.type is np.float32 for x in arrays)
    types: dict[str, Any] = {
        "s": arrays[0].dtype,
        "f": "f4" if single else "f8",
        "c": "c8" if single else "c16",
        "i": "i8",
        "b": "?",
    }
    dtypes = [np.dtype(types[kind]) for kind in kinds]

    def of_chunk(*chunks: Any) -> Any:
        answer = function(*chunks, **options)
        parts = answer if isinstance(answer, tuple) else (answer,)
        cast = tuple(np.asarray(part, dtype) for part, dtype in zip(parts, dtypes, strict=True))
        return cast if len(cast) > 1 else cast[0]

    arrays = tuple(_in_equal_chunks(signature, arrays))
    try:
        results = da.apply_gufunc(  # type: ignore[no-untyped-call]
            of_chunk, signature, *arrays, output_dtypes=dtypes if len(dtypes) > 1 else dtypes[0], output_sizes=sizes
        )
    except ValueError as error:
        _explain_chunks(error)
    return results if isinstance(results, tuple) else (results,)


def _in_equal_chunks(signature: str, arrays: Sequence[Any]) -> list[Any]:
    """The arrays in the same chunks along the batch axes; arrays in memory that have such axes are cut up likewise."""
    import dask.array as da

    n_core = [len(part.split(",")) if part else 0 for part in re.findall(r"\(([^)]*)\)", signature.split("->")[0])]
    batches = [x.ndim - n for x, n in zip(arrays, n_core, strict=True)]
    most = max(batches)
    cut = [k for k, batch in enumerate(batches) if batch > 0]
    if len(cut) < 2 or min(batches) < 0:
        return list(arrays)
    pairs: list[Any] = []
    for k in cut:
        core = [f"core {k} {j}" for j in range(n_core[k])]
        labels = [f"batch {j}" for j in range(most - batches[k], most)] + core
        pairs += [da.asarray(arrays[k]), labels]  # type: ignore[no-untyped-call]
    unified = list(arrays)
    for k, x in zip(cut, da.core.unify_chunks(*pairs)[1], strict=True):  # type: ignore[no-untyped-call]
        unified[k] = x
    return unified


def _explain_chunks(error: ValueError) -> NoReturn:
    if "multiple chunks" not in str(error):
        raise error
    raise TypeError(
        "a Dask array is in several chunks along an axis that the function needs as a whole: mmlfast.dask has "
        "covariance, pca, lstsq and qr of arrays in chunks of rows; x.rechunk({-1: -1, -2: -1}) leaves chunks "
        "along the batch axes only"
    ) from None
