"""Minima under inequalities and bounds: Hock and Schittkowski's problems, multipliers with their signs, and what goes
wrong."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hock_schittkowski import INEQUALITIES
from numpy.testing import assert_allclose
from scipy.optimize import Bounds, LinearConstraint, NonlinearConstraint

from mmlfast.autodiff import grad, jacobian
from mmlfast.optimize import minimize


def at_least_zero(*functions):
    return [{"type": "ineq", "fun": c} for c in functions]


def equations(*functions):
    return [{"type": "eq", "fun": c} for c in functions]


def quadratic(x):
    return (x[0] - 1) ** 2 + (x[1] - 2.5) ** 2


TRIANGLE = at_least_zero(lambda x: x[0] - 2 * x[1] + 2, lambda x: -x[0] - 2 * x[1] + 6, lambda x: -x[0] + 2 * x[1] + 2)


@pytest.mark.parametrize("problem", INEQUALITIES, ids=lambda p: f"HS{p.number}")
def test_hock_schittkowski(problem):
    n = len(problem.x0)
    r = minimize(
        problem.f,
        problem.x0,
        bounds=problem.bounds,
        constraints=at_least_zero(*problem.inequalities) + equations(*problem.equations),
    )
    assert r.success, r.message
    assert r.derivatives == "exact"
    assert_allclose(r.fun, problem.value, rtol=2e-8, atol=1e-9)
    # The conditions of Karush, Kuhn and Tucker, computed anew.
    functions = [*problem.inequalities, *problem.equations]
    m = len(problem.inequalities)
    values = np.array([c(r.x) for c in functions])
    assert_allclose(r.constraints, values, rtol=1e-12, atol=1e-12 * (1 + np.abs(r.x).max()))
    a = np.array([jacobian(c)(r.x) for c in functions]).reshape(len(functions), n)
    forces = r.multipliers[:, None] * a
    g = grad(problem.f)(r.x)
    size = np.abs(g).max() + np.abs(forces).max(initial=0.0) + np.abs(r.bound_multipliers).max()
    assert np.abs(g - forces.sum(axis=0) - r.bound_multipliers).max() <= 1e-9 * size
    lengths = np.linalg.norm(a, axis=1) * (np.linalg.norm(r.x) + 1e-3)
    assert np.all(values[:m] >= -1e-9 * lengths[:m])
    assert np.all(np.abs(values[m:]) <= 1e-9 * lengths[m:])
    assert np.all(r.multipliers[:m] >= 0)
    assert np.all((r.multipliers[:m] == 0) | (np.abs(values[:m]) <= 1e-9 * lengths[:m]))
    low, high = np.array([(-np.inf if a is None else a, np.inf if b is None else b) for a, b in problem.bounds]).T
    assert np.all((r.x >= low) & (r.x <= high))
    assert np.all((r.bound_multipliers <= 0) | (r.x == low))
    assert np.all((r.bound_multipliers >= 0) | (r.x == high))


def test_scipys_ways_to_say_it():
    """The two examples of SciPy's tutorial, with its names of methods."""
    r = minimize(quadratic, (2, 0), method="SLSQP", bounds=((0, None), (0, None)), constraints=TRIANGLE)
    assert_allclose(r.x, [1.4, 1.7], rtol=1e-14)
    assert_allclose(r.multipliers, [0.8, 0, 0], atol=1e-14)
    linear = LinearConstraint([[1, 2], [2, 1]], [-np.inf, 1], [1, 1])
    curved = NonlinearConstraint(lambda x: [x[0] ** 2 + x[1], x[0] ** 2 - x[1]], -np.inf, 1)
    r = minimize(
        lambda x: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2,
        [0.5, 0],
        method="trust-constr",
        constraints=[linear, curved],
        bounds=Bounds([0, -0.5], [1, 2]),
    )
    assert_allclose(r.x, [0.41494531, 0.17010937], atol=3e-6)  # as printed there, to its tolerance
    assert r.multipliers.shape == (4,)
    r = minimize(
        lambda x, a: (x[0] - a) ** 2 + x[1] ** 2,
        [0, 0],
        args=3,
        constraints={"type": "INEQ", "fun": lambda x, b: b - x[0], "args": 2, "jac": lambda x, b: np.array([-1.0, 0])},
        options={"ftol": 1e-6, "disp": False},
    )
    assert_allclose(r.x, [2, 0], atol=1e-15)
    assert_allclose(minimize(quadratic, [0, 0], constraints=LinearConstraint([1, 1], 1, 1)).x, [-0.25, 1.25])
    with pytest.warns(UserWarning, match="maxfun"):
        minimize(quadratic, [0.0, 0.0], options={"maxfun": 10})


def test_a_multiplier_is_the_change_of_f_with_the_level():
    def lowest(level):
        c = [{"type": "ineq", "fun": lambda x: x[0] * x[1] - level}]
        return minimize(lambda x: x[0] ** 2 + 4 * x[1] ** 2, [3.0, 1.0], constraints=c, bounds=[(0, None)] * 2)

    h = 1e-4
    assert_allclose(lowest(2.0).multipliers[0], (lowest(2 + h).fun - lowest(2 - h).fun) / (2 * h), rtol=1e-7)


def test_constraints_that_cannot_be_met():
    inside = lambda x: -1 - x[0] ** 2 - x[1] ** 2  # noqa: E731
    for constraints, bounds in (
        (at_least_zero(lambda x: x[0] - 5, lambda x: 3 - x[0]), None),
        (at_least_zero(lambda x: x[0] + x[1] - 5), [(0, 1), (0, 1)]),
        (at_least_zero(inside), None),
        (equations(lambda x: x[0] - 3), [(0, 1), (0, 1)]),
    ):
        r = minimize(quadratic, [0.0, 0.0], constraints=constraints, bounds=bounds)
        assert not r.success
        assert "contradict" in r.message
        assert "constraints[0] is off by" in r.message


def test_no_smallest_value():
    r = minimize(lambda x: -x[0] - x[1], [1.0, 1.0], constraints=at_least_zero(lambda x: x[0]))
    assert not r.success
    assert "no smallest value" in r.message


def test_no_multipliers():
    """HS13, and a constraint without a gradient where it holds."""
    cubic = at_least_zero(lambda x: (1 - x[0]) ** 3 - x[1])
    r = minimize(lambda x: (x[0] - 2) ** 2 + x[1] ** 2, [-2.0, -2], constraints=cubic, bounds=[(0, None)] * 2)
    assert not r.success
    assert "multipliers" in r.message
    assert_allclose(r.x, [1, 0], atol=1e-3)
    point = at_least_zero(lambda x: -(x[0] ** 2) - x[1] ** 2)
    r = minimize(lambda x: x[0] + x[1], [1.0, 1.0], constraints=point)
    assert not r.success
    assert "multipliers" in r.message


def test_the_same_constraint_twice_and_more_than_variables():
    r = minimize(quadratic, [2.0, 0.0], constraints=[TRIANGLE[0], TRIANGLE[0], TRIANGLE[1]])
    assert_allclose(r.x, [1.4, 1.7])
    corner = at_least_zero(lambda x: -x[0], lambda x: -x[1], lambda x: -x[0] - x[1], lambda x: -2 * x[0] - x[1])
    r = minimize(quadratic, [-1.0, -2.0], constraints=corner)
    assert r.success
    assert_allclose(r.x, [0, 0], atol=1e-12)
    assert np.all(r.multipliers >= 0)


def test_where_f_is_not_defined():
    """Beyond the constraints f is NaN, or raises: a step too long."""
    r = minimize(
        lambda x: -np.log(x[0]) - np.log(1 - x[0]) + x[1] ** 2,
        [0.2, 3.0],
        constraints=at_least_zero(lambda x: x[0], lambda x: 1 - x[0]),
    )
    assert_allclose(r.x, [0.5, 0], atol=1e-9)
    r = minimize(
        lambda x: math.exp(x[0]) + math.exp(-x[0]) * x[1] ** 2 + x[1],
        [1.0, 1.0],
        constraints=at_least_zero(lambda x: math.sqrt(x[0]) - 0.5),
        bounds=[(0, 4), (None, None)],
    )
    assert r.success
    assert r.derivatives == "finite differences"
    assert_allclose(r.x, [0.25, -math.exp(0.25) / 2], rtol=1e-6)
    with pytest.raises(ValueError, match="start elsewhere"):
        minimize(lambda x: np.log(x[0]), [-1.0, 0.0], constraints=TRIANGLE)


def test_units_do_not_matter():
    def scaled(s, t, u):
        return minimize(
            lambda x: u * quadratic([x[0] * s, x[1] * t]),
            [2 / s, 0.0],
            constraints=at_least_zero(lambda x: 7 * (x[0] * s - 2 * x[1] * t + 2), lambda x: -x[0] * s - x[1] * t + 6),
        )

    for s, t, u in ((2.0**30, 2.0**-30, 2.0**-60), (1.0, 2.0**40, 2.0**50)):
        r = scaled(s, t, u)
        assert r.success
        assert_allclose(r.x * [s, t], [1.4, 1.7], rtol=1e-12)


def test_linear_programs_and_flat_minima():
    r = minimize(
        lambda x: -x[0] + 4 * x[1],
        [0.0, 0.0],
        constraints=LinearConstraint([[-3, 1], [1, 2]], -np.inf, [6, 4]),
        bounds=[(None, None), (-3, None)],
    )
    assert_allclose(r.x, [10, -3])
    assert_allclose(r.multipliers, [0, -1], atol=1e-12)
    assert_allclose(r.bound_multipliers, [0, 6], atol=1e-12)
    flat = LinearConstraint([1, 1], -np.inf, 1)
    r = minimize(lambda x: -x[0] - x[1], [0.0, 0.0], constraints=flat, bounds=[(0, None)] * 2)
    assert r.success
    assert r.kind == "degenerate"
    assert_allclose(r.fun, -1)


def test_a_saddle_is_left():
    c = at_least_zero(lambda x: 5 - x[0] - x[1])
    r = minimize(lambda x: x[0] ** 2 - x[1] ** 2, [0.0, 0.0], bounds=[(-1, 1)] * 2, constraints=c)
    assert r.success
    assert_allclose(np.abs(r.x), [0, 1], atol=1e-12)


def test_steps_are_seen_and_stopped():
    seen = []
    r = minimize(quadratic, (2, 0), constraints=TRIANGLE, callback=seen.append, options={"return_all": True})
    assert len(seen) > 1
    assert len(r.allvecs) == len(seen) + 1

    def stop(x):
        raise StopIteration

    for constraints in (TRIANGLE, equations(lambda x: x[0] * x[1] - 1)):
        r = minimize(quadratic, (2, 0.5), constraints=constraints, callback=stop)
        assert not r.success
        assert "callback" in r.message
    assert not minimize(quadratic, (2, 0), constraints=TRIANGLE, options={"maxiter": 0}).success


def test_what_is_wrong_is_named():
    for constraints, says in (
        (LinearConstraint(np.ones((1, 3)), 0, 1), "one column for each of the 2"),
        (LinearConstraint(np.ones((1, 2)), 2, 1), "lb must not be above"),
        ([Bounds(0, 1)], "give them as bounds="),
        ({"type": "inequality", "fun": quadratic}, "'ineq'"),
        ({"type": "ineq"}, "has no 'fun'"),
        ([3], r"constraints\[0\] must be"),
        ({"type": "ineq", "fun": lambda x: x[0] > 1}, "True or False"),
        (NonlinearConstraint(lambda x: x, [0, 0, 0], 1), "gives 2 numbers"),
        ({"type": "ineq", "fun": quadratic, "jac": lambda x: np.ones(3)}, r"jac of constraints\[0\]"),
    ):
        with pytest.raises((ValueError, TypeError), match=says):
            minimize(quadratic, [0.0, 0.0], constraints=constraints)
    with pytest.raises(ValueError, match="has none"):
        minimize(quadratic, [0.0, 0.0], constraints=TRIANGLE, method="gd")
    wrong = {"type": "ineq", "fun": lambda x: x[0] - 2 * x[1] + 2, "jac": lambda x: np.array([1.0, 2.0])}
    with pytest.warns(UserWarning, match=r"jac of constraints\[0\] is not the derivative"):
        minimize(quadratic, (2, 0), constraints=wrong, options={"maxiter": 2})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        minimize(quadratic, (2, 0), constraints=TRIANGLE)


def test_what_other_solvers_call_a_success():
    """Problems that cannot be met, which SciPy's methods, some versions of them, end with success; and one that can."""
    walls = np.concatenate([np.eye(2), -np.eye(2)])
    square = {"type": "ineq", "fun": lambda x: walls @ x - 1}
    sides = {"type": "ineq", "fun": lambda x: -x[0] - x[1] - 3}, {"type": "ineq", "fun": lambda x: x[1] + x[2] - 2}
    line = {"type": "eq", "fun": lambda x: x[0] + x[1] - 1}, {"type": "ineq", "fun": lambda x: x[0] - 2}
    for f, x0, bounds, constraints in (
        (lambda x: 1, [-1.9, -0.6, -0.8], [(-2, 2)] * 3, sides),
        (lambda x: x @ x, [0.0, 0.0], None, square),
        (lambda x: x @ x, [1.0, 2.0], [(0, None)] * 2, line),
    ):
        r = minimize(f, x0, bounds=bounds, constraints=constraints)
        assert not r.success
        assert "contradict" in r.message
    found = minimize(
        lambda x: x[7],
        [1, 1, 0, 0, 1, 0, 1, 1],
        constraints=[
            {
                "type": "eq",
                "fun": lambda x: x[2] * x[4] - x[2] * x[0] - x[3] ** 2 - x[4] * x[0] + x[0] ** 2 - x[5] ** 2,
            },
            {"type": "eq", "fun": lambda x: np.sqrt(x[3] ** 2 + x[5] ** 2) - x[6]},
            {"type": "ineq", "fun": lambda x: x[7] - x[6]},
            {"type": "ineq", "fun": lambda x: x[6] - 1e-3},
        ],
    )
    assert found.success
    assert_allclose(found.fun, 1e-3)


def test_what_fades_away_has_no_smallest_value():
    """Minus infinity is no minimum, nor is what fades away."""
    half = {"type": "ineq", "fun": lambda v: v[0] - v[1]}
    for f in (
        lambda v: -np.exp(v[0]),
        lambda v: np.exp(-v[0]),
        lambda v: np.exp(-v[0] - v[1]),
        lambda v: -np.exp(v[0]) + v[1] ** 2,
        lambda v: 1 / v[0],
        lambda v: -np.log(v[0]),
    ):
        r = minimize(f, [1.0, 1.0], constraints=half)
        assert not r.success
        assert "no smallest value" in r.message
    r = minimize(lambda v: np.exp(-v[0]), [1.0, 1.0])
    assert not r.success
    # Held by a constraint it has one.
    r = minimize(lambda v: np.exp(-v[0]), [1.0, 1.0], constraints={"type": "ineq", "fun": lambda v: 10 - v[0]})
    assert r.success
    assert abs(r.x[0] - 10) < 1e-9


def test_minima_inside_are_certified(rng):
    """Where no constraint pushes, all of the gradient is left, be it 1e-17: the search used to say that it had not
    converged in one of eight of these."""
    for _ in range(60):
        n = int(rng.integers(2, 6))
        a, slope, rows = rng.normal(size=(n, n)), rng.normal(size=n), rng.normal(size=(2, n))
        q = a @ a.T + np.eye(n)
        sides = rows @ np.linalg.solve(q, -slope) + rng.uniform(0.01, 2, 2)
        inside = {"type": "ineq", "fun": lambda v, rows=rows, sides=sides: sides - rows @ v}
        start = np.zeros(n) if np.all(sides >= 0) else np.linalg.lstsq(rows, sides - 1, rcond=None)[0]
        found = minimize(lambda v, q=q, slope=slope: 0.5 * v @ q @ v + slope @ v, start, constraints=inside)
        assert found.success, found.message
        assert found.residual < 1e-9
        assert_allclose(found.x, np.linalg.solve(q, -slope), rtol=1e-9, atol=1e-9)
