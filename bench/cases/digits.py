"""MNIST's digits, from bytes to a network that reads them: the seconds of a training, and the share that is misread."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np

import mmlfast as mf
from bench.harness import Case, Job, Setup, Within
from mmlfast.tour._folder import folder


@cache
def digits() -> Any:
    """What to learn from, and what to read: MNIST's two sets."""
    from mmlfast.tour._data import digits_to_read  # and with it scikit-learn

    return digits_to_read(60_000)


def learn(sizes: list[int], how: dict[str, Any]) -> mf.neural_network.Network:
    seen = digits()[0]
    net = mf.neural_network.Network(
        sizes, activation="relu", output="softmax", loss="cross_entropy", dtype="float32", seed=0
    )
    net.standardize(seen.pixels, per_column=False)
    net.fit(seen.pixels, seen.labels, optimizer="adamw", beta2=0.99, schedule="one_cycle", **how)
    return net


def reading(sizes: list[int], misread: float, how: dict[str, Any], setup: Setup) -> Job:
    unseen = digits()[1]

    def error(net: Any) -> float:
        return float(np.mean(net.predict(unseen.pixels) != unseen.labels))

    job = Job(error, "share of the test digits that are misread", limit=misread)
    job.ours(learn, sizes, how)
    return job


SMALL, PLAIN = [784, 128, 10], {"batch_size": 128, "learning_rate": 0.005, "label_smoothing": 0.1}
# The recipe of docs/networks.md.
LARGE = [784, 512, 256, 10]
SHIFTED = {"batch_size": 256, "learning_rate": 0.003, "label_smoothing": 0.05, "weight_decay": 0.05, "max_shift": 1}

# A network of another seed misreads up to 0.1 % of the digits more, or fewer.
CASES: list[Case] = []
if (folder() / "mnist").is_dir():
    CASES = [
        Case(
            "digits-97",
            "MNIST to 97 %, 784-128-10, one epoch",
            partial(reading, SMALL, 0.031, PLAIN | {"epochs": 1}),
            (Within(0.15),),
        ),
        Case(
            "digits-98",
            "MNIST to 98 %, 784-128-10, three epochs",
            partial(reading, SMALL, 0.021, PLAIN | {"epochs": 3}),
            (Within(0.4),),
        ),
        Case(
            "digits-99",
            "MNIST to 99 %, 784-512-256-10, shifts, twelve epochs",
            partial(reading, LARGE, 0.01, SHIFTED | {"epochs": 12}),
            (Within(6.0),),
            slow=True,
        ),
    ]
