"""The elementary functions of the kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special

Array = np.ndarray[Any, Any]

exp = np.exp
expm1 = np.expm1
log = np.log
log1p = np.log1p
sin = np.sin
cos = np.cos
tan = np.tan
asin = np.arcsin
acos = np.arccos
atan = np.arctan
atan2 = np.arctan2
sinh = np.sinh
cosh = np.cosh
tanh = np.tanh
sqrt = np.sqrt
cbrt = np.cbrt
pow = np.power
erf = scipy.special.erf
erfc = scipy.special.erfc
logistic = scipy.special.expit


def lgamma(x: Array) -> Array:
    """log |gamma(x)|; unlike SciPy's also where x is nearly zero, and infinite at -infinity, as in C."""
    near = np.abs(x) < 1e-30
    ordinary = scipy.special.gammaln(np.where(near | np.isneginf(x), 0, x))
    out: Array = np.where(near, -np.log(np.abs(x)), ordinary)
    return out


def softplus(x: Array) -> Array:
    """log(1 + exp(x)), without overflow for large x."""
    out: Array = np.logaddexp(np.zeros((), x.dtype), x)
    return out
