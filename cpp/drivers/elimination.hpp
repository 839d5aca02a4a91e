// Gaussian elimination for batches of any size: lanes for small matrices, blocks of our own for large
// ones.
#pragma once

#include "drivers/common/batch.hpp"
#include "runtime/outcome.hpp"

namespace mmlfast::drivers {

// a: n x n, b and x: n x m.
template <class T>
Outcome solve(Size n_items, const Batch<const T>& a, const Batch<const T>& b, const Batch<T>& x) noexcept;

template <class T>
Outcome inverse(Size n_items, const Batch<const T>& a, const Batch<T>& x) noexcept;

// det: one number per item.
template <class T>
Outcome determinant(Size n_items, const Batch<const T>& a, const Batch<T>& det) noexcept;

template <class T>
Outcome log_determinant(Size n_items, const Batch<const T>& a, const Batch<T>& sign, const Batch<T>& logabs) noexcept;

// singular: true where elimination meets a pivot that is exactly zero.
template <class T>
Outcome is_exactly_singular(Size n_items, const Batch<const T>& a, const Batch<bool>& singular) noexcept;

// The factors of m x n matrices: p l u = a, l of m x k, u of k x n, k = min(m, n). One of three ways to give the
// permutation; the other two pointers are null: p is m x m; row i of a is row index[i] of l u; or the rows of l are in
// their place, l u = a.
template <class T>
struct LuCall {
  Size n_items;
  Batch<const T> a;
  const Batch<T>* p;
  const Batch<std::int32_t>* index;
  Batch<T> l, u;
};

template <class T>
Outcome lu(const LuCall<T>& call) noexcept;

}  // namespace mmlfast::drivers
