"""Step: 256 seeds in one sheet. What does a network owe to its data, and what to the dice?

Networks of three hidden units learn a chessboard of two by two fields from points. All see the same points in the same
order; they differ by nothing but their initial weights. Some find the board, some find half of it and stay there.
`fit_many` trains them side by side, each to the bit as if it were alone; the peer trains all of them at once in NumPy,
by products of stacks of matrices.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import mmlfast as mf
import mmlfast.neural_network
from mmlfast.tour._frame import Tour

Array = np.ndarray[Any, Any]

_SEEDS = 256
_HIDDEN = 3
_BATCH = 32
_RATE, _MOMENTUM = 0.3, 0.9
_HOW: dict[str, Any] = {"batch_size": _BATCH, "learning_rate": _RATE, "momentum": _MOMENTUM, "shuffle": False}
_SIDE = 20  # of the small maps


def run(tour: Tour) -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (256, 2))
    y = (x[:, 0] * x[:, 1] > 0).astype(float)
    networks = [_network(seed) for seed in range(_SEEDS)]

    tour.say("beside a stack of matrices in NumPy")
    few = 40
    found = mf.neural_network.fit_many(list(map(copy.copy, networks)), x, y, epochs=few, **_HOW)
    stacks = _trained_by_numpy(networks, x, y, few)
    errors = [np.abs(stack - ours).max() for stack, ours in zip(stacks, _stacks(found.networks), strict=True)]
    tour.check(
        f"weights of {_SEEDS} networks after {few} epochs, beside NumPy's",
        error=float(np.max(errors)),
        limit=1e-9,
        times=tour.race(
            lambda: mf.neural_network.fit_many(list(map(copy.copy, networks)), x, y, epochs=few, **_HOW),
            lambda: _trained_by_numpy(networks, x, y, few),
            peer="numpy, all at once",
        ),
    )

    tour.say(f"{_SEEDS} trainings")
    epochs = 150 if tour.quick else 600
    found = mf.neural_network.fit_many(networks, x, y, epochs=epochs, **_HOW)
    alone = _network(77)
    losses = alone.fit(x, y, epochs=epochs, **_HOW)
    differences = [np.abs(a - b).max() for a, b in zip(_stacks([alone]), _stacks([found.networks[77]]), strict=True)]
    differences.append(np.abs(losses - found.losses[77]).max())
    tour.check("one of them alone: the same bits", error=float(np.max(differences)), limit=0.0)
    wrong = np.array([np.mean(network.predict(x) != y) for network in found.networks])
    tour.check(
        f"points that the best seed has wrong; the worst: {100 * wrong.max():.0f} %",
        error=float(wrong.min()),
        limit=0.06,
    )
    _sheet(tour, found.networks, wrong)


def _network(seed: int) -> Any:
    return mf.neural_network.Network(
        [2, _HIDDEN, 1], activation="tanh", output="logistic", loss="binary_cross_entropy", seed=seed
    )


def _stacks(networks: Any) -> list[Array]:
    """Weights and biases of both layers, each of all networks in one array."""
    return [
        np.stack([parameter[layer] for parameter in found])
        for layer in (0, 1)
        for found in ([n.weights for n in networks], [n.biases for n in networks])
    ]


def _trained_by_numpy(networks: Any, x: Array, y: Array, epochs: int) -> list[Array]:
    w1, b1, w2, b2 = parameters = _stacks(networks)
    velocities = [np.zeros_like(p) for p in parameters]
    for _ in range(epochs):
        for first in range(0, len(x), _BATCH):
            a = x[first : first + _BATCH]
            hidden = np.tanh(a @ w1 + b1[:, None])
            out = 1 / (1 + np.exp(-(hidden @ w2 + b2[:, None])))
            delta = (out - y[first : first + _BATCH, None]) / len(a)
            below = (delta @ w2.transpose(0, 2, 1)) * (1 - hidden**2)
            slopes = a.T @ below, below.sum(axis=1), hidden.transpose(0, 2, 1) @ delta, delta.sum(axis=1)
            for parameter, velocity, slope in zip(parameters, velocities, slopes, strict=True):
                velocity *= _MOMENTUM
                velocity -= _RATE * slope
                parameter += velocity
    return parameters


def _sheet(tour: Tour, networks: Any, wrong: Array) -> None:
    """A small map of each network's answers, those with the fewest errors first."""
    side = np.linspace(-1, 1, _SIDE)
    places = np.stack([a.ravel() for a in np.meshgrid(side, side)], axis=1)
    edge = int(np.sqrt(_SEEDS))
    sheet = np.full((edge * (_SIDE + 1), edge * (_SIDE + 1)), np.nan)
    for place, number in enumerate(np.argsort(wrong, kind="stable")):
        i, j = (_SIDE + 1) * np.array(divmod(place, edge))
        sheet[i : i + _SIDE, j : j + _SIDE] = networks[number].forward(places).reshape(_SIDE, _SIDE)
    figure = Figure(figsize=(9, 9.4), layout="constrained")
    axes = figure.subplots()
    axes.imshow(sheet[:-1, :-1], cmap="RdBu_r", vmin=0, vmax=1, interpolation="nearest")
    good = int(np.sum(wrong < 0.06))
    axes.set_title(f"{_SEEDS} seeds, one chessboard: {good} have fewer than 6 % wrong; the best first")
    axes.set_axis_off()
    tour.save(figure, "many_seeds")
