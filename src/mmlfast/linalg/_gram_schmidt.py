"""Gram-Schmidt; public as `mmlfast.linalg.gram_schmidt`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mmlfast import _core
from mmlfast._common.arrays import as_array, as_float, explain_matrix, ndarray
from mmlfast._common.fast_path import fast_path

Array = np.ndarray[Any, Any]

_DEFAULT = {
    "cgs": _core.gram_schmidt_cgs,
    "mgs": _core.gram_schmidt_mgs,
    "cgs2": _core.gram_schmidt_cgs2,
    "householder": _core.gram_schmidt_householder,
}
_WITH_RTOL = {
    "cgs": _core.gram_schmidt_cgs_rtol,
    "mgs": _core.gram_schmidt_mgs_rtol,
    "cgs2": _core.gram_schmidt_cgs2_rtol,
    "householder": _core.gram_schmidt_householder_rtol,
}


class GramSchmidt(NamedTuple):
    """An orthonormal basis with its certificate."""

    basis: Array
    rank: Any
    orthogonality: Any


@fast_path(_core.gram_schmidt_cgs2, result=GramSchmidt)
def gram_schmidt(a: ArrayLike, *, method: str = "cgs2", rtol: ArrayLike | None = None) -> GramSchmidt:
    """Orthonormal basis of the span of vectors, one basis vector per independent vector.

    Column j of the basis is what is left of vector j after the basis vectors before it are projected out, at unit
    length. Its sign is the one that makes the diagonal of R = Q'A positive. A dependent vector gives a column of
    zeros.

    Parameters
    ----------
    a : array_like, shape (..., m, n)
        The vectors are the columns, float32 or float64.
    method : {"cgs2", "cgs", "mgs", "householder"}
        ``"cgs2"`` projects twice, which is enough for orthogonality at rounding level whatever the condition of `a`;
        large tall matrices take an equivalent way that reads the data less often. ``"householder"`` is as good by
        reflections. ``"cgs"`` (classical) and ``"mgs"`` (modified) project once, as in textbooks, and lose
        orthogonality like u cond(a)^2 and u cond(a).
    rtol : array_like, shape (...), optional
        A vector of which at most `rtol` times its own length is left is dependent. The default is above the rounding
        noise of the method: with c = max(n, 4), ``c * eps`` for cgs2, ``(c + sqrt(m)) * eps`` for householder, four
        times that for cgs and mgs. Since each vector is measured by its own length, scaling it changes neither basis
        nor rank. The vectors are taken in their order: behind some that are nearly dependent, the noise that is left of
        a dependent one can exceed this (`matrix_rank` judges all columns together).

    Returns
    -------
    basis : ndarray, shape (..., m, n)
        Orthonormal columns, and columns of zeros for dependent vectors.
    rank : int, or ndarray of int64 of shape (...)
        The number of independent vectors.
    orthogonality : scalar or ndarray, shape (...)
        The Frobenius norm of Q'Q - I over the columns that are not zero, as measured.

    Raises
    ------
    numpy.linalg.LinAlgError
        If `a` has less than two dimensions.
    ValueError
        If `method` is unknown, or `rtol` is negative or NaN.
    TypeError
        If the numbers are complex or no numbers at all.

    Notes
    -----
    A vector with NaN or infinity makes its own column and all later ones NaN, and `orthogonality` too; `rank` counts
    these columns.

    References
    ----------
    .. [1] L. Giraud, J. Langou, M. Rozloznik and J. van den Eshof, Rounding error analysis of the classical
       Gram-Schmidt orthogonalization process, Numer. Math. 101 (2005).
    .. [2] Y. Yamamoto, Y. Nakatsukasa, Y. Yanagisawa and T. Fukaya, Roundoff error analysis of the CholeskyQR2
       algorithm, ETNA 44 (2015).

    Examples
    --------
    >>> import mmlfast as mf
    >>> q, rank, orthogonality = mf.linalg.gram_schmidt([[3.0, 1.0, 6.0], [4.0, 1.0, 8.0]])
    >>> q
    array([[ 0.6,  0.8,  0. ],
           [ 0.8, -0.6,  0. ]])
    >>> rank
    2
    """
    vectors: Any = a if type(a) is ndarray else as_array(a, "a")
    if rtol is not None:
        vectors = as_float(vectors, "a")
        tolerance = _check_rtol(rtol, vectors.dtype)
    try:
        if rtol is None:
            basis, rank, orthogonality = _DEFAULT[method](vectors)
        else:
            basis, rank, orthogonality = _WITH_RTOL[method](vectors, tolerance)
    except Exception as error:
        if method not in _DEFAULT:
            raise ValueError(f"method must be one of {', '.join(map(repr, _DEFAULT))}, got {method!r}") from None
        explain_matrix("gram_schmidt", error, a=vectors)
    return GramSchmidt(basis, int(rank) if basis.ndim == 2 else rank, orthogonality)


def _check_rtol(rtol: ArrayLike, dtype: Any) -> Array:
    tolerance = as_float(rtol, "rtol")
    if not (tolerance >= 0).all():
        raise ValueError(f"gram_schmidt: rtol must not be negative or NaN, got {tolerance}")
    return tolerance.astype(dtype)
