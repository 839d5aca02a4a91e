"""The compiled core, kept by hand; `stubtest` checks it against the module. Private."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Self, final

import numpy as np
from typing_extensions import disjoint_base

_Array = np.ndarray[Any, Any]

__version__: Final[str]

@final
class BatchedFunction:
    """A generalized ufunc with a fast path for calls with one small item."""

    @property
    def ufunc(self) -> np.ufunc: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...

@final
class PublicFunction:
    """A Python function with a fast path around it for calls with one small item."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
    def _remember(self, pairs: tuple[Any, ...], /) -> None: ...
    def __get__(self, instance: Any, owner: type | None = None, /) -> Any: ...

@final
class SingleBlasThread:
    """Holds the BLAS behind SciPy's LAPACK to one thread, between `with` and its end."""

    def __init__(self) -> None: ...
    def __enter__(self) -> None: ...
    def __exit__(self, *args: Any) -> None: ...

def public_function(
    arg0: Any, arg1: tuple[BatchedFunction, ...], arg2: Any, arg3: Any, arg4: Any, /
) -> PublicFunction: ...
def build_config() -> dict[str, Any]: ...
def get_num_threads() -> int: ...
def set_default_threads(n: int, /) -> None: ...
def set_num_threads(arg0: int, /) -> None: ...

solve: Final[BatchedFunction]
solve_nan: Final[BatchedFunction]
solve_vector: Final[BatchedFunction]
solve_vector_nan: Final[BatchedFunction]
inv: Final[BatchedFunction]
inv_nan: Final[BatchedFunction]
inv_unwarned: Final[BatchedFunction]
inv_unwarned_nan: Final[BatchedFunction]
det: Final[BatchedFunction]
slogdet: Final[BatchedFunction]
is_exactly_singular: Final[BatchedFunction]
lu_tall: Final[BatchedFunction]
lu_wide: Final[BatchedFunction]
lu_tall_indices: Final[BatchedFunction]
lu_wide_indices: Final[BatchedFunction]
lu_tall_permuted: Final[BatchedFunction]
lu_wide_permuted: Final[BatchedFunction]
exact_rank: Final[BatchedFunction]
row_echelon: Final[BatchedFunction]
row_echelon_tol: Final[BatchedFunction]
row_echelon_upper: Final[BatchedFunction]
row_echelon_upper_tol: Final[BatchedFunction]
cholesky: Final[BatchedFunction]
cholesky_nan: Final[BatchedFunction]
cholesky_upper: Final[BatchedFunction]
cholesky_upper_nan: Final[BatchedFunction]
qr: Final[BatchedFunction]
qr_r: Final[BatchedFunction]
qr_raw: Final[BatchedFunction]
qr_full: Final[BatchedFunction]
qr_r_full: Final[BatchedFunction]
qr_raw_full: Final[BatchedFunction]
lstsq: Final[BatchedFunction]
lstsq_nan: Final[BatchedFunction]
lstsq_many: Final[BatchedFunction]
lstsq_many_nan: Final[BatchedFunction]
lstsq_wide: Final[BatchedFunction]
lstsq_wide_nan: Final[BatchedFunction]
eigh: Final[BatchedFunction]
eigh_nan: Final[BatchedFunction]
eigh_upper: Final[BatchedFunction]
eigh_upper_nan: Final[BatchedFunction]
eigvalsh: Final[BatchedFunction]
eigvalsh_nan: Final[BatchedFunction]
eigvalsh_upper: Final[BatchedFunction]
eigvalsh_upper_nan: Final[BatchedFunction]
matmul: Final[BatchedFunction]
matvec: Final[BatchedFunction]
vecdot: Final[BatchedFunction]
power_iteration: Final[BatchedFunction]
simd_exp: Final[BatchedFunction]
simd_expm1: Final[BatchedFunction]
simd_log: Final[BatchedFunction]
simd_log1p: Final[BatchedFunction]
simd_sin: Final[BatchedFunction]
simd_cos: Final[BatchedFunction]
simd_tan: Final[BatchedFunction]
simd_asin: Final[BatchedFunction]
simd_acos: Final[BatchedFunction]
simd_atan: Final[BatchedFunction]
simd_sinh: Final[BatchedFunction]
simd_cosh: Final[BatchedFunction]
simd_tanh: Final[BatchedFunction]
simd_sqrt: Final[BatchedFunction]
simd_cbrt: Final[BatchedFunction]
simd_erf: Final[BatchedFunction]
simd_erfc: Final[BatchedFunction]
simd_lgamma: Final[BatchedFunction]
simd_logistic: Final[BatchedFunction]
simd_softplus: Final[BatchedFunction]
simd_pow: Final[BatchedFunction]
simd_atan2: Final[BatchedFunction]

covariance: Final[BatchedFunction]
weighted_covariance: Final[BatchedFunction]
variance: Final[BatchedFunction]
weighted_variance: Final[BatchedFunction]
std: Final[BatchedFunction]
weighted_std: Final[BatchedFunction]
correlation: Final[BatchedFunction]
weighted_correlation: Final[BatchedFunction]
mean: Final[BatchedFunction]
weighted_mean: Final[BatchedFunction]
affine_covariance: Final[BatchedFunction]

class MomentState:
    def __init__(self, arg0: int, /) -> None: ...
    def n_features(self) -> int: ...
    def count(self) -> float: ...
    def weighted(self) -> bool: ...
    def update(self, arg0: _Array, arg1: object, /) -> None: ...
    def remove(self, arg0: _Array, arg1: object, /) -> None: ...
    def merge(self, arg0: MomentState, /) -> None: ...
    def mean(self, arg0: bool, /) -> _Array: ...
    def covariance(self, arg0: float, arg1: bool, /) -> _Array: ...
    def mean_and_products(self) -> tuple[_Array, _Array]: ...
    def save(self) -> _Array: ...
    def restore(self, arg0: _Array, /) -> None: ...

class RFactorState:
    def __init__(self, arg0: int, /) -> None: ...
    def n_features(self) -> int: ...
    def count(self) -> float: ...
    def update(self, arg0: _Array, /) -> None: ...
    def remove(self, arg0: _Array, /) -> bool: ...
    def merge(self, arg0: RFactorState, /) -> None: ...
    def r(self) -> _Array: ...
    def save(self) -> _Array: ...
    def restore(self, arg0: _Array, /) -> None: ...

gram_schmidt_cgs: Final[BatchedFunction]
gram_schmidt_cgs_rtol: Final[BatchedFunction]
gram_schmidt_mgs: Final[BatchedFunction]
gram_schmidt_mgs_rtol: Final[BatchedFunction]
gram_schmidt_cgs2: Final[BatchedFunction]
gram_schmidt_cgs2_rtol: Final[BatchedFunction]
gram_schmidt_householder: Final[BatchedFunction]
gram_schmidt_householder_rtol: Final[BatchedFunction]
cdist: Final[BatchedFunction]
cdist_squared: Final[BatchedFunction]
inner: Final[BatchedFunction]
norm: Final[BatchedFunction]
distance: Final[BatchedFunction]
angle: Final[BatchedFunction]
angle_nan: Final[BatchedFunction]
scalar_projection: Final[BatchedFunction]
scalar_projection_nan: Final[BatchedFunction]
projection_to_metric: Final[BatchedFunction]
projection_to_weighted: Final[BatchedFunction]
projection_from_metric: Final[BatchedFunction]
projection_from_weighted: Final[BatchedFunction]
projection_dual: Final[BatchedFunction]
projection_apply: Final[BatchedFunction]
projection_coordinates: Final[BatchedFunction]
projection_matrix: Final[BatchedFunction]
projection_residual: Final[BatchedFunction]

def linear_fit(
    arg0: _Array,
    arg1: _Array,
    arg2: object,
    arg3: object,
    arg4: object,
    arg5: object,
    arg6: int,
    arg7: int,
    arg8: int,
    arg9: int,
    arg10: bool,
    arg11: bool,
    arg12: bool,
    arg13: float,
    /,
) -> _Array: ...
def linear_fit_totals(
    arg0: _Array,
    arg1: _Array,
    arg2: object,
    arg3: _Array,
    arg4: bool,
    arg5: int,
    arg6: bool,
    arg7: bool,
    arg8: bool,
    /,
) -> _Array: ...
def range_of_integers(arg0: _Array, /) -> tuple[int, int]: ...
def order_by_group(arg0: _Array, arg1: int, arg2: int, arg3: _Array | None, /) -> tuple[_Array, _Array]: ...
def number_items(arg0: _Array, arg1: int, /) -> tuple[_Array, _Array] | None: ...
def gather_rows(arg0: _Array, arg1: _Array, /) -> _Array: ...
def sums_of_groups(
    arg0: int, arg1: _Array, arg2: _Array, arg3: int, arg4: int, arg5: _Array | None, arg6: float, /
) -> tuple[_Array, _Array] | None: ...
def moments_of_groups(arg0: int, arg1: _Array, arg2: _Array, arg3: _Array, arg4: float, /) -> _Array: ...
def linear_fit_most_rows(arg0: int, arg1: int, arg2: bool, arg3: bool, /) -> int: ...
def neighbors(arg0: _Array, arg1: _Array, arg2: int, arg3: bool, /) -> tuple[_Array, _Array]: ...
def quick_neighbors(arg0: _Array, arg1: _Array, arg2: int, /) -> tuple[_Array, _Array] | None: ...
def exact_echelon(arg0: _Array, arg1: bool, /) -> tuple[_Array, _Array, _Array, _Array]: ...
def exact_shifted_determinants(arg0: _Array, /) -> tuple[_Array, _Array]: ...

svd_wide_whole: Final[BatchedFunction]
svd_tall_whole: Final[BatchedFunction]
svd_wide: Final[BatchedFunction]
svd_tall: Final[BatchedFunction]
svdvals_wide: Final[BatchedFunction]
svdvals_tall: Final[BatchedFunction]
pinv: Final[BatchedFunction]
pinv_nan: Final[BatchedFunction]
pinv_small: Final[BatchedFunction]
pinv_small_nan: Final[BatchedFunction]
rank_rtol: Final[BatchedFunction]
rank_rtol_nan: Final[BatchedFunction]
rank_tol: Final[BatchedFunction]
rank_tol_nan: Final[BatchedFunction]
rank_of_units: Final[BatchedFunction]
rank_of_units_nan: Final[BatchedFunction]
cond: Final[BatchedFunction]
cond_inverse: Final[BatchedFunction]

class NetworkSpec:
    """What a network is besides its numbers."""

    def __init__(
        self,
        sizes: Sequence[int],
        activations: Sequence[int],
        parameters: Sequence[float],
        programs: tuple[TapeProgram | None, ...],
        loss: int,
        loss_parameter: float,
        loss_program: TapeProgram | None,
        /,
    ) -> None: ...

def network_forward(
    spec: NetworkSpec,
    weights: Sequence[_Array],
    biases: Sequence[_Array],
    x: _Array,
    standardization: tuple[_Array, _Array] | None,
    finished: bool,
    /,
) -> _Array: ...
def network_loss(
    spec: NetworkSpec,
    weights: Sequence[_Array],
    biases: Sequence[_Array],
    x: _Array,
    y: _Array,
    sample_weight: _Array | None,
    standardization: tuple[_Array, _Array] | None,
    /,
) -> float: ...
def network_gradients(
    spec: NetworkSpec,
    weights: Sequence[_Array],
    biases: Sequence[_Array],
    x: _Array,
    y: _Array,
    sample_weight: _Array | None,
    standardization: tuple[_Array, _Array] | None,
    /,
) -> tuple[float, list[tuple[_Array, _Array]]]: ...
def network_fit(
    spec: NetworkSpec,
    weights: Sequence[_Array],
    biases: Sequence[_Array],
    samples: tuple[_Array, _Array, _Array | None],
    standardization: tuple[_Array, _Array] | None,
    validation: tuple[_Array, _Array, _Array | None] | None,
    settings: dict[str, Any],
    moments: Sequence[list[_Array]],
    history: Sequence[_Array | None],
    state: list[float],
    progress: list[int],
    report: Callable[[int, float], Any] | None,
    /,
) -> None: ...
def training_copies(
    spec: NetworkSpec,
    dtype: np.dtype[Any],
    weights: list[_Array],
    biases: list[_Array],
    moments: list[tuple[list[_Array], list[_Array]] | None],
    /,
) -> tuple[list[_Array], list[_Array], list[list[_Array]]] | None: ...
def network_fit_many(spec: NetworkSpec, members: list[tuple[Any, ...]], done: _Array, /) -> None: ...
def newton_minimum(
    arg0: object, arg1: object, arg2: tuple[_Array, ...], arg3: _Array, arg4: float, arg5: int, arg6: object, /
) -> tuple[_Array, _Array, int, int, int, int, float, float, float]: ...
def clear_minimum(
    arg0: _Array, arg1: _Array, arg2: _Array, arg3: _Array, arg4: float, /
) -> tuple[bool, float, float, float, float, float] | None: ...
def minimum_under_equations(
    arg0: TapeProgram,
    arg1: tuple[_Array, ...],
    arg2: list[tuple[TapeProgram, tuple[_Array, ...]]],
    arg3: TapeProgram,
    arg4: _Array,
    arg5: int,
    /,
) -> tuple[_Array, _Array, _Array, _Array, _Array, float, int, int] | None: ...
def bfgs(
    arg0: object,
    arg1: tuple[_Array, ...],
    arg2: _Array,
    arg3: _Array,
    arg4: float,
    arg5: float,
    arg6: int,
    arg7: object,
    /,
) -> tuple[_Array, _Array, int, int, int, float, float]: ...
def gradient_descent(
    arg0: TapeProgram,
    arg1: tuple[_Array, ...],
    arg2: _Array,
    arg3: _Array,
    arg4: _Array,
    arg5: _Array,
    arg6: _Array,
    arg7: _Array,
    arg8: _Array,
    arg9: _Array,
    arg10: _Array,
    arg11: _Array | None,
    arg12: int,
    arg13: int,
    /,
) -> None: ...
def newton_many(
    arg0: TapeProgram,
    arg1: tuple[_Array, ...],
    arg2: _Array,
    arg3: _Array,
    arg4: _Array,
    arg5: _Array,
    arg6: _Array,
    arg7: _Array,
    arg8: float,
    arg9: int,
    /,
) -> tuple[int, bool]: ...
def power_iteration_csr(
    arg0: _Array, arg1: _Array, arg2: _Array, arg3: _Array, arg4: float, arg5: int, /
) -> tuple[Any, _Array, Any, int, bool]: ...

@final
class LinksObject:
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...
    @property
    def n_nodes(self) -> int: ...
    @property
    def n_links(self) -> int: ...
    @property
    def n_dangling(self) -> int: ...
    @property
    def has_zeros(self) -> bool: ...
    @property
    def weighted(self) -> bool: ...

def make_links(arg0: _Array, arg1: _Array, arg2: object, /) -> tuple[LinksObject | None, str, int]: ...
def links_state(arg0: LinksObject, /) -> tuple[int, int, _Array, _Array, _Array | None, _Array, _Array, _Array]: ...
def links_from_state(
    arg0: int, arg1: int, arg2: _Array, arg3: _Array, arg4: object, arg5: _Array, arg6: _Array, arg7: _Array, /
) -> LinksObject: ...
def arriving_links(arg0: LinksObject, /) -> tuple[_Array, _Array, _Array]: ...
def pagerank(
    arg0: LinksObject, arg1: _Array, arg2: _Array | None, arg3: float, arg4: float, arg5: int, arg6: _Array | None, /
) -> tuple[_Array, float, int, bool]: ...

pagerank_dense: Final[BatchedFunction]

def pagerank_many(
    arg0: LinksObject, arg1: _Array, arg2: _Array, arg3: float, arg4: int, /
) -> tuple[_Array, _Array, _Array, _Array]: ...

tape_ops: Final[dict[str, int]]

@final
class TapeProgram:
    """A traced function, ready to run."""

    def __new__(
        cls,
        graph: TapeGraph,
        outputs: object,
        callbacks: Iterable[Callable[[_Array], Any]] = (),
        as_written: bool = False,
    ) -> Self: ...
    def __call__(self, *args: Any) -> _Array: ...
    def batch(self, x: object, *parameters: object) -> _Array: ...
    @property
    def instructions(self) -> list[tuple[str, int, int, list[tuple[str, int]]]]: ...
    @property
    def n_instructions(self) -> int: ...
    @property
    def n_slots(self) -> int: ...

@final
class Watch:
    """What a kept answer rests on: Watch([(kind, owner, key, value)])"""

    def __new__(cls, checks: list[tuple[Any, ...]], /) -> Self: ...
    def holds(self) -> bool: ...
    def __len__(self) -> int: ...

@disjoint_base
class TracedCall:
    """A function that is traced when it is called."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
    def _keep(
        self,
        watch: Watch,
        program: TapeProgram,
        argnum: int,
        arguments: list[tuple[int, ...]],
        results: list[tuple[int, ...]],
        is_tuple: bool,
        /,
    ) -> None: ...
    def _forget(self) -> None: ...

@disjoint_base
class TracedNumbers:
    """Numbers of a function that is being recorded."""

    def __new__(cls, owner: Any, ids: Any, is_mask: bool = False) -> Self: ...
    @property
    def owner(self) -> Any: ...
    @property
    def ids(self) -> np.ndarray[Any, np.dtype[np.int32]]: ...
    @property
    def is_mask(self) -> bool: ...
    def __add__(self, other: Any, /) -> Any: ...
    def __radd__(self, other: Any, /) -> Any: ...
    def __sub__(self, other: Any, /) -> Any: ...
    def __rsub__(self, other: Any, /) -> Any: ...
    def __mul__(self, other: Any, /) -> Any: ...
    def __rmul__(self, other: Any, /) -> Any: ...
    def __truediv__(self, other: Any, /) -> Any: ...
    def __rtruediv__(self, other: Any, /) -> Any: ...
    def __pow__(self, other: Any, modulus: None = None, /) -> Any: ...
    def __rpow__(self, other: Any, modulus: None = None, /) -> Any: ...
    def __neg__(self) -> Any: ...
    def __getitem__(self, key: Any, /) -> Any: ...
    def __array_ufunc__(self, *args: Any, **keywords: Any) -> Any: ...

def name_traced_ufuncs(names: dict[np.ufunc, int], /) -> None: ...

class TapeGraph:
    def __init__(self, as_written: bool = False) -> None: ...
    def input(self, arg0: int, /) -> int: ...
    def constants(self, arg0: object, /) -> _Array: ...
    def emit(self, op: int, a: object, b: object = None, c: object = None, aux: int = 0, count: int = -1) -> _Array: ...
    def identity(self, arg0: object, /) -> _Array: ...
    def callback(self, index: int, a: object, count: int, jacobian: object = None) -> _Array: ...
    def vjp(self, outputs: object, seeds: object, wrt: object) -> _Array: ...
    def jvp(self, wrt: object, tangents: object, outputs: object) -> _Array: ...
    def pattern(self, outputs: object, wrt: object) -> tuple[_Array, _Array]: ...
    def inline(self, other: TapeGraph, input_ids: Any, outputs: object, first_callback: int = 0) -> _Array: ...
    def to_bytes(self, outputs: object) -> bytes: ...
    @staticmethod
    def from_bytes(data: bytes) -> tuple[TapeGraph, _Array]: ...
    def is_constant(self, arg0: object, /) -> _Array: ...
    def values(self, arg0: object, /) -> _Array: ...
    def runs(
        self, outputs: object = None
    ) -> list[tuple[str, int, int, int, _Array | None, _Array | None, _Array | None]]: ...
    @property
    def n_values(self) -> int: ...
    @property
    def n_runs(self) -> int: ...
    @property
    def n_inputs(self) -> list[int]: ...

class TapePoint:
    """The numbers of a graph at one point, each computed when it is first asked for."""

    def __init__(self, graph: TapeGraph, inputs: object) -> None: ...
    def values(self, ids: object, callbacks: tuple[Callable[[_Array], Any], ...] = ()) -> _Array: ...
    def depends_on_x(self, ids: object) -> bool: ...

def tape_colour_columns(indptr: _Array, indices: _Array, n_columns: int) -> _Array: ...
def tape_colour_star(indptr: _Array, indices: _Array) -> _Array: ...

class TapeDoubleDouble:
    """What a graph computes, in double-double: (high, low)."""

    def __init__(self, graph: TapeGraph, outputs: _Array) -> None: ...
    def __call__(self, *args: _Array) -> tuple[_Array, _Array]: ...
    @property
    def is_possible(self) -> bool: ...

class Residuals:
    """What minimize_squares takes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...
    def residuals(self, arg0: object, /) -> _Array: ...
    def jacobian(self, arg0: object, /) -> _Array | None: ...

class TapeResiduals(Residuals):
    """(model(p) - y) by weights, or by the inverse of a lower triangle, from programs whose x is p and whose further
    groups of inputs are `data`.

    values gives m numbers, jacobian n x m of them (the derivatives by p[0], then those by p[1], ...); second, with one
    more group, a direction, the second derivatives along it.
    """

    def __init__(
        self,
        values: TapeProgram,
        jacobian: TapeProgram,
        data: Sequence[_Array] = ...,
        y: _Array | None = ...,
        weights: _Array | None = ...,
        whitening: _Array | None = ...,
        second: TapeProgram | None = ...,
        precise: TapeDoubleDouble | None = ...,
    ) -> None: ...

class RowResiduals(Residuals):
    """The same of programs of one point, whose groups of inputs are the point, p and `fixed`: values gives a number,
    jacobian n of them."""

    def __init__(
        self,
        values: TapeProgram,
        jacobian: TapeProgram,
        second: TapeProgram,
        precise: TapeDoubleDouble,
        x: _Array,
        fixed: _Array | None,
        y: _Array,
        weights: _Array | None = ...,
        whitening: _Array | None = ...,
    ) -> None: ...

class CallableResiduals(Residuals):
    """The same of functions: fun(p) gives m numbers, jac(p) m x n of them; without jac derivatives are differences.
    model(x, *p), if there is one, is called instead of fun as long as it gives an array of m float64 and raises
    nothing; `first` is what it gave the first time."""

    def __init__(
        self,
        fun: Callable[[_Array], object],
        jac: Callable[[_Array], object] | None,
        m: int,
        n: int,
        y: _Array | None = ...,
        weights: _Array | None = ...,
        whitening: _Array | None = ...,
        model: Callable[..., object] | None = ...,
        x: _Array | None = ...,
    ) -> None: ...
    @property
    def first(self) -> _Array | None: ...

class QuickFit:
    """quick(f or None, x, y, p0, sigma, is_absolute): a fit, or None if anything is out of the ordinary."""

    def __init__(
        self,
        values: TapeProgram,
        jacobian: TapeProgram,
        second: TapeProgram,
        precise: TapeDoubleDouble,
        watch: Watch,
        x_shape: tuple[int, ...],
        by_point: bool,
    ) -> None: ...
    def __call__(
        self, arg0: object, arg1: object, arg2: object, arg3: object, arg4: object, arg5: bool, /
    ) -> tuple[_Array, _Array, _Array, bytes, bytes, float, int, int, int, float] | None: ...

class SquaresMinimum:
    """What minimize_squares gives."""

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...
    @property
    def x(self) -> _Array: ...
    @property
    def residuals(self) -> _Array: ...
    @property
    def r(self) -> _Array: ...
    @property
    def gradient(self) -> _Array: ...
    @property
    def jacobian(self) -> _Array | None: ...
    @property
    def permutation(self) -> _Array: ...
    @property
    def active(self) -> _Array: ...
    @property
    def inverse(self) -> _Array | None: ...
    @property
    def rank(self) -> int: ...
    @property
    def rank_at_start(self) -> int: ...
    @property
    def status(self) -> int: ...
    @property
    def condition(self) -> float: ...
    @property
    def cost(self) -> float: ...
    @property
    def optimality(self) -> float: ...
    @property
    def n_evaluations(self) -> int: ...
    @property
    def n_jacobians(self) -> int: ...
    @property
    def n_difference_evaluations(self) -> int: ...
    @property
    def accelerated(self) -> bool: ...
    @property
    def used_precise(self) -> bool: ...
    @property
    def lost(self) -> bool: ...
    @property
    def n_searches(self) -> int: ...

def minimize_squares(
    model: Residuals,
    p0: _Array,
    lower: _Array | None = ...,
    upper: _Array | None = ...,
    loss: str | Callable[[_Array], object] = ...,
    loss_scale: float = ...,
    ftol: float = ...,
    xtol: float = ...,
    gtol: float = ...,
    max_evaluations: int = ...,
    scale: _Array | None = ...,
    acceleration: bool = ...,
    first_step: float = ...,
    on_step: Callable[[_Array, float, int], bool] | None = ...,
    with_jacobian: bool = ...,
) -> SquaresMinimum: ...

class TapeRows:
    """A model of one row, ready for the fits of many data sets."""

    def __init__(self, graph: TapeGraph, outputs: object) -> None: ...
    @property
    def n_parameters(self) -> int: ...
    @property
    def n_staged(self) -> int: ...

def curve_fit_many(
    model: TapeRows,
    n_fits: int,
    n_rows: int,
    n: int,
    x: object,
    y: object,
    weights: object,
    start: object,
    lower: object,
    upper: object,
    most_evaluations: float,
    loss: int = 0,
    loss_scale: float = 1.0,
) -> tuple[_Array, _Array, _Array, _Array, _Array, _Array, _Array, _Array, bool]: ...

class TaylorPlan:
    def __init__(self, arg0: TapeGraph, arg1: object, arg2: int, arg3: int, /) -> None: ...
    def __call__(self, *args: _Array) -> _Array: ...
    def find_failure(self, *args: _Array) -> tuple[int, str, float, float] | None: ...
    @property
    def order(self) -> int: ...
    @property
    def n_outputs(self) -> int: ...
    @property
    def has_callback(self) -> bool: ...
