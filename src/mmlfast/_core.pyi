"""The compiled core, kept by hand; `stubtest` checks it against the module. Private."""

from typing import Any, Final, final

import numpy as np

__version__: Final[str]

@final
class BatchedFunction:
    """A generalized ufunc with a short way for calls with one small item."""

    @property
    def ufunc(self) -> np.ufunc: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...

def build_config() -> dict[str, Any]: ...
def get_num_threads() -> int: ...
def set_num_threads(arg0: int, /) -> None: ...

solve: Final[BatchedFunction]
solve_nan: Final[BatchedFunction]
solve_vector: Final[BatchedFunction]
solve_vector_nan: Final[BatchedFunction]
inv: Final[BatchedFunction]
inv_nan: Final[BatchedFunction]
det: Final[BatchedFunction]
slogdet: Final[BatchedFunction]
is_exactly_singular: Final[BatchedFunction]
