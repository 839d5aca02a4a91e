"""The door through which arguments come in: what is converted, what is refused, and in which words."""

from __future__ import annotations

import ctypes
import sys
from collections import deque
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from cases import same_bits, within

import mmlfast as mf
from mmlfast import _core
from mmlfast._common.arrays import as_array, as_float, as_integer, as_real, check_digits, nan_where_masked
from mmlfast._common.labels import check_labels

la = mf.linalg


# ---- what has to be refused, or would lose something ----


class Quantity:
    """What a quantity of pint looks like."""

    magnitude, units = np.eye(2), "metre"

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.magnitude


class QuantityArray(np.ndarray[Any, Any]):
    """What quantities of astropy and unyt look like."""

    unit = "km"


REFUSED = {
    "None": (lambda: None, "None"),
    "generator": (lambda: (x for x in [1.0]), "iterator"),
    "dict": (lambda: {"a": [1.0]}, "dict"),
    "set": (lambda: {1.0, 2.0}, "set"),
    "text": (lambda: "1 2 3", "str"),
    "list of text": (lambda: [["a", "b"]], "text"),
    "complex": (lambda: np.eye(2) * 1j, "complex"),
    "complex objects": (lambda: [np.array([1j, 2], object)], "complex"),
    "objects": (lambda: [[object(), 1.0]], "object"),
    "dates": (lambda: np.array([["2020-01-01"]], "M8[D]"), "datetime"),
    "pint": (Quantity, "metre"),
    "astropy": (lambda: np.eye(2).view(QuantityArray), "km"),
    "list of pint": (lambda: [Quantity(), Quantity()], "metre"),
    "masked": (lambda: np.ma.masked_equal(np.eye(2), 0.0), "2 of its 4"),
    "list of masked": (lambda: [np.ma.masked_equal([1.0, 0.0], 0.0), [1.0, 2.0]], "mask"),
    "int64": (lambda: np.array([[2**53 + 1, 0], [0, 1]]), str(2**53 + 1)),
    "uint64": (lambda: np.array([[2**64 - 1]], np.uint64), str(2**64 - 1)),
    "large int": (lambda: [[2**70 + 1, 0], [0, 1]], str(2**70 + 1)),
    "long double": (lambda: np.eye(2, dtype=np.longdouble), "float128"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_would_lose_something_is_refused_by_name(kind: str) -> None:
    make, word = REFUSED[kind]
    with pytest.raises(TypeError, match="the_argument") as caught:
        as_float(make(), "the_argument")
    assert word in str(caught.value)


def test_sparse_matrix_is_refused_by_name() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    for call in (lambda s: la.solve(s, np.ones(2)), mf.stats.mean):
        with pytest.raises(TypeError, match="sparse") as caught:
            call(sparse.csr_array(np.eye(2)))
        assert "toarray" in str(caught.value)


@pytest.mark.parametrize("function", [la.matmul, la.cholesky, la.lstsq, la.svd, la.qr, la.eigh, mf.stats.mean])
def test_integers_that_float64_would_round_are_refused(function: Any) -> None:
    exact = np.diag([2**53, 2**60, 1])
    two = function in (la.matmul, la.lstsq)
    function(*(exact,) * (1 + two))
    for bad in (exact + 1, (exact + 1).astype(np.uint64), (exact + 1).astype(">i8"), (exact + 1)[::-1, ::-1]):
        with pytest.raises(TypeError, match="holds the integer") as caught:
            function(*(bad,) * (1 + two))
        assert "astype(float)" in str(caught.value)


def test_digits_at_the_ends_of_the_integers() -> None:
    for dtype, values in ((np.int64, [-(2**63), 2**53, -(2**53)]), (np.uint64, [2**63, 2**64 - 2**11])):
        check_digits(np.array(values, dtype), "a")
    for dtype, value in (
        (np.int64, 2**63 - 1),
        (np.int64, -(2**63) + 1),
        (np.uint64, 2**64 - 1),
        (np.int64, 2**62 + 1),
    ):
        with pytest.raises(TypeError, match=str(value)):
            check_digits(np.array([0, value], dtype), "a")
        with pytest.raises(TypeError, match=str(value)):  # the same in C++
            _core.norm(np.array([0, value], dtype))
    assert float(_core.norm(np.array([-(2**63)]))) == 2.0**63


# ---- what is converted ----


def test_mask_that_hides_nothing_is_no_obstacle() -> None:
    x = np.ma.array(np.eye(2), mask=False)
    same_bits(as_array(x, "x"), np.eye(2))
    assert np.isnan(nan_where_masked(np.ma.masked_equal([1.0, 2.0], 2.0), "x")).tolist() == [False, True]


def test_labelled_array_with_methods_of_dask() -> None:
    """Any object that NumPy can convert is converted, whatever other attributes it has."""

    class Labelled:
        ndim, shape, dtype = 2, (3, 3), np.dtype(float)

        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            return np.eye(3)

        def __array_ufunc__(self, ufunc: Any, *_: Any, **__: Any) -> Any:
            raise NotImplementedError(ufunc)

        def __dask_graph__(self) -> None:
            return None

    same_bits(mf.stats.mean(Labelled()), mf.stats.mean(np.eye(3)))
    same_bits(la.inv(Labelled()), np.eye(3))
    same_bits(la.matmul(Labelled(), Labelled()), np.eye(3))


def test_frames_of_mixed_numbers() -> None:
    """A frame whose columns are all numbers is an array of numbers."""
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [2.0, 3, 7], "ok": [True, False, True]})
    same_bits(mf.stats.covariance(frame), mf.stats.covariance(frame.to_numpy(float)))
    nullable = pd.DataFrame(
        {
            "i": pd.array([1, None, 3], dtype="Int64"),
            "b": pd.array([True, None, False], dtype="boolean"),
            "f": pd.array([1.5, 2.5, None], dtype="Float32"),
            "o": np.array([1, 2.5, 3], dtype=object),
            "u": np.array([1, 2, 3], np.uint8),
        }
    )
    nan = np.nan
    same_bits(
        as_array(nullable, "x"),
        np.array([[1, 1, 1.5, 1, 1], [nan, nan, 2.5, 2.5, 2], [3, 0, nan, 3, 3.0]]).astype(float),
    )
    assert as_array(pd.DataFrame({"a": np.float32([1, 2]), "b": [True, False]}), "x").dtype == np.float32
    assert as_array(pd.DataFrame({"a": [1, 2], "b": [True, False]}), "x").dtype == np.int64
    same_bits(as_array(pd.Series([1, 2, None], dtype="Int64"), "x"), np.array([1, 2, nan]))
    for column in (["x", "y"], pd.to_datetime(["2020", "2021"]), pd.Categorical(["u", "v"]), [None, 1]):
        with pytest.raises(TypeError, match="column 'c' of x"):
            as_array(
                pd.DataFrame({"a": [1.0, 2.0], "c": pd.Series(column, dtype=object if None in column else None)}), "x"
            )
    with pytest.raises(TypeError, match=f"column 'i' of x holds the integer {2**53 + 1}"):
        as_array(pd.DataFrame({"a": [1.0, 2.0], "i": [2**53 + 1, 3]}), "x")


def test_frames_of_polars() -> None:
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"i": [1, None, 3], "b": [True, False, True], "f": [1.5, 2.5, None]})
    same_bits(as_array(frame, "x"), np.array([[1, 1, 1.5], [np.nan, 0, 2.5], [3, 1, np.nan]]))
    with pytest.raises(TypeError, match="column 'c' of x"):
        as_array(pl.DataFrame({"a": [1.0], "c": ["text"]}), "x")


BIG = 2**60 + 1
ROUNDED = {
    "list of integers and floats": lambda: [BIG, 1.5],
    "list of lists": lambda: [[1.5, 2.5], (BIG, 1.5)],
    "list of arrays": lambda: [np.array([BIG, 2]), np.array([1.5, 2.0])],
    "list of NumPy's numbers": lambda: [np.int64(BIG), np.float64(1.5)],
    "Arrow, missing": lambda: pytest.importorskip("pyarrow").array([BIG, None, 3]),
    "Arrow in chunks": lambda: pytest.importorskip("pyarrow").chunked_array([[BIG], [None, 3]]),
    "table of Arrow": lambda: pytest.importorskip("pyarrow").table({"a": [BIG, 3], "b": [1.0, 2.0]}),
    "polars, missing": lambda: pytest.importorskip("polars").Series([BIG, None]),
    "frame of polars": lambda: pytest.importorskip("polars").DataFrame({"a": [BIG, None], "b": [1, 2]}),
}


@pytest.mark.parametrize("kind", ROUNDED)
def test_no_digits_are_lost_on_the_way_to_an_array(kind: str) -> None:
    """NumPy makes floats of integers that stand beside floats, polars and Arrow of those beside what is missing."""
    with pytest.raises(TypeError, match=f"x.* holds the integer {BIG}"):
        as_float(ROUNDED[kind](), "x")


def test_what_is_missing_in_polars_and_arrow_is_nan() -> None:
    pl, pa = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    nan = np.nan
    for of in (pl.Series, pa.array):
        same_bits(as_array(of([3, None, 2**53]), "x"), np.array([3, nan, 2.0**53]))
        same_bits(as_array(of([True, None, False]), "x"), np.array([1, nan, 0]))
        same_bits(as_array(of([1.5, None]), "x"), np.array([1.5, nan]))
        assert as_array(of([1, 2]), "x").dtype == np.int64
    table = {"i": [1, None, 3], "b": [True, None, True], "f": [1.5, 2.5, None]}
    for frame in (pl.DataFrame(table), pa.table(table), pa.RecordBatch.from_pydict(table)):
        same_bits(as_array(frame, "x"), np.array([[1, 1, 1.5], [nan, nan, 2.5], [3, 1, nan]]))
    with pytest.raises(TypeError, match="column 'c' of x"):
        as_array(pa.table({"c": ["text"]}), "x")
    with pytest.raises(TypeError, match=r"x is a table that is not computed yet \(LazyFrame\): x\.collect\(\)"):
        as_array(pl.DataFrame(table).lazy(), "x")
    with pytest.raises(TypeError, match="x cannot be made an array"):
        as_array(pl.Series([2**70], dtype=pl.Int128), "x")
    with pytest.raises(TypeError, match=r"got Fraction .*astype\(float\)"):
        as_array([Fraction(1, 3)], "x")


def test_labels_in_another_order_are_refused() -> None:
    """Labelled arguments are never matched by position in silence."""
    pd = pytest.importorskip("pandas")
    a = pd.DataFrame(np.eye(2), index=["r", "s"], columns=["x", "y"])
    check_labels("f", a=(a, "mn", "n"), b=(pd.Series([1.0, 2.0], index=["r", "s"]), "mk", "m"))
    check_labels("f", a=(a, "mn", "n"), b=([1.0, 2.0], "mk", "m"), c=(None, "m", "m"))
    with pytest.raises(ValueError, match="labels of b are not those of a"):
        check_labels("f", a=(a, "mn", "n"), b=(pd.Series([1.0, 2.0], index=["s", "r"]), "mk", "m"))
    with pytest.raises(ValueError, match="labels of b are not those of a"):
        check_labels("f", a=(a, "mn", "n"), b=(a[["y", "x"]], "kn", "n"))


def test_whole_numbers() -> None:
    assert as_integer(np.int64(3), "k") == 3
    with pytest.raises(TypeError, match=r"k must be a whole number .* got 2\.0"):
        as_integer(2.0, "k")
    with pytest.raises(TypeError, match="k must be a whole number"):  # has __index__, and refuses
        as_integer(np.array([1, 2]), "k")
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        as_integer(0, "k", 1)


def test_numbers() -> None:
    assert as_real(np.float32(0.5), "tol") == as_real(np.array(0.5), "tol") == 0.5
    for bad in ("0.5", None, [1.0, 2.0], 1j):
        with pytest.raises(TypeError, match="tol must be a number"):
            as_real(bad, "tol")


# ---- out= in the place of an operand ----


def places(n: int) -> dict[str, Any]:
    """Ways in which the result can lie over the operand in one piece of memory."""
    return {
        "the operand": lambda room: (room[: n * n].reshape(n, n), room[: n * n].reshape(n, n)),
        "shifted": lambda room: (room[: n * n].reshape(n, n), room[1 : n * n + 1].reshape(n, n)),
        "transposed": lambda room: (room[: n * n].reshape(n, n), room[: n * n].reshape(n, n).T),
        "reversed": lambda room: (room[: n * n].reshape(n, n), room[: n * n].reshape(n, n)[::-1]),
    }


@pytest.mark.parametrize("n", [1, 2, 3, 8, 9, 12, 33, 70])
@within("place", places(1))
@within("stack", [False, True])
@pytest.mark.parametrize("name", ["matmul", "solve", "inv", "cholesky", "einsum"])
def test_out_may_be_an_operand(name: str, n: int, place: str, stack: bool, rng: np.random.Generator) -> None:
    """The result is that of a copy, in whatever way `out` shares memory with an operand."""
    batch = 3 if stack else 1
    room = np.zeros((batch, n * n + 1))
    x, out = zip(*(places(n)[place](row) for row in room), strict=True)
    for k in range(batch):
        square = rng.standard_normal((n, n))
        x[k][...] = square @ square.T + n * np.eye(n)
    a = np.lib.stride_tricks.as_strided(x[0], (batch, n, n), (room.strides[0], *x[0].strides))
    target = np.lib.stride_tricks.as_strided(out[0], (batch, n, n), (room.strides[0], *out[0].strides))
    if not stack:
        a, target = a[0], target[0]
    before, other = a.copy(), rng.standard_normal((n, n))
    calls: dict[str, Any] = {
        "matmul": (lambda a, **o: la.matmul(a, a, **o)),
        "solve": (lambda a, **o: la.solve(a, other if a is before else other.copy(), **o)),
        "inv": la.inv,
        "cholesky": la.cholesky,
        "einsum": (lambda a, **o: la.einsum("...ij,...jk->...ik", a, a, **o)),
    }
    expected = calls[name](before)
    result = calls[name](a, out=target)
    assert result is target
    same_bits(target.copy(), np.ascontiguousarray(expected))


def test_out_of_matvec_vecdot_and_det_may_be_an_operand(rng: np.random.Generator) -> None:
    a = rng.standard_normal((12, 12))
    x = rng.standard_normal(12)
    expected = la.matvec(a, x)
    same_bits(la.matvec(a, x, out=x), expected)
    a = rng.standard_normal((12, 12))
    expected = la.matvec(a, a[0].copy())
    same_bits(la.matvec(a, a[0], out=a[0]).copy(), expected)
    y = rng.standard_normal((5, 5))
    expected = la.vecdot(y, y)
    same_bits(la.vecdot(y, y, out=y[:, 0]).copy(), expected)
    y = rng.standard_normal((5, 3, 3))
    expected = la.det(y)
    same_bits(la.det(y, out=y[:, 1, 1]).copy(), expected)


# ---- Dask ----

STACKS: dict[str, Any] = {
    "solve": lambda a: la.solve(a, a),
    "solve vector": lambda a: la.solve(a, np.ones(a.shape[-1])),
    "solve integers": lambda a: la.solve(a, np.ones((3, 1), int)),
    "inv": la.inv,
    "inv errors=nan": lambda a: la.inv(a, errors="nan"),
    "det": la.det,
    "slogdet": la.slogdet,
    "cholesky": lambda a: la.cholesky(la.matmul(a, a.swapaxes(-1, -2))),
    "lu": la.lu,
    "qr": la.qr,
    "lstsq": lambda a: la.lstsq(a, a)[:3],
    "eigh": la.eigh,
    "eigvalsh": la.eigvalsh,
    "svd": lambda a: la.svd(a, full_matrices=False),
    "svdvals": la.svdvals,
    "pinv": la.pinv,
    "cond": la.cond,
    "matmul": lambda a: la.matmul(a, a),
    "matvec": lambda a: la.matvec(a, a[..., 0]),
    "vecdot": lambda a: la.vecdot(a, a),
    "einsum": lambda a: la.einsum("...ij,...jk->...ik", a, a),
    "gram_schmidt": la.gram_schmidt,
    "eigenvalues": lambda a: la.eig(a).eigenvalues.astype(complex),
    "diagonalize": lambda a: [x.astype(complex) for x in la.diagonalize(la.matmul(a, a.swapaxes(-1, -2)))],
    "matrix_power": lambda a: la.matrix_power(a, 3),
    "matrix_power inverse": lambda a: la.matrix_power(a, -1),
    "matrix_rank": la.matrix_rank,
    "matrix_rank tol": lambda a: la.matrix_rank(a, tol=0.1),
    "characteristic_polynomial": lambda a: la.characteristic_polynomial(a.astype(float)),
    "is_singular": la.is_singular,
    "power_iteration": lambda a: la.power_iteration(la.matmul(a, a.swapaxes(-1, -2))),
    "power_iteration k": lambda a: la.power_iteration(la.matmul(a, a.swapaxes(-1, -2)), k=2),
    "change_of_basis": lambda a: la.change_of_basis(a[..., 0], np.diag([1.0, 2, 4])),
    "change_of_basis operator": lambda a: la.change_of_basis(a, None, np.diag([1.0, 2, 4]), operator=True),
    "reflection_matrix": lambda a: la.reflection_matrix(a[..., 0]),
    "reflection_matrix basis": lambda a: la.reflection_matrix(basis=a[..., :2]),
    "transform": lambda a: la.transform(a, np.diag([1.0, 2, 4])),
    "transform affine": lambda a: la.transform(a, np.diag([1.0, 2, 4, 1])),
    "mean": mf.stats.mean,
    "variance": mf.stats.variance,
    "std": mf.stats.std,
    "covariance": mf.stats.covariance,
    "correlation": mf.stats.correlation,
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64], ids=["f64", "f32", "i64"])
@pytest.mark.parametrize("name", STACKS)
def test_stacks_in_dask(name: str, dtype: Any, rng: np.random.Generator) -> None:
    """Lazy and right for stacks in chunks along the batch, with the shape and the dtype it says."""
    da = pytest.importorskip("dask.array")
    a = (10 * rng.standard_normal((6, 3, 3)) + 40 * np.eye(3)).astype(dtype)
    expected = STACKS[name](a)
    result = STACKS[name](da.from_array(a, chunks=(2, 3, 3)))
    results, expectations = (x if isinstance(x, tuple | list) else (x,) for x in (result, expected))
    for x, y in zip(results, expectations, strict=True):
        assert isinstance(x, da.Array), "not lazy"
        value = x.compute()
        assert (x.shape, x.dtype) == (value.shape, value.dtype)
        if dtype is np.float64:  # in another process too: graphs are pickled
            cloudpickle = pytest.importorskip("cloudpickle")
            same_bits(np.asarray(cloudpickle.loads(cloudpickle.dumps(x)).compute()), np.asarray(value))
        if value.dtype.kind == "c":
            value, y = np.stack([value.real, value.imag]), np.stack([np.real(y), np.imag(y)])
        same_bits(np.asarray(value), np.asarray(y))


def test_dask_arrays_in_chunks_of_rows_are_sent_to_mmlfast_dask() -> None:
    da = pytest.importorskip("dask.array")
    rows = da.ones((40, 3), chunks=(10, 3))
    for call in (la.qr, la.svd, la.lstsq, mf.geometry.norm, mf.stats.covariance):
        with pytest.raises(TypeError, match=r"mmlfast\.dask"):
            call(rows, rows) if call is la.lstsq else call(rows)
    with pytest.raises(TypeError, match="out="):
        la.inv(da.ones((4, 3, 3), chunks=(2, 3, 3)), out=np.empty((4, 3, 3)))


def test_dask_is_not_imported_to_find_out(run_python: Any) -> None:
    run_python("import sys, mmlfast as mf; mf.linalg.inv([[2.0]]); assert 'dask' not in sys.modules")
    assert "mmlfast" in sys.modules
    assert Fraction(as_float([[2**60]], "a")[0, 0]) == 2**60


def test_masks_of_dask_arrays_are_refused() -> None:
    da = pytest.importorskip("dask.array")
    rows = da.from_array(np.ma.masked_equal(np.array([[1.0, 2], [-9999, 1], [3, 5]]), -9999), chunks=(2, 2))
    for call in (mf.dask.covariance, mf.dask.qr, mf.dask.pca, la.svd, mf.stats.mean):
        with pytest.raises(TypeError, match="masked arrays"):
            call(rows)
    with pytest.raises(TypeError, match="masked arrays"):
        mf.dask.lstsq(rows, da.ones(3, chunks=2))


def test_dask_stacks_in_other_chunks(rng: np.random.Generator) -> None:
    """Stacks in chunks of their own, or in memory, fit together; so do stacks with more batch axes."""
    da = pytest.importorskip("dask.array")
    a, b = (rng.standard_normal((2, 6, 3, 3)) for _ in range(2))
    one, other = da.from_array(a, chunks=(1, 2, 3, 3)), da.from_array(b[0], chunks=(3, 3, 3))
    for x, y, right in ((one, other, b[0]), (one, b[0], b[0]), (one, b[:, :1], b[:, :1]), (one, b[0, 0], b[0, 0])):
        for function in (la.solve, la.matmul):
            same_bits(function(x, y).compute(), function(a, right))
    same_bits(la.vecdot(one, one, axis=-2).compute(), la.vecdot(a, a, axis=-2))
    same_bits(
        la.matmul(da.ones((3, 4, 600), chunks=(1, 4, 600)), np.ones((600, 2))).compute(), np.full((3, 4, 2), 600.0)
    )


def test_dask_array_as_out_is_refused() -> None:
    """NumPy and Dask handed it to each other without an end."""
    da = pytest.importorskip("dask.array")
    for call in (lambda out: la.inv(np.eye(2), out=out), lambda out: la.matmul(np.eye(2), np.eye(2), out=out)):
        with pytest.raises(TypeError, match="out must be a NumPy array"):
            call(da.from_array(np.eye(2)))


def test_integer_right_hand_side_beside_floats() -> None:
    with pytest.raises(TypeError, match="b holds the integer"):
        la.solve(np.eye(2), np.array([2**60 + 1, 3]))
    assert la.solve(np.eye(2), np.array([2**60, 3])).tolist() == [2.0**60, 3.0]


class ByDlpack:
    """An array of which only DLPack knows."""

    def __init__(self, x: Any) -> None:
        self.x = x

    def __dlpack__(self, **options: Any) -> Any:
        return self.x.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.x.__dlpack_device__()


class ByInterface:
    """An array that tells where its numbers are, and nothing else."""

    def __init__(self, x: Any) -> None:
        self.x = x
        self.__array_interface__ = x.__array_interface__


BUFFERS = {
    "DLPack": ByDlpack,
    "array interface": ByInterface,
    "memoryview": memoryview,
    "Arrow": lambda x: pytest.importorskip("pyarrow").Tensor.from_numpy(x),
    "polars": lambda x: pytest.importorskip("polars").Series(x),
}


@pytest.mark.parametrize("kind", BUFFERS)
def test_estimators_take_what_functions_take(kind: str, rng: np.random.Generator) -> None:
    x, y = rng.standard_normal((12, 3)), rng.standard_normal(12)
    given = BUFFERS[kind](x)
    same_bits(mf.decomposition.PCA(2).fit_transform(given), mf.decomposition.PCA(2).fit_transform(x))
    same_bits(
        mf.decomposition.IncrementalPCA(2).fit(given).components_, mf.decomposition.IncrementalPCA(2).fit(x).components_
    )
    same_bits(
        mf.linear_model.LinearRegression().fit(given, y).coef_, mf.linear_model.LinearRegression().fit(x, y).coef_
    )
    near = mf.geometry.NearestNeighbors(n_neighbors=2)
    same_bits(near.fit(given).kneighbors(given)[0], near.fit(x).kneighbors(x)[0])
    net = mf.neural_network.MLPRegressor(
        hidden_layer_sizes=(4,), max_iter=9, n_iter_no_change=1, tol=1e9, solver="sgd", random_state=0
    )
    same_bits(net.fit(given, y).predict(given), net.fit(x, y).predict(x))


def test_estimators_take_sparse_columns_of_pandas(rng: np.random.Generator) -> None:
    pd = pytest.importorskip("pandas")
    x = rng.standard_normal((8, 3))
    frame = pd.DataFrame({f"c{k}": pd.arrays.SparseArray(c) for k, c in enumerate(x.T)})
    same_bits(mf.decomposition.PCA(2).fit(frame).components_, mf.decomposition.PCA(2).fit(x).components_)
    fitted = mf.linear_model.LinearRegression().fit(frame, x[:, 0])
    assert list(fitted.feature_names_in_) == ["c0", "c1", "c2"]


@pytest.mark.parametrize("shape", [(9, 4), (5, 40), (300, 1000)])
def test_nan_in_a_frame_is_all_that_pca_complains_about(shape: tuple[int, int], rng: np.random.Generator) -> None:
    pd = pytest.importorskip("pandas")
    x = rng.standard_normal(shape)
    x[3, 1] = np.nan
    for solver in ("auto", "full", "arpack"):
        with pytest.raises(ValueError, match="Input X contains NaN"):  # and warnings are errors
            mf.decomposition.PCA(2, svd_solver=solver).fit(pd.DataFrame(x).add_prefix("c"))


def test_labels_are_forgotten_when_an_estimator_is_fitted_to_rows_without(rng: np.random.Generator) -> None:
    pd, sparse = pytest.importorskip("pandas"), pytest.importorskip("scipy.sparse")
    x = rng.standard_normal((9, 4))
    first, other = pd.DataFrame(x, columns=[5, 6, 7, 8]), pd.DataFrame(x, columns=[1, 2, 3, 4])
    named = pd.DataFrame(x, columns=list("abcd"))
    for again in (lambda: x, lambda: x.astype(np.float32), lambda: sparse.csr_array(x), lambda: iter([x[:5], x[5:]])):
        for pca in (mf.decomposition.PCA(2), mf.decomposition.IncrementalPCA(2)):
            pca.fit(first)
            with pytest.raises(ValueError, match="other labels"):
                pca.transform(other)
            same_bits(pca.fit(again()).transform(other), pca.transform(x))
            assert not hasattr(pca.fit(named).fit(again()), "feature_names_in_")
            same_bits(pca.transform(other), pca.transform(x))


@pytest.mark.parametrize("huge", [2**1024, -(10**5000), 2**1024 - 1], ids=["least", "far", "rounded"])
def test_integers_beyond_float64_are_refused_by_name(huge: int) -> None:
    for rows in ([[huge, 1], [1, 2]], [[huge, 1.5], [1, 2]]):
        for function, name in ((la.det, "a"), (la.row_echelon, "a"), (mf.stats.mean, "x"), (mf.geometry.norm, "x")):
            with pytest.raises(TypeError, match=rf"^{name} holds an integer of \d+ bits, and float64 ends"):
                function(rows)
    with pytest.raises(TypeError, match="damping must be a number that float64 can hold"):
        mf.graph.pagerank(np.eye(2), huge)
    assert la.det([[2**1000, 0], [0, 1]]) == 2.0**1000


def test_estimators_refuse_what_functions_refuse() -> None:
    rows = np.eye(3)
    fields = np.array([(1.0, 2.0)], dtype=[("a", "f8"), ("b", "f8")])
    for bad, says in ((rows.astype(np.longdouble), "rounds to float64"), (fields, "take the fields apart")):
        for estimator in (mf.decomposition.PCA(1), mf.geometry.NearestNeighbors()):
            with pytest.raises(TypeError, match=says):
                estimator.fit(bad)


@pytest.mark.parametrize("make", [ByInterface, lambda x: (ctypes.c_double * len(x))(*x), deque])
def test_derivatives_of_what_numpy_makes_an_array_of(make: Any) -> None:
    """The call came back to itself until the stack was full."""
    x = np.array([1.0, 2.0, 3.0])
    for derived in (mf.autodiff.grad(lambda v: np.sum(v**3)), mf.autodiff.hessian(lambda v: np.prod(v))):
        same_bits(derived(make(x)), derived(x))
    if make is not deque:
        g = mf.autodiff.grad(lambda v: np.sum(v**3))
        same_bits(g.batch(ByInterface(np.stack([x, x]))), g.batch(np.stack([x, x])))


def test_ragged_metrics_and_samples_are_named() -> None:
    ragged = [[1.0, 2.0], [3.0]]
    for call in (
        lambda: mf.geometry.cdist(np.eye(2), np.eye(2), ragged),
        lambda: mf.geometry.knn(np.eye(2), np.eye(2), 1, ragged),
        lambda: mf.geometry.project([1.0, 2.0], np.eye(2), ragged),
    ):
        with pytest.raises(ValueError, match="metric cannot be made an array"):
            call()
    net = mf.neural_network.Network([2, 2, 1])
    with pytest.raises(ValueError, match="x cannot be made an array"):
        mf.neural_network.fit_many([net], ragged, [[1.0], [2.0]], epochs=1, batch_size=1, learning_rate=0.1)


def test_data_frames_of_dask_are_told_the_way() -> None:
    frames = pytest.importorskip("dask.dataframe")
    pd = pytest.importorskip("pandas")
    frame = frames.from_pandas(pd.DataFrame({"a": [1.0, 2.0, 4.0], "b": [3.0, 1.0, 1.0]}), npartitions=2)
    for call in (mf.dask.covariance, mf.dask.qr, lambda x: mf.dask.pca(x, 1)):
        with pytest.raises(TypeError, match="to_dask_array"):
            call(frame)
    rows = frame.to_dask_array(lengths=True)
    assert mf.dask.covariance(rows).compute().shape == (2, 2)
    with pytest.raises(TypeError, match="weights is a masked array"):
        mf.dask.covariance(rows, weights=np.ma.masked_equal([1.0, 2.0, 3.0], 3.0))


def test_what_does_not_let_itself_be_converted_is_named() -> None:
    """Tensors of which derivatives are asked, or on another device, say so in an error of their own."""

    class Tensor:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            raise RuntimeError("use tensor.detach()")

    for call in (la.inv, lambda a: mf.linear_model.LinearRegression().fit(a, [1.0])):
        with pytest.raises(TypeError, match=r"^[aX] cannot be made an array: use tensor\.detach\(\)"):
            call(Tensor())


def test_floats_of_eight_and_sixteen_bits_become_float64() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = np.array([[2.0, 0.5], [0.5, 1.0]])
    for kind in (ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, np.float16):
        short = x.astype(kind)
        same_bits(as_float(short, "x"), x)
        for function in (la.inv, la.eigh, lambda a: la.matrix_power(a, 2), mf.stats.covariance):
            for got, wanted in zip(function(short), function(x), strict=True):
                same_bits(np.asarray(got), np.asarray(wanted))
        same_bits(mf.decomposition.PCA(1).fit_transform(short), mf.decomposition.PCA(1).fit_transform(x))
