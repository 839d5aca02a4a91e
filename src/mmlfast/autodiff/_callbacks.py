"""Functions of Python that tapes call: a tape knows them by numbers.

A graph keeps its functions, and so do the programs that are made of it. When nobody keeps one any more, its number is
given to another one: functions that are written into a loop do not pile up.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from mmlfast import _core

Array = np.ndarray[Any, Any]
Callback = Callable[[Array], Any]  # flat arrays in, flat arrays out

_of_graphs: weakref.WeakKeyDictionary[_core.TapeGraph, dict[int, Callback]] = weakref.WeakKeyDictionary()
_alive: dict[int, weakref.ref[Callback]] = {}
_free: list[int] = []
_never_used = itertools.count()


def new_number(callback: Callback) -> int:
    """Its own as long as the callback is there."""
    try:
        number = _free.pop()
    except IndexError:
        number = next(_never_used)

    def forget(_: object) -> None:
        del _alive[number]
        _free.append(number)

    _alive[number] = weakref.ref(callback, forget)
    return number


def use(graph: _core.TapeGraph, number: int, callback: Callback) -> None:
    """For the steps of the graph that have this number."""
    _of_graphs.setdefault(graph, {})[number] = callback


def _of_another_graph(_: Array) -> Any:
    raise AssertionError("a tape calls a function that is not its own")


def callbacks_of(graph: _core.TapeGraph) -> tuple[Callback, ...]:
    """By number, as programs of the graph want them."""
    if not _alive:  # a weak dictionary takes its time
        return ()
    used = _of_graphs.get(graph)
    return tuple(used.get(i, _of_another_graph) for i in range(max(used) + 1)) if used else ()


def inline(graph: _core.TapeGraph, other: _core.TapeGraph, input_ids: Any, outputs: Any) -> Array:
    """graph.inline, with the callbacks of the other graph."""
    used = _of_graphs.get(other)
    if used:
        _of_graphs.setdefault(graph, {}).update(used)
    return graph.inline(other, input_ids, outputs)
