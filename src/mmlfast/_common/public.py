"""The public path of what a package offers."""

from __future__ import annotations

import sys
from collections.abc import Iterable


def publish(package: str, names: Iterable[str]) -> None:
    """Make the package the `__module__` of what it offers, and so the place where pickles look for it; complete nothing
    else after its name and a dot.

    Where a function or class is written may change from one version to the next; where it is found may not. What other
    libraries own (LinAlgError) stays theirs.
    """
    offered = vars(sys.modules[package])
    offered["__dir__"] = lambda: sorted(names)
    for name in names:
        thing = offered.get(name)  # None: imported when it is first asked for
        if getattr(thing, "__module__", "").startswith("mmlfast"):
            thing.__module__ = package
