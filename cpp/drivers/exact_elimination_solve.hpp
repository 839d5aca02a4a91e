// Equations with integer coefficients: floating point solves them, exact elimination decides what is singular, and
// takes over where elimination in floating point breaks down without need.
#pragma once

#include <limits>
#include <vector>

#include "drivers/elimination.hpp"
#include "drivers/exact_elimination_large.hpp"

namespace mmlfast::drivers {

// N / d of two integers that are known by their residues, to 2 u.
inline double quotient(const Rounded& numerator, const Rounded& denominator) noexcept {
  if (numerator.sign == 0) return 0;
  const double q = numerator.fraction / denominator.fraction * numerator.sign * denominator.sign;
  const Size exponent = std::clamp<Size>(numerator.exponent - denominator.exponent, -5000, 5000);
  return std::ldexp(q, static_cast<int>(exponent));
}

// The inverse of a nonsingular matrix from the reduced row echelon form of [a, 1]. inverse: n x n, row by row.
template <class I>
Outcome inverse_by_residues(const Batch<const I>& a, Size item, double* inverse) {
  const Size n = a.layout.rows;
  std::vector<I> beside(static_cast<std::size_t>(2 * n * n), 0);
  for (Size i = 0; i < n; ++i) {
    I* row = beside.data() + 2 * n * i;
    for (Size j = 0; j < n; ++j) row[j] = a.item(item)[i * a.layout.row_stride + j * a.layout.col_stride];
    row[n + i] = 1;
  }
  const Batch<const I> matrix{beside.data(), 0, {n, 2 * n, 2 * n, 1}};
  ExactEchelon echelon;
  const Outcome outcome = certified_echelon(matrix, 0, EchelonForm::reduced, echelon);
  if (!outcome.ok()) return outcome;
  const std::size_t count = echelon.prime.size(), entries = static_cast<std::size_t>(1 + n * n);
  std::vector<std::uint32_t> prime(echelon.prime.begin(), echelon.prime.end()), residue(count), digit(count),
      limb(count);
  const auto entry = [&](std::size_t e) {
    for (std::size_t k = 0; k < count; ++k) residue[k] = static_cast<std::uint32_t>(echelon.residue[k * entries + e]);
    return combine_residues(prime.data(), residue.data(), static_cast<Size>(count), digit.data(), limb.data());
  };
  const Rounded common = entry(0);
  for (Size e = 0; e < n * n; ++e) inverse[e] = quotient(entry(static_cast<std::size_t>(1 + e)), common);
  return {};
}

// A batch of integers as float64. Items that are one in memory (stride 0) stay one.
template <class I>
struct AsDouble {
  std::vector<double> room;
  Batch<const double> batch;

  AsDouble(Size n_items, const Batch<const I>& a) {
    const Size n = a.layout.rows, size = n * n, items = a.stride == 0 ? 1 : n_items;
    room.resize(static_cast<std::size_t>(items * size));
    for (Size k = 0; k < items; ++k)
      for (Size i = 0; i < n; ++i)
        for (Size j = 0; j < n; ++j)
          room[static_cast<std::size_t>(k * size + i * n + j)] =
              static_cast<double>(a.item(k)[i * a.layout.row_stride + j * a.layout.col_stride]);
    batch = {room.data(), a.stride == 0 ? 0 : size, {n, n, n, 1}};
  }
};

// Runs in_floats(AsDouble), then repairs the items that only rounding made singular with by_inverse(item, inverse), and
// blanks those that are singular.
template <class I, class Floats, class Repair, class Blank>
Outcome solve_exactly(Size n_items, const Batch<const I>& a, Floats&& in_floats, Repair&& by_inverse, Blank&& blank) {
  const Size n = a.layout.rows;
  const std::size_t count = static_cast<std::size_t>(a.stride == 0 ? 1 : n_items);
  std::vector<char> room(2 * count);
  bool* singular = reinterpret_cast<bool*>(room.data());
  bool* broken = singular + count;
  Outcome outcome = is_singular(static_cast<Size>(count), a, Batch<bool>{singular, 1, {1, 1, 1, 1}});
  if (!outcome.ok()) return outcome;
  const AsDouble<I> floats(n_items, a);
  outcome = in_floats(floats.batch);
  const bool some = outcome.status == Outcome::Status::failed_items;
  if (!outcome.ok() && !some) return outcome;
  if (some) {
    outcome = is_exactly_singular<double>(static_cast<Size>(count), floats.batch, {broken, 1, {1, 1, 1, 1}});
    if (!outcome.ok()) return outcome;
  }
  std::vector<double> inverse;
  bool failed = false;
  for (Size i = 0; i < n_items; ++i) {
    const Size at = a.stride == 0 ? 0 : i;
    if (singular[at]) {
      failed = true;
      blank(i);
    } else if (some && broken[at]) {
      inverse.resize(static_cast<std::size_t>(n * n));
      outcome = inverse_by_residues(a, at, inverse.data());
      if (!outcome.ok()) return outcome;
      by_inverse(i, inverse.data());
    }
  }
  return {failed ? Outcome::Status::failed_items : Outcome::Status::ok};
}

inline void blank_item(double* x, const Layout& layout) noexcept {
  for (Size i = 0; i < layout.rows; ++i)
    for (Size j = 0; j < layout.cols; ++j)
      x[i * layout.row_stride + j * layout.col_stride] = std::numeric_limits<double>::quiet_NaN();
}

}  // namespace mmlfast::drivers
