"""What traced numbers do without Python (_core.TracedNumbers) is what the rules of the tracer do with them: operators,
ufuncs and parts, of every kind of operand."""

from __future__ import annotations

import itertools
import operator

import numpy as np
import pytest

from mmlfast import _core
from mmlfast.autodiff import TracingError, grad, trace
from mmlfast.autodiff._trace import Trace
from mmlfast.autodiff._tracer import TracedArray

X = np.array([0.4, 1.3, 2.1])
OPERANDS = {
    "vector": lambda v: v * 1.5,
    "matrix": lambda v: v[:, None] + v,
    "number": lambda v: v[0],
    "0-d": lambda v: np.sum(v),
    "part": lambda v: np.stack([v, v])[:, ::2][0],
    "mask": lambda v: v > 1,
    "float": lambda v: 2.5,
    "int": lambda v: 3,
    "large int": lambda v: 10**30,
    "bool": lambda v: True,
    "float64": lambda v: np.float64(0.5),
    "float32": lambda v: np.float32(0.5),
    "constants": lambda v: np.array([1.5, 2.0, 0.5]),
    "integers": lambda v: np.array([1, 2, 0]),
    "list": lambda v: [1.0, 2.0, 3.0],
    "tuple": lambda v: (1.0, 2.0, 3.0),
}
TRACED = ["vector", "matrix", "number", "0-d", "mask"]
OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]


def same(f, x=X):
    """A function and its trace at x, which is compared with the plain call by `trace` as well."""
    with np.errstate(all="ignore"):
        expected = np.asarray(f(x), np.float64)
    found = trace(f, x)(x)
    assert np.shape(found) == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("combine", OPERATORS)
def test_operators_take_every_kind_of_operand(combine):
    for first, second in itertools.chain(itertools.product(TRACED, OPERANDS), itertools.product(OPERANDS, TRACED)):

        def f(v, first=first, second=second):
            return combine(OPERANDS[first](v), OPERANDS[second](v)) * 1.0

        try:
            with np.errstate(all="ignore"):
                f(X)
        except (TypeError, ValueError, OverflowError) as error:  # what NumPy refuses is refused
            with pytest.raises((type(error), TypeError)):
                trace(f, X)
            continue
        same(f)


UFUNCS = [
    np.exp,
    np.sin,
    np.negative,
    np.floor,
    np.maximum,
    np.arctan2,
    np.greater,
    np.greater_equal,
    np.less,
    np.equal,
]


@pytest.mark.parametrize("ufunc", UFUNCS)
def test_ufuncs_take_every_kind_of_operand(ufunc):
    traced = [name for name in TRACED if name != "mask"]  # of which NumPy's are float16
    others = [name for name in OPERANDS if name not in ("mask", "large int", "part")]
    for names in [[a] for a in traced] if ufunc.nin == 1 else itertools.product(traced, others):
        same(lambda v, names=names: ufunc(*(OPERANDS[name](v) for name in names)) * 1.0)


def test_operands_that_change_places():
    same(lambda v: np.greater(v, 1.0) * 1.0)
    same(lambda v: np.greater(1.0, v) * 1.0)
    assert trace(lambda v: np.greater_equal(v, v[::-1]), X)(X).tolist() == [0, 1, 1]


KEYS = [0, -1, slice(1, None), slice(None, None, -2), Ellipsis, None, (), (0,), (Ellipsis, 1), (None, slice(1, 3))]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_parts_by_every_kind_of_key(key):
    same(lambda v: v[key] * 2)
    same(lambda v: (v > 1)[key] * 2.0)


def test_parts_of_parts_and_of_numbers():
    same(lambda v: np.stack([v, 2 * v])[1, 2] + v[...][0] + v[0][()] + v[0][...])
    same(lambda v: v[np.array([2, 0])] + v[[True, False, True]])
    with pytest.raises((IndexError, TracingError)):
        trace(lambda v: v[3], X)


def test_parts_are_views():
    def f(v):
        w = v * 1.0
        part = w[1:]
        part += 10
        whole = w[...]
        whole[0] = -1.0
        return w

    same(f)


def test_numbers_of_two_recordings_do_not_mix():
    one, other = Trace(_core.TapeGraph()), Trace(_core.TapeGraph())
    a, b = (TracedArray(t, np.arange(t.graph.input(2), 2, dtype=np.int32)) for t in (one, other))
    for combine in OPERATORS:
        with pytest.raises(TracingError, match="two functions"):
            combine(a, b)
    with pytest.raises(TracingError, match="two functions"):
        np.maximum(a, b)


def test_what_holds_no_graph_is_refused():
    numbers = _core.TracedNumbers(None, np.zeros(2, np.int32))
    with pytest.raises(AttributeError, match="graph"):
        numbers + 1.0
    strange = TracedArray(Trace(_core.TapeGraph()), np.array([7, -3], np.int32))  # no ids of its graph
    with pytest.raises(ValueError, match="ids of this graph"):
        strange + 1.0
    with pytest.raises(ValueError, match="number by number"):
        _core.name_traced_ufuncs({np.add: _core.tape_ops["sum"]})


def test_a_graph_of_many_steps_is_recorded_step_by_step():
    def f(t):
        for _ in range(2000):
            t = t - 0.001 * t
        return t

    assert grad(f)(1.0) == pytest.approx(0.999**2000, rel=1e-12)
