"""The fast path around public functions: what it takes, it gives as the function itself would; the rest it leaves."""

import copy
import gc
import inspect
import pickle
import weakref
from typing import NamedTuple

import numpy as np
import pytest
from cases import within

import mmlfast as mf
from mmlfast import _core
from mmlfast._common.fast_path import fast_path

NAMES = [name for name in mf.linalg.__all__ if isinstance(getattr(mf.linalg, name), _core.PublicFunction)]


def arguments(name, rng, shape, dtype):
    """For a function of that name: symmetric, positive definite matrices, which all of them take."""
    m, n = shape
    a = rng.standard_normal((max(m, n), max(m, n)))
    a = (a @ a.T + np.eye(len(a)))[:m, :n].astype(dtype)
    x = rng.standard_normal(n).astype(dtype)
    two = {"solve": x, "matmul": np.ascontiguousarray(a.T), "matvec": x}
    return (x, x + 1) if name == "vecdot" else (a, two[name]) if name in two else (a,)


def same(x, y):
    """Equal to the last bit, with equal types."""
    assert type(x) is type(y)
    if isinstance(x, tuple):
        assert len(x) == len(y)
        for one, other in zip(x, y, strict=True):
            same(one, other)
    elif isinstance(x, np.ndarray | np.generic):
        assert x.dtype == y.dtype
        assert x.shape == y.shape
        assert np.asarray(x).tobytes() == np.asarray(y).tobytes()
    else:
        assert x == y


def outcome(function, args):
    """What it returned, or the type and the message of what it raised."""
    try:
        return function(*args)
    except Exception as error:
        return type(error), str(error)


def test_the_functions_of_small_matrices_have_it():
    expected = {"solve", "inv", "det", "slogdet", "lu", "qr", "eigh", "eigvalsh", "cholesky", "svd", "svdvals"}
    assert expected | {"gram_schmidt", "matmul", "matvec", "vecdot", "pinv"} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@within("shape", [(1, 1), (2, 2), (3, 3), (8, 8), (32, 32), (33, 33), (5, 3), (3, 5), (0, 0)])
def test_both_ways_give_the_same(rng, name, dtype, shape):
    function = getattr(mf.linalg, name)
    args = arguments(name, rng, shape, dtype)
    same(outcome(function, args), outcome(function.__wrapped__, args))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("change", ["list", "batch", "integers", "reversed", "swapped", "misaligned", "read only"])
def test_what_is_not_plain(rng, name, change):
    function = getattr(mf.linalg, name)
    args = arguments(name, rng, (4, 4), np.float64)

    def changed(x):
        misaligned = np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(np.float64).reshape(x.shape)
        read_only = x.copy()
        read_only.flags.writeable = False
        return {
            "list": x.tolist(),
            "batch": np.stack([x, x]),
            "integers": np.rint(x * 8).astype(np.int64),
            "reversed": x[::-1],
            "swapped": x.astype(">f8"),
            "misaligned": misaligned,
            "read only": read_only,
        }[change]

    args = tuple(changed(x) for x in args)
    if name in ("eigh", "cholesky", "eigvalsh") and change == "reversed":
        args = tuple(x.T[::-1].T[::-1] for x in args)
    same(outcome(function, args), outcome(function.__wrapped__, args))


@within("shape", [(3, 3), (5, 3), (3, 5), (33, 33)])
def test_a_keyword_that_selects_loops(rng, shape):
    (a,) = arguments("svd", rng, shape, np.float64)
    svd = mf.linalg.svd
    for keywords in ({"full_matrices": False}, {"full_matrices": True}, {"full_matrices": 0}, {"hermitian": False}):
        same(svd(a, **keywords), svd.__wrapped__(a, **keywords))
    same(svd(a, full_matrices=False, hermitian=False), svd.__wrapped__(a, full_matrices=False))
    same(svd(a=a, full_matrices=False), svd.__wrapped__(a, full_matrices=False))
    with pytest.raises(TypeError, match="full"):
        svd(a, full=False)
    with pytest.raises(TypeError, match="missing"):
        svd(full_matrices=False)


def test_badly_scaled_columns_are_left_to_pinv(rng):
    columns, units = rng.standard_normal((4, 3)), np.array([1e-20, 1, 1e20])
    x = mf.linalg.pinv(columns * units)
    same(x, mf.linalg.pinv.__wrapped__(columns * units))
    assert np.allclose(x * units[:, None] @ columns, np.eye(3))


def test_a_failed_call_is_explained_by_the_function():
    with pytest.raises(np.linalg.LinAlgError, match=r"^inv: Singular matrix"):
        mf.linalg.inv(np.zeros((3, 3)))
    with pytest.raises(np.linalg.LinAlgError, match=r"^solve: the last two dimensions of a must be equal"):
        mf.linalg.solve(np.zeros((3, 4)), np.zeros(3))
    with pytest.raises(np.linalg.LinAlgError, match=r"^eigh: a must be finite, but a\[0, 0\] is nan"):
        mf.linalg.eigh(np.full((3, 3), np.nan))
    with pytest.raises(TypeError, match="inv"):
        mf.linalg.inv()
    with pytest.raises(TypeError, match="inv"):
        mf.linalg.inv(np.eye(3), np.eye(3))


def test_numbers_are_numpys_but_counts_pythons():
    assert type(mf.linalg.det(np.eye(3))) is np.float64
    assert type(mf.linalg.det(np.eye(3, dtype=np.float32))) is np.float32
    assert type(mf.linalg.slogdet(np.eye(3)).sign) is np.float64
    assert type(mf.linalg.gram_schmidt(np.eye(3)).rank) is int


@pytest.mark.parametrize("name", NAMES)
def test_it_looks_like_the_function(name):
    function = getattr(mf.linalg, name)
    original = function.__wrapped__
    assert inspect.isroutine(function)
    assert inspect.signature(function) == inspect.signature(original)
    public = original.__module__.rpartition(".")[0]
    assert (function.__name__, function.__qualname__, function.__module__) == (name, name, public)
    assert function.__doc__ == original.__doc__
    assert repr(function) == repr(original)
    assert copy.copy(function) is copy.deepcopy(function) is pickle.loads(pickle.dumps(function)) is function
    with pytest.raises(TypeError):
        type(function)()


def test_as_a_method():
    class Matrix:
        inverse = mf.linalg.inv

    assert Matrix.inverse is mf.linalg.inv
    with pytest.raises(TypeError, match="inv"):
        Matrix().inverse(np.eye(3))  # the instance comes first, as with any function


def test_it_is_collected():
    def make_cycle():
        cycle = []
        wrapped = fast_path(_core.inv)(lambda a: (cycle, a))
        cycle.append(wrapped)
        assert wrapped([1.0]) == (cycle, [1.0])
        return weakref.ref(wrapped)

    reference = make_cycle()
    gc.collect()
    assert reference() is None


class Pair(NamedTuple):
    x: object
    y: object


class Fat(tuple):  # with a dictionary of attributes
    _fields = ("x", "y")


@pytest.mark.parametrize("result", [Fat, int, list, "Pair"])
def test_results_that_are_no_named_tuple(result):
    with pytest.raises((TypeError, AttributeError)):
        fast_path(_core.eigh, result=result)(len)
    with pytest.raises(TypeError, match="as many results"):
        fast_path(_core.inv, result=Pair)(len)
    with pytest.raises(TypeError, match="batched functions"):
        fast_path(len)(len)
    with pytest.raises(TypeError, match="batched functions"):
        fast_path(_core.inv, keyword=("upper", True, (len,), None))(len)
