// What the node of a table says.
#pragma once

#include "kernels/covariance.hpp"
#include "runtime/sizes.hpp"

namespace mmlfast::drivers {

// mean[j], and cov[i, j] = M2 / max(weight - ddof, 0), of the node. covariance: d x d, or d values if not full; with
// `root` their square roots. The node is that of columns times 2^-powers[j] (null: of the columns).
template <class T>
void write_mean(const CovarianceShape& shape, const double* node, const double* powers, T* mean, Size stride) noexcept;
template <class T>
void write_covariance(const CovarianceShape& shape, const double* node, const double* powers, double ddof, T* cov,
                      const Layout& layout) noexcept;
template <class T>
void write_variance(const CovarianceShape& shape, const double* node, const double* powers, double ddof, bool root,
                    T* variance, Size stride) noexcept;
// cor[i, j] = M2_ij / sqrt(M2_ii M2_jj), which powers do not change; NaN where nothing varies.
template <class T>
void write_correlation(const CovarianceShape& shape, const double* node, T* cor, const Layout& layout) noexcept;

}  // namespace mmlfast::drivers
