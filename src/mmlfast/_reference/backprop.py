"""Backpropagation through dense layers, written out. Weights may be complex, for complex-step derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Layers = list[tuple[Array, Array]]

FUNCTIONS: dict[str, Any] = {
    "identity": lambda z: z,
    "logistic": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": np.tanh,
    "relu": lambda z: np.where(z.real > 0, z, 0),
}
# The derivative from the value.
SLOPES: dict[str, Any] = {
    "identity": np.ones_like,
    "logistic": lambda a: a * (1 - a),
    "tanh": lambda a: 1 - a * a,
    "relu": lambda a: (a.real > 0).astype(a.dtype),
}


def softmax(z: Array) -> Array:
    e = np.exp(z - z.real.max(axis=1, keepdims=True))
    out: Array = e / e.sum(axis=1, keepdims=True)
    return out


def all_values(layers: Layers, activations: list[str], x: Array) -> list[Array]:
    """x, then what comes out of each layer. The last of the activations is that of the output."""
    values = [x]
    for (w, b), name in zip(layers, activations, strict=True):
        z = values[-1] @ w + b
        values.append(softmax(z) if name == "softmax" else FUNCTIONS[name](z))
    return values


def forward(layers: Layers, activations: list[str], x: Array) -> Array:
    return all_values(layers, activations, x)[-1]


def loss(layers: Layers, activations: list[str], x: Array, y: Array) -> Any:
    """The mean over samples; y holds labels if the output is a softmax."""
    if activations[-1] != "softmax":
        error = forward(layers, activations, x) - y
        return (error * error).sum() / (2 * len(x))
    z = forward(layers, [*activations[:-1], "identity"], x)
    highest = z.real.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(z - highest).sum(axis=1)) + highest[:, 0]
    return (log_sum - z[np.arange(len(x)), y]).sum() / len(x)


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
