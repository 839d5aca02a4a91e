"""One curve fit, beside SciPy's and lmfit's: of a function on a tape, of a plain one with its safety check, within
bounds, with errors of the points, and of a model that cannot be traced."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from bench.harness import Case, Faster, Goal, Job, Setup, Within
from mmlfast.autodiff import trace
from mmlfast.optimize import curve_fit

Array = np.ndarray[Any, Any]


def decay(x: Any, a: Any, b: Any, c: Any) -> Any:
    return a * np.exp(-b * x) + c


def by_loop(x: Any, a: Any, b: Any, c: Any) -> Any:
    """The same, in a way that no tape can record."""
    return decay(x, float(a), float(b), float(c))


def points(setup: Setup, n: int) -> tuple[Array, Array]:
    x = np.linspace(0, 4, n)
    return x, decay(x, 2.5, 1.3, 0.5) + 0.05 * setup.rng.standard_normal(n)


def exact(x: Array, y: Array, weights: Array | float = 1.0) -> Array:
    """By Gauss and Newton's method in long double."""
    p = np.array([2.5, 1.3, 0.5], np.longdouble)
    for _ in range(30):
        e = np.exp(-p[1] * x.astype(np.longdouble))
        j = np.stack([e, -p[0] * x * e, np.ones_like(e)], axis=1) * np.reshape(weights, (-1, 1))
        r = (p[0] * e + p[2] - y) * weights
        p = p - np.linalg.lstsq(j.astype(float), r.astype(float), rcond=None)[0]
    return p.astype(float)


def one(kind: str, n: int, setup: Setup) -> Job:
    x, y = points(setup, n)
    start = [1.0, 1.0, 1.0]
    options: dict[str, Any] = {}
    if kind == "weighted":
        options["sigma"] = 0.02 + 0.1 * setup.rng.random(n)
    if kind == "bounded":
        options["bounds"] = ([0.0, 0.0, 0.0], [10.0, 10.0, 10.0])
    right = exact(x, y, 1 / options["sigma"] if "sigma" in options else 1.0)
    job = Job(lambda fit: float(np.max(np.abs(fit[0] / right - 1))), "largest relative error", limit=1e-5)
    f: Any = by_loop if kind == "called" else decay
    ours = trace(f, x, 1.0, 1.0, 1.0) if kind == "traced" else f
    curve_fit(ours, x, y, start, **options)
    job.ours(curve_fit, ours, x, y, start, **options)
    if optimize := setup.library("scipy.optimize"):
        job.peer("scipy", optimize.curve_fit, f, x, y, start, **options)
    lmfit: Any = setup.library("lmfit")
    if lmfit and kind in ("plain", "called"):
        model = lmfit.Model(f)

        def by_lmfit() -> tuple[Array]:
            result = model.fit(y, x=x, a=1.0, b=1.0, c=1.0)
            return (np.array([result.params[name].value for name in "abc"]),)

        job.peer("lmfit", by_lmfit)
    return job


def case(kind: str, title: str, n: int, *goals: Goal) -> Case:
    return Case(f"curve-fit-{kind}-{n}", f"curve_fit, {title}, {n} points, 3 parameters", partial(one, kind, n), goals)


CASES = [
    case("traced", "a traced function", 50, Faster(10, "scipy"), Within(12e-6)),
    case("plain", "a plain function with its check", 50, Faster(4, "scipy"), Within(40e-6)),
    case("plain", "a plain function with its check", 10_000, Faster(1)),
    case("weighted", "errors of the points", 50, Faster(1)),
    case("bounded", "bounds", 50, Faster(4, "scipy")),
    case("called", "a function that cannot be traced", 50, Faster(1)),
]
