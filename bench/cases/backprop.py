"""Training of dense networks: one epoch of mini-batch gradient descent with momentum, from given weights."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cached_property, partial
from itertools import pairwise
from typing import Any

import numpy as np

from bench.harness import Case, Faster, Goal, Job, Setup
from mmlfast._reference import backprop as reference
from mmlfast.neural_network import Network

Array = np.ndarray[Any, Any]

RATE, MOMENTUM = 0.01, 0.9


class Task:
    """The samples, the initial weights, and the weights that an exact epoch leads to."""

    def __init__(self, sizes: list[int], batch: int, steps: int, output: str, dtype: Any, rng: np.random.Generator):
        self.sizes, self.batch, self.output, self.dtype = sizes, batch, output, np.dtype(dtype)
        n = batch * steps
        self.x = rng.standard_normal((n, sizes[0])).astype(dtype)
        if output == "softmax":
            self.y = rng.integers(0, sizes[-1], n)
        else:
            self.y = rng.standard_normal((n, sizes[-1])).astype(dtype)
        self.network = self.new_network()
        self.layers = list(zip(self.network.weights, self.network.biases, strict=True))

    def new_network(self) -> Network:
        loss = "cross_entropy" if self.output == "softmax" else "squared_error"
        return Network(self.sizes, output=self.output, loss=loss, dtype=self.dtype)

    @cached_property
    def exact(self) -> list[tuple[Array, Array]]:
        """Weights and biases after the epoch, in float64."""
        layers = [(w.astype(np.float64), b.astype(np.float64)) for w, b in self.layers]
        names = ["tanh"] * (len(self.sizes) - 2) + [self.output]
        y = self.y if self.output == "softmax" else self.y.astype(np.float64)
        return reference.fit(
            layers,
            names,
            self.x.astype(np.float64),
            y,
            epochs=1,
            batch_size=self.batch,
            learning_rate=RATE,
            momentum=MOMENTUM,
            shuffle=False,
        )[0]

    def error(self, answer: list[Array]) -> float:
        """`answer` has the weights of all layers after the epoch."""
        pairs = zip(answer, self.exact, strict=True)
        return max(float(np.abs(np.asarray(w) - right).max() / np.abs(right).max()) for w, (right, _) in pairs)


def ours(task: Task) -> Callable[[], list[Array]]:
    net = task.new_network()

    def epoch() -> list[Array]:
        net.weights, net.biases = [w for w, _ in task.layers], [b for _, b in task.layers]
        net.fit(task.x, task.y, epochs=1, batch_size=task.batch, learning_rate=RATE, momentum=MOMENTUM, shuffle=False)
        return net.weights

    return epoch


def with_sklearn(task: Task, module: Any) -> Callable[[], list[Array]]:
    """Its own loop over the mini-batches, all options off; one iteration from given weights through warm_start."""
    kind = module.MLPClassifier if task.output == "softmax" else module.MLPRegressor
    model = kind(
        hidden_layer_sizes=task.sizes[1:-1],
        activation="tanh",
        solver="sgd",
        alpha=0.0,
        batch_size=task.batch,
        learning_rate_init=RATE,
        momentum=MOMENTUM,
        nesterovs_momentum=False,
        shuffle=False,
        max_iter=1,
        warm_start=True,
    )

    def epoch() -> list[Array]:
        if hasattr(model, "coefs_"):
            model.coefs_ = [w.copy() for w, _ in task.layers]
            model.intercepts_ = [b.copy() for _, b in task.layers]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one iteration is what we want
            model.fit(task.x, task.y)
        coefs: list[Array] = model.coefs_
        return coefs

    epoch()
    return epoch


def with_torch(task: Task, torch: Any) -> Callable[[], list[Array]]:
    """The usual loop: Sequential, SGD, views of the samples."""
    parts: list[Any] = []
    for n_in, n_out in pairwise(task.sizes):
        parts += [torch.nn.Linear(n_in, n_out), torch.nn.Tanh()]
    model = torch.nn.Sequential(*parts[:-1]).to(getattr(torch, task.dtype.name))
    initial = [torch.from_numpy(a.T.copy()) for layer in task.layers for a in layer]
    if task.output == "softmax":
        loss_of = torch.nn.CrossEntropyLoss()
    else:
        loss_of = lambda out, y: 0.5 * (out - y).square().sum() / len(y)  # noqa: E731
    x, y = torch.from_numpy(task.x), torch.from_numpy(task.y)

    def epoch() -> list[Array]:
        with torch.enable_grad():
            with torch.no_grad():
                for parameter, value in zip(model.parameters(), initial, strict=True):
                    parameter.copy_(value)
            optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)
            for start in range(0, len(x), task.batch):
                optimizer.zero_grad()
                loss_of(model(x[start : start + task.batch]), y[start : start + task.batch]).backward()
                optimizer.step()
        return [part.weight.detach().numpy().T for part in model if hasattr(part, "weight")]

    return epoch


def with_jax(task: Task, jax: Any) -> Callable[[], list[Array]]:
    """The whole epoch compiled: a scan over the mini-batches."""
    np_ = jax.numpy
    labels = task.output == "softmax"

    def loss(layers: Any, x: Any, y: Any) -> Any:
        for w, b in layers[:-1]:
            x = np_.tanh(x @ w + b)
        z = x @ layers[-1][0] + layers[-1][1]
        if not labels:
            return 0.5 * ((z - y) ** 2).sum() / len(x)
        return (jax.nn.logsumexp(z, axis=1) - z[np_.arange(len(x)), y]).mean()

    def step(state: Any, batch: Any) -> Any:
        layers, speeds = state
        slopes = jax.grad(loss)(layers, *batch)
        speeds = jax.tree.map(lambda v, g: MOMENTUM * v - RATE * g, speeds, slopes)
        return (jax.tree.map(lambda w, v: w + v, layers, speeds), speeds), 0

    @jax.jit  # type: ignore[untyped-decorator]
    def scan(layers: Any, x: Any, y: Any) -> Any:
        speeds = jax.tree.map(np_.zeros_like, layers)
        return jax.lax.scan(step, (layers, speeds), (x, y))[0][0]

    steps = len(task.x) // task.batch
    x = jax.device_put(task.x.reshape(steps, task.batch, -1))
    y = jax.device_put(task.y.reshape(steps, task.batch, *task.y.shape[1:]))
    layers = jax.device_put(task.layers)

    def epoch() -> list[Array]:
        return [w for w, _ in jax.block_until_ready(scan(layers, x, y))]

    epoch()
    return epoch


def training(sizes: list[int], batch: int, steps: int, output: str, dtype: Any, setup: Setup) -> Job:
    task = Task(sizes, batch, steps, output, dtype, setup.rng)
    weights = [n_in * n_out for n_in, n_out in pairwise(sizes)]
    # Forward and gradient in all layers, delta in all but the first.
    flops = 2.0 * len(task.x) * (3 * sum(weights) - weights[0])
    job = Job(
        task.error, "largest difference of the weights after the epoch / largest weight", flops=flops, dtype=dtype
    )
    job.ours(ours(task))
    if sklearn := setup.library("sklearn.neural_network"):
        job.peer("sklearn", with_sklearn(task, sklearn))
    if torch := setup.library("torch"):
        job.peer("torch", with_torch(task, torch))
    if jax := setup.library("jax"):
        job.peer("jax scan", with_jax(task, jax))
    return job


def case(name: str, sizes: list[int], batch: int, steps: int, output: str, dtype: Any, *goals: Goal) -> Case:
    shape = "-".join(map(str, sizes))
    title = f"training {shape}, batch {batch}, {np.dtype(dtype).name}, {steps} steps"
    return Case(f"backprop-{name}", title, partial(training, sizes, batch, steps, output, dtype), goals)


CASES = [
    case("tiny", [2, 8, 2], 32, 100, "identity", np.float64, Faster(15, "sklearn"), Faster(15, "torch")),
    case("small", [64, 32, 10], 32, 50, "softmax", np.float64, Faster(8, "sklearn"), Faster(8, "torch")),
    case("mnist", [784, 128, 10], 128, 20, "softmax", np.float32, Faster(1.5, "sklearn"), Faster(1.5, "torch")),
]
