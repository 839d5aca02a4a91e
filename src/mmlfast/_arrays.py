"""What every public function does with its array arguments, in one place."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
from numpy.linalg import LinAlgError

ndarray = np.ndarray


def as_array(x: Any) -> Any:
    """Anything array-like as an ndarray, without a copy where NumPy needs none.

    Dask arrays pass as they are: NumPy's generalized ufuncs hand them to Dask by `__array_ufunc__`.
    """
    if type(x) is ndarray or hasattr(x, "__dask_graph__"):
        return x
    if hasattr(x, "__dlpack__") and not hasattr(x, "__array__"):
        return np.from_dlpack(x)
    return np.asarray(x)


def as_float(x: Any, name: str) -> np.ndarray[Any, Any]:
    """`x` as a float32 or float64 array: integers and booleans become float64, anything else is a TypeError."""
    a = np.asarray(as_array(x))
    if a.dtype.type in (np.float64, np.float32):
        return a if a.dtype.isnative else a.astype(a.dtype.newbyteorder("="))
    check_real(a, name)
    return a.astype(float_dtype(a))  # float32 here: byte-swapped


def float_dtype(x: Any) -> np.dtype[Any]:
    """The dtype that results for numbers of `x` have: float32 stays, all others become float64."""
    return np.dtype(np.float32 if x.dtype.type is np.float32 else np.float64)


def check_real(a: Any, name: str) -> None:
    """TypeError unless the dtype of `a` is boolean, integer or a float that fits float64."""
    if a.dtype.kind not in "biuf" or a.dtype.itemsize > 8:
        raise TypeError(f"{name} must hold real numbers (float32, float64, integers or booleans), got {a.dtype}")


def check_errors(errors: str) -> None:
    if errors not in ("raise", "nan"):
        raise ValueError(f"errors must be 'raise' or 'nan', got {errors!r}")


def check_square(function: str, **matrices: Any) -> None:
    """LinAlgError naming the argument unless its last two dimensions are equal."""
    for name, a in matrices.items():
        if a.ndim < 2:
            raise LinAlgError(f"{function}: {name} must be a matrix or a stack of matrices, got shape {a.shape}")
        if a.shape[-1] != a.shape[-2]:
            raise LinAlgError(f"{function}: the last two dimensions of {name} must be equal, got shape {a.shape}")


def explain(function: str, error: Exception, **arrays: Any) -> NoReturn:
    """Raise `error` again in the words of the caller: with the names, dtypes and shapes of the arguments."""
    for name, a in arrays.items():
        check_real(a, name)
    if isinstance(error, ValueError):
        shapes = ", ".join(f"{name} has shape {a.shape}" for name, a in arrays.items())
        raise ValueError(f"{function}: {shapes}: they do not fit together ({error})") from None
    raise error


def raise_for_item(function: str, what: str, failed: np.ndarray[Any, Any]) -> NoReturn:
    """LinAlgError that names the first failed item of a batch. `failed` is boolean, of the shape of the batch."""
    if failed.ndim == 0:
        raise LinAlgError(f"{function}: {what}") from None
    index = np.unravel_index(int(np.argmax(failed)), failed.shape)
    place = ", ".join(str(int(i)) for i in index) + ("," if len(index) == 1 else "")
    raise LinAlgError(
        f"{function}: {what} at batch index ({place}), {int(failed.sum())} of {failed.size} items in all; "
        f"errors='nan' fills them with NaN and goes on"
    ) from None
