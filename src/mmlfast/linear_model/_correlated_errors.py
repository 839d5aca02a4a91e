"""Fits of y whose errors have a covariance matrix."""

from __future__ import annotations

from typing import Any

import numpy as np

from mmlfast.linear_model._exceptional_fits import Centred, least_norm_record, long_record, total_square
from mmlfast.linear_model._records import NOT_FINITE, Design, Table, fields, nothing, records

Array = np.ndarray[Any, Any]


def correlated_record(table: Table, covariance: Array, design: Design, *, omit: bool, least_distance: float) -> Array:
    """The record of one fit: of columns and y times the inverse of the Cholesky factor, which are not correlated."""
    if omit:
        kept = ~(np.isnan(table.y) | np.isnan(table.x).any(axis=1) | np.isnan(covariance).all(axis=1))
        table, covariance = table.rows(0, kept), covariance[np.ix_(kept, kept)]
    factor, unit = _factor(covariance)
    if not (np.isfinite(table.x).all() and np.isfinite(table.y).all()):
        return nothing(design, len(table.y), NOT_FINITE)
    import scipy.linalg

    here, k = Centred(table, design), design.n_coefficients
    a = scipy.linalg.solve_triangular(factor, here.columns(), lower=True, check_finite=False)
    plain = Design(k, k, False, False)
    found = records(
        Table(a[:, :k], a[:, k], None),
        plain,
        None,
        omit=False,
        least_distance=least_distance,
        long_record=long_record,
        least_norm_record=least_norm_record,
    )[0]
    of, at = fields(plain), fields(design)
    c, root = found[of.coefficients], found[of.root].reshape(k, k)
    record = here.record(c, np.zeros(k), root, found[of.chi_squared], total_square(a, design), int(found[of.rank]))
    record[at.status] = found[of.status]
    record[at.root] *= unit
    record[at.chi_squared] /= unit * unit
    record[at.residual_norm] /= unit
    return record


def _factor(covariance: Array) -> tuple[Array, float]:
    """The lower Cholesky factor of a covariance matrix over the square of a power of two, and this power."""
    diagonal = np.diagonal(covariance)
    if not np.isfinite(covariance).all():
        raise ValueError("linear_fit: the covariance matrix sigma holds NaN or infinity")
    if not (diagonal > 0).all():
        raise ValueError(f"linear_fit: the variance sigma[{int(np.argmin(diagonal))}, same] is not positive")
    size = np.sqrt(diagonal)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        correlation = covariance / size / size[:, None]
    if not (np.abs(correlation - correlation.T) <= 1e-10).all():
        i, j = (int(v) for v in np.argwhere(~(np.abs(correlation - correlation.T) <= 1e-10))[0])
        raise ValueError(
            f"linear_fit: the covariance matrix sigma is not symmetric: sigma[{i}, {j}] is {covariance[i, j]}, "
            f"sigma[{j}, {i}] is {covariance[j, i]}"
        )
    try:
        factor = np.linalg.cholesky(correlation)
    except np.linalg.LinAlgError:
        raise ValueError(
            "linear_fit: the covariance matrix sigma is not positive definite: some combination of errors has no spread"
        ) from None
    unit = float(np.ldexp(1.0, int(np.frexp(size.max())[1])))
    return factor * (size / unit)[:, None], unit
