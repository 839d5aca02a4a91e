"""Step: ways down a curved valley, from one start, and the plane of learning rate and momentum.

Steepest descent zigzags, momentum swings, BFGS learns the curvature, Newton's method has it. The plane shows for which
rates and momenta descent arrives, and how soon: 40 000 runs as one call.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import minimize, rosen, rosen_der

import mmlfast as mf
from mmlfast.tour._frame import Tour

Array = np.ndarray[Any, Any]

_START = (-1.2, 1.0)
_STEPS = 400


def valley(v: Any) -> Any:
    """Rosenbrock's, less steep."""
    return (1 - v[0]) ** 2 + 20 * (v[1] - v[0] ** 2) ** 2


def rosenbrock(x: Any) -> Any:
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def bowl(v: Any) -> Any:
    """Ten times steeper in one direction than in the other."""
    return 0.5 * v[0] ** 2 + 5 * v[1] ** 2


def run(tour: Tour) -> None:
    tour.say("ways down")
    paths = _paths()
    for name, (points, error) in paths.items():
        if name in ("descent", "momentum", "BFGS", "Newton"):
            tour.check(f"{name}: {len(points) - 1} steps to the lowest point", error=error, limit=1e-6)
    n = 10
    start = np.full(n, 0.5)
    ours = mf.optimize.minimize(rosenbrock, start, method="bfgs")
    times = tour.race(
        lambda: mf.optimize.minimize(rosenbrock, start, method="bfgs"),
        lambda: minimize(rosen, start, jac=rosen_der, method="BFGS"),
        peer="scipy BFGS with the gradient",
    )
    tour.check(f"Rosenbrock, n = {n}, by BFGS", error=float(np.abs(ours.x - 1).max()), limit=1e-12, times=times)

    side = 60 if tour.quick else 200
    tour.say(f"{side * side} rates and momenta")
    rates, momenta = np.linspace(0, 0.4, side + 1)[1:], np.linspace(0, 1, side, endpoint=False)
    plane = mf.optimize.gradient_descent(
        bowl, [1.0, 1.0], learning_rate=rates[:, np.newaxis], momentum=momenta, max_iter=_STEPS, tol=1e-6
    )
    x = _by_numpy(rates, momenta)
    bounded = mf.optimize.gradient_descent(
        bowl, [1.0, 1.0], learning_rate=rates[:, np.newaxis], momentum=momenta, max_iter=_STEPS, tol=0.0
    )
    size = np.maximum(np.abs(x), 1e-9)
    times = tour.race(
        lambda: mf.optimize.gradient_descent(
            bowl, [1.0, 1.0], learning_rate=rates[:, np.newaxis], momentum=momenta, max_iter=_STEPS, tol=0.0
        ),
        lambda: _by_numpy(rates, momenta),
        peer="numpy on all runs at once",
    )
    error = float(np.nanmax(np.abs(bounded.x - x) / size))
    tour.check(f"{side * side} runs of {_STEPS} steps", error=error, limit=1e-8, times=times)
    _picture_of_paths(tour, paths)
    _picture_of_the_plane(tour, rates, momenta, plane)


def _paths() -> dict[str, tuple[Array, float]]:
    """All x of each way, and how far its end is from the lowest point."""
    options = {"return_all": True}
    many: dict[str, Any] = {"learning_rate": 0.004, "max_iter": 30_000, "path": True}
    runs = {
        "descent": mf.optimize.gradient_descent(valley, _START, **many),
        "momentum": mf.optimize.gradient_descent(valley, _START, momentum=0.9, **many),
        "Nesterov": mf.optimize.gradient_descent(valley, _START, momentum=0.9, nesterov=True, **many),
        "BFGS": mf.optimize.minimize(valley, _START, method="bfgs", options=options),
        "Newton": mf.optimize.minimize(valley, _START, method="newton", options=options),
    }
    return {
        name: (np.array(r.path if "path" in r else r.allvecs), float(np.abs(r.x - 1).max())) for name, r in runs.items()
    }


def _by_numpy(rates: Array, momenta: Array) -> Array:
    """Every run at once, as arrays."""
    rate, momentum = rates[:, np.newaxis, np.newaxis], momenta[:, np.newaxis]
    x = np.ones((len(rates), len(momenta), 2))
    v = np.zeros_like(x)
    curvature = np.array([1.0, 10.0])
    for _ in range(_STEPS):
        v = momentum * v - rate * (curvature * x)
        x = x + v
    return x


def _picture_of_paths(tour: Tour, paths: dict[str, tuple[Array, float]]) -> None:
    figure = Figure(figsize=(10, 7.4), layout="constrained")
    figure.suptitle("Ways down a curved valley", fontsize=14)
    axes = figure.subplots()
    x, y = np.meshgrid(np.linspace(-1.8, 1.6, 300), np.linspace(-0.9, 2.1, 300))
    axes.contourf(x, y, np.log10(valley([x, y]) + 1e-3), 24, cmap="Greys")
    for name, (points, _) in paths.items():
        axes.plot(*points.T, ".-", markersize=4, linewidth=1.2, label=f"{name}: {len(points) - 1} steps")
    axes.plot(1, 1, "*", color="gold", markeredgecolor="black", markersize=16)
    axes.set_xlim(-1.8, 1.6)
    axes.set_ylim(-0.9, 2.1)
    axes.legend(loc="lower left")
    tour.save(figure, "descent-paths")


def _picture_of_the_plane(tour: Tour, rates: Array, momenta: Array, plane: Any) -> None:
    figure = Figure(figsize=(9.4, 7), layout="constrained")
    figure.suptitle(f"Learning rate and momentum: steps of {plane.nit.size} runs on a bowl", fontsize=14)
    axes = figure.subplots()
    steps = np.where(plane.success, plane.nit, np.nan)
    shown = axes.pcolormesh(momenta, rates, steps, cmap="viridis_r", norm="log", shading="nearest")
    figure.colorbar(shown, ax=axes, label="steps (white: it does not arrive)")
    axes.plot(momenta, 2 * (1 + momenta) / 10, color="black", label="2 (1 + momentum) / largest curvature")
    best = (1 - np.sqrt(rates)) ** 2
    axes.plot(best, rates, "--", color="crimson", linewidth=1.5, label="critical damping of the flat direction")
    axes.set_xlim(0, 1)
    axes.set_ylim(rates[0], rates[-1])
    axes.set_xlabel("momentum")
    axes.set_ylabel("learning rate")
    axes.legend(loc="upper left")
    tour.save(figure, "descent-plane")
