"""Derivatives of NumPy's functions in every broadcasting form, against finite differences."""

from __future__ import annotations

import math
import operator

import numpy as np
import pytest
import scipy.optimize
import scipy.special
from cases import saying
from derivatives import close, differences, numbers, one_point_is_a_row, same

from mmlfast.autodiff import derivative, grad, jacobian, jvp


def weighted(result):
    """One number of a result, with another weight on each entry; tuples and lists are joined."""
    if isinstance(result, tuple | list):
        return sum(weighted(part) * (i + 1) for i, part in enumerate(result))
    weights = np.cos(np.arange(math.prod(np.shape(result))) + 1.0).reshape(np.shape(result))
    return np.sum(result * weights)


def agrees(function, *arrays, rtol=1e-9):
    """All arrays at once are one vector; then each alone, the others constants."""
    shapes = [np.shape(a) for a in arrays]
    x = np.concatenate([np.ravel(a) for a in arrays]) if arrays else np.empty(0)
    ends = np.cumsum([math.prod(s) for s in shapes])

    def together(v):
        parts = [v[end - math.prod(s) : end].reshape(s) for s, end in zip(shapes, ends, strict=True)]
        return weighted(function(*parts))

    expected = differences(together, x)
    scale = np.abs(expected).max(initial=1.0)
    g = grad(together)
    np.testing.assert_allclose(g(x), expected, rtol=rtol, atol=rtol * scale)
    if x.size:
        one_point_is_a_row(g, np.stack([x, x * 1.01]))
        direction = np.sin(np.arange(x.size) + 1.0)
        value, slope = jvp(together, (x,), (direction,))
        np.testing.assert_allclose(value, float(together(x)), rtol=1e-13, atol=1e-13 * scale)
        np.testing.assert_allclose(slope, expected @ direction, rtol=rtol, atol=rtol * scale)
    for i, array in enumerate(arrays):

        def alone(a, i=i):
            return weighted(function(*arrays[:i], a, *arrays[i + 1 :]))

        part = np.split(expected, ends[:-1])[i].reshape(shapes[i])
        with saying("argument", i, "alone"):
            np.testing.assert_allclose(grad(alone)(np.asarray(array)), part, rtol=rtol, atol=rtol * scale)


def agrees_or_refused(name, function, *arrays, rtol=1e-9):
    """What is not offered says its name."""
    try:
        agrees(function, *arrays, rtol=rtol)
    except (TypeError, NotImplementedError) as error:
        assert name.split(".")[-1] in str(error), error  # noqa: PT017
        return False
    return True


# ---- functions of each element ----

POSITIVE = (0.6, 1.9)
UNARY = {
    **dict.fromkeys(("negative", "positive", "absolute", "fabs", "sign", "square", "sqrt", "cbrt"), POSITIVE),
    **dict.fromkeys(("reciprocal", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p"), POSITIVE),
    **dict.fromkeys(("sin", "cos", "arctan", "sinh", "cosh", "tanh", "arcsinh"), POSITIVE),
    **dict.fromkeys(("degrees", "rad2deg", "radians", "deg2rad"), POSITIVE),
    "tan": (0.2, 1.2),
    **dict.fromkeys(("floor", "ceil", "trunc"), (1.1, 1.9)),
    "rint": (0.6, 1.4),
    **dict.fromkeys(("arcsin", "arccos", "arctanh"), (-0.9, 0.9)),
    "arccosh": (1.3, 3.0),
}
SPECIAL = {
    "erf": (-2, 2),
    "erfc": (-2, 2),
    "expit": (-3, 3),
    "logit": (0.25, 0.75),
    "gammaln": (0.4, 5.0),
}
SHAPES = [(), (1,), (3,), (9,), (2, 3), (2, 1, 2), (0,)]


@pytest.mark.parametrize("name", UNARY)
def test_functions_of_an_element(name):
    function = getattr(np, name)
    low, high = UNARY[name]
    for shape in SHAPES:
        with saying(shape):
            agrees(function, numbers(*shape, low=low, high=high))
    agrees(lambda a: function(2 * a + 0.1) * a, numbers(3, low=low / 2, high=(high - 0.1) / 2))


@pytest.mark.parametrize("name", SPECIAL)
def test_special_functions_of_an_element(name):
    function = getattr(scipy.special, name)
    low, high = SPECIAL[name]
    for shape in SHAPES:
        with saying(shape):
            agrees(function, numbers(*shape, low=low, high=high))


@pytest.mark.filterwarnings("ignore:numpy.fix is deprecated:DeprecationWarning")  # NumPy 2.5
def test_other_functions_of_an_element():
    a = numbers(2, 3)
    for name in ("sinc", "nan_to_num", "real", "conjugate", "angle", "i0", "spacing", "fix", "round", "around"):
        with saying(name):
            agrees_or_refused(name, getattr(np, name), a)
    for name in ("psi", "digamma", "ndtr", "log_expit", "entr", "exprel", "log_ndtr", "softmax", "logsumexp", "gamma"):
        if hasattr(scipy.special, name):
            with saying(name):
                agrees_or_refused("", getattr(scipy.special, name), a)


MUST = {
    **{name: getattr(operator, name) for name in ("sub", "mul", "truediv", "pow")},
    **{name: getattr(np, name) for name in ("add", "subtract", "multiply", "divide", "true_divide", "power")},
    **{name: getattr(np, name) for name in ("arctan2", "hypot", "logaddexp", "maximum", "minimum")},
}
MAY = {
    "floordiv": operator.floordiv,
    **{name: getattr(np, name) for name in ("fmax", "fmin", "fmod", "mod", "remainder", "floor_divide")},
    **{name: getattr(np, name) for name in ("float_power", "logaddexp2", "copysign", "heaviside", "nextafter")},
}
BINARY = MUST | MAY
FORMS = [
    ((), ()),
    ((), (3,)),
    ((3,), ()),
    ((3,), (3,)),
    ((2, 1), (1, 3)),
    ((2, 3), (3,)),
    ((3,), (2, 3)),
    ((1,), (3,)),
    ((2, 3), ()),
    ((2, 3), (2, 1)),
    ((1, 3), (2, 1, 1)),
    ((2, 2, 2), (2, 2, 2)),
    ((0,), (1,)),
    ((2, 0), (1, 1)),
]


@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two_elements(name):
    function = BINARY[name]
    for left, right in FORMS:
        # the quotient stays away from whole numbers
        a, b = numbers(*left, low=1.3, high=1.45, seed=1), numbers(*right, low=0.84, high=0.94, seed=2)
        with saying(left, right):
            if name in MUST:
                agrees(function, a, b)
                if name not in ("power", "pow"):
                    agrees(function, -b, a)
            elif not agrees_or_refused({"floordiv": "floor_divide"}.get(name, name), function, a, b):
                break


def test_operators_with_numbers_of_every_kind():
    x = numbers(3)
    others = [
        2,
        2.5,
        np.float64(2.5),
        np.float32(0.5),
        np.int64(3),
        True,
        np.array(1.5),
        numbers(3, seed=3),
        [1.0, 2, 3],
    ]
    for name in ("add", "sub", "mul", "truediv", "pow"):
        function = getattr(operator, name)
        for other in others:
            if isinstance(other, list) and name == "pow":
                continue
            with saying(name, repr(other)):
                for f in (lambda v, o=other, q=function: q(v, o), lambda v, o=other, q=function: q(o, v)):
                    want = lambda v, f=f, o=other: weighted(f(np.asarray(v)))  # noqa: E731
                    np.testing.assert_allclose(
                        grad(lambda v, f=f: weighted(f(v)))(x),
                        differences(want, x),
                        rtol=1e-9,
                        atol=1e-15,
                    )
    for f in (lambda v: -v, lambda v: +v, abs, lambda v: v.__abs__(), lambda v: divmod(v, 0.3)[1]):
        try:
            np.testing.assert_allclose(
                grad(lambda v, f=f: weighted(f(v)))(x), differences(lambda v, f=f: weighted(f(v)), x), rtol=1e-9
            )
        except TypeError as error:
            assert "mod" in str(error)  # noqa: PT017


def test_operators_in_place():
    def f(v):
        a = v * 1
        a += v
        a *= v
        a -= 2
        a /= v + 1
        a **= 2
        a[1:] += v[:-1]
        a[0] *= 3
        return weighted(a)

    agrees(f, numbers(4))


def test_comparisons_and_logic():
    a, b = numbers(3, seed=1), numbers(3, low=0.68, high=2.1, seed=2)
    for compare in (np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal):
        agrees(lambda u, v, c=compare: np.where(c(u, v), u * u, v * u), a, b)
    for compare in (operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne):
        agrees(lambda u, v, c=compare: np.where(c(u, v), u * u, v * u), a, b)
        agrees(lambda u, v, c=compare: c(u, 1.0) * v, a, b)
    for f in (
        lambda u, v: np.where((u > 1) & (v < 1.5), u, v * v),
        lambda u, v: np.where((u > 1) | (v < 1.5), u, v * v),
        lambda u, v: np.where(~(u > 1), u, v * v),
        lambda u, v: np.where((u > 1) ^ (v > 1), u, v * v),
        lambda u, v: np.where(np.logical_and(u > 1, v > 1), u, v * v),
        lambda u, v: np.where(np.logical_or(u > 1, v > 1), u, v * v),
        lambda u, v: np.where(np.logical_not(u > 1), u, v * v),
        lambda u, v: (u > 1) * v + (v > 1) * u,
        lambda u, v: np.where(u > 1, u, 0),
        lambda u, v: np.where(np.array([True, False, True]), u, v * v),
        lambda u, v: np.where(u[:, None] > v, u[:, None] * v, v),
        lambda u, v: np.where(u[0] > v[0], u, v[1]),
    ):
        agrees(f, a, b)
    for name in ("isnan", "isfinite", "isinf", "signbit", "logical_xor"):
        function = getattr(np, name)
        if name == "logical_xor":
            agrees_or_refused(name, lambda u, v: np.where(np.logical_xor(u > 1, v > 1), u, v * v), a, b)
        else:
            agrees_or_refused(name, lambda u, v, q=function: np.where(q(u), v, u * v), a, b)


# ---- reductions ----

REDUCTIONS = ("sum", "mean", "prod", "max", "min")
OTHER_REDUCTIONS = ("amax", "amin", "var", "std", "ptp", "nansum", "nanmean", "median", "average", "nanmax", "nanprod")


@pytest.mark.parametrize("name", [*REDUCTIONS, *OTHER_REDUCTIONS])
def test_reductions(name):
    function = getattr(np, name)
    for shape in [(), (1,), (5,), (2, 3), (3, 1), (2, 3, 2), (17,)]:
        axes = [None, *range(len(shape)), *(-1 - i for i in range(len(shape)))]
        axes += [(0, 1), (-1, 0)] if len(shape) > 1 else []
        for axis in axes:
            a = numbers(*shape)
            with saying(shape, axis):
                if not shape and name in ("var", "std"):
                    continue
                if name in REDUCTIONS:
                    agrees(lambda v, k=axis: function(v, axis=k), a)
                    agrees(lambda v, k=axis: function(v, axis=k, keepdims=True) * v, a)
                    agrees(lambda v, k=axis: getattr(v, name)(axis=k), a)
                elif not agrees_or_refused(name, lambda v, k=axis: function(v, axis=k), a):
                    return
    if name in ("sum", "mean", "prod", "max", "min"):
        agrees(lambda v: getattr(v, name)(), numbers(2, 3))
        agrees(lambda v: getattr(v, name)(1), numbers(2, 3))
    if name in ("var", "std"):
        agrees_or_refused(name, lambda v: function(v, axis=0, ddof=1), numbers(4, 2))
        agrees_or_refused(name, lambda v: getattr(v, name)(ddof=1), numbers(4))


def test_reductions_with_more_arguments():
    a, m = numbers(2, 3), np.array([[True, False, True], [False, True, True]])
    for name, f in {
        "where": lambda v: np.sum(v, where=m),
        "initial": lambda v: np.sum(v * v, initial=2.0),
        "initial of max": lambda v: np.max(v, initial=1.0),
        "initial of prod": lambda v: np.prod(v, initial=3.0),
        "dtype": lambda v: np.sum(v, dtype=float),
        "weights": lambda v: np.average(v, axis=1, weights=np.array([1.0, 2, 3])),
        "reduce": lambda v: np.add.reduce(v, axis=1),
        "maximum.reduce": lambda v: np.maximum.reduce(v, axis=1),
        "accumulate": lambda v: np.add.accumulate(v, axis=1),
        "outer": lambda v: np.multiply.outer(v[0], v[1]),
    }.items():
        with saying(name):
            try:
                agrees(f, a)
            except (TypeError, NotImplementedError, ValueError) as error:
                assert "test_autodiff_numpy.py" in str(error), error  # noqa: PT017


def test_running_sums_and_differences():
    for shape in [(5,), (2, 3), (1,), (2, 3, 2)]:
        a = numbers(*shape)
        for axis in [None, *range(len(shape))]:
            with saying(shape, axis):
                agrees(lambda v, k=axis: np.cumsum(v, axis=k), a)
                agrees(lambda v, k=axis: v.cumsum(axis=k) ** 2, a)
                agrees_or_refused("cumprod", lambda v, k=axis: np.cumprod(v, axis=k), a)
        for axis in range(len(shape)):
            agrees(lambda v, k=axis: np.diff(v, axis=k), a)
    agrees(lambda v: np.diff(v), numbers(4))
    agrees(lambda v: np.diff(v, n=2) ** 2, numbers(5))
    agrees_or_refused("ediff1d", np.ediff1d, numbers(5))
    agrees_or_refused("trapezoid", np.trapezoid, numbers(5))


# ---- products ----


def test_products_of_arrays():
    n = numbers
    for left, right in [
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((3,), (3, 2)),
        ((2, 3), (3, 4)),
        ((1, 3), (3, 1)),
        ((2, 1), (1, 2)),
        ((1,), (1,)),
        ((9, 17), (17, 2)),
    ]:
        a, b = n(*left, seed=1), n(*right, seed=2)
        with saying(left, right):
            for f in (np.dot, np.matmul, operator.matmul, lambda u, v: u.dot(v)):
                agrees(f, a, b)
    for left, right in [
        ((4, 2, 3), (3,)),
        ((4, 2, 3), (4, 3, 2)),
        ((2, 3), (4, 3, 2)),
        ((3,), (4, 3, 2)),
        ((2, 1, 2, 3), (3, 3, 1)),
    ]:
        a, b = n(*left, seed=1), n(*right, seed=2)
        with saying(left, right):
            agrees(np.matmul, a, b)
    agrees(np.dot, n(2, 2, 3), n(3, 2)) if True else None
    agrees(np.dot, n(), n(3))
    agrees(np.outer, n(2), n(3, seed=1))
    agrees(np.inner, n(3), n(3, seed=1))
    agrees(np.vecdot, n(2, 3), n(3, seed=1))
    agrees(np.vecdot, n(2, 1, 3), n(4, 3, seed=1))
    for name, f, shapes in [
        ("vdot", np.vdot, [(3,), (3,)]),
        ("inner", np.inner, [(2, 3), (4, 3)]),
        ("tensordot", np.tensordot, [(2, 3), (2, 3)]),
        ("tensordot", lambda a, b: np.tensordot(a, b, axes=1), [(2, 3), (3, 4)]),
        ("tensordot", lambda a, b: np.tensordot(a, b, axes=([0], [1])), [(2, 3), (4, 2)]),
        ("kron", np.kron, [(2,), (3,)]),
        ("kron", np.kron, [(2, 2), (1, 3)]),
        ("cross", np.cross, [(3,), (3,)]),
        ("cross", np.cross, [(2, 3), (3,)]),
        ("matvec", np.matvec, [(2, 3), (3,)]),
        ("vecmat", np.vecmat, [(2,), (2, 3)]),
        ("multi_dot", lambda a, b: np.linalg.multi_dot([a, b, a]), [(2, 3), (3, 2)]),
        ("matrix_power", lambda a: np.linalg.matrix_power(a, 3), [(2, 2)]),
        ("convolve", np.convolve, [(4,), (2,)]),
        ("correlate", np.correlate, [(4,), (2,)]),
    ]:
        with saying(name, shapes):
            agrees_or_refused(name, f, *(n(*s, seed=i) for i, s in enumerate(shapes)))


@pytest.mark.parametrize(
    ("subscripts", "shapes"),
    [
        ("i,i->", [(3,), (3,)]),
        ("ij,j->i", [(2, 3), (3,)]),
        ("ij,jk->ik", [(2, 3), (3, 4)]),
        ("ij,kj->ik", [(2, 3), (4, 3)]),
        ("bij,bjk->bik", [(2, 2, 3), (2, 3, 2)]),
        ("ij->ji", [(2, 3)]),
        ("ij->", [(2, 3)]),
        ("ij->j", [(2, 3)]),
        ("ii->", [(3, 3)]),
        ("ii->i", [(3, 3)]),
        ("i,j->ij", [(2,), (3,)]),
        ("ij,ij->", [(2, 3), (2, 3)]),
        ("i,ij,j->", [(2,), (2, 3), (3,)]),
        ("ij,j,k->ik", [(2, 3), (3,), (2,)]),
        ("ij,jk", [(2, 3), (3, 2)]),
        ("...i,...i->...", [(2, 3), (3,)]),
        ("i,i", [(3,), (3,)]),
    ],
)
def test_einsum(subscripts, shapes):
    agrees(lambda *parts: np.einsum(subscripts, *parts), *(numbers(*s, seed=i) for i, s in enumerate(shapes)))


def test_einsum_with_one_array_twice():
    agrees(lambda a: np.einsum("ij,ij->i", a, a), numbers(2, 3))
    agrees(lambda a, m: np.einsum("i,ij,j->", a, m, a), numbers(3), numbers(3, 3, seed=1))


# ---- linear algebra ----


def test_norms():
    for shape in [(1,), (4,), (2, 3)]:
        a = numbers(*shape)
        agrees(np.linalg.norm, a)
        for axis in range(len(shape)):
            agrees(lambda v, k=axis: np.linalg.norm(v, axis=k), a)
            agrees(lambda v, k=axis: np.linalg.norm(v, axis=k, keepdims=True) * v, a)
    for order in (1, 2, np.inf, -np.inf, 3, 0.5, 0):
        with saying(order):
            agrees_or_refused("norm", lambda v, o=order: np.linalg.norm(v, o), numbers(4))
    for order in ("fro", "nuc", 1, 2, np.inf):
        with saying(order):
            agrees_or_refused("norm", lambda v, o=order: np.linalg.norm(v, o), numbers(2, 3))
    agrees_or_refused("vector_norm", lambda v: np.linalg.vector_norm(v), numbers(4))
    agrees_or_refused("matrix_norm", lambda v: np.linalg.matrix_norm(v), numbers(2, 3))


def test_solve_inv_det():
    for n in (1, 2, 3, 4, 6, 9, 12):
        a = numbers(n, n) + 2 * np.eye(n)
        with saying(n):
            agrees(np.linalg.solve, a, numbers(n, seed=1))
            agrees(np.linalg.inv, a)
            agrees(np.linalg.det, a / 2, rtol=1e-8)
            if n < 5:
                agrees(np.linalg.solve, a, numbers(n, 2, seed=1))
                agrees(lambda m: np.linalg.inv(m) @ m.T, a)
                agrees(lambda m: np.log(np.abs(np.linalg.det(m))), a)
    a = numbers(2, 3, 3) + 2 * np.eye(3)
    for name, f, arrays in [
        ("solve", np.linalg.solve, [a, numbers(2, 3, 1, seed=1)]),
        ("solve", np.linalg.solve, [a[0], numbers(2, 3, 1, seed=1)]),
        ("inv", np.linalg.inv, [a]),
        ("det", np.linalg.det, [a]),
        ("slogdet", lambda m: np.linalg.slogdet(m)[1], [a[0]]),
        ("cholesky", lambda m: np.linalg.cholesky(m @ m.T), [a[0]]),
        ("trace", np.trace, [a[0]]),
        ("eigh", lambda m: np.linalg.eigh(m + m.T)[0], [a[0]]),
        ("eigvalsh", lambda m: np.linalg.eigvalsh(m + m.T), [a[0]]),
        ("svd", lambda m: np.linalg.svd(m)[1], [a[0]]),
        ("qr", lambda m: np.linalg.qr(m)[1], [a[0]]),
        ("pinv", np.linalg.pinv, [a[0]]),
        ("lstsq", lambda m: np.linalg.lstsq(m, np.ones(3))[0], [a[0]]),
    ]:
        with saying(name):
            agrees_or_refused(name, f, *arrays)


# ---- shapes and indices ----

A23, A4, A234 = numbers(2, 3), numbers(4), numbers(2, 3, 4)
RESHAPING = {
    "reshape": (lambda a: np.reshape(a, (3, 2)), A23),
    "reshape method": (lambda a: a.reshape(3, 2), A23),
    "reshape tuple": (lambda a: a.reshape((-1,)), A23),
    "ravel": (np.ravel, A23),
    "ravel method": (lambda a: a.ravel(), A23),
    "flatten": (lambda a: a.flatten(), A23),
    "transpose": (np.transpose, A234),
    "transpose axes": (lambda a: np.transpose(a, (1, 0, 2)), A234),
    "transpose method": (lambda a: a.transpose(2, 0, 1), A234),
    "T": (lambda a: a.T, A23),
    "swapaxes": (lambda a: np.swapaxes(a, 0, 2), A234),
    "moveaxis": (lambda a: np.moveaxis(a, 0, -1), A234),
    "expand_dims": (lambda a: np.expand_dims(a, 1), A23),
    "squeeze": (lambda a: np.squeeze(a[:, :1]), A23),
    "squeeze method": (lambda a: a[:, :1].squeeze(axis=1), A23),
    "concatenate": (lambda a: np.concatenate([a, a[::-1], np.ones((1, 3))]), A23),
    "concatenate axis": (lambda a: np.concatenate((a, 2 * a), axis=1), A23),
    "stack": (lambda a: np.stack([a[0], a[1], np.ones(3)]), A23),
    "stack axis": (lambda a: np.stack([a, a * a], axis=-1), A23),
    "vstack": (lambda a: np.vstack([a, a[0]]), A23),
    "hstack": (lambda a: np.hstack([a, a]), A23),
    "column_stack": (lambda a: np.column_stack([a[0], a[1]]), A23),
    "broadcast_to": (lambda a: np.broadcast_to(a, (4, 2, 3)), A23),
    "copy": (lambda a: a.copy() * np.copy(a), A23),
    "zeros_like": (lambda a: np.zeros_like(a) + np.ones_like(a) * a + np.full_like(a, 2.0), A23),
    "where": (lambda a: np.where(a > 1.2, a, 2 * a), A23),
    "clip": (lambda a: np.clip(a, 0.9, 1.5), A23),
    "clip method": (lambda a: a.clip(0.9, 1.5), A23),
    "clip by arrays": (lambda a: np.clip(a, np.full(3, 0.9), a[0] + 0.55), A23),
    "take": (lambda a: np.take(a, [0, 2, 2], axis=1), A23),
    "slices": (lambda a: a[:, ::2] * a[::-1, :2], A23),
    "ellipsis": (lambda a: a[..., 1] * a[..., -1], A234),
    "newaxis": (lambda a: a[:, None] * a[None, :], A4),
    "integer arrays": (lambda a: a[[0, 1, 1], [2, 0, 2]], A23),
    "mixed": (lambda a: a[1, [0, 2], 1:3], A234),
    "mask": (lambda a: a[np.array([True, False, True, True])] ** 2, A4),
    "mask of two": (lambda a: a[np.eye(2, 3, dtype=bool)], A23),
    "integers of numpy": (lambda a: a[np.int64(1)] * a[np.uint8(0)], A4),
    "unpacking": (lambda a: (lambda p, q, r, s: p * q + r / s)(*a), A4),
    "iteration": (lambda a: [row * 2 for row in a], A23),
    "astype": (lambda a: a.astype(float) * a, A4),
    "sum of a generator": (lambda a: sum(t * t for t in a), A4),
    "builtin sum": (lambda a: sum(a), A23),
}
OTHER_RESHAPING = {
    "mT": (lambda a: a.mT, A23),
    "rollaxis": (lambda a: np.rollaxis(a, 2), A234),
    "permute_dims": (lambda a: np.permute_dims(a, (1, 0)), A23),
    "matrix_transpose": (np.matrix_transpose, A23),
    "dstack": (lambda a: np.dstack([a, a]), A23),
    "append": (lambda a: np.append(a, a * a), A23),
    "block": (lambda a: np.block([[a, a], [a, 2 * a]]), A23),
    "split": (lambda a: np.split(a, 2), A4),
    "array_split": (lambda a: np.array_split(a, 3), A4),
    "hsplit": (lambda a: np.hsplit(a, 3), A23),
    "vsplit": (lambda a: np.vsplit(a, 2), A23),
    "repeat": (lambda a: np.repeat(a, 2, axis=1), A23),
    "tile": (lambda a: np.tile(a, (2, 2)), A23),
    "roll": (lambda a: np.roll(a, 1, axis=1), A23),
    "flip": (lambda a: np.flip(a, 1), A23),
    "fliplr": (np.fliplr, A23),
    "flipud": (np.flipud, A23),
    "rot90": (np.rot90, A23),
    "broadcast_arrays": (lambda a: np.broadcast_arrays(a, a[:1])[1], A23),
    "atleast_1d": (np.atleast_1d, A4),
    "atleast_2d": (np.atleast_2d, A4),
    "atleast_3d": (np.atleast_3d, A4),
    "pad": (lambda a: np.pad(a, 1), A23),
    "diag": (np.diag, A4),
    "diagonal": (np.diagonal, A23),
    "trace": (np.trace, A23),
    "tril": (np.tril, A23),
    "triu": (np.triu, A23),
    "take_along_axis": (lambda a: np.take_along_axis(a, np.array([[0], [2]]), axis=1), A23),
    "meshgrid": (lambda a: np.meshgrid(a, a)[0], A4),
    "select": (lambda a: np.select([a > 1.5, a > 1.0], [a, a * a], 0.0), A23),
    "delete": (lambda a: np.delete(a, 1), A4),
    "insert": (lambda a: np.insert(a, 1, 5.0), A4),
    "resize": (lambda a: np.resize(a, (3, 3)), A23),
    "choose": (lambda a: np.choose([0, 1, 0], [a[0], a[1]]), A23),
    "compress": (lambda a: np.compress([True, False, True], a, axis=1), A23),
    "extract": (lambda a: np.extract(np.array([True, False, True, True]), a), A4),
    "piecewise": (lambda a: np.piecewise(a, [a < 1.2, a >= 1.2], [lambda t: t * t, lambda t: t]), A4),
    "sort": (np.sort, A4),
    "apply_along_axis": (lambda a: np.apply_along_axis(np.sum, 1, a), A23),
    "vectorize": (lambda a: np.vectorize(lambda t: t * t)(a), A4),
    "polyval": (lambda a: np.polyval([1.0, 2.0, 3.0], a), A4),
    "vander": (lambda a: np.vander(a, 3), A4),
    "interp": (lambda a: np.interp(a, [0.0, 1.0, 2.0], [0.0, 3.0, 4.0]), A4),
    "gradient": (np.gradient, A4),
    "cov": (np.cov, A23),
    "corrcoef": (np.corrcoef, A23),
    "histogram": (lambda a: np.histogram(a)[0], A4),
    "unwrap": (np.unwrap, A4),
    "ix_": (lambda a: a[np.ix_([0, 1], [0, 2])], A23),
    "digitize": (lambda a: np.digitize(a, [1.0]) * a, A4),
    "searchsorted": (lambda a: np.searchsorted([1.0], a) * a, A4),
    "argmax": (lambda a: a[np.argmax(a)], A4),
}


@pytest.mark.parametrize("name", RESHAPING)
def test_shapes_and_indices(name):
    function, array = RESHAPING[name]
    agrees(function, array)
    agrees(lambda a: function(a * a), array)


@pytest.mark.parametrize("name", OTHER_RESHAPING)
def test_other_functions_of_shapes_are_right_or_refused(name):
    function, array = OTHER_RESHAPING[name]
    try:
        agrees(function, array)
    except (TypeError, NotImplementedError) as error:
        assert "test_autodiff_numpy.py" in str(error), error  # noqa: PT017


def test_attributes():
    def f(a):
        assert a.shape == (2, 3)
        assert a.ndim == 2
        assert a.size == 6
        assert len(a) == 2
        assert a.dtype == np.float64
        assert np.shape(a) == (2, 3)
        assert np.ndim(a) == 2
        assert np.size(a) == 6
        assert a[0].shape == (3,)
        assert a[0, 0].shape == ()
        assert a.sum().ndim == 0
        return np.sum(a)

    close(grad(f)(A23), np.ones((2, 3)))


def test_scalar_code():
    """Numbers, as one writes with the module math; NumPy's functions on numbers."""

    def f(t):
        a = t * t - 3 * t + 1 / t
        b = 2**t - t**2.5 + abs(t - 5) + -t + +t
        c = np.sin(a) * np.exp(-b / 10) + np.sqrt(t) - np.arctan(t) * np.float64(2)
        return a + b * c - (1 - t) / (2 - t) + 7 // 2 + t % 7

    for t in (0.3, 1.2, 3.7):
        close(grad(f)(t), differences(f, t, step=5e-4), 1e-9)
        close(derivative(f, t, order=2), differences(grad(f), t, step=1e-3, dtype=np.float64), 1e-9)
    points = np.array([0.3, 1.2, 3.7])
    same(derivative(f, points), np.array([derivative(f, t) for t in points]))
    close(jacobian(lambda t: [t, t**2, 3.0])(2.0), [1, 4, 0])
    close(jacobian(lambda t: np.array([t, t**2]))(2.0), [1, 4])
