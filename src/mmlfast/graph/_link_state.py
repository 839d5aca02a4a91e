"""A prepared graph read back from what was written down of it, if that is what a graph would have written."""

from __future__ import annotations

from typing import Any

import numpy as np

from mmlfast import _core
from mmlfast.graph._link_intake import Nodes

_ARRAYS = ("starts", "columns", "weights", "label", "inverse_strength", "blocks")


def restored(state: Any) -> tuple[_core.LinksObject, Nodes | None]:
    """The links and the names of the nodes; ValueError for a state that no `Links` has."""
    if not isinstance(state, dict) or set(state) != {"n_core", "n_core_blocks", "nodes", *_ARRAYS}:
        raise _not_a_state("parts")
    for name in ("n_core", "n_core_blocks"):
        if type(state[name]) is not int or not 0 <= state[name] < 2**62:
            raise _not_a_state(name)
    # Copies: nobody else can change them while they are checked.
    starts, columns, label, inverse, blocks = (
        _copied(state[name], name) for name in ("starts", "columns", "label", "inverse_strength", "blocks")
    )
    weights = None if state["weights"] is None else _copied(state["weights"], "weights")
    core = _core.links_from_state(
        state["n_core"], state["n_core_blocks"], starts, columns, weights, label, inverse, blocks
    )
    nodes = state["nodes"]
    if nodes is not None:
        if not isinstance(nodes, list | range | np.ndarray) or len(nodes) != core.n_nodes:
            raise _not_a_state("nodes")
        if isinstance(nodes, range):
            if nodes != range(core.n_nodes):
                raise _not_a_state("nodes")
        elif isinstance(nodes, np.ndarray) and (nodes.ndim != 1 or nodes.dtype.kind not in "iuUSMm"):
            raise _not_a_state("nodes")
    return core, nodes


def _copied(a: Any, name: str) -> np.ndarray[Any, Any]:
    if not isinstance(a, np.ndarray):  # joblib maps large arrays of a pickle into memory
        raise _not_a_state(name)
    return np.array(a, a.dtype.newbyteorder("="), order="C")


def _not_a_state(part: str) -> ValueError:
    return ValueError(f"not a state of Links: {part}")
