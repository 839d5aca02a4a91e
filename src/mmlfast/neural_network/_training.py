"""What `neural_network.Network` checks, and what it says while it trains."""

from __future__ import annotations

import itertools
import math
import operator
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from mmlfast._common.arrays import as_real
from mmlfast._common.errors import warn_caller

Array = np.ndarray[Any, Any]


def one_of(name: str, value: Any, allowed: Any) -> str:
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
    return value


def integer(name: str, value: Any, lowest: int) -> int:
    try:
        n = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {type(value).__name__}") from None
    if n < lowest:
        raise ValueError(f"{name} must be at least {lowest}, got {n}")
    if n >= 2**63:
        raise ValueError(f"{name} must be below 2**63, got {n}")
    return n


def number(name: str, value: Any, below: float) -> float:
    x = as_real(value, name)
    if not 0 <= x < below:
        raise ValueError(
            f"{name} must be at least 0 and {'finite' if below == math.inf else f'below {below:g}'}, got {x}"
        )
    return x


Velocity = tuple[list[Array], list[Array]]


def check_velocity(sizes: tuple[int, ...], dtype: np.dtype[Any], velocity: Velocity) -> None:
    """ValueError unless there is an array of its shape for each array of weights and of biases."""
    shapes = [*itertools.pairwise(sizes), *((n,) for n in sizes[1:])]
    w, b = velocity
    if [(v.shape, v.dtype) for v in (*w, *b)] != [(shape, dtype) for shape in shapes]:
        raise ValueError(f"the velocities of a network of sizes {list(sizes)} do not have such shapes")


def velocity_for(momentum: float, sizes: tuple[int, ...], dtype: np.dtype[Any], velocity: Velocity | None) -> Velocity:
    """The velocities, to be changed in place; nothing where they do not count."""
    if momentum == 0:
        return [], []
    if velocity is not None:  # copies: the arrays may be a memory map of joblib's, or belong to another network too
        return [v.copy() for v in velocity[0]], [v.copy() for v in velocity[1]]
    return [np.zeros(shape, dtype) for shape in itertools.pairwise(sizes)], [np.zeros(n, dtype) for n in sizes[1:]]


def warn_of_divergence(finished: int, epochs: int, learning_rate: float, inputs: Array, targets: Array) -> None:
    """Say where the finite numbers ended, and why."""
    for name, a in (("x", inputs), ("y", targets)):
        if not np.isfinite(a).all():
            row = int(np.argmin(np.isfinite(a).reshape(len(a), -1).all(axis=1)))
            reason = f"{name} holds NaN, infinity or a number beyond {a.dtype}, first in row {row}"
            break
    else:
        reason = (
            f"the steps are too long for these data: take a smaller learning_rate (it is {learning_rate:g}), "
            f"or bring x and y to a size of about 1"
        )
    kept = f"after epoch {finished}" if finished else "from before this training"
    warn_caller(
        f"fit: the loss or the weights left the finite numbers in epoch {finished + 1} of {epochs}, and the training "
        f"stopped; the network has the weights {kept}: {reason}"
    )


def reporter(epochs: int) -> Callable[[int, float], None]:
    width = len(str(epochs))

    def report(epoch: int, loss: float) -> None:
        sys.stdout.write(f"epoch {epoch + 1:>{width}}/{epochs}  loss {loss:.6g}\n")
        sys.stdout.flush()

    return report
