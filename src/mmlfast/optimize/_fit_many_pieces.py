"""Many fits, a piece of them after the other: in lanes where the model is on a tape, and one by one where it is not, or
where a fit is one that lanes are no good for."""

from __future__ import annotations

import math
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from mmlfast import _core
from mmlfast._common.errors import warn_caller
from mmlfast.optimize._bounds import UNBOUNDED
from mmlfast.optimize._curve_fit import curve_fit
from mmlfast.optimize._fit_many_noise import from_other_starts, like_noise
from mmlfast.optimize._fit_model import DIFFERENCES, EXACT
from mmlfast.optimize._fit_parameters import Parameters
from mmlfast.optimize._fit_rows import RowTape, look_at
from mmlfast.optimize._fit_stack import Stack
from mmlfast.optimize._least_squares import LOSSES

Array = np.ndarray[Any, Any]
Put = Callable[[int, int, Array], None] | None

_PIECE_BYTES = 1 << 24  # of y
_MOST_FITS = 1 << 16  # of a piece
_ALONE = 32  # fits of a piece that are done one by one
_MOST_IN_LANES = 31  # parameters: a program takes 32 arrays, one of which is x
# Lanes work with normal equations; beyond this condition the fit is done again by itself.
_WORST_CONDITION = 1e5
# Evaluations in lanes, after which a fit goes on by itself.
_EVALUATIONS_IN_LANES = 300
_WIDER, _ON_THE_WAY = (100.0, 10.0), 30  # scales of a loss on the way to its own, and evaluations with them

NOT_DONE, FOUND, UNDETERMINED, NO_MINIMUM, NOT_FINITE, STUCK, TOO_FEW, BAD_DATA, BAD_START, OUT_OF_RANGE = (
    0,
    1,
    2,
    -1,
    -2,
    -3,
    -4,
    -5,
    -6,
    -7,
)
_NOISE = -100  # within a piece: NO_MINIMUM for good


class Job(NamedTuple):
    """What is to be fitted; arrays have an entry for each fit, or one for all."""

    f: Callable[..., Any]
    parameters: Parameters
    start: Stack  # of all parameters
    lower: Stack | None
    upper: Stack | None
    x: Stack
    n_variables: int  # of the model, in the first axis of x; negative: in the last one; 0: x has no axis for them
    y: Stack
    sigma: Stack | None
    nan_policy: str | None
    absolute_sigma: bool
    maxfev: int
    retry: bool
    loss: str = "linear"
    f_scale: float = 1.0
    matrix: Stack | None = None  # covariances of the points, instead of sigma

    @property
    def options(self) -> dict[str, Any]:
        """Of curve_fit."""
        return {"maxfev": self.maxfev, "loss": self.loss, "f_scale": self.f_scale}

    @property
    def n_fits(self) -> int:
        return math.prod(self.y.lead)

    @property
    def n_rows(self) -> int:
        return int(self.y.core[0])


class Piece:
    """The results of fits start to stop, in the order of `Fits`."""

    def __init__(self, size: int, p: int) -> None:
        self.params = np.full((size, p), np.nan)
        self.covariance = np.full((size, p, p), np.nan)
        self.chi_squared = np.full(size, np.nan)
        self.dof = np.zeros(size, np.int64)
        self.condition = np.full(size, np.nan)
        self.active = np.zeros((size, p), np.int8)
        self.status = np.zeros(size, np.int8)
        self.n_evaluations = np.zeros(size, np.int32)
        self.derivatives = DIFFERENCES  # of a fit that was done by itself

    def arrays(self) -> tuple[Array, ...]:
        return (
            self.params,
            self.covariance,
            self.chi_squared,
            self.dof,
            self.condition,
            self.active,
            self.status,
            self.n_evaluations,
        )


def fit_all(job: Job, puts: Sequence[Put], verbose: bool) -> tuple[str, str, bool]:
    """Where derivatives come from, why fits are not in lanes, and whether the user interrupted."""
    interrupted, derivatives = False, EXACT
    if not job.n_fits:
        return EXACT, "", interrupted
    tape, reason = _tape_of(job)
    step = max(1, min(_MOST_FITS, _PIECE_BYTES // (8 * job.n_rows))) if tape is not None else _ALONE
    shown = _Progress(job.n_fits, verbose)
    done = 0
    for start in range(0, job.n_fits, step):
        stop = min(start + step, job.n_fits)
        piece = Piece(stop - start, len(job.parameters.names))
        try:
            if tape is not None:
                again, interrupted = _in_lanes(job, tape.rows, start, stop, piece)
                left: Sequence[int] = [] if interrupted else (start + np.flatnonzero(again)).tolist()
            else:
                left = range(start, stop)
            _one_by_one(job, left, start, piece)
        except KeyboardInterrupt:
            interrupted = True
        for put, values in zip(puts, piece.arrays(), strict=True):
            if put is not None:
                put(start, stop, values)
        done += int(np.count_nonzero(piece.status))
        derivatives = EXACT if tape is not None else piece.derivatives
        if interrupted:
            _give_up(job, puts, stop)
            warn_caller(
                f"curve_fit_many was interrupted: {done} of {job.n_fits} fits are done, the others are NaN (status 0)",
                RuntimeWarning,
            )
            break
        shown.at(stop)
    shown.end()
    return derivatives, reason, interrupted


def _give_up(job: Job, puts: Sequence[Put], start: int) -> None:
    for first in range(start, job.n_fits, _MOST_FITS):
        stop = min(first + _MOST_FITS, job.n_fits)
        empty = Piece(stop - first, len(job.parameters.names))
        for put, values in zip(puts, empty.arrays(), strict=True):
            if put is not None:
                put(first, stop, values)


class _Progress:
    def __init__(self, total: int, verbose: bool) -> None:
        self._total, self._verbose = total, verbose
        self._begin, self._shown, self._done = time.monotonic(), -1.0, 0

    def at(self, done: int) -> None:
        self._done = done
        seconds = time.monotonic() - self._begin
        if self._verbose and seconds - self._shown > 0.2:
            self._shown = seconds
            self._write(seconds, "")

    def end(self) -> None:
        if self._verbose:
            self._write(time.monotonic() - self._begin, "\n")

    def _write(self, seconds: float, end: str) -> None:
        rate = self._done / max(seconds, 1e-9)
        share = 100 * self._done / self._total
        sys.stderr.write(f"\rfits: {self._done} of {self._total} ({share:.0f} %), {rate:.0f} a second {end}")
        sys.stderr.flush()


def _tape_of(job: Job) -> tuple[RowTape | None, str]:
    """Of a start that is finite, if there is one among the first fits."""
    if job.matrix is not None:
        return None, "sigma is a matrix"
    if len(job.parameters.names) > _MOST_IN_LANES:
        return None, f"more than {_MOST_IN_LANES} parameters"
    free, held = job.parameters.free, job.parameters.held
    finite = (fit for fit in range(min(job.n_fits, 64)) if np.isfinite(job.start.item(fit)).all())
    fit = next(finite, None)
    start = job.parameters.start if fit is None else job.start.item(fit)
    bounds: tuple[Array | None, Array | None] = (None, None)
    if job.lower is not None and job.upper is not None:
        bounds = job.lower.item(fit or 0)[list(free)], job.upper.item(fit or 0)[list(free)]
    return look_at(job.f, free, held, start, job.x.item(0), job.n_variables, bounds)


# ---- in lanes ----


def _in_lanes(job: Job, rows: Any, start: int, stop: int, piece: Piece) -> tuple[Array, bool]:
    """Which fits are to be done again one by one, and whether the user interrupted."""
    size = stop - start
    free, held = list(job.parameters.free), list(job.parameters.held)
    y, weights = _data(job, start, stop)
    starts = np.ascontiguousarray(job.start.piece(start, stop)[..., free + held])
    lower = upper = None
    if job.lower is not None and job.upper is not None:
        lower, upper = (
            _as_rows(side.piece(start, stop)[..., free], size, len(free)) for side in (job.lower, job.upper)
        )
        starts = _as_rows(starts, size, len(free) + len(held))
        inside = (starts[:, : len(free)] >= lower) & (starts[:, : len(free)] <= upper)
        starts[~inside.all(axis=1)] = np.nan
    x = job.x.piece(start, stop)
    if job.n_variables > 0:
        x = np.ascontiguousarray(np.swapaxes(x, -1, -2))
    numbers = size, job.n_rows, len(free), x, y, weights
    found = _found(job, rows, numbers, starts, (lower, upper))
    if job.retry:
        _with_noise(job, rows, numbers, starts, (lower, upper), found)
    params, inverse, cost, condition, evaluations, used, status, held_by, interrupted = found
    n_left_out = np.count_nonzero(held_by, axis=1) if held_by.any() else np.zeros(size, np.int64)
    answered = status > 0
    again = (status == UNDETERMINED) | (status == OUT_OF_RANGE) | (answered & ~(condition <= _WORST_CONDITION))
    if job.retry:
        again |= (status == NO_MINIMUM) | (status == STUCK)
    status[(status == STUCK) | (status == _NOISE)] = NO_MINIMUM
    piece.n_evaluations[:] = evaluations
    piece.chi_squared[:] = np.where(answered, cost, np.nan)
    piece.dof[:] = np.where(answered, used - len(free) + n_left_out, 0)
    piece.condition[:] = np.where(answered, condition, np.nan)
    _scale(inverse, piece.chi_squared, piece.dof, answered, job.absolute_sigma)
    if n_left_out.any():
        is_held, is_lost = held_by == 1, held_by == 2
        for which, value in ((is_held, np.nan), (is_lost, np.inf)):
            inverse[which] = value
            np.swapaxes(inverse, 1, 2)[which] = value
        lost = is_lost.any(axis=1)
        if job.retry:  # where the model is flat there may be better elsewhere
            again |= lost & ~is_held.any(axis=1) & (cost > 0) & answered
        status[lost & answered] = UNDETERMINED
        piece.condition[lost & answered] = np.inf
        if lower is not None:
            signs = np.where(params <= lower, np.int8(-1), np.int8(1))
            piece.active[:, free] = np.where(is_held, signs, np.int8(0))
    piece.status[:] = status
    if held:
        values = np.broadcast_to(starts[..., len(free) :], (size, len(held)))
        piece.params[:, free] = params
        piece.params[:, held] = np.where(answered[:, None], values, np.nan)
        piece.covariance[...] = np.where(answered, 0.0, np.nan)[:, None, None]
        piece.covariance[:, np.array(free)[:, None], free] = inverse
    else:
        piece.params, piece.covariance = params, inverse
    piece.status[again] = NOT_DONE
    not_done = piece.status == NOT_DONE
    for values in (piece.params, piece.covariance, piece.chi_squared, piece.condition):
        values[not_done] = np.nan
    return again, bool(interrupted)


def _found(
    job: Job, rows: Any, numbers: tuple[Any, ...], starts: Array, bounds: tuple[Array | None, Array | None]
) -> tuple[Any, ...]:
    most_of_all = min(job.maxfev, _EVALUATIONS_IN_LANES) if job.retry else job.maxfev

    def search(starts: Array, wider: float = 1.0, most: int = most_of_all) -> tuple[Any, ...]:
        arguments: list[Any] = [rows, *numbers, starts, *bounds, most, LOSSES.index(job.loss), job.f_scale * wider]
        return _core.curve_fit_many(*arguments)

    size, _, n, *_ = numbers
    return search(starts) if job.loss == "linear" else _lower_ends(search, starts, size, n)


def _with_noise(
    job: Job,
    rows: Any,
    numbers: tuple[Any, ...],
    starts: Array,
    bounds: tuple[Array | None, Array | None],
    found: tuple[Any, ...],
) -> None:
    """Fits of noise without a minimum get the lowest one from other starts, or the status _NOISE."""
    size, n_rows, n, x, y, weights = numbers
    status = found[6]
    without = np.flatnonzero((status == NO_MINIMUM) | (status == STUCK))
    if not without.size or found[-1]:
        return
    which = without[like_noise(without, x, y, weights)]
    if not which.size:
        return

    def taken(values: Array | None) -> Array | None:
        return None if values is None else np.ascontiguousarray(values[which])

    x_of_these = x if job.x.shared else taken(x)
    weights_of_these = taken(weights) if weights is not None and weights.ndim > 1 and len(weights) == size else weights
    of_these = len(which), n_rows, n, x_of_these, taken(y), weights_of_these
    sides = taken(bounds[0]), taken(bounds[1])

    def search(other: Array) -> tuple[Any, ...]:
        if sides[0] is not None and sides[1] is not None:
            other[:, :n] = np.clip(other[:, :n], *sides)
        return _found(job, rows, of_these, other, sides)

    best = from_other_starts(search, _as_rows(starts, size, starts.shape[-1])[which], n, _WORST_CONDITION)
    best[4] += found[4][which]
    for all_of_them, values in zip(found[:-1], best, strict=True):
        all_of_them[which] = values
    status[which[best[6] <= 0]] = _NOISE


def _lower_ends(search: Callable[..., tuple[Any, ...]], starts: Array, size: int, n: int) -> tuple[Any, ...]:
    """With a loss, which has minima of its own: of the search from the start, and of one whose loss is wide at first
    and narrowed from search to search, the lower one of each fit."""
    direct = search(starts)
    now = _as_rows(starts, size, starts.shape[-1])
    evaluations = np.zeros(size, np.int32)
    narrowed = direct
    for wider in (*_WIDER, 1.0):
        if direct[-1] or narrowed[-1]:  # interrupted
            break
        narrowed = search(now, wider) if wider == 1 else search(now, wider, _ON_THE_WAY)
        evaluations += narrowed[4]
        there = np.isfinite(narrowed[0]).all(axis=1)
        now[there, :n] = narrowed[0][there]
    cost, status = direct[2], direct[6]
    better = (narrowed[6] > 0) & ((status <= 0) | (narrowed[2] < cost * (1 - 1e-9)))
    ends = [
        np.where(better.reshape(-1, *[1] * (one.ndim - 1)), other, one)
        for one, other in zip(direct[:-1], narrowed[:-1], strict=True)
    ]
    ends[4] = direct[4] + evaluations
    return (*ends, direct[-1] or narrowed[-1])


def _scale(inverse: Array, chi_squared: Array, dof: Array, answered: Array, absolute_sigma: bool) -> None:
    """Covariances from inverses of J'J."""
    if absolute_sigma:
        return
    with np.errstate(all="ignore"):
        inverse *= np.where(dof > 0, chi_squared / dof, np.inf)[:, None, None]
    inverse[(dof <= 0) & answered] = np.inf


def _as_rows(values: Array, size: int, n: int) -> Array:
    return np.broadcast_to(values, (size, n)).copy()


def _data(job: Job, start: int, stop: int) -> tuple[Array, Array | None]:
    """y and 1 / sigma of a piece; 0 for points that are left out, None if all count alike."""
    y = job.y.piece(start, stop).reshape(stop - start, job.n_rows)
    hidden = job.y.hidden(start, stop)
    gone = hidden
    if job.nan_policy is not None:
        missing = np.isnan(y)
        if missing.any():
            if job.nan_policy == "raise":
                _raise_at(job, missing if gone is None else missing & ~gone, start)
            gone = missing if gone is None else gone | missing
        if job.nan_policy == "omit":
            missing = np.isnan(job.x.piece(start, stop))
            if missing.any():
                missing = _of_points(missing, job.n_variables)
                gone = missing if gone is None else gone | missing
    if job.sigma is None:
        if gone is None:
            return y, None
        return y, np.ascontiguousarray(np.broadcast_to(~gone, y.shape), np.float64)
    sigma = job.sigma.piece(start, stop)
    masked = job.sigma.hidden(start, stop)
    gone = masked if gone is None else gone if masked is None else gone | masked
    if job.nan_policy == "omit":
        missing = np.isnan(sigma)
        gone = missing if gone is None else gone | missing
    with np.errstate(all="ignore"):
        weights = np.where(sigma > 0, 1.0 / sigma, np.nan)
    if gone is not None:
        weights = np.where(gone, 0.0, weights)
    return y, np.ascontiguousarray(weights)


def _of_points(missing: Array, n_variables: int) -> Array:
    if not n_variables:
        return missing
    return np.asarray(missing.any(axis=-2 if n_variables > 0 else -1))


def _raise_at(job: Job, missing: Array, start: int) -> None:
    if not missing.any():
        return
    fit, i = (int(k) for k in np.argwhere(missing)[0])
    at = [*map(int, np.unravel_index(start + fit, job.y.lead)), i] if job.y.lead else [i]
    raise ValueError(
        f"The input contains nan values: ydata[{', '.join(map(str, at))}] is nan; nan_policy='omit' leaves such points "
        "out, nan_policy=None gives such fits no answer"
    )


# ---- one by one ----


def _one_by_one(job: Job, fits: Sequence[int], first: int, piece: Piece) -> None:
    for fit in fits:
        _one(job, fit, fit - first, piece)


def _of_one(matrix: Array, mask: Array) -> Array:
    """Of points that are left out, variances of 1 that nobody uses."""
    if not mask.any():
        return matrix
    matrix = matrix.copy()
    matrix[mask] = 0.0
    matrix[:, mask] = 0.0
    matrix[mask, mask] = 1.0
    return matrix


def _one(job: Job, fit: int, at: int, piece: Piece) -> None:
    """By curve_fit; what it raises becomes a status."""
    for values in (piece.params, piece.covariance, piece.chi_squared, piece.condition):
        values[at] = np.nan
    piece.active[at] = piece.dof[at] = 0
    y, weights = _data(job, fit, fit + 1)
    y = y[0]
    free = list(job.parameters.free)
    mask = np.zeros(job.n_rows, bool)
    sigma = None
    if weights is not None:
        weights = np.broadcast_to(weights, (1, job.n_rows))[0]
        mask = weights == 0
        if job.sigma is not None:
            with np.errstate(all="ignore"):  # an error of inf would leave the point out
                sigma = np.where(mask, np.inf, np.minimum(1.0 / weights, np.finfo(np.float64).max))
    if job.n_rows - int(mask.sum()) < len(free):
        piece.status[at] = TOO_FEW
        return
    if not (np.isfinite(y[~mask]).all() and (weights is None or np.isfinite(weights).all())):
        piece.status[at] = BAD_DATA
        return
    start = job.start.item(fit)
    bounds: Any = UNBOUNDED
    if job.lower is not None and job.upper is not None:
        bounds = job.lower.item(fit), job.upper.item(fit)
        if not np.all((start >= bounds[0])[free] & (start <= bounds[1])[free]):
            piece.status[at] = BAD_START
            return
    if not np.isfinite(start).all():
        piece.status[at] = BAD_START
        return
    fixed = [i in job.parameters.held for i in range(len(start))] if job.parameters.held else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = curve_fit(
                job.f,
                job.x.item(fit),
                np.ma.array(y, mask=mask) if mask.any() else y,
                start,
                sigma if job.matrix is None else _of_one(job.matrix.item(fit), mask),
                job.absolute_sigma,
                bounds=bounds,
                fixed=fixed,
                **job.options,
            )
            piece.params[at] = found.params
            piece.covariance[at] = found.covariance
            piece.chi_squared[at] = found.chi_squared
            piece.dof[at] = found.dof
            piece.condition[at] = found.condition
            piece.active[at] = found.active
            piece.n_evaluations[at] += found.n_evaluations
            piece.derivatives = found.derivatives
            n_held = int(np.count_nonzero(found.active))
            piece.status[at] = FOUND if found.rank + n_held >= len(free) else UNDETERMINED
    except RuntimeError:
        piece.status[at] = NO_MINIMUM
    except (ValueError, TypeError, ArithmeticError) as error:
        piece.status[at] = NOT_FINITE if "not finite" in str(error) else BAD_DATA
