"""What this build is, what this machine offers, and how many threads to use."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
import warnings
from typing import Any

import numpy as np

from mmlfast import _core

__version__: str = _core.__version__

_refused = _core.build_config()["simd_refused"]
if _refused is not None:
    warnings.warn(
        f"MMLFAST_SIMD={_refused} is not available here; using {_core.build_config()['simd_in_use']}",
        RuntimeWarning,
        stacklevel=2,
    )


def _threads_from(variable: str, value: str, instead: str) -> int | None:
    """The number of threads that an environment variable asks for; None, with a warning, if that is no number."""
    first = value.split(",")[0].strip()  # OMP_NUM_THREADS may have a number for each level of nesting
    if first.isascii() and first.isdigit() and int(first) > 0:
        return min(int(first), 2**30)
    warnings.warn(
        f"{variable}={value!r} is not a number of threads, which would be at least 1; using {instead}",
        RuntimeWarning,
        stacklevel=3,
    )
    return None


def _default_threads() -> tuple[int, str]:
    """How many threads calls use by default, and what says so.

    The affinity mask and the quota of the container are what there is. OMP_NUM_THREADS, which joblib, Dask and batch
    systems set for their workers, may ask for fewer; MMLFAST_NUM_THREADS is about this library, and decides alone.
    """
    cpus = _core.build_config()["available_cpus"]
    omp, ours = os.environ.get("OMP_NUM_THREADS"), os.environ.get("MMLFAST_NUM_THREADS")
    count, says = cpus, "affinity mask and CPU quota"
    asked = None if omp is None else _threads_from("OMP_NUM_THREADS", omp, f"{cpus}, from {says}")
    if asked is not None and asked < cpus:
        count, says = asked, f"OMP_NUM_THREADS={omp}"
    own = None if ours is None else _threads_from("MMLFAST_NUM_THREADS", ours, f"{count}, from {says}")
    return (count, says) if own is None else (own, f"MMLFAST_NUM_THREADS={ours}")


_default, _default_says = _default_threads()
_core.set_default_threads(_default)


def get_num_threads() -> int:
    """Return the number of threads that a call may use.

    Returns
    -------
    int
        At least 1: the calling thread counts.

    Examples
    --------
    >>> import mmlfast as mf
    >>> mf.get_num_threads() >= 1
    True
    """
    return _core.get_num_threads()


def set_num_threads(n: int | None) -> None:
    """Set the number of threads that a call may use.

    Results do not depend on it: the same bits come out for every number of threads.

    Parameters
    ----------
    n : int or None
        At least 1. None restores the default, which is found when the library is imported: the environment variable
        ``MMLFAST_NUM_THREADS``, else what the affinity mask and the CPU quota of the container allow, or
        ``OMP_NUM_THREADS`` if that is less.

    Raises
    ------
    ValueError
        If `n` is less than 1.
    TypeError
        If `n` is not an integer.

    Examples
    --------
    >>> import mmlfast as mf
    >>> mf.set_num_threads(1)
    >>> mf.get_num_threads()
    1
    >>> mf.set_num_threads(None)
    """
    if n is None:
        _core.set_num_threads(0)
        return

    from mmlfast._common.arrays import as_integer

    count = as_integer(n, "set_num_threads: n")
    if count < 1:
        raise ValueError(f"n must be at least 1, or None for the default; got {n}")
    _core.set_num_threads(min(count, 2**30))


def _blas_description() -> list[str]:
    """The BLAS libraries of this process, with the processor they were tuned for, as far as can be told."""
    if importlib.util.find_spec("threadpoolctl") is None:
        return ["unknown (install threadpoolctl to see them)"]
    import scipy.linalg  # noqa: F401  (loads the library that large problems go to)
    import threadpoolctl

    return [
        f"{lib['internal_api']} {lib.get('version')} {lib.get('architecture', '')} "
        f"({lib['num_threads']} threads, {lib['prefix']})"
        for lib in threadpoolctl.threadpool_info()
        if lib["user_api"] == "blas"
    ]


def show_config(mode: str = "stdout") -> dict[str, Any] | None:
    """Show version, compiler, SIMD levels, threads and BLAS of this installation.

    Parameters
    ----------
    mode : {"stdout", "dicts"}
        Print a table, or return a dictionary.

    Returns
    -------
    dict or None
        With ``mode="dicts"``: what would have been printed.

    Raises
    ------
    ValueError
        If `mode` is neither.

    Examples
    --------
    >>> import mmlfast as mf
    >>> mf.show_config(mode="dicts")["mmlfast"] == mf.__version__
    True
    """
    if mode not in ("stdout", "dicts"):
        raise ValueError(f"mode must be 'stdout' or 'dicts', got {mode!r}")
    import scipy

    build = _core.build_config()
    config: dict[str, Any] = {
        "mmlfast": build["version"],
        "compiler": build["compiler"],
        "asserts": build["asserts"],
        "SIMD compiled": list(build["simd_compiled"]),
        "SIMD detected": build["simd_detected"],
        "SIMD in use": build["simd_in_use"],
        "threads": get_num_threads(),
        "threads from": "set_num_threads" if build["threads_are_set"] else _default_says,
        "CPUs available": build["available_cpus"],
        "LAPACK loaded": build["lapack_loaded"],
        "BLAS": _blas_description(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "platform": platform.platform(),
    }
    if mode == "dicts":
        return config
    width = max(map(len, config))
    for key, value in config.items():
        text = ", ".join(value) if isinstance(value, list) else value
        sys.stdout.write(f"{key:<{width}}  {text}\n")
    return None


def register_threadpoolctl() -> None:
    """Make mmlfast's threads visible to `threadpoolctl`.

    Done by itself when threadpoolctl was imported before mmlfast; call it otherwise. Afterwards
    ``threadpool_limits(limits=1, user_api="mmlfast")`` and ``threadpool_info()`` know this library.

    Raises
    ------
    ImportError
        If threadpoolctl is not installed.

    Examples
    --------
    >>> import mmlfast as mf
    >>> mf.register_threadpoolctl()
    """
    from mmlfast import _threadpoolctl

    _threadpoolctl.register()
