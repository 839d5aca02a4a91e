// Integers as doubles, and the residues of a kernel as numbers.
#pragma once

#include <algorithm>
#include <cstring>
#include <limits>

#include "drivers/common/batch.hpp"
#include "drivers/exact_elimination_residues.hpp"
#include "kernels/exact_elimination.hpp"
#include "runtime/aligned_buffer.hpp"
#include "runtime/outcome.hpp"

namespace mmlfast::drivers {

inline constexpr Outcome out_of_memory{Outcome::Status::no_memory};

inline constexpr int lane_count = items_per_group<double>;

// Up to this order eight matrices share the lanes; beyond it eight primes of one matrix do.
inline constexpr Size small_order = 12;
// Arrays need not be aligned.
template <class I>
I load(const I* from) noexcept {
  I x;
  std::memcpy(&x, from, sizeof x);
  return x;
}

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

// An integer of one of several types: high * 2^32 + low, and the double next to it.
struct IntegerEntry {
  double low = 0, high = 0, value = 0;
  bool fits = true;  // the double is exact, and not beyond 2^52

  IntegerEntry() noexcept = default;
  template <class I>
  IntegerEntry(I x) noexcept
      : low(low_part(x)), high(high_part(x)), value(static_cast<double>(x)), fits(fits_double(x)) {}

  // What the double lacks.
  double rest() const noexcept { return (high * 0x1p32 - value) + low; }
};

// A matrix of doubles, or of pairs of doubles where there are integers beyond 2^52, and the squares of the norms of its
// rows and columns.
struct Parts {
  const double *low = nullptr, *high = nullptr;
  double *row_square = nullptr, *column_square = nullptr;

  static Size doubles(Size m, Size n) noexcept { return 2 * m * n + m + n; }

  // entry(i, j): an IntegerEntry, or an integer.
  template <class Entry>
  Parts(Size m, Size n, double* room, Entry&& entry) noexcept {
    double *const lows = room, *const highs = room + m * n;
    row_square = highs + m * n;
    column_square = row_square + m;
    low = lows;
    std::fill_n(row_square, m + n, 0.0);
    bool fits = true;
    for (Size i = 0; i < m; ++i)
      for (Size j = 0; j < n; ++j) {
        const IntegerEntry x = entry(i, j);
        fits = fits && x.fits;
        lows[i * n + j] = x.value;
        row_square[i] += x.value * x.value;
        column_square[j] += x.value * x.value;
      }
    if (fits) return;
    high = highs;
    for (Size i = 0; i < m; ++i)
      for (Size j = 0; j < n; ++j) {
        const IntegerEntry x = entry(i, j);
        lows[i * n + j] = x.low;
        highs[i * n + j] = x.high;
      }
  }

  // Of all minors of at most this order; reorders the squares.
  double log2_bound(Size m, Size n, Size order) noexcept {
    return std::min(log2_of_minors(row_square, m, order), log2_of_minors(column_square, n, order));
  }
  IntegerMatrix matrix() const noexcept { return {low, high}; }
};

// Runs use(Parts) with an m x n matrix of entry(i, j) as doubles.
template <class Entry, class Use>
Outcome with_parts(Size m, Size n, Entry&& entry, Use&& use) noexcept {
  const AlignedBuffer<double> memory(Parts::doubles(m, n));
  if (!memory) return out_of_memory;
  Parts parts(m, n, memory.data(), entry);
  return use(parts);
}

template <class I, class Use>
Outcome with_parts(const Batch<const I>& a, Size item, Use&& use) noexcept {
  const I* x = a.item(item);
  const auto entry = [&](Size i, Size j) { return load(x + i * a.layout.row_stride + j * a.layout.col_stride); };
  return with_parts(a.layout.rows, a.layout.cols, entry, use);
}

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
