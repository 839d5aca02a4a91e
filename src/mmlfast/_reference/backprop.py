"""Backpropagation through dense layers, written out. Weights may be complex, for complex-step derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import erf

Array = np.ndarray[Any, Any]
Layers = list[tuple[Array, Array]]

# Of z and the number of the activation, for those that have one.
FUNCTIONS: dict[str, Any] = {
    "identity": lambda z, p: z,
    "logistic": lambda z, p: 1 / (1 + np.exp(-z)),
    "tanh": lambda z, p: np.tanh(z),
    "relu": lambda z, p: np.where(z.real > 0, z, 0),
    "leaky_relu": lambda z, p: np.where(z.real > 0, z, p * z),
    "elu": lambda z, p: np.where(z.real > 0, z, p * (np.exp(z) - 1)),
    "gelu": lambda z, p: z * (1 + erf(z / np.sqrt(2))) / 2,
    "silu": lambda z, p: z / (1 + np.exp(-z)),
    "softplus": lambda z, p: np.log(1 + np.exp(z)),
}
# The derivative from the value.
SLOPES: dict[str, Any] = {
    "identity": np.ones_like,
    "logistic": lambda a: a * (1 - a),
    "tanh": lambda a: 1 - a * a,
    "relu": lambda a: (a.real > 0).astype(a.dtype),
}
# Of an error, or of what goes into the logistic; each number's loss. The sign, because abs is not analytic.
LOSSES: dict[str, Any] = {
    "squared_error": lambda out, y, p: (out - y) ** 2 / 2,
    "absolute_error": lambda out, y, p: (out - y) * np.sign((out - y).real),
    "huber": lambda out, y, p: np.where(
        np.abs((out - y).real) <= p, (out - y) ** 2 / 2, p * ((out - y) * np.sign((out - y).real) - p / 2)
    ),
    "binary_cross_entropy": lambda z, y, p: np.log(1 + np.exp(z)) - y * z,
}


def apart(choice: Any) -> tuple[str, float]:
    """Name and number of an activation or a loss."""
    if isinstance(choice, str):
        return choice, {"leaky_relu": 0.01}.get(choice, 1.0)
    name, number = choice
    return str(name), float(number)


def activate(choice: Any, z: Array) -> Any:
    if callable(choice):
        return choice(z)
    name, p = apart(choice)
    return FUNCTIONS[name](z, p)


def softmax(z: Array) -> Array:
    e = np.exp(z - z.real.max(axis=1, keepdims=True))
    out: Array = e / e.sum(axis=1, keepdims=True)
    return out


def all_values(layers: Layers, activations: list[str], x: Array) -> list[Array]:
    """x, then what comes out of each layer. The last of the activations is that of the output."""
    values = [x]
    for (w, b), name in zip(layers, activations, strict=True):
        z = values[-1] @ w + b
        values.append(softmax(z) if name == "softmax" else activate(name, z))
    return values


def forward(layers: Layers, activations: list[str], x: Array) -> Array:
    return all_values(layers, activations, x)[-1]


def loss(
    layers: Layers, activations: list[Any], x: Array, y: Array, name: Any = None, weights: Array | None = None
) -> Any:
    """The weighted mean over samples; y holds labels if the output is a softmax."""
    share = (np.ones(len(x)) if weights is None else weights) / (len(x) if weights is None else weights.sum())
    if activations[-1] == "softmax":
        z = forward(layers, [*activations[:-1], "identity"], x)
        highest = z.real.max(axis=1, keepdims=True)
        log_sum = np.log(np.exp(z - highest).sum(axis=1)) + highest[:, 0]
        return (share * (log_sum - z[np.arange(len(x)), y])).sum()
    if callable(name):
        return (share * name(forward(layers, activations, x), y).sum(axis=1)).sum()
    kind, p = apart(name or "squared_error")
    through = [*activations[:-1], "identity"] if kind == "binary_cross_entropy" else activations
    return (share * LOSSES[kind](forward(layers, through, x), y, p).sum(axis=1)).sum()


def gradients(layers: Layers, activations: list[str], x: Array, y: Array) -> Layers:
    values = all_values(layers, activations, x)
    if activations[-1] == "softmax":
        delta = values[-1].copy()
        delta[np.arange(len(x)), y] -= 1
    else:
        delta = (values[-1] - y) * SLOPES[activations[-1]](values[-1])
    delta = delta / np.asarray(len(x), delta.dtype)
    out = []
    for layer in reversed(range(len(layers))):
        out.append((values[layer].T @ delta, delta.sum(axis=0)))
        if layer > 0:
            delta = (delta @ layers[layer][0].T) * SLOPES[activations[layer - 1]](values[layer])
    return out[::-1]


def mix(x: int) -> int:
    """One number of splitmix64."""
    low = 2**64 - 1
    x = (x + 0x9E3779B97F4A7C15) & low
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & low
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & low
    return x ^ (x >> 31)


def order_of_epoch(n: int, seed: int, epoch: int) -> Array:
    """The permutation that `fit` visits the samples in."""
    order = np.arange(n)
    key = mix((mix(seed) + epoch) % 2**64)
    for i in range(n - 1, 0, -1):
        j = (mix((key + i) % 2**64) * (i + 1)) >> 64
        order[[i, j]] = order[[j, i]]
    return order


def fit(
    layers: Layers,
    activations: list[str],
    x: Array,
    y: Array,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    momentum: float = 0.0,
    shuffle: bool = True,
    seed: int = 0,
) -> tuple[Layers, Array]:
    """The trained layers and the loss of each epoch."""
    layers = [(w.copy(), b.copy()) for w, b in layers]
    velocity = [(np.zeros_like(w), np.zeros_like(b)) for w, b in layers]
    losses = np.zeros(epochs)
    for epoch in range(epochs):
        order = order_of_epoch(len(x), seed, epoch) if shuffle else np.arange(len(x))
        for start in range(0, len(x), batch_size):
            batch = order[start : start + batch_size]
            losses[epoch] += float(loss(layers, activations, x[batch], y[batch])) * len(batch) / len(x)
            step = gradients(layers, activations, x[batch], y[batch])
            for part, v, g in zip(layers, velocity, step, strict=True):
                for parameter, speed, slope in zip(part, v, g, strict=True):
                    speed *= momentum
                    speed -= learning_rate * slope
                    parameter += speed
    return layers, losses
