// Steps of the optimizers, and what they need of gradients and weights. Part of kernels/backprop.
#pragma once

#include "kernels/backprop_activations.hpp"

namespace mmlfast::MMLFAST_LEVEL::updates {

// w, its gradient and its state: `rows` rows of `cols` numbers of each, whole vectors, `row` numbers apart.
template <class T>
struct Parameters {
  T* w;
  const T* gradient;
  T *first, *second;
  std::ptrdiff_t rows, cols, row;
};

// A subnormal number is 0: where no gradient comes any more, a velocity would stay at the smallest number for ever.
template <class T>
MMLFAST_INLINE vec<T> flushed(const vec<T>& x) {
  constexpr T smallest = sizeof(T) == 8 ? static_cast<T>(0x1p-1022) : static_cast<T>(0x1p-126);
  return select(abs(x) < broadcast<T>(smallest), zero<T>(), x);
}

template <Optimizer O, class T>
MMLFAST_INLINE void step(const Parameters<T>& p, const UpdateRule<T>& rule, bool biases) {
  const vec<T> one = broadcast<T>(1), rate = load(rule.rate.of), keep = biases ? one : load(rule.keep.of),
               penalty = biases ? zero<T>() : load(rule.penalty.of), clip = load(rule.clip.of),
               momentum = load(rule.momentum.of), beta1 = load(rule.beta1.of), beta2 = load(rule.beta2.of),
               new1 = one - beta1, new2 = one - beta2, epsilon = load(rule.epsilon.of);
  const auto move = [&](std::ptrdiff_t i) MMLFAST_INLINE_LAMBDA {
    const vec<T> w = load(p.w + i), g = fma(penalty, w, load(p.gradient + i)) * clip;
    if constexpr (O == Optimizer::gradient_descent) {
      store(p.w + i, fnma(rate, g, w * keep));
    } else if constexpr (O == Optimizer::adam) {
      const vec<T> first = flushed(fma(beta1, load(p.first + i), new1 * g));
      const vec<T> second = flushed(fma(beta2, load(p.second + i), new2 * (g * g)));
      store(p.first + i, first);
      store(p.second + i, second);
      store(p.w + i, fnma(rate, first / (sqrt(second) + epsilon), w * keep));
    } else {
      const vec<T> v = flushed(fnma(rate, g, momentum * load(p.first + i)));
      store(p.first + i, v);
      store(p.w + i, O == Optimizer::momentum ? w * keep + v : fma(momentum, v, fnma(rate, g, w * keep)));
    }
  };
  for (std::ptrdiff_t r = 0; r < p.rows; ++r)
    for (std::ptrdiff_t i = r * p.row; i < r * p.row + p.cols; i += lanes<T>) move(i);
}

template <class T>
void update(const Parameters<T>& p, const UpdateRule<T>& rule, bool biases) {
  switch (rule.optimizer) {
    case Optimizer::gradient_descent:
      return step<Optimizer::gradient_descent>(p, rule, biases);
    case Optimizer::momentum:
      return step<Optimizer::momentum>(p, rule, biases);
    case Optimizer::nesterov:
      return step<Optimizer::nesterov>(p, rule, biases);
    case Optimizer::adam:
      return step<Optimizer::adam>(p, rule, biases);
  }
}

// In float64 also of float32: a sum of squares overflows at the root of what its numbers may be.
template <class T>
double sum_of_squares(const T* x, std::ptrdiff_t count) {
  double part[8] = {};
  for (std::ptrdiff_t i = 0; i < count; i += 8) {
    for (int l = 0; l < 8; ++l) {
      const double number = static_cast<double>(x[i + l]);
      part[l] += number * number;
    }
  }
  return ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
}

template <class T>
double penalize(const DenseLayer<T>& layer, std::ptrdiff_t begin, std::ptrdiff_t end, T penalty) {
  const std::ptrdiff_t at = begin * layer.w_row, count = (end - begin) * layer.w_row;
  if (penalty != 0) {
    const vec<T> p = broadcast<T>(penalty);
    for (std::ptrdiff_t i = at; i < at + count; i += lanes<T>)
      store(layer.gradient + i, fma(p, load(layer.w + i), load(layer.gradient + i)));
  }
  double sum = sum_of_squares(layer.gradient + at, count);
  if (begin == 0) sum += sum_of_squares(layer.b_gradient, activations::padded<T>(layer.n_out));
  return sum;
}

template <class T>
double squares(const DenseLayer<T>& layer, std::ptrdiff_t begin, std::ptrdiff_t end) {
  return sum_of_squares(layer.w + begin * layer.w_row, (end - begin) * layer.w_row);
}

}  // namespace mmlfast::MMLFAST_LEVEL::updates
