// Copies between the matrices of a batch and the column-major ones that LAPACK works on, and what has to be known of
// one before it is handed over.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/common/layout.hpp"
#include "runtime/sizes.hpp"

namespace mmlfast::drivers {

// body(i, j) for all elements, in tiles of a size that both sides keep in cache.
template <class Body>
void by_tiles(Size rows, Size cols, Body&& body) {
  constexpr Size tile = 32;
  for (Size j0 = 0; j0 < cols; j0 += tile)
    for (Size i0 = 0; i0 < rows; i0 += tile)
      for (Size j = j0; j < std::min(j0 + tile, cols); ++j)
        for (Size i = i0; i < std::min(i0 + tile, rows); ++i) body(i, j);
}

// Element (i, j) of the item to to[i + j * ld].
template <class T, class C>
void to_columns(const T* item, const Layout& l, C* to, Size ld) {
  if (l.row_stride == 1) {  // whole columns
    for (Size j = 0; j < l.cols; ++j)
      for (Size i = 0; i < l.rows; ++i) to[i + j * ld] = static_cast<C>(item[i + j * l.col_stride]);
    return;
  }
  by_tiles(l.rows, l.cols,
           [&](Size i, Size j) { to[i + j * ld] = static_cast<C>(item[i * l.row_stride + j * l.col_stride]); });
}

template <class C, class T>
void from_columns(const C* from, Size ld, T* item, const Layout& l) {
  by_tiles(l.rows, l.cols,
           [&](Size i, Size j) { item[i * l.row_stride + j * l.col_stride] = static_cast<T>(from[i + j * ld]); });
}

template <class T>
void set_all(T* item, const Layout& l, T value) {
  if (is_gapless(l)) {  // one call of memset, not one per row
    std::fill_n(item, l.rows * l.cols, value);
    return;
  }
  for (Size i = 0; i < l.rows; ++i)
    for (Size j = 0; j < l.cols; ++j) item[i * l.row_stride + j * l.col_stride] = value;
}

// The largest absolute value; infinity if there is NaN or infinity.
template <class T>
T largest_finite(const T* x, Size count) {
  T largest = 0, nothing = 0;
  for (Size i = 0; i < count; ++i) {
    largest = std::max(largest, std::fabs(x[i]));
    nothing += x[i] * 0;
  }
  return nothing == 0 ? largest : std::numeric_limits<T>::infinity();
}

// The power of two to multiply with before LAPACK sees numbers with this largest element, as an exponent. LAPACK is
// safe elsewhere.
template <class T>
int safe_exponent(T largest) {
  const int e = largest > 0 ? std::ilogb(largest) : 0;
  if (e < std::numeric_limits<T>::min_exponent * 3 / 4) return -e;
  return e > std::numeric_limits<T>::max_exponent - 24 ? -32 : 0;
}

template <class T>
void multiply_by_power(T* x, Size count, int exponent) {
  if (exponent == 0) return;
  for (Size i = 0; i < count; ++i) x[i] = std::ldexp(x[i], exponent);
}

}  // namespace mmlfast::drivers
