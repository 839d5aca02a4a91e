"""The compiled core, kept by hand; `stubtest` checks it against the module. Private."""

from typing import Any, Final

import numpy as np

__version__: Final[str]

def build_config() -> dict[str, Any]: ...
def get_num_threads() -> int: ...
def set_num_threads(arg0: int, /) -> None: ...

solve: Final[np.ufunc]
solve_nan: Final[np.ufunc]
solve_vector: Final[np.ufunc]
solve_vector_nan: Final[np.ufunc]
inv: Final[np.ufunc]
inv_nan: Final[np.ufunc]
det: Final[np.ufunc]
slogdet: Final[np.ufunc]
is_exactly_singular: Final[np.ufunc]
