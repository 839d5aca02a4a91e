"""Principal components of many small tables; public as `mmlfast.decomposition.pca`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mmlfast._common.arrays import as_float, as_integer
from mmlfast.decomposition._spectrum import is_inaccurate, signed
from mmlfast.linalg._eigh import eigh
from mmlfast.linalg._svd import svd
from mmlfast.stats._covariance import covariance as covariance_of_rows
from mmlfast.stats._covariance import mean as mean_of_rows
from mmlfast.stats._covariance import std

Array = np.ndarray[Any, Any]


class PrincipalComponents(NamedTuple):
    """Principal components of each table of a stack."""

    mean: Array
    components: Array
    explained_variance: Array
    explained_variance_ratio: Array


def pca(x: ArrayLike, n_components: int | None = None) -> PrincipalComponents:
    """Principal components of a table, or of each table of a stack: many small problems at a time.

    Parameters
    ----------
    x : array_like, shape (..., n, d)
        Samples in rows, float32 or float64.
    n_components : int, optional
        How many components to keep, at most ``min(n, d)``, which is the default.

    Returns
    -------
    PrincipalComponents
        mean, shape (..., d); components in rows, shape (..., k, d), in each the entry of largest magnitude positive;
        explained_variance, shape (..., k), decreasing, with divisor n - 1; explained_variance_ratio, its share in the
        sum of all variances, NaN where nothing varies. NaN or infinity in a table gives NaN for that table.

    Raises
    ------
    ValueError
        If `x` has fewer than two dimensions or fewer than two rows, or `n_components` is out of range.
    TypeError
        If the numbers are complex or no numbers at all.

    See Also
    --------
    PCA : the estimator, for one table of any size.

    Notes
    -----
    From covariance matrices, eight at a time in SIMD lanes; tables whose variances differ so much that this would
    lose digits go through their singular values instead.

    Examples
    --------
    >>> import numpy as np
    >>> import mmlfast as mf
    >>> clouds = np.random.default_rng(0).standard_normal((1000, 20, 3)) * [3.0, 2.0, 0.1]
    >>> result = mf.decomposition.pca(clouds, 2)
    >>> result.components.shape, result.explained_variance.shape
    ((1000, 2, 3), (1000, 2))
    """
    table = as_float(x, "x")
    if table.ndim < 2 or table.shape[-2] < 2:
        raise ValueError(f"pca: x must have at least two samples in rows, shape (..., n, d); got shape {table.shape}")
    n, d = table.shape[-2:]
    k = min(n, d) if n_components is None else as_integer(n_components, "pca: n_components")
    if not 0 <= k <= min(n, d):
        raise ValueError(f"pca: n_components must be between 0 and min(n, d) = {min(n, d)}, got {n_components}")
    wide = table.astype(np.float64, copy=False)
    mean = mean_of_rows(wide)
    covariance = covariance_of_rows(wide)
    total = np.einsum("...ii->...", covariance)
    exponent = _exponents(wide, total)
    centre = mean
    if exponent.any():  # variances that float64 cannot hold, or as good as: in another unit
        wide, centre = np.ldexp(wide, -exponent[..., None]), np.ldexp(mean, -exponent)
        covariance = covariance_of_rows(wide)
        total = np.einsum("...ii->...", covariance)
    finite = np.asarray(np.isfinite(covariance).all(axis=(-2, -1)))
    values, vectors = eigh(np.where(finite[..., None, None], covariance, 0))
    values, components = values[..., ::-1].copy(), np.swapaxes(vectors[..., ::-1], -1, -2).copy()
    small = is_inaccurate(values[..., : min(k, n - 1)], values[..., :1], table.itemsize).any(axis=-1)
    if small.any():
        _, sigma, rows = svd(wide[small] - centre[small][..., None, :], full_matrices=False)
        values[small, : sigma.shape[-1]] = sigma**2 / (n - 1)
        components[small, : sigma.shape[-1]] = rows
    values = np.maximum(values[..., :k], 0)
    components = components[..., :k, :]
    total = total[..., None]
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = values / total
    bad = np.asarray(~finite)
    values[bad], components[bad], ratio[bad] = np.nan, np.nan, np.nan
    if exponent.any():
        with np.errstate(over="ignore", under="ignore"):
            values = np.ldexp(values, 2 * exponent)
    results = (mean, signed(components), values, ratio)
    with np.errstate(over="ignore", under="ignore"):
        return PrincipalComponents(*(a.astype(table.dtype, copy=False) for a in results))


def _exponents(x: Array, total: Array) -> Array:
    """Of each table, shape (..., 1): 0 unless its variance is far from 1, or nothing that float64 can hold."""
    far = np.asarray(~((total > 2.0**-200) & (total < 2.0**200)))
    exponent = np.zeros((*far.shape, 1), np.int64)
    if far.any():
        deviations = std(x[far]).max(axis=-1, initial=0)
        exponent[far] = np.frexp(np.where(np.isfinite(deviations), deviations, 0))[1][..., None]
    return exponent
