#include "drivers/elimination_condition.hpp"

namespace mmlfast::drivers {

template <class T>
double backward_error(const T* a, const Layout& l, const T* x, const T* b, Size step) noexcept {
  const T limit = Limits<T>(l.rows).backward;
  double worst = 0;
  for (Size r = 0; r < l.rows; ++r) {
    const RowSums<0, T> sums(a + r * l.row_stride, l.col_stride, l.rows, x);
    const T rest = std::fabs(b[r * step] - sums.plain), size = std::fabs(b[r * step]) + sums.absolute;
    if (rest <= limit * size || !(size > std::numeric_limits<T>::min() / limit) || !std::isfinite(size)) continue;
    worst = std::max(worst, static_cast<double>(rest) / static_cast<double>(size));
  }
  return worst;
}

template <class T>
Scales::Scales(const T* a, const Layout& l) noexcept : row_(l.rows), column_(l.cols) {
  if (!row_ || !column_) return;
  finite_ = true;
  for (Size r = 0; r < l.rows; ++r) {
    T largest = 0;
    for (Size k = 0; k < l.cols; ++k) {
      const T size = std::fabs(a[r * l.row_stride + k * l.col_stride]);
      finite_ = finite_ && std::isfinite(size);
      largest = std::max(largest, size);
    }
    row_[r] = largest > 0 ? -std::ilogb(largest) : 0;
  }
  for (Size k = 0; k < l.cols && finite_; ++k) {
    int top = std::numeric_limits<int>::min();
    for (Size r = 0; r < l.rows; ++r)
      if (const T x = a[r * l.row_stride + k * l.col_stride]; x != 0) top = std::max(top, std::ilogb(x) + row_[r]);
    column_[k] = top == std::numeric_limits<int>::min() ? 0 : -top;
  }
}

template <class T>
T scaled_row_sum(const T* a, const Layout& l, const Scales& scales, Size r) noexcept {
  T total = 0;
  for (Size k = 0; k < l.cols; ++k)
    total += std::ldexp(std::fabs(a[r * l.row_stride + k * l.col_stride]), scales.row(r) + scales.column(k));
  return total;
}

template <class T>
double scaled_norms(const T* a, const Layout& al, const T* x, const Layout& xl) noexcept {
  const Size n = al.rows;
  const Scales scales(a, al);
  if (!scales.good()) return 0;
  const AlignedBuffer<double> sum(n);
  if (!sum) return 0;
  for (Size r = 0; r < n; ++r) sum[r] = static_cast<double>(scaled_row_sum(a, al, scales, r));
  double largest = 0;
  for (Size j = 0; j < n; ++j) {
    double size = 0;
    for (Size r = 0; r < n; ++r)
      size += std::ldexp(static_cast<double>(std::fabs(x[j * xl.row_stride + r * xl.col_stride])) * sum[r],
                         -scales.row(r) - scales.column(j));
    largest = std::max(largest, size);
  }
  return largest;
}

#define MMLFAST_INSTANTIATE(T)                                                                \
  template double backward_error(const T*, const Layout&, const T*, const T*, Size) noexcept; \
  template Scales::Scales(const T*, const Layout&) noexcept;                                  \
  template T scaled_row_sum(const T*, const Layout&, const Scales&, Size) noexcept;           \
  template double scaled_norms(const T*, const Layout&, const T*, const Layout&) noexcept;
MMLFAST_INSTANTIATE(double)
MMLFAST_INSTANTIATE(float)

}  // namespace mmlfast::drivers
