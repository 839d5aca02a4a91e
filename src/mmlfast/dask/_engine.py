"""Dask, imported when it is needed, and work that survives the loss of workers."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

_FAN_IN = 4
_TRIES = 8


def import_dask() -> Any:
    """The package, or an ImportError that says what to install."""
    try:
        importlib.import_module("dask.delayed")
        return importlib.import_module("dask")
    except ImportError as error:
        raise ImportError('mmlfast.dask needs Dask: pip install "mmlfast[dask]"') from error


def delayed_type() -> Any:
    """The type of delayed values."""
    return importlib.import_module("dask.delayed").Delayed


def client_in_use() -> Any:
    """The client of the cluster that Dask would compute on, or None if it would compute in this process."""
    if "distributed" not in sys.modules:
        return None
    from distributed import Client

    base: Any = importlib.import_module("dask.base")
    owner = getattr(base.get_scheduler(), "__self__", None)
    return owner if isinstance(owner, Client) else None


def tree_sum(terms: Sequence[Any], add: Any) -> Any:
    """`add` of all terms, a few at a time, in an order that depends on their number only."""
    level = list(terms)
    while len(level) > 1:
        level = [add(level[k : k + _FAN_IN]) if k + 1 < len(level) else level[k] for k in range(0, len(level), _FAN_IN)]
    return level[0]


def depth_of_tree(count: int) -> int:
    """How many additions a term goes through in `tree_sum` of so many terms, at most."""
    depth = 0
    while count > 1:
        count = -(-count // _FAN_IN)
        depth += _FAN_IN - 1
    return depth


def survive(work: Callable[[], Any]) -> Any:
    """What `work` returns. It is done again if data that it sent to a worker were lost with that worker.

    Results of tasks are no concern here: the scheduler computes them again by itself.
    """
    if "distributed" not in sys.modules:
        return work()
    from concurrent.futures import CancelledError

    from distributed.comm.core import CommClosedError

    for attempt in range(_TRIES):
        try:
            return work()
        except (CancelledError, OSError) as error:
            # A worker that does not answer any more is no CommClosedError, but an OSError like any other.
            lost = not isinstance(error, OSError) or isinstance(error, CommClosedError) or "to connect" in str(error)
            if attempt + 1 == _TRIES or not lost:
                raise
            time.sleep(0.1 * 2**attempt)  # until the scheduler knows who is left
    raise AssertionError("unreachable")
