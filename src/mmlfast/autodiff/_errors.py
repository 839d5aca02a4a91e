"""What cannot be traced is refused with the line of the user's code and with what to write instead."""

from __future__ import annotations

import functools
import linecache
import os
import re
import sys
from types import FrameType
from typing import NoReturn

import numpy as np

import mmlfast._core as _core

OURS = os.path.dirname(os.path.abspath(_core.__file__)) + os.sep
NUMPY = os.path.dirname(os.path.abspath(np.__file__)) + os.sep
_BESIDE = os.path.dirname(os.path.dirname(NUMPY))
SCIPY = os.path.join(_BESIDE, "scipy") + os.sep
_LIBRARIES = (SCIPY, *(os.path.join(_BESIDE, name) + os.sep for name in ("pandas", "polars", "xarray")))


class TracingError(TypeError):
    """A function does something with its argument that a tape cannot record.

    The message shows the file, the line and its text, and says what to write instead.
    """


class ForeignTrace(TracingError):
    """A number of one trace met another trace: the inner function uses traced numbers of the outer one.

    Derivatives that are asked for inside of a traced function catch it, and continue on the outer tape.
    """

    def __init__(self, message: str, traces: tuple[object, ...]) -> None:
        super().__init__(message)
        self.traces = traces


def users_line(frame: FrameType | None = None) -> str:
    """Where the innermost line that is not of NumPy, SciPy, a library of tables or this one stands, with its text."""
    frame = frame or sys._getframe(1)
    first_of_library = None
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(_LIBRARIES):
            first_of_library = first_of_library or frame
        elif not (file.startswith((OURS, NUMPY, "<frozen", "<__array_function__")) or file == functools.__file__):
            break
        frame = frame.f_back
    found = frame or first_of_library
    return "" if found is None else describe_line(found)


def is_inside_scipy(frame: FrameType) -> bool:
    """Whether SciPy's own code, called by the user's, is what runs."""
    at: FrameType | None = frame
    while at is not None and at.f_code.co_filename.startswith((OURS, NUMPY)):
        at = at.f_back
    return at is not None and at.f_code.co_filename.startswith(SCIPY)


def own_function(frame: FrameType) -> str:
    """The name of the function of this library (not of autodiff) that the user's code has called, if there is one."""
    name = ""
    at: FrameType | None = frame
    while at is not None and at.f_code.co_filename.startswith((OURS, NUMPY)):
        file = at.f_code.co_filename
        if file.startswith(OURS) and not file.startswith((OURS + "autodiff", OURS + "optimize", OURS + "_common")):
            name = at.f_code.co_name
        at = at.f_back
    return name


def describe_line(frame: FrameType) -> str:
    code, number = frame.f_code, frame.f_lineno
    text = linecache.getline(code.co_filename, number, frame.f_globals).strip()
    place = f"{code.co_filename}, line {number}, in {code.co_name}"
    return f"{place}:\n    {text}\n" if text else f"{place}: "


def refuse(what: str, instead: str = "") -> NoReturn:
    """TracingError with the user's line: `what` is there, and what to write `instead`."""
    raise TracingError(f"{users_line(sys._getframe(1))}{what}{': ' + instead if instead else ''}")


def function_of_scipy(frame: FrameType | None) -> str:
    """The outermost function of SciPy among the callers, as users call it; "" if there is none."""
    found = None
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(SCIPY):
            found = frame
        elif found is not None and not file.startswith((OURS, NUMPY, "<frozen", "<__array_function__")):
            break
        frame = frame.f_back
    if found is None:
        return ""
    parts = [part for part in found.f_globals.get("__name__", "scipy").split(".") if not part.startswith("_")]
    name = found.f_code.co_name
    if name in ("__init__", "__call__"):  # of a class: CubicSpline(x, y), or of one of its objects
        name = type(found.f_locals.get("self")).__name__
    return ".".join([*parts[:2], name])


_OF_SCIPY = {
    "logsumexp": "np.logaddexp.reduce(v)",
    "softmax": "np.exp(v - np.logaddexp.reduce(v))",
    "log_softmax": "v - np.logaddexp.reduce(v)",
    "pdf": "the density as a formula",
    "logpdf": "the logarithm of the density as a formula",
    "cdf": "the distribution function by scipy.special (ndtr, gammainc, betainc, ...)",
    "cdist": "np.linalg.norm(a[:, None] - b[None, :], axis=-1)",
    "pdist": "np.linalg.norm(a[i] - a[j], axis=-1) with i, j = np.triu_indices(len(a), 1)",
}


def instead_of_scipy(name: str) -> tuple[str, str]:
    """What to say of a function of SciPy, and what to write in its place."""
    last = name.rsplit(".", 1)[-1]
    if name.startswith("scipy.linalg") and hasattr(np.linalg, last):
        advice = f"write np.linalg.{last}"
    else:
        advice = f"write {_OF_SCIPY[last]}" if last in _OF_SCIPY else ""
    others = (
        "SciPy's ufuncs (scipy.special) and NumPy's functions (np.linalg) can be traced, and autodiff.primitive makes "
        "others known, with a derivative of your own"
    )
    return f"{name or 'a function of SciPy'} looks at the values of traced numbers", "; ".join(
        filter(None, (advice, others))
    )


def refuse_scipy() -> NoReturn:
    refuse(*instead_of_scipy(function_of_scipy(sys._getframe(1))))


def refuse_number(kind: str) -> NoReturn:
    """For float(t), int(t) and all that calls them: `math.sin(t)`, `out[i] = t` of an array of numbers."""
    if is_inside_scipy(sys._getframe(1)):
        refuse_scipy()
    line = users_line(sys._getframe(1))
    text = line.rsplit("\n    ", 1)[-1]
    used = sorted(set(re.findall(r"\bmath\.(\w+)\(", text)))
    if used:
        kind = ", ".join(f"math.{name}()" for name in used)
        advice = "write " + ", ".join(f"np.{_OF_MATH.get(name, name)}" for name in used)
    elif re.search(r"\]\s*[-+*/]?=[^=]", text):
        advice = (
            "an array of numbers cannot hold traced numbers: make it by np.zeros_like(x) of a traced x "
            "(np.empty_like, shape= gives another shape), or put the parts together by np.stack or np.concatenate"
        )
    else:
        advice = (
            "use NumPy's functions on it as it is (np.round, np.floor and np.where can be traced); in place of "
            "np.array([...]), which makes an array of objects that not all functions take, np.stack([...])"
        )
    raise TracingError(f"{line}{kind} asks for the value of a traced number, which has none yet: {advice}")


_OF_MATH = {
    "asin": "arcsin",
    "acos": "arccos",
    "atan": "arctan",
    "atan2": "arctan2",
    "asinh": "arcsinh",
    "acosh": "arccosh",
    "atanh": "arctanh",
    "pow": "power",
    "fsum": "sum",
    "dist": "linalg.norm",
}
_OF_MATH |= {name: f"{name} of scipy.special" for name in ("erf", "erfc")} | {"lgamma": "gammaln of scipy.special"}
