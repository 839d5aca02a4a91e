"""Inner products, lengths, distances and angles of many pairs of short vectors, and of one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import mmlfast as mf
from bench.harness import Case, Faster, Job, Setup, Within

Array = np.ndarray[Any, Any]


def error(right: Array, dtype: Any, answer: Any) -> float:
    return float(np.abs(np.asarray(answer) - right).max() / (np.finfo(dtype).eps / 2))


def exact(name: str, x: Array, y: Array) -> Array:
    a, b = x.astype(np.longdouble), y.astype(np.longdouble)
    if name == "inner":
        return np.asarray((a * b).sum(axis=-1))
    if name == "norm":
        return np.asarray(np.sqrt((a * a).sum(axis=-1)))
    if name == "distance":
        return np.asarray(np.sqrt(((a - b) ** 2).sum(axis=-1)))
    if name == "scalar_projection":
        return np.asarray((a * b).sum(axis=-1) / np.sqrt((b * b).sum(axis=-1)))
    u, v = (z / np.sqrt((z * z).sum(axis=-1, keepdims=True)) for z in (a, b))
    return np.asarray(2 * np.arctan2(np.sqrt(((u - v) ** 2).sum(axis=-1)), np.sqrt(((u + v) ** 2).sum(axis=-1))))


def by_arccos(xp: Any, x: Any, y: Any) -> Any:
    """The usual way, which loses half of the digits of small angles."""
    return xp.arccos((x * y).sum(-1) / (xp.linalg.norm(x, axis=-1) * xp.linalg.norm(y, axis=-1)))


NUMPY: dict[str, Callable[..., Any]] = {
    "inner": lambda x, y: np.einsum("...i,...i", x, y),
    "norm": lambda x, y: np.linalg.norm(x, axis=-1),
    "distance": lambda x, y: np.linalg.norm(x - y, axis=-1),
    "angle": partial(by_arccos, np),
    "scalar_projection": lambda x, y: np.einsum("...i,...i", x, y) / np.linalg.norm(y, axis=-1),
}


def pairs(name: str, n: int, d: int, dtype: str, setup: Setup) -> Job:
    x, y = (setup.rng.standard_normal((n, d)).astype(dtype) for _ in range(2))
    if n == 1:
        x, y = x[0], y[0]
    job = Job(partial(error, exact(name, x, y), dtype), "largest error / u", dtype=dtype)
    job.bytes = float(x.nbytes + (name != "norm") * y.nbytes + x.nbytes / d)
    job.ours(getattr(mf.geometry, name), *((x,) if name == "norm" else (x, y)))
    job.peer("numpy", NUMPY[name], x, y)
    if torch := setup.library("torch"):
        theirs = {
            "inner": lambda a, b: (a * b).sum(-1),
            "norm": lambda a, b: torch.linalg.vector_norm(a, dim=-1),
            "distance": lambda a, b: torch.linalg.vector_norm(a - b, dim=-1),
            "scalar_projection": lambda a, b: (a * b).sum(-1) / torch.linalg.vector_norm(b, dim=-1),
            "angle": lambda a, b: torch.arccos(torch.nn.functional.cosine_similarity(a, b, dim=-1).clamp(-1, 1)),
        }
        job.peer("torch", theirs[name], torch.from_numpy(x), torch.from_numpy(y))
    if jax := setup.library("jax"):
        jnp = jax.numpy
        compiled: dict[str, Callable[..., Any]] = {
            "inner": lambda a, b: (a * b).sum(-1),
            "norm": lambda a, b: jnp.linalg.norm(a, axis=-1),
            "distance": lambda a, b: jnp.linalg.norm(a - b, axis=-1),
            "angle": partial(by_arccos, jnp),
            "scalar_projection": lambda a, b: (a * b).sum(-1) / jnp.linalg.norm(b, axis=-1),
        }
        job.jax("jax", compiled[name], x, y)
    return job


CASES = [
    *(
        Case(f"{name}-1e6x3", f"{name}, 1000000 vectors of 3-D", partial(pairs, name, 10**6, 3, "float64"), goals)
        for name, goals in (
            ("inner", (Faster(1.5, "numpy"),)),
            ("norm", (Faster(5, "numpy"),)),
            ("distance", (Faster(4, "numpy"),)),
            ("angle", (Faster(3, "numpy"),)),
            ("scalar_projection", ()),
        )
    ),
    Case("norm-1e5x3-float32", "norm, 100000 vectors of 3-D, float32", partial(pairs, "norm", 10**5, 3, "float32")),
    Case("distance-1e5x16", "distance, 100000 pairs of 16-D", partial(pairs, "distance", 10**5, 16, "float64")),
    Case("norm-one", "norm of one vector of 3-D", partial(pairs, "norm", 1, 3, "float64"), (Within(0.5e-6),)),
    Case("angle-one", "angle of two vectors of 3-D", partial(pairs, "angle", 1, 3, "float64"), (Within(0.8e-6),)),
]
