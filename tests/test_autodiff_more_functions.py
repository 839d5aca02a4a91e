"""Functions of NumPy and SciPy beyond arithmetic: missing numbers, polynomials, least squares, places, special ones."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import scipy.linalg
import scipy.special as sp
from cases import saying, within
from derivatives import differences
from numpy.lib.stride_tricks import as_strided, sliding_window_view

from mmlfast.autodiff import TracingError, grad, jacobian

X = np.array([0.7, -1.3, 2.1])
M = np.array([[2.0, 0.3, -0.4], [0.1, 1.5, 0.2], [-0.3, 0.6, 1.1]])
TALL = np.array([[0.7, 0.4], [-1.3, 0.2], [2.1, -0.9], [0.5, 1.5]])
GAPS = np.array([[0.7, np.nan, 2.1, -0.4], [np.nan, np.nan, 0.3, 1.1], [1.5, -0.2, 0.9, 0.1]])


def agrees(f, x):
    expected = differences(f, x, dtype=np.float64)
    found = jacobian(f)(x)
    scale = np.abs(expected).max(initial=1e-3)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8 * scale)
    if not np.shape(f(x)):
        np.testing.assert_allclose(grad(f)(x), expected, rtol=1e-8, atol=1e-8 * scale)


MISSING = [np.nansum, np.nanprod, np.nanmean, np.nanvar, np.nanstd, np.nanmax, np.nanmin, np.nanmedian]


@pytest.mark.parametrize("f", [*MISSING, np.nancumsum, np.nancumprod], ids=lambda f: f.__name__)
def test_what_is_missing_adds_nothing(f):
    holes = np.isnan(GAPS)
    for axis in (None, 0, 1):
        for keepdims in (False, True) if f in MISSING else (False,):
            options = {"keepdims": True} if keepdims else {}
            with saying(axis, keepdims):
                found = jacobian(lambda a, axis=axis, o=options: f(a, axis=axis, **o))(GAPS)
                assert np.isfinite(found).all()
                assert not np.any(found[..., holes])

                def filled(v, axis=axis, o=options):
                    a = GAPS.copy()
                    a[~holes] = v
                    return f(a, axis=axis, **o)

                expected = differences(filled, GAPS[~holes], dtype=np.float64)
                np.testing.assert_allclose(found[..., ~holes], expected, rtol=1e-8, atol=1e-8)


FUNCTIONS = {
    "corrcoef": (np.corrcoef, M),
    "corrcoef of columns": (lambda a: np.corrcoef(a, rowvar=False), TALL),
    "cov of columns": (lambda a: np.cov(a, rowvar=False), TALL),
    "cov with frequencies": (lambda a: np.cov(a, fweights=[1, 2, 1]), M),
    "cov with weights": (lambda a: np.cov(a, aweights=[1.0, 2.5, 0.5], ddof=1), M),
    "cov with both": (lambda a: np.cov(a, aweights=[1.0, 2.5, 0.5], fweights=[2, 1, 3]), M),
    **{f"correlate {m}": (lambda a, m=m: np.correlate(a, [1.0, 2.0], m), X) for m in ("full", "same", "valid")},
    "correlate with a longer one": (lambda a: np.correlate(a, np.arange(5.0), "same"), X),
    "correlate with itself": (lambda a: np.correlate(a, a, "full"), X),
    "polyadd": (lambda a: np.polyadd(a, [1.0, 2]), X),
    "polysub": (lambda a: np.polysub([1.0, 2], a), X),
    "polymul": (lambda a: np.polymul(a, a[:2]), X),
    "polyder": (lambda a: np.polyder(a, 2), X),
    "polyint": (lambda a: np.polyint(a, 2, k=[1.0, 2.0]), X),
    "polyfit": (lambda a: np.polyfit([0.0, 1, 3, 4], np.append(a, 1.0), 2), X),
    "polyfit of x": (lambda a: np.polyfit(a, [1.0, 2, 4], 1, w=[1, 2, 1]), X),
    "lstsq": (lambda a: np.linalg.lstsq(a, [1.0, 2, 3, 4], rcond=None)[0], TALL),
    "lstsq residuals": (lambda a: np.linalg.lstsq(a, [1.0, 2, 3, 4], rcond=None)[1], TALL),
    "lstsq of many": (lambda a: np.linalg.lstsq(a, np.arange(8.0).reshape(4, 2) ** 2, rcond=None)[0], TALL),
    "lstsq with few equations": (lambda a: np.linalg.lstsq(a.T, [1.0, 2], rcond=None)[0], TALL),
    "pinv": (np.linalg.pinv, TALL),
    "pinv of wide": (lambda a: np.linalg.pinv(a.T), TALL),
    "pinv of many": (lambda a: np.linalg.pinv(np.stack([a, 2 * a])), TALL),
    "qr": (lambda a: np.concatenate(np.linalg.qr(a)), M),
    "qr of tall": (lambda a: np.linalg.qr(a).R, TALL),
    "qr of wide": (lambda a: np.linalg.qr(a.T)[1], TALL),
    "qr complete": (lambda a: np.linalg.qr(a, mode="complete")[0][:, :2], TALL),
    "qr of a triangle": (lambda a: np.linalg.qr(np.triu(a) * [[-1], [1], [1]], mode="r"), M),
    "cond": (lambda a: np.linalg.cond(a, "fro"), M),
    "tensorinv": (lambda a: np.linalg.tensorinv(a, ind=1), M),
    "tensorsolve": (lambda a: np.linalg.tensorsolve(a, X), M),
    "logspace": (lambda a: np.logspace(a[0], a[1], 4, base=3.0), X),
    "geomspace": (lambda a: np.geomspace(a[0], a[2], 4), X),
    "modf": (lambda a: np.modf(a)[0] * np.modf(a)[1], X),
    "angle": (lambda a: np.angle(a) + a, X),
    "unwrap": (lambda a: np.unwrap(np.append(a, [7.0, -9.0])), X),
    "bincount": (lambda a: np.bincount([0, 1, 0], weights=a, minlength=4) ** 2, X),
    "choose": (lambda a: np.choose([0, 1, 0], [a, a**2]), X),
    "fftshift": (np.fft.fftshift, X),
    "sliding windows": (lambda a: np.lib.stride_tricks.sliding_window_view(a, 2).sum(1) ** 2, X),
    "isin": (lambda a: np.where(np.isin(a, [5.0, 6.0]), 0, a**2), X),
    "infinities": (lambda a: np.where(np.isposinf(a) | np.isneginf(a), 0, a**2), X),
    "array_equal": (lambda a: np.where(np.array_equal(a, a), a**2, 0) + np.where(np.allclose(a, a + 1), 0, a), X),
    "indices of a triangle": (lambda a: a[np.tril_indices_from(a)] ** 2 * a[np.triu_indices_from(a)], M),
    "apply_over_axes": (lambda a: np.apply_over_axes(np.sum, a**2, [0, 1]), M),
    "norm of order 3": (lambda a: np.linalg.norm(a, 3), X),
    "i0": (np.i0, X),
    "subtract.reduce": (lambda a: np.subtract.reduce(a, axis=1), M),
    "divide.accumulate": (np.divide.accumulate, X),
    "maximum.accumulate": (np.maximum.accumulate, X),
    "minimum.accumulate": (lambda a: np.minimum.accumulate(a, axis=1), M),
    "hypot.reduce": (np.hypot.reduce, X),
    "logaddexp.accumulate": (np.logaddexp.accumulate, X),
    "add.reduceat": (lambda a: np.add.reduceat(a, [0, 2, 1]) ** 2, X),
    "multiply.reduceat": (lambda a: np.multiply.reduceat(a, [0, 2], axis=1), M),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name):
    agrees(*FUNCTIONS[name])


@pytest.mark.filterwarnings("ignore:Setting the shape:DeprecationWarning")  # NumPy 2.5
def test_functions_that_write():
    def put(a):
        w = a * 1
        np.put(w, [0], a[1] ** 2)
        np.putmask(w, [False, True, False], 3 * a)
        np.place(w, np.array([False, False, True]), [a[0] * a[1]])
        np.copyto(w, a**3, where=a > 2)
        w.flat[1:2] = a[2]
        return w

    agrees(put, X)

    def along(a):
        w = a * 1
        np.put_along_axis(w, np.array([[0], [1], [2]]), a[:, :1] ** 2, 1)
        w.shape = (9,)
        return w

    agrees(along, M)


def test_norms_of_any_order_have_no_unit():
    x = np.array([3.0, -4.0])
    right = grad(lambda v: np.linalg.norm(v, 3))(x)
    np.testing.assert_allclose(right, np.array([9, -16]) / 91 ** (2 / 3), rtol=1e-14)
    for scale in (1e-300, 1e-150, 1e150, 1e300):
        np.testing.assert_allclose(grad(lambda v: np.linalg.norm(v, 3))(x * scale), right, rtol=1e-14)
    np.testing.assert_array_equal(grad(lambda v: np.linalg.norm(v, 1.5))(np.zeros(2)), [0, 0])


SPECIAL = {
    "gamma": (sp.gamma, mpmath.gamma, (3.3, 0.01, -1.3, -2.6)),
    "rgamma": (sp.rgamma, mpmath.rgamma, (3.3, 0.5)),
    "betaln": (lambda t: sp.betaln(t, 2.5), lambda t: mpmath.log(mpmath.beta(t, 2.5)), (0.3, 1.3)),
    "beta": (lambda t: sp.beta(t, 2.5), lambda t: mpmath.beta(t, 2.5), (0.3, -1.3)),
    "binom": (lambda t: sp.binom(t, 2.0), lambda t: mpmath.binomial(t, 2), (5.5,)),
    "erfinv": (sp.erfinv, mpmath.erfinv, (0.3, -0.99)),
    "log_ndtr": (sp.log_ndtr, lambda t: mpmath.log(mpmath.ncdf(t)), (-3.0, 0.5)),
    "erfcx": (sp.erfcx, lambda t: mpmath.exp(t * t) * mpmath.erfc(t), (0.4, 3.0)),
    "dawsn": (sp.dawsn, lambda t: mpmath.sqrt(mpmath.pi) / 2 * mpmath.exp(-t * t) * mpmath.erfi(t), (0.7,)),
    "j0": (sp.j0, lambda t: mpmath.besselj(0, t), (1.3, -0.4)),
    "j1": (sp.j1, lambda t: mpmath.besselj(1, t), (0.0, 1.3)),
    "jv": (lambda t: sp.jv(2.5, t), lambda t: mpmath.besselj(2.5, t), (1.3,)),
    "yn": (lambda t: sp.yn(2, t), lambda t: mpmath.bessely(2, t), (1.3,)),
    "i1": (sp.i1, lambda t: mpmath.besseli(1, t), (0.0, 2.0)),
    "kv": (lambda t: sp.kv(1.5, t), lambda t: mpmath.besselk(1.5, t), (0.8,)),
    "k1e": (sp.k1e, lambda t: mpmath.besselk(1, t) * mpmath.exp(t), (0.7,)),
    "gammainc": (
        lambda t: sp.gammainc(2.5, t),
        lambda t: mpmath.gammainc(2.5, 0, t, regularized=True),
        (0.4, 2.0),
    ),
    "betainc": (
        lambda t: sp.betainc(2.0, 3.0, t),
        lambda t: mpmath.betainc(2, 3, 0, t, regularized=True),
        (0.3,),
    ),
    "expn": (lambda t: sp.expn(3, t), lambda t: mpmath.expint(3, t), (0.6,)),
    "ellipk": (sp.ellipk, mpmath.ellipk, (0.3,)),
    "ellipe": (sp.ellipe, mpmath.ellipe, (0.3,)),
    "hyp2f1": (lambda t: sp.hyp2f1(0.5, 1.0, 1.5, t), lambda t: mpmath.hyp2f1(0.5, 1, 1.5, t), (0.3,)),
    "eval_legendre": (lambda t: sp.eval_legendre(7, t), lambda t: mpmath.legendre(7, t), (0.3,)),
    "eval_chebyt": (lambda t: sp.eval_chebyt(7, t), lambda t: mpmath.chebyt(7, t), (0.4,)),
    "eval_hermite": (lambda t: sp.eval_hermite(6, t), lambda t: mpmath.hermite(6, t), (0.4,)),
    "exprel": (sp.exprel, lambda t: mpmath.expm1(t) / t if t else mpmath.mpf(1), (0.0, 0.3, 2.0)),
    "boxcox": (lambda t: sp.boxcox(t, 0.3), lambda t: (t**0.3 - 1) / 0.3, (1.7,)),
    "boxcox of order 0": (lambda t: sp.boxcox(t, 0.0), mpmath.log, (1.7,)),
    "pseudo_huber": (
        lambda t: sp.pseudo_huber(2.0, t),
        lambda t: 4 * (mpmath.sqrt(1 + (t / 2) ** 2) - 1),
        (0.0, 3.0),
    ),
}


@pytest.mark.parametrize("name", SPECIAL)
def test_special_functions_to_the_third_derivative(name):
    f, exact, points = SPECIAL[name]
    slopes = [grad(f), grad(grad(f)), grad(grad(grad(f)))]
    for x in points:
        with mpmath.workdps(40):
            expected = [float(mpmath.diff(exact, mpmath.mpf(x), n)) for n in (1, 2, 3)]
        with saying(x):
            np.testing.assert_allclose([float(g(x)) for g in slopes], expected, rtol=1e-11, atol=1e-14)


def test_orders_that_differ_and_orders_that_are_differentiated_by():
    found = jacobian(lambda v: sp.jv(np.array([0, 1, 0]), v))(np.abs(X))
    np.testing.assert_allclose(np.diag(found), [-sp.j1(0.7), sp.jvp(1, 1.3), -sp.j1(2.1)], rtol=1e-14)
    np.testing.assert_allclose(grad(lambda t, n: sp.jv(n, t))(1.3, 1), sp.jvp(1, 1.3), rtol=1e-14)
    with pytest.raises(TracingError, match="jv has no derivative by its order"):
        grad(lambda n: sp.jv(n, 1.3))(1.0)


VIEWS = {
    "a window": lambda v: as_strided(v, (3, 3), v.strides * 2),
    "backwards from the end": lambda v: as_strided(v[4:], (5,), (-v.strides[0],)),
    "from a row of a transposed matrix": lambda v: as_strided(np.outer(v, v).T[1:, 1:], (2, 2), (8, 8)),
    "of windows": lambda v: as_strided(sliding_window_view(v, 2)[1:], (2,), v.strides),
    "as it is": lambda v: as_strided(v[::2]),
    "of one row repeated": lambda v: as_strided(np.broadcast_to(v, (3, 5))[1:]),
    "circulant": scipy.linalg.circulant,
    "toeplitz": scipy.linalg.toeplitz,
    "hankel": scipy.linalg.hankel,
}


# SciPy 1.18 gives these matrices for traced numbers, and says that 1.20 will not.
@pytest.mark.filterwarnings("ignore:Calling _[a-z]+ with arguments of dtype=object:DeprecationWarning")
@within("name", VIEWS)
def test_views_by_strides_reach_what_is_beside_the_part_that_they_are_of(name):
    agrees(lambda v: np.sum(VIEWS[name](v) ** 2), np.array([0.3, -1.2, 2.0, 0.7, 1.5]))


@within("shape_and_strides", [((6,), (8,)), ((2,), (-8,))])
def test_views_by_strides_that_leave_the_array_are_refused(shape_and_strides):
    """NumPy reads whatever is there; objects from there would end the process."""
    with pytest.raises(TracingError, match=r"(?s)as_strided\(v.*leaves the array"):
        grad(lambda v: np.sum(as_strided(v, *shape_and_strides)))(np.arange(5.0))
