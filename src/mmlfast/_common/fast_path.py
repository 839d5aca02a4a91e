"""The fast path around the body of a public function, for calls with one small item."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import update_wrapper
from typing import Any, TypeVar, cast

from mmlfast import _core

Function = TypeVar("Function", bound=Callable[..., Any])
Loops = tuple[_core.BatchedFunction, ...]


def fast_path(
    *loops: _core.BatchedFunction,
    wide: Loops | None = None,
    result: type[tuple[Any, ...]] | None = None,
    keyword: tuple[str, Any, Loops, Loops | None] | None = None,
) -> Callable[[Function], Function]:
    """Let a function hand calls with plain positional arrays of one small item straight to a loop.

    For functions that do, when called with nothing but the inputs of one of the `loops`, what that loop does: the first
    one whose operands have as many axes as the arguments is called, and what it does not take, or fails at, goes to the
    function. Several outputs come as a `result`, a NamedTuple. `wide` are the loops for a first argument with more
    columns than rows. `keyword` is a name, one of True, False and None, and the loops, and those for wide arguments, of
    calls that say besides ``name=value``.
    """
    if keyword is not None:
        keyword = (sys.intern(keyword[0]), *keyword[1:])

    def decorate(function: Function) -> Function:
        return cast(Function, update_wrapper(_core.public_function(function, loops, wide, result, keyword), function))

    return decorate
