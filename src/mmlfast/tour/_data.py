"""The data sets of the steps: real ones from the folder `MMLFAST_DATA` if they are there, else what comes installed."""

from __future__ import annotations

import gzip
from typing import Any, NamedTuple

import numpy as np
from sklearn.datasets import load_digits, load_sample_images
from sklearn.model_selection import train_test_split

from mmlfast.tour._folder import folder

Array = np.ndarray[Any, Any]


class Images(NamedTuple):
    """Grey images in rows."""

    name: str
    pixels: Array  # uint8 or float64, shape (n, side * side)
    labels: Array
    side: int


def written_digits(largest: int) -> Images:
    """The first images of MNIST's training set, or scikit-learn's digits of 8 x 8 pixels."""
    found = _mnist("train", largest)
    if found is None:
        digits = load_digits()
        return Images("the digits of scikit-learn", digits.data, digits.target, 8)
    return found


def digits_to_read(largest: int) -> tuple[Images, Images]:
    """Digits to learn from and others to be read: MNIST's two sets, or scikit-learn's in two parts."""
    train, test = _mnist("train", largest), _mnist("t10k", 10_000)
    if train is not None and test is not None:
        return train, test
    digits = load_digits()
    parts = train_test_split(
        digits.data.astype(np.uint8), digits.target, test_size=0.25, random_state=0, stratify=digits.target
    )
    name = "the digits of scikit-learn"
    return Images(name, parts[0], parts[2], 8), Images(name, parts[1], parts[3], 8)


def _mnist(part: str, largest: int) -> Images | None:
    images, labels = (folder() / "mnist" / f"{part}-{name}-ubyte.gz" for name in ("images-idx3", "labels-idx1"))
    if not images.is_file() or not labels.is_file():
        return None
    with gzip.open(images) as file:
        pixels = np.frombuffer(file.read(16 + largest * 784), np.uint8, offset=16).reshape(-1, 784)
    with gzip.open(labels) as file:
        names = np.frombuffer(file.read(8 + largest), np.uint8, offset=8)
    return Images("MNIST", pixels, names, 28)


def faces() -> Images:
    """400 faces of 64 x 64 pixels, or as many pieces of a photo of that size: more pixels than images."""
    path = folder() / "olivetti" / "olivetti.npz"
    if path.is_file():
        with np.load(path) as stored:
            return Images("Olivetti faces", stored["images"].reshape(400, -1), stored["subject"], 64)
    photo = load_sample_images().images[0].mean(axis=2)
    places = [(i, j) for i in range(0, photo.shape[0] - 64, 18) for j in range(0, photo.shape[1] - 64, 28)][:400]
    pieces = np.array([photo[i : i + 64, j : j + 64].ravel() for i, j in places])
    return Images("pieces of a photo", pieces, np.arange(len(pieces)), 64)
