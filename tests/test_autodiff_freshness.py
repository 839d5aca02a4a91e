"""No stale answers: what traces by itself sees all that a plain call sees.

Every test changes one thing that a plain call of the function would notice, between two calls of one gradient, and
compares with the differences of the plain call.
"""

from __future__ import annotations

import array
import collections
import contextvars
import datetime
import functools
import importlib
import itertools
import math
import operator
import os
import sys
import threading
import time
import types
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from cases import saying
from derivatives import close, differences, same
from in_threads import in_threads

from mmlfast.autodiff import derivative, grad, hessian, jacobian, jvp, trace, value_and_grad, vjp

X = np.array([0.7, 1.9])


def sees(f, change, *, back=None, x=X):
    """The gradient of f, made once, agrees with f before and after the change, and after the way back."""
    made = {
        "grad": (grad(f), lambda g: g(x)),
        "batch": (grad(f), lambda g: g.batch(np.stack([x, x]))[1]),
        "value_and_grad": (value_and_grad(f), lambda g: g(x)[1]),
        "jacobian": (jacobian(f), lambda g: g(x)),
        "jacobian of grad": (jacobian(grad(f)), lambda g: g(x)),
        "hessian": (hessian(f), lambda g: g(x)),
        "jvp": (None, lambda _: jvp(f, (x,), (np.ones(x.shape),))[1]),
        "vjp": (None, lambda _: vjp(f, x)[1](1.0)[0]),
    }

    def look(when):
        gradient = differences(lambda v: f(np.asarray(v, float)), x, dtype=np.float64)
        second = differences(
            lambda u: differences(lambda v: f(np.asarray(v, float)), u, dtype=np.float64, step=3e-2),
            x,
            dtype=np.float64,
            step=3e-2,
        )
        for name, (function, call) in made.items():
            with saying(name, when):
                if name in ("hessian", "jacobian of grad"):
                    np.testing.assert_allclose(call(function), second, rtol=1e-6, atol=1e-6)
                else:
                    expected = gradient.sum() if name == "jvp" else gradient
                    np.testing.assert_allclose(call(function), expected, rtol=1e-9, atol=1e-9)
        return gradient

    first = look("before")
    for name, (function, call) in made.items():  # warm: whatever is kept is kept now
        if function is not None:
            with saying(name):
                same(call(function), call(function))
    change()
    second = look("after")
    assert not np.array_equal(first, second), "the change changed nothing"
    if back is not None:
        back()
        np.testing.assert_array_equal(look("back again"), first)


# ---- what may change ----

a_number = 2.0
an_array = np.array([2.0, 3.0])
a_dictionary: dict[str, Any] = {"k": 2.0, "deep": {"list": [1.0, 2.0]}}
a_list = [2.0, 3.0]


def a_helper(v):
    return v * 2


def another_helper(v):
    return v**3


used_helper = a_helper


def set_global(name, value):
    globals()[name] = value


def test_a_global_number():
    set_global("a_number", 2.0)
    sees(lambda v: np.sum(v**a_number), lambda: set_global("a_number", 3.0), back=lambda: set_global("a_number", 2.0))


def test_a_global_of_another_type():
    """2 and 2.0 and True are equal, and need not be the same to a function."""
    f = lambda v: np.sum(v * (5 if isinstance(a_kind, bool) else 3 if isinstance(a_kind, int) else 2))  # noqa: E731
    for first, then in itertools.permutations([1, 1.0, True], 2):
        set_global("a_kind", first)
        sees(f, lambda then=then: set_global("a_kind", then))


a_kind: Any = 1


def test_a_negative_zero_and_a_nan():
    f = lambda v: np.sum(v) * (2 if math.copysign(1, a_kind) > 0 else 3)  # noqa: E731
    set_global("a_kind", 0.0)
    sees(f, lambda: set_global("a_kind", -0.0))
    g = grad(lambda v: np.sum(v) * (2 if a_kind != a_kind else 3))
    set_global("a_kind", math.nan)
    close(g(X), [2, 2])
    set_global("a_kind", 1.0)
    close(g(X), [3, 3])


def test_a_global_array_in_place():
    an_array[:] = [2, 3]

    def change():
        an_array[1] = 5

    sees(lambda v: np.sum(an_array * v**2), change)
    an_array[:] = [2, 3]


def test_a_large_array_in_place():
    """One entry of a million, far from the ends."""
    table = np.ones(1_000_000)

    def change():
        table[617_283] = 2

    g = grad(lambda v: np.sum(table) * v[0])
    close(g(X), [1e6, 0], 1e-15)
    change()
    close(g(X), [1_000_001, 0], 1e-15)


def test_an_array_behind_a_view_or_read_only():
    base = np.array([[1.0, 2.0], [3.0, 4.0]])
    view = base[:, 1]
    frozen = base[0]
    frozen.flags.writeable = False
    sees(lambda v: np.sum(view * v**2), lambda: base.__setitem__((slice(None), 1), [7.0, 8.0]))
    sees(lambda v: np.sum(frozen * v**2), lambda: base.__setitem__((0, slice(None)), [9.0, 8.0]))


def test_an_array_of_another_dtype_or_shape():
    held = {"a": np.array([2.0, 3.0])}
    sees(lambda v: np.sum(v * held["a"].size), lambda: held.update(a=np.array([2.0, 3, 4])))
    held["a"] = np.array([1, 2])
    sees(lambda v: np.sum(v * held["a"].itemsize), lambda: held.update(a=np.array([1, 2], np.int8)))


def test_a_closure():
    k = 2.0

    def f(v):
        return np.sum(v**k)

    def change():
        nonlocal k
        k = 3.0

    sees(f, change)


def test_an_array_of_a_closure():
    table = np.array([1.0, 2.0])
    sees(lambda v: np.sum(table * v**2), lambda: table.__setitem__(slice(None), 5))


def test_a_closure_of_a_helper():
    k = 2.0

    def helper(v):
        return v**k

    def f(v):
        return np.sum(helper(v))

    def change():
        nonlocal k
        k = 3.0

    sees(f, change)


def test_a_default():
    def f(v, k=2.0):
        return np.sum(v**k)

    def change():
        f.__defaults__ = (3.0,)

    sees(f, change)


def test_an_array_as_a_default():
    def f(v, k=np.array([2.0, 3.0])):  # noqa: B008
        return np.sum(k * v**2)

    sees(f, lambda: f.__defaults__[0].__setitem__(0, 7.0))


def test_a_default_by_keyword():
    def f(v, *, k=2.0):
        return np.sum(v**k)

    sees(f, lambda: f.__kwdefaults__.update(k=3.0))


def test_the_code_of_the_function():
    def f(v):
        return np.sum(v**2)

    def other(v):
        return np.sum(v**3)

    def change():
        f.__code__ = other.__code__

    sees(f, change)


def test_an_attribute_of_the_function():
    def f(v):
        return np.sum(v**f.k)

    f.k = 2.0
    sees(f, lambda: setattr(f, "k", 3.0))


class Model:
    scale = 1.5

    def __init__(self, k):
        self.k = k
        self.weights = np.array([1.0, 2.0])

    def __call__(self, v):
        return self.scale * np.sum(self.weights * v**self.k)

    def loss(self, v):
        return self.scale * np.sum(self.weights * v**self.k) + self.penalty(v)

    def penalty(self, v):
        return np.sum(v * self.k)

    @property
    def twice(self):
        return 2 * self.k

    def by_property(self, v):
        return np.sum(v**self.twice)


@pytest.mark.parametrize("method", ["__call__", "loss", "penalty", "by_property"])
def test_an_attribute_of_an_object(method):
    model = Model(2.0)
    f = model if method == "__call__" else getattr(model, method)
    sees(f, lambda: setattr(model, "k", 3.0), back=lambda: setattr(model, "k", 2.0))
    if method in ("__call__", "loss"):
        sees(f, lambda: model.weights.__setitem__(1, 7.0))
        sees(f, lambda: setattr(model, "weights", np.array([3.0, 4.0])))


def test_an_attribute_of_a_class():
    model = Model(2.0)
    try:
        sees(model, lambda: setattr(Model, "scale", 2.5))
        sees(model.loss, lambda: setattr(Model, "penalty", lambda self, v: np.sum(v**3)))
    finally:
        Model.scale = 1.5
        Model.penalty = vars(Model)["penalty"]


@pytest.fixture(autouse=True)
def _class_as_it_was():
    kept = dict(vars(Model))
    yield
    for name in ("scale", "penalty"):
        setattr(Model, name, kept[name])


@dataclass
class Settings:
    k: float = 2.0
    names: dict[str, float] = field(default_factory=lambda: {"a": 2.0})


class Slots:
    __slots__ = ("k",)

    def __init__(self, k):
        self.k = k


def test_settings_of_every_kind():
    held = Settings()
    sees(lambda v: np.sum(v**held.k), lambda: setattr(held, "k", 3.0))
    sees(lambda v: np.sum(v ** held.names["a"]), lambda: held.names.update(a=3.0))
    slots = Slots(2.0)
    sees(lambda v: np.sum(v**slots.k), lambda: setattr(slots, "k", 3.0))
    space = types.SimpleNamespace(k=2.0, inner=types.SimpleNamespace(k=1.0))
    sees(lambda v: np.sum(v**space.k), lambda: setattr(space, "k", 3.0))
    sees(lambda v: np.sum(v**2 * space.inner.k), lambda: setattr(space.inner, "k", 3.0))
    queue = [2.0, 3.0]
    sees(lambda v: np.sum(v ** queue[0]), lambda: queue.insert(0, 3.0))
    sees(lambda v: np.sum(v * len(queue)), lambda: queue.append(3.0))
    pair = ([2.0], 3.0)
    sees(lambda v: np.sum(v ** pair[0][0]), lambda: pair[0].__setitem__(0, 3.0))
    chosen = {"a"}
    sees(lambda v: np.sum(v ** (2 if "b" in chosen else 3)), lambda: chosen.add("b"))


def test_dictionaries():
    sees(
        lambda v: np.sum(v ** a_dictionary["k"]),
        lambda: a_dictionary.update(k=3.0),
        back=lambda: a_dictionary.update(k=2.0),
    )
    sees(
        lambda v: np.sum(v * a_dictionary["deep"]["list"][1]),
        lambda: a_dictionary["deep"]["list"].__setitem__(1, 5.0),
        back=lambda: a_dictionary["deep"]["list"].__setitem__(1, 2.0),
    )
    sees(lambda v: np.sum(v * a_list[-1]), lambda: a_list.append(7.0), back=lambda: a_list.pop())


def test_a_helper_defined_anew():
    set_global("used_helper", a_helper)
    sees(
        lambda v: np.sum(used_helper(v)),
        lambda: set_global("used_helper", another_helper),
        back=lambda: set_global("used_helper", a_helper),
    )


def test_a_helper_of_a_helper():
    set_global("used_helper", a_helper)

    def middle(v):
        return used_helper(v) + 1

    def f(v):
        return np.sum(middle(v))

    sees(f, lambda: set_global("used_helper", another_helper), back=lambda: set_global("used_helper", a_helper))


def test_a_global_of_a_helper():
    set_global("a_number", 2.0)

    def helper(v):
        return v**a_number

    sees(lambda v: np.sum(helper(v)), lambda: set_global("a_number", 3.0))
    set_global("a_number", 2.0)


def test_a_module_that_changes(tmp_path, monkeypatch):
    name = "settings_of_a_freshness_test"
    (tmp_path / f"{name}.py").write_text("k = 2.0\n\ndef helper(v):\n    return v ** k\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    module = importlib.import_module(name)
    try:
        sees(lambda v: np.sum(v**module.k), lambda: setattr(module, "k", 3.0))
        module.k = 2.0
        sees(lambda v: np.sum(module.helper(v)), lambda: setattr(module, "k", 3.0))
        sees(lambda v: np.sum(module.helper(v)), lambda: setattr(module, "helper", a_helper))
    finally:
        del sys.modules[name]


def test_partials():
    def f(v, k, table):
        return np.sum(table * v**k)

    table = np.array([1.0, 2.0])
    part = functools.partial(f, k=2.0, table=table)
    sees(part, lambda: table.__setitem__(0, 5.0))
    close(grad(functools.partial(f, k=3.0, table=table))(X), 3 * table * X**2)
    close(grad(functools.partial(f, k=2.0, table=table))(X), 2 * table * X)


def test_a_decorated_function():
    def doubled(function):
        @functools.wraps(function)
        def inner(v):
            return factor[0] * function(v)

        return inner

    factor = [2.0]

    @doubled
    def f(v):
        return np.sum(v**2)

    sees(f, lambda: factor.__setitem__(0, 3.0))


def test_what_no_key_can_see():
    """A counter, a file, an iterator: the plain call that is compared with the tape sees it, or the error says so."""
    count = iter(range(100))
    g = grad(lambda v: np.sum(v) * (next(count) + 1))
    try:
        slopes = [g(X)[0] for _ in range(4)]
    except (TypeError, ValueError) as error:
        assert "lambda" in str(error) or "test_autodiff_freshness" in str(error)  # noqa: PT017
    else:
        assert len(set(slopes)) == 4, slopes


def test_random_numbers_are_not_frozen():
    rng = np.random.default_rng(3)
    g = grad(lambda v: np.sum(v * rng.standard_normal()))
    try:
        slopes = {float(g(X)[0]) for _ in range(3)}
    except (TypeError, ValueError):
        return
    assert len(slopes) == 3


# ---- parameters, shapes and types ----


def test_parameters():
    def f(v, a, b):
        return np.sum(a * v**2) + b * v[0]

    g = grad(f)
    table = np.array([1.0, 2.0])
    for a, b in [(2.0, 1.0), (3.0, 1.0), (table, 5.0), (2, 1), (np.float32(2), 1)]:
        close(g(X, a, b), 2 * a * X + np.array([b, 0]))
        close(g.batch(np.stack([X, 2 * X]), a, b)[1], 4 * a * X + np.array([b, 0]))
    table[0] = 9
    close(g(X, table, 5.0), 2 * table * X + np.array([5, 0]))
    close(hessian(f)(X, table, 5.0), np.diag(2 * table))
    close(value_and_grad(f)(X, table, 5.0)[0], np.sum(table * X**2) + 5 * X[0])
    h = jacobian(lambda v, m: m @ v)
    close(h(X, np.eye(2)), np.eye(2))
    close(h(X, np.ones((3, 2))), np.ones((3, 2)))
    close(h(X, 2 * np.eye(2)), 2 * np.eye(2))


def test_a_parameter_that_is_no_array():
    def f(v, how):
        return np.sum(v**2) if how == "square" else np.sum(v**3)

    g = grad(f)
    try:
        close(g(X, "square"), 2 * X)
        close(g(X, "cube"), 3 * X**2)
        close(g(X, "square"), 2 * X)
    except (TypeError, ValueError) as error:
        assert "argument 1" in str(error) or "how" in str(error)  # noqa: PT017


def test_shapes_and_types_in_turn():
    g = grad(lambda v: np.sum(v**2) * v.shape[0])
    for n, dtype in itertools.product((2, 3, 1), (np.float64, np.float32, np.int64)):
        x = np.arange(1, n + 1).astype(dtype)
        for _ in range(2):
            close(g(x), 2.0 * n * x, 1e-6)
            assert g(x).dtype == (np.float32 if dtype == np.float32 else np.float64)
    h = grad(lambda t: np.sum(t**2))
    close(h(2.0), 4)
    close(h(np.array([2.0])), [4])
    close(h(np.array([[2.0]])), [[4]])
    close(h(2.0), 4)


def test_trace_freezes():
    """The one that does not look again, as its documentation says."""
    held = [2.0]
    fn = trace(lambda v: np.sum(v ** held[0]), X)
    close(fn(X), np.sum(X**2))
    held[0] = 3.0
    close(fn(X), np.sum(X**2))
    close(grad(fn)(X), 2 * X)
    assert "freez" in (trace.__doc__ or "") or "frozen" in (trace.__doc__ or "")


def test_gradients_inside_functions_are_fresh():
    held = [2.0]

    def inner(v):
        return np.sum(v ** held[0])

    inner_gradient = grad(inner)
    sees(lambda v: np.sum(inner_gradient(v) * v), lambda: held.__setitem__(0, 3.0))
    held[0] = 2.0
    sees(lambda v: np.sum(grad(inner)(v) ** 2), lambda: held.__setitem__(0, 3.0))


def test_derivative_sees_changes():
    held = [2.0]

    def f(t):
        return t ** held[0]

    close(derivative(f, 3.0), 6)
    held[0] = 3.0
    close(derivative(f, 3.0), 27)
    close(derivative(f, 3.0, order=2), 18)


def test_a_branch_that_the_first_point_did_not_take():
    """A branch on a closure or a shape is fixed when the function is traced, and seen when it changes."""
    held = [True]

    def f(v):
        return np.sum(v**2) if held[0] else np.sum(v**3)

    sees(f, lambda: held.__setitem__(0, False))


def test_every_change_at_once_from_threads():
    """Two threads with closures of their own do not get each other's answers."""

    def make(p):
        return grad(lambda v: np.sum(v**p))

    wrong = []

    def work(p):
        g = make(p)
        for _ in range(200):
            if not np.array_equal(g(X), expected[p]):
                wrong.append(p)

    expected = {p: make(p)(X) for p in (2, 3, 4, 5)}
    in_threads(work, expected)
    assert not wrong


def test_the_order_of_names_and_values_is_no_key():
    """Swapped values, values that print alike, arrays that hash alike."""
    a, b = 2.0, 3.0

    def f(v):
        return a * v[0] ** 2 + b * v[1] ** 2

    def change():
        nonlocal a, b
        a, b = b, a

    sees(f, change)
    table = np.array([1.0, 1.0 + 1e-15])
    g = grad(lambda v: table @ v)
    same(g(X), table)
    table[0] = 1.0 + 2e-16
    same(g(X), table)
    long = np.arange(2000.0)  # printed with dots in the middle
    g = grad(lambda v: long[1000] * v[0])
    close(g(X)[0], 1000)
    long[1000] = 7
    close(g(X)[0], 7)


# ---- things of every kind that change: (the function, what changes) ----


class ListWithAttribute(list):
    pass


class ArrayWithAttribute(np.ndarray):
    pass


class NumberWithAttribute(float):
    pass


class ByName:
    def __init__(self):
        self.kept = {"k": 2.0}

    def __getattr__(self, name):
        return self.kept[name]

    def __getitem__(self, i):
        return self.kept[i]


class OfClasses(type):
    @property
    def k(cls):
        return cls.box[0]


class HasProperty(metaclass=OfClasses):
    box = (2.0,)


class Described:
    value = 2.0

    def __get__(self, instance, owner):
        return Described.value


class HasDescriptor:
    k = Described()


class Multiplies:
    k = 2.0

    def __mul__(self, other):
        return other * self.k

    __array_ufunc__ = None


variable = contextvars.ContextVar("variable", default=2.0)


@functools.lru_cache
def remembered():
    return a_number


def changing_things(tmp_path, monkeypatch):
    """{name: (function, change)}; the exponent or factor is 2 before and 3 after."""
    found = {}

    def holds(name, thing, read, change):
        found[name] = (lambda v: np.sum(v ** read(thing)), lambda: change(thing))

    def item(key):
        return lambda thing: thing[key], lambda thing: thing.__setitem__(key, type(thing[key])(3))

    holds("deque", collections.deque([2.0]), *item(0))
    holds("array.array", array.array("d", [2.0]), *item(0))
    holds("bytearray", bytearray(b"\x02"), *item(0))
    holds("defaultdict", collections.defaultdict(float, k=2.0), *item("k"))
    holds("OrderedDict", collections.OrderedDict(k=2.0), *item("k"))
    holds("UserDict", collections.UserDict(k=2.0), *item("k"))
    holds("ChainMap", collections.ChainMap({}, {"k": 2.0}), *item("k"))
    holds("structured array", np.array([(2.0,)], [("a", float)])["a"], *item(0))
    for name, kept in [
        ("list", ListWithAttribute([1])),
        ("array", np.ones(1).view(ArrayWithAttribute)),
        ("number", NumberWithAttribute(1)),
    ]:
        kept.k = 2.0
        holds(f"attribute of a {name}", kept, lambda t: t.k, lambda t: setattr(t, "k", 3.0))
    dynamic = ByName()
    holds("__getattr__", dynamic, lambda t: t.k, lambda t: t.kept.update(k=3.0))
    holds("__getitem__", dynamic, lambda t: t["k"], lambda t: t.kept.update(k=3.0))
    inside = {"k": 2.0}
    holds("mappingproxy", types.MappingProxyType(inside), lambda t: t["k"], lambda t: inside.update(k=3.0))
    under = bytearray(b"\x02")
    holds("memoryview", memoryview(under), lambda t: t[0], lambda t: under.__setitem__(0, 3))
    plain = [2.0]
    holds("method of a list", plain.__getitem__, lambda t: t(0), lambda t: plain.__setitem__(0, 3.0))
    fixed = functools.partial(operator.getitem, plain)
    holds("partial of a builtin", fixed, lambda t: t(0), lambda t: plain.__setitem__(0, 3.0))
    endless = (plain[0] for _ in itertools.count())
    holds("generator", endless, next, lambda t: plain.__setitem__(0, 3.0))
    masked = np.ma.array([2.0, 2.0], mask=[False, False])
    holds("mask", masked, lambda t: t.filled(3.0)[0], lambda t: t.__setitem__(0, np.ma.masked))
    polynomial = np.polynomial.Polynomial([2.0])
    holds("Polynomial", polynomial, lambda t: t.coef[0], lambda t: t.coef.__setitem__(0, 3.0))
    holds("sparse", scipy.sparse.csr_array([[2.0]]), lambda t: t.toarray()[0, 0], lambda t: t.data.fill(3.0))
    monkeypatch.setattr(HasProperty, "box", (2.0,))
    holds("property of a class", HasProperty, lambda t: t.k, lambda t: setattr(t, "box", (3.0,)))
    monkeypatch.setattr(Described, "value", 2.0)
    holds("descriptor", HasDescriptor(), lambda t: t.k, lambda t: setattr(Described, "value", 3.0))
    monkeypatch.setattr(Multiplies, "k", 2.0)
    multiplies = Multiplies()
    found["operator"] = (lambda v: np.sum(multiplies * v), lambda: setattr(Multiplies, "k", 3.0))
    monkeypatch.setenv("EXPONENT", "2")
    holds("environ", None, lambda _: float(os.environ["EXPONENT"]), lambda _: monkeypatch.setenv("EXPONENT", "3"))
    holds("getenv", None, lambda _: float(os.getenv("EXPONENT", "")), lambda _: monkeypatch.setenv("EXPONENT", "3"))
    variable.set(2.0)
    holds("ContextVar", None, lambda _: variable.get(), lambda _: variable.set(3.0))
    local = threading.local()
    local.k = 2.0
    holds("threading.local", local, lambda t: t.k, lambda t: setattr(t, "k", 3.0))
    file = tmp_path / "exponent"
    file.write_text("2")
    holds("file", file, lambda t: float(t.read_text()), lambda t: t.write_text("3"))
    set_global("a_number", 2.0)
    holds("globals()", None, lambda _: globals()["a_number"], lambda _: set_global("a_number", 3.0))
    holds("eval", None, lambda _: eval("a_number"), lambda _: set_global("a_number", 3.0))
    this, which = sys.modules[__name__], "a_" + "number"
    holds("getattr", this, lambda t: getattr(t, which), lambda _: set_global("a_number", 3.0))
    remembered.cache_clear()
    holds(
        "lru_cache",
        None,
        lambda _: remembered(),
        lambda _: (set_global("a_number", 3.0), remembered.cache_clear()),
    )
    return found


def test_things_of_every_kind(tmp_path, monkeypatch):
    names = list(changing_things(tmp_path, monkeypatch))
    assert len(names) > 30
    for name in names:
        f, change = changing_things(tmp_path, monkeypatch)[name]
        g = grad(f)
        with saying(name):
            close(g(X), 2 * np.ones(2) if name == "operator" else 2 * X)
            same(g(X), g(X))
            change()
            close(g(X), 3 * np.ones(2) if name == "operator" else 3 * X**2)
            close(g.batch(np.stack([X, X]))[1], g(X))


def test_clocks():
    for f in (
        lambda v: np.sum(v) * time.time(),
        lambda v: np.sum(v) * time.perf_counter(),
        lambda v: np.sum(v) * datetime.datetime.now().timestamp(),
    ):
        g = grad(f)
        try:
            first = g(X)[0]
            time.sleep(0.05)
            assert g(X)[0] > first
        except TypeError as error:  # it went on between the trace and the plain call
            assert "lambda" in str(error)  # noqa: PT017
