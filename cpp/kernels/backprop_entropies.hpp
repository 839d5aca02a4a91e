// Softmax and cross-entropy, with the outputs in lanes; or with networks or samples in lanes. Part of kernels/backprop.
#pragma once

#include "kernels/backprop_activations.hpp"

namespace mmlfast::MMLFAST_LEVEL {

template <class T>
MMLFAST_INLINE double sum_in_double(const vec<T>& x) {
  alignas(vec_bytes) T lane[lanes<T>];
  store(lane, x);
  double sum = 0;
  for (int l = 0; l < lanes<T>; ++l) sum += static_cast<double>(lane[l]);
  return sum;
}

namespace entropies {

using activations::columns_at;
using activations::padded;

// ---- a case in each lane: a sample, or a network ----

// Sums of numbers that outputs in lanes would have in the lanes of a vector: in that order.
template <class T>
struct Spread {
  vec<T> of[lanes<T>] = {};
  void add(std::ptrdiff_t output, const vec<T>& x) {
    vec<T>& sum = of[output % lanes<T>];
    sum = sum + x;
  }
  // As reduce_add.
  vec<T> sum() {
    for (int half = lanes<T> / 2; half > 0; half /= 2)
      for (int i = 0; i < half; ++i) of[i] = of[i] + of[i + half];
    return of[0];
  }
};

// n outputs of the cases in the lanes, `stride` numbers from one to the next.
template <class T>
struct Cases {
  const T* z;
  T* delta;
  std::ptrdiff_t n, stride;
  const T* weights;
  vec<T> highest, log_sum, weighted;  // weighted: scale times weight
};

// delta := softmax(z) times weighted; and highest and log_sum.
template <class T>
void softmax_of_cases(Cases<T>& c) {
  Spread<T> parts;
  c.highest = load(c.z);
  for (std::ptrdiff_t j = 1; j < c.n; ++j) c.highest = max(load(c.z + j * c.stride), c.highest);
  for (std::ptrdiff_t j = 0; j < c.n; ++j) {
    const vec<T> e = exp(load(c.z + j * c.stride) - c.highest);
    store(c.delta + j * c.stride, e);
    parts.add(j, e);
  }
  const vec<T> sum = parts.sum(), factor = c.weighted / sum;
  c.log_sum = log(sum);
  for (std::ptrdiff_t j = 0; j < c.n; ++j) store(c.delta + j * c.stride, load(c.delta + j * c.stride) * factor);
}

template <class T>
void against_probabilities(const Cases<T>& c, const T* y, T smoothing, double* terms) {
  const vec<T> nothing = zero<T>(), kept = broadcast<T>(T{1} - smoothing),
               added = broadcast<T>(smoothing / static_cast<T>(c.n));
  Spread<T> parts;
  for (std::ptrdiff_t j = 0; j < c.n; ++j) {
    T* delta = c.delta + j * c.stride;
    const vec<T> target = load(y + j * c.stride), loss = c.log_sum - (load(c.z + j * c.stride) - c.highest);
    parts.add(j, select(target == nothing, nothing, target * loss));
    store(delta, fnma(c.weighted, fma(target, kept, added), load(delta)));
  }
  double total[lanes<T>] = {};
  for (const vec<T>& part : parts.of) {
    alignas(vec_bytes) T lane[lanes<T>];
    store(lane, part);
    for (int v = 0; v < lanes<T>; ++v) total[v] += static_cast<double>(lane[v]);
  }
  for (int v = 0; v < lanes<T>; ++v) terms[v] = static_cast<double>(c.weights[v]) * total[v];
}

template <class T>
void against_labels(const Cases<T>& c, const std::int64_t* labels, T smoothing, double* terms) {
  alignas(vec_bytes) T log_of[lanes<T>], highest_of[lanes<T>], less[lanes<T>];
  store(log_of, c.log_sum);
  store(highest_of, c.highest);
  store(less, smoothing == 0 ? c.weighted : c.weighted * broadcast<T>(T{1} - smoothing));
  if (smoothing != 0) {
    const vec<T> share = c.weighted * broadcast<T>(smoothing / static_cast<T>(c.n));
    for (std::ptrdiff_t j = 0; j < c.n; ++j) store(c.delta + j * c.stride, load(c.delta + j * c.stride) - share);
  }
  for (int v = 0; v < lanes<T>; ++v) {
    const std::ptrdiff_t at = labels[v] * c.stride + v;
    c.delta[at] -= less[v];
    terms[v] = static_cast<double>(c.weights[v]) *
               (static_cast<double>(log_of[v]) - static_cast<double>(c.z[at] - highest_of[v]));
  }
}

// The cases whose first of n outputs is number `at` of out, and whose weights and labels begin at number `first`. OUT:
// terms, the weighted loss of each.
template <class T>
void cross_entropy_of_cases(const DenseLayer<T>& layer, std::ptrdiff_t at, std::ptrdiff_t first, std::ptrdiff_t n,
                            std::ptrdiff_t stride, const Targets<T>& targets, double* terms) {
  Cases<T> c;
  c.n = n;
  c.stride = stride;
  c.z = layer.out + at;
  c.delta = layer.delta + at;
  c.weights = targets.weights + first;
  c.weighted = (targets.scales == nullptr ? broadcast<T>(targets.scale) : load(targets.scales)) * load(c.weights);
  softmax_of_cases(c);
  if (targets.labels != nullptr)
    against_labels(c, targets.labels + first, targets.smoothing, terms);
  else
    against_probabilities(c, targets.y + at, targets.smoothing, terms);
}

// Of networks in lanes: to targets.sums.
template <class T>
void cross_entropy_in_lanes(const DenseLayer<T>& layer, std::ptrdiff_t count, const Targets<T>& targets) {
  for (std::ptrdiff_t s = 0; s < count; ++s) {
    alignas(vec_bytes) double terms[lanes<T>];
    cross_entropy_of_cases(layer, s * layer.out_row, s * lanes<T>, layer.n_out / lanes<T>, lanes<T>, targets, terms);
    for (int v = 0; v < lanes<T>; ++v) targets.sums[v] += terms[v];
  }
}

// Of samples in lanes.
template <class T>
double cross_entropy_of_narrow(const DenseLayer<T>& layer, std::ptrdiff_t first, std::ptrdiff_t count,
                               const Targets<T>& targets) {
  double total = 0;
  for (std::ptrdiff_t s = first; s < first + count; s += lanes<T>) {
    alignas(vec_bytes) double terms[lanes<T>];
    cross_entropy_of_cases(layer, s, s, layer.n_out, layer.out_row, targets, terms);
    for (int v = 0; v < lanes<T> && s + v < first + count; ++v) total += terms[v];
  }
  return total;
}

// ---- outputs in lanes ----

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
  if (layer.is_narrow()) return cross_entropy_of_narrow(layer, first, count, targets);
  double total = 0;
  for (std::ptrdiff_t done = 0; done < count; done += lanes<T>)
    cross_entropy_of_few(layer, first + done, count - done < lanes<T> ? count - done : lanes<T>, targets, total);
  return total;
}

}  // namespace entropies

}  // namespace mmlfast::MMLFAST_LEVEL
