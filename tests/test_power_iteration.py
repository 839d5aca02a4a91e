"""Power iteration against numpy.linalg.eig and eigh: in lanes, one matrix per thread, large, sparse, functions.

Whatever the way, the answer carries its residual; most tests compute the residual again, in float64 and by NumPy.
"""

from __future__ import annotations

import gzip
import threading
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from cases import every_batch_size, every_case, every_dtype, every_layout, poisoned, same_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from in_threads import in_threads
from interrupts import interrupt

import mmlfast as mf
from mmlfast import _core
from mmlfast._reference import power_iteration as reference
from mmlfast.linalg import PowerIteration, power_iteration
from mmlfast.linalg._power_iteration import start_vector

# Lanes up to 32 and one matrix per thread up to 512; vectors of 8, and blocks of rows of 4, around their edges.
SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 18, 23, 31, 32, 33, 64, 65, 512, 513)


def gapped(rng, *shape, ratio=0.7, dtype=np.float64):
    """Symmetric matrices with eigenvalue 3 and others of random sign up to 3 * ratio: a diagonal, reflected twice."""
    w = 3 * ratio * rng.uniform(-1, 1, shape)
    w[..., 0] = 3
    a = w[..., None] * np.eye(shape[-1])
    for _ in range(2):  # h a h with h = I - v v', v'v = 2
        v = rng.standard_normal((*shape, 1))
        v *= np.sqrt(2) / np.linalg.norm(v, axis=-2, keepdims=True)
        av = a @ v
        a = a - av * v.mT - v * av.mT + (v.mT @ av) * v * v.mT
    return a.astype(dtype)


def check(a, pair, tol=1e-12):
    """The pair is what it says: unit vector, sign, Rayleigh quotient, residual. `a` as a dense array, in float64."""
    a = np.asarray(a, np.float64)
    dtype = pair.vector.dtype
    eps = float(np.finfo(dtype).eps)
    n = a.shape[-1]
    x, value, residual = (np.asarray(v, np.float64) for v in (pair.vector, pair.value, pair.residual))
    batch = x.shape[:-1]
    assert value.shape == residual.shape == np.shape(pair.n_iter) == np.shape(pair.converged) == batch
    assert x.shape[-1] == n
    assert pair.value.dtype == pair.residual.dtype == dtype
    assert pair.n_iter.dtype == np.int64
    assert pair.converged.dtype == np.bool_
    rounding = 4 * n * eps * np.linalg.norm(a, axis=(-2, -1)) + 1e-320
    assert np.all(np.abs(np.linalg.norm(x, axis=-1) - 1) <= 4 * eps)
    leader = np.take_along_axis(x, np.abs(x).argmax(axis=-1, keepdims=True), axis=-1)
    assert np.all(leader > 0)
    ax = np.einsum("...ij,...j->...i", a, x)
    assert np.all(np.abs(np.einsum("...i,...i->...", x, ax) - value) <= rounding)
    true_residual = np.linalg.norm(ax - value[..., None] * x, axis=-1)
    assert np.all(np.abs(true_residual - residual) <= rounding)
    goal = max(tol, 8 * eps) * np.abs(value)
    assert np.all(~pair.converged | (residual <= goal * (1 + 4 * eps)))


def quiet(*args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mf.ConvergenceWarning)
        return power_iteration(*args, **kwargs)


def same_pair(actual, expected):
    for a, b in zip(actual, expected, strict=True):
        same_bits(a, b)


# ---- dense ----


@every_dtype
@pytest.mark.parametrize("n", SIZES)
def test_against_eigh(n, dtype, rng):
    a = gapped(rng, 3 if n < 100 else 1, n, dtype=dtype)
    pair = power_iteration(a)
    check(a, pair)
    assert pair.converged.all()
    w, v = np.linalg.eigh(a.astype(np.float64))
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(pair.value, w[:, -1], rtol=20 * eps)
    dominant = v[:, :, -1] * np.sign(np.take_along_axis(v, np.abs(v).argmax(1, keepdims=True), 1)[..., -1])
    np.testing.assert_allclose(pair.vector, dominant, atol=max(1e-11, 100 * eps))


@pytest.mark.parametrize("n", [2, 3, 6, 16, 20, 40])
def test_nonsymmetric_against_eig(n, rng):
    a = rng.uniform(0.1, 1, (5, n, n))  # Perron: a simple dominant eigenvalue, all components positive
    pair = power_iteration(a)
    check(a, pair)
    assert pair.converged.all()
    assert (pair.vector > 0).all()
    w = np.linalg.eigvals(a)
    np.testing.assert_allclose(pair.value, np.abs(w).max(axis=1), rtol=1e-12)


@every_dtype
@pytest.mark.parametrize("n", [2, 5, 16, 17, 33])
def test_against_the_reference(n, dtype, rng):
    a = gapped(rng, n, dtype=dtype)
    x0 = reference.start_vector(n)
    same_bits(start_vector(n, np.dtype(dtype)), x0.astype(dtype))
    tol = 1e-12 if dtype == np.float64 else 1e-5
    value, vector, residual, n_iter, converged = reference.power_iteration(a.astype(np.float64), x0, tol, 10_000)
    pair = power_iteration(a, tol=tol)
    assert converged
    assert pair.converged
    assert abs(int(pair.n_iter) - n_iter) <= 1
    np.testing.assert_allclose(pair.value, value, rtol=20 * np.finfo(dtype).eps)
    np.testing.assert_allclose(pair.vector, vector, atol=10 * max(tol, residual))


@every_case("square", without="zero-size")
def test_every_case(case):
    a = case.array
    pair = quiet(a, max_iter=300)
    plain = quiet(case.plain, max_iter=300)
    if case.layout.__name__ in ("c_order", "read_only", "misaligned", "byte_swapped") or a.shape[-1] <= 32:
        same_pair(pair, plain)
    if not {"ill-scaled"} & case.tags:
        check(case.plain, pair)
    assert not np.isnan(pair.value).any()
    assert pair.vector.dtype == case.dtype


@pytest.mark.parametrize("shape", [(0, 3, 3), (2, 0, 3, 3), (0, 40, 40), (0, 600, 600)])
def test_empty_batch(shape):
    pair = power_iteration(np.zeros(shape))
    assert pair.vector.shape == shape[:-1]
    assert pair.value.shape == pair.residual.shape == pair.n_iter.shape == pair.converged.shape == shape[:-2]


@every_batch_size
@every_dtype
@pytest.mark.parametrize("n", [3, 9, 20])
def test_position_in_the_batch_changes_no_bit(n, batch, dtype, rng):
    # Gaps from wide to hopeless: items stop in different rounds.
    w = rng.uniform(0.2, 1.0, batch)
    a = np.array([gapped(rng, n, ratio=r, dtype=dtype) for r in w]).reshape(batch, n, n).astype(dtype)
    pair = quiet(a, max_iter=700)
    for i in range(batch):
        same_pair([v[i] for v in pair], quiet(a[i].copy(), max_iter=700))
    same_pair([v[::-1] for v in pair], quiet(a[::-1], max_iter=700))


@every_layout
@every_dtype
@pytest.mark.parametrize("n", [16, 17, 70, 600])
def test_layouts(n, layout, dtype, rng):
    a = gapped(rng, n, dtype=dtype) + (0.1 * rng.standard_normal((n, n)) / n).astype(dtype)
    x0 = rng.standard_normal(n).astype(dtype)
    pair = power_iteration(layout(a), layout(x0))
    check(a, pair)
    assert pair.converged
    plain = power_iteration(a, x0)
    np.testing.assert_allclose(pair.vector, plain.vector, atol=100 * np.finfo(dtype).eps)


def test_start_vectors_broadcast(rng):
    a = gapped(rng, 4, 1, 5)
    x0 = rng.standard_normal((3, 5))
    pair = power_iteration(a, x0)
    assert pair.value.shape == (4, 3)
    check(np.broadcast_to(a, (4, 3, 5, 5)), pair)
    for i in range(4):
        for j in range(3):
            same_pair([v[i, j] for v in pair], power_iteration(a[i, 0], x0[j]))


def test_dtype_follows_the_matrix(rng):
    a = gapped(rng, 4)
    assert power_iteration(a.astype(np.float32), np.ones(4)).vector.dtype == np.float32
    assert power_iteration(a, np.ones(4, np.float32)).vector.dtype == np.float64
    assert power_iteration([[2, 1], [1, 2]], [1, 0]).value.dtype == np.float64
    assert power_iteration([[True, True], [False, True]], max_iter=2, tol=10).vector.dtype == np.float64
    assert power_iteration(a.astype(np.float16)).vector.dtype == np.float64


# ---- laws ----


@given(n=st.sampled_from([1, 2, 3, 8, 17, 40]), k=st.integers(-200, 200), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_scaling_by_a_power_of_two_scales_the_value_exactly(n, k, seed):
    a = gapped(np.random.default_rng(seed), n)
    plain, scaled = quiet(a, max_iter=200), quiet(a * 2.0**k, max_iter=200)
    same_bits(scaled.vector, plain.vector)
    same_bits(scaled.value, plain.value * 2.0**k)
    same_bits(scaled.residual, plain.residual * 2.0**k)
    assert scaled.n_iter == plain.n_iter


@given(
    n=st.sampled_from([2, 3, 9, 16, 18]), c=st.floats(0.1, 10), negative=st.booleans(), seed=st.integers(0, 2**32 - 1)
)
@settings(max_examples=60, deadline=None)
def test_scaling(n, c, negative, seed):
    a = gapped(np.random.default_rng(seed), n)
    c = -c if negative else c
    plain, scaled = power_iteration(a), power_iteration(c * a)
    np.testing.assert_allclose(scaled.value, c * plain.value, rtol=1e-14)
    np.testing.assert_allclose(scaled.vector, plain.vector, atol=1e-11)


@given(n=st.sampled_from([2, 3, 9, 16, 18, 40]), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_permutation_similarity(n, seed):
    rng = np.random.default_rng(seed)
    a, x0, p = gapped(rng, n), rng.standard_normal(n), rng.permutation(n)
    plain, permuted = power_iteration(a, x0), power_iteration(a[np.ix_(p, p)], x0[p])
    np.testing.assert_allclose(permuted.value, plain.value, rtol=1e-13)
    np.testing.assert_allclose(
        permuted.vector * np.sign(permuted.vector @ plain.vector[p]), plain.vector[p], atol=1e-11
    )


# ---- where there is no dominant eigenpair, or no number ----

HOPELESS = {
    "opposite signs": np.array([[0.0, 1.0], [1.0, 0.0]]),
    "rotation": np.array([[0.6, -0.8], [0.8, 0.6]]),
    "cycle of three": np.roll(np.eye(3), 1, axis=0),
    "opposite signs, 20": np.diag([5.0, -5.0] + [0.5] * 18),
    "complex pair, 40": np.pad(3 * np.array([[0.0, -1.0], [1.0, 0.0]]), (0, 38)) + np.diag([0.0] * 2 + [1.0] * 38),
    "opposite signs, 600": np.diag([5.0, -5.0] + [0.5] * 598),
}


@every_dtype
@pytest.mark.parametrize("name", HOPELESS)
def test_no_dominant_eigenvalue_is_reported(name, dtype):
    a = HOPELESS[name].astype(dtype)
    for matrix in (a, np.stack([a, a]), sp.csr_array(a), lambda x: a @ x):
        x0 = np.linspace(0.5, 1.3, len(a)).astype(dtype)
        with pytest.warns(mf.ConvergenceWarning, match="did not converge: .*after 60 products"):
            pair = power_iteration(matrix, x0, max_iter=60)
        assert not np.any(pair.converged)
        assert np.all(pair.n_iter == 60)
        dense = a if np.ndim(pair.value) == 0 else np.stack([a, a])
        check(dense, PowerIteration(*(np.asarray(v) for v in pair)))


def test_warning_names_the_first_of_a_batch(rng):
    a = gapped(rng, 3, 6, 2)
    a[1, 2] = a[2, 5] = HOPELESS["rotation"]
    with pytest.warns(
        mf.ConvergenceWarning, match=r"2 of 18 matrices, first at batch index \(1, 2\): residual 0\."
    ) as w:
        pair = power_iteration(a)
    assert w[0].filename == __file__
    assert (~pair.converged).sum() == 2
    assert issubclass(mf.ConvergenceWarning, UserWarning)


@every_dtype
@pytest.mark.parametrize("n", [1, 2, 5, 16, 17, 40, 600])
def test_zero_matrix(n, dtype):
    for a in (np.zeros((n, n), dtype), sp.csr_array((n, n), dtype=dtype)):
        pair = power_iteration(a)
        assert pair.value == 0
        assert pair.residual == 0
        assert pair.converged
        assert pair.n_iter == 1
        check(np.zeros((n, n)), pair)


@pytest.mark.parametrize("n", [2, 5, 16, 17, 40])
def test_nilpotent(n):
    a = np.diag(np.arange(1.0, n), 1)
    for matrix in (a, sp.csr_array(a)):
        pair = power_iteration(matrix)
        assert pair.value == 0
        assert pair.converged
        assert pair.n_iter == n
        np.testing.assert_array_equal(pair.vector, np.eye(n)[0])
    pair = power_iteration(lambda x: a @ x, np.ones(n))
    assert pair.value == 0
    assert pair.converged


def test_start_without_the_dominant_component(rng):
    # What the residual certifies is an eigenpair; that it is the dominant one is the start vector's business.
    a = np.diag([1.0, 5.0, 2.0])
    pair = power_iteration(a, [1.0, 0.0, 1.0])
    assert pair.converged
    assert abs(pair.value - 2) < 1e-12
    assert abs(power_iteration(a).value - 5) < 1e-12
    pair = power_iteration(a, [1.0, 1e-300, 0.0], max_iter=3000)
    check(a, pair)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 16, 17])
@every_dtype
def test_bad_numbers_stop_at_once_and_stay_in_their_item(n, dtype, rng):
    a = gapped(rng, 20, n, dtype=dtype)
    clean = power_iteration(a)
    bads = list(poisoned(a[7]))
    for _, bad in bads[:: max(1, len(bads) // 12)]:
        spoilt = a.copy()
        spoilt[7] = bad
        with pytest.warns(mf.ConvergenceWarning, match=r"1 of 20 matrices, first at batch index \(7,\): NaN, infinity"):
            pair = power_iteration(spoilt, max_iter=10**15)
        others = np.arange(20) != 7
        same_pair([v[others] for v in pair], [v[others] for v in clean])
        assert np.isnan(pair.value[7])
        assert np.isnan(pair.residual[7])
        assert np.isnan(pair.vector[7]).all()
        assert not pair.converged[7]
        assert pair.n_iter[7] <= 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("n", [3, 30, 600])
def test_bad_numbers_everywhere(n, value):
    good = np.eye(n) + 1.0
    bad = good.copy()
    bad[n // 2, n // 3] = value
    x0 = np.ones(n)
    bad_x0 = x0.copy()
    bad_x0[-1] = value
    for a, x in ((bad, None), (bad, x0), (good, bad_x0)):
        for matrix in (a, sp.csr_array(a), lambda v, a=a: a @ v):
            start = x if x is not None or not callable(matrix) else x0
            with pytest.warns(mf.ConvergenceWarning, match="NaN, infinity or overflow"):
                pair = power_iteration(matrix, start, max_iter=10**15)
            assert np.isnan(pair.value)
            assert np.isnan(pair.vector).all()
            assert not pair.converged


@pytest.mark.parametrize("scale", [1e300, 1e150, 1e-150, 1e-300, 1e-310])
@pytest.mark.parametrize("n", [3, 30, 600])
def test_extreme_scales(n, scale, rng):
    a = gapped(rng, n)
    for matrix in (a * scale, sp.csr_array(a * scale), sp.linalg.aslinearoperator(a * scale)):
        pair = power_iteration(matrix, tol=1e-10)
        assert pair.converged
        np.testing.assert_allclose(pair.value / scale, 3, rtol=1e-12 if scale > 1e-300 else 1e-9)
    pair = power_iteration(a, scale * rng.standard_normal(n))
    np.testing.assert_allclose(pair.value, 3, rtol=1e-12)


def test_float32_extreme_scales(rng):
    a = gapped(rng, 4, 5).astype(np.float32)
    for scale in (1e35, 1e-35):
        np.testing.assert_allclose(power_iteration(a * np.float32(scale)).value, 3 * scale, rtol=1e-6)


# ---- sparse ----


@every_dtype
@pytest.mark.parametrize("n", [1, 2, 7, 100, 2000])
@pytest.mark.filterwarnings("ignore:Constructing a DIA matrix")
@pytest.mark.parametrize("form", ["csr", "csc", "coo", "dia", "lil", "dok", "bsr"])
def test_sparse_formats(n, form, dtype, rng):
    a = sp.random(n, n, min(1, 5 / n), format="csr", rng=rng, dtype=np.float64)
    a = (a + a.T + sp.eye(n) * 2).astype(dtype).tolil()
    a[0, 0] = 12
    for kind in (a, sp.csr_array(a)):
        matrix = kind.asformat(form)
        pair = power_iteration(matrix)
        check(a.toarray(), pair)
        assert pair.converged
        same_pair(pair, power_iteration(sp.csr_array(a)))


@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_sparse_with_duplicates_and_unsorted_indices(index, rng):
    n, stored = 300, 4000
    i, j = rng.integers(0, n, (2, stored))
    order = np.argsort(i, kind="stable")
    i, j, data = i[order], j[order], rng.uniform(0, 1, stored)
    starts = np.searchsorted(i, np.arange(n + 1)).astype(index)
    a = sp.csr_array((data, j.astype(index), starts), shape=(n, n))
    a.indices, a.indptr = j.astype(index), starts
    assert not a.has_canonical_format
    before = a.data.copy(), a.indices.copy(), a.indptr.copy()
    pair = power_iteration(a)
    for x, y in zip(before, (a.data, a.indices, a.indptr), strict=True):
        same_bits(y, x)
    check(a.toarray(), pair)
    assert pair.converged
    np.testing.assert_allclose(pair.value, np.abs(np.linalg.eigvals(a.toarray())).max(), rtol=1e-12)


def test_sparse_integers_and_rows_without_entries(rng):
    a = sp.csr_array((np.array([3, 1, 1]), np.array([0, 3, 0]), np.array([0, 2, 2, 3, 3, 3])), shape=(5, 5))
    pair = power_iteration(a)
    assert pair.value == 3
    check(a.toarray(), pair)
    assert power_iteration(a.astype(bool).astype(np.int8)).vector.dtype == np.float64


def test_sparse_that_is_not_well_formed():
    x0 = np.ones(2)
    good = (np.ones(2), np.array([0, 1], np.int32), np.array([0, 1, 2], np.int32), x0, 1e-12, 10)
    assert _core.power_iteration_csr(*good)[4]
    for place, bad in (
        (1, np.array([0, 2], np.int32)),
        (1, np.array([0, -1], np.int32)),
        (2, np.array([0, 2, 1], np.int32)),
        (2, np.array([0, 1, 3], np.int32)),
        (2, np.array([1, 1, 2], np.int32)),
    ):
        with pytest.raises(ValueError, match="not well formed"):
            _core.power_iteration_csr(*good[:place], bad, *good[place + 1 :])
    for place, bad in (
        (0, np.ones(2, np.float32)),
        (0, np.ones(3)),
        (0, np.ones(4)[::2]),
        (1, np.array([0, 1], np.int64)),
        (2, np.array([0, 1, 2], np.int64)),
        (2, np.array([0, 2], np.int32)),
        (3, np.ones((2, 1))),
    ):
        with pytest.raises(ValueError, match="must be"):
            _core.power_iteration_csr(*good[:place], bad, *good[place + 1 :])


def edges(path):
    with gzip.open(path) as f:
        return np.loadtxt(f, dtype=np.int64, comments="#")


@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_real_friendships(index, data_folder):
    e = edges(data_folder / "graphs" / "facebook_combined.txt.gz")
    n = int(e.max()) + 1
    a = sp.csr_array((np.ones(len(e)), (e[:, 0], e[:, 1])), shape=(n, n))
    a = sp.csr_array(a + a.T)
    a.indices, a.indptr = a.indices.astype(index), a.indptr.astype(index)
    pair = power_iteration(a)
    assert pair.converged
    assert (pair.vector >= -1e-9).all()
    value, vector = sp.linalg.eigsh(a, k=1, which="LA", tol=1e-13)
    np.testing.assert_allclose(pair.value, value[0], rtol=1e-13)
    np.testing.assert_allclose(pair.vector, np.abs(vector[:, 0]), atol=1e-9)
    assert np.linalg.norm(a @ pair.vector - pair.value * pair.vector) <= 1.1e-12 * pair.value


def test_real_web(data_folder):
    z = np.load(data_folder / "graphs" / "cnr-2000.npz")
    n = len(z["indptr"]) - 1
    a = sp.csr_array((np.ones(len(z["indices"]), np.float32), z["indices"], z["indptr"]), shape=(n, n))
    pair = power_iteration(a, np.ones(n), tol=1e-4)
    assert pair.converged
    x = pair.vector.astype(np.float64)
    assert np.linalg.norm(a.astype(np.float64) @ x - float(pair.value) * x) <= 1.01e-4 * pair.value


# ---- functions ----


def test_linear_operators_and_callables(rng):
    a = gapped(rng, 30)
    x0 = rng.standard_normal(30)
    dense = power_iteration(a, x0)
    column = sp.linalg.LinearOperator((30, 30), matvec=lambda x: (a @ x).reshape(-1, 1), dtype=np.float64)
    for f in (lambda x: a @ x, sp.linalg.aslinearoperator(a), column):
        pair = power_iteration(f, x0)
        check(a, pair)
        assert pair.converged
        np.testing.assert_allclose(pair.value, dense.value, rtol=1e-14)
        np.testing.assert_allclose(pair.vector, dense.vector, atol=1e-12)
    assert power_iteration(sp.linalg.aslinearoperator(a)).converged
    assert power_iteration(lambda x: x, np.ones(3, np.float32)).vector.dtype == np.float32


def test_a_callable_may_change_its_argument(rng):
    a = gapped(rng, 5)

    def f(x):
        y = a @ x
        x[:] = np.nan
        return y

    assert power_iteration(f, np.ones(5)).converged


# ---- errors ----


def test_wrong_arguments():
    a = np.eye(3)
    with pytest.raises(np.linalg.LinAlgError, match=r"power_iteration: .* a must be equal, got shape \(2, 3\)"):
        power_iteration(np.ones((2, 3)))
    with pytest.raises(np.linalg.LinAlgError, match=r"equal, got shape \(2, 3\)"):
        power_iteration(sp.csr_array((2, 3)))
    with pytest.raises(np.linalg.LinAlgError, match=r"equal, got shape \(2, 3\)"):
        power_iteration(sp.linalg.aslinearoperator(np.ones((2, 3))))
    with pytest.raises(np.linalg.LinAlgError, match="must be a matrix"):
        power_iteration(np.ones(3))
    for empty in (np.zeros((0, 0)), np.zeros((4, 0, 0)), sp.csr_array((0, 0))):
        with pytest.raises(ValueError, match="a has no rows"):
            power_iteration(empty)
    for complex_a in (1j * a, sp.csr_array(1j * a), sp.linalg.aslinearoperator(1j * a)):
        with pytest.raises(TypeError, match="a must hold real numbers"):
            power_iteration(complex_a)
    with pytest.raises(TypeError, match="x0 must hold real numbers"):
        power_iteration(a, np.ones(3) * 1j)
    with pytest.raises(TypeError, match=r"a\(x\) must hold real numbers"):
        power_iteration(lambda x: 1j * x, np.ones(3))
    with pytest.raises(TypeError, match="x0 is required"):
        power_iteration(lambda x: x)
    with pytest.raises(ValueError, match=r"must return a vector of shape \(3,\), got shape \(2,\)"):
        power_iteration(lambda x: x[:2], np.ones(3))
    for x0 in (np.ones(2), 1.0, np.ones((3, 1))):
        with pytest.raises(ValueError, match="x0 must hold vectors of 3 numbers"):
            power_iteration(a, x0)
    with pytest.raises(ValueError, match="x0 must hold vectors of 3 numbers"):
        power_iteration(sp.csr_array(a), np.ones((1, 3)))
    with pytest.raises(ValueError, match="batch axes differ"):
        power_iteration(np.stack([a, a]), np.ones((3, 3)))
    with pytest.raises(ValueError, match="x0 must not be zero"):
        power_iteration(a, np.zeros(3))
    with pytest.raises(ValueError, match="x0 must not be zero at batch index"):
        power_iteration(a, [[1, 0, 0], [0, 0, 0]])
    for tol in (-1e-9, np.nan):
        with pytest.raises(ValueError, match="tol must not be negative"):
            power_iteration(a, tol=tol)
    for max_iter in (0, -1):
        with pytest.raises(ValueError, match="max_iter must be at least 1"):
            power_iteration(a, max_iter=max_iter)
    with pytest.raises(TypeError):
        power_iteration(a, max_iter=1.5)


def test_tolerance(rng):
    a = gapped(rng, 6)
    loose, tight = power_iteration(a, tol=1e-3), power_iteration(a, tol=0)
    assert loose.n_iter < tight.n_iter
    assert loose.residual <= 1e-3 * loose.value
    assert tight.converged
    assert tight.residual <= 8 * np.finfo(float).eps * tight.value
    assert power_iteration(a, tol=np.inf).n_iter == 1
    huge = power_iteration(gapped(rng, 600), tol=1e300)
    assert huge.converged
    assert huge.n_iter == 1


# ---- the machine ----


def test_same_bits_for_threads_and_levels(same_at_every_level):
    same_at_every_level("""
        import warnings
        import scipy.sparse as sp
        warnings.simplefilter("ignore", mf.ConvergenceWarning)
        rng = np.random.default_rng(5)
        for dtype in (np.float64, np.float32):
            for batch, n in ((300, 3), (100, 4), (100, 11), (33, 16), (21, 17), (9, 100), (1, 1030)):
                a = rng.standard_normal((batch, n, n))
                a = (a + a.swapaxes(-1, -2)).astype(dtype)
                digest(*mf.linalg.power_iteration(a, max_iter=500))
                digest(*mf.linalg.power_iteration(np.moveaxis(a + a**2, -1, -2), max_iter=100))
            s = sp.random(40_000, 40_000, 2e-4, format="csr", rng=rng).astype(dtype)
            digest(*mf.linalg.power_iteration(s + s.T, max_iter=50))
        """)


def large_jobs():
    rng = np.random.default_rng(3)
    hopeless = HOPELESS["rotation"]
    big = np.zeros((700, 700))
    big[:2, :2] = 2 * hopeless
    sparse = sp.csr_array(sp.block_diag([hopeless, sp.random(30_000, 30_000, 1e-4, rng=rng) * 1e-3]))
    return {
        "lanes": np.broadcast_to(hopeless, (1000, 2, 2)),
        "one in lanes": np.pad(hopeless, (0, 10)),
        "medium": np.stack([big[:100, :100]] * 20),
        "large": big,
        "sparse": sparse,
    }


@pytest.mark.parametrize("name", ["lanes", "one in lanes", "medium", "large", "sparse"])
def test_interrupt(name):
    a = large_jobs()[name]
    interrupt(lambda: power_iteration(a, max_iter=10**12))
    assert power_iteration(np.eye(3)).converged


def test_other_threads_run_meanwhile():
    """Calls with more and more to do, until Python runs three times during one."""
    for count in (4000, 20_000, 100_000, 500_000):
        ticks, done, matrices = 0, threading.Event(), np.stack([HOPELESS["rotation"]] * count)

        def work(matrices=matrices, done=done):
            quiet(matrices, max_iter=100_000)
            done.set()

        thread = threading.Thread(target=work)
        thread.start()
        while not done.wait(0.001):
            ticks += 1
        thread.join()
        if ticks > 2:
            return
    raise AssertionError(ticks)


def test_many_python_threads_get_the_same_answer(rng):
    a, s = gapped(rng, 500, 7), sp.csr_array(gapped(rng, 300))
    expected = power_iteration(a), power_iteration(s)
    for result in in_threads(lambda _: (power_iteration(a), power_iteration(s)), range(8)):
        same_pair(result[0], expected[0])
        same_pair(result[1], expected[1])


def test_labels_of_matrix_and_start_agree():
    pandas = pytest.importorskip("pandas")
    a = pandas.DataFrame([[2.0, 1.0], [1.0, 3.0]], index=["u", "v"], columns=["u", "v"])
    start = pandas.Series([1.0, 0.5], index=["u", "v"])
    same_pair(power_iteration(a, start), power_iteration(a.to_numpy(), start.to_numpy()))
    with pytest.raises(ValueError, match="labels of x0"):
        power_iteration(a, start[::-1])


def test_counts_that_are_no_integers_are_named():
    for name in ("k", "max_iter"):
        with pytest.raises(TypeError, match=f"{name} must be a whole number"):
            power_iteration(np.eye(3), **{name: 2.0})
    with pytest.raises(TypeError, match="tol must be a number, got 'small'"):
        power_iteration(np.eye(3), tol="small")


def test_digits_of_sparse_integers_are_not_dropped():
    a = sp.csr_array(np.array([[2**53 + 1, 0], [0, 1]]))
    for k in (1, 2):
        with pytest.raises(TypeError, match="a holds the integer 9007199254740993, which float64 would round"):
            power_iteration(a, k=k)
