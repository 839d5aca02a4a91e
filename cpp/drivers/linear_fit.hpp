// Many weighted linear regressions: of a batch, of windows of a table, or of groups of its rows.
#pragma once

#include "kernels/linear_fit.hpp"
#include "runtime/outcome.hpp"
#include "runtime/sizes.hpp"

namespace mmlfast::drivers {

template <class T>
struct LinearFits {
  FitShape shape;
  const T *x, *y;
  const double* weight;  // or null
  // Fit f has `rows` rows, from row 0 of x + f * x_fit and so on; or, if `offsets` is there, the rows
  // row[offsets[f]] .. row[offsets[f + 1] - 1] of x and y.
  Size rows, x_fit, y_fit, weight_fit;
  const std::int64_t *row, *offsets;
  // The fits to do, n_fits of them: those of about as many rows next to each other. Null: 0 .. n_fits - 1.
  const std::int64_t* sequence;
  Size n_fits;
  double* record;  // fit_record_length(shape) numbers per fit
};

// The most rows that a fit in lanes may have. It depends on the shape alone, as the bits of the answer do.
Size most_fit_rows(const FitShape& shape) noexcept;

// No fit of more rows than that.
template <class T>
Outcome linear_fit(const LinearFits<T>& c) noexcept;

// The totals of one fit of very many rows: x, y and weight of c with c.rows rows; see gram() and gradient() of the
// kernel, which `known` and `totals` are for.
template <class T>
Outcome linear_fit_totals(const LinearFits<T>& c, const double* known, bool gradient, double* totals) noexcept;

}  // namespace mmlfast::drivers
