// The R factor of tables of any size, and the state that makes it incremental.
#pragma once

#include <vector>

#include "drivers/common/merge_tree.hpp"
#include "kernels/gram_schmidt.hpp"
#include "kernels/rfactor.hpp"
#include "runtime/outcome.hpp"

namespace mmlfast::drivers {

// r := R of the rows of `table`, n x n, row-major, upper triangular; zeros below the diagonal. Rows may have any signs.
template <class T>
Outcome r_of_rows(const T* table, const Layout& layout, double* r) noexcept;

// Makes the diagonal of R (row-major n x n) nonnegative.
void make_diagonal_nonnegative(double* r, Size n) noexcept;

// The nodes of a MergeTree of R factors, row-major n x n.
struct RFactorNodes {
  // chunk rows in columns of `ld`, 2 n numbers, and nodes; and the kernels, chosen once.
  struct Workspace {
    const RFactorKernel& kernel = kernel_of<RFactorKernel>();
    const Columns<double>& to_columns = kernel_of<Columns<double>>();
    ScratchLease memory;
    Size ld;
    double *columns = nullptr, *numbers = nullptr, *nodes = nullptr;

    Workspace(const RFactorNodes& of, int level) noexcept;
    explicit operator bool() const noexcept { return static_cast<bool>(memory); }
  };

  Size n;

  Size size() const noexcept { return n * n; }
  Size block_rows() const noexcept;
  double block_ns() const noexcept;
  Workspace request(int level) const noexcept { return Workspace(*this, level); }
  Workspace request_for_merging() const noexcept { return request(-1); }
  // into := R of [into; other].
  void merge(double* into, const double* other, const Workspace& work) const noexcept;
};

// The R factor of the rows seen so far, in a MergeTree. What came by merge() and went by remove() is kept apart, and
// joined when the result is asked for. Not thread-safe.
class RFactor {
 public:
  explicit RFactor(Size n) noexcept : nodes_{n} {}

  Size columns() const noexcept { return nodes_.n; }
  // The number of rows.
  double weight() const noexcept { return static_cast<double>(count_); }

  // After an interruption the rows up to some whole block have been taken in.
  template <class T>
  Outcome update(const Table<T>& table) noexcept;
  Outcome merge(const RFactor& other) noexcept;
  // Takes rows out again. `possible` is false, and nothing has changed, if what is left would not be positive definite
  // to working precision: rows that were not taken in, or that all the weight of some direction hangs on.
  Outcome remove(const RFactor& other, bool& possible) noexcept;
  Outcome copy(const RFactor& other) noexcept;

  // R of all rows together, with a diagonal that is not negative; r gets n * n numbers. Changes nothing.
  Outcome total(Numbers& r) const noexcept;

  // The whole state as numbers, and back; false if the numbers are no state.
  void save(std::vector<double>& to) const;
  bool restore(const std::vector<double>& from);

 private:
  bool consistent() const noexcept;
  Outcome before_removal(Numbers& r) const noexcept;
  Outcome difference(Numbers& r, bool& possible) const noexcept;
  template <class T>
  Outcome fill_open(const Table<T>& table) noexcept;

  RFactorNodes nodes_;
  Size count_ = 0;
  MergeTree<RFactorNodes> tree_;
  Numbers open_;  // the rows of the unfinished block, row by row
  Size open_rows_ = 0;
  Numbers merged_, removed_;
};

}  // namespace mmlfast::drivers
