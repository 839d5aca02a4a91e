// Samples that are not trained on, after each epoch. Part of drivers/backprop_fit.
#pragma once

#include "drivers/backprop_passes.hpp"

namespace mmlfast::drivers::backprop {

// Output j of sample s of the chunk.
template <class T>
T output_of(const DenseLayer<T>& last, Size s, Size j) {
  return last.out[last.is_narrow() ? j * last.out_row + s : s * last.out_row + j];
}

// Whether the output of sample s of the chunk (number `from`) says what the target says.
template <class T>
bool is_right(const DenseLayer<T>& last, const Network<T>& network, const Samples<T>& samples, Size s, Size from) {
  const T* y = samples.y + (samples.y == nullptr ? 0 : from * last.n_out);
  if (network.loss == Loss::cross_entropy) {
    Size highest = 0;
    for (Size j = 1; j < last.n_out; ++j)
      if (output_of(last, s, highest) < output_of(last, s, j)) highest = j;
    return highest == (samples.labels != nullptr ? samples.labels[from] : std::max_element(y, y + last.n_out) - y);
  }
  // Several answers of yes or no: all of them. Out is what goes into the logistic.
  bool right = true;
  const T middle = network.loss == Loss::binary_cross_entropy ? T{0} : T{0.5};
  for (Size j = 0; j < last.n_out; ++j) right = right && (output_of(last, s, j) > middle) == (y[j] > T{0.5});
  return right;
}

template <class T>
double scored(Workspace<T>& work, const Validation<T>& validation, Size start, Size count) {
  const DenseLayer<T>& last = work.last();
  const Samples<T>& samples = validation.samples;
  double sum = 0;
  for (Size s = 0; s < count; ++s) {
    const Size from = start + s;
    double value = 0;
    if (validation.score == Score::accuracy) {
      value = is_right(last, work.network(), samples, s, from) ? 1 : 0;
    } else {
      for (Size j = 0; j < last.n_out; ++j) {
        const double error =
            static_cast<double>(output_of(last, s, j)) - static_cast<double>(samples.y[from * last.n_out + j]);
        value += validation.column_weights[j] * error * error;
      }
    }
    const double weight = samples.weights == nullptr ? 1 : static_cast<double>(samples.weights[from]);
    if (weight > 0) sum += weight * value;
  }
  return sum;
}

// Loss and score of epoch `epoch`; false if the training was interrupted.
template <class T>
bool validate(Passes<T>& passes, Workspace<T>& work, const Validation<T>& validation, Size epoch) {
  const Samples<T>& samples = validation.samples;
  work.select(samples, false, false);
  double losses = 0, score = 0;
  for (Size start = 0; start < samples.n && !passes.stopped(); start += work.chunk()) {
    const Size count = std::min(work.chunk(), samples.n - start);
    work.select_chunk(start);
    passes.run_samples(count, T{1}, false, losses);
    if (validation.score != Score::none) score += scored(work, validation, start, count);
  }
  const double weight = work.weight_of(0, samples.n);
  validation.losses[epoch] = losses / weight;
  if (validation.score == Score::accuracy) validation.scores[epoch] = score / weight;
  if (validation.score == Score::r2) validation.scores[epoch] = 1 - score;
  return !passes.stopped();
}

}  // namespace mmlfast::drivers::backprop
