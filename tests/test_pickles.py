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

MODULES = (
    "linalg", "geometry", "graph", "stats", "decomposition", "linear_model", "optimize", "neural_network",
)  # fmt: skip
for _name in MODULES:
    importlib.import_module(f"mmlfast.{_name}")

X = np.random.default_rng(8).standard_normal((40, 4))
A = X[:4] + 4 * np.eye(4)
T = np.linspace(0, 4, 40)
DECAY = 2 * np.exp(-T / 1.5) + 0.01 * X[:, 0]
SMALL: dict[str, Any] = {"hidden_layer_sizes": (3,), "solver": "lbfgs", "random_state": 0}


def decay(t: Any, a: Any, tau: Any) -> Any:
    return a * np.exp(-t / tau)


def cubic(x: Any) -> Any:
    return x**3 - 2 * x - 5


def bowl(v: Any) -> Any:
    return v[0] ** 2 + 3 * v[1] ** 2


def unit_circle(v: Any) -> Any:
    return v[0] ** 2 + v[1] ** 2 - 1


def updated(state: Any) -> Any:
    state.update(X)
    return state


# An object of each public class with state, and answers that it gives.
MAKERS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "linalg.RFactor": (lambda: updated(mf.linalg.RFactor(4)), lambda o: o.r),
    "stats.Moments": (lambda: updated(mf.stats.Moments(4)), lambda o: (o.mean, o.covariance())),
    "geometry.Mahalanobis": (lambda: mf.geometry.Mahalanobis(A @ A.T), lambda o: mf.geometry.norm(X, o)),
    "graph.Links": (lambda: mf.graph.Links.from_edges(["a", "b"], ["b", "c"]), mf.graph.pagerank),
    "linear_model.LinearFit": (lambda: mf.linear_model.linear_fit(T, DECAY), lambda o: (o.predict(T), o.covariance)),
    "optimize.CurveFit": (
        lambda: mf.optimize.curve_fit(decay, T, DECAY, [1, 1]),
        lambda o: (o.params, o.covariance, o.predict(T)),
    ),
    "optimize.CurveFitMany": (
        lambda: mf.optimize.curve_fit_many(decay, T, np.stack([DECAY, 2 * DECAY]), [1, 1]),
        lambda o: (o.params, o.covariance, o.status),
    ),
    "neural_network.FitMany": (
        lambda: mf.neural_network.fit_many(
            [mf.neural_network.Network([4, 3, 1])], X, X[:, 0], epochs=2, batch_size=9, learning_rate=0.01
        ),
        lambda o: (o.losses, o.networks[0].forward(X)),
    ),
    "neural_network.Network": (lambda: mf.neural_network.Network([4, 3, 1]), lambda o: o.forward(X)),
}
ESTIMATORS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "linear_model.LinearRegression": (
        lambda: mf.linear_model.LinearRegression().fit(X, DECAY),
        lambda o: o.predict(X),
    ),
    "neural_network.MLPClassifier": (
        lambda: mf.neural_network.MLPClassifier(**SMALL).fit(X, X[:, 0] > 0),
        lambda o: o.predict_proba(X),
    ),
    "neural_network.MLPRegressor": (
        lambda: mf.neural_network.MLPRegressor(**SMALL).fit(X, DECAY),
        lambda o: o.predict(X),
    ),
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
    "linear_model.Band": lambda: mf.linear_model.linear_fit(T, DECAY).confidence_band(T),
    "optimize.LagrangePoint": lambda: mf.optimize.lagrange(bowl, unit_circle, [1.0, 0.5]).points[0],
    "optimize.NewtonArray": lambda: mf.optimize.newton(cubic, np.array([2.0, 3.0]), full_output=True),
    "optimize.NewtonMany": lambda: mf.optimize.newton_many(cubic, np.array([2.0, 3.0])),
    "optimize.StationaryPoint": lambda: mf.optimize.classify_stationary_point(bowl, np.zeros(2)),
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


@pytest.mark.filterwarnings("ignore:A worker stopped while some jobs:UserWarning")  # joblib's, on a busy machine
def test_another_process_has_links():
    joblib = pytest.importorskip("joblib")
    links = mf.graph.Links.from_edges(["a", "b"], ["b", "c"])
    dampings = [0.5, 0.85]
    found = joblib.Parallel(n_jobs=2)(joblib.delayed(mf.graph.pagerank)(links, d) for d in dampings)
    for scores, damping in zip(found, dampings, strict=True):
        np.testing.assert_array_equal(scores, mf.graph.pagerank(links, damping))
