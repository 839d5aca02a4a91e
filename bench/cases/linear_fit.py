"""Linear regression: one line, a million rows, a fit for each group of rows and for each window."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import mmlfast as mf
from bench.harness import Case, Faster, Job, Setup

Array = np.ndarray[Any, Any]

ERROR = "largest error of a coefficient / the largest coefficient"


def coefficient_error(expected: Array, answer: Any) -> float:
    found = answer.coefficients if hasattr(answer, "coefficients") else answer
    return float(np.abs(np.asarray(found, np.float64) - expected).max() / np.abs(expected).max())


def refined(x: Array, y: Array) -> Array:
    """Coefficients of one fit by centred columns in long double, constant term first."""
    centre = x.mean(axis=0)
    a = np.hstack([np.ones((len(x), 1)), x - centre])
    c = np.linalg.lstsq(a, y, rcond=None)[0].astype(np.longdouble)
    residual = (y - a.astype(np.longdouble) @ c).astype(float)
    c = c + np.linalg.lstsq(a, residual, rcond=None)[0]
    return np.concatenate([[c[0] - centre @ c[1:]], c[1:]]).astype(float)


def one_line(n: int, setup: Setup) -> Job:
    x = 1.7e9 + 60.0 * np.arange(n)
    y = 3 - 2e-4 * (x - x[0]) + setup.rng.standard_normal(n)
    job = Job(partial(coefficient_error, refined(x[:, None], y)), ERROR, limit=1e-6)

    def with_errors(x: Array, y: Array) -> Array:
        fit = mf.linear_model.linear_fit(x, y)
        fit.standard_errors  # noqa: B018
        return np.asarray(fit.coefficients)

    job.ours(with_errors, x, y)
    job.peer("numpy polyfit", lambda x, y: np.polyfit(x, y, 1, cov=True)[0][::-1], x, y)
    if stats := setup.library("scipy.stats"):
        job.peer("scipy linregress", lambda x, y: (lambda r: [r.intercept, r.slope])(stats.linregress(x, y)), x, y)
    if sm := setup.library("statsmodels.api"):
        job.peer("statsmodels OLS", lambda x, y: sm.OLS(y, sm.add_constant(x)).fit().params, x, y)
    return job


def table(dtype: str, setup: Setup) -> Job:
    x = (setup.rng.standard_normal((1_000_000, 3)) + 5).astype(dtype)
    y = (x @ np.array([1, 2, 3], dtype) + setup.rng.standard_normal(len(x)).astype(dtype)).astype(dtype)
    expected = refined(x.astype(float), y.astype(float))
    job = Job(partial(coefficient_error, expected), ERROR, limit=1e-5, bytes=float(x.nbytes + y.nbytes))

    def coefficients(make: Any, x: Array, y: Array) -> Array:
        model = make().fit(x, y)
        return np.concatenate([[model.intercept_], model.coef_])

    job.ours(coefficients, mf.linear_model.LinearRegression, x, y)
    if sklearn := setup.library("sklearn.linear_model"):
        job.peer("sklearn", coefficients, sklearn.LinearRegression, x, y)
    a = np.hstack([np.ones((len(x), 1), dtype), x])
    job.peer("numpy lstsq, ones in the table", lambda a, y: np.linalg.lstsq(a, y, rcond=None)[0], a, y)
    return job


def ragged_groups(rows: int, n_groups: int, setup: Setup) -> Job:
    labels = setup.rng.integers(0, n_groups, rows)
    labels[:n_groups] = np.arange(n_groups)
    x = setup.rng.standard_normal((rows, 3)) + 5
    y = x @ [1, 2, 3] + setup.rng.standard_normal(rows)
    order = np.argsort(labels, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(labels))[:-1])
    job = Job(partial(coefficient_error, np.array([refined(x[part], y[part]) for part in parts])), ERROR, limit=1e-8)
    job.ours(mf.linear_model.linear_fit, x, y, groups=labels)
    if pandas := setup.library("pandas"):
        frame = pandas.DataFrame({"g": labels, "a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "y": y})

        def by_lstsq(rows: Any) -> Array:
            a = np.column_stack([np.ones(len(rows)), rows[["a", "b", "c"]].to_numpy()])
            return np.asarray(np.linalg.lstsq(a, rows["y"].to_numpy(), rcond=None)[0])

        if not setup.quick:
            job.peer("pandas groupby.apply", lambda: np.stack(frame.groupby("g")[list("abcy")].apply(by_lstsq)))
    if polars := setup.library("polars"):
        job.peer("polars expressions", polars_groups(polars, labels, x, y))
    return job


def polars_groups(polars: Any, labels: Array, x: Array, y: Array) -> Any:
    """Means and covariances of each group by polars' own expressions, and the small systems by NumPy."""
    names = ("a", "b", "c")
    frame = polars.DataFrame({"g": labels, "y": y} | {name: x[:, j] for j, name in enumerate(names)})
    pairs = [(i, j) for i in range(3) for j in range(i + 1)]
    col = polars.col
    moments = (
        [polars.cov(names[i], names[j]).alias(f"{i}{j}") for i, j in pairs]
        + [polars.cov(name, "y").alias(f"{name}y") for name in names]
        + [col(name).mean().alias(f"m{name}") for name in (*names, "y")]
    )

    def solve() -> Array:
        found = frame.group_by("g").agg(moments).sort("g")
        gram = np.empty((len(found), 3, 3))
        for i, j in pairs:
            gram[:, i, j] = gram[:, j, i] = found[f"{i}{j}"].to_numpy()
        right = np.stack([found[f"{name}y"].to_numpy() for name in names], axis=1)
        slopes = np.linalg.solve(gram, right[..., None])[..., 0]
        means = np.stack([found[f"m{name}"].to_numpy() for name in names], axis=1)
        return np.column_stack([found["my"].to_numpy() - (means * slopes).sum(axis=1), slopes])

    return solve


def windows(rows: int, length: int, setup: Setup) -> Job:
    x = np.cumsum(setup.rng.random(rows)) + 1e6
    y = np.sin(x / 50) + setup.rng.standard_normal(rows)
    view = np.lib.stride_tricks.sliding_window_view
    wide, tall = view(x, length), view(y, length)
    centre = wide.mean(axis=1)
    z = wide - centre[:, None]
    slope = np.einsum("ij,ij->i", z, tall) / np.einsum("ij,ij->i", z, z)
    expected = np.column_stack([tall.mean(axis=1) - slope * centre, slope])
    job = Job(partial(coefficient_error, expected), ERROR, limit=1e-6)
    job.ours(mf.linear_model.linear_fit, x, y, window=length)
    if (rows <= 100_000 or not setup.quick) and (rolling := setup.library("statsmodels.regression.rolling")):
        a = np.column_stack([np.ones(rows), x])
        job.peer("statsmodels RollingOLS", lambda: rolling.RollingOLS(y, a, length).fit().params[length - 1 :])
    if pandas := setup.library("pandas"):
        s, t = pandas.Series(x), pandas.Series(y)

        def by_pandas() -> Array:
            b = s.rolling(length).cov(t) / s.rolling(length).var()
            a = t.rolling(length).mean() - b * s.rolling(length).mean()
            return np.column_stack([a, b])[length - 1 :]

        job.peer("pandas rolling cov and var, no errors", by_pandas)
    return job


CASES = [
    Case("linear-fit-line-100", "line through 100 time stamps, with errors", partial(one_line, 100), (Faster(1),)),
    Case("linear-regression-1e6x3", "LinearRegression, 1e6 x 3", partial(table, "float64"), (Faster(1),)),
    Case("linear-regression-1e6x3-float32", "LinearRegression, 1e6 x 3, float32", partial(table, "float32"), slow=True),
    Case(
        "linear-fit-groups",
        "regression per group, 1e6 rows in 20 000 ragged groups, 3 columns",
        partial(ragged_groups, 1_000_000, 20_000),
        (Faster(20, "pandas"), Faster(5, "polars")),
    ),
    Case(
        "linear-fit-rolling-1e5",
        "rolling line, window 60 over 1e5 rows",
        partial(windows, 100_000, 60),
        (Faster(20, "statsmodels"),),
    ),
    Case(
        "linear-fit-rolling-1e6",
        "rolling line, window 60 over 1e6 rows",
        partial(windows, 1_000_000, 60),
        (Faster(20, "statsmodels"),),
        slow=True,
    ),
]
