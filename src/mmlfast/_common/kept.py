"""What is made for a function of the user's, and kept for the next call with it: tapes, derivatives, signatures.

A function keeps alive all that it sees, arrays of the user's among it, and so does what is kept for it, with copies to
compare with. A function that is written into a loop is another one each time around. So there is a bound for the memory
as well as one for the number of functions.
"""

from __future__ import annotations

import functools
import itertools
import threading
import types
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np

P = ParamSpec("P")
R = TypeVar("R")

MOST_FUNCTIONS = 128
MOST_BYTES = 2**27  # of all functions but the last one
_MOST_OF_ONE = 32  # things that are kept for one function
_MOST_SEEN = 1000  # objects that are looked at for how much a function keeps alive
# An array that a function sees is kept itself, and twice as a copy, by what watches it for changes.
_COPIES = 3


class _Kept:
    __slots__ = ("made", "n_bytes", "total", "used")

    def __init__(self) -> None:
        self.made: dict[Any, Any] = {}
        self.n_bytes = 0  # that the function and its keys keep alive, and copies of them
        self.total = 0  # the same with what is kept for it
        self.used = 0


_functions: dict[Any, _Kept] = {}
_grown: list[_Kept] = []  # since room was made: one, and the last
_shortcuts: list[Callable[[], None]] = []  # each empties what else keeps functions alive, which are in `_functions` too
_lock = threading.RLock()  # comparing functions, and what goes with one, may be code of the user's
_clock = itertools.count(1)


class Around:
    """A function that this library has made of another one: what is kept for it goes when that goes."""

    def __init__(self, f: Callable[..., Any]) -> None:
        self.f = f


def _inside(f: Any) -> Any:
    while isinstance(f, Around):
        f = f.f
    return f


def kept(make: Callable[P, R]) -> Callable[P, R]:
    """A decorator as functools.lru_cache is one: of what is made for a function, the first argument, and a key, the
    others. TypeError if one of them is not hashable.

    How much memory something takes is asked of its attribute `n_bytes`, if it has one, whenever room is needed; a dict
    or list is what is in it. The last calls of all are remembered apart, until a function has to go: again they are as
    quick as with lru_cache.
    """

    function: Callable[..., R] = make

    def kept_or_made(f: Any, *key: Any) -> Any:
        kept = _functions.get(_inside(f))
        if kept is not None and (found := kept.made.get((function, f, *key))) is not None:
            kept.used = next(_clock)
            return found
        return _keep(f, (function, f, *key), function(f, *key))

    # Two, since there are calls that ask for two things of one function.
    shortcut = functools.lru_cache(maxsize=2)(kept_or_made)
    _shortcuts.append(shortcut.cache_clear)
    return cast("Callable[P, R]", shortcut)


def when_functions_go(forget: Callable[[], None]) -> Callable[[], None]:
    """A decorator: of what empties another shortcut to things that are kept."""
    _shortcuts.append(forget)
    return forget


def _keep(f: Any, key: tuple[Any, ...], made: Any) -> Any:
    with _lock:
        kept = _functions.setdefault(_inside(f), _Kept())
        kept.used = next(_clock)
        kept.n_bytes = max(kept.n_bytes, _COPIES * bytes_seen(key))
        found = kept.made.setdefault(key, made)
        if len(kept.made) > _MOST_OF_ONE:
            kept.made.pop(next(iter(kept.made)))
        if not _grown or _grown[-1] is not kept:
            _grown.append(kept)
            _make_room(kept)
    return found


def _make_room(last: _Kept) -> None:
    """For the last function, which counts when the next one comes: what is kept for it grows until then."""
    for kept in _grown[:-1]:
        kept.total = kept.n_bytes + sum(map(_bytes_of, list(kept.made.values())))
    del _grown[:-1]
    before = len(_functions)
    if before > MOST_FUNCTIONS:
        for f in sorted(_functions, key=lambda f: _functions[f].used)[: MOST_FUNCTIONS // 8]:
            del _functions[f]
    while sum(kept.total for kept in _functions.values()) - last.total > MOST_BYTES:
        # Many small ones have cost more time to make than a large one.
        del _functions[max(_functions, key=lambda f: _functions[f].total if _functions[f] is not last else -1)]
    if len(_functions) < before:
        for forget in _shortcuts:
            forget()


def _bytes_of(made: Any) -> int:
    if isinstance(made, dict | list):
        return sum(map(_bytes_of, list(made.values() if isinstance(made, dict) else made)))
    n_bytes: int = getattr(made, "n_bytes", 0)
    return n_bytes


def bytes_seen(f: Any) -> int:
    """Of arrays that a function keeps alive, about: in its variables, defaults and arguments, and in objects there."""
    total, waiting = 0, [f]
    seen: set[int] = set()
    while waiting and len(seen) < _MOST_SEEN:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, type | types.ModuleType | str | int | float | None):
            continue
        seen.add(id(thing))
        if isinstance(thing, types.FunctionType):
            waiting += [*(thing.__closure__ or ()), *(thing.__defaults__ or ()), thing.__kwdefaults__]
        elif isinstance(thing, types.CellType):
            waiting += _contents(thing)
        elif isinstance(thing, types.MethodType):
            waiting += [thing.__self__, thing.__func__]
        elif isinstance(thing, functools.partial):
            waiting += [thing.func, *thing.args, *thing.keywords.values()]
        elif isinstance(thing, Mapping):
            waiting += itertools.islice(thing.values(), _MOST_SEEN)
        elif isinstance(thing, list | tuple | set | frozenset):
            waiting += itertools.islice(thing, _MOST_SEEN)
        elif isinstance(thing, np.ndarray) and isinstance(thing.base, np.ndarray):
            waiting.append(thing.base)
        elif (n_bytes := _attribute(thing, "nbytes")) is not None:
            total += n_bytes if isinstance(n_bytes, int) else 0
        else:
            waiting.append(_attribute(thing, "__dict__"))
    return total


def _attribute(thing: Any, name: str) -> Any:
    try:
        return getattr(thing, name, None)
    except Exception:  # whatever the object thinks of it
        return None


def _contents(cell: types.CellType) -> list[Any]:
    try:
        return [cell.cell_contents]
    except ValueError:  # nothing yet
        return []
