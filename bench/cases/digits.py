"""MNIST's digits, from bytes to a network that reads them: the seconds of a training, and the share that is misread."""

from __future__ import annotations

import gzip
import os
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

import mmlfast as mf
from bench.harness import Case, Job, Setup, Within

Array = np.ndarray[Any, Any]


def folder() -> Path:
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    return Path(os.environ.get("MMLFAST_DATA") or beside) / "mnist"


@cache
def digits(part: str) -> tuple[Array, Array]:
    """Pixels of 0 to 255 in rows, and what they show."""
    with gzip.open(folder() / f"{part}-images-idx3-ubyte.gz") as images:
        pixels = np.frombuffer(images.read(), np.uint8, offset=16).reshape(-1, 784)
    with gzip.open(folder() / f"{part}-labels-idx1-ubyte.gz") as labels:
        return pixels, np.frombuffer(labels.read(), np.uint8, offset=8).astype(np.int64)


def learn(sizes: list[int], how: dict[str, Any]) -> mf.neural_network.Network:
    pixels, labels = digits("train")
    net = mf.neural_network.Network(
        sizes, activation="relu", output="softmax", loss="cross_entropy", dtype="float32", seed=0
    )
    net.standardize(pixels, per_column=False)
    net.fit(pixels, labels, optimizer="adamw", beta2=0.99, schedule="one_cycle", **how)
    return net


def reading(sizes: list[int], misread: float, how: dict[str, Any], setup: Setup) -> Job:
    pixels, labels = digits("t10k")
    digits("train")

    def error(net: Any) -> float:
        return float(np.mean(net.predict(pixels) != labels))

    job = Job(error, "share of the test digits that are misread", limit=misread)
    job.ours(learn, sizes, how)
    return job


SMALL, PLAIN = [784, 128, 10], {"batch_size": 128, "learning_rate": 0.005, "label_smoothing": 0.1}
# The recipe of docs/networks.md.
LARGE = [784, 512, 256, 10]
SHIFTED = {"batch_size": 256, "learning_rate": 0.003, "label_smoothing": 0.05, "weight_decay": 0.05, "max_shift": 1}

# A network of another seed misreads up to 0.1 % of the digits more, or fewer.
CASES: list[Case] = []
if folder().is_dir():
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
