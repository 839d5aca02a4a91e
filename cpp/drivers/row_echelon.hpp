// Row echelon forms of batches of floating-point matrices.
#pragma once

#include "drivers/common/batch.hpp"
#include "runtime/outcome.hpp"

namespace mmlfast::drivers {

// What comes out for each item: the form (m x n), a mask of the columns with pivots (a column of n), the rank and the
// gap.
template <class T>
struct EchelonForms {
  Batch<T> form;
  Batch<bool> is_pivot;
  Batch<std::int64_t> rank;
  Batch<double> gap;
};

// tol: null data for the default, max(m, n) eps. An item with NaN or infinity has a form of NaN, no pivots and a gap of
// NaN.
template <class T>
Outcome row_echelon(Size n_items, const Batch<const T>& a, const Batch<const double>& tol, bool reduced,
                    const EchelonForms<T>& out) noexcept;

}  // namespace mmlfast::drivers
