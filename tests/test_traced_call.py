"""The fast way into derivatives: what is watched, and which calls go past Python."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from typing import Any

import numpy as np
import pytest

import mmlfast as mf
from mmlfast import _core

POWER = _core.tape_ops["integer_power"]


class Thing:
    k = 1


class Fast(_core.TracedCall):
    def _call(self, *args: Any, **kwargs: Any) -> Any:
        return "slow"


def squares(n: int) -> _core.TapeProgram:
    graph = _core.TapeGraph()
    first = graph.input(n)
    return _core.TapeProgram(graph, graph.emit(POWER, np.arange(first, first + n, dtype=np.int32), aux=2))


def kept(
    arguments: list[tuple[int, ...]], results: list[tuple[int, ...]], *, is_tuple: bool = False, n: int = 3
) -> Fast:
    fast = Fast()
    fast._keep(_core.Watch([]), squares(n), 0, arguments, results, is_tuple)
    return fast


# ---- what is watched ----


def a_cell(value: Any) -> Any:
    return (lambda: value).__closure__[0]  # type: ignore[index]


def power(x: Any, n: int = 2, *, scale: int = 3) -> Any:
    return scale * x**n


parts = (power.__code__, power.__defaults__, power.__kwdefaults__)
thing, names, numbers, table, cell = Thing(), {"k": 1, "z": 2}, [1, 2, 3], np.arange(6.0).reshape(2, 3), a_cell(5)

CHANGES = {
    "item": (("item", names, "k", names["k"]), lambda: names.update(k=3), lambda: names.update(k=1)),
    "item that is not there": (("item", names, "new"), lambda: names.update(new=3), lambda: names.pop("new")),
    "attribute": (("attribute", thing, "k", 1), lambda: setattr(thing, "k", 2), lambda: delattr(thing, "k")),
    "code of a function": (
        ("function", power, None, parts),
        lambda: setattr(power, "__code__", kept.__code__),
        lambda: setattr(power, "__code__", parts[0]),
    ),
    "defaults of a function": (
        ("function", power, None, parts),
        lambda: setattr(power, "__defaults__", None),
        lambda: setattr(power, "__defaults__", parts[1]),
    ),
    "defaults by keyword of a function": (
        ("function", power, None, parts),
        lambda: setattr(power, "__kwdefaults__", {"scale": 3}),
        lambda: setattr(power, "__kwdefaults__", parts[2]),
    ),
    "cell": (
        ("cell", cell, None, 5),
        lambda: setattr(cell, "cell_contents", 6),
        lambda: setattr(cell, "cell_contents", 5),
    ),
    "element of a list": (
        ("sequence", numbers, None, tuple(numbers)),
        lambda: numbers.__setitem__(1, 9),
        lambda: numbers.__setitem__(1, 2),
    ),
    "length of a list": (("sequence", numbers, None, tuple(numbers)), lambda: numbers.append(4), numbers.pop),
    "mapping": (("mapping", names, ("k", "z"), (1, 2)), lambda: names.update(z=5), lambda: names.update(z=2)),
    "key of a mapping": (("mapping", names, ("k", "z"), (1, 2)), lambda: names.update(a=5), lambda: names.pop("a")),
    "array": (
        ("bytes", table, None, table.copy()),
        lambda: table.__setitem__((1, 2), -0.0),
        lambda: table.__setitem__((1, 2), 5),
    ),
    "array, transposed": (
        ("bytes", table.T, None, table.T.copy()),
        lambda: table.__setitem__((0, 1), 7),
        lambda: table.__setitem__((0, 1), 1),
    ),
    "call": (("call", lambda n: len(numbers) == n, (3,)), lambda: numbers.append(4), numbers.pop),
}


@pytest.mark.parametrize("name", CHANGES)
def test_watch_sees_a_change_and_that_it_is_undone(name: str) -> None:
    check, change, undo = CHANGES[name]
    watch = _core.Watch([check])
    assert len(watch) == 1
    assert watch.holds()
    change()
    assert not watch.holds()
    undo()
    assert watch.holds()


def test_watch_sees_that_the_order_of_a_mapping_changes() -> None:
    mapping = {"a": 1, "b": 2}
    watch = _core.Watch([("mapping", mapping, ("a", "b"), (1, 2))])
    mapping["a"] = mapping.pop("a")
    assert not watch.holds()


def test_what_raises_while_it_is_compared_has_changed() -> None:
    assert not _core.Watch([("call", lambda: 1 / 0, ())]).holds()
    assert not _core.Watch([("attribute", thing, "no", 1)]).holds()
    assert not _core.Watch([("item", {}, "k", 1)]).holds()
    with pytest.raises(KeyError):
        {}["nothing of it is left behind"]


@pytest.mark.parametrize(
    "check",
    [
        ("item", [], "k", 1),
        ("no such kind", [], 1),
        (1, 2),
        3,
        ("bytes", table, None, table[:, ::-1]),
        ("bytes", np.array([None]), None, np.array([None])),
        ("sequence", numbers, None, numbers),
        ("mapping", {}, (1,), ()),
        ("cell", 3, None, 3),
        ("function", len, None, (1, 2, 3)),
        ("function", power, None, (1, 2)),
        ("call", 3, ()),
        ("call", len, 3),
    ],
)
def test_watch_refuses_what_it_cannot_compare(check: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        _core.Watch([check])


# ---- which calls go past Python ----


def test_plain_arrays_go_to_the_program() -> None:
    fast, x = kept([(3,)], [(3,)]), np.array([1.0, 2.0, -3.0])
    assert fast(x).tolist() == [1, 4, 9]
    readonly = x.copy()
    readonly.setflags(write=False)
    assert fast(readonly).tolist() == [1, 4, 9]


@pytest.mark.parametrize(
    "args",
    [
        (),
        (np.zeros(2),),
        (np.zeros((3, 1)),),
        (np.zeros(3), 1.0),
        (np.zeros(3, np.float32),),
        (np.zeros(3, ">f8"),),
        (np.zeros(6)[::2],),
        ([0.0, 0.0, 0.0],),
        (np.ma.masked_array(np.zeros(3)),),
        (np.zeros(3, np.int64),),
        (np.frombuffer(bytes(25), np.uint8)[1:].view(np.float64),),
    ],
)
def test_other_arguments_go_to_python(args: tuple[Any, ...]) -> None:
    assert kept([(3,)], [(3,)])(*args) == "slow"


def test_keywords_go_to_python() -> None:
    assert kept([(3,)], [(3,)])(x=np.zeros(3)) == "slow"


def test_numbers_are_those_of_numpy() -> None:
    fast = kept([()], [()], n=1)
    for x in (0.5, np.float64(0.5), np.array(0.5)):
        y = fast(x)
        assert type(y) is np.float64
        assert y == 0.25
    assert fast(1) == "slow"
    assert fast(np.float32(1)) == "slow"
    assert fast(True) == "slow"


def test_several_results_are_a_tuple() -> None:
    first, second = kept([(3,)], [(), (2, 1)], is_tuple=True)(np.array([1.0, 2.0, 3.0]))
    assert type(first) is np.float64
    assert first == 1
    assert second.tolist() == [[4], [9]]


def test_parameters_are_told_from_x_by_argnum() -> None:
    graph = _core.TapeGraph()
    x, p = graph.input(1), graph.input(2)
    ids = graph.emit(_core.tape_ops["subtract"], np.array([p, p + 1], np.int32), np.array([x], np.int32))
    fast = Fast()
    fast._keep(_core.Watch([]), _core.TapeProgram(graph, ids), 1, [(2,), ()], [(2,)], False)
    assert fast(np.array([5.0, 7.0]), 1.0).tolist() == [4, 6]


def test_a_change_goes_to_python() -> None:
    names = {"k": 1}
    fast = Fast()
    fast._keep(_core.Watch([("item", names, "k", 1)]), squares(3), 0, [(3,)], [(3,)], False)
    assert fast(np.ones(3)).tolist() == [1, 1, 1]
    names["k"] = 2
    assert fast(np.ones(3)) == "slow"


def test_a_program_is_kept_once() -> None:
    """Another watch of it, as after a change to an equal value, takes the place of the one before."""
    fast, programs = Fast(), [squares(n) for n in range(1, 5)]
    for n, program in enumerate(programs, 1):
        fast._keep(_core.Watch([]), program, 0, [(n,)], [(n,)], False)
    for _ in range(10):
        fast._keep(_core.Watch([]), programs[3], 0, [(4,)], [(4,)], False)
    assert [fast(np.ones(n)).tolist() for n in range(1, 5)] == [[1] * n for n in range(1, 5)]


def test_four_kinds_of_arguments_are_kept() -> None:
    fast = Fast()
    for n in range(1, 7):
        fast._keep(_core.Watch([]), squares(n), 0, [(n,)], [(n,)], False)
    assert [isinstance(fast(np.ones(n)), str) for n in range(1, 7)] == [True, True, False, False, False, False]
    fast._forget()
    assert fast(np.ones(6)) == "slow"


@pytest.mark.parametrize(
    ("argnum", "arguments", "results"),
    [
        (0, [(3,)], [(4,)]),
        (1, [(3,)], [(3,)]),
        (-1, [(3,)], [(3,)]),
        (0, [(2,)], [(3,)]),
        (0, [(-3,)], [(3,)]),
        (0, [[3]], [(3,)]),
        (0, [(3,)], [(1,), (2,)]),
        (0, [], [(3,)]),
        (0, [(3,), (1,)], [(3,)]),
    ],
)
def test_what_does_not_fit_the_program_is_refused(argnum: int, arguments: Any, results: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        Fast()._keep(_core.Watch([]), squares(3), argnum, arguments, results, False)


def test_a_check_may_call_the_function_that_it_is_a_check_of() -> None:
    """A check can run any code, that of the function too: the list that the call goes through must not go away."""
    fast = Fast()

    def forget() -> bool:
        fast._forget()
        gc.collect()
        return True

    fast._keep(_core.Watch([("call", forget, ())]), squares(3), 0, [(3,)], [(3,)], False)
    assert fast(np.array([1.0, 2.0, 3.0])).tolist() == [1, 4, 9]


def test_cycles_are_collected() -> None:
    fast = kept([(3,)], [(3,)])
    fast._keep(_core.Watch([("attribute", fast, "__class__", Fast)]), squares(3), 0, [(3,)], [(3,)], False)
    gone = weakref.ref(fast)
    del fast
    gc.collect()
    assert gone() is None


def test_derivatives_are_copied_and_pickled() -> None:
    """A class with memory of its own in C has no pickle of its own."""
    slope = mf.autodiff.grad(np.sum)
    x = np.ones(3)
    slope(x)
    for again in (copy.copy(slope), copy.deepcopy(slope), pickle.loads(pickle.dumps(slope))):
        assert type(again) is type(slope)
        assert again(x).tolist() == [1, 1, 1]
        assert again(np.ones(2)).tolist() == [1, 1]


def test_programs_of_many_shapes_do_not_pile_up() -> None:
    slope = mf.autodiff.grad(np.sum)
    for n in range(1, 400):
        assert slope(np.ones(n)).tolist() == [1] * n
    assert len(slope._entries) <= 128
