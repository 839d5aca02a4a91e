"""What `PCA` and `IncrementalPCA` have in common: everything after the components are known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mmlfast._common.arrays import as_float, float_dtype
from mmlfast._common.estimator import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    check_is_fitted,
    validate_rows,
)
from mmlfast._common.row_blocks import spans
from mmlfast.decomposition._small_components import ExactProduct
from mmlfast.decomposition._spectrum import EPS, NOTHING, Spectrum, signed

Array = np.ndarray[Any, Any]


def noise_of(spectrum: Spectrum, k: int, rank: int) -> float:
    """The mean of the variances behind the first `k`, in the unit of the spectrum; 0 where it is rounding alone."""
    values, total = spectrum.values, spectrum.total
    if k >= rank:
        return 0.0
    noise = spectrum.noise
    if k < len(values) == rank:
        noise = float(values[k:].mean())
    elif noise is None or k < len(values):
        rest = total - float(values[:k].sum())
        noise = rest / (rank - k) if rest > 4 * EPS * total else 0.0
    largest = float(values.max(initial=0))
    return noise if noise > max(NOTHING, 4 * spectrum.variance_error) * largest else 0.0


def symmetric(x: Array) -> Array:
    """The mean of a matrix and its transpose: the two halves are the same numbers but for rounding."""
    return np.asarray((x + x.T) / 2)


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
    _values: Array  # the variances times 4^-_exponent, in float64 whatever the dtype is
    _noise: float  # the noise likewise
    _exponent: int
    _directions: Array  # the components in float64
    _variance_error: float  # how wrong a variance may be, relative to the largest

    def _set_fitted(self, spectrum: Spectrum, k: int, mean: Array, n_rows: float, dtype: np.dtype[Any]) -> None:
        """Set the fitted attributes from `k` of the components."""
        values, total = spectrum.values[:k], spectrum.total
        exponent = spectrum.exponent
        self._noise = noise_of(spectrum, k, min(int(n_rows), len(mean)))
        self._values, self._exponent = values, exponent
        self._mean = mean
        self._variance_error = spectrum.variance_error
        self.n_components_ = k
        self._directions = signed(spectrum.vectors[:k])
        self.components_ = self._directions.astype(dtype, copy=False)
        with np.errstate(all="ignore"):
            self.noise_variance_ = float(np.ldexp(self._noise, 2 * exponent))
            self.explained_variance_ = np.ldexp(values, 2 * exponent).astype(dtype)
            self.explained_variance_ratio_ = (values / total).astype(dtype)
            self.singular_values_ = np.ldexp(np.sqrt(values * (n_rows - 1)), exponent).astype(dtype)
            self.mean_ = mean.astype(dtype)

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

    @np.errstate(all="ignore")
    def _scores(self, rows: Any) -> Array:
        dtype = float_dtype(rows)
        sparse = hasattr(rows, "tocsr")
        rows = rows.tocsr() if sparse else rows
        scale, tiny = self._scale() if self.whiten else (None, False)
        exact = ExactProduct(self._components().T) if tiny else None
        turned = np.ascontiguousarray(self.components_.T, dtype=dtype)
        exponent, centre = self._power(), self._centre()
        mean = self._ordinary(centre) if exponent else centre
        result = np.empty((rows.shape[0], self._n_features_out), dtype)
        for start, stop in spans(rows.shape, 8, 1 << 20):
            block = rows[start:stop].toarray() if sparse else rows[start:stop]
            if exponent:
                block = self._ordinary(block)
            scores = exact(block, mean) if exact else (block - mean).astype(dtype, copy=False) @ turned
            if exponent and scale is None:
                scores = np.ldexp(scores, exponent)
            result[start:stop] = scores if scale is None else scores * scale
        return result

    def _power(self) -> int:
        power: int = getattr(self, "_exponent", 0)
        return power

    def _components(self) -> Array:
        return self._exact("_directions", self.components_)

    def _centre(self) -> Array:
        return self._exact("_mean", self.mean_)

    def _variances(self) -> Array:
        return self._exact("_values", self.explained_variance_, 2)

    def _noise_variance(self) -> float:
        return float(self._exact("_noise", self.noise_variance_, 2))

    @np.errstate(all="ignore")
    def _exact(self, name: str, public: Any, power: int = 0) -> Array:
        """The numbers of a public attribute in float64, and as they were before they were rounded to its dtype unless
        somebody has set it since, or instead of a fit; with ``power=2`` in the unit of `_values`."""
        inner, shift = getattr(self, name, None), power * self._power()
        a = np.asarray(public)
        if inner is not None:
            same = np.ldexp(inner, shift) if shift else np.asarray(inner)
            if np.array_equal(same.astype(a.dtype, copy=False), a):
                return np.asarray(inner)
        return np.ldexp(a.astype(np.float64), -shift)

    def _ordinary(self, x: Array) -> Array:
        """Numbers of the rows in the unit of `_values`."""
        return np.ldexp(x.astype(np.float64, copy=False), -self._power())

    def _scale(self) -> tuple[Array, bool]:
        """Factors that whiten, and whether scores are so small that a plain product would drown them in rounding."""
        variance = self._variances()
        largest = variance.max(initial=0)
        nothing = variance <= EPS**2 * largest
        # What may be rounding error makes scores smaller, never larger.
        unsure = np.where(variance < 1e-6 * largest, getattr(self, "_variance_error", 0.0) * largest, 0)
        with np.errstate(divide="ignore"):
            scale = np.where(nothing, 0, 1 / np.sqrt(variance + unsure))
        smallest = variance[~nothing].min(initial=largest)
        return scale, bool(self.whiten and smallest < 1e-10 * largest)

    @np.errstate(all="ignore")
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
        if scores.ndim != 2 or scores.shape[1] != self._n_features_out:
            raise ValueError(f"X must hold scores, shape (n, {self._n_features_out}), got shape {scores.shape}")
        if self.whiten:
            scores = scores * np.ldexp(np.sqrt(self._variances()), self._power()).astype(self.components_.dtype)
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
        components = self._components()
        half = components * np.sqrt(np.maximum(self._variances() - self._noise_variance(), 0))[:, None]
        covariance = symmetric(half.T @ half)
        covariance[np.diag_indices_from(covariance)] += self._noise_variance()
        return self._in_units(covariance, 2)

    def get_precision(self) -> Array:
        """Inverse of `get_covariance`, by the inverses of the variances.

        Returns
        -------
        ndarray, shape (n_features, n_features)
            Where the model has directions without variance, which is if it has no noise and fewer components than
            features, or components without variance: the pseudoinverse.
        """
        check_is_fitted(self)
        components = self._components()
        noise = self._noise_variance()
        if noise > 0:
            half = components * np.sqrt(1 - noise / np.maximum(self._variances(), noise))[:, None]
            precision = (np.eye(components.shape[1]) - symmetric(half.T @ half)) / noise
        else:
            there = self._variances() > self._least_variance()
            half = components[there] / np.sqrt(self._variances()[there])[:, None]
            precision = symmetric(half.T @ half)
        return self._in_units(precision, -2)

    def _in_units(self, x: Array, power: int) -> Array:
        """A matrix in the unit of `_values` to some power of it, in the unit of the rows."""
        with np.errstate(over="ignore", under="ignore"):
            return np.asarray(np.ldexp(x, power * self._power()), self.components_.dtype)

    def _least_variance(self) -> float:
        """The least variance that is told from rounding."""
        largest = float(self._variances().max(initial=self._noise_variance()))
        return max(NOTHING, getattr(self, "_variance_error", 0.0)) * largest

    def score_samples(self, X: Any) -> Array:
        """Logarithm of the likelihood of each row under the probabilistic model.

        Parameters
        ----------
        X : array_like
            As for `transform`, but not sparse.

        Returns
        -------
        ndarray, shape (n,)

        Notes
        -----
        From the scores and the distance to the span of the components: no matrix of n_features rows is formed.

        A variance below what rounding of the rows looks like, 3e-30 of the largest, counts as that
        much: likelihoods of tables of exact rank are numbers, large where the rows are of that rank too. If nothing
        varied at all it is infinite for rows equal to the mean, and minus infinity for others.
        """
        check_is_fitted(self)
        rows = validate_rows(self, X, reset=False)
        result = np.empty(len(rows))
        for start, stop in spans(rows.shape, 8, 1 << 22):
            result[start:stop] = self._log_likelihood(rows[start:stop])
        return result

    @np.errstate(all="ignore")
    def _log_likelihood(self, rows: Array) -> Array:
        x, mean = self._ordinary(rows), self._ordinary(self._centre())
        components = self._components()
        k, d = components.shape
        least = self._least_variance()
        if least == 0:
            return np.where((x == mean).all(axis=1), np.inf, -np.inf)
        variance = np.maximum(self._variances(), max(self._noise_variance(), least))
        z = x - mean
        tiny = variance.min(initial=np.inf) < 1e-10 * variance.max(initial=0)
        scores = ExactProduct(components.T)(x, mean) if tiny else z @ components.T
        squares = (scores**2 / variance).sum(axis=1)
        log_det = float(np.log(variance).sum()) + 2 * d * self._power() * math.log(2)
        if k < d:
            noise = max(self._noise_variance(), least)
            squares += ((z - scores @ components) ** 2).sum(axis=1) / noise
            log_det += (d - k) * math.log(noise)
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
