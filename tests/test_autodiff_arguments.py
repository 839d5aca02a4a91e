"""Arguments that are no numbers, and arguments by name: derivatives take what the function takes."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from mmlfast.autodiff import derivative, grad, hessian, value_and_grad

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
