"""Many networks on the workers of a cluster: each with the bits that it has alone."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import mmlfast as mf
from mmlfast.neural_network import Network

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")

RNG = np.random.default_rng(2)
X = RNG.standard_normal((60, 2))
Y = np.stack([X[:, 0] * X[:, 1], np.tanh(X[:, 0])], axis=1)
HOW: dict[str, Any] = {"epochs": 3, "batch_size": 16, "learning_rate": 0.05}


def networks(n: int = 20) -> list[Network]:
    return [Network([2, 5 + i % 2, 2], seed=i) for i in range(n)]


def check(found: Any, expected: Any) -> None:
    assert_array_equal(found.losses, expected.losses)
    assert found.status == expected.status
    for a, b in zip(found.networks, expected.networks, strict=True):
        assert_array_equal(a.weights[0], b.weights[0])
        assert a.epoch == b.epoch
        assert_array_equal(a.history.loss, b.history.loss)


@pytest.mark.parametrize("parts", [None, 1, 3, 50])
@pytest.mark.parametrize("data", ["arrays", "dask", "delayed"])
def test_the_bits_are_those_of_one_machine(parts: int | None, data: str) -> None:
    rates = np.linspace(0.01, 0.2, 20).tolist()
    how = HOW | {"learning_rate": rates}
    expected = mf.neural_network.fit_many(networks(), X, Y, **how)
    nets = networks()
    x, y = {
        "arrays": (X, Y),
        "dask": (da.from_array(X, chunks=(7, 1)), da.from_array(Y, chunks=(20, 2))),
        "delayed": (dask.delayed(X), dask.delayed(Y)),
    }[data]
    found = mf.dask.fit_many(nets, x, y, parts=parts, **how)
    check(found, expected)
    assert found.networks[3] is nets[3]


def test_samples_of_their_own_and_groups() -> None:
    xs, ys = [X[:20], X[20:], X], [Y[:20], Y[20:], Y]
    check(mf.dask.fit_many(networks(3), xs, ys, parts=2, **HOW), mf.neural_network.fit_many(networks(3), xs, ys, **HOW))
    labels = np.array(list("abc"))[np.arange(60) % 3]
    net = Network([2, 4, 2], seed=1)
    found = mf.dask.fit_many(net, X, Y, groups=labels, parts=3, **HOW)
    check(found, mf.neural_network.fit_many(copy.copy(net), X, Y, groups=labels, **HOW))
    assert found.groups is not None
    assert found.groups.tolist() == ["a", "b", "c"]


def test_errors_name_the_network() -> None:
    wrong = [X, X, X[:, :1]]
    with pytest.raises(ValueError, match="network 2: x must have shape"):
        mf.dask.fit_many(networks(3), wrong, Y, parts=3, **HOW)
    assert "x must have shape" in mf.dask.fit_many(networks(3), wrong, Y, parts=3, errors="status", **HOW).status[2]
    with pytest.raises(ValueError, match="callback"):
        mf.dask.fit_many(networks(3), X, Y, callback=print, **HOW)
    with pytest.raises(ValueError, match="parts must be at least 1"):
        mf.dask.fit_many(networks(3), X, Y, parts=-1, **HOW)
    with pytest.warns(mf.ConvergenceWarning, match=r"1 of 3 networks warn, the first is network 1"):
        mf.dask.fit_many(networks(3), X, Y, parts=3, **HOW | {"learning_rate": [0.1, 1e100, 0.1]})
