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
