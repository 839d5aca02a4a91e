"""neural_network.Network against the NumPy reference, complex-step derivatives, scikit-learn and itself."""

from __future__ import annotations

import contextlib
import copy
import io
import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from in_threads import in_threads
from interrupts import interrupt

import mmlfast as mf
from mmlfast._reference import backprop as reference
from mmlfast.neural_network import Network

HIDDEN = ("tanh", "logistic", "relu", "identity")
WIDTHS = (1, 3, 7, 8, 9, 16, 17, 33)
BATCHES = (1, 2, 7, 8, 9, 31, 33)


def make(rng, sizes, hidden, output, dtype=np.float64):
    """A network with random biases too, and the same as layers and names for the reference."""
    loss = "cross_entropy" if output == "softmax" else "squared_error"
    net = Network(sizes, activation=hidden, output=output, loss=loss, dtype=dtype, seed=int(rng.integers(1 << 30)))
    for b in net.biases:
        b[:] = rng.uniform(-0.5, 0.5, b.shape)
    layers = [(w.astype(np.float64), b.astype(np.float64)) for w, b in zip(net.weights, net.biases, strict=True)]
    return net, layers, [*net.activation, output]


def samples(rng, n, sizes, output, dtype=np.float64):
    x = rng.normal(size=(n, sizes[0])).astype(dtype)
    if output == "softmax":
        return x, rng.integers(0, sizes[-1], n)
    return x, rng.normal(size=(n, sizes[-1])).astype(dtype)


def largest_difference(got, want):
    """Over all layers and both kinds of parameters, relative to the largest entry of each array."""
    worst = 0.0
    for pair, right in zip(got, want, strict=True):
        for a, b in zip(pair, right, strict=True):
            assert a.shape == b.shape
            worst = max(worst, float(np.max(np.abs(a - b)) / max(float(np.max(np.abs(b))), 1e-3)))
    return worst


def check_values(rng, sizes, hidden, output, n):
    net, layers, names = make(rng, sizes, hidden, output)
    x, y = samples(rng, n, sizes, output)
    np.testing.assert_allclose(net.forward(x), reference.forward(layers, names, x), rtol=1e-12, atol=1e-14)
    assert net.loss(x, y) == pytest.approx(float(reference.loss(layers, names, x, y)), rel=1e-12)
    assert largest_difference(net.gradients(x, y), reference.gradients(layers, names, x, y)) < 1e-12


# ---- values, loss, gradients ----


@pytest.mark.parametrize("output", ["identity", "logistic", "tanh", "relu", "softmax"])
@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_against_reference(rng, hidden, output, depth):
    sizes = [int(n) for n in rng.choice(WIDTHS, depth + 1)]
    check_values(rng, sizes, hidden, output, int(rng.choice(BATCHES)))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("n", [*BATCHES, 127, 128, 129, 300])
def test_widths_and_batches(rng, width, n):
    check_values(rng, [width, WIDTHS[-1 - WIDTHS.index(width)], width], "tanh", "softmax" if n % 2 else "identity", n)


@pytest.mark.parametrize("sizes", [[5, 200, 129, 3], [300, 64, 10], [130, 2], [2, 257, 100]])
def test_wide_layers(rng, sizes):
    check_values(rng, sizes, "tanh", "identity", 77)


def test_long_input(rng):
    check_values(rng, [3, 9, 2], "logistic", "softmax", 2500)


@pytest.mark.parametrize("output", ["identity", "logistic", "tanh", "relu", "softmax"])
@pytest.mark.parametrize("hidden", HIDDEN)
def test_gradient_is_the_derivative_of_the_loss(rng, hidden, output):
    """Complex step in every parameter: the loss at w + ih has the derivative in its imaginary part, to rounding."""
    sizes, h = [3, 7, 9, 2], 1e-30
    net, layers, names = make(rng, sizes, hidden, output)
    x, y = samples(rng, 9, sizes, output)
    for layer, parts in enumerate(net.gradients(x, y)):
        for which, gradient in enumerate(parts):
            for index in np.ndindex(gradient.shape):
                moved = [(w.astype(complex), b.astype(complex)) for w, b in layers]
                moved[layer][which][index] += 1j * h
                derivative = reference.loss(moved, names, x, y).imag / h
                assert gradient[index] == pytest.approx(derivative, rel=1e-9, abs=1e-14)


def test_gradient_by_differences_of_its_own_loss(rng):
    net, _, _ = make(rng, [4, 8, 3], "tanh", "softmax")
    x, y = samples(rng, 31, [4, 8, 3], "softmax")
    for layer, (dw, _) in enumerate(net.gradients(x, y)):
        for index in [(0, 0), (1, 2), (3, 1)]:
            w, h = net.weights[layer], 1e-5
            kept = w[index]
            w[index] = kept + h
            up = net.loss(x, y)
            w[index] = kept - h
            down = net.loss(x, y)
            w[index] = kept
            assert dw[index] == pytest.approx((up - down) / (2 * h), rel=1e-6, abs=1e-10)


@pytest.mark.parametrize("output", ["identity", "logistic", "softmax"])
def test_float32(rng, output):
    sizes = [17, 33, 9, 3]
    net, layers, names = make(rng, sizes, "tanh", output, np.float32)
    x, y = samples(rng, 500, sizes, output, np.float32)
    out = net.forward(x)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, reference.forward(layers, names, x.astype(float)), rtol=2e-5, atol=2e-6)
    want = reference.gradients(layers, names, x.astype(float), y)
    got = net.gradients(x, y)
    assert all(dw.dtype == db.dtype == np.float32 for dw, db in got)
    assert largest_difference(got, want) < 1e-5
    assert net.loss(x, y) == pytest.approx(float(reference.loss(layers, names, x.astype(float), y)), rel=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_law_linear_network_is_a_product(data):
    sizes = data.draw(st.lists(st.integers(1, 40), min_size=2, max_size=4))
    n = data.draw(st.integers(1, 70))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    net, layers, _ = make(rng, sizes, "identity", "identity")
    x = rng.normal(size=(n, sizes[0]))
    want = x
    for w, b in layers:
        want = want @ w + b
    np.testing.assert_allclose(net.forward(x), want, rtol=1e-11, atol=1e-11)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 300), st.integers(0, 1000))
def test_law_gradient_of_the_whole_is_the_mean_of_the_parts(n, seed):
    rng = np.random.default_rng(seed)
    net, _, _ = make(rng, [3, 9, 4], "tanh", "softmax")
    x, y = samples(rng, n + 1, [3, 9, 4], "softmax")
    whole = net.gradients(x, y)
    first, rest = net.gradients(x[:n], y[:n]), net.gradients(x[n:], y[n:])
    for w, a, b in zip(whole, first, rest, strict=True):
        np.testing.assert_allclose(w[0], (n * a[0] + b[0]) / (n + 1), rtol=1e-9, atol=1e-13)


def test_extreme_values():
    net = Network([1, 1], output="logistic")
    net.weights[0][:] = 1
    out = net.forward([[-1e4], [-800.0], [0.0], [800.0], [np.inf], [-np.inf]]).ravel()
    np.testing.assert_array_equal(out, [0, 0, 0.5, 1, 1, 0])
    soft = Network([3, 3], output="softmax", loss="cross_entropy")
    soft.weights[0][:] = np.eye(3)
    np.testing.assert_array_equal(soft.forward([[1e5, 0, -1e5]]), [[1, 0, 0]])
    assert soft.loss([[1e5, 0, -1e5]], [2]) == 2e5
    assert soft.loss([[1e5, 0, -1e5]], [0]) == 0
    assert math.isfinite(soft.gradients([[1e300, 0, -1e300]], [1])[0][1].sum())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("output", ["identity", "logistic", "tanh", "relu", "softmax"])
def test_nan_stays_in_its_sample(rng, output, dtype):
    net, _, _ = make(rng, [3, 9, 5], "relu", output, dtype)
    x, y = samples(rng, 20, [3, 9, 5], output, dtype)
    clean = net.forward(x)
    x[7, 1] = np.nan
    out = net.forward(x)
    assert np.isnan(out[7]).all()
    np.testing.assert_array_equal(np.delete(out, 7, axis=0), np.delete(clean, 7, axis=0))
    assert math.isnan(net.loss(x, y))
    assert np.isnan(net.gradients(x, y)[-1][1]).any()
    before = [w.copy() for w in net.weights]
    with pytest.warns(mf.ConvergenceWarning, match="x holds NaN, infinity or a number beyond .*, first in row 7"):
        losses = net.fit(x, y, epochs=2, batch_size=8, learning_rate=0.1)
    assert losses.shape == (0,)
    for w, b in zip(net.weights, before, strict=True):
        np.testing.assert_array_equal(w, b)


def test_relu_has_slope_zero_at_zero():
    net = Network([1, 1], output="relu")
    net.weights[0][:] = 0
    assert net.gradients([[1.0]], [[-1.0]])[0][0] == 0


# ---- training ----


def fits_as_the_reference(net, layers, names, x, y, how):
    losses = net.fit(x, y, **how)
    want_layers, want_losses = reference.fit(layers, names, x, y, **how)
    np.testing.assert_allclose(losses, want_losses, rtol=1e-11)
    assert largest_difference(list(zip(net.weights, net.biases, strict=True)), want_layers) < 1e-11


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("output", ["identity", "softmax"])
@pytest.mark.parametrize(("n", "batch_size"), [(100, 32), (33, 33), (31, 100), (7, 1), (400, 150), (65, 8)])
def test_fit_step_for_step(rng, n, batch_size, output, momentum):
    sizes = [4, 9, 3]
    net, layers, names = make(rng, sizes, "tanh", output)
    x, y = samples(rng, n, sizes, output)
    how: dict[str, Any] = {"epochs": 3, "batch_size": batch_size, "learning_rate": 0.1, "momentum": momentum}
    for shuffle in (True, False):
        fits_as_the_reference(copy.copy(net), layers, names, x, y, how | {"shuffle": shuffle, "seed": 11})


@pytest.mark.parametrize("sizes", [[40, 20, 3], [2, 9, 2], [1, 40, 1], [2, 3, 1], [1, 8, 2], [2, 7, 7, 1], [17, 1]])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_fit_step_for_step_at_other_widths(rng, sizes, activation):
    net, layers, names = make(rng, sizes, activation, "identity")
    x, y = samples(rng, 45, sizes, "identity")
    how: dict[str, Any] = {"epochs": 3, "batch_size": 18, "learning_rate": 0.02, "momentum": 0.5}
    fits_as_the_reference(net, layers, names, x, y, how)


def test_fit_of_a_network_with_a_phase_for_the_update(rng):
    """More weights than the fused update takes."""
    sizes = [600, 500, 3]
    net, layers, names = make(rng, sizes, "tanh", "identity")
    x, y = samples(rng, 140, sizes, "identity")
    how: dict[str, Any] = {"epochs": 1, "batch_size": 130, "learning_rate": 0.01, "momentum": 0.5}
    fits_as_the_reference(net, layers, names, x, y, how)


def test_fit_repeats_and_depends_on_seed(rng):
    net, _, _ = make(rng, [3, 8, 1], "tanh", "identity")
    x, y = samples(rng, 50, [3, 8, 1], "identity")
    runs = [copy.copy(net) for _ in range(3)]
    losses = [
        run.fit(x, y, epochs=2, batch_size=8, learning_rate=0.1, seed=seed)
        for run, seed in zip(runs, (5, 5, 6), strict=True)
    ]
    np.testing.assert_array_equal(losses[0], losses[1])
    np.testing.assert_array_equal(runs[0].weights[0], runs[1].weights[0])
    assert (losses[0] != losses[2]).any()


def test_learns_xor():
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    y = np.array([0, 1, 1, 0])
    net = Network([2, 8, 2], output="softmax", loss="cross_entropy", seed=3)
    losses = net.fit(x, y, epochs=2000, batch_size=4, learning_rate=0.5, momentum=0.9)
    assert losses[-1] < 0.01
    np.testing.assert_array_equal(net.forward(x).argmax(axis=1), y)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_learns_digits(dtype):
    datasets = pytest.importorskip("sklearn.datasets")
    from sklearn.model_selection import train_test_split

    x, y = datasets.load_digits(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(x / 16, y, random_state=0, stratify=y)
    net = Network([64, 32, 10], activation="relu", output="softmax", loss="cross_entropy", dtype=dtype, seed=0)
    losses = net.fit(x_train, y_train, epochs=60, batch_size=32, learning_rate=0.1, momentum=0.9)
    assert losses[-1] < losses[0] / 10
    assert np.mean(net.forward(x_test).argmax(axis=1) == y_test) >= 0.95


def parameters(net):
    return [*net.weights, *net.biases]


def same_networks(one, other):
    for a, b in zip(parameters(one), parameters(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_training_that_explodes():
    """All NaN without a word."""
    x = np.random.default_rng(1).normal(size=(120, 2))
    net = Network([2, 15, 1], activation="relu")
    with pytest.warns(mf.ConvergenceWarning, match=r"epoch 1 of 2, .* smaller learning_rate \(it is 0.02\)") as caught:
        losses = net.fit(x, 2e4 * x[:, 0] + 3e5, epochs=2, batch_size=12, learning_rate=0.02)
    assert caught[0].filename == __file__
    assert np.isfinite(losses).all()
    assert net.epoch == len(losses) == 0
    same_networks(net, Network([2, 15, 1], activation="relu"))
    assert np.isfinite(net.forward(x)).all()
    losses = net.fit(x, x[:, 0], epochs=20, batch_size=12, learning_rate=0.02)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(("dtype", "rate", "largest"), [(np.float64, 1e305, 1.7e308), (np.float32, 1e36, 3.3e38)])
def test_the_last_step_may_be_the_one_that_is_too_long(dtype, rate, largest):
    """The loss of an epoch does not tell of its last step; and the largest numbers are numbers."""
    net = Network([1, 1], dtype=dtype, seed=4)
    before = copy.deepcopy(net)
    with pytest.warns(mf.ConvergenceWarning, match="left the finite numbers in epoch 1 of 1"):
        assert len(net.fit([[1.0]], [1e9], epochs=1, batch_size=1, learning_rate=rate)) == 0
    same_networks(net, before)
    net = Network([1, 1], dtype=dtype, init=[([[largest]], [0.0])])
    net.fit([[0.0]], [1.0], epochs=1, batch_size=1, learning_rate=0.1)
    assert net.weights[0][0, 0] == dtype(largest)
    assert net.biases[0][0] == dtype(0.1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize(("n", "batch_size"), [(64, 8), (4, 4), (65, 8), (700, 7)])
def test_diverging_training_ends_with_the_last_finite_weights(n, batch_size, momentum, dtype):
    """Those that epochs one by one come to, also where many short epochs pass between two looks."""
    x = np.linspace(-1, 1, n)[:, None]
    for rate in (1.7, 3.0, 1e6):
        how = {"batch_size": batch_size, "learning_rate": rate, "momentum": momentum}
        net, slow = (Network([1, 4, 1], activation="identity", dtype=dtype, seed=4) for _ in range(2))
        with pytest.warns(mf.ConvergenceWarning, match="left the finite numbers in epoch"):
            losses = net.fit(x, 3 * x + 1, epochs=5000, **how)
        assert np.isfinite(losses).all()
        assert all(np.isfinite(p).all() for p in parameters(net))
        assert len(losses) == net.epoch < 5000
        last = copy.deepcopy(slow)
        expected = []
        for _ in range(len(losses)):
            expected.extend(slow.fit(x, 3 * x + 1, epochs=1, **how))
        np.testing.assert_array_equal(losses, expected)
        same_networks(net, slow)
        with pytest.warns(mf.ConvergenceWarning, match="epoch 1 of 1"):
            slow.fit(x, 3 * x + 1, epochs=1, **how)
        same_networks(net, slow)
        last.fit(x, 3 * x + 1, epochs=0, **how)


def test_numbers_too_large_for_float32_are_named(rng):
    net = Network([2, 3, 1], dtype=np.float32)
    with pytest.warns(mf.ConvergenceWarning, match="y holds .* beyond float32, first in row 3"):
        net.fit(np.ones((5, 2)), [0.0, 1, 2, 1e300, 4], epochs=3, batch_size=2, learning_rate=0.1)
    assert all(np.isfinite(p).all() for p in parameters(net))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(("n", "batch_size"), [(32, 8), (33, 8), (7, 100), (300, 150)])
def test_fit_called_again_goes_on(rng, n, batch_size, shuffle, momentum, dtype):
    """As one longer fit, to the bit; through copies and pickles too."""
    start, _, _ = make(rng, [3, 9, 2], "tanh", "softmax", dtype)
    x, y = samples(rng, n, [3, 9, 2], "softmax", dtype)
    how = {"batch_size": batch_size, "learning_rate": 0.1, "momentum": momentum, "shuffle": shuffle, "seed": 3}
    whole = copy.copy(start)
    losses = whole.fit(x, y, epochs=5, **how)
    assert whole.epoch == 5
    for duplicate in (lambda n: n, copy.copy, copy.deepcopy, lambda n: pickle.loads(pickle.dumps(n))):
        net = copy.copy(start)
        first = net.fit(x, y, epochs=2, **how)
        net = duplicate(net)
        net.fit(x, y, epochs=0, **how)
        assert net.epoch == 2
        np.testing.assert_array_equal([*first, *net.fit(x, y, epochs=3, **how)], losses)
        same_networks(net, whole)
        assert net.epoch == 5


def test_reset_starts_anew(rng):
    x, y = samples(rng, 20, [3, 5, 1], "identity")
    how = {"epochs": 2, "batch_size": 8, "learning_rate": 0.1, "momentum": 0.9}
    net = Network([3, 5, 1], seed=8)
    first = net.fit(x, y, **how)
    trained = copy.copy(net)
    assert (net.fit(x, y, **how) != first).any()
    net.reset()
    assert net.epoch == 0
    same_networks(net, Network([3, 5, 1], seed=8))
    np.testing.assert_array_equal(net.fit(x, y, **how), first)
    same_networks(net, trained)


def test_networks_pickled_before_they_had_an_epoch(rng):
    x, y = samples(rng, 20, [3, 5, 1], "identity")
    net = Network([3, 5, 1])
    state = {name: value for name, value in vars(net).items() if name not in ("_seed", "_epoch", "_velocity")}
    old = Network.__new__(Network)
    old.__setstate__(state)
    how = {"epochs": 2, "batch_size": 8, "learning_rate": 0.1, "momentum": 0.9}
    np.testing.assert_array_equal(old.fit(x, y, **how), net.fit(x, y, **how))
    assert old.epoch == 2
    with pytest.raises(ValueError, match="did not keep its seed"):
        old.reset()
    for bad in ({"_epoch": -1}, {"_epoch": 2.5}):
        with pytest.raises((ValueError, TypeError), match="epoch must be"):
            old.__setstate__({**state, **bad})
    good = dict(vars(net))
    for bad in (([np.zeros((2, 2))] * 2, [np.zeros(5), np.zeros(1)]), ([], []), good["_velocity"][::-1]):
        with pytest.raises(ValueError, match=r"velocities of a network of sizes \[3, 5, 1\]"):
            old.__setstate__({**good, "_velocity": bad})


def test_labels_are_those_that_were_checked(rng):
    """A contiguous int64 array is not used as it is: another thread may write into it."""
    net, _, _ = make(rng, [3, 4], "tanh", "softmax")
    x, y = samples(rng, 9, [3, 4], "softmax")
    y = np.ascontiguousarray(y, np.int64)
    assert not np.shares_memory(net._samples(x, y, None)[1], y)
    for bad in ([0] * 8 + [4], [0] * 8 + [-1], np.array([0] * 8 + [2**63], np.uint64)):
        with pytest.raises(ValueError, match="y must hold labels from 0 to 3"):
            net.loss(x, bad)


def test_labels_of_rows_agree(rng):
    pandas = pytest.importorskip("pandas")
    x = pandas.DataFrame(rng.normal(size=(4, 2)), index=list("abcd"))
    y = pandas.Series(rng.normal(size=4), index=list("abcd"))
    net = Network([2, 3, 1])
    assert net.loss(x, y) == net.loss(x.to_numpy(), y.to_numpy())
    for call in (net.loss, net.gradients, lambda x, y: net.fit(x, y, epochs=1, batch_size=2, learning_rate=0.1)):
        with pytest.raises(ValueError, match="labels of y"):
            call(x, y[::-1])


def test_fit_leaves_old_arrays_and_zero_epochs_leave_all(rng):
    net = Network([2, 3, 1])
    x, y = samples(rng, 10, [2, 3, 1], "identity")
    w = net.weights[0]
    before = w.copy()
    assert net.fit(x, y, epochs=0, batch_size=4, learning_rate=0.1).shape == (0,)
    np.testing.assert_array_equal(net.weights[0], before)
    net.fit(x, y, epochs=1, batch_size=4, learning_rate=0.1)
    np.testing.assert_array_equal(w, before)
    assert (net.weights[0] != before).any()


def test_verbose(rng, capsys):
    net = Network([2, 3, 1])
    x, y = samples(rng, 10, [2, 3, 1], "identity")
    losses = net.fit(x, y, epochs=12, batch_size=4, learning_rate=0.1, verbose=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"epoch  1/12  loss {losses[0]:.6g}"
    assert lines[-1] == f"epoch 12/12  loss {losses[-1]:.6g}"
    assert len(lines) <= 12


# ---- input ----


def test_input_in_every_layout(rng, threads):
    net, _, _ = make(rng, [6, 9, 4], "tanh", "identity")
    x, y = samples(rng, 40, [6, 9, 4], "identity")
    wide, wide_y = np.zeros((80, 12)), np.zeros((40, 8))
    wide[::2, ::2], wide_y[:, ::2] = x, y
    misaligned = np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(np.float64).reshape(x.shape)
    assert not misaligned.flags.aligned
    variants = [np.asfortranarray(x), wide[::2, ::2], x[::-1][::-1], misaligned, x.astype(">f8"), x.tolist()]
    read_only = x.copy()
    read_only.flags.writeable = False
    want, want_gradient = net.forward(x), net.gradients(x, y)
    for variant in [*variants, read_only]:
        np.testing.assert_array_equal(net.forward(variant), want)
        for (dw, db), (rw, rb) in zip(net.gradients(variant, wide_y[:, ::2]), want_gradient, strict=True):
            np.testing.assert_array_equal(dw, rw)
            np.testing.assert_array_equal(db, rb)
    repeated = np.broadcast_to(x[:1], (5, 6))
    np.testing.assert_array_equal(net.forward(repeated), np.broadcast_to(want[:1], (5, 4)))
    np.testing.assert_array_equal(net.forward(x.astype(int)), net.forward(x.astype(int).astype(float)))
    assert net.forward(np.zeros((0, 6))).shape == (0, 4)


def test_weights_can_be_set(rng):
    net = Network([3, 2])
    w = rng.normal(size=(2, 3))
    net.weights[0] = w.T
    net.biases[0] = [1, 2]
    x = rng.normal(size=(5, 3))
    np.testing.assert_allclose(net.forward(x), x @ w.T + [1, 2], rtol=1e-13, atol=1e-14)
    net.fit(x, x[:, :2], epochs=1, batch_size=5, learning_rate=0.0)
    np.testing.assert_array_equal(net.weights[0], w.T)
    assert net.weights[0].flags.c_contiguous


def test_labels_of_any_integer_type(rng):
    net, _, _ = make(rng, [3, 4], "tanh", "softmax")
    x, y = samples(rng, 9, [3, 4], "softmax")
    want = net.loss(x, y)
    for dtype in (np.int8, np.uint8, np.int32, np.uint64, ">i4"):
        assert net.loss(x, y.astype(dtype)) == want
    assert net.loss(x, y.tolist()) == want


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (ValueError, "sizes must hold at least", lambda: Network([3])),
        (ValueError, "sizes must be at least 1", lambda: Network([3, 0, 1])),
        (TypeError, "sizes must be an integer", lambda: Network([3, 2.5])),
        (ValueError, "activation must be one of .* 'sinus'", lambda: Network([3, 2, 1], activation="sinus")),
        (ValueError, "activation must be one of .* 'softmax'", lambda: Network([3, 2, 1], activation="softmax")),
        (ValueError, "activation must be one name or 1", lambda: Network([3, 2, 1], activation=["tanh"] * 2)),
        (ValueError, "output must be one of", lambda: Network([3, 1], output="maximum")),
        (ValueError, "loss must be one of", lambda: Network([3, 1], loss="absolute")),
        (ValueError, "goes with loss='cross_entropy' only", lambda: Network([3, 2], output="softmax")),
        (ValueError, "goes with loss='cross_entropy' only", lambda: Network([3, 2], loss="cross_entropy")),
        (TypeError, "dtype must be float64 or float32", lambda: Network([3, 2], dtype=np.float16)),
        (ValueError, "seed must be at least 0", lambda: Network([3, 2], seed=-1)),
    ],
)
def test_bad_network(error, message, call):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("error", "message", "x", "y"),
    [
        (ValueError, r"x must have shape \(n, 3\), got \(4, 2\)", np.ones((4, 2)), np.ones((4, 2))),
        (ValueError, r"x must have shape \(n, 3\), got \(3,\)", np.ones(3), np.ones((1, 2))),
        (TypeError, "x must hold real numbers", np.ones((4, 3), complex), np.ones((4, 2))),
        (TypeError, "x must hold real numbers", np.full((4, 3), "a"), np.ones((4, 2))),
        (ValueError, "at least one sample", np.ones((0, 3)), np.ones((0, 2))),
        (
            ValueError,
            r"y must have shape \(4, 2\) to fit x of shape \(4, 3\), got \(5, 2\)",
            np.ones((4, 3)),
            np.ones((5, 2)),
        ),
        (ValueError, r"y must have shape \(4, 2\)", np.ones((4, 3)), np.ones(4)),
        (TypeError, "y must hold real numbers", np.ones((4, 3)), np.ones((4, 2), complex)),
    ],
)
def test_bad_samples(error, message, x, y):
    net = Network([3, 2])
    for call in (net.loss, net.gradients, lambda a, b: net.fit(a, b, epochs=1, batch_size=1, learning_rate=0.1)):
        with pytest.raises(error, match=message):
            call(x, y)


@pytest.mark.parametrize(
    ("error", "message", "y"),
    [
        (ValueError, "labels from 0 to 1, got 0 to 2", [0, 2]),
        (ValueError, "labels from 0 to 1, got -1 to 0", [-1, 0]),
        (ValueError, "labels from 0 to 1", np.array([0, 2**63], np.uint64)),
        (TypeError, "integer labels", [0.0, 1.0]),
        (ValueError, r"y must have shape \(2,\)", [[0], [1]]),
    ],
)
def test_bad_labels(error, message, y):
    net = Network([3, 2], output="softmax", loss="cross_entropy")
    with pytest.raises(error, match=message):
        net.loss(np.ones((2, 3)), y)


@pytest.mark.parametrize(
    ("error", "name", "value"),
    [
        (ValueError, "epochs", -1),
        (TypeError, "epochs", 1.5),
        (ValueError, "batch_size", 0),
        (ValueError, "learning_rate", -0.1),
        (ValueError, "learning_rate", math.nan),
        (ValueError, "learning_rate", math.inf),
        (TypeError, "learning_rate", "fast"),
        (ValueError, "momentum", 1.0),
        (ValueError, "momentum", -0.5),
        (ValueError, "seed", -1),
    ],
)
def test_bad_training(error, name, value):
    how = {"epochs": 1, "batch_size": 1, "learning_rate": 0.1} | {name: value}
    with pytest.raises(error, match=name):
        Network([3, 2]).fit(np.ones((4, 3)), np.ones((4, 2)), **how)


def test_bad_weights():
    net = Network([3, 2])
    net.weights[0] = np.ones((2, 3))
    with pytest.raises(ValueError, match=r"weights\[0\] must have shape \(3, 2\), got \(2, 3\)"):
        net.forward(np.ones((1, 3)))
    net.weights[0] = np.ones((3, 2), complex)
    with pytest.raises(TypeError, match=r"weights\[0\] must hold real"):
        net.forward(np.ones((1, 3)))
    net.weights = []
    with pytest.raises(ValueError, match="weights must hold 1 arrays"):
        net.forward(np.ones((1, 3)))


# ---- copies, threads, levels, interruption ----


@pytest.mark.parametrize("duplicate", [lambda n: pickle.loads(pickle.dumps(n)), copy.copy, copy.deepcopy])
def test_copies_are_independent(rng, duplicate):
    net, _, _ = make(rng, [3, 5, 2], ["relu"], "softmax", np.float32)
    x, y = samples(rng, 20, [3, 5, 2], "softmax")
    other = duplicate(net)
    assert repr(other) == repr(net)
    before = net.forward(x)
    np.testing.assert_array_equal(other.forward(x), before)
    other.weights[0][:] = 0
    np.testing.assert_array_equal(net.forward(x), before)
    other = duplicate(net)
    other.fit(x, y, epochs=1, batch_size=7, learning_rate=0.5)
    np.testing.assert_array_equal(net.forward(x), before)


def test_bits_do_not_depend_on_threads_or_level(same_at_every_level):
    same_at_every_level("""
    rng = np.random.default_rng(1)
    for sizes, output, n, batch in [([2, 8, 2], "softmax", 70, 32), ([300, 130, 10], "softmax", 500, 200),
                                    ([300, 130, 10], "tanh", 500, 128), ([40, 600, 500, 3], "identity", 300, 150)]:
        for dtype in (np.float32, np.float64):
            loss = "cross_entropy" if output == "softmax" else "squared_error"
            net = mf.neural_network.Network(sizes, output=output, loss=loss, dtype=dtype)
            x = rng.normal(size=(n, sizes[0]))
            y = rng.integers(0, sizes[-1], n) if output == "softmax" else rng.normal(size=(n, sizes[-1]))
            digest(net.forward(x), net.loss(x, y), *[g for pair in net.gradients(x, y) for g in pair])
            losses = net.fit(x, y, epochs=2, batch_size=batch, learning_rate=0.01, momentum=0.5)
            digest(losses, *net.weights, *net.biases)
    """)


def test_baseline_level_agrees(run_python, simd_levels):
    code = """
    import numpy as np
    from mmlfast.neural_network import Network
    net = Network([5, 17, 3])
    x = np.linspace(-1, 1, 500).reshape(100, 5)
    net.fit(x, x[:, :3] ** 2, epochs=5, batch_size=32, learning_rate=0.1, momentum=0.9)
    print(*[repr(float(v)) for v in net.forward(x).ravel()])
    """
    results = [np.array(run_python(code, MMLFAST_SIMD=level).split(), float) for level in simd_levels]
    for result in results:
        np.testing.assert_allclose(result, results[-1], rtol=1e-10, atol=1e-12)


def test_many_python_threads_at_once(rng):
    """Each trains its own network; one of them has the pool, the others work alone."""
    x, y = samples(rng, 300, [50, 60, 5], "softmax")

    def train(_: int) -> list[np.ndarray[Any, Any]]:
        net = Network([50, 60, 5], output="softmax", loss="cross_entropy")
        net.fit(x, y, epochs=3, batch_size=100, learning_rate=0.1)
        return net.weights

    want = train(0)
    for weights in in_threads(train, range(8)):
        for a, b in zip(weights, want, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("sizes", "batch_size"), [([2, 8, 2], 32), ([784, 128, 10], 128), ([900, 800, 10], 300)])
def test_interrupt_leaves_a_valid_network(rng, sizes, batch_size):
    net = Network(sizes, output="softmax", loss="cross_entropy")
    x, y = samples(rng, 600, sizes, "softmax")
    before = [w.copy() for w in net.weights]
    fit = lambda: net.fit(x, y, epochs=10**9, batch_size=batch_size, learning_rate=0.001, verbose=True)  # noqa: E731
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        interrupt(fit, when=lambda: "epoch" in printed.getvalue())
    assert all(np.isfinite(w).all() for w in net.weights)
    assert any((w != b).any() for w, b in zip(net.weights, before, strict=True))
    assert net.forward(x).shape == (600, sizes[-1])
    assert math.isfinite(net.fit(x, y, epochs=1, batch_size=batch_size, learning_rate=0.001)[0])


def test_interrupted_weights_are_those_of_a_finished_step(rng):
    """Without shuffling and with one batch, the weights after k steps are known for every k."""
    sizes = [784, 128, 10]
    x, y = samples(rng, 128, sizes, "softmax")
    make_net = lambda: Network(sizes, output="softmax", loss="cross_entropy")  # noqa: E731
    net = make_net()
    interrupt(lambda: net.fit(x, y, epochs=10**9, batch_size=128, learning_rate=0.01, shuffle=False))
    again = make_net()
    for _ in range(1_000_000):
        if all((a == b).all() for a, b in zip(net.weights, again.weights, strict=True)):
            break
        again.fit(x, y, epochs=1, batch_size=128, learning_rate=0.01, shuffle=False)
    else:
        pytest.fail("no number of whole steps leads to these weights")
    assert net.epoch == again.epoch


def test_an_exception_in_the_report_stops_the_training(monkeypatch):
    class Broken:
        def write(self, text: str) -> int:
            raise OSError("no room")

        def flush(self) -> None:
            pass

    net = Network([1, 1])
    monkeypatch.setattr("sys.stdout", Broken())
    with pytest.raises(OSError, match="no room"):
        net.fit([[1.0]], [[2.0]], epochs=10**9, batch_size=1, learning_rate=0.1, verbose=True)
    monkeypatch.undo()
    assert np.isfinite(net.weights[0]).all()
    assert mf.get_num_threads() >= 1
