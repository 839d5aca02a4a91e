"""Step: how long each pixel of an image glows, a curve fit for every pixel.

A fluorescence microscope takes a stack of images after a flash. Each pixel fades at its own rate, which tells of what
is there. Here the brightness of a photo is the amplitude, its colours are the lifetimes, and photons are counted, so
that the answer is known. Some pixels of the camera are dead, and some are blinded for a while.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.optimize
from matplotlib.figure import Figure
from sklearn.datasets import load_sample_images

import mmlfast as mf
import mmlfast.optimize
from mmlfast.tour._frame import Tour

Array = np.ndarray[Any, Any]

_TIMES = np.linspace(0.0, 12.0, 60)  # nanoseconds
_SOME = 60  # pixels that SciPy fits


def decay(t: Any, amplitude: Any, lifetime: Any, background: Any) -> Any:
    return amplitude * np.exp(-t / lifetime) + background


class Stack(NamedTuple):
    counts: Array  # (height, width, times): photons, NaN where the camera saw nothing
    amplitude: Array
    lifetime: Array
    dead: Array


def run(tour: Tour) -> None:
    stack = _stack(step=8 if tour.quick else 3)
    height, width = stack.dead.shape
    start = [100, 2, 3]
    bounds = ([0, 0.1, 0], [np.inf, 50, np.inf])

    tour.say(f"{height * width} fits")

    def fit(where: Any = slice(None)) -> Any:
        return mf.optimize.curve_fit_many(
            decay, _TIMES, stack.counts[where], start, errors[where], True, bounds, nan_policy="omit"
        )

    # Counts vary by the roots of what is expected, which a first fit tells: those of the counts themselves would favour
    # pixels that happened to get few.
    errors = np.ones(stack.counts.shape)
    expected = decay(_TIMES, *np.moveaxis(fit().params, -1, 0)[..., None])
    errors = np.sqrt(np.maximum(expected, 1.0))
    fits = fit()
    alive = ~stack.dead
    wrong = (fits.status <= 0) != stack.dead
    tour.check(
        f"{height * width} pixels: dead ones, and no others, have no answer", error=float(wrong.mean()), limit=0.0
    )

    tour.say("beside SciPy")
    rows, columns = np.nonzero(alive & (fits.active == 0).all(axis=-1))
    chosen = np.linspace(0, len(rows) - 1, _SOME).astype(int)
    some = rows[chosen], columns[chosen]
    times = tour.race(
        lambda: fit(some), lambda: _scipy(stack.counts[some], errors[some], start, bounds), peer="scipy curve_fit"
    )
    theirs = _scipy(stack.counts[some], errors[some], start, bounds)
    excess = fits.chi_squared[some] / _chi_squared(stack.counts[some], errors[some], theirs) - 1
    tour.check(f"{_SOME} pixels: chi squared beside SciPy's", error=float(excess.max()), limit=1e-9, times=times)
    alone = fit((some[0][:1], some[1][:1]))
    tour.check(
        "a pixel alone: the same bits",
        error=float(np.abs(alone.params[0] - fits.params[some[0][0], some[1][0]]).max()),
        limit=0.0,
    )

    good = alive & (stack.amplitude > 40) & (fits.active == 0).all(axis=-1)
    distance = (fits["lifetime"] - stack.lifetime)[good] / fits.standard_errors[..., 1][good]
    inside = float(np.mean(np.abs(distance) < 1.96))
    tour.check(
        "lifetimes that are within 1.96 of their errors from the truth: 95 %", error=abs(inside - 0.95), limit=0.03
    )
    _picture(tour, stack, fits)


def _stack(step: int) -> Stack:
    photo = load_sample_images().images[1][::step, ::step] / 255.0
    rng = np.random.default_rng(2)
    amplitude = 5 + 395 * photo.mean(axis=2)
    lifetime = 0.8 + 2.5 * photo[..., 0] / (photo.sum(axis=2) + 0.05) * 1.5
    counts = rng.poisson(decay(_TIMES, amplitude[..., None], lifetime[..., None], 3.0)).astype(np.float64)
    dead = rng.uniform(size=amplitude.shape) < 0.01
    counts[dead] = np.nan
    blinded = rng.uniform(size=amplitude.shape) < 0.1
    counts[blinded, 20:30] = np.nan
    return Stack(counts, amplitude, lifetime, dead)


def _scipy(counts: Array, errors: Array, start: Any, bounds: Any) -> Array:
    out = []
    for y, sigma in zip(counts, errors, strict=True):
        seen = ~np.isnan(y)
        out.append(scipy.optimize.curve_fit(decay, _TIMES[seen], y[seen], start, sigma[seen], True, bounds=bounds)[0])
    return np.array(out)


def _chi_squared(counts: Array, errors: Array, params: Array) -> Array:
    return np.asarray(np.nansum(((decay(_TIMES, *params.T[..., None]) - counts) / errors) ** 2, axis=-1))


def _picture(tour: Tour, stack: Stack, fits: Any) -> None:
    figure = Figure(figsize=(13, 7), layout="constrained")
    figure.suptitle(f"A curve fit in each of {stack.dead.size} pixels", fontsize=14)
    axes = figure.subplots(2, 3)
    first, later = np.nan_to_num(stack.counts[..., [0, 25]]).transpose(2, 0, 1)
    limits = (0.5, 3.5)
    shown: list[tuple[Any, str, dict[str, Any]]] = [
        (first, "photons at once", {"cmap": "gray"}),
        (later, f"photons after {_TIMES[25]:.1f} ns (black: blinded)", {"cmap": "gray"}),
        (stack.lifetime, "true lifetimes (ns)", {"cmap": "viridis", "vmin": limits[0], "vmax": limits[1]}),
        (fits["lifetime"], "fitted lifetimes (white: dead)", {"cmap": "viridis", "vmin": limits[0], "vmax": limits[1]}),
        (fits.standard_errors[..., 1], "their standard errors", {"cmap": "magma", "vmin": 0, "vmax": 0.5}),
    ]
    for panel, (values, title, options) in zip(axes.flat, shown, strict=False):
        image = panel.imshow(values, **options)
        panel.set_title(title)
        panel.set_axis_off()
        figure.colorbar(image, ax=panel, shrink=0.7)
    panel = axes.flat[5]
    alive = np.argwhere(~stack.dead & (fits.active == 0).all(axis=-1))
    t = np.linspace(0, _TIMES[-1], 200)
    for number, (i, j) in enumerate(alive[np.linspace(0, len(alive) - 1, 3).astype(int)]):
        panel.plot(_TIMES, stack.counts[i, j], ".", color=f"C{number}", markersize=4)
        panel.plot(t, decay(t, *fits.params[i, j]), color=f"C{number}")
    panel.set_title("three pixels")
    panel.set_xlabel("ns")
    panel.set_ylabel("photons")
    tour.save(figure, "decay_images")
