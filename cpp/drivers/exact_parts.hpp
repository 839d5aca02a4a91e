// Integers as doubles, and the residues of a kernel as numbers.
#pragma once

#include <algorithm>
#include <limits>

#include "drivers/batch.hpp"
#include "drivers/residues.hpp"
#include "kernels/exact_elimination.hpp"

namespace mmlfast::drivers {

inline constexpr int lane_count = items_per_group<double>;

template <class I>
bool fits_double(I x) noexcept {
  constexpr I most = I{1} << 52;
  if constexpr (std::numeric_limits<I>::is_signed)
    return -most <= x && x <= most;
  else
    return x <= most;
}

template <class I>
double high_part(I x) noexcept {
  return static_cast<double>(x >> 32);  // an arithmetic shift: rounds down
}

template <class I>
double low_part(I x) noexcept {
  return static_cast<double>(static_cast<std::uint32_t>(x));
}

// A matrix of doubles, or of pairs of doubles where there are integers beyond 2^52, and the squares of the norms of its
// rows and columns.
struct Parts {
  const double *low = nullptr, *high = nullptr;
  double *row_square = nullptr, *column_square = nullptr;

  static Size doubles(Size m, Size n) noexcept { return 2 * m * n + m + n; }

  template <class I>
  Parts(const I* a, const Layout& layout, double* room) noexcept {
    const Size m = layout.rows, n = layout.cols;
    double *const lows = room, *const highs = room + m * n;
    row_square = highs + m * n;
    column_square = row_square + m;
    low = lows;
    std::fill_n(row_square, m + n, 0.0);
    bool fits = true;
    for (Size i = 0; i < m; ++i)
      for (Size j = 0; j < n; ++j) {
        const I x = a[i * layout.row_stride + j * layout.col_stride];
        const double value = static_cast<double>(x);
        fits = fits && fits_double(x);
        lows[i * n + j] = value;
        row_square[i] += value * value;
        column_square[j] += value * value;
      }
    if (fits) return;
    high = highs;
    for (Size i = 0; i < m; ++i)
      for (Size j = 0; j < n; ++j) {
        const I x = a[i * layout.row_stride + j * layout.col_stride];
        lows[i * n + j] = low_part(x);
        highs[i * n + j] = high_part(x);
      }
  }

  // Of all minors of at most this order; reorders the squares.
  double log2_bound(Size m, Size n, Size order) noexcept {
    return std::min(log2_of_minors(row_square, m, order), log2_of_minors(column_square, n, order));
  }
  IntegerMatrix matrix() const noexcept { return {low, high}; }
};

// The prime numbers `first` .. of the sequence, one per lane.
struct LanePrimes {
  alignas(64) double p[lane_count];

  explicit LanePrimes(Size first) noexcept {
    for (int l = 0; l < lane_count; ++l) p[l] = static_cast<double>(Primes::at(first + l));
  }
};

inline std::uint32_t to_residue(double centred, std::uint32_t p) noexcept {
  const std::int64_t x = static_cast<std::int64_t>(centred);
  return static_cast<std::uint32_t>(x < 0 ? x + p : x);
}

}  // namespace mmlfast::drivers
