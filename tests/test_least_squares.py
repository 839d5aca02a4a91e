"""Least squares: the engine behind curve_fit and least_squares, beside its reference and closed forms."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import scipy.optimize
from numpy.testing import assert_allclose

from mmlfast import _core
from mmlfast._reference import least_squares as reference
from mmlfast.autodiff._recording import as_argument, record
from mmlfast.optimize import least_squares


def decay(t, a, tau):
    return a * np.exp(-t / tau)


T = np.linspace(0, 5, 20)
Y = 2 * np.exp(-T / 1.5) + 0.02 * np.cos(1.7 * np.arange(20) ** 2)


def residuals(p):
    return decay(T, *p) - Y


def jacobian(p):
    e = np.exp(-T / p[1])
    return np.stack([e, p[0] * e * T / p[1] ** 2], axis=1)


@pytest.mark.parametrize("loss", ["linear", "soft_l1", "huber", "cauchy"])
@pytest.mark.parametrize("upper", [None, 1.4])
def test_as_the_reference(loss, upper):
    lower, high = (None, None) if upper is None else (np.zeros(2), np.array([np.inf, upper]))
    model = reference.CallableResiduals(residuals, jacobian, 20)
    with np.errstate(all="ignore"):
        right = reference.minimize_squares(model, np.array([1.0, 1.0]), lower, high, loss, 0.02)
    for jac in (jacobian, None):
        ours = _core.CallableResiduals(residuals, jac, 20, 2)
        with np.errstate(all="ignore"):
            found = _core.minimize_squares(ours, np.array([1.0, 1.0]), lower, high, loss, 0.02)
        np.testing.assert_allclose(found.x, right.x, rtol=1e-12 if jac and loss == "linear" else 1e-7)
        np.testing.assert_allclose(found.cost, right.cost, rtol=1e-12)
        np.testing.assert_allclose(found.residuals, right.residuals, atol=1e-12 if jac and loss == "linear" else 1e-7)
        order = found.permutation
        gram = np.empty((2, 2))
        gram[np.ix_(order, order)] = found.r.T @ found.r
        expected = np.empty((2, 2))
        expected[np.ix_(right.permutation, right.permutation)] = right.r.T @ right.r
        np.testing.assert_allclose(gram, expected, rtol=1e-10 if jac and loss == "linear" else 1e-5)
        assert found.rank == 2
        assert found.status > 0
        assert found.active.tolist() == [0, 0 if upper is None else 1]


# ---- least_squares: situations in which people's fits went wrong ----


def waves(n):
    return np.cos(1.7 * np.arange(n) ** 2)


def filtered(f, r, c):
    return r / np.sqrt(1 + (2 * np.pi * f * r * c) ** 2)


def logistic(x, k, r, m):
    return k / (1 + np.exp(-r * (x - m)))


def decay_on_a_floor(x, a, b, c):
    return a * np.exp(-b * x) + c


def bell(x, a, m, s, c):
    return a * np.exp(-0.5 * ((x - m) / s) ** 2) + c


def slowly(f):
    """f by float(), which no tape takes."""
    return lambda p: np.array([float(v) for v in f(p)])


BY_WAYS = pytest.mark.parametrize("way", [lambda f: f, slowly], ids=["traced", "called"])


@BY_WAYS
def test_ohms_and_picofarads(way):
    f = np.logspace(1, 6, 30)
    z = filtered(f, 4.7e4, 2.2e-10) * (1 + 0.01 * waves(30))
    fun = way(lambda p: filtered(f, p[0], p[1]) - z)
    for bounds in ((-np.inf, np.inf), (0, np.inf), ([1e3, 1e-12], [1e6, 1e-8])):
        found = least_squares(fun, [1e4, 1e-10], bounds=bounds)
        assert found.success
        np.testing.assert_allclose(found.x, [47112.65, 2.206852e-10], rtol=2e-7)


@BY_WAYS
def test_a_peak_at_a_time_stamp(way):
    x = 1.7e9 + np.arange(0.0, 240, 3)
    y = bell(x, 5, 1.7e9 + 117.3, 14, 1) + 0.05 * waves(80)
    found = least_squares(way(lambda p: bell(x, *p) - y), [4, 1.7e9 + 110, 20, 0])
    np.testing.assert_allclose(found.x - [0, 1.7e9, 0, 0], [4.98344, 117.32235, 13.93778, 1.01024], rtol=5e-6)


@BY_WAYS
def test_starts_that_are_flat(way):
    x = np.arange(30.0, 62)
    y = logistic(x, 2400, 0.31, 51) + 6 * waves(32)
    found = least_squares(way(lambda p: logistic(x, *p) - y), np.ones(3))
    np.testing.assert_allclose(found.x, [2400.279, 0.3100618, 50.98938], rtol=1e-6)
    assert "other starts" in found.message
    x = np.array([0.7, 9, 13, 17, 30, 41, 55, 70, 90, 120, 150, 190])
    y = decay_on_a_floor(x, -0.05, 0.021, 0.997) + 4e-4 * waves(12)
    for start in ([1.0, 1, 1], [-1, 0.01, 1]):
        found = least_squares(way(lambda p: decay_on_a_floor(x, *p) - y), start)
        np.testing.assert_allclose(found.x, [-0.0500836, 0.0205213, 0.9973534], rtol=2e-6)


def test_no_amplitude_at_the_start():
    found = least_squares(residuals, [0.0, 1.0])
    np.testing.assert_allclose(found.x, [2.005600, 1.502395], rtol=1e-6)
    found = least_squares(lambda p: decay_on_a_floor(T, *p) - Y - 0.3, np.zeros(3), bounds=(0, np.inf))
    free = least_squares(lambda p: decay_on_a_floor(T, *p) - Y - 0.3, np.ones(3))
    np.testing.assert_allclose(found.x, free.x, rtol=1e-10)
    np.testing.assert_array_equal(least_squares(residuals, [1, 1]).x, least_squares(residuals, np.ones(2)).x)


def test_the_answer_as_a_start():
    y = decay(T, 2.0, 1.5)
    found = least_squares(lambda p: decay(T, *p) - y, [2.0, 1.5])
    assert found.x.tolist() == [2.0, 1.5]
    assert found.cost < 1e-30
    assert found.success
    assert found.nfev == 1


@BY_WAYS
def test_not_finite(way):
    x = np.linspace(0.5, 6, 25)
    y = 1.7 * np.log(x - 0.3) + 0.02 * waves(25)
    with np.errstate(all="ignore"):
        found = least_squares(way(lambda p: p[0] * np.log(x + p[1]) - y), [1.0, 2.0])  # NaN on the way
        np.testing.assert_allclose(found.x, [1.70303, -0.29791], rtol=2e-5)
        with pytest.raises(ValueError, match=r"not finite in the initial point.* gives nan for residual 0 \(of 25\)"):
            least_squares(way(lambda p: p[0] * np.log(x + p[1]) - y), [1.0, -2.0])


def test_never_outside_of_bounds():
    seen = []

    def fun(p):
        p = [float(v) for v in p]
        seen.append(p)
        if p[0] < 0 or not 1.2 <= p[1] <= 1.4:
            raise FloatingPointError("outside")
        return decay(T, *p) - Y

    for start in ([0.0, 1.2], [3.0, 1.4], [1.0, 1.3]):
        found = least_squares(fun, start, bounds=([0, 1.2], [np.inf, 1.4]))
        assert found.x[1] == 1.4
        assert found.active_mask.tolist() == [0, 1]
        np.testing.assert_allclose(found.x[0], (Y @ np.exp(-T / 1.4)) / np.sum(np.exp(-T / 1.4) ** 2), rtol=1e-9)
    assert len(seen) > 20


@BY_WAYS
def test_a_parameter_too_many(way):
    found = least_squares(way(lambda p: p[0] * np.exp(p[1] - p[2] * T) - Y), [1.0, 0.0, 1.0])
    right = least_squares(lambda p: p[0] * np.exp(-p[1] * T) - Y, [1.0, 1.0])
    assert found.success
    assert found.rank == 2
    assert found.condition == np.inf
    np.testing.assert_allclose([found.cost, found.x[2]], [right.cost, right.x[1]], rtol=1e-8)


def test_a_parameter_without_influence():
    found = least_squares(lambda p: residuals(p[:2]) + 0 * p[2], [1.0, 1.0, 5.0])
    np.testing.assert_allclose(found.x, [2.005600, 1.502395, 5.0], rtol=1e-6)
    assert found.rank == 2
    assert found.success


def test_more_parameters_than_residuals():
    found = least_squares(lambda p: np.stack([p[0] + p[1] - 3, p[0] * p[2] - 2]), [1.0, 1.0, 1.0])
    assert found.success
    assert found.cost < 1e-28


def test_a_kink_is_a_minimum():
    found = least_squares(lambda p: np.stack([np.abs(p[0] - 1) + 1, np.abs(p[1] + 2) + 2]), [3.0, 3.0])
    np.testing.assert_allclose(found.x, [1, -2], atol=1e-6)
    assert found.success


def test_wrong_derivatives_are_told():
    with pytest.warns(UserWarning, match=r"jac is not the derivative of fun at the start"):
        found = least_squares(residuals, [1.0, 1.0], jac=lambda p: -jacobian(p))
    assert not found.success
    assert found.status == -3
    assert "jac is not the derivative" in found.message
    assert found.derivatives == "given"


# ---- units ----

SCALES = [(2.0**-40, np.array([2.0**-30, 2.0**20])), (2.0**30, np.array([2.0**50, 2.0**-60]))]


@pytest.mark.parametrize("bounds", [(-np.inf, np.inf), ([0.5, 0.5], [9, 1.4])])
@pytest.mark.parametrize("loss", ["linear", "soft_l1"])
def test_units_do_not_matter_to_the_bit(bounds, loss):
    first = least_squares(residuals, [1.0, 1.0], bounds=bounds, loss=loss, f_scale=0.02)
    for of_residuals, of_parameters in SCALES:
        sides = tuple(np.broadcast_to(side, 2) * of_parameters for side in bounds)
        other = least_squares(
            lambda p, of_residuals=of_residuals, by=of_parameters: of_residuals * residuals(p / by),
            of_parameters,
            bounds=sides,
            loss=loss,
            f_scale=0.02 * of_residuals,
        )
        np.testing.assert_array_equal(other.x, first.x * of_parameters)
        np.testing.assert_array_equal(other.fun, first.fun * of_residuals)
        np.testing.assert_array_equal(other.jac, first.jac * of_residuals / of_parameters)
        assert (other.nfev, other.njev, other.cosine) == (first.nfev, first.njev, first.cosine)


def test_residuals_near_the_ends_of_float64():
    for scale in (1e-200, 1e200):
        found = least_squares(lambda p, s=scale: s * residuals(p), [1.0, 1.0])
        np.testing.assert_allclose(found.x, [2.00559979, 1.50239543], rtol=1e-8)


def test_levels(same_at_every_level):
    same_at_every_level(
        """
        x = np.linspace(0, 4, 53)
        y = 2.5 * np.exp(-1.3 * x) + 0.5 + 0.05 * np.cos(1.7 * np.arange(53) ** 2)
        for bounds in ((-np.inf, np.inf), (0, [9, 1.1, 9])):
            found = mf.optimize.least_squares(lambda p: p[0] * np.exp(-p[1] * x) + p[2] - y, [1, 1, 1], bounds=bounds)
            digest(found.x, found.jac, found.fun, found.grad)
        """
    )


# ---- the rest of the signature ----


def test_scipy_agrees():
    import scipy.optimize

    for loss in ("linear", "soft_l1", "huber", "cauchy", "arctan"):
        ours = least_squares(residuals, [1.0, 1.0], loss=loss, f_scale=0.02)
        theirs = scipy.optimize.least_squares(
            residuals, ours.x, jacobian, loss=loss, f_scale=0.02, xtol=1e-15, ftol=1e-15, gtol=1e-15
        )
        np.testing.assert_allclose(ours.x, theirs.x, rtol=1e-7)
        np.testing.assert_allclose(ours.cost, theirs.cost, rtol=1e-12)
        np.testing.assert_allclose(ours.jac, theirs.jac, rtol=1e-5, atol=1e-7)


def test_parameters_in_arguments():
    found = least_squares(lambda p, t, y, power=1: decay(t, *p) ** power - y, [1, 1], args=(T, Y), kwargs={"power": 1})
    np.testing.assert_array_equal(found.x, least_squares(residuals, [1, 1]).x)
    assert found.derivatives == "exact"


def test_a_changed_constant_is_seen():
    constants = {"rate": 0.5}

    def fun(p):
        return p * np.exp(-constants["rate"] * T) - 2 * np.exp(-constants["rate"] * T)

    for rate in (0.5, 1.5):
        constants["rate"] = rate
        assert least_squares(fun, 1.0).x.tolist() == pytest.approx([2], rel=1e-14)


def test_callback_and_verbose(capsys):
    seen = []

    def callback(intermediate_result):
        seen.append(intermediate_result)

    found = least_squares(residuals, [1.0, 1.0], callback=callback, verbose=2)
    np.testing.assert_array_equal(seen[-1].x, found.x)
    np.testing.assert_array_equal(seen[-1].fun, found.fun)
    assert [r.nit for r in seen] == list(range(1, len(seen) + 1))
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == len(seen) + 1
    assert printed[-1].startswith(found.message)

    def stop(x):
        raise StopIteration

    found = least_squares(residuals, [1.0, 1.0], callback=stop)
    assert (found.status, found.success) == (-2, False)

    def fail(x):
        raise KeyError("of the callback")

    with pytest.raises(KeyError, match="of the callback"):
        least_squares(residuals, [1.0, 1.0], callback=fail)


def test_most_evaluations():
    for most in (1, 2, 3):
        found = least_squares(residuals, [1.0, 1.0], max_nfev=most)
        assert found.nfev == most
        assert found.status == 0
        assert not found.success


def test_errors_of_the_function_come_through():
    def fun(p):
        if p[0] != 1:
            raise ZeroDivisionError("of the function")
        return [float(p[0]), 2.0]

    with pytest.raises(ZeroDivisionError, match="of the function"):
        least_squares(fun, 1.0)
    for bad, message in ((lambda p: None, "is a return missing"), (lambda p: "text", "must return a number")):
        with pytest.raises(TypeError, match=message):
            least_squares(bad, 1.0)
    sizes = iter((3, 3, 2, 2, 2, 2))
    with pytest.raises(ValueError, match="gave 2 values, and 3 are expected"):
        least_squares(lambda p: np.ones(next(sizes)) * float(p[0]), 1.0)


def test_other_starts_keep_within_bounds():
    x = np.arange(30.0, 62)
    y = logistic(x, 2400, 0.31, 51) + 6 * waves(32)
    found = least_squares(lambda p: logistic(x, *p) - y, np.ones(3), bounds=(0, [5000, 10, 100]))
    np.testing.assert_allclose(found.x, [2400.279, 0.3100618, 50.98938], rtol=1e-6)


# ---- programs in double-double ----


def test_double_double():
    rng = np.random.default_rng(7)
    of_one = {
        **{
            name: getattr(mpmath, name)
            for name in ("sqrt", "cbrt", "exp", "expm1", "log", "log1p", "sin", "cos", "tan")
        },
        **{f"arc{name}": getattr(mpmath, f"a{name}") for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
        **{name: getattr(mpmath, name) for name in ("sinh", "cosh", "tanh", "erf")},
        "exp2": lambda x: mpmath.mpf(2) ** x,
        "log2": lambda x: mpmath.log(x, 2),
        "log10": mpmath.log10,
        "expit": lambda x: 1 / (1 + mpmath.exp(-x)),
        "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    }
    both_sides = np.concatenate([rng.uniform(-0.9, 0.9, 8), 10.0 ** rng.uniform(-10, -1, 4)])
    wide = np.concatenate([both_sides, rng.uniform(-6, 6, 8)])
    inside = {"log1p", "arcsin", "arccos", "arctanh"}
    positive = {"sqrt", "cbrt", "log", "log2", "log10"}
    with mpmath.workdps(50):
        for name, f in of_one.items():
            x = both_sides if name in inside else np.abs(wide) if name in positive else wide
            x = 1 + np.abs(x) if name == "arccosh" else x
            graph = _core.TapeGraph()
            first = graph.input(x.size)
            ids = graph.emit(_core.tape_ops[name], np.arange(first, first + x.size, dtype=np.int32))
            high, low = _core.TapeDoubleDouble(graph, ids)(x)
            for value, rest, argument in zip(high.tolist(), low.tolist(), x.tolist(), strict=True):
                right = f(mpmath.mpf(argument))
                assert abs((mpmath.mpf(value) + mpmath.mpf(rest)) / right - 1) < 1e-30, (name, argument)


def test_double_double_of_a_model():
    def f(x):
        return np.where(x > 0, x**2.5, -x) / (1 + np.sum(x * x)) - np.maximum(x, 0.1) ** 3

    x = np.array([0.3, -0.7, 1.1, 0.05])
    trace = record(f, [as_argument(x, "x")], 0)
    high, low = _core.TapeDoubleDouble(trace.trace.graph, trace.result)(x)
    with mpmath.workdps(50):
        v = [mpmath.mpf(t) for t in x.tolist()]
        total = 1 + sum(t * t for t in v)
        for value, rest, t in zip(high.tolist(), low.tolist(), v, strict=True):
            right = (t ** mpmath.mpf(2.5) if t > 0 else -t) / total - max(t, mpmath.mpf(0.1)) ** 3
            assert abs(mpmath.mpf(value) + mpmath.mpf(rest) - right) < 1e-30
    graph = _core.TapeGraph()
    first = graph.input(2)
    ids = graph.emit(_core.tape_ops["gammaln"], np.arange(first, first + 2, dtype=np.int32))
    assert not _core.TapeDoubleDouble(graph, ids).is_possible


def test_it_goes_on_to_the_end():
    """Also where residuals are large, and steps of Gauss and Newton leave most of the way."""
    x = np.linspace(0, 8, 25)
    rng = np.random.default_rng(11)
    for _ in range(12):
        a, b, c, d = np.array([2, 0.4, 3, 1.5]) * 10 ** rng.uniform(-0.1, 0.1, 4)
        y = a * np.exp(-b * x) + c * np.exp(-d * x) + 0.4 * rng.standard_normal(25)
        found = least_squares(
            lambda p, y=y: p[0] * np.exp(-p[1] * x) + p[2] * np.exp(-p[3] * x) - y, np.array([2, 0.5, 3, 1.7])
        )
        if not found.success:  # noise without two decays in it
            assert found.condition > 1e6
            continue
        cosines = np.abs(found.jac.T @ found.fun) / np.linalg.norm(found.jac, axis=0) / np.linalg.norm(found.fun)
        assert np.max(cosines) < 1e-9
        assert found.cosine < 1e-9


def test_a_sum_of_random_numbers_is_no_minimum():
    rng = np.random.default_rng(0)
    result = least_squares(lambda p: p[0] * T - 1 + 1e-3 * rng.normal(size=T.size), [1.0])
    assert not result.success
    assert "other numbers" in result.message


def test_a_start_without_derivatives():
    result = least_squares(lambda p: np.array([p[0] ** 2 + p[1] ** 2 - 1]), [0.0, 0.0])
    assert result.cost < 1e-20
    assert "derivatives vanish" in result.message.lower()


def test_settings_that_are_arrays_are_told_of():
    with pytest.warns(UserWarning, match="jac_sparsity"):
        least_squares(lambda p: p - 3, [0.0, 0.0], jac_sparsity=np.eye(2))


def robust_cost(residuals, loss, scale):
    z = (residuals / scale) ** 2
    rho = {"huber": np.where(z <= 1, z, 2 * np.sqrt(z) - 1), "soft_l1": 2 * np.sqrt(1 + z) - 2, "cauchy": np.log1p(z)}
    return 0.5 * scale**2 * np.sum(rho[loss])


@pytest.mark.parametrize("loss", ["huber", "soft_l1", "cauchy"])
def test_gross_outliers(loss):
    """Not higher than SciPy's search from the start, nor from the truth: a loss has minima of its own."""
    models = {
        "decay": (lambda x, p: p[0] * np.exp(-x / p[1]), [2.0, 1.5]),
        "bell": (lambda x, p: p[0] * np.exp(-0.5 * ((x - p[1]) / p[2]) ** 2) + p[3], [4.0, 2.2, 0.5, 1.0]),
        "power": (lambda x, p: p[0] * (x + 0.1) ** p[1] + p[2], [2.0, 1.7, 1.0]),
        "saturation": (lambda x, p: p[0] * x / (p[1] + x), [3.0, 1.2]),
    }
    higher = []
    for k, (name, (f, truth)) in enumerate(list(models.items()) * 4):
        rng = np.random.default_rng([k, 41])
        x = np.sort(rng.uniform(0, 5, 30))
        y = f(x, truth) + 0.05 * rng.normal(size=30)
        y[rng.permutation(30)[:6]] += rng.choice([-1, 1], 6) * 10 ** rng.uniform(0, 2.5, 6)
        start = np.array(truth) * np.exp(0.4 * rng.normal(size=len(truth)))
        ours = least_squares(lambda p, f=f, x=x, y=y: f(x, p) - y, start, loss=loss, f_scale=0.1)
        assert_allclose(ours.cost, robust_cost(ours.fun, loss, 0.1), rtol=1e-9)
        for x0 in (start, truth):
            theirs = scipy.optimize.least_squares(
                lambda p, f=f, x=x, y=y: f(x, p) - y, x0, loss=loss, f_scale=0.1, max_nfev=1000
            )
            if ours.cost > theirs.cost * (1 + 1e-6):
                higher.append((name, k))
    assert not higher
