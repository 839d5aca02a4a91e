"""Training on all rows at once, by SciPy's L-BFGS-B."""

from __future__ import annotations

from typing import Any

import numpy as np

from mmlfast import _core
from mmlfast.neural_network._backprop import Network

Array = np.ndarray[Any, Any]


def train_by_lbfgs(
    network: Network,
    samples: tuple[Array, Array, Array | None],
    penalty: float,
    tol: float,
    max_iter: int,
    max_fun: int,
) -> tuple[list[float], int, bool]:
    """The losses after each iteration, how many there were, and whether it converged. Sets the weights."""
    from scipy.optimize import minimize

    rows, targets, weights = samples
    spec, w, b = network._parameters()
    shapes = [a.shape for a in (*w, *b)]
    ends = np.cumsum([a.size for a in (*w, *b)])
    total = float(len(rows) if weights is None else weights.sum(dtype=np.float64))
    n_penalized = int(ends[len(w) - 1])

    def parts(flat: Array) -> list[Array]:
        pieces = np.split(flat, ends[:-1])
        return [
            np.require(p.reshape(shape), network.dtype, ("C", "A")) for p, shape in zip(pieces, shapes, strict=True)
        ]

    def loss_and_gradient(flat: Array) -> tuple[float, Array]:
        arrays = parts(flat)
        loss, layers = _core.network_gradients(
            spec, arrays[: len(w)], arrays[len(w) :], rows, targets, weights, network._standardization
        )
        gradient = np.concatenate([a.ravel() for pair in zip(*layers, strict=True) for a in pair]).astype(np.float64)
        penalized = flat[:n_penalized]
        gradient[:n_penalized] += penalty / total * penalized
        return loss + penalty / (2 * total) * float(penalized @ penalized), gradient

    losses: list[float] = []
    start = np.concatenate([a.ravel() for a in (*w, *b)]).astype(np.float64)
    found = minimize(
        loss_and_gradient,
        start,
        jac=True,
        method="L-BFGS-B",
        callback=lambda intermediate_result: losses.append(float(intermediate_result.fun)),
        options={"maxiter": max_iter, "maxfun": max_fun, "gtol": tol, "ftol": min(2.2e-9, 1e-3 * tol)},
    )
    arrays = parts(found.x)
    network.weights, network.biases = [a.copy() for a in arrays[: len(w)]], [a.copy() for a in arrays[len(w) :]]
    network._epoch += int(found.nit)
    if not losses:
        losses = [float(found.fun)]
    return losses, int(found.nit), found.status == 0
