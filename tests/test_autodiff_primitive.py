"""Functions of the user's own as steps of a tape, with derivatives of the user's own."""

from __future__ import annotations

import math
import pickle
from typing import Any

import mpmath
import numpy as np
import pytest
from scipy.special import j0, j1

from mmlfast.autodiff import check_gradient, derivative, grad, hessian, jacobian, jvp, primitive, trace

bessel = primitive(j0, derivative=lambda x: -first(x))
first = primitive(j1, derivative=lambda x: bessel(x) - first(x) / x)
exponential = primitive(np.exp, derivative=lambda x: exponential(x))
V = np.array([0.3, 2.0])


@pytest.mark.parametrize("order", range(5))
def test_derivatives_that_are_made_of_each_other(order: int) -> None:
    """Traced eagerly they never end."""
    wanted = float(mpmath.diff(lambda t: mpmath.besselj(0, t), 1.3, order))
    assert abs(derivative(bessel, 1.3, order=order) - wanted) <= 1e-14
    assert derivative(exponential, 0.5, order=order) == math.exp(0.5)


def test_inside_of_a_larger_function() -> None:
    wanted = np.array([[2 * np.exp(0.3), np.exp(0.3)], [np.exp(0.3), 0]])

    def f(v: Any) -> Any:
        return exponential(v[0]) * v[1]

    np.testing.assert_allclose(hessian(f)(V), wanted, rtol=1e-15)
    np.testing.assert_allclose(hessian(trace(f, V))(V), wanted, rtol=1e-15)
    np.testing.assert_array_equal(grad(f).batch(np.stack([V, 2 * V])), [grad(f)(V), grad(f)(2 * V)])
    np.testing.assert_allclose(jvp(grad(f), (V,), (V,))[1], wanted @ V, rtol=1e-15)


def test_more_elements_than_a_step_takes() -> None:
    x = np.linspace(0, 1, 150)
    np.testing.assert_array_equal(grad(lambda v: np.sum(exponential(v)))(x), np.exp(x))


def test_function_of_an_array_with_a_jacobian() -> None:
    norm = primitive(np.linalg.norm, jacobian=lambda v: v / norm(v))
    x = np.array([3.0, 4.0])
    np.testing.assert_allclose(grad(lambda v: norm(v) ** 2)(x), 2 * x, rtol=1e-15)
    np.testing.assert_allclose(hessian(lambda v: norm(v) ** 2)(x), 2 * np.eye(2), atol=1e-15)


def test_derivative_that_cannot_be_traced_is_called_with_numbers() -> None:
    cube = primitive(
        lambda x: x**3, derivative=lambda x: np.array([3 * float(t) ** 2 for t in np.ravel(x)]).reshape(np.shape(x))
    )
    np.testing.assert_allclose(grad(lambda v: np.sum(cube(v)))(V), 3 * V**2, rtol=1e-15)
    with pytest.raises(ValueError, match="without derivatives"):
        hessian(lambda v: np.sum(cube(v)))(V)


def test_two_arguments() -> None:
    power = primitive(lambda x, y: x**y, derivative=lambda x, y: (y * x ** (y - 1), x**y * np.log(x)))
    np.testing.assert_allclose(grad(lambda v: power(v[0], v[1]))(V), grad(lambda v: v[0] ** v[1])(V), rtol=1e-14)


def test_wrong_jacobian_is_refused_with_the_shapes() -> None:
    wrong = primitive(lambda v: v[:1] * 2, jacobian=lambda v: np.ones((2, 1)) * v[0], shape=(1,))
    with pytest.raises(ValueError, match=r"\(2, 1\).*\(1, 2\)"):
        jacobian(lambda v: wrong(v))(V)


@pytest.mark.parametrize("factor", [1.001, -1])
def test_check_gradient_finds_a_wrong_one(factor: float) -> None:
    wrong = primitive(np.sin, derivative=lambda x: factor * np.cos(x))
    assert check_gradient(lambda v: np.sum(wrong(v)), V).verdict == "wrong"
    assert check_gradient(lambda v: np.sum(exponential(v)), V).verdict == "agrees"


def test_cannot_be_saved_and_says_so() -> None:
    f = trace(lambda v: np.sum(exponential(v)), V)
    with pytest.raises(TypeError, match="primitive"):
        pickle.dumps(f)
