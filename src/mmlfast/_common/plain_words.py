"""What NumPy says of operands that do not fit together, in the words of the caller: by names instead of numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence

_MISMATCH = re.compile(
    r"(Input|Output) operand (\d+) has a mismatch in its core dimension (\d+), with gufunc signature (\S+) "
    r"\(size (\d+) is different from (\d+)\)"
)
_TOO_FEW = re.compile(
    r"(Input|Output) operand (\d+) does not have enough dimensions "
    r"\(has (\d+), gufunc core with signature \S+ requires (\d+)\)"
)
_REMAPPED = re.compile(r"\([^()]*\)->\(([^()]*)\)")


def plain_words(error: Exception, names: Sequence[str]) -> str | None:
    """`names` are those of the inputs, in order. None for a message that is not one of those known."""
    text = str(error)
    if found := _MISMATCH.search(text):
        return _mismatch(found, names)
    if found := _TOO_FEW.search(text):
        name = _name(found[1], int(found[2]), names)
        return name and f"{name} must have at least {_count(int(found[4]), 'dimension')}, and has {found[3]}"
    if "could not be broadcast" in text:
        batches = [_batch(shape) for shape in _REMAPPED.findall(text)]
        return _broadcast(batches, names) if batches else None
    if "output array is read-only" in text:
        return "out is read-only"
    if "return arrays must be of ArrayType" in text:
        return "out must be a NumPy array"
    if found := re.search(r"Cannot cast ufunc '\w+' output from dtype\('(\w+)'\) to dtype\('([^']+)'\)", text):
        return f"out holds {found[2]}, and cannot take a result of {found[1]}"
    return None


def _name(kind: str, number: int, names: Sequence[str]) -> str | None:
    if kind == "Output":
        return "out"
    return names[number] if number < len(names) else None


def _mismatch(found: re.Match[str], names: Sequence[str]) -> str | None:
    kind, number, dimension = found[1], int(found[2]), int(found[3])
    inputs, outputs = (re.findall(r"\(([^)]*)\)", side) for side in found[4].split("->"))
    here = (inputs if kind == "Input" else outputs)[number].split(",")
    name = _name(kind, number, names)
    if name is None:
        return None
    size, wanted = int(found[5]), int(found[6])
    for other, letters in enumerate(text.split(",") for text in inputs):
        first = (other, letters.index(here[dimension])) if here[dimension] in letters else None
        if first is not None and (kind == "Output" or first != (number, dimension)) and other < len(names):
            there = _what(len(letters), first[1], wanted)
            return f"{name} has {_what(len(here), dimension, size)}, where {names[other]} has {there}"
    return None


def _what(n_dimensions: int, dimension: int, size: int) -> str:
    """A size of one of the last dimensions: what there are so many of."""
    if n_dimensions == 1:
        return _count(size, "number") + " (last dimension)"
    return _count(size, "row" if dimension == 0 else "column")


def _count(size: int, noun: str) -> str:
    return f"{size} {noun}" if size == 1 else f"{size} {noun}s"


def _batch(remapped: str) -> tuple[int, ...]:
    return tuple(int(part) for part in remapped.split(",") if part.strip().isdigit())


def _broadcast(batches: list[tuple[int, ...]], names: Sequence[str]) -> str | None:
    if not len(names) <= len(batches) <= len(names) + 1:
        return None
    said = [f"{shape} of {name}" for name, shape in zip([*names, "out"], batches, strict=False)]
    return f"the leading (batch) dimensions {' and '.join(said)} do not broadcast"
