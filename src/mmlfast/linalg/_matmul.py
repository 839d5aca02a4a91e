"""Products of stacks of matrices and vectors; public as `matmul`, `matvec`, `vecdot` of `mmlfast.linalg`."""

from __future__ import annotations

from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike

from mmlfast import _core
from mmlfast._common.arrays import as_array, as_float, as_integer, explain, ndarray
from mmlfast._common.fast_path import fast_path
from mmlfast._common.labels import check_labels

Array = np.ndarray[Any, Any]

# Products of more multiplications, or of longer sums, are NumPy's: it hands them to BLAS.
MOST_PRODUCTS = 2**23
LONGEST_SUM = 512
# Rows of few numbers times a matrix of so few are read and written as fast as memory can, whatever their number.
SMALL_FACTOR = 100


@fast_path(_core.matmul)
def matmul(a: ArrayLike, b: ArrayLike, *, out: Array | None = None) -> Any:
    """Matrix product of stacks of matrices.

    Parameters
    ----------
    a : array_like, shape (..., m, k) or (k,)
        Matrices, float32 or float64; one dimension is one row.
    b : array_like, shape (..., k, n) or (k,)
        Matrices; one dimension is one column.
    out : ndarray, optional
        Where to put the result.

    Returns
    -------
    ndarray, shape (..., m, n)
        The products, as `numpy.matmul` has them; without m or n where `a` or `b` has one dimension, a scalar without
        both. Integers and booleans are multiplied as float64.

    Raises
    ------
    ValueError
        If the shapes do not fit together, or labels (pandas, xarray) along an axis that both have differ.
    TypeError
        If the numbers are complex or no numbers at all.

    Notes
    -----
    Up to 512 terms per sum and 8 million products per item, and for any number of rows if `b` has at most 100 entries,
    every entry is one chain of fused multiply-adds in the order of k: its bits do not depend on the batch, the layout
    or the number of threads. Larger products are handed to `numpy.matmul`, whose BLAS has bits of its own. A matrix
    that is shared by the whole stack is not copied.

    References
    ----------
    .. [1] K. Goto and R. A. van de Geijn, Anatomy of high-performance matrix multiplication, ACM TOMS 34 (2008).

    Examples
    --------
    >>> import numpy as np
    >>> import mmlfast as mf
    >>> quarter_turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    >>> mf.linalg.matmul(quarter_turn, [[[1.0, 0.0], [0.0, 2.0]], [[3.0, 1.0], [1.0, 3.0]]])
    array([[[ 0., -2.],
            [ 1.,  0.]],
    <BLANKLINE>
           [[-1., -3.],
            [ 3.,  1.]]])
    """
    x: Any = a if type(a) is ndarray else as_array(a, "a")
    y: Any = b if type(b) is ndarray else as_array(b, "b")
    if x is not a and y is not b and not isinstance(b, list):
        check_labels("matmul", a=(a, "mk", "k"), b=(b, "kn", "k"))
    try:
        if x.size > 4096 or y.size > 4096:
            return product(x, y, out)
        return _core.matmul(x, y) if out is None else _core.matmul(x, y, out=out)
    except Exception as error:
        explain("matmul", error, a=x, b=y)


@fast_path(_core.matvec)
def matvec(a: ArrayLike, x: ArrayLike, *, out: Array | None = None) -> Any:
    """Products of stacks of matrices and vectors.

    Parameters
    ----------
    a : array_like, shape (..., m, k)
        Matrices, float32 or float64.
    x : array_like, shape (..., k)
        Vectors; their leading axes broadcast against those of `a`.
    out : ndarray, optional
        Where to put the result.

    Returns
    -------
    ndarray, shape (..., m)
        The products, as `numpy.matvec` (NumPy 2.2) has them. For fewer than 16 columns they have the bits of `matmul`
        with the vectors as columns; longer rows are summed in stripes, which is faster.

    Raises
    ------
    ValueError, TypeError
        As `matmul` does.

    Examples
    --------
    >>> import mmlfast as mf
    >>> mf.linalg.matvec([[1.0, 2.0], [3.0, 4.0]], [[1.0, 0.0], [1.0, 1.0]])
    array([[1., 3.],
           [3., 7.]])
    """
    matrix: Any = a if type(a) is ndarray else as_array(a, "a")
    vector: Any = x if type(x) is ndarray else as_array(x, "x")
    if matrix is not a and vector is not x and not isinstance(x, list):
        check_labels("matvec", a=(a, "mk", "k"), x=(x, "bk", "k"))
    try:
        if (
            matrix.size > 4096
            and matrix.ndim >= 2
            and matrix.shape[-1] > 4096
            and matrix.shape[-2] < 64
            and vector.ndim
        ):
            product_out = None if out is None else out[..., None]
            y = product(matrix, vector[..., None], product_out)[..., 0]
            return y if out is None else out
        return _core.matvec(matrix, vector) if out is None else _core.matvec(matrix, vector, out=out)
    except Exception as error:
        explain("matvec", error, a=matrix, x=vector)


@fast_path(_core.vecdot)
def vecdot(x: ArrayLike, y: ArrayLike, *, axis: SupportsIndex = -1, out: Array | None = None) -> Any:
    """Dot products of stacks of vectors.

    Parameters
    ----------
    x, y : array_like, shape (..., k)
        Vectors, float32 or float64; their other axes broadcast.
    axis : int
        The axis of `x` and of `y` along which their vectors lie.
    out : ndarray, optional
        Where to put the result.

    Returns
    -------
    scalar or ndarray, shape (...)
        The dot products, as `numpy.vecdot` has them.

    Raises
    ------
    ValueError, TypeError
        As `matmul` does.

    Notes
    -----
    Sums of 8 terms or more run over fixed interleaved parts: their bits do not depend on the batch, the layout or the
    number of threads, and the error grows with k / 32 (float32: k / 64) rather than k.

    Examples
    --------
    >>> import mmlfast as mf
    >>> mf.linalg.vecdot([[1.0, 2.0], [3.0, 4.0]], [1.0, 10.0])
    array([21., 43.])
    """
    left: Any = x if type(x) is ndarray else as_array(x, "x")
    right: Any = y if type(y) is ndarray else as_array(y, "y")
    if left is not x and right is not y and not isinstance(y, list):
        table = "bk" if axis in (-1, 1) else "kb"
        check_labels("vecdot", x=(x, table, "k"), y=(y, table, "k"))
    try:
        if axis == -1 and out is None:
            return _core.vecdot(left, right)
        options = {} if out is None else {"out": out}
        return _core.vecdot(left, right, axis=as_integer(axis, "vecdot: axis"), **options)
    except Exception as error:
        explain("vecdot", error, x=left, y=right)


def product(x: Any, y: Any, out: Array | None = None) -> Any:
    """`x @ y` by the kernel, or by NumPy where one item is large. The arrays are what `as_array` gives."""
    if x.ndim and y.ndim and type(x) is ndarray and type(y) is ndarray:
        m, k = (x.shape[-2] if x.ndim > 1 else 1), x.shape[-1]
        n = y.shape[-1] if y.ndim > 1 else 1
        if k > LONGEST_SUM or (m * k * n > MOST_PRODUCTS and k * n > SMALL_FACTOR):
            with np.errstate(all="ignore"):
                return np.matmul(as_float(x, "a"), as_float(y, "b"), out=out)
    return _core.matmul(x, y) if out is None else _core.matmul(x, y, out=out)
