"""Every public function of the library, with a call of it: the tests of tests/test_rules.py go over this table.

A public function, or a public method that takes arrays, without an entry here fails
`test_every_public_function_has_a_use`.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import mmlfast as mf

Array = np.ndarray[Any, Any]

MODULES = tuple(name for name in mf._MODULES if name != "dask")  # its functions have tests on clusters


@dataclass(frozen=True)
class Use:
    """One way to call a public function.

    Parameters
    ----------
    name : str
        Module and function, or module, class and method.
    arrays : dict
        The array arguments by their names: ordinary float64 numbers.
    call : callable
        Takes the arrays by name (and options of the function), gives the result.
    powers : dict
        For an array argument, for each array of the result: the power with which it grows with the argument, or None
        where theory says nothing. An argument that is not here has no unit that could change.
    axes : dict
        For `check_labels`: the letters of the axes of each array argument; arguments share an axis that has one letter.
    takes : set of str
        What it takes that others refuse: "mask", "sparse", "stream" (chunks),
        "integers" (exact beyond 2**53), "labels" (other than those
        of axes), "names" (arguments that may be
        text), "complex", "None".
    symmetric : tuple of int
        The numbers of the results that are symmetric matrices.
    nonnegative : tuple of int
        The numbers of the results that are not negative.
    called : dict
        What messages call an argument that has no name of its own.
    variant : str
        Tells apart several uses of one function.
    """

    name: str
    arrays: dict[str, Array]
    call: Callable[..., Any]
    powers: dict[str, tuple[float | None, ...]] = field(default_factory=dict)
    axes: dict[str, tuple[str, str]] = field(default_factory=dict)
    takes: frozenset[str] = frozenset()
    symmetric: tuple[int, ...] = ()
    nonnegative: tuple[int, ...] = ()
    called: dict[str, str] = field(default_factory=dict)
    variant: str = ""

    @property
    def id(self) -> str:
        return f"{self.name} {self.variant}".strip()

    def __call__(self, **replaced: Any) -> Any:
        return self.call(**(self.arrays | replaced))


def resolve(name: str) -> Any:
    """The public function, class or method of that name."""
    found: Any = mf
    for part in name.split("."):
        found = getattr(found, part)
    return found


def results_of(answer: Any) -> list[Array]:
    """The arrays and numbers of an answer, in order."""
    if isinstance(answer, tuple | list):
        return [x for part in answer for x in results_of(part)]
    if answer is None or isinstance(answer, str):
        return []
    return [np.asarray(answer)]


def public_names() -> Iterator[tuple[str, Any]]:
    """(name, function) of all that has to have a use: public functions, and public methods that take arrays."""
    for module_name in MODULES:
        module = importlib.import_module(f"mmlfast.{module_name}")
        for name in module.__all__:
            thing = getattr(module, name)
            if not inspect.isclass(thing) or (thing.__module__.startswith("mmlfast") and array_parameters(thing)):
                yield f"{module_name}.{name}", thing
            if inspect.isclass(thing) and thing.__module__.startswith("mmlfast") and not issubclass(thing, tuple):
                for method_name, method in inspect.getmembers(thing, callable):
                    if not method_name.startswith("_") and array_parameters(method):
                        yield f"{module_name}.{name}.{method_name}", method


def array_parameters(function: Any) -> set[str]:
    """The parameters that take arrays, by their annotations; of methods of estimators also X."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return set()
    named = {"X", "x", "links"}
    not_data = {"metric"} if inspect.isclass(function) else set()  # estimators look at their parameters when they fit
    return {
        p.name
        for p in parameters
        if p.name not in not_data
        and ("ArrayLike" in str(p.annotation) or (p.annotation in ("Any", Any) and p.name in named))
    }


def _numbers(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng([20, seed]).standard_normal(shape)


def _definite(n: int, seed: int = 0) -> Array:
    a = _numbers(n, n, seed=seed)
    return a @ a.T + n * np.eye(n)


A, B, M = _numbers(4, 4, seed=1) + 3 * np.eye(4), _numbers(4, 2, seed=2), _numbers(6, 3, seed=3)
V, W, S = _numbers(4, seed=4), _numbers(4, seed=5), _definite(4)
TABLE = _numbers(12, 3, seed=6) + np.array([1.0, 5.0, -2.0])
SCORES = np.abs(_numbers(12, seed=7)) + 0.5
LINKS = np.array([[0, 1.0, 1, 0], [1, 0, 0, 1], [0, 1, 0, 1], [1, 1, 0, 0]])

ad, la, ge, st, de, gr = mf.autodiff, mf.linalg, mf.geometry, mf.stats, mf.decomposition, mf.graph
op = mf.optimize


def _use(name: str, call: Callable[..., Any] | None = None, /, **options: Any) -> Use:
    return Use(name, options.pop("arrays"), call or resolve(name), takes=frozenset(options.pop("takes", ())), **options)


def _linalg() -> Iterator[Use]:

    yield _use(
        "linalg.solve",
        arrays={"a": A, "b": B},
        powers={"a": (-1,), "b": (1,)},
        axes={"a": ("nm", "m"), "b": ("nk", "n")},
        takes={"integers"},
    )
    yield _use(
        "linalg.solve", arrays={"a": A, "b": V}, powers={"a": (-1,), "b": (1,)}, takes={"integers"}, variant="vector"
    )
    yield _use("linalg.inv", arrays={"a": A}, powers={"a": (-1,)}, takes={"integers"})
    yield _use("linalg.det", arrays={"a": A}, powers={"a": (4,)}, takes={"integers"})
    yield _use("linalg.slogdet", arrays={"a": A}, powers={"a": (0, None)}, takes={"integers"})
    yield _use("linalg.cholesky", lambda a, **o: la.cholesky(a, **o), arrays={"a": S}, powers={"a": (0.5,)})
    yield _use("linalg.lu", arrays={"a": A}, powers={"a": (0, 0, 1)})
    yield _use("linalg.qr", arrays={"a": M}, powers={"a": (0, 1)})
    yield _use(
        "linalg.lstsq",
        arrays={"a": M, "b": _numbers(6, 2)},
        powers={"a": (-1, 0, 0, 1), "b": (1, 2, 0, 0)},
        axes={"a": ("mn", "n"), "b": ("mk", "m")},
    )
    yield _use(
        "linalg.lstsq",
        arrays={"a": M, "b": _numbers(6), "weights": SCORES[:6]},
        powers={"a": (-1, 0, 0, None), "b": (1, 2, 0, 0), "weights": (0, 1, 0, None)},
        axes={"a": ("mn", "n"), "b": ("mk", "m"), "weights": ("m", "m")},
        variant="weights",
    )
    yield _use("linalg.eigh", arrays={"a": S}, powers={"a": (1, 0)})
    yield _use("linalg.eigvalsh", arrays={"a": S}, powers={"a": (1,)})
    yield _use("linalg.eig", arrays={"a": A}, powers={"a": (1, 0)})
    yield _use("linalg.svd", arrays={"a": M}, powers={"a": (0, 1, 0)}, nonnegative=(1,))
    yield _use("linalg.svdvals", lambda x: la.svdvals(x), arrays={"x": M}, powers={"x": (1,)}, nonnegative=(0,))
    yield _use("linalg.pinv", arrays={"a": M}, powers={"a": (-1,)})
    yield _use("linalg.matrix_rank", arrays={"A": M}, powers={"A": (0,)}, takes={"integers"})
    yield _use("linalg.cond", arrays={"x": A}, powers={"x": (0,)}, nonnegative=(0,))
    yield _use("linalg.cond", lambda x: la.cond(x, "fro"), arrays={"x": A}, powers={"x": (0,)}, variant="fro")
    yield _use("linalg.orth", arrays={"A": M}, powers={"A": (0,)}, takes={"integers"})
    yield _use("linalg.null_space", arrays={"A": M.T}, powers={"A": (0,)}, takes={"integers"})
    yield _use(
        "linalg.matmul",
        arrays={"a": A, "b": B},
        powers={"a": (1,), "b": (1,)},
        axes={"a": ("mk", "k"), "b": ("kn", "k")},
    )
    yield _use(
        "linalg.matvec",
        arrays={"a": A, "x": V},
        powers={"a": (1,), "x": (1,)},
        axes={"a": ("mk", "k"), "x": ("bk", "k")},
    )
    yield _use(
        "linalg.vecdot",
        arrays={"x": V, "y": W},
        powers={"x": (1,), "y": (1,)},
        axes={"x": ("bk", "k"), "y": ("bk", "k")},
    )
    yield _use(
        "linalg.einsum",
        lambda first, second, **o: la.einsum("ij,jk->ik", first, second, **o),
        arrays={"first": A, "second": B},
        powers={"first": (1,), "second": (1,)},
        called={"first": "operand", "second": "operand"},
    )
    yield _use(
        "linalg.matrix_power", lambda a: la.matrix_power(a, 3), arrays={"a": A}, powers={"a": (3,)}, takes={"integers"}
    )
    yield _use(
        "linalg.row_echelon",
        lambda a: la.row_echelon(a)[::2],
        arrays={"a": M.T},
        powers={"a": (0, 0)},
        takes={"integers"},
    )
    yield _use("linalg.is_singular", arrays={"a": A}, powers={"a": (0,)}, takes={"integers"})
    yield _use("linalg.gram_schmidt", arrays={"a": M}, powers={"a": (0, 0, 0)})
    yield _use(
        "linalg.gram_schmidt",
        lambda a: la.gram_schmidt(a, method="mgs"),
        arrays={"a": M},
        powers={"a": (0, 0, 0)},
        variant="mgs",
    )
    yield _use("linalg.power_iteration", arrays={"a": S}, powers={"a": (1, 0, 1, 0, 0)}, takes={"sparse"})
    yield _use(
        "linalg.power_iteration",
        arrays={"a": S, "x0": V},
        powers={"a": (1, 0, 1, 0, 0), "x0": (0, 0, 0, 0, 0)},
        takes={"sparse"},
        variant="x0",
    )
    yield _use(
        "linalg.power_iteration",
        lambda a: la.power_iteration(a, k=2),
        arrays={"a": S},
        powers={"a": (1, 0, 1, 0, 0)},
        takes={"sparse"},
        variant="k",
    )
    yield _use(
        "linalg.change_of_basis",
        arrays={"x": V, "basis": A},
        powers={"x": (1,), "basis": (-1,)},
        takes={"None"},
        axes={"x": ("bn", "n"), "basis": ("nm", "n")},
    )
    yield _use(
        "linalg.change_of_basis",
        arrays={"x": V, "basis": A, "from_basis": A.T + S},
        powers={"x": (1,), "basis": (-1,), "from_basis": (1,)},
        takes={"None"},
        variant="from_basis",
    )
    yield _use("linalg.reflection_matrix", arrays={"normal": V}, powers={"normal": (0,)}, symmetric=(0,))
    yield _use("linalg.reflection_matrix", arrays={"basis": M}, powers={"basis": (0,)}, symmetric=(0,), variant="basis")
    yield _use("linalg.rotation_matrix", arrays={"angle": np.array(0.5)})
    yield _use(
        "linalg.rotation_matrix",
        lambda a, b: la.rotation_matrix(between=(a, b)),
        arrays={"a": V, "b": W},
        powers={"a": (0,), "b": (0,)},
        called={"a": "between", "b": "between"},
        variant="between",
    )
    yield _use(
        "linalg.rotation_matrix",
        lambda axis: la.rotation_matrix(0.5, axis=axis),
        arrays={"axis": V[:3]},
        powers={"axis": (0,)},
        variant="axis",
    )
    yield _use(
        "linalg.rotation_matrix",
        lambda plane: la.rotation_matrix(0.5, plane=plane),
        arrays={"plane": M[:, :2]},
        powers={"plane": (0,)},
        variant="plane",
    )
    yield _use("linalg.transform", arrays={"points": M, "matrix": A[:3, :3]}, powers={"points": (1,), "matrix": (1,)})
    yield _use(
        "linalg.transform",
        arrays={"points": M, "matrix": A[:3, :3], "basis": S[:3, :3]},
        powers={"points": (1,), "matrix": (1,), "basis": (0,)},
        variant="basis",
    )
    yield _use("linalg.diagonalize", arrays={"a": S}, powers={"a": (0, 1, 0)})
    yield _use("linalg.characteristic_polynomial", arrays={"a": A[:2, :2]}, takes={"integers"})
    yield _use("linalg.RFactor.update", lambda x: la.RFactor().update(x).r, arrays={"x": M}, powers={"x": (1,)})
    yield _use(
        "linalg.RFactor.downdate",
        lambda x: la.RFactor().update(np.r_[10 * TABLE, TABLE[:, ::-1]]).downdate(x).r,
        arrays={"x": TABLE},
    )


def _geometry() -> Iterator[Use]:
    pair = {"x": ("bd", "d"), "y": ("bd", "d")}
    metric = {"metric": S}
    for name, powers in (("inner", (1, 1)), ("distance", None), ("angle", (0, 0))):
        scale = {} if powers is None else {"x": (powers[0],), "y": (powers[1],)}
        yield _use(f"geometry.{name}", arrays={"x": V, "y": W}, powers=scale, axes=pair)
        unit = {"inner": 1, "distance": 0.5, "angle": 0}[name]
        yield _use(
            f"geometry.{name}",
            arrays={"x": V, "y": W} | metric,
            powers=scale | {"metric": (unit,)},
            axes=pair,
            variant="metric",
        )
    yield _use("geometry.norm", arrays={"x": V}, powers={"x": (1,)}, nonnegative=(0,))
    yield _use(
        "geometry.norm",
        arrays={"x": V} | metric,
        powers={"x": (1,), "metric": (0.5,)},
        nonnegative=(0,),
        variant="metric",
    )
    yield _use(
        "geometry.scalar_projection",
        arrays={"x": V, "onto": W},
        powers={"x": (1,), "onto": (0,)},
        axes={"x": ("bd", "d"), "onto": ("bd", "d")},
    )
    yield _use(
        "geometry.scalar_projection",
        arrays={"x": V, "onto": W} | metric,
        powers={"x": (1,), "onto": (0,), "metric": (0.5,)},
        variant="metric",
    )
    yield _use(
        "geometry.project",
        arrays={"x": V, "basis": B},
        powers={"x": (1,), "basis": (0,)},
        axes={"x": ("bd", "d"), "basis": ("dm", "d")},
    )
    yield _use(
        "geometry.project",
        arrays={"x": V, "basis": B} | metric,
        powers={"x": (1,), "basis": (0,), "metric": (0,)},
        variant="metric",
    )
    yield _use("geometry.projection_matrix", arrays={"basis": B}, powers={"basis": (0,)}, symmetric=(0,))
    yield _use(
        "geometry.projection_matrix",
        arrays={"basis": B} | metric,
        powers={"basis": (0,), "metric": (0,)},
        variant="metric",
    )
    yield _use(
        "geometry.reconstruction_error",
        arrays={"x": V, "basis": B},
        powers={"x": (None,), "basis": (0,)},
        nonnegative=(0,),
        axes={"x": ("bd", "d"), "basis": ("dm", "d")},
    )
    yield _use(
        "geometry.reconstruction_error",
        arrays={"x": V, "basis": B} | metric,
        powers={"basis": (0,)},
        nonnegative=(0,),
        variant="metric",
    )
    yield _use("geometry.is_inner_product", arrays={"metric": S}, powers={"metric": (0,)}, takes={"integers"})
    yield _use("geometry.Mahalanobis", _mahalanobis, arrays={"covariance": S}, powers={"covariance": (-0.5,)})
    rows = {"X": ("nd", "d"), "Y": ("md", "d")}
    yield _use("geometry.cdist", arrays={"X": M, "Y": TABLE}, axes=rows, nonnegative=(0,))
    yield _use(
        "geometry.cdist",
        arrays={"X": M, "Y": TABLE, "metric": S[:3, :3]},
        axes=rows,
        powers={"metric": (0.5,)},
        nonnegative=(0,),
        takes={"names"},
        variant="metric",
    )
    yield _use("geometry.knn", lambda X, Y: ge.knn(X, Y, 2), arrays={"X": M, "Y": TABLE}, axes=rows, nonnegative=(0,))
    yield _use(
        "geometry.knn",
        lambda X, Y, metric: ge.knn(X, Y, 2, metric),
        arrays={"X": M, "Y": TABLE, "metric": S[:3, :3]},
        powers={"metric": (0.5, 0)},
        takes={"names"},
        variant="metric",
    )
    yield _use(
        "geometry.NearestNeighbors.fit",
        lambda X: ge.NearestNeighbors(n_neighbors=2).fit(X).kneighbors(M),
        arrays={"X": TABLE},
    )
    yield _use(
        "geometry.NearestNeighbors.kneighbors",
        lambda X: ge.NearestNeighbors(n_neighbors=2).fit(TABLE).kneighbors(X),
        arrays={"X": M},
    )
    yield _use(
        "geometry.NearestNeighbors.kneighbors_graph",
        lambda X: ge.NearestNeighbors(n_neighbors=2).fit(TABLE).kneighbors_graph(X).toarray(),
        arrays={"X": M},
    )


def _mahalanobis(covariance: Any) -> Any:
    return ge.norm(V, ge.Mahalanobis(covariance))


def _stats() -> Iterator[Use]:
    table, weighted = {"x": TABLE}, {"x": TABLE, "weights": SCORES}
    for name, power in (("mean", 1), ("variance", 2), ("std", 1), ("covariance", 2), ("correlation", 0)):
        exact: dict[str, Any] = {"symmetric": (0,)} if name[:2] == "co" else {}
        if name in ("variance", "std"):
            exact = {"nonnegative": (0,)}
        yield _use(f"stats.{name}", arrays=table, powers={"x": (power,)}, **exact)
        omit: dict[str, Any] = {
            "arrays": table,
            "powers": {"x": (power,)},
            "takes": {"mask"},
            "variant": "omit",
            **exact,
        }
        yield _use(f"stats.{name}", lambda x, name=name: getattr(st, name)(x, nan_policy="omit"), **omit)
        for kind in ("weights", "fweights", "aweights"):
            unit = {kind: (0,)} if kind == "aweights" else {}
            axes = {"x": ("nd", "n"), kind: ("n", "n")}
            yield _use(
                f"stats.{name}",
                arrays=table | {kind: SCORES},
                powers={"x": (power,)} | unit,
                axes=axes,
                variant=kind,
                **exact,
            )
    yield _use(
        "stats.affine_moments",
        arrays={"mean": V, "cov": S, "A": A, "b": W},
        powers={"cov": (0, 1)},
        symmetric=(1,),
    )
    yield _use(
        "stats.Moments.update",
        lambda **o: _moments(st.Moments().update(**o)),
        arrays=weighted,
        powers={"x": (1, 2)},
        symmetric=(1,),
    )
    yield _use(
        "stats.Moments.downdate",
        lambda **o: _moments(st.Moments().update(np.r_[TABLE, TABLE]).downdate(**o)),
        arrays={"x": TABLE, "weights": np.full(12, 0.5)},
        symmetric=(1,),
    )


def _moments(m: mf.stats.Moments) -> tuple[Array, Array]:
    return m.mean, m.covariance()


def _of_fit(fit: mf.linear_model.LinearFit) -> tuple[Any, ...]:
    c, e = fit.coefficients, fit.standard_errors
    return c[..., :1], c[..., 1:], e[..., :1], e[..., 1:], fit.chi_squared, fit.r_squared, fit.condition


def _linear_model() -> Iterator[Use]:
    y = _numbers(12, seed=9)
    of_x: tuple[float | None, ...] = (0, -1, 0, -1, 0, 0, 0)
    of_y: tuple[float | None, ...] = (1, 1, 1, 1, 2, 0, 0)
    rows = {"x": ("nd", "n"), "y": ("n", "n")}

    def use(variant: str, x: Array, powers: Any, more: Any = None, **options: Any) -> Use:
        def call(**arrays: Any) -> Any:
            return _of_fit(mf.linear_model.linear_fit(**arrays, **options))

        more = more or {}
        axes = rows | dict.fromkeys(more, ("n", "n"))
        takes = {"integers"} if x.ndim == 1 and "degree" not in options else set()
        arrays = {"x": x, "y": y} | more
        return _use(
            "linear_model.linear_fit", call, arrays=arrays, powers=powers, axes=axes, variant=variant, takes=takes
        )

    by_both = {"x": of_x, "y": of_y}
    yield use("", TABLE, by_both)
    yield use("line", TABLE[:, 0], by_both)
    yield use("degree", TABLE[:, 0], {"y": of_y}, degree=3)
    yield use("groups", TABLE[:, 0], by_both, groups=np.arange(12) % 3)
    yield use("window", TABLE[:, 0], by_both, window=5)
    yield use("weights", TABLE, by_both | {"weights": (0, 0, 0, 0, 1, 0, 0)}, {"weights": SCORES})
    yield use("sigma", TABLE, by_both | {"sigma": (0, 0, 0, 0, -2, 0, 0)}, {"sigma": SCORES})
    fit = mf.linear_model.linear_fit(TABLE, y)
    for name in ("predict", "confidence_band", "prediction_band"):
        yield _use(f"linear_model.LinearFit.{name}", getattr(fit, name), arrays={"x": TABLE})

    def regression(X: Any, y: Any = y, **options: Any) -> Any:
        model = mf.linear_model.LinearRegression().fit(X, y, **options)
        return model.coef_, model.intercept_, model.singular_

    yield _use("linear_model.LinearRegression.fit", regression, arrays={"X": TABLE}, powers={"X": (-1, 0, 1)})
    model = mf.linear_model.LinearRegression().fit(TABLE, y)
    yield _use("linear_model.LinearRegression.predict", lambda X: model.predict(X), arrays={"X": TABLE})


def _decomposition() -> Iterator[Use]:
    for name in ("PCA", "IncrementalPCA"):
        make = getattr(de, name)

        def fit(X: Any, make: Any = make) -> Any:
            p = make(2).fit(X)
            return p.mean_, p.components_, p.explained_variance_, p.explained_variance_ratio_, p.noise_variance_

        def fitted(method: str, make: Any = make) -> Any:
            return lambda X: getattr(make(2).fit(TABLE), method)(X)

        yield _use(
            f"decomposition.{name}.fit",
            fit,
            arrays={"X": TABLE},
            powers={"X": (1, 0, 2, 0, 2)},
            nonnegative=(2, 3, 4),
            takes={"sparse", "stream"},
        )
        yield _use(
            f"decomposition.{name}.fit_transform",
            lambda X, make=make: make(2).fit_transform(X),
            arrays={"X": TABLE},
            powers={"X": (1,)},
            takes={"sparse", "stream"},
        )
        yield _use(
            f"decomposition.{name}.fit_transform",
            lambda X, make=make: make(2, whiten=True).fit_transform(X),
            arrays={"X": TABLE},
            powers={"X": (0,)},
            takes={"sparse", "stream"},
            variant="whiten",
        )
        yield _use(f"decomposition.{name}.transform", fitted("transform"), arrays={"X": TABLE[:5]}, takes={"sparse"})
        yield _use(f"decomposition.{name}.inverse_transform", fitted("inverse_transform"), arrays={"X": TABLE[:5, :2]})
        yield _use(f"decomposition.{name}.score", fitted("score"), arrays={"X": TABLE[:5]})
        yield _use(f"decomposition.{name}.score_samples", fitted("score_samples"), arrays={"X": TABLE[:5]})
    yield _use(
        "decomposition.IncrementalPCA.partial_fit",
        lambda X: de.IncrementalPCA(2).partial_fit(X).components_,
        arrays={"X": TABLE},
        powers={"X": (0,)},
    )
    yield _use(
        "decomposition.pca", lambda x: de.pca(x, 2), arrays={"x": TABLE}, powers={"x": (1, 0, 2, 0)}, nonnegative=(2, 3)
    )


def _graph() -> Iterator[Use]:
    yield _use(
        "graph.pagerank",
        arrays={"links": LINKS},
        powers={"links": (0,)},
        takes={"sparse", "labels", "integers"},
        nonnegative=(0,),
    )
    jumps = np.array([1.0, 2.0, 0.0, 1.0])
    yield _use(
        "graph.pagerank",
        arrays={"links": LINKS, "personalization": jumps, "dangling": jumps + 1},
        powers={"personalization": (0,), "dangling": (0,)},
        takes={"sparse", "labels", "integers"},
        variant="personalization",
    )
    yield _use(
        "graph.pagerank_many",
        arrays={"links": LINKS, "personalization": np.stack([jumps, jumps + 1]), "damping": np.array([0.5, 0.85])},
        powers={"personalization": (0,)},
        takes={"sparse", "labels", "integers"},
    )
    yield _use(
        "graph.Links.from_edges",
        lambda sources, targets, weights: gr.pagerank(gr.Links.from_edges(sources, targets, weights)),
        arrays={
            "sources": np.array([0, 1, 2, 0]),
            "targets": np.array([1, 2, 0, 2]),
            "weights": np.array([1.0, 2.0, 1.0, 3.0]),
        },
        takes={"labels", "integers", "names"},
    )


def _neural_network() -> Iterator[Use]:
    inputs, targets = TABLE, TABLE[:, :2] @ np.array([[1.0, 0.0], [0.5, 2.0]])

    def net() -> Any:
        return mf.neural_network.Network([3, 4, 2])

    def fit(x: Any, y: Any) -> Any:
        n = net()
        return n.fit(x, y, epochs=2, batch_size=5, learning_rate=0.01), n.weights, n.biases

    rows = {"x": ("nd", "d"), "y": ("nk", "n")}
    yield _use("neural_network.Network.forward", lambda x: net().forward(x), arrays={"x": inputs})
    yield _use(
        "neural_network.Network.loss", lambda x, y: net().loss(x, y), arrays={"x": inputs, "y": targets}, axes=rows
    )
    yield _use(
        "neural_network.Network.gradients",
        lambda x, y: net().gradients(x, y),
        arrays={"x": inputs, "y": targets},
        axes=rows,
    )
    yield _use("neural_network.Network.fit", fit, arrays={"x": inputs, "y": targets}, axes=rows)
    yield _use("neural_network.Network.predict", lambda x: net().predict(x), arrays={"x": inputs})
    yield _use("neural_network.Network.jacobian", lambda x: net().jacobian(x), arrays={"x": inputs})

    def product(x: Any, y: Any) -> Any:
        n = net()
        return n.hessian_vector_product(x, y, list(zip(n.weights, n.biases, strict=True)))

    yield _use("neural_network.Network.hessian_vector_product", product, arrays={"x": inputs, "y": targets}, axes=rows)

    def standardize(x: Any) -> Any:
        n = net()
        n.standardize(x)
        return n.forward(x)

    yield _use("neural_network.Network.standardize", standardize, arrays={"x": inputs})

    def many(x: Any, y: Any) -> Any:
        found = mf.neural_network.fit_many([net(), net()], x, y, epochs=2, batch_size=5, learning_rate=0.01)
        return found.losses, found.networks[1].weights

    yield _use("neural_network.fit_many", many, arrays={"x": inputs, "y": targets}, axes=rows)

    how: Any = {"hidden_layer_sizes": (4,), "solver": "sgd", "max_iter": 9, "n_iter_no_change": 1, "tol": 1e9}
    nn = mf.neural_network
    labels = (targets[:, 0] > np.median(targets[:, 0])).astype(float)

    def classify(X: Any) -> Any:
        model = nn.MLPClassifier(random_state=0, **how).fit(X, labels)
        return model.coefs_, model.predict_proba(TABLE)

    def classify_part(X: Any) -> Any:
        return nn.MLPClassifier(random_state=0, **how).partial_fit(X, labels, classes=[0, 1]).coefs_

    def regress(X: Any, y: Any) -> Any:
        return nn.MLPRegressor(random_state=0, **how).fit(X, y).predict(TABLE)

    def regress_part(X: Any, y: Any) -> Any:
        return nn.MLPRegressor(random_state=0, **how).partial_fit(X, y).coefs_

    for name, use in (("fit", classify), ("partial_fit", classify_part)):
        yield _use(f"neural_network.MLPClassifier.{name}", use, arrays={"X": inputs})
    for name, use in (("fit", regress), ("partial_fit", regress_part)):
        yield _use(f"neural_network.MLPRegressor.{name}", use, arrays={"X": inputs, "y": targets})
    classifier = nn.MLPClassifier(random_state=0, **how).fit(inputs, labels)
    for name in ("predict", "predict_proba", "predict_log_proba"):
        method = getattr(classifier, name)
        yield _use(f"neural_network.MLPClassifier.{name}", lambda X, m=method: m(X), arrays={"X": inputs})
    regressor = nn.MLPRegressor(random_state=0, **how).fit(inputs, targets)
    yield _use("neural_network.MLPRegressor.predict", lambda X: regressor.predict(X), arrays={"X": inputs})


def _autodiff() -> Iterator[Use]:
    def product(v: Any) -> Any:
        return np.prod(v) + np.sum(np.sin(v))

    def parts(v: Any) -> Any:
        return np.stack([np.prod(v), np.sum(v**3)])

    vector, points = {"x": V}, {"x": np.stack([V, W])}
    yield _use("autodiff.trace", lambda x: ad.trace(product, V)(x), arrays=vector)
    yield _use("autodiff.trace", lambda x: ad.trace(product, V).batch(x), arrays=points, variant="batch")
    for name in ("grad", "value_and_grad", "hessian"):
        derived = getattr(ad, name)(product)
        yield _use(
            f"autodiff.{name}",
            lambda x, d=derived: d(x),
            arrays=vector,
            symmetric=(0,) if name == "hessian" else (),
        )
        yield _use(f"autodiff.{name}", lambda x, d=derived: d.batch(x), arrays=points, variant="batch")
    yield _use("autodiff.jacobian", lambda x: ad.jacobian(parts)(x), arrays=vector)
    both = {"primals": V, "tangents": W}
    for name, f in (("jvp", parts), ("hvp", product)):
        yield _use(
            f"autodiff.{name}",
            lambda primals, tangents, name=name, f=f: getattr(ad, name)(f, (primals,), (tangents,)),
            arrays=both,
        )
    yield _use(
        "autodiff.vjp",
        lambda x, cotangent: ad.vjp(parts, x)[1](cotangent),
        arrays={"x": V, "cotangent": W[:2]},
        called={"x": "primals"},
    )
    yield _use("autodiff.derivative", lambda x: ad.derivative(np.sin, x), arrays=vector)
    yield _use("autodiff.linearize", lambda x0: ad.linearize(product, x0).slope, arrays={"x0": V})
    for name in ("error", "error_bound"):
        yield _use(
            f"autodiff.Linearization.{name}",
            lambda x, name=name: getattr(ad.linearize(product, np.ones(4)), name)(x),
            arrays=vector,
        )
    yield _use("autodiff.taylor", lambda x0: ad.taylor(np.sin, x0, 5), arrays={"x0": V})
    yield _use(
        "autodiff.taylor",
        lambda x0, direction: ad.taylor(product, x0, 5, direction=direction),
        arrays={"x0": V, "direction": W},
        variant="along a direction",
    )
    yield _use("autodiff.quadratize", lambda x0: ad.quadratize(product, x0).hessian, arrays={"x0": V}, symmetric=(0,))
    yield _use("autodiff.Quadratic.error", lambda x: ad.quadratize(product, np.ones(4)).error(x), arrays=vector)
    yield _use("autodiff.check_gradient", lambda x: ad.check_gradient(product, x)[2], arrays=vector)
    cube = ad.primitive(lambda t: t**3, derivative=lambda t: 3 * t**2)
    yield _use("autodiff.primitive", lambda x: ad.grad(lambda v: np.sum(cube(v)))(x), arrays=vector)


def _optimize() -> Iterator[Use]:
    def bowl(v: Any) -> Any:
        return np.sum((v - 1) ** 2 * np.arange(1.0, 5))

    yield _use(
        "optimize.classify_stationary_point",
        lambda x: op.classify_stationary_point(bowl, x)[1:5],
        arrays={"x": V},
    )
    starts = {"x0": np.abs(V) + 1}
    yield _use(
        "optimize.newton",
        lambda x0: op.newton(lambda v: v**2 - 1, x0),
        arrays=starts,
        takes=frozenset({"complex"}),
    )
    start = {"x0": V}
    yield _use("optimize.minimize", lambda x0: op.minimize(bowl, x0).x, arrays=start)
    yield _use("optimize.gradient_descent", lambda x0: op.gradient_descent(bowl, x0, momentum=0.5).x, arrays=start)
    yield _use(
        "optimize.lagrange",
        lambda x0: op.lagrange(bowl, lambda v: np.sum(v) - 1, x0, max_points=1).x,
        arrays=start,
    )
    yield _use("optimize.newton_many", lambda x0: op.newton_many(lambda v: v**2 - 1, x0).x, arrays=starts)

    yield _use(
        "optimize.least_squares",
        lambda x0: op.least_squares(lambda v: v**3 - np.array([1.0, 8.0, 27.0, 64.0]), x0).x,
        arrays=starts,
    )

    def curve(x: Any, a: Any, b: Any) -> Any:
        return a * np.exp(-0.1 * x) + b * x

    errors, y = SCORES + 0.5, TABLE[:, 0].copy()
    for fit, ydata in ((op.curve_fit, y), (op.curve_fit_many, TABLE.T.copy())):
        name = f"optimize.{fit.__name__}"

        def omitting(xdata: Any = SCORES, ydata: Any = ydata, sigma: Any = None, fit: Any = fit, **more: Any) -> Any:
            return fit(curve, xdata, ydata, sigma=sigma, nan_policy="omit", **more)

        def begun(p0: Any, ydata: Any = ydata, fit: Any = fit) -> Any:
            return fit(curve, SCORES, ydata, p0)

        masked: Any = {"takes": {"mask"}, "symmetric": (1,)}
        yield _use(name, omitting, arrays={"ydata": ydata}, **masked)
        yield _use(name, omitting, arrays={"sigma": errors}, variant="errors", **masked)
        yield _use(name, begun, arrays={"p0": np.array([0.5, 0.25])}, variant="start")
        if fit is op.curve_fit_many:
            yield _use(name, omitting, arrays={"xdata": SCORES}, variant="x")


USES: list[Use] = [
    *_autodiff(),
    *_linalg(),
    *_linear_model(),
    *_geometry(),
    *_stats(),
    *_decomposition(),
    *_graph(),
    *_neural_network(),
    *_optimize(),
]
