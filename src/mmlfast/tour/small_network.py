"""Step: small networks that learn a curve and a surface, in frames as they learn.

A network with one input and two outputs draws: its input goes once around, and the point that it gives follows a closed
curve. Another one learns a landscape over the plane. Both are trained in one call each, and the first beside the same
training written in NumPy, sample by sample in the same order: after hundreds of steps the weights agree.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import mmlfast as mf
from mmlfast.tour._frame import Tour

Array = np.ndarray[Any, Any]
Layers = list[tuple[Array, Array]]

_SIZES = (1, 6, 7, 2)
_BATCH = 20
_RATE, _MOMENTUM = 0.5, 0.9
_FRAMES = (0.0, 0.004, 0.02, 0.1, 1.0)  # shares of the training


def run(tour: Tour) -> None:
    angle, points = _clover()
    start = mf.neural_network.Network(_SIZES, activation="logistic", seed=0)

    tour.say("the same training in NumPy")
    few = 50
    ours = copy.copy(start)
    _fit(ours, angle, points, few)
    theirs = _trained_by_numpy(start, angle, points, few)
    errors = [np.abs(a - b).max() for a, b in zip([*ours.weights, *ours.biases], _arrays(theirs), strict=True)]
    tour.check(
        f"weights after {few} epochs, {few * len(angle) // _BATCH} steps, beside NumPy's",
        error=float(np.max(errors)),
        limit=1e-9,  # a difference of a last digit grows along the way
        times=tour.race(
            lambda: _fit(copy.copy(start), angle, points, few),
            lambda: _trained_by_numpy(start, angle, points, few),
            peer="numpy, the same steps",
        ),
    )

    tour.say("learning a curve")
    curve_frames, curve = _learn(start, angle, points, 4000 if tour.quick else 20_000)
    tour.check("the curve: mean distance from the points", error=_distance(curve, angle, points), limit=0.05)

    tour.say("learning a surface")
    places, heights = _landscape()
    surface_frames, surface = _learn(
        mf.neural_network.Network([2, 16, 16, 1], activation="tanh", seed=1),
        places,
        heights,
        200 if tour.quick else 1000,
        rate=0.05,
    )
    tour.check("the surface: mean distance from its heights", error=_distance(surface, places, heights), limit=0.05)
    _picture(tour, (angle, points, curve_frames), (heights, surface_frames))


def _clover() -> tuple[Array, Array]:
    angle = np.linspace(-np.pi, np.pi, 100)[:, None]
    radius = 0.65 + 0.25 * np.cos(3 * angle)
    return angle, np.hstack([radius * np.cos(angle), radius * np.sin(angle)])


def _landscape() -> tuple[Array, Array]:
    """Two hills and a hollow, at 30 x 30 places."""
    side = np.linspace(-2, 2, 30)
    x, y = (a.ravel() for a in np.meshgrid(side, side))
    heights = np.exp(-((x - 0.8) ** 2) - y**2) + 0.7 * np.exp(-2 * (x + 1) ** 2 - (y - 0.9) ** 2)
    heights = heights - 0.8 * np.exp(-2 * (x + 0.6) ** 2 - 2 * (y + 1) ** 2)
    return np.stack([x, y], axis=1), heights[:, None]


def _fit(network: Any, x: Array, y: Array, epochs: int, rate: float = _RATE, *, shuffle: bool = False) -> Any:
    return network.fit(x, y, epochs=epochs, batch_size=_BATCH, learning_rate=rate, momentum=_MOMENTUM, shuffle=shuffle)


def _learn(network: Any, x: Array, y: Array, epochs: int, rate: float = _RATE) -> tuple[list[tuple[int, Array]], Any]:
    """What a copy of the network gives after some epochs, and the copy at the end: a fit goes on where it stopped."""
    learner = copy.copy(network)
    frames = []
    for share in _FRAMES:
        more = math.ceil(share * epochs) - learner.epoch
        if more:
            _fit(learner, x, y, more, rate, shuffle=True)
        frames.append((learner.epoch, np.asarray(learner.forward(x))))
    return frames, learner


def _distance(network: Any, x: Array, y: Array) -> float:
    return float(np.linalg.norm(network.forward(x) - y, axis=1).mean())


def _trained_by_numpy(network: Any, x: Array, y: Array, epochs: int) -> Layers:
    layers = [(w.copy(), b.copy()) for w, b in zip(network.weights, network.biases, strict=True)]
    velocity = [(np.zeros_like(w), np.zeros_like(b)) for w, b in layers]
    for _ in range(epochs):
        for first in range(0, len(x), _BATCH):
            signals = [x[first : first + _BATCH]]
            for w, b in layers[:-1]:
                signals.append(1 / (1 + np.exp(-(signals[-1] @ w + b))))
            w, b = layers[-1]
            delta = (signals[-1] @ w + b - y[first : first + _BATCH]) / len(signals[0])
            for number in range(len(layers) - 1, -1, -1):
                a = signals[number]
                slopes = a.T @ delta, delta.sum(axis=0)
                if number:
                    delta = (delta @ layers[number][0].T) * a * (1 - a)
                for parameter, v, slope in zip(layers[number], velocity[number], slopes, strict=True):
                    v *= _MOMENTUM
                    v -= _RATE * slope
                    parameter += v
    return layers


def _arrays(layers: Layers) -> list[Array]:
    return [w for w, _ in layers] + [b for _, b in layers]


def _picture(tour: Tour, curve: tuple[Array, Array, Any], surface: tuple[Array, Any]) -> None:
    _, points, curves = curve
    heights, surfaces = surface
    figure = Figure(figsize=(15, 6.4), layout="constrained")
    figure.suptitle("Two small networks as they learn: a curve, and a surface", fontsize=14)
    rows = figure.subplots(2, len(_FRAMES) + 1)
    for axes, (epochs, drawn) in zip(rows[0], [*curves, (0, points)], strict=True):
        axes.plot(*points.T, color="0.75", linewidth=5)
        if drawn is not points:
            axes.plot(*drawn.T, color="black", linewidth=1.2)
        axes.set(xlim=(-1.2, 1.2), ylim=(-1.2, 1.2), aspect="equal")
        axes.set_title("what it should draw" if drawn is points else f"epoch {epochs}")
        axes.set_axis_off()
    limit = float(np.abs(heights).max())
    for axes, (epochs, values) in zip(rows[1], [*surfaces, (0, heights)], strict=True):
        sheet = values.reshape(30, 30)
        image = axes.imshow(sheet, origin="lower", cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="bilinear")
        if np.ptp(sheet) > 0:
            axes.contour(sheet, np.linspace(-0.7, 0.9, 9), colors="black", linewidths=0.5)
        axes.set_title("the surface" if values is heights else f"epoch {epochs}")
        axes.set_axis_off()
    figure.colorbar(image, ax=list(rows[1]), shrink=0.8)
    tour.save(figure, "small_network")
