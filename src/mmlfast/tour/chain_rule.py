"""Step: the chain rule of a small network, one step after the other, and beside backpropagation.

A tape is the list of steps by which a number is computed. Read from bottom to top, every step passes its derivative on
to what it was computed from: that is the chain rule, and for a network it is called backpropagation. The flowers are
those of the iris step (R. A. Fisher, 1936), which come with scikit-learn.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_iris

import mmlfast as mf
from mmlfast.tour._frame import Tour

Array = np.ndarray[Any, Any]

_U = float(np.finfo(np.float64).eps) / 2
_SIZES = (4, 5, 3)


def run(tour: Tour) -> None:
    iris = load_iris()
    x = (iris.data - iris.data.mean(axis=0)) / iris.data.std(axis=0)
    wanted = np.eye(3)[iris.target]
    network = mf.neural_network.Network(_SIZES, activation="tanh", seed=1)
    weights = np.concatenate([np.append(w.ravel(), b) for w, b in zip(network.weights, network.biases, strict=True)])

    def loss(v: Array) -> Any:
        at, signal = 0, x
        for n_in, n_out in pairwise(_SIZES):
            w = v[at : at + n_in * n_out].reshape(n_in, n_out)
            b = v[at + n_in * n_out : at + (n_in + 1) * n_out]
            signal, at = signal @ w + b, at + (n_in + 1) * n_out
            if at < len(v):
                signal = np.tanh(signal)
        return np.sum((signal - wanted) ** 2) / (2 * len(x))

    tour.say("the chain rule beside backpropagation")
    gradient = mf.autodiff.grad(loss)
    layers = network.gradients(x, wanted)
    expected = np.concatenate([np.append(w.ravel(), b) for w, b in layers])
    tour.check(
        f"gradient of {len(weights)} weights over {len(x)} flowers, by the tape of plain NumPy",
        error=float(np.abs(gradient(weights) - expected).max() / np.abs(expected).max()),
        limit=200 * _U,
        times=tour.race(
            lambda: gradient(weights),
            lambda: [loss(weights + step) for step in 1e-6 * np.eye(len(weights))],
            peer="numpy, rise over run",
        ),
    )
    direction = np.cos(np.arange(len(weights)))
    _, bend = mf.autodiff.jvp(gradient, (weights,), (direction,))
    h = 1e-5
    central = (gradient(weights + h * direction) - gradient(weights - h * direction)) / (2 * h)
    tour.check("Hessian times a vector", error=float(np.abs(bend - central).max() / np.abs(bend).max()), limit=1e-7)

    tour.say("one neuron, step by step")
    _picture(tour, np.array([0.5, -1.2, 0.7]))


def neuron(v: Array) -> Any:
    """The squared error of a neuron with weight v[0] and bias v[1] that sees v[2] and should say 1."""
    return (np.tanh(v[0] * v[2] + v[1]) - 1) ** 2


def _picture(tour: Tour, v: Array) -> None:
    table = mf.autodiff.trace(neuron, v).trace_table(v)
    words = ["weight", "bias", "input", "weight x input", "+ bias", "tanh", "- 1", "squared: the loss"]
    places = [(0, 0), (1, 2), (0, 2), (1, 1), (2, 1), (3, 1), (4, 1), (5, 1)]
    arrows = [(0, 3), (2, 3), (3, 4), (1, 4), (4, 5), (5, 6), (6, 7)]
    figure = Figure(figsize=(12.5, 5), layout="constrained")
    figure.suptitle("The chain rule of one neuron: values go right, derivatives of the loss come back", fontsize=14)
    axes = figure.subplots()
    axes.set_axis_off()
    axes.set_xlim(-0.5, 5.6)
    axes.set_ylim(-0.5, 2.6)
    for word, place, value, slope in zip(words, places, table.values, table.derivatives, strict=True):
        axes.annotate(
            f"{word}\n{value:.4f}\n",
            place,
            ha="center",
            va="center",
            zorder=3,
            bbox={"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": "black"},
        )
        axes.annotate(f"{slope:.4f}", place, (0, -15), textcoords="offset points", ha="center", color="C3", zorder=4)
    for start, end in arrows:
        step = {"arrowstyle": "-|>", "color": "black", "shrinkA": 40, "shrinkB": 40}
        axes.annotate("", places[end], places[start], arrowprops=step)
        axes.annotate(
            "", places[start], places[end], arrowprops={**step, "color": "C3", "connectionstyle": "arc3,rad=-0.25"}
        )
    axes.annotate("black: the number that a step computes", (0.0, -0.35))
    axes.annotate("red: how much the loss changes with it", (2.2, -0.35), color="C3")
    tour.save(figure, "chain-rule")
