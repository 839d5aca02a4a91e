"""Every function of NumPy that a tape knows means on it what it means in NumPy: values, shapes, keywords."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special as sp

from mmlfast.autodiff import TracingError, trace

V = np.array([0.3, -1.2, 2.5, 0.8])
W = np.array([1.5, 0.4, -0.7, 2.0])
M = np.arange(12.0).reshape(3, 4) * 0.3 - 1.1
S = np.array([[2.0, 0.3, -0.5], [0.1, 1.5, 0.2], [0.4, -0.2, 3.0]])
T = np.linspace(-1, 1, 24).reshape(2, 3, 4)
MASK = np.array([True, False, True, True])

UNARY = [
    *("negative", "positive", "absolute", "fabs", "sign", "square", "cbrt", "reciprocal", "conjugate"),
    *("exp", "exp2", "expm1", "floor", "ceil", "trunc", "rint"),
    *("sin", "cos", "tan", "arctan", "sinh", "cosh", "tanh", "arcsinh", "degrees", "radians", "deg2rad", "rad2deg"),
    *("isnan", "isinf", "isfinite", "logical_not", "signbit"),
]
POSITIVE = ["sqrt", "log", "log2", "log10", "log1p"]
BINARY = [
    *("add", "subtract", "multiply", "divide", "fmod", "remainder", "floor_divide", "copysign", "heaviside"),
    *("maximum", "minimum", "fmax", "fmin", "arctan2", "hypot", "logaddexp", "logaddexp2"),
    *("less", "less_equal", "greater", "greater_equal", "equal", "not_equal"),
    *("logical_and", "logical_or", "logical_xor"),
]
SPECIAL = ["erf", "erfc", "expit", "log_expit", "gammaln", "digamma", "cbrt", "exp2", "exp10", "expm1", "ndtr"]


def assigned(x, mask, value):
    x = x.copy()
    x[mask] = value
    return x


def changed(x):
    """What arrays and numbers do when they are changed in place: views follow, copies and numbers do not."""
    x = 1.0 * x
    copies, view, number = +x, x[1:], x[0]
    same_number = number
    number += 1.0
    view *= 2.0
    copies += 3.0
    return x * copies + number * same_number


FUNCTIONS = [
    changed,
    lambda v: np.copysign(v, -0.0) + 2 * np.copysign(v, 0.0),
    lambda v: np.einsum("i,jk->i", v, M) + np.einsum("jk,i->i", M, v),
    lambda v: np.sum(v),
    lambda v: v.sum(keepdims=True),
    lambda v: np.mean(v) + v.mean(),
    lambda v: np.var(v, ddof=1) + v.std(ddof=1),
    lambda v: np.prod(v) + v.prod(),
    lambda v: np.max(v) - v.min() + np.ptp(v),
    lambda v: np.sum(v > 0) + np.count_nonzero(v > 0.5),
    lambda v: np.any(v > 2) + np.all(v > -2) * 2.0,
    lambda v: np.cumsum(v) + np.cumprod(v) + v.cumsum(),
    lambda v: np.diff(v),
    lambda v: np.diff(v, n=2, prepend=0.0, append=v[:1]),
    lambda v: np.ediff1d(v, to_begin=1.0, to_end=v[0]),
    lambda v: np.gradient(v) + np.gradient(v, 0.5),
    lambda v: np.trapezoid(v) + np.trapezoid(v, W) + np.trapezoid(v, dx=0.3),
    lambda v: np.dot(v, W) + v @ W + W @ v + np.vdot(v, v) + np.inner(v, W) + v.dot(W),
    lambda v: np.outer(v, W) + np.multiply.outer(v, W) + np.subtract.outer(W, v),
    lambda v: M @ v + np.matmul(M, v) + np.dot(M, v) + np.einsum("ij,j->i", M, v) + np.tensordot(M, v, 1),
    lambda v: np.einsum("i,j", v, W) + np.einsum("i,i", v, v) + np.einsum("i->", v),
    lambda v: np.einsum(v, [0], W, [1], [1, 0]),
    lambda v: np.einsum("i,ji,jk->k", v, M, M),
    lambda v: np.kron(v, W),
    lambda v: np.cross(v[:3], W[:3]),
    lambda v: np.linalg.norm(v) + np.linalg.norm(v, 1) + np.linalg.norm(v, np.inf) + np.linalg.norm(v, 3),
    lambda v: (
        np.linalg.norm(v, -np.inf) + np.linalg.norm(v, 0) + np.linalg.norm(v, -2) + np.linalg.vector_norm(v, ord=1)
    ),
    lambda v: np.where(v > 0, v, v**2),
    lambda v: np.where(MASK, v, 0.0),
    lambda v: np.select([v > 1, v > 0], [v, v**2], 7.0),
    lambda v: np.piecewise(v, [v < 0, v >= 0], [lambda x: -x, lambda x: x**2]),
    lambda v: np.piecewise(v, [v < 0], [3.0, lambda x: x**2]),
    lambda v: np.clip(v, -1, 1) + v.clip(0, None) + np.clip(v, None, W) + np.clip(v, a_min=-1, a_max=W),
    lambda v: np.nan_to_num(v / np.array([1.0, 0.0, np.nan, -2.0])),
    lambda v: np.round(v, 1) + np.around(v) + v.round(1) + np.round(v * 100, -1) + np.fix(v),
    lambda v: np.isclose(v, [0.3, 1, 2.5, 0]) + 0.0,
    lambda v: np.polyval([2.0, -1.0, 0.5], v) + np.polyval(v, 0.7),
    lambda v: np.vander(v) + np.vander(v, 4, increasing=True),
    lambda v: np.convolve(v, [1.0, 2.0]),
    lambda v: np.convolve(v, W[:3], "same") + np.convolve(W, v, "same"),
    lambda v: np.convolve([1.0, 2.0], v, "valid"),
    lambda v: np.average(v) + np.average(v, weights=W),
    lambda v: np.cov(np.stack([v, W])) + np.cov(v, W, bias=True),
    lambda v: v.reshape(2, 2).T + v.reshape((2, -1)) + np.reshape(v, (2, 2)).ravel().reshape(2, 2),
    lambda v: np.reshape(v, (2, 2), order="F").flatten() + v.flatten(),
    lambda v: np.stack([v, W]) + np.vstack([v, W]) + np.array([[1.0], [2.0]]),
    lambda v: np.concatenate([v, W, [1, 2]]) + np.hstack([v, W, [1, 2]]) + np.append(np.append(v, W), [1, 2]),
    lambda v: np.column_stack([v, W]) + np.dstack([v, W])[0],
    lambda v: np.block([[v[:2], v[2:]], [W[:2], W[2:]]]),
    lambda v: np.insert(v, 1, 5.0)[1:] + np.delete(v, 1).sum(),
    lambda v: np.roll(v, 1) + np.flip(v) + v[::-1] + np.take(v, [0, 0, 1, 2]) + v.take([3, 2, 1, 0]),
    lambda v: np.tile(v, (2, 1)) + np.repeat(v[None], 2, axis=0) + np.broadcast_to(v, (2, 4)),
    lambda v: np.expand_dims(v, 0) + v[None] + v[np.newaxis, :] + np.atleast_2d(v),
    lambda v: np.squeeze(v[:, None]) + v[..., None].squeeze(),
    lambda v: np.split(v, 2)[0] + np.array_split(v, 2)[1] + np.hsplit(v, 2)[0],
    lambda v: np.diag(v) + np.diag(v, 1)[:4, :4] + np.diag(np.diag(v)) + np.diagflat(v),
    lambda v: np.triu(np.outer(v, v)) + np.tril(np.outer(v, v), -1),
    lambda v: np.trace(np.outer(v, W)) + np.outer(v, W).trace() + np.outer(v, v).diagonal(),
    lambda v: np.pad(v, 2) + np.pad(v, (2, 2), constant_values=3.0) + np.pad(v, 2, mode="edge"),
    lambda v: np.compress(MASK, v) + v[MASK] + np.extract(MASK, v),
    lambda v: np.meshgrid(v, W)[0] + np.meshgrid(v, W, indexing="ij")[1],
    lambda v: np.broadcast_arrays(v, v[:, None])[1] + v,
    lambda v: (
        np.zeros_like(v) + np.ones_like(v) + np.full_like(v, 2.0) + np.zeros(4, like=v) + np.ones_like(v, shape=4)
    ),
    lambda v: np.add.reduce(v) + np.multiply.reduce(v) + np.maximum.reduce(v) + np.minimum.reduce(v),
    lambda v: np.add.accumulate(v) + np.multiply.accumulate(v),
    lambda v: np.apply_along_axis(lambda r: r * r.sum(), 0, v),
    lambda v: v**2 + v**3 + v**-1 + v**0 + 2.0**v + np.power(v, 2.0) + np.abs(v) ** 1.5 + v ** np.array([0, 1, 2, 3]),
    lambda v: v // 0.7 + v % 0.7 + v % -0.7 + 7 // v + 3 % v + divmod(v, 0.3)[1],
    lambda v: (-v) + (+v) + abs(v) + (1 - v) + (2 * v) + (1 / (v + 5)) + (v - 1) / 3,
    lambda v: ((v > 0) & (v < 1)) + ((v < 0) | (v > 2)) * 2.0 + (~(v > 0)) * 3.0 + ((v > 0) ^ (v > 1)) * 4.0,
    lambda v: (v > 0).sum() + (v > 0).mean() + (v >= 0.3).astype(float) + (v <= 0.3) * 1 + (v == 0.3) + (v != 0.3),
    lambda v: v.astype(np.float64) + v.copy() + v.real + v.imag + np.real(v) + v.conj(),
    lambda v: assigned(v, v > 0.5, 7.0) + assigned(v, v < 0, v[0] * v[1]),
    lambda v: (
        np.linspace(v[0], v[1], 4) + np.linspace(0, v[0], 4, endpoint=False) + np.linspace(v, 2 * v, 4, axis=1)[0]
    ),
    lambda v: np.array([v[0], v[1] * 2, 3.0]),
    lambda v: np.array([[v[0], 1], [v[1], v[2]]]) @ np.array([1.0, 2.0]),
    lambda v: np.sin(np.asarray(v)) * np.exp(np.array([v[0], v[0], v[1], v[1]])),
    lambda v: [v[0], v[1] * v[2], 1.0],
    lambda v: sum(v) + sum(x * x for x in v) + len(v) + v.shape[0] + v.ndim + v.size + np.size(v) + np.ndim(v),
    lambda v: np.float64(2) * v + np.float32(0.5) * v + np.int64(3) * v + np.arange(4) * v + v * [1, 2, 3, 4] + True,
]
MATRICES = [
    lambda m: np.sum(m, axis=0) + m.sum(axis=-2) + np.mean(m, 0) + np.max(m, axis=0) + m.min(0) + np.prod(m, axis=0),
    lambda m: np.sum(m, axis=1, keepdims=True) + m.std(axis=(0, 1), keepdims=True) + np.var(m, axis=1, keepdims=True),
    lambda m: np.sum(m, axis=(0, 1)) + np.linalg.norm(m) + np.linalg.norm(m, "fro") + np.linalg.norm(m, 1),
    lambda m: (
        np.linalg.norm(m, axis=1) + np.linalg.norm(m, np.inf) + np.linalg.norm(m, -1) + np.linalg.norm(m, axis=1, ord=1)
    ),
    lambda m: np.linalg.matrix_norm(m, ord=1) + np.linalg.vector_norm(m) + np.linalg.vector_norm(m, axis=0).sum(),
    lambda m: np.cumsum(m, axis=1) + np.cumprod(m, axis=0) + np.cumsum(m).reshape(3, 4),
    lambda m: np.diff(m, axis=0)[:, :3] + np.diff(m)[:2],
    lambda m: m @ m.T + np.matmul(m, m.T) + m.dot(m.T) + np.einsum("ij,kj->ik", m, m) + np.inner(m, m),
    lambda m: np.einsum("ij,ij->i", m, M) + np.einsum("ij->i", m) + np.vecdot(m, M),
    lambda m: np.einsum("...j,...j", m, M) + np.einsum("ij,ij,ij->i", m, m, M),
    lambda m: np.tensordot(m, T, axes=([0, 1], [1, 2])) + np.tensordot(T, m, axes=2),
    lambda m: T @ m.T + np.dot(T, m.T) + m[None] @ np.swapaxes(T, 1, 2),
    lambda m: np.average(m, axis=0, weights=[1, 2, 3]) + np.average(m, axis=0),
    lambda m: np.moveaxis(m, 0, 1) + np.swapaxes(m, 0, 1) + m.T + m.transpose(1, 0) + np.rot90(m)[::-1] + m.mT,
    lambda m: m[1:, ::2] + m[[0, 2]][:, [1, 3]] + m[np.array([0, 1])][:, 2:] + m[:2, MASK][:, :2],
    lambda m: m[..., 0] + m[(0, 1, 2), (1, 2, 3)] + m[-1, :3],
    lambda m: np.fliplr(m) + np.flipud(m) + np.roll(m, 1, axis=1) + np.flip(m, 0),
    lambda m: np.trace(m) + np.diag(m).sum() + np.diagonal(m, 1).sum() + np.linalg.diagonal(m).sum(),
    lambda m: (m[:, None] - m[None]) ** 2 @ np.ones(4),
    lambda m: np.apply_along_axis(np.sum, 1, m) + np.apply_along_axis(lambda r: r[:3] * 2, 1, m).sum(1),
    lambda m: np.cov(m) + np.cov(m, ddof=0),
    lambda m: np.any(m > 1.5, axis=1) + np.all(m > -0.5, axis=1) * 2.0,
    lambda m: m.mean(axis=0, keepdims=True) + m,
    lambda m: np.atleast_3d(m).squeeze() + np.ravel(m).reshape(3, 4) + m.flat[0] + m.item(2) + m.item(1, 1),
]
SQUARES = [
    lambda a: np.linalg.det(a) + np.linalg.slogdet(a)[1] + np.linalg.slogdet(a).sign,
    lambda a: (
        np.linalg.inv(a) + np.linalg.matrix_power(a, 3) + np.linalg.matrix_power(a, -2) + np.linalg.matrix_power(a, 0)
    ),
    lambda a: np.linalg.solve(a, np.ones(3)) + np.linalg.solve(a, S).sum(0) + np.linalg.solve(S, a)[0],
    lambda a: np.linalg.det(np.stack([a, 2 * a])) + np.linalg.inv(np.stack([a, S])).sum((1, 2)),
    lambda a: np.linalg.multi_dot([a, S, a]) + np.linalg.matmul(a, S) + np.linalg.outer(a[0], a[1]),
]


def check(f, *args):
    with np.errstate(all="ignore"):
        expected = np.asarray(f(*args), float)
    traced = trace(f, *args)(*args)
    assert np.shape(traced) == expected.shape
    np.testing.assert_allclose(traced, expected, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("name", UNARY)
def test_unary_ufuncs(name):
    f = getattr(np, name)
    check(lambda v: f(v) + 0.0, V)
    check(lambda v: f(v[0]) + 0.0, V)
    check(lambda m: f(m) + 0.0, M)


@pytest.mark.parametrize("name", POSITIVE)
def test_unary_ufuncs_of_positive_numbers(name):
    check(getattr(np, name), np.abs(V))


@pytest.mark.parametrize("name", ["arcsin", "arccos", "arctanh"])
def test_unary_ufuncs_within_one(name):
    check(getattr(np, name), V / 3)


@pytest.mark.parametrize("name", BINARY)
def test_binary_ufuncs_broadcast(name):
    f = getattr(np, name)
    check(lambda v: f(v, W) + 0.0, V)
    check(lambda v: f(W, v) + 0.0, V)
    check(lambda v: f(v, 0.7) + 0.0, V)
    check(lambda v: f(-2, v) + 0.0, V)
    check(lambda v: f(v, v) + 0.0, V)
    check(lambda v: f(v, M) + 0.0, V)
    check(lambda v: f(v[:, None], v) + 0.0, V)
    check(lambda m: f(m[:, :1], m[:1]) + 0.0, M)
    check(lambda m: f(m[0, 0], m) + 0.0, M)
    check(lambda m: f(T, m) + 0.0, M)


@pytest.mark.parametrize("name", SPECIAL)
def test_functions_of_scipy_special(name):
    check(getattr(sp, name), np.abs(V))


def test_functions_of_scipy_special_of_two():
    p = np.array([0.0, 0.2, 0.6, 1.0])
    check(lambda v: sp.xlogy(v, v) + sp.xlogy(v, W) + sp.xlogy(2.0, v + 1), np.abs(p))
    check(lambda v: sp.xlog1py(v, v) + sp.entr(v) + sp.rel_entr(v, np.abs(W)), p)
    check(sp.logit, np.array([1e-300, 0.1, 0.3, 0.5, 0.501, 0.9]))


@pytest.mark.filterwarnings("ignore:numpy.fix is deprecated:DeprecationWarning")  # NumPy 2.5
@pytest.mark.parametrize("number", range(len(FUNCTIONS)))
def test_functions_of_vectors(number):
    check(FUNCTIONS[number], V)


@pytest.mark.parametrize("number", range(len(MATRICES)))
def test_functions_of_matrices(number):
    check(MATRICES[number], M)


@pytest.mark.parametrize("number", range(len(SQUARES)))
def test_functions_of_square_matrices(number):
    check(SQUARES[number], S)


@pytest.mark.parametrize("n", [1, 2, 5, 8, 9, 12])
def test_determinants_of_all_sizes(n):
    a = np.eye(n) * 2 + np.sin(np.arange(n * n)).reshape(n, n)
    check(np.linalg.det, a)
    check(lambda x: np.linalg.slogdet(x)[1], a)


def test_three_dimensions():
    check(lambda t: np.sum(t, axis=(0, 2)) + np.sum(t, axis=(2, 0)) + t.max(axis=(0, -1)), T)
    check(lambda t: np.einsum("ijk,ijk->j", t, T) + np.einsum("ijk->j", t) + np.einsum("iik->i", t[:, :2]).sum(), T)
    check(lambda t: np.transpose(t, (2, 0, 1)) + np.moveaxis(t, -1, 0) + np.rollaxis(t, 2), T)
    check(lambda t: t @ np.swapaxes(t, -1, -2) + np.linalg.matrix_transpose(np.matmul(t, t.mT)), T)
    check(lambda t: np.linalg.norm(t, axis=(1, 2)) + np.linalg.norm(t, 1, axis=(0, 2))[:2], T)


def test_empty_arrays():
    empty = np.zeros(0)
    check(lambda v: np.sum(v[:0]) + np.prod(v[:0]) + np.sum(v[:0] * 2 + v[:0]) + np.dot(v[:0], empty), V)
    check(lambda v: np.concatenate([v[:0], v]) + np.sum(np.zeros((0, 3))), V)
    check(lambda m: np.sum(m[:0], axis=0) + m[:0].T @ np.zeros(0), M)
    with pytest.raises(ValueError, match="no identity"):
        trace(lambda v: np.max(v[:0]), V)


@pytest.mark.parametrize(
    "f",
    [
        lambda v: np.fft.fft(v),
        lambda v: np.argsort(v),
        lambda v: np.percentile(v, 30, method="nearest"),
        lambda v: np.quantile(v, v[0]),
        lambda v: np.interp(v, [0, 1], [2, 3], period=2),
        lambda v: v.argmax(),
        lambda v: sp.zetac(v),
        lambda v: np.linalg.eigh(np.outer(v, v))[0],
        lambda v: np.linalg.norm(np.outer(v, v), 2),
        lambda v: np.spacing(v),
        lambda v: np.add(v, 1, where=MASK),
        lambda v: np.sum(v, dtype=np.float32),
        lambda v: np.logical_xor.accumulate(v),
        lambda v: np.unique(v),
    ],
)
def test_what_the_tape_does_not_know_is_refused_by_name(f):
    with pytest.raises(TracingError, match=r"test_autodiff_tracing\.py, line \d+.*\n    .*lambda v"):
        trace(f, V)
