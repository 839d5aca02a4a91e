// What a training makes of an epoch: is it the best so far, and is it enough? And the order of an epoch's samples.
#pragma once

#include "drivers/backprop_workspace.hpp"

namespace mmlfast::drivers::backprop {

// The permutation of an epoch: Fisher and Yates, from the end. False if stop() said so in between.
template <class Number, class Stop>
bool shuffle(Number* order, Size n, std::uint64_t seed, Size epoch, Stop&& stop) {
  const std::uint64_t key = mix(mix(seed) + static_cast<std::uint64_t>(epoch));
  for (Size i = 0; i < n; ++i) order[i] = static_cast<Number>(i);
  for (Size i = n - 1; i > 0; --i) {
    if ((i & 0xffff) == 0 && stop()) return false;
    const std::uint64_t r = mix(key + static_cast<std::uint64_t>(i));
    const auto j = static_cast<Size>((static_cast<unsigned __int128>(r) * static_cast<std::uint64_t>(i + 1)) >> 64);
    std::swap(order[i], order[j]);
  }
  return true;
}

template <class T>
double sum_of_weights(const Samples<T>& samples) {
  double sum = 0;
  for (Size i = 0; i < samples.n; ++i) sum += static_cast<double>(samples.weights[i]);
  return sum;
}

struct Verdict {
  bool best, enough;
};

// Of epoch `done` of the training, whose losses are known.
template <class T>
Verdict judge(const Training<T>& training, Size done, TrainingState& state) {
  const Stopping& how = training.stopping;
  double value = training.losses[done];
  if (how.monitor == Monitor::validation_loss) value = training.validation->losses[done];
  if (how.monitor == Monitor::validation_score) value = -training.validation->scores[done];
  if (value <= state.best - how.tolerance)
    state.epochs_without_improvement = 0;
  else
    ++state.epochs_without_improvement;
  // Of equal scores, which a small part of the data gives often, the one with the smaller loss.
  const double loss = how.monitor == Monitor::validation_score ? training.validation->losses[done] : 0;
  const bool best = value < state.best || (value == state.best && loss < state.best_loss);
  if (best) state.best = value, state.best_loss = loss;
  if (state.epochs_without_improvement <= how.patience) return {best, false};
  if (training.rate.schedule != Schedule::adaptive || training.rate.peak * state.rate_factor <= 1e-6)
    return {best, true};
  state.rate_factor /= 5;
  state.epochs_without_improvement = 0;
  return {best, false};
}

}  // namespace mmlfast::drivers::backprop
