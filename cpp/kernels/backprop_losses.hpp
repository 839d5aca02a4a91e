// Losses of a chunk of samples, and the delta of the output layer. Part of kernels/backprop.
#pragma once

#include "kernels/backprop_activations.hpp"

namespace mmlfast::MMLFAST_LEVEL::losses {

using activations::columns_at;
using activations::padded;

// The weight of sample s, in all lanes; or those of the networks in the lanes. And the scale likewise.
template <class T>
MMLFAST_INLINE vec<T> weight_of(const Targets<T>& targets, std::ptrdiff_t s) {
  return targets.scales == nullptr ? broadcast<T>(targets.weights[s]) : load(targets.weights + s * lanes<T>);
}
template <class T>
MMLFAST_INLINE vec<T> scale_of(const Targets<T>& targets) {
  return targets.scales == nullptr ? broadcast<T>(targets.scale) : load(targets.scales);
}

// delta times slope, weight and scale.
template <class T>
void weigh(const DenseLayer<T>& layer, std::ptrdiff_t first, std::ptrdiff_t count, const Targets<T>& targets) {
  activations::slope_down(layer, first, count);
  for (std::ptrdiff_t s = first; s < first + count; ++s) {
    const vec<T> factor = weight_of(targets, s) * scale_of(targets);
    T* delta = layer.delta + s * layer.out_row;
    for (std::ptrdiff_t j = 0; j < layer.n_out; j += lanes<T>) store(delta + j, load(delta + j) * factor);
  }
}

template <class T>
MMLFAST_INLINE double sum_in_double(const vec<T>& x) {
  alignas(vec_bytes) T lane[lanes<T>];
  store(lane, x);
  double sum = 0;
  for (int l = 0; l < lanes<T>; ++l) sum += static_cast<double>(lane[l]);
  return sum;
}

// Whether delta needs no slopes.
template <class T>
bool is_straight(const DenseLayer<T>& layer) {
  return layer.activation == Activation::identity && layer.slope == nullptr;
}

// element(out, target, mask of real columns, weight, twice the sum of losses) -> dl/dout, for all numbers of the
// output. What becomes delta of it is times weight and scale where there are no slopes to come.
template <class T, class Element>
MMLFAST_INLINE double elementwise(const DenseLayer<T>& layer, std::ptrdiff_t first, std::ptrdiff_t count,
                                  const Targets<T>& targets, Element&& element) {
  vec<T> total = zero<T>();
  const bool straight = is_straight(layer);
  const vec<T> scale = scale_of(targets);
  for (std::ptrdiff_t j = 0; j < layer.n_out; j += lanes<T>) {
    const mask<T> real = columns_at<T>(j, layer.n_out);
    vec<T> column = targets.twice == nullptr ? zero<T>() : load(targets.twice + j);
    for (std::ptrdiff_t s = first; s < first + count; ++s) {
      const std::ptrdiff_t at = s * layer.out_row + j;
      const vec<T> weight = weight_of(targets, s);
      const vec<T> delta = element(load(layer.out + at), load(targets.y + at), real, weight, column);
      store(layer.delta + at, straight ? delta * (weight * scale) : delta);
    }
    if (targets.twice != nullptr) store(targets.twice + j, column);
    total = total + column;
  }
  return sum_in_double(total) / 2;
}

template <class T>
double squared_error(const DenseLayer<T>& layer, std::ptrdiff_t first, std::ptrdiff_t count,
                     const Targets<T>& targets) {
  return elementwise(layer, first, count, targets,
                     [](const vec<T>& out, const vec<T>& y, const mask<T>& real, const vec<T>& weight, vec<T>& twice)
                         MMLFAST_INLINE_LAMBDA {
                           const vec<T> error = select(real, out - y, zero<T>());
                           twice = fma(error * weight, error, twice);
                           return error;
                         });
}

template <class T>
double huber(const DenseLayer<T>& layer, std::ptrdiff_t first, std::ptrdiff_t count, const Targets<T>& targets) {
  const vec<T> limit = broadcast<T>(targets.parameter), two = broadcast<T>(2);
  return elementwise(layer, first, count, targets,
                     [&](const vec<T>& out, const vec<T>& y, const mask<T>& real, const vec<T>& weight, vec<T>& twice)
                         MMLFAST_INLINE_LAMBDA {
                           const vec<T> error = select(real, out - y, zero<T>()), size = abs(error);
                           const mask<T> far = size > limit;
                           const vec<T> loss = select(far, limit * fma(two, size, -limit), error * error);
                           twice = fma(weight, loss, twice);
                           return select(far, copysign(limit, error), error);
                         });
}

template <class T>
double absolute_error(const DenseLayer<T>& layer, std::ptrdiff_t first, std::ptrdiff_t count,
                      const Targets<T>& targets) {
  const vec<T> one = broadcast<T>(1), two = broadcast<T>(2);
  return elementwise(layer, first, count, targets,
                     [&](const vec<T>& out, const vec<T>& y, const mask<T>& real, const vec<T>& weight, vec<T>& twice)
                         MMLFAST_INLINE_LAMBDA {
                           const vec<T> error = select(real, out - y, zero<T>()), size = abs(error);
                           twice = fma(weight * two, size, twice);
                           return select(size > zero<T>(), copysign(one, error), error);  // 0 stays 0, and NaN NaN
                         });
}

// From what goes into the logistic, so that nothing is rounded to 0 or 1 first. A weight of zero excludes its term:
// 0 times infinity is 0 here.
template <class T>
double binary_cross_entropy(const DenseLayer<T>& layer, std::ptrdiff_t first, std::ptrdiff_t count,
                            const Targets<T>& targets) {
  const vec<T> one = broadcast<T>(1), two = broadcast<T>(2), nothing = zero<T>();
  const vec<T> kept = broadcast<T>(T{1} - targets.smoothing), added = broadcast<T>(targets.smoothing / 2);
  return elementwise(layer, first, count, targets,
                     [&](const vec<T>& z, const vec<T>& y, const mask<T>& real, const vec<T>& weight, vec<T>& twice)
                         MMLFAST_INLINE_LAMBDA {
                           const vec<T> corner = activations::soft_corner(z), rest = one - y;
                           const vec<T> against = select(z < nothing, nothing, z) + corner;     // softplus(z)
                           const vec<T> in_favour = select(z > nothing, nothing, -z) + corner;  // softplus(-z)
                           const vec<T> loss = select(y == nothing, nothing, y * in_favour) +
                                               select(rest == nothing, nothing, rest * against);
                           twice = twice + select(real, two * weight * loss, nothing);
                           return select(real, logistic(z) - fma(y, kept, added), nothing);
                         });
}

// z := exp(z - max) in one row of n numbers, zeros in the padding; returns the sum, and the maximum in `highest`.
template <class T>
MMLFAST_INLINE T exponentials(T* z, std::ptrdiff_t n, T& highest) {
  const vec<T> lowest = broadcast<T>(static_cast<T>(-__builtin_inf()));
  vec<T> top = lowest, sum = zero<T>();
  for (std::ptrdiff_t j = 0; j < n; j += lanes<T>) top = max(select(columns_at<T>(j, n), load(z + j), lowest), top);
  highest = reduce_max(top);
  for (std::ptrdiff_t j = 0; j < n; j += lanes<T>) {
    const vec<T> e = select(columns_at<T>(j, n), exp(load(z + j) - broadcast<T>(highest)), zero<T>());
    sum = sum + e;
    store(z + j, e);
  }
  return reduce_add(sum);
}

template <class T>
void softmax(const DenseLayer<T>& layer, std::ptrdiff_t first, std::ptrdiff_t count) {
  for (std::ptrdiff_t s = first; s < first + count; ++s) {
    T* z = layer.out + s * layer.out_row;
    T highest;
    const vec<T> sum = broadcast<T>(exponentials(z, layer.n_out, highest));
    for (std::ptrdiff_t j = 0; j < layer.n_out; j += lanes<T>) store(z + j, load(z + j) / sum);
  }
}

template <class T>
void finish(const DenseLayer<T>& layer, Activation activation, std::ptrdiff_t first, std::ptrdiff_t count) {
  if (activation == Activation::softmax) return softmax(layer, first, count);
  DenseLayer<T> only = layer;
  only.activation = activation;
  only.slope = nullptr;
  activations::activate(only, first, count);
}

// The sum over j of target (highest + log_sum - z), and delta -= factor target, where target is smoothed.
template <class T>
MMLFAST_INLINE double against_probabilities(const T* z, T* delta, const T* y, std::ptrdiff_t n, T log_sum, T highest,
                                            T factor, T smoothing) {
  const vec<T> nothing = zero<T>(), f = broadcast<T>(factor), kept = broadcast<T>(T{1} - smoothing);
  const vec<T> added = broadcast<T>(smoothing / static_cast<T>(n));
  vec<T> total = nothing;
  for (std::ptrdiff_t j = 0; j < n; j += lanes<T>) {
    const mask<T> real = columns_at<T>(j, n);
    const vec<T> target = select(real, load(y + j), nothing);
    const vec<T> loss = broadcast<T>(log_sum) - (load(z + j) - broadcast<T>(highest));
    total = total + select(target == nothing, nothing, target * loss);
    store(delta + j, select(real, fnma(f, fma(target, kept, added), load(delta + j)), nothing));
  }
  return sum_in_double(total);
}

template <class T>
MMLFAST_INLINE double against_label(const T* z, T* delta, std::int64_t label, std::ptrdiff_t n, T log_sum, T highest,
                                    T factor, T smoothing) {
  if (smoothing == 0) {
    delta[label] -= factor;
  } else {
    const vec<T> less = broadcast<T>(factor * (smoothing / static_cast<T>(n)));
    for (std::ptrdiff_t j = 0; j < n; j += lanes<T>)
      store(delta + j, select(columns_at<T>(j, n), load(delta + j) - less, zero<T>()));
    delta[label] -= factor * (T{1} - smoothing);
  }
  return static_cast<double>(log_sum) - static_cast<double>(z[label] - highest);
}

// Of at most lanes<T> samples, whose logarithms are taken together. Adds the losses to `total`, one after the other.
template <class T>
void cross_entropy_of_few(const DenseLayer<T>& layer, std::ptrdiff_t first, std::ptrdiff_t count,
                          const Targets<T>& targets, double& total) {
  const std::ptrdiff_t n = layer.n_out, cols = padded<T>(n);
  alignas(vec_bytes) T sum[lanes<T>] = {}, highest[lanes<T>];
  for (std::ptrdiff_t i = 0; i < count; ++i) {
    const std::ptrdiff_t s = first + i;
    const T* z = layer.out + s * layer.out_row;
    T* delta = layer.delta + s * layer.out_row;
    for (std::ptrdiff_t j = 0; j < cols; j += lanes<T>) store(delta + j, load(z + j));
    sum[i] = exponentials(delta, n, highest[i]);
    const vec<T> factor = broadcast<T>(targets.scale * targets.weights[s] / sum[i]);
    for (std::ptrdiff_t j = 0; j < cols; j += lanes<T>) store(delta + j, load(delta + j) * factor);
  }
  store(sum, log(load(sum)));
  for (std::ptrdiff_t i = 0; i < count; ++i) {
    const std::ptrdiff_t s = first + i;
    const T* z = layer.out + s * layer.out_row;
    T* delta = layer.delta + s * layer.out_row;
    const T weighted = targets.scale * targets.weights[s];
    const double loss =
        targets.labels != nullptr
            ? against_label(z, delta, targets.labels[s], n, sum[i], highest[i], weighted, targets.smoothing)
            : against_probabilities(z, delta, targets.y + s * layer.out_row, n, sum[i], highest[i], weighted,
                                    targets.smoothing);
    total += static_cast<double>(targets.weights[s]) * loss;
  }
}

template <class T>
double cross_entropy(const DenseLayer<T>& layer, std::ptrdiff_t first, std::ptrdiff_t count,
                     const Targets<T>& targets) {
  double total = 0;
  for (std::ptrdiff_t done = 0; done < count; done += lanes<T>)
    cross_entropy_of_few(layer, first + done, count - done < lanes<T> ? count - done : lanes<T>, targets, total);
  return total;
}

template <class T>
double output(const DenseLayer<T>& layer, Loss loss, std::ptrdiff_t first, std::ptrdiff_t count,
              const Targets<T>& targets) {
  double total = 0;
  switch (loss) {
    case Loss::cross_entropy:
      return cross_entropy(layer, first, count, targets);
    case Loss::binary_cross_entropy:
      total = binary_cross_entropy(layer, first, count, targets);
      break;
    case Loss::huber:
      total = huber(layer, first, count, targets);
      break;
    case Loss::absolute_error:
      total = absolute_error(layer, first, count, targets);
      break;
    default:
      total = squared_error(layer, first, count, targets);
  }
  if (!is_straight(layer)) weigh(layer, first, count, targets);
  return total;
}

}  // namespace mmlfast::MMLFAST_LEVEL::losses
