"""Gram-Schmidt, one matrix at a time. Vectors are columns; a dependent one gives a column of zeros."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def default_rtol(a: Array, method: str) -> float:
    eps, columns, rows = float(np.finfo(a.dtype).eps), max(a.shape[1], 4), np.sqrt(a.shape[0])
    return float(columns * eps if method == "cgs2" else 4 * (columns + rows) * eps)


def scaled(v: Array) -> Array:
    """v times a power of two that brings its largest element near one."""
    largest = float(np.max(np.abs(v), initial=0))
    return np.ldexp(v, -int(np.frexp(largest)[1])) if largest > 0 else v


def gram_schmidt(a: Array, method: str = "cgs2", rtol: float | None = None) -> tuple[Array, int, float]:
    """Basis, rank, and the Frobenius norm of Q'Q - I over the columns that are not zero."""
    rtol = default_rtol(a, method) if rtol is None else rtol
    q = np.zeros_like(a)
    kept = np.zeros(a.shape[1], bool)
    for j in range(a.shape[1]):
        v = scaled(a[:, j])
        length = np.linalg.norm(v)
        noise = False
        if method == "cgs":
            w = v - q[:, :j] @ (q[:, :j].T @ v)
        elif method == "mgs":
            w = v
            for k in range(j):
                w = w - q[:, k] * (q[:, k] @ w)
        elif method == "cgs2":
            once = v - q[:, :j] @ (q[:, :j].T @ v)
            w = once - q[:, :j] @ (q[:, :j].T @ once)
            noise = j > 0 and bool(np.linalg.norm(w) <= 0.1 * np.linalg.norm(once))
        else:
            raise ValueError(method)
        if not noise and np.linalg.norm(w) > rtol * length:
            q[:, j] = w / np.linalg.norm(w)
            kept[j] = True
    basis = q[:, kept]
    return q, int(kept.sum()), float(np.linalg.norm(basis.T @ basis - np.eye(basis.shape[1])))
