"""Step: a network that learns to read digits by backpropagation, MNIST's to 98 % where they are there.

Bytes are read as they are and brought to mean 0 and scale 1 on the way. The recipe is AdamW with the rate of one cycle
and smoothed labels; other rates, batches and smoothings were no better on 10 000 digits kept out of the training set.
Nothing here is chosen by the test digits. Gradients are checked against central differences and outputs against a few
lines of NumPy, and a part of the digits is learned beside scikit-learn's classifier with the same layers, batches and
epochs (D. E. Rumelhart, G. E. Hinton, R. J. Williams, Learning representations by back-propagating errors, Nature 323
(1986) 533).
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn.metrics import confusion_matrix
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

import mmlfast as mf
from mmlfast.tour._data import Images, digits_to_read
from mmlfast.tour._frame import Tour

Array = np.ndarray[Any, Any]

_HIDDEN = 128


def run(tour: Tour) -> None:
    train, test = digits_to_read(60_000)
    large = train.side == 28
    epochs, batch = (8, 128) if large else (30, 32)
    _check_gradients(tour, train.pixels[:32], train.labels[:32])

    tour.say(f"learning from {len(train.labels)} digits")
    network = _network(train.pixels)
    _fit(network, train, epochs, batch)
    _check_forward(tour, network, train.pixels, test.pixels[:1000])
    probabilities = network.forward(test.pixels)
    predicted = probabilities.argmax(axis=1)
    wrong = float(np.mean(predicted != test.labels))
    tour.check(
        f"share of {len(test.labels)} test digits read wrongly, after {epochs} epochs of {len(train.labels)} "
        f"({train.name})",
        error=wrong,
        limit=0.02 if large else 0.05,
    )
    _confusion_picture(tour, test.labels, predicted, wrong)
    _misread_picture(tour, test, probabilities)
    part = 2000 if tour.quick else 10_000
    _beside_scikit_learn(tour, train._replace(pixels=train.pixels[:part], labels=train.labels[:part]), test)


def _beside_scikit_learn(tour: Tour, few: Images, test: Images) -> None:
    """Both learn from the same digits, few enough for the peer, in the same epochs."""
    epochs, batch = (8, 128) if few.side == 28 else (30, 32)
    tour.say("beside scikit-learn")
    trained: dict[str, Any] = {}

    def ours() -> None:
        trained["network"] = _network(few.pixels)
        trained["losses"] = _fit(trained["network"], few, epochs, batch)

    def theirs() -> None:
        with threadpool_limits(1, user_api="blas"):  # its products are too small for more
            trained["peer"] = _fit_peer(few, epochs, batch)

    times = tour.race(ours, theirs, peer="MLPClassifier.fit, one BLAS thread", pairs=1)
    peer_wrong = 1 - trained["peer"].score(_unit(test), test.labels)
    tour.check(
        f"the same after {epochs} epochs of {len(few.labels)} only; MLPClassifier: {peer_wrong:.3f}",
        error=float(np.mean(trained["network"].predict(test.pixels) != test.labels)),
        limit=0.12 if few.side == 28 else 0.05,
        times=times,
    )
    _loss_picture(tour, trained["losses"], np.asarray(trained["peer"].loss_curve_))


def _network(pixels: Array, dtype: Any = np.float32) -> Any:
    network = mf.neural_network.Network(
        [pixels.shape[1], _HIDDEN, 10], activation="relu", output="softmax", loss="cross_entropy", dtype=dtype, seed=0
    )
    network.standardize(pixels, per_column=False)
    return network


def _fit(network: Any, digits: Images, epochs: int, batch: int) -> Array:
    losses = network.fit(
        digits.pixels,
        digits.labels,
        epochs=epochs,
        batch_size=batch,
        learning_rate=0.005,
        optimizer="adamw",
        beta2=0.99,
        schedule="one_cycle",
        label_smoothing=0.1,
    )
    return np.asarray(losses)


def _unit(digits: Images) -> Array:
    """Pixels from 0 to 1, which scikit-learn needs."""
    return digits.pixels.astype(np.float32) / np.float32(255 if digits.side == 28 else 16)


def _fit_peer(digits: Images, epochs: int, batch: int) -> MLPClassifier:
    peer = MLPClassifier(
        hidden_layer_sizes=(_HIDDEN,), batch_size=batch, max_iter=epochs, n_iter_no_change=epochs + 1, random_state=0
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        peer.fit(_unit(digits), digits.labels)
    # It warns that it stopped at max_iter, which is what we ask for; it also turns Ctrl-C into a warning.
    if any("interrupted" in str(warning.message) for warning in caught):
        raise KeyboardInterrupt
    return peer


def _check_gradients(tour: Tour, x: Array, labels: Array) -> None:
    """Central differences for some weights of every layer: relative to the largest gradient of the layer."""
    tour.say("gradients against differences")
    network = _network(x, np.float64)
    step = 1e-6  # so short that hardly a unit of relu passes its corner
    rng = np.random.default_rng(0)
    errors = []
    for layer, gradients in enumerate(network.gradients(x, labels)):
        for parameter, gradient in zip((network.weights, network.biases), gradients, strict=True):
            values = np.array(parameter[layer])
            for index in rng.choice(values.size, min(values.size, 40), replace=False):
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


def _check_forward(tour: Tour, network: Any, train: Array, pixels: Array) -> None:
    standardized = (pixels - train.mean()) / train.std()
    hidden = np.maximum(standardized @ network.weights[0] + network.biases[0], 0)
    scores = hidden @ network.weights[1] + network.biases[1]
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    expected = powers / powers.sum(axis=1, keepdims=True)
    error = float(np.abs(network.forward(pixels) - expected).max())
    tour.check("forward: probabilities of test digits in float32, beside NumPy", error=error, limit=1e-5)


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
        title=f"{len(labels)} test digits, {100 * (1 - wrong):.2f} % read correctly",
    )
    tour.save(figure, "digit_classifier-confusion")


def _misread_picture(tour: Tour, test: Images, probabilities: Array) -> None:
    """The digits that were read wrongly, or else the least certain ones: lowest probability of the truth first."""
    labels, side = test.labels, test.side
    truth = probabilities[np.arange(len(labels)), labels]
    figure = Figure(figsize=(11, 5), layout="constrained")
    figure.suptitle("The test digits that the network finds hardest", fontsize=14)
    for axes, i in zip(figure.subplots(2, 6).flat, np.argsort(truth, kind="stable")[:12], strict=True):
        read = int(probabilities[i].argmax())
        axes.imshow(test.pixels[i].reshape(side, side), cmap="gray_r")
        colour = "tab:green" if read == labels[i] else "tab:red"
        axes.set_title(f"a {labels[i]}, read as {read}\nat {100 * probabilities[i, read]:.0f} %", color=colour)
        axes.set_axis_off()
    tour.save(figure, "digit_classifier-hardest")


def _loss_picture(tour: Tour, ours: Array, theirs: Array) -> None:
    figure = Figure(figsize=(8, 4.8), layout="constrained")
    axes = figure.subplots()
    axes.plot(np.arange(1, len(ours) + 1), ours, marker=".", label="mmlfast: Network, AdamW, one cycle")
    axes.plot(np.arange(1, len(theirs) + 1), theirs, marker=".", label="scikit-learn: MLPClassifier, its Adam")
    axes.set(
        yscale="log",
        xlabel="epoch",
        ylabel="mean cross-entropy of the training digits",
        title="Same layers, batches and epochs; smoothed labels keep ours from being certain",
    )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()
    tour.save(figure, "digit_classifier-loss")
