"""A tape as the text of a Python function of NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from mmlfast.autodiff._explain import Listing, Step
from mmlfast.autodiff._trace import Ids

Array = np.ndarray[Any, Any]

_CODE = {
    "identity": "{}",
    "negative": "-{}",
    "add": "{} + {}",
    "subtract": "{} - {}",
    "multiply": "{} * {}",
    "divide": "{} / {}",
    "divide_or_zero": "np.where(({0} == 0) & ({1} == 0), 0.0, {0} / {1})",
    "power": "{} ** {}",
    "multiply_add": "{} * {} + {}",
    "select": "np.where({} != 0, {}, {})",
    "logical_not": "1.0 * ({} == 0)",
    "logical_and": "1.0 * (({} != 0) & ({} != 0))",
    "logical_or": "1.0 * (({} != 0) | ({} != 0))",
    "less": "1.0 * ({} < {})",
    "less_equal": "1.0 * ({} <= {})",
    "equal": "1.0 * ({} == {})",
    "not_equal": "1.0 * ({} != {})",
    "softplus": "np.logaddexp(0.0, {})",
    "sum": "np.sum({}, axis=1)",
    "dot": "np.sum({} * {}, axis=1)",
    "norm": "np.linalg.norm({}, axis=1)",
}
_SPECIAL = frozenset(("erf", "erfc", "gammaln", "expit"))


def numpy_source(listing: Listing, name: str, result: Ids, names: list[str], order: list[str]) -> str:
    """`names` are those of the inputs in the order of the tape, `order` as the function takes them."""
    body = [f"{n} = np.asarray({n}, dtype=float).ravel()" for n in names]
    special = False
    for step in listing.steps:
        if step.op in ("input", "constant"):
            continue
        special |= step.op in _SPECIAL or step.op == "polygamma"
        body.append(f"{step.name} = {_code(listing, step)}")
    body.append(f"return {_gathered(listing, result.ravel(), result.size)}.reshape({result.shape})")
    head = ["import numpy as np"] + (["import scipy.special"] if special else [])
    function = f"def {name if name.isidentifier() else 'function'}({', '.join(order)}):"
    return "\n".join([*head, "", "", function, *(f"    {line}" for line in body), ""])


def _code(listing: Listing, step: Step) -> str:
    if step.op == "callback":
        raise TypeError("a function of your own (autodiff.primitive) is on the tape: it has no NumPy source")
    if step.op == "solve":
        a, b = (_gathered(listing, x, len(x)) for x in step.operands)
        return f"np.linalg.solve({a}.reshape({step.aux}, {step.aux}), {b}.reshape({step.aux}, -1)).ravel()"
    if step.op == "determinant":
        matrix = _gathered(listing, step.operands[0], step.aux**2)
        return f"np.atleast_1d(np.linalg.det({matrix}.reshape({step.aux}, {step.aux})))"
    if step.op in ("sum", "dot", "norm"):
        n = step.n * step.aux
        terms = [f"{_gathered(listing, np.broadcast_to(x, n), n)}.reshape({step.n}, {step.aux})" for x in step.operands]
        return _CODE[step.op].format(*terms)
    words = [_operand(listing, x, step.n) for x in step.operands]
    if step.op == "integer_power":
        return f"{words[0]} ** {step.aux}" if step.aux >= 0 else f"1.0 / {words[0]} ** {-step.aux}"
    if step.op == "polygamma":
        return f"scipy.special.polygamma({step.aux}, {words[0]})"
    if step.op in _CODE:
        return _CODE[step.op].format(*words)
    return f"{'scipy.special' if step.op in _SPECIAL else 'np'}.{step.op}({', '.join(words)})"


def _operand(listing: Listing, ids: Ids, count: int) -> str:
    """Of an elementwise step: one number stands for all."""
    if count > 1 and (len(ids) == 1 or (ids == ids[0]).all()):
        if listing.graph.is_constant(ids[:1])[0]:
            return _literal(listing.graph.values(ids[:1])[0])
        step, places = listing.pieces(ids[:1])[0]
        return f"{step.name}[{int(places[0])}]"
    return _gathered(listing, ids, count)


def _gathered(listing: Listing, ids: Ids, count: int) -> str:
    """All numbers as an array of one dimension."""
    if not len(ids):
        return "np.zeros(0)"
    parts = []
    for step, places in listing.pieces(ids):
        if step.op == "constant":
            values = listing.graph.values((places + step.first).astype(np.int32))
            parts.append(f"np.array([{', '.join(map(_literal, values))}])")
        elif len(places) == step.n and (places == np.arange(step.n)).all():
            parts.append(step.name)
        else:
            parts.append(f"{step.name}[{_index(places)}]")
    return parts[0] if len(parts) == 1 else f"np.concatenate([{', '.join(parts)}])"


def _index(places: Array) -> str:
    """That keeps the dimension."""
    steps = np.unique(np.diff(places))
    if len(places) == 1:
        return f"{places[0]}:{places[0] + 1}"
    if len(steps) == 1 and steps[0] > 0:
        return f"{places[0]}:{places[-1] + 1}" + (f":{steps[0]}" if steps[0] > 1 else "")
    return str(places.tolist())


def _literal(value: float) -> str:
    text = repr(float(value))
    text = {"inf": "np.inf", "-inf": "-np.inf", "nan": "np.nan"}.get(text, text)
    return f"({text})" if text.startswith("-") else text
