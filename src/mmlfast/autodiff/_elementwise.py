"""Functions that do the same with each element of their argument, as functions of one element."""

from __future__ import annotations

import numpy as np

from mmlfast import _core
from mmlfast.autodiff._trace import OPS, Ids


def of_one_element(graph: _core.TapeGraph, result: Ids) -> tuple[_core.TapeGraph, Ids] | None:
    """A graph whose x is one number: element i of the result is its value at element i of x, for all i. None: there is
    no such graph, or it is not obvious.

    Further inputs stay as they are.
    """
    n = graph.n_inputs[0]
    if n < 2 or result.size != n:
        return None
    copy = _core.TapeGraph()
    # The new value of what is the same for all elements, and of runs with one value for each element: at their first.
    of_all, of_each = np.full((2, graph.n_values), -1, np.int32)
    start = 0
    for group, size in enumerate(graph.n_inputs):
        new = copy.input(size if group else 1)
        if group == 0:
            of_each[start] = new
        else:
            of_all[start : start + size] = np.arange(new, new + size)
        start += size

    def value(ids: Ids, count: int) -> int:
        if (ids == ids[0]).all():
            return int(of_all[ids[0]])
        is_run = len(ids) == n == count and (np.diff(ids) == 1).all()
        return int(of_each[ids[0]]) if is_run else -1

    for op, first, count, aux, *operands in graph.runs(result):
        if op == "input":
            continue
        if op == "constant":
            of_all[first : first + count] = copy.constants(
                graph.values(np.arange(first, first + count, dtype=np.int32))
            )
            continue
        if op == "callback" or count not in (1, n) or any(ids is not None and len(ids) > count for ids in operands):
            return None
        a, b, c = (None if ids is None else [value(ids, count)] for ids in operands)
        if [-1] in (a, b, c):
            return None
        new = copy.emit(OPS[op], a, b, c, aux, 1)[0]
        (of_each if count == n else of_all)[first] = new
    found = value(result, n)
    return None if found < 0 else (copy, np.array([found], np.int32))
