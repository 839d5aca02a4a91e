"""What `PCA` and `IncrementalPCA` have in common: everything after the components are known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mmlfast._arrays import as_float, float_dtype
from mmlfast._estimator import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    check_is_fitted,
    validate_rows,
)
from mmlfast._row_blocks import spans
from mmlfast._small_components import ExactProduct
from mmlfast._spectrum import EPS, Spectrum, signed
from mmlfast.linalg import inv

Array = np.ndarray[Any, Any]


class PCABase(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Transformations and likelihood, from the fitted attributes with scikit-learn's names."""

    whiten: bool
    components_: Array
    explained_variance_: Array
    explained_variance_ratio_: Array
    singular_values_: Array
    mean_: Array
    noise_variance_: float
    n_components_: int
    _mean: Array  # in float64
    _blur: float  # how wrong a variance may be, relative to the largest

    def _take(self, spectrum: Spectrum, k: int, mean: Array, n_rows: float, dtype: np.dtype[Any]) -> None:
        """Set the fitted attributes from `k` of the components."""
        values, total = spectrum.values[:k], spectrum.total
        rank = min(int(n_rows), len(mean))
        noise = spectrum.noise
        if k < len(spectrum.values) == rank:
            noise = float(spectrum.values[k:].mean())
        elif noise is None or k < len(spectrum.values):
            noise = max(total - float(values.sum()), 0.0) / (rank - k) if k < rank else 0.0
        self.noise_variance_ = noise if k < rank else 0.0
        self.n_components_ = k
        self.components_ = signed(spectrum.vectors[:k]).astype(dtype)
        self.explained_variance_ = values.astype(dtype)
        with np.errstate(invalid="ignore", divide="ignore"):
            self.explained_variance_ratio_ = (values / total).astype(dtype)
        self.singular_values_ = np.sqrt(values * (n_rows - 1)).astype(dtype)
        self.mean_ = mean.astype(dtype)
        self._mean = mean
        self._blur = spectrum.blur

    @property
    def _n_features_out(self) -> int:
        return int(self.components_.shape[0])

    def transform(self, X: Any) -> Any:
        """Scores: the coordinates of rows along the components, from the mean of the fit.

        Parameters
        ----------
        X : array_like or sparse matrix, shape (n, n_features)
            Rows.

        Returns
        -------
        ndarray, shape (n, n_components)
            The scores; with ``whiten=True`` in units of their standard deviation, and 0 for a component that does not
            vary.

        Notes
        -----
        The mean is subtracted before the product, so rows far from the origin lose nothing.
        """
        check_is_fitted(self)
        return self._scores(validate_rows(self, X, reset=False, accept_sparse=("csr", "csc")))

    def _scores(self, rows: Any) -> Array:
        dtype = float_dtype(rows)
        sparse = hasattr(rows, "tocsr")
        rows = rows.tocsr() if sparse else rows
        scale, tiny = self._scale()
        exact = ExactProduct(self.components_.T.astype(np.float64)) if tiny else None
        turned = np.ascontiguousarray(self.components_.T, dtype=dtype)
        result = np.empty((rows.shape[0], self.n_components_), dtype)
        for start, stop in spans(rows.shape, 8, 1 << 20):
            block = rows[start:stop].toarray() if sparse else rows[start:stop]
            if exact is not None:
                scores = exact(block, self._mean)
            else:
                scores = (block - self._mean).astype(dtype, copy=False) @ turned
            result[start:stop] = scores * scale if self.whiten else scores
        return result

    def _scale(self) -> tuple[Array, bool]:
        """Factors that whiten, and whether scores are so small that a plain product would drown them in rounding."""
        variance = self.explained_variance_.astype(np.float64)
        largest = variance.max(initial=0)
        nothing = variance <= EPS**2 * largest
        # What may be rounding error makes scores smaller, never larger.
        unsure = np.where(variance < 1e-6 * largest, self._blur * largest, 0)
        with np.errstate(divide="ignore"):
            scale = np.where(nothing, 0, 1 / np.sqrt(variance + unsure))
        smallest = variance[~nothing].min(initial=largest)
        return scale, bool(self.whiten and smallest < 1e-10 * largest)

    def inverse_transform(self, X: Any) -> Array:
        """Rows of the original space with the given scores.

        Parameters
        ----------
        X : array_like, shape (n, n_components)
            Scores.

        Returns
        -------
        ndarray, shape (n, n_features)
            The rows; those of the span of the components for which `transform` gives these scores.
        """
        check_is_fitted(self)
        scores = as_float(X, "X")
        if scores.ndim != 2 or scores.shape[1] != self.n_components_:
            raise ValueError(f"X must hold scores, shape (n, {self.n_components_}), got shape {scores.shape}")
        if self.whiten:
            scores = scores * np.sqrt(self.explained_variance_)
        rows: Array = scores @ self.components_.astype(scores.dtype, copy=False)
        rows += self.mean_
        return rows

    def get_covariance(self) -> Array:
        """Covariance matrix of the probabilistic model: the components, and noise in all other directions [1]_.

        Returns
        -------
        ndarray, shape (n_features, n_features)

        References
        ----------
        .. [1] M. E. Tipping and C. M. Bishop, Probabilistic principal component analysis, J. R. Stat. Soc. B 61 (1999).
        """
        check_is_fitted(self)
        excess = np.maximum(self.explained_variance_ - self.noise_variance_, 0)
        covariance: Array = (self.components_.T * excess) @ self.components_
        covariance[np.diag_indices_from(covariance)] += self.noise_variance_
        return covariance

    def get_precision(self) -> Array:
        """Inverse of `get_covariance`, by the inverses of the variances.

        Returns
        -------
        ndarray, shape (n_features, n_features)

        Raises
        ------
        numpy.linalg.LinAlgError
            If the model has no noise and fewer components than features, or components without variance.
        """
        check_is_fitted(self)
        d = self.components_.shape[1]
        if self.noise_variance_ == 0:
            return np.asarray(inv(self.get_covariance()))
        noise = self.noise_variance_
        lacking = 1 - noise / np.maximum(self.explained_variance_, noise)
        precision: Array = (np.eye(d) - (self.components_.T * lacking) @ self.components_) / noise
        return precision.astype(self.components_.dtype)

    def score_samples(self, X: Any) -> Array:
        """Logarithm of the likelihood of each row under the probabilistic model.

        Parameters
        ----------
        X : array_like, shape (n, n_features)
            Rows.

        Returns
        -------
        ndarray, shape (n,)

        Notes
        -----
        From the scores and the distance to the span of the components: no matrix of n_features rows is formed unless
        the model has no noise.
        """
        check_is_fitted(self)
        rows = validate_rows(self, X, reset=False)
        z = rows - self._mean
        d = z.shape[1]
        if self.noise_variance_ == 0:
            precision = self.get_precision()
            log_det = -float(np.linalg.slogdet(precision)[1])
            squares = np.einsum("ij,ij->i", z @ precision, z)
        else:
            scores = z @ self.components_.T
            variance = np.maximum(self.explained_variance_, self.noise_variance_)
            rest = z - scores @ self.components_
            squares = (scores**2 / variance).sum(axis=1) + (rest**2).sum(axis=1) / self.noise_variance_
            log_det = float(np.log(variance).sum()) + (d - len(variance)) * math.log(self.noise_variance_)
        return np.asarray(-0.5 * (squares + d * math.log(2 * math.pi) + log_det))

    def score(self, X: Any, y: Any = None) -> float:
        """Mean of `score_samples`.

        Parameters
        ----------
        X : array_like, shape (n, n_features)
            Rows.
        y : ignored

        Returns
        -------
        float
        """
        return float(self.score_samples(X).mean())
