"""Activations, losses, and derivatives of networks: against complex steps, autodiff, PyTorch and one another."""

from __future__ import annotations

import itertools
import pickle
import warnings
from typing import Any

import numpy as np
import pytest
from cases import saying

import mmlfast as mf
from mmlfast._reference import backprop as reference
from mmlfast.neural_network import Network

Array = np.ndarray[Any, Any]


def bent(z: Any) -> Any:
    return z / (1 + np.exp(-2 * z)) + z


def cauchy(out: Any, target: Any) -> Any:
    return np.log(1 + (out - target) ** 2)


ACTIVATIONS: list[Any] = [
    "identity", "logistic", "tanh", "relu", ("leaky_relu", 0.2), ("elu", 1.3), "gelu", "silu", "softplus", bent,
]  # fmt: skip
LOSSES: list[Any] = [
    "squared_error", "cross_entropy", "binary_cross_entropy", ("huber", 0.7), "absolute_error", cauchy,
]  # fmt: skip
OUTPUTS = {"cross_entropy": "softmax", "binary_cross_entropy": "logistic"}


def make(rng: Any, activation: Any, loss: Any, depth: int, dtype: Any = np.float64) -> tuple[Network, list[Any]]:
    """A network with random biases, and the activations of all layers."""
    output = OUTPUTS.get(str(loss), activation if depth % 2 else "identity")
    net = Network([*[3, 9, 7, 5][:depth], 2], activation=activation, output=output, loss=loss, dtype=dtype, seed=depth)
    for b in net.biases:
        b[:] = rng.uniform(-0.5, 0.5, b.shape)
    return net, [activation] * (depth - 1) + [output]


def samples(rng: Any, loss: Any, n: int = 11) -> tuple[Array, Array]:
    x = rng.normal(size=(n, 3))
    return x, rng.integers(0, 2, n) if loss == "cross_entropy" else rng.uniform(0, 1, (n, 2))


def layers_of(net: Network) -> list[tuple[Array, Array]]:
    return [(w.astype(float), b.astype(float)) for w, b in zip(net.weights, net.biases, strict=True)]


def directions(rng: Any, net: Network) -> list[Any]:
    """One for each array of parameters, that moves it alone, and one that moves all."""
    shapes = [a.shape for pair in zip(net.weights, net.biases, strict=True) for a in pair]
    found = []
    for moved in (*range(len(shapes)), None):
        flat = [rng.normal(size=s) * (moved is None or moved == i) for i, s in enumerate(shapes)]
        found.append(list(itertools.batched(flat, 2)) if hasattr(itertools, "batched") else pairs(flat))
    return found


def pairs(flat: list[Array]) -> list[tuple[Array, Array]]:
    return list(zip(flat[::2], flat[1::2], strict=True))


def dot(one: Any, other: Any) -> float:
    return float(sum((a * b).sum() for p, q in zip(one, other, strict=True) for a, b in zip(p, q, strict=True)))


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_gradients_by_complex_steps(rng, activation, depth):
    """The loss at w + ihv has the derivative along v in its imaginary part, to rounding."""
    for loss in LOSSES:
        net, names = make(rng, activation, loss, depth)
        x, y = samples(rng, loss)
        weights = rng.uniform(0, 2, len(x))
        layers = layers_of(net)
        with saying(str(loss)):
            want = float(reference.loss(layers, names, x, y, loss, weights).real)
            assert net.loss(x, y, sample_weight=weights) == pytest.approx(want, rel=1e-12)
            gradients = net.gradients(x, y, sample_weight=weights)
            for v in directions(rng, net):
                moved = [(w + 1e-30j * dw, b + 1e-30j * db) for (w, b), (dw, db) in zip(layers, v, strict=True)]
                derivative = reference.loss(moved, names, x, y, loss, weights).imag / 1e-30
                assert dot(gradients, v) == pytest.approx(derivative, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
def test_jacobian_and_hessian_vector_product(rng, activation):
    """By complex steps of the outputs, and by differences of gradients."""
    for loss, depth in itertools.product(LOSSES, (1, 3)):
        net, names = make(rng, activation, loss, depth)
        x, y = samples(rng, loss)
        with saying(f"{loss} {depth}"):
            jacobian = net.jacobian(x)
            for j in range(3):
                moved = reference.forward(layers_of(net), names, x + 1e-30j * np.eye(3)[j])
                np.testing.assert_allclose(jacobian[:, :, j], moved.imag / 1e-30, rtol=1e-10, atol=1e-13)
            weights = rng.uniform(0, 2, len(x))
            v = directions(rng, net)[-1]
            product = net.hessian_vector_product(x, y, v, sample_weight=weights)
            sides = []
            for h in (1e-5, -1e-5):
                near = Network(net.sizes, activation=activation, output=net.output, loss=loss)
                near.weights = [w + h * dw for w, (dw, _) in zip(net.weights, v, strict=True)]
                near.biases = [b + h * db for b, (_, db) in zip(net.biases, v, strict=True)]
                sides.append(near.gradients(x, y, sample_weight=weights))
            for got, up, down in zip(product, *sides, strict=True):
                for a, p, q in zip(got, up, down, strict=True):
                    np.testing.assert_allclose(a, (p - q) / 2e-5, atol=1e-6)


@pytest.mark.parametrize("activation", ["tanh", "logistic", "silu", "softplus", bent], ids=str)
def test_gradients_by_autodiff(rng, activation):
    """The same network written in NumPy, differentiated by the tape."""
    plain = {
        "tanh": np.tanh,
        "logistic": lambda z: 1 / (1 + np.exp(-z)),
        "silu": lambda z: z / (1 + np.exp(-z)),
        "softplus": lambda z: np.log(1 + np.exp(z)),
    }.get(activation, bent) if isinstance(activation, str) else bent  # fmt: skip
    net, _ = make(rng, activation, "squared_error", 2)
    x, y = samples(rng, "squared_error")
    shapes = [a.shape for pair in zip(net.weights, net.biases, strict=True) for a in pair]
    ends = np.cumsum([0, *(int(np.prod(s)) for s in shapes)])

    def loss(theta: Any) -> Any:
        w1, b1, w2, b2 = (theta[i:j].reshape(s) for i, j, s in zip(ends, ends[1:], shapes, strict=False))
        return np.sum((plain(x @ w1 + b1) @ w2 + b2 - y) ** 2) / (2 * len(x))

    theta = np.concatenate([a.ravel() for pair in zip(net.weights, net.biases, strict=True) for a in pair])
    want = mf.autodiff.grad(loss)(theta)
    got = np.concatenate([a.ravel() for pair in net.gradients(x, y) for a in pair])
    np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-13)
    v = rng.normal(size=theta.shape)
    product = net.hessian_vector_product(
        x, y, pairs([v[i:j].reshape(s) for i, j, s in zip(ends, ends[1:], shapes, strict=False)])
    )
    flat = np.concatenate([a.ravel() for pair in product for a in pair])
    np.testing.assert_allclose(flat, mf.autodiff.hvp(loss, (theta,), (v,)), rtol=1e-9, atol=1e-12)


def torch_functions(torch: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    f = torch.nn.functional
    return {
        "identity": lambda z: z, "logistic": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu,
        "leaky_relu": lambda z: f.leaky_relu(z, 0.2), "elu": lambda z: f.elu(z, 1.3), "gelu": f.gelu, "silu": f.silu,
        "softplus": f.softplus,
    }, {
        "squared_error": lambda out, y: ((out - y) ** 2).sum() / 2, "cross_entropy": lambda z, y:
        f.cross_entropy(z, y, reduction="sum"), "binary_cross_entropy": lambda z, y:
        f.binary_cross_entropy_with_logits(z, y, reduction="sum"), "huber": lambda out, y:
        f.huber_loss(out, y, reduction="sum", delta=0.7), "absolute_error": lambda out, y: (out - y).abs().sum(),
    }  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradients_of_torch(rng, dtype):
    torch = pytest.importorskip("torch")
    activations, losses = torch_functions(torch)
    for activation, loss, depth in itertools.product(ACTIVATIONS[:-1], LOSSES[:-1], (1, 4)):
        name, kind = reference.apart(activation)[0], reference.apart(loss)[0]
        net, names = make(rng, activation, loss, depth, dtype)
        x, y = samples(rng, loss)
        x = x.astype(dtype)
        y = y.astype(dtype) if kind != "cross_entropy" else y
        parameters = [torch.tensor(a, requires_grad=True) for p in zip(net.weights, net.biases, strict=True) for a in p]
        a = torch.tensor(x)
        for i, (w, b) in enumerate(pairs(parameters)):
            a = a @ w + b
            if i + 1 < depth or (kind not in OUTPUTS and names[-1] != "identity"):
                a = activations[name](a)
        (losses[kind](a, torch.tensor(y)) / len(x)).backward()
        got = [g for pair in net.gradients(x, y) for g in pair]
        with saying(f"{activation} {loss} {depth}"):
            for g, p in zip(got, parameters, strict=True):
                want = p.grad.numpy()
                limit = 1e-5 if dtype == np.float32 else 1e-12
                assert np.abs(g - want).max() <= limit * max(np.abs(want).max(), 0.1)


# ---- values that are hard ----


def logits(z: Any, output: str, loss: str) -> Network:
    """A network of one input that is 1, whose output layer gets `z`."""
    return Network([1, len(z)], output=output, loss=loss, init=[([z], np.zeros(len(z)))])


@pytest.mark.filterwarnings("error")
def test_saturated_and_wrong():
    n = Network([1, 2], output="softmax", loss="cross_entropy")
    n.weights[0][...] = [[800.0, 0.0]]
    n.biases[0][...] = 0
    assert n.loss([[1.0]], [1]) == 800
    assert n.loss([[1.0]], [[0.0, 1.0]]) == 800
    assert n.loss([[1.0]], [[1.0, 0.0]]) == 0
    np.testing.assert_array_equal(n.forward([[1.0]]), [[1, 0]])
    np.testing.assert_array_equal(n.gradients([[1.0]], [1])[0][0], [[1, -1]])
    for z, y, want in [
        (800, 0, 800), (-800, 1, 800), (800, 1, 0), (-800, 0, 0), (np.inf, 0, np.inf), (-np.inf, 1, np.inf),
        (-np.inf, 0.9, np.inf), (np.inf, 1, 0), (-np.inf, 0, 0), (0, 0.5, np.log(2)),
    ]:  # fmt: skip
        with saying(f"{z} {y}"):
            assert logits([z], "logistic", "binary_cross_entropy").loss([[1.0]], [y]) == pytest.approx(want)
    lost = logits([0.0, -np.inf], "softmax", "cross_entropy")
    assert lost.loss([[1.0]], [[0.1, 0.9]]) == np.inf
    assert lost.loss([[1.0]], [[1.0, 0.0]]) == 0
    assert lost.loss([[1.0]], [0]) == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
def test_activations_far_out(activation, dtype):
    """No overflow on the way to a finite value, and slopes that are 0 or 1."""
    net = Network([1, 1, 1], activation=activation, dtype=dtype, init=[([[1.0]], [0.0]), ([[1.0]], [0.0])])
    x = np.array([[-800.0], [-50.0], [0.0], [50.0], [800.0]]) / (8 if dtype == np.float32 else 1)
    if activation is bent:
        x = x / 4
    with np.errstate(over="ignore"):
        want = reference.activate(activation, x)
    np.testing.assert_allclose(net.forward(x), np.where(np.isfinite(want), want, x), rtol=1e-6, atol=1e-6)
    for row in x:
        gradient = net.gradients([row], [0.0])[1][0]
        assert np.isfinite(gradient).all()


def test_nan_goes_through(rng):
    for activation in ACTIVATIONS:
        net, _ = make(rng, activation, "squared_error", 3)
        x, y = samples(rng, "squared_error")
        x[4, 1] = np.nan
        with saying(str(activation)):
            assert np.isnan(net.forward(x)[4]).all()
            assert np.isfinite(np.delete(net.forward(x), 4, axis=0)).all()
            assert np.isnan(net.loss(x, y))
            assert np.isnan(net.gradients(x, y)[0][0]).any()


# ---- functions of one's own ----


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_own_functions_are_like_those_that_are_there(rng, dtype):
    x, y = samples(rng, "squared_error", 300)
    how: dict[str, Any] = {"epochs": 3, "batch_size": 70, "learning_rate": 0.1, "momentum": 0.9}
    one = Network([3, 20, 5, 2], activation="tanh", dtype=dtype, seed=1)
    own = Network([3, 20, 5, 2], activation=[np.tanh, "tanh"], loss=lambda a, b: (a - b) ** 2 / 2, dtype=dtype, seed=1)
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(one.fit(x, y, **how), own.fit(x, y, **how), rtol=tolerance)
    for a, b in zip(one.weights, own.weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
    again = pickle.loads(pickle.dumps(Network([3, 4, 2], activation=bent, loss=cauchy, seed=2)))
    assert again.loss(x, y) == Network([3, 4, 2], activation=bent, loss=cauchy, seed=2).loss(x, y)


def test_what_cannot_be_an_activation_or_a_loss():
    for error, message, call in [
        (TypeError, "activation: .* must give one number", lambda: Network([2, 2, 1], activation=lambda z: [z, z])),
        (TypeError, "loss: .* must give one number", lambda: Network([2, 1], loss=lambda a, b: np.array([a, b]))),
        (mf.autodiff.TracingError, "z", lambda: Network([2, 2, 1], activation=lambda z: z if z > 0 else 0.0)),
        (ValueError, "'tanh' takes no number", lambda: Network([2, 2, 1], activation=("tanh", 2.0))),
        (ValueError, "number of 'huber' must be positive", lambda: Network([2, 1], loss=("huber", 0))),
        (ValueError, "number of 'elu' must be positive", lambda: Network([2, 1], output=("elu", -1))),
        (ValueError, "goes with output='logistic' only", lambda: Network([2, 1], loss="binary_cross_entropy")),
        (ValueError, "init must have the shapes", lambda: Network([2, 1], init=[(np.ones((1, 2)), [0.0])])),
        (ValueError, "init must be one of", lambda: Network([2, 1], init="zeros")),
        (TypeError, "init must be one of", lambda: Network([2, 1], init=3)),
    ]:
        with pytest.raises(error, match=message):
            call()


def test_initial_weights():
    he, glorot = (Network([200, 100, 2], init=init, seed=3).weights[0] for init in ("he", "glorot"))
    assert 0.95 * np.sqrt(6 / 200) < np.abs(he).max() <= np.sqrt(6 / 200)
    assert 0.95 * np.sqrt(6 / 300) < np.abs(glorot).max() <= np.sqrt(6 / 300)
    given = [(np.ones((2, 3)), np.zeros(3)), (np.full((3, 1), 2.0), [5.0])]
    net = Network([2, 3, 1], init=given, dtype=np.float32)
    assert net.biases[1] == [5.0]
    net.fit([[1.0, 2.0]], [1.0], epochs=2, batch_size=1, learning_rate=0.1)
    net.reset()
    np.testing.assert_array_equal(net.weights[0], given[0][0])


# ---- weights and targets ----


def test_weights_are_copies(rng):
    for loss in LOSSES:
        x, y = samples(rng, loss, 40)
        w = rng.integers(0, 4, 40)
        x[w == 0] = 1e300
        i = np.repeat(np.arange(40), w)
        nets = [make(np.random.default_rng(3), ("leaky_relu", 0.2), loss, 2)[0] for _ in range(3)]
        how: dict[str, Any] = {"epochs": 10, "batch_size": 4000, "learning_rate": 0.1, "shuffle": False}
        with saying(str(loss)):
            assert nets[0].loss(x, y, sample_weight=w) == pytest.approx(nets[0].loss(x[i], y[i]), rel=1e-13)
            a = nets[0].fit(x, y, sample_weight=w, **how)
            b = nets[1].fit(x[i], y[i], **how)
            nets[2].fit(x, y, sample_weight=w * 2.0**900, **how)
            np.testing.assert_allclose(a, b, rtol=1e-12)
            for p, q, r in zip(*(n.weights for n in nets), strict=True):
                np.testing.assert_allclose(p, q, rtol=1e-10, atol=1e-13)
                np.testing.assert_array_equal(p, r)


def test_a_batch_of_no_weight_makes_no_step(rng):
    x, y = samples(rng, "squared_error", 40)
    net, part = (Network([3, 4, 2], seed=1) for _ in range(2))
    how: dict[str, Any] = {"epochs": 3, "batch_size": 10, "learning_rate": 0.1, "optimizer": "adam", "shuffle": False}
    losses = net.fit(x, y, sample_weight=np.r_[np.zeros(20), np.ones(20)], **how)
    np.testing.assert_array_equal(losses, part.fit(x[20:], y[20:], **how))
    np.testing.assert_array_equal(net.weights[0], part.weights[0])


def test_label_smoothing_is_a_change_of_targets(rng):
    x, y = samples(rng, "cross_entropy", 60)
    labels, soft = (make(np.random.default_rng(1), "tanh", "cross_entropy", 3)[0] for _ in range(2))
    how: dict[str, Any] = {"epochs": 5, "batch_size": 16, "learning_rate": 0.2, "momentum": 0.9}
    losses = labels.fit(x, y, label_smoothing=0.2, **how)
    smoothed = soft.fit(x, np.eye(2)[y] * 0.8 + 0.1, **how)
    np.testing.assert_allclose(labels.weights[0], soft.weights[0], rtol=1e-11)
    assert losses[0] != smoothed[0]
    still = make(np.random.default_rng(1), "tanh", "cross_entropy", 3)[0]
    how |= {"learning_rate": 0.0, "epochs": 1}
    assert still.fit(x, y, label_smoothing=0.2, **how)[0] == pytest.approx(still.loss(x, y), rel=1e-13)
    ones, soft_ones = (Network([3, 1], output="logistic", loss="binary_cross_entropy") for _ in range(2))
    ones.fit(x, y, label_smoothing=0.2, epochs=3, batch_size=9, learning_rate=0.5)
    soft_ones.fit(x, y * 0.8 + 0.1, epochs=3, batch_size=9, learning_rate=0.5)
    np.testing.assert_allclose(ones.weights[0], soft_ones.weights[0], rtol=1e-12)


def test_class_weights(rng):
    x, y = samples(rng, "cross_entropy", 60)
    nets = [Network([3, 2], output="softmax", loss="cross_entropy") for _ in range(4)]
    how: dict[str, Any] = {"epochs": 3, "batch_size": 16, "learning_rate": 0.2}
    counts = np.bincount(y)
    nets[0].fit(x, y, class_weight="balanced", **how)
    nets[1].fit(x, y, class_weight={0: 60 / (2 * counts[0]), 1: 60 / (2 * counts[1])}, **how)
    nets[2].fit(x, y, sample_weight=(60 / (2 * counts))[y], **how)
    nets[3].fit(x, y, sample_weight=np.full(60, 3.0), class_weight={1: 1.0, 0: counts[1] / counts[0]}, **how)
    for net in nets[1:]:
        np.testing.assert_allclose(net.weights[0], nets[0].weights[0], rtol=1e-12)


def test_predict(rng):
    x, _ = samples(rng, "squared_error")
    for output, loss, shape in (("softmax", "cross_entropy", (11,)), ("logistic", "binary_cross_entropy", (11, 2))):
        net = Network([3, 2], output=output, loss=loss)
        assert net.predict(x).shape == shape
        assert net.predict(x[:0]).shape == (0, *shape[1:])
    np.testing.assert_array_equal(net.predict(x), net.forward(x) > 0.5)
    single = Network([3, 1], output="logistic", loss="binary_cross_entropy")
    assert set(single.predict(x)) <= {0, 1}
    regression = Network([3, 2])
    np.testing.assert_array_equal(regression.predict(x), regression.forward(x))


@pytest.mark.parametrize(
    ("error", "message", "options"),
    [
        (ValueError, "sample_weight must have shape", {"sample_weight": np.ones(3)}),
        (
            ValueError,
            "sample_weight must be finite and not negative, got -1.0 in row 2",
            {"sample_weight": [1, 1, -1, 1]},
        ),
        (ValueError, "sample_weight must be finite", {"sample_weight": [1, 1, np.nan, 1]}),
        (ValueError, "sample_weight is 0 for every sample", {"sample_weight": np.zeros(4)}),
        (ValueError, "class_weight must be 'balanced'", {"class_weight": "equal"}),
        (ValueError, "class_weight names the label 7", {"class_weight": {7: 1.0}}),
        (ValueError, "class_weight must be finite", {"class_weight": {1: -1.0}}),
        (TypeError, "class_weight must be", {"class_weight": 3}),
    ],
)
def test_bad_weights(error, message, options):
    net = Network([2, 2], output="softmax", loss="cross_entropy")
    with pytest.raises(error, match=message):
        net.fit(np.ones((4, 2)), [0, 1, 1, 0], epochs=1, batch_size=2, learning_rate=0.1, **options)


def test_bad_targets():
    soft = Network([2, 2], output="softmax", loss="cross_entropy")
    yes = Network([2, 1], output="logistic", loss="binary_cross_entropy")
    x = np.ones((2, 2))
    with pytest.raises(ValueError, match=r"probabilities that sum to 1.*row 1 holds \[0.5, 0.25\]"):
        soft.loss(x, [[0.5, 0.5], [0.5, 0.25]])
    with pytest.raises(ValueError, match="y must hold probabilities, from 0 to 1"):
        yes.loss(x, [0, 2])
    with pytest.raises(ValueError, match="class_weight needs integer labels"):
        Network([2, 1]).fit(x, [1, 2], epochs=1, batch_size=1, learning_rate=0.1, class_weight="balanced")


def test_a_dead_layer_is_warned_about(rng):
    x = rng.normal(size=(300, 3))
    net = Network([3, 4, 5, 1], activation=["relu", "relu"], seed=1)
    net.biases[1] -= 1e3
    how: dict[str, Any] = {"epochs": 1, "batch_size": 10, "learning_rate": 1e-3}
    with pytest.warns(UserWarning, match="every unit of hidden layer 1, a relu, is 0 for all samples"):
        net.fit(x, x[:, 0], **how)
    net.biases[1] += 1e3
    net.biases[1][:] = -100
    x[7] = 1e3  # one sample that goes through
    net.weights[0][...] = net.weights[1][...] = 1
    net.fit(x, x[:, 0], epochs=1, batch_size=300, learning_rate=0.0)


def test_inputs_far_from_one_are_warned_about_once(rng):
    """Means of 1000, pixels from 0 to 255, micrometres; not ordinary ones."""
    x = rng.normal(size=(50, 3))
    y = x[:, 0]
    how: dict[str, Any] = {"epochs": 1, "batch_size": 10, "learning_rate": 1e-9}
    shifted = x + np.array([0, 1000, 0])
    net = Network([3, 4, 1])
    with pytest.warns(UserWarning, match=r"inputs are too large.* column 1 of x has mean 1e\+03.*standardize\(x\)"):
        net.fit(shifted, y, **how)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net.fit(shifted, y, **how)
        Network([3, 4, 1]).fit(x, y, **how)
        cured = Network([3, 4, 1])
        cured.standardize(shifted)
        cured.fit(shifted, y, **how)
    for bad in (rng.integers(0, 256, (50, 3)).astype(np.uint8), x * 1e-9):
        with pytest.warns(UserWarning, match="column . of x has mean"):
            Network([3, 4, 1]).fit(bad, y, **how)
