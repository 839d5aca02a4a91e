"""Principal component analysis; public as `mmlfast.decomposition.PCA`."""

from __future__ import annotations

import numbers
from functools import partial
from typing import Any, Self

import numpy as np

from mmlfast._common.arrays import float_dtype
from mmlfast._common.errors import warn_caller
from mmlfast._common.estimator import forget_labels, refuse_not_finite, validate_rows
from mmlfast._common.row_blocks import RowBlocks, is_stream, mapped
from mmlfast.decomposition._centred_rows import CentredRows
from mmlfast.decomposition._dimension import likely_dimension
from mmlfast.decomposition._krylov import dominant_eigenpairs
from mmlfast.decomposition._pca_base import PCABase
from mmlfast.decomposition._small_components import refined
from mmlfast.decomposition._spectrum import Refine, Spectrum, by_covariance, by_gram, column_means, rest_is_small
from mmlfast.stats._moments import Moments, totals

Array = np.ndarray[Any, Any]

SOLVERS = ("auto", "full", "covariance_eigh", "arpack", "randomized")


class PCA(PCABase):
    """Principal component analysis with scikit-learn's interface, and the accuracy of a full SVD by default.

    Parameters
    ----------
    n_components : int, float, "mle" or None
        How many components to keep; a fraction between 0 and 1 of the variance to explain; "mle" for Minka's estimate
        [1]_; None for all.
    copy : bool
        Not used: the rows are never written to.
    whiten : bool
        Whether `transform` divides each score by its standard deviation.
    svd_solver : {"auto", "full", "covariance_eigh", "arpack", "randomized"}
        The names are scikit-learn's. "auto" and "full" go through the covariance matrix, or for fewer rows than columns
        through the products of the rows, and read the table again where that is not accurate enough; "auto" takes a
        block Krylov method instead if both sides are above 1500 and few components are asked for. "covariance_eigh"
        never reads twice. "arpack" and "randomized" are the Krylov method.
    tol : float
        The Krylov method stops when every residual is below `tol` times the largest variance; 0 is as small as rounding
        allows.
    iterated_power : int or "auto"
        The most that the Krylov method may read the rows.
    n_oversamples : int
        Columns of a Krylov block beyond the number of components, as far as a block stays small.
    power_iteration_normalizer : str
        Not used.
    random_state : int, numpy Generator, RandomState or None
        Seeds the first block of the Krylov method; None is 0.
    verbose : bool
        Whether to show the progress of readings from disk or from a stream on the standard error.

    Attributes
    ----------
    components_ : ndarray, shape (n_components, n_features)
        Orthonormal directions, in order of decreasing variance; in each the entry of largest magnitude is positive.
    explained_variance_, explained_variance_ratio_, singular_values_ : ndarray, shape (n_components,)
        Variance of the scores (divisor n - 1), its share in the sum of all variances, and the square root of the sum of
        squares.
    mean_ : ndarray, shape (n_features,)
    n_components_, n_samples_, n_features_in_ : int
    noise_variance_ : float
        Mean of the variances of the components left out.
    solver_ : str
        How the components were found.
    n_readings_ : int
        How often the rows were read.

    See Also
    --------
    IncrementalPCA : for rows that come in pieces.
    pca : for many small tables at a time.

    Notes
    -----
    Blocks of rows are centred in cache and summed in float64, also for float32, so a large mean loses nothing.
    Variances that the covariance matrix gives to less than 1e-12 of themselves (float32: 2e-8), which are those below
    about 1e-3 of the largest (4e-8), are found again from the scores, each to 1e-12 of itself as far as 1e-16 of the
    largest: more accurate than an SVD of the table. Where nothing varies the variance is 0, and whitened scores
    are 0.

    `fit` also takes a memory map of any numbers, which is read in blocks that are given back to the system, and an
    iterable of chunks of rows. An iterator can be read only once: if accuracy would need a second reading, a
    RuntimeWarning says so. Ctrl-C during the first reading of a map or of a stream leaves the estimator fitted to
    the rows that were read.

    References
    ----------
    .. [1] T. P. Minka, Automatic choice of dimensionality for PCA, NIPS 2000.
    .. [2] I. T. Jolliffe, Principal Component Analysis, 2nd ed., Springer 2002.

    Examples
    --------
    >>> import numpy as np
    >>> import mmlfast as mf
    >>> x = np.array([[-1.0, -1], [-2, -1], [-3, -2], [1, 1], [2, 1], [3, 2]]) + 1e6
    >>> pca = mf.decomposition.PCA(n_components=1).fit(x)
    >>> pca.components_.round(4), pca.explained_variance_ratio_.round(4)
    (array([[0.8385, 0.5449]]), array([0.9924]))
    """

    _unit = 0  # the rows are fitted times 2^-_unit

    def __init__(
        self,
        n_components: int | float | str | None = None,
        *,
        copy: bool = True,
        whiten: bool = False,
        svd_solver: str = "auto",
        tol: float = 0.0,
        iterated_power: int | str = "auto",
        n_oversamples: int = 10,
        power_iteration_normalizer: str = "auto",
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.n_components = n_components
        self.copy = copy
        self.whiten = whiten
        self.svd_solver = svd_solver
        self.tol = tol
        self.iterated_power = iterated_power
        self.n_oversamples = n_oversamples
        self.power_iteration_normalizer = power_iteration_normalizer
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the components of rows.

        Parameters
        ----------
        X : array_like, sparse matrix, memory map, or iterable of chunks; shape (n, n_features)
            Samples in rows.
        y : ignored

        Returns
        -------
        PCA
            The object itself.

        Raises
        ------
        ValueError
            If the parameters or the shape do not fit, or there is NaN or infinity.
        TypeError
            If the numbers are complex or no numbers at all, or a sparse matrix meets a solver for dense ones only.

        Warns
        -----
        RuntimeWarning
            If an iterator would have to be read again.
        ConvergenceWarning
            If the Krylov method stops before `tol`.
        """
        self._fit(X)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Find the components of rows, and their scores.

        Parameters
        ----------
        X : array_like, sparse matrix or memory map, shape (n, n_features)
            Samples in rows.
        y : ignored

        Returns
        -------
        ndarray, shape (n, n_components)
        """
        rows = self._fit(X)
        if not hasattr(rows, "shape"):
            raise TypeError("fit_transform: chunks can be read once only; use fit, then transform chunk by chunk")
        return self._scores(rows)

    def _fit(self, X: Any) -> Any:
        self._check_parameters()
        rows, blocks = self._take_in(X)
        if blocks.n_rows is not None:
            self._check_components(*rows.shape)
        self._unit = 0
        self._solve(rows, blocks)
        if isinstance(rows, np.ndarray) and mapped(rows) is None:
            unit = self._unit_of(rows)
            if unit:
                self._unit, scaled = unit, np.ldexp(rows, -unit)
                self._solve(scaled, RowBlocks(scaled))
        return rows

    def _solve(self, rows: Any, blocks: RowBlocks) -> None:
        if self._wants_krylov(rows):
            self._fit_krylov(rows, blocks)
        elif self._wants_gram(rows):
            self._fit_gram(rows)
        else:
            self._fit_covariance(rows, blocks)

    def _unit_of(self, rows: Array) -> int:
        """The exponent of rows that vary, but so little that their squares are lost in float64; else 0."""
        if np.ldexp(self._values.max(initial=self._noise), 2 * self._exponent) > 2.0**-960 or rows.dtype.itemsize == 4:
            return 0
        exponent = int(np.frexp(np.abs(rows - rows[0]).max(initial=0))[1])
        return exponent if exponent < -400 else 0

    def _take_in(self, X: Any) -> tuple[Any, RowBlocks]:
        """The rows, with the cheap part of the checks: NaN shows in the moments."""
        if is_stream(X):
            forget_labels(self)
            return X, RowBlocks(X, verbose=self.verbose)
        if hasattr(X, "tocsr"):
            if self.svd_solver in ("full", "randomized"):
                raise TypeError(
                    'PCA only support sparse inputs with the "arpack" and "covariance_eigh" solvers, while '
                    f'"{self.svd_solver}" was passed'
                )
            rows = validate_rows(self, X, reset=True, accept_sparse=("csr", "csc"), min_samples=2)
            return rows, RowBlocks(rows)
        if isinstance(X, np.ndarray) and X.ndim == 2 and len(X) > 1 and mapped(X) is not None:
            validate_rows(self, X[:2], reset=True)
            return X, RowBlocks(X, verbose=self.verbose)
        rows = validate_rows(self, X, reset=True, min_samples=2, finite=False)
        return rows, RowBlocks(rows)

    # ---- solvers ----

    def _fit_covariance(self, rows: Any, blocks: RowBlocks) -> None:
        moments, dtype, interrupted = self._moments(rows, blocks)
        if interrupted or blocks.n_rows is None:
            self._check_shape(moments)
        again = blocks.again and not interrupted and self.svd_solver != "covariance_eigh"
        try:
            self._fit_moments(moments, partial(refined, blocks) if again else None, dtype)
        except ValueError:
            if isinstance(rows, np.ndarray) and mapped(rows) is None:
                refuse_not_finite(self, rows)  # says where NaN or infinity is
            raise
        if interrupted:
            raise KeyboardInterrupt(f"PCA.fit was stopped: it is fitted to the {moments.count} rows read so far")
        if not blocks.again:
            self._warn_of_small(self._values[: int(moments.count) - 1])

    def _fit_moments(self, moments: Moments, refine: Refine | None, dtype: np.dtype[Any]) -> None:
        """Fit to the moments of rows that `refine` can read again."""
        n, mean, products = totals(moments)
        spectrum = by_covariance(n, mean, products, self._upper_bound(n, len(mean)), refine, dtype.itemsize)
        self._finish(spectrum, mean, n, dtype)

    def _check_shape(self, moments: Moments) -> None:
        """Whether the components can be had from rows whose number is known only now."""
        n, d = int(moments.count), moments.n_features or 0
        if n < 2:
            raise ValueError(f"PCA needs at least 2 rows, got {n}")
        self.n_features_in_ = d
        self._check_components(n, d)

    def _moments(self, rows: Any, blocks: RowBlocks) -> tuple[Moments, np.dtype[Any], bool]:
        """The moments of all rows, or on Ctrl-C of those read so far; and the dtype of the rows."""
        moments = Moments()
        if isinstance(rows, np.ndarray) and mapped(rows) is None:
            moments.update(rows)
            return moments, rows.dtype, False
        dtype = np.dtype(np.float64)
        try:
            for block in blocks:
                dtype = dtype if moments.count else block.dtype
                moments.update(block)
        except KeyboardInterrupt:
            if moments.count < 2:
                raise
            return moments, dtype, True
        return moments, dtype, False

    def _fit_gram(self, rows: Any) -> None:
        mean = column_means(rows)
        if not np.isfinite(mean).all():
            refuse_not_finite(self, rows)  # raises
        n, d = rows.shape
        dtype = float_dtype(rows)
        self._finish(by_gram(rows, mean, self._upper_bound(n, d), dtype.itemsize), mean, n, dtype)

    def _fit_krylov(self, rows: Any, blocks: RowBlocks) -> None:
        n, d = rows.shape
        k = int(self._upper_bound(n, d))
        operator = CentredRows(rows, blocks)
        if not np.isfinite(operator.total):
            refuse_not_finite(self, rows)
            raise ValueError("Input X contains NaN or infinity, or overflows float64")
        pairs = dominant_eigenpairs(
            operator,
            d,
            k,
            tol=max(float(self.tol), 1e-14),
            block=min(max(8, k + min(self.n_oversamples, 10)), 32),
            seed=seed_of(self.random_state),
            max_products=500 if isinstance(self.iterated_power, str) else max(1, int(self.iterated_power)),
        )
        residual = float(pairs.residuals.max() / max(pairs.values[0], np.finfo(float).tiny))
        if not pairs.converged and isinstance(self.iterated_power, str) and residual > 1e-10:
            warn_caller(
                f"PCA: the Krylov method stopped after {pairs.products} products with a residual of {residual:.1e} "
                f"times the largest variance"
            )
        values, readings, rank, noise = np.maximum(pairs.values, 0), 1 + pairs.products, min(n, d), None
        if rest_is_small(values, operator.total, k, rank):
            noise, readings = operator.rest(pairs.vectors) / (rank - k), readings + 1
        spectrum = Spectrum(
            values, pairs.vectors.T, operator.total, noise, "krylov", readings, exponent=operator.exponent
        )
        self._finish(spectrum, operator.mean, n, float_dtype(rows))

    # ---- parameters ----

    def _check_parameters(self) -> None:
        if self.svd_solver not in SOLVERS:
            raise ValueError(f"svd_solver must be one of {SOLVERS}, got {self.svd_solver!r}")
        if not (isinstance(self.tol, numbers.Real) and self.tol >= 0):
            raise ValueError(f"tol must not be negative, got {self.tol!r}")
        k: Any = self.n_components
        if isinstance(k, str):
            if k != "mle":
                raise ValueError(f"n_components must be a number, 'mle' or None, got {k!r}")
        elif k is not None and not isinstance(k, numbers.Real):
            raise TypeError(f"n_components must be a number, 'mle' or None, got {type(k).__name__}")
        elif isinstance(k, numbers.Real) and not isinstance(k, numbers.Integral) and not 0 < k < 1:
            raise ValueError(f"n_components must be an integer or a fraction between 0 and 1, got {k!r}")

    def _check_components(self, n: int, d: int) -> None:
        k: Any = self.n_components
        solver = "full" if self.svd_solver == "auto" else self.svd_solver
        if isinstance(k, str):
            if solver in ("arpack", "randomized"):
                raise ValueError(f"n_components={k!r} cannot be a string with svd_solver={solver!r}")
            if n < d:
                raise ValueError("n_components='mle' is only supported if n_samples >= n_features")
        elif k is not None:
            least = 1 if solver in ("arpack", "randomized") else 0
            if not least <= k <= min(n, d) or (least and not isinstance(k, numbers.Integral)):
                raise ValueError(
                    f"n_components={k!r} must be between {least} and min(n_samples, n_features)={min(n, d)} with "
                    f"svd_solver={solver!r}"
                )
            if solver == "arpack" and k == min(n, d):
                raise ValueError(
                    f"n_components={k!r} must be strictly less than min(n_samples, n_features)={min(n, d)} with "
                    f"svd_solver={solver!r}"
                )

    def _upper_bound(self, n: int, d: int) -> int:
        """How many components to find before the last word on how many to keep."""
        k: Any = self.n_components
        most = min(n, d)
        if k is None and self.svd_solver == "arpack":
            return max(most - 1, 1)
        return int(k) if isinstance(k, numbers.Integral) else most

    def _wants_krylov(self, rows: Any) -> bool:
        if not hasattr(rows, "shape"):
            return False
        n, d = rows.shape
        k, side = self._upper_bound(n, d), min(n, d)
        if self.svd_solver in ("full", "covariance_eigh") or 2 * (k + 24) >= side:
            return False
        is_short = isinstance(self.n_components, numbers.Integral) and 20 * k <= side
        is_iterative = self.svd_solver in ("arpack", "randomized")
        return is_iterative or (is_short and side > (256 if hasattr(rows, "tocsr") else 1500))

    def _wants_gram(self, rows: Any) -> bool:
        return hasattr(rows, "shape") and rows.shape[0] < rows.shape[1] and self.svd_solver != "covariance_eigh"

    def _warn_of_small(self, values: Array) -> None:
        smallest = float(values[-1] / values[0]) if len(values) and values[0] > 0 else 1.0
        if smallest < 1e-9:
            warn_caller(
                f"PCA: a variance of {smallest:.1e} times the largest has lost half its digits: that needs a second "
                f"reading, which an iterator does not allow",
                RuntimeWarning,
            )

    @np.errstate(all="ignore")
    def _finish(self, spectrum: Spectrum, mean: Array, n: int, dtype: np.dtype[Any]) -> None:
        if self._unit:
            spectrum, mean = spectrum._replace(exponent=spectrum.exponent + self._unit), np.ldexp(mean, self._unit)
        k: Any = self.n_components
        values = spectrum.values
        if isinstance(k, str):
            k = likely_dimension(values, n)
        elif isinstance(k, numbers.Real) and not isinstance(k, numbers.Integral):
            # The sums that a caller makes of explained_variance_ratio_, to the bit.
            total = spectrum.total
            shares = np.cumsum((values / total).astype(dtype)) if total > 0 else np.ones(len(values))
            k = min(int(np.searchsorted(shares, float(k), side="right")) + 1, len(values))
        else:
            k = len(values)
        self._set_fitted(spectrum, k, mean, n, dtype)
        self.n_samples_ = n
        self.solver_ = spectrum.solver
        self.n_readings_ = spectrum.readings

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.sparse = self.svd_solver in ("auto", "arpack", "covariance_eigh")
        return tags


def seed_of(random_state: Any) -> Any:
    """Something that `numpy.random.default_rng` takes."""
    if random_state is None:
        return 0
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31))
    return random_state
