"""Points of Lagrange: Hock and Schittkowski's problems, multipliers, verdicts, and constraints that go wrong."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
from hock_schittkowski import PROBLEMS
from numpy.testing import assert_allclose

from mmlfast.autodiff import grad, hessian, jacobian
from mmlfast.optimize import lagrange, minimize
from mmlfast.optimize._kkt import Problem


def circle(v):
    return v[0] ** 2 + v[1] ** 2 - 1


def conditions(f, c, x, multipliers):
    """The gradient of the Lagrangian relative to that of f, and the curvatures along the constraints."""
    a = np.concatenate([np.reshape(jacobian(one)(x), (-1, len(x))) for one in c])
    g = grad(f)(x)
    left = np.abs(g - multipliers @ a).max() / max(np.abs(g).max(), np.abs(multipliers[:, None] * a).max(), 1e-300)
    h, at = hessian(f)(x), 0
    for one in c:
        value = np.reshape(one(x), -1)
        for k in range(len(value)):
            h = h - multipliers[at] * hessian(lambda v, one=one, k=k: np.reshape(one(v), (-1,))[k])(x)
            at += 1
    _, s, vt = np.linalg.svd(a)
    z = vt[int(np.sum(s > 1e-9)) :].T
    return left, np.linalg.eigvalsh(z.T @ h @ z) if z.size else np.empty(0)


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: f"HS{p.number}")
def test_hock_schittkowski(problem):
    for r in (minimize(problem.f, problem.x0, constraints=problem.c), lagrange(problem.f, problem.c, problem.x0)):
        assert r.success, r.message
        assert_allclose(r.fun, problem.value, rtol=1e-8, atol=1e-9)
        assert r.derivatives == "exact"
        assert np.abs(r.constraints).max() < 1e-9
        left, curvatures = conditions(problem.f, problem.c, r.x, r.multipliers)
        if problem.value != 0:  # else the gradient vanishes with f
            assert left < 1e-8
        assert r.kind == "minimum" if np.all(curvatures > 1e-6) else r.kind in ("minimum", "degenerate")


def test_all_points_and_their_kinds():
    r = lagrange(lambda v: v[0] * v[1], circle, [0.3, 0.4])
    assert [p.kind for p in r.points] == ["minimum", "minimum", "maximum", "maximum"]
    assert_allclose([p.fun for p in r.points], [-0.5, -0.5, 0.5, 0.5])
    assert_allclose([p.multipliers[0] for p in r.points], [-0.5, -0.5, 0.5, 0.5])
    for p in r.points:
        left, curvatures = conditions(lambda v: v[0] * v[1], [circle], p.x, p.multipliers)
        assert left < 1e-12
        assert (curvatures > 0).all() == (p.kind == "minimum")
        assert p.inertia == ((2, 1, 0) if p.kind == "minimum" else (1, 2, 0))


def test_a_saddle_on_a_sphere():
    r = lagrange(lambda v: v[0] ** 2 + 2 * v[1] ** 2 + 3 * v[2] ** 2, lambda v: np.sum(v**2) - 1, [0.5, 0.4, 0.3])
    kinds = {round(p.fun, 6): p.kind for p in r.points}
    assert kinds[1.0] == "minimum"
    assert kinds[3.0] == "maximum"
    assert kinds.get(2.0, "saddle") == "saddle"
    for p in r.points:
        assert_allclose(p.multipliers, p.fun, rtol=1e-9)  # of a quadratic form, the eigenvalue


def test_the_multiplier_is_the_price_of_the_constraint():
    def best(level):
        return lagrange(lambda v: v[0] ** 2 + 3 * v[1] ** 2, lambda v: v[0] + v[1] - level, [1.0, 1.0], max_points=1)

    assert_allclose((best(2.001).fun - best(1.999).fun) / 0.002, best(2.0).multipliers[0], rtol=1e-6)


def test_the_same_constraint_twice():
    c = [lambda v: v[0] + v[1] - 3, lambda v: 2 * v[0] + 2 * v[1] - 6]
    r = lagrange(lambda v: (v[0] - 2) ** 2 + (v[1] - 3.5) ** 2, c, [0.0, 0.0])
    assert r.success
    assert_allclose(r.x, [0.75, 2.25], rtol=1e-12)
    assert "not unique" in r.message
    assert_allclose(r.multipliers @ [1, 2], -2.5)


def test_a_flat_objective_beside_large_numbers():
    r = lagrange(lambda v: -(0.04 * v[0] ** 0.6 + 0.5 * v[1] ** 0.4), lambda v: v[0] + v[1] - 8000, [4000.0, 4000.0])
    assert r.success
    assert_allclose(r.x, [2202.17158, 5797.82842], rtol=1e-8)


def test_constraints_that_contradict_each_other():
    for c in (
        [lambda v: v[0] - 1, lambda v: v[0] - 2],
        [lambda v: v[0] - 1, lambda v: v[1] - 2, lambda v: v[0] + v[1] - 4],
        [lambda v: v[0] ** 2 + v[1] ** 2 + 1],
    ):
        r = lagrange(lambda v: np.sum((v - 0.3) ** 2), c, [0.5, 0.7])
        assert not r.success
        assert "contradict" in r.message


def test_more_constraints_than_variables():
    c = [lambda v: v[0] - 1, lambda v: v[1] - 2, lambda v: v[0] + v[1] - 3]
    r = lagrange(lambda v: np.sum(v**2), c, [0.0, 0.0])
    assert r.success
    assert_allclose(r.x, [1, 2], rtol=1e-12)


def test_a_gradient_that_vanishes_where_the_constraint_holds():
    r = lagrange(lambda v: (v[0] - 1) ** 2 + (v[1] - 2) ** 2, lambda v: v[0] ** 2 + v[1] ** 2, [1.0, 1.0])
    assert not r.success
    assert "no multipliers" in r.message
    assert_allclose(r.x, 0, atol=1e-4)


@pytest.mark.parametrize("f", [lambda v: v[0] + v[1], lambda v: v[0] - 3 * v[1] + 1])
def test_a_gradient_that_vanishes_is_told_by_linear_objectives_too(f):
    """It once came out as a maximum, 7e-9 beside the point, with a multiplier of 7e7."""
    r = lagrange(f, lambda v: v[0] ** 2 + v[1] ** 2, [1.0, 1.0])
    assert not r.success
    assert not r.points


def test_constraints_that_touch():
    c = [circle, lambda v: (v[0] - 2) ** 2 + v[1] ** 2 - 1]
    r = lagrange(lambda v: v[1], c, [0.5, 0.5])
    assert not r.success
    assert "no multipliers" in r.message
    assert_allclose(r.x, [1, 0], atol=1e-5)


def test_without_a_smallest_value():
    for f in (lambda v: v[0] + v[1] ** 3, lambda v: v[0] + v[1]):
        r = lagrange(f, lambda v: v[0] - v[1], [1.0, 1.0])
        assert not r.success, r.message
        assert r.message.startswith("not converged")


@pytest.mark.parametrize("f", [lambda v: v[0] + v[1], lambda v: v[0] ** 2 + 3 * v[1] ** 2])
def test_started_where_the_constraint_has_no_gradient(f):
    r = lagrange(f, circle, [0.0, 0.0])
    assert r.success
    assert_allclose(circle(r.x), 0, atol=1e-12)
    assert_allclose(r.fun, min(f(np.array([np.cos(t), np.sin(t)])) for t in np.linspace(0, 7, 2000)), rtol=1e-4)


def test_units_do_not_matter():
    s, t = np.array([2.0**30, 2.0**-20]), 2.0**-25
    plain = lagrange(lambda v: v[0] + 2 * v[1], circle, [0.5, 0.5], max_points=2)
    scaled = lagrange(lambda v: t * (v[0] / s[0] + 2 * v[1] / s[1]), lambda v: 8 * circle(v / s), 0.5 * s, max_points=2)
    assert_allclose(scaled.x / s, plain.x, rtol=1e-12)
    assert_allclose(scaled.multipliers * 8 / t, plain.multipliers, rtol=1e-9)
    assert abs(scaled.nit - plain.nit) <= 1  # the last one is rounding


def test_plain_functions():
    r = lagrange(lambda v: float(v[0]) + float(v[1]), lambda v: float(v[0]) ** 2 + float(v[1]) ** 2 - 1, [0.5, -0.2])
    assert r.success, r.message
    assert r.derivatives == "finite differences"
    assert "cannot be traced" in r.message
    assert_allclose(r.x, -np.sqrt(0.5), rtol=1e-6)


def test_bad_arguments():
    with pytest.raises(ValueError, match="constraints is empty"):
        lagrange(circle, [], [0.0, 0.0])
    with pytest.raises(TypeError, match=r"constraints\[0\] must be a function"):
        lagrange(circle, [3], [0.0, 0.0])
    with pytest.raises(ZeroDivisionError):
        lagrange(circle, lambda v: 1 // 0, [0.0, 0.0])
    with pytest.raises(ValueError, match="not finite at x0"):
        lagrange(lambda v: np.log(v[0]), lambda v: v[0] + v[1], [-1.0, 0.0])


def test_equations_as_scipy_has_them():
    def f(v):
        return v[0] ** 2 + v[1] ** 2

    for c in ({"type": "eq", "fun": lambda v: v[0] + v[1] - 1}, scipy.optimize.LinearConstraint([1, 1], 1, 1)):
        assert_allclose(lagrange(f, c, [0.0, 3.0]).x, [0.5, 0.5])
    with pytest.raises(ValueError, match="minimize takes both"):
        lagrange(f, {"type": "ineq", "fun": lambda v: v[0]}, [0.0, 3.0])
    with pytest.raises(ValueError, match="constraints is empty"):
        lagrange(f, None, [0.0, 3.0])


def test_the_compiled_search_goes_the_way_of_the_one_in_python(monkeypatch):
    """Steps, point and multipliers, in variables of other units; what is out of the ordinary it leaves alone."""
    found = {}
    for is_compiled in (True, False):
        if not is_compiled:
            monkeypatch.setattr(Problem, "compiled_minimum", lambda *_: None)
        random = np.random.default_rng(3)
        for k in range(40):
            n = int(random.integers(2, 8))
            m = int(random.integers(1, n))
            a, b, rows = random.standard_normal((n, n)), random.standard_normal(n), random.standard_normal((m, n))
            w = 10.0 ** random.integers(-3, 4, n)
            a = a @ a.T + np.eye(n) * random.choice([0.1, -2.0])

            def f(v, a=a, b=b, w=w):
                return (v * w) @ a @ (v * w) / 2 + b @ (v * w) + 0.1 * np.sum((v * w) ** 4)

            def c(v, rows=rows, w=w, bent=0.2 * (k % 3)):
                return rows @ (v * w) - 1 + bent * np.sin(v[0] * w[0]) * v[1] * w[1]

            found[k, is_compiled] = minimize(f, random.standard_normal(n) / w, constraints=c), w
    for k in range(40):
        (fast, w), (slow, _) = found[k, True], found[k, False]
        assert (fast.success, fast.kind) == (slow.success, slow.kind)
        assert abs(fast.nit - slow.nit) <= 6  # one of them meets a saddle on its way
        assert_allclose(fast.x * w, slow.x * w, rtol=1e-9, atol=1e-9)
        assert_allclose(fast.multipliers, slow.multipliers, rtol=1e-7, atol=1e-8)


def test_what_is_out_of_the_ordinary_is_not_compiled():
    def nearest(v):
        return (v[0] - 2) ** 2 + (v[1] - 3.5) ** 2

    once, twice = Problem(nearest, [(_line, (), None)], np.zeros(2), ()), _twice(nearest)
    assert once.compiled_minimum(np.zeros(2), 100) is not None
    assert twice.compiled_minimum(np.zeros(2), 100) is None  # gradients depend on each other
    nearly = Problem(
        nearest, [(_line, (), None), (lambda v: _line(v) + 1e-8 * (v[0] - 0.75), (), None)], np.zeros(2), ()
    )
    assert nearly.compiled_minimum(np.zeros(2), 100) is None
    assert once.compiled_minimum(np.zeros(2), 0) is None  # no step is allowed
    saddle = Problem(lambda v: -nearest(v), [(_line, (), None)], np.zeros(2), ())
    assert saddle.compiled_minimum(np.zeros(2), 100) is None


def _line(v):
    return v[0] + v[1] - 3


def _twice(f):
    return Problem(f, [(_line, (), None), (lambda v: 2 * _line(v), (), None)], np.zeros(2), ())


@pytest.mark.filterwarnings("ignore")
def test_products_of_powers_under_a_budget(rng):
    """The classical example of economics: the largest product is where each gets its share of the budget, and there is
    no smallest one. On the way to none, points used to be called stationary where the slope is plain to see."""
    for _ in range(30):
        n = int(rng.integers(2, 5))
        powers, prices = rng.uniform(0.1, 1, n), rng.uniform(0.5, 5, n) * 10.0 ** rng.integers(-3, 4, n)
        shares = powers / powers.sum() * 60 / prices
        found = lagrange(
            lambda v, e=powers: np.prod(v**e), lambda v, p=prices: p @ v - 60, shares * rng.uniform(0.3, 2, n)
        )
        (largest,) = [point for point in found.points if point.fun > 1e-9 * np.prod(shares**powers)]
        assert largest.kind == "maximum"
        assert_allclose(largest.x, shares, rtol=1e-7)
