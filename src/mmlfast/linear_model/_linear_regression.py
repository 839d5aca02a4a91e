"""Linear regression as an estimator; public as `mmlfast.linear_model.LinearRegression`."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from mmlfast._common.arrays import as_array, as_float, as_real
from mmlfast._common.estimator import BaseEstimator, RegressorMixin, check_is_fitted, validate_rows
from mmlfast._common.weights import check_weights
from mmlfast.linalg._lstsq import lstsq
from mmlfast.linalg._svd import svdvals
from mmlfast.linear_model._exceptional_fits import Centred, least_norm_record, long_record
from mmlfast.linear_model._records import DEPENDENT, Design, Table, fields, records

Array = np.ndarray[Any, Any]

# More columns than these, or more targets, go through QR of all targets at once, by matrix products.
MOST_COLUMNS, MOST_TARGETS = 256, 8


class LinearRegression(RegressorMixin, BaseEstimator):
    """Ordinary least squares with scikit-learn's interface, and coefficients that are right to the last digits.

    Parameters
    ----------
    fit_intercept : bool
        Whether there is a constant term.
    copy_X : bool
        Not used: the rows are never written to.
    tol : float, optional
        Columns nearer than this to the span of the others, relative to their length about the mean, count as dependent
        on them. By default (scikit-learn's is 1e-6), nearer than rounding may have brought them.
    n_jobs : int, optional
        Not used: threads are those of `mmlfast.set_num_threads`.
    positive : bool
        Whether the coefficients must not be negative.

    Attributes
    ----------
    coef_ : ndarray, shape (n_features,) or (n_targets, n_features)
        Of columns that depend on each other, those of least norm.
    intercept_ : float or ndarray, shape (n_targets,)
    rank_ : int
        How many columns are independent of each other, the constant one apart.
    singular_ : ndarray, shape (min(n_samples, n_features),)
        Singular values of the (centred, weighted) columns.
    n_features_in_ : int

    See Also
    --------
    linear_fit : standard errors, polynomials, batches, groups, windows.

    Notes
    -----
    As `linear_fit`: columns about their means, QR or sums of products, and refinement with residuals in twice the
    digits; float32 rows are fitted as the float64 numbers that they are. More than 256 columns, or 8 targets: QR only.
    Sparse matrices are refused.

    Examples
    --------
    >>> import numpy as np
    >>> import mmlfast as mf
    >>> X = np.array([[1.0, 1], [1, 2], [2, 2], [2, 3]])
    >>> model = mf.linear_model.LinearRegression().fit(X, X @ [1, 2] + 3)
    >>> model.coef_.round(12), round(model.intercept_, 12)
    (array([1., 2.]), 3.0)
    >>> model.predict([[3, 5]]).round(12)
    array([16.])
    """

    def __init__(
        self,
        *,
        fit_intercept: bool = True,
        copy_X: bool = True,
        tol: float | None = None,
        n_jobs: int | None = None,
        positive: bool = False,
    ) -> None:
        self.fit_intercept = fit_intercept
        self.copy_X = copy_X
        self.tol = tol
        self.n_jobs = n_jobs
        self.positive = positive

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Find the coefficients.

        Parameters
        ----------
        X : array_like, shape (n, n_features)
            Samples in rows, float32 or float64.
        y : array_like, shape (n,) or (n, n_targets)
            What to predict.
        sample_weight : array_like, shape (n,), or a number, optional
            What each square counts; a row of weight 0 is not there.

        Returns
        -------
        LinearRegression
            The object itself.

        Raises
        ------
        ValueError
            If shapes do not fit, or there is NaN or infinity.
        TypeError
            If the numbers are complex or no numbers at all, or the matrix is sparse.
        """
        rows = validate_rows(self, X, reset=True)
        targets = _targets(y, len(rows))
        weights = None
        if sample_weight is not None:
            given = as_array(sample_weight, "sample_weight")
            given = np.broadcast_to(given, (len(rows),)) if given.ndim == 0 else given
            weights = check_weights("LinearRegression", given, rows.shape[:1], "sample_weight")
            if not weights.any():
                raise ValueError("LinearRegression: every sample_weight is zero: there is nothing to fit")
        least = 0.0 if self.tol is None else as_real(self.tol, "tol")
        if not 0 <= least < 1:
            raise ValueError(f"LinearRegression: tol must be between 0 and 1, got {self.tol}")
        single = rows.dtype == np.float32 and targets.dtype == np.float32
        columns = targets[:, None] if targets.ndim == 1 else targets
        intercept, slopes = self._solve(rows, columns, weights, least)
        dtype = np.float32 if single else np.float64
        self.coef_ = (slopes[0] if targets.ndim == 1 else slopes).astype(dtype)
        self.intercept_: Any = float(intercept[0]) if targets.ndim == 1 else intercept.astype(dtype)
        if not self.fit_intercept:
            self.intercept_ = 0.0
        return self

    def _solve(self, rows: Array, columns: Array, weights: Array | None, least: float) -> tuple[Array, Array]:
        """Intercepts and coefficients of all targets; sets `rank_` and `singular_`."""
        design = Design(rows.shape[1], rows.shape[1], False, bool(self.fit_intercept))
        x, y = (np.require(a, np.result_type(rows, columns), "A") for a in (rows, columns))
        table = Table(x, np.ascontiguousarray(y.T), weights)
        if design.terms > MOST_COLUMNS or len(table.y) > MOST_TARGETS or self.positive:
            return self._solve_at_once(table, design, least)
        found = records(
            table,
            design,
            None,
            omit=False,
            least_distance=least,
            long_record=long_record,
            least_norm_record=least_norm_record,
        )
        at, own = fields(design), int(design.intercept)
        if design.terms == 1:  # a line through one x is none, but an estimator predicts its mean
            for target in np.flatnonzero(found[:, at.status] == DEPENDENT):
                found[target] = least_norm_record(table.rows(target, slice(None)), design, least)
        k = design.n_coefficients
        self.rank_ = int(found[0, at.rank]) - own
        root = found[0, at.root].reshape(k, k)[own:, own:]
        self.singular_ = (
            svdvals(np.linalg.inv(root))
            if found[0, at.status] < DEPENDENT
            else svdvals(_weighted(Centred(table.rows(0, slice(None)), design))[0])
        )
        c = found[:, at.coefficients]
        return (c[:, 0] if own else np.zeros(len(c))), c[:, own:]

    def _solve_at_once(self, table: Table, design: Design, least: float) -> tuple[Array, Array]:
        x, y, w = table
        parts = [_weighted(Centred(Table(x, one, w), design)) for one in y]
        a, centre = parts[0][0], parts[0][2]
        right = np.stack([part[1] for part in parts], axis=1)
        if self.positive:
            import scipy.optimize

            slopes = np.stack([scipy.optimize.nnls(a, one)[0] for one in right.T])
            self.rank_ = int(np.linalg.matrix_rank(a))
        else:
            found = lstsq(a, right, rcond=least if least > 0 else None)
            slopes, self.rank_ = found.x.T, int(found.rank)
        self.singular_ = svdvals(a)
        intercept = np.array([part[3] for part in parts]) - slopes @ centre
        return (intercept if design.intercept else np.zeros(len(y))), slopes

    @np.errstate(all="ignore")
    def predict(self, X: Any) -> Array:
        """The predictions for rows.

        Parameters
        ----------
        X : array_like, shape (n, n_features)
            Samples in rows.

        Returns
        -------
        ndarray, shape (n,) or (n, n_targets)
        """
        check_is_fitted(self)
        rows = np.ascontiguousarray(validate_rows(self, X, reset=False))  # the same bits in every layout
        return np.asarray(rows @ self.coef_.T + self.intercept_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _targets(y: Any, n: int) -> Array:
    if y is None:
        raise ValueError("LinearRegression requires y to be passed, but the target y is None")
    try:
        targets = as_float(y, "y")
    except TypeError as error:
        raise TypeError(f"{error} (Unknown label type)") from None
    if targets.ndim not in (1, 2):
        raise ValueError(f"y must have shape (n,) or (n, n_targets), got {targets.shape}")
    if len(targets) != n:
        raise ValueError(f"X and y must have as many rows: inconsistent numbers of samples: {[n, len(targets)]}")
    if not np.isfinite(targets).all():
        raise ValueError("Input y contains NaN or infinity.")
    return targets


def _weighted(here: Centred) -> tuple[Array, Array, Array, float]:
    """Columns and y about their weighted means, in their own units, rows times the roots of weights; and the means."""
    a = here.columns()
    own, k = int(here.design.intercept), here.design.n_coefficients
    columns, y = a[:, own:k], a[:, k]
    exponents = here.exponents().astype(np.int64)
    about, middle = np.zeros(columns.shape[1]), 0.0
    if own:
        share = a[:, 0] / (a[:, 0] @ a[:, 0])
        about, middle = share @ columns, float(share @ y)
        columns, y = columns - a[:, :1] * about, y - a[:, 0] * middle
    unit, half = int(here.y_exponent), int(here.weight_exponent) // 2
    centre, middle = np.ldexp(here.centre + about, exponents), float(np.ldexp(middle + here.y_centre, unit))
    return np.ldexp(columns, exponents + half), np.ldexp(y, unit + half), centre, middle
