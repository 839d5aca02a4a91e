"""The training of a network."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mmlfast.neural_network._functions import name_of
from mmlfast.neural_network._network_state import NetworkState
from mmlfast.neural_network._samples import check_rows, targets, warn_of_scale, weights, with_class_weights
from mmlfast.neural_network._training import SETTINGS, Epoch, Samples, Task, checked_settings, known_settings

Array = np.ndarray[Any, Any]


_asked = operator.itemgetter(*SETTINGS)


class TrainedNetwork(NetworkState):
    def fit(
        self,
        x: Any,
        y: Any,
        *,
        epochs: int,
        batch_size: int,
        learning_rate: float,
        momentum: float = 0.0,
        shuffle: bool = True,
        seed: int = 0,
        verbose: bool = False,
        optimizer: str = "sgd",
        nesterov: bool = False,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        schedule: Any = "constant",
        schedule_epochs: int | None = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        label_smoothing: float = 0.0,
        dropout: Any = 0.0,
        max_shift: int = 0,
        image_shape: Sequence[int] | None = None,
        validation_data: Any = None,
        patience: int | None = None,
        tolerance: float = 0.0,
        max_seconds: float | None = None,
        callback: Callable[[Epoch], Any] | None = None,
    ) -> Array:
        """Train by steps on mini-batches.

        ``optimizer="sgd"``: each step changes a velocity that starts at zero, and moves the weights by it::

            v = momentum * v - rate * gradient
            w = w + v                                    # nesterov: w + momentum * v - rate * gradient

        ``"adam"`` and ``"adamw"`` (with weight decay) are Adam: steps of about the rate, whatever the size of the
        gradients. What gets far in few epochs: ``optimizer="adamw", beta2=0.99, schedule="one_cycle",
        label_smoothing=0.1`` (for labels) and a learning_rate of some 0.005, on standardized inputs.

        Called again, it goes on as one longer training would, to the bit: the number of finished epochs (`epoch`),
        which decides the order of the samples, and the velocity or the moments of Adam belong to the network. `reset`
        starts anew. With validation data it goes on from the weights and moments of the best epoch. A schedule spans
        the epochs of one call and begins anew in the next, unless `schedule_epochs` says how long it is.

        Parameters
        ----------
        x, y : array_like
            As for `loss`.
        epochs : int
            Passes over the samples.
        batch_size : int
            Samples per step. The last step of an epoch has what is left; its gradient is the mean over these.
        learning_rate, momentum : float
            At least 0; momentum below 1.
        shuffle : bool
            Visit the samples in a new order in each epoch.
        seed : int
            Of the orders: that of an epoch follows from the seed and the number of the epoch, counted over all calls.
            The same seed gives the same result, bit for bit; another one in a later call gives the orders that a
            training with it from the first epoch on would have from there.
        verbose : bool
            Print the loss after the first and the last epoch, and in between at most twice a second.
        optimizer : {"sgd", "adam", "adamw"}
        nesterov : bool
            With sgd: look ahead (Nesterov).
        beta1, beta2, epsilon : float
            Of Adam: how much of the mean gradient and of the mean square is kept, and what is added to the root of the
            latter.
        weight_decay : float
            Each step shrinks the weights, not the biases, by the factor ``1 - rate * weight_decay``.
        clip_norm : float, optional
            Gradients whose norm, over all weights and biases, is larger are shortened to it.
        schedule : {"constant", "step", "cosine", "one_cycle"} or ("step", every, factor)
            How the rate changes; `learning_rate` is its largest value. "step": times `factor` (0.1) after each `every`
            epochs (a third of all). "cosine": step t of T has the rate times ``(1 + cos(pi t / T)) / 2``. "one_cycle":
            up in a straight line over a fifth of the steps, and down to 0 over the others. Ctrl-C leaves the last two
            with a rate that is still high, and a worse network than fewer epochs would.
        schedule_epochs : int, optional
            The length of the schedule in epochs, counted from the first epoch of the network (since `reset`) over all
            calls. By default it is as long as the call.
        sample_weight : array_like, shape (n,), optional
            At least 0, and not all 0. Every mean over samples is the sum of weight times number over the sum of
            weights, in each batch too; a batch whose weights are all 0 makes no step.
        class_weight : "balanced" or dict, optional
            Weights of labels, times `sample_weight`; "balanced" is n / (number of labels * samples of the label).
        label_smoothing : float
            Of the cross-entropies: train with this share of each target spread evenly over all labels. The losses that
            are returned are without it.
        dropout : float or sequence of float
            The share of units that are 0 in a step, and whose place the others take: in all hidden layers, or for each.
        max_shift : int
            Move each image, the row of a sample, by up to so many pixels in both directions, anew in each epoch; zeros
            come in.
        image_shape : (height, width) or (height, width, channels), optional
            By default the inputs are a square.
        validation_data : (x, y) or (x, y, sample_weight), optional
            Samples that are not trained on: their loss is computed after each epoch, and the weights at the end are
            those of the epoch where it was smallest, however the training ended.
        patience : int, optional
            Stop after so many epochs without a smaller validation loss.
        tolerance : float
            What is smaller by less than that does not count for `patience`.
        max_seconds : float, optional
            Stop after the epoch in which this time is over.
        callback : function, optional
            Called after each epoch with a tuple: its ``number`` in this call, ``loss`` and ``validation_loss``. The
            network has the weights of the moment, in the same arrays until the training ends; what is written into
            them, or put in their place, is what the training goes on with. True stops the training.

        Returns
        -------
        ndarray of float64, shape (epochs,)
            For each epoch the mean over its samples of the loss, each taken just before the step that used the sample.
            Shorter if the training ended before.

        Raises
        ------
        ValueError
            As for `loss`, and for numbers out of range.
        TypeError
            As for `loss`, and for counts that are not integers.
        RuntimeError
            If the network is being trained already, by the fit whose callback calls this, or in another thread.
        KeyboardInterrupt
            After Ctrl-C. The network then has the weights and the velocity of the last finished step, or with
            validation data of the best epoch; an epoch that was not finished does not count, and is begun again by the
            next call.

        Warns
        -----
        mmlfast.ConvergenceWarning
            If the loss or the weights leave the finite numbers. The training stops, and the network has the weights and
            the velocity of the last epoch whose loss and weights are finite, or those from before the call.
        UserWarning
            If the inputs are so large or so small that a network does not learn from them; once for each network.

        Notes
        -----
        Other Python threads run meanwhile. With momentum 0 no velocity is left for a later call.

        Examples
        --------
        >>> import numpy as np
        >>> from mmlfast.neural_network import Network
        >>> x = np.linspace(-1, 1, 100)[:, None]
        >>> losses = Network([1, 1]).fit(x, 3 * x + 1, epochs=50, batch_size=10, learning_rate=0.1, momentum=0.5)
        >>> bool(losses[-1] < 1e-10)
        True
        """
        how = locals()
        return self._train(*self._prepared(x, y, how), verbose, callback)

    def _prepared(self, x: Any, y: Any, how: Mapping[str, Any], known: dict[Any, Any] | None = None) -> Task:
        """The samples and settings of a training, checked; `how` has all arguments of `fit`. `known`: what was made of
        the samples for networks that want them alike, which several may share."""
        samples, held_out = self._data(x, y, how) if known is None else self._shared_data(x, y, how, known)
        settings, n_moments = self._settings(how, held_out is not None)
        callback = how["callback"]
        if callback is not None and not callable(callback):
            raise TypeError(f"callback must be a function, got {type(callback).__name__}")
        if self._standardization is None and not self._epoch and not self._warned:
            known = {} if known is None else known
            doubtful = ("scale", id(samples[0]))
            if known.get(doubtful, True):
                self._warned = known[doubtful] = warn_of_scale(samples[0])
        return Task(samples, held_out, settings, n_moments)

    def _settings(self, how: Mapping[str, Any], validated: bool) -> tuple[dict[str, Any], int]:
        asked = _asked(how)
        constant = how["schedule"] == "constant" and how["schedule_epochs"] is None
        facts = self._sizes[0], len(self._sizes) - 2, name_of(self._loss), validated, 0 if constant else self._epoch
        # A tuple with 2.0 in it is equal to one with 2, and not as good.
        plain = type(how["schedule"]) is str and type(how["dropout"]) is float and how["image_shape"] is None
        return known_settings(*facts, *asked) if plain else checked_settings(*facts, *asked)

    def _data(self, x: Any, y: Any, how: Mapping[str, Any]) -> tuple[Samples, Samples | None]:
        share = how["sample_weight"]
        samples = self._pairs(x, y, share)
        if share is not None or how["class_weight"] is not None:
            factors = with_class_weights(share, how["class_weight"], self._loss, self._sizes[-1], samples[1])
            share, _ = weights(factors, len(samples[0]), self._dtype)
        held_out = None if how["validation_data"] is None else self._validation(how["validation_data"])
        return (*samples, share), held_out

    def _shared_data(
        self, x: Any, y: Any, how: Mapping[str, Any], known: dict[Any, Any]
    ) -> tuple[Samples, Samples | None]:
        given = (x, y, how["sample_weight"], how["class_weight"], how["validation_data"])
        key = (*map(id, given), self._sizes[0], self._sizes[-1], self._dtype, self._loss)
        if key not in known:
            known[key] = self._data(x, y, how)
        found: tuple[Samples, Samples | None] = known[key]
        return found

    def _validation(self, data: Any) -> tuple[Array, Array, Array | None]:
        """x, y and weights of samples that are not trained on."""
        if not isinstance(data, tuple | list) or len(data) not in (2, 3):
            raise TypeError("validation_data must be (x, y) or (x, y, sample_weight)")
        try:
            found = self._samples(*data, *([None] if len(data) == 2 else []))
        except (TypeError, ValueError) as error:
            raise type(error)(f"validation_data: {error}") from None
        for name, a in zip("xy", found, strict=False):
            if a is not None and not np.isfinite(a).all():
                raise ValueError(f"validation_data: {name} holds NaN, infinity or a number beyond {self._dtype}")
        return found

    def _samples(self, x: Any, y: Any, sample_weight: Any) -> tuple[Array, Array, Array | None]:
        inputs, goals = self._pairs(x, y, sample_weight)
        return inputs, goals, weights(sample_weight, len(inputs), self._dtype)[0]

    def _pairs(self, x: Any, y: Any, sample_weight: Any) -> tuple[Array, Array]:
        """x and y; of the weights only the labels are looked at."""
        check_rows("Network", x=x, y=y, sample_weight=sample_weight)
        inputs = self._inputs(x)
        return inputs, targets(self._loss, self._sizes[-1], self._dtype, inputs, y)
