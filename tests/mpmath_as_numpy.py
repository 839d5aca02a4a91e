"""mpmath under the names of NumPy and scipy.special, so that one line of text is a function of both."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import scipy.special

MP = types.SimpleNamespace(
    **{
        name: getattr(mpmath, name)
        for name in ("exp", "expm1", "log10", "log1p", "sin", "cos", "tan", "sinh", "cosh", "tanh", "sqrt", "hypot")
    },
    log=mpmath.ln,
    log2=lambda x: mpmath.ln(x) / mpmath.ln(2),
    exp2=lambda x: mpmath.mpf(2) ** x,
    cbrt=lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)),
    arcsin=mpmath.asin,
    arccos=mpmath.acos,
    arctan=mpmath.atan,
    arcsinh=mpmath.asinh,
    arccosh=mpmath.acosh,
    arctanh=mpmath.atanh,
    arctan2=mpmath.atan2,
    abs=abs,
    absolute=abs,
    fabs=abs,
    negative=lambda x: -x,
    positive=lambda x: x,
    square=lambda x: x * x,
    reciprocal=lambda x: 1 / x,
    power=lambda x, y: x**y,
    float_power=lambda x, y: x**y,
    maximum=max,
    minimum=min,
    clip=lambda x, low, high: min(max(x, low), high),
    where=lambda c, a, b: a if c else b,
    logaddexp=lambda a, b: max(a, b) + mpmath.log1p(mpmath.exp(-abs(a - b))),
    logaddexp2=lambda a, b: mpmath.ln(mpmath.mpf(2) ** a + mpmath.mpf(2) ** b) / mpmath.ln(2),
    copysign=lambda a, b: abs(a) * mpmath.sign(b),
    fmod=lambda a, b: a - b * int(a / b),
    mod=lambda a, b: a - b * mpmath.floor(a / b),
    sign=mpmath.sign,
    deg2rad=mpmath.radians,
    rad2deg=mpmath.degrees,
    sum=mpmath.fsum,
    prod=mpmath.fprod,
)
SPECIAL = types.SimpleNamespace(
    erf=mpmath.erf,
    erfc=mpmath.erfc,
    gammaln=lambda x: mpmath.ln(abs(mpmath.gamma(x))),
    digamma=lambda x: mpmath.psi(0, x),
    polygamma=mpmath.psi,
    expit=lambda x: 1 / (1 + mpmath.exp(-x)),
    logit=lambda p: mpmath.ln(p / (1 - p)),
    xlogy=lambda x, y: x * mpmath.ln(y),
    xlog1py=lambda x, y: x * mpmath.log1p(y),
    log_expit=lambda x: -mpmath.log1p(mpmath.exp(-x)),
    ndtr=lambda x: mpmath.erfc(-x / mpmath.sqrt(2)) / 2,
)


def read(text: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The function of a number t, or of a vector v, that is written as text: with NumPy, and with mpmath."""
    source = f"lambda {'v' if 'v[' in text or '(v)' in text else 't'}: {text}"
    return (
        eval(source, {"np": np, "special": scipy.special}),
        eval(source, {"np": MP, "special": SPECIAL, "abs": abs}),
    )
