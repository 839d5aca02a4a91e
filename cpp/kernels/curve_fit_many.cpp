#include "kernels/curve_fit_many.hpp"

#include "kernels/common/with_size.hpp"
#include "kernels/curve_fit_many_rows.hpp"
#include "kernels/curve_fit_many_steps.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

using curve_fit_steps::Lanes;
using curve_fit_steps::Size;

void add_rows(Size n, Size rows, const double* const* outputs, const Size* strides, const double* y,
              const double* weights, double* gram, double* work) {
  const curve_fit_rows::Rows block{n, rows, outputs, strides, y, weights};
  with_size<1, static_cast<int>(curve_fit::most_in_registers)>(n, [&](auto size) {
    constexpr int N = size();
    if constexpr (N > 0)
      weights == nullptr ? curve_fit_rows::add_in_registers<N, false>(block, gram)
                         : curve_fit_rows::add_in_registers<N, true>(block, gram);
    else
      curve_fit_rows::add_in_tiles(block, gram, work);
  });
}

LaneBits advance(const CurveFitLanes& given, double most_evaluations) {
  Lanes lanes(given);
  lanes.judge();
  lanes.propose(most_evaluations);
  return to_bitmask(lanes.state() > curve_fit_steps::number(CurveFitState::running));
}

}  // namespace

const CurveFit curve_fit_many_f64 = {add_rows, advance, curve_fit_steps::covariance};

}  // namespace mmlfast::MMLFAST_LEVEL
