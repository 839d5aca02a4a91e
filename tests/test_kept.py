"""What is kept for functions of the user's: bounded by memory, and only as long as it is of use."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from mmlfast import autodiff, optimize
from mmlfast._common import kept

ARRAY = 1_000_000  # numbers that each function sees


class Data(np.ndarray):
    """An array that can be seen to go."""


def some_data(value):
    return np.full(ARRAY, float(value)).view(Data)


def minimize(data):
    optimize.minimize(lambda x: ((x - data[3]) ** 2).sum(), np.ones(3))


def minimize_with_gradient(data):
    optimize.minimize(lambda x: (((x - data[3]) ** 2).sum(), 2 * (x - data[3])), np.ones(3), jac=True)


def least_squares(data):
    optimize.least_squares(lambda p: p * np.asarray(data[:3]) - 1.0, np.ones(3))


def curve_fit(data):
    x = np.linspace(0, 1, 20)
    optimize.curve_fit(lambda x, a, b: a * np.exp(-b * x) + 0 * data[0], x, 2 * np.exp(-x) + 0.01 * x**2, [1.0, 1.0])


def curve_fit_many(data):
    x = np.linspace(0, 1, 20)
    y = np.tile(2 * np.exp(-x) + 0.01 * x**2, (2, 1))
    optimize.curve_fit_many(lambda x, a, b: a * np.exp(-b * x) + 0 * data[0], x, y, [1.0, 1.0])


def jvp(data):
    autodiff.jvp(lambda x: (x * np.asarray(data[:3])).sum(), (np.ones(3),), (np.ones(3),))


def vjp(data):
    autodiff.vjp(lambda x: (x * np.asarray(data[:3])).sum(), np.ones(3))[1](1.0)


def derivative(data):
    autodiff.derivative(lambda t: t * t * float(data[0]), 1.5)


def call_primitive(data):
    f = autodiff.primitive(lambda t: np.sin(t) + 0 * float(data[0]), derivative=np.cos)
    autodiff.grad(lambda t: f(2 * t))(0.5)


@pytest.mark.parametrize(
    "use",
    [
        minimize,
        minimize_with_gradient,
        least_squares,
        curve_fit,
        curve_fit_many,
        jvp,
        vjp,
        derivative,
        call_primitive,
    ],
)
def test_functions_of_a_loop_do_not_keep_its_arrays(use):
    alive = []
    for i in range(20):
        data = some_data(i)
        alive.append(weakref.ref(data))
        use(data)
    del data
    gc.collect()
    n_bytes = 8 * ARRAY * kept._COPIES * sum(one() is not None for one in alive)
    assert n_bytes <= kept.MOST_BYTES + 8 * ARRAY * kept._COPIES


def test_small_functions_stay_and_large_ones_go():
    made = []

    @kept.kept
    def thing(f, key):
        made.append(f)
        return object()

    small = [lambda i=i: i for i in range(20)]
    first = [thing(f, "a") for f in small]
    for _ in range(3):
        data = np.empty(kept.MOST_BYTES // 16)
        thing(lambda data=data: data, "a")
    assert [thing(f, "a") for f in small] == first
    assert len(made) == 23
    assert thing(small[0], "b") is not first[0]


def test_as_many_functions_as_said():
    @kept.kept
    def thing(f):
        return object()

    functions = [lambda i=i: i for i in range(kept.MOST_FUNCTIONS + 10)]
    gone = [weakref.ref(f) for f in functions]
    for f in functions:
        thing(f)
    del functions, f
    assert sum(one() is not None for one in gone) <= kept.MOST_FUNCTIONS


def test_what_a_function_keeps_alive_is_seen():
    class Holder:
        def __init__(self):
            self.parts = {"a": [np.empty(1000), np.empty((10, 100))[::2]]}

        def method(self):
            return self.parts

    x = np.empty(500)
    holder = Holder()
    assert kept.bytes_seen(lambda: x) == 4000
    assert kept.bytes_seen(holder.method) == 16000
    assert kept.bytes_seen(lambda a=x, *, b=x: (a, b)) == 4000
    assert kept.bytes_seen(np.sin) == 0
