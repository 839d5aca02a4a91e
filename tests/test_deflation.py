"""Power iteration for several pairs: against numpy.linalg.eig, on matrices whose eigenvalues come more than once."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from cases import every_dtype, same_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import block_diag

import mmlfast as mf
from mmlfast.decomposition._krylov import dominant_eigenpairs
from mmlfast.linalg import power_iteration
from mmlfast.linalg._power_iteration import start_vector


def same_pair(actual, expected):
    for a, b in zip(actual, expected, strict=True):
        same_bits(a, b)


def with_spectrum(rng, values, symmetric=True, dtype=np.float64, batch=()):
    n = len(values)
    s = rng.standard_normal((*batch, n, n))
    if symmetric:
        q = np.linalg.qr(s)[0]
        a = (q * values) @ np.swapaxes(q, -1, -2)
        return ((a + np.swapaxes(a, -1, -2)) / 2).astype(dtype)
    s = s / 4 + np.eye(n)
    return ((s * values) @ np.linalg.inv(s)).astype(dtype)


@every_dtype
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("n", [2, 3, 5, 9, 33, 130])
def test_several_pairs(n, symmetric, dtype, rng):
    values = np.array([(-1) ** i * 0.6**i for i in range(min(n, 6))] + [0.01] * (n - 6))
    a = with_spectrum(rng, values, symmetric, dtype, (4,))
    k = min(n, 5)
    pairs = mf.linalg.power_iteration(a, k=k)
    assert pairs.value.shape == pairs.residual.shape == pairs.n_iter.shape == pairs.converged.shape == (4, k)
    assert pairs.vector.shape == (4, n, k)
    assert pairs.value.dtype == pairs.vector.dtype == pairs.residual.dtype == dtype
    assert pairs.converged.all()
    eps = np.finfo(dtype).eps
    condition = 1 if symmetric else 50 * n
    np.testing.assert_allclose(pairs.value, np.broadcast_to(values[:k], (4, k)), atol=100 * n * condition * eps + 1e-11)
    wide, x = a.astype(float), pairs.vector.astype(float)
    residual = np.linalg.norm(wide @ x - x * pairs.value[..., None, :].astype(float), axis=-2)
    np.testing.assert_allclose(pairs.residual, residual, atol=20 * n * eps)
    np.testing.assert_allclose(np.linalg.norm(x, axis=-2), 1, atol=10 * eps)
    if symmetric:
        gram = np.swapaxes(x, -1, -2) @ x
        assert np.abs(gram - np.eye(k)).max() <= 100 * n * eps
    leader = np.take_along_axis(x, np.abs(x).argmax(axis=-2)[..., None, :], axis=-2)
    assert np.all(leader > 0)


def test_the_first_of_several_pairs_is_that_of_one(rng):
    a = with_spectrum(rng, np.array([3.0, 2, 1, 0.5]), False, batch=(3,))
    several, one = mf.linalg.power_iteration(a, k=3), mf.linalg.power_iteration(a)
    same_bits(several.value[:, 0], one.value)
    same_bits(several.vector[..., 0], one.vector)
    same_bits(several.residual[:, 0], one.residual)
    np.testing.assert_array_equal(several.n_iter[:, 0], one.n_iter)


def test_several_pairs_do_not_depend_on_the_batch(rng):
    """A symmetric matrix beside others, alone, and beside a poisoned one."""
    a = with_spectrum(rng, np.array([3.0, -2, 1, 0.5, 0.1]), batch=(10,))
    a[3] = with_spectrum(rng, np.array([3.0, -2, 1, 0.5, 0.1]), False)
    pairs = mf.linalg.power_iteration(a, k=4)
    for item in range(10):
        for alone, stacked in zip(mf.linalg.power_iteration(a[item], k=4), pairs, strict=True):
            np.testing.assert_array_equal(alone, stacked[item])
    bad = a.copy()
    bad[5, 2, 1] = np.nan
    with pytest.warns(mf.ConvergenceWarning):
        poisoned = mf.linalg.power_iteration(bad, k=4)
    others = np.arange(10) != 5
    same_bits(poisoned.value[others], pairs.value[others])
    same_bits(poisoned.vector[others], pairs.vector[others])
    assert np.isnan(poisoned.value[5]).all()
    assert not poisoned.converged[5].any()


def test_several_pairs_of_low_rank_and_of_special_matrices(rng):
    u = rng.standard_normal((9, 2))
    pairs = mf.linalg.power_iteration(u @ u.T, k=4)
    assert pairs.converged.all()
    np.testing.assert_allclose(pairs.value[:2], np.linalg.eigvalsh(u @ u.T)[::-1][:2], rtol=1e-12)
    np.testing.assert_allclose(pairs.value[2:], 0, atol=1e-13)
    for a in (np.zeros((3, 3)), np.eye(3), np.diag([3.0, 2.0, 1.0]), np.diag([5.0, 5.0, 1.0])):
        pairs = mf.linalg.power_iteration(a, k=3)
        assert pairs.converged.all()
        np.testing.assert_allclose(np.sort(pairs.value), np.sort(np.diag(a)), atol=1e-11)
        np.testing.assert_allclose(pairs.vector.T @ pairs.vector, np.eye(3), atol=1e-12)
    for scale in (1e300, 1e-300):
        pairs = mf.linalg.power_iteration(scale * np.diag([3.0, 2.0, 1.0]), k=3)
        np.testing.assert_allclose(pairs.value / scale, [3, 2, 1], rtol=1e-11)
    with pytest.warns(mf.ConvergenceWarning):
        pairs = mf.linalg.power_iteration([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 3.0]], k=3, max_iter=200)
    assert pairs.converged.tolist() == [True, False, pairs.converged[2]]
    np.testing.assert_allclose(pairs.value[0], 3)


def test_several_pairs_of_operators(rng):
    sparse = pytest.importorskip("scipy.sparse")
    a = with_spectrum(rng, 0.7 ** np.arange(40.0))
    expected = 0.7 ** np.arange(4.0)
    matrix = sparse.csr_array(a)
    operator = pytest.importorskip("scipy.sparse.linalg").aslinearoperator(matrix)
    for pairs in (
        mf.linalg.power_iteration(matrix, k=4),
        mf.linalg.power_iteration(operator, k=4),
        mf.linalg.power_iteration(lambda x: a @ x, x0=np.ones(40), k=4),
        mf.linalg.power_iteration(a, x0=np.ones(40), k=4),
    ):
        assert pairs.converged.all()
        np.testing.assert_allclose(pairs.value, expected, atol=1e-11)
        np.testing.assert_allclose(np.linalg.norm(a @ pairs.vector - pairs.vector * pairs.value, axis=0), 0, atol=1e-11)
    assert mf.linalg.power_iteration(matrix.astype(np.float32), k=2).vector.dtype == np.float32


def test_bad_numbers_of_pairs():
    for k in (0, -1, 4):
        with pytest.raises(ValueError, match="k must be at"):
            mf.linalg.power_iteration(np.eye(3), k=k)
    with pytest.raises(ValueError, match="k must be at most 3"):
        mf.linalg.power_iteration(lambda x: x, x0=np.ones(3), k=4)
    with pytest.raises(TypeError):
        mf.linalg.power_iteration(np.eye(3), k=1.5)


# ---- several pairs: eigenvalues that come more than once ----

WAYS = {
    "array": lambda a: a,
    "sparse": sp.csr_array,
    "operator": sp.linalg.aslinearoperator,
    "function": lambda a: lambda x: a @ x,
}
TWO_CLASSES = block_diag(np.full((2, 2), 0.5), [[0.8, 0.4], [0.2, 0.6]])
REPEATED = {
    "diagonal": (np.diag([8.0, 8, 4]), [8, 8]),
    "components": (np.kron(np.eye(2), np.ones((5, 5)) - np.eye(5)), [4, 4]),
    "closed classes": (TWO_CLASSES, [1, 1]),
    "three and two": (np.diag([4.0, 8, 4, 8, 8]), [8, 8, 8, 4, 4]),
    "identity": (np.eye(4), [1, 1, 1, 1]),
    "zero": (np.zeros((3, 3)), [0, 0, 0]),
    "negative": (-np.kron(np.eye(3), [[2.0, 1.0], [1.0, 2.0]]), [-3, -3, -3, -1]),
    "skewed": (np.array([[8.0, 0, 1], [0, 8, -2], [0, 0, 4]]), [8, 8, 4]),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", REPEATED)
@every_dtype
def test_equal_eigenvalues_come_as_often_as_they_are_there(name, way, dtype):
    """The start of the first pair, taken again, has nothing left of the eigenspace just found."""
    a, expected = REPEATED[name]
    a = a.astype(dtype)
    n, k = len(a), len(expected)
    for start in (np.ones(n), np.eye(n)[0], np.eye(n)[-1], np.linspace(0.3, 1, n)):  # some are eigenvectors
        pairs = power_iteration(WAYS[way](a), start.astype(dtype), k=k)
        assert pairs.converged.all()
        tol = 1e-10 if dtype == np.float64 else 1e-4
        np.testing.assert_allclose(pairs.value, expected, atol=8 * tol)
        x = pairs.vector.astype(float)
        assert np.linalg.norm(a @ x - x * pairs.value, axis=0).max() <= 8 * tol
        assert np.linalg.svd(x, compute_uv=False)[-1] > 0.1  # equal values, but not the same vector twice


def test_a_start_without_the_dominant_component_does_not_mislead_several_pairs():
    start = start_vector(5, np.dtype(np.float64))
    other = np.linalg.qr(np.column_stack([start, np.eye(5)[:, :4]]))[0]
    a = (other * [3.0, 7, 7, 1, 0.5]) @ other.T  # the default start is an eigenvector of 3
    pairs = power_iteration((a + a.T) / 2, k=3)
    np.testing.assert_allclose(pairs.value, [7, 7, 3], atol=1e-10)
    assert pairs.converged.all()
    stack = np.stack([np.diag([8.0, 8, 4]), np.diag([4.0, 2, 1]), np.diag([4.0, 8, 4])])
    pairs = power_iteration(stack, [0.0, 0, 1], k=2)
    np.testing.assert_allclose(pairs.value, [[8, 8], [4, 2], [8, 4]], atol=1e-10)
    for i in range(3):
        same_pair([part[i] for part in pairs], power_iteration(stack[i], [0.0, 0, 1], k=2))


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_converged_after_a_pair_that_is_not(way):
    """diag(5, -5, 1): the first pair mixes 5 and -5, and 1 is an eigenvalue, but not the second one."""
    for values in ([5.0, -5, 1], [5.0, 5, -5, 1], [1.0, 5, -5]):
        a = np.diag(values)
        for start in (np.ones(len(a)), np.linspace(0.2, 1, len(a)), np.eye(len(a))[-1] + 1e-3):
            with pytest.warns(mf.ConvergenceWarning, match=r"pair 0: residual .*opposite|pair 0: .*different signs"):
                pairs = power_iteration(WAYS[way](a), start, k=2, max_iter=200)
            assert not pairs.converged.any()


def test_a_defective_matrix_is_not_converged():
    for a in ([[8.0, 1, 0], [0, 8, 0], [0, 0, 1]], [[0.0, -2, -4], [0, 0, 0], [0, 2, -2]], np.diag([4.0, 4], 1)):
        with pytest.warns(mf.ConvergenceWarning):
            pairs = power_iteration(a, k=2, max_iter=500)
        assert not pairs.converged[1]


@st.composite
def structured(draw):
    """Matrices with eigenvalues that come more than once: of blocks, Kronecker products, similar to diagonal ones."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(2, 6))
    values = rng.integers(-3, 4, n).astype(float)
    kind = draw(st.sampled_from(["diagonal", "symmetric", "similar", "kron", "blocks", "triangular", "integers"]))
    if kind == "diagonal":
        a = np.diag(values)
    elif kind == "symmetric":
        q = np.linalg.qr(rng.standard_normal((n, n)))[0]
        a = (q * values) @ q.T
        a = (a + a.T) / 2
    elif kind == "similar":
        s = np.eye(n) + rng.standard_normal((n, n)) / (2 * n)
        a = (s * values) @ np.linalg.inv(s)
    elif kind == "kron":
        b = rng.integers(-2, 3, (2, 2)).astype(float)
        a = np.kron(np.eye(3), b + b.T)
    elif kind == "blocks":
        p = rng.random((3, 3))
        a = block_diag(*[p / p.sum(axis=0)] * 2, np.full((2, 2), 0.5))
    elif kind == "triangular":
        a = np.triu(rng.integers(-3, 4, (n, n))).astype(float)
    else:
        a = rng.integers(-2, 3, (n, n)).astype(float)
    p = rng.permutation(len(a))
    x0 = [np.ones(len(a)), np.eye(len(a))[0], rng.standard_normal(len(a))][draw(st.integers(0, 2))]
    k = draw(st.integers(2, len(a)))
    return a[np.ix_(p, p)] * 2.0 ** draw(st.integers(-30, 30)), x0, k, draw(st.sampled_from(sorted(WAYS)))


@given(structured())
@settings(max_examples=150, deadline=None)
def test_law_right_or_not_converged_and_warned(problem):
    a, x0, k, way = problem
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pairs = power_iteration(WAYS[way](a), x0, k=k, max_iter=300)
    assert {w.category for w in caught} <= {mf.ConvergenceWarning}
    assert bool(caught) == (not pairs.converged.all())
    good = int(np.cumprod(pairs.converged).sum())
    assert not pairs.converged[good:].any()
    largest = np.sort(np.abs(np.linalg.eigvals(a)))[::-1][:good]
    size = np.linalg.norm(a)
    # A matrix of rounding at a defective zero has eigenvalues of its root: NumPy's are no better than that.
    np.testing.assert_allclose(np.abs(pairs.value[:good]), largest, atol=1e-6 * size, rtol=0)


@given(
    st.lists(st.sampled_from([8.0, 8, 5, -3, 1, 0.25, 0]), min_size=2, max_size=9), st.integers(0, 2**32), st.booleans()
)
@settings(max_examples=80, deadline=None)
def test_law_symmetric_matrices_without_opposite_values_always_converge(values, seed, dense):
    rng = np.random.default_rng(seed)
    k = int(rng.integers(2, len(values) + 1))
    a = with_spectrum(rng, np.array(values))
    start = rng.standard_normal(len(a)) if seed % 2 else a[0] + 1e-3
    pairs = power_iteration(a if dense else sp.csr_array(a), start, k=k)
    assert pairs.converged.all()
    np.testing.assert_allclose(pairs.value, sorted(values, key=abs)[::-1][:k], atol=1e-10)
    np.testing.assert_allclose(pairs.vector.T @ pairs.vector, np.eye(k), atol=1e-9)


# ---- the block Krylov method of PCA: more equal eigenvalues than a block has columns ----


@pytest.mark.parametrize(
    ("times", "k", "block"), [(1, 5, 2), (3, 5, 2), (20, 10, 4), (20, 30, 4), (50, 40, 8), (60, 40, 16), (150, 10, 4)]
)
def test_a_block_does_not_limit_how_often_an_eigenvalue_comes(times, k, block, rng):
    """Converged, with 4 where 8 is right: a block finds as many eigenvectors of one eigenvalue as it has columns."""
    n = 150
    values = np.r_[np.full(times, 8.0), np.linspace(4, 1, n - times)]
    q = np.linalg.qr(rng.standard_normal((n, n)))[0]
    a = (q * values) @ q.T
    pairs = dominant_eigenpairs(lambda x: a @ x, n, k, tol=1e-13, block=block, seed=1, max_products=1000)
    assert pairs.converged
    np.testing.assert_allclose(pairs.values, values[:k], atol=1e-11)
    np.testing.assert_allclose(a @ pairs.vectors, pairs.vectors * pairs.values, atol=1e-10)
    np.testing.assert_allclose(pairs.vectors.T @ pairs.vectors, np.eye(k), atol=1e-12)


def test_components_of_equal_variance_are_all_found(rng):
    """PCA of 40 components, 100 of which have the same variance."""
    q = np.linalg.qr(rng.standard_normal((500, 500)))[0][:, :260]
    q = np.linalg.qr(q - q.mean(axis=0))[0]
    scale = np.r_[np.full(100, 8.0), np.linspace(4, 1, 160)]
    pca = mf.decomposition.PCA(60, svd_solver="arpack", tol=1e-13).fit(q * scale)
    np.testing.assert_allclose(pca.explained_variance_ * 499, 64, rtol=1e-9)
