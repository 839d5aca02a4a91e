#include "drivers/least_squares.hpp"

#include <algorithm>

#include "drivers/least_squares_search.hpp"

namespace mmlfast::drivers {
namespace {

// Another search, because the first ended at no minimum, or where parameters are undetermined. Whichever came lower is
// the answer.
class SecondSearch : NonCopyable {
 public:
  SecondSearch(ResidualFunction& function, const LeastSquaresOptions& options, LeastSquaresAnswer& answer) noexcept
      : function_(function),
        options_(options),
        answer_(answer),
        m_(function.n_residuals()),
        n_(function.n_parameters()),
        memory_(arrays(nullptr)) {
    arrays(memory_.data());
    second_.n_evaluations = answer.n_evaluations, second_.n_jacobians = answer.n_jacobians;
  }

  // From the same place, without what made the first fail: long steps, and bends.
  void go_carefully(const double* start) noexcept {
    if (!memory_) return;
    options_.acceleration = false;
    options_.first_step = 1;
    std::copy_n(start, n_, second_.p);
    run();
  }
  // From near the end. Parameters that do the same there keep doing the same as long as they take the same steps, and
  // that may be a saddle.
  void go_aside() noexcept {
    if (!memory_) return;
    for (Size j = 0; j < n_; ++j) {
      const double by = (j % 2 == 0 ? 0x1p-6 : -0x1p-6) * static_cast<double>(j + 1) / static_cast<double>(n_);
      double& p = second_.p[j];
      p = answer_.p[j] * (1 + by);
      if (options_.lower != nullptr) p = std::max(p, options_.lower[j]);
      if (options_.upper != nullptr) p = std::min(p, options_.upper[j]);
    }
    run();
  }

 private:
  // Places for the arrays of the second answer; how many bytes they take.
  Size arrays(void* memory) noexcept {
    Divider divider(memory);
    second_.p = divider.take<double>(n_);
    second_.residuals = divider.take<double>(m_);
    second_.r = divider.take<double>(n_ * n_);
    second_.pivots = divider.take<std::int32_t>(n_);
    second_.active = divider.take<std::int8_t>(n_);
    if (answer_.jacobian != nullptr) second_.jacobian = divider.take<double>(m_ * n_);
    if (answer_.gradient != nullptr) second_.gradient = divider.take<double>(n_);
    return divider.used();
  }
  void run() noexcept {
    Divider needed;
    const LeastSquaresSearch counted(function_, options_, second_, needed);
    const ScratchLease memory(needed.used());
    if (!memory) return;
    Divider divider(memory.data());
    LeastSquaresSearch(function_, options_, second_, divider).run();
    if (second_.outcome.ok() && is_better()) take_over();
    answer_.outcome = second_.outcome;
    answer_.n_evaluations = second_.n_evaluations, answer_.n_jacobians = second_.n_jacobians;
    answer_.n_searches = 2;
  }
  // Lower, or as low and not from where some parameters make no difference.
  bool is_better() const noexcept {
    if (second_.status == LeastSquaresStatus::not_finite) return false;
    if (second_.cost < answer_.cost * (1 - 1e-9)) return true;
    return second_.rank > answer_.rank && second_.cost <= answer_.cost * (1 + 1e-9);
  }
  void take_over() noexcept {
    const auto copy = [](const auto* from, Size count, auto* to) {
      if (to != nullptr) std::copy_n(from, count, to);
      return to;
    };
    LeastSquaresAnswer found = second_;
    found.rank_at_start = answer_.rank_at_start;
    found.p = copy(second_.p, n_, answer_.p);
    found.residuals = copy(second_.residuals, m_, answer_.residuals);
    found.r = copy(second_.r, n_ * n_, answer_.r);
    found.pivots = copy(second_.pivots, n_, answer_.pivots);
    found.active = copy(second_.active, n_, answer_.active);
    found.jacobian = copy(second_.jacobian, m_ * n_, answer_.jacobian);
    found.gradient = copy(second_.gradient, n_, answer_.gradient);
    answer_ = found;
  }

  ResidualFunction& function_;
  LeastSquaresOptions options_;
  LeastSquaresAnswer& answer_;
  LeastSquaresAnswer second_;
  const Size m_, n_;
  AlignedBuffer<char> memory_;
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
  if (!answer.outcome.ok() || answer.status == LeastSquaresStatus::not_finite || search.is_exact_fit()) return;
  if (answer.status == LeastSquaresStatus::stopped || answer.status == LeastSquaresStatus::out_of_evaluations) return;
  answer.lost = answer.rank < answer.rank_at_start && !search.is_bowl(start);
  const bool redundant = answer.rank < n && answer.rank_at_start < n;
  // Bends are a good guide to the end of a valley, not always to the best one. A long way that gained little may have
  // missed it.
  constexpr Size long_way = 12;
  const bool poor = answer.accelerated && answer.n_evaluations >= long_way && search.cost_left() > 0.1;
  if (answer.status == LeastSquaresStatus::stagnation || answer.lost || poor)
    SecondSearch(function, options, answer).go_carefully(start);
  else if (redundant)
    SecondSearch(function, options, answer).go_aside();
  if (answer.n_searches > 1) answer.lost = answer.rank < answer.rank_at_start && !search.is_bowl(start);
}

}  // namespace mmlfast::drivers
