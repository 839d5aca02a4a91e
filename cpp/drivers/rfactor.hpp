// The R factor of tables of any size: fixed leaves of rows in parallel, merged in a fixed binary tree that depends on
// the number of rows alone, and the state that makes it incremental.
#pragma once

#include <cstdint>
#include <vector>

#include "drivers/covariance.hpp"
#include "runtime/outcome.hpp"

namespace mmlfast::drivers {

// r := R of the rows of `table`, n x n, row-major, upper triangular; zeros below the diagonal. Rows may have any signs.
template <class T>
Outcome r_of_rows(const T* table, const Layout& layout, double* r) noexcept;

// Makes the diagonal of R (row-major n x n) nonnegative.
void make_diagonal_nonnegative(double* r, Size n) noexcept;

// The R factor of the rows seen so far. Rows are counted into leaves; the rows of an unfinished leaf are kept, so that
// any chunking gives the same bits. Leaves are merged like the digits of a binary counter. What came by merge() and
// went by remove() is kept apart, and joined when the result is asked for. Not thread-safe.
class RFactor {
 public:
  explicit RFactor(Size n) noexcept;

  Size columns() const noexcept { return n_; }
  Size count() const noexcept { return count_; }

  // After an interruption the rows up to some whole leaf have been taken in.
  template <class T>
  Outcome update(const T* rows, const Layout& layout) noexcept;
  Outcome merge(const RFactor& other) noexcept;
  // Takes rows out again. `possible` is false, and nothing has changed, if what is left would not be positive definite
  // to working precision: rows that were not taken in, or that all the weight of some direction hangs on.
  Outcome remove(const RFactor& other, bool& possible) noexcept;
  Outcome copy(const RFactor& other) noexcept;

  // R of all rows together, with a diagonal that is not negative; r gets n * n numbers. Changes nothing.
  Outcome total(Doubles& r) const noexcept;

  // The whole state as numbers, and back; false if the numbers are no state.
  void save(std::vector<double>& to) const;
  bool restore(const std::vector<double>& from);

  static Size leaf_rows(Size n) noexcept;

 private:
  static constexpr int most_levels = 48;

  bool consistent() const noexcept;
  Size node_size() const noexcept { return n_ * n_; }
  Outcome push(const double* node, int level) noexcept;
  Outcome before_removal(Doubles& r) const noexcept;
  Outcome difference(Doubles& r, bool& possible) const noexcept;
  template <class T>
  Outcome fill_open(const T* rows, const Layout& layout) noexcept;
  template <class T>
  Outcome whole_leaves(const T* rows, const Layout& layout, Size n_leaves) noexcept;

  Size n_, count_ = 0;
  std::uint64_t n_leaves_ = 0;  // bit l set: levels_[l] holds R of 2^l leaves
  Doubles levels_[most_levels];
  Doubles open_;  // the rows of the unfinished leaf, row by row
  Size open_rows_ = 0;
  Doubles merged_, removed_;
};

}  // namespace mmlfast::drivers
