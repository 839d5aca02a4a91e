"""The iteration of a ranking, on the client: GMRES for a sweep over the links that happens elsewhere.

Unknown are the scores x of the nodes that links leave, the core. Those of the others follow: with t = damping P'x,
where P has a row of zeros for each of them, they are (1 - damping) v + t + damping given w, and `given`, their own sum,
solves one linear equation. On the core this leaves x = c + K x with K nonnegative and of norm at most `damping` in the
sum of absolute values, so that the power method x <- c + K x gains at least that factor in every sweep.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from mmlfast.dask._link_partitions import LinkPartitions
from mmlfast.graph._pagerank import PageRank

Array = np.ndarray[Any, Any]

_BASIS = 10
_UNIT = float(np.finfo(np.float64).eps) / 2


class Image(NamedTuple):
    """What one sweep makes of x: t on all nodes, the scores of the rest, and the residual c + K x - x."""

    t: Array
    given: float
    residual: Array


class Ranking:
    """One ranking of a graph in partitions."""

    def __init__(self, partitions: LinkPartitions, v: Array, w: Array, damping: float) -> None:
        self._partitions = partitions
        self._v, self._w, self._damping = v, w, damping
        strength = partitions.strength
        self._core = np.flatnonzero(strength > 0)
        self._is_all = self._core.size == strength.size
        with np.errstate(over="ignore"):
            self._inverse = damping / strength[self._core]
        if not np.isfinite(self._inverse).all():
            node = partitions.name(int(self._core[np.argmin(np.isfinite(self._inverse))]))
            raise ValueError(f"links: the weights of the links that leave node {node} are too small to divide by")
        # Sums over the nodes outside the core.
        rest = strength <= 0
        self._rest, self._v_rest, self._w_rest = rest, float(v[rest].sum()), float(w[rest].sum())
        self._n_iter = 0
        # float32 has no room for strengths of very different sizes.
        self._inner = np.dtype(np.float64 if partitions.weighted else np.float32)
        sums = partitions.longest_sum + partitions.longest_strength
        self._rounding = (sums + 8) * _UNIT / (1 - damping) if damping < 1 else 0.0

    def solve(self, tol: float, max_iter: int) -> PageRank:
        """Scores for damping < 1, to a certified error of `tol`."""
        d = self._damping
        x = self._v[self._core]
        before, plain, standstill = math.inf, False, 0
        while True:
            x, image = self._scaled(x)
            norm = float(np.abs(image.residual).sum() + abs(image.residual.sum()))
            bound = d / (1 - d) * norm + self._rounding
            standstill = standstill + 1 if bound > before / 2 else 0
            stuck = standstill > 2 and bound < 8 * self._rounding
            if bound <= tol or norm == 0 or self._n_iter >= max_iter or stuck:
                return PageRank(self._scores(image), bound, self._n_iter)
            # The residual norm of GMRES is another one: where it does not help, the power method does.
            steps = min(_BASIS, max_iter - self._n_iter)
            plain = steps == 1 or (not plain and bound > before * d**_BASIS)
            before = bound
            if plain:
                x = self._power(x, image, steps)
            else:
                x = self._gmres(x, image.residual, steps, 0.2 * max(tol - self._rounding, 0.0) / bound)

    def stationary(self, tol: float, max_iter: int) -> PageRank:
        """Scores for damping 1: the power method on half a step; the bound is the residual."""
        x = self._v
        while True:
            image = self._sweep(x[self._core]) + float(x[self._rest].sum()) * self._w
            residual = float(np.abs(image - x).sum())
            image /= image.sum()
            if residual <= tol or self._n_iter >= max_iter:
                return PageRank(image, residual, self._n_iter)
            x = (x + image) / 2

    def _sweep(self, x: Array, dtype: Any = np.float64) -> Array:
        """damping P'x on all nodes, for x on the core."""
        z = np.zeros(self._v.size, dtype)
        z[self._core] = self._inverse * x
        self._n_iter += 1
        return self._partitions.arriving(z)

    def _on_core(self, a: Array) -> Array:
        return a if self._is_all else a[self._core]

    def _scaled(self, x: Array) -> tuple[Array, Image]:
        """One sweep, and x times the factor at which the residual has sum 0, which is that at which all scores have
        sum 1."""
        d = self._damping
        t = self._sweep(x)
        share = 1 - d * self._w_rest
        of_t = float(t[self._rest].sum()) / share
        of_v = (1 - d) * self._v_rest / share
        v, w, t_core = self._on_core(self._v), self._on_core(self._w), self._on_core(t)
        constant = (1 - d) * v + d * of_v * w
        change = t_core + d * of_t * w - x
        lost = -float(change.sum())
        factor = float(constant.sum()) / lost if lost > 0 else 1.0
        return factor * x, Image(factor * t, of_v + factor * of_t, constant + factor * change)

    def _linear(self, x: Array, dtype: Any) -> Array:
        """K x."""
        d = self._damping
        t = self._sweep(x, dtype)
        image = self._on_core(t)
        if self._is_all:
            return image
        of_t = float(t[self._rest].sum(dtype=np.float64)) / (1 - d * self._w_rest)
        return np.asarray(image + (d * of_t * self._w[self._core]).astype(dtype))

    def _power(self, x: Array, image: Image, steps: int) -> Array:
        residual = image.residual
        for _ in range(steps - 1):
            x = x + residual
            residual = self._linear(residual, np.float64)
        return x + residual

    def _gmres(self, x: Array, residual: Array, steps: int, target: float) -> Array:
        """x made better by up to `steps` - 1 sweeps, or until the residual norm is down by the factor `target`."""
        beta = float(np.linalg.norm(residual))
        basis = np.empty((steps, residual.size), self._inner)
        np.divide(residual, beta, out=basis[0], casting="same_kind")
        h = np.zeros((len(basis), len(basis) - 1))
        right = np.zeros(len(basis))
        right[0] = beta
        for j in range(len(basis) - 1):
            u = basis[j] - self._linear(basis[j], self._inner)
            length = float(np.linalg.norm(u))
            for i in range(j + 1):
                h[i, j] = np.dot(basis[i], u)
                u -= self._inner.type(h[i, j]) * basis[i]
            h[j + 1, j] = left = float(np.linalg.norm(u))
            c = np.linalg.lstsq(h[: j + 2, : j + 1], right[: j + 2], rcond=None)[0]
            error = float(np.linalg.norm(h[: j + 2, : j + 1] @ c - right[: j + 2]))
            if error <= target * beta or left <= 1e-6 * length:
                break
            np.divide(u, left, out=basis[j + 1])
        for coefficient, vector in zip(c, basis, strict=False):
            x = x + coefficient * vector
        return np.maximum(x, 0)

    def _scores(self, image: Image) -> Array:
        """One more step of the power method, which the sweep has already paid for."""
        d = self._damping
        scores = (1 - d) * self._v + d * image.given * self._w + image.t
        return np.asarray(scores / scores.sum())
