"""What `linear_fit` gives; public as `mmlfast.linear_model.LinearFit`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mmlfast._common.arrays import as_array, as_float, as_real
from mmlfast._common.bands import Band, quantile
from mmlfast._common.labels import check_columns
from mmlfast.linear_model._records import DEPENDENT, NO_ERRORS, NO_ROWS, NOT_FINITE, OK, Design, fields

Array = np.ndarray[Any, Any]

MESSAGES = {
    OK: "ok",
    NO_ERRORS: "as many rows as coefficients: the curve goes through all of them, and its errors are not known",
    DEPENDENT: "the rows do not determine all coefficients",
    NOT_FINITE: "a row holds NaN or infinity",
    NO_ROWS: "no row counts",
}


# Between these, squares lose nothing.
SMALL, LARGE = 2.0**-400, 2.0**400


class LinearFit:
    """One linear regression, or many of the same kind; `linear_fit` makes it.

    With ``...`` for the axes of a batch (groups and windows are one such axis; of one fit there is none):

    Attributes
    ----------
    coefficients : ndarray, shape (..., k)
        The constant term first, unless ``intercept=False``; then one for each column, or of x, x^2, ...
    covariance : ndarray, shape (..., k, k)
        Their covariance matrix: with ``absolute_sigma`` the inverse of A'WA, else times `reduced_chi_squared`.
    standard_errors : ndarray, shape (..., k)
        The roots of its diagonal. NaN where there are as many rows as coefficients, infinite for coefficients that the
        rows do not determine.
    chi_squared : float or ndarray, shape (...)
        The weighted sum of squares of the residuals, the least that there is.
    dof, reduced_chi_squared
        Rows that count less `rank`; `chi_squared` over that.
    r_squared
        The share of the (weighted) sum of squares about the mean that the fit explains; without an intercept, about 0.
    rank, condition
        How many columns are independent of each other; and the condition number of the columns as they are fitted:
        about their centres, of length one.
    count
        The number of rows that count.
    status : int or ndarray, shape (...)
        0: all is well. 1: as many rows as coefficients. 2: the rows do not determine all coefficients: those of one
        variable are NaN, those of several columns of least norm. 3: NaN or infinity in the rows. 4: no rows. With 3 and
        4 all is NaN.
    message : str or ndarray of str
        The same in words.
    groups : ndarray, shape (n_groups,), or None
        The labels, sorted, of the fits with ``groups=``.
    window_starts : ndarray, shape (n_windows,), or None
        The first row of each window.

    Examples
    --------
    >>> import mmlfast as mf
    >>> mf.linear_model.linear_fit([1, 2, 3, 4], [1, 3, 2, 4])
    LinearFit(0.5 +- 1.2, 0.8 +- 0.42; chi_squared=1.8, dof=2; ok)
    """

    def __init__(
        self,
        record: Array,
        design: Design,
        *,
        absolute_sigma: bool,
        power: int = 0,
        origin: int = 0,
        one_variable: bool = True,
        groups: Array | None = None,
        window_starts: Array | None = None,
        labels: list[Any] | None = None,
    ) -> None:
        self._record, self._design, self._at = record, design, fields(design)
        self._absolute, self._power, self._origin = absolute_sigma, power, origin
        self._one_variable, self._labels = one_variable, labels
        self.groups, self.window_starts = groups, window_starts

    def _number(self, index: int) -> Any:
        value = self._record[..., index]
        return value.item() if value.ndim == 0 else value

    def _count(self, index: int) -> Any:
        value = self._record[..., index].astype(np.int64)
        return value.item() if value.ndim == 0 else value

    @property
    def coefficients(self) -> Array:
        """Constant term first."""
        values: Array = self._record[..., self._at.coefficients]
        return values

    @property
    def chi_squared(self) -> Any:
        """Weighted sum of squares of the residuals."""
        with np.errstate(all="ignore"):
            value = np.ldexp(self._record[..., self._at.chi_squared], -2 * self._power)
        return value.item() if value.ndim == 0 else value

    @property
    def count(self) -> Any:
        """Rows that count."""
        return self._count(self._at.n_rows)

    @property
    def rank(self) -> Any:
        """Columns that are independent of each other."""
        return self._count(self._at.rank)

    @property
    def status(self) -> Any:
        """How it went, as a number."""
        return self._count(self._at.status)

    @property
    def message(self) -> Any:
        """How it went, in words."""
        status = self.status
        if isinstance(status, int):
            return MESSAGES[status]
        words = np.empty(len(MESSAGES), object)
        words[:] = list(MESSAGES.values())
        return words[status]

    @property
    def dof(self) -> Any:
        """Degrees of freedom."""
        return self.count - self.rank

    @property
    def reduced_chi_squared(self) -> Any:
        """`chi_squared` over `dof`; NaN if that is 0."""
        with np.errstate(invalid="ignore", divide="ignore"):
            value = np.where(np.asarray(self.dof) > 0, np.divide(self.chi_squared, self.dof), np.nan)
        return value.item() if value.ndim == 0 else value

    @property
    def r_squared(self) -> Any:
        """Share of the sum of squares that is explained."""
        return self._number(self._at.r_squared)

    @property
    def condition(self) -> Any:
        """Condition number of the columns as they are fitted."""
        v = self._root(False)
        known = np.asarray((np.isfinite(v) & v.any(axis=-1, keepdims=True)).all(axis=(-2, -1)))  # a row may underflow
        v = np.ldexp(v, -np.frexp(np.where(known[..., None], np.abs(v).max(axis=-1), 1))[1][..., None])
        with np.errstate(all="ignore"):
            r = np.linalg.inv(np.where(known[..., None, None], v, np.eye(v.shape[-1])))
            s = np.linalg.svd(r / np.sqrt(np.square(r).sum(axis=-2, keepdims=True)), compute_uv=False)
            value = np.where(known & (self._record[..., self._at.status] < DEPENDENT), s[..., 0] / s[..., -1], np.inf)
        return value.item() if value.ndim == 0 else value

    # ---- errors ----

    @np.errstate(all="ignore")
    def _root(self, shifted: bool) -> Array:
        """V with V V' the inverse of A'WA, of the coefficients about the centre or (shifted) of `coefficients`."""
        k = self._design.n_coefficients
        v = self._record[..., self._at.root].reshape(*self._record.shape[:-1], k, k)
        v = np.ldexp(v, self._power) if self._power else v
        if not shifted or not self._design.intercept:
            return np.asarray(v)
        v = v.copy()
        centre = self._record[..., self._at.centre] + self._origin
        if k == 2:
            v[..., 0, :] -= centre * v[..., 1, :]
        elif self._design.powers:
            for i in range(k - 1):
                for j in range(k - 2, i - 1, -1):
                    v[..., j, :] -= centre[..., :1] * v[..., j + 1, :]
        else:
            v[..., 0, :] -= (centre[..., None] * v[..., 1:, :]).sum(axis=-2)
        return np.asarray(v)

    @np.errstate(all="ignore")
    def _deviation(self) -> Array:
        """Standard deviation of a row of weight 1."""
        if self._absolute:
            return np.ones(self._record.shape[:-1])
        dof = self._record[..., self._at.n_rows] - self._record[..., self._at.rank]
        size = self._record[..., self._at.residual_norm] / np.sqrt(dof)
        size = np.ldexp(size, -self._power) if self._power else size
        return np.asarray(np.where(dof > 0, size, np.nan))

    @property
    @np.errstate(all="ignore")
    def covariance(self) -> Array:
        """Covariance matrix of the coefficients."""
        v = self._root(True)
        free = np.isinf(v).any(axis=-1) | (np.isnan(v).any(axis=-1) & self._least_norm()[..., None])
        v = np.where(free[..., None], 0, v)
        v = v * self._deviation()[..., None, None]
        c = np.einsum("...ie,...je->...ij", v, v)
        c = 0.5 * (c + np.swapaxes(c, -1, -2))
        return np.where(free[..., :, None] | free[..., None, :], np.inf, c)

    def _least_norm(self) -> Array:
        """Fits whose coefficients are known although the rows do not determine them."""
        return np.asarray(
            (self._record[..., self._at.status] == DEPENDENT) & ~np.isnan(self._record[..., self._at.centred.start])
        )

    def _errors_of_one_line(self) -> Array | None:
        """As `standard_errors` has them, to the bit, without arrays; None if these numbers are no ordinary ones."""
        at, record = self._at, self._record.tolist()
        v00, v01, v10, v11 = record[at.root]
        centre, dof = record[at.centre.start] + self._origin, record[at.n_rows] - record[at.rank]
        v00, v01 = v00 - centre * v10, v01 - centre * v11
        first, second = math.sqrt(v00 * v00 + v01 * v01), math.sqrt(v10 * v10 + v11 * v11)
        if not (dof > 0 and SMALL < first < LARGE and SMALL < second < LARGE):
            return None
        deviation = record[at.residual_norm] / math.sqrt(dof)
        return np.array([first * deviation, second * deviation])

    @property
    def standard_errors(self) -> Array:
        """Roots of the diagonal of `covariance`."""
        is_one_line = self._record.ndim == 1 and self._design.n_coefficients == 2 and self._design.intercept
        if is_one_line and not (self._absolute or self._power):
            found = self._errors_of_one_line()
            if found is not None:
                return found
        v, deviation = self._root(True), self._deviation()[..., None]
        with np.errstate(all="ignore"):
            size = np.sqrt(np.square(v).sum(axis=-1))
            errors: Array = size * deviation
            if size.size and size.min() > SMALL and size.max() < LARGE:
                return errors
            free = np.isinf(v).any(axis=-1) | (np.isnan(v).any(axis=-1) & self._least_norm()[..., None])
            unit = np.frexp(np.where(free, 1, np.abs(v).max(axis=-1)))[1]
            size = np.ldexp(np.sqrt(np.square(np.ldexp(v, -unit[..., None])).sum(axis=-1)), unit)
            errors = size * deviation
        return np.where(free, np.inf, errors)

    # ---- straight lines ----

    def _of_line(self, values: Array, index: int, name: str) -> Any:
        if self._design.terms != 1 or (index == 0 and not self._design.intercept):
            raise AttributeError(f"{name} is that of a straight line with an intercept: see coefficients")
        value = values[..., index if self._design.intercept else 0]
        return value.item() if value.ndim == 0 else value

    @property
    def intercept(self) -> Any:
        """The constant term."""
        if not self._design.intercept:
            return 0.0
        value = self.coefficients[..., 0]
        return value.item() if value.ndim == 0 else value

    @property
    def slope(self) -> Any:
        """Of a straight line."""
        return self._of_line(self.coefficients, 1, "slope")

    @property
    def intercept_error(self) -> Any:
        """Standard error of the constant term."""
        if not self._design.intercept:
            return 0.0
        value = self.standard_errors[..., 0]
        return value.item() if value.ndim == 0 else value

    @property
    def slope_error(self) -> Any:
        """Standard error of the slope of a straight line."""
        return self._of_line(self.standard_errors, 1, "slope_error")

    # ---- other points ----

    @np.errstate(all="ignore")
    def _points(self, x: Any) -> tuple[Array, bool]:
        """Columns (..., m, terms + 1) about the centres; whether there is one point without an axis of its own."""
        batch = self._record.shape[:-1]
        z = np.asarray(self._less_origin(x), order="C")  # the same bits in every layout
        p = self._design.terms
        if not self._one_variable and (z.ndim == 0 or z.shape[-1] != p):
            raise ValueError(f"predict: x must have the {p} columns of the fit, got shape {np.shape(x)}")
        if not self._one_variable:
            check_columns("predict", self._labels, x, p)
        alone = z.ndim == (0 if self._one_variable else 1)
        z = z[None] if alone else z
        if self._one_variable:
            z = (z.reshape(-1) if not batch else z)[..., None]
        z = z - self._record[..., None, self._at.centre][..., : z.shape[-1]] if self._design.terms else z[..., :0]
        if self._design.powers and self._design.terms > 1:
            z = z ** np.arange(1, self._design.terms + 1)
        if self._design.intercept:
            z = np.concatenate([np.ones((*z.shape[:-1], 1)), z], axis=-1)
        return z, alone

    def _less_origin(self, x: Any) -> Array:
        """Points as float64, less the origin of integers that float64 does not hold."""
        if self._origin == 0:
            return as_float(x, "x").astype(np.float64, copy=False)
        points = as_array(x, "x")
        if points.dtype.kind in "iu":
            return np.asarray([int(v) - self._origin for v in points.reshape(-1)], np.float64).reshape(points.shape)
        high = float(self._origin)
        return (as_float(points, "x") - high) - float(self._origin - int(high))

    def _as_given(self, values: Array, x: Any, alone: bool) -> Any:
        if alone:
            values = values[..., 0]
        elif self._one_variable and not self._record.shape[:-1]:
            values = values.reshape(np.shape(x))
        return values.item() if values.ndim == 0 else values

    def predict(self, x: ArrayLike) -> Any:
        """The fitted values at other points.

        Parameters
        ----------
        x : array_like, shape (m,) or (m, p)
            Points; the same for all fits of a batch, or with the axes of the batch before their own.

        Returns
        -------
        ndarray, shape (..., m), or a number for a single point
            About the centre of the rows, where no digits are lost, not by `coefficients`.
        """
        z, alone = self._points(x)
        values = np.einsum("...mk,...k->...m", z, self._record[..., self._at.centred])
        return self._as_given(values, x, alone)

    def confidence_band(self, x: ArrayLike, level: float = 0.95) -> Band:
        """Limits for the fitted curve: between them is, at each point by itself, the true one with this probability.

        Parameters
        ----------
        x : array_like
            As for `predict`.
        level : float
            Between 0 and 1.

        Returns
        -------
        Band
            ``low`` and ``high``, of the shape that `predict` gives; NaN where errors are not known.
        """
        return self._band(x, level, None)

    def prediction_band(self, x: ArrayLike, level: float = 0.95, *, sigma: float = 1.0) -> Band:
        """Limits for a new observation.

        Parameters
        ----------
        x, level : array_like, float
            As for `confidence_band`.
        sigma : float
            The error of the new observation in the unit of `sigma` of the fit: 1 is that of a row of weight 1.

        Returns
        -------
        Band
            ``low`` and ``high``, of the shape that `predict` gives.
        """
        return self._band(x, level, as_real(sigma, "prediction_band: sigma"))

    @np.errstate(all="ignore")
    def _band(self, x: Any, level: float, sigma: float | None) -> Band:
        z, alone = self._points(x)
        dof = np.asarray(self.dof, np.float64)
        known = dof >= 0 if self._absolute else dof > 0
        errors = np.where(known, quantile(level, dof, self._absolute), np.nan)
        v = self._root(False)
        v = np.where(np.isinf(v), np.nan, v)
        square = np.square(z @ v).sum(axis=-1) + (0.0 if sigma is None else sigma * sigma)
        half = errors[..., None] * np.sqrt(square) * self._deviation()[..., None]
        middle = np.einsum("...mk,...k->...m", z, self._record[..., self._at.centred])
        return Band(self._as_given(middle - half, x, alone), self._as_given(middle + half, x, alone))

    def __repr__(self) -> str:
        batch = self._record.shape[:-1]
        if batch:
            fits = f"{len(self.groups)} groups" if self.groups is not None else f"fits {batch}"
            return f"LinearFit({fits}, {self._design.n_coefficients} coefficients each)"
        pairs = zip(self.coefficients, self.standard_errors, strict=True)
        shown = ", ".join(f"{c:.6g} +- {e:.2g}" for c, e in pairs)
        return f"LinearFit({shown}; chi_squared={self.chi_squared:.6g}, dof={self.dof}; {self.message})"
