#include "drivers/least_squares.hpp"

#include <algorithm>

#include "drivers/least_squares_search.hpp"

namespace mmlfast::drivers {
namespace {

// Another start from the same place gives up on what made the first fail: long steps, and bends. Whichever came lower
// is the answer.
class SecondSearch : NonCopyable {
 public:
  SecondSearch(ResidualFunction& function, const LeastSquaresOptions& options, LeastSquaresAnswer& answer) noexcept
      : function_(function), options_(options), answer_(answer), first_(answer), memory_(size()) {
    const Size n = function.n_parameters(), m = function.n_residuals();
    if (!memory_) return;
    double* at = memory_.data();
    for (const auto& [of, count] :
         {std::pair{&LeastSquaresAnswer::p, n}, {&LeastSquaresAnswer::residuals, m}, {&LeastSquaresAnswer::r, n * n}}) {
      first_.*of = std::copy_n(answer.*of, count, at) - count;
      at += count;
    }
    std::copy_n(answer.pivots, n, first_pivots());
    std::copy_n(answer.active, n, first_active());
  }

  // From the same place, without what made the first fail: long steps, and bends.
  void go_carefully(const double* start) noexcept {
    options_.acceleration = false;
    options_.first_step = 1;
    std::copy_n(start, function_.n_parameters(), answer_.p);
    run();
  }
  // From near the end. Parameters that do the same there keep doing the same as long as they take the same steps, and
  // that may be a saddle.
  void go_aside() noexcept {
    const Size n = function_.n_parameters();
    for (Size j = 0; j < n; ++j) {
      double& p = answer_.p[j];
      p *= 1 + (j % 2 == 0 ? 0x1p-6 : -0x1p-6) * static_cast<double>(j + 1) / static_cast<double>(n);
      if (options_.lower != nullptr) p = std::max(p, options_.lower[j]);
      if (options_.upper != nullptr) p = std::min(p, options_.upper[j]);
    }
    run();
  }

 private:
  void run() noexcept {
    if (!memory_) return;
    answer_ = reset();
    Divider needed;
    const LeastSquaresSearch counted(function_, options_, answer_, needed);
    const ScratchLease memory(needed.used());
    if (memory) {
      Divider divider(memory.data());
      LeastSquaresSearch(function_, options_, answer_, divider).run();
    }
    if (answer_.outcome.ok() && !(memory && is_better())) restore();
    answer_.n_searches = 2;
  }
  Size size() const noexcept {
    const Size n = function_.n_parameters();
    return function_.n_residuals() + n * (n + 3);
  }
  std::int32_t* first_pivots() const noexcept {
    return reinterpret_cast<std::int32_t*>(memory_.data() + size() - 2 * function_.n_parameters());
  }
  std::int8_t* first_active() const noexcept {
    return reinterpret_cast<std::int8_t*>(memory_.data() + size() - function_.n_parameters());
  }
  LeastSquaresAnswer reset() const noexcept {
    LeastSquaresAnswer fresh;
    fresh.p = answer_.p, fresh.residuals = answer_.residuals, fresh.r = answer_.r;
    fresh.pivots = answer_.pivots, fresh.active = answer_.active;
    fresh.n_evaluations = answer_.n_evaluations, fresh.n_jacobians = answer_.n_jacobians;
    return fresh;
  }
  // Lower, or as low and not from where some parameters make no difference.
  bool is_better() const noexcept {
    if (answer_.cost < first_.cost * (1 - 1e-9)) return true;
    return answer_.rank > first_.rank && answer_.cost <= first_.cost * (1 + 1e-9);
  }
  void restore() noexcept {
    const Size n = function_.n_parameters(), m = function_.n_residuals();
    LeastSquaresAnswer found = first_;
    found.p = answer_.p, found.residuals = answer_.residuals, found.r = answer_.r;
    found.n_evaluations = answer_.n_evaluations, found.n_jacobians = answer_.n_jacobians;
    std::copy_n(first_.p, n, found.p);
    std::copy_n(first_.residuals, m, found.residuals);
    std::copy_n(first_.r, n * n, found.r);
    std::copy_n(first_pivots(), n, found.pivots);
    std::copy_n(first_active(), n, found.active);
    answer_ = found;
  }

  ResidualFunction& function_;
  LeastSquaresOptions options_;
  LeastSquaresAnswer& answer_;
  LeastSquaresAnswer first_;
  AlignedBuffer<double> memory_;
};

}  // namespace

void minimize_squares(ResidualFunction& function, const LeastSquaresOptions& options,
                      LeastSquaresAnswer& answer) noexcept {
  const Size n = function.n_parameters(), m = function.n_residuals();
  Divider needed;
  const LeastSquaresSearch counted(function, options, answer, needed);
  needed.take<double>(n);
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
  LeastSquaresSearch search(function, options, answer, divider);
  double* start = divider.take<double>(n);
  std::copy_n(answer.p, n, start);
  search.run();
  if (!answer.outcome.ok() || answer.status == LeastSquaresStatus::not_finite || answer.cost == 0) return;
  if (answer.status == LeastSquaresStatus::stopped || answer.status == LeastSquaresStatus::out_of_evaluations) return;
  if (answer.status == LeastSquaresStatus::stagnation || (answer.rank < n && search.rank_at_start() == n))
    SecondSearch(function, options, answer).go_carefully(start);
  else if (answer.rank < n)
    SecondSearch(function, options, answer).go_aside();
}

}  // namespace mmlfast::drivers
