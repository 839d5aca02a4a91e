"""What a traced function gives, computed with NumPy and SciPy from the list of its runs: an independent reference."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import scipy.special


def _integer_power(a, k):
    return a**k if k >= 0 else (1 / a) ** -k


def _divide_or_zero(a, b):
    return np.where((a == 0) & (b == 0), 0.0, a / b)


def _multiply_add(a, b, c):
    if np.iscomplexobj(a) or not (np.isfinite(a) & np.isfinite(b) & np.isfinite(c)).all():
        return a * b + c
    return np.array([float(Fraction(x) * Fraction(y) + Fraction(z)) for x, y, z in zip(a, b, c, strict=True)])


def _norm(terms):
    if np.iscomplexobj(terms):
        return np.sqrt(np.sum(terms * terms, axis=-1))
    scale = np.max(np.abs(terms), axis=-1)
    safe = np.where((scale == 0) | np.isinf(scale), 1.0, scale)
    return safe * np.sqrt(np.sum((terms / safe[..., None]) ** 2, axis=-1))


ELEMENTWISE = {
    "identity": lambda a: a,
    "negative": np.negative,
    "absolute": np.absolute,
    "expit": scipy.special.expit,
    "erf": scipy.special.erf,
    "erfc": scipy.special.erfc,
    "gammaln": scipy.special.gammaln,
    "softplus": lambda a: np.logaddexp(0.0, a),
    "divide_or_zero": _divide_or_zero,
    "select": lambda c, a, b: np.where(c != 0, a, b),
    "less": lambda a, b: (a.real < b.real) * 1.0,
    "less_equal": lambda a, b: (a.real <= b.real) * 1.0,
    "equal": lambda a, b: (a.real == b.real) * 1.0,
    "not_equal": lambda a, b: (a.real != b.real) * 1.0,
    "multiply_add": lambda a, b, c: _multiply_add(*np.broadcast_arrays(a, b, c)),
}


def _of_run(op, count, aux, operands, callbacks):
    if op == "polygamma":
        return scipy.special.digamma(operands[0]) if aux == 0 else scipy.special.polygamma(aux, operands[0])
    if op == "integer_power":
        return _integer_power(operands[0], aux)
    if op in ("sum", "dot", "norm"):
        terms = [operand.reshape(count, aux) for operand in operands]
        if op == "norm":
            return _norm(terms[0])
        return np.sum(terms[0] * terms[1] if op == "dot" else terms[0], axis=-1)
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


def evaluate(graph, outputs, *inputs, callbacks=()):
    """The numbers behind the ids `outputs`, -1 being 0; `inputs` are the values of each group of inputs,
    which may be complex (for complex steps)."""
    outputs = np.asarray(outputs, dtype=np.int32)
    values = np.full(graph.n_values, np.nan, dtype=np.result_type(float, *inputs))
    with np.errstate(all="ignore"):
        for op, first, count, aux, *operand_ids in graph.runs(outputs[outputs >= 0]):
            if op == "input":
                result = np.asarray(inputs[aux])
            elif op == "constant":
                result = graph.values(np.arange(first, first + count))
            else:
                operands = [values[ids] for ids in operand_ids if ids is not None]
                result = _of_run(op, count, aux, operands, callbacks)
            values[first : first + count] = result
    return np.where(outputs >= 0, values[outputs], 0.0)
