"""Training of many small networks of one architecture, which differ in their first weights and in their rates."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from bench.harness import Case, Faster, Job, Setup
from mmlfast.neural_network import Network, fit_many

Array = np.ndarray[Any, Any]
Layers = list[tuple[Array, Array]]

SIZES, N_NETS, N_SAMPLES, BATCH, EPOCHS, MOMENTUM = [2, 8, 2], 256, 1600, 32, 20, 0.9


class Seconds(float):
    weights: list[Array]


class Task:
    def __init__(self, rng: np.random.Generator):
        self.x = rng.standard_normal((N_SAMPLES, 2)).astype(np.float32)
        self.y = np.stack([self.x[:, 0] * self.x[:, 1], np.tanh(self.x[:, 0])], axis=1)
        self.rates = rng.uniform(0.005, 0.02, N_NETS)
        self.networks = [Network(SIZES, dtype=np.float32, seed=i) for i in range(N_NETS)]
        first = [list(zip(n.weights, n.biases, strict=True)) for n in self.networks]
        self.first = first
        self.stacked: Layers = [
            (np.stack([net[layer][0] for net in first]), np.stack([net[layer][1] for net in first]))
            for layer in range(len(SIZES) - 1)
        ]

    @cached_property
    def exact(self) -> list[Array]:
        """The weights after all epochs, in float64."""
        return numpy_stack(self, np.float64)()

    def error(self, answer: Any) -> float:
        """`answer` has the weights of a layer of all networks, or of the first, in each array."""
        pairs = zip(answer.weights if isinstance(answer, Seconds) else answer, self.exact, strict=True)
        return max(float(np.abs(np.asarray(w) - right[: len(w)]).max() / np.abs(right).max()) for w, right in pairs)


def ours(task: Task) -> Callable[[], list[Array]]:
    def train() -> list[Array]:
        for network, layers in zip(task.networks, task.first, strict=True):
            network.reset()
            network.weights, network.biases = [w for w, _ in layers], [b for _, b in layers]
        fit_many(
            task.networks, task.x, task.y, epochs=EPOCHS, batch_size=BATCH, shuffle=False, momentum=MOMENTUM,
            learning_rate=task.rates.tolist(),
        )  # fmt: skip
        return [np.stack(w) for w in zip(*(n.weights for n in task.networks), strict=True)]

    return train


def numpy_stack(task: Task, dtype: Any) -> Callable[[], list[Array]]:
    """All networks at once, as stacks of matrices."""
    x, y = task.x.astype(dtype), task.y.astype(dtype)
    rates = task.rates.astype(dtype)[:, None, None]

    def train() -> list[Array]:
        (w1, b1), (w2, b2) = [(w.astype(dtype), b.astype(dtype)[:, None]) for w, b in task.stacked]
        weights = [w1, b1, w2, b2]
        speeds = [np.zeros_like(w) for w in weights]
        for _ in range(EPOCHS):
            for start in range(0, N_SAMPLES, BATCH):
                at, goal = x[start : start + BATCH], y[start : start + BATCH]
                h = np.tanh(at @ w1 + b1)
                d = (h @ w2 + b2 - goal) / dtype(BATCH)
                e = (d @ w2.transpose(0, 2, 1)) * (1 - h * h)
                gradients = [at.T @ e, e.sum(1, keepdims=True), h.transpose(0, 2, 1) @ d, d.sum(1, keepdims=True)]
                for w, v, g in zip(weights, speeds, gradients, strict=True):
                    v *= dtype(MOMENTUM)
                    v -= rates * g
                    w += v
        return [w1, w2]

    return train


def with_torch(task: Task, torch: Any) -> Callable[[], Seconds]:
    """The usual loop, for one network; its time is counted for all."""
    x, y = torch.from_numpy(task.x), torch.from_numpy(task.y)

    def one(layers: Layers, rate: float) -> list[Array]:
        parts: list[Any] = []
        for (n_in, n_out), (w, b) in zip(pairwise(SIZES), layers, strict=True):
            linear = torch.nn.Linear(n_in, n_out)
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(w.T.copy()))
                linear.bias.copy_(torch.from_numpy(b))
            parts += [linear, torch.nn.Tanh()]
        model = torch.nn.Sequential(*parts[:-1])
        optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=MOMENTUM)
        for _ in range(EPOCHS):
            for start in range(0, N_SAMPLES, BATCH):
                optimizer.zero_grad()
                error = model(x[start : start + BATCH]) - y[start : start + BATCH]
                (0.5 * error.square().sum() / BATCH).backward()
                optimizer.step()
        return [part.weight.detach().numpy().T for part in model if hasattr(part, "weight")]

    def train() -> Seconds:
        start = time.perf_counter()
        with torch.enable_grad():
            weights = one(task.first[0], float(task.rates[0]))
        seconds = Seconds((time.perf_counter() - start) * N_NETS)
        seconds.weights = [w[None] for w in weights]
        return seconds

    return train


def with_jax(task: Task, jax: Any) -> Callable[[], list[Array]]:
    """A scan over all steps, compiled, with all networks side by side by vmap."""
    np_ = jax.numpy

    def loss(layers: Any, x: Any, y: Any) -> Any:
        (w1, b1), (w2, b2) = layers
        return 0.5 * ((np_.tanh(x @ w1 + b1) @ w2 + b2 - y) ** 2).sum() / len(x)

    def train_one(layers: Any, rate: Any, x: Any, y: Any) -> Any:
        def step(state: Any, batch: Any) -> Any:
            layers, speeds = state
            slopes = jax.grad(loss)(layers, *batch)
            speeds = jax.tree.map(lambda v, g: MOMENTUM * v - rate * g, speeds, slopes)
            return (jax.tree.map(lambda w, v: w + v, layers, speeds), speeds), 0

        def epoch(state: Any, _: Any) -> Any:
            return jax.lax.scan(step, state, (x, y))[0], 0

        zeros = jax.tree.map(np_.zeros_like, layers)
        return jax.lax.scan(epoch, (layers, zeros), None, length=EPOCHS)[0][0]

    train = jax.jit(jax.vmap(train_one, in_axes=(0, 0, None, None)))
    steps = N_SAMPLES // BATCH
    x = jax.device_put(task.x.reshape(steps, BATCH, -1))
    y = jax.device_put(task.y.reshape(steps, BATCH, -1))
    layers, rates = jax.device_put(task.stacked), jax.device_put(task.rates.astype(np.float32))

    def run() -> list[Array]:
        return [w for w, _ in jax.block_until_ready(train(layers, rates, x, y))]

    run()
    return run


def many(setup: Setup) -> Job:
    task = Task(setup.rng)
    job = Job(task.error, "largest difference of the weights after all epochs / largest weight", dtype=np.float32)
    job.ours(ours(task))
    job.peer("numpy stack", numpy_stack(task, np.float32))
    if torch := setup.library("torch"):
        job.peer("torch loop, 1 scaled", with_torch(task, torch))
        job.contestants[-1].timed = True
    if jax := setup.library("jax"):
        job.peer("jax vmap", with_jax(task, jax))
    return job


CASES = [
    Case(
        "backprop-many",
        f"fit_many, {N_NETS} networks 2-8-2, batch {BATCH}, float32, {EPOCHS * N_SAMPLES // BATCH} steps",
        many,
        (Faster(4, "jax"), Faster(300, "torch"), Faster(1)),
    )
]
