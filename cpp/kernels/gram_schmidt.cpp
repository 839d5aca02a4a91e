#include "kernels/gram_schmidt.hpp"

#include "kernels/common/lanes.hpp"
#include "kernels/common/long_columns.hpp"
#include "kernels/gram_schmidt_lanes.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

using lane_columns::Matrix;

template <class T>
struct Report {
  vec<T> rank = zero<T>(), defect = zero<T>();

  template <int M>
  MMLFAST_INLINE void add(const Matrix<T>& x, std::ptrdiff_t j, const mask<T>& dependent, vec<T>* c) {
    rank = rank + select(dependent, zero<T>(), broadcast<T>(1));
    defect = defect + lane_columns::defect<M>(x, j, dependent, c);
  }
};

template <class T>
void single_pass(bool modified, const Matrix<T>& x, const vec<T>& rtol, vec<T>* c, Report<T>& report) {
  for (std::ptrdiff_t j = 0; j < x.n; ++j) {
    const vec<T> before = lane_columns::start_column<0>(x, j);
    vec<T> length = before;
    if (j > 0)
      length = sqrt(modified ? lane_columns::modified_pass<0>(x, j, c) : lane_columns::classical_pass<0>(x, j, c));
    const mask<T> dependent = length <= rtol * before;
    lane_columns::finish_column<0>(x, j, length, dependent);
    report.template add<0>(x, j, dependent, c);
  }
}

template <int M, int N, class T>
MMLFAST_INLINE void twice(const Matrix<T>& x, const vec<T>& rtol, vec<T>* c, Report<T>& report) {
  const std::ptrdiff_t n = N > 0 ? N : x.n;
  _Pragma("GCC unroll 4") for (std::ptrdiff_t j = 0; j < n; ++j) {
    const mask<T> dependent = lane_columns::twice<M>(x, j, rtol, c);
    report.template add<M>(x, j, dependent, c);
  }
}

// Reflector j of each lane maps column j to its pivot row, which is the number of independent columns before it: a
// dependent column uses up no row. Rows above the pivot are masked away.
template <class T>
struct Reflectors {
  vec<T>*v, *beta, *sign, *pivot;  // m x n, then n each

  Reflectors(vec<T>* scratch, std::ptrdiff_t m, std::ptrdiff_t n)
      : v(scratch), beta(scratch + m * n), sign(beta + n), pivot(sign + n) {}
};

// a column -= beta v (v . column)
template <class T>
MMLFAST_INLINE void reflect(const Reflectors<T>& h, std::ptrdiff_t k, const Matrix<T>& x, std::ptrdiff_t j) {
  vec<T> w = zero<T>();
  for (std::ptrdiff_t i = 0; i < x.m; ++i) w = fma(h.v[i * x.n + k], x.a[i * x.n + j], w);
  w = w * h.beta[k];
  for (std::ptrdiff_t i = 0; i < x.m; ++i) x.a[i * x.n + j] = fnma(w, h.v[i * x.n + k], x.a[i * x.n + j]);
}

template <class T>
mask<T> make_reflector(const Reflectors<T>& h, std::ptrdiff_t j, const Matrix<T>& x, const vec<T>& row,
                       const vec<T>& smallest) {
  vec<T> square = zero<T>(), first = zero<T>();
  for (std::ptrdiff_t i = 0; i < x.m; ++i) {
    const vec<T> here = broadcast<T>(static_cast<T>(i)), e = x.a[i * x.n + j];
    const vec<T> v = select(here >= row, e, zero<T>());
    h.v[i * x.n + j] = v;
    square = fma(v, v, square);
    first = select(here == row, e, first);
  }
  const vec<T> length = sqrt(square), one = broadcast<T>(1);
  const mask<T> dependent = length <= smallest;
  const vec<T> diagonal = -copysign(length, first);
  for (std::ptrdiff_t i = 0; i < x.m; ++i) {
    vec<T>& v = h.v[i * x.n + j];
    v = select(broadcast<T>(static_cast<T>(i)) == row, first - diagonal, v);
    v = select(dependent, zero<T>(), v);
  }
  h.beta[j] = select(dependent, zero<T>(), one / (length * (length + abs(first))));
  h.sign[j] = select(dependent, zero<T>(), copysign(one, diagonal));
  h.pivot[j] = row;
  return dependent;
}

template <class T>
void householder(const Matrix<T>& x, const vec<T>& rtol, vec<T>* scratch, Report<T>& report) {
  const Reflectors<T> h(scratch, x.m, x.n);
  vec<T>* c = h.pivot + x.n;
  vec<T>* smallest = c + x.n;
  for (std::ptrdiff_t j = 0; j < x.n; ++j) smallest[j] = rtol * lane_columns::start_column<0>(x, j);
  vec<T> row = zero<T>();
  for (std::ptrdiff_t j = 0; j < x.n; ++j) {
    for (std::ptrdiff_t k = 0; k < j; ++k) reflect(h, k, x, j);
    const mask<T> dependent = make_reflector(h, j, x, row, smallest[j]);
    row = row + select(dependent, zero<T>(), broadcast<T>(1));
  }
  for (std::ptrdiff_t j = 0; j < x.n; ++j) {
    for (std::ptrdiff_t i = 0; i < x.m; ++i)
      x.a[i * x.n + j] = select(broadcast<T>(static_cast<T>(i)) == h.pivot[j], h.sign[j], zero<T>());
    for (std::ptrdiff_t k = j; k >= 0; --k) reflect(h, k, x, j);
  }
  for (std::ptrdiff_t j = 0; j < x.n; ++j) report.template add<0>(x, j, h.sign[j] == zero<T>(), c);
}

template <class T>
MMLFAST_INLINE vec<T> gather_numbers(const T* const* from) {
  alignas(vec_bytes) T x[lanes<T>];
  for (int l = 0; l < lanes<T>; ++l) x[l] = *from[l];
  return load(x);
}

template <class T>
MMLFAST_INLINE void write(const Report<T>& report, std::int64_t* const* rank, T* const* orthogonality) {
  alignas(vec_bytes) T count[lanes<T>], defect[lanes<T>];
  store(count, report.rank);
  store(defect, sqrt(report.defect));
  for (int l = 0; l < lanes<T>; ++l) {
    *rank[l] = static_cast<std::int64_t>(count[l]);
    *orthogonality[l] = defect[l];
  }
}

// Small square matrices in C order, cgs2: no memory between the items and the registers.
template <int N, class T>
void lanes_sized(const T* const* a, const Layout& a_layout, const T* const* rtol, T* const* q, const Layout& q_layout,
                 std::int64_t* const* rank, T* const* orthogonality) {
  vec<T> x[N * N], c[N];
  Report<T> report;
  pack_sized<N, N>(a, a_layout, x);
  twice<N, N>(Matrix<T>{x, N, N}, gather_numbers(rtol), c, report);
  unpack_sized<N, N>(q, q_layout, x);
  write(report, rank, orthogonality);
}

template <class T>
void in_lanes(Orthogonalization method, const T* const* a, const Layout& a_layout, const T* const* rtol, T* const* q,
              const Layout& q_layout, std::int64_t* const* rank, T* const* orthogonality, void* scratch) {
  const auto [m, n, row_stride, col_stride] = a_layout;
  if (method == Orthogonalization::cgs2 && m == n) {
    if (n == 2) return lanes_sized<2>(a, a_layout, rtol, q, q_layout, rank, orthogonality);
    if (n == 3) return lanes_sized<3>(a, a_layout, rtol, q, q_layout, rank, orthogonality);
    if (n == 4) return lanes_sized<4>(a, a_layout, rtol, q, q_layout, rank, orthogonality);
  }
  const Matrix<T> x{static_cast<vec<T>*>(scratch), m, n};
  vec<T>* work = x.a + m * n;
  Report<T> report;
  pack(a, a_layout, x.a, n, 1);
  const vec<T> tolerance = gather_numbers(rtol);
  switch (method) {
    case Orthogonalization::cgs:
    case Orthogonalization::mgs:
      single_pass(method == Orthogonalization::mgs, x, tolerance, work, report);
      break;
    case Orthogonalization::cgs2:
      twice<0, 0>(x, tolerance, work, report);
      break;
    case Orthogonalization::householder:
      householder(x, tolerance, work, report);
      break;
  }
  unpack(q, q_layout, x.a, n, 1);
  write(report, rank, orthogonality);
}

template <class T>
std::ptrdiff_t scratch_vectors(std::ptrdiff_t m, std::ptrdiff_t n) {
  return 2 * m * n + 5 * n;
}

}  // namespace

MMLFAST_DEFINE_TABLES(GramSchmidt, gram_schmidt, scratch_vectors<T>, in_lanes<T>)
MMLFAST_DEFINE_TABLES(Columns, columns, long_columns::gather<double, T>, long_columns::gather<float, T>,
                      long_columns::scatter<double, T>, long_columns::scatter<float, T>, long_columns::dots<T>,
                      long_columns::subtract<T>, long_columns::scale<T>, long_columns::largest<T>,
                      long_columns::add_gram<T>, long_columns::gram_sums<T>, long_columns::add_gram_in_lanes<T>,
                      long_columns::reduce_gram<T>, long_columns::solve_upper<T>, long_columns::multiply<T>)

}  // namespace mmlfast::MMLFAST_LEVEL
