// One matrix that does not fit the lanes: column by column (cgs, mgs, cgs2) or by LAPACK (householder).
#pragma once

#include "kernels/gram_schmidt.hpp"
#include "runtime/outcome.hpp"
#include "runtime/sizes.hpp"

namespace mmlfast::drivers {

template <class T>
struct LargeGramSchmidt {
  Orthogonalization method;
  const T* a;
  Layout a_layout;
  T rtol;
  T* q;
  Layout q_layout;
  std::int64_t* rank;
  T* orthogonality;
};

// The Frobenius norm of G - I for G in the lower triangle of gram (j * n + k, k <= j); columns with a zero on the
// diagonal are left out.
template <class T>
double distance_from_identity(const T* gram, Size n) noexcept;

// Which columns of R (k x n, column-major with leading dimension ld) are independent, by cgs2: those of A are the
// same.
template <class T>
Outcome independent_columns(const T* r, Size ld, Size k, Size n, T rtol, bool* independent) noexcept;

// q may be a.
template <class T>
Outcome gram_schmidt_by_columns(const LargeGramSchmidt<T>& item) noexcept;

// By Householder's reflections.
template <class T>
Outcome gram_schmidt_by_lapack(const LargeGramSchmidt<T>& item) noexcept;

}  // namespace mmlfast::drivers
