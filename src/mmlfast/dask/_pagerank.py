"""PageRank of a graph in partitions."""

from __future__ import annotations

from typing import Any, Literal, Unpack, overload

import numpy as np

from mmlfast.dask._link_partitions import LinkPartitions
from mmlfast.dask._ranking import Ranking
from mmlfast.graph._jumps import distribution
from mmlfast.graph._node_ids import Names
from mmlfast.graph._pagerank import PageRank
from mmlfast.graph._pagerank_arguments import Jumps, RankOptions, check_damping, check_limits, warn_of_bound

Array = np.ndarray[Any, Any]


@overload
def pagerank(
    links: Any,
    damping: float = ...,
    *,
    full_output: Literal[False] = ...,
    n_nodes: int | None = ...,
    **options: Unpack[RankOptions],
) -> Array: ...
@overload
def pagerank(
    links: Any,
    damping: float = ...,
    *,
    full_output: Literal[True],
    n_nodes: int | None = ...,
    **options: Unpack[RankOptions],
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
    n_nodes: int | None = None,
) -> Array | PageRank:
    """PageRank of a graph that is in partitions, on one machine or many: `mmlfast.graph.pagerank` by Dask.

    Workers keep the links, the client keeps the scores. Every sweep sends the present vector out and sums what comes
    back from the partitions in a tree.

    Parameters
    ----------
    links : dask.array.Array, Dask data frame, or iterable of partitions
        Either rows of the matrix whose entry (i, j) is the weight of the link from node i to node j: a Dask array of
        shape (n, n) with dense or sparse blocks, or the blocks of its rows in order, as SciPy sparse matrices. Or the
        links in any order: a Dask array of shape (m, 2) or (m, 3), or arrays of that shape, with source, target and
        weight; or a data frame with columns of these names, whatever others it has. Chunks and partitions are of any
        size, known or not, and partitions may be delayed values, futures, or the data themselves. A Dask array of shape
        (2, 2) or (3, 3) is a matrix. A link that is given more than once counts as often.

        Links name their ends as in `mmlfast.graph.Links.from_edges`, but in an array of floats ids are whole numbers.
        The nodes are the ids that occur, in the order of `from_edges`: sorted if they are integers or text
        (``numpy.unique`` of all of them).
    damping : float
        As for `mmlfast.graph.pagerank`.
    personalization, dangling : array_like of shape (n,), or mapping of nodes to weights, optional
        As there; a mapping, or a labelled array, names nodes by their ids, or rows by number.
    tol, max_iter, full_output : float, int and bool
        As there.
    n_nodes : int, optional
        The nodes of a graph given by links are the numbers 0 .. n_nodes - 1, whether they occur or not.

    Returns
    -------
    ndarray of float64, shape (n,)
        Scores with sum 1, in the order of the rows, or of the ids. With `full_output`, a `mmlfast.graph.PageRank` of
        scores, error_bound and n_iter.

    Raises
    ------
    ImportError
        If Dask is not installed.
    ValueError
        As `mmlfast.graph.pagerank`; or the rows do not make a square matrix, or a node is not one of `n_nodes`.
    TypeError
        If numbers are complex or no numbers at all, or `links` is none of the above.

    Warns
    -----
    ConvergenceWarning
        If `max_iter` was reached, or rounding does not allow `tol`; `error_bound` holds all the same.

    See Also
    --------
    mmlfast.graph.pagerank : for a graph that fits in memory, many times faster.

    Notes
    -----
    `error_bound` is that of `mmlfast.graph.pagerank`. The system is solved by restarted GMRES, with ten vectors of
    float32 on the client; where that gains nothing over the power method, by the power method. The same partitions
    give the same bits on any number of workers.

    A worker that is lost costs the time to make its partitions again, from the delayed values that they came from; data
    that exist nowhere else, as those of `Client.scatter`, cannot be made again.

    At ``damping=1`` the walk is followed half a step at a time, as by `mmlfast.graph.pagerank`, but closed groups of
    nodes are not looked for: there is no warning if the answer is not unique.

    Examples
    --------
    >>> import dask
    >>> import mmlfast as mf
    >>> parts = [dask.delayed([[0, 1], [0, 2], [1, 0]]), dask.delayed([[1, 3], [2, 3], [3, 1], [3, 2]])]
    >>> mf.dask.pagerank(parts).round(5)
    array([0.14375, 0.25   , 0.25   , 0.35625])
    """
    damping = check_damping("dask.pagerank", damping)
    tol, max_iter = check_limits("dask.pagerank", tol, max_iter, damping)
    partitions = LinkPartitions(links, n_nodes)
    names = Names(partitions.n_nodes, partitions.nodes)
    v = distribution("personalization", personalization, names)
    w = v if dangling is None else distribution("dangling", dangling, names)
    ranking = Ranking(partitions, v, w, damping)
    answer = ranking.solve(tol, max_iter) if damping < 1 else ranking.stationary(tol, max_iter)
    if not answer.error_bound <= tol:
        _tell(answer, tol, max_iter)
    return answer if full_output else answer.scores


def _tell(answer: PageRank, tol: float, max_iter: int) -> None:
    warn_of_bound("dask.pagerank", answer.error_bound, tol, "", answer.n_iter >= max_iter)
