"""What many fits say."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

MESSAGES = {
    2: "a minimum, at which the points do not determine all parameters: errors of those are inf",
    1: "a minimum",
    0: "not done: the computation was interrupted",
    -1: "no minimum was found: the start may be too far away",
    -2: "the model is not finite at the start",
    -4: "fewer points than parameters",
    -5: "points or errors are not finite, or errors not positive (nan_policy='omit' leaves out what is NaN)",
    -6: "the start is not finite or not within the bounds",
}


class Fits(NamedTuple):
    """The numbers of many fits, in one axis or in the axes of the data."""

    params: Any
    covariance: Any
    chi_squared: Any
    dof: Any
    condition: Any
    active: Any
    status: Any
    n_evaluations: Any


class CurveFitMany(tuple[Any, ...]):
    """The results of `curve_fit_many`: unpacks as ``params, covariance``, and has one entry for each fit in all else.

    Attributes
    ----------
    params : ndarray, shape (..., p)
        The parameters in the order of the signature, also those that were fixed. ``fits["a"]`` are those called a. NaN
        where there is no answer.
    covariance : ndarray, shape (..., p, p)
        Their covariances: inf for parameters that the data do not determine, NaN for those that a bound holds, 0 for
        fixed ones.
    standard_errors : ndarray, shape (..., p)
    names : tuple of str
    chi_squared, reduced_chi_squared : ndarray
        Sums of the squared weighted residuals, and these divided by `dof`.
    dof : ndarray of int
        Points that count less parameters that the data determine.
    condition : ndarray
        Of the Jacobian with columns of length one.
    active : ndarray of int, shape (..., p)
        -1 and 1 for parameters that stop at their lower and upper bound, else 0.
    status : ndarray of int
        Positive where there is an answer; `messages` says what each number means.
    failed : ndarray of bool
        Where there is none.
    n_evaluations : ndarray of int
        Of the model and its derivatives.
    info : numpy.recarray
        Status, n_evaluations, chi_squared, dof and condition of each fit.
    groups : ndarray or None
        The labels of the fits, if they were groups.
    derivatives : str
        "exact" (the model was traced) or "finite differences".
    message : str
        How many fits have no answer, and why; why they were not done in lanes.

    Examples
    --------
    >>> import numpy as np
    >>> from mmlfast.optimize import curve_fit_many
    >>> x = np.linspace(0, 3, 20)
    >>> y = np.array([[2.0], [3.0]]) * np.exp(-x)
    >>> fits = curve_fit_many(lambda x, a, k: a * np.exp(-k * x), x, y)
    >>> fits["a"].round(6).tolist()
    [2.0, 3.0]
    """

    messages = MESSAGES
    params: Any
    covariance: Any
    fits: Fits
    names: tuple[str, ...]
    derivatives: str
    groups: Array | None
    _reason: str

    def __new__(
        cls,
        fits: Fits,
        names: tuple[str, ...],
        derivatives: str,
        reason: str = "",
        groups: Array | None = None,
    ) -> CurveFitMany:
        self = super().__new__(cls, (fits.params, fits.covariance))
        self.params, self.covariance = fits.params, fits.covariance
        self.fits, self.names, self.derivatives, self.groups = fits, names, derivatives, groups
        self._reason = reason
        return self

    def __getitem__(self, key: Any) -> Any:
        """By number as of a tuple, by name the values of a parameter."""
        if isinstance(key, str):
            try:
                return self.params[..., self.names.index(key)]
            except ValueError:
                raise KeyError(
                    f"{key!r} is no parameter of the fits; their parameters: {', '.join(self.names)}"
                ) from None
        return super().__getitem__(key)

    def __reduce__(self) -> Any:
        return CurveFitMany, (self.fits, self.names, self.derivatives, self._reason, self.groups)

    chi_squared = property(lambda self: self.fits.chi_squared)
    dof = property(lambda self: self.fits.dof)
    condition = property(lambda self: self.fits.condition)
    active = property(lambda self: self.fits.active)
    status = property(lambda self: self.fits.status)
    n_evaluations = property(lambda self: self.fits.n_evaluations)

    @property
    def failed(self) -> Any:
        return self.status <= 0

    @functools.cached_property
    def standard_errors(self) -> Any:
        with np.errstate(invalid="ignore"):
            return np.sqrt(np.diagonal(self._kept("covariance"), axis1=-2, axis2=-1))

    @functools.cached_property
    def reduced_chi_squared(self) -> Any:
        with np.errstate(all="ignore"):
            dof = self._kept("dof")
            return np.where(dof > 0, self._kept("chi_squared") / np.maximum(dof, 1), np.nan)

    def _kept(self, name: str) -> Any:
        found = getattr(self.fits, name)
        if found is None:
            raise ValueError(f"{name} was not kept: out={{{name!r}: None}} said so; leave it out of out= to keep it")
        return found

    @functools.cached_property
    def info(self) -> Any:
        columns = {
            name: np.asarray(self._kept(name))
            for name in ("status", "n_evaluations", "chi_squared", "dof", "condition")
        }
        out = np.recarray(self.status.shape, [(name, column.dtype) for name, column in columns.items()])
        for name, column in columns.items():
            out[name] = column
        return out

    @property
    def message(self) -> str:
        status = np.asarray(self.status)
        total = int(status.size)
        values, counts = np.unique(status, return_counts=True)
        parts = [f"{c} of {total}: {MESSAGES[int(s)]}" for s, c in zip(values[::-1], counts[::-1], strict=True)]
        if self._reason:
            parts.append(f"done one after the other by curve_fit: {self._reason}")
        return "; ".join(parts)

    def __repr__(self) -> str:
        if not isinstance(self.status, np.ndarray):
            return f"<CurveFitMany of {', '.join(self.names)}: {self.params!r}>"
        return f"<CurveFitMany of {', '.join(self.names)}: {self.message}>"
