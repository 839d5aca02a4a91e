"""Linear algebra: batched, with NumPy's names and rules.

Leading axes are batch axes and broadcast. float32 stays float32; integers and booleans become float64. Small
matrices are worked on eight (float64) or sixteen (float32) at a time in SIMD lanes, up to 128 rows where a batch fills
the lanes and it pays. Larger ones, and single ones, go to blocks or to LAPACK, many of them one per thread.

Each family of functions has a module of its own, named after its kernel; this one is their public name.
"""

from __future__ import annotations

from numpy.linalg import LinAlgError

from mmlfast._common.public import publish
from mmlfast.linalg._cholesky import cholesky
from mmlfast.linalg._eigen import Diagonalization, EigResult, diagonalize, eig, matrix_power
from mmlfast.linalg._eigh import EighResult, eigh, eigvalsh
from mmlfast.linalg._einsum import einsum
from mmlfast.linalg._elimination import LUResult, PermutedLUResult, SlogdetResult, det, inv, lu, slogdet, solve
from mmlfast.linalg._gram_schmidt import GramSchmidt, gram_schmidt
from mmlfast.linalg._lstsq import LstsqResult, lstsq
from mmlfast.linalg._matmul import matmul, matvec, vecdot
from mmlfast.linalg._null_space import null_space, orth
from mmlfast.linalg._pinv import pinv
from mmlfast.linalg._power_iteration import PowerIteration, power_iteration
from mmlfast.linalg._qr import QRResult, qr
from mmlfast.linalg._rfactor import RFactor
from mmlfast.linalg._rotations import rotation_matrix
from mmlfast.linalg._row_echelon import RowEchelon, characteristic_polynomial, is_singular, row_echelon
from mmlfast.linalg._svd import SVDResult, cond, matrix_rank, svd, svdvals
from mmlfast.linalg._transformations import change_of_basis, reflection_matrix, transform

__all__ = [
    "Diagonalization",
    "EigResult",
    "EighResult",
    "GramSchmidt",
    "LUResult",
    "LinAlgError",
    "LstsqResult",
    "PermutedLUResult",
    "PowerIteration",
    "QRResult",
    "RFactor",
    "RowEchelon",
    "SVDResult",
    "SlogdetResult",
    "change_of_basis",
    "characteristic_polynomial",
    "cholesky",
    "cond",
    "det",
    "diagonalize",
    "eig",
    "eigh",
    "eigvalsh",
    "einsum",
    "gram_schmidt",
    "inv",
    "is_singular",
    "lstsq",
    "lu",
    "matmul",
    "matrix_power",
    "matrix_rank",
    "matvec",
    "null_space",
    "orth",
    "pinv",
    "power_iteration",
    "qr",
    "reflection_matrix",
    "rotation_matrix",
    "row_echelon",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
    "transform",
    "vecdot",
]

publish(__name__, __all__)
