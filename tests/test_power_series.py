"""Taylor series of functions that tapes call: special functions, and the user's own."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from cases import saying
from scipy import special

from mmlfast.autodiff import derivative, primitive, taylor

ORDER = 12

FUNCTIONS = [
    (special.j0, lambda z: mpmath.besselj(0, z), 5.0),
    (special.j1, lambda z: mpmath.besselj(1, z), 0.7),
    (lambda t: special.jv(2.5, t), lambda z: mpmath.besselj(2.5, z), 1.7),
    (lambda t: special.yv(0.375, t), lambda z: mpmath.bessely(0.375, z), 1.7),
    (special.i1, lambda z: mpmath.besseli(1, z), 1.7),
    (lambda t: special.kv(1.25, t), lambda z: mpmath.besselk(1.25, z), 1.7),
    (lambda t: special.kve(0.375, t), lambda z: mpmath.besselk(0.375, z) * mpmath.exp(z), 1.7),
    (special.i0e, lambda z: mpmath.besseli(0, z) * mpmath.exp(-z), 1.7),
    (special.erfinv, mpmath.erfinv, 0.3),
    (special.ndtri, lambda p: mpmath.sqrt(2) * mpmath.erfinv(2 * p - 1), 0.3),
    (special.erfcx, lambda x: mpmath.exp(x * x) * mpmath.erfc(x), 0.8),
    (special.erfi, mpmath.erfi, 0.8),
    (special.dawsn, lambda x: mpmath.sqrt(mpmath.pi) / 2 * mpmath.exp(-x * x) * mpmath.erfi(x), 0.8),
    (special.log_ndtr, lambda x: mpmath.log(mpmath.ncdf(x)), 0.8),
    (special.exp1, mpmath.e1, 0.8),
    (special.wrightomega, lambda x: mpmath.lambertw(mpmath.exp(x)).real, 0.8),
    (lambda t: special.expn(3, t), lambda x: mpmath.expint(3, x), 0.8),
    (lambda t: special.gammainc(2.5, t), lambda x: mpmath.gammainc(2.5, 0, x, regularized=True), 0.8),
    (lambda t: special.betainc(2.5, 1.5, t), lambda x: mpmath.betainc(2.5, 1.5, 0, x, regularized=True), 0.4),
    (lambda t: special.eval_legendre(6, t), lambda x: mpmath.legendre(6, x), 0.4),
    (lambda t: special.hyp2f1(1.5, 0.75, 2.5, t), lambda x: mpmath.hyp2f1(1.5, 0.75, 2.5, x), 0.4),
    (
        lambda t: np.exp(special.j0(np.sin(t) * 2)) / (1 + special.erfinv(0.25 * np.cos(t))),
        lambda t: mpmath.exp(mpmath.besselj(0, mpmath.sin(t) * 2)) / (1 + mpmath.erfinv(mpmath.cos(t) / 4)),
        1.9,
    ),
]


@pytest.mark.parametrize("start", range(3))
def test_series_of_special_functions(start):
    with mpmath.workdps(40):
        for i, (f, exact, x) in list(enumerate(FUNCTIONS))[start::3]:
            with saying("function", i):
                want = np.array([float(c) for c in mpmath.taylor(exact, mpmath.mpf(x), ORDER)])
                found = taylor(f, x, ORDER)
                np.testing.assert_allclose(found, want, rtol=1e-10, atol=1e-13 * np.abs(want).max())
                if x == 0.8:
                    np.testing.assert_allclose(derivative(f, x, order=4), 24 * want[4], rtol=1e-10)


def test_series_of_functions_of_the_users_own():
    exp = primitive(lambda x: np.exp(x), derivative=lambda x: exp(x))
    np.testing.assert_allclose(
        taylor(lambda t: exp(2 * t) * t, 0.3, 8), taylor(lambda t: np.exp(2 * t) * t, 0.3, 8), rtol=1e-14
    )
    logistic = primitive(special.expit, derivative=lambda x: special.expit(x) * (1 - special.expit(x)))
    np.testing.assert_allclose(taylor(logistic, 0.3, 8), taylor(special.expit, 0.3, 8), rtol=1e-12)
    bent = primitive(lambda x: x**2 if x > 0 else 1 - np.cos(x), derivative=lambda x: 2 * x if x > 0 else np.sin(x) / 1)
    np.testing.assert_allclose(taylor(bent, 2.0, 3), [4, 4, 1, 0], atol=1e-15)
    np.testing.assert_allclose(taylor(bent, -1.0, 3), taylor(lambda t: 1 - np.cos(t), -1.0, 3), rtol=1e-14)
    x, way = np.array([1.0, 2.0]), np.array([1.0, -1.0])
    line = taylor(lambda t: np.stack([exp(1 + t), exp(2 - t)]), 0.0, 5)
    np.testing.assert_allclose(taylor(exp, x, 5, direction=way), line, rtol=1e-14)


def test_what_has_no_series_says_why():
    whole = primitive(lambda v: v.sum(), jacobian=np.ones_like, shape=())
    with pytest.raises(TypeError, match=r"no function of one number each; derivative, jvp and grad"):
        taylor(lambda v: whole(v) ** 2, np.ones(2), 3)
    of_numbers = primitive(lambda x: x**2, derivative=lambda x: 2 * float(x))
    with pytest.raises(TypeError, match="takes numbers only"):
        taylor(of_numbers, 1.0, 3)
    two = primitive(lambda x, y: x * y, derivative=lambda x, y: (y, x))
    with pytest.raises(TypeError, match="one number each"):
        taylor(lambda t: two(t, t), 1.0, 3)
    with pytest.raises(ValueError, match=r"no Taylor series of order 3 at x0 = 0\."):
        taylor(lambda t: special.ellipk(1 - t), 0.0, 3)  # a logarithm at 0
    np.testing.assert_allclose(taylor(special.spence, 1.0, 3), [0, -1, 1 / 4, -1 / 9], rtol=1e-15)
