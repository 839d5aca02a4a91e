"""How a solver takes the function that it is given.

`take(f, x0, args)` calls f once as it is, so that what f raises or returns is seen before anything else, and then looks
for its tape (mmlfast.autodiff): one that an earlier call has made, if all that f sees is what it was, or a new one. The
plain call and the tape have to agree. A function that cannot be taped is called as it is, and its derivatives are
differences; `derivatives` and `reason` of what is returned say so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mmlfast._common.errors import warn_caller
from mmlfast._common.kept import Around, kept
from mmlfast.autodiff._comparison import compare_with_plain_call
from mmlfast.autodiff._decisions import guard_of
from mmlfast.autodiff._freshness import Watch
from mmlfast.autodiff._recording import Argument, as_argument, function_name, place_of, record
from mmlfast.optimize._differences import Differences, of_owner
from mmlfast.optimize._recorded import Recorded, SideLost, Sides

Array = np.ndarray[Any, Any]

EXACT, GIVEN, DIFFERENCES = "exact", "given", "finite differences"


class Bound:
    """f with the values of some of its arguments after the first; the others are parameters of the tape."""

    def __init__(self, f: Callable[..., Any], values: tuple[Any, ...], is_parameter: tuple[bool, ...]) -> None:
        self.f = f
        self.values = values
        self.is_parameter = is_parameter
        self.__name__ = function_name(f)

    def __call__(self, x: Any, *parameters: Any) -> Any:
        given = iter(parameters)
        return self.f(x, *(next(given) if is_p else v for v, is_p in zip(self.values, self.is_parameter, strict=True)))

    @property
    def _watched(self) -> tuple[Any, ...]:
        return (self.f, tuple(v for v, is_p in zip(self.values, self.is_parameter, strict=True) if not is_p))


_MOST_TAPES = 8  # of one function and one kind of arguments


@kept
def _shelf(f: Callable[..., Any], constants: Any, is_parameter: tuple[bool, ...]) -> dict[Any, list[Recorded]]:
    """Of a function and the values of its arguments: its tapes, by kinds of arguments."""
    return {}


# ---- functions ----

# What Python's math says of arguments outside of a function's domain.
_OF_MATH = ("math domain error", "math range error", "expected a ")


class Taken:
    """A function of x as a solver uses it.

    Attributes
    ----------
    recorded : Recorded or None
        Its tape.
    reason : str
        Why there is no tape.
    first : ndarray
        What f gave for x0, called as it is.
    parameters : list of ndarray
        What a program of the tape is called with after x.
    calls : int
        How many times f was called as it is.
    is_noisy : bool
        Whether f gives other numbers for the same x.
    says_whether : bool
        Whether f gives True or False.
    """

    def __init__(self, f: Callable[..., Any], x0: Argument, args: tuple[Any, ...], name: str) -> None:
        self.f, self.args, self.name = f, args, name
        self.is_number = x0.is_number
        self.x_shape = x0.values.shape
        self.recorded: Recorded | None = None
        self.reason = ""
        self.parameters: list[Array] = []
        self.calls = 0
        self.is_noisy = False
        self._differences: Differences | None = None
        self.bounds: tuple[Any, Any] = (-np.inf, np.inf)
        result = self.plain(x0.values)
        self.first = _checked_result(f, result, name)
        self.says_whether = isinstance(result, bool) or getattr(result, "dtype", None) == np.bool_

    @property
    def derivatives(self) -> str:
        """Where derivatives come from: "exact" (from the tape) or "finite differences"."""
        return EXACT if self.recorded is not None else DIFFERENCES

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.first.shape)

    def plain(self, x: Array) -> Any:
        """f itself, called with a copy of x."""
        self.calls += 1
        with np.errstate(all="ignore"):
            return self.f(np.float64(x) if self.is_number else np.array(x, np.float64), *self.args)

    def program(self, what: str) -> Callable[[Array], list[Array]]:
        """The program of the tape (`Recorded.compiled`) as a function of x."""
        assert self.recorded is not None
        compiled, parameters = self.recorded.compiled(what), self.parameters
        return lambda x: compiled.at_point(x, parameters)

    # ---- by the tape, or by calls and differences ----

    def _by_tape(self, what: str, x: Array) -> list[Array] | None:
        """None from then on where f has branches and this one cannot be traced."""
        if self.recorded is None:
            return None
        try:
            return self.program(what)(x)
        except SideLost as lost:
            self.recorded, self.reason = None, str(lost)
            return None

    def value(self, x: Array) -> Array:
        found = self._by_tape("value", x)
        return found[0] if found is not None else self.called(x)

    def called(self, x: Array) -> Array:
        """What f itself gives, as float64."""
        try:
            result = np.asarray(self.plain(x), np.float64)
        except (ArithmeticError, ValueError) as error:  # beyond where f is defined: as NaN, a step too long
            if isinstance(error, ValueError) and not str(error).startswith(_OF_MATH):
                raise
            return np.full(self.first.shape, np.nan)
        if result.shape != self.first.shape:
            raise ValueError(
                f"{self.name}{place_of(self.f)} gave an array of shape {self.first.shape} for x0, and of shape "
                f"{result.shape} for another x: it must always be the same"
            )
        return result

    def value_and_gradient(self, x: Array) -> tuple[float, Array]:
        found = self._by_tape("value, gradient", x)
        if found is not None:
            return float(found[0]), found[1]
        value = self.called(x)
        return float(value.reshape(())), self.differences.jacobian(x, value).reshape(self.x_shape)

    def jacobian(self, x: Array) -> Array:
        """Of shape (*shape, *x_shape)."""
        found = self._by_tape("jacobian", x)
        if found is not None:
            return found[0]
        return self.differences.jacobian(x, self.called(x)).reshape(self.shape + self.x_shape)

    def hessian(self, x: Array) -> Array:
        """Of a function that gives one number."""
        if self.recorded is not None and self.recorded.is_dense and not self.recorded.calls_python:
            return self.recorded.hessian_by_columns(x, self.parameters)
        found = self._by_tape("hessian", x)
        return found[0] if found is not None else self.differences.hessian(x, self.called(x))

    @property
    def differences(self) -> Differences:
        if self._differences is None:
            self._differences = Differences(of_owner(self.called), *self.bounds)
        return self._differences


def take(f: Any, x0: Any, args: Any = (), *, name: str = "f", bounds: Any = None, traced: bool = True) -> Taken:
    """f as a solver uses it.

    Parameters
    ----------
    f : callable
        f(x, *args) gives a number or an array.
    x0 : float or ndarray of float64
        Where f is called. A number if f takes a number.
    args : tuple
        Further arguments: floats and arrays of them are parameters of the tape, all others belong to the function.
    name : str
        What the caller calls f, for messages.
    bounds : (lower, upper), optional
        Beyond which f is never called, not even for a difference.
    traced : bool
        Whether to look for a tape at all.

    Raises
    ------
    TypeError
        If f is no function, or what it gives for x0 is no numbers. What f itself raises comes through.
    """
    if not callable(f):
        raise TypeError(f"{name} must be a function, got {type(f).__name__}")
    if not isinstance(args, tuple):
        args = (args,)
    x = as_argument(x0, "x0")
    x = Argument(x.values.astype(np.float64), x.is_number)
    is_parameter = tuple(_is_parameter(a) for a in args)
    if traced:
        found = _taken(f, x, args, is_parameter, name)
        if found.recorded is None and any(is_parameter):
            other = _taken(f, x, args, (False,) * len(args), name)
            if other.recorded is not None:
                found = other
    else:
        found = Taken(f, x, args, name)
    if bounds is not None:
        found.bounds = bounds
    return found


def _is_parameter(a: Any) -> bool:
    if type(a) is np.ndarray:
        return bool(a.dtype == np.float64)
    return type(a) is float or type(a) is np.float64


def _taken(
    f: Callable[..., Any], x: Argument, args: tuple[Any, ...], is_parameter: tuple[bool, ...], name: str
) -> Taken:
    bound = Bound(f, args, is_parameter) if args else f
    arguments = [x, *(as_argument(a, "args") for a, is_p in zip(args, is_parameter, strict=True) if is_p)]
    constants = tuple((type(a), a) for a, is_p in zip(args, is_parameter, strict=True) if not is_p)
    try:
        shelf = _shelf(f, constants, is_parameter)
    except TypeError:  # not hashable
        shelf = {}
    kept = shelf.setdefault(tuple(a.kind for a in arguments), [])
    recorded = next((r for r in kept if r.watch.holds()), None)
    watch = recorded.watch if recorded is not None else Watch(bound)
    can_be_watched = watch.holds()
    taken = Taken(f, x, args, name)
    if can_be_watched and not watch.holds():
        taken.reason = "it changes what it uses besides its arguments"
        return taken
    parameters = [a.values for a in arguments[1:]]
    if recorded is not None and not _agrees(recorded, x.values, parameters, taken.first):
        recorded = None
    if recorded is None:
        try:
            seen = record(bound, arguments, 0, at_point=True)
            compare_with_plain_call(bound, arguments, 0, seen)
            guard = guard_of(seen)
            taken.calls += 1
        except Exception as error:  # whatever traced numbers meet in there: the plain call went well
            taken.reason = str(error) or type(error).__name__
            if "for numbers, and" in taken.reason and not _same_again(taken, x.values):
                taken.is_noisy, taken.reason = True, "it gives other numbers for the same x"
            return taken
        recorded = Recorded(watch, seen) if guard is None else Sides(watch, seen, guard, bound, arguments)
        kept.insert(0, recorded)
        del kept[_MOST_TAPES:]
    taken.recorded, taken.parameters = recorded, parameters
    return taken


def _same_again(taken: Taken, x: Array) -> bool:
    return np.array_equal(np.asarray(taken.plain(x), np.float64), taken.first, equal_nan=True)


def _agrees(recorded: Recorded, x: Array, parameters: Sequence[Array], plain: Array) -> bool:
    """To the last digits; what is further off may be rounding, which `compare_with_plain_call` estimates."""
    try:
        (traced,) = recorded.compiled("value").at_point(x, parameters)
    except SideLost:
        return False
    if traced.shape != plain.shape:
        return False
    if traced.tobytes() == plain.tobytes():
        return True
    with np.errstate(all="ignore"):
        close = np.abs(traced - plain) <= 1e-12 * np.maximum(np.abs(traced), np.abs(plain))
        return bool(np.all(close | (traced == plain) | (np.isnan(traced) & np.isnan(plain))))


class ComplexResult(TypeError):
    """f gives complex numbers."""


def _checked_result(f: Callable[..., Any], result: Any, name: str) -> Array:
    where = f"{name}{place_of(f)}"
    if result is None:
        raise TypeError(f"{where} returns None: is a return missing?")
    try:
        numbers = np.asarray(result)
        if numbers.dtype.kind == "c":
            raise ComplexResult(f"{where} gives complex numbers: split them into real and imaginary parts")
        numbers = numbers.astype(np.float64)
    except ComplexResult:
        raise
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{where} must return a number or an array of numbers, got {type(result).__name__}: {error}"
        ) from None
    return numbers


def why(taken: Taken) -> str:
    """The sentence for messages and documents of a result; nothing if derivatives are exact."""
    if taken.recorded is not None:
        return ""
    reason = taken.reason.rstrip(".")
    return f"Derivatives are finite differences, because {taken.name} cannot be traced: {reason}."


# ---- derivatives that somebody wrote ----


def given_is_wrong(taken: Taken, given: Any, x: Array, name: str, what: str = "jacobian") -> str:
    """Compares derivatives that were given with those of the tape, or with differences: an empty string if they agree,
    else a sentence, which is also a warning at the caller's line.

    An error if the shape does not fit.
    """
    right = taken.hessian(x) if what == "hessian" else taken.jacobian(x)
    values = np.asarray(given.toarray() if hasattr(given, "toarray") else given, np.float64)
    if values.size != right.size:
        raise ValueError(f"{name} gives an array of shape {values.shape} for x0; it must have shape {right.shape}")
    values = values.reshape(right.shape)
    exact = taken.recorded is not None
    scale = np.maximum(np.abs(values), np.abs(right))
    tolerance = 1e-6 if exact else (1e-2 if what == "hessian" else 1e-3)
    # Entries that cancel are compared with the others of their row.
    slack = 1e-8 if exact else 1e-4
    allowed = (
        tolerance * scale + slack * scale.max(axis=-1, initial=0.0, keepdims=True) if scale.ndim else tolerance * scale
    )
    with np.errstate(all="ignore"):
        off = np.abs(values - right) > allowed
    off &= np.isfinite(right)
    if not off.any():
        return ""
    i = np.unravel_index(int(np.argmax(np.where(off, np.abs(values - right), -1.0))), off.shape)
    entry = f"entry [{', '.join(map(str, i))}] of {name}" if i else name
    source = "the derivative of the function" if exact else "differences of the function"
    message = (
        f"{name} is not the derivative of {taken.name} at the start: {entry} is {values[i]:.10g}, {source} gives "
        f"{right[i]:.10g}"
    )
    warn_caller(message, UserWarning)
    return message + "."


class First(Around):
    """Of a function that gives (value, gradient), as `jac=True` says: the value."""

    def __init__(self, f: Callable[..., Any]) -> None:
        super().__init__(f)
        self.__name__ = function_name(f)

    def __call__(self, *args: Any) -> Any:
        return self.f(*args)[0]

    @property
    def _watched(self) -> tuple[Any, ...]:
        return (self.f,)


_first = kept(First)


def first_of(f: Callable[..., Any]) -> Callable[..., Any]:
    """The function that gives the value only, the same one each time, so that its tape is found again."""
    try:
        return _first(f)
    except TypeError:
        return First(f)


def first_at(f: Callable[..., Any], args: tuple[Any, ...]) -> Callable[[Array], Array]:
    """x -> f(x, *args) as an array, x being the function's own copy."""
    return lambda x: np.asarray(f(np.array(x), *args))
