#include "drivers/elimination_large.hpp"

#include <atomic>
#include <limits>

#include "drivers/elimination_condition.hpp"
#include "runtime/aligned_buffer.hpp"
#include "runtime/interrupt.hpp"

namespace mmlfast::drivers {
namespace {

// Calls body(first, x) -> void for bands of `cols` columns, where x is working memory for a band, with room for one
// column more.
template <class T, class Body>
Outcome by_solved_bands(Size n, Size cols, Body&& body) {
  constexpr Size band = solved_band;
  const Size most = std::min(band, cols);
  const double ns = 0.03 * static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(most);
  const Size bytes = checked_product(BlockMatrix<T>::elements(n, most + 1), static_cast<Size>(sizeof(T)));
  return parallel_with_scratch(ceil_div(cols, band), ns, bytes, [&](Size block, void* scratch) {
    body(block * band, BlockMatrix<T>{n, std::min(band, cols - block * band), static_cast<T*>(scratch)});
  });
}

}  // namespace

template <class T>
int lift_tiny(T* x, Size count) {
  T largest = 0;
  for (Size i = 0; i < count; ++i) largest = std::max(largest, std::fabs(x[i]));
  if (!(largest > 0) || std::ilogb(largest) > std::numeric_limits<T>::min_exponent / 2) return 0;
  const int power = -std::ilogb(largest);
  multiply_by_power(x, count, power);
  return power;
}

template <class T>
Outcome LargeFactors<T>::factor(const T* item, const Layout& layout) {
  power = 0;
  for (bool again : {false, true}) {
    Outcome outcome = lu.take(item, layout);
    if (!outcome.ok()) return outcome;
    // Reciprocals of the tiniest pivots would overflow, and the numbers have few digits: if the whole matrix is tiny it
    // is brought to the size of 1 by a power of two, which is exact, and factored again.
    if (again && lu.rows > max_lane_order) power = lift_tiny(lu.data, lu.step() * lu.cols);
    outcome = lu_in_blocks(lu, pivot, &divides);
    if (!outcome.ok()) return outcome;
    if (all_pivots_normal()) break;
  }
  singular = false;
  for (Size k = 0; k < std::min(lu.rows, lu.cols); ++k) singular = singular || *lu.at(k, k) == 0;
  return {};
}

template <class T>
void LargeFactors<T>::solve_band(const T* b, const Layout& layout, Size first, const BlockMatrix<T>& x) const {
  to_columns(b + first * layout.col_stride, Layout{lu.rows, x.cols, layout.row_stride, layout.col_stride}, x.data,
             x.step());
  solve_columns(x);
}

template <class T>
void LargeFactors<T>::solve_columns(const BlockMatrix<T>& x) const {
  const Size n = lu.rows;
  for (Size j = 0; j < x.cols; ++j) {
    T* c = x.at(0, j);
    std::fill(c + n, c + x.step(), T{0});
    for (Size k = 0; k < n; ++k) std::swap(c[k], c[pivot[k]]);
  }
  const Size numbers = x.step() * x.cols;
  const int lifted = power == 0 ? 0 : lift_tiny(x.data, numbers);
  solve_in_blocks(lu, divides, x, 0);
  multiply_by_power(x.data, numbers, power - lifted);
}

template <class T>
Outcome LargeFactors<T>::solve(const T* b, const Layout& b_layout, T* x, const Layout& x_layout, T* probe) const {
  return by_solved_bands<T>(lu.rows, b_layout.cols, [&](Size first, const BlockMatrix<T>& band) {
    if (first == 0 && probe != nullptr)
      solve_with_probe(b, b_layout, band, probe);
    else
      solve_band(b, b_layout, first, band);
    from_columns(band.data, band.step(), x + first * x_layout.col_stride,
                 Layout{band.rows, band.cols, x_layout.row_stride, x_layout.col_stride});
  });
}

// Together the factors, which no cache holds, are read once.
template <class T>
void LargeFactors<T>::solve_with_probe(const T* b, const Layout& layout, const BlockMatrix<T>& x, T* answer) const {
  const Size n = lu.rows;
  const BlockMatrix<T> with_probe{n, x.cols + 1, x.data}, own{n, 1, x.at(0, x.cols)};
  for (Size i = 0; i < n; ++i) own.data[i] = probes<T>.number[i % probe_numbers];
  if (power == 0) {
    to_columns(b, Layout{n, x.cols, layout.row_stride, layout.col_stride}, x.data, x.step());
    solve_columns(with_probe);
  } else {  // what is tiny is lifted each for itself
    solve_columns(own);
    solve_band(b, layout, 0, x);
  }
  std::copy_n(own.data, n, answer);
}

// The columns of u^-1 l^-1 are those of the inverse in another order.
template <class T>
Outcome LargeFactors<T>::invert(T* x, const Layout& layout) const {
  const Size n = lu.rows;
  const AlignedBuffer<std::int32_t> order(n);
  if (!order) return {Outcome::Status::no_memory};
  for (Size i = 0; i < n; ++i) order[i] = static_cast<std::int32_t>(i);
  for (Size k = 0; k < n; ++k) std::swap(order[k], order[pivot[k]]);
  return by_solved_bands<T>(n, n, [&](Size first, const BlockMatrix<T>& band) {
    std::fill_n(band.data, band.step() * band.cols, T{0});
    for (Size j = 0; j < band.cols; ++j) *band.at(first + j, j) = 1;
    solve_in_blocks(lu, divides, band, first);
    multiply_by_power(band.data, band.step() * band.cols, power);
    for (Size j = 0; j < band.cols; ++j)
      from_columns(band.at(0, j), n, x + order[first + j] * layout.col_stride, Layout{n, 1, layout.row_stride, 1});
  });
}

template <class T>
bool LargeFactors<T>::looks_good(const Solved<T>& s, const Layout& layout) const {
  const Limits<T> limits(s.n);
  if (layout.col_stride != 1) return drivers::looks_good(s.a, layout, s.y, s.x, s.b, 1);
  constexpr Size band = 64;
  std::atomic<bool> good{true};
  const double numbers = static_cast<double>(s.n) * static_cast<double>(s.n);
  const HeldInterrupts held;  // the answer is there, and this takes a hundredth of it
  static_cast<void>(parallel_blocks(ceil_div(s.n, band), 0.5 * numbers, [&](Size block) {
    const Size first = block * band;
    Solved<T> part = s;
    part.rows = std::min(band, s.n - first);
    part.a += first * s.row;
    part.b += first;
    if (!kernel_of<Elimination<T>>().looks_good(part, limits.condition, limits.backward))
      good.store(false, std::memory_order_relaxed);
  }));
  return good.load(std::memory_order_relaxed);
}

template <class T>
double LargeFactors<T>::reciprocal_condition(const T* item, const Layout& layout, const T* y, const T* x,
                                             const T* b) const {
  constexpr Size more = 7;
  const Size n = lu.rows;
  if (looks_good(Solved<T>{n, n, layout.row_stride, item, y, x, b, 1}, layout)) return 1;
  const Scales scales(item, layout);
  const AlignedBuffer<T> right(checked_product(n, more)), room(BlockMatrix<T>::elements(n, more));
  if (!scales.good() || !right || !room) return 1;
  const BlockMatrix<T> several{n, more, room.data()};
  std::uint64_t state = 0x9e3779b97f4a7c15;
  for (Size i = 0; i < n; ++i) {
    const T sum = std::ldexp(scaled_row_sum(item, layout, scales, i), -scales.row(i));
    for (Size k = 0; k < more; ++k) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      right[k * n + i] = (state >> 63) != 0 ? sum : -sum;
    }
  }
  solve_band(right.data(), Layout{n, more, 1, n}, 0, several);
  double largest = 0;
  for (Size k = 0; k < more; ++k)
    for (Size i = 0; i < n; ++i)
      largest = std::max(largest, std::ldexp(static_cast<double>(std::fabs(*several.at(i, k))), -scales.column(i)));
  return rcond_to_tell<T>(largest, backward_error(item, layout, x, b, 1));
}

template <class T>
bool LargeFactors<T>::all_pivots_normal() const {
  for (Size k = 0; k < std::min(lu.rows, lu.cols); ++k)
    if (std::fabs(*lu.at(k, k)) < std::numeric_limits<T>::min()) return false;
  return true;
}

template <class T>
Determinant<T>::Determinant(const LargeFactors<T>& f) {
  if (f.singular) mantissa = 0;
  for (Size k = 0; k < f.lu.cols && !f.singular; ++k) {
    int e;
    mantissa = std::frexp(mantissa * *f.lu.at(k, k), &e);
    if (mantissa == 0 || !std::isfinite(mantissa)) e = 0;
    exponent += e - f.power;
    if (f.pivot[k] != k) mantissa = -mantissa;
  }
}

#define MMLFAST_INSTANTIATE(T)      \
  template int lift_tiny(T*, Size); \
  template struct LargeFactors<T>;  \
  template struct Determinant<T>;
MMLFAST_INSTANTIATE(double)
MMLFAST_INSTANTIATE(float)

}  // namespace mmlfast::drivers
