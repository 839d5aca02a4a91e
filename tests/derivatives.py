"""What the tests of mmlfast.autodiff compare with: differences of high order, and every way to the same gradient."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from cases import saying

from mmlfast import autodiff as ad

Array = np.ndarray[Any, Any]
Function = Callable[..., Any]


def numbers(*shape: int, low: float = 0.6, high: float = 1.9, seed: int = 0) -> Array:
    """Different numbers in (low, high), no two of them near each other: kinks are where two are equal."""
    n = math.prod(shape)
    order = np.random.default_rng([7, seed, n]).permutation(n)
    return (low + (high - low) * (order + 0.5) / max(n, 1)).reshape(shape)


# Weights of the central difference of order six.
_STEPS = np.array([-3, -2, -1, 1, 2, 3])
_WEIGHTS = np.array([-1, 9, -45, 45, -9, 1]) / np.longdouble(60)


def differences(f: Function, x: Array, *, step: float = 4e-3, dtype: Any = np.longdouble) -> Array:
    """The Jacobian of f at x, shape of f(x) followed by that of x, by central differences of order six.

    With steps of 4e-3 relative to max(1, |x|) the seventh derivative and the rounding of float64 leave 1e-13 each; in
    extended precision, which NumPy has for all but its linear algebra, 1e-15 is left.
    """
    x = np.asarray(x, dtype)
    try:
        with np.errstate(all="ignore"):
            value = f(x.copy())
    except TypeError:  # linear algebra and scipy.special know float64
        x, dtype = x.astype(float), np.float64
        value = f(x.copy())
    if not x.size:
        return np.zeros(np.shape(value) + x.shape)
    columns = []
    for i in range(x.size):
        h = dtype(step) * max(dtype(1), abs(x.flat[i]))
        total = dtype(0)
        for k, weight in zip(_STEPS, _WEIGHTS, strict=True):
            moved = x.copy()
            moved.flat[i] += k * h
            total = total + dtype(weight) / h * np.asarray(f(moved), dtype)
        columns.append(total)
    return np.stack([np.asarray(c) for c in columns], axis=-1).reshape(np.shape(columns[0]) + x.shape).astype(float)


def close(actual: Any, expected: Any, rtol: float = 1e-12, atol: float = 0.0) -> None:
    """Equal shapes, numbers equal up to rtol of the number itself: where 0 is expected, 0 unless atol says more."""
    actual, expected = np.asarray(actual), np.asarray(expected, float)
    assert actual.shape == expected.shape, f"shape {actual.shape}, expected {expected.shape}"
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=atol)


def same(actual: Any, expected: Any) -> None:
    """The same bits; a NaN is a NaN."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(actual, expected)
    there = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(actual[there]), np.signbit(expected[there]))


def one_point_is_a_row(function: Any, rows: Array, *parameters: Any) -> None:
    """`function.batch(rows)` has the bits of `function(row)` in each row, wherever it stands among however many."""
    rows = np.asarray(rows)
    one = [np.asarray(function(row, *parameters)) for row in rows]
    many = np.concatenate([rows] * 5)  # more than a vector of lanes, and not a multiple of it
    for n in {1, len(rows), len(many) - 1}:
        batch = np.asarray(function.batch(many[:n], *parameters))
        assert batch.shape == (n, *one[0].shape)
        for i in range(n):
            with saying("row", i, "of", n):
                same(batch[i], one[i % len(rows)])


def every_way(
    f: Function,
    x: Any,
    gradient: Any,
    hessian: Any = None,
    *,
    others: Any = (),
    rtol: float = 1e-12,
    atol: float = 0.0,
) -> None:
    """The gradient of f at x by every function that gives it, alone and among other points."""
    x, gradient = np.asarray(x, float), np.asarray(gradient, float)
    rows = np.stack([x, *(np.asarray(o, float) for o in others), x])
    ways = {"grad": ad.grad(f), "jacobian": ad.jacobian(f), "grad of a Function": ad.grad(ad.trace(f, x))}
    for name, function in ways.items():
        with saying(name):
            close(function(x), gradient, rtol, atol)
            one_point_is_a_row(function, rows)
    with saying("value_and_grad"):
        value, slope = ad.value_and_grad(f)(x)
        close(slope, gradient, rtol, atol)
        with np.errstate(all="ignore"):
            close(value, f(x.copy()), rtol, atol)
    with saying("vjp"):
        _, pull = ad.vjp(f, x)
        close(pull(1.0)[0], gradient, rtol, atol)
    directions = [*np.eye(x.size).reshape(-1, *x.shape), np.cos(np.arange(x.size) + 1.0).reshape(x.shape)]
    scale = np.abs(gradient).max(initial=0.0)
    for direction in directions:
        with saying("jvp along", direction):
            _, slope = ad.jvp(f, (x,), (direction,))
            assert np.shape(slope) == ()
            np.testing.assert_allclose(slope, np.sum(gradient * direction), rtol=rtol, atol=atol + 4 * rtol * scale)
    second = ad.hessian(f)
    with saying("hessian"):
        h = np.asarray(second(x))
        n = x.size
        assert h.shape == x.shape * 2
        same(h.reshape(n, n), h.reshape(n, n).T)
        assert np.isfinite(h).all()
        if hessian is not None:
            close(h, hessian, rtol, atol)
        one_point_is_a_row(second, rows)
        close(ad.jacobian(ad.grad(f))(x), h, 100 * rtol, atol + 1e-12 * np.abs(h).max(initial=0.0))


REFUSALS = (TypeError, ValueError, NotImplementedError, AttributeError)


def line_of(f: Function) -> tuple[str, int]:
    """File and number of the line of f that says `# here`; of its only line if it has one."""
    lines, first = inspect.getsourcelines(f)
    marked = [i for i, line in enumerate(lines) if "# here" in line]
    return str(inspect.getsourcefile(f)), first + (marked[0] if marked else 0)


def names_the_line(error: BaseException, f: Function, *words: str) -> None:
    """The message says where in f, and has one of the words that say what to write instead."""
    message = str(error) + "\n" + "\n".join(getattr(error, "__notes__", ()))
    file, line = line_of(f)
    name = re.split(r"[\\/]", file)[-1]
    assert name in message, f"no file name {name}: {message}"
    assert re.search(rf"\b{line}\b", message), f"no line {line}: {message}"
    assert not words or any(word in message for word in words), f"none of {words}: {message}"


def right_or_refused(
    f: Function, call: Callable[[], Any], expected: Any, *words: str, rtol: float = 1e-12, atol: float = 0.0
) -> bool:
    """Whether it was right; an error has to name the line of f and one of the words."""
    try:
        actual = call()
    except REFUSALS as error:
        names_the_line(error, f, *words)
        return False
    close(actual, expected, rtol, atol)
    return True
