#include "drivers/linear_fit.hpp"

#include <algorithm>

#include "drivers/common/parallel.hpp"

namespace mmlfast::drivers {
namespace {

constexpr Size lanes = items_per_group<double>;
constexpr Size scratch_bytes = Size{8} << 20;

template <class T>
FitRows<T> rows_of(const LinearFits<T>& c, Size f) noexcept {
  if (c.offsets == nullptr)
    return {c.x + f * c.x_fit, c.y + f * c.y_fit, c.weight == nullptr ? nullptr : c.weight + f * c.weight_fit, nullptr,
            c.rows};
  return {c.x, c.y, c.weight, c.row + c.offsets[f], static_cast<Size>(c.offsets[f + 1] - c.offsets[f])};
}

// (high, low) += (a, b), sums of two doubles with twice the digits.
void add_pair(double& high, double& low, double a, double b) noexcept {
  const double sum = high + a, from_a = sum - high, rest = (high - (sum - from_a)) + (a - from_a) + (low + b);
  high = sum + rest;
  low = rest - (high - sum);
}

}  // namespace

Size most_fit_rows(const FitShape& shape) noexcept {
  const LinearFit<double>& kernel = kernel_of<LinearFit<double>>();
  const Size fixed = kernel.scratch_vectors(0, shape), per_row = kernel.scratch_vectors(4, shape) - fixed;
  return std::max<Size>(0, (scratch_bytes / 64 - fixed) / per_row * 4);
}

template <class T>
Outcome linear_fit(const LinearFits<T>& c) noexcept {
  if (c.n_fits == 0) return {};
  const LinearFit<T>& kernel = kernel_of<LinearFit<T>>();
  const auto fit_at = [&](Size i) { return c.sequence == nullptr ? i : c.sequence[i]; };
  Size most = c.rows;
  if (c.offsets != nullptr) {
    most = 0;
    for (Size i = 0; i < c.n_fits; ++i) most = std::max(most, rows_of(c, fit_at(i)).count);
  }
  const double k = static_cast<double>(c.shape.coefficients());
  const double group_ns = 1e3 + static_cast<double>(most) * (20 + 12 * k + k * k);
  const Size length = fit_record_length(c.shape), vectors = kernel.scratch_vectors(most, c.shape);
  return parallel_with_scratch(ceil_div(c.n_fits, lanes), group_ns, checked_product(vectors, 64),
                               [&](Size group, void* scratch) {
                                 FitRows<T> rows[lanes];
                                 double* record[lanes];
                                 for (Size l = 0; l < lanes; ++l) {
                                   const Size f = fit_at(std::min(group * lanes + l, c.n_fits - 1));
                                   rows[l] = rows_of(c, f);
                                   record[l] = c.record + f * length;
                                 }
                                 kernel.fit(rows, c.shape, record, scratch);
                               });
}

// Blocks of rows are fixed by the shape, and their totals are added up in order: the bits do not depend on threads.
template <class T>
Outcome linear_fit_totals(const LinearFits<T>& c, const double* known, bool gradient, double* totals) noexcept {
  const LinearFit<T>& kernel = kernel_of<LinearFit<T>>();
  const Size length = fit_totals_length(c.shape, gradient), fixed = kernel.scratch_vectors(0, c.shape);
  const Size per_row = (kernel.scratch_vectors(4, c.shape) - fixed) / 4;
  const Size part = std::clamp<Size>(4096 / per_row / 4 * 4, 16, 512), n_blocks = ceil_div(c.rows, lanes * part);
  const AlignedBuffer<double> of_block(checked_product(n_blocks + 1, length));
  if (of_block.data() == nullptr) return {Outcome::Status::no_memory};
  const double k = static_cast<double>(c.shape.coefficients());
  const double block_ns = static_cast<double>(part) * (20 + 8 * k + k * k);
  const Size vectors = kernel.scratch_vectors(part, c.shape);
  const Outcome outcome =
      parallel_with_scratch(n_blocks, block_ns, checked_product(vectors, 64), [&](Size block, void* scratch) {
        FitRows<T> rows[lanes];
        for (Size l = 0; l < lanes; ++l) {
          const Size first = std::min(c.rows, (block * lanes + l) * part), count = std::min(part, c.rows - first);
          const double* weight = c.weight == nullptr ? nullptr : c.weight + first * c.shape.weight_row;
          rows[l] = {c.x + first * c.shape.x_row, c.y + first * c.shape.y_row, weight, nullptr, count};
        }
        (gradient ? kernel.gradient : kernel.gram)(rows, c.shape, known, of_block.data() + block * length, scratch);
      });
  if (!outcome.ok()) return outcome;
  const Size pairs = gradient ? c.shape.coefficients() : 0;
  std::fill_n(totals, length, 0.0);
  for (Size block = 0; block < n_blocks; ++block) {
    const double* one = of_block.data() + block * length;
    for (Size j = 0; j < length; ++j) {
      if (j >= 2 * pairs)
        totals[j] += one[j];
      else if (j < pairs)
        add_pair(totals[j], totals[j + pairs], one[j], one[j + pairs]);
    }
  }
  return {};
}

template Outcome linear_fit_totals<double>(const LinearFits<double>&, const double*, bool, double*) noexcept;
template Outcome linear_fit_totals<float>(const LinearFits<float>&, const double*, bool, double*) noexcept;
template Outcome linear_fit<double>(const LinearFits<double>&) noexcept;
template Outcome linear_fit<float>(const LinearFits<float>&) noexcept;

}  // namespace mmlfast::drivers
