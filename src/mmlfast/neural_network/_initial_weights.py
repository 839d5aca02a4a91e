"""Where a training starts from."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from mmlfast._common.arrays import as_float
from mmlfast.neural_network._functions import Choice, name_of

Array = np.ndarray[Any, Any]

SCHEMES = ("auto", "he", "glorot", "spread")
# Activations that let half of their input through, for which He's bound is meant.
_RECTIFIERS = ("relu", "leaky_relu", "elu", "gelu", "silu", "softplus")


def check_scheme(init: Any) -> str | list[tuple[Array, Array]]:
    """A name, or copies of arrays that were given: (weights, biases) of each layer."""
    if isinstance(init, str):
        if init not in SCHEMES:
            raise ValueError(f"init must be one of {', '.join(map(repr, SCHEMES))} or arrays, got {init!r}")
        return init
    try:
        layers = [(w, b) for w, b in init]
    except (TypeError, ValueError):
        raise TypeError(
            f"init must be one of {', '.join(map(repr, SCHEMES))}, or a list with (weights, biases) of each layer"
        ) from None
    return [(np.array(as_float(w, "init")), np.array(as_float(b, "init"))) for w, b in layers]


def initial_weights(
    init: str | list[tuple[Array, Array]],
    sizes: tuple[int, ...],
    activations: tuple[Choice, ...],
    dtype: np.dtype[Any],
    seed: int,
) -> tuple[list[Array], list[Array]]:
    """Weights and biases of all layers."""
    shapes = list(itertools.pairwise(sizes))
    if not isinstance(init, str):
        found = [(w.shape, b.shape) for w, b in init]
        wanted = [((n_in, n_out), (n_out,)) for n_in, n_out in shapes]
        if found != wanted:
            raise ValueError(f"init must have the shapes {wanted} for sizes {list(sizes)}, got {found}")
        return [w.astype(dtype) for w, _ in init], [b.astype(dtype) for _, b in init]
    rng = np.random.default_rng(seed)
    weights, biases = [], []
    for layer, ((n_in, n_out), activation) in enumerate(zip(shapes, activations, strict=True)):
        he = init == "he" or (init == "auto" and name_of(activation) in _RECTIFIERS)
        bound = math.sqrt(6 / (n_in if he else n_in + n_out))
        spread = init == "spread"
        if spread and name_of(activation) == "logistic" and layer < len(shapes) - 1:
            bound /= math.sqrt(3)
        weights.append(rng.uniform(-bound, bound, (n_in, n_out)).astype(dtype))
        biases.append((rng.uniform(-bound, bound, n_out) if spread else np.zeros(n_out)).astype(dtype))
    return weights, biases
