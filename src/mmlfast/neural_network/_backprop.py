"""A network of dense layers: values, loss, gradients by backpropagation, and training."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np

import mmlfast.neural_network._second_order as second_order
from mmlfast import _core
from mmlfast.neural_network._functions import OUTPUT_OF_LOSS, name_of
from mmlfast.neural_network._network_training import TrainedNetwork
from mmlfast.neural_network._onnx import write
from mmlfast.neural_network._save import load, save

Array = np.ndarray[Any, Any]


class Network(TrainedNetwork):
    """A chain of dense layers, trained by backpropagation.

    Layer `l` computes ``f(a @ weights[l] + biases[l])`` for samples in the rows of `a`. What it is for is speed on
    small and middle-sized networks, where the usual libraries spend their time between the operations: a training is
    one call of compiled code.

    Parameters
    ----------
    sizes : sequence of int
        Number of inputs, of units in each hidden layer, and of outputs; at least two numbers.
    activation : str, (str, float), function, or a sequence of these
        Activation of the hidden layers: one for all, or one per hidden layer. ``"identity"``, ``"logistic"``,
        ``"tanh"``, ``"relu"``, ``"leaky_relu"`` (its slope of negative numbers is 0.01, or ``("leaky_relu", 0.2)``),
        ``"elu"`` (``("elu", 1.0)``), ``"gelu"`` (with the error function), ``"silu"``, ``"softplus"``; or a function
        of one number made of NumPy functions, which is traced (as by `mmlfast.autodiff.trace`) when the network is
        made.
    output : str, (str, float) or function
        Activation of the output layer: one of these, or ``"softmax"``.
    loss : str, (str, float) or function
        With error e of an output, the mean over samples of the sum over outputs of: e^2 / 2 (``"squared_error"``);
        e^2 / 2 up to a limit of 1 and linear beyond (``"huber"``, or ``("huber", limit)``); abs(e)
        (``"absolute_error"``); ``loss(output, target)`` for a traced function of two numbers.
        ``"cross_entropy"``, with ``output="softmax"``: the mean of ``-log(output[label])``, or of
        ``-sum(y * log(output))`` for probabilities `y`. ``"binary_cross_entropy"``, with ``output="logistic"``: the
        mean of the sum over outputs of ``-y log(output) - (1 - y) log(1 - output)``. Both are computed from what goes
        into the output's activation, and are right where that is rounded to 0 or 1.
    dtype : numpy.float64 or numpy.float32
        Type of weights, computation and results. Inputs are converted to it; bytes (uint8) are read as they are.
    seed : int
        Of the initial weights.
    init : {"auto", "he", "glorot", "spread"} or list of (array, array)
        Initial weights: uniform in +-sqrt(6 / (n_in + n_out)) (Glorot and Bengio) or +-sqrt(6 / n_in) (He et al.), the
        latter by default in layers with relu and its relatives; biases are zero. "spread" is Glorot's with biases from
        the same range, as scikit-learn has it (hidden layers of logistic: over sqrt(3)): with one or two inputs the
        corners of all units lie in one place without it. Or weights and biases of each layer. `reset` makes them
        again.

    Attributes
    ----------
    weights : list of ndarray, shapes (n_in, n_out)
    biases : list of ndarray, shapes (n_out,)
        The arrays that the network uses, not copies: writing into them, or putting others of the same shape in their
        place, changes the network. `fit` puts new arrays there and leaves the old ones as they are.
    history : History or None
        Of the last `fit`, also where it was interrupted: ``loss``, ``validation_loss`` (None without validation data),
        ``best_epoch`` and why it ``stopped``.

    Raises
    ------
    ValueError
        If a name is unknown, an output and a loss do not go together, or sizes are not positive.
    TypeError
        If sizes or seed are not integers, or a function cannot be traced.

    Notes
    -----
    The same bits come out for every number of threads, and on AVX2 and AVX-512 processors. NaN in the input gives NaN.
    A slope of relu and its relatives at 0 is that of negative numbers.

    References
    ----------
    .. [1] D. E. Rumelhart, G. E. Hinton, R. J. Williams, "Learning representations by back-propagating errors",
       Nature 323 (1986) 533-536.
    .. [2] X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks",
       AISTATS 2010.
    .. [3] K. He, X. Zhang, S. Ren, J. Sun, "Delving deep into rectifiers", ICCV 2015.

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

    An activation of one's own, and one network with two kinds of layers:

    >>> net = Network([2, 8, 8, 1], activation=[lambda z: z / (1 + abs(z)), "silu"], loss="huber")
    >>> net.forward(x).shape
    (4, 1)
    """

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
        return self._forward(self._inputs(x), True)

    def predict(self, x: Any) -> Array:
        """Return what the output says.

        Parameters
        ----------
        x : array_like, shape (n, n_in)
            Samples in rows.

        Returns
        -------
        ndarray
            With cross-entropy the labels, shape (n,): the most likely one, the first of equal ones. With binary
            cross-entropy 0 or 1, shape (n,), or (n, n_out) of several outputs. Otherwise what `forward` gives.

        Raises
        ------
        ValueError, TypeError
            As for `forward`; and for rows of NaN, which have no label.

        Examples
        --------
        >>> from mmlfast.neural_network import Network
        >>> Network([3, 5, 4], output="softmax", loss="cross_entropy").predict([[1.0, 2.0, 3.0]]).shape
        (1,)
        """
        kind = name_of(self._loss)
        out = self._forward(self._inputs(x), kind not in OUTPUT_OF_LOSS)
        if kind in OUTPUT_OF_LOSS and np.isnan(out).any():
            row = int(np.argmax(np.isnan(out).any(axis=1)))
            raise ValueError(f"x: row {row} gives NaN, which has no label: leave rows with NaN out, or fill them in")
        if kind == "cross_entropy":
            labels: Array = out.argmax(axis=1)
            return labels
        if kind == "binary_cross_entropy":
            yes: Array = (out > 0).astype(np.int64)
            return yes[:, 0] if yes.shape[1] == 1 else yes
        return out

    def loss(self, x: Any, y: Any, *, sample_weight: Any = None) -> float:
        """Return the mean loss over the samples: the sum of weight times loss over the sum of weights.

        Parameters
        ----------
        x : array_like, shape (n, n_in)
            Samples in rows, at least one.
        y : array_like, shape (n, n_out), or (n,)
            Targets; one dimension is enough for a single output. With cross-entropy: the integer labels
            0 .. n_out - 1, shape (n,), or probabilities, shape (n, n_out). With binary cross-entropy: numbers from 0
            to 1.
        sample_weight : array_like, shape (n,), optional
            At least 0, and not all 0.

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
        return _core.network_loss(*self._parameters(), *self._samples(x, y, sample_weight), self._standardization)

    def gradients(self, x: Any, y: Any, *, sample_weight: Any = None) -> list[tuple[Array, Array]]:
        """Return the gradient of the mean loss with respect to the weights and biases of each layer.

        Parameters
        ----------
        x, y, sample_weight : array_like
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
        samples = self._samples(x, y, sample_weight)
        return _core.network_gradients(*self._parameters(), *samples, self._standardization)[1]

    def jacobian(self, x: Any) -> Array:
        """Return the derivatives of the outputs by the inputs.

        Parameters
        ----------
        x : array_like, shape (n, n_in)
            Samples in rows.

        Returns
        -------
        ndarray, shape (n, n_out, n_in)
            For each sample the matrix of the derivatives of what `forward` gives.

        Raises
        ------
        ValueError, TypeError
            As for `forward`.

        Examples
        --------
        >>> from mmlfast.neural_network import Network
        >>> net = Network([2, 1])
        >>> net.weights[0][:] = [[3.0], [4.0]]
        >>> net.jacobian([[1.0, 2.0]])
        array([[[3., 4.]]])
        """
        return second_order.jacobian(self._layers(), self._all_activations(), self._inputs(x), self._standardization)

    def hessian_vector_product(
        self, x: Any, y: Any, vector: Sequence[tuple[Any, Any]], *, sample_weight: Any = None
    ) -> list[tuple[Array, Array]]:
        """Return the product of the Hessian of the mean loss, by all weights and biases, with a vector of such.

        Parameters
        ----------
        x, y : array_like
            As for `loss`.
        vector : list of (array_like, array_like)
            For each layer what weights and biases are changed by, in the form that `gradients` has.
        sample_weight : array_like
            As for `loss`.

        Returns
        -------
        list of (ndarray, ndarray)
            The rate at which `gradients` change in that direction. Where relu has its corner, it has no curvature here.

        Raises
        ------
        ValueError, TypeError
            As for `loss`, and if the shapes of `vector` do not fit.

        References
        ----------
        .. [1] B. A. Pearlmutter, "Fast exact multiplication by the Hessian", Neural Computation 6 (1994) 147-160.

        Examples
        --------
        >>> import numpy as np
        >>> from mmlfast.neural_network import Network
        >>> net = Network([1, 1])
        >>> net.hessian_vector_product([[3.0]], [[1.0]], [(np.array([[1.0]]), np.array([0.0]))])
        [(array([[9.]]), array([3.]))]
        """
        inputs, goals, share = self._samples(x, y, sample_weight)
        given = self._like_parameters("vector", [v[0] for v in vector], [v[1] for v in vector])
        return second_order.hessian_vector_product(
            self._layers(),
            self._all_activations(),
            self._loss,
            second_order.standardized(inputs, self._standardization, self._dtype),
            goals,
            share,
            list(zip(*given, strict=True)),
        )

    def standardize(self, x: Any, *, per_column: bool = True) -> None:
        """From now on bring all inputs to mean 0 and scale 1, as those of these samples are brought.

        Part of the network afterwards: `forward`, `fit` and all others do it, to bytes on their way too, and it is
        saved with the weights.

        Parameters
        ----------
        x : array_like, shape (n, n_in)
            Samples in rows, for instance those of the training.
        per_column : bool
            Each column by its own mean and standard deviation (a column that is constant is only shifted), or all by
            the mean and deviation of all numbers, which is right for images.

        Raises
        ------
        ValueError, TypeError
            As for `forward`; and if there are no samples, or numbers that are not finite.

        Examples
        --------
        >>> from mmlfast.neural_network import Network
        >>> net = Network([1, 1], init=[([[1.0]], [0.0])])
        >>> net.standardize([[1000.0], [1002.0]])
        >>> net.forward([[1000.0], [1002.0]])
        array([[-1.],
               [ 1.]])
        """
        self._set_standardization(self._inputs(x), bool(per_column))

    def save(self, path: str | os.PathLike[str] | BinaryIO) -> None:
        """Write the network to a file, with all that a training goes on from.

        Parameters
        ----------
        path : path or file
            Of the file (.npz, arrays of NumPy), or one that is open for writing bytes.

        Raises
        ------
        TypeError
            If the network has a function of one's own: `pickle` keeps functions that a module defines.

        Examples
        --------
        >>> import os, tempfile
        >>> from mmlfast.neural_network import Network
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "net.npz")
        ...     Network([3, 2]).save(path)
        ...     Network.load(path).sizes
        (3, 2)
        """
        save(self.__getstate__(), path)

    def to_onnx(self, path: str | os.PathLike[str] | BinaryIO) -> None:
        """Write `forward` as an ONNX model, with one input ``x`` and one output ``y``, for programs that run without
        Python or NumPy.

        Numbers are in the dtype of the network: a float32 network runs everywhere, and some runtimes have not all
        activations in float64 (slopes of leaky relu and elu are float32 in any case). What `standardize` does is part
        of the model, what a training goes on from is not.

        Parameters
        ----------
        path : path or file
            Of the file, or one that is open for writing bytes.

        Raises
        ------
        ImportError
            Without the package onnx (``pip install 'mmlfast[onnx]'``).
        TypeError
            If the network has an activation of one's own.

        Examples
        --------
        >>> from mmlfast.neural_network import Network
        >>> Network([3, 2], dtype="float32").to_onnx("net.onnx")  # doctest: +SKIP
        """
        write(path, self._layers(), self._all_activations(), self._standardization)

    @classmethod
    def load(cls, path: str | os.PathLike[str] | BinaryIO) -> Network:
        """Return a network that `save` wrote.

        Parameters
        ----------
        path : path or file
            Of the file, or one that is open for reading bytes.

        Returns
        -------
        Network

        Raises
        ------
        ValueError
            If the file is damaged, is something else, or was written by a later version that has more.

        Examples
        --------
        See `save`.
        """
        net = cls.__new__(cls)
        net.__setstate__(load(path))
        return net

    def _forward(self, inputs: Array, finished: bool) -> Array:
        return _core.network_forward(*self._parameters(), inputs, self._standardization, finished)
