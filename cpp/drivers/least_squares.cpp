#include "drivers/least_squares.hpp"

#include "drivers/least_squares_search.hpp"

namespace mmlfast::drivers {

void minimize_squares(ResidualFunction& function, const LeastSquaresOptions& options,
                      LeastSquaresAnswer& answer) noexcept {
  const Size n = function.n_parameters(), m = function.n_residuals();
  Divider needed;
  const LeastSquaresSearch counted(function, options, answer, needed);
  if (needed.used() < 0 || checked_product(n + 8, round_up(m, 8), 8) < 0) {
    answer.outcome = {Outcome::Status::too_large};
    return;
  }
  const ScratchLease memory(needed.used());
  if (!memory) {
    answer.outcome = {Outcome::Status::no_memory};
    return;
  }
  Divider divider(memory.data());
  LeastSquaresSearch(function, options, answer, divider).run();
}

}  // namespace mmlfast::drivers
