#include "kernels/row_echelon.hpp"

#include "kernels/common/product.hpp"
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

// to += f * from, from column j to column `end`; entry j of `to` becomes exactly 0. What lies before j is 0 in `from`.
template <class T>
MMLFAST_INLINE void add(T* to, const T* from, T f, Index j, Index end) {
  const vec<T> by = broadcast(f);
  for (Index c = first_vector<T>(j); c < end; c += lanes<T>) store(to + c, fma(by, load(from + c), load(to + c)));
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
struct Rows {
  T* a;
  Index m, n, ld;
  T* size;
  std::int32_t* row;
  T* factor;  // m x widest_window

  T* at(Index i) const { return a + i * ld; }
  T* factors(Index i) const { return factor + i * widest_window; }
};

// The row of the largest ratio in column j, from row `rank` on.
template <class T>
Index best_row(const Rows<T>& r, Index rank, Index j, T& ratio) {
  Index best = rank;
  ratio = 0;
  for (Index i = rank; i < r.m; ++i) {
    const T here = magnitude(r.at(i)[j]) / r.size[i];
    if (here > ratio) ratio = here, best = i;
  }
  return best;
}

// Row `best` becomes the pivot row of column j, number `rank` and `count` of its window, which ends at column `end`:
// what the pivot rows before it in the window add to it behind that is added now. Then the columns of the window are
// done in the rows below.
template <class T>
void use_pivot(const Rows<T>& r, Index rank, Index best, Index j, Index count, Index end) {
  T *const pivot_row = r.at(rank), *const factors = r.factors(rank);
  const bool behind = end < r.ld;
  if (best != rank) {
    exchange(pivot_row, r.at(best), r.ld);
    exchange_numbers(r.size, best, rank);
    exchange_numbers(r.row, best, rank);
    for (Index k = 0; k < count && behind; ++k) exchange_numbers(factors + k, 0, (best - rank) * widest_window);
  }
  if (behind)
    product<T>(1, r.ld - end, count, {factors, 0, 1, r.at(rank - count) + end, r.ld, pivot_row + end, r.ld}, Start::c);
  const T pivot = pivot_row[j], growth = largest(pivot_row, r.ld);
  for (Index i = rank + 1; i < r.m; ++i) {
    T* const to = r.at(i);
    const bool done = to[j] == 0;
    const T f = done ? T{0} : -to[j] / pivot;
    if (behind) r.factors(i)[count] = f;
    if (done) continue;
    add(to, pivot_row, f, j, end);
    r.size[i] += magnitude(f) * growth;
  }
}

template <class T>
Index eliminate(T* a, Index m, Index n, Index ld, T tol, T* size, std::int32_t* row, bool* is_pivot, double* gap,
                T* scratch) {
  const Rows<T> r{a, m, n, ld, size, row, scratch};
  Index rank = 0;
  T accepted = static_cast<T>(__builtin_inf()), rejected = 0;
  // What is hardly wider than a window is one.
  const Index width = n <= 2 * widest_window ? ld : widest_window;
  for (Index begin = 0; begin < n; begin += width) {
    const Index last = begin + width < n ? begin + width : n, end = begin + width < ld ? begin + width : ld;
    Index count = 0;
    for (Index j = begin; j < last; ++j) {
      T ratio;
      const Index best = best_row(r, rank, j, ratio);
      is_pivot[j] = ratio > tol;
      if (is_pivot[j]) {
        accepted = ratio < accepted ? ratio : accepted;
        use_pivot(r, rank++, best, j, count++, end);
      } else {
        rejected = ratio > rejected ? ratio : rejected;
        for (Index i = rank; i < m; ++i) r.at(i)[j] = 0;
      }
    }
    if (end == ld) continue;
    product<T>(m - rank, ld - end, count,
               {r.factors(rank), widest_window, 1, r.at(rank - count) + end, ld, r.at(rank) + end, ld}, Start::c);
  }
  *gap = rejected > 0 ? static_cast<double>(accepted) / static_cast<double>(rejected) : __builtin_inf();
  return rank;
}

// Pivot rows by windows, the last ones first: once those of a window have zeros over each other's pivots, the rows
// above take all of them at once.
template <class T>
void reduce(T* a, Index n, Index ld, Index rank, const bool* is_pivot, T* scratch) {
  const Rows<T> r{a, rank, n, ld, nullptr, nullptr, scratch};
  Index column[widest_window];
  for (Index last = rank, j = n; last > 0;) {
    const Index begin = last > widest_window ? last - widest_window : 0;
    for (Index t = last; t-- > begin;) {
      do --j;
      while (!is_pivot[j]);
      column[t - begin] = j;
      T* const pivot_row = r.at(t);
      const vec<T> pivot = broadcast(pivot_row[j]);
      for (Index c = first_vector<T>(j); c < ld; c += lanes<T>) store(pivot_row + c, load(pivot_row + c) / pivot);
      pivot_row[j] = 1;
      for (Index i = begin; i < t; ++i) add(r.at(i), pivot_row, -r.at(i)[j], j, ld);
    }
    if (begin == 0) break;
    for (Index i = 0; i < begin; ++i)
      for (Index k = 0; k < last - begin; ++k) r.factors(i)[k] = -r.at(i)[column[k]];
    const Index from = first_vector<T>(j);
    product<T>(begin, ld - from, last - begin, {scratch, widest_window, 1, r.at(begin) + from, ld, a + from, ld},
               Start::c);
    last = begin;
  }
}

}  // namespace

MMLFAST_DEFINE_TABLES(RowEchelon, row_echelon, eliminate<T>, reduce<T>)

}  // namespace mmlfast::MMLFAST_LEVEL
