"""What a fit says: parameters, errors, how good it is, and bands."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from mmlfast._common.bands import Band, quantile
from mmlfast.optimize._fit_covariance import Spread, spread
from mmlfast.optimize._fit_model import Curve

Array = np.ndarray[Any, Any]


class Outcome:
    """What the solver and the data leave behind, from which all of the result is made when it is asked for."""

    __slots__ = (
        "_full_rank",
        "_spread",
        "absolute_sigma",
        "active",
        "curve",
        "derivatives",
        "factor",
        "free",
        "n",
        "n_evaluations",
        "n_jacobians",
        "names",
        "residuals",
        "scaled_chi_squared",
        "sigma",
        "status",
        "unit",
        "why",
    )

    def __init__(
        self,
        curve: Curve,
        names: tuple[str, ...],
        free: tuple[int, ...],
        factor: tuple[Array, Array, Array, float],  # arguments of `spread`
        full_rank: int | None,  # if it is known without a look
        chi_squared: float,  # of residuals times `unit`
        unit: float,
        n: int,  # points
        absolute_sigma: bool,
        sigma: Any,
        residuals: Array,
        active: Array,  # of the free parameters
        status: int,
        why: str,
        derivatives: str,
        n_evaluations: int,
        n_jacobians: int,
    ) -> None:
        self.curve, self.names, self.free, self.factor, self._full_rank = curve, names, free, factor, full_rank
        self.scaled_chi_squared, self.unit, self.n, self.sigma = chi_squared, unit, n, sigma
        self.absolute_sigma, self.residuals, self.active, self.status, self.why = (
            absolute_sigma,
            residuals,
            active,
            status,
            why,
        )
        self.derivatives, self.n_evaluations, self.n_jacobians = derivatives, n_evaluations, n_jacobians
        self._spread: Spread | None = None

    @property
    def spread(self) -> Spread:
        if self._spread is None:
            self._spread = spread(*self.factor)
        return self._spread

    @property
    def rank(self) -> int:
        return self.spread.rank if self._full_rank is None else self._full_rank

    @property
    def dof(self) -> int:
        return self.n - self.rank

    @property
    def chi_squared(self) -> float:
        return self.scaled_chi_squared / self.unit / self.unit

    @property
    def variance(self) -> float:
        """The square of what `spread` takes for an error of 1."""
        if self.absolute_sigma:
            return self.unit * self.unit  # a square may leave the range: inf
        return self.scaled_chi_squared / self.dof if self.dof > 0 else np.inf

    @property
    def noise(self) -> float:
        """What the squares of sigma are to be multiplied by to be variances."""
        return 1.0 if self.absolute_sigma else self.variance / self.unit / self.unit

    def covariance(self) -> Array:
        """Of the free parameters."""
        if self.dof <= 0 and not self.absolute_sigma:
            return np.full((len(self.free), len(self.free)), np.inf)
        return self.spread.covariance(self.variance)

    @property
    def message(self) -> str:
        message = _MESSAGES.get(self.status, f"status {self.status}")
        return f"{message}; {self.why}" if self.why else message


_MESSAGES = {
    1: "the residuals are at right angles to all derivatives, to rounding",
    2: "no step makes the sum of squares smaller by more than rounding",
    -3: "no step makes the sum of squares smaller: the model is no smoother",
    3: "steps are smaller than the rounding of the parameters",
}


class CurveFit(tuple[Any, ...]):
    """The result of `curve_fit`: unpacks as ``popt, pcov``, and knows everything else about the fit.

    Attributes
    ----------
    params : ndarray
        The parameters in the order of the signature, also those that were fixed. ``fit["a"]`` is the one called a.
    covariance : ndarray
        Their covariance: inf for parameters that the data do not determine, NaN for those that a bound holds, 0 for
        fixed ones.
    standard_errors : ndarray
        The square roots of its diagonal.
    names : tuple of str
    chi_squared, reduced_chi_squared : float
        The sum of the squared weighted residuals (of a robust loss, of the loss), and that divided by `dof`.
    dof : int
        Points that count less parameters that the data determine.
    rank : int
        How many combinations of the free parameters the data determine.
    condition : float
        Of the Jacobian with columns of length one: 1 is best, 1e8 leaves half of the digits, inf determines too little.
    correlation : ndarray
        Of the parameters; NaN where there is no error.
    active : ndarray of int
        -1 and 1 for parameters that stop at their lower and upper bound, else 0.
    fixed : ndarray of bool
    residuals : ndarray
        (model - y) / sigma of the points that count.
    status, message : int and str
        Why the search ended.
    derivatives : str
        "exact" (the model was traced), "given" or "finite differences".
    n_evaluations, n_jacobians : int

    Examples
    --------
    >>> import numpy as np
    >>> from mmlfast.optimize import curve_fit
    >>> x = np.arange(6.0)
    >>> fit = curve_fit(lambda x, a, b: a + b * x, x, [1.1, 2.9, 5.0, 7.1, 8.9, 11.1])
    >>> round(float(fit["b"]), 4), fit.dof
    (2.0029, 4)
    >>> low, high = fit.confidence_band(x)
    """

    _source: Any

    def __new__(cls, items: Sequence[Any], source: Any) -> CurveFit:
        self = super().__new__(cls, items)
        self._source = source  # an Outcome, or (what makes one, of what)
        return self

    @property
    def _outcome(self) -> Outcome:
        if type(self._source) is not Outcome:
            maker, *found = self._source
            self._source = maker.outcome(*found)
        outcome: Outcome = self._source
        return outcome

    @property
    def params(self) -> Array:
        params: Array = super().__getitem__(0)
        return params

    @property
    def covariance(self) -> Array:
        covariance: Array = super().__getitem__(1)
        return covariance

    def __getitem__(self, key: Any) -> Any:
        """By number as of a tuple, by name the value of a parameter."""
        if isinstance(key, str):
            try:
                return self.params[self.names.index(key)]
            except ValueError:
                raise KeyError(f"{key!r} is no parameter of the fit; its parameters: {', '.join(self.names)}") from None
        return super().__getitem__(key)

    def __reduce__(self) -> Any:
        return _restored, (tuple(self), self._outcome)

    @property
    def names(self) -> tuple[str, ...]:
        return self._outcome.names

    @property
    def by_name(self) -> dict[str, float]:
        """The parameters in a dictionary."""
        return dict(zip(self.names, map(float, self.params), strict=True))

    @functools.cached_property
    def standard_errors(self) -> Array:
        return np.asarray(np.sqrt(np.diagonal(self.covariance)))

    @functools.cached_property
    def correlation(self) -> Array:
        errors = self.standard_errors
        with np.errstate(all="ignore"):
            out = self.covariance / errors / errors[:, None]
            np.fill_diagonal(out, np.where(np.isfinite(errors) & (errors > 0), 1.0, np.nan))
        return np.clip(out, -1.0, 1.0)

    @property
    def chi_squared(self) -> float:
        return self._outcome.chi_squared

    @property
    def dof(self) -> int:
        return self._outcome.dof

    @property
    def reduced_chi_squared(self) -> float:
        return self.chi_squared / self.dof if self.dof > 0 else np.nan

    @property
    def rank(self) -> int:
        return self._outcome.rank

    @property
    def condition(self) -> float:
        return self._outcome.spread.condition

    @property
    def active(self) -> Array:
        return np.asarray(_among_all(self._outcome, self._outcome.active, 0))

    @property
    def fixed(self) -> Array:
        return np.asarray(_among_all(self._outcome, np.zeros(len(self._outcome.free), bool), True))

    @property
    def residuals(self) -> Array:
        return self._outcome.residuals

    @property
    def status(self) -> int:
        return self._outcome.status

    @property
    def message(self) -> str:
        return self._outcome.message

    @property
    def derivatives(self) -> str:
        return self._outcome.derivatives

    @property
    def n_evaluations(self) -> int:
        return self._outcome.n_evaluations

    @property
    def n_jacobians(self) -> int:
        return self._outcome.n_jacobians

    # ---- curves ----

    def predict(self, x: Any) -> Any:
        """The model with the parameters of the fit.

        Parameters
        ----------
        x : array-like
            As in `curve_fit`.

        Returns
        -------
        ndarray
        """
        return self._outcome.curve.values(x, self.params)

    def confidence_band(self, x: Any, level: float = 0.95) -> Band:
        """Where the curve of the model runs: at each x it is within the band with this probability.

        To first order in the errors of the parameters.

        Parameters
        ----------
        x : array-like
        level : float
            The probability.

        Returns
        -------
        Band
            ``low`` and ``high``, of the shape of what the model gives.
        """
        centre, variance = self._variances(x)
        return _band(centre, np.sqrt(variance), self._quantile(level))

    def prediction_band(self, x: Any, level: float = 0.95, *, sigma: Any = None) -> Band:
        """Where a new measurement falls with this probability: the confidence band and the error of the measurement.

        Parameters
        ----------
        x : array-like
        level : float
            The probability.
        sigma : float or array-like, optional
            The error of the new measurement, in the units of the sigma of the fit (of which `reduced_chi_squared`
            makes errors unless `absolute_sigma` was said). Needed only if the points of the fit had different ones.

        Returns
        -------
        Band
        """
        centre, variance = self._variances(x)
        if sigma is None:
            sigma = _common_sigma(self._outcome.sigma)
        errors = np.asarray(sigma, np.float64)
        if np.any(errors < 0):
            raise ValueError("sigma must be positive")
        return _band(centre, np.sqrt(variance + self._outcome.noise * errors**2), self._quantile(level))

    def _variances(self, x: Any) -> tuple[Array, Array]:
        centre, slopes = self._outcome.curve.values_and_slopes(x, self.params)
        return centre, self._outcome.spread.variances_of(slopes, self._outcome.variance).reshape(centre.shape)

    def _quantile(self, level: float) -> float:
        return float(quantile(level, self.dof, self._outcome.absolute_sigma))

    # ---- for readers ----

    def summary(self) -> str:
        """The fit as a table.

        Returns
        -------
        str
        """
        width = max(len(name) for name in (*self.names, "parameter"))
        lines = [f"{'parameter':{width}}  {'value':>15}  {'error':>11}"]
        for name, value, error, active, fixed in zip(
            self.names, self.params, self.standard_errors, self.active, self.fixed, strict=True
        ):
            note = "fixed" if fixed else "at its bound" if active else f"{error:11.4g}"
            lines.append(f"{name:{width}}  {value:15.8g}  {note:>11}")
        lines.append(
            f"chi-squared {self.chi_squared:.6g}, {self.dof} degrees of freedom, reduced {self.reduced_chi_squared:.6g}"
        )
        lines.append(f"rank {self.rank} of {len(self._outcome.free)}, condition {self.condition:.3g}")
        lines.append(f"{self.n_evaluations} evaluations, {self.derivatives} derivatives: {self.message.split('; ')[0]}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return self.summary()


def _restored(items: tuple[Any, ...], outcome: Outcome) -> CurveFit:
    return CurveFit(items, outcome)


def _among_all(outcome: Outcome, values: Array, otherwise: Any) -> Array:
    """Of the free parameters, in the order of all."""
    out = np.full(len(outcome.names), otherwise, values.dtype)
    out[list(outcome.free)] = values
    return out


def _band(centre: Array, error: Array, quantile: float) -> Band:
    return Band(centre - quantile * error, centre + quantile * error)


def _common_sigma(sigma: Any) -> float:
    if sigma is None:
        return 1.0
    values = np.unique(np.asarray(sigma, np.float64))
    finite = values[np.isfinite(values)]
    if np.ndim(sigma) == 2 or len(finite) != 1:
        raise ValueError("the points of the fit have different errors: sigma= says that of the new measurement")
    return float(finite[0])
