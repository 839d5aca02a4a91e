"""curve_fit: a curve through points, with the errors of its parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mmlfast._common.errors import warn_caller
from mmlfast.autodiff._recording import function_name, place_of
from mmlfast.optimize._bounds import UNBOUNDED
from mmlfast.optimize._fit_data import FitData, check_policy, take_data
from mmlfast.optimize._fit_model import DIFFERENCES, GIVEN, Curve, FitModel, fits_shape, numbers_of
from mmlfast.optimize._fit_parameters import Parameters, signature_of, take_parameters
from mmlfast.optimize._fit_quick import quick_fit, remember
from mmlfast.optimize._fit_result import CurveFit, Outcome
from mmlfast.optimize._fit_search import NOISE, residuals_of, search, take_settings, triangle_of
from mmlfast.optimize._fit_tape import first_of_its_kind

Array = np.ndarray[Any, Any]

_SCHEMES = ("2-point", "3-point", "cs")


def curve_fit(
    f: Callable[..., Any],
    xdata: Any,
    ydata: Any,
    p0: Any = None,
    sigma: Any = None,
    absolute_sigma: bool = False,
    check_finite: bool | None = None,
    bounds: Any = UNBOUNDED,
    method: str | None = None,
    jac: Any = None,
    *,
    full_output: bool = False,
    nan_policy: str | None = None,
    fixed: Any = None,
    loss: str = "linear",
    f_scale: float = 1.0,
    **options: Any,
) -> CurveFit:
    """Fit the parameters of a model to points by least squares.

    The signature and the result are those of `scipy.optimize.curve_fit`; what the result says besides is in `CurveFit`.
    The model is traced to exact derivatives where it can be, and called as it is where it cannot. Neither the units of
    x, y and the parameters nor a large offset of x matter.

    Parameters
    ----------
    f : callable
        The model, f(x, a, b, ...), a plain function of NumPy or a `mmlfast.autodiff.Function`.
    xdata : array-like or object
        Its first argument: as many numbers as points, k rows or columns of them, a frame whose columns the model names,
        or whatever else the model takes. Numbers become float64.
    ydata : array-like
        What the model should give. Masked points do not count.
    p0 : array-like or dict, optional
        Where the search starts: numbers in the order of the arguments, or by name. Ones if it is left out, or numbers
        within the bounds. Parameters at the end that have a default may be left out and keep it.
    sigma : float or array-like, optional
        Errors of ydata: one for all points, one for each, or their covariance matrix. inf leaves a point out.
    absolute_sigma : bool
        Whether sigma are the errors themselves. If not, they only say which points count more, and the covariance is
        multiplied by the reduced chi-squared.
    check_finite : bool, optional
        Whether NaN and inf in the data are an error; True unless `nan_policy` is given.
    bounds : pair of array-like, Bounds or dict, optional
        Lower and upper bounds of the parameters, or pairs of them by name. The model is never called beyond them.
    method : {None, "lm", "trf", "dogbox"}
        For code that was written for SciPy: all of them are this library's own method, which takes bounds.
    jac : callable, optional
        jac(x, a, b, ...) gives the derivatives, (points, parameters). It is compared with the model at p0. The names of
        SciPy's differences are taken and mean nothing: without a function, derivatives are exact where f can be traced.
    full_output : bool
        Whether the result unpacks as popt, pcov, infodict, mesg, ier.
    nan_policy : {None, "raise", "omit"}
        "omit" leaves out the points where xdata, ydata or sigma are NaN.
    fixed : dict, sequence of str or of bool, optional
        Parameters that are not fitted: their values by name, or the names of (or True for) those that stay at p0.
    loss : {"linear", "huber", "soft_l1", "cauchy"}
        What is summed of the squared residuals, as in `scipy.optimize.least_squares`: all but "linear" give outliers
        less weight. The covariance is then that of the scaled Jacobian, as SciPy's is.
    f_scale : float
        From which (weighted) residuals on a point counts as an outlier.
    **options
        ``maxfev`` or ``max_nfev``: evaluations before it is given up. ``ftol``, ``xtol``, ``gtol``: relative changes of
        the sum of squares and of the parameters, and cosine of residuals and derivatives, at which the search ends;
        by default it goes on to the last digits. ``x_scale``: lengths of the first steps.

    Returns
    -------
    CurveFit
        Unpacks as ``popt, pcov``.

    Raises
    ------
    RuntimeError
        If no minimum was found: most often p0 is too far away.
    ValueError, TypeError
        If something is wrong with the data, the model or the start; the message says what.

    Warns
    -----
    OptimizeWarning
        If the errors of parameters cannot be told: which, and why.

    Examples
    --------
    >>> import numpy as np
    >>> from mmlfast.optimize import curve_fit
    >>> def decay(t, amplitude, lifetime):
    ...     return amplitude * np.exp(-t / lifetime)
    >>> t = np.linspace(0, 5, 20)
    >>> y = decay(t, 2.0, 1.5) + 0.02 * np.cos(1.7 * np.arange(20) ** 2)
    >>> fit = curve_fit(decay, t, y, bounds=(0, np.inf))
    >>> popt, pcov = fit
    >>> popt.round(3).tolist()
    [2.006, 1.502]
    >>> print(fit)  # doctest: +SKIP
    parameter            value        error
    amplitude        2.0055998      0.00844
    lifetime         1.5023954     0.009369
    ...
    >>> curve_fit(decay, t, y, fixed={"lifetime": 1.5})["amplitude"].round(3).item()
    2.007
    """
    f = first_of_its_kind(f)
    is_ordinary = (
        bounds is UNBOUNDED
        and jac is None
        and fixed is None
        and loss == "linear"
        and method is None
        and nan_policy is None
        and not (full_output or options)
    )
    if (
        is_ordinary
        and (quick := quick_fit(f, xdata)) is not None
        and (again := quick(xdata, ydata, p0, sigma, bool(absolute_sigma))) is not None
    ):
        return again
    if not callable(f):
        raise TypeError(f"f must be a function f(x, *parameters), got {type(f).__name__}")
    settings = take_settings(method, loss, f_scale, options)
    check_policy(nan_policy)
    parameters = take_parameters(f, p0, bounds, fixed)

    def shape_of(x: Any) -> tuple[int, ...]:
        shape: tuple[int, ...] = numbers_of(f, f(x, *parameters.start)).shape
        return shape

    data = take_data(xdata, ydata, sigma, nan_policy, check_finite, shape_of)
    free = list(parameters.free)
    if parameters.lower is None and data.n < len(free):
        raise TypeError(
            f"The number of func parameters={len(free)} must not exceed the number of data points={data.n}: "
            "fixed= holds some of them"
        )
    bounds_of_free = _bounds_of(parameters)
    model = FitModel(f, parameters.free, parameters.start, parameters.held, data.x, data.x_for_calls, bounds_of_free)
    rows = data.kept
    if fits_shape(f, model.first.shape, data.y_shape):
        rows = np.zeros(data.n, np.intp)
    _check_first(f, model, rows, data, parameters)
    derivative, derivatives = None, model.derivatives
    if callable(jac):
        derivative = _given_jacobian(jac, model, parameters, rows, bounds_of_free)
        derivatives = GIVEN
    elif model.is_single and not model.is_traced:
        derivative = model.coarse_jacobian(rows, bounds_of_free)
    elif not (jac is None or jac in _SCHEMES):
        raise ValueError(f"jac must be a function jac(x, *parameters), None or one of {_SCHEMES}, got {jac!r:.60}")
    residuals = residuals_of(model, rows, derivative, data)
    minimum, done = search(residuals, model, rows, bounds_of_free, parameters, settings, data)
    fit = _result(minimum, done, model, rows, parameters, data, derivatives, bool(absolute_sigma), full_output)
    if is_ordinary and _may_be_quick(f, model, parameters, data, rows):
        remember(Curve(f, parameters.free, ()), parameters.names, model.point_tape or model.tape, data.x)
    return fit


def _may_be_quick(f: Any, model: FitModel, parameters: Parameters, data: FitData, rows: Array | None) -> bool:
    """Whether the same with other numbers can go the quick way."""
    return (
        data.x_for_calls is data.x
        and model.inputs_are_data
        and rows is None
        and model.first.ndim == 1
        and not parameters.held
        and len(parameters.names) == len(signature_of(f).names)
    )


def _bounds_of(parameters: Parameters) -> tuple[Array | None, Array | None]:
    if parameters.lower is None or parameters.upper is None:
        return None, None
    free = list(parameters.free)
    return np.ascontiguousarray(parameters.lower[free]), np.ascontiguousarray(parameters.upper[free])


def _check_first(f: Any, model: FitModel, rows: Array | None, data: FitData, parameters: Parameters) -> None:
    """What f gives at the start has to be numbers that change with parameters."""
    if not model.is_traced and model.returns_integers:
        raise ValueError(
            f"{function_name(f)}{place_of(f)} returns integers, which do not change with the parameters a little: "
            "return floats (np.vectorize takes the type of its first value: otypes=[float])"
        )
    values = model.first.ravel() if rows is None else model.first.ravel()[rows]
    if np.isfinite(values).all():
        return
    i = int(np.argmin(np.isfinite(values)))
    point = i if data.kept is None else int(data.kept[i])
    x = data.x
    at = ""
    if type(x) is np.ndarray and x.ndim and x.shape[-1] == model.first.size:
        at = f" (x = {x[..., point]})"
    start = ", ".join(f"{name}={value:.6g}" for name, value in zip(parameters.names, parameters.start, strict=True))
    raise ValueError(
        f"the model is not finite at p0: {function_name(f)}(x, {start}) is {values[i]} at point {point}{at}; "
        "start where it is finite (p0=), or leave the point out"
    )


def _given_jacobian(
    jac: Callable[..., Any],
    model: FitModel,
    parameters: Parameters,
    rows: Array | None,
    bounds: tuple[Array | None, Array | None],
) -> Callable[[Array], Array]:
    """jac(x, *parameters) of the free parameters and the points that count, compared with what is known at p0."""
    free, start = list(parameters.free), parameters.start
    shape = (model.first.size, len(start))
    last: list[Any] = [None, None]

    def derivative(p: Array) -> Array:
        key = p.tobytes()
        if last[0] != key:
            values = start.copy()
            values[free] = p
            x = model.x_for_calls
            with np.errstate(all="ignore"):
                given = jac(x.copy() if type(x) is np.ndarray else x, *values)
            given = np.asarray(given.toarray() if hasattr(given, "toarray") else given, np.float64)
            if given.shape != shape and given.reshape(-1).shape != (shape[0],) * (shape[1] == 1):
                turned = ": it is transposed" if given.shape == shape[::-1] else ""
                raise ValueError(f"jac gives an array of shape {given.shape}, it must have shape {shape}{turned}")
            given = given.reshape(shape)[:, free]
            last[:] = key, given if rows is None else given[rows]
        result: Array = last[1]
        return result

    with np.errstate(all="ignore"):
        expected, given = model.jacobian(rows, bounds), derivative(model.p0)
        exact = model.is_traced
        sizes = np.maximum(np.abs(expected), np.abs(given))
        allowed = (1e-6 if exact else 1e-3) * sizes + (1e-9 if exact else 1e-4) * sizes.max(axis=0, initial=0.0)
        wrong = (np.abs(given - expected) > allowed) & np.isfinite(expected)
    if wrong.any():
        i, k = (int(n) for n in np.argwhere(wrong)[0])
        raise ValueError(
            f"jac is not the derivative of {function_name(model.f)} at p0: by {parameters.names[free[k]]}, at point "
            f"{i if rows is None else int(rows[i])}, it gives {given[i, k]:.10g}, and "
            f"{'the model' if exact else 'a difference of the model'} gives {expected[i, k]:.10g}"
        )
    return derivative


@np.errstate(all="ignore")
def _result(
    minimum: Any,
    done: list[str],
    model: FitModel,
    rows: Array | None,
    parameters: Parameters,
    data: FitData,
    derivatives: str,
    absolute_sigma: bool,
    full_output: bool,
) -> CurveFit:
    n = len(parameters.free)
    inverse = minimum.inverse  # of J'J, where nothing is undetermined or held
    r = triangle_of(minimum, model, rows, data)
    if r is not minimum.r and not np.array_equal(r, minimum.r):
        inverse = None
    if derivatives == DIFFERENCES and not minimum.condition < 1e-2 / NOISE:
        inverse = None
    outcome = Outcome(
        Curve(model.f, parameters.free, parameters.held),
        parameters.names,
        parameters.free,
        (r, minimum.permutation, minimum.active, NOISE if derivatives == DIFFERENCES else 0.0),
        n if inverse is not None else None,
        2.0 * minimum.cost,
        data.unit,
        data.n,
        absolute_sigma,
        data.sigma,
        minimum.residuals if data.unit == 1.0 else minimum.residuals / data.unit,
        minimum.active,
        minimum.status,
        _remarks(done, model, derivatives),
        derivatives,
        minimum.n_evaluations,
        minimum.n_jacobians,
    )
    dof = outcome.dof
    if inverse is not None and dof > 0:
        pcov = inverse * outcome.variance
    else:
        pcov = outcome.covariance()
        _warn(outcome, [parameters.names[i] for i in parameters.free])
    popt = minimum.x
    if parameters.held:
        popt, among_free, pcov = parameters.start, pcov, np.zeros((len(parameters.start), len(parameters.start)))
        popt[list(parameters.free)] = minimum.x
        pcov[np.ix_(parameters.free, parameters.free)] = among_free
    items: tuple[Any, ...] = popt, pcov
    if full_output:
        info = {"nfev": minimum.n_evaluations, "njev": minimum.n_jacobians, "fvec": outcome.residuals}
        items = popt, pcov, info, outcome.message, minimum.status
    return CurveFit(items, outcome)


def _remarks(done: list[str], model: FitModel, derivatives: str) -> str:
    """What a reader of the message should know besides."""
    remarks = list(done)
    if derivatives == DIFFERENCES:
        remarks.append(model.why())
    return "; ".join(remarks)


def _warn(outcome: Outcome, names: list[str]) -> None:
    """OptimizeWarning, SciPy's, about errors that nobody can tell."""
    known = outcome.spread
    lost = [name for name, is_lost in zip(names, known.undetermined, strict=True) if is_lost]
    if lost:
        nothing = [
            name for name, scale, held in zip(names, known.scale, known.held, strict=True) if not (scale or held)
        ]
        if nothing:
            what = f"the model does not change with {' and '.join(nothing)} there"
        else:
            many = "combination" if known.rank == 1 else "combinations"
            what = f"the points determine only {known.rank} {many} of the {len(names)} parameters"
        what += f": errors of {', '.join(lost)} are inf"
    elif outcome.dof <= 0 and not outcome.absolute_sigma:
        what = (
            f"{outcome.n} points and {known.rank} parameters leave none over to see errors by (absolute_sigma=True "
            "says that sigma has the errors)"
        )
    else:
        return
    from scipy.optimize import OptimizeWarning

    warn_caller(f"Covariance of the parameters could not be estimated: {what}", OptimizeWarning)
