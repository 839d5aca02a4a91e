"""The elementary functions of the kernels beside NumPy's and SciPy's, on arrays in the L1 cache."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from bench.harness import Case, Job, Setup
from mmlfast import _core
from mmlfast._reference import simd_math as reference

Array = np.ndarray[Any, Any]

N = 1000
# Names, and where their arguments are.
FUNCTIONS = {
    "exp": (-5, 5),
    "expm1": (-5, 5),
    "log": (0.1, 5),
    "log1p": (0.1, 5),
    "sin": (-5, 5),
    "cos": (-5, 5),
    "tan": (-5, 5),
    "asin": (-1, 1),
    "acos": (-1, 1),
    "atan": (-5, 5),
    "atan2": (-5, 5),
    "sinh": (-5, 5),
    "cosh": (-5, 5),
    "tanh": (-5, 5),
    "sqrt": (0.1, 5),
    "cbrt": (-5, 5),
    "pow": (0.1, 5),
    "erf": (-3, 3),
    "erfc": (-3, 5),
    "lgamma": (0.1, 15),
    "logistic": (-5, 5),
    "softplus": (-5, 5),
}
WITHOUT_LONG_DOUBLE = ("erf", "erfc", "lgamma")


def ulp_error(name: str, arguments: tuple[Array, ...], answer: Array) -> float:
    """Against extended precision; SciPy's own float64 where it has none."""
    wide = np.float64 if name in WITHOUT_LONG_DOUBLE else np.longdouble
    exact = getattr(reference, name)(*(a.astype(wide) for a in arguments))
    return float(np.max(np.abs(answer - exact) / np.spacing(np.abs(exact).astype(answer.dtype))))


def function(name: str, setup: Setup) -> Job:
    x = setup.rng.uniform(*FUNCTIONS[name], N)
    arguments = (x, setup.rng.uniform(0.5, 3.5, N)) if name in ("atan2", "pow") else (x,)
    job = Job(partial(ulp_error, name, arguments), "largest error in units in the last place")
    job.ours(getattr(_core, f"simd_{name}"), *arguments)
    peer = "scipy" if name in ("erf", "erfc", "lgamma", "logistic") else "numpy"
    job.peer(peer, getattr(reference, name), *arguments)
    return job


CASES = [
    Case(f"simd-{name}", f"{name} of {N} numbers, the kernels' own", partial(function, name)) for name in FUNCTIONS
]
