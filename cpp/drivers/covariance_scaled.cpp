#include "drivers/covariance_scaled.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/thread_pool.hpp"

namespace mmlfast::drivers {
namespace {

// What `scaled_moments` looks for in a column of a node.
class Suspicion {
 public:
  Suspicion(Want want, const SafeSquares& safe) noexcept : want_(want), safe_(safe) {}

  bool of(const CovarianceShape& shape, const double* node, Size j) const noexcept {
    const double mean = node[shape.hi() + j];
    if (want_ == Want::mean) return !std::isfinite(mean + node[shape.lo() + j]);
    const double square = node[shape.m2() + (want_ == Want::covariance ? shape.entry(j, j) : j)];
    if (square >= safe_.low && square <= safe_.high) return false;
    // Unequal numbers of this size differ by so much that their squares are not zero.
    return square != 0 || std::abs(mean) < 0x1p-470;
  }

 private:
  Want want_;
  SafeSquares safe_;
};

// The numbers of some rows of one column: the largest magnitude, NaN if one is not finite, and one of the numbers.
struct ColumnRange {
  double largest = 0, first = std::numeric_limits<double>::quiet_NaN();
  bool varies = false;

  void take(double x) noexcept {
    if (first != first) first = x;
    largest = std::max(largest, std::abs(x));
    varies = varies || x != first;
  }
  void take(const ColumnRange& other) noexcept {
    if (largest != largest || other.first != other.first) return;
    if (other.largest != other.largest) {
      largest = other.largest;
      return;
    }
    varies = varies || other.varies || (first == first && first != other.first);
    first = other.first;
    largest = std::max(largest, other.largest);
  }
};

inline ColumnRange range_of(const Table<double>& table, Size j) noexcept {
  ColumnRange range;
  for (Size r = 0; r < table.layout.rows; ++r) {
    if (table.weights != nullptr && table.weights[r * table.weights_stride] == 0) continue;
    const double x = table.data[r * table.layout.row_stride + j * table.layout.col_stride];
    range.take(x);
    if (!std::isfinite(x)) {
      range.largest = std::numeric_limits<double>::quiet_NaN();
      break;
    }
  }
  return range;
}

// Between these the squares are in range whatever the numbers are: they differ by 2^-53 of the largest at least.
inline bool far(double largest) noexcept { return largest > 0 && !(largest >= 0x1p-180 && largest < 0x1p220); }

}  // namespace

bool has_far_column(const Table<double>& table) noexcept {
  const Layout& l = table.layout;
  for (Size j = 0; j < l.cols; ++j) {
    double largest = 0;
    bool finite = true;
    for (Size r = 0; r < l.rows && finite; ++r) {
      if (table.weights != nullptr && table.weights[r * table.weights_stride] == 0) continue;
      const double size = std::abs(table.data[r * l.row_stride + j * l.col_stride]);
      finite = size <= std::numeric_limits<double>::max();
      largest = size > largest ? size : largest;
    }
    if (finite && far(largest)) return true;
  }
  return false;
}

namespace {

// Exponents of the powers of two for the suspicious columns, 0 for all others; `some`: there are others than 0.
Outcome find_exponents(const Table<double>& table, const bool* suspicious, double* exponents, bool& some) noexcept {
  constexpr Size rows_at_once = 512;
  const Size d = table.layout.cols, n_blocks = std::max<Size>(1, (table.layout.rows + rows_at_once - 1) / rows_at_once);
  const Size most = std::min<Size>(n_blocks, 256), per_task = (n_blocks + most - 1) / most;
  Size count = 0;
  for (Size j = 0; j < d; ++j) count += suspicious[j];
  const AlignedBuffer<ColumnRange> ranges(checked_product(most, count));
  if (!ranges) return no_memory;
  std::fill_n(ranges.data(), most * count, ColumnRange{});
  const double ns = static_cast<double>(table.layout.rows) * static_cast<double>(count) * 2;
  const bool finished = parallel_blocks(most, ns, [&](Size task) {
    for (Size block = task * per_task; block < std::min(n_blocks, (task + 1) * per_task); ++block) {
      const Size from = block * rows_at_once;
      const Table<double> rows = table.rows(from, std::min(rows_at_once, table.layout.rows - from));
      for (Size j = 0, k = 0; j < d; ++j)
        if (suspicious[j]) ranges[task * count + k++].take(range_of(rows, j));
    }
  });
  if (!finished) return interrupted;
  some = false;
  for (Size j = 0, k = 0; j < d; ++j) {
    exponents[j] = 0;
    if (!suspicious[j]) continue;
    ColumnRange all;
    for (Size task = 0; task < most; ++task) all.take(ranges[task * count + k]);
    ++k;
    if (!far(all.largest) || !all.varies) continue;
    int exponent = 0;
    std::frexp(all.largest, &exponent);
    exponents[j] = exponent;
    some = true;
  }
  return {};
}

}  // namespace

Outcome scaled_moments(const Table<double>& table, Want want, const SafeSquares& safe, const CovarianceShape& shape,
                       const double* node, Numbers& result, Numbers& powers) noexcept {
  if (node[0] == 0) return {};
  const Suspicion suspicion(want, safe);
  const Size d = shape.d;
  Size first = 0;
  while (first < d && !suspicion.of(shape, node, first)) ++first;
  if (first == d) return {};
  const AlignedBuffer<bool> suspicious(d);
  Numbers exponents(d);
  if (!suspicious || !exponents) return no_memory;
  for (Size j = 0; j < d; ++j) suspicious[j] = j >= first && suspicion.of(shape, node, j);
  const Size node_size = shape.node_size(want == Want::covariance);
  result = Numbers(node_size);
  if (!result) return no_memory;
  std::copy_n(node, node_size, result.data());
  bool some;
  const Outcome found = find_exponents(table, suspicious.data(), exponents.data(), some);
  if (!found.ok() || !some) return found;
  const Size at_once = std::min(table.layout.rows, 8 * shape.rows);
  const Numbers rows(checked_product(at_once, d));
  if (!rows) return no_memory;
  Moments moments(d, want);
  for (Size from = 0; from < table.layout.rows; from += at_once) {
    const Table<double> part = table.rows(from, std::min(at_once, table.layout.rows - from));
    for (Size r = 0; r < part.layout.rows; ++r)
      for (Size j = 0; j < d; ++j)
        rows[r * d + j] = std::ldexp(part.data[r * part.layout.row_stride + j * part.layout.col_stride],
                                     -static_cast<int>(exponents[j]));
    const Outcome outcome =
        moments.update(Table<double>{rows.data(), {part.layout.rows, d, d, 1}, part.weights, part.weights_stride});
    if (!outcome.ok()) return outcome;
  }
  powers = std::move(exponents);
  return moments.total(result);
}

}  // namespace mmlfast::drivers
