"""Tables and matrices without rows, without columns, and stacks without items: the right shape or a clear error.

A crash must be a failure of one test and not of the run: each group of functions is tried in an interpreter of its own.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable

import pytest

SIZES = [1, 2, 5, 8, 17, 65, 300]
LONG = [1025, 70_000]

PRELUDE = f"""
import itertools, sys, warnings
import numpy as np
import scipy.linalg
from numpy.linalg import LinAlgError
import mmlfast as mf

warnings.simplefilter("ignore")
SIZES, LONG = {SIZES}, {LONG}
SHAPES = [(0, 0), *((0, k) for k in SIZES + LONG[:1]), *((k, 0) for k in SIZES + LONG)]
SQUARE = [(0, 0), *((0, k, k) for k in SIZES), (3, 0, 0), (0, 0, 0)]
STACKS = [*SHAPES, *((0, *s) for s in SHAPES), *((3, *s) for s in SHAPES), *((0, k, 3) for k in SIZES)]


def parts(result):
    if isinstance(result, (tuple, list)):
        return [p for item in result for p in parts(item)]
    return [np.asarray(result)]


def attempt(name, function, *arguments, like=None):
    "The result; if there is none, a ValueError that says something."
    print(name, *(getattr(a, "shape", a) for a in arguments), flush=True)
    try:
        result = function(*arguments)
    except (ValueError, LinAlgError) as error:  # the second is one of the first
        assert len(str(error)) > 10, error
        result = None
    if like is None:
        return result
    try:
        with np.errstate(all="ignore"):
            right = like(*arguments)
    except (ValueError, LinAlgError, ZeroDivisionError):
        return result
    assert result is not None, f"NumPy has an answer: {{right}}"
    for ours, theirs in zip(parts(result), parts(right), strict=True):
        assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
        np.testing.assert_allclose(ours, theirs)
    return result


def over(functions, shapes, dtypes=(np.float64, np.float32, np.int64)):
    "Each function with each shape; the dtypes take turns."
    for k, ((name, (function, like)), shape) in enumerate(itertools.product(functions.items(), shapes)):
        attempt(name, function, np.zeros(shape, dtypes[(k + k // len(shapes)) % len(dtypes)]), like=like)
"""

GROUPS = {
    "statistics": """
    def cov(x, **options):
        if x.ndim == 3:
            found = [cov(item, **options) for item in x]
            return np.stack(found) if found else np.zeros((0, x.shape[2], x.shape[2]))
        if len(x) == 0:
            raise ValueError
        return np.atleast_2d(np.cov(x, rowvar=False, **options)) if x.shape[1] else np.zeros((0, 0))

    s = mf.stats
    over({
        "covariance": (s.covariance, cov),
        "covariance of all": (lambda x: s.covariance(x, ddof=0), lambda x: cov(x, ddof=0)),
        "correlation": (s.correlation, None),
        "variance": (s.variance, lambda x: np.var(x, axis=-2, ddof=1)),
        "mean": (s.mean, lambda x: np.mean(x, axis=-2)),
    }, STACKS)
    for shape, policy in itertools.product(STACKS[::2], ["omit", "raise"]):
        for name in ("covariance", "correlation", "variance", "mean"):
            x = np.zeros(shape)
            attempt(name + " " + policy, lambda x: getattr(s, name)(x, nan_policy=policy), x)
            attempt(name + " weighted", lambda x: getattr(s, name)(x, weights=np.ones(x.shape[:-1])), x)
    for shape, dtype in itertools.product(SHAPES, (np.float64, np.float32)):
        x, d = np.zeros(shape, dtype), shape[1]

        def moments(x):
            m = s.Moments(dtype=dtype).update(x).update(x).merge(s.Moments().update(x))
            assert m.count == 3 * len(x) and m.n_features == d
            assert m.mean.shape == (d,) and m.covariance().shape == (d, d)
            m.downdate(x)
            other = s.Moments()
            other.__setstate__(m.__getstate__())
            assert other == m
            return True

        assert attempt("Moments", moments, x)
        if len(x) < 2000:  # the answer has a row and a column for each row
            attempt("affine_moments", s.affine_moments, np.zeros(d), np.zeros((d, d)), np.zeros(shape))
    """,
    "decomposition": """
    d = mf.decomposition
    solvers = ["auto", "full", "covariance_eigh", "arpack", "randomized"]
    for shape, k in itertools.product(SHAPES, [None, 0, 1]):
        x = np.zeros(shape)
        attempt("pca", d.pca, x, k)
        for solver in solvers:
            attempt("PCA " + solver, lambda x, k: d.PCA(k, svd_solver=solver).fit(x), x, k)
        attempt("PCA fit_transform", lambda x, k: d.PCA(k).fit_transform(x), x, k)
        attempt("IncrementalPCA", lambda x, k: d.IncrementalPCA(k).fit(x), x, k)
        attempt("IncrementalPCA", lambda x, k: d.IncrementalPCA(k).partial_fit(x), x, k)
        attempt("PCA of chunks", lambda x, k: d.PCA(k).fit(iter([x, x])), x, k)
    for shape in STACKS:
        attempt("pca", d.pca, np.zeros(shape))
    fitted = d.PCA(2).fit(np.random.default_rng(1).standard_normal((20, 5)))
    attempt("transform", fitted.transform, np.zeros((0, 5)))  # refused, as scikit-learn does
    assert fitted.inverse_transform(np.zeros((0, 2))).shape == (0, 5)
    for shape in SHAPES:
        attempt("transform", fitted.transform, np.zeros(shape))
        attempt("score_samples", fitted.score_samples, np.zeros(shape))
    """,
    "square matrices": """
    a, n = mf.linalg, np.linalg
    over({
        "inv": (a.inv, n.inv),
        "det": (a.det, n.det),
        "slogdet": (a.slogdet, n.slogdet),
        "cholesky": (a.cholesky, n.cholesky),
        "eigh": (a.eigh, n.eigh),
        "eigvalsh": (a.eigvalsh, n.eigvalsh),
        "eig": (a.eig, n.eig),
        "is_singular": (a.is_singular, None),
        "diagonalize": (a.diagonalize, None),
        "characteristic_polynomial": (a.characteristic_polynomial, None),
        "power_iteration": (a.power_iteration, None),
        "power_iteration of two": (lambda x: a.power_iteration(x, k=2), None),
        "matrix_power": (lambda x: a.matrix_power(x, 3), lambda x: n.matrix_power(x, 3)),
        "matrix_power 0": (lambda x: a.matrix_power(x, 0), lambda x: n.matrix_power(x, 0)),
        "cond": (a.cond, n.cond),
        "cond fro": (lambda x: a.cond(x, "fro"), lambda x: n.cond(x, "fro")),
        "cond 1": (lambda x: a.cond(x, 1), lambda x: n.cond(x, 1)),
        "is_inner_product": (mf.geometry.is_inner_product, None),
    }, SQUARE + SHAPES + [(3, *s) for s in SHAPES])
    """,
    "rectangular matrices": """
    a, n = mf.linalg, np.linalg
    over({
        "svd": (a.svd, n.svd),
        "svd thin": (lambda x: a.svd(x, False), lambda x: n.svd(x, False)),
        "svdvals": (a.svdvals, lambda x: n.svd(x, compute_uv=False)),
        "qr": (a.qr, n.qr),
        "qr complete": (lambda x: a.qr(x, "complete"), lambda x: n.qr(x, "complete")),
        "qr r": (lambda x: a.qr(x, "r"), lambda x: n.qr(x, "r")),
        "pinv": (a.pinv, n.pinv),
        "lu": (a.lu, None),  # of one row without columns SciPy gives a permutation of no rows
        "orth": (a.orth, None),
        "null_space": (a.null_space, None),
        "matrix_rank": (a.matrix_rank, None),
        "row_echelon": (a.row_echelon, None),
        "row_echelon not reduced": (lambda x: a.row_echelon(x, reduced=False), None),
        **{
            "gram_schmidt " + m: (lambda x, m=m: a.gram_schmidt(x, method=m), None)
            for m in ("cgs", "mgs", "cgs2", "householder")
        },
        "projection_matrix": (mf.geometry.projection_matrix, None),
    }, [s for s in STACKS if max(s) <= 1025 and s[-2] <= 300] + [(1025, 0), (0, 1025)])
    # and long ones, without the functions whose answer has a row and a column for each row
    for name in ("svdvals", "qr", "orth", "matrix_rank", "gram_schmidt"):
        attempt(name, getattr(a, name), np.zeros((70_000, 0)))
    for shape in SHAPES:

        def r_factor(x):
            r = a.RFactor().update(x).update(x).merge(a.RFactor().update(x))
            assert r.count == 3 * len(x) and r.r.shape == (shape[1], shape[1])
            other = a.RFactor()
            other.__setstate__(r.__getstate__())
            assert other == r
            assert r.singular_values().shape == (min(3 * len(x), shape[1]),)
            assert r.rank() == 0
            return True

        assert attempt("RFactor", r_factor, np.zeros(shape))
    """,
    "two operands": """
    a, n = mf.linalg, np.linalg
    sizes = [0, 1, 3, 8, 17, 33, 65, 129]
    for m, k, p in itertools.product(sizes, repeat=3):
        if m * k * p:
            continue
        x, y = np.zeros((m, k)), np.zeros((k, p))
        attempt("matmul", a.matmul, x, y, like=np.matmul)
        attempt("matmul", a.matmul, x.astype("f4"), y.astype("f4"), like=np.matmul)
        attempt("matmul", a.matmul, np.zeros((2, m, k)), y, like=np.matmul)
        attempt("einsum", lambda x, y: a.einsum("ij,jk->ik", x, y), x, y, like=np.matmul)
        attempt("lstsq", a.lstsq, x, np.zeros((m, p)))
        attempt("lstsq", a.lstsq, x, np.zeros(m))
        attempt("solve", a.solve, np.eye(m), np.zeros((m, p)), like=n.solve)
        attempt("solve", a.solve, np.zeros((0, m, m)), np.zeros((m, p)), like=n.solve)
        attempt("change_of_basis", a.change_of_basis, x, np.eye(k))
        attempt("transform", a.transform, x, np.eye(k))
    for k in [0, *SIZES]:
        for shape in ((k,), (0, k), (3, k)):
            x = np.zeros(shape)
            attempt("vecdot", a.vecdot, x, x, like=np.vecdot)
            attempt("matvec", a.matvec, np.zeros((2, k)) if len(shape) == 1 else np.zeros((*shape, k)), x)
            for normal in (x, x[..., None]):
                attempt("reflection_matrix", a.reflection_matrix, normal)
            attempt("reflection_matrix", lambda x: a.reflection_matrix(basis=x), x[..., None])
            attempt("rotation_matrix", lambda x: a.rotation_matrix(np.zeros(shape[:-1]), x), x)
    """,
    "geometry": """
    g = mf.geometry
    sizes = [0, 1, 8, 65, 300]
    for m, k, d in itertools.product(sizes, repeat=3):
        if m * k * d:
            continue
        for dtype in (np.float64, np.float32):
            x, y = np.zeros((m, d), dtype), np.zeros((k, d), dtype)
            found = attempt("cdist", g.cdist, x, y)
            assert found.shape == (m, k) and not found.any(), found
            for neighbours in (0, 1, k):
                attempt("knn", g.knn, x, y, neighbours)
            attempt("knn", lambda x, y: g.knn(x, y, 1, metric=np.eye(d)), x, y)
            attempt("cdist", lambda x, y: g.cdist(x, y, np.eye(d)), x, y)
            attempt("NearestNeighbors", lambda x, y: g.NearestNeighbors(n_neighbors=1).fit(y).kneighbors(x), x, y)
    for d in [0, *SIZES]:
        for shape in ((d,), (0, d), (3, d)):
            x = np.zeros(shape)
            attempt("norm", g.norm, x, like=lambda x: np.linalg.norm(x, axis=-1))
            attempt("inner", g.inner, x, x, like=np.vecdot)
            attempt("distance", g.distance, x, x, like=lambda x, y: np.linalg.norm(x - y, axis=-1))
            attempt("angle", g.angle, x, x)
            attempt("scalar_projection", g.scalar_projection, x, x)
            for m in (0, 1, 3):
                basis = np.zeros((d, m))
                attempt("project", g.project, x, basis)
                attempt("project", lambda x, b: g.project(x, b, coordinates=True), x, basis)
                attempt("reconstruction_error", g.reconstruction_error, x, basis)
            attempt("norm", lambda x: g.norm(x, np.eye(d)), x)
            attempt("inner", lambda x: g.inner(x, x, np.eye(d)), x)
    """,
    "graphs and networks": """
    import scipy.sparse
    for n in [0, *SIZES]:
        empty = scipy.sparse.csr_array((n, n))
        attempt("pagerank", mf.graph.pagerank, empty)
        attempt("pagerank", mf.graph.pagerank, np.zeros((n, n)))
        attempt("pagerank_many", lambda x: mf.graph.pagerank_many(x, np.zeros((0, n))), empty)
        attempt("Links", lambda x: mf.graph.Links(x).n_links, empty)
        attempt("power_iteration", mf.linalg.power_iteration, empty)
        attempt("from_edges", lambda s: mf.graph.Links.from_edges(s, s, n_nodes=n).n_nodes, np.zeros(0, int))
        net = mf.neural_network.Network([max(n, 1), 3, 2])
        x = np.zeros((0, max(n, 1)))
        assert attempt("forward", net.forward, x).shape == (0, 2)
        attempt("loss", net.loss, x, np.zeros((0, 2)))
        attempt("gradients", net.gradients, x, np.zeros((0, 2)))
        attempt("fit", lambda x: net.fit(x, np.zeros((0, 2)), epochs=1, batch_size=1, learning_rate=0.1), x)
        attempt("forward", net.forward, np.zeros((3, 0)))
    """,
}


@pytest.mark.parametrize("group", GROUPS)
def test_no_function_dies_of_an_empty_array(run_python: Callable[..., str], group: str) -> None:
    run_python(PRELUDE + textwrap.dedent(GROUPS[group]), timeout=600)


def test_covariance_of_a_table_without_columns(run_python: Callable[..., str]) -> None:
    code = """
        import numpy as np
        import mmlfast as mf
        print(mf.stats.covariance(np.zeros((65, 0))).shape, mf.stats.correlation(np.zeros((65, 0))).shape)
    """
    assert run_python(code).strip() == "(0, 0) (0, 0)"
