"""The operations of a traced function, one run after the other, on the list of runs that the graph gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import scipy.special

Array = np.ndarray[Any, Any]


def _integer_power(a: Array, k: int) -> Array:
    out: Array = a**k if k >= 0 else 1 / a**-k
    return out


def _divide_or_zero(a: Array, b: Array) -> Array:
    return np.where((a == 0) & (b == 0), 0.0, a / b)


def _select(c: Array, a: Array, b: Array) -> Array:
    return np.where(c != 0, a, b)


def _multiply_add(a: Array, b: Array, c: Array) -> Array:
    """With one rounding, like an fma."""
    if np.iscomplexobj(a) or not (np.isfinite(a) & np.isfinite(b) & np.isfinite(c)).all():
        return a * b + c
    exact = [float(Fraction(x) * Fraction(y) + Fraction(z)) for x, y, z in np.broadcast(a, b, c)]
    return np.array(exact)


def _norm(terms: Array) -> Array:
    if np.iscomplexobj(terms):
        analytic: Array = np.sqrt(np.sum(terms * terms, axis=-1))
        return analytic
    scale = np.max(np.abs(terms), axis=-1)
    safe = np.where((scale == 0) | np.isinf(scale), 1.0, scale)
    out: Array = safe * np.sqrt(np.sum((terms / safe[..., None]) ** 2, axis=-1))
    return out


ELEMENTWISE: dict[str, Callable[..., Array]] = {
    "identity": lambda a: a,
    "negative": np.negative,
    "absolute": np.absolute,
    "expit": scipy.special.expit,
    "erf": scipy.special.erf,
    "erfc": scipy.special.erfc,
    "gammaln": scipy.special.gammaln,
    "softplus": lambda a: np.logaddexp(0.0, a),
    "divide_or_zero": _divide_or_zero,
    "select": _select,
    "less": lambda a, b: (a.real < b.real) * 1.0,
    "less_equal": lambda a, b: (a.real <= b.real) * 1.0,
    "equal": lambda a, b: (a.real == b.real) * 1.0,
    "not_equal": lambda a, b: (a.real != b.real) * 1.0,
    "multiply_add": _multiply_add,
}


def _reduction(op: str, terms: list[Array]) -> Array:
    if op == "norm":
        return _norm(terms[0])
    out: Array = np.sum(terms[0] * terms[1] if op == "dot" else terms[0], axis=-1)
    return out


def _of_run(op: str, count: int, aux: int, operands: list[Array], callbacks: Sequence[Callable[[Array], Array]]) -> Any:
    if op == "polygamma":
        return scipy.special.digamma(operands[0]) if aux == 0 else scipy.special.polygamma(aux, operands[0])
    if op == "integer_power":
        return _integer_power(operands[0], aux)
    if op in ("sum", "dot", "norm"):
        return _reduction(op, [operand.reshape(count, aux) for operand in operands])
    if op == "solve":
        try:
            return np.linalg.solve(operands[0].reshape(aux, aux), operands[1].reshape(aux, -1)).ravel()
        except np.linalg.LinAlgError:
            return np.full(count, np.nan)
    if op == "determinant":
        return np.linalg.det(operands[0].reshape(aux, aux))[None]
    if op == "callback":
        return callbacks[aux](operands[0])
    return (ELEMENTWISE.get(op) or getattr(np, op))(*operands)


def evaluate(graph: Any, outputs: Any, *inputs: Any, callbacks: Sequence[Callable[[Array], Array]] = ()) -> Array:
    """The numbers behind the ids `outputs`, -1 being 0; `inputs` are the values of each group of inputs,
    which may be complex (for complex steps)."""
    outputs = np.asarray(outputs, dtype=np.int32)
    values = np.full(graph.n_values, np.nan, dtype=np.result_type(float, *inputs))
    with np.errstate(all="ignore"):
        for op, first, count, aux, *operand_ids in graph.runs(outputs[outputs >= 0]):
            if op == "input":
                result: Any = np.asarray(inputs[aux])
            elif op == "constant":
                result = graph.values(np.arange(first, first + count))
            else:
                operands = [values[ids] for ids in operand_ids if ids is not None]
                result = _of_run(op, count, aux, operands, callbacks)
            values[first : first + count] = result
    return np.where(outputs >= 0, values[outputs], 0.0)
