"""Derivatives of plain functions are never those of what a function was before, nor of half of it."""

from __future__ import annotations

import datetime
import functools
import math
import re
import sys
import threading
import types

import numpy as np
import pytest
import scipy.special

from mmlfast.autodiff import TracingError, _derived, derivative, grad, jacobian, trace
from mmlfast.autodiff._freshness import Watch
from mmlfast.autodiff._recording import record

V = np.array([0.5, 2.0, -1.0])


class Model:
    """A callable with all that an object may have."""

    factor = 2.0
    __slots__ = ("__dict__", "slot")

    def __init__(self):
        self.k, self.table, self.options, self.parts, self.slot = 1.0, np.ones(3), {"p": 2}, [1.0, 2.0], 1.0

    @property
    def doubled(self):
        return 2 * self.k

    @staticmethod
    def shifted(t):
        return t + 1.0

    def method(self, v):
        return np.sum(self.k * self.table * self.shifted(v)) * self.doubled

    def __call__(self, v):
        parts = self.parts[0] + self.parts[-1] + self.slot * self.factor
        return np.sum(self.k * self.table * v ** self.options["p"]) + parts * np.sum(v)


def changes(o):
    """Everything about a Model that can change, one after the other."""
    o.k = 3.0
    yield "attribute"
    o.table[1] = 7.0
    yield "array in place"
    o.options["p"] = 3
    yield "dictionary"
    o.parts[0] = -4.0
    yield "list"
    o.parts.append(9.0)
    yield "length of a list"
    o.slot = 5.0
    yield "slot"
    o.factor = 0.5
    yield "attribute instead of the class's"
    del o.factor
    yield "and back"


@pytest.mark.parametrize("call", [lambda o: o, lambda o: o.method, lambda o: lambda v: o(v) + o.method(v)])
def test_objects(call):
    o = Model()
    f = call(o)
    g = grad(f)
    g(V)
    for change in changes(o):
        np.testing.assert_allclose(g(V), grad(call(o))(V), rtol=1e-13, err_msg=change)


def test_classes():
    class Shape(Model):
        pass

    o = Shape()
    g = grad(o)
    before = g(V)
    Shape.factor = 10.0
    assert (g(V) == before + 8.0).all()
    Shape.__call__ = lambda self, v: np.sum(v)
    assert (g(V) == 1).all()


def test_variables_of_all_kinds():
    module = types.ModuleType("settings_of_a_test")
    module.k = 2.0
    numbers = {1.0, 2.0}
    weights = [np.ones(3), (1.0, {"a": 2.0})]
    k = 1.0

    def helper(v, scale=3.0):
        return np.sum(v) * scale * module.k

    def f(v, p=2):
        return helper(v) * k + sum(numbers) * np.sum(v**p) + weights[1][1]["a"] * np.sum(weights[0] * v)

    g = grad(f)

    def fresh():
        np.testing.assert_allclose(g(V), grad(f)(V), rtol=1e-13)

    fresh()
    k = 4.0
    fresh()
    module.k = 5.0
    fresh()
    numbers.remove(1.0)
    numbers.add(10.0)
    fresh()
    weights[0][2] = 8.0
    fresh()
    weights[1][1]["a"] = -1.0
    fresh()
    helper.__defaults__ = (7.0,)
    fresh()
    f.__defaults__ = (3,)
    fresh()

    def helper(v, scale=1.0):
        return np.prod(v)

    fresh()


def test_code_that_is_replaced():
    def f(v):
        return np.sum(v)

    g = grad(f)
    assert (g(V) == 1).all()
    f.__code__ = (lambda v: 3 * np.sum(v)).__code__
    assert (g(V) == 3).all()


def test_modules_are_known_by_their_place_not_by_their_name():
    module = types.ModuleType("profile")  # as a module of Python's own is called
    exec("k = 2.0\ndef helper(v): return k * v.sum()", vars(module))
    g = grad(lambda v: module.helper(v) * module.k)
    assert (g(V) == 4).all()
    module.k = 3.0
    assert (g(V) == 9).all()


def test_equal_values_are_not_traced_again(monkeypatch):
    k, traced = [2.0], []

    def record_and_count(*args):
        traced.append(args)
        return record(*args)

    monkeypatch.setattr(_derived, "record", record_and_count)
    g = grad(lambda v: np.sum(v) * k[0])
    g(V)
    k[0] = float("2.0")
    g(V)
    assert len(traced) == 1
    k[0] = 3.0
    assert (g(V) == 3).all()
    assert len(traced) == 2
    k[0] = 2.0
    assert (g(V) == 2).all()
    assert len(traced) == 2  # what was traced for 2.0 is still there


@pytest.mark.parametrize("name", ["sequence", "object", "method", "module", "getattr", "lock", "sys", "numpy"])
def test_ordinary_functions_are_not_traced_again(name, monkeypatch):
    """What cannot be compared is traced anew for each call: that should be nothing that numeric code is made of."""

    class Model:
        def __init__(self):
            self.k, self.lock, self.pattern = 2.0, threading.RLock(), re.compile("a")

        def loss(self, v):
            return np.sum(v**self.k)

    model, table = Model(), {"k": [2.0, np.ones(2)], "f": np.sin, "when": datetime.timedelta(1)}
    functions = {
        "sequence": lambda v: np.sum(table["f"](v) * table["k"][0]),
        "object": lambda v: np.sum(v**model.k),
        "method": model.loss,
        "module": lambda v: np.sum(v) * math.sin(1.0) * scipy.special.erf(0.3),
        "getattr": lambda v: np.sum(getattr(np, "sin")(v)),  # noqa: B009
        "lock": lambda v: np.sum(v) * (model.lock is not None),
        "sys": lambda v: np.sum(v) / sys.float_info.max,
        "numpy": lambda v: np.linalg.norm(v) + np.einsum("i,i", v, v) + np.polynomial.Polynomial([1.0, 2.0])(v)[0],
    }
    traced = []

    def record_and_count(*args):
        traced.append(args)
        return record(*args)

    monkeypatch.setattr(_derived, "record", record_and_count)
    g = grad(functions[name])
    for _ in range(3):
        g(V)
    assert len(traced) == 1


def test_shapes_dtypes_and_kinds_are_traced_each():
    g = grad(lambda v: np.sum(v) * v.shape[0])
    for n in (2, 3, 2):
        assert (g(np.ones(n)) == n).all()
    h = grad(lambda v, a: np.sum(v * a))
    assert (h(V, 2.0) == 2).all()
    assert (h(V, V) == V).all()


def test_partials_wrappers_and_builtins():
    scale = {"a": 2.0}
    f = functools.partial(lambda a, v: np.sum(v) * a["a"], scale)
    g = grad(f)
    assert (g(V) == 2).all()
    scale["a"] = 3.0
    assert (g(V) == 3).all()

    @functools.wraps(f.func)
    def wrapped(v):
        return f(v) * 2

    assert (grad(wrapped)(V) == 6).all()
    assert (grad(np.sum)(V) == 1).all()
    names = {"np": np}
    exec("def f(v): return abs(v[0]) * np.sum(v)", names)
    g = grad(names["f"])
    g(V)
    names["abs"] = lambda t: t * 0
    np.testing.assert_array_equal(g(V), np.zeros(3) + 0 * V)


def test_watch_of_derivatives_and_cycles():
    k = 2.0
    inner = grad(lambda v: np.sum(v**2) * k)
    outer = jacobian(lambda v: inner(v))
    assert (outer(V) == 4 * np.eye(3)).all()
    k = 3.0
    assert (outer(V) == 6 * np.eye(3)).all()
    loop = [1.0]
    loop.append(loop)
    g = grad(lambda v: np.sum(v) * loop[1][0])
    assert (g(V) == 1).all()
    loop[0] = 4.0
    assert (g(V) == 4).all()


def test_watch_says_whether_all_is_as_it_was():
    table = np.arange(3.0)
    watch = Watch(lambda v: v * table)
    assert watch.holds()
    table[0] = 1.0
    assert not watch.holds()
    table[0] = 0.0
    assert watch.holds()


# ---- one plain call ----


def test_chance_and_hidden_branches_are_seen():
    rng = np.random.default_rng(1)
    with pytest.raises(TracingError, match="random numbers"):
        grad(lambda v: np.sum(v) * rng.random())(V)
    with pytest.raises(TracingError, match="type of its argument"):
        trace(lambda v: np.sum(v) * (2 if type(v) is np.ndarray else 3), V)
    with pytest.raises(TracingError, match="shape"):
        trace(lambda v: np.sum(v) if type(v) is np.ndarray else v, V)


def test_what_the_caller_has_is_not_changed():
    def f(v):
        v += 1
        return np.sum(v * v)

    x = V.copy()
    np.testing.assert_array_equal(grad(f)(x), 2 * (V + 1))
    np.testing.assert_array_equal(x, V)

    def doubled(v):
        v *= 2
        return np.sum(v * v)

    np.testing.assert_array_equal(grad(doubled)(x), 8 * V)
    np.testing.assert_array_equal(x, V)


def test_rounding_is_no_difference():
    x = 1.0 + 1e-7 * np.arange(50)
    trace(lambda v: np.sum(np.exp(v)) - np.sum(np.exp(v[::-1])) + (np.sum(v) - 50) ** 3, x)
    trace(lambda t: np.sin(1e15 * t), 1.0)
    trace(lambda v: np.var(v) - np.mean(v**2) + np.mean(v) ** 2, x + 1e6)
    trace(np.linalg.norm, V * 1e-180)
    trace(np.linalg.norm, V * 1e180)
    assert derivative(lambda t: (t - 1e8) ** 2, 1e8 + 0.25) == 0.5


# ---- the user's line ----


def branch(v):
    return v[0] if v[1] > 0 else v[2]


def loop(v):
    while np.sum(v) > 1:
        v = v / 2
    return np.sum(v)


def number(v):
    return np.sum(v) * float(v[0])


def store(v):
    out = np.zeros(3)
    for i in range(3):
        out[i] = v[i] ** 2
    return np.sum(out)


def store_all(v):
    out = np.ones(3)
    out *= v
    return np.sum(out)


def index(v):
    return V[v[0]]


def count(v):
    return sum(v[0] for _ in range(v[1]))


def mask(v):
    return np.sum(v[v > 0])


def builtin(v):
    return max(v[0], v[1])


def typed(v):
    return np.sum(np.asarray(v, dtype=float))


def returns_nothing(v):
    np.sum(v)


def returns_two(v):
    return v[0], v[1]


def key(v):
    return v[0] if v[0] in {1.0, 2.0} else v[1]


def of_scipy(v):
    return scipy.special.logsumexp(v)


def imaginary(v):
    return np.sum(v * 1j)


def attribute(v):
    return np.sum(v.tobytes())


def text(v):
    return np.sum(v) + f"{v[0]:.2f}"


@pytest.mark.parametrize(
    ("f", "line", "advice"),
    [
        (branch, "return v[0] if v[1] > 0 else v[2]", "np.where"),
        (loop, "while np.sum(v) > 1:", "np.where"),
        (number, "return np.sum(v) * float(v[0])", "NumPy's functions"),
        (store, "out[i] = v[i] ** 2", "np.zeros_like"),
        (store_all, "out *= v", "np.zeros_like"),
        (index, "return V[v[0]]", "index"),
        (count, "range(v[1])", "index or a count"),
        (mask, "v[v > 0]", "np.where(mask"),
        (builtin, "return max(v[0], v[1])", "np.maximum"),
        (typed, "np.asarray(v, dtype=float)", "leave the dtype out"),
        (returns_nothing, "returns None", "return"),
        (returns_two, "returns a tuple", "np.stack"),
        (key, "in {1.0, 2.0}", "key"),
        (of_scipy, "scipy.special.logsumexp(v)", "np.logaddexp.reduce"),
        (imaginary, "np.sum(v * 1j)", "real numbers"),
        (attribute, "np.sum(v.tobytes())", "no .tobytes"),
        (text, "return np.sum(v) + f", "NumPy's functions"),
    ],
)
def test_errors_show_the_line_and_the_way_out(f, line, advice):
    with pytest.raises(TracingError) as caught:
        trace(f, V)
    assert line in str(caught.value)
    assert advice in str(caught.value)
    if "returns" not in line:
        assert "test_autodiff_watch.py, line" in str(caught.value)


def test_errors_of_the_function_itself_are_its_own():
    def f(v):
        raise KeyError("missing")

    with pytest.raises(KeyError, match="missing"):
        grad(f)(V)
    with pytest.raises(ValueError, match=r"fit together|broadcast"):
        grad(lambda v: np.sum(v + np.ones(7)))(V)


def test_derivative_of_the_functions_that_were_asked_for_last_sees_what_changes():
    k = 2.0

    def f(t):
        return k * t**2

    def g(t):
        return np.sin(k * t)

    for _ in range(3):  # in turn, as for both coordinates of a curve
        assert derivative(f, 3.0) == 12
        assert derivative(g, 0.0) == 2
    k = 5.0
    assert [derivative(f, 3.0), derivative(g, 0.0), derivative(f, np.float64(1.0)), derivative(f, 1)] == [30, 5, 10, 10]
    assert type(derivative(f, 3.0)) is np.float64
    assert derivative(f, 3.0, 2) == derivative(f, 3.0, order=2) == 10
    assert derivative(f, 3.0, order=1) == 30
    assert derivative(f, [1.0, 2.0]).tolist() == [10, 20]
    assert grad(lambda t: derivative(f, t))(4.0) == 10
    f.__code__ = (lambda t: k * t).__code__ if f.__closure__ is None else g.__code__
    assert derivative(f, 0.0) == 5


def test_derivative_of_what_cannot_be_hashed_and_of_what_is_gone():
    class Power:
        __hash__ = None

        def __init__(self, k):
            self.k = k

        def __call__(self, t):
            return t**self.k

    f = Power(3)
    assert derivative(f, 2.0) == derivative(f, 2.0) == 12
    f.k = 2
    assert derivative(f, 2.0) == 4
    for k in range(5):  # one after the other, perhaps at the address of the last one
        assert derivative(lambda t, k=k: k * t, 1.0) == k
    with pytest.raises(TypeError):
        derivative._remember([])
