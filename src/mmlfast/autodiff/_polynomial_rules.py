"""Polynomials by their coefficients, and convolutions."""

from __future__ import annotations

from typing import Any

import numpy as np

import mmlfast.autodiff._ufunc_rules as u
from mmlfast.autodiff._errors import refuse
from mmlfast.autodiff._orthogonal_rules import least_squares
from mmlfast.autodiff._registry import rule
from mmlfast.autodiff._trace import OPS, Ids, Trace


@rule(np.polyval)
def _polyval(t: Trace, p: Any, x: Any) -> Ids:
    coefficients, at = t.ids_of(p), t.ids_of(x)
    out = np.broadcast_to(t.scalar(0.0), at.shape)
    for i, c in enumerate(coefficients):
        c = np.broadcast_to(c, at.shape)
        out = c if i == 0 else u.add(t, u.multiply(t, out, at), c)
    return np.array(out)


@rule(np.vander)
def _vander(t: Trace, x: Any, N: int | None = None, increasing: bool = False) -> Ids:
    ids = t.ids_of(x)
    n = len(ids) if N is None else N
    exponents = np.arange(n) if increasing else np.arange(n)[::-1]
    return u.power(t, ids[:, None], t.constant(exponents[None, :]))


def _of_one_length(t: Trace, a: Any, b: Any) -> tuple[Ids, Ids]:
    """Zeros in front of the shorter one."""
    x, y = np.atleast_1d(t.ids_of(a)), np.atleast_1d(t.ids_of(b))
    n = max(len(x), len(y))
    zero = t.scalar(0.0)
    return tuple(np.concatenate([np.full(n - len(z), zero, np.int32), z]) for z in (x, y))  # type: ignore[return-value]


@rule(np.polyadd)
def _polyadd(t: Trace, a1: Any, a2: Any) -> Ids:
    return u.add(t, *_of_one_length(t, a1, a2))


@rule(np.polysub)
def _polysub(t: Trace, a1: Any, a2: Any) -> Ids:
    return u.subtract(t, *_of_one_length(t, a1, a2))


@rule(np.polymul)
def _polymul(t: Trace, a1: Any, a2: Any) -> Any:
    return _convolve(t, a1, a2)


@rule(np.polyder)
def _polyder(t: Trace, p: Any, m: int = 1) -> Any:
    ids = t.ids_of(p)
    for _ in range(m):
        ids = u.multiply(t, ids[:-1], t.constant(np.arange(len(ids) - 1, 0, -1.0)))
    return ids


@rule(np.polyint)
def _polyint(t: Trace, p: Any, m: int = 1, k: Any = None) -> Ids:
    ids = t.ids_of(p)
    constants = np.zeros(m, np.int32) + t.scalar(0.0) if k is None else np.broadcast_to(t.ids_of(k), (m,))
    for constant in constants:
        grown = u.divide(t, ids, t.constant(np.arange(len(ids), 0, -1.0)))
        ids = np.concatenate([grown, np.atleast_1d(constant).astype(np.int32)])
    return ids


@rule(np.polyfit)
def _polyfit(
    t: Trace, x: Any, y: Any, deg: Any, rcond: Any = None, full: bool = False, w: Any = None, cov: Any = False
) -> Ids:
    if full or cov is not False or rcond is not None:
        refuse("np.polyfit with full=, cov= or rcond= cannot be traced")
    if not isinstance(deg, int | np.integer):
        refuse("np.polyfit with a list of degrees cannot be traced", "np.linalg.lstsq can be")
    at, values = t.ids_of(x), t.ids_of(y)
    columns = u.power(t, at[:, None], t.constant(np.arange(int(deg), -1, -1)[None, :]))
    if w is not None:
        weights = t.ids_of(w)
        columns = u.multiply(t, columns, weights[:, None])
        values = u.multiply(t, values, weights[:, None] if values.ndim == 2 else weights)
    lengths = t.reduction(OPS["norm"], columns, 0)
    found = least_squares(t, u.divide(t, columns, lengths), values)
    return u.divide(t, found, lengths[:, None] if found.ndim == 2 else lengths)


# ---- convolutions ----


@rule(np.convolve)
def _convolve(t: Trace, a: Any, v: Any, mode: str = "full") -> Ids:
    x, y = np.atleast_1d(t.ids_of(a)), np.atleast_1d(t.ids_of(v))
    if len(y) > len(x):
        x, y = y, x
    if not len(y):
        raise ValueError("a and v cannot be empty")
    m, n = len(y), len(x)
    if mode not in ("full", "same", "valid"):
        raise ValueError(f"mode must be 'full', 'same' or 'valid', got {mode!r}")
    padded = np.concatenate([np.broadcast_to(t.scalar(0.0), m - 1), x, np.broadcast_to(t.scalar(0.0), m - 1)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, m)
    out = t.reduction(OPS["dot"], windows, -1, b=np.broadcast_to(y[::-1], windows.shape))
    if mode == "full":
        return out
    start = (m - 1) // 2 if mode == "same" else m - 1
    return out[start : start + (n if mode == "same" else n - m + 1)]


@rule(np.correlate)
def _correlate(t: Trace, a: Any, v: Any, mode: str = "valid") -> Ids:
    x, y = np.atleast_1d(t.ids_of(a)), np.atleast_1d(t.ids_of(v))
    full = _convolve_full(t, x, y[::-1])
    if mode == "full":
        return full
    if mode not in ("same", "valid"):
        raise ValueError(f"mode must be 'full', 'same' or 'valid', got {mode!r}")
    longer, shorter = max(len(x), len(y)), min(len(x), len(y))
    length = longer if mode == "same" else longer - shorter + 1
    start = shorter - 1
    if mode == "same":
        start = shorter // 2 if len(y) > len(x) else (shorter - 1) // 2
    return full[start : start + length]


def _convolve_full(t: Trace, x: Ids, y: Ids) -> Ids:
    zero = np.broadcast_to(t.scalar(0.0), len(y) - 1)
    windows = np.lib.stride_tricks.sliding_window_view(np.concatenate([zero, x, zero]), len(y))
    return t.reduction(OPS["dot"], windows, -1, b=np.broadcast_to(y[::-1], windows.shape))
