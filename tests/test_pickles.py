"""Every object of the library pickles and deep-copies, so that joblib and multiprocessing can have it."""

from __future__ import annotations

import copy
import importlib
import inspect
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mmlfast as mf

MODULES = ("linalg", "geometry", "graph", "stats", "decomposition", "neural_network")
for _name in MODULES:
    importlib.import_module(f"mmlfast.{_name}")

X = np.random.default_rng(8).standard_normal((40, 4))
A = X[:4] + 4 * np.eye(4)


def updated(state: Any) -> Any:
    state.update(X)
    return state


# An object of each public class with state, and answers that it gives.
MAKERS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "linalg.RFactor": (lambda: updated(mf.linalg.RFactor(4)), lambda o: o.r),
    "stats.Moments": (lambda: updated(mf.stats.Moments(4)), lambda o: (o.mean, o.covariance())),
    "geometry.Mahalanobis": (lambda: mf.geometry.Mahalanobis(A @ A.T), lambda o: mf.geometry.norm(X, o)),
    "graph.Links": (lambda: mf.graph.Links.from_edges(["a", "b"], ["b", "c"]), mf.graph.pagerank),
    "neural_network.Network": (lambda: mf.neural_network.Network([4, 3, 1]), lambda o: o.forward(X)),
}
ESTIMATORS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "geometry.NearestNeighbors": (lambda: mf.geometry.NearestNeighbors().fit(X), lambda o: o.kneighbors(X)),
    "decomposition.PCA": (lambda: mf.decomposition.PCA(2).fit(X), lambda o: o.transform(X)),
    "decomposition.IncrementalPCA": (lambda: mf.decomposition.IncrementalPCA(2).fit(X), lambda o: o.transform(X)),
}
TUPLES: dict[str, Callable[[], Any]] = {
    "linalg.Diagonalization": lambda: mf.linalg.diagonalize(A + A.T),
    "linalg.EigResult": lambda: mf.linalg.eig(A),
    "linalg.EighResult": lambda: mf.linalg.eigh(A + A.T),
    "linalg.GramSchmidt": lambda: mf.linalg.gram_schmidt(A),
    "linalg.LUResult": lambda: mf.linalg.lu(A),
    "linalg.LstsqResult": lambda: mf.linalg.lstsq(X, X[:, 0]),
    "linalg.PermutedLUResult": lambda: mf.linalg.lu(A, permute_l=True),
    "linalg.PowerIteration": lambda: mf.linalg.power_iteration(A @ A.T),
    "linalg.QRResult": lambda: mf.linalg.qr(A),
    "linalg.RowEchelon": lambda: mf.linalg.row_echelon(A),
    "linalg.SVDResult": lambda: mf.linalg.svd(A),
    "linalg.SlogdetResult": lambda: mf.linalg.slogdet(A),
    "geometry.Neighbors": lambda: mf.geometry.knn(X, X, 2),
    "graph.PageRank": lambda: mf.graph.pagerank(np.abs(A), full_output=True),
    "stats.AffineMoments": lambda: mf.stats.affine_moments(X[0], A @ A.T, A, A[0]),
    "decomposition.PrincipalComponents": lambda: None,
}


def public_classes() -> dict[str, Any]:
    found = {}
    for name in MODULES:
        module = getattr(mf, name)
        for attribute in module.__all__:
            value = getattr(module, attribute)
            if inspect.isclass(value) and not issubclass(value, BaseException):
                found[f"{name}.{attribute}"] = value
    return found


def same(a: Any, b: Any) -> None:
    if isinstance(a, tuple):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            same(one, other)
    else:
        np.testing.assert_array_equal(a, b)


def test_every_public_class_is_here():
    missing = set(public_classes()) - {*MAKERS, *ESTIMATORS, *TUPLES}
    assert not missing, f"add a maker for {sorted(missing)}"


@pytest.mark.parametrize("name", [*MAKERS, *ESTIMATORS])
def test_objects_pickle_and_copy(name):
    """Links did not: "cannot pickle 'mmlfast._core.LinksObject' object"."""
    if name in ESTIMATORS:
        pytest.importorskip("sklearn")
    make, answers = {**MAKERS, **ESTIMATORS}[name]
    right = make()
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        same(answers(pickle.loads(pickle.dumps(right, protocol))), answers(right))
    same(answers(copy.deepcopy(right)), answers(right))
    same(answers(copy.copy(right)), answers(right))
    same(answers(pickle.loads(pickle.dumps(copy.deepcopy([right])))[0]), answers(right))


@pytest.mark.parametrize("name", TUPLES)
def test_results_pickle_and_copy(name):
    kind = public_classes().get(name)
    right = TUPLES[name]()
    if right is None:  # given by mmlfast.dask
        right = kind(*np.arange(2.0 * len(kind._fields)).reshape(-1, 2))
    assert type(right) is kind
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(right, protocol))
        assert type(again) is kind
        same(tuple(again), tuple(right))
    same(tuple(copy.deepcopy(right)), tuple(right))


def test_another_process_has_links():
    joblib = pytest.importorskip("joblib")
    links = mf.graph.Links.from_edges(["a", "b"], ["b", "c"])
    dampings = [0.5, 0.85]
    found = joblib.Parallel(n_jobs=2)(joblib.delayed(mf.graph.pagerank)(links, d) for d in dampings)
    for scores, damping in zip(found, dampings, strict=True):
        np.testing.assert_array_equal(scores, mf.graph.pagerank(links, damping))
