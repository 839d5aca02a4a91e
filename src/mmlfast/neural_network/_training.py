"""What `neural_network.Network` checks, and what it says while it trains."""

from __future__ import annotations

import functools
import itertools
import math
import operator
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

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
    if type(value) is float and 0 <= value < below:
        return value
    x = as_real(value, name)
    if not 0 <= x < below:
        raise ValueError(
            f"{name} must be at least 0 and {'finite' if below == math.inf else f'below {below:g}'}, got {x}"
        )
    return x


Moments = tuple[list[Array], list[Array]]

# The numbers are those of cpp/kernels/backprop.hpp and cpp/drivers/backprop.hpp.
OPTIMIZERS = ("sgd", "adam", "adamw")
_GRADIENT_DESCENT, _MOMENTUM, _NESTEROV, _ADAM = range(4)
SCHEDULES = {"constant": 0, "step": 1, "cosine": 2, "one_cycle": 3}
_OF_STATE = {_GRADIENT_DESCENT: 0, _MOMENTUM: 1, _NESTEROV: 1, _ADAM: 2}
_VALIDATION_LOSS = 2
STOPPED = ("after all epochs", "no improvement", "by the callback", "out of time")


class History(NamedTuple):
    """What `fit` has seen, epoch by epoch."""

    loss: Array
    validation_loss: Array | None
    best_epoch: int | None  # counted from 0 in this call; None without validation data
    stopped: str  # one of STOPPED, "diverged", "interrupted" (Ctrl-C), "by an error" (of the callback)


def check_moments(sizes: tuple[int, ...], dtype: np.dtype[Any], moments: Moments) -> None:
    """ValueError unless there is an array of its shape for each array of weights and of biases."""
    shapes = [*itertools.pairwise(sizes), *((n,) for n in sizes[1:])]
    w, b = moments
    if [(v.shape, v.dtype) for v in (*w, *b)] != [(shape, dtype) for shape in shapes]:
        raise ValueError(f"the velocities of a network of sizes {list(sizes)} do not have such shapes")


def copied_moments(sizes: tuple[int, ...], dtype: np.dtype[Any], moments: Moments | None) -> Moments:
    """Moments to be changed in place, zeros where there are none."""
    if moments is not None:  # copies: the arrays may be a memory map of joblib's, or belong to another network too
        return [v.copy() for v in moments[0]], [v.copy() for v in moments[1]]
    return [np.zeros(shape, dtype) for shape in itertools.pairwise(sizes)], [np.zeros(n, dtype) for n in sizes[1:]]


class Optimizer(NamedTuple):
    """A checked choice of how to step: its number in the compiled code, how many kinds of moments it has, and what
    else the compiled code is told."""

    code: int
    n_moments: int
    settings: dict[str, Any]


def optimizer(name: Any, momentum: float, nesterov: bool, weight_decay: float, betas: Any, epsilon: float) -> Optimizer:
    one_of("optimizer", name, OPTIMIZERS)
    settings: dict[str, Any] = {}
    beta1, beta2 = number("beta1", betas[0], 1.0), number("beta2", betas[1], 1.0)
    epsilon = number("epsilon", epsilon, math.inf)
    if epsilon < 1e-30:
        raise ValueError(f"epsilon must be at least 1e-30, got {epsilon}")
    momentum = number("momentum", momentum, 1.0)
    if decay := number("weight_decay", weight_decay, math.inf):
        if name == "adam":
            raise ValueError("weight_decay with optimizer='adam': take optimizer='adamw', whose decay is apart")
        settings["weight_decay"] = decay
    if name == "sgd":
        if nesterov and not momentum:
            raise ValueError("nesterov=True needs a momentum above 0")
        code = _NESTEROV if nesterov else _MOMENTUM if momentum else _GRADIENT_DESCENT
        if momentum:
            settings["momentum"] = momentum
    else:
        if momentum or nesterov:
            raise ValueError(f"momentum and nesterov are for optimizer='sgd'; beta1= is what {name!r} has instead")
        code = _ADAM
        settings |= {"beta1": beta1, "beta2": beta2, "epsilon": epsilon}
    if code:
        settings["optimizer"] = code
    return Optimizer(code, _OF_STATE[code], settings)


def schedule(value: Any, epochs: int, schedule_epochs: Any, finished: int) -> dict[str, Any]:
    """Settings of a schedule; `finished` epochs went before."""
    name, *numbers = value if isinstance(value, tuple) else (value,)
    one_of("schedule", name, SCHEDULES)
    if numbers and (name != "step" or len(numbers) != 2):
        raise ValueError(f"schedule must be a name or ('step', every, factor), got {value!r}")
    if schedule_epochs is None:
        length, first = max(epochs, 1), finished
    else:
        length, first = integer("schedule_epochs", schedule_epochs, 1), 0
        if finished + epochs > length and name != "constant":
            raise ValueError(
                f"the schedule has {length} epochs, {finished} are over and {epochs} more are asked for: give a "
                f"larger schedule_epochs, or none for a schedule that begins anew"
            )
    if name == "constant":
        return {}
    settings: dict[str, Any] = {"schedule": SCHEDULES[name], "schedule_first_epoch": first, "schedule_epochs": length}
    if name == "step":
        every, factor = numbers or (-(-length // 3), 0.1)
        settings |= {"schedule_every": integer("schedule", every, 1)}
        settings |= {"schedule_factor": number("schedule", factor, math.inf)}
    return settings


def dropout_of(value: Any, n_hidden: int) -> dict[str, Any]:
    if isinstance(value, int | float) and value == 0:
        return {}
    rates = [value] * n_hidden if np.ndim(value) == 0 else list(value)
    if len(rates) != n_hidden:
        raise ValueError(f"dropout must be one number or {n_hidden} (one per hidden layer), got {len(rates)}")
    if not n_hidden:
        raise ValueError("dropout is for hidden layers, and this network has none")
    checked = [number("dropout", p, 1.0) for p in rates]
    return {"dropout": checked} if any(checked) else {}


def shifts_of(max_shift: Any, image_shape: Any, n_in: int) -> dict[str, Any]:
    most = integer("max_shift", max_shift, 0)
    if not most:
        return {}
    if image_shape is None:
        side = math.isqrt(n_in)
        if side * side != n_in:
            raise ValueError(f"max_shift needs image_shape, (height, width): {n_in} inputs are no square image")
        image_shape = (side, side)
    shape = tuple(integer("image_shape", n, 1) for n in image_shape)
    if len(shape) not in (2, 3) or math.prod(shape) != n_in:
        raise ValueError(
            f"image_shape must be (height, width) or (height, width, channels) of {n_in} inputs, got {shape}"
        )
    if most >= min(shape[:2]):
        raise ValueError(f"max_shift must be smaller than the image, which is {shape[0]} x {shape[1]}, got {most}")
    return {"shifts": (shape[0], shape[1], shape[2] if len(shape) == 3 else 1, most)}


def smoothing_of(value: Any, loss: str) -> dict[str, Any]:
    smoothing = number("label_smoothing", value, 1.0)
    if smoothing and loss not in ("cross_entropy", "binary_cross_entropy"):
        raise ValueError(f"label_smoothing is for the cross-entropies, and the loss is {loss!r}")
    return {"label_smoothing": smoothing} if smoothing else {}


def stopping(patience: Any, tolerance: Any, max_seconds: Any, clip_norm: Any, validated: bool) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    tolerance = number("tolerance", tolerance, math.inf)
    if validated:
        settings |= {"monitor": _VALIDATION_LOSS, "keep_best": True, "tolerance": tolerance}
    if patience is not None:
        if not validated:
            raise ValueError("patience needs validation_data=(x, y), whose loss it watches")
        settings["patience"] = integer("patience", patience, 1) - 1
    for name, value in (("max_seconds", max_seconds), ("clip_norm", clip_norm)):
        if value is not None:
            settings[name] = number(name, value, math.inf)
            if not settings[name]:
                raise ValueError(f"{name} must be positive, got {value}")
    return settings


# Arguments of `fit`, in the order in which `checked_settings` takes their values.
SETTINGS = (
    "epochs", "batch_size", "learning_rate", "shuffle", "seed", "optimizer", "momentum", "nesterov", "weight_decay",
    "beta1", "beta2", "epsilon", "schedule", "schedule_epochs", "label_smoothing", "dropout", "max_shift",
    "image_shape", "patience", "tolerance", "max_seconds", "clip_norm",
)  # fmt: skip


def checked_settings(
    n_in: int, n_hidden: int, loss: str, validated: bool, finished: int, *values: Any
) -> tuple[dict[str, Any], int]:
    """What the compiled code is told, and how many kinds of moments it keeps."""
    how = dict(zip(SETTINGS, values, strict=True))
    epochs = integer("epochs", how["epochs"], 0)
    betas = how["beta1"], how["beta2"]
    rule = optimizer(how["optimizer"], how["momentum"], how["nesterov"], how["weight_decay"], betas, how["epsilon"])
    settings = {
        "epochs": epochs,
        "batch_size": integer("batch_size", how["batch_size"], 1),
        "learning_rate": number("learning_rate", how["learning_rate"], math.inf),
        "shuffle": bool(how["shuffle"]),
        "seed": integer("seed", how["seed"], 0),
        **rule.settings,
        **schedule(how["schedule"], epochs, how["schedule_epochs"], finished),
        **smoothing_of(how["label_smoothing"], loss),
        **dropout_of(how["dropout"], n_hidden),
        **shifts_of(how["max_shift"], how["image_shape"], n_in),
        **stopping(how["patience"], how["tolerance"], how["max_seconds"], how["clip_norm"], validated),
    }
    return settings, rule.n_moments


_checked_once = functools.lru_cache(maxsize=64, typed=True)(checked_settings)


def known_settings(*arguments: Any) -> tuple[dict[str, Any], int]:
    """The same for arguments that may have come before: a small network is trained in less time than they are checked.
    Not to be changed."""
    try:
        return _checked_once(*arguments)
    except TypeError:  # something without a hash, or wrong
        pass
    return checked_settings(*arguments)


def warn_of_divergence(
    finished: int, epochs: int, learning_rate: float, inputs: Array, targets: Array, before: bool
) -> None:
    """Say where the finite numbers ended, and why; whether the loss was finite `before` the first step."""
    for name, a in (("x", inputs), ("y", targets)):
        if not np.isfinite(a).all():
            row, column = np.argwhere(~np.isfinite(a.reshape(len(a), -1)))[0].tolist()
            reason = f"{name} holds NaN, infinity or a number beyond {a.dtype}, first in row {row}, column {column}"
            break
    else:
        reason = (
            "the loss is not finite for these weights already, before any step: the weights or the inputs are too "
            "large, or an activation or a loss of one's own is NaN or infinite for what comes in (a logarithm or root "
            "of what is not positive, a division by 0)"
            if not before
            else f"the steps are too long for these data: take a smaller learning_rate (it is {learning_rate:g}), "
            f"or bring x and y to a size of about 1"
        )
    kept = f"after epoch {finished}" if finished else "from before this training"
    warn_caller(
        f"fit: the loss or the weights left the finite numbers in epoch {finished + 1} of {epochs}, and the training "
        f"stopped; the network has the weights {kept}: {reason}"
    )


def warn_of_growth(losses: Array, learning_rate: float) -> None:
    """Of a training that went uphill; without validation data nothing else would tell."""
    if len(losses) > 1 and 0 < 100 * losses[0] < losses[-1]:
        warn_caller(
            f"fit: the loss grew from {losses[0]:.3g} in the first epoch to {losses[-1]:.3g} in the last: the steps "
            f"are too long for these data: take a smaller learning_rate (it is {learning_rate:g})"
        )


def warn_of_flat_layer(layer: int | None) -> None:
    if layer is not None:
        warn_caller(
            f"fit: the derivative of the activation of layer {layer} is 0 wherever it has one (a step, a sign, a "
            f"constant): no gradient comes back through it, and the weights before it stay as they are",
            UserWarning,
        )


def warn_of_dead_layer(layer: int | None) -> None:
    if layer is not None:
        warn_caller(
            f"fit: every unit of hidden layer {layer}, a relu, is 0 for all samples: nothing goes through, and no "
            f"gradient comes back to change that. Take a smaller learning_rate, standardize(x) first, or "
            f"activation='leaky_relu'",
            UserWarning,
        )


Samples = tuple[Array, Array, Array | None]  # x, y, weights


class Task(NamedTuple):
    """What a network is to be trained on, and how."""

    samples: Samples
    held_out: Samples | None
    settings: dict[str, Any]
    n_moments: int


class Run(NamedTuple):
    """A training: copies of what it changes, and where it writes what it has seen."""

    task: Task
    weights: list[Array]
    biases: list[Array]
    moments: list[list[Array]]
    history: tuple[Array, Array | None, Array | None]  # losses, those of the samples held out, scores
    state: list[float]  # epoch, steps of Adam, best value, factor of the rate, epochs without improvement
    progress: list[int]  # filled with: finished epochs, whether it left the finite numbers, best epoch, why it ended


class Epoch(NamedTuple):
    """What a callback is told after an epoch: its number in this call, from 0; the mean loss of its samples; and that
    of the validation data with the weights after it."""

    number: int
    loss: float
    validation_loss: float | None


def caller(
    callback: Callable[[Epoch], Any],
    validation_losses: Array | None,
    printer: Callable[[int, float], None] | None,
    afterwards: Callable[[], None],
) -> Callable[[int, float], bool]:
    last = -math.inf

    def report(number: int, loss: float) -> bool:
        nonlocal last
        if printer is not None and time.monotonic() - last > 0.5:
            last = time.monotonic()
            printer(number, loss)
        held_out = None if validation_losses is None else float(validation_losses[number])
        answer = callback(Epoch(number, loss, held_out))
        afterwards()
        if answer is not None and not isinstance(answer, bool | np.bool):
            raise TypeError(f"callback must return True to stop the training, False or None, got {answer!r}")
        return bool(answer)

    return report


def reporter(epochs: int) -> Callable[[int, float], None]:
    width = len(str(epochs))

    def report(epoch: int, loss: float) -> None:
        sys.stdout.write(f"epoch {epoch + 1:>{width}}/{epochs}  loss {loss:.6g}\n")
        sys.stdout.flush()

    return report
