"""Many networks trained side by side: each is what it would be alone."""

import copy
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import mmlfast as mf
from mmlfast.neural_network import Network, fit_many

RNG = np.random.default_rng(2)
X = RNG.standard_normal((60, 2))
Y = np.stack([X[:, 0] * X[:, 1], np.tanh(X[:, 0])], axis=1)
HOW = {"epochs": 4, "batch_size": 16, "learning_rate": 0.05}


def networks():
    kinds = [
        ([2, 8, 2], "tanh"),
        ([2, 5, 2], "relu"),
        ([2, 8, 4, 2], "logistic"),
        ([2, 2], "tanh"),
        ([2, 8, 2], "silu"),
    ]
    return [
        Network(sizes, activation=f, seed=i, dtype=(np.float64, np.float32)[i % 2])
        for i, (sizes, f) in enumerate(kinds)
    ]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_each_is_what_it_is_alone(threads):
    rates, momenta = [0.02, 0.05, 0.1, 0.2, 0.01], [0.0, 0.9, 0.5, 0.0, 0.9]
    alone = networks()
    losses = [
        n.fit(X, Y, **HOW | {"learning_rate": r}, momentum=m) for n, r, m in zip(alone, rates, momenta, strict=True)
    ]
    before = mf.get_num_threads()
    mf.set_num_threads(threads)
    try:
        found = fit_many(networks(), X, Y, **HOW | {"learning_rate": rates}, momentum=momenta)
    finally:
        mf.set_num_threads(before)
    assert_array_equal(found.losses, losses)
    for a, b in zip(alone, found.networks, strict=True):
        for w, v in zip(a.weights, b.weights, strict=True):
            assert_array_equal(w, v)
        assert a.epoch == b.epoch == 4
    assert found.status == ["after all epochs"] * 5


def test_an_array_of_rates_is_one_for_each():
    nets = [Network([2, 3, 2], seed=s) for s in range(3)]
    rates = np.linspace(0.01, 0.1, 3)
    alone = [copy.copy(n).fit(X, Y, **HOW | {"learning_rate": r}) for n, r in zip(nets, rates, strict=True)]
    assert_array_equal(fit_many(nets, X, Y, **HOW | {"learning_rate": rates}).losses, alone)


def test_samples_of_their_own():
    xs, ys = [X[:20], X[20:], X], [Y[:20], Y[20:], Y]
    nets = [Network([2, 3, 2], seed=s) for s in range(3)]
    alone = [copy.copy(n).fit(x, y, **HOW) for n, x, y in zip(nets, xs, ys, strict=True)]
    assert_array_equal(fit_many(nets, xs, ys, **HOW).losses, alone)
    stacked = fit_many([Network([2, 3, 2], seed=s) for s in range(3)], np.stack([X, X, X]), Y, **HOW)
    assert_array_equal(stacked.losses[2], Network([2, 3, 2], seed=2).fit(X, Y, **HOW))


def test_one_network_for_each_group():
    labels = np.array(["b", "a", "c"])[np.arange(60) % 3]
    weights = RNG.uniform(1, 2, 60)
    one = Network([2, 4, 2], seed=7)
    found = fit_many(one, X, Y, groups=labels, sample_weight=weights, **HOW)
    assert found.groups.tolist() == ["a", "b", "c"]
    for row, label in zip(found.losses, found.groups, strict=True):
        at = labels == label
        assert_array_equal(row, Network([2, 4, 2], seed=7).fit(X[at], Y[at], sample_weight=weights[at], **HOW))
    assert one.epoch == 0


def test_a_member_that_fails_leaves_the_others_alone():
    bad = X.copy()
    bad[3] = np.nan
    expected = Network([2, 4, 2], seed=0).fit(X, Y, **HOW)
    with pytest.warns(mf.ConvergenceWarning, match="1 of 3 networks warn, the first is network 1"):
        found = fit_many([Network([2, 4, 2], seed=0) for _ in range(3)], [X, bad, X], Y, **HOW)
    assert found.status == ["after all epochs", "diverged", "after all epochs"]
    assert_array_equal(found.losses[[0, 2]], [expected, expected])
    assert np.isnan(found.losses[1]).all()
    assert all(np.isfinite(w).all() for n in found.networks for w in n.weights)

    nets = [Network([2, 4, 2], seed=0) for _ in range(3)]
    with pytest.raises(ValueError, match=r"network 1: learning_rate must be at least 0"):
        fit_many(nets, X, Y, **HOW | {"learning_rate": [0.05, -1.0, 0.05]})
    assert [n.epoch for n in nets] == [4, 0, 4]
    found = fit_many(
        [Network([2, 4, 2], seed=0) for _ in range(2)], X, Y, errors="status", **HOW | {"learning_rate": [0.05, -1.0]}
    )
    assert found.status[0] == "after all epochs"
    assert "learning_rate" in found.status[1]


def test_early_stops_differ():
    held_out = (X[40:], Y[40:])
    nets = [Network([2, 4, 2], seed=s) for s in range(4)]
    how = {"epochs": 30, "batch_size": 8, "learning_rate": [0.5, 0.01, 1.0, 0.1]}
    found = fit_many(nets, X[:40], Y[:40], validation_data=held_out, patience=2, **how)
    for s, (rate, row) in enumerate(zip(how["learning_rate"], found.losses, strict=True)):
        alone = Network([2, 4, 2], seed=s)
        losses = alone.fit(
            X[:40], Y[:40], epochs=30, batch_size=8, learning_rate=rate, validation_data=held_out, patience=2
        )
        assert_array_equal(row[~np.isnan(row)], losses)
        assert_array_equal(alone.weights[0], nets[s].weights[0])


def test_what_cannot_be_trained_is_refused():
    net = Network([2, 4, 2])
    for args, message in [
        ((net, X, Y), "sequence of Network"),
        (([net, net], X, Y), "twice"),
        (([net], [X, X], Y), "2 networks"),
        (([net, copy.copy(net)], X, Y, {"learning_rate": [0.1]}), "list of 1"),
    ]:
        with pytest.raises((TypeError, ValueError), match=message):
            fit_many(*args[:3], **HOW | (args[3] if len(args) > 3 else {}))
    with pytest.raises(TypeError, match="one Network"):
        fit_many([net], X, Y, groups=np.zeros(60, int), **HOW)
    with pytest.raises(ValueError, match="errors"):
        fit_many([net], X, Y, errors="ignore", **HOW)


def test_no_networks():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = fit_many([], X, Y, **HOW)
    assert found.networks == []
    assert found.losses.shape == (0, 0)


def same(a, b):
    """Whether two trained networks hold the same bits, and will go on alike."""
    for one, other in ((a.weights, b.weights), (a.biases, b.biases)):
        for v, w in zip(one, other, strict=True):
            assert_array_equal(v, w)
    for one, other in ((a._velocity, b._velocity), (a._second, b._second)):
        assert (one is None) == (other is None)
        for kept, others in zip(one or (), other or (), strict=True):
            for v, w in zip(kept, others, strict=True):
                assert_array_equal(v, w)
    assert (a.epoch, a._steps) == (b.epoch, b._steps)
    for v, w in zip(a.history, b.history, strict=True):
        assert_array_equal(v, w)


def beside(make, x, y, **how):
    """Trains make(i) side by side, and each alone, where lists in `how` have a value for each."""
    n = len(next(v for v in how.values() if isinstance(v, list)))
    together = [make(i) for i in range(n)]
    found = fit_many(together, x, y, **how)
    for i, network in enumerate(together):
        alone = make(i)
        own = {name: v[i] if isinstance(v, list) else v for name, v in how.items()}
        losses = alone.fit(x[i] if isinstance(x, list) else x, y[i] if isinstance(y, list) else y, **own)
        assert_array_equal(found.losses[i, : len(losses)], losses)
        assert np.isnan(found.losses[i, len(losses) :]).all()
        same(network, alone)
    return found


RATES = [0.01, 0.02, 0.03, 0.1, 0.05]
BITS = np.stack([Y[:, 0] > 0, Y[:, 1] > 0], axis=1).astype(float)
SHARES = np.abs(Y) / np.abs(Y).sum(axis=1, keepdims=True)
LABELS = (Y[:, 0] > 0).astype(int) + (Y[:, 1] > 0)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("activation", "output", "loss", "y"),
    [
        ("tanh", "identity", "squared_error", Y),
        ("relu", "tanh", ("huber", 0.5), Y),
        ("gelu", "identity", "absolute_error", Y),
        (("leaky_relu", 0.1), "logistic", "binary_cross_entropy", BITS),
        ("silu", "softmax", "cross_entropy", SHARES),
        ("softplus", "softmax", "cross_entropy", LABELS),
        ("elu", "softplus", "squared_error", np.abs(Y)),
    ],
)
def test_lanes_have_the_bits_of_each_alone(activation, output, loss, y, dtype):
    n_out = 3 if y is LABELS else 2
    smoothing = 0.1 if "cross" in loss else 0.0

    def make(i):
        return Network([2, 5, 3, n_out], activation=activation, output=output, loss=loss, dtype=dtype, seed=i)

    how = {"epochs": [3, 4, 3, 1, 5], "batch_size": 16, "learning_rate": RATES, "label_smoothing": smoothing}
    beside(make, X, y, **how)
    beside(make, X, y, seed=[1, 2, 3, 3, 1], optimizer="adamw", weight_decay=[0.0, 0.1, 0.2, 0.0, 0.1], **how)


@pytest.mark.parametrize("n_out", [17, 40])
def test_lanes_add_up_many_outputs_as_one_network_does(n_out):
    y = RNG.integers(0, n_out, 60)
    for dtype in (np.float64, np.float32):
        beside(
            lambda i, dtype=dtype: Network([2, n_out], output="softmax", loss="cross_entropy", dtype=dtype, seed=i),
            X, y, epochs=2, batch_size=[16, 60, 7, 16, 60, 7, 16], learning_rate=0.1,
        )  # fmt: skip
        goals = np.repeat(Y, n_out, axis=1)[:, :n_out].copy()
        beside(lambda i, d=dtype: Network([2, n_out], dtype=d, seed=i), X, goals, epochs=2, batch_size=16,
               learning_rate=[0.1, 0.2, 0.1, 0.1, 0.1, 0.3, 0.1])  # fmt: skip


def test_lanes_with_samples_schedules_and_ends_of_their_own():
    sizes = [60, 31, 200, 1, 45, 150, 60]
    xs = [RNG.standard_normal((n, 2)) for n in sizes]
    ys = [np.stack([x[:, 0] * x[:, 1], x[:, 0]], axis=1) for x in xs]
    weights = [RNG.uniform(0.5, 1, n) if i % 2 else None for i, n in enumerate(sizes)]
    held_out = [(x[:9], y[:9]) if i % 2 else (x[:140], y[:140], np.ones(len(x[:140]))) for i, (x, y) in
                enumerate(zip(xs, ys, strict=True))]  # fmt: skip
    schedules = ["constant", "one_cycle", "cosine", ("step", 2, 0.5), "one_cycle", "constant", "cosine"]

    def make(i):
        return Network([2, 12, 2], seed=i)  # blocks of 12 samples

    how = {"epochs": 9, "batch_size": [16, 4, 140, 3, 45, 150, 13], "learning_rate": 0.05, "schedule": schedules}
    beside(make, xs, ys, momentum=[0.0] * 7, **how)
    beside(make, xs, ys, momentum=0.9, nesterov=True, sample_weight=weights, shuffle=[True, False] * 3 + [True], **how)
    beside(make, xs, ys, optimizer="adam", validation_data=held_out, patience=[1, 2, 1, 3, 1, 1, 2], **how)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_lane_that_is_free_takes_the_next_network(threads):
    epochs = [1 + i * 7 % 5 for i in range(40)]
    before = mf.get_num_threads()
    mf.set_num_threads(threads)
    try:
        beside(lambda i: Network([2, 3, 2], seed=i), X, Y, epochs=epochs, batch_size=8, learning_rate=0.1)
    finally:
        mf.set_num_threads(before)


def test_lanes_take_bytes_and_standardized_inputs():
    pixels = RNG.integers(0, 256, (50, 6)).astype(np.uint8)
    y = (pixels[:, :2] / 256.0).astype(np.float32)

    def make(i):
        network = Network([6, 4, 2], seed=i, dtype=np.float32)
        network.standardize(pixels[: 20 + i], per_column=i % 2 == 0)
        return network

    beside(make, pixels, y, epochs=3, batch_size=16, learning_rate=[0.1, 0.2, 0.3, 0.1, 0.2, 0.1])


def test_lanes_leave_what_is_not_theirs_to_one_network_after_another():
    seen = []
    weights = np.where(np.arange(60) < 16, 0.0, 1.0)
    beside(
        lambda i: Network([2, 4, 2], seed=i), X, Y, epochs=3, batch_size=16, shuffle=False,
        learning_rate=[0.1] * 8, momentum=0.5, sample_weight=[None, weights, *[None] * 6],
        clip_norm=[None, None, 0.1, *[None] * 5], max_seconds=[*[None] * 4, 1e6, *[None] * 3],
        dropout=[*[0.0] * 5, 0.5, 0.0, 0.0], callback=[None, None, None, seen.append, *[None] * 4],
    )  # fmt: skip
    assert len(seen) == 6
    with pytest.warns(mf.ConvergenceWarning, match="2 of 5 networks warn"):
        found = fit_many(
            [Network([2, 4, 2], activation="relu", seed=i) for i in range(5)], X, Y,
            epochs=20, batch_size=16, learning_rate=[0.1, 1e9, 0.1, 1e200, 0.1],
        )  # fmt: skip
    assert [s == "diverged" for s in found.status] == [False, True, False, True, False]


def test_weights_that_leave_the_finite_numbers_in_the_last_step_are_noticed():
    """The losses of the epoch are finite: each is from before its step."""
    nets = [Network([2, 4, 2], seed=s, dtype=np.float32) for s in range(5)]
    before = [w.copy() for w in nets[2].weights]
    with pytest.warns(mf.ConvergenceWarning, match="1 of 5 networks warn, the first is network 2"):
        fit_many(nets, X, 1000 * Y, epochs=1, batch_size=60, learning_rate=[1e-6, 1e-6, 3e38, 1e-6, 1e-6])
    for w, v in zip(nets[2].weights, before, strict=True):
        assert_array_equal(w, v)


def test_lanes_go_on_as_one_longer_training():
    how = {"batch_size": 16, "learning_rate": 0.05, "optimizer": "adam"}
    nets = [Network([2, 4, 2], seed=s) for s in range(4)]
    for _ in range(3):
        fit_many(nets, X, Y, epochs=2, **how)
    for s, network in enumerate(nets):
        alone = Network([2, 4, 2], seed=s)
        alone.fit(X, Y, epochs=6, **how)
        assert_array_equal(network.weights[0], alone.weights[0])


def test_lanes_with_targets_and_weights_of_their_own():
    """An odd number of inputs, the same rows with other targets, and rows of weight 0 in which anything stands."""
    rng = np.random.default_rng(3)
    how = {"epochs": 3, "batch_size": 10, "learning_rate": 0.05}
    x, ys = rng.standard_normal((40, 3)), [rng.standard_normal((40, 2)) for _ in range(16)]
    weights = [rng.integers(0, 3, 40).astype(float) for _ in range(16)]
    xs = [np.where(w[:, None] == 0, np.inf, rng.standard_normal((40, 3))) for w in weights]
    for rows, more in (([x] * 16, [{}] * 16), (xs, [{}] * 16), (xs, [{"sample_weight": w} for w in weights])):
        finite = [np.where(np.isfinite(a), a, 0.0) if not m else a for a, m in zip(rows, more, strict=True)]
        finite = [x] * 16 if rows[0] is x else finite
        many = [Network([3, 4, 2], seed=i) for i in range(16)]
        alone = [Network([3, 4, 2], seed=i) for i in range(16)]
        shared = {"sample_weight": weights} if more[0] else {}
        fit_many(many, x if rows[0] is x else finite, ys, **how, **shared)
        for one, other, a, y, m in zip(many, alone, finite, ys, more, strict=True):
            other.fit(a, y, **how, **m)
            np.testing.assert_array_equal(one.weights[0], other.weights[0])
            assert np.isfinite(one.weights[0]).all()


def test_groups_and_rows_of_other_lengths_are_named():
    labels = np.arange(60) % 2
    for name, given in {"y": {"y": Y[:50]}, "sample_weight": {"y": Y, "sample_weight": np.ones(61)}}.items():
        with pytest.raises(ValueError, match=f"{name} must have one entry for each of the 60 rows"):
            fit_many(Network([2, 1]), X, groups=labels, **given, **HOW)
