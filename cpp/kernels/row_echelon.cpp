#include "kernels/row_echelon.hpp"

#include "simd/vec.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

using Index = std::ptrdiff_t;

template <class T>
MMLFAST_INLINE T magnitude(T x) {
  return x < 0 ? -x : x;
}

// The whole vectors that hold columns j .. ld - 1 start here.
template <class T>
constexpr Index first_vector(Index j) {
  return j / lanes<T> * lanes<T>;
}

template <class T>
T largest(const T* row, Index ld) {
  vec<T> most = zero<T>();
  for (Index c = 0; c < ld; c += lanes<T>) most = max(abs(load(row + c)), most);
  alignas(vec_bytes) T x[lanes<T>];
  store(x, most);
  T result = 0;
  for (int l = 0; l < lanes<T>; ++l) result = x[l] > result ? x[l] : result;
  return result;
}

// to -= f * from, from column j on; entry j of `to` becomes exactly 0. What lies before j is 0 in `from`.
template <class T>
MMLFAST_INLINE void subtract(T* to, const T* from, T f, Index j, Index ld) {
  const vec<T> by = broadcast(f);
  for (Index c = first_vector<T>(j); c < ld; c += lanes<T>) store(to + c, fnma(by, load(from + c), load(to + c)));
  to[j] = 0;
}

template <class T>
void exchange(T* x, T* y, Index ld) {
  for (Index c = 0; c < ld; c += lanes<T>) {
    const vec<T> t = load(x + c);
    store(x + c, load(y + c));
    store(y + c, t);
  }
}

template <class Number>
MMLFAST_INLINE void exchange_numbers(Number* x, Index i, Index k) {
  const Number t = x[i];
  x[i] = x[k];
  x[k] = t;
}

template <class T>
Index eliminate(T* a, Index m, Index n, Index ld, T tol, T* size, std::int32_t* row, bool* is_pivot, double* gap) {
  Index rank = 0;
  T accepted = static_cast<T>(__builtin_inf()), rejected = 0;
  for (Index j = 0; j < n; ++j) {
    Index best = rank;
    T ratio = 0;
    for (Index i = rank; i < m; ++i) {
      const T here = magnitude(a[i * ld + j]) / size[i];
      if (here > ratio) ratio = here, best = i;
    }
    is_pivot[j] = ratio > tol;
    if (!is_pivot[j]) {
      rejected = ratio > rejected ? ratio : rejected;
      for (Index i = rank; i < m; ++i) a[i * ld + j] = 0;
      continue;
    }
    accepted = ratio < accepted ? ratio : accepted;
    T* const pivot_row = a + rank * ld;
    if (best != rank) {
      exchange(pivot_row, a + best * ld, ld);
      exchange_numbers(size, best, rank);
      exchange_numbers(row, best, rank);
    }
    const T pivot = pivot_row[j], growth = largest(pivot_row, ld);
    for (Index i = rank + 1; i < m; ++i) {
      T* to = a + i * ld;
      if (to[j] == 0) continue;
      const T f = to[j] / pivot;
      subtract(to, pivot_row, f, j, ld);
      size[i] += magnitude(f) * growth;
    }
    ++rank;
  }
  *gap = rejected > 0 ? static_cast<double>(accepted) / static_cast<double>(rejected) : __builtin_inf();
  return rank;
}

template <class T>
void reduce(T* a, Index n, Index ld, Index rank, const bool* is_pivot) {
  Index t = rank;
  for (Index j = n - 1; j >= 0; --j) {
    if (!is_pivot[j]) continue;
    T* const pivot_row = a + --t * ld;
    const vec<T> pivot = broadcast(pivot_row[j]);
    for (Index c = first_vector<T>(j); c < ld; c += lanes<T>) store(pivot_row + c, load(pivot_row + c) / pivot);
    pivot_row[j] = 1;
    for (Index i = 0; i < t; ++i) {
      T* to = a + i * ld;
      if (to[j] != 0) subtract(to, pivot_row, to[j], j, ld);
    }
  }
}

}  // namespace

MMLFAST_DEFINE_TABLES(RowEchelon, row_echelon, eliminate<T>, reduce<T>)

}  // namespace mmlfast::MMLFAST_LEVEL
