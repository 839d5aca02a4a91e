#include "drivers/elimination_lapack.hpp"

#include <limits>

#include "drivers/elimination_condition.hpp"
#include "runtime/aligned_buffer.hpp"

namespace mmlfast::drivers {

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
void LapackFactors<T>::factor(const T* item, const Layout& layout) {
  to_columns(item, transposed(layout), lu, n);
  singular = routines.getrf(n, n, lu, ipiv) != 0;
  power = 0;
  if (all_pivots_normal()) return;
  // LAPACK multiplies by reciprocals of pivots, which overflow for the tiniest. If the whole matrix is tiny it is
  // brought to the size of 1 by a power of two, which is exact, and factored again.
  to_columns(item, transposed(layout), lu, n);
  power = lift_tiny(lu, n * n);
  singular = routines.getrf(n, n, lu, ipiv) != 0;
}

template <class T>
double LapackFactors<T>::reciprocal_condition(const T* item, const Layout& layout, const T* x, const T* b,
                                              Size step) const {
  constexpr Size more = 7;
  const AlignedBuffer<T> y(checked_product(n, more));
  if (!y) return 1;
  for (Size i = 0; i < n; ++i) y[i] = probes<T>.number[i % probe_numbers];
  substitute(false, y.data(), 1);
  const Limits<T> limits(n);
  const Solved<T> solved{n, layout.row_stride, item, y.data(), x, b, step};
  if (layout.col_stride == 1 ? kernel_of<Elimination<T>>().looks_good(solved, limits.condition, limits.backward)
                             : looks_good(item, layout, y.data(), x, b, step))
    return 1;
  const Scales scales(item, layout);
  if (!scales.good()) return 1;
  std::uint64_t state = 0x9e3779b97f4a7c15;
  for (Size i = 0; i < n; ++i) {
    const T sum = std::ldexp(scaled_row_sum(item, layout, scales, i), -scales.row(i));
    for (Size k = 0; k < more; ++k) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      y[k * n + i] = (state >> 63) != 0 ? sum : -sum;
    }
  }
  substitute(false, y.data(), more);
  double largest = 0;
  for (Size i = 0; i < more * n; ++i)
    largest = std::max(largest, std::ldexp(static_cast<double>(std::fabs(y[i])), -scales.column(i % n)));
  return rcond_to_tell<T>(largest, backward_error(item, layout, x, b, step));
}

template <class T>
void LapackFactors<T>::substitute(bool transpose, T* b, Size columns) const {
  const int b_power = power == 0 ? 0 : lift_tiny(b, n * columns);
  routines.getrs(!transpose, n, columns, lu, ipiv, b);
  multiply_by_power(b, n * columns, power - b_power);
}

template <class T>
bool LapackFactors<T>::all_pivots_normal() const {
  for (Size k = 0; k < n; ++k)
    if (std::fabs(lu[k * n + k]) < std::numeric_limits<T>::min()) return false;
  return true;
}

template <class T>
Determinant<T>::Determinant(const LapackFactors<T>& f) {
  if (f.singular) mantissa = 0;
  for (Size k = 0; k < f.n && !f.singular; ++k) {
    int e;
    mantissa = std::frexp(mantissa * static_cast<double>(f.lu[k * f.n + k]), &e);
    if (mantissa == 0 || !std::isfinite(mantissa)) e = 0;
    exponent += e - f.power;
    if (f.routines.exchanged(f.ipiv, k)) mantissa = -mantissa;
  }
}

#define MMLFAST_INSTANTIATE(T)      \
  template int lift_tiny(T*, Size); \
  template struct LapackFactors<T>; \
  template struct Determinant<T>;
MMLFAST_INSTANTIATE(double)
MMLFAST_INSTANTIATE(float)

}  // namespace mmlfast::drivers
