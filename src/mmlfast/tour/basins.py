"""Step: from which start to which root. A million starts of Newton's method for z^3 = 1 in the complex plane.

The three basins touch each other everywhere: beside every point of the boundary of two of them there is the third
(Cayley asked in 1879 how the plane is shared out, and could not say).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import newton as scipy_newton

import mmlfast as mf
from mmlfast.tour._frame import Tour

Array = np.ndarray[Any, Any]

_EDGE = 1.5
_COLOURS = np.array([[0.16, 0.33, 0.62], [0.90, 0.45, 0.13], [0.20, 0.56, 0.35]])


def cube(z: Any) -> Any:
    """z^3 = 1, as two real equations."""
    x, y = z[0], z[1]
    return np.stack([x**3 - 3 * x * y**2 - 1, 3 * x**2 * y - y**3])


def run(tour: Tour) -> None:
    n = 200 if tour.quick else 1000
    side = np.linspace(-_EDGE, _EDGE, n)
    starts = np.stack(np.meshgrid(side, side), axis=-1)
    tour.say(f"{n * n} starts")
    found = mf.optimize.newton_many(cube, starts, disp=False)
    z = found.x @ np.array([1, 1j])
    tour.check("starts that have found no root", error=float(np.sum(~found.converged)) / found.status.size, limit=1e-5)
    tour.check("the roots, cubed", error=float(np.nanmax(np.abs(z**3 - 1))), limit=1e-14)

    # On the real line there is a peer that takes an array of starts: SciPy's newton.
    tour.say("starts of a cubic on a line")
    line = np.linspace(-2, 2, n * n)
    ours = mf.optimize.newton_many(lambda x: x**3 - x, line, disp=False)
    times = tour.race(
        lambda: mf.optimize.newton_many(lambda x: x**3 - x, line, disp=False),
        lambda: scipy_newton(lambda x: x**3 - x, line, lambda x: 3 * x**2 - 1, maxiter=100),
        peer="scipy newton on the array",
        pairs=0 if tour.quick else 2,
    )
    error = float(np.abs(ours.x - np.round(ours.x)).max())
    tour.check(f"the roots of x^3 - x from {line.size} starts", error=error, limit=1e-15, times=times)
    _picture(tour, found, z)


def _picture(tour: Tour, found: Any, z: Array) -> None:
    which = np.round(3 * np.angle(np.where(found.converged, z, 1)) / (2 * np.pi)).astype(int) % 3
    light = 1 - 0.75 * np.minimum(found.n_iter, 24) / 24
    colours = 1 - (1 - _COLOURS[which]) * light[..., np.newaxis]
    figure = Figure(figsize=(8.6, 8.2), layout="constrained")
    figure.suptitle(f"z^3 = 1: the root that each of {found.status.size} starts finds, lighter the longer", fontsize=14)
    axes = figure.subplots()
    axes.imshow(colours, origin="lower", extent=(-_EDGE, _EDGE, -_EDGE, _EDGE), interpolation="nearest")
    roots = np.exp(2j * np.pi * np.arange(3) / 3)
    axes.plot(roots.real, roots.imag, "o", color="black", markeredgecolor="white", markersize=9, label="roots")
    axes.set_xlabel("real part of the start")
    axes.set_ylabel("imaginary part")
    axes.legend()
    tour.save(figure, "basins")
