"""Householder QR; public as `mmlfast.linalg.qr`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mmlfast import _core
from mmlfast._common.arrays import as_array, explain_matrix, ndarray
from mmlfast._common.fast_path import fast_path

Array = np.ndarray[Any, Any]

# For m >= n, and for m < n.
_LOOPS = {
    "reduced": (_core.qr, _core.qr_full),
    "complete": (_core.qr_full, _core.qr_full),
    "r": (_core.qr_r, _core.qr_r_full),
    "raw": (_core.qr_raw, _core.qr_raw_full),
}
_TALL, _WIDE = _LOOPS["reduced"]


class QRResult(NamedTuple):
    """Orthonormal columns Q and an upper triangular R with Q R = A."""

    Q: Array
    R: Array


_result = tuple.__new__


@fast_path(_core.qr, wide=(_core.qr_full,), result=QRResult)
def qr(a: ArrayLike, mode: str = "reduced") -> Any:
    """QR factorization by Householder reflections.

    Parameters
    ----------
    a : array_like, shape (..., m, n)
        Matrices, float32 or float64.
    mode : {"reduced", "complete", "r", "raw"}
        With k = min(m, n): ``"reduced"`` gives Q (..., m, k) and R (..., k, n), ``"complete"`` Q (..., m, m) and
        R (..., m, n), ``"r"`` only R (..., k, n), ``"raw"`` what LAPACK's xGEQRF leaves: h (..., n, m), transposed, and
        tau (..., k).

    Returns
    -------
    QRResult, ndarray, or tuple of ndarray
        ``QRResult(Q, R)``; R alone for ``mode="r"``; ``(h, tau)`` for ``mode="raw"``. norm(Q'Q - I) and
        norm(A - Q R) / norm(A) are at most 10 n u, whatever the condition and the scale of `a`.

    Raises
    ------
    numpy.linalg.LinAlgError
        If `a` has less than two dimensions.
    ValueError
        If `mode` is unknown.
    TypeError
        If the numbers are complex or no numbers at all.

    Notes
    -----
    Signs are LAPACK's, so those of NumPy: the diagonal of R may be negative. Matrices of up to 2048 elements and up to
    32 rows or columns are worked on in SIMD lanes. Tall ones (m at least 512 and 8 n, n up to 256; not for
    ``"complete"`` and ``"raw"``) get R by way of a sample of the rows and Cholesky factors of Gram matrices, and Q from
    R, two readings of `a` in all [2]_. Others, and those with dependent columns, are reduced in panels of reflections
    [3]_, which all threads apply to the rest of one matrix; several matrices are worked on side by side. The bits
    depend neither on the threads nor on the order in memory nor on the other matrices of a stack.
    A matrix with NaN or infinity gives NaN everywhere, except below the diagonal of R.

    References
    ----------
    .. [1] G. H. Golub and C. F. Van Loan, Matrix Computations, 4th ed., section 5.2.
    .. [2] Y. Yamamoto, Y. Nakatsukasa, Y. Yanagisawa and T. Fukaya, Roundoff error analysis of the CholeskyQR2
       algorithm, ETNA 44 (2015); O. Balabanov, Randomized Cholesky QR factorizations, arXiv:2210.09953 (2022).
    .. [3] R. Schreiber and C. Van Loan, A storage-efficient WY representation for products of Householder
       transformations, SIAM J. Sci. Stat. Comput. 10 (1989).

    Examples
    --------
    >>> import numpy as np
    >>> import mmlfast as mf
    >>> q, r = mf.linalg.qr([[3.0, 1.0], [4.0, 2.0]])
    >>> r
    array([[-5. , -2.2],
           [ 0. ,  0.4]])
    >>> np.allclose(q @ r, [[3.0, 1.0], [4.0, 2.0]])
    True
    """
    matrix: Any = a if type(a) is ndarray else as_array(a, "a")
    try:
        shape = matrix.shape
        if mode == "reduced":
            return _result(QRResult, _TALL(matrix) if shape[-2] >= shape[-1] else _WIDE(matrix))
        factors: Any = _LOOPS[mode][shape[-2] < shape[-1]](matrix)
        return _result(QRResult, factors) if mode == "complete" else factors
    except Exception as error:
        if mode not in _LOOPS:
            raise ValueError(f"mode must be one of {', '.join(map(repr, _LOOPS))}, got {mode!r}") from None
        explain_matrix("qr", error, a=matrix)
