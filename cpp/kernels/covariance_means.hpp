// The mean of a block of rows without rearranging them, where nothing else is wanted: one sum per column and per row
// of a period, which are those of kernels/covariance_centre.hpp in the same order, hence the same bits.
#pragma once

#include "kernels/covariance.hpp"
#include "simd/vec.hpp"

namespace mmlfast::MMLFAST_LEVEL {

// sum[e] = sum over periods of x[e] - shift[e], for a period of `size` numbers; `count` numbers in all.
template <class T>
void sums_of_differences(const T* x, std::ptrdiff_t count, std::ptrdiff_t size, const double* shift, bool fetch_next,
                         double* sum) {
  constexpr int vectors = 4, step = vectors * 8;
  const std::ptrdiff_t whole = count / size * size, even = size / step * step;
  const std::size_t ahead = static_cast<std::size_t>(count) * sizeof(T);
  for (std::ptrdiff_t e = 0; e < even; e += step) {
    vec<double> s[vectors] = {};
    for (const T* from = x + e; from < x + whole; from += size) {
      if (fetch_next) {  // the same place of the next block; a prefetch of memory that is not there does nothing
        const std::uintptr_t next = reinterpret_cast<std::uintptr_t>(from) + ahead;
        for (std::size_t line = 0; line < step * sizeof(T); line += 64)
          __builtin_prefetch(reinterpret_cast<const void*>(next + line), 0, 2);
      }
      for (int k = 0; k < vectors; ++k) s[k] = s[k] + (load_as_double(from + k * 8) - load(shift + e + k * 8));
    }
    for (int k = 0; k < vectors; ++k) store(sum + e + k * 8, s[k]);
  }
  for (std::ptrdiff_t e = even; e < size; ++e) {
    double s = 0;
    for (const T* from = x + e; from < x + whole; from += size) s += static_cast<double>(*from) - shift[e];
    sum[e] = s;
  }
  for (std::ptrdiff_t e = 0; e < count - whole; ++e) sum[e] += static_cast<double>(x[whole + e]) - shift[e];
}

// sum[j] += the other rows of a period of four.
inline void add_up_period(std::ptrdiff_t d, double* sum) {
  for (std::ptrdiff_t e = 0; e < d; ++e) sum[e] = (sum[e] + sum[d + e]) + (sum[2 * d + e] + sum[3 * d + e]);
}

template <class T>
bool means_of_rows(const CovarianceShape& shape, const T* x, std::ptrdiff_t rows, double* hi, double* lo,
                   double* scratch) {
  const std::ptrdiff_t d = shape.d, size = 4 * d;
  const double total = static_cast<double>(rows);
  double *shift = scratch, *sum = scratch + size;
  for (std::ptrdiff_t first = 0; first < size; first += d)
    for (std::ptrdiff_t j = 0; j < d; ++j) shift[first + j] = static_cast<double>(x[j]);
  sums_of_differences(x, rows * d, size, shift, false, sum);
  add_up_period(d, sum);
  bool good = true;
  for (std::ptrdiff_t j = 0; j < d; ++j) {
    hi[j] = shift[j] + sum[j] / total;
    good = good && __builtin_fabs(hi[j]) <= __DBL_MAX__;
  }
  if (!good) return false;
  for (std::ptrdiff_t first = 0; first < size; first += d)
    for (std::ptrdiff_t j = 0; j < d; ++j) shift[first + j] = hi[j];
  sums_of_differences(x, rows * d, size, shift, true, sum);
  add_up_period(d, sum);
  for (std::ptrdiff_t j = 0; j < d; ++j) lo[j] = sum[j] / total;
  return true;
}

}  // namespace mmlfast::MMLFAST_LEVEL
