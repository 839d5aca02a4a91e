"""Labels of frames: tables that come in pieces, or stand beside others, are matched or refused, never by position."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import same_bits

import mmlfast as mf

pd = pytest.importorskip("pandas")
la = mf.linalg

Array = np.ndarray[Any, Any]

S = pd.DataFrame([[2.0, 1.0, 0.0], [1.0, 3.0, 0.5], [0.0, 0.5, 1.0]], index=list("abc"), columns=list("abc"))

OPERATORS: dict[str, Callable[[Any], Any]] = {
    "eigh": la.eigh,
    "eigvalsh": la.eigvalsh,
    "eig": la.eig,
    "cholesky": la.cholesky,
    "diagonalize": la.diagonalize,
    "characteristic_polynomial": la.characteristic_polynomial,
    "matrix_power": lambda a: la.matrix_power(a, 2),
    "power_iteration": la.power_iteration,
    "is_inner_product": mf.geometry.is_inner_product,
    "Mahalanobis": mf.geometry.Mahalanobis,
}


@pytest.mark.parametrize("name", OPERATORS)
def test_rows_and_columns_in_two_orders(name: str) -> None:
    """A covariance of one's own with its columns in another order has other eigenvalues: it is no covariance then."""
    operator = OPERATORS[name]
    operator(S)
    operator(pd.DataFrame(S.to_numpy(), columns=list("abc")))  # rows without labels
    with pytest.raises(ValueError, match="rows and columns of"):
        operator(S[["b", "c", "a"]])
    with pytest.raises(ValueError, match="rows and columns of"):
        operator(pd.DataFrame(S.to_numpy())[[2, 0, 1]])


def test_labels_of_stacks_are_those_of_their_last_axes() -> None:
    xr = pytest.importorskip("xarray")
    stack = xr.DataArray(
        np.stack([S.to_numpy()] * 3),
        dims=("time", "row", "column"),
        coords={"time": [5, 6, 7], "row": list("abc"), "column": list("abc")},
    )
    assert la.eigvalsh(stack).shape == (3, 3)
    assert mf.geometry.norm(np.ones((3, 3)), stack).shape == (3,)
    with pytest.raises(ValueError, match="rows and columns of a"):
        la.eigvalsh(stack.isel(column=[1, 0, 2]))


@pytest.mark.parametrize("kind", [mf.stats.Moments, la.RFactor])
def test_columns_of_later_rows_in_another_order(kind: Any, rng: np.random.Generator) -> None:
    rows = pd.DataFrame(rng.standard_normal((8, 3)), columns=list("abc"))
    state = kind().update(rows[:4])
    state.update(rows[4:].to_numpy()).update(rows[:2].reset_index(drop=True))
    for taken in (state, pickle.loads(pickle.dumps(state)), copy.deepcopy(state), kind().merge(state)):
        for take in (taken.update, taken.downdate):
            with pytest.raises(ValueError, match="order from before"):
                take(rows[["c", "a", "b"]])
        assert taken == state
    with pytest.raises(ValueError, match="have other labels"):
        state.merge(kind().update(rows[["c", "a", "b"]]))
    for _, row in rows.iterrows():
        state.update(row)
    with pytest.raises(ValueError, match="order from before"):
        state.update(rows.iloc[0][::-1])
    # Without names, the number of a column is its name.
    numbered = kind().update(pd.DataFrame(rows.to_numpy()))
    with pytest.raises(ValueError, match="order from before"):
        numbered.update(pd.DataFrame(rows.to_numpy())[[2, 1, 0]])
    numbered.update(rows)


def test_series_of_one_variable_have_other_labels_each_time() -> None:
    state = mf.stats.Moments(1)
    for start in range(0, 6, 2):
        state.update(pd.Series([1.0, 2.0], index=[f"day {start}", f"day {start + 1}"]))
    assert state.count == 6


def test_prediction_from_columns_in_another_order(rng: np.random.Generator) -> None:
    x = pd.DataFrame(rng.standard_normal((9, 3)), columns=list("abc"))
    fit = mf.linear_model.linear_fit(x, rng.standard_normal(9))
    same_bits(fit.predict(x), fit.predict(x.to_numpy()))
    for method in (fit.predict, fit.confidence_band, pickle.loads(pickle.dumps(fit)).prediction_band):
        with pytest.raises(ValueError, match="order from before"):
            method(x[["b", "c", "a"]])


def test_estimators_and_columns_that_have_numbers_for_names(rng: np.random.Generator) -> None:
    """scikit-learn looks at names of text only."""
    x = pd.DataFrame(rng.standard_normal((12, 3)))
    y = rng.standard_normal(12)
    for fitted, method in (
        (mf.decomposition.PCA(2).fit(x), "transform"),
        (mf.decomposition.IncrementalPCA(2).fit(x), "partial_fit"),
        (mf.linear_model.LinearRegression().fit(x, y), "predict"),
        (mf.geometry.NearestNeighbors(n_neighbors=2).fit(x), "kneighbors"),
    ):
        with pytest.raises(ValueError, match=type(fitted).__name__ + ": the columns of X"):
            getattr(fitted, method)(x[[1, 0, 2]])
        getattr(fitted, method)(x)


def test_columns_of_polars_and_arrow_have_names_too() -> None:
    tables: list[Any] = [pd.DataFrame]
    for module, kind in (("polars", "DataFrame"), ("pyarrow", "table")):
        tables.append(getattr(pytest.importorskip(module), kind))
    for left in tables:
        for right in tables:
            a = left({"a": [1.0, 2.0], "b": [3.0, 4.0]})
            assert mf.geometry.cdist(a, right({"a": [1.0], "b": [3.0]})).ravel().tolist() == [0.0, 2.0**0.5]
            with pytest.raises(ValueError, match="labels of Y are not those of X"):
                mf.geometry.cdist(a, right({"b": [3.0], "a": [1.0]}))
        with pytest.raises(ValueError, match="order from before"):
            mf.stats.Moments().update(a).update(left({"b": [3.0], "a": [1.0]}))
