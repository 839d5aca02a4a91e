"""What every public function does with its array arguments, in one place.

`as_array` is the only door through which the caller's objects come in. What NumPy would drop in silence on the way (a
mask, a unit of measurement, the digits of an integer beyond 2**53) is refused here by name.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any, NoReturn

import numpy as np
from numpy.linalg import LinAlgError

from mmlfast._common.labels import check_labels, names_of_columns
from mmlfast._common.plain_words import plain_words

ndarray = np.ndarray
Array = np.ndarray[Any, Any]

# Types of the items of lists that need no second look.
_PLAIN = frozenset((float, int, bool, list, tuple, ndarray, np.float64, np.float32))

# From here on not every integer is a float64.
LARGEST_EXACT = 2**53


def as_array(x: Any, name: str) -> Any:
    """Anything array-like as an ndarray, without a copy where NumPy needs none.

    Dask arrays pass as they are: batched functions hand them to Dask (`_common.lazy`). Tables of mixed numeric columns
    are numbers. TypeError, with `name`, for what holds no numbers and for what would lose something.
    """
    kind = type(x)
    if kind is ndarray:
        return x
    if kind is list or kind is tuple:
        if not _PLAIN.issuperset(map(type, x)):
            _refuse_items(x, name)
        try:
            a = np.asarray(x)
        except ValueError as error:  # ragged lists
            raise ValueError(f"{name} cannot be made an array: {error}") from None
        if a.dtype.char == "O":
            return _numbers(a, name)
        if a.dtype.kind == "f" and a.size and not (a.max() <= LARGEST_EXACT and a.min() >= -LARGEST_EXACT):
            _refuse_rounded(x, name)
        return a
    if is_dask(x):
        if isinstance(x._meta, np.ma.MaskedArray):
            raise TypeError(
                f"{name} is a Dask array of masked arrays: dask.array.ma.filled gives the masked numbers a value"
            )
        return x
    _refuse_what_holds_no_array(x, name)
    if hasattr(x, "__dlpack__") and not hasattr(x, "__array__"):
        return np.from_dlpack(x)
    if isinstance(x, ndarray):
        return _without_subclass(x, name)
    columns = _columns_of(x)
    if columns is not None:
        return _joined(x, columns, name)
    a = _converted(x, name)
    return _numbers(a, name) if a.dtype.kind == "O" else a


def _converted(x: Any, name: str) -> Array:
    try:
        return np.asarray(x)
    except MemoryError:
        raise
    except Exception as error:  # of any library: tensors that derivatives are asked of, or on another device
        raise TypeError(f"{name} cannot be made an array: {error}") from error


def as_float(x: Any, name: str) -> Array:
    """`x` as a native float32 or float64 array: integers and booleans become float64, anything else is a TypeError."""
    a = as_array(x, name)
    if type(a) is not ndarray:
        refuse_dask(name)
    if a.dtype.type in (np.float64, np.float32):
        return a if a.dtype.isnative else a.astype(a.dtype.newbyteorder("="))
    check_real(a, name)
    check_digits(a, name)
    return a.astype(np.float64)


def contiguous(a: Array) -> Array:
    """The array, or a copy of it in C order at an address that suits its numbers."""
    return a if a.flags.c_contiguous and a.flags.aligned else np.require(a, requirements=["C", "A"])


def float_dtype(x: Any) -> np.dtype[Any]:
    """The dtype that results for numbers of `x` have: float32 stays, all others become float64."""
    return np.dtype(np.float32 if x.dtype.type is np.float32 else np.float64)


def is_dask(x: Any) -> bool:
    """Whether it is a Dask array. Labelled arrays may have Dask's methods too, but are not arrays of Dask."""
    array = sys.modules.get("dask.array")  # who has a Dask array has imported it
    return array is not None and isinstance(x, array.Array)


def refuse_dask(name: str) -> NoReturn:
    raise TypeError(
        f"{name} is a Dask array, which this function does not take: mmlfast.dask has covariance, pca, lstsq, qr and "
        f"pagerank of arrays in chunks, {name}.compute() gives an array in memory, and {name}.map_blocks(...) calls a "
        f"function for each chunk"
    )


def check_real(a: Any, name: str) -> None:
    """TypeError unless the dtype of `a` is boolean, integer or a float that fits float64."""
    if (a.dtype.kind in "biuf" and a.dtype.itemsize <= 8) or _is_short_float(a.dtype):
        return
    way_out = {
        "c": ": its .real and .imag are real numbers",
        "M": ": subtract a date and divide by a unit such as np.timedelta64(1, 's')",
        "m": ": divide by a unit such as np.timedelta64(1, 's')",
        "U": ": .astype(float) converts text",
        "S": ": .astype(float) converts text",
        "f": ": .astype(float) rounds to float64",
        "O": ": .astype(float) converts objects that are numbers",
        "V": ": take the fields apart",
    }.get(a.dtype.kind, "")
    raise TypeError(f"{name} must hold real numbers (float32, float64, integers or booleans), got {a.dtype}{way_out}")


def _is_short_float(dtype: np.dtype[Any]) -> bool:
    """Whether it is a type that other libraries have added, such as bfloat16, and float64 holds its numbers."""
    return dtype.kind == "V" and dtype.type is not np.void and np.can_cast(dtype, np.float64)


def check_digits(a: Array, name: str) -> None:
    """TypeError if `a` holds integers that float64 cannot hold."""
    if a.dtype.kind not in "iu" or a.dtype.itemsize < 8 or a.size == 0:
        return
    if int(a.min()) >= -LARGEST_EXACT and int(a.max()) <= LARGEST_EXACT:
        return
    flat = a.reshape(-1)
    with np.errstate(invalid="ignore"):
        # 2**63 and 2**64, to which the largest integers are rounded, do not fit their type: they count as lost.
        top = np.float64(2) ** (63 if a.dtype.kind == "i" else 64)
        wide = flat.astype(np.float64)
        lost = (wide >= top) | (np.where(wide < top, wide, 0).astype(flat.dtype) != flat)
    if lost.any():
        value = int(flat[int(np.argmax(lost))])
        raise TypeError(
            f"{name} holds the integer {value}, which float64 would round (it holds every integer up to 2**53): "
            f"subtract an offset first, or say with .astype(float) that rounding is meant"
        )


def nan_where_masked(x: Any, name: str) -> Any:
    """For functions that leave NaN out: a masked array as floats with NaN where the mask hides something."""
    if not isinstance(x, np.ma.MaskedArray):
        return x
    values = as_float(x.data, name)
    return np.where(np.ma.getmaskarray(x), values.dtype.type(np.nan), values) if np.ma.is_masked(x) else values


def as_operator(function: str, a: Any) -> Any:
    """The argument `a`, a matrix whose rows and columns are of one space, as an array: labels in two orders are
    refused."""
    check_labels(function, a=(a, "nn", "n"))
    return as_array(a, "a")


# ---- what NumPy would convert, and should not ----


def _refuse_what_holds_no_array(x: Any, name: str) -> None:
    if x is None:
        raise TypeError(f"{name} must be an array, got None")
    if hasattr(x, "tocsr"):
        raise TypeError(
            f"{name} is a sparse matrix, which this function does not take: {name}.toarray() makes it dense "
            f"(sparse input: mmlfast.decomposition, mmlfast.graph, linalg.power_iteration; scipy.sparse.linalg)"
        )
    if isinstance(x, Iterator):
        raise TypeError(f"{name} must be an array, got an iterator ({type(x).__name__}): list({name}) makes it one")
    if isinstance(x, dict) or hasattr(x, "data_vars"):
        raise TypeError(f"{name} must be an array, got {type(x).__name__}: stack its values in the order that is meant")
    if isinstance(x, set | frozenset | str | bytes):
        raise TypeError(f"{name} must be an array, got {type(x).__name__}")
    if hasattr(x, "__dask_graph__") and hasattr(x, "npartitions"):
        raise TypeError(
            f"{name} is a Dask {type(x).__name__}: {name}.to_dask_array(lengths=True) gives an array for the functions "
            f"of mmlfast.dask, and {name}.compute() a table in memory"
        )
    if hasattr(x, "collect") and hasattr(x, "explain"):
        raise TypeError(
            f"{name} is a table that is not computed yet ({type(x).__name__}): {name}.collect() computes it"
        )
    unit = _unit_of(x)
    if unit is not None:
        value = ".magnitude" if hasattr(x, "magnitude") else ".value"
        raise TypeError(f"{name} has a unit of measurement ({unit}), which would be lost: pass {name}{value}")


def _unit_of(x: Any) -> str | None:
    """The unit of a quantity of pint, astropy or unyt."""
    if hasattr(x, "magnitude") and hasattr(x, "units"):
        return str(x.units)
    if isinstance(x, ndarray):
        unit = getattr(x, "unit", getattr(x, "units", None))
        return None if unit is None else str(unit)
    return None


def _without_subclass(x: Array, name: str) -> Array:
    """Matrices, memory maps and masked arrays as plain arrays."""
    if isinstance(x, np.ma.MaskedArray):
        if np.ma.is_masked(x):
            raise TypeError(
                f"{name} is a masked array, and {int(np.ma.getmaskarray(x).sum())} of its {x.size} numbers are masked: "
                f"pass {name}.compressed() or the rows that are complete, or {name}.data if the mask does not matter "
                f"(the functions of mmlfast.stats with nan_policy='omit' leave masked numbers out)"
            )
        return np.asarray(x.data)
    return np.asarray(x)


def _refuse_items(items: list[Any] | tuple[Any, ...], name: str) -> None:
    for item in items:
        if isinstance(item, np.ma.MaskedArray) and np.ma.is_masked(item):
            raise TypeError(f"{name} holds masked arrays: np.ma.stack({name}) makes it one masked array")
        if _unit_of(item) is not None:
            raise TypeError(f"{name} holds numbers with a unit of measurement ({_unit_of(item)}), which would be lost")


def _refuse_rounded(items: Any, name: str) -> None:
    """TypeError if NumPy has rounded integers, since they stand beside floats."""
    if _holds_integers(items):
        _numbers(np.array(items, object), name)


def _holds_integers(items: Any) -> bool:
    kinds = set(map(type, items))
    if int in kinds or any(issubclass(kind, np.integer) for kind in kinds):
        return True
    if kinds <= {ndarray}:
        return any(item.dtype.kind in "iu" for item in items)
    return (list in kinds or tuple in kinds) and any(map(_holds_integers, items))


def _numbers(a: Array, name: str) -> Array:
    """An array of Python objects as numbers, if all of them are real numbers that fit."""
    for value in a.reshape(-1):
        if isinstance(value, complex | np.complexfloating):
            raise TypeError(f"{name} must hold real numbers, got the complex number {value}")
        if not isinstance(value, int | float | np.number | np.bool_):
            way_out = ": .astype(float) rounds it to float64" if isinstance(value, Decimal | Fraction) else ""
            raise TypeError(f"{name} must hold real numbers, got {type(value).__name__} ({value!r:.40}){way_out}")
        if isinstance(value, int | np.integer) and abs(value := int(value)) > LARGEST_EXACT:
            try:
                rounded = int(float(value))
            except OverflowError:
                raise TypeError(
                    f"{name} holds an integer of {int(value).bit_length()} bits, and float64 ends at 2**1024: "
                    "divide first"
                ) from None
            if rounded != value:
                raise TypeError(
                    f"{name} holds the integer {value}, which float64 would round: say with "
                    f".astype(float) that rounding is meant"
                )
    return a.astype(np.float64)


def _columns_of(x: Any) -> list[tuple[Any, Any]] | None:
    """(label, column) of a data frame, [(None, x)] of a series, None of what NumPy makes an array of by itself."""
    if (names := names_of_columns(x)) != []:  # polars and Arrow
        return [(label, x[label]) for label in names[1]]
    if hasattr(x, "null_count"):
        return [(None, x)]
    if hasattr(x, "iloc") and hasattr(x, "to_numpy"):  # pandas
        if x.ndim == 1:
            return [(None, x)]
        kinds = set(x.dtypes)
        if len(kinds) == 1 and all(isinstance(kind, np.dtype) and kind.kind in "biuf" for kind in kinds):
            return None  # an array of numbers already
        return [(label, x.iloc[:, k]) for k, label in enumerate(x.columns)]
    return None


def _joined(x: Any, columns: list[tuple[Any, Any]], name: str) -> Array:
    """Columns of numbers side by side in their common type."""
    if columns and columns[0][0] is None and columns[0][1] is x:
        return _column(x, name)
    kinds = {str(getattr(column, "dtype", None) or column.type) for _, column in columns}
    if len(kinds) == 1 and not any(map(n_missing, (column for _, column in columns))):
        a = np.asarray(x)
        if a.dtype.kind in "biuf":
            return a
    parts = [_column(column, f"column {label!r} of {name}") for label, column in columns]
    if not parts:
        return np.empty(x.shape)
    dtype = np.result_type(*parts)
    if dtype.kind == "f":
        for (label, _), part in zip(columns, parts, strict=True):
            check_digits(part, f"column {label!r} of {name}")
    out = np.empty((len(parts[0]), len(parts)), dtype)
    for k, part in enumerate(parts):
        out[:, k] = part
    return out


def n_missing(column: Any) -> int:
    """How many numbers of a column of polars or Arrow are missing."""
    count = getattr(column, "null_count", 0)
    return int(count() if callable(count) else count)


def _column(column: Any, name: str) -> Array:
    """One column of a data frame as numbers; what is missing in it becomes NaN."""
    if n_missing(column):
        kept = np.asarray(column.drop_nulls() if hasattr(column, "drop_nulls") else column.drop_null())
        if kept.dtype.kind in "biu":
            check_digits(kept, name)
            numbers = np.full(len(column), np.nan)
            numbers[~np.asarray(column.is_null())] = kept
            return numbers
    dtype = getattr(column, "dtype", None)
    nullable = getattr(dtype, "na_value", None) is not None and not isinstance(dtype, np.dtype)
    if nullable and getattr(dtype, "kind", "O") in "biuf":  # pandas' Int64, boolean, Float32, ...
        plain = np.dtype(getattr(dtype, "numpy_dtype", np.float64))
        if not column.isna().any():
            return np.asarray(column.to_numpy(dtype=plain))
        if plain.kind in "iu":
            check_digits(column.dropna().to_numpy(dtype=plain), name)
        return np.asarray(column.to_numpy(dtype=plain if plain.kind == "f" else np.float64, na_value=np.nan))
    a = _converted(column, name)
    if a.dtype.kind == "O":
        return _numbers(a, name)
    check_real(a, name)
    return a


# ---- errors in the words of the caller ----


def check_errors(errors: str) -> None:
    if errors not in ("raise", "nan"):
        raise ValueError(f"errors must be 'raise' or 'nan', got {errors!r}")


def as_integer(value: Any, name: str, least: int | None = None) -> int:
    """A whole number as an int; TypeError or ValueError with its name for anything else. 2.0 is none, as in NumPy."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number (an int), got {value!r:.60}") from None
    if least is not None and number < least:
        raise ValueError(f"{name} must be at least {least}, got {number}")
    return number


def as_real(value: Any, name: str) -> float:
    """A number as a float; TypeError with its name for anything else, also for text."""
    if not isinstance(value, str | bytes):
        try:
            return float(value)
        except OverflowError:
            raise TypeError(f"{name} must be a number that float64 can hold: it ends at 2**1024") from None
        except (TypeError, ValueError):
            pass
    kind = "the complex number " if isinstance(value, complex | np.complexfloating) else ""
    raise TypeError(f"{name} must be a number, got {kind}{value!r:.60}")


def check_matrix(function: str, **matrices: Any) -> None:
    """LinAlgError naming the argument that has fewer than two dimensions."""
    for name, a in matrices.items():
        if a.ndim < 2:
            what = f"{name} must be a matrix or a stack of matrices, got shape {a.shape}"
            raise LinAlgError(f"{function}: {what}") from None


def check_square(function: str, **matrices: Any) -> None:
    """LinAlgError naming the argument unless its last two dimensions are equal."""
    for name, a in matrices.items():
        if a.ndim < 2:
            check_matrix(function, **{name: a})
        if a.shape[-1] != a.shape[-2]:
            raise LinAlgError(f"{function}: the last two dimensions of {name} must be equal, got shape {a.shape}")


def explain(function: str, error: Exception, **arrays: Any) -> NoReturn:
    """Raise `error` again in the words of the caller: with the names, dtypes and shapes of the arguments."""
    for name, a in arrays.items():
        check_real(a, name)
        if isinstance(error, TypeError):
            check_digits(a, name)
    if isinstance(error, ValueError):
        shapes = ", ".join(f"{name} has shape {a.shape}" for name, a in arrays.items())
        raise ValueError(
            f"{function}: {shapes}: they do not fit together ({plain_words(error, list(arrays)) or error})"
        ) from None
    if isinstance(error, TypeError) and (words := plain_words(error, list(arrays))) is not None:
        raise TypeError(f"{function}: {words}") from None
    raise error


def explain_matrix(function: str, error: Exception, **matrices: Any) -> NoReturn:
    """The same for matrices of any shape; a LinAlgError, which is about their numbers, is raised as it is."""
    check_matrix(function, **matrices)
    if isinstance(error, LinAlgError):
        for name, a in matrices.items():
            check_real(a, name)
        raise error
    explain(function, error, **matrices)


def explain_square(function: str, error: Exception, **matrices: Any) -> None:
    """The same for square matrices; a LinAlgError is left to the caller."""
    check_square(function, **matrices)
    if not isinstance(error, LinAlgError):
        explain(function, error, **matrices)


def first_entry(name: str, a: Array, where: Array, item: tuple[int, ...] = ()) -> str:
    """The first entry of `a[item]` that a boolean array tells of, for messages: "a[2, 0] is nan"."""
    index = item + tuple(int(i) for i in np.argwhere(where)[0])
    return f"{name}[{', '.join(map(str, index))}] is {a[index]}"


def raise_for_item(function: str, what: str, failed: Array) -> NoReturn:
    """LinAlgError that names the first failed item of a batch. `failed` is boolean, of the shape of the batch."""
    _raise_first_failed(function, what, failed.shape, int(np.argmax(failed)), int(failed.sum()))


def raise_failed(function: str, what: str, batch: tuple[int, ...], error: Exception) -> NoReturn:
    """LinAlgError that names the first item for which a batched function has raised `error`."""
    _raise_first_failed(function, what, batch, *_failed_items(error))


def failed_matrix(error: Exception, a: Array, upper: bool) -> tuple[tuple[int, ...], str]:
    """The index of the first matrix of a stack without an answer, and what is not finite in the triangle that is
    read: "a[2, 0] is nan", or nothing."""
    batch = a.shape[:-2]
    first = tuple(int(i) for i in np.unravel_index(_failed_items(error)[0], batch)) if batch else ()
    triangle = np.tri(a.shape[-1], dtype=bool)
    bad = ~np.isfinite(a[first]) & (triangle.T if upper else triangle)
    return first, first_entry("a", a, bad, first) if bad.any() else ""


def _raise_first_failed(function: str, what: str, batch: tuple[int, ...], first: int, count: int) -> NoReturn:
    """LinAlgError for `count` failed items of a batch; `first` is the number of the first of them in C order."""
    if not batch:
        raise LinAlgError(f"{function}: {what}") from None
    index = tuple(int(i) for i in np.unravel_index(first, batch))
    raise LinAlgError(
        f"{function}: {what} at batch index {index}, {count} of {math.prod(batch)} items in all; "
        f"errors='nan' fills them with NaN and goes on"
    ) from None


def _failed_items(error: Exception) -> tuple[int, int]:
    """What a batched function says of the items without an answer: the first one's number in C order, and how many."""
    return getattr(error, "first_failed", 0), getattr(error, "n_failed", 1)
