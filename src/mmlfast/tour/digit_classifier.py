"""Step 4: a network of 64, 32 and 10 units that learns to read digits by backpropagation.

Its gradients are checked against central differences and its outputs against a few lines of NumPy; it is trained by
stochastic gradient descent with momentum, beside scikit-learn's classifier with the same layers, batches and steps
(D. E. Rumelhart, G. E. Hinton, R. J. Williams, Learning representations by back-propagating errors, Nature 323 (1986)
533).
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn.datasets import load_digits
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import mmlfast as mf
from mmlfast.tour._frame import Tour

Array = np.ndarray[Any, Any]

_SIZES = (64, 32, 10)
_BATCH = 32
_RATE = 0.05
_MOMENTUM = 0.9


def run(tour: Tour) -> None:
    digits = load_digits()
    train, test, train_labels, test_labels = train_test_split(
        digits.data / 16, digits.target, test_size=0.25, random_state=0, stratify=digits.target
    )
    epochs = 20 if tour.quick else 40
    _check_gradients(tour, train[:_BATCH], train_labels[:_BATCH])

    tour.say("training the classifier")
    network = _network()
    losses = _fit(network, train, train_labels, epochs)
    _check_forward(tour, network, test)
    peer = _fit_peer(train, train_labels, epochs)
    times = tour.race(
        lambda: _fit(_network(), train, train_labels, epochs),
        lambda: _fit_peer(train, train_labels, epochs),
        peer="MLPClassifier.fit",
        seconds=4.0,
    )
    probabilities = network.forward(test)
    predicted = probabilities.argmax(axis=1)
    wrong = float(np.mean(predicted != test_labels))
    peer_wrong = 1 - peer.score(test, test_labels)
    tour.check(
        f"share of {len(test)} test digits read wrongly after {epochs} epochs; MLPClassifier: {peer_wrong:.3f}",
        error=wrong,
        limit=0.05,
        times=times,
    )
    _confusion_picture(tour, test_labels, predicted, wrong)
    _misread_picture(tour, test, test_labels, probabilities)
    _loss_picture(tour, losses, np.asarray(peer.loss_curve_))


def _network() -> Any:
    return mf.neural_network.Network(_SIZES, activation="tanh", output="softmax", loss="cross_entropy", seed=0)


def _fit(network: Any, x: Array, labels: Array, epochs: int) -> Array:
    losses = network.fit(
        x, labels, epochs=epochs, batch_size=_BATCH, learning_rate=_RATE, momentum=_MOMENTUM, shuffle=True, seed=0
    )
    return np.asarray(losses)


def _fit_peer(x: Array, labels: Array, epochs: int) -> MLPClassifier:
    peer = MLPClassifier(
        hidden_layer_sizes=_SIZES[1:-1],
        activation="tanh",
        solver="sgd",
        alpha=0.0,
        batch_size=_BATCH,
        learning_rate_init=_RATE,
        momentum=_MOMENTUM,
        nesterovs_momentum=False,
        max_iter=epochs,
        n_iter_no_change=epochs + 1,
        random_state=0,
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        peer.fit(x, labels)
    # It warns that it stopped at max_iter, which is what we ask for; it also turns Ctrl-C into a warning.
    if any("interrupted" in str(warning.message) for warning in caught):
        raise KeyboardInterrupt
    return peer


def _check_gradients(tour: Tour, x: Array, labels: Array) -> None:
    """Central differences for some weights of every layer: relative to the largest gradient of the layer."""
    tour.say("gradients against differences")
    network = _network()
    step = 1e-5
    rng = np.random.default_rng(0)
    errors = []
    for layer, gradients in enumerate(network.gradients(x, labels)):
        for parameter, gradient in zip((network.weights, network.biases), gradients, strict=True):
            values = np.array(parameter[layer])
            for index in rng.choice(values.size, min(values.size, 100), replace=False):
                sides = []
                for sign in (1, -1):
                    moved = values.copy()
                    moved.flat[index] += sign * step
                    parameter[layer] = moved
                    sides.append(network.loss(x, labels))
                parameter[layer] = values
                difference = (sides[0] - sides[1]) / (2 * step)
                errors.append(abs(difference - gradient.flat[index]) / np.abs(gradient).max())
    tour.check(
        "gradients of weights and biases of each layer, beside central differences",
        error=float(np.max(errors)),  # NaN if one is
        limit=1e-6,
    )


def _check_forward(tour: Tour, network: Any, x: Array) -> None:
    hidden = np.tanh(x @ network.weights[0] + network.biases[0])
    scores = hidden @ network.weights[1] + network.biases[1]
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    expected = powers / powers.sum(axis=1, keepdims=True)
    error = float(np.abs(network.forward(x) - expected).max())
    tour.check("forward: probabilities of the test digits, beside NumPy", error=error, limit=1e-13)


def _confusion_picture(tour: Tour, labels: Array, predicted: Array, wrong: float) -> None:
    counts = confusion_matrix(labels, predicted)
    figure = Figure(figsize=(6.5, 6.2), layout="constrained")
    axes = figure.subplots()
    axes.imshow(np.sqrt(counts), cmap="Blues")
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "white" if row == column else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=12)
    axes.set(
        xticks=range(10),
        yticks=range(10),
        xlabel="read as",
        ylabel="digit",
        title=f"{len(labels)} test digits, {100 * (1 - wrong):.1f} % read correctly",
    )
    tour.save(figure, "digit_classifier-confusion")


def _misread_picture(tour: Tour, x: Array, labels: Array, probabilities: Array) -> None:
    """The digits that were read wrongly, or else the least certain ones: lowest probability of the truth first."""
    truth = probabilities[np.arange(len(labels)), labels]
    figure = Figure(figsize=(11, 5), layout="constrained")
    figure.suptitle("The test digits that the network finds hardest", fontsize=14)
    for axes, i in zip(figure.subplots(2, 6).flat, np.argsort(truth, kind="stable")[:12], strict=True):
        read = int(probabilities[i].argmax())
        axes.imshow(x[i].reshape(8, 8), cmap="gray_r")
        colour = "tab:green" if read == labels[i] else "tab:red"
        axes.set_title(f"a {labels[i]}, read as {read}\nat {100 * probabilities[i, read]:.0f} %", color=colour)
        axes.set_axis_off()
    tour.save(figure, "digit_classifier-hardest")


def _loss_picture(tour: Tour, ours: Array, theirs: Array) -> None:
    figure = Figure(figsize=(8, 4.8), layout="constrained")
    axes = figure.subplots()
    axes.plot(np.arange(1, len(ours) + 1), ours, marker=".", label="mmlfast: Network")
    axes.plot(np.arange(1, len(theirs) + 1), theirs, marker=".", label="scikit-learn: MLPClassifier")
    axes.set(
        yscale="log",
        xlabel="epoch",
        ylabel="mean cross-entropy of the training digits",
        title="Same layers, batches and steps; other random numbers",
    )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()
    tour.save(figure, "digit_classifier-loss")
