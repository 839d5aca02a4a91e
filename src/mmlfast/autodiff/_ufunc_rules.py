"""What each ufunc of NumPy and of scipy.special is on a tape.

A rule takes the recording and the ids of its operands, and gives the ids of the result: UFUNCS. Composed ones are
written so that values and derivatives stay right where the function itself is an ordinary number.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from mmlfast import _core
from mmlfast.autodiff._errors import refuse
from mmlfast.autodiff._trace import OPS, Ids, Trace

Rule = Callable[..., Ids]


def _unary(op: str, aux: int = 0) -> Rule:
    code = OPS[op]
    return lambda t, a: t.unary(code, a, aux)


def _binary(op: str) -> Rule:
    code = OPS[op]
    return lambda t, a, b: t.binary(code, a, b)


def _turned(op: str) -> Rule:
    code = OPS[op]
    return lambda t, a, b: t.binary(code, b, a)


def _scaled(factor: float) -> Rule:
    return lambda t, a: t.binary(OPS["multiply"], a, t.scalar(factor))


add, subtract, multiply, divide = map(_binary, ("add", "subtract", "multiply", "divide"))
power, maximum, minimum, fmod, logaddexp = map(_binary, ("power", "maximum", "minimum", "fmod", "logaddexp"))
less, less_equal, equal, not_equal = map(_binary, ("less", "less_equal", "equal", "not_equal"))
logical_and, logical_or, copysign = map(_binary, ("logical_and", "logical_or", "copysign"))
negative, absolute, log, exp, floor, trunc, rint = map(
    _unary, ("negative", "absolute", "log", "exp", "floor", "trunc", "rint")
)
log1p, logical_not, softplus, arctanh, erfc = map(_unary, ("log1p", "logical_not", "softplus", "arctanh", "erfc"))


def select(t: Trace, condition: Ids, a: Ids, b: Ids) -> Ids:
    return t.ternary(OPS["select"], condition, a, b)


def hypot(t: Trace, a: Ids, b: Ids) -> Ids:
    return t.reduction(OPS["norm"], np.stack(np.broadcast_arrays(a, b), axis=-1), -1)


def isnan(t: Trace, a: Ids) -> Ids:
    return not_equal(t, a, a)


def remainder(t: Trace, a: Ids, b: Ids) -> Ids:
    """Python's: it has the sign of b."""
    rest = fmod(t, a, b)
    other_sign = not_equal(t, less(t, rest, t.scalar(0.0)), less(t, b, t.scalar(0.0)))
    turn = logical_and(t, other_sign, not_equal(t, rest, t.scalar(0.0)))
    return select(t, turn, add(t, rest, b), rest)


def floor_divide(t: Trace, a: Ids, b: Ids) -> Ids:
    """(a - a % b) / b is an integer but for rounding; a / b alone may be rounded up to the next one."""
    quotient = rint(t, divide(t, subtract(t, a, remainder(t, a, b)), b))
    return select(t, equal(t, b, t.scalar(0.0)), divide(t, a, b), quotient)


def heaviside(t: Trace, a: Ids, at_zero: Ids) -> Ids:
    zero, one = t.scalar(0.0), t.scalar(1.0)
    above = select(t, less(t, zero, a), one, select(t, equal(t, a, zero), at_zero, floor(t, a)))
    return select(t, less(t, a, zero), zero, above)


def logaddexp2(t: Trace, a: Ids, b: Ids) -> Ids:
    factor = t.scalar(math.log(2.0))
    return divide(t, logaddexp(t, multiply(t, a, factor), multiply(t, b, factor)), factor)


def _without_nan(extreme: Rule) -> Rule:
    """fmax and fmin: where one operand is NaN, the other one."""
    return lambda t, a, b: select(t, isnan(t, b), a, select(t, isnan(t, a), b, extreme(t, a, b)))


def logical_xor(t: Trace, a: Ids, b: Ids) -> Ids:
    return not_equal(t, logical_not(t, a), logical_not(t, b))


def signbit(t: Trace, a: Ids) -> Ids:
    return less(t, copysign(t, t.scalar(1.0), a), t.scalar(0.0))


def ldexp(t: Trace, a: Ids, exponent: Ids) -> Ids:
    return multiply(t, a, t.unary(OPS["exp2"], exponent))


def products(subscripts: str) -> Rule:
    """matmul, vecdot and their kin: sums of products, by einsum's notation."""
    from mmlfast.autodiff._product_rules import contract

    return partial(contract, subscripts=subscripts)


def matmul(t: Trace, a: Ids, b: Ids) -> Ids:
    from mmlfast.autodiff._product_rules import matmul as rule

    return rule(t, a, b)


UFUNCS: dict[np.ufunc, Callable[..., Any]] = {
    np.add: add,
    np.subtract: subtract,
    np.multiply: multiply,
    np.divide: divide,
    np.power: power,
    np.float_power: power,
    np.negative: negative,
    np.positive: lambda t, a: a.copy(),
    np.conjugate: lambda t, a: a.copy(),
    np.absolute: absolute,
    np.fabs: absolute,
    np.square: lambda t, a: multiply(t, a, a),
    np.reciprocal: lambda t, a: divide(t, t.scalar(1.0), a),
    np.floor_divide: floor_divide,
    np.remainder: remainder,
    np.modf: lambda t, a: (copysign(t, subtract(t, a, trunc(t, a)), a), trunc(t, a)),
    np.divmod: lambda t, a, b: (floor_divide(t, a, b), remainder(t, a, b)),
    np.fmod: fmod,
    np.hypot: hypot,
    np.arctan2: _binary("arctan2"),
    np.maximum: maximum,
    np.minimum: minimum,
    np.fmax: _without_nan(maximum),
    np.fmin: _without_nan(minimum),
    np.logaddexp: logaddexp,
    np.logaddexp2: logaddexp2,
    np.copysign: copysign,
    np.heaviside: heaviside,
    np.degrees: _scaled(180.0 / math.pi),
    np.rad2deg: _scaled(180.0 / math.pi),
    np.radians: _scaled(math.pi / 180.0),
    np.deg2rad: _scaled(math.pi / 180.0),
    np.ldexp: ldexp,
    np.less: less,
    np.less_equal: less_equal,
    np.greater: _turned("less"),
    np.greater_equal: _turned("less_equal"),
    np.equal: equal,
    np.not_equal: not_equal,
    np.logical_and: logical_and,
    np.logical_or: logical_or,
    np.logical_not: logical_not,
    np.logical_xor: logical_xor,
    np.isnan: isnan,
    np.isinf: lambda t, a: equal(t, absolute(t, a), t.scalar(math.inf)),
    np.isfinite: lambda t, a: less(t, absolute(t, a), t.scalar(math.inf)),
    np.signbit: signbit,
    np.matmul: matmul,
}
_OF_ONE_NUMBER = [
    *("sign", "sqrt", "cbrt", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p"),
    *("sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh"),
    *("floor", "ceil", "trunc", "rint"),
]
UFUNCS |= {getattr(np, name): _unary(name) for name in _OF_ONE_NUMBER}
# What _core.TracedNumbers does by itself for operands of one shape that are no booleans: these are one operation each.
_IS_MASK, _SWAPS = 1 << 10, 1 << 11
_DIRECT = {
    getattr(np, name): OPS[name]
    for name in [
        *_OF_ONE_NUMBER,
        *("negative", "absolute", "add", "subtract", "multiply", "divide", "power", "maximum", "minimum"),
        *("fmod", "arctan2", "logaddexp", "copysign"),
    ]
}
_DIRECT |= {getattr(np, name): OPS[name] + _IS_MASK for name in ("less", "less_equal", "equal", "not_equal")}
_DIRECT |= {np.greater: OPS["less"] + _IS_MASK + _SWAPS, np.greater_equal: OPS["less_equal"] + _IS_MASK + _SWAPS}
_core.name_traced_ufuncs(_DIRECT)
for _name, _subscripts in (
    ("vecdot", "...i,...i->..."),
    ("matvec", "...ij,...j->...i"),
    ("vecmat", "...i,...ij->...j"),
):
    if hasattr(np, _name):  # the last two since NumPy 2.2
        UFUNCS[getattr(np, _name)] = lambda t, a, b, subscripts=_subscripts: products(subscripts)(t, a, b)

# Results that are booleans.
MASKS = frozenset(
    getattr(np, name)
    for name in [
        *("less", "less_equal", "greater", "greater_equal", "equal", "not_equal"),
        *("logical_and", "logical_or", "logical_not", "logical_xor"),
        *("isnan", "isinf", "isfinite", "signbit"),
    ]
)

# What NumPy does where all operands are booleans. None: it has no such thing.
OF_MASKS: dict[np.ufunc, Rule | None] = {
    np.add: logical_or,
    np.multiply: logical_and,
    np.maximum: logical_or,
    np.minimum: logical_and,
    np.bitwise_and: logical_and,
    np.bitwise_or: logical_or,
    np.bitwise_xor: logical_xor,
    np.invert: logical_not,
    np.subtract: None,
    np.negative: None,
    np.sign: None,
}

# ufunc.reduce and ufunc.accumulate: the function of NumPy that does the same.
REDUCE: dict[np.ufunc, Callable[..., Any]] = {
    np.add: np.sum,
    np.multiply: np.prod,
    np.maximum: np.max,
    np.minimum: np.min,
    np.logical_and: np.all,
    np.logical_or: np.any,
}
# ... or the operation of which it is a tree, and what it gives for nothing.
FOLD: dict[np.ufunc, tuple[str, float]] = {np.logaddexp: ("logaddexp", -math.inf)}
ACCUMULATE: dict[np.ufunc, Callable[..., Any]] = {np.add: np.cumsum, np.multiply: np.cumprod}


# ---- scipy.special ----


def xlogy(t: Trace, x: Ids, y: Ids) -> Ids:
    """x log(y), and 0 where x is 0 and log(y) is not finite; where it is, the slope in x stays log(y)."""
    return multiply(t, x, log(t, _one_where_irrelevant(t, x, y, 0.0)))


def xlog1py(t: Trace, x: Ids, y: Ids) -> Ids:
    return multiply(t, x, log1p(t, _one_where_irrelevant(t, x, y, -1.0)))


def _one_where_irrelevant(t: Trace, x: Ids, y: Ids, lowest: float) -> Ids:
    outside = logical_or(t, less_equal(t, y, t.scalar(lowest)), equal(t, y, t.scalar(math.inf)))
    return select(t, logical_and(t, equal(t, x, t.scalar(0.0)), outside), t.scalar(1.0), y)


def logit(t: Trace, p: Ids) -> Ids:
    """Near 1/2, where log(p / (1 - p)) loses digits, 2 artanh(2 p - 1)."""
    centred = subtract(t, p, t.scalar(0.5))
    near = less(t, absolute(t, centred), t.scalar(0.25))
    two = t.scalar(2.0)
    inside = multiply(t, two, arctanh(t, multiply(t, two, centred)))
    return select(t, near, inside, log(t, divide(t, p, subtract(t, t.scalar(1.0), p))))


def entr(t: Trace, x: Ids) -> Ids:
    value = negative(t, xlogy(t, x, x))
    return select(t, less(t, x, t.scalar(0.0)), t.scalar(-math.inf), value)


def rel_entr(t: Trace, x: Ids, y: Ids) -> Ids:
    zero = t.scalar(0.0)
    inside = logical_and(t, less(t, zero, x), less(t, zero, y))
    at_zero = logical_and(t, equal(t, x, zero), less_equal(t, zero, y))
    unknown = logical_or(t, isnan(t, x), isnan(t, y))
    outside = select(t, at_zero, zero, select(t, unknown, add(t, x, y), t.scalar(math.inf)))
    return select(t, inside, multiply(t, x, log(t, divide(t, x, y))), outside)


def ndtr(t: Trace, x: Ids) -> Ids:
    return multiply(t, t.scalar(0.5), erfc(t, multiply(t, x, t.scalar(-math.sqrt(0.5)))))


_OF_SCIPY: dict[str, Rule] = {
    "erf": _unary("erf"),
    "erfc": erfc,
    "expit": _unary("expit"),
    "log_expit": lambda t, a: negative(t, softplus(t, negative(t, a))),
    "logit": logit,
    "gammaln": _unary("gammaln"),
    "digamma": _unary("polygamma", 0),
    "psi": _unary("polygamma", 0),
    "xlogy": xlogy,
    "xlog1py": xlog1py,
    "entr": entr,
    "rel_entr": rel_entr,
    "ndtr": ndtr,
    "cbrt": _unary("cbrt"),
    "exp2": _unary("exp2"),
    "exp10": lambda t, a: power(t, t.scalar(10.0), a),
    "expm1": _unary("expm1"),
    "log1p": log1p,
}


def add_rules_of_scipy() -> None:
    """They are ufuncs, so they arrive here; SciPy is not imported for them before somebody calls one."""
    special = sys.modules.get("scipy.special")
    if special is not None:
        from mmlfast.autodiff._special_rules import RULES

        for name, rule in {**RULES, **_OF_SCIPY}.items():
            if (ufunc := getattr(special, name, None)) is not None:
                UFUNCS.setdefault(ufunc, rule)


_INSTEAD = {"zeta": "digamma has derivatives of all orders"}


def rule_of(ufunc: np.ufunc) -> Callable[..., Any]:
    """The rule of a ufunc, or the error that names it."""
    rule = UFUNCS.get(ufunc)
    if rule is None:
        add_rules_of_scipy()
        rule = UFUNCS.get(ufunc)
        if rule is None:
            name = ufunc.__name__.removeprefix("_riemann_").lstrip("_")  # what zeta and lambertw call
            refuse(
                f"the tape has no {name}",
                _INSTEAD.get(name, "autodiff.primitive makes it known, with a derivative of your own"),
            )
    return rule
