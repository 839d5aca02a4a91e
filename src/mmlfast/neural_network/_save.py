"""Networks in files: arrays of NumPy, and a line of JSON with the rest."""

from __future__ import annotations

import json
import os
from typing import Any, BinaryIO

import numpy as np

from mmlfast import _core
from mmlfast._common.files import name_of_file, opened
from mmlfast.neural_network._functions import Choice

Array = np.ndarray[Any, Any]

# Grows when a later version writes what this one cannot read.
_FORMAT = 1
_LISTS = ("weights", "biases")
_MOMENTS = ("_velocity", "_second")
_PLAIN = ("_sizes", "_seed", "_epoch", "_steps", "_warned", "_codes")


def _plain_choice(name: str, value: Choice) -> Any:
    if callable(value):
        raise TypeError(
            f"save: the {name} is a function ({getattr(value, '__name__', value)}), which a file of arrays cannot "
            f"hold: pickle.dumps(net) keeps functions that a module defines"
        )
    return value if isinstance(value, str) else list(value)


def save(state: dict[str, Any], path: str | os.PathLike[str] | BinaryIO) -> None:
    """Write the state of a network."""
    about: dict[str, Any] = {
        "format": _FORMAT,
        "version": _core.__version__,
        "dtype": state["_dtype"].name,
        "activation": [_plain_choice("activation", a) for a in state["_activations"]],
        "output": _plain_choice("output", state["_output"]),
        "loss": _plain_choice("loss", state["_loss"]),
        "init": state["_init"] if isinstance(state["_init"], str) else None,
        **{name: state[name] for name in _PLAIN},
    }
    arrays: dict[str, Array] = {}
    for name in _LISTS:
        arrays.update({f"{name}_{i}": np.asarray(a) for i, a in enumerate(state[name])})
    for name in _MOMENTS:
        if state[name] is not None:
            for kind, part in zip(_LISTS, state[name], strict=True):
                arrays.update({f"{name}_{kind}_{i}": a for i, a in enumerate(part)})
    if about["init"] is None:
        for i, pair in enumerate(state["_init"]):
            arrays[f"init_weights_{i}"], arrays[f"init_biases_{i}"] = pair
    if state["_standardization"] is not None:
        arrays["shift"], arrays["scale"] = state["_standardization"]
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    with opened(path, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def _choice(value: Any) -> Any:
    return value if isinstance(value, str) else tuple(value)


def load(path: str | os.PathLike[str] | BinaryIO) -> dict[str, Any]:
    """The state that `save` was given; ValueError with the reason if there is none in the file."""
    try:
        with opened(path, "rb") as archive, np.load(archive, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        about = json.loads(arrays.pop("about").tobytes())
        if about["format"] > _FORMAT:
            raise ValueError(f"mmlfast {about['version']} wrote it, which has more than {_core.__version__} can read")
        n_layers = len(about["_sizes"]) - 1

        def listed(name: str) -> list[Array]:
            return [arrays[f"{name}_{i}"] for i in range(n_layers)]

        state = {name: about[name] for name in _PLAIN} | {
            "_sizes": tuple(about["_sizes"]),
            "_codes": tuple(about["_codes"]),
            "_dtype": np.dtype(about["dtype"]),
            "_activations": tuple(_choice(a) for a in about["activation"]),
            "_output": _choice(about["output"]),
            "_loss": _choice(about["loss"]),
            "_init": about["init"] or list(zip(listed("init_weights"), listed("init_biases"), strict=True)),
            "_standardization": (arrays["shift"], arrays["scale"]) if "shift" in arrays else None,
            **{name: listed(name) for name in _LISTS},
        }
        for name in _MOMENTS:
            held = f"{name}_weights_0" in arrays
            state[name] = tuple(listed(f"{name}_{kind}") for kind in _LISTS) if held else None
    except OSError:
        raise
    except Exception as error:  # a damaged archive says so in a dozen ways
        raise ValueError(f"load: {name_of_file(path)} holds no network that this version can read: {error}") from None
    return state
