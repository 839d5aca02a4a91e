"""curve_fit_many: the same curve through many data sets, each by itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mmlfast._common.arrays import as_array, as_integer, check_labels, is_dask, labelled
from mmlfast.optimize._fit_many_pieces import Job, fit_all
from mmlfast.optimize._fit_many_result import CurveFitMany, Fits
from mmlfast.optimize._fit_parameters import Parameters, _inside, signature_of, take_parameters
from mmlfast.optimize._fit_stack import Stack

Array = np.ndarray[Any, Any]

_OUT = ("params", "covariance", "chi_squared", "dof", "condition", "active", "status", "n_evaluations")


def curve_fit_many(
    f: Callable[..., Any],
    xdata: Any,
    ydata: Any,
    p0: Any = None,
    sigma: Any = None,
    absolute_sigma: bool = False,
    bounds: Any = (-np.inf, np.inf),
    *,
    nan_policy: str | None = None,
    fixed: Any = None,
    groups: Any = None,
    maxfev: int | None = None,
    out: Any = None,
    verbose: bool = False,
) -> CurveFitMany:
    """Fit one model to many data sets by least squares, each by itself.

    The answer for a data set is the one that it has alone, to the bit, whatever the others are; one that cannot be fitted
    is NaN with a status. It is that of `curve_fit` for all of them in turn, some hundred times faster for a model that
    can be traced and that gives each point its number by that point alone.

    Parameters
    ----------
    f : callable
        ``f(x, *params)``, elementwise in x. Any other model is called for one fit after the other, which is as slow as
        that is, and said in `message`.
    xdata : array-like
        (n,) for all fits, or one x for each fit in the shape of ydata. Several variables of a model: a tuple of such
        arrays, or (k, n) as in `curve_fit` if that is not the shape of ydata; f gets an array of shape (k, n).
    ydata : array-like, shape (..., n)
        One fit for each entry of the leading axes. A map on disk is read a piece at a time, numbers of any type become
        float64 a piece at a time, masked points are left out. A Dask array gives lazy results.
    p0 : array-like, optional
        (p,) for all fits or (..., p), one for each; or a dict of numbers, or of arrays over the fits, by name.
    sigma : array-like, optional
        Errors of the points: a number, (n,) or (..., n). Points with an error of inf are left out.
    absolute_sigma : bool
        Whether sigma has the unit of ydata. If not, only the ratios of errors count, and covariances are scaled by the
        reduced chi-squared of each fit.
    bounds : pair of array-like, or dict of pairs by name
        Lower and upper bounds: numbers, (p,) or (..., p).
    nan_policy : {None, "raise", "omit"}
        Points that are NaN: their fits have no answer (None), ValueError, or they are left out.
    fixed : dict, sequence of str, or sequence of bool, optional
        Parameters that stay at a value, or at that of p0.
    groups : array-like, shape (n,), optional
        A label for each point of ydata, which then has one axis: one fit for each label, in the order of the sorted
        labels, which are the `groups` of the result. p0 and bounds for each are in this order.
    maxfev : int, optional
        Evaluations of the model after which a fit gives up.
    out : ndarray or dict of ndarray, optional
        Where the parameters go: an array of shape (..., p), such as a map on disk. In a dict also other results, by the
        names of `CurveFitMany`; those that are left out of it are new arrays, those that are None are not kept.
    verbose : bool
        Whether to show the progress on the standard error.

    Returns
    -------
    CurveFitMany
        It unpacks as ``params, covariance``. After Ctrl-C, with a warning, it has what is done by then, and NaN.

    Examples
    --------
    A decay in each pixel of an image, of which one has no points:

    >>> import numpy as np
    >>> from mmlfast.optimize import curve_fit_many
    >>> t = np.linspace(0, 4, 30)
    >>> a = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    >>> image = a[..., None] * np.exp(-t / 1.5)
    >>> image[1, 0] = np.nan
    >>> fits = curve_fit_many(lambda t, a, tau: a * np.exp(-t / tau), t, image, [1, 1], nan_policy="omit")
    >>> fits["a"].round(9).tolist()
    [[1.0, 2.0, 3.0], [nan, 5.0, 6.0]]
    >>> fits.status.tolist()
    [[1, 1, 1], [-4, 1, 1]]
    """
    if nan_policy not in (None, "raise", "omit"):
        raise ValueError(f"nan_policy must be one of {{None, 'raise', 'omit'}}, got {nan_policy!r}")
    evaluations = 1000 if maxfev is None else as_integer(maxfev, "maxfev", least=1)
    options = {
        "absolute_sigma": bool(absolute_sigma),
        "nan_policy": nan_policy,
        "fixed": fixed,
        "maxfev": evaluations,
        "verbose": bool(verbose),
    }
    if is_dask(ydata):
        from mmlfast.optimize._fit_many_lazy import fit_lazily

        if out is not None or groups is not None:
            raise TypeError("ydata is a Dask array: the results are new Dask arrays, without out= and groups=")
        return fit_lazily(curve_fit_many, f, xdata, ydata, p0, sigma, bounds, options)
    if groups is not None:
        from mmlfast.optimize._fit_many_groups import fit_groups

        return fit_groups(f, xdata, ydata, p0, sigma, bounds, groups, out, options)
    y, lead, n = _take_y(ydata)
    if labelled(xdata, ydata):
        check_labels("curve_fit_many", ydata=(ydata, "kn", "n"), xdata=(xdata, "n", "n"))
    x, n_variables = take_x(xdata, y.shape)
    parameters, start, lower, upper = take_starts(f, p0, bounds, fixed, lead)
    job = Job(
        f,
        parameters,
        start,
        lower,
        upper,
        Stack(x, "xdata", lead, (n_variables, n) if n_variables else (n,)),
        n_variables,
        Stack(ydata if isinstance(ydata, np.ma.MaskedArray) else y, "ydata", lead, (n,)),
        take_sigma(sigma, lead, n, nan_policy == "omit"),
        nan_policy,
        options["absolute_sigma"],
        evaluations,
    )
    fits = new_results(out, lead, len(parameters.names))
    derivatives, reason = fit_all(job, flat(fits, lead), options["verbose"])
    return CurveFitMany(fits, parameters.names, derivatives, reason)


def _take_y(ydata: Any) -> tuple[Any, tuple[int, ...], int]:
    if isinstance(ydata, np.ndarray):
        y = ydata.view(np.ndarray) if not isinstance(ydata, np.ma.MaskedArray) else ydata.data
    else:
        y = as_array(ydata, "ydata")
    if not y.ndim or not y.shape[-1]:
        raise ValueError(f"`ydata` must not be empty! It has shape {y.shape}, the points are its last axis")
    return y, y.shape[:-1], y.shape[-1]


def take_x(xdata: Any, y_shape: tuple[int, ...]) -> tuple[Any, int]:
    """x for `Stack`, of shape (n,) or (k, n) after leading axes, and k, or 0."""
    n = y_shape[-1]
    if isinstance(xdata, tuple) and any(np.ndim(part) > 0 for part in xdata):
        parts = [as_array(part, f"xdata[{i}]") for i, part in enumerate(xdata)]
        shape = np.broadcast_shapes((n,), *(part.shape for part in parts))
        return np.stack([np.broadcast_to(part, shape) for part in parts], axis=-2), len(parts)
    if hasattr(xdata, "columns") and hasattr(xdata, "dtypes"):
        raise TypeError("xdata is a frame: a tuple of its columns, (frame['a'], frame['b']), are the variables of f")
    x = xdata if isinstance(xdata, np.ma.MaskedArray) else as_array(xdata, "xdata")
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        raise TypeError("xdata has masked points: mask those of ydata, or give them sigma=inf")
    x = np.asarray(x.data if isinstance(x, np.ma.MaskedArray) else x)
    if not x.ndim:
        x = np.broadcast_to(x, (n,))
    if x.shape[-1] != n:
        raise ValueError(f"xdata has shape {x.shape} and ydata {y_shape}: their last axes, the points, must be equal")
    if x.ndim == 1 or (x.ndim == len(y_shape) and all(a in (1, b) for a, b in zip(x.shape, y_shape, strict=True))):
        return x, 0
    if x.ndim == 2 or (x.ndim == len(y_shape) + 1 and x.shape[:-2] == y_shape[:-1]):
        return x, x.shape[-2]
    raise ValueError(
        f"xdata has shape {x.shape} and ydata {y_shape}: x is ({n},), {y_shape}, or (k, {n}) for k variables of f"
    )


def take_sigma(sigma: Any, lead: tuple[int, ...], n: int, omit: bool) -> Stack | None:
    if sigma is None:
        return None
    values = sigma if isinstance(sigma, np.ma.MaskedArray) else as_array(sigma, "sigma")
    if values.ndim == 2 and values.shape == (n, n) != (*lead, n):
        raise ValueError(
            f"`sigma` has shape {values.shape}, a matrix: curve_fit takes one; here it is one error for each point, ({n},) "
            f"or {(*lead, n)}"
        )
    if not values.ndim:
        values = np.broadcast_to(values, (n,))
    stack = Stack(values, "sigma", lead, (n,))
    if stack.shared:
        errors = stack.piece(0, 1)
        bad = ~(errors > 0)
        if omit:
            bad &= ~np.isnan(errors)
        if stack.mask is not None:
            bad &= ~stack.mask
        if bad.any():
            i = int(np.argmax(bad))
            raise ValueError(f"sigma[{i}] is {errors[i]}: errors are positive, sigma=inf leaves a point out")
    return stack


# ---- starts and bounds, for all fits or for each ----


def take_starts(
    f: Callable[..., Any], p0: Any, bounds: Any, fixed: Any, lead: tuple[int, ...]
) -> tuple[Parameters, Stack, Stack | None, Stack | None]:
    """The parameters of the first fit, and start, lower and upper bounds of all parameters for all fits."""
    n_lead = len(lead)
    if hasattr(bounds, "lb") and hasattr(bounds, "ub"):
        bounds = bounds.lb, bounds.ub
    if bounds is None:
        bounds = (-np.inf, np.inf)
    empty = 0 in lead

    def first(values: Any) -> Any:
        """Of numbers of each fit, those of the first one."""
        array = as_array(values, "p0 or bounds")
        if array.ndim <= 1 or not n_lead:
            return values
        if array.ndim != n_lead + 1 or any(a not in (1, b) for a, b in zip(array.shape, lead, strict=False)):
            raise ValueError(f"p0 or bounds have shape {array.shape}: (p,) for all fits, or {lead} + (p,) for each")
        return array[(0,) * n_lead] if not empty else np.ones(array.shape[-1])

    def first_of_one(value: Any) -> Any:
        return np.asarray(value).reshape(-1)[0] if np.ndim(value) and np.size(value) else value

    if isinstance(p0, Mapping):
        one_p0: Any = {name: first_of_one(value) for name, value in p0.items()}
    else:
        one_p0 = None if p0 is None else first(p0)
    if isinstance(bounds, Mapping):
        one_bounds: Any = {name: tuple(map(first_of_one, _pair(pair, name))) for name, pair in bounds.items()}
    else:
        one_bounds = tuple(map(first, _pair(bounds, None)))
    per_fit = p0 is not None and not isinstance(p0, Mapping) and one_p0 is not p0
    start_of_first = one_p0
    if per_fit and not np.isfinite(np.asarray(one_p0, np.float64)).all():
        start_of_first = None if _names_itself(f) else np.ones(len(one_p0))
    parameters = _take_first(f, start_of_first, one_bounds, fixed, len(one_p0) if per_fit else 0)
    lower, upper = _stack_of_bounds(bounds, parameters, lead)
    start = _stack_of_start(p0, parameters, fixed, lower, upper, lead)
    return parameters, start, lower, upper


def _names_itself(f: Any) -> bool:
    signature = signature_of(f)
    return bool(signature.names) and not signature.takes_more


def _take_first(f: Callable[..., Any], p0: Any, bounds: Any, fixed: Any, n_given: int) -> Parameters:
    """What is wrong with the numbers of the first fit alone is for its status to say."""
    try:
        return take_parameters(f, p0, bounds, fixed)
    except ValueError:
        if not n_given:
            raise
        return take_parameters(f, None if _names_itself(f) else np.ones(n_given), (-np.inf, np.inf), fixed)


def _pair(bounds: Any, name: str | None) -> tuple[Any, Any]:
    what = "bounds" if name is None else f"bounds[{name!r}]"
    try:
        lower, upper = bounds
    except (TypeError, ValueError):
        raise ValueError(f"{what} must be a pair (lower, upper), got {bounds!r:.60}") from None
    return (-np.inf if lower is None else lower), (np.inf if upper is None else upper)


def _all_fits(columns: list[Any], name: str, lead: tuple[int, ...]) -> Stack:
    """Of numbers, or of arrays over the fits, one for each parameter."""
    arrays = [np.asarray(as_array(column, name), np.float64) for column in columns]
    if all(a.ndim == 0 for a in arrays):
        return Stack(np.stack(arrays), name, lead, (len(arrays),))
    return Stack(np.stack([np.broadcast_to(a, lead) for a in arrays], axis=-1), name, lead, (len(arrays),))


def _stack_of_bounds(
    bounds: Any, parameters: Parameters, lead: tuple[int, ...]
) -> tuple[Stack | None, Stack | None]:
    names, p = parameters.names, len(parameters.names)
    if isinstance(bounds, Mapping):
        if not bounds:
            return None, None
        sides = []
        for k, free in ((0, -np.inf), (1, np.inf)):
            columns = [_pair(bounds[name], name)[k] if name in bounds else free for name in names]
            sides.append(_all_fits(columns, "bounds", lead))
        lower, upper = sides
    else:
        pair = [np.asarray(as_array(side, "bounds"), np.float64) for side in _pair(bounds, None)]
        if all(np.all(np.isinf(side)) for side in pair) and np.all(pair[0] < 0) and np.all(pair[1] > 0):
            return None, None
        lower, upper = (Stack(np.broadcast_to(s, (p,)) if not s.ndim else s, "bounds", lead, (p,)) for s in pair)
    if not (lower.shared and upper.shared):
        bad = ~np.asarray(lower.array < upper.array)
        if bad.any():
            at = tuple(int(i) for i in np.argwhere(np.broadcast_to(bad, (*lead, p)))[0])
            raise ValueError(
                f"Each lower bound must be strictly less than each upper bound: those of {names[at[-1]]} of fit "
                f"{at[:-1]} are not"
            )
    return lower, upper


def _stack_of_start(
    p0: Any, parameters: Parameters, fixed: Any, lower: Stack | None, upper: Stack | None, lead: tuple[int, ...]
) -> Stack:
    p = len(parameters.names)
    fitted_from_bounds = lower is not None and upper is not None and not (lower.shared and upper.shared)
    if isinstance(p0, Mapping):
        columns = [p0.get(name, value) for name, value in zip(parameters.names, parameters.start, strict=True)]
        return _all_fits(columns, "p0", lead)
    if p0 is None:
        if not fitted_from_bounds:
            return Stack(parameters.start, "p0", lead, (p,))
        assert lower is not None
        assert upper is not None
        shape = (*lead, p)
        low, high = (np.broadcast_to(side.array, shape).astype(np.float64) for side in (lower, upper))
        start = _inside(low.reshape(-1), high.reshape(-1)).reshape(shape)
        held = list(parameters.held)
        start[..., held] = parameters.start[held]
        return Stack(start, "p0", lead, (p,))
    values = as_array(p0, "p0")
    if values.ndim <= 1:
        return Stack(parameters.start, "p0", lead, (p,))
    given = values.shape[-1]
    if given == len(parameters.free) != p:
        whole = np.empty((*values.shape[:-1], p))
        whole[...] = parameters.start
        whole[..., list(parameters.free)] = values
        values = whole
    elif isinstance(fixed, Mapping):
        held = list(parameters.held)
        values = np.array(values, np.float64)
        values[..., held] = parameters.start[held]
    return Stack(values, "p0", lead, (p,))


# ---- results ----


def new_results(out: Any, lead: tuple[int, ...], p: int) -> Fits:
    """Arrays for the results, those of `out` among them."""
    given = dict(out) if isinstance(out, Mapping) else {} if out is None else {"params": out}
    shapes: dict[str, tuple[tuple[int, ...], Any]] = {
        "params": ((*lead, p), np.float64),
        "covariance": ((*lead, p, p), np.float64),
        "chi_squared": (lead, np.float64),
        "dof": (lead, np.int64),
        "condition": (lead, np.float64),
        "active": ((*lead, p), np.int8),
        "status": (lead, np.int8),
        "n_evaluations": (lead, np.int32),
    }
    arrays = {}
    for name, array in given.items():
        if name not in shapes:
            raise ValueError(f"out names {name!r}; results are {', '.join(shapes)}")
        shape, dtype = shapes[name]
        if array is None and name not in ("params", "status"):
            continue
        if not isinstance(array, np.ndarray) or array.shape != shape or not array.flags.writeable:
            what = f"an array of shape {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
            raise ValueError(f"out: {name} must be a writeable array of shape {shape}, got {what}")
        if not np.can_cast(dtype, array.dtype, "same_kind"):
            raise ValueError(f"out: {name} holds {array.dtype}, and cannot take {np.dtype(dtype)}")
    for name, (shape, dtype) in shapes.items():
        arrays[name] = given[name] if name in given else np.zeros(shape, dtype)
    return Fits(**arrays)


def flat(fits: Fits, lead: tuple[int, ...]) -> list[Callable[[int, int, Array], None] | None]:
    """For each result a function that puts in those of fits start to stop."""
    size = math.prod(lead)

    def putter(array: Array | None) -> Callable[[int, int, Array], None] | None:
        if array is None:
            return None
        core = array.shape[len(lead) :]
        if array.flags.c_contiguous:
            rows = array.reshape(size, *core)
            return lambda start, stop, values: rows.__setitem__(slice(start, stop), values)

        def put(start: int, stop: int, values: Array) -> None:
            array[np.unravel_index(np.arange(start, stop), lead)] = values

        return put

    return [putter(array) for array in fits]
