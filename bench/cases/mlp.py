"""Estimators of networks, as scikit-learn's users call them: a fit of digits, a curve by L-BFGS, predictions."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from bench.harness import Case, Faster, Job, Setup
from mmlfast.neural_network import MLPClassifier, MLPRegressor

Array = np.ndarray[Any, Any]

EPOCHS, BATCH, RATE, UNITS = 20, 100, 0.003, 64


def digits(setup: Setup) -> tuple[Array, Array, Array, Array]:
    """Prototypes of ten kinds and noise: 1500 rows to train on, 500 to be told apart."""
    prototypes = setup.rng.standard_normal((10, 64))
    labels = setup.rng.integers(0, 10, 2000)
    x = (prototypes[labels] + 1.2 * setup.rng.standard_normal((2000, 64))).astype(np.float32)
    return x[:1500], labels[:1500], x[1500:], labels[1500:]


def quiet(fit: Callable[..., Any], *args: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # so many epochs are what we want
        return fit(*args)


def torch_classifier(torch: Any, x: Array, y: Array, other: Array) -> Callable[[], Array]:
    """The usual loop with Adam, on orders of its own."""
    rows, labels, unseen = torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(other)

    def fit() -> Array:
        torch.manual_seed(0)
        with torch.enable_grad():
            model = torch.nn.Sequential(torch.nn.Linear(64, UNITS), torch.nn.ReLU(), torch.nn.Linear(UNITS, 10))
            optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
            loss = torch.nn.CrossEntropyLoss()
            for _ in range(EPOCHS):
                order = torch.randperm(len(rows))
                for start in range(0, len(rows), BATCH):
                    part = order[start : start + BATCH]
                    optimizer.zero_grad()
                    loss(model(rows[part]), labels[part]).backward()
                    optimizer.step()
        with torch.no_grad():
            found: Array = model(unseen).argmax(dim=1).numpy()
        return found

    return fit


def classifier(setup: Setup) -> Job:
    x, y, other, right = digits(setup)
    job = Job(lambda answer: float(np.mean(answer != right)), "share of 500 unseen rows that are misread", limit=0.1)
    how: dict[str, Any] = {"hidden_layer_sizes": (UNITS,), "batch_size": BATCH, "learning_rate_init": RATE}
    how |= {"max_iter": EPOCHS, "tol": 0.0, "n_iter_no_change": EPOCHS + 1, "random_state": 0}
    job.ours(lambda: quiet(MLPClassifier(**how).fit, x, y).predict(other))
    if sklearn := setup.library("sklearn.neural_network"):
        job.peer("sklearn", lambda: quiet(sklearn.MLPClassifier(**how).fit, x, y).predict(other))
    if torch := setup.library("torch"):
        job.peer("torch", torch_classifier(torch, x, y, other))
    return job


def curve(setup: Setup) -> Job:
    x = np.linspace(-2, 2, 300)[:, None]
    y = np.sin(3 * x[:, 0])
    job = Job(
        lambda answer: float(np.sqrt(np.mean((answer - y) ** 2))), "root mean square error of the curve", limit=0.1
    )
    how: dict[str, Any] = {"hidden_layer_sizes": (10,), "activation": "tanh", "solver": "lbfgs", "alpha": 0.0}
    how |= {"max_iter": 200, "random_state": 1}
    job.ours(lambda: quiet(MLPRegressor(**how).fit, x, y).predict(x))
    if sklearn := setup.library("sklearn.neural_network"):
        job.peer("sklearn", lambda: quiet(sklearn.MLPRegressor(**how).fit, x, y).predict(x))
    return job


def predictions(rows: int, setup: Setup) -> Job:
    x, y, other, _ = digits(setup)
    other = np.ascontiguousarray(np.resize(other, (rows, 64)))
    how: dict[str, Any] = {"hidden_layer_sizes": (UNITS,), "max_iter": 2, "random_state": 0}
    ours = quiet(MLPClassifier(**how).fit, x, y)
    layers = list(zip(ours.coefs_, ours.intercepts_, strict=True))
    z = np.maximum(other.astype(np.float64) @ layers[0][0] + layers[0][1], 0) @ layers[1][0] + layers[1][1]
    right = np.exp(z - z.max(axis=1, keepdims=True))
    right /= right.sum(axis=1, keepdims=True)
    job = Job(lambda answer: float(np.abs(answer - right).max()), "largest error of a probability", limit=1e-4)
    job.ours(ours.predict_proba, other)
    if sklearn := setup.library("sklearn.neural_network"):
        theirs = quiet(sklearn.MLPClassifier(**how).fit, x, y)
        theirs.coefs_, theirs.intercepts_ = [w for w, _ in layers], [b for _, b in layers]
        job.peer("sklearn", theirs.predict_proba, other)
    if torch := setup.library("torch"):
        model = torch.nn.Sequential(torch.nn.Linear(64, UNITS), torch.nn.ReLU(), torch.nn.Linear(UNITS, 10))
        model.append(torch.nn.Softmax(dim=1))
        with torch.no_grad():
            for part, (w, b) in zip((model[0], model[2]), layers, strict=True):
                part.weight.copy_(torch.from_numpy(np.ascontiguousarray(w.T)))
                part.bias.copy_(torch.from_numpy(b))
        unseen = torch.from_numpy(other)
        job.peer("torch", lambda: model(unseen).numpy())
    return job


CASES = [
    Case("mlp-classifier", f"MLPClassifier, 1500 x 64, {UNITS} units, {EPOCHS} epochs", classifier, (Faster(1),)),
    Case("mlp-lbfgs", "MLPRegressor, L-BFGS, 300 x 1, 10 units, 200 iterations", curve, (Faster(1),)),
    Case("mlp-predict-1", "MLPClassifier.predict_proba, 1 x 64", partial(predictions, 1), (Faster(1),)),
    Case("mlp-predict-10000", "MLPClassifier.predict_proba, 10000 x 64", partial(predictions, 10_000), (Faster(1),)),
]
