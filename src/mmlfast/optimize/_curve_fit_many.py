"""curve_fit_many: the same curve through many data sets, each by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mmlfast._common.arrays import as_integer, is_dask, refuse_dask
from mmlfast._common.labels import check_labels, labelled
from mmlfast.optimize._bounds import UNBOUNDED
from mmlfast.optimize._fit_many_groups import fit_groups
from mmlfast.optimize._fit_many_lazy import fit_lazily
from mmlfast.optimize._fit_many_pieces import Job, fit_all
from mmlfast.optimize._fit_many_result import CurveFitMany
from mmlfast.optimize._fit_many_starts import take_starts
from mmlfast.optimize._fit_many_take import (
    are_variables,
    core_of_x,
    flat,
    new_results,
    take_matrix,
    take_sigma,
    take_x,
    take_y,
)
from mmlfast.optimize._fit_search import take_settings
from mmlfast.optimize._fit_stack import Stack

Array = np.ndarray[Any, Any]


def curve_fit_many(
    f: Callable[..., Any],
    xdata: Any,
    ydata: Any,
    p0: Any = None,
    sigma: Any = None,
    absolute_sigma: bool = False,
    bounds: Any = UNBOUNDED,
    *,
    nan_policy: str | None = None,
    fixed: Any = None,
    groups: Any = None,
    maxfev: int | None = None,
    retry: bool = True,
    loss: str = "linear",
    f_scale: float = 1.0,
    out: Any = None,
    verbose: bool = False,
) -> CurveFitMany:
    """Fit one model to many data sets by least squares, each by itself.

    The answer for a data set is the one that it has alone, to the bit, whatever the others are; one that cannot be
    fitted is NaN with a status. They are the answers of `curve_fit`, some hundred times faster if the model can be
    traced and gives each point its number by that point alone.

    Parameters
    ----------
    f : callable
        ``f(x, *params)``, elementwise in x. Any other model is called for one fit after the other, which is as slow as
        that is, and said in `message`.
    xdata : array-like
        (n,) for all fits, or one x for each fit in the shape of ydata. Several variables of a model: a tuple of such
        arrays, or (k, n) or (n, k) as in `curve_fit` if that is not the shape of ydata. f gets (k, n) of a tuple.
    ydata : array-like, shape (..., n)
        One fit for each entry of the leading axes. A map on disk is read a piece at a time, numbers of any type become
        float64 a piece at a time, masked points are left out. A Dask array gives lazy results.
    p0 : array-like, optional
        (p,) for all fits or (..., p), one for each; or a dict of numbers, or of arrays over the fits, by name.
    sigma : array-like, optional
        Errors of the points: a number, (n,) or (..., n). Points with an error of inf are left out. Or covariances of
        the points, (n, n) or (..., n, n): such fits are done one after the other.
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
    retry : bool
        Whether fits that find no minimum are done again by `curve_fit`, one by one, from other starts as well. This
        takes milliseconds for each of them, which counts where many have nothing to find, as in the dark parts of an
        image.
    loss, f_scale : str, float
        As in `curve_fit`: "huber", "soft_l1" or "cauchy" give outliers, residuals beyond `f_scale`, less weight. Of two
        searches, from p0 and with the loss wide at first, the lower end counts.
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
    settings = take_settings(None, loss, f_scale, {})
    evaluations = 1000 if maxfev is None else as_integer(maxfev, "maxfev", least=1)
    options = {
        "absolute_sigma": bool(absolute_sigma),
        "nan_policy": nan_policy,
        "fixed": fixed,
        "maxfev": evaluations,
        "retry": bool(retry),
        "loss": settings.loss,
        "f_scale": settings.f_scale,
        "verbose": bool(verbose),
    }
    if is_dask(ydata):
        if groups is not None:
            refuse_dask("ydata")
        if out is not None:
            raise TypeError("ydata is a Dask array: the results are new Dask arrays, leave out= away")
        return fit_lazily(curve_fit_many, f, xdata, ydata, p0, sigma, bounds, options)
    if groups is not None:
        return fit_groups(f, xdata, ydata, sigma, groups, p0, bounds, out, options)
    y, lead, n = take_y(ydata)
    if labelled(xdata, ydata, sigma):
        check_labels("curve_fit_many", ydata=(ydata, "kn", "n"), xdata=(xdata, "n", "n"), sigma=(sigma, "kn", "n"))
    x, n_variables = take_x(xdata, y.shape)
    parameters, start, lower, upper = take_starts(f, p0, bounds, fixed, lead)
    if x.ndim == 2 and x.shape == y.shape and len(x) > 1 and are_variables(f, x, parameters.start):
        n_variables = len(x)
    matrix = take_matrix(sigma, lead, n)
    job = Job(
        f,
        parameters,
        start,
        lower,
        upper,
        Stack(x, "xdata", lead, core_of_x(n, n_variables)),
        n_variables,
        Stack(ydata if isinstance(ydata, np.ma.MaskedArray) else y, "ydata", lead, (n,)),
        take_sigma(sigma, lead, n, nan_policy == "omit") if matrix is None else None,
        nan_policy,
        options["absolute_sigma"],
        evaluations,
        options["retry"],
        settings.loss,
        settings.f_scale,
        matrix,
    )
    fits = new_results(out, lead, len(parameters.names))
    derivatives, reason, _ = fit_all(job, flat(fits, lead), options["verbose"])
    return CurveFitMany(fits, parameters.names, derivatives, reason)
