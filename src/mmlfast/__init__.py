"""The mathematics of machine learning as compiled kernels behind a NumPy API.

Fast on thousands of small problems, right where the usual libraries silently go wrong, and with the same bits for any
number of threads. Functions live in modules named after their field::

    import mmlfast as mf
    x = mf.linalg.solve(a, b)          # a (100000, 4, 4), b (100000, 4, 1)
    c = mf.stats.covariance(table)     # samples in rows

Modules are imported when they are first used.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

from mmlfast._common.errors import ConvergenceWarning
from mmlfast._common.public import publish, refuse
from mmlfast._config import __version__, get_num_threads, register_threadpoolctl, set_num_threads, show_config

if TYPE_CHECKING:
    from types import ModuleType

    from mmlfast import (
        autodiff,
        dask,
        decomposition,
        geometry,
        graph,
        linalg,
        linear_model,
        neural_network,
        optimize,
        stats,
    )

_MODULES = (
    "autodiff",
    "dask",
    "decomposition",
    "geometry",
    "graph",
    "linalg",
    "linear_model",
    "neural_network",
    "optimize",
    "stats",
)

__all__ = [
    "ConvergenceWarning",
    "__version__",
    "autodiff",
    "dask",
    "decomposition",
    "geometry",
    "get_num_threads",
    "graph",
    "linalg",
    "linear_model",
    "neural_network",
    "optimize",
    "register_threadpoolctl",
    "set_num_threads",
    "show_config",
    "stats",
]

publish(__name__, __all__)


def __getattr__(name: str) -> ModuleType:
    if name in _MODULES:
        return importlib.import_module(f"mmlfast.{name}")
    refuse(__name__, name)


def elsewhere(name: str) -> str:
    """Where the function is that was asked for in another place, which is a frequent guess."""
    found = [] if name[0] == "_" else [m for m in _MODULES if m != "dask" and name in __getattr__(m).__all__]
    return f": it is mmlfast.{found[0]}.{name}" if found else ""


if "threadpoolctl" in sys.modules:
    register_threadpoolctl()
