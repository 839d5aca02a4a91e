"""The libraries we compare with: found at run time, at their best, on the same number of threads."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
from typing import Any

# Import name -> name of the distribution.
DISTRIBUTIONS = {
    "sklearn": "scikit-learn",
    "igraph": "python-igraph",
    "sknetwork": "scikit-network",
    "faiss": "faiss-cpu",
    "sklearnex": "scikit-learn-intelex",
}


@functools.cache
def find(name: str, threads: int) -> Any | None:
    """The module, or None if it is not installed or cannot be imported."""
    try:
        module = importlib.import_module(name)
    except Exception:  # a broken installation is as good as none
        return None
    if name == "torch":
        module.set_num_threads(threads)
        module.set_grad_enabled(False)  # a case that needs gradients turns them on for itself
    elif name == "jax":
        module.config.update("jax_enable_x64", True)
        module.config.update("jax_platforms", "cpu")
    elif name == "numba":
        module.set_num_threads(threads)
    return module


def version(name: str) -> str:
    try:
        return importlib.metadata.version(DISTRIBUTIONS.get(name, name))
    except importlib.metadata.PackageNotFoundError:  # found on the path, not installed
        return str(getattr(find(name, 0), "__version__", "unknown"))
