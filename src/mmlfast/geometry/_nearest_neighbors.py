"""The estimator of nearest neighbours; public as `mmlfast.geometry.NearestNeighbors`.

Importing this imports scikit-learn where it is installed.
"""

from __future__ import annotations

import operator
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from mmlfast._common.estimator import BaseEstimator, check_is_fitted, validate_rows
from mmlfast.geometry._distances import NAMES, check_name
from mmlfast.geometry._mahalanobis import Mahalanobis
from mmlfast.geometry._metric import check_axes, root_of_metric
from mmlfast.geometry._neighbors import nearest

Array = np.ndarray[Any, Any]

ALGORITHMS = ("auto", "ball_tree", "kd_tree", "brute")


class NearestNeighbors(BaseEstimator):
    """Nearest neighbours with scikit-learn's interface, exactly.

    Parameters
    ----------
    n_neighbors : int
        How many neighbours `kneighbors` looks for if it is not told.
    metric : {"euclidean", "sqeuclidean", "cosine", "minkowski"}, array_like or Mahalanobis, optional
        A name as for `cdist`; "minkowski" is scikit-learn's default and, for ``p=2``, the Euclidean distance. Or the
        matrix of an inner product, symmetric and positive definite, shape (D, D), a vector of positive weights, or a
        `Mahalanobis`. Default: the Euclidean distance.
    p : float
        The power of "minkowski"; only 2.
    algorithm : {"auto", "ball_tree", "kd_tree", "brute"}
        Not used: the answer is the same, and the way to it is chosen by the sizes.
    leaf_size, n_jobs : int, optional
        Not used; threads are those of `mmlfast.set_num_threads`.

    Attributes
    ----------
    n_features_in_ : int
        Dimensions of the points.
    n_samples_fit_ : int
        Number of points.

    See Also
    --------
    knn : the same as a function, with its notes on accuracy.

    Examples
    --------
    >>> import mmlfast as mf
    >>> points = [[0.0, 0.0], [1.0, 0.0], [0.0, 3.0]]
    >>> near = mf.geometry.NearestNeighbors(n_neighbors=1).fit(points)
    >>> near.kneighbors([[0.0, 2.0]])
    (array([[1.]]), array([[2]]))
    >>> near.kneighbors(return_distance=False)  # of the points themselves, not counting each as its own neighbour
    array([[1],
           [0],
           [0]])
    """

    def __init__(
        self,
        *,
        n_neighbors: int = 5,
        metric: ArrayLike | Mahalanobis | str | None = None,
        p: float = 2,
        algorithm: str = "auto",
        leaf_size: int = 30,
        n_jobs: int | None = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.metric = metric
        self.p = p
        self.algorithm = algorithm
        self.leaf_size = leaf_size
        self.n_jobs = n_jobs

    def _metric(self) -> Any:
        """The metric in the words of `knn`."""
        if not isinstance(self.metric, str):
            return self.metric
        check_name("NearestNeighbors", self.metric, (*NAMES, "minkowski"))
        if self.metric == "minkowski" and self.p != 2:
            raise ValueError(f"NearestNeighbors: p must be 2, the Euclidean distance, got {self.p!r}")
        return "euclidean" if self.metric == "minkowski" else self.metric

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Keep the points.

        Parameters
        ----------
        X : array_like, shape (n_samples, n_features)
            Points in rows; they are not copied.
        y : object
            Not used.

        Returns
        -------
        NearestNeighbors
            The estimator itself.
        """
        _count(self.n_neighbors)
        if self.algorithm not in ALGORITHMS:
            raise ValueError(
                f"NearestNeighbors: algorithm must be one of {', '.join(map(repr, ALGORITHMS))}, got {self.algorithm!r}"
            )
        metric = self._metric()
        if metric is not None and not isinstance(metric, str):
            check_axes("NearestNeighbors", metric, X=(X, "nd", "d"))
        self._points = _rows(self, X, reset=True)
        if metric is not None and not isinstance(metric, str):
            root_of_metric("NearestNeighbors", metric, self._points.shape[1])  # for its checks
        self.n_samples_fit_ = len(self._points)
        return self

    def kneighbors(
        self, X: ArrayLike | None = None, n_neighbors: int | None = None, return_distance: bool = True
    ) -> Any:
        """The nearest points of each query.

        Parameters
        ----------
        X : array_like, shape (n_queries, n_features), optional
            Queries in rows. Default: the points of the fit, none of which is its own neighbour then.
        n_neighbors : int, optional
            How many. Default: that of the constructor.
        return_distance : bool
            Whether the distances are returned too.

        Returns
        -------
        distances : ndarray, shape (n_queries, n_neighbors)
            The nearest first; only with ``return_distance=True``.
        indices : ndarray, shape (n_queries, n_neighbors)
            Rows of the points.
        """
        check_is_fitted(self)
        k = _count(self.n_neighbors if n_neighbors is None else n_neighbors)
        own = X is None
        queries = self._points if own else _rows(self, X, reset=False)
        most = self.n_samples_fit_ - own
        if k > most:
            raise ValueError(
                f"Expected n_neighbors <= {'n_samples_fit - 1' if own else 'n_samples_fit'}, but n_neighbors = {k}, "
                f"n_samples_fit = {self.n_samples_fit_}, n_samples = {len(queries)}"
            )
        distances, indices = nearest("NearestNeighbors", queries, self._points, k + own, self._metric())
        if own:
            others = indices != np.arange(len(indices))[:, None]
            others[others.all(axis=1), -1] = False  # so many duplicates that the point itself is not among them
            distances, indices = (a[others].reshape(-1, k) for a in (distances, indices))
        return (distances, indices) if return_distance else indices

    def kneighbors_graph(
        self, X: ArrayLike | None = None, n_neighbors: int | None = None, mode: str = "connectivity"
    ) -> Any:
        """The nearest points of each query as a sparse matrix.

        Parameters
        ----------
        X : array_like, shape (n_queries, n_features), optional
            As for `kneighbors`.
        n_neighbors : int, optional
            As for `kneighbors`.
        mode : {"connectivity", "distance"}
            What the entries are: 1, or the distance.

        Returns
        -------
        scipy.sparse.csr_matrix, shape (n_queries, n_samples_fit)
            Row i has an entry for each neighbour of query i.
        """
        if mode not in ("connectivity", "distance"):
            raise ValueError(f"mode must be 'connectivity' or 'distance', got {mode!r}")
        from scipy.sparse import csr_matrix

        distances, indices = self.kneighbors(X, n_neighbors)
        n, k = indices.shape
        entries = np.ones(n * k) if mode == "connectivity" else distances.ravel()
        return csr_matrix((entries, indices.ravel(), np.arange(0, n * k + 1, k)), shape=(n, self.n_samples_fit_))


@np.errstate(all="ignore")
def _rows(estimator: NearestNeighbors, X: Any, *, reset: bool) -> Array:
    return np.asarray(validate_rows(estimator, X, reset=reset))


def _count(n_neighbors: Any) -> int:
    try:
        k = operator.index(n_neighbors)
    except TypeError:
        raise TypeError(f"n_neighbors does not take {type(n_neighbors)} value, enter integer value") from None
    if k < 1:
        raise ValueError(f"Expected n_neighbors > 0. Got {k}")
    return k
