"""Training of dense networks: one epoch of mini-batches from given weights, by momentum or by AdamW."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cached_property, partial
from itertools import pairwise
from typing import Any

import numpy as np

from bench.harness import Case, Faster, Goal, Job, Setup, Share
from mmlfast._reference import backprop as reference
from mmlfast.neural_network import Network

Array = np.ndarray[Any, Any]

RATE, MOMENTUM = 0.01, 0.9
ADAM_RATE, BETAS, EPSILON, DECAY = 0.001, (0.9, 0.99), 1e-8, 0.01


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

    @cached_property
    def exact_adamw(self) -> list[tuple[Array, Array]]:
        """The same by AdamW, as the papers have it."""
        layers = [(w.astype(np.float64), b.astype(np.float64)) for w, b in self.layers]
        names = ["tanh"] * (len(self.sizes) - 2) + [self.output]
        moments = [[(np.zeros_like(w), np.zeros_like(b)) for w, b in layers] for _ in range(2)]
        for step, start in enumerate(range(0, len(self.x), self.batch)):
            part = slice(start, start + self.batch)
            y = self.y[part] if self.output == "softmax" else self.y[part].astype(np.float64)
            slopes = reference.gradients(layers, names, self.x[part].astype(np.float64), y)
            grow = [1 - beta ** (step + 1) for beta in BETAS]
            for layer, slope, *kept in zip(layers, slopes, *moments, strict=True):
                layer[0][...] *= 1 - ADAM_RATE * DECAY
                for w, g, m, v in zip(layer, slope, *kept, strict=True):
                    m += (1 - BETAS[0]) * (g - m)
                    v += (1 - BETAS[1]) * (g * g - v)
                    w -= ADAM_RATE * (m / grow[0]) / (np.sqrt(v / grow[1]) + EPSILON)
        return layers

    def error(self, answer: list[Array], adamw: bool = False) -> float:
        """`answer` has the weights of all layers after the epoch."""
        pairs = zip(answer, self.exact_adamw if adamw else self.exact, strict=True)
        return max(float(np.abs(np.asarray(w) - right).max() / np.abs(right).max()) for w, (right, _) in pairs)


def ours(task: Task, adamw: bool = False) -> Callable[[], list[Array]]:
    net = task.new_network()
    how: dict[str, Any] = {"learning_rate": RATE, "momentum": MOMENTUM}
    if adamw:
        how = {"learning_rate": ADAM_RATE, "optimizer": "adamw", "weight_decay": DECAY}
        how |= {"beta1": BETAS[0], "beta2": BETAS[1], "epsilon": EPSILON}

    def epoch() -> list[Array]:
        net.weights, net.biases = [w for w, _ in task.layers], [b for _, b in task.layers]
        if adamw:
            net._velocity = net._second = None  # each epoch from the same state
        net.fit(task.x, task.y, epochs=1, batch_size=task.batch, shuffle=False, **how)
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


def torch_adamw(torch: Any, model: Any) -> Any:
    groups = [
        {"params": [p for p in model.parameters() if p.ndim == 2], "weight_decay": DECAY},
        {"params": [p for p in model.parameters() if p.ndim == 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=ADAM_RATE, betas=BETAS, eps=EPSILON, fused=True)


def with_torch(task: Task, torch: Any, adamw: bool = False) -> Callable[[], list[Array]]:
    """The usual loop: Sequential, SGD or AdamW, views of the samples."""
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
            if adamw:
                optimizer = torch_adamw(torch, model)
            else:
                optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)
            for start in range(0, len(x), task.batch):
                optimizer.zero_grad()
                loss_of(model(x[start : start + task.batch]), y[start : start + task.batch]).backward()
                optimizer.step()
        return [part.weight.detach().numpy().T for part in model if hasattr(part, "weight")]

    return epoch


def with_jax(task: Task, jax: Any, adamw: bool = False) -> Callable[[], list[Array]]:
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

    def adamw_step(state: Any, batch: Any) -> Any:
        layers, first, second, t = state
        slopes = jax.grad(loss)(layers, *batch)
        first = jax.tree.map(lambda m, g: m + (1 - BETAS[0]) * (g - m), first, slopes)
        second = jax.tree.map(lambda v, g: v + (1 - BETAS[1]) * (g * g - v), second, slopes)
        grow = [1 - beta**t for beta in BETAS]

        def moved(w: Any, m: Any, v: Any) -> Any:
            kept = w * (1 - ADAM_RATE * DECAY) if w.ndim == 2 else w
            return kept - (ADAM_RATE * (m / grow[0]) / (np_.sqrt(v / grow[1]) + EPSILON)).astype(w.dtype)

        return (jax.tree.map(moved, layers, first, second), first, second, t + 1), 0

    @jax.jit  # type: ignore[untyped-decorator]
    def scan(layers: Any, x: Any, y: Any) -> Any:
        zeros = jax.tree.map(np_.zeros_like, layers)
        if adamw:
            return jax.lax.scan(adamw_step, (layers, zeros, zeros, np_.ones((), task.dtype)), (x, y))[0][0]
        return jax.lax.scan(step, (layers, zeros), (x, y))[0][0]

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


def training_by_adamw(sizes: list[int], batch: int, steps: int, output: str, dtype: Any, setup: Setup) -> Job:
    task = Task(sizes, batch, steps, output, dtype, setup.rng)
    error = partial(task.error, adamw=True)
    job = Job(error, "largest difference of the weights after the epoch / largest weight", dtype=dtype)
    job.ours(ours(task, True))
    job.yardstick("plain SGD", ours(task))
    if torch := setup.library("torch"):
        job.peer("torch", with_torch(task, torch, True))
    if jax := setup.library("jax"):
        job.peer("jax scan", with_jax(task, jax, True))
    return job


def adamw_case(name: str, sizes: list[int], batch: int, steps: int, output: str, dtype: Any) -> Case:
    shape = "-".join(map(str, sizes))
    title = f"AdamW, {shape}, batch {batch}, {np.dtype(dtype).name}, {steps} steps"
    build = partial(training_by_adamw, sizes, batch, steps, output, dtype)
    return Case(f"backprop-adamw-{name}", title, build, (Faster(1), Share(0.8, "plain SGD")))


def case(name: str, sizes: list[int], batch: int, steps: int, output: str, dtype: Any, *goals: Goal) -> Case:
    shape = "-".join(map(str, sizes))
    title = f"training {shape}, batch {batch}, {np.dtype(dtype).name}, {steps} steps"
    return Case(f"backprop-{name}", title, partial(training, sizes, batch, steps, output, dtype), goals)


CASES = [
    case("tiny", [2, 8, 2], 32, 100, "identity", np.float64, Faster(8, "jax"), Faster(1)),
    case("small", [64, 32, 10], 32, 50, "softmax", np.float64, Faster(2.8, "jax"), Faster(1)),
    case("mnist", [784, 128, 10], 128, 20, "softmax", np.float32, Faster(2.5), Faster(2.5, "jax")),
    adamw_case("tiny", [2, 8, 2], 32, 100, "identity", np.float64),
    adamw_case("small", [64, 32, 10], 32, 50, "softmax", np.float64),
    adamw_case("mnist", [784, 128, 10], 128, 20, "softmax", np.float32),
]
