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
    penalty: float | Array,
    tol: float,
    max_iter: int,
    max_fun: int,
) -> tuple[list[float], int, bool, bool]:
    """The losses after each iteration, how many there were, whether it converged, and whether Ctrl-C ended it. Sets the
    weights: those of the last iteration. `penalty`: for all weights, or for each of the first layer."""
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
        with np.errstate(over="ignore", invalid="ignore"):
            gradient[:n_penalized] += penalty / total * penalized
            return loss + float((penalty * penalized) @ penalized) / (2 * total), gradient

    losses: list[float] = []
    start = np.concatenate([a.ravel() for a in (*w, *b)]).astype(np.float64)
    reached, converged, interrupted = start, False, False

    def after_iteration(intermediate_result: Any) -> None:
        nonlocal reached
        losses.append(float(intermediate_result.fun))
        reached = np.array(intermediate_result.x)

    try:
        found = minimize(
            loss_and_gradient,
            start,
            jac=True,
            method="L-BFGS-B",
            callback=after_iteration,
            options={"maxiter": max_iter, "maxfun": max_fun, "gtol": tol, "ftol": min(2.2e-9, 1e-3 * tol)},
        )
        # Near the optimum no step along a line makes the loss smaller in this precision: that is the end too.
        smallest = float(np.sqrt(np.finfo(network.dtype).eps)) * max(1.0, abs(found.fun))
        reached, converged = found.x, found.status == 0 or (found.status == 2 and np.abs(found.jac).max() <= smallest)
        losses = losses or [float(found.fun)]
    except KeyboardInterrupt:
        interrupted = True
    n_iter = len(losses) if interrupted else int(found.nit)
    arrays = parts(reached)
    network.weights, network.biases = [a.copy() for a in arrays[: len(w)]], [a.copy() for a in arrays[len(w) :]]
    network._epoch += n_iter
    return losses, n_iter, converged or interrupted, interrupted
