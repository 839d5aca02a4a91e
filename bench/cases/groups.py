"""Statistics of groups of rows by their labels, beside the group-by of data frames."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import mmlfast as mf
from bench.harness import Case, Faster, Job, Setup

Array = np.ndarray[Any, Any]


def largest_error(expected: Array, answer: Any) -> float:
    return float(np.abs(np.asarray(answer) - expected).max() / np.abs(expected).max())


def statistic_of_groups(name: str, kind: str, setup: Setup) -> Job:
    rows, n_groups = 1_000_000, 20_000
    labels: Array = setup.rng.integers(0, n_groups, rows)
    labels[:n_groups] = np.arange(n_groups)
    x = setup.rng.standard_normal((rows, 3)) + 5
    order = np.argsort(labels, kind="stable")
    function = {"mean": partial(np.mean, axis=0), "variance": partial(np.var, axis=0, ddof=1)}.get(
        name, partial(np.cov, rowvar=False)
    )
    parts = np.split(order, np.cumsum(np.bincount(labels))[:-1])
    expected = np.array([function(x[part]) for part in parts])
    if kind == "text":
        labels = np.array([f"{label:06d}" for label in range(n_groups)], object)[labels]
    job = Job(partial(largest_error, expected), "largest error / largest value", limit=1e-10, bytes=float(x.nbytes))
    job.ours(getattr(mf.stats, name), x, groups=labels)
    if pandas := setup.library("pandas"):
        frame = pandas.DataFrame(x, columns=list("abc"))
        by_pandas = {"mean": lambda: frame.groupby(labels).mean(), "variance": lambda: frame.groupby(labels).var()}.get(
            name, lambda: frame.groupby(labels).cov().to_numpy().reshape(-1, 3, 3)
        )
        job.peer("pandas groupby", by_pandas)
    if polars := setup.library("polars"):
        job.peer("polars", by_polars(polars, name, labels, x))
    return job


def by_polars(polars: Any, name: str, labels: Array, x: Array) -> Any:
    table = polars.DataFrame({"g": labels} | {letter: x[:, j] for j, letter in enumerate("abc")})
    letters = list("abc")
    if name == "covariance":
        pairs = [(i, j) for i in range(3) for j in range(i + 1)]
        moments = [polars.cov(letters[i], letters[j]).alias(f"{i}{j}") for i, j in pairs]

        def matrices() -> Array:
            found = table.group_by("g").agg(moments).sort("g")
            c = np.empty((len(found), 3, 3))
            for i, j in pairs:
                c[:, i, j] = c[:, j, i] = found[f"{i}{j}"].to_numpy()
            return c

        return matrices
    moment = polars.col(letters).mean() if name == "mean" else polars.col(letters).var()
    return lambda: table.group_by("g").agg(moment).sort("g").drop("g").to_numpy()


CASES = [
    *(
        Case(
            f"groups-{name}-{kind}",
            f"{name} of 20 000 groups of 1e6 x 3, labels {kind}",
            partial(statistic_of_groups, name, kind),
            (Faster(1),),
            slow=kind == "text",
        )
        for name in ("mean", "variance", "covariance")
        for kind in ("integers", "text")
    )
]
