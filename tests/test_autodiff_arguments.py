"""Arguments that are no numbers, and arguments by name: derivatives take what the function takes."""

from __future__ import annotations

import operator
import pickle

import numpy as np
import pytest
from derivatives import differences

from mmlfast.autodiff import TracingError, derivative, grad, hessian, jacobian, value_and_grad

W = np.array([0.7, -1.3, 2.1])
X = np.arange(6.0).reshape(2, 3) / 3
Y = np.ones(2)


def loss(w, x, y, kind="l2", scale=1.0, activation=None, options=None):
    z = x @ w
    if activation is not None:
        z = activation(z)
    r = z - y
    total = np.sum(r**2) if kind == "l2" else np.sum(np.abs(r))
    return total * scale * (options or {}).get("factor", 1)


SQUARES = 2 * X.T @ (X @ W - Y)
ABSOLUTE = X.T @ np.sign(X @ W - Y)


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_names_options_and_functions():
    g = grad(loss)
    close(g(W, X, Y, "l1"), ABSOLUTE)
    close(g(W, X, Y, "l2"), SQUARES)
    close(g(W, X, Y, kind="l1", scale=3), 3 * ABSOLUTE)
    close(g(W, X, Y, scale=2.0), 2 * SQUARES)
    close(g(W, X, Y, scale=np.float64(5.0)), 5 * SQUARES)
    z = X @ W
    close(g(W, X, Y, activation=np.tanh), 2 * X.T @ ((np.tanh(z) - Y) * (1 - np.tanh(z) ** 2)))
    close(g(W, X, Y, activation=lambda z: z**2), 2 * X.T @ ((z**2 - Y) * 2 * z))
    close(g(W, X, Y, "l2", 1.0, None), SQUARES)
    close(g.batch(np.stack([W, W]), X, Y, "l1", scale=2.0), [2 * ABSOLUTE] * 2)
    close(value_and_grad(loss)(W, X, Y, kind="l2")[0], loss(W, X, Y))
    close(hessian(loss)(W, X, Y, "l2"), 2 * X.T @ X)
    close(pickle.loads(pickle.dumps(g))(W, X, Y, "l1"), ABSOLUTE)


def test_what_they_hold_may_change():
    options = {"factor": 2.0}
    g = grad(loss)
    close(g(W, X, Y, options=options), 2 * SQUARES)
    options["factor"] = 5.0
    close(g(W, X, Y, options=options), 5 * SQUARES)
    for factor in range(40):  # more than are kept
        close(g(W, X, Y, options={"factor": factor}), factor * SQUARES)


def test_several_arguments():
    by_w, by_y = grad(loss, (0, 2))(W, X, Y, "l1", scale=2.0)
    close(by_w, 2 * ABSOLUTE)
    close(by_y, -2 * np.sign(X @ W - Y))
    close(grad(loss, 1)(W, X, Y, "l2"), 2 * np.outer(X @ W - Y, W))
    by_w, by_y = grad(loss, (0, 2)).batch(np.stack([W, W]), np.stack([X, X])[0], np.stack([Y, Y]), kind="l2")
    close(by_w, [SQUARES] * 2)


def test_inside_of_another_derivative():
    found = grad(lambda w: np.sum(grad(loss)(w, X, Y, "l2", scale=1.0) ** 2))(W)
    close(found, 4 * X.T @ X @ SQUARES)


def test_whole_numbers_of_numpy():
    assert grad(lambda a, b: a * b, np.int64(1))(2.0, 3.0) == 2
    assert grad(lambda a, b: a * b, [np.int64(0), 1])(2.0, 3.0) == (3, 2)
    assert derivative(lambda t: t**3, 2.0, order=np.int32(2)) == 12


def test_errors_are_those_of_the_function():
    with pytest.raises(TypeError, match="unexpected keyword argument 'metric'"):
        grad(loss)(W, X, Y, metric=3)
    with pytest.raises(TypeError, match="missing 2 required positional arguments"):
        grad(loss)(W)
    with pytest.raises(TypeError, match="x must be a number or an array, got str"):
        grad(loss)("w", X, Y)


def test_columns_of_tables_stand_on_either_side_of_operators():
    """Residuals of a Series: it leaves the operator to traced numbers, as to another Series."""
    pd = pytest.importorskip("pandas")
    x, y = np.array([0.3, -1.2, 2.0, 0.7]), np.array([1.0, 0.5, -0.4, 2.0])
    table, p = pd.DataFrame({"x": x, "y": y}, index=[7, 3, 5, 9]), np.array([0.4, -0.3])
    expected = grad(lambda p: np.sum((y - p[0] * x - p[1]) ** 2))(p)
    for f in (
        lambda p: np.sum((table.y - p[0] * table.x - p[1]) ** 2),
        lambda p: ((table.y - (table.x * p[0] + p[1])) ** 2).sum(),
        lambda p: np.sum((table["y"].astype("Float64") - table.x * p[0] - p[1]) ** 2),
        lambda p: np.sum((table.y - pd.Index(x) * p[0] - p[1]) ** 2),
    ):
        np.testing.assert_allclose(grad(f)(p), expected, rtol=1e-13)
    other = table.iloc[::-1]
    with pytest.raises(TracingError, match=r"(?s)test_autodiff_arguments.*"):  # by label, not by place
        grad(lambda p: np.sum((table.y - p[0] * other.x) ** 2 * np.arange(4)))(p)


def test_what_pandas_refuses_is_at_the_users_line():
    pd = pytest.importorskip("pandas")
    with pytest.raises(TracingError, match=r"test_autodiff_arguments.*\n.*pd\.Series\(p"):
        grad(lambda p: np.sum(pd.Series(p, dtype=float)))(np.ones(2))


@pytest.mark.parametrize("f", [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow])
def test_tuples_on_either_side_of_operators(f):
    x, rows = np.array([0.3, 1.2, 2.0]), ((1.0, 2.0, 3.0), (0.5, 1.5, 2.5))
    for other in (rows, rows[0], (2.0,), (rows[0],), list(rows)):
        for g in (lambda v, o=other: f(v, o), lambda v, o=other: f(o, v)):
            np.testing.assert_allclose(jacobian(g)(x), differences(g, x, dtype=np.float64), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(grad(lambda v: np.sum(v * (v[0], 1.0, v[2])))(x), [0.6, 1.0, 4.0])
