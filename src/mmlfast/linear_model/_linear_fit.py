"""Linear regression with errors; public as `mmlfast.linear_model.linear_fit`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.exceptions import RankWarning
from numpy.typing import ArrayLike

from mmlfast._common.arrays import as_integer, as_real
from mmlfast._common.errors import warn_caller
from mmlfast._common.groups import Groups, group_rows
from mmlfast._common.labels import check_columns
from mmlfast.linear_model._correlated_errors import correlated_record
from mmlfast.linear_model._exceptional_fits import least_norm_record, long_record
from mmlfast.linear_model._fit_data import FitData, fit_data
from mmlfast.linear_model._fit_result import LinearFit
from mmlfast.linear_model._records import DEPENDENT, Design, Table, Windows, fields, records

Array = np.ndarray[Any, Any]


def linear_fit(
    x: ArrayLike,
    y: ArrayLike,
    *,
    degree: int | None = None,
    weights: ArrayLike | None = None,
    sigma: ArrayLike | None = None,
    absolute_sigma: bool = False,
    intercept: bool = True,
    groups: Any = None,
    window: int | None = None,
    step: int = 1,
    nan_policy: str = "propagate",
    rcond: float | None = None,
) -> LinearFit:
    """Straight lines, polynomials and linear combinations of columns by least squares, with their errors.

    Parameters
    ----------
    x : array_like, shape (n,), (..., n) or (..., n, p)
        One variable, or, with one axis more than `y`, columns. Integers beyond 2**53 (nanoseconds) are taken exactly
        for a straight line.
    y : array_like, shape (..., n)
        What depends on them, float32 or float64; leading axes are fits of a batch, and broadcast with those of `x`.
    degree : int, optional
        A polynomial of one variable: coefficients of 1, x, ..., x^degree. Its powers are formed about the centre of x,
        and with twice the digits.
    weights : array_like, shape (..., n), optional
        What each square counts. A row of weight 0 is not there: not in the errors, not in `dof`, even if it holds NaN.
    sigma : array_like, shape (..., n) or (n, n), optional
        Instead of weights, the standard errors of `y` (weights ``1 / sigma**2``; infinite: the row is not there), or
        the covariance matrix of its errors.
    absolute_sigma : bool
        Whether `sigma` is in the unit of `y`, or only up to a factor, which the residuals then tell.
    intercept : bool
        Whether there is a constant term. Then the columns are taken about their centres.
    groups : array_like, shape (n,), optional
        A label for each row, in any order (integers, text, dates, categories, ...): a fit for each label.
    window, step : int, optional
        A fit for each `window` rows one after the other, starting at rows 0, step, 2 step, ...
    nan_policy : {"propagate", "raise", "omit"}
        What to do about NaN in rows of positive weight: the fits that have one are NaN; `ValueError`; leave the rows
        out (and what a mask hides, and rows without a label).
    rcond : float, optional
        Columns nearer than this to the span of the others, relative to their length about the centre, count as
        dependent on them. By default, nearer than rounding may have brought them: from 16 u on, u being 2**-53.

    Returns
    -------
    LinearFit
        ``coefficients``, ``standard_errors``, ``covariance``, ``chi_squared``, ``reduced_chi_squared``, ``dof``,
        ``r_squared``, ``rank``, ``condition``, ``status``, ``groups``; ``predict(x)``, ``confidence_band(x)``,
        ``prediction_band(x)``; of a straight line ``slope``, ``intercept`` and their ``slope_error``,
        ``intercept_error``. float64, also for float32 data.

    Raises
    ------
    ValueError
        If shapes or labels do not fit together, or a weight or sigma has no meaning.
    TypeError
        If the numbers are complex or no numbers at all, integers that float64 would round, or masked.

    Warns
    -----
    numpy.exceptions.RankWarning
        If the rows do not determine the coefficients of a single fit. Of many fits, `status` says which.

    See Also
    --------
    LinearRegression : the same as an estimator, with scikit-learn's interface.
    mmlfast.linalg.lstsq : least squares without statistics.

    Notes
    -----
    Columns are centred and scaled by powers of two, without an error; QR gives a first solution, and refinement with
    residuals in twice the digits [1]_ the exact one of the numbers as they are, to the last digits. So neither units
    nor time stamps matter. Each group, each window and each item of a batch has the bits that it has alone: there are
    no running sums that a spike could spoil.

    References
    ----------
    .. [1] A. Bjorck, Iterative refinement of linear least squares solutions, BIT 7 (1967) 257-278.

    Examples
    --------
    >>> import numpy as np
    >>> import mmlfast as mf
    >>> t = 1.7e9 + 60 * np.arange(5.0)
    >>> fit = mf.linear_model.linear_fit(t, [2.0, 2.9, 4.1, 5.0, 6.1])
    >>> round(fit.slope * 60, 12), round(fit.slope_error * 60, 4)
    (1.03, 0.0252)
    >>> low, high = fit.prediction_band(1.7e9 + 300)
    >>> round(low, 2), round(high, 2)
    (6.74, 7.48)
    >>> by_label = mf.linear_model.linear_fit([0, 1, 0, 2.0], [1, 5, 3, 9.0], groups=["b", "a", "a", "b"])
    >>> by_label.groups.tolist(), by_label.slope.tolist()
    (['a', 'b'], [2.0, 4.0])
    """
    data = fit_data(x, y, degree, weights, sigma, groups, nan_policy, bool(intercept))
    omit = nan_policy == "omit"
    of_rows = _rows(data, groups, window, step, omit)
    least = 0.0 if rcond is None else as_real(rcond, "linear_fit: rcond")
    if rcond is not None and not 0 < least < 1:
        raise ValueError(f"linear_fit: rcond must be between 0 and 1, got {rcond}")
    if data.covariance is None:
        found = records(
            data.table,
            data.design,
            of_rows,
            omit=omit,
            least_distance=least,
            long_record=long_record,
            least_norm_record=least_norm_record,
        )
    else:
        if of_rows is not None:
            raise ValueError(
                "linear_fit: a covariance matrix sigma is of all rows: groups and window take errors of rows"
            )
        found = correlated_record(data.table, data.covariance, data.design, omit=omit, least_distance=least)[None]
    batch = data.batch if of_rows is None else (len(found),)
    found = found.reshape(*batch, found.shape[-1])
    if data.origin:
        _move_origin(found, data)
    if not batch and found[fields(data.design).status] == DEPENDENT:
        _warn(found, data.design)
    return LinearFit(
        found,
        data.design,
        absolute_sigma=bool(absolute_sigma),
        power=data.power,
        origin=data.origin,
        one_variable=data.one_variable,
        groups=of_rows.labels if isinstance(of_rows, Groups) else None,
        window_starts=np.arange(of_rows.n_fits) * of_rows.step if isinstance(of_rows, Windows) else None,
        labels=None if data.one_variable else check_columns("linear_fit", None, x, data.design.terms),
    )


def _rows(data: FitData, groups: Any, window: Any, step: Any, omit: bool) -> Groups | Windows | None:
    """Which rows make a fit, if not all."""
    every = as_integer(step, "linear_fit: step", 1)
    if window is None and every != 1:
        raise ValueError(f"linear_fit: step={every} is that of windows: give window= too")
    if groups is None and window is None:
        return None
    table: Table = data.table
    if groups is not None and window is not None:
        raise ValueError(
            "linear_fit: groups and window exclude each other: fit the windows of each group by themselves"
        )
    if data.batch:
        raise ValueError(
            f"linear_fit: with groups or window, x and y are one table, y of shape (n,); got y of shape {table.y.shape}"
        )
    n = len(table.y)
    if groups is not None:
        return group_rows("linear_fit", groups, n, omit=omit)
    length = as_integer(window, "linear_fit: window", 1)
    if length > n:
        raise ValueError(f"linear_fit: window={length} is longer than the {n} rows of x and y")
    return Windows(length, every, (n - length) // every + 1)


def _move_origin(found: Array, data: FitData) -> None:
    """Of a straight line, the intercept at 0 from that at the origin."""
    at = fields(data.design)
    high = float(data.origin)
    slope = found[..., at.centred.start + 1]
    near = found[..., at.centred.start] - slope * (found[..., at.centre.start] + float(data.origin - int(high)))
    found[..., 0] = near - slope * high


def _warn(found: Array, design: Design) -> None:
    rank, count = int(found[fields(design).rank]), int(found[fields(design).n_rows])
    what = "least-norm coefficients of the columns" if design.terms > 1 and not design.powers else "NaN"
    warn_caller(
        f"linear_fit: {count} rows determine {rank} of {design.n_coefficients} coefficients; these are {what}",
        RankWarning,
    )
