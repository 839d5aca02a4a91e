"""NumPy's own tests of `numpy.linalg`, run with our functions in the place of NumPy's.

The deliberate differences, and what the adapter here does about each:

- No complex numbers (TypeError), nor float16, longdouble or object arrays: NumPy's function answers for those.
- `lstsq` of float32 is computed in float32; NumPy computes it in float64, and its tests ask for that many digits.
- A matrix that is singular up to rounding has full rank in TestLstsq.test_rcond if the last singular value, which is
  noise, happens to be above u times the first. Ours happens to be below.
- `eig` of a matrix whose eigenvalues are all real is real, as it was before NumPy 2.5.
- `svd` gives NaN for an item that is not finite, and the answers of the others; NumPy raises from version 2.5 on.
- A result is an ndarray, never a subclass: the adapter gives it the class that NumPy would.
- The messages of errors differ: the types are NumPy's.
"""

from __future__ import annotations

import importlib.util
import inspect
import types
from collections import Counter
from typing import Any

import numpy as np
import pytest

import mmlfast as mf

source = importlib.util.find_spec("numpy.linalg.tests.test_linalg")
if source is None or source.origin is None:
    pytest.skip("this NumPy comes without its tests", allow_module_level=True)

SWAPPED = [
    "cholesky",
    "cond",
    "det",
    "eig",
    "eigh",
    "eigvalsh",
    "inv",
    "lstsq",
    "matmul",
    "matrix_power",
    "matrix_rank",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
]
IN_FLOAT64 = {"lstsq"}
DIFFERENT = {("TestLstsq", "test_rcond")}
if np.lib.NumpyVersion(np.__version__) >= "2.5.0":
    DIFFERENT |= {("TestEig", "test_types"), ("TestEig", "test_0_size"), ("TestSVD", "test_nonfinite")}
SERVED: Counter[str] = Counter()


def ours_takes(x: Any) -> bool:
    """Is it an array, or something like one, of a type that we work on?"""
    dtype = np.asarray(x).dtype
    return dtype.kind in "biu" or dtype.char in "fd"


def wrapped(result: Any, like: Any) -> Any:
    """The result, and each array of a tuple of results, as the class of `like`."""
    if isinstance(result, tuple):
        fields = [wrapped(x, like) for x in result]
        return type(result)(*fields) if hasattr(result, "_fields") else tuple(fields)
    return result.view(type(like)) if isinstance(result, np.ndarray) else result


def swapped(name: str) -> Any:
    ours, theirs = getattr(mf.linalg, name), getattr(np.linalg, name)

    def function(*args: Any, **kwargs: Any) -> Any:
        arrays = [x for x in args if isinstance(x, np.ndarray | list)]
        if not arrays or not all(ours_takes(x) for x in arrays):
            return theirs(*args, **kwargs)
        if name in IN_FLOAT64 and any(np.asarray(x).dtype.char == "f" for x in arrays):
            return theirs(*args, **kwargs)
        SERVED[name] += 1
        result = ours(*args, **kwargs)
        last = next((x for x in reversed(arrays) if type(x) is not np.ndarray and isinstance(x, np.ndarray)), None)
        return result if last is None else wrapped(result, last)

    return function


class Swapped(types.SimpleNamespace):
    """A module with some names replaced."""

    def __init__(self, module: Any, **names: Any) -> None:
        super().__init__(**names)
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def load_tests() -> Any:
    """NumPy's file as a module of its own, so that NumPy itself stays as it is."""
    spec = importlib.util.spec_from_file_location("numpy_linalg_tests_of_mmlfast", source.origin)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    functions = {name: swapped(name) for name in SWAPPED}
    module.linalg = Swapped(np.linalg, **functions)
    module.np = Swapped(np, linalg=module.linalg)
    module.matrix_power = functions["matrix_power"]
    module.matrix_rank = functions["matrix_rank"]
    # Of the same case in other strides (our layouts are tested in test_layouts.py) every fifth.
    cases = module.LinalgTestCase.TEST_CASES
    module.LinalgTestCase.TEST_CASES = [x for k, x in enumerate(cases) if "stride" not in x.name or k % 5 == 0]
    assert len(cases) > 2 * len(module.LinalgTestCase.TEST_CASES) > 100
    for test_class, test in DIFFERENT:
        if hasattr(getattr(module, test_class, None), test):
            delattr(getattr(module, test_class), test)
    return module


NUMPY = load_tests()

# Of functions that are not ours, or of how NumPy is built.
NOT_OURS = {
    "TestEigvals", "TestOuter", "TestMultiDot", "TestTensorinv", "TestTensorsolve", "TestNorm_NonSystematic",
    "TestNormDouble", "TestNormSingle", "TestNormInt64", "test_xerbla_override", "test_sdot_bug_8577",
    "test_unsupported_commontype", "test_blas64_dot", "test_blas64_geqrf_lwork_smoketest", "test_diagonal",
    "test_trace", "test_cross", "test_tensordot", "test_matrix_transpose", "test_matrix_norm",
    "test_matrix_norm_empty", "test_vector_norm", "test_vector_norm_empty",
}  # fmt: skip


def unmarked(function: Any) -> Any:
    """Without NumPy's mark "slow": none takes a second."""
    if hasattr(function, "pytestmark"):
        function.pytestmark = [mark for mark in function.pytestmark if mark.name != "slow"]
    return function


for _name, _thing in list(vars(NUMPY).items()):
    if _name in NOT_OURS or not _name.lower().startswith("test"):
        continue
    if inspect.isclass(_thing):
        for _base in _thing.__mro__[:-1]:
            for _function in vars(_base).values():
                unmarked(_function)
        globals()[_name] = _thing
    elif inspect.isfunction(_thing):
        globals()[_name] = unmarked(_thing)


@pytest.mark.parametrize("name", SWAPPED)
def test_ours_was_served(name: str) -> None:
    """The swap is real: NumPy's tests called our function. Last in the file, for what ran before it."""
    if not sum(SERVED.values()):
        pytest.skip("NumPy's tests were not run")
    assert SERVED[name] > 0
