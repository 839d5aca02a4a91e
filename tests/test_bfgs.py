"""The BFGS method: the matrix beside NumPy's, and runs to the end."""

from __future__ import annotations

import numpy as np
import pytest
from problems import extended_rosenbrock, rosenbrock

from mmlfast import _core
from mmlfast._reference.bfgs import bfgs as reference
from mmlfast.autodiff import hessian, value_and_grad
from mmlfast.optimize import minimize


@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 33])
def test_a_quadratic_function(n):
    """The matrix becomes the inverse of the Hessian."""
    rng = np.random.default_rng(n)
    a = rng.standard_normal((n, n))
    a = a @ a.T + np.eye(n)
    b = rng.standard_normal(n)

    def f(x):
        return 0.5 * x @ a @ x - b @ x

    r = minimize(f, np.zeros(n), method="bfgs")
    assert r.success
    np.testing.assert_allclose(r.x, np.linalg.solve(a, b), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(r.x, reference(lambda x: (f(x), a @ x - b), np.zeros(n), 200), rtol=1e-5, atol=1e-6)
    assert r.nit <= 4 * n + 20


def test_the_matrix_learns_the_curvature():
    r = minimize(rosenbrock, [-1.2, 1.0], method="bfgs")
    np.testing.assert_allclose(r.hess_inv, np.linalg.inv(hessian(rosenbrock)(np.ones(2))), rtol=0.05)


@pytest.mark.parametrize("n", [2, 10, 100])
def test_rosenbrock(n):
    r = minimize(extended_rosenbrock, np.tile([-1.2, 1.0], n // 2), method="bfgs")
    assert r.success
    np.testing.assert_allclose(r.x, 1, rtol=1e-12)


def test_functions_of_python():
    both = value_and_grad(rosenbrock)
    x0 = np.tile([-1.2, 1.0], 5)
    exact = minimize(rosenbrock, x0, method="bfgs")
    given = minimize(lambda x: both(x)[0], x0, method="bfgs", jac=lambda x: both(x)[1])
    tuples = minimize(lambda x: both(x), x0, method="bfgs", jac=True)
    for r in (given, tuples):
        assert r.success
        assert r.derivatives == "given"
        np.testing.assert_allclose(r.x, exact.x, rtol=1e-9)


def test_errors_come_through():
    def breaks(x):
        if x[0] < 0.5:
            raise RuntimeError("below one half")
        return x[0] ** 2

    with pytest.raises(RuntimeError, match="below one half"):
        minimize(breaks, [3.0], method="bfgs", jac=lambda x: 2 * x)
    with pytest.raises(TypeError):
        _core.bfgs(lambda x: None, (), np.ones(2), np.ones(2), 1e-15, 1e-15, 10, None)
    with pytest.raises(ValueError, match="another size"):
        _core.bfgs(lambda x: (1.0, np.ones(3)), (), np.ones(2), np.ones(2), 1e-15, 1e-15, 10, None)


def test_same_bits_at_every_level(same_at_every_level):
    same_at_every_level("""
from problems import extended_rosenbrock
from mmlfast.optimize import minimize
r = minimize(extended_rosenbrock, np.tile([-1.2, 1.0], 9), method="bfgs")
digest(r.x, r.hess_inv, np.array(r.nit))
""")
