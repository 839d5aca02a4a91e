"""Whether a function still is what it was when it was traced, and whether its trace says what it says.

A function sees more than its arguments: its code, the variables around it, defaults, globals, attributes of objects,
the functions that it calls and what these see. `Watch` goes over all of it once, keeps it by value, and `holds()` tells
whether any of it has changed. Functions of Python itself, of NumPy, SciPy and of this library count as fixed. What
nobody can compare (clocks, random numbers, files, generators, objects that show nothing of themselves) never holds:
such a function is traced anew for each call.
"""

from __future__ import annotations

import array
import builtins
import collections
import datetime
import decimal
import functools
import operator
import os
import re
import sys
import threading
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from mmlfast import _core
from mmlfast.autodiff._errors import NUMPY, OURS, SCIPY
from mmlfast.autodiff._trace import Traced

_MISSING = object()
_PYTHON = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
_VALUES = (int, float, complex, str, bytes, bool, type(None), np.generic, type(Ellipsis), range, slice, np.dtype)
_EQUAL = (*_VALUES, types.CodeType)
_BUILTINS = frozenset(vars(builtins))
_NUMBERS = frozenset((float, int, bool, str, type(None)))
# Modules whose functions give something else each time, or what lies outside of Python.
_OUTSIDE = frozenset(
    {
        *("time", "datetime", "random", "secrets", "uuid", "os", "posix", "nt", "io", "_io", "pathlib", "tempfile"),
        *("contextvars", "importlib", "inspect", "socket", "subprocess", "sqlite3", "shelve", "urllib"),
    }
)
_OUTSIDE_OF_SYS = frozenset({"modules", "argv", "stdin", "_getframe", "flags"})
_BY_ANY_NAME = frozenset({"globals", "locals", "vars", "eval", "exec", "open", "input", "__import__"})
# Types without attributes whose objects stay what they are.
_UNCHANGING = frozenset(
    {
        object,
        type(NotImplemented),
        re.Pattern,
        decimal.Decimal,
        datetime.date,
        datetime.datetime,
        datetime.time,
        datetime.timedelta,
        datetime.timezone,
        operator.itemgetter,
        operator.attrgetter,
        operator.methodcaller,
        np.ufunc,
        types.WrapperDescriptorType,
        types.MethodDescriptorType,
        types.ClassMethodDescriptorType,
        types.GetSetDescriptorType,
        types.MemberDescriptorType,
        type(threading.Lock()),
        type(threading.RLock()),
        type(np.sum),  # NumPy's functions that dispatch
    }
)
# Beyond this many things a function is not watched but traced anew every time.
_MOST = 20_000


class Watch:
    """What a function sees, by value."""

    __slots__ = ("_function", "_snapshot", "quick")

    def __init__(self, f: Callable[..., Any]) -> None:
        self._function = f
        look = _Look(f)
        self._snapshot = look.snapshot
        self._take(look)

    def _take(self, look: _Look) -> None:
        self.quick = _core.Watch(look.quick)

    def holds(self) -> bool:
        """Whether all is as it was. First by identity; what is another object may still have the same value."""
        if self.quick.holds():
            return True
        look = _Look(self._function)
        if not _same(self._snapshot, look.snapshot):
            return False
        self._take(look)
        return True


def _same(a: list[Any], b: list[Any]) -> bool:
    return len(a) == len(b) and all(map(_same_value, a, b))


def _same_value(a: Any, b: Any) -> bool:
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(_same_value, a, b))
    if isinstance(a, float | complex | np.generic):
        return repr(a) == repr(b)  # NaN is itself, and -0.0 is not 0.0
    if isinstance(a, _EQUAL):
        return bool(a == b)
    return False


# ---- checks that _core.Watch calls ----


def _set_is(members: Any, kept: frozenset[Any]) -> bool:
    return len(members) == len(kept) and kept.issuperset(members)


def _queue_is(queue: Any, kept: tuple[Any, ...]) -> bool:
    return len(queue) == len(kept) and all(a is b for a, b in zip(queue, kept, strict=True))


def _bytes_are(buffer: Any, kept: bytes) -> bool:
    return bytes(buffer) == kept


def _values_of(thing: Any) -> Any:
    """A copy of the numbers of an object that NumPy takes for an array; None if it does not."""
    try:
        return np.array(thing)
    except Exception:  # whatever the object thinks of it
        return None


def _values_are(thing: Any, kept: Any) -> bool:
    values = _values_of(thing)
    return (
        values is not None
        and values.dtype == kept.dtype
        and np.array_equal(values, kept, equal_nan=values.dtype.kind in "fc")
    )


def _items_are(mapping: Any, keys: tuple[Any, ...], items: tuple[Any, ...]) -> bool:
    now = tuple(mapping)
    return (
        len(now) == len(keys)
        and all(a is b for a, b in zip(now, keys, strict=True))
        and all(mapping[key] is item for key, item in zip(keys, items, strict=True))
    )


def _objects_are(array: Any, kept: tuple[Any, ...]) -> bool:
    return array.size == len(kept) and all(a is b for a, b in zip(array.flat, kept, strict=True))


def _of_class(cls: type, name: str) -> Any:
    return next((vars(base)[name] for base in cls.__mro__ if name in vars(base)), _MISSING)


def _of_class_is(cls: type, name: str, kept: Any) -> bool:
    return _of_class(cls, name) is kept


def _never() -> bool:
    return False


@functools.lru_cache(maxsize=4096)
def _is_fixed_file(file: str) -> bool:
    """Of Python itself, NumPy, SciPy or this library; by its place, since a user's module may be called profile.py."""
    if file.startswith(("<frozen ", OURS, NUMPY, SCIPY)):
        return True
    return file.startswith(_PYTHON) and "site-packages" not in file and "dist-packages" not in file


def _is_fixed(module: types.ModuleType | None) -> bool:
    if module is None:
        return False
    file = getattr(module, "__file__", None)
    return module.__name__ in sys.builtin_module_names if file is None else _is_fixed_file(file)


class _Look:
    """One walk over all that a function sees: `snapshot`, values in the order of the walk, and `quick`, checks."""

    def __init__(self, f: Callable[..., Any]) -> None:
        self.snapshot: list[Any] = []
        self.quick: list[tuple[Any, ...]] = []  # for _core.Watch: (kind, owner, key, value)
        self.names: set[str] = set()
        self.seen: dict[int, int] = {}
        self.alive: list[Any] = []  # ids of objects that are gone would be given to others
        # Attributes of modules, classes and objects are looked up by the names that occur in the code found so far.
        self.waiting: list[Any] = [f]
        self.owners: list[tuple[Any, Any, set[str]]] = []
        self.nobody_can_compare = False
        while self.waiting or self._look_at_owners():
            self._look_at(self.waiting.pop())
            if self.nobody_can_compare or len(self.snapshot) > _MOST:
                self.nobody_can_compare = True
                break
        # `getattr` of a module or class may ask for any of its attributes, of which only those named are known.
        if self.nobody_can_compare or (self.owners and "getattr" in self.names):
            self.quick = [("call", _never, ())]
            self.snapshot.append(object())

    def _look_at(self, thing: Any) -> None:
        kind = type(thing)
        if kind in _VALUES:  # nearly all that there are
            self.snapshot.append(thing)
            return
        look = _LOOK_OF.get(kind)
        if look is None and isinstance(thing, _VALUES):
            self.snapshot.append(thing)
            if hasattr(thing, "__dict__"):  # of a subclass, which may have attributes besides its value
                self._look_at_attributes(thing)
            return
        number = self.seen.get(id(thing))
        if number is not None:
            self.snapshot.append(("seen", number))
            return
        self.seen[id(thing)] = len(self.seen)
        self.alive.append(thing)
        if _is_outside(thing):
            self.nobody_can_compare = True
            return
        if look is not None:
            look(self, thing)
            return
        for kinds, look in _LOOKS:
            if issubclass(kind, kinds):
                look(self, thing)
                if issubclass(kind, _CONTAINERS):
                    self._look_at_attributes(thing)
                return
        self._look_at_object(thing)

    def _look_at_attributes(self, thing: Any) -> None:
        """Besides what it holds as a number or a container."""
        self._next(type(thing), getattr(thing, "__dict__", None))

    def _next(self, *things: Any) -> None:
        self.waiting.extend(reversed(things))

    # ---- functions ----

    def _look_at_function(self, f: types.FunctionType) -> None:
        code, defaults, by_keyword = f.__code__, f.__defaults__, f.__kwdefaults__
        self.snapshot.append(("function", code))
        if len(self.seen) > 1 and _is_fixed_file(code.co_filename):
            return
        self.quick.append(("function", f, "", (code, defaults, by_keyword)))
        self.waiting += (by_keyword, defaults)
        for cell in f.__closure__ or ():
            try:
                value = cell.cell_contents
            except ValueError:
                value = _MISSING
            self.quick.append(("cell", cell, "") if value is _MISSING else ("cell", cell, "", value))
            self.waiting.append(value)
        names = _names_of(code)
        self.names.update(names)
        for name in names:
            value = f.__globals__.get(name, _MISSING)
            if value is not _MISSING:
                self.quick.append(("item", f.__globals__, name, value))
                self._next(value)
                if value is sys and _OUTSIDE_OF_SYS.intersection(names):
                    self.nobody_can_compare = True
            elif name in _BY_ANY_NAME:
                self.nobody_can_compare = True
            elif name in _BUILTINS:
                self.quick.append(("item", f.__globals__, name))
        if f.__dict__:
            self._next(f.__dict__)

    def _look_at_method(self, method: types.MethodType) -> None:
        self._next(method.__func__, method.__self__)

    def _look_at_builtin(self, f: Any) -> None:
        """Of C: a function of a module, or a method of an object, as `table.get` is."""
        owner = getattr(f, "__self__", None)
        if owner is None or isinstance(owner, types.ModuleType):
            self.snapshot.append(f)
            return
        self.snapshot.append(("method", f.__name__))
        self._next(owner)

    def _look_at_partial(self, f: functools.partial[Any]) -> None:
        self.snapshot.append("partial")
        self._next(f.func, f.args, f.keywords)

    def _look_at_property(self, p: property) -> None:
        self._next(p.fget)

    def _look_at_wrapper(self, wrapper: Any) -> None:
        self._next(wrapper.__func__)

    # ---- containers ----

    def _look_at_array(self, numbers: Any) -> None:
        if numbers.dtype.hasobject:
            items = tuple(numbers.ravel())
            self.snapshot.append(("objects", numbers.shape))
            self.quick.append(("call", _objects_are, (numbers, items)))
            self._next(*items)
            return
        kept = np.array(numbers, order="C")
        self.snapshot.append(("array", numbers.shape, numbers.dtype, kept.tobytes()))
        self.quick.append(("bytes", numbers, "", kept))

    def _look_at_sequence(self, sequence: Any) -> None:
        items = tuple(sequence)
        self.snapshot.append((type(sequence).__name__, len(items)))
        if not isinstance(sequence, tuple):
            self.quick.append(("sequence", sequence, "", items))
        if _NUMBERS.issuperset(map(type, items)):
            self.snapshot.append(items)
        else:
            self._next(*items)

    def _look_at_mapping(self, mapping: Any) -> None:
        keys, items = tuple(mapping), tuple(mapping.values())
        self.snapshot.append(("mapping", len(keys)))
        self.quick.append(("mapping", mapping, keys, items))
        self._next(*keys, *items)

    def _look_at_view_of_mapping(self, mapping: Any) -> None:
        keys, items = tuple(mapping), tuple(mapping.values())
        self.snapshot.append(("mapping", len(keys)))
        self.quick.append(("call", _items_are, (mapping, keys, items)))
        self._next(*keys, *items)

    def _look_at_queue(self, queue: collections.deque[Any]) -> None:
        items = tuple(queue)
        self.snapshot.append(("queue", len(items)))
        self.quick.append(("call", _queue_is, (queue, items)))
        self._next(*items)

    def _look_at_bytes(self, buffer: Any) -> None:
        kept = bytes(buffer)
        self.snapshot.append(("bytes", type(buffer), kept))
        self.quick.append(("call", _bytes_are, (buffer, kept)))

    def _look_at_set(self, members: Any) -> None:
        frozen = frozenset(members)
        self.snapshot.append(("set", len(frozen)))
        self.quick.append(("call", _set_is, (members, frozen)))
        self._next(*sorted(frozen, key=repr))

    # ---- what has attributes ----

    def _look_at_module(self, module: types.ModuleType) -> None:
        self.snapshot.append(module)
        if not _is_fixed(module):
            self.owners.append((module, vars(module), set()))

    def _look_at_class(self, cls: type) -> None:
        self.snapshot.append(cls)
        if type(cls) is not type:
            self._next(type(cls))
        ours = [base for base in cls.__mro__ if not _is_fixed(sys.modules.get(base.__module__))]
        if ours:
            self.owners.append((cls, None, {"__module__", "__dict__", "__weakref__", "__doc__"}))
        for base in ours:
            for name, value in vars(base).items():
                if isinstance(value, types.FunctionType) and name.startswith("__"):
                    self.names.add(name)  # called by operators and by making one

    def _look_at_object(self, thing: Any) -> None:
        kind = type(thing)  # whose attributes count: some objects say that they have any attribute
        if kind in _UNCHANGING:
            self.snapshot.append(thing)
            return
        self._next(kind)
        if hasattr(kind, "_watched"):  # of this library: what a derivative is made of
            self._next(thing._watched)
            return
        if hasattr(kind, "__array__") and (values := _values_of(thing)) is not None:
            self.snapshot.append(("object", kind))
            self.quick.append(("call", _values_are, (thing, values)))
            self._next(values.copy())
            return
        own = getattr(thing, "__dict__", None)
        slots = [name for base in type(thing).__mro__ for name in _slots_of(base)]
        if own is None and not slots:
            self.nobody_can_compare = True
            return
        self.snapshot.append(("object", type(thing)))
        if own is not None:
            self._next(own)
        for name in slots:
            value = getattr(thing, name, _MISSING)
            if value is not _MISSING:
                self.quick.append(("attribute", thing, name, value))
                self._next(value)

    def _look_at_attribute(self, cls: type, name: str) -> None:
        """Of a class: what its instances see, in itself or in what it inherits from."""
        value = _of_class(cls, name)
        if value is _MISSING:
            return
        if getattr(cls, name, _MISSING) is value:
            self.quick.append(("attribute", cls, name, value))
        else:  # it comes as another object each time, as class methods do
            self.quick.append(("call", _of_class_is, (cls, name, value)))
        self.waiting.append(value)

    def _look_at_owners(self) -> bool:
        """Attributes of modules and classes that the code found so far names; False when there are no new ones."""
        for owner, attributes, known in self.owners:
            for name in sorted(self.names - known):
                known.add(name)
                if attributes is None:
                    self._look_at_attribute(owner, name)
                elif (value := attributes.get(name, _MISSING)) is not _MISSING:
                    self.quick.append(("item", attributes, name, value))
                    self.waiting.append(value)
        return bool(self.waiting)


def _package_of(thing: Any) -> str:
    """Of a module, class or function; of any other object that of its class."""
    if isinstance(thing, types.ModuleType):
        home: Any = thing.__name__
    elif isinstance(thing, type | types.FunctionType | types.BuiltinFunctionType):
        home = getattr(thing, "__module__", None)
    else:
        home = getattr(type(thing), "__module__", None)
    return home.split(".")[0] if isinstance(home, str) else ""


def _is_outside(thing: Any) -> bool:
    """Has it to do with clocks, chance, files, or all that lies outside of Python?"""
    return _package_of(thing) in _OUTSIDE and type(thing) not in _UNCHANGING


_CONTAINERS = (np.ndarray, list, tuple, dict, collections.deque, set, frozenset, bytearray, array.array)
_LOOKS: tuple[tuple[tuple[type, ...], Callable[[_Look, Any], None]], ...] = (
    ((types.FunctionType,), _Look._look_at_function),
    ((types.ModuleType,), _Look._look_at_module),
    ((np.ndarray,), _Look._look_at_array),
    ((list, tuple), _Look._look_at_sequence),
    ((dict,), _Look._look_at_mapping),
    ((types.MappingProxyType,), _Look._look_at_view_of_mapping),
    ((collections.deque,), _Look._look_at_queue),
    ((bytearray, memoryview, array.array), _Look._look_at_bytes),
    ((set, frozenset), _Look._look_at_set),
    ((types.MethodType,), _Look._look_at_method),
    ((functools.partial,), _Look._look_at_partial),
    ((type,), _Look._look_at_class),
    ((property,), _Look._look_at_property),
    ((staticmethod, classmethod), _Look._look_at_wrapper),
    ((types.BuiltinFunctionType, types.MethodWrapperType), _Look._look_at_builtin),
    ((np.ufunc, Traced), lambda look, thing: look.snapshot.append(thing)),
)
_LOOK_OF = {kind: look for kinds, look in _LOOKS for kind in kinds}


def _slots_of(base: type) -> tuple[str, ...]:
    slots = vars(base).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


@functools.lru_cache(maxsize=1024)
def _names_of(code: types.CodeType) -> tuple[str, ...]:
    """Names of globals and attributes in the code and in the functions that are written inside of it."""
    return tuple(dict.fromkeys(_all_names(code)))


def _all_names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _all_names(constant)
