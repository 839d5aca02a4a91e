"""Training of networks: optimizers, schedules, dropout, shifts, validation, what goes on and what is kept."""

from __future__ import annotations

import copy
import io
import math
import pickle
from typing import Any

import numpy as np
import pytest
from cases import saying
from interrupts import interrupt

import mmlfast as mf
from mmlfast._reference import backprop as reference
from mmlfast.neural_network import Network

Array = np.ndarray[Any, Any]


def task(rng: Any, n: int = 60) -> tuple[Array, Array]:
    x = rng.normal(size=(n, 3))
    return x, np.c_[x[:, 0] - x[:, 1] ** 2, np.sin(3 * x[:, 2])]


def parameters(net: Network) -> list[Array]:
    return [*net.weights, *net.biases]


def same(one: Network, other: Network) -> None:
    for a, b in zip(parameters(one), parameters(other), strict=True):
        np.testing.assert_array_equal(a, b)


# ---- optimizers ----


def numpy_fit(net: Network, x: Array, y: Array, steps: int, rate: float, how: dict[str, Any]) -> list[Array]:
    """Whole-batch steps as the papers have them. Weights and biases in turn."""
    layers = [(w.copy(), b.copy()) for w, b in zip(net.weights, net.biases, strict=True)]
    names = [*net.activation, net.output]
    flat = [a for layer in layers for a in layer]
    first, second = ([np.zeros_like(a) for a in flat] for _ in range(2))
    momentum, decay = how.get("momentum", 0.0), how.get("weight_decay", 0.0)
    beta1, beta2, epsilon = how.get("beta1", 0.9), how.get("beta2", 0.999), how.get("epsilon", 1e-8)
    for t in range(1, steps + 1):
        gradients = [g for pair in reference.gradients(layers, names, x, y) for g in pair]
        norm = math.sqrt(sum(float((g * g).sum()) for g in gradients))
        clip = min(1.0, how.get("clip_norm", math.inf) / norm)
        for i, (w, slope, m, v) in enumerate(zip(flat, gradients, first, second, strict=True)):
            g = slope * clip
            if i % 2 == 0:
                w *= 1 - rate * decay
            if how.get("optimizer", "sgd") == "sgd":
                m[...] = momentum * m + g
                w -= rate * (g + momentum * m if how.get("nesterov") else m)
            else:
                m[...] = beta1 * m + (1 - beta1) * g
                v[...] = beta2 * v + (1 - beta2) * g * g
                w -= rate * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + epsilon)
    return flat


WAYS: list[tuple[float, dict[str, Any]]] = [
    (0.1, {}),
    (0.1, {"momentum": 0.9}),
    (0.1, {"momentum": 0.9, "nesterov": True}),
    (0.1, {"momentum": 0.5, "weight_decay": 0.3}),
    (0.01, {"optimizer": "adam"}),
    (0.02, {"optimizer": "adam", "beta1": 0.8, "beta2": 0.99, "epsilon": 1e-3}),
    (0.01, {"optimizer": "adamw", "weight_decay": 0.5}),
    (0.1, {"momentum": 0.9, "clip_norm": 0.05}),
    (0.01, {"optimizer": "adamw", "weight_decay": 0.1, "clip_norm": 0.01, "epsilon": 1e-4}),
]


@pytest.mark.parametrize("shape", [(3, 5, 2), (3, 40, 70, 2)])
@pytest.mark.parametrize("way", range(len(WAYS)))
def test_steps_are_those_of_the_papers(rng, way, shape):
    rate, how = WAYS[way]
    x, y = task(rng, 150)
    net = Network(shape, seed=4)
    want = numpy_fit(net, x, y, 30, rate, how)
    net.fit(x, y, epochs=30, batch_size=1000, learning_rate=rate, shuffle=False, **how)
    for a, b in zip((p for layer in zip(net.weights, net.biases, strict=True) for p in layer), want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("way", range(len(WAYS)))
def test_steps_are_those_of_torch(rng, way):
    torch = pytest.importorskip("torch")
    rate, how = WAYS[way]
    x, y = task(rng)
    net = Network([3, 5, 2], seed=4)
    tensors = [torch.tensor(p) for layer in zip(net.weights, net.biases, strict=True) for p in layer]
    decay = how.get("weight_decay", 0.0)
    groups = [{"params": tensors[::2], "weight_decay": decay}, {"params": tensors[1::2], "weight_decay": 0.0}]
    if how.get("optimizer", "sgd") == "sgd":
        if decay:
            return  # torch's decay of sgd goes through the momentum
        optimizer = torch.optim.SGD(groups, lr=rate, momentum=how.get("momentum", 0), nesterov="nesterov" in how)
    else:
        betas = how.get("beta1", 0.9), how.get("beta2", 0.999)
        optimizer = torch.optim.AdamW(groups, lr=rate, betas=betas, eps=how.get("epsilon", 1e-8))
    with torch.enable_grad():
        for t in tensors:
            t.requires_grad_()
        for _ in range(30):
            optimizer.zero_grad()
            w1, b1, w2, b2 = tensors
            out = torch.tanh(torch.tensor(x) @ w1 + b1) @ w2 + b2
            (((out - torch.tensor(y)) ** 2).sum() / (2 * len(x))).backward()
            torch.nn.utils.clip_grad_norm_(tensors, how.get("clip_norm", math.inf))
            optimizer.step()
    net.fit(x, y, epochs=30, batch_size=1000, learning_rate=rate, shuffle=False, **how)
    ours = (p for layer in zip(net.weights, net.biases, strict=True) for p in layer)
    for a, t in zip(ours, tensors, strict=True):
        # torch adds 1e-6 to a norm that it divides by.
        tolerance = 1e-3 if "clip_norm" in how else 1e-8
        np.testing.assert_allclose(a, t.detach().numpy(), rtol=tolerance, atol=tolerance)


def test_a_dead_unit_does_not_keep_subnormal_numbers(rng):
    for how in ({"momentum": 0.9}, {"optimizer": "adam", "beta2": 0.9}):
        for dtype in (np.float32, np.float64):
            net = Network([1, 1, 1], activation=("leaky_relu", 0.0), dtype=dtype)
            net.fit([[1.0]], [1.0], epochs=1, batch_size=1, learning_rate=1e-3, **how)
            net.weights[0][:], net.biases[0][:] = -1, -1  # dead from now on
            net.fit([[1.0]], [1.0], epochs=9000, batch_size=1, learning_rate=1e-3, **how)
            assert net._velocity is not None
            assert net._velocity[0][0] == 0


# ---- rates ----


def rates(epochs: int, batches: int, **how: Any) -> list[float]:
    """The rate of each epoch, over that asked for: without a gradient the weight only decays."""
    net = Network([1, 1], init=[([[1.0]], [0.0])])
    found, before = [], 1.0
    peak = 0.125

    def note(_: Any) -> None:
        nonlocal before
        now = float(net.weights[0][0, 0])
        found.append((1 - now / before) / peak)
        before = now

    net.fit(
        np.zeros((batches, 1)), np.zeros(batches), epochs=epochs, batch_size=1, learning_rate=peak, weight_decay=1.0,
        callback=note, **how,
    )  # fmt: skip
    return found


def test_schedules():
    t = np.arange(20)
    np.testing.assert_allclose(rates(20, 1), np.ones(20))
    np.testing.assert_allclose(rates(20, 1, schedule="cosine"), (1 + np.cos(np.pi * t / 20)) / 2, atol=1e-14)
    np.testing.assert_allclose(rates(20, 1, schedule=("step", 4, 0.5)), 0.5 ** (t // 4))
    np.testing.assert_allclose(rates(6, 1, schedule="step"), [1, 1, 0.1, 0.1, 0.01, 0.01])
    cycle = rates(20, 1, schedule="one_cycle")
    np.testing.assert_allclose(cycle[:4], [0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(cycle[3:], 1 - np.arange(17) / 17)
    assert rates(1, 1, schedule="one_cycle") == [1]
    whole = rates(6, 2, schedule="one_cycle")
    steps = rates(12, 1, schedule="one_cycle")
    np.testing.assert_allclose(1 - 0.125 * np.array(whole), np.prod(1 - 0.125 * np.reshape(steps, (6, 2)), axis=1))


def test_a_schedule_over_several_calls(rng):
    x, y = task(rng)
    how: dict[str, Any] = {"batch_size": 7, "learning_rate": 0.01, "optimizer": "adamw", "weight_decay": 0.01}
    for schedule in ("cosine", "one_cycle", "step"):
        one, many, other = (Network([3, 6, 2], seed=2) for _ in range(3))
        losses = one.fit(x, y, epochs=6, schedule=schedule, **how)
        parts = [many.fit(x, y, epochs=n, schedule=schedule, schedule_epochs=6, **how) for n in (1, 3, 2)]
        np.testing.assert_array_equal(np.concatenate(parts), losses)
        same(one, many)
        with pytest.raises(ValueError, match="the schedule has 6 epochs, 6 are over and 1 more"):
            many.fit(x, y, epochs=1, schedule=schedule, schedule_epochs=6, **how)
        other.fit(x, y, epochs=3, schedule=schedule, **how)
        other.fit(x, y, epochs=3, schedule=schedule, **how)
        assert (other.weights[0] != one.weights[0]).any()


# ---- going on ----

OPTIONS: dict[str, dict[str, Any]] = {
    "nesterov": {"momentum": 0.9, "nesterov": True},
    "adam": {"optimizer": "adam"},
    "dropout": {"dropout": 0.3},
    "everything": {
        "optimizer": "adamw", "weight_decay": 0.1, "clip_norm": 0.3, "dropout": 0.2, "schedule": "one_cycle",
        "schedule_epochs": 20, "max_shift": 1, "image_shape": (2, 3),
    },
}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", OPTIONS)
def test_twenty_fits_of_one_epoch_are_one_of_twenty(rng, tmp_path, name, dtype):
    """To the bit; through pickles, copies and files too."""
    x, w = rng.normal(size=(50, 6)), rng.uniform(0.5, 2, 50)
    y = rng.integers(0, 3, 50)
    net = Network([6, 9, 5, 3], activation=["gelu", "relu"], output="softmax", loss="cross_entropy", dtype=dtype)
    how = {"batch_size": 16, "learning_rate": 0.05, "sample_weight": w, "seed": 5, **OPTIONS[name]}
    whole = copy.deepcopy(net)
    losses = whole.fit(x, y, epochs=20, **how)
    found: list[float] = []
    for k in range(20):
        found.extend(net.fit(x, y, epochs=1, **how))
        if k == 5:
            net = pickle.loads(pickle.dumps(net))
        elif k == 8:
            other = copy.deepcopy(net)
            other.fit(x, y, epochs=1, **how)
        elif k == 11:
            net.save(tmp_path / "net.npz")
            net = Network.load(tmp_path / "net.npz")
    np.testing.assert_array_equal(found, losses)
    same(net, whole)


def test_bits_do_not_depend_on_threads_or_level(same_at_every_level):
    same_at_every_level("""
    rng = np.random.default_rng(1)
    for sizes, act, n, batch in [([6, 9, 3], "gelu", 70, 32), ([64, 200, 130, 10], ["silu", ("elu", 1.0)], 500, 200),
                                 ([6, 20, 3], lambda z: z / (1 + abs(z)), 100, 100), ([16, 9, 3], "softplus", 60, 7)]:
        for dtype in (np.float32, np.float64):
            net = mf.neural_network.Network(sizes, activation=act, output="softmax", loss="cross_entropy", dtype=dtype)
            x, w = rng.integers(0, 256, (n, sizes[0])).astype(np.uint8), rng.uniform(0, 2, n)
            y = rng.integers(0, sizes[-1], n)
            net.standardize(x, per_column=batch < 100)
            losses = net.fit(x, y, epochs=3, batch_size=batch, learning_rate=0.01, optimizer="adamw",
                             weight_decay=0.1, clip_norm=1.0, dropout=0.2, schedule="cosine", sample_weight=w,
                             label_smoothing=0.1, max_shift=1, image_shape=(2, sizes[0] // 2),
                             validation_data=(x[:20], y[:20]))
            digest(losses, net.history.validation_loss, *net.weights, *net.biases, net.forward(x))
    """)


# ---- dropout and shifts ----


def test_dropout():
    """Units drop with their probability, independently, the others are scaled; nothing drops outside of training."""
    n, width, p = 400, 50, 0.25
    net = Network(
        [1, width, 1],
        activation="identity",
        init=[(np.ones((1, width)), np.zeros(width)), (np.ones((width, 1)), [0.0])],
    )
    x = np.ones((n, 1))
    assert net.loss(x, np.full(n, width)) == 0
    # With rate 0 the loss of an epoch tells the mean square of the sum of what is left.
    how: dict[str, Any] = {"epochs": 30, "batch_size": 64, "learning_rate": 0.0, "dropout": p}
    losses = 2 * net.fit(x, np.full(n, width), **how)
    want = width * p / (1 - p)
    assert abs(losses.mean() - want) < 4 * want * math.sqrt(2 / (30 * n))
    assert len(set(losses)) == 30
    other = copy.deepcopy(net)
    other.reset()
    np.testing.assert_array_equal(2 * other.fit(x, np.full(n, width), **how), losses)
    assert (2 * other.fit(x, np.full(n, width), seed=1, **how) != losses).any()
    mean = np.array([net.fit(x, np.zeros(n), **how).mean() for _ in range(3)]).mean()
    assert abs(2 * mean - (width**2 + want)) < 25  # the sum itself is kept on average


def test_dropout_and_shifts_belong_to_the_sample(rng):
    """Whatever batch it is in, and wherever there."""
    x, y = rng.normal(size=(150, 6)), rng.normal(size=(150, 2))
    net = Network([6, 9, 2], seed=1)
    found = []
    for shuffle, batch_size in ((True, 150), (False, 150), (True, 32), (False, 7)):
        net.reset()
        losses = net.fit(
            x, y, epochs=2, batch_size=batch_size, shuffle=shuffle, learning_rate=0.0, dropout=0.3, max_shift=1,
            image_shape=(2, 3),
        )  # fmt: skip
        found.append(losses)
    assert abs(found[0][0] - found[0][1]) > 1e-4
    for losses in found:
        np.testing.assert_allclose(losses, found[0], rtol=1e-13)


def test_dropout_gradient_is_that_of_the_loss(rng):
    """A step with dropout has the slope of the loss that it reports: moved weights give the difference of losses."""
    x, y = task(rng, 20)
    net = Network([3, 6, 5, 2], activation=["tanh", "softplus"], seed=1)
    how: dict[str, Any] = {"epochs": 1, "batch_size": 20, "shuffle": False, "dropout": [0.4, 0.2], "seed": 9}

    def moved(h: float, v: list[Array]) -> float:
        other = copy.deepcopy(net)
        other.weights = [w + h * d for w, d in zip(net.weights, v, strict=True)]
        return float(other.fit(x, y, learning_rate=0.0, **how)[0])

    stepped = copy.deepcopy(net)
    stepped.fit(x, y, learning_rate=1.0, **how)
    gradient = [a - b for a, b in zip(net.weights, stepped.weights, strict=True)]
    v = [rng.normal(size=w.shape) for w in net.weights]
    slope = (moved(1e-6, v) - moved(-1e-6, v)) / 2e-6
    assert slope == pytest.approx(sum(float((g * d).sum()) for g, d in zip(gradient, v, strict=True)), rel=1e-6)


@pytest.mark.parametrize("shape", [(4, 5), (3, 4, 2)])
@pytest.mark.parametrize("kind", ["float", "bytes", "standardized"])
def test_shifts(rng, shape, kind):
    """What the network sees of an image is one of its shifted ones: a network that passes it on tells which."""
    n = math.prod(shape)
    image = rng.integers(1, 200, shape)
    x = image.reshape(1, n).astype(np.uint8 if kind != "float" else float)
    net = Network([n, n], init=[(np.eye(n), np.zeros(n))])
    if kind == "standardized":
        net.standardize(rng.integers(0, 256, (9, n)))
    seen: list[tuple[int, int]] = []
    possible: dict[tuple[int, int], Array] = {}
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            moved = np.zeros_like(image)
            inner = image[max(-down, 0) : shape[0] - max(down, 0), max(-right, 0) : shape[1] - max(right, 0)]
            moved[max(down, 0) : shape[0] + min(down, 0), max(right, 0) : shape[1] + min(right, 0)] = inner
            possible[down, right] = net.forward(moved.reshape(1, n))
    how: dict[str, Any] = {"epochs": 1, "batch_size": 1, "learning_rate": 0.0, "max_shift": 1, "image_shape": shape}
    with pytest.warns(UserWarning, match="standardize") if kind != "standardized" else saying(kind):
        net.fit(x, np.zeros((1, n)), **how)
    for _ in range(40):
        loss = net.fit(x, np.zeros((1, n)), **how)[0]
        close = [at for at, out in possible.items() if abs((out**2).sum() / 2 - loss) < 1e-9 * loss]
        seen.extend(close)
    assert len(seen) >= 40
    assert len(set(seen)) >= 7


# ---- bytes and standardized inputs ----


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("standardized", [False, True])
def test_bytes_are_numbers(rng, dtype, standardized):
    u = rng.integers(0, 256, (100, 21)).astype(np.uint8)
    y = rng.normal(size=(100, 1))
    one, other = (Network([21, 6, 1], dtype=dtype, seed=1) for _ in range(2))
    if standardized:
        one.standardize(u)
        other.standardize(u.astype(float))
    else:
        one._warned = other._warned = True
    how: dict[str, Any] = {"epochs": 3, "batch_size": 16, "learning_rate": 1e-6}
    np.testing.assert_array_equal(one.fit(u, y, **how), other.fit(u.astype(dtype), y, **how))
    for shuffle in (True, False):
        np.testing.assert_array_equal(
            one.fit(u, y, shuffle=shuffle, validation_data=(u[:9], y[:9]), **how),
            other.fit(u.astype(float), y, shuffle=shuffle, validation_data=(u[:9].astype(float), y[:9]), **how),
        )
    same(one, other)
    np.testing.assert_array_equal(one.forward(u), other.forward(u.astype(float)))
    assert one.loss(u, y) == other.loss(u.astype(float), y)
    np.testing.assert_array_equal(one.gradients(u[:, :], y)[0][0], other.gradients(u.astype(float), y)[0][0])
    np.testing.assert_array_equal(one.forward(u[::2, :]), other.forward(u.astype(float))[::2])


def test_standardize(rng):
    x = rng.normal(size=(200, 3)) * [1, 1e-9, 1e6] + [5, 1, 1e9]
    x = np.c_[x, np.full(200, 1e8)]
    net, plain = Network([4, 5, 1], seed=1), Network([4, 5, 1], seed=1)
    net.standardize(x)
    precise = x.astype(np.longdouble)  # of the second column a mean in float64 has seven digits of the deviation
    z = ((x - precise.mean(axis=0).astype(float)) / np.r_[precise.std(axis=0)[:3], 1]).astype(float)
    z[:, 3] = 0
    np.testing.assert_allclose(net.forward(x), plain.forward(z), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(net.jacobian(x)[:, :, :3] * x.std(axis=0)[:3], plain.jacobian(z)[:, :, :3], rtol=1e-5)
    y = z[:, :1]
    losses = net.fit(x, y, epochs=60, batch_size=20, learning_rate=0.1)
    assert losses[-1] < 0.02
    other = Network([4, 5, 1])
    other.standardize(x, per_column=False)
    assert np.ptp(other._standardization[0]) == np.ptp(other._standardization[1]) == 0  # type: ignore[index]
    with pytest.raises(ValueError, match="NaN or infinity"):
        net.standardize([[np.nan, 1, 2, 3]])
    with pytest.raises(ValueError, match="at least one sample"):
        net.standardize(np.ones((0, 4)))
    with pytest.raises(ValueError, match="too large, or too close together, for float64"):
        Network([1, 1]).standardize([[1e-310], [2e-310]])


# ---- validation ----


def test_clipping_measures_the_gradients_of_units_only(rng):
    """A logistic of the padding is 1/2."""
    x, y = rng.standard_normal((20, 2)), rng.standard_normal((20, 1))
    for dtype in (np.float64, np.float32):
        net = Network([2, 5, 1], activation="logistic", dtype=dtype)
        slopes = net.gradients(x, y)
        norm = np.sqrt(sum(float((np.float64(g) ** 2).sum()) for layer in slopes for g in layer))
        before = [w.copy() for w in net.weights]
        net.fit(x, y, epochs=1, batch_size=20, learning_rate=0.5, clip_norm=norm / 2)
        for w, v, (g, _) in zip(net.weights, before, slopes, strict=True):
            np.testing.assert_allclose(w, v - 0.25 * g, rtol=1e-12 if dtype is np.float64 else 1e-5)


def noisy(rng: Any) -> tuple[Array, Array, Array]:
    x = rng.standard_normal((80, 2))
    y = x[:, 0] - 0.5 * x[:, 1]
    return x, y, y[:40] + 0.8 * np.cos(37 * np.arange(40))


def test_the_best_weights_are_kept(rng):
    """Although the last epoch was reached; by a callback, a time limit, an exception; where the first was best."""
    x, y, bad = noisy(rng)
    how: dict[str, Any] = {"epochs": 60, "batch_size": 5, "learning_rate": 0.25}

    def stop_late(e: Any) -> bool:
        return bool(e.number == 40)

    for options, stopped in [
        ({}, "after all epochs"),
        ({"callback": stop_late}, "by the callback"),
        ({"patience": 12}, "no improvement"),
        ({"max_seconds": 1e-9}, "out of time"),
    ]:
        net = Network([2, 30, 1], seed=1)
        with saying(stopped):
            losses = net.fit(x[:40], bad, validation_data=(x[40:], y[40:]), **how, **options)
            history = net.history
            assert history.stopped == stopped
            assert len(history.validation_loss) == len(losses) == len(history.loss) == net.epoch
            best = int(np.argmin(history.validation_loss))
            assert history.best_epoch == best
            assert net.loss(x[40:], y[40:]) == history.validation_loss.min()
    assert best == 0
    plain = Network([2, 30, 1], seed=1)
    all_losses = plain.fit(x[:40], bad, **how)
    kept = Network([2, 30, 1], seed=1)
    np.testing.assert_array_equal(kept.fit(x[:40], bad, validation_data=(x[40:], y[40:]), **how), all_losses)
    assert kept.history.best_epoch < 59


def test_after_the_best_epoch_it_goes_on_from_there(rng):
    """Weights, moments and the number of steps are those of the best epoch."""
    x, y, bad = noisy(rng)
    how: dict[str, Any] = {"batch_size": 5, "learning_rate": 0.05, "optimizer": "adam", "shuffle": False}
    net, other = (Network([2, 30, 1], seed=1) for _ in range(2))
    net.fit(x[:40], bad, epochs=60, validation_data=(x[40:], y[40:]), **how)
    best = net.history.best_epoch
    assert best < 58
    other.fit(x[:40], bad, epochs=best + 1, **how)
    same(net, other)
    np.testing.assert_array_equal(net.fit(x[:40], bad, epochs=2, **how), other.fit(x[:40], bad, epochs=2, **how))
    same(net, other)


def test_steps_that_diverged_do_not_count(rng):
    x, y = task(rng, 64)
    net, other = (Network([3, 4, 2], activation="identity", seed=1) for _ in range(2))
    how: dict[str, Any] = {"batch_size": 8, "learning_rate": 1e-3, "optimizer": "adam", "shuffle": False}
    with pytest.warns(mf.ConvergenceWarning, match="left the finite numbers in epoch 3"):
        net.fit(x, y, epochs=9, callback=lambda _: None, schedule=("step", 2, 1e200), **how)
    assert net.epoch == 2
    other.fit(x, y, epochs=2, **how)
    same(net, other)
    np.testing.assert_array_equal(net.fit(x, y, epochs=2, **how), other.fit(x, y, epochs=2, **how))


def test_patience_counts_epochs(rng):
    x, y, bad = noisy(rng)
    net = Network([2, 30, 1], seed=1)
    net.fit(x[:40], bad, validation_data=(x[40:], y[40:]), epochs=500, batch_size=5, learning_rate=0.25, patience=3)
    values = net.history.validation_loss
    best = int(np.argmin(values))
    assert len(values) == best + 4
    assert all(v > values[:k].min() for k, v in enumerate(values[best + 1 :], best + 1))


def test_validation_weights_and_probabilities(rng):
    x, y, bad = noisy(rng)
    w = rng.integers(0, 3, 40)
    w[:3] = 0
    one, other = (Network([2, 5, 1], seed=1) for _ in range(2))
    i = np.repeat(np.arange(40), w)
    xv = x[40:].copy()
    xv[0] = 1e300
    how: dict[str, Any] = {"epochs": 9, "batch_size": 5, "learning_rate": 0.1}
    one.fit(x[:40], bad, validation_data=(xv, y[40:], w), **how)
    other.fit(x[:40], bad, validation_data=(x[40:][i], y[40:][i]), **how)
    np.testing.assert_allclose(one.history.validation_loss, other.history.validation_loss, rtol=1e-12)
    with pytest.raises(ValueError, match="validation_data: x must have shape"):
        one.fit(x, y, validation_data=(x[:, :1], y), **how)
    with pytest.raises(TypeError, match="validation_data must be"):
        one.fit(x, y, validation_data=x, **how)
    with pytest.raises(ValueError, match="validation_data: y holds NaN"):
        one.fit(x, y, validation_data=(x, y * np.nan), **how)
    with pytest.raises(ValueError, match="patience needs validation_data"):
        one.fit(x, y, patience=3, **how)


def test_interrupt_leaves_the_best_weights(rng):
    x, y, bad = noisy(rng)
    net = Network([2, 30, 1], seed=1)
    epochs: list[Any] = []
    fit = lambda: net.fit(  # noqa: E731
        x[:40], bad, validation_data=(x[40:], y[40:]), epochs=10**8, batch_size=5, learning_rate=0.25,
        callback=epochs.append,
    )  # fmt: skip
    interrupt(fit, when=lambda: len(epochs) > 50)
    assert net.loss(x[40:], y[40:]) == net.history.validation_loss.min()
    assert len(net.history.loss) == net.epoch >= 50
    np.testing.assert_array_equal(net.history.loss[:50], [e.loss for e in epochs[:50]])


def test_divergence_with_validation(rng):
    x, y, bad = noisy(rng)
    net = Network([2, 6, 1], activation="identity", seed=1)
    with pytest.warns(mf.ConvergenceWarning, match="left the finite numbers"):
        losses = net.fit(
            x[:40], bad, validation_data=(x[40:], y[40:]), epochs=500, batch_size=5, learning_rate=2.0, momentum=0.9
        )
    assert net.history.stopped == "diverged"
    assert len(losses) == len(net.history.validation_loss) == net.epoch
    assert all(np.isfinite(p).all() for p in parameters(net))
    if len(losses):
        assert net.loss(x[40:], y[40:]) == net.history.validation_loss.min()


# ---- callbacks ----


def test_callback(rng, capsys):
    x, y = task(rng)
    net, plain = (Network([3, 5, 2], seed=1) for _ in range(2))
    how: dict[str, Any] = {"batch_size": 16, "learning_rate": 0.1}
    frames, told = [], []

    def look(e: Any) -> None:
        told.append(e)
        frames.append((net.forward(x), copy.deepcopy(net.weights)))

    losses = net.fit(x, y, epochs=4, callback=look, verbose=True, **how)
    assert capsys.readouterr().out.startswith("epoch 1/4")
    np.testing.assert_array_equal([e.loss for e in told], losses)
    assert [e.number for e in told] == [0, 1, 2, 3]
    assert told[0].validation_loss is None
    for out, weights in frames:
        plain.fit(x, y, epochs=1, **how)
        np.testing.assert_array_equal(plain.forward(x), out)
        np.testing.assert_array_equal(plain.weights[0], weights[0])
    same(net, plain)
    assert len(net.fit(x, y, epochs=9, callback=lambda e: e.number == 2, **how)) == 3
    with pytest.raises(TypeError, match="callback must return True"):
        net.fit(x, y, epochs=9, callback=lambda e: "no", **how)
    with pytest.raises(ZeroDivisionError):
        net.fit(x, y, epochs=9, callback=lambda e: 1 // 0, **how)
    assert net.epoch == 4 + 3 + 1 + 1
    net.fit(x, y, epochs=10**9, max_seconds=0.05, **how)  # which would take days
    assert net.history.stopped == "out of time"


# ---- files ----


def test_files(rng, tmp_path):
    path = tmp_path / "a.npz"
    x = rng.normal(size=(20, 4))
    net = Network(
        [4, 5, 3, 2], activation=[("leaky_relu", 0.3), "silu"], loss=("huber", 0.5), dtype=np.float32, init="he"
    )
    net.standardize(x)
    net.fit(x, x[:, :2], epochs=2, batch_size=5, learning_rate=0.01, optimizer="adam")
    net.save(path)
    other = Network.load(path)
    assert repr(other) == repr(net)
    np.testing.assert_array_equal(other.forward(x), net.forward(x))
    given = Network([4, 2], init=[(np.ones((4, 2)), np.zeros(2))])
    given.save(path)
    again = Network.load(path)
    again.reset()
    same(again, given)
    data = path.read_bytes()
    for damaged in (
        data[:-40],
        data[: len(data) // 2],
        b"",
        b"text",
        data[:200] + bytes([data[200] ^ 255]) + data[201:],
    ):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"a\.npz' holds no network"):
            Network.load(path)
    np.savez(path, a=1)
    with pytest.raises(ValueError, match="holds no network"):
        Network.load(path)
    with pytest.raises(FileNotFoundError):
        Network.load(tmp_path / "none.npz")
    with pytest.raises(TypeError, match=r"the loss is a function .* pickle"):
        Network([1, 1], loss=lambda a, b: (a - b) ** 4).save(path)


def test_files_with_any_byte_changed_are_refused_or_the_same(tmp_path):
    """The archive says what is wrong with it by a dozen kinds of errors."""
    net, path = Network([2, 3, 1]), tmp_path / "a.npz"
    net.save(path)
    data = path.read_bytes()
    for at in range(0, len(data), 7):
        for change in (0x55, 0x01):
            damaged = data[:at] + bytes([data[at] ^ change]) + data[at + 1 :]
            try:
                found = Network.load(io.BytesIO(damaged))
            except ValueError:
                continue
            same(found, net)


def test_open_files(tmp_path):
    net, file = Network([2, 3, 1]), io.BytesIO()
    net.save(file)
    file.seek(0)
    same(Network.load(file), net)
    with pytest.raises(ValueError, match=r"load: the open file .*BytesIO.* holds no network"):
        Network.load(io.BytesIO(b"text"))


# ---- what is refused ----


@pytest.mark.parametrize(
    ("message", "options"),
    [
        ("optimizer must be one of", {"optimizer": "lbfgs"}),
        ("momentum and nesterov are for optimizer='sgd'", {"optimizer": "adam", "momentum": 0.9}),
        ("weight_decay with optimizer='adam': take optimizer='adamw'", {"optimizer": "adam", "weight_decay": 0.1}),
        ("nesterov=True needs a momentum", {"nesterov": True}),
        ("beta2 must be", {"beta2": 1.0}),
        ("epsilon must be at least 1e-30", {"epsilon": 0.0}),
        ("weight_decay must be", {"weight_decay": -1.0}),
        ("schedule must be one of", {"schedule": "up"}),
        ("schedule must be a name or", {"schedule": ("cosine", 3)}),
        ("label_smoothing is for the cross-entropies", {"label_smoothing": 0.1}),
        ("dropout must be", {"dropout": 1.0}),
        ("dropout must be one number or 1", {"dropout": [0.1, 0.1]}),
        ("max_shift needs image_shape", {"max_shift": 1}),
        ("image_shape must be", {"max_shift": 1, "image_shape": (2, 2)}),
        ("max_shift must be smaller than the image, which is 1 x 3", {"max_shift": 1, "image_shape": (1, 3)}),
        ("clip_norm must be positive", {"clip_norm": 0.0}),
        ("max_seconds must be positive", {"max_seconds": 0}),
    ],
)
def test_bad_training(message, options):
    how = {"epochs": 1, "batch_size": 1, "learning_rate": 0.1}
    with pytest.raises(ValueError, match=message):
        Network([3, 4, 2]).fit(np.ones((4, 3)), np.ones((4, 2)), **how | options)


def test_dropout_needs_a_hidden_layer():
    with pytest.raises(ValueError, match="this network has none"):
        Network([3, 2]).fit(np.ones((4, 3)), np.ones((4, 2)), epochs=1, batch_size=1, learning_rate=0.1, dropout=0.5)
