"""PageRank with a bound on the error of every answer: one graph, or many."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple, Unpack, overload

import numpy as np
from numpy.typing import ArrayLike

from mmlfast import _core
from mmlfast._common.arrays import as_float, check_digits, check_real
from mmlfast._common.errors import warn_caller
from mmlfast.graph._closed_groups import closed_groups
from mmlfast.graph._jumps import distribution, distributions
from mmlfast.graph._link_intake import table_and_nodes
from mmlfast.graph._links import Links
from mmlfast.graph._node_ids import Names
from mmlfast.graph._pagerank_arguments import Jumps, Limits, RankOptions, check_damping, check_limits, warn_of_bound
from mmlfast.graph._pagerank_dense import most_dense_nodes, rank_dense

Array = np.ndarray[Any, Any]


class PageRank(NamedTuple):
    """Scores, and how good they are."""

    #: Scores of the nodes, with sum 1.
    scores: Array
    #: What the sum of the absolute errors of the scores is at most.
    error_bound: Any
    #: How often the links were gone through.
    n_iter: Any


@overload
def pagerank(
    links: Any, damping: float = ..., *, full_output: Literal[False] = ..., **options: Unpack[RankOptions]
) -> Array: ...
@overload
def pagerank(
    links: Any, damping: float = ..., *, full_output: Literal[True], **options: Unpack[RankOptions]
) -> PageRank: ...
def pagerank(
    links: Any,
    damping: float = 0.85,
    *,
    personalization: Jumps = None,
    dangling: Jumps = None,
    tol: float = 1e-10,
    max_iter: int | None = None,
    full_output: bool = False,
) -> Array | PageRank:
    """PageRank of the nodes of a graph: where a random walk along its links is found in the long run.

    At each step the walk follows one of the links that leave its node, in proportion to their weights, or, with
    probability ``1 - damping``, jumps to a node drawn from `personalization`.

    Parameters
    ----------
    links : sparse matrix or array, array_like, networkx graph, igraph.Graph, or Links
        Entry (i, j) is the weight of the link from node i to node j, see `Links`: rows are divided by their sums. A
        matrix L whose columns sum to one, with the scores as the solution of ``L r = r``, is the transpose of that:
        pass ``L.T``, or the reversed web is ranked. A stack of dense matrices, shape (..., n, n), is ranked item by
        item.
    damping : float
        Probability of following a link, from 0 to 1.
    personalization : array_like of shape (n,), or mapping of nodes to weights, optional
        Where jumps go, in any scale; all nodes alike by default. A mapping names nodes as `Links.nodes` does, or by
        number, and leaves out those of weight zero. So do the labels of a pandas Series or a labelled xarray; other
        arrays are in the order of the scores.
    dangling : array_like of shape (n,), or mapping of nodes to weights, optional
        Where the walk goes from a node that no link leaves; by default a jump like the others.
    tol : float
        How large the sum of the absolute errors of the scores may be.
    max_iter : int, optional
        How often the links may be gone through; by default more than the plain iteration can need.
    full_output : bool
        Whether to return the error bound and the number of iterations too.

    Returns
    -------
    ndarray of float64, shape (n,)
        Scores with sum 1, in the order of the rows, or of `Links.nodes`. With `full_output`, a `PageRank` of scores,
        error_bound and n_iter.

    Raises
    ------
    ValueError
        If there is no node, the matrix is not square, a weight, an entry of `personalization` or of `dangling` is
        negative, infinite or NaN, one of these has a wrong length, an unknown node or label or no positive entry, the
        labels of rows and columns of a data frame differ, `damping` is not in [0, 1], or `tol` or `max_iter` is not
        positive.
    TypeError
        If numbers are complex or no numbers at all.

    Warns
    -----
    ConvergenceWarning
        If `max_iter` was reached, or rounding does not allow `tol`; the message says which, and what would do;
        `error_bound` holds all the same. Also if ``damping=1`` and the graph has several closed groups of nodes: the
        answer is then not unique.

    Notes
    -----
    With the walk's matrix P (rows divided by their sums) the scores without nodes that no link leaves solve
    ``(I - damping P') x = (1 - damping) v``, and for any x the sum of the absolute errors is at most that of the
    residual, divided by ``1 - damping``: this, with what rounding can have added, is `error_bound`. The system is
    solved by restarted GMRES with a sweep of block Gauss-Seidel as preconditioner, in float32 inside a refinement in
    float64 [1]_ [2]_; dense graphs of up to 64 nodes by elimination without a subtraction, eight at once, which gives
    small scores their digits as well, at any damping [3]_. The same bits come out for any number of threads.

    Where that does not get to `tol`, as next to damping 1, the closed groups of nodes, which the walk cannot leave, are
    taken apart: without one node of each the system is as well-conditioned at damping 1 as elsewhere, and is solved by
    elimination, of large graphs by GMRES with an incomplete one as preconditioner (SuperLU) [4]_.

    At ``damping=1`` no bound follows from the residual: `tol` limits the sum of the absolute residuals, and
    `error_bound` is that sum. The walk is followed half a step at a time, which settles on cycles too, and where that
    takes more than 300 steps, the same elimination is used. If the answer is not unique it is the limit of the answers
    for damping below 1: each closed group has as much as a walk from `personalization` is caught by it.

    References
    ----------
    .. [1] A. N. Langville, C. D. Meyer, Deeper inside PageRank, Internet Mathematics 1 (2004) 335-380.
    .. [2] G. M. Del Corso, A. Gulli, F. Romani, Fast PageRank computation via a sparse linear system, Internet
       Mathematics 2 (2005) 251-273.
    .. [3] W. K. Grassmann, M. I. Taksar, D. P. Heyman, Regenerative analysis and steady state distributions for Markov
       chains, Operations Research 33 (1985) 1107-1116.
    .. [4] W. J. Stewart, Introduction to the Numerical Solution of Markov Chains, Princeton University Press (1994).

    Examples
    --------
    >>> import numpy as np
    >>> import mmlfast as mf
    >>> links = np.array([[0, 1, 1, 0], [1, 0, 0, 1], [0, 0, 0, 1], [0, 1, 1, 0]])
    >>> mf.graph.pagerank(links).round(5)
    array([0.14375, 0.25   , 0.25   , 0.35625])
    >>> mf.graph.pagerank(links, personalization={0: 1}).round(4)
    array([0.2476, 0.2297, 0.2297, 0.2929])
    >>> bool(mf.graph.pagerank(links, tol=1e-6, full_output=True).error_bound <= 1e-6)
    True
    """
    damping = check_damping("pagerank", damping)
    tol, max_iter = check_limits("pagerank", tol, max_iter, damping)
    dense = _as_dense(links)
    if dense is not None and (dense[0].ndim > 2 or (dense[0].shape[0] <= most_dense_nodes and damping < 1)):
        answer = _rank_stack(*dense, damping, personalization, dangling, tol, max_iter)
    else:
        graph = links if isinstance(links, Links) else Links(links)
        v = distribution("personalization", personalization, graph)
        w = None if dangling is None else distribution("dangling", dangling, graph)
        answer = _rank("pagerank", graph, v, w, damping, tol, max_iter)
    return answer if full_output else answer.scores


@overload
def pagerank_many(
    links: Any,
    personalization: ArrayLike | None = ...,
    damping: ArrayLike = ...,
    *,
    full_output: Literal[False] = ...,
    **limits: Unpack[Limits],
) -> Array: ...
@overload
def pagerank_many(
    links: Any,
    personalization: ArrayLike | None = ...,
    damping: ArrayLike = ...,
    *,
    full_output: Literal[True],
    **limits: Unpack[Limits],
) -> PageRank: ...
def pagerank_many(
    links: Any,
    personalization: ArrayLike | None = None,
    damping: ArrayLike = 0.85,
    *,
    tol: float = 1e-10,
    max_iter: int | None = None,
    full_output: bool = False,
) -> Array | PageRank:
    """Many rankings of one graph at once: one for each personalization, each damping, or each pair of them.

    Eight or sixteen rankings share each access to memory, one in each SIMD lane, which makes one of them several times
    cheaper than alone.

    Parameters
    ----------
    links : sparse matrix or array, array_like, networkx graph, igraph.Graph, or Links
        As for `pagerank`.
    personalization : array_like of shape (..., n), optional
        Where jumps, and the walk from a node that no link leaves, go: one row per ranking, in any scale. The columns of
        a data frame name nodes as `Links.nodes` does, or by number; nodes without a column have weight zero.
    damping : float or array_like of shape (...)
        Probability of following a link; broadcast against the rows of `personalization`.
    tol : float
        How large the sum of the absolute errors of the scores of each ranking may be.
    max_iter : int, optional
        How often the links may be gone through, at least 4 times; by default more than the plain iteration can need.
    full_output : bool
        Whether to return the error bounds and the numbers of iterations too.

    Returns
    -------
    ndarray of float64, shape (..., n)
        Scores, each with sum 1. With `full_output`, a `PageRank` of scores, error_bound and n_iter, the latter two of
        shape (...).

    Raises
    ------
    ValueError
        As `pagerank`; the message names the ranking.
    TypeError
        If numbers are complex or no numbers at all.

    Warns
    -----
    ConvergenceWarning
        If a ranking reached `max_iter`, or rounding does not allow `tol`.

    Notes
    -----
    A ranking has the same bits whatever is ranked with it, and for any number of threads. For dampings from 0.01 to
    0.99 the strongly connected components of the graph are solved one after the other [1]_, by Gauss-Seidel in float32
    that corrects a solution in float64; `n_iter` counts the links read. They are found at the first call with a
    `Links` and kept in it, which takes as much memory again as the links. Other dampings, and graphs with a component
    of more than 262 144 nodes, take rounds of three sweeps of block Gauss-Seidel and a step of the power method, in
    float64, with Anderson's acceleration between rounds [2]_. What they do not get to `tol` is done as by `pagerank`.

    References
    ----------
    .. [1] K. Avrachenkov, N. Litvak, Decomposition of the Google PageRank and optimal linking strategy, INRIA RR-5101
       (2004).
    .. [2] H. F. Walker, P. Ni, Anderson acceleration for fixed-point iterations, SIAM J. Numer. Anal. 49 (2011)
       1715-1735.

    Examples
    --------
    >>> import numpy as np
    >>> import mmlfast as mf
    >>> links = mf.graph.Links.from_edges([0, 0, 1, 2], [1, 2, 0, 0])
    >>> mf.graph.pagerank_many(links, np.eye(3)).round(3)
    array([[0.541, 0.23 , 0.23 ],
           [0.459, 0.345, 0.195],
           [0.459, 0.195, 0.345]])
    >>> mf.graph.pagerank_many(links, damping=[0.5, 0.85, 0.95]).round(3)
    array([[0.444, 0.278, 0.278],
           [0.486, 0.257, 0.257],
           [0.496, 0.252, 0.252]])
    """
    graph = links if isinstance(links, Links) else Links(links)
    n = graph.n_nodes
    rows = distributions("pagerank_many", personalization, graph)
    factors = as_float(damping, "damping").astype(np.float64, copy=False)
    good = (factors >= 0) & (factors <= 1)
    if not good.all():
        raise ValueError(f"pagerank_many: damping must be from 0 to 1, got {factors[~good][0]}")
    try:
        batch = np.broadcast_shapes(rows.shape[:-1], factors.shape)
    except ValueError:
        raise ValueError(
            f"pagerank_many: damping of shape {factors.shape} does not fit personalization of shape {rows.shape}"
        ) from None
    tol, most = check_limits("pagerank_many", tol, max_iter, float(factors.max(initial=0, where=factors < 1)))
    v = np.require(np.broadcast_to(rows, (*batch, n)), requirements=["C", "A"]).reshape(-1, n)
    d = np.require(np.broadcast_to(factors, batch), requirements=["C", "A"]).reshape(-1)
    damped = d < 1
    scores, bounds, counts = np.empty(v.shape), np.empty(len(v)), np.empty(len(v), np.int64)
    if damped.all():
        scores, bounds, counts = _in_lanes(graph, v, d, tol, most)
    else:
        scores[damped], bounds[damped], counts[damped] = _in_lanes(graph, v[damped], d[damped], tol, most)
    for i in np.flatnonzero(~damped):
        own_most = check_limits("pagerank_many", tol, max_iter, 1.0)[1]
        scores[i], bounds[i], counts[i] = _rank("pagerank_many", graph, v[i], None, 1.0, tol, own_most)
    if (damped & (bounds > tol)).any():
        worst = int(np.argmax(np.where(damped, bounds, 0)))
        place = f", ranking {tuple(int(i) for i in np.unravel_index(worst, batch))}" if batch else ""
        warn_of_bound("pagerank_many", bounds[worst], tol, place, counts[worst] > most - _ROUND)
    answer = PageRank(scores.reshape(*batch, n), bounds.reshape(batch)[()], counts.reshape(batch)[()])
    return answer if full_output else answer.scores


# What pagerank_many goes through the links for before it looks.
_ROUND = 4
# Sweeps at damping 1 and next to it before elimination is tried: most graphs need fewer.
_FIRST_SWEEPS = 300
# And in lanes: what the ranking of components one after the other may ask for at its largest damping, 0.99.
_FIRST_IN_LANES = 6000
_UNIT = 2.0**-53


def _in_lanes(graph: Links, v: Array, d: Array, tol: float, most: int) -> tuple[Array, Array, Array]:
    """Scores, bounds and counts of rankings at dampings below 1."""
    first = min(most, _FIRST_IN_LANES)
    scores, bounds, counts, _ = _core.pagerank_many(graph._core, v, d, tol, first)
    factored: dict[float, Any] = {}
    for i in np.flatnonzero(bounds > tol):
        own = PageRank(scores[i], bounds[i], counts[i])
        own = _directly(graph, v[i], None, d[i], tol, most - _ROUND, own, factored)
        if most > first and own.error_bound > tol and _is_within_reach(own.error_bound, tol, d[i]):
            again = PageRank(
                *(part[0] for part in _core.pagerank_many(graph._core, v[i : i + 1], d[i : i + 1], tol, most)[:3])
            )
            own = again if again.error_bound < own.error_bound else own
        scores[i], bounds[i], counts[i] = own
    return scores, bounds, counts


def _rank(function: str, graph: Links, v: Array, w: Array | None, damping: float, tol: float, most: int) -> PageRank:
    answer = _iterated(graph, v, w, damping, tol, most)
    if damping == 1:
        groups = closed_groups(graph, v if w is None else w)
        if groups > 1:
            warn_caller(
                f"{function}: at damping 1 the scores are not unique: the graph has {groups} closed groups of nodes; "
                "these are the limit for damping below 1"
            )
    if not answer.error_bound <= tol:
        warn_of_bound(function, answer.error_bound, tol, "", answer.n_iter >= most)
    return answer


def _iterated(graph: Links, v: Array, w: Array | None, damping: float, tol: float, most: int) -> PageRank:
    """By Krylov's method or step by step, and by elimination where that takes too long."""
    by_steps = damping > 1 - 1e-5
    first = min(most, _FIRST_SWEEPS) if by_steps else most
    answer = PageRank(*_core.pagerank(graph._core, v, w, damping, tol, first, None)[:3])
    if answer.error_bound <= tol:
        return answer
    answer = _directly(graph, v, w, damping, tol, most, answer)
    left = most - answer.n_iter
    if by_steps and left > 0 and answer.error_bound > tol and _is_within_reach(answer.error_bound, tol, damping):
        answer = _certified(graph, v, w, damping, tol, left, answer)
    return answer


def _is_within_reach(bound: float, tol: float, damping: float) -> bool:
    """Whether rounding may allow less than `bound`."""
    least = _UNIT / (1 - damping) if damping < 1 else 0.0
    return tol >= 4 * least or bound > 1000 * least


def _directly(
    graph: Links,
    v: Array,
    w: Array | None,
    damping: float,
    tol: float,
    most: int,
    answer: PageRank,
    cache: dict[float, Any] | None = None,
) -> PageRank:
    """The answer by elimination, if there may be a better one and it is one."""
    if damping < 0.9 or answer.n_iter >= most or not _is_within_reach(answer.error_bound, tol, damping):
        return answer
    from mmlfast.graph._pagerank_direct import DirectRanking, DirectSolveFailed

    cache = {} if cache is None else cache
    try:
        if damping not in cache:
            cache[damping] = DirectRanking(graph, damping)
        before = cache[damping].n_iter
        scores = cache[damping].scores(v, w)
    except DirectSolveFailed:
        return answer
    n_iter = answer.n_iter + cache[damping].n_iter - before
    direct = _certified(graph, v, w, damping, tol, 20, PageRank(scores, math.inf, n_iter))
    return direct if direct.error_bound < answer.error_bound else answer._replace(n_iter=direct.n_iter)


def _certified(
    graph: Links, v: Array, w: Array | None, damping: float, tol: float, most: int, start: PageRank
) -> PageRank:
    """`start` made better, step by step, until it is good enough."""
    scores, bound, n_iter, _ = _core.pagerank(graph._core, v, w, damping, tol, most, start.scores)
    return PageRank(scores, bound, start.n_iter + n_iter)


def _rank_stack(
    a: Array, nodes: list[Any] | None, damping: float, personalization: Any, dangling: Any, tol: float, max_iter: int
) -> PageRank:
    """One dense matrix of a few nodes, or a stack of matrices of any size."""
    n = a.shape[-1]
    names = Names(n, nodes)
    v = distribution("personalization", personalization, names)
    w = None if dangling is None else distribution("dangling", dangling, names)
    if n <= most_dense_nodes and damping < 1:
        scores, bound, n_iter, worst = rank_dense(a, damping, v, w, nodes)
        if worst > tol:
            warn_of_bound("pagerank", worst, tol, "", False)
        return PageRank(scores, bound, n_iter[()])
    parts = [_rank("pagerank", Links(item), v, w, damping, tol, max_iter) for item in a.reshape(-1, n, n)]
    batch = a.shape[:-2]
    bound, n_iter = (np.array([part[i] for part in parts]).reshape(batch) for i in (1, 2))
    return PageRank(np.array([part[0] for part in parts]).reshape(*batch, n), bound, n_iter)


def _as_dense(links: Any) -> tuple[Array, list[Any] | None] | None:
    """The array behind `links`, if it is an array or becomes one, and the names of its rows."""
    if type(links) is np.ndarray:
        a, nodes = links, None
    elif isinstance(links, Links) or any(hasattr(links, name) for name in ("tocsr", "adjacency", "get_edgelist")):
        return None
    else:
        a, nodes = table_and_nodes(links)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise ValueError(f"pagerank: links must be a square matrix, got shape {a.shape}")
    if a.shape[-1] == 0:
        raise ValueError("pagerank: the graph has no nodes")
    check_real(a, "links")
    check_digits(a, "links")
    return a, nodes
