"""What a network holds: sizes, functions, weights and the state of its training; copies and pickles of it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np

import mmlfast.neural_network._training as training
from mmlfast import _core
from mmlfast._common.arrays import as_float
from mmlfast.neural_network._columns import columns
from mmlfast.neural_network._functions import (
    ACTIVATIONS,
    LOSSES,
    OUTPUT_OF_LOSS,
    OUTPUTS,
    Choice,
    activation_code,
    choice,
    flat_layer,
    is_choice,
    name_of,
    number_of,
    spec_of,
)
from mmlfast.neural_network._in_training import in_training, refuse_in_training
from mmlfast.neural_network._initial_weights import check_scheme, initial_weights
from mmlfast.neural_network._samples import inputs, plain
from mmlfast.neural_network._second_order import dead_layer
from mmlfast.neural_network._training import STOPPED, History, Moments, Run, check_moments, copied_moments, integer

Array = np.ndarray[Any, Any]


class NetworkState:
    weights: list[Array]
    biases: list[Array]
    history: History | None
    _epoch: int
    # First and second moments of the optimizer that was used last (the velocity is a first one); None: zero.
    _velocity: Moments | None
    _second: Moments | None
    _steps: int  # of Adam
    _standardization: tuple[Array, Array] | None  # (shift, scale): the network takes (x - shift) * scale
    _warned: bool

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        activation: Any = "tanh",
        output: Any = "identity",
        loss: Any = "squared_error",
        dtype: Any = np.float64,
        seed: int = 0,
        init: Any = "auto",
    ) -> None:
        if not np.iterable(sizes):
            raise TypeError(f"sizes must list the numbers of inputs, hidden units and outputs, got {sizes!r}")
        self._sizes = tuple(integer("sizes", n, 1) for n in sizes)
        if len(self._sizes) < 2:
            raise ValueError(f"sizes must hold at least the numbers of inputs and outputs, got {list(self._sizes)}")
        n_hidden = len(self._sizes) - 2
        one = is_choice(activation) or not np.iterable(activation)
        if one:
            choice("activation", activation, ACTIVATIONS)
        hidden = [activation] * n_hidden if one else list(activation)
        if len(hidden) != n_hidden:
            raise ValueError(f"activation must be one name or {n_hidden} (one per hidden layer), got {len(hidden)}")
        self._activations = tuple(choice("activation", a, ACTIVATIONS) for a in hidden)
        self._output = choice("output", output, OUTPUTS)
        self._loss = choice("loss", loss, LOSSES)
        _check_pair(self._output, self._loss)
        self._codes = tuple(map(activation_code, self._all_activations()))
        self._dtype: np.dtype[Any] = np.dtype(dtype)
        if self._dtype not in (np.dtype(np.float64), np.dtype(np.float32)):
            raise TypeError(f"dtype must be float64 or float32, got {self._dtype}")
        self._spec = spec_of(self._sizes, self._all_activations(), self._loss)
        self._seed: int | None = integer("seed", seed, 0)
        self._init = check_scheme(init)
        self._standardization = None
        self.reset()

    def reset(self) -> None:
        """Start anew: the initial weights, no finished epoch, no velocity or moments. What `standardize` does stays.

        Raises
        ------
        ValueError
            If the network was pickled by a version that did not keep the seed.

        Examples
        --------
        >>> from mmlfast.neural_network import Network
        >>> net = Network([1, 1])
        >>> how = {"epochs": 3, "batch_size": 2, "learning_rate": 0.1}
        >>> first = net.fit([[1.0], [2.0]], [3.0, 5.0], **how)
        >>> net.epoch
        3
        >>> net.reset()
        >>> bool((net.fit([[1.0], [2.0]], [3.0, 5.0], **how) == first).all())
        True
        """
        refuse_in_training(self)
        if self._seed is None:
            raise ValueError("this network was pickled by a version that did not keep its seed: make a new Network")
        weights, biases = initial_weights(self._init, self._sizes, self._all_activations(), self._dtype, self._seed)
        self.__dict__.update(weights=weights, biases=biases, history=None, **_UNTRAINED)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Numbers of inputs, hidden units and outputs."""
        return self._sizes

    @property
    def activation(self) -> tuple[Choice, ...]:
        """The activation of each hidden layer."""
        return self._activations

    @property
    def output(self) -> Choice:
        """The activation of the output layer."""
        return self._output

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of weights, computation and results."""
        return self._dtype

    @property
    def epoch(self) -> int:
        """The epochs that `fit` has finished, in all its calls since the network was made or `reset`."""
        return self._epoch

    def __repr__(self) -> str:
        activation: Any = self._activations
        if len(set(activation)) == 1:
            activation = activation[0]
        return (
            f"Network({list(self._sizes)}, activation={activation!r}, output={self._output!r}, loss={self._loss!r}, "
            f"dtype={self._dtype.name})"
        )

    # ---- copies and pickles ----

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_spec", "history")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Networks pickled before there were these have none.
        before = {"_seed": None, "_init": "auto", "_standardization": None, **_UNTRAINED}
        self.__dict__.update({**before, **state, "history": None})
        self._check_state()
        self._spec = spec_of(self._sizes, self._all_activations(), self._loss)

    def _check_state(self) -> None:
        """Refuse a state that no network has written."""
        try:
            sizes, dtype = self._sizes, self._dtype
            codes = tuple(map(activation_code, self._all_activations()))
            for name, value, allowed in (
                *(("activation", a, ACTIVATIONS) for a in self._activations),
                ("output", self._output, OUTPUTS),
                ("loss", self._loss, LOSSES),
            ):
                choice(name, value, allowed)
            _check_pair(self._output, self._loss)
            good = (
                all(type(n) is int and n > 0 for n in sizes)
                and len(sizes) == len(codes) + 1
                and self._codes == codes
                and dtype in (np.dtype(np.float64), np.dtype(np.float32))
            )
            if good:
                self._like_parameters("weights", self.weights, self.biases)
                self._epoch = integer("epoch", self._epoch, 0)
                self._steps = integer("steps", self._steps, 0)
                for moments in (self._velocity, self._second):
                    if moments is not None:
                        check_moments(self._sizes, self._dtype, moments)
                if self._standardization is not None:
                    self._standardization = self._checked_standardization(*self._standardization)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"Network.__setstate__: this is not a state that Network has written: {error}") from None
        if not good:
            raise ValueError("Network.__setstate__: this is not a state that Network has written")

    def __copy__(self) -> Self:
        """A network of its own: its arrays are copies."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.weights = [np.array(w) for w in self.weights]
        other.biases = [np.array(b) for b in self.biases]
        for name in ("_velocity", "_second"):
            if (moments := self.__dict__[name]) is not None:
                other.__dict__[name] = copied_moments(self._sizes, self._dtype, moments)
        return other

    # ---- what the compiled code takes ----

    def _all_activations(self) -> tuple[Choice, ...]:
        return (*self._activations, self._output)

    def _layers(self) -> list[tuple[Array, Array]]:
        return list(zip(*self._parameters()[1:], strict=True))

    def _parameters(self) -> tuple[_core.NetworkSpec, list[Array], list[Array]]:
        """The network, its weights and biases as the compiled code wants them."""
        weights, biases = self._like_parameters("weights", self.weights, self.biases)
        return self._spec, weights, biases

    def _copies(self, moments: list[Moments | None]) -> tuple[list[Array], list[Array], list[list[Array]]]:
        """Weights, biases and moments (None: zeros) to be changed in place."""
        if type(self.weights) is type(self.biases) is list:
            copies = _core.training_copies(self._spec, self._dtype, self.weights, self.biases, moments)
            if copies is not None:
                return copies
        _, weights, biases = self._parameters()
        kept = [part for old in moments for part in copied_moments(self._sizes, self._dtype, old)]
        return [np.array(w) for w in weights], [np.array(b) for b in biases], kept

    def _like_parameters(self, name: str, weights: Any, biases: Any) -> tuple[list[Array], list[Array]]:
        """Arrays of the shapes of weights and biases, checked and converted."""
        n_layers, dtype = len(self._codes), self._dtype
        shapes = list(itertools.pairwise(self._sizes))
        checked = []
        b_name = "biases" if name == "weights" else name
        for what, arrays, wanted in (
            (name, weights, shapes),
            (b_name, biases, [(n,) for n in self._sizes[1:]]),
        ):
            if len(arrays) != n_layers:
                raise ValueError(f"{what} must hold {n_layers} arrays, one per layer, got {len(arrays)}")
            checked.append(
                [
                    a
                    if type(a) is np.ndarray and a.dtype is dtype and a.shape == shape and a.flags.carray
                    else self._converted(f"{what}[{layer}]", a, shape)
                    for layer, (a, shape) in enumerate(zip(arrays, wanted, strict=True))
                ]
            )
        return checked[0], checked[1]

    def _converted(self, name: str, x: Any, shape: tuple[int, ...]) -> Array:
        a = as_float(x, name)
        if a.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {a.shape}")
        return plain(a, self._dtype)

    def _inputs(self, x: Any) -> Array:
        return inputs(x, "x", self._sizes[0], self._dtype)

    # ---- inputs of mean 0 and scale 1 ----

    def _set_standardization(self, x: Array, per_column: bool) -> None:
        if not len(x):
            raise ValueError(f"x must hold at least one sample, got shape {x.shape}")
        mean, deviation = columns(x, together=not per_column)
        if not np.isfinite(mean).all():
            raise ValueError("x holds NaN or infinity: leave such rows out")
        with np.errstate(over="ignore"):
            scale = 1 / np.where(deviation == 0, 1.0, deviation)
        self._standardization = self._checked_standardization(mean.astype(self._dtype), scale.astype(self._dtype))

    def _checked_standardization(self, shift: Any, scale: Any) -> tuple[Array, Array]:
        shape = (self._sizes[0],)
        pair = self._converted("shift", shift, shape), self._converted("scale", scale, shape)
        if not (np.isfinite(pair[0]).all() and np.isfinite(pair[1]).all()):
            raise ValueError(f"the numbers of x are too large, or too close together, for {self._dtype}")
        return pair

    # ---- training ----

    def _train(
        self,
        samples: tuple[Array, Array, Array | None],
        held_out: tuple[Array, Array, Array | None] | None,
        settings: dict[str, Any],
        n_moments: int,
        verbose: bool,
        callback: Callable[[training.Epoch], Any] | None,
        scores: Array | None = None,
        settled: list[float] | None = None,
    ) -> Array:
        """`settled`: the best so far, the factor of the rate, epochs without improvement; IN and OUT."""
        with in_training(self):
            if callback is not None:
                settings = {**settings, "report_each_epoch": True}
            run = self._begun(training.Task(samples, held_out, settings, n_moments), scores, settled)
            report: Any = training.reporter(settings["epochs"]) if verbose else None
            if callback is not None:
                report = training.caller(callback, run.history[1], report, lambda: self._take_back(run))
                self.__dict__.update(weights=run.weights, biases=run.biases)
            ended = None
            try:
                _core.network_fit(*(self._spec, *self._arguments(run), report))
            except BaseException as error:
                ended = "interrupted" if isinstance(error, KeyboardInterrupt) else "by an error"
                raise
            finally:
                if settled is not None:
                    settled[:] = run.state[2:]
                self._ended(run, ended)
        self._warn_of(run)
        assert self.history is not None
        return self.history.loss

    def _begun(self, task: training.Task, scores: Array | None = None, settled: list[float] | None = None) -> Run:
        if not self._epoch:
            training.warn_of_flat_layer(flat_layer(self._all_activations()))
        goes_on = task.n_moments == (2 if self._second is not None else 1)
        kept = (self._velocity, self._second) if goes_on else (None, None)
        weights, biases, moments = self._copies(list(kept[: task.n_moments]))
        epochs = task.settings["epochs"]
        history = np.empty(epochs), None if task.held_out is None else np.empty(epochs), scores
        state = [self._epoch, self._steps if goes_on else 0, *(settled or (math.inf, 1.0, 0))]
        return Run(task, weights, biases, moments, history, state, [])

    def _arguments(self, run: Run) -> tuple[Any, ...]:
        """Those of the compiled code, but for the first and the last."""
        task = run.task
        return (
            run.weights, run.biases, task.samples, self._standardization, task.held_out, task.settings, run.moments,
            run.history, run.state, run.progress,
        )  # fmt: skip

    def _take_back(self, run: Run) -> None:
        """What a callback has put in the place of the weights that are trained."""
        given = self._like_parameters("weights", self.weights, self.biases)
        for kept, other in zip((*run.weights, *run.biases), (*given[0], *given[1]), strict=True):
            if other is not kept:
                kept[...] = other
        self.__dict__.update(weights=run.weights, biases=run.biases)

    def _ended(self, run: Run, ended: str | None = None) -> None:
        """Take what came of it, whichever way it ended; `ended` is what it was broken off by."""
        finished, diverged, best, stopped = run.progress or (0, False, -1, 0)
        self._epoch, self._steps = int(run.state[0]), int(run.state[1])
        self.weights, self.biases, moments = run.weights, run.biases, run.moments
        if finished or moments:
            self._velocity = (moments[0], moments[1]) if moments else None
        if finished or len(moments) > 2:
            self._second = (moments[2], moments[3]) if len(moments) > 2 else None
        losses, held_out_losses, _ = run.history
        self.history = History(
            losses if finished == len(losses) else losses[:finished].copy(),
            None if held_out_losses is None else held_out_losses[:finished].copy(),
            best if run.task.held_out is not None and best >= 0 else None,
            ended or ("diverged" if diverged else STOPPED[stopped]),
        )

    def _warn_of(self, run: Run) -> None:
        finished, diverged, *_ = run.progress
        samples, settings = run.task.samples, run.task.settings
        if diverged:
            before = finished or np.isfinite(_core.network_loss(*self._parameters(), *samples, self._standardization))
            rate = settings["learning_rate"]
            training.warn_of_divergence(finished, settings["epochs"], rate, *samples[:2], bool(before))
            return
        if run.task.held_out is None:
            training.warn_of_growth(run.history[0][:finished], settings["learning_rate"])
        if finished and "relu" in self._activations:
            training.warn_of_dead_layer(
                dead_layer(self._layers(), self._all_activations(), samples[0], self._standardization)
            )


# What a training changes besides the weights.
_UNTRAINED = {"_epoch": 0, "_velocity": None, "_second": None, "_steps": 0, "_warned": False}


def _check_pair(output: Choice, loss: Choice) -> None:
    """ValueError if an output and a loss do not go together."""
    kind = name_of(loss)
    if (name_of(output) == "softmax") != (kind == "cross_entropy"):
        raise ValueError(f"output='softmax' goes with loss='cross_entropy' only; got {output!r} with {loss!r}")
    if kind in OUTPUT_OF_LOSS and name_of(output) != OUTPUT_OF_LOSS[kind]:
        raise ValueError(f"loss={loss!r} goes with output={OUTPUT_OF_LOSS[kind]!r} only; got {output!r}")
    if kind == "binary_cross_entropy" and number_of(output):
        raise ValueError(f"output: {output!r} takes no number")
