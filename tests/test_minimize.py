"""minimize: solved problems, units, starts, what is told."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import scipy.optimize
from numpy.testing import assert_allclose, assert_array_equal
from problems import PROBLEMS, booth, extended_rosenbrock, goldstein_price, himmelblau, rosenbrock

from mmlfast.autodiff import grad, hessian
from mmlfast.optimize import _minimize, least_squares, minimize, newton, newton_many
from mmlfast.optimize._objective import Objective

# Where a method, from the start of the set, ends in a place from which it says that it is no minimum.
TOLD = {("Biggs", "newton"), ("Goldstein and Price", "bfgs")}


@pytest.mark.parametrize("method", ["newton", "bfgs", None])
@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.name)
def test_more_garbow_hillstrom(problem, method):
    r = minimize(problem.f, problem.x0, method=method)
    assert r.derivatives == "exact"
    if (problem.name, method) in TOLD:
        assert not r.success
        assert "saddle" in r.message or "not enough" in r.message
        return
    assert r.success, r.message
    nearest = min(problem.minima, key=lambda value: abs(value - r.fun))
    assert abs(r.fun - nearest) <= 1e-8 * max(nearest, 1e-7)
    assert_allclose(r.fun, problem.f(r.x), rtol=1e-9, atol=1e-20)


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.name)
def test_never_worse_than_scipy(problem):
    gradient = grad(problem.f)
    peer = scipy.optimize.minimize(problem.f, problem.x0, jac=lambda x: gradient(np.asarray(x)), method="BFGS")
    ours = minimize(problem.f, problem.x0)
    assert ours.fun <= peer.fun + 1e-8 * max(abs(peer.fun), 1e-7)


@pytest.mark.parametrize("n", [2, 10, 100, 1000])
def test_rosenbrock(n):
    r = minimize(extended_rosenbrock, np.tile([-1.2, 1.0], n // 2))
    assert r.success
    assert_allclose(r.x, 1, rtol=1e-12)
    chained = minimize(rosenbrock, np.full(n, 0.9))
    assert chained.success
    assert_allclose(chained.x, 1, rtol=1e-10)
    assert scipy.sparse.issparse(chained.hess) == (n >= 100)


def test_a_large_dense_hessian():
    """Column by column, not by a tape of all entries."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((120, 60)), rng.standard_normal(120)

    def f(x):
        return np.sum(np.log1p((a @ x - b) ** 2))

    r = minimize(f, np.zeros(60))
    assert r.success
    assert_allclose(r.hess, hessian(f)(r.x), rtol=1e-9, atol=1e-9)
    assert_allclose(minimize(f, np.zeros(60), method="bfgs").fun, r.fun, rtol=1e-12)


# ---- units ----


@pytest.mark.parametrize("method", ["newton", "bfgs", "gd"])
def test_a_small_objective(method):
    r = minimize(lambda v: 1e-12 * ((v[0] - 3) ** 2 + 10 * (v[1] + 1) ** 2), [0, 0], method=method)
    assert r.success
    assert_allclose(r.x, [3, -1], rtol=1e-9)


@pytest.mark.parametrize("method", ["newton", "bfgs"])
def test_scaled_problems_take_the_same_steps(method):
    scales = np.array([2.0**20, 2.0**-33])

    def plain(v):
        return rosenbrock(v)

    def scaled(v):
        return 2.0**-40 * rosenbrock(v / scales)

    a = minimize(plain, [-1.2, 1.0], method=method, options={"return_all": True})
    b = minimize(scaled, np.array([-1.2, 1.0]) * scales, method=method, options={"return_all": True})
    assert a.nit == b.nit
    for x, y in zip(a.allvecs, b.allvecs, strict=True):
        assert_allclose(y / scales, x, rtol=1e-6)
    assert_allclose(b.x / scales, 1, rtol=1e-10)


@pytest.mark.parametrize("method", ["newton", "bfgs"])
def test_far_from_the_origin(method):
    r = minimize(lambda v: np.sum((v - 1.7e9) ** 2 * np.array([1.0, 3.0])) + 5, [1.7e9 + 50, 1.7e9 - 3], method=method)
    assert r.success
    assert_allclose(r.x, 1.7e9, rtol=1e-15)


def test_integer_starts_are_floats():
    for x0 in ([-1, 2], np.array([-1, 2]), np.array([-1.0, 2.0]), (-1, 2)):
        assert_array_equal(minimize(rosenbrock, x0).x, minimize(rosenbrock, [-1.0, 2.0]).x)


# ---- where derivatives come from ----


def by_numbers(v):
    x, y = float(v[0]), float(v[1])
    return (1 - x) ** 2 + 100 * (y - x * x) ** 2


@pytest.mark.parametrize("method", ["newton", "bfgs", None])
def test_plain_functions(method):
    r = minimize(by_numbers, [-1.2, 1.0], method=method)
    assert r.success, r.message
    assert r.derivatives == "finite differences"
    assert "cannot be traced" in r.message
    assert_allclose(r.x, 1, rtol=1e-6)


def test_given_derivatives():
    r = minimize(rosenbrock, [-1.2, 1.0], jac=grad(rosenbrock), hess=hessian(rosenbrock), method="newton")
    assert r.success
    assert r.derivatives == "given"
    assert_allclose(r.x, 1, rtol=1e-12)
    with pytest.warns(UserWarning, match="jac is not the derivative of fun"):
        minimize(rosenbrock, [-1.2, 1.0], jac=lambda x: 1.01 * grad(rosenbrock)(x), method="bfgs")
    with pytest.raises(ValueError, match="jac"):
        minimize(rosenbrock, [-1.2, 1.0], jac=lambda x: np.ones(3))


def test_side_effects_are_seen_and_kept():
    calls = []

    def f(x):
        calls.append(np.array(x))
        return np.sum((x - 2) ** 2)

    r = minimize(f, [0.0, 0.0])
    assert r.success
    assert r.derivatives == "finite differences"
    assert all(c.dtype == np.float64 for c in calls)
    assert len(calls) > 3


def test_what_changes_is_seen():
    target = {"at": 2.0}

    def f(x):
        return np.sum((x - target["at"]) ** 2)

    assert_allclose(minimize(f, [0.0]).x, 2)
    target["at"] = 5.0
    assert_allclose(minimize(f, [0.0]).x, 5)
    assert_allclose(minimize(lambda x, a, p: np.sum((x - a) ** p), [0.0], args=(3.0, 2)).x, 3)


# ---- what is told ----


def test_a_saddle_is_left_or_told():
    def f(v):
        return v[0] ** 4 / 4 - v[0] ** 2 / 2 + v[1] ** 2

    r = minimize(f, [0.0, 1.0], method="newton")  # on the ridge
    assert r.success
    assert_allclose(np.abs(r.x), [1, 0], atol=1e-12)
    r = minimize(f, [0.0, 1.0], method="bfgs")
    assert not r.success
    assert "saddle" in r.message


@pytest.mark.parametrize("method", ["newton", "bfgs", "gd"])
def test_without_a_minimum(method):
    for f in (lambda v: v[0] + v[1] ** 2, lambda v: -np.sum(v**2), lambda v: v[0] ** 3 - v[1]):
        r = minimize(f, [0.3, 0.7], method=method, options={"maxiter": 100})
        assert not r.success
        assert r.message.startswith("not converged")


def test_not_finite():
    with pytest.raises(ValueError, match="at x0"):
        minimize(lambda v: np.log(v[0]), [-1.0], method="newton")
    with pytest.raises(ValueError, match="at x0"):
        minimize(lambda v: np.log(v[0]), [-1.0], method="bfgs")
    with pytest.raises(ValueError, match=r"x0\[1\] is nan"):
        minimize(rosenbrock, [0.0, np.nan])
    for method in ("newton", "bfgs"):  # on the way it is only a step too long
        r = minimize(lambda v: v[0] - np.log(v[0]), [0.01], method=method)
        assert r.success
        assert_allclose(r.x, 1, rtol=1e-10)


def test_kinks_and_noise_are_told():
    for method in ("newton", "bfgs", None):
        r = minimize(lambda v: np.abs(v[0] - 1) + np.abs(v[1]), [3.0, 4.0], method=method)
        assert not r.success
        assert "kink" in r.message or "no point" in r.message
    rng = np.random.default_rng(0)
    r = minimize(lambda v: np.sum(v**2) + 1e-3 * rng.random(), [3.0, 1.0])
    assert not r.success
    assert "other numbers for the same x" in r.message


@pytest.mark.parametrize("method", ["newton", "bfgs"])
def test_from_far_away(method):
    r = minimize(lambda v: np.exp(v[0]) + np.exp(-v[0]), [300.0], method=method)
    assert r.success
    assert_allclose(r.x, 0, atol=1e-12)


def test_outside_of_the_domain_of_pythons_math():
    r = minimize(lambda v: v[0] - math.log(v[0]), [5.0])
    assert r.success
    assert_allclose(r.x, 1, rtol=1e-6)
    with pytest.raises(ValueError, match="of their own"):
        minimize(lambda v: v[0] ** 2 if v[0] > 0.5 else int("of their own"), [5.0], method="bfgs", jac=lambda v: 2 * v)


def test_differences_far_from_the_origin():
    r = minimize(lambda v: -math.exp(-0.5 * ((float(v[0]) - 1.7e9 - 117) / 14) ** 2), [1.7e9 + 110])
    assert r.success
    assert_allclose(r.x - 1.7e9, 117, atol=1e-3)


def test_what_fun_raises_comes_through():
    with pytest.raises(KeyError, match="nothing"):
        minimize(lambda v: {}["nothing"], [1.0])
    with pytest.raises(TypeError, match="is a return missing"):
        minimize(lambda v: None, [1.0])
    with pytest.raises(ValueError, match="one number"):
        minimize(lambda v: v, [1.0, 2.0])


def test_a_flat_minimum():
    r = minimize(lambda v: np.sum(v**4), [1.0, 2.0])
    assert r.success
    assert_allclose(r.x, 0, atol=1e-6)
    assert minimize(lambda v: 0 * v[0] + 3, [1.0]).success  # everywhere the same


# ---- options ----


def test_bounds():
    r = minimize(himmelblau, [0.0, 0.0], bounds=[(-1, 2.5), (None, 1.5)])
    assert r.success
    peer = scipy.optimize.minimize(himmelblau, [0.0, 0.0], bounds=[(-1, 2.5), (None, 1.5)])
    assert_allclose(r.x, peer.x, rtol=1e-5)
    assert r.fun <= peer.fun + 1e-12
    inside = minimize(himmelblau, [2.0, 1.0], bounds=scipy.optimize.Bounds([-5, -5], [5, 5]))
    assert_allclose(inside.x, [3, 2], rtol=1e-12)
    with pytest.raises(ValueError, match="bounds"):
        minimize(booth, [0.0, 0.0], bounds=[(1, 0), (0, 1)])
    with pytest.raises(ValueError, match="bounds"):
        minimize(booth, [0.0, 0.0], bounds=[(0, 1), (0, 1)], method="bfgs")


def test_never_called_outside_of_bounds():
    def f(v):
        if not 0 <= v[0] <= 1:
            raise ValueError("outside")
        return (float(v[0]) - 2) ** 2

    r = minimize(f, [0.5], bounds=[(0, 1)])
    assert_allclose(r.x, 1)
    r = minimize(lambda v: np.sqrt(v[0]) + (v[1] - 3) ** 2, [0.5, 0.0], bounds=[(0, 1), (-1, 4)])
    assert_allclose(r.x, [0, 3], atol=1e-12)


def test_callback_and_options(capsys):
    seen = []
    r = minimize(rosenbrock, [-1.2, 1.0], callback=seen.append, options={"return_all": True, "disp": True})
    assert len(seen) == r.nit
    assert len(r.allvecs) == r.nit + 1
    assert_array_equal(r.allvecs[-1], r.x)
    assert "converged" in capsys.readouterr().out

    def stop(x):
        raise StopIteration

    for method in ("newton", "bfgs"):
        r = minimize(rosenbrock, [-1.2, 1.0], callback=stop, method=method)
        assert not r.success
        assert r.nit == 1
        assert "callback" in r.message
        r = minimize(rosenbrock, [-1.2, 1.0], method=method, options={"maxiter": 3})
        assert r.nit == 3
        assert not r.success
    whole = []
    minimize(booth, [0.0, 0.0], callback=lambda intermediate_result: whole.append(intermediate_result.fun))
    assert whole


def test_refused_by_name():
    for options, says in (
        ({"method": "simplex"}, "method"),
        ({"hessp": 3}, "hessp"),
        ({"method": "Nelder-Mead"}, "without derivatives"),
        ({"options": {"max_steps": 5}}, "max_steps"),
        ({"constraints": [3]}, "constraints"),
    ):
        with pytest.raises((ValueError, TypeError), match=says):
            minimize(booth, [0.0, 0.0], **options)


def test_minima_of_known_functions():
    assert_allclose(minimize(booth, [0.0, 0.0]).x, [1, 3], rtol=1e-14)
    r = minimize(goldstein_price, [-0.1, -0.9])
    assert_allclose(r.x, [0, -1], atol=1e-9)
    assert_allclose(r.fun, 3, rtol=1e-12)
    for start, end in (([3, 1], [3, 2]), ([-3, 3], [-2.805118086952745, 3.131312518250573])):
        assert_allclose(minimize(himmelblau, start).x, end, rtol=1e-12)


def test_no_smallest_value_is_told():
    """Functions that fall for ever, to minus infinity or towards a value that they do not reach."""
    x = np.linspace(-1, 1, 20)
    separable = lambda b: np.sum(np.logaddexp(0, b[0] + b[1] * x) - (x > 0) * (b[0] + b[1] * x))  # noqa: E731
    for f, start in (
        (lambda v: -(v[0] ** 2), [1.0]),
        (lambda v: v[0], [1.0]),
        (lambda v: np.exp(-v[0]), [0.0]),
        (separable, [0.0, 0.0]),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            r = minimize(f, start)
        assert not r.success
        assert "no smallest value: " in r.message


def test_stationary_points_that_are_no_minima_are_left():
    """A monkey saddle, an inflection, and steps: the Hessian is zero there, and points beside it are lower."""
    for f, start in (
        (lambda v: v[0] ** 3 - 3 * v[0] * v[1] ** 2 + v[0] ** 4 + v[1] ** 4, [0.0, 0.0]),
        (lambda v: v[0] ** 3 + v[0] ** 4, [0.0]),
    ):
        r = minimize(f, start)
        assert r.success
        assert r.fun < -0.1
        assert r.kind == "minimum"
    for f in (lambda v: v[0] ** 3, lambda v: v[0] ** 3 + v[1] ** 2):
        r = minimize(f, [0.5, 0.5])
        assert not r.success
        assert r.fun < -1
    r = minimize(lambda v: np.round((v[0] - 10) ** 2, 1), [0.0])
    assert not r.success
    assert "lower" in r.message
    assert minimize(lambda v: (v[0] - 3) ** 10, [1.0]).success
    assert minimize(lambda v: (v[0] - v[1]) ** 2, [1.0, 2.0]).success


def test_what_else_scipy_takes():
    def h(x):
        return np.array([[1200 * x[0] ** 2 - 400 * x[1] + 2, -400 * x[0]], [-400 * x[0], 200.0]])

    r = minimize(rosenbrock, [-1.2, 1.0], hessp=lambda x, p: h(x) @ p, method="Newton-CG", options={"maxiter": None})
    assert_allclose(r.x, [1, 1], rtol=1e-12)
    states = []
    minimize(rosenbrock, [-1.2, 1.0], method="trust-constr", callback=lambda x, state: states.append(state.fun))
    assert states[-1] == minimize(rosenbrock, [-1.2, 1.0]).fun
    with pytest.raises(ValueError, match="x0 is empty"):
        minimize(rosenbrock, [])


def test_compiled_newton_takes_the_steps_of_the_one_that_is_written_out(monkeypatch):
    """Of few variables and a tape the iteration is compiled; of others, and with bounds, it is the one in Python."""
    cases = [
        (lambda x: np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2), np.full(6, -0.5)),
        (himmelblau, np.array([0.1, -3.0])),
        (lambda x: np.sum(np.sin(x) ** 2) + 0.1 * np.sum(x**2), np.array([9.0, -4.0, 0.3])),
        (lambda x: (x[0] + x[1] - 1) ** 2, np.array([5.0, 2.0])),
        (lambda x: x[0] ** 2 - x[1] ** 2 + x[1] ** 4, np.array([1.0, 1e-3])),
        (lambda x: np.exp(-x[0]) + x[1] ** 2, np.array([0.0, 1.0])),
        (lambda x: -np.sum(np.log(x)) + np.sum(x), np.array([0.01, 7.0, 2.0])),
        (lambda x: np.sum(x**4) + x[0], np.array([3.0, 0.5])),
    ]
    paths = []
    for written_out in (False, True):
        if written_out:
            monkeypatch.setattr(Objective, "small_programs", lambda _: None)
        for f, x0 in cases:
            seen = []
            r = minimize(f, x0, method="newton", callback=seen.append)
            paths.append((np.array(seen), r))
    for (compiled, r), (written, s) in zip(paths[: len(cases)], paths[len(cases) :], strict=True):
        n = min(len(compiled), len(written), 12)
        assert_allclose(compiled[:n], written[:n], rtol=1e-6, atol=1e-9)
        assert (r.success, r.kind, r.message) == (s.success, s.kind, s.message)
        assert_allclose(r.x, s.x, rtol=1e-6, atol=1e-9)
        assert abs(r.nit - s.nit) <= 3
        assert r.nfev - s.nfev == pytest.approx(0, abs=4)


@pytest.mark.parametrize("method", ["newton", "bfgs", "gd"])
def test_clear_minima_are_judged_as_by_eigenvalues(method, monkeypatch):
    """Without eigenvalues where a bound of the least one does; the other way says the same of all kinds of ends."""
    cases = [
        (rosenbrock, np.full(10, 0.5)),
        (himmelblau, np.array([0.1, -3.0])),
        (lambda x: x[0] ** 2 - x[1] ** 2 + x[1] ** 4, np.array([1.0, 0.0])),
        (lambda x: 1e-9 * x[0] ** 2 + x[1] ** 2, np.array([1.0, 2.0])),
        (lambda x: (x[0] + x[1] - 1) ** 2, np.array([5.0, 2.0])),
        (lambda x: np.exp(-x[0]) + x[1] ** 2, np.array([0.0, 1.0])),
        (lambda x: np.abs(x[0]) + x[1] ** 2, np.array([0.7, 1.0])),
        (lambda x: np.sum(x**4) + x[0], np.array([3.0, 0.5])),
        (lambda x: np.sum(x**3), np.array([0.5, 0.25])),
        (lambda x: np.sum((x - 3.0) ** 2), np.zeros(60)),
    ]
    ends, eigenvalues = [], []
    of_curvature = _minimize.curvature_of
    monkeypatch.setattr(_minimize, "curvature_of", lambda *given: eigenvalues.append(1) or of_curvature(*given))
    for by_eigenvalues in (False, True):
        if by_eigenvalues:
            monkeypatch.setattr(_minimize, "clear_minimum", lambda *_: None)
        eigenvalues.clear()
        minimize(*cases[1], method=method)
        assert bool(eigenvalues) == by_eigenvalues
        ends.append([minimize(f, x0, method=method) for f, x0 in cases])
    for quick, slow in zip(*ends, strict=True):
        assert (quick.success, quick.kind, quick.message) == (slow.success, slow.kind, slow.message)
        assert_array_equal(quick.x, slow.x)


def test_compiled_newton_stops_for_callbacks_limits_and_bad_starts():
    def stop(x):
        raise StopIteration

    r = minimize(himmelblau, [0.1, -3.0], method="newton", callback=stop)
    assert "callback" in r.message
    assert r.nit == 1
    assert "max_iter=2" in minimize(himmelblau, [0.1, -3.0], method="newton", options={"maxiter": 2}).message
    with pytest.raises(ZeroDivisionError):
        minimize(himmelblau, [0.1, -3.0], method="newton", callback=lambda x: 1 / 0)
    with pytest.raises(ValueError, match="start elsewhere"):
        minimize(lambda v: np.log(v[0]) + v[1], [-1.0, 0.0], method="newton")


# ---- functions with branches ----


def huber_by_hand(v):
    total = 0.0
    for r in (v[0] - 1, v[1] + 2, v[0] * v[1] - 0.3):
        total = total + (r * r / 2 if abs(r) < 1 else abs(r) - 0.5)
    return total


def leaky(v):
    w = v * 1
    w[w < 0] *= 0.1
    return np.sum((w - 1) ** 2)


def root_within(v):
    a, t = 1 + v[0] ** 2, 1.0
    while abs(t * t - a) > 1e-13 * a:
        t = (t + a / t) / 2
    return (t - 2) ** 2 + (v[1] - v[0]) ** 2


@pytest.mark.parametrize("method", ["newton", "bfgs", "gd"])
def test_functions_with_branches_have_exact_derivatives(method):
    """Differences of them ended early: a loop that takes one step more jumps by its last digits."""
    for f, expected in ((huber_by_hand, None), (leaky, [1, 1]), (root_within, [math.sqrt(3)] * 2)):
        r = minimize(f, [2.5, 1.3], method=method)
        assert r.success
        assert r.derivatives == "exact"
        assert "differences" not in r.message
        if expected is not None:
            assert_allclose(r.x, expected, rtol=1e-7)
        assert_allclose(r.jac, 0, atol=1e-7)
        assert_allclose(r.fun, f(r.x), rtol=1e-12, atol=1e-25)


def test_a_side_that_cannot_be_traced_is_told():
    def f(v):
        if v[0] > 1:
            return (v[0] - 0.25) ** 2 + v[1] ** 2
        return (float(str(v[0])) - 0.25) ** 2 + v[1] ** 2

    r = minimize(f, [2.0, 1.0])
    assert r.success
    assert r.derivatives == "finite differences"
    assert_allclose(r.x, [0.25, 0], atol=1e-6)


def test_roots_and_least_squares_of_functions_with_branches():
    def f(t):
        return t**3 - 2 if t > 0 else t - 1

    _, r = newton(f, 3.0, full_output=True)
    assert r.derivatives == "exact"
    assert abs(r.root - 2 ** (1 / 3)) < 1e-15
    assert_allclose(newton_many(f, [-2.0, 0.5, 3.0]).x, 2 ** (1 / 3), rtol=1e-15)

    def residuals(v):
        return np.array([v[0] - 1 if v[0] > 0 else 2 * v[0] - 1, v[1] - v[0] ** 2, v[0] * v[1] - 1])

    r = least_squares(residuals, [-2.0, 3.0])
    assert r.derivatives == "exact"
    assert r.success
    assert_allclose(r.x, [1, 1], rtol=1e-12)
