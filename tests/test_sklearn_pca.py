"""scikit-learn's own tests of PCA and IncrementalPCA, run with our classes in the place of scikit-learn's.

The deliberate differences, which are left out here:

- Arrays of other libraries are taken as CPU buffers; there is no array API dispatch.
- `solver_` says how the components were found: not scikit-learn's private `_fit_svd_solver`, nor its rules.
- The likelihood of a whitened model is that of the model: whitening changes the unit of the scores only.
- The first batch of `IncrementalPCA.partial_fit` may have fewer rows than there are components.

The sparse tables are smaller here, and of the 216 combinations of the largest test every third is enough.
"""

from __future__ import annotations

import itertools
import types
from typing import Any

import numpy as np
import pytest

import mmlfast as mf

pca_tests = pytest.importorskip("sklearn.decomposition.tests.test_pca")
incremental_tests = pytest.importorskip("sklearn.decomposition.tests.test_incremental_pca")

DIFFERENT = {
    "test_pca_array_api_compliance",
    "test_pca_mle_array_api_compliance",
    "test_array_api_error_and_warnings_on_unsupported_params",
    "test_pca_svd_solver_auto",
    "test_pca_score",
    "test_assess_dimension_bad_rank",  # a private function of theirs
    "test_small_eigenvalues_mle",
    "test_assess_dimension_rank_one",
    "test_incremental_pca_validation",
}


@pytest.fixture
def global_random_seed() -> int:
    return 42


@pytest.fixture(params=[np.float32, np.float64])
def global_dtype(request: pytest.FixtureRequest) -> Any:
    return request.param


def with_ours(function: Any, module: Any) -> Any:
    """The test as it is, but with our classes among its global names."""
    names = {**vars(module), "PCA": mf.decomposition.PCA, "IncrementalPCA": mf.decomposition.IncrementalPCA}
    names |= {"SPARSE_M": 500, "SPARSE_N": 150, "SPARSE_MAX_COMPONENTS": 150}
    for name, value in list(names.items()):
        if isinstance(value, types.FunctionType) and value.__module__ == module.__name__:
            names[name] = swapped = types.FunctionType(value.__code__, names, name, value.__defaults__)
            swapped.__dict__.update(value.__dict__)
    return names[function]


def every_third(function: Any) -> Any:
    """Of the product of its parameters, those whose places add up to a multiple of three: any two values meet."""
    names = [mark.args[0] for mark in function.pytestmark]
    product = itertools.product(*(enumerate(mark.args[1]) for mark in function.pytestmark))
    chosen = [[value for _, value in values] for values in product if sum(place for place, _ in values) % 3 == 0]
    function.pytestmark = []
    return pytest.mark.parametrize(names, chosen)(function)


for prefix, module in (("pca", pca_tests), ("incremental", incremental_tests)):
    for name in list(vars(module)):
        if name.startswith("test_") and name not in DIFFERENT:
            globals()[f"test_{prefix}_{name[5:]}"] = with_ours(name, module)

test_pca_pca_sparse = every_third(globals()["test_pca_pca_sparse"])
