// The learning rate of each step.
#pragma once

#include <algorithm>
#include <cmath>

#include "drivers/backprop.hpp"

namespace mmlfast::drivers::backprop {

class Rates {
 public:
  Rates(const LearningRate& rate, Size n_samples, Size steps_per_epoch)
      : rate_(&rate),
        n_samples_(static_cast<double>(n_samples)),
        steps_(static_cast<double>(steps_per_epoch)),
        total_(steps_ * static_cast<double>(rate.epochs)) {}

  // `epoch` is counted over all trainings; `factor` is what adaptive has come to.
  double at(Size epoch, Size step, double factor) const {
    const double epochs = static_cast<double>(epoch - rate_->first_epoch);
    const double passed = epochs * steps_ + static_cast<double>(step);
    switch (rate_->schedule) {
      case Schedule::step:
        return rate_->peak * std::pow(rate_->factor, std::floor(epochs / static_cast<double>(rate_->every)));
      case Schedule::cosine:
        return rate_->peak * (1 + std::cos(3.14159265358979323846 * std::min(passed / total_, 1.0))) / 2;
      case Schedule::one_cycle: {
        const double rise = std::max(0.2 * total_, 1.0);
        return rate_->peak * std::min({(passed + 1) / rise, (total_ - passed) / (total_ - rise + 1), 1.0});
      }
      case Schedule::inverse_scaling:
        return rate_->peak / std::pow(epochs * n_samples_ + 1, rate_->power);
      case Schedule::adaptive:
        return rate_->peak * factor;
      default:
        return rate_->peak;
    }
  }

 private:
  const LearningRate* rate_;
  double n_samples_, steps_, total_;
};

// What changes from step to step in the rule of an optimizer.
template <class T>
struct StepNumbers {
  T rate, epsilon, keep;
};

// m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon) in step t, with the constants together. Remembers the last t:
// networks in lanes ask for the same one after the other.
template <class T>
class AdamStart {
 public:
  StepNumbers<T> at(const Training<T>& training, double rate, Size steps) {
    const T keep = static_cast<T>(1 - rate * training.weight_decay);
    if (training.optimizer != Optimizer::adam) return {static_cast<T>(rate), T{0}, keep};
    if (steps != steps_ || training.beta1 != beta1_ || training.beta2 != beta2_) {
      const double t = static_cast<double>(steps + 1);
      steps_ = steps, beta1_ = training.beta1, beta2_ = training.beta2;
      first_ = 1 - std::pow(beta1_, t), second_ = std::sqrt(1 - std::pow(beta2_, t));
    }
    return {static_cast<T>(rate * second_ / first_), static_cast<T>(training.epsilon * second_), keep};
  }

 private:
  Size steps_ = -1;
  double beta1_ = 0, beta2_ = 0, first_ = 1, second_ = 1;
};

}  // namespace mmlfast::drivers::backprop
