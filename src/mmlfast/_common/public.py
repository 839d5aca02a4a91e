"""The public path of what a package offers."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import partial
from typing import NoReturn


def publish(package: str, names: Iterable[str]) -> None:
    """Make the package the `__module__` of what it offers, and so the place where pickles look for it; complete nothing
    else after its name and a dot.

    Where a function or class is written may change from one version to the next; where it is found may not. What other
    libraries own (LinAlgError) stays theirs.
    """
    offered = vars(sys.modules[package])
    offered["__dir__"] = lambda: sorted(names)
    if "__getattr__" not in offered:
        offered["__getattr__"] = partial(refuse, package)
    for name in names:
        thing = offered.get(name)  # None: imported when it is first asked for
        if getattr(thing, "__module__", "").startswith("mmlfast"):
            thing.__module__ = package


def refuse(package: str, name: str) -> NoReturn:
    """AttributeError for a name that a package does not offer, with the place where it is, if it is another one."""
    raise AttributeError(
        f"module {package!r} has no attribute {name!r}{sys.modules['mmlfast'].elsewhere(name)}",
        name=name,
        obj=sys.modules[package],
    )
