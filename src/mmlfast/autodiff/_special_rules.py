"""Functions of scipy.special that are not operations of the tape: by those that are, or called as they are.

Called as they are, one point at a time, with the derivative that the textbooks give (DLMF), which is traced again:
second derivatives come out right. Taylor series are made from it as well (_power_series.py). A `Function` with one of
them cannot be saved.
"""

from __future__ import annotations

import functools
import math
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

import mmlfast.autodiff._ufunc_rules as u
from mmlfast.autodiff._errors import refuse
from mmlfast.autodiff._step import Step
from mmlfast.autodiff._trace import OPS, Ids, Trace, Traced

Derivative = Callable[[Any], Any]
_ROOT_OF_PI = math.sqrt(math.pi)


def _special() -> Any:
    return sys.modules["scipy.special"]


# Of one argument. s is scipy.special.
_OF_ONE: dict[str, Callable[[Any, Any], Any]] = {
    "rgamma": lambda s, x: -s.psi(x) * s.rgamma(x),
    "erfinv": lambda s, x: 0.5 * _ROOT_OF_PI * np.exp(s.erfinv(x) ** 2),
    "erfcinv": lambda s, x: -0.5 * _ROOT_OF_PI * np.exp(s.erfcinv(x) ** 2),
    "ndtri": lambda s, x: math.sqrt(2 * math.pi) * np.exp(0.5 * s.ndtri(x) ** 2),
    "erfcx": lambda s, x: 2 * x * s.erfcx(x) - 2 / _ROOT_OF_PI,
    "erfi": lambda s, x: 2 / _ROOT_OF_PI * np.exp(x**2),
    "dawsn": lambda s, x: 1 - 2 * x * s.dawsn(x),
    "log_ndtr": lambda s, x: np.exp(-0.5 * x**2 - s.log_ndtr(x)) / math.sqrt(2 * math.pi),
    "j0": lambda s, x: -s.j1(x),
    "j1": lambda s, x: 0.5 * (s.j0(x) - s.jv(2, x)),
    "y0": lambda s, x: -s.y1(x),
    "y1": lambda s, x: 0.5 * (s.y0(x) - s.yv(2, x)),
    "i0": lambda s, x: s.i1(x),
    "i1": lambda s, x: 0.5 * (s.i0(x) + s.iv(2, x)),
    "i0e": lambda s, x: s.i1e(x) - np.sign(x) * s.i0e(x),
    "i1e": lambda s, x: 0.5 * (s.i0e(x) + s.ive(2, x)) - np.sign(x) * s.i1e(x),
    "k0": lambda s, x: -s.k1(x),
    "k1": lambda s, x: -0.5 * (s.k0(x) + s.kv(2, x)),
    "k0e": lambda s, x: s.k0e(x) - s.k1e(x),
    "k1e": lambda s, x: s.k1e(x) - 0.5 * (s.k0e(x) + s.kve(2, x)),
    "exp1": lambda s, x: -np.exp(-x) / x,
    "expi": lambda s, x: np.exp(x) / x,
    "spence": lambda s, x: -np.log(x) / (x - 1),
    "ellipk": lambda s, m: (s.ellipe(m) / (1 - m) - s.ellipk(m)) / (2 * m),
    "ellipe": lambda s, m: (s.ellipe(m) - s.ellipk(m)) / (2 * m),
    "wrightomega": lambda s, x: s.wrightomega(x) / (1 + s.wrightomega(x)),
}
# Of an order (or of parameters) and x, differentiated by x only: the derivative by an order is no textbook function.
_OF_ORDER: dict[str, Callable[..., Any]] = {
    "jv": lambda s, n, x: 0.5 * (s.jv(n - 1, x) - s.jv(n + 1, x)),
    "yv": lambda s, n, x: 0.5 * (s.yv(n - 1, x) - s.yv(n + 1, x)),
    "iv": lambda s, n, x: 0.5 * (s.iv(n - 1, x) + s.iv(n + 1, x)),
    "kv": lambda s, n, x: -0.5 * (s.kv(n - 1, x) + s.kv(n + 1, x)),
    "ive": lambda s, n, x: 0.5 * (s.ive(n - 1, x) + s.ive(n + 1, x)) - np.sign(x) * s.ive(n, x),
    "kve": lambda s, n, x: s.kve(n, x) - 0.5 * (s.kve(n - 1, x) + s.kve(n + 1, x)),
    "yn": lambda s, n, x: 0.5 * (s.yv(n - 1, x) - s.yv(n + 1, x)),
    "kn": lambda s, n, x: -0.5 * (s.kv(n - 1, x) + s.kv(n + 1, x)),
    "expn": lambda s, n, x: -s.expn(n - 1, x) if n > 1 else -np.exp(-x) / x,
    "gammainc": lambda s, a, x: np.exp(s.xlogy(a - 1, x) - x - s.gammaln(a)),
    "gammaincc": lambda s, a, x: -np.exp(s.xlogy(a - 1, x) - x - s.gammaln(a)),
    "betainc": lambda s, a, b, x: np.exp(s.xlogy(a - 1, x) + s.xlog1py(b - 1, -x) - s.betaln(a, b)),
    "stdtr": lambda s, df, x: (
        np.exp(s.gammaln((df + 1) / 2) - s.gammaln(df / 2) - (df + 1) / 2 * np.log1p(x**2 / df)) / np.sqrt(df * np.pi)
    ),
    "eval_legendre": lambda s, n, x: 0.5 * (n + 1) * s.eval_jacobi(n - 1, 1, 1, x) if n > 0 else 0 * x,
    "eval_jacobi": lambda s, n, a, b, x: (
        0.5 * (n + a + b + 1) * s.eval_jacobi(n - 1, a + 1, b + 1, x) if n > 0 else 0 * x
    ),
    "eval_chebyt": lambda s, n, x: n * s.eval_chebyu(n - 1, x) if n > 0 else 0 * x,
    "eval_chebyu": lambda s, n, x: 2 * s.eval_gegenbauer(n - 1, 2, x) if n > 0 else 0 * x,
    "eval_gegenbauer": lambda s, n, a, x: 2 * a * s.eval_gegenbauer(n - 1, a + 1, x) if n > 0 else 0 * x,
    "eval_hermite": lambda s, n, x: 2 * n * s.eval_hermite(n - 1, x) if n > 0 else 0 * x,
    "eval_hermitenorm": lambda s, n, x: n * s.eval_hermitenorm(n - 1, x) if n > 0 else 0 * x,
    "eval_laguerre": lambda s, n, x: -s.eval_genlaguerre(n - 1, 1, x) if n > 0 else 0 * x,
    "eval_genlaguerre": lambda s, n, a, x: -s.eval_genlaguerre(n - 1, a + 1, x) if n > 0 else 0 * x,
    "hyp1f1": lambda s, a, b, x: a / b * s.hyp1f1(a + 1, b + 1, x),
    "hyp2f1": lambda s, a, b, c, x: a * b / c * s.hyp2f1(a + 1, b + 1, c + 1, x),
    "hyp0f1": lambda s, b, x: s.hyp0f1(b + 1, x) / b,
}


@functools.cache
def _primitive(name: str, parameters: tuple[float, ...]) -> Any:
    """The function of x with these parameters, as one step of a tape."""
    from mmlfast.autodiff._primitive import Primitive

    special = _special()
    f = getattr(special, name)
    table: dict[str, Callable[..., Any]] = _OF_ORDER if parameters else _OF_ONE
    whole = tuple(int(p) if name in _OF_WHOLE_ORDER and float(p).is_integer() else p for p in parameters[:1])
    given = whole + parameters[1:]
    named = functools.wraps(f)(lambda x: f(*given, x)) if given else f

    def derivative(x: Any) -> Any:
        if not isinstance(x, Traced):
            return table[name](special, *given, x)
        level = getattr(_depth, "level", 0)
        if level == _MOST_DERIVATIVES:
            raise TypeError("the last derivative is only called")
        _depth.level = level + 1
        try:
            return table[name](special, *given, x)
        finally:
            _depth.level = level

    return Primitive(named, derivative, None, ())


def special_step(name: str, parameters: tuple[Any, ...]) -> Step | None:
    """The function of this name with all arguments but the last one, if tapes call it."""
    if name not in (_OF_ORDER if parameters else _OF_ONE):
        return None
    step: Step = _primitive(name, tuple(map(float, parameters))).step
    return step


# Derivatives are of other functions (of orders beside theirs), without an end.
_MOST_DERIVATIVES = 5
_depth = threading.local()


_OF_WHOLE_ORDER = frozenset(name for name in _OF_ORDER if name.startswith("eval_") or name in ("yn", "kn", "expn"))


def _called(name: str) -> u.Rule:
    def rule(t: Trace, *ids: Ids) -> Ids:
        *parameters, x = ids
        if not parameters:
            return t.ids_of(_primitive(name, ())(_traced(t, x)))
        shape = np.broadcast_shapes(*(a.shape for a in ids))
        known = [_known_parameter(t, name, a, shape) for a in parameters]
        x = np.broadcast_to(x, shape).ravel()
        out = np.empty(x.shape, np.int32)
        for row in sorted(set(zip(*known, strict=True))):
            here = np.all([k == p for k, p in zip(known, row, strict=True)], axis=0)
            out[here] = t.ids_of(_primitive(name, tuple(map(float, row)))(_traced(t, x[here])))
        return out.reshape(shape)

    return rule


def _traced(t: Trace, ids: Ids) -> Any:
    from mmlfast.autodiff._tracer import TracedArray

    return TracedArray(t, ids)


def _known_parameter(t: Trace, name: str, ids: Ids, shape: tuple[int, ...]) -> Any:
    decisions = t.decisions
    if not np.all(t.graph.is_constant(ids.ravel())) and (decisions is None or decisions.depends_on_x(t, ids)):
        refuse(f"{name} has no derivative by its order or parameters that the tape knows", "give them as numbers")
    known: Any = t.known(ids)
    return np.broadcast_to(known, shape).ravel()


# ---- by operations of the tape ----


def _gammaln(t: Trace, x: Ids) -> Ids:
    return t.unary(OPS["gammaln"], x)


def _gamma_sign(t: Trace, x: Ids) -> Ids:
    """1 for x > 0; for others -1 between -1 and 0, and so on in turn."""
    half = u.multiply(t, t.unary(OPS["floor"], x), t.scalar(0.5))
    odd = u.not_equal(t, half, t.unary(OPS["floor"], half))
    negative = u.logical_and(t, odd, u.less(t, x, t.scalar(0.0)))
    return u.select(t, negative, t.scalar(-1.0), t.scalar(1.0))


def gamma(t: Trace, x: Ids) -> Ids:
    return u.multiply(t, _gamma_sign(t, x), u.exp(t, _gammaln(t, x)))


def betaln(t: Trace, a: Ids, b: Ids) -> Ids:
    return u.subtract(t, u.add(t, _gammaln(t, a), _gammaln(t, b)), _gammaln(t, u.add(t, a, b)))


def beta(t: Trace, a: Ids, b: Ids) -> Ids:
    signs = u.multiply(t, u.multiply(t, _gamma_sign(t, a), _gamma_sign(t, b)), _gamma_sign(t, u.add(t, a, b)))
    return u.multiply(t, signs, u.exp(t, betaln(t, a, b)))


def binom(t: Trace, n: Ids, k: Ids) -> Ids:
    one = t.scalar(1.0)
    rest = u.add(t, u.subtract(t, n, k), one)
    n_plus = u.add(t, n, one)
    return u.divide(t, one, u.multiply(t, n_plus, beta(t, rest, u.add(t, k, one))))


def poch(t: Trace, z: Ids, m: Ids) -> Ids:
    top = u.add(t, z, m)
    signs = u.multiply(t, _gamma_sign(t, top), _gamma_sign(t, z))
    return u.multiply(t, signs, u.exp(t, u.subtract(t, _gammaln(t, top), _gammaln(t, z))))


def kl_div(t: Trace, x: Ids, y: Ids) -> Ids:
    return u.add(t, u.subtract(t, u.rel_entr(t, x, y), x), y)


def huber(t: Trace, delta: Ids, r: Ids) -> Ids:
    size, half = u.absolute(t, r), t.scalar(0.5)
    inside = u.multiply(t, half, u.multiply(t, r, r))
    outside = u.multiply(t, delta, u.subtract(t, size, u.multiply(t, half, delta)))
    found = u.select(t, u.less_equal(t, size, delta), inside, outside)
    return u.select(t, u.less(t, delta, t.scalar(0.0)), t.scalar(math.inf), found)


def pseudo_huber(t: Trace, delta: Ids, r: Ids) -> Ids:
    """delta^2 (h - 1) with h = norm(1, r / delta), as delta^2 (r / delta)^2 / (1 + h)."""
    one, slope = t.scalar(1.0), u.divide(t, r, delta)
    h = u.hypot(t, np.broadcast_to(one, slope.shape), slope)
    return u.divide(t, u.multiply(t, r, r), u.add(t, one, h))


def boxcox(t: Trace, x: Ids, power: Ids) -> Ids:
    return _of_box_and_cox(t, u.log(t, x), power)


def boxcox1p(t: Trace, x: Ids, power: Ids) -> Ids:
    return _of_box_and_cox(t, u.log1p(t, x), power)


def _of_box_and_cox(t: Trace, logarithm: Ids, power: Ids) -> Ids:
    zero = u.equal(t, power, t.scalar(0.0))
    safe = u.select(t, zero, t.scalar(1.0), power)
    grown = u.divide(t, t.unary(OPS["expm1"], u.multiply(t, safe, logarithm)), safe)
    return u.select(t, zero, logarithm, grown)


def inv_boxcox(t: Trace, y: Ids, power: Ids) -> Ids:
    return u.exp(t, _inverse_of_box_and_cox(t, y, power))


def inv_boxcox1p(t: Trace, y: Ids, power: Ids) -> Ids:
    return t.unary(OPS["expm1"], _inverse_of_box_and_cox(t, y, power))


def _inverse_of_box_and_cox(t: Trace, y: Ids, power: Ids) -> Ids:
    zero = u.equal(t, power, t.scalar(0.0))
    safe = u.select(t, zero, t.scalar(1.0), power)
    return u.select(t, zero, y, u.divide(t, u.log1p(t, u.multiply(t, safe, y)), safe))


def exprel(t: Trace, x: Ids) -> Ids:
    """expm1(x) / x; near 0 its power series, of which derivatives are taken as well."""
    near = u.less(t, u.absolute(t, x), t.scalar(0.5))
    series = t.scalar(1 / math.factorial(_TERMS))
    for k in range(_TERMS - 1, 0, -1):
        series = u.add(t, u.multiply(t, x, series), t.scalar(1 / math.factorial(k)))
    return u.select(t, near, series, u.divide(t, t.unary(OPS["expm1"], x), x))


_TERMS = 40


def cosm1(t: Trace, x: Ids) -> Ids:
    s = t.unary(OPS["sin"], u.multiply(t, x, t.scalar(0.5)))
    return u.multiply(t, t.scalar(-2.0), u.multiply(t, s, s))


def powm1(t: Trace, x: Ids, y: Ids) -> Ids:
    return t.unary(OPS["expm1"], u.multiply(t, y, u.log(t, x)))


def _of_degrees(op: str, upside_down: bool = False) -> u.Rule:
    def rule(t: Trace, x: Ids) -> Ids:
        found = t.unary(OPS[op], u.multiply(t, x, t.scalar(math.pi / 180.0)))
        return u.divide(t, t.scalar(1.0), found) if upside_down else found

    return rule


def radian(t: Trace, degrees: Ids, minutes: Ids, seconds: Ids) -> Ids:
    parts = ((degrees, 1.0), (minutes, 60.0), (seconds, 3600.0))
    terms = [u.divide(t, x, t.scalar(n)) for x, n in parts]
    return u.multiply(t, u.add(t, u.add(t, terms[0], terms[1]), terms[2]), t.scalar(math.pi / 180.0))


def rgamma(t: Trace, x: Ids) -> Ids:
    """1 / gamma(x). For x < 1/2 by reflection, sin(pi x) gamma(1 - x) / pi: the poles of gamma are its zeros."""
    low = u.less(t, x, t.scalar(0.5))
    whole = t.unary(OPS["rint"], x)
    sine = t.unary(OPS["sin"], u.multiply(t, t.scalar(math.pi), u.subtract(t, x, whole)))
    half = u.multiply(t, whole, t.scalar(0.5))
    sign = u.select(t, u.equal(t, half, t.unary(OPS["floor"], half)), t.scalar(1 / math.pi), t.scalar(-1 / math.pi))
    reflected = u.select(t, low, u.subtract(t, t.scalar(1.0), x), t.scalar(1.0))
    below = u.multiply(t, u.multiply(t, sign, sine), u.exp(t, _gammaln(t, reflected)))
    return u.select(t, low, below, _called("rgamma")(t, u.select(t, low, t.scalar(1.0), x)))


# Near a point where the formula of a derivative is 0 / 0: so near that so many terms of the power series there are all.
_NEAR, _TERMS_NEAR = 0.4, 64


def _by_series(name: str, away: Callable[[Trace, Ids], Ids], coefficient: Callable[[int], float]) -> u.Rule:
    """A function with a power series in `away` of its argument, whose formula is for arguments further away."""

    def rule(t: Trace, x: Ids) -> Ids:
        h = away(t, x)
        near = u.less(t, u.absolute(t, h), t.scalar(_NEAR))
        series = t.scalar(coefficient(_TERMS_NEAR))
        for k in range(_TERMS_NEAR - 1, -1, -1):
            series = u.add(t, u.multiply(t, h, series), t.scalar(coefficient(k)))
        far = _called(name)(t, u.select(t, near, t.scalar(0.5), x))
        return u.select(t, near, series, far)

    return rule


@functools.cache
def _of_ellipk(k: int) -> float:
    share: float = math.comb(2 * k, k) / 4**k
    return math.pi / 2 * share**2


_NEAR_ZEROS: dict[str, u.Rule] = {
    "ellipk": _by_series("ellipk", lambda t, m: m, _of_ellipk),
    "ellipe": _by_series("ellipe", lambda t, m: m, lambda k: _of_ellipk(k) / (1 - 2 * k)),
    "spence": _by_series("spence", lambda t, x: u.subtract(t, t.scalar(1.0), x), lambda k: 1 / k**2 if k else 0.0),
    "rgamma": rgamma,
}

_BY_OPERATIONS: dict[str, u.Rule] = {
    **{f.__name__: f for f in (gamma, betaln, beta, binom, poch, kl_div, huber, pseudo_huber, boxcox, boxcox1p)},
    **_NEAR_ZEROS,
    **{f.__name__: f for f in (inv_boxcox, inv_boxcox1p, exprel, cosm1, powm1, radian)},
    "loggamma": _gammaln,
    "sindg": _of_degrees("sin"),
    "cosdg": _of_degrees("cos"),
    "tandg": _of_degrees("tan"),
    "cotdg": _of_degrees("tan", upside_down=True),
    "round": lambda t, x: t.unary(OPS["rint"], x),
}

RULES: dict[str, u.Rule] = {**{name: _called(name) for name in (*_OF_ONE, *_OF_ORDER)}, **_BY_OPERATIONS}
