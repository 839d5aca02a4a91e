"""Principal component analysis of a table in chunks; public as `mmlfast.dask.pca`."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from mmlfast.dask._engine import survive
from mmlfast.dask._table import Table, moments_of
from mmlfast.decomposition._small_components import centred_singular_values, scores_factor
from mmlfast.linalg._rfactor import RFactor

Array = np.ndarray[Any, Any]


def pca(x: Any, n_components: Any = None, *, whiten: bool = False) -> Any:
    """Fit a `mmlfast.decomposition.PCA` to the rows of a Dask array.

    Parameters
    ----------
    x : dask.array.Array, shape (n, d)
        Samples in rows, in any chunks.
    n_components : int, float, "mle" or None
        How many components to keep, as in `mmlfast.decomposition.PCA`.
    whiten : bool
        Whether `transform` divides each score by its standard deviation.

    Returns
    -------
    mmlfast.decomposition.PCA
        Fitted. ``x.map_blocks(result.transform, dtype=x.dtype, chunks=(x.chunks[0], (k,)))`` gives the scores of the
        rows without bringing them together.

    Raises
    ------
    ImportError, TypeError
        As `covariance` does.
    ValueError
        If the number of components does not fit, or there is NaN or infinity.

    Notes
    -----
    One pass over the chunks, in which each is reduced to its moments, and moments are merged in a tree. If components
    are so small that moments do not give them to 1e-12 of themselves, there is a second pass for these, in which the R
    factors of their scores are merged; `n_readings_` says so. A worker that is lost costs the time to compute its
    chunks again. The matrix of d x d moments has to fit in the memory of a worker.

    Examples
    --------
    >>> import dask.array as da
    >>> import mmlfast as mf
    >>> x = da.from_array([[-1.0, -1], [-2, -1], [-3, -2], [1, 1], [2, 1], [3, 2]], chunks=(2, 2))
    >>> mf.dask.pca(x, 1).explained_variance_ratio_.round(4)
    array([0.9924])
    """
    from mmlfast.decomposition._pca import PCA

    table = Table("pca", "x", x)
    model = PCA(n_components, whiten=whiten)
    model._check_parameters()
    compute = table.dask.compute
    (moments,) = survive(lambda: compute(table.reduced(moments_of)))

    def refine(shift: Array, directions: Array) -> tuple[Array, Array]:
        leaf = partial(_scores_factor, shift=shift, directions=directions)
        (factor,) = survive(lambda: compute(table.reduced(leaf)))
        return centred_singular_values(factor)

    model._check_shape(moments)
    model._fit_moments(moments, refine, table.dtype)
    return model


def _scores_factor(block: Any, shift: Array, directions: Array) -> RFactor:
    return scores_factor([np.asarray(block)], shift, directions)
