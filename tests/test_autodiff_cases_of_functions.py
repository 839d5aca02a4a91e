"""Situations in which other libraries differentiated another function than the given one, or gave another shape.

D: changes of arguments, branches, arrays that are filled, functions that a tape does not know, repeated indices, types.
E: shapes. See tests/test_autodiff_cases.py.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.special
from derivatives import close, differences, every_way, names_the_line, one_point_is_a_row, right_or_refused, same

from mmlfast.autodiff import derivative, grad, hessian, jacobian, jvp, trace, value_and_grad

# ---- D: answers of another function (what changes between calls: tests/test_autodiff_freshness.py) ----

factor = 2.0


def test_d1_a_global_that_changed():
    global factor
    factor = 2.0
    g = grad(lambda t: factor * t)
    close(g(1.0), 2)
    factor = 3.0
    close(g(1.0), 3)
    close(g.batch(np.ones(3)), [3, 3, 3])


def test_d2_one_code_object_many_closures():
    by_default = [grad(lambda v, k=k: v[0] ** k) for k in (2, 3)]
    close([g(np.array([3.0]))[0] for g in by_default], [6, 27])
    close([g(np.array([3.0]))[0] for g in by_default[::-1]], [27, 6])

    def make(p):
        return lambda v: np.sum(v**p)

    close([grad(make(p))(np.array([3.0]))[0] for p in (2, 3, 2)], [6, 27, 6])
    kept = [make(p) for p in (1, 2, 3)]
    close([[grad(f)(np.array([2.0]))[0] for f in kept] for _ in range(2)], [[1, 4, 12]] * 2)
    close([hessian(f)(np.array([2.0]))[0, 0] for f in kept], [0, 2, 12])


def test_d3_traced_per_shape():
    g = grad(lambda v: v.shape[0] * np.sum(v**2) + len(v) + v.size + v.ndim)
    for n in (2, 3, 2, 1, 4):
        close(g(np.ones(n)), np.full(n, 2.0 * n))
    close(g.batch(np.ones((5, 3))), np.full((5, 3), 6.0))
    h = hessian(lambda v: np.mean(v**3))
    for n in (2, 3, 2):
        close(h(np.ones(n)), 6 * np.eye(n) / n)


def branch_if(v):
    return v[0] * 2 if v[0] > v[1] else v[1] * 3  # here


def branch_statement(v):
    total = v[0]
    if total * v[1] < 1:  # here
        return total
    return v[1] * v[1]


def branch_and(v):
    return v[0] if (v[0] > 0) and v[1] > 0 else v[1] * 3  # here


def loop_while(v):
    t = v[0]
    while t < 10:  # here
        t = t * v[1]
    return t


def whole_part(v):
    return v[0] * int(v[1])  # here


def rounded(v):
    return v[0] * round(v[1])  # here


def as_float(v):
    return v[0] * float(v[1])  # here


def as_index(v):
    return v[int(v[1])] * v[0]  # here


def by_math(v):
    return v[0] * math.sin(v[1])  # here


def sorted_by_python(v):
    return sorted(v)[0] * 2  # here


def largest_by_python(v):
    return max(v) * v[0]  # here


def range_of(v):
    return sum(v[0] for _ in range(int(v[1])))  # here


def argument_of_sort(v):
    return v[np.argmax(v)] * v[0]  # here


def all_of(v):
    return v[0] if np.all(v > 0) else v[1]  # here


def by_item(v):
    return v[0] * v[1].item()  # here


def by_list(v):
    return v[0] * v.tolist()[1]  # here


def in_a_list(v):
    return v[0] if v[1] in [1.0, 2.0] else v[1]  # here


BRANCHES = {
    branch_if: ([3.0, 1], [1.0, 4]),
    branch_statement: ([0.5, 1], [2.0, 3]),
    branch_and: ([3.0, 1], [1.0, -4]),
    loop_while: ([3.0, 2], [1.0, 5]),
    whole_part: ([3.0, 2.5], [3.0, 7.5]),
    rounded: ([3.0, 2.2], [3.0, 7.7]),
    as_float: ([3.0, 2.5], [3.0, 7.5]),
    as_index: ([3.0, 1.2], [2.0, 0.3]),
    by_math: ([3.0, 1.0], [3.0, 2.0]),
    sorted_by_python: ([3.0, 1.0], [3.0, 4.0]),
    largest_by_python: ([3.0, 1.0], [3.0, 4.0]),
    range_of: ([3.0, 2.5], [3.0, 4.5]),
    argument_of_sort: ([3.0, 1.0], [3.0, 4.0]),
    all_of: ([3.0, 1.0], [3.0, -4.0]),
    by_item: ([3.0, 1.0], [3.0, 4.0]),
    by_list: ([3.0, 1.0], [3.0, 4.0]),
    in_a_list: ([3.0, 1.5], [3.0, 4.0]),
}


@pytest.mark.parametrize("f", BRANCHES, ids=lambda f: f.__name__)
def test_d4_branches_on_data(f):
    """The value of the side that was taken, or the line; never the other side at the next point."""
    g = grad(f)
    for point in BRANCHES[f]:
        x = np.array(point)
        expected = differences(f, x, dtype=np.float64)
        if f in (as_float, by_math, by_item, by_list):
            expected = differences(lambda v, f=f: f(np.asarray(v, float)), x, dtype=np.float64)
        right_or_refused(f, lambda x=x: g(x), expected, "where", "np.", "maximum", "argument", rtol=1e-9, atol=1e-9)
    if f is branch_if:
        right_or_refused(f, lambda: g(np.array([3.0, 1])), [2, 0], "where")
        right_or_refused(f, lambda: g(np.array([1.0, 4])), [0, 3], "where")


def by_type(t):
    return t**2 if isinstance(t, float) else t**3


def by_attribute(v):
    return np.sum(v**2) if hasattr(v, "tobytes") else np.sum(v**3)


def by_exception(t):
    try:
        return t * float(t)
    except TypeError:
        return t * 5.0


@pytest.mark.parametrize("f", [by_type, by_attribute, by_exception], ids=lambda f: f.__name__)
def test_d4_what_a_trace_cannot_see_is_refused_with_the_place_of_the_function(f):
    for x in (2.0, 3.0):
        try:
            close(grad(f)(x), differences(lambda t, f=f: f(np.float64(t)), np.array(x), dtype=np.float64), 1e-9)
        except TypeError as error:
            assert f.__name__ in str(error)  # noqa: PT017
            names_the_line(error, f)


def test_d4_a_branch_on_a_shape_is_none():
    def f(v):
        if v.shape[0] > 2 and v.ndim == 1:
            return np.sum(v) * len(v)
        return np.sum(v**2)

    close(grad(f)(np.ones(3)), [3, 3, 3])
    close(grad(f)(np.ones(2)), [2, 2])


def changes_its_argument(v):
    v += 1  # here
    return np.sum(v * v)


def changes_an_entry(v):
    v[0] = v[1] * 2  # here
    return np.sum(v * v)


def changes_a_view(v):
    w = v[:2]
    w *= 3  # here
    return np.sum(v * v)


def changes_a_copy(v):
    w = v.copy()
    w *= 3  # here
    return np.sum(v * w)


def sorts_in_place(v):
    v.sort()  # here
    return v[0] * 2


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        (changes_its_argument, [4, 6]),
        (changes_an_entry, [0, 20]),
        (changes_a_view, [18, 36]),
        (changes_a_copy, [6, 12]),
        (sorts_in_place, [2, 0]),
    ],
    ids=lambda p: getattr(p, "__name__", ""),
)
def test_d5_a_function_that_changes_its_argument(f, expected):
    x = np.array([1.0, 2])
    g = grad(f)
    for _ in range(2):
        right_or_refused(f, lambda: g(x), expected, "copy", "np.", "=")
        same(x, np.array([1.0, 2]))
    points = np.array([[1.0, 2], [1.0, 2]])
    right_or_refused(f, lambda: g.batch(points), [expected] * 2, "copy", "np.", "=")
    same(points, np.array([[1.0, 2], [1.0, 2]]))
    right_or_refused(f, lambda: jvp(f, (x,), (np.array([1.0, 0]),))[1], expected[0], "copy", "np.", "=")
    right_or_refused(f, lambda: value_and_grad(f)(x)[1], expected, "copy", "np.", "=")
    same(x, np.array([1.0, 2]))


def fills_zeros(v):
    out = np.zeros(3)
    for i in range(3):
        out[i] = v[i] ** 2  # here
    return np.sum(out * np.arange(1, 4))


def fills_zeros_like(v):
    out = np.zeros_like(v)
    for i in range(3):
        out[i] = v[i] ** 2  # here
    return np.sum(out * np.arange(1, 4))


def fills_a_slice(v):
    out = np.zeros_like(v)
    out[:2] = v[1:] ** 2  # here
    out[2] = 5 * v[0]
    return np.sum(out * np.arange(1, 4))


def fills_empty_like(v):
    out = np.empty_like(v)
    out[...] = 1.0  # here
    out[0] = v[0] * v[2]
    return np.prod(out)


def fills_by_plus(v):
    out = np.zeros_like(v)
    out[1:] += v[:-1] * v[1:]  # here
    out[::2] -= 3 * v[::2]
    return np.sum(out)


def array_of_two(v):
    return np.sum(np.array([v[0] * v[1], v[1]]) ** 2)  # here


def array_of_arrays(v):
    return np.sum(np.array([[v[0], v[1]], [v[2], 1.0]]) @ np.array([1.0, 2]))  # here


def asarray_of_a_list(v):
    return np.sum(np.asarray([t * t for t in v]))  # here


def list_to_sum(v):
    return np.sum([t * t for t in v])  # here


def fills_full(v):
    out = np.full(3, 7.0)
    out[1] = v[0] * v[1]  # here
    return np.sum(out**2)


def into_a_constant(v):
    table = np.array([1.0, 2.0, 3.0])
    table[0] = v[0]  # here
    return np.sum(table * v)


D6 = {
    fills_zeros: lambda v: 2 * v * [1, 2, 3],
    fills_zeros_like: lambda v: 2 * v * [1, 2, 3],
    fills_a_slice: lambda v: np.array([15, 2 * v[1], 4 * v[2]]),
    fills_empty_like: lambda v: np.array([v[2], 0, v[0]]),
    fills_by_plus: lambda v: np.array([v[1] - 3, v[0] + v[2], v[1] - 3]),
    array_of_two: lambda v: np.array([2 * v[0] * v[1] ** 2, 2 * v[0] ** 2 * v[1] + 2 * v[1], 0]),
    array_of_arrays: lambda v: np.array([1.0, 2, 1]),
    asarray_of_a_list: lambda v: 2 * v,
    list_to_sum: lambda v: 2 * v,
    fills_full: lambda v: np.array([2 * v[0] * v[1] ** 2, 2 * v[0] ** 2 * v[1], 0]),
    into_a_constant: lambda v: np.array([2 * v[0], 2, 3]),
}


@pytest.mark.parametrize("f", D6, ids=lambda f: f.__name__)
def test_d6_arrays_that_are_filled(f):
    x = np.array([2.0, 3, 5])
    g = grad(f)
    right = right_or_refused(f, lambda: g(x), D6[f](x), "np.stack", "np.zeros_like", "stack", "zeros_like")
    if right:
        close(g(x + 1), D6[f](x + 1))
        one_point_is_a_row(g, np.stack([x, x + 1]))
    try:
        grad(f)(x)
    except Exception as error:
        assert "setting an array element with a sequence" not in str(error)  # noqa: PT017


def test_d6_zeros_like_is_not_a_constant():
    def f(v):
        out = np.zeros_like(v)
        out[0] = v[1] * v[1]
        out[1:] = out[0] + v[0]
        part = out[1:]
        part[0] *= v[0]  # a view: out changes as well
        return out[0] * out[1] + out[2]

    # v1^2 (v1^2 + v0) v0 + v1^2 + v0
    a, b = 2.0, 3.0
    every_way(f, [a, b, 7.0], [b**4 + 2 * a * b**2 + 1, 4 * a * b**3 + 2 * a * a * b + 2 * b, 0])


def uses_median(v):
    return np.median(v) * v[0]  # here


def uses_percentile(v):
    return np.percentile(v, 30) * v[0]  # here


def uses_interp(v):
    return np.interp(v[0], [0.0, 1, 4], [0.0, 2, 3]) * v[1]  # here


def uses_convolve(v):
    return np.sum(np.convolve(v, [1.0, 2.0]) ** 2)  # here


def uses_fft(v):
    return np.sum(np.abs(np.fft.fft(v)) ** 2)  # here


def uses_sort(v):
    return np.sort(v)[0] * v[0]  # here


def uses_unique(v):
    return np.sum(np.unique(v) ** 2)  # here


def uses_eigvalsh(v):
    return np.sum(np.linalg.eigvalsh(np.diag(v)) ** 2)  # here


def uses_cov(v):
    return np.cov(v) * v[0]  # here


def uses_polyfit(v):
    return np.polyfit(np.arange(3.0), v, 1)[0] * v[0]  # here


def uses_trapezoid(v):
    return np.trapezoid(v**2)  # here


def uses_gradient(v):
    return np.sum(np.gradient(v) ** 2)  # here


def uses_bessel(v):
    return np.sum(scipy.special.j0(v))  # here


def uses_heaviside(v):
    return np.sum(np.heaviside(v - 1.5, 0.5) * v)  # here


def uses_nansum(v):
    return np.nansum(v**2)  # here


def uses_argsort(v):
    return np.sum(v[np.argsort(v)] * np.arange(3))  # here


def uses_count(v):
    return np.count_nonzero(v > 1.5) * np.sum(v)  # here


def uses_allclose(v):
    return np.sum(v) * (2 if np.allclose(v, v) else 3)  # here


UNKNOWN = [
    uses_median,
    uses_percentile,
    uses_interp,
    uses_convolve,
    uses_fft,
    uses_sort,
    uses_unique,
    uses_eigvalsh,
    uses_cov,
    uses_polyfit,
    uses_trapezoid,
    uses_gradient,
    uses_bessel,
    uses_heaviside,
    uses_nansum,
    uses_argsort,
    uses_count,
    uses_allclose,
]


@pytest.mark.parametrize("f", UNKNOWN, ids=lambda f: f.__name__)
def test_d7_functions_that_the_tape_does_not_know(f):
    """Right, or its name and the line: never a constant, and never right at the first point alone."""
    g = grad(f)
    name = f.__name__.removeprefix("uses_")
    name = {"bessel": "j0", "count": "count_nonzero"}.get(name, name)
    # np.gradient, np.cov and the like are made of others: whichever of them stops, the line is the user's
    for point in ([3.0, 1, 2], [1.0, 2.2, 3.1]):
        x = np.array(point)
        expected = differences(lambda v: f(np.asarray(v, float)), x, dtype=np.float64)
        right_or_refused(f, lambda x=x: g(x), expected, name, "primitive", rtol=1e-9, atol=1e-9)
    if f is uses_median:
        right_or_refused(f, lambda: grad(f)(np.array([3.0, 1, 2])), [2, 0, 3], "median")


def test_d8_a_repeated_index_counts_each_time():
    every_way(lambda v: np.sum(v[[0, 0, 1]] ** 2), [3, 1], [12, 2], np.diag([4.0, 2]))
    every_way(lambda v: np.sum(v[np.array([[0, 0], [1, 0]])] ** 2), [3, 1], [18, 2])
    every_way(lambda v: np.sum(np.take(v, [1, 1, 0]) ** 3), [3, 1], [27, 6])
    every_way(lambda v: np.sum(v[:-1] * v[1:]) + np.sum(v[:2] ** 2), [1, 2, 3], [4, 8, 2])
    every_way(lambda v: v[::-1] @ v, [1, 2, 3], [6, 4, 2])
    every_way(lambda v: np.sum(v[::-2] * np.array([5.0, 7])), [1, 2, 3], [7, 0, 5])
    every_way(lambda v: np.sum(v[-1] * v), [1, 2, 3], [3, 3, 9])
    mask = np.array([True, False, True])
    every_way(lambda v: np.sum(v[mask] ** 2), [1, 2, 3], [2, 0, 6])
    every_way(lambda v: np.prod(v[~mask]) * v[0], [1, 2, 3], [2, 1, 0])
    every_way(lambda v: np.sum(np.repeat(v, 2) * np.arange(4)), [1, 2], [1, 5])
    every_way(lambda v: np.sum(np.tile(v, 2) * np.arange(4)), [1, 2], [2, 4])
    every_way(lambda v: np.sum(np.roll(v, 1) * np.arange(3)), [1, 2, 3], [1, 2, 0])
    every_way(lambda v: np.sum(v[np.ix_([0, 1, 1])] ** 2), [3, 1], [6, 4])


def test_d8_a_scalar_spread_over_a_matrix():
    m = np.arange(6.0).reshape(2, 3)
    every_way(lambda v: np.sum(v[0] * m + v[1]), [2, 3], [15, 6])
    every_way(lambda v: np.sum((m * v) ** 2), [1, 1, 1], 2 * (m**2).sum(0))
    every_way(lambda v: np.sum((m * v[:, None]) ** 2), [1, 1], 2 * (m**2).sum(1))
    every_way(lambda v: np.sum((v[:, None] - v[None, :]) ** 2), [1, 3, 8], [-36, -12, 48])
    every_way(lambda v: np.sum(np.outer(v, v) * np.arange(4).reshape(2, 2)), [1, 2], [6, 15])
    every_way(lambda v: np.sum(np.broadcast_to(v, (4, 2)) * np.arange(2)), [1, 2], [0, 4])


def test_d9_integers_and_lists():
    def f(v):
        return np.linalg.norm(v[1:] - v[:-1]) / 3

    expected = [-math.sqrt(5) / 15, -math.sqrt(5) / 15, 2 * math.sqrt(5) / 15]
    close(expected, [-0.1490712, -0.1490712, 0.2981424], 1e-7)
    for x in ([1, 2, 4], np.array([1, 2, 4]), np.array([1, 2, 4], np.uint8), (1, 2, 4), [1.0, 2, 4]):
        g = grad(f)(x if not isinstance(x, list) else list(x))
        assert g.dtype == np.float64
        close(g, expected)
        close(grad(f).batch([x, x]), [expected] * 2)
    every_way(lambda t: t**-1, 4, -0.0625)
    for x in (4, np.int64(4), np.array(4), np.int32(4)):
        close(derivative(lambda t: t**-1, x), -0.0625)
        close(grad(lambda t: t**-1)(x), -0.0625)
    close(derivative(lambda t: t**-1, [1, 2, 4]), [-1, -0.25, -0.0625])
    close(hessian(lambda v: v[0] ** 2 * v[1])([1, 2]), [[4, 2], [2, 0]])
    close(jvp(lambda v: v**2, ([1, 2],), ([1, 1],))[1], [2, 4])
    close(grad(lambda b: np.sum(b * 3))(np.array([True, False])), [3, 3])


def test_d10_float32():
    x = np.array([0.3, -1.2, 2.5], np.float32)

    def f(v):
        return np.sum(np.sin(v) * np.exp(v / 3)) + v[0] ** 3

    wide = x.astype(float)
    for function in (grad(f), jacobian(f), hessian(f)):
        narrow = function(x)
        assert narrow.dtype == np.float32
        np.testing.assert_allclose(narrow, function(wide), rtol=1e-6)
        batch = function.batch(np.stack([x, x]))
        assert batch.dtype == np.float32
        same(batch[1], narrow)
        assert function(wide).dtype == np.float64  # the types do not mix
    value, slope = jvp(f, (x,), (np.ones(3, np.float32),))
    assert value.dtype == slope.dtype == np.float32
    assert np.asarray(derivative(np.sin, np.float32(0.5))).dtype == np.float32
    assert derivative(np.sin, x).dtype == np.float32


def test_d10_constants_keep_their_digits():
    close(derivative(lambda t: (t - 1e8) ** 2, 1e8 + 0.25), 0.5, 1e-15)
    close(grad(lambda v: np.sum((v - 1e8) ** 2))(np.array([1e8 + 0.25])), [0.5], 1e-15)
    # 1 / 3 in the formula is not rounded to the precision of x
    slope = grad(lambda v: v[0] * (1 / 3))(np.array([1.0], np.float32))
    same(slope, np.array([1 / 3], np.float32))


# ---- E: shapes ----


def test_e1_an_array_result_has_no_gradient():
    for f, shape in [
        (lambda v: v * 2, "(2,)"),
        (lambda v: np.outer(v, v), "(2, 2)"),
        (lambda v: np.stack([v[0], v[1], v[0]]), "(3,)"),
    ]:
        for make in (grad, value_and_grad):
            with pytest.raises((TypeError, ValueError)) as caught:
                make(f)(np.ones(2))
            assert shape in str(caught.value)
            assert "jacobian" in str(caught.value)
            with pytest.raises((TypeError, ValueError), match="jacobian"):
                make(f).batch(np.ones((3, 2)))


def test_e1_a_result_of_one_number_in_an_array():
    for f in (lambda v: v[:1] * v[1], lambda v: (v[:1] * v[1]).reshape(1, 1)):
        try:
            close(np.ravel(grad(f)(np.array([2.0, 3]))), [3, 2])
        except (TypeError, ValueError) as error:
            said = str(error)
            assert all(word in said for word in ("(1", "jacobian"))


def test_e2_shapes_of_a_vector():
    for n in (1, 2, 3, 9):
        x = np.linspace(0.5, 1.5, n)
        for f, shape in [
            (lambda v: np.sum(v**2), ()),
            (lambda v: np.sum(v**2, keepdims=True), (1,)),
            (lambda v: v**2, (n,)),
            (lambda v: np.concatenate([v, v[:1]]), (n + 1,)),
            (lambda v: np.outer(v, v), (n, n)),
            (lambda v: (v**2).reshape(1, -1), (1, n)),
        ]:
            j = jacobian(f)
            close(j(x), differences(f, x), 1e-9, 1e-9)
            assert j(x).shape == (*shape, n)
            assert j.batch(np.stack([x] * 3)).shape == (3, *shape, n)
            assert np.asarray(trace(f, x)(x)).shape == shape
            assert np.asarray(trace(f, x).batch(np.stack([x] * 3))).shape == (3, *shape)
        assert grad(lambda v: np.sum(v**2))(x).shape == (n,)
        assert hessian(lambda v: np.sum(v**2))(x).shape == (n, n)
        assert hessian(lambda v: np.sum(v**2)).batch(np.stack([x] * 3)).shape == (3, n, n)


def test_e2_shapes_of_a_number():
    for x in (2.0, np.float64(2), np.array(2.0), 2):
        for g, value in [
            (grad(lambda t: t**3), 12),
            (jacobian(lambda t: t**3), 12),
            (hessian(lambda t: t**3), 12),
            (grad(grad(lambda t: t**3)), 12),
        ]:
            assert np.shape(g(x)) == ()
            close(g(x), value)
        close(jacobian(lambda t: np.stack([t, t**2]))(x), [1, 4])
    assert grad(lambda t: t**3).batch(np.ones(4)).shape == (4,)
    for shape in ((), (1,), (3,), (2, 3), (0,), (1, 1)):
        x = np.full(shape, 2.0)
        close(derivative(lambda t: t**3, x), np.full(shape, 12.0))
        close(derivative(lambda t: t**3, x, order=2), np.full(shape, 12.0))


def test_e2_matrices_and_several_batch_axes():
    x = np.arange(6.0).reshape(2, 3)
    close(grad(lambda m: np.sum(m**2))(x), 2 * x)
    j = jacobian(lambda m: m.sum(0))(x)
    assert j.shape == (3, 2, 3)
    close(j, differences(lambda m: m.sum(0), x), 1e-9, 1e-12)
    g = grad(lambda v: np.sum(v**2))
    g(np.ones(3))
    points = np.arange(24.0).reshape(2, 4, 3)
    close(g.batch(points), 2 * points)
    close(g.batch(np.empty((0, 3))), np.empty((0, 3)))


def test_e3_constants():
    close(grad(lambda v: v[0] * 0 + 7).batch(np.ones((4, 2))), np.zeros((4, 2)))
    close(jacobian(lambda v: np.stack([v[0], v[0] * 0 + 1]))(np.ones(2)), [[1, 0], [0, 0]])
    close(derivative(lambda t: 3 * t + 2, np.ones(4)), np.full(4, 3.0))
    close(derivative(lambda t: 3 * t + 2, np.ones((2, 2)), order=2), np.zeros((2, 2)))
    close(derivative(lambda t: 5.0, np.ones(4)), np.zeros(4))
    close(grad(lambda v: 7.0)(np.ones(3)), np.zeros(3))
    close(grad(lambda v: np.float64(7)).batch(np.ones((4, 3))), np.zeros((4, 3)))
    close(jacobian(lambda v: np.ones(2))(np.ones(3)), np.zeros((2, 3)))
    close(jacobian(lambda v: np.array([1.0, 2])).batch(np.ones((5, 3))), np.zeros((5, 2, 3)))
    f = trace(lambda v: np.array([1.0, 2]), np.ones(3))
    close(f(np.ones(3)), [1, 2])
    close(f.batch(np.ones((4, 3))), [[1, 2]] * 4)
    value, slope = value_and_grad(lambda v: 3.0)(np.ones(2))
    close(value, 3)
    close(slope, [0, 0])
    close(jvp(lambda v: 3.0, (np.ones(2),), (np.ones(2),))[1], 0)


def test_e4_hessian_of_a_linear_function():
    for f in (lambda v: 3 * v[0] - v[1] + 2, lambda v: np.sum(v), lambda v: 4.0, lambda v: np.ones(3) @ v):
        h = hessian(f)
        close(h(np.ones(3)), np.zeros((3, 3)))
        close(h.batch(np.ones((2, 3))), np.zeros((2, 3, 3)))
        sparse = hessian(f, sparse=True)(np.ones(3))
        assert sparse.shape == (3, 3)
        assert sparse.nnz == 0
        assert sparse.format == "csr"
