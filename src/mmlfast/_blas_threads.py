"""Where SciPy's own OpenBLAS keeps its number of threads."""

from __future__ import annotations

import ctypes
from pathlib import Path

import scipy


def addresses() -> tuple[int, int]:
    """Addresses of the functions that get and set the number of threads; (0, 0) if SciPy has another BLAS.

    SciPy's wheels carry an OpenBLAS beside the package whose names have a prefix. Loading it here gives the copy that
    SciPy has loaded already.
    """
    package = Path(scipy.__file__).parent
    folders = (package.parent / "scipy.libs", package / ".dylibs")
    for library in sorted(path for folder in folders for path in folder.glob("*openblas*")):
        try:
            blas = ctypes.CDLL(str(library))
        except OSError:
            continue
        for suffix in ("", "64_"):
            get = getattr(blas, f"scipy_openblas_get_num_threads{suffix}", None)
            put = getattr(blas, f"scipy_openblas_set_num_threads{suffix}", None)
            if get is not None and put is not None:
                return _address(get), _address(put)
    return 0, 0


def _address(function: object) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0  # type: ignore[arg-type]
