"""Backprop: passes of mini-batch gradient descent over a small table, from the same weights for everybody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

import mmlfast as mf
from bench.harness import Case, Faster, Job, Setup

Array = np.ndarray[Any, Any]
Layers = list[tuple[Array, Array]]  # W of (n_in, n_out) and b of each layer

RATE = 0.01


@dataclass(frozen=True)
class Task:
    """A network with one hidden layer, its data and its weights at the start."""

    x: Array
    y: Array
    start: Layers
    batch: int
    activation: str  # tanh or relu
    labels: bool  # softmax and cross-entropy; else identity and half the squared norm

    @property
    def sizes(self) -> tuple[int, ...]:
        return (self.x.shape[1], *(b.size for _, b in self.start))

    def copy(self) -> Layers:
        return [(w.copy(), b.copy()) for w, b in self.start]


def task(sizes: tuple[int, int, int], rows: int, batch: int, activation: str, dtype: str, setup: Setup) -> Task:
    labels = sizes[2] > 2
    x = setup.rng.standard_normal((rows, sizes[0])).astype(dtype)
    outputs = np.tanh(x @ setup.rng.standard_normal((sizes[0], sizes[2]))).astype(dtype)
    start = [
        ((setup.rng.standard_normal((m, n)) / np.sqrt(m)).astype(dtype), np.zeros(n, dtype)) for m, n in pairwise(sizes)
    ]
    return Task(x, outputs.argmax(axis=1) if labels else outputs, start, batch, activation, labels)


def reference(t: Task) -> Layers:
    """One pass in float64, the chain rule written out."""
    (w1, b1), (w2, b2) = [(w.astype(np.float64), b.astype(np.float64)) for w, b in t.start]
    for i in range(0, len(t.x), t.batch):
        x, y = t.x[i : i + t.batch].astype(np.float64), t.y[i : i + t.batch]
        z = x @ w1 + b1
        h = np.tanh(z) if t.activation == "tanh" else np.maximum(z, 0)
        out = h @ w2 + b2
        if t.labels:
            p = np.exp(out - out.max(axis=1, keepdims=True))
            delta = p / p.sum(axis=1, keepdims=True) - np.eye(out.shape[1])[y]
        else:
            delta = out - y
        delta = delta / len(x)
        back = (delta @ w2.T) * (1 - h * h if t.activation == "tanh" else z > 0)
        w1, b1 = w1 - RATE * x.T @ back, b1 - RATE * back.sum(axis=0)
        w2, b2 = w2 - RATE * h.T @ delta, b2 - RATE * delta.sum(axis=0)
    return [(w1, b1), (w2, b2)]


def weights_error(right: Layers, start: Layers, read: Callable[[], Layers]) -> float:
    """Largest error of a weight over the largest change of its layer, after the first pass."""
    found = read()
    return max(
        float(np.abs(got - want).max() / np.abs(want - first).max())
        for layer in zip(found, right, start, strict=True)
        for got, want, first in zip(*layer, strict=True)
    )


def ours(t: Task) -> tuple[Callable[[], Any], Callable[[], Layers]]:
    output, loss = ("softmax", "cross_entropy") if t.labels else ("identity", "squared_error")
    net: Any = mf.neural_network.Network(t.sizes, activation=t.activation, output=output, loss=loss, dtype=t.x.dtype)
    for layer, (w, b) in enumerate(t.copy()):
        net.weights[layer][...] = w
        net.biases[layer][...] = b

    def run() -> None:
        net.fit(t.x, t.y, epochs=1, batch_size=t.batch, learning_rate=RATE, shuffle=False)

    return run, lambda: list(zip(net.weights, net.biases, strict=True))


def sklearn_way(neural_network: Any, t: Task) -> tuple[Callable[[], Any], Callable[[], Layers]]:
    kind = neural_network.MLPClassifier if t.labels else neural_network.MLPRegressor
    net = kind(
        hidden_layer_sizes=t.sizes[1:-1], activation=t.activation, solver="sgd", alpha=0.0, batch_size=t.batch,
        learning_rate_init=RATE, momentum=0.0, nesterovs_momentum=False, shuffle=False, random_state=0,
    )  # fmt: skip
    more = {"classes": np.arange(t.sizes[-1])} if t.labels else {}
    net.partial_fit(t.x[: t.batch], t.y[: t.batch], **more)  # builds the layers
    for layer, (w, b) in enumerate(t.copy()):
        net.coefs_[layer][...] = w
        net.intercepts_[layer][...] = b
    return lambda: net.partial_fit(t.x, t.y), lambda: list(zip(net.coefs_, net.intercepts_, strict=True))


def torch_way(torch: Any, t: Task) -> tuple[Callable[[], Any], Callable[[], Layers]]:
    function = torch.nn.Tanh() if t.activation == "tanh" else torch.nn.ReLU()
    linear = [torch.nn.Linear(*w.shape, dtype=torch.from_numpy(w).dtype) for w, _ in t.start]
    for layer, (w, b) in zip(linear, t.copy(), strict=True):
        layer.weight.copy_(torch.from_numpy(w).T)
        layer.bias.copy_(torch.from_numpy(b))
    net = torch.nn.Sequential(linear[0], function, linear[1])
    optimizer = torch.optim.SGD(net.parameters(), lr=RATE, fused=True)
    batches = list(zip(torch.from_numpy(t.x).split(t.batch), torch.from_numpy(t.y).split(t.batch), strict=True))

    def run() -> None:
        with torch.enable_grad():
            for x, y in batches:
                optimizer.zero_grad(set_to_none=True)
                out = net(x)
                if t.labels:
                    loss = torch.nn.functional.cross_entropy(out, y)
                else:
                    loss = 0.5 * torch.nn.functional.mse_loss(out, y, reduction="sum") / len(x)
                loss.backward()
                optimizer.step()

    return run, lambda: [(a.weight.detach().numpy().T, a.bias.detach().numpy()) for a in linear]


def jax_way(jax: Any, t: Task) -> tuple[Callable[[], Any], Callable[[], Layers]]:
    np_ = jax.numpy
    function = np_.tanh if t.activation == "tanh" else jax.nn.relu
    x = jax.device_put(t.x.reshape(-1, t.batch, t.x.shape[1]))
    y = jax.device_put(t.y.reshape(-1, t.batch, *t.y.shape[1:]))

    def loss(layers: Any, x: Any, y: Any) -> Any:
        (w1, b1), (w2, b2) = layers
        out = function(x @ w1 + b1) @ w2 + b2
        if t.labels:
            return -np_.take_along_axis(jax.nn.log_softmax(out), y[:, None], axis=1).mean()
        return 0.5 * ((out - y) ** 2).sum(axis=1).mean()

    def step(layers: Any, data: Any) -> Any:
        slopes = jax.grad(loss)(layers, *data)
        return jax.tree.map(lambda w, dw: w - np_.asarray(RATE, w.dtype) * dw, layers, slopes), None

    whole = jax.jit(lambda layers, x, y: jax.lax.scan(step, layers, (x, y))[0])
    state = [jax.device_put(t.copy())]

    def run() -> None:
        state[0] = jax.block_until_ready(whole(state[0], x, y))

    return run, lambda: [(np.asarray(w), np.asarray(b)) for w, b in state[0]]


def training(sizes: tuple[int, int, int], rows: int, batch: int, activation: str, dtype: str, setup: Setup) -> Job:
    t = task(sizes, rows, batch, activation, dtype, setup)
    right = reference(t)
    job = Job(dtype=dtype, error_name="largest error of a weight / largest change in its layer, after the first pass")
    job.flops = 6.0 * rows * (sizes[0] * sizes[1] + sizes[1] * sizes[2])
    job.limit = 1e-3 if dtype == "float32" else 1e-9

    def named(way: tuple[Callable[[], Any], Callable[[], Layers]]) -> Callable[[], Any]:
        run, read = way

        def epoch() -> Callable[[], Layers]:
            run()
            return read

        return epoch

    job.error = partial(weights_error, right, t.start)
    job.ours(named(ours(t)))
    if sklearn := setup.library("sklearn.neural_network"):
        job.peer("sklearn", named(sklearn_way(sklearn, t)))
    if torch := setup.library("torch"):
        job.peer("torch", named(torch_way(torch, t)))
    if jax := setup.library("jax"):
        job.peer("jax scan", named(jax_way(jax, t)))
    return job


def _case(sizes: tuple[int, int, int], steps: int, batch: int, activation: str, dtype: str, goal: float) -> Case:
    layers = "-".join(map(str, sizes))
    return Case(
        f"backprop-{layers}-{dtype}",
        f"training {layers}, {steps} steps, batch {batch}, {dtype}",
        partial(training, sizes, steps * batch, batch, activation, dtype),
        (Faster(goal, "torch"), Faster(goal, "sklearn")),
    )


CASES = [
    _case((2, 8, 2), 32, 32, "tanh", "float64", 15),
    _case((2, 8, 2), 32, 32, "tanh", "float32", 15),
    _case((64, 32, 10), 32, 32, "tanh", "float64", 8),
    _case((64, 32, 10), 32, 32, "tanh", "float32", 8),
    _case((784, 128, 10), 16, 128, "relu", "float32", 1.5),
]
