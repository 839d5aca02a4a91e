// Singular values, singular vectors, pseudo-inverse, rank and condition for batches of any size: lanes for small
// matrices, SciPy's LAPACK (gesdd) for large ones. An item that holds a NaN or an infinity gets NaN everywhere, at
// once.
#pragma once

#include <cstdint>

#include "drivers/common/batch.hpp"
#include "runtime/outcome.hpp"

namespace mmlfast::drivers {

// a: m x n. u: m x m and vh: n x n, or u: m x k and vh: k x n, with k = min(m, n); s: k x 1, descending.
template <class T>
Outcome svd(Size n_items, const Batch<const T>& a, const Batch<T>& u, const Batch<T>& s, const Batch<T>& vh) noexcept;

template <class T>
Outcome singular_values(Size n_items, const Batch<const T>& a, const Batch<T>& s) noexcept;

// x: n x m; singular values of at most rcond * the largest count as zero. Always in lanes: for large matrices,
// or a few middling ones, it is for the caller to form the product of the factors. Failed items are those where values
// counted as zero although columns (rows, of wide items) are far apart in size: they have the answer all the same.
template <class T>
Outcome pseudo_inverse(Size n_items, const Batch<const T>& a, const Batch<const T>& rcond, const Batch<T>& x) noexcept;

// Whether that is the faster way for one item of this shape.
bool pseudo_inverse_suits_one(const Layout& a) noexcept;

// Beside what singular values count: beside a number, beside the largest one, or, after the columns are brought to
// lengths of about one by powers of two, beside the largest one.
enum class RankTolerance : int { absolute, relative, of_columns_of_length_one };

// The number of singular values above `tolerance`. -1, and a failed item, where there are none.
template <class T>
Outcome rank(Size n_items, const Batch<const T>& a, const Batch<const T>& tolerance, RankTolerance meaning,
             const Batch<std::int64_t>& rank) noexcept;

// The largest singular value by the smallest, or if `inverse` the other way round. Infinite, and not NaN, unless the
// item holds a NaN.
template <class T>
Outcome condition(Size n_items, const Batch<const T>& a, bool inverse, const Batch<T>& condition) noexcept;

}  // namespace mmlfast::drivers
