// Losses of a chunk of samples, and the delta of the output layer. Part of kernels/backprop.
#pragma once

#include "kernels/backprop_entropies.hpp"

namespace mmlfast::MMLFAST_LEVEL::losses {

using activations::columns_at;
using activations::padded;

// Of the loss: in all lanes, or for each network in its lane.
template <class T>
MMLFAST_INLINE vec<T> scale_of(const Targets<T>& targets) {
  return targets.scales == nullptr ? broadcast<T>(targets.scale) : load(targets.scales);
}

// Whether delta needs no slopes.
template <class T>
bool is_straight(const DenseLayer<T>& layer) {
  return layer.activation == Activation::identity && layer.slope == nullptr;
}

// Where the numbers of an output layer are: vectors in `columns` columns of `rows` rows.
struct Places {
  std::ptrdiff_t rows, row, columns, column;
};
template <class T>
MMLFAST_INLINE Places places_of(const DenseLayer<T>& layer, std::ptrdiff_t count) {
  if (layer.is_narrow()) return {(count + lanes<T> - 1) / lanes<T>, lanes<T>, layer.n_out, layer.out_row};
  return {count, layer.out_row, (layer.n_out + lanes<T> - 1) / lanes<T>, lanes<T>};
}

// delta times slope, weight and scale.
template <class T>
void weigh(const DenseLayer<T>& layer, std::ptrdiff_t first, std::ptrdiff_t count, const Targets<T>& targets) {
  if (layer.is_narrow())
    activations::slope_down(activations::turned(layer, first, count), 0, layer.n_out);
  else
    activations::slope_down(layer, first, count);
  const Places places = places_of(layer, count);
  const bool apart = layer.is_narrow() || targets.scales != nullptr;
  const T* weights = targets.weights + (targets.scales != nullptr ? first * lanes<T> : first);
  for (std::ptrdiff_t s = 0; s < places.rows; ++s) {
    const vec<T> weight = apart ? load(weights + s * lanes<T>) : broadcast<T>(weights[s]);
    const vec<T> factor = weight * scale_of(targets);
    T* delta = layer.delta + (layer.is_narrow() ? first : first * layer.out_row) + s * places.row;
    for (std::ptrdiff_t j = 0; j < places.columns; ++j)
      store(delta + j * places.column, load(delta + j * places.column) * factor);
  }
}

// element(out, target, mask of real numbers, weight, p, q) -> dl/dout, for all numbers of the output; p q is twice the
// loss. What becomes delta of it is times weight and scale where there are no slopes to come. Losses are added up in
// one chain for each lane and column of the places, then those of a lane, then the lanes.
template <class T, class Element>
MMLFAST_INLINE double elementwise(const DenseLayer<T>& layer, std::ptrdiff_t first, std::ptrdiff_t count,
                                  const Targets<T>& targets, Element&& element) {
  const Places places = places_of(layer, count);
  const bool straight = is_straight(layer), narrow = layer.is_narrow(), in_lanes = targets.scales != nullptr;
  const vec<T> scale = scale_of(targets);
  const T* weights = targets.weights + (in_lanes ? first * lanes<T> : first);
  const std::ptrdiff_t begin = narrow ? first : first * layer.out_row;
  vec<T> total = zero<T>();
  for (std::ptrdiff_t j = 0; j < places.columns; ++j) {
    vec<T> column = zero<T>(), p, q;
    for (std::ptrdiff_t s = 0; s < places.rows; ++s) {
      const std::ptrdiff_t at = begin + s * places.row + j * places.column;
      const vec<T> weight = narrow || in_lanes ? load(weights + s * lanes<T>) : broadcast<T>(weights[s]);
      const mask<T> real = narrow ? columns_at<T>(s * lanes<T>, count) : columns_at<T>(j * lanes<T>, layer.n_out);
      const vec<T> delta = element(load(layer.out + at), load(targets.y + at), real, weight, p, q);
      store(layer.delta + at, straight ? delta * (weight * scale) : delta);
      if (in_lanes) {
        T* sum = targets.twice + (j * targets.chains + (targets.first + s) % targets.chains) * lanes<T>;
        store(sum, fma(p, q, load(sum)));
      } else {
        column = fma(p, q, column);
      }
    }
    total = total + column;
  }
  return sum_in_double(total) / 2;
}

template <class T>
double squared_error(const DenseLayer<T>& layer, std::ptrdiff_t first, std::ptrdiff_t count,
                     const Targets<T>& targets) {
  return elementwise(layer, first, count, targets,
                     [](const vec<T>& out, const vec<T>& y, const mask<T>& real, const vec<T>& weight, vec<T>& p,
                        vec<T>& q) MMLFAST_INLINE_LAMBDA {
                       const vec<T> error = select(real, out - y, zero<T>());
                       p = error * weight, q = error;
                       return error;
                     });
}

template <class T>
double huber(const DenseLayer<T>& layer, std::ptrdiff_t first, std::ptrdiff_t count, const Targets<T>& targets) {
  const vec<T> limit = broadcast<T>(targets.parameter), two = broadcast<T>(2);
  return elementwise(layer, first, count, targets,
                     [&](const vec<T>& out, const vec<T>& y, const mask<T>& real, const vec<T>& weight, vec<T>& p,
                         vec<T>& q) MMLFAST_INLINE_LAMBDA {
                       const vec<T> error = select(real, out - y, zero<T>()), size = abs(error);
                       const mask<T> far = size > limit;
                       const vec<T> loss = select(far, limit * fma(two, size, -limit), error * error);
                       p = weight, q = loss;
                       return select(far, copysign(limit, error), error);
                     });
}

template <class T>
double absolute_error(const DenseLayer<T>& layer, std::ptrdiff_t first, std::ptrdiff_t count,
                      const Targets<T>& targets) {
  const vec<T> one = broadcast<T>(1), two = broadcast<T>(2);
  return elementwise(layer, first, count, targets,
                     [&](const vec<T>& out, const vec<T>& y, const mask<T>& real, const vec<T>& weight, vec<T>& p,
                         vec<T>& q) MMLFAST_INLINE_LAMBDA {
                       const vec<T> error = select(real, out - y, zero<T>()), size = abs(error);
                       p = weight * two, q = size;
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
                     [&](const vec<T>& z, const vec<T>& y, const mask<T>& real, const vec<T>& weight, vec<T>& p,
                         vec<T>& q) MMLFAST_INLINE_LAMBDA {
                       const vec<T> corner = activations::soft_corner(z), rest = one - y;
                       const vec<T> against = select(z < nothing, nothing, z) + corner;     // softplus(z)
                       const vec<T> in_favour = select(z > nothing, nothing, -z) + corner;  // softplus(-z)
                       const vec<T> loss = select(y == nothing, nothing, y * in_favour) +
                                           select(rest == nothing, nothing, rest * against);
                       p = select(real, two * weight * loss, nothing), q = one;
                       return select(real, logistic(z) - fma(y, kept, added), nothing);
                     });
}

template <class T>
double output(const DenseLayer<T>& layer, Loss loss, std::ptrdiff_t first, std::ptrdiff_t count,
              const Targets<T>& targets) {
  double total = 0;
  switch (loss) {
    case Loss::cross_entropy:
      return entropies::cross_entropy(layer, first, count, targets);
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
