"""Principal component analysis of rows that come in pieces; public as `mmlfast.decomposition.IncrementalPCA`."""

from __future__ import annotations

import numbers
from typing import Any, Self

import numpy as np

from mmlfast._common.estimator import validate_rows
from mmlfast._common.row_blocks import RowBlocks, is_stream, mapped
from mmlfast.decomposition._low_rank_moments import LowRankMoments
from mmlfast.decomposition._pca_base import PCABase
from mmlfast.decomposition._spectrum import by_covariance
from mmlfast.stats._moments import Moments, totals

Array = np.ndarray[Any, Any]

LARGEST_EXACT = 4000
SOLVED = (
    "components_",
    "explained_variance_",
    "explained_variance_ratio_",
    "singular_values_",
    "noise_variance_",
    "mean_",
    "var_",
    "_mean",
    "_values",
    "_directions",
    "_noise",
    "_exponent",
    "_variance_error",
    "discarded_variance_",
)


class IncrementalPCA(PCABase):
    """Principal component analysis of rows in batches, with scikit-learn's interface; exact up to 4000 columns.

    Parameters
    ----------
    n_components : int, optional
        How many components to keep; by default the smaller side of the first batch.
    whiten : bool
        Whether `transform` divides each score by its standard deviation.
    copy : bool
        Not used: the rows are never written to.
    batch_size : int, optional
        Not needed: the answer does not depend on it. Sets `batch_size_`.
    verbose : bool
        Whether `fit` shows the progress of readings from disk or from a stream on the standard error.

    Attributes
    ----------
    components_, explained_variance_, explained_variance_ratio_, singular_values_, mean_, noise_variance_, n_components_
        As in `PCA`.
    var_ : ndarray, shape (n_features,)
        Variance of the columns, divisor n.
    n_samples_seen_, batch_size_, n_features_in_ : int
    discarded_variance_ : float
        Bound on the error of each explained variance: 0 up to 4000 columns.

    See Also
    --------
    PCA : reads again where components are so small that moments lose them.

    Notes
    -----
    The state is the number, mean and second moments of the rows (`mmlfast.stats.Moments`): any batches, also of one
    row, give the bits of one batch. scikit-learn's keeps ``n_components`` singular vectors, and drifts. Above 4000
    columns ``2 n_components + 10`` singular vectors are kept, and what was left out is bounded. Components are computed
    when they are asked for. Ctrl-C during `fit` keeps the rows read so far.

    Variances are right to about 1e-15 of the largest one.

    Examples
    --------
    >>> import numpy as np
    >>> import mmlfast as mf
    >>> x = np.random.default_rng(0).standard_normal((100, 5)) * [5, 4, 3, 2, 1]
    >>> pca = mf.decomposition.IncrementalPCA(n_components=2)
    >>> for row in x:
    ...     pca = pca.partial_fit(row[None])
    >>> bool(np.all(pca.components_ == mf.decomposition.IncrementalPCA(n_components=2).fit(x).components_))
    True
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        whiten: bool = False,
        copy: bool = True,
        batch_size: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.n_components = n_components
        self.whiten = whiten
        self.copy = copy
        self.batch_size = batch_size
        self.verbose = verbose

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "n_samples_seen_")

    def fit(self, X: Any, y: Any = None) -> Self:
        """Forget everything, and find the components of rows.

        Parameters
        ----------
        X, y : array_like
            As for `PCA.fit`.

        Returns
        -------
        IncrementalPCA
            The object itself.

        Raises
        ------
        ValueError
            If `n_components` is not between 1 and the number of columns, or there is NaN or infinity.
        """
        self._forget()
        if is_stream(X):
            self._read(RowBlocks(X, verbose=self.verbose))
        elif hasattr(X, "tocsr"):
            rows = validate_rows(self, X, reset=True, accept_sparse=("csr", "csc", "lil"))
            for block in RowBlocks(rows):
                self._update(block)
        elif isinstance(X, np.ndarray) and X.ndim == 2 and len(X) and mapped(X) is not None:
            self._read(RowBlocks(X, verbose=self.verbose))
        else:
            self._update(validate_rows(self, X, reset=True, min_samples=2))
        self.batch_size_ = 5 * self.n_features_in_ if self.batch_size is None else self.batch_size
        self._solve()
        return self

    def partial_fit(self, X: Any, y: Any = None, check_input: bool = True) -> Self:
        """Take in more rows.

        Parameters
        ----------
        X : array_like, shape (n, n_features)
            Samples in rows, any number of them.
        y : ignored
        check_input : bool
            False leaves out the search for NaN and infinity.

        Returns
        -------
        IncrementalPCA
            The object itself; its components are computed when they are asked for.

        Raises
        ------
        ValueError
            If `n_components` or the number of columns has changed, or there is NaN or infinity.
        TypeError
            If `X` is sparse.
        """
        if hasattr(X, "tocsr"):
            raise TypeError(
                "IncrementalPCA.partial_fit does not support sparse input. Either convert data to dense or use "
                "IncrementalPCA.fit to do so in batches."
            )
        first = not hasattr(self, "n_samples_seen_")
        self._update(validate_rows(self, X, reset=first, finite=check_input))
        return self

    def _read(self, blocks: RowBlocks) -> None:
        for block in blocks:
            first = not hasattr(self, "n_samples_seen_")
            self._update(validate_rows(self, block, reset=first))

    def _forget(self) -> None:
        for name in (*SOLVED, "n_samples_seen_", "n_components_", "_state", "_unit", "n_features_in_"):
            self.__dict__.pop(name, None)

    def _update(self, rows: Array) -> None:
        n, d = rows.shape
        self._check_components(n, d)
        if not hasattr(self, "_state"):
            kept = 2 * self.n_components_ + 10
            self._state: Moments | LowRankMoments = Moments(d) if d <= LARGEST_EXACT else LowRankMoments(kept)
            self._dtype = rows.dtype
            # Rows are taken in times 2^-unit, which is 0 unless squares of the first of them might leave float64.
            # (`LowRankMoments` has a unit of its own.)
            power = int(np.frexp(np.abs(rows).max(initial=0))[1])
            self._unit = power if abs(power) > 200 and isinstance(self._state, Moments) else 0
        if self._unit:
            rows = np.ldexp(rows.astype(np.float64), -self._unit)
        try:
            self._state.update(rows)
        finally:  # Ctrl-C keeps what was taken in
            self.n_samples_seen_ = int(self._state.count)
            for name in SOLVED:
                self.__dict__.pop(name, None)

    def _check_components(self, n: int, d: int) -> None:
        k = self.n_components
        if k is None:
            self.n_components_ = getattr(self, "n_components_", min(n, d))
            return
        if not isinstance(k, numbers.Real):
            raise TypeError(f"n_components must be a whole number or None, got {k!r:.60}")
        if not 1 <= k <= d:
            raise ValueError(
                f"n_components={k!r} invalid for n_features={d}, need more rows than columns for "
                f"IncrementalPCA processing"
            )
        if getattr(self, "n_components_", k) != k:
            raise ValueError(f"n_components has changed from {self.n_components_} to {k} between calls to partial_fit")
        self.n_components_ = k

    def __getattr__(self, name: str) -> Any:
        if name in SOLVED and "_state" in self.__dict__:
            self._solve()
            return self.__dict__[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @np.errstate(all="ignore")
    def _solve(self) -> None:
        state, k = self._state, self.n_components_
        if isinstance(state, LowRankMoments):
            n, mean = state.count, np.asarray(state.mean, np.float64)
            spectrum = state.spectrum(k)
            self.discarded_variance_ = state.discarded / max(n - 1, 1)
            variance = state.variance()
        else:
            n, mean, products = totals(state)
            spectrum = by_covariance(n, mean, products, k, None, 8)
            self.discarded_variance_ = 0.0
            variance = np.diagonal(products) / n
            variance = np.ldexp(variance, 2 * self._unit)
            mean = np.ldexp(mean, self._unit)
            spectrum = spectrum._replace(exponent=spectrum.exponent + self._unit)
        self.var_ = variance.astype(self._dtype)
        self._set_fitted(spectrum, k, mean, n, self._dtype)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
