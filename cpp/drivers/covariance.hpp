// Mean, variance, covariance and correlation of tables: a batch of small ones, or one of any size with all threads.
#pragma once

#include "drivers/common/batch.hpp"
#include "runtime/outcome.hpp"

namespace mmlfast::drivers {

// covariance: one d x d item (variance: a column of d) per table of n x d; weights (null data: none): a column of n per
// table; one ddof per item.
template <class T>
Outcome covariance(Size n_items, const Batch<const T>& x, const Batch<const double>& weights,
                   const Batch<const double>& ddof, const Batch<T>& cov) noexcept;
template <class T>
Outcome correlation(Size n_items, const Batch<const T>& x, const Batch<const double>& weights,
                    const Batch<T>& cor) noexcept;
// root: standard deviations.
template <class T>
Outcome variance(Size n_items, const Batch<const T>& x, const Batch<const double>& weights,
                 const Batch<const double>& ddof, bool root, const Batch<T>& var) noexcept;
template <class T>
Outcome mean(Size n_items, const Batch<const T>& x, const Batch<const double>& weights, const Batch<T>& mean) noexcept;

// A C A' of small maps A (m x d) and covariances C (d x d). Where `ordinary` is false the answer is to be thought over:
// C is not symmetric, the answer not finite, or a variance negative.
Outcome affine_covariance(Size n_items, const Batch<const double>& a, const Batch<const double>& c,
                          const Batch<double>& mapped, const Batch<bool>& ordinary) noexcept;

}  // namespace mmlfast::drivers
