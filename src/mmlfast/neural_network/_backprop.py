"""A network of dense layers: values, loss, gradients by backpropagation, and training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mmlfast import _core
from mmlfast._common.arrays import as_array, as_float, check_labels
from mmlfast.neural_network._training import (
    check_velocity,
    integer,
    number,
    one_of,
    reporter,
    velocity_for,
    warn_of_divergence,
)

Array = np.ndarray[Any, Any]

# The numbers are those of cpp/kernels/backprop.hpp.
_ACTIVATIONS = {"identity": 0, "logistic": 1, "tanh": 2, "relu": 3}
_OUTPUTS = {**_ACTIVATIONS, "softmax": 4}
_LOSSES = ("squared_error", "cross_entropy")


class Network:
    """A chain of dense layers, trained by backpropagation.

    Layer `l` computes ``f(a @ weights[l] + biases[l])`` for samples in the rows of `a`. Nothing else is in it: no
    optimiser to choose, no regularisation, no early stopping. What it is for is speed on small and middle-sized
    networks, where the usual libraries spend their time between the operations.

    Parameters
    ----------
    sizes : sequence of int
        Number of inputs, of units in each hidden layer, and of outputs; at least two numbers.
    activation : {"tanh", "logistic", "relu", "identity"} or sequence of these
        Activation of the hidden layers: one for all, or one per hidden layer.
    output : {"identity", "logistic", "tanh", "relu", "softmax"}
        Activation of the output layer.
    loss : {"squared_error", "cross_entropy"}
        ``"squared_error"``: the mean over samples of half the squared norm of the error, with any output but softmax.
        ``"cross_entropy"``: the mean over samples of ``-log(output[label])``, with ``output="softmax"``.
    dtype : numpy.float64 or numpy.float32
        Type of weights, computation and results. Inputs are converted to it.
    seed : int
        Of the initial weights: uniform in +-sqrt(6 / (n_in + n_out)) (Glorot and Bengio), or +-sqrt(6 / n_in) in a
        layer with relu (He et al.); biases are zero. `reset` makes them again.

    Attributes
    ----------
    weights : list of ndarray, shapes (n_in, n_out)
    biases : list of ndarray, shapes (n_out,)
        The arrays that the network uses, not copies: writing into them, or putting others of the same shape in their
        place, changes the network. `fit` puts new arrays there and leaves the old ones as they are.

    Raises
    ------
    ValueError
        If a name is unknown, softmax and cross-entropy do not come together, or sizes are not positive.
    TypeError
        If sizes or seed are not integers.

    Notes
    -----
    The same bits come out for every number of threads, and on AVX2 and AVX-512 processors. NaN in the input gives NaN.

    References
    ----------
    .. [1] D. E. Rumelhart, G. E. Hinton, R. J. Williams, "Learning representations by back-propagating errors",
       Nature 323 (1986) 533-536.
    .. [2] X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks",
       AISTATS 2010.

    Examples
    --------
    >>> import numpy as np
    >>> from mmlfast.neural_network import Network
    >>> x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    >>> y = np.array([[0], [1], [1], [0]])
    >>> net = Network([2, 8, 1], output="logistic", seed=1)
    >>> losses = net.fit(x, y, epochs=3000, batch_size=4, learning_rate=1.0, momentum=0.9)
    >>> net.forward(x).round().ravel()
    array([0., 1., 1., 0.])
    """

    weights: list[Array]
    biases: list[Array]
    _epoch: int
    _velocity: tuple[list[Array], list[Array]] | None  # None: zero

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        activation: str | Sequence[str] = "tanh",
        output: str = "identity",
        loss: str = "squared_error",
        dtype: Any = np.float64,
        seed: int = 0,
    ) -> None:
        self._sizes = tuple(integer("sizes", n, 1) for n in sizes)
        if len(self._sizes) < 2:
            raise ValueError(f"sizes must hold at least the numbers of inputs and outputs, got {list(self._sizes)}")
        n_hidden = len(self._sizes) - 2
        hidden = [activation] * n_hidden if isinstance(activation, str) else list(activation)
        if isinstance(activation, str):
            one_of("activation", activation, _ACTIVATIONS)
        if len(hidden) != n_hidden:
            raise ValueError(f"activation must be one name or {n_hidden} (one per hidden layer), got {len(hidden)}")
        for name in hidden:
            one_of("activation", name, _ACTIVATIONS)
        self._output = one_of("output", output, _OUTPUTS)
        self._loss = one_of("loss", loss, _LOSSES)
        if (output == "softmax") != (loss == "cross_entropy"):
            raise ValueError(f"output='softmax' goes with loss='cross_entropy' only; got {output!r} with {loss!r}")
        self._activations = tuple(hidden)
        self._codes = (*(_ACTIVATIONS[name] for name in hidden), _OUTPUTS[output])
        self._dtype: np.dtype[Any] = np.dtype(dtype)
        if self._dtype not in (np.dtype(np.float64), np.dtype(np.float32)):
            raise TypeError(f"dtype must be float64 or float32, got {self._dtype}")
        self._seed: int | None = integer("seed", seed, 0)
        self.reset()

    def reset(self) -> None:
        """Start anew: the initial weights, no finished epoch, no velocity.

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
        if self._seed is None:
            raise ValueError("this network was pickled by a version that did not keep its seed: make a new Network")
        rng = np.random.default_rng(self._seed)
        weights, biases = [], []
        for n_in, n_out, code in zip(self._sizes, self._sizes[1:], self._codes, strict=False):
            bound = math.sqrt(6 / (n_in if code == _ACTIVATIONS["relu"] else n_in + n_out))
            weights.append(rng.uniform(-bound, bound, (n_in, n_out)).astype(self._dtype))
            biases.append(np.zeros(n_out, self._dtype))
        self.__dict__.update(weights=weights, biases=biases, _epoch=0, _velocity=None)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Numbers of inputs, hidden units and outputs."""
        return self._sizes

    @property
    def activation(self) -> tuple[str, ...]:
        """The activation of each hidden layer."""
        return self._activations

    @property
    def output(self) -> str:
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

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Networks pickled before there were these have none.
        self.__dict__.update({"_seed": None, "_epoch": 0, "_velocity": None, **state})
        self._check_state()

    def _check_state(self) -> None:
        """Refuse a state that no network has written."""
        try:
            sizes, dtype = self._sizes, self._dtype
            codes = (*(_ACTIVATIONS[name] for name in self._activations), _OUTPUTS[self._output])
            good = (
                all(type(n) is int and n > 0 for n in sizes)
                and len(sizes) == len(codes) + 1
                and self._codes == codes
                and (self._output == "softmax") == (self._loss == "cross_entropy")
                and self._loss in _LOSSES
                and dtype in (np.dtype(np.float64), np.dtype(np.float32))
            )
            if good:
                self._parameters()
                self._epoch = integer("epoch", self._epoch, 0)
                if self._velocity is not None:
                    check_velocity(self._sizes, self._dtype, self._velocity)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"Network.__setstate__: this is not a state that Network has written: {error}") from None
        if not good:
            raise ValueError("Network.__setstate__: this is not a state that Network has written")

    def __copy__(self) -> Network:
        """A network of its own: its arrays are copies."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.weights = [np.array(w) for w in self.weights]
        other.biases = [np.array(b) for b in self.biases]
        if self._velocity is not None:
            w, b = self._velocity
            other._velocity = [np.array(v) for v in w], [np.array(v) for v in b]
        return other

    def forward(self, x: Any) -> Array:
        """Return the output of the network.

        Parameters
        ----------
        x : array_like, shape (n, n_in)
            Samples in rows.

        Returns
        -------
        ndarray, shape (n, n_out)
            With ``output="softmax"``: probabilities.

        Raises
        ------
        ValueError
            If the shape of `x` does not fit.
        TypeError
            If `x` is not real.

        Examples
        --------
        >>> from mmlfast.neural_network import Network
        >>> Network([3, 5, 2]).forward([[1.0, 2.0, 3.0]]).shape
        (1, 2)
        """
        out: Array = _core.network_forward(*self._parameters(), self._inputs(x))
        return out

    def loss(self, x: Any, y: Any) -> float:
        """Return the mean loss over the samples.

        Parameters
        ----------
        x : array_like, shape (n, n_in)
            Samples in rows, at least one.
        y : array_like, shape (n, n_out), or (n,)
            Targets; one dimension is enough for a single output. With cross-entropy: the integer labels
            0 .. n_out - 1, shape (n,).

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If shapes do not fit, there is no sample, or a label is out of range.
        TypeError
            If `x` or `y` is not real, or labels are not integers.

        Examples
        --------
        >>> from mmlfast.neural_network import Network
        >>> net = Network([1, 1])
        >>> net.weights[0][:] = 2
        >>> net.loss([[1.0], [2.0]], [1.0, 2.0])
        1.25
        """
        inputs = self._inputs(x)
        return _core.network_loss(*self._parameters(), inputs, self._targets(inputs, y, x))

    def gradients(self, x: Any, y: Any) -> list[tuple[Array, Array]]:
        """Return the gradient of the mean loss with respect to the weights and biases of each layer.

        Parameters
        ----------
        x, y : array_like
            As for `loss`.

        Returns
        -------
        list of (ndarray, ndarray)
            For each layer ``(dW, db)``, of the shapes of ``weights[l]`` and ``biases[l]``.

        Raises
        ------
        ValueError, TypeError
            As for `loss`.

        Examples
        --------
        >>> from mmlfast.neural_network import Network
        >>> [(dw.shape, db.shape) for dw, db in Network([3, 5, 2]).gradients([[1, 2, 3]], [[0, 1]])]
        [((3, 5), (5,)), ((5, 2), (2,))]
        """
        inputs = self._inputs(x)
        targets = self._targets(inputs, y, x)
        out: list[tuple[Array, Array]] = _core.network_gradients(*self._parameters(), inputs, targets)
        return out

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
    ) -> Array:
        """Train by mini-batch gradient descent with momentum.

        Each step changes a velocity that starts at zero, and moves the weights by it::

            v = momentum * v - learning_rate * gradient
            w = w + v

        Called again, it goes on as one longer training would, to the bit: the number of finished epochs (`epoch`),
        which decides the order of the samples, and the velocity belong to the network. `reset` starts anew.

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

        Returns
        -------
        ndarray of float64, shape (epochs,)
            For each epoch the mean over its samples of the loss, each taken just before the step that used the sample.
            Shorter if the training left the finite numbers: of the epochs before.

        Raises
        ------
        ValueError
            As for `loss`, and for numbers out of range.
        TypeError
            As for `loss`, and for counts that are not integers.
        KeyboardInterrupt
            After Ctrl-C. The network then has the weights and the velocity of the last finished step; an epoch that was
            not finished does not count, and is begun again by the next call.

        Warns
        -----
        mmlfast.ConvergenceWarning
            If the loss or the weights leave the finite numbers. The training stops, and the network has the weights and
            the velocity of the last epoch whose loss and weights are finite, or those from before the call.

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
        inputs = self._inputs(x)
        targets = self._targets(inputs, y, x)
        settings = (
            integer("epochs", epochs, 0),
            integer("batch_size", batch_size, 1),
            number("learning_rate", learning_rate, math.inf),
            number("momentum", momentum, 1.0),
            bool(shuffle),
            integer("seed", seed, 0),
            reporter(epochs) if verbose else None,
        )
        sizes, codes, weights, biases = self._parameters()
        weights, biases = [np.array(w) for w in weights], [np.array(b) for b in biases]
        velocity = velocity_for(settings[3], self._sizes, self._dtype, self._velocity)
        progress = np.zeros(2, np.int64)  # finished epochs, and whether it left the finite numbers
        try:
            losses: Array = _core.network_fit(
                sizes, codes, weights, biases, inputs, targets, *settings, self._epoch, *velocity, progress
            )
        finally:
            finished = int(progress[0])
            self.__dict__.update(
                weights=weights,
                biases=biases,
                _epoch=self._epoch + finished,
                _velocity=velocity if velocity[0] else None if finished else self._velocity,
            )
        if progress[1]:
            warn_of_divergence(finished, settings[0], learning_rate, inputs, targets)
            losses = losses[:finished].copy()
        return losses

    def _parameters(self) -> tuple[tuple[int, ...], tuple[int, ...], list[Array], list[Array]]:
        """Sizes, codes of the activations, weights and biases as the compiled code wants them."""
        n_layers = len(self._codes)
        shapes = list(zip(self._sizes, self._sizes[1:], strict=False))
        checked = []
        for name, arrays, wanted in (
            ("weights", self.weights, shapes),
            ("biases", self.biases, [(n,) for n in self._sizes[1:]]),
        ):
            if len(arrays) != n_layers:
                raise ValueError(f"{name} must hold {n_layers} arrays, one per layer, got {len(arrays)}")
            checked.append(
                [
                    a
                    if type(a) is np.ndarray and a.dtype is self._dtype and a.flags.carray and a.shape == shape
                    else self._converted(f"{name}[{layer}]", a, shape)
                    for layer, (a, shape) in enumerate(zip(arrays, wanted, strict=True))
                ]
            )
        return self._sizes, self._codes, checked[0], checked[1]

    def _converted(self, name: str, x: Any, shape: tuple[int, ...]) -> Array:
        a = as_float(x, name)
        if a.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {a.shape}")
        return self._plain(a)

    def _plain(self, a: Array) -> Array:
        """`a` in the dtype of the network, C-contiguous and aligned."""
        with np.errstate(over="ignore"):  # too large for float32 becomes inf, as everywhere else in here
            return np.require(a, self._dtype, ("C", "A"))

    def _inputs(self, x: Any) -> Array:
        a = as_float(x, "x")
        if a.ndim != 2 or a.shape[1] != self._sizes[0]:
            raise ValueError(f"x must have shape (n, {self._sizes[0]}), got {a.shape}")
        return self._plain(a)

    def _targets(self, inputs: Array, y: Any, x: Any) -> Array:
        if type(y) is not np.ndarray and type(x) is not np.ndarray:
            check_labels("Network", x=(x, "ni", "n"), y=(y, "nj", "n"))
        n, n_out = len(inputs), self._sizes[-1]
        if n == 0:
            raise ValueError(f"x must hold at least one sample, got shape {inputs.shape}")
        if self._loss == "cross_entropy":
            return self._labels(n, n_out, y)
        a = as_float(y, "y")
        if a.shape == (n,) and n_out == 1:
            a = a[:, None]
        if a.shape != (n, n_out):
            raise ValueError(f"y must have shape {(n, n_out)} to fit x of shape {inputs.shape}, got {a.shape}")
        return self._plain(a)

    @staticmethod
    def _labels(n: int, n_out: int, y: Any) -> Array:
        a = np.asarray(as_array(y, "y"))
        if a.dtype.kind not in "iub":
            raise TypeError(f"y must hold integer labels for loss='cross_entropy', got {a.dtype}")
        if a.shape != (n,):
            raise ValueError(f"y must have shape ({n},) to fit the {n} samples of x, got {a.shape}")
        # A copy: what is checked is what is used, whatever other threads do meanwhile. 2**63 becomes negative.
        a = a.astype(np.int64, order="C")
        lowest, highest = int(a.min()), int(a.max())
        if lowest < 0 or highest >= n_out:
            raise ValueError(f"y must hold labels from 0 to {n_out - 1}, got {lowest} to {highest}")
        return a
