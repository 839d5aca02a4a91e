"""Activations and losses: their names, their numbers in the compiled code, and functions of the user's own."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import mmlfast.autodiff._transforms as transforms
from mmlfast import _core
from mmlfast._common.arrays import as_real
from mmlfast.autodiff._callbacks import callbacks_of
from mmlfast.autodiff._comparison import compare_with_plain_call
from mmlfast.autodiff._compiled import Compiled
from mmlfast.autodiff._errors import TracingError
from mmlfast.autodiff._recording import Argument, function_name, place_of, record, without_gaps

Array = np.ndarray[Any, Any]

# The numbers are those of cpp/kernels/backprop.hpp.
ACTIVATIONS = {
    "identity": 0,
    "logistic": 1,
    "tanh": 2,
    "relu": 3,
    "leaky_relu": 5,
    "elu": 6,
    "gelu": 7,
    "silu": 8,
    "softplus": 9,
}
OUTPUTS = {**ACTIVATIONS, "softmax": 4}
LOSSES = {"squared_error": 0, "cross_entropy": 1, "binary_cross_entropy": 2, "huber": 3, "absolute_error": 4}
_OWN_ACTIVATION, _OWN_LOSS = 10, 5
# What those with a number are without one.
_NUMBERS = {"leaky_relu": 0.01, "elu": 1.0, "huber": 1.0}
# The output that a loss is computed through, from what goes into it.
OUTPUT_OF_LOSS = {"cross_entropy": "softmax", "binary_cross_entropy": "logistic"}

# A name, a name with its number, or a function.
Choice = str | tuple[str, float] | Callable[..., Any]


def is_choice(value: Any) -> bool:
    """Whether it is one activation, rather than a sequence of them."""
    if isinstance(value, str) or callable(value):
        return True
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str) and not isinstance(value[1], str)


def choice(argument: str, value: Any, allowed: dict[str, int]) -> Choice:
    """A checked choice, or an error that names the argument."""
    if callable(value):
        return value  # type: ignore[no-any-return]
    name, given = value if is_choice(value) and not isinstance(value, str) else (value, None)
    if not isinstance(name, str) or name not in allowed:
        raise ValueError(
            f"{argument} must be one of {', '.join(map(repr, allowed))} or a function of NumPy, got {value!r}"
        )
    if given is None:
        return name
    if name not in _NUMBERS:
        raise ValueError(f"{argument}: {name!r} takes no number, got {value!r}")
    number = as_real(given, argument)
    if not (0 < number < math.inf if name == "huber" else 0 <= number < math.inf):
        raise ValueError(f"{argument}: the number of {name!r} must be positive and finite, got {number}")
    return name, number


def name_of(value: Choice) -> str:
    """The name alone; "own" for a function."""
    if callable(value):
        return "own"
    return value if isinstance(value, str) else value[0]


def number_of(value: Choice) -> float:
    if callable(value):
        return 0.0
    return _NUMBERS.get(value, 0.0) if isinstance(value, str) else value[1]


class OwnFunction:
    """A function of one number, or a loss of an output and a target, on a tape with its derivatives."""

    def __init__(self, f: Callable[..., Any], argument: str, n_inputs: int) -> None:
        example = Argument(np.array(0.5) if n_inputs == 1 else np.array([0.5, 0.25]), n_inputs == 1)
        called = f if n_inputs == 1 else lambda p: f(p[0], p[1])
        try:
            seen = record(called, [example], 0)
        except TypeError as error:
            if isinstance(error, TracingError):
                raise
            what = "one number" if n_inputs == 1 else "an output and its target"
            raise TypeError(f"{argument}: {function_name(f)}{place_of(f)} is called with {what}: {error}") from error
        try:
            compare_with_plain_call(called, [example], 0, seen)
        except TracingError:
            raise TypeError(
                f"{argument}: {function_name(f)}{place_of(f)} gives another number when it is called than when it "
                f"is traced: random numbers, or state that each call changes, would be frozen"
            ) from None
        if seen.result.size != 1:
            raise TypeError(
                f"{argument}: {function_name(f)}{place_of(f)} must give one number for "
                f"{'one number' if n_inputs == 1 else 'an output and its target'}, got shape {seen.result.shape}"
            )
        self._seen, self._n_inputs = seen, n_inputs
        result = seen.result.reshape(())
        slopes = transforms.gradient(seen.trace, seen.x, result)
        self.is_flat = bool(np.ravel(slopes)[0] < 0)  # its derivative is 0 wherever it has one
        if self.is_flat and n_inputs == 2:
            raise ValueError(
                f"{argument}: the derivative of {function_name(f)}{place_of(f)} by the output is 0 everywhere: nothing "
                f"can be learned from it"
            )
        slope = self._first(slopes)
        self.program: _core.TapeProgram = Compiled(seen.trace, seen.x.shape, [result, slope]).program
        if callbacks_of(seen.trace.graph) and any(name == "callback" for name, *_ in self.program.instructions):
            raise TypeError(f"{argument}: {function_name(f)}{place_of(f)} calls a primitive, which runs in Python only")

    def _first(self, ids: Any) -> Any:
        return without_gaps(self._seen.trace, ids).reshape(-1)[:1].reshape(())

    def with_curvature(self, *points: Array) -> tuple[Array, Array, Array]:
        """Value, and first and second derivative by the first number, of arrays of one shape."""
        trace, x, result, _ = self._seen
        result = result.reshape(())
        slope = self._first(transforms.gradient(trace, x, result))
        curvature = self._first(transforms.hessian(trace, x, result).dense())
        program = Compiled(trace, x.shape, [result, slope, curvature]).program
        rows = np.stack([np.ascontiguousarray(p, np.float64).ravel() for p in points], axis=1)
        out = program.batch(rows)
        value, first, second = (out[:, i].reshape(points[0].shape) for i in range(3))
        return value, first, second


def flat_layer(activations: tuple[Choice, ...]) -> int | None:
    """The last layer of an activation whose derivative is 0 everywhere: what is below does not learn."""
    flat = (i for i, a in enumerate(activations) if callable(a) and OwnFunction(a, "activation", 1).is_flat)
    return max(flat, default=None)


def activation_code(value: Choice) -> int:
    return _OWN_ACTIVATION if callable(value) else OUTPUTS[name_of(value)]


def spec_of(sizes: tuple[int, ...], activations: tuple[Choice, ...], loss: Choice) -> _core.NetworkSpec:
    """What the compiled code wants to know; activations of all layers."""
    programs = tuple(OwnFunction(a, "activation", 1).program if callable(a) else None for a in activations)
    return _core.NetworkSpec(
        sizes,
        tuple(map(activation_code, activations)),
        tuple(map(number_of, activations)),
        programs,
        _OWN_LOSS if callable(loss) else LOSSES[name_of(loss)],
        number_of(loss),
        OwnFunction(loss, "loss", 2).program if callable(loss) else None,
    )


# ---- derivatives of second order, for what Python computes ----


def with_derivatives(activation: Choice, z: Array) -> tuple[Array, Array, Array]:
    """f(z), f'(z) and f''(z)."""
    if callable(activation):
        value, slope, curvature = OwnFunction(activation, "activation", 1).with_curvature(z)
        return value.astype(z.dtype), slope.astype(z.dtype), curvature.astype(z.dtype)
    name, p = name_of(activation), z.dtype.type(number_of(activation))
    zero, one = np.zeros_like(z), np.ones_like(z)
    if name == "identity":
        return z, one, zero
    if name == "tanh":
        y = np.tanh(z)
        return y, 1 - y * y, -2 * y * (1 - y * y)
    if name in ("relu", "leaky_relu"):
        slope = np.where(z > 0, one, p)
        return z * slope, slope, zero
    if name == "elu":
        rest = p * np.exp(np.minimum(z, 0))
        return np.where(z > 0, z, p * np.expm1(np.minimum(z, 0))), np.where(z > 0, 1, rest), np.where(z > 0, 0, rest)
    if name == "gelu":
        from scipy.special import ndtr

        below, density = ndtr(z), np.exp(-z * z / 2) / z.dtype.type(math.sqrt(2 * math.pi))
        return z * below, below + z * density, (2 - z * z) * density
    s = logistic(z)
    bend = s * (1 - s)
    if name == "silu":
        return z * s, s + z * bend, bend * (2 + z * (1 - 2 * s))
    if name == "softplus":
        return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z))), s, bend
    return s, bend, bend * (1 - 2 * s)


def logistic(z: Array) -> Array:
    e = np.exp(-np.abs(z))
    out: Array = np.where(z < 0, e, 1) / (1 + e)
    return out


def softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    out: Array = e / e.sum(axis=-1, keepdims=True)
    return out


def loss_derivatives(loss: Choice, out: Array, y: Array) -> tuple[Array, Array]:
    """First and second derivative of the loss of each number by the output."""
    if callable(loss):
        _, slope, curvature = OwnFunction(loss, "loss", 2).with_curvature(out, y)
        return slope.astype(out.dtype), curvature.astype(out.dtype)
    error = out - y
    name = name_of(loss)
    if name == "squared_error":
        return error, np.ones_like(error)
    if name == "absolute_error":
        return np.sign(error), np.zeros_like(error)
    limit = out.dtype.type(number_of(loss))
    return np.clip(error, -limit, limit), (np.abs(error) <= limit).astype(out.dtype)
