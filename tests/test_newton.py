"""newton: roots, what is said where there is none, and SciPy's own tests of its function of this name.

Where the answer differs from SciPy's on purpose:
- without fprime the derivative is exact (or differences), not a secant; `x1` asks for the secant method;
- the iteration goes on until rounding ends it: `tol` and `rtol` are errors that are good enough at `maxiter`, so counts
  of iterations and calls differ, and a root of 1e-9 is found with the default;
- entries of an array without a root are NaN, not their last x; a derivative of zero is an error like others;
- an array x0 whose function mixes its entries is a system;
- messages.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import RootResults

import mmlfast as mf
from mmlfast.optimize import newton


def f1(x):
    return x**2 - 2 * x - 1


def f1_1(x):
    return 2 * x - 2


def f1_2(x):
    return 2.0 + 0 * x


def f2(x):
    return np.exp(x) - np.cos(x)


def f2_1(x):
    return np.exp(x) + np.sin(x)


def f2_2(x):
    return np.exp(x) + np.cos(x)


# ---- one number ----


def test_roots():
    assert newton(lambda x: x**3 - 1, 1.5) == 1.0
    assert_allclose(newton(np.cos, 1.0), np.pi / 2, rtol=2e-16)
    assert newton(lambda x, a, b: a * x - b, 1.0, args=(2.0, 5)) == 2.5
    assert type(newton(lambda x: x**-2 - 4, 1)) is float  # an integer start is a float


@pytest.mark.parametrize("scale", [1e-100, 2e-10, 1.0, 3e100])
def test_the_size_of_the_root_does_not_matter(scale):
    assert_allclose(newton(lambda x: x * x - scale**2, 5 * scale), scale, rtol=1e-15)
    assert_allclose(newton(lambda x: x * x - scale**2, 5 * scale, tol=1e-8), scale, rtol=1e-15)
    assert_allclose(newton(lambda x: float(x) ** 2 - scale**2, 5 * scale), scale, rtol=1e-12)
    assert_allclose(newton(lambda x: x * x - scale**2, 5 * scale, x1=6 * scale), scale, rtol=1e-14)


def test_scaled_problems_take_the_same_steps():
    plain = newton(lambda x: np.exp(x) - 3, 2.0, full_output=True)[1]
    for k in (-300, 300):
        s = 2.0**k
        scaled = newton(lambda x, s=s: s * (np.exp(x / s) - 3), 2.0 * s, full_output=True)[1]
        np.testing.assert_array_equal(scaled.history / s, plain.history)


@pytest.mark.parametrize(
    ("f", "x0", "says"),
    [
        (lambda x: x**4 - 3 * x**2 + 7, 7e-4, "wander"),
        (lambda x: x**3 - 2 * x + 2, 0.0, "cycle of 2 points"),
        (lambda x: np.cbrt(x), 1.0, "diverges"),
        (lambda x: np.exp(-x), 1.0, "diverges"),
        (lambda x: np.arctan(x), 2.0, "zero at|not finite|diverges"),
        (lambda x: x**2 + 1, 0.0, "the derivative is zero at 0"),
        (lambda x: np.tan(x), np.pi / 2, "a pole"),
        (lambda x: np.log(x), 5.0, "not finite"),
        (lambda x: x * 0 + 3, 1.0, "the derivative is zero"),
        (lambda x: x * np.nan, 1.0, "not finite"),
    ],
)
def test_failures_are_told(f, x0, says):
    with pytest.raises(RuntimeError, match=says):
        newton(f, x0)
    root, how = newton(f, x0, disp=False, full_output=True)
    assert not how.converged
    assert len(how.history) == how.iterations + 1
    with pytest.warns(mf.ConvergenceWarning, match=says):
        newton(f, x0, disp=False)
    assert np.ndim(root) == 0


def test_secant_without_a_slope_is_told():
    with pytest.raises(RuntimeError, match="zero"):
        newton(lambda x: x**4 - 3 * x**2 + 7, -0.5, x1=0.5)
    with pytest.raises(RuntimeError, match="newton"):
        newton(lambda x: x**4 - 3 * x**2 + 7, 7e-4, x1=8e-4)


def test_a_start_with_zero_derivative():
    assert newton(lambda x: x**2, 0.0) == 0.0  # it is the root
    assert newton(lambda x: (x - 3) ** 3, 3.0) == 3.0


@pytest.mark.parametrize("order", [2, 3, 5])
def test_roots_of_higher_order(order):
    root, how = newton(lambda x: (x - 1.1) ** order * np.exp(x), 3.0, full_output=True)
    assert_allclose(root, 1.1, rtol=1e-7)
    assert how.iterations < 30  # not the hundred that shrinking by (m - 1) / m would take
    assert newton(lambda x: x**order, 2.0, tol=1e-8) == pytest.approx(0, abs=1e-8)


def test_how_it_went():
    root, how = newton(f1, 3, full_output=True)
    assert isinstance(how, RootResults)
    assert root == how.root == how.history[-1]
    assert (how.status, how.derivatives, how.method) == ("converged", "exact", "newton")
    assert newton(f1, 3, fprime=f1_1, full_output=True)[1].derivatives == "given"
    how = newton(lambda x: float(x) - 1, 3.0, full_output=True)[1]
    assert how.derivatives == "finite differences"
    assert "float()" in how.message


def test_a_wrong_derivative_is_told():
    with pytest.warns(UserWarning, match="fprime is not the derivative of func"):
        newton(f1, 3.0, fprime=lambda x: 2.5 * x)


def test_what_func_raises_comes_through():
    with pytest.raises(ZeroDivisionError):
        newton(lambda x: 1 // 0, 1.0)
    with pytest.raises(TypeError, match=r"returns None: is a return missing"):
        newton(lambda x: None, 1.0)
    with pytest.raises(TypeError, match="func must be a function"):
        newton(3.0, 1.0)


def test_what_changes_is_seen():
    k = {"root": 2.0}

    def f(x):
        return x - k["root"]

    assert newton(f, 1.0) == 2.0
    k["root"] = 7.0
    assert newton(f, 1.0) == 7.0


# ---- arrays and systems ----


def test_some_without_root():
    with pytest.warns(mf.ConvergenceWarning, match="4 of 5 starts"):
        root = newton(lambda x, a: x**2 - a, np.ones(5), args=(np.array([1.0, 4, -1, 9, 16]),))
    assert_allclose(root, [1, 2, np.nan, 3, 4])
    how = newton(lambda x, a: x**2 - a, np.ones(5), args=(np.array([1.0, 4, -1, 9, 16]),), full_output=True)
    assert how.converged.tolist() == [True, True, False, True, True]
    with pytest.raises(RuntimeError, match="0 of 2"):
        newton(lambda x: x**2 + 1, np.array([1.0, 2.0]))


def test_large_arrays_go_in_lanes():
    a = np.linspace(1, 9, 5000)
    how = newton(lambda x, a, b: x**2 - a * b, np.full(5000, 2.0), args=(a, 3.0), full_output=True)
    assert_allclose(how.root, np.sqrt(3 * a), rtol=3e-16)
    centred = newton(lambda x: x - np.mean(x) + np.arange(100.0) * 0 + x, np.ones(100), disp=False, full_output=True)
    assert centred[0].shape == (100,)  # its entries are mixed: a system


def test_systems():
    def f(v):
        return np.stack([v[0] ** 2 + v[1] ** 2 - 4, v[0] * v[1] - 1])

    root, how = newton(f, [2.0, 0.5], full_output=True)
    assert_allclose(f(root), 0, atol=1e-14)
    assert how.converged
    assert how.history.shape == (how.iterations + 1, 2)
    given = newton(f, [2.0, 0.5], fprime=lambda v: np.array([[2 * v[0], 2 * v[1]], [v[1], v[0]]]))
    assert_allclose(given, root, rtol=1e-14)

    def by_numbers(v):
        return [float(v[0]) ** 2 + float(v[1]) ** 2 - 4, float(v[0]) * float(v[1]) - 1]

    assert_allclose(newton(by_numbers, [2.0, 0.5]), root, rtol=1e-9)
    with pytest.raises(RuntimeError, match="singular"):
        newton(lambda v: np.stack([v[0] + v[1] - 1, 2 * v[0] + 2 * v[1]]), [0.0, 0.0])


# ---- SciPy's own tests (scipy/optimize/tests/test_zeros.py), of 1.17 ----


def test_scipy_newton():
    for f, f_1, f_2 in [(f1, f1_1, f1_2), (f2, f2_1, f2_2)]:
        for options in ({}, {"x1": 5}, {"fprime": f_1}, {"fprime": f_1, "fprime2": f_2}):
            assert_allclose(f(newton(f, 3, tol=1e-6, **options)), 0, atol=1e-6)


def test_scipy_array_newton():
    def f(x, *a):
        b = a[0] + x * a[3]
        return a[1] - a[2] * (np.exp(b / a[5]) - 1.0) - b / a[4] - x

    def slope(x, *a):
        b = a[3] / a[5]
        return -a[2] * np.exp(a[0] / a[5] + x * b) * b - a[3] / a[4] - 1

    def curvature(x, *a):
        b = a[3] / a[5]
        return -a[2] * np.exp(a[0] / a[5] + x * b) * b**2

    a0 = [5.32725221, 5.48673747, 5.49539973, 5.36387202, 4.80237316, 1.43764452, 5.23063958, 5.46094772]
    a0 = np.array([*a0, 5.50512718, 5.42046290])
    args = (a0, (np.sin(range(10)) + 1.0) * 7.0, 1e-09, 0.004, 10, 0.27456)
    expected = [6.17264965, 11.7702805, 12.2219954, 7.11017681, 1.18151293, 0.143707955, 4.31928228, 10.5419107]
    expected = [*expected, 12.7552490, 8.91225749]
    for options in ({"fprime": slope}, {"fprime": slope, "fprime2": curvature}, {}):
        assert_allclose(newton(f, [7.0] * 10, args=args, **options), expected, rtol=1e-7)


def test_scipy_array_newton_complex():
    def f(x):
        return x + 1 + 1j

    for start in (np.full(4, 1j), np.ones(4)):
        assert_allclose(f(newton(f, start, fprime=lambda x: 1.0)), 0.0)
        assert_allclose(f(newton(f, start)), 0.0, atol=1e-9)


def test_scipy_complex_halley():
    def f(x, *a):
        return a[0] * x**2 + a[1] * x + a[2]

    def f_1(x, *a):
        return 2 * a[0] * x + a[1]

    def f_2(x, *a):
        return [2 * a[0]] * len(x) if np.ndim(x) else 2 * a[0]

    for z in (complex(1.0, 2.0), [complex(1.0, 2.0)] * 10):
        y = newton(f, z, args=(2.0, 3.0, 4.0), fprime=f_1, fprime2=f_2, tol=1e-6)
        assert_allclose(f(y, 2.0, 3.0, 4.0), 0, atol=1e-6)


def test_scipy_arrays_of_integers_and_zero_derivatives():
    assert_allclose(newton(lambda x, *a: x * x - a[0], x0=[4.123, 5], args=[np.array([17, 25])]), (17**0.5, 5.0))
    for start, z in (([4.0] * 2, [15.0, 17.0]), ([4] * 2, [15, 17])):
        assert_allclose(newton(lambda y, z: z - y**2, start, args=(z,)), (15**0.5, 17**0.5))
    results = newton(lambda y: y**2 - 2, [0.0, 0.0], lambda y: 2 * y, full_output=True)
    assert results.zero_der.all()
    assert not results.converged.any()


def test_scipy_derivative_zero():
    with pytest.raises(RuntimeError, match="derivative is zero"):
        newton(lambda x: x**2 - 2.0, 0.0, lambda x: 2 * x)
    with pytest.raises(RuntimeError):  # (x - 100)**2 by the secant through two points of one height
        newton(lambda x: (x - 100.0) ** 2, 100 - 2.0**-10, x1=100 + 2.0**-10)


def test_scipy_x0_is_not_modified():
    x0 = np.array([0.1, 3])
    before = x0.copy()
    newton(np.sin, x0, np.cos)
    np.testing.assert_array_equal(x0, before)


def test_scipy_arguments_and_integer_starts():
    assert_allclose(newton(lambda x, a, b: x**a - b, 3, args=(3, 1)), 1)
    assert_allclose(abs(newton(lambda x: x**-2 - 2, 1)), 2**-0.5)


def test_scipy_special_parameters():
    with pytest.raises(ValueError, match="tol"):
        newton(f1, 3, tol=-1e-6)
    with pytest.raises(ValueError, match="maxiter"):
        newton(f1, 3, tol=1e-6, maxiter=-50)
    with pytest.raises(ValueError, match="x1 and x0 must be different"):
        newton(f1, 3, x1=3)


def test_scipy_failures_after_too_few_steps():
    root, r = newton(f1, 3, tol=1e-9, full_output=True, fprime=f1_1, maxiter=2, disp=False)
    assert not r.converged
    assert (r.root, r.iterations) == (root, 2)
    with pytest.raises(RuntimeError, match="newton"):
        newton(f1, 3, tol=1e-9, fprime=f1_1, maxiter=2)
