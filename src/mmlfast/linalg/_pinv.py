"""The pseudo-inverse; public as `mmlfast.linalg.pinv`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.linalg import LinAlgError
from numpy.typing import ArrayLike

from mmlfast import _core
from mmlfast._common.arrays import as_array, as_float, explain_matrix, ndarray
from mmlfast._common.fast_path import fast_path
from mmlfast.linalg._column_units import default_rtol, length_exponents, orthonormal, unevenness
from mmlfast.linalg._elimination import inv
from mmlfast.linalg._matmul import matmul
from mmlfast.linalg._svd import svd

Array = np.ndarray[Any, Any]

# What pinv's kernel is for, in min(m, n): any number of matrices, and enough to fill the lanes. The others are products
# of the factors.
_ALWAYS_IN_LANES, _FILLED_LANES, _LONGEST_IN_LANES = 12, 48, 1024
# Sizes from here to its reciprocal are far from the ends of the range, in float32 too.
_SMALL = 1e-6
# Columns further apart than this, as a power of two, are brought to the same size before it is decided what is zero.
_UNEVEN = 8


class _NoValue:
    """The default of an argument for which None means something."""

    def __repr__(self) -> str:
        return "<no value>"


_NO_VALUE: Any = _NoValue()


@fast_path(_core.pinv_small)
def pinv(a: ArrayLike, rcond: ArrayLike | None = None, hermitian: bool = False, *, rtol: Any = _NO_VALUE) -> Array:
    """The pseudo-inverse of Moore and Penrose.

    Parameters
    ----------
    a : array_like, shape (..., m, n)
        Matrices, float32 or float64.
    rcond : array_like, shape (...), optional
        Singular values of at most `rcond` times the largest one count as zero. The default is NumPy's, 1e-15, for
        float64; for float32, where that is below rounding, it is that of `matrix_rank`. By default what counts does
        not depend on the units of the columns (``m >= n``; else of the rows): where singular values would count as
        zero while these are far apart in size, they are brought to the same size before that is decided.
    hermitian : bool
        Take `a` to be symmetric, see `svd`.
    rtol : array_like, shape (...), optional
        The same as `rcond`; None is the default of `matrix_rank`. Only one of them may be given.

    Returns
    -------
    ndarray, shape (..., n, m)
        The pseudo-inverses; NaN for a matrix that holds a NaN or an infinity.

    Raises
    ------
    numpy.linalg.LinAlgError
        If `a` has fewer than two dimensions.
    ValueError
        If both `rcond` and `rtol` are given.
    TypeError
        If the numbers are complex or no numbers at all.

    Notes
    -----
    float32 is worked on in float64, as in NumPy: the rounding of the answer is then the only one that matters.

    References
    ----------
    .. [1] G. H. Golub and C. F. Van Loan, Matrix Computations, 4th ed., section 5.5.2.

    Examples
    --------
    >>> import mmlfast as mf
    >>> mf.linalg.pinv([[2.0, 0.0], [0.0, 0.0], [0.0, 4.0]])
    array([[0.5 , 0.  , 0.  ],
           [0.  , 0.  , 0.25]])
    """
    if rcond is not None and rtol is not _NO_VALUE:
        raise ValueError("pinv: `rtol` and `rcond` can't be both set.")
    matrix: Any = a if type(a) is ndarray else as_array(a, "a")
    try:
        m, n = matrix.shape[-2:]
        single = matrix.dtype.type is np.float32
        given = True
        if rcond is None:
            given = rtol is not None and rtol is not _NO_VALUE
            if rtol is None or (single and rtol is _NO_VALUE):
                rcond = default_rtol(matrix)
            else:
                rcond = 1e-15 if rtol is _NO_VALUE else rtol
        if hermitian or (min(m, n) > _ALWAYS_IN_LANES and not _fills_lanes(matrix)) or max(m, n) > _LONGEST_IN_LANES:
            return _pinv_from_factors(matrix, rcond, hermitian, given)
        wide = matrix.astype(np.float64) if single else matrix
        limit = np.asarray(rcond, np.float64)
        if given or type(matrix) is not ndarray:
            x: Array = _core.pinv_nan(wide, limit)
        else:
            try:
                x = _core.pinv(wide, limit)
            except LinAlgError:  # badly scaled
                x = _pinv_of_units(as_float(wide, "a"), _core.pinv_nan(wide, limit), float(limit), None)
        if single:
            with np.errstate(over="ignore"):
                x = x.astype(np.float32)
        return x
    except Exception as error:
        explain_matrix("pinv", error, a=matrix)


def _fills_lanes(matrix: Any) -> bool:
    m, n = matrix.shape[-2:]
    items = matrix.size // (m * n)
    return bool(min(m, n) <= _FILLED_LANES and items >= (16 if matrix.dtype.type is np.float32 else 8))


def _pinv_from_factors(matrix: Any, rcond: Any, hermitian: bool, given: bool) -> Array:
    u, s, vh = svd(matrix, full_matrices=False, hermitian=hermitian)
    with np.errstate(all="ignore"):
        largest = s[..., :1]
        kept = ~(s <= np.asarray(rcond, s.dtype)[..., None] * largest)
        all_kept = kept.all()
        # Powers of two change no digit, only where the range of the numbers ends.
        near_one = ((largest > _SMALL) & (largest < 1 / _SMALL)).all()
        power: Any = 0 if near_one else np.frexp(largest)[1]
        sizes = s if near_one else np.ldexp(s, -power)
        reciprocal = 1 / sizes if all_kept else np.divide(1, sizes, out=np.zeros_like(s), where=kept)
        # Not NumPy's: its threads go on looking for work, in the way of ours.
        x: Array = matmul(vh.mT, reciprocal[..., None] * u.mT)
        if not near_one:
            x = np.ldexp(x, -power[..., None])
    if given or hermitian or all_kept:
        return x
    return _pinv_of_units(as_float(matrix, "a"), x, rcond, np.asarray(~kept.all(axis=-1)))


def _leaves_out(a: Array, rcond: float) -> bool:
    """Whether singular values count as zero in a matrix with columns far apart in size."""
    try:
        _core.pinv(a, np.asarray(rcond))
    except LinAlgError:
        return True
    return False


def _pinv_of_units(a: Array, x: Array, rcond: float, left_out: Array | None) -> Array:
    """`x`, the pseudo-inverses of `a`, done again where singular values count as zero (`left_out`, if it is known)
    although columns (of wide matrices, rows) are far apart in size: each for itself, whatever else is in the stack."""
    tall = a.shape[-2] >= a.shape[-1]
    columns = a if tall else np.swapaxes(a, -1, -2)
    x = np.array(x)
    for item in np.argwhere((unevenness(columns) > _UNEVEN) & np.isfinite(a).all(axis=(-1, -2))):
        index = tuple(item)
        if not (_leaves_out(a[index], rcond) if left_out is None else left_out[index]):
            continue
        again = _pinv_of_columns(columns[index], rcond)
        if again is not None:
            x[index] = again if tall else again.T
    return x


def _pinv_of_columns(a: Array, rcond: float) -> Array | None:
    """The pseudo-inverse of one matrix, ``m >= n``: what counts as zero is decided with columns of length one.

    None if columns are so far apart that it is not to be had in this way.
    """
    power = length_exponents(a)
    u, s, vh = svd(np.ldexp(a, -power), full_matrices=False)
    rank = int(np.count_nonzero(s > rcond * s[0]))
    with np.errstate(all="ignore"):
        if rank == len(s):
            full: Array = np.ldexp((vh.T / s) @ u.T, -power.T)
            return full
        # a = U (S V' D): independent columns times independent rows.
        u, top = u[:, :rank], int(power.max(initial=0))
        q, r, pivots = orthonormal(np.ldexp(vh[:rank].T * s[:rank], power.T - top))
        try:
            x: Array = np.ldexp(q @ inv(r).T @ u.T[pivots], -top)
        except LinAlgError:
            return None
        return x if np.isfinite(x).all() else None
