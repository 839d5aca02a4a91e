"""Derivatives that training does not need: of outputs by inputs, and the loss's Hessian times a vector."""

from __future__ import annotations

from typing import Any

import numpy as np

from mmlfast.neural_network._functions import (
    OUTPUT_OF_LOSS,
    Choice,
    logistic,
    loss_derivatives,
    name_of,
    softmax,
    with_derivatives,
)

Array = np.ndarray[Any, Any]
Layers = list[tuple[Array, Array]]


def standardized(x: Array, standardization: tuple[Array, Array] | None, dtype: np.dtype[Any]) -> Array:
    if standardization is None:
        return x.astype(dtype, copy=False)
    return (x.astype(dtype) - standardization[0]) * standardization[1]


def dead_layer(
    layers: Layers, activations: tuple[Choice, ...], x: Array, standardization: tuple[Array, Array] | None
) -> int | None:
    """The first hidden layer of relu whose units are all 0 for all samples, from 0: nothing goes through it, and no
    gradient comes back."""
    last = max((i for i, a in enumerate(activations[:-1]) if name_of(a) == "relu"), default=-1)
    if last < 0:
        return None
    few = len(x) > 128 and dead_layer(layers, activations, x[:: len(x) // 64], standardization) is None
    if few:
        return None
    a = standardized(x, standardization, layers[0][0].dtype)
    for number, ((w, b), activation) in enumerate(zip(layers[: last + 1], activations, strict=False)):
        a = with_derivatives(activation, a @ w + b)[0]
        if name_of(activation) == "relu" and not a.any():
            return number
    return None


@np.errstate(all="ignore")
def jacobian(
    layers: Layers, activations: tuple[Choice, ...], x: Array, standardization: tuple[Array, Array] | None
) -> Array:
    """Of every output by every input, sample by sample: (n, n_out, n_in)."""
    a = standardized(x, standardization, layers[0][0].dtype)
    slopes: list[Array] = []
    for (w, b), activation in zip(layers, activations, strict=True):
        z = a @ w + b
        if name_of(activation) == "softmax":
            a = softmax(z)
        else:
            a, slope, _ = with_derivatives(activation, z)
            slopes.append(slope)
    n_out = a.shape[1]
    if name_of(activations[-1]) == "softmax":
        rows = np.einsum("ni,ij->nij", a, np.eye(n_out, dtype=a.dtype)) - np.einsum("ni,nj->nij", a, a)
    else:
        rows = np.einsum("ni,ij->nij", slopes.pop(), np.eye(n_out, dtype=a.dtype))
    for (w, _), slope in zip(layers[:0:-1], slopes[::-1], strict=True):
        rows = (rows @ w.T) * slope[:, None, :]
    out: Array = rows @ layers[0][0].T
    return out if standardization is None else out * standardization[1]


@np.errstate(all="ignore")
def hessian_vector_product(
    layers: Layers,
    activations: tuple[Choice, ...],
    loss: Choice,
    x: Array,
    y: Array,
    weights: Array | None,
    vector: Layers,
) -> Layers:
    """Pearlmutter's way: the derivative, along `vector`, of what backpropagation computes. x is standardized."""
    a, da = x, np.zeros_like(x)
    # What goes into a layer and its change; slope, curvature and value of what comes out, and the change before them.
    kept: list[tuple[Array, Array, Any, Any, Array, Array]] = []
    last = len(layers) - 1
    through_output = name_of(loss) in OUTPUT_OF_LOSS
    for (w, b), (vw, vb), activation in zip(layers, vector, activations, strict=True):
        z, dz = a @ w + b, da @ w + a @ vw + vb
        if len(kept) == last and through_output:
            kept.append((a, da, None, None, z, dz))
            break
        value, slope, curvature = with_derivatives(activation, z)
        kept.append((a, da, slope, curvature, value, dz))
        a, da = value, slope * dz
    share = np.full(len(x), 1, x.dtype) if weights is None else weights
    share = (share / share.sum(dtype=np.float64)).astype(x.dtype)[:, None]
    _, _, slope, curvature, out, dz = kept[-1]
    delta, ddelta = _output_delta(loss, out, dz, slope, curvature, y, share)
    result: Layers = []
    for layer in range(last, -1, -1):
        a, da = kept[layer][:2]
        result.append((da.T @ delta + a.T @ ddelta, ddelta.sum(axis=0)))
        if layer:
            w, vw = layers[layer][0], vector[layer][0]
            _, _, slope, curvature, _, dz = kept[layer - 1]
            below, dbelow = delta @ w.T, ddelta @ w.T + delta @ vw.T
            delta, ddelta = below * slope, dbelow * slope + below * curvature * dz
    return result[::-1]


def _output_delta(
    loss: Choice, out: Array, dz: Array, slope: Any, curvature: Any, y: Array, share: Array
) -> tuple[Array, Array]:
    """dL/dz of the output layer, and its change."""
    name = name_of(loss)
    if name == "cross_entropy":
        p = softmax(out)
        if y.ndim == 1:
            y = np.eye(out.shape[1], dtype=out.dtype)[y]
        total = y.sum(axis=1, keepdims=True)
        return share * (p * total - y), share * total * p * (dz - (p * dz).sum(axis=1, keepdims=True))
    if name == "binary_cross_entropy":
        p = logistic(out)
        return share * (p - y), share * p * (1 - p) * dz
    first, second = loss_derivatives(loss, out, y)
    return share * first * slope, share * (second * slope * slope + first * curvature) * dz
