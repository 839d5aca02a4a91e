// The learning rate of each step.
#pragma once

#include <algorithm>
#include <cmath>

#include "drivers/backprop.hpp"

namespace mmlfast::drivers::backprop {

class Rates {
 public:
  Rates(const LearningRate& rate, Size n_samples, Size steps_per_epoch)
      : rate_(rate),
        n_samples_(static_cast<double>(n_samples)),
        steps_(static_cast<double>(steps_per_epoch)),
        total_(steps_ * static_cast<double>(rate.epochs)) {}

  // `epoch` is counted over all trainings; `factor` is what adaptive has come to.
  double at(Size epoch, Size step, double factor) const {
    const double epochs = static_cast<double>(epoch - rate_.first_epoch);
    const double passed = epochs * steps_ + static_cast<double>(step);
    switch (rate_.schedule) {
      case Schedule::step:
        return rate_.peak * std::pow(rate_.factor, std::floor(epochs / static_cast<double>(rate_.every)));
      case Schedule::cosine:
        return rate_.peak * (1 + std::cos(3.14159265358979323846 * std::min(passed / total_, 1.0))) / 2;
      case Schedule::one_cycle: {
        const double rise = std::max(0.2 * total_, 1.0);
        return rate_.peak * std::min({(passed + 1) / rise, (total_ - passed) / (total_ - rise + 1), 1.0});
      }
      case Schedule::inverse_scaling:
        return rate_.peak / std::pow(epochs * n_samples_ + 1, rate_.power);
      case Schedule::adaptive:
        return rate_.peak * factor;
      default:
        return rate_.peak;
    }
  }

 private:
  const LearningRate& rate_;
  double n_samples_, steps_, total_;
};

}  // namespace mmlfast::drivers::backprop
