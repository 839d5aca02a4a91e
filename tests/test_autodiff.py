"""grad, jacobian, hessian, jvp, vjp, derivative, linearize and Function: numbers, shapes, composition, keeping."""

from __future__ import annotations

import contextlib
import copy
import io
import pickle

import numpy as np
import pytest

import mmlfast.autodiff as ad
from mmlfast.autodiff import TracingError, derivative, grad, hessian, hvp, jacobian, jvp, linearize, trace, vjp

V = np.array([0.3, -1.2, 2.5, 0.8])
W = np.array([1.5, 0.4, -0.7, 2.0])


def rosen(v):
    return np.sum(100.0 * (v[1:] - v[:-1] ** 2) ** 2 + (1 - v[:-1]) ** 2)


def rosen_gradient(v):
    g = np.zeros_like(v)
    g[:-1] += -400 * v[:-1] * (v[1:] - v[:-1] ** 2) - 2 * (1 - v[:-1])
    g[1:] += 200 * (v[1:] - v[:-1] ** 2)
    return g


def numeric(f, x, step=1e-20):
    """The Jacobian by complex steps, for functions that take complex numbers."""
    columns = []
    for i in range(x.size):
        z = x.astype(complex)
        z.flat[i] += 1j * step
        columns.append(np.asarray(f(z)).imag / step)
    return np.stack(columns, axis=-1).reshape(np.shape(f(x)) + x.shape)


def close(a, b, rtol=1e-13):
    assert np.shape(a) == np.shape(b)
    np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.max(np.abs(b), initial=0))


# ---- numbers ----


def test_gradient_value_and_batch():
    close(grad(rosen)(V), rosen_gradient(V))
    value, slope = ad.value_and_grad(rosen)(V)
    close(value, rosen(V))
    close(slope, rosen_gradient(V))
    points = np.stack([V, W, V + W])
    close(grad(rosen).batch(points), np.stack([rosen_gradient(p) for p in points]))
    values, slopes = ad.value_and_grad(rosen).batch(points)
    close(values, [rosen(p) for p in points])
    assert (slopes == grad(rosen).batch(points)).all()


@pytest.mark.parametrize(
    "f",
    [
        lambda v: np.stack([v[0] * v[1], np.sin(v[2]), v[3] ** 3]),
        lambda v: np.outer(v, v[:2]),
        lambda v: np.exp(v) / np.sum(np.exp(v)),
        lambda v: v[::-1] * v,
        lambda v: np.cumsum(v**2),
        lambda v: np.array([v[0], 1.0]) @ np.array([[v[1], v[2]], [v[3], 2.0]]),
        lambda v: np.convolve(v, v),
    ],
)
def test_jacobian_against_complex_steps(f):
    close(jacobian(f)(V), numeric(f, V))


def test_hessian_is_the_jacobian_of_the_gradient_and_symmetric_to_the_bit():
    for f in (rosen, np.prod, lambda v: np.sum(np.sin(np.outer(v, v))), lambda v: np.linalg.norm(v) * v[0]):
        h = hessian(f)(V)
        close(h, jacobian(grad(f))(V), 1e-12)
        assert (h == h.T).all()
        close(hessian(f).batch(np.stack([V, W]))[1], hessian(f)(W))


def test_sparse_matrices():
    n = 50
    x = np.linspace(-1, 1, n)
    h = hessian(rosen, sparse=True)(x)
    assert h.format == "csr"
    assert h.nnz == 3 * n - 2
    close(h.toarray(), hessian(rosen)(x))
    j = jacobian(lambda v: v[1:] * v[:-1] ** 2, sparse=True)
    assert j(x).nnz == 2 * (n - 1)
    close(j(x).toarray(), numeric(lambda v: v[1:] * v[:-1] ** 2, x))
    first, second = j.batch(np.stack([x, 2 * x]))
    close(first.toarray(), j(x).toarray())
    close(second.toarray(), j(2 * x).toarray())
    with pytest.raises(TypeError, match="shape"):
        jacobian(np.sum, sparse=True)(x)
    arrow = hessian(lambda v: v[0] * np.sum(v[1:] ** 2) + np.sum(v**4), sparse=True)(x)
    close(arrow.toarray(), hessian(lambda v: v[0] * np.sum(v[1:] ** 2) + np.sum(v**4))(x))


def test_sparse_matrices_are_the_callers():
    """What is done to one changes no other; indices are of SciPy's usual type; nothing in them is a matrix as well."""
    x = np.linspace(-1, 1, 9)
    h = hessian(rosen, sparse=True)
    one = h(x)
    one.check_format()
    assert one.indices.dtype == one.indptr.dtype == np.int32
    right = one.toarray()
    one.data[:], one.indices[:], one.indptr[:] = 0, 0, 0
    assert np.array_equal(h(x).toarray(), right)
    nothing = hessian(np.sum, sparse=True)
    assert nothing(x).nnz == 0
    assert [m.shape for m in nothing.batch(np.stack([x, x]))] == [(9, 9)] * 2


def test_directions():
    f = lambda v, a: np.stack([a * v[0] * v[1], np.sum(v) ** 2])  # noqa: E731
    jac, by_a = jacobian(f)(V, 2.0), jacobian(f, argnums=1)(V, 2.0)
    value, slope = jvp(f, (V, 2.0), (W, 3.0))
    close(value, f(V, 2.0))
    close(slope, jac @ W + 3.0 * by_a)
    value, back = vjp(f, V, 2.0)
    close(value, f(V, 2.0))
    for_v, for_a = back(np.array([2.0, -1.0]))
    close(for_v, np.array([2.0, -1.0]) @ jac)
    close(for_a, np.array([2.0, -1.0]) @ by_a)
    close(hvp(rosen, (V,), (W,)), hessian(rosen)(V) @ W, 1e-12)
    with pytest.raises(ValueError, match=r"tangents\[0\] has shape \(2,\)"):
        jvp(rosen, (V,), (W[:2],))
    with pytest.raises(TypeError, match="tuple"):
        jvp(rosen, V, W)


def test_derivatives_of_functions_of_one_variable():
    t = np.linspace(-1, 2, 7).reshape(7, 1)
    close(derivative(np.sin, t), np.cos(t))
    close(derivative(lambda x: x**5, t, order=3), 60 * t**2)
    close(derivative(np.exp, t, order=0), np.exp(t))
    assert derivative(np.exp, 0.0) == 1
    assert np.shape(derivative(np.exp, np.zeros((0, 3)))) == (0, 3)
    with pytest.raises(TypeError, match="jacobian"):
        derivative(lambda x: np.stack([x, x]), 1.0)
    with pytest.raises(ValueError, match="order"):
        derivative(np.sin, 1.0, order=-1)


def test_linearize():
    f = lambda v: np.stack([np.exp(v[0]) * v[1], v[2] * v[3]])  # noqa: E731
    line = linearize(f, V)
    close(line.value, f(V))
    close(line.slope, numeric(f, V))
    x = V + 1e-3 * W
    close(line(x), f(V) + line.slope @ (x - V))
    error = f(x) - line(x)
    np.testing.assert_allclose(line.error(x), error, rtol=1e-2)
    assert (line.error_bound(x) >= np.abs(error) * (1 - 1e-9)).all()
    assert (line.error_bound(x) <= np.abs(error) * 1.01 + 1e-15).all()
    with pytest.raises(ValueError, match="x0 has shape"):
        line(1.0)


# ---- shapes and types ----


def test_shapes_are_those_of_jax():
    assert np.shape(grad(np.sum)(np.ones(1))) == (1,)
    assert np.shape(grad(lambda t: t**2)(2.0)) == ()
    assert np.shape(grad(np.sum)(np.ones((2, 3)))) == (2, 3)
    assert np.shape(jacobian(np.sum)(np.ones(3))) == (3,)
    assert np.shape(jacobian(lambda v: v[:1])(np.ones(3))) == (1, 3)
    assert np.shape(jacobian(lambda m: m @ m.T)(np.ones((2, 3)))) == (2, 2, 2, 3)
    assert np.shape(hessian(np.sum)(np.ones((2, 2)))) == (2, 2, 2, 2)
    assert np.shape(hessian(lambda v: v**2)(np.ones(3))) == (3, 3, 3)
    assert np.shape(hessian(lambda t: t**2)(1.0)) == ()
    with pytest.raises(TypeError, match=r"shape \(2,\).*jacobian"):
        grad(lambda v: v * 2)(np.ones(2))


def test_float32_stays_float32():
    x = V.astype(np.float32)
    for g in (grad(rosen), hessian(rosen), jacobian(np.sin)):
        assert g(x).dtype == np.float32
        assert g.batch(x[None]).dtype == np.float32
        close(g(x), g(V).astype(np.float32), 1e-5)
    assert trace(rosen, x)(x).dtype == np.float32
    assert grad(lambda v, a: a * np.sum(v))(x, 2.0).dtype == np.float32
    assert grad(lambda v, a: np.sum(a * v))(x, V).dtype == np.float64


def test_lists_and_integers_are_arrays():
    close(grad(rosen)([1, 2, 3]), rosen_gradient(np.array([1.0, 2, 3])))
    assert grad(lambda t: t**2)(3) == 6


def test_parameters():
    f = lambda v, a, b: np.sum(a * v**2) + b  # noqa: E731
    close(grad(f)(V, W, 2.0), 2 * W * V)
    close(grad(f, argnums=1)(V, W, 2.0), V**2)
    assert grad(f, argnums=-1)(V, W, 2.0) == 1
    close(grad(f).batch(np.stack([V, W]), W, 2.0), np.stack([2 * W * V, 2 * W * W]))
    close(grad(f, argnums=1).batch(V, np.stack([V, W]), 2.0), np.stack([V**2, V**2]))
    close(grad(lambda v, name: getattr(np, name)(v))(V, "sum"), np.ones_like(V))
    close(grad(f)(V, a=W, b=2.0), 2 * W * V)
    with pytest.raises(TypeError, match="argnums"):
        hessian(f, argnums=(0, 1))
    with pytest.raises(TypeError, match="several shapes"):
        grad(lambda pair: np.sum(pair[0]))((V, 2.0))


# ---- composition ----


def test_derivatives_of_derivatives():
    assert grad(grad(grad(lambda t: t**5)))(2.0) == 240
    close(jacobian(grad(rosen))(V), hessian(rosen)(V), 1e-12)
    close(grad(lambda v: np.sum(hessian(rosen)(v) @ W))(V), grad(lambda v: grad(rosen)(v) @ W)(V) * 0 + third(V), 1e-11)


def third(v):
    """The gradient of the sum of H(v) W, by complex steps through the gradient of the gradient."""
    h = lambda z: np.sum(numeric_hessian(z) @ W)  # noqa: E731
    return np.array([h(v + 1j * 1e-20 * e).imag / 1e-20 for e in np.eye(len(v))])


def numeric_hessian(v):
    n = len(v)
    h = np.zeros((n, n), v.dtype)
    for i in range(n - 1):
        h[i, i] += 1200 * v[i] ** 2 - 400 * v[i + 1] + 2
        h[i, i + 1] -= 400 * v[i]
        h[i + 1, i] -= 400 * v[i]
        h[i + 1, i + 1] += 200
    return h


def test_derivatives_inside_of_functions_see_the_variables_outside():
    assert grad(lambda t: grad(lambda y: np.sum(y * t) ** 2)(np.ones(3)).sum())(2.0) == 72
    assert grad(lambda t: derivative(lambda y: y**2 * t, 3.0))(2.0) == 6
    close(grad(lambda v: np.sum(jvp(np.sin, (v,), (v,))[1]))(V), np.cos(V) - V * np.sin(V))
    close(grad(lambda v: np.sum(vjp(lambda w: w**2 * v, v)[1](W)[0]))(V), 4 * V * W)
    close(grad(lambda v: np.sum(derivative(np.sin, v, 2)))(V), -np.cos(V))
    inner = grad(lambda t: t**3)
    assert derivative(lambda t: inner(t) * inner(1.0), 2.0) == 36
    assert grad(lambda t: ad.value_and_grad(lambda y: y * t)(5.0)[0])(2.0) == 5


def test_batches_inside_of_functions():
    points = np.stack([V, W])
    frozen = trace(rosen, V)
    for f in (grad(rosen), grad(frozen)):
        close(f.batch(points), trace(f.batch, points)(points))
    close(trace(frozen.batch, points)(points), frozen.batch(points))
    values, slopes = ad.value_and_grad(rosen).batch(points)
    inside = trace(
        lambda p: ad.value_and_grad(rosen).batch(p)[1] * ad.value_and_grad(rosen).batch(p)[0][:, None], points
    )
    close(inside(points), values[:, None] * slopes)
    close(grad(lambda t: np.sum(grad(lambda v: t**2 * np.sum(v)).batch(points)))(3.0), 6.0 * 8)


def test_traced_numbers_do_not_leak():
    kept = []

    def f(v):
        kept.append(v)
        return np.sum(v)

    trace(f, V)
    with pytest.raises(TracingError, match="two functions"):
        trace(lambda v: v + kept[0], V)


# ---- Function ----


def test_function_freezes_and_is_differentiated_like_any_function():
    scale = 2.0

    def f(v):
        return scale * rosen(v)

    frozen = trace(f, V)
    scale = 5.0
    close(frozen(V), 2 * rosen(V))
    close(grad(frozen)(V), 2 * rosen_gradient(V))
    close(grad(lambda v: frozen(v) * 3)(V), 6 * rosen_gradient(V))
    close(frozen.batch(np.stack([[V, W], [W, V]])), 2 * np.array([[rosen(V), rosen(W)], [rosen(W), rosen(V)]]))
    close(grad(frozen).batch(np.stack([[V, W], [W, V]]))[0, 1], 2 * rosen_gradient(W))
    assert frozen.x_shape == (4,)
    assert frozen.shape == ()
    assert 1 < frozen.n_instructions < 20
    with pytest.raises(ValueError, match=r"shape \(3,\).*traced for \(4,\)"):
        frozen(V[:3])
    with pytest.raises(TypeError, match="takes 1 argument"):
        frozen(V, 1.0)


def test_one_point_is_a_row_of_a_batch_to_the_bit():
    f = trace(lambda v: np.sum(np.exp(v) * np.sin(v)) / (1 + np.linalg.norm(v)), V)
    points = np.random.default_rng(3).standard_normal((37, 4))
    assert (f.batch(points) == [f(p) for p in points]).all()
    g = grad(f)
    assert (g.batch(points) == [g(p) for p in points]).all()


def test_functions_are_kept(tmp_path):
    f = trace(lambda v, a: np.stack([np.sum(v * a), np.prod(v)]), V, W)
    path = tmp_path / "function.tape"
    f.save(path)
    for kept in (pickle.loads(pickle.dumps(f)), copy.copy(f), copy.deepcopy(f), ad.Function.load(path)):
        assert (kept(V, W) == f(V, W)).all()
        assert kept.name == f.name
        assert str(kept) == str(f)
        assert (jacobian(kept)(V, W) == jacobian(f)(V, W)).all()


def test_open_files_and_bytes_of_other_kinds():
    f, file = trace(rosen, V), io.BytesIO()
    f.save(file)
    file.seek(0)
    for kept in (ad.Function.load(file), *map(ad.Function.from_bytes, (file.getbuffer(), bytearray(file.getvalue())))):
        assert kept(V) == f(V)


def test_a_file_that_is_there_is_kept_where_a_function_cannot_be_saved(tmp_path):
    f, path = trace(rosen, V), tmp_path / "function.tape"
    f.save(path)
    own = ad.primitive(lambda t: float(t) ** 2, derivative=lambda t: 2 * t)
    with pytest.raises(TypeError, match="cannot be saved"):
        trace(lambda v: own(v[0]), V).save(path)
    assert ad.Function.load(path)(V) == f(V)


def test_broken_bytes_are_refused():
    data = trace(rosen, V).to_bytes()
    for bad in (b"", b"x" * 100, data[:-3], data[:60], data.replace(b'"shape": []', b'"shape": [2]'), data + b"1"):
        with pytest.raises(ValueError, match=r"data|tape|saved"):
            ad.Function.from_bytes(bad)
    broken = bytearray(data)
    for i in range(len(data)):
        broken[i] ^= 0x55
        with contextlib.suppress(ValueError, MemoryError):
            ad.Function.from_bytes(bytes(broken))(V)
        broken[i] ^= 0x55


def test_readers_see_the_steps():
    f = trace(lambda v, a: a * np.sin(v[0] * v[1]) + v[0], np.array([1.0, 2.0]), 3.0)
    text = str(f)
    assert "sin(t1)" in text
    assert "x[0] * x[1]" in text
    table = f.trace_table([1.0, 2.0], 3.0)
    slopes = dict(zip(table.names, table.derivatives, strict=True))
    close(slopes["x[0]"], 3 * np.cos(2.0) * 2 + 1)
    close(slopes["p0"], np.sin(2.0))
    close(slopes["t1"], 3 * np.cos(2.0))
    assert dict(zip(table.names, table.values, strict=True))["t1"] == 2
    assert "sin(t1)" in str(table)
    dot = f.to_dot()
    assert dot.startswith("digraph")
    assert dot.count("->") >= 5
    with pytest.raises(TypeError, match="output="):
        trace(np.sin, V).trace_table(V)
    assert trace(np.sin, V).trace_table(V, output=1).derivatives[1] == np.cos(V[1])


@pytest.mark.parametrize(
    "f",
    [
        rosen,
        lambda v: np.stack([v[[0, 0, 2]] * v[1], np.maximum(v[:3], 0.5)]),
        lambda v: np.where(v > 0, v**3, -(v**-2.0)) + np.exp2(v) / (1 + np.abs(v)),
        lambda v: np.linalg.solve(np.outer(v, v) + 3 * np.eye(4), v) @ v + np.linalg.norm(v) * np.max(v),
        lambda v: np.logaddexp(v, 0.0) + (v > 0) + np.hypot(v, 2.0) + v % 0.7,
        lambda v: np.float64(3.0),
    ],
)
def test_numpy_source_computes_the_same(f):
    source = trace(f, V).to_numpy_source()
    names = {}
    exec(source, names)
    (function,) = (x for name, x in names.items() if callable(x) and name not in ("np", "scipy"))
    close(function(V), f(V))
