"""PageRank at damping 1 and next to it by elimination, where steps along the links take too many.

The nodes that links leave are of three kinds: open ones, from which the walk gets away for good, and in each closed
group one node that represents it, and the others. Without the representatives the system
``(I - damping P') y = b`` has a matrix M that is no more singular at damping 1 than anywhere else. It is factored once,
in full if it is small, else incompletely, as preconditioner of GMRES [1]_. With h = M^-1 b, and g = M^-1 of what the
representatives send out at score 1, a group of the mass m has the scores g and 1, times ``m / (1 + sum g)``, where the
mass is what arrives and never leaves again [2]_. All of it is for y times ``1 - damping``, which has a limit.

Nodes that no link leaves send their score to `w`: how much that is follows from the solutions for v and for w.

References
----------
.. [1] Y. Saad, M. H. Schultz, GMRES, SIAM J. Sci. Stat. Comput. 7 (1986); W. J. Stewart, Introduction to the Numerical
   Solution of Markov Chains (Princeton, 1994), chapters 2 and 4.
.. [2] J. G. Kemeny, J. L. Snell, Finite Markov Chains (1960), chapters 3 and 5.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np

from mmlfast import _core
from mmlfast.graph._links import Links

Array = np.ndarray[Any, Any]

_LARGEST_FULL = 2000  # rows of a matrix that is factored in full
_BASIS = 40
_INCOMPLETE = ({"drop_tol": 1e-3, "fill_factor": 6}, {"drop_tol": 1e-5, "fill_factor": 20})


class DirectSolveFailed(Exception):
    """The system could not be solved."""


class _Visits(NamedTuple):
    """How often a walk that begins as `b` says visits nodes before it is caught or ends."""

    core: Array  # of those that links leave, without representatives
    rest: Array  # of those that none leaves
    mass: Array  # what each closed group catches


class DirectRanking:
    """Rankings of one graph at one damping, above 0."""

    def __init__(self, graph: Links, damping: float) -> None:
        from scipy import sparse
        from scipy.sparse import csgraph

        self._damping = damping
        n_core, _, starts, columns, weights, label, inverse, _ = _core.links_state(graph._core)
        self._label, self._n_core = label, n_core
        if n_core == 0:
            raise DirectSolveFailed
        source = np.where(columns < n_core, columns, columns - np.uint32(n_core)).astype(np.int64)
        p = inverse[source] if weights is None else weights * inverse[source]
        self._walk = sparse.csr_array((p, source, starts), shape=(graph.n_nodes, n_core))
        target = np.repeat(np.arange(graph.n_nodes), np.diff(starts))
        self._ends = source, target
        inner = self._walk[:n_core]
        ones = sparse.csr_array((np.ones(inner.nnz, bool), inner.indices, inner.indptr), shape=inner.shape)
        count, group = csgraph.connected_components(ones, directed=True, connection="strong")
        is_closed = np.ones(count, bool)
        is_closed[group[source[(target >= n_core) | (group[np.minimum(target, n_core - 1)] != group[source])]]] = False
        self._n_groups = int(is_closed.sum())
        number = np.cumsum(is_closed) - 1
        self._group = np.where(is_closed[group], number[group], -1)  # of open nodes: -1
        self._is_open = self._group < 0
        self._represent(np.asarray(inner.sum(axis=1)).reshape(-1))
        self._solver = _Solver(self._matrix(p))
        self.n_iter = 0
        sent = np.zeros(n_core)
        sent[self._representative] = damping
        self._g = np.zeros(n_core)
        self._g[self._kept] = self._solve((self._walk @ sent)[:n_core][self._kept])
        self._g_sum = self._by_group(self._g)

    def _represent(self, arriving: Array) -> None:
        """The node of each closed group at which most arrives: small scores would be errors of large ones."""
        closed = np.flatnonzero(~self._is_open)
        closed = closed[np.lexsort((closed, arriving[closed], self._group[closed]))]
        last = np.r_[self._group[closed][1:] != self._group[closed][:-1], True] if closed.size else np.empty(0, bool)
        self._representative = closed[last]
        kept = np.ones(self._n_core, bool)
        kept[self._representative] = False
        self._kept = np.flatnonzero(kept)

    def _matrix(self, p: Array) -> Any:
        """M. The diagonal is a sum of what leaves a node: 1 minus what stays could have no digits left."""
        from scipy import sparse

        source, target = self._ends
        d, place = self._damping, np.full(self._walk.shape[0], -1)
        place[self._kept] = np.arange(self._kept.size)
        away = source != target
        stays = np.bincount(source[~away], p[~away], self._n_core)
        diagonal = np.bincount(source[away], p[away], self._n_core) + (1 - d) * stays
        use = away & (place[source] >= 0) & (place[target] >= 0)
        row = np.r_[place[target[use]], np.arange(self._kept.size)]
        column = np.r_[place[source[use]], np.arange(self._kept.size)]
        data = np.r_[-d * p[use], diagonal[self._kept]]
        return sparse.coo_array((data, (row, column)), shape=(self._kept.size,) * 2).tocsc()

    def _by_group(self, x: Array) -> Array:
        closed = ~self._is_open
        return np.bincount(self._group[closed], x[closed], self._n_groups)

    def _solve(self, b: Array) -> Array:
        x, count = self._solver.solve(b)
        self.n_iter += count
        return np.maximum(x, 0)

    def _visits(self, b: Array) -> _Visits:
        """b in the order of the nodes in `Links`."""
        n_core = self._n_core
        core = np.zeros(n_core)
        core[self._kept] = self._solve(b[:n_core][self._kept])
        sent = self._walk @ np.where(self._is_open, self._damping * core, 0)
        return _Visits(core, b[n_core:] + sent[n_core:], self._by_group(b[:n_core] + sent[:n_core]))

    def _is_caught(self, w: Array) -> bool:
        """Whether the walk can get from `w` to a closed group of nodes that links leave."""
        from scipy import sparse
        from scipy.sparse import csgraph

        n = self._walk.shape[0]
        first = np.flatnonzero(w > 0)
        row, column = (np.r_[self._ends[k], (np.full(first.size, n), first)[k]] for k in (0, 1))
        graph = sparse.coo_array((np.ones(row.size, bool), (row, column)), shape=(n + 1, n + 1)).tocsr()
        met = csgraph.breadth_first_order(graph, n, return_predecessors=False)
        met = met[met < self._n_core]
        return bool((~self._is_open[met]).any())

    def scores(self, v: Array, w: Array | None) -> Array:
        """Scores for jumps to v, and to w from nodes that no link leaves, or DirectSolveFailed."""
        d = self._damping
        v = self._ordered(v)
        w = v if w is None else self._ordered(w)
        of_v = self._visits(v)
        of_w = of_v if w is v else self._visits(w)
        mass, share = of_v.mass, 0.0  # share: of (1 - d) y, what has come back by w
        if of_v.rest.size and of_v.rest.any():
            caught = of_w.mass.sum() if self._is_caught(w) else 0.0
            around = 1 + d * float(of_w.core[self._is_open].sum())
            back = d * float(of_v.rest.sum())
            share = (1 - d) * back / ((1 - d) * around + d * caught) if d < 1 or caught > 0 else back / around
            if caught > 0:
                mass = mass + back / ((1 - d) * around + d * caught) * of_w.mass
        core = (1 - d) * of_v.core + share * of_w.core
        of_representative = np.maximum(mass - self._by_group(core), 0) / (1 + self._g_sum)
        closed = ~self._is_open
        core[closed] += self._g[closed] * of_representative[self._group[closed]]
        core[self._representative] = of_representative
        x = np.r_[core, (1 - d) * of_v.rest + share * of_w.rest]
        total = x.sum()
        if not (0 < total < np.inf):
            raise DirectSolveFailed
        return np.asarray(x[self._label] / total)

    def _ordered(self, v: Array) -> Array:
        out = np.empty_like(v)
        out[self._label] = v
        return out


class _Solver:
    """M x = b for an M-matrix."""

    def __init__(self, matrix: Any) -> None:
        self._matrix = matrix
        self._full = matrix.shape[0] <= _LARGEST_FULL
        self._level = 0
        if matrix.shape[0]:
            self._factor()

    def _factor(self) -> None:
        from scipy.sparse import linalg

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if self._full:
                    self._factors = linalg.splu(self._matrix, diag_pivot_thresh=0.0)
                else:
                    self._factors = linalg.spilu(self._matrix, **_INCOMPLETE[self._level])
        except (RuntimeError, MemoryError):
            raise DirectSolveFailed from None

    def solve(self, b: Array) -> tuple[Array, int]:
        """x, and how often the matrix was gone through. As good as rounding allows, or DirectSolveFailed."""
        x, count, norm = np.zeros(b.size), 0, float(np.abs(b).sum())
        if norm == 0:
            return x, 0
        residual, start = b, norm
        while True:
            step, used = (self._factors.solve(residual), 1) if self._full else self._krylov(residual)
            count += used + 1
            better = x + step
            left = b - self._matrix @ better
            now = float(np.abs(left).sum())
            is_over = not now < 0.1 * norm or now <= 1e-16 * start
            if now < norm:
                x, residual, norm = better, left, now
            if not is_over:
                continue
            if norm <= 1e-12 * (start + float(np.abs(x).sum())):  # backward error: no entry of M is larger than 1
                return x, count
            if self._full or self._level + 1 == len(_INCOMPLETE) or not np.isfinite(now):
                raise DirectSolveFailed
            self._level += 1
            self._factor()

    def _krylov(self, b: Array) -> tuple[Array, int]:
        """A correction by GMRES, preconditioned from the right. Products by einsum: BLAS has threads of its own."""
        beta = float(np.sqrt(np.einsum("i,i->", b, b)))
        basis, images = [b / beta], []
        h = np.zeros((_BASIS + 1, _BASIS))
        right = np.zeros(_BASIS + 1)
        right[0] = beta
        for j in range(_BASIS):
            images.append(self._factors.solve(basis[j]))
            u = self._matrix @ images[j]
            for i in range(j + 1):
                h[i, j] = np.einsum("i,i->", basis[i], u)
                u -= h[i, j] * basis[i]
            h[j + 1, j] = np.sqrt(np.einsum("i,i->", u, u))
            if not np.isfinite(h[: j + 2, j]).all():
                raise DirectSolveFailed
            c = np.linalg.lstsq(h[: j + 2, : j + 1], right[: j + 2], rcond=None)[0]
            left = right[: j + 2] - h[: j + 2, : j + 1] @ c
            if h[j + 1, j] == 0 or np.sqrt(np.einsum("i,i->", left, left)) <= 1e-8 * beta:
                break
            basis.append(u / h[j + 1, j])
        step = np.zeros(b.size)
        for factor, image in zip(c, images, strict=True):
            step += factor * image
        return step, len(images)
