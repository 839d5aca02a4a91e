"""Gradient descent: paths beside NumPy's, many runs at once, and what is told."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import rosenbrock

from mmlfast._reference.gradient_descent import gradient_descent as reference
from mmlfast.autodiff import grad
from mmlfast.optimize import gradient_descent


def bowl(v):
    return (v[0] - 1) ** 2 + 10 * (v[1] + 2) ** 2


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.6])
def test_paths(momentum, nesterov):
    options = {"learning_rate": 0.02, "momentum": momentum, "nesterov": nesterov}
    r = gradient_descent(bowl, [0.0, 0.0], path=True, max_iter=60, tol=0, **options)
    expected = reference(grad(bowl), np.zeros(2), 0.02, momentum, nesterov, 60)
    assert r.path.shape == (61, 2)
    assert_allclose(r.path, expected, rtol=1e-13)
    assert_allclose(r.path_fun, [bowl(x) for x in expected], rtol=1e-12)
    by_calls = gradient_descent(
        lambda v: bowl([float(v[0]), float(v[1])]), [0.0, 0.0], path=True, max_iter=60, tol=0, **options
    )
    assert by_calls.derivatives == "finite differences"
    assert_allclose(by_calls.path, expected, rtol=1e-6)


@pytest.mark.parametrize(
    "options", [{}, {"momentum": 0.5}, {"momentum": 0.5, "nesterov": True}, {"line_search": "backtracking"}]
)
def test_arrives(options):
    r = gradient_descent(bowl, [0, 0], learning_rate=0.05, **options)
    assert r.success
    assert_allclose(r.x, [1, -2], rtol=1e-7)
    assert r.nfev >= r.nit
    assert gradient_descent(bowl, [0, 0], **options).success  # a rate of its own


def test_backtracking_never_goes_up():
    r = gradient_descent(rosenbrock, [-1.2, 1.0], line_search="backtracking", path=True, max_iter=20_000)
    assert r.success
    assert_allclose(r.x, 1, rtol=1e-6)
    assert np.all(np.diff(r.path_fun) <= 1e-15)


def test_short_steps_are_not_convergence():
    r = gradient_descent(bowl, [0.0, 0.0], learning_rate=1e-9, max_iter=200)
    assert not r.success
    assert "would still move by 2" in r.message


def test_steps_that_explode():
    u = np.array([18.0, 27, 35, 41, 58])

    def f(v):
        return np.mean((v[0] * u + v[1] - (0.5 * u + 110)) ** 2)

    r = gradient_descent(f, [0.0, 0.0], learning_rate=0.01, max_iter=500, tol=1e-9)
    assert not r.success
    assert r.status == 2
    assert r.nit < 500  # as soon as numbers are not finite
    assert "diverged" in r.message
    assert "0.00068" in r.message
    assert "scale the variables" in r.message
    slow = gradient_descent(f, [0.0, 0.0], learning_rate=6.8e-4, max_iter=500, tol=1e-9)
    assert slow.status in (1, 2)
    assert not slow.success


def test_a_saddle_is_told():
    r = gradient_descent(lambda v: v[0] ** 2 - v[1] ** 2, [1.0, 0.0], learning_rate=0.1)
    assert not r.success
    assert "saddle" in r.message


@pytest.mark.parametrize("power", [40, -60])
def test_units_do_not_matter(power):
    s = 2.0**power
    plain = gradient_descent(bowl, [0.0, 0.0], learning_rate=0.05, path=True)
    scaled = gradient_descent(lambda v: bowl(v / s), [0.0, 0.0], learning_rate=0.05 * s * s, path=True)
    assert_array_equal(scaled.path / s, plain.path)


def test_many_runs_are_single_runs():
    rates, momenta = np.linspace(0.01, 0.12, 7)[:, np.newaxis], np.linspace(0, 0.95, 5)
    many = gradient_descent(bowl, [0.0, 0.0], learning_rate=rates, momentum=momenta, max_iter=300, path=True)
    assert many.x.shape == (7, 5, 2)
    for i, j in ((0, 0), (3, 2), (6, 4), (5, 0)):
        one = gradient_descent(
            bowl, [0.0, 0.0], learning_rate=rates[i, 0], momentum=momenta[j], max_iter=300, path=True
        )
        assert one.x.tobytes() == many.x[i, j].tobytes()
        assert (one.nit, one.success, one.status) == (many.nit[i, j], many.success[i, j], many.status[i, j])
        assert_array_equal(many.path[i, j, : one.nit + 1], one.path)
        assert np.isnan(many.path[i, j, one.nit + 1 :]).all()
    starts = gradient_descent(bowl, np.array([[0.0, 0.0], [5, 5], [1, -2]]), learning_rate=0.05)
    assert starts.success.all()
    assert starts.nit[2] <= 1
    assert "3 of 3" in starts.message


@pytest.mark.parametrize("nesterov", [False, True])
def test_derivatives_that_are_the_variables_themselves(nesterov):
    """No step may write over a derivative that another variable has still to read."""

    def swapped(v):
        return v[0] * v[1] + v[2] * v[4] + v[3] ** 2 / 2

    def turned(v):
        return v[0] * v[3] + v[1] * v[2] + 0.5 * v[4] ** 2 + v[4]

    for f in (swapped, turned):
        for count in (1, 9):
            starts = np.random.default_rng(count).standard_normal((count, 5))
            r = gradient_descent(
                f, starts, learning_rate=0.1, momentum=0.5, nesterov=nesterov, path=True, max_iter=7, tol=0
            )
            for start, path in zip(starts, r.path, strict=True):
                assert_allclose(path, reference(grad(f), start, 0.1, 0.5, nesterov, 7), rtol=1e-13, atol=1e-14)


def test_theory_of_the_plane_of_rate_and_momentum():
    """A run on a parabola of curvature h converges just where 0 < rate * h < 2 (1 + momentum)."""
    rates, momenta = np.linspace(0.02, 4.1, 60)[:, np.newaxis], np.linspace(0, 0.9, 20)
    r = gradient_descent(
        lambda v: 0.5 * (v[0] - 1) ** 2, [0.0], learning_rate=rates, momentum=momenta, max_iter=5000, tol=1e-6
    )
    inside = rates < 2 * (1 + momenta)
    clear = np.abs(rates - 2 * (1 + momenta)) > 0.02
    assert_array_equal(r.success[clear], inside[clear])


def test_same_bits_at_every_level(same_at_every_level):
    same_at_every_level("""
from problems import rosenbrock
from mmlfast.optimize import gradient_descent
starts = np.stack(np.meshgrid(np.linspace(-2, 2, 13), np.linspace(-1, 3, 11)), -1)
for options in ({"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}, {"line_search": "backtracking"}):
    r = gradient_descent(rosenbrock, starts, learning_rate=1e-3, max_iter=300, **options)
    digest(r.x, r.nit, r.fun)
""")


def test_given_gradients_and_bad_arguments():
    r = gradient_descent(bowl, [0.0, 0.0], learning_rate=0.05, jac=grad(bowl))
    assert r.success
    assert r.derivatives == "given"
    for options, says in (
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"learning_rate": np.ones(3), "momentum": np.ones(2)}, "do not fit"),
        ({"line_search": "exact"}, "line_search"),
        ({"line_search": "backtracking", "momentum": 0.5}, "momentum"),
        ({"tol": -1.0}, "tol"),
        ({"max_iter": -1}, "max_iter"),
    ):
        with pytest.raises(ValueError, match=says):
            gradient_descent(bowl, [0.0, 0.0], **options)
